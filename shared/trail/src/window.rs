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

/// How many different values a threshold may ask for.
pub const DISTINCT_CAP: usize = 8;

/// How many values with their times a bucket takes up. A value takes one place for each second of the bucket at most:
/// a full set holds as many different values as any threshold asks for, so that no flood of a few hides others.
pub const VALUES_CAP: usize = 300 * DISTINCT_CAP;

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
    /// Values and when they were seen, apart from the failures: a flood of one value cannot crowd out the others.
    pub values: BTreeSet<(i64, u64)>,
    /// Who, from where, in which account: what the finding says. `ip=203.0.113.7`.
    pub labels: BTreeSet<String>,
}

impl Bucket {
    /// Takes up everything of another bucket, up to the caps.
    pub fn absorb(&mut self, other: &Self) {
        fill(&mut self.failures, &other.failures, BUCKET_CAP);
        fill(&mut self.successes, &other.successes, BUCKET_CAP);
        fill(&mut self.values, &other.values, VALUES_CAP);
        fill(&mut self.labels, &other.labels, BUCKET_CAP);
    }
}

fn fill<T: Ord + Clone>(set: &mut BTreeSet<T>, more: &BTreeSet<T>, cap: usize) {
    for item in more {
        if set.len() >= cap {
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
    ///
    /// What lies within the sum of both, before and after a record's bucket, is all that the record can have to do
    /// with: judged then, whenever a record comes in, findings merge into what judging everything at once gives.
    pub fn reach(&self) -> (i64, i64) {
        let before = self.steps.iter().map(|step| step.seconds).max().unwrap_or(BUCKET_SECONDS);
        (before, self.success.map_or(0, |success| success.within))
    }

    /// The buckets in which a window was completed. More elements only ever give more, and worse.
    pub fn judge(&self, buckets: &BTreeMap<i64, Bucket>) -> Vec<Crossing> {
        let timeline = Timeline::new(buckets);
        let mut distinct: Vec<Distinct<'_>> = self.steps.iter().map(|step| timeline.distinct(step)).collect();
        let mut reached: BTreeMap<i64, Reached> = BTreeMap::new();
        for end in timeline.ends() {
            let here = reached.entry(bucket_of(Time(end))).or_default();
            let met = self.meet(&timeline, &mut distinct, end, here);
            self.follow(&timeline, end, met, here);
        }
        let crossed = reached.into_iter().filter_map(|(bucket, reached)| timeline.crossing(bucket, reached));
        crossed.map(|crossing| Crossing { failure: self.failure, ..crossing }).collect()
    }

    /// Whether windows that end here meet a step. Ends come in order of time.
    fn meet(&self, timeline: &Timeline<'_>, distinct: &mut [Distinct<'_>], end: i64, here: &mut Reached) -> bool {
        let mut met = false;
        for (step, distinct) in self.steps.iter().zip(distinct) {
            let enough = timeline.window(step.seconds, end).len() >= step.count;
            if distinct.at(end) >= step.distinct && enough {
                here.take(step.severity, step.seconds, end);
                met = true;
            }
        }
        met
    }

    /// Whether a success follows, where a step was met or there were a few failures at least.
    fn follow(&self, timeline: &Timeline<'_>, end: i64, met: bool, here: &mut Reached) {
        let Some(success) = self.success else { return };
        let longest = self.reach().0;
        if !met && timeline.window(longest, end).len() < success.few.max(1) {
            return;
        }
        let followed = timeline.successes_after(success.within, end, longest);
        if !followed.is_empty() {
            let severity = if met { success.severity } else { Severity::Informational };
            here.take(severity, longest, end);
            here.followed.extend(followed);
        }
    }
}

/// What the windows that end in one bucket amount to.
#[derive(Default)]
struct Reached {
    severity: Option<Severity>,
    /// For each length of window, the first and the last end. Windows are no shorter than a bucket, so that those
    /// that end in it overlap: they cover what lies between.
    ends: BTreeMap<i64, (i64, i64)>,
    followed: BTreeSet<Element>,
}

impl Reached {
    fn take(&mut self, severity: Severity, seconds: i64, end: i64) {
        self.severity = self.severity.max(Some(severity));
        let ends = self.ends.entry(seconds).or_insert((end, end));
        *ends = (ends.0.min(end), ends.1.max(end));
    }
}

/// All buckets of one key, in order of time.
struct Timeline<'b> {
    buckets: &'b BTreeMap<i64, Bucket>,
    failures: Vec<Element>,
    successes: Vec<Element>,
    values: Vec<(i64, u64)>,
    /// When each value failed: wanted only where there are successes.
    failed: BTreeMap<u64, Vec<i64>>,
}

