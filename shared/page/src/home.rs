//! The first screen: how far is seen, what is open now, what is for review, how the trails stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use cloud::state::{ChainState, Query};
use lake::answer::{Bucket, Outline};
use lake::questions::{ALL, Question};
use trail::alert::{Entry, Status};
use trail::control;
use trail::review::Act;
use trail::silence::silences;
use trail::time::Time;

use crate::Viewer;
use crate::address::{Address, Kind, SPANS, Span};
use crate::findings::{Mark, Row, is_for_review, list_href, marks, short, sort};
use crate::frame::{Frame, show};
use crate::held::{Seen, counts};
use crate::presets;
use crate::text::{how_long, number, plain};
use crate::trails::worst_first;
use cloud::asking::Asking;

/// Findings that are shown as open now.
const SHOWN: usize = 5;

/// Questions that can be asked as they are and are shown.
const QUESTIONS: usize = 9;

/// Verdicts that are shown.
const VERDICTS: usize = 4;

/// Bytes that the histogram may read.
const BUDGET: u64 = 2_000_000_000;

/// How old the last proof may be: a digest comes within two hours of its window, in seconds.
const PROOF_SECONDS: i64 = 3 * 3600 + 1800;

/// Reviews opened longer ago than this, in seconds, are history: a finding says that they were missed.
const OLD_REVIEW: i64 = 200 * 86_400;

/// How long ago a canary may have been sent, in seconds.
const CANARY_SECONDS: i64 = 2 * 3600;

