//! What the facts of records and the lake cost beside evaluating them, and how many writes say what type of thing they
//! are about.

use lake::Hot;
use lake::hot::FULL;
use trail::facts::{Facts, Hint};
use trail::record::Record;

/// Nanoseconds a record that the facts may take.
const MOST_NANOSECONDS: f64 = 3500.0;

/// How many times the CPU time without the lake it may take with it.
const MOST_TIMES: f64 = 4.0;

/// The hot files of a corpus, as `ingest` makes them: they are sealed as soon as they are full.
#[derive(Default)]
pub(crate) struct Lake {
    hot: Hot,
    bytes: usize,
}

impl Lake {
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        self.hot.push(&Facts::of(record, Hint::default()).expect("a readable record"));
        if self.hot.bytes() >= FULL {
            self.seal();
        }
    }

    pub(crate) fn seal(&mut self) {
        let sealed = std::mem::take(&mut self.hot).seal().expect("sealed");
        self.bytes += sealed.bytes();
    }

    /// Prints it; `evaluate` and `both` are seconds without the lake and with it.
    pub(crate) fn report(&self, evaluate: f64, both: f64) {
        println!(
            "lake: with hot files written ({} MB) {:.2} times the CPU time of reading and evaluating; limit {MOST_TIMES}: {}",
            self.bytes / 1_000_000,
            both / evaluate,
            crate::verdict(both <= MOST_TIMES * evaluate)
        );
    }
}

/// What the facts of a corpus hold.
#[derive(Default)]
pub(crate) struct Tally {
    records: usize,
    resources: usize,
    writes: usize,
    typed: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        let facts = Facts::of(record, Hint::default()).expect("a readable record");
        self.records += 1;
        self.resources += facts.resources.len();
        self.writes += usize::from(!facts.read_only);
        self.typed += usize::from(!facts.read_only && !facts.resource_types.is_empty());
    }

    /// Prints it; `evaluate` and `both` are seconds without the facts and with them.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn report(&self, evaluate: f64, both: f64) {
        let nanoseconds = |seconds: f64| seconds * 1e9 / self.records as f64;
        let own = nanoseconds(both - evaluate);
        println!(
            "facts: {own:.0} ns a record beside {:.0} ns for reading and evaluating it; limit {MOST_NANOSECONDS}: {}",
            nanoseconds(evaluate),
            crate::verdict(own <= MOST_NANOSECONDS)
        );
        println!(
            "{:.2} resources a record; {:.1} % of {} writes have a resource type",
            self.resources as f64 / self.records as f64,
            self.typed as f64 * 100.0 / self.writes as f64,
            self.writes
        );
    }
}
