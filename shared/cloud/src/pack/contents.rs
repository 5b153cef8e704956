//! What a pack holds, read from the state, the data bucket and the lake. What is missing is said.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use lake::Lake;
use lake::answer::Page;
use serde_json::json;
use trail::alert::{Entry, Status};
use trail::detection::Severity;
use trail::detections::pipeline::PIPELINE_CANARY;
use trail::digest::DigestName;
use trail::evidence::{self, ACCESS_ACTIONS, Exception, Row};
use trail::settings::Settings;
use trail::time::Time;

use super::reviews;
use super::sheet::{Book, Sheet};
use crate::error::Error;
use crate::state::{ChainState, DayCounts, HistoryLine, Query, State, VerdictChange, stands};
use crate::stores::Place;

const DAY: i64 = 86_400;

/// Histories that are read at once.
const AT_ONCE: usize = 8;

/// Where the evidence lies.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'s> {
    /// The state.
    pub state: &'s State,
    /// The data bucket or folder: populations of reviews.
    pub data: &'s Place,
    /// The lake; without it the calls that give access are a gap.
    pub lake: Option<&'s Lake>,
    /// The settings in force.
    pub settings: &'s Settings,
}

/// The span that a pack is about, its end not included.
type Span = (Time, Time);

/// Fills a pack.
pub(super) async fn fill(sources: &Sources<'_>, book: &mut Book) -> Result<(), Error> {
    let now = book.run.at;
    let span = (book.run.from, book.run.to.min(now));
    let mut exceptions = Sheet::new("exceptions")?;
    if now < book.run.to {
        exceptions.gap(format!("the period was not over when this pack was made: nothing after {now} is in it"));
    }
    book.add(controls(sources.state, span).await?)?;
    let (digests, signed) = digests(sources.state, span).await?;
    book.add(digests)?;
    book.add(log_files(sources.state, span, &signed).await?)?;
    let mut rules = Sheet::new("rules")?;
    rules.extend(evidence::rules())?;
    book.add(rules)?;
    // Exceptions of reviews come first: they are few, and somebody answers for them.
    let reviewed = reviews::fill(sources, (span, now), &mut exceptions).await?;
    let found = findings(sources.state, span, &mut exceptions).await?;
    for sheet in found.into_iter().chain(reviewed) {
        book.add(sheet)?;
    }
    book.add(access_calls(sources.lake, span).await?)?;
    exceptions.extend(evidence::expired(sources.settings, span.1).map(|one| one.row()))?;
    book.add(exceptions)
}

fn days((from, to): Span) -> impl Iterator<Item = Time> {
    let first = from.floor(DAY).0;
    (0..).map(move |number| Time(first + number * DAY)).take_while(move |day| *day < to)
}

/// Days as ranges: `2026-10-01 to 2026-10-04, 2026-11-02`.
fn ranges(days: &[Time]) -> String {
    let mut ranges: Vec<(Time, Time)> = Vec::new();
    for day in days {
        match ranges.last_mut() {
            Some((_, last)) if last.0 + DAY == day.0 => *last = *day,
            _ => ranges.push((*day, *day)),
        }
    }
    let said = |(first, last): &(Time, Time)| {
        if first == last { first.date() } else { format!("{} to {}", first.date(), last.date()) }
    };
    ranges.iter().map(said).collect::<Vec<_>>().join(", ")
}

async fn controls(state: &State, (from, to): Span) -> Result<Sheet, Error> {
    let mut sheet = Sheet::new("controls")?;
    let audited = state.audited().await?;
    if audited.is_none() {
        sheet.gap("no account was audited yet: nobody could tell which accounts there are");
    }
    let heard = state.accounts_heard().await?.into_iter().map(|heard| heard.account);
    let accounts: BTreeSet<String> = audited.into_iter().flatten().chain(heard).collect();
    for account in accounts.iter().filter(|account| *account != "-") {
        controls_of(state, (account, (from, to)), &mut sheet).await?;
        match state.audit_run(account).await? {
            None => sheet.gap(format!("account {account} was never audited")),
            Some(run) if run.at < from => sheet.gap(format!("account {account} was last audited at {}", run.at)),
            Some(run) => run.blind.iter().for_each(|one| sheet.gap(format!("account {account}, {}: {one}", run.at))),
        }
    }
    Ok(sheet)
}

