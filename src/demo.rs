//! `qtrail demo`: a small organization's day, with an intrusion hidden in it.

use anyhow::Context;
use include_dir::{Dir, include_dir};
use trail::alert::{Entry, Related, is_immediate, message};
use trail::detection::Engine;
use trail::settings::Settings;

use crate::Ending;
use crate::cli::{DemoArgs, Format};
use crate::output::{self, Printer};
use crate::scan::{Source, print_findings, scan};

static LOGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/events/aws");
static SETTINGS: &str = include_str!("../events/config.toml");

/// Runs the command.
pub(crate) fn run(arguments: &DemoArgs) -> anyhow::Result<Ending> {
    let engine = Engine::new(Settings::from_toml(SETTINGS).context("events/config.toml")?);
    let settings = engine.settings();
    let scanned = scan(&engine, &files(&LOGS), false);
    let mut printer = Printer::new();
    print_findings(&mut printer, &scanned, settings, (arguments.format, trail::detection::Severity::Informational))?;
    scanned.print_problems();
    output::note(&scanned.summary());
    if arguments.format != Format::Text {
        return Ok(Ending::Done);
    }
    printer.line("\nWhat each alert would say:\n")?;
    for finding in scanned.findings.iter().filter(|finding| is_immediate(finding, settings)) {
        let issued_by = scanned.issued.get(&finding.lead.actor.access_key).cloned();
        let entry = Entry::new(finding, settings, finding.last_seen);
        let told = message(&entry, settings, &Related { issued_by, ..Related::default() });
        printer.graded(finding.severity, &format!("Subject: {}\n", told.subject))?;
        printer.line(&told.text)?;
    }
    if !arguments.no_view {
        output::note(
            "next: qtrail scan on a folder of your own CloudTrail log files; qtrail ingest keeps what it finds",
        );
    }
    Ok(Ending::Done)
}

fn files(folder: &'static Dir<'static>) -> Vec<Source> {
    let here =
        folder.files().map(|file| Source::Bytes(file.path().to_string_lossy().replace('\\', "/"), file.contents()));
    here.chain(folder.dirs().flat_map(files)).collect()
}
