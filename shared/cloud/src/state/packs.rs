//! Evidence packs that were made.

use serde::{Deserialize, Serialize};
use trail::control::Verdict;
use trail::review::{By, Period};
use trail::time::Time;

use super::{State, VerdictChange, decode, encode, keys, string, text_of};
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
}

/// How a resource stood, as a pack names it: the account goes without saying in the table, and not in a pack.
pub(crate) fn stands(verdict: Option<&Verdict>) -> &'static str {
    verdict.map_or("gone", |verdict| verdict.status.word())
}
