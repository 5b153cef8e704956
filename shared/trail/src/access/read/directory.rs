//! Identity Center: its users, groups, permission sets, and who was given which of them where.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::account::{UNTOLD, known};
use super::asked::{Answers, Gaps, Told, body};
use super::{Managed, owned};
use crate::access::{Assignment, Directory, DirectoryUser, Given, PermissionSet};
use crate::policy::Policy;
use crate::shape::{field, list, text};

const INSTANCES: &str = "sso:ListInstances";
const SETS: &str = "sso:ListPermissionSets";
const ASSIGNMENTS: &str = "sso:ListAccountAssignments";
const USERS: &str = "identitystore:ListUsers";
const GROUPS: &str = "identitystore:ListGroups";
const MEMBERS: &str = "identitystore:ListGroupMemberships";

/// Reads what was asked about Identity Center. `None`: there is none, or the gaps say why it is not known.
pub(super) fn read(answers: &Answers<'_>, managed: &Managed, gaps: &mut Gaps) -> Option<Directory> {
    let found = answers.bodies(INSTANCES, gaps).into_iter().find_map(|answer| {
        let instance = list(field(body(answer)?, "Instances")).into_iter().next()?;
        Some((owned(instance, "InstanceArn"), answer.time))
    });
    let (instance, taken) = found?;
    let mut reader = Reader { answers, managed, gaps };
    let groups = reader.groups();
    Some(Directory {
        instance,
        taken,
        users: reader.users(&groups),
        permission_sets: reader.permission_sets(),
        assignments: reader.assignments(),
        groups,
    })
}

struct Reader<'a, 's, 'g> {
    answers: &'a Answers<'s>,
    managed: &'a Managed,
    gaps: &'g mut Gaps,
}

