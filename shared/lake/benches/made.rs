//! The lake that is searched, made as it is made in use: facts of log records, hot files, absorbed a day at a time.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path as File, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use futures::TryStreamExt;
use lake::absorb::Limits;
use lake::columns::{ALL, Column};
use lake::layout::{Day, Part};
use lake::{Hot, Lake};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::metadata::ParquetMetaDataReader;
use serde::Deserialize;
use serde_json::value::RawValue;
use trail::facts::{Facts, Hint};
use trail::record::Record;
use trail::time::Time;

use crate::corpus::Corpus;
use crate::{Arguments, DAYS, START, peak_memory};

/// Records that `ingest` has in hand at a time: ten log files of AWS's usual size.
const BATCH: usize = 5_000;

/// A log file that was read.
struct LogText {
    object: String,
    account: String,
    records: Vec<String>,
}

#[derive(Deserialize)]
struct Envelope<'t> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'t RawValue>,
}

/// The log files: those of a folder, or made-up ones, and the day that needles are taken from.
fn logs(arguments: &Arguments) -> (Box<dyn Iterator<Item = LogText>>, Day) {
    if let Some(folder) = &arguments.logs {
        let mut paths = Vec::new();
        find(folder, &mut paths);
        // By the minute of delivery, which is in the name.
        paths.sort_by_key(|path| {
            path.file_name().map(|name| name.to_string_lossy().split('_').nth(3).map(str::to_owned))
        });
        let texts: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let middle = texts.get(texts.len() / 2).and_then(|path| day_of(path)).unwrap_or(Day::of(Time(START)));
        return (Box::new(paths.into_iter().map(|path| read(&path))), middle);
    }
    let days = if arguments.hot > 0 { DAYS - 1..DAYS } else { 0..DAYS };
    let count = arguments.records / usize::try_from(days.end - days.start).expect("few");
    let middle = days.end - 1 - (days.end - days.start) / 2;
    (Box::new(days.flat_map(move |day| made_up(day, count))), Day::of(Time(START + middle * 86_400)))
}

fn find(folder: &File, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, paths);
        } else if path.to_string_lossy().ends_with(".json.gz") {
            paths.push(path);
        }
    }
}

/// The day in `…_20261002T0614Z_….json.gz`.
fn day_of(path: &str) -> Option<Day> {
    let time = path.rsplit('/').next()?.split('_').nth(3)?;
    Day::parse(&format!("{}-{}-{}", time.get(..4)?, time.get(4..6)?, time.get(6..8)?))
}

fn read(path: &File) -> LogText {
    let mut text = String::new();
    let packed = std::fs::File::open(path).expect("a log file");
    MultiGzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
    let envelope: Envelope<'_> = serde_json::from_str(&text).expect("a log file");
    let records = envelope.records.iter().map(|record| record.get().to_owned()).collect();
    let whole = path.to_string_lossy();
    let key = whole.find("AWSLogs/").map_or(&*whole, |at| &whole[at..]);
    let account = key.split('/').nth(1).unwrap_or_default().to_owned();
    LogText { object: format!("trail-logs/{key}"), account, records }
}

fn made_up(day: i64, count: usize) -> impl Iterator<Item = LogText> + use<> {
    let corpus = Corpus {
        records: count,
        per_file: count.div_ceil(900).max(2),
        duplicates: 0,
        start: START + day * 86_400 + 600,
        pace: 93,
        ..Corpus::default()
    };
    corpus.deliveries().enumerate().map(|(at, delivery)| {
        let (account, region) = (delivery.account, delivery.region);
        let stamp = Time(delivery.time).to_string().replace(['-', ':'], "");
        // Names of log files end in sixteen letters that never come again.
        let tail =
            u128::from_le_bytes([at.to_le_bytes(), delivery.time.to_le_bytes()].concat().try_into().expect("16"))
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
        let tail = format!("{tail:032X}");
        let date = Time(delivery.time).date().replace('-', "/");
        let object = format!(
            "trail-logs/AWSLogs/{account}/CloudTrail/{region}/{date}/{account}_CloudTrail_{region}_{stamp}_{}.json.gz",
            &tail[16..]
        );
        LogText { object, account: account.to_owned(), records: delivery.records }
    })
}

