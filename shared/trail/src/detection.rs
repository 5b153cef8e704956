//! What is looked for in records, and the engine that looks.
//!
//! A [`Detection`] is one value that says everything about itself. The [`Engine`] indexes them by what they want, so
//! that a record meets the few detections that could care and all others cost nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::finding::Match;
use crate::log_file::Origin;
use crate::record::{Outcome, Record, Unreadable};
use crate::settings::{Settings, Thresholds};
use crate::window::Threshold;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// For the record.
    Informational,
    /// For the daily summary.
    Low,
    /// For review.
    Medium,
    /// Look today.
    High,
    /// Get up.
    Critical,
}

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation, and the words of every interface")]
pub enum Category {
    RootUsage,
    IamChange,
    NetworkExposure,
    PublicAccess,
    TrailTampering,
    Authentication,
    SecurityService,
    DataAccess,
    Compute,
    Persistence,
    Reconnaissance,
    Exfiltration,
    Impact,
    TrailSettings,
    Integrity,
    Other,
}

/// What is looked for in records. One value says everything: help, catalogue and tests are derived from it.
#[derive(Debug)]
pub struct Detection {
    /// Stable and unique, in kebab case: `cloudtrail-trail-stopped`.
    pub id: &'static str,
    /// What happened, as a headline.
    pub title: &'static str,
    /// What kind of thing it is.
    pub category: Category,
    /// How bad it is unless the check says otherwise.
    pub severity: Severity,
    /// MITRE ATT&CK technique ids.
    pub techniques: &'static [&'static str],
    /// Controls that ask for this to be watched, as `CIS 7.0 5.5`.
    pub controls: &'static [&'static str],
    /// Which records are worth a check.
    pub wants: &'static [Want],
    /// A glance at a wanted record before its body is read. It says no only where the check could say nothing else,
    /// and costs next to nothing: this is for calls that are frequent and hardly ever matter.
    pub glance: fn(&Record<'_>, &Settings) -> bool,
    /// Looks at one record.
    pub check: fn(&Case<'_>) -> Option<Catch>,
    /// The span that one finding covers, in seconds of event time.
    pub window: i64,
    /// Where one record alone is no finding: how many are.
    pub threshold: Option<fn(&Thresholds) -> Threshold>,
    /// Why it matters: a sentence or two for somebody woken by it.
    pub why: &'static str,
    /// What to check first, in order.
    pub runbook: &'static [&'static str],
    /// Whether the settings may lower it. Tampering may never be lowered.
    pub lowerable: bool,
}

impl Detection {
    /// What most detections have in common.
    pub const BASE: Self = Self {
        id: "",
        title: "",
        category: Category::Other,
        severity: Severity::Medium,
        techniques: &[],
        controls: &[],
        wants: &[],
        glance: |_, _| true,
        check: |_| None,
        window: 3600,
        threshold: None,
        why: "",
        runbook: &[],
        lowerable: true,
    };
}

