//! The search page: a span of time, filters, a histogram, facets, and the records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Extension;
use axum::extract::{Query as Pairs, State};
use axum::response::{IntoResponse, Redirect, Response};
use lake::answer::{Answer, Bucket, Cursor, Facet, Outline, Overview, Page as Wanted};
use lake::query::Field;
use trail::detection::Severity;
use trail::facts::Facts;
use trail::time::Time;

use crate::Viewer;
use crate::address::{Address, Kind, SPANS, Span, is_switch};
use crate::ask;
use crate::frame::{Frame, show};
use crate::newest::Anchor;
use crate::presets::{self, Question};
use crate::record::{self, Detail, Place};
use crate::runs::{Run, resource, runs};
use crate::text::{bytes, how_long, number, plain};
use cloud::asking::Asking;

/// Records in one answer.
const PAGE: usize = 200;

/// Bytes that one view may read.
const BUDGET: u64 = 2_000_000_000;

/// What is counted beside the table.
const FACETS: [(Field, &str); 10] = [
    (Field::User, "Actor"),
    (Field::Action, "Action"),
    (Field::Service, "Service"),
    (Field::ResourceType, "Resource type"),
    (Field::Resource, "Resource"),
    (Field::Ip, "Address"),
    (Field::Error, "Error"),
    (Field::Account, "Account"),
    (Field::Region, "Region"),
    (Field::AccessKey, "Access key"),
];

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
    detail: Option<Detail>,
    close: String,
}

#[derive(Template)]
#[template(path = "records/rows.html")]
struct More {
    rows: Rows,
}

/// Something that can be chosen.
#[derive(Debug)]
struct Choice {
    name: String,
    href: String,
    on: bool,
}

/// A filter in force.
#[derive(Debug)]
struct Chip {
    name: String,
    value: String,
    negated: bool,
    remove: String,
    turn: Option<String>,
    instead: Vec<Choice>,
}

/// A question, and what it needs.
#[derive(Debug)]
struct Asks {
    question: &'static Question,
    href: String,
    kept: Vec<(String, String)>,
}

/// A facet beside the table.
#[derive(Debug)]
struct Counted {
    title: &'static str,
    values: Vec<Value>,
    rest: Option<String>,
}

#[derive(Debug)]
struct Value {
    shown: String,
    title: String,
    count: String,
    /// Of the most frequent one, in percent.
    share: u64,
    only: String,
    without: String,
    /// As it is typed into the box.
    ask: String,
}

/// The histogram, as the script wants it.
#[derive(Debug)]
struct Chart {
    data: String,
    base: String,
    bars: Vec<(String, String, String, String)>,
    step: String,
}

/// Rows of the table, and where they go on.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    next: Option<(String, String)>,
}

/// A row.
#[derive(Debug)]
struct Row {
    /// Set where a new day begins.
    day: Option<String>,
    clock: String,
    time: String,
    href: String,
    panel: String,
    open: bool,
    who: String,
    who_title: String,
    service: String,
    action: String,
    writes: bool,
    about: String,
    about_title: String,
    ip: String,
    place: String,
    place_title: String,
    result: String,
    result_title: String,
    failed: bool,
    /// Severity in lower case, and the finding's id.
    finding: Option<(String, String)>,
    /// Records in the run; one for a record by itself.
    count: usize,
    /// The run that this row is a part of.
    inside: Option<String>,
    /// The run that this row opens.
    run: String,
}

