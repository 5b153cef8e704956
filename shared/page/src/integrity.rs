//! Integrity: how far what was read is proven to be what AWS wrote, and what cannot be seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use cloud::state::{ChainState, DayCounts, DigestRecord, Query};
use trail::detection::Category;
use trail::digest::DigestName;
use trail::silence::silences;
use trail::time::Time;

use crate::Viewer;
use crate::findings::{Row, sort};
use crate::frame::{Frame, show};
use crate::held::{Seen, counts, failed, no_state};
use crate::text::{how_long, number, plain};
use cloud::asking::Asking;

/// Windows that are shown of each chain: a day.
const WINDOWS: i64 = 24;

/// How old the last proof may be: a digest comes within two hours of its window, in seconds.
const PROOF_SECONDS: i64 = 3 * 3600 + 1800;

/// How long ago a canary may have been sent, in seconds.
const CANARY_SECONDS: i64 = 2 * 3600;

#[derive(Template)]
#[template(path = "integrity.html")]
struct Page {
    frame: Frame,
    chains: Vec<ChainRow>,
    problems: Vec<Row>,
    missing: Vec<Missing>,
    unproven: Vec<String>,
    silent: usize,
    regions: Vec<HeardRow>,
    blind: Vec<(String, Vec<String>)>,
    canary: (bool, String),
    owed: usize,
    files: Vec<(String, String, String, u64)>,
    last: String,
}

/// A chain in the table.
#[derive(Debug)]
struct ChainRow {
    account: String,
    region: String,
    trail: String,
    since: String,
    to: String,
    age: String,
    late: bool,
    digests: String,
    logs: String,
    problems: u64,
    windows: Vec<Window>,
    said: String,
}

/// Digests of a chain that have not come.
#[derive(Debug)]
struct Missing {
    chain: String,
    from: String,
    to: String,
    count: usize,
}

/// An hour of a chain.
#[derive(Debug)]
struct Window {
    x: i64,
    class: &'static str,
    title: String,
}

/// A region that was heard.
#[derive(Debug)]
struct HeardRow {
    account: String,
    region: String,
    last: String,
    quiet: String,
    usual: String,
    silent: bool,
}

/// The page.
pub(crate) async fn page(State(viewer): State<Arc<Viewer>>, Extension(asking): Extension<Asking>) -> Response {
    let frame = viewer.frame(&asking, "integrity", "Integrity");
    let Some(state) = &viewer.state else { return no_state(frame) };
    match viewer.integrity(state).await {
        Ok(page) => show(&Page { frame, ..page }),
        Err(error) => failed(frame, &error),
    }
}

impl Viewer {
    async fn integrity(&self, state: &cloud::state::State) -> Result<Page, cloud::Error> {
        let seen = self.seen(state).await?;
        let held = state.chains().await?;
        let mut chains = Vec::new();
        for chain in &held {
            let span = (Time(chain.head.end.0 - WINDOWS * 3600), chain.head.end);
            let records = state.digest_records(&chain.head.chain, span).await?;
            chains.push(self.chain_row(chain, &records, &seen));
        }
        let query = Query { days: 90, category: Some(Category::Integrity), ..Query::default() };
        let mut problems = state.findings(&query, seen.today()).await?;
        sort(&mut problems);
        let read = counts(state, &seen).await?;
        Ok(Page {
            frame: Frame::default(),
            chains,
            problems: problems.iter().map(|entry| Row::of(entry, &self.settings)).collect(),
            missing: missing(&held, &seen),
            unproven: self.unproven(&held, &seen),
            silent: silences(&seen.regions, seen.at()).len(),
            regions: seen.regions.iter().map(|heard| self.heard_row(heard, &seen)).collect(),
            blind: self.blind(state).await?,
            canary: canary(state.canary().await?, &seen),
            owed: state.owed_digests().await?.len(),
            files: read.iter().map(|(account, day)| self.files_row(account, day)).collect(),
            last: seen.last.map(Time::date).unwrap_or_default(),
        })
    }

    fn chain_row(&self, chain: &ChainState, records: &[DigestRecord], seen: &Seen) -> ChainRow {
        let head = &chain.head;
        let windows: Vec<Window> = (0..WINDOWS).rev().map(|ago| window(chain, records, ago)).collect();
        let good = windows.iter().filter(|window| window.class == "pass").count();
        ChainRow {
            account: self.account_name(&head.chain.account),
            region: plain(&head.chain.region),
            trail: plain(&head.chain.trail),
            since: chain.since.to_string(),
            to: head.end.to_string(),
            age: format!("{} ago", how_long(seen.now.0 - head.end.0)),
            late: seen.at().0 - head.end.0 > PROOF_SECONDS,
            digests: number(chain.digests),
            logs: number(chain.logs),
            problems: chain.problems,
            said: format!("{good} of the last {WINDOWS} hours verified without a problem"),
            windows,
        }
    }

    /// Accounts that log files came from and no chain proves.
    fn unproven(&self, chains: &[ChainState], seen: &Seen) -> Vec<String> {
        let proven: BTreeSet<(&str, &str)> =
            chains.iter().map(|chain| (chain.head.chain.account.as_str(), chain.head.chain.region.as_str())).collect();
        let regions = seen.regions.iter().filter(|heard| !proven.contains(&(&*heard.account, &*heard.region)));
        regions
            .map(|heard| plain(format!("{}/{}", self.account_name(&heard.account), heard.region).trim_end_matches('/')))
            .collect()
    }