/// Which records a detection is to see.
#[derive(Debug, Clone, Copy)]
pub enum Want {
    /// Calls of a service by name (`eventSource`, [`Record::action`]).
    Calls(&'static str, &'static [&'static str]),
    /// Of a service's calls by name those whose text holds one of these words: where there are too many to look into.
    CallsSaying(&'static str, &'static [&'static str], &'static [&'static str]),
    /// Calls of these names by any service.
    Named(&'static [&'static str]),
    /// Whatever may change something in a service.
    Changes(&'static str),
    /// Identities that may be the root user or a session that root issued.
    Root,
    /// Identities that may belong to another account.
    Foreign,
    /// Calls that AWS refused.
    Refused,
}

impl Want {
    /// Whether a record is wanted: the definition that the engine's index has to agree with.
    pub fn wants(self, record: &Record<'_>) -> bool {
        match self {
            Self::Calls(source, names) => record.source == source && names.contains(&record.action()),
            Self::CallsSaying(source, names, words) => {
                record.source == source && names.contains(&record.action()) && record.mentions_one_of(&finders(words))
            }
            Self::Named(names) => names.contains(&record.action()),
            Self::Changes(source) => record.source == source && record.changes(),
            Self::Root => record.may_be_root(),
            Self::Foreign => record.may_be_foreign(),
            Self::Refused => record.refused(),
        }
    }
}

fn finders(words: &[&'static str]) -> Vec<Finder<'static>> {
    words.iter().map(|word| Finder::new(*word)).collect()
}

/// Says of most names, without hashing them, that nobody wants them: a bit for what a name's length and last letters
/// come to.
#[derive(Debug)]
struct Names([u64; 64]);

impl Names {
    /// None yet.
    const NONE: Self = Self([0; 64]);

    fn insert(&mut self, name: &str) {
        let (word, bit) = Self::place(name);
        self.0[word] |= bit;
    }

    /// Whether the name may have been inserted. May say yes too often, never too seldom.
    fn may_hold(&self, name: &str) -> bool {
        let (word, bit) = Self::place(name);
        self.0[word] & bit != 0
    }

    fn place(name: &str) -> (usize, u64) {
        let last = name.as_bytes().last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
        let mixed = (last ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 58) as usize, 1 << (mixed >> 52 & 63))
    }
}

/// A record under examination.
#[derive(Debug)]
pub struct Case<'r> {
    /// The record, its body loaded.
    pub record: &'r Record<'r>,
    /// Who is behind it.
    pub actor: &'r Actor,
    /// What came of it.
    pub outcome: Outcome,
    /// The settings in force.
    pub settings: &'r Settings,
    /// The account that the record belongs to; `-` where nothing says.
    pub account: &'r str,
    /// Whether it lies in a canary's file: see [`Origin::canary`].
    pub canary: bool,
}

impl Case<'_> {
    /// Whether the call was carried out.
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Success
    }

    /// `severity` where the call was carried out, else `attempt`.
    pub fn graded(&self, severity: Severity, attempt: Severity) -> Severity {
        if self.succeeded() { severity } else { attempt }
    }
}

/// What was done, in the two forms that a sentence needs: "stopped trail x", "tried to stop trail x".
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deed {
    /// The bare verb with what follows it before the object: `stop`, `attach policy`.
    pub verb: String,
    /// The past form: `stopped`, `attached policy`.
    pub past: String,
    /// What it was done to: `trail org-trail`.
    pub object: String,
}

impl Deed {
    /// `Deed::new("stop", "stopped", "trail org-trail")`.
    pub fn new(verb: &str, past: &str, object: impl Into<String>) -> Self {
        Self { verb: verb.to_owned(), past: past.to_owned(), object: object.into() }
    }

    /// `stop trail org-trail`.
    pub fn told(&self) -> String {
        format!("{} {}", self.verb, self.object).trim().to_owned()
    }
}

/// What a check says about the record that it was shown.
#[derive(Debug, Clone)]
pub struct Catch {
    pub(crate) deed: Deed,
    pub(crate) severity: Option<Severity>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) account: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) why: Option<String>,
    pub(crate) issued_key: Option<String>,
    pub(crate) tally: Option<Tally>,
    pub(crate) ports: Vec<(u16, u16)>,
}

/// What a record counts as towards a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// A success after failures, rather than one more failure.
    pub success: bool,
    /// What distinct ones are counted of: a user name, an action. Successes only follow failures of the same value.
    pub value: String,
}

impl Catch {
    /// Something was done or tried.
    pub fn new(deed: Deed) -> Self {
        Self {
            deed,
            severity: None,
            outcome: None,
            account: None,
            key: None,
            resources: Vec::new(),
            why: None,
            issued_key: None,
            tally: None,
            ports: Vec::new(),
        }
    }

    /// The ports that were opened, first and last of each range: the settings may expect some.
    #[must_use]
    pub fn ports(mut self, ports: Vec<(u16, u16)>) -> Self {
        self.ports = ports;
        self
    }

