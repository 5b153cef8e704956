//! What is still owed, the daily summary, the pulse.
//!
//! Invoked with `{"do":"due"}` every minute, `{"do":"canary"}` and `{"do":"silence"}` every hour, `{"do":"summary"}`
//! once a day, and CloudFormation's own event after a deployment.

use std::fmt::Write;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use trail::alert::{Entry, Message, Status, finding_line, is_immediate, summary_line};
use trail::canary::Canary;
use trail::detection::{Category, Severity};
use trail::finding::Finding;
use trail::settings::{Alerts as Mode, Settings};
use trail::silence::silences;
use trail::time::Time;

use crate::alerts::Alerts;
use crate::deployment::{Deployment, now};
use crate::error::Error;
use crate::settings::Engines;
use crate::state::{DayCounts, Due, Notice, Query};

/// How far back the daily summary looks for findings that are still open, in days.
const OPEN_DAYS: i64 = 90;

/// A day, in seconds.
const DAY_SECONDS: i64 = 86_400;

/// So many stale alerts go out one by one: a publisher died. More of them are what a storm has left over.
const SINGLY: usize = 5;

/// So many owed findings are looked at in one go; the rest a minute later.
const AT_ONCE: usize = 5_000;

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
            Some("canary") => self.canary(now).await,
            Some("silence") => self.silence(settings, now).await,
            None if invocation["source"] == "aws.cloudformation" => self.deployed(&invocation, (settings, now)).await,
            _ => Err(Error::Configuration(
                "the invocation is neither CloudFormation's nor {\"do\": …} with one of due, summary, canary, silence"
                    .to_owned(),
            )),
        }
    }

    /// Each deployment owes one test alert, which goes out once somebody can hear it. What is done hourly is done now:
    /// the alarms on its absence need not wait for the hour.
    async fn deployed(&self, event: &Value, (settings, now): (&Settings, Time)) -> Result<Value, Error> {
        let at = event["time"].as_str().map_or_else(|| now.to_string(), str::to_owned);
        self.deployment.state.keep_parts(&self.deployment.parts).await?;
        self.deployment.state.owe(&Notice::Test(at)).await?;
        self.canary(now).await?;
        self.silence(settings, now).await?;
        Ok(json!({"owed": "test alert"}))
    }

    /// Sends a canary the way of a log file.
    async fn canary(&self, now: Time) -> Result<Value, Error> {
        let canary = Canary { own: &self.deployment.own, sent: now };
        let key = canary.key();
        let bytes = canary.log_file().map_err(|error| Error::Configuration(format!("{key}: {error}")))?;
        self.deployment.data.put(&self.deployment.data.join(&[&key]), bytes).await?;
        Ok(json!({"sent": key}))
    }

    /// Raises a finding for each silence, and says how many regions are silent. Their alerts are owed, and go out as
    /// all that is owed does: singly, or as one message where a whole organization is silent.
    async fn silence(&self, settings: &Settings, now: Time) -> Result<Value, Error> {
        let state = &self.deployment.state;
        let silences = silences(&state.heard().await?, now);
        let commits = stream::iter(silences).map(|silence| async move {
            let committed = state.commit(&Finding::of(&silence.found), settings, now).await?;
            // What somebody has closed is given up, and must not keep the alarm on for ever.
            Ok::<_, Error>(if committed.entry.status == Status::Closed { 0 } else { silence.regions })
        });
        // All of them are tried. One that fails leaves the metric out, and the alarm on its absence speaks.
        let silent: Vec<_> = commits.buffer_unordered(16).collect().await;
        let silent: u64 = silent.into_iter().sum::<Result<_, _>>()?;
        self.deployment.metrics.emit(&[("SilentRegions", silent)]);
        Ok(json!({"silent": silent}))
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
            self.send_notices(alerts, &owed, (settings, now)).await?;
        }
        self.deployment.metrics.emit(&[("AlertsSent", sent)]);
        Ok(json!({"owed": owed.len(), "sent": sent}))
    }

    /// Owed findings whose publisher has had its time.
    async fn stale(&self, owed: &[Due], now: Time) -> Vec<Entry> {
        let findings = owed.iter().filter_map(|due| match due {
            Due::Finding(id) => Some(id),
            Due::Notice(_) => None,
        });
        let findings = findings.take(AT_ONCE);
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

    async fn send_notices(&self, alerts: &Alerts, owed: &[Due], settings: (&Settings, Time)) -> Result<(), Error> {
        for due in owed {
            let Due::Notice(notice) = due else { continue };
            self.send_notice(alerts, notice, settings).await?;
        }
        Ok(())
    }

    async fn send_notice(&self, alerts: &Alerts, notice: &Notice, settings: (&Settings, Time)) -> Result<(), Error> {
        let message = match notice {
            Notice::Test(_) => test_message(&self.deployment.own.stack, settings.1),
            Notice::Summary(date) => self.summary_of(date, settings).await?,
            Notice::Review(id) => self.reminder(id).await?,
        };
        alerts.publish(&message).await?;
        self.deployment.state.notice_sent(notice).await
    }

    /// That reviewers are to decide, once.
    async fn reminder(&self, id: &str) -> Result<Message, Error> {
        let meta = self.deployment.state.review(id).await?;
        let due = meta.map(|meta| meta.due.date()).unwrap_or_default();
        Ok(reminder_message(&self.deployment.own.stack, id, &due))
    }

    /// Yesterday in one message: owed first, since the message may not go out, and nobody may hear it.
    async fn summary(&self, settings: &Settings, now: Time) -> Result<Value, Error> {
        let notice = Notice::Summary(Time(now.0 - DAY_SECONDS).date());
        self.deployment.state.owe(&notice).await?;
        let Some(alerts) = &self.deployment.alerts else { return Ok(json!({})) };
        let heard = alerts.confirmed_subscribers(now).await? > 0;
        if heard {
            self.send_notice(alerts, &notice, (settings, now)).await?;
        }
        Ok(json!({"owed": "summary", "sent": heard}))
    }

    async fn summary_of(&self, date: &str, (settings, now): (&Settings, Time)) -> Result<Message, Error> {
        let day = Time::parse(&format!("{date}T00:00:00Z"))
            .ok_or_else(|| Error::Item(format!("a summary is owed for `{date}`, which is no day")))?;
        let mut summary = Summary { day, settings, counts: self.counts(date).await?, ..Summary::of(settings) };
        summary.silent = self.silent(day).await?;
        summary.digests = self.digests(day).await?;
        let query = Query { days: OPEN_DAYS, ..Query::default() };
        self.deployment.state.each_finding(&query, now, &mut |entry| summary.take(&entry)).await?;
        Ok(summary.message())
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

    /// How far digests are verified, over all chains.
    async fn digests(&self, day: Time) -> Result<String, Error> {
        let chains = self.deployment.state.chains().await?;
        let Some(to) = chains.iter().map(|chain| chain.head.end).min() else {
            return Ok("No digest was verified yet.".to_owned());
        };
        let troubled = chains.iter().filter(|chain| chain.last_problem.is_some_and(|last| last >= day)).count();
        Ok(format!("Digests of {} chains verified to {to}, {troubled} of them with problems.", chains.len()))
    }

    /// Accounts that were heard once, and not since a day.
    async fn silent(&self, since: Time) -> Result<Vec<String>, Error> {
        let heard = self.deployment.state.accounts_heard().await?;
        let silent = heard.into_iter().filter(|heard| heard.account != "-" && heard.last_heard < since);
        Ok(silent.map(|heard| heard.account).collect())
    }
}

/// A day in one message. Findings are counted and the first of them shown: there may be any number.
struct Summary<'s> {
    day: Time,
    counts: DayCounts,
    silent: Vec<String>,
    settings: &'s Settings,
    /// CRITICAL, and not closed.
    open: Listed,
    /// What waits for somebody to look.
    review: Listed,
    /// Controls that fail, and what could not be looked at.
    trails: Listed,
    /// How far digests are verified.
    digests: String,
    /// Lowered by the settings.
    expected: usize,
    /// What would have gone out at once.
    unsent: Listed,
}

