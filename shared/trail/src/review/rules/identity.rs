//! Who somebody is, by what AWS or a token says of them.

use super::Persons;
use crate::review::decision::By;
use crate::review::usage::ActorKey;

/// The names of one who does something. A name is sure where nobody can choose it for himself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity<'b> {
    pub(super) arn: &'b str,
    account: &'b str,
    person: Option<&'b str>,
    /// The role of a session.
    role: Option<&'b str>,
    /// The name of a user, or a session's.
    name: &'b str,
    /// Whether AWS gave the name: whoever assumes a role calls the session as he likes, and whoever makes a user the user.
    sure: bool,
}

impl<'b> Identity<'b> {
    /// Who it is; on somebody's own machine, the name that the machine has for them counts.
    pub(super) fn of(by: &'b By, local: bool) -> Self {
        let arn = by.arn.as_str();
        let plain = Self { arn, account: &by.account, person: by.person.as_deref(), role: None, name: arn, sure: true };
        let mut parts = arn.splitn(6, ':').skip(2);
        match (parts.next(), parts.nth(2)) {
            (Some("sts"), Some(resource)) => plain.session(resource),
            (Some("iam"), Some(resource)) if resource.starts_with("user/") => {
                Self { name: resource.rsplit('/').next().unwrap_or(resource), sure: false, ..plain }
            }
            _ if local && arn.is_empty() => Self { name: &by.who, ..plain },
            _ => plain,
        }
    }

    fn session(self, resource: &'b str) -> Self {
        let mut parts = resource.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("assumed-role"), Some(role), Some(name)) => {
                Self { role: Some(role), name, sure: role.starts_with("AWSReservedSSO_"), ..self }
            }
            (Some("federated-user"), Some(name), None) => Self { name, sure: false, ..self },
            _ => self,
        }
    }

    /// Whether a subject's actor is this one.
    pub(super) fn acts_as(&self, actor: &ActorKey) -> bool {
        match actor {
            ActorKey::Root(account) => self.account == account && self.arn.ends_with(":root"),
            ActorKey::User(arn) => self.arn == arn,
            ActorKey::Role(arn) => {
                let of_account = arn.split(':').nth(4) == Some(self.account);
                of_account && self.role.is_some() && self.role == arn.rsplit('/').next()
            }
            // The same user of Identity Center, in whichever account.
            ActorKey::Session { name, .. } => self.role.is_some() && same(self.name, name),
        }
    }

    /// Whether this one may be who is named: also by a name that can be chosen. For refusing.
    pub(super) fn is_named(&self, other: &str, persons: &impl Persons) -> bool {
        let person = persons.person(name_in(other));
        self.is_surely(other, persons)
            || same(self.name, other)
            || same(self.name, name_in(other))
            || person.is_some() && person.as_deref() == self.person
    }

    /// Whether this one surely is who is named. For allowing.
    pub(super) fn is_surely(&self, other: &str, persons: &impl Persons) -> bool {
        let by_name = self.sure && same(self.name, other) || self.role.is_none() && same(self.arn, other);
        let by_person = |person: &str| person == other || persons.person(other).as_deref() == Some(person);
        by_name || self.person.is_some_and(by_person)
    }

    /// Whether both are one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let names = || same(self.name, other.name) || self.arn == other.arn && !self.arn.is_empty();
        match (self.person, other.person) {
            (Some(one), Some(two)) => one == two,
            _ => names(),
        }
    }
}

/// The user or session in an ARN; other texts as they are.
fn name_in(text: &str) -> &str {
    if text.starts_with("arn:") { text.rsplit('/').next().unwrap_or(text) } else { text }
}

/// Names are compared whatever the case of their letters.
fn same(one: &str, other: &str) -> bool {
    !one.is_empty() && one.to_lowercase() == other.to_lowercase()
}
