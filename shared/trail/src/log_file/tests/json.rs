//! JSON texts in every way they may be written.

use proptest::prelude::*;
use proptest::sample::select;

/// The keys that a header takes up.
const KEYS: &[&str] = &[
    "eventSource",
    "eventName",
    "eventTime",
    "eventID",
    "awsRegion",
    "sourceIPAddress",
    "errorCode",
    "eventType",
    "eventCategory",
    "recipientAccountId",
    "readOnly",
    "userIdentity",
    "addendum",
];

/// What a header's members are in real records, and what they are not.
const VALUES: &[&str] = &[
    r#""ec2.amazonaws.com""#,
    r#""2026-11-20T03:02:11Z""#,
    r#""Insight""#,
    r#""AwsAggregatedEvent""#,
    r#""True""#,
    r#"{"type":"Root","arn":"arn:aws:iam::111122223333:root"}"#,
    r#"{"type":"AWSAccount","accountId":"777788889999"}"#,
    r#"{"type":"AWS\u0041ccount"}"#,
    r#"{"originalEventID":"id-1","reason":"UPDATED_DATA"}"#,
    "true",
    "false",
    "null",
    "{}",
    "[]",
    r#""""#,
    "12",
];

/// A JSON object: known and other keys in any order, some of them twice. Mostly compact.
pub(super) fn record() -> impl Strategy<Value = String> {
    (gap(), prop::collection::vec(member(), 0..24)).prop_map(|(gap, members)| {
        let members: Vec<String> =
            members.into_iter().map(|(key, value)| format!("{gap}{key}{gap}:{gap}{value}{gap}")).collect();
        format!("{{{}}}", if members.is_empty() { gap.to_owned() } else { members.join(",") })
    })
}

/// Nothing, mostly: one choice for a whole record.
fn gap() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just(""), 1 => select(vec![" ", "\n  ", "\t", "\r\n"])]
}

fn member() -> impl Strategy<Value = (String, String)> {
    let known = select(KEYS).prop_map(|key| format!("\"{key}\""));
    let escaped = select(KEYS).prop_map(|key| format!("\"\\u{:04x}{}\"", key.as_bytes()[0], &key[1..]));
    let key = prop_oneof![12 => known, 1 => escaped, 5 => string()];
    let value = prop_oneof![3 => select(VALUES).prop_map(str::to_owned), 2 => string(), 2 => value()];
    (key, value)
}

/// A string with all that makes strings hard to read: escapes, brackets, long runs of backslashes, other scripts.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        10 => "[ -!#-\\[\\]-~]{1,20}".prop_map(|text: String| text.replace('\\', "")),
        3 => select(vec!["{", "}", "[", "]", ":", ",", "],[", "}}", "Y_y", "é", "日本", "😀", "\u{7f}", "\u{2028}"])
            .prop_map(str::to_owned),
        2 => select(vec![r"\\", r#"\""#, r"\n", r"\/", r"\u00e9", r"\ud83d\ude00", r"\u0000", r#"\\\""#])
            .prop_map(str::to_owned),
        1 => (1..70_usize).prop_map(|pairs| r"\\".repeat(pairs)),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        4 => string(),
        2 => select(vec!["true", "false", "null", "0", "-1.5e10", "12345678901234567890", "1E-7"]).prop_map(str::to_owned),
    ];
    let nested = (1..60_usize).prop_map(|depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
    prop_oneof![8 => scalar, 1 => nested].prop_recursive(4, 40, 6, |inner| {
        let list = (gap(), prop::collection::vec(inner.clone(), 0..6))
            .prop_map(|(gap, items)| format!("[{gap}{}{gap}]", items.join(&format!("{gap},{gap}"))));
        let object = (gap(), prop::collection::vec((string(), inner), 0..6)).prop_map(|(gap, members)| {
            let members: Vec<String> = members.into_iter().map(|(key, value)| format!("{key}{gap}:{value}")).collect();
            format!("{{{gap}{}{gap}}}", members.join(","))
        });
        prop_oneof![list, object]
    })
}
