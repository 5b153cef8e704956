//! A chain from its oldest digest to its newest.

use super::{
    Arrived, Chain, ChainHead, DigestName, Gap, HOUR, Problem, ProblemKind, PublicKeys, Window, missing_before,
    missing_between,
};
use crate::time::Time;

/// Follows one chain, digest by digest in the order of their windows.
#[derive(Debug, Clone)]
pub struct Walk<'k> {
    keys: &'k PublicKeys,
    now: Time,
    from: Option<Time>,
    /// The last digest, whatever is wrong with it.
    last: Option<ChainHead>,
    /// The last one with whose signature nothing is wrong: a forged one in between must not hide it.
    believed: Option<ChainHead>,
    /// The last one that is there and could not be read.
    skipped: Option<(String, Time)>,
    covered: Option<Window>,
    problems: Vec<Problem>,
    gaps: Vec<Gap>,
}

/// What a walk came to.
#[derive(Debug, Clone, Default)]
pub struct Walked {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What has to be explained.
    pub gaps: Vec<Gap>,
    /// From the first window to the last.
    pub covered: Option<Window>,
}

impl<'k> Walk<'k> {
    /// A walk that has to begin at `from`, where that is said.
    pub fn new(keys: &'k PublicKeys, now: Time, from: Option<Time>) -> Self {
        let (problems, gaps) = (Vec::new(), Vec::new());
        Self { keys, now, from, last: None, believed: None, skipped: None, covered: None, problems, gaps }
    }

    /// A digest that is there and cannot be read.
    pub fn skip(&mut self, key: &str, name: &DigestName, reason: impl Into<String>) {
        // Anybody can put a file with a name from the future: it must not hide what is missing before it.
        let end = name.end.min(self.now);
        let window = Window { from: Time(end.0 - HOUR), to: end };
        self.problems.push(Problem::new(ProblemKind::Unreadable, key, &name.chain, reason).within(window));
        if let Some(reached) = self.reached().filter(|_| !name.chain.backfill) {
            let all = Window { from: reached, to: window.from };
            self.problems.extend(missing_before(&name.chain, all, None));
        }
        self.skipped = Some((key.to_owned(), end));
    }

    /// The next digest. Yields whether it is beyond doubt what AWS signed.
    pub fn step(&mut self, arrived: &Arrived<'_>) -> bool {
        let own = arrived.check(self.keys, self.now);
        let proven = own.is_empty();
        let believed = own.iter().all(|problem| problem.kind == ProblemKind::Unverified);
        let sound = !own.iter().any(|problem| problem.kind == ProblemKind::DigestWindow);
        self.problems.extend(own);
        self.compare(arrived);
        let head = ChainHead::of(&arrived.name.chain, arrived.digest, arrived.signature());
        // A window that cannot be true covers nothing.
        if sound {
            let from = self.covered.map_or(head.start, |covered| covered.from);
            self.covered = Some(Window { from, to: head.end });
            self.last = Some(head.clone());
        }
        if believed {
            self.believed = Some(head);
        }
        proven
    }

    /// Ends the walk. `to`: what has to be covered.
    pub fn finish(mut self, to: Option<Time>) -> Walked {
        if let (Some(to), Some(end), Some(head)) = (to, self.reached(), &self.last)
            && !head.chain.backfill
        {
            let head = ChainHead { end, ..head.clone() };
            self.problems.extend(head.missing_until(to));
        }
        Walked { problems: self.problems, gaps: self.gaps, covered: self.covered }
    }

    /// Up to where there is a digest for each hour, or it was told that there is none.
    fn reached(&self) -> Option<Time> {
        let skipped = self.skipped.as_ref().map(|(_, end)| *end);
        self.last.as_ref().map(|last| last.end).max(skipped).or(self.from)
    }

    fn compare(&mut self, arrived: &Arrived<'_>) {
        let digest = arrived.digest;
        let named = digest.previous_object.as_deref();
        let is_named = |head: &&ChainHead| named == Some(head.object.as_str());
        let named_head = self.last.as_ref().filter(is_named).or(self.believed.as_ref().filter(is_named));
        if let Some(before) = named_head {
            self.problems.extend(arrived.check_link(before));
            return;
        }
        if named.is_some() && named == self.skipped.as_ref().map(|(key, _)| key.as_str()) {
            return;
        }
        if arrived.name.chain.backfill {
            self.problems.extend(named.map(|named| lost(&arrived.name.chain, named)));
            return;
        }
        match self.last.clone() {
            None => self.begin(arrived),
            Some(before) => self.interrupted(arrived, &before),
        }
    }

    /// The first digest that is there.
    fn begin(&mut self, arrived: &Arrived<'_>) {
        let (digest, chain) = (arrived.digest, &arrived.name.chain);
        let from = self.reached();
        match (from, digest.is_anchor()) {
            (Some(from), true) if from < digest.start => {
                self.gaps.push(Gap::before_first(chain, from, digest, arrived.key));
            }
            (Some(from), false) => {
                let all = Window { from, to: digest.start };
                self.problems.extend(missing_before(chain, all, digest.previous_object.as_deref()));
            }
            (_, true) => {}
            (None, false) => {
                let window = Window { from: Time(digest.start.0 - HOUR), to: digest.start };
                let named = digest.previous_object.as_deref().unwrap_or_default();
                let told = lost(chain, named).within(window);
                self.problems.push(told);
            }
        }
    }

    /// The digest before is not the one that this one names.
    fn interrupted(&mut self, arrived: &Arrived<'_>, before: &ChainHead) {
        if let Some(gap) = arrived.gap_after(before) {
            self.gaps.push(gap);
            return;
        }
        self.problems.extend(arrived.check_link(before));
        let head = ChainHead { end: self.reached().unwrap_or(before.end), ..before.clone() };
        let missing = missing_between(&head, arrived.digest);
        if missing.is_empty() {
            let named = arrived.digest.previous_object.as_deref().unwrap_or_default();
            let detail = format!("it follows {named}, which is not there; before it lies {}", before.object);
            let told = Problem::new(ProblemKind::DigestLink, arrived.key, &before.chain, detail);
            self.problems.push(told.within(arrived.digest.window()));
        }
        self.problems.extend(missing);
    }
}

fn lost(chain: &Chain, named: &str) -> Problem {
    let detail = "the next digest names it, and it is not there; were older ones left out on purpose, say --from";
    Problem::new(ProblemKind::DigestMissing, named, chain, detail)
}
