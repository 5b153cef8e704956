//! Findings as people work with them: lists, status, history.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use trail::alert::{Entry, Resolution, Status, Thread};
use trail::detection::{Category, Severity};
use trail::time::Time;

use super::{Item, RACES, State, decode, encode, keys, number, overlay, string};
use crate::error::Error;

/// One line of a finding's history, which is only ever added to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// When, by the clock of whoever did it.
    pub at: Time,
    /// `alert sent`, `acknowledged`, `closed`, `reopened`.
    pub what: String,
    /// Who.
    pub who: String,
    /// Why, in their own words.
    pub note: String,
    /// The version of the detection set.
    pub detections: String,
}

impl HistoryLine {
    /// A line by whoever calls.
    pub fn new(at: Time, what: impl Into<String>, who: &str, note: &str) -> Self {
        Self {
            at,
            what: what.into(),
            who: who.to_owned(),
            note: note.to_owned(),
            detections: trail::detections::VERSION.to_owned(),
        }
    }

    pub(super) fn reopened(at: Time) -> Self {
        Self::new(at, "reopened", "qtrail", "it happened again after it was closed")
    }
}

/// Which findings are asked for. All that is said has to hold.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// How many days back from today, by first sight.
    pub days: i64,
    /// This status.
    pub status: Option<Status>,
    /// At least this bad.
    pub severity: Option<Severity>,
    /// This category.
    pub category: Option<Category>,
    /// An actor whose name contains this.
    pub actor: Option<String>,
}

impl Query {
    fn days_before(&self, today: Time) -> impl Iterator<Item = Time> + use<> {
        (0..=self.days.max(0)).map(move |ago| Time(today.0 - ago * 86_400))
    }

    fn admits(&self, entry: &Entry) -> bool {
        let finding = &entry.finding;
        self.status.is_none_or(|status| entry.status == status)
            && self.severity.is_none_or(|least| finding.severity >= least)
            && self.category.is_none_or(|category| finding.category == category)
            && self.actor.as_deref().is_none_or(|name| finding.facts.actors.iter().any(|actor| actor.contains(name)))
    }
}

/// How many days of the feed are asked for at once.
const DAYS_AT_ONCE: usize = 8;

impl State {
    /// The entry of a finding.
    pub async fn entry(&self, finding_id: &str) -> Result<Option<Entry>, Error> {
        let item = self.get(keys(&format!("F#{finding_id}"), "META")).await?;
        item.as_ref().map(decode).transpose()
    }

    /// Findings by first sight, newest first.
    pub async fn findings(&self, query: &Query, today: Time) -> Result<Vec<Entry>, Error> {
        let days: Vec<Vec<Entry>> = stream::iter(query.days_before(today))
            .map(|day| async move {
                let mut entries = Vec::new();
                self.feed(day, &mut |entry| entries.extend(Some(entry).filter(|entry| query.admits(entry)))).await?;
                Ok::<_, Error>(entries)
            })
            .buffered(DAYS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(days.into_iter().flatten().collect())
    }

    /// Hands over findings one by one, newest first: all of them may be more than fit into a function's memory.
    pub async fn each_finding(
        &self,
        query: &Query,
        today: Time,
        take: &mut (dyn FnMut(Entry) + Send),
    ) -> Result<(), Error> {
        for day in query.days_before(today) {
            let mut admit = |entry| {
                if query.admits(&entry) {
                    take(entry);
                }
            };
            self.feed(day, &mut admit).await?;
        }
        Ok(())
    }

    async fn feed(&self, day: Time, take: &mut (dyn FnMut(Entry) + Send)) -> Result<(), Error> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("feed")
            .scan_index_forward(false)
            .key_condition_expression("feed = :feed")
            .expression_attribute_values(":feed", string(&super::feed_of(day)))
            .into_paginator()
            .items()
            .send();
        while let Some(item) = items.next().await {
            take(decode(&item.map_err(|e| Error::state("Query", e))?)?);
        }
        Ok(())
    }

    /// The finding whose id begins like that.
    pub async fn find(&self, prefix: &str, today: Time) -> Result<Entry, Error> {
        if let Some(entry) = self.entry(prefix).await? {
            return Ok(entry);
        }
        let all = self.findings(&Query { days: 400, ..Query::default() }, today).await?;
        let mut found = all.into_iter().filter(|entry| entry.finding.finding_id.starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(entry), None) => Ok(entry),
            (None, _) => Err(Error::NoSuchFinding(format!("no finding begins with `{prefix}`: see qtrail findings"))),
            (Some(_), Some(_)) => {
                Err(Error::NoSuchFinding(format!("several findings begin with `{prefix}`: give more of the id")))
            }
        }
    }

    /// Sets a finding's status, with a line of history in the same write.
    pub async fn set_status(
        &self,
        finding_id: &str,
        (status, resolution): (Status, Option<Resolution>),
        line: &HistoryLine,
    ) -> Result<Entry, Error> {
        let key = keys(&format!("F#{finding_id}"), "META");
        for _ in 0..RACES {
            let Some(item) = self.get(key.clone()).await? else {
                return Err(Error::NoSuchFinding(format!("no finding {finding_id}")));
            };
            let mut entry: Entry = decode(&item)?;
            let read = entry.v;
            (entry.status, entry.resolution) = (status, resolution);
            entry.v += 1;
            let item = overlay(Some(item), &entry, &key)?;
            if self.put_with_history(item, read, (finding_id, line)).await? {
                if status == Status::Closed {
                    self.close_thread(&entry).await?;
                }
                return Ok(entry);
            }
        }
        Err(Error::Contended(format!("finding {finding_id}")))
    }

    /// Writes an entry and a line of history, both or neither. Yields whether nobody was faster.
    pub(super) async fn put_with_history(
        &self,
        item: Item,
        read: u64,
        note: (&str, &HistoryLine),
    ) -> Result<bool, Error> {
        let built =
            |put: Result<Put, _>| put.map_err(|e: aws_sdk_dynamodb::error::BuildError| Error::Item(e.to_string()));
        let entry = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("v = :read")
            .expression_attribute_values(":read", number(read));
        let history = self.history_put(note.0, read, note.1)?;
        let entry = TransactWriteItem::builder().put(built(entry.build())?).build();
        self.transact(vec![entry, history]).await
    }

    /// Adds a line to the history of a finding that was read in this version. Nothing that stands there is replaced.
    pub(super) fn history_put(
        &self,
        finding_id: &str,
        version: u64,
        line: &HistoryLine,
    ) -> Result<TransactWriteItem, Error> {
        let mut item = encode(line)?;
        // The version tells lines of one second apart; in a width that sorts.
        item.extend(keys(&format!("F#{finding_id}"), &format!("H#{}#{version:010}#{}", line.at, line.what)));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build();
        let put = put.map_err(|e| Error::Item(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A finding of the thread was closed: the next one is news again.
    async fn close_thread(&self, entry: &Entry) -> Result<(), Error> {
        for _ in 0..RACES {
            let Some(thread) = self.thread(&entry.finding.thread_id()).await? else { return Ok(()) };
            let closed = Thread { closed: true, v: thread.v + 1, ..thread };
            if self.put_thread(&entry.finding.thread_id(), &closed).await? {
                return Ok(());
            }
        }
        Err(Error::Contended(format!("the thread of finding {}", entry.finding.finding_id)))
    }

    /// A finding's history, oldest first.
    pub async fn history(&self, finding_id: &str) -> Result<Vec<HistoryLine>, Error> {
        let items = self.query_range(&format!("F#{finding_id}"), ("H#", "H#~")).await?;
        items.iter().map(decode).collect()
    }
}
