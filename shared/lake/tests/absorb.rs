//! Absorbing against a list: whatever the order, the batches, the copies and the crashes, a day holds each record once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use lake::absorb::{Absorbed, Limits};
use lake::answer::Page;
use lake::layout::{Day, Part};
use lake::pending::PART_ROWS;
use lake::{Error, Hot, Lake, Query};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use proptest::prelude::*;
use trail::facts::Facts;
use trail::time::Time;

/// Long after everything, so that all is due.
const LATER: Time = Time(4_000_000_000);
const NOON: i64 = 1_790_000_000;

/// A store that fails from its k-th request on, as if the process had died there.
#[derive(Debug)]
struct Mortal {
    inner: Arc<InMemory>,
    left: AtomicUsize,
}

impl Mortal {
    fn dying_after(inner: &Arc<InMemory>, requests: usize) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), left: AtomicUsize::new(requests) })
    }

    fn live(&self) -> Result<()> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| object_store::Error::Generic { store: "mortal", source: "the process died".into() })
    }
}

impl fmt::Display for Mortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mortal")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Mortal {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.live()?;
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.live()?;
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.live()?;
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.live()?;
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.live() {
            Ok(()) => self.inner.delete_stream(paths),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.live() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.live()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.live()?;
        self.inner.copy_opts(from, to, options).await
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn lake_on(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::new(store, Path::from("data"))
}

fn limits(memory: usize) -> Limits {
    Limits { memory, dense: false, ..Limits::default() }
}

/// A record: who, when and which; its body says which of several bodies it is.
fn record(actor: u8, time: i64, id: u8, body: u8) -> Facts<'static> {
    Facts {
        event_time: Time(NOON + time),
        event_id: format!("id-{id}").into(),
        account: "111122223333".into(),
        actor_name: format!("actor-{actor}").into(),
        by_service: actor.is_multiple_of(3),
        json: format!("{{\"body\":{body},\"id\":{id}}}").into(),
        source_object: "bucket/file".into(),
        ..Facts::default()
    }
}

/// What a record is, whichever copy of it was kept.
fn essence(facts: &Facts<'_>) -> (Time, String, String, String) {
    (facts.event_time, facts.actor_name.to_string(), facts.event_id.to_string(), facts.json.to_string())
}

/// The records of a list, each once.
fn oracle(rows: &[Facts<'static>]) -> Vec<(Time, String, String, String)> {
    rows.iter().map(essence).collect::<BTreeSet<_>>().into_iter().collect()
}

async fn write(lake: &Lake, rows: &[Facts<'static>]) -> std::result::Result<(), Error> {
    let mut hot = Hot::default();
    rows.iter().for_each(|facts| hot.push(facts));
    lake.write_hot(hot.seal()?).await.map(drop)
}

async fn absorb_all(lake: &Lake, daily: u64, limits: &Limits) -> std::result::Result<Vec<Absorbed>, Error> {
    let mut answers = Vec::new();
    for unit in lake.pending(LATER, daily, None).await? {
        answers.push(lake.absorb(unit.day, unit.part, limits).await?);
    }
    Ok(answers)
}

/// All records that the files below a prefix hold, in the order of files and rows.
async fn contents(store: &InMemory, prefix: &str) -> BTreeMap<String, Vec<(Time, String, String, String)>> {
    let prefix = Path::from(format!("data/{prefix}"));
    let files: Vec<ObjectMeta> = store.list(Some(&prefix)).map(|meta| meta.expect("listed")).collect().await;
    let mut found = BTreeMap::new();
    for file in files {
        // A lake of this one file, so that the reader's own deduplication does not hide a copy.
        let bytes = store.get(&file.location).await.expect("there").bytes().await.expect("bytes");
        found.insert(file.location.to_string(), rows_of(bytes));
    }
    found
}

fn rows_of(bytes: Bytes) -> Vec<(Time, String, String, String)> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMillisecondType;
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a file");
    let mut rows = Vec::new();
    for batch in reader.build().expect("a reader").map(|batch| batch.expect("a batch")) {
        let text = |name: &str, row: usize| {
            batch.column_by_name(name).expect("a column").as_string::<i32>().value(row).to_owned()
        };
        let times =
            batch.column_by_name("event_time").expect("times").as_primitive::<TimestampMillisecondType>().clone();
        for row in 0..batch.num_rows() {
            let time = Time(times.value(row) / 1000);
            rows.push((time, text("actor_name", row), text("event_id", row), text("json", row)));
        }
    }
    rows
}

/// The day's parts, all rows sorted: to be compared with the oracle, so a row that is there twice shows.
async fn parts(store: &InMemory) -> Vec<(Time, String, String, String)> {
    let mut rows: Vec<_> = contents(store, "records").await.into_values().flatten().collect();
    rows.sort();
    rows
}

fn rows() -> impl Strategy<Value = Vec<Facts<'static>>> {
    // Times span two days; an id has one actor and time, as a real one, and sometimes two bodies.
    let row = (0_u8..40, prop_oneof![9 => Just(0_u8), 1 => Just(1)], 0_u32..3).prop_map(|(id, body, copy)| Facts {
        source_object: format!("bucket/file-{copy}").into(),
        source_index: copy,
        ..record(id % 7, i64::from(id) * 4_000, id, body)
    });
    prop::collection::vec(row, 1..60)
}

