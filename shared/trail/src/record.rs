//! One CloudTrail record.
//!
//! Most records are wanted by no detection, so reading has two depths: the header, borrowed from the file's text
//! without building anything, and the body, a JSON tree that is built once for the few records that are wanted.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::actor::Actor;
use crate::log_file::skim::Cursor;
use crate::shape;
use crate::time::Time;

/// A record: its header, its text, and on demand its body.
///
/// Field names are those of the CloudTrail user guide, "record contents". A header field that is absent is empty.
#[derive(Debug, Clone, Default)]
pub struct Record<'a> {
    text: &'a str,
    /// `eventSource`: the service, as in `iam.amazonaws.com`.
    pub source: Cow<'a, str>,
    /// `eventName` as recorded. See [`Record::action`].
    pub name: Cow<'a, str>,
    /// `eventTime` as recorded.
    pub time: Cow<'a, str>,
    /// `eventID`.
    pub id: Cow<'a, str>,
    /// `awsRegion`.
    pub region: Cow<'a, str>,
    /// `sourceIPAddress`: an address, the name of a service, or `AWS Internal`.
    pub source_ip: Cow<'a, str>,
    /// `errorCode`.
    pub error_code: Cow<'a, str>,
    /// `eventType`.
    pub event_type: Cow<'a, str>,
    /// `eventCategory`.
    pub category: Cow<'a, str>,
    /// `recipientAccountId`.
    pub recipient_account: Cow<'a, str>,
    /// `readOnly`, where the record says.
    pub read_only: Option<bool>,
    identity: &'a str,
    /// Whether all of the text is known to hold no escapes.
    plain: bool,
    addendum: &'a str,
    body: OnceCell<Value>,
}

/// What an identity may be, by a look at its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suspicion {
    /// The root user, or a session that root issued.
    pub(crate) root: bool,
    /// Somebody of another account.
    pub(crate) foreign: bool,
}

/// What came of a call. The order is that of the worst: a success outweighs a refusal, a refusal a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// AWS could not carry it out: not found, invalid, throttled, a rehearsal.
    Failed,
    /// AWS refused it.
    Denied,
    /// It was done.
    Success,
}

/// What a record is a record of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An API call, a sign-in, a console action or a service's own act: what detections look at.
    Api,
    /// A CloudTrail Insights record.
    Insight,
    /// A call through a VPC endpoint, recorded from the network's side.
    NetworkActivity,
    /// A count of data events.
    Aggregated,
}

/// Who a record is, over all copies of it: the account that it belongs to and its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Twelve digits, or `-` where neither the record nor the log file says.
    pub account: String,
    /// `addendum.originalEventID`, else `eventID`, else the SHA-256 of the record's text.
    pub id: String,
}

/// Why a record cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The text is not a JSON object.
    #[error("not a JSON object: {0}")]
    NotAnObject(String),
    /// The text is not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// Larger than the limit; both in bytes.
    #[error("{size} bytes, over the limit of {limit} bytes a record")]
    TooLarge {
        /// The record's size.
        size: usize,
        /// The limit in force.
        limit: usize,
    },
    /// An API record that names no service or no action.
    #[error("an API record without {0}")]
    Missing(&'static str),
    /// An API record whose time cannot be read.
    #[error("eventTime is no RFC 3339 time")]
    BadTime,
    /// A detection's check panicked over it: a mistake of ours. The others have seen it.
    #[error("the check of detection {0} failed over it: please report this")]
    CheckFailed(&'static str),
    /// The file ends inside the record.
    #[error("the file ends inside this record")]
    CutOff,
}

/// The members of a record that its header takes up.
#[derive(Clone, Copy)]
enum Field {
    Source,
    Name,
    Time,
    Id,
    Region,
    SourceIp,
    ErrorCode,
    EventType,
    Category,
    RecipientAccount,
    ReadOnly,
    Identity,
    Addendum,
}

impl Field {
    #[inline]
    fn of(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"eventSource" => Self::Source,
            b"eventName" => Self::Name,
            b"eventTime" => Self::Time,
            b"eventID" => Self::Id,
            b"awsRegion" => Self::Region,
            b"sourceIPAddress" => Self::SourceIp,
            b"errorCode" => Self::ErrorCode,
            b"eventType" => Self::EventType,
            b"eventCategory" => Self::Category,
            b"recipientAccountId" => Self::RecipientAccount,
            b"readOnly" => Self::ReadOnly,
            b"userIdentity" => Self::Identity,
            b"addendum" => Self::Addendum,
            _ => return None,
        })
    }
}

