//! The search page: a span of time, filters, a histogram, facets, and the records.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Extension;
use axum::extract::{Query as Pairs, State};
use axum::response::{IntoResponse, Redirect, Response};
use lake::answer::{Answer, Cursor, Outline, Overview, Page as Wanted};
use lake::query::Field;
use trail::detection::Severity;
use trail::time::Time;

use crate::Viewer;
use crate::address::{Address, Kind, Span, is_switch};
use crate::ask;
use crate::frame::{Frame, show};
use crate::newest::Anchor;
use crate::record::{Detail, Place};
use crate::text::{bytes, number};
use cloud::asking::Asking;

mod chart;
mod controls;
mod facets;
mod table;

use chart::{Chart, chart};
use controls::{Asks, Chip, Choice, chips, questions, spans, switches};
use facets::{Counted, FACETS, facets};
pub(crate) use table::short_service;
use table::{Marks, Rows, rows_of};

/// Records in one answer.
const PAGE: usize = 200;

/// Bytes that one view may read.
const BUDGET: u64 = 2_000_000_000;

/// How late CloudTrail delivers, in seconds.
const LATE: i64 = 900;

/// Spans of time in the histogram.
const BUCKETS: usize = 96;

#[derive(Template)]
#[template(path = "records.html")]
struct Page {
    frame: Frame,
    spans: Vec<Choice>,
    from: String,
    to: String,
    kept: Vec<(String, String)>,
    chips: Vec<Chip>,
    switches: Vec<Choice>,
    questions: Vec<Asks>,
    facets: Vec<Counted>,
    chart: Option<Chart>,
    rows: Rows,
    notes: Vec<String>,
    trouble: Option<(String, Vec<Choice>)>,
    said: String,
    took: String,
    csv: String,
    json: String,
    sql: String,
    detail: Option<Detail>,
    close: String,
}

#[derive(Template)]
#[template(path = "records/rows.html")]
struct More {
    rows: Rows,
}

/// The page.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    let asked: Vec<String> = pairs.iter().filter(|(name, _)| name == "ask").map(|(_, text)| text.clone()).collect();
    let is_form = pairs.iter().any(|(name, value)| name == "ask" || value.is_empty());
    let address = Address::of(pairs);
    if is_form {
        return Redirect::to(&answered(&address, &asked).href()).into_response();
    }
    let began = Instant::now();
    let seen = viewer.look(&address, &asking).await;
    show(&page_of(&viewer, &asking, (&address, seen), began))
}

/// The rows that follow, for a table that is there already.
pub(crate) async fn more(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    let address = Address::of(pairs);
    match viewer.table(&address, &asking).await {
        Ok((answer, marks)) => show(&More { rows: rows_of(&viewer, &address, &answer, &marks) }),
        // The link leads to the whole page, which says what is wrong.
        Err(_) => ([("hx-redirect", address.href())], "").into_response(),
    }
}

/// What was typed, as filters of the address.
fn answered(address: &Address, asked: &[String]) -> Address {
    let all = asked.iter().flat_map(|text| ask::read(text));
    all.fold(address.but(|_| {}), |address, (name, value)| match name {
        "from" | "to" => Address::of(address.pairs().into_iter().chain([(name.to_owned(), value)])),
        _ if is_switch(name) => address.switched(name, &value),
        _ => address.with(name, &value),
    })
}

/// What a view is made of.
struct Seen {
    anchor: Anchor,
    span: (Option<Time>, Option<Time>),
    answer: Answer,
    overview: Result<Overview, lake::Error>,
    marks: Marks,
    found: Vec<(Time, Severity, String)>,
    /// How many more there are without the switch that hides reads.
    hidden: u64,
    detail: Option<Detail>,
    /// Why the record that should be open is not.
    unopened: Option<String>,
}

impl Viewer {
    async fn look(&self, address: &Address, asking: &Asking) -> Result<Seen, lake::Error> {
        let anchor = self.anchor().await?;
        let span = address.span.resolve(anchor.time)?;
        let query = address.query(span)?;
        tracing::info!(%asking, query = %address.href(), "searched");
        let fields: Vec<Field> = FACETS.iter().map(|(field, _)| *field).collect();
        let outline = Outline { facets: &fields, top: 10, buckets: BUCKETS, budget: BUDGET };
        let wanted = wanted(address);
        let (answer, overview) = tokio::join!(self.lake.search(&query, &wanted), self.lake.overview(&query, outline));
        let answer = answer?;
        let found = self.found_in(span, anchor.time).await;
        let mut hidden = 0;
        if answer.rows.is_empty() && address.kind != Kind::All && address.after.is_none() {
            let all = address.but(|other| other.kind = Kind::All).query(span)?;
            let outline = Outline { facets: &[], top: 0, buckets: 0, budget: BUDGET };
            hidden = self.lake.overview(&all, outline).await.map_or(0, |overview| overview.matched);
        }
        let (detail, unopened) = self.opened(address, asking).await;
        let (marks, found) = found;
        Ok(Seen { anchor, span, answer, overview, marks, found, hidden, detail, unopened })
    }

