//! `qtrail scan`: log files in, findings out, nothing kept.

use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Instant;

use foldhash::fast::FixedState;
use foldhash::quality::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde_json::{Value, json};
use trail::alert::{finding_json, finding_line, finding_ocsf};
use trail::detection::{Engine, Severity};
use trail::finding::{Finding, Match};
use trail::ledger::Ledger;
use trail::log_file::{Inflater, Limits, Report, Subject, evaluate};
use trail::object_key::ObjectKey;
use trail::record::Record;
use trail::settings::Settings;
use trail::time::Time;

use crate::Ending;
use crate::cli::{Format, ScanArgs};
use crate::input;
use crate::output::{self, Printer};

/// Runs the command.
pub(crate) fn run(arguments: &ScanArgs) -> anyhow::Result<Ending> {
    let engine = Engine::new(input::settings(arguments.settings.as_deref())?);
    let inputs = input::find(&arguments.paths)?;
    inputs.note();
    let unread = inputs.unread;
    let files: Vec<Source> = inputs.files.into_iter().map(Source::Path).collect();
    let mut scanned = scan(&engine, &files, arguments.matches);
    scanned.unread += unread.len();
    scanned.problems.extend(unread);
    let mut printer = Printer::new();
    if arguments.matches {
        print_matches(&mut printer, &scanned, arguments.min_severity)?;
    } else {
        print_findings(&mut printer, &scanned, engine.settings(), (arguments.format, arguments.min_severity))?;
    }
    scanned.print_problems();
    output::note(&scanned.summary());
    Ok(ending(&scanned, arguments.fail_on))
}

fn ending(scanned: &Scanned, fail_on: Option<Severity>) -> Ending {
    let reached = fail_on.is_some_and(|least| scanned.findings.iter().any(|finding| finding.severity >= least));
    match (scanned.unread > 0 || scanned.quarantined > 0, reached) {
        (true, _) => Ending::Unread,
        (false, true) => Ending::Found,
        (false, false) => Ending::Done,
    }
}

/// A log file to be scanned.
pub(crate) enum Source {
    /// On disk.
    Path(PathBuf),
    /// In memory, under this name.
    Bytes(String, &'static [u8]),
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::Path(path) => path.to_string_lossy().replace('\\', "/"),
            Self::Bytes(name, _) => name.clone(),
        }
    }
}

/// What a scan came to.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// What was found, by time of the first record.
    pub(crate) findings: Vec<Finding>,
    /// Who asked for the sessions that root was handed out by.
    pub(crate) issued: std::collections::BTreeMap<String, String>,
    matches: Vec<(Severity, Time, Value)>,
    problems: Vec<String>,
    files: usize,
    records: usize,
    duplicates: usize,
    quarantined: usize,
    unread: usize,
    seconds: f64,
}

impl Scanned {
    /// The last line.
    pub(crate) fn summary(&self) -> String {
        format!(
            "files={} records={} duplicates={} quarantined={} findings={} seconds={:.2}",
            self.files,
            self.records,
            self.duplicates,
            self.quarantined,
            self.findings.len(),
            self.seconds
        )
    }

    /// What could not be read, a line each.
    pub(crate) fn print_problems(&self) {
        self.problems.iter().for_each(|problem| output::note(problem));
    }
}

/// A file's outcome on its way from a worker.
struct Read {
    name: String,
    report: Result<Report, std::io::Error>,
    trailing: usize,
    /// Hashes of identity and text, record by record.
    identities: Vec<(u128, u64)>,
}

/// Scans files on all cores.
pub(crate) fn scan(engine: &Engine, files: &[Source], keep_matches: bool) -> Scanned {
    let started = Instant::now();
    let bar = output::progress(files.len() as u64);
    let hashes = (RandomState::default(), RandomState::default());
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut gathered = Gathered { keep_matches, ..Gathered::default() };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
        for _ in 0..workers {
            let (next, hashes, sender) = (&next, &hashes, sender.clone());
            scope.spawn(move || work((engine, files, hashes), next, &sender));
        }
        // The channel closes when the last worker ends.
        drop(sender);
        for read in receiver {
            gathered.take(read);
            bar.inc(1);
        }
    });
    bar.finish_and_clear();
    gathered.finish(engine.settings(), started.elapsed().as_secs_f64())
}

type Hashes = (RandomState, RandomState);

fn work((engine, files, hashes): (&Engine, &[Source], &Hashes), next: &AtomicUsize, sender: &Sender<Read>) {
    let mut inflater = Inflater::new(Limits::default());
    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        if sender.send(read((engine, hashes), &mut inflater, file)).is_err() {
            return;
        }
    }
}

