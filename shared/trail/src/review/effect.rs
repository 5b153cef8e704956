//! What would carry a decision out: the calls, as CloudTrail records them, and the records that are such calls.
//!
//! A decision becomes a [`Plan`]: needs that all have to be met, each by any of several calls. Deleting the user meets
//! every need of his at once. A [`Watch`] over all open plans finds the records; a record of no such call costs it a
//! look into two small maps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decision::{Decision, Verb};
use super::population::{Grant, GrantKind, Subject, SubjectKind};
use super::usage::ActorKey;
use crate::access::Directory;

mod call;
mod watch;

#[cfg(test)]
mod tests;

pub use call::{Call, Target};
pub use watch::{LONGEST_SESSION, Open, Seen, Sighting, Watch};

pub(super) const IAM: &str = "iam.amazonaws.com";
const SSO: &str = "sso.amazonaws.com";
const DIRECTORY: &str = "sso-directory.amazonaws.com";
const IDENTITY_STORE: &str = "identitystore.amazonaws.com";

/// What has to happen for a decision to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The subject's id.
    pub subject: String,
    /// All of these.
    pub needs: Vec<Need>,
    /// Calls that would give it back, once it is gone.
    pub back: Vec<Call>,
    /// As whom the subject acts: once all is gone, nobody does with newer credentials. Empty where some access stays.
    pub actors: Vec<ActorKey>,
}

/// One thing that has to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// What: `access_key:AKIA…`, `user`.
    pub what: String,
    /// Any of these calls does it.
    pub by: Vec<Call>,
}

/// Names that stand in records of Identity Center and not in a population.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// ARNs of permission sets by name.
    pub permission_sets: BTreeMap<String, String>,
    /// Ids of memberships by `user/group`. Where one is not known, only the next snapshot shows that it is gone.
    #[serde(default)]
    pub memberships: BTreeMap<String, String>,
}

impl Known {
    /// What the directory says. Memberships are added by whoever has the raw answers.
    pub fn of(directory: &Directory) -> Self {
        let sets = directory.permission_sets.iter().map(|(arn, set)| (set.name.clone(), arn.clone()));
        Self { permission_sets: sets.collect(), memberships: BTreeMap::new() }
    }

    /// A permission set's ARN. One whose name was not told is called by its ARN.
    fn set<'k>(&'k self, name: &'k str) -> Option<&'k str> {
        self.permission_sets.get(name).map(String::as_str).or_else(|| name.starts_with("arn:").then_some(name))
    }
}

impl Plan {
    /// What carries a decision out; `None`: all stays.
    pub fn of(subject: &Subject, decision: &Decision, known: &Known) -> Option<Self> {
        let all = match decision.verb {
            Verb::Keep => return None,
            Verb::Modify => false,
            Verb::Revoke => true,
        };
        // What somebody was given later goes by itself: the rest of his access is another subject's matter.
        let whole = all && !subject.is_addition();
        let going = Going { subject, known, all: whole };
        let grants: Vec<&Grant> = if all { going.to_go() } else { decision.remove.iter().collect() };
        let mut needs: Vec<Need> = grants.iter().map(|grant| going.need(grant)).collect();
        if needs.is_empty() {
            needs.push(Need { what: going.word().to_owned(), by: going.whole() });
        }
        if subject.kind == SubjectKind::Root && whole && subject.mfa == Some(false) {
            needs.push(Need { what: "mfa".to_owned(), by: vec![going.call(IAM, "EnableMFADevice").by_root()] });
        }
        let back = grants.iter().flat_map(|grant| going.back(grant)).chain(going.whole_back());
        let actors = if whole && subject.kind != SubjectKind::Root { subject.actors.clone() } else { Vec::new() };
        Some(Self { subject: subject.id.clone(), needs, back: back.collect(), actors })
    }

    /// The calls that carry it out, each once.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        let mut seen = std::collections::HashSet::new();
        self.needs.iter().flat_map(|need| &need.by).filter(move |call| seen.insert((call.source.clone(), call.label())))
    }
}

/// A subject whose access goes, all of it or a part.
struct Going<'g> {
    subject: &'g Subject,
    known: &'g Known,
    all: bool,
}