    /// The record that is open beside the table, or why it is not.
    async fn opened(&self, address: &Address, asking: &Asking) -> (Option<Detail>, Option<String>) {
        let Some(open) = &address.open else { return (None, None) };
        let Some(place) = Place::read(open) else { return (None, Some("its address names no record".to_owned())) };
        match self.detail(&place, asking).await {
            Ok(Some(detail)) => (Some(detail), None),
            Ok(None) => (None, Some("the lake does not hold it".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        }
    }

    async fn table(&self, address: &Address, asking: &Asking) -> Result<(Answer, Marks), lake::Error> {
        let anchor = self.anchor().await?;
        let span = address.span.resolve(anchor.time)?;
        let query = address.query(span)?;
        tracing::info!(%asking, query = %address.href(), "searched");
        let answer = self.lake.search(&query, &wanted(address)).await?;
        Ok((answer, self.found_in(span, anchor.time).await.0))
    }

    /// Findings of a span: by their records, and by time.
    pub(crate) async fn found_in(
        &self,
        (from, to): (Option<Time>, Option<Time>),
        now: Time,
    ) -> (Marks, Vec<(Time, Severity, String)>) {
        let Some(state) = &self.state else { return Default::default() };
        let to = to.unwrap_or(now);
        let days = from.map_or(90, |from| (to.0 - from.0) / 86_400 + 2).clamp(1, 90);
        let query = cloud::state::Query { days, ..Default::default() };
        let entries = match state.findings(&query, to).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "findings could not be read");
                Vec::new()
            }
        };
        let mut marks = Marks::new();
        let mut times = Vec::new();
        for entry in entries {
            let finding = entry.finding;
            let mark = (finding.severity, finding.finding_id.clone());
            for id in &finding.event_ids {
                let held = marks.entry(id.clone()).or_insert_with(|| mark.clone());
                *held = held.clone().max(mark.clone());
            }
            if from.is_none_or(|from| finding.last_seen >= from) && finding.first_seen < to {
                times.push((finding.first_seen, finding.severity, finding.detection_id));
            }
        }
        (marks, times)
    }
}

fn wanted(address: &Address) -> Wanted {
    let after = address.after.as_deref().and_then(|after| after.parse().ok());
    Wanted { limit: PAGE, after, json: false, budget: BUDGET }
}

fn page_of(viewer: &Viewer, asking: &Asking, view: (&Address, Result<Seen, lake::Error>), began: Instant) -> Page {
    let (address, seen) = view;
    let mut frame = viewer.frame(asking, "records", "Records");
    frame.kept = address.but(|_| {}).pairs();
    let mut page = Page {
        spans: spans(address),
        from: String::new(),
        to: String::new(),
        kept: address.but(|other| other.span = Address::default().span).pairs(),
        chips: chips(address),
        switches: switches(address),
        questions: questions(address),
        facets: Vec::new(),
        chart: None,
        rows: Rows::default(),
        notes: Vec::new(),
        trouble: None,
        said: String::new(),
        took: String::new(),
        csv: address.but(|_| {}).href_of("/export.csv"),
        json: address.but(|_| {}).href_of("/export.json"),
        sql: address.but(|_| {}).href_of("/records/sql"),
        detail: None,
        close: address.clone().closed().href(),
        frame,
    };
    match seen {
        Ok(seen) => fill(&mut page, viewer, address, seen),
        Err(error) => page.trouble = Some((error.to_string(), ways_in(address))),
    }
    page.took = format!("{}{} ms", page.took, began.elapsed().as_millis());
    page
}

impl Address {
    fn closed(mut self) -> Self {
        self.open = None;
        self
    }
}

