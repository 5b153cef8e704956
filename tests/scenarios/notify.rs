//! What is still owed, threads, storms, the daily summary, the test alert.

use std::time::SystemTime;

use super::command::qtrail_on;
use super::*;
use crate::support::proxy::{Fault, Plan, Requests};
use crate::support::sns::Published;

/// A deployment with a function of each kind.
struct Running {
    stack: Stack,
    ingest: Function,
    notify: Function,
}

impl Running {
    async fn start() -> Self {
        Self::under("").await
    }

    /// Under a `config.toml`.
    async fn under(config: &str) -> Self {
        let stack = Stack::start().await;
        stack.configure(config).await;
        let (ingest, notify) = (stack.ingest().await, stack.notify().await);
        Self { stack, ingest, notify }
    }

    /// Delivers one log file.
    async fn read(&self, name: &str, records: &[Value]) {
        let file = LogFile::of(name, records);
        self.stack.deliver(std::slice::from_ref(&file)).await;
        deliver_until_done(&self.ingest, &batch([&file])).await;
    }

    async fn due(&self) -> Value {
        self.notify.invoke(&json!({"do": "due"})).await.expect("notify runs")
    }

    async fn owed(&self) -> usize {
        self.stack.dynamo.index("due").await.len()
    }

    /// The messages to people.
    fn messages(&self) -> Vec<Published> {
        self.stack.sns.published_to(&self.stack.people)
    }
}

/// A stop of one trail, refused or not, so many seconds later.
fn stop_after(seconds: i64, number: usize, refused: bool) -> Value {
    let error = refused.then_some("AccessDenied");
    stop_trail(number, "org-trail", &json!({"eventTime": after(seconds), "errorCode": error}))
}

#[tokio::test]
async fn what_a_killed_publisher_left_goes_out_after_its_time() {
    let running = Running::start().await;
    let stack = &running.stack;
    stack
        .sns_proxy
        .set_plan(Plan::new().on(Requests::nth(1).operation("Publish"), Fault::kill_before(&running.ingest)));
    let file = LogFile::of("stop", &[stop_after(0, 1, true)]);
    stack.deliver(std::slice::from_ref(&file)).await;
    assert!(running.ingest.invoke(&batch([&file])).await.is_err(), "killed while publishing");
    assert_eq!((running.owed().await, running.messages().len()), (1, 0));
    let patient = stack.environment().set("QTRAIL_PUBLISHER_TIMEOUT", "180");
    let patient = Function::start(&binary("notify"), &patient).await;
    let answer = patient.invoke(&json!({"do": "due"})).await.expect("notify runs");
    assert_eq!(answer, json!({"owed": 1, "sent": 0}), "its publisher may still be at it");
    assert_eq!(running.due().await, json!({"owed": 1, "sent": 1}));
    assert_eq!((running.owed().await, stack.told().len()), (0, 1));
    assert_eq!(running.due().await, json!({"owed": 0, "sent": 0}), "once is enough");
}

#[tokio::test]
async fn more_than_thirty_at_once_go_out_as_one_summary() {
    let running = Running::start().await;
    let stack = &running.stack;
    stack.sns.confirm(&stack.people, 0);
    let stops: Vec<Value> = (0..35).map(|number| stop_trail(number, &format!("trail-{number}"), &json!({}))).collect();
    running.read("storm", &stops).await;
    assert_eq!((running.owed().await, running.messages().len()), (35, 0));
    stack.sns.confirm(&stack.people, 1);
    running.due().await;
    let messages = running.messages();
    let [message] = messages.as_slice() else { panic!("one message, not {}", messages.len()) };
    assert_eq!(message.attributes["kind"], "storm");
    assert_eq!(message.subject.as_deref(), Some("[CRITICAL] 35 findings at once: a summary instead of single alerts"));
    let email = message.text_for("email");
    assert!((0..35).all(|number| email.contains(&format!("trail trail-{number},"))), "{email}");
    assert_eq!(running.owed().await, 0, "all of them are told");
    let history = stack.history().await;
    assert_eq!(history.iter().filter(|line| line["what"] == "alert sent").count(), 35);
}

#[tokio::test]
async fn of_a_storm_within_a_minute_thirty_go_out_one_by_one_and_the_rest_as_one() {
    let running = Running::start().await;
    let stops: Vec<Value> = (0..40).map(|number| stop_trail(number, &format!("trail-{number}"), &json!({}))).collect();
    running.read("storm", &stops).await;
    assert_eq!((running.messages().len(), running.owed().await), (30, 10));
    next_minute(&running.stack).await;
    running.due().await;
    assert_eq!((running.messages().len(), running.owed().await), (31, 0));
    let told: BTreeSet<String> = running.stack.told().iter().flat_map(finding_ids).collect();
    assert_eq!(told, running.stack.findings().await.into_iter().map(|finding| finding.finding_id).collect());
}

