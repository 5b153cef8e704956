//! The trail audit: an account's settings are collected once, judged, and what changed is kept and told.
//!
//! Invoked with `{"do":"plan","depth":"everything"}` daily and `{"do":"plan","depth":"status"}` hourly, which put a
//! message for each account into a queue; with `{"do":"touched"}` every few minutes for accounts whose trails, buckets
//! or keys were changed; by that queue; and with `{"do":"account","account":"…"}` on demand.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use aws_config::SdkConfig;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use trail::alert::{Resolution, Status as FindingStatus};
use trail::control::{Change, Context, Coverage, Verdict, View, changes, findings};
use trail::finding::Finding;
use trail::ledger::Ledger;
use trail::settings::Settings;
use trail::snapshot::{Cause, Snapshot};
use trail::time::Time;

use crate::collect::{Collector, Depth, Options};
use crate::deployment::{Deployment, now};
use crate::error::Error;
use crate::raise::raise;
use crate::settings::Engines;
use crate::state::{AuditRun, HeldVerdict, HistoryLine, VerdictChange};

mod context;
pub use context::{Known, own_state};

/// Messages that are sent at the same time, and verdicts that are written.
const AT_ONCE: usize = 16;

/// How long an account may take: the function has to end before its alerts are given up.
const ACCOUNT_TIME: Duration = Duration::from_mins(2);

/// The handler behind the `audit` function.
#[derive(Debug)]
pub struct Audit {
    deployment: Deployment,
    engines: Engines,
    collector: Collector,
    known: Known,
}

impl Audit {
    /// A handler for this deployment, which asks with these credentials.
    pub async fn connect(deployment: Deployment, known: Known, config: &SdkConfig) -> Result<Self, Error> {
        let options = Options {
            home: deployment.own.account.clone(),
            role: known.role.clone(),
            external_id: known.external_id.clone(),
            logging_account: known.logging_account.clone(),
            accounts: deployment.state.audited().await?.unwrap_or_default().into_iter().collect(),
            time: ACCOUNT_TIME,
        };
        let collector = Collector::connect(config, options).await?;
        Ok(Self { deployment, engines: Engines::default(), collector, known })
    }

    /// Does what the invocation asks for. A batch of the queue is answered by the messages that failed.
    pub async fn handle(&self, invocation: Value) -> Result<Value, Error> {
        let now = now();
        let engine = self.engines.current(&self.deployment, now).await?;
        let settings = engine.settings();
        if invocation["Records"][0]["eventSource"] == "aws:sqs" {
            return Ok(self.batch(&invocation, settings, now).await);
        }
        match invocation["do"].as_str() {
            Some("plan") => self.plan(depth(&invocation)).await,
            Some("touched") => self.touched().await,
            Some("account") => {
                let account = account(&invocation)?;
                self.account(account, depth(&invocation), settings, now).await
            }
            _ => Err(Error::Configuration(
                "the invocation is none of: {\"do\":\"plan\"}, {\"do\":\"touched\"}, {\"do\":\"account\"}, a queue's batch"
                    .to_owned(),
            )),
        }
    }

