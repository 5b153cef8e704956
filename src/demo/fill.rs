//! The demo's day as a deployment would have kept it: log files read, digests followed, settings judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use aws_config::SdkConfig;
use cloud::compact::Compact;
use cloud::deployment::Deployment;
use cloud::ingest::Ingest;
use cloud::metrics::Metrics;
use cloud::state::{AuditRun, ChainState, DigestRecord, HeldVerdict, Parts, State, VerdictChange};
use cloud::stores::{Place, Stores};
use trail::control::{Context, Coverage, Member, OwnState, Status, Verdict, View, findings};
use trail::detections::digests::match_of;
use trail::digest::{
    Arrived, Chain, ChainHead, Digest, DigestName, Evidence, Found, Held, LoggedFile, Metadata, Problem, PublicKeys,
    Walk, check_log,
};
use trail::envelope::ObjectRef;
use trail::finding::Match;
use trail::ledger::Ledger;
use trail::log_file::{Inflater, Limits};
use trail::record::digest as sha256;
use trail::settings::{Own, Settings};
use trail::snapshot::Snapshot;
use trail::time::Time;

/// So long before digests are judged the log files have been read, in seconds.
const BEFORE: i64 = 13_800;

/// What a day is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day<'d> {
    /// The text of the settings.
    pub(crate) settings: &'d str,
    /// A folder with `AWSLogs/` in it.
    pub(crate) logs: &'d Path,
    /// The bucket that the log files were delivered to.
    pub(crate) bucket: &'d str,
    /// Snapshots of trail settings, one a line.
    pub(crate) recording: &'d str,
    /// AWS's public keys, as `aws cloudtrail list-public-keys` prints them.
    pub(crate) keys: &'d [u8],
    /// When digests are judged.
    pub(crate) now: Time,
}

/// Fills an empty state, and the lake and the rest of a data folder.
pub(crate) async fn fill(state: &State, data: &Place, day: Day<'_>) -> anyhow::Result<()> {
    let settings = Settings::from_toml(day.settings).context("the settings")?;
    let mut files = Vec::new();
    collect(day.logs, &mut files)?;
    files.sort();
    let is_digest = |path: &&PathBuf| DigestName::parse(&path.to_string_lossy()).is_some();
    let (digests, logs): (Vec<&PathBuf>, Vec<&PathBuf>) = files.iter().partition(is_digest);
    read(state, data, (&logs, day)).await?;
    follow(state, &digests, (&settings, day)).await?;
    judge(state, &settings, day).await
}

/// All log files and digests below a folder.
pub(crate) fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|ending| ending == "gz") {
            into.push(path);
        }
    }
    Ok(())
}

