//! Verdicts and their history, who touched what, and what a run could see.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use serde::{Deserialize, Serialize};
use trail::control::{Status, Touch, Verdict};
use trail::time::Time;

use super::{State, decode, encode, keys, number, string, text_of};
use crate::error::Error;

/// How long it is remembered who touched something, in seconds: 400 days.
const KEPT_SECONDS: i64 = 400 * 86_400;

/// A verdict as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldVerdict {
    /// What is said.
    pub verdict: Verdict,
    /// Since when the status is this one.
    pub since: Time,
}

/// A line of a control's history, which is only ever added to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictChange {
    /// When.
    pub at: Time,
    /// What was said before; none of a resource that is new.
    pub before: Option<Status>,
    /// What was said from then on; none of a resource that is gone.
    pub verdict: Option<Verdict>,
    /// The region and resource that it is about.
    pub region: String,
    /// A trail, bucket or key, or the account.
    pub resource: String,
    /// The snapshot in the data bucket that it rests on.
    pub snapshot: String,
}

/// What the last run over an account could see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRun {
    /// When it was.
    pub at: Time,
    /// The key of its snapshot in the data bucket.
    pub snapshot: String,
    /// Questions that were answered.
    pub answered: u64,
    /// Questions that were not, as `call region: why`.
    pub blind: Vec<String>,
}

impl State {
    /// The verdicts on an account as they stand.
    pub async fn verdicts(&self, account: &str) -> Result<Vec<HeldVerdict>, Error> {
        let items = self.query_range(&format!("A#{account}"), ("V#", "V#~")).await?;
        items.iter().map(decode).collect()
    }

    /// Keeps a verdict and a line of history, both or neither.
    pub async fn keep_verdict(&self, held: &HeldVerdict, change: &VerdictChange) -> Result<(), Error> {
        let Verdict { account, control_id, region, resource, .. } = &held.verdict;
        let mut item = encode(held)?;
        item.extend(keys(&format!("A#{account}"), &format!("V#{control_id}#{region}#{resource}")));
        let verdict = self.put_of(item)?;
        self.transact(vec![verdict, self.change_of(account, control_id, change)?]).await.map(drop)
    }

    /// Forgets a verdict on a resource that is gone; its history stays.
    pub async fn drop_verdict(&self, gone: &Verdict, change: &VerdictChange) -> Result<(), Error> {
        let Verdict { account, control_id, region, resource, .. } = gone;
        let key = keys(&format!("A#{account}"), &format!("V#{control_id}#{region}#{resource}"));
        let delete = aws_sdk_dynamodb::types::Delete::builder().table_name(&self.table).set_key(Some(key)).build();
        let delete = delete.map_err(|e| Error::Item(e.to_string()))?;
        let delete = TransactWriteItem::builder().delete(delete).build();
        self.transact(vec![delete, self.change_of(account, control_id, change)?]).await.map(drop)
    }

    fn change_of(&self, account: &str, control: &str, change: &VerdictChange) -> Result<TransactWriteItem, Error> {
        let VerdictChange { at, region, resource, .. } = change;
        let mut item = encode(change)?;
        // In a partition of its own: what may be deleted beside it must not put history at risk.
        item.extend(keys(&format!("AH#{account}"), &format!("{control}#{at}#{region}#{resource}")));
        self.put_of(item)
    }

    fn put_of(&self, item: super::Item) -> Result<TransactWriteItem, Error> {
        let put = Put::builder().table_name(&self.table).set_item(Some(item)).build();
        Ok(TransactWriteItem::builder().put(put.map_err(|e| Error::Item(e.to_string()))?).build())
    }

    /// What a control said of an account over time, oldest first: its state on any day is the last line before it.
    pub async fn verdict_history(&self, account: &str, control: &str) -> Result<Vec<VerdictChange>, Error> {
        let (from, to) = (format!("{control}#"), format!("{control}#~"));
        let items = self.query_range(&format!("AH#{account}"), (&from, &to)).await?;
        items.iter().map(decode).collect()
    }

    /// What the last run over an account could see; none before the first.
    pub async fn audit_run(&self, account: &str) -> Result<Option<AuditRun>, Error> {
        let item = self.get(keys(&format!("A#{account}"), "RUN")).await?;
        item.as_ref().map(decode).transpose()
    }

    /// Keeps what a run could see.
    pub async fn keep_audit_run(&self, account: &str, run: &AuditRun) -> Result<(), Error> {
        let mut item = encode(run)?;
        item.extend(keys(&format!("A#{account}"), "RUN"));
        self.put(item).await
    }

    /// Keeps which accounts there are to be audited.
    pub async fn keep_audited(&self, accounts: &[String]) -> Result<(), Error> {
        let mut item = keys("AUDITED", "META");
        item.insert("accounts".to_owned(), string(&accounts.join(",")));
        self.put(item).await
    }

    /// Which accounts there are to be audited; none before anybody could tell.
    pub async fn audited(&self) -> Result<Option<Vec<String>>, Error> {
        let item = self.get(keys("AUDITED", "META")).await?;
        let accounts = |text: &str| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Ok(item.map(|item| accounts(text_of(&item, "accounts"))))
    }

    /// Notes who changed a trail, bucket or key, and that the account is to be looked at soon.
    pub async fn note_touch(&self, account: &str, resource: &str, touch: &Touch) -> Result<(), Error> {
        let mut item = encode(touch)?;
        item.extend(keys(&format!("A#{account}"), &format!("TOUCH#{resource}")));
        item.insert("resource".to_owned(), string(resource));
        item.insert("expires".to_owned(), number(touch.time.0 + KEPT_SECONDS));
        self.put(item).await?;
        self.put(keys("TOUCHED", account)).await
    }

    /// Who changed what in an account, the last of each.
    pub async fn touches(&self, account: &str) -> Result<Vec<(String, Touch)>, Error> {
        let items = self.query_range(&format!("A#{account}"), ("TOUCH#", "TOUCH#~")).await?;
        items.iter().map(|item| Ok((text_of(item, "resource").to_owned(), decode(item)?))).collect()
    }

    /// Accounts in which something was changed since they were looked at.
    pub async fn touched(&self) -> Result<Vec<String>, Error> {
        let items = self.query_range("TOUCHED", ("*", "~")).await?;
        Ok(items.iter().map(|item| text_of(item, "sk").to_owned()).collect())
    }

    /// Forgets that an account is to be looked at.
    pub async fn looked_at(&self, account: &str) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(keys("TOUCHED", account)));
        delete.send().await.map_err(|e| Error::state("DeleteItem", e))?;
        Ok(())
    }
}