impl<'s> Reader<'_, 's, '_> {
    /// The elements of a list that one or several answers hold.
    fn all(&mut self, call: &str, member: &str) -> Vec<&'s Value> {
        let mut elements = Vec::new();
        for answer in self.answers.bodies(call, self.gaps) {
            match body(answer).map(|body| field(body, member)) {
                Some(Value::Array(told)) => elements.extend(told),
                _ => self.gaps.unreadable("", call),
            }
        }
        elements
    }

    fn groups(&mut self) -> BTreeMap<String, String> {
        let groups = self.all(GROUPS, "Groups").into_iter();
        groups.map(|group| (owned(group, "GroupId"), owned(group, "DisplayName"))).collect()
    }

    fn users(&mut self, groups: &BTreeMap<String, String>) -> BTreeMap<String, DirectoryUser> {
        let told = self.all(USERS, "Users").into_iter();
        let mut users: BTreeMap<String, DirectoryUser> = told.map(|told| (owned(told, "UserId"), user(told))).collect();
        for group in groups.keys() {
            let Some(body) = self.answers.told(MEMBERS, group, self.gaps).body() else { continue };
            for member in self.gaps.rows("", MEMBERS, body, "GroupMemberships") {
                // A user whose name was not told is a member all the same.
                let id = owned(field(member, "MemberId"), "UserId");
                users.entry(id).or_default().groups.push(group.clone());
            }
        }
        users
    }

    fn permission_sets(&mut self) -> BTreeMap<String, PermissionSet> {
        let told = self.all(SETS, "PermissionSets").into_iter().map(text);
        let assigned = self.answers.of(ASSIGNMENTS).filter_map(|answer| answer.parameters.get("PermissionSetArn"));
        let mut arns: Vec<&str> = told.chain(assigned.map(String::as_str)).filter(|arn| !arn.is_empty()).collect();
        arns.sort_unstable();
        arns.dedup();
        arns.into_iter().map(|arn| (arn.to_owned(), self.permission_set(arn))).collect()
    }

    fn permission_set(&mut self, arn: &str) -> PermissionSet {
        let about = self.told("sso:DescribePermissionSet", arn);
        let boundary = self.told("sso:GetPermissionsBoundaryForPermissionSet", arn);
        let attached = self.rows(arn, "sso:ListManagedPoliciesInPermissionSet", "AttachedManagedPolicies");
        let customer = "sso:ListCustomerManagedPolicyReferencesInPermissionSet";
        let customer = self.rows(arn, customer, "CustomerManagedPolicyReferences");
        let mut policies: Vec<Given> =
            attached.into_iter().map(|policy| self.given(text(field(policy, "Arn")))).collect();
        policies.extend(self.inline(arn));
        let name = match text(field(field(about, "PermissionSet"), "Name")) {
            "" => arn.rsplit('/').next().unwrap_or(arn),
            name => name,
        };
        PermissionSet {
            name: name.to_owned(),
            policies,
            customer: customer.into_iter().map(reference).collect(),
            boundary: self.boundary(field(boundary, "PermissionsBoundary")),
        }
    }

    fn rows(&mut self, arn: &str, call: &str, member: &str) -> Vec<&'s Value> {
        let body = self.answers.told(call, arn, self.gaps).body();
        body.map(|body| self.gaps.rows("", call, body, member)).unwrap_or_default()
    }

    fn inline(&mut self, arn: &str) -> Option<Given> {
        let unknown = Given { name: "inline".to_owned(), inline: true, document: None };
        let body = match self.answers.told("sso:GetInlinePolicyForPermissionSet", arn, self.gaps) {
            Told::Body(body) => body,
            Told::Nothing => return None,
            Told::Unknown => return Some(unknown),
        };
        let document = field(body, "InlinePolicy");
        if document.is_null() || document.as_str().is_some_and(str::is_empty) {
            return None;
        }
        let document = Policy::read(document).map(Arc::new);
        if document.is_none() {
            self.gaps.unreadable("", format!("inline policy of {arn}"));
        }
        Some(Given { document, ..unknown })
    }

    fn boundary(&mut self, told: &Value) -> Option<Given> {
        let customer = field(told, "CustomerManagedPolicyReference");
        match text(field(told, "ManagedPolicyArn")) {
            "" if customer.is_null() => None,
            // It is another one in each account, and looked up there.
            "" => Some(Given { name: reference(customer), inline: false, document: None }),
            arn => Some(self.given(arn)),
        }
    }

    fn given(&mut self, arn: &str) -> Given {
        let document = self.managed.get(arn).cloned().or_else(|| known(arn));
        if document.is_none() {
            self.gaps.add("", arn, UNTOLD);
        }
        Given { name: arn.to_owned(), inline: false, document }
    }

    fn assignments(&mut self) -> Vec<Assignment> {
        let mut assignments = Vec::new();
        let mut asked: Vec<_> = self.answers.of(ASSIGNMENTS).collect();
        asked.sort_by(|a, b| a.parameters.cmp(&b.parameters));
        for answer in asked {
            let parameter = |name: &str| answer.parameters.get(name).map_or("", String::as_str);
            let what = format!("{} in {}", parameter("PermissionSetArn"), parameter("AccountId"));
            let Some(body) = self.gaps.judge("", ASSIGNMENTS, &what, &[answer]).body() else { continue };
            let told = self.gaps.rows("", ASSIGNMENTS, body, "AccountAssignments");
            assignments.extend(told.into_iter().map(assignment));
        }
        assignments.dedup();
        assignments
    }

    fn told(&mut self, call: &str, arn: &str) -> &'s Value {
        static NOTHING: Value = Value::Null;
        self.answers.told(call, arn, self.gaps).body().unwrap_or(&NOTHING)
    }
}

fn assignment(told: &Value) -> Assignment {
    Assignment {
        account: owned(told, "AccountId"),
        permission_set: owned(told, "PermissionSetArn"),
        principal: owned(told, "PrincipalId"),
        group: text(field(told, "PrincipalType")) == "GROUP",
    }
}

fn user(told: &Value) -> DirectoryUser {
    let emails = list(field(told, "Emails")).into_iter().map(|email| owned(email, "Value"));
    DirectoryUser {
        name: owned(told, "UserName"),
        display: owned(told, "DisplayName"),
        emails: emails.filter(|email| !email.is_empty()).collect(),
        groups: Vec::new(),
    }
}

/// `/path/name` of a customer managed policy.
fn reference(told: &Value) -> String {
    let path = match text(field(told, "Path")) {
        "" => "/",
        path => path,
    };
    format!("{path}{}", text(field(told, "Name")))
}
