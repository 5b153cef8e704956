//! Evidence packs: one signed archive with what an auditor asks for.
//!
//! A pack is a zip file of one form ([`FORMAT`]): tables as CSV and as JSON lines, a report that a person reads, a
//! manifest with the hash of every file, its signature and the public key. It names the pack before, so that none can be
//! left out. [`build`] makes one, [`issue`] keeps it and adds it to the chain, [`verify`] tells offline what it proves.
//!
//! The same evidence gives the same bytes, the signature aside, which ECDSA makes anew each time.

mod contents;
mod issue;
mod manifest;
mod report;
mod reviews;
mod sheet;
mod sign;
mod verify;
mod zip;

#[cfg(test)]
mod tests;

pub use contents::Sources;
pub use issue::{Ask, Built, Link, build, issue};
pub use manifest::{FORMAT, FileFacts, GapLine, KEY, KeyFacts, MANIFEST, Manifest, SIGNATURE, Versions};
pub use sign::{PublicKey, Signer};
pub use verify::{Known, Problem, ProblemKind, Verified, verify};
