//! What the name of a delivered object says.

use crate::time::Time;

/// What kind of object CloudTrail put there, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// Records of API calls.
    Trail,
    /// Insights.
    Insight,
    /// Calls through VPC endpoints.
    NetworkActivity,
    /// Counts of data events.
    Aggregated,
    /// A signed list of log files.
    Digest,
    /// A log of another service: AWS Config, VPC flow logs and others share buckets with trails.
    Foreign,
    /// Not one of AWS's names.
    Other,
}

/// An object's key in parts. User guide, "CloudTrail log file names".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKey<'a> {
    /// The kind.
    pub kind: ObjectKind,
    /// The organization, `o-…`, in an organization trail's key.
    pub organization: Option<&'a str>,
    /// The account.
    pub account: Option<&'a str>,
    /// The region.
    pub region: Option<&'a str>,
    /// When it was delivered, to the minute (log files) or second (digests).
    pub time: Option<Time>,
}

impl<'a> ObjectKey<'a> {
    /// Reads a key, whatever prefix it has. A bare file name of CloudTrail's is read as well.
    pub fn parse(key: &'a str) -> Self {
        let path = key.rfind("AWSLogs/").map_or("", |at| &key[at + "AWSLogs/".len()..]);
        let (organization, path) = match path.split_once('/') {
            Some((organization, rest)) if organization.starts_with("o-") => (Some(organization), rest),
            _ => (None, path),
        };
        let file = key.rsplit('/').next().unwrap_or(key);
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [account, folder, region, _, ..] if is_account(account) && is_service(folder, file) => Self {
                kind: kind_of(folder),
                organization,
                account: Some(account),
                region: Some(region),
                time: file_time(file),
            },
            _ => Self { organization, ..Self::of_file(file) },
        }
    }

    fn of_file(file: &'a str) -> Self {
        let parts: Vec<&str> = file.split('_').collect();
        match parts.as_slice() {
            [account, kind, region, ..]
                if is_account(account) && !matches!(kind_of(kind), ObjectKind::Other | ObjectKind::Foreign) =>
            {
                Self {
                    kind: kind_of(kind),
                    organization: None,
                    account: Some(account),
                    region: Some(region),
                    time: file_time(file),
                }
            }
            _ => Self { kind: ObjectKind::Other, organization: None, account: None, region: None, time: None },
        }
    }
}

fn kind_of(folder: &str) -> ObjectKind {
    match folder {
        "CloudTrail" => ObjectKind::Trail,
        "CloudTrail-Insight" => ObjectKind::Insight,
        "CloudTrail-NetworkActivity" => ObjectKind::NetworkActivity,
        "CloudTrail-Aggregated" => ObjectKind::Aggregated,
        "CloudTrail-Digest" => ObjectKind::Digest,
        folder if folder.starts_with("CloudTrail") => ObjectKind::Other,
        _ => ObjectKind::Foreign,
    }
}

/// Whether a folder below the account is a service's. Objects of CloudTrail's are gzip; a copy's are read by their
/// file's name.
fn is_service(folder: &str, file: &str) -> bool {
    file.ends_with(".json.gz") || kind_of(folder) == ObjectKind::Foreign
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn file_time(file: &str) -> Option<Time> {
    file.split(['_', '.']).filter(|part| part.ends_with('Z') && part.contains('T')).find_map(Time::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "111122223333_CloudTrail_eu-west-1_20261120T0305Z_AbCdEfGhIjKlMnOp.json.gz";

    #[test]
    fn every_layout_of_a_log_file() {
        for (prefix, organization) in [
            ("AWSLogs/111122223333", None),
            ("my prefix/AWSLogs/Digest/AWSLogs/111122223333", None),
            ("AWSLogs/o-abcdefghij/111122223333", Some("o-abcdefghij")),
            ("o-abcdefghij/AWSLogs/o-abcdefghij/111122223333", Some("o-abcdefghij")),
        ] {
            let key = format!("{prefix}/CloudTrail/eu-west-1/2026/11/20/{FILE}");
            let parsed = ObjectKey::parse(&key);
            assert_eq!(parsed.kind, ObjectKind::Trail, "{key}");
            assert_eq!(parsed.organization, organization);
            assert_eq!(parsed.account, Some("111122223333"));
            assert_eq!(parsed.region, Some("eu-west-1"));
            assert_eq!(parsed.time.map(|t| t.to_string()).as_deref(), Some("2026-11-20T03:05:00Z"));
        }
    }

    #[test]
    fn a_bare_file_name_says_as_much() {
        let parsed = ObjectKey::parse(FILE);
        assert_eq!((parsed.kind, parsed.account), (ObjectKind::Trail, Some("111122223333")));
    }

    #[test]
    fn other_kinds_are_told_apart() {
        let digest = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/11/20/\
            111122223333_CloudTrail-Digest_eu-west-1_main_eu-west-1_20261120T030542Z.json.gz";
        assert_eq!(ObjectKey::parse(digest).kind, ObjectKind::Digest);
        assert_eq!(ObjectKey::parse(digest).time.map(crate::time::Time::clock).as_deref(), Some("03:05:42"));
        let insight = format!("AWSLogs/111122223333/CloudTrail-Insight/eu-west-1/2026/11/20/{FILE}");
        assert_eq!(ObjectKey::parse(&insight).kind, ObjectKind::Insight);
        let config = "AWSLogs/111122223333/Config/eu-west-1/2026/11/20/x.json.gz";
        assert_eq!(ObjectKey::parse(config).kind, ObjectKind::Foreign);
        let flow = "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/11/20/x.log.gz";
        assert_eq!(ObjectKey::parse(flow).kind, ObjectKind::Foreign);
        // What CloudTrail may yet deliver is not another service's.
        let new = "AWSLogs/111122223333/CloudTrail-New/eu-west-1/2026/11/20/x.json.gz";
        assert_eq!(ObjectKey::parse(new).kind, ObjectKind::Other);
        assert_eq!(ObjectKey::parse("Digest/notes.txt").kind, ObjectKind::Other);
        // A prefix is not a kind.
        let prefixed = format!("CloudTrail-Digest/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/{FILE}");
        assert_eq!(ObjectKey::parse(&prefixed).kind, ObjectKind::Trail);
    }
}
