//! Trails: what the controls say of every account's settings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query as Pairs, State};
use axum::response::Response;
use cloud::state::{AuditRun, HeldVerdict, VerdictChange};
use trail::control::{Status, Verdict};

use crate::Viewer;
use crate::address::href;
use crate::frame::{Frame, show};
use crate::held::{failed, no_state};
use crate::record::word;
use crate::text::{how_long, indented, number, plain};
use cloud::asking::Asking;

/// Verdicts that are shown at once.
const SHOWN: usize = 300;

/// How long ago an account may have been audited: all are due daily, in seconds.
const AUDIT_SECONDS: i64 = 26 * 3600;

/// Frameworks that have a column, as references name them.
const FRAMEWORKS: [&str; 4] = ["CIS 7.0", "CIS 5.0", "CIS 3.0", "Security Hub"];

/// Statuses as they are listed.
const STATUSES: [Status; 6] =
    [Status::Fail, Status::Partial, Status::Unknown, Status::Error, Status::Pass, Status::NotApplicable];

#[derive(Template)]
#[template(path = "trails.html")]
struct Page {
    frame: Frame,
    form: Asked,
    controls: Vec<(&'static str, &'static str, bool)>,
    accounts: Vec<AccountRow>,
    counts: Vec<Count>,
    frameworks: [&'static str; 4],
    verdicts: Vec<VerdictRow>,
    said: String,
    seen: String,
    history: Vec<HistoryRow>,
    notes: Vec<String>,
    audited: bool,
}

/// What is asked for, as the address says it.
#[derive(Debug, Default)]
struct Asked {
    status: String,
    account: String,
    control: String,
    framework: String,
}

/// How many verdicts say a thing.
#[derive(Debug)]
struct Count {
    status: &'static str,
    shown: String,
    verdicts: String,
    href: String,
    on: bool,
}

/// An account in the table.
#[derive(Debug)]
struct AccountRow {
    name: String,
    id: String,
    href: String,
    looked: String,
    late: bool,
    blind: Vec<String>,
    cells: Vec<Cell>,
    statuses: Vec<(&'static str, usize)>,
}

/// What an account comes to in a framework.
#[derive(Debug)]
struct Cell {
    said: String,
    status: &'static str,
    href: String,
}

/// A verdict in the list.
#[derive(Debug)]
struct VerdictRow {
    id: String,
    status: &'static str,
    shown: String,
    severity: String,
    word: &'static str,
    control: String,
    title: &'static str,
    why: &'static str,
    runbook: &'static [&'static str],
    references: Vec<String>,
    account: String,
    region: String,
    resource: String,
    reason: String,
    since: String,
    remediation: String,
    remark: String,
    evidence: String,
    history: String,
    open: bool,
}

/// A line of a control's history.
#[derive(Debug)]
struct HistoryRow {
    at: String,
    before: String,
    after: String,
    status: &'static str,
    place: String,
    reason: String,
    snapshot: String,
}

/// Sorts what is to be mended first to the top.
pub(crate) fn worst_first(verdict: &Verdict) -> impl Ord + use<'_> {
    let group = STATUSES.iter().position(|status| *status == verdict.status);
    (group, std::cmp::Reverse(verdict.severity), &verdict.control_id, &verdict.account, &verdict.resource)
}

