//! `events/`: the organization's day and the invocations by name, as they are handed to real functions.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::support::process::Output;

/// The bucket that the invocations speak of.
const EXAMPLE_LOGS: &str = "example-trail-logs";

/// The queue that the invocations of the fast path come through.
const EXAMPLE_FAST_PATH: &str = "qtrail-fast-path";

fn events(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name)
}

fn invocation(name: &str) -> Value {
    let text = fs::read_to_string(events("invocations").join(name)).expect("an invocation");
    serde_json::from_str(&text).expect("JSON")
}

/// Every log file of the day, by key. Digests lie elsewhere.
fn the_day() -> Vec<LogFile> {
    let mut files = Vec::new();
    gather(&events("aws"), &mut files);
    files.retain(|file| file.key.contains("/CloudTrail/"));
    files.sort_by(|a, b| a.key.cmp(&b.key));
    files
}

fn gather(folder: &Path, files: &mut Vec<LogFile>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, files);
        } else {
            let key = path.strip_prefix(events("aws")).expect("below").to_string_lossy().into_owned();
            files.push(LogFile { key, bytes: fs::read(&path).expect("readable") });
        }
    }
}

/// A deployment that owns the example's bucket and settings, with the whole day in it.
struct Example {
    stack: Stack,
    ingest: Function,
}

impl Example {
    async fn start() -> Self {
        let stack = Stack::start().await;
        stack.s3.create(EXAMPLE_LOGS);
        for file in the_day() {
            stack.s3.put(EXAMPLE_LOGS, &file.key, file.bytes).await;
        }
        stack.configure(&fs::read_to_string(events("config.toml")).expect("readable")).await;
        let queue = invocation("fast-path-api-call.json")["Records"][0]["eventSourceARN"].clone();
        let queue = queue.as_str().expect("an ARN");
        assert!(queue.ends_with(EXAMPLE_FAST_PATH), "{queue}");
        let environment =
            stack.environment().set("QTRAIL_LOG_BUCKETS", EXAMPLE_LOGS).set("QTRAIL_FAST_PATH_QUEUE", queue);
        let ingest = Function::start(&binary("ingest"), &environment).await;
        Self { stack, ingest }
    }

    async fn deliver(&self, name: &str) {
        let answer = self.ingest.invoke(&invocation(name)).await.expect("an answer");
        assert_eq!(answer, json!({"batchItemFailures": []}), "{name}: {}", said(self.ingest.output()));
    }
}

/// What a command that succeeds or finds something prints, started where the repository is.
fn qtrail(arguments: &[&str], status: i32) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_qtrail"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .output()
        .expect("qtrail runs");
    assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn demo(format: &str) -> String {
    qtrail(&["demo", "--no-view", "--format", format], 0)
}

fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

#[test]
fn the_demo_prints_the_same_every_time() {
    for format in ["text", "ndjson", "ocsf"] {
        assert_eq!(demo(format), demo(format), "{format}");
    }
    assert!(lines(&demo("ocsf")).iter().all(|line| line["class_uid"].is_u64()));
}

#[test]
fn the_demo_shows_where_the_trail_falls_short() {
    let shown = lines(&demo("ndjson"));
    let verdicts: BTreeSet<(&str, &str, &str)> =
        shown.iter().filter(|line| line.get("control_id").is_some()).map(verdict).collect();
    for expected in [
        ("FAIL", "s3-write-events", "111122223333"),
        ("PARTIAL", "log-bucket-immutable", "999988887777"),
        ("PARTIAL", "management-events-complete", "111122223333"),
        ("UNKNOWN", "management-events-complete", "222233334444"),
    ] {
        assert!(verdicts.contains(&expected), "{expected:?}: {verdicts:?}");
    }
    assert!(verdicts.iter().all(|(status, ..)| ["FAIL", "PARTIAL", "UNKNOWN"].contains(status)), "{verdicts:?}");
    let by_hand = ["audit", "--snapshot", "events/settings.ndjson", "--settings", "events/config.toml"];
    let by_hand = qtrail(&by_hand, 2);
    let text = demo("text");
    let (_, text) = text.split_once("could not be seen:\n\n").expect("a part with verdicts");
    let (text, _) = text.split_once("\nLog files").expect("a part after it");
    assert!(by_hand.starts_with(text), "{by_hand}\n{text}");
}

