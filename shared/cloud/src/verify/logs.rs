//! Log files: what a digest signs against what was read, and what lies in the bucket that no digest signs.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use serde_json::json;
use trail::digest::{ChainHead, DigestName, Found, GRACE, Held, LoggedFile, Problem, ProblemKind, Window, check_log};
use trail::envelope::ObjectRef;
use trail::log_file::{Inflater, Limits};
use trail::object_key::{ObjectKey, ObjectKind};
use trail::record::digest as sha256;
use trail::time::Time;

use super::read::{self, Read};
use crate::collect::Collector;
use crate::deployment::Deployment;
use crate::error::Error;
use crate::state::{DigestRecord, FileRecord};

/// Log files that are looked up at the same time.
const AT_ONCE: usize = 16;

/// Windows of one chain that are compared in one run: two days of them.
const WINDOWS_AT_ONCE: usize = 48;

/// How log files of a chain are compared.
pub(super) struct Logs<'v> {
    pub(super) deployment: &'v Deployment,
    pub(super) collector: &'v Collector,
}

/// What came of one digest's log files.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) problems: Vec<Problem>,
    /// Files that were never read, and are now.
    pub(super) healed: u64,
}

/// A window of the bucket beside what is signed.
#[derive(Debug)]
pub(super) struct Compared {
    /// Where the window ends.
    pub(super) until: Time,
    pub(super) problems: Vec<Problem>,
}

