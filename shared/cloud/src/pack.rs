//! Evidence packs: one signed archive with what an auditor asks for.

mod manifest;
mod sign;
mod verify;
mod zip;

pub use manifest::{FORMAT, FileFacts, GapLine, KEY, KeyFacts, MANIFEST, Manifest, SIGNATURE, Versions};
pub use sign::{PublicKey, Signer};
pub use verify::{Known, Problem, ProblemKind, Verified, verify};
