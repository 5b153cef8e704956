//! What the facts of records cost beside evaluating them, and how many writes say what type of thing they are about.

use trail::facts::{Facts, Hint};
use trail::record::Record;

/// Nanoseconds a record that the facts may take.
const MOST_NANOSECONDS: f64 = 3500.0;

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
