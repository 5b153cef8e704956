//! What became of an account since the run before, and what follows from it: findings, their ends, history.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use trail::alert::{Resolution, Status as FindingStatus};
use trail::control::{Change, Status, Verdict, changes, findings};
use trail::finding::{Finding, Match};
use trail::ledger::Ledger;
use trail::settings::Settings;
use trail::time::Time;

use super::{AT_ONCE, Audit};
use crate::collect::Depth;
use crate::error::Error;
use crate::raise::raise;
use crate::state::{HeldVerdict, HistoryLine, VerdictChange};

/// One run over an account, beside what was held before.
pub(super) struct Run {
    held: Vec<HeldVerdict>,
    /// Of what was held, that which this run has something to say about.
    before: Vec<Verdict>,
    judged: Vec<Verdict>,
    taken: Time,
    now: Time,
}

impl Run {
    /// Where less was asked, what is not judged is as it was. So is what another run has judged by a later snapshot.
    pub(super) fn of(
        held: Vec<HeldVerdict>,
        mut judged: Vec<Verdict>,
        depth: Depth,
        (taken, now): (Time, Time),
    ) -> Self {
        let said: BTreeSet<String> = judged.iter().map(|verdict| verdict.control_id.clone()).collect();
        judged.retain(|verdict| !held.iter().any(|held| held.verdict.time > taken && is_same(&held.verdict, verdict)));
        let mut before: Vec<Verdict> = held.iter().map(|held| held.verdict.clone()).collect();
        before.retain(|verdict| verdict.time <= taken);
        before.retain(|verdict| depth == Depth::Everything || said.contains(&verdict.control_id));
        // What is said again was said then: the time of a finding is that of its first occurrence.
        for verdict in &mut judged {
            let known = held.iter().find(|held| is_same(&held.verdict, verdict));
            if let Some(known) = known.filter(|held| held.verdict.fingerprint() == verdict.fingerprint()) {
                verdict.time = known.verdict.time;
            }
        }
        Self { held, before, judged, taken, now }
    }

    pub(super) fn changes(&self) -> Vec<Change<'_>> {
        changes(&self.before, &self.judged)
    }

    fn held(&self, verdict: &Verdict) -> Option<&HeldVerdict> {
        self.held.iter().find(|held| is_same(&held.verdict, verdict))
    }

    /// What could not be seen before, and what cannot be seen now.
    fn blind(&self) -> (Vec<Verdict>, Vec<Verdict>) {
        let blind = |verdict: &&Verdict| verdict.status.is_blind();
        let held = || self.held.iter().map(|held| &held.verdict);
        let untouched = held().filter(|verdict| !self.before.contains(verdict));
        let now = untouched.chain(&self.judged).filter(blind).cloned().collect();
        (held().filter(blind).cloned().collect(), now)
    }

    /// The line of history that a change makes, the verdict that stood there, and the one that then does.
    fn line(&self, change: &Change<'_>, snapshot: &str) -> Option<Line<'_>> {
        let (before, verdict) = match change {
            Change::Said { before, now } => (*before, Some(*now)),
            Change::Resolved { before, now } => (Some(*before), *now),
            Change::Gone { before } => (Some(*before), None),
        };
        let about = verdict.or(before)?;
        let line = VerdictChange {
            at: self.now,
            before: before.map(|before| before.status),
            verdict: verdict.cloned(),
            region: about.region.clone(),
            resource: about.resource.clone(),
            snapshot: snapshot.to_owned(),
        };
        let was = self.held(about);
        let is = verdict.map(|verdict| {
            let same = was.filter(|held| held.verdict.status == verdict.status);
            HeldVerdict { verdict: verdict.clone(), since: same.map_or(self.now, |held| held.since) }
        });
        Some(Line { change: line, was, is })
    }
}

/// What is written of a change.
struct Line<'r> {
    change: VerdictChange,
    was: Option<&'r HeldVerdict>,
    is: Option<HeldVerdict>,
}

/// A control says one thing of a resource of an account.
fn is_same(a: &Verdict, b: &Verdict) -> bool {
    a.control_id == b.control_id && a.account == b.account && a.resource == b.resource
}

