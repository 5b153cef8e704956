//! Findings: the list, one of them, and what becomes of it.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query as Pairs, State};
use axum::response::Response;
use cloud::state::Query;
use serde::de::DeserializeOwned;
use serde_json::json;
use trail::alert::{Entry, Status, finding_json};
use trail::detection::{Category, Severity};
use trail::finding::Finding;
use trail::record::Outcome;
use trail::settings::Settings;
use trail::time::Time;

use crate::Viewer;
use crate::address::{Address, Kind, Span, href};
use crate::frame::{Frame, show};
use crate::held::{failed, no_state};
use crate::record::word;
use crate::text::{number, plain};
use cloud::asking::Asking;

mod one;
pub(crate) use one::{page, set_status};

/// How many are shown at once.
const SHOWN: usize = 300;

/// How many days back are asked for unless somebody says otherwise.
const DAYS: i64 = 90;

/// Seconds on either side that count as around.
const AROUND: i64 = 15 * 60;

/// Seconds before and after a finding in which its actor is looked at.
const DAY: i64 = 86_400;

/// A finding in a table.
#[derive(Debug)]
pub(crate) struct Row {
    /// In lower case.
    pub(crate) severity: String,
    /// In capitals.
    pub(crate) word: &'static str,
    /// What came of it: empty for what was carried out.
    pub(crate) outcome: &'static str,
    /// When it was last seen.
    pub(crate) time: String,
    /// The same as people read it.
    pub(crate) day: String,
    pub(crate) clock: String,
    /// The account and region.
    pub(crate) place: String,
    /// What happened.
    pub(crate) said: String,
    /// From which addresses.
    pub(crate) from: String,
    /// How many records.
    pub(crate) count: String,
    /// As how it stands.
    pub(crate) status: String,
    /// Whether nobody has looked yet.
    pub(crate) is_new: bool,
    /// The short id.
    pub(crate) id: String,
    /// Its page.
    pub(crate) href: String,
    /// What its actor did; none where no record is behind it.
    pub(crate) who: Option<String>,
    /// What happened around it.
    pub(crate) around: String,
}

impl Row {
    /// A finding as a row.
    pub(crate) fn of(entry: &Entry, settings: &Settings) -> Self {
        let finding = &entry.finding;
        let json = finding_json(finding, settings);
        let summary = json["summary"].as_str().unwrap_or_default();
        let (place, said) = summary.split_once(": ").unwrap_or(("", summary));
        let from = json["source_ip"].as_str().unwrap_or_default();
        let more = if finding.saturated { "+" } else { "" };
        Self {
            severity: word(finding.severity).to_lowercase(),
            word: word(finding.severity),
            outcome: outcome(finding.outcome),
            time: finding.last_seen.to_string(),
            day: finding.last_seen.date(),
            clock: finding.last_seen.clock(),
            place: plain(place),
            said: shorter(&plain(said)),
            from: plain(from),
            count: format!("{}{more}", number(finding.event_count() as u64)),
            status: status(entry),
            is_new: entry.status == Status::New,
            id: finding.short_id().to_owned(),
            href: href_of(&finding.finding_id),
            who: who(entry),
            around: around(entry),
        }
    }
}

/// Keys of log files by what stands behind their last slash: the rest says account, region and day once more.
fn shorter(said: &str) -> String {
    let short = |word: &str| match word.rsplit_once('/') {
        Some((folder, name)) if folder.len() > 40 => format!("…/{name}"),
        _ => word.to_owned(),
    };
    said.split(' ').map(short).collect::<Vec<String>>().join(" ")
}

/// The address of a finding's page.
pub(crate) fn href_of(id: &str) -> String {
    format!("/findings/{id}")
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
    }
}

/// `acknowledged`, `closed as expected`.
pub(crate) fn status(entry: &Entry) -> String {
    let status = spoken(&entry.status);
    entry.resolution.map_or(status.clone(), |resolution| format!("{status} as {}", spoken(&resolution)))
}

