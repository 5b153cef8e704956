//! Reading held against slower readers, and against everything that can be wrong with a file.

mod inflating;
mod json;
mod skimming;
mod splitting;
mod versions;

use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Inflated, Limits, Report, evaluate};
use crate::detection::Engine;
use crate::record::{Record, Unreadable};
use crate::settings::Settings;

/// A key that says little.
const KEY: &str = "111122223333_CloudTrail_eu-west-1_20261120T0305Z_AbCdEfGhIjKlMnOp.json.gz";

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Settings::default()));

/// What becomes of a file's text, and the records that could be read.
fn evaluated(bytes: &[u8]) -> (Report, Vec<String>) {
    let inflated = Inflated { bytes: bytes.to_vec(), trailing: 0, problem: None };
    let mut seen = Vec::new();
    let report =
        evaluate(&ENGINE, &inflated, KEY, Limits::default(), &mut |record| seen.push(record.text().to_owned()));
    assert!(report.is_conserved(), "{report:?}");
    (report, seen)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Everything that a header says, to be compared.
fn header(record: &Record<'_>) -> Vec<String> {
    let texts = [
        record.text(),
        &record.source,
        &record.name,
        &record.time,
        &record.id,
        &record.region,
        &record.source_ip,
        &record.error_code,
        &record.event_type,
        &record.category,
        &record.recipient_account,
    ];
    let mut header: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    header.push(format!("{:?} {} {}", record.read_only, record.may_be_root(), record.may_be_foreign()));
    header.push(format!("{:?}", record.identity(None)));
    header
}

/// A record that no detection looks at.
fn unwanted(id: usize) -> String {
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","userName":"alice"}},"eventTime":"2026-11-20T03:02:11Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeVpcs","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli \\ \"2\"","requestParameters":{{"vpcSet":{{}},"filterSet":{{"items":[{{"name":"a]}}"}}]}}}},"responseElements":null,"eventID":"id-{id}","readOnly":true,"eventType":"AwsApiCall","recipientAccountId":"111122223333","eventCategory":"Management"}}"#
    )
}

#[test]
fn a_record_that_nobody_wants_costs_no_allocation() {
    let allocations = |records: usize| {
        let list: Vec<String> = (0..records).map(unwanted).collect();
        let bytes = format!(r#"{{"Records":[{}]}}"#, list.join(",")).into_bytes();
        let inflated = Inflated { bytes, trailing: 0, problem: None };
        let mut report = Report::default();
        let counted = allocation_counter::measure(|| {
            report = evaluate(&ENGINE, &inflated, KEY, Limits::default(), &mut |_| {});
        });
        assert_eq!((report.evaluated, report.matches.len()), (records, 0));
        counted.count_total
    };
    // Escapes in a member that no header needs included; what there is belongs to the file, not to its records.
    assert_eq!(allocations(1000), allocations(10));
}

#[test]
fn a_record_over_the_limit_is_quarantined_alone() {
    let (small, large) = (unwanted(1), unwanted(2).replace("alice", &"a".repeat(5000)));
    let bytes = format!(r#"{{"Records":[{small},{large},{small}]}}"#).into_bytes();
    let inflated = Inflated { bytes, trailing: 0, problem: None };
    let limits = Limits { record_bytes: 4096, ..Limits::default() };
    let report = evaluate(&ENGINE, &inflated, KEY, limits, &mut |_| {});
    assert!(report.is_conserved());
    assert_eq!((report.evaluated, report.quarantined), (2, 1));
    assert_eq!(report.kept[0].index, 1);
    assert_eq!(report.kept[0].reason, Unreadable::TooLarge { size: large.len(), limit: 4096 });
}
