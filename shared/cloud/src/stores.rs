//! Objects: log files, quarantine and settings, in S3 or a folder. Everything is an `object_store` URL.

use std::collections::HashMap;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AwsCredential, Checksum};
use object_store::client::CredentialProvider;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Attribute, GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use trail::envelope::ObjectRef;
use url::Url;

use crate::error::Error;

/// How long S3 is asked again before the message goes back to the queue: the batch's other files wait for it.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// Buckets and folders by name, opened when first asked for.
#[derive(Debug)]
pub struct Stores {
    config: SdkConfig,
    buckets: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// A place in a store: what a URL such as `s3://bucket/prefix` or a folder's path names.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// Where in it.
    pub prefix: Path,
}

/// An object that is there. Whoever wants its bytes sees first how many they are.
#[derive(Debug)]
pub struct Found {
    object: String,
    /// In bytes.
    pub size: u64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    File(String),
    Stored(GetResult),
}

impl Found {
    /// The object's user metadata, by names in lower case and without `x-amz-meta-`; none of a file.
    pub fn metadata(&self) -> Vec<(String, String)> {
        match &self.body {
            Body::File(_) => Vec::new(),
            Body::Stored(found) => user_metadata(found),
        }
    }

    /// Its bytes.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        match self.body {
            Body::File(path) => match tokio::fs::read(&path).await {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(Error::Configuration(format!("{path}: {error}"))),
            },
            Body::Stored(found) => found.bytes().await.map_err(|e| Error::object(self.object, e)),
        }
    }
}

impl Stores {
    /// Stores that sign with these credentials.
    pub fn new(config: SdkConfig) -> Self {
        Self { config, buckets: Mutex::new(HashMap::new()) }
    }

    /// An object, of the very version that is named, before its bytes are taken in. Without a bucket the key is a path
    /// on this machine.
    pub async fn get(&self, object: &ObjectRef) -> Result<Found, Error> {
        if object.bucket.is_empty() {
            let about = tokio::fs::metadata(&object.key).await;
            let size = about.map_err(|e| Error::Configuration(format!("{}: {e}", object.key)))?.len();
            return Ok(Found { object: object.id(), size, body: Body::File(object.key.clone()) });
        }
        let store = self.bucket(&object.bucket)?;
        let path = Path::parse(&object.key).map_err(|e| Error::object(object.id(), e.into()))?;
        let options = GetOptions { version: object.version.clone(), ..GetOptions::default() };
        let found = store.get_opts(&path, options).await.map_err(|e| Error::object(object.id(), e))?;
        Ok(Found { object: object.id(), size: found.meta.size, body: Body::Stored(found) })
    }

    fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>, Error> {
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(store) = buckets.get(name) {
            return Ok(store.clone());
        }
        let store = s3(&self.config, name).build().map_err(|e| Error::object(format!("s3://{name}"), e))?;
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        buckets.insert(name.to_owned(), store.clone());
        Ok(store)
    }

    /// What a URL or path names.
    pub fn open(&self, url: &str) -> Result<Place, Error> {
        let Some(rest) = url.strip_prefix("s3://") else {
            if url.contains("://") {
                return Err(Error::Configuration(format!("{url}: a folder or s3://BUCKET/PREFIX is wanted")));
            }
            return folder(FilePath::new(url));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = Path::parse(prefix).map_err(|e| Error::object(url, e.into()))?;
        Ok(Place { store: self.bucket(bucket)?, prefix })
    }
}

impl Stores {
    /// What a URL or path names, where objects may be locked: S3 takes those with a checksum alone.
    pub fn open_locked(&self, url: &str) -> Result<Place, Error> {
        let Some(rest) = url.strip_prefix("s3://") else { return folder(FilePath::new(url)) };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = Path::parse(prefix).map_err(|e| Error::object(url, e.into()))?;
        let builder = s3(&self.config, bucket).with_checksum_algorithm(Checksum::SHA256);
        let store = builder.build().map_err(|e| Error::object(format!("s3://{bucket}"), e))?;
        Ok(Place { store: Arc::new(store), prefix })
    }
}

fn user_metadata(found: &GetResult) -> Vec<(String, String)> {
    let pairs = found.attributes.iter().filter_map(|(name, value)| match name {
        Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
        _ => None,
    });
    pairs.collect()
}

/// A folder as a store, made if it is not there.
pub fn folder(path: &FilePath) -> Result<Place, Error> {
    let shown = path.display().to_string();
    std::fs::create_dir_all(path).map_err(|e| Error::Configuration(format!("{shown}: {e}")))?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(|e| Error::object(shown, e))?;
    Ok(Place { store: Arc::new(store), prefix: Path::default() })
}

impl Place {
    /// A place below this one.
    pub fn join(&self, parts: &[&str]) -> Path {
        parts.iter().flat_map(|part| part.split('/')).fold(self.prefix.clone(), Path::join)
    }