impl<'a> Record<'a> {
    /// Reads a record from the text of one JSON object.
    pub fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let mut record = Record::default();
        match record.skim(text, &mut Cursor::new(text.as_bytes(), 0), 0) {
            Some(end) if end == text.len() => Ok(record),
            _ => Self::parse_any(text),
        }
    }

    /// Reads a record that may be written in any way JSON allows. Of a key that is there twice the last one counts.
    pub(crate) fn parse_any(text: &'a str) -> Result<Self, Unreadable> {
        let mut json = serde_json::Deserializer::from_str(text);
        let mut record = json
            .deserialize_map(HeaderVisitor)
            .and_then(|record| json.end().map(|()| record))
            .map_err(|e| Unreadable::NotAnObject(e.to_string()))?;
        record.text = text;
        Ok(record)
    }

    /// Reads a record written compactly, beginning at `start`, into this empty one; yields the offset behind it.
    ///
    /// `None` says that something was out of the ordinary and that [`Record::parse_any`] is to look.
    pub(crate) fn skim(&mut self, file: &'a str, cursor: &mut Cursor<'a>, start: usize) -> Option<usize> {
        let bytes = file.as_bytes();
        let mut at = start + 1;
        if bytes.get(start) != Some(&b'{') || bytes.get(at) != Some(&b'"') {
            return None;
        }
        cursor.mark();
        loop {
            let key_end = cursor.string_end(at)?;
            let key = bytes.get(at + 1..key_end)?;
            if bytes.get(key_end + 1) != Some(&b':') || !cursor.is_plain() && key.contains(&b'\\') {
                return None;
            }
            let value_start = key_end + 2;
            let value_end = value_end(bytes, cursor, value_start)?;
            if let Some(field) = Field::of(key) {
                self.set(field, file.get(value_start..value_end)?, cursor.is_plain())?;
            }
            match bytes.get(value_end)? {
                b',' if bytes.get(value_end + 1) == Some(&b'"') => at = value_end + 1,
                b'}' => {
                    self.text = file.get(start..=value_end)?;
                    self.plain = cursor.is_plain();
                    return Some(value_end + 1);
                }
                _ => return None,
            }
        }
    }

    /// Takes up one member; `plain` says that nothing in it is escaped. `None`: escapes that cannot be resolved.
    fn set(&mut self, field: Field, value: &'a str, plain: bool) -> Option<()> {
        let place = match field {
            Field::Source => &mut self.source,
            Field::Name => &mut self.name,
            Field::Time => &mut self.time,
            Field::Id => &mut self.id,
            Field::Region => &mut self.region,
            Field::SourceIp => &mut self.source_ip,
            Field::ErrorCode => &mut self.error_code,
            Field::EventType => &mut self.event_type,
            Field::Category => &mut self.category,
            Field::RecipientAccount => &mut self.recipient_account,
            Field::ReadOnly => {
                self.read_only = tolerant_bool(value);
                return Some(());
            }
            Field::Identity => {
                self.identity = value;
                return Some(());
            }
            Field::Addendum => {
                self.addendum = value;
                return Some(());
            }
        };
        *place = scalar(value, plain)?;
        Some(())
    }

    /// The record as it was delivered.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// What this is a record of.
    pub fn kind(&self) -> Kind {
        match (&*self.category, &*self.event_type) {
            ("Insight", _) | (_, "AwsCloudTrailInsight") => Kind::Insight,
            ("NetworkActivity", _) | (_, "AwsVpceEvent" | "AwsVpceEvents") => Kind::NetworkActivity,
            ("Aggregated", _) | (_, "AwsAggregatedEvent") => Kind::Aggregated,
            _ => Kind::Api,
        }
    }

    /// The API's name for what was called: Lambda records a dated one (`AddPermission20150331v2`).
    pub fn action(&self) -> &str {
        if self.source == "lambda.amazonaws.com" { undated(&self.name) } else { &self.name }
    }

    /// The same, borrowed as the record's fields are.
    pub(crate) fn action_text(&self) -> Cow<'a, str> {
        let length = self.action().len();
        match &self.name {
            Cow::Borrowed(name) => Cow::Borrowed(name.get(..length).unwrap_or(name)),
            Cow::Owned(_) => Cow::Owned(self.action().to_owned()),
        }
    }

    /// Whether the call may have changed something: the record says, else the action's name.
    pub fn changes(&self) -> bool {
        const READS: [&str; 8] = ["Get", "List", "Describe", "Simulate", "Generate", "Head", "Lookup", "Search"];
        self.read_only.map_or_else(|| !READS.iter().any(|verb| self.name.starts_with(verb)), |read_only| !read_only)
    }

    /// Whether AWS refused the call, by its error code alone.
    pub fn refused(&self) -> bool {
        is_refusal(&self.error_code)
    }

    /// Whether the identity may have to do with the root user. May say yes too often, never too seldom.
    pub fn may_be_root(&self) -> bool {
        self.suspicion().root
    }

    /// Whether the identity may be that of another account. May say yes too often, never too seldom.
    pub fn may_be_foreign(&self) -> bool {
        self.suspicion().foreign
    }

    /// Both of these, for the price of one.
    pub(crate) fn suspicion(&self) -> Suspicion {
        // The end of `"Root"`, `:root"` and `"AWSAccount"`; an escaped spelling is looked at closely.
        static ENDS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"t\""));
        let escaped = self.identity_is_escaped();
        let mut found = Suspicion { root: escaped, foreign: escaped };
        for at in ENDS.find_iter(self.identity.as_bytes()) {
            let before = &self.identity.as_bytes()[..at];
            found.root |= before.ends_with(b"oo");
            found.foreign |= before.ends_with(b"\"AWSAccoun");
        }
        found
    }

    fn identity_is_escaped(&self) -> bool {
        !self.plain && memchr::memchr(b'\\', self.identity.as_bytes()).is_some()
    }

    /// Whether the record's text holds a word, letter for letter. May say yes too often, never too seldom.
    pub fn mentions(&self, word: &str) -> bool {
        self.mentions_one_of(&[Finder::new(word)])
    }

    /// The same for any of several words that are looked for again and again.
    pub(crate) fn mentions_one_of(&self, words: &[Finder<'_>]) -> bool {
        words.iter().any(|word| word.find(self.text.as_bytes()).is_some()) || self.may_spell_otherwise()
    }

    /// The same in letters of either case.
    pub fn mentions_in_any_case(&self, word: &str) -> bool {
        let text = self.text.as_bytes();
        let Some((first, rest)) = word.as_bytes().split_first() else { return true };
        let follows =
            |at: usize| text.get(at + 1..=at + rest.len()).is_some_and(|next| next.eq_ignore_ascii_case(rest));
        memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text).any(follows)
            || self.may_spell_otherwise()
    }

    /// Whether letters may be escaped somewhere; those that words are made of lie below U+0100.
    fn may_spell_otherwise(&self) -> bool {
        static ESCAPED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br"\u00"));
        !self.plain && ESCAPED.find(self.text.as_bytes()).is_some()
    }

    /// `eventTime`, or why it cannot be read.
    pub fn event_time(&self) -> Result<Time, Unreadable> {
        Time::parse(&self.time).ok_or(Unreadable::BadTime)
    }

    /// `eventID`, where it alone identifies the record within its account.
    pub fn plain_id(&self) -> Option<&str> {
        (!self.id.is_empty() && self.addendum.is_empty()).then_some(&*self.id)
    }

    /// What identifies the record over all copies; `account_hint` comes from the log file's name or the envelope.
    pub fn identity(&self, account_hint: Option<&str>) -> Identity {
        let account = match &*self.recipient_account {
            "" => account_hint.unwrap_or("-").to_owned(),
            account => account.to_owned(),
        };
        Identity { account, id: self.identity_id().into_owned() }
    }

    /// The id of that identity.
    pub(crate) fn identity_id(&self) -> Cow<'a, str> {
        let original = || {
            let addendum: Value = serde_json::from_str(self.addendum).ok()?;
            addendum["originalEventID"].as_str().filter(|id| !id.is_empty()).map(str::to_owned)
        };
        match &*self.id {
            _ if self.addendum.len() > 2
                && let Some(id) = original() =>
            {
                id.into()
            }
            "" => hex(&Sha256::digest(self.text)).into(),
            _ => self.id.clone(),
        }
    }

    /// Reads the whole record. Until this has succeeded, the accessors below see an empty record.
    pub fn load(&self) -> Result<(), Unreadable> {
        if self.body.get().is_none() {
            let body = serde_json::from_str(self.text).map_err(|e| Unreadable::NotAnObject(e.to_string()))?;
            let _ = self.body.set(body);
        }
        Ok(())
    }

    /// The whole record as JSON.
    pub fn body(&self) -> &Value {
        self.body.get().unwrap_or(&Value::Null)
    }

    /// `requestParameters`: null, an object, a string or an array.
    pub fn request(&self) -> &Value {
        &self.body()["requestParameters"]
    }

    /// `responseElements`.
    pub fn response(&self) -> &Value {
        &self.body()["responseElements"]
    }

    /// `additionalEventData`.
    pub fn additional(&self) -> &Value {
        &self.body()["additionalEventData"]
    }

    /// `userIdentity`.
    pub fn user_identity(&self) -> &Value {
        &self.body()["userIdentity"]
    }

    /// `errorMessage`.
    pub fn error_message(&self) -> &str {
        shape::text(&self.body()["errorMessage"])
    }

    /// `userAgent`.
    pub fn user_agent(&self) -> &str {
        shape::text(&self.body()["userAgent"])
    }

    /// Who is behind the record.
    pub fn actor(&self) -> Actor {
        Actor::of(self)
    }

    /// A request parameter as text; empty where there is none. The key's first letter may have either case.
    pub fn parameter(&self, key: &str) -> &str {
        shape::text(shape::field(self.request(), key))
    }

    /// Whether CloudTrail left the request's content out because of its size: a way to hide what was asked.
    pub fn request_omitted(&self) -> bool {
        shape::truthy(&self.request()["omitted"])
    }

    /// What came of the call. Sign-ins say it in their response, everything else by an error code.
    pub fn outcome(&self) -> Outcome {
        if self.refused() {
            return Outcome::Denied;
        }
        if !self.error_code.is_empty() {
            return Outcome::Failed;
        }
        if self.is_failed_sign_in(self.sign_in_result(), self.error_message()) {
            return Outcome::Failed;
        }
        Outcome::Success
    }

    /// Whether a record without an error code tells of a failed sign-in, given what it says of result and error.
    pub(crate) fn is_failed_sign_in(&self, result: &str, message: &str) -> bool {
        match result {
            "" => self.source == "signin.amazonaws.com" && !message.is_empty(),
            result => result.eq_ignore_ascii_case("failure"),
        }
    }

    /// `Success` or `Failure` as a sign-in record says it (`responseElements`, or `serviceEventDetails` for Identity
    /// Center); empty elsewhere.
    pub fn sign_in_result(&self) -> &str {
        match shape::text(&self.response()[&*self.name]) {
            "" => shape::text(&self.body()["serviceEventDetails"][&*self.name]),
            result => result,
        }
    }

    /// The ARN in an error message: a refused call often has no request parameters at all.
    pub fn arn_in_error(&self) -> Option<&str> {
        let message = self.error_message();
        let (_, rest) = message.split_once("on resource: ")?;
        rest.split_whitespace().next().filter(|arn| arn.starts_with("arn:"))
    }
}

