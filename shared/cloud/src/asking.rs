//! Who is asking the viewer, proven and not merely claimed.
//!
//! A function that is called by `lambda:Invoke` is not told who called. So whoever asks adds a [`Voucher`]: an STS
//! `GetCallerIdentity` request that is signed with the person's own credentials, and whose signed headers hold the hash
//! of the very request that is made, the stack that it is meant for, and a number that is used once. The function's
//! [`Judge`] puts that request together again from what it knows itself, sends it to STS, and takes STS's word. A
//! [`Caller`] is the other side: `qtrail view --function`.
//!
//! What this keeps out:
//! - A made-up name: STS checks the signature, and its answer says who signed.
//! - A voucher for another request, another stack, another time: the headers are made from what the function sees, and
//!   STS checks them with the signature. That they are among the signed ones is checked here, since STS passes over
//!   headers that are not signed.
//! - A server that plays STS: nothing of the address comes with the request.
//! - The same decision made twice: a voucher is good for one minute, and in it for one decision. Reading again with the
//!   same voucher reads the same thing again.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use trail::record::{digest, hex};
use trail::time::Time;

mod caller;
mod judge;
mod voucher;

pub use caller::Caller;
pub use judge::Judge;
pub use voucher::Voucher;

/// Somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asking {
    /// A name for people. Foreign text where a token says it.
    pub who: String,
    /// The ARN of user or session, where AWS says it.
    pub arn: Option<String>,
    /// The account of that user or session.
    pub account: Option<String>,
    /// The groups that a token names.
    pub groups: Vec<String>,
    /// By what it is known.
    pub proven: Proof,
    /// The address that it came from, where that is proven, too: API Gateway says so, Lambda does not. Else empty.
    pub address: String,
    /// When it was.
    pub at: Time,
}

/// By what it is known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// It is this machine's own user: nobody else reaches the loopback address with the page's token.
    Local,
    /// STS says who signed the request.
    Signed,
    /// API Gateway has checked the token.
    Token,
    /// It stands in a recording that the demo replays: nobody proved it, and nobody did it now.
    Recorded,
}

/// A request to the viewer, as it is handed to its function: all of it is bound by the voucher.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// `GET`, `HEAD` or `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers that the page reads, by names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; in JSON as base64.
    #[serde(default, serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub body: Bytes,
}

/// A request with the proof of who makes it: what the viewer's function is invoked with.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vouched {
    /// The request.
    pub asked: Asked,
    /// The proof.
    pub voucher: Voucher,
}

/// What the viewer's function answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// An HTTP status.
    pub status: u16,
    /// Headers by names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; in JSON as base64.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub body: Bytes,
}

/// Why somebody gets no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// An HTTP status.
    pub status: u16,
    /// The reason, and the way out.
    pub why: String,
}

/// The headers of a browser's request that the page reads; all others stay behind.
pub const PASSED: [&str; 11] = [
    "accept",
    "accept-language",
    "content-type",
    "host",
    "hx-current-url",
    "hx-request",
    "hx-target",
    "hx-trigger",
    "if-none-match",
    "origin",
    "sec-fetch-site",
];

impl Asked {
    /// Whether it does more than read.
    pub fn decides(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// What the voucher is bound to: SHA-256 over every part of the request, in hexadecimal.
    pub fn sha256(&self) -> String {
        let Self { method, target, headers, body } = self;
        let mut text = format!("qtrail-request-1\n{method}\n{target}\n");
        for (name, value) in headers {
            text.extend([name, ":", value, "\n"]);
        }
        text.extend(["\n", &hex(&digest(body))]);
        hex(&digest(text.as_bytes()))
    }

    /// Refuses what no browser of ours sends: each part stays on its own line of what is hashed.
    fn check(&self) -> Result<(), Refused> {
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_line = |text: &str| !text.chars().any(char::is_control);
        if !["GET", "HEAD", "POST"].contains(&self.method.as_str()) {
            return Err(Refused::new(405, "the viewer takes GET, HEAD and POST"));
        }
        if !self.target.starts_with('/') || !is_plain(&self.target) {
            return Err(Refused::new(400, "the target is no path"));
        }
        match self.headers.iter().find(|(name, value)| !PASSED.contains(&name.as_str()) || !is_line(value)) {
            Some((name, _)) => Err(Refused::new(400, format!("the header {name:?} is none that the viewer reads"))),
            None => Ok(()),
        }
    }
}

impl Asking {
    /// This machine's own user, by the name that the operating system has for him.
    pub fn local(user: &str, at: Time) -> Self {
        Self {
            who: user.to_owned(),
            arn: None,
            account: None,
            groups: Vec::new(),
            proven: Proof::Local,
            address: String::new(),
            at,
        }
    }

    /// Whom a token names, by the claims that API Gateway's authorizer has verified.
    pub fn of_claims(claims: &Value, address: &str, at: Time) -> Result<Self, Refused> {
        let text = |name: &str| claims[name].as_str().filter(|text| !text.is_empty());
        let Some(subject) = text("sub") else {
            return Err(Refused::new(403, "the token names nobody: it has no claim `sub`"));
        };
        // A name that its owner may set himself stands beside the subject, never in its place.
        let name = ["email", "preferred_username", "cognito:username", "name"].into_iter().find_map(text);
        let who = name.map_or_else(|| subject.to_owned(), |name| format!("{name} ({subject})"));
        let groups = ["cognito:groups", "groups"].into_iter().map(|name| listed(&claims[name]));
        let groups = groups.flatten().collect();
        Ok(Self { who, arn: None, account: None, groups, proven: Proof::Token, address: address.to_owned(), at })
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.arn.as_deref().unwrap_or(&self.who))?;
        if self.proven == Proof::Local { f.write_str(" on this machine") } else { Ok(()) }
    }
}

impl Refused {
    /// A refusal with its reason.
    pub fn new(status: u16, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

impl From<crate::Error> for Refused {
    fn from(error: crate::Error) -> Self {
        tracing::error!(%error, "who asks could not be found out");
        Self::new(503, "who asks could not be found out: the function's log says why")
    }
}

/// A list among claims: API Gateway writes `[one two]`.
fn listed(claim: &Value) -> Vec<String> {
    if let Some(items) = claim.as_array() {
        return items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let text = claim.as_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    text.split([' ', ',']).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn to_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Bytes::from).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
