//! `qtrail status`: whether everything runs. Each line is ok, or says what to do.

use std::path::Path;

use cloud::deployment::now;
use cloud::state::{AccountHeard, AuditRun, Canary, ChainState, Query, State};
use futures::{StreamExt, TryStreamExt, stream};
use trail::alert::{Status, summary_line};
use trail::settings::Settings;
use trail::silence::{Heard, silences};
use trail::time::Time;

use crate::Ending;
use crate::cli::StatusArgs;
use crate::output::Printer;
use crate::{input, place};

/// How long a deployment may be without a log file, in seconds.
const SILENT_SECONDS: i64 = 2 * 3600 + 1800;

/// How long ago a canary may have been sent: one is due each hour, and the alarm goes on after two, in seconds.
const CANARY_SECONDS: i64 = 2 * 3600;

/// Runs the command.
pub(crate) async fn run(arguments: StatusArgs) -> anyhow::Result<Ending> {
    let settings = input::settings(arguments.state.settings.as_deref())?;
    let state = place::state(&arguments.state).await?;
    let live = arguments.state.table.is_some();
    let heard = state.accounts_heard().await?;
    let mut lines = vec![last_file(&heard, live), accounts(&heard, &state.heard().await?, live)];
    lines.extend(counts(&state, &heard).await?);
    lines.push(findings(&state, &heard).await?);
    if live {
        lines.push(canary(state.canary().await?));
        lines.push(digests(&state.chains().await?));
        lines.push(audit(&state).await?);
        lines.extend(deployment(&state).await?);
    }
    lines.push(match (&arguments.state.settings, live) {
        (None, true) => in_force(state.last_settings().await?),
        (path, _) => Line::ok("settings", &format!("{}: {}", source(path.as_deref()), extent(&settings))),
    });
    let mut printer = Printer::new();
    let mut all_ok = true;
    for line in lines {
        all_ok &= line.ok;
        printer.line(&line.text())?;
    }
    Ok(if all_ok { Ending::Done } else { Ending::Found })
}

/// One line of the answer.
struct Line {
    ok: bool,
    what: &'static str,
    said: String,
}

impl Line {
    fn ok(what: &'static str, said: &str) -> Self {
        Self { ok: true, what, said: said.to_owned() }
    }

    fn todo(what: &'static str, said: String) -> Self {
        Self { ok: false, what, said }
    }

    fn text(&self) -> String {
        format!("{} {:<12} {}", if self.ok { "ok  " } else { "TODO" }, self.what, self.said)
    }
}

fn last_file(heard: &[AccountHeard], live: bool) -> Line {
    let Some(last) = heard.iter().map(|heard| heard.last_heard).max() else {
        return Line::todo("log files", "none was read yet: is the log bucket connected?".to_owned());
    };
    let age = now().0 - last.0;
    if live && age > SILENT_SECONDS {
        return Line::todo(
            "log files",
            format!("the last one is from {last}: is the trail logging, and are notifications on?"),
        );
    }
    Line::ok("log files", &format!("the last one was delivered at {last}"))
}

fn accounts(heard: &[AccountHeard], regions: &[Heard], live: bool) -> Line {
    // Log files that name no account prove nothing about any.
    let known = heard.iter().filter(|heard| heard.account != "-").count();
    let silent = if live { silences(regions, now()) } else { Vec::new() };
    let places: Vec<&str> = silent.iter().map(|silence| silence.place.as_str()).collect();
    match places.as_slice() {
        [] => Line::ok("accounts", &format!("{known} heard")),
        places => Line::todo(
            "accounts",
            format!(
                "{known} heard, quieter than ever: {}; see qtrail findings --category integrity",
                places.join(", ")
            ),
        ),
    }
}

/// How old the last proof may be: a digest comes within two hours of its window, in seconds.
const PROOF_SECONDS: i64 = 3 * 3600 + 1800;

