//! What is still owed, the daily summary, and the pulse.
//!
//! Invoked with `{"do":"due"}` every minute, `{"do":"summary"}` once a day, and CloudFormation's own event after a
//! deployment.

use std::fmt::Write;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use trail::alert::{Entry, Message, Status, finding_line, is_immediate, summary_line};
use trail::detection::{Category, Severity};
use trail::finding::Finding;
use trail::settings::{Alerts as Mode, Settings};
use trail::time::Time;

use crate::alerts::Alerts;
use crate::deployment::{Deployment, now};
use crate::error::Error;
use crate::settings::Engines;
use crate::state::{DayCounts, Due, Query};

/// How far back the daily summary looks for findings that are still open, in days.
const OPEN_DAYS: i64 = 90;

/// So many stale alerts go out one by one: a publisher died. More of them are what a storm has left over.
const SINGLY: usize = 5;

/// The handler behind the `notify` function.
#[derive(Debug)]
pub struct Notify {
    deployment: Deployment,
    engines: Engines,
}

impl Notify {
    /// A handler for this deployment.
    pub fn new(deployment: Deployment) -> Self {
        Self { deployment, engines: Engines::default() }
    }

    /// Does what the invocation asks for.
    pub async fn handle(&self, invocation: Value) -> Result<Value, Error> {
        let now = now();
        let engine = self.engines.current(&self.deployment, now).await?;
        let settings = engine.settings();
        match invocation["do"].as_str() {
            Some("due") => self.due(settings, now).await,
            Some("summary") => self.summary(settings, now).await,
            None if invocation["source"] == "aws.cloudformation" => self.deployed(&invocation, now).await,
            _ => Err(Error::Configuration(
                "the invocation is none of: {\"do\":\"due\"}, {\"do\":\"summary\"}, a CloudFormation event".to_owned(),
            )),
        }
    }

    /// Each deployment owes one test alert, which goes out once somebody can hear it.
    async fn deployed(&self, event: &Value, now: Time) -> Result<Value, Error> {
        let at = event["time"].as_str().map_or_else(|| now.to_string(), str::to_owned);
        self.deployment.state.keep_parts(&self.deployment.parts).await?;
        self.deployment.state.owe_test(&at).await?;
        Ok(json!({"owed": "test alert"}))
    }

    /// Publishes what a publisher did not get to, and says how much is owed and who hears.
    async fn due(&self, settings: &Settings, now: Time) -> Result<Value, Error> {
        let Some(alerts) = &self.deployment.alerts else { return Ok(json!({})) };
        let owed = self.deployment.state.due().await?;
        let subscribers = alerts.confirmed_subscribers(now).await?;
        self.deployment.metrics.emit(&[
            ("AlertsDue", owed.len() as u64),
            ("ConfirmedSubscribers", u64::try_from(subscribers).unwrap_or_default()),
        ]);
        let entries = self.stale(&owed, now).await;
        let sent = self.publish_all(alerts, &entries, (settings, now)).await;
        if subscribers > 0 {
            self.send_tests(alerts, &owed, now).await?;
        }
        self.deployment.metrics.emit(&[("AlertsSent", sent)]);
        Ok(json!({"owed": owed.len(), "sent": sent}))
    }

    /// Owed findings whose publisher has had its time.
    async fn stale(&self, owed: &[Due], now: Time) -> Vec<Entry> {
        let findings = owed.iter().filter_map(|due| match due {
            Due::Finding(id) => Some(id),
            Due::Test(_) => None,
        });
        let entries = stream::iter(findings).map(|id| self.deployment.state.entry(id)).buffer_unordered(16).filter_map(
            |entry| async {
                entry.unwrap_or_else(|error| {
                    tracing::error!(%error, "an owed finding cannot be read");
                    None
                })
            },
        );
        let old_enough = |entry: &Entry| {
            let since = entry.due_since.unwrap_or_default();
            entry.due.is_some() && now.0 - since.0 >= self.deployment.publisher_timeout
        };
        entries.filter(|entry| futures::future::ready(old_enough(entry))).collect().await
    }

