//! Log file integrity, continuously: what AWS signed, against what `ingest` read and what the bucket holds.
//!
//! `ingest` notes each digest that is delivered. Every few minutes those are verified in the order of their chains; once
//! an hour it is asked what should have come and has not, and what lies in the bucket that nothing signs.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use trail::detection::Engine;
use trail::detections::digests::match_of;
use trail::digest::{Arrived, Chain, ChainHead, DigestName, Evidence, Gap, Pinned, Problem, ProblemKind, PublicKeys};
use trail::envelope::ObjectRef;
use trail::finding::Finding;
use trail::ledger::Ledger;
use trail::settings::Settings;
use trail::time::Time;

use crate::collect::Collector;
use crate::deployment::{Deployment, now};
use crate::error::Error;
use crate::raise::raise;
use crate::settings::Engines;
use crate::state::{ChainState, DigestRecord};

mod logs;
pub mod prove;
mod read;

use logs::Logs;
use read::Read;

/// Chains that are followed at the same time.
const CHAINS_AT_ONCE: usize = 16;

/// So many digests that nobody told us of are followed back at once: two days of them.
const FOLLOWED_BACK: usize = 48;

/// How long the digests that a chain lacks are told again, in seconds: a week. Afterwards `qtrail status` says it.
const TOLD_SECONDS: i64 = 7 * 86_400;

/// When a verified window is looked at again, in seconds: after a day, and after thirty.
const LOOKED_AT_AGAIN: [i64; 2] = [86_400, 30 * 86_400];

/// How long after a digest's window its key is surely in force, in seconds.
const KEY_SLACK: i64 = 2 * 3600;

/// The handler behind the `verify` function.
#[derive(Debug)]
pub struct Verify {
    deployment: Deployment,
    engines: Engines,
    collector: Collector,
}

/// What a run came to.
#[derive(Debug, Default)]
struct Totals {
    digests: u64,
    logs: u64,
    healed: u64,
    matches: Vec<trail::finding::Match>,
}

impl Totals {
    fn take(&mut self, problems: &[Problem], chain: &Chain, otherwise: Time) {
        let time = |problem: &Problem| problem.window.map_or(otherwise, |window| window.to);
        self.matches.extend(problems.iter().map(|problem| match_of(problem, chain, time(problem))));
    }
}

impl Verify {
    /// A handler for this deployment. The collector asks AWS for its public keys, and fills the queue of log files with
    /// those that were missed.
    pub fn new(deployment: Deployment, collector: Collector) -> Self {
        Self { deployment, engines: Engines::default(), collector }
    }

    /// Does what the invocation asks for.
    pub async fn handle(&self, invocation: Value) -> Result<Value, Error> {
        let now = now();
        let engine: std::sync::Arc<Engine> = self.engines.current(&self.deployment, now).await?;
        let totals = match invocation["do"].as_str() {
            Some("digests") => self.digests(now).await?,
            Some("missing") => self.missing(now).await?,
            _ => {
                let known = "the invocation is none of: {\"do\":\"digests\"}, {\"do\":\"missing\"}";
                return Err(Error::Configuration(known.to_owned()));
            }
        };
        self.conclude(totals, engine.settings(), now).await
    }

    async fn conclude(&self, totals: Totals, settings: &Settings, now: Time) -> Result<Value, Error> {
        let mut ledger = Ledger::default();
        totals.matches.iter().for_each(|found| ledger.add(found));
        let findings: Vec<Finding> = ledger.findings(settings);
        let problems = totals.matches.len() as u64;
        raise(&self.deployment, settings, findings, now).await?;
        let Totals { digests, logs, healed, .. } = totals;
        tracing::info!(digests, log_files = logs, missed = healed, problems, "verified");
        Ok(json!({"digests": digests, "log_files": logs, "missed": healed, "problems": problems}))
    }

