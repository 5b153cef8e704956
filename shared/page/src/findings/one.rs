//! One finding: what is known of it, the records behind it, and what becomes of it.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cloud::state::{HistoryLine, Query};
use lake::answer::Page as Wanted;
use serde::Deserialize;
use serde_json::json;
use trail::alert::{Entry, Related, Resolution, Status, message};
use trail::detection::Category;
use trail::facts::Facts;
use trail::time::Time;

use super::{Row, actor, href_of, is_of_record, is_record, spoken};
use crate::Viewer;
use crate::address::{Address, Kind, Span, href};
use crate::frame::{Frame, Trouble, show, trouble};
use crate::held::{failed, no_state};
use crate::record::Place;
use crate::records::short_service;
use crate::runs::resource;
use crate::text::plain;
use cloud::asking::Asking;

/// Records that are shown of one finding.
const SHOWN: usize = 50;

/// The longest note, in characters.
const NOTE_CAP: usize = 2_000;

/// Bytes that may be read for them.
const BUDGET: u64 = 500_000_000;

#[derive(Template)]
#[template(path = "finding.html")]
struct Page {
    frame: Frame,
    row: Row,
    title: String,
    id: String,
    detection: String,
    category: String,
    parts: Vec<(String, String)>,
    runbook: &'static [&'static str],
    techniques: &'static [&'static str],
    controls: &'static [&'static str],
    lowered_by: Vec<String>,
    resources: Vec<(String, Option<String>)>,
    records: Vec<RecordRow>,
    objects: Vec<String>,
    unheld: usize,
    more: Option<String>,
    /// The page that says more about it, where no record is behind it.
    room: Option<(&'static str, String)>,
    also: Vec<Row>,
    history: Vec<HistoryLine>,
    asking: String,
    /// What was wrong with the last try to decide, and the note of that try.
    again: Option<(String, String)>,
}

/// A record behind a finding.
#[derive(Debug)]
struct RecordRow {
    time: String,
    href: String,
    who: String,
    service: String,
    action: String,
    about: String,
    ip: String,
    result: String,
}

impl RecordRow {
    fn of(facts: &Facts<'_>) -> Self {
        let who = if facts.actor_name.is_empty() { &facts.actor_type } else { &facts.actor_name };
        Self {
            time: facts.event_time.to_string(),
            href: Place::of(facts).href(""),
            who: plain(who),
            service: short_service(&facts.event_source),
            action: plain(&facts.event_name),
            about: plain(resource(facts).unwrap_or_default()),
            ip: plain(&facts.source_ip),
            result: plain(&facts.error_code),
        }
    }
}

/// Its page.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path(id): Path<String>,
) -> Response {
    shown(&viewer, &asking, &id, None).await
}

async fn shown(viewer: &Viewer, asking: &Asking, id: &str, again: Option<(String, String)>) -> Response {
    let frame = viewer.frame(asking, "findings", "Finding");
    let Some(state) = &viewer.state else { return no_state(frame) };
    let status = if again.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    match viewer.finding(state, id).await {
        Ok(mut page) => {
            page.frame = Frame { title: page.row.said.clone(), ..frame };
            page.asking = asking.to_string();
            page.again = again;
            (status, show(&page)).into_response()
        }
        Err(cloud::Error::NoSuchFinding(what)) => {
            let way_out = "The list of findings has all of them.".to_owned();
            let lost = Trouble { title: "No such finding".to_owned(), what: plain(&what), way_out };
            trouble(frame, StatusCode::NOT_FOUND, &lost)
        }
        Err(error) => failed(frame, &error),
    }
}

impl Viewer {
    async fn finding(&self, state: &cloud::state::State, id: &str) -> Result<Page, cloud::Error> {
        let today = self.seen(state).await?.today();
        let entry = state.find(id, today).await?;
        let finding = &entry.finding;
        let issued_by = state.issuer_of(&finding.lead.actor.access_key).await?;
        let told = message(&entry, &self.settings, &Related { issued_by, ..Related::default() });
        let detection = trail::detections::find(&finding.detection_id);
        let (records, objects, unheld) = self.records_of(&entry).await;
        let of_record = is_of_record(finding);
        Ok(Page {
            frame: Frame::default(),
            title: plain(detection.map_or(&*finding.detection_id, |detection| detection.title)),
            id: finding.finding_id.clone(),
            detection: plain(&finding.detection_id),
            category: spoken(&finding.category),
            parts: parts(&told.text, of_record),
            runbook: detection.map_or(&[], |detection| detection.runbook),
            techniques: detection.map_or(&[], |detection| detection.techniques),
            controls: detection.map_or(&[], |detection| detection.controls),
            lowered_by: finding.facts.lowered_by.iter().map(|name| plain(name)).collect(),
            resources: finding.facts.resources.iter().map(|name| about(&entry, name, of_record)).collect(),
            more: more(&entry, of_record),
            room: room(&entry),
            also: self.also(state, (&entry, today)).await?,
            history: state.history(&finding.finding_id).await?,
            row: Row::of(&entry, &self.settings),
            records,
            objects,
            unheld,
            asking: String::new(),
            again: None,
        })
    }

