//! A small signed client for all the services that are asked: no SDK a service, the raw answers are kept as they come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::Response;
use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use trail::snapshot::{Cause, Page, Refusal, rows};

use super::api::{Api, Form, Pages};
use super::endpoint::Endpoints;
use super::refusal::{self, refusal};
use super::xml::Element;
use crate::deployment::now;
use crate::error::Error;
use crate::wire::{self, Request, Unread};

/// So many requests are on their way at once.
const IN_FLIGHT: usize = 20;

/// The largest answer, in bytes: a page of one.
const LARGEST_PAGE: usize = 16 << 20;

/// The largest answer of all pages together, in bytes.
const LARGEST: usize = 64 << 20;

/// So many pages are joined.
const MOST_PAGES: usize = 400;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How long one page is asked for again while it is throttled or not answered.
const QUESTION: Duration = Duration::from_secs(40);

/// So often a question is asked that is not answered: a server that is broken stays so longer than one that is busy.
const ATTEMPTS: u32 = 5;

/// The first wait before a repetition at the most, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The client.
#[derive(Debug)]
pub(super) struct Client {
    connector: SharedHttpConnector,
    pub(super) endpoints: Endpoints,
    permits: Semaphore,
    sent: AtomicU64,
}

/// A question to one region.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) api: &'static Api,
    pub(super) region: String,
    pub(super) parameters: BTreeMap<String, String>,
}

/// What came of a question.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) result: Result<Value, Refusal>,
    pub(super) request_id: String,
    pub(super) sha256: String,
    pub(super) pages: Vec<Page>,
}

impl Fetched {
    /// What was not answered at all.
    pub(super) fn refused(refused: Refusal) -> Self {
        Self { result: Err(refused), request_id: String::new(), sha256: String::new(), pages: Vec::new() }
    }
}

/// One answer as it came.
struct Raw {
    status: u16,
    /// The code of an error, where a header has it.
    code: Option<String>,
    request_id: String,
    bucket_region: Option<String>,
    bytes: Bytes,
}

impl Raw {
    /// What it says, if it is an error.
    fn refusal(&self) -> Refusal {
        refusal::read(self.status, self.code.as_deref(), &self.bytes)
    }
}

impl Client {
    pub(super) fn new(config: &SdkConfig) -> Result<Self, Error> {
        let connector = wire::connector(config, ATTEMPT)?;
        let endpoints = Endpoints::new(config);
        Ok(Self { connector, endpoints, permits: Semaphore::new(IN_FLIGHT), sent: AtomicU64::new(0) })
    }

    /// How many requests were sent, repetitions included.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Asks, page after page, until `end` at the latest.
    pub(super) async fn fetch(&self, question: &Question, identity: &Identity, end: Instant) -> Fetched {
        let mut hash = Sha256::new();
        let mut fetched =
            Fetched { result: Ok(Value::Null), request_id: String::new(), sha256: String::new(), pages: Vec::new() };
        let mut size = 0;
        let mut token = None;
        for page in 0.. {
            let until = end.min(Instant::now() + QUESTION);
            let raw = match self.persist(question, token.as_deref(), identity, until).await {
                Ok(raw) => raw,
                Err(refused) => {
                    fetched.result = Err(refused);
                    break;
                }
            };
            hash.update(&raw.bytes);
            size += raw.bytes.len();
            fetched.request_id.clone_from(&raw.request_id);
            let read = read(question, &raw).and_then(|mut body| {
                token = question.api.pages.and_then(|pages| take_token(&mut body, pages));
                fetched.pages.push(Page { request_id: raw.request_id.clone(), rows: rows(&body), time: now() });
                if let Ok(joined) = &mut fetched.result {
                    join(joined, body);
                }
                let too_much = token.is_some() && (size > LARGEST || page + 1 == MOST_PAGES);
                if too_much {
                    Err(refusal(Cause::Unknown, "TooLarge", "there are more pages than are read"))
                } else {
                    Ok(())
                }
            });
            if let Err(refused) = read {
                fetched.result = Err(refused);
                break;
            }
            if token.is_none() {
                break;
            }
        }
        if size > 0 || !fetched.request_id.is_empty() {
            fetched.sha256 = trail::record::hex(&hash.finalize());
        }
        fetched
    }

    /// One page, asked for again while AWS is throttling or not there.
    async fn persist(
        &self,
        question: &Question,
        token: Option<&str>,
        identity: &Identity,
        end: Instant,
    ) -> Result<Raw, Refusal> {
        let mut longest = FIRST_WAIT;
        let mut left = ATTEMPTS;
        loop {
            left = left.saturating_sub(1);
            let came = self.attempt(question, token, identity, end).await;
            let cause = match &came {
                Ok(raw) if (200..300).contains(&raw.status) => return came,
                Ok(raw) => raw.refusal().cause,
                Err(refused) => refused.cause,
            };
            // Any moment up to the longest: those who were refused together do not come back together.
            let wait = longest.mul_f64(fastrand::f64());
            let again = cause == Cause::Throttled || (cause == Cause::Unreachable && left > 0);
            if !again || Instant::now() + wait >= end {
                return came;
            }
            tokio::time::sleep(wait).await;
            longest = (longest * 2).min(LONGEST_WAIT);
        }
    }

