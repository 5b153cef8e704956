//! What everybody did: the same as counting record by record, whatever lies where.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::BTreeMap;
use std::sync::Arc;

use lake::Lake;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use proptest::prelude::*;
use trail::facts::Facts;
use trail::lineage::outcome;
use trail::record::Outcome;
use trail::review::usage::Identity;
use trail::review::{ActorKey, RecordId, Usage};
use trail::time::Time;

use parts::{Layout, sealed, write_part};

mod parts;

/// 2026-11-01.
const START: i64 = 1_793_491_200;

const DAY: i64 = 86_400;

const SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Ops_0123456789abcdef";

/// Who makes calls: kind, ARN, issuer, access key.
const WHO: [[&str; 4]; 9] = [
    ["IAMUser", "arn:aws:iam::111122223333:user/alice", "", "AKIAALICE"],
    ["IAMUser", "arn:aws:iam::111122223333:user/alice", "", "ASIACONSOLE"],
    ["IAMUser", "", "", ""],
    ["Root", "arn:aws:iam::111122223333:root", "", ""],
    ["AssumedRole", "arn:aws:sts::111122223333:assumed-role/ops/bob", "arn:aws:iam::111122223333:role/ops", "ASIABOB"],
    ["AssumedRole", "arn:aws:sts::111122223333:assumed-role/ops/eve", "arn:aws:iam::111122223333:role/ops", "ASIAEVE"],
    ["AssumedRole", "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/carol", SSO, "ASIAC"],
    ["FederatedUser", "arn:aws:sts::111122223333:federated-user/d", "arn:aws:iam::111122223333:user/alice", "ASIAD"],
    ["AWSService", "", "", ""],
];

const CODES: [&str; 4] = ["", "", "AccessDenied", "ThrottlingException"];

/// The same identity has the same contents.
fn record(time: i64, who: usize, number: usize) -> Facts<'static> {
    let [kind, arn, issuer, key] = WHO[who];
    Facts {
        event_time: Time(START + time),
        event_id: format!("{time}-{who}-{number}").into(),
        account: "111122223333".into(),
        event_source: if number.is_multiple_of(2) { "s3.amazonaws.com" } else { "iam.amazonaws.com" }.into(),
        event_name: format!("Do{number}").into(),
        error_code: CODES[number % CODES.len()].into(),
        read_only: number.is_multiple_of(3),
        actor_type: kind.into(),
        actor_arn: arn.into(),
        actor_name: arn.rsplit('/').next().unwrap_or_default().to_owned().into(),
        issuer_arn: issuer.into(),
        access_key: key.into(),
        root: kind == "Root",
        json: "{}".into(),
        ..Facts::default()
    }
}

fn records() -> impl Strategy<Value = Vec<Facts<'static>>> {
    let record =
        (0..2 * DAY / 5000, 0..WHO.len(), 0_usize..40).prop_map(|(time, who, number)| record(time * 5000, who, number));
    proptest::collection::vec(record, 0..120)
}

