//! Absorbing: a part of a day is written anew, with the hot rows that it does not hold yet.
//!
//! ```text
//! part' = sort and deduplicate (part + hot rows not yet absorbed)
//! ```
//!
//! One put makes the difference: before it the old part stands, after it the new one, which names the hot files that it
//! has absorbed. Whoever reads lists `hot/` first and the parts after it: a record is then in one of the two.

use std::collections::BTreeSet;
use std::path::PathBuf;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use trail::facts::Facts;

use crate::error::Error;
use crate::footer::{Footer, check_version};
use crate::layout::{Day, Lake, Part};
use crate::merge::{Merge, Source, Tally};
use crate::order::Keys;
use crate::part::{PartRows, PartWriter};
use crate::rows::{Columns, conform};
use crate::runs::Sorter;
use crate::upload::{Expected, Upload};

/// Hot files that are fetched side by side.
const FETCHES: usize = 8;

/// Bytes of JSON that are taken up before they are handed to the sorter.
const WAITING: usize = 16 << 20;

/// What absorbing may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of rows that are sorted in memory; beyond it sorted runs go to `scratch`.
    pub memory: usize,
    /// A folder for sorted runs. They have no names there and go with the process.
    pub scratch: PathBuf,
    /// Hot files a run; the rest stays pending.
    pub files: usize,
    /// Whether to compress as far as pays, for days that are over. Today's parts are written again soon.
    pub dense: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 64 << 20, scratch: std::env::temp_dir(), files: 10_000, dense: true }
    }
}

/// What absorbing came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// Whether the part was written anew. It is not where there was nothing to absorb.
    pub written: bool,
    /// How many records the part holds now.
    pub rows: u64,
    /// How large it is now, in bytes.
    pub bytes: u64,
    /// How many hot files it took up.
    pub hot: usize,
    /// Copies that were left out.
    pub duplicates: u64,
    /// How many times two different bodies met under one identity. All of them are kept.
    pub conflicts: u64,
    /// The first of these identities: account and id.
    pub conflicting: Vec<(String, String)>,
    /// Hot files that could not be used: object and reason. They count as not absorbed.
    pub skipped: Vec<(String, String)>,
}

impl Lake {
    /// Takes up the hot rows of a part that it does not hold yet. One at a time for a part: see [`Lake::pending`].
    pub async fn absorb(&self, day: Day, part: Part, limits: &Limits) -> Result<Absorbed, Error> {
        let hot = self.hot_files(day).await?;
        let path = self.part(day, part);
        let footer = Footer::read(&*self.store, &path).await.map_err(|error| error.of_part(day))?;
        let known = footer.as_ref().map(Footer::absorbed).unwrap_or_default();
        let names: BTreeSet<&str> = hot.iter().map(|file| stem(&file.location)).collect();
        let fresh: Vec<&ObjectMeta> =
            hot.iter().filter(|file| !known.contains(stem(&file.location))).take(limits.files).collect();
        if fresh.is_empty() {
            return Ok(Absorbed::default());
        }
        let of = self.cut(day, part.of).await?;
        if of != part.of {
            return Err(Error::Cut { day, of, asked: part.of });
        }
        let mut taken = Taken::new(Sorter::new(limits.scratch.clone(), limits.memory), limits.dense);
        taken.files(self, &fresh, part).await?;
        if taken.names.is_empty() {
            return Ok(Absorbed { skipped: taken.skipped, ..Absorbed::default() });
        }
        // What no longer lies in `hot/` can no longer be taken up twice.
        taken.names.extend(known.into_iter().filter(|name| names.contains(name.as_str())));
        let hot = fresh.len() - taken.skipped.len();
        let absorbed = self.write_part(day, part, footer, taken).await?;
        Ok(Absorbed { hot, ..absorbed })
    }

    async fn write_part(&self, day: Day, part: Part, old: Option<Footer>, taken: Taken) -> Result<Absorbed, Error> {
        let path = self.part(day, part);
        let expected = match &old {
            Some(footer) => Expected::Version(footer.etag.clone()),
            None => Expected::Nothing,
        };
        let mut sources = Vec::new();
        if let Some(footer) = old {
            sources.push(Source::Part(PartRows::new(&*self.store, path, footer, day)?));
        }
        self.merge_part(day, part, expected, (sources, taken)).await
    }

