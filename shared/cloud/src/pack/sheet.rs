//! Tables on their way into a pack: rows are spooled to disk as they come, and packed as CSV and as JSON lines.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

use serde_json::{Map, Value};
use trail::evidence::{Item, Layout, Row};
use trail::time::Time;

use super::manifest::{FileFacts, GapLine};
use super::zip::{Archive, Method, Written};
use crate::error::Error;

/// So many rows of a table are in the report itself.
pub(super) const SHOWN: usize = 100;

/// A cell of the report is cut after so many letters; the files hold all of them.
const SHOWN_LETTERS: usize = 300;

/// So many values of a column are counted by themselves.
const VALUES: usize = 12;

/// Who makes a pack, when, and of which time.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) by: String,
    pub(super) at: Time,
    pub(super) from: Time,
    pub(super) to: Time,
}

/// A table that grows.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) item: &'static Item,
    spool: BufWriter<File>,
    pub(super) rows: u64,
    /// What a person reads: the first rows, of the columns that are for people.
    pub(super) shown: Vec<Vec<String>>,
    /// Rows that a person would have to read.
    worth: u64,
    /// Of each column that is counted, how often there is which value.
    counts: Vec<BTreeMap<String, u64>>,
    gaps: Vec<String>,
}

impl Sheet {
    /// An empty one.
    pub(super) fn new(name: &str) -> Result<Self, Error> {
        let item = trail::evidence::item(name).ok_or_else(|| Error::Pack(format!("there is no file {name}")))?;
        let spool = BufWriter::new(tempfile::tempfile().map_err(|e| failed(name, &e))?);
        let counts = vec![BTreeMap::new(); item.counted.len()];
        Ok(Self { item, spool, rows: 0, shown: Vec::new(), worth: 0, counts, gaps: Vec::new() })
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Row) -> Result<(), Error> {
        debug_assert_eq!(row.len(), self.item.columns.len(), "{}", self.item.name);
        let item = self.item;
        let cells = |names: &'static [&'static str]| {
            let place = |name: &&str| item.columns.iter().position(|column| column == name);
            names.iter().filter_map(place).filter_map(|place| row.get(place))
        };
        for (counts, cell) in self.counts.iter_mut().zip(cells(item.counted)) {
            count(counts, said(cell));
        }
        if is_shown(item.layout, cells(item.counted).next()) {
            self.worth += 1;
            if self.shown.len() < SHOWN {
                self.shown.push(cells(item.shown).map(said).collect());
            }
        }
        self.rows += 1;
        let mut line = Value::Array(row).to_string();
        line.push('\n');
        self.spool.write_all(line.as_bytes()).map_err(|e| failed(self.item.name, &e))
    }

    /// Adds rows.
    pub(super) fn extend(&mut self, rows: impl IntoIterator<Item = Row>) -> Result<(), Error> {
        rows.into_iter().try_for_each(|row| self.push(row))
    }

    /// Says that something is missing.
    pub(super) fn gap(&mut self, what: impl Into<String>) {
        self.gaps.push(what.into());
    }
}

fn failed(name: &str, error: &io::Error) -> Error {
    Error::Pack(format!("{name}: {error}"))
}

/// A value as people read it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// Whether the report shows a row with this value in its first counted column.
fn is_shown(layout: Layout, value: Option<&Value>) -> bool {
    match layout {
        Layout::Table | Layout::Cards => true,
        Layout::Counts => false,
        Layout::Notable(quiet) => !value.and_then(Value::as_str).is_some_and(|value| quiet.contains(&value)),
    }
}

/// What many different values would make of a count is a list that nobody reads.
fn count(counts: &mut BTreeMap<String, u64>, value: String) {
    if counts.len() < VALUES || counts.contains_key(&value) {
        *counts.entry(value).or_default() += 1;
    } else {
        *counts.entry("others".to_owned()).or_default() += 1;
    }
}

/// A value in the report, where a person reads it.
fn said(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => brief(text).chars().take(SHOWN_LETTERS).collect(),
        value => text(value).chars().take(SHOWN_LETTERS).collect(),
    }
}

/// Times without the letters between, kinds as words, and ARNs of IAM without what all of them have.
fn brief(text: &str) -> String {
    if text.len() == 20 && Time::parse(text).is_some() {
        return text.replace('T', " ").replace('Z', "");
    }
    if text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return text.replace('_', " ");
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", _, "iam" | "sts", _, account, resource] = parts[..] else { return text.to_owned() };
    match resource.strip_prefix("assumed-role/").and_then(|session| session.split_once('/')) {
        _ if account.is_empty() || account == "aws" => text.to_owned(),
        Some((role, session)) => format!("{session} as {role} in {account}"),
        None => format!("{resource} in {account}"),
    }
}

/// A table that lies in the pack, for the report.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) item: &'static Item,
    pub(super) rows: u64,
    pub(super) shown: Vec<Vec<String>>,
    /// Rows that the report would show if it showed all.
    pub(super) worth: u64,
    pub(super) counts: Vec<BTreeMap<String, u64>>,
    pub(super) gaps: Vec<String>,
}

