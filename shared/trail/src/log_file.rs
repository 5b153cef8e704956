//! One delivered log file: from bytes to records, and every record accounted for.

use std::collections::BTreeMap;

use flate2::{Decompress, FlushDecompress, Status};

use crate::detection::Engine;
use crate::finding::Match;
use crate::object_key::{ObjectKey, ObjectKind};
use crate::record::{Kind, Record, Unreadable};
use crate::time::Time;

mod about;
pub(crate) mod skim;
mod split;

pub use about::{Subject, conflict_in_lake};

/// How much is taken in before saying no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Inflated bytes a log file.
    pub file_bytes: usize,
    /// Bytes a record.
    pub record_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 256 << 20, record_bytes: 2 << 20 }
    }
}

/// What is known of a record from where it was found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'a> {
    /// The account, where the record does not say.
    pub account: Option<&'a str>,
    /// When AWS delivered the log file, as its name says.
    pub delivered: Option<Time>,
    /// Whether the file lies where this stack alone puts its canaries.
    pub canary: bool,
}

impl<'a> Origin<'a> {
    /// What an object's key says.
    pub fn of_key(key: &'a str) -> Self {
        let key = ObjectKey::parse(key);
        Self { account: key.account, delivered: key.time, canary: false }
    }
}

/// What is wrong with a log file as a whole. Records read up to there are evaluated all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Nothing in it.
    #[error("the object is empty")]
    Empty,
    /// The gzip stream ends early.
    #[error("the gzip stream is cut off after {0} inflated bytes")]
    Truncated(usize),
    /// The gzip stream is damaged.
    #[error("the gzip stream is corrupt: {0}")]
    Corrupt(String),
    /// It inflates to more than the limit.
    #[error("it inflates to more than the limit of {0} bytes")]
    TooLarge(usize),
    /// Neither gzip nor JSON with records.
    #[error("{0}")]
    NoRecords(&'static str),
    /// The JSON ends early or is damaged between records.
    #[error("the JSON is damaged at byte {0}")]
    Damaged(usize),
    /// So many records cannot be read that not all are kept by themselves.
    #[error("too many of its records cannot be read: the first {0} are kept, the rest is in the object alone")]
    Unreadable(usize),
}

/// A log file's text, inflated.
#[derive(Debug, Default)]
pub struct Inflated {
    /// What was inflated: all of it unless there is a problem.
    pub bytes: Vec<u8>,
    /// How many bytes follow the first gzip member. AWS's digest covers none of them.
    pub trailing: usize,
    /// What stopped it.
    pub problem: Option<Problem>,
}

/// Inflates log files one after another, reusing what can be reused.
#[derive(Debug)]
pub struct Inflater {
    stream: Decompress,
    limits: Limits,
    buffer: Vec<u8>,
}

impl Inflater {
    /// An inflater with bounds.
    pub fn new(limits: Limits) -> Self {
        Self { stream: Decompress::new(false), limits, buffer: Vec::new() }
    }

    /// Hands a buffer back for the next file.
    pub fn recycle(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.buffer = bytes;
    }

    /// The text of an object: the first gzip member, or the bytes as they are where they are no gzip.
    pub fn inflate(&mut self, object: &[u8]) -> Inflated {
        let mut bytes = std::mem::take(&mut self.buffer);
        if !object.starts_with(&[0x1f, 0x8b]) {
            let problem = self.plain_problem(object);
            bytes.extend_from_slice(&object[..object.len().min(self.limits.file_bytes)]);
            return Inflated { bytes, trailing: 0, problem };
        }
        let (trailing, problem) = match self.member(object, &mut bytes) {
            Ok(trailing) => (trailing, None),
            Err(problem) => (0, Some(problem)),
        };
        Inflated { bytes, trailing, problem }
    }

    fn plain_problem(&self, object: &[u8]) -> Option<Problem> {
        if object.is_empty() {
            return Some(Problem::Empty);
        }
        (object.len() > self.limits.file_bytes).then_some(Problem::TooLarge(self.limits.file_bytes))
    }

