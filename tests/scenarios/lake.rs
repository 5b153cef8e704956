//! The lake in the deployed system and on one machine: every record that could be read, once, and no sooner than its
//! findings.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ::lake::Lake;
use ::lake::answer::Page;
use ::lake::hot::Hot;
use ::lake::query::Query;
use ::lake::{questions, sql};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tempfile::TempDir;
use trail::facts::Facts;
use trail::record::Record;

use super::command::{command, stderr};
use super::*;
use crate::support::proxy::{Fault, Plan, Requests};
use crate::support::python;

/// Where a record is from and what it says.
type Row = (String, String, String, u32, String);

fn row(facts: &Facts<'_>) -> Row {
    let text = |text: &str| text.to_owned();
    let place = (text(&facts.source_object), facts.source_index);
    (text(&facts.account), text(&facts.event_id), place.0, place.1, text(&facts.json))
}

/// Everything in a lake.
async fn rows(store: Arc<dyn ObjectStore>) -> Vec<Row> {
    let page = Page { limit: 10_000, json: true, ..Page::default() };
    let answer = Lake::new(store, "".into()).search(&Query::default(), &page).await.expect("an answer");
    assert!(!answer.read.is_partial(), "{:?}", answer.read);
    let mut rows: Vec<Row> = answer.rows.iter().map(row).collect();
    rows.sort();
    rows
}

async fn rows_of(stack: &Stack) -> Vec<Row> {
    rows(Arc::new(stack.s3.store(DATA))).await
}

fn folder(path: &Path) -> Arc<dyn ObjectStore> {
    Arc::new(LocalFileSystem::new_with_prefix(path).expect("a folder"))
}

/// Account, id and text of each record that can be read, once.
fn records(files: &[LogFile]) -> BTreeSet<(String, String, String)> {
    let mut records = BTreeSet::new();
    for file in files {
        let inflated = Inflater::new(Limits::default()).inflate(&file.bytes);
        let mut each = |record: &Record<'_>| {
            let identity = record.identity(Some(ACCOUNT));
            records.insert((identity.account, identity.id, record.text().to_owned()));
        };
        evaluate(&Oracle::new().engine, &inflated, &file.key, Limits::default(), &mut each);
    }
    records
}

fn assert_holds(rows: &[Row], files: &[LogFile]) {
    let held: Vec<_> =
        rows.iter().map(|(account, id, _, _, json)| (account.clone(), id.clone(), json.clone())).collect();
    assert_eq!(held, records(files).into_iter().collect::<Vec<_>>(), "each record once, and no others");
}

async fn hot(stack: &Stack) -> Vec<String> {
    stack.s3.keys(DATA, "hot").await
}

#[tokio::test]
async fn every_record_that_can_be_read_lies_in_the_lake_with_where_it_is_from() {
    let (stack, files) = (Stack::start().await, day());
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    ingest.invoke(&batch(&files)).await.expect("handled");
    let rows = rows_of(&stack).await;
    assert_holds(&rows, &files);
    let stop = rows.iter().find(|(_, id, ..)| id.ends_with("000000000003")).expect("a record");
    assert_eq!((&stop.2, stop.3), (&files[0].id(), 2));
    assert_eq!(hot(&stack).await.len(), 1, "a batch makes a file a day");
    let line = ingest.output().line_with("RecordsInLake").await.expect("metrics");
    let metrics: Value = serde_json::from_str(&line).expect("JSON");
    let number = |name: &str| metrics[name].as_u64().expect("a number");
    assert_eq!(number("RecordsIn"), number("RecordsInLake") + number("RecordsQuarantined"));
    assert_eq!((number("RecordsUnaccounted"), number("HotFiles")), (0, 1));
}

