//! Snapshots of all accounts that are reviewed.
//!
//! A function has fifteen minutes, and an organization may have a thousand accounts: what was taken is kept at once, and
//! whoever goes on later with the same time takes what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use trail::review::population::left_out;
use trail::settings::Settings;
use trail::snapshot::{Cause, Refusal};
use trail::time::Time;

use super::store::{Complete, Store};
use crate::collect::Collector;
use crate::error::Error;

/// Accounts that are asked at the same time.
const AT_ONCE: usize = 4;

/// Takes snapshots.
#[derive(Debug, Clone, Copy)]
pub struct Taking<'t> {
    /// Who asks.
    pub collector: &'t Collector,
    /// Which accounts are reviewed, and where Identity Center is.
    pub settings: &'t Settings,
    /// Where snapshots are kept.
    pub store: &'t Store,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Accounts whose snapshots are kept.
    pub taken: Vec<String>,
    /// Accounts that time was too short for: empty once all is complete.
    pub left: Vec<String>,
}

impl Taking<'_> {
    /// Takes what is not there yet of the snapshots of this time. No account is begun after `until`.
    pub async fn take(&self, taken: Time, until: Instant) -> Result<Progress, Error> {
        let accounts = self.accounts().await;
        self.collector.know(accounts.iter().cloned());
        let there = self.store.snapshots(taken).await?;
        let region = &self.settings.review.identity_center_region;
        let missing = accounts.iter().filter(|account| !there.contains_key(*account));
        let asked = stream::iter(missing).map(async |account| -> Result<_, Error> {
            if Instant::now() >= until {
                return Ok((account.clone(), None));
            }
            let snapshot = self.collector.access(account, region).await;
            Ok((account.clone(), Some(self.store.put_snapshot(taken, &snapshot).await?.sha256)))
        });
        let asked: Vec<(String, Option<String>)> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
        let left: BTreeSet<String> =
            asked.iter().filter(|(_, hash)| hash.is_none()).map(|(account, _)| account.clone()).collect();
        let fresh = asked.into_iter().filter_map(|(account, hash)| Some((account, hash?)));
        let kept: BTreeMap<String, String> = there.into_iter().chain(fresh).collect();
        let progress = Progress { taken: kept.keys().cloned().collect(), left: left.into_iter().collect() };
        if progress.left.is_empty() {
            self.store.complete(&Complete { taken, accounts: kept }).await?;
        }
        Ok(progress)
    }

    /// The organization's accounts that are reviewed, and always the collector's own, whose snapshot holds the
    /// organization and Identity Center. Where the organization does not tell, those of the settings: that it did not
    /// stands in the snapshot.
    async fn accounts(&self) -> BTreeSet<String> {
        let told = match self.collector.accounts().await {
            Ok(accounts) => accounts,
            Err(Refusal { cause: Cause::Absent, .. }) => Vec::new(),
            Err(refused) => {
                tracing::warn!(code = refused.code, message = refused.message, "the organization's accounts");
                self.settings.accounts.keys().cloned().collect()
            }
        };
        let reviewed = told.into_iter().filter(|account| left_out(self.settings, account).is_none());
        reviewed.chain([self.collector.home().to_owned()]).collect()
    }
}
