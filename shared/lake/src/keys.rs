//! Key files: which row groups of a part hold a value. A needle is found without looking at the haystack.
//!
//! A key file is derived from its part and disposable: where it is missing, or not of this very part, a reader asks the
//! part itself. It may name a row group too many, never one too few. Numbers are little-endian.
//!
//! ```text
//! magic "QTKEYS1\n" · u32 length of the header · u64 identity of the part · u32 row groups · u8 columns
//! a column: u8 kind · u8 bits · u8 length of the name, name · u64 offset · u64 length
//! u32 × (2^bits + 1) for each column of points: at which entry the hashes that start with these bits begin
//! values: the distinct texts in order, each with its row groups
//! points: for each text and row group 16 bits of its hash behind the first bits, and the row group in one or two bytes
//! ```
//!
//! The hash is 64 bits of FNV-1a over the text in lower-case ASCII letters, mixed by the last step of `MurmurHash3`. A
//! resource is entered by what stands behind the last `/` or `:` of it: all of its names end there.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};

use crate::columns::{ALL, Column, Kind};
use crate::query::{Filter, Pattern};

const MAGIC: &[u8; 8] = b"QTKEYS1\n";

/// Bytes in front of the directory.
const FIXED: usize = 8 + 4 + 8 + 4 + 1;

/// Entries of a fan-out slot, at most and on average: what one lookup reads.
const SLOT: usize = 512;

/// Columns with more text than this, each value once, hold no values: finding one would read too much.
const TEXT: usize = 4 << 20;

/// Columns whose texts are looked up one at a time.
const POINTS: [Column; 7] = {
    use Column as C;
    [C::EventId, C::RequestId, C::SharedEventId, C::AccessKey, C::IssuedKey, C::SourceIp, C::Resources]
};

/// Columns whose distinct texts are listed, so that any pattern can be tried on them.
const VALUES: [Column; 18] = {
    use Column as C;
    [
        C::ActorName,
        C::ActorArn,
        C::PrincipalId,
        C::SourceIdentity,
        C::OnBehalfOf,
        C::IssuerArn,
        C::SourceIp,
        C::UserAgent,
        C::EventSource,
        C::EventName,
        C::ErrorCode,
        C::Account,
        C::Region,
        C::ActorType,
        C::Category,
        C::InvokedBy,
        C::VpcEndpoint,
        C::ResourceTypes,
    ]
};

/// What tells the versions of a part apart: its size, and what the store gave it as a tag when it was written.
pub fn identity(size: u64, e_tag: Option<&str>) -> u64 {
    hash(e_tag.unwrap_or_default()) ^ hash(&size.to_string()).rotate_left(1)
}

/// The last name in a resource.
fn tail(text: &str) -> &str {
    text.rsplit(['/', ':']).next().unwrap_or(text)
}

