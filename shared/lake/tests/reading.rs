//! Reading: any query on any lake is a linear filter over its records, each once, whatever happens to the files meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::FutureExt;
use futures::stream::BoxStream;
use lake::answer::{Answer, Bucket, Facet, Outline, Page};
use lake::query::Field;
use lake::{Lake, Query};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use proptest::prelude::*;
use trail::facts::Facts;
use trail::time::Time;

use parts::{Layout, write_part};

mod parts;

const DAY: i64 = 86_400;

/// Texts that come again, so that filters catch something.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("alice".to_owned()),
        Just("Alice@example.com".to_owned()),
        Just("ops/bob".to_owned()),
        Just("arn:aws:sts::111122223333:assumed-role/ops/bob".to_owned()),
        Just("203.0.113.7".to_owned()),
        Just("2001:db8::1".to_owned()),
        Just("i-0abcdef1234567890".to_owned()),
        Just("arn:aws:ec2:eu-west-1:111122223333:instance/i-0abcdef1234567890".to_owned()),
        Just("ec2.amazonaws.com".to_owned()),
        Just("\u{1f600}*?\"\u{0}\\".to_owned()),
        "[a-cA-C:/-]{1,4}",
    ]
}

fn record() -> impl Strategy<Value = Facts<'static>> {
    let texts = proptest::collection::vec(word(), 12);
    let flags = proptest::collection::vec(any::<bool>(), 5);
    let lists = proptest::collection::vec(word(), 0..4);
    ((0..4 * DAY, 0_u8..40, 0_u8..3), texts, flags, (lists, proptest::option::of(any::<bool>()))).prop_map(
        |((time, id, account), texts, flags, (resources, mfa))| {
            let text = |at: usize| texts[at].clone().into();
            let resources: Vec<_> = resources.into_iter().filter(|text| !text.is_empty()).collect();
            Facts {
                // Some share a second, and none of them an identity with different contents.
                event_time: Time(1_793_491_200 + time / 7000 * 7000),
                event_id: format!("{time}-{id}").into(),
                account: format!("{account:012}").into(),
                region: text(0),
                event_source: text(1),
                event_name: text(2),
                error_code: text(3),
                actor_arn: text(4),
                actor_name: text(5),
                principal_id: text(6),
                source_identity: text(7),
                access_key: text(8),
                source_ip: text(9),
                user_agent: text(10),
                shared_event_id: text(11),
                json: format!("{{\"x\":\"{}\"}}", texts[11]).into(),
                read_only: flags[0],
                by_service: flags[1],
                root: flags[2],
                console: flags[3],
                cross_account: flags[4],
                mfa,
                resource_types: resources.first().cloned().into_iter().map(Into::into).collect(),
                resources: resources.into_iter().map(Into::into).collect(),
                ..Facts::default()
            }
        },
    )
}

fn pair() -> impl Strategy<Value = (&'static str, String)> {
    let names = prop_oneof![
        Just("user"),
        Just("issuer"),
        Just("access-key"),
        Just("ip"),
        Just("agent"),
        Just("service"),
        Just("action"),
        Just("resource"),
        Just("resource-type"),
        Just("account"),
        Just("region"),
        Just("error"),
        Just("id"),
        Just("shared-id"),
        Just("text"),
    ];
    let values = prop_oneof![
        word(),
        Just("*".to_owned()),
        Just("!*".to_owned()),
        Just("*a*".to_owned()),
        Just("!alice".to_owned()),
        Just("203.0.113.0/24".to_owned()),
        Just("ec2".to_owned()),
        Just("none".to_owned()),
        Just("000000000001".to_owned()),
        Just("alice,ops*,bob".to_owned()),
    ];
    let flags = prop_oneof![
        Just("writes"),
        Just("mfa"),
        Just("console"),
        Just("services"),
        Just("root"),
        Just("cross-account"),
    ];
    let answers = prop_oneof![Just("yes".to_owned()), Just("no".to_owned()), Just("!yes".to_owned())];
    prop_oneof![3 => (names, values), 1 => (flags, answers)]
}

/// Where each record lies: in a part, in hot files, or both.
fn homes() -> impl Strategy<Value = Vec<(bool, Vec<usize>)>> {
    proptest::collection::vec((any::<bool>(), proptest::collection::vec(0_usize..4, 0..3)), 0..90)
}

