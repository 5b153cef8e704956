//! `qtrail audit`: trail settings as controls, of a live organization or as they were recorded.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use cloud::audit::own_state;
use cloud::collect::{Collector, Depth, Options};
use cloud::deployment::sdk_config_of;
use cloud::state::State;
use futures::{StreamExt, stream};
use trail::control::{
    Context, Coverage, Earlier, Member, OwnState, Status, Verdict, View, last_line, verdict_json, verdict_lines,
    verdict_ocsf,
};
use trail::settings::Settings;
use trail::snapshot::{Cause, Snapshot};
use trail::time::Time;

use crate::Ending;
use crate::cli::{AuditArgs, Format};
use crate::input;
use crate::output::{self, Printer};

/// Accounts that are asked at the same time. All together have no more than 20 requests on their way.
const ACCOUNTS_AT_ONCE: usize = 8;

/// Snapshots, and the accounts that should be among them.
struct Collected {
    snapshots: Vec<Snapshot>,
    /// `None` where nobody could tell which accounts there are.
    accounts: Option<Vec<String>>,
    /// The account that log files are to be delivered to.
    logging_account: String,
    /// What could not be read.
    problems: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(arguments: AuditArgs) -> anyhow::Result<Ending> {
    let settings = input::settings(arguments.settings.as_deref())?;
    let collected = match &arguments.snapshot {
        Some(path) => {
            ensure!(arguments.account.is_empty(), "--account is for live accounts: a recording is judged whole");
            let shown = path.display().to_string();
            let file = std::fs::File::open(path).with_context(|| shown.clone())?;
            recorded(&shown, BufReader::new(file), arguments.logging_account.as_deref())?
        }
        None => live(&arguments).await?,
    };
    if let Some(path) = &arguments.record {
        record(path, &collected.snapshots)?;
    }
    let table = match &arguments.table {
        Some(table) => Some(State::new(aws_sdk_dynamodb::Client::new(&sdk_config_of(None).await), table)),
        None => None,
    };
    let judged = judge(&collected, &settings, table.as_ref()).await?;
    let mut printer = Printer::new();
    for verdict in &judged.verdicts {
        print_one(&mut printer, verdict, &settings, arguments.format)?;
    }
    collected.problems.iter().chain(&judged.problems).for_each(|problem| output::note(problem));
    if judged.left_out > 0 {
        let said = "verdicts rest on a deployment's own state (digests, canary, subscribers) and were left out";
        output::note(&format!("{} {said}: name its table with --table, or see its daily audit", judged.left_out));
    }
    output::note(&last_line(&judged.verdicts, &judged.coverage, &settings));
    Ok(judged.ending(!collected.problems.is_empty()))
}

/// What the controls say of all accounts.
#[derive(Default)]
pub(crate) struct Judged {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) coverage: Coverage,
    /// Verdicts on this system itself, where no deployment is looked at.
    left_out: usize,
    problems: Vec<String>,
}

impl Judged {
    fn ending(&self, unread: bool) -> Ending {
        let (accounts, of_accounts) = self.coverage.accounts();
        let blind = self.verdicts.iter().any(|verdict| verdict.status.is_blind());
        let failing = self.verdicts.iter().any(|verdict| verdict.status.is_finding());
        match (unread || blind || !self.problems.is_empty() || accounts < of_accounts, failing) {
            (true, _) => Ending::Unread,
            (false, true) => Ending::Found,
            (false, false) => Ending::Done,
        }
    }
}

async fn live(arguments: &AuditArgs) -> anyhow::Result<Collected> {
    let config = sdk_config_of(arguments.profile.as_deref()).await;
    let options = Options {
        role: arguments.role.clone(),
        external_id: arguments.external_id.clone().unwrap_or_default(),
        logging_account: arguments.logging_account.clone().unwrap_or_default(),
        accounts: arguments.account.iter().cloned().collect(),
        ..Options::default()
    };
    let logging_account = arguments.logging_account.clone();
    let collector = Collector::connect(&config, options).await?;
    let mut problems = Vec::new();
    let known = match collector.accounts().await {
        Ok(accounts) => Some(accounts),
        Err(refused) if refused.cause == Cause::Absent => Some(vec![collector.home().to_owned()]),
        // Who names accounts does not ask for the others.
        Err(_) if !arguments.account.is_empty() => None,
        Err(refused) => {
            let said = "the organization's accounts cannot be listed, so that this one alone is looked at";
            problems.push(format!("{said}: {} {}", refused.code, refused.message));
            None
        }
    };
    let asked = match (arguments.account.is_empty(), &known) {
        (false, _) => arguments.account.clone(),
        (true, Some(known)) => known.clone(),
        (true, None) => vec![collector.home().to_owned()],
    };
    collector.know(known.iter().flatten().cloned());
    let bar = output::progress(asked.len() as u64);
    let snapshots: Vec<Snapshot> = stream::iter(&asked)
        .map(|account| collector.snapshot(account, Depth::Everything))
        .buffer_unordered(ACCOUNTS_AT_ONCE)
        .inspect(|_| bar.inc(1))
        .collect()
        .await;
    bar.finish_and_clear();
    let logging_account = logging_account.unwrap_or_else(|| collector.home().to_owned());
    let accounts = if arguments.account.is_empty() { known } else { Some(asked) };
    Ok(Collected { snapshots, accounts, logging_account, problems })
}

/// Judges what `--record` wrote, each account as of then.
pub(crate) async fn judge_recording(shown: &str, text: &str, settings: &Settings) -> anyhow::Result<Judged> {
    judge(&recorded(shown, text.as_bytes(), None)?, settings, None).await
}

