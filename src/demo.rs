//! `qtrail demo`: a small organization's day, with an intrusion hidden in it; its trail settings; its digests.

use std::sync::Arc;

use anyhow::Context;
use cloud::stores::Stores;
use include_dir::{Dir, include_dir};
use lake::Lake;
use page::Viewer;
use tokio::net::TcpListener;
use trail::alert::{Entry, Related, finding_ocsf, is_immediate, message};
use trail::control::last_line;
use trail::detection::{Engine, Severity};
use trail::detections::digests::match_of;
use trail::digest::{Chain, Problem, PublicKeys};
use trail::ledger::Ledger;
use trail::settings::Settings;
use trail::time::Time;

use crate::Ending;
use crate::audit::{judge_recording, print_one};
use crate::cli::{DemoArgs, Format, ProblemFormat};
use crate::output::{self, Printer};
use crate::scan::{Scanned, Source, print_findings, scan};
use crate::verify::{self, Asked, verify};
use crate::{place, view};

mod fill;

static LOGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/events/aws");
static SETTINGS: &str = include_str!("../events/config.toml");
static RECORDING: &str = include_str!("../events/settings.ndjson");
static KEYS: &[u8] = include_bytes!("../events/keys.json");

/// When digests are judged: 06:00 UTC on the morning after, when all of them have come.
const MORNING: Time = Time(1_795_240_800);

/// When the page is looked at: soon after the last log file.
const NIGHT: Time = Time(MORNING.0 - 13_800);

/// Where the page is served.
const ADDRESS: &str = "127.0.0.1:8080";

/// Runs the command.
pub(crate) async fn run(arguments: DemoArgs) -> anyhow::Result<Ending> {
    let engine = Engine::new(Settings::from_toml(SETTINGS).context("events/config.toml")?);
    let (settings, format) = (engine.settings(), arguments.format);
    let scanned = scan(&engine, &files(&LOGS), false);
    let mut printer = Printer::new();
    print_findings(&mut printer, &scanned, settings, (format, Severity::Informational))?;
    scanned.print_problems();
    output::note(&scanned.summary());
    if format == Format::Text {
        printer.line("\nWhat each alert would say:\n")?;
        print_alerts(&mut printer, &scanned, settings)?;
    }
    show_audit(&mut printer, settings, format).await?;
    show_digests(&mut printer, settings, format).await?;
    if format != Format::Text {
        return Ok(Ending::Done);
    }
    output::note(NEXT);
    drop(printer);
    if arguments.no_view { Ok(Ending::Done) } else { Box::pin(serve(engine.settings().clone())).await }
}

/// The page over the day, as a deployment would have kept it.
async fn serve(settings: Settings) -> anyhow::Result<Ending> {
    let folder = tempfile::tempdir().context("a folder for the demo's day")?;
    let (logs, data) = (folder.path().join("logs"), folder.path().join("data"));
    LOGS.extract(&logs).context("a folder for the demo's log files")?;
    let state = place::embedded(&data).await?;
    let kept = cloud::stores::folder(&data)?;
    let day = fill::Day {
        settings: SETTINGS,
        logs: &logs,
        bucket: "example-trail-logs",
        recording: RECORDING,
        keys: KEYS,
        now: MORNING,
    };
    fill::fill(&state, &kept, day).await?;
    let stores = Arc::new(Stores::new(aws_config::SdkConfig::builder().build()));
    let viewer = Viewer::new(Lake::new(kept.store, kept.prefix), settings).with_state(state);
    let viewer = viewer.with_logs(stores, Vec::new()).at(|| NIGHT);
    let listener = match TcpListener::bind(ADDRESS).await {
        Ok(listener) => listener,
        // Somebody else is there: any port does.
        Err(_) => TcpListener::bind("127.0.0.1:0").await.context("a loopback port for the page")?,
    };
    output::note("\nthe same day as a page:");
    view::serve(listener, page::router(Arc::new(viewer))).await
}

const NEXT: &str = "
next, the same by hand:
  qtrail scan events/aws --settings events/config.toml
  qtrail audit --snapshot events/settings.ndjson --settings events/config.toml
  qtrail verify --keys events/keys.json events/aws
then on your own: qtrail scan on a folder of CloudTrail log files; qtrail ingest keeps what it finds";

fn files(folder: &'static Dir<'static>) -> Vec<Source> {
    // Metadata lies beside some objects: no log file by its name.
    let logs = folder.files().filter(|file| file.path().extension().is_some_and(|ending| ending == "gz"));
    let here = logs.map(|file| Source::Bytes(file.path().to_string_lossy().replace('\\', "/"), file.contents()));
    here.chain(folder.dirs().flat_map(files)).collect()
}

fn print_alerts(printer: &mut Printer, scanned: &Scanned, settings: &Settings) -> anyhow::Result<()> {
    for finding in scanned.findings.iter().filter(|finding| is_immediate(finding, settings)) {
        let issued_by = scanned.issued.get(&finding.lead.actor.access_key).cloned();
        let entry = Entry::new(finding, settings, finding.last_seen);
        let told = message(&entry, settings, &Related { issued_by, ..Related::default() });
        printer.graded(finding.severity, &format!("Subject: {}\n", told.subject))?;
        printer.line(&told.text)?;
    }
    Ok(())
}

/// What does not stand as it should, of the trail settings as they were recorded on that day.
async fn show_audit(printer: &mut Printer, settings: &Settings, format: Format) -> anyhow::Result<()> {
    let judged = judge_recording("events/settings.ndjson", RECORDING, settings).await?;
    if format == Format::Text {
        printer.line("Trail settings of the organization that fail or could not be seen:\n")?;
    }
    for verdict in judged.verdicts.iter().filter(|one| one.status.is_finding() || one.status.is_blind()) {
        print_one(printer, verdict, settings, format)?;
    }
    output::note(&last_line(&judged.verdicts, &judged.coverage, settings));
    Ok(())
}

/// The log files against what AWS signed.
async fn show_digests(printer: &mut Printer, settings: &Settings, format: Format) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("a folder for the demo's log files")?;
    LOGS.extract(folder.path()).context("a folder for the demo's log files")?;
    let keys = PublicKeys::from_json(KEYS).context("events/keys.json")?;
    let asked = Asked { from: None, to: None, now: MORNING };
    let verified = verify(&folder.path().to_string_lossy(), keys, asked).await?;
    match format {
        Format::Text => {
            printer.line("\nLog files that are not as AWS signed them:\n")?;
            verify::print(printer, &verified.problems, ProblemFormat::Text)?;
        }
        Format::Ndjson => verify::print(printer, &verified.problems, ProblemFormat::Ndjson)?,
        Format::Ocsf => print_ocsf(printer, &verified.problems, settings)?,
    }
    output::note(&verified.summary());
    Ok(())
}

/// Problems as the findings that a deployment raises about them.
fn print_ocsf(printer: &mut Printer, problems: &[Problem], settings: &Settings) -> anyhow::Result<()> {
    let mut ledger = Ledger::default();
    for problem in problems {
        let chain = Chain::of_log(&problem.object).unwrap_or_default();
        ledger.add(&match_of(problem, &chain, problem.window.map(|window| window.to).unwrap_or_default()));
    }
    for finding in ledger.findings(settings) {
        printer.line(&finding_ocsf(&finding, settings).to_string())?;
    }
    Ok(())
}
