//! What log files bring to the lake, from being read until it is written.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lake::{Hot, Lake};
use trail::envelope::ObjectRef;
use trail::facts::{Facts, Hint};
use trail::object_key::ObjectKey;
use trail::record::{Record, Unreadable};
use trail::time::Time;

use crate::error::Error;

/// A round takes up no more files once its records fill so many bytes: with the file that is read last, which its own
/// bound holds, this is what ingesting keeps of them in memory.
const ROUND_BYTES: usize = 64 << 20;

/// The records of a round of log files.
///
/// They are gathered as the files are read and written when the round's findings stand. Those of a file that fails in
/// between are written with the others: the file is delivered again, and readers take each record once.
#[derive(Debug, Default)]
pub(crate) struct Rows(Mutex<Hot>);

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

impl Rows {
    /// Whether further files have to wait for the next round.
    pub(super) fn are_full(&self) -> bool {
        self.hot().bytes() >= ROUND_BYTES
    }

    /// Takes up a record.
    pub(super) fn push(&self, facts: &Facts<'_>) {
        self.hot().push(facts);
    }

    /// Writes them; yields how many files that made.
    pub(super) async fn write(self, lake: &Lake) -> Result<u64, Error> {
        let hot = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(if hot.is_empty() { 0 } else { lake.write(hot).await? as u64 })
    }

    fn hot(&self) -> MutexGuard<'_, Hot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
