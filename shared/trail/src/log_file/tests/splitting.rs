//! Files of records, whole and damaged, in every layout.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::json::record;
use super::{ENGINE, KEY, evaluated, unwanted};
use crate::log_file::split::{self, End};
use crate::log_file::{Inflated, Limits, Problem, evaluate, position_of};
use crate::record::Unreadable;

/// The elements of a file, whether each could be read, and how the list ended.
fn elements(bytes: &[u8]) -> (Vec<(Vec<u8>, bool)>, End) {
    let mut found = Vec::new();
    let end = split::records(bytes, &mut |element| found.push((element.bytes.to_vec(), element.record.is_ok())));
    (found, end)
}

/// A file around records, in one of the layouts that are read.
fn layout(number: usize, records: &[String]) -> String {
    let (commas, lines) = (records.join(","), records.join("\n"));
    match number {
        0 => format!(r#"{{"Records":[{commas}]}}"#),
        1 => format!("{{\n  \"Records\" : [\n    {}\n  ]\n}}\n", records.join(" ,\n    ")),
        2 => format!("[{commas}]"),
        3 => format!("\r\n[ {} ]\n", records.join("\n,\n")),
        4 => format!(r#"{{"first":{{"a":[1,"]}}"]}},"n":-1.5,"s":"\"Records\":[","Records":[{commas}],"last":0}}"#),
        5 => format!("\u{feff}{{\"Records\":[{commas}]}}"),
        6 => format!("{lines}\n"),
        _ => lines,
    }
}

/// A record that is one by its first member, which tells a file of records a line from anything else.
fn line() -> impl Strategy<Value = String> {
    record().prop_map(|text| match text.strip_prefix('{') {
        Some(rest) if rest.trim_start().starts_with('}') => r#"{"eventVersion":"1.11"}"#.to_owned(),
        Some(rest) => format!(r#"{{"eventVersion":"1.11",{rest}"#),
        None => text,
    })
}

const DAMAGED: &[&[u8]] = &[
    b"5",
    b"\"text\"",
    b"null",
    b"[1,{\"a\":2}]",
    br#"{"eventName":tru}"#,
    br#"{"eventName" "x"}"#,
    br#"{"eventName":"\x"}"#,
    br#"{"eventName":yes,"b":_}"#,
    b"{\"eventName\":\"\xff\xfe\"}",
    b"{\"eventName\":\"a\nb\"}",
    br#"{"a":1,}"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_record_of_every_layout_is_taken(records in prop::collection::vec(line(), 1..8), number in 0..8_usize) {
        let (found, end) = elements(layout(number, &records).as_bytes());
        prop_assert_eq!(end, End::Complete);
        let expected: Vec<_> = records.into_iter().map(|text| (text.into_bytes(), true)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_bad_record_leaves_its_neighbours_alone(
        records in prop::collection::vec(line(), 2..6),
        bad in select(DAMAGED),
        at in any::<Index>(),
    ) {
        let mut expected: Vec<_> = records.iter().map(|text| (text.as_bytes().to_vec(), true)).collect();
        expected.insert(at.index(records.len()), (bad.to_vec(), false));
        let list: Vec<&[u8]> = expected.iter().map(|(bytes, _)| bytes.as_slice()).collect();
        let list = list.join(&b',');
        let file = [b"{\"Records\":[".as_slice(), &list, b"]}"].concat();
        let (found, end) = elements(&file);
        prop_assert_eq!(end, End::Complete);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn nothing_is_lost_whatever_happens_to_the_bytes(
        records in prop::collection::vec(line(), 1..5),
        number in 0..8_usize,
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = layout(number, &records).into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // The count of records is checked in there.
        let (report, seen) = evaluated(&bytes);
        prop_assert!(seen.len() <= report.records);
    }

    #[test]
    fn bytes_of_any_kind_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        evaluated(&bytes);
        evaluated(&[b"{\"Records\":[".as_slice(), &bytes].concat());
    }
}

#[test]
fn a_file_cut_off_anywhere_keeps_the_records_before_the_cut() {
    let records: Vec<String> = (0..3).map(unwanted).collect();
    let file = layout(0, &records);
    for length in 1..file.len() - 1 {
        let (report, seen) = evaluated(&file.as_bytes()[..length]);
        let whole = (1..=3).rev().find(|n| length >= 12 + records[..*n].join(",").len()).unwrap_or(0);
        assert_eq!(seen, records[..whole], "cut at {length}");
        assert!(report.problem.is_some(), "cut at {length}");
    }
}

#[test]
fn a_list_may_be_empty_and_a_file_may_be_nothing() {
    assert_eq!(elements(br#"{"Records":[]}"#), (Vec::new(), End::Complete));
    assert_eq!(elements(b"[ ]"), (Vec::new(), End::Complete));
    assert_eq!(elements(b" \n"), (Vec::new(), End::Problem(Problem::Empty)));
    for nothing in [b"{}".as_slice(), br#"{"a":1}"#, br#"{"Records":null}"#, b"plain text"] {
        let (found, end) = elements(nothing);
        assert!(found.is_empty());
        assert!(matches!(end, End::Problem(Problem::NoRecords(_))), "{end:?}");
    }
}

#[test]
fn a_digest_is_no_log_file() {
    let digest = br#"{"awsAccountId":"111122223333","digestStartTime":"2026-11-20T02:05:42Z","digestEndTime":"2026-11-20T03:05:42Z","digestS3Bucket":"example-trail-logs","logFiles":[{"s3Bucket":"example-trail-logs"}]}"#;
    assert_eq!(elements(digest), (Vec::new(), End::Digest));
    let (report, _) = evaluated(digest);
    assert!(report.digest && report.problem.is_none());
}

#[test]
fn an_api_record_without_a_service_or_a_name_is_quarantined() {
    let file = layout(0, &[r#"{"eventSource":"ec2.amazonaws.com"}"#.to_owned(), r#"{"eventName":"X"}"#.to_owned()]);
    let (report, _) = evaluated(file.as_bytes());
    let reasons: Vec<_> = report.kept.into_iter().map(|record| record.reason).collect();
    assert_eq!(reasons, [Unreadable::Missing("eventName"), Unreadable::Missing("eventSource")]);
}

#[test]
fn other_kinds_of_record_are_counted_and_not_evaluated() {
    let records = [
        r#"{"eventCategory":"Insight","eventType":"AwsCloudTrailInsight"}"#,
        r#"{"eventCategory":"NetworkActivity","eventSource":"kms.amazonaws.com","eventName":"Decrypt"}"#,
        r#"{"eventVersion":"1.0","eventCategory":"Aggregated","eventType":"AwsAggregatedEvent"}"#,
    ];
    let (report, seen) = evaluated(layout(0, &records.map(str::to_owned)).as_bytes());
    assert_eq!((report.evaluated, report.other_kinds.values().sum::<usize>(), seen.len()), (0, 3, 3));
}

#[test]
fn what_stopped_the_inflating_stays_the_problem() {
    let bytes = layout(0, &[unwanted(1)]).into_bytes();
    let inflated =
        Inflated { bytes: bytes[..bytes.len() - 1].to_vec(), trailing: 0, problem: Some(Problem::Truncated(9)) };
    let report = evaluate(&ENGINE, &inflated, KEY, Limits::default(), &mut |_| {});
    assert_eq!((report.problem, report.evaluated), (Some(Problem::Truncated(9)), 1));
}

#[test]
fn a_record_is_found_by_its_bytes() {
    let text = r#"{"Records":[{"eventID":"a"}, {"eventID":"b"},7,{"eventID":"a"},{"eventID": "b"}]}"#;
    let position = |record: &str, expected| position_of(record.as_bytes(), text.as_bytes(), expected);
    let (a, b) = (r#"{"eventID":"a"}"#, r#"{"eventID":"b"}"#);
    assert_eq!([position(a, 0), position(a, 3), position(a, 1), position(a, 9)], [Some(0), Some(3), Some(0), Some(0)]);
    assert_eq!([position(b, 4), position(r#"{"eventID": "b"}"#, 4)], [Some(1), Some(4)]);
    assert_eq!([position("7", 2), position("", 0), position(r#"{"eventID":"c"}"#, 0)], [Some(2), None, None]);
}
