//! What is decided, and all else that happens to a review: entries of a log that only grows.

use serde::{Deserialize, Serialize};

use super::population::{Grant, Subject};
use super::usage::RecordId;
use crate::record::{digest, hex};
use crate::time::Time;

/// One thing that happened to a review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the log, from 1, without gaps.
    pub number: u64,
    /// When.
    pub at: Time,
    /// Who did it; `None`: this system.
    pub by: Option<By>,
    /// What happened.
    pub act: Act,
    /// SHA-256 over the entry before and this one: no entry can be changed or left out unseen.
    pub sha256: String,
}

/// Why a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// An entry is missing, or stands where another one should.
    #[error("the review's log has entry {found} where {expected} should be: entries are missing or were put in")]
    Gap {
        /// The number that should come.
        expected: u64,
        /// The number that comes.
        found: u64,
    },
    /// An entry is not the one that was written.
    #[error("entry {0} of the review's log is not as it was written: it, or one before it, was changed")]
    Changed(u64),
}

impl Entry {
    /// The next entry of a log whose last one is `last`.
    pub fn chain(last: Option<&Self>, at: Time, by: Option<By>, act: Act) -> Self {
        let number = last.map_or(1, |last| last.number + 1);
        let mut entry = Self { number, at, by, act, sha256: String::new() };
        entry.sha256 = entry.hash(last.map_or("", |last| &last.sha256));
        entry
    }

    /// Checks that a log, in order from its first entry, is whole and as it was written. That nothing was cut off its
    /// end is seen by the last hash, where that is kept elsewhere.
    pub fn verify(log: &[Self]) -> Result<(), Broken> {
        let mut before = "";
        for (expected, entry) in (1..).zip(log) {
            if entry.number != expected {
                return Err(Broken::Gap { expected, found: entry.number });
            }
            if entry.hash(before) != entry.sha256 {
                return Err(Broken::Changed(expected));
            }
            before = &entry.sha256;
        }
        Ok(())
    }

    /// SHA-256 over the hash before, and the entry as JSON without its own.
    fn hash(&self, before: &str) -> String {
        let Self { number, at, by, act, .. } = self;
        let text = serde_json::json!([before, number, at, by, act]).to_string();
        hex(&digest(text.as_bytes()))
    }
}

impl Act {
    /// The subject that it is about; none for what concerns the whole review.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Joined { subject } => Some(&subject.id),
            Self::Proposed { subject, .. }
            | Self::Decided { subject, .. }
            | Self::Carried { subject, .. }
            | Self::Absent { subject, .. }
            | Self::Reappeared { subject, .. } => Some(subject),
            Self::Excepted { subject, .. } => Some(subject).filter(|subject| !subject.is_empty()).map(String::as_str),
            Self::Opened { .. } | Self::Reminded | Self::SignedOff { .. } => None,
        }
    }
}

/// Who did something, as it was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// A name for people.
    pub who: String,
    /// The ARN that AWS gave, or the token's subject; empty where neither is known.
    pub arn: String,
    /// The account of that ARN.
    pub account: String,
    /// By what it is known: `signed` and `token` are proofs; `local` is this machine's word, `recorded` the demo's.
    pub proven: String,
    /// The address that the request came from, where it is known.
    pub address: String,
    /// The person by the people's list.
    pub person: Option<String>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "act")]
pub enum Act {
    /// The review was opened over the population with this hash.
    Opened {
        /// SHA-256 of the population as it is stored.
        population: String,
        /// Until when all has to be decided.
        due: Time,
    },
    /// Access was given after the population was taken.
    Joined {
        /// The subject, with the next number.
        subject: Box<Subject>,
    },
    /// Somebody's file proposes a decision; it counts when its reviewer confirms it.
    Proposed {
        /// The subject's id.
        subject: String,
        /// What is proposed.
        decision: Decision,
    },
    /// A decision. The latest one of a subject counts.
    Decided {
        /// The subject's id.
        subject: String,
        /// What was decided.
        decision: Decision,
    },
    /// The reviewers were reminded.
    Reminded,
    /// A record that carries out a part of a decision.
    Carried {
        /// The subject's id.
        subject: String,
        /// What it removes.
        effect: String,
        /// The record.
        record: RecordId,
        /// Who made the call.
        actor: String,
    },
    /// A later snapshot no longer has what was to be removed.
    Absent {
        /// The subject's id.
        subject: String,
        /// SHA-256 of the population that lacks it.
        population: String,
    },
    /// It is there again, or its newer credentials were used.
    Reappeared {
        /// The subject's id.
        subject: String,
        /// How that is known.
        why: String,
        /// The record, where there is one.
        record: Option<RecordId>,
    },
    /// An exception, printed with the review: a single administrator, a partial population.
    Excepted {
        /// The subject's id; empty for the whole review.
        subject: String,
        /// What is excepted, and why.
        reason: String,
        /// Who outside approved it.
        approver: String,
    },
    /// The approver signs the review off.
    SignedOff {
        /// What is stated.
        statement: String,
    },
}

/// What is to become of a subject's access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Keep, modify, or revoke.
    pub verb: Verb,
    /// Which grants go, for [`Verb::Modify`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Grant>,
    /// Why: needed where the access is privileged or unused.
    #[serde(default)]
    pub justification: String,
    /// Where it was approved; without one it reads "approval not evidenced".
    #[serde(default)]
    pub ticket: String,
}

/// What is to become of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// All stays as it is.
    Keep,
    /// Some of it goes.
    Modify,
    /// All of it goes.
    Revoke,
}
