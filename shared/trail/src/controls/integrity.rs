//! Whether log files can be proven to be whole and unchanged.

use super::bucket::{Bucket, of_each_bucket};
use super::recording::update;
use crate::alert::clean;
use crate::control::{Asked, Control, Look, References, Trail, Verdict, said_list, time_of};
use crate::detection::Severity;
use crate::shape::{field, list, text};
use std::collections::BTreeMap;

pub(super) const ALL: &[&Control] = &[&VALIDATION, &DIGESTS, &UNTOUCHED];

/// Log files are signed.
static VALIDATION: Control = Control {
    id: "log-file-validation",
    title: "Log files are signed, and the signatures arrive",
    severity: Severity::High,
    references: References {
        cis: ["3.2", "3.2", "4.2"],
        others: &[
            ("Security Hub", "CloudTrail.4"),
            ("SOC 2", "CC7.3"),
            ("SOC 2", "PI1.3"),
            ("PCI DSS 3.2.1", "10.5.2"),
            ("PCI DSS 3.2.1", "10.5.5"),
            ("PCI DSS 4.0", "10.3.4"),
            ("NIST 800-53 r5", "AU-9"),
            ("NIST 800-53 r5", "SI-7"),
            ("NIST CSF 2.0", "PR.DS-6"),
            ("ISO 27001:2022", "A.8.15"),
        ],
    },
    calls: &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus"],
    judge: |look| look.of_each_trail(validation),
    why: "Without digests nobody can prove that a log file is the one AWS wrote, or that none is missing.",
    runbook: &["Switch it on with the command given", "Was it on before? qtrail who TRAIL"],
};

/// Digests verify.
static DIGESTS: Control = Control {
    id: "digests-verified",
    title: "Digests arrive hourly and verify without a gap",
    severity: Severity::Critical,
    references: References {
        others: &[
            ("SOC 2", "CC7.3"),
            ("PCI DSS 4.0", "10.3.4"),
            ("NIST 800-53 r5", "AU-9"),
            ("NIST 800-53 r5", "SI-7(1)"),
        ],
        ..References::NONE
    },
    judge: digests,
    why: "A signature that nobody checks proves nothing, and a digest that does not come is how log files vanish.",
    runbook: &["qtrail verify the days in question", "Explain each gap by a StopLogging, UpdateTrail or DeleteTrail"],
    ..Control::BASE
};

/// No log file was replaced or deleted.
static UNTOUCHED: Control = Control {
    id: "log-objects-untouched",
    title: "No log file was replaced, deleted or put there by others",
    severity: Severity::Critical,
    references: References {
        others: &[("NIST 800-53 r5", "AU-9"), ("PCI DSS 4.0", "10.3.2"), ("SOC 2", "CC7.3")],
        ..References::NONE
    },
    calls: &["cloudtrail:DescribeTrails", "s3:HeadBucket", "s3:ListBuckets", "s3:ListObjectVersions"],
    judge: |look| of_each_bucket(look, untouched),
    why: "CloudTrail writes each log file once. A second version or a delete marker is somebody else's work.",
    runbook: &[
        "Compare the versions: download both and see which one the digest names",
        "Find who wrote it: data events or access logs of the bucket",
    ],
};

/// A digest comes every hour; this is how late one may be, in seconds.
const DIGEST_LATE: i64 = 9_000;

fn validation<'v>(look: &Look<'v>, trail: &'v Trail<'v>) -> Verdict {
    match trail.validation {
        Some(true) => {}
        Some(false) => {
            let touched = look.context().touched(&[trail.arn, trail.name], &["UpdateTrail", "CreateTrail"]);
            let fix = format!("{} --enable-log-file-validation", update(trail));
            return look.fail(trail.arn, format!("log file validation is off{touched}")).fix(fix);
        }
        None => {
            look.unreadable("cloudtrail:DescribeTrails", trail.home_region);
            return look.blinded(trail.arn);
        }
    }
    let Asked::Body(status) = look.ask("cloudtrail:GetTrailStatus", trail.home_region, &[("Name", trail.arn)]) else {
        return look.blinded(trail.arn);
    };
    let error = text(field(status, "LatestDigestDeliveryError"));
    let now = look.context().now;
    match time_of(field(status, "LatestDigestDeliveryTime")) {
        _ if !error.is_empty() => {
            look.fail(trail.arn, format!("digests cannot be delivered ({})", clean(error))).severity(Severity::Critical)
        }
        None => look.partial(trail.arn, "validation is on, and no digest has come yet"),
        Some(last) if last.0 < now.0 - DIGEST_LATE => {
            look.fail(trail.arn, format!("validation is on, and the last digest came at {last}"))
        }
        Some(last) => look.pass(trail.arn, format!("validation is on, last digest {last}")),
    }
}

fn digests(look: &Look<'_>) -> Vec<Verdict> {
    let account = look.account();
    let state = &look.context().state;
    let verdict = match (&state.digest_problems, state.digests_verified) {
        (None, _) => look.unknown(account, "nobody has verified digests of this account"),
        (Some(problems), _) if !problems.is_empty() => {
            let said = said_list(problems.iter().map(String::as_str));
            look.fail(account, format!("{} problems: {said}", problems.len()))
        }
        (Some(_), None) => look.unknown(account, "no digest was verified yet"),
        (Some(_), Some(last)) if last.0 < look.context().now.0 - 2 * DIGEST_LATE => {
            look.fail(account, format!("the last digest was verified at {last}"))
        }
        (Some(_), Some(last)) => look.pass(account, format!("verified to {last}, 0 problems")),
    };
    vec![verdict]
}

