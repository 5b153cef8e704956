//! `qtrail verify` over chains that were tampered with, beside what AWS's own validator says of them.

use std::fs;
use std::process::{Command, Output};

use futures::StreamExt;
use tempfile::TempDir;

use super::*;
use crate::support::aws_cli::{TrailApi, aws};
use crate::support::digests::{Bucket, Chain, START, gzipped, public_keys};
use crate::support::s3::S3;
use crate::support::{ACCESS_KEY, REGION, SECRET_KEY};

/// What is done to a chain, and what has to be said of it.
struct Row {
    what: &'static str,
    chain: fn() -> Chain,
    tamper: fn(&mut Bucket),
    /// The kinds of problems, in the order of the alphabet.
    truth: &'static [&'static str],
    /// Whether version 1.45.11 of the AWS CLI said INVALID and ended with 1, as recorded.
    recorded: bool,
    /// Whether the version does that `tests/run` installs.
    validator: bool,
}

impl Row {
    const fn new(what: &'static str, tamper: fn(&mut Bucket), truth: &'static [&'static str], says: bool) -> Self {
        Self { what, chain: short, tamper, truth, recorded: says, validator: says }
    }
}

/// The test server names a file after the whole key, and a file's name has an end.
fn short() -> Chain {
    Chain { trail: "a_b", ..Chain::default() }
}

const ROWS: [Row; 18] = [
    Row::new("nothing", |_| {}, &[], false),
    Row { chain: || Chain { prefix: "some p/", ..short() }, ..Row::new("nothing, below a prefix", |_| {}, &[], false) },
    Row {
        chain: || Chain { organization: Some("o-exampleorg1"), account: "222233334444", ..short() },
        ..Row::new("nothing, in an organization", |_| {}, &[], false)
    },
    Row::new("newest two deleted", |b| b.delete([4, 5], true), &["digest_missing", "digest_missing"], false),
    Row::new("all deleted", |b| b.delete(0..6, true), &["digest_missing"], false),
    Row::new("a digest deleted", |b| b.delete([2], false), &["digest_missing"], true),
    Row::new(
        "two digests deleted",
        |b| b.delete([2, 3], false),
        &["digest_missing", "digest_missing", "log_unsigned", "log_unsigned"],
        true,
    ),
    Row::new("oldest two deleted", |b| b.delete([0, 1], true), &["digest_missing", "digest_missing"], true),
    Row {
        chain: || Chain { anchors: vec![0, 4], ..short() },
        ..Row::new("hours before a new beginning deleted", |b| b.delete([2, 3], true), &["gap_unexplained"], false)
    },
    Row::new("log file replaced", |b| b.rewrite(&first_log(b), b"{\"Records\":[]}"), &["log_changed"], true),
    Row::new("log file deleted", |b| drop(b.objects.remove(&first_log(b))), &["log_missing"], true),
    Row { validator: true, ..Row::new("second gzip member", append, &["log_appended"], false) },
    Row::new("log file that nobody signed", forge, &["log_unsigned"], false),
    Row::new("metadata stripped", strip, &["digest_signature"], true),
    Row::new("digest edited", edit, &["digest_link", "digest_signature"], true),
    Row::new("digest replaced by another signed one", replace, &["digest_link", "digest_link"], false),
    Row::new(
        "digest that is no JSON",
        |b| b.rewrite(&b.digests[3].clone(), b"x"),
        &["log_unsigned", "log_unsigned", "unreadable"],
        true,
    ),
    Row::new("backfill digest", backfill, &[], false),
];

fn first_log(bucket: &Bucket) -> String {
    bucket.logs[1][0].clone()
}

fn append(bucket: &mut Bucket) {
    let key = first_log(bucket);
    let forged = gzipped(json!({"Records": [ordinary(1)]}).to_string().as_bytes());
    bucket.objects.get_mut(&key).expect("an object").gzip.extend(forged);
}

fn forge(bucket: &mut Bucket) {
    let key = bucket.chain.log_key(START + 1800, "aaaaaaaaaaaaaaaa");
    bucket.put(&key, json!({"Records": [ordinary(1)]}).to_string().as_bytes());
}

fn strip(bucket: &mut Bucket) {
    let key = bucket.digests[3].clone();
    bucket.objects.get_mut(&key).expect("an object").metadata.clear();
}

fn edit(bucket: &mut Bucket) {
    let key = bucket.digests[3].clone();
    let mut digest = bucket.json(&key);
    digest["awsAccountId"] = json!("999988887777");
    bucket.rewrite(&key, digest.to_string().as_bytes());
}

fn replace(bucket: &mut Bucket) {
    let key = bucket.digests[3].clone();
    bucket.sign_anew(&key, |digest| digest["newestEventTime"] = json!("2024-11-20T03:30:00Z"));
}

/// A digest that AWS made up for later: it signs log files of an hour that is signed already.
fn backfill(bucket: &mut Bucket) {
    let mut digest = bucket.json(&bucket.digests[0]);
    let key = bucket.digests[0].replace(".json.gz", "_backfill.json.gz");
    digest["digestS3Object"] = json!(key);
    bucket.put_signed(&key, &digest);
    let metadata = &mut bucket.objects.get_mut(&key).expect("an object").metadata;
    metadata.insert("backfill-generation-timestamp".to_owned(), "2024-11-21T00:00:00Z".to_owned());
}

/// The whole of a chain as a window, as the commands take it.
fn window(bucket: &Bucket) -> (String, String) {
    (trail::time::Time(START).to_string(), trail::time::Time(bucket.chain.end()).to_string())
}

/// A bucket, a copy of it and the keys.
struct Laid {
    folder: TempDir,
}

impl Laid {
    /// A copy in a folder, with metadata beside the objects or without.
    fn copy(bucket: &Bucket, with_metadata: bool) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let laid = Self { folder };
        laid.write("keys.json", public_keys().to_string().as_bytes());
        fs::create_dir(laid.folder.path().join("copy")).expect("made");
        for (key, stored) in &bucket.objects {
            laid.write(&format!("copy/{key}"), &stored.gzip);
            if with_metadata && key.contains("CloudTrail-Digest") {
                let metadata = serde_json::to_vec(&stored.metadata).expect("JSON");
                laid.write(&format!("copy/{key}.metadata.json"), &metadata);
            }
        }
        laid
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Verifies the copy.
    fn verify(&self, arguments: &[&str]) -> Output {
        self.verify_at(&self.path("copy"), arguments)
    }

