//! Log files in, findings and alerts out; all records to the lake.
//!
//! Findings are committed first, the lake is written second, the message is deleted last: whatever fails in between is
//! delivered again, and merges into what is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use trail::alert::Entry;
use trail::control::Touch;
use trail::detection::{Category, Engine};
use trail::detections::pipeline::PIPELINE_CANARY;
use trail::envelope::{self, LoneRecord, ObjectRef};
use trail::finding::Finding;
use trail::ledger::{Ledger, TallyKey, crossings};
use trail::record::{Identity, Kind, Outcome, Record, Unreadable};
use trail::review::{Sighting, Watch};
use trail::settings::Settings;
use trail::silence::Heard;
use trail::time::Time;

use crate::alerts::Told;
use crate::deployment::{Deployment, now};
use crate::error::Error;
use crate::raise::raise;
use crate::review::proof::Proof;
use crate::settings::Engines;
use crate::state::{Canary, FileRecord};

mod file;
mod lake;
pub use file::FileOutcome;
use file::{Budget, Readers};
pub(crate) use lake::Source;
use lake::{Room, Rows};

/// Files read at the same time.
const FILES_AT_ONCE: usize = 16;

/// Writes under way at the same time.
const WRITES_AT_ONCE: usize = 16;

/// A region that was heard is noted again after so many seconds at the earliest.
const HEARD_SECONDS: i64 = 600;

/// How late a canary may come through and still prove that findings are timely, in seconds.
const CANARY_SECONDS: i64 = 3600;

/// The handler behind the `ingest` function and `qtrail ingest`.
#[derive(Debug)]
pub struct Ingest {
    deployment: Deployment,
    engines: Engines,
    budget: Budget,
    /// What reviews wait for.
    proof: Proof,
    /// What this process knows of who was heard, by account and region.
    heard: Mutex<HashMap<(String, String), Heard>>,
    /// The time that it says it is; none for the clock's.
    at: Option<Time>,
}

/// What a batch came to, for logs, metrics and the command's summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Log files read.
    pub files: u64,
    /// Records in them.
    pub records: u64,
    /// Records that detections have seen.
    pub evaluated: u64,
    /// Records that could not be read.
    pub quarantined: u64,
    /// Records of other kinds.
    pub other_kinds: u64,
    /// Records that came by themselves.
    pub fast_path: u64,
    /// Digests seen.
    pub digests: u64,
    /// Records written to the lake: all but those that could not be read.
    pub in_lake: u64,
    /// Files that this made in the lake.
    pub hot_files: u64,
    /// Findings written or changed.
    pub findings: u64,
    /// Alerts sent.
    pub alerts: u64,
}

/// A message and what it brings.
struct Delivered {
    id: String,
    objects: Vec<ObjectRef>,
    records: Vec<LoneRecord>,
}

/// Files that are read together, as many as memory has room for: then findings are committed and records written.
struct Round<'r> {
    engine: &'r Engine,
    watch: &'r Watch,
    room: Room,
    request_id: &'r str,
}

/// What a batch has gathered.
#[derive(Default)]
struct Gathered {
    ledger: Ledger,
    /// Which messages have to do with a finding or a tally: they fail with it.
    sources: BTreeMap<Origin, BTreeSet<usize>>,
    files: Vec<(usize, FileOutcome)>,
    /// When the canaries were sent that were found, by message.
    canaries: Vec<(usize, Time)>,
    /// Who changed trails, buckets and keys: the last one by account, resource and call.
    touches: BTreeMap<(String, String, String), Touch>,
    /// Bodies by identity: copies are identical, or somebody changed one.
    bodies: HashMap<Identity, [u8; 32]>,
    failed: BTreeMap<usize, String>,
    totals: Totals,
    /// Of the totals, what was not counted before.
    fresh: Totals,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Finding(String),
    Tally(TallyKey),
}

impl Ingest {
    /// A handler for this deployment.
    pub fn new(deployment: Deployment) -> Self {
        let (engines, budget, proof, heard) = Default::default();
        Self { deployment, engines, budget, proof, heard, at: None }
    }

    /// As at another time: what is read again as of its own day says that day's time.
    #[must_use]
    pub fn at(self, time: Time) -> Self {
        Self { at: Some(time), ..self }
    }

