//! The credential report: passwords, second factors and when keys were used.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::asked::{Gaps, why};
use crate::access::{Key, Password};
use crate::shape::{boolean, field, text};
use crate::snapshot::{Answer, Refusal, Reply};
use crate::time::Time;

const CALL: &str = "iam:GetCredentialReport";

/// The report's name for the root user.
pub(super) const ROOT: &str = "<root_account>";

/// The rows by user name.
#[derive(Default)]
pub(super) struct Report {
    rows: HashMap<String, Row>,
}

/// A line of the report.
#[derive(Default)]
pub(super) struct Row {
    values: HashMap<String, String>,
}

impl Report {
    /// Reads the report among the answers to its call. What is missing becomes a gap.
    pub(super) fn read(account: &str, answers: &[&Answer], gaps: &mut Gaps) -> Self {
        let body = answers.iter().find_map(|answer| super::asked::body(answer));
        let refusal = answers.iter().find_map(|answer| match &answer.result {
            Reply::Refusal(refusal) => Some(refusal),
            Reply::Body(_) => None,
        });
        match (body, refusal) {
            (Some(body), _) => Self::decode(account, body, gaps),
            (None, Some(refusal)) => {
                gaps.add(account, CALL, late(refusal).unwrap_or_else(|| why(CALL, refusal)));
                Self::default()
            }
            (None, None) => {
                gaps.judge(account, CALL, "", &[]);
                Self::default()
            }
        }
    }

    fn decode(account: &str, body: &Value, gaps: &mut Gaps) -> Self {
        let content: String = text(field(body, "Content")).split_whitespace().collect();
        let decoded = STANDARD.decode(content).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let mut lines = decoded.as_deref().unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
        let columns = lines.next().map(cells).unwrap_or_default();
        if !columns.iter().any(|name| name == "user") {
            gaps.unreadable(account, CALL);
            return Self::default();
        }
        let mut report = Self::default();
        for (number, line) in lines.enumerate() {
            let cells = cells(line);
            if cells.len() == columns.len() {
                let row = Row { values: columns.iter().cloned().zip(cells).collect() };
                report.rows.insert(row.text("user").to_owned(), row);
            } else {
                let what = format!("{CALL} row {}", number + 1);
                gaps.add(
                    account,
                    what,
                    "the row has not as many cells as the heading: one user's credentials are unknown",
                );
            }
        }
        report
    }

    /// The row of a user.
    pub(super) fn of(&self, user: &str) -> Option<&Row> {
        self.rows.get(user)
    }

    /// All users, the root user aside.
    pub(super) fn users(&self) -> impl Iterator<Item = (&str, &Row)> {
        let users = self.rows.iter().filter(|(name, _)| *name != ROOT);
        users.map(|(name, row)| (name.as_str(), row))
    }
}

impl Row {
    /// A cell; empty where there is none.
    pub(super) fn text(&self, column: &str) -> &str {
        self.values.get(column).map_or("", String::as_str)
    }

    /// A time, unless the report has none.
    pub(super) fn time(&self, column: &str) -> Option<Time> {
        Time::parse(self.text(column))
    }

    /// Yes or no, unless the report has neither.
    pub(super) fn flag(&self, column: &str) -> Option<bool> {
        boolean(&Value::from(self.text(column)))
    }

    /// The console password. The report does not say of every root user whether there is one: then there is.
    pub(super) fn password(&self) -> Option<Password> {
        let is_root = self.text("user") == ROOT;
        let enabled = self.flag("password_enabled").unwrap_or(is_root);
        enabled.then(|| Password {
            last_used: self.time("password_last_used"),
            changed: self.time("password_last_changed"),
        })
    }

    /// The access keys. Their ids are not in the report.
    pub(super) fn keys(&self) -> Vec<Key> {
        let slots = ["access_key_1", "access_key_2"].into_iter().filter_map(|slot| {
            let column = |what: &str| format!("{slot}_{what}");
            let active = self.flag(&column("active")) == Some(true);
            let created = self.time(&column("last_rotated"));
            let last_used = self.time(&column("last_used_date"));
            (active || created.is_some()).then_some(Key { id: String::new(), active, created, last_used })
        });
        slots.collect()
    }
}

/// Why a report is not there yet, or no longer.
fn late(refusal: &Refusal) -> Option<String> {
    let is = |word: &str| refusal.code.contains(word);
    let said = match () {
        () if is("InProgress") || is("NotReady") => {
            "AWS was still making the credential report, which takes minutes in a large account: take the snapshot again"
        }
        () if is("NotPresent") => {
            "no credential report was ever made: allow iam:GenerateCredentialReport to the role that asks, then take the \
             snapshot again"
        }
        () if is("Expired") => {
            "the credential report is older than four hours: allow iam:GenerateCredentialReport to the role that asks, \
             then take the snapshot again"
        }
        () => return None,
    };
    Some(format!("{said}. Passwords, second factors and the last use of keys are unknown"))
}

/// The cells of a line; quotes hold commas together, two quotes are one.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let mut is_quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    cells.push(cell);
    cells
}