    /// The records behind a finding as the lake has them, what else it rests on, and how many the lake does not hold.
    async fn records_of(&self, entry: &Entry) -> (Vec<RecordRow>, Vec<String>, usize) {
        let finding = &entry.finding;
        let (ids, objects): (Vec<&String>, Vec<&String>) = finding.event_ids.iter().partition(|id| is_record(id));
        let objects = objects.into_iter().map(|object| plain(object)).collect();
        let wanted: Vec<&str> = ids.iter().take(SHOWN).map(|id| id.as_str()).collect();
        if wanted.is_empty() {
            return (Vec::new(), objects, 0);
        }
        let Ok(mut query) = lake::Query::of([("id", wanted.join(",").as_str())]) else {
            return (Vec::new(), objects, 0);
        };
        query.from = Some(finding.first_seen);
        query.to = Some(Time(finding.last_seen.0 + 1));
        let page = Wanted { limit: SHOWN, budget: BUDGET, ..Wanted::default() };
        match self.lake.search(&query, &page).await {
            Ok(answer) => {
                let rows: Vec<RecordRow> = answer.rows.iter().map(RecordRow::of).collect();
                let unheld = wanted.len().saturating_sub(rows.len());
                (rows, objects, unheld)
            }
            Err(error) => {
                tracing::warn!(%error, "the records of a finding could not be read");
                (Vec::new(), objects, wanted.len())
            }
        }
    }

    /// What else is open for the same actor.
    async fn also(
        &self,
        state: &cloud::state::State,
        (entry, today): (&Entry, Time),
    ) -> Result<Vec<Row>, cloud::Error> {
        let Some(actor) = actor(&entry.finding).map(str::to_owned) else { return Ok(Vec::new()) };
        let query = Query { days: 30, actor: Some(actor), ..Query::default() };
        let mut others = state.findings(&query, today).await?;
        others.retain(|other| other.status != Status::Closed && other.finding.finding_id != entry.finding.finding_id);
        super::sort(&mut others);
        Ok(others.iter().take(10).map(|other| Row::of(other, &self.settings)).collect())
    }
}

/// The parts of an alert that say what happened. What to check stands in the runbook, what else is open in a table.
fn parts(text: &str, of_record: bool) -> Vec<(String, String)> {
    // Nobody is behind what no record says.
    let heads = if of_record { &["WHO", "DID", "WHERE", "WHEN", "WHY"][..] } else { &["DID", "WHERE", "WHEN", "WHY"] };
    let lines = text.lines().filter_map(|line| line.split_at_checked(7));
    let lines = lines.map(|(head, said)| (head.trim().to_owned(), plain(said)));
    lines.filter(|(head, _)| heads.contains(&head.as_str())).collect()
}

/// The day before and after.
fn nearby(entry: &Entry) -> Span {
    Span::between(Time(entry.finding.first_seen.0 - 86_400), Time(entry.finding.last_seen.0 + 86_400))
}

fn about(entry: &Entry, name: &str, of_record: bool) -> (String, Option<String>) {
    (plain(name), of_record.then(|| crate::address::search("resource", name, nearby(entry))))
}

/// The search that finds its records and what lies between them.
fn more(entry: &Entry, of_record: bool) -> Option<String> {
    let finding = &entry.finding;
    let span = Span::between(finding.first_seen, Time(finding.last_seen.0 + 1));
    let all = Address { span, kind: Kind::All, ..Address::default() };
    let actions: Vec<&str> = finding.facts.actions.iter().map(String::as_str).collect();
    let all = if actions.is_empty() { all } else { all.with("action", &actions.join(",")) };
    let all = actor(finding).map_or(all.clone(), |actor| all.with("user", actor));
    of_record.then(|| all.href())
}

/// Where trail settings and digests are shown.
fn room(entry: &Entry) -> Option<(&'static str, String)> {
    let finding = &entry.finding;
    match finding.category {
        Category::TrailSettings => {
            let own = [("account", finding.account.as_str()), ("control", finding.detection_id.as_str())];
            Some(("The verdict, and how to mend it", href("/trails", &own)))
        }
        Category::Integrity => Some(("All digest chains", "/integrity".to_owned())),
        _ => None,
    }
}

/// What is to become of a finding.
#[derive(Debug, Deserialize)]
pub(crate) struct Decision {
    #[serde(default)]
    becomes: String,
    #[serde(default)]
    note: String,
}

impl Decision {
    fn read(&self) -> Result<(Status, Option<Resolution>, String), &'static str> {
        let (status, resolution) = match self.becomes.as_str() {
            "acknowledged" => (Status::Acknowledged, None),
            "new" => (Status::New, None),
            other => {
                let resolution = super::read::<Resolution>(other).ok_or("Say what becomes of it.")?;
                (Status::Closed, Some(resolution))
            }
        };
        let note = self.note.trim();
        match note.chars().count() {
            0 => Err("A note is needed: whoever reads the history wants to know why."),
            n if n > NOTE_CAP => Err("The note is longer than 2,000 characters."),
            _ => Ok((status, resolution, note.to_owned())),
        }
    }
}

/// Decides about one.
pub(crate) async fn set_status(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path(id): Path<String>,
    Form(decision): Form<Decision>,
) -> Response {
    let frame = viewer.frame(&asking, "findings", "Finding");
    let Some(state) = &viewer.state else { return no_state(frame) };
    let (status, resolution, note) = match decision.read() {
        Ok(decision) => decision,
        Err(wrong) => return shown(&viewer, &asking, &id, Some((wrong.to_owned(), decision.note))).await,
    };
    let what = match (status, resolution) {
        (_, Some(resolution)) => format!("closed as {}", json!(resolution).as_str().unwrap_or_default()),
        (Status::New, None) => "reopened".to_owned(),
        _ => "acknowledged".to_owned(),
    };
    let line = HistoryLine::new((viewer.now)(), what, &asking.to_string(), &note);
    tracing::info!(%asking, finding = id, what = line.what, "decided");
    match state.set_status(&id, (status, resolution), &line).await {
        Ok(entry) => Redirect::to(&href_of(&entry.finding.finding_id)).into_response(),
        Err(cloud::Error::NoSuchFinding(_)) => shown(&viewer, &asking, &id, None).await,
        Err(error) => failed(frame, &error),
    }
}
