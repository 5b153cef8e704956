//! The state: one DynamoDB table, one code path everywhere.
//!
//! Keys: `F#<finding>/META` and `/H#<time>` (history); `TH#<thread>`; `T#<detection>#<account>#<key>/B#<bucket>`;
//! `L#<bucket>/<key>` (log files); `C#<date>#<account>` (counts); `ACCOUNTS/<account>`; `N#…` (notices that are owed).

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use trail::alert::{Change, Entry};
use trail::finding::Finding;
use trail::settings::Settings;
use trail::time::Time;

use crate::error::Error;

mod files;
mod findings;
mod outbox;
mod tallies;

pub use files::{AccountHeard, DayCounts, FileRecord, Parts};
pub use findings::{HistoryLine, Query};
pub use outbox::Due;

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
            match self.put_if(item, read.as_ref().map(|entry| entry.v)).await? {
                None => {
                    if change.reopened {
                        self.note(&finding.finding_id, &HistoryLine::reopened(now)).await?;
                    }
                    return Ok(Committed { entry, change });
                }
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
        match put.send().await {
            Ok(_) => Ok(None),
            Err(SdkError::ServiceError(failure)) => match failure.into_err() {
                PutItemError::ConditionalCheckFailedException(lost) => Ok(Some(lost.item.unwrap_or_default())),
                other => Err(Error::state("PutItem", other)),
            },
            Err(other) => Err(Error::state("PutItem", other)),
        }
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

/// The entry after the merge, and whether that differs from what is stored.
fn merged(read: Option<&Entry>, finding: &Finding, settings: &Settings, now: Time) -> (Entry, Change) {
    match read {
        None => (Entry::new(finding, settings, now), Change { changed: true, reopened: false }),
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
