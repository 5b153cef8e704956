//! From what AWS answered to who has access.
//!
//! Nothing is lost in silence: a question that was refused, never asked or answered in an unknown shape is a [`Gap`],
//! and so is a policy whose document was not told.

mod account;
mod asked;
mod directory;
mod organization;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use self::asked::{Answers, Gaps};
use super::{Access, AccountAccess, Principal};
use crate::policy::{Policy, Statement};
use crate::shape::{field, number, text};
use crate::snapshot::Snapshot;
use crate::time::Time;

/// Policies that AWS manages, by ARN: the same in every account.
type Managed = BTreeMap<String, Arc<Policy>>;

impl Access {
    /// Reads snapshots, one an account. Identity Center and Organizations may be in any of them.
    ///
    /// Of two snapshots of one account the later one counts.
    pub fn read(snapshots: &[Snapshot]) -> Self {
        let mut gaps = Gaps::default();
        let mut managed = Managed::new();
        let mut latest: BTreeMap<&str, &Snapshot> = BTreeMap::new();
        for snapshot in snapshots {
            let kept = latest.entry(&snapshot.account).or_insert(snapshot);
            if snapshot.taken > kept.taken {
                *kept = snapshot;
            }
        }
        let accounts: Vec<AccountAccess> =
            latest.values().map(|snapshot| account::read(snapshot, &mut managed, &mut gaps)).collect();
        let answers = Answers::of_all(latest.values().copied());
        let directory = directory::read(&answers, &managed, &mut gaps);
        let reserved = |principal: &Principal| principal.arn.contains(":role/aws-reserved/sso.amazonaws.com/");
        if directory.is_none() && accounts.iter().any(|account| account.principals.iter().any(reserved)) {
            let why = "there are roles of it, and no instance was listed: is it in another region, or not delegated?";
            gaps.add("", "sso:ListInstances", why);
        }
        let organization = organization::read(&answers, &mut gaps);
        Self { accounts, directory, organization, gaps: gaps.into_list() }
    }
}

/// A time as the command line of AWS prints it: RFC 3339, or seconds.
fn time(value: &Value) -> Option<Time> {
    match value {
        Value::String(text) => Time::parse(text),
        Value::Number(seconds) => {
            let whole = seconds.to_string().split('.').next().and_then(|digits| digits.parse().ok());
            number(value).or(whole).map(Time)
        }
        _ => None,
    }
}

/// A text member as a string of its own.
fn owned(value: &Value, key: &str) -> String {
    text(field(value, key)).to_owned()
}

/// What `AdministratorAccess` and `FullAWSAccess` say. Both are known where nobody told them.
fn everything() -> Policy {
    let all = || vec!["*".to_owned()];
    Policy { statements: vec![Statement { allow: true, actions: all(), resources: all(), ..Statement::default() }] }
}

#[cfg(test)]
mod tests;