#[tokio::test]
async fn while_nobody_has_confirmed_alerts_stay_owed_and_a_metric_says_so() {
    let running = Running::start().await;
    let stack = &running.stack;
    stack.sns.confirm(&stack.people, 0);
    running.read("stop", &[stop_after(0, 1, false)]).await;
    assert_eq!(running.due().await, json!({"owed": 1, "sent": 0}));
    assert_eq!((running.owed().await, running.messages().len()), (1, 0), "SNS would drop them");
    assert!(running.notify.output().line_with(r#""ConfirmedSubscribers":0"#).await.is_some());
    assert!(running.notify.output().line_with(r#""AlertsDue":1"#).await.is_some());
    stack.sns.confirm(&stack.people, 1);
    assert_eq!(running.due().await, json!({"owed": 1, "sent": 1}));
    assert_eq!((running.owed().await, running.messages().len()), (0, 1));
    assert!(running.notify.output().line_with(r#""ConfirmedSubscribers":1"#).await.is_some());
}

#[tokio::test]
async fn a_new_window_of_a_thread_that_was_told_joins_it_in_silence() {
    let running = Running::start().await;
    running.read("first", &[stop_after(0, 1, true)]).await;
    running.read("second", &[stop_after(2 * 3600, 2, true)]).await;
    assert_eq!(running.stack.findings().await.len(), 2, "two windows");
    assert_eq!((running.messages().len(), running.owed().await), (1, 0));
    running.due().await;
    assert_eq!(running.messages().len(), 1);
}

#[tokio::test]
async fn a_thread_is_told_again_when_denied_turns_into_success() {
    let running = Running::start().await;
    running.read("first", &[stop_after(0, 1, true)]).await;
    running.read("second", &[stop_after(2 * 3600, 2, false)]).await;
    let states: Vec<String> = running.messages().iter().map(|message| message.attributes["state"].clone()).collect();
    assert_eq!(states, ["denied", "success"]);
    running.read("third", &[stop_after(4 * 3600, 3, true)]).await;
    assert_eq!(running.messages().len(), 2, "less is no news");
}

#[tokio::test]
async fn a_finding_and_a_thread_are_told_again_when_they_get_worse() {
    let running = Running::start().await;
    let at = |seconds: i64, mut record: Value| {
        record["eventTime"] = json!(after(seconds));
        record
    };
    running.read("web", &[open_port(1, 443, "sg-1")]).await;
    running.read("ssh", &[at(60, open_port(2, 22, "sg-1"))]).await;
    running.read("other-web", &[open_port(3, 443, "sg-2")]).await;
    running.read("other-ssh", &[at(2 * 3600, open_port(4, 22, "sg-2"))]).await;
    let told = running.messages();
    let severities: Vec<&str> = told.iter().map(|message| message.attributes["severity"].as_str()).collect();
    assert_eq!(severities, ["MEDIUM", "CRITICAL", "MEDIUM", "CRITICAL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_closed_opens_again_and_is_told_again_when_it_happens_again() {
    for seconds in [60, 2 * 3600] {
        let running = Running::start().await;
        running.read("first", &[stop_after(0, 1, true)]).await;
        let id = running.stack.findings().await[0].finding_id.clone();
        let closed = qtrail_on(&running.stack, &["findings", "close", &id, "--as", "expected", "--note", "CHG-7"]);
        assert!(closed.status.success(), "{closed:?}");
        assert_eq!(running.stack.entries().await[0].status, Status::Closed);
        running.read("second", &[stop_after(seconds, 2, true)]).await;
        assert_eq!((running.messages().len(), running.owed().await), (2, 0), "{seconds} s later");
        let entries = running.stack.entries().await;
        let same_window = entries.len() == 1;
        assert_eq!(entries[0].status, if same_window { Status::New } else { Status::Closed });
        let history = running.stack.history().await;
        let what: BTreeSet<&str> = history.iter().filter_map(|line| line["what"].as_str()).collect();
        let expected: &[&str] = &["alert sent", "closed as expected", "reopened"];
        assert_eq!(what, expected.iter().copied().filter(|line| same_window || *line != "reopened").collect());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_looks_at_stays_silent_unless_it_gets_worse() {
    let running = Running::start().await;
    running.read("first", &[stop_after(0, 1, true)]).await;
    let id = running.stack.findings().await[0].finding_id.clone();
    let acked = qtrail_on(&running.stack, &["findings", "ack", &id, "--note", "on it"]);
    assert!(acked.status.success(), "{acked:?}");
    running.read("second", &[stop_after(60, 2, true)]).await;
    assert_eq!((running.messages().len(), running.stack.entries().await[0].status), (1, Status::Acknowledged));
    running.read("third", &[stop_after(120, 3, false)]).await;
    assert_eq!(running.messages().len(), 2);
}

#[tokio::test]
async fn under_observation_nothing_goes_out_and_the_summary_says_what_would_have() {
    let running = Running::under("alerts = \"observe\"").await;
    running.read("stop", &[stop_trail(1, "org-trail", &json!({"eventTime": yesterday(3600)}))]).await;
    running.due().await;
    assert_eq!((running.messages().len(), running.owed().await), (0, 0));
    assert!(!running.stack.findings().await.is_empty(), "found all the same");
    running.notify.invoke(&json!({"do": "summary"})).await.expect("notify runs");
    let email = running.messages()[0].text_for("email");
    let (_, would) = email.split_once("WOULD HAVE SENT").expect("a section");
    assert!(would.contains("alice stopped trail org-trail"), "{email}");
}

#[tokio::test]
async fn the_daily_summary_says_what_is_open_what_waits_and_what_was_read() {
    let running = Running::start().await;
    let day = &yesterday(0)[..10];
    let stop = stop_trail(1, "org-trail", &json!({"eventTime": yesterday(3600)}));
    let user = json!({"eventTime": yesterday(7200), "requestParameters": {"userName": "mallory"}});
    let user = record(2, "iam.amazonaws.com", "CreateUser", &user);
    let (date, compact) = (day.replace('-', "/"), day.replace('-', ""));
    let mut file = LogFile::of("day", &[stop, user, ordinary(3)]);
    file.key = file.key.replace("2025/11/20", &date).replace("20251120", &compact);
    running.stack.deliver(std::slice::from_ref(&file)).await;
    deliver_until_done(&running.ingest, &batch([&file])).await;
    let before = running.messages().len();
    running.notify.invoke(&json!({"do": "summary"})).await.expect("notify runs");
    let messages = running.messages();
    assert_eq!(messages.len(), before + 1);
    let summary = messages.last().expect("a summary");
    let subject = summary.subject.as_deref().expect("a subject");
    assert!(subject.starts_with(&format!("QuickInfra Trail, {day}: 1 open CRITICAL, ")), "{subject}");
    assert_eq!(summary.attributes["kind"], "summary");
    let email = summary.text_for("email");
    assert!(email.starts_with("3 records in 1 files, 0 quarantined; every account was heard."), "{email}");
    let (open, review) = email.split_once("FOR REVIEW").expect("a review section");
    assert!(open.contains("alice stopped trail org-trail") && open.contains("No digest was verified yet."), "{email}");
    assert!(
        subject.ends_with(" for review, 0 trail settings fail") && review.contains("TRAILS  0"),
        "{subject}: {email}"
    );
    assert!(review.contains("mallory"), "every IAM change waits for review: {email}");
}

#[tokio::test]
async fn a_summary_that_nobody_hears_stays_owed() {
    let running = Running::start().await;
    let stack = &running.stack;
    stack.sns.confirm(&stack.people, 0);
    running.notify.invoke(&json!({"do": "summary"})).await.expect("notify runs");
    assert_eq!((running.owed().await, running.messages().len()), (1, 0));
    stack.sns.confirm(&stack.people, 1);
    running.due().await;
    assert_eq!((running.owed().await, running.messages().len()), (0, 1));
    assert_eq!(running.messages()[0].attributes["kind"], "summary");
}

#[tokio::test]
async fn each_deployment_sends_one_test_alert_once_somebody_hears_it() {
    let running = Running::start().await;
    let stack = &running.stack;
    stack.sns.confirm(&stack.people, 0);
    let deployed = json!({"source": "aws.cloudformation", "detail-type": "CloudFormation Stack Status Change",
        "time": "2025-11-20T03:00:00Z", "detail": {"status-details": {"status": "CREATE_COMPLETE"}}});
    running.notify.invoke(&deployed).await.expect("notify runs");
    running.notify.invoke(&deployed).await.expect("notify runs, delivered twice");
    running.due().await;
    assert!(stack.sns.published().is_empty(), "nobody would hear it");
    stack.sns.confirm(&stack.people, 1);
    running.due().await;
    running.due().await;
    for topic in [&stack.people, &stack.chat] {
        let messages = stack.sns.published_to(topic);
        assert_eq!(messages.len(), 1, "{topic}");
        assert_eq!(messages[0].attributes["kind"], "test");
    }
    let subject = running.messages()[0].subject.clone();
    assert_eq!(subject.as_deref(), Some("[TEST] QuickInfra Trail trail: alerts reach you"));
}

#[tokio::test]
async fn an_invocation_that_asks_for_nothing_known_is_an_error_that_says_what_is() {
    let running = Running::start().await;
    let refused = running.notify.invoke(&json!({"do": "dance"})).await.expect_err("no such thing");
    assert!(format!("{refused:?}").contains("summary"), "{refused:?}");
}

/// The findings that a message is about.
fn finding_ids(message: &Value) -> Vec<String> {
    let many = message["finding_ids"].as_array().into_iter().flatten();
    many.chain([&message["finding_id"]]).filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

/// Yesterday, so many seconds after midnight UTC.
fn yesterday(seconds: i64) -> String {
    Time(clock().floor(86_400).0 - 86_400 + seconds).to_string()
}

/// What the functions take for now.
pub(super) fn clock() -> Time {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    Time(i64::try_from(now).expect("a clock"))
}
