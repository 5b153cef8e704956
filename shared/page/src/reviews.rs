//! Access reviews: whom they are about, how far they are, and what is left to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query as Pairs, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cloud::asking::Asking;
use cloud::review::log::{Opened, Reviews};
use cloud::review::store::Store;
use cloud::state::ReviewMeta;
use trail::access::Gap;
use trail::review::rules::is_unused;
use trail::review::standing::{Cycle, Exception, Line, Remedy, Stage};
use trail::review::{Act, By, Entry, Scope, Standing, Subject, SubjectKind};
use trail::time::Time;

use crate::Viewer;
use crate::address::href;
use crate::frame::{Frame, Trouble, show, trouble};
use crate::held::{failed, no_state};
use crate::text::{number, plain};

mod acts;
mod subject;

pub(crate) use acts::{LARGEST, back, confirm, out, sign_off};
pub(crate) use subject::{decide, except, page as subject_page};

/// Subjects that are shown at once.
const SHOWN: usize = 100;

/// What is wrong with a population is shown up to so many lines.
const GAPS: usize = 20;

#[derive(Template)]
#[template(path = "reviews.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<ListRow>,
}

/// A review in the list.
#[derive(Debug)]
struct ListRow {
    id: String,
    href: String,
    opened: String,
    due: String,
    subjects: String,
    leaver: String,
}

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewPage {
    frame: Frame,
    id: String,
    said: String,
    due: String,
    late: bool,
    signed: String,
    counts: Vec<Count>,
    proof: Vec<String>,
    gaps: Vec<String>,
    more_gaps: usize,
    excluded: Vec<String>,
    missing: Vec<String>,
    exceptions: Vec<String>,
    proposals: bool,
    tried: Tried,
    asking: String,
    form: Asked,
    kinds: Vec<(&'static str, &'static str, bool)>,
    rows: Vec<Row>,
    shown: String,
    before: Option<String>,
    after: Option<String>,
    strangers: Vec<(String, String)>,
}

/// How many subjects are so.
#[derive(Debug)]
struct Count {
    name: &'static str,
    number: String,
    href: String,
    on: bool,
}

/// A subject in the queue.
#[derive(Debug)]
struct Row {
    number: u32,
    href: String,
    name: String,
    kind: &'static str,
    account: String,
    person: String,
    marks: Vec<&'static str>,
    used: String,
    reviewer: String,
    stands: String,
    /// The entry that proposes something; none where nothing waits.
    proposed: Option<u64>,
}

/// What came of the last thing that was tried with the review.
#[derive(Debug, Default)]
struct Tried {
    wrong: Vec<String>,
    done: String,
    statement: String,
}

/// What is asked for, as the address says it.
#[derive(Debug, Default, Clone)]
struct Asked {
    reviewer: String,
    account: String,
    kind: String,
    show: String,
    page: usize,
}

/// Ways to look at the queue: name in the address, label, and which subjects it leaves.
const WAYS: [(&str, &str); 8] = [
    ("undecided", "undecided"),
    ("decided", "decided"),
    ("privileged", "privileged"),
    ("unused", "unused"),
    ("nobody", "without an active person"),
    ("open", "to be removed"),
    ("overdue", "overdue"),
    ("reappeared", "reappeared"),
];

impl Viewer {
    /// Reviews and where they are kept; none where there is no state or no data.
    fn desk(&self) -> Option<Reviews<'_, Store>> {
        let (state, (source, local)) = (self.state.as_ref()?, self.reviews.as_ref()?);
        Some(Reviews { state, settings: &self.settings, source, local: *local })
    }
}

/// All of them.
pub(crate) async fn list(State(viewer): State<Arc<Viewer>>, Extension(asking): Extension<Asking>) -> Response {
    let frame = viewer.frame(&asking, "reviews", "Access reviews");
    let Some(desk) = viewer.desk() else { return no_state(frame) };
    match desk.state.reviews().await {
        Ok(mut metas) => {
            metas.sort_by_key(|meta| std::cmp::Reverse(meta.opened));
            show(&ListPage { frame, rows: metas.iter().map(ListRow::of).collect() })
        }
        Err(error) => failed(frame, &error),
    }
}