/// A word of the interfaces, as people read it: `false alarm`.
pub(crate) fn spoken(value: &impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().replace('_', " ")
}

/// Who is behind it, where records are and all say the same.
pub(crate) fn actor(finding: &Finding) -> Option<&str> {
    let name = Some(&finding.lead.actor.name).filter(|name| !name.is_empty());
    let only = finding.facts.actors.first().filter(|_| finding.facts.actors.len() == 1);
    // Actors are told with their role: `github-ci (role ci-deploy)`. The lake has names.
    let name = name.or(only).map(|name| name.split(" (role ").next().unwrap_or(name));
    name.filter(|_| is_of_record(finding))
}

/// Whether records are behind it, and not a log file or a setting.
pub(crate) fn is_of_record(finding: &Finding) -> bool {
    finding.event_ids.iter().any(|id| is_record(id))
}

/// Whether it is a record's id: CloudTrail's, or the hash that stands in for one.
pub(crate) fn is_record(id: &str) -> bool {
    let is_hex = |least: &[u8]| id.bytes().all(|byte| byte.is_ascii_hexdigit() || least.contains(&byte));
    id.len() == 36 && is_hex(b"-") || id.len() == 64 && is_hex(b"")
}

/// All that its actor did, from a day before until a day after.
fn who(entry: &Entry) -> Option<String> {
    let finding = &entry.finding;
    let name = actor(finding)?;
    let span = Span::between(Time(finding.first_seen.0 - DAY), Time(finding.last_seen.0 + DAY));
    Some(crate::address::search("user", name, span))
}

/// All that was changed in its account, 15 minutes on either side.
fn around(entry: &Entry) -> String {
    let finding = &entry.finding;
    let span = Span::between(Time(finding.first_seen.0 - AROUND), Time(finding.last_seen.0 + AROUND));
    let all = Address { span, kind: Kind::All, ..Address::default() };
    match finding.account.as_str() {
        "*" | "-" | "" => all.href(),
        account => all.with("account", account).href(),
    }
}

/// Whether it is for review: nobody has looked, it is too mild to be told at once, and it is not the settings', which
/// stand among the verdicts.
pub(crate) fn is_for_review(entry: &Entry, settings: &Settings) -> bool {
    let finding = &entry.finding;
    entry.status == Status::New
        && finding.severity > Severity::Informational
        && finding.severity < settings.minimum_alert_severity
        && finding.category != Category::TrailSettings
}

/// The category in a word or two.
pub(crate) fn short(category: Category) -> String {
    match category {
        Category::IamChange => "IAM".to_owned(),
        Category::NetworkExposure => "network".to_owned(),
        other => spoken(&other),
    }
}

/// A finding on a line of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// When it was first seen.
    pub(crate) time: Time,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// Its id.
    pub(crate) id: String,
}

/// The findings that were first seen in a span of time.
pub(crate) async fn marks(state: &cloud::state::State, from: Time, to: Time) -> Result<Vec<Mark>, cloud::Error> {
    let query = Query { days: (to.0 - from.0) / DAY + 1, ..Query::default() };
    let mut marks = Vec::new();
    let mut take = |entry: Entry| {
        let finding = entry.finding;
        if finding.first_seen >= from && finding.first_seen < to {
            marks.push(Mark { time: finding.first_seen, severity: finding.severity, id: finding.finding_id });
        }
    };
    state.each_finding(&query, to, &mut take).await?;
    Ok(marks)
}

#[derive(Template)]
#[template(path = "findings.html")]
struct Page {
    frame: Frame,
    presets: Vec<Preset>,
    form: Asked,
    categories: Vec<(String, String, bool)>,
    rows: Vec<Row>,
    said: String,
    notes: Vec<String>,
}

/// A list that is asked for often.
#[derive(Debug)]
struct Preset {
    name: &'static str,
    href: &'static str,
    on: bool,
}