fn hash(text: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Makes a key file while its part is written.
#[derive(Debug, Default)]
pub struct Builder {
    groups: usize,
    /// The first 48 bits of a hash, then the row group.
    points: [Vec<u64>; POINTS.len()],
    values: [Texts; VALUES.len()],
    /// Columns of a type that this does not know.
    unknown: BTreeSet<Column>,
}

/// The distinct texts of a column and their row groups, in order.
#[derive(Debug, Default)]
struct Texts {
    groups: HashMap<Box<str>, Vec<u16>>,
    bytes: usize,
}

impl Builder {
    /// Takes up rows of a row group. Row groups come in their order, each in one batch or several.
    pub fn batch(&mut self, row_group: usize, rows: &RecordBatch) {
        self.groups = self.groups.max(row_group + 1);
        let Ok(group) = u16::try_from(row_group) else { return };
        for (at, column) in POINTS.into_iter().enumerate() {
            let Some(array) = rows.column_by_name(column.name()) else { continue };
            let mut found = Vec::new();
            let enter = |text: &str| {
                let text = if column == Column::Resources { tail(text) } else { text };
                found.push(hash(text) >> 16 << 16 | u64::from(group));
            };
            if !each_text(array, enter) {
                self.unknown.insert(column);
            }
            found.sort_unstable();
            found.dedup();
            self.points[at].append(&mut found);
        }
        for (texts, column) in self.values.iter_mut().zip(VALUES) {
            let Some(array) = rows.column_by_name(column.name()) else { continue };
            if texts.bytes <= TEXT && !each_text(array, |text| texts.enter(text, group)) {
                self.unknown.insert(column);
            }
        }
    }

    /// The file's bytes. `identity` is [`identity`] of the part as the store holds it.
    pub fn finish(mut self, identity: u64) -> Vec<u8> {
        // A part of more row groups than two bytes can number has no keys.
        let is_known = |column: &Column| !self.unknown.contains(column) && u16::try_from(self.groups).is_ok();
        let wide = self.groups > 256;
        let mut columns = Vec::new();
        for (texts, column) in self.values.iter_mut().zip(VALUES).filter(|(_, column)| is_known(column)) {
            if texts.bytes <= TEXT {
                columns.push(Encoded { kind: 1, bits: 0, column, starts: Vec::new(), body: texts.encode() });
            }
        }
        for (points, column) in self.points.iter_mut().zip(POINTS).filter(|(_, column)| is_known(column)) {
            points.sort_unstable();
            points.dedup();
            columns.push(Encoded::points(column, points, wide));
        }
        assemble(identity, self.groups, &columns)
    }
}

fn assemble(identity: u64, groups: usize, columns: &[Encoded]) -> Vec<u8> {
    let directory: usize = columns.iter().map(|one| 3 + one.column.name().len() + 16).sum();
    let starts: usize = columns.iter().map(|one| one.starts.len() * 4).sum();
    let header = FIXED + directory + starts;
    let mut file = Vec::with_capacity(header + columns.iter().map(|one| one.body.len()).sum::<usize>());
    file.extend(MAGIC);
    file.extend(u32::try_from(header).unwrap_or(u32::MAX).to_le_bytes());
    file.extend(identity.to_le_bytes());
    file.extend(u32::try_from(groups).unwrap_or(u32::MAX).to_le_bytes());
    file.extend([u8::try_from(columns.len()).unwrap_or(u8::MAX)]);
    let mut offset = header as u64;
    for one in columns {
        let name = one.column.name();
        file.extend([one.kind, one.bits, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        file.extend(name.as_bytes());
        file.extend(offset.to_le_bytes());
        file.extend((one.body.len() as u64).to_le_bytes());
        offset += one.body.len() as u64;
    }
    columns.iter().flat_map(|one| &one.starts).for_each(|start| file.extend(start.to_le_bytes()));
    columns.iter().for_each(|one| file.extend(&one.body));
    file
}

/// A column as it is written.
struct Encoded {
    kind: u8,
    bits: u8,
    column: Column,
    starts: Vec<u32>,
    body: Vec<u8>,
}

impl Encoded {
    fn points(column: Column, points: &[u64], wide: bool) -> Self {
        let slots = (points.len() / SLOT).next_power_of_two();
        let bits = u8::try_from(slots.trailing_zeros()).unwrap_or(0);
        let first = |slot: usize| points.partition_point(|point| slot_of(*point, bits) < slot);
        let starts = (0..=slots).map(|slot| u32::try_from(first(slot)).unwrap_or(u32::MAX)).collect();
        let mut body = Vec::with_capacity(points.len() * 4);
        for point in points {
            let [low, high, ..] = point.to_le_bytes();
            body.extend(rest_of(*point, bits).to_le_bytes());
            body.push(low);
            body.extend(wide.then_some(high));
        }
        Self { kind: 0, bits, column, starts, body }
    }
}

/// The first bits of a hash.
fn slot_of(hash: u64, bits: u8) -> usize {
    usize::try_from(hash.checked_shr(64 - u32::from(bits)).unwrap_or(0)).unwrap_or(0)
}

/// The 16 bits behind them.
fn rest_of(hash: u64, bits: u8) -> u16 {
    u16::try_from(hash << bits >> 48).unwrap_or(0)
}

impl Texts {
    fn enter(&mut self, text: &str, group: u16) {
        if self.bytes > TEXT {
            return;
        }
        if let Some(groups) = self.groups.get_mut(text) {
            if groups.last() != Some(&group) {
                groups.push(group);
            }
        } else {
            self.bytes += text.len() + 4;
            self.groups.insert(text.into(), vec![group]);
        }
    }

    /// Each text as how much of the one before it starts with, what follows, and its row groups as runs.
    fn encode(&mut self) -> Vec<u8> {
        let mut sorted: Vec<(Box<str>, Vec<u16>)> = self.groups.drain().collect();
        sorted.sort_unstable();
        let (mut body, mut before) = (Vec::new(), Box::<str>::default());
        for (text, groups) in sorted {
            let same = text.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
            put(&mut body, same);
            put(&mut body, text.len() - same);
            body.extend(&text.as_bytes()[same..]);
            let runs = runs(&groups);
            put(&mut body, runs.len());
            let mut end = 0;
            for run in runs {
                put(&mut body, run.start - end);
                put(&mut body, run.len());
                end = run.end;
            }
            before = text;
        }
        body
    }
}

fn runs(groups: &[u16]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for group in groups.iter().map(|group| usize::from(*group)) {
        match runs.last_mut() {
            Some(run) if run.end == group => run.end += 1,
            _ => runs.push(group..group + 1),
        }
    }
    runs
}

fn put(body: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        body.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    body.push(u8::try_from(number).unwrap_or(0));
}

/// Hands over each text of a column, and says whether its type is known. Texts in a row that are the same come once.
fn each_text<'t>(array: &'t ArrayRef, mut enter: impl FnMut(&str)) -> bool {
    if let Some(lists) = array.as_list_opt::<i32>() {
        return each_text(lists.values(), enter);
    }
    let mut before = None;
    let mut enter = |text: &'t str| {
        if before != Some(text) && !text.is_empty() {
            enter(text);
            before = Some(text);
        }
    };
    if let Some(texts) = array.as_string_opt::<i32>() {
        texts.iter().flatten().for_each(&mut enter);
        return true;
    }
    let Some(keys) = array.as_dictionary_opt::<Int32Type>() else { return false };
    let Some(texts) = keys.values().as_string_opt::<i32>() else { return false };
    (0..keys.len()).filter_map(|row| keys.key(row)).for_each(|key| enter(texts.value(key)));
    true
}

/// Whether a key file could say where a filter holds.
pub(crate) fn may_tell(filter: &Filter) -> bool {
    let is_kept = |column: &Column| POINTS.contains(column) || VALUES.contains(column);
    !filter.negated && !filter.any.contains(&Pattern::Anything) && filter.field.columns().iter().all(is_kept)
}

/// The header of a key file.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) groups: usize,
    columns: Vec<(Column, Section)>,
}

