//! Service control policies: each level from the root down to the account has to allow.

use std::collections::{BTreeMap, HashMap};

use crate::access::evaluate::{Evaluator, Held, LookUp};
use crate::access::{Access, ControlPolicy, Member, Organization};

/// Service control policies by where they are attached.
pub(super) struct Controls<'a> {
    organization: Option<&'a Organization>,
    members: HashMap<&'a str, &'a Member>,
    by_target: BTreeMap<&'a str, Vec<&'a ControlPolicy>>,
    asked: Vec<&'a str>,
}

impl<'a> Controls<'a> {
    pub(super) fn of(access: &'a Access) -> Self {
        let organization = access.organization.as_ref();
        let members = organization.into_iter().flat_map(|organization| &organization.accounts);
        let mut by_target: BTreeMap<&str, Vec<&ControlPolicy>> = BTreeMap::new();
        for policy in organization.into_iter().flat_map(|organization| &organization.policies) {
            for target in &policy.targets {
                by_target.entry(target).or_default().push(policy);
            }
        }
        Self {
            organization,
            members: members.map(|member| (member.account.as_str(), member)).collect(),
            by_target,
            asked: access.accounts.iter().map(|account| account.account.as_str()).collect(),
        }
    }

    /// The levels that bind an account. AWS keeps at least one policy on each: one without any is not known, and does
    /// not bind here.
    pub(super) fn levels(
        &self,
        account: &str,
        evaluator: &mut Evaluator<'a>,
        look_up: LookUp<'_>,
    ) -> Vec<Vec<Held<'a>>> {
        let mut levels = Vec::new();
        for place in self.places(account) {
            let Some(policies) = self.by_target.get(place) else { continue };
            let held = |policy: &&'a ControlPolicy| {
                let held = evaluator.document(policy.name.as_str(), policy.document.as_ref(), look_up);
                held.through("service control policy")
            };
            levels.push(policies.iter().map(held).collect());
        }
        levels
    }

    /// The root, the units and the account; none for the management account, which is not bound.
    fn places<'p>(&'p self, account: &'p str) -> impl Iterator<Item = &'p str> {
        let is_bound = self.organization.is_some_and(|organization| organization.management != account);
        let parents = self.members.get(account).into_iter().flat_map(|member| &member.parents);
        parents.map(String::as_str).chain([account]).filter(move |_| is_bound)
    }

    /// What of them is not known, in sentences.
    pub(super) fn not_known(&self) -> Vec<String> {
        if self.organization.is_none() {
            return vec!["service control policies were not evaluated: no organization is known".to_owned()];
        }
        if self.by_target.is_empty() {
            return vec!["no service control policy is attached anywhere, as far as was told".to_owned()];
        }
        let is_unknown = |account: &&&str| self.places(account).any(|place| !self.by_target.contains_key(place));
        let strange = |account: &&&str| !self.members.contains_key(**account);
        let unknown: Vec<&str> = self.asked.iter().filter(|a| is_unknown(a) || strange(a)).copied().collect();
        if unknown.is_empty() {
            return Vec::new();
        }
        let names = super::listed(unknown);
        vec![format!("service control policies are not known at every level above these accounts: {names}")]
    }
}