/// What the list is asked for, as its address says it.
#[derive(Debug, Default)]
struct Asked {
    queue: bool,
    status: String,
    severity: String,
    category: String,
    account: String,
    actor: String,
    days: i64,
}

const CATEGORIES: [Category; 16] = [
    Category::RootUsage,
    Category::IamChange,
    Category::NetworkExposure,
    Category::PublicAccess,
    Category::TrailTampering,
    Category::Authentication,
    Category::SecurityService,
    Category::DataAccess,
    Category::Compute,
    Category::Persistence,
    Category::Reconnaissance,
    Category::Exfiltration,
    Category::Impact,
    Category::TrailSettings,
    Category::Integrity,
    Category::Other,
];

impl Asked {
    fn of(pairs: Vec<(String, String)>, notes: &mut Vec<String>) -> Self {
        let mut asked = Self { days: DAYS, ..Self::default() };
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
            let value = value.trim().to_owned();
            let known = match name.as_str() {
                "queue" => value == "review",
                "status" => ["open", "all"].contains(&value.as_str()) || read::<Status>(&value).is_some(),
                "severity" => read::<Severity>(&value.to_uppercase()).is_some(),
                "category" => read::<Category>(&value).is_some(),
                "days" => value.parse::<i64>().is_ok_and(|days| (1..=400).contains(&days)),
                "account" | "actor" => true,
                _ => false,
            };
            match (known, name.as_str()) {
                (false, _) => {
                    notes.push(format!("`{}={}` says nothing here and was left out.", plain(&name), plain(&value)));
                }
                (true, "queue") => asked.queue = true,
                (true, "status") => asked.status = value,
                (true, "severity") => asked.severity = value,
                (true, "category") => asked.category = value,
                (true, "account") => asked.account = value,
                (true, "actor") => asked.actor = value,
                (true, _) => asked.days = value.parse().unwrap_or(DAYS),
            }
        }
        if asked.status.is_empty() {
            if asked.queue { "new" } else { "open" }.clone_into(&mut asked.status);
        }
        asked
    }

    fn query(&self) -> Query {
        Query {
            days: self.days,
            status: read(&self.status),
            severity: read(&self.severity.to_uppercase()),
            category: read(&self.category),
            actor: Some(self.actor.clone()).filter(|actor| !actor.is_empty()),
        }
    }

    /// What the table cannot be asked for.
    fn admits(&self, entry: &Entry, viewer: &Viewer) -> bool {
        let account = &entry.finding.account;
        let is_there =
            self.account.is_empty() || *account == self.account || viewer.account_name(account) == self.account;
        let stands = self.status != "open" || entry.status != Status::Closed;
        is_there && stands && (!self.queue || is_for_review(entry, &viewer.settings))
    }

    fn presets(&self) -> Vec<Preset> {
        let bare = self.category.is_empty() && self.account.is_empty() && self.actor.is_empty();
        let is =
            |status: &str, severity: &str| bare && !self.queue && self.status == status && self.severity == severity;
        vec![
            Preset { name: "Open", href: "/findings", on: is("open", "") },
            Preset { name: "Now: HIGH and above", href: "/findings?severity=high", on: is("open", "high") },
            Preset { name: "For review", href: "/findings?queue=review", on: bare && self.queue },
            Preset { name: "Acknowledged", href: "/findings?status=acknowledged", on: is("acknowledged", "") },
            Preset { name: "Closed", href: "/findings?status=closed", on: is("closed", "") },
            Preset { name: "All", href: "/findings?status=all", on: is("all", "") },
        ]
    }
}

/// A word of the interfaces.
fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(json!(text)).ok()
}

/// Worst first, of those the newest.
pub(crate) fn sort(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.finding.severity, entry.finding.last_seen)));
}

