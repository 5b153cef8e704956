//! The report that a person reads from top to bottom. Everything in it may be attacker-written: the template escapes.

use askama::Template;
use trail::evidence::{CRITERIA, Criterion};
use trail::time::Time;

use super::manifest::KeyFacts;
use super::sheet::{Book, SHOWN, Section};
use crate::error::Error;

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
    created_at: Time,
    by: &'a str,
    version: &'static str,
    files: usize,
    gaps: usize,
    exceptions: u64,
    coverage: Vec<Line>,
    key_id: &'a str,
    key_account: &'a str,
    key_sha256: &'a str,
    previous: &'a str,
    previous_option: &'a str,
    sections: &'a [Section],
    shown_rows: u64,
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

fn line(criterion: &Criterion, sections: &[Section]) -> Line {
    let of = || sections.iter().filter(|section| criterion.items.contains(&section.item.name));
    let files: Vec<String> = of().map(|section| format!("{} ({})", section.item.name, section.rows)).collect();
    let gaps: Vec<String> = of()
        .filter(|section| !section.gaps.is_empty())
        .map(|section| format!("{}: {}", section.item.name, section.gaps.len()))
        .collect();
    Line {
        id: criterion.id,
        asks: criterion.asks,
        limits: criterion.limits,
        related: criterion.is_related_only(),
        files: files.join(", "),
        gaps: gaps.join(", "),
    }
}

/// The report as HTML.
pub(super) fn report(book: &Book, about: &About<'_>) -> Result<String, Error> {
    let sections = &book.sections;
    let exceptions = sections.iter().find(|section| section.item.name == "exceptions").map_or(0, |one| one.rows);
    let report = Report {
        id: about.id,
        account: about.account,
        from: book.run.from,
        to: book.run.to,
        created_at: book.run.at,
        by: &book.run.by,
        version: env!("CARGO_PKG_VERSION"),
        files: book.files.len(),
        gaps: book.gaps.len(),
        exceptions,
        coverage: CRITERIA.iter().map(|criterion| line(criterion, sections)).collect(),
        key_id: &about.key.id,
        key_account: &about.key.account,
        key_sha256: &about.key.sha256,
        previous: about.previous.unwrap_or("none: this is the first one"),
        previous_option: &about.previous_option,
        sections,
        shown_rows: SHOWN as u64,
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