    /// Inflates the first member and checks it; yields how many bytes follow it. RFC 1952.
    fn member(&mut self, object: &[u8], bytes: &mut Vec<u8>) -> Result<usize, Problem> {
        let start = header_end(object).ok_or(Problem::Truncated(0))?;
        let used = self.deflate(&object[start..], object, bytes)?;
        let trailer = object.get(start + used..start + used + 8).ok_or(Problem::Truncated(bytes.len()))?;
        let word = |at: usize| u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
        if word(0) != crc32fast::hash(bytes) {
            return Err(Problem::Corrupt("its checksum does not match".to_owned()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the trailer holds the size modulo 2^32")]
        if word(4) != bytes.len() as u32 {
            return Err(Problem::Corrupt("its size does not match".to_owned()));
        }
        Ok(object.len() - start - used - 8)
    }

    /// Inflates a raw deflate stream in one go where the size in the last four bytes is true, else in steps.
    fn deflate(&mut self, input: &[u8], object: &[u8], bytes: &mut Vec<u8>) -> Result<usize, Problem> {
        self.stream.reset(false);
        bytes.reserve(self.expected_size(object));
        loop {
            let (read, written) = (self.stream.total_in(), bytes.len());
            let rest = input.get(usize::try_from(read).unwrap_or(usize::MAX)..).unwrap_or_default();
            let status = self
                .stream
                .decompress_vec(rest, bytes, FlushDecompress::Finish)
                .map_err(|error| Problem::Corrupt(error.to_string()))?;
            if bytes.len() > self.limits.file_bytes {
                bytes.truncate(self.limits.file_bytes);
                return Err(Problem::TooLarge(self.limits.file_bytes));
            }
            if status == Status::StreamEnd {
                return Ok(usize::try_from(self.stream.total_in()).unwrap_or(usize::MAX));
            }
            let stuck = self.stream.total_in() == read && bytes.len() == written;
            if stuck && bytes.capacity() > bytes.len() {
                return Err(Problem::Truncated(bytes.len()));
            }
            // One byte beyond the limit tells a file that fills it from one that exceeds it.
            let room = (self.limits.file_bytes + 1).saturating_sub(bytes.len());
            bytes.reserve(bytes.len().max(64 << 10).min(room));
        }
    }

    /// The size that the trailer claims, as far as it is believable: deflate shrinks by 1032 at the most.
    fn expected_size(&self, object: &[u8]) -> usize {
        let claimed = object.last_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word) as usize);
        // One byte more, so that the stream's end is seen in the same call.
        claimed.min(object.len().saturating_mul(1032)).min(self.limits.file_bytes) + 1
    }
}

/// Where the deflate stream begins. `None`: the header is cut off.
fn header_end(object: &[u8]) -> Option<usize> {
    let flags = *object.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*object.get(at)?, *object.get(at + 1)?]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += memchr::memchr(0, object.get(at..)?)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at <= object.len()).then_some(at)
}

/// How many unreadable records of one file are kept. A file made of them alone must not fill the memory.
pub const KEPT_RECORDS: usize = 1_000;

/// How many bytes of unreadable records of one file are kept.
pub const KEPT_BYTES: usize = 32 << 20;

/// A record that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its place in the file, from 0.
    pub index: usize,
    /// Its bytes as delivered.
    pub bytes: Vec<u8>,
    /// Why.
    pub reason: Unreadable,
}

/// What became of a log file.
#[derive(Debug, Default)]
pub struct Report {
    /// How many records it holds.
    pub records: usize,
    /// How many were shown to the engine.
    pub evaluated: usize,
    /// How many are of a kind that detections do not look at.
    pub other_kinds: BTreeMap<Kind, usize>,
    /// How many could not be read.
    pub quarantined: usize,
    /// The first of those, with their bytes: see [`KEPT_RECORDS`] and [`KEPT_BYTES`].
    pub kept: Vec<Quarantined>,
    kept_bytes: usize,
    /// What the detections caught.
    pub matches: Vec<Match>,
    /// The earliest and the latest `eventTime`, as recorded.
    pub times: Option<(String, String)>,
    /// What is wrong with the file as a whole.
    pub problem: Option<Problem>,
    /// Whether this is a digest: a signed list of log files, which has no records.
    pub digest: bool,
}

impl Report {
    /// Nothing is lost: every record was evaluated, quarantined or counted as another kind.
    pub fn is_conserved(&self) -> bool {
        self.records == self.evaluated + self.quarantined + self.other_kinds.values().sum::<usize>()
    }