fn verdict(line: &Value) -> (&str, &str, &str) {
    let said = |member: &str| line[member].as_str().expect("text");
    (said("status"), said("control_id"), said("account"))
}

#[test]
fn one_log_file_of_the_demo_was_tampered_with_and_every_other_one_is_proven() {
    let shown = lines(&demo("ndjson"));
    let problems: Vec<&Value> = shown.iter().filter(|line| line.get("chain").is_some()).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["kind"], "log_changed");
    let object = problems[0]["object"].as_str().expect("a key");
    assert!(object.contains("/111122223333_CloudTrail_eu-west-1_20261120T0315Z_"), "{object}");
    let by_hand = qtrail(&["verify", "--keys", "events/keys.json", "events/aws"], 1);
    assert_eq!(by_hand.lines().count(), 1, "{by_hand}");
    assert!(demo("text").contains(&by_hand), "{by_hand}");
}

fn said(output: &Output) -> String {
    output.stdout.all().join("\n")
}

#[tokio::test]
async fn the_functions_find_in_the_days_bucket_what_the_demo_shows() {
    let example = Example::start().await;
    for chunk in the_day().chunks(10) {
        let bodies: Vec<String> = chunk.iter().map(|file| notification(EXAMPLE_LOGS, &file.key).to_string()).collect();
        let answer = example.ingest.invoke(&batch_of(QUEUE, &bodies)).await.expect("an answer");
        assert!(failures(&answer).is_empty(), "{answer}");
    }
    let shown = lines(&demo("ndjson"));
    let shown: BTreeSet<(String, u64)> =
        shown.iter().filter(|line| line.get("finding_id").is_some()).map(id_and_count).collect();
    let found = example.stack.findings().await;
    let found = found.iter().map(|finding| (finding.finding_id.clone(), finding.event_count() as u64)).collect();
    assert_eq!(shown, found);
}

fn id_and_count(finding: &Value) -> (String, u64) {
    let id = finding["finding_id"].as_str().expect("an id").to_owned();
    (id, finding["event_count"].as_u64().expect("a count"))
}

#[tokio::test]
async fn each_invocation_around_a_log_file_brings_the_same_findings() {
    let mut first = None;
    for name in [
        "s3-notification.json",
        "sns-wrapped.json",
        "sns-raw.json",
        "eventbridge-object-created.json",
        "cloudtrail-sns-notice.json",
    ] {
        let example = Example::start().await;
        example.deliver(name).await;
        // The object's version stands in findings about the object alone, of which there are none here.
        let found = example.stack.findings().await;
        assert!(!found.is_empty(), "{name}");
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{name}");
    }
}

#[tokio::test]
async fn the_other_invocations_do_what_their_names_say() {
    let example = Example::start().await;
    example.deliver("s3-test-event.json").await;
    assert!(example.stack.findings().await.is_empty());
    example.deliver("fast-path-api-call.json").await;
    assert_eq!(by_detection(&example.stack.findings().await).get("cloudtrail-trail-stopped"), Some(&1));
    example.deliver("fast-path-console-sign-in.json").await;
    let notify = example.stack.notify().await;
    for (name, kinds) in [("deployed.json", 0), ("notify-due.json", 1), ("notify-summary.json", 2)] {
        notify.invoke(&invocation(name)).await.expect("notify runs");
        let told = example.stack.sns.published_to(&example.stack.people);
        let own = told.iter().filter(|message| ["test", "summary"].contains(&message.attributes["kind"].as_str()));
        assert_eq!(own.count(), kinds, "after {name}");
    }
}