/// How far digests are verified.
fn digests(chains: &[ChainState]) -> Line {
    let Some(to) = chains.iter().map(|chain| chain.head.end).min() else {
        return Line::todo("digests", "none was verified yet: is log file validation on?".to_owned());
    };
    let recent = |chain: &&ChainState| chain.last_problem.is_some_and(|last| now().0 - last.0 < 7 * 86_400);
    let troubled = chains.iter().filter(recent).count();
    let late: Vec<String> = chains
        .iter()
        .filter(|chain| now().0 - chain.head.end.0 > PROOF_SECONDS)
        .map(|chain| chain.head.chain.to_string())
        .collect();
    let said = format!("{} chains verified to {to}, {troubled} with a problem this week", chains.len());
    match (troubled, late.first()) {
        (0, None) => Line::ok("digests", &said),
        (0, Some(first)) => Line::todo("digests", format!("{said}; {} are late, {first} among them", late.len())),
        _ => Line::todo("digests", format!("{said}: qtrail findings --category integrity")),
    }
}

/// How long ago an account may have been audited: all are due daily, in seconds.
const AUDIT_SECONDS: i64 = 26 * 3600;

/// Whether every account's settings were looked at, and seen.
async fn audit(state: &State) -> anyhow::Result<Line> {
    let accounts = state.audited().await?.unwrap_or_default();
    let runs: Vec<Option<AuditRun>> =
        stream::iter(&accounts).map(|account| state.audit_run(account)).buffered(16).try_collect().await?;
    let fresh = |run: &&AuditRun| now().0 - run.at.0 <= AUDIT_SECONDS;
    let seen = runs.iter().flatten().filter(fresh).count();
    let blind = runs.iter().flatten().filter(|run| !run.blind.is_empty()).count();
    let said = format!("{seen} of {} accounts audited within a day, {blind} not seen whole", accounts.len());
    Ok(match (seen == accounts.len() && seen > 0, blind) {
        (true, 0) => Line::ok("audit", &said),
        (false, _) => Line::todo("audit", format!("{said}: see the log of the auditing function")),
        _ => Line::todo("audit", format!("{said}: deploy member-role.yaml there, or see qtrail findings")),
    })
}

/// Whether the last canary came through, and how long it took.
fn canary(last: Option<Canary>) -> Line {
    let todo = |said: &str| {
        Line::todo("canary", format!("{said}: see the logs of notify, which sends it, and of ingest, which finds it"))
    };
    match last {
        None => todo("none has come through yet"),
        Some(Canary { sent, .. }) if now().0 - sent.0 > CANARY_SECONDS => {
            todo(&format!("the last that came through was sent at {sent}"))
        }
        Some(Canary { sent, found }) => {
            Line::ok("canary", &format!("found at {found}, {} s after it was sent", found.0 - sent.0))
        }
    }
}

/// Files and records on the last day that any were delivered.
async fn counts(state: &State, heard: &[AccountHeard]) -> anyhow::Result<Vec<Line>> {
    let Some(last) = heard.iter().map(|heard| heard.last_heard).max() else { return Ok(Vec::new()) };
    let (mut files, mut records, mut quarantined) = (0, 0, 0);
    for account in heard {
        let day = state.day_counts(&last.date(), &account.account).await?;
        files += day.files;
        records += day.records;
        quarantined += day.quarantined;
    }
    let said = format!("{records} in {files} files on {}, {quarantined} quarantined", last.date());
    Ok(vec![if quarantined == 0 {
        Line::ok("records", &said)
    } else {
        Line::todo("records", format!("{said}: see quarantine/ in the data bucket or folder"))
    }])
}

async fn findings(state: &State, heard: &[AccountHeard]) -> anyhow::Result<Line> {
    let last = heard.iter().map(|heard| heard.last_heard).max().unwrap_or_else(now);
    let query = Query { days: 90, status: Some(Status::New), ..Query::default() };
    let new = state.findings(&query, Time(last.0 + 86_400).min(now())).await?;
    Ok(Line::ok("findings", &format!("new: {}", summary_line(new.iter().map(|entry| entry.finding.severity)))))
}

