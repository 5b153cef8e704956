//! What the detections' own tests are written with.

use serde_json::{Value, json};

use crate::detection::{Detection, Engine};
use crate::finding::{Finding, Match};
use crate::ledger::Ledger;
use crate::log_file::Origin;
use crate::record::Record;
use crate::settings::Settings;
use crate::time::Time;

/// The account of the records below.
pub(crate) const ACCOUNT: &str = "111122223333";

/// A record of alice calling `name` of `source`, with `more` laid over it (top level, member by member).
pub(crate) fn record(source: &str, name: &str, more: Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLEALICE",
            "arn": "arn:aws:iam::111122223333:user/alice",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAEXAMPLEALICE",
            "userName": "alice"
        },
        "eventTime": "2026-11-20T03:02:11Z",
        "eventSource": source,
        "eventName": name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2.17",
        "requestParameters": null,
        "responseElements": null,
        "requestID": "00000000-0000-4000-8000-000000000001",
        "eventID": "00000000-0000-4000-8000-000000000002",
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management"
    });
    let Value::Object(more) = more else { return record };
    for (key, value) in more {
        record[key] = value;
    }
    record
}

/// A detection of the set.
pub(crate) fn detection(id: &str) -> &'static Detection {
    crate::detections::find(id).expect("a detection of the set")
}

/// What one detection says of a record, through the engine.
pub(crate) fn caught(detection: &'static Detection, record: &Value) -> Option<Match> {
    caught_with(Settings::default(), detection, record)
}

/// The same under other settings.
pub(crate) fn caught_with(settings: Settings, detection: &'static Detection, record: &Value) -> Option<Match> {
    let engine = Engine::with(settings, vec![detection]);
    let text = record.to_string();
    let record = Record::parse(&text).expect("a record");
    let mut found = Vec::new();
    engine.evaluate(&record, &Origin::default(), &mut |m| found.push(m)).expect("readable");
    assert!(found.len() < 2, "one detection says one thing about a record: {found:?}");
    found.pop()
}

/// What a detection's records amount to, thresholds and all.
pub(crate) fn findings(detection: &'static Detection, records: &[Value]) -> Vec<Finding> {
    let mut ledger = Ledger::default();
    for found in records.iter().filter_map(|record| caught(detection, record)) {
        ledger.add(&found);
    }
    ledger.findings(&Settings::default())
}

/// So many copies of a record, each with an id of its own and `seconds` after the one before.
pub(crate) fn repeated(record: &Value, count: usize, seconds: i64) -> Vec<Value> {
    let time = |record: &Value| Time::parse(record["eventTime"].as_str().expect("a time")).expect("a time").0;
    let nth = |i: i64| {
        let mut one = record.clone();
        let later = time(record) + i * seconds;
        one["eventTime"] = json!(Time(later).to_string());
        one["eventID"] = json!(format!("{later}-{i}-{}", record["eventID"]));
        one
    };
    (0..).take(count).map(nth).collect()
}
