//! Bytes of the store: counted, in as few requests as pay, and of one version of each object.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use futures::TryStreamExt;
use futures::future::try_join_all;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tokio::sync::Semaphore;

use super::cache::Shelves;
use crate::answer::Read;
use crate::error::Error;

/// Why reading of a day stopped.
#[derive(Debug)]
pub(super) enum Trouble {
    /// An object is no longer what was listed: the day has to be listed again.
    Changed,
    /// One file cannot be used; the others can.
    File(Error),
    /// Nothing can be said.
    Failed(Error),
}

impl Trouble {
    /// What is said where listing again is no way out.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Changed => Error::file("the lake", "it changes faster than it can be read: ask again"),
            Self::File(error) | Self::Failed(error) => error,
        }
    }
}

/// A store and what one query takes from it.
#[derive(Debug)]
pub(super) struct Source {
    store: Arc<dyn ObjectStore>,
    /// What is known of files from earlier queries.
    pub(super) shelves: Arc<Shelves>,
    /// Whether a request takes much longer than reading what it brings. A matter of cost alone.
    pub(super) is_remote: bool,
    budget: u64,
    requests: AtomicUsize,
    bytes: AtomicU64,
    files: AtomicUsize,
    is_cut: AtomicBool,
    skipped: Mutex<Vec<(String, String)>>,
    /// Requests at a time.
    gate: Semaphore,
    /// Row groups under way at a time, over all days: what they hold of their files is memory.
    pub(super) lanes: Semaphore,
    /// Decoding at a time: as many as there are processors.
    bench: Arc<Semaphore>,
}

impl Source {
    pub(super) fn new(store: Arc<dyn ObjectStore>, shelves: Arc<Shelves>, budget: u64) -> Self {
        let is_remote = !store.to_string().contains("LocalFileSystem");
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            is_remote,
            store,
            shelves,
            budget,
            requests: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            files: AtomicUsize::new(0),
            is_cut: AtomicBool::new(false),
            skipped: Mutex::default(),
            gate: Semaphore::new(if is_remote { 64 } else { 16 }),
            lanes: Semaphore::new(if is_remote { 32 } else { 3 }),
            bench: Arc::new(Semaphore::new(processors)),
        }
    }

    /// What it took.
    pub(super) fn read(&self) -> Read {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner).clone();
        skipped.sort();
        skipped.dedup();
        Read {
            files: self.files.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            skipped,
            cut: self.is_cut.load(Ordering::Relaxed),
        }
    }

    /// A file was opened.
    pub(super) fn opened(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// A file cannot be used.
    pub(super) fn skip(&self, path: &Path, error: &Error) {
        let (path, said) = (path.to_string(), error.to_string());
        // Most errors begin with the object, which stands beside them here.
        let why = said.strip_prefix(&path).map_or(said.as_str(), |rest| rest.trim_start_matches([':', ' '])).to_owned();
        let entry = (path, why);
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// Whether the budget is used up; whoever asks leaves out what he was about to read.
    pub(super) fn is_spent(&self) -> bool {
        let is_spent = self.bytes.load(Ordering::Relaxed) >= self.budget;
        if is_spent {
            self.is_cut.store(true, Ordering::Relaxed);
        }
        is_spent
    }

    /// The objects below a prefix.
    pub(super) async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, Trouble> {
        let _turn = self.gate.acquire().await;
        let found: Result<Vec<ObjectMeta>, _> = self.store.list(Some(prefix)).try_collect().await;
        let found = found.map_err(|error| Trouble::Failed(Error::store(prefix, error)))?;
        self.requests.fetch_add(1 + found.len() / 1000, Ordering::Relaxed);
        Ok(found)
    }

    /// The folders below a prefix.
    pub(super) async fn folders(&self, prefix: &Path) -> Result<Vec<Path>, Trouble> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let found = self.store.list_with_delimiter(Some(prefix)).await;
        Ok(found.map_err(|error| Trouble::Failed(Error::store(prefix, error)))?.common_prefixes)
    }

    /// An object, or a part of it, if it still is the one that was listed.
    pub(super) async fn get(&self, object: &ObjectMeta, range: Option<Range<u64>>) -> Result<Bytes, Trouble> {
        let options =
            GetOptions { if_match: object.e_tag.clone(), range: range.map(GetRange::Bounded), ..GetOptions::default() };
        self.take(&object.location, options).await
    }

    /// The beginning of an object of which nothing is known; none where there is no such object.
    pub(super) async fn head(&self, path: &Path, bytes: u64) -> Result<Option<(Bytes, ObjectMeta)>, Trouble> {
        let _turn = self.gate.acquire().await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let options = GetOptions { range: Some(GetRange::Bounded(0..bytes)), ..GetOptions::default() };
        let failed = |error| Trouble::Failed(Error::store(path, error));
        let found = match self.store.get_opts(path, options).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(failed)?,
        };
        let meta = found.meta.clone();
        let bytes = found.bytes().await.map_err(failed)?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(Some((bytes, meta)))
    }

    async fn take(&self, path: &Path, options: GetOptions) -> Result<Bytes, Trouble> {
        let _turn = self.gate.acquire().await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let trouble = |error| match error {
            object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. } => Trouble::Changed,
            error => Trouble::Failed(Error::store(path, error)),
        };
        let bytes = self.store.get_opts(path, options).await.map_err(trouble)?.bytes().await.map_err(trouble)?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// Ranges of an object, those near each other in one request.
    pub(super) async fn ranges(&self, object: &ObjectMeta, ranges: Vec<Range<u64>>) -> Result<Pieces, Trouble> {
        let gap = if self.is_remote { 1 << 20 } else { 16 << 10 };
        let joined = join(ranges, gap);
        let fetches = joined
            .into_iter()
            .map(|range| async move { Ok::<_, Trouble>((range.start, self.get(object, Some(range)).await?)) });
        Ok(Pieces { length: object.size, pieces: try_join_all(fetches).await? })
    }

    /// Decodes beside the requests. A decoder that gives up on a damaged file does not take the program with it.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce() -> Result<T, ParquetError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let seat = self.bench.clone().acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _seat = seat;
            work()
        });
        let damaged = |why: &dyn std::fmt::Display| Trouble::File(Error::file(path, format!("it is damaged: {why}")));
        match done.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(damaged(&error)),
            Err(error) => Err(damaged(&error)),
        }
    }
}

