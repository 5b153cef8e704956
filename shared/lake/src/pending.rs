//! What is due: from listings, and from the parts' footers where the listings leave it open.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use trail::time::Time;

use crate::absorb::stem;
use crate::error::Error;
use crate::footer::Footer;
use crate::layout::{Day, Lake, Part};

/// Footers that are read side by side.
const FOOTERS: usize = 16;

/// Seconds after which a hot row is absorbed, however few there are.
const HOUR: i64 = 3600;

/// Seconds after which a hot file that is not absorbed is a reason for an alarm.
const LATE: i64 = 6 * HOUR;

/// Bytes of a record in a hot file, about.
const HOT_ROW: u64 = 420;

/// Records of a part, about: what a function can sort and merge in its time.
pub const PART_ROWS: u64 = 8_000_000;

/// A part of a day that has hot rows to take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The day.
    pub day: Day,
    /// The part.
    pub part: Part,
    /// Hot files that it has not absorbed.
    pub files: usize,
    /// About how many of its rows they hold.
    pub rows: u64,
    /// When the oldest of them was written.
    pub oldest: Time,
}

/// Hot files that should have been absorbed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unabsorbed {
    /// How many are older than six hours.
    pub files: usize,
    /// When the oldest of them was written.
    pub oldest: Option<Time>,
}

/// What lies in the store of one day.
#[derive(Debug, Default)]
struct Listed {
    hot: Vec<ObjectMeta>,
    parts: Vec<Part>,
}

/// A part, and the hot files that it has not absorbed.
#[derive(Debug)]
struct Open {
    day: Day,
    part: Part,
    rows: u64,
    hot: Vec<ObjectMeta>,
}

impl Lake {
    /// The parts that are due: a tenth of their rows is hot, or some hot row is older than an hour. `daily` is how many
    /// records a day has, about: a new day is cut by it. `since` leaves older days out: `hot/` keeps 45 days, and listing them all costs.
    pub async fn pending(&self, now: Time, daily: u64, since: Option<Day>) -> Result<Vec<Unit>, Error> {
        let open = self.open(daily, since).await?;
        let units = open.into_iter().filter_map(|open| Some((open.unit()?, open.rows)));
        let due = units.filter(|(unit, rows)| {
            now.0.saturating_sub(unit.oldest.0) >= HOUR || unit.rows.saturating_mul(10) >= *rows
        });
        Ok(due.map(|(unit, _)| unit).collect())
    }

    /// The hot files that no run took up for six hours: damaged ones, or nobody absorbs.
    pub async fn unabsorbed(&self, now: Time, since: Option<Day>) -> Result<Unabsorbed, Error> {
        let open = self.open(1, since).await?;
        let late = open.iter().flat_map(|open| &open.hot).filter(|file| now.0 - written(file).0 >= LATE);
        let late: BTreeMap<&str, Time> = late.map(|file| (file.location.as_ref(), written(file))).collect();
        Ok(Unabsorbed { files: late.len(), oldest: late.values().min().copied() })
    }

