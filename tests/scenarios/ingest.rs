//! Log files in, findings and alerts out: the whole way, once.

use super::*;
use crate::support::s3::gzip;

/// A day's files: an intrusion in ordinary traffic.
fn attack() -> Vec<LogFile> {
    vec![
        LogFile::of("quiet", &[ordinary(1), ordinary(2), ordinary(3)]),
        LogFile::of("stop", &[ordinary(4), refused_stop(5, "org-trail"), refused_stop(6, "org-trail")]),
        LogFile::of("port", &[open_port(7, 22, "sg-0a1b"), ordinary(8)]),
    ]
}

/// A deployment that was handed [`attack`] in one batch, and the function that read it.
async fn attacked() -> (Stack, Function) {
    let (stack, files) = (Stack::start().await, attack());
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    assert_eq!(ingest.invoke(&batch(&files)).await, Ok(json!({"batchItemFailures": []})));
    (stack, ingest)
}

#[tokio::test]
async fn a_batch_of_log_files_becomes_findings_in_the_table() {
    let (stack, _ingest) = attacked().await;
    let found = stack.findings().await;
    assert_eq!(found, Oracle::new().findings(&attack()));
    let counts = by_detection(&found);
    assert_eq!((counts["cloudtrail-trail-stopped"], counts["ec2-security-group-opened"]), (1, 1), "{counts:?}");
    let feed = stack.dynamo.index("feed").await;
    assert!(feed.iter().all(|item| item["feed"] == "FEED#2025-11-20"), "{feed:?}");
    assert_eq!(feed.len(), found.len());
}

#[tokio::test]
async fn what_was_told_is_owed_no_longer_and_stands_in_the_history() {
    let (stack, _ingest) = attacked().await;
    assert!(stack.dynamo.index("due").await.is_empty());
    let oracle = Oracle::new();
    for entry in stack.entries().await {
        let told = is_immediate(&entry.finding, oracle.settings());
        let expected = if told { Level::of(&entry.finding) } else { Level::default() };
        assert_eq!((entry.sent, entry.due, entry.status), (expected, None, Status::New), "{entry:?}");
        let history = stack.dynamo.items_under(&format!("F#{}", entry.finding.finding_id)).await;
        let sent: Vec<&Value> = history.iter().filter(|line| line["what"] == "alert sent").collect();
        assert_eq!(sent.len(), usize::from(told), "{history:?}");
        for line in sent {
            assert_eq!((&line["who"], &line["detections"]), (&json!("qtrail"), &json!(trail::detections::VERSION)));
        }
    }
}

