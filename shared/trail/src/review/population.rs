//! Whom a review is about: everything that has access, numbered, with the proof that it is all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::people::People;
use super::period::Period;
use super::usage::{ActorKey, RecordId, Usage};
use crate::access::{Access, Gap, Key};
use crate::settings::Settings;
use crate::snapshot::{Answer, Reply, Snapshot};
use crate::time::Time;

mod grants;
mod scope;
mod subjects;
#[cfg(test)]
mod tests;

use scope::Accounts;
pub use scope::left_out;
use subjects::Subjects;

/// What a population is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'i> {
    /// What the snapshots say.
    pub access: &'i Access,
    /// The snapshots themselves, for the receipts.
    pub snapshots: &'i [Snapshot],
    /// The settings: accounts, and what is reviewed.
    pub settings: &'i Settings,
    /// The span that the review is about.
    pub period: &'i Period,
    /// The people's list with its hash and who brought it, where there is one.
    pub people: Option<Listed<'i>>,
    /// What CloudTrail saw in the period.
    pub usage: &'i BTreeMap<ActorKey, Usage>,
    /// Who gave access, by the subject's id.
    pub provisioners: &'i BTreeMap<String, Provisioner>,
}

/// The people's list, and where it is from.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'i> {
    /// The list.
    pub people: &'i People,
    /// SHA-256 of its bytes.
    pub sha256: &'i str,
    /// Who brought it.
    pub by: &'i str,
}

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

impl Subject {
    /// Its id; of what was given later, that of whom it was given to.
    pub fn base(&self) -> &str {
        self.id.split_once('#').map_or(&self.id, |(base, _)| base)
    }

    /// Whether it is what somebody was given after the population was taken, who had other access before.
    pub fn is_addition(&self) -> bool {
        self.id.contains('#')
    }
}

/// An account, and whether it is reviewed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What happened to it in the period: that it joined.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
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
    /// Who gave what it has, as far as records go back: policies, memberships, credentials, assignments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_by: Vec<Provisioner>,
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

impl Input<'_> {
    /// When the first question was asked.
    fn taken(&self) -> Time {
        self.snapshots.iter().map(|snapshot| snapshot.taken).min().unwrap_or(self.period.from)
    }
}

impl Population {
    /// All that has access, from what was collected. The same input gives the same population with the same numbers.
    pub fn of(input: &Input<'_>) -> Self {
        let accounts = Accounts::of(input);
        let mut subjects = Subjects::new(input, &accounts);
        subjects.collect();
        let (subjects, unreviewed) = subjects.numbered();
        let mut gaps: Vec<Gap> = accounts.gaps(input).into_iter().chain(unreviewed).collect();
        gaps.extend(input.access.gaps.iter().filter(|gap| !accounts.is_left_out(&gap.account)).cloned());
        gaps.sort_unstable();
        gaps.dedup();
        Self {
            taken: input.taken(),
            receipts: input.snapshots.iter().flat_map(|snapshot| &snapshot.answers).map(Receipt::of).collect(),
            unknown: strangers(input, &accounts, &subjects),
            scope: accounts.scope,
            subjects,
            gaps,
            people_sha256: input.people.map_or(String::new(), |listed| listed.sha256.to_owned()),
            people_by: input.people.map_or(String::new(), |listed| listed.by.to_owned()),
        }
    }

    /// Whether something could not be seen: it is then said at the sign-off.
    pub fn is_partial(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// What a later population has beyond this one and those who joined before, to be appended to the review with the
    /// numbers that follow.
    ///
    /// Of a subject that was known, what it was given since is a subject of its own, with the id `<id>#<number>`: so no
    /// decision about the earlier access can be taken for one about the later.
    pub fn joined(&self, joined: &[Subject], later: Self) -> Vec<Subject> {
        let mut known: HashMap<&str, BTreeSet<&Grant>> = HashMap::new();
        let mut last = 0;
        for subject in self.subjects.iter().chain(joined) {
            known.entry(subject.base()).or_default().extend(&subject.grants);
            last = last.max(subject.number);
        }
        let mut fresh = Vec::new();
        for mut subject in later.subjects {
            let given = known.get(subject.id.as_str());
            if let Some(given) = given {
                // A key or password that is changed for the next one gives nothing.
                let is_changed = |grant: &Grant| {
                    let credential = matches!(grant.kind, GrantKind::AccessKey | GrantKind::Password);
                    credential && given.iter().any(|known| known.kind == grant.kind)
                };
                subject.grants.retain(|grant| !given.contains(grant) && !is_changed(grant));
            }
            if given.is_some() && subject.grants.is_empty() {
                continue;
            }
            last += 1;
            let id = if given.is_some() { format!("{}#{last}", subject.id) } else { subject.id };
            fresh.push(Subject { id, number: last, joined: true, ..subject });
        }
        fresh
    }

    /// The subjects in the order that reviewers see them in: whose person has left, then who has no person, then the
    /// rest; by number within each.
    pub fn by_urgency(&self) -> Vec<&Subject> {
        let mut subjects: Vec<&Subject> = self.subjects.iter().collect();
        subjects.sort_by_key(|subject| (self.urgency(subject), subject.number));
        subjects
    }

    /// Without a list of people nobody can be missing in it.
    fn urgency(&self, subject: &Subject) -> u8 {
        match &subject.person {
            Some(person) => {
                if person.is_there(self.taken) {
                    2
                } else {
                    0
                }
            }
            None if !self.people_sha256.is_empty() && subject.kind.is_somebodys() => 1,
            None => 2,
        }
    }
}

impl SubjectKind {
    /// Whether one person is behind it.
    pub fn is_somebodys(self) -> bool {
        matches!(self, Self::User | Self::Assignment)
    }
}

impl Receipt {
    fn of(answer: &Answer) -> Self {
        Self {
            call: answer.call.clone(),
            account: answer.account.clone(),
            region: answer.region.clone(),
            parameters: answer.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            time: answer.time,
            request_ids: answer.request_ids(),
            rows: answer.rows(),
            sha256: answer.sha256.clone(),
            refusal: match &answer.result {
                Reply::Body(_) => None,
                Reply::Refusal(refused) => Some(format!("{} {}", refused.code, refused.message).trim().to_owned()),
            },
        }
    }
}

/// Whoever was active and is none of the subjects. Roles that only services take are known where the account still has
/// them; accounts that are left out are left out here too.
fn strangers(input: &Input<'_>, accounts: &Accounts, subjects: &[Subject]) -> Vec<Stranger> {
    let known: HashSet<&ActorKey> = subjects.iter().flat_map(|subject| &subject.actors).collect();
    let principals = input.access.accounts.iter().flat_map(|account| &account.principals);
    let arns: HashSet<&str> = principals.map(|principal| principal.arn.as_str()).collect();
    let is_known = |actor: &ActorKey| match actor {
        ActorKey::Role(arn) => known.contains(actor) || arns.contains(arn.as_str()),
        _ => known.contains(actor),
    };
    let strange = input.usage.iter().filter(|(actor, _)| !is_known(actor) && !accounts.is_left_out(actor.account()));
    strange.map(|(actor, usage)| Stranger { actor: actor.clone(), usage: usage.clone() }).collect()
}

impl ActorKey {
    /// The account that the actor belongs to.
    pub fn account(&self) -> &str {
        match self {
            Self::Root(account) => account,
            Self::User(arn) | Self::Role(arn) | Self::Session { role: arn, .. } => {
                arn.split(':').nth(4).unwrap_or_default()
            }
        }
    }
}