    /// Verifies what was delivered since. Chains are followed side by side, each in its order.
    async fn digests(&self, now: Time) -> Result<Totals, Error> {
        let mut chains: BTreeMap<Chain, Vec<(DigestName, ObjectRef)>> = BTreeMap::new();
        for object in self.deployment.state.owed_digests().await? {
            if let Some(name) = DigestName::parse(&object.key) {
                chains.entry(name.chain.clone()).or_default().push((name, object));
            } else {
                tracing::warn!(object = %object.id(), "no digest by its name");
                self.deployment.state.digest_done(&object).await?;
            }
        }
        let mut runs = stream::iter(chains.into_values())
            .map(|digests| self.follow_chain(digests, now))
            .buffer_unordered(CHAINS_AT_ONCE);
        let mut all = Totals::default();
        while let Some(totals) = runs.next().await {
            all.digests += totals.digests;
            all.logs += totals.logs;
            all.healed += totals.healed;
            all.matches.extend(totals.matches);
        }
        Ok(all)
    }

    /// One chain's digests, oldest first. What could not be asked stays owed.
    async fn follow_chain(&self, mut digests: Vec<(DigestName, ObjectRef)>, now: Time) -> Totals {
        digests.sort();
        let mut totals = Totals::default();
        for (name, object) in digests {
            let followed = self.follow(&name, &object, &mut totals, now).await;
            let done = match followed {
                Ok(()) => self.deployment.state.digest_done(&object).await,
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                tracing::error!(%error, object = %object.id(), "a digest stays to be verified");
                self.deployment.metrics.emit(&[("VerifyFailures", 1)]);
                break;
            }
        }
        totals
    }

    async fn follow(&self, name: &DigestName, object: &ObjectRef, totals: &mut Totals, now: Time) -> Result<(), Error> {
        let read = match read::digest(&self.deployment.stores, object, name).await? {
            Ok(read) => read,
            Err(problem) => {
                totals.take(&[problem], &name.chain, name.end);
                return Ok(());
            }
        };
        let state = &self.deployment.state;
        let known = state.chain(&name.chain).await?;
        if known.as_ref().is_some_and(|known| read.digest.end <= known.head.end) {
            return self.again(&read, totals, now).await;
        }
        let mut problems = Vec::new();
        let line = self.line(read, known.as_ref().map(|known| &known.head), &mut problems).await?;
        totals.take(&problems, &name.chain, name.end);
        let mut chain = Following { known, problems: problems.len() as u64, foreign: 0 };
        for read in &line {
            let found = self.judge(read, &mut chain, totals, now).await?;
            totals.take(&found, &name.chain, read.digest.end);
        }
        chain.store(self, now).await
    }

