//! Accounts and regions that fall silent against their own habit.

use super::command::qtrail_on;
use super::notify::clock;
use super::*;

const HOUR: i64 = 3600;

/// A deployment that reads log files and looks for silence.
struct Watch {
    stack: Stack,
    ingest: Function,
    notify: Function,
}

impl Watch {
    async fn start() -> Self {
        let stack = Stack::start().await;
        let (ingest, notify) = (stack.ingest().await, stack.notify().await);
        Self { stack, ingest, notify }
    }

    /// Delivers a log file of a region for each of these times, so many hours ago.
    async fn hear(&self, region: &str, hours_ago: &[i64]) {
        for hours in hours_ago {
            let time = Time(clock().0 - hours * HOUR).to_string();
            let (date, minute) = (time[..10].replace('-', "/"), time[..16].replace(['-', ':'], ""));
            let folder = format!("AWSLogs/{ACCOUNT}/CloudTrail/{region}/{date}");
            let key = format!("{folder}/{ACCOUNT}_CloudTrail_{region}_{minute}Z_x.json.gz");
            let file = LogFile { key, bytes: log_file(&[ordinary(1)]) };
            self.stack.deliver(std::slice::from_ref(&file)).await;
            deliver_until_done(&self.ingest, &batch([&file])).await;
        }
    }

    /// How many regions are silent.
    async fn look(&self) -> u64 {
        let answer = self.notify.invoke(&json!({"do": "silence"})).await.expect("notify runs");
        answer["silent"].as_u64().expect("a number")
    }

    /// Sends what is owed; yields how many messages people have had.
    async fn told(&self) -> usize {
        self.notify.invoke(&json!({"do": "due"})).await.expect("notify runs");
        self.stack.told().len()
    }

    async fn says(&self, silent: u64) -> bool {
        self.notify.output().line_with(&format!("\"SilentRegions\":{silent}")).await.is_some()
    }
}

#[tokio::test]
async fn a_silent_region_is_raised_once_and_no_more_when_it_is_heard() {
    let watch = Watch::start().await;
    watch.hear("eu-west-1", &[60, 50, 40, 30]).await;
    watch.hear("us-east-1", &[60, 50, 40, 30, 20, 10, 0]).await;
    for _ in 0..2 {
        assert_eq!((watch.look().await, watch.told().await), (1, 1));
    }
    let [found] = &watch.stack.findings().await[..] else { panic!("one finding") };
    assert_eq!((found.detection_id.as_str(), found.severity), ("account-silent", Severity::High));
    assert_eq!((found.key.as_str(), found.category), (&*format!("{ACCOUNT}/eu-west-1"), Category::Integrity));
    let last = Time((clock().0 - 30 * HOUR) / 60 * 60);
    assert!((last.0 - 60..=last.0).contains(&found.first_seen.0), "the time of the last delivery: {found:?}");
    let said = &watch.stack.sns.published_to(&watch.stack.people)[0];
    assert!(said.subject.as_deref().is_some_and(|s| s.contains("no log file of region eu-west-1 since")), "{said:?}");
    assert!(watch.says(1).await);
    watch.hear("eu-west-1", &[0]).await;
    assert_eq!((watch.look().await, watch.told().await), (0, 1));
    assert!(watch.says(0).await);
    assert_eq!(watch.stack.findings().await.len(), 1);
}

#[tokio::test]
async fn an_account_that_is_silent_everywhere_is_one_finding() {
    let watch = Watch::start().await;
    watch.hear("eu-west-1", &[60, 50, 40, 30]).await;
    watch.hear("us-east-1", &[60, 45, 28]).await;
    assert_eq!((watch.look().await, watch.told().await), (2, 1));
    let [found] = &watch.stack.findings().await[..] else { panic!("one finding") };
    assert_eq!(found.key, ACCOUNT);
    let regions = ["eu-west-1", "us-east-1"].map(|region| format!("{ACCOUNT}/{region}"));
    assert_eq!(found.facts.resources, BTreeSet::from(regions));
}

#[tokio::test]
async fn who_is_new_or_heard_rarely_is_not_missed() {
    let watch = Watch::start().await;
    watch.hear("eu-west-1", &[40, 30]).await;
    watch.hear("us-east-1", &[200, 100]).await;
    assert_eq!((watch.look().await, watch.told().await), (0, 0));
}

#[tokio::test]
async fn a_name_that_is_dated_ahead_does_not_keep_a_region_from_falling_silent() {
    let watch = Watch::start().await;
    watch.hear("eu-west-1", &[60, 50, -500]).await;
    let heard = watch.stack.dynamo.items_under("ACCOUNTS").await;
    let last = heard[0]["last_heard"].as_str().and_then(Time::parse).expect("a time");
    assert!(last <= clock(), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_that_somebody_closed_as_expected_keeps_no_alarm_on() {
    let watch = Watch::start().await;
    watch.hear("eu-west-1", &[60, 50, 40, 30]).await;
    assert_eq!(watch.look().await, 1);
    let id = watch.stack.findings().await[0].finding_id.clone();
    let closed = qtrail_on(&watch.stack, &["findings", "close", &id, "--as", "expected", "--note", "region given up"]);
    assert!(closed.status.success(), "{closed:?}");
    assert_eq!(watch.look().await, 0);
    assert_eq!(watch.stack.entries().await[0].status, Status::Closed, "and it stays closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_who_is_silent_and_whether_the_canary_came_through() {
    let watch = Watch::start().await;
    watch.hear("eu-west-1", &[60, 50, 40, 30]).await;
    watch.hear("us-east-1", &[60, 50, 40, 30, 20, 10, 0]).await;
    let lines = || -> Vec<String> {
        let output = qtrail_on(&watch.stack, &["status"]);
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    };
    let line = |word: &str| lines().into_iter().find(|line| line[5..].starts_with(word)).expect("a line");
    let accounts = line("accounts");
    assert!(accounts.starts_with("TODO") && accounts.contains(&format!("{ACCOUNT}/eu-west-1")), "{accounts}");
    assert!(!accounts.contains("us-east-1"), "{accounts}");
    let canary = line("canary");
    assert!(canary.starts_with("TODO") && canary.contains("none has come through"), "{canary}");
    let sent = watch.notify.invoke(&json!({"do": "canary"})).await.expect("notify runs");
    let key = sent["sent"].as_str().expect("a key");
    deliver_until_done(&watch.ingest, &batch_of(QUEUE, &[notification(DATA, key).to_string()])).await;
    watch.hear("eu-west-1", &[0]).await;
    assert!(line("canary").starts_with("ok   canary"), "{}", line("canary"));
    assert_eq!(line("accounts"), "ok   accounts     1 heard");
}
