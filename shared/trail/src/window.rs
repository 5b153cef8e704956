//! Thresholds over event time.
//!
//! Failures and successes are kept in buckets of five minutes, per detection and key. Everything here is a set and
//! only ever grows, so that late, repeated and reordered records give what one ordered pass would have given.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::detection::Severity;
use crate::record::Outcome;
use crate::time::Time;

/// The span of a bucket, in seconds. Windows are multiples of it.
pub const BUCKET_SECONDS: i64 = 300;

/// How many elements of a kind a bucket takes up; beyond, only that kind is refused.
pub const BUCKET_CAP: usize = 512;

/// When a number of records becomes a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// What the counted records came to: `failed`, or `denied` where refusals are counted.
    pub failure: Outcome,
    /// Each with its own severity; the worst one that is met counts.
    pub steps: Vec<Step>,
    /// What a success after failures means.
    pub success: Option<Success>,
}

/// So many records within so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many failures.
    pub count: usize,
    /// Of how many distinct values at least.
    pub distinct: usize,
    /// Within how many seconds: a multiple of [`BUCKET_SECONDS`].
    pub seconds: i64,
    /// How bad that is.
    pub severity: Severity,
}

/// A success after failures of the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Success {
    /// How soon after the failure that met a step, in seconds.
    pub within: i64,
    /// How bad that is.
    pub severity: Severity,
    /// So many failures, too few for any step, and then a success: for information.
    pub few: usize,
}

/// One record in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    /// When.
    pub time: i64,
    /// Which record; see [`element_id`].
    pub id: [u8; 16],
    /// The hash of what distinct ones are counted of; see [`value_hash`].
    pub value: u64,
}

impl Element {
    /// 32 bytes: time, id, value, each big-endian.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.time.to_be_bytes());
        bytes[8..24].copy_from_slice(&self.id);
        bytes[24..].copy_from_slice(&self.value.to_be_bytes());
        bytes
    }

    /// Back from [`Element::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        Some(Self {
            time: i64::from_be_bytes(bytes[..8].try_into().ok()?),
            id: bytes[8..24].try_into().ok()?,
            value: u64::from_be_bytes(bytes[24..].try_into().ok()?),
        })
    }
}

/// A record's id in 16 bytes: a UUID's own, else the beginning of its SHA-256.
pub fn element_id(id: &str) -> [u8; 16] {
    uuid::Uuid::parse_str(id).map_or_else(
        |_| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&Sha256::digest(id)[..16]);
            bytes
        },
        uuid::Uuid::into_bytes,
    )
}

/// An element's id as text, in the form of a UUID.
pub fn id_text(id: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(id).to_string()
}

/// The hash of a distinct value: the beginning of its SHA-256.
pub fn value_hash(value: &str) -> u64 {
    let digest = Sha256::digest(value);
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// What happened to one key in five minutes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Failures.
    pub failures: BTreeSet<Element>,
    /// Successes, which may arrive before the failures that precede them.
    pub successes: BTreeSet<Element>,
    /// Distinct values and when they were seen, so that a flood of one value cannot crowd out the others.
    pub values: BTreeSet<(i64, u64)>,
    /// Who, from where, in which account: what the finding says. `ip=203.0.113.7`.
    pub labels: BTreeSet<String>,
}

impl Bucket {
    /// Takes up everything of another bucket, up to the caps.
    pub fn absorb(&mut self, other: &Self) {
        fill(&mut self.failures, &other.failures);
        fill(&mut self.successes, &other.successes);
        fill(&mut self.values, &other.values);
        fill(&mut self.labels, &other.labels);
    }
}

fn fill<T: Ord + Clone>(set: &mut BTreeSet<T>, more: &BTreeSet<T>) {
    for item in more {
        if set.len() >= BUCKET_CAP {
            return;
        }
        set.insert(item.clone());
    }
}

/// The bucket of a time.
pub fn bucket_of(time: Time) -> i64 {
    time.floor(BUCKET_SECONDS).0
}

/// A bucket in which some record completed a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The bucket's start.
    pub bucket: i64,
    /// The worst that was reached.
    pub severity: Severity,
    /// Whether a success followed.
    pub success: bool,
    /// What the counted records came to.
    pub failure: Outcome,
    /// The records of all windows completed here, successes included.
    pub elements: BTreeSet<Element>,
    /// What the buckets of those windows say.
    pub labels: BTreeSet<String>,
}

impl Threshold {
    /// How far before a record its window may reach, and how far after it a success still counts, in seconds.
    pub fn reach(&self) -> (i64, i64) {
        let before = self.steps.iter().map(|step| step.seconds).max().unwrap_or(BUCKET_SECONDS);
        (before, self.success.map_or(0, |success| success.within))
    }