impl<'b> Timeline<'b> {
    fn new(buckets: &'b BTreeMap<i64, Bucket>) -> Self {
        let mut timeline = Self {
            buckets,
            failures: buckets.values().flat_map(|bucket| &bucket.failures).copied().collect(),
            successes: buckets.values().flat_map(|bucket| &bucket.successes).copied().collect(),
            values: buckets.values().flat_map(|bucket| &bucket.values).copied().collect(),
            failed: BTreeMap::new(),
        };
        timeline.failures.sort_unstable();
        timeline.successes.sort_unstable();
        timeline.values.sort_unstable();
        if !timeline.successes.is_empty() {
            for (time, value) in &timeline.values {
                timeline.failed.entry(*value).or_default().push(*time);
            }
        }
        timeline
    }

    /// The times at which a window may end. Those of values are the same, and go on when the failures are full.
    fn ends(&self) -> BTreeSet<i64> {
        let values = self.values.iter().map(|value| value.0);
        self.failures.iter().map(|element| element.time).chain(values).collect()
    }

    fn window(&self, seconds: i64, end: i64) -> &[Element] {
        span(&self.failures, |e| e.time, end.saturating_sub(seconds), end)
    }

    fn distinct(&self, step: &Step) -> Distinct<'_> {
        // Where one is enough there is nothing to count: it is there whenever a failure is.
        let (values, least): (&[_], _) = if step.distinct > 1 { (&self.values, 0) } else { (&[], step.distinct) };
        Distinct { values, seconds: step.seconds, from: 0, until: 0, counts: BTreeMap::new(), least }
    }

    /// A success in the second of the failure follows it: the order within a second is not recorded.
    fn successes_after(&self, within: i64, end: i64, seconds: i64) -> Vec<Element> {
        let found = span(&self.successes, |e| e.time, end.saturating_sub(1), end.saturating_add(within));
        let failed = |success: &&Element| {
            let times = self.failed.get(&success.value).map_or(&[][..], Vec::as_slice);
            !span(times, |time| *time, end.saturating_sub(seconds), end).is_empty()
        };
        found.iter().filter(failed).copied().collect()
    }

    fn crossing(&self, bucket: i64, reached: Reached) -> Option<Crossing> {
        let severity = reached.severity?;
        let success = !reached.followed.is_empty();
        let mut elements = reached.followed;
        for (seconds, (first, last)) in reached.ends {
            elements.extend(span(&self.failures, |e| e.time, first.saturating_sub(seconds), last));
        }
        let labels = self.labels(&elements);
        Some(Crossing { bucket, severity, success, failure: Outcome::Failed, elements, labels })
    }

    /// What the buckets of these elements say.
    fn labels(&self, elements: &BTreeSet<Element>) -> BTreeSet<String> {
        let starts: BTreeSet<i64> = elements.iter().map(|element| bucket_of(Time(element.time))).collect();
        let buckets = starts.iter().filter_map(|start| self.buckets.get(start));
        buckets.flat_map(|bucket| &bucket.labels).cloned().collect()
    }
}

/// How many distinct values a window holds, while its end moves forward.
struct Distinct<'v> {
    values: &'v [(i64, u64)],
    seconds: i64,
    from: usize,
    until: usize,
    counts: BTreeMap<u64, usize>,
    least: usize,
}

impl Distinct<'_> {
    fn at(&mut self, end: i64) -> usize {
        while let Some((_, value)) = self.values.get(self.until).filter(|(time, _)| *time <= end) {
            *self.counts.entry(*value).or_default() += 1;
            self.until += 1;
        }
        let start = end.saturating_sub(self.seconds);
        while let Some((_, value)) = self.values.get(self.from).filter(|(time, _)| *time <= start) {
            self.forget(*value);
            self.from += 1;
        }
        self.counts.len().max(self.least)
    }

    fn forget(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(&value) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&value);
            }
        }
    }
}