/// The list.
pub(crate) async fn list(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    let frame = viewer.frame(&asking, "findings", "Findings");
    let Some(state) = &viewer.state else { return no_state(frame) };
    let mut notes = Vec::new();
    let form = Asked::of(pairs, &mut notes);
    let entries = async {
        let today = viewer.seen(state).await?.today();
        state.findings(&form.query(), today).await
    };
    let mut entries = match entries.await {
        Ok(entries) => entries,
        Err(error) => return failed(frame, &error),
    };
    entries.retain(|entry| form.admits(entry, &viewer));
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.finding.last_seen));
    if entries.len() > SHOWN {
        notes.push(format!("The newest {SHOWN} are shown: say more to see the others."));
    }
    let named = |category: &Category| {
        let name = json!(category).as_str().unwrap_or_default().to_owned();
        let chosen = name == form.category;
        (name, spoken(category), chosen)
    };
    show(&Page {
        presets: form.presets(),
        categories: CATEGORIES.iter().map(named).collect(),
        rows: entries.iter().take(SHOWN).map(|entry| Row::of(entry, &viewer.settings)).collect(),
        said: counted(&entries),
        notes,
        form,
        frame,
    })
}

/// `3 findings: 2 CRITICAL, 1 HIGH`.
fn counted(entries: &[Entry]) -> String {
    match entries.len() {
        0 => "No findings".to_owned(),
        n => {
            let severities = entries.iter().map(|entry| entry.finding.severity);
            format!(
                "{} {}: {}",
                number(n as u64),
                if n == 1 { "finding" } else { "findings" },
                trail::alert::summary_line(severities)
            )
        }
    }
}