fn fill(page: &mut Page, viewer: &Viewer, address: &Address, seen: Seen) {
    page.from = field_time(seen.span.0);
    page.to = field_time(seen.span.1);
    page.rows = rows_of(viewer, address, &seen.answer, &seen.marks);
    page.notes = notes(&seen);
    page.notes.extend(seen.unopened.iter().map(|why| format!("The record cannot be opened: {why}.")));
    if address.after.as_deref().is_some_and(|after| after.parse::<Cursor>().is_err()) {
        page.notes.push("The address names no place in this answer: it is shown from its beginning.".to_owned());
    }
    let mut read = seen.answer.read.clone();
    let shown = seen.answer.rows.len() as u64;
    match &seen.overview {
        Ok(overview) => {
            read.files = read.files.max(overview.read.files);
            read.bytes += overview.read.bytes;
            page.said = said(shown, overview.matched, address.after.is_some());
            page.facets = facets(address, &overview.facets, viewer);
            page.chart = (!overview.histogram.is_empty()).then(|| chart(address, &overview.histogram, &seen.found));
        }
        Err(error) => {
            page.said = format!("{} records", number(shown));
            page.notes.push(format!("Counts are missing: {error}."));
        }
    }
    let late = if is_fresh(&seen) { "the last 15 minutes may still be on their way, " } else { "" };
    page.took = format!("{late}scanned {} files, {}, ", number(read.files as u64), bytes(read.bytes));
    if shown == 0 {
        page.trouble = Some(empty(address, &seen));
    }
    page.detail = seen.detail;
}

fn said(shown: u64, all: u64, later: bool) -> String {
    match (later, shown == all) {
        (false, true) if all == 1 => "1 record".to_owned(),
        (false, true) => format!("{} records", number(all)),
        (false, false) => format!("newest {} of {} records", number(shown), number(all)),
        (true, _) => format!("{} more of {} records", number(shown), number(all)),
    }
}

/// As people write it.
fn field_time(time: Option<Time>) -> String {
    time.map_or_else(String::new, |time| format!("{} {}", time.date(), time.clock()))
}

fn notes(seen: &Seen) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(old) = seen.anchor.old {
        notes.push(format!("The newest record is of {old}: times count back from there, not from now."));
    }
    for (object, why) in seen.answer.read.skipped.iter().take(5) {
        notes.push(format!("The answer is partial: {object} was left out: {why}."));
    }
    if seen.answer.read.skipped.len() > 5 {
        notes.push(format!("{} more files were left out.", seen.answer.read.skipped.len() - 5));
    }
    let cut = seen.answer.read.cut || seen.overview.as_ref().is_ok_and(|overview| overview.read.cut);
    if cut {
        notes.push(format!(
            "The answer is partial: reading ended after {}. Narrow the time or add a filter.",
            bytes(BUDGET)
        ));
    }
    notes
}

/// Whether the span reaches into what CloudTrail has not delivered yet.
fn is_fresh(seen: &Seen) -> bool {
    seen.anchor.old.is_none() && seen.span.1.is_none_or(|to| to.0 > seen.anchor.time.0 - LATE)
}

/// What an empty answer means, and where something is.
fn empty(address: &Address, seen: &Seen) -> (String, Vec<Choice>) {
    let link = |name: String, address: Address| Choice { name, href: address.href(), on: false };
    let Some((first, last)) = seen.anchor.content.days.first().zip(seen.anchor.content.days.last()) else {
        return (
            "The lake holds no records yet. Fill it: qtrail ingest PATH, or wait for the first log file.".to_owned(),
            Vec::new(),
        );
    };
    let mut ways = Vec::new();
    if seen.hidden > 0 {
        let all = address.but(|other| other.kind = Kind::All);
        ways.push(link(format!("show the {} that only read", number(seen.hidden)), all));
    }
    ways.extend(ways_out(address));
    let late = if is_fresh(seen) { " CloudTrail delivers up to 15 minutes late." } else { "" };
    (format!("Nothing matches here. There are records from {} to {}.{late}", first.0, last.0), ways)
}

/// What can be asked instead of something that cannot.
fn ways_in(address: &Address) -> Vec<Choice> {
    let mut ways = ways_out(address);
    let day = Address::default().span;
    if address.span != day {
        let name = "look at 24 hours".to_owned();
        ways[0] = Choice { name, href: address.during(day).href(), on: false };
    }
    ways
}

fn ways_out(address: &Address) -> Vec<Choice> {
    let link = |name: &str, address: Address| Choice { name: name.to_owned(), href: address.href(), on: false };
    let mut ways = Vec::new();
    if address.span != Span::Last(5) {
        ways.push(link("look at 30 days", address.during(Span::Last(5))));
    }
    if !address.filters.is_empty() {
        ways.push(link("drop all filters", address.but(|other| other.filters.clear())));
    }
    ways.push(link("begin again", Address::default()));
    ways
}

