//! What a person reads: matches, counted and deduplicated.
//!
//! A [`Finding`] is a merge. Every field is a minimum, a maximum or a union of its matches, so that the order of
//! arrival, redelivery and duplicates cannot matter.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::actor::Actor;
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Tally};
use crate::record::Outcome;
use crate::settings::Settings;
use crate::time::Time;
use crate::window::{Crossing, id_text};

/// How many record ids a finding keeps; beyond, it is saturated and its count a lower bound.
pub const EVENT_IDS_CAP: usize = 256;

/// How many distinct actors, addresses, resources … a finding keeps of each: the first in order of the alphabet.
pub const FACTS_CAP: usize = 32;

/// The longest piece of foreign text that is kept, in characters.
const TEXT_CAP: usize = 512;

/// The namespace of finding ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x8c1f_25d4_40a6_5b0e_9f3b_7d6a_1e52_c9b3);

/// One record that a detection caught.
#[derive(Debug, Clone)]
pub struct Match {
    /// What caught it.
    pub detection: &'static Detection,
    /// The account that the finding is about; `*` for several.
    pub account: String,
    /// The record's id: see [`crate::record::Identity`].
    pub event_id: String,
    /// What tells findings of one detection and account apart.
    pub key: String,
    /// The account that the record belongs to.
    pub record_account: String,
    /// What this match says.
    pub lead: Lead,
    /// What it was done to.
    pub resources: Vec<String>,
    /// The access key that the call issued, if that matters.
    pub issued_key: Option<String>,
    /// Where the record counts towards a threshold: as what.
    pub tally: Option<Tally>,
    /// The entry in the settings that expected this and lowered it.
    pub lowered_by: Option<String>,
    /// The ports that were opened, first and last of each range; empty where no port is the matter.
    pub ports: Vec<(u16, u16)>,
}

/// The match that speaks for a finding: the worst one, of those the earliest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lead {
    /// How bad.
    pub severity: Severity,
    /// What came of it.
    pub outcome: Outcome,
    /// When.
    pub time: Reverse<Time>,
    /// Which record.
    pub event_id: Reverse<String>,
    /// Who.
    pub actor: Actor,
    /// Did what.
    pub deed: Deed,
    /// By which call.
    pub action: String,
    /// `eventSource` of the call.
    pub source: String,
    /// In which region.
    pub region: String,
    /// From where.
    pub source_ip: String,
    /// With what.
    pub user_agent: String,
    /// `errorCode`, if any.
    pub error_code: String,
    /// `errorMessage`, if any.
    pub error_message: String,
    /// Why this one matters, where there is more to say than the detection does.
    pub why: Option<String>,
    /// When AWS delivered the log file, as its name says.
    pub delivered: Option<Reverse<Time>>,
}

/// All matches of one detection for one key in one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// UUID version 5 of detection, account, key and window.
    pub finding_id: String,
    /// [`Detection::id`].
    pub detection_id: String,
    /// What kind of thing it is.
    pub category: Category,
    /// The worst of its matches.
    pub severity: Severity,
    /// The worst of its matches.
    pub outcome: Outcome,
    /// The account it is about; `*` for several.
    pub account: String,
    /// What tells it apart from others of its detection and account.
    pub key: String,
    /// The earliest match.
    pub first_seen: Time,
    /// The latest match.
    pub last_seen: Time,
    /// The records, at most [`EVENT_IDS_CAP`].
    pub event_ids: BTreeSet<String>,
    /// Whether there were more records than ids are kept.
    pub saturated: bool,
    /// What is known of it, each at most [`FACTS_CAP`].
    #[serde(flatten)]
    pub facts: Facts,
    /// The match that speaks for it.
    pub lead: Lead,
}

/// What a finding's matches have in common and where they differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Who, as people would say it.
    pub actors: BTreeSet<String>,
    /// From which addresses.
    pub source_ips: BTreeSet<String>,
    /// In which regions.
    pub regions: BTreeSet<String>,
    /// In which accounts.
    pub accounts: BTreeSet<String>,
    /// What was done to.
    pub resources: BTreeSet<String>,
    /// By which calls.
    pub actions: BTreeSet<String>,
    /// Signed by which keys.
    pub access_keys: BTreeSet<String>,
    /// Which settings expected it.
    pub lowered_by: BTreeSet<String>,
    /// What was done, each different thing once: `open tcp/22 to 0.0.0.0/0 on sg-0a1b`.
    #[serde(default)]
    pub deeds: BTreeSet<String>,
}