#[tokio::test]
async fn a_record_that_comes_by_itself_and_a_canary_are_not_in_the_lake() {
    let stack = Stack::start().await;
    let lone = json!({"source": "aws.cloudtrail", "detail-type": "AWS API Call via CloudTrail", "account": ACCOUNT,
        "detail": stop_trail(1, "org-trail", &json!({}))});
    let ingest = stack.ingest().await;
    ingest.invoke(&batch_of(FAST_PATH, &[lone.to_string()])).await.expect("handled");
    assert_eq!(stack.findings().await.len(), 1);
    stack.notify().await.invoke(&json!({"do": "canary"})).await.expect("a canary");
    let canary = stack.s3.keys(DATA, "canary").await.pop().expect("a canary");
    ingest.invoke(&batch_of(QUEUE, &[notification(DATA, &canary).to_string()])).await.expect("handled");
    assert_eq!(hot(&stack).await, Vec::<String>::new());
}

#[tokio::test]
async fn findings_stand_before_the_lake_is_written_and_a_crash_costs_nothing() {
    let (stack, files) = (Stack::start().await, day());
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    for fault in [Fault::kill_before(&ingest), Fault::kill_after(&ingest)] {
        let lake = Requests::nth(1).operation("PUT").path("hot/");
        stack.s3_proxy.set_plan(Plan::new().on(lake, fault));
        ingest.invoke(&batch(&files)).await.expect_err("it dies");
        assert_eq!(stack.findings().await, Oracle::new().findings(&files));
        assert!(stack.dynamo.items_under("L#").await.is_empty(), "no file is done with");
    }
    stack.s3_proxy.set_plan(Plan::new());
    deliver_until_done(&ingest, &batch(&files[..5])).await;
    deliver_until_done(&ingest, &batch(&files[3..])).await;
    assert_holds(&rows_of(&stack).await, &files);
    assert_is_oracles(&stack, &files).await;
}

#[tokio::test]
async fn a_lake_that_cannot_be_written_fails_the_messages_that_have_records() {
    let stack = Stack::start().await;
    let files = [LogFile::of("one", &[ordinary(1)]), LogFile::of("none", &[]), LogFile::of("two", &[ordinary(2)])];
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    let lake = Requests::all().operation("PUT").path("hot/");
    stack.s3_proxy.set_plan(Plan::new().on(lake, Fault::InternalError));
    let answer = ingest.invoke(&batch(&files)).await.expect("an answer");
    assert_eq!(failures(&answer), ["m0", "m2"]);
    stack.s3_proxy.set_plan(Plan::new());
    assert!(failures(&ingest.invoke(&batch(&files)).await.expect("an answer")).is_empty());
    assert_holds(&rows_of(&stack).await, &files);
}

#[tokio::test]
async fn a_message_whose_findings_cannot_be_written_brings_nothing_to_the_lake() {
    let (stack, files) = (Stack::start().await, [LogFile::of("stop", &[refused_stop(1, "org-trail"), ordinary(2)])]);
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    stack.dynamo_proxy.set_plan(Plan::new().on(Requests::nth(1).operation("PutItem"), Fault::kill_before(&ingest)));
    ingest.invoke(&batch(&files)).await.expect_err("it dies");
    assert!(hot(&stack).await.is_empty());
    deliver_until_done(&ingest, &batch(&files)).await;
    assert_holds(&rows_of(&stack).await, &files);
}

/// A record that no compression makes small: the server refuses to read the last bytes of an object that has fewer,
/// which S3 does not.
fn bulky(number: usize) -> Value {
    let next = |seed: &mut u32| {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit(*seed >> 27, 32)
    };
    let mut seed = 7;
    let noise: String = (0..900_000).filter_map(|_| next(&mut seed)).collect();
    record(number, "s3.amazonaws.com", "GetBucketLocation", &json!({"requestParameters": {"noise": noise}}))
}

