//! The canary: sent by one function, found by the other, counted by none.

use trail::canary::Canary;

use super::notify::clock;
use super::*;
use crate::support::proxy::{Fault, Plan, Requests};
use crate::support::{REGION, s3::gzip};

/// What the rule on the data bucket puts into the queue for an object.
fn announced(bucket: &str, key: &str) -> Value {
    let event = json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "account": ACCOUNT,
        "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1, "etag": "e"}, "reason": "PutObject"}});
    batch_of(QUEUE, &[event.to_string()])
}

/// Sends a canary; yields its key.
async fn send(notify: &Function) -> String {
    let answer = notify.invoke(&json!({"do": "canary"})).await.expect("notify runs");
    answer["sent"].as_str().expect("a key").to_owned()
}

/// How often a function has said that a canary was found in time.
fn passes(ingest: &Function) -> usize {
    ingest.output().stdout.all().iter().filter(|line| line.contains("\"CanaryFindings\":")).count()
}

/// A canary of this stack that was sent so many seconds ago, as notify makes it.
fn canary_of(stack: &str, seconds: i64) -> (String, Vec<u8>) {
    let own = Own { account: ACCOUNT.into(), stack: stack.into(), region: REGION.into(), ..Own::default() };
    let canary = Canary { own: &own, sent: Time(clock().0 - seconds) };
    (canary.key(), canary.log_file().expect("a file"))
}