    /// Sends one request and reads the whole answer.
    async fn attempt(
        &self,
        question: &Question,
        token: Option<&str>,
        identity: &Identity,
        end: Instant,
    ) -> Result<Raw, Refusal> {
        let unreachable = |code: &str, message: &str| refusal(Cause::Unreachable, code, message);
        let Ok(_permit) = self.permits.acquire().await else { return Err(unreachable("Closed", "")) };
        if Instant::now() >= end {
            return Err(unreachable("OutOfTime", "the time for this account was over before the question was asked"));
        }
        let request = Request::new(question, token, &self.endpoints);
        let signed = request.signed(identity).map_err(|problem| refusal(Cause::Unknown, "Unsendable", problem))?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let answered = async {
            let response =
                self.connector.call(signed).await.map_err(|e| unreachable("ConnectorError", &e.to_string()))?;
            raw(response).await
        };
        let limit = end.min(Instant::now() + ATTEMPT);
        tokio::time::timeout_at(limit, answered).await.map_err(|_| unreachable("Timeout", "no answer in time"))?
    }
}

/// An answer, read to its end within bounds.
async fn raw(response: Response) -> Result<Raw, Refusal> {
    let header = |names: &[&str]| names.iter().find_map(|name| response.headers().get(name)).map(str::to_owned);
    let mut raw = Raw {
        status: response.status().as_u16(),
        code: header(&["x-amzn-errortype"]),
        request_id: header(&["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"]).unwrap_or_default(),
        bucket_region: header(&["x-amz-bucket-region"]),
        bytes: Bytes::new(),
    };
    raw.bytes = wire::body(response, LARGEST_PAGE).await.map_err(|unread| match unread {
        Unread::TooLarge => refusal(Cause::Unknown, "TooLarge", "the answer is larger than is read"),
        Unread::BreaksOff => refusal(Cause::Unreachable, "ConnectorError", "the answer breaks off"),
    })?;
    Ok(raw)
}

/// What an answer says, in the form of `aws --output json`.
fn read(question: &Question, raw: &Raw) -> Result<Value, Refusal> {
    let api = question.api;
    let unreadable = |problem: String| refusal(Cause::Unknown, "Unreadable", problem);
    // A bucket of another region is found all the same: the answer says where.
    let elsewhere = raw.bucket_region.as_ref().is_some_and(|region| *region != question.region);
    let moved = matches!(api.form, Form::Head) && elsewhere && matches!(raw.status, 301 | 307 | 400);
    if !(200..300).contains(&raw.status) && !moved {
        return Err(raw.refusal());
    }
    match api.form {
        Form::Json => {
            let body = serde_json::from_slice(&raw.bytes).map_err(|e| unreadable(e.to_string()))?;
            Ok(if api.call.starts_with("logs:") { body } else { with_times(body) })
        }
        Form::Result => Ok(Element::parse(&raw.bytes).map_err(unreadable)?.result()),
        Form::Xml(name, shapes) => {
            let body = Element::parse(&raw.bytes).map_err(unreadable)?.members(shapes);
            Ok(if name.is_empty() { body } else { object(name, body) })
        }
        Form::Text(name) => {
            let text = std::str::from_utf8(&raw.bytes).map_err(|e| unreadable(e.to_string()))?;
            Ok(object(name, text.into()))
        }
        Form::Head => Ok(raw
            .bucket_region
            .as_deref()
            .map_or_else(|| Value::Object(Map::new()), |region| object("BucketRegion", region.into()))),
    }
}

fn object(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

/// JSON services tell times as seconds since 1970; the command line prints them in RFC 3339.
fn with_times(body: Value) -> Value {
    match body {
        Value::Object(members) => {
            let times = |(name, value): (String, Value)| {
                let is_time =
                    ["Time", "Date", "Timestamp", "edAt"].iter().any(|end| name.ends_with(end)) || name == "ValidTo";
                let time = value.as_f64().filter(|_| is_time).and_then(timestamp);
                (name, time.unwrap_or_else(|| with_times(value)))
            };
            Value::Object(members.into_iter().map(times).collect())
        }
        Value::Array(items) => items.into_iter().map(with_times).collect(),
        other => other,
    }
}

fn timestamp(seconds: f64) -> Option<Value> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "times of AWS are whole milliseconds in this age; others saturate"
    )]
    let millis = (seconds * 1e3).round() as i64;
    jiff::Timestamp::from_millisecond(millis).ok().map(|time| time.to_string().into())
}

/// Takes what asks for the next page out of the answer, if there is one.
fn take_token(body: &mut Value, Pages(_, member): Pages) -> Option<String> {
    let members = body.as_object_mut()?;
    for said in ["IsTruncated", "Truncated"] {
        members.remove(said);
    }
    match members.remove(member)? {
        Value::String(token) if !token.is_empty() => Some(token),
        _ => None,
    }
}

/// Adds a page: lists grow, everything else stays as the first page had it.
fn join(joined: &mut Value, page: Value) {
    match (joined, page) {
        (Value::Object(all), Value::Object(more)) => {
            for (name, value) in more {
                match all.get_mut(&name) {
                    Some(known) => join(known, value),
                    None => {
                        all.insert(name, value);
                    }
                }
            }
        }
        (Value::Array(all), Value::Array(more)) => all.extend(more),
        (joined @ Value::Null, page) => *joined = page,
        _ => {}
    }
}