/// The lines of an account: those of the period, and before each resource's first one how it stood.
async fn controls_of(state: &State, (account, (from, to)): (&str, Span), sheet: &mut Sheet) -> Result<(), Error> {
    let mut before: BTreeMap<(String, String), VerdictChange> = BTreeMap::new();
    let mut within = Vec::new();
    let mut last = String::new();
    let mut take = |control: &str, change: VerdictChange| {
        if last != control {
            flush(account, &mut before, &mut within, sheet)?;
            control.clone_into(&mut last);
        }
        if change.at < from {
            before.insert((control.to_owned(), change.resource.clone()), change);
        } else if change.at < to {
            within.push((control.to_owned(), change));
        }
        Ok(())
    };
    state.each_verdict_change(account, &mut take).await?;
    flush(account, &mut before, &mut within, sheet)
}

fn flush(
    account: &str,
    before: &mut BTreeMap<(String, String), VerdictChange>,
    within: &mut Vec<(String, VerdictChange)>,
    sheet: &mut Sheet,
) -> Result<(), Error> {
    let stood = std::mem::take(before).into_iter().map(|((control, _), change)| (control, change));
    // What was gone before the period is no part of it.
    let stood = stood.filter(|(_, change)| change.verdict.is_some());
    for (control, change) in stood.chain(within.drain(..)) {
        sheet.push(control_row(account, &control, &change))?;
    }
    Ok(())
}

fn control_row(account: &str, id: &str, change: &VerdictChange) -> Row {
    let control = trail::controls::find(id);
    let verdict = change.verdict.as_ref();
    vec![
        json!(change.at),
        json!(account),
        json!(change.region),
        json!(id),
        json!(control.map(|control| control.title)),
        json!(control.map(|control| control.references.all())),
        json!(change.resource),
        json!(change.before.map(trail::control::Status::word)),
        json!(stands(verdict)),
        json!(verdict.map(|verdict| verdict.severity)),
        json!(verdict.map(|verdict| &verdict.reason)),
        json!(change.snapshot),
    ]
}

/// Log files that digests sign, by day and account.
type Signed = BTreeMap<(Time, String), u64>;

async fn digests(state: &State, span: Span) -> Result<(Sheet, Signed), Error> {
    let mut sheet = Sheet::new("digests")?;
    let mut signed = Signed::new();
    for heard in state.accounts_heard().await?.iter().filter(|heard| heard.account != "-") {
        let chains = state.chains_of(&heard.account).await?;
        if chains.is_empty() {
            sheet.gap(format!("no digest seen for account {} at all: its log files are not proven", heard.account));
        }
        for chain in &chains {
            digests_of(state, (chain, span), (&mut sheet, &mut signed)).await?;
        }
    }
    if sheet.rows == 0 {
        sheet.gap("no digest was verified in the period");
    }
    Ok((sheet, signed))
}

#[derive(Default)]
struct DigestDay {
    digests: u64,
    logs: u64,
    problems: BTreeSet<String>,
    verified: Time,
}

async fn digests_of(
    state: &State,
    (chain, span): (&ChainState, Span),
    (sheet, signed): (&mut Sheet, &mut Signed),
) -> Result<(), Error> {
    let name = &chain.head.chain;
    let mut by_day: BTreeMap<Time, DigestDay> = BTreeMap::new();
    for record in state.digest_records(name, span).await? {
        // A digest is of the day that its window lies in, which ends with the hour.
        let Some(end) = DigestName::parse(&record.object).map(|name| name.end) else {
            sheet.gap(format!("{} is no digest's name", record.object));
            continue;
        };
        let day = by_day.entry(Time(end.0 - 1).floor(DAY)).or_default();
        (day.digests, day.logs) = (day.digests + 1, day.logs + record.logs);
        day.problems.extend(record.problems);
        day.verified = day.verified.max(record.verified);
    }
    let missing: Vec<Time> = days(span).filter(|day| !by_day.contains_key(day)).collect();
    if !missing.is_empty() {
        let said = ranges(&missing);
        sheet.gap(format!(
            "no digest seen for account {}, {name}, on {said}; followed since {}",
            name.account, chain.since
        ));
    }
    for (day, seen) in by_day {
        *signed.entry((day, name.account.clone())).or_default() += seen.logs;
        sheet.push(vec![
            json!(day.date()),
            json!(name.account),
            json!(name.region),
            json!(name.to_string()),
            json!(seen.digests),
            json!(seen.logs),
            json!(seen.problems),
            json!(seen.verified),
        ])?;
    }
    Ok(())
}

