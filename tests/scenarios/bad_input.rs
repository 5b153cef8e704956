//! Bad input gets a clear answer and costs nothing else.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::support::s3::gzip;

/// A delivered object that is not as it should be, and what is to become of it.
struct Row {
    file: LogFile,
    /// Whether its message fails alone, to end in the dead-letter queue.
    fails: bool,
    /// What is found about the object itself.
    about: &'static [&'static str],
    /// Index and reason of each quarantined record.
    quarantined: &'static [(usize, &'static str)],
    /// How many trails were stopped, by the records that can be read.
    stopped: usize,
}

const UNREADABLE: &[&str] = &["log-file-unreadable"];
const QUARANTINED: &[&str] = &["records-quarantined"];
const NOTHING: &[&str] = &[];

fn row(name: &str, bytes: impl Into<Vec<u8>>) -> Row {
    Row { file: LogFile::raw(name, bytes), fails: false, about: NOTHING, quarantined: &[], stopped: 0 }
}

/// A record that has to be found next to whatever is wrong.
fn stop() -> Value {
    stop_trail(1, "org-trail", &json!({}))
}

/// Files that cannot be read whole.
fn broken() -> Vec<Row> {
    let whole =
        log_file(&(0..300).map(|number| if number == 0 { stop() } else { ordinary(number) }).collect::<Vec<_>>());
    let mut corrupt = whole.clone();
    let crc = corrupt.len() - 8;
    corrupt[crc] ^= 1;
    let cut = whole[..whole.len() - 400].to_vec();
    let unreadable = |row: Row| Row { fails: true, about: UNREADABLE, ..row };
    vec![
        Row {
            fails: true,
            about: &["log-file-unreadable", "records-quarantined"],
            stopped: 1,
            quarantined: &[(usize::MAX, "the file ends inside this record")],
            ..row("truncated", cut)
        },
        Row { stopped: 1, ..unreadable(row("corrupt", corrupt)) },
        unreadable(row("empty", "")),
        unreadable(row("text", "this is not a log file")),
        unreadable(row("no-records", gzip(br#"{"Hello":"world"}"#))),
    ]
}

/// Files in forms that `CloudTrail` does not write, and that are read as they are.
fn unusual() -> Vec<Row> {
    let strange = stop_trail(
        60,
        "org-trail",
        &json!({
            "eventVersion": "9.41", "somethingNew": {"deep": [1, 2, {"x": null}]},
            "userIdentity": {"type": "Martian", "principalId": "M1", "accountId": ACCOUNT},
        }),
    );
    let lines = format!("{}\n{}\n", stop(), ordinary(2));
    [
        row("plain", json!({"Records": [stop(), ordinary(2)]}).to_string()),
        row("list", gzip(json!([stop(), ordinary(2)]).to_string().as_bytes())),
        row("lines", gzip(lines.as_bytes())),
        row(
            "pretty",
            serde_json::to_vec_pretty(&json!({"Records": [stop_trail(61, "org-trail", &json!({}))]})).expect("JSON"),
        ),
        row("strange", log_file(&[strange])),
    ]
    .into_iter()
    .map(|row| Row { stopped: 1, ..row })
    .collect()
}

/// Good files with bad records in them.
fn bad_records() -> Vec<Row> {
    let mut missing = [ordinary(2), ordinary(3)];
    missing[0].as_object_mut().expect("an object").remove("eventSource");
    missing[1].as_object_mut().expect("an object").remove("eventName");
    let large = record(4, "s3.amazonaws.com", "PutObject", &json!({"requestParameters": {"x": "y".repeat(2 << 20)}}));
    let raw = format!(r#"{{"Records":[{},{{"eventID":"BAD","eventName":"x"}},{}]}}"#, ordinary(5), stop()).into_bytes();
    let at = raw.windows(3).position(|bytes| bytes == b"BAD").expect("there");
    let mut invalid = raw;
    invalid[at..at + 3].copy_from_slice(&[0xff, 0xfe, 0xfd]);
    let of = |name: &str, records: &[Value], quarantined: &'static [(usize, &'static str)]| Row {
        about: QUARANTINED,
        quarantined,
        stopped: 1,
        ..row(name, log_file(records))
    };
    vec![
        of(
            "no-objects",
            &[json!(1), json!("text"), json!(null), json!([1]), stop()],
            &[(0, "not a JSON object"), (1, "not a JSON object"), (2, "not a JSON object"), (3, "not a JSON object")],
        ),
        of("nameless", &[missing[0].clone(), stop(), missing[1].clone()], &[(0, "eventSource"), (2, "eventName")]),
        of("large", &[large, stop()], &[(0, "over the limit of 2097152 bytes")]),
        Row { about: QUARANTINED, quarantined: &[(1, "invalid UTF-8")], stopped: 1, ..row("utf8", gzip(&invalid)) },
    ]
}

/// A log file with a second gzip member behind it.
fn appended() -> Row {
    let second = log_file(&[stop_trail(9, "never-evaluated", &json!({}))]);
    let bytes = [log_file(&[stop()]), second].concat();
    Row { about: &["log-file-appended"], stopped: 1, ..row("appended", bytes) }
}

fn all_rows() -> Vec<Row> {
    broken().into_iter().chain(unusual()).chain(bad_records()).chain([appended()]).collect()
}

#[tokio::test]
async fn each_bad_object_is_answered_as_the_table_of_bad_input_says() {
    for row in all_rows() {
        let (stack, name) = (Stack::start().await, &row.file.key);
        let neighbour = LogFile::of("neighbour", &[open_port(50, 22, "sg-0a1b")]);
        let files = [row.file.clone(), neighbour];
        stack.deliver(&files).await;
        let answer = stack.ingest().await.invoke(&batch(&files)).await.expect("an answer");
        let failed: &[&str] = if row.fails { &["m0"] } else { &[] };
        assert_eq!(failures(&answer), failed, "{name}: its message alone fails, or none");
        let found = stack.findings().await;
        assert_eq!(found, Oracle::new().findings(&files), "{name}");
        let about = found.iter().filter(|finding| finding.category == Category::Integrity);
        assert_eq!(
            about.map(|finding| finding.detection_id.as_str()).collect::<BTreeSet<_>>(),
            row.about.iter().copied().collect(),
            "{name}"
        );
        let stops = by_detection(&found).get("cloudtrail-trail-stopped").copied().unwrap_or_default();
        assert_eq!(stops, row.stopped, "{name}: what can be read is evaluated");
        assert_eq!(by_detection(&found).get("ec2-security-group-opened"), Some(&1), "{name}: so is its neighbour");
        assert_quarantined(&stack, &row).await;
    }
}

/// What could not be read lies in the data bucket, as it was delivered, with a reason beside it.
async fn assert_quarantined(stack: &Stack, row: &Row) {
    let keys = stack.s3.keys(DATA, "quarantine").await;
    let folder = format!("quarantine/{}", row.file.id());
    assert_eq!(keys.len(), row.quarantined.len() * 2, "{keys:?}");
    let names: Vec<&str> = keys.iter().filter_map(|key| key.strip_suffix(".json")).collect();
    for ((index, reason), name) in row.quarantined.iter().zip(names) {
        assert!(name.starts_with(&folder), "{name} lies under the object's own name");
        let why = stack.s3.get(DATA, &format!("{name}.json")).await.expect("a reason");
        let why: Value = serde_json::from_slice(&why).expect("JSON");
        assert_eq!(why["object"], row.file.id());
        assert!(*index == usize::MAX || why["index"] == *index, "{why}");
        assert!(why["reason"].as_str().expect("a text").contains(reason), "{why}");
        let bytes = stack.s3.get(DATA, &format!("{name}.bin")).await.expect("the bytes");
        assert!(!bytes.is_empty() && why["bytes"] == bytes.len(), "{why}");
    }
}

#[tokio::test]
async fn bad_objects_in_one_batch_cost_each_other_nothing() {
    let stack = Stack::start().await;
    let rows = all_rows();
    let files: Vec<LogFile> = rows.iter().map(|row| row.file.clone()).collect();
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    let expected: Vec<String> =
        rows.iter().enumerate().filter(|(_, row)| row.fails).map(|(index, _)| format!("m{index}")).collect();
    for _ in 0..2 {
        let answer = ingest.invoke(&batch(&files)).await.expect("an answer");
        assert_eq!(failures(&answer), expected);
        assert_eq!(stack.findings().await, Oracle::new().findings(&files));
    }
    let counts = stack.dynamo.items_under("C#").await;
    assert_eq!(counts.iter().map(numbers).collect::<Vec<_>>(), [Oracle::new().counts(&files)], "counted once");
}

#[tokio::test]
async fn what_follows_the_gzip_stream_is_never_evaluated_and_is_critical() {
    let stack = Stack::start().await;
    let files = [appended().file];
    stack.deliver(&files).await;
    deliver_until_done(&stack.ingest().await, &batch(&files)).await;
    let found = stack.findings().await;
    let appended = found.iter().find(|finding| finding.detection_id == "log-file-appended").expect("found");
    assert_eq!(appended.severity, Severity::Critical);
    assert!(!format!("{found:?}").contains("never-evaluated"));
    assert!(stack.told().iter().any(|message| message["finding_id"] == appended.finding_id), "at once");
    assert_eq!(
        appended.last_seen.to_string(),
        "2025-11-20T03:05:00Z",
        "the time of the object's name, not the clock's"
    );
}

#[tokio::test]
async fn an_inflate_bomb_stops_at_the_bound() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(format!(r#"{{"Records":[{},"#, stop()).as_bytes()).expect("a vector takes everything");
    let spaces = vec![b' '; 1 << 20];
    (0..257).for_each(|_| encoder.write_all(&spaces).expect("a vector takes everything"));
    let bomb = LogFile::raw("bomb", encoder.finish().expect("a vector takes everything"));
    let files = [bomb, LogFile::of("neighbour", &[open_port(50, 22, "sg-0a1b")])];
    let stack = Stack::start().await;
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    let answer = ingest.invoke(&batch(&files)).await.expect("the function lives");
    assert_eq!(failures(&answer), ["m0"]);
    let said = ingest.output().line_with("inflates to more").await.expect("it is said");
    assert!(said.contains("_bomb.json.gz") && said.contains(&(256 << 20).to_string()), "{said}");
    let found = stack.findings().await;
    let counts = by_detection(&found);
    let expected = ["cloudtrail-trail-stopped", "ec2-security-group-opened", "log-file-unreadable"];
    assert!(expected.iter().all(|detection| counts.contains_key(detection)), "{counts:?}");
}

#[tokio::test]
async fn a_file_of_unreadable_records_alone_fills_nothing() {
    let bad = LogFile::raw("bad", gzip(format!("{{\"Records\":[{}{}]}}", "1,".repeat(2_999), stop()).as_bytes()));
    let stack = Stack::start().await;
    stack.deliver(std::slice::from_ref(&bad)).await;
    let ingest = stack.ingest().await;
    let answer = ingest.invoke(&batch([&bad])).await.expect("the function lives");
    assert_eq!(failures(&answer), ["m0"]);
    assert!(ingest.output().line_with("the first 1000 are kept").await.is_some());
    assert_eq!(stack.s3.keys(DATA, "quarantine").await.len(), 2_000, "bytes and reason of each that is kept");
    assert_eq!(numbers(&stack.dynamo.items_under("C#").await[0]), [1, 3_000, 1, 2_999, 0], "all of them are counted");
    assert!(by_detection(&stack.findings().await).contains_key("cloudtrail-trail-stopped"));
}

#[tokio::test]
async fn an_object_that_is_not_there_fails_alone_and_is_named() {
    let stack = Stack::start().await;
    let files = [LogFile::of("gone", &[]), LogFile::of("there", &[stop()])];
    stack.deliver(&files[1..]).await;
    let ingest = stack.ingest().await;
    let answer = ingest.invoke(&batch(&files)).await.expect("an answer");
    assert_eq!(failures(&answer), ["m0"]);
    assert_eq!(stack.findings().await, Oracle::new().findings(&files[1..]));
    assert!(ingest.output().line_with("_gone.json.gz").await.is_some());
}

#[tokio::test]
async fn a_message_that_cannot_be_understood_fails_alone() {
    let stack = Stack::start().await;
    let file = LogFile::of("there", &[stop()]);
    stack.deliver(std::slice::from_ref(&file)).await;
    let bodies = ["hello", "{}", "[1]", r#"{"Records":[{"s3":{}}]}"#].map(str::to_owned);
    let bodies = [bodies.to_vec(), vec![notification(LOGS, &file.key).to_string()]].concat();
    let answer = stack.ingest().await.invoke(&batch_of(QUEUE, &bodies)).await.expect("an answer");
    let failed = failures(&answer);
    assert!(!failed.contains(&"m4") && ["m0", "m1", "m2"].iter().all(|id| failed.contains(id)), "{failed:?}");
    assert_eq!(stack.findings().await, Oracle::new().findings(&[file]));
}

#[tokio::test]
async fn digests_and_other_kinds_are_told_from_api_records() {
    let stack = Stack::start().await;
    let digest = gzip(br#"{"digestStartTime":"2025-11-20T02:05:42Z","digestS3Object":"x","logFiles":[]}"#);
    let digest_key = key("digest").replace("CloudTrail/", "CloudTrail-Digest/");
    let insight = record(
        2,
        "ec2.amazonaws.com",
        "RunInstances",
        &json!({
        "eventType": "AwsCloudTrailInsight", "eventCategory": "Insight", "insightDetails": {"state": "Start"}}),
    );
    let files = [LogFile { key: digest_key, bytes: digest }, LogFile::of("insight", &[insight, ordinary(3)])];
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    deliver_until_done(&ingest, &batch(&files)).await;
    assert!(stack.findings().await.is_empty());
    assert_eq!(numbers(&stack.dynamo.items_under("C#").await[0]), [1, 2, 1, 0, 1]);
    let metrics = ingest.output().line_with("DigestFiles").await.expect("metrics");
    let metrics: Value = serde_json::from_str(&metrics).expect("JSON");
    assert_eq!((&metrics["DigestFiles"], &metrics["LogFiles"]), (&json!(1), &json!(1)));
}