fn untouched(look: &Look<'_>, bucket: &Bucket<'_>) -> Verdict {
    let foreign = look.context().state.foreign_objects;
    if let Some(count @ 1..) = foreign {
        return look.fail(
            bucket.name,
            format!("{count} objects that no digest names, or that were changed after they were read"),
        );
    }
    let Some(sample) = bucket.body(look, "s3:ListObjectVersions") else { return look.blinded(bucket.name) };
    let versions = list(field(sample, "Versions"));
    let markers = list(field(sample, "DeleteMarkers"));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    versions.iter().for_each(|version| *counts.entry(text(field(version, "Key"))).or_default() += 1);
    let twice: Vec<&str> = counts.iter().filter(|(_, count)| **count > 1).map(|(key, _)| *key).collect();
    let deleted: Vec<&str> = markers.iter().map(|marker| text(field(marker, "Key"))).collect();
    let unversioned = versions.iter().all(|version| matches!(text(field(version, "VersionId")), "" | "null"));
    let sampled = counts.len();
    match () {
        () if !deleted.is_empty() => look.fail(bucket.name, format!("deleted: {}", said_list(deleted))),
        () if !twice.is_empty() => look.fail(bucket.name, format!("more than one version of {}", said_list(twice))),
        () if versions.is_empty() => look.unknown(bucket.name, "the sample holds no log file"),
        () if unversioned => look
            .partial(bucket.name, format!("{sampled} objects sampled; without versions a replaced one leaves no trace"))
            .severity(Severity::Medium),
        () if foreign.is_none() => look.unknown(
            bucket.name,
            format!("{sampled} objects sampled, each once; whether digests name them all is not known"),
        ),
        () => look.pass(
            bucket.name,
            format!("{sampled} objects sampled, each written once; all that was read is named by digests"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::control::Status;
    use crate::controls::testing::{Account, assert_said, context, denied};
    use Status::{Fail, Partial, Pass, Unknown};
    use serde_json::json;

    #[test]
    fn log_files_are_signed() {
        let mut off = Account::with_trail();
        off.trail("LogFileValidationEnabled", false.into());
        let mut silent = Account::with_trail();
        silent.trail("LogFileValidationEnabled", json!(null));
        let with = |member: &str, value| {
            let mut account = Account::with_trail();
            account.set("cloudtrail:GetTrailStatus", member, value);
            account
        };
        let mut refused = Account::with_trail();
        refused.refuse_call("cloudtrail:GetTrailStatus", &denied());
        for (account, status, words) in [
            (Account::with_trail(), Pass, "last digest 2026-11-20T11:10:00Z"),
            (off, Fail, "validation is off"),
            (with("LatestDigestDeliveryError", "AccessDenied".into()), Fail, "AccessDenied"),
            (with("LatestDigestDeliveryTime", "2026-11-20T03:00:00Z".into()), Fail, "last digest came at"),
            (with("LatestDigestDeliveryTime", json!(null)), Partial, "no digest has come yet"),
            (silent, Unknown, "not known"),
            (refused, Unknown, "GetTrailStatus denied"),
        ] {
            assert_said(&account, &context(), ("log-file-validation", status, words));
        }
    }

    #[test]
    fn digests_verify() {
        let account = Account::with_trail();
        let mut context = context();
        assert_said(&account, &context, ("digests-verified", Pass, "0 problems"));
        context.state.digests_verified = Some(crate::time::Time(context.now.0 - 86_400));
        assert_said(&account, &context, ("digests-verified", Fail, "the last digest was verified"));
        context.state.digest_problems = Some(vec!["digest_missing".to_owned()]);
        assert_said(&account, &context, ("digests-verified", Fail, "digest_missing"));
        context.state.digest_problems = None;
        assert_said(&account, &context, ("digests-verified", Unknown, "nobody has verified"));
    }

    #[test]
    fn log_files_are_written_once() {
        let of = |versions: serde_json::Value| {
            let mut account = Account::with_trail();
            account.answer_call("s3:ListObjectVersions", &versions);
            account
        };
        let object = |version: &str| json!({"Key": "AWSLogs/a.json.gz", "VersionId": version});
        let mut refused = Account::with_trail();
        refused.refuse_call("s3:ListObjectVersions", &denied());
        for (account, status, words) in [
            (Account::with_trail(), Pass, "2 objects sampled"),
            (of(json!({"Versions": [object("1"), object("2")]})), Fail, "more than one version"),
            (of(json!({"Versions": [object("1")], "DeleteMarkers": [object("2")]})), Fail, "deleted"),
            (of(json!({"Versions": [object("null")]})), Partial, "leaves no trace"),
            (of(json!({})), Unknown, "no log file"),
            (refused, Unknown, "ListObjectVersions denied"),
        ] {
            assert_said(&account, &context(), ("log-objects-untouched", status, words));
        }
        let mut context = context();
        context.state.foreign_objects = None;
        assert_said(&Account::with_trail(), &context, ("log-objects-untouched", Unknown, "not known"));
        context.state.foreign_objects = Some(3);
        assert_said(&Account::with_trail(), &context, ("log-objects-untouched", Fail, "3 objects"));
    }
}
