//! How word of a log file, or a record itself, reaches us.
//!
//! Notifications nest (S3 in SNS in SQS) and each kind spells keys its own way; what comes out is the same for all.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The bucket; empty where the key is a path.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version that the notification speaks of: a later overwrite is another object.
    pub version: Option<String>,
}

impl ObjectRef {
    /// `bucket/key@version`: what stands for the object in findings and logs. A path where there is no bucket.
    pub fn id(&self) -> String {
        let version = self.version.as_deref().map_or(String::new(), |version| format!("@{version}"));
        if self.bucket.is_empty() {
            return self.key.clone();
        }
        format!("{}/{}{version}", self.bucket, self.key)
    }
}

/// A record outside any log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoneRecord {
    /// As JSON.
    pub text: String,
    /// The account that the envelope names, for a record that names none.
    pub account: Option<String>,
}

/// What a message brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Log files to be read.
    pub objects: Vec<ObjectRef>,
    /// Records that came by themselves (EventBridge).
    pub records: Vec<LoneRecord>,
    /// What asks for nothing, and why.
    pub ignored: Vec<String>,
}

/// Why a message cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not JSON, and no message that is known to be plain text.
    #[error("the message is not JSON: {0}")]
    NotJson(String),
    /// JSON of no known shape.
    #[error(
        "the message is none of: S3 notification, SNS notification, EventBridge event, CloudTrail notice, {{\"bucket\",\"key\"}}"
    )]
    UnknownShape,
    /// A member that has to be there is not.
    #[error("the {envelope} has no `{member}`")]
    Missing {
        /// Which kind of message.
        envelope: &'static str,
        /// What is missing.
        member: &'static str,
    },
    /// Notifications inside notifications without end.
    #[error("the message is nested deeper than any service nests")]
    TooDeep,
}

/// Messages are wrapped three times at most (S3 in SNS in SQS).
const MAX_DEPTH: usize = 4;

/// Reads a message: the body of a queue's message, or what a function was invoked with.
pub fn read(message: &str) -> Result<Delivery, EnvelopeError> {
    let mut delivery = Delivery::default();
    read_text(message, 0, &mut delivery)?;
    Ok(delivery)
}

/// Reads a message that is parsed already.
pub fn read_value(message: &Value) -> Result<Delivery, EnvelopeError> {
    let mut delivery = Delivery::default();
    read_json(message, 0, &mut delivery)?;
    Ok(delivery)
}

fn read_text(message: &str, depth: usize, delivery: &mut Delivery) -> Result<(), EnvelopeError> {
    if message.trim_start().starts_with("CloudTrail validation message") {
        delivery.ignored.push("CloudTrail's test of its topic".to_owned());
        return Ok(());
    }
    let value: Value = serde_json::from_str(message).map_err(|e| EnvelopeError::NotJson(e.to_string()))?;
    read_json(&value, depth, delivery)
}

fn read_json(value: &Value, depth: usize, delivery: &mut Delivery) -> Result<(), EnvelopeError> {
    if depth >= MAX_DEPTH {
        return Err(EnvelopeError::TooDeep);
    }
    if let Some(records) = value["Records"].as_array() {
        return records.iter().try_for_each(|record| read_notification(record, depth, delivery));
    }
    match &value["Event"] {
        Value::String(event) if event == "s3:TestEvent" => {
            delivery.ignored.push("S3's test of a new notification".to_owned());
            Ok(())
        }
        _ if value["Type"].is_string() => read_sns(value, depth, delivery),
        _ if value["detail-type"].is_string() => read_event_bridge(value, delivery),
        _ if value["s3Bucket"].is_string() => read_notice(value, delivery),
        _ if value["bucket"].is_string() && value["key"].is_string() => {
            delivery.objects.push(ObjectRef {
                bucket: text(&value["bucket"]),
                key: text(&value["key"]),
                version: version(&value["version"]),
            });
            Ok(())
        }
        _ => Err(EnvelopeError::UnknownShape),
    }
}

/// One of a list: S3's own, or SNS and SQS with something inside.
fn read_notification(record: &Value, depth: usize, delivery: &mut Delivery) -> Result<(), EnvelopeError> {
    if record["s3"].is_object() {
        return read_s3(record, delivery);
    }
    let inner = if record["Sns"].is_object() { &record["Sns"]["Message"] } else { &record["body"] };
    let Some(inner) = inner.as_str() else { return Err(EnvelopeError::UnknownShape) };
    read_text(inner, depth + 1, delivery)
}

fn read_s3(record: &Value, delivery: &mut Delivery) -> Result<(), EnvelopeError> {
    let event = record["eventName"].as_str().unwrap_or_default();
    if !event.trim_start_matches("s3:").starts_with("ObjectCreated") {
        delivery.ignored.push(format!("S3's notification of {event}"));
        return Ok(());
    }
    let missing = |member| EnvelopeError::Missing { envelope: "S3 notification", member };
    let bucket = record["s3"]["bucket"]["name"].as_str().ok_or(missing("s3.bucket.name"))?;
    let object = &record["s3"]["object"];
    let key = object["key"].as_str().ok_or(missing("s3.object.key"))?;
    delivery.objects.push(ObjectRef {
        bucket: bucket.to_owned(),
        key: form_decoded(key),
        version: version(&object["versionId"]),
    });
    Ok(())
}

fn read_sns(value: &Value, depth: usize, delivery: &mut Delivery) -> Result<(), EnvelopeError> {
    match value["Type"].as_str() {
        Some("Notification") => {
            let missing = EnvelopeError::Missing { envelope: "SNS notification", member: "Message" };
            read_text(value["Message"].as_str().ok_or(missing)?, depth + 1, delivery)
        }
        Some(kind) => {
            delivery.ignored.push(format!("SNS's {kind}"));
            Ok(())
        }
        None => Err(EnvelopeError::UnknownShape),
    }
}

