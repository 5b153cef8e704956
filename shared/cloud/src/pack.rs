//! Evidence packs: one signed archive with what an auditor asks for.

mod manifest;
mod sign;
mod zip;

pub use manifest::{FORMAT, FileFacts, GapLine, KeyFacts, Manifest, Versions};
pub use sign::{PublicKey, Signer};