    /// The buckets in which a window was completed. More elements only ever give more, and worse.
    pub fn judge(&self, buckets: &BTreeMap<i64, Bucket>) -> Vec<Crossing> {
        let timeline = Timeline::new(buckets);
        let mut crossings: BTreeMap<i64, Crossing> = BTreeMap::new();
        for last in &timeline.failures {
            if let Some(crossing) = self.at(&timeline, last) {
                merge_crossing(&mut crossings, crossing);
            }
        }
        let labelled = crossings.into_values().map(|crossing| timeline.label(crossing));
        labelled.collect()
    }

    /// What the windows that end with `last` amount to. Each part depends on more elements in one direction only.
    fn at(&self, timeline: &Timeline<'_>, last: &Element) -> Option<Crossing> {
        let met: Vec<&Step> = self.steps.iter().filter(|step| timeline.meets(step, last.time)).collect();
        let mut elements: BTreeSet<Element> =
            met.iter().flat_map(|step| timeline.window(step.seconds, last.time)).copied().collect();
        let mut severity = met.iter().map(|step| step.severity).max();
        let followed = self.followed(timeline, last.time, met.is_empty());
        if let (Some(success), false) = (self.success, followed.is_empty()) {
            let follow = if met.is_empty() { Severity::Informational } else { success.severity };
            severity = severity.max(Some(follow));
            elements.extend(timeline.window(self.reach().0, last.time));
        }
        let success = !followed.is_empty();
        elements.extend(followed);
        let bucket = bucket_of(Time(last.time));
        Some(Crossing {
            bucket,
            severity: severity?,
            success,
            failure: self.failure,
            elements,
            labels: BTreeSet::new(),
        })
    }

    /// The successes that follow a failure at `end`, where a step was met there or there were a few at least.
    fn followed<'t>(&self, timeline: &'t Timeline<'_>, end: i64, unmet: bool) -> Vec<&'t Element> {
        let Some(success) = self.success else { return Vec::new() };
        let longest = self.reach().0;
        if unmet && timeline.window(longest, end).len() < success.few.max(1) {
            return Vec::new();
        }
        timeline.successes_after(success.within, end, longest)
    }
}

fn merge_crossing(crossings: &mut BTreeMap<i64, Crossing>, crossing: Crossing) {
    match crossings.get_mut(&crossing.bucket) {
        Some(known) => {
            known.severity = known.severity.max(crossing.severity);
            known.success |= crossing.success;
            known.elements.extend(crossing.elements);
        }
        None => {
            crossings.insert(crossing.bucket, crossing);
        }
    }
}

/// All buckets of one key, in order of time.
struct Timeline<'b> {
    buckets: &'b BTreeMap<i64, Bucket>,
    failures: Vec<Element>,
    successes: Vec<Element>,
    values: Vec<(i64, u64)>,
}

impl<'b> Timeline<'b> {
    fn new(buckets: &'b BTreeMap<i64, Bucket>) -> Self {
        Self {
            buckets,
            failures: buckets.values().flat_map(|bucket| &bucket.failures).copied().collect(),
            successes: buckets.values().flat_map(|bucket| &bucket.successes).copied().collect(),
            values: buckets.values().flat_map(|bucket| &bucket.values).copied().collect(),
        }
    }

    fn window(&self, seconds: i64, end: i64) -> Vec<&Element> {
        span(&self.failures, |e| e.time, end - seconds, end).iter().collect()
    }

    fn values_in(&self, seconds: i64, end: i64) -> BTreeSet<u64> {
        span(&self.values, |v| v.0, end - seconds, end).iter().map(|value| value.1).collect()
    }

    fn meets(&self, step: &Step, end: i64) -> bool {
        span(&self.failures, |e| e.time, end - step.seconds, end).len() >= step.count
            && (step.distinct <= 1 || self.values_in(step.seconds, end).len() >= step.distinct)
    }

    fn successes_after(&self, within: i64, end: i64, seconds: i64) -> Vec<&Element> {
        let found = span(&self.successes, |e| e.time, end, end + within);
        if found.is_empty() {
            return Vec::new();
        }
        let failed = self.values_in(seconds, end);
        found.iter().filter(|success| failed.contains(&success.value)).collect()
    }

    /// Adds what the buckets around the crossing's elements say.
    fn label(&self, mut crossing: Crossing) -> Crossing {
        let spans: BTreeSet<i64> = crossing.elements.iter().map(|e| bucket_of(Time(e.time))).collect();
        for bucket in spans.iter().filter_map(|start| self.buckets.get(start)) {
            crossing.labels.extend(bucket.labels.iter().cloned());
        }
        crossing
    }
}

/// The items with a time in (after, until], of items in order of time.
fn span<T>(items: &[T], time: impl Fn(&T) -> i64, after: i64, until: i64) -> &[T] {
    let start = items.partition_point(|item| time(item) <= after);
    let end = items.partition_point(|item| time(item) <= until);
    &items[start..end.max(start)]
}
