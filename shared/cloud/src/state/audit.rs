//! Verdicts and their history, who touched what, and what a run could see.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
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
    /// The key of the snapshot that trails are compared with: the last one in which nothing was weaker than before, or
    /// whose weaknesses somebody has accepted.
    #[serde(default)]
    pub baseline: String,
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

    /// Keeps a verdict and a line of history, both or neither, unless another verdict than `read` stands there now.
    /// Yields whether it was kept.
    pub async fn keep_verdict(
        &self,
        held: &HeldVerdict,
        read: Option<&HeldVerdict>,
        change: &VerdictChange,
    ) -> Result<bool, Error> {
        let mut item = encode(held)?;
        item.extend(key_of(&held.verdict));
        item.insert("said".to_owned(), string(&held.said()));
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = match read {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(read) => {
                put.condition_expression("said = :read").expression_attribute_values(":read", string(&read.said()))
            }
        };
        let put = put.build().map_err(|e| Error::Item(e.to_string()))?;
        let verdict = TransactWriteItem::builder().put(put).build();
        self.transact(vec![verdict, self.change_of(&held.verdict, change)?]).await
    }

    /// Forgets a verdict on a resource that is gone; its history stays. Yields false where another verdict stands there.
    pub async fn drop_verdict(&self, gone: &HeldVerdict, change: &VerdictChange) -> Result<bool, Error> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key_of(&gone.verdict)))
            .condition_expression("said = :read")
            .expression_attribute_values(":read", string(&gone.said()));
        let delete = delete.build().map_err(|e| Error::Item(e.to_string()))?;
        let delete = TransactWriteItem::builder().delete(delete).build();
        self.transact(vec![delete, self.change_of(&gone.verdict, change)?]).await
    }

    fn change_of(&self, about: &Verdict, change: &VerdictChange) -> Result<TransactWriteItem, Error> {
        let Verdict { account, control_id, resource, .. } = about;
        let mut item = encode(change)?;
        // In a partition of its own: what may be deleted beside it must not put history at risk.
        item.extend(keys(&format!("AH#{account}"), &format!("{control_id}#{}#{resource}", change.at)));
        let put = Put::builder().table_name(&self.table).set_item(Some(item)).build();
        Ok(TransactWriteItem::builder().put(put.map_err(|e| Error::Item(e.to_string()))?).build())
    }

    /// What a control said of an account over time, oldest first: its state on any day is the last line before it.
    pub async fn verdict_history(&self, account: &str, control: &str) -> Result<Vec<VerdictChange>, Error> {
        let (from, to) = (format!("{control}#"), format!("{control}#~"));
        let items = self.query_range(&format!("AH#{account}"), (&from, &to)).await?;
        items.iter().map(decode).collect()
    }

    /// How a control stood at a past time: a verdict for each resource; none before anybody looked.
    pub async fn verdicts_at(&self, account: &str, control: &str, time: Time) -> Result<Vec<Verdict>, Error> {
        let history = self.verdict_history(account, control).await?;
        let mut stood: BTreeMap<String, Option<Verdict>> = BTreeMap::new();
        for change in history.into_iter().filter(|change| change.at <= time) {
            stood.insert(change.resource, change.verdict);
        }
        Ok(stood.into_values().flatten().collect())
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

    /// Notes who changed a trail, bucket or key by which call, and that the account is to be looked at soon. What is
    /// older than what is known, or known, changes nothing: log files come late, and more than once.
    pub async fn note_touch(&self, account: &str, resource: &str, touch: &Touch) -> Result<(), Error> {
        let mut item = encode(touch)?;
        item.extend(keys(&format!("A#{account}"), &format!("TOUCH#{resource}#{}", touch.call)));
        item.insert("resource".to_owned(), string(resource));
        item.insert("seconds".to_owned(), number(touch.time.0));
        item.insert("expires".to_owned(), number(touch.time.0 + KEPT_SECONDS));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR seconds < :seconds")
            .expression_attribute_values(":seconds", number(touch.time.0));
        match put.send().await {
            Ok(_) => {}
            Err(SdkError::ServiceError(failure))
                if matches!(failure.err(), PutItemError::ConditionalCheckFailedException(_)) =>
            {
                return Ok(());
            }
            Err(other) => return Err(Error::state("PutItem", other)),
        }
        let mut owed = keys("TOUCHED", account);
        owed.insert("by".to_owned(), string(&format!("{} {resource} {}", touch.time, touch.call)));
        self.put(owed).await
    }

    /// Who changed what in an account: by resource, the last of each call.
    pub async fn touches(&self, account: &str) -> Result<BTreeMap<String, Vec<Touch>>, Error> {
        let items = self.query_range(&format!("A#{account}"), ("TOUCH#", "TOUCH#~")).await?;
        let mut touches: BTreeMap<String, Vec<Touch>> = BTreeMap::new();
        for item in &items {
            touches.entry(text_of(item, "resource").to_owned()).or_default().push(decode(item)?);
        }
        Ok(touches)
    }

    /// Accounts in which something was changed since they were looked at, and the last such change.
    pub async fn touched(&self) -> Result<Vec<(String, String)>, Error> {
        let items = self.query_range("TOUCHED", ("*", "~")).await?;
        Ok(items.iter().map(|item| (text_of(item, "sk").to_owned(), text_of(item, "by").to_owned())).collect())
    }

    /// Forgets that an account is to be looked at, unless something else was changed meanwhile.
    pub async fn looked_at(&self, account: &str, by: &str) -> Result<(), Error> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(keys("TOUCHED", account)))
            .condition_expression("attribute_not_exists(pk) OR #by = :by")
            .expression_attribute_names("#by", "by")
            .expression_attribute_values(":by", string(by));
        match delete.send().await {
            Err(SdkError::ServiceError(failure))
                if matches!(failure.err(), DeleteItemError::ConditionalCheckFailedException(_)) =>
            {
                Ok(())
            }
            deleted => deleted.map(drop).map_err(|e| Error::state("DeleteItem", e)),
        }
    }
}

/// A control says one thing of a resource: the region it is about may be another one each time.
fn key_of(verdict: &Verdict) -> super::Item {
    keys(&format!("A#{}", verdict.account), &format!("V#{}#{}", verdict.control_id, verdict.resource))
}

impl HeldVerdict {
    /// What tells it from any other verdict on the same resource.
    fn said(&self) -> String {
        format!("{} {}", self.since, self.verdict.fingerprint())
    }
}
