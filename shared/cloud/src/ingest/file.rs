//! One log file, from bytes to what is to be said about it.

use std::collections::HashMap;

use lake::Hot;
use tokio::sync::Semaphore;
use trail::detection::Engine;
use trail::digest::{DigestName, TrailChange};
use trail::envelope::ObjectRef;
use trail::finding::{Finding, Match};
use trail::log_file::{Inflated, Inflater, Limits, Problem, Report, Subject, evaluate_and_keep};
use trail::object_key::{ObjectKey, ObjectKind};
use trail::record::{Identity, Record, digest, hex};
use trail::review::{Sighting, Watch};
use trail::time::Time;

use crate::deployment::Deployment;
use crate::error::Error;
use crate::state::FileRecord;

use super::lake::{Room, Source};

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
    /// Calls that interrupt chains of digests or begin them.
    pub(super) changes: Vec<TrailChange>,
    /// What of it reviews have waited for.
    pub(super) sightings: Vec<Sighting>,
    /// Its records on their way to the lake.
    pub(super) rows: Hot,
    /// How many those are.
    pub(super) in_lake: usize,
    /// Whether it lies among this stack's canaries: it is read like any other, and counted nowhere.
    pub(super) canary: bool,
}

/// How many bytes may be in flight over all files.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    delivered: Semaphore,
    inflated: Semaphore,
}

impl Default for Budget {
    fn default() -> Self {
        let limits = Limits::default();
        let kib = limits.file_bytes / 1024;
        // A file at the bound fits by itself, or it would wait for ever.
        Self { limits, delivered: Semaphore::new(kib + 1), inflated: Semaphore::new(2 * kib) }
    }
}

/// What records are shown to, and how many of them have room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readers<'r> {
    /// What looks for attacks.
    pub(super) engine: &'r Engine,
    /// What reviews wait for.
    pub(super) watch: &'r Watch,
    /// The room of the round.
    pub(super) room: &'r Room,
}

/// Reads a log file within the budget for all files in flight; none where its records have to wait for the next round.
pub(super) async fn read(
    readers: Readers<'_>,
    deployment: &Deployment,
    object: ObjectRef,
    budget: &Budget,
) -> Result<Option<FileOutcome>, Error> {
    if is_foreign(&object) {
        tracing::info!(object = %object.id(), "not one of CloudTrail's objects");
        return Ok(Some(FileOutcome::nothing(object)));
    }
    if readers.room.is_full() {
        return Ok(None);
    }
    let limits = budget.limits;
    let canary = deployment.own.is_canary(&object);
    let found = deployment.stores.get(&object).await?;
    let size = usize::try_from(found.size).unwrap_or(usize::MAX);
    if size > limits.file_bytes {
        let nothing = Inflated { problem: Some(Problem::TooLarge(limits.file_bytes)), ..Inflated::default() };
        return Ok(Some(FileOutcome::of(readers, (object, size, canary), &nothing, limits)));
    }
    // Always in this order: whoever waits for room to inflate is waited for by nobody who has it.
    let _delivered = take(&budget.delivered, size).await;
    let bytes = found.bytes().await?;
    let claimed = claimed_size(&bytes).clamp(1 << 16, limits.file_bytes);
    let mut taken = take(&budget.inflated, claimed).await;
    let mut inflated = Inflater::new(Limits { file_bytes: claimed, ..limits }).inflate(&bytes);
    if matches!(inflated.problem, Some(Problem::TooLarge(_))) && claimed < limits.file_bytes {
        // More than the trailer claims: honest files do not do that, so it may wait for the whole bound.
        drop((taken, inflated));
        taken = take(&budget.inflated, limits.file_bytes).await;
        inflated = Inflater::new(limits).inflate(&bytes);
    }
    // Others have filled it while this one waited. From here on nothing is waited for.
    if readers.room.is_full() {
        return Ok(None);
    }
    let outcome = FileOutcome::of(readers, (object, bytes.len(), canary), &inflated, limits);
    drop(taken);
    Ok(Some(outcome))
}

