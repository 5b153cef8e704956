//! Digests that wait, chains and how far they are proven, AWS's keys, and calls that interrupt chains.

use aws_sdk_dynamodb::error::SdkError;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use trail::digest::{Chain, ChainHead, PublicKeys, TrailChange};
use trail::envelope::ObjectRef;
use trail::time::Time;

use super::{State, decode, encode, keys, number, string};
use crate::error::Error;

/// How long a verified digest and a trail's interruptions are remembered, in seconds: 400 days, as log files are.
const KEPT_SECONDS: i64 = 400 * 86_400;

/// How far a chain is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainState {
    /// The last digest that was followed.
    pub head: ChainHead,
    /// From when on the chain is followed.
    pub since: Time,
    /// Digests verified.
    pub digests: u64,
    /// Log files that they sign.
    pub logs: u64,
    /// Problems found in all that time.
    pub problems: u64,
    /// Of those, log files that no digest signs, or not as they are.
    pub foreign: u64,
    /// Up to when what lies in the bucket was compared with what is signed.
    pub compared: Time,
    /// When the last problem was found.
    pub last_problem: Option<Time>,
    /// The version of this item.
    pub v: u64,
}

/// A digest that was verified, good or bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestRecord {
    /// Its key.
    pub object: String,
    /// SHA-256 of its text.
    pub sha256: String,
    /// Log files that it signs.
    pub logs: u64,
    /// What was found, as kinds of problems.
    pub problems: Vec<String>,
    /// When it was verified.
    pub verified: Time,
}

/// Accounts whose chains are asked for at the same time.
const ACCOUNTS_AT_ONCE: usize = 16;

fn chain_key(chain: &Chain) -> super::Item {
    keys(&format!("CHAINS#{}", chain.account), &chain.to_string())
}

/// A call that interrupts or begins chains, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredChange {
    time: Time,
    trail: String,
    region: String,
    stops: bool,
    starts: bool,
}

impl State {
    /// Notes a digest that was delivered, to be verified soon.
    pub async fn owe_digest(&self, object: &ObjectRef) -> Result<(), Error> {
        let mut item = encode(object)?;
        item.extend(keys("DIGESTS", &object.id()));
        self.put(item).await
    }

    /// Digests that wait to be verified.
    pub async fn owed_digests(&self) -> Result<Vec<ObjectRef>, Error> {
        let items = self.query_range("DIGESTS", (" ", "~")).await?;
        items.iter().map(decode).collect()
    }

    /// Forgets a digest that was verified.
    pub async fn digest_done(&self, object: &ObjectRef) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(keys("DIGESTS", &object.id())));
        delete.send().await.map_err(|e| Error::state("DeleteItem", e))?;
        Ok(())
    }

    /// How far a chain is proven.
    pub async fn chain(&self, chain: &Chain) -> Result<Option<ChainState>, Error> {
        let item = self.get(chain_key(chain)).await?;
        item.as_ref().map(decode).transpose()
    }

    /// The chains of an account.
    pub async fn chains_of(&self, account: &str) -> Result<Vec<ChainState>, Error> {
        let items = self.query_range(&format!("CHAINS#{account}"), (" ", "~")).await?;
        items.iter().map(decode).collect()
    }

    /// The chains of all accounts that log files came from.
    pub async fn chains(&self) -> Result<Vec<ChainState>, Error> {
        let accounts = self.accounts_heard().await?;
        let chains = accounts.into_iter().map(|heard| async move { self.chains_of(&heard.account).await });
        let chains: Vec<Vec<ChainState>> = stream::iter(chains).buffered(ACCOUNTS_AT_ONCE).try_collect().await?;
        Ok(chains.into_iter().flatten().collect())
    }

    /// Writes how far a chain is proven unless somebody was faster. Yields whether it was written.
    pub async fn put_chain(&self, state: &ChainState) -> Result<bool, Error> {
        let mut item = encode(state)?;
        item.extend(chain_key(&state.head.chain));
        let read = (state.v > 1).then(|| state.v - 1);
        Ok(self.put_if(item, read).await?.is_none())
    }

    /// What was verified for the end of a window.
    pub async fn digest_record(&self, chain: &Chain, end: Time) -> Result<Option<DigestRecord>, Error> {
        let item = self.get(keys(&format!("D#{chain}"), &end.to_string())).await?;
        item.as_ref().map(decode).transpose()
    }

    /// What was verified for windows that end after the first time, and not after the second.
    pub async fn digest_records(&self, chain: &Chain, (after, to): (Time, Time)) -> Result<Vec<DigestRecord>, Error> {
        let (from, to) = (Time(after.0 + 1).to_string(), to.to_string());
        let items = self.query_range(&format!("D#{chain}"), (&from, &to)).await?;
        items.iter().map(decode).collect()
    }

    /// Keeps what was verified; what was first there stays.
    pub async fn keep_digest(&self, chain: &Chain, end: Time, record: &DigestRecord) -> Result<(), Error> {
        let mut item = encode(record)?;
        item.extend(keys(&format!("D#{chain}"), &end.to_string()));
        item.insert("expires".to_owned(), number(record.verified.0 + KEPT_SECONDS));
        self.put_if(item, None).await.map(drop)
    }

    /// AWS's keys that were pinned for a region.
    pub async fn public_keys(&self, region: &str) -> Result<PublicKeys, Error> {
        let item = self.get(keys(&format!("KEYS#{region}"), "META")).await?;
        let text = item.as_ref().map(|item| super::text_of(item, "keys")).unwrap_or_default();
        if text.is_empty() {
            return Ok(PublicKeys::default());
        }
        serde_json::from_str(text).map_err(|e| Error::Item(format!("keys of {region}: {e}")))
    }

    /// Keeps AWS's keys of a region.
    pub async fn keep_public_keys(&self, region: &str, known: &PublicKeys) -> Result<(), Error> {
        let text = serde_json::to_string(known).map_err(|e| Error::Item(e.to_string()))?;
        let mut item = keys(&format!("KEYS#{region}"), "META");
        item.insert("keys".to_owned(), string(&text));
        self.put(item).await
    }

    /// Notes a call that interrupts chains or begins them.
    pub async fn note_trail_change(&self, change: &TrailChange) -> Result<(), Error> {
        let TrailChange { time, trail, region, stops, starts } = change.clone();
        let stored = StoredChange { time, trail, region, stops, starts };
        let mut item = encode(&stored)?;
        item.extend(keys("TRAILS", &format!("{}#{}#{}", stored.time, stored.region, stored.trail)));
        item.insert("expires".to_owned(), number(stored.time.0 + KEPT_SECONDS));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(failure)) if failure.err().is_conditional_check_failed_exception() => Ok(()),
            Err(other) => Err(Error::state("PutItem", other)),
        }
    }

    /// The calls of a span of time that interrupt chains or begin them.
    pub async fn trail_changes(&self, from: Time, to: Time) -> Result<Vec<TrailChange>, Error> {
        let items = self.query_range("TRAILS", (&from.to_string(), &to.to_string())).await?;
        let stored = items.iter().map(decode::<StoredChange>);
        stored
            .map(|stored| {
                let StoredChange { time, trail, region, stops, starts } = stored?;
                Ok(TrailChange { time, trail, region, stops, starts })
            })
            .collect()
    }
}