/// The address of a list.
pub(crate) fn list_href(pairs: &[(&str, &str)]) -> String {
    href("/findings", pairs)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};

    use super::*;
    use crate::testing::{filled, get, own_filled, send};

    fn first_link(page: &str, after: &str) -> String {
        let page = &page[page.find(after).expect(after)..];
        let start = page.find("/findings/").expect("a link to a finding");
        page[start..start + "/findings/".len() + 36].to_owned()
    }

    async fn post(pages: &Router, address: &str, form: &'static str) -> (StatusCode, String) {
        let request = Request::post(format!("{address}/status"))
            .header("host", "127.0.0.1:1")
            .header("origin", "http://127.0.0.1:1")
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(Asking::local("alice", Time(0)))
            .body(Body::from(form));
        let (response, text) = send(pages, request.expect("a request")).await;
        (response.status(), text)
    }

    #[tokio::test]
    async fn the_list_shows_what_is_asked_for() {
        let pages = filled().await;
        let (_, all) = get(&pages, "/findings").await;
        assert!(all.contains("tried to stop trail org-trail") && all.contains("MEDIUM"), "{all}");
        let (_, severe) = get(&pages, "/findings?severity=critical").await;
        assert!(severe.contains("tried to stop trail org-trail") && !severe.contains("tag high"), "{severe}");
        let (_, review) = get(&pages, "/findings?queue=review").await;
        assert!(review.contains("created user svc-backup") && !review.contains("tag critical"), "{review}");
        assert!(!review.contains("s3-write-events"), "settings are not reviewed here");
        let (_, other) = get(&pages, "/findings?account=staging&category=trail_settings").await;
        assert!(other.contains("evidence-complete") && !other.contains("s3-write-events"), "{other}");
        let (_, nobody) = get(&pages, "/findings?actor=nobody").await;
        assert!(nobody.contains("Nothing that was read matches."), "{nobody}");
    }

    #[tokio::test]
    async fn what_says_nothing_is_named() {
        let (response, page) = get(&filled().await, "/findings?severity=terrible&x=%3Cb%3E").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(page.contains("`severity=terrible` says nothing here"), "{page}");
        assert!(page.contains("`x=&#60;b&#62;`"), "{page}");
    }

    #[tokio::test]
    async fn a_finding_shows_its_records_and_what_to_check() {
        let pages = filled().await;
        let (_, list) = get(&pages, "/findings?severity=critical").await;
        let (response, page) = get(&pages, &first_link(&list, "tr class=\"critical new\">")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(page.contains("<dt>WHEN</dt>") && page.contains("<dt>CHECK</dt>"), "{page}");
        let (_, trail) = get(&pages, &stopped(&pages).await).await;
        assert_eq!(trail.matches("/record?").count(), 3, "{trail}");
        assert!(trail.contains("Also open for this actor") && trail.contains("T1562.008"), "{trail}");
    }

    #[tokio::test]
    async fn what_was_counted_has_an_actor_and_records_and_a_setting_has_neither() {
        let pages = filled().await;
        let (_, list) = get(&pages, "/findings?queue=review&category=reconnaissance").await;
        let (_, counted) = get(&pages, &first_link(&list, "many calls refused")).await;
        assert!(
            counted.contains("<dt>WHO</dt>") && counted.contains("/records?") && counted.contains("user=ci-deploy")
        );
        let records = counted.matches("/record?").count();
        assert_eq!(records, 24, "{counted}");
        let (_, list) = get(&pages, "/findings?category=trail_settings").await;
        let (_, setting) = get(&pages, &first_link(&list, "tbody")).await;
        assert!(!setting.contains("<dt>WHO</dt>") && setting.contains("The verdict, and how to mend it"), "{setting}");
        assert!(setting.contains("No record is behind it."), "{setting}");
    }

    async fn stopped(pages: &Router) -> String {
        let (_, list) = get(pages, "/findings?severity=critical").await;
        let at = list.find("tried to stop trail org-trail").expect("it is listed");
        let start = list[..at].rfind("/findings/").expect("its link");
        list[start..start + "/findings/".len() + 36].to_owned()
    }

    #[tokio::test]
    async fn a_decision_is_kept_with_who_and_why() {
        let pages = own_filled().await;
        let address = stopped(&pages).await;
        let (status, _) = post(&pages, &address, "becomes=acknowledged&note=Called+%3Cb%3Eher").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let (_, page) = get(&pages, &address).await;
        assert!(page.contains("<b>acknowledged</b> by <bdi>alice on this machine</bdi>"), "{page}");
        assert!(page.contains("Called &#60;b&#62;her"), "{page}");
        let (status, _) = post(&pages, &address, "becomes=incident&note=OPS-1").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let (_, page) = get(&pages, &address).await;
        assert!(page.contains("closed as incident"), "{page}");
        let (_, open) = get(&pages, "/findings?severity=critical").await;
        assert!(!open.contains("tried to stop trail org-trail"), "{open}");
    }

    #[tokio::test]
    async fn a_decision_without_reason_or_meaning_is_not_kept() {
        let pages = filled().await;
        let address = stopped(&pages).await;
        for form in ["becomes=acknowledged&note=+", "becomes=gone&note=why", "note=why", "becomes=expected"] {
            let (status, page) = post(&pages, &address, form).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{form}");
            assert!(page.contains("role=\"alert\""), "{page}");
        }
        let (_, page) = get(&pages, &address).await;
        assert!(page.contains("Nobody has decided anything yet."), "{page}");
        let elsewhere = Request::post(format!("{address}/status"))
            .header("host", "127.0.0.1:1")
            .header("origin", "http://example.com")
            .extension(Asking::local("alice", Time(0)))
            .body(Body::from("becomes=acknowledged&note=why"));
        let (response, _) = send(&pages, elsewhere.expect("a request")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn no_such_finding() {
        let (response, page) = get(&filled().await, "/findings/ffffffff").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(page.contains("No such finding"), "{page}");
    }

    #[test]
    fn long_keys_are_cut_to_their_names() {
        let key = format!("log_changed: AWSLogs/{}/a.json.gz (why)", "x/".repeat(30));
        assert_eq!(shorter(&key), "log_changed: …/a.json.gz (why)");
        assert_eq!(shorter("opened 0.0.0.0/0 on sg-1"), "opened 0.0.0.0/0 on sg-1");
    }
}