/// What `--record` wrote: a snapshot a line. One that cannot be read does not cost the others.
fn recorded(shown: &str, text: impl BufRead, logging_account: Option<&str>) -> anyhow::Result<Collected> {
    let (mut snapshots, mut problems) = (Vec::new(), Vec::new());
    for (number, line) in text.split(b'\n').enumerate() {
        let line = line.with_context(|| shown.to_owned())?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match Snapshot::read(&line) {
            Ok(snapshot) => snapshots.push(snapshot),
            Err(error) => problems.push(format!("{shown}: line {}: {error}", number + 1)),
        }
    }
    if snapshots.is_empty() {
        match problems.first() {
            Some(problem) => bail!("{problem}"),
            None => bail!("{shown} holds no snapshot\nhint: write one with qtrail audit --record {shown}"),
        }
    }
    let accounts = snapshots.iter().map(|snapshot: &Snapshot| snapshot.account.clone()).collect();
    let logging_account = logging_account.map_or_else(|| home_of(&snapshots).to_owned(), str::to_owned);
    Ok(Collected { snapshots, accounts: Some(accounts), logging_account, problems })
}

/// The account that asked: it takes the roles in all others, and needs none in its own.
fn home_of(snapshots: &[Snapshot]) -> &str {
    let takes_role = |snapshot: &Snapshot| snapshot.answers.iter().position(|a| a.call == "sts:AssumeRole");
    let taken = snapshots.iter().find_map(|snapshot| Some(&snapshot.answers[takes_role(snapshot)?].account));
    let own = || snapshots.iter().find(|snapshot| takes_role(snapshot).is_none()).map(|snapshot| &snapshot.account);
    taken.or_else(own).map_or("", String::as_str)
}

fn record(path: &Path, snapshots: &[Snapshot]) -> anyhow::Result<()> {
    let shown = path.display().to_string();
    let file = std::fs::File::create(path).with_context(|| shown.clone())?;
    let mut writer = BufWriter::new(file);
    for snapshot in snapshots {
        serde_json::to_writer(&mut writer, snapshot).with_context(|| shown.clone())?;
        writer.write_all(b"\n").with_context(|| shown.clone())?;
    }
    writer.flush().with_context(|| shown)
}

async fn judge(collected: &Collected, settings: &Settings, table: Option<&State>) -> anyhow::Result<Judged> {
    let mut judged = Judged::default();
    collected.accounts.iter().flatten().for_each(|account| judged.coverage.expect(account));
    for snapshot in &collected.snapshots {
        let state = match table {
            Some(table) => own_state(table, &snapshot.account).await?,
            None => OwnState::default(),
        };
        let context = Context { state, ..context(collected, settings, snapshot.taken) };
        judge_one(&mut judged, snapshot, &context, table.is_none());
    }
    judged.verdicts.sort_by(|a, b| key_of(a).cmp(&key_of(b)));
    Ok(judged)
}

/// A recording is judged as of when it was made.
fn context(collected: &Collected, settings: &Settings, taken: Time) -> Context {
    let member = |id: &String| Member { id: id.clone(), active: true, recorded: None };
    let known = Context::new(settings, taken);
    let set = &settings.audit.logging_account;
    Context {
        logging_account: if set.is_empty() { collected.logging_account.clone() } else { set.clone() },
        accounts: collected.accounts.as_ref().map(|accounts| accounts.iter().map(member).collect()),
        earlier: Earlier::First,
        ..known
    }
}

/// Judges a snapshot. Where no deployment is looked at, what rests on one is left out rather than called unknown.
pub(crate) fn judge_one(judged: &mut Judged, snapshot: &Snapshot, context: &Context, alone: bool) {
    judged.coverage.add(snapshot);
    match View::new(snapshot, context) {
        Ok(view) => {
            let verdicts = view.judge();
            let of_deployment =
                |verdict: &Verdict| alone && verdict.status == Status::Unknown && verdict.blind.is_empty();
            judged.left_out += verdicts.iter().filter(|verdict| of_deployment(verdict)).count();
            judged.verdicts.extend(verdicts.into_iter().filter(|verdict| !of_deployment(verdict)));
        }
        Err(error) => judged.problems.push(format!("account {}: {error}", snapshot.account)),
    }
}

/// What is to be mended first, the worst of it at the top.
fn key_of(verdict: &Verdict) -> impl Ord + use<'_> {
    let group = match verdict.status {
        Status::Fail => 0,
        Status::Partial => 1,
        Status::Unknown | Status::Error => 2,
        Status::Pass => 3,
        Status::NotApplicable => 4,
    };
    let worst = std::cmp::Reverse(verdict.severity);
    (group, worst, &verdict.control_id, &verdict.account, &verdict.region, &verdict.resource)
}

/// Prints a verdict; in text those that pass or do not apply are not in colour.
pub(crate) fn print_one(
    printer: &mut Printer,
    verdict: &Verdict,
    settings: &Settings,
    format: Format,
) -> anyhow::Result<()> {
    match format {
        Format::Text if verdict.status.is_finding() => {
            printer.graded(verdict.severity, &verdict_lines(verdict, settings))?;
        }
        Format::Text => printer.line(&verdict_lines(verdict, settings))?,
        Format::Ndjson => printer.line(&verdict_json(verdict).to_string())?,
        Format::Ocsf => printer.line(&verdict_ocsf(verdict).to_string())?,
    }
    Ok(())
}