/// A question with something to fill in.
#[derive(Debug)]
struct Asks {
    question: &'static Question,
    kept: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Page {
    frame: Frame,
    line: Line,
    rows: Vec<Row>,
    open: Open,
    trails: Trails,
    questions: Vec<(&'static str, String)>,
    asks: Vec<Asks>,
    all: usize,
    day: Result<Day, String>,
    has_state: bool,
}

/// The line that says how far is seen.
#[derive(Debug, Default)]
struct Line {
    /// What stands well.
    said: Vec<String>,
    /// What does not, and where to read more.
    warnings: Vec<(String, String)>,
}

/// What is open.
#[derive(Debug, Default)]
struct Open {
    now: usize,
    more: usize,
    review: usize,
    kinds: Vec<(String, String)>,
    first: Vec<Row>,
    oldest: String,
}

/// How the trail settings stand.
#[derive(Debug, Default)]
struct Trails {
    /// Whether anybody has looked.
    audited: bool,
    fail: usize,
    partial: usize,
    unknown: usize,
    pass: usize,
    worst: Vec<Failing>,
}

/// A verdict that is to be mended.
#[derive(Debug)]
struct Failing {
    status: &'static str,
    class: &'static str,
    word: &'static str,
    said: String,
    account: String,
    href: String,
}

/// The last day of the lake, as bars.
#[derive(Debug)]
struct Day {
    records: String,
    writes: String,
    errors: String,
    title: String,
    href: String,
    writes_href: String,
    bars: Vec<Bar>,
    width: usize,
    marks: Vec<(usize, String, String, String)>,
    ticks: Vec<(usize, String)>,
    /// Files that could not be read: the counts lack what is in them.
    unread: Vec<String>,
}

#[derive(Debug)]
struct Bar {
    x: usize,
    total: (u64, u64),
    writes: (u64, u64),
    errors: (u64, u64),
    title: String,
    href: String,
}

/// What the first screen says from the state.
#[derive(Debug, Default)]
struct Standing {
    line: Line,
    rows: Vec<Row>,
    open: Open,
    trails: Trails,
}

/// The page.
pub(crate) async fn page(State(viewer): State<Arc<Viewer>>, Extension(asking): Extension<Asking>) -> Response {
    let (standing, day) = tokio::join!(viewer.standing(), viewer.last_day());
    let Standing { line, rows, open, trails } = standing;
    let span = Span::Last(SPANS.len() - 3);
    let mine = ALL.iter().filter(|question| question.asks.is_empty()).take(QUESTIONS);
    let others = ALL.iter().filter(|question| question.asks.len() == 1).step_by(4).take(2);
    show(&Page {
        frame: viewer.frame(&asking, "home", "Now"),
        line,
        rows,
        open,
        trails,
        questions: mine.map(|question| (question.title, presets::href(question, &span))).collect(),
        asks: others.map(|question| Asks { question, kept: presets::kept(question, &span) }).collect(),
        all: ALL.len(),
        day,
        has_state: viewer.state.is_some(),
    })
}

impl Viewer {
    async fn standing(&self) -> Standing {
        let Some(state) = &self.state else { return Standing::default() };
        match self.standing_of(state).await {
            Ok(standing) => standing,
            Err(error) => {
                tracing::error!(%error, "the state could not be read");
                let told = format!("the state does not answer: {}", plain(&error.to_string()));
                Standing {
                    line: Line { said: Vec::new(), warnings: vec![(told, "/".to_owned())] },
                    ..Standing::default()
                }
            }
        }
    }

    async fn standing_of(&self, state: &cloud::state::State) -> Result<Standing, cloud::Error> {
        let seen = self.seen(state).await?;
        let mut line = self.line(state, &seen).await?;
        self.reviews_late(state, &seen, &mut line).await?;
        let mut entries = state.findings(&Query { days: 90, ..Query::default() }, seen.today()).await?;
        entries.retain(|entry| entry.status != Status::Closed);
        let least = self.settings.minimum_alert_severity;
        let (mut now, rest): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| entry.finding.severity >= least);
        sort(&mut now);
        let rows = now.iter().take(SHOWN).map(|entry| Row::of(entry, &self.settings)).collect();
        let review: Vec<&Entry> = rest.iter().filter(|entry| is_for_review(entry, &self.settings)).collect();
        let mut open = open(now.len(), &review, &seen);
        open.first = review.iter().take(VERDICTS - 1).map(|entry| Row::of(entry, &self.settings)).collect();
        Ok(Standing { line, rows, open, trails: self.trails(state).await? })
    }

    async fn line(&self, state: &cloud::state::State, seen: &Seen) -> Result<Line, cloud::Error> {
        let mut line = Line::default();
        let Some(last) = seen.last else {
            line.warn(
                "No log file was read yet: qtrail ingest reads a folder; in a deployment, is the log bucket connected?",
                "/integrity",
            );
            return Ok(line);
        };
        line.said.push(format!("Seen to {} ({} ago)", clock(last, seen.now), how_long(seen.now.0 - last.0)));
        if seen.is_old() {
            let told = "nothing newer: qtrail ingest reads more; in a deployment, qtrail status says what is wrong";
            line.warn(told, "/integrity");
        }
        let audited = state.audited().await?.unwrap_or_default().len();
        let (heard, of) = (seen.accounts().len(), audited.max(self.settings.accounts.len()).max(seen.accounts().len()));
        line.said.push(format!("{} of {} accounts heard", number(heard as u64), number(of as u64)));
        let unread: u64 = counts(state, seen).await?.iter().map(|(_, day)| day.quarantined).sum();
        match unread {
            0 => line.said.push("0 records unread".to_owned()),
            n => line.warn(&format!("{} records could not be read", number(n)), "/findings?category=integrity"),
        }
        line.digests(&state.chains().await?, seen);
        for silence in silences(&seen.regions, seen.at()) {
            let place = match silence.place.split_once('/') {
                Some((account, region)) => format!("{}/{}", self.account_name(account), plain(region)),
                None => self.account_name(&silence.place),
            };
            let quiet = how_long(seen.at().0 - silence.found.lead.time.0.0);
            line.warn(&format!("{place} silent {quiet}"), "/integrity#silent");
        }
        if let Some(canary) = state.canary().await?.filter(|canary| seen.now.0 - canary.sent.0 > CANARY_SECONDS) {
            line.warn(&format!("no canary since {}", clock(canary.sent, seen.now)), "/integrity#canary");
        }
        Ok(line)
    }

    /// Reviews that are not signed off: how long there is, or that they are late.
    async fn reviews_late(
        &self,
        state: &cloud::state::State,
        seen: &Seen,
        line: &mut Line,
    ) -> Result<(), cloud::Error> {
        let now = seen.now;
        for meta in state.reviews().await?.iter().filter(|meta| now.0 - meta.opened.0 < OLD_REVIEW) {
            let log = state.review_log(&meta.period.id).await?;
            if log.iter().any(|entry| matches!(entry.act, Act::SignedOff { .. })) {
                continue;
            }
            let id = plain(&meta.period.id);
            if now > meta.due {
                line.warn(&format!("access review {id} is late"), &format!("/reviews/{}", meta.period.id));
            } else {
                line.said.push(format!("access review {id} due {}", meta.due.date()));
            }
        }
        Ok(())
    }

    async fn trails(&self, state: &cloud::state::State) -> Result<Trails, cloud::Error> {
        let mut trails = Trails::default();
        let mut failing = Vec::new();
        for account in state.audited().await?.unwrap_or_default() {
            for held in state.verdicts(&account).await? {
                trails.audited = true;
                match held.verdict.status {
                    control::Status::Pass => trails.pass += 1,
                    status if status.is_blind() => trails.unknown += 1,
                    status if status.is_finding() => {
                        let is_partial = status == control::Status::Partial;
                        *if is_partial { &mut trails.partial } else { &mut trails.fail } += 1;
                        failing.push(held.verdict);
                    }
                    _ => {}
                }
            }
        }
        failing.sort_by(|a, b| worst_first(a).cmp(&worst_first(b)));
        trails.worst = failing.iter().take(VERDICTS).map(|verdict| Failing::of(self, verdict)).collect();
        Ok(trails)
    }

    /// The last day of the lake.
    async fn last_day(&self) -> Result<Day, String> {
        let said = |error: &dyn std::fmt::Display| format!("The lake does not answer: {}", plain(&error.to_string()));
        let anchor = self.anchor().await.map_err(|error| said(&error))?;
        if anchor.content.days.is_empty() {
            return Err("The lake holds no records yet: qtrail ingest fills it.".to_owned());
        }
        let to = Time(anchor.time.0 - 1).floor(900).0 + 900;
        let (from, to) = (Time(to - 86_400), Time(to));
        let address = Address { span: Span::between(from, to), kind: Kind::All, ..Address::default() };
        let query = address.query((Some(from), Some(to))).map_err(|error| said(&error))?;
        let outline = Outline { facets: &[], top: 0, buckets: 96, budget: BUDGET };
        let overview = self.lake.overview(&query, outline).await.map_err(|error| said(&error))?;
        let found = match &self.state {
            Some(state) => marks(state, from, to).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let mut day = day_of((from, to), &overview.histogram, &found, &address);
        day.unread =
            overview.read.skipped.iter().map(|(object, why)| format!("{}: {}", plain(object), plain(why))).collect();
        Ok(day)
    }
}

impl Failing {
    fn of(viewer: &Viewer, verdict: &control::Verdict) -> Self {
        let own = [("account", verdict.account.as_str()), ("control", verdict.control_id.as_str())];
        Self {
            status: verdict.status.word(),
            class: crate::trails::class(verdict.status),
            word: crate::record::word(verdict.severity),
            said: format!("{}: {}", verdict.control_id, plain(&verdict.reason)),
            account: viewer.account_name(&verdict.account),
            href: crate::address::href("/trails", &own),
        }
    }
}

impl Line {
    fn warn(&mut self, told: &str, href: &str) {
        self.warnings.push((told.to_owned(), href.to_owned()));
    }

    fn digests(&mut self, chains: &[ChainState], seen: &Seen) {
        let Some(to) = chains.iter().map(|chain| chain.head.end).min() else {
            return self.warn("no digest was verified yet: is log file validation on?", "/integrity");
        };
        self.said.push(format!("digests verified to {}", clock(to, seen.now)));
        let problems: u64 = chains.iter().map(|chain| chain.problems).sum();
        if problems > 0 {
            let what = if problems == 1 { "problem" } else { "problems" };
            self.warn(&format!("{} {what} with what AWS signed", number(problems)), "/integrity#problems");
        }
        let late = chains.iter().filter(|chain| seen.at().0 - chain.head.end.0 > PROOF_SECONDS).count();
        if late > 0 {
            self.warn(&format!("{late} of {} digest chains are late", chains.len()), "/integrity");
        }
    }
}

/// `03:14` of today, else with its date.
fn clock(time: Time, now: Time) -> String {
    let clock: String = time.clock().chars().take(5).collect();
    if time.date() == now.date() { clock } else { format!("{} {clock}", time.date()) }
}

fn open(now: usize, review: &[&Entry], seen: &Seen) -> Open {
    let mut kinds: BTreeMap<_, usize> = BTreeMap::new();
    for entry in review {
        *kinds.entry(entry.finding.category).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let link = |category| {
        let name = serde_json::json!(category);
        list_href(&[("queue", "review"), ("category", name.as_str().unwrap_or_default())])
    };
    let oldest = review.iter().map(|entry| entry.finding.first_seen).min();
    Open {
        now,
        more: now.saturating_sub(SHOWN),
        review: review.len(),
        kinds: kinds
            .iter()
            .map(|(category, count)| (format!("{} {count}", short(*category)), link(category)))
            .collect(),
        first: Vec::new(),
        oldest: oldest.map(|oldest| how_long(seen.at().0 - oldest.0)).unwrap_or_default(),
    }
}

/// Height of the bars, in units of the drawing.
const HEIGHT: u64 = 56;

fn day_of((from, to): (Time, Time), buckets: &[Bucket], found: &[Mark], address: &Address) -> Day {
    let seconds = buckets.first().map_or(900, |bucket| bucket.seconds.max(1));
    let slots = usize::try_from((to.0 - from.0) / seconds).unwrap_or(96).max(1);
    let at = |time: Time| usize::try_from((time.0 - from.0) / seconds).unwrap_or(0).min(slots - 1) * 10;
    let most = buckets.iter().map(|bucket| bucket.total).max().unwrap_or(0).max(1);
    let tall = |count: u64, least: u64| {
        let tall = (count * HEIGHT).div_ceil(most).max(if count > 0 { least } else { 0 });
        (HEIGHT - tall, tall)
    };
    let sum = |of: fn(&Bucket) -> u64| number(buckets.iter().map(of).sum());
    let bar = |bucket: &Bucket| Bar {
        x: at(bucket.start),
        total: tall(bucket.total, 2),
        writes: tall(bucket.writes, 2),
        errors: tall(bucket.errors, 2),
        title: format!(
            "{}: {} records, {} writes, {} errors",
            bucket.start.clock(),
            number(bucket.total),
            number(bucket.writes),
            number(bucket.errors)
        ),
        href: address.during(Span::between(bucket.start, Time(bucket.start.0 + bucket.seconds))).href(),
    };
    let mark = |mark: &Mark| {
        let severity = crate::record::word(mark.severity);
        (at(mark.time) + 4, severity.to_lowercase(), format!("{severity} {}", mark.time.clock()), mark.id.clone())
    };
    let writes = Address { kind: Kind::Writes, ..address.clone() };
    let hours = (0..=24).step_by(4).map(|hour| Time(from.0 + hour * 3600));
    Day {
        records: sum(|bucket| bucket.total),
        writes: sum(|bucket| bucket.writes),
        errors: sum(|bucket| bucket.errors),
        title: format!("{} {} to {} {}", from.date(), hm(from), to.date(), hm(to)),
        href: address.href(),
        writes_href: writes.href(),
        bars: buckets.iter().filter(|bucket| bucket.total > 0).map(bar).collect(),
        width: slots * 10,
        marks: found.iter().map(mark).collect(),
        ticks: hours.map(|time| (at(time), hm(time))).collect(),
        unread: Vec::new(),
    }
}

fn hm(time: Time) -> String {
    time.clock().chars().take(5).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;
    use crate::testing::{empty, filled, get, pages, record};

    #[tokio::test]
    async fn the_first_screen_says_how_things_stand() {
        let (response, page) = get(&filled().await, "/").await;
        assert_eq!(response.status(), StatusCode::OK);
        for part in [
            "Seen to 00:10 (2 h ago)",
            "3 of 3 accounts heard",
            "0 records unread",
            "digests verified to 01:05",
            "1 problem with what AWS signed",
            "svc-backup tried to stop trail org-trail",
            "IAM 5",
            "3 fail</strong>, 6 partial, 3 unknown, 25 pass",
            "What did root do?",
            "class=\"mark critical\"",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[tokio::test]
    async fn what_is_missing_says_what_to_do() {
        let (_, alone) = get(&pages(&[record(1, "RunInstances", "alice")]).await, "/").await;
        assert!(alone.contains("Records alone") && alone.contains("<strong>1</strong> records"), "{alone}");
        let (response, nothing) = get(&empty().await, "/").await;
        assert_eq!(response.status(), StatusCode::OK);
        for part in ["No log file was read yet", "Nothing severe is open.", "not looked at yet", "holds no records yet"]
        {
            assert!(nothing.contains(part), "{part}: {nothing}");
        }
    }

    #[test]
    fn bars_stand_on_the_ground_and_never_beyond_the_top() {
        let (from, to) = (Time(0), Time(86_400));
        let bucket =
            |at: i64, total, writes, errors| Bucket { start: Time(at * 900), seconds: 900, total, errors, writes };
        let buckets = [bucket(0, 1, 0, 0), bucket(1, 1_000_000, 1, 1), bucket(95, 500_000, 500_000, 0)];
        let day = day_of((from, to), &buckets, &[], &Address::default());
        assert_eq!(day.width, 960);
        for bar in &day.bars {
            for (top, tall) in [bar.total, bar.writes, bar.errors] {
                assert_eq!(top + tall, HEIGHT, "{bar:?}");
            }
            assert!(bar.total.1 >= 2 && bar.x + 10 <= day.width, "what is there can be seen: {bar:?}");
        }
        assert_eq!(day.bars[1].total.0, 0);
    }
}
