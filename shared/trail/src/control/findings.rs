//! From verdicts to findings, and what changed between two runs.
//!
//! A failing control on one resource is one finding, open until the control passes: it has one id for ever. A verdict
//! that says the same again is the same occurrence, so that looking daily adds nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::context::by_resource;
use super::{Status, Verdict};
use crate::detection::{Category, Detection, Severity};
use crate::finding::{Match, VerdictFact};
use crate::settings::Settings;

/// A window that never ends: about 9,500 years, in seconds, in steps of the buckets that windows are made of.
pub(super) const OPEN_UNTIL_PASS: i64 = 300_000_000_000;

/// Something could not be looked at: one finding an account, whatever it is.
pub static CANNOT_SEE: Detection = Detection {
    id: "trail-settings-unseen",
    title: "Trail settings that could not be looked at",
    category: Category::TrailSettings,
    severity: Severity::Medium,
    why: "What nobody can look at may be switched off. Nothing is said about these settings until they can be seen.",
    runbook: &[
        "See which questions were refused: qtrail audit",
        "Update the StackSet that grants the audit role its permissions",
        "A service control policy may refuse it too",
    ],
    window: OPEN_UNTIL_PASS,
    ..Detection::BASE
};

/// The findings of a run: one for each control and resource to be mended, and one for each account of which something
/// could not be seen. Verdicts that pass or do not apply give none.
pub fn findings(verdicts: &[Verdict], settings: &Settings) -> Vec<Match> {
    let failing = verdicts.iter().filter(|verdict| verdict.status.is_finding());
    let mut found: Vec<Match> = failing.filter_map(|verdict| finding(verdict, settings)).collect();
    let mut blind: BTreeMap<&str, Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts.iter().filter(|verdict| verdict.status.is_blind()) {
        blind.entry(&verdict.account).or_default().push(verdict);
    }
    found.extend(blind.values().filter_map(|verdicts| cannot_see(verdicts, settings)));
    found
}

fn finding(verdict: &Verdict, settings: &Settings) -> Option<Match> {
    let detection = crate::controls::detection(&verdict.control_id)?;
    let title = detection.title;
    let what = format!("{}: {}", verdict.control_id, verdict.reason);
    Some(Match::of_verdict(
        detection,
        &VerdictFact {
            account: &verdict.account,
            region: &verdict.region,
            time: verdict.time,
            severity: verdict.severity,
            key: &verdict.resource,
            occurrence: &verdict.fingerprint(),
            what: &what,
            detail: title,
        },
        settings,
    ))
}

fn cannot_see(verdicts: &[&Verdict], settings: &Settings) -> Option<Match> {
    let first = verdicts.first()?;
    let controls: BTreeSet<&str> = verdicts.iter().map(|verdict| verdict.control_id.as_str()).collect();
    let severity = verdicts.iter().map(|verdict| verdict.severity).max()?;
    let worst = verdicts.iter().max_by_key(|verdict| verdict.severity)?;
    let what = format!("{} controls could not be judged; {}: {}", controls.len(), worst.control_id, worst.reason);
    let occurrence: Vec<&str> = controls.into_iter().collect();
    Some(Match::of_verdict(
        &CANNOT_SEE,
        &VerdictFact {
            account: &first.account,
            region: "",
            time: verdicts.iter().map(|verdict| verdict.time).max()?,
            // Not to see is one step less than to see the worst.
            severity: if severity >= Severity::High { Severity::High } else { Severity::Medium },
            key: &first.account,
            occurrence: &occurrence.join(" "),
            what: &what,
            detail: &worst.remediation,
        },
        settings,
    ))
}

/// What became of a control on a resource between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'v> {
    /// It was not judged before, or says something else now.
    Said {
        /// The verdict before, if any.
        before: Option<&'v Verdict>,
        /// The verdict now.
        now: &'v Verdict,
    },
    /// The finding about it can be closed: it passes, does not apply any more, or the resource is gone.
    Resolved {
        /// The verdict before, which was to be mended.
        before: &'v Verdict,
        /// The verdict now; `None` where the resource is gone.
        now: Option<&'v Verdict>,
    },
    /// Nothing is said of the resource any more, and nothing was to be mended about it.
    Gone {
        /// The verdict before.
        before: &'v Verdict,
    },
}

