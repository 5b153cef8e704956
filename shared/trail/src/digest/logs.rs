//! Log files against what digests sign.

use super::{Chain, GRACE, LoggedFile, Problem, ProblemKind, Window};
use crate::object_key::ObjectKey;
use crate::time::Time;

/// What is there under a signed log file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file with this hash: read just now, or remembered from when it was ingested.
    File(Held),
    /// Nothing.
    Nothing,
    /// Something that is no whole gzip file.
    Damaged(String),
    /// Nobody could look.
    Unreadable(String),
}

/// What is known of a log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// SHA-256 of its text, inflated: of the first gzip member.
    pub sha256: [u8; 32],
    /// How many bytes follow that member.
    pub trailing: usize,
}

/// What is wrong with a log file that a digest of this chain, with this window, signs.
pub fn check_log(signed: &LoggedFile, found: &Found, chain: &Chain, window: Window) -> Option<Problem> {
    let told = |kind, detail: &str| Some(Problem::new(kind, &signed.object, chain, detail).within(window));
    if signed.algorithm.as_deref().is_some_and(|algorithm| algorithm != "SHA-256") {
        return told(ProblemKind::Unreadable, "the digest names another hash than SHA-256");
    }
    match found {
        Found::Nothing => told(ProblemKind::LogMissing, "AWS signed it, and it is not there"),
        Found::Unreadable(reason) => told(ProblemKind::Unreadable, reason),
        Found::Damaged(reason) => told(ProblemKind::LogChanged, reason),
        Found::File(held) if !is_hash(&signed.hash, &held.sha256) => {
            told(ProblemKind::LogChanged, "its text is not what AWS signed")
        }
        Found::File(held) if held.trailing > 0 => {
            let detail = format!("{} bytes follow the end of what AWS signed", held.trailing);
            told(ProblemKind::LogAppended, &detail)
        }
        Found::File(_) => None,
    }
}

/// Whether a log file that no digest signs should be signed by now. `covered` is what digests are there for.
pub fn unsigned(key: &str, covered: Option<Window>, now: Time) -> Option<Problem> {
    let chain = Chain::of_log(key)?;
    let delivered = ObjectKey::parse(key).time?;
    let asked = covered.is_none_or(|covered| covered.from <= delivered && delivered < covered.to);
    if !asked || delivered.0.saturating_add(GRACE) > now.0 {
        return None;
    }
    let window = Window { from: delivered, to: Time(delivered.0 + 60) };
    let detail = "no digest signs it: AWS did not deliver it, or not as validation was on";
    Some(Problem::new(ProblemKind::LogUnsigned, key, &chain, detail).within(window))
}

/// Whether hexadecimal says these bytes, compared without writing them out.
fn is_hash(text: &str, bytes: &[u8; 32]) -> bool {
    let nibble = |at: usize| char::from(text.as_bytes()[at]).to_digit(16);
    text.len() == 64
        && bytes.iter().enumerate().all(|(at, byte)| {
            nibble(2 * at) == Some(u32::from(byte >> 4)) && nibble(2 * at + 1) == Some(u32::from(byte & 15))
        })
}
