//! What AWS answered about an account's settings at one time: plain data, that controls judge and auditors keep.
//!
//! Every question that was asked is in here with its answer, also where the answer was a refusal. So "there is none" and
//! "could not look" are never the same. Bodies have the members that the AWS API reference gives them, in the form that
//! `aws --output json` prints, pages joined; XML answers are written the same way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Time;

/// The version of the form below. A snapshot of another version is refused by name.
pub const VERSION: u32 = 1;

/// The region of questions whose answer is the same everywhere: IAM, Organizations.
pub const GLOBAL: &str = "global";

/// What was asked about one account, and what AWS answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The form: [`VERSION`].
    pub version: u32,
    /// The account that is audited.
    pub account: String,
    /// When the first question was asked.
    pub taken: Time,
    /// Everything that was asked, in any order.
    pub answers: Vec<Answer>,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Service and API call: `cloudtrail:DescribeTrails`, `s3:GetBucketPolicy`.
    pub call: String,
    /// The account whose credentials asked.
    pub account: String,
    /// The region that was asked, or [`GLOBAL`].
    pub region: String,
    /// The parameters, by the names of the API reference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// When.
    pub time: Time,
    /// AWS's id of the request; empty where there was no answer.
    #[serde(default)]
    pub request_id: String,
    /// SHA-256 of the answer's bytes as they came; of all pages one after the other.
    #[serde(default)]
    pub sha256: String,
    /// The pages that were joined; none where nothing came, and in snapshots of earlier versions of this program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<Page>,
    /// What came back.
    #[serde(flatten)]
    pub result: Reply,
}

/// One page of an answer: the receipt for its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// AWS's id of the request.
    pub request_id: String,
    /// How many rows it had: see [`rows`].
    pub rows: u64,
    /// When it came.
    pub time: Time,
}

/// How many rows an answer has: the items of the lists in it, or 1 where it holds a single thing.
pub fn rows(body: &Value) -> u64 {
    let lists: Vec<usize> =
        body.as_object().into_iter().flatten().filter_map(|(_, v)| Some(v.as_array()?.len())).collect();
    let is_one = body.as_object().is_some_and(|members| !members.is_empty());
    if lists.is_empty() { u64::from(is_one) } else { lists.into_iter().sum::<usize>().try_into().unwrap_or(u64::MAX) }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The answer.
    Body(Value),
    /// There was none.
    Refusal(Refusal),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Of what kind.
    pub cause: Cause,
    /// AWS's error code, or a word for what happened on the way: `NoSuchBucketPolicy`, `ThrottlingException`.
    pub code: String,
    /// What AWS said, cut.
    pub message: String,
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The caller may not ask.
    Denied,
    /// Asked too often, also after waiting.
    Throttled,
    /// No answer in time, or none at all.
    Unreachable,
    /// The thing asked about is not there: an answer in its own right.
    Absent,
    /// The region or the service is not enabled for the account.
    Disabled,
    /// It is being made and was not ready in time: a credential report.
    Late,
    /// The role that asks could not be taken.
    NoRole,
    /// The answer cannot be read, or the error is none that is known here.
    Unknown,
}

/// Why something is no snapshot that can be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not JSON, cut short, or not of the shape of a snapshot.
    #[error("this is no snapshot: {0}")]
    Unreadable(String),
    /// Of another version than [`VERSION`].
    #[error("this snapshot has version {0}, and only version {VERSION} can be judged: record it again")]
    Version(u64),
}

impl Snapshot {
    /// Reads a recorded snapshot. The version is looked at first: another one may have any shape.
    pub fn read(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let unreadable = |error: serde_json::Error| SnapshotError::Unreadable(error.to_string());
        let value: Value = serde_json::from_slice(bytes).map_err(unreadable)?;
        match value["version"].as_u64() {
            Some(version) if version != u64::from(VERSION) => Err(SnapshotError::Version(version)),
            _ => serde_json::from_value(value).map_err(unreadable),
        }
    }

    /// Whether this is a snapshot of the version that can be judged.
    pub fn check(&self) -> Result<(), SnapshotError> {
        if self.version == VERSION { Ok(()) } else { Err(SnapshotError::Version(self.version.into())) }
    }

    /// The answer to a question with these parameters. A question may have been asked with more.
    pub fn answer(&self, call: &str, region: &str, parameters: &[(&str, &str)]) -> Option<&Answer> {
        self.answers.iter().find(|answer| {
            answer.call == call && answer.region == region && parameters.iter().all(|(k, v)| answer.is_about(k, v))
        })
    }
}

impl Answer {
    /// How many rows came, over all pages.
    pub fn rows(&self) -> u64 {
        match &self.result {
            Reply::Body(body) if self.pages.is_empty() => rows(body),
            _ => self.pages.iter().map(|page| page.rows).sum(),
        }
    }

    /// AWS's ids of the requests, a page each.
    pub fn request_ids(&self) -> Vec<String> {
        match &self.pages[..] {
            [] if self.request_id.is_empty() => Vec::new(),
            [] => vec![self.request_id.clone()],
            pages => pages.iter().map(|page| page.request_id.clone()).collect(),
        }
    }

    /// Whether a parameter has this value.
    pub fn is_about(&self, parameter: &str, value: &str) -> bool {
        self.parameters.get(parameter).is_some_and(|asked| asked == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_over_all_lists() {
        let body = serde_json::json!({"UserDetailList": [1, 2], "RoleDetailList": [3], "Marker": "m"});
        assert_eq!((rows(&body), rows(&serde_json::json!({"Organization": {"Id": "o"}}))), (3, 1));
        assert_eq!(
            (rows(&serde_json::json!({"Users": []})), rows(&serde_json::json!({})), rows(&Value::Null)),
            (0, 0, 0)
        );
    }

    #[test]
    fn an_answer_of_an_earlier_version_has_its_receipt_all_the_same() {
        let old = r#"{"call":"iam:ListUsers","account":"1","region":"global","time":"2026-01-01T00:00:00Z",
            "request_id":"r","sha256":"s","body":{"Users":[1,2]}}"#;
        let answer: Answer = serde_json::from_str(old).expect("an answer");
        assert_eq!((answer.rows(), answer.request_ids()), (2, vec!["r".to_owned()]));
        assert!(!serde_json::to_string(&answer).expect("JSON").contains("pages"));
    }

    #[test]
    fn what_is_no_snapshot_says_so() {
        let snapshot = Snapshot { version: VERSION, account: "1".to_owned(), taken: Time(0), answers: Vec::new() };
        let text = serde_json::to_vec(&snapshot).expect("JSON");
        assert_eq!(Snapshot::read(&text), Ok(snapshot));
        assert!(matches!(Snapshot::read(&text[..text.len() / 2]), Err(SnapshotError::Unreadable(_))));
        assert!(matches!(Snapshot::read(b"{}"), Err(SnapshotError::Unreadable(_))));
        assert!(matches!(Snapshot::read(b"[1]"), Err(SnapshotError::Unreadable(_))));
        assert_eq!(Snapshot::read(br#"{"version":2,"anything":{}}"#), Err(SnapshotError::Version(2)));
    }
}