/// What changed between two runs over the same account. The first run is a change from nothing. What cannot be seen
/// any more resolves nothing: also a resource that is missing from a run in which its control could not look.
pub fn changes<'v>(before: &'v [Verdict], now: &'v [Verdict]) -> Vec<Change<'v>> {
    let (old, new) = (by_resource(before), by_resource(now));
    let blind: BTreeSet<(&str, &str)> = now
        .iter()
        .filter(|verdict| verdict.status.is_blind())
        .map(|verdict| (verdict.control_id.as_str(), verdict.account.as_str()))
        .collect();
    let mut changes = Vec::new();
    for (key, verdict) in &new {
        let before = old.get(key).copied();
        let same = before.is_some_and(|before| before.fingerprint() == verdict.fingerprint());
        match before {
            Some(before) if before.status.is_finding() && is_settled(verdict.status) => {
                changes.push(Change::Resolved { before, now: Some(verdict) });
            }
            before if !same => changes.push(Change::Said { before, now: verdict }),
            _ => {}
        }
    }
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
    let gone = gone.filter(|((control, account, _), _)| !blind.contains(&(*control, *account)));
    changes.extend(gone.map(|(_, before)| {
        if before.status.is_finding() { Change::Resolved { before, now: None } } else { Change::Gone { before } }
    }));
    changes
}

fn is_settled(status: Status) -> bool {
    matches!(status, Status::Pass | Status::NotApplicable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Context;
    use crate::controls::testing::{ACCOUNT, Account, denied};
    use crate::finding::Finding;

    fn stopped() -> Account {
        let mut account = Account::with_trail();
        account.set("cloudtrail:GetTrailStatus", "IsLogging", false);
        account
    }

    #[test]
    fn a_failure_is_one_finding_for_ever() {
        let verdicts = stopped().verdicts(&Context::default());
        let found = findings(&verdicts, &Settings::default());
        let of = |found: &[Match]| {
            found.iter().map(Finding::of).find(|f| f.detection_id == "trail-multi-region").expect("a finding")
        };
        let first = of(&found);
        assert_eq!((first.category, first.account.as_str()), (Category::TrailSettings, ACCOUNT));
        let mut later = verdicts.clone();
        later.iter_mut().for_each(|verdict| verdict.time.0 += 86_400 * 400);
        let second = of(&findings(&later, &Settings::default()));
        assert_eq!(first.finding_id, second.finding_id);
        let mut merged = first.clone();
        merged.merge(&second);
        assert_eq!(merged.event_count(), 1, "the same said twice is one occurrence");
        assert!(crate::alert::finding_line(&first, &Settings::default()).contains("is stopped"));
        let told = crate::alert::finding_json(&first, &Settings::default());
        assert_eq!(told["title"], crate::controls::find("trail-multi-region").expect("a control").title);
    }

    #[test]
    fn what_cannot_be_seen_is_one_finding_an_account() {
        let mut account = Account::with_trail();
        account.refuse_all(&denied());
        let found = findings(&account.verdicts(&Context::default()), &Settings::default());
        let blind: Vec<&Match> = found.iter().filter(|m| m.detection.id == CANNOT_SEE.id).collect();
        assert_eq!(blind.len(), 1);
        assert_eq!(blind[0].lead.severity, Severity::High);
        assert!(crate::detections::find(CANNOT_SEE.id).is_some());
    }

    #[test]
    fn changes_between_runs() {
        let context = Context::default();
        let (bad, good) = (stopped().verdicts(&context), Account::with_trail().verdicts(&context));
        let about = |changes: &[Change<'_>]| {
            let of = |change: &&Change<'_>| match change {
                Change::Said { now, .. } => now.control_id == "trail-multi-region",
                Change::Resolved { before, .. } | Change::Gone { before } => before.control_id == "trail-multi-region",
            };
            changes.iter().filter(of).map(|c| matches!(c, Change::Resolved { .. })).collect::<Vec<_>>()
        };
        assert_eq!(about(&changes(&[], &bad)), [false]);
        assert_eq!(about(&changes(&bad, &good)), [true]);
        assert!(changes(&good, &good).is_empty());
        let mut dark = Account::with_trail();
        dark.refuse_all(&denied());
        let dark = dark.verdicts(&context);
        assert_eq!(about(&changes(&bad, &dark)), [false], "what cannot be seen resolves nothing");
    }
}
