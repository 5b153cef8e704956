//! Something is wrong with a log file itself. These stem from no record; see [`crate::finding::Match::of_object`].

use crate::detection::{Category, Detection, Severity};

pub(super) const ALL: &[&Detection] =
    &[&LOG_APPENDED, &LOG_UNREADABLE, &LOG_OVERWRITTEN, &RECORDS_QUARANTINED, &RECORD_CONFLICT];

/// Bytes follow the first gzip member of a log file.
pub static LOG_APPENDED: Detection = Detection {
    id: "log-file-appended",
    title: "Bytes after the end of a log file",
    category: Category::Integrity,
    severity: Severity::Critical,
    techniques: &["T1565.001"],
    why: "AWS signs the first gzip member alone and writes nothing behind it. What follows was put there by somebody \
          who can write to the log bucket; it was not evaluated.",
    runbook: &[
        "Find who wrote this version of the object: S3 data events or server access logs of the bucket",
        "Compare with the object's earlier versions",
        "Take write access to the bucket from everybody but CloudTrail",
    ],
    lowerable: false,
    ..Detection::BASE
};

/// A log file or a part of it cannot be read.
pub static LOG_UNREADABLE: Detection = Detection {
    id: "log-file-unreadable",
    title: "A log file cannot be read",
    category: Category::Integrity,
    severity: Severity::High,
    techniques: &["T1565.001"],
    why: "CloudTrail delivers whole files. Records may be missing here, and nobody has looked at them.",
    runbook: &[
        "Download this version of the object and try to inflate it",
        "Was it written by CloudTrail? See who wrote it in the bucket's data events",
        "Look the same minutes up in CloudTrail's event history",
    ],
    lowerable: false,
    ..Detection::BASE
};

/// Another text lies under a log file's name.
pub static LOG_OVERWRITTEN: Detection = Detection {
    id: "log-file-overwritten",
    title: "A log file was overwritten",
    category: Category::Integrity,
    severity: Severity::Critical,
    techniques: &["T1565.001"],
    why: "CloudTrail writes a log file once. Somebody who can write to the log bucket put another text under its name: \
          records were changed, taken out or put in. Both were evaluated.",
    runbook: &[
        "Compare this version of the object with the ones before it",
        "Find who wrote it: S3 data events or server access logs of the bucket",
        "Take write access to the bucket from everybody but CloudTrail",
    ],
    lowerable: false,
    ..Detection::BASE
};

/// Records that could not be evaluated.
pub static RECORDS_QUARANTINED: Detection = Detection {
    id: "records-quarantined",
    title: "Records that could not be read",
    category: Category::Integrity,
    severity: Severity::Medium,
    why: "These records were not evaluated: no detection has seen them. Their bytes are kept under quarantine/.",
    runbook: &["Read the quarantined bytes and the reason beside them", "Was the file written by CloudTrail?"],
    lowerable: false,
    ..Detection::BASE
};

/// One record id with two different contents.
pub static RECORD_CONFLICT: Detection = Detection {
    id: "record-conflict",
    title: "Two different records under one id",
    category: Category::Integrity,
    severity: Severity::High,
    techniques: &["T1565.001"],
    why: "Copies of a record are identical. One of these two was changed, or forged. Both are kept and were evaluated.",
    runbook: &["Compare the two records", "Check both objects against CloudTrail's digest"],
    lowerable: false,
    ..Detection::BASE
};
