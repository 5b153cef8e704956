//! Whom to tell, when, and in which words.
//!
//! A finding is its own outbox: what stands in the table decides whether an alert is owed. The decisions are here,
//! pure; whoever publishes carries them out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::detection::{Category, Severity};
use crate::finding::Finding;
use crate::record::Outcome;
use crate::settings::{Alerts, Settings};
use crate::time::Time;

mod text;
pub use text::{Message, Related, Storm, finding_json, finding_line, finding_ocsf, message, summary_line};

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

/// Whether a finding is told at once: severe enough, or something that is open to the world.
pub fn is_immediate(finding: &Finding, settings: &Settings) -> bool {
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
        }
        self.detection_versions.insert(crate::detections::VERSION.to_owned());
        self.owe(settings, now);
        self.v += 1;
        Change { changed: true, reopened }
    }

    /// A level above what was sent and what is owed is owed.
    fn owe(&mut self, settings: &Settings, now: Time) {
        let level = Level::of(&self.finding);
        if is_immediate(&self.finding, settings)
            && settings.alerts == Alerts::Send
            && level > self.sent.max(self.due.unwrap_or_default())
        {
            self.due = Some(level);
            self.due_since = Some(now);
        }
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