impl Match {
    pub(crate) fn new(
        detection: &'static Detection,
        case: &Case<'_>,
        catch: Catch,
        (time, event_id, delivered): (Time, &str, Option<Time>),
    ) -> Self {
        let key = catch
            .key
            .clone()
            .unwrap_or_else(|| format!("{}|{}", case.actor.key(), catch.resources.first().map_or("", String::as_str)));
        let lead = Lead::new(case, &catch, detection, (time, event_id, delivered));
        let mut found = Self {
            detection,
            account: catch.account.unwrap_or_else(|| case.account.to_owned()),
            event_id: event_id.to_owned(),
            key: cut(&key),
            record_account: case.account.to_owned(),
            lead,
            resources: catch.resources.iter().map(|text| cut(text)).collect(),
            issued_key: catch.issued_key,
            tally: catch.tally,
            lowered_by: None,
            ports: catch.ports,
        };
        case.settings.lower(&mut found);
        found
    }

    /// Something about a log file rather than a record. `object` is the object and its version, which stands in
    /// for the record's id; `time` is the time in the object's name.
    pub fn of_object(detection: &'static Detection, object: &ObjectFact<'_>) -> Self {
        let deed = Deed::new("", "", object.what);
        let lead = Lead {
            severity: detection.severity,
            outcome: Outcome::Success,
            time: Reverse(object.time),
            event_id: Reverse(cut(object.id)),
            actor: Actor { name: "unknown".to_owned(), ..Actor::default() },
            deed,
            action: String::new(),
            source: String::new(),
            region: object.region.to_owned(),
            source_ip: String::new(),
            user_agent: String::new(),
            error_code: String::new(),
            error_message: String::new(),
            why: Some(cut(object.detail)).filter(|detail| !detail.is_empty()),
            delivered: None,
        };
        Self {
            detection,
            account: object.account.to_owned(),
            event_id: cut(object.id),
            key: cut(object.id),
            record_account: object.account.to_owned(),
            lead,
            resources: vec![cut(object.id)],
            issued_key: None,
            tally: None,
            lowered_by: None,
            ports: Vec::new(),
        }
    }

    /// What a control says about a setting. The same said again is the same occurrence of the same finding.
    pub fn of_verdict(detection: &'static Detection, verdict: &VerdictFact<'_>, settings: &Settings) -> Self {
        let id = format!("{}@{}", verdict.key, short_hash(verdict.occurrence));
        let object = ObjectFact {
            id: &id,
            account: verdict.account,
            region: verdict.region,
            time: verdict.time,
            what: verdict.what,
            detail: verdict.detail,
        };
        let mut found = Self {
            key: verdict_key(verdict.key),
            resources: vec![cut(verdict.key)],
            ..Self::of_object(detection, &object)
        };
        found.lead.severity = verdict.severity;
        found.lead.deed.object = cut(verdict.what);
        found.event_id = verdict_key(&id);
        found.lead.event_id = Reverse(found.event_id.clone());
        settings.lower(&mut found);
        found
    }

    /// The same occurrence once more, after its finding was closed in this version: news, and the same news for all who
    /// see it.
    #[must_use]
    pub fn again(mut self, version: u64, time: Time) -> Self {
        self.lead.time = Reverse(time);
        self.event_id = verdict_key(&format!("{}@{version}", self.event_id));
        self.lead.event_id = Reverse(self.event_id.clone());
        self
    }

    /// Whether ports were opened, and none but these.
    pub(crate) fn opens_only(&self, ports: &[u16]) -> bool {
        !self.ports.is_empty() && self.ports.iter().all(|(first, last)| first == last && ports.contains(first))
    }