fn is_settled(verdict: &Verdict) -> bool {
    matches!(verdict.status, Status::Pass | Status::NotApplicable)
}

impl Audit {
    /// Writes what changed. Yields false where another run over the account was faster: then it is to be compared anew.
    pub(super) async fn keep_changes(&self, run: &Run, snapshot: &str) -> Result<bool, Error> {
        let changes = run.changes();
        let lines = changes.iter().filter_map(|change| run.line(change, snapshot));
        let writes = lines.map(|Line { change, was, is }| async move {
            let state = &self.deployment.state;
            match (was, is) {
                (was, Some(is)) => state.keep_verdict(&is, was, &change).await,
                (Some(was), None) => state.drop_verdict(was, &change).await,
                (None, None) => Ok(true),
            }
        });
        let kept: Vec<bool> = stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(kept.into_iter().all(|kept| kept))
    }

    /// Closes findings about what passes again or is gone, and that something could not be seen once all is.
    pub(super) async fn resolve(&self, run: &Run, settings: &Settings) -> Result<(), Error> {
        for change in run.changes() {
            let (about, why) = match change {
                Change::Resolved { before, now } => (before, now.map_or("the resource is gone", |now| &now.reason)),
                // It may have failed before nobody could see it.
                Change::Said { before: Some(before), now } if before.status.is_blind() && is_settled(now) => {
                    (before, now.reason.as_str())
                }
                Change::Gone { before } if before.status.is_blind() => (before, "the resource is gone"),
                _ => continue,
            };
            let failed = Verdict { status: Status::Fail, ..about.clone() };
            self.close(&[failed], why, (settings, run.now)).await?;
        }
        let (was_blind, blind) = run.blind();
        if was_blind.is_empty() || !blind.is_empty() {
            return Ok(());
        }
        self.close(&was_blind, "everything can be seen again", (settings, run.now)).await
    }

    /// What somebody has closed as expected or as a false alarm stays so.
    async fn close(&self, verdicts: &[Verdict], why: &str, (settings, now): (&Settings, Time)) -> Result<(), Error> {
        for found in findings(verdicts, settings) {
            let id = Finding::of(&found).finding_id;
            let Some(entry) = self.deployment.state.entry(&id).await? else { continue };
            if entry.status != FindingStatus::Closed || entry.resolution == Some(Resolution::Incident) {
                let line = HistoryLine::new(now, "closed as fixed", "qtrail", why);
                let status = (FindingStatus::Closed, Some(Resolution::Fixed));
                self.deployment.state.set_status(&id, status, &line).await?;
            }
        }
        Ok(())
    }

    /// Findings for everything that is to be mended, and one for what cannot be seen. What was said before merges to
    /// nothing.
    pub(super) async fn tell(&self, run: &Run, settings: &Settings) -> Result<(), Error> {
        let (_, blind) = run.blind();
        let failing = run.judged.iter().filter(|verdict| verdict.status.is_finding()).cloned();
        let said: Vec<Verdict> = failing.chain(blind).collect();
        let mut ledger = Ledger::default();
        for found in findings(&said, settings) {
            ledger.add(&self.once_more(found, run.taken).await?);
        }
        raise(&self.deployment, settings, ledger.findings(settings), run.now).await.map(drop)
    }

    /// What was fixed and is broken again is news, though the same is said of it as before: also where somebody has
    /// called it fixed and it is not. Not what was seen before it was fixed.
    async fn once_more(&self, found: Match, taken: Time) -> Result<Match, Error> {
        let state = &self.deployment.state;
        let id = Finding::of(&found).finding_id;
        let fixed = state
            .entry(&id)
            .await?
            .filter(|entry| entry.status == FindingStatus::Closed && entry.resolution == Some(Resolution::Fixed));
        let Some(entry) = fixed else { return Ok(found) };
        let history = state.history(&id).await?;
        let closed = history.iter().rev().find(|line| line.what.starts_with("closed")).map(|line| line.at);
        let is_later = closed.is_none_or(|closed| taken >= closed);
        Ok(if is_later { found.again(entry.v, taken) } else { found })
    }
}
