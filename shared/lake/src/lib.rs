//! The lake: all records as Parquet on any object store, written, compacted and searched.
//!
//! ```text
//! hot/dt=2026-11-20/<hash>.parquet                 what a batch of log files brought, as it came
//! records/dt=2026-11-20/part-0-of-2.parquet        the day, sorted, each record once
//! keys/dt=2026-11-20/part-0-of-2.keys              which row groups of the part hold a value; derived, disposable
//! ```

pub mod answer;
pub mod columns;
pub mod error;
pub mod layout;
pub mod query;
pub mod questions;
mod read;
mod rows;
pub mod sql;
pub mod who;
mod write;

pub use error::Error;
pub use layout::Lake;
pub use query::Query;
pub use write::Hot;