impl ListRow {
    fn of(meta: &ReviewMeta) -> Self {
        Self {
            id: plain(&meta.period.id),
            href: format!("/reviews/{}", meta.period.id),
            opened: meta.opened.date(),
            due: meta.due.date(),
            subjects: number(meta.subjects as u64),
            leaver: meta.leaver.as_deref().map(plain).unwrap_or_default(),
        }
    }
}

/// One review.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path(id): Path<String>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    tracing::info!(%asking, review = id, "looked at");
    shown(&viewer, &asking, (&id, &Asked::of(&pairs)), Tried::default()).await
}

/// The review, with what came of what was tried.
async fn shown(viewer: &Viewer, asking: &Asking, (id, asked): (&str, &Asked), tried: Tried) -> Response {
    let frame = viewer.frame(asking, "reviews", format!("Access review {}", plain(id)));
    let Some(desk) = viewer.desk() else { return no_state(frame) };
    match desk.state.review(id).await {
        Ok(None) => return lost(frame, id),
        Err(error) => return failed(frame, &error),
        Ok(Some(_)) => {}
    }
    match desk.load(id).await {
        Ok(opened) => {
            let now = (viewer.now)();
            let standing = desk.standing(&opened, now);
            let page = viewer.review(frame, (&opened, &standing), asked, now);
            (tried.status(), show(&ReviewPage { tried, asking: asking.to_string(), ..page })).into_response()
        }
        Err(error) => failed(frame, &error),
    }
}

/// There is no such review.
fn lost(frame: Frame, id: &str) -> Response {
    let lost = Trouble {
        title: "No such review".to_owned(),
        what: format!("There is no access review {}.", plain(id)),
        way_out: "The list of reviews has all of them.".to_owned(),
    };
    trouble(frame, StatusCode::NOT_FOUND, &lost)
}

impl Asked {
    fn of(pairs: &[(String, String)]) -> Self {
        let given = |name: &str| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
        let text = |name| given(name).to_owned();
        Self {
            reviewer: text("reviewer"),
            account: text("account"),
            kind: text("kind"),
            show: text("show"),
            page: given("page").parse().unwrap_or(0),
        }
    }

    fn href(&self, id: &str) -> String {
        let page = if self.page == 0 { String::new() } else { self.page.to_string() };
        let all = [
            ("reviewer", self.reviewer.as_str()),
            ("account", &self.account),
            ("kind", &self.kind),
            ("show", &self.show),
            ("page", &page),
        ];
        let pairs: Vec<_> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        href(&format!("/reviews/{id}"), &pairs)
    }

    fn leaves(&self, (subject, line): (&Subject, &Line), (taken, unused): (Time, i64)) -> bool {
        let is = |asked: &str, is: &str| asked.is_empty() || asked == is;
        is(&self.reviewer, &subject.reviewer)
            && is(&self.account, &subject.account)
            && is(&self.kind, kind(subject.kind).0)
            && is_shown(&self.show, (subject, line), (taken, unused))
    }
}

fn is_shown(show: &str, (subject, line): (&Subject, &Line), (taken, unused): (Time, i64)) -> bool {
    match show {
        "undecided" => matches!(line.stage, Stage::Undecided | Stage::Proposed),
        "decided" => line.stage == Stage::Decided,
        "privileged" => subject.privileged,
        "unused" => is_unused(subject, taken, unused),
        "nobody" => is_nobodys(subject),
        "open" => matches!(line.remedy, Remedy::Open | Remedy::SeenInLog | Remedy::Overdue),
        "overdue" => line.remedy == Remedy::Overdue,
        "reappeared" => line.remedy == Remedy::Reappeared,
        _ => true,
    }
}

/// Whether a person should stand behind it and none does who is still there.
fn is_nobodys(subject: &Subject) -> bool {
    subject.kind.is_somebodys() && subject.person.as_ref().is_none_or(|person| !person.active)
}

/// A kind, as the address and as people have it.
fn kind(kind: SubjectKind) -> (&'static str, &'static str) {
    match kind {
        SubjectKind::Root => ("root", "root user"),
        SubjectKind::User => ("user", "IAM user"),
        SubjectKind::Role => ("role", "role"),
        SubjectKind::Assignment => ("assignment", "Identity Center"),
        SubjectKind::SamlProvider => ("saml_provider", "SAML provider"),
        SubjectKind::OidcProvider => ("oidc_provider", "OpenID Connect provider"),
    }
}