    async fn merge_part(
        &self,
        day: Day,
        part: Part,
        expected: Expected,
        (mut sources, taken): (Vec<Source<'_>>, Taken),
    ) -> Result<Absorbed, Error> {
        let old = sources.len();
        sources.extend(taken.sorter.finish()?);
        let upload = Upload::new(&*self.store, self.part(day, part), expected);
        let mut writer = PartWriter::new(upload, taken.dense)?;
        let Tally { rows, duplicates, conflicts, conflicting } = Merge::new(sources, old).into(&mut writer).await?;
        let bytes = self.after_part(day, part, writer.finish(&taken.names).await?).await;
        let skipped = taken.skipped;
        Ok(Absorbed { written: true, rows, bytes, hot: taken.names.len(), duplicates, conflicts, conflicting, skipped })
    }

    /// Makes a day anew from raw records, in place of the parts that it has.
    pub async fn remake(&self, day: Day, parts: u32, limits: &Limits) -> Result<Remake<'_>, Error> {
        let of = self.cut(day, parts).await.or_else(|error| match error {
            Error::Part { .. } => Ok(parts),
            error => Err(error),
        })?;
        let share = (limits.memory / of.max(1) as usize).max(1 << 20);
        let sorters = (0..of).map(|_| Sorter::new(limits.scratch.clone(), share)).collect();
        Ok(Remake { lake: self, day, dense: limits.dense, sorters, waiting: Columns::new(), bytes: 0 })
    }

    /// The hot files of a day.
    pub(crate) async fn hot_files(&self, day: Day) -> Result<Vec<ObjectMeta>, Error> {
        let prefix = self.hot(Some(day));
        let mut files: Vec<ObjectMeta> =
            self.store.list(Some(&prefix)).try_collect().await.map_err(|error| Error::store(&prefix, error))?;
        files.retain(|file| file.location.extension() == Some("parquet"));
        files.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(files)
    }

    /// Into how many parts a day is cut: what was first said of it stays.
    async fn cut(&self, day: Day, wanted: u32) -> Result<u32, Error> {
        let parts = self.parts_of(day).await?;
        if let Some(first) = parts.first() {
            if parts.iter().all(|part| part.of == first.of) {
                return Ok(first.of);
            }
            let why = "the day has parts of two different cuts";
            return Err(Error::file(self.records(Some(day)), why).of_part(day));
        }
        let path = self.cut_file(day);
        let said = PutPayload::from(Bytes::from(wanted.to_string()));
        match self.store.put_opts(&path, said, PutOptions::from(PutMode::Create)).await {
            Err(object_store::Error::AlreadyExists { .. }) => Ok(self.said_cut(day).await?.unwrap_or(wanted)),
            put => put.map(|_| wanted).map_err(|error| Error::store(&path, error)),
        }
    }

    /// Into how many parts a day that has none yet is to be cut, where that was said.
    pub(crate) async fn said_cut(&self, day: Day) -> Result<Option<u32>, Error> {
        let path = self.cut_file(day);
        let found = match self.store.get(&path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| Error::store(&path, error))?,
        };
        let bytes = found.bytes().await.map_err(|error| Error::store(&path, error))?;
        let count = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).filter(|count| *count > 0);
        count.map(Some).ok_or_else(|| Error::file(path, "it says no number of parts: delete it"))
    }

    /// The parts that a day has.
    pub(crate) async fn parts_of(&self, day: Day) -> Result<Vec<Part>, Error> {
        let prefix = self.records(Some(day));
        let found: Vec<ObjectMeta> =
            self.store.list(Some(&prefix)).try_collect().await.map_err(|error| Error::store(&prefix, error))?;
        Ok(found.iter().filter_map(|meta| Part::parse(meta.location.filename()?)).collect())
    }

    async fn fetch(&self, file: &ObjectMeta) -> Result<Bytes, Error> {
        let failed = |error| Error::store(&file.location, error);
        self.store.get(&file.location).await.map_err(failed)?.bytes().await.map_err(failed)
    }
}

/// Hot rows that were taken up, and from where.
struct Taken {
    sorter: Sorter,
    dense: bool,
    names: BTreeSet<String>,
    skipped: Vec<(String, String)>,
}

impl Taken {
    fn new(sorter: Sorter, dense: bool) -> Self {
        Self { sorter, dense, names: BTreeSet::new(), skipped: Vec::new() }
    }