/// Findings of which there may be many.
#[derive(Default)]
struct Listed {
    severities: Vec<Severity>,
    lines: Vec<String>,
}

impl Listed {
    /// How many are shown.
    const SHOWN: usize = 40;

    fn add(&mut self, finding: &Finding, settings: &Settings) {
        self.severities.push(finding.severity);
        if self.lines.len() < Self::SHOWN {
            self.lines.push(format!("{} {}", finding.last_seen.date(), finding_line(finding, settings)));
        }
    }

    fn count(&self) -> usize {
        self.severities.len()
    }

    fn write(&self, text: &mut String) {
        for line in &self.lines {
            let _ = writeln!(text, "  {line}");
        }
        if self.count() > self.lines.len() {
            let _ = writeln!(text, "  ... {} more", self.count() - self.lines.len());
        }
    }
}

impl<'s> Summary<'s> {
    fn of(settings: &'s Settings) -> Self {
        let (open, review, trails, unsent) = Default::default();
        let (day, counts, silent, digests) = Default::default();
        Self { day, counts, silent, settings, open, review, trails, digests, expected: 0, unsent }
    }

    fn take(&mut self, entry: &Entry) {
        let (finding, settings) = (&entry.finding, self.settings);
        let is_immediate = is_immediate(finding, settings);
        self.expected += usize::from(!finding.facts.lowered_by.is_empty());
        if entry.status != Status::Closed && finding.severity == Severity::Critical {
            self.open.add(finding, settings);
        }
        // Everything new that nobody was told of at once, and every IAM change.
        let unseen = finding.category == Category::IamChange || !is_immediate;
        let is_setting = finding.category == Category::TrailSettings;
        if entry.status != Status::Closed && is_setting {
            self.trails.add(finding, settings);
        }
        if entry.status == Status::New && finding.severity > Severity::Informational && unseen && !is_setting {
            self.review.add(finding, settings);
        }
        if settings.alerts == Mode::Observe && is_immediate && finding.last_seen >= self.day {
            self.unsent.add(finding, settings);
        }
    }

