//! What the system does, told by its own binaries: records in, findings and alerts out.
//!
//! A [`Stack`] is a deployment on loopback. An [`Oracle`] is the pure monitor over the same bytes: whatever happens on
//! the way, the table has to hold what it says.

mod access_review;
mod audit;
mod bad_input;
mod canary;
mod collect;
mod command;
mod cost;
mod crashes;
mod delivery;
mod demo;
mod forged;
mod ingest;
mod integrity;
mod lake;
mod layers;
mod machine_review;
mod notify;
mod page;
mod population;
mod review;
mod review_page;
mod search;
mod settings;
mod silence;
mod template;
mod verify;
mod viewer;
mod who_can;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trail::alert::{Entry, Level, Status, finding_json, finding_line, is_immediate};
use trail::detection::{Category, Engine, Severity};
use trail::finding::Finding;
use trail::ledger::Ledger;
use trail::log_file::{Inflater, Limits, Report, Subject, evaluate};
use trail::settings::{Own, Settings};
use trail::time::Time;

use crate::support::ACCOUNT;
use crate::support::binary::binary;
use crate::support::dynamo::{Dynamo, TABLE};
use crate::support::lambda::{Environment, Function};
use crate::support::proxy::Proxy;
use crate::support::s3::{S3, log_file};
use crate::support::sns::Sns;

/// The bucket with log files.
const LOGS: &str = "trail-logs";

/// The bucket of the deployment's own data.
const DATA: &str = "trail-data";

/// The queue that records may come through by themselves.
const FAST_PATH: &str = "arn:aws:sqs:eu-central-1:111122223333:trail-fast-path";

/// The queue of log files.
const QUEUE: &str = "arn:aws:sqs:eu-central-1:111122223333:trail-log-files";

/// A deployment: servers, a proxy before each, and what the functions are told of them.
struct Stack {
    dynamo: Dynamo,
    s3: S3,
    sns: Sns,
    dynamo_proxy: Proxy,
    s3_proxy: Proxy,
    sns_proxy: Proxy,
    people: String,
    chat: String,
}

impl Stack {
    /// A deployment with empty buckets, an empty table, and a confirmed subscriber of each topic.
    async fn start() -> Self {
        let (dynamo, s3, sns) = (Dynamo::start().await, S3::start(&[LOGS, DATA]).await, Sns::start().await);
        let (people, chat) = (sns.create_topic("people"), sns.create_topic("chat"));
        Self {
            dynamo_proxy: Proxy::start(&dynamo.url()).await,
            s3_proxy: Proxy::start(&s3.url()).await,
            sns_proxy: Proxy::start(&sns.url()).await,
            dynamo,
            s3,
            sns,
            people,
            chat,
        }
    }

    /// What the template tells the functions. An alert counts as left by a dead publisher at once.
    fn environment(&self) -> Environment {
        Environment::new()
            .dynamodb(&self.dynamo_proxy.url())
            .s3(&self.s3_proxy.url())
            .sns(&self.sns_proxy.url())
            .set("QTRAIL_TABLE", TABLE)
            .set("QTRAIL_PEOPLE_TOPIC", &self.people)
            .set("QTRAIL_CHAT_TOPIC", &self.chat)
            .set("QTRAIL_DATA", &format!("s3://{DATA}"))
            .set("QTRAIL_SETTINGS", &format!("s3://{DATA}/config.toml"))
            .set("QTRAIL_LOG_BUCKETS", LOGS)
            .set("QTRAIL_STACK", "trail")
            .set("QTRAIL_ACCOUNT", ACCOUNT)
            .set("QTRAIL_FAST_PATH_QUEUE", FAST_PATH)
            .set("QTRAIL_PUBLISHER_TIMEOUT", "0")
    }

    /// An `ingest` function of its own process.
    async fn ingest(&self) -> Function {
        Function::start(&binary("ingest"), &self.environment()).await
    }

    /// A `notify` function of its own process.
    async fn notify(&self) -> Function {
        Function::start(&binary("notify"), &self.environment()).await
    }

    /// Puts log files into the bucket.
    async fn deliver(&self, files: &[LogFile]) {
        for file in files {
            self.s3.put(LOGS, &file.key, file.bytes.clone()).await;
        }
    }

