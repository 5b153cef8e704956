//! A real S3 server over a temporary folder, and what is put into it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Attribute, ObjectStore, ObjectStoreExt, PutOptions};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::Server;
use super::{ACCESS_KEY, REGION, SECRET_KEY};

/// S3 on a loopback port. It checks signatures, path style only.
pub(crate) struct S3 {
    server: Server,
    folder: TempDir,
}

impl S3 {
    /// Starts a server with these buckets, empty.
    pub(crate) async fn start(buckets: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let files = FileSystem::new(folder.path()).expect("the folder just made");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let server = Server::start(service.build()).await;
        let s3 = Self { server, folder };
        for bucket in buckets {
            s3.create(bucket);
        }
        s3
    }

    /// For `AWS_ENDPOINT_URL_S3`.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Makes a bucket.
    pub(crate) fn create(&self, bucket: &str) {
        fs::create_dir(self.folder.path().join(bucket)).expect("a new bucket");
    }

    /// The bucket through the same client that the product uses.
    pub(crate) fn store(&self, bucket: &str) -> AmazonS3 {
        store(&self.url(), bucket)
    }

    /// Puts an object over HTTP. `key` is the key itself, not URL-encoded.
    pub(crate) async fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        let key = Path::parse(key).expect("a key that S3 and object_store both take");
        self.store(bucket).put(&key, body.into().into()).await.expect("the object is stored");
    }

    /// Puts an object with user metadata, its names without `x-amz-meta-`.
    pub(crate) async fn put_with(&self, bucket: &str, key: &str, body: Vec<u8>, metadata: &BTreeMap<String, String>) {
        let key = Path::parse(key).expect("a key that S3 and object_store both take");
        let pairs = metadata.iter().map(|(name, value)| (Attribute::Metadata(name.clone().into()), value.clone()));
        let options = PutOptions { attributes: pairs.collect(), ..PutOptions::default() };
        self.store(bucket).put_opts(&key, body.into(), options).await.expect("the object is stored");
    }

    /// Reads an object over HTTP, or `None` when there is none.
    pub(crate) async fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let key = Path::parse(key).expect("a key that S3 and object_store both take");
        match self.store(bucket).get(&key).await {
            Ok(object) => Some(object.bytes().await.expect("the whole object")),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => panic!("reading {key}: {error}"),
        }
    }

    /// The keys under `prefix`, sorted.
    pub(crate) async fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let prefix = Path::parse(prefix).expect("a prefix");
        let listed = self.store(bucket).list(Some(&prefix)).map_ok(|object| object.location.to_string());
        let mut keys: Vec<String> = listed.try_collect().await.expect("a listing");
        keys.sort();
        keys
    }
}

/// A client of the server at `url`, or of a proxy before it.
pub(crate) fn store(url: &str, bucket: &str) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(url)
        .with_allow_http(true)
        .with_virtual_hosted_style_request(false)
        .with_region(REGION)
        .with_bucket_name(bucket)
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .build()
        .expect("complete settings")
}

/// A log file as `CloudTrail` delivers it: gzip of `{"Records":[…]}`.
pub(crate) fn log_file(records: &[Value]) -> Vec<u8> {
    gzip(json!({ "Records": records }).to_string().as_bytes())
}

/// One gzip member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

#[cfg(test)]
mod tests {
    use object_store::PutMode;

    use super::*;

    #[tokio::test]
    async fn objects_are_stored_read_and_listed() {
        let s3 = S3::start(&["logs", "data"]).await;
        let key = "o-1/AWSLogs/111122223333/CloudTrail/eu-central-1/2026/11/22/a+b=c d_Ü.json.gz";
        let file = log_file(&[json!({ "eventID": "1" })]);
        s3.put("logs", key, file.clone()).await;
        s3.put("logs", "other/x", "1").await;
        assert_eq!(s3.get("logs", key).await, Some(file.into()));
        assert_eq!(s3.get("logs", "nothing").await, None);
        assert_eq!(s3.keys("logs", "o-1/AWSLogs").await, [key]);
        assert!(s3.keys("data", "").await.is_empty());
    }

    #[tokio::test]
    async fn a_wrong_signature_is_refused() {
        let s3 = S3::start(&["logs"]).await;
        s3.put("logs", "x", "1").await;
        let forged = AmazonS3Builder::new()
            .with_endpoint(s3.url())
            .with_allow_http(true)
            .with_bucket_name("logs")
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key("another")
            .build()
            .expect("complete settings");
        let refused = forged.get(&Path::from("x")).await.expect_err("signed with another secret");
        assert!(refused.to_string().contains("SignatureDoesNotMatch"), "{refused}");
    }

    #[tokio::test]
    async fn a_session_token_is_taken_and_writes_can_be_conditional() {
        let s3 = S3::start(&["data"]).await;
        let store = AmazonS3Builder::new()
            .with_endpoint(s3.url())
            .with_allow_http(true)
            .with_bucket_name("data")
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .with_token("a-session-token")
            .build()
            .expect("complete settings");
        let key = Path::from("x");
        let create = || store.put_opts(&key, "1".into(), PutMode::Create.into());
        create().await.expect("there was none");
        assert!(matches!(create().await, Err(object_store::Error::AlreadyExists { .. })));
    }
}