#[derive(Debug)]
struct Section {
    range: Range<u64>,
    /// The first bits and where their entries begin; none of values.
    fan_out: Option<(u8, Vec<u32>)>,
}

/// What stops the reading of a header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It needs so many bytes.
    Short(usize),
    /// It is no key file of this part.
    Other,
}

/// A range of a key file that a lookup reads, and what it is for.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) range: Range<u64>,
    /// Of points 16 bits of the hash that is looked for; of values none.
    rest: Option<u16>,
}

impl Header {
    /// Reads the first bytes of a key file.
    pub(crate) fn parse(bytes: &[u8], identity: u64) -> Result<Self, Unread> {
        let mut at = Bytes(bytes);
        if at.take(8).is_none_or(|magic| magic != MAGIC) {
            return Err(Unread::Other);
        }
        let length = at.number(4).ok_or(Unread::Other)?;
        if at.number(8) != Some(identity) {
            return Err(Unread::Other);
        }
        let length = usize::try_from(length).map_err(|_| Unread::Other)?;
        if bytes.len() < length {
            return Err(Unread::Short(length));
        }
        at.header().ok_or(Unread::Other)
    }

    /// What has to be read to know where a filter may hold; none where the file does not say.
    pub(crate) fn lookups(&self, filter: &Filter) -> Option<Vec<Lookup>> {
        if !may_tell(filter) {
            return None;
        }
        let of = |column: &Column| self.points(*column, filter).or_else(|| self.values(*column));
        let all: Option<Vec<Vec<Lookup>>> = filter.field.columns().iter().map(of).collect();
        all.map(|all| all.concat())
    }