/// Record by record.
fn counted(records: &[Facts<'_>], (from, to): (i64, i64)) -> BTreeMap<ActorKey, Usage> {
    let mut once: BTreeMap<(i64, &str, &str), &Facts<'_>> = BTreeMap::new();
    for facts in records.iter().filter(|facts| (from..to).contains(&facts.event_time.0)) {
        once.insert((facts.event_time.0, &facts.account, &facts.event_id), facts);
    }
    let mut all = BTreeMap::<ActorKey, Usage>::new();
    for facts in once.into_values().rev() {
        let account = if facts.actor_account.is_empty() { &facts.account } else { &facts.actor_account };
        let identity = Identity { kind: &facts.actor_type, arn: &facts.actor_arn, issuer: &facts.issuer_arn, account };
        for key in ActorKey::of(&identity).into_iter().flatten() {
            add(all.entry(key.clone()).or_default(), facts, &key);
        }
    }
    all.values_mut().for_each(|usage| {
        frequent(&mut usage.services);
        frequent(&mut usage.actions);
    });
    all
}

/// Records come newest first.
fn add(usage: &mut Usage, facts: &Facts<'_>, key: &ActorKey) {
    let (time, outcome) = (facts.event_time, outcome(facts));
    usage.records += 1;
    usage.writes += u64::from(!facts.read_only && outcome == Outcome::Success);
    usage.refused += u64::from(outcome == Outcome::Denied);
    usage.last = usage.last.or(Some(time));
    usage.first = Some(time);
    let service = facts.event_source.split('.').next().unwrap();
    *usage.services.entry(service.to_owned()).or_default() += 1;
    *usage.actions.entry(format!("{service}:{}", facts.event_name)).or_default() += 1;
    if matches!(key, ActorKey::User(_)) && facts.access_key.starts_with("AKIA") {
        usage.keys.entry(facts.access_key.to_string()).or_insert(time);
    }
    if usage.samples.len() < 5 {
        let (account, id) = (facts.account.to_string(), facts.event_id.to_string());
        usage.samples.push(RecordId { account, id, time });
    }
}

fn frequent(counts: &mut BTreeMap<String, u64>) {
    let mut all: Vec<_> = std::mem::take(counts).into_iter().collect();
    all.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
    all.truncate(20);
    counts.extend(all);
}

/// Some in parts, some hot, some in both.
async fn lake(records: &[Facts<'static>], split: usize) -> (Lake, Arc<dyn ObjectStore>) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lake = Lake::new(store.clone(), Path::default());
    let at = split.min(records.len());
    let (in_parts, rest) = records.split_at(at);
    let mut days: BTreeMap<String, BTreeMap<String, Facts<'static>>> = BTreeMap::new();
    for facts in in_parts {
        days.entry(facts.event_time.date()).or_default().insert(facts.event_id.to_string(), facts.clone());
    }
    for (day, rows) in days {
        let rows: Vec<_> = rows.into_values().collect();
        write_part(&store, &format!("records/dt={day}/part-0-of-1.parquet"), &rows, &Layout::small()).await;
    }
    let hot = [rest, &in_parts[..at / 3]].concat();
    for rows in hot.chunks(17) {
        lake.write_hot(sealed(rows)).await.unwrap();
    }
    (lake, store)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn counting_columns_is_counting_records(
        records in records(),
        split in 0_usize..120,
        from in 0..2 * DAY,
        length in 0..2 * DAY,
    ) {
        let span = (START + from, START + from + length);
        let used = runtime().block_on(async {
            let (lake, _) = lake(&records, split).await;
            lake.usage(Time(span.0), Time(span.1)).await.unwrap()
        });
        prop_assert_eq!(used.actors, counted(&records, span));
        prop_assert!(!used.read.is_partial());
    }
}

#[tokio::test]
async fn what_is_damaged_is_named_and_the_rest_is_counted() {
    let records: Vec<_> = (0..40).map(|number| record(number * 4000, 0, usize::try_from(number).unwrap())).collect();
    let (lake, store) = lake(&records, 40).await;
    let path = Path::from("records/dt=2026-11-02/part-0-of-1.parquet");
    store.put(&path, PutPayload::from_static(b"PAR1 and no more PAR1")).await.unwrap();
    let used = lake.usage(Time(START), Time(START + 2 * DAY)).await.unwrap();
    assert!(used.read.skipped.iter().any(|(object, _)| object == path.as_ref()), "{:?}", used.read);
    // All of the first day, and of the second what lies hot.
    let healthy: Vec<_> = records.iter().take(22).cloned().collect();
    assert_eq!(used.actors, counted(&healthy, (START, START + 2 * DAY)));
}

#[tokio::test]
async fn who_gave_access_is_told_by_the_services_that_give_it() {
    let user = "arn:aws:iam::111122223333:user/mallory";
    let of = |time, name: &'static str, source: &'static str, code: &'static str| Facts {
        event_name: name.into(),
        event_source: source.into(),
        error_code: code.into(),
        resources: vec!["mallory".into(), user.into()],
        event_id: format!("{time}-{name}-{source}").into(),
        ..record(time, 0, 0)
    };
    let request = r#"{"requestParameters": {"principalId": "u-1", "permissionSetArn": "arn:ps", "targetId": "1"}}"#;
    let rows = [
        of(0, "CreateUser", "iam.amazonaws.com", ""),
        of(1000, "CreateUser", "transfer.amazonaws.com", ""),
        of(2000, "CreateRole", "iam.amazonaws.com", "AccessDenied"),
        Facts { json: request.into(), ..of(3000, "CreateAccountAssignment", "sso.amazonaws.com", "") },
    ];
    let (lake, _) = lake(&rows, 3).await;
    let provisions = lake.provisions(None, None).await.unwrap();
    let gave: Vec<_> = provisions.all.iter().map(|one| (one.action.as_str(), one.name.as_str())).collect();
    assert_eq!(gave, [("CreateAccountAssignment", "alice"), ("CreateUser", "alice")]);
    let given = provisions.all[0].assignment.as_ref().unwrap();
    assert_eq!([&given.principal, &given.permission_set, &given.account], ["u-1", "arn:ps", "1"]);
    assert!(provisions.all[1].resources.iter().any(|resource| resource == user) && !provisions.partial);
}