fn batches() -> impl Strategy<Value = Vec<Vec<Facts<'static>>>> {
    rows().prop_flat_map(|rows| {
        let size = 1..rows.len().max(2);
        (Just(rows), size).prop_map(|(rows, size)| rows.chunks(size).map(<[_]>::to_vec).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_day_is_its_records_sorted_and_each_once(
        batches in batches(), again in any::<prop::sample::Index>(), daily in 1_u64..4, small in any::<bool>()
    ) {
        let store = Arc::new(InMemory::new());
        let lake = lake_on(store.clone());
        let limits = limits(if small { 1 } else { 64 << 20 });
        run(async {
            for batch in &batches {
                write(&lake, batch).await.expect("written");
                absorb_all(&lake, daily * PART_ROWS, &limits).await.expect("absorbed");
            }
            let all: Vec<Facts<'static>> = batches.concat();
            prop_assert_eq!(parts(&store).await, oracle(&all));
            // A message that is delivered again brings nothing new.
            write(&lake, &batches[again.index(batches.len())]).await.expect("written");
            let more = absorb_all(&lake, PART_ROWS, &limits).await.expect("absorbed");
            prop_assert!(more.iter().all(|absorbed| !absorbed.written));
            prop_assert_eq!(parts(&store).await, oracle(&all));
            for rows in contents(&store, "records").await.into_values() {
                let order = |row: &(Time, String, String, String)| {
                    let actor: u8 = row.1["actor-".len()..].parse().expect("a number");
                    (actor.is_multiple_of(3), row.1.clone(), row.0, row.2.clone())
                };
                prop_assert!(rows.is_sorted_by_key(order));
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_order_and_any_batches_make_the_same_part(batches in batches()) {
        let make = |batches: &[Vec<Facts<'static>>], step: usize| run(async {
            let store = Arc::new(InMemory::new());
            let lake = lake_on(store.clone());
            for some in batches.chunks(step) {
                for batch in some {
                    write(&lake, batch).await.expect("written");
                }
                absorb_all(&lake, 1, &limits(1)).await.expect("absorbed");
            }
            contents(&store, "records").await
        });
        let backwards: Vec<_> = batches.iter().rev().map(|batch| batch.iter().rev().cloned().collect()).collect();
        prop_assert_eq!(make(&batches, 1), make(&backwards, 3));
    }

    #[test]
    fn facts_come_back_as_they_were(facts in prop::collection::vec(any_facts(), 1..20)) {
        let wanted: BTreeMap<String, Facts<'static>> =
            facts.into_iter().map(|facts| (facts.event_id.to_string(), facts)).collect();
        let store = Arc::new(InMemory::new());
        let lake = lake_on(store.clone());
        run(async {
            let rows: Vec<Facts<'static>> = wanted.values().cloned().collect();
            write(&lake, &rows).await.expect("written");
            prop_assert_eq!(by_id(&lake).await, wanted.clone());
            absorb_all(&lake, 3 * PART_ROWS, &limits(1)).await.expect("absorbed");
            lake.sweep().await.expect("swept");
            prop_assert_eq!(by_id(&lake).await, wanted.clone());
            Ok(())
        })?;
    }
}

proptest! {
    // A case is a run for each request that it could die at.
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn killed_at_any_request_and_run_again_it_is_the_same_day(batches in few_batches(), daily in 1_u64..3) {
        run(async {
            let all: Vec<Facts<'static>> = batches.concat();
            let wanted = oracle(&all);
            let (first, rest) = batches.split_at(batches.len() / 2);
            let before = Arc::new(InMemory::new());
            for batch in first {
                write(&lake_on(before.clone()), batch).await.expect("written");
            }
            absorb_all(&lake_on(before.clone()), daily * PART_ROWS, &limits(64 << 20)).await.expect("absorbed");
            for batch in rest {
                write(&lake_on(before.clone()), batch).await.expect("written");
            }
            for k in 0.. {
                let store = Arc::new(before.fork());
                let dying = lake_on(Mortal::dying_after(&store, k));
                let died = absorb_and_sweep(&dying, daily).await.is_err();
                // Wherever it died: nothing is missing from parts and hot files together.
                prop_assert_eq!(everything(&store).await, wanted.clone(), "after {} requests", k);
                absorb_and_sweep(&lake_on(store.clone()), daily).await.expect("run again");
                prop_assert_eq!(parts(&store).await, wanted.clone(), "after {} requests", k);
                prop_assert!(contents(&store, "hot").await.is_empty());
                if !died {
                    break;
                }
            }
            Ok(())
        })?;
    }
}

/// A few batches of a few records.
fn few_batches() -> impl Strategy<Value = Vec<Vec<Facts<'static>>>> {
    let row = (0_u8..6, 0_u8..2).prop_map(|(id, body)| record(id, i64::from(id) * 15_000, id, body));
    prop::collection::vec(prop::collection::vec(row, 1..5), 2..4)
}

async fn absorb_and_sweep(lake: &Lake, daily: u64) -> std::result::Result<usize, Error> {
    absorb_all(lake, daily * PART_ROWS, &limits(64 << 20)).await?;
    lake.sweep().await
}

/// What parts and hot files hold together.
async fn everything(store: &InMemory) -> Vec<(Time, String, String, String)> {
    let found = [contents(store, "records").await, contents(store, "hot").await];
    found.into_iter().flat_map(BTreeMap::into_values).flatten().collect::<BTreeSet<_>>().into_iter().collect()
}

async fn by_id(lake: &Lake) -> BTreeMap<String, Facts<'static>> {
    let page = Page { limit: 1000, json: true, ..Page::default() };
    let answer = lake.search(&Query::default(), &page).await.expect("an answer");
    answer.rows.into_iter().map(|facts| (facts.event_id.to_string(), facts)).collect()
}

fn any_facts() -> impl Strategy<Value = Facts<'static>> {
    let text = || prop_oneof![Just(String::new()), "[a-z]{1,8}", ".{0,12}", Just("長".repeat(400))];
    let nonempty = || prop_oneof!["[a-z]{1,8}", ".{1,12}"];
    let list = || prop::collection::vec(nonempty(), 0..40);
    let texts = prop::collection::vec(text(), 8);
    let flags = (any::<bool>(), prop::option::of(any::<bool>()), any::<bool>());
    (nonempty(), 0_i64..300_000, texts, flags, list(), any::<u16>()).prop_map(
        |(id, time, texts, flags, list, index)| {
            let text = |at: usize| texts[at].clone().into();
            Facts {
                event_time: Time(NOON + time),
                event_id: id.into(),
                account: text(0),
                actor_name: text(1),
                error_message: text(2),
                user_agent: text(3),
                source_ip: text(4),
                issued_key: text(5),
                source_object: text(6),
                json: text(7),
                read_only: flags.0,
                mfa: flags.1,
                by_service: flags.2,
                resources: list.iter().cloned().map(Into::into).collect(),
                resource_types: list.into_iter().rev().map(Into::into).collect(),
                source_index: index.into(),
                ..Facts::default()
            }
        },
    )
}

const NOON_PART: Part = Part { index: 0, of: 1 };

fn noon() -> Day {
    Day::of(Time(NOON))
}

#[tokio::test]
async fn two_bodies_of_one_identity_are_both_kept_and_named() {
    let lake = lake_on(Arc::new(InMemory::new()));
    write(&lake, &[record(1, 0, 7, 0), record(1, 0, 8, 0)]).await.expect("written");
    absorb_all(&lake, 1, &limits(1)).await.expect("absorbed");
    write(&lake, &[record(1, 0, 7, 1), record(1, 0, 8, 0)]).await.expect("written");
    let absorbed = absorb_all(&lake, 1, &limits(1)).await.expect("absorbed").remove(0);
    assert_eq!((absorbed.rows, absorbed.duplicates, absorbed.conflicts), (3, 1, 1));
    assert_eq!(absorbed.conflicting, [("111122223333".to_owned(), "id-7".to_owned())]);
    write(&lake, &[record(1, 0, 9, 0)]).await.expect("written");
    let absorbed = absorb_all(&lake, 1, &limits(1)).await.expect("absorbed").remove(0);
    assert_eq!((absorbed.rows, absorbed.conflicts), (4, 0), "what was said is not said again");
}

#[tokio::test]
async fn a_hot_file_that_cannot_be_used_costs_only_its_own_rows() {
    let store = Arc::new(InMemory::new());
    let lake = lake_on(store.clone());
    write(&lake, &[record(1, 0, 1, 0)]).await.expect("written");
    let whole = &store.list(None).next().await.expect("one").expect("listed").location;
    let bytes = store.get(whole).await.expect("there").bytes().await.expect("bytes");
    let day = format!("data/hot/dt={}", noon());
    for (name, bytes) in [("cut", bytes.slice(..bytes.len() / 2)), ("foreign", Bytes::from_static(b"PAR1 no PAR1"))] {
        store.put(&Path::from(format!("{day}/{name}.parquet")), bytes.into()).await.expect("put");
    }
    let absorbed = lake.absorb(noon(), NOON_PART, &limits(1)).await.expect("absorbed");
    assert_eq!((absorbed.rows, absorbed.hot, absorbed.skipped.len()), (1, 1, 2));
    assert!(absorbed.skipped[0].0.ends_with("cut.parquet"), "{:?}", absorbed.skipped);
    lake.sweep().await.expect("swept");
    assert_eq!(lake.unabsorbed(LATER, None).await.expect("counted").files, 2);
    assert_eq!(contents_names(&store, "hot").await.len(), 2, "what was skipped is not deleted");
}

async fn contents_names(store: &InMemory, prefix: &str) -> Vec<String> {
    let prefix = Path::from(format!("data/{prefix}"));
    store.list(Some(&prefix)).map(|meta| meta.expect("listed").location.to_string()).collect().await
}

#[tokio::test]
async fn a_damaged_part_says_how_it_is_mended_and_is_mended_so() {
    let store = Arc::new(InMemory::new());
    let lake = lake_on(store.clone());
    write(&lake, &[record(1, 0, 1, 0)]).await.expect("written");
    absorb_all(&lake, 1, &limits(1)).await.expect("absorbed");
    write(&lake, &[record(1, 0, 2, 0)]).await.expect("written");
    let part = Path::from(format!("data/records/dt={}/part-0-of-1.parquet", noon()));
    let bytes = store.get(&part).await.expect("there").bytes().await.expect("bytes");
    store.put(&part, bytes.slice(..bytes.len() - 9).into()).await.expect("put");
    let error = lake.absorb(noon(), NOON_PART, &limits(1)).await.expect_err("damaged").to_string();
    assert!(error.contains(&format!("qtrail rebuild --from {} --to {}", noon(), noon().next())), "{error}");
    let mut remake = lake.remake(noon(), 1, &limits(1)).await.expect("begun");
    for facts in [record(1, 0, 1, 0), record(2, 0, 3, 0)] {
        assert!(remake.push(&facts).await.expect("taken"));
    }
    assert!(!remake.push(&record(1, 86_400, 4, 0)).await.expect("of another day"));
    let made = remake.finish().await.expect("made");
    assert_eq!((made[0].rows, made[0].duplicates), (3, 1), "raw records and hot ones together");
    assert!(!lake.absorb(noon(), NOON_PART, &limits(1)).await.expect("nothing to do").written);
}

#[tokio::test]
async fn a_later_schema_is_left_alone() {
    let store = Arc::new(InMemory::new());
    let lake = lake_on(store.clone());
    write(&lake, &[record(1, 0, 1, 0)]).await.expect("written");
    let path = Path::from(format!("data/records/dt={}/part-0-of-1.parquet", noon()));
    store.put(&path, later_schema().into()).await.expect("put");
    let error = lake.absorb(noon(), NOON_PART, &limits(1)).await.expect_err("later");
    assert!(matches!(error, Error::LaterSchema { version: 999, .. }), "{error}");
}

fn later_schema() -> Vec<u8> {
    use parquet::file::metadata::KeyValue;
    let schema = Arc::new(lake::columns::schema());
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), schema, None).expect("a writer");
    writer.append_key_value_metadata(KeyValue::new("qtrail.schema".to_owned(), "999".to_owned()));
    writer.into_inner().expect("a file")
}