/// What only a deployment has: queues, topics, alerts.
async fn deployment(state: &State) -> anyhow::Result<Vec<Line>> {
    let Some(parts) = state.parts().await? else {
        return Ok(vec![Line::todo("deployment", "no function has run yet: see its logs".to_owned())]);
    };
    let config = cloud::deployment::sdk_config().await;
    let mut lines = Vec::new();
    let sqs = aws_sdk_sqs::Client::new(&config);
    for (what, url, is_dead) in [("queue", &parts.queue, false), ("dead letters", &parts.dead_letters, true)] {
        if !url.is_empty() {
            lines.push(queue(&sqs, what, url, is_dead).await);
        }
    }
    let sns = aws_sdk_sns::Client::new(&config);
    lines.push(subscribers(&sns, &parts.people).await);
    let owed = state.due().await?.len();
    lines.push(match owed {
        0 => Line::ok("alerts", "none owed"),
        owed => Line::todo(
            "alerts",
            format!("{owed} owed: they go out once a subscription is confirmed; else see notify's log"),
        ),
    });
    Ok(lines)
}

/// How many messages wait that one look may find without anything being wrong: an hour of a large organization.
const WAITING: u64 = 5_000;

/// Log files that were delivered and not read yet, or given up.
async fn queue(sqs: &aws_sdk_sqs::Client, what: &'static str, url: &str, is_dead: bool) -> Line {
    use aws_sdk_sqs::types::QueueAttributeName as Name;
    let names = [Name::ApproximateNumberOfMessages, Name::ApproximateNumberOfMessagesNotVisible];
    let asked = sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec())).send().await;
    let counts = match asked {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) => return Line::todo(what, format!("cannot be asked: {}", error.into_service_error())),
    };
    let [waiting, read] = names.map(|name| counts.get(&name).and_then(|count| count.parse().ok()).unwrap_or(0_u64));
    let said = format!("{waiting} waiting, {read} being read");
    match (is_dead, waiting) {
        (true, 1..) => {
            Line::todo(what, format!("{waiting} messages: read one for its reason, mend it, then redrive the queue"))
        }
        (false, WAITING..) => Line::todo(what, format!("{said}: is the function throttled or failing? See its alarms")),
        _ => Line::ok(what, &said),
    }
}

async fn subscribers(sns: &aws_sdk_sns::Client, topic: &str) -> Line {
    let asked = sns.get_topic_attributes().topic_arn(topic).send().await;
    let count = match asked {
        Ok(answer) => {
            answer.attributes().and_then(|all| all.get("SubscriptionsConfirmed")).cloned().unwrap_or_default()
        }
        Err(error) => return Line::todo("subscribers", format!("cannot be asked: {}", error.into_service_error())),
    };
    if count == "0" || count.is_empty() {
        return Line::todo(
            "subscribers",
            "nobody has confirmed: open the email from AWS Notifications and confirm".to_owned(),
        );
    }
    Line::ok("subscribers", &format!("{count} confirmed"))
}

fn source(path: Option<&Path>) -> String {
    path.map_or_else(|| "the defaults (no --settings)".to_owned(), |path| path.display().to_string())
}

fn extent(settings: &Settings) -> String {
    format!("{} accounts, {} expectations", settings.accounts.len(), settings.expected.len())
}

/// The settings that the functions last took. None of them has run while nothing is kept.
fn in_force(kept: Option<String>) -> Line {
    let Some(text) = kept.filter(|text| !text.trim().is_empty()) else {
        return Line::ok("settings", "the defaults: there is no config.toml in the data bucket");
    };
    match Settings::from_toml(&text) {
        Ok(settings) => Line::ok("settings", &format!("config.toml as last taken: {}", extent(&settings))),
        Err(error) => Line::todo("settings", format!("the last good ones are no longer understood: {error}")),
    }
}