    fn points(&self, column: Column, filter: &Filter) -> Option<Vec<Lookup>> {
        let (_, section) = self.columns.iter().find(|(of, section)| *of == column && section.fan_out.is_some())?;
        let (bits, starts) = section.fan_out.as_ref()?;
        let width = if self.groups > 256 { 4 } else { 3 };
        let lookup = |pattern: &Pattern| {
            let hash = hash(match pattern {
                Pattern::Named(name) if column == Column::Resources => Some(tail(name)).filter(|name| !name.is_empty()),
                Pattern::Equal(text) | Pattern::Same(text) if column != Column::Resources => Some(text.as_str()),
                _ => None,
            }?);
            let slot = slot_of(hash, *bits);
            let at = |slot: usize| Some(section.range.start + u64::from(*starts.get(slot)?) * width);
            Some(Lookup { range: at(slot)?..at(slot + 1)?, rest: Some(rest_of(hash, *bits)) })
        };
        filter.any.iter().map(lookup).collect()
    }

    fn values(&self, column: Column) -> Option<Vec<Lookup>> {
        let (_, section) = self.columns.iter().find(|(of, section)| *of == column && section.fan_out.is_none())?;
        Some(vec![Lookup { range: section.range.clone(), rest: None }])
    }

    /// The row groups that a lookup's bytes name; none where they make no sense.
    pub(crate) fn groups(&self, lookup: &Lookup, bytes: &[u8], filter: &Filter) -> Option<BTreeSet<usize>> {
        let Some(rest) = lookup.rest else { return value_groups(bytes, filter) };
        let mut groups = BTreeSet::new();
        for entry in bytes.chunks_exact(if self.groups > 256 { 4 } else { 3 }) {
            let [low, high, group @ ..] = entry else { return None };
            if u16::from_le_bytes([*low, *high]) == rest {
                groups.insert(group.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)));
            }
        }
        Some(groups)
    }

    pub(crate) fn memory(&self) -> usize {
        let starts = |section: &Section| section.fan_out.as_ref().map_or(0, |(_, starts)| starts.len() * 4);
        self.columns.iter().map(|(_, section)| 64 + starts(section)).sum()
    }
}

fn value_groups(bytes: &[u8], filter: &Filter) -> Option<BTreeSet<usize>> {
    let (mut at, mut text, mut groups) = (Bytes(bytes), Vec::new(), BTreeSet::new());
    while !at.0.is_empty() {
        let same = at.varint()?;
        text.truncate(same);
        let length = at.varint()?;
        text.extend_from_slice(at.take(length)?);
        let catches = filter.catches(std::str::from_utf8(&text).ok()?);
        let mut end = 0_usize;
        for _ in 0..at.varint()? {
            let start = end.checked_add(at.varint()?)?;
            end = start.checked_add(at.varint()?)?;
            if end > usize::from(u16::MAX) {
                return None;
            }
            if catches {
                groups.extend(start..end);
            }
        }
    }
    Some(groups)
}

