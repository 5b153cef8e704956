//! What AWS signed and what is there do not agree. These stem from no record; see [`crate::digest`].

use crate::detection::{Category, Detection, Severity};
use crate::digest::{Chain, Problem, ProblemKind};
use crate::finding::{Match, ObjectFact};
use crate::time::Time;

pub(super) const ALL: &[&Detection] = &[
    &DIGEST_MISSING,
    &DIGEST_CHANGED,
    &DIGEST_UNPROVEN,
    &DIGEST_GAP,
    &SIGNED_LOG_MISSING,
    &SIGNED_LOG_CHANGED,
    &LOG_UNSIGNED,
];

/// A finding goes on for a day: digests come hourly, and whoever deletes one deletes more.
const DAY: i64 = 86_400;

const BASE: Detection = Detection {
    category: Category::Integrity,
    severity: Severity::Critical,
    techniques: &["T1070"],
    window: DAY,
    lowerable: false,
    ..Detection::BASE
};

/// A digest did not come, or is gone.
static DIGEST_MISSING: Detection = Detection {
    id: "digest-missing",
    title: "A digest of CloudTrail is missing",
    why: "CloudTrail signs a digest each hour while a trail logs, also when nothing happened. Without it nobody can tell \
          which log files of that hour were deleted.",
    runbook: &[
        "Is the trail logging, with log file validation on? aws cloudtrail get-trail-status --name TRAIL",
        "See LatestDigestDeliveryError there: the bucket's or the key's policy may refuse CloudTrail",
        "Otherwise find who deleted objects below CloudTrail-Digest/: S3 data events or access logs of the bucket",
    ],
    ..BASE
};

/// A digest is not what AWS signed, or not where.
static DIGEST_CHANGED: Detection = Detection {
    id: "digest-changed",
    title: "A digest of CloudTrail was changed, moved or replaced",
    techniques: &["T1565.001", "T1070"],
    why: "Its signature, its place, its window or its link to the digest before does not hold. AWS never writes such a \
          digest: somebody with write access to the log bucket did.",
    runbook: &[
        "Find who wrote this version of the object: S3 data events or server access logs of the bucket",
        "Compare with the object's earlier versions",
        "Take write access to the bucket from everybody but CloudTrail",
    ],
    ..BASE
};

/// A digest that proves nothing.
static DIGEST_UNPROVEN: Detection = Detection {
    id: "digest-unproven",
    title: "A digest of CloudTrail could not be verified",
    severity: Severity::High,
    why: "It could not be read, or it was signed by a key that AWS does not name. Until that is settled nothing is proven \
          about its hour.",
    runbook: &[
        "Ask AWS for its keys: aws cloudtrail list-public-keys --start-time … --end-time … in the chain's region",
        "May the function read the object and its key? See its log",
    ],
    ..BASE
};

/// A chain begins anew and nobody's call says why.
static DIGEST_GAP: Detection = Detection {
    id: "digest-gap-unexplained",
    title: "A chain of digests was interrupted, and no record says by whom",
    why: "A chain begins anew after logging or validation was switched off and on. Then a record of StopLogging, \
          UpdateTrail or DeleteTrail lies before the gap. There is none: the digests between, and the log files that they \
          named, may have been deleted.",
    runbook: &[
        "Look the trail's changes up in CloudTrail's event history of its home region",
        "Look for deleted objects below CloudTrail-Digest/ and their versions",
    ],
    ..BASE
};

/// A log file that AWS signed is not there.
static SIGNED_LOG_MISSING: Detection = Detection {
    id: "log-file-missing",
    title: "A log file that AWS signed is missing",
    techniques: &["T1070.004", "T1070"],
    why: "CloudTrail delivered it and signed its hash. It is no longer there, and its records with it.",
    runbook: &[
        "Is there an older version, or a delete marker? aws s3api list-object-versions --bucket … --prefix …",
        "Find who deleted it: S3 data events or server access logs of the bucket",
        "Look its minutes up in CloudTrail's event history of that account and region",
    ],
    ..BASE
};

/// A log file is not what AWS signed.
static SIGNED_LOG_CHANGED: Detection = Detection {
    id: "log-file-changed",
    title: "A log file is not what AWS signed",
    techniques: &["T1565.001", "T1070"],
    why: "Its hash differs from the one that AWS signed: records were changed, taken out or put in.",
    runbook: &[
        "Compare with the object's earlier versions: one of them may be what AWS signed",
        "Find who wrote this version: S3 data events or server access logs of the bucket",
        "Do not trust findings and their absence for these minutes",
    ],
    ..BASE
};

/// A log file that no digest signs.
static LOG_UNSIGNED: Detection = Detection {
    id: "log-file-unsigned",
    title: "A log file that no digest signs",
    severity: Severity::High,
    techniques: &["T1565.001"],
    why: "The digests of its time are there and do not name it. AWS did not deliver it: its records may be invented.",
    runbook: &[
        "Find who wrote the object: S3 data events or server access logs of the bucket",
        "Look its records up in CloudTrail's event history of that account and region",
    ],
    ..BASE
};

/// The detection that a problem is a match of.
fn detection_of(kind: ProblemKind) -> &'static Detection {
    match kind {
        ProblemKind::DigestMissing => &DIGEST_MISSING,
        ProblemKind::DigestSignature
        | ProblemKind::DigestLink
        | ProblemKind::DigestLocation
        | ProblemKind::DigestWindow => &DIGEST_CHANGED,
        ProblemKind::Unverified | ProblemKind::Unreadable | ProblemKind::KeyUnknown => &DIGEST_UNPROVEN,
        ProblemKind::GapUnexplained => &DIGEST_GAP,
        ProblemKind::LogMissing => &SIGNED_LOG_MISSING,
        ProblemKind::LogChanged | ProblemKind::LogAppended => &SIGNED_LOG_CHANGED,
        ProblemKind::LogUnsigned => &LOG_UNSIGNED,
    }
}

/// A problem of a chain as a match: the findings of one chain and day are one.
pub fn match_of(problem: &Problem, chain: &Chain, time: Time) -> Match {
    let what = match problem.window {
        Some(window) => format!("{}: {} ({window})", problem.kind.word(), problem.object),
        None => format!("{}: {}", problem.kind.word(), problem.object),
    };
    let fact = ObjectFact {
        id: &problem.object,
        account: &chain.account,
        region: &chain.region,
        time,
        what: &what,
        detail: &problem.detail,
    };
    Match { key: chain.to_string(), ..Match::of_object(detection_of(problem.kind), &fact) }
}
