//! What a record says behind its header, read in one pass over a text that is written as AWS writes it: compact, each
//! member once, its name spelt one way. Everything is `None` at the first surprise.

use std::borrow::Cow;

use super::Body;
use super::resources::{Harvest, Part, Place};
use crate::actor::Said;
use crate::log_file::skim::Cursor;
use crate::record::{Record, tolerant_bool};

/// How deep a record may be nested: more is left to the reader that has a limit of its own.
const DEEPEST: u8 = 64;

/// The body of a record.
pub(super) fn body<'a>(record: &Record<'a>) -> Option<Body<'a>> {
    let text = record.text();
    let members = Members::of(text)?;
    let mut said = said(text, &members, borrowed(&record.source_ip)?)?;
    let endpoint = additional(text, &members, &mut said)?;
    let tls = tls_version(text, &members)?;
    let mut body = Body {
        said,
        user_agent: members.user_agent,
        error_message: members.error_message,
        request_id: members.request_id,
        shared_event_id: members.shared_event_id,
        vpc_endpoint: if members.vpc_endpoint.is_empty() { endpoint.into() } else { members.vpc_endpoint },
        tls: tls.into(),
        is_management: members.is_management,
        harvest: Harvest::new(borrowed(&record.source)?, borrowed(&record.name)?, &record.region),
    };
    let parts = [
        (Part::Listed, members.resources),
        (Part::Request, members.request),
        (Part::Response, members.response),
        (Part::Details, members.details),
    ];
    for (part, start) in parts.into_iter().filter(|(_, start)| *start != 0) {
        walk(&mut body.harvest, &mut Reader::new(text, start), Place::of(part))?;
    }
    body.harvest.finish();
    Some(body)
}

fn borrowed<'a>(text: &Cow<'a, str>) -> Option<&'a str> {
    match text {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(text) => text.is_empty().then_some(""),
    }
}

/// The members of a record: texts, and where in the record the values of the others begin, 0 where there is none.
#[derive(Debug, Default)]
struct Members<'a> {
    user_agent: Cow<'a, str>,
    error_message: Cow<'a, str>,
    request_id: Cow<'a, str>,
    shared_event_id: Cow<'a, str>,
    vpc_endpoint: Cow<'a, str>,
    is_management: Option<bool>,
    console: Option<bool>,
    identity: usize,
    request: usize,
    response: usize,
    additional: usize,
    resources: usize,
    details: usize,
    tls: usize,
}

impl<'a> Members<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut found = Self::default();
        let mut reader = Reader::new(text, 0);
        reader.members(|reader, key| found.take(reader, key))?;
        (reader.at == text.len()).then_some(found)
    }

    fn take(&mut self, reader: &mut Reader<'a>, key: &str) -> Option<()> {
        let text = match key {
            "userAgent" => &mut self.user_agent,
            "errorMessage" => &mut self.error_message,
            "requestID" => &mut self.request_id,
            "sharedEventID" => &mut self.shared_event_id,
            "vpcEndpointId" => &mut self.vpc_endpoint,
            _ => return self.take_other(reader, key),
        };
        *text = reader.text()?;
        Some(())
    }

    fn take_other(&mut self, reader: &mut Reader<'a>, key: &str) -> Option<()> {
        let place = match key {
            "userIdentity" => &mut self.identity,
            "requestParameters" => &mut self.request,
            "responseElements" => &mut self.response,
            "additionalEventData" => &mut self.additional,
            "resources" => &mut self.resources,
            "serviceEventDetails" => &mut self.details,
            "tlsDetails" => &mut self.tls,
            "TlsDetails" => return None,
            "managementEvent" => return reader.flag(&mut self.is_management),
            "sessionCredentialFromConsole" => return reader.flag(&mut self.console),
            _ => return reader.skip(),
        };
        *place = reader.at;
        reader.skip()
    }
}