impl Asked {
    fn of(pairs: Vec<(String, String)>, notes: &mut Vec<String>) -> Self {
        let mut asked = Self::default();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
            let value = value.trim().to_owned();
            match name.as_str() {
                "status" if value == "open" || value == "all" || status_of(&value).is_some() => asked.status = value,
                "account" => asked.account = value,
                "control" => asked.control = value,
                "framework" => asked.framework = value,
                _ => notes.push(format!("`{}={}` says nothing here and was left out.", plain(&name), plain(&value))),
            }
        }
        if asked.status.is_empty() {
            let narrowed = !asked.control.is_empty() || !asked.framework.is_empty();
            if narrowed { "all" } else { "open" }.clone_into(&mut asked.status);
        }
        asked
    }

    /// The same with something else.
    fn with(&self, name: &str, value: &str) -> String {
        let all = [
            ("status", &self.status),
            ("account", &self.account),
            ("control", &self.control),
            ("framework", &self.framework),
        ];
        let mut pairs: Vec<(&str, &str)> = all
            .iter()
            .filter(|(known, given)| *known != name && !given.is_empty())
            .map(|(n, v)| (*n, v.as_str()))
            .collect();
        pairs.push((name, value));
        href("/trails", &pairs)
    }

    fn admits_place(&self, verdict: &Verdict) -> bool {
        let in_framework = || {
            let references = verdict.control().map(|control| control.references.all()).unwrap_or_default();
            references.iter().any(|reference| framework_of(reference) == self.framework)
        };
        (self.account.is_empty() || verdict.account == self.account)
            && (self.control.is_empty() || verdict.control_id == self.control)
            && (self.framework.is_empty() || in_framework())
    }

    fn admits(&self, verdict: &Verdict) -> bool {
        let status = match self.status.as_str() {
            "all" => true,
            "open" => verdict.status.is_finding() || verdict.status.is_blind(),
            other => verdict.status.word() == other,
        };
        status && self.admits_place(verdict)
    }
}

fn status_of(word: &str) -> Option<Status> {
    STATUSES.into_iter().find(|status| status.word() == word)
}

/// `CIS 3.0` of `CIS 3.0 3.1`.
fn framework_of(reference: &str) -> &str {
    reference.rsplit_once(' ').map_or(reference, |(framework, _)| framework)
}

/// A status for the style.
pub(crate) fn class(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Fail => "fail",
        Status::Partial => "partial",
        Status::Unknown | Status::Error => "blind",
        Status::NotApplicable => "none",
    }
}

fn spoken(status: Status) -> String {
    status.word().replace('_', " ")
}

/// What the state holds of trail settings.
struct Held {
    accounts: Vec<(String, Option<AuditRun>)>,
    verdicts: Vec<HeldVerdict>,
}

/// The page.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    let frame = viewer.frame(&asking, "trails", "Trails");
    let Some(state) = &viewer.state else { return no_state(frame) };
    let mut notes = Vec::new();
    let form = Asked::of(pairs, &mut notes);
    let answered = async { Ok((held(state).await?, history(&viewer, state, &form).await?)) };
    match answered.await {
        Ok((held, history)) => show(&page_of(&viewer, (frame, form, notes), (held, history))),
        Err(error) => failed(frame, &error),
    }
}

async fn held(state: &cloud::state::State) -> Result<Held, cloud::Error> {
    let (mut accounts, mut verdicts) = (Vec::new(), Vec::new());
    for account in state.audited().await?.unwrap_or_default() {
        verdicts.extend(state.verdicts(&account).await?);
        let run = state.audit_run(&account).await?;
        accounts.push((account, run));
    }
    verdicts.sort_by(|a, b| worst_first(&a.verdict).cmp(&worst_first(&b.verdict)));
    Ok(Held { accounts, verdicts })
}

/// What a control said of an account over time, newest first, where both are named.
async fn history(viewer: &Viewer, state: &cloud::state::State, form: &Asked) -> Result<Vec<HistoryRow>, cloud::Error> {
    if form.account.is_empty() || form.control.is_empty() {
        return Ok(Vec::new());
    }
    let changes = state.verdict_history(&form.account, &form.control).await?;
    Ok(changes.iter().rev().map(|change| HistoryRow::of(viewer, &form.account, change)).collect())
}

impl HistoryRow {
    fn of(viewer: &Viewer, account: &str, change: &VerdictChange) -> Self {
        let after = change.verdict.as_ref();
        let name = viewer.account_name(account);
        let resource = if change.resource == account { "" } else { change.resource.as_str() };
        Self {
            at: change.at.to_string(),
            before: change.before.map_or_else(|| "new".to_owned(), spoken),
            after: after.map_or_else(|| "gone".to_owned(), |verdict| spoken(verdict.status)),
            status: after.map_or("none", |verdict| class(verdict.status)),
            place: plain(format!("{name} {} {resource}", change.region).trim()),
            reason: after.map(|verdict| plain(&verdict.reason)).unwrap_or_default(),
            snapshot: plain(&change.snapshot),
        }
    }
}