    /// What the handler works with.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Gives back what the handler worked with.
    pub fn into_deployment(self) -> Deployment {
        self.deployment
    }

    /// Handles an invocation: a batch of a queue, answered by the messages that failed, or any other envelope, whose
    /// failure is the invocation's.
    pub async fn handle(&self, invocation: Value, request_id: &str) -> Result<Value, Error> {
        let is_queue = invocation["Records"][0]["eventSource"] == "aws:sqs";
        if !is_queue {
            let delivery = envelope::read_value(&invocation)?;
            let message = self.admit(delivery, false).map(|(objects, records)| Delivered {
                id: String::new(),
                objects,
                records,
            })?;
            let (_, failed) = self.batch(vec![Ok(message)], request_id).await?;
            return match failed.into_values().next() {
                None => Ok(json!({})),
                Some(reason) => Err(Error::Configuration(reason)),
            };
        }
        let batch: aws_lambda_events::sqs::SqsEvent = serde_json::from_value(invocation)
            .map_err(|e| Error::Configuration(format!("an SQS batch that cannot be read: {e}")))?;
        let ids: Vec<String> = batch.records.iter().map(|m| m.message_id.clone().unwrap_or_default()).collect();
        let messages = batch.records.iter().map(|message| self.open(message)).collect();
        let (_, failed) = self.batch(messages, request_id).await?;
        let failures: Vec<Value> =
            failed.keys().filter_map(|index| ids.get(*index)).map(|id| json!({"itemIdentifier": id})).collect();
        Ok(json!({"batchItemFailures": failures}))
    }

    /// Reads objects, one after another in batches, as `qtrail ingest` does.
    pub async fn objects(&self, objects: Vec<ObjectRef>) -> Result<(Totals, Vec<String>), Error> {
        let message = |object: ObjectRef| Ok(Delivered { id: object.id(), objects: vec![object], records: Vec::new() });
        let (totals, failed) = self.batch(objects.into_iter().map(message).collect(), "local").await?;
        Ok((totals, failed.into_values().collect()))
    }

    fn open(&self, message: &aws_lambda_events::sqs::SqsMessage) -> Result<Delivered, (String, Error)> {
        let id = message.message_id.clone().unwrap_or_default();
        let fast = self.deployment.fast_path.is_some() && message.event_source_arn == self.deployment.fast_path;
        let body = message.body.as_deref().unwrap_or_default();
        let admitted = envelope::read(body).map_err(Error::from).and_then(|delivery| self.admit(delivery, fast));
        admitted.map(|(objects, records)| Delivered { id: id.clone(), objects, records }).map_err(|error| (id, error))
    }

    /// Only our buckets, and of our own data the canaries alone; records by themselves only from the queue that
    /// EventBridge alone may write to.
    fn admit(&self, delivery: envelope::Delivery, fast: bool) -> Result<(Vec<ObjectRef>, Vec<LoneRecord>), Error> {
        for ignored in &delivery.ignored {
            tracing::info!(ignored, "nothing to do");
        }
        let own = &self.deployment.own;
        let ours = |object: &ObjectRef| own.log_buckets.contains(&object.bucket) || own.is_canary(object);
        if let Some(foreign) = delivery.objects.iter().find(|object| !ours(object)) {
            return Err(Error::ForeignBucket(foreign.bucket.clone()));
        }
        if !fast && !delivery.records.is_empty() {
            return Err(Error::NotFastPath);
        }
        Ok((delivery.objects, delivery.records))
    }

    async fn batch(
        &self,
        messages: Vec<Result<Delivered, (String, Error)>>,
        request_id: &str,
    ) -> Result<(Totals, BTreeMap<usize, String>), Error> {
        let now = self.at.unwrap_or_else(now);
        let engine = self.engines.current(&self.deployment, now).await?;
        let watch = self.proof.watch(&self.deployment.state, now).await?;
        let (mut gathered, mut entries) = (Gathered::default(), Vec::new());
        let mut waiting = gathered.open(&engine, messages);
        loop {
            let round = Round { engine: &engine, watch: &watch, room: Room::default(), request_id };
            waiting = self.gather(&round, &mut gathered, waiting).await;
            entries.extend(self.commit(&engine, &mut gathered, now).await);
            self.prove(&mut gathered, (engine.settings(), now)).await;
            self.note_touches(&mut gathered).await;
            self.fill_lake(&mut gathered).await;
            self.note_files(&mut gathered, (engine.settings(), now)).await;
            self.note_canaries(&mut gathered).await;
            if waiting.is_empty() {
                break;
            }
        }
        gathered.totals.alerts = self.tell(&engine, entries, now).await;
        self.report(&gathered);
        Ok((gathered.totals, gathered.failed))
    }