    /// Puts `config.toml` where the functions look for it.
    async fn configure(&self, text: &str) {
        self.s3.put(DATA, "config.toml", text.to_owned()).await;
    }

    /// What stands in the table, with status and what is owed, by time of the first record.
    async fn entries(&self) -> Vec<Entry> {
        let items = self.dynamo.items_under("F#").await;
        let entries = items.into_iter().filter(|item| item["sk"] == "META");
        let mut entries: Vec<Entry> = entries.map(|item| serde_json::from_value(item).expect("an entry")).collect();
        entries.sort_by(|a, b| {
            (a.finding.first_seen, &a.finding.finding_id).cmp(&(b.finding.first_seen, &b.finding.finding_id))
        });
        entries
    }

    /// The findings in the table.
    async fn findings(&self) -> Vec<Finding> {
        self.entries().await.into_iter().map(|entry| entry.finding).collect()
    }

    /// The lines of history of all findings.
    async fn history(&self) -> Vec<Value> {
        let mut items = self.dynamo.items_under("F#").await;
        items.retain(|item| item["sk"].as_str().is_some_and(|key| key.starts_with("H#")));
        items
    }

    /// What people's machines were told, in order, repetitions included.
    fn told(&self) -> Vec<Value> {
        let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON for machines");
        self.sns.published_to(&self.people).iter().map(|message| json(&message.text_for("sqs"))).collect()
    }
}

/// A log file to be delivered.
#[derive(Debug, Clone)]
struct LogFile {
    key: String,
    bytes: Vec<u8>,
}

impl LogFile {
    /// A log file as `CloudTrail` writes it; `name` tells it from others of the same minute.
    fn of(name: &str, records: &[Value]) -> Self {
        Self { key: key(name), bytes: log_file(records) }
    }

    /// A delivered object with any bytes.
    fn raw(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { key: key(name), bytes: bytes.into() }
    }

    fn id(&self) -> String {
        format!("{LOGS}/{}", self.key)
    }
}

/// A key as `CloudTrail` makes it.
fn key(name: &str) -> String {
    let folder = format!("AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/2025/11/20");
    format!("{folder}/{ACCOUNT}_CloudTrail_eu-west-1_20251120T0305Z_{name}.json.gz")
}

/// A record of alice's, with `more` laid over it. Its id ends in `number`.
fn record(number: usize, source: &str, name: &str, more: &Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLEALICE", "arn": format!("arn:aws:iam::{ACCOUNT}:user/alice"),
            "accountId": ACCOUNT, "accessKeyId": "AKIAEXAMPLEALICE", "userName": "alice",
        },
        "eventTime": "2025-11-20T03:02:11Z",
        "eventSource": source,
        "eventName": name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2.17",
        "requestParameters": null,
        "responseElements": null,
        "requestID": format!("00000000-0000-4000-9000-{number:012}"),
        "eventID": format!("00000000-0000-4000-8000-{number:012}"),
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    });
    for (name, value) in more.as_object().expect("an object") {
        record[name] = value.clone();
    }
    record
}

/// A record that no detection wants.
fn ordinary(number: usize) -> Value {
    record(number, "s3.amazonaws.com", "GetBucketLocation", &json!({"readOnly": true}))
}

/// Somebody stops a trail: CRITICAL, at once.
fn stop_trail(number: usize, trail: &str, more: &Value) -> Value {
    let mut record = record(number, "cloudtrail.amazonaws.com", "StopLogging", more);
    record["requestParameters"] = json!({"name": trail});
    record
}

/// Somebody was refused when stopping a trail.
fn refused_stop(number: usize, trail: &str) -> Value {
    stop_trail(number, trail, &json!({"errorCode": "AccessDenied", "errorMessage": "no"}))
}

