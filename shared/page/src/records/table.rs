//! Rows of the table. The same thing again and again is one row that opens.

use std::collections::HashMap;

use lake::answer::Answer;
use trail::detection::Severity;
use trail::facts::Facts;

use crate::Viewer;
use crate::address::Address;
use crate::record::{Place, word};
use crate::runs::{Run, resource, runs};
use crate::text::plain;

/// Rows of the table, and where they go on.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) next: Option<(String, String)>,
}

/// A row.
#[derive(Debug)]
pub(super) struct Row {
    /// Set where a new day begins.
    pub(super) day: Option<String>,
    pub(super) clock: String,
    pub(super) time: String,
    pub(super) href: String,
    pub(super) panel: String,
    pub(super) open: bool,
    pub(super) who: String,
    pub(super) who_title: String,
    pub(super) service: String,
    pub(super) action: String,
    pub(super) writes: bool,
    pub(super) about: String,
    pub(super) about_title: String,
    pub(super) ip: String,
    pub(super) place: String,
    pub(super) place_title: String,
    pub(super) result: String,
    pub(super) result_title: String,
    pub(super) failed: bool,
    /// Severity in lower case, and the finding's id.
    pub(super) finding: Option<(String, String)>,
    /// Records in the run; one for a record by itself.
    pub(super) count: usize,
    /// The run that this row is a part of.
    pub(super) inside: Option<String>,
    /// The run that this row opens.
    pub(super) run: String,
}

/// Findings by the records that they are made of.
pub(crate) type Marks = HashMap<String, (Severity, String)>;

pub(super) fn rows_of(viewer: &Viewer, address: &Address, answer: &Answer, marks: &Marks) -> Rows {
    let mut rows = Vec::new();
    let mut day = String::new();
    for run in runs(&answer.rows, address.each) {
        let id = format!("run-{}-{}", run.first().event_time.0, rows.len());
        let mut row = row(viewer, address, run.first(), marks);
        let date = run.first().event_time.date();
        row.day = (date != day).then(|| date.clone());
        day = date;
        row.count = run.records.len();
        head(&mut row, &run, marks);
        row.run.clone_from(&id);
        rows.push(row);
        if run.records.len() > 1 {
            let inner = run.records.iter().map(|facts| row_inside(viewer, address, (facts, &id), marks));
            rows.extend(inner.collect::<Vec<_>>());
        }
    }
    let next = answer.next.as_ref().map(|next| {
        let further = address.but(|other| other.after = Some(next.to_string()));
        (further.href(), further.href_of("/records/more"))
    });
    Rows { rows, next }
}

/// What stands for all records of a run.
pub(super) fn head(row: &mut Row, run: &Run<'_>, marks: &Marks) {
    let resources = run.resources();
    if resources > 1 {
        row.about = format!("{} and {} more", row.about, resources - 1);
    }
    let worst = run.records.iter().filter_map(|facts| marks.get(&*facts.event_id)).max();
    row.finding = worst.map(|(severity, id)| (word(*severity).to_lowercase(), id.clone()));
}

pub(super) fn row_inside(viewer: &Viewer, address: &Address, (facts, run): (&Facts<'_>, &str), marks: &Marks) -> Row {
    Row { inside: Some(run.to_owned()), ..row(viewer, address, facts, marks) }
}

pub(super) fn row(viewer: &Viewer, address: &Address, facts: &Facts<'_>, marks: &Marks) -> Row {
    let place = Place::of(facts);
    let opened = Address { open: Some(place.to_string()), ..address.clone() };
    let about = resource(facts).unwrap_or_default();
    let error = if facts.error_code.is_empty() { "ok" } else { &facts.error_code };
    let mark = marks.get(&*facts.event_id);
    Row {
        day: None,
        clock: facts.event_time.clock(),
        time: facts.event_time.to_string(),
        open: opened.open == address.open,
        href: opened.href(),
        panel: place.href("panel"),
        who: plain(if facts.actor_name.is_empty() { &facts.actor_type } else { &facts.actor_name }),
        who_title: plain(&facts.actor_arn),
        service: short_service(&facts.event_source),
        action: plain(&facts.event_name),
        writes: !facts.read_only,
        about: plain(short_arn(about)),
        about_title: facts.resources.iter().map(|text| plain(text)).collect::<Vec<_>>().join("\n"),
        ip: short_service(&facts.source_ip),
        place: format!("{} {}", account_word(viewer, &facts.account), plain(&facts.region)),
        place_title: plain(&format!("{} {}", viewer.settings.account_name(&facts.account), facts.region)),
        result: plain(short_error(error)),
        result_title: plain(&facts.error_message),
        failed: !facts.error_code.is_empty(),
        finding: mark.map(|(severity, id)| (word(*severity).to_lowercase(), id.clone())),
        count: 1,
        inside: None,
        run: String::new(),
    }
}

pub(super) fn account_word(viewer: &Viewer, account: &str) -> String {
    let name = viewer.settings.account_name(account);
    name.strip_suffix(account).map(str::trim).filter(|name| !name.is_empty()).map_or_else(|| plain(account), plain)
}

/// `ec2` of `ec2.amazonaws.com`.
pub(crate) fn short_service(source: &str) -> String {
    plain(source.strip_suffix(".amazonaws.com").unwrap_or(source))
}

/// What comes behind the account in an ARN; other names as they are.
pub(super) fn short_arn(resource: &str) -> &str {
    match resource.strip_prefix("arn:").map(|rest| rest.splitn(5, ':').nth(4)) {
        Some(Some(name)) => name,
        _ => resource,
    }
}

/// `UnauthorizedOperation` of `Client.UnauthorizedOperation`.
pub(super) fn short_error(code: &str) -> &str {
    code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code)
}
