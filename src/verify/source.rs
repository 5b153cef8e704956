//! Where log files and digests lie: a bucket, or a folder that is a copy of one.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use cloud::stores::{Place, Stores};
use futures::TryStreamExt;
use object_store::ObjectStore;
use trail::digest::{Digest, DigestName, Metadata};
use trail::log_file::{Inflater, Limits};

/// How many digests are asked where a folder's files come from.
const ASKED: usize = 64;

/// A bucket or a folder.
pub(super) struct Source {
    name: String,
    place: Where,
    /// The bucket that it is, or is a copy of.
    pub(super) bucket: String,
    /// What the keys begin with that the files' paths leave out.
    base: String,
}

enum Where {
    Folder(PathBuf),
    Bucket(Place),
}

/// An object that was read.
pub(super) struct Object {
    /// As it lies there.
    pub(super) bytes: Bytes,
    /// Its user metadata; none where a copy has lost it.
    pub(super) metadata: Option<Metadata>,
}

impl Source {
    /// Opens what a path or URL names.
    pub(super) async fn open(name: &str) -> anyhow::Result<Self> {
        let open =
            |place, bucket: &str| Self { name: name.to_owned(), place, bucket: bucket.to_owned(), base: String::new() };
        if let Some(rest) = name.strip_prefix("s3://") {
            let stores = Stores::new(cloud::deployment::sdk_config().await);
            return Ok(open(Where::Bucket(stores.open(name)?), rest.split('/').next().unwrap_or_default()));
        }
        let path = Path::new(name);
        if !path.metadata().with_context(|| name.to_owned())?.is_dir() {
            bail!(
                "{name} is no folder\nhint: a chain of digests is verified as a whole; name the folder that it lies in"
            );
        }
        let mut source = open(Where::Folder(path.to_owned()), "");
        (source.bucket, source.base) = source.origin(&source.files()?);
        Ok(source)
    }

    /// What was named.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// All keys.
    pub(super) async fn list(&self) -> anyhow::Result<Vec<String>> {
        match &self.place {
            Where::Folder(_) => Ok(self.files()?.iter().map(|path| format!("{}{path}", self.base)).collect()),
            Where::Bucket(place) => {
                let keys = place.store.list(Some(&place.prefix)).map_ok(|object| object.location.to_string());
                keys.try_collect().await.with_context(|| self.name.clone())
            }
        }
    }

    /// Reads an object, a digest with its metadata. `None`: there is none.
    pub(super) async fn read(&self, key: &str) -> Result<Option<Object>, String> {
        match &self.place {
            Where::Bucket(place) => {
                let found = place.fetch(key).await.map_err(|error| error.to_string())?;
                Ok(found.map(|(bytes, pairs)| {
                    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    Object { bytes, metadata: Some(Metadata::of(pairs)) }
                }))
            }
            Where::Folder(folder) => match key.strip_prefix(&self.base) {
                // What a digest names is foreign text: nothing outside the folder is read.
                Some(path) if !path.split('/').any(|part| part == "..") && !path.starts_with('/') => {
                    from_folder(folder, path)
                }
                _ => Ok(None),
            },
        }
    }

    /// The files below a folder, as keys are written.
    fn files(&self) -> anyhow::Result<Vec<String>> {
        let Where::Folder(folder) = &self.place else { return Ok(Vec::new()) };
        let found = crate::input::find(std::slice::from_ref(folder)).map(|inputs| inputs.files).unwrap_or_default();
        let relative = |path: &PathBuf| Some(path.strip_prefix(folder).ok()?.to_string_lossy().replace('\\', "/"));
        Ok(found.iter().filter_map(relative).collect())
    }

    /// The bucket and the keys' beginning that most digests name: a folder does not say.
    fn origin(&self, files: &[String]) -> (String, String) {
        let Where::Folder(folder) = &self.place else { return Default::default() };
        let digests: Vec<&String> = files.iter().filter(|path| DigestName::parse(path).is_some()).collect();
        let step = (digests.len() / ASKED).max(1);
        let mut inflater = Inflater::new(Limits::default());
        let mut votes: HashMap<(String, String), usize> = HashMap::new();
        for path in digests.iter().step_by(step) {
            let Ok(Some(object)) = from_folder(folder, path) else { continue };
            let Ok(digest) = Digest::parse(&inflater.inflate(&object.bytes).bytes) else { continue };
            if let Some(base) = digest.object.strip_suffix(path.as_str()) {
                *votes.entry((digest.bucket.clone(), base.to_owned())).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by(|(a, m), (b, n)| m.cmp(n).then_with(|| b.cmp(a)));
        most.map(|(origin, _)| origin).unwrap_or_default()
    }
}

fn from_folder(folder: &Path, path: &str) -> Result<Option<Object>, String> {
    let Some(bytes) = read_file(&folder.join(path))? else { return Ok(None) };
    let metadata = match read_file(&folder.join(format!("{path}.metadata.json")))? {
        None => None,
        Some(text) => Some(Metadata::from_json(&text).map_err(|error| format!("{path}.metadata.json: {error}"))?),
    };
    Ok(Some(Object { bytes, metadata }))
}

fn read_file(path: &Path) -> Result<Option<Bytes>, String> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