    /// A digest, and before it those that it follows and that nobody told us of, oldest first.
    async fn line(
        &self,
        read: Read,
        head: Option<&ChainHead>,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<Read>, Error> {
        let mut line = vec![read];
        let Some(head) = head else { return Ok(line) };
        while line.len() < FOLLOWED_BACK {
            let Some(Read { digest, name, object, .. }) = line.last() else { break };
            let Some(previous) = digest.previous_object.as_deref().filter(|previous| *previous != head.object) else {
                break;
            };
            let earlier = DigestName::parse(previous)
                .filter(|earlier| earlier.chain == name.chain && head.end < earlier.end && earlier.end < name.end);
            let Some(earlier) = earlier else { break };
            let at = ObjectRef { bucket: object.bucket.clone(), key: previous.to_owned(), version: None };
            match read::digest(&self.deployment.stores, &at, &earlier).await? {
                Ok(read) => line.push(read),
                Err(problem) if problem.kind == ProblemKind::DigestMissing => {
                    problems.extend(trail::digest::missing_between(head, digest));
                    break;
                }
                Err(problem) => {
                    problems.push(problem);
                    break;
                }
            }
        }
        line.reverse();
        Ok(line)
    }

    /// Everything about one digest: by itself, against the one before it, its log files. The chain goes on from it only
    /// where it proves itself.
    async fn judge(
        &self,
        read: &Read,
        chain: &mut Following,
        totals: &mut Totals,
        now: Time,
    ) -> Result<Vec<Problem>, Error> {
        let mut problems = self.proof(read, now).await?;
        let is_proven = problems.is_empty();
        let arrived = read.arrived();
        if let Some(before) = chain.known.as_ref().map(|known| &known.head) {
            problems.extend(arrived.check_link(before));
            if let Some(gap) = arrived.gap_after(before) {
                problems.extend(self.unexplained(&gap).await?);
            }
        }
        let logs = Logs { deployment: &self.deployment, collector: &self.collector };
        let checked = logs.check(read).await?;
        totals.digests += 1;
        totals.logs += read.digest.log_files.len() as u64;
        totals.healed += checked.healed;
        problems.extend(checked.problems);
        let record = DigestRecord {
            object: read.object.key.clone(),
            sha256: read.digest.hash.clone(),
            logs: read.digest.log_files.len() as u64,
            problems: problems.iter().map(|problem| problem.kind.word().to_owned()).collect(),
            verified: now,
        };
        self.deployment.state.keep_digest(&read.name.chain, read.digest.end, &record).await?;
        chain.problems += problems.len() as u64;
        chain.foreign += problems.iter().filter(|problem| is_foreign(problem.kind)).count() as u64;
        if is_proven {
            chain.advance(ChainHead::of(&read.name.chain, &read.digest, arrived.signature()), &record);
        }
        Ok(problems)
    }

    /// A digest of a window that the chain has passed: delivered again, come late, or put in another one's place.
    async fn again(&self, read: &Read, totals: &mut Totals, now: Time) -> Result<(), Error> {
        let chain = &read.name.chain;
        let known = self.deployment.state.digest_record(chain, read.digest.end).await?;
        let problems = match known {
            Some(known) if known.sha256 == read.digest.hash => return Ok(()),
            Some(known) => {
                let detail = format!("another digest with the hash {} was verified here before", known.sha256);
                vec![
                    Problem::new(ProblemKind::DigestLink, &read.object.key, chain, detail).within(read.digest.window()),
                ]
            }
            None => self.proof(read, now).await?,
        };
        totals.digests += 1;
        totals.take(&problems, chain, read.digest.end);
        Ok(())
    }

    /// Whether a digest proves itself, with keys of AWS that are asked for once and never replaced.
    async fn proof(&self, read: &Read, now: Time) -> Result<Vec<Problem>, Error> {
        let region = &read.name.chain.region;
        let mut keys = self.deployment.state.public_keys(region).await?;
        let mut problems = Vec::new();
        if keys.find(&read.digest.fingerprint).is_none() {
            let signed = read.metadata.generated.unwrap_or(read.digest.start);
            let span = (Time(signed.0 - KEY_SLACK), Time(signed.0.max(read.digest.end.0) + KEY_SLACK));
            match self.collector.public_keys(region, span).await {
                Ok(answer) => problems.extend(self.pin(&mut keys, answer, read).await?),
                Err(refused) => {
                    tracing::error!(region, code = refused.code, message = refused.message, "AWS's public keys");
                    return Err(Error::Configuration(format!("AWS's public keys of {region}: {}", refused.code)));
                }
            }
        }
        problems.extend(read.arrived().check(&keys, now));
        Ok(problems)
    }

    async fn pin(&self, keys: &mut PublicKeys, answer: PublicKeys, read: &Read) -> Result<Vec<Problem>, Error> {
        let told = keys.pin(answer);
        self.deployment.state.keep_public_keys(&read.name.chain.region, keys).await?;
        let changed = told.into_iter().filter_map(|pinned| match pinned {
            Pinned::New(_) => None,
            Pinned::Changed(fingerprint) => {
                let detail = format!("AWS answers another key than before under the fingerprint {fingerprint}");
                Some(Problem::new(ProblemKind::KeyUnknown, &read.object.key, &read.name.chain, detail))
            }
        });
        Ok(changed.collect())
    }

    async fn unexplained(&self, gap: &Gap) -> Result<Option<Problem>, Error> {
        let changes = self.deployment.state.trail_changes(gap.called.from, gap.called.to).await?;
        let explained = changes.iter().any(|change| gap.is_explained_by(change));
        Ok((!explained).then(|| gap.unexplained()))
    }

    /// What should have come by now, and what nothing signs.
    async fn missing(&self, now: Time) -> Result<Totals, Error> {
        let chains = self.deployment.state.chains().await?;
        let mut checks = stream::iter(chains)
            .map(|chain| async move {
                let problems = self.missing_of(&chain, now).await;
                (chain.head, problems)
            })
            .buffer_unordered(CHAINS_AT_ONCE);
        let mut totals = Totals::default();
        while let Some((head, problems)) = checks.next().await {
            match problems {
                Ok(problems) => totals.take(&problems, &head.chain, head.end),
                Err(error) => {
                    tracing::error!(%error, chain = %head.chain, "it cannot be told what is missing");
                    self.deployment.metrics.emit(&[("VerifyFailures", 1)]);
                }
            }
        }
        Ok(totals)
    }

    /// What nothing signs, window by window: each is compared once. And what was deleted since it was verified.
    async fn unsigned(&self, chain: &ChainState, now: Time) -> Result<Vec<Problem>, Error> {
        let logs = Logs { deployment: &self.deployment, collector: &self.collector };
        let Some(mut compared) = logs.unsigned(&chain.head, chain.compared, now).await? else { return Ok(Vec::new()) };
        for later in LOOKED_AT_AGAIN {
            let window = (Time(chain.compared.0 - later), Time(compared.until.0 - later));
            for record in self.deployment.state.digest_records(&chain.head.chain, window).await? {
                compared.problems.extend(logs.still_there(&chain.head, &record).await?);
            }
        }
        let count = compared.problems.len() as u64;
        let next = ChainState {
            compared: compared.until,
            problems: chain.problems + count,
            foreign: chain.foreign + count,
            last_problem: if count > 0 { Some(now) } else { chain.last_problem },
            v: chain.v + 1,
            ..chain.clone()
        };
        // Where the chain went on meanwhile, the window is compared again.
        self.deployment.state.put_chain(&next).await?;
        Ok(compared.problems)
    }

    async fn missing_of(&self, chain: &ChainState, now: Time) -> Result<Vec<Problem>, Error> {
        let head = &chain.head;
        let mut problems = self.unsigned(chain, now).await?;
        let silent = now.0 - head.end.0;
        if head.chain.backfill || silent > TOLD_SECONDS {
            return Ok(problems);
        }
        let missing = head.missing_by(now);
        if !missing.is_empty() && self.unexplained(&Gap::open(head, now)).await?.is_some() {
            problems.extend(missing);
        }
        Ok(problems)
    }
}

/// A chain while it is followed.
struct Following {
    known: Option<ChainState>,
    /// Problems since it was read.
    problems: u64,
    /// Of those, log files that are not what AWS signed.
    foreign: u64,
}

impl Following {
    fn advance(&mut self, head: ChainHead, record: &DigestRecord) {
        let (logs, since) = (record.logs, head.start);
        let before = self.known.take();
        self.known = Some(match before {
            Some(known) => ChainState { head, digests: known.digests + 1, logs: known.logs + logs, ..known },
            None => ChainState {
                head,
                since,
                digests: 1,
                logs,
                problems: 0,
                foreign: 0,
                compared: since,
                last_problem: None,
                v: 0,
            },
        });
    }

    /// Keeps how far it is proven. Where another function was faster, the digest is verified again.
    async fn store(self, verify: &Verify, now: Time) -> Result<(), Error> {
        let Some(mut known) = self.known else { return Ok(()) };
        known.problems += self.problems;
        known.foreign += self.foreign;
        known.last_problem = if self.problems > 0 { Some(now) } else { known.last_problem };
        known.v += 1;
        if verify.deployment.state.put_chain(&known).await? {
            return Ok(());
        }
        Err(Error::Contended(format!("chain {}", known.head.chain)))
    }
}

fn is_foreign(kind: ProblemKind) -> bool {
    matches!(kind, ProblemKind::LogChanged | ProblemKind::LogAppended | ProblemKind::LogUnsigned)
}

impl Read {
    fn arrived(&self) -> Arrived<'_> {
        Arrived {
            bucket: &self.object.bucket,
            key: &self.object.key,
            name: &self.name,
            digest: &self.digest,
            evidence: Evidence::Metadata(&self.metadata),
        }
    }
}
