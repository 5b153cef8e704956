//! The index held against asking every detection.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{Catch, Deed, Detection, Engine, Want};
use crate::log_file::Origin;
use crate::record::Record;
use crate::settings::{Own, Settings};
use crate::testing::record;

/// Catches whatever it is shown.
const CATCHES_ALL: Detection =
    Detection { check: |case| Some(Catch::new(Deed::new("do", "did", case.record.action()))), ..Detection::BASE };

/// Each way to want a record, alone and together.
static DETECTIONS: [Detection; 8] = [
    Detection { id: "calls", wants: &[Want::Calls("iam.amazonaws.com", &["CreateUser", "DeleteUser"])], ..CATCHES_ALL },
    Detection { id: "dated", wants: &[Want::Calls("lambda.amazonaws.com", &["AddPermission"])], ..CATCHES_ALL },
    Detection { id: "named", wants: &[Want::Named(&["CreateUser", "ConsoleLogin"])], ..CATCHES_ALL },
    Detection { id: "changes", wants: &[Want::Changes("iam.amazonaws.com")], ..CATCHES_ALL },
    Detection { id: "root", wants: &[Want::Root], ..CATCHES_ALL },
    Detection { id: "foreign", wants: &[Want::Foreign], ..CATCHES_ALL },
    Detection { id: "refused", wants: &[Want::Refused], ..CATCHES_ALL },
    Detection {
        id: "several",
        wants: &[
            Want::Refused,
            Want::Calls("iam.amazonaws.com", &["CreateUser"]),
            Want::Named(&["CreateUser"]),
            Want::Root,
        ],
        ..CATCHES_ALL
    },
];

static OURS: LazyLock<Engine> = LazyLock::new(|| Engine::with(Settings::default(), DETECTIONS.iter().collect()));
static ALL: LazyLock<Engine> = LazyLock::new(|| Engine::new(Settings::default()));
static OWNED: LazyLock<Engine> = LazyLock::new(|| {
    let own = Own {
        account: "111122223333".to_owned(),
        stack: "QTrail".to_owned(),
        log_buckets: vec!["arn:aws:s3:::example-logs".to_owned()],
        ..Own::default()
    };
    Engine::new(Settings { own, ..Settings::default() })
});

const SOURCES: &[&str] = &[
    "iam.amazonaws.com",
    "lambda.amazonaws.com",
    "ec2.amazonaws.com",
    "s3.amazonaws.com",
    "sts.amazonaws.com",
    "signin.amazonaws.com",
    "cloudtrail.amazonaws.com",
    "example.amazonaws.com",
    "",
];

const NAMES: &[&str] = &[
    "CreateUser",
    "DeleteUser",
    "GetUser",
    "AddPermission20150331v2",
    "AddPermission",
    "ConsoleLogin",
    "AssumeRole",
    "SwitchRole",
    "HeadBucket",
    "PutObject",
    "DeleteObject",
    "UpdateAssumeRolePolicy",
    "GetSecretValue",
    "StopLogging",
    "PutBucketPolicy",
    "AuthorizeSecurityGroupIngress",
    "DescribeInstances",
    "",
];

const BUCKETS: &[&str] = &["example-logs", "EXAMPLE-logs", "qtrail-data", "my-cloudtrail", "pictures"];
const ADDRESSES: &[&str] = &["203.0.113.7", "delivery.logs.amazonaws.com", "cloudtrail.amazonaws.com"];
const ERRORS: &[&str] = &[
    "",
    "",
    "",
    "MalformedPolicyDocument",
    "AccessDenied",
    "Client.UnauthorizedOperation",
    "NoSuchEntity",
    "Forbidden",
    "ThrottlingException",
];

fn identity() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/alice"}),
        json!({"type": "Root", "accountId": "111122223333", "arn": "arn:aws:iam::111122223333:root"}),
        json!({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"type": "Root"}}}),
        json!({"type": "AWSAccount", "accountId": "777788889999", "principalId": "777788889999"}),
        json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}),
        json!({"type": "IAMUser", "userName": "reboot\""}),
        Value::Null,
    ])
}

fn any_record() -> impl Strategy<Value = String> {
    let read_only = select(vec![json!(true), json!(false), json!("True"), Value::Null]);
    let time = select(vec!["2026-11-20T03:02:11Z", "yesterday"]);
    let call = (select(SOURCES), select(NAMES), select(ERRORS));
    let place = (select(BUCKETS), select(ADDRESSES), any::<bool>());
    (call, read_only, identity(), time, place).prop_map(
        |((source, name, error), read_only, identity, time, (bucket, address, by_resource))| {
            let request = if by_resource { Value::Null } else { json!({"bucketName": bucket, "key": "AWSLogs/x"}) };
            let more = json!({
                "userIdentity": identity,
                "sourceIPAddress": address,
                "errorCode": error,
                "errorMessage": "Invalid principal in policy",
                "readOnly": read_only,
                "eventTime": time,
                "requestParameters": request,
                "resources": [{"ARN": format!("arn:aws:s3:::{bucket}/AWSLogs/x")}],
            });
            record(source, name, more).to_string()
        },
    )
}

/// What both ways say of a record.
fn both(engine: &Engine, text: &str) -> [String; 2] {
    let record = Record::parse(text).expect("valid JSON");
    let origin = Origin::default();
    let (mut indexed, mut linear) = (Vec::new(), Vec::new());
    let one = engine.evaluate(&record, &origin, &mut |found| indexed.push(found));
    let other = engine.evaluate_linear(&record, &origin, &mut |found| linear.push(found));
    [format!("{one:?} {indexed:#?}"), format!("{other:?} {linear:#?}")]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_index_finds_whom_asking_everyone_finds(text in any_record()) {
        for engine in [&*OURS, &*ALL, &*OWNED] {
            let [indexed, linear] = both(engine, &text);
            // Whom a glance sufficed, a time that cannot be read does not stop.
            let unread = linear.starts_with("Err") && indexed == "Ok(()) []";
            prop_assert!(unread || indexed == linear, "{} but {}", indexed, linear);
        }
    }
}

#[test]
fn a_record_is_shown_to_each_detection_once() {
    let text = record("iam.amazonaws.com", "CreateUser", json!({"errorCode": "AccessDenied"})).to_string();
    let mut found = Vec::new();
    let record = Record::parse(&text).expect("valid JSON");
    OURS.evaluate(&record, &Origin::default(), &mut |m| found.push(m.detection.id)).expect("readable");
    assert_eq!(found, ["calls", "named", "changes", "refused", "several"]);
}