    /// Counts a record that could not be read, and keeps it while there is room.
    fn quarantine(&mut self, index: usize, bytes: &[u8], reason: Unreadable) {
        self.quarantined += 1;
        if self.kept.len() < KEPT_RECORDS && self.kept_bytes + bytes.len() <= KEPT_BYTES {
            self.kept_bytes += bytes.len();
            self.kept.push(Quarantined { index, bytes: bytes.to_vec(), reason });
        } else {
            self.problem.get_or_insert(Problem::Unreadable(self.kept.len()));
        }
    }

    fn note_time(&mut self, time: &str) {
        match &mut self.times {
            None => self.times = Some((time.to_owned(), time.to_owned())),
            Some((first, _)) if time < first.as_str() => time.clone_into(first),
            Some((_, last)) if time > last.as_str() => time.clone_into(last),
            Some(_) => {}
        }
    }
}

/// Reads a log file's text and shows its records to the engine; `each` sees every record that could be read.
pub fn evaluate(
    engine: &Engine,
    inflated: &Inflated,
    key: &str,
    limits: Limits,
    each: &mut dyn FnMut(&Record<'_>),
) -> Report {
    evaluate_and_keep(engine, inflated, (key, false), limits, &mut |_, record| {
        each(record);
        Ok(())
    })
}

/// The same for who keeps the records: `keep` is handed each with its place in the file, and what it cannot read is
/// quarantined. The flag says whether the file lies where this stack alone puts its canaries: see
/// [`crate::settings::Own::is_canary`].
pub fn evaluate_and_keep(
    engine: &Engine,
    inflated: &Inflated,
    (key, canary): (&str, bool),
    limits: Limits,
    keep: &mut dyn FnMut(usize, &Record<'_>) -> Result<(), Unreadable>,
) -> Report {
    let mut report = Report { problem: inflated.problem.clone(), ..Report::default() };
    let object = ObjectKey::parse(key);
    if object.kind == ObjectKind::Digest {
        report.digest = true;
        return report;
    }
    let origin = Origin { account: object.account, delivered: object.time, canary };
    let mut reader = Reader { engine, origin, limits, report: &mut report, keep };
    let end = split::records(&inflated.bytes, &mut |found| reader.take(found));
    match end {
        split::End::Complete => {}
        split::End::Digest => report.digest = true,
        split::End::Problem(problem) => {
            report.problem.get_or_insert(problem);
        }
    }
    report
}

/// Where in a log file's text a record of these very bytes stands, counted from 0. Of several places the expected one.
pub fn position_of(record: &[u8], text: &[u8], expected: usize) -> Option<usize> {
    let (mut position, mut index) = (None, 0);
    split::records(text, &mut |found| {
        if found.bytes == record && (position.is_none() || index == expected) {
            position = Some(index);
        }
        index += 1;
    });
    position
}

struct Reader<'e> {
    engine: &'e Engine,
    origin: Origin<'e>,
    limits: Limits,
    report: &'e mut Report,
    keep: &'e mut dyn FnMut(usize, &Record<'_>) -> Result<(), Unreadable>,
}

impl Reader<'_> {
    fn take(&mut self, found: split::Found<'_, '_>) {
        let index = self.report.records;
        self.report.records += 1;
        let split::Found { bytes, record } = found;
        let outcome = if bytes.len() > self.limits.record_bytes {
            Err(Unreadable::TooLarge { size: bytes.len(), limit: self.limits.record_bytes })
        } else {
            record.and_then(|record| self.evaluate(index, record))
        };
        if let Err(reason) = outcome {
            self.report.quarantine(index, bytes, reason);
        }
    }

    fn evaluate(&mut self, index: usize, record: &Record<'_>) -> Result<(), Unreadable> {
        let kind = record.kind();
        if kind == Kind::Api {
            if record.source.is_empty() {
                return Err(Unreadable::Missing("eventSource"));
            }
            if record.name.is_empty() {
                return Err(Unreadable::Missing("eventName"));
            }
            let matches = &mut self.report.matches;
            self.engine.evaluate(record, &self.origin, &mut |found| matches.push(found))?;
            // What cannot be kept counts as quarantined alone; what a detection saw in it stands.
            (self.keep)(index, record)?;
            self.report.evaluated += 1;
            self.report.note_time(&record.time);
        } else {
            (self.keep)(index, record)?;
            *self.report.other_kinds.entry(kind).or_default() += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
