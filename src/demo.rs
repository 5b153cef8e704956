//! `qtrail demo`: a small organization's day, with an intrusion hidden in it; its trail settings; its digests; the access
//! review of the quarter before, and an evidence pack.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use cloud::review::log::Reviews;
use cloud::review::store::Store;
use cloud::state::State;
use cloud::stores::{Place, Stores};
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
use crate::{place, review, view};

mod fill;
mod replay;

static LOGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/events/aws");
static SETTINGS: &str = include_str!("../events/config.toml");
static RECORDING: &str = include_str!("../events/settings.ndjson");
static QUARTER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/events/quarter");
static ACCESS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/events/access");
static PEOPLE: &str = include_str!("../events/people.csv");
static SAID: &str = include_str!("../events/review.ndjson");
static KEYS: &[u8] = include_bytes!("../events/keys.json");

/// When digests are judged: 06:00 UTC on the morning after, when all of them have come.
const MORNING: Time = Time(1_795_240_800);

/// When the page is looked at: soon after the last log file.
const NIGHT: Time = Time(MORNING.0 - 13_800);

/// What the evidence pack is about: the quarter that was reviewed, and all since.
const PACKED: (Time, Time) = (Time(1_782_864_000), Time(1_795_219_200));

/// A folder with this file in it is a demo's, and made anew.
const MARK: &str = "DEMO";

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
    let kept = keep(&arguments.data, settings).await?;
    show_review(&mut printer, &kept, settings).await?;
    output::note(&next(&arguments.data, &kept));
    drop(printer);
    if arguments.no_view { Ok(Ending::Done) } else { Box::pin(serve(kept, engine.settings().clone())).await }
}

/// The day as a deployment would have kept it.
struct Kept {
    state: State,
    data: Place,
    /// The id of the review.
    review: String,
    /// Where the pack is, from the folder on.
    pack: String,
}

/// Keeps the day in a folder, with the review of the quarter before and the pack.
async fn keep(folder: &Path, settings: &Settings) -> anyhow::Result<Kept> {
    renew(folder)?;
    let [logs, quarter, access] = ["logs", "quarter", "access"].map(|name| folder.join(name));
    for (files, to) in [(&LOGS, &logs), (&QUARTER, &quarter), (&ACCESS, &access)] {
        std::fs::create_dir_all(to).and_then(|()| files.extract(to)).with_context(|| format!("{}", to.display()))?;
    }
    let state = place::embedded(folder).await?;
    let data = cloud::stores::folder(folder)?;
    let replay = replay::Replay { state: &state, data: &data, settings, people: PEOPLE, said: SAID };
    let period = replay.before(&quarter).await?;
    let bucket = "example-trail-logs";
    let (settings, recording, keys) = (SETTINGS, RECORDING, KEYS);
    let day = fill::Day { settings, logs: &logs, bucket, recording, keys, now: MORNING };
    fill::fill(&state, &data, day).await?;
    replay.after(&period).await?;
    let pack = replay.pack(folder, PACKED).await?;
    Ok(Kept { state, data, review: period.id, pack: pack.location })
}

/// An empty folder. What is no demo's is left alone.
fn renew(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let mark = folder.join(MARK);
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty && !mark.exists() {
        bail!("{shown} holds something that is no demo's: name another folder with --data");
    }
    if !is_empty {
        std::fs::remove_dir_all(folder).with_context(|| format!("{shown}"))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{shown}; name another folder with --data"))?;
    std::fs::write(mark, "Made by qtrail demo, and made anew by the next one.\n").with_context(|| format!("{shown}"))
}

/// What came of the review.
async fn show_review(printer: &mut Printer, kept: &Kept, settings: &Settings) -> anyhow::Result<()> {
    let source = Store::new(kept.data.clone());
    let reviews = Reviews { state: &kept.state, settings, source: &source, local: true };
    let opened = reviews.load(&kept.review).await?;
    let standing = reviews.standing(&opened, MORNING);
    printer.line("\nThe access review of the quarter before, as it was recorded:\n")?;
    Ok(printer.line(&review::summary(&opened, &standing, &standing.missing()))?)
}

/// The page over the day.
async fn serve(kept: Kept, settings: Settings) -> anyhow::Result<Ending> {
    let Kept { state, data, .. } = kept;
    let stores = Arc::new(Stores::new(aws_config::SdkConfig::builder().build()));
    let viewer = Viewer::new(Lake::new(data.store.clone(), data.prefix.clone()), settings).with_state(state);
    let viewer = viewer.with_reviews(data, true).with_logs(stores, Vec::new()).at(|| NIGHT);
    let listener = match TcpListener::bind(ADDRESS).await {
        Ok(listener) => listener,
        // Somebody else is there: any port does.
        Err(_) => TcpListener::bind("127.0.0.1:0").await.context("a loopback port for the page")?,
    };
    output::note("\nthe same day as a page:");
    view::serve(listener, page::router(Arc::new(viewer))).await
}

/// What to try next.
fn next(folder: &Path, kept: &Kept) -> String {
    let Kept { review, pack, .. } = kept;
    let data = folder.display();
    format!(
        "
next, on that day as it is kept in {data}:
  qtrail who i-0badc0ffee1234567 --data {data}
  qtrail search --user svc-backup --data {data}
  qtrail who-can rds:DeleteDBInstance --at {MORNING} --data {data}
  qtrail review show {review} --data {data}
  qtrail pack verify {}
the same findings by hand:
  qtrail scan events/aws --settings events/config.toml
  qtrail audit --snapshot events/settings.ndjson --settings events/config.toml
  qtrail verify --keys events/keys.json events/aws
then on your own: qtrail scan on a folder of CloudTrail log files; qtrail ingest keeps what it finds",
        folder.join(pack).display()
    )
}

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