/// Nanoseconds of the processor, by step.
#[derive(Default)]
struct Costs {
    facts: u64,
    push: u64,
    seal: u64,
}

/// Writes the hot files, and the needles.
pub(crate) async fn write(arguments: &Arguments) {
    let lake = Lake::new(Arc::new(arguments.store()), Path::default());
    let (logs, middle) = logs(arguments);
    let batch = if arguments.hot > 0 { arguments.records.div_ceil(arguments.hot) } else { BATCH };
    let (mut costs, mut needles, mut hot) = (Costs::default(), Vec::new(), Hot::default());
    let (mut rows, mut files, mut bytes, mut json) = (0, 0, 0, 0);
    let mut logs = logs.peekable();
    while let Some(log) = logs.next() {
        for records in chunks(&log.records, arguments.hot > 0, batch) {
            for facts in take(&log, records, &mut hot, &mut costs) {
                if needles.len() < 2_000_000 && Day::of(facts.event_time) == middle {
                    needles.push(Facts { json: "".into(), ..facts }.into_owned());
                }
            }
            if hot.rows() >= batch || hot.bytes() >= lake::hot::FULL || arguments.hot > 0 || logs.peek().is_none() {
                let full = std::mem::take(&mut hot);
                rows += full.rows();
                json += full.bytes();
                let start = busy();
                let sealed = full.seal().expect("sealed");
                costs.seal += busy() - start;
                bytes += sealed.bytes();
                files += lake.write_hot(sealed).await.expect("written").len();
            }
        }
    }
    let each = |cost: u64| cost as f64 / 1000.0 / rows.max(1) as f64;
    println!(
        "hot: {rows} records of {} bytes in {files} files, {} bytes a record; a record takes {:.2} us for its facts, \
         {:.2} us to push, {:.2} us to seal",
        json / rows.max(1),
        bytes / rows.max(1),
        each(costs.facts),
        each(costs.push),
        each(costs.seal)
    );
    std::fs::write(arguments.dir.join("needles"), needles_of(&needles, middle)).expect("written");
}

fn chunks(records: &[String], cuts: bool, batch: usize) -> std::slice::Chunks<'_, String> {
    records.chunks(if cuts { batch } else { records.len().max(1) })
}

fn take<'t>(log: &'t LogText, records: &'t [String], hot: &mut Hot, costs: &mut Costs) -> Vec<Facts<'t>> {
    let parsed: Vec<Record<'_>> = records.iter().filter_map(|text| Record::parse(text).ok()).collect();
    let hint = Hint { account: Some(&log.account), time: Time(0) };
    let start = busy();
    let mut all: Vec<Facts<'_>> = parsed.iter().filter_map(|record| Facts::of(record, hint).ok()).collect();
    let read = busy();
    for (index, facts) in (0..).zip(&mut all) {
        facts.source_object = log.object.as_str().into();
        facts.source_index = index;
        hot.push(facts);
    }
    costs.facts += read - start;
    costs.push += busy() - read;
    all
}

/// Absorbs every day that has hot files.
pub(crate) async fn absorb(arguments: &Arguments) {
    let store: Arc<dyn ObjectStore> = Arc::new(arguments.store());
    let lake = Lake::new(store.clone(), Path::default());
    let days = lake.content().await.expect("content").days;
    let (mut rows, start) = (0, spent());
    for (day, _) in days.into_iter().filter(|(_, content)| content.hot > 0) {
        let absorbed = lake.absorb(day, Part { index: 0, of: 1 }, &Limits::default()).await.expect("absorbed");
        rows += absorbed.rows;
    }
    println!(
        "absorb: {rows} records, {:.1} us each, peak memory {} MB",
        (spent() - start) as f64 * 10_000.0 / rows.max(1) as f64,
        peak_memory() / 1024
    );
    lake.sweep().await.expect("swept");
    sizes(&*store).await;
}

