//! Interruptions of a chain, and the calls that explain them.

use super::{Chain, ChainHead, Digest, HOUR, Problem, ProblemKind, Window};
use crate::record::{Outcome, Record};
use crate::time::Time;

/// How long after a call, in seconds, a chain may still go on: validation ends with the hour under way.
const REACH: i64 = 2 * HOUR;

/// A chain breaks off and begins anew, as it does when somebody stops a trail and starts it again, or when digests are
/// deleted and the one after them is the first after such a stop. Only a record tells which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Which chain.
    pub chain: Chain,
    /// The digest that begins anew.
    pub object: String,
    /// What nothing covers.
    pub window: Window,
    /// When the call that explains it was made.
    pub called: Window,
    /// Whether it has to be a call that stops; otherwise one that starts.
    stops: bool,
}

impl Gap {
    /// Between a digest and one that names no predecessor.
    pub(super) fn after(before: &ChainHead, next: &Digest, key: &str) -> Self {
        let window = Window { from: before.end, to: next.start.max(before.end) };
        let called = Window { from: before.start, to: Time(before.end.0.saturating_add(REACH)) };
        Self { chain: before.chain.clone(), object: key.to_owned(), window, called, stops: true }
    }

    /// Between the last digest and now: nothing has come since.
    pub fn open(head: &ChainHead, now: Time) -> Self {
        let window = Window { from: head.end, to: now.max(head.end) };
        let called = Window { from: head.start, to: Time(head.end.0.saturating_add(REACH)) };
        Self { chain: head.chain.clone(), object: head.object.clone(), window, called, stops: true }
    }

    /// Between a time that should be covered and the first digest of all.
    pub fn before_first(chain: &Chain, from: Time, first: &Digest, key: &str) -> Self {
        let window = Window { from, to: first.start };
        let called =
            Window { from: Time(first.start.0.saturating_sub(REACH)), to: Time(first.end.0.saturating_add(REACH)) };
        Self { chain: chain.clone(), object: key.to_owned(), window, called, stops: false }
    }

    /// Whether a call explains it. The record has to be one that AWS signed.
    pub fn is_explained_by(&self, change: &TrailChange) -> bool {
        let called = self.called.from <= change.time && change.time < self.called.to;
        let fits = if self.stops { change.stops } else { change.starts };
        fits && called && change.trail == self.chain.trail && change.region == self.chain.home_region
    }

    /// What to say when nothing explains it.
    pub fn unexplained(&self) -> Problem {
        let calls = if self.stops {
            "StopLogging, UpdateTrail or DeleteTrail"
        } else {
            "CreateTrail, StartLogging or UpdateTrail"
        };
        let Window { from, to } = self.called;
        let detail = format!(
            "it begins the chain anew, and no signed log file of {} has {calls} of this trail between {from} and {to}",
            self.chain.home_region
        );
        Problem::new(ProblemKind::GapUnexplained, &self.object, &self.chain, detail).within(self.window)
    }
}

/// A call that interrupts a chain or begins one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailChange {
    /// When.
    pub time: Time,
    /// The trail's name.
    pub trail: String,
    /// The region that the call was made in.
    pub region: String,
    /// Whether digests stop with it.
    pub stops: bool,
    /// Whether digests start with it.
    pub starts: bool,
}

impl TrailChange {
    /// What a record says; only calls that were carried out count.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        if record.source != "cloudtrail.amazonaws.com" || record.outcome() != Outcome::Success {
            return None;
        }
        record.load().ok()?;
        let validates = || record.request()["enableLogFileValidation"].as_bool();
        let (stops, starts) = match &*record.name {
            "StopLogging" | "DeleteTrail" => (true, false),
            "StartLogging" | "CreateTrail" => (false, true),
            "UpdateTrail" => (validates() == Some(false), validates() == Some(true)),
            _ => return None,
        };
        let named = record.parameter("name");
        let (named, region) = match named.strip_prefix("arn:") {
            Some(arn) => (named.rsplit('/').next().unwrap_or_default(), arn.split(':').nth(2).unwrap_or_default()),
            None => (named, &*record.region),
        };
        let time = record.event_time().ok()?;
        Some(Self { time, trail: named.to_owned(), region: region.to_owned(), stops, starts })
    }
}