fn page_of(viewer: &Viewer, (frame, form, notes): (Frame, Asked, Vec<String>), held: (Held, Vec<HistoryRow>)) -> Page {
    let (held, history) = held;
    let chosen: Vec<&HeldVerdict> = held.verdicts.iter().filter(|held| form.admits(&held.verdict)).collect();
    let mut notes = notes;
    if chosen.len() > SHOWN {
        notes.push(format!("The worst {SHOWN} are shown: say more to see the others."));
    }
    let single = chosen.len() == 1;
    let verdicts = chosen.iter().take(SHOWN).enumerate();
    let accounts: Vec<AccountRow> =
        held.accounts.iter().map(|one| account_row(viewer, &form, one, &held.verdicts)).collect();
    let mut controls: Vec<_> = trail::controls::all().iter().map(|c| (c.id, c.title, c.id == form.control)).collect();
    controls.sort_unstable();
    Page {
        controls,
        counts: counts(&form, &held.verdicts),
        frameworks: FRAMEWORKS,
        said: format!("{} of {} verdicts", number(chosen.len() as u64), number(held.verdicts.len() as u64)),
        seen: seen(viewer, &held),
        verdicts: verdicts.map(|(at, held)| VerdictRow::of(viewer, held, (at, single))).collect(),
        audited: !held.accounts.is_empty(),
        accounts,
        history,
        notes,
        form,
        frame,
    }
}

/// How much of what there is was seen.
fn seen(viewer: &Viewer, held: &Held) -> String {
    let unseen = held.accounts.iter().filter(|(account, run)| {
        run.is_none()
            || !held.verdicts.iter().any(|held| held.verdict.account == *account && !held.verdict.status.is_blind())
    });
    let unseen: Vec<String> = unseen.map(|(account, _)| viewer.account_name(account)).collect();
    let seen = format!("accounts {}/{}", held.accounts.len() - unseen.len(), held.accounts.len());
    if unseen.is_empty() { seen } else { format!("{seen}; not seen: {}", unseen.join(", ")) }
}

fn counts(form: &Asked, verdicts: &[HeldVerdict]) -> Vec<Count> {
    let of = |status: Status| {
        verdicts.iter().filter(|held| held.verdict.status == status && form.admits_place(&held.verdict)).count()
    };
    let count = |status: Status| Count {
        status: class(status),
        shown: spoken(status).to_lowercase(),
        verdicts: number(of(status) as u64),
        href: form.with("status", status.word()),
        on: form.status == status.word(),
    };
    STATUSES.into_iter().map(count).collect()
}

fn account_row(
    viewer: &Viewer,
    form: &Asked,
    (account, run): &(String, Option<AuditRun>),
    verdicts: &[HeldVerdict],
) -> AccountRow {
    let own: Vec<&Verdict> =
        verdicts.iter().map(|held| &held.verdict).filter(|verdict| verdict.account == *account).collect();
    let newest = verdicts.iter().map(|held| held.verdict.time).max().unwrap_or_default();
    let late = run.as_ref().is_none_or(|run| newest.max((viewer.now)()).0 - run.at.0 > AUDIT_SECONDS);
    let count = |status: Status| own.iter().filter(|verdict| verdict.status == status).count();
    AccountRow {
        name: viewer.account_name(account),
        id: plain(account),
        href: form.with("account", account),
        looked: run.as_ref().map_or_else(
            || "never looked at".to_owned(),
            |run| format!("{} ago", how_long((viewer.now)().0 - run.at.0)),
        ),
        late,
        blind: run.iter().flat_map(|run| &run.blind).map(|call| plain(call)).collect(),
        cells: FRAMEWORKS.iter().map(|framework| cell(form, account, framework, &own)).collect(),
        statuses: STATUSES.into_iter().take(4).map(|status| (class(status), count(status))).collect(),
    }
}

