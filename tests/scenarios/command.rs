//! `qtrail` as people and scripts use it: its own binary, its streams, its exit status.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use dynoxide::{Database, server};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::support::{ACCESS_KEY, REGION, SECRET_KEY, dynamo};

/// The command, told nothing by the environment.
pub(super) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qtrail"));
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn qtrail(arguments: &[&str]) -> Output {
    command().args(arguments).output().expect("qtrail runs")
}

/// The command over the table of a deployment.
pub(super) fn qtrail_on(stack: &Stack, arguments: &[&str]) -> Output {
    let mut command = command();
    command
        .args(arguments)
        .env("AWS_ENDPOINT_URL_DYNAMODB", stack.dynamo.url())
        .env("AWS_ENDPOINT_URL_SNS", stack.sns.url())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("QTRAIL_TABLE", TABLE);
    command.output().expect("qtrail runs")
}

pub(super) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

pub(super) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

pub(super) fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

/// A folder with log files as they lie in a bucket, and a place for a state.
struct Folder(TempDir);

impl Folder {
    fn of(files: &[LogFile]) -> Self {
        let folder = Self(TempDir::new().expect("a temporary folder"));
        files.iter().for_each(|file| folder.add(&file.key, &file.bytes));
        folder
    }

    fn add(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join("logs").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn logs(&self) -> String {
        self.path("logs")
    }

    /// Reads the log files into the state.
    fn ingest(&self) -> Output {
        qtrail(&["ingest", &self.logs(), "--data", &self.path("data")])
    }

    fn findings(&self, arguments: &[&str]) -> Output {
        qtrail(&[&["findings", "--data", &self.path("data")], arguments].concat())
    }
}

/// The day without what cannot be read.
fn clean_day() -> Vec<LogFile> {
    day().into_iter().filter(|file| !file.key.contains("_odd.")).collect()
}

#[test]
fn scan_prints_findings_on_stdout_and_one_summary_line_on_stderr() {
    let folder = Folder::of(&clean_day());
    let output = qtrail(&["scan", &folder.logs()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found = Oracle::new().findings(&clean_day());
    let expected: Vec<String> = found.iter().map(|f| finding_line(f, Oracle::new().settings())).collect();
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), expected);
    let [summary] = stderr(&output).lines().collect::<Vec<_>>()[..] else { panic!("{}", stderr(&output)) };
    let start = format!("files=6 records=27 duplicates=3 quarantined=0 findings={} seconds=", found.len());
    assert!(summary.starts_with(&start), "{summary}");
}

#[test]
fn a_pipe_gets_no_escapes_and_no_color_wins() {
    let folder = Folder::of(&clean_day());
    let escapes = |name: &str, value: &str| {
        let output = command().args(["scan", &folder.logs()]).env(name, value).output().expect("qtrail runs");
        output.stdout.contains(&0x1b)
    };
    assert!(!escapes("TERM", "xterm-256color"), "a pipe");
    assert!(escapes("CLICOLOR_FORCE", "1"), "there are colours to leave out");
    assert!(!escapes("NO_COLOR", "1"));
}

#[test]
fn the_exit_status_says_what_was_found_and_what_could_not_be_read() {
    let (clean, odd) = (Folder::of(&clean_day()), Folder::of(&day()));
    let quiet = Folder::of(&[LogFile::of("quiet", &[ordinary(1)])]);
    for (folder, fail_on, status) in [
        (&clean, None, 0),
        (&clean, Some("CRITICAL"), 1),
        (&clean, Some("critical"), 1),
        (&quiet, Some("INFORMATIONAL"), 0),
        (&odd, None, 2),
        (&odd, Some("CRITICAL"), 2),
    ] {
        let logs = folder.logs();
        let mut arguments = vec!["scan", &logs];
        arguments.extend(fail_on.into_iter().flat_map(|level| ["--fail-on", level]));
        let output = qtrail(&arguments);
        assert_eq!(output.status.code(), Some(status), "{fail_on:?}: {}", stderr(&output));
        assert_eq!(
            stdout(&output).is_empty(),
            std::ptr::eq(folder, &raw const quiet),
            "what could be read is reported"
        );
    }
    let output = qtrail(&["scan", &odd.logs()]);
    assert!(stderr(&output).lines().any(|line| line.contains("_odd.json.gz: record 0: not a JSON object")));
}

#[test]
fn ndjson_is_a_finding_a_line_with_the_members_that_were_promised() {
    let folder = Folder::of(&clean_day());
    let output = qtrail(&["scan", "--format", "ndjson", &folder.logs()]);
    let lines = json_lines(&output);
    let oracle = Oracle::new();
    let expected: Vec<Value> =
        oracle.findings(&clean_day()).iter().map(|finding| finding_json(finding, oracle.settings())).collect();
    assert_eq!(lines, expected);
    let promised = "finding_id detection_id category severity title summary outcome account region actor source_ip \
        resources event_ids event_count first_seen last_seen techniques controls";
    for (line, member) in lines.iter().flat_map(|line| promised.split(' ').map(move |member| (line, member))) {
        assert!(!line[member].is_null(), "{member} is missing in {line}");
    }
}

#[test]
fn ocsf_is_a_detection_finding_a_line() {
    let folder = Folder::of(&clean_day());
    let lines = json_lines(&qtrail(&["scan", "--format", "ocsf", &folder.logs()]));
    let found = Oracle::new().findings(&clean_day());
    assert_eq!(lines.len(), found.len());
    for (line, finding) in lines.iter().zip(&found) {
        assert_eq!(
            (&line["class_uid"], &line["type_uid"], &line["category_uid"]),
            (&json!(2004), &json!(200_401), &json!(2))
        );
        assert_eq!(line["finding_info"]["uid"], finding.finding_id);
        assert_eq!(line["severity_id"], finding.severity as u8 + 1);
        assert_eq!(line["time"], finding.last_seen.0 * 1000, "milliseconds");
    }
}

#[test]
fn matches_are_records_those_that_only_count_towards_a_threshold_included() {
    let folder = Folder::of(&clean_day());
    let lines = json_lines(&qtrail(&["scan", "--matches", &folder.logs()]));
    for member in ["event_id", "account", "event_time", "detection_id", "category", "severity", "outcome", "counted"] {
        assert!(lines.iter().all(|line| !line[member].is_null()), "{member}");
    }
    let counted = |detection: &str| {
        let of_it = lines.iter().filter(|line| line["detection_id"] == detection);
        of_it.map(|line| (line["event_id"].to_string(), line["counted"] == true)).collect::<BTreeSet<_>>()
    };
    assert_eq!(counted("sign-in-failures-user").len(), 5);
    assert!(counted("sign-in-failures-user").iter().all(|(_, counted)| *counted));
    assert!(counted("cloudtrail-trail-stopped").iter().all(|(_, counted)| !counted));
}

#[test]
fn a_minimum_severity_leaves_out_what_is_less() {
    let folder = Folder::of(&clean_day());
    let severities = |least: &str| -> BTreeSet<String> {
        let output = qtrail(&["scan", "--format", "ndjson", "--min-severity", least, &folder.logs()]);
        json_lines(&output).iter().map(|line| line["severity"].as_str().expect("a word").to_owned()).collect()
    };
    assert!(severities("INFORMATIONAL").len() > 1);
    assert_eq!(severities("CRITICAL"), BTreeSet::from(["CRITICAL".to_owned()]));
}

#[test]
fn what_cannot_be_done_is_one_line_that_names_the_thing_and_the_way_out() {
    let folder = Folder::of(&clean_day());
    folder.add("config.toml", b"minimum_alert_severty = \"HIGH\"");
    fs::create_dir(folder.path("empty")).expect("made");
    let (logs, config) = (folder.logs(), folder.path("logs/config.toml"));
    let cases: [(&[&str], &[&str]); 7] = [
        (&["scan", "/no/such/folder"], &["/no/such/folder", "No such file"]),
        (&["ingest", "/no/such/folder", "--data", &folder.path("data")], &["/no/such/folder"]),
        (&["scan", &folder.path("empty")], &["no log files", ".json.gz"]),
        (&["scan", "--settings", "/no/config.toml", &logs], &["/no/config.toml"]),
        (&["scan", "--settings", &config, &logs], &["config.toml", "did you mean `minimum_alert_severity`?"]),
        (&["findings", "--data", &folder.path("none")], &["holds no state", "qtrail ingest"]),
        (&["status", "--data", &folder.path("none")], &["holds no state", "qtrail ingest"]),
    ];
    for (arguments, said) in cases {
        let output = qtrail(arguments);
        let error = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
        assert!(error.starts_with("error: ") && said.iter().all(|part| error.contains(part)), "{arguments:?}: {error}");
    }
    for arguments in [&["scan"][..], &["scam"], &["scan", "--format", "xml", "."], &["scan", "--fail-on", "BAD", "."]] {
        assert_eq!(qtrail(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_opened_is_named_and_the_others_are_read() {
    let folder = Folder::of(&clean_day());
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path("logs/dangling.json.gz")).expect("a link");
    let output = qtrail(&["scan", &folder.logs()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output).lines().count(), Oracle::new().findings(&clean_day()).len());
    assert!(stderr(&output).contains("dangling.json.gz: No such file"), "{}", stderr(&output));
    let output = folder.ingest();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("dangling.json.gz: No such file"), "{}", stderr(&output));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let stops: Vec<Value> = (0..3000).map(|n| stop_trail(n, &format!("trail-{n}"), &json!({}))).collect();
    let folder = Folder::of(&[LogFile::of("many", &stops)]);
    let mut scan = command();
    let scan = scan.args(["scan", &folder.logs()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = scan.spawn().expect("qtrail runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn ingest_finds_what_scan_finds() {
    let folder = Folder::of(&day());
    folder.add("extra.ndjson", format!("{}\n", stop_trail(77, "by-lines", &json!({}))).as_bytes());
    folder.add("extra.json", json!([stop_trail(78, "by-list", &json!({}))]).to_string().as_bytes());
    let mut scanned = json_lines(&qtrail(&["scan", "--format", "ndjson", &folder.logs()]));
    let ingested = folder.ingest();
    assert_eq!((ingested.status.code(), stdout(&ingested)), (Some(2), ""), "one file has bad records");
    let mut listed = json_lines(&folder.findings(&["--format", "ndjson"]));
    for line in &mut listed {
        let line = line.as_object_mut().expect("an object");
        assert_eq!(line.remove("status"), Some(json!("new")));
        line.remove("resolution");
    }
    for lines in [&mut scanned, &mut listed] {
        lines.sort_by_key(|line| line["finding_id"].to_string());
    }
    assert_eq!(listed, scanned);
    assert!(Path::new(&folder.path("data/quarantine")).is_dir(), "bad records are kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_may_be_run_again() {
    let folder = Folder::of(&clean_day());
    let first = folder.ingest();
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert!(stderr(&first).contains("files=6 records=27 quarantined=0"), "{}", stderr(&first));
    let before = state_items(&folder).await;
    assert!(before.len() > 10);
    let second = folder.ingest();
    assert_eq!(second.status.code(), Some(0), "{}", stderr(&second));
    assert_eq!(state_items(&folder).await, before);
}

/// What the folder's state holds, but for when it expires.
async fn state_items(folder: &Folder) -> BTreeMap<String, String> {
    let database = Database::new(&folder.path("data/state.db")).expect("a database");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let serving = tokio::spawn(server::serve_on(listener, database));
    let scan = dynamo::client(&format!("http://{address}")).scan().table_name("quickinfra-trail");
    let items = scan.into_paginator().items().send().try_collect().await.expect("a scan");
    serving.abort();
    let shown = |mut item: std::collections::HashMap<_, _>| {
        item.remove("expires");
        let sorted: BTreeMap<String, String> = item.into_iter().map(|(name, value)| (name, shown(&value))).collect();
        (format!("{} {}", sorted["pk"], sorted["sk"]), format!("{sorted:?}"))
    };
    items.into_iter().map(shown).collect()
}

/// An attribute, sets in order.
fn shown(value: &aws_sdk_dynamodb::types::AttributeValue) -> String {
    let sorted = |mut parts: Vec<String>| {
        parts.sort();
        parts.join(",")
    };
    match value {
        aws_sdk_dynamodb::types::AttributeValue::Bs(set) => sorted(set.iter().map(|b| format!("{b:?}")).collect()),
        aws_sdk_dynamodb::types::AttributeValue::Ss(set) => sorted(set.clone()),
        aws_sdk_dynamodb::types::AttributeValue::M(map) => {
            sorted(map.iter().map(|(k, v)| format!("{k}={}", shown(v))).collect())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn a_status_needs_a_note_and_the_history_keeps_it() {
    let folder = Folder::of(&clean_day());
    assert_eq!(folder.ingest().status.code(), Some(0));
    let listed = json_lines(&folder.findings(&["--format", "ndjson", "--severity", "CRITICAL"]));
    let id = listed[0]["finding_id"].as_str().expect("an id").to_owned();
    let short = &id[..8];
    for refused in
        [&["ack", short][..], &["ack", short, "--note", " "], &["close", short, "--note", "no word of as what"]]
    {
        assert_eq!(folder.findings(refused).status.code(), Some(2), "{refused:?}");
    }
    let acked = folder.findings(&["ack", short, "--note", "asked alice"]);
    assert_eq!(acked.status.code(), Some(0), "{}", stderr(&acked));
    let closed = folder.findings(&["close", short, "--as", "false_alarm", "--note", "a rehearsal, CHG-7"]);
    assert_eq!(closed.status.code(), Some(0), "{}", stderr(&closed));
    let shown = folder.findings(&["show", short]);
    let text = stdout(&shown);
    for said in ["acknowledged by ", ": asked alice", "closed as false_alarm by ", ": a rehearsal, CHG-7", &id] {
        assert!(text.contains(said), "{said} is missing:\n{text}");
    }
    assert!(text.find("asked alice") < text.find("a rehearsal"), "in order:\n{text}");
    let still_new = json_lines(&folder.findings(&["--format", "ndjson", "--status", "new"]));
    assert!(still_new.iter().all(|line| line["finding_id"] != *id));
    let unknown = folder.findings(&["show", "zzzz"]);
    assert_eq!((unknown.status.code(), stderr(&unknown).lines().count()), (Some(2), 1));
    assert!(stderr(&unknown).contains("zzzz") && stderr(&unknown).contains("qtrail findings"), "{}", stderr(&unknown));
}

#[test]
fn findings_are_listed_however_old_the_log_files_are() {
    for name in [
        "bare.json",
        "AWSLogs/111122223333/CloudTrail/eu-west-1/2025/11/20/111122223333_CloudTrail_eu-west-1_20251120T0305Z_x.json",
    ] {
        let folder = Folder::of(&[]);
        folder.add(name, json!({"Records": [stop_trail(1, "org-trail", &json!({}))]}).to_string().as_bytes());
        assert_eq!(folder.ingest().status.code(), Some(0));
        let listed = folder.findings(&[]);
        assert!(stdout(&listed).contains("trail org-trail"), "{name}: {}{}", stdout(&listed), stderr(&listed));
    }
}

#[test]
fn findings_are_filtered_by_everything_at_once() {
    let folder = Folder::of(&clean_day());
    folder.ingest();
    let list = |more: &[&str]| json_lines(&folder.findings(&[&["--format", "ndjson"], more].concat()));
    let all = list(&[]);
    let network = list(&["--category", "network_exposure"]);
    assert!(!network.is_empty() && network.len() < all.len());
    assert!(network.iter().all(|line| line["category"] == "network_exposure"));
    assert!(list(&["--category", "network_exposure", "--actor", "bob"]).is_empty());
    assert_eq!(list(&["--category", "network_exposure", "--actor", "alice"]), network);
}

#[test]
fn status_says_of_each_thing_that_it_is_ok_or_what_to_do() {
    let folder = Folder::of(&clean_day());
    folder.ingest();
    let output = qtrail(&["status", "--data", &folder.path("data")]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).lines().all(|line| line.starts_with("ok ")), "{}", stdout(&output));
    assert!(stdout(&output).contains("27 in 6 files on 2025-11-20, 0 quarantined"), "{}", stdout(&output));
    let odd = Folder::of(&day());
    odd.ingest();
    let output = qtrail(&["status", "--data", &odd.path("data")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).lines().any(|line| line.starts_with("TODO records") && line.contains("quarantine/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_of_a_deployment_says_whether_anybody_hears() {
    let stack = Stack::start().await;
    let deployed = json!({"source": "aws.cloudformation", "time": "2025-11-20T03:00:00Z", "detail": {}});
    stack.notify().await.invoke(&deployed).await.expect("notify runs");
    stack.sns.confirm(&stack.people, 0);
    let output = qtrail_on(&stack, &["status"]);
    let text = stdout(&output);
    assert!(text.lines().any(|line| line.starts_with("TODO subscribers") && line.contains("confirm")), "{text}");
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = qtrail(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(stdout(&output).contains("findings"), "{shell}");
    }
}

#[test]
fn the_demo_needs_nothing_and_shows_an_intrusion() {
    let folder = TempDir::new().expect("a temporary folder");
    let output = qtrail(&["demo", "--no-view", "--data", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("CRITICAL"), "{}", stdout(&output));
    let (_, alerts) = stdout(&output).split_once("What each alert would say").expect("a part with alerts");
    assert!(alerts.contains("Subject: [CRITICAL]"), "{alerts}");
    let lines = json_lines(&qtrail(&["demo", "--no-view", "--format", "ndjson"]));
    assert!(lines.iter().any(|line| line["severity"] == "CRITICAL"));
}

#[test]
fn every_command_has_help_with_examples() {
    for name in ["scan", "ingest", "findings", "completions"] {
        let output = qtrail(&[name, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("Example"), "{name}: {}", stdout(&output));
    }
}

#[test]
fn links_that_lead_back_or_nowhere_do_not_end_a_scan() {
    let folder = Folder::of(&clean_day());
    let logs = std::path::PathBuf::from(folder.path("logs"));
    std::os::unix::fs::symlink(&logs, logs.join("again")).expect("a link");
    std::os::unix::fs::symlink(logs.join("nowhere"), logs.join("broken")).expect("a link");
    let output = qtrail(&["scan", &folder.path("logs")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("files=6 "), "each file once: {said}");
}
