//! Who has access to what: principals, their credentials, and what policies give them, as AWS answered.
//!
//! Read from snapshots once; the access review lists it, and "who could do this" is answered from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::time::Time;

mod evaluate;
mod read;
#[cfg(test)]
mod testing;
pub mod who_can;

/// Everything that is known about access at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Access {
    /// Account by account.
    pub accounts: Vec<AccountAccess>,
    /// Identity Center, where there is one.
    pub directory: Option<Directory>,
    /// The organization, where there is one and it may be asked about.
    pub organization: Option<Organization>,
    /// What could not be seen: whatever is answered from this is partial.
    pub gaps: Vec<Gap>,
}

/// What could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// The account that it is about; empty for the organization.
    pub account: String,
    /// What is missing: the call, or a policy's ARN.
    pub what: String,
    /// Why, and the way out.
    pub why: String,
}

/// One account's principals.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountAccess {
    /// The account.
    pub account: String,
    /// When it was asked.
    pub taken: Time,
    /// The root user, users, and roles.
    pub principals: Vec<Principal>,
    /// Groups by name.
    pub groups: BTreeMap<String, Vec<Given>>,
    /// SAML and `OpenID Connect` providers.
    pub providers: Vec<Provider>,
}

/// What kind of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The account's root user.
    Root,
    /// An IAM user.
    User,
    /// A role.
    Role,
}

/// The root user, an IAM user, or a role.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// Its kind.
    pub kind: Kind,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// `AIDA…`, `AROA…`: never given twice, where names are.
    pub id: String,
    /// When it was created.
    pub created: Option<Time>,
    /// Its own policies, inline ones and attached ones. Those of groups stand with the groups.
    pub policies: Vec<Given>,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// The permissions boundary.
    pub boundary: Option<Given>,
    /// A role's trust policy.
    pub trust: Option<Policy>,
    /// A console password.
    pub password: Option<Password>,
    /// Whether there is an MFA device; `None`: not known.
    pub mfa: Option<bool>,
    /// Access keys.
    pub keys: Vec<Key>,
    /// When it was last used, as IAM has it.
    pub last_used: Option<Time>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A policy that is given to somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The ARN of a managed policy; the name of an inline one.
    pub name: String,
    /// Whether it is inline.
    pub inline: bool,
    /// What it says, one copy for all who are given it; `None`: it was not told.
    pub document: Option<Arc<Policy>>,
}

/// A console password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password {
    /// When it was last used.
    pub last_used: Option<Time>,
    /// When it was last changed.
    pub changed: Option<Time>,
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id, `AKIA…`; empty where only its existence is known.
    pub id: String,
    /// Whether it can be used.
    pub active: bool,
    /// When it was made.
    pub created: Option<Time>,
    /// When it was last used, as IAM has it.
    pub last_used: Option<Time>,
}

/// An identity provider of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its ARN.
    pub arn: String,
    /// Whether it speaks SAML; else `OpenID Connect`.
    pub saml: bool,
    /// When it was made.
    pub created: Option<Time>,
}

/// Identity Center.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Directory {
    /// The instance's ARN.
    pub instance: String,
    /// When it was asked.
    pub taken: Time,
    /// Its users by their id in the identity store.
    pub users: BTreeMap<String, DirectoryUser>,
    /// Group names by id.
    pub groups: BTreeMap<String, String>,
    /// Permission sets by ARN.
    pub permission_sets: BTreeMap<String, PermissionSet>,
    /// Who was given what, where.
    pub assignments: Vec<Assignment>,
}

/// A user of Identity Center.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryUser {
    /// The name to sign in with.
    pub name: String,
    /// What people call them.
    pub display: String,
    /// Email addresses.
    pub emails: Vec<String>,
    /// The ids of the groups that the user is in.
    pub groups: Vec<String>,
}

/// A permission set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PermissionSet {
    /// Its name: the role in the account is `AWSReservedSSO_<name>_<hash>`.
    pub name: String,
    /// Its policies. Customer managed ones are looked up in the account they are assigned in.
    pub policies: Vec<Given>,
    /// Names of customer managed policies (with path) that it refers to in each account.
    pub customer: Vec<String>,
    /// Its permissions boundary.
    pub boundary: Option<Given>,
}

/// A permission set given in an account to a user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The account.
    pub account: String,
    /// The permission set's ARN.
    pub permission_set: String,
    /// The id of the user or group.
    pub principal: String,
    /// Whether it is a group's.
    pub group: bool,
}

/// The organization.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Organization {
    /// Its accounts.
    pub accounts: Vec<Member>,
    /// The management account, which service control policies do not bind.
    pub management: String,
    /// Service control policies.
    pub policies: Vec<ControlPolicy>,
}

/// An account of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Whether it is in use: neither suspended nor closed.
    pub active: bool,
    /// When it joined.
    pub joined: Option<Time>,
    /// The root and the organizational units above it, from the root down, where they are known.
    pub parents: Vec<String>,
}

/// A service control policy and where it is attached.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlPolicy {
    /// Its ARN or id.
    pub name: String,
    /// What it says; `None`: it was not told.
    pub document: Option<Arc<Policy>>,
    /// The root, units and accounts that it is attached to.
    pub targets: Vec<String>,
}
