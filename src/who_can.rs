//! `qtrail who-can`: who was allowed an action, from the last complete snapshot before a time, and who made use of it.

use cloud::deployment::now;
use cloud::review::store::Store;
use cloud::who_can::{Told, Used, who_can};
use lake::Lake;
use serde_json::{Value, json};
use trail::access::who_can::{Holder, HolderKind, Question, Sure};
use trail::lineage::shown;

use crate::Ending;
use crate::cli::{HolderFormat, WhoCanArgs};
use crate::output::{self, Printer};
use crate::search;

/// Gaps that are printed.
const GAPS: usize = 20;

/// Runs the command.
pub(crate) async fn run(arguments: WhoCanArgs) -> anyhow::Result<Ending> {
    let question = Question { action: &arguments.action, resource: arguments.resource.as_deref() };
    let place = search::place(&arguments.lake).await?;
    let lake = Lake::new(place.store.clone(), place.prefix.clone());
    let told = who_can((&Store::new(place), &lake), &question, (arguments.at, now())).await?;
    for time in &told.passed_over {
        output::note(&format!("the snapshot of {time} is not complete and passed over"));
    }
    let mut printer = Printer::new();
    for holder in &told.answer.holders {
        match arguments.format {
            HolderFormat::Text => printer.line(&line(holder, &told.used))?,
            HolderFormat::Ndjson => printer.line(&json_line(holder, &told.used)?.to_string())?,
        }
    }
    told.used.notes.iter().for_each(|problem| output::note(problem));
    search::note_skipped(&told.used.read);
    note(&told);
    let is_whole = told.answer.gaps.is_empty() && !told.used.is_partial();
    Ok(if is_whole { Ending::Done } else { Ending::Unread })
}

/// `allowed 111122223333 user alice: AdministratorAccess statement 1 (group admins); last seen 2026-11-20T03:02:40Z`.
fn line(holder: &Holder, used: &Used) -> String {
    let sure = match holder.sure {
        Sure::Allowed => "allowed",
        Sure::Conditional => "depends",
        Sure::Untold => "unknown",
    };
    let who = match holder.kind {
        HolderKind::Root => "root".to_owned(),
        HolderKind::Person => format!("person {}", shown(&holder.name)),
        HolderKind::User => format!("user {}", shown(&holder.name)),
        HolderKind::Role => format!("role {}", shown(&holder.name)),
    };
    let listed = |texts: &[String], before: &str| {
        let texts: Vec<String> = texts.iter().map(|text| shown(text)).collect();
        (!texts.is_empty()).then(|| format!("{before}{}", texts.join(", ")))
    };
    let through: Vec<String> = holder.through.iter().map(ToString::to_string).collect();
    let stops: Vec<String> = holder.may_stop.iter().map(ToString::to_string).collect();
    let across = holder.across.then(|| "if the resource's account lets it in".to_owned());
    let said = [
        listed(&through, ""),
        listed(&holder.resources, "on "),
        listed(&holder.conditions, "depends on "),
        across,
        listed(&stops, ""),
        listed(&holder.taken_by, "taken by "),
    ];
    let said: Vec<String> = said.into_iter().flatten().chain(used.told(holder)).collect();
    format!("{sure:<7} {} {who}: {}", shown(&holder.account), said.join("; "))
}

fn json_line(holder: &Holder, used: &Used) -> anyhow::Result<Value> {
    let mut told = serde_json::to_value(holder)?;
    let (done, seen) = used.last(holder);
    told["last_seen"] = json!(seen);
    told["last_done"] = json!(done);
    told["seen_since"] = json!(used.from);
    Ok(told)
}

/// What was not evaluated, what could not be seen, and which snapshot answered.
fn note(told: &Told) {
    let Told { answer, taken, accounts, .. } = told;
    answer.not_evaluated.iter().for_each(|said| output::note(said));
    for gap in answer.gaps.iter().take(GAPS) {
        let account = if gap.account.is_empty() { String::new() } else { format!(" in {}", shown(&gap.account)) };
        output::note(&format!("not seen{account}: {}: {}", shown(&gap.what), shown(&gap.why)));
    }
    if answer.gaps.len() > GAPS {
        output::note(&format!("and {} more that could not be seen", answer.gaps.len() - GAPS));
    }
    output::note(&format!(
        "principals={} snapshot={} accounts={accounts} gaps={}",
        answer.holders.len(),
        taken,
        answer.gaps.len()
    ));
}
