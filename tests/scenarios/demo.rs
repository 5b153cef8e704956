//! `events/`: the organization's day and the invocations by name, as they are handed to real functions.

use std::fs;
use std::path::{Path, PathBuf};

use cloud::pack::{Known, Manifest};
use tempfile::TempDir;

use super::command::{command, stderr};
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
    let folder = TempDir::new().expect("a temporary folder");
    qtrail(&["demo", "--no-view", "--format", format, "--data", text_of(folder.path())], 0)
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The day as the demo keeps it.
struct Kept(TempDir);

impl Kept {
    fn new() -> Self {
        let kept = Self(TempDir::new().expect("a temporary folder"));
        kept.qtrail(&["demo", "--no-view"], 0);
        kept
    }

    fn qtrail(&self, arguments: &[&str], status: i32) -> String {
        qtrail(&[arguments, &["--data", text_of(self.0.path())]].concat(), status)
    }

    fn pack(&self) -> PathBuf {
        self.0.path().join("packs/pack-000001.zip")
    }

    fn manifest(&self) -> Manifest {
        let mut file = fs::File::open(self.pack()).expect("a pack");
        let verified = cloud::pack::verify(&mut file, &Known::default()).expect("readable");
        assert_eq!(verified.problems, []);
        verified.manifest.expect("a manifest")
    }
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

#[test]
fn the_demo_keeps_a_review_that_is_finished_and_what_came_of_it() {
    let kept = Kept::new();
    let shown = &lines(&kept.qtrail(&["review", "show", "2026-Q3", "--format", "ndjson"], 0))[0];
    let standing = &shown["standing"];
    assert!(standing["signed_off"][0].is_string(), "{standing}");
    assert_eq!((&shown["missing"], &shown["gaps"]), (&json!([]), &json!([])));
    assert_eq!(standing["progress"]["verbs"], json!({"keep": 18, "modify": 1, "revoke": 2}));
    assert_eq!(standing["progress"]["remedies"]["confirmed_absent"], 2);
    assert_eq!(standing["exceptions"].as_array().map(Vec::len), Some(2));

    let subjects = lines(&kept.qtrail(&["review", "subjects", "2026-Q3", "--format", "ndjson"], 0));
    let deciders: BTreeSet<&str> =
        subjects.iter().filter_map(|line| line["standing"]["decided_by"]["who"].as_str()).collect();
    assert_eq!(deciders.into_iter().collect::<Vec<_>>(), ["bob@example.com", "carol@example.com", "erin@example.com"]);
    // Whoever decided was not there: no entry says otherwise.
    assert!(subjects.iter().all(|line| line["standing"]["decided_by"]["proven"] == "recorded"));
    let joined: Vec<&Value> = subjects.iter().filter(|line| line["subject"]["joined"] == true).collect();
    assert_eq!(joined.len(), 1, "{joined:?}");
    assert_eq!(joined[0]["subject"]["created_by"]["actor"], "arn:aws:iam::111122223333:user/ci-deploy");

    let heidi = "arn:aws:iam::111122223333:user/heidi";
    let heidi = &lines(&kept.qtrail(&["review", "show", "2026-Q3", heidi, "--format", "ndjson"], 0))[0];
    assert_eq!((&heidi["subject"]["person"]["active"], &heidi["standing"]["late"]), (&json!(false), &json!(false)));
    let acts: Vec<&Value> = heidi["log"].as_array().expect("a log").iter().map(|entry| &entry["act"]["act"]).collect();
    assert_eq!(acts, ["decided", "carried", "carried", "carried", "carried", "absent"]);
    // The records that did it are the day's own.
    let record = heidi["log"][4]["act"]["record"]["id"].as_str().expect("an id");
    let found = kept.qtrail(&["search", "--filter", &format!("id={record}"), "--format", "ndjson"], 0);
    assert!(found.contains("DeleteUser"), "{found}");
}

#[test]
fn the_demos_pack_is_verified_and_a_changed_byte_is_caught() {
    let kept = Kept::new();
    let pack = kept.pack();
    let told = qtrail(&["pack", "verify", text_of(&pack)], 0);
    assert!(told.contains("unchanged since 2026-11-21T06:00:00Z"), "{told}");
    let manifest = kept.manifest();
    for (name, least) in [("review-subjects", 21), ("revocations", 8), ("review-receipts", 50), ("findings", 15)] {
        let path = format!("data/{name}.csv");
        let rows = manifest.files.iter().find(|file| file.path == path).map(|file| file.rows);
        assert!(rows.is_some_and(|rows| rows >= least), "{name}: {rows:?}");
    }
    assert!(manifest.gaps.iter().all(|gap| !gap.what.contains("cannot be read")), "{:?}", manifest.gaps);

    let bytes = fs::read(&pack).expect("readable");
    for place in [10, bytes.len() / 2, bytes.len() - 10] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let path = kept.0.path().join("changed.zip");
        fs::write(&path, changed).expect("written");
        let output = command().args(["pack", "verify"]).arg(&path).output().expect("qtrail runs");
        assert!(matches!(output.status.code(), Some(1 | 2)), "byte {place}: {}", stderr(&output));
    }
}

#[test]
fn the_demo_makes_its_folder_anew_with_the_same_evidence() {
    let kept = Kept::new();
    let files = || {
        let manifest = kept.manifest();
        assert_eq!(manifest.number, 1, "nothing is left of the one before");
        // The report names the key, which each demo makes itself.
        let of_evidence = manifest.files.into_iter().filter(|file| file.path != "report.html");
        of_evidence.map(|file| (file.path, file.sha256)).collect::<Vec<_>>()
    };
    let first = files();
    kept.qtrail(&["demo", "--no-view"], 0);
    assert_eq!(first, files());
}

#[test]
fn the_demo_leaves_other_folders_alone() {
    let other = TempDir::new().expect("a temporary folder");
    fs::write(other.path().join("mine"), "").expect("written");
    let output = command().args(["demo", "--no-view", "--data"]).arg(other.path()).output().expect("qtrail runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("name another folder with --data"), "{}", stderr(&output));
    assert!(other.path().join("mine").exists());
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