const KINDS: [SubjectKind; 6] = [
    SubjectKind::Root,
    SubjectKind::User,
    SubjectKind::Role,
    SubjectKind::Assignment,
    SubjectKind::SamlProvider,
    SubjectKind::OidcProvider,
];

impl Viewer {
    fn review(&self, frame: Frame, (opened, standing): (&Opened, &Standing), asked: &Asked, now: Time) -> ReviewPage {
        let Opened { meta, population, .. } = opened;
        let id = meta.period.id.as_str();
        let unused = (population.taken, self.settings.review.unused_days);
        let mut queue: Vec<(&Subject, &Line)> =
            standing.subjects().filter(|subject| asked.leaves(*subject, unused)).collect();
        queue.sort_by_key(|(subject, _)| (!is_nobodys(subject), subject.number));
        let first = asked.page.saturating_mul(SHOWN).min(queue.len());
        let last = queue.len().min(first + SHOWN);
        let proposed = proposed(&opened.log);
        let turned = |page: usize| Asked { page, ..asked.clone() }.href(id);
        ReviewPage {
            id: plain(id),
            said: format!(
                "{} of {} decided",
                number(standing.progress.done() as u64),
                number(standing.progress.subjects as u64)
            ),
            due: meta.due.date(),
            late: matches!(standing.cycle(now), Cycle::Late | Cycle::Missed),
            signed: signed(standing),
            counts: WAYS.iter().map(|way| count(*way, standing, (asked, id), unused)).collect(),
            proof: proof(opened),
            gaps: population.gaps.iter().take(GAPS).map(gap).collect(),
            more_gaps: population.gaps.len().saturating_sub(GAPS),
            excluded: population.scope.iter().filter_map(excluded).collect(),
            missing: standing.missing().iter().map(|missing| plain(missing)).collect(),
            exceptions: standing.exceptions.iter().map(exception).collect(),
            kinds: KINDS.iter().map(|one| (kind(*one).0, kind(*one).1, asked.kind == kind(*one).0)).collect(),
            rows: queue[first..last].iter().map(|subject| self.row((id, &proposed), *subject, unused)).collect(),
            shown: match queue.len() {
                0 => "no subject is so".to_owned(),
                all => format!("{} to {} of {}", first + 1, last, number(all as u64)),
            },
            before: (first > 0).then(|| turned(asked.page.saturating_sub(1))),
            after: (last < queue.len()).then(|| turned(asked.page + 1)),
            strangers: population.unknown.iter().take(SHOWN).map(stranger).collect(),
            proposals: queue[first..last].iter().any(|(_, line)| line.stage == Stage::Proposed),
            tried: Tried::default(),
            asking: String::new(),
            form: asked.clone(),
            frame,
        }
    }

    fn row(
        &self,
        (id, proposed): (&str, &BTreeMap<&str, u64>),
        (subject, line): (&Subject, &Line),
        (taken, unused): (Time, i64),
    ) -> Row {
        let marks = [
            (subject.privileged, "privileged"),
            (is_unused(subject, taken, unused), "unused"),
            (subject.joined, "joined"),
            (subject.mfa == Some(false), "no MFA"),
        ];
        Row {
            number: subject.number,
            href: format!("/reviews/{id}/subjects/{}", subject.number),
            name: plain(&subject.name),
            kind: kind(subject.kind).1,
            account: self.account_name(&subject.account),
            person: person(subject),
            marks: marks.into_iter().filter_map(|(is, mark)| is.then_some(mark)).collect(),
            used: used(subject),
            reviewer: if subject.reviewer.is_empty() { "nobody".to_owned() } else { plain(&subject.reviewer) },
            stands: stands(line),
            proposed: proposed.get(&*subject.id).copied().filter(|_| line.stage == Stage::Proposed),
        }
    }
}

/// The last proposal about each subject, by the number of its entry.
fn proposed(log: &[Entry]) -> BTreeMap<&str, u64> {
    let proposed = log.iter().filter_map(|entry| match &entry.act {
        Act::Proposed { subject, .. } => Some((subject.as_str(), entry.number)),
        _ => None,
    });
    proposed.collect()
}

/// What makes the population believable.
fn proof(Opened { meta, population, .. }: &Opened) -> Vec<String> {
    let reviewed = population.scope.iter().filter(|scope| scope.excluded.is_none()).count();
    vec![
        format!("taken {}", population.taken),
        format!("{reviewed} of {} accounts", population.scope.len()),
        format!("{} answers of AWS with request ids and hashes", number(population.receipts.len() as u64)),
        format!("population SHA-256 {}", meta.population),
    ]
}

