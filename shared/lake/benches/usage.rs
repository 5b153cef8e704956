//! What everybody did in a month: how long counting it takes, and in how much memory.
//!
//! ```text
//! cargo bench -p lake --bench search -- --records 10000000 --dir /var/tmp/lake
//! cargo bench -p lake --bench usage -- --dir /var/tmp/lake --python venv/bin/python
//! ```
//!
//! The first makes the lake that the second counts. Beside it stands `DuckDB`, grouping the same columns.

#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "the figures are what it is for")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use lake::Lake;
use lake::answer::Content;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

/// Seconds that ten million records may take, on two cores.
const MOST_SECONDS: f64 = 60.0;

/// Memory that it may take, in MB.
const MOST_MEMORY: u64 = 500;

fn main() {
    let all: Vec<String> = std::env::args().collect();
    let after = |name: &str| Some(PathBuf::from(all.get(all.iter().position(|one| one == name)? + 1)?));
    let Some(dir) = after("--dir") else {
        println!("usage of a month: NOT MEASURED, name a lake with -- --dir DIR");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .expect("a runtime");
    let store = LocalFileSystem::new_with_prefix(&dir).expect("a store");
    let lake = Lake::new(Arc::new(store), Path::default());
    let (records, actors, seconds) = runtime.block_on(count(&lake));
    let of_ten_million = seconds / records as f64 * 1e7;
    let kept = if of_ten_million <= MOST_SECONDS { "kept" } else { "MISSED" };
    println!(
        "{records} records counted for {actors} actors in {seconds:.2} s: {of_ten_million:.1} s for ten million; limit \
         {MOST_SECONDS}: {kept}"
    );
    let memory = peak_memory() / 1024;
    let kept = if memory <= MOST_MEMORY { "kept" } else { "MISSED" };
    println!("peak memory {memory} MB; limit {MOST_MEMORY}: {kept}");
    if let Some(python) = after("--python") {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/usage.py");
        let output = Command::new(python).arg(script).arg(&dir).output().expect("Python");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

async fn count(lake: &Lake) -> (u64, usize, f64) {
    let Content { days } = lake.content().await.expect("a lake");
    let (first, last) = (days.first().expect("a day").0, days.last().expect("a day").0);
    let started = Instant::now();
    let used = lake.usage(first.start(), last.end()).await.expect("counted");
    let seconds = started.elapsed().as_secs_f64();
    assert!(!used.read.is_partial(), "{:?}", used.read);
    let query = lake::Query::of([]).expect("a query");
    let outline = lake::answer::Outline { facets: &[], top: 0, buckets: 0, budget: u64::MAX };
    let all = lake.overview(&query, outline).await.expect("counted");
    (all.matched, used.actors.len(), seconds)
}

/// In KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