#[tokio::test]
async fn the_compact_function_absorbs_what_is_due_and_says_how_late_it_is() {
    let stack = Stack::start().await;
    let files = [day(), vec![LogFile::of("bulky", &[bulky(900)])]].concat();
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    ingest.invoke(&batch(&files[..4])).await.expect("handled");
    ingest.invoke(&batch(&files[2..])).await.expect("handled");
    let compact = Function::start(&binary("compact"), &stack.environment()).await;
    assert_eq!(compact.invoke(&json!({"do": "plan"})).await, Ok(json!({"parts": 1})));
    assert_eq!(stack.s3.keys(DATA, "records").await, ["records/dt=2025-11-20/part-0-of-1.parquet"]);
    assert_eq!(compact.invoke(&json!({"do": "late"})).await, Ok(json!({"late": 0})));
    assert!(compact.output().line_with("LakeStale").await.is_some_and(|line| line.contains("\"LakeStale\":0")));
    for key in hot(&stack).await {
        stack.s3.delete(DATA, &key).await;
    }
    assert_holds(&rows_of(&stack).await, &files);
    assert_eq!(compact.invoke(&json!({"do": "plan"})).await, Ok(json!({"parts": 0})));
    assert!(compact.invoke(&json!({"do": "dance"})).await.is_err());
}

#[tokio::test]
async fn a_part_from_the_queue_is_absorbed_and_what_fails_fails_alone() {
    let (stack, files) = (Stack::start().await, [LogFile::of("one", &[ordinary(1)])]);
    stack.deliver(&files).await;
    stack.ingest().await.invoke(&batch(&files)).await.expect("handled");
    let compact = Function::start(&binary("compact"), &stack.environment()).await;
    let bodies = [
        json!({"day": "2025-11-20", "part": 0, "of": 1}).to_string(),
        json!({"day": "somewhen", "part": 0, "of": 1}).to_string(),
        json!({"day": "2025-11-19", "part": 0, "of": 1}).to_string(),
    ];
    let answer = compact.invoke(&batch_of("arn:aws:sqs:eu-central-1:111122223333:compact.fifo", &bodies)).await;
    assert_eq!(failures(&answer.expect("an answer")), ["m1"]);
    assert_eq!(stack.s3.keys(DATA, "records").await.len(), 1);
}

#[tokio::test]
async fn two_different_records_of_one_id_that_meet_in_the_lake_are_a_finding() {
    let stack = Stack::start().await;
    let mut forged = ordinary(1);
    forged["sourceIPAddress"] = json!("198.51.100.9");
    let files = [LogFile::of("one", &[ordinary(1)]), LogFile::of("two", &[forged])];
    stack.deliver(&files).await;
    stack.ingest().await.invoke(&batch(&files)).await.expect("handled");
    let compact = Function::start(&binary("compact"), &stack.environment()).await;
    compact.invoke(&json!({"do": "plan"})).await.expect("absorbed");
    let found = stack.findings().await;
    assert_eq!(found.iter().map(|one| one.detection_id.as_str()).collect::<Vec<_>>(), ["record-conflict"]);
}

fn qtrail(arguments: &[&str]) -> std::process::Output {
    command().args(arguments).output().expect("qtrail runs")
}

/// A folder with a day's log files, and room for lakes.
fn delivered(files: &[LogFile]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for file in files {
        let path = folder.path().join("logs").join(&file.key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, &file.bytes).expect("written");
    }
    folder
}

#[tokio::test]
async fn a_day_that_is_made_again_is_what_ingest_made() {
    let files = day();
    let folder_of = delivered(&files);
    let path = |name: &str| folder_of.path().join(name).display().to_string();
    let ingested = qtrail(&["ingest", &path("logs"), "--data", &path("ingested")]);
    assert!(stderr(&ingested).contains(" quarantined=2 lake=28 "), "{}", stderr(&ingested));
    assert!(!folder_of.path().join("ingested/hot/dt=2025-11-20").read_dir().is_ok_and(|mut hot| hot.next().is_some()));
    let rebuild = |from: &str, to: &str| {
        qtrail(&["rebuild", "--from", from, "--to", to, &path("logs"), "--data", &path("rebuilt")])
    };
    let outside = rebuild("2025-11-10", "2025-11-12");
    assert!(stderr(&outside).contains("days=0 files=0"), "{}", stderr(&outside));
    let done = rebuild("2025-11-20", "2025-11-21");
    assert!(stderr(&done).contains("days=1 files=7 "), "{}", stderr(&done));
    assert_eq!(done.status.code(), Some(2), "two records cannot be read");
    let (first, again) =
        (rows(folder(&folder_of.path().join("ingested"))).await, rows(folder(&folder_of.path().join("rebuilt"))).await);
    assert_holds(&first, &files);
    assert_eq!(again, first);
    assert!(!folder_of.path().join("rebuilt/state.db").exists(), "no findings");
    let unchanged = rebuild("2025-11-20", "2025-11-21");
    assert!(stderr(&unchanged).contains("2025-11-20: made of these files before"), "{}", stderr(&unchanged));
    assert_eq!(rebuild("2025-11-21", "2025-11-20").status.code(), Some(2));
}