    fn files_row(&self, account: &str, day: &DayCounts) -> (String, String, String, u64) {
        (self.account_name(account), number(day.files), number(day.records), day.quarantined)
    }

    fn heard_row(&self, heard: &trail::silence::Heard, seen: &Seen) -> HeardRow {
        HeardRow {
            account: self.account_name(&heard.account),
            region: plain(&heard.region),
            last: heard.last_heard.to_string(),
            quiet: how_long(seen.at().0 - heard.last_heard.0),
            usual: if heard.longest() == 0 { "–".to_owned() } else { how_long(heard.longest()) },
            silent: heard.is_silent(seen.at()),
        }
    }

    /// Questions about trail settings that were not answered, by account.
    async fn blind(&self, state: &cloud::state::State) -> Result<Vec<(String, Vec<String>)>, cloud::Error> {
        let mut blind = Vec::new();
        for account in state.audited().await?.unwrap_or_default() {
            let name = self.account_name(&account);
            match state.audit_run(&account).await? {
                None => blind.push((name, vec!["never looked at".to_owned()])),
                Some(run) if run.blind.is_empty() => {}
                Some(run) => blind.push((name, run.blind.iter().map(|call| plain(call)).collect())),
            }
        }
        Ok(blind)
    }
}

/// The hour that ends so many hours before the last one.
fn window(chain: &ChainState, records: &[DigestRecord], ago: i64) -> Window {
    let end = Time(chain.head.end.0 - ago * 3600);
    // Digests end within their hour, not all at the same minute of it.
    let is_it = |record: &&DigestRecord| {
        DigestName::parse(&record.object).is_some_and(|name| (name.end.0 - end.0).abs() < 1800)
    };
    let (class, what) = match records.iter().find(is_it) {
        Some(record) if record.problems.is_empty() => ("pass", format!("verified, {} log files", record.logs)),
        Some(record) => ("fail", plain(&record.problems.join(", "))),
        None if end.0 <= chain.since.0 => ("none", "before the chain was followed".to_owned()),
        None => ("blind", "no digest".to_owned()),
    };
    Window { x: (WINDOWS - 1 - ago) * 10, class, title: format!("hour to {end}: {what}") }
}

/// Digests that should have come by now: of each chain from when to when, and how many.
fn missing(chains: &[ChainState], seen: &Seen) -> Vec<Missing> {
    let late = chains.iter().map(|chain| (chain, chain.head.missing_by(seen.at())));
    late.filter_map(|(chain, problems)| {
        let windows = || problems.iter().filter_map(|problem| problem.window);
        Some(Missing {
            chain: plain(&chain.head.chain.to_string()),
            from: windows().map(|window| window.from).min()?.to_string(),
            to: windows().map(|window| window.to).max()?.to_string(),
            count: problems.len(),
        })
    })
    .collect()
}

fn canary(last: Option<cloud::state::Canary>, seen: &Seen) -> (bool, String) {
    match last {
        None => (false, "None has come through: a deployment's notify function sends one each hour.".to_owned()),
        Some(canary) => (
            seen.now.0 - canary.sent.0 <= CANARY_SECONDS,
            format!(
                "The last one was sent at {} and found {} later.",
                canary.sent,
                how_long(canary.found.0 - canary.sent.0)
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{empty, filled, get};

    #[tokio::test]
    async fn chains_stand_with_their_hours_and_problems() {
        let (_, page) = get(&filled().await, "/integrity").await;
        assert_eq!(page.matches("class=\"windows\"").count(), 5, "{page}");
        assert!(page.contains("23 of the last 24 hours verified without a problem"), "{page}");
        assert!(page.contains(": log_changed</title>"), "{page}");
        assert!(page.contains("None is overdue.") && page.contains("2 questions without an answer"), "{page}");
    }

    #[tokio::test]
    async fn nothing_was_followed() {
        let (_, page) = get(&empty().await, "/integrity").await;
        for part in ["No chain was followed yet", "None has come through", "No log file was read yet"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn an_hour_without_a_digest_is_no_pass() {
        let key = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/11/20/\
                   111122223333_CloudTrail-Digest_eu-west-1_t_eu-west-1_20261120T100000Z.json.gz";
        let end = Time::parse("2026-11-20T10:00:00Z").expect("a time");
        let head = trail::digest::ChainHead {
            chain: DigestName::parse(key).expect("a digest's name").chain,
            bucket: String::new(),
            object: key.to_owned(),
            start: Time(end.0 - 3600),
            end,
            hash: String::new(),
            signature: None,
        };
        let chain = ChainState {
            head,
            since: Time(end.0 - 7200),
            digests: 1,
            logs: 0,
            problems: 0,
            foreign: 0,
            compared: end,
            last_problem: None,
            v: 1,
        };
        let record = DigestRecord {
            object: key.to_owned(),
            sha256: String::new(),
            logs: 0,
            problems: Vec::new(),
            verified: end,
        };
        let classes: Vec<&str> = (0..3).map(|ago| window(&chain, std::slice::from_ref(&record), ago).class).collect();
        assert_eq!(classes, ["pass", "blind", "none"]);
    }
}
