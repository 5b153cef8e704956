//! The state: one DynamoDB table, one code path everywhere.
//!
//! Keys: `F#<finding>/META` and `/H#<time>` (history); `TH#<thread>`; `T#<detection>#<account>#<key>/B#<bucket>`;
//! `L#<bucket>/<key>` (log files); `C#<date>#<account>` (counts); `ACCOUNTS/<account>#<region>`; `CANARY/META`;
//! `R#<review>/META` and `/E#<number>` (its log); `REVIEWS/<review>`; `EFFECTS/<review>#<number>` (what is waited for);
//! `PACKS/<id>` (evidence packs, a chain); `N#…` (notices that are owed); `ASKED#…` (decisions that were taken in).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use trail::alert::{Change, Entry};
use trail::finding::Finding;
use trail::settings::Settings;
use trail::time::Time;

use crate::error::Error;

mod asked;
mod audit;
mod digests;
mod files;
mod findings;
mod outbox;
mod packs;
mod reviews;
mod tallies;

pub use audit::{AuditRun, HeldVerdict, VerdictChange};
pub use digests::{ChainState, DigestRecord};
pub use files::{AccountHeard, Canary, DayCounts, FileRecord, Parts};
pub use findings::{HistoryLine, Query};
pub use outbox::{Due, Notice};
pub use packs::PackRecord;
pub(crate) use packs::stands;
pub use reviews::{Append, ReviewHeld, ReviewMeta};

/// An item as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// How often a write is tried against others that are faster.
const RACES: usize = 32;

/// The table and the way to it.
#[derive(Debug, Clone)]
pub struct State {
    client: Client,
    table: String,
}

/// What a commit did.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The finding as it now stands.
    pub entry: Entry,
    /// What the merge changed.
    pub change: Change,
}

impl State {
    /// The state in this table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Merges a finding into the table: a consistent read, a merge, a conditional write, and again if another
    /// writer was faster. An unchanged finding costs a read alone.
    pub async fn commit(&self, finding: &Finding, settings: &Settings, now: Time) -> Result<Committed, Error> {
        let key = keys(&format!("F#{}", finding.finding_id), "META");
        let mut stored = self.get(key.clone()).await?;
        for _ in 0..RACES {
            let read = stored.as_ref().map(decode::<Entry>).transpose()?;
            let (entry, change) = merged(read.as_ref(), finding, settings, now);
            if !change.changed {
                return Ok(Committed { entry, change });
            }
            let item = overlay(stored.take(), &entry, &key)?;
            let version = read.as_ref().map(|entry| entry.v);
            if let (true, Some(version)) = (change.reopened, version) {
                let line = HistoryLine::reopened(now);
                if self.put_with_history(item, version, (&finding.finding_id, &line)).await? {
                    return Ok(Committed { entry, change });
                }
                stored = self.get(key.clone()).await?;
                continue;
            }
            match self.put_if(item, version).await? {
                None => return Ok(Committed { entry, change }),
                // The answer to the first try was lost: this is what it wrote.
                Some(winner) if decode::<Entry>(&winner)? == entry => return Ok(Committed { entry, change }),
                Some(winner) => stored = Some(winner),
            }
        }
        Err(Error::Contended(format!("finding {}", finding.finding_id)))
    }