/// The items with a time in (after, until], of items in order of time.
fn span<T>(items: &[T], time: impl Fn(&T) -> i64, after: i64, until: i64) -> &[T] {
    let start = items.partition_point(|item| time(item) <= after);
    let end = items.partition_point(|item| time(item) <= until);
    &items[start..end.max(start)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Detection;
    use crate::finding::Finding;
    use proptest::prelude::*;
    use proptest::sample::Index;

    static COUNTED: Detection = Detection { id: "counted", ..Detection::BASE };

    /// One record: when, which, of what value, success or failure.
    type Seen = (i64, u8, u64, bool);

    fn put(buckets: &mut BTreeMap<i64, Bucket>, (time, id, value, success): Seen) {
        let element = Element { time, id: [id; 16], value };
        let mut bucket = Bucket { labels: BTreeSet::from([format!("ip={id}")]), ..Bucket::default() };
        if success {
            bucket.successes.insert(element);
        } else {
            bucket.failures.insert(element);
            bucket.values.insert((time, value));
        }
        buckets.entry(bucket_of(Time(time))).or_default().absorb(&bucket);
    }

    fn buckets(seen: &[Seen]) -> BTreeMap<i64, Bucket> {
        let mut buckets = BTreeMap::new();
        for one in seen {
            put(&mut buckets, *one);
        }
        buckets
    }

    fn step(count: usize, distinct: usize, seconds: i64, severity: Severity) -> Step {
        Step { count, distinct, seconds, severity }
    }

    fn five_in_fifteen_minutes() -> Threshold {
        Threshold {
            failure: Outcome::Failed,
            steps: vec![step(5, 1, 900, Severity::High)],
            success: Some(Success { within: 3600, severity: Severity::Critical, few: 3 }),
        }
    }

    fn failures(times: impl IntoIterator<Item = i64>) -> Vec<Seen> {
        times.into_iter().zip(0..).map(|(time, id)| (time, id, 7, false)).collect()
    }

    fn worst(threshold: &Threshold, seen: &[Seen]) -> Option<(Severity, bool)> {
        threshold.judge(&buckets(seen)).iter().map(|c| (c.severity, c.success)).max()
    }

    #[test]
    fn a_window_slides_over_the_borders_of_buckets() {
        let threshold = five_in_fifteen_minutes();
        assert_eq!(worst(&threshold, &failures([299, 300, 599, 900, 1198])), Some((Severity::High, false)));
        assert_eq!(worst(&threshold, &failures([299, 300, 599, 900, 1199])), None, "900 seconds apart");
        assert_eq!(worst(&threshold, &failures([10; 4])), None);
        assert_eq!(worst(&threshold, &failures([10; 5])), Some((Severity::High, false)), "all in one second");
    }

    #[test]
    fn a_success_counts_after_the_failures_of_its_own_value() {
        let threshold = five_in_fifteen_minutes();
        let and = |count: i64, success: Seen| {
            let mut seen = failures((0..count).map(|i| 1000 + i));
            seen.push(success);
            worst(&threshold, &seen)
        };
        let critical = Some((Severity::Critical, true));
        let high = Some((Severity::High, false));
        assert_eq!(and(5, (1100, 200, 7, true)), critical);
        assert_eq!(and(5, (1004, 200, 7, true)), critical, "in the second of the last failure");
        assert_eq!(and(5, (4604, 200, 7, true)), critical, "an hour later");
        assert_eq!(and(5, (4605, 200, 7, true)), high, "too late");
        assert_eq!(and(5, (1003, 200, 7, true)), Some((Severity::High, true)), "before the threshold was met");
        assert_eq!(and(5, (1100, 200, 8, true)), high, "somebody else");
        assert_eq!(and(4, (1100, 200, 7, true)), Some((Severity::Informational, true)), "too few to be an attack");
        assert_eq!(and(2, (1100, 200, 7, true)), None, "anybody mistypes");
    }

    #[test]
    fn a_full_set_refuses_its_own_kind_alone() {
        let mut bucket = Bucket::default();
        let element = |i: usize| Element { time: 0, id: (i as u128).to_be_bytes(), value: 1 };
        let many = Bucket { failures: (0..=BUCKET_CAP).map(element).collect(), ..Bucket::default() };
        bucket.absorb(&many);
        assert_eq!(bucket.failures.len(), BUCKET_CAP);
        let more = Bucket {
            failures: BTreeSet::from([element(9999)]),
            successes: BTreeSet::from([element(1)]),
            values: BTreeSet::from([(0, 2)]),
            labels: BTreeSet::from(["ip=203.0.113.7".to_owned()]),
        };
        bucket.absorb(&more);
        assert_eq!((bucket.failures.len(), bucket.successes.len()), (BUCKET_CAP, 1));
        assert_eq!((bucket.values.len(), bucket.labels.len()), (1, 1));
    }

    #[test]
    fn no_flood_hides_that_there_were_many_values() {
        let threshold = Threshold {
            failure: Outcome::Denied,
            steps: vec![step(20, DISTINCT_CAP, 600, Severity::High)],
            success: None,
        };
        let flood = (0..300).flat_map(|second| (1..DISTINCT_CAP as u64).map(move |value| (second, 1, value, false)));
        let mut seen: Vec<Seen> = flood.collect();
        seen.push((150, 2, 99, false));
        assert_eq!(worst(&threshold, &seen), Some((Severity::High, false)));
        seen.reverse();
        assert_eq!(worst(&threshold, &seen), Some((Severity::High, false)));
    }

    #[test]
    fn an_element_survives_its_bytes() {
        let element = Element { time: -5, id: element_id("no uuid"), value: value_hash("alice") };
        assert_eq!(Element::from_bytes(&element.to_bytes()), Some(element));
        assert_eq!(Element::from_bytes(&[0; 31]), None);
        let id = "8c1f25d4-40a6-5b0e-9f3b-7d6a1e52c9b3";
        assert_eq!(id_text(element_id(id)), id);
    }

    #[test]
    fn times_at_the_end_of_the_world_are_judged_too() {
        let threshold = five_in_fifteen_minutes();
        let mut all = buckets(&failures([i64::MAX - 300; 5]));
        let far = Element { time: i64::MAX, id: [1; 16], value: 7 };
        all.entry(0).or_default().successes.insert(far);
        all.entry(1).or_default().failures.insert(Element { time: i64::MIN, ..far });
        assert_eq!(threshold.judge(&all).len(), 1);
    }

    /// The same by asking of every failure which others its windows hold.
    fn oracle(threshold: &Threshold, seen: &[Seen]) -> BTreeMap<i64, (Severity, bool, BTreeSet<Element>)> {
        let element = |(time, id, value, _): &Seen| Element { time: *time, id: [*id; 16], value: *value };
        let of = |success: bool| seen.iter().filter(move |one| one.3 == success).map(element).collect::<BTreeSet<_>>();
        let (failures, successes) = (of(false), of(true));
        let longest = threshold.steps.iter().map(|step| step.seconds).max().unwrap_or(BUCKET_SECONDS);
        let mut found = BTreeMap::new();
        for end in &failures {
            let window = |seconds| failures.iter().filter(move |e| e.time > end.time - seconds && e.time <= end.time);
            let values = |seconds| window(seconds).map(|e| e.value).collect::<BTreeSet<_>>();
            let mut say = |severity: Severity, success: bool, elements: BTreeSet<Element>| {
                let entry = found.entry(bucket_of(Time(end.time))).or_insert((severity, success, BTreeSet::new()));
                *entry = (entry.0.max(severity), entry.1 | success, &entry.2 | &elements);
            };
            let mut met = false;
            for step in &threshold.steps {
                if window(step.seconds).count() >= step.count && values(step.seconds).len() >= step.distinct {
                    met = true;
                    say(step.severity, false, window(step.seconds).copied().collect());
                }
            }
            let Some(success) = threshold.success else { continue };
            if !met && window(longest).count() < success.few {
                continue;
            }
            let follows = |s: &&Element| s.time >= end.time && s.time <= end.time + success.within;
            for after in successes.iter().filter(follows).filter(|s| values(longest).contains(&s.value)) {
                let severity = if met { success.severity } else { Severity::Informational };
                say(severity, true, window(longest).chain([after]).copied().collect());
            }
        }
        found
    }

    fn thresholds() -> impl Strategy<Value = Threshold> {
        let severity = prop_oneof![Just(Severity::Low), Just(Severity::High), Just(Severity::Critical)];
        let step = (1..6_usize, 1..4_usize, 1..5_i64, severity.clone())
            .prop_map(|(count, distinct, spans, severity)| step(count, distinct, spans * BUCKET_SECONDS, severity));
        let success =
            (1..4000_i64, severity, 1..4_usize).prop_map(|(within, severity, few)| Success { within, severity, few });
        let parts = (prop::collection::vec(step, 1..3), prop::option::of(success));
        parts.prop_map(|(steps, success)| Threshold { failure: Outcome::Failed, steps, success })
    }

    fn records() -> impl Strategy<Value = Vec<Seen>> {
        let one = (0..6000_i64, any::<u8>(), 0..4_u64, prop::bool::weighted(0.2));
        prop::collection::vec(one, 0..40)
    }

    fn findings(threshold: &Threshold, buckets: &BTreeMap<i64, Bucket>) -> BTreeMap<String, Finding> {
        let mut found = BTreeMap::new();
        merge(&mut found, threshold, buckets);
        found
    }

    fn merge(found: &mut BTreeMap<String, Finding>, threshold: &Threshold, buckets: &BTreeMap<i64, Bucket>) {
        for crossing in threshold.judge(buckets) {
            let finding = Finding::of_crossing(&COUNTED, "1", "k", &crossing);
            found.entry(finding.finding_id.clone()).and_modify(|known| known.merge(&finding)).or_insert(finding);
        }
    }

    proptest! {
        #[test]
        fn judges_as_every_window_one_by_one_does(threshold in thresholds(), seen in records()) {
            let judged = threshold.judge(&buckets(&seen));
            let judged: BTreeMap<_, _> =
                judged.into_iter().map(|c| (c.bucket, (c.severity, c.success, c.elements))).collect();
            prop_assert_eq!(judged, oracle(&threshold, &seen));
        }

        #[test]
        fn order_and_repetition_change_nothing(
            threshold in thresholds(),
            (seen, shuffled) in records().prop_flat_map(|seen| (Just(seen.clone()), Just(seen).prop_shuffle())),
        ) {
            let mut again = buckets(&shuffled);
            for one in &shuffled {
                put(&mut again, *one);
            }
            prop_assert_eq!(&again, &buckets(&seen));
            prop_assert_eq!(threshold.judge(&again), threshold.judge(&buckets(&seen)));
        }

        #[test]
        fn more_records_never_lower_or_remove_anything(
            threshold in thresholds(),
            seen in records(),
            more in records(),
        ) {
            let few = threshold.judge(&buckets(&seen));
            let all = threshold.judge(&buckets(&[seen, more].concat()));
            for crossing in few {
                let grown = all.iter().find(|c| c.bucket == crossing.bucket);
                let Some(grown) = grown else { return Err(TestCaseError::fail(format!("{crossing:?} vanished"))) };
                prop_assert!(grown.severity >= crossing.severity && grown.success >= crossing.success);
                prop_assert!(grown.elements.is_superset(&crossing.elements));
                prop_assert!(grown.labels.is_superset(&crossing.labels));
            }
        }

        #[test]
        fn judging_as_records_arrive_gives_what_judging_once_gives(
            threshold in thresholds(),
            seen in records(),
            late in prop::collection::vec(any::<Index>(), 0..5),
        ) {
            let (mut arrived, mut found) = (BTreeMap::new(), BTreeMap::new());
            let repeated = late.iter().filter(|_| !seen.is_empty()).map(|index| *index.get(&seen));
            for one in seen.iter().copied().chain(repeated) {
                put(&mut arrived, one);
                let (before, after) = threshold.reach();
                // From the bucket's borders, not the record's time: what a bucket says is said of all its records.
                let bucket = bucket_of(Time(one.0));
                let around = bucket - before - after - BUCKET_SECONDS..=bucket + before + after + BUCKET_SECONDS;
                let near = arrived.range(around).map(|(start, bucket)| (*start, bucket.clone())).collect();
                merge(&mut found, &threshold, &near);
            }
            prop_assert_eq!(found, findings(&threshold, &buckets(&seen)));
        }
    }
}
