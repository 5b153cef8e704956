//! A call that is waited for, and whether a record is of it.

use serde::{Deserialize, Serialize};

use crate::policy::{Policy, Principal};
use crate::record::{Outcome, Record};
use crate::shape::{field, text};

/// A call, told from all others by what it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `eventSource`.
    pub source: String,
    /// `eventName`.
    pub name: String,
    /// The account that it is made in; empty for any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// What has to be so.
    pub targets: Vec<Target>,
}

/// What tells a call from others of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A member of the request, by its path, has this value.
    Request(String, String),
    /// A member of the answer has.
    Answer(String, String),
    /// The account's root user makes it, for himself.
    Root,
    /// The trust policy that is set admits nobody but services of AWS.
    Nobody,
    /// The trust policy that is set no longer admits this one.
    Without(String),
}

impl Call {
    pub(super) fn new(source: &str, name: &str, account: &str) -> Self {
        let targets = Vec::new();
        Self { source: source.to_owned(), name: name.to_owned(), account: account.to_owned(), targets }
    }

    fn and(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    pub(super) fn with(self, member: &str, value: &str) -> Self {
        self.and(Target::Request(member.to_owned(), value.to_owned()))
    }

    pub(super) fn answered(self, member: &str, value: &str) -> Self {
        self.and(Target::Answer(member.to_owned(), value.to_owned()))
    }

    pub(super) fn by_root(self) -> Self {
        self.and(Target::Root)
    }

    pub(super) fn admits_nobody(self) -> Self {
        self.and(Target::Nobody)
    }

    pub(super) fn no_longer_admits(self, principal: &str) -> Self {
        self.and(Target::Without(principal.to_owned()))
    }

    /// `DetachUserPolicy alice arn:aws:iam::aws:policy/ReadOnlyAccess`: what tells it from the subject's other calls.
    pub fn label(&self) -> String {
        let mut label = self.name.clone();
        for target in &self.targets {
            let word = match target {
                Target::Request(_, value) | Target::Answer(_, value) | Target::Without(value) => value,
                Target::Root => "by root",
                Target::Nobody => "admitting nobody",
            };
            label.extend([" ", word]);
        }
        label
    }

    /// Whether this record is of the call, and AWS carried it out.
    pub fn is_in(&self, record: &Record<'_>) -> bool {
        let named = record.name == self.name && record.source == self.source;
        let here = self.account.is_empty() || record.recipient_account == self.account;
        if !named || !here || record.load().is_err() || record.outcome() != Outcome::Success {
            return false;
        }
        self.targets.iter().all(|target| target.is_in(record))
    }
}

impl Target {
    fn is_in(&self, record: &Record<'_>) -> bool {
        let same = |found: &str, value: &str| found.eq_ignore_ascii_case(value);
        match self {
            Self::Request(path, value) => same(member(record.request(), path), value),
            Self::Answer(path, value) => same(member(record.response(), path), value),
            Self::Root => record.actor().is_root() && member(record.request(), "userName").is_empty(),
            Self::Nobody => trust(record).is_some_and(|trust| !admitted(&trust).any(|who| who.kind != "Service")),
            Self::Without(name) => {
                trust(record).is_some_and(|trust| !admitted(&trust).any(|who| admits(&who.value, name)))
            }
        }
    }
}

fn member<'v>(value: &'v serde_json::Value, path: &str) -> &'v str {
    text(path.split('.').fold(value, |value, key| field(value, key)))
}

fn trust(record: &Record<'_>) -> Option<Policy> {
    Policy::read(field(record.request(), "policyDocument"))
}

/// Whom a trust policy lets in. What it says of all but some lets in everybody else.
fn admitted(trust: &Policy) -> impl Iterator<Item = &Principal> {
    trust.allows().flat_map(|statement| statement.principals.iter().chain(&statement.not_principals))
}

/// Whether one who is admitted so is this one: an account stands for all in it, by its number or its root user's ARN.
fn admits(admitted: &str, name: &str) -> bool {
    fn account(text: &str) -> Option<&str> {
        let of_arn = || text.strip_suffix(":root")?.split(':').nth(4);
        let is_number = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Some(text) } else { of_arn() }
    }
    let of_name = account(name).or_else(|| name.split(':').nth(4));
    admitted == "*" || admitted == name || account(admitted).is_some_and(|account| of_name == Some(account))
}
