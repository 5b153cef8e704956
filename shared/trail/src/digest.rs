//! Log file integrity: what AWS signed, against what is there.
//!
//! Once an hour `CloudTrail` signs a digest: a list of the log files that it delivered and their hashes. Each digest
//! names its predecessor with hash and signature, which makes a [`Chain`] for each trail, account and region. Here a
//! digest is read and checked by itself ([`Arrived::check`]), against its predecessor ([`Arrived::check_link`]), and
//! its log files against their hashes ([`check_log`]); [`ChainHead::missing_by`] says what should have come by now,
//! and a [`Gap`] what has to be explained by somebody's call.
//!
//! No digest is fetched and no clock is read: a command that walks a whole bucket and a function that is told of one
//! digest at a time ask the same questions. User guide, "Validating `CloudTrail` log file integrity".

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::{clean, severity_word};
use crate::detection::Severity;
use crate::record::{digest as sha256, hex};
use crate::time::Time;

mod arrived;
mod chain;
mod gap;
mod keys;
mod logs;
mod walk;

pub use arrived::{Arrived, Evidence, Metadata};
pub use chain::{Chain, ChainHead, DigestName, missing_before, missing_between};
pub use gap::{Gap, TrailChange};
pub use keys::{KeysError, Pinned, PublicKey, PublicKeys, SignatureFault};
pub use logs::{Found, Held, check_log, unsigned};
pub use walk::{Walk, Walked};

/// How long after a digest's window, in seconds, it and what it signs are waited for: a digest comes within the hour
/// and is now and then late.
pub const GRACE: i64 = 2 * HOUR;

/// What a digest covers, in seconds.
const HOUR: i64 = 3600;

/// A digest file's contents. User guide, "`CloudTrail` digest file structure".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Digest {
    /// Where the window that it covers begins.
    #[serde(rename = "digestStartTime")]
    pub start: Time,
    /// Where it ends, as written: these very characters are signed.
    #[serde(rename = "digestEndTime")]
    signed_end: String,
    /// The bucket that it was delivered to.
    #[serde(rename = "digestS3Bucket")]
    pub bucket: String,
    /// The key that it was delivered under.
    #[serde(rename = "digestS3Object")]
    pub object: String,
    /// Which of AWS's keys signed it.
    #[serde(rename = "digestPublicKeyFingerprint")]
    pub fingerprint: String,
    /// By which algorithm.
    #[serde(default, rename = "digestSignatureAlgorithm")]
    pub algorithm: Option<String>,
    /// The bucket of the digest before.
    #[serde(default, rename = "previousDigestS3Bucket")]
    pub previous_bucket: Option<String>,
    /// The key of the digest before; none where a chain begins.
    #[serde(default, rename = "previousDigestS3Object")]
    pub previous_object: Option<String>,
    /// The hash of the digest before.
    #[serde(default, rename = "previousDigestHashValue")]
    pub previous_hash: Option<String>,
    /// The signature of the digest before, in hexadecimal. The member itself is never left out.
    #[serde(rename = "previousDigestSignature", deserialize_with = "Option::deserialize")]
    pub previous_signature: Option<String>,
    /// The log files that it signs.
    #[serde(default)]
    pub log_files: Vec<LoggedFile>,
    /// Where the window ends.
    #[serde(skip)]
    pub end: Time,
    /// SHA-256 of the digest's text, in hexadecimal.
    #[serde(skip)]
    pub hash: String,
}

/// A log file as a digest signs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedFile {
    /// The bucket that it was delivered to.
    #[serde(rename = "s3Bucket")]
    pub bucket: String,
    /// The key that it was delivered under.
    #[serde(rename = "s3Object")]
    pub object: String,
    /// The hash of its text, inflated, in hexadecimal.
    #[serde(rename = "hashValue")]
    pub hash: String,
    /// The hash's algorithm.
    #[serde(default, rename = "hashAlgorithm")]
    pub algorithm: Option<String>,
}