/// A lake of these records, and the records that it came to hold.
async fn lake_of(
    records: Vec<Facts<'static>>,
    homes: &[(bool, Vec<usize>)],
    (parts, keys): (u32, bool),
) -> (Lake, Vec<Facts<'static>>) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lake = Lake::new(store.clone(), Path::from("lake"));
    let mut by_day: BTreeMap<i64, Vec<Facts<'static>>> = BTreeMap::new();
    let mut hot: BTreeMap<usize, Vec<Facts<'static>>> = BTreeMap::new();
    let mut held = Vec::new();
    let mut known = BTreeSet::new();
    for (record, (in_part, files)) in records.into_iter().zip(homes) {
        if !known.insert((record.account.clone(), record.event_id.clone())) || !in_part && files.is_empty() {
            continue;
        }
        if *in_part {
            by_day.entry(record.event_time.0.div_euclid(DAY)).or_default().push(record.clone());
        }
        files.iter().for_each(|file| hot.entry(*file).or_default().push(record.clone()));
        held.push(record);
    }
    for rows in hot.values() {
        lake.write_hot(parts::sealed(rows)).await.unwrap();
    }
    for (day, rows) in by_day {
        let day = Time(day * DAY).date();
        for index in 0..parts {
            let mine = |facts: &&Facts<'_>| facts.actor_name.len() % parts as usize == index as usize;
            let rows: Vec<Facts<'_>> = rows.iter().filter(mine).cloned().collect();
            let path = format!("lake/records/dt={day}/part-{index}-of-{parts}.parquet");
            write_part(&store, &path, &rows, &Layout { keys, ..Layout::small() }).await;
        }
    }
    (lake, held)
}

fn newest_first(records: &[Facts<'static>], query: &Query) -> Vec<Facts<'static>> {
    let mut rows: Vec<Facts<'static>> = records.iter().filter(|facts| query.matches(facts)).cloned().collect();
    rows.sort_by(|a, b| (b.event_time, &b.account, &b.event_id).cmp(&(a.event_time, &a.account, &a.event_id)));
    rows
}

/// All of an answer, page by page.
async fn all_pages(lake: &Lake, query: &Query, limit: usize) -> Vec<Facts<'static>> {
    let mut rows = Vec::new();
    let mut page = Page { limit, json: true, ..Page::default() };
    loop {
        let Answer { rows: some, next, read } = lake.search(query, &page).await.unwrap();
        assert!(!read.is_partial(), "{read:?}");
        assert!(some.len() <= limit);
        rows.extend(some);
        match next {
            Some(next) => page.after = Some(next),
            None => return rows,
        }
    }
}

fn facet(field: Field, rows: &[Facts<'static>], top: usize) -> Facet {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for facts in rows {
        let texts: BTreeSet<&str> = field.counted().texts(facts).collect();
        texts.into_iter().for_each(|text| *counts.entry(text).or_default() += 1);
    }
    let distinct = counts.len() as u64;
    let mut values: Vec<(String, u64)> = counts.into_iter().map(|(text, n)| (text.to_owned(), n)).collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    values.truncate(top);
    Facet { field, values, distinct }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_query_is_a_linear_filter(
        records in proptest::collection::vec(record(), 90),
        homes in homes(),
        pairs in proptest::collection::vec(pair(), 0..3),
        span in (proptest::option::of(0..4 * DAY), proptest::option::of(0..4 * DAY)),
        limit in 1_usize..30,
        layout in (1_u32..3, any::<bool>()),
    ) {
        let mut query = Query::default();
        for (name, value) in &pairs {
            // A pair that cannot be asked is another test's.
            let _ = query.add(name, value);
        }
        let start = 1_793_491_200;
        query.from = span.0.map(|from| Time(start + from));
        query.to = span.1.map(|to| Time(start + to.max(span.0.unwrap_or(0)) + 1));
        run(async {
            let (lake, held) = lake_of(records, &homes, layout).await;
            let expected = newest_first(&held, &query);
            assert_eq!(all_pages(&lake, &query, limit).await, expected);

            let fields = [Field::User, Field::Action, Field::Resource, Field::Error, Field::Id, Field::Root];
            let outline = Outline { facets: &fields, top: 3, buckets: 30, budget: u64::MAX };
            let overview = lake.overview(&query, outline).await.unwrap();
            assert_eq!(overview.matched, expected.len() as u64);
            assert_eq!(overview.facets, fields.map(|field| facet(field, &expected, 3)));
            assert_eq!(overview.span, expected.last().zip(expected.first()).map(|(a, b)| (a.event_time, b.event_time)));
            for Bucket { start, seconds, total, errors, writes } in overview.histogram.iter().copied() {
                let inside = |facts: &&Facts<'_>| (start.0..start.0 + seconds).contains(&facts.event_time.0);
                let rows: Vec<&Facts<'_>> = expected.iter().filter(inside).collect();
                assert_eq!(total, rows.len() as u64);
                assert_eq!(errors, rows.iter().filter(|facts| !facts.error_code.is_empty()).count() as u64);
                assert_eq!(writes, rows.iter().filter(|facts| !facts.read_only).count() as u64);
            }
            let counted: u64 = overview.histogram.iter().map(|bucket| bucket.total).sum();
            assert_eq!(counted, overview.matched);
        });
    }
}

fn some(count: i64) -> Vec<Facts<'static>> {
    let one = |at: i64| Facts {
        event_time: Time(1_793_491_200 + at),
        event_id: format!("id-{at}").into(),
        account: "111122223333".into(),
        event_name: "RunInstances".into(),
        actor_name: "alice".into(),
        json: format!("{{\"at\":{at}}}").into(),
        ..Facts::default()
    };
    (0..count).map(one).collect()
}

