//! Log files seen, counts for each account and day, accounts and regions heard, the last canary.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType, Put,
    ScalarAttributeType, TransactWriteItem, Update,
};
use serde::{Deserialize, Serialize};
use trail::silence::Heard;
use trail::time::Time;

use super::{Item, State, encode, keys, number, string};
use crate::error::Error;

/// How long a log file is remembered, in seconds: 400 days.
const FILE_SECONDS: i64 = 400 * 86_400;

/// What is kept of a log file, for whoever proves later that nothing is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// `bucket/key`.
    pub object: String,
    /// The version that was read, where the bucket has versions.
    pub version: Option<String>,
    /// SHA-256 of the inflated text, in hexadecimal, as CloudTrail's digest states it.
    pub sha256: String,
    /// Delivered bytes.
    pub size: u64,
    /// The account in its name; `-` where there is none.
    pub account: String,
    /// The region in its name; empty where there is none.
    #[serde(default)]
    pub region: String,
    /// The day of delivery, by its name.
    pub date: String,
    /// When it was delivered, by its name.
    pub delivered: Option<Time>,
    /// Records in it.
    pub records: u64,
    /// Records that detections have seen.
    pub evaluated: u64,
    /// Records that could not be read.
    pub quarantined: u64,
    /// Records of kinds that detections do not look at.
    pub other_kinds: u64,
    /// What is wrong with the file as a whole; its records up to there are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The earliest `eventTime`.
    pub first_time: Option<String>,
    /// The latest `eventTime`.
    pub last_time: Option<String>,
}

/// Files and records of an account on a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DayCounts {
    /// Log files.
    pub files: u64,
    /// Records in them.
    pub records: u64,
    /// Of those, seen by detections.
    pub evaluated: u64,
    /// Of those, unreadable.
    pub quarantined: u64,
    /// Of those, of other kinds.
    pub other_kinds: u64,
}

/// An account that log files came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHeard {
    /// The account; `-` for log files that do not say.
    pub account: String,
    /// The delivery time of its newest log file, or of the newest record where the name does not say.
    pub last_heard: Time,
}

/// The last canary that came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// When it was sent.
    pub sent: Time,
    /// When its finding stood in the table.
    pub found: Time,
}

/// Where a deployment's parts are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// URL of the queue of log files.
    pub queue: String,
    /// URL of its dead-letter queue.
    pub dead_letters: String,
    /// ARN of the topic for people.
    pub people: String,
}

