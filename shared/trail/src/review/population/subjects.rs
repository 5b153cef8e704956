//! Each thing that has access, as a subject.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::grants::{self, Gifts, grant, last_part};
use super::scope::Accounts;
use super::{Grant, GrantKind, Input, Person, Subject, SubjectKind};
use crate::access::{AccountAccess, Assignment, Directory, DirectoryUser, Gap, Given, Kind, Principal};
use crate::policy::trust::{Admission, Who};
use crate::review::usage::{ActorKey, Usage};

/// Where the roles of Identity Center are, in their ARNs.
const RESERVED: &str = ":role/aws-reserved/sso.amazonaws.com/";

/// So many records are shown of a subject.
const SAMPLES: usize = 5;

/// Makes the subjects of a population.
pub(super) struct Subjects<'i> {
    input: &'i Input<'i>,
    accounts: &'i Accounts,
    owners: HashMap<&'i str, &'i str>,
    gifts: Gifts<'i>,
    made: Vec<Subject>,
}

/// One who was given a permission set in an account, directly and through groups.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Holder<'i> {
    account: &'i str,
    set: &'i str,
    user: &'i str,
}

impl<'i> Subjects<'i> {
    pub(super) fn new(input: &'i Input<'i>, accounts: &'i Accounts) -> Self {
        let owners = accounts.scope.iter().map(|scope| (scope.account.as_str(), scope.owner.as_str())).collect();
        Self { input, accounts, owners, gifts: Gifts::default(), made: Vec::new() }
    }

    /// Makes all of them.
    pub(super) fn collect(&mut self) {
        let reviewed = |account: &&AccountAccess| !self.accounts.is_left_out(&account.account);
        let accounts: Vec<&AccountAccess> = self.input.access.accounts.iter().filter(reviewed).collect();
        for account in &accounts {
            for principal in &account.principals {
                self.principal(account, principal);
            }
            self.providers(account);
        }
        if let Some(directory) = &self.input.access.directory {
            self.assignments(directory);
        }
    }

    /// The subjects in order with their numbers, and what of them nobody is there to decide about.
    pub(super) fn numbered(mut self) -> (Vec<Subject>, Vec<Gap>) {
        self.made.sort_by(|a, b| (&a.account, a.kind, &a.name, &a.id).cmp(&(&b.account, b.kind, &b.name, &b.id)));
        self.made.dedup_by(|later, first| later.id == first.id);
        let mut without: BTreeMap<String, usize> = BTreeMap::new();
        for (number, subject) in (1..).zip(&mut self.made) {
            subject.number = number;
            if subject.reviewer.is_empty() {
                *without.entry(subject.account.clone()).or_default() += 1;
            }
        }
        let gap = |(account, count): (String, usize)| Gap {
            why: format!("name an owner who is not the subject, as accounts.{account}.owner of the settings"),
            what: format!("no reviewer for {count} of its subjects"),
            account,
        };
        (self.made, without.into_iter().map(gap).collect())
    }

    fn principal(&mut self, account: &'i AccountAccess, principal: &'i Principal) {
        match principal.kind {
            Kind::Root => self.root(account, principal),
            Kind::User => self.user(account, principal),
            Kind::Role => self.role(account, principal),
        }
    }

    fn root(&mut self, account: &'i AccountAccess, root: &'i Principal) {
        let subject = Subject {
            privileged: true,
            privileged_by: vec!["root".to_owned()],
            grants: grants::credentials(root),
            actors: vec![ActorKey::Root(account.account.clone())],
            ..of_principal(SubjectKind::Root, account, root)
        };
        self.add(subject, &[&root.arn]);
    }

    fn user(&mut self, account: &'i AccountAccess, user: &'i Principal) {
        let mut given: Vec<&Given> = user.policies.iter().collect();
        let mut all = grants::policies(given.iter().copied(), "");
        for group in &user.groups {
            all.push(grant(GrantKind::Group, group, ""));
            let policies = account.groups.get(group).into_iter().flatten();
            all.extend(grants::policies(policies.clone(), group));
            given.extend(policies);
        }
        all.extend(grants::credentials(user));
        let (privileged, privileged_by) = self.gifts.judge(&given, user.boundary.as_ref());
        let subject = Subject {
            privileged,
            privileged_by,
            grants: sorted(all),
            actors: vec![ActorKey::User(user.arn.clone())],
            ..of_principal(SubjectKind::User, account, user)
        };
        // Not by tags: whoever may set one would say whose it is.
        self.add(subject, &[&user.arn, &user.name]);
    }

