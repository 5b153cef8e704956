//! The access review: opened over a population, decided by people, proven in the log.

pub mod collect;
pub mod duties;
pub mod handler;
pub mod log;
pub mod opening;
pub mod proof;
pub mod store;

#[cfg(test)]
mod tests;

pub use log::{Reviews, Source};