impl Digest {
    /// Reads a digest's text, already inflated. The error says what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut digest: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let end = Time::parse(&digest.signed_end);
        digest.end = end.ok_or_else(|| format!("digestEndTime `{}` is no time", digest.signed_end))?;
        digest.hash = hex(&sha256(text));
        Ok(digest)
    }

    /// What AWS signed.
    pub fn string_to_sign(&self) -> String {
        let Self { signed_end, bucket, object, hash, .. } = self;
        let previous = self.previous_signature.as_deref().unwrap_or("null");
        format!("{signed_end}\n{bucket}/{object}\n{hash}\n{previous}")
    }

    /// The time that it covers.
    pub fn window(&self) -> Window {
        Window { from: self.start, to: self.end }
    }

    /// Whether it names no predecessor, as the first digest after validation was switched on does.
    pub fn is_anchor(&self) -> bool {
        self.previous_object.is_none()
    }
}

/// A span of time, its end not included. Written as ISO 8601 does: `from/to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its first second.
    pub from: Time,
    /// The second after its last.
    pub to: Time,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.from, self.to)
    }
}

impl Serialize for Window {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A digest is not there.
    DigestMissing,
    /// A digest's signature is missing or is not AWS's.
    DigestSignature,
    /// A digest and its predecessor do not belong together.
    DigestLink,
    /// A digest lies elsewhere than it was delivered.
    DigestLocation,
    /// A digest's window is impossible or does not join the one before.
    DigestWindow,
    /// A digest's signature is not at hand, so nothing is proven.
    Unverified,
    /// A log file that AWS signed is not there.
    LogMissing,
    /// A log file is not what AWS signed.
    LogChanged,
    /// Bytes follow the end of what AWS signed.
    LogAppended,
    /// A log file that no digest signs.
    LogUnsigned,
    /// A chain was interrupted, and no signed record says by whom.
    GapUnexplained,
    /// Signed by a key that is not among those at hand.
    KeyUnknown,
    /// Could not be read, so could not be judged.
    Unreadable,
}

impl ProblemKind {
    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Unverified => Severity::Medium,
            Self::DigestWindow | Self::LogUnsigned | Self::KeyUnknown | Self::Unreadable => Severity::High,
            _ => Severity::Critical,
        }
    }

    /// As every interface spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::DigestMissing => "digest_missing",
            Self::DigestSignature => "digest_signature",
            Self::DigestLink => "digest_link",
            Self::DigestLocation => "digest_location",
            Self::DigestWindow => "digest_window",
            Self::Unverified => "unverified",
            Self::LogMissing => "log_missing",
            Self::LogChanged => "log_changed",
            Self::LogAppended => "log_appended",
            Self::LogUnsigned => "log_unsigned",
            Self::GapUnexplained => "gap_unexplained",
            Self::KeyUnknown => "key_unknown",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// How bad.
    pub severity: Severity,
    /// The object's key; of a missing digest the one that it should have.
    pub object: String,
    /// Which chain, see [`Chain`].
    pub chain: String,
    /// The time that is concerned.
    pub window: Option<Window>,
    /// In words.
    pub detail: String,
}

impl Problem {
    /// A problem of a chain's object.
    pub fn new(kind: ProblemKind, object: &str, chain: &Chain, detail: impl Into<String>) -> Self {
        let (object, chain) = (object.to_owned(), chain.to_string());
        Self { kind, severity: kind.severity(), object, chain, window: None, detail: detail.into() }
    }

    /// With the time that is concerned.
    #[must_use]
    pub fn within(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// A line for people. Names in objects are foreign text and made harmless.
    pub fn line(&self) -> String {
        let window = self.window.map_or(String::new(), |window| format!("  {window}"));
        let (file, folder) = (self.object.rsplit('/').next().unwrap_or_default(), self.chain.as_str());
        let severity = severity_word(self.severity);
        let kind = self.kind.word();
        format!("{severity:<8} {kind:<16} {}{window}  {}  {}", clean(folder), clean(file), clean(&self.detail))
    }
}

#[cfg(test)]
mod tests;