#[tokio::test]
async fn what_is_due_is_a_tenth_or_an_hour_old() {
    let lake = lake_on(Arc::new(InMemory::new()));
    let many: Vec<Facts<'static>> = (0..200).map(|id| record(1, 0, id, 0)).collect();
    write(&lake, &many).await.expect("written");
    let first = lake.pending(Time(0), 1, None).await.expect("units");
    assert_eq!(first.len(), 1, "a day without parts is due");
    absorb_all(&lake, 1, &limits(1)).await.expect("absorbed");
    assert!(lake.pending(LATER, 1, None).await.expect("units").is_empty());
    write(&lake, &[record(1, 0, 250, 0)]).await.expect("written");
    let written = first[0].oldest;
    assert!(lake.pending(written, 1, None).await.expect("units").is_empty(), "one record, just written");
    assert_eq!(lake.pending(Time(written.0 + 3700), 1, None).await.expect("units").len(), 1);
    assert_eq!(lake.unabsorbed(Time(written.0 + 3700), None).await.expect("counted").files, 0);
    assert_eq!(lake.unabsorbed(Time(written.0 + 7 * 3600), None).await.expect("counted").files, 1);
}

#[tokio::test]
async fn a_plan_of_the_last_days_leaves_the_others_out() {
    let lake = lake_on(Arc::new(InMemory::new()));
    write(&lake, &[record(1, 0, 1, 0)]).await.expect("written");
    for (since, units) in [(noon(), 1), (noon().next(), 0), (noon().previous(), 1)] {
        assert_eq!(lake.pending(LATER, 1, Some(since)).await.expect("units").len(), units, "{since}");
        assert_eq!(lake.unabsorbed(LATER, Some(since)).await.expect("counted").files, units, "{since}");
    }
}