#[test]
fn files_that_cannot_be_used_are_named_and_the_rest_is_answered() {
    run(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::new(store.clone(), Path::default());
        lake.write_hot(parts::sealed(&some(3))).await.unwrap();
        let good = write_part(&store, "records/dt=2026-11-01/part-0-of-1.parquet", &some(9), &Layout::small()).await;
        let mut bent = good.to_vec();
        bent[40..good.len() / 3].fill(0xff);
        for (name, bytes) in [
            ("hot/dt=2026-11-01/cut.parquet", &good[..good.len() / 2]),
            ("hot/dt=2026-11-01/empty.parquet", &[][..]),
            ("hot/dt=2026-11-01/bent.parquet", &bent),
            ("records/dt=2026-11-02/part-0-of-2.parquet", &good[..good.len() - 9]),
            ("records/dt=2026-11-02/part-1-of-2.parquet", b"PAR1 and no more of it PAR1"),
            ("records/dt=2026-11-02/stray.parquet", &good),
            ("records/dt=2026-11-05/part-0-of-1.parquet", &[]),
            ("keys/dt=2026-11-01/part-0-of-1.keys", &[]),
        ] {
            store.put(&Path::from(name), PutPayload::from(bytes.to_vec())).await.unwrap();
        }
        let later = Layout { version: "2".to_owned(), ..Layout::small() };
        write_part(&store, "records/dt=2026-11-03/part-0-of-1.parquet", &some(2), &later).await;
        let foreign = Layout { version: String::new(), ..Layout::small() };
        write_part(&store, "records/dt=2026-11-04/part-0-of-1.parquet", &some(2), &foreign).await;

        let answer = lake.search(&Query::default(), &Page::default()).await.unwrap();
        assert_eq!(answer.rows.len(), 9);
        assert!(answer.read.is_partial());
        let why = |name: &str| {
            let found = answer.read.skipped.iter().find(|(object, _)| object.contains(name));
            found.unwrap_or_else(|| panic!("{name} in {:?}", answer.read.skipped)).1.clone()
        };
        assert!(why("cut").contains("damaged"));
        assert!(why("empty").contains("damaged"));
        assert!(why("bent").contains("damaged"));
        assert!(why("part-0-of-2").contains("damaged"));
        assert!(why("part-1-of-2").contains("damaged"));
        assert!(why("stray").contains("not named as a part"));
        assert!(why("dt=2026-11-03").contains("schema version 2"));
        assert!(why("dt=2026-11-04").contains("no file of the lake"));
        assert!(why("dt=2026-11-05").contains("it is empty"));
        assert!(answer.read.skipped.iter().all(|(object, why)| !why.contains(object)), "{:?}", answer.read.skipped);
        let by_key = Query::of([("id", "id-1")]).unwrap();
        assert_eq!(lake.search(&by_key, &Page::default()).await.unwrap().rows.len(), 1);
        let lost = lake.record(None, "111122223333", "id-99").await.unwrap_err().to_string();
        assert!(lost.contains("the record may be in it"), "{lost}");
        let outline = Outline { facets: &[Field::User], top: 1, buckets: 10, budget: u64::MAX };
        let overview = lake.overview(&Query::default(), outline).await.unwrap();
        assert_eq!(overview.matched, 9);
        assert_eq!(overview.read.skipped.len(), 9);
    });
}