    /// Reads what the messages bring; yields what has to wait for the next round.
    async fn gather(
        &self,
        round: &Round<'_>,
        gathered: &mut Gathered,
        objects: Vec<(usize, ObjectRef)>,
    ) -> Vec<(usize, ObjectRef)> {
        let mut waiting = Vec::new();
        let mut read = stream::iter(objects)
            .map(|(index, object)| async move { (index, object.clone(), self.read(round, object).await) })
            .buffer_unordered(FILES_AT_ONCE);
        while let Some((index, object, outcome)) = read.next().await {
            match outcome {
                Ok(Some(outcome)) => gathered.file(index, outcome),
                Ok(None) => waiting.push((index, object)),
                Err(error) => gathered.fail(index, "", &error),
            }
        }
        waiting
    }

    async fn read(&self, round: &Round<'_>, object: ObjectRef) -> Result<Option<FileOutcome>, Error> {
        let started = Instant::now();
        let readers = Readers { engine: round.engine, watch: round.watch, room: &round.room };
        let Some(outcome) = file::read(readers, &self.deployment, object, &self.budget).await? else {
            return Ok(None);
        };
        self.quarantine(&outcome).await?;
        tracing::info!(
            request_id = round.request_id,
            object = %outcome.object.id(),
            records = outcome.report.records,
            quarantined = outcome.report.quarantined,
            findings = outcome.findings(),
            milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "log file"
        );
        Ok(Some(outcome))
    }

    /// Writes the records of the round's files whose findings stand. Where that fails, the messages that brought them
    /// fail: they are delivered again, and readers take each record once.
    async fn fill_lake(&self, gathered: &mut Gathered) {
        let (mut rows, mut brought) = (Rows::default(), BTreeSet::new());
        for (index, outcome) in &mut gathered.files {
            let hot = std::mem::take(&mut outcome.rows);
            if outcome.in_lake > 0 && !gathered.failed.contains_key(index) {
                rows.append(hot);
                brought.insert(*index);
            }
        }
        match rows.write(&self.deployment.lake()).await {
            Ok(files) => gathered.totals.hot_files += files,
            Err(error) => brought.into_iter().for_each(|index| gathered.fail(index, "", &error)),
        }
    }