fn read_event_bridge(value: &Value, delivery: &mut Delivery) -> Result<(), EnvelopeError> {
    let detail = &value["detail"];
    match value["detail-type"].as_str().unwrap_or_default() {
        "Object Created" => {
            let missing = |member| EnvelopeError::Missing { envelope: "EventBridge event", member };
            let bucket = detail["bucket"]["name"].as_str().ok_or(missing("detail.bucket.name"))?;
            let object = &detail["object"];
            // EventBridge does not encode keys: decoding would corrupt a literal `+`.
            let key = object["key"].as_str().ok_or(missing("detail.object.key"))?;
            delivery.objects.push(ObjectRef {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                version: version(&object["version-id"]),
            });
        }
        kind if kind.ends_with("via CloudTrail") && detail.is_object() => {
            let account = value["account"].as_str().map(str::to_owned);
            delivery.records.push(LoneRecord { text: detail.to_string(), account });
        }
        kind => delivery.ignored.push(format!("EventBridge's {kind}")),
    }
    Ok(())
}

/// CloudTrail's own notice: one bucket, several keys, not encoded.
fn read_notice(value: &Value, delivery: &mut Delivery) -> Result<(), EnvelopeError> {
    let missing = EnvelopeError::Missing { envelope: "CloudTrail notice", member: "s3ObjectKey" };
    let keys = value["s3ObjectKey"].as_array().ok_or(missing)?;
    let bucket = text(&value["s3Bucket"]);
    let object = |key: &Value| ObjectRef { bucket: bucket.clone(), key: text(key), version: None };
    delivery.objects.extend(keys.iter().map(object));
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Buckets without versioning say nothing, or `null`.
fn version(value: &Value) -> Option<String> {
    value.as_str().filter(|version| !version.is_empty() && *version != "null").map(str::to_owned)
}

/// `application/x-www-form-urlencoded`, as S3 writes keys.
fn form_decoded(key: &str) -> String {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: &str = "my logs/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/a+b.json.gz";

    fn object(version: Option<&str>) -> ObjectRef {
        ObjectRef { bucket: "logs".into(), key: KEY.into(), version: version.map(str::to_owned) }
    }

    fn s3() -> Value {
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "logs"}, "object": {
                "key": "my+logs/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/a%2Bb.json.gz",
                "size": 10, "versionId": "v7", "sequencer": "0A"}}
        }]})
    }

    fn sns(message: &str) -> Value {
        json!({"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": message})
    }

    #[test]
    fn an_s3_notification_in_every_wrapping_is_the_same_object() {
        let plain = s3();
        let in_sns = sns(&plain.to_string());
        let in_lambda = json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": plain.to_string()}}]});
        let in_queue = json!({"Records": [{"eventSource": "aws:sqs", "body": in_sns.to_string()}]});
        for message in [plain, in_sns, in_lambda, in_queue] {
            let delivery = read(&message.to_string()).expect("understood");
            assert_eq!(delivery.objects, [object(Some("v7"))], "{message}");
        }
    }

    #[test]
    fn keys_are_decoded_only_where_they_are_encoded() {
        let event = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {
            "bucket": {"name": "logs"}, "object": {"key": KEY, "size": 1, "version-id": "v7"}}});
        assert_eq!(read(&event.to_string()).expect("understood").objects, [object(Some("v7"))]);
        let notice = json!({"s3Bucket": "logs", "s3ObjectKey": [KEY, "other"]});
        let delivery = read(&sns(&notice.to_string()).to_string()).expect("understood");
        assert_eq!(delivery.objects[0], object(None));
        assert_eq!(delivery.objects.len(), 2);
        let by_hand = json!({"bucket": "logs", "key": KEY});
        assert_eq!(read(&by_hand.to_string()).expect("understood").objects, [object(None)]);
    }

    #[test]
    fn the_fast_path_carries_the_record_itself() {
        for kind in ["AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail"] {
            let event = json!({"source": "aws.iam", "account": "111122223333", "detail-type": kind,
                "detail": {"eventName": "CreateUser"}});
            let delivery = read(&event.to_string()).expect("understood");
            let [record] = delivery.records.as_slice() else { panic!("{delivery:?}") };
            assert_eq!(record.text, r#"{"eventName":"CreateUser"}"#);
            assert_eq!(record.account.as_deref(), Some("111122223333"));
        }
    }

    #[test]
    fn tests_and_confirmations_ask_for_nothing() {
        let s3_test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs"}).to_string();
        let confirmation = json!({"Type": "SubscriptionConfirmation", "SubscribeURL": "https://x"}).to_string();
        let removed = s3().to_string().replace("ObjectCreated:Put", "ObjectRemoved:Delete");
        for message in [s3_test.as_str(), "CloudTrail validation message.", &confirmation, &removed] {
            let delivery = read(message).expect("understood");
            assert!(delivery.objects.is_empty() && delivery.records.is_empty());
            assert_eq!(delivery.ignored.len(), 1, "{message}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_says_so() {
        assert!(matches!(read("hello"), Err(EnvelopeError::NotJson(_))));
        assert_eq!(read("{}"), Err(EnvelopeError::UnknownShape));
        assert_eq!(read("[1]"), Err(EnvelopeError::UnknownShape));
        let mut nested = "{}".to_owned();
        for _ in 0..6 {
            nested = sns(&nested).to_string();
        }
        assert_eq!(read(&nested), Err(EnvelopeError::TooDeep));
        let no_key = json!({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}}}]});
        assert!(matches!(read(&no_key.to_string()), Err(EnvelopeError::Missing { .. })));
    }
}