    /// The facts of this match alone.
    pub fn facts(&self) -> Facts {
        let one = |text: &str| BTreeSet::from_iter(Some(text.to_owned()).filter(|text| !text.is_empty()));
        Facts {
            actors: one(&self.lead.actor.display()),
            source_ips: one(&self.lead.source_ip),
            regions: one(&self.lead.region),
            accounts: one(&self.record_account),
            resources: self.resources.iter().take(FACTS_CAP).cloned().collect(),
            actions: one(&self.lead.action),
            access_keys: one(&self.lead.actor.access_key),
            lowered_by: self.lowered_by.iter().cloned().collect(),
            // What a threshold counts is told as a number.
            deeds: if self.tally.is_some() { BTreeSet::new() } else { one(&self.lead.deed.told()) },
        }
    }
}

/// What is to be said about a log file as a whole.
#[derive(Debug, Clone, Copy)]
pub struct ObjectFact<'a> {
    /// `bucket/key@version`, or a path.
    pub id: &'a str,
    /// The account in the object's name; `-` where there is none.
    pub account: &'a str,
    /// The region in the object's name.
    pub region: &'a str,
    /// The time in the object's name.
    pub time: Time,
    /// What is the matter, as the object of a sentence: `2,113 bytes after the gzip stream of …`.
    pub what: &'a str,
    /// More about it.
    pub detail: &'a str,
}

/// What a control says about a setting.
#[derive(Debug, Clone, Copy)]
pub struct VerdictFact<'a> {
    /// The account that was audited.
    pub account: &'a str,
    /// The region it is about; empty for several or none.
    pub region: &'a str,
    /// When the snapshot was taken.
    pub time: Time,
    /// How bad it is.
    pub severity: Severity,
    /// The resource: with the detection and the account what tells findings apart.
    pub key: &'a str,
    /// What stays the same while the same is said.
    pub occurrence: &'a str,
    /// What is the matter.
    pub what: &'a str,
    /// More about it.
    pub detail: &'a str,
}

/// A key that stays unique when it is cut.
fn verdict_key(key: &str) -> String {
    if key.chars().nth(TEXT_CAP).is_none() {
        return key.to_owned();
    }
    let short: String = key.chars().take(TEXT_CAP - 20).collect();
    format!("{short}…{}", short_hash(key))
}

/// The first 16 hexadecimal digits of a text's SHA-256.
pub(crate) fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text);
    let start = digest.first_chunk().map_or(0, |start| u64::from_be_bytes(*start));
    format!("{start:016x}")
}

impl Lead {
    fn new(
        case: &Case<'_>,
        catch: &Catch,
        detection: &Detection,
        (time, event_id, delivered): (Time, &str, Option<Time>),
    ) -> Self {
        let Catch { deed, why, .. } = catch;
        let mut actor = case.actor.clone();
        [&mut actor.name, &mut actor.role, &mut actor.arn, &mut actor.principal]
            .into_iter()
            .for_each(|text| *text = cut(text));
        Self {
            severity: catch.severity.unwrap_or(detection.severity),
            outcome: catch.outcome.unwrap_or(case.outcome),
            time: Reverse(time),
            event_id: Reverse(event_id.to_owned()),
            actor,
            deed: Deed { object: cut(&deed.object), ..deed.clone() },
            action: cut(case.record.action()),
            source: cut(&case.record.source),
            region: cut(&case.record.region),
            source_ip: cut(&case.record.source_ip),
            user_agent: cut(case.record.user_agent()),
            error_code: cut(&case.record.error_code),
            error_message: cut(case.record.error_message()),
            why: why.as_deref().map(cut),
            delivered: delivered.map(Reverse),
        }
    }
}

impl Finding {
    /// The finding that a match belongs to, holding that match alone.
    pub fn of(found: &Match) -> Self {
        let Match { detection, account, key, lead, .. } = found;
        Self {
            finding_id: finding_id(detection, account, key, lead.time.0),
            detection_id: detection.id.to_owned(),
            category: detection.category,
            severity: lead.severity,
            outcome: lead.outcome,
            account: account.clone(),
            key: key.clone(),
            first_seen: lead.time.0,
            last_seen: lead.time.0,
            event_ids: BTreeSet::from([found.event_id.clone()]),
            saturated: false,
            facts: found.facts(),
            lead: lead.clone(),
        }
    }