    /// Keeps the bytes of records that could not be read, and why. Written before the message can be deleted; a
    /// repeated delivery writes the same again.
    async fn quarantine(&self, outcome: &FileOutcome) -> Result<(), Error> {
        let data = &self.deployment.data;
        // With the version: an overwritten object must not take its predecessor's bytes away.
        let object = outcome.object.id();
        let folder = data.join(&["quarantine", &object]);
        let writes = outcome.report.kept.iter().map(|bad| async {
            let at = |suffix: &str| folder.clone().join(format!("{:06}.{suffix}", bad.index));
            let why = json!({
                "object": object, "index": bad.index, "bytes": bad.bytes.len(), "reason": bad.reason.to_string(),
            });
            data.put(&at("bin"), bad.bytes.clone()).await?;
            data.put(&at("json"), why.to_string().into_bytes()).await
        });
        stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).try_collect().await
    }

    /// Writes findings and tallies. What cannot be written fails the messages that it came from, and nothing else.
    async fn commit(&self, engine: &Engine, gathered: &mut Gathered, now: Time) -> Vec<Entry> {
        let state = &self.deployment.state;
        let settings = engine.settings();
        let ledger = std::mem::take(&mut gathered.ledger);
        for (key, by) in &ledger.issued {
            if let Err(error) = state.note_issued_key(key, by, now).await {
                tracing::warn!(%error, "who asked for a root session is not noted");
            }
        }
        let singles = ledger.findings.values().map(|f| (Origin::Finding(f.finding_id.clone()), f.clone()));
        let mut owed: Vec<(Origin, trail::finding::Finding)> = singles.collect();
        let mut tallied = stream::iter(&ledger.tallies)
            .map(|(key, buckets)| async move {
                let reach = key.detection.threshold.map_or((0, 0), |t| t(&settings.thresholds).reach());
                (key, state.tally(key, buckets, (reach, now)).await)
            })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((key, buckets)) = tallied.next().await {
            match buckets {
                Ok(buckets) => {
                    let found = crossings(key, &buckets, settings);
                    owed.extend(found.into_iter().map(|finding| (Origin::Tally(key.clone()), finding)));
                }
                Err(error) => gathered.fail_origin(&Origin::Tally(key.clone()), &error),
            }
        }
        drop(tallied);
        let mut commits = stream::iter(owed)
            .map(|(origin, finding)| async move { (origin, state.commit(&finding, settings, now).await) })
            .buffer_unordered(WRITES_AT_ONCE);
        let mut entries = Vec::new();
        while let Some((origin, committed)) = commits.next().await {
            match committed {
                Ok(committed) => {
                    gathered.totals.findings += u64::from(committed.change.changed);
                    // What others owe they publish themselves, or `notify` does.
                    entries.extend(Some(committed.entry).filter(|_| committed.change.owed));
                }
                Err(error) => gathered.fail_origin(&origin, &error),
            }
        }
        entries
    }

    /// Puts what reviews have waited for behind their logs. What cannot be put is delivered again.
    async fn prove(&self, gathered: &mut Gathered, (settings, now): (&Settings, Time)) {
        let mut sightings: Vec<(usize, Sighting)> = Vec::new();
        for (index, outcome) in &mut gathered.files {
            sightings.extend(std::mem::take(&mut outcome.sightings).into_iter().map(|sighting| (*index, sighting)));
        }
        if sightings.is_empty() {
            return;
        }
        let (indices, sightings): (BTreeSet<usize>, Vec<Sighting>) = sightings.into_iter().unzip();
        if let Err(error) = self.proof.take(&self.deployment, settings, (&sightings, now)).await {
            indices.into_iter().for_each(|index| gathered.fail(index, "", &error));
        }
    }

    /// Notes who changed a trail, its bucket or its key: the account is audited soon. A finding stands by itself, so that
    /// what cannot be noted costs a day at the most.
    async fn note_touches(&self, gathered: &mut Gathered) {
        for ((account, resource, _), touch) in std::mem::take(&mut gathered.touches) {
            if let Err(error) = self.deployment.state.note_touch(&account, &resource, &touch).await {
                tracing::warn!(%error, account, "who changed something is not noted");
            }
        }
    }

    /// Notes the files whose findings stand. A file that was noted before counts nothing.
    async fn note_files(&self, gathered: &mut Gathered, (settings, now): (&Settings, Time)) {
        for (index, outcome) in std::mem::take(&mut gathered.files) {
            if gathered.failed.contains_key(&index) {
                continue;
            }
            match self.note_file(&outcome, (settings, now)).await {
                Ok(true) => gathered.fresh.add(&outcome),
                Ok(false) => {}
                Err(error) => gathered.fail(index, "", &error),
            }
            gathered.totals.add(&outcome);
            if let Some(error) = outcome.failure() {
                gathered.fail(index, "", &error);
            }
        }
    }

    /// Yields whether the file is to be counted: a log file that was noted before is not.
    async fn note_file(&self, outcome: &FileOutcome, (settings, now): (&Settings, Time)) -> Result<bool, Error> {
        if outcome.is_digest() && !outcome.object.bucket.is_empty() {
            self.deployment.state.owe_digest(&outcome.object).await?;
        }
        let Some(record) = outcome.file_record() else { return Ok(true) };
        for change in &outcome.changes {
            self.deployment.state.note_trail_change(change).await?;
        }
        if !outcome.object.bucket.is_empty() {
            self.compare(outcome, &record, (settings, now)).await?;
        }
        let is_new = self.deployment.state.note_file(&record, now).await?;
        self.hear(&record, now).await?;
        Ok(is_new)
    }

    /// Tells of a log file whose text is another than when it was read before.
    async fn compare(
        &self,
        outcome: &FileOutcome,
        record: &FileRecord,
        (settings, now): (&Settings, Time),
    ) -> Result<(), Error> {
        let known = self.deployment.state.file_records(&record.object).await?;
        let Some(before) = known.iter().find(|known| known.sha256 != record.sha256) else { return Ok(()) };
        let found = Finding::of(&outcome.overwritten(before));
        raise(&self.deployment, settings, vec![found], now).await.map(drop)
    }

    /// Notes that the file's account and region were heard, unless this process has noted so just before.
    async fn hear(&self, record: &FileRecord, now: Time) -> Result<(), Error> {
        let recorded = || record.last_time.as_deref().and_then(Time::parse);
        // A damaged file is no sign of life: it may be from anybody.
        let delivered = record.delivered.or_else(recorded).filter(|_| record.problem.is_none());
        // A name that is dated ahead must not keep its region from ever falling silent.
        let Some(delivered) = delivered.map(|delivered| delivered.min(now)) else { return Ok(()) };
        let place = (record.account.clone(), record.region.clone());
        let known = self.known().get(&place).cloned();
        if known.as_ref().is_some_and(|known| delivered.0 - known.last_heard.0 < HEARD_SECONDS) {
            return Ok(());
        }
        let first = Heard::first(&record.account, &record.region, delivered);
        let heard = self.deployment.state.hear(known, &first).await?;
        self.known().insert(place, heard);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(String, String), Heard>> {
        self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The canaries whose finding stands have passed. What cannot be noted is delivered again.
    async fn note_canaries(&self, gathered: &mut Gathered) {
        let (found, mut in_time) = (now(), 0);
        for (index, sent) in std::mem::take(&mut gathered.canaries) {
            if gathered.failed.contains_key(&index) {
                continue;
            }
            match self.deployment.state.note_canary(&Canary { sent, found }).await {
                Ok(()) => in_time += u64::from(found.0 - sent.0 <= CANARY_SECONDS),
                Err(error) => gathered.fail(index, "", &error),
            }
        }
        if in_time > 0 {
            self.deployment.metrics.emit(&[("CanaryFindings", in_time)]);
        }
    }

    /// Tells people. Whatever fails here stays owed in the table, and `notify` sees to it.
    async fn tell(&self, engine: &Engine, entries: Vec<Entry>, now: Time) -> u64 {
        let Some(alerts) = &self.deployment.alerts else { return 0 };
        let mut sent = 0;
        for entry in entries.into_iter().filter(|entry| entry.due.is_some()) {
            match alerts.tell(&self.deployment.state, &entry, engine.settings(), now).await {
                Ok(Told::Sent) => sent += 1,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, finding = entry.finding.finding_id, "an alert stays owed");
                }
            }
        }
        sent
    }

    fn report(&self, Gathered { totals, fresh, .. }: &Gathered) {
        // Each record was looked at or could not be read; each lies in the lake or in quarantine.
        let unseen = fresh.records.abs_diff(fresh.evaluated + fresh.quarantined + fresh.other_kinds);
        let unkept = fresh.records.abs_diff(fresh.in_lake + fresh.quarantined);
        self.deployment.metrics.emit(&[
            ("LogFiles", fresh.files),
            ("RecordsIn", fresh.records),
            ("RecordsEvaluated", fresh.evaluated),
            ("RecordsQuarantined", fresh.quarantined),
            ("RecordsOtherKinds", fresh.other_kinds),
            ("RecordsInLake", fresh.in_lake),
            ("HotFiles", totals.hot_files),
            ("RecordsUnaccounted", unseen + unkept),
            ("FastPathRecords", totals.fast_path),
            ("DigestFiles", totals.digests),
            ("Findings", totals.findings),
            ("AlertsSent", totals.alerts),
        ]);
    }
}

