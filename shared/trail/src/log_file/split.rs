//! The records in a log file's text, each with the bytes it was read from.

use std::borrow::Cow;

use super::Problem;
use super::skim::Cursor;
use crate::record::{Record, Unreadable};

/// One element of a log file's list.
pub(super) struct Found<'r, 'a> {
    pub(super) bytes: &'a [u8],
    pub(super) record: Result<&'r Record<'a>, Unreadable>,
}

/// How the list ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    Digest,
    Problem(Problem),
}

/// What some programs put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Hands every element of `{"Records":[…]}`, of a bare list, or of a file with an object a line to `take`.
pub(super) fn records<'a>(bytes: &'a [u8], take: &mut dyn FnMut(Found<'_, 'a>)) -> End {
    let text = simdutf8::basic::from_utf8(bytes).ok();
    let start = skip_space(bytes, if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 });
    let walk = Walk { bytes, text };
    match bytes.get(start) {
        None => End::Problem(Problem::Empty),
        Some(b'[') => walk.list(start, take),
        Some(b'{') => match find_list(bytes, start) {
            Place::List(at) => walk.list(at, take),
            Place::Digest => End::Digest,
            Place::Record => walk.lines(start, take),
            Place::Nowhere => End::Problem(Problem::NoRecords("the JSON has no `Records` list and is no record")),
            Place::Cut => End::Problem(Problem::Damaged(bytes.len())),
        },
        Some(_) => End::Problem(Problem::NoRecords("neither gzip nor JSON")),
    }
}

enum Place {
    List(usize),
    Digest,
    Record,
    Nowhere,
    Cut,
}

/// What the first object of a file is: an envelope around a list, a digest, or a record itself.
fn find_list(bytes: &[u8], start: usize) -> Place {
    const COMPACT: &[u8] = br#"{"Records":["#;
    if bytes[start..].starts_with(COMPACT) {
        return Place::List(start + COMPACT.len() - 1);
    }
    let mut cursor = Cursor::new(bytes, start);
    let mut verdict = Place::Nowhere;
    let mut at = start;
    loop {
        at = skip_space(bytes, at + 1);
        let Some((key, value)) = member(bytes, &mut cursor, at) else {
            // An empty object, or one that ends before its list begins.
            return if bytes.get(at) == Some(&b'}') { verdict } else { Place::Cut };
        };
        match key {
            b"Records" if bytes.get(value) == Some(&b'[') => return Place::List(value),
            b"digestStartTime" | b"digestS3Object" => return Place::Digest,
            b"eventSource" | b"eventVersion" | b"eventName" | b"eventID" => verdict = Place::Record,
            _ => {}
        }
        let Some(end) = any_end(bytes, &mut cursor, value) else { return keep(verdict) };
        at = skip_space(bytes, end);
        match bytes.get(at) {
            Some(b',') => {}
            Some(b'}') => return verdict,
            _ => return keep(verdict),
        }
    }
}

/// A record that is cut off is still a record; anything else is damage.
fn keep(verdict: Place) -> Place {
    if matches!(verdict, Place::Record) { verdict } else { Place::Cut }
}

/// The key at `at` and where its value begins.
fn member<'a>(bytes: &'a [u8], cursor: &mut Cursor<'a>, at: usize) -> Option<(&'a [u8], usize)> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let end = cursor.string_end(at)?;
    let colon = skip_space(bytes, end + 1);
    (bytes.get(colon) == Some(&b':')).then(|| (&bytes[at + 1..end], skip_space(bytes, colon + 1)))
}

/// The end, exclusive, of any value.
fn any_end<'a>(bytes: &'a [u8], cursor: &mut Cursor<'a>, start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => cursor.string_end(start).map(|end| end + 1),
        b'{' | b'[' => cursor.container_end(start).map(|end| end + 1),
        _ => bytes[start..].iter().position(|b| matches!(b, b',' | b']' | b'}' | b'\n')).map(|n| start + n),
    }
}

fn skip_space(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().position(|b| !matches!(b, b' ' | b'\n' | b'\r' | b'\t')).unwrap_or(rest.len())
}

struct Walk<'a> {
    bytes: &'a [u8],
    /// The whole file, where all of it is UTF-8.
    text: Option<&'a str>,
}

impl<'a> Walk<'a> {
    /// The elements of the list that opens at `open`.
    fn list(&self, open: usize, take: &mut dyn FnMut(Found<'_, 'a>)) -> End {
        let mut cursor = Cursor::new(self.bytes, open + 1);
        let mut at = skip_space(self.bytes, open + 1);
        if self.bytes.get(at) == Some(&b']') {
            return End::Complete;
        }
        loop {
            let Some(end) = self.element(at, &mut cursor, take) else {
                return End::Problem(Problem::Damaged(self.bytes.len()));
            };
            let next = skip_space(self.bytes, end);
            match self.bytes.get(next) {
                Some(b',') => at = skip_space(self.bytes, next + 1),
                Some(b']') => return End::Complete,
                _ => return End::Problem(Problem::Damaged(next)),
            }
        }
    }

    /// An object a line, or several one after another.
    fn lines(&self, start: usize, take: &mut dyn FnMut(Found<'_, 'a>)) -> End {
        let mut cursor = Cursor::new(self.bytes, start);
        let mut at = start;
        while at < self.bytes.len() {
            let Some(end) = self.element(at, &mut cursor, take) else {
                return End::Problem(Problem::Damaged(self.bytes.len()));
            };
            if end == at {
                return End::Problem(Problem::Damaged(at));
            }
            at = skip_space(self.bytes, end);
        }
        End::Complete
    }

    /// Reads the element at `at` and yields its end. `None`: the file ends inside it.
    fn element(&self, at: usize, cursor: &mut Cursor<'a>, take: &mut dyn FnMut(Found<'_, 'a>)) -> Option<usize> {
        let bookmark = cursor.clone();
        let mut record = Record::default();
        if let Some(text) = self.text
            && let Some(end) = record.skim(text, cursor, at)
        {
            take(Found { bytes: &self.bytes[at..end], record: Ok(&record) });
            return Some(end);
        }
        *cursor = bookmark;
        let Some(end) = any_end(self.bytes, cursor, at) else {
            take(Found { bytes: &self.bytes[at..], record: Err(Unreadable::CutOff) });
            return None;
        };
        let bytes = &self.bytes[at..end];
        let record = read(bytes);
        take(Found { bytes, record: record.as_ref().map_err(Clone::clone) });
        Some(end)
    }
}

fn read(bytes: &[u8]) -> Result<Record<'_>, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::InvalidUtf8)?;
    if text.starts_with('{') {
        return Record::parse_any(text);
    }
    let shown: Cow<'_, str> = text.chars().take(20).collect();
    Err(Unreadable::NotAnObject(format!("it begins with `{shown}`")))
}