    /// Writes an object whole.
    pub async fn put(&self, path: &Path, bytes: impl Into<PutPayload>) -> Result<(), Error> {
        self.store.put(path, bytes.into()).await.map_err(|e| Error::object(path.to_string(), e))?;
        Ok(())
    }

    /// Reads an object with its user metadata, names without `x-amz-meta-`; none where there is none.
    pub async fn fetch(&self, key: &str) -> Result<Option<(Bytes, Vec<(String, String)>)>, Error> {
        let path = Path::parse(key).map_err(|e| Error::object(key, e.into()))?;
        let found = match self.store.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(Error::object(key, error)),
        };
        let metadata = user_metadata(&found);
        let bytes = found.bytes().await.map_err(|e| Error::object(key, e))?;
        Ok(Some((bytes, metadata)))
    }

    /// Reads the object that the place itself names; none where there is none.
    pub async fn read(&self) -> Result<Option<Bytes>, Error> {
        match self.store.get(&self.prefix).await {
            Ok(found) => found.bytes().await.map(Some).map_err(|e| Error::object(self.prefix.to_string(), e)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::object(self.prefix.to_string(), error)),
        }
    }
}

fn s3(config: &SdkConfig, bucket: &str) -> AmazonS3Builder {
    let retries = RetryConfig { max_retries: 6, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retries);
    if let Some(region) = config.region() {
        builder = builder.with_region(region.as_ref());
    }
    if let Some(credentials) = config.credentials_provider() {
        builder = builder.with_credentials(Arc::new(Credentials::new(credentials)));
    }
    if let Some(endpoint) = endpoint(config) {
        builder =
            builder.with_endpoint(endpoint.as_str().trim_end_matches('/')).with_virtual_hosted_style_request(false);
        builder = builder.with_allow_http(endpoint.scheme() == "http");
    }
    builder
}

/// An endpoint of one's own, as the SDKs take it: for S3 alone, else for everything.
fn endpoint(config: &SdkConfig) -> Option<Url> {
    let key =
        ServiceConfigKey::builder().service_id("s3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let own = config.service_config().and_then(|services| services.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))?.parse().ok()
}

/// The SDK's credentials, handed to `object_store`: profiles, SSO and roles then work the same for both.
#[derive(Debug)]
struct Credentials {
    provider: SharedCredentialsProvider,
    /// The last ones, until shortly before they expire.
    cached: tokio::sync::Mutex<Option<aws_credential_types::Credentials>>,
}

/// How long before they expire credentials are asked for anew.
const EXPIRY_MARGIN: Duration = Duration::from_mins(5);

impl Credentials {
    fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, cached: tokio::sync::Mutex::new(None) }
    }
}

fn is_fresh(credentials: &aws_credential_types::Credentials) -> bool {
    credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + EXPIRY_MARGIN)
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut cached = self.cached.lock().await;
        let found = if let Some(known) = cached.as_ref().filter(|known| is_fresh(known)) {
            known.clone()
        } else {
            let asked = self.provider.provide_credentials().await;
            let asked = asked.map_err(|e| object_store::Error::Generic { store: "S3", source: Box::new(e) })?;
            cached.insert(asked).clone()
        };
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}