impl Gathered {
    /// Takes up the records that came by themselves; yields the objects to be read, with their messages.
    fn open(&mut self, engine: &Engine, messages: Vec<Result<Delivered, (String, Error)>>) -> Vec<(usize, ObjectRef)> {
        let mut objects = Vec::new();
        for (index, message) in messages.into_iter().enumerate() {
            match message {
                Ok(message) => {
                    self.fast_path(engine, index, &message);
                    objects.extend(message.objects.into_iter().map(|object| (index, object)));
                }
                Err((id, error)) => self.fail(index, &id, &error),
            }
        }
        objects
    }

    fn fail(&mut self, index: usize, message: &str, error: &Error) {
        tracing::error!(%error, message, "a message goes back to the queue");
        self.failed.entry(index).or_insert_with(|| error.to_string());
    }

    fn fail_origin(&mut self, origin: &Origin, error: &Error) {
        let indices = self.sources.get(origin).cloned().unwrap_or_default();
        indices.into_iter().for_each(|index| self.fail(index, "", error));
    }

    /// Records that came by themselves: findings, and no claim to completeness.
    fn fast_path(&mut self, engine: &Engine, index: usize, message: &Delivered) {
        for lone in &message.records {
            let mut found = Vec::new();
            let origin = trail::log_file::Origin { account: lone.account.as_deref(), ..Default::default() };
            let evaluated =
                Record::parse(&lone.text).and_then(|record| evaluate_alone((engine, &origin), &record, &mut found));
            match evaluated {
                Ok(()) => self.totals.fast_path += 1,
                Err(error) => self.fail(index, &message.id, &error.into()),
            }
            found.iter().for_each(|m| self.add(index, m));
        }
    }

