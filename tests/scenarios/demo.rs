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

/// Every log file of the day, by key.
fn the_day() -> Vec<LogFile> {
    let mut files = Vec::new();
    gather(&events("aws"), &mut files);
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
    let demo = std::process::Command::new(env!("CARGO_BIN_EXE_qtrail"))
        .args(["demo", "--no-view", "--format", "ndjson"])
        .output()
        .expect("qtrail runs");
    let demo = String::from_utf8(demo.stdout).expect("UTF-8");
    let shown: BTreeSet<(String, u64)> =
        demo.lines().map(|line| id_and_count(&serde_json::from_str(line).expect("JSON"))).collect();
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
