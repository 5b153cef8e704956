//! A part: read in its order, row group by row group, and written.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::Range;

use arrow_array::RecordBatch;
use bytes::{Buf, Bytes};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use crate::encode::{ABSORBED_KEY, GROUP_ROWS, Purpose, writer};
use crate::error::Error;
use crate::footer::{Footer, ranged};
use crate::keys;
use crate::layout::{Day, Lake, Part};
use crate::merge::Sink;
use crate::rows::conform;
use crate::upload::Upload;

/// Encoded bytes after which a row group ends, however few rows it has.
const GROUP_BYTES: usize = 64 << 20;

/// Bytes of rows that are decoded at a time.
const DECODED: i64 = 4 << 20;

/// The rows of a part, in order, a row group in memory at a time.
#[derive(Debug)]
pub(crate) struct PartRows<'l> {
    store: &'l dyn ObjectStore,
    path: Path,
    footer: Footer,
    day: Day,
    metadata: ArrowReaderMetadata,
    group: usize,
    rows: Option<ParquetRecordBatchReader>,
}

impl<'l> PartRows<'l> {
    pub(crate) fn new(store: &'l dyn ObjectStore, path: Path, footer: Footer, day: Day) -> Result<Self, Error> {
        let metadata = ArrowReaderMetadata::try_new(footer.metadata.clone(), ArrowReaderOptions::new())
            .map_err(|error| Error::file(&path, error).of_part(day))?;
        Ok(Self { store, path, footer, day, metadata, group: 0, rows: None })
    }

    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            if let Some(batch) = self.rows.as_mut().and_then(Iterator::next) {
                let batch = batch.map_err(|error| self.damaged(error))?;
                return conform(&batch).map(Some).map_err(|why| self.damaged(why));
            }
            if self.group == self.footer.metadata.num_row_groups() {
                return Ok(None);
            }
            self.rows = Some(self.open(self.group).await?);
            self.group += 1;
        }
    }

    async fn open(&self, group: usize) -> Result<ParquetRecordBatchReader, Error> {
        let about = self.footer.metadata.row_group(group);
        let Some(range) = extent(about) else { return Err(self.damaged("a row group lies nowhere")) };
        let bytes = ranged(self.store, &self.path, self.footer.etag.clone(), range.clone()).await?;
        let row_bytes = about.total_byte_size() / about.num_rows().max(1);
        let rows = usize::try_from((DECODED / row_bytes.max(1)).clamp(16, 4096)).unwrap_or(16);
        ParquetRecordBatchReaderBuilder::new_with_metadata(Window { start: range.start, bytes }, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(rows)
            .build()
            .map_err(|error| self.damaged(error))
    }

    fn damaged(&self, why: impl ToString) -> Error {
        Error::file(&self.path, why).of_part(self.day)
    }
}

/// Where a row group's bytes lie.
fn extent(group: &RowGroupMetaData) -> Option<Range<u64>> {
    let ranges = || group.columns().iter().map(parquet::file::metadata::ColumnChunkMetaData::byte_range);
    let start = ranges().map(|(start, _)| start).min()?;
    let end = ranges().filter_map(|(start, length)| start.checked_add(length)).max()?;
    (start < end).then_some(start..end)
}

/// A stretch of an object.
#[derive(Debug)]
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Window {
    fn after(&self, start: u64) -> parquet::errors::Result<Bytes> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at <= self.bytes.len());
        at.map(|at| self.bytes.slice(at..)).ok_or_else(|| ParquetError::EOF("outside of its row group".to_owned()))
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Window {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(Box::new(self.after(start)?.reader()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.after(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF("beyond its row group".to_owned()));
        }
        Ok(bytes.slice(..length))
    }
}

/// A part that is being written.
pub(crate) struct PartWriter<'l> {
    writer: ArrowWriter<Vec<u8>>,
    upload: Upload<'l>,
    keys: keys::Builder,
    group: usize,
}

impl<'l> PartWriter<'l> {
    pub(crate) fn new(upload: Upload<'l>, dense: bool) -> Result<Self, Error> {
        let writer = writer(Purpose::Part { dense }, Vec::new())?;
        Ok(Self { writer, upload, keys: keys::Builder::default(), group: 0 })
    }

    /// Puts the part in place, with the hot files that it has absorbed.
    pub(crate) async fn finish(mut self, absorbed: &BTreeSet<String>) -> Result<Finished, Error> {
        let names = absorbed.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        self.writer.append_key_value_metadata(KeyValue::new(ABSORBED_KEY.to_owned(), names));
        let mut end = self.writer.into_inner().map_err(|error| Error::file("a new part", error))?;
        self.upload.take(&mut end).await?;
        Ok(Finished { bytes: self.upload.finish().await?, keys: self.keys })
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let failed = |error| Error::file("a new part", error);
        self.writer.write(rows).map_err(failed)?;
        self.keys.batch(self.group, rows);
        if self.writer.in_progress_rows() >= GROUP_ROWS || self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush().map_err(failed)?;
            self.group += 1;
        }
        Ok(())
    }
}

impl Sink for PartWriter<'_> {
    async fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut at = 0;
        while at < batch.num_rows() {
            let rows = (GROUP_ROWS - self.writer.in_progress_rows()).min(batch.num_rows() - at);
            self.write(&batch.slice(at, rows))?;
            at += rows;
        }
        self.upload.take(self.writer.inner_mut()).await
    }
}

/// A part that stands.
pub(crate) struct Finished {
    bytes: u64,
    keys: keys::Builder,
}

impl Lake {
    /// Writes the key file of a part that has just been written. It is disposable: what goes wrong here costs readers
    /// some time and is no error. Yields the part's size.
    pub(crate) async fn after_part(&self, day: Day, part: Part, finished: Finished) -> u64 {
        let Finished { bytes, keys } = finished;
        let written = async {
            let of = self.store.head(&self.part(day, part)).await?;
            let file = keys.finish(keys::identity(of.size, of.e_tag.as_deref()));
            self.store.put(&self.keys(day, part), file.into()).await
        };
        if let Err(error) = written.await {
            tracing::warn!(%day, %part, %error, "no key file: searching this part takes longer");
        }
        bytes
    }
}