impl<'g> Going<'g> {
    /// The grants that have to go one by one, where the subject itself is left. A group's policies go with the
    /// membership, a role's trust alone makes an end of it, which is an alternative and no need.
    fn to_go(&self) -> Vec<&'g Grant> {
        let own = |grant: &&Grant| match grant.kind {
            GrantKind::Policy | GrantKind::InlinePolicy => grant.via.is_empty(),
            GrantKind::Trust => false,
            _ => true,
        };
        self.subject.grants.iter().filter(own).collect()
    }

    fn word(&self) -> &'static str {
        match self.subject.kind {
            SubjectKind::Root => "root",
            SubjectKind::User => "user",
            SubjectKind::Role => "role",
            SubjectKind::Assignment => "assignment",
            SubjectKind::SamlProvider | SubjectKind::OidcProvider => "provider",
        }
    }

    fn name(&self) -> &'g str {
        self.subject.base().rsplit('/').next().unwrap_or_default()
    }

    /// The user's id in the identity store.
    fn user(&self) -> &'g str {
        let of_id = || self.subject.base().strip_prefix("sso:")?.split('/').next();
        if self.subject.unique_id.is_empty() { of_id().unwrap_or_default() } else { &self.subject.unique_id }
    }

    /// A call in the subject's account. Those of Identity Center are recorded where that is administered.
    fn call(&self, source: &str, name: &str) -> Call {
        let account = if source == IAM { self.subject.account.as_str() } else { "" };
        Call::new(source, name, account)
    }

    fn of_user(&self, name: &str) -> Call {
        self.call(IAM, name).with("userName", self.name())
    }

    fn of_role(&self, name: &str) -> Call {
        self.call(IAM, name).with("roleName", self.name())
    }

    fn need(&self, grant: &Grant) -> Need {
        let mut by = match self.subject.kind {
            SubjectKind::Root => self.root_loses(grant),
            SubjectKind::User => self.user_loses(grant),
            SubjectKind::Role => self.role_loses(grant),
            SubjectKind::Assignment => self.assignment_loses(grant),
            SubjectKind::SamlProvider | SubjectKind::OidcProvider => Vec::new(),
        };
        by.extend(self.whole());
        Need { what: grant.to_string(), by }
    }

    /// Calls after which nothing of the subject is left.
    fn whole(&self) -> Vec<Call> {
        let arn = self.subject.base();
        match self.subject.kind {
            SubjectKind::Root => Vec::new(),
            SubjectKind::User => vec![self.of_user("DeleteUser")],
            SubjectKind::Role if self.all => {
                let closed = self.of_role("UpdateAssumeRolePolicy").admits_nobody();
                vec![self.of_role("DeleteRole"), closed]
            }
            SubjectKind::Role => vec![self.of_role("DeleteRole")],
            SubjectKind::SamlProvider => vec![self.call(IAM, "DeleteSAMLProvider").with("sAMLProviderArn", arn)],
            SubjectKind::OidcProvider => {
                vec![self.call(IAM, "DeleteOpenIDConnectProvider").with("openIDConnectProviderArn", arn)]
            }
            SubjectKind::Assignment => {
                [(IDENTITY_STORE, "DeleteUser"), (DIRECTORY, "DeleteUser"), (DIRECTORY, "DisableUser")]
                    .map(|(source, name)| self.call(source, name).with("userId", self.user()))
                    .to_vec()
            }
        }
    }

    /// Root's own calls name no user; keys whose id nobody was told are any of root's.
    fn root_loses(&self, grant: &Grant) -> Vec<Call> {
        let key =
            |call: Call| if grant.name.is_empty() { call.by_root() } else { call.with("accessKeyId", &grant.name) };
        match grant.kind {
            GrantKind::AccessKey => vec![
                key(self.call(IAM, "DeleteAccessKey")),
                key(self.call(IAM, "UpdateAccessKey")).with("status", "Inactive"),
            ],
            GrantKind::Password => vec![self.call(IAM, "DeleteLoginProfile").by_root()],
            _ => Vec::new(),
        }
    }

    fn user_loses(&self, grant: &Grant) -> Vec<Call> {
        let name = grant.name.as_str();
        // A key's id is its own, and a call about one's own key names no user.
        let of_key = |action| self.call(IAM, action).with("accessKeyId", name);
        match grant.kind {
            GrantKind::Policy => vec![self.of_user("DetachUserPolicy").with("policyArn", name)],
            GrantKind::InlinePolicy => vec![self.of_user("DeleteUserPolicy").with("policyName", name)],
            GrantKind::Group => vec![self.of_user("RemoveUserFromGroup").with("groupName", name)],
            GrantKind::Password => vec![self.of_user("DeleteLoginProfile")],
            GrantKind::AccessKey => {
                vec![of_key("DeleteAccessKey"), of_key("UpdateAccessKey").with("status", "Inactive")]
            }
            GrantKind::PermissionSet | GrantKind::DirectoryGroup | GrantKind::Trust => Vec::new(),
        }
    }

    fn role_loses(&self, grant: &Grant) -> Vec<Call> {
        let name = grant.name.as_str();
        match grant.kind {
            GrantKind::Policy => vec![self.of_role("DetachRolePolicy").with("policyArn", name)],
            GrantKind::InlinePolicy => vec![self.of_role("DeleteRolePolicy").with("policyName", name)],
            GrantKind::Trust => vec![self.of_role("UpdateAssumeRolePolicy").no_longer_admits(name)],
            _ => Vec::new(),
        }
    }

    fn assignment_loses(&self, grant: &Grant) -> Vec<Call> {
        let Some(set) = self.known.set(self.name()) else { return self.group_loses(grant) };
        let assignment = |kind, principal| self.assignment("DeleteAccountAssignment", set, (kind, principal));
        match grant.kind {
            GrantKind::PermissionSet => vec![assignment("USER", self.user())],
            GrantKind::DirectoryGroup => [vec![assignment("GROUP", &grant.via)], self.group_loses(grant)].concat(),
            _ => Vec::new(),
        }
    }

    fn group_loses(&self, grant: &Grant) -> Vec<Call> {
        if grant.kind != GrantKind::DirectoryGroup {
            return Vec::new();
        }
        let (user, group) = (self.user(), grant.via.as_str());
        let left = self.call(DIRECTORY, "RemoveMemberFromGroup").with("groupId", group).with("memberId", user);
        let gone = |source| self.call(source, "DeleteGroup").with("groupId", group);
        let membership = self.known.memberships.get(&format!("{user}/{group}"));
        let membership =
            membership.map(|id| self.call(IDENTITY_STORE, "DeleteGroupMembership").with("membershipId", id));
        [Some(left), membership, Some(gone(DIRECTORY)), Some(gone(IDENTITY_STORE))].into_iter().flatten().collect()
    }

    fn assignment(&self, name: &str, set: &str, (kind, principal): (&str, &str)) -> Call {
        let call = self.call(SSO, name).with("targetId", &self.subject.account).with("permissionSetArn", set);
        call.with("principalType", kind).with("principalId", principal)
    }

    /// Calls that give a grant again.
    fn back(&self, grant: &Grant) -> Vec<Call> {
        let name = grant.name.as_str();
        match (self.subject.kind, grant.kind) {
            (SubjectKind::User, GrantKind::Policy) => vec![self.of_user("AttachUserPolicy").with("policyArn", name)],
            (SubjectKind::User, GrantKind::InlinePolicy) => {
                vec![self.of_user("PutUserPolicy").with("policyName", name)]
            }
            (SubjectKind::User, GrantKind::Group) => vec![self.of_user("AddUserToGroup").with("groupName", name)],
            (SubjectKind::User, GrantKind::Password) => vec![self.of_user("CreateLoginProfile")],
            (SubjectKind::User | SubjectKind::Root, GrantKind::AccessKey) => {
                let active = self.call(IAM, "UpdateAccessKey").with("accessKeyId", name).with("status", "Active");
                // Where only a key goes, the next one is made first: that is how keys are changed.
                let made = match self.subject.kind {
                    SubjectKind::Root => self.call(IAM, "CreateAccessKey").by_root(),
                    _ => self.of_user("CreateAccessKey"),
                };
                [active].into_iter().chain(self.all.then_some(made)).collect()
            }
            (SubjectKind::Role, GrantKind::Policy) => vec![self.of_role("AttachRolePolicy").with("policyArn", name)],
            (SubjectKind::Role, GrantKind::InlinePolicy) => {
                vec![self.of_role("PutRolePolicy").with("policyName", name)]
            }
            (SubjectKind::Assignment, GrantKind::PermissionSet) => self.assigned(("USER", self.user())),
            (SubjectKind::Assignment, GrantKind::DirectoryGroup) => self.joined(grant),
            _ => Vec::new(),
        }
    }

    fn user_gains(&self) -> Vec<Call> {
        const GAINS: [&str; 3] = ["CreateUser", "CreateLoginProfile", "CreateAccessKey"];
        let own_key = self.call(IAM, "CreateAccessKey").answered("accessKey.userName", self.name());
        let woken = self.of_user("UpdateAccessKey").with("status", "Active");
        GAINS.map(|name| self.of_user(name)).into_iter().chain([own_key, woken]).collect()
    }

    fn assigned(&self, principal: (&str, &str)) -> Vec<Call> {
        let set = self.known.set(self.name());
        set.map(|set| self.assignment("CreateAccountAssignment", set, principal)).into_iter().collect()
    }

    fn joined(&self, grant: &Grant) -> Vec<Call> {
        let (user, group) = (self.user(), grant.via.as_str());
        let mut back = self.assigned(("GROUP", group));
        back.push(self.call(DIRECTORY, "AddMemberToGroup").with("groupId", group).with("memberId", user));
        let made = self.call(IDENTITY_STORE, "CreateGroupMembership").with("groupId", group);
        back.push(made.with("memberId.userId", user));
        back
    }

    /// Calls that make the subject again, or give it credentials. A policy that is attached meanwhile says nothing: those
    /// that lock somebody out are attached, too, and the next snapshot tells.
    fn whole_back(&self) -> Vec<Call> {
        if !self.all {
            return Vec::new();
        }
        match self.subject.kind {
            SubjectKind::User => self.user_gains(),
            SubjectKind::Role => vec![self.of_role("CreateRole")],
            SubjectKind::SamlProvider => vec![self.call(IAM, "CreateSAMLProvider").with("name", self.name())],
            SubjectKind::OidcProvider => {
                let arn = &self.subject.id;
                vec![self.call(IAM, "CreateOpenIDConnectProvider").answered("openIDConnectProviderArn", arn)]
            }
            SubjectKind::Assignment => {
                let call = self.call(DIRECTORY, "EnableUser").with("userId", self.user());
                vec![call]
            }
            SubjectKind::Root => Vec::new(),
        }
    }
}
