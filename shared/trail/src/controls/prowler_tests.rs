//! Twelve accounts that are easy to misjudge: the truth, which is ours, and what a widely used auditor says of them.
//!
//! Its verdicts were recorded by running Prowler 5.46.0 against moto 5.2.1 with these settings.

use serde_json::{Value, json};

use super::testing::{Account, LOGGING, TRAIL, absent, context, denied};
use crate::control::{Context, Status};
use crate::snapshot::GLOBAL;
use Status::{Fail, Partial, Pass, Unknown};

/// The version whose verdicts are recorded here.
const PROWLER: &str = "5.46.0";

/// What Prowler says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Pass,
    Fail,
    /// "Cannot be checked automatically".
    Manual,
    /// No line at all about it.
    Nothing,
    /// Another verdict from run to run.
    Varies,
}

/// One account and one question.
struct Row {
    name: &'static str,
    account: Account,
    control: &'static str,
    truth: Status,
    check: &'static str,
    prowler: Said,
    /// Whether the recorded verdict is another one than the truth.
    differs: bool,
}

const MULTI: &str = "cloudtrail_multi_region_enabled";
const EVENTS: &str = "cloudtrail_multi_region_enabled_logging_management_events";
const READ: &str = "cloudtrail_s3_dataevents_read_enabled";
const WRITE: &str = "cloudtrail_s3_dataevents_write_enabled";
const PUBLIC: &str = "cloudtrail_logs_s3_bucket_is_not_publicly_accessible";
const ENCRYPTED: &str = "cloudtrail_kms_encryption_enabled";

fn selector(name: &str, fields: impl Into<Value>) -> Account {
    let fields: Value = fields.into();
    let mut account = Account::with_trail();
    account.advanced(json!([{"Name": name, "FieldSelectors": fields}]));
    account
}

fn management_by_another_name() -> Account {
    selector("mgmt", json!([{"Field": "eventCategory", "Equals": ["Management"]}]))
}

fn one_bucket_by_a_name_that_deceives() -> Account {
    selector(
        "Management events selector",
        json!([
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::orders/"]},
        ]),
    )
}

fn reads_alone() -> Account {
    selector(
        "reads",
        json!([
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            {"Field": "readOnly", "Equals": ["true"]},
        ]),
    )
}