    async fn batch(&self, invocation: &Value, settings: &Settings, now: Time) -> Value {
        let mut failures = Vec::new();
        for message in invocation["Records"].as_array().into_iter().flatten() {
            let body: Value =
                message["body"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let done = match account(&body) {
                Ok(account) => self.account(account, depth(&body), settings, now).await,
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                tracing::error!(%error, "an account goes back to the queue");
                failures.push(json!({"itemIdentifier": message["messageId"]}));
            }
        }
        json!({"batchItemFailures": failures})
    }

    /// One message an account, so that a thousand accounts never meet a function's time limit.
    async fn plan(&self, depth: Depth) -> Result<Value, Error> {
        let accounts = match self.collector.accounts().await {
            Ok(accounts) => accounts,
            // There is no organization: this account is all there is.
            Err(refused) if refused.cause == Cause::Absent => vec![self.collector.home().to_owned()],
            Err(refused) => {
                tracing::error!(code = refused.code, message = refused.message, "the organization's accounts");
                self.deployment.metrics.emit(&[("AuditFailures", 1)]);
                let known = self.deployment.state.audited().await?;
                known.unwrap_or_else(|| vec![self.collector.home().to_owned()])
            }
        };
        self.deployment.state.keep_audited(&accounts).await?;
        self.send(&accounts, depth).await?;
        Ok(json!({"accounts": accounts.len()}))
    }

    async fn touched(&self) -> Result<Value, Error> {
        let touched = self.deployment.state.touched().await?;
        let audited = self.deployment.state.audited().await?;
        let ours = |account: &String| audited.as_ref().is_none_or(|audited| audited.contains(account));
        let accounts: Vec<String> = touched.iter().filter(|account| ours(account)).cloned().collect();
        self.send(&accounts, Depth::Everything).await?;
        for account in &touched {
            self.deployment.state.looked_at(account).await?;
        }
        Ok(json!({"accounts": accounts.len()}))
    }

    async fn send(&self, accounts: &[String], depth: Depth) -> Result<(), Error> {
        let word = if depth == Depth::Status { "status" } else { "everything" };
        let sends = accounts.iter().map(|account| async move {
            let message = json!({"account": account, "depth": word}).to_string();
            let sent = self.collector.send(&self.known.queue, &message).await;
            sent.map_err(|refused| {
                Error::Configuration(format!("queue {}: {} {}", self.known.queue, refused.code, refused.message))
            })
        });
        stream::iter(sends).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Collects, judges, keeps and tells.
    async fn account(&self, account: &str, depth: Depth, settings: &Settings, now: Time) -> Result<Value, Error> {
        let context = self.context(account, settings, now).await?;
        let snapshot = self.collector.snapshot(account, depth).await;
        let held = self.deployment.state.verdicts(account).await?;
        let judged = judge(&snapshot, &context, depth)?;
        // Where less was asked, what is not judged is as it was.
        let said: BTreeSet<&str> = judged.iter().map(|verdict| verdict.control_id.as_str()).collect();
        let mut before: Vec<Verdict> = held.iter().map(|held| held.verdict.clone()).collect();
        before.retain(|verdict| depth == Depth::Everything || said.contains(verdict.control_id.as_str()));
        let changed = changes(&before, &judged);
        let key =
            if depth == Depth::Everything || !changed.is_empty() { self.keep(&snapshot).await? } else { String::new() };
        let run = Run { held: &held, changed: &changed, snapshot: &key, now };
        self.keep_changes(&run).await?;
        self.resolve(&run, settings).await?;
        self.tell(&judged, settings, now).await?;
        if depth == Depth::Everything {
            self.deployment.state.keep_audit_run(account, &seen(&snapshot, &key, now)).await?;
        }
        let failing = judged.iter().filter(|verdict| verdict.status.is_finding()).count();
        let blind = judged.iter().filter(|verdict| verdict.status.is_blind()).count();
        tracing::info!(account, verdicts = judged.len(), changed = changed.len(), failing, blind, "audited");
        self.deployment.metrics.emit(&[("AccountsAudited", 1)]);
        Ok(json!({"verdicts": judged.len(), "changed": changed.len(), "failing": failing, "blind": blind}))
    }

    /// The raw answers, which verdicts rest on.
    async fn keep(&self, snapshot: &Snapshot) -> Result<String, Error> {
        let text = serde_json::to_vec(snapshot).map_err(|e| Error::Item(e.to_string()))?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(&text).and_then(|()| encoder.finish());
        let bytes = written.map_err(|e| Error::Item(format!("a snapshot: {e}")))?;
        let data = &self.deployment.data;
        let name = format!("{}.json.gz", snapshot.taken.to_string().replace([':', '-'], ""));
        let path = data.join(&["evidence", "snapshots", &snapshot.account, &name]);
        data.put(&path, bytes).await?;
        Ok(path.to_string())
    }

    async fn keep_changes(&self, run: &Run<'_>) -> Result<(), Error> {
        let writes = run.changed.iter().map(|change| self.keep_change(run, change));
        stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn keep_change(&self, run: &Run<'_>, change: &Change<'_>) -> Result<(), Error> {
        let state = &self.deployment.state;
        let (before, verdict) = match change {
            Change::Said { before, now } => (*before, Some(*now)),
            Change::Resolved { before, now } => (Some(*before), *now),
        };
        let Some(about) = verdict.or(before) else { return Ok(()) };
        let line = VerdictChange {
            at: run.now,
            before: before.map(|before| before.status),
            verdict: verdict.cloned(),
            region: about.region.clone(),
            resource: about.resource.clone(),
            snapshot: run.snapshot.to_owned(),
        };
        match verdict {
            Some(verdict) => {
                let since = run.since(before, verdict);
                state.keep_verdict(&HeldVerdict { verdict: verdict.clone(), since }, &line).await
            }
            None => state.drop_verdict(about, &line).await,
        }
    }

    /// Closes findings about what passes again, and that something could not be seen once all is.
    async fn resolve(&self, run: &Run<'_>, settings: &Settings) -> Result<(), Error> {
        for change in run.changed {
            if let Change::Resolved { before, now } = change {
                let why = now.map_or("the resource is gone", |now| now.reason.as_str());
                self.close(std::slice::from_ref(*before), why, (settings, run.now)).await?;
            }
        }
        let mut now_blind = run.changed.iter().filter_map(|change| match change {
            Change::Said { now, .. } => Some(now.status.is_blind()),
            Change::Resolved { .. } => None,
        });
        let was_blind: Vec<Verdict> =
            run.held.iter().map(|held| &held.verdict).filter(|verdict| verdict.status.is_blind()).cloned().collect();
        let still = was_blind.iter().any(|old| !run.changed.iter().any(|change| is_about(change, old)));
        if was_blind.is_empty() || still || now_blind.any(|blind| blind) {
            return Ok(());
        }
        self.close(&was_blind, "everything can be seen again", (settings, run.now)).await
    }

    async fn close(&self, verdicts: &[Verdict], why: &str, (settings, now): (&Settings, Time)) -> Result<(), Error> {
        for found in findings(verdicts, settings) {
            let id = Finding::of(&found).finding_id;
            let open = self.deployment.state.entry(&id).await?.filter(|entry| entry.status != FindingStatus::Closed);
            if open.is_some() {
                let line = HistoryLine::new(now, "closed as fixed", "qtrail", why);
                let status = (FindingStatus::Closed, Some(Resolution::Fixed));
                self.deployment.state.set_status(&id, status, &line).await?;
            }
        }
        Ok(())
    }

    /// Findings for everything that is to be mended. What was said before merges to nothing.
    async fn tell(&self, judged: &[Verdict], settings: &Settings, now: Time) -> Result<(), Error> {
        let mut ledger = Ledger::default();
        findings(judged, settings).iter().for_each(|found| ledger.add(found));
        raise(&self.deployment, settings, ledger.findings(settings), now).await.map(drop)
    }
}

/// What a run over one account found changed.
struct Run<'r> {
    held: &'r [HeldVerdict],
    changed: &'r [Change<'r>],
    snapshot: &'r str,
    now: Time,
}

impl Run<'_> {
    /// Since when the status is what it now is.
    fn since(&self, before: Option<&Verdict>, verdict: &Verdict) -> Time {
        let same = before.is_some_and(|before| before.status == verdict.status);
        let held = self.held.iter().find(|held| is_same(&held.verdict, verdict));
        held.filter(|_| same).map_or(self.now, |held| held.since)
    }
}