    fn file(&mut self, index: usize, mut outcome: FileOutcome) {
        for (identity, body) in std::mem::take(&mut outcome.bodies) {
            if *self.bodies.entry(identity).or_insert(body) != body {
                outcome.report.matches.push(outcome.conflict());
            }
        }
        for found in std::mem::take(&mut outcome.report.matches) {
            if found.detection.id == PIPELINE_CANARY.id {
                self.canaries.push((index, found.lead.time.0));
            }
            self.add(index, &found);
        }
        self.files.push((index, outcome));
    }

    fn add(&mut self, index: usize, found: &trail::finding::Match) {
        let origin = if found.tally.is_some() {
            Origin::Tally(TallyKey {
                detection: found.detection,
                account: found.account.clone(),
                key: found.key.clone(),
            })
        } else {
            Origin::Finding(trail::finding::Finding::of(found).finding_id)
        };
        self.sources.entry(origin).or_default().insert(index);
        self.touch(found);
        self.ledger.add(found);
    }

    /// What succeeded against a trail, its bucket or its key, whether it weakened or mended.
    fn touch(&mut self, found: &trail::finding::Match) {
        let lead = &found.lead;
        if found.detection.category != Category::TrailTampering || lead.outcome != Outcome::Success {
            return;
        }
        for resource in &found.resources {
            let key = (found.record_account.clone(), resource.clone(), lead.action.clone());
            let touch = Touch { time: lead.time.0, call: lead.action.clone(), actor: lead.actor.display() };
            let known = self.touches.entry(key).or_insert_with(|| touch.clone());
            if known.time < touch.time {
                *known = touch;
            }
        }
    }
}

fn evaluate_alone(
    (engine, origin): (&Engine, &trail::log_file::Origin<'_>),
    record: &Record<'_>,
    found: &mut Vec<trail::finding::Match>,
) -> Result<(), Unreadable> {
    if record.kind() != Kind::Api {
        return Ok(());
    }
    if record.source.is_empty() || record.name.is_empty() {
        return Err(Unreadable::Missing("eventSource or eventName"));
    }
    engine.evaluate(record, origin, &mut |m| found.push(m))
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.records += other.records;
        self.evaluated += other.evaluated;
        self.quarantined += other.quarantined;
        self.other_kinds += other.other_kinds;
        self.fast_path += other.fast_path;
        self.digests += other.digests;
        self.in_lake += other.in_lake;
        self.hot_files += other.hot_files;
        self.findings += other.findings;
        self.alerts += other.alerts;
    }
}

impl Totals {
    fn add(&mut self, outcome: &FileOutcome) {
        debug_assert!(outcome.report.is_conserved(), "{outcome:?}");
        let count = |n: usize| n as u64;
        let report = &outcome.report;
        if outcome.canary {
            return;
        }
        if report.digest || outcome.is_nothing() {
            self.digests += u64::from(report.digest);
            return;
        }
        self.files += 1;
        self.records += count(report.records);
        self.evaluated += count(report.evaluated);
        self.in_lake += count(outcome.in_lake);
        self.quarantined += count(report.quarantined);
        self.other_kinds += report.other_kinds.values().map(|n| count(*n)).sum::<u64>();
    }
}