    /// The finding of a threshold that was crossed.
    pub fn of_crossing(detection: &'static Detection, account: &str, key: &str, crossing: &Crossing) -> Self {
        let times = || crossing.elements.iter().map(|element| Time(element.time));
        let first_seen = times().min().unwrap_or_default();
        let last_seen = times().max().unwrap_or_default();
        let outcome = if crossing.success { Outcome::Success } else { crossing.failure };
        let mut finding = Self {
            finding_id: finding_id(detection, account, key, Time(crossing.bucket)),
            detection_id: detection.id.to_owned(),
            category: detection.category,
            severity: crossing.severity,
            outcome,
            account: account.to_owned(),
            key: key.to_owned(),
            first_seen,
            last_seen,
            event_ids: crossing.elements.iter().map(|element| id_text(element.id)).collect(),
            saturated: false,
            lead: Lead::of_crossing(crossing, Time(crossing.bucket).floor(detection.window), outcome),
            facts: Facts::from_labels(&crossing.labels),
        };
        finding.cap();
        finding
    }

    /// Takes up another finding with the same id. In any order and any number of times the result is the same.
    pub fn merge(&mut self, other: &Self) {
        self.severity = self.severity.max(other.severity);
        self.outcome = self.outcome.max(other.outcome);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.event_ids.extend(other.event_ids.iter().cloned());
        self.saturated |= other.saturated;
        self.facts.merge(&other.facts);
        if other.lead > self.lead {
            self.lead = other.lead.clone();
        }
        self.cap();
    }

    /// Keeps the smallest ids: which ones those are does not depend on the order of arrival.
    fn cap(&mut self) {
        while self.event_ids.len() > EVENT_IDS_CAP {
            self.saturated = true;
            self.event_ids.pop_last();
        }
        self.facts.cap();
    }

    /// How many records; a lower bound when saturated.
    pub fn event_count(&self) -> usize {
        self.event_ids.len()
    }

    /// What a person is alerted about once: the same detection, account and key in all windows.
    pub fn thread_id(&self) -> String {
        let name = format!("{}\u{0}{}\u{0}{}", self.detection_id, self.account, self.key);
        Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
    }

    /// The first characters of the id: enough for people.
    pub fn short_id(&self) -> &str {
        self.finding_id.get(..6).unwrap_or(&self.finding_id)
    }
}