    fn verify_at(&self, source: &str, arguments: &[&str]) -> Output {
        self.command(source, arguments).output().expect("qtrail runs")
    }

    fn command(&self, source: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qtrail"));
        command
            .env_clear()
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(["verify", source, "--keys", &self.path("keys.json"), "--format", "ndjson"])
            .args(arguments);
        command
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn problems(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

fn kinds(output: &Output) -> Vec<String> {
    let mut kinds: Vec<String> =
        problems(output).iter().map(|problem| problem["kind"].as_str().expect("a word").to_owned()).collect();
    kinds.sort();
    kinds
}

/// Asserts that the truth is told, by lines and exit status.
fn assert_truth(row: &Row, output: &Output) {
    let told = format!("{}: {} {}", row.what, text(&output.stdout), text(&output.stderr));
    let unread = row.truth.contains(&"unreadable");
    let status = if unread { 2 } else { i32::from(!row.truth.is_empty()) };
    assert_eq!(kinds(output), row.truth, "{told}");
    assert_eq!(output.status.code(), Some(status), "{told}");
}

#[test]
fn every_tampering_is_told_in_a_copy_of_a_bucket() {
    for row in &ROWS {
        let mut bucket = (row.chain)().make();
        (row.tamper)(&mut bucket);
        let (from, to) = window(&bucket);
        let output = Laid::copy(&bucket, true).verify(&["--from", &from, "--to", &to]);
        assert_truth(row, &output);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_validator_of_aws_flags_is_flagged_in_s3_and_what_it_misses() {
    // The validator takes a second of processor time to start: all of it at once would only take memory.
    futures::stream::iter(&ROWS).for_each_concurrent(3, compare).await;
}

async fn compare(row: &Row) {
    let mut bucket = (row.chain)().make();
    (row.tamper)(&mut bucket);
    let s3 = S3::start(&["logs"]).await;
    for (key, stored) in &bucket.objects {
        s3.put_with("logs", key, stored.gzip.clone(), &stored.metadata).await;
    }
    let (ours, theirs) = tokio::join!(ours(&bucket, &s3), theirs(&bucket, &s3));
    assert_truth(row, &ours);
    let said = format!("{}: {} {}", row.what, text(&theirs.stdout), text(&theirs.stderr));
    assert_eq!(theirs.status.code(), Some(i32::from(row.validator)), "{said}");
    assert_eq!(text(&theirs.stdout).contains("INVALID"), row.validator, "{said}");
    assert!(!row.validator || !row.truth.is_empty(), "{said}");
    assert!(!row.recorded || row.validator, "a newer one misses what an older one told: {said}");
}

async fn ours(bucket: &Bucket, s3: &S3) -> Output {
    let laid = Laid::copy(bucket, false);
    let (from, to) = window(bucket);
    let mut command = laid.command("s3://logs", &["--from", &from, "--to", &to]);
    command
        .env("AWS_ENDPOINT_URL_S3", s3.url())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    tokio::process::Command::from(command).output().await.expect("qtrail runs")
}

async fn theirs(bucket: &Bucket, s3: &S3) -> Output {
    let chain = &bucket.chain;
    let (from, to) = window(bucket);
    let arn = format!("arn:aws:cloudtrail:{REGION}:111122223333:trail/{}", chain.trail);
    let mut trail = json!({
        "Name": chain.trail, "S3BucketName": chain.bucket, "TrailARN": arn, "HomeRegion": REGION,
        "IsOrganizationTrail": chain.organization.is_some(),
    });
    if !chain.prefix.is_empty() {
        trail["S3KeyPrefix"] = json!(chain.prefix.trim_end_matches('/'));
    }
    let api = TrailApi::start(public_keys(), trail).await;
    let mut arguments =
        vec!["cloudtrail", "validate-logs", "--trail-arn", &arn, "--start-time", &from, "--end-time", &to, "--verbose"];
    if chain.organization.is_some() {
        arguments.extend(["--account-id", chain.account]);
    }
    aws(&arguments, &s3.url(), &api).await
}

#[test]
fn a_copy_without_metadata_is_proven_by_the_digests_that_follow() {
    let bucket = Chain::default().make();
    let output = Laid::copy(&bucket, false).verify(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let [problem] = &problems(&output)[..] else { panic!("{}", text(&output.stdout)) };
    assert_eq!((&problem["kind"], &problem["severity"]), (&json!("unverified"), &json!("MEDIUM")));
    assert_eq!(problem["object"], json!(bucket.digests[5]));
    assert_eq!(problem["chain"], "111122223333/eu-central-1/main_trail@eu-central-1");
    assert_eq!(problem["window"], "2024-11-20T05:05:00Z/2024-11-20T06:05:00Z");

    let mut edited = bucket;
    edit(&mut edited);
    let output = Laid::copy(&edited, false).verify(&[]);
    assert_eq!(kinds(&output), ["digest_link", "digest_signature", "unverified"]);
}

#[test]
fn a_part_of_a_copy_is_recognized_by_what_its_digests_say() {
    let bucket = Chain { prefix: "some/prefix/", ..Chain::default() }.make();
    let laid = Laid::copy(&bucket, true);
    for part in ["copy/some/prefix", "copy/some/prefix/AWSLogs/111122223333"] {
        let output = laid.verify_at(&laid.path(part), &[]);
        assert_eq!(output.status.code(), Some(0), "{part}: {} {}", text(&output.stdout), text(&output.stderr));
    }
}

#[test]
fn a_digest_that_was_moved_is_told() {
    let mut bucket = Chain::default().make();
    let moved = bucket.objects.remove(&bucket.digests[3]).expect("a digest");
    let elsewhere = bucket.digests[3].replace("T040500Z", "T040600Z");
    bucket.objects.insert(elsewhere, moved);
    let output = Laid::copy(&bucket, true).verify(&[]);
    assert!(kinds(&output).contains(&"digest_location".to_owned()), "{}", text(&output.stdout));
}

#[test]
fn a_stop_that_a_signed_record_tells_of_explains_a_gap_and_a_forged_record_does_not() {
    let stop = json!({
        "eventVersion": "1.11", "eventTime": "2024-11-20T01:50:00Z", "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging", "awsRegion": "eu-central-1", "eventID": "e", "eventType": "AwsApiCall",
        "requestParameters": {"name": "main_trail"}, "recipientAccountId": "111122223333",
    });
    let chain = |record| Chain { anchors: vec![0, 4], record, ..Chain::default() };
    for (signed, expected) in [(true, &[][..]), (false, &["gap_unexplained", "log_unsigned"])] {
        let mut bucket = chain(signed.then(|| (1, stop.clone()))).make();
        bucket.delete([2, 3], true);
        if !signed {
            let key = bucket.chain.log_key(START + 7000, "aaaaaaaaaaaaaaaa");
            bucket.put(&key, json!({"Records": [stop]}).to_string().as_bytes());
        }
        let output = Laid::copy(&bucket, true).verify(&[]);
        assert_eq!(kinds(&output), expected, "{}", text(&output.stderr));
    }
}

#[test]
fn what_is_said_and_how_it_ends() {
    let bucket = Chain::default().make();
    let laid = Laid::copy(&bucket, true);
    let output = laid.verify(&[]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
    let summary = text(&output.stderr);
    let start = "digests=6 logs=10 beyond=0 problems=0 covered=2024-11-20T00:05:00Z/2024-11-20T06:05:00Z seconds=";
    assert!(summary.starts_with(start) && summary.lines().count() == 1, "{summary}");
    laid.write("empty.json", b"{\"PublicKeyList\":[]}");
    fs::create_dir(laid.path("empty")).expect("made");
    let (copy, keys, empty) = (laid.path("copy"), laid.path("keys.json"), laid.path("empty"));
    let cases: [(&[&str], &[&str]); 6] = [
        (&["verify", "/no/such/folder", "--keys", &keys], &["/no/such/folder", "No such file"]),
        (&["verify", &copy, "--keys", "/no/keys"], &["/no/keys", "No such file"]),
        (&["verify", &copy, "--keys", &laid.path("empty.json")], &["hint:", "list-public-keys"]),
        (&["verify", &empty, "--keys", &keys], &["no digests", "hint:"]),
        (&["verify", &keys, "--keys", &keys], &["is no folder", "hint:"]),
        (&["verify", &copy, "--keys", &keys, "--from", "2024-11-21", "--to", "2024-11-20"], &["is not before"]),
    ];
    for (arguments, said) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_qtrail")).args(arguments).output().expect("qtrail runs");
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments:?}: {error}");
        assert!(error.starts_with("error: ") && said.iter().all(|part| error.contains(part)), "{arguments:?}: {error}");
    }
    let mut tampered = bucket;
    append(&mut tampered);
    let laid = Laid::copy(&tampered, true);
    let output = Command::new(env!("CARGO_BIN_EXE_qtrail"))
        .args(["verify", &laid.path("copy"), "--keys", &laid.path("keys.json")])
        .output()
        .expect("qtrail runs");
    let line = text(&output.stdout);
    assert!(line.starts_with("CRITICAL log_appended") && line.contains(&last(&first_log(&tampered))), "{line}");
}

fn last(key: &str) -> String {
    key.rsplit('/').next().unwrap_or_default().to_owned()
}