    /// Deletes the hot files that all parts of their day have absorbed. For folders alone, under their
    /// [`Lock`](crate::lock::Lock): elsewhere the bucket's lifecycle does it. Yields how many.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let mut swept = 0;
        for (day, listed) in self.listed(None).await? {
            if !listed.is_whole() {
                continue;
            }
            let mut wanted: BTreeSet<&str> = BTreeSet::new();
            let absorbed = self.absorbed(day, &listed).await?;
            for names in &absorbed {
                wanted.extend(listed.hot.iter().map(|file| stem(&file.location)).filter(|name| !names.contains(*name)));
            }
            for file in listed.hot.iter().filter(|file| !wanted.contains(stem(&file.location))) {
                self.store.delete(&file.location).await.map_err(|error| Error::store(&file.location, error))?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    async fn absorbed(&self, day: Day, listed: &Listed) -> Result<Vec<BTreeSet<String>>, Error> {
        let footers = listed.parts.iter().map(|part| self.footer(day, *part));
        let footers = stream::iter(footers).buffered(FOOTERS);
        footers.map_ok(|footer| footer.map(|footer| footer.absorbed()).unwrap_or_default()).try_collect().await
    }

    async fn footer(&self, day: Day, part: Part) -> Result<Option<Footer>, Error> {
        Footer::read(&*self.store, &self.part(day, part)).await.map_err(|error| error.of_part(day))
    }

    /// Every part that has not absorbed all hot files of its day.
    async fn open(&self, daily: u64, since: Option<Day>) -> Result<Vec<Open>, Error> {
        let mut reads = Vec::new();
        for (day, listed) in self.listed(since).await? {
            let of = match listed.parts.first() {
                Some(part) => part.of,
                None => self.said_cut(day).await?.unwrap_or(estimated(daily)),
            };
            let parts = (0..of).map(|index| Part { index, of });
            reads.extend(parts.map(|part| self.open_part(day, part, listed.hot.clone())));
        }
        let open: Vec<Open> = stream::iter(reads).buffered(FOOTERS).try_collect().await?;
        Ok(open.into_iter().filter(|open| !open.hot.is_empty()).collect())
    }

    async fn open_part(&self, day: Day, part: Part, mut hot: Vec<ObjectMeta>) -> Result<Open, Error> {
        let footer = self.footer(day, part).await?;
        let known = footer.as_ref().map(Footer::absorbed).unwrap_or_default();
        hot.retain(|file| !known.contains(stem(&file.location)));
        Ok(Open { day, part, rows: footer.as_ref().map_or(0, Footer::rows), hot })
    }

    async fn listed(&self, since: Option<Day>) -> Result<BTreeMap<Day, Listed>, Error> {
        let mut days: BTreeMap<Day, Listed> = BTreeMap::new();
        for file in self.metas(self.hot(None), since).await? {
            if let Some(day) = Self::day_of(&file.location).filter(|_| file.location.extension() == Some("parquet")) {
                days.entry(day).or_default().hot.push(file);
            }
        }
        for object in self.metas(self.records(None), since).await? {
            let part = object.location.filename().and_then(Part::parse);
            if let (Some(day), Some(part)) = (Self::day_of(&object.location), part)
                && let Some(listed) = days.get_mut(&day)
            {
                listed.parts.push(part);
            }
        }
        Ok(days)
    }

    async fn metas(&self, prefix: Path, since: Option<Day>) -> Result<Vec<ObjectMeta>, Error> {
        let listed = match since {
            // Names of days are in the order of the days.
            Some(day) => self.store.list_with_offset(Some(&prefix), &prefix.clone().join(format!("dt={day}"))),
            None => self.store.list(Some(&prefix)),
        };
        listed.try_collect().await.map_err(|error| Error::store(&prefix, error))
    }
}

impl Listed {
    /// Whether all parts of the day are there, and no others.
    fn is_whole(&self) -> bool {
        let of = self.parts.first().map_or(0, |first| first.of);
        self.parts.len() == of as usize && self.parts.iter().all(|part| part.of == of)
    }
}

/// Into how many parts a day of so many records is cut.
fn estimated(daily: u64) -> u32 {
    u32::try_from(daily.div_ceil(PART_ROWS)).unwrap_or(u32::MAX).max(1)
}

impl Open {
    fn unit(&self) -> Option<Unit> {
        let bytes: u64 = self.hot.iter().map(|file| file.size).sum();
        let oldest = self.hot.iter().map(written).min()?;
        let rows = bytes / HOT_ROW / u64::from(self.part.of);
        Some(Unit { day: self.day, part: self.part, files: self.hot.len(), rows, oldest })
    }
}

fn written(file: &ObjectMeta) -> Time {
    Time(file.last_modified.timestamp())
}
