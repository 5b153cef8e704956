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
use trail::alert::Status as FindingStatus;
use trail::control::{Context, Coverage, Earlier, Status, Verdict, View, findings};
use trail::finding::Finding;
use trail::settings::Settings;
use trail::snapshot::{Cause, Snapshot};
use trail::time::Time;

use crate::collect::{Collector, Depth, Options};
use crate::deployment::{Deployment, now};
use crate::error::Error;
use crate::settings::Engines;
use crate::state::AuditRun;

mod context;
mod run;

pub use context::{Known, own_state};
use run::Run;

/// Messages that are sent at the same time, and verdicts that are written.
const AT_ONCE: usize = 16;

/// How often verdicts are written against other runs over the same account.
const RACES: usize = 4;

/// The control that compares with an earlier snapshot.
const COMPARED: &str = "trail-not-weakened";

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
        let engine = self.engines.current(&self.deployment, now()).await?;
        let settings = engine.settings();
        if invocation["Records"][0]["eventSource"] == "aws:sqs" {
            return Ok(self.batch(&invocation, settings).await);
        }
        match invocation["do"].as_str() {
            Some("plan") => self.plan(depth(&invocation)).await,
            Some("touched") => self.touched().await,
            Some("account") => {
                let account = account(&invocation)?;
                self.account(account, depth(&invocation), settings).await
            }
            _ => Err(Error::Configuration(
                "the invocation is none of: {\"do\":\"plan\"}, {\"do\":\"touched\"}, {\"do\":\"account\"}, a queue's batch"
                    .to_owned(),
            )),
        }
    }

    async fn batch(&self, invocation: &Value, settings: &Settings) -> Value {
        let mut failures = Vec::new();
        for message in invocation["Records"].as_array().into_iter().flatten() {
            let body: Value =
                message["body"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let done = match account(&body) {
                Ok(account) => self.account(account, depth(&body), settings).await,
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
        let accounts: Vec<String> = touched.iter().map(|(account, _)| account).filter(|a| ours(a)).cloned().collect();
        self.send(&accounts, Depth::Everything).await?;
        for (account, by) in &touched {
            self.deployment.state.looked_at(account, by).await?;
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

    /// Collects, judges, tells and keeps. What is kept is written last: a run that dies before is done again whole, and
    /// telling and closing again changes nothing.
    async fn account(&self, account: &str, depth: Depth, settings: &Settings) -> Result<Value, Error> {
        let now = now();
        let context = self.context(account, settings, now).await?;
        self.collector.know(context.accounts.iter().flatten().map(|member| member.id.clone()));
        let snapshot = self.collector.snapshot(account, depth).await;
        let judged = judge(&snapshot, &context, depth)?;
        let mut key = String::new();
        let mut changed = None;
        for _ in 0..RACES {
            let held = self.deployment.state.verdicts(account).await?;
            let run = Run::of(held, judged.clone(), depth, (snapshot.taken, now));
            if key.is_empty() && (depth == Depth::Everything || !run.changes().is_empty()) {
                key = self.keep(&snapshot).await?;
            }
            self.tell(&run, settings).await?;
            self.resolve(&run, settings).await?;
            if self.keep_changes(&run, &key).await? {
                changed = Some(run.changes().len());
                break;
            }
        }
        let Some(changed) = changed else { return Err(Error::Contended(format!("the verdicts on account {account}"))) };
        if depth == Depth::Everything {
            self.keep_run(&snapshot, &key, (&judged, &context)).await?;
        }
        let failing = judged.iter().filter(|verdict| verdict.status.is_finding()).count();
        let blind = judged.iter().filter(|verdict| verdict.status.is_blind()).count();
        tracing::info!(account, verdicts = judged.len(), changed, failing, blind, "audited");
        self.deployment.metrics.emit(&[("AccountsAudited", 1)]);
        Ok(json!({"verdicts": judged.len(), "changed": changed, "failing": failing, "blind": blind}))
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

    /// Keeps what the run could see, and what the next one compares with: not a state that is weaker than the one before
    /// as long as nobody has accepted it, or the weakness would be forgotten by looking twice.
    async fn keep_run(
        &self,
        snapshot: &Snapshot,
        key: &str,
        (judged, context): (&[Verdict], &Context),
    ) -> Result<(), Error> {
        let state = &self.deployment.state;
        let mut run = seen(snapshot, key, context.now);
        let known = state.audit_run(&snapshot.account).await?.map(|run| run.baseline).unwrap_or_default();
        let compared = judged.iter().filter(|verdict| verdict.control_id == COMPARED);
        let mut accepted = true;
        for verdict in compared.filter(|verdict| !matches!(verdict.status, Status::Pass | Status::NotApplicable)) {
            let entry = match findings(std::slice::from_ref(verdict), &context.settings).first() {
                Some(found) if verdict.status.is_finding() => state.entry(&Finding::of(found).finding_id).await?,
                _ => None,
            };
            accepted &= entry.is_some_and(|entry| entry.status == FindingStatus::Closed);
        }
        let is_new = accepted || known.is_empty() || context.earlier == Earlier::Unknown;
        run.baseline = if is_new { key.to_owned() } else { known };
        state.keep_audit_run(&snapshot.account, &run).await
    }
}

/// What the controls say. Where only the status of trails was asked, those that want more say nothing.
fn judge(snapshot: &Snapshot, context: &Context, depth: Depth) -> Result<Vec<Verdict>, Error> {
    let view = View::new(snapshot, context).map_err(|e| Error::Configuration(e.to_string()))?;
    Ok(depth.calls().map_or_else(|| view.judge(), |calls| view.judge_by(calls)))
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
    AuditRun { at: now, snapshot: key.to_owned(), answered, blind: blind.into_iter().collect(), ..AuditRun::default() }
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