/// Somebody opens a port of a security group to the world.
fn open_port(number: usize, port: u16, group: &str) -> Value {
    let items = json!([{"ipProtocol": "tcp", "fromPort": port, "toPort": port,
        "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]);
    let request = json!({"groupId": group, "ipPermissions": {"items": items}});
    record(number, "ec2.amazonaws.com", "AuthorizeSecurityGroupIngress", &json!({"requestParameters": request}))
}

/// `2025-11-20T03:02:11Z` and so many seconds.
fn after(seconds: i64) -> String {
    let start = Time::parse("2025-11-20T03:02:11Z").expect("a time");
    Time(start.0 + seconds).to_string()
}

/// An SQS batch: a message for each body, named `m0`, `m1` …
fn batch_of(queue: &str, bodies: &[String]) -> Value {
    let message = |(index, body): (usize, &String)| {
        json!({"messageId": format!("m{index}"), "receiptHandle": "r", "body": body, "attributes": {},
            "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": queue,
            "awsRegion": "eu-central-1"})
    };
    json!({"Records": bodies.iter().enumerate().map(message).collect::<Vec<_>>()})
}

/// An SQS batch with an S3 notification a file.
fn batch<'f>(files: impl IntoIterator<Item = &'f LogFile>) -> Value {
    let bodies: Vec<String> = files.into_iter().map(|file| notification(LOGS, &file.key).to_string()).collect();
    batch_of(QUEUE, &bodies)
}

/// What S3 says about a new object; keys are form-encoded.
fn notification(bucket: &str, key: &str) -> Value {
    let key: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1", "eventName": "ObjectCreated:Put",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket, "arn": format!("arn:aws:s3:::{bucket}")},
            "object": {"key": key.replace("%2F", "/"), "size": 1, "eTag": "e", "sequencer": "0A"}},
    }]})
}

/// The messages that an answer says have failed.
fn failures(answer: &Value) -> Vec<&str> {
    let failed = answer["batchItemFailures"].as_array().expect("a list of failures");
    failed.iter().map(|failure| failure["itemIdentifier"].as_str().expect("an id")).collect()
}

/// Invokes until every message is done with, as SQS does; a function that dies is started again.
async fn deliver_until_done(function: &Function, batch: &Value) {
    for _ in 0..20 {
        if let Ok(answer) = function.invoke(batch).await
            && failures(&answer).is_empty()
        {
            return;
        }
    }
    panic!("the batch is never done: {:?}", function.output().stdout.all());
}

/// A day with something in it for every part: the same records in several files, a threshold over files, two windows.
fn day() -> Vec<LogFile> {
    let at = |seconds: i64| json!({"eventTime": after(seconds)});
    let failed = |number: usize, seconds: i64| {
        let identity = json!({"type": "IAMUser", "accountId": ACCOUNT, "userName": "bob", "principalId": "AIDABOB"});
        let more = json!({"eventTime": after(seconds), "eventType": "AwsConsoleSignIn",
            "errorMessage": "Failed authentication", "userIdentity": identity,
            "responseElements": {"ConsoleLogin": "Failure"}});
        record(number, "signin.amazonaws.com", "ConsoleLogin", &more)
    };
    let more_stops: Vec<Value> = (100..112).map(|number| refused_stop(number, "org-trail")).collect();
    vec![
        LogFile::of("stops-1", &[refused_stop(1, "org-trail"), ordinary(2), stop_trail(3, "other", &at(60))]),
        LogFile::of("stops-2", &more_stops),
        LogFile::of("later", &[stop_trail(4, "org-trail", &at(7200)), refused_stop(1, "org-trail")]),
        LogFile::of("ports", &[open_port(5, 443, "sg-web"), open_port(6, 22, "sg-web"), open_port(7, 5432, "sg-db")]),
        LogFile::of("failed-1", &[failed(20, 0), failed(21, 100), ordinary(2)]),
        LogFile::of("failed-2", &[failed(23, 400), failed(22, 300), failed(24, 500), failed(20, 0)]),
        LogFile::of("odd", &[json!("no record"), open_port(8, 3306, "sg-db"), json!({"eventVersion": "1.11"})]),
    ]
}

/// The table holds the oracle's findings, and its counts once.
async fn assert_is_oracles(stack: &Stack, files: &[LogFile]) {
    let oracle = Oracle::new();
    assert_eq!(stack.findings().await, oracle.findings(files));
    let counts = stack.dynamo.items_under("C#").await;
    assert_eq!(counts.iter().map(numbers).collect::<Vec<_>>(), [oracle.counts(files)]);
    assert_eq!(stack.dynamo.items_under("L#").await.len(), files.len());
}

