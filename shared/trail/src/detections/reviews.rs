//! What the access review finds: these stem from decisions and what came of them, not from one record.

use crate::detection::{Category, Detection, Severity};
use crate::finding::{Match, ObjectFact};
use crate::time::Time;

pub(super) const ALL: &[&Detection] = &[&ACCESS_REAPPEARED, &REVIEW_OVERDUE, &REVIEW_LATE];

/// A century, in seconds: one finding that goes on.
const ONE_FINDING: i64 = 36_500 * 86_400;

/// Access that a review took away is there again.
pub static ACCESS_REAPPEARED: Detection = Detection {
    id: "review-access-reappeared",
    title: "Access that a review took away is there again",
    category: Category::IamChange,
    severity: Severity::Critical,
    techniques: &["T1098"],
    why: "Somebody decided that this access ends, and it was removed. Whoever gave it back did not ask, or somebody \
          kept a way in.",
    runbook: &[
        "See who did it, by the record that the finding names: qtrail review show REVIEW SUBJECT",
        "Ask the reviewer whether the access was given back on purpose: then the next review has to say so",
        "Not expected: remove it again, end the sessions, look at the actor who gave it back",
    ],
    window: ONE_FINDING,
    lowerable: false,
    ..Detection::BASE
};

/// Access that a review took away is still there after the day it was due.
pub static REVIEW_OVERDUE: Detection = Detection {
    id: "review-overdue",
    title: "Access that was revoked is still there",
    category: Category::IamChange,
    severity: Severity::High,
    why: "It was decided that this access ends. No record shows that it did, and an auditor will ask why.",
    runbook: &[
        "See what is left of it: qtrail review show REVIEW SUBJECT",
        "Carry it out, or let the reviewer decide anew with a justification",
    ],
    window: ONE_FINDING,
    ..Detection::BASE
};

/// A review is not finished in time, or there was none.
pub static REVIEW_LATE: Detection = Detection {
    id: "review-late",
    title: "Access review late or missed",
    category: Category::Other,
    severity: Severity::High,
    why: "One missed cycle is an exception in the report of an auditor.",
    runbook: &[
        "See what is missing: qtrail review show REVIEW",
        "Have the reviewers decide, and an approver sign off; the report will say that it was late",
    ],
    window: ONE_FINDING,
    ..Detection::BASE
};

/// What a finding of the review is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The review's id.
    pub review: &'a str,
    /// The subject's id; empty for the whole review.
    pub subject: &'a str,
    /// The account; `*` for several.
    pub account: &'a str,
    /// When it became so.
    pub time: Time,
    /// What is the matter, as the object of a sentence.
    pub what: &'a str,
    /// The occurrence: the same said again is the same one.
    pub occurrence: &'a str,
}

/// A finding of the review: one thread for each subject, or review.
pub fn found(detection: &'static Detection, about: &About<'_>) -> Match {
    let About { review, subject, account, time, what, occurrence } = *about;
    let id = format!("{review} {subject} {occurrence}");
    let detail = format!("Review {review}.");
    let fact = ObjectFact { id: &id, account, region: "", time, what, detail: &detail };
    let key = if subject.is_empty() { review } else { subject };
    Match { key: format!("{review} {key}"), resources: vec![key.to_owned()], ..Match::of_object(detection, &fact) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;

    #[test]
    fn the_same_said_again_is_one_finding() {
        let about = About {
            review: "2026-Q4",
            subject: "arn:aws:iam::111122223333:user/dave",
            account: "111122223333",
            time: Time(1_795_000_000),
            what: "CreateUser dave",
            occurrence: "record-1",
        };
        let mut first = Finding::of(&found(&ACCESS_REAPPEARED, &about));
        let again = Finding::of(&found(&ACCESS_REAPPEARED, &About { time: Time(1_800_000_000), ..about }));
        assert_eq!((first.severity, first.finding_id.clone()), (Severity::Critical, again.finding_id.clone()));
        first.merge(&again);
        assert_eq!(first.event_count(), 1);
        let other = Finding::of(&found(&ACCESS_REAPPEARED, &About { subject: "arn:other", ..about }));
        assert_ne!(first.finding_id, other.finding_id);
    }
}
