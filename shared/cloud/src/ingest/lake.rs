//! What log files bring to the lake, from being read until it is written.

use std::sync::atomic::{AtomicUsize, Ordering};

use lake::hot::FULL;
use lake::{Hot, Lake};
use trail::envelope::ObjectRef;
use trail::facts::{Facts, Hint};
use trail::object_key::ObjectKey;
use trail::record::{Record, Unreadable};
use trail::time::Time;

use crate::error::Error;

/// The records of a round of log files. A round takes up no more files once they are [`FULL`]: with the file that is read
/// last, which its own bound holds, this is what ingesting keeps of them in memory.
#[derive(Debug, Default)]
pub(super) struct Rows {
    hot: Hot,
}

/// How full a round is, known to the files that are read beside each other.
#[derive(Debug, Default)]
pub(super) struct Room(AtomicUsize);

/// A log file as the lake names it: where its records are from.
pub(crate) struct Source<'s> {
    object: String,
    account: Option<&'s str>,
    delivered: Option<Time>,
}

impl<'s> Source<'s> {
    /// An object of a bucket, or a path on this machine.
    pub(crate) fn of(object: &'s ObjectRef) -> Self {
        let key = ObjectKey::parse(&object.key);
        let bucket = object.bucket.as_str();
        let name = if bucket.is_empty() { object.key.clone() } else { format!("{bucket}/{}", object.key) };
        Self { object: name, account: key.account, delivered: key.time }
    }

    /// The facts of the record that is the `index`th in it.
    pub(crate) fn facts<'r>(&'r self, index: usize, record: &Record<'r>) -> Result<Facts<'r>, Unreadable> {
        let hint = Hint { account: self.account, time: self.delivered.unwrap_or_default() };
        let mut facts = Facts::of(record, hint)?;
        facts.source_object = self.object.as_str().into();
        facts.source_index = u32::try_from(index).unwrap_or(u32::MAX);
        Ok(facts)
    }
}

impl Room {
    /// Whether further files have to wait for the next round.
    pub(super) fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= FULL
    }

    /// Notes what a file brought.
    pub(super) fn take(&self, rows: &Hot) {
        self.0.fetch_add(rows.bytes(), Ordering::Relaxed);
    }
}

impl Rows {
    /// Takes up what a file brought whose findings stand.
    pub(super) fn append(&mut self, rows: Hot) {
        self.hot.append(rows);
    }

    /// Writes them; yields how many files that made.
    pub(super) async fn write(self, lake: &Lake) -> Result<u64, Error> {
        if self.hot.rows() == 0 {
            return Ok(0);
        }
        Ok(lake.write_hot(self.hot.seal()?).await?.len() as u64)
    }
}
