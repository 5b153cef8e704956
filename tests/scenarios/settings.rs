//! `config.toml`: what it says holds, and a bad one never replaces a good one.

use super::*;
use crate::support::proxy::{Fault, Plan, Requests};

const GOOD: &str = "[accounts.111122223333]\nname = \"prod-payments\"\nenvironment = \"production\"";

/// Reads a file with a function that has just started, and yields the subject of the last alert.
async fn subject_after_cold_start(stack: &Stack, number: usize) -> String {
    let ingest = stack.ingest().await;
    read(stack, &ingest, number).await;
    let messages = stack.sns.published_to(&stack.people);
    messages.last().and_then(|message| message.subject.clone()).expect("an alert with a subject")
}

async fn read(stack: &Stack, ingest: &Function, number: usize) {
    let trail = format!("trail-{number}");
    let file = LogFile::of(&trail, &[stop_trail(number, &trail, &json!({}))]);
    stack.deliver(std::slice::from_ref(&file)).await;
    deliver_until_done(ingest, &batch([&file])).await;
}

#[tokio::test]
async fn what_the_settings_say_holds() {
    let stack = Stack::start().await;
    let expected = "\n[[expected]]\ndetection = \"ec2-security-group-opened\"\nresource = \"sg-public\"\n\
        reason = \"the web site\"\nowner = \"web\"\nexpires = \"2025-11-20T12:00:00Z\"";
    let config = format!("{GOOD}\n{expected}");
    stack.configure(&config).await;
    let files =
        [LogFile::of("a", &[open_port(1, 22, "sg-public"), open_port(2, 22, "sg-other"), refused_stop(3, "t")])];
    stack.deliver(&files).await;
    deliver_until_done(&stack.ingest().await, &batch(&files)).await;
    let found = stack.findings().await;
    assert_eq!(found, Oracle::under(&config).findings(&files));
    let lowered: Vec<_> = found.iter().filter(|finding| !finding.facts.lowered_by.is_empty()).collect();
    assert_eq!(lowered.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Informational]);
    let told = stack.sns.published_to(&stack.people);
    assert_eq!(told.len(), 2, "what is expected is stored and not told");
    assert!(told.iter().all(|message| message.attributes["environment"] == "production"));
}

#[tokio::test]
async fn bad_settings_leave_the_last_good_ones_in_force_even_after_a_cold_start() {
    let stack = Stack::start().await;
    stack.configure(GOOD).await;
    assert!(subject_after_cold_start(&stack, 1).await.contains("prod-payments"));
    stack.configure("[acounts.111122223333]\nname = \"x\"").await;
    let ingest = stack.ingest().await;
    read(&stack, &ingest, 2).await;
    let told = stack.sns.published_to(&stack.people);
    let subject = told.last().and_then(|message| message.subject.clone()).expect("a subject");
    assert!(subject.contains("prod-payments") && subject.contains("trail-2"), "{subject}");
    assert!(ingest.output().line_with(r#""SettingsErrors":1"#).await.is_some(), "a metric says so");
    assert!(ingest.output().line_with("did you mean `accounts`?").await.is_some(), "the log says why");
    stack.configure("").await;
    assert!(subject_after_cold_start(&stack, 3).await.contains(ACCOUNT), "good ones replace them");
}

#[tokio::test]
async fn settings_that_are_gone_stay_in_force() {
    let stack = Stack::start().await;
    stack.configure(GOOD).await;
    assert!(subject_after_cold_start(&stack, 1).await.contains("prod-payments"));
    stack.s3.delete(DATA, "config.toml").await;
    let ingest = stack.ingest().await;
    read(&stack, &ingest, 2).await;
    let told = stack.sns.published_to(&stack.people);
    assert!(told.last().and_then(|message| message.subject.clone()).is_some_and(|text| text.contains("prod-payments")));
    assert!(ingest.output().line_with(r#""SettingsErrors":1"#).await.is_some());
}

#[tokio::test]
async fn kept_settings_that_are_no_longer_understood_do_not_stop_the_monitor() {
    let stack = Stack::start().await;
    let state = cloud::state::State::new(stack.dynamo.client().clone(), TABLE);
    state.keep_settings("from_another_version = true").await.expect("written");
    stack.configure("alerts = \"sometimes\"").await;
    assert!(subject_after_cold_start(&stack, 1).await.contains(ACCOUNT), "under the defaults");
}

#[tokio::test]
async fn settings_that_were_never_good_leave_the_defaults_in_force() {
    let stack = Stack::start().await;
    stack.configure("alerts = \"sometimes\"").await;
    assert!(subject_after_cold_start(&stack, 1).await.contains("trail-1"));
}

#[tokio::test]
async fn settings_out_of_reach_do_not_stop_the_monitor() {
    let stack = Stack::start().await;
    stack.configure(GOOD).await;
    subject_after_cold_start(&stack, 1).await;
    stack.s3_proxy.set_plan(Plan::new().on(Requests::all().path("config.toml"), Fault::InternalError));
    let subject = subject_after_cold_start(&stack, 2).await;
    assert!(subject.contains("prod-payments") && subject.contains("trail-2"), "{subject}");
}