/// `UUIDv5(detection id, account, key, floor(event time / detection window))`.
fn finding_id(detection: &Detection, account: &str, key: &str, time: Time) -> String {
    let window = time.floor(detection.window).0;
    let name = format!("{}\u{0}{account}\u{0}{key}\u{0}{window}", detection.id);
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

impl Lead {
    /// A threshold has no record that speaks for it; who and from where is in the finding's facts. `time` is the
    /// window's, not a record's: an earlier record that comes late must not make another lead of the same crossing.
    fn of_crossing(crossing: &Crossing, time: Time, outcome: Outcome) -> Self {
        Self {
            severity: crossing.severity,
            outcome,
            time: Reverse(time),
            event_id: Reverse(String::new()),
            actor: Actor::default(),
            deed: Deed::default(),
            action: String::new(),
            source: String::new(),
            region: String::new(),
            source_ip: String::new(),
            user_agent: String::new(),
            error_code: String::new(),
            error_message: String::new(),
            why: None,
            delivered: None,
        }
    }
}

impl Facts {
    fn sets(&mut self) -> [(&'static str, &mut BTreeSet<String>); 9] {
        [
            ("actor", &mut self.actors),
            ("ip", &mut self.source_ips),
            ("region", &mut self.regions),
            ("account", &mut self.accounts),
            ("resource", &mut self.resources),
            ("action", &mut self.actions),
            ("key", &mut self.access_keys),
            ("lowered", &mut self.lowered_by),
            ("deed", &mut self.deeds),
        ]
    }

    fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        for ((_, mine), (_, theirs)) in self.sets().into_iter().zip(other.sets()) {
            mine.append(theirs);
        }
    }

    fn cap(&mut self) {
        for (_, set) in self.sets() {
            while set.len() > FACTS_CAP {
                set.pop_last();
            }
        }
    }

    /// As a bucket keeps them: `ip=203.0.113.7`.
    pub fn to_labels(mut self) -> BTreeSet<String> {
        let label = |(name, set): (&str, &mut BTreeSet<String>)| {
            set.iter().map(|value| format!("{name}={value}")).collect::<Vec<_>>()
        };
        self.sets().into_iter().flat_map(label).collect()
    }

    fn from_labels(labels: &BTreeSet<String>) -> Self {
        let mut facts = Self::default();
        for (name, value) in labels.iter().filter_map(|label| label.split_once('=')) {
            if let Some((_, set)) = facts.sets().into_iter().find(|(known, _)| *known == name) {
                set.insert(value.to_owned());
            }
        }
        facts
    }
}

/// Foreign text, no longer than is worth keeping.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CAP) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{caught, detection, record};
    use proptest::prelude::*;
    use serde_json::json;

    /// A finding of one record; `n` and the flags vary everything that a merge looks at.
    fn finding(n: usize, denied: bool, agent: u8) -> Finding {
        let more = json!({
            "eventTime": format!("2026-11-20T03:{:02}:{:02}Z", n / 60 % 60, n % 60),
            "eventID": format!("00000000-0000-4000-8000-{n:012}"),
            "sourceIPAddress": format!("203.0.113.{}", n % 40),
            "userAgent": format!("agent {agent}"),
            "requestParameters": {"name": "org-trail"},
            "errorCode": denied.then_some("AccessDenied"),
        });
        let record = record("cloudtrail.amazonaws.com", "StopLogging", more);
        Finding::of(&caught(detection("cloudtrail-trail-stopped"), &record).expect("caught"))
    }

    fn merged(findings: &[Finding]) -> Finding {
        let mut all = findings[0].clone();
        findings[1..].iter().for_each(|finding| all.merge(finding));
        all
    }

    proptest! {
        #[test]
        fn a_merge_does_not_depend_on_order_repetition_or_grouping(
            parts in prop::collection::vec((0_usize..900, any::<bool>(), 0_u8..3), 1..40),
            split in any::<prop::sample::Index>(),
            swap in any::<prop::sample::Index>(),
        ) {
            let findings: Vec<Finding> = parts.iter().map(|(n, denied, agent)| finding(*n, *denied, *agent)).collect();
            let whole = merged(&findings);
            let mut shuffled = findings.clone();
            shuffled.rotate_left(swap.index(findings.len()));
            shuffled.reverse();
            shuffled.extend(findings.iter().cloned());
            prop_assert_eq!(&merged(&shuffled), &whole);
            let (left, right) = findings.split_at(split.index(findings.len()));
            if !left.is_empty() {
                prop_assert_eq!(&merged(&[merged(right), merged(left)]), &whole);
            }
        }
    }

    #[test]
    fn a_full_finding_is_the_same_whatever_came_first() {
        let findings: Vec<Finding> = (0..400).map(|n| finding(n, false, 0)).collect();
        let forward = merged(&findings);
        let backward = merged(&findings.iter().rev().cloned().collect::<Vec<_>>());
        assert!(forward.saturated && forward.event_count() == EVENT_IDS_CAP);
        assert_eq!(forward, backward);
        assert_eq!(merged(&[forward.clone(), findings[399].clone()]), forward, "repeated beyond the cap");
        assert_eq!(forward.facts.source_ips.len(), FACTS_CAP);
    }

    #[test]
    fn windows_and_keys_tell_findings_apart() {
        let in_three = finding(0, false, 0);
        let in_four = {
            let mut later = finding(0, false, 0);
            later.finding_id = finding_id(
                detection("cloudtrail-trail-stopped"),
                &later.account,
                &later.key,
                Time(later.first_seen.0 + 3600),
            );
            later
        };
        assert_eq!(finding(59 * 60, false, 0).finding_id, in_three.finding_id);
        assert_ne!(in_four.finding_id, in_three.finding_id);
        assert_eq!(in_four.thread_id(), in_three.thread_id());
    }

    #[test]
    fn labels_bring_all_facts_through_a_bucket() {
        let facts = finding(7, true, 1).facts;
        assert_eq!(Facts::from_labels(&facts.clone().to_labels()), facts);
    }
}
