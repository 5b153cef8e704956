//! One digest: by itself, and against its predecessor.

use serde::Deserialize;
use serde_json::Value;

use super::{Chain, ChainHead, Digest, DigestName, Gap, Problem, ProblemKind, PublicKeys, SignatureFault};
use crate::time::Time;

/// How far a clock may be wrong, in seconds.
const SKEW: i64 = 300;

/// What S3's user metadata of a digest says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The signature, in hexadecimal.
    pub signature: Option<String>,
    /// `SHA256withRSA`.
    pub algorithm: Option<String>,
    /// When a backfill digest was made.
    pub generated: Option<Time>,
}

impl Metadata {
    /// Reads names, without `x-amz-meta-`, and values.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut metadata = Self::default();
        for (name, value) in pairs {
            match name.to_ascii_lowercase().as_str() {
                "signature" => metadata.signature = Some(value.to_owned()),
                "signature-algorithm" => metadata.algorithm = Some(value.to_owned()),
                "backfill-generation-timestamp" => metadata.generated = Time::parse(value),
                _ => {}
            }
        }
        metadata
    }

    /// Reads a JSON object of names and values, or an answer of `HeadObject` with such an object in `Metadata`.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        let object = Value::deserialize(&mut serde_json::Deserializer::from_slice(text))?;
        let pairs = object.get("Metadata").unwrap_or(&object).as_object();
        let pairs = pairs.into_iter().flatten();
        Ok(Self::of(pairs.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))))
    }
}

/// Where a digest's signature comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence<'a> {
    /// The object's own metadata. AWS always writes it: where there is no signature in it, somebody took it away.
    Metadata(&'a Metadata),
    /// A copy lost its metadata, but the digest after it carries the signature.
    Successor(&'a str),
    /// A copy lost its metadata, and there is no digest after it.
    Lost,
}

/// A digest and where it was found.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// What the key says.
    pub name: &'a DigestName,
    /// What it holds.
    pub digest: &'a Digest,
    /// What proves it.
    pub evidence: Evidence<'a>,
}

impl<'a> Arrived<'a> {
    /// What is wrong with it by itself: its place, its window, its signature.
    pub fn check(&self, keys: &PublicKeys, now: Time) -> Vec<Problem> {
        let faults =
            [self.location_fault(), self.window_fault(now), self.self_link_fault(), self.signature_fault(keys)];
        faults.into_iter().flatten().collect()
    }

    /// What is wrong between it and its predecessor: the digest before it that is there.
    pub fn check_link(&self, before: &ChainHead) -> Vec<Problem> {
        if self.digest.is_anchor() {
            return Vec::new();
        }
        if self.digest.previous_object.as_deref() != Some(&before.object) {
            return self.check_order(before).into_iter().collect();
        }
        let differs = |said: Option<&String>, is: &str| said.is_none_or(|said| !said.eq_ignore_ascii_case(is));
        let signature = before.signature.as_deref();
        let mut problems = Vec::new();
        if differs(self.digest.previous_hash.as_ref(), &before.hash) {
            problems.push(
                self.link(format!("{} is another one than this digest follows: the hash differs", before.object)),
            );
        }
        if signature.is_some_and(|is| differs(self.digest.previous_signature.as_ref(), is)) {
            problems.push(
                self.link(format!("{} is another one than this digest follows: the signature differs", before.object)),
            );
        }
        problems.extend(self.check_order(before));
        problems
    }

    /// Windows join: none overlaps the one before, and none leaves a hole after the digest that it follows.
    fn check_order(&self, before: &ChainHead) -> Option<Problem> {
        let follows = self.digest.previous_object.as_deref() == Some(&before.object);
        let apart = follows && self.digest.start > before.end && !before.chain.backfill;
        if apart || (self.digest.start < before.end && !before.chain.backfill) {
            let said = if apart { "leaves a hole after" } else { "overlaps" };
            let detail = format!("its window {said} the one of {}, which ends at {}", before.object, before.end);
            return Some(self.problem(ProblemKind::DigestWindow, detail));
        }
        None
    }

    /// The interruption that it begins after: it names no predecessor, though there is one.
    pub fn gap_after(&self, before: &ChainHead) -> Option<Gap> {
        self.digest.is_anchor().then(|| Gap::after(before, self.digest, self.key))
    }

