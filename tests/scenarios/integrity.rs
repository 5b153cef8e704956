//! Digests as they are delivered, through the real functions: what AWS signed, what was read, what is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::support::digests::{Bucket, Chain, public_keys};
use crate::support::http::{Server, answer};
use hyper::StatusCode;

/// A deployment with a chain in its log bucket, and what AWS answers to those who verify.
struct Verified {
    stack: Stack,
    bucket: Bucket,
    ingest: Function,
    verify: Function,
    /// Messages that were put into the queue of log files.
    queued: Arc<Mutex<Vec<Value>>>,
    _aws: Server,
}

/// A chain whose last window has just been signed.
fn recent(hours: usize) -> Chain {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let now = i64::try_from(now).expect("a clock");
    let end = now - now % 3600 - 600;
    Chain { bucket: LOGS, hours, start: end - 3600 * i64::try_from(hours).expect("few"), ..Chain::default() }
}

impl Verified {
    async fn of(bucket: Bucket) -> Self {
        let stack = Stack::start().await;
        let queued = Arc::new(Mutex::new(Vec::new()));
        let seen = queued.clone();
        let aws = Server::answering(move |request: hyper::Request<bytes::Bytes>| {
            let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
            let body = if target.is_some_and(|target| target.ends_with(".ListPublicKeys")) {
                public_keys()
            } else {
                seen.lock().expect("unpoisoned").push(serde_json::from_slice(request.body()).expect("JSON"));
                json!({"MessageId": "1"})
            };
            async move { Some(answer(StatusCode::OK, "application/x-amz-json-1.1", body.to_string())) }
        })
        .await;
        let environment = stack
            .environment()
            .set("QTRAIL_QUEUE_URL", &format!("{}/queue", aws.url()))
            .set("AWS_ENDPOINT_URL_CLOUDTRAIL", &aws.url())
            .set("AWS_ENDPOINT_URL_SQS", &aws.url());
        let ingest = stack.ingest().await;
        let verify = Function::start(&binary("verify"), &environment).await;
        for (key, object) in &bucket.objects {
            stack.s3.put_with(LOGS, key, object.gzip.clone(), &object.metadata).await;
        }
        Self { stack, bucket, ingest, verify, queued, _aws: aws }
    }

    /// Delivers objects: ingest hears of them.
    async fn deliver(&self, keys: &[String]) {
        let files: Vec<LogFile> = keys.iter().map(|key| LogFile { key: key.clone(), bytes: Vec::new() }).collect();
        deliver_until_done(&self.ingest, &batch(&files)).await;
    }

    /// Everything that is there, log files before digests.
    async fn deliver_all(&self) {
        let keys: Vec<String> = self.bucket.objects.keys().cloned().collect();
        self.deliver(&keys).await;
    }

    async fn run(&self, what: &str) -> Value {
        self.verify.invoke(&json!({"do": what})).await.expect("verify runs")
    }