#[tokio::test]
async fn people_get_text_and_machines_get_json_with_attributes_to_filter_by() {
    let (stack, _ingest) = attacked().await;
    let found = stack.findings().await;
    let stopped = found.iter().find(|finding| finding.detection_id == "cloudtrail-trail-stopped").expect("found");
    let messages = stack.sns.published_to(&stack.people);
    let message = messages.iter().find(|message| message.attributes["detection"] == stopped.detection_id);
    let message = message.expect("people were told");
    let subject = message.subject.as_deref().expect("a subject");
    assert_eq!(subject, format!("[CRITICAL] {ACCOUNT}: alice tried to stop trail org-trail (denied)"));
    let email = message.text_for("email");
    for head in ["WHO", "DID", "WHERE", "WHEN", "WHY", "CHECK", "NEXT"] {
        assert!(email.lines().any(|line| line.starts_with(head)), "{head} is missing:\n{email}");
    }
    assert!(email.contains(&format!("qtrail findings ack {}", stopped.short_id())), "{email}");
    let machine: Value = serde_json::from_str(&message.text_for("sqs")).expect("JSON");
    assert_eq!((&machine["finding_id"], &machine["event_count"]), (&json!(stopped.finding_id), &json!(2)));
    assert_eq!(machine["level"], json!(Level::of(stopped)));
    let expected = [
        ("severity", "CRITICAL"),
        ("category", "trail_tampering"),
        ("account", ACCOUNT),
        ("environment", "unknown"),
        ("detection", "cloudtrail-trail-stopped"),
        ("kind", "finding"),
        ("state", "denied"),
    ];
    assert_eq!(message.attributes, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn chat_gets_one_thread_for_one_key() {
    let (stack, _ingest) = attacked().await;
    let found = stack.findings().await;
    let messages = stack.sns.published_to(&stack.chat);
    assert_eq!(messages.len(), stack.sns.published_to(&stack.people).len());
    for message in messages {
        let chat: Value = serde_json::from_str(&message.message).expect("JSON");
        let finding = found.iter().find(|finding| chat["id"] == finding.finding_id).expect("about a finding");
        assert_eq!((&chat["version"], &chat["source"]), (&json!("1.0"), &json!("custom")));
        assert_eq!(chat["metadata"]["threadId"], finding.thread_id());
        assert_eq!(message.structure, None, "chat takes the message as it is");
    }
}

#[tokio::test]
async fn files_records_and_accounts_are_on_record() {
    let (stack, _ingest) = attacked().await;
    let counts = stack.dynamo.items_under("C#").await;
    let [day] = counts.as_slice() else { panic!("one day of one account: {counts:?}") };
    assert_eq!(day["pk"], format!("C#2025-11-20#{ACCOUNT}"));
    assert_eq!(numbers(day), [3, 8, 8, 0, 0]);
    let files = stack.dynamo.items_under("L#").await;
    assert_eq!(files.len(), 3);
    for (item, file) in files.iter().zip(sorted_by_key(&attack())) {
        assert_eq!(item["pk"], format!("L#{}", file.id()));
        let text = Inflater::new(Limits::default()).inflate(&file.bytes).bytes;
        assert_eq!(item["sha256"], trail::record::hex(&trail::record::digest(&text)));
        assert_eq!(item["size"], file.bytes.len());
        assert_eq!(item["delivered"], "2025-11-20T03:05:00Z");
        assert!(item["expires"].as_i64() > item["size"].as_i64(), "{item}");
    }
    let [account] = &stack.dynamo.items_under("ACCOUNTS").await[..] else { panic!("one account") };
    assert_eq!(account["sk"], format!("{ACCOUNT}#eu-west-1"));
    assert_eq!((&account["since"], &account["last_heard"]), (&account["last_heard"], &json!("2025-11-20T03:05:00Z")));
}

#[tokio::test]
async fn when_chat_cannot_be_told_people_are_and_a_metric_says_so() {
    let stack = Stack::start().await;
    let gone = stack.environment().set("QTRAIL_CHAT_TOPIC", &format!("{}-gone", stack.chat));
    let ingest = Function::start(&binary("ingest"), &gone).await;
    let file = LogFile::of("stop", &[stop_trail(1, "org-trail", &json!({}))]);
    stack.deliver(std::slice::from_ref(&file)).await;
    deliver_until_done(&ingest, &batch([&file])).await;
    assert_eq!(stack.sns.published_to(&stack.people).len(), 1);
    assert!(stack.dynamo.index("due").await.is_empty(), "people are not told again for chat's sake");
    assert!(ingest.output().line_with(r#""ChatFailures":1"#).await.is_some());
}

#[tokio::test]
async fn a_damaged_file_that_comes_again_is_counted_once() {
    let stack = Stack::start().await;
    let ingest = stack.ingest().await;
    let cut = LogFile::raw("cut", gzip(br#"{"Records":[{"eventSource":"a","eventName":"b"},{"eventSou"#));
    stack.deliver(std::slice::from_ref(&cut)).await;
    for _ in 0..3 {
        ingest.invoke(&batch([&cut])).await.expect("an answer");
    }
    let metrics = ingest.output().stdout.all();
    let counted = metrics.iter().filter(|line| line.contains(r#""RecordsIn":2"#)).count();
    let again = metrics.iter().filter(|line| line.contains(r#""RecordsIn":0"#)).count();
    assert_eq!((counted, again), (1, 2), "{metrics:?}");
    let file = &stack.dynamo.items_under("L#").await[0];
    assert!(file["problem"].as_str().is_some_and(|problem| problem.contains("damaged")), "{file}");
    assert!(stack.dynamo.items_under("ACCOUNTS").await.is_empty(), "damage is no sign of life");
}

#[tokio::test]
async fn logs_of_other_services_in_the_bucket_are_none_of_ours() {
    let stack = Stack::start().await;
    let config = key("config").replace("/CloudTrail/", "/Config/");
    let foreign = LogFile { key: config, bytes: gzip(br#"{"configurationItems":[]}"#) };
    stack.deliver(std::slice::from_ref(&foreign)).await;
    deliver_until_done(&stack.ingest().await, &batch([&foreign])).await;
    assert!(stack.findings().await.is_empty());
    assert!(stack.dynamo.items_under("L#").await.is_empty());
}

#[tokio::test]
async fn the_log_is_json_by_lines_and_says_nothing_of_what_records_hold() {
    let (_stack, ingest) = attacked().await;
    let metrics = ingest.output().line_with("CloudWatchMetrics").await.expect("metrics");
    let metrics: Value = serde_json::from_str(&metrics).expect("JSON");
    for (name, count) in [("LogFiles", 3), ("RecordsIn", 8), ("RecordsEvaluated", 8), ("RecordsUnaccounted", 0)] {
        assert_eq!(metrics[name], count, "{name} in {metrics}");
        let about = &metrics["_aws"]["CloudWatchMetrics"][0];
        assert!(about["Metrics"].as_array().expect("a list").contains(&json!({"Name": name, "Unit": "Count"})));
        assert_eq!((&about["Namespace"], &about["Dimensions"]), (&json!("QuickInfraTrail"), &json!([["Stack"]])));
    }
    assert_eq!(metrics["Stack"], "trail");
    let about = ingest.output().line_with("_stop.json.gz").await.expect("a line for each object");
    let about: Value = serde_json::from_str(&about).expect("JSON");
    for field in ["request_id", "object", "records", "quarantined", "findings", "milliseconds"] {
        assert!(!about[field].is_null(), "{field} in {about}");
    }
    assert_eq!(about["records"], 3);
    for line in [ingest.output().stdout.all(), ingest.output().stderr.all()].concat() {
        serde_json::from_str::<Value>(&line).expect("every line is JSON");
        for content in ["alice", "203.0.113.7", "org-trail", "sg-0a1b"] {
            assert!(!line.contains(content), "{content} in {line}");
        }
    }
}

#[tokio::test]
async fn every_way_in_which_a_log_file_is_announced_is_understood() {
    let file = LogFile::of("a+b c", &[stop_trail(1, "org-trail", &json!({}))]);
    let s3 = notification(LOGS, &file.key);
    let sns = |message: &Value| json!({"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": message.to_string()});
    let bridge = json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail": {
        "bucket": {"name": LOGS}, "object": {"key": file.key, "size": 1, "version-id": "null"}}});
    let notice = json!({"s3Bucket": LOGS, "s3ObjectKey": [file.key]});
    let by_hand = json!({"bucket": LOGS, "key": file.key});
    let lambda_sns = json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": s3.to_string()}}]});
    let in_queue = [&s3, &sns(&s3), &bridge, &sns(&bridge), &notice, &sns(&notice), &by_hand];
    let mut ways: Vec<Value> = in_queue.iter().map(|body| batch_of(QUEUE, &[body.to_string()])).collect();
    ways.extend([s3, bridge, notice, by_hand, lambda_sns]);
    for way in ways {
        let stack = Stack::start().await;
        stack.deliver(std::slice::from_ref(&file)).await;
        let answer = stack.ingest().await.invoke(&way).await.expect("an answer");
        assert!(answer == json!({}) || failures(&answer).is_empty(), "{way}: {answer}");
        assert_eq!(stack.findings().await, Oracle::new().findings(std::slice::from_ref(&file)), "{way}");
    }
}

#[tokio::test]
async fn tests_of_notifications_are_no_errors() {
    let stack = Stack::start().await;
    let s3_test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": LOGS}).to_string();
    let removed = notification(LOGS, "x.json.gz").to_string().replace("ObjectCreated:Put", "ObjectRemoved:Delete");
    let cloudtrail_test = "CloudTrail validation message.".to_owned();
    let answer = stack.ingest().await.invoke(&batch_of(QUEUE, &[s3_test, removed, cloudtrail_test])).await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
    assert!(stack.dynamo.items_under("L#").await.is_empty());
}

#[tokio::test]
async fn a_bucket_that_is_not_ours_is_refused_and_its_neighbours_are_not() {
    let stack = Stack::start().await;
    let file = LogFile::of("ours", &[stop_trail(1, "org-trail", &json!({}))]);
    stack.s3.create("somebody-elses");
    stack.s3.put("somebody-elses", &file.key, log_file(&[stop_trail(2, "decoy", &json!({}))])).await;
    stack.deliver(std::slice::from_ref(&file)).await;
    let bodies = [notification("somebody-elses", &file.key), notification(LOGS, &file.key)];
    let ingest = stack.ingest().await;
    let answer = ingest.invoke(&batch_of(QUEUE, &bodies.map(|body| body.to_string()))).await.expect("an answer");
    assert_eq!(failures(&answer), ["m0"]);
    assert_eq!(stack.findings().await, Oracle::new().findings(&[file]));
    let said = ingest.output().line_with("somebody-elses").await.expect("the log names the bucket");
    assert!(said.contains("LogBuckets"), "and says what to do: {said}");
}

#[tokio::test]
async fn a_record_by_itself_is_taken_from_the_fast_path_alone() {
    let stack = Stack::start().await;
    let body = [fast(&stop_trail(1, "org-trail", &json!({})))];
    let ingest = stack.ingest().await;
    let refused = ingest.invoke(&batch_of(QUEUE, &body)).await.expect("an answer");
    assert_eq!(failures(&refused), ["m0"], "anybody may write to a log bucket's queue");
    assert!(stack.findings().await.is_empty());
    let taken = ingest.invoke(&batch_of(FAST_PATH, &body)).await.expect("an answer");
    assert!(failures(&taken).is_empty());
    assert_eq!(by_detection(&stack.findings().await)["cloudtrail-trail-stopped"], 1);
}

#[tokio::test]
async fn a_record_of_the_fast_path_and_its_copy_in_a_log_file_are_one() {
    let stop = stop_trail(1, "org-trail", &json!({}));
    let file = LogFile::of("later", std::slice::from_ref(&stop));
    let (by_bridge, by_file) = (batch_of(FAST_PATH, &[fast(&stop)]), batch([&file]));
    for order in [[&by_bridge, &by_file], [&by_file, &by_bridge]] {
        let stack = Stack::start().await;
        stack.deliver(std::slice::from_ref(&file)).await;
        let ingest = stack.ingest().await;
        for delivery in order {
            assert!(failures(&ingest.invoke(delivery).await.expect("an answer")).is_empty());
        }
        assert_eq!(stack.findings().await, Oracle::new().findings(std::slice::from_ref(&file)));
        assert_eq!(stack.findings().await[0].event_ids.len(), 1);
        assert_eq!(stack.told().len(), 1, "and people are told once");
        let counts = stack.dynamo.items_under("C#").await;
        assert_eq!(numbers(&counts[0]), [1, 1, 1, 0, 0], "log files alone are counted");
    }
}

/// A record as EventBridge hands it over.
fn fast(record: &Value) -> String {
    json!({"version": "0", "source": "aws.cloudtrail", "detail-type": "AWS API Call via CloudTrail",
        "account": ACCOUNT, "detail": record})
    .to_string()
}

fn sorted_by_key(files: &[LogFile]) -> Vec<LogFile> {
    let mut files = files.to_vec();
    files.sort_by(|a, b| a.key.cmp(&b.key));
    files
}
