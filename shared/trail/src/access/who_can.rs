//! Who could do this: everybody whom policies allow an action, as they were at one time.
//!
//! An upper bound, that says what it leaves open: conditions are named and not evaluated, and policies of resources and
//! sessions are not read. Nobody whom identity policies, groups, permission sets, boundaries and service control
//! policies allow is left out.

mod controls;
mod holder;
mod people;
mod question;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use self::controls::Controls;
pub use self::holder::{Holder, HolderKind, Stop, Sure, Through};
use self::people::RESERVED;
pub use self::question::{Question, QuestionError};
use super::evaluate::{Evaluator, Held, Standing, Unknowns};
use super::{Access, AccountAccess, Gap, Given, Kind, Principal};
use crate::lineage::shown;
use crate::policy::pattern::Variable;
use crate::policy::{Policy, Statement};
use crate::review::usage::ActorKey;

/// Who can.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The action that was asked about.
    pub action: String,
    /// The resource that was asked about.
    pub resource: Option<String>,
    /// Everybody who may: those who are sure first, those of the resource's own account before others.
    pub holders: Vec<Holder>,
    /// What was not evaluated, in sentences that are fit for a terminal.
    pub not_evaluated: Vec<String>,
    /// What could not be seen: because of it, somebody may be missing.
    pub gaps: Vec<Gap>,
}

impl Access {
    /// Who can do this.
    pub fn who_can(&self, question: &Question<'_>) -> Result<Answer, QuestionError> {
        question.check()?;
        let mut asking = Asking::new(self, question);
        let mut holders = Vec::new();
        for account in &self.accounts {
            holders.extend(account.principals.iter().filter_map(|principal| asking.principal(account, principal)));
        }
        holders.extend(asking.people());
        holders.sort_by(|a, b| a.order().cmp(&b.order()));
        let not_evaluated = asking.not_evaluated(&holders);
        Ok(Answer {
            action: question.action.to_owned(),
            resource: question.resource.map(str::to_owned),
            holders,
            not_evaluated,
            gaps: self.gaps.clone(),
        })
    }

    /// Accounts that are ours: of the organization, or asked.
    fn own_accounts(&self) -> HashSet<&str> {
        let asked = self.accounts.iter().map(|account| account.account.as_str());
        let members = self.organization.iter().flat_map(|organization| &organization.accounts);
        asked.chain(members.map(|member| member.account.as_str())).collect()
    }
}

/// A question under way.
struct Asking<'a> {
    access: &'a Access,
    evaluator: Evaluator<'a>,
    controls: Controls<'a>,
    ours: HashSet<&'a str>,
    /// The account of the resource that is asked about, where its ARN names one.
    home: Option<String>,
    /// Whether any resource will do.
    is_open: bool,
    /// Policies that were not told and may allow it.
    untold: BTreeSet<String>,
}

impl<'a> Asking<'a> {
    fn new(access: &'a Access, question: &Question<'_>) -> Self {
        Self {
            access,
            evaluator: Evaluator::new(question.action, question.resource_text()),
            controls: Controls::of(access),
            ours: access.own_accounts(),
            home: question.home().map(str::to_owned),
            is_open: question.resource_text().is_none_or(|resource| resource.contains(['*', '?'])),
            untold: BTreeSet::new(),
        }
    }

    /// The root user, a user, or a role, if it can. Roles of Identity Center are the people behind them.
    fn principal(&mut self, account: &'a AccountAccess, principal: &'a Principal) -> Option<Holder> {
        if principal.arn.contains(RESERVED) && self.access.directory.is_some() {
            return None;
        }
        let look_up = |name: &str| variable(name, &account.account, principal);
        let standing = Standing {
            identity: self.identity(account, principal, &look_up),
            limits: self.limits(&account.account, principal, &look_up),
        };
        let found = self.found(&standing)?;
        let kind = match principal.kind {
            Kind::Root => HolderKind::Root,
            Kind::User => HolderKind::User,
            Kind::Role => HolderKind::Role,
        };
        let actor = match principal.kind {
            Kind::Root => ActorKey::Root(account.account.clone()),
            Kind::User => ActorKey::User(principal.arn.clone()),
            Kind::Role => ActorKey::Role(principal.arn.clone()),
        };
        Some(Holder {
            kind,
            id: principal.arn.clone(),
            arn: principal.arn.clone(),
            name: principal.name.clone(),
            account: account.account.clone(),
            across: self.is_across(&account.account),
            taken_by: self.taken_by(principal),
            last_used: principal.last_used,
            actor: Some(actor),
            ..found
        })
    }