/// What the record's identity says of its actor.
fn said<'a>(text: &'a str, members: &Members<'a>, source_ip: &'a str) -> Option<Said<'a>> {
    let mut said = Said { source_ip, console: members.console == Some(true), ..Said::default() };
    let mut contexts = 0;
    if members.identity != 0 {
        Reader::new(text, members.identity).object(|reader, key| match key {
            "type" => reader.once(&mut said.kind),
            "principalId" => reader.once(&mut said.principal),
            "arn" => reader.once(&mut said.arn),
            "accountId" => reader.once(&mut said.account),
            "accessKeyId" => reader.once(&mut said.access_key),
            "userName" => reader.once(&mut said.user_name),
            "invokedBy" => reader.once(&mut said.invoked_by),
            "identityProvider" => reader.once(&mut said.provider),
            "sessionContext" => {
                contexts += 1;
                reader.object(|reader, key| context(&mut said, reader, key))
            }
            "onBehalfOf" => reader.object(|reader, key| match key {
                "userId" => reader.once(&mut said.on_behalf_of),
                _ => reader.skip_usual(key),
            }),
            _ => reader.skip_usual(key),
        })?;
    }
    (contexts < 2).then_some(said)
}

fn context<'a>(said: &mut Said<'a>, reader: &mut Reader<'a>, key: &str) -> Option<()> {
    match key {
        "sourceIdentity" => reader.once(&mut said.source_identity),
        "sessionIssuer" => reader.object(|reader, key| match key {
            "type" => reader.once(&mut said.issuer_kind),
            "arn" => reader.once(&mut said.issuer_arn),
            _ => reader.skip_usual(key),
        }),
        "attributes" => reader.object(|reader, key| match key {
            "mfaAuthenticated" => reader.once(&mut said.mfa_of_session),
            _ => reader.skip_usual(key),
        }),
        "webIdFederationData" => {
            said.has_web_identity = reader.has_members()?;
            reader.skip()
        }
        "assumedRoot" => {
            let mut assumed = None;
            reader.flag(&mut assumed)?;
            said.assumed_root = assumed == Some(true);
            Some(())
        }
        _ => reader.skip_usual(key),
    }
}

/// What else is said of the actor; yields the VPC endpoint that is told here.
fn additional<'a>(text: &'a str, members: &Members<'a>, said: &mut Said<'a>) -> Option<&'a str> {
    let mut endpoint = "";
    if members.additional != 0 {
        Reader::new(text, members.additional).object(|reader, key| match key {
            "UserName" => reader.once(&mut said.signed_in),
            "MFAUsed" => reader.once(&mut said.mfa_of_sign_in),
            "SamlProviderArn" => reader.once(&mut said.saml_provider),
            "vpcEndpointId" => reader.once(&mut endpoint),
            "userName" | "mFAUsed" | "samlProviderArn" | "VpcEndpointId" => None,
            _ => reader.skip(),
        })?;
    }
    Some(endpoint)
}

fn tls_version<'a>(text: &'a str, members: &Members<'a>) -> Option<&'a str> {
    let mut version = "";
    if members.tls != 0 {
        Reader::new(text, members.tls).object(|reader, key| match key {
            "tlsVersion" => reader.once(&mut version),
            _ => reader.skip_usual(key),
        })?;
    }
    Some(version)
}

fn walk<'a>(harvest: &mut Harvest<'a>, reader: &mut Reader<'a>, place: Place<'_>) -> Option<()> {
    match reader.byte()? {
        b'"' => {
            let string = reader.string()?;
            if !string.is_document() {
                harvest.take(place, string.text()?);
            }
            Some(())
        }
        b'{' if !place.is_left_out() => reader.members(|reader, key| walk(harvest, reader, place.member(key))),
        b'[' => reader.elements(|reader| walk(harvest, reader, place)),
        _ => reader.skip(),
    }
}

/// A walk over compact JSON.
struct Reader<'a> {
    text: &'a str,
    cursor: Cursor<'a>,
    at: usize,
    depth: u8,
}

/// A string as it stands in the text.
struct Quoted<'a> {
    text: &'a str,
    is_escaped: bool,
}