/// As `ingest` does.
async fn read(state: &State, data: &Place, (logs, day): (&[&PathBuf], Day<'_>)) -> anyhow::Result<()> {
    data.put(&data.join(&["config.toml"]), day.settings.to_owned()).await?;
    let ingest = Ingest::new(deployment(state, data)).at(Time(day.now.0 - BEFORE));
    let object =
        |path: &&PathBuf| ObjectRef { bucket: String::new(), key: path.to_string_lossy().into_owned(), version: None };
    let (_, failed) = ingest.objects(logs.iter().map(object).collect()).await?;
    ensure!(failed.is_empty(), "log files that could not be read: {}", failed.join("; "));
    Compact::new(ingest.into_deployment()).everything().await?;
    Ok(())
}

/// What the handlers work with.
pub(crate) fn deployment(state: &State, data: &Place) -> Deployment {
    let settings = data.join(&["config.toml"]);
    Deployment {
        state: state.clone(),
        stores: Arc::new(Stores::new(SdkConfig::builder().build())),
        data: data.clone(),
        alerts: None,
        metrics: Metrics::Off,
        own: Own::default(),
        settings: Some(Place { store: data.store.clone(), prefix: settings }),
        fast_path: None,
        parts: Parts::default(),
        publisher_timeout: 0,
    }
}

fn key_of(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// The text of a file, and how many bytes follow it.
fn inflated(path: &Path) -> anyhow::Result<(Vec<u8>, usize)> {
    let bytes = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
    let inflated = Inflater::new(Limits::default()).inflate(&bytes);
    Ok((inflated.bytes, inflated.trailing))
}

/// A digest that was read.
struct Loaded {
    key: String,
    name: DigestName,
    digest: Digest,
    metadata: Option<Metadata>,
}

/// As `verify` does: every chain to its end.
async fn follow(state: &State, digests: &[&PathBuf], (settings, day): (&Settings, Day<'_>)) -> anyhow::Result<()> {
    let keys = PublicKeys::from_json(day.keys).context("AWS's public keys")?;
    let mut chains: BTreeMap<Chain, Vec<Loaded>> = BTreeMap::new();
    for path in digests {
        let key = key_of(path, day.logs);
        let Some(name) = DigestName::parse(&key) else { continue };
        let digest = Digest::parse(&inflated(path)?.0).map_err(|reason| anyhow::anyhow!("{key}: {reason}"))?;
        let beside = std::fs::read(format!("{}.metadata.json", path.display())).ok();
        let metadata = beside.map(|text| Metadata::from_json(&text)).transpose()?;
        chains.entry(name.chain.clone()).or_default().push(Loaded { key, name, digest, metadata });
    }
    let mut matches = Vec::new();
    for (chain, mut digests) in chains {
        digests.sort_by_key(|loaded| loaded.name.end);
        let problems = problems(&digests, &keys, day);
        let time = |problem: &Problem| problem.window.map_or(day.now, |window| window.to);
        matches.extend(problems.iter().map(|problem| match_of(problem, &chain, time(problem))));
        keep_chain(state, &digests, &problems, day.now).await?;
    }
    raise(state, &matches, (settings, day.now)).await
}

/// What is wrong with a chain's digests, and with the log files that they sign.
fn problems(digests: &[Loaded], keys: &PublicKeys, day: Day<'_>) -> Vec<Problem> {
    let mut walk = Walk::new(keys, day.now, None);
    let mut problems = Vec::new();
    for (index, Loaded { key, name, digest, metadata }) in digests.iter().enumerate() {
        let next = digests.get(index + 1).filter(|next| next.digest.previous_object.as_ref() == Some(key));
        let evidence = match (metadata, next.and_then(|next| next.digest.previous_signature.as_deref())) {
            (Some(metadata), _) => Evidence::Metadata(metadata),
            (None, Some(signature)) => Evidence::Successor(signature),
            (None, None) => Evidence::Lost,
        };
        walk.step(&Arrived { bucket: day.bucket, key, name, digest, evidence });
        let found = |log: &LoggedFile| check_log(log, &found(log, day.logs), &name.chain, digest.window());
        problems.extend(digest.log_files.iter().filter_map(found));
    }
    problems.extend(walk.finish(None).problems);
    problems
}

fn found(log: &LoggedFile, folder: &Path) -> Found {
    match inflated(&folder.join(&log.object)) {
        Ok((text, trailing)) => Found::File(Held { sha256: sha256(&text), trailing }),
        Err(_) => Found::Nothing,
    }
}

async fn keep_chain(state: &State, digests: &[Loaded], problems: &[Problem], now: Time) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (digests.first(), digests.last()) else { return Ok(()) };
    let chain = &last.name.chain;
    let mut logs = 0;
    for Loaded { key, digest, .. } in digests {
        let of_this = |problem: &&Problem| problem.object == *key || problem.window == Some(digest.window());
        let record = DigestRecord {
            object: key.clone(),
            sha256: digest.hash.clone(),
            logs: digest.log_files.len() as u64,
            problems: problems.iter().filter(of_this).map(|problem| problem.kind.word().to_owned()).collect(),
            verified: now,
        };
        logs += record.logs;
        state.keep_digest(chain, digest.end, &record).await?;
    }
    let signature = last.metadata.as_ref().and_then(|metadata| metadata.signature.as_deref());
    let kept = ChainState {
        head: ChainHead::of(chain, &last.digest, signature),
        since: first.digest.start,
        digests: digests.len() as u64,
        logs,
        problems: problems.len() as u64,
        foreign: 0,
        compared: now,
        last_problem: (!problems.is_empty()).then_some(now),
        v: 1,
    };
    state.put_chain(&kept).await?;
    Ok(())
}

/// As `audit` does: verdicts with their history, and findings about what is to be mended.
async fn judge(state: &State, settings: &Settings, day: Day<'_>) -> anyhow::Result<()> {
    let lines = day.recording.lines().filter(|line| !line.trim().is_empty());
    let snapshots: Vec<Snapshot> =
        lines.map(|line| Snapshot::read(line.as_bytes())).collect::<Result<_, _>>().context("the trail settings")?;
    let accounts: Vec<String> = snapshots.iter().map(|snapshot| snapshot.account.clone()).collect();
    state.keep_audited(&accounts).await?;
    let member = |id: &String| Member { id: id.clone(), active: true, recorded: None };
    let mut said: Vec<Verdict> = Vec::new();
    for snapshot in &snapshots {
        let mut context = Context::new(settings, snapshot.taken);
        context.logging_account.clone_from(&settings.audit.logging_account);
        context.accounts = Some(accounts.iter().map(member).collect());
        context.state = OwnState::default();
        let view = View::new(snapshot, &context).context("a snapshot")?;
        // What rests on a deployment's own state is nothing that a recording can say.
        let of_deployment = |verdict: &Verdict| verdict.status == Status::Unknown && verdict.blind.is_empty();
        let verdicts: Vec<Verdict> = view.judge().into_iter().filter(|verdict| !of_deployment(verdict)).collect();
        keep_run(state, snapshot, &verdicts).await?;
        said.extend(verdicts);
    }
    said.retain(|verdict| verdict.status.is_finding() || verdict.status.is_blind());
    raise(state, &findings(&said, settings), (settings, day.now)).await
}

async fn keep_run(state: &State, snapshot: &Snapshot, verdicts: &[Verdict]) -> anyhow::Result<()> {
    let key = format!("snapshots/{}/{}.json", snapshot.account, snapshot.taken);
    for verdict in verdicts {
        let held = HeldVerdict { verdict: verdict.clone(), since: snapshot.taken };
        let change = VerdictChange {
            at: snapshot.taken,
            before: None,
            verdict: Some(verdict.clone()),
            region: verdict.region.clone(),
            resource: verdict.resource.clone(),
            snapshot: key.clone(),
        };
        state.keep_verdict(&held, None, &change).await?;
    }
    let mut coverage = Coverage::default();
    coverage.add(snapshot);
    let dark = coverage.cells.iter().filter(|(_, seen)| seen.is_blind());
    let blind: Vec<String> = dark.map(|((_, region, call), seen)| format!("{call} {region}: {seen:?}")).collect();
    let answered = (coverage.cells.len() - blind.len()) as u64;
    let run = AuditRun { at: snapshot.taken, baseline: key.clone(), snapshot: key, answered, blind };
    state.keep_audit_run(&snapshot.account, &run).await?;
    Ok(())
}

async fn raise(state: &State, matches: &[Match], (settings, now): (&Settings, Time)) -> anyhow::Result<()> {
    let mut ledger = Ledger::default();
    matches.iter().for_each(|found| ledger.add(found));
    for finding in ledger.findings(settings) {
        state.commit(&finding, settings, now).await?;
    }
    Ok(())
}