/// What is left to read.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn varint(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        for shift in (0..35).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn header(&mut self) -> Option<Header> {
        let groups = usize::try_from(self.number(4)?).ok()?;
        let mut columns = Vec::new();
        for _ in 0..self.number(1)? {
            let (kind, bits) = (self.number(1)?, u8::try_from(self.number(1)?).ok()?);
            let length = usize::try_from(self.number(1)?).ok()?;
            let name = std::str::from_utf8(self.take(length)?).ok()?;
            let (offset, length) = (self.number(8)?, self.number(8)?);
            let column = ALL.into_iter().find(|column| column.name() == name && column.kind() != Kind::Flag);
            columns.push((column, kind, bits, offset..offset.checked_add(length)?));
        }
        let mut known = Vec::new();
        for (column, kind, bits, range) in columns {
            let fan_out = match (kind, bits) {
                (0, 0..=24) => {
                    let starts = self.take(((1 << bits) + 1) * 4)?.chunks_exact(4);
                    let number = |start: &[u8]| start.iter().rev().fold(0, |n, byte| n << 8 | u32::from(*byte));
                    Some((bits, starts.map(number).collect()))
                }
                (1, 0) => None,
                _ => return None,
            };
            known.extend(column.map(|column| (column, Section { range, fan_out })));
        }
        Some(Header { groups, columns: known })
    }
}

#[cfg(test)]
mod tests {
    use trail::facts::Facts;

    use super::*;
    use crate::query::Query;
    use crate::rows;

    /// Addresses of all row groups, keys of one each.
    fn file(groups: usize, identity: u64) -> Vec<u8> {
        let mut keys = Builder::default();
        for group in 0..groups {
            let facts = Facts {
                source_ip: "203.0.113.7".into(),
                access_key: format!("AKIA{group}").into(),
                actor_name: format!("name-{}", group % 7).into(),
                resources: vec![format!("arn:aws:s3:::b/{group}").into()],
                ..Facts::default()
            };
            let mut columns = rows::Columns::new();
            columns.push(&facts);
            keys.batch(group, &columns.finish());
        }
        keys.finish(identity)
    }

    fn groups(file: &[u8], name: &str, value: &str) -> BTreeSet<usize> {
        let header = Header::parse(file, 7).unwrap();
        let query = Query::of([(name, value)]).unwrap();
        let lookups = header.lookups(&query.filters[0]).unwrap();
        let bytes = |lookup: &Lookup| {
            let range = usize::try_from(lookup.range.start).unwrap()..usize::try_from(lookup.range.end).unwrap();
            header.groups(lookup, &file[range], &query.filters[0]).unwrap()
        };
        lookups.iter().flat_map(bytes).collect()
    }

    #[test]
    fn a_value_leads_to_its_row_groups() {
        for count in [5, 256, 257, 2000] {
            let file = file(count, 7);
            assert_eq!(groups(&file, "ip", "203.0.113.7"), (0..count).collect());
            assert_eq!(groups(&file, "ip", "203.0.113.0/24"), (0..count).collect());
            assert!(groups(&file, "access-key", &format!("AKIA{}", count - 1)).contains(&(count - 1)));
            assert!(groups(&file, "resource", "3").contains(&3));
            assert!(groups(&file, "resource", "arn:aws:s3:::b/3").contains(&3));
            assert_eq!(groups(&file, "user", "ME-4"), (4..count).step_by(7).collect());
            assert!(groups(&file, "user", "nobody").is_empty());
        }
    }

    #[test]
    fn a_file_of_another_part_or_a_cut_one_says_nothing() {
        let file = file(5, 7);
        assert_eq!(Header::parse(&file, 8).unwrap_err(), Unread::Other);
        assert_eq!(Header::parse(b"no keys", 7).unwrap_err(), Unread::Other);
        assert!(matches!(Header::parse(&file[..40], 7).unwrap_err(), Unread::Short(_)));
    }
}