    /// Its own policies and those of its groups. The root user needs none.
    fn identity(
        &mut self,
        account: &'a AccountAccess,
        principal: &'a Principal,
        look_up: &dyn Fn(&str) -> Variable,
    ) -> Vec<Held<'a>> {
        static ROOT: LazyLock<Given> = LazyLock::new(|| Given {
            name: String::new(),
            inline: false,
            document: Some(Arc::new(Policy {
                statements: vec![Statement {
                    allow: true,
                    actions: vec!["*".to_owned()],
                    resources: vec!["*".to_owned()],
                    ..Statement::default()
                }],
            })),
        });
        if principal.kind == Kind::Root {
            return vec![self.evaluator.held(&ROOT, "", look_up)];
        }
        let mut held = Vec::with_capacity(principal.policies.len());
        for given in &principal.policies {
            held.push(self.evaluator.held(given, "", look_up));
        }
        for group in &principal.groups {
            for given in account.groups.get(group).into_iter().flatten() {
                held.push(self.evaluator.held(given, format!("group {group}"), look_up));
            }
        }
        held
    }

    /// The boundary and the levels of service control policies. Roles of services are bound by none of the latter.
    fn limits(
        &mut self,
        account: &str,
        principal: &'a Principal,
        look_up: &dyn Fn(&str) -> Variable,
    ) -> Vec<Vec<Held<'a>>> {
        let boundary = principal.boundary.as_ref().map(|given| vec![self.evaluator.held(given, "boundary", look_up)]);
        let mut limits: Vec<Vec<Held<'a>>> = boundary.into_iter().collect();
        if !principal.arn.contains(":role/aws-service-role/") {
            limits.extend(self.controls.levels(account, &mut self.evaluator, look_up));
        }
        limits
    }

    /// What policies come to, with nobody's name on it.
    fn found(&mut self, standing: &Standing<'a>) -> Option<Holder> {
        let regions = self.evaluator.allowed(standing, Unknowns::InFavour);
        if regions.is_empty() {
            return None;
        }
        let is_certain = || !self.evaluator.allowed(standing, Unknowns::Against).is_empty();
        let found = Holder::found(standing, &regions, is_certain(), self.is_open);
        let untold = standing.identity.iter().chain(standing.limits.iter().flatten()).filter(|held| held.is_untold());
        self.untold.extend(untold.map(|held| held.name.to_string()));
        Some(found)
    }

    fn is_across(&self, account: &str) -> bool {
        self.home.as_deref().is_some_and(|home| home != account)
    }

    fn taken_by(&self, principal: &Principal) -> Vec<String> {
        if principal.kind != Kind::Role {
            return Vec::new();
        }
        let Some(trust) = &principal.trust else { return vec!["whom, was not told".to_owned()] };
        let admitted = trust.admissions(&|account| self.ours.contains(account));
        let told: BTreeSet<String> = admitted.iter().map(crate::policy::trust::Admission::told).collect();
        if told.is_empty() { vec!["nobody".to_owned()] } else { told.into_iter().collect() }
    }

    fn not_evaluated(&self, holders: &[Holder]) -> Vec<String> {
        let mut said = vec![
            "this is an upper bound: whoever is not listed was not allowed by the policies that were told".to_owned(),
        ];
        let keys: BTreeSet<&str> = holders.iter().flat_map(|holder| &holder.conditions).map(String::as_str).collect();
        if !keys.is_empty() {
            said.push(format!("conditions were not evaluated: {}", listed(keys)));
        }
        said.push(
            "policies of resources (buckets, keys, queues, trust of roles), resource control policies, policies of \
             sessions and of VPC endpoints were not evaluated: they may let others in, or keep these out"
                .to_owned(),
        );
        let asked: HashSet<&str> = self.access.accounts.iter().map(|account| account.account.as_str()).collect();
        let members = self.access.organization.iter().flat_map(|organization| &organization.accounts);
        let unasked: BTreeSet<&str> = members
            .filter(|one| one.active && !asked.contains(&*one.account))
            .map(|one| one.account.as_str())
            .collect();
        if !unasked.is_empty() {
            said.push(format!("these accounts of the organization are not in the snapshot: {}", listed(unasked)));
        }
        if !self.untold.is_empty() {
            let names = listed(self.untold.iter().map(String::as_str));
            said.push(format!("policies whose documents were not told are taken to allow it: {names}"));
        }
        let across = holders.iter().filter(|holder| holder.across).count();
        if across > 0 {
            said.push(format!(
                "{across} of them belong to other accounts than the resource: its own account has to let them in as well"
            ));
        }
        said.extend(self.controls.not_known());
        said
    }
}

/// Names in a sentence, not all of many. Others chose them: what is not seen on a terminal is written out.
fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const NAMED: usize = 8;
    let all: Vec<&str> = names.into_iter().collect();
    let more = all.len().saturating_sub(NAMED);
    let said = all.iter().take(NAMED).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    if more == 0 { said } else { format!("{said} and {more} more") }
}

/// What is known of a variable for a principal. Sessions of a role may bring tags of their own.
fn variable(name: &str, account: &str, principal: &Principal) -> Variable {
    let of_user = |value: &str| if value.is_empty() { Variable::Unknown } else { Variable::Is(value.to_owned()) };
    let lower = name.to_ascii_lowercase();
    if let (Some(_), Kind::User) = (lower.strip_prefix("aws:principaltag/"), principal.kind) {
        let key = name.split_once('/').map_or("", |(_, key)| key);
        let same = principal.tags.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(key));
        return same.map_or(Variable::Unset, |(_, value)| Variable::Is(value.clone()));
    }
    match (lower.as_str(), principal.kind) {
        ("aws:username", Kind::User) => of_user(&principal.name),
        ("aws:username", Kind::Role | Kind::Root) => Variable::Unset,
        ("aws:userid", Kind::User) => of_user(&principal.id),
        ("aws:userid", Kind::Root) | ("aws:principalaccount", _) => Variable::Is(account.to_owned()),
        ("aws:userid", Kind::Role) if !principal.id.is_empty() => Variable::Begins(format!("{}:", principal.id)),
        ("aws:principalarn", _) => of_user(&principal.arn),
        _ => Variable::Unknown,
    }
}

/// Roles of Identity Center in an account, by the name of their permission set.
fn reserved_roles(account: &AccountAccess) -> HashMap<&str, &Principal> {
    let of_sets = account.principals.iter().filter(|principal| principal.arn.contains(RESERVED));
    of_sets.filter_map(|role| Some((people::set_of(&role.name)?, role))).collect()
}

#[cfg(test)]
mod tests;
