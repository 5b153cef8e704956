//! What `ingest` writes: the records of a batch of log files, a file for each day.

use std::cmp::Ordering;

use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStoreExt, PutPayload};
use trail::facts::Facts;
use trail::record::{digest, hex};

use crate::encode::{Purpose, writer};
use crate::error::Error;
use crate::layout::{Day, Lake};
use crate::order::{Keys, actor_hash};
use crate::rows::Columns;

/// Bytes of JSON after which a batch is better sealed: it is then about a fifth as large.
pub const FULL: usize = 64 << 20;

/// Rows that are put in order at a time: few enough to stay in the processor's cache.
const SLICE: usize = 1024;

/// Records in columns, on their way into the lake. It owns what it holds.
#[derive(Debug, Default)]
pub struct Hot {
    chunks: Vec<Chunk>,
    json: usize,
}

#[derive(Debug)]
struct Chunk {
    columns: Columns,
    places: Vec<Place>,
    json: usize,
}

/// Where a row belongs.
#[derive(Debug, Clone, Copy)]
struct Place {
    day: Day,
    hash: u64,
    row: usize,
}

/// A batch as files, to be written when its findings stand.
#[derive(Debug, Default)]
pub struct Sealed {
    files: Vec<HotFile>,
}

#[derive(Debug)]
struct HotFile {
    day: Day,
    rows: usize,
    bytes: Bytes,
}

/// A hot file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its day.
    pub day: Day,
    /// Its object.
    pub object: String,
    /// How many records it holds.
    pub rows: usize,
    /// How large it is.
    pub bytes: usize,
}

impl Hot {
    /// Takes up one record.
    pub fn push(&mut self, facts: &Facts<'_>) {
        // A text column of a chunk holds at most 2 GiB.
        if self.chunks.last().is_none_or(|chunk| chunk.json >= 4 * FULL) {
            self.chunks.push(Chunk { columns: Columns::new(), places: Vec::new(), json: 0 });
        }
        if let Some(chunk) = self.chunks.last_mut() {
            let row = chunk.columns.rows();
            let place = Place { day: Day::of(facts.event_time), hash: actor_hash(&facts.actor_name), row };
            chunk.places.push(place);
            chunk.columns.push(facts);
            chunk.json += facts.json.len();
        }
        self.json += facts.json.len();
    }

    /// Takes up what another one holds, for instance that of another log file of the batch.
    pub fn append(&mut self, other: Self) {
        self.json += other.json;
        self.chunks.extend(other.chunks);
    }

    /// Bytes of JSON in it. From [`FULL`] on it should be sealed.
    pub fn bytes(&self) -> usize {
        self.json
    }

    /// How many records it holds.
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.places.len()).sum()
    }

    /// Encodes it, one file for each day. The same records make the same files, in whatever order they came.
    pub fn seal(self) -> Result<Sealed, Error> {
        let mut places: Vec<(usize, Place)> = Vec::with_capacity(self.rows());
        let mut batches = Vec::new();
        for (at, chunk) in self.chunks.into_iter().enumerate() {
            places.extend(chunk.places.into_iter().map(|place| (at, place)));
            batches.push(chunk.columns.finish());
        }
        let keys: Vec<Keys> = batches.iter().filter_map(Keys::of).collect();
        places.sort_unstable_by(|(a, left), (b, right)| {
            let far = left.day.cmp(&right.day).then(left.hash.cmp(&right.hash));
            far.then_with(|| keys[*a].compare(left.row, &keys[*b], right.row))
        });
        let days = places.chunk_by(|(_, left), (_, right)| left.day.cmp(&right.day) == Ordering::Equal);
        let files = days.map(|places| HotFile::encode(&batches, &keys, places)).collect::<Result<_, _>>()?;
        Ok(Sealed { files })
    }
}

impl Sealed {
    /// Takes up more files.
    pub fn append(&mut self, other: Self) {
        self.files.extend(other.files);
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.files.iter().map(|file| file.bytes.len()).sum()
    }

    /// How many records it holds.
    pub fn rows(&self) -> usize {
        self.files.iter().map(|file| file.rows).sum()
    }
}

impl HotFile {
    fn encode(batches: &[RecordBatch], keys: &[Keys], places: &[(usize, Place)]) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::file("a hot file", error);
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let mut file = writer(Purpose::Hot, Vec::new())?;
        let mut rest = places;
        while !rest.is_empty() {
            let (slice, after) = rest.split_at(slice_of(keys, rest));
            let picks: Vec<(usize, usize)> = slice.iter().map(|(chunk, place)| (*chunk, place.row)).collect();
            let batch = interleave_record_batch(&batches, &picks).map_err(|error| failed(&error))?;
            file.write(&batch).map_err(|error| failed(&error))?;
            rest = after;
        }
        let bytes = file.into_inner().map_err(|error| failed(&error))?.into();
        let day = places.first().map_or(Day::of(trail::time::Time(0)), |(_, place)| place.day);
        Ok(Self { day, rows: places.len(), bytes })
    }
}

/// How many rows are put in order next: bounded in rows and in bytes.
fn slice_of(keys: &[Keys], places: &[(usize, Place)]) -> usize {
    let mut bytes = 0;
    let fitting = places.iter().take(SLICE).take_while(|(chunk, place)| {
        let fits = bytes < FULL;
        bytes += keys[*chunk].json_bytes(place.row);
        fits
    });
    fitting.count()
}

impl Lake {
    /// Writes what was sealed. A file is named by what it holds, so that the same batch, delivered again, writes the same.
    pub async fn write_hot(&self, sealed: Sealed) -> Result<Vec<Written>, Error> {
        let puts = sealed.files.into_iter().map(|file| self.put_hot(file));
        stream::iter(puts).buffered(8).try_collect().await
    }

    async fn put_hot(&self, file: HotFile) -> Result<Written, Error> {
        let name = hex(&digest(&file.bytes)[..16]);
        let path = self.hot(Some(file.day)).join(format!("{name}.parquet"));
        let written = Written { day: file.day, object: path.to_string(), rows: file.rows, bytes: file.bytes.len() };
        let put = self.store.put(&path, PutPayload::from(file.bytes)).await;
        put.map_err(|error| Error::store(&path, error))?;
        Ok(written)
    }
}