/// An item of a framework stands as the worst of what its controls say.
fn cell(form: &Asked, account: &str, framework: &'static str, verdicts: &[&Verdict]) -> Cell {
    let mut items: BTreeMap<String, BTreeSet<Status>> = BTreeMap::new();
    for verdict in verdicts {
        let references = verdict.control().map(|control| control.references.all()).unwrap_or_default();
        for reference in references.into_iter().filter(|reference| framework_of(reference) == framework) {
            items.entry(reference).or_default().insert(verdict.status);
        }
    }
    let items: Vec<Status> =
        items.into_values().map(Status::rolled_up).filter(|s| *s != Status::NotApplicable).collect();
    let passed = items.iter().filter(|status| **status == Status::Pass).count();
    let narrowed = Asked {
        account: account.to_owned(),
        status: "all".to_owned(),
        control: form.control.clone(),
        framework: String::new(),
    };
    Cell {
        said: if items.is_empty() { "–".to_owned() } else { format!("{passed}/{}", items.len()) },
        status: items.iter().max().map_or("none", |worst| class(*worst)),
        href: narrowed.with("framework", framework),
    }
}

impl VerdictRow {
    fn of(viewer: &Viewer, held: &HeldVerdict, (at, open): (usize, bool)) -> Self {
        let verdict = &held.verdict;
        let control = verdict.control();
        let resource = if verdict.resource == verdict.account { "" } else { verdict.resource.as_str() };
        let evidence = serde_json::json!({"answers": verdict.evidence, "not_answered": verdict.blind}).to_string();
        let own = [("account", verdict.account.as_str()), ("control", verdict.control_id.as_str()), ("status", "all")];
        Self {
            id: format!("v{at}"),
            status: class(verdict.status),
            shown: spoken(verdict.status),
            severity: word(verdict.severity).to_lowercase(),
            word: word(verdict.severity),
            control: plain(&verdict.control_id),
            title: control.map_or("", |control| control.title),
            why: control.map_or("", |control| control.why),
            runbook: control.map_or(&[], |control| control.runbook),
            references: control.map(|control| control.references.all()).unwrap_or_default(),
            account: viewer.account_name(&verdict.account),
            region: plain(&verdict.region),
            resource: plain(resource),
            reason: plain(&verdict.reason),
            since: held.since.to_string(),
            remediation: plain(&verdict.remediation),
            remark: plain(&verdict.remark),
            evidence: plain(&indented(&evidence)),
            history: href("/trails", &own),
            open,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{empty, filled, get, pages, record};

    #[tokio::test]
    async fn verdicts_stand_with_reason_evidence_and_the_way_to_mend_them() {
        let pages = filled().await;
        let (_, page) = get(&pages, "/trails").await;
        for part in ["12 of 103 verdicts", "<b>25</b> pass", "accounts 3/3", "GetTrailStatus denied to"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("said pass\">PASS"), "{page}");
        let (_, one) = get(&pages, "/trails?account=111122223333&control=management-events-complete").await;
        for part in [
            "1 of 103 verdicts",
            "aws cloudtrail put-event-selectors",
            "said over time",
            "CIS 7.0 4.1",
            "&#34;sha256&#34;",
            "2026-11-20T12:00:00Z",
        ] {
            assert!(one.contains(part), "{part}: {one}");
        }
    }

    #[tokio::test]
    async fn filters_hold_together() {
        let pages = filled().await;
        let (_, page) = get(&pages, "/trails?status=UNKNOWN").await;
        assert!(page.contains("3 of 103 verdicts"), "{page}");
        let (_, page) = get(&pages, "/trails?status=UNKNOWN&account=111122223333").await;
        assert!(page.contains("0 of 103 verdicts") && page.contains("Nothing to mend here."), "{page}");
        let (_, page) = get(&pages, "/trails?status=GOOD").await;
        assert!(page.contains("`status=GOOD` says nothing here"), "{page}");
    }

    #[tokio::test]
    async fn nothing_was_looked_at() {
        let (_, page) = get(&empty().await, "/trails").await;
        assert!(page.contains("Nobody has looked yet"), "{page}");
        let (_, page) = get(&pages(&[record(1, "RunInstances", "alice")]).await, "/trails").await;
        assert!(page.contains("No state here"), "{page}");
    }
}
