//! The monitor itself: CloudTrail log files in, findings out.
//!
//! Pure: no AWS SDK, no runtime, no clock, no environment, no files. Bytes and times are handed in, decisions come out.

pub mod access;
pub mod actor;
pub mod alert;
pub mod canary;
pub mod control;
pub mod controls;
pub mod detection;
pub mod detections;
pub mod device;
pub mod digest;
pub mod envelope;
pub mod evidence;
pub mod facts;
pub mod finding;
pub mod ledger;
pub mod lineage;
pub mod log_file;
pub mod network;
pub mod object_key;
pub mod policy;
pub mod record;
pub mod resource_type;
pub mod review;
pub mod selectors;
pub mod settings;
pub mod shape;
pub mod silence;
pub mod snapshot;
pub mod time;
pub mod window;

#[cfg(test)]
mod testing;

// What the system tests and these make digests with names the crate as they do.
#[cfg(test)]
extern crate self as trail;
