//! Buckets of thresholds in the table.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use trail::ledger::TallyKey;
use trail::time::Time;
use trail::window::{BUCKET_CAP, BUCKET_SECONDS, Bucket, Element, VALUES_CAP};

use super::{Item, State, keys, number};
use crate::error::Error;

/// How long a bucket is kept after its last write, in seconds: 35 days, for late deliveries and redrives.
const BUCKET_KEPT_SECONDS: i64 = 35 * 86_400;

impl State {
    /// Adds to a key's buckets, and yields all buckets that what was added can have to do with.
    pub async fn tally(
        &self,
        key: &TallyKey,
        buckets: &BTreeMap<i64, Bucket>,
        (reach, now): ((i64, i64), Time),
    ) -> Result<BTreeMap<i64, Bucket>, Error> {
        let pk = format!("T#{}#{}#{}", key.detection.id, key.account, key.key);
        for (start, bucket) in buckets {
            self.add_to_bucket(&pk, *start, bucket, now).await?;
        }
        let (Some(first), Some(last)) = (buckets.keys().next(), buckets.keys().next_back()) else {
            return Ok(BTreeMap::new());
        };
        let (before, after) = reach;
        let margin = before + after + BUCKET_SECONDS;
        let range = (bucket_key(first - margin), bucket_key(last + margin));
        let items = self.query_range(&pk, (&range.0, &range.1)).await?;
        Ok(items.iter().filter_map(read_bucket).collect())
    }

    /// Each kind is added by itself: a full set refuses its own kind and no other.
    async fn add_to_bucket(&self, pk: &str, start: i64, bucket: &Bucket, now: Time) -> Result<(), Error> {
        let values = bucket.values.iter().map(|(time, value)| Element { time: *time, id: [0; 16], value: *value });
        let kinds = [
            ("failures", blobs(bucket.failures.iter().copied())),
            ("successes", blobs(bucket.successes.iter().copied())),
            ("distinct", blobs(values)),
            ("labels", labels(&bucket.labels)),
        ];
        for (kind, set) in kinds.into_iter().filter_map(|(kind, set)| Some((kind, set?))) {
            self.add_to_set((pk, &bucket_key(start)), kind, set, now).await?;
        }
        Ok(())
    }

    async fn add_to_set(
        &self,
        (pk, sk): (&str, &str),
        kind: &str,
        set: AttributeValue,
        now: Time,
    ) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys(pk, sk)))
            .update_expression("ADD #kind :set SET expires = :expires")
            .condition_expression("attribute_not_exists(#kind) OR size(#kind) < :cap")
            .expression_attribute_names("#kind", kind)
            .expression_attribute_values(":set", set)
            .expression_attribute_values(":expires", number(now.0 + BUCKET_KEPT_SECONDS))
            .expression_attribute_values(":cap", number(if kind == "distinct" { VALUES_CAP } else { BUCKET_CAP }));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(failure)) if failure.err().is_conditional_check_failed_exception() => Ok(()),
            Err(other) => Err(Error::state("UpdateItem", other)),
        }
    }
}

/// Sorts as text like the time it stands for.
fn bucket_key(start: i64) -> String {
    format!("B#{:012}", start.div_euclid(BUCKET_SECONDS))
}

fn read_bucket(item: &Item) -> Option<(i64, Bucket)> {
    let start: i64 = super::text_of(item, "sk").strip_prefix("B#")?.parse().ok()?;
    let bucket = Bucket {
        failures: elements(item, "failures").collect(),
        successes: elements(item, "successes").collect(),
        values: elements(item, "distinct").map(|element| (element.time, element.value)).collect(),
        labels: item.get("labels").and_then(|set| set.as_ss().ok()).into_iter().flatten().cloned().collect(),
    };
    Some((start * BUCKET_SECONDS, bucket))
}

fn elements<'i>(item: &'i Item, kind: &str) -> impl Iterator<Item = Element> + use<'i> {
    let blobs = item.get(kind).and_then(|set| set.as_bs().ok());
    blobs.into_iter().flatten().filter_map(|blob| Element::from_bytes(blob.as_ref()))
}

/// A set of elements; none for an empty one, which DynamoDB does not have.
fn blobs(elements: impl Iterator<Item = Element>) -> Option<AttributeValue> {
    let blobs: Vec<Blob> = elements.map(|element| Blob::new(element.to_bytes().to_vec())).collect();
    (!blobs.is_empty()).then_some(AttributeValue::Bs(blobs))
}

fn labels(labels: &BTreeSet<String>) -> Option<AttributeValue> {
    (!labels.is_empty()).then(|| AttributeValue::Ss(labels.iter().cloned().collect()))
}
