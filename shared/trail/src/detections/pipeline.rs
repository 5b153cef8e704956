//! Whether log files arrive and are read at all. These need no attacker's record: silence is what they are about.

use crate::canary::{NAME, SOURCE, marker};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};

pub(super) const ALL: &[&Detection] = &[&PIPELINE_CANARY, &ACCOUNT_SILENT];

/// A century, in seconds: one finding that goes on, rather than one more each hour.
const ONE_FINDING: i64 = 36_500 * 86_400;

/// The canary of this stack came through.
pub static PIPELINE_CANARY: Detection = Detection {
    id: "pipeline-canary",
    title: "The canary came through",
    category: Category::Other,
    severity: Severity::Informational,
    wants: &[Want::Calls(SOURCE, &[NAME])],
    check: canary,
    window: ONE_FINDING,
    why: "Each hour a synthetic log file is put into the data bucket and goes the way of a real one. This finding is \
          the proof that it arrived. Nobody is alerted about it; an alarm goes on when it is missing for two hours.",
    runbook: &["Nothing: `qtrail status` says when the last one came through"],
    ..Detection::BASE
};

/// A canary's record in a real log file was put there by somebody, and proves nothing.
fn canary(case: &Case<'_>) -> Option<Catch> {
    let own = &case.settings.own;
    let is_own = !own.stack.is_empty() && case.account == own.account && case.record.parameter("marker") == marker(own);
    let deed = || Deed::new("", "", format!("the canary of stack {} came through", own.stack));
    (case.canary && is_own).then(|| Catch::new(deed()).key(own.stack.as_str()))
}

/// A region of an account, or all of it, is not heard any more: see [`crate::silence`].
pub static ACCOUNT_SILENT: Detection = Detection {
    id: "account-silent",
    title: "An account or region fell silent",
    category: Category::Integrity,
    severity: Severity::High,
    techniques: &["T1562.008"],
    why: "Either nothing happens there any more, or what happens is no longer recorded or delivered.",
    runbook: &[
        "Is the trail logging in that region? aws cloudtrail get-trail-status --name TRAIL --region REGION",
        "Who changed the trail, its selectors, its bucket or its key? Look for findings of trail tampering",
        "Was the region or the account given up? Close the finding as expected: it then no longer keeps the alarm on",
    ],
    lowerable: false,
    ..Detection::BASE
};