    fn message(&self) -> Message {
        let (open, review, trails) = (self.open.count(), self.review.count(), self.trails.count());
        let said = format!("{open} open CRITICAL, {review} for review, {trails} trail settings fail");
        let subject = format!("QuickInfra Trail, {}: {said}", self.day.date());
        let chat = json!({
            "version": "1.0", "source": "custom",
            "content": {"textType": "client-markdown", "title": subject,
                "description": format!("{said}. The email says which.")},
            "metadata": {"threadId": "daily-summary", "eventType": "summary", "summary": subject},
        });
        let attribute = |name, value: &str| (name, value.to_owned());
        Message {
            json: json!({"kind": "summary", "day": self.day.date(), "records": self.counts.records,
                "files": self.counts.files, "quarantined": self.counts.quarantined, "open_critical": open,
                "for_review": review, "trail_settings": trails, "silent_accounts": self.silent}),
            subject,
            text: self.text(),
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

    fn text(&self) -> String {
        let DayCounts { files, records, quarantined, .. } = self.counts;
        let mut text = format!("{records} records in {files} files, {quarantined} quarantined; ");
        let _ = match self.silent.as_slice() {
            [] => writeln!(text, "every account was heard."),
            silent => writeln!(text, "not heard for a day: {}.", silent.join(", ")),
        };
        let _ = writeln!(text, "{}", self.digests);
        let _ = writeln!(text, "OPEN  {}", self.open.count());
        self.open.write(&mut text);
        let severities = summary_line(self.review.severities.iter().copied());
        let _ = writeln!(text, "FOR REVIEW  {} ({severities}): qtrail findings --status new", self.review.count());
        self.review.write(&mut text);
        let _ = writeln!(text, "TRAILS  {}: qtrail findings --category trail_settings", self.trails.count());
        self.trails.write(&mut text);
        let rules = self.settings.expected.len();
        let _ = writeln!(text, "EXPECTED    {} findings lowered by your settings ({rules} entries)", self.expected);
        if self.settings.alerts == Mode::Observe {
            let _ = writeln!(text, "WOULD HAVE SENT (alerts = \"observe\")  {}", self.unsent.count());
            self.unsent.write(&mut text);
        }
        text
    }
}

/// What a deployment sends, so that somebody sees an alert before there is a reason for one.
fn reminder_message(stack: &str, id: &str, due: &str) -> Message {
    let subject: String = format!("[REVIEW] Access review {id}: decide by {due}").chars().take(99).collect();
    let text = format!(
        "Access review {id} of QuickInfra Trail ({stack}) has subjects that nobody has decided about. All has to be \
         decided by {due}.\n\nNEXT   See which are yours: qtrail review subjects {id} --undecided\n"
    );
    let attribute = |name, value: &str| (name, value.to_owned());
    Message {
        json: json!({"kind": "review", "stack": stack, "review": id, "due": due}),
        chat: json!({
            "version": "1.0", "source": "custom",
            "content": {"textType": "client-markdown", "title": subject, "description": "Subjects wait for a decision."},
            "metadata": {"threadId": format!("review-{id}"), "eventType": "review", "summary": subject},
        }),
        subject,
        text,
        attributes: vec![
            attribute("severity", "HIGH"),
            attribute("category", "other"),
            attribute("account", "*"),
            attribute("environment", "unknown"),
            attribute("detection", "review-reminder"),
            attribute("kind", "review"),
            attribute("state", "new"),
        ],
    }
}

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