    /// A role that people or outsiders may take. Those of Identity Center are there as who was given them, where that is
    /// known.
    fn role(&mut self, account: &'i AccountAccess, role: &'i Principal) {
        if role.arn.contains(RESERVED) && self.input.access.directory.is_some() {
            return;
        }
        let ours = |account: &str| self.owners.contains_key(account) || self.input.settings.is_ours(account);
        let admissions = role.trust.as_ref().map(|trust| trust.admissions(&ours));
        let mut entering = admissions.unwrap_or_default();
        entering.retain(|admission| admission.who != Who::Service);
        if entering.is_empty() && role.trust.is_some() {
            return;
        }
        let given: Vec<&Given> = role.policies.iter().collect();
        let (privileged, privileged_by) = self.gifts.judge(&given, role.boundary.as_ref());
        let trust = entering.iter().map(|admission| grant(GrantKind::Trust, &admission.name, ""));
        let mut trusts: Vec<String> = entering.iter().map(Admission::told).collect();
        if role.trust.is_none() {
            trusts.push("not known: its trust policy was not told".to_owned());
        }
        trusts.sort_unstable();
        trusts.dedup();
        let subject = Subject {
            privileged,
            privileged_by,
            grants: sorted(grants::policies(given, "").into_iter().chain(trust).collect()),
            trusts,
            actors: vec![ActorKey::Role(role.arn.clone())],
            ..of_principal(SubjectKind::Role, account, role)
        };
        self.add(subject, &[&role.arn]);
    }

    fn providers(&mut self, account: &'i AccountAccess) {
        for provider in &account.providers {
            let kind = if provider.saml { SubjectKind::SamlProvider } else { SubjectKind::OidcProvider };
            let name = provider.arn.split_once('/').map_or(provider.arn.as_str(), |(_, name)| name);
            let subject = Subject { created: provider.created, ..subject(kind, &provider.arn, &account.account, name) };
            self.add(subject, &[&provider.arn]);
        }
    }

    /// Each user of Identity Center in each account with each permission set: one subject, however often it was given.
    fn assignments(&mut self, directory: &'i Directory) {
        let mut members: HashMap<&str, Vec<&str>> = HashMap::new();
        for (id, user) in &directory.users {
            user.groups.iter().for_each(|group| members.entry(group).or_default().push(id));
        }
        let mut held: BTreeMap<Holder<'i>, BTreeSet<Grant>> = BTreeMap::new();
        for assignment in &directory.assignments {
            let users = if assignment.group {
                members.get(assignment.principal.as_str()).cloned().unwrap_or_default()
            } else {
                vec![assignment.principal.as_str()]
            };
            let given = given(directory, assignment);
            for user in users {
                let holder = Holder { account: &assignment.account, set: &assignment.permission_set, user };
                held.entry(holder).or_default().insert(given.clone());
            }
        }
        held.retain(|holder, _| !self.accounts.is_left_out(holder.account));
        let roles = self.reserved_roles();
        for (holder, grants) in held {
            let set = set_name(directory, holder.set);
            let roles = roles.get(&(holder.account, set)).cloned().unwrap_or_default();
            self.assignment(directory, &holder, (grants, &roles));
        }
    }

