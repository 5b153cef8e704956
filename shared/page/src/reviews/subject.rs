//! One subject of a review: what it may do and did, and what is to become of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use cloud::asking::Asking;
use cloud::review::log::Source as _;
use cloud::review::log::{Opened, by};
use lake::layout::Day;
use trail::review::standing::Line;
use trail::review::{Act, Decision, Entry, Subject, Verb};
use trail::time::Time;

use super::{kind, lost, named, person, stands, suggestion};
use crate::Viewer;
use crate::frame::{Frame, Trouble, show, trouble};
use crate::held::{failed, no_state};
use crate::record::Place;
use crate::text::{number, plain};

#[derive(Template)]
#[template(path = "review_subject.html")]
struct Page {
    frame: Frame,
    review: String,
    action: String,
    except: String,
    name: String,
    id: String,
    number: u32,
    kind: &'static str,
    account: String,
    facts: Vec<(&'static str, String)>,
    privileged_by: Vec<String>,
    trusts: Vec<String>,
    grants: Vec<String>,
    keys: Vec<String>,
    created_by: Option<(String, String)>,
    given_by: Vec<(String, String)>,
    usage: Vec<(&'static str, String)>,
    services: Vec<(String, String)>,
    actions: Vec<(String, String)>,
    samples: Vec<(String, String)>,
    suggestion: &'static str,
    stands: String,
    left: Vec<String>,
    needs: Vec<&'static str>,
    history: Vec<Told>,
    became: Vec<(&'static str, String)>,
    asking: String,
    closed: String,
    again: Option<Again>,
}

/// What was wrong with the last try to decide, and what was typed.
#[derive(Debug, Default)]
struct Again {
    wrong: String,
    justification: String,
    ticket: String,
    verb: String,
    reason: String,
    approver: String,
}

/// Its page.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path((id, number)): Path<(String, u32)>,
) -> Response {
    shown(&viewer, &asking, (&id, number), None).await
}

async fn shown(viewer: &Viewer, asking: &Asking, (id, number): (&str, u32), again: Option<Again>) -> Response {
    let frame = viewer.frame(asking, "reviews", format!("Access review {}", plain(id)));
    let Some(desk) = viewer.desk() else { return no_state(frame) };
    match desk.state.review(id).await {
        Ok(None) => return lost(frame, id),
        Err(error) => return failed(frame, &error),
        Ok(Some(_)) => {}
    }
    let opened = match desk.load(id).await {
        Ok(opened) => opened,
        Err(error) => return failed(frame, &error),
    };
    let standing = desk.standing(&opened, (viewer.now)());
    let Some((subject, line)) = standing.subjects().find(|(subject, _)| subject.number == number) else {
        let what = format!("Review {} has no subject {number}.", plain(id));
        let way_out = "The review lists them by number.".to_owned();
        let lost = Trouble { title: "No such subject".to_owned(), what, way_out };
        return trouble(frame, StatusCode::NOT_FOUND, &lost);
    };
    let persons = match desk.source.persons().await {
        Ok(persons) => persons,
        Err(error) => return failed(frame, &error),
    };
    let who = by(asking, &persons);
    let rules = desk.rules((&opened.population, &opened.log), &persons);
    let needs = rules.needs_justification(subject);
    let status = if again.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let mut page = viewer.subject(frame, &opened, (subject, line));
    page.needs = needs;
    page.closed = standing.signed_off.as_ref().map(|(at, _)| at.to_string()).unwrap_or_default();
    page.asking =
        format!("{asking}{}", who.person.map_or_else(String::new, |person| format!(", who is {}", plain(&person))));
    page.again = again;
    (status, show(&page)).into_response()
}

impl Viewer {
    fn subject(&self, frame: Frame, opened: &Opened, (subject, line): (&Subject, &Line)) -> Page {
        let review = opened.meta.period.id.as_str();
        let usage = &subject.usage;
        let time = |time: Option<Time>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
        let counted = |counts: &std::collections::BTreeMap<String, u64>| {
            let mut all: Vec<(&String, &u64)> = counts.iter().collect();
            all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            all.into_iter().map(|(name, count)| (plain(name), number(*count))).collect()
        };
        let record = |record: &trail::review::RecordId| {
            let place = Place::at(Day::of(record.time), &record.account, &record.id);
            (record.time.to_string(), place.href(""))
        };
        Page {
            review: plain(review),
            action: format!("/reviews/{review}/subjects/{}/decision", subject.number),
            except: format!("/reviews/{review}/subjects/{}/exception", subject.number),
            name: plain(&subject.name),
            id: plain(&subject.id),
            number: subject.number,
            kind: kind(subject.kind).1,
            account: self.account_name(&subject.account),
            facts: facts(subject),
            privileged_by: subject.privileged_by.iter().map(|word| plain(word)).collect(),
            trusts: subject.trusts.iter().map(|who| plain(who)).collect(),
            grants: subject.grants.iter().map(|grant| plain(&grant.to_string())).collect(),
            keys: subject.keys.iter().map(key).collect(),
            created_by: subject.created_by.as_ref().map(|given| {
                let how = if given.pipeline { " (a pipeline: who provisioned is unknown)" } else { "" };
                (format!("{}{how}, {}", plain(&given.actor), given.record.time), record(&given.record).1)
            }),
            given_by: subject
                .given_by
                .iter()
                .map(|given| (format!("{}, {}", plain(&given.actor), given.record.time), record(&given.record).1))
                .collect(),
            usage: vec![
                ("Records", number(usage.records)),
                ("Changes that succeeded", number(usage.writes)),
                ("Refused", number(usage.refused)),
                ("First", time(usage.first)),
                ("Last", time(usage.last)),
            ],
            services: counted(&usage.services),
            actions: counted(&usage.actions),
            samples: usage.samples.iter().map(record).collect(),
            suggestion: suggestion(subject, (opened.population.taken, self.settings.review.unused_days)),
            stands: stands(line),
            became: became(line),
            left: line.left.iter().map(|left| plain(left)).collect(),
            needs: Vec::new(),
            history: opened.log.iter().filter(|entry| entry.act.subject() == Some(&subject.id)).map(told).collect(),
            asking: String::new(),
            closed: String::new(),
            again: None,
            frame: Frame { title: plain(&subject.name), ..frame },
        }
    }
}

fn facts(subject: &Subject) -> Vec<(&'static str, String)> {
    let time = |time: Option<Time>| time.map(|time| time.to_string()).unwrap_or_default();
    let mut facts = vec![
        ("Person", person(subject)),
        ("Reviewer", if subject.reviewer.is_empty() { "nobody".to_owned() } else { plain(&subject.reviewer) }),
        ("MFA", mfa(subject.mfa).to_owned()),
        ("Created", time(subject.created)),
        ("Last use, as IAM has it", time(subject.last_used)),
    ];
    facts.retain(|(_, said)| !said.is_empty());
    facts
}

fn mfa(mfa: Option<bool>) -> &'static str {
    match mfa {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known, or not its own",
    }
}

fn key(key: &trail::access::Key) -> String {
    let id = if key.id.is_empty() { "a key" } else { &key.id };
    let active = if key.active { "active" } else { "inactive" };
    let used = key.last_used.map_or_else(|| "never used".to_owned(), |last| format!("last used {}", last.date()));
    format!("{}: {active}, {used}", plain(id))
}

/// Something that happened to it.
#[derive(Debug)]
struct Told {
    at: String,
    what: String,
    by: String,
    more: Vec<String>,
    href: Option<String>,
}

fn told(entry: &Entry) -> Told {
    let by = entry.by.as_ref().map(named).unwrap_or_default();
    let (what, more, record) = match &entry.act {
        Act::Decided { decision, .. } => (format!("decided: {}", decision.verb), because(decision), None),
        Act::Proposed { decision, .. } => (format!("proposed: {}", decision.verb), because(decision), None),
        Act::Carried { effect, record, actor, .. } => {
            ("seen in the log".to_owned(), vec![effect.clone(), format!("called by {actor}")], Some(record))
        }
        Act::Absent { population, .. } => {
            ("confirmed absent".to_owned(), vec![format!("by the later population with SHA-256 {population}")], None)
        }
        Act::Reappeared { why, record, .. } => ("REAPPEARED".to_owned(), vec![why.clone()], record.as_ref()),
        Act::Excepted { reason, approver, .. } => {
            ("excepted".to_owned(), vec![reason.clone(), format!("approved by {approver}")], None)
        }
        Act::Joined { .. } => ("joined after the population was taken".to_owned(), Vec::new(), None),
        Act::Opened { .. } | Act::Reminded | Act::SignedOff { .. } => (String::new(), Vec::new(), None),
    };
    Told {
        at: entry.at.to_string(),
        what,
        by,
        more: more.iter().map(|text| plain(text)).collect(),
        href: record.map(|record| Place::at(Day::of(record.time), &record.account, &record.id).href("")),
    }
}

/// Why, and with whose approval.
fn because(decision: &Decision) -> Vec<String> {
    let removed = decision.remove.iter().map(|grant| format!("without {grant}"));
    let why = (!decision.justification.is_empty()).then(|| decision.justification.clone());
    let ticket = match decision.ticket.as_str() {
        "" => "approval not evidenced".to_owned(),
        ticket => format!("ticket {ticket}"),
    };
    removed.chain(why).chain([ticket]).collect()
}

/// What became of what was to be removed.
fn became(line: &Line) -> Vec<(&'static str, String)> {
    let time = |name, time: Option<Time>| time.map(|time| (name, time.to_string()));
    let late = if line.late { " (late)" } else { "" };
    let back = (!line.back.is_empty()).then(|| ("Came back", plain(&line.back)));
    [
        line.due.map(|due| ("Gone by", format!("{}{late}", due.date()))),
        time("Removed", line.removed_at),
        time("Sessions issued before may last until", line.residual_until),
        back,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Decides about one. What is typed is read by hand: a form may hold a field several times.
pub(crate) async fn decide(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path((id, number)): Path<(String, u32)>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let frame = viewer.frame(&asking, "reviews", "Access review");
    let Some(desk) = viewer.desk() else { return no_state(frame) };
    let given = |name: &str| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
    let again = |wrong: String| Again {
        wrong: plain(&wrong),
        justification: given("justification").to_owned(),
        ticket: given("ticket").to_owned(),
        verb: given("verb").to_owned(),
        ..Again::default()
    };
    let opened = match desk.load(&id).await {
        Ok(opened) => opened,
        Err(error) => return failed(frame, &error),
    };
    let standing = desk.standing(&opened, asking.at);
    let Some((subject, _)) = standing.subjects().find(|(subject, _)| subject.number == number) else {
        return shown(&viewer, &asking, (&id, number), None).await;
    };
    let verb = match given("verb") {
        "keep" => Verb::Keep,
        "modify" => Verb::Modify,
        "revoke" => Verb::Revoke,
        _ => return shown(&viewer, &asking, (&id, number), Some(again("Say what becomes of it.".to_owned()))).await,
    };
    let removed: Vec<&str> =
        pairs.iter().filter(|(name, _)| name == "remove").map(|(_, value)| value.as_str()).collect();
    let wanted = |grant: &&trail::review::Grant| removed.contains(&plain(&grant.to_string()).as_str());
    let remove =
        if verb == Verb::Modify { subject.grants.iter().filter(wanted).cloned().collect() } else { Vec::new() };
    let (justification, ticket) = (given("justification").to_owned(), given("ticket").to_owned());
    let decision = Decision { verb, remove, justification, ticket };
    tracing::info!(%asking, review = id, subject = subject.id, "decides");
    match desk.decide(&id, &asking, (&subject.id, &decision)).await {
        Ok(()) => Redirect::to(&format!("/reviews/{id}/subjects/{number}")).into_response(),
        Err(cloud::Error::Refusal(refusal)) => {
            shown(&viewer, &asking, (&id, number), Some(again(refusal.to_string()))).await
        }
        Err(error) => failed(frame, &error),
    }
}

/// Notes an exception about one, with who outside approved it.
pub(crate) async fn except(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path((id, number)): Path<(String, u32)>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let frame = viewer.frame(&asking, "reviews", "Access review");
    let Some(desk) = viewer.desk() else { return no_state(frame) };
    let given = |name: &str| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
    let (reason, approver) = (given("reason"), given("approver"));
    let opened = match desk.load(&id).await {
        Ok(opened) => opened,
        Err(error) => return failed(frame, &error),
    };
    let standing = desk.standing(&opened, asking.at);
    let Some((subject, _)) = standing.subjects().find(|(subject, _)| subject.number == number) else {
        return shown(&viewer, &asking, (&id, number), None).await;
    };
    tracing::info!(%asking, review = id, subject = subject.id, "notes an exception");
    match desk.except(&id, &asking, (&subject.id, reason, approver)).await {
        Ok(()) => Redirect::to(&format!("/reviews/{id}/subjects/{number}")).into_response(),
        Err(cloud::Error::Refusal(refusal)) => {
            let (reason, approver) = (reason.to_owned(), approver.to_owned());
            let again = Again { wrong: plain(&refusal.to_string()), reason, approver, ..Again::default() };
            shown(&viewer, &asking, (&id, number), Some(again)).await
        }
        Err(error) => failed(frame, &error),
    }
}