    /// How bad this one is, where it is not the detection's own severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// What came of it, where the record's outcome says something else.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// What it was done to, as an ARN or id. The first one is part of the default key.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        let resource = resource.into();
        if !resource.is_empty() {
            self.resources.push(resource);
        }
        self
    }

    /// What tells findings of one detection and account apart. Without one: the actor and the first resource.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Counts over all accounts.
    #[must_use]
    pub fn all_accounts(mut self) -> Self {
        self.account = Some("*".to_owned());
        self
    }

    /// Why this one matters, where there is more to say than the detection's own sentence.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The access key that the call issued: later records signed by it are acts of this actor.
    #[must_use]
    pub fn issued_key(mut self, key: impl Into<String>) -> Self {
        self.issued_key = Some(key.into()).filter(|key| !key.is_empty());
        self
    }

    /// Counts towards the detection's threshold as a failure of `value`.
    #[must_use]
    pub fn failure(mut self, value: impl Into<String>) -> Self {
        self.tally = Some(Tally { success: false, value: value.into() });
        self
    }

    /// Counts as a success of `value`, which matters after failures.
    #[must_use]
    pub fn success(mut self, value: impl Into<String>) -> Self {
        self.tally = Some(Tally { success: true, value: value.into() });
        self
    }
}

/// The detections in force, indexed by what they want.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    detections: Vec<&'static Detection>,
    /// All names that are wanted, of whichever service.
    names: Names,
    sources: HashMap<&'static str, Source, FixedState>,
    named: HashMap<&'static str, Vec<u16>, FixedState>,
    root: Vec<u16>,
    foreign: Vec<u16>,
    refused: Vec<u16>,
}

#[derive(Debug, Default)]
struct Source {
    changes: Vec<u16>,
    names: HashMap<&'static str, Vec<u16>, FixedState>,
    saying: HashMap<&'static str, Vec<(u16, Vec<Finder<'static>>)>, FixedState>,
}

impl Source {
    fn candidates(&self, record: &Record<'_>, (action, changes): (&str, bool), wanted: &mut dyn FnMut(&[u16])) {
        if let Some(indices) = self.names.get(action) {
            wanted(indices);
        }
        if changes {
            wanted(&self.changes);
        }
        for (index, words) in self.saying.get(action).into_iter().flatten() {
            if record.mentions_one_of(words) {
                wanted(&[*index]);
            }
        }
    }
}

impl Engine {
    /// All detections, under these settings.
    pub fn new(settings: Settings) -> Self {
        Self::with(settings, crate::detections::all())
    }

    /// These detections, under these settings.
    pub fn with(settings: Settings, detections: Vec<&'static Detection>) -> Self {
        let mut engine = Self {
            settings,
            detections: Vec::new(),
            names: Names::NONE,
            sources: HashMap::default(),
            named: HashMap::default(),
            root: Vec::new(),
            foreign: Vec::new(),
            refused: Vec::new(),
        };
        for detection in detections {
            engine.add(detection);
        }
        engine
    }

    fn add(&mut self, detection: &'static Detection) {
        let index = u16::try_from(self.detections.len()).unwrap_or(u16::MAX);
        self.detections.push(detection);
        for want in detection.wants {
            self.add_want(*want, index);
        }
    }