fn gap(gap: &Gap) -> String {
    let account = if gap.account.is_empty() { "organization".to_owned() } else { plain(&gap.account) };
    format!("{account}: {}: {}", plain(&gap.what), plain(&gap.why))
}

fn excluded(scope: &Scope) -> Option<String> {
    Some(format!("{} {}: {}", plain(&scope.name), plain(&scope.account), plain(scope.excluded.as_ref()?)))
}

fn exception(one: &Exception) -> String {
    let about = if one.subject.is_empty() { "the review" } else { &one.subject };
    format!("{}: {} (approved by {})", plain(about), plain(&one.reason), plain(&one.approver))
}

/// What use alone suggests.
fn suggestion(subject: &Subject, (taken, unused): (Time, i64)) -> &'static str {
    if is_unused(subject, taken, unused) { "revoke: it was not used" } else { "" }
}

fn count(
    (name, label): (&'static str, &'static str),
    standing: &Standing,
    (asked, id): (&Asked, &str),
    unused: (Time, i64),
) -> Count {
    let is = |subject: &(&Subject, &Line)| is_shown(name, *subject, unused);
    let on = asked.show == name;
    let turned = Asked { show: if on { String::new() } else { name.to_owned() }, page: 0, ..asked.clone() };
    Count { name: label, number: number(standing.subjects().filter(is).count() as u64), href: turned.href(id), on }
}

fn signed(standing: &Standing) -> String {
    let Some((at, by)) = &standing.signed_off else { return String::new() };
    let who = by.as_ref().map_or_else(String::new, named);
    format!("{at} by {who}: {}", plain(&standing.statement))
}

/// Who it was, and whether that is proven.
fn named(by: &By) -> String {
    let proven = if matches!(&*by.proven, "signed" | "token") { "proven" } else { "not proven" };
    let address = if by.address.is_empty() { String::new() } else { format!(", from {}", by.address) };
    let arn = if by.arn.is_empty() { String::new() } else { format!("{}, ", by.arn) };
    plain(&format!("{} ({arn}{proven}{address})", by.who))
}

fn person(subject: &Subject) -> String {
    match &subject.person {
        None if subject.kind.is_somebodys() => "nobody on the people's list".to_owned(),
        None => String::new(),
        Some(person) if person.active => plain(&person.id),
        Some(person) => format!("{} has left", plain(&person.id)),
    }
}

/// When it was last used, by the records of the period, else by IAM.
fn used(subject: &Subject) -> String {
    match (subject.usage.last, subject.last_used) {
        (Some(last), _) => format!("{}, {} records", last.date(), number(subject.usage.records)),
        (None, Some(last)) => format!("{} by IAM, no record in the period", last.date()),
        (None, None) => "never seen".to_owned(),
    }
}

/// How a subject stands, in words.
fn stands(line: &Line) -> String {
    let verb = line.decision.as_ref().map(|decision| decision.verb.to_string()).unwrap_or_default();
    let stage = match line.stage {
        Stage::Undecided => "undecided".to_owned(),
        Stage::Proposed => format!("proposed: {verb}"),
        Stage::Decided => verb,
        Stage::Gone => "gone before anybody decided".to_owned(),
    };
    match remedy(line.remedy) {
        "" => stage,
        remedy => format!("{stage}, {remedy}"),
    }
}

fn remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::None => "",
        Remedy::Open => "to be removed",
        Remedy::SeenInLog => "removal seen in the log",
        Remedy::ConfirmedAbsent => "confirmed absent",
        Remedy::Overdue => "overdue",
        Remedy::Reappeared => "REAPPEARED",
    }
}

/// Who was active and is no subject.
fn stranger(stranger: &trail::review::population::Stranger) -> (String, String) {
    use trail::review::ActorKey;
    let name = match &stranger.actor {
        ActorKey::Root(account) => format!("root of {account}"),
        ActorKey::User(arn) | ActorKey::Role(arn) => arn.clone(),
        ActorKey::Session { role, name } => format!("{name} as {role}"),
    };
    let last = stranger.usage.last.map_or_else(String::new, |last| format!(", last {last}"));
    (plain(&name), format!("{} records{last}", number(stranger.usage.records)))
}

#[cfg(test)]
mod tests;
