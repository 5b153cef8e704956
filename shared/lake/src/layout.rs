//! Where what lies.

use std::fmt;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use trail::time::Time;

use crate::read::cache::Shelves;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// A lake: a prefix of an object store.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(crate) store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// What is known of files from earlier queries.
    pub(crate) shelves: Arc<Shelves>,
}

/// A day of the lake, in UTC: that of `eventTime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

/// One of the parts of a day, which is cut by a hash of the actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Counted from 0.
    pub index: u32,
    /// How many parts the day has, from when it was first made.
    pub of: u32,
}

impl Day {
    /// The day of a time.
    pub fn of(time: Time) -> Self {
        Self(time.0.div_euclid(DAY))
    }

    /// Reads `2026-11-20`.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 10).then(|| Time::parse(&format!("{text}T00:00:00Z")).map(Self::of)).flatten()
    }

    /// Its first second.
    pub fn start(self) -> Time {
        Time(self.0 * DAY)
    }

    /// The first second after it.
    pub fn end(self) -> Time {
        self.next().start()
    }

    /// The day after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The day before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0 - 1)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.start().date())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part-{}-of-{}", self.index, self.of)
    }
}

impl Part {
    /// Reads the name of an object of `records/` or `keys/`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (index, of) = name.split('.').next()?.strip_prefix("part-")?.split_once("-of-")?;
        let part = Self { index: index.parse().ok()?, of: of.parse().ok()? };
        (part.index < part.of).then_some(part)
    }
}

impl Lake {
    /// The lake below a prefix.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { store, prefix, shelves: Arc::default() }
    }

    /// `hot/dt=…/`, or all of `hot/`.
    pub(crate) fn hot(&self, day: Option<Day>) -> Path {
        self.below("hot", day)
    }

    /// `records/dt=…/`, or all of `records/`.
    pub(crate) fn records(&self, day: Option<Day>) -> Path {
        self.below("records", day)
    }

    /// The object of a part.
    pub(crate) fn part(&self, day: Day, part: Part) -> Path {
        self.records(Some(day)).join(format!("{part}.parquet"))
    }

    /// The key file of a part.
    pub(crate) fn keys(&self, day: Day, part: Part) -> Path {
        self.below("keys", Some(day)).join(format!("{part}.keys"))
    }

    /// What says into how many parts a day is cut.
    pub(crate) fn cut_file(&self, day: Day) -> Path {
        self.below("cuts", Some(day)).join("parts")
    }

    fn below(&self, room: &str, day: Option<Day>) -> Path {
        let room = self.prefix.clone().join(room);
        match day {
            Some(day) => room.join(format!("dt={day}")),
            None => room,
        }
    }

    /// The day that an object's path names.
    pub(crate) fn day_of(path: &Path) -> Option<Day> {
        path.parts().find_map(|part| Day::parse(part.as_ref().strip_prefix("dt=")?))
    }
}
