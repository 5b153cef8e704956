//! The access review: who had access, what they used of it, what was decided, and whether that came about.
//!
//! Pure. A [`Population`] is made from snapshots and usage; everything that happens afterwards is an [`Entry`] of an
//! append-only log, and how the review stands is a fold over both.

pub mod decision;
pub mod people;
pub mod period;
pub mod population;
pub mod usage;

pub use decision::{Act, By, Decision, Entry, Verb};
pub use people::{People, PeopleError};
pub use period::{Period, PeriodError};
pub use population::{Grant, GrantKind, Input, Listed, Population, Receipt, Scope, Subject, SubjectKind};
pub use usage::{ActorKey, RecordId, Usage};