    /// Writes an item unless another version than `read` is there; that one is then handed back.
    async fn put_if(&self, item: Item, read: Option<u64>) -> Result<Option<Item>, Error> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match read {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(v) => put.condition_expression("v = :read").expression_attribute_values(":read", number(v)),
        };
        for attempt in 0..RACES {
            let failure = match put.clone().send().await {
                Ok(_) => return Ok(None),
                Err(SdkError::ServiceError(failure)) => failure.into_err(),
                Err(other) => return Err(Error::state("PutItem", other)),
            };
            match failure {
                PutItemError::ConditionalCheckFailedException(lost) => return Ok(Some(lost.item.unwrap_or_default())),
                PutItemError::TransactionConflictException(_) => pause(attempt).await,
                other => return Err(Error::state("PutItem", other)),
            }
        }
        Err(Error::Contended("an item of the table".to_owned()))
    }

    /// Writes everything or nothing. Yields false where a condition does not hold.
    ///
    /// `DynamoDB` cancels a transaction that meets another one on the same item, and no client tries again by itself.
    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<bool, Error> {
        let write = self.client.transact_write_items().set_transact_items(Some(writes));
        for attempt in 0..RACES {
            let failure = match write.clone().send().await {
                Ok(_) => return Ok(true),
                Err(SdkError::ServiceError(failure)) => failure.into_err(),
                Err(other) => return Err(Error::state("TransactWriteItems", other)),
            };
            match &failure {
                TransactWriteItemsError::TransactionCanceledException(canceled) => match cancellation(canceled) {
                    Cancellation::Condition => return Ok(false),
                    Cancellation::Collision => pause(attempt).await,
                    Cancellation::Other => return Err(Error::state("TransactWriteItems", failure)),
                },
                _ => return Err(Error::state("TransactWriteItems", failure)),
            }
        }
        Err(Error::Contended("an item of the table".to_owned()))
    }

    async fn get(&self, key: Item) -> Result<Option<Item>, Error> {
        let read = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        let answer = read.send().await.map_err(|e| Error::state("GetItem", e))?;
        Ok(answer.item)
    }

    async fn put(&self, item: Item) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map_err(|e| Error::state("PutItem", e))?;
        Ok(())
    }

    /// Everything under a partition key whose sort key lies in a range, page by page, read consistently.
    async fn query_range(&self, pk: &str, (from, to): (&str, &str)) -> Result<Vec<Item>, Error> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", string(pk))
            .expression_attribute_values(":from", string(from))
            .expression_attribute_values(":to", string(to))
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|e| Error::state("Query", e))?);
        }
        Ok(items)
    }

    /// Makes the table, as the template does in the cloud. For the embedded engine and for tests.
    pub async fn create_table(&self) -> Result<(), Error> {
        files::create_table(&self.client, &self.table).await
    }
}

/// Why a transaction was cancelled.
enum Cancellation {
    /// A condition did not hold.
    Condition,
    /// Others wrote the same items, or the table was throttled: it may succeed later.
    Collision,
    Other,
}

fn cancellation(canceled: &TransactionCanceledException) -> Cancellation {
    let codes = || canceled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    if codes().any(|code| code == "ConditionalCheckFailed") {
        Cancellation::Condition
    } else if codes().any(|code| passing.contains(&code)) {
        Cancellation::Collision
    } else {
        Cancellation::Other
    }
}

/// Waits longer from attempt to attempt, up to a third of a second, and not as long as others do.
async fn pause(attempt: usize) {
    let most = 10_u64 << attempt.min(5);
    let jitter = RandomState::new().hash_one(attempt) % most;
    tokio::time::sleep(Duration::from_millis(most / 2 + jitter / 2)).await;
}

/// The entry after the merge, and whether that differs from what is stored.
fn merged(read: Option<&Entry>, finding: &Finding, settings: &Settings, now: Time) -> (Entry, Change) {
    match read {
        None => {
            let entry = Entry::new(finding, settings, now);
            let change = Change { changed: true, reopened: false, owed: entry.due.is_some() };
            (entry, change)
        }
        Some(entry) => {
            let mut entry = entry.clone();
            let change = entry.absorb(finding, settings, now);
            (entry, change)
        }
    }
}

/// An entry as an item, over what else the stored item holds.
fn overlay(stored: Option<Item>, entry: &Entry, key: &Item) -> Result<Item, Error> {
    let mut item = stored.unwrap_or_default();
    // What the entry no longer says must not survive from the stored item.
    for gone in ["due", "due_since", "resolution"] {
        item.remove(gone);
    }
    item.extend(encode(entry)?);
    item.extend(key.clone());
    item.insert("feed".to_owned(), string(&feed_of(entry.finding.first_seen)));
    Ok(item)
}

/// The partition of the feed that a finding is in.
fn feed_of(first_seen: Time) -> String {
    format!("FEED#{}", first_seen.date())
}

fn keys(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), string(pk)), ("sk".to_owned(), string(sk))])
}

fn encode<T: Serialize>(value: &T) -> Result<Item, Error> {
    serde_dynamo::to_item(value).map_err(|e| Error::Item(e.to_string()))
}

fn decode<T: DeserializeOwned>(item: &Item) -> Result<T, Error> {
    serde_dynamo::from_item(item.clone()).map_err(|e| Error::Item(e.to_string()))
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text_of<'i>(item: &'i Item, name: &str) -> &'i str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

fn number_of(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