/// Findings by the records that they are made of.
pub(crate) type Marks = HashMap<String, (Severity, String)>;

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
    all.fold(address.but(|_| {}), |address, (name, value)| {
        if is_switch(name) { address.switched(name, &value) } else { address.with(name, &value) }
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
        detail: None,
        close: address.clone().closed().href(),
        frame,
    };
    match seen {
        Ok(seen) => fill(&mut page, viewer, address, seen),
        Err(error) => page.trouble = Some((error.to_string(), ways_out(address))),
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
    page.took = format!("scanned {} files, {}, ", number(read.files as u64), bytes(read.bytes));
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

fn spans(address: &Address) -> Vec<Choice> {
    let choice = |(at, (name, _)): (usize, &(&str, i64))| Choice {
        name: (*name).to_owned(),
        href: address.during(Span::Last(at)).href(),
        on: address.span == Span::Last(at),
    };
    SPANS.iter().enumerate().map(choice).collect()
}

fn chips(address: &Address) -> Vec<Chip> {
    let shown = address.filters.iter().enumerate().filter(|(_, (name, value))| !is_switched(name, value));
    shown.map(|(at, (name, value))| chip(address, at, (name, value))).collect()
}

fn chip(address: &Address, at: usize, (name, value): (&str, &str)) -> Chip {
    let (negated, bare) = value.strip_prefix('!').map_or((false, value), |bare| (true, bare));
    let put = |name: &str, value: String| {
        let name = name.to_owned();
        address.but(|other| other.filters[at] = (name, value)).href()
    };
    let other = if negated { bare.to_owned() } else { format!("!{value}") };
    let instead = ask::also(name).iter().map(|name| Choice {
        name: (*name).to_owned(),
        href: put(name, value.to_owned()),
        on: false,
    });
    Chip {
        name: name.to_owned(),
        value: plain(bare),
        negated,
        remove: address.but(|other| drop(other.filters.remove(at))).href(),
        turn: (!is_switch(name)).then(|| put(name, other)),
        instead: instead.collect(),
    }
}

/// Filters that have a switch of their own.
const SWITCHES: [(&str, &str, &str); 4] = [
    ("errors", "error", "*"),
    ("hide services", "services", "no"),
    ("console", "console", "yes"),
    ("root", "root", "yes"),
];

fn is_switched(name: &str, value: &str) -> bool {
    SWITCHES.iter().any(|(_, known, on)| *known == name && *on == value)
}

fn switches(address: &Address) -> Vec<Choice> {
    let writes = address.kind == Kind::Writes;
    let turned = if writes { Kind::All } else { Kind::Writes };
    let first =
        Choice { name: "writes only".to_owned(), href: address.but(|other| other.kind = turned).href(), on: writes };
    let others = SWITCHES.iter().map(|(title, name, value)| Choice {
        name: (*title).to_owned(),
        href: address.switched(name, value).href(),
        on: address.has(name, value),
    });
    std::iter::once(first).chain(others).collect()
}

fn questions(address: &Address) -> Vec<Asks> {
    let asks = |question: &'static Question| Asks {
        question,
        href: question.href(&address.span),
        kept: question.kept(&address.span),
    };
    presets::ALL.iter().map(asks).collect()
}

fn facets(address: &Address, facets: &[Facet], viewer: &Viewer) -> Vec<Counted> {
    let known = FACETS.iter().zip(facets).filter(|(_, facet)| !facet.values.is_empty());
    known.map(|((field, title), facet)| counted(address, (*field, title), facet, viewer)).collect()
}

fn counted(address: &Address, (field, title): (Field, &'static str), facet: &Facet, viewer: &Viewer) -> Counted {
    let most = facet.values.first().map_or(1, |(_, count)| (*count).max(1));
    let value = |(text, count): &(String, u64)| Value {
        shown: match field {
            Field::Service => short_service(text),
            Field::Account => viewer.settings.account_name(text),
            _ => plain(text),
        },
        title: plain(text),
        count: number(*count),
        share: (count * 100 / most).max(1),
        only: address.with(field.name(), text).href(),
        without: address.with(field.name(), &format!("!{text}")).href(),
        ask: if text.contains(char::is_whitespace) {
            format!("{}=\"{text}\"", field.name())
        } else {
            format!("{}={text}", field.name())
        },
    };
    let more = facet.distinct.saturating_sub(facet.values.len() as u64);
    Counted {
        title,
        values: facet.values.iter().map(value).collect(),
        rest: (more > 0).then(|| format!("{} more", number(more))),
    }
}

fn chart(address: &Address, buckets: &[Bucket], found: &[(Time, Severity, String)]) -> Chart {
    let numbers = |of: fn(&Bucket) -> i64| buckets.iter().map(of).collect::<Vec<_>>();
    let marks: Vec<_> = found.iter().map(|(time, severity, what)| (time.0, *severity as u8, what)).collect();
    let data = serde_json::json!({
        "starts": numbers(|bucket| bucket.start.0),
        "total": numbers(|bucket| i64::try_from(bucket.total).unwrap_or(i64::MAX)),
        "writes": numbers(|bucket| i64::try_from(bucket.writes).unwrap_or(i64::MAX)),
        "errors": numbers(|bucket| i64::try_from(bucket.errors).unwrap_or(i64::MAX)),
        "seconds": buckets[0].seconds,
        "marks": marks,
    });
    let full = buckets.iter().filter(|bucket| bucket.total > 0);
    let bar = |bucket: &Bucket| {
        (bucket.start.to_string(), number(bucket.total), number(bucket.writes), number(bucket.errors))
    };
    Chart {
        data: data.to_string(),
        base: address.during(Span::Between(None, None)).href(),
        bars: full.map(bar).collect(),
        step: how_long(buckets[0].seconds),
    }
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
    let late = match seen.span.1 {
        Some(to) if seen.anchor.old.is_none() && to.0 >= seen.anchor.time.0 - 900 => {
            " CloudTrail delivers up to 15 minutes late."
        }
        _ => "",
    };
    (format!("Nothing matches here. There are records from {} to {}.{late}", first.0, last.0), ways)
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

fn rows_of(viewer: &Viewer, address: &Address, answer: &Answer, marks: &Marks) -> Rows {
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
fn head(row: &mut Row, run: &Run<'_>, marks: &Marks) {
    let resources = run.resources();
    if resources > 1 {
        row.about = format!("{} and {} more", row.about, resources - 1);
    }
    let worst = run.records.iter().filter_map(|facts| marks.get(&*facts.event_id)).max();
    row.finding = worst.map(|(severity, id)| (record::word(*severity).to_lowercase(), id.clone()));
}

fn row_inside(viewer: &Viewer, address: &Address, (facts, run): (&Facts<'_>, &str), marks: &Marks) -> Row {
    Row { inside: Some(run.to_owned()), ..row(viewer, address, facts, marks) }
}

fn row(viewer: &Viewer, address: &Address, facts: &Facts<'_>, marks: &Marks) -> Row {
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
        place_title: plain(&facts.account),
        result: plain(short_error(error)),
        result_title: plain(&facts.error_message),
        failed: !facts.error_code.is_empty(),
        finding: mark.map(|(severity, id)| (record::word(*severity).to_lowercase(), id.clone())),
        count: 1,
        inside: None,
        run: String::new(),
    }
}

fn account_word(viewer: &Viewer, account: &str) -> String {
    let name = viewer.settings.account_name(account);
    name.strip_suffix(account).map(str::trim).filter(|name| !name.is_empty()).map_or_else(|| plain(account), plain)
}

/// `ec2` of `ec2.amazonaws.com`.
pub(crate) fn short_service(source: &str) -> String {
    plain(source.strip_suffix(".amazonaws.com").unwrap_or(source))
}

/// What comes behind the account in an ARN; other names as they are.
fn short_arn(resource: &str) -> &str {
    match resource.strip_prefix("arn:").map(|rest| rest.splitn(5, ':').nth(4)) {
        Some(Some(name)) => name,
        _ => resource,
    }
}

/// `UnauthorizedOperation` of `Client.UnauthorizedOperation`.
fn short_error(code: &str) -> &str {
    code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code)
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