impl Logs<'_> {
    /// Compares what a digest signs with what `ingest` read. Nothing is fetched that was read before.
    pub(super) async fn check(&self, read: &Read) -> Result<Checked, Error> {
        let checks = read.digest.log_files.iter().map(|signed| self.check_one(read, signed));
        let results: Vec<(Vec<Problem>, bool)> = stream::iter(checks).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut checked = Checked::default();
        for (problems, healed) in results {
            checked.problems.extend(problems);
            checked.healed += u64::from(healed);
        }
        Ok(checked)
    }

    async fn check_one(&self, read: &Read, signed: &LoggedFile) -> Result<(Vec<Problem>, bool), Error> {
        let (chain, window) = (&read.name.chain, read.digest.window());
        let told = |found: &Found| check_log(signed, found, chain, window);
        if !self.deployment.own.log_buckets.contains(&signed.bucket) {
            let reason = format!("it lies in {}, which is none of the log buckets", signed.bucket);
            return Ok((told(&Found::Unreadable(reason)).into_iter().collect(), false));
        }
        let known = self.deployment.state.file_records(&format!("{}/{}", signed.bucket, signed.object)).await?;
        if known.is_empty() {
            let (found, healed) = self.fetch(signed).await?;
            return Ok((told(&found).into_iter().collect(), healed));
        }
        Ok((known.iter().filter_map(|known| told(&remembered(known))).collect(), false))
    }

    /// Looks at a log file that was signed and never read, and has it read where it is there.
    async fn fetch(&self, signed: &LoggedFile) -> Result<(Found, bool), Error> {
        let object = ObjectRef { bucket: signed.bucket.clone(), key: signed.object.clone(), version: None };
        let found = match self.deployment.stores.get(&object).await {
            Ok(found) => found,
            Err(Error::Object { source: object_store::Error::NotFound { .. }, .. }) => {
                return Ok((Found::Nothing, false));
            }
            Err(error) => return Err(error),
        };
        let limits = Limits::default();
        if found.size > limits.file_bytes as u64 {
            return Ok((Found::Unreadable(format!("it is larger than {} bytes", limits.file_bytes)), false));
        }
        let inflated = Inflater::new(limits).inflate(&found.bytes().await?);
        let found = match inflated.problem {
            Some(damage) => Found::Damaged(damage.to_string()),
            None => Found::File(Held { sha256: sha256(&inflated.bytes), trailing: inflated.trailing }),
        };
        self.have_it_read(&object).await?;
        Ok((found, true))
    }

    /// Puts word of a log file into the queue, as EventBridge would have.
    async fn have_it_read(&self, object: &ObjectRef) -> Result<(), Error> {
        let message = json!({
            "source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": object.bucket}, "object": {"key": object.key}},
        });
        let queue = &self.deployment.parts.queue;
        tracing::warn!(object = %object.id(), "signed and never read: it is read now");
        let sent = self.collector.send(queue, &message.to_string()).await;
        sent.map_err(|refused| Error::Configuration(format!("queue {queue}: {} {}", refused.code, refused.message)))
    }

    /// Log files that neither the digest of their window nor the two after it sign: by then a digest that names them has
    /// come, if one ever does. Window by window after `compared`; `None`: there is none to be looked at yet.
    pub(super) async fn unsigned(
        &self,
        head: &ChainHead,
        compared: Time,
        now: Time,
    ) -> Result<Option<Compared>, Error> {
        let records = self.deployment.state.digest_records(&head.chain, (compared, head.end)).await?;
        let mut digests = Vec::new();
        for record in records.iter().take(WINDOWS_AT_ONCE + 2) {
            digests.push(self.signed(head, record).await?);
        }
        let mut all: Option<Compared> = None;
        for three in digests.windows(3) {
            // What is wrong with a digest is told where it is verified; nothing is said of its window here.
            let Some((window, _)) = &three[0] else { continue };
            if window.to.0 + GRACE > now.0 {
                break;
            }
            let compared = all.get_or_insert_with(|| Compared { until: window.to, problems: Vec::new() });
            compared.until = window.to;
            if three.iter().all(Option::is_some) {
                let signed: BTreeSet<&String> = three.iter().flatten().flat_map(|(_, keys)| keys).collect();
                let delivered = self.delivered(head, *window).await?;
                let detail = "the digests of its hour and of the two after it do not name it";
                let unsigned = delivered.iter().filter(|key| !signed.contains(key));
                compared.problems.extend(
                    unsigned
                        .map(|key| Problem::new(ProblemKind::LogUnsigned, key, &head.chain, detail).within(*window)),
                );
            }
        }
        Ok(all)
    }

    /// The window of a digest that was verified, and what it signs; none where it cannot be read any more.
    async fn signed(
        &self,
        head: &ChainHead,
        record: &DigestRecord,
    ) -> Result<Option<(Window, BTreeSet<String>)>, Error> {
        let Some(name) = DigestName::parse(&record.object) else { return Ok(None) };
        let object = ObjectRef { bucket: head.bucket.clone(), key: record.object.clone(), version: None };
        let read = read::digest(&self.deployment.stores, &object, &name).await?;
        Ok(read.ok().map(|read| {
            let keys = read.digest.log_files.iter().map(|file| file.object.clone()).collect();
            (read.digest.window(), keys)
        }))
    }

    /// What is gone since it was verified: the digest itself, or log files that it signs.
    pub(super) async fn still_there(&self, head: &ChainHead, record: &DigestRecord) -> Result<Vec<Problem>, Error> {
        let Some(name) = DigestName::parse(&record.object) else { return Ok(Vec::new()) };
        let object = ObjectRef { bucket: head.bucket.clone(), key: record.object.clone(), version: None };
        let digest = match read::digest(&self.deployment.stores, &object, &name).await? {
            Ok(read) => read.digest,
            Err(problem) => return Ok(vec![problem]),
        };
        let gone = |kind, key: &str, detail: &str| Problem::new(kind, key, &head.chain, detail).within(digest.window());
        if digest.hash != record.sha256 {
            let detail = "another digest lies here than the one that was verified";
            return Ok(vec![gone(ProblemKind::DigestLink, &record.object, detail)]);
        }
        // A digest may sign files of a log bucket before this one, which is not listed here.
        let here = || digest.log_files.iter().filter(|file| file.bucket == head.bucket);
        let times = || here().filter_map(|file| ObjectKey::parse(&file.object).time);
        let (Some(from), Some(to)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
        let listed = self.delivered(head, Window { from, to: Time(to.0 + 60) }).await?;
        let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
        let named = here().filter(|file| ObjectKey::parse(&file.object).kind == ObjectKind::Trail);
        let missing = named.filter(|file| !listed.contains(file.object.as_str()));
        let detail = "AWS signed it, it was there, and it is no longer";
        Ok(missing.map(|file| gone(ProblemKind::LogMissing, &file.object, detail)).collect())
    }

    /// The keys of log files in the chain's place whose names say that they were delivered within a window.
    async fn delivered(&self, head: &ChainHead, window: Window) -> Result<Vec<String>, Error> {
        let place = self.deployment.stores.open(&format!("s3://{}", head.bucket))?;
        let mut keys = Vec::new();
        for day in
            [window.from, Time(window.to.0 - 1)].map(|time| time.floor(86_400)).into_iter().collect::<BTreeSet<_>>()
        {
            let prefix = head.chain.log_folder(day);
            let from = Time(window.from.0.max(day.0));
            let stamp: String = from.to_string().chars().filter(|c| !matches!(c, '-' | ':')).take(13).collect();
            let chain = &head.chain;
            let offset = format!("{prefix}/{}_CloudTrail_{}_{stamp}", chain.account, chain.region);
            // As they are: `Path::from` would encode what S3 takes.
            let path = |text: &str| Path::parse(text).map_err(|e| Error::object(text, e.into()));
            let (prefix, offset) = (path(&prefix)?, path(&offset)?);
            let mut listed = place.store.list_with_offset(Some(&prefix), &offset);
            while let Some(found) = listed.next().await {
                let key = found.map_err(|e| Error::object(prefix.to_string(), e))?.location.to_string();
                match ObjectKey::parse(&key).time {
                    Some(time) if time >= window.to => break,
                    Some(time) if time >= window.from => keys.push(key),
                    _ => {}
                }
            }
        }
        Ok(keys)
    }
}

/// What `ingest` read under a log file's name.
fn remembered(known: &FileRecord) -> Found {
    match (&known.problem, unhex(&known.sha256)) {
        (Some(problem), _) => Found::Damaged(problem.clone()),
        (None, Some(sha256)) => Found::File(Held { sha256, trailing: 0 }),
        (None, None) => Found::Unreadable("the table holds no hash of it".to_owned()),
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
