//! What the owner of a deployment says about it: `config.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detection::Severity;
use crate::finding::Match;
use crate::window::Step;

/// The settings in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The accounts that are ours, by id.
    pub accounts: BTreeMap<String, Account>,
    /// What belongs to the trail and to this system.
    pub own: Own,
    /// When repeated failures become a finding.
    pub thresholds: Thresholds,
}

/// An account of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// What people call it.
    pub name: String,
    /// `production`, `staging` …
    pub environment: String,
    /// Who answers for it.
    pub owner: String,
}

/// What belongs to the trail and to this system, and is not to be touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Own {
    /// The organization, `o-…`: accounts in it are ours though not listed.
    pub organization: String,
    /// Buckets that hold log files, and this stack's data bucket.
    pub log_buckets: Vec<String>,
    /// Keys that encrypt them: ARN, id or alias.
    pub keys: Vec<String>,
    /// The account that this stack lives in.
    pub account: String,
    /// The stack's name: its resources' names begin with it.
    pub stack: String,
    /// The roles that deploy this stack, as ARNs.
    pub deploy_roles: Vec<String>,
}

/// When repeated failures become a finding. The defaults are for people, not for load tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Failed sign-ins of one user of one account.
    pub user_failures: Limit,
    /// Failed sign-ins from one address.
    pub address_failures: Limit,
    /// Different users that failed from one address.
    pub address_users: Limit,
    /// Different accounts in which sign-ins failed from one address.
    pub address_accounts: Limit,
    /// Failed root sign-ins of one account, over all addresses.
    pub root_failures: Limit,
    /// Right passwords with wrong second factors, for one user.
    pub mfa_failures: Limit,
    /// Refused calls of one actor.
    pub refused_calls: Limit,
    /// Refused IAM changes of one actor.
    pub refused_iam_changes: Limit,
    /// Refused or failed attempts to assume roles from one address.
    pub role_failures: Limit,
    /// Principals that were tried in trust policies and do not exist.
    pub probed_principals: Limit,
    /// So many failures and then a success are worth a note, where they are too few for more.
    pub few_failures: usize,
    /// How soon a success has to follow the failures, in minutes.
    pub success_within_minutes: i64,
}

/// So many, of so many different kinds, within so many minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many.
    pub count: usize,
    /// How many different ones among them.
    #[serde(default = "one")]
    pub distinct: usize,
    /// Within how many minutes: a multiple of 5.
    pub minutes: i64,
}

fn one() -> usize {
    1
}

impl Limit {
    /// As a step of a threshold.
    pub fn step(self, severity: Severity) -> Step {
        Step { count: self.count, distinct: self.distinct, seconds: self.minutes * 60, severity }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        let limit = |count, distinct, minutes| Limit { count, distinct, minutes };
        Self {
            user_failures: limit(5, 1, 15),
            address_failures: limit(10, 1, 15),
            address_users: limit(5, 5, 60),
            address_accounts: limit(2, 2, 60),
            root_failures: limit(5, 1, 15),
            mfa_failures: limit(2, 1, 15),
            refused_calls: limit(20, 5, 10),
            refused_iam_changes: limit(3, 3, 10),
            role_failures: limit(10, 5, 10),
            probed_principals: limit(10, 1, 15),
            few_failures: 3,
            success_within_minutes: 60,
        }
    }
}

impl Settings {
    /// Whether an account is known to be ours: listed, or this stack's own.
    pub fn is_ours(&self, account: &str) -> bool {
        self.accounts.contains_key(account) || (!account.is_empty() && self.own.account == account)
    }

    /// Lowers a match that the settings expect.
    pub(crate) fn lower(&self, _found: &mut Match) {}
}