    /// Each kind of finding once: around midnight a chain has one of yesterday and one of today.
    async fn found(&self) -> Vec<(String, Severity)> {
        let findings = self.stack.findings().await;
        let kinds = findings.into_iter().map(|finding| (finding.detection_id, finding.severity));
        kinds.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn only(detection: &str, severity: Severity) -> Vec<(String, Severity)> {
    vec![(detection.to_owned(), severity)]
}

#[tokio::test]
async fn a_whole_chain_is_proven_once_and_says_how_far() {
    let verified = Verified::of(recent(4).make()).await;
    verified.deliver_all().await;
    let logs = verified.bucket.logs.iter().flatten().count();
    assert_eq!(verified.run("digests").await, json!({"digests": 4, "log_files": logs, "missed": 0, "problems": 0}));
    assert_eq!(verified.run("digests").await["digests"], 0, "each is verified once");
    verified.deliver(&verified.bucket.digests).await;
    assert_eq!(verified.run("digests").await["digests"], 0, "delivered again, it is the same");
    assert_eq!(verified.run("missing").await["problems"], 0);
    assert!(verified.found().await.is_empty());
    let chains = verified.stack.dynamo.items_under("CHAINS#").await;
    assert_eq!(chains.len(), 1);
    assert_eq!((&chains[0]["digests"], &chains[0]["problems"]), (&json!(4), &json!(0)));
    assert_eq!(chains[0]["head"]["object"].as_str(), verified.bucket.digests.last().map(String::as_str));
    assert!(verified.queued.lock().expect("unpoisoned").is_empty());
}

#[tokio::test]
async fn a_log_file_that_was_changed_before_it_was_read_is_found_by_its_digest() {
    let mut bucket = recent(4).make();
    let key = bucket.logs[1][0].clone();
    bucket.rewrite(&key, br#"{"Records":[]}"#);
    let verified = Verified::of(bucket).await;
    verified.deliver_all().await;
    assert_eq!(verified.run("digests").await["problems"], 1);
    assert_eq!(verified.found().await, only("log-file-changed", Severity::Critical));
    assert!(verified.stack.told().iter().any(|told| told["detection_id"] == "log-file-changed"), "at once");
}

#[tokio::test]
async fn a_log_file_that_was_replaced_after_it_was_read_is_found_where_it_is_read_again() {
    let verified = Verified::of(recent(4).make()).await;
    let key = verified.bucket.logs[1][0].clone();
    verified.deliver(std::slice::from_ref(&key)).await;
    verified.stack.s3.put(LOGS, &key, log_file(&[stop_trail(1, "forged", &json!({}))])).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    assert!(verified.found().await.contains(&("log-file-changed".to_owned(), Severity::Critical)));
}

#[tokio::test]
async fn a_log_file_that_is_gone_before_it_was_read_is_missing() {
    let mut bucket = recent(4).make();
    let key = bucket.logs[3][1].clone();
    bucket.objects.remove(&key);
    let verified = Verified::of(bucket).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    assert_eq!(verified.found().await, only("log-file-missing", Severity::Critical));
}

#[tokio::test]
async fn a_log_file_that_nobody_told_us_of_is_read_after_all() {
    let verified = Verified::of(recent(4).make()).await;
    let missed = verified.bucket.logs[3][1].clone();
    let keys: Vec<String> = verified.bucket.objects.keys().filter(|key| **key != missed).cloned().collect();
    verified.deliver(&keys).await;
    let run = verified.run("digests").await;
    assert_eq!((&run["missed"], &run["problems"]), (&json!(1), &json!(0)));
    assert!(verified.found().await.is_empty(), "it is mended, and no attack");
    let queued = verified.queued.lock().expect("unpoisoned").clone();
    let message: Value = serde_json::from_str(queued[0]["MessageBody"].as_str().expect("a message")).expect("JSON");
    assert_eq!(message["detail"]["object"]["key"], *missed);
    let answer = verified.ingest.invoke(&batch_of(QUEUE, &[message.to_string()])).await.expect("an answer");
    assert_eq!(failures(&answer), Vec::<&str>::new(), "ingest understands it");
    assert_eq!(verified.stack.dynamo.items_under(&format!("L#{LOGS}/{missed}")).await.len(), 1);
}

#[tokio::test]
async fn a_log_file_that_aws_did_not_deliver_is_found() {
    let mut bucket = recent(6).make();
    for hour in [1, 3] {
        let forged = bucket.chain.log_key(bucket.chain.start + 3600 * hour + 900, "forged0123456789");
        bucket.put(&forged, json!({"Records": [ordinary(1)]}).to_string().as_bytes());
    }
    let verified = Verified::of(bucket).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    assert!(verified.found().await.is_empty(), "a digest that names it may still come");
    assert_eq!(verified.run("missing").await["problems"], 2);
    assert_eq!(verified.found().await, only("log-file-unsigned", Severity::High));
    assert_eq!(verified.run("missing").await["problems"], 0, "each window is compared once");
}

#[tokio::test]
async fn what_is_deleted_after_it_was_verified_is_found_a_day_later() {
    let bucket = recent(30).make();
    let (log, digest) = (bucket.logs[1][0].clone(), bucket.digests[3].clone());
    let verified = Verified::of(bucket).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    verified.stack.s3.delete(LOGS, &log).await;
    verified.stack.s3.delete(LOGS, &digest).await;
    assert_eq!(verified.run("missing").await["problems"], 2);
    let found: BTreeSet<(String, Severity)> = verified.found().await.into_iter().collect();
    let expected = ["digest-missing", "log-file-missing"].map(|id| (id.to_owned(), Severity::Critical));
    assert_eq!(found, BTreeSet::from(expected));
}

#[tokio::test]
async fn a_log_file_that_is_overwritten_at_any_time_is_found_as_it_is_read() {
    let verified = Verified::of(recent(4).make()).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    let key = verified.bucket.logs[0][0].clone();
    verified.stack.s3.put(LOGS, &key, log_file(&[ordinary(1)])).await;
    verified.deliver(std::slice::from_ref(&key)).await;
    verified.deliver(std::slice::from_ref(&key)).await;
    assert_eq!(verified.found().await, only("log-file-overwritten", Severity::Critical));
}

#[tokio::test]
async fn digests_that_are_gone_are_missing_each_of_them() {
    let mut bucket = recent(6).make();
    bucket.delete([2, 3], false);
    let verified = Verified::of(bucket).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    let found = verified.stack.findings().await;
    assert_eq!(verified.found().await, only("digest-missing", Severity::Critical));
    assert_eq!(found.iter().map(trail::finding::Finding::event_count).sum::<usize>(), 2, "{found:?}");
}

#[tokio::test]
async fn a_chain_that_ends_is_found_unless_somebody_stopped_it() {
    let chain = recent(8);
    let start = chain.start;
    let mut cut = chain.clone().make();
    cut.delete([4, 5, 6, 7], true);
    let verified = Verified::of(cut).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    assert!(verified.found().await.is_empty());
    verified.run("missing").await;
    assert_eq!(verified.found().await, only("digest-missing", Severity::Critical));

    let stop = json!({
        "eventVersion": "1.11", "eventTime": Time(start + 3 * 3600 + 600).to_string(), "eventID": "stop-0",
        "eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging", "awsRegion": "eu-central-1",
        "requestParameters": {"name": "main_trail"}, "recipientAccountId": ACCOUNT,
        "userIdentity": {"type": "IAMUser", "userName": "alice", "accountId": ACCOUNT},
    });
    let mut stopped = Chain { record: Some((3, stop)), ..chain }.make();
    stopped.delete([4, 5, 6, 7], true);
    let verified = Verified::of(stopped).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    verified.run("missing").await;
    assert_eq!(verified.found().await, only("cloudtrail-trail-stopped", Severity::Critical), "which says it all");
}

#[tokio::test]
async fn a_chain_that_begins_anew_wants_a_reason() {
    let verified = Verified::of(Chain { anchors: vec![0, 3], ..recent(6) }.make()).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    assert_eq!(verified.found().await, only("digest-gap-unexplained", Severity::Critical));
}

#[tokio::test]
async fn a_digest_that_was_changed_or_replaced_is_found() {
    let mut edited = recent(4).make();
    let key = edited.digests[1].clone();
    let text = String::from_utf8(edited.text(&key)).expect("text").replace("SHA-256", "SHA-255");
    edited.rewrite(&key, text.as_bytes());
    let verified = Verified::of(edited).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    assert_eq!(verified.found().await.first(), Some(&("digest-changed".to_owned(), Severity::Critical)));

    let mut replaced = recent(4).make();
    let key = replaced.digests[1].clone();
    replaced.sign_anew(&key, |digest| digest["logFiles"] = json!([]));
    let verified = Verified::of(replaced).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    let found = verified.found().await;
    assert!(
        found.contains(&("digest-changed".to_owned(), Severity::Critical)),
        "its successor follows another: {found:?}"
    );
}

#[tokio::test]
async fn a_digest_that_cannot_be_read_is_named_and_the_chain_goes_on() {
    let mut bucket = recent(4).make();
    let key = bucket.digests[1].clone();
    bucket.rewrite(&key, b"no JSON");
    let verified = Verified::of(bucket).await;
    verified.deliver_all().await;
    verified.run("digests").await;
    let found = verified.found().await;
    assert!(found.contains(&("digest-unproven".to_owned(), Severity::High)), "{found:?}");
    let chains = verified.stack.dynamo.items_under("CHAINS#").await;
    assert_eq!(chains[0]["head"]["object"].as_str(), verified.bucket.digests.last().map(String::as_str));
}
