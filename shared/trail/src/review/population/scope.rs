//! Which accounts are reviewed, and which are not and why.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Input, Scope};
use crate::access::{Gap, Member};
use crate::settings::Settings;

/// The accounts, those left out among them.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// By id.
    pub(super) scope: Vec<Scope>,
    left_out: BTreeSet<String>,
}

impl Accounts {
    pub(super) fn of(input: &Input<'_>) -> Self {
        let organization = input.access.organization.as_ref();
        let members: BTreeMap<&str, &Member> = organization
            .map(|organization| organization.accounts.iter().map(|member| (member.account.as_str(), member)).collect())
            .unwrap_or_default();
        let own = Some(input.settings.own.account.as_str()).filter(|account| !account.is_empty());
        let listed = input.settings.accounts.keys().map(String::as_str);
        let asked = input.access.accounts.iter().map(|account| account.account.as_str());
        let all: BTreeSet<&str> = members.keys().copied().chain(own).chain(listed).chain(asked).collect();
        let scope: Vec<Scope> =
            all.into_iter().map(|account| scope(input, account, members.get(account).copied())).collect();
        let left_out = scope.iter().filter(|scope| scope.excluded.is_some()).map(|scope| scope.account.clone());
        Self { left_out: left_out.collect(), scope }
    }

    /// Whether an account is known and not reviewed.
    pub(super) fn is_left_out(&self, account: &str) -> bool {
        self.left_out.contains(account)
    }

    /// Accounts without answers, and settings that fit no account.
    pub(super) fn gaps(&self, input: &Input<'_>) -> Vec<Gap> {
        let asked: HashSet<&str> = input.access.accounts.iter().map(|account| account.account.as_str()).collect();
        let reviewed = self.scope.iter().filter(|scope| scope.excluded.is_none());
        let silent = reviewed.filter(|scope| !asked.contains(scope.account.as_str()));
        let silent = silent.map(|scope| Gap {
            account: scope.account.clone(),
            what: "all of the account".to_owned(),
            why: unanswered(input, &scope.account),
        });
        let named = input.settings.review.accounts.iter().flatten().chain(input.settings.review.excluded.keys());
        let unknown =
            named.filter(|name| !self.scope.iter().any(|scope| is_named((&scope.account, &scope.environment), name)));
        let unknown = unknown.map(|name| Gap {
            account: String::new(),
            what: format!("`{name}` in the settings of the review"),
            why: "no account has this id or environment: see [accounts] and [review] in config.toml".to_owned(),
        });
        silent.chain(unknown).collect()
    }
}

fn unanswered(input: &Input<'_>, account: &str) -> String {
    let is_member = |member: &Member| member.account == account;
    match &input.access.organization {
        Some(organization) if !organization.accounts.iter().any(is_member) => {
            "it is in the settings and no longer in the organization: it was closed, or has left; take it out of \
             [accounts] or give a reason in review.excluded"
                .to_owned()
        }
        _ => "no snapshot of it was taken: deploy member-role.yaml there and take it again, or give a reason in \
              review.excluded"
            .to_owned(),
    }
}

fn scope(input: &Input<'_>, account: &str, member: Option<&Member>) -> Scope {
    let known = input.settings.accounts.get(account).cloned().unwrap_or_default();
    let told = member.map_or("", |member| &member.name);
    let mut scope = Scope {
        account: account.to_owned(),
        name: if known.name.is_empty() { told.to_owned() } else { known.name },
        environment: known.environment,
        owner: known.owner,
        ..Scope::default()
    };
    let joined = member.and_then(|member| member.joined).filter(|joined| input.period.contains(*joined));
    scope.note = joined.map_or(String::new(), |at| format!("joined on {}, during the period", at.date()));
    scope.excluded = match member {
        Some(member) if !member.active => Some(closed(input, account)),
        _ => left_out(input.settings, account),
    };
    scope
}

/// An account that is closed is named as such, with its last sign of life in the period.
fn closed(input: &Input<'_>, account: &str) -> String {
    let seen = input.usage.iter().filter(|(actor, _)| actor.account() == account).filter_map(|(_, usage)| usage.last);
    match seen.max() {
        Some(last) => format!("closed or suspended; last active on {}, during the period", last.date()),
        None => "closed or suspended".to_owned(),
    }
}

/// Why an account is not reviewed, by the settings; `None`: it is.
pub fn left_out(settings: &Settings, account: &str) -> Option<String> {
    let review = &settings.review;
    let environment = settings.accounts.get(account).map_or("", |known| &known.environment);
    let is_meant = |name: &str| is_named((account, environment), name);
    let reason = review.excluded.iter().find(|(name, _)| is_meant(name)).map(|(_, reason)| reason.clone());
    let unnamed = review.accounts.as_ref().filter(|names| !names.iter().any(|name| is_meant(name)));
    reason.or_else(|| unnamed.map(|names| format!("not among review.accounts of the settings: {}", names.join(", "))))
}

/// By its id or its environment.
fn is_named((account, environment): (&str, &str), name: &str) -> bool {
    account == name || (!environment.is_empty() && environment == name)
}
