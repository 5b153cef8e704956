//! Evidence packs that were made, and the reviews that they hold.

use serde::{Deserialize, Serialize};
use trail::control::Verdict;
use trail::review::{By, Entry, Known, Period};
use trail::time::Time;

use super::{State, VerdictChange, decode, encode, keys, reviews, string, text_of};
use crate::error::Error;

/// A pack that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRecord {
    /// Its id: `pack-000003`.
    pub id: String,
    /// Its number in the chain, from 1.
    pub number: u64,
    /// The time that it is about.
    pub period: Period,
    /// When it was made.
    pub created_at: Time,
    /// Who made it; `None`: this system.
    pub created_by: Option<By>,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The same of the pack before.
    pub prev_pack_sha256: Option<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Where it lies, in the bucket or folder of packs.
    pub location: String,
    /// The key that signed it.
    pub key: String,
    /// SHA-256 of that key.
    pub key_sha256: String,
    /// How many gaps it names.
    pub gaps: u64,
}

/// What is known of a review that was opened, and how much of it can be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReviewHeld {
    /// Its id, which is its period's.
    pub id: String,
    /// The time that it is about.
    pub period: Option<Period>,
    /// Names that stand in records of Identity Center and not in its population.
    pub known: Known,
    /// All that happened to it.
    pub entries: Vec<Entry>,
    /// What could not be read.
    pub unread: Vec<String>,
}

impl State {
    /// All packs, in the order of the chain.
    pub async fn packs(&self) -> Result<Vec<PackRecord>, Error> {
        let items = self.query_range("PACKS", ("*", "~")).await?;
        items.iter().map(decode).collect()
    }

    /// One pack.
    pub async fn pack(&self, id: &str) -> Result<Option<PackRecord>, Error> {
        let item = self.get(keys("PACKS", id)).await?;
        item.as_ref().map(decode).transpose()
    }

    /// Keeps a pack. Yields false where another one has its place in the chain.
    pub async fn keep_pack(&self, pack: &PackRecord) -> Result<bool, Error> {
        let mut item = encode(pack)?;
        item.extend(keys("PACKS", &pack.id));
        match self.put_if(item, None).await? {
            None => Ok(true),
            // The answer to the first try was lost: this is what it wrote.
            Some(winner) => Ok(decode::<PackRecord>(&winner)? == *pack),
        }
    }

    /// Hands over all that controls said of an account over time, by control and then oldest first.
    pub async fn each_verdict_change(
        &self,
        account: &str,
        take: &mut (dyn FnMut(&str, VerdictChange) -> Result<(), Error> + Send),
    ) -> Result<(), Error> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", string(&format!("AH#{account}")))
            .expression_attribute_values(":from", string(" "))
            .expression_attribute_values(":to", string("~"))
            .into_paginator()
            .items()
            .send();
        while let Some(item) = items.next().await {
            let item = item.map_err(|e| Error::state("Query", e))?;
            let control = text_of(&item, "sk").split('#').next().unwrap_or_default().to_owned();
            take(&control, decode(&item)?)?;
        }
        Ok(())
    }

    /// All reviews with their logs, by id.
    pub async fn reviews_held(&self) -> Result<Vec<ReviewHeld>, Error> {
        let mut held = Vec::new();
        for item in self.query_range("REVIEWS", (" ", "~")).await? {
            held.push(self.review_held(text_of(&item, "sk")).await?);
        }
        Ok(held)
    }

    /// A review as its own room keeps it, as far as packs read it.
    #[cfg(test)]
    pub(crate) async fn keep_review_for_tests(&self, period: &Period, entries: &[Entry]) -> Result<(), Error> {
        let id = &period.id;
        let meta = std::collections::HashMap::from([("period", period)]);
        self.put(reviews::document(keys(&format!("R#{id}"), "META"), &meta)?).await?;
        self.put(keys("REVIEWS", id)).await?;
        for entry in entries {
            let place = keys(&format!("R#{id}"), &format!("E#{:010}", entry.number));
            self.put(reviews::document(place, entry)?).await?;
        }
        Ok(())
    }

    async fn review_held(&self, id: &str) -> Result<ReviewHeld, Error> {
        #[derive(Deserialize)]
        struct Meta {
            period: Period,
            #[serde(default)]
            known: Known,
        }
        let mut held = ReviewHeld { id: id.to_owned(), ..ReviewHeld::default() };
        match self.get(keys(&format!("R#{id}"), "META")).await?.as_ref().map(reviews::read::<Meta>) {
            Some(Ok(meta)) => (held.period, held.known) = (Some(meta.period), meta.known),
            Some(Err(error)) => held.unread.push(format!("what review {id} is about cannot be read: {error}")),
            None => held.unread.push(format!("what review {id} is about is not there")),
        }
        for item in self.query_range(&format!("R#{id}"), ("E#", "E#~")).await? {
            match reviews::read(&item) {
                Ok(entry) => held.entries.push(entry),
                Err(error) => {
                    held.unread.push(format!("{} of review {id} cannot be read: {error}", text_of(&item, "sk")));
                }
            }
        }
        Ok(held)
    }
}

/// How a resource stood, as a pack names it: the account goes without saying in the table, and not in a pack.
pub(crate) fn stands(verdict: Option<&Verdict>) -> &'static str {
    verdict.map_or("gone", |verdict| verdict.status.word())
}