    /// Takes up a part's rows of hot files. A file that cannot be used costs nothing but its own rows.
    async fn files(&mut self, lake: &Lake, files: &[&ObjectMeta], part: Part) -> Result<(), Error> {
        let fetches = files.iter().map(|file| async move { (*file, lake.fetch(file).await) });
        let mut fetches = stream::iter(fetches).buffered(FETCHES);
        while let Some((file, bytes)) = fetches.next().await {
            match decode(&file.location, bytes?, part) {
                Ok(batches) => {
                    for batch in batches {
                        self.sorter.push(batch).await?;
                    }
                    self.names.insert(stem(&file.location).to_owned());
                }
                Err(error) => self.skipped.push((file.location.to_string(), error.to_string())),
            }
        }
        Ok(())
    }
}

/// A part's rows of a hot file; all of them or none.
fn decode(path: &Path, bytes: Bytes, part: Part) -> Result<Vec<RecordBatch>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::file(path, error);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| failed(&error))?;
    check_version(path, builder.metadata().file_metadata().key_value_metadata())?;
    let reader = builder.with_batch_size(1024).build().map_err(|error| failed(&error))?;
    let batches = reader.map(|batch| {
        let batch = conform(&batch.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
        of_part(batch, part).map_err(|error| failed(&error))
    });
    batches.collect()
}

/// The rows that belong to a part.
fn of_part(batch: RecordBatch, part: Part) -> Result<RecordBatch, &'static str> {
    let keys = Keys::of(&batch).ok_or("its columns are not those of the lake")?;
    if part.of == 1 {
        return Ok(batch);
    }
    let actors = (0..keys.len()).map(|row| keys.actor(row));
    let mine: BooleanArray = actors.map(|actor| Some(Part::of_actor(actor, part.of) == part)).collect();
    filter_record_batch(&batch, &mine).map_err(|_| "its rows cannot be told apart")
}

/// The name of a hot file, as parts list it.
pub(crate) fn stem(path: &Path) -> &str {
    let name = path.filename().unwrap_or_default();
    name.strip_suffix(".parquet").unwrap_or(name)
}

/// A day that is made anew from raw records. Until it is finished nothing changes; each part changes at once.
#[derive(Debug)]
pub struct Remake<'l> {
    lake: &'l Lake,
    day: Day,
    dense: bool,
    sorters: Vec<Sorter>,
    waiting: Columns,
    bytes: usize,
}

impl Remake<'_> {
    /// Takes up a record; `false` where it belongs to another day.
    pub async fn push(&mut self, facts: &Facts<'_>) -> Result<bool, Error> {
        if Day::of(facts.event_time) != self.day {
            return Ok(false);
        }
        self.waiting.push(facts);
        self.bytes += facts.json.len();
        if self.bytes >= WAITING {
            self.sort().await?;
        }
        Ok(true)
    }

    /// Writes the day: what was pushed, and what lies in `hot/`. One answer a part.
    pub async fn finish(mut self) -> Result<Vec<Absorbed>, Error> {
        self.sort().await?;
        let Self { lake, day, dense, sorters, .. } = self;
        let hot = lake.hot_files(day).await?;
        let hot: Vec<&ObjectMeta> = hot.iter().collect();
        let of = u32::try_from(sorters.len()).unwrap_or(u32::MAX);
        let mut answers = Vec::new();
        for (index, sorter) in (0..).zip(sorters) {
            let part = Part { index, of };
            let mut taken = Taken::new(sorter, dense);
            taken.files(lake, &hot, part).await?;
            answers.push(lake.merge_part(day, part, Expected::Anything, (Vec::new(), taken)).await?);
        }
        // Parts of another cut hold what the new ones hold.
        for stale in lake.parts_of(day).await?.into_iter().filter(|part| part.of != of) {
            let path = lake.part(day, stale);
            lake.store.delete(&path).await.map_err(|error| Error::store(&path, error))?;
        }
        Ok(answers)
    }

    async fn sort(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        let batch = std::mem::replace(&mut self.waiting, Columns::new()).finish();
        let of = u32::try_from(self.sorters.len()).unwrap_or(u32::MAX);
        for (index, sorter) in (0..).zip(&mut self.sorters) {
            let mine = of_part(batch.clone(), Part { index, of }).map_err(|why| Error::file("rows in memory", why))?;
            sorter.push(mine).await?;
        }
        Ok(())
    }
}