async fn log_files(state: &State, span: Span, signed: &Signed) -> Result<Sheet, Error> {
    let mut sheet = Sheet::new("log-files")?;
    for heard in state.accounts_heard().await? {
        let account = heard.account;
        let mut silent = Vec::new();
        let (mut read, mut proven) = (0, 0);
        let counted =
            stream::iter(days(span)).map(async |day| Ok((day, state.day_counts(&day.date(), &account).await?)));
        let counted: Vec<_> = counted.buffered(AT_ONCE).try_collect::<Vec<_>>().await.map_err(|e: Error| e)?;
        for (day, counts) in counted {
            let of_digests = signed.get(&(day, account.clone())).copied().unwrap_or_default();
            (read, proven) = (read + counts.files, proven + of_digests);
            if counts.files == 0 {
                silent.push(day);
            }
            if counts == DayCounts::default() && of_digests == 0 {
                continue;
            }
            let adds_up = counts.records == counts.evaluated + counts.other_kinds + counts.quarantined;
            let of = format!("account {account}, {}", day.date());
            if counts.quarantined > 0 {
                sheet.gap(format!("{of}: {} records could not be read; they lie in quarantine", counts.quarantined));
            }
            if !adds_up {
                sheet.gap(format!("{of}: the counts of records do not add up"));
            }
            sheet.push(vec![
                json!(day.date()),
                json!(account),
                json!(counts.files),
                json!(of_digests),
                json!(counts.records),
                json!(counts.evaluated),
                json!(counts.other_kinds),
                json!(counts.quarantined),
                json!(adds_up),
            ])?;
        }
        if !silent.is_empty() {
            sheet.gap(format!("no log file read of account {account} on {}", ranges(&silent)));
        }
        if proven != read {
            let said = "files delivered at the edges of the period and copies account for some";
            sheet.gap(format!("account {account}: {read} log files were read, digests sign {proven}; {said}"));
        }
    }
    Ok(sheet)
}

async fn findings(state: &State, span: Span, exceptions: &mut Sheet) -> Result<[Sheet; 3], Error> {
    let mut canaries = Sheet::new("canaries")?;
    let mut sheet = Sheet::new("findings")?;
    let mut history = Sheet::new("findings-history")?;
    let mut without = Vec::new();
    let found = stream::iter(days(span)).map(async |day| (day, state.findings(&Query::default(), day).await));
    let mut found = std::pin::pin!(found.buffered(AT_ONCE));
    while let Some((day, entries)) = found.next().await {
        let before = canaries.rows;
        let mut entries = entries?;
        entries.retain(|entry| (span.0..span.1).contains(&entry.finding.first_seen));
        entries.sort_by(|one, other| key(one).cmp(&key(other)));
        let histories: Vec<Vec<HistoryLine>> = stream::iter(&entries)
            .map(|entry| state.history(&entry.finding.finding_id))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (entry, lines) in entries.iter().zip(&histories) {
            if entry.finding.detection_id == PIPELINE_CANARY.id {
                canaries.push(canary_row(entry))?;
                continue;
            }
            sheet.push(finding_row(entry, lines))?;
            history.extend(lines.iter().map(|line| history_row(entry, line)))?;
            if let Some(late) = not_looked_at(entry) {
                exceptions.push(late.row())?;
            }
        }
        if canaries.rows == before {
            without.push(day);
        }
    }
    if !without.is_empty() {
        canaries.gap(format!("no canary came through on {}; on a folder there is none", ranges(&without)));
    }
    Ok([canaries, sheet, history])
}

fn key(entry: &Entry) -> (Time, &str) {
    (entry.finding.first_seen, &entry.finding.finding_id)
}

/// What was found. A control's title says how it should be.
fn title(detection: &str) -> String {
    if let Some(control) = trail::controls::find(detection) {
        return format!("Not as it should be: {}", control.title);
    }
    trail::detections::find(detection).map_or(detection, |found| found.title).to_owned()
}

