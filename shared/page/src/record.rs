//! One record: who, what, on what, with which result; what it changed; and where to go from it.

use std::fmt;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query as Pairs, State};
use axum::http::StatusCode;
use axum::response::Response;
use cloud::asking::Asking;
use cloud::verify::prove::{Prover, Shown, Standing};
use lake::layout::Day;
use lake::who::{Chain, Seen};
use trail::detection::Severity;
use trail::facts::Facts;
use trail::time::Time;

use crate::Viewer;
use crate::address::{Address, Kind, Span, href, search};
use crate::changes::{self, Change};
use crate::frame::{self, Frame, Trouble, show};
use crate::records::short_service;
use crate::text::{indented, plain};

/// Seconds on either side that count as around.
const AROUND: i64 = 15 * 60;

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    day: Option<Day>,
    account: String,
    id: String,
}

impl Place {
    /// Where this one is.
    pub(crate) fn of(facts: &Facts<'_>) -> Self {
        let day = Some(Day::of(facts.event_time));
        Self { day, account: facts.account.to_string(), id: facts.event_id.to_string() }
    }

    /// Where a record of this day, account and id is.
    pub(crate) fn at(day: Day, account: &str, id: &str) -> Self {
        Self { day: Some(day), account: account.to_owned(), id: id.to_owned() }
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '~');
        let (day, account, id) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { day: Day::parse(day), account: account.to_owned(), id: id.to_owned() })
    }

    /// The address of its page, or of the part that is shown beside a table.
    pub(crate) fn href(&self, shown_as: &str) -> String {
        let mut pairs = vec![("account", self.account.clone()), ("id", self.id.clone())];
        pairs.extend(self.day.map(|day| ("day", day.to_string())));
        pairs.extend((!shown_as.is_empty()).then(|| ("as", shown_as.to_owned())));
        href("/record", &pairs)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day {
            Some(day) => write!(f, "{day}")?,
            None => f.write_str("-")?,
        }
        write!(f, "~{}~{}", self.account, self.id)
    }
}

/// All that is shown of a record.
#[derive(Debug)]
pub(crate) struct Detail {
    /// In one line.
    pub(crate) sentence: String,
    /// When.
    pub(crate) time: String,
    /// The findings that it is part of: severity in lower case, and id.
    pub(crate) finding: Option<(String, String)>,
    /// Who, what, on what, with which result, and the rest.
    pub(crate) blocks: Vec<Block>,
    /// What it changed.
    pub(crate) changes: Vec<Change>,
    /// What happened at about that time.
    pub(crate) around: Vec<Link>,
    /// The record as it was delivered, set out.
    pub(crate) raw: String,
    /// Who stands behind it, from the record upwards; then where that ends.
    pub(crate) chain: Vec<Step>,
    /// Its own page.
    pub(crate) href: String,
    /// Whether it is what AWS signed, where that was asked: in a word, and why.
    pub(crate) proven: Option<(&'static str, String)>,
    /// Where that is asked: its own page, and the part that is shown beside a table. Neither where nothing can be read.
    pub(crate) prove: Option<(String, String)>,
}

/// A part of what is said.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its title.
    pub(crate) title: &'static str,
    /// What it says.
    pub(crate) items: Vec<Item>,
}

/// One thing that is said.
#[derive(Debug)]
pub(crate) struct Item {
    /// What it is.
    pub(crate) label: &'static str,
    /// What it says.
    pub(crate) value: String,
    /// The search for it.
    pub(crate) href: Option<String>,
    /// Whether people want to copy it.
    pub(crate) copy: bool,
    /// Of a resource: who made and changed it.
    pub(crate) who: Option<String>,
}

/// A step of a chain.
#[derive(Debug)]
pub(crate) struct Step {
    /// Why it leads up, and to whom.
    pub(crate) text: String,
    /// The record that says so.
    pub(crate) href: Option<String>,
}

