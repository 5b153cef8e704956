//! Alerts that are owed, threads, and what else has to be said.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use trail::alert::{Entry, Level, Thread};
use trail::time::Time;

use super::{HistoryLine, Item, State, decode, encode, keys, number, string, text_of};
use crate::error::Error;

/// Something that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// An alert about a finding, by id.
    Finding(String),
    /// A notice.
    Notice(Notice),
}

/// Something that people are to be told besides findings, once somebody can hear it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// That alerts arrive, after a deployment, by its time.
    Test(String),
    /// What a day came to, by its date.
    Summary(String),
    /// That reviewers are to decide, by the review's id.
    Review(String),
}

impl Notice {
    fn key(&self) -> String {
        match self {
            Self::Test(deployed) => format!("N#{deployed}"),
            Self::Summary(date) => format!("N#summary#{date}"),
            Self::Review(id) => format!("N#review#{id}"),
        }
    }

    fn of_key(pk: &str) -> Option<Self> {
        let name = pk.strip_prefix("N#")?;
        Some(match name.split_once('#') {
            Some(("summary", date)) => Self::Summary(date.to_owned()),
            Some(("review", id)) => Self::Review(id.to_owned()),
            _ => Self::Test(name.to_owned()),
        })
    }
}

impl State {
    /// What is owed: the index holds nothing else.
    pub async fn due(&self) -> Result<Vec<Due>, Error> {
        let scan = self.client.scan().table_name(&self.table).index_name("due");
        let mut items = scan.into_paginator().items().send();
        let mut due = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|e| Error::state("Scan", e))?;
            let pk = text_of(&item, "pk");
            let finding = pk.strip_prefix("F#").map(|id| Due::Finding(id.to_owned()));
            due.extend(finding.or_else(|| Notice::of_key(pk).map(Due::Notice)));
        }
        Ok(due)
    }

    /// Clears what was owed, unless more is owed by now, and notes it in the history. Yields whether it was cleared.
    pub async fn clear_due(&self, entry: &Entry, level: Level, line: Option<&HistoryLine>) -> Result<bool, Error> {
        let id = &entry.finding.finding_id;
        let clear = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys(&format!("F#{id}"), "META")))
            .update_expression("SET sent = :level, v = v + :one REMOVE due, due_since")
            .condition_expression("due = :level")
            .expression_attribute_values(":level", number(level.0))
            .expression_attribute_values(":one", number(1))
            .build()
            .map_err(|e| Error::Item(e.to_string()))?;
        let mut writes = vec![TransactWriteItem::builder().update(clear).build()];
        if let Some(line) = line {
            writes.push(self.history_put(id, entry.v, line)?);
        }
        self.transact(writes).await
    }

    /// What people were told of a thread.
    pub async fn thread(&self, thread_id: &str) -> Result<Option<Thread>, Error> {
        let item = self.get(keys(&format!("TH#{thread_id}"), "META")).await?;
        item.as_ref().map(decode).transpose()
    }

    /// Writes a thread unless somebody was faster. Yields whether it was written.
    pub async fn put_thread(&self, thread_id: &str, thread: &Thread) -> Result<bool, Error> {
        let mut item = encode(thread)?;
        item.extend(keys(&format!("TH#{thread_id}"), "META"));
        let read = (thread.v > 1).then(|| thread.v - 1);
        Ok(self.put_if(item, read).await?.is_none())
    }

    /// Takes one of a minute's places for single alerts; yields how many were taken, this one included.
    pub async fn take_place(&self, now: Time) -> Result<i64, Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys(&format!("ALERTS#{}", now.floor(60)), "META")))
            .update_expression("ADD taken :one SET expires = :expires")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expires", number(now.0 + 86_400))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew);
        let answer = update.send().await.map_err(|e| Error::state("UpdateItem", e))?;
        Ok(answer.attributes.as_ref().and_then(|item| super::number_of(item, "taken")).unwrap_or_default())
    }

    /// Owes a notice.
    pub async fn owe(&self, notice: &Notice) -> Result<(), Error> {
        let mut item: Item = keys(&notice.key(), "META");
        item.insert("due".to_owned(), number(255));
        self.put(item).await
    }

    /// Forgets a notice that was sent.
    pub async fn notice_sent(&self, notice: &Notice) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(keys(&notice.key(), "META")));
        delete.send().await.map_err(|e| Error::state("DeleteItem", e))?;
        Ok(())
    }

    /// Notes by whom a root session's key was asked for.
    pub async fn note_issued_key(&self, key: &str, by: &str, now: Time) -> Result<(), Error> {
        let mut item: Item = keys(&format!("K#{key}"), "META");
        item.insert("issued_by".to_owned(), string(by));
        item.insert("expires".to_owned(), number(now.0 + 35 * 86_400));
        self.put(item).await
    }

    /// By whom a root session's key was asked for.
    pub async fn issuer_of(&self, key: &str) -> Result<Option<String>, Error> {
        let item = self.get(keys(&format!("K#{key}"), "META")).await?;
        Ok(item.map(|item| text_of(&item, "issued_by").to_owned()))
    }
}
