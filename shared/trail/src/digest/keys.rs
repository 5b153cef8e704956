//! AWS's public keys, as `ListPublicKeys` answers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{GRACE, Window};
use crate::time::Time;

/// Keys by their fingerprints. What is known of a key is never replaced: see [`PublicKeys::pin`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys(BTreeMap<String, PublicKey>);

/// One of `CloudTrail`'s public keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// DER of PKCS #1 `RSAPublicKey`.
    #[serde(with = "base64_text")]
    pub der: Vec<u8>,
    /// From when it signs.
    pub valid_from: Option<Time>,
    /// Until when.
    pub valid_to: Option<Time>,
}

/// What became of a key that was to be pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pinned {
    /// Not seen before; kept from now on.
    New(String),
    /// Known under this fingerprint with another key: the known one stays.
    Changed(String),
}

/// Why a file holds no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// No JSON.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// JSON, but not that.
    #[error("no `PublicKeyList` with keys in it")]
    NoKeys,
    /// A key that cannot be read.
    #[error("key {fingerprint}: {reason}")]
    Key {
        /// Which.
        fingerprint: String,
        /// Why.
        reason: &'static str,
    },
}

/// Why a signature proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureFault {
    /// No such key.
    #[error("no key at hand has the fingerprint {0}")]
    UnknownKey(String),
    /// The key did not sign at that time.
    #[error("key {fingerprint} was not in force at {at}")]
    NotInForce {
        /// Which key.
        fingerprint: String,
        /// When.
        at: Time,
    },
    /// It is not the signature of this text by that key.
    #[error("the signature does not fit")]
    Wrong,
}

impl PublicKeys {
    /// Reads answers of `ListPublicKeys`: one, a list, or one after another (one a region, say).
    pub fn from_json(text: &[u8]) -> Result<Self, KeysError> {
        let mut keys = Self::default();
        for answer in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
            let answers = match answer? {
                Value::Array(answers) => answers,
                answer => vec![answer],
            };
            for key in answers.iter().filter_map(|answer| answer["PublicKeyList"].as_array()).flatten() {
                let (fingerprint, key) = PublicKey::of_answer(key)?;
                keys.0.entry(fingerprint).or_insert(key);
            }
        }
        if keys.0.is_empty() { Err(KeysError::NoKeys) } else { Ok(keys) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key with a fingerprint.
    pub fn find(&self, fingerprint: &str) -> Option<&PublicKey> {
        self.0.get(fingerprint)
    }

    /// Keeps keys that are new, and tells of them and of known fingerprints that now come with another key: whoever
    /// can make AWS's answers up could else sign digests of their own.
    pub fn pin(&mut self, answer: Self) -> Vec<Pinned> {
        let mut told = Vec::new();
        for (fingerprint, key) in answer.0 {
            match self.0.get(&fingerprint) {
                None => {
                    told.push(Pinned::New(fingerprint.clone()));
                    self.0.insert(fingerprint, key);
                }
                Some(known) if known.der != key.der => told.push(Pinned::Changed(fingerprint)),
                Some(_) => {}
            }
        }
        told
    }

    /// Checks a signature in hexadecimal. `signed` is when it was made, where that is known.
    pub fn verify(
        &self,
        fingerprint: &str,
        signed: Option<Time>,
        text: &str,
        signature: &str,
    ) -> Result<(), SignatureFault> {
        let key = self.find(fingerprint).ok_or_else(|| SignatureFault::UnknownKey(fingerprint.to_owned()))?;
        if let Some(at) = signed.filter(|at| !key.is_in_force(*at)) {
            return Err(SignatureFault::NotInForce { fingerprint: fingerprint.to_owned(), at });
        }
        let signature = unhex(signature).ok_or(SignatureFault::Wrong)?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.der);
        key.verify(text.as_bytes(), &signature).map_err(|_| SignatureFault::Wrong)
    }
}

impl PublicKey {
    fn of_answer(answer: &Value) -> Result<(String, Self), KeysError> {
        let fingerprint = answer["Fingerprint"].as_str().unwrap_or_default().to_owned();
        let fault = |reason| KeysError::Key { fingerprint: fingerprint.clone(), reason };
        let value = answer["Value"].as_str().ok_or_else(|| fault("it has no `Value`"))?;
        let der = STANDARD.decode(value.trim()).map_err(|_| fault("its `Value` is not base64"))?;
        if fingerprint.is_empty() {
            return Err(fault("it has no `Fingerprint`"));
        }
        let valid_from = time(&answer["ValidityStartTime"]);
        let valid_to = time(&answer["ValidityEndTime"]);
        Ok((fingerprint, Self { der, valid_from, valid_to }))
    }

    /// What it was in force for, with the time that a digest may be late.
    fn is_in_force(&self, at: Time) -> bool {
        let Window { from, to } = Window {
            from: Time(self.valid_from.map_or(i64::MIN, |from| from.0.saturating_sub(GRACE))),
            to: Time(self.valid_to.map_or(i64::MAX, |to| to.0.saturating_add(GRACE))),
        };
        from <= at && at <= to
    }
}

/// Seconds since 1970, as the API answers, or RFC 3339, as the AWS CLI prints.
fn time(value: &Value) -> Option<Time> {
    match value {
        Value::String(text) => Time::parse(text),
        #[expect(clippy::cast_possible_truncation, reason = "the fraction of a second is left out")]
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|n| n as i64)).map(Time),
        _ => None,
    }
}

/// Bytes from hexadecimal.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Bytes as base64 in stored state.
mod base64_text {
    use base64::Engine as _;
    use serde::Deserialize as _;

    use super::STANDARD;

    pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
