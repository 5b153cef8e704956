//! What `CloudTrail` signed of the demo's log files: a digest an hour for each account and region.

use std::collections::BTreeMap;

use serde_json::json;
use trail::digest::Chain as Place;
use trail::object_key::ObjectKey;

use crate::corpus::{Delivery, LogFile};
use crate::digests::{Bucket, Chain, Stored};
use crate::{BUCKET, HOME, MIDNIGHT, ORGANIZATION};

/// When the first digest's window begins: before the first log file, at no round time, as AWS does it.
const START: i64 = MIDNIGHT + 5 * 60 + 42;

/// Until after the last log file.
const HOURS: i64 = 25;

/// The digests by key, and what lies beside them, of log files as they were delivered.
///
/// The newest digest of each chain has its metadata beside it. The others have lost it, as copies of a bucket do: each
/// one's signature stands in the digest after it.
pub(crate) fn digests(deliveries: &[Delivery], signed: &[LogFile]) -> Vec<(String, Vec<u8>)> {
    let mut places: BTreeMap<_, Bucket> = BTreeMap::new();
    for (Delivery { account, region, .. }, file) in deliveries.iter().zip(signed) {
        let bucket = places.entry((*account, *region)).or_insert_with(|| empty(account, region));
        let stored = Stored { gzip: file.gzip.clone(), metadata: BTreeMap::new() };
        bucket.objects.insert(file.key.clone(), stored);
    }
    places.into_values().flat_map(sign).collect()
}

fn empty(account: &'static str, region: &'static str) -> Bucket {
    let chain = Chain {
        bucket: BUCKET,
        organization: Some(ORGANIZATION),
        account,
        region,
        trail: "org-trail",
        home_region: HOME,
        ..Chain::default()
    };
    Bucket { chain, objects: BTreeMap::new(), digests: Vec::new(), logs: Vec::new() }
}

/// The day's digests of a bucket in which log files alone lie.
fn sign(mut bucket: Bucket) -> Vec<(String, Vec<u8>)> {
    let logs: Vec<String> = bucket.objects.keys().cloned().collect();
    let mut before = None;
    for hour in 0..HOURS {
        let (from, to) = (START + 3600 * hour, START + 3600 * (hour + 1));
        let delivered = |key: &&String| ObjectKey::parse(key).time.is_some_and(|time| from <= time.0 && time.0 < to);
        let logs: Vec<String> = logs.iter().filter(delivered).cloned().collect();
        before = Some(bucket.put_digest((from, to), &logs, before.as_ref()));
    }
    let newest = before.expect("there are hours").key;
    let metadata = format!("{}\n", json!(bucket.objects[&newest].metadata));
    bucket.objects.retain(|key, _| Place::of_log(key).is_none());
    let beside = (format!("{newest}.metadata.json"), metadata.into_bytes());
    bucket.objects.into_iter().map(|(key, stored)| (key, stored.gzip)).chain([beside]).collect()
}
