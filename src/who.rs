//! `qtrail who`: what became of a resource, by whom, and who stands behind that.

use std::io;

use anyhow::bail;
use lake::Lake;
use lake::answer::Read;
use lake::who::{Deed, MOST_DEEDS, Who};
use serde_json::json;
use trail::lineage::{Act, shown};
use trail::record::Outcome;

use crate::Ending;
use crate::cli::{WhoArgs, WhoFormat};
use crate::output::{self, Printer};
use crate::search::{note_skipped, open};

/// Sessions whose further deeds are told, at most.
const SESSIONS: usize = 5;

/// Runs the command.
pub(crate) async fn run(arguments: WhoArgs) -> anyhow::Result<Ending> {
    if arguments.resource.trim_matches(['*', '?', ' ']).is_empty() {
        bail!("name one resource: an ARN, an id such as i-0abc…, or a name");
    }
    let lake = open(&arguments.lake).await?;
    let who = lake.who(&arguments.resource, arguments.from, arguments.to).await?;
    let mut printer = Printer::new();
    match arguments.format {
        WhoFormat::Ndjson => {
            for deed in &who.deeds {
                printer.line(&json!(deed).to_string())?;
            }
        }
        WhoFormat::Text => {
            for deed in &who.deeds {
                print_deed(&mut printer, deed)?;
            }
            print_sessions(&mut printer, &lake, &who).await?;
        }
    }
    note_skipped(&Read { skipped: who.skipped.clone(), ..Read::default() });
    output::note(&summary(&who));
    Ok(if who.partial { Ending::Unread } else { Ending::Done })
}

fn print_deed(printer: &mut Printer, deed: &Deed) -> io::Result<()> {
    printer.line(&format!("{}: {}", title(deed), deed.seen))?;
    for line in deed.chain.to_string().lines() {
        printer.line(&format!("  {line}"))?;
    }
    Ok(())
}

fn title(deed: &Deed) -> String {
    let (done, not_done) = match deed.act {
        Act::Creation => ("created", "creation"),
        Act::Change | Act::Use => ("changed", "change"),
        Act::Deletion => ("deleted", "deletion"),
    };
    match deed.outcome {
        Outcome::Success => done.to_owned(),
        Outcome::Denied => format!("{not_done} refused ({})", shown(&deed.seen.error)),
        Outcome::Failed => format!("{not_done} failed ({})", shown(&deed.seen.error)),
    }
}

/// What the sessions that did it did besides.
async fn print_sessions(printer: &mut Printer, lake: &Lake, who: &Who) -> anyhow::Result<()> {
    let mut keys: Vec<&str> = Vec::new();
    for key in who.deeds.iter().map(|deed| &*deed.seen.access_key).filter(|key| !key.is_empty()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if !keys.is_empty() {
        printer.line("\nwhat these keys were used for, and what they gave out:")?;
    }
    for key in keys.iter().take(SESSIONS) {
        for line in lake.issued(key, who.from, who.to).await?.to_string().lines() {
            printer.line(&format!("  {line}"))?;
        }
    }
    Ok(())
}

fn summary(who: &Who) -> String {
    let resource = shown(&who.resource);
    let Some(begins) = who.begins else {
        return format!("the lake is empty: nothing is known of {resource}. Run qtrail ingest first");
    };
    let from = who.from.map_or(begins.to_string(), |from| from.to_string());
    let to = who.to.map_or("now".to_owned(), |to| to.to_string());
    let used = match who.uses {
        0 => String::new(),
        1 => ", and 1 record that only makes use of it".to_owned(),
        uses => format!(", and {uses} records that only make use of it"),
    };
    let partial = if who.partial { "; some files could not be read, so something may be missing" } else { "" };
    if who.deeds.is_empty() {
        return format!(
            "nobody made, changed or deleted {resource} between {from} and {to} (the lake begins on {begins}){used}{partial}. \
             Try its id, its name or its whole ARN in place of each other; a longer time; or qtrail rebuild for the time \
             before the lake begins"
        );
    }
    let more = if who.more {
        format!("; the newest {MOST_DEEDS} are shown, narrow the time for others")
    } else {
        String::new()
    };
    let deeds = if who.deeds.len() == 1 { "deed" } else { "deeds" };
    format!("{} {deeds} on {resource} between {from} and {to}{used}{more}{partial}", who.deeds.len())
}