fn read((engine, hashes): (&Engine, &Hashes), inflater: &mut Inflater, file: &Source) -> Read {
    let name = file.name();
    let opened = match file {
        Source::Path(path) => std::fs::read(path).map(std::borrow::Cow::Owned),
        Source::Bytes(_, bytes) => Ok(std::borrow::Cow::Borrowed(*bytes)),
    };
    let delivered = match opened {
        Ok(delivered) => delivered,
        Err(error) => return Read { name, report: Err(error), trailing: 0, identities: Vec::new() },
    };
    let text = inflater.inflate(&delivered);
    let account = ObjectKey::parse(&name).account.map(str::to_owned);
    let mut identities = Vec::new();
    let mut each = |record: &Record<'_>| identities.push(fingerprint(hashes, record, account.as_deref()));
    let report = evaluate(engine, &text, &name, Limits::default(), &mut each);
    let trailing = text.trailing;
    inflater.recycle(text.bytes);
    Read { name, report: Ok(report), trailing, identities }
}

/// Two keyed hashes stand for an identity, so that a million of them fit into a few dozen megabytes.
fn fingerprint(hashes: &Hashes, record: &Record<'_>, account: Option<&str>) -> (u128, u64) {
    let text = hashes.0.hash_one(record.text());
    let pair = match (&*record.recipient_account, record.plain_id()) {
        ("", _) | (_, None) => {
            let identity = record.identity(account);
            let pair = (identity.account.as_str(), identity.id.as_str());
            (hashes.0.hash_one(pair), hashes.1.hash_one(pair))
        }
        (account, Some(id)) => (hashes.0.hash_one((account, id)), hashes.1.hash_one((account, id))),
    };
    (u128::from(pair.0) << 64 | u128::from(pair.1), text)
}

/// What the workers have found so far.
#[derive(Default)]
struct Gathered {
    ledger: Ledger,
    seen: HashMap<u128, u64, FixedState>,
    scanned: Scanned,
    keep_matches: bool,
}

impl Gathered {
    fn take(&mut self, read: Read) {
        let report = match read.report {
            Ok(report) => report,
            Err(error) => {
                self.scanned.files += 1;
                return self.unread(format!("{}: {error}", read.name));
            }
        };
        // Digests lie beside log files and are none: `qtrail verify` reads them.
        self.scanned.files += usize::from(!report.digest);
        if let Some(problem) = &report.problem {
            self.unread(format!("{}: {problem}", read.name));
        }
        for bad in &report.kept {
            self.scanned.problems.push(format!("{}: record {}: {}", read.name, bad.index, bad.reason));
        }
        self.scanned.records += report.records;
        self.scanned.quarantined += report.quarantined;
        let subject = Subject { id: &read.name, key: &read.name };
        let mut found = subject.problems(&report, read.trailing);
        if self.note_identities(&read.identities) {
            found.push(subject.conflict(&report));
        }
        found.iter().chain(&report.matches).for_each(|found| self.add(found));
    }

    fn unread(&mut self, problem: String) {
        self.scanned.unread += 1;
        self.scanned.problems.push(problem);
    }

    /// Counts copies. Yields whether one of them is not like the record it is a copy of.
    fn note_identities(&mut self, identities: &[(u128, u64)]) -> bool {
        let mut conflict = false;
        for (identity, text) in identities {
            match self.seen.entry(*identity) {
                Entry::Occupied(known) => {
                    self.scanned.duplicates += 1;
                    conflict |= known.get() != text;
                }
                Entry::Vacant(place) => {
                    place.insert(*text);
                }
            }
        }
        conflict
    }

    fn add(&mut self, found: &Match) {
        if self.keep_matches {
            self.scanned.matches.push((found.lead.severity, found.lead.time.0, match_json(found)));
        }
        self.ledger.add(found);
    }

    fn finish(mut self, settings: &Settings, seconds: f64) -> Scanned {
        self.scanned.findings = self.ledger.findings(settings);
        self.scanned.issued = self.ledger.issued;
        // Workers end in any order; what is printed is always the same.
        self.scanned.problems.sort();
        self.scanned.matches.sort_by_cached_key(|(_, time, found)| (*time, found.to_string()));
        self.scanned.seconds = seconds;
        self.scanned
    }
}

fn match_json(found: &Match) -> Value {
    json!({
        "event_id": found.event_id,
        "account": found.record_account,
        "event_time": found.lead.time.0,
        "detection_id": found.detection.id,
        "category": found.detection.category,
        "severity": found.lead.severity,
        "outcome": found.lead.outcome,
        "counted": found.tally.is_some(),
    })
}

fn print_matches(printer: &mut Printer, scanned: &Scanned, least: Severity) -> anyhow::Result<()> {
    for (severity, _, found) in &scanned.matches {
        if *severity >= least {
            printer.line(&found.to_string())?;
        }
    }
    Ok(())
}

/// Prints findings in order of time.
pub(crate) fn print_findings(
    printer: &mut Printer,
    scanned: &Scanned,
    settings: &Settings,
    (format, least): (Format, Severity),
) -> anyhow::Result<()> {
    for finding in scanned.findings.iter().filter(|finding| finding.severity >= least) {
        match format {
            Format::Text => printer.graded(finding.severity, &finding_line(finding, settings))?,
            Format::Ndjson => printer.line(&finding_json(finding, settings).to_string())?,
            Format::Ocsf => printer.line(&finding_ocsf(finding, settings).to_string())?,
        }
    }
    Ok(())
}
