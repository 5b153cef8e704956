//! The lake: all records as Parquet on any object store, written, compacted and searched.
//!
//! ```text
//! hot/dt=2026-11-20/<hash>.parquet                 what a batch of log files brought, as it came
//! records/dt=2026-11-20/part-0-of-2.parquet        the day, sorted, each record once
//! keys/dt=2026-11-20/part-0-of-2.keys              which row groups of the part hold a value; derived, disposable
//! ```

pub mod absorb;
pub mod answer;
pub mod columns;
mod encode;
pub mod error;
mod footer;
pub mod hot;
pub mod keys;
pub mod layout;
pub mod lock;
mod merge;
mod order;
mod part;
pub mod pending;
pub mod query;
pub mod questions;
mod read;
mod rows;
mod runs;
pub mod sql;
pub mod table;
mod upload;
pub mod usage;
pub mod who;

pub use error::Error;
pub use hot::{Hot, Sealed};
pub use layout::Lake;
pub use query::Query;