/// A chain as steps, its end the last.
pub(crate) fn steps(chain: &Chain) -> Vec<Step> {
    let step = |text: String, seen: &Seen| Step {
        text,
        href: Some(Place::at(Day::of(seen.time), &seen.account, &seen.id).href("")),
    };
    let links = chain.links.iter().map(|link| step(format!("{}: {}", link.why, link.seen), &link.seen));
    let end = Step { text: chain.end.to_string(), href: None };
    let made = chain.made.iter().map(|seen| step(format!("who was let in by {seen}"), seen));
    let partial = chain.partial.then(|| Step { text: "some files could not be read".to_owned(), href: None });
    links.chain([end]).chain(made).chain(partial).collect()
}

/// Somewhere to go.
#[derive(Debug)]
pub(crate) struct Link {
    /// What is there.
    pub(crate) name: &'static str,
    /// Its address.
    pub(crate) href: String,
}

#[derive(Template)]
#[template(path = "record.html")]
struct Page {
    frame: Frame,
    detail: Detail,
}

#[derive(Template)]
#[template(path = "record/panel.html")]
struct Panel {
    detail: Detail,
}

/// The page of a record, or with `as=panel` the part of it that stands beside a table.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    let given = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (account, id) = (given("account").unwrap_or("-"), given("id").unwrap_or_default());
    let place = Place { day: given("day").and_then(Day::parse), account: account.to_owned(), id: id.to_owned() };
    let mut found = viewer.detail(&place, &asking).await;
    if let (Ok(Some(detail)), Some("yes")) = (&mut found, given("verify")) {
        detail.proven = viewer.proven(&place).await;
    }
    match found {
        Ok(Some(detail)) if given("as") == Some("panel") => show(&Panel { detail }),
        Ok(Some(detail)) => show(&Page { frame: viewer.frame(&asking, "records", detail.sentence.clone()), detail }),
        Ok(None) => missing(&viewer, &asking, &place),
        Err(error) => {
            let (status, trouble) = Trouble::of(&error);
            frame::trouble(viewer.frame(&asking, "records", "Record"), status, &trouble)
        }
    }
}

fn missing(viewer: &Viewer, asking: &Asking, place: &Place) -> Response {
    let when = place.day.map_or_else(String::new, |day| format!(" on {day}"));
    let trouble = Trouble {
        title: "No such record".to_owned(),
        what: format!("The lake holds no record {} of account {}{when}.", plain(&place.id), plain(&place.account)),
        way_out: "Search for its id over all days, or read its log file into the lake.".to_owned(),
    };
    frame::trouble(viewer.frame(asking, "records", "No such record"), StatusCode::NOT_FOUND, &trouble)
}

impl Viewer {
    /// A record and what belongs to it.
    pub(crate) async fn detail(&self, place: &Place, asking: &Asking) -> Result<Option<Detail>, lake::Error> {
        tracing::info!(%asking, record = %place, "looked at");
        let Some(facts) = self.lake.record(place.day, &place.account, &place.id).await? else { return Ok(None) };
        let before = match changes::predecessor(&facts) {
            Some(query) => changes::before(&self.lake, &query, &facts).await,
            None => None,
        };
        let around = Time(facts.event_time.0 + AROUND);
        let (marks, _) = self.found_in((Some(Time(facts.event_time.0 - AROUND)), Some(around)), around).await;
        let mark = marks.get(&*facts.event_id).map(|(severity, id)| (word(*severity).to_lowercase(), id.clone()));
        Ok(Some(Detail {
            sentence: sentence(&facts),
            time: facts.event_time.to_string(),
            finding: mark,
            blocks: blocks(self, &facts),
            changes: changes::of(&facts, before.as_ref()),
            around: around_it(&facts),
            chain: self.steps(&facts).await,
            raw: plain(&indented(&facts.json)),
            href: place.href(""),
            proven: None,
            prove: self.logs.is_some().then(|| (place.href("") + "&verify=yes", place.href("panel") + "&verify=yes")),
        }))
    }

    /// The chain of a record. What goes wrong here is said in its place: the record itself can be shown.
    async fn steps(&self, facts: &Facts<'_>) -> Vec<Step> {
        match self.lake.chain(facts).await {
            Ok(chain) => steps(&chain),
            Err(error) => vec![Step { text: format!("the chain could not be followed: {error}"), href: None }],
        }
    }