#[test]
fn an_empty_lake_answers_and_a_budget_ends_reading() {
    run(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::new(store, Path::default());
        let answer = lake.search(&Query::default(), &Page::default()).await.unwrap();
        assert!(answer.rows.is_empty() && answer.next.is_none() && !answer.read.is_partial());
        lake.write_hot(parts::sealed(&some(3))).await.unwrap();
        let page = Page { budget: 0, ..Page::default() };
        assert!(lake.search(&Query::default(), &page).await.unwrap().read.cut);
    });
}

#[test]
fn what_was_absorbed_is_read_once() {
    run(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::new(store.clone(), Path::default());
        lake.write_hot(parts::sealed(&some(5))).await.unwrap();
        let hot = futures::TryStreamExt::try_collect::<Vec<_>>(store.list(Some(&Path::from("hot")))).await.unwrap();
        let absorbed = vec![hot[0].location.filename().unwrap().to_owned()];
        let layout = Layout { absorbed, ..Layout::small() };
        write_part(&store, "records/dt=2026-11-01/part-0-of-1.parquet", &some(5), &layout).await;
        let answer = lake.search(&Query::default(), &Page::default()).await.unwrap();
        assert_eq!((answer.rows.len(), answer.read.files), (5, 1));
    });
}

/// A lake in which, in front of some request, a part absorbs a hot file that goes away.
#[derive(Debug)]
struct Absorbing {
    inner: InMemory,
    left: std::sync::atomic::AtomicUsize,
    part: (Path, PutPayload),
    hot: Path,
}

impl std::fmt::Display for Absorbing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Absorbing")
    }
}

impl Absorbing {
    async fn step(&self) {
        if self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            self.inner.put(&self.part.0, self.part.1.clone()).await.unwrap();
            self.inner.delete(&self.hot).await.unwrap();
        }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Absorbing {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.step().await;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        run_aside(self.step());
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.step().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Work in memory, which waits for nothing.
fn run_aside(work: impl Future<Output = ()>) {
    work.now_or_never().unwrap();
}

#[test]
fn each_record_is_read_once_while_a_part_absorbs() {
    let all = some(40);
    for moment in 0..24 {
        run(async {
            let inner = InMemory::new();
            let plain: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let absorbed = vec!["b.parquet".to_owned()];
            let day = "records/dt=2026-11-01/part-0-of-1.parquet";
            let before = write_part(&plain, day, &all[..20], &Layout::small()).await;
            let after = write_part(&plain, day, &all, &Layout { absorbed, ..Layout::small() }).await;
            let hot = write_part(&plain, "hot", &all[15..], &Layout::small()).await;
            inner.put(&Path::from(day), before.into()).await.unwrap();
            let name = Path::from("hot/dt=2026-11-01/b.parquet");
            inner.put(&name, hot.into()).await.unwrap();
            let part = (Path::from(day), after.into());
            let store = Absorbing { inner, left: moment.into(), part, hot: name };
            let lake = Lake::new(Arc::new(store), Path::default());
            let query = Query::of([("user", "alice")]).unwrap();
            let answer = lake.search(&query, &Page { limit: 60, json: true, ..Page::default() }).await.unwrap();
            assert_eq!(answer.rows, newest_first(&all, &query), "at request {moment}");
            let outline = Outline { facets: &[], top: 0, buckets: 0, budget: u64::MAX };
            assert_eq!(lake.overview(&query, outline).await.unwrap().matched, 40, "at request {moment}");
        });
    }
}

#[test]
fn what_would_read_too_much_is_refused_with_an_estimate() {
    run(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::new(store.clone(), Path::default());
        write_part(&store, "records/dt=2026-11-01/part-0-of-1.parquet", &some(90), &Layout::small()).await;
        let page = Page { budget: 500, ..Page::default() };
        for (name, value) in [("text", "at"), ("action", "*Instances")] {
            let query = Query::of([(name, value)]).unwrap();
            let refused = lake.search(&query, &page).await.unwrap_err().to_string();
            assert!(refused.contains("in 1 days"), "{refused}");
            assert!(refused.contains("narrow the time"), "{refused}");
            assert_eq!(lake.search(&query, &Page::default()).await.unwrap().rows.len(), 90);
        }
        let nothing = Query::of([("user", "nobody"), ("text", "at")]).unwrap();
        assert_eq!(lake.estimate(&nothing).await.unwrap().bytes, 0);
    });
}