fn is_same(a: &Verdict, b: &Verdict) -> bool {
    a.control_id == b.control_id && a.account == b.account && a.region == b.region && a.resource == b.resource
}

fn is_about(change: &Change<'_>, verdict: &Verdict) -> bool {
    match change {
        Change::Said { now, .. } => is_same(now, verdict),
        Change::Resolved { before, .. } => is_same(before, verdict),
    }
}

/// What the controls say. Where only the status of trails was asked, those that want more say nothing.
fn judge(snapshot: &Snapshot, context: &Context, depth: Depth) -> Result<Vec<Verdict>, Error> {
    let view = View::new(snapshot, context).map_err(|e| Error::Configuration(e.to_string()))?;
    Ok(if depth == Depth::Status { view.judge_asked() } else { view.judge() })
}

fn seen(snapshot: &Snapshot, key: &str, now: Time) -> AuditRun {
    let mut coverage = Coverage::default();
    coverage.add(snapshot);
    let blind: BTreeSet<String> = coverage
        .cells
        .iter()
        .filter(|(_, seen)| seen.is_blind())
        .map(|((_, region, call), seen)| format!("{call} {region}: {seen:?}"))
        .collect();
    let answered = coverage.cells.values().filter(|seen| !seen.is_blind()).count() as u64;
    AuditRun { at: now, snapshot: key.to_owned(), answered, blind: blind.into_iter().collect() }
}

fn depth(message: &Value) -> Depth {
    if message["depth"] == "status" { Depth::Status } else { Depth::Everything }
}

fn account(message: &Value) -> Result<&str, Error> {
    let account = message["account"].as_str().unwrap_or_default();
    if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(account);
    }
    Err(Error::Configuration(format!("an audit is asked for account `{account}`, which is none")))
}
