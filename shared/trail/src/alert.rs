//! Whom to tell, when, and in which words.
//!
//! A finding is its own outbox: what stands in the table decides whether an alert is owed. The decisions are here,
//! pure; whoever publishes carries them out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::detection::{Category, Severity};
use crate::detections::pipeline::PIPELINE_CANARY;
use crate::finding::Finding;
use crate::record::Outcome;
use crate::settings::{Alerts, Settings};
use crate::time::Time;

mod text;
pub use text::{Message, Related, Storm, clean, finding_json, finding_line, finding_ocsf, message, summary_line};
pub(crate) use text::{is_invisible, severity_word};

/// What has become of a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has looked yet.
    #[default]
    New,
    /// Somebody looks.
    Acknowledged,
    /// Done with.
    Closed,
}

/// As what a finding was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It was meant to happen.
    Expected,
    /// It was put right.
    Fixed,
    /// It was an attack, or is treated as one.
    Incident,
    /// The detection was wrong.
    FalseAlarm,
}

/// How loud an alert is: severity, then whether it was carried out, then how often. A higher level alerts again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(pub u8);

impl Level {
    /// The level of a finding as it stands.
    pub fn of(finding: &Finding) -> Self {
        let band = match finding.event_count() {
            _ if finding.saturated => 3,
            0..=9 => 0,
            10..=99 => 1,
            _ => 2,
        };
        let success = u8::from(finding.outcome == Outcome::Success);
        Self(1 + finding.severity as u8 * 8 + success * 4 + band)
    }
}

/// Whether a finding is told at once: severe enough, or something that is open to the world. Canaries never are.
pub fn is_immediate(finding: &Finding, settings: &Settings) -> bool {
    if finding.detection_id == PIPELINE_CANARY.id {
        return false;
    }
    let exposure = finding.category == Category::NetworkExposure && finding.severity > Severity::Informational;
    finding.severity >= settings.minimum_alert_severity || exposure
}

/// A finding as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// What has become of it.
    #[serde(default)]
    pub status: Status,
    /// As what it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// The level that was last published.
    #[serde(default)]
    pub sent: Level,
    /// The level that is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Level>,
    /// Since when, by the writer's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_since: Option<Time>,
    /// The versions of the detection set that raised it.
    #[serde(default)]
    pub detection_versions: BTreeSet<String>,
    /// Counts the writes, so that two writers cannot both believe to be the last.
    #[serde(default)]
    pub v: u64,
}

/// What a merge did to an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Something is different and has to be written.
    pub changed: bool,
    /// It was closed and is open again.
    pub reopened: bool,
    /// An alert is owed since this merge: whoever writes it publishes, and nobody else.
    pub owed: bool,
}

impl Entry {
    /// The first entry of a finding.
    pub fn new(finding: &Finding, settings: &Settings, now: Time) -> Self {
        let mut entry = Self {
            finding: finding.clone(),
            status: Status::New,
            resolution: None,
            sent: Level::default(),
            due: None,
            due_since: None,
            detection_versions: BTreeSet::from([crate::detections::VERSION.to_owned()]),
            v: 1,
        };
        entry.owe(settings, now);
        entry
    }

    /// Takes up more of the same finding.
    pub fn absorb(&mut self, finding: &Finding, settings: &Settings, now: Time) -> Change {
        let before = self.finding.clone();
        self.finding.merge(finding);
        if self.finding == before {
            return Change::default();
        }
        let reopened = self.status == Status::Closed;
        if reopened {
            self.status = Status::New;
            self.resolution = None;
            // Whoever closed it was told; that it goes on is news at any level.
            self.sent = Level::default();
        }
        self.detection_versions.insert(crate::detections::VERSION.to_owned());
        let owed = self.owe(settings, now);
        self.v += 1;
        Change { changed: true, reopened, owed }
    }

    /// A level above what was sent and what is owed is owed. Yields whether it is one.
    fn owe(&mut self, settings: &Settings, now: Time) -> bool {
        let level = Level::of(&self.finding);
        let owed = is_immediate(&self.finding, settings)
            && settings.alerts == Alerts::Send
            && level > self.sent.max(self.due.unwrap_or_default());
        if owed {
            self.due = Some(level);
            self.due_since = Some(now);
        }
        owed
    }
}

/// What people were told of a thread, as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The finding that the last alert was about.
    pub finding_id: String,
    /// How bad it was.
    pub severity: Severity,
    /// What had come of it.
    pub outcome: Outcome,
    /// When, by the publisher's clock.
    pub alerted_at: Time,
    /// Whether a finding of the thread was closed since.
    #[serde(default)]
    pub closed: bool,
    /// Counts the writes.
    pub v: u64,
}

/// How long people are left alone about a thread that goes on, in seconds.
const QUIET_SECONDS: i64 = 24 * 3600;

