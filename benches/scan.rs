//! How fast log files are read and evaluated, what the facts of their records cost, how fast they are verified, how much
//! memory a large folder takes, what the `ingest` function costs before it does anything, and how long an audit
//! collects. Each figure stands beside its limit; what cannot be measured is said.
//!
//! `cargo bench --bench scan`, or with `-- --records 1000000 --rounds 3` for another corpus.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::Instant;

use corpus::{Corpus, LogFile};
use libdeflater::Decompressor;
use rustix::time::{ClockId, clock_gettime};
use trail::detection::Engine;
use trail::log_file::{self, Inflater, Limits};
use trail::record::Record;
use trail::settings::Settings;

mod collect;
#[expect(dead_code, reason = "the example that makes the demo's events uses the rest")]
mod corpus;
#[path = "../tests/support/digests.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod digests;
mod facts;
mod function;
mod memory;
mod verify;

/// What the ratio has to be, as built.
const LEAST_RATIO: f64 = if cfg!(target_feature = "avx2") { 0.45 } else { 0.38 };

fn main() {
    let records = argument("--records").unwrap_or(200_000);
    let rounds = argument("--rounds").unwrap_or(7);
    println!("built for {}, {}", std::env::consts::ARCH, features());
    speed(records, rounds);
    println!();
    verify::report(rounds);
    println!();
    memory::report(argument("--memory-records").unwrap_or(1_000_000));
    println!();
    function::report();
    println!();
    collect::report();
}

fn argument(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next()?.parse().ok()
}

fn features() -> &'static str {
    if cfg!(target_feature = "avx2") {
        "with AVX2 (x86-64-v3): the limit for the ratio is 0.45"
    } else {
        "the default features: the limit for the ratio is 0.38 (RUSTFLAGS=-Ctarget-cpu=x86-64-v3 has its own, 0.45)"
    }
}

/// Seconds of CPU that each round took.
#[derive(Default)]
struct Times {
    libdeflate: Vec<f64>,
    inflate: Vec<f64>,
    evaluate: Vec<f64>,
    facts: Vec<f64>,
    lake: Vec<f64>,
}

fn speed(records: usize, rounds: usize) {
    let started = Instant::now();
    let files: Vec<LogFile> = Corpus { records, ..Corpus::default() }.files().collect();
    let json: usize = files.iter().map(|file| file.json_bytes).sum();
    let gzip: usize = files.iter().map(|file| file.gzip.len()).sum();
    println!(
        "corpus: {records} records in {} files, {} MB of JSON, {} MB gzip, {} bytes a record, made in {:.1} s",
        files.len(),
        json / 1_000_000,
        gzip / 1_000_000,
        json / records,
        started.elapsed().as_secs_f64()
    );
    let engine = Engine::new(Settings::default());
    let mut times = Times::default();
    let (mut matches, mut tally, mut lake) = (0, facts::Tally::default(), facts::Lake::default());
    for _ in 0..rounds {
        times.libdeflate.push(cpu_seconds(|| libdeflate(&files)));
        times.inflate.push(cpu_seconds(|| inflate(&files)));
        times.libdeflate.push(cpu_seconds(|| libdeflate(&files)));
        times.evaluate.push(cpu_seconds(|| matches = evaluate(&engine, &files, records, &mut |_| {})));
        tally = facts::Tally::default();
        times.facts.push(cpu_seconds(|| {
            evaluate(&engine, &files, records, &mut |record| tally.add(record));
        }));
        lake = facts::Lake::default();
        times.lake.push(cpu_seconds(|| {
            evaluate(&engine, &files, records, &mut |record| lake.add(record));
            lake.seal();
        }));
    }
    println!(
        "{} detections, {matches} matches; CPU time of one thread, {rounds} rounds of A/B/A/C/D/E",
        engine.detections().len()
    );
    let figures = |name, times: &[f64]| {
        let (best, median) = best_and_median(times);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (records, megabytes) = (records as f64, json as f64 / 1e6);
        println!(
            "{name:<32} best {:>7.0} records/s {:>6.0} MB/s   median {:>7.0} records/s {:>6.0} MB/s",
            records / best,
            megabytes / best,
            records / median,
            megabytes / median
        );
        (best, median)
    };
    let limit = figures("A libdeflate, nothing else", &times.libdeflate);
    figures("B our inflating alone", &times.inflate);
    let ours = figures("C read and evaluate", &times.evaluate);
    let with_facts = figures("D the same, with the facts", &times.facts);
    let with_lake = figures("E the same, with the lake", &times.lake);
    tally.report(ours.0, with_facts.0);
    lake.report(ours.0, with_lake.0);
    let (best, median) = (limit.0 / ours.0, limit.1 / ours.1);
    println!("ratio C/A: best {best:.3}, median {median:.3}; limit {LEAST_RATIO}: {}", verdict(best >= LEAST_RATIO));
}

fn libdeflate(files: &[LogFile]) {
    let mut decompressor = Decompressor::new();
    let mut buffer = Vec::new();
    for file in files {
        buffer.resize(file.json_bytes, 0);
        let size = decompressor.gzip_decompress(&file.gzip, &mut buffer);
        assert_eq!(size, Ok(file.json_bytes));
    }
}

fn inflate(files: &[LogFile]) {
    let mut inflater = Inflater::new(Limits::default());
    for file in files {
        let text = inflater.inflate(&file.gzip);
        assert_eq!((&text.problem, text.bytes.len()), (&None, file.json_bytes));
        inflater.recycle(text.bytes);
    }
}

/// How many matches there are.
fn evaluate(engine: &Engine, files: &[LogFile], records: usize, each: &mut dyn FnMut(&Record<'_>)) -> usize {
    let limits = Limits::default();
    let mut inflater = Inflater::new(limits);
    let (mut evaluated, mut matches) = (0, 0);
    for file in files {
        let text = inflater.inflate(&file.gzip);
        let report = log_file::evaluate(engine, &text, &file.key, limits, each);
        evaluated += report.evaluated;
        matches += report.matches.len();
        inflater.recycle(text.bytes);
    }
    assert_eq!(evaluated, records);
    matches
}

fn cpu_seconds(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds are small")]
        let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        seconds
    };
    let start = now();
    work();
    now() - start
}

fn best_and_median(times: &[f64]) -> (f64, f64) {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}