fn not_looked_at(entry: &Entry) -> Option<Exception> {
    let finding = &entry.finding;
    let waits = entry.status == Status::New && finding.severity >= Severity::High;
    let title = title(&finding.detection_id);
    let severity = if finding.severity == Severity::Critical { "CRITICAL" } else { "HIGH" };
    waits.then(|| Exception {
        kind: "not_looked_at",
        about: finding.finding_id.clone(),
        since: finding.first_seen,
        who: String::new(),
        detail: format!("{title} ({severity}) in {}: nobody has said anything about it", finding.account),
    })
}

fn canary_row(entry: &Entry) -> Row {
    let finding = &entry.finding;
    vec![
        json!(finding.finding_id),
        json!(finding.account),
        json!(finding.first_seen),
        json!(finding.last_seen),
        json!(finding.event_ids.len()),
    ]
}

fn history_row(entry: &Entry, line: &HistoryLine) -> Row {
    let HistoryLine { at, what, who, note, detections } = line;
    vec![json!(entry.finding.finding_id), json!(at), json!(what), json!(who), json!(note), json!(detections)]
}

fn finding_row(entry: &Entry, lines: &[HistoryLine]) -> Row {
    let finding = &entry.finding;
    let first = |words: &[&str]| {
        let said = |line: &&HistoryLine| words.iter().any(|word| line.what.starts_with(word));
        lines.iter().find(said).map(|line| line.at)
    };
    let (alert, looked) = (first(&["alert"]), first(&["acknowledged", "closed"]));
    let closed = lines.iter().rev().find(|line| line.what.starts_with("closed")).map(|line| line.at);
    let closed = closed.filter(|_| entry.status == Status::Closed);
    let since = |time: Option<Time>| time.map(|time| time.0 - finding.first_seen.0);
    vec![
        json!(finding.finding_id),
        json!(finding.detection_id),
        json!(title(&finding.detection_id)),
        json!(finding.category),
        json!(finding.severity),
        json!(finding.outcome),
        json!(finding.account),
        json!(finding.facts.actors),
        json!(finding.facts.source_ips),
        json!(finding.facts.resources),
        json!(finding.event_ids.len()),
        json!(finding.saturated),
        json!(finding.first_seen),
        json!(finding.last_seen),
        json!(entry.status),
        json!(entry.resolution),
        json!(alert),
        json!(looked),
        json!(closed),
        json!(since(looked)),
        json!(since(closed)),
        json!(finding.facts.lowered_by),
    ]
}

async fn access_calls(lake: Option<&Lake>, (from, to): Span) -> Result<Sheet, Error> {
    let mut sheet = Sheet::new("access-calls")?;
    let Some(lake) = lake else {
        sheet.gap("there was no lake to ask");
        return Ok(sheet);
    };
    let query = lake::query::Query::of([("action", ACCESS_ACTIONS)]).map_err(|e| Error::Pack(e.to_string()))?;
    let query = lake::query::Query { from: Some(from), to: Some(to), ..query };
    let mut page = Page { limit: 1_000, budget: u64::MAX, ..Page::default() };
    loop {
        let answer = lake.search(&query, &page).await?;
        for facts in &answer.rows {
            sheet.push(vec![
                json!(facts.event_time),
                json!(facts.account),
                json!(facts.region),
                json!(facts.event_name),
                json!(facts.actor_name),
                json!(facts.actor_arn),
                json!(facts.source_ip),
                json!(facts.resources),
                json!(facts.error_code),
                json!(facts.event_id),
            ])?;
        }
        answer.read.skipped.iter().for_each(|(object, why)| sheet.gap(format!("{object} could not be read: {why}")));
        page.after = answer.next;
        if page.after.is_none() {
            return Ok(sheet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_said_as_ranges() {
        let at = |text: &str| Time::parse(text).unwrap();
        let all: Vec<Time> = days((at("2026-10-01T05:00:00Z"), at("2026-10-04T00:00:00Z"))).collect();
        assert_eq!(ranges(&all), "2026-10-01 to 2026-10-03");
        assert_eq!(ranges(&[all[0], all[2]]), "2026-10-01, 2026-10-03");
        assert_eq!(ranges(&[]), "");
    }
}