/// What `DuckDB` answers: ids in order, a statement a line.
fn duckdb(lake: &Path, statements: &[String]) -> Vec<Vec<String>> {
    let script = "import duckdb, json, sys
lake, statements = sys.argv[1], json.load(sys.stdin)
database = duckdb.connect()
database.execute(\"SET TimeZone = 'Asia/Tokyo'\")
database.execute(f\"CREATE VIEW records AS SELECT * FROM read_parquet('{lake}/records/*/*.parquet', hive_partitioning=true)\")
for statement in statements:
    print(json.dumps([row[0] for row in database.execute(f'SELECT event_id FROM ({statement})').fetchall()]))
";
    let mut command = Command::new(python::tool("python"));
    command.args(["-c", script]).arg(lake).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    serde_json::to_writer(child.stdin.take().expect("a pipe"), statements).expect("written");
    let output = child.wait_with_output().expect("our own child");
    assert!(output.status.success(), "DuckDB: {}", stderr(&output));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("a list")).collect()
}

/// `DuckDB`, given the SQL of a query, answers what the lake answers.
async fn assert_agree(path: &Path, queries: &[Query]) -> usize {
    let lake = Lake::new(folder(path), "".into());
    let answers = duckdb(path, &queries.iter().map(sql::sql).collect::<Vec<_>>());
    let mut found = 0;
    for (query, mut answer) in queries.iter().zip(answers) {
        let page = Page { limit: sql::LIMIT, ..Page::default() };
        let rows = lake.search(query, &page).await.expect("an answer").rows;
        let mut expected: Vec<String> = rows.iter().map(|facts| facts.event_id.to_string()).collect();
        found += usize::from(!answer.is_empty());
        expected.sort();
        answer.sort();
        assert_eq!(answer, expected, "{query:?}\n{}", sql::sql(query));
    }
    found
}

#[tokio::test]
async fn duckdb_answers_the_25_questions_as_the_lake_does() {
    let folder_of = TempDir::new().expect("a folder");
    let data = folder_of.path().join("data");
    let events = concat!(env!("CARGO_MANIFEST_DIR"), "/events/aws");
    let ingested = qtrail(&["ingest", events, "--data", &data.display().to_string()]);
    assert_eq!(ingested.status.code(), Some(0), "{}", stderr(&ingested));
    let (lake, page) = (Lake::new(folder(&data), "".into()), Page { limit: 9999, ..Page::default() });
    let all = lake.search(&Query::default(), &page).await.expect("an answer").rows;
    let filled = |name: &str| {
        let mut values = all.iter().filter_map(|facts| match name {
            "resource" => facts.resources.last().map(ToString::to_string),
            "access-key" => Some(facts.access_key.to_string()),
            "issued-key" => Some(facts.issued_key.to_string()),
            "from" => Some("2026-11-20T01:30:00Z".to_owned()),
            "to" => Some("2026-11-20T20:00:01Z".to_owned()),
            _ => None,
        });
        values.find(|value| !value.is_empty()).unwrap_or_else(|| questions::example(name).to_owned())
    };
    let query = |question: &questions::Question| {
        let answers: Vec<(&str, String)> = question.asks.iter().map(|(name, _)| (*name, filled(name))).collect();
        let answers: Vec<(&str, &str)> = answers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        question.query(&answers).expect("a query")
    };
    let queries: Vec<Query> = questions::ALL.iter().map(query).collect();
    let found = assert_agree(&data, &queries).await;
    assert!(found >= 15, "only {found} of the questions find anything in the demo's day");
}

const ADDRESSES: [&str; 10] = [
    "203.0.113.7",
    "203.0.120.1",
    "2001:db8::1",
    "2001:db8:0:1::",
    "2001:db8:1::7",
    "::1",
    "ec2.amazonaws.com",
    "2001:db8:0:ffff:1:2:3:4",
    "AWS Internal",
    "",
];

const NAMES: [&str; 8] = ["alice", "O'Brien", "100%_sure", "a\\b", "ALICE\0x", "", "ops/alice", "i-0abcdef1234567890"];

const NETWORKS: [&str; 12] = [
    "203.0.113.0/24",
    "203.0.112.0/20",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8::/64",
    "2001:db8:0:1::/64",
    "2001:db8::/47",
    "::/0",
    "::1",
    "ec2.*",
    "!203.0.0.0/16",
    "2001:db8:0:8000::/49",
];

const FILTERS: [(&str, &str); 18] = [
    ("user", "!alice"),
    ("user", "alice,O'Brien"),
    ("action", "100%_*"),
    ("action", "?lice"),
    ("action", "*"),
    ("action", "alice,a\\b,O*"),
    ("resource", "*"),
    ("resource", "!alice"),
    ("resource", "*role/al?ce"),
    ("resource", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0abcdef1234567890"),
    ("writes", "yes"),
    ("mfa", "no"),
    ("mfa", "!yes"),
    ("error", "none"),
    ("ip", "::1,203.0.113.7"),
    ("from", "2026-11-21"),
    ("from", "2026-11-20T23:30:00Z"),
    ("to", "2026-11-21T07:00:00Z"),
];

/// A row for each address and name.
fn odd_rows(start: Time) -> Hot {
    let mut hot = Hot::default();
    for (number, address) in ADDRESSES.iter().enumerate() {
        for (at, name) in NAMES.iter().enumerate() {
            let resources = [*name, "arn:aws:iam::111122223333:role/alice"].into_iter().take(at % 3);
            hot.push(&Facts {
                event_time: Time(start.0 + i64::try_from(number * 8 + at).expect("small") * 1800),
                event_id: format!("id-{number}-{at}").into(),
                account: ACCOUNT.into(),
                event_name: (*name).into(),
                actor_name: (*name).into(),
                source_ip: (*address).into(),
                read_only: at % 2 == 0,
                mfa: [None, Some(true), Some(false)][at % 3],
                resources: resources.filter(|one| !one.is_empty()).map(Into::into).collect(),
                json: "{}".into(),
                ..Facts::default()
            });
        }
    }
    hot
}

#[tokio::test]
async fn sql_means_what_the_query_means_whatever_is_in_the_records() {
    let folder_of = TempDir::new().expect("a folder");
    let lake = Lake::new(folder(folder_of.path()), "".into());
    let start = Time::parse("2026-11-20T12:00:00Z").expect("a time");
    lake.write_hot(odd_rows(start).seal().expect("sealed")).await.expect("written");
    let later = Time(4_000_000_000);
    for unit in lake.pending(later, 1, None).await.expect("pending") {
        lake.absorb(unit.day, unit.part, &::lake::absorb::Limits::default()).await.expect("absorbed");
    }
    let named = NAMES.iter().filter(|name| !name.is_empty());
    let mut pairs: Vec<(&str, &str)> =
        named.flat_map(|name| [("user", *name), ("resource", *name), ("action", *name)]).collect();
    pairs.extend(NETWORKS.map(|network| ("ip", network)));
    pairs.extend(FILTERS);
    let queries: Vec<Query> = pairs.iter().map(|pair| Query::of([*pair]).expect("a query")).collect();
    let found = assert_agree(folder_of.path(), &queries).await;
    assert!(found * 10 >= queries.len() * 7, "only {found} of {} find anything", queries.len());
}