impl<'a> Quoted<'a> {
    fn inner(&self) -> &'a str {
        self.text.get(1..self.text.len() - 1).unwrap_or_default()
    }

    fn text(&self) -> Option<Cow<'a, str>> {
        if self.is_escaped {
            return serde_json::from_str::<String>(self.text).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(self.inner()))
    }

    /// Whether this is JSON in a string, as policies are: it names nothing, and resolving its escapes is dear.
    fn is_document(&self) -> bool {
        self.is_escaped && self.inner().starts_with('{') && self.inner().ends_with('}')
    }
}

impl<'a> Reader<'a> {
    /// A walk that begins at a value.
    fn new(text: &'a str, at: usize) -> Self {
        Self { text, cursor: Cursor::new(text.as_bytes(), at), at, depth: 0 }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        let is_there = self.byte()? == byte;
        self.at += 1;
        is_there.then_some(())
    }

    /// Shows each member's name; what is shown it reads the value.
    #[inline]
    fn members(&mut self, mut each: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.nested(b'{', b'}', |reader| {
            let key = reader.plain()?;
            reader.expect(b':')?;
            each(reader, key)
        })
    }

    #[inline]
    fn elements(&mut self, each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.nested(b'[', b']', each)
    }

    #[inline]
    fn nested(&mut self, open: u8, close: u8, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(open)?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        if self.byte()? != close {
            each(self)?;
            while self.byte()? == b',' {
                self.at += 1;
                each(self)?;
            }
        }
        self.depth -= 1;
        self.expect(close)
    }

    /// The members of an object, none of anything else.
    fn object(&mut self, each: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        if self.byte()? == b'{' { self.members(each) } else { self.skip() }
    }

    /// Whether this is an object that is not empty.
    fn has_members(&self) -> Option<bool> {
        match self.text.as_bytes().get(self.at..)? {
            [b'{', b'"', ..] => Some(true),
            [b'{', b'}', ..] | [b'n', ..] => Some(false),
            _ => None,
        }
    }

    #[inline]
    fn string(&mut self) -> Option<Quoted<'a>> {
        if self.byte()? != b'"' {
            return None;
        }
        self.cursor.mark();
        let end = self.cursor.string_end(self.at)?;
        let text = self.text.get(self.at..=end)?;
        self.at = end + 1;
        let is_escaped = !self.cursor.is_plain() && text.bytes().any(|byte| byte == b'\\' || byte < 0x20);
        Some(Quoted { text, is_escaped })
    }

    /// A string in which nothing is escaped.
    #[inline]
    fn plain(&mut self) -> Option<&'a str> {
        let string = self.string()?;
        (!string.is_escaped).then(|| string.inner())
    }

    /// A text, or null, which is an empty one.
    fn text(&mut self) -> Option<Cow<'a, str>> {
        match self.byte()? {
            b'"' => self.string()?.text(),
            b'n' => self.skip().map(|()| Cow::default()),
            _ => None,
        }
    }

    /// Such a text into its place, which has to be free.
    fn once(&mut self, place: &mut &'a str) -> Option<()> {
        if !place.is_empty() {
            return None;
        }
        match self.byte()? {
            b'"' => *place = self.plain()?,
            b'n' => self.skip()?,
            _ => return None,
        }
        Some(())
    }

    /// A boolean, also as text, into its place.
    fn flag(&mut self, place: &mut Option<bool>) -> Option<()> {
        let start = self.at;
        match self.byte()? {
            b'"' => *place = tolerant_bool(self.plain()?),
            b't' | b'f' | b'n' => {
                self.skip()?;
                *place = tolerant_bool(self.text.get(start..self.at)?);
            }
            _ => return None,
        }
        Some(())
    }

    /// Leaves a value out whose name is none that matters, unless it is one in other letters.
    fn skip_usual(&mut self, key: &str) -> Option<()> {
        if key.starts_with(|first: char| first.is_ascii_uppercase()) {
            return None;
        }
        self.skip()
    }

    /// Leaves a value out.
    #[inline]
    fn skip(&mut self) -> Option<()> {
        self.at = match self.byte()? {
            b'"' => self.cursor.string_end(self.at)? + 1,
            b'{' | b'[' => self.cursor.container_end(self.at)? + 1,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let rest = self.text.as_bytes().get(self.at..)?;
                self.at + rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']'))?
            }
            _ => return None,
        };
        Some(())
    }
}
