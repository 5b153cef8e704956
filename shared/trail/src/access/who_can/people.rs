//! People of Identity Center: who was given which permission set where, groups expanded.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{Asking, reserved_roles, variable};
use crate::access::evaluate::{Held, Standing};
use crate::access::who_can::holder::{Holder, HolderKind};
use crate::access::{Access, AccountAccess, Assignment, Directory, PermissionSet, Principal};
use crate::policy::Policy;
use crate::policy::pattern::Variable;
use crate::review::usage::ActorKey;

/// What the ARNs of Identity Center's roles have in common.
pub(super) const RESERVED: &str = ":role/aws-reserved/sso.amazonaws.com/";

/// The permission set's name in `AWSReservedSSO_<name>_<hash>`.
pub(super) fn set_of(role: &str) -> Option<&str> {
    role.strip_prefix("AWSReservedSSO_")?.rsplit_once('_').map(|(set, _)| set)
}

/// By user or group id, the groups through which the permission set is theirs; an empty name for none.
type Members<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

impl<'a> Asking<'a> {
    /// Everybody who can through Identity Center.
    pub(super) fn people(&mut self) -> Vec<Holder> {
        let access = self.access;
        let Some(directory) = &access.directory else { return Vec::new() };
        let accounts: HashMap<&str, &'a AccountAccess> =
            access.accounts.iter().map(|account| (account.account.as_str(), account)).collect();
        let mut roles: BTreeMap<(&str, &str), &'a Principal> = BTreeMap::new();
        for account in &access.accounts {
            roles
                .extend(reserved_roles(account).into_iter().map(|(set, role)| ((account.account.as_str(), set), role)));
        }
        let mut holders = Vec::new();
        for ((account, arn), members) in assigned(access, directory) {
            let set = directory.permission_sets.get(arn);
            let name = set.map_or(arn, |set| set.name.as_str());
            let role = roles.remove(&(account, name));
            let place = Place { account, told: accounts.get(account).copied(), set, role };
            let Some(found) = self.assignment(&place, name) else { continue };
            holders.extend(members.into_iter().map(|(id, groups)| {
                let found = Holder { account: account.to_owned(), ..found.clone() };
                person(found, directory, &Member { id, groups, set: name, role })
            }));
        }
        holders.extend(roles.into_iter().filter_map(|((account, set), role)| {
            let place = Place { account, told: accounts.get(account).copied(), set: None, role: Some(role) };
            let found = self.assignment(&place, set)?;
            Some(Holder {
                kind: HolderKind::Role,
                id: role.arn.clone(),
                arn: role.arn.clone(),
                name: role.name.clone(),
                account: account.to_owned(),
                taken_by: vec![format!("people with the permission set {set}, whom nobody told")],
                last_used: role.last_used,
                actor: Some(ActorKey::Role(role.arn.clone())),
                ..found
            })
        }));
        holders
    }

    /// What a permission set comes to in an account: by its role there, else by what the set itself says.
    fn assignment(&mut self, place: &Place<'a, '_>, name: &str) -> Option<Holder> {
        let via = format!("permission set {name}");
        let look_up = |key: &str| place.role.map_or(Variable::Unknown, |role| variable(key, place.account, role));
        let mut standing = Standing::default();
        match (place.role, place.set) {
            (Some(role), _) => {
                let own = role.policies.iter().map(|given| self.evaluator.held(given, via.clone(), &look_up));
                standing.identity.extend(own);
                let boundary = role.boundary.iter().map(|given| vec![self.evaluator.held(given, "boundary", &look_up)]);
                standing.limits.extend(boundary);
            }
            (None, Some(set)) => {
                let own = set.policies.iter().map(|given| self.evaluator.held(given, via.clone(), &look_up));
                standing.identity.extend(own);
                for reference in &set.customer {
                    standing.identity.push(self.customer(place, reference).through(via.clone()));
                }
                standing.limits.extend(set.boundary.as_ref().map(|given| {
                    let held = match given.document {
                        Some(_) => self.evaluator.held(given, "", &look_up),
                        None => self.customer(place, &given.name),
                    };
                    vec![held.through("boundary")]
                }));
            }
            (None, None) => standing.identity.push(self.evaluator.document(via, None, &look_up)),
        }
        standing.limits.extend(self.controls.levels(place.account, &mut self.evaluator, &look_up));
        let across = self.is_across(place.account);
        self.found(&standing).map(|found| Holder { across, ..found })
    }

