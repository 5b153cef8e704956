//! The report that a person reads from top to bottom. Everything in it may be attacker-written: the template escapes.

use std::collections::BTreeMap;

use askama::Template;
use trail::evidence::{CRITERIA, Criterion, Layout};
use trail::time::Time;

use super::manifest::KeyFacts;
use super::sheet::{Book, Section};
use crate::error::Error;

/// A value that is not longer stays on one line: a time is.
const SHORT: usize = 19;

/// A value that is longer is a sentence.
const LONG: usize = 60;

/// A query that is longer stands in the manifest alone.
const LONGEST_QUERY: usize = 200;

/// What the report says of the pack itself.
pub(super) struct About<'a> {
    pub(super) id: &'a str,
    pub(super) account: &'a str,
    pub(super) key: &'a KeyFacts,
    pub(super) previous: Option<&'a str>,
    pub(super) previous_option: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Report<'a> {
    id: &'a str,
    account: &'a str,
    from: Time,
    to: Time,
    /// The last second.
    last: Time,
    created_at: Time,
    by: &'a str,
    version: &'static str,
    files: usize,
    gaps: usize,
    /// Entries of the reviews' logs, and those of them that nobody proved.
    entries: u64,
    unproven: u64,
    coverage: Vec<Line>,
    key_id: &'a str,
    key_account: &'a str,
    key_sha256: &'a str,
    previous: &'a str,
    previous_option: &'a str,
    parts: Vec<Part<'a>>,
}

/// A criterion, and what the pack has for it.
struct Line {
    id: &'static str,
    asks: &'static str,
    limits: &'static str,
    related: bool,
    files: String,
    gaps: String,
}

/// A file, as the report shows it.
struct Part<'a> {
    name: &'static str,
    title: &'static str,
    source: &'static str,
    query: String,
    again: &'static str,
    note: &'static str,
    rows: u64,
    counts: String,
    gaps: &'a [String],
    cards: bool,
    headings: Vec<String>,
    shown: Vec<Vec<Cell<'a>>>,
    /// Rows that would be shown if there was room.
    more: u64,
}

/// A value, and how much room it takes.
struct Cell<'a> {
    text: &'a str,
    class: &'static str,
}

/// What is read first: what to ask about, then the reviews, then the monitoring.
const ORDER: [&str; 6] =
    ["exceptions", "reviews", "review-subjects", "revocations", "joiners-and-leavers", "review-unknown"];

fn line(criterion: &Criterion, sections: &[Section]) -> Line {
    let of = || sections.iter().filter(|section| criterion.items.contains(&section.item.name));
    let files: Vec<String> = of().map(|section| format!("{} ({})", section.item.name, section.rows)).collect();
    let gaps: Vec<&str> = of().filter(|section| !section.gaps.is_empty()).map(|section| section.item.name).collect();
    Line {
        id: criterion.id,
        asks: criterion.asks,
        limits: criterion.limits,
        related: criterion.is_related_only(),
        files: files.join(", "),
        gaps: gaps.join(", "),
    }
}

fn part(section: &Section) -> Part<'_> {
    let Section { item, rows, shown, worth, counts, gaps } = section;
    let many = item.query.len() > LONGEST_QUERY;
    Part {
        name: item.name,
        title: item.title,
        source: item.source,
        query: if many { "see manifest.json".to_owned() } else { item.query.to_owned() },
        again: item.again,
        note: item.note,
        rows: *rows,
        counts: item
            .counted
            .iter()
            .zip(counts)
            .filter_map(|(name, counts)| told(name, counts))
            .collect::<Vec<_>>()
            .join("; "),
        gaps,
        cards: item.layout == Layout::Cards,
        headings: item.shown.iter().map(|name| words(name)).collect(),
        shown: shown.iter().map(|row| row.iter().map(cell).collect()).collect(),
        more: worth - shown.len() as u64,
    }
}

fn cell(text: &String) -> Cell<'_> {
    let class = match text.len() {
        ..=SHORT => "name",
        LONG.. => "long",
        _ => "",
    };
    Cell { text, class }
}

/// A column's values with how often each is there; none where there is but the empty one.
fn told(name: &str, counts: &BTreeMap<String, u64>) -> Option<String> {
    let named = counts.iter().filter(|(value, _)| !value.is_empty());
    let said: Vec<String> = named.map(|(value, count)| format!("{count} {}", words(value))).collect();
    (!said.is_empty()).then(|| format!("{}: {}", words(name), said.join(", ")))
}

/// Names of columns and kinds as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// Entries of the reviews' logs by people, and those of them that nobody proved.
fn proven(sections: &[Section]) -> (u64, u64) {
    let log = sections.iter().find(|section| section.item.name == "review-log");
    let place = log.and_then(|log| log.item.counted.iter().position(|name| *name == "proven"));
    let counts = log.zip(place).and_then(|(log, place)| log.counts.get(place));
    let count = |is: &dyn Fn(&str) -> bool| {
        counts.into_iter().flatten().filter(|(value, _)| is(value)).map(|(_, count)| count).sum()
    };
    (count(&|value| !value.is_empty()), count(&|value| !["", "signed", "token"].contains(&value)))
}

/// The report as HTML.
pub(super) fn report(book: &Book, about: &About<'_>) -> Result<String, Error> {
    let sections = &book.sections;
    let (entries, unproven) = proven(sections);
    let place = |section: &&Section| ORDER.iter().position(|name| *name == section.item.name).unwrap_or(ORDER.len());
    let mut ordered: Vec<&Section> = sections.iter().collect();
    ordered.sort_by_key(place);
    let report = Report {
        id: about.id,
        account: about.account,
        from: book.run.from,
        to: book.run.to,
        last: Time(book.run.to.0 - 1),
        created_at: book.run.at,
        by: &book.run.by,
        version: env!("CARGO_PKG_VERSION"),
        files: book.files.len(),
        gaps: book.gaps.len(),
        entries,
        unproven,
        coverage: CRITERIA.iter().map(|criterion| line(criterion, sections)).collect(),
        key_id: &about.key.id,
        key_account: &about.key.account,
        key_sha256: &about.key.sha256,
        previous: about.previous.unwrap_or_default(),
        previous_option: &about.previous_option,
        parts: ordered.into_iter().map(part).collect(),
    };
    report.render().map_err(|error| Error::Pack(format!("its report: {error}")))
}

/// The coverage as CSV: for each criterion each of its files, with rows and gaps.
pub(super) fn coverage(sections: &[Section]) -> String {
    let mut text = "criterion,asks,kind,file,rows,gaps,not_covered\r\n".to_owned();
    for criterion in CRITERIA {
        let kind = if criterion.is_related_only() { "related data, not sufficient" } else { "evidence" };
        for section in sections.iter().filter(|section| criterion.items.contains(&section.item.name)) {
            let (rows, gaps) = (section.rows.to_string(), section.gaps.join("; "));
            let cells = [criterion.id, criterion.asks, kind, section.item.name, &rows, &gaps, criterion.limits];
            let cells: Vec<String> = cells.into_iter().map(lake::table::cell).collect();
            text += &(cells.join(",") + "\r\n");
        }
    }
    text
}