impl Thread {
    /// Whether an owed alert is to be published, given what its thread was told. A new window of a thread joins it
    /// in silence unless it is worse, it is a day later, or somebody has closed it in between.
    pub fn is_news(thread: Option<&Self>, finding: &Finding, now: Time) -> bool {
        let Some(told) = thread else { return true };
        let worse = finding.severity > told.severity
            || (finding.outcome == Outcome::Success && told.outcome != Outcome::Success);
        told.finding_id == finding.finding_id || worse || told.closed || now.0 - told.alerted_at.0 >= QUIET_SECONDS
    }

    /// The thread once a finding is told.
    pub fn told(thread: Option<&Self>, finding: &Finding, now: Time) -> Self {
        Self {
            finding_id: finding.finding_id.clone(),
            severity: finding.severity,
            outcome: finding.outcome,
            alerted_at: now,
            closed: false,
            v: thread.map_or(0, |thread| thread.v) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{caught, detection, record};
    use serde_json::json;

    fn finding(minute: u32, error: Option<&str>) -> Finding {
        let more = json!({
            "eventTime": format!("2026-11-20T03:{minute:02}:00Z"),
            "eventID": format!("00000000-0000-4000-8000-{minute:012}"),
            "requestParameters": {"name": "org-trail"},
            "errorCode": error,
        });
        let record = record("cloudtrail.amazonaws.com", "StopLogging", more);
        Finding::of(&caught(detection("cloudtrail-trail-stopped"), &record).expect("caught"))
    }

    fn entry() -> Entry {
        Entry::new(&finding(1, Some("AccessDenied")), &Settings::default(), Time(100))
    }

    fn sent(mut entry: Entry) -> Entry {
        entry.sent = entry.due.take().expect("owed");
        entry.due_since = None;
        entry
    }

    #[test]
    fn a_severe_finding_is_owed_once_and_again_when_it_gets_worse() {
        let settings = Settings::default();
        let mut entry = sent(entry());
        assert!(entry.absorb(&finding(2, Some("AccessDenied")), &settings, Time(200)).changed);
        assert_eq!(entry.due, None, "one more of the same is no news");
        for minute in 3..12 {
            entry.absorb(&finding(minute, Some("AccessDenied")), &settings, Time(300));
        }
        assert!(entry.due.is_some() && entry.due_since == Some(Time(300)), "ten of them are");
        let mut entry = sent(entry);
        entry.absorb(&finding(12, None), &settings, Time(400));
        assert!(entry.due.is_some(), "and so is success");
    }

    #[test]
    fn a_repeated_record_changes_nothing() {
        let mut entry = entry();
        let before = entry.clone();
        let same = finding(1, Some("AccessDenied"));
        assert_eq!(entry.absorb(&same, &Settings::default(), Time(500)), Change::default());
        assert_eq!(entry, before);
    }

    #[test]
    fn a_closed_finding_opens_again_when_it_happens_again() {
        let mut entry = entry();
        (entry.status, entry.resolution) = (Status::Closed, Some(Resolution::Expected));
        let change = entry.absorb(&finding(2, None), &Settings::default(), Time(500));
        assert!(change.reopened);
        assert_eq!((entry.status, entry.resolution), (Status::New, None));
        let mut closed = Entry { status: Status::Closed, ..sent(self::entry()) };
        assert!(closed.absorb(&finding(2, Some("AccessDenied")), &Settings::default(), Time(500)).reopened);
        assert_eq!(closed.due, Some(Level::of(&closed.finding)), "and is told again, though it is no worse");
    }

    #[test]
    fn under_observation_nothing_is_owed() {
        let settings = Settings { alerts: Alerts::Observe, ..Settings::default() };
        assert_eq!(Entry::new(&finding(1, None), &settings, Time(1)).due, None);
        let quiet = Settings { minimum_alert_severity: Severity::Critical, ..Settings::default() };
        assert!(Entry::new(&finding(1, None), &quiet, Time(1)).due.is_some());
    }

    #[test]
    fn a_thread_is_told_again_only_for_news() {
        let first = finding(1, Some("AccessDenied"));
        let told = Thread::told(None, &first, Time(1000));
        let mut next = first.clone();
        next.finding_id = "another window".to_owned();
        assert!(Thread::is_news(None, &first, Time(1000)));
        assert!(Thread::is_news(Some(&told), &first, Time(1000)), "its own finding may rise");
        assert!(!Thread::is_news(Some(&told), &next, Time(2000)));
        assert!(Thread::is_news(Some(&told), &next, Time(1000 + QUIET_SECONDS)), "a day later");
        assert!(Thread::is_news(Some(&Thread { closed: true, ..told.clone() }), &next, Time(2000)), "closed since");
        let done = Finding { outcome: Outcome::Success, ..next.clone() };
        assert!(Thread::is_news(Some(&told), &done, Time(2000)), "carried out now");
        let lower = Thread { severity: Severity::High, ..told };
        assert!(Thread::is_news(Some(&lower), &next, Time(2000)), "worse now");
    }

    #[test]
    fn exposure_is_told_at_once_however_mild() {
        let mild = Finding { severity: Severity::Medium, ..finding(1, None) };
        assert!(!is_immediate(&mild, &Settings::default()));
        let open = Finding { category: Category::NetworkExposure, ..mild };
        assert!(is_immediate(&open, &Settings::default()));
    }
}