    /// One by one, or as one summary where there are too many.
    async fn publish_all(&self, alerts: &Alerts, entries: &[Entry], (settings, now): (&Settings, Time)) -> u64 {
        let state = &self.deployment.state;
        if entries.len() > SINGLY {
            if let Err(error) = alerts.tell_storm(state, entries, (settings, now)).await {
                tracing::error!(%error, "a summary stays owed");
                return 0;
            }
            return 1;
        }
        let mut sent = 0;
        for entry in entries {
            match alerts.tell(state, entry, settings, now).await {
                Ok(told) => sent += u64::from(told == crate::alerts::Told::Sent),
                Err(error) => tracing::error!(%error, finding = entry.finding.finding_id, "an alert stays owed"),
            }
        }
        sent
    }

    async fn send_tests(&self, alerts: &Alerts, owed: &[Due], now: Time) -> Result<(), Error> {
        for due in owed {
            if let Due::Test(pk) = due {
                alerts.publish(&test_message(&self.deployment.own.stack, now)).await?;
                self.deployment.state.test_sent(pk).await?;
            }
        }
        Ok(())
    }

    /// Yesterday in one message.
    async fn summary(&self, settings: &Settings, now: Time) -> Result<Value, Error> {
        let yesterday = Time(now.floor(86_400).0 - 86_400);
        let query = Query { days: OPEN_DAYS, ..Query::default() };
        let entries = self.deployment.state.findings(&query, now).await?;
        let counts = self.counts(&yesterday.date()).await?;
        let silent = self.silent(yesterday).await?;
        let message = Summary { day: yesterday, entries, counts, silent, settings }.message();
        if let Some(alerts) = &self.deployment.alerts {
            alerts.publish(&message).await?;
        }
        Ok(json!({"subject": message.subject}))
    }

    async fn counts(&self, date: &str) -> Result<DayCounts, Error> {
        let mut all = DayCounts::default();
        for heard in self.deployment.state.accounts_heard().await? {
            let day = self.deployment.state.day_counts(date, &heard.account).await?;
            all.files += day.files;
            all.records += day.records;
            all.evaluated += day.evaluated;
            all.quarantined += day.quarantined;
            all.other_kinds += day.other_kinds;
        }
        Ok(all)
    }

    /// Accounts that were heard once, and not since a day.
    async fn silent(&self, since: Time) -> Result<Vec<String>, Error> {
        let heard = self.deployment.state.accounts_heard().await?;
        let silent = heard.into_iter().filter(|heard| heard.account != "-" && heard.last_heard < since);
        Ok(silent.map(|heard| heard.account).collect())
    }
}

/// A day in one message.
struct Summary<'s> {
    day: Time,
    entries: Vec<Entry>,
    counts: DayCounts,
    silent: Vec<String>,
    settings: &'s Settings,
}