#[cfg(test)]
mod tests {
    use crate::testing::{get, pages, record};
    use axum::http::StatusCode;
    use serde_json::json;

    #[tokio::test]
    async fn what_is_asked_for_is_shown() {
        let all = [
            record(1, "RunInstances", "alice"),
            record(2, "DescribeInstances", "bob"),
            record(3, "TerminateInstances", "mallory"),
        ];
        let pages = pages(&all).await;
        for (address, shown, hidden) in [
            ("/records", &["RunInstances", "TerminateInstances", "2 records"][..], "<bdi>bob"),
            ("/records?writes=all", &["DescribeInstances", "3 records"], "Nothing matches"),
            ("/records?user=mallory", &["TerminateInstances", "1 record"], "<bdi>alice"),
            ("/records?user=bob", &["Nothing matches", "show the 1 that only read"], "<tbody"),
            ("/records?action=Run*", &["RunInstances"], "<bdi>mallory"),
            ("/records?from=2026-11-20T03:00:03&to=2026-11-21", &["TerminateInstances"], "<bdi>alice"),
            ("/records?from=2026-11-21", &["Nothing matches", "2026-11-20"], "<tbody"),
        ] {
            let (response, body) = get(&pages, address).await;
            assert_eq!(response.status(), StatusCode::OK, "{address}");
            for text in shown {
                assert!(body.contains(text), "{address} lacks {text}:\n{body}");
            }
            assert!(!body.contains(hidden), "{address} has {hidden}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_says_how_to_ask() {
        let pages = pages(&[record(1, "RunInstances", "alice")]).await;
        for (address, said) in [
            ("/records?usr=alice", "there is no filter `usr`"),
            ("/records?mfa=perhaps", "neither yes nor no"),
            ("/records?from=soon", "no time such as"),
            ("/records?from=2026-11-21&to=2026-11-20", "the end has to come after the beginning"),
        ] {
            let (_, body) = get(&pages, address).await;
            assert!(body.contains(said) && body.contains("begin again"), "{address}:\n{body}");
        }
    }

    #[tokio::test]
    async fn what_is_pasted_becomes_an_address() {
        let pages = pages(&[]).await;
        for (text, address) in [
            ("AKIAIOSFODNN7EXAMPLE", "/records?access-key=AKIAIOSFODNN7EXAMPLE"),
            ("user%3Dalice+203.0.113.7", "/records?user=alice&ip=203.0.113.7"),
            ("", "/records"),
        ] {
            let (response, _) = get(&pages, &format!("/records?ask={text}")).await;
            assert_eq!(response.headers()["location"], address);
        }
    }

    #[tokio::test]
    async fn an_empty_lake_says_how_to_fill_it() {
        let (_, body) = get(&pages(&[]).await, "/records").await;
        assert!(body.contains("qtrail ingest"), "{body}");
    }

    #[tokio::test]
    async fn the_same_again_is_one_row_and_pages_follow_each_other() {
        let all: Vec<_> = (0..300).map(|id| record(id, "CreateTags", "alice")).collect();
        let pages = pages(&all).await;
        let (_, body) = get(&pages, "/records").await;
        assert!(body.contains("×200") && body.contains("newest 200 of 300 records"), "{body}");
        let next = body.split("hx-get=\"/records/more?").nth(1).expect("a way on").split('"').next().unwrap();
        let (_, more) = get(&pages, &format!("/records/more?{}", next.replace("&#38;", "&"))).await;
        assert!(more.contains("×100") && !more.contains("<html"), "{more}");
    }

    #[tokio::test]
    async fn what_attackers_write_stays_text() {
        let mut hostile = record(1, "RunInstances", "<script>alert(1)</script>");
        hostile["userAgent"] = json!("\"><img src=x onerror=alert(2)>");
        hostile["awsRegion"] = json!("'><script>alert(3)</script>");
        hostile["errorMessage"] = json!("\u{202e}<b>");
        let pages = pages(&[hostile]).await;
        let id = "00000000-0000-4000-8000-000000000001";
        let detail = format!("/record?account=111122223333&id={id}");
        for address in ["/records?writes=all", "/records?user=%3Cscript%3E", "/records?x=%22%3E%3Cscript%3E", &detail] {
            let (_, body) = get(&pages, address).await;
            assert!(
                !body.contains("<script>") && !body.contains("<img src=x") && !body.contains('\u{202e}'),
                "{address}"
            );
        }
        assert!(get(&pages, &detail).await.1.contains("&#60;script&#62;alert(1)"));
    }
}