/// Once `notify` has run, nothing is owed, and each finding that is told at once was told as bad as it is: by itself,
/// or by another one of its thread.
async fn assert_all_told(stack: &Stack) {
    next_minute(stack).await;
    let notify = stack.notify().await;
    notify.invoke(&json!({"do": "due"})).await.expect("notify runs");
    assert!(stack.dynamo.index("due").await.is_empty(), "{:?}", notify.output().stdout.all());
    let settings = Settings::default();
    let told = stack.told();
    let entries = stack.entries().await;
    for entry in entries.iter().filter(|entry| is_immediate(&entry.finding, &settings)) {
        assert_eq!(entry.sent, Level::of(&entry.finding), "{entry:?}");
        let thread = entry.finding.thread_id();
        let alone = entries.iter().filter(|other| other.finding.thread_id() == thread).count() == 1;
        let heard = told.iter().filter(|message| message["thread_id"] == thread);
        let heard = heard.filter_map(|message| message["level"].as_u64()).max();
        // In a thread of several findings the number of records alone is no news.
        let news = |level: u64| if alone { level } else { (level - 1) / 4 };
        assert!(heard.is_some_and(|level| news(level) >= news(entry.sent.0.into())), "heard {heard:?} of {entry:?}");
    }
}

/// Makes room for single alerts again, as the next minute does.
async fn next_minute(stack: &Stack) {
    for item in stack.dynamo.items_under("ALERTS#").await {
        stack.dynamo.delete(&item).await;
    }
}

/// Everything in the table but what a clock or a limiter writes.
async fn stable_items(stack: &Stack) -> Vec<Value> {
    let mut items = stack.dynamo.items().await;
    items.retain(|item| !item["pk"].as_str().is_some_and(|pk| pk.starts_with("ALERTS#")));
    for item in &mut items {
        item.as_object_mut().expect("an item").remove("expires");
    }
    items
}

/// Files, records, evaluated, quarantined, other kinds.
fn numbers(counts: &Value) -> [u64; 5] {
    ["files", "records", "evaluated", "quarantined", "other_kinds"]
        .map(|name| counts[name].as_u64().unwrap_or_default())
}

/// The pure monitor, under the settings that a [`Stack`] has.
struct Oracle {
    engine: Engine,
}

impl Oracle {
    fn new() -> Self {
        Self::under("")
    }

    /// Under a `config.toml`.
    fn under(config: &str) -> Self {
        let mut settings = Settings::from_toml(config).expect("good settings");
        let own =
            Own { log_buckets: vec![LOGS.into()], account: ACCOUNT.into(), stack: "trail".into(), ..Own::default() };
        settings.own = own;
        Self { engine: Engine::new(settings) }
    }

    fn settings(&self) -> &Settings {
        self.engine.settings()
    }

    /// What has to be found in these files, by time of the first record.
    fn findings(&self, files: &[LogFile]) -> Vec<Finding> {
        let mut ledger = Ledger::default();
        for file in files {
            let (report, trailing) = self.report(file);
            let problems = Subject { id: &file.id(), key: &file.key }.problems(&report, trailing);
            report.matches.iter().chain(&problems).for_each(|found| ledger.add(found));
        }
        ledger.findings(self.settings())
    }

    /// What has to be counted: files, records, evaluated, quarantined, other kinds.
    fn counts(&self, files: &[LogFile]) -> [u64; 5] {
        let count = |n: usize| u64::try_from(n).expect("a count");
        let mut counts = [count(files.len()), 0, 0, 0, 0];
        for file in files {
            let (report, _) = self.report(file);
            counts[1] += count(report.records);
            counts[2] += count(report.evaluated);
            counts[3] += count(report.quarantined);
            counts[4] += report.other_kinds.values().map(|n| count(*n)).sum::<u64>();
        }
        counts
    }

    /// What is read from a file, and how many bytes follow it.
    fn report(&self, file: &LogFile) -> (Report, usize) {
        let limits = Limits::default();
        let inflated = Inflater::new(limits).inflate(&file.bytes);
        let report = evaluate(&self.engine, &inflated, &file.key, limits, &mut |_| {});
        assert!(report.is_conserved(), "{} loses records", file.key);
        (report, inflated.trailing)
    }
}

/// Findings by detection: how many of each.
fn by_detection(findings: &[Finding]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    findings.iter().for_each(|finding| *counts.entry(finding.detection_id.as_str()).or_default() += 1);
    counts
}
