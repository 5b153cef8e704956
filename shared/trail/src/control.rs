//! What is looked for in trail settings: controls, and the verdicts that they give.
//!
//! A [`Control`] is one value that says everything about itself. It judges a [`Snapshot`](crate::snapshot::Snapshot),
//! in which every answer is already there: judging asks nothing, and the same snapshot is always judged alike. What
//! could not be looked at is [`Status::Unknown`] or [`Status::Error`], never a pass, and never left out.

use std::fmt;

use crate::detection::{Category, Detection, Severity};

mod context;
mod coverage;
mod findings;
mod look;
mod question;
mod text;
mod verdict;
mod view;

pub use context::{Context, Earlier, Matters, Member, OwnState, Price, Silence, Touch};
pub use coverage::{Coverage, Seen};
pub use findings::{CANNOT_SEE, Change, changes, findings};
pub(crate) use look::{Look, Recording};
pub(crate) use look::{json_argument, said_list, shell, time_of};
pub(crate) use question::CALLS;
pub use question::{QUESTIONS, Question, Scope, permission, permissions};
pub use text::{last_line, verdict_json, verdict_lines, verdict_ocsf};
pub use verdict::{Blind, Evidence, Status, Verdict};
pub use view::{Asked, Trail, View};
pub(crate) use view::{asked, region_of};

/// What is looked for in trail settings. One value says everything: catalogue, permissions and tests are derived.
#[derive(Debug)]
pub struct Control {
    /// Stable and unique, in kebab case: `trail-multi-region`.
    pub id: &'static str,
    /// What has to be so, as a headline.
    pub title: &'static str,
    /// How bad a failure is unless the judgement says otherwise.
    pub severity: Severity,
    /// Where frameworks ask for it.
    pub references: References,
    /// The questions whose answers it reads: [`QUESTIONS`] has them all.
    pub calls: &'static [&'static str],
    /// Gives the verdicts: at least one, also where nothing could be seen.
    pub(crate) judge: fn(&Look<'_>) -> Vec<Verdict>,
    /// Why it matters: a sentence or two for somebody who has to mend it.
    pub why: &'static str,
    /// What to do first, in order.
    pub runbook: &'static [&'static str],
}

impl Control {
    /// What most controls have in common.
    pub(crate) const BASE: Self = Self {
        id: "",
        title: "",
        severity: Severity::Medium,
        references: References::NONE,
        calls: &[],
        judge: |_| Vec::new(),
        why: "",
        runbook: &[],
    };

    /// What this control says of an account. Always something.
    pub fn judge(&'static self, view: &View<'_>) -> Vec<Verdict> {
        let look = Look::new(view, self);
        let verdicts = (self.judge)(&look);
        if verdicts.is_empty() {
            return vec![look.unknown(look.account(), "nothing was said about it")];
        }
        verdicts
    }

    /// The IAM permissions that its questions need, sorted.
    pub fn permissions(&self) -> Vec<&'static str> {
        let mut permissions: Vec<_> = self.calls.iter().filter_map(|call| permission(call)).collect();
        permissions.sort_unstable();
        permissions.dedup();
        permissions
    }

    /// As a detection: what findings about it are titled and explained with.
    pub(crate) fn detection(&self) -> Detection {
        Detection {
            id: self.id,
            title: self.title,
            category: Category::TrailSettings,
            severity: self.severity,
            why: self.why,
            runbook: self.runbook,
            window: findings::OPEN_UNTIL_PASS,
            ..Detection::BASE
        }
    }
}

/// Where frameworks ask for a control.
#[derive(Debug, Clone, Copy)]
pub struct References {
    /// Items of the CIS AWS Foundations Benchmark, for each of [`CIS_VERSIONS`]; empty where it has none.
    pub cis: [&'static str; 3],
    /// Any others: framework and item.
    pub others: &'static [(&'static str, &'static str)],
}

/// Versions of the CIS AWS Foundations Benchmark that number what we look for alike.
pub const CIS_VERSIONS: [&[&str]; 3] = [&["1.4", "1.5", "2.0"], &["3.0", "4.0", "5.0"], &["6.0", "7.0"]];

impl References {
    /// No framework asks for it.
    pub const NONE: Self = Self { cis: ["", "", ""], others: &[] };

    /// Every reference by itself: `CIS 3.0 3.1`, `Security Hub CloudTrail.1`.
    pub fn all(&self) -> Vec<String> {
        let cis = CIS_VERSIONS.iter().zip(self.cis).filter(|(_, item)| !item.is_empty());
        let cis = cis.flat_map(|(versions, item)| versions.iter().map(move |version| format!("CIS {version} {item}")));
        cis.chain(self.others.iter().map(|(framework, item)| format!("{framework} {item}"))).collect()
    }
}

impl fmt::Display for References {
    /// For one line: `CIS 3.0 3.1, 7.0 4.1`; the newest version that asks where those two do not; else Security Hub.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cis {
            ["", "", ""] => match self.others.iter().find(|(framework, _)| *framework == "Security Hub") {
                Some((framework, item)) => write!(f, "{framework} {item}"),
                None => Ok(()),
            },
            [old, "", ""] => write!(f, "CIS 2.0 {old}"),
            [_, middle, ""] => write!(f, "CIS 5.0 {middle}"),
            [_, "", new] => write!(f, "CIS 7.0 {new}"),
            [_, middle, new] => write!(f, "CIS 3.0 {middle}, 7.0 {new}"),
        }
    }
}
