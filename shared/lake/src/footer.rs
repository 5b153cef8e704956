//! The end of a part: what it holds, and which hot files it has absorbed.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::columns::{VERSION, VERSION_KEY};
use crate::encode::ABSORBED_KEY;
use crate::error::Error;

/// How much of the end is read at first; it holds the footer of all but the largest parts.
const TAIL: u64 = 256 << 10;

/// A part's footer.
#[derive(Debug, Clone)]
pub(crate) struct Footer {
    pub(crate) metadata: Arc<ParquetMetaData>,
    /// The version of the object that it was read from, to read the rest of the same one.
    pub(crate) etag: Option<String>,
}

impl Footer {
    /// Reads the footer of an object; `None` where there is no such object.
    pub(crate) async fn read(store: &dyn ObjectStore, path: &Path) -> Result<Option<Self>, Error> {
        let tail = GetOptions { range: Some(GetRange::Suffix(TAIL)), ..GetOptions::default() };
        let found = match store.get_opts(path, tail).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| Error::store(path, error))?,
        };
        let (size, etag) = (found.meta.size, found.meta.e_tag.clone());
        let mut bytes = found.bytes().await.map_err(|error| Error::store(path, error))?;
        loop {
            let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
            match reader.try_parse_sized(&bytes, size) {
                Err(ParquetError::NeedMoreData(wanted)) if (wanted as u64) <= size && wanted > bytes.len() => {
                    let range = size - wanted as u64..size;
                    bytes = ranged(store, path, etag.clone(), range).await?;
                }
                parsed => {
                    let metadata = parsed.and_then(|()| reader.finish()).map_err(|error| Error::file(path, error))?;
                    let metadata = Arc::new(metadata);
                    check_version(path, metadata.file_metadata().key_value_metadata())?;
                    return Ok(Some(Self { metadata, etag }));
                }
            }
        }
    }

    /// How many records the part holds.
    pub(crate) fn rows(&self) -> u64 {
        u64::try_from(self.metadata.file_metadata().num_rows()).unwrap_or(0)
    }

    /// The names of the hot files whose records it holds.
    pub(crate) fn absorbed(&self) -> BTreeSet<String> {
        let pairs = self.metadata.file_metadata().key_value_metadata();
        let names = pairs.and_then(|pairs| value(pairs, ABSORBED_KEY)).unwrap_or_default();
        names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

/// Bytes of the version of an object that `etag` names.
pub(crate) async fn ranged(
    store: &dyn ObjectStore,
    path: &Path,
    etag: Option<String>,
    range: std::ops::Range<u64>,
) -> Result<Bytes, Error> {
    let options = GetOptions { range: Some(GetRange::Bounded(range)), if_match: etag, ..GetOptions::default() };
    let found = store.get_opts(path, options).await.map_err(|error| Error::store(path, error))?;
    found.bytes().await.map_err(|error| Error::store(path, error))
}

/// Whether this program knows the schema of a file, and the file is one of the lake at all.
pub(crate) fn check_version(path: &Path, pairs: Option<&Vec<KeyValue>>) -> Result<(), Error> {
    let version = pairs.and_then(|pairs| value(pairs, VERSION_KEY)).and_then(|version| version.parse::<u32>().ok());
    match version {
        None => Err(Error::file(path, "it is no file of a lake: it has no schema version")),
        Some(version) if version > VERSION => {
            Err(Error::LaterSchema { object: path.to_string(), version, known: VERSION })
        }
        Some(_) => Ok(()),
    }
}

fn value<'p>(pairs: &'p [KeyValue], key: &str) -> Option<&'p str> {
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}