/// Bytes a record of what stands, by column.
async fn sizes(store: &dyn ObjectStore) {
    let list = async |room: &str| store.list(Some(&Path::from(room))).try_collect::<Vec<_>>().await.expect("a list");
    let keys: u64 = list("keys").await.iter().map(|object| object.size).sum();
    let (mut rows, mut files) = (0, 0);
    let mut columns = [0_i64; ALL.len()];
    for object in list("records").await {
        let bytes = store.get(&object.location).await.expect("a part").bytes().await.expect("its bytes");
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).expect("a part");
        files += object.size;
        rows += metadata.file_metadata().num_rows();
        for group in metadata.row_groups() {
            for (sum, column) in columns.iter_mut().zip(group.columns()) {
                *sum += column.compressed_size();
            }
        }
    }
    let each = |bytes: i64| bytes as f64 / rows.max(1) as f64;
    let of = |wanted: &dyn Fn(Column) -> bool| -> i64 {
        ALL.iter().zip(columns).filter(|(column, _)| wanted(**column)).map(|(_, bytes)| bytes).sum()
    };
    let ids = of(&|one| matches!(one, Column::EventId | Column::RequestId | Column::SharedEventId));
    let json = of(&|one| one == Column::Json);
    let files = i64::try_from(files).expect("a size");
    println!(
        "parts: {:.1} bytes a record, JSON {:.1}, ids {:.1}, without both {:.1}; footers {:.1}; key files {:.1}",
        each(files),
        each(json),
        each(ids),
        each(files - json - ids),
        each(files - columns.iter().sum::<i64>()),
        each(i64::try_from(keys).expect("a size"))
    );
    let mut text = String::new();
    let mut sorted: Vec<(i64, Column)> = columns.into_iter().zip(ALL).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    for (bytes, column) in sorted.into_iter().filter(|(bytes, _)| each(*bytes) >= 0.05) {
        let _ = write!(text, " {} {:.2}", column.name(), each(bytes));
    }
    println!("columns:{text}");
}

/// What is looked for: of people's records in the middle of the month one address, key and instance.
fn needles_of(rows: &[Facts<'_>], day: Day) -> String {
    let people = || rows.iter().filter(|facts| !facts.by_service);
    let mut users = std::collections::BTreeMap::<&str, usize>::new();
    people().for_each(|facts| *users.entry(&facts.actor_name).or_default() += 1);
    let mut users: Vec<(usize, &str)> = users.into_iter().map(|(name, count)| (count, name)).collect();
    users.sort_unstable();
    // Half of what people do is done by those who do more than this one.
    let mut left = users.iter().map(|(count, _)| count).sum::<usize>() / 2;
    let is_middle = |(count, _): &&(usize, &str)| {
        let is_here = left <= *count;
        left = left.saturating_sub(*count);
        is_here
    };
    let user = users.iter().find(is_middle).map_or("", |(_, name)| *name);
    let middle = || people().skip(people().count() / 3);
    let address = middle().find(|facts| facts.source_ip.parse::<std::net::IpAddr>().is_ok());
    let key = middle().find(|facts| facts.access_key.starts_with("ASIA"));
    let resource = middle().flat_map(|facts| &facts.resources).find(|name| name.contains("i-0"));
    let mut needles = String::new();
    let _ = writeln!(needles, "day {day}");
    let _ = writeln!(needles, "user {user}");
    let _ = writeln!(needles, "ip {}", address.map_or("", |facts| &facts.source_ip));
    let _ = writeln!(needles, "access-key {}", key.map_or("", |facts| &facts.access_key));
    let _ = writeln!(needles, "resource {}", resource.map_or("", |name| name));
    needles
}

/// Nanoseconds that this thread has been on a processor.
fn busy() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// Hundredths of a second that this process has been on a processor.
fn spent() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}