impl Summary<'_> {
    fn message(&self) -> Message {
        let open: Vec<&Finding> = self.open().filter(|finding| finding.severity == Severity::Critical).collect();
        let review: Vec<&Entry> = self.review().collect();
        let subject =
            format!("QuickInfra Trail, {}: {} open CRITICAL, {} for review", self.day.date(), open.len(), review.len());
        let text = self.text(&open, &review);
        let chat = json!({
            "version": "1.0", "source": "custom",
            "content": {"textType": "client-markdown", "title": subject,
                "description": format!("{} open CRITICAL, {} for review. The email says which.", open.len(), review.len())},
            "metadata": {"threadId": "daily-summary", "eventType": "summary", "summary": subject},
        });
        let attribute = |name, value: &str| (name, value.to_owned());
        Message {
            json: json!({"kind": "summary", "day": self.day.date(), "records": self.counts.records,
                "files": self.counts.files, "quarantined": self.counts.quarantined, "open_critical": open.len(),
                "for_review": review.len(), "silent_accounts": self.silent}),
            subject,
            text,
            chat,
            attributes: vec![
                attribute("severity", "INFORMATIONAL"),
                attribute("category", "other"),
                attribute("account", "*"),
                attribute("environment", "unknown"),
                attribute("detection", "summary"),
                attribute("kind", "summary"),
                attribute("state", "new"),
            ],
        }
    }

    fn open(&self) -> impl Iterator<Item = &Finding> {
        self.entries.iter().filter(|entry| entry.status != Status::Closed).map(|entry| &entry.finding)
    }

    /// What waits for somebody to look: everything new that nobody was told of at once, and every IAM change.
    fn review(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| {
            entry.status == Status::New
                && entry.finding.severity > Severity::Informational
                && (entry.finding.category == Category::IamChange || !is_immediate(&entry.finding, self.settings))
        })
    }

    fn text(&self, open: &[&Finding], review: &[&Entry]) -> String {
        let DayCounts { files, records, quarantined, .. } = self.counts;
        let mut text = format!("{records} records in {files} files, {quarantined} quarantined; ");
        let _ = match self.silent.as_slice() {
            [] => writeln!(text, "every account was heard."),
            silent => writeln!(text, "not heard for a day: {}.", silent.join(", ")),
        };
        section(&mut text, "OPEN", open.iter().copied(), self.settings);
        let _ = writeln!(
            text,
            "FOR REVIEW  {} ({}): qtrail findings --status new",
            review.len(),
            summary_line(review.iter().map(|entry| &entry.finding))
        );
        section(&mut text, "", review.iter().map(|entry| &entry.finding), self.settings);
        let expected = self.entries.iter().filter(|e| !e.finding.facts.lowered_by.is_empty()).count();
        let rules = self.settings.expected.len();
        let _ = writeln!(text, "EXPECTED    {expected} findings lowered by your settings ({rules} entries)");
        if self.settings.alerts == Mode::Observe {
            let since = self.day;
            let would = self
                .entries
                .iter()
                .map(|entry| &entry.finding)
                .filter(|finding| finding.last_seen >= since && is_immediate(finding, self.settings));
            section(&mut text, "WOULD HAVE SENT (alerts = \"observe\")", would, self.settings);
        }
        text
    }
}

/// Some findings by line, and how many more there are.
fn section<'f>(text: &mut String, head: &str, findings: impl Iterator<Item = &'f Finding>, settings: &Settings) {
    const LINES: usize = 40;
    let findings: Vec<&Finding> = findings.collect();
    if !head.is_empty() {
        let _ = writeln!(text, "{head}  {}", findings.len());
    }
    for finding in findings.iter().take(LINES) {
        let _ = writeln!(text, "  {} {}", finding.last_seen.date(), finding_line(finding, settings));
    }
    if findings.len() > LINES {
        let _ = writeln!(text, "  ... {} more", findings.len() - LINES);
    }
}

/// What a deployment sends, so that somebody sees an alert before there is a reason for one.
fn test_message(stack: &str, now: Time) -> Message {
    let subject = format!("[TEST] QuickInfra Trail {stack}: alerts reach you");
    let subject: String = subject.chars().filter(|c| *c == ' ' || c.is_ascii_graphic()).take(99).collect();
    let text = format!(
        "QuickInfra Trail was deployed ({stack}, {now}). This is a test: alerts will come this way.\n\n\
         NEXT   Make a first real one: aws cloudtrail stop-logging --name qtrail-test (see the README)\n"
    );
    let attribute = |name, value: &str| (name, value.to_owned());
    Message {
        json: json!({"kind": "test", "stack": stack}),
        chat: json!({
            "version": "1.0", "source": "custom",
            "content": {"textType": "client-markdown", "title": subject, "description": "Alerts will come this way."},
            "metadata": {"threadId": "test", "eventType": "test", "summary": subject},
        }),
        subject,
        text,
        attributes: vec![
            attribute("severity", "CRITICAL"),
            attribute("category", "other"),
            attribute("account", "*"),
            attribute("environment", "unknown"),
            attribute("detection", "test"),
            attribute("kind", "test"),
            attribute("state", "new"),
        ],
    }
}
