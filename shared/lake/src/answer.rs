//! What the lake answers.

use std::fmt;
use std::str::FromStr;

use trail::facts::Facts;
use trail::time::Time;

use crate::layout::Day;
use crate::query::Field;

/// How many records are wanted, and from where on.
#[derive(Debug, Clone)]
pub struct Page {
    /// At most so many.
    pub limit: usize,
    /// Only what comes after this one, newest first.
    pub after: Option<Cursor>,
    /// Whether the records' JSON is wanted, too.
    pub json: bool,
    /// Reading ends after so many bytes, and says so.
    pub budget: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 100, after: None, json: false, budget: 2_000_000_000 }
    }
}

/// Where an answer went on to. Records are ordered by time, newest first, then by account and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When the last record was.
    pub time: Time,
    /// Its account.
    pub account: String,
    /// Its id.
    pub id: String,
}

impl Cursor {
    /// The cursor behind a record.
    pub fn behind(facts: &Facts<'_>) -> Self {
        Self { time: facts.event_time, account: facts.account.to_string(), id: facts.event_id.to_string() }
    }

    /// Whether a record comes after it.
    pub fn is_before(&self, facts: &Facts<'_>) -> bool {
        (facts.event_time, &*facts.account, &*facts.event_id) < (self.time, &*self.account, &*self.id)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~{}", self.time.0, self.account, self.id)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '~');
        let (Some(time), Some(account), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("no place in an answer");
        };
        let time = Time(time.parse().map_err(|_| "no place in an answer")?);
        Ok(Self { time, account: account.to_owned(), id: id.to_owned() })
    }
}

/// Records that were asked for, newest first.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The records.
    pub rows: Vec<Facts<'static>>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
    /// What it took, and what is missing.
    pub read: Read,
}

/// What a query took, and what it could not see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Files opened.
    pub files: usize,
    /// Requests to the store.
    pub requests: usize,
    /// Bytes read from it.
    pub bytes: u64,
    /// Files that could not be used: object and reason. The answer is partial then.
    pub skipped: Vec<(String, String)>,
    /// Whether the budget ended it.
    pub cut: bool,
}

impl Read {
    /// Whether there may be more than was seen.
    pub fn is_partial(&self) -> bool {
        self.cut || !self.skipped.is_empty()
    }
}

/// What a query would read, as far as lists and footers tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Bytes of the columns that are looked at, in the row groups that may hold a match.
    pub bytes: u64,
    /// In how many days.
    pub days: usize,
    /// In how many files.
    pub files: usize,
}

/// What a query comes to as a whole.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// How many records match.
    pub matched: u64,
    /// The first and the last of them.
    pub span: Option<(Time, Time)>,
    /// The most frequent values.
    pub facets: Vec<Facet>,
    /// How they lie in time, oldest first, without gaps.
    pub histogram: Vec<Bucket>,
    /// What it took, and what is missing.
    pub read: Read,
}

/// The most frequent values of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// The field; of `user`, the names.
    pub field: Field,
    /// Values and how many records have them, most frequent first.
    pub values: Vec<(String, u64)>,
    /// How many values there are in all.
    pub distinct: u64,
}

/// A span of a histogram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Its first second.
    pub start: Time,
    /// Its length in seconds.
    pub seconds: i64,
    /// All records that match.
    pub total: u64,
    /// Those with an error.
    pub errors: u64,
    /// Those that changed something.
    pub writes: u64,
}

/// What an overview is to hold.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'o> {
    /// The fields to count values of.
    pub facets: &'o [Field],
    /// Values a field.
    pub top: usize,
    /// About so many spans of time; 0 for none.
    pub buckets: usize,
    /// Reading ends after so many bytes, and says so.
    pub budget: u64,
}

/// What the lake holds of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayContent {
    /// Bytes in its parts.
    pub bytes: u64,
    /// Its parts.
    pub parts: usize,
    /// Hot files that no part has absorbed. Those that one has are not told apart from the listing alone.
    pub hot: usize,
}

/// Which days there are, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The days.
    pub days: Vec<(Day, DayContent)>,
}