/// The ranges in order, joined where less than `gap` lies between them.
fn join(mut ranges: Vec<Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Parts of a file that were read.
#[derive(Debug)]
pub(super) struct Pieces {
    length: u64,
    pieces: Vec<(u64, Bytes)>,
}

impl Pieces {
    /// All of a file.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, pieces: vec![(0, bytes)] }
    }

    /// A range that was read.
    pub(super) fn slice(&self, range: &Range<u64>) -> Result<Bytes, ParquetError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.get_bytes(range.start, usize::try_from(range.end - range.start)?)
    }

    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let missing = || ParquetError::EOF(format!("nothing was read at {start}"));
        let after = self.pieces.partition_point(|(at, _)| *at <= start);
        let (at, bytes) = after.checked_sub(1).and_then(|index| self.pieces.get(index)).ok_or_else(missing)?;
        let skip = usize::try_from(start - at).map_err(|_| missing())?;
        if skip > bytes.len() {
            return Err(missing());
        }
        Ok(bytes.slice(skip..))
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not there")));
        }
        Ok(bytes.slice(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_near_each_other_are_one_request() {
        assert_eq!(join(vec![50..60, 0..10, 12..20, 15..18], 2), [0..20, 50..60]);
        assert_eq!(join(vec![], 2), []);
    }

    #[test]
    fn pieces_give_what_was_read_and_nothing_else() {
        let pieces =
            Pieces { length: 100, pieces: vec![(10, Bytes::from_static(b"abc")), (20, Bytes::from_static(b"xyz"))] };
        assert_eq!(pieces.get_bytes(11, 2).unwrap(), "bc");
        assert_eq!(pieces.get_bytes(20, 3).unwrap(), "xyz");
        assert!(pieces.get_bytes(9, 1).is_err());
        assert!(pieces.get_bytes(12, 2).is_err());
    }
}