/// Whether an object of a bucket is none of `CloudTrail`'s. A file that somebody named is read whatever it is called.
fn is_foreign(object: &ObjectRef) -> bool {
    let key = object.key.as_str();
    let named_like_logs = [".json.gz", ".json"].iter().any(|ending| key.ends_with(ending));
    let is_foreign = match ObjectKey::parse(key).kind {
        ObjectKind::Foreign => true,
        ObjectKind::Other => !named_like_logs,
        _ => false,
    };
    !object.bucket.is_empty() && is_foreign
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
    fn of(
        readers: Readers<'_>,
        (object, size, canary): (ObjectRef, usize, bool),
        inflated: &Inflated,
        limits: Limits,
    ) -> Self {
        let source = Source::of(&object);
        let account = ObjectKey::parse(&object.key).account;
        let mut seen: HashMap<Identity, [u8; 32]> = HashMap::new();
        let (mut conflict, mut changes, mut rows, mut sightings) = (false, Vec::new(), Hot::default(), Vec::new());
        let mut keep = |index: usize, record: &Record<'_>| {
            // Only what a detection wanted was loaded; the rest is compared when the day is made.
            if !record.body().is_null() {
                let body = digest(record.text().as_bytes());
                conflict |= *seen.entry(record.identity(account)).or_insert(body) != body;
            }
            if !canary {
                let facts = source.facts(index, record)?;
                rows.push(&facts);
                sightings.extend(readers.watch.see(record, &facts));
            }
            changes.extend(TrailChange::of(record));
            Ok(())
        };
        let mut report = evaluate_and_keep(readers.engine, inflated, (&object.key, canary), limits, &mut keep);
        let problems = Subject { id: &object.id(), key: &object.key }.problems(&report, inflated.trailing);
        report.matches.extend(problems);
        readers.room.take(&rows);
        let (sha256, bodies, in_lake) = (hex(&digest(&inflated.bytes)), seen, rows.rows());
        let outcome = Self { object, report, size, sha256, bodies, changes, sightings, rows, in_lake, canary };
        if conflict { outcome.with_conflict() } else { outcome }
    }

    fn with_conflict(mut self) -> Self {
        let found = self.conflict();
        self.report.matches.push(found);
        self
    }

    fn nothing(object: ObjectRef) -> Self {
        let (report, sha256, bodies, changes, sightings, rows) = Default::default();
        Self { object, report, size: 0, sha256, bodies, changes, sightings, rows, in_lake: 0, canary: false }
    }

    /// Whether this is no object of CloudTrail's.
    pub(super) fn is_nothing(&self) -> bool {
        self.sha256.is_empty()
    }

    /// Whether it is a digest that somebody has to verify.
    pub(super) fn is_digest(&self) -> bool {
        self.report.digest && DigestName::parse(&self.object.key).is_some()
    }

    /// Two different records under one identity, one of them here.
    pub(super) fn conflict(&self) -> Match {
        Subject { id: &self.object.id(), key: &self.object.key }.conflict(&self.report)
    }

    /// Another text under this file's name, as it was noted.
    pub(super) fn overwritten(&self, before: &FileRecord) -> Match {
        Subject { id: &self.object.id(), key: &self.object.key }.overwritten(&self.report, &before.sha256)
    }

    /// How many findings its matches belong to.
    pub(super) fn findings(&self) -> usize {
        let ids = self.report.matches.iter().map(|found| Finding::of(found).finding_id);
        ids.collect::<std::collections::BTreeSet<_>>().len()
    }

    fn time(&self) -> Time {
        Subject { id: "", key: &self.object.key }.time(&self.report)
    }

    /// Why the message has to fail though everything readable was evaluated.
    pub(super) fn failure(&self) -> Option<Error> {
        let problem = self.report.problem.clone()?;
        Some(Error::LogFile { object: self.object.id(), problem })
    }

    /// What is kept of the file; nothing of what is no log file that AWS delivered.
    pub(super) fn file_record(&self) -> Option<FileRecord> {
        if self.report.digest || self.is_nothing() || self.canary {
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
            region: key.region.unwrap_or_default().to_owned(),
            date: self.time().date(),
            delivered: key.time,
            records: count(self.report.records),
            evaluated: count(self.report.evaluated),
            quarantined: count(self.report.quarantined),
            other_kinds: self.report.other_kinds.values().map(|n| count(*n)).sum(),
            problem: self.report.problem.as_ref().map(ToString::to_string),
            first_time: first,
            last_time: last,
        })
    }
}
