//! The AWS side: state in DynamoDB, alerts through SNS, log files from S3, and the handlers that the functions and
//! `qtrail` both call.

pub mod alerts;
pub mod asking;
pub mod audit;
pub mod collect;
pub mod compact;
pub mod deployment;
mod error;
pub mod function;
pub mod ingest;
pub mod metrics;
pub mod notify;
pub mod pack;
pub mod raise;
pub mod rebuild;
pub mod review;
pub mod settings;
pub mod state;
pub mod stores;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod who_can;
mod wire;

pub use error::Error;