    /// Whether a record is what AWS signed, as far as its log file and the digests say.
    async fn proven(&self, place: &Place) -> Option<(&'static str, String)> {
        let (stores, log_buckets) = self.logs.as_ref()?;
        let asked = Prover { stores, state: self.state.as_ref(), log_buckets };
        let facts = self.lake.record(place.day, &place.account, &place.id).await.ok()??;
        let shown = Shown { object: &facts.source_object, index: facts.source_index, json: &facts.json };
        Some(match asked.prove(&shown).await {
            Ok(proven) => (standing(proven.standing), plain(&proven.reason)),
            Err(error) => ("could not look", plain(&error.to_string())),
        })
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Proven => "proven",
        Standing::Listed => "listed in a digest",
        Standing::Waiting => "no digest yet",
        Standing::Changed => "changed",
        Standing::Missing => "missing",
        Standing::Unsigned => "not signed",
        Standing::Unknown => "unknown",
    }
}

/// A severity as it is written.
pub(crate) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "INFORMATIONAL",
        Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    }
}

fn sentence(facts: &Facts<'_>) -> String {
    let who = if facts.actor_name.is_empty() { &facts.actor_type } else { &facts.actor_name };
    plain(&format!("{who}: {} ({})", facts.event_name, short_service(&facts.event_source)))
}

fn blocks(viewer: &Viewer, facts: &Facts<'_>) -> Vec<Block> {
    let all = [
        ("Who", who(facts)),
        ("What", what(facts)),
        ("On what", targets(viewer, facts)),
        ("Result", result(facts)),
        ("About the record", meta(facts)),
    ];
    let blocks = all.into_iter().map(|(title, items)| Block { title, items });
    blocks.filter(|block| !block.items.is_empty()).collect()
}

/// Items of what the record has; each leads to the records of the week around it that have the same.
struct Items<'f> {
    items: Vec<Item>,
    facts: &'f Facts<'f>,
}

impl<'f> Items<'f> {
    fn of(facts: &'f Facts<'f>) -> Self {
        Self { items: Vec::new(), facts }
    }

    fn add(mut self, label: &'static str, value: &str, field: &'static str) -> Self {
        if !value.is_empty() {
            let time = self.facts.event_time;
            let week = Span::between(Time(time.0 - 3 * 86_400), Time(time.0 + 4 * 86_400));
            let href = (!field.is_empty()).then(|| search(field, value, week));
            self.items.push(Item { label, value: plain(value), href, copy: true, who: None });
        }
        self
    }

    fn say(mut self, label: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.items.push(Item { label, value: plain(value), href: None, copy: false, who: None });
        }
        self
    }
}

fn who(facts: &Facts<'_>) -> Vec<Item> {
    let mfa = match facts.mfa {
        Some(true) => "used",
        Some(false) => "not used",
        None => "",
    };
    let own = if facts.actor_account == facts.account { "" } else { &*facts.actor_account };
    Items::of(facts)
        .add("actor", &facts.actor_name, "user")
        .say("type", &facts.actor_type)
        .add("session", &facts.actor_arn, "user")
        .add("issued by", &facts.issuer_arn, "issuer")
        .add("access key", &facts.access_key, "access-key")
        .add("source identity", &facts.source_identity, "user")
        .add("on behalf of", &facts.on_behalf_of, "on-behalf-of")
        .add("of account", own, "account")
        .add("address", &facts.source_ip, "ip")
        .add("VPC endpoint", &facts.vpc_endpoint, "vpc-endpoint")
        .add("user agent", &facts.user_agent, "agent")
        .say("MFA", mfa)
        .say("in the console", if facts.console { "yes" } else { "" })
        .add("by way of", &facts.invoked_by, "invoked-by")
        .items
}

fn what(facts: &Facts<'_>) -> Vec<Item> {
    Items::of(facts)
        .add("action", &facts.event_name, "action")
        .add("service", &facts.event_source, "service")
        .say("kind", if facts.read_only { "only reads" } else { "changes something" })
        .say("time", &facts.event_time.to_string())
        .items
}