    /// Its signature as far as it is known.
    pub fn signature(&self) -> Option<&'a str> {
        match self.evidence {
            Evidence::Metadata(metadata) => metadata.signature.as_deref(),
            Evidence::Successor(signature) => Some(signature),
            Evidence::Lost => None,
        }
    }

    fn chain(&self) -> &Chain {
        &self.name.chain
    }

    fn problem(&self, kind: ProblemKind, detail: impl Into<String>) -> Problem {
        Problem::new(kind, self.key, self.chain(), detail).within(self.digest.window())
    }

    fn link(&self, detail: impl Into<String>) -> Problem {
        self.problem(ProblemKind::DigestLink, detail)
    }

    fn location_fault(&self) -> Option<Problem> {
        let Digest { bucket, object, .. } = self.digest;
        if bucket == self.bucket && object == self.key {
            return None;
        }
        Some(self.problem(ProblemKind::DigestLocation, format!("it was delivered as s3://{bucket}/{object}")))
    }

    fn window_fault(&self, now: Time) -> Option<Problem> {
        let Digest { start, end, .. } = *self.digest;
        let detail = if start >= end {
            "its window ends before it begins".to_owned()
        } else if end.0 > now.0.saturating_add(SKEW) {
            format!("its window ends in the future: it is {now} now")
        } else if end != self.name.end {
            format!("by its name its window ends at {}", self.name.end)
        } else {
            return None;
        };
        Some(self.problem(ProblemKind::DigestWindow, detail))
    }

    /// A digest cannot follow itself or a later one: whoever walked from one to the next would walk in circles.
    fn self_link_fault(&self) -> Option<Problem> {
        let Digest { previous_object, previous_bucket, previous_hash, previous_signature, .. } = self.digest;
        let whole = previous_object.is_some();
        if [previous_bucket, previous_hash, previous_signature].iter().any(|part| part.is_some() != whole) {
            return Some(self.link("it names its predecessor in part"));
        }
        let previous = previous_object.as_deref()?;
        if previous == self.digest.object {
            return Some(self.link("it names itself as its predecessor"));
        }
        match DigestName::parse(previous) {
            None => Some(self.link(format!("its predecessor {previous} is no digest by its name"))),
            Some(name) if name.end >= self.digest.end => {
                Some(self.link(format!("its predecessor {previous} is a later one")))
            }
            Some(name) if name.chain != *self.chain() => {
                Some(self.link(format!("its predecessor {previous} belongs to another chain")))
            }
            Some(_) => self.foreign_predecessor(),
        }
    }

    fn foreign_predecessor(&self) -> Option<Problem> {
        let bucket = self.digest.previous_bucket.as_deref().filter(|bucket| *bucket != self.bucket)?;
        Some(self.link(format!("its predecessor lies in another bucket, {bucket}, which was not looked at")))
    }

    fn signature_fault(&self, keys: &PublicKeys) -> Option<Problem> {
        let (signature, made) = match self.evidence {
            Evidence::Metadata(metadata) => match metadata_fault(metadata, self.chain().backfill) {
                Some(fault) => return Some(self.problem(ProblemKind::DigestSignature, fault)),
                None => (metadata.signature.as_deref().unwrap_or_default(), metadata.generated),
            },
            Evidence::Successor(signature) => (signature, None),
            Evidence::Lost => {
                let detail = "the signature is in neither its metadata nor a digest after it";
                return Some(self.problem(ProblemKind::Unverified, detail));
            }
        };
        if self.digest.algorithm.as_deref().is_some_and(|algorithm| algorithm != ALGORITHM) {
            return Some(self.problem(ProblemKind::DigestSignature, "it names another algorithm than SHA256withRSA"));
        }
        // A backfill digest is signed long after its window.
        let signed = made.or_else(|| (!self.chain().backfill).then_some(self.digest.end));
        let text = self.digest.string_to_sign();
        let fault = keys.verify(&self.digest.fingerprint, signed, &text, signature).err()?;
        let kind = match fault {
            SignatureFault::Wrong => ProblemKind::DigestSignature,
            _ => ProblemKind::KeyUnknown,
        };
        Some(self.problem(kind, fault.to_string()))
    }
}

/// The only algorithm that AWS signs with.
const ALGORITHM: &str = "SHA256withRSA";

fn metadata_fault(metadata: &Metadata, backfill: bool) -> Option<&'static str> {
    if metadata.signature.is_none() {
        return Some("its metadata holds no signature, which AWS always writes");
    }
    if metadata.algorithm.as_deref() != Some(ALGORITHM) {
        return Some("its metadata does not name SHA256withRSA");
    }
    (backfill && metadata.generated.is_none()).then_some("its metadata does not say when it was generated")
}
