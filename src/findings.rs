//! `qtrail findings`: what is known, and what has become of it.

use cloud::state::{HistoryLine, Query, State};
use serde_json::json;
use trail::alert::{
    Entry, Related, Resolution, Status, finding_json, finding_line, finding_ocsf, message, summary_line,
};
use trail::settings::Settings;
use trail::time::Time;

use crate::Ending;
use crate::cli::{FindingsAction, FindingsArgs, Format, StateArgs};
use crate::output::{self, Printer};
use crate::{input, place};

/// Runs the command.
pub(crate) async fn run(arguments: FindingsArgs) -> anyhow::Result<Ending> {
    let settings = input::settings(arguments.state.settings.as_deref())?;
    let state = place::state(&arguments.state).await?;
    let today = newest_day(&state, &arguments.state).await?;
    match &arguments.action {
        None | Some(FindingsAction::List) => list(&state, &arguments, &settings, today).await?,
        Some(FindingsAction::Show { id }) => show((&state, today), id, &settings, arguments.format).await?,
        Some(FindingsAction::Ack { id, note }) => set((&state, today), id, (Status::Acknowledged, None), note).await?,
        Some(FindingsAction::Close { id, resolution, note }) => {
            set((&state, today), id, (Status::Closed, Some(*resolution)), note).await?;
        }
    }
    Ok(Ending::Done)
}

async fn list(state: &State, arguments: &FindingsArgs, settings: &Settings, today: Time) -> anyhow::Result<()> {
    let query = Query {
        days: arguments.days,
        status: arguments.status,
        severity: arguments.severity,
        category: arguments.category,
        actor: arguments.actor.clone(),
    };
    let mut entries = state.findings(&query, today).await?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.finding.last_seen));
    let mut printer = Printer::new();
    for entry in &entries {
        print_entry(&mut printer, entry, settings, arguments.format)?;
    }
    output::note(&format!("{} findings: {}", entries.len(), summary_line(entries.iter().map(|e| e.finding.severity))));
    Ok(())
}

/// Today; on one machine the last day that log files are from, since old ones are read there, too.
async fn newest_day(state: &State, arguments: &StateArgs) -> anyhow::Result<Time> {
    let today = cloud::deployment::now();
    if arguments.table.is_some() {
        return Ok(today);
    }
    let last = state.accounts_heard().await?.into_iter().map(|heard| heard.last_heard).max();
    // A day more: a finding's first record may be dated behind its file.
    Ok(last.map_or(today, |last| Time(last.0 + 86_400)).min(today))
}

fn print_entry(printer: &mut Printer, entry: &Entry, settings: &Settings, format: Format) -> anyhow::Result<()> {
    let finding = &entry.finding;
    match format {
        Format::Text => {
            let line = format!("{} {} {}", finding.last_seen.date(), finding_line(finding, settings), status(entry));
            printer.graded(finding.severity, &line)?;
        }
        Format::Ndjson => printer.line(&with_status(entry, settings).to_string())?,
        Format::Ocsf => printer.line(&finding_ocsf(finding, settings).to_string())?,
    }
    Ok(())
}

fn with_status(entry: &Entry, settings: &Settings) -> serde_json::Value {
    let mut json = finding_json(&entry.finding, settings);
    json["status"] = json!(entry.status);
    json["resolution"] = json!(entry.resolution);
    json
}

fn status(entry: &Entry) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    match entry.resolution {
        Some(resolution) => format!("{} as {}", word(json!(entry.status)), word(json!(resolution))),
        None => word(json!(entry.status)),
    }
}

async fn show((state, today): (&State, Time), id: &str, settings: &Settings, format: Format) -> anyhow::Result<()> {
    let entry = state.find(id, today).await?;
    let mut printer = Printer::new();
    if format != Format::Text {
        return print_entry(&mut printer, &entry, settings, format);
    }
    let finding = &entry.finding;
    let key = &finding.lead.actor.access_key;
    let related = Related { issued_by: state.issuer_of(key).await?, ..Related::default() };
    let told = message(&entry, settings, &related);
    printer.graded(finding.severity, &told.subject)?;
    printer.line(&told.text)?;
    printer.line(&format!("ID     {}", finding.finding_id))?;
    printer.line(&format!("STATUS {}", status(&entry)))?;
    for line in state.history(&finding.finding_id).await? {
        printer.line(&format!("       {} {} by {}: {}", line.at, line.what, line.who, line.note))?;
    }
    for (index, id) in finding.event_ids.iter().enumerate() {
        printer.line(&format!("{} {id}", if index == 0 { "RECORDS" } else { "       " }))?;
    }
    Ok(())
}

async fn set(
    (state, today): (&State, Time),
    id: &str,
    status: (Status, Option<Resolution>),
    note: &str,
) -> anyhow::Result<()> {
    anyhow::ensure!(!note.trim().is_empty(), "a status change needs a note: --note \"why\"");
    let entry = state.find(id, today).await?;
    let what = match status {
        (_, Some(resolution)) => format!("closed as {}", json!(resolution).as_str().unwrap_or_default()),
        _ => "acknowledged".to_owned(),
    };
    let line = HistoryLine::new(cloud::deployment::now(), &what, &who(), note);
    let entry = state.set_status(&entry.finding.finding_id, status, &line).await?;
    output::note(&format!("{} {what}", entry.finding.short_id()));
    Ok(())
}

/// Who says so, as this machine knows them; nothing proves it.
pub(crate) fn who() -> String {
    let name = ["USER", "USERNAME", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}
