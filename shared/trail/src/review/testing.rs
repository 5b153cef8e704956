//! What the tests of the review are written with.

use super::decision::{Act, By, Decision, Entry, Verb};
use super::population::{Grant, GrantKind, Person, Population, Provisioner, Subject, SubjectKind};
use super::usage::{ActorKey, RecordId, Usage};
use crate::access::Gap;
use crate::time::Time;

pub(crate) use crate::testing::ACCOUNT;

/// When the population below was taken: a Thursday.
pub(crate) fn taken() -> Time {
    Time::parse("2026-10-01T06:00:00Z").expect("a time")
}

/// So many days after that.
pub(crate) fn day(days: i64) -> Time {
    Time(taken().0 + days * 86_400)
}

pub(crate) fn grant(kind: GrantKind, name: &str, via: &str) -> Grant {
    Grant { kind, name: name.to_owned(), via: via.to_owned() }
}

pub(crate) fn person(id: &str) -> Person {
    Person { id: id.to_owned(), active: true, ..Person::default() }
}

/// A user in use with a password, a key, a group, and a policy through that.
pub(crate) fn user(number: u32, name: &str, reviewer: &str) -> Subject {
    let id = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    let grants = vec![
        grant(GrantKind::Policy, "arn:aws:iam::aws:policy/ReadOnlyAccess", ""),
        grant(GrantKind::Policy, "arn:aws:iam::aws:policy/ReadOnlyAccess", "auditors"),
        grant(GrantKind::Group, "auditors", ""),
        grant(GrantKind::Password, "password", ""),
        grant(GrantKind::AccessKey, &format!("AKIA{}", name.to_uppercase()), ""),
    ];
    Subject {
        actors: vec![ActorKey::User(id.clone())],
        grants,
        person: Some(person(name)),
        ..subject(number, SubjectKind::User, (&id, name, reviewer))
    }
}

pub(crate) fn subject(number: u32, kind: SubjectKind, (id, name, reviewer): (&str, &str, &str)) -> Subject {
    Subject {
        number,
        id: id.to_owned(),
        kind,
        account: ACCOUNT.to_owned(),
        name: name.to_owned(),
        unique_id: String::new(),
        person: None,
        grants: Vec::new(),
        privileged: false,
        privileged_by: Vec::new(),
        mfa: None,
        keys: Vec::new(),
        trusts: Vec::new(),
        created: Some(day(-900)),
        created_by: None,
        given_by: Vec::new(),
        last_used: Some(day(-2)),
        actors: Vec::new(),
        usage: Usage::default(),
        reviewer: reviewer.to_owned(),
        joined: false,
    }
}

/// A user of Identity Center with a permission set of his own and one through a group.
pub(crate) fn assignment(number: u32) -> Subject {
    let id = format!("sso:u-1/{ACCOUNT}/Billing");
    let role = format!("arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Billing_00");
    Subject {
        unique_id: "u-1".to_owned(),
        grants: vec![
            grant(GrantKind::PermissionSet, "Billing", ""),
            grant(GrantKind::DirectoryGroup, "accountants", "g-1"),
        ],
        actors: vec![ActorKey::Session { role, name: "carol".to_owned() }],
        ..subject(number, SubjectKind::Assignment, (&id, "carol as Billing", "bob"))
    }
}

pub(crate) fn given_by(actor: &str, pipeline: bool) -> Provisioner {
    Provisioner { record: record("given", day(-900)), actor: actor.to_owned(), pipeline }
}

pub(crate) fn record(id: &str, time: Time) -> RecordId {
    RecordId { account: ACCOUNT.to_owned(), id: id.to_owned(), time }
}

/// Alice and dave are reviewed by bob, bob by the owner; alice is an administrator.
pub(crate) fn population() -> Population {
    let alice = Subject { privileged: true, privileged_by: vec!["*".to_owned()], ..user(1, "alice", "bob") };
    Population {
        taken: taken(),
        subjects: vec![alice, user(2, "bob", "owner"), user(3, "dave", "bob"), assignment(4)],
        people_sha256: "people".to_owned(),
        ..Population::default()
    }
}

pub(crate) fn gap() -> Gap {
    let text = str::to_owned;
    Gap { account: text("444455556666"), what: text("iam:ListUsers"), why: text("denied: grant it") }
}

/// Somebody whom AWS knows as an IAM user, and the people's list as himself.
pub(crate) fn by(name: &str) -> By {
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    By { person: Some(name.to_owned()), ..signed(&arn) }
}

/// Somebody whom AWS knows, and nobody else.
pub(crate) fn signed(arn: &str) -> By {
    By {
        who: arn.rsplit('/').next().unwrap_or(arn).to_owned(),
        arn: arn.to_owned(),
        account: arn.split(':').nth(4).unwrap_or_default().to_owned(),
        proven: "signed".to_owned(),
        address: "203.0.113.7".to_owned(),
        person: None,
    }
}

pub(crate) fn keep() -> Decision {
    let justification = "closes the books".to_owned();
    Decision { verb: Verb::Keep, remove: Vec::new(), justification, ticket: String::new() }
}

pub(crate) fn revoke() -> Decision {
    Decision { verb: Verb::Revoke, justification: String::new(), ..keep() }
}

pub(crate) fn modify(remove: Vec<Grant>) -> Decision {
    Decision { verb: Verb::Modify, remove, ..keep() }
}

/// A log, chained, with an entry a day.
pub(crate) fn log(acts: impl IntoIterator<Item = (By, Act)>) -> Vec<Entry> {
    let mut log: Vec<Entry> = Vec::new();
    for (days, (by, act)) in (0..).zip(acts) {
        let entry = Entry::chain(log.last(), day(days), Some(by), act);
        log.push(entry);
    }
    log
}

pub(crate) fn opened() -> (By, Act) {
    (by("owner"), Act::Opened { population: "p".to_owned(), due: day(30) })
}

pub(crate) fn decided(name: &str, subject: &Subject, decision: Decision) -> (By, Act) {
    (by(name), Act::Decided { subject: subject.id.clone(), decision })
}