#[tokio::test]
async fn a_canary_goes_the_way_of_a_log_file_and_its_finding_says_that_it_arrived() {
    let stack = Stack::start().await;
    stack.configure("minimum_alert_severity = \"INFORMATIONAL\"").await;
    let (notify, ingest) = (stack.notify().await, stack.ingest().await);
    let before = clock();
    let key = send(&notify).await;
    assert!(key.starts_with(&format!("canary/AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/20")), "{key}");
    assert_eq!(stack.s3.keys(DATA, "canary").await, [key.as_str()]);
    assert!(stack.s3.keys(LOGS, "").await.is_empty(), "a canary among log files would be a forgery");
    for _ in 0..2 {
        assert_eq!(ingest.invoke(&announced(DATA, &key)).await, Ok(json!({"batchItemFailures": []})));
    }
    let [entry] = &stack.entries().await[..] else { panic!("one finding") };
    assert_eq!(entry.finding.detection_id, "pipeline-canary");
    assert_eq!((entry.finding.event_ids.len(), entry.v), (1, 1), "delivered twice, found once");
    let sent = entry.finding.last_seen;
    let [passed] = &stack.dynamo.items_under("CANARY").await[..] else { panic!("one item") };
    assert_eq!((&passed["sk"], &passed["sent"]), (&json!("META"), &json!(sent.to_string())));
    let found = passed["found"].as_str().and_then(Time::parse).expect("a time");
    assert!(before <= sent && sent <= found && found <= clock(), "{passed}");
    assert!(ingest.output().line_with(r#""CanaryFindings":1"#).await.is_some());
    notify.invoke(&json!({"do": "due"})).await.expect("notify runs");
    assert!(stack.told().is_empty() && entry.due.is_none(), "nobody is alerted, whatever the settings");
}

#[tokio::test]
async fn the_next_canary_goes_on_with_the_finding_of_the_last() {
    let stack = Stack::start().await;
    let ingest = stack.ingest().await;
    for seconds in [60, 0, 30] {
        let (key, bytes) = canary_of("trail", seconds);
        stack.s3.put(DATA, &key, bytes).await;
        deliver_until_done(&ingest, &announced(DATA, &key)).await;
    }
    let found = stack.findings().await;
    assert_eq!((found.len(), found[0].event_ids.len()), (1, 3));
    let passed = &stack.dynamo.items_under("CANARY").await[0];
    assert_eq!(passed["sent"], found[0].last_seen.to_string(), "one that comes late is not the last");
}

#[tokio::test]
async fn a_canary_is_no_log_file_in_any_count() {
    let stack = Stack::start().await;
    let (notify, ingest) = (stack.notify().await, stack.ingest().await);
    let key = send(&notify).await;
    deliver_until_done(&ingest, &announced(DATA, &key)).await;
    for prefix in ["L#", "C#", "ACCOUNTS"] {
        assert!(stack.dynamo.items_under(prefix).await.is_empty(), "{prefix}");
    }
    let metrics = ingest.output().line_with("\"LogFiles\":").await.expect("metrics");
    let metrics: Value = serde_json::from_str(&metrics).expect("JSON");
    for name in ["LogFiles", "RecordsIn", "RecordsEvaluated", "RecordsUnaccounted", "DigestFiles"] {
        assert_eq!(metrics[name], 0, "{name}: the alarm on silence would not hear it");
    }
}

#[tokio::test]
async fn a_forged_canary_in_the_log_bucket_passes_nothing() {
    let stack = Stack::start().await;
    let ingest = stack.ingest().await;
    let (canary, bytes) = canary_of("trail", 0);
    for place in [canary.as_str(), canary.trim_start_matches("canary/")] {
        stack.s3.put(LOGS, place, bytes.clone()).await;
        deliver_until_done(&ingest, &announced(LOGS, place)).await;
    }
    let text = Inflater::new(Limits::default()).inflate(&bytes).bytes;
    let record: Value = serde_json::from_slice(&text).expect("JSON");
    let alone = json!({"version": "0", "source": "aws.cloudtrail", "detail-type": "AWS API Call via CloudTrail",
        "account": ACCOUNT, "detail": record["Records"][0]});
    deliver_until_done(&ingest, &batch_of(FAST_PATH, &[alone.to_string()])).await;
    assert!(stack.findings().await.is_empty() && stack.dynamo.items_under("CANARY").await.is_empty());
    assert_eq!(passes(&ingest), 0);
    assert_eq!(stack.dynamo.items_under("L#").await.len(), 2, "they are log files like any");
}

#[tokio::test]
async fn what_no_function_of_this_stack_has_sent_passes_nothing() {
    let stack = Stack::start().await;
    let ingest = stack.ingest().await;
    let (key, bytes) = canary_of("another-stack", 0);
    stack.s3.put(DATA, &key, bytes).await;
    deliver_until_done(&ingest, &announced(DATA, &key)).await;
    assert!(stack.findings().await.is_empty());
    let (key, _) = canary_of("trail", 0);
    stack.s3.put(DATA, &key, gzip(b"{\"Records\":[{]}")).await;
    ingest.invoke(&announced(DATA, &key)).await.expect("an answer");
    assert!(stack.dynamo.items_under("CANARY").await.is_empty());
    assert_eq!(passes(&ingest), 0);
}

#[tokio::test]
async fn of_the_data_bucket_nothing_but_canaries_is_read() {
    let stack = Stack::start().await;
    let ingest = stack.ingest().await;
    let (canary, bytes) = canary_of("trail", 0);
    let log = key("x");
    for place in [log.as_str(), "quarantine/trail-logs/canary/x.json.gz", canary.trim_start_matches("canary/")] {
        stack.s3.put(DATA, place, bytes.clone()).await;
        let answer = ingest.invoke(&announced(DATA, place)).await.expect("an answer");
        assert_eq!(failures(&answer), ["m0"], "{place}");
    }
    assert!(stack.findings().await.is_empty());
}

#[tokio::test]
async fn a_canary_that_is_late_is_found_and_proves_nothing() {
    let stack = Stack::start().await;
    let ingest = stack.ingest().await;
    let (key, bytes) = canary_of("trail", 2 * 3600);
    stack.s3.put(DATA, &key, bytes).await;
    deliver_until_done(&ingest, &announced(DATA, &key)).await;
    assert_eq!(stack.findings().await.len(), 1);
    assert_eq!(passes(&ingest), 0);
}

#[tokio::test]
async fn a_canary_has_passed_once_its_finding_stands_and_not_before() {
    let stack = Stack::start().await;
    let (notify, ingest) = (stack.notify().await, stack.ingest().await);
    let key = send(&notify).await;
    stack.dynamo_proxy.set_plan(Plan::new().on(Requests::nth(1).operation("PutItem"), Fault::kill_before(&ingest)));
    assert!(ingest.invoke(&announced(DATA, &key)).await.is_err(), "killed before the finding was written");
    assert!(stack.dynamo.items_under("CANARY").await.is_empty());
    assert_eq!(passes(&ingest), 0);
    deliver_until_done(&ingest, &announced(DATA, &key)).await;
    assert_eq!((stack.findings().await.len(), stack.dynamo.items_under("CANARY").await.len()), (1, 1));
    assert_eq!(passes(&ingest), 1);
}

#[tokio::test]
async fn a_deployment_sends_a_canary_at_once() {
    let stack = Stack::start().await;
    let notify = stack.notify().await;
    let deployed = json!({"source": "aws.cloudformation", "time": "2025-11-20T03:00:00Z", "detail": {}});
    notify.invoke(&deployed).await.expect("notify runs");
    assert_eq!(stack.s3.keys(DATA, "canary").await.len(), 1);
    assert!(notify.output().line_with(r#""SilentRegions":0"#).await.is_some());
}
