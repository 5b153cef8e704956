//! Searching a month: how long each kind of question takes, beside `DuckDB` on the same files.
//!
//! ```text
//! cargo bench -p lake --bench search -- --records 10000000 --dir /var/tmp/lake --python venv/bin/python
//! ```
//!
//! The lake is made once and used again. Without `--python` (an interpreter that has `duckdb`) only the own figures are
//! printed. `--delay 30` puts so many milliseconds in front of each request, as a far store does.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fmt::Write as _;
use std::path::{Path as File, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lake::answer::{Outline, Page};
use lake::query::Field;
use lake::{Lake, Query};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use trail::facts::{Facts, Hint};
use trail::record::Record;
use trail::time::Time;

use corpus::Corpus;
use far::Far;
use parts::{Layout, part};

#[path = "../../../benches/corpus.rs"]
#[expect(dead_code, reason = "other benchmarks use the rest")]
mod corpus;
mod far;
#[path = "../tests/parts/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod parts;

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
    python: Option<PathBuf>,
    delay: u64,
    builds: bool,
}

fn main() {
    let arguments = Arguments::read();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    if arguments.builds {
        return runtime.block_on(build(&arguments));
    }
    if !arguments.dir.join("needles").exists() {
        // In another process, so that its memory is not counted here.
        let program = std::env::current_exe().expect("a program");
        let built = Command::new(program).arg("--build").args(arguments.again()).status().expect("started");
        assert!(built.success(), "the lake could not be made");
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
            python: after("--python").map(PathBuf::from),
            delay: number("--delay").and_then(|delay| delay.try_into().ok()).unwrap_or(0),
            builds: all.iter().any(|one| one == "--build"),
        }
    }

    fn again(&self) -> [String; 6] {
        let dir = self.dir.display().to_string();
        let [records, hot] = [self.records, self.hot].map(|number| number.to_string());
        ["--records".to_owned(), records, "--hot".to_owned(), hot, "--dir".to_owned(), dir]
    }

    fn store(&self) -> LocalFileSystem {
        std::fs::create_dir_all(&self.dir).expect("a folder");
        LocalFileSystem::new_with_prefix(&self.dir).expect("a store")
    }
}

/// Makes the lake: a part a day with its keys, or hot files of the last day alone.
async fn build(arguments: &Arguments) {
    let store: Arc<dyn ObjectStore> = Arc::new(arguments.store());
    let lake = Lake::new(store.clone(), Path::default());
    let layout = Layout { rows_a_group: 32_768, rows_a_page: 4096, ..Layout::small() };
    let (mut rows_in_all, mut part_bytes, mut key_bytes, mut json_bytes) = (0, 0, 0, 0);
    let days = if arguments.hot > 0 { DAYS - 1..DAYS } else { 0..DAYS };
    let mut needles = String::new();
    for day in days.clone() {
        let count = arguments.records / usize::try_from(days.end - days.start).expect("few");
        let texts = texts(day, count);
        let mut rows: Vec<Facts<'_>> = texts.iter().filter_map(|(account, text)| facts(account, text)).collect();
        rows.retain(|facts| (0..86_400).contains(&(facts.event_time.0 - START - day * 86_400)));
        if day == days.end - 1 - (days.end - days.start) / 2 {
            needles = needles_of(&rows, day);
        }
        rows_in_all += rows.len();
        if arguments.hot > 0 {
            for rows in rows.chunks(rows.len().div_ceil(arguments.hot)) {
                lake.write_hot(parts::sealed(rows)).await.expect("written");
            }
            continue;
        }
        json_bytes += rows.iter().map(|facts| facts.json.len()).sum::<usize>();
        let (bytes, keys) = part(&mut rows, &layout);
        let date = Time(START + day * 86_400).date();
        part_bytes += bytes.len();
        let size = bytes.len() as u64;
        let put = store.put(&Path::from(format!("records/dt={date}/part-0-of-1.parquet")), bytes.into()).await;
        let keys = keys.finish(lake::keys::identity(size, put.expect("stored").e_tag.as_deref()));
        key_bytes += keys.len();
        let path = Path::from(format!("keys/dt={date}/part-0-of-1.keys"));
        store.put(&path, PutPayload::from(keys)).await.expect("stored");
    }
    let each = |bytes: usize| bytes / rows_in_all.max(1);
    println!(
        "made: {rows_in_all} records, parts {} bytes a record, keys {}, JSON in them {}",
        each(part_bytes),
        each(key_bytes),
        each(json_bytes)
    );
    std::fs::write(arguments.dir.join("needles"), needles).expect("written");
}

fn texts(day: i64, count: usize) -> Vec<(&'static str, String)> {
    let corpus = Corpus {
        records: count,
        per_file: count.div_ceil(900).max(2),
        duplicates: 0,
        start: START + day * 86_400 + 600,
        pace: 93,
        ..Corpus::default()
    };
    corpus
        .deliveries()
        .flat_map(|delivery| delivery.records.into_iter().map(move |text| (delivery.account, text)))
        .collect()
}

fn facts<'t>(account: &str, text: &'t str) -> Option<Facts<'t>> {
    let record = Record::parse(text).ok()?;
    let mut facts = Facts::of(&record, Hint { account: Some(account), time: Time(0) }).ok()?;
    if facts.resources.is_empty() {
        let is_name = |text: &&str| text.starts_with("arn:aws:") || text.len() == 19 && text.starts_with("i-0");
        let mut names: Vec<&str> = text.split('"').filter(is_name).collect();
        names.sort_unstable();
        names.dedup();
        facts.resources = names.into_iter().map(Into::into).collect();
    }
    Some(facts)
}

/// What is looked for: of people's records in the middle of the month one address, key and instance.
fn needles_of(rows: &[Facts<'_>], day: i64) -> String {
    let people = || rows.iter().filter(|facts| !facts.by_service);
    let mut users: Vec<(usize, &str)> = Vec::new();
    for facts in people() {
        match users.iter_mut().find(|(_, name)| *name == facts.actor_name) {
            Some((count, _)) => *count += 1,
            None => users.push((1, &facts.actor_name)),
        }
    }
    users.sort_unstable();
    // Half of what people do is done by those who do more than this one.
    let mut left = users.iter().map(|(count, _)| count).sum::<usize>() / 2;
    let is_middle = |(count, _): &&(usize, &str)| {
        let is_here = left <= *count;
        left = left.saturating_sub(*count);
        is_here
    };
    let user = users.iter().find(is_middle).map_or("", |(_, name)| *name);
    let middle = || people().skip(rows.len() / 3);
    let address = middle().find(|facts| facts.source_ip.parse::<std::net::IpAddr>().is_ok());
    let key = middle().find(|facts| facts.access_key.starts_with("ASIA"));
    let resource = middle().flat_map(|facts| &facts.resources).find(|name| name.contains("i-0"));
    let mut needles = String::new();
    let _ = writeln!(needles, "day {}", Time(START + day * 86_400).date());
    let _ = writeln!(needles, "user {user}");
    let _ = writeln!(needles, "ip {}", address.map_or("", |facts| &facts.source_ip));
    let _ = writeln!(needles, "access-key {}", key.map_or("", |facts| &facts.access_key));
    let _ = writeln!(needles, "resource {}", resource.map_or("", |name| name));
    needles
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
