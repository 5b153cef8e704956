//! Policy documents: read in every form that AWS takes, then judged.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::shape::field;

mod glob;
pub(crate) mod pattern;
pub mod power;
mod public;
pub mod trust;

pub use glob::covers;
pub use public::{Audience, Everyone, Home, Rules};

/// A policy document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// Whether it allows; everything else denies.
    pub allow: bool,
    /// `Principal`.
    pub principals: Vec<Principal>,
    /// `NotPrincipal`.
    pub not_principals: Vec<Principal>,
    /// `Action`.
    pub actions: Vec<String>,
    /// `NotAction`.
    pub not_actions: Vec<String>,
    /// `Resource`.
    pub resources: Vec<String>,
    /// `NotResource`.
    pub not_resources: Vec<String>,
    /// `Condition`, one entry for each operator and key.
    pub conditions: Vec<Condition>,
}

/// To whom a statement applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `AWS`, `Service`, `Federated`, `CanonicalUser`; `*` for the bare wildcard.
    pub kind: String,
    /// An ARN, an account id, a service, a provider, `*`.
    pub value: String,
}

/// `{operator: {key: values}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `StringEquals`, `ForAnyValue:StringLike`, `IpAddressIfExists` …
    pub operator: String,
    /// `aws:SourceIp`, as written.
    pub key: String,
    /// What it is compared with.
    pub values: Vec<String>,
}

impl Policy {
    /// Reads a document: an object, JSON text, or percent-encoded JSON text. `None`: it is none of these.
    pub fn read(document: &Value) -> Option<Self> {
        let parsed = match document {
            Value::String(text) => Cow::Owned(from_text(text)?),
            object => Cow::Borrowed(object),
        };
        let statements = match parsed.get("Statement")? {
            Value::Array(statements) => statements.iter().map(statement).collect(),
            lone => vec![statement(lone)],
        };
        Some(Self { statements })
    }

    /// The statements that allow something.
    pub fn allows(&self) -> impl Iterator<Item = &Statement> {
        self.statements.iter().filter(|statement| statement.allow)
    }
}

fn from_text(text: &str) -> Option<Value> {
    let plain = serde_json::from_str(text).ok();
    plain.or_else(|| {
        let decoded = percent_decode_str(text).decode_utf8().ok()?;
        serde_json::from_str(&decoded).ok()
    })
}

fn statement(value: &Value) -> Statement {
    let strings = |key| strings(field(value, key));
    Statement {
        allow: value["Effect"].as_str().is_some_and(|effect| effect.eq_ignore_ascii_case("allow")),
        principals: principals(&value["Principal"]),
        not_principals: principals(&value["NotPrincipal"]),
        actions: strings("Action"),
        not_actions: strings("NotAction"),
        resources: strings("Resource"),
        not_resources: strings("NotResource"),
        conditions: conditions(&value["Condition"]),
    }
}

fn principals(value: &Value) -> Vec<Principal> {
    let of = |kind: &str, value| {
        let with_kind = move |value| Principal { kind: kind.to_owned(), value };
        strings(value).into_iter().map(with_kind).collect::<Vec<_>>()
    };
    match value {
        Value::Object(map) => map.iter().flat_map(|(kind, value)| of(kind, value)).collect(),
        other => of("*", other),
    }
}

fn conditions(value: &Value) -> Vec<Condition> {
    let Value::Object(operators) = value else { return Vec::new() };
    let each = |(operator, keys): (&String, &Value)| {
        let operator = operator.clone();
        let keys = keys.as_object().cloned().unwrap_or_default();
        keys.into_iter().map(move |(key, values)| Condition {
            operator: operator.clone(),
            key,
            values: strings(&values),
        })
    };
    operators.iter().flat_map(each).collect()
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().map(string).collect(),
        lone => vec![string(lone)],
    }
}

fn string(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
