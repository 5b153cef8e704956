//! Whom a review is about: everything that has access, numbered, with the proof that it is all.

use serde::{Deserialize, Serialize};

use super::usage::{ActorKey, RecordId, Usage};
use crate::access::{Gap, Key};
use crate::time::Time;

/// All that has access at one time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Population {
    /// When the first question was asked.
    pub taken: Time,
    /// The accounts, those left out among them.
    pub scope: Vec<Scope>,
    /// What was asked, and the proof of what was answered.
    pub receipts: Vec<Receipt>,
    /// The subjects, by number.
    pub subjects: Vec<Subject>,
    /// Who was active in the period and is none of the subjects.
    pub unknown: Vec<Stranger>,
    /// What could not be seen. Where there is any, the population is partial.
    pub gaps: Vec<Gap>,
    /// SHA-256 of the people's list, and who brought it; empty where there is none.
    pub people_sha256: String,
    /// Who brought the people's list.
    pub people_by: String,
}

/// An account, and whether it is reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The account.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Its environment, as the settings have it.
    pub environment: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is left out; `None`: it is reviewed.
    pub excluded: Option<String>,
}

/// One answer of AWS: what an auditor needs to believe that the list is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// `iam:GetAccountAuthorizationDetails`.
    pub call: String,
    /// The account that was asked.
    pub account: String,
    /// The region that was asked.
    pub region: String,
    /// Its parameters, as `Name=value`.
    pub parameters: Vec<String>,
    /// When.
    pub time: Time,
    /// AWS's ids of the requests, a page each.
    pub request_ids: Vec<String>,
    /// How many rows came.
    pub rows: u64,
    /// SHA-256 of the answer's bytes.
    pub sha256: String,
    /// Why there is no answer.
    pub refusal: Option<String>,
}

/// What kind of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// An account's root user.
    Root,
    /// An IAM user with its password and keys.
    User,
    /// A role that people or outsiders may take.
    Role,
    /// A user of Identity Center in one account with one permission set.
    Assignment,
    /// A SAML provider.
    SamlProvider,
    /// An `OpenID Connect` provider.
    OidcProvider,
}

/// One line of the review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Its number in the population, from 1: an auditor samples by it.
    pub number: u32,
    /// What it is called over all reviews: the ARN; of an assignment `sso:<user id>/<account>/<permission set's name>`.
    pub id: String,
    /// Its kind.
    pub kind: SubjectKind,
    /// Its account.
    pub account: String,
    /// What people call it.
    pub name: String,
    /// The id that IAM or the identity store never gives twice.
    pub unique_id: String,
    /// The person behind it, by the people's list.
    pub person: Option<Person>,
    /// What it is given: policies, groups, password, keys, permission set.
    pub grants: Vec<Grant>,
    /// Whether it is as good as an administrator.
    pub privileged: bool,
    /// By which of its words: `iam:PutUserPolicy`, `*`.
    pub privileged_by: Vec<String>,
    /// Whether there is an MFA device; `None`: not known, or not its own.
    pub mfa: Option<bool>,
    /// Access keys.
    pub keys: Vec<Key>,
    /// Who may take the role, in words.
    pub trusts: Vec<String>,
    /// When it was created.
    pub created: Option<Time>,
    /// By which record and whom, where the lake holds it.
    pub created_by: Option<Provisioner>,
    /// When it was last used, as IAM has it.
    pub last_used: Option<Time>,
    /// As whom it is seen in records.
    pub actors: Vec<ActorKey>,
    /// What CloudTrail saw of it in the period.
    pub usage: Usage,
    /// Who is to decide: a person's id, or the owner of the account.
    pub reviewer: String,
    /// Whether it was given after the population was taken.
    pub joined: bool,
}

/// A person, as the people's list has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The list's name for them.
    pub id: String,
    /// Whether they are still there.
    pub active: bool,
    /// Their manager's id.
    pub manager: String,
    /// Since when.
    pub start: Option<Time>,
    /// Until when.
    pub end: Option<Time>,
}

/// Something given to a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// Its kind.
    pub kind: GrantKind,
    /// The policy's ARN or name, the group, the key's id, the permission set.
    pub name: String,
    /// The group that it comes through; empty for none.
    pub via: String,
}

/// What kind of grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A managed policy.
    Policy,
    /// An inline policy.
    InlinePolicy,
    /// Membership in a group of IAM.
    Group,
    /// A console password.
    Password,
    /// An access key.
    AccessKey,
    /// A permission set, given to the user.
    PermissionSet,
    /// Membership in a group of Identity Center, which a permission set is given to.
    DirectoryGroup,
    /// A trust policy lets somebody in.
    Trust,
}

/// Who gave access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioner {
    /// The record.
    pub record: RecordId,
    /// Who made the call, as the lake names them; their ARN.
    pub actor: String,
    /// Whether it is a pipeline: who provisioned is then unknown.
    pub pipeline: bool,
}

/// An actor of the period that is no subject: removed meanwhile, or never seen by the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stranger {
    /// As whom it was seen.
    pub actor: ActorKey,
    /// What it did.
    pub usage: Usage,
}