#[tokio::test]
async fn a_day_keeps_its_cut() {
    let store = Arc::new(InMemory::new());
    let lake = lake_on(store.clone());
    write(&lake, &[record(1, 0, 1, 0), record(2, 0, 2, 0)]).await.expect("written");
    let units = lake.pending(LATER, 2 * PART_ROWS, None).await.expect("units");
    assert_eq!(units.iter().map(|unit| unit.part.of).collect::<Vec<_>>(), [2, 2]);
    lake.absorb(noon(), units[0].part, &limits(1)).await.expect("absorbed");
    let error = lake.absorb(noon(), NOON_PART, &limits(1)).await.expect_err("another cut");
    assert!(matches!(error, Error::Cut { of: 2, asked: 1, .. }), "{error}");
    assert_eq!(lake.sweep().await.expect("swept"), 0, "a part is missing still");
    absorb_all(&lake, 1, &limits(1)).await.expect("absorbed");
    assert_eq!(lake.sweep().await.expect("swept"), 1);
    assert_eq!(contents(&store, "records").await.len(), 2);
}

#[tokio::test]
async fn the_same_batch_in_any_order_has_the_same_name() {
    let store = Arc::new(InMemory::new());
    let lake = lake_on(store.clone());
    let mut rows: Vec<Facts<'static>> = (0..50).map(|id| record(id % 5, 0, id, 0)).collect();
    write(&lake, &rows).await.expect("written");
    rows.reverse();
    let (left, right) = rows.split_at(20);
    let mut all = Hot::default();
    for half in [left, right] {
        let mut hot = Hot::default();
        half.iter().for_each(|facts| hot.push(facts));
        all.append(hot);
    }
    let written = lake.write_hot(all.seal().expect("sealed")).await.expect("written");
    assert_eq!(written.iter().map(|file| file.rows).collect::<Vec<_>>(), [50]);
    assert_eq!(contents(&store, "hot").await.len(), 1);
}

#[tokio::test]
async fn a_part_that_changed_under_the_writer_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).expect("a store");
    let lake = lake_on(Arc::new(store));
    write(&lake, &[record(1, 0, 1, 0)]).await.expect("written");
    for id in 2..4 {
        absorb_all(&lake, 1, &limits(1)).await.expect("absorbed");
        write(&lake, &[record(1, 0, id, 0)]).await.expect("written");
    }
    absorb_all(&lake, 1, &limits(1)).await.expect("absorbed");
    assert_eq!(lake.sweep().await.expect("swept"), 3);
    assert_eq!(by_id(&lake).await.len(), 3);
}