    /// The roles that Identity Center made in the accounts, by account and permission set's name.
    fn reserved_roles(&self) -> HashMap<(&'i str, &'i str), Vec<&'i Principal>> {
        let mut roles: HashMap<_, Vec<_>> = HashMap::new();
        for account in &self.input.access.accounts {
            for role in account.principals.iter().filter(|principal| principal.arn.contains(RESERVED)) {
                let name = role.name.strip_prefix("AWSReservedSSO_").and_then(|rest| rest.rsplit_once('_'));
                if let Some((set, _)) = name {
                    roles.entry((account.account.as_str(), set)).or_default().push(role);
                }
            }
        }
        roles
    }

    fn assignment(
        &mut self,
        directory: &'i Directory,
        holder: &Holder<'i>,
        (given, roles): (BTreeSet<Grant>, &[&'i Principal]),
    ) {
        let unknown = DirectoryUser::default();
        let user = directory.users.get(holder.user).unwrap_or(&unknown);
        let name = if user.name.is_empty() { holder.user } else { &user.name };
        let set = directory.permission_sets.get(holder.set);
        let set_name = set_name(directory, holder.set);
        // What the role in the account has, where it was seen: customer managed policies differ by account.
        let of_roles = roles.iter().flat_map(|role| &role.policies);
        let policies: Vec<&Given> = set.into_iter().flat_map(|set| &set.policies).chain(of_roles).collect();
        let boundary = set.and_then(|set| set.boundary.as_ref());
        let (privileged, privileged_by) = self.gifts.judge(&policies, boundary);
        let id = format!("sso:{}/{}/{set_name}", holder.user, holder.account);
        let session = |role: &&Principal| ActorKey::Session { role: role.arn.clone(), name: name.to_owned() };
        let subject = Subject {
            unique_id: holder.user.to_owned(),
            privileged,
            privileged_by,
            grants: given.into_iter().collect(),
            actors: roles.iter().map(session).collect(),
            ..subject(SubjectKind::Assignment, &id, holder.account, &format!("{name} as {set_name}"))
        };
        let names: Vec<&str> = [name].into_iter().chain(user.emails.iter().map(String::as_str)).collect();
        self.add(subject, &names);
    }

    /// With what is known of it from elsewhere: the person, what CloudTrail saw, who gave it, who is to decide.
    fn add(&mut self, subject: Subject, names: &[&str]) {
        let input = self.input;
        let person = input.people.and_then(|listed| listed.people.find(names.iter().copied()));
        let used = subject.actors.iter().filter_map(|actor| input.usage.get(actor));
        self.made.push(Subject {
            usage: used.fold(Usage::default(), together),
            created_by: input.provisioners.get(&subject.id).cloned(),
            reviewer: self.reviewer(&subject.account, person),
            person: person.cloned(),
            ..subject
        });
    }

    /// The person's manager, else the owner of the account or who stands above an owner who has left; nobody about
    /// himself.
    fn reviewer(&self, account: &str, person: Option<&Person>) -> String {
        let owner = self.owners.get(account).copied().unwrap_or_default();
        let Some(listed) = self.input.people else { return owner.to_owned() };
        let taken = self.input.taken();
        if let Some(manager) = person.and_then(|person| listed.people.manager_of(person, taken)) {
            return manager.id.clone();
        }
        let Some(known) = listed.people.find([owner]) else { return owner.to_owned() };
        let stand_in = || listed.people.manager_of(known, taken);
        let decides = Some(known).filter(|known| known.is_there(taken)).or_else(stand_in);
        decides
            .filter(|decides| person.is_none_or(|person| person.id != decides.id))
            .map_or_else(String::new, |decides| decides.id.clone())
    }
}

/// A permission set's name, or its ARN where it is not known.
fn set_name<'d>(directory: &'d Directory, arn: &'d str) -> &'d str {
    directory.permission_sets.get(arn).map_or(arn, |set| &set.name)
}

/// How a permission set comes to somebody: by itself, or through a group, named with its id.
fn given(directory: &Directory, assignment: &Assignment) -> Grant {
    if !assignment.group {
        return grant(GrantKind::PermissionSet, set_name(directory, &assignment.permission_set), "");
    }
    let id = &assignment.principal;
    let name = directory.groups.get(id).unwrap_or(id);
    grant(GrantKind::DirectoryGroup, name, id)
}

fn of_principal(kind: SubjectKind, account: &AccountAccess, principal: &Principal) -> Subject {
    Subject {
        unique_id: principal.id.clone(),
        mfa: principal.mfa,
        keys: principal.keys.clone(),
        created: principal.created,
        last_used: principal.last_used,
        ..subject(kind, &principal.arn, &account.account, last_part(&principal.name))
    }
}

/// A subject of which nothing more is known.
fn subject(kind: SubjectKind, id: &str, account: &str, name: &str) -> Subject {
    Subject {
        number: 0,
        id: id.to_owned(),
        kind,
        account: account.to_owned(),
        name: name.to_owned(),
        unique_id: String::new(),
        person: None,
        grants: Vec::new(),
        privileged: false,
        privileged_by: Vec::new(),
        mfa: None,
        keys: Vec::new(),
        trusts: Vec::new(),
        created: None,
        created_by: None,
        given_by: Vec::new(),
        last_used: None,
        actors: Vec::new(),
        usage: Usage::default(),
        reviewer: String::new(),
        joined: false,
    }
}

fn sorted(mut grants: Vec<Grant>) -> Vec<Grant> {
    grants.sort_unstable();
    grants.dedup();
    grants
}

/// What two actors did who are one subject.
fn together(mut all: Usage, other: &Usage) -> Usage {
    all.records += other.records;
    all.writes += other.writes;
    all.refused += other.refused;
    all.first = [all.first, other.first].into_iter().flatten().min();
    all.last = all.last.max(other.last);
    for (counts, more) in [(&mut all.services, &other.services), (&mut all.actions, &other.actions)] {
        more.iter().for_each(|(name, count)| *counts.entry(name.clone()).or_default() += count);
    }
    for (key, time) in &other.keys {
        let last = all.keys.entry(key.clone()).or_insert(*time);
        *last = (*last).max(*time);
    }
    all.samples.extend(other.samples.iter().cloned());
    all.samples.sort_by_key(|record| std::cmp::Reverse(record.time));
    all.samples.truncate(SAMPLES);
    all
}
