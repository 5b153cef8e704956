//! One log file, from bytes to what is to be said about it.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::Semaphore;
use trail::detection::{Detection, Engine};
use trail::detections::log_files::{LOG_APPENDED, LOG_UNREADABLE, RECORD_CONFLICT, RECORDS_QUARANTINED};
use trail::envelope::ObjectRef;
use trail::finding::{Match, ObjectFact};
use trail::log_file::{Inflated, Inflater, Limits, Problem, Report, evaluate};
use trail::object_key::{ObjectKey, ObjectKind};
use trail::record::{Identity, hex};
use trail::time::Time;

use crate::error::Error;
use crate::state::FileRecord;

/// What became of a log file.
#[derive(Debug)]
pub struct FileOutcome {
    /// Which one.
    pub object: ObjectRef,
    /// What the reader says.
    pub report: Report,
    /// Delivered bytes.
    size: usize,
    /// SHA-256 of the inflated text.
    sha256: String,
    /// The hash of each record that a detection caught, by identity.
    pub(super) bodies: HashMap<Identity, [u8; 32]>,
}

/// Reads a log file within the budget for all files in flight.
pub(super) async fn read(
    engine: &Engine,
    (object, bytes): (ObjectRef, Bytes),
    limits: Limits,
    budget: &Semaphore,
) -> Result<FileOutcome, Error> {
    let kind = ObjectKey::parse(&object.key).kind;
    if kind == ObjectKind::Other && !object.key.ends_with(".json.gz") && !object.key.ends_with(".json") {
        tracing::info!(object = %object.id(), "not one of CloudTrail's objects");
        return Ok(FileOutcome::nothing(object));
    }
    let claimed = claimed_size(&bytes).clamp(1 << 16, limits.file_bytes);
    let mut taken = take(budget, claimed).await;
    let mut inflated = Inflater::new(Limits { file_bytes: claimed, ..limits }).inflate(&bytes);
    if matches!(inflated.problem, Some(Problem::TooLarge(_))) && claimed < limits.file_bytes {
        // More than the trailer claims: honest files do not do that, so it may wait for the whole bound.
        drop((taken, inflated));
        taken = take(budget, limits.file_bytes).await;
        inflated = Inflater::new(limits).inflate(&bytes);
    }
    let outcome = FileOutcome::of(engine, (object, bytes.len()), &inflated, limits);
    drop(taken);
    Ok(outcome)
}

async fn take(budget: &Semaphore, bytes: usize) -> Option<tokio::sync::SemaphorePermit<'_>> {
    let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
    // The budget is never closed, so that there is always a permit in the end.
    budget.acquire_many(kib).await.ok()
}

/// The size that a gzip's trailer claims, or that of plain text.
fn claimed_size(bytes: &[u8]) -> usize {
    match bytes.last_chunk::<4>() {
        Some(word) if bytes.starts_with(&[0x1f, 0x8b]) => u32::from_le_bytes(*word) as usize,
        _ => bytes.len(),
    }
}

impl FileOutcome {
    fn of(engine: &Engine, (object, size): (ObjectRef, usize), inflated: &Inflated, limits: Limits) -> Self {
        let account = ObjectKey::parse(&object.key).account.map(str::to_owned);
        let mut seen: HashMap<Identity, [u8; 32]> = HashMap::new();
        let mut conflicts = Vec::new();
        let mut each = |record: &trail::record::Record<'_>| {
            // Only what a detection wanted was loaded; the rest is compared when the lake is written.
            if !record.body().is_null() {
                let body = trail::record::digest(record.text().as_bytes());
                let identity = record.identity(account.as_deref());
                if *seen.entry(identity.clone()).or_insert(body) != body {
                    conflicts.push(identity);
                }
            }
        };
        let report = evaluate(engine, inflated, &object.key, limits, &mut each);
        let sha256 = hex(&trail::record::digest(&inflated.bytes));
        let mut outcome = Self { object, report, size, sha256, bodies: seen };
        outcome.say_what_is_wrong(inflated.trailing);
        for identity in conflicts {
            let found = outcome.conflict(&identity);
            outcome.report.matches.push(found);
        }
        outcome
    }

    fn nothing(object: ObjectRef) -> Self {
        Self { object, report: Report::default(), size: 0, sha256: String::new(), bodies: HashMap::new() }
    }

    /// Whether this is no object of CloudTrail's.
    pub(super) fn is_nothing(&self) -> bool {
        self.sha256.is_empty()
    }

    /// Findings about the file itself.
    fn say_what_is_wrong(&mut self, trailing: usize) {
        if trailing > 0 {
            let what = format!("{trailing} bytes follow the gzip stream of {}", self.object.id());
            let found = self.fact(&LOG_APPENDED, &what, "");
            self.report.matches.push(found);
        }
        if let Some(problem) = self.report.problem.clone() {
            let what = format!("log file {} cannot be read whole", self.object.id());
            let found = self.fact(&LOG_UNREADABLE, &what, &format!("{problem}."));
            self.report.matches.push(found);
        }
        if let Some(first) = self.report.quarantined.first() {
            let count = self.report.quarantined.len();
            let what = format!("{count} records of {} cannot be read", self.object.id());
            let why = format!("The first, number {}: {}.", first.index, first.reason);
            let found = self.fact(&RECORDS_QUARANTINED, &what, &why);
            self.report.matches.push(found);
        }
    }

    /// Two different records under one identity.
    pub(super) fn conflict(&self, identity: &Identity) -> Match {
        let what = format!("record {} of account {} exists with two different contents", identity.id, identity.account);
        self.fact(&RECORD_CONFLICT, &what, &format!("The second was in {}.", self.object.id()))
    }

    fn fact(&self, detection: &'static Detection, what: &str, detail: &str) -> Match {
        let key = ObjectKey::parse(&self.object.key);
        Match::of_object(
            detection,
            &ObjectFact {
                id: &self.object.id(),
                account: key.account.unwrap_or("-"),
                region: key.region.unwrap_or_default(),
                time: self.time(),
                what,
                detail,
            },
        )
    }

    /// The time in the object's name, else the latest in its records: never the clock.
    fn time(&self) -> Time {
        let named = ObjectKey::parse(&self.object.key).time;
        let recorded = || self.report.times.as_ref().and_then(|(_, last)| Time::parse(last));
        named.or_else(recorded).unwrap_or_default()
    }

    /// Why the message has to fail though everything readable was evaluated.
    pub(super) fn failure(&self) -> Option<Error> {
        let problem = self.report.problem.clone()?;
        Some(Error::LogFile { object: self.object.id(), problem })
    }

    /// What is kept of the file; nothing of one that has no records to be kept.
    pub(super) fn file_record(&self) -> Option<FileRecord> {
        if self.report.digest || self.report.problem.is_some() || self.is_nothing() {
            return None;
        }
        let key = ObjectKey::parse(&self.object.key);
        let count = |n: usize| n as u64;
        let (first, last) = self.report.times.clone().unzip();
        Some(FileRecord {
            object: format!("{}/{}", self.object.bucket, self.object.key),
            version: self.object.version.clone(),
            sha256: self.sha256.clone(),
            size: count(self.size),
            account: key.account.unwrap_or("-").to_owned(),
            date: self.time().date(),
            delivered: key.time,
            records: count(self.report.records),
            evaluated: count(self.report.evaluated),
            quarantined: count(self.report.quarantined.len()),
            other_kinds: self.report.other_kinds.values().map(|n| count(*n)).sum(),
            first_time: first,
            last_time: last,
        })
    }
}