impl State {
    /// Notes a log file and counts it, once however often it is delivered. Yields whether it was new.
    pub async fn note_file(&self, file: &FileRecord, now: Time) -> Result<bool, Error> {
        let mut item = encode(file)?;
        item.extend(keys(&format!("L#{}", file.object), &file.sha256));
        item.insert("expires".to_owned(), number(now.0 + FILE_SECONDS));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|e| Error::Item(e.to_string()))?;
        let count = self.count_update(file)?;
        let put = TransactWriteItem::builder().put(put).build();
        let count = TransactWriteItem::builder().update(count).build();
        self.transact(vec![put, count]).await
    }

    fn count_update(&self, file: &FileRecord) -> Result<Update, Error> {
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys(&format!("C#{}#{}", file.date, file.account), "META")))
            .update_expression(
                "ADD files :one, #records :records, evaluated :evaluated, quarantined :quarantined, other_kinds :other",
            )
            .expression_attribute_names("#records", "records")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":records", number(file.records))
            .expression_attribute_values(":evaluated", number(file.evaluated))
            .expression_attribute_values(":quarantined", number(file.quarantined))
            .expression_attribute_values(":other", number(file.other_kinds))
            .build()
            .map_err(|e| Error::Item(e.to_string()))
    }

    /// What is known of a log file, by content.
    pub async fn file_records(&self, object: &str) -> Result<Vec<FileRecord>, Error> {
        let items = self.query_range(&format!("L#{object}"), ("0", "g")).await?;
        items.iter().map(super::decode).collect()
    }

    /// The counts of an account on a day.
    pub async fn day_counts(&self, date: &str, account: &str) -> Result<DayCounts, Error> {
        let item = self.get(keys(&format!("C#{date}#{account}"), "META")).await?;
        item.as_ref().map_or_else(|| Ok(DayCounts::default()), super::decode)
    }

    /// Notes that a region of an account was heard, which an older delivery does not change. `known` is what the caller
    /// read or wrote last: unless somebody else wrote since, this is one write. Yields what is known now.
    pub async fn hear(&self, mut known: Option<Heard>, first: &Heard) -> Result<Heard, Error> {
        for _ in 0..super::RACES {
            let next = match &known {
                None => first.clone(),
                Some(heard) => match heard.again(first.last_heard) {
                    None => return Ok(heard.clone()),
                    Some(next) => next,
                },
            };
            let mut item = encode(&next)?;
            item.extend(keys("ACCOUNTS", &format!("{}#{}", next.account, next.region)));
            match self.put_if(item, known.as_ref().map(|heard| heard.v)).await? {
                None => return Ok(next),
                // Somebody has deleted what was known.
                Some(winner) if winner.is_empty() => known = None,
                Some(winner) => known = Some(super::decode(&winner)?),
            }
        }
        Err(Error::Contended(format!("account {}", first.account)))
    }

    /// All regions of accounts that log files came from.
    pub async fn heard(&self) -> Result<Vec<Heard>, Error> {
        let items = self.query_range("ACCOUNTS", ("*", "~")).await?;
        items.iter().map(super::decode).collect()
    }

    /// The regions of an account that log files came from.
    pub async fn heard_of(&self, account: &str) -> Result<Vec<Heard>, Error> {
        let items = self.query_range("ACCOUNTS", (&format!("{account}#"), &format!("{account}#~"))).await?;
        items.iter().map(super::decode).collect()
    }

    /// All accounts that log files came from.
    pub async fn accounts_heard(&self) -> Result<Vec<AccountHeard>, Error> {
        let mut accounts: BTreeMap<String, Time> = BTreeMap::new();
        for Heard { account, last_heard, .. } in self.heard().await? {
            let last = accounts.entry(account).or_default();
            *last = last_heard.max(*last);
        }
        Ok(accounts.into_iter().map(|(account, last_heard)| AccountHeard { account, last_heard }).collect())
    }

    /// Notes that a canary came through; one that was sent earlier changes nothing.
    pub async fn note_canary(&self, canary: &Canary) -> Result<(), Error> {
        let mut item = encode(canary)?;
        item.extend(keys("CANARY", "META"));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR sent < :sent")
            .expression_attribute_values(":sent", string(&canary.sent.to_string()));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(failure)) if failure.err().is_conditional_check_failed_exception() => Ok(()),
            Err(other) => Err(Error::state("PutItem", other)),
        }
    }

    /// The last canary that came through.
    pub async fn canary(&self) -> Result<Option<Canary>, Error> {
        let item = self.get(keys("CANARY", "META")).await?;
        item.as_ref().map(super::decode).transpose()
    }

    /// Where the deployment's parts are, as its function last said.
    pub async fn parts(&self) -> Result<Option<Parts>, Error> {
        let item = self.get(keys("PARTS", "META")).await?;
        item.as_ref().map(super::decode).transpose()
    }

    /// Says where the deployment's parts are, for `qtrail status`.
    pub async fn keep_parts(&self, parts: &Parts) -> Result<(), Error> {
        let mut item = encode(parts)?;
        item.extend(keys("PARTS", "META"));
        self.put(item).await
    }

    /// The text of the last settings that could be used.
    pub async fn last_settings(&self) -> Result<Option<String>, Error> {
        let item = self.get(keys("SETTINGS", "META")).await?;
        Ok(item.map(|item| super::text_of(&item, "text").to_owned()))
    }

    /// Keeps the text of settings that can be used.
    pub async fn keep_settings(&self, text: &str) -> Result<(), Error> {
        let mut item: Item = keys("SETTINGS", "META");
        item.insert("text".to_owned(), string(text));
        self.put(item).await
    }
}

/// The table as the template makes it.
pub(super) async fn create_table(client: &Client, table: &str) -> Result<(), Error> {
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(|e| Error::Item(e.to_string()))
    };
    let attribute = |name: &str, kind: ScalarAttributeType| {
        let built = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
        built.map_err(|e| Error::Item(e.to_string()))
    };
    let index = |name: &str, range: &str, projection: ProjectionType| -> Result<GlobalSecondaryIndex, Error> {
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(key(name, KeyType::Hash)?)
            .key_schema(key(range, KeyType::Range)?)
            .projection(Projection::builder().projection_type(projection).build())
            .build()
            .map_err(|e| Error::Item(e.to_string()))
    };
    let create = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("sk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("feed", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("first_seen", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("due", ScalarAttributeType::N)?)
        .global_secondary_indexes(index("feed", "first_seen", ProjectionType::All)?)
        .global_secondary_indexes(index("due", "pk", ProjectionType::KeysOnly)?);
    match create.send().await {
        Ok(_) => Ok(()),
        Err(SdkError::ServiceError(failure)) if failure.err().is_resource_in_use_exception() => Ok(()),
        Err(other) => Err(Error::state("CreateTable", other)),
    }
}