/// A pack while it is being filled.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) archive: Archive,
    pub(super) run: Run,
    pub(super) files: Vec<FileFacts>,
    pub(super) gaps: Vec<GapLine>,
    pub(super) sections: Vec<Section>,
}

impl Book {
    /// An empty one.
    pub(super) fn new(file: File, run: Run) -> Self {
        Self { archive: Archive::new(file), run, files: Vec::new(), gaps: Vec::new(), sections: Vec::new() }
    }

    /// Packs a table.
    pub(super) fn add(&mut self, sheet: Sheet) -> Result<(), Error> {
        let Sheet { item, spool, rows, shown, worth, counts, gaps } = sheet;
        let packed = self.pack(item, spool).map_err(|e| failed(item.name, &e))?;
        for written in packed {
            self.files.push(facts(written, (item, rows), &self.run));
        }
        let lines = gaps.iter().map(|what| GapLine { file: item.name.to_owned(), what: what.clone() });
        self.gaps.extend(lines);
        self.sections.push(Section { item, rows, shown, worth, counts, gaps });
        Ok(())
    }

    fn pack(&mut self, item: &Item, spool: BufWriter<File>) -> io::Result<[Written; 2]> {
        let mut spool = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        let csv = self.table(item, &mut spool, ".csv", &csv_line)?;
        let json = self.table(item, &mut spool, ".jsonl", &json_line)?;
        Ok([csv, json])
    }

    fn table(
        &mut self,
        item: &Item,
        spool: &mut File,
        ending: &str,
        line: &dyn Fn(&Item, &Row) -> String,
    ) -> io::Result<Written> {
        spool.rewind()?;
        let mut writing = self.archive.begin(&format!("data/{}{ending}", item.name), Method::Deflated)?;
        if ending == ".csv" {
            writing.write_all(format!("{}\r\n", item.columns.join(",")).as_bytes())?;
        }
        for row in BufReader::new(spool).lines() {
            let row: Row = serde_json::from_str(&row?)?;
            writing.write_all(line(item, &row).as_bytes())?;
        }
        writing.finish()
    }

    /// Packs a file that is no table.
    pub(super) fn whole(&mut self, path: &str, about: (&str, &str), bytes: &[u8]) -> Result<(), Error> {
        let written = self.archive.whole(path, Method::Deflated, bytes).map_err(|e| failed(path, &e))?;
        let item = Item::whole("made from the other files of this pack");
        let mut facts = facts(written, (&item, 0), &self.run);
        (facts.title, facts.again) = (about.0.to_owned(), about.1.to_owned());
        self.files.push(facts);
        Ok(())
    }
}

fn facts(written: Written, (item, rows): (&Item, u64), run: &Run) -> FileFacts {
    let Run { by, at, from, to } = run;
    FileFacts {
        path: written.path,
        sha256: written.sha256,
        bytes: written.bytes,
        packed_sha256: written.packed_sha256,
        packed_bytes: written.packed_bytes,
        rows,
        title: item.title.to_owned(),
        source: item.source.to_owned(),
        query: format!("{} [{from}, {to})", item.query),
        run_by: by.clone(),
        run_at: *at,
        again: item.again.to_owned(),
    }
}

fn csv_line(_: &Item, row: &Row) -> String {
    let cells: Vec<String> = row.iter().map(|value| lake::table::cell(&text(value))).collect();
    cells.join(",") + "\r\n"
}

fn json_line(item: &Item, row: &Row) -> String {
    let names = item.columns.iter().map(|name| (*name).to_owned());
    let object: Map<String, Value> = names.zip(row.iter().cloned()).collect();
    Value::Object(object).to_string() + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_report_leaves_out_what_all_values_have() {
        for (value, told) in [
            ("2026-11-20T02:58:21Z", "2026-11-20 02:58:21"),
            ("not_looked_at", "not looked at"),
            ("arn:aws:iam::111122223333:user/a/eve", "user/a/eve in 111122223333"),
            ("arn:aws:sts::111122223333:assumed-role/Dev/eve", "eve as Dev in 111122223333"),
            ("arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::aws:policy/AdministratorAccess"),
            ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket"),
            ("Snake_Case", "Snake_Case"),
        ] {
            assert_eq!(said(&json!(value)), told);
        }
    }

    #[test]
    fn cells_are_disarmed_and_lists_are_joined() {
        let item = trail::evidence::item("exceptions").unwrap();
        let row = vec![json!("=1+1"), json!(["a", "b,c"]), json!(null), json!(7), json!(true)];
        assert_eq!(csv_line(item, &row), "'=1+1,\"a; b,c\",,7,true\r\n");
        let json: Value = serde_json::from_str(&json_line(item, &row)).unwrap();
        assert_eq!((&json["kind"], &json["about"][1]), (&json!("=1+1"), &json!("b,c")));
    }
}
