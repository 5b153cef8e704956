//! The organization: its accounts, the units above them, and service control policies.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::asked::{Answers, Gaps, body};
use super::{everything, owned, time};
use crate::access::{ControlPolicy, Member, Organization};
use crate::policy::Policy;
use crate::shape::{field, list, text};

const ACCOUNTS: &str = "organizations:ListAccounts";
const ABOUT: &str = "organizations:DescribeOrganization";
const POLICIES: &str = "organizations:ListPolicies";
const DOCUMENT: &str = "organizations:DescribePolicy";
const TARGETS: &str = "organizations:ListTargetsForPolicy";
const PARENTS: &str = "organizations:ListParents";

/// Units lie at most five deep; whatever is deeper is no tree.
const DEEPEST: usize = 8;

/// Reads what was asked about the organization. `None`: there is none, or the gaps say why it is not known.
pub(super) fn read(answers: &Answers<'_>, gaps: &mut Gaps) -> Option<Organization> {
    let listed = answers.bodies(ACCOUNTS, gaps);
    let is_told = !listed.is_empty();
    let accounts: Vec<&Value> =
        listed.into_iter().filter_map(body).flat_map(|body| list(field(body, "Accounts"))).collect();
    if is_told && accounts.is_empty() {
        gaps.unreadable("", ACCOUNTS);
    }
    let about = match (is_told, answers.of(ABOUT).any(|answer| body(answer).is_some())) {
        (false, false) => return None,
        _ => answers.told(ABOUT, "", gaps).body().map(|body| field(body, "Organization")),
    };
    let managing = |about: &Value| ["ManagementAccountId", "MasterAccountId"].map(|name| owned(about, name));
    let management = about.map(managing).into_iter().flatten().find(|id| !id.is_empty()).unwrap_or_default();
    let parents = Parents::read(answers, gaps);
    let accounts: Vec<Member> = accounts.into_iter().map(|told| member(told, &parents)).collect();
    for member in accounts.iter().filter(|member| member.active && !parents.reaches_root(&member.account)) {
        gaps.add(&member.account, PARENTS, NO_PARENTS);
    }
    Some(Organization { accounts, management, policies: policies(answers, gaps) })
}

const NO_PARENTS: &str = "which units the account lies in was not told as far up as the root: service control policies of \
    those units are not known. Allow organizations:ListParents to the role that asks";

fn member(told: &Value, parents: &Parents) -> Member {
    let account = owned(told, "Id");
    // `State` replaces `Status`, which AWS no longer writes from September 2026 on.
    let state = [field(told, "State"), field(told, "Status")].into_iter().map(text).find(|word| !word.is_empty());
    Member {
        name: owned(told, "Name"),
        // Whoever says nothing is looked at.
        active: state.is_none_or(|state| state == "ACTIVE"),
        joined: time(field(told, "JoinedTimestamp")),
        parents: parents.above(&account),
        account,
    }
}

/// What lies directly above accounts and units.
struct Parents {
    of: HashMap<String, String>,
    roots: BTreeSet<String>,
}

impl Parents {
    fn read(answers: &Answers<'_>, gaps: &mut Gaps) -> Self {
        let mut parents = Self { of: HashMap::new(), roots: BTreeSet::new() };
        for answer in answers.of(PARENTS) {
            let child = answer.parameters.get("ChildId").map_or("", String::as_str);
            let Some(told) = answers.told(PARENTS, child, gaps).body() else { continue };
            for parent in gaps.rows("", PARENTS, told, "Parents") {
                let id = owned(parent, "Id");
                if text(field(parent, "Type")) == "ROOT" || id.starts_with("r-") {
                    parents.roots.insert(id.clone());
                }
                parents.of.insert(child.to_owned(), id);
            }
        }
        parents
    }

    /// From the top down, as far as it is known.
    fn above(&self, child: &str) -> Vec<String> {
        let next = |lower: &&str| self.of.get(*lower).map(String::as_str);
        let upward = std::iter::successors(next(&child), next);
        let mut path: Vec<String> = upward.take(DEEPEST).map(str::to_owned).collect();
        path.reverse();
        path
    }

    fn reaches_root(&self, child: &str) -> bool {
        self.above(child).first().is_some_and(|top| self.roots.contains(top))
    }
}

fn policies(answers: &Answers<'_>, gaps: &mut Gaps) -> Vec<ControlPolicy> {
    const KIND: &str = "SERVICE_CONTROL_POLICY";
    let mut policies = Vec::new();
    for answer in answers.bodies(POLICIES, gaps) {
        let filter = answer.parameters.get("Filter").map_or(KIND, String::as_str);
        for policy in body(answer).map(|body| gaps.rows("", POLICIES, body, "Policies")).unwrap_or_default() {
            let kind = match text(field(policy, "Type")) {
                "" => filter,
                kind => kind,
            };
            if kind == KIND {
                policies.push(policy);
            }
        }
    }
    policies.into_iter().map(|policy| control_policy(policy, answers, gaps)).collect()
}

fn control_policy(summary: &Value, answers: &Answers<'_>, gaps: &mut Gaps) -> ControlPolicy {
    const ALLOWS_ALL: &str = "p-FullAWSAccess";
    let id = text(field(summary, "Id"));
    let document = if id == ALLOWS_ALL { Some(everything()) } else { document(id, answers, gaps) };
    let targets = answers.told(TARGETS, id, gaps).body();
    let targets = targets.map(|body| gaps.rows("", TARGETS, body, "Targets")).unwrap_or_default();
    let name = match text(field(summary, "Arn")) {
        "" => id,
        arn => arn,
    };
    ControlPolicy {
        name: name.to_owned(),
        document: document.map(Arc::new),
        targets: targets.into_iter().map(|target| owned(target, "TargetId")).collect(),
    }
}

fn document(id: &str, answers: &Answers<'_>, gaps: &mut Gaps) -> Option<Policy> {
    let told = answers.told(DOCUMENT, id, gaps).body()?;
    let document = Policy::read(field(field(told, "Policy"), "Content"));
    if document.is_none() {
        gaps.unreadable("", format!("{DOCUMENT} {id}"));
    }
    document
}
