//! The access review: who had access, what they used of it, what was decided, and whether that came about.
//!
//! Pure. A [`Population`] is made from snapshots and usage; everything that happens afterwards is an [`Entry`] of an
//! append-only log, and how the review stands is a fold over both.

pub mod decision;
pub mod effect;
pub mod people;
pub mod period;
pub mod population;
pub mod rules;
pub mod sheet;
pub mod standing;
pub mod usage;

#[cfg(test)]
mod testing;

pub use decision::{Act, Broken, By, Decision, Entry, Verb};
pub use effect::{Known, Plan, Sighting, Watch};
pub use people::{People, PeopleError};
pub use period::{Period, PeriodError};
pub use population::{Grant, GrantKind, Input, Listed, Population, Receipt, Scope, Subject, SubjectKind};
pub use rules::{Persons, Refusal, Rules};
pub use standing::{Cycle, Remedy, Stage, Standing, Trace};
pub use usage::{ActorKey, RecordId, Usage};
