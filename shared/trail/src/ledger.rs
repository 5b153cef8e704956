//! Matches gathered into findings: of a batch before it goes to the table, or of everything a scan has seen.

use std::collections::BTreeMap;

use crate::detection::Detection;
use crate::finding::{Finding, Match};
use crate::settings::Settings;
use crate::window::{Bucket, Element, bucket_of, element_id, value_hash};

/// What a threshold is counted for.
#[derive(Debug, Clone)]
pub struct TallyKey {
    /// Whose threshold.
    pub detection: &'static Detection,
    /// The account; `*` for several.
    pub account: String,
    /// What tells it apart from others of its detection and account.
    pub key: String,
}

impl TallyKey {
    fn sort_key(&self) -> (&str, &str, &str) {
        (self.detection.id, &self.account, &self.key)
    }
}

impl PartialEq for TallyKey {
    fn eq(&self, other: &Self) -> bool {
        self.sort_key() == other.sort_key()
    }
}

impl Eq for TallyKey {}

impl PartialOrd for TallyKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TallyKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

/// Findings and counts towards thresholds, merged as they come.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Findings of single records, by id.
    pub findings: BTreeMap<String, Finding>,
    /// Counts towards thresholds, in buckets of five minutes.
    pub tallies: BTreeMap<TallyKey, BTreeMap<i64, Bucket>>,
    /// Access keys that a root session was issued with, and by whom.
    pub issued: BTreeMap<String, String>,
}

impl Ledger {
    /// Takes up a match.
    pub fn add(&mut self, found: &Match) {
        if let Some(key) = &found.issued_key {
            self.issued.insert(key.clone(), found.lead.actor.display());
        }
        if found.tally.is_some() {
            self.count(found);
            return;
        }
        let finding = Finding::of(found);
        match self.findings.get_mut(&finding.finding_id) {
            Some(known) => known.merge(&finding),
            None => {
                self.findings.insert(finding.finding_id.clone(), finding);
            }
        }
    }

    /// An expected failure is nobody's attack: it is a match, and counts towards nothing.
    fn count(&mut self, found: &Match) {
        let Some(tally) = found.tally.as_ref().filter(|_| found.lowered_by.is_none()) else { return };
        let key = TallyKey { detection: found.detection, account: found.account.clone(), key: found.key.clone() };
        let time = found.lead.time.0;
        let element = Element { time: time.0, id: element_id(&found.event_id), value: value_hash(&tally.value) };
        let mut bucket = Bucket { labels: found.facts().to_labels(), ..Bucket::default() };
        if tally.success {
            bucket.successes.insert(element);
        } else {
            bucket.failures.insert(element);
            bucket.values.insert((element.time, element.value));
        }
        self.tallies.entry(key).or_default().entry(bucket_of(time)).or_default().absorb(&bucket);
    }

    /// Everything found, by time of the first record.
    pub fn findings(&self, settings: &Settings) -> Vec<Finding> {
        let mut all = self.findings.clone();
        for (key, buckets) in &self.tallies {
            for finding in crossings(key, buckets, settings) {
                merge_into(&mut all, finding);
            }
        }
        let mut findings: Vec<Finding> = all.into_values().collect();
        findings.sort_by(|a, b| (a.first_seen, &a.finding_id).cmp(&(b.first_seen, &b.finding_id)));
        findings
    }
}

/// The findings of one key's buckets.
pub fn crossings(key: &TallyKey, buckets: &BTreeMap<i64, Bucket>, settings: &Settings) -> Vec<Finding> {
    let Some(threshold) = key.detection.threshold else { return Vec::new() };
    let crossings = threshold(&settings.thresholds).judge(buckets);
    let mut found = BTreeMap::new();
    for crossing in &crossings {
        merge_into(&mut found, Finding::of_crossing(key.detection, &key.account, &key.key, crossing));
    }
    found.into_values().collect()
}

fn merge_into(findings: &mut BTreeMap<String, Finding>, finding: Finding) {
    match findings.get_mut(&finding.finding_id) {
        Some(known) => known.merge(&finding),
        None => {
            findings.insert(finding.finding_id.clone(), finding);
        }
    }
}
