//! The signed request that says who asks.

use std::time::SystemTime;

use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::Request as HttpRequest;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trail::record::hex;
use trail::time::Time;

use super::{Asked, Refused};
use crate::collect::endpoint::Endpoints;
use crate::wire::Request;

/// How long a voucher is good, in seconds; as far may the two clocks be apart.
const GOOD_SECONDS: i64 = 60;

/// What STS is asked.
const QUESTION: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";

/// All that is signed, in the order of a signature. A voucher that signs less proves less, and one that signs more
/// cannot be put together again.
const SIGNED: &str = "content-type;host;x-amz-date;x-qtrail-nonce;x-qtrail-request-sha256;x-qtrail-stack";

/// The same of credentials that belong to a session.
const SIGNED_IN_SESSION: &str =
    "content-type;host;x-amz-date;x-amz-security-token;x-qtrail-nonce;x-qtrail-request-sha256;x-qtrail-stack";

/// What of an STS request whoever receives it cannot know by himself. It says nothing of where to send it.
///
/// Not printable: for a minute it stands for the person.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voucher {
    /// The stack that it is meant for: account and name.
    pub stack: String,
    /// The request that it is meant for: [`Asked::sha256`].
    pub sha256: String,
    /// A number that is used once: 32 hexadecimal digits.
    pub nonce: String,
    /// When it was signed, as `X-Amz-Date` has it.
    pub date: String,
    /// `X-Amz-Security-Token`, of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// `Authorization`.
    pub authorization: String,
}

impl Voucher {
    /// Vouches for a request to a stack with somebody's credentials. The error says why it cannot be signed.
    pub(super) fn sign(
        asked: &Asked,
        stack: &str,
        endpoints: &Endpoints,
        (identity, time): (&Identity, SystemTime),
    ) -> Result<Self, String> {
        let nonce = hex(&std::array::from_fn::<u8, 16, _>(|_| fastrand::u8(..)));
        let sha256 = asked.sha256();
        let signature = question(endpoints, stack, &sha256, &nonce).signature(identity, time)?;
        let header = |wanted: &str| signature.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let required = |name: &str| header(name).ok_or_else(|| format!("the signature has no {name}"));
        Ok(Self {
            stack: stack.to_owned(),
            date: required("x-amz-date")?,
            token: header("x-amz-security-token"),
            authorization: required("authorization")?,
            sha256,
            nonce,
        })
    }

    /// The request to STS, put together from what is seen here: the request that was really made, this stack and STS's
    /// own address. Refused before anything is sent where it cannot prove what it has to.
    pub(super) fn question(
        &self,
        asked: &Asked,
        stack: &str,
        endpoints: &Endpoints,
        now: Time,
    ) -> Result<HttpRequest, Refused> {
        let no = |why: String| Err(Refused::new(403, why));
        if self.stack != stack {
            return no(format!("this is stack {stack}, and the proof of who asks is meant for {:?}", self.stack));
        }
        let sha256 = asked.sha256();
        if self.sha256 != sha256 {
            return no("the proof of who asks is meant for another request".to_owned());
        }
        let Some(signed) = self.signed_at() else {
            return no("the proof of who asks has no date".to_owned());
        };
        if now.0.abs_diff(signed.0) > GOOD_SECONDS.unsigned_abs() {
            return no(format!(
                "the proof of who asks was signed at {signed} and is good for a minute; here it is {now}: load the \
                 page again, and set this machine's clock if that does not help"
            ));
        }
        if !is_hex(&self.nonce, 32) || !self.is_signed_in_full(&endpoints.region) {
            return no("the proof of who asks does not sign what it has to: use qtrail of this version".to_owned());
        }
        let mut signature = vec![
            ("x-amz-date".to_owned(), self.date.clone()),
            ("authorization".to_owned(), self.authorization.clone()),
        ];
        signature.extend(self.token.clone().map(|token| ("x-amz-security-token".to_owned(), token)));
        let question = question(endpoints, stack, &sha256, &self.nonce).with(signature);
        question.map_err(|problem| Refused::new(403, format!("the proof of who asks is unusable: {problem}")))
    }

    fn signed_at(&self) -> Option<Time> {
        Time::parse(&self.date).filter(|_| self.date.len() == 16)
    }

    /// Whether the signature is one for STS in this region, on that day, over all of the headers.
    fn is_signed_in_full(&self, region: &str) -> bool {
        let signed = if self.token.is_some() { SIGNED_IN_SESSION } else { SIGNED };
        let is_token = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let scope = format!("/{}/{region}/sts/aws4_request", self.date.get(..8).unwrap_or_default());
        let parts = || {
            let rest = self.authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
            let (credential, rest) = rest.split_once(", SignedHeaders=")?;
            let (headers, signature) = rest.split_once(", Signature=")?;
            Some((credential.strip_suffix(&scope)?, headers, signature))
        };
        self.token.as_deref().is_none_or(is_token)
            && parts().is_some_and(|(key, headers, signature)| {
                let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
                is_key && headers == signed && is_hex(signature, 64)
            })
    }
}

/// The question to STS, which lacks nothing but its signature.
fn question(endpoints: &Endpoints, stack: &str, sha256: &str, nonce: &str) -> Request {
    Request {
        service: "sts",
        signing_region: endpoints.region.clone(),
        method: "POST",
        url: format!("{}/", endpoints.address("sts")),
        headers: vec![
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("x-qtrail-nonce", nonce.to_owned()),
            ("x-qtrail-request-sha256", sha256.to_owned()),
            ("x-qtrail-stack", stack.to_owned()),
        ],
        body: Bytes::from_static(QUESTION),
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