fn targets(viewer: &Viewer, facts: &Facts<'_>) -> Vec<Item> {
    let mut items = Items::of(facts);
    for resource in &facts.resources {
        items = items.add("resource", resource, "resource");
        if let Some(item) = items.items.last_mut() {
            item.who = Some(href("/who", &[("resource", resource.to_string())]));
        }
    }
    for kind in &facts.resource_types {
        items = items.add("type", kind, "resource-type");
    }
    let mut items = items.add("account", &facts.account, "account");
    if let Some(last) = items.items.last_mut().filter(|item| item.label == "account") {
        last.value = plain(&viewer.settings.account_name(&facts.account));
    }
    items.add("region", &facts.region, "region").add("key given out", &facts.issued_key, "access-key").items
}

fn result(facts: &Facts<'_>) -> Vec<Item> {
    if facts.error_code.is_empty() {
        return Items::of(facts).say("result", "done").items;
    }
    Items::of(facts).add("error", &facts.error_code, "error").say("message", &facts.error_message).items
}

fn meta(facts: &Facts<'_>) -> Vec<Item> {
    Items::of(facts)
        .add("record", &facts.event_id, "id")
        .add("request", &facts.request_id, "request-id")
        .add("shared id", &facts.shared_event_id, "shared-id")
        .say("category", &facts.category)
        .say("event type", &facts.event_type)
        .say("TLS", &facts.tls)
        .add("log file", &facts.source_object, "")
        .say("place in it", &facts.source_index.to_string())
        .items
}

fn around_it(facts: &Facts<'_>) -> Vec<Link> {
    let time = facts.event_time;
    let span = || Span::between(Time(time.0 - AROUND), Time(time.0 + AROUND));
    let mut links = Vec::new();
    let mut link = |name, pairs: &[(&str, &str)]| {
        let start = Address { span: span(), kind: Kind::All, ..Address::default() };
        let address = pairs.iter().fold(start, |address, (name, value)| address.with(name, value));
        links.push(Link { name, href: address.href() });
    };
    if !facts.actor_name.is_empty() {
        link("by this actor", &[("user", &facts.actor_name)]);
    }
    if !facts.source_ip.is_empty() {
        link("from this address", &[("ip", &facts.source_ip)]);
    }
    link("in this account and region", &[("account", &facts.account), ("region", &facts.region)]);
    link("everywhere", &[]);
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{get, pages, record};

    #[test]
    fn a_place_is_found_again() {
        let facts = Facts { account: "111122223333".into(), event_id: "a~b@c".into(), ..Facts::default() };
        let place = Place::of(&facts);
        assert_eq!(Place::read(&place.to_string()), Some(place));
        assert_eq!(Place::read("nonsense"), None);
    }

    #[tokio::test]
    async fn a_record_says_who_and_what_and_leads_on() {
        let pages = pages(&[record(1, "RunInstances", "alice")]).await;
        let id = "00000000-0000-4000-8000-000000000001";
        let (_, body) = get(&pages, &format!("/record?day=2026-11-20&account=111122223333&id={id}")).await;
        for text in [
            "alice: RunInstances (ec2)",
            "access-key=AKIAIOSFODNN7EXAMPLE",
            "from=2026-11-20T02:45:01Z",
            "eventVersion",
        ] {
            assert!(body.contains(text), "{text}:\n{body}");
        }
        let (_, panel) = get(&pages, &format!("/record?account=111122223333&id={id}&as=panel")).await;
        assert!(panel.contains("alice: RunInstances") && !panel.contains("<html"));
        let (response, body) = get(&pages, "/record?account=111122223333&id=none").await;
        assert!(response.status() == StatusCode::NOT_FOUND && body.contains("no record none"), "{body}");
        let (_, body) = get(&pages, &format!("/records?open=2026-11-20~111122223333~{id}")).await;
        assert!(body.contains("<article"), "the open record is part of the address");
    }
}
