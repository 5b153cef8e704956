//! The canary: a synthetic log file that goes the way of a real one. Its finding proves that the way is open.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use uuid::Uuid;

use crate::envelope::ObjectRef;
use crate::record::{digest, hex};
use crate::settings::Own;
use crate::time::Time;

/// Where canaries lie in the data bucket. They are never put into a log bucket: that would be forging logs.
pub const PREFIX: &str = "canary/";

/// `eventSource` of a canary. No service of AWS's ends like this, and no name on the internet does.
pub(crate) const SOURCE: &str = "canary.quickinfra-trail.invalid";

/// `eventName` of a canary.
pub(crate) const NAME: &str = "Canary";

/// A canary of a stack.
#[derive(Debug, Clone, Copy)]
pub struct Canary<'o> {
    /// Whose: its account, region and name.
    pub own: &'o Own,
    /// When it is sent.
    pub sent: Time,
}

impl Canary<'_> {
    /// Its key in the data bucket, as CloudTrail would name it below [`PREFIX`].
    pub fn key(&self) -> String {
        let Own { account, region, .. } = self.own;
        let date = self.sent.date();
        let minute: String = self.sent.to_string().chars().filter(|c| !matches!(c, '-' | ':')).take(13).collect();
        let folder = format!("{PREFIX}AWSLogs/{account}/CloudTrail/{region}/{}", date.replace('-', "/"));
        format!("{folder}/{account}_CloudTrail_{region}_{minute}Z_{}.json.gz", marker(self.own))
    }

    /// Its bytes: gzip of one record.
    pub fn log_file(&self) -> std::io::Result<Vec<u8>> {
        let marker = marker(self.own);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("{marker}.{}.{SOURCE}", self.sent).as_bytes());
        let record = json!({
            "eventVersion": "1.11",
            "userIdentity": {"type": "AWSService", "invokedBy": SOURCE},
            "eventTime": self.sent,
            "eventSource": SOURCE,
            "eventName": NAME,
            "awsRegion": self.own.region,
            "sourceIPAddress": SOURCE,
            "userAgent": SOURCE,
            "requestParameters": {"marker": marker},
            "responseElements": null,
            "eventID": id.to_string(),
            "readOnly": true,
            "eventType": "AwsServiceEvent",
            "managementEvent": true,
            "recipientAccountId": self.own.account,
            "eventCategory": "Management",
        });
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(json!({"Records": [record]}).to_string().as_bytes())?;
        gzip.finish()
    }
}

/// What the canaries of a stack are known by, in their names and in their record.
pub(crate) fn marker(own: &Own) -> String {
    hex(&digest(format!("{}\0{}", own.account, own.stack).as_bytes())[..8])
}

impl Own {
    /// Whether an object lies where this stack's canaries do. Nothing else of the data bucket is a log file.
    pub fn is_canary(&self, object: &ObjectRef) -> bool {
        !self.data_bucket.is_empty() && object.bucket == self.data_bucket && object.key.starts_with(PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Engine;
    use crate::log_file::{Inflater, Limits, Report, evaluate_and_keep};
    use crate::object_key::{ObjectKey, ObjectKind};
    use crate::settings::Settings;

    fn own(stack: &str) -> Own {
        Own {
            account: "111122223333".to_owned(),
            stack: stack.to_owned(),
            region: "eu-west-1".to_owned(),
            data_bucket: "data".to_owned(),
            ..Own::default()
        }
    }

    /// What an engine of stack `reader` says of a canary of stack `sender`.
    fn read(sender: &str, reader: &str, from_canary_prefix: bool) -> Report {
        let own_parts = own(sender);
        let canary = Canary { own: &own_parts, sent: Time(1_795_143_731) };
        let inflated = Inflater::new(Limits::default()).inflate(&canary.log_file().expect("a file"));
        let engine = Engine::new(Settings { own: own(reader), ..Settings::default() });
        let key = canary.key();
        evaluate_and_keep(&engine, &inflated, (&key, from_canary_prefix), Limits::default(), &mut |_, _| Ok(()))
    }

    #[test]
    fn it_is_named_like_a_log_file() {
        let own = own("trail");
        let canary = Canary { own: &own, sent: Time::parse("2026-11-20T03:02:11Z").expect("a time") };
        let key = canary.key();
        let start = "canary/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/\
            111122223333_CloudTrail_eu-west-1_20261120T0302Z_";
        assert!(key.starts_with(start), "{key}");
        let parsed = ObjectKey::parse(&key);
        assert_eq!((parsed.kind, parsed.account), (ObjectKind::Trail, Some("111122223333")));
        assert_eq!(parsed.time, Time::parse("2026-11-20T03:02:00Z"));
        assert_eq!(canary.log_file().expect("a file"), canary.log_file().expect("the same again"));
    }

    #[test]
    fn it_is_found_and_nothing_else_is_found_in_it() {
        let report = read("trail", "trail", true);
        assert_eq!((report.records, report.evaluated, report.quarantined), (1, 1, 0));
        let [found] = &report.matches[..] else { panic!("one match, not {:?}", report.matches) };
        assert_eq!((found.detection.id, found.lead.time.0), ("pipeline-canary", Time(1_795_143_731)));
    }

    #[test]
    fn one_that_lies_elsewhere_or_is_of_another_stack_proves_nothing() {
        assert!(read("trail", "trail", false).matches.is_empty(), "in a log bucket anybody may have put it");
        assert!(read("other", "trail", true).matches.is_empty());
        assert!(read("", "", true).matches.is_empty(), "no stack has no canary");
    }

    #[test]
    fn of_the_data_bucket_canaries_alone_are_log_files() {
        let is = |own: &Own, bucket: &str, key: &str| {
            own.is_canary(&ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), version: None })
        };
        assert!(is(&own("trail"), "data", "canary/AWSLogs/x.json.gz"));
        assert!(!is(&own("trail"), "data", "quarantine/canary/x.json.gz"));
        assert!(!is(&own("trail"), "data", "canary.json.gz"));
        assert!(!is(&own("trail"), "logs", "canary/AWSLogs/x.json.gz"));
        assert!(!is(&Own::default(), "", "canary/AWSLogs/x.json.gz"), "a path on this machine");
    }
}
