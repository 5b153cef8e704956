//! What a pack says of itself: every file with its hash, where it comes from and how to make it again.

use serde::{Deserialize, Serialize};
use trail::review::{By, Period};
use trail::time::Time;

/// The form of the manifest, and of the archive around it.
pub const FORMAT: &str = "quickinfra-trail-pack/1";

/// The manifest's name in the pack.
pub const MANIFEST: &str = "manifest.json";

/// The signature's name: DER, of the manifest's SHA-256, as `openssl dgst -sha256 -verify` takes it.
pub const SIGNATURE: &str = "manifest.sig";

/// The public key's name.
pub const KEY: &str = "key.pem";

/// What is signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The pack's id: `pack-000003`.
    pub id: String,
    /// Its number in the chain, from 1.
    pub number: u64,
    /// The time that it is about.
    pub period: Period,
    /// The account that the evidence was collected in.
    pub account: String,
    /// When it was made, by the clock of whoever made it.
    pub created_at: Time,
    /// Who made it, as it was proven; `None`: this system, on its schedule.
    pub created_by: Option<By>,
    /// What made it.
    pub versions: Versions,
    /// SHA-256 of the pack before, as a file; `None`: this is the first.
    pub prev_pack_sha256: Option<String>,
    /// The key that signs.
    pub key: KeyFacts,
    /// What is missing, and known to be.
    pub gaps: Vec<GapLine>,
    /// All files but this one, the signature and the key, in the order in which they lie.
    pub files: Vec<FileFacts>,
}

/// What made a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// This program.
    pub qtrail: String,
    /// The set of detections and controls.
    pub detections: String,
}

impl Versions {
    /// Of this program.
    pub fn own() -> Self {
        Self { qtrail: env!("CARGO_PKG_VERSION").to_owned(), detections: trail::detections::VERSION.to_owned() }
    }
}

/// A key, as whoever verifies compares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFacts {
    /// The ARN of the KMS key, or `local`.
    pub id: String,
    /// The account that it is said to belong to.
    pub account: String,
    /// `ECDSA_SHA_256`, over P-256.
    pub algorithm: String,
    /// SHA-256 of the public key as DER (`SubjectPublicKeyInfo`).
    pub sha256: String,
}

/// Something that is not there, and should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapLine {
    /// The file that lacks it.
    pub file: String,
    /// What is missing, and why as far as it is known.
    pub what: String,
}

/// A file of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Its path in the pack.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// How many bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes as they lie in the archive.
    pub packed_sha256: String,
    /// How many those are.
    pub packed_bytes: u64,
    /// How many rows, its heading aside.
    pub rows: u64,
    /// What it holds.
    pub title: String,
    /// Where it comes from.
    pub source: String,
    /// What was asked there.
    pub query: String,
    /// Who asked.
    pub run_by: String,
    /// When it was asked.
    pub run_at: Time,
    /// How to ask again.
    pub again: String,
}