    /// A policy of the account's own that a permission set refers to.
    fn customer(&mut self, place: &Place<'a, '_>, reference: &'a str) -> Held<'a> {
        let ending = format!(":policy{reference}");
        let all = place.told.into_iter().flat_map(|account| {
            let own =
                account.principals.iter().flat_map(|principal| principal.policies.iter().chain(&principal.boundary));
            own.chain(account.groups.values().flatten())
        });
        let found: Option<&'a Arc<Policy>> =
            all.filter(|given| given.name.ends_with(&ending)).find_map(|given| given.document.as_ref());
        self.evaluator.document(reference, found, &|_| Variable::Unknown)
    }
}

/// A permission set in an account.
struct Place<'a, 'p> {
    account: &'p str,
    told: Option<&'a AccountAccess>,
    set: Option<&'a PermissionSet>,
    role: Option<&'a Principal>,
}

/// Whose it is.
struct Member<'m> {
    id: &'m str,
    groups: BTreeSet<&'m str>,
    set: &'m str,
    role: Option<&'m Principal>,
}

fn person(found: Holder, directory: &Directory, member: &Member<'_>) -> Holder {
    let known = directory.users.get(member.id).map(|user| user.name.as_str()).filter(|name| !name.is_empty());
    let group = directory.groups.get(member.id).map(|group| format!("the members of {group}, whom nobody told"));
    let name = known.map(str::to_owned).or(group).unwrap_or_else(|| member.id.to_owned());
    let of_groups = member.groups.iter().filter(|id| !id.is_empty()).map(|id| {
        let name = directory.groups.get(*id).filter(|name| !name.is_empty());
        name.map_or(*id, String::as_str)
    });
    let groups = super::listed(of_groups);
    let mut through = found.through.clone();
    if !groups.is_empty() && !member.groups.contains("") {
        through.iter_mut().for_each(|through| through.via = format!("{}, group {groups}", through.via));
    }
    let role = member.role.map(|role| role.arn.clone());
    let session = |role: &String| ActorKey::Session { role: role.clone(), name: name.clone() };
    Holder {
        kind: HolderKind::Person,
        id: format!("sso:{}/{}/{}", member.id, found.account, member.set),
        actor: role.as_ref().filter(|_| known.is_some()).map(session),
        arn: role.unwrap_or_default(),
        name,
        through,
        ..found
    }
}

/// Whom each permission set is given to, by account and set. A group whose members were not told stands for them.
fn assigned<'a>(access: &'a Access, directory: &'a Directory) -> BTreeMap<(&'a str, &'a str), Members<'a>> {
    let mut members: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, user) in &directory.users {
        for group in &user.groups {
            members.entry(group).or_default().push(id);
        }
    }
    let unread: HashSet<&str> =
        access.gaps.iter().filter_map(|gap| gap.what.strip_prefix("identitystore:ListGroupMemberships ")).collect();
    let is_untold = |group: &str| unread.contains(group) || !directory.groups.contains_key(group);
    let mut assigned: BTreeMap<(&str, &str), Members<'_>> = BTreeMap::new();
    for Assignment { account, permission_set, principal, group } in &directory.assignments {
        let all = assigned.entry((account, permission_set)).or_default();
        let of_group = members.get(principal.as_str()).map_or(&[][..], Vec::as_slice);
        if !group {
            all.entry(principal).or_default().insert("");
        } else if of_group.is_empty() && is_untold(principal) {
            all.entry(principal).or_default();
        }
        for user in of_group.iter().filter(|_| *group) {
            all.entry(user).or_default().insert(principal);
        }
    }
    assigned
}
