//! Killed at any request, throttled, refused: nothing is lost and nothing counts twice.

use std::time::Duration;

use super::*;
use crate::support::proxy::{Fault, Plan, Requests};
use crate::support::sns::Failure;

/// Where and when a function is killed.
#[derive(Clone, Copy)]
struct Kill {
    /// At a request to which of a deployment's servers.
    at: fn(&Stack) -> &Proxy,
    /// Before or after it is applied.
    fault: fn(&Function) -> Fault,
}

impl Kill {
    fn before(at: fn(&Stack) -> &Proxy) -> Self {
        Self { at, fault: Fault::kill_before }
    }

    fn after(at: fn(&Stack) -> &Proxy) -> Self {
        Self { at, fault: Fault::kill_after }
    }

    /// At the request with this number.
    fn plan(self, stack: &Stack, function: &Function, nth: usize) {
        (self.at)(stack).set_plan(Plan::new().on(Requests::nth(nth), (self.fault)(function)));
    }
}

/// What a function is killed in: few requests of every kind.
fn files() -> Vec<LogFile> {
    let failed = |number: usize| {
        let identity = json!({"type": "IAMUser", "accountId": ACCOUNT, "userName": "bob", "principalId": "AIDABOB"});
        let more = json!({"eventType": "AwsConsoleSignIn", "errorMessage": "Failed authentication",
            "sourceIPAddress": "AWS Internal", "userIdentity": identity,
            "responseElements": {"ConsoleLogin": "Failure"}});
        record(number, "signin.amazonaws.com", "ConsoleLogin", &more)
    };
    let bad = json!("not a record");
    vec![
        LogFile::of("stop", &[refused_stop(1, "org-trail"), bad]),
        LogFile::of("signin", &(10..16).map(failed).collect::<Vec<_>>()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_each_request_to_the_table_ingest_loses_nothing() {
    kill_at_every_request(Kill::before(|stack| &stack.dynamo_proxy)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_each_request_to_the_table_ingest_loses_nothing() {
    kill_at_every_request(Kill::after(|stack| &stack.dynamo_proxy)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_or_after_each_request_to_sns_ingest_loses_nothing() {
    kill_at_every_request(Kill::before(|stack| &stack.sns_proxy)).await;
    kill_at_every_request(Kill::after(|stack| &stack.sns_proxy)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_or_after_each_request_to_s3_ingest_loses_nothing() {
    kill_at_every_request(Kill::before(|stack| &stack.s3_proxy)).await;
    kill_at_every_request(Kill::after(|stack| &stack.s3_proxy)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_request_notify_still_tells_everything() {
    let ways = [
        Kill::before(|stack| &stack.dynamo_proxy),
        Kill::after(|stack| &stack.dynamo_proxy),
        Kill::before(|stack| &stack.sns_proxy),
        Kill::after(|stack| &stack.sns_proxy),
    ];
    for kill in ways {
        for nth in 1.. {
            let stack = owing().await;
            let notify = stack.notify().await;
            kill.plan(&stack, &notify, nth);
            let survived = notify.invoke(&json!({"do": "due"})).await.is_ok();
            assert_is_oracles(&stack, &files()).await;
            assert_all_told(&stack).await;
            if survived {
                assert!(nth > 1, "the plan never hit");
                break;
            }
        }
    }
}

/// A deployment whose publisher was refused: everything is found and owed.
async fn owing() -> Stack {
    let stack = Stack::start().await;
    stack.deliver(&files()).await;
    stack.sns.fail("Publish", 2, Failure::Denied);
    deliver_until_done(&stack.ingest().await, &batch(&files())).await;
    assert_eq!(stack.dynamo.index("due").await.len(), 2, "two findings are told at once");
    stack
}

/// Kills `ingest` at its first request, at its second … until a run has fewer, delivering again each time.
async fn kill_at_every_request(kill: Kill) {
    for nth in 1.. {
        let stack = Stack::start().await;
        stack.deliver(&files()).await;
        let ingest = stack.ingest().await;
        kill.plan(&stack, &ingest, nth);
        let survived = ingest.invoke(&batch(&files())).await.is_ok();
        deliver_until_done(&ingest, &batch(&files())).await;
        assert_is_oracles(&stack, &files()).await;
        assert_all_told(&stack).await;
        if survived {
            assert!(nth > 4, "the plan never hit");
            return;
        }
    }
}

#[tokio::test]
async fn throttling_and_internal_errors_are_tried_again_within_the_invocation() {
    let (stack, files) = (Stack::start().await, day());
    stack.deliver(&files).await;
    for (seed, proxy) in [(1, &stack.dynamo_proxy), (2, &stack.sns_proxy), (3, &stack.s3_proxy)] {
        let plan = Plan::new()
            .on(Requests::seeded(seed, 10), Fault::Throttle)
            .on(Requests::seeded(seed + 10, 10), Fault::InternalError)
            .on(Requests::seeded(seed + 20, 5), Fault::DropAfter);
        proxy.set_plan(plan);
    }
    let answer = stack.ingest().await.invoke(&batch(&files)).await.expect("an answer");
    assert!(failures(&answer).is_empty(), "{answer}");
    for proxy in [&stack.dynamo_proxy, &stack.s3_proxy] {
        assert!(proxy.seen().iter().any(|request| request.faulted), "the plan never hit");
        proxy.set_plan(Plan::new());
    }
    stack.sns_proxy.set_plan(Plan::new());
    assert_is_oracles(&stack, &files).await;
    assert_all_told(&stack).await;
}

#[tokio::test]
async fn writes_that_meet_a_transaction_are_tried_again() {
    let (stack, files) = (Stack::start().await, day());
    stack.deliver(&files).await;
    let findings = Oracle::new().findings(&files).len();
    // The first write keeps the settings, which no transaction touches; findings come next.
    let puts = (2..2 + findings)
        .fold(Plan::new(), |plan, nth| plan.on(Requests::nth(nth).operation("PutItem"), Fault::Conflict));
    stack.dynamo_proxy.set_plan(puts.on(Requests::seeded(4, 50).operation("TransactWriteItems"), Fault::Conflict));
    let answer = stack.ingest().await.invoke(&batch(&files)).await.expect("an answer");
    assert!(failures(&answer).is_empty(), "{answer}");
    let met = |name: &str| stack.dynamo_proxy.seen().iter().any(|seen| seen.faulted && seen.operation == name);
    assert!(met("PutItem") && met("TransactWriteItems"), "the plan never hit");
    assert!(stack.dynamo.index("due").await.is_empty(), "what was told is cleared");
    assert_is_oracles(&stack, &files).await;
    assert_all_told(&stack).await;
}

#[tokio::test]
async fn while_the_table_is_out_of_reach_messages_go_back_to_the_queue() {
    let (stack, files) = (Stack::start().await, day());
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    deliver_until_done(&ingest, &batch(&files[..1])).await;
    stack.dynamo_proxy.set_plan(Plan::new().on(Requests::all(), Fault::InternalError));
    let answer = ingest.invoke(&batch(&files[1..])).await.expect("the function lives");
    assert_eq!(failures(&answer).len(), files.len() - 1);
    stack.dynamo_proxy.set_plan(Plan::new());
    deliver_until_done(&ingest, &batch(&files)).await;
    assert_is_oracles(&stack, &files).await;
    assert_all_told(&stack).await;
}

#[tokio::test]
async fn a_log_file_that_s3_does_not_hand_over_fails_alone() {
    let (stack, files) = (Stack::start().await, day());
    stack.deliver(&files).await;
    stack.s3_proxy.set_plan(Plan::new().on(Requests::all().path("stops-1"), Fault::InternalError));
    let ingest = stack.ingest().await;
    let answer = ingest.invoke(&batch(&files)).await.expect("an answer");
    assert_eq!(failures(&answer), ["m0"]);
    assert_is_oracles(&stack, &files[1..]).await;
    stack.s3_proxy.set_plan(Plan::new());
    deliver_until_done(&ingest, &batch(&files)).await;
    assert_is_oracles(&stack, &files).await;
}

#[tokio::test]
async fn while_sns_refuses_findings_stand_and_alerts_stay_owed() {
    let (stack, files) = (Stack::start().await, files());
    stack.deliver(&files).await;
    stack.sns.fail("Publish", usize::MAX, Failure::Denied);
    let ingest = stack.ingest().await.with_timeout(Duration::from_secs(50));
    assert_eq!(ingest.invoke(&batch(&files)).await, Ok(json!({"batchItemFailures": []})));
    assert_is_oracles(&stack, &files).await;
    assert_eq!(stack.dynamo.index("due").await.len(), 2);
    assert!(stack.told().is_empty());
    stack.sns.fail("Publish", 0, Failure::Denied);
    assert_all_told(&stack).await;
}
