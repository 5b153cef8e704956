//! Searching a month: how long each kind of question takes, beside `DuckDB` on the same files.
//!
//! ```text
//! cargo bench -p lake --bench search -- --records 10000000 --dir /var/tmp/lake --python venv/bin/python
//! ```
//!
//! The lake is made once, of made-up log files or of those in the folder `--logs`, and used again: what making it takes is
//! printed, too. `--hot 5000` leaves its last day in so many hot files. Without `--python` (an interpreter that has `duckdb`) only the own figures are
//! printed. `--delay 30` puts so many milliseconds in front of each request, as a far store does.

#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "the figures are what it is for")]

use std::path::{Path as File, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lake::answer::{Outline, Page};
use lake::query::Field;
use lake::{Lake, Query};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use far::Far;

#[path = "../../../benches/corpus.rs"]
#[expect(dead_code, reason = "other benchmarks use the rest")]
mod corpus;
mod far;
mod made;

/// 2026-10-01.
const START: i64 = 1_790_812_800;

const DAYS: i64 = 30;

const FACETS: [Field; 8] = [
    Field::User,
    Field::Action,
    Field::Service,
    Field::Ip,
    Field::Error,
    Field::Account,
    Field::Region,
    Field::Identity,
];

struct Arguments {
    records: usize,
    hot: usize,
    dir: PathBuf,
    logs: Option<PathBuf>,
    python: Option<PathBuf>,
    delay: u64,
    step: Option<String>,
}

fn main() {
    let arguments = Arguments::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .expect("a runtime");
    match arguments.step.as_deref() {
        Some("write") => return runtime.block_on(made::write(&arguments)),
        Some("absorb") => return runtime.block_on(made::absorb(&arguments)),
        _ => {}
    }
    if !arguments.dir.join("needles").exists() {
        Arguments::step("write");
        if arguments.hot == 0 {
            Arguments::step("absorb");
        }
    }
    runtime.block_on(measure(&arguments));
}

impl Arguments {
    fn read() -> Self {
        let all: Vec<String> = std::env::args().collect();
        let after = |name: &str| Some(all.get(all.iter().position(|one| one == name)? + 1)?.clone());
        let number = |name: &str| after(name).and_then(|number| number.parse().ok());
        let records = number("--records").unwrap_or(1_000_000);
        let dir = after("--dir").map_or_else(|| std::env::temp_dir().join(format!("lake-{records}")), PathBuf::from);
        Self {
            records,
            hot: number("--hot").unwrap_or(0),
            dir,
            logs: after("--logs").map(PathBuf::from),
            python: after("--python").map(PathBuf::from),
            delay: number("--delay").and_then(|delay| delay.try_into().ok()).unwrap_or(0),
            step: after("--step"),
        }
    }

    /// Does it in another process, so that its memory is not counted here.
    fn step(name: &str) {
        let program = std::env::current_exe().expect("a program");
        let again = std::env::args().skip(1);
        let done = Command::new(program).args(["--step", name]).args(again).status().expect("started");
        assert!(done.success(), "the lake could not be made");
    }

    fn store(&self) -> LocalFileSystem {
        std::fs::create_dir_all(&self.dir).expect("a folder");
        LocalFileSystem::new_with_prefix(&self.dir).expect("a store")
    }
}

/// A question, and what to call it.
struct Question {
    name: &'static str,
    query: Query,
    counts: bool,
}

fn questions(dir: &File) -> Vec<Question> {
    let text = std::fs::read_to_string(dir.join("needles")).expect("needles");
    let needle = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.trim().to_owned()).unwrap_or_default()
    };
    let day = needle("day");
    let next = lake::layout::Day::parse(&day).expect("a day").next().to_string();
    let ask = |name, pairs: &[(&str, &str)], counts| Question {
        name,
        query: Query::of(pairs.iter().copied()).expect("a query"),
        counts,
    };
    let span = [("from", day.as_str()), ("to", next.as_str())];
    let (user, ip, key, resource) = (needle("user"), needle("ip"), needle("access-key"), needle("resource"));
    vec![
        ask("user, one day", &[("user", user.as_str()), span[0], span[1]], false),
        ask("newest of a day", &span, false),
        ask("address, 30 days", &[("ip", ip.as_str())], false),
        ask("access key, 30 days", &[("access-key", key.as_str())], false),
        ask("resource, 30 days", &[("resource", resource.as_str())], false),
        ask("action, 30 days", &[("action", "StopLogging")], false),
        ask("user, 30 days", &[("user", user.as_str())], false),
        ask("facets of a day", &span, true),
    ]
}

async fn measure(arguments: &Arguments) {
    let requests = Arc::new(AtomicUsize::new(0));
    let store: Arc<dyn ObjectStore> = if arguments.delay > 0 {
        Arc::new(Far::new(arguments.store(), Duration::from_millis(arguments.delay), requests.clone()))
    } else {
        Arc::new(arguments.store())
    };
    let lake = Lake::new(store, Path::default());
    let peers = arguments.python.as_ref().map(|python| peer(python, &arguments.dir));
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>8} {:>7} {:>9}  DuckDB p50, p95, ratio",
        "", "first ms", "p50", "p95", "requests", "MB", "records"
    );
    for question in questions(&arguments.dir) {
        requests.store(0, Ordering::Relaxed);
        let (first, ..) = ask(&lake, &question).await;
        let asked = requests.load(Ordering::Relaxed);
        let mut times = Vec::new();
        let (mut found, mut read) = (0, lake::answer::Read::default());
        for _ in 0..if arguments.delay > 0 { 5 } else { 40 } {
            let time;
            (time, found, read) = ask(&lake, &question).await;
            times.push(time);
        }
        times.sort_by(f64::total_cmp);
        let (p50, p95) = (times[times.len() / 2], times[times.len() * 95 / 100]);
        let theirs = peers.as_ref().and_then(|peers| peers.iter().find(|peer| peer.0 == question.name));
        let theirs = theirs.map_or_else(String::new, |(_, peer_50, peer_95, count)| {
            assert_eq!(*count, found, "{}: another answer than DuckDB's", question.name);
            format!("{peer_50:.1}, {peer_95:.1}, {:.1}x", peer_50 / p50)
        });
        let asked = if arguments.delay > 0 { asked } else { read.requests };
        let megabytes = read.bytes / 1_000_000;
        println!(
            "{:<22} {first:>9.1} {p50:>9.1} {p95:>9.1} {asked:>8} {megabytes:>7} {found:>9}  {theirs}",
            question.name
        );
    }
    println!("peak memory {} MB", peak_memory() / 1024);
}

async fn ask(lake: &Lake, question: &Question) -> (f64, u64, lake::answer::Read) {
    let start = Instant::now();
    let (found, read) = if question.counts {
        let outline = Outline { facets: &FACETS, top: 10, buckets: 24, budget: u64::MAX };
        let overview = lake.overview(&question.query, outline).await.expect("an overview");
        (overview.matched, overview.read)
    } else {
        let answer = lake.search(&question.query, &Page::default()).await.expect("an answer");
        (answer.rows.len() as u64, answer.read)
    };
    assert!(!read.is_partial(), "{read:?}");
    (start.elapsed().as_secs_f64() * 1000.0, found, read)
}

/// Name, median, 95th percentile, and how many records were found.
fn peer(python: &File, dir: &File) -> Vec<(String, f64, f64, u64)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/search.py");
    let output = Command::new(python).arg(script).arg(dir).output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let figures = |line: &str| {
        let mut fields = line.split('\t');
        let name = fields.next()?.to_owned();
        Some((name, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    text.lines().filter_map(figures).collect()
}

/// In KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
