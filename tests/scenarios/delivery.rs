//! However a batch comes, the findings are the oracle's: twice, split, in any order, to six functions at once.

use super::*;

#[tokio::test]
async fn the_same_batch_twice_changes_nothing() {
    let (stack, files) = (delivered().await, day());
    let ingest = stack.ingest().await;
    deliver_until_done(&ingest, &batch(&files)).await;
    assert_is_oracles(&stack, &files).await;
    let (items, told) = (stable_items(&stack).await, stack.sns.published());
    deliver_until_done(&ingest, &batch(&files)).await;
    assert_eq!(stable_items(&stack).await, items);
    assert_eq!(stack.sns.published(), told, "and nobody is told again");
}

#[tokio::test]
async fn how_files_are_spread_over_batches_and_in_which_order_does_not_matter() {
    let files = day();
    let reversed: Vec<LogFile> = files.iter().rev().cloned().collect();
    let (odd, even): (Vec<_>, Vec<_>) = files.iter().cloned().enumerate().partition(|(index, _)| index % 2 == 1);
    let interleaved: Vec<LogFile> = odd.into_iter().chain(even).map(|(_, file)| file).collect();
    for (order, size) in [(&files, 1), (&reversed, 1), (&reversed, 3), (&interleaved, 2), (&interleaved, 100)] {
        let stack = delivered().await;
        let ingest = stack.ingest().await;
        for chunk in order.chunks(size) {
            deliver_until_done(&ingest, &batch(chunk)).await;
        }
        assert_is_oracles(&stack, &files).await;
        assert_all_told(&stack).await;
    }
}

#[tokio::test]
async fn six_functions_at_once_find_what_one_would() {
    let (stack, files) = (delivered().await, day());
    let mut functions = Vec::new();
    for _ in 0..6 {
        functions.push(stack.ingest().await);
    }
    let deliveries = functions.iter().enumerate().map(|(index, function)| {
        // Each is handed all files, in an order and in batches of its own.
        let mut files = files.clone();
        files.rotate_left(index * 2 % day().len());
        async move {
            for chunk in files.chunks(index + 1) {
                deliver_until_done(function, &batch(chunk)).await;
            }
        }
    });
    futures::future::join_all(deliveries).await;
    assert_is_oracles(&stack, &files).await;
    assert_all_told(&stack).await;
}

#[tokio::test]
async fn six_functions_that_add_to_one_finding_tell_of_it_once() {
    let stack = Stack::start().await;
    let file = |number: usize| LogFile::of(&format!("stop-{number}"), &[refused_stop(number, "org-trail")]);
    let files: Vec<LogFile> = (0..6).map(file).collect();
    stack.deliver(&files).await;
    let mut functions = Vec::new();
    for _ in &files {
        let function = stack.ingest().await;
        function.initialized().await.expect("it starts");
        functions.push(function);
    }
    let deliveries = files.iter().zip(&functions).map(|(file, function)| async move {
        deliver_until_done(function, &batch([file])).await;
    });
    futures::future::join_all(deliveries).await;
    assert_is_oracles(&stack, &files).await;
    assert_eq!(stack.told().len(), 1);
    assert_all_told(&stack).await;
}

#[tokio::test]
async fn a_record_in_two_files_counts_once() {
    let stop = refused_stop(1, "org-trail");
    let files = [LogFile::of("one", &[stop.clone(), ordinary(2)]), LogFile::of("two", &[ordinary(2), stop])];
    let stack = Stack::start().await;
    stack.deliver(&files).await;
    deliver_until_done(&stack.ingest().await, &batch(&files)).await;
    assert_is_oracles(&stack, &files).await;
    let found = stack.findings().await;
    let stopped = found.iter().find(|finding| finding.detection_id == "cloudtrail-trail-stopped").expect("found");
    assert_eq!(stopped.event_count(), 1);
}

#[tokio::test]
async fn thresholds_give_the_same_findings_on_the_table_as_on_files() {
    let files = sign_ins();
    let stack = Stack::start().await;
    stack.deliver(&files).await;
    let (first, second) = (stack.ingest().await, stack.ingest().await);
    let half = files.len() / 2;
    let (early, late) = files.split_at(half);
    // Late files first, and both halves at once.
    let backwards: Vec<LogFile> = late.iter().rev().cloned().collect();
    let one = async {
        for chunk in backwards.chunks(2) {
            deliver_until_done(&first, &batch(chunk)).await;
        }
    };
    let two = async {
        for chunk in early.chunks(3) {
            deliver_until_done(&second, &batch(chunk)).await;
        }
    };
    futures::join!(one, two);
    assert_is_oracles(&stack, &files).await;
    let found = stack.findings().await;
    let counts = by_detection(&found);
    for detection in ["sign-in-failures-user", "sign-in-failures-address", "sign-in-spray-users"] {
        assert!(counts.get(detection).is_some_and(|count| *count > 0), "{detection} is missing: {counts:?}");
    }
    assert_eq!(scanned(&files), found.iter().map(|f| finding_json(f, Oracle::new().settings())).collect::<Vec<_>>());
}

/// Failures and successes of five users from two addresses, spread over files, not in order of time.
fn sign_ins() -> Vec<LogFile> {
    let attempt = |number: usize| {
        let (user, address) = (number * 7 % 5, number % 2 + 1);
        let seconds = i64::try_from(number * 89 % 2400).expect("small");
        let succeeded = number.is_multiple_of(11);
        let more = json!({
            "eventTime": after(seconds), "eventType": "AwsConsoleSignIn",
            "sourceIPAddress": format!("198.51.100.{address}"),
            "userIdentity": {"type": "IAMUser", "accountId": ACCOUNT, "userName": format!("user-{user}"),
                "arn": format!("arn:aws:iam::{ACCOUNT}:user/user-{user}"), "principalId": format!("AIDA{user}")},
            "errorMessage": (!succeeded).then_some("Failed authentication"),
            "responseElements": {"ConsoleLogin": if succeeded { "Success" } else { "Failure" }},
            "additionalEventData": {"MFAUsed": "Yes", "MobileVersion": "No", "LoginTo": "https://console.aws.amazon.com/"},
        });
        record(number, "signin.amazonaws.com", "ConsoleLogin", &more)
    };
    let file = |index: usize| {
        let records: Vec<Value> = (0..12).map(|n| attempt(index + n * 10)).collect();
        LogFile::of(&format!("sign-ins-{index}"), &records)
    };
    (0..10).map(file).collect()
}

/// What `qtrail scan` says of the files, by time of the first record.
fn scanned(files: &[LogFile]) -> Vec<Value> {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    for file in files {
        let path = folder.path().join(&file.key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, &file.bytes).expect("written");
    }
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qtrail"));
    let output = command.args(["scan", "--format", "ndjson"]).arg(folder.path()).output().expect("qtrail runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn delivered() -> Stack {
    let stack = Stack::start().await;
    stack.deliver(&day()).await;
    stack
}