fn stopped() -> Account {
    let mut account = Account::with_trail();
    account.basic(
        json!([{"ReadWriteType": "All", "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}]),
    );
    account.set("cloudtrail:GetTrailStatus", "IsLogging", false);
    account
}

fn without_kms() -> Account {
    let mut account = Account::with_trail();
    account.basic(json!([{"ReadWriteType": "All", "IncludeManagementEvents": true,
        "ExcludeManagementEventSources": ["kms.amazonaws.com", "rdsdata.amazonaws.com"]}]));
    account
}

fn reads_and_writes_apart() -> Account {
    let mut account = Account::with_trail();
    account.basic(json!([{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": true},
        {"ReadWriteType": "WriteOnly", "IncludeManagementEvents": true}]));
    account
}

fn public_by_policy() -> Account {
    let mut account = Account::with_trail();
    account.refuse_call("s3:GetPublicAccessBlock", &absent("NoSuchPublicAccessBlockConfiguration"));
    account.refuse(
        "s3control:GetPublicAccessBlock",
        GLOBAL,
        &[("AccountId", LOGGING)],
        absent("NoSuchPublicAccessBlockConfiguration"),
    );
    account.answer_call("s3:GetBucketPolicyStatus", &json!({}));
    let policy =
        json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]});
    account.answer_call("s3:GetBucketPolicy", &json!({"Policy": policy.to_string()}));
    account
}

fn key_of_nobody() -> Account {
    let mut account = Account::with_trail();
    let key = "arn:aws:kms:us-east-1:121212121212:key/00000000-0000-0000-0000-000000000000";
    account.trail("KmsKeyId", key.into());
    account.refuse("kms:DescribeKey", "us-east-1", &[("KeyId", key)], denied());
    account
}

fn one_region_without_global_services() -> Account {
    let mut account = Account::with_trail();
    account.trail("IsMultiRegionTrail", false.into());
    account.trail("IncludeGlobalServiceEvents", false.into());
    account
}

fn denied_everywhere() -> Account {
    let mut account = Account::with_trail();
    account.refuse_call("cloudtrail:DescribeTrails", &denied());
    account
}

fn bucket_of_another_account() -> Account {
    let mut account = Account::with_trail();
    for call in account.calls().into_iter().filter(|call| call.starts_with("s3:") && call != "s3:ListBuckets") {
        account.refuse_call(&call, &denied());
    }
    account
}

/// The same account, seen from two regions: the copy in the other one knows no selectors of its own.
fn seen_from_two_regions() -> Account {
    let mut account = management_by_another_name();
    account.refuse(
        "cloudtrail:GetEventSelectors",
        "us-east-1",
        &[("TrailName", TRAIL)],
        absent("TrailNotFoundException"),
    );
    account.answers_last_first();
    account
}

fn rows() -> Vec<Row> {
    use Said::{Fail as SaysFail, Manual, Nothing, Pass as SaysPass, Varies};
    let row = |name, account: fn() -> Account, (control, truth), (check, prowler, differs)| Row {
        name,
        account: account(),
        control,
        truth,
        check,
        prowler,
        differs,
    };
    let (events, write, read) = ("management-events-complete", "s3-write-events", "s3-read-events");
    vec![
        row("P1", management_by_another_name, (events, Pass), (EVENTS, SaysFail, true)),
        row("P2", one_bucket_by_a_name_that_deceives, (events, Fail), (EVENTS, SaysPass, true)),
        row("P2", one_bucket_by_a_name_that_deceives, (write, Partial), (WRITE, SaysPass, true)),
        row("P2", one_bucket_by_a_name_that_deceives, (read, Partial), (READ, SaysPass, true)),
        row("P3", reads_alone, (write, Fail), (WRITE, SaysPass, true)),
        row("P3", reads_alone, (read, Pass), (READ, SaysPass, false)),
        row("P4", stopped, (write, Fail), (WRITE, SaysPass, true)),
        row("P4", stopped, (read, Fail), (READ, SaysPass, true)),
        row("P5", without_kms, (events, Partial), (EVENTS, SaysPass, true)),
        row("P6", reads_and_writes_apart, (events, Pass), (EVENTS, SaysFail, true)),
        row("P7", public_by_policy, ("log-bucket-not-public", Fail), (PUBLIC, SaysPass, true)),
        row("P8", key_of_nobody, ("log-key-usable", Unknown), (ENCRYPTED, SaysPass, true)),
        row("P9", one_region_without_global_services, ("trail-multi-region", Fail), (MULTI, SaysPass, true)),
        row("P10", denied_everywhere, ("trail-multi-region", Unknown), (MULTI, Nothing, true)),
        row("P10", denied_everywhere, (events, Unknown), (EVENTS, Nothing, true)),
        row("P11", bucket_of_another_account, ("log-bucket-not-public", Unknown), (PUBLIC, Manual, false)),
        row("P12", seen_from_two_regions, (events, Pass), (EVENTS, Varies, true)),
    ]
}

/// What a recorded verdict would be in our words.
fn agrees(said: Said, truth: Status) -> bool {
    match said {
        Said::Pass => truth == Pass,
        Said::Fail => matches!(truth, Fail | Partial),
        Said::Manual => truth == Unknown,
        Said::Nothing | Said::Varies => false,
    }
}

#[test]
fn twelve_accounts_are_judged_as_they_are() {
    let rows = rows();
    for row in &rows {
        let (status, reason) = row.account.said(row.control, &context());
        assert_eq!(status, row.truth, "{} {}: {reason}", row.name, row.control);
        let differs = !agrees(row.prowler, row.truth);
        assert_eq!(differs, row.differs, "{} {} of Prowler {PROWLER}", row.name, row.check);
    }
    let names: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    let wrong: std::collections::BTreeSet<&str> = rows.iter().filter(|row| row.differs).map(|row| row.name).collect();
    assert_eq!((names.len(), wrong.len()), (12, 11));
}

#[test]
fn what_was_denied_everywhere_is_neither_clean_nor_silent() {
    let verdicts = denied_everywhere().verdicts(&Context::default());
    let unknown = verdicts.iter().filter(|verdict| verdict.status.is_blind()).count();
    assert!(unknown >= 10, "{unknown}");
    assert!(
        crate::control::findings(&verdicts, &crate::settings::Settings::default())
            .iter()
            .any(|found| { found.detection.id == crate::control::CANNOT_SEE.id })
    );
}

#[test]
fn the_order_of_the_answers_is_of_no_account() {
    let mut turned = Account::with_trail();
    turned.answers_last_first();
    let said = |account: &Account| -> Vec<(String, Status, String)> {
        account.verdicts(&context()).into_iter().map(|v| (v.control_id, v.status, v.reason)).collect()
    };
    assert_eq!(said(&turned), said(&Account::with_trail()));
}