    fn add_want(&mut self, want: Want, index: u16) {
        match want {
            Want::Calls(source, names) => {
                let source = self.sources.entry(source).or_default();
                for name in names {
                    self.names.insert(name);
                    source.names.entry(name).or_default().push(index);
                }
            }
            Want::CallsSaying(source, names, words) => {
                let source = self.sources.entry(source).or_default();
                for name in names {
                    self.names.insert(name);
                    source.saying.entry(name).or_default().push((index, finders(words)));
                }
            }
            Want::Named(names) => {
                for name in names {
                    self.names.insert(name);
                    self.named.entry(name).or_default().push(index);
                }
            }
            Want::Changes(source) => self.sources.entry(source).or_default().changes.push(index),
            Want::Root => self.root.push(index),
            Want::Foreign => self.foreign.push(index),
            Want::Refused => self.refused.push(index),
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The detections in force.
    pub fn detections(&self) -> &[&'static Detection] {
        &self.detections
    }

    /// Shows a record to the detections that want it and hands what they catch to `found`. A record that no
    /// detection wants costs a few look-ups and no allocation.
    pub fn evaluate(
        &self,
        record: &Record<'_>,
        origin: &Origin<'_>,
        found: &mut dyn FnMut(Match),
    ) -> Result<(), Unreadable> {
        let mut wanted = Vec::new();
        self.candidates(record, &mut |indices| {
            let indices = indices.iter().copied();
            wanted
                .extend(indices.filter(|index| (self.detections[usize::from(*index)].glance)(record, &self.settings)));
        });
        if wanted.is_empty() {
            return Ok(());
        }
        wanted.sort_unstable();
        wanted.dedup();
        let detections = wanted.iter().map(|index| self.detections[usize::from(*index)]);
        self.examine(record, origin, detections, found)
    }

    /// The same by asking every detection in turn: slow, obvious, and what [`Engine::evaluate`] is compared with.
    pub fn evaluate_linear(
        &self,
        record: &Record<'_>,
        origin: &Origin<'_>,
        found: &mut dyn FnMut(Match),
    ) -> Result<(), Unreadable> {
        let wanted = |detection: &&&'static Detection| detection.wants.iter().any(|want| want.wants(record));
        let detections: Vec<_> = self.detections.iter().filter(wanted).copied().collect();
        if detections.is_empty() {
            return Ok(());
        }
        self.examine(record, origin, detections.into_iter(), found)
    }

    fn candidates(&self, record: &Record<'_>, wanted: &mut dyn FnMut(&[u16])) {
        let action = record.action();
        let (named, changes) = (self.names.may_hold(action), record.changes());
        if (named || changes)
            && let Some(source) = self.sources.get(&*record.source)
        {
            source.candidates(record, (action, changes), wanted);
        }
        if named && let Some(indices) = self.named.get(action) {
            wanted(indices);
        }
        let suspicion = record.suspicion();
        if suspicion.root {
            wanted(&self.root);
        }
        if suspicion.foreign {
            wanted(&self.foreign);
        }
        if !record.error_code.is_empty() && record.refused() {
            wanted(&self.refused);
        }
    }

    fn examine(
        &self,
        record: &Record<'_>,
        origin: &Origin<'_>,
        detections: impl Iterator<Item = &'static Detection>,
        found: &mut dyn FnMut(Match),
    ) -> Result<(), Unreadable> {
        record.load()?;
        let time = record.event_time()?;
        let identity = record.identity(origin.account);
        let actor = record.actor();
        let outcome = record.outcome();
        let (settings, account) = (&self.settings, identity.account.as_str());
        let case = Case { record, actor: &actor, outcome, settings, account, canary: origin.canary };
        let mut broken = None;
        for detection in detections {
            // A mistake in one check must cost neither the others nor the file's other records.
            match catch_unwind(AssertUnwindSafe(|| (detection.check)(&case))) {
                Ok(None) => {}
                Ok(Some(catch)) => found(Match::new(detection, &case, catch, (time, &identity.id, origin.delivered))),
                Err(_) => broken = Some(detection.id),
            }
        }
        broken.map_or(Ok(()), |detection| Err(Unreadable::CheckFailed(detection)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;
    use serde_json::json;

    static PANICS: Detection = Detection {
        id: "panics",
        wants: &[Want::Named(&["Noise"])],
        check: |case| Some(Catch::new(Deed::new("", "", &case.record.name[99..]))),
        ..Detection::BASE
    };
    static CATCHES: Detection = Detection { id: "catches", check: |_| Some(Catch::new(Deed::default())), ..PANICS };

    #[test]
    fn a_check_that_panics_costs_no_other_check() {
        let engine = Engine::with(Settings::default(), vec![&PANICS, &CATCHES]);
        let text = record("x.amazonaws.com", "Noise", json!({})).to_string();
        let mut found = Vec::new();
        let evaluated = engine.evaluate(&Record::parse(&text).expect("a record"), &Origin::default(), &mut |m| {
            found.push(m.detection.id);
        });
        assert_eq!(evaluated, Err(Unreadable::CheckFailed("panics")));
        assert_eq!(found, ["catches"]);
    }

    #[test]
    fn ids_are_unique_and_every_detection_says_what_people_need() {
        let mut ids = std::collections::HashSet::new();
        for detection in crate::detections::all() {
            let Detection { id, title, why, runbook, window, .. } = detection;
            assert!(ids.insert(id), "{id} is there twice");
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
            assert!(!title.is_empty() && !why.is_empty() && !runbook.is_empty(), "{id} leaves somebody alone");
            assert!(*window >= crate::window::BUCKET_SECONDS && window % crate::window::BUCKET_SECONDS == 0, "{id}");
        }
    }
}

#[cfg(test)]
mod index_tests;
