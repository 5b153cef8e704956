//! What a file says of itself: its version, its columns and row groups, and what it absorbed.

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectMeta;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::cache::{Weighs, version};
use super::source::{Source, Trouble};
use crate::columns::{ALL, Column, VERSION, VERSION_KEY};
use crate::encode::ABSORBED_KEY;
use crate::error::Error;

/// A file's footer.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(super) metadata: ParquetMetaData,
    /// Names of absorbed hot files, sorted.
    pub(super) absorbed: Vec<String>,
    /// The leaf of each column, as far as the file has it.
    leaves: [Option<usize>; ALL.len()],
}

impl Footer {
    /// Reads the last bytes of a file of `size` bytes.
    fn parse(tail: &Bytes, object: &ObjectMeta) -> Result<Self, Unread> {
        let mut reader = ParquetMetaDataReader::new()
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        match reader.try_parse_sized(tail, object.size) {
            Err(ParquetError::NeedMoreData(bytes)) => return Err(Unread::Short(bytes as u64)),
            parsed => parsed.map_err(|error| Unread::bad(object, &error))?,
        }
        Self::of(reader.finish().map_err(|error| Unread::bad(object, &error))?, object)
    }

    /// The footer of a whole file.
    pub(super) fn of_whole(bytes: &Bytes, object: &ObjectMeta) -> Result<Self, Error> {
        let read = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip).parse_and_finish(bytes);
        let metadata = read.map_err(|error| damaged(object, &error))?;
        Self::of(metadata, object).map_err(|unread| match unread {
            Unread::Bad(error) => error,
            Unread::Short(_) => damaged(object, &"it ends too early"),
        })
    }

    fn of(metadata: ParquetMetaData, object: &ObjectMeta) -> Result<Self, Unread> {
        let entries = metadata.file_metadata().key_value_metadata();
        let value = |key: &str| entries?.iter().find(|entry| entry.key == key)?.value.clone();
        match value(VERSION_KEY).map(|version| version.parse::<u32>()) {
            Some(Ok(version)) if version <= VERSION => {}
            Some(Ok(version)) => {
                let object = object.location.to_string();
                return Err(Unread::Bad(Error::LaterSchema { object, version, known: VERSION }));
            }
            _ => return Err(Unread::Bad(Error::file(&object.location, "it is no file of the lake"))),
        }
        let names = value(ABSORBED_KEY).unwrap_or_default();
        let mut absorbed: Vec<String> = names.split(',').map(str::to_owned).collect();
        absorbed.sort();
        let leaves = leaves(&metadata);
        if ALL.iter().zip(leaves).any(|(column, leaf)| column.is_required() && leaf.is_none()) {
            return Err(Unread::Bad(Error::file(&object.location, "it lacks the columns of the lake")));
        }
        Ok(Self { metadata, absorbed, leaves })
    }

    /// The leaf of a column, where the file has it.
    pub(super) fn leaf(&self, column: Column) -> Option<usize> {
        self.leaves[column as usize]
    }

    /// Rows of a row group.
    pub(super) fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0)
    }
}

impl Weighs for Footer {
    fn bytes(&self) -> usize {
        self.metadata.memory_size() + self.absorbed.iter().map(|name| name.len() + 24).sum::<usize>()
    }
}

/// A footer that could not be made of the bytes there were.
enum Unread {
    Short(u64),
    Bad(Error),
}

impl Unread {
    fn bad(object: &ObjectMeta, why: &dyn std::fmt::Display) -> Self {
        Self::Bad(damaged(object, why))
    }
}

fn damaged(object: &ObjectMeta, why: &dyn std::fmt::Display) -> Error {
    Error::file(&object.location, format!("it is damaged or no Parquet file: {why}"))
}

fn leaves(metadata: &ParquetMetaData) -> [Option<usize>; ALL.len()] {
    let schema = metadata.file_metadata().schema_descr();
    let mut leaves = [None; ALL.len()];
    for leaf in 0..schema.num_columns() {
        let root = schema.get_column_root(leaf).name();
        if let Some(column) = ALL.iter().find(|column| column.name() == root) {
            leaves[*column as usize] = Some(leaf);
        }
    }
    leaves
}

/// The footer of a part.
pub(super) async fn open(source: &Source, object: &ObjectMeta) -> Result<Arc<Footer>, Trouble> {
    let name = version(object);
    source.opened();
    if let Some(footer) = source.shelves.footers.get(&name) {
        return Ok(footer);
    }
    // A range of an empty file is a failure of the store, as stores see it.
    if object.size == 0 {
        return Err(Trouble::File(damaged(object, &"it is empty")));
    }
    let mut wanted: u64 = if source.is_remote { 256 << 10 } else { 64 << 10 };
    loop {
        let tail = source.get(object, Some(object.size.saturating_sub(wanted)..object.size)).await?;
        match Footer::parse(&tail, object) {
            Ok(footer) => {
                let footer = Arc::new(footer);
                source.shelves.footers.keep(name, &footer);
                return Ok(footer);
            }
            Err(Unread::Short(bytes)) if bytes > wanted => wanted = bytes,
            Err(Unread::Short(_)) => return Err(Trouble::File(damaged(object, &"it ends too early"))),
            Err(Unread::Bad(error)) => return Err(Trouble::File(error)),
        }
    }
}