/// Whether an error code says that AWS refused, in any service's spelling.
pub fn is_refusal(code: &str) -> bool {
    ["AccessDenied", "UnauthorizedOperation", "UnauthorizedAccess", "Forbidden", "NotAuthorized"]
        .iter()
        .any(|word| code.contains(word))
}

/// A Lambda action without the date and version that CloudTrail appends.
fn undated(name: &str) -> &str {
    let bare = match name.rsplit_once('v') {
        Some((head, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => head,
        _ => name,
    };
    let stem = bare.trim_end_matches(|c: char| c.is_ascii_digit());
    if bare.len() - stem.len() == 8 { stem } else { name }
}

/// The end of the value at `start`, exclusive; `None` for what compact JSON does not have.
#[inline]
fn value_end(bytes: &[u8], cursor: &mut Cursor<'_>, start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => cursor.string_end(start).map(|end| end + 1),
        b'{' | b'[' => cursor.container_end(start).map(|end| end + 1),
        b't' => literal(bytes, start, b"true"),
        b'f' => literal(bytes, start, b"false"),
        b'n' => literal(bytes, start, b"null"),
        // A number at the top level of a record is rare enough for the careful reader.
        _ => None,
    }
}

fn literal(bytes: &[u8], start: usize, word: &[u8]) -> Option<usize> {
    bytes.get(start..)?.starts_with(word).then_some(start + word.len())
}

/// The text of a scalar: a string without its quotes, empty for null. `plain`: there is nothing to unescape.
#[inline]
fn scalar(value: &str, plain: bool) -> Option<Cow<'_, str>> {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if plain || !inner.bytes().any(|b| b == b'\\' || b < 0x20) => Some(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str::<String>(value).ok().map(Cow::Owned),
        None if value == "null" => Some(Cow::Borrowed("")),
        None => Some(Cow::Borrowed(value)),
    }
}

/// Booleans are `true`, `"true"` or `"True"` in the wild.
pub(crate) fn tolerant_bool(value: &str) -> Option<bool> {
    let word = value.trim_matches('"');
    if word.eq_ignore_ascii_case("true") {
        Some(true)
    } else if word.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The SHA-256 of bytes.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
        let mut record = Record::default();
        while let Some((key, value)) = map.next_entry::<CowStr<'de>, &'de RawValue>()? {
            if let Some(field) = Field::of(key.0.as_bytes()) {
                record.set(field, value.get(), false).ok_or_else(|| serde::de::Error::custom("invalid escape"))?;
            }
        }
        Ok(record)
    }
}

/// `Cow<str>` alone is always read as owned.
#[derive(serde::Deserialize)]
struct CowStr<'a>(#[serde(borrow)] Cow<'a, str>);
