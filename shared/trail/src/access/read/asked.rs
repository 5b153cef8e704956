//! What was asked and what came back, by call; and what did not come back.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::access::Gap;
use crate::alert::clean;
use crate::shape::field;
use crate::snapshot::{Answer, Cause, Refusal, Reply, Snapshot};

/// What a question is about, by the name of the parameter.
const SUBJECTS: [&str; 5] = ["UserName", "GroupId", "PolicyId", "ChildId", "PermissionSetArn"];

/// Answers by call, and by what was asked about.
#[derive(Default)]
pub(super) struct Answers<'s> {
    by_call: HashMap<&'s str, HashMap<&'s str, Vec<&'s Answer>>>,
}

/// What became of a question.
pub(super) enum Told<'s> {
    /// Answered.
    Body(&'s Value),
    /// There is none of it.
    Nothing,
    /// Not known; a gap says why.
    Unknown,
}

impl<'s> Told<'s> {
    /// The answer.
    pub(super) fn body(self) -> Option<&'s Value> {
        match self {
            Self::Body(body) => Some(body),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

impl<'s> Answers<'s> {
    /// The answers of an account about itself.
    pub(super) fn of_account(snapshot: &'s Snapshot) -> Self {
        let own = |answer: &&Answer| answer.account.is_empty() || answer.account == snapshot.account;
        Self::collect(snapshot.answers.iter().filter(own))
    }

    /// All answers, whoever asked.
    pub(super) fn of_all(snapshots: impl Iterator<Item = &'s Snapshot>) -> Self {
        Self::collect(snapshots.flat_map(|snapshot| &snapshot.answers))
    }

    fn collect(answers: impl Iterator<Item = &'s Answer>) -> Self {
        let mut all = Self::default();
        for answer in answers {
            let subject = SUBJECTS.iter().find_map(|name| answer.parameters.get(*name));
            let subject = subject.map_or("", String::as_str);
            all.by_call.entry(&answer.call).or_default().entry(subject).or_default().push(answer);
        }
        all
    }

    /// All answers to a call, whatever it was asked about.
    pub(super) fn of(&self, call: &str) -> impl Iterator<Item = &'s Answer> {
        self.by_call.get(call).into_iter().flat_map(HashMap::values).flatten().copied()
    }

    /// The answers to a call about a subject.
    pub(super) fn about(&self, call: &str, subject: &str) -> &[&'s Answer] {
        self.by_call.get(call).and_then(|subjects| subjects.get(subject)).map_or(&[], Vec::as_slice)
    }

    /// Whoever answered a call. Where nobody did, the gaps say why.
    pub(super) fn bodies(&self, call: &str, gaps: &mut Gaps) -> Vec<&'s Answer> {
        let all: Vec<&Answer> = self.of(call).collect();
        let answered: Vec<&Answer> = all.iter().copied().filter(|answer| body(answer).is_some()).collect();
        if answered.is_empty() {
            gaps.judge("", call, "", &all);
        }
        answered
    }

    /// The body of a call about a subject. Where several asked, whoever was answered counts.
    pub(super) fn told(&self, call: &str, subject: &str, gaps: &mut Gaps) -> Told<'s> {
        gaps.judge("", call, subject, self.about(call, subject))
    }
}

/// What an answer holds.
pub(super) fn body(answer: &Answer) -> Option<&Value> {
    match &answer.result {
        Reply::Body(body) => Some(body),
        Reply::Refusal(_) => None,
    }
}

/// What could not be seen.
#[derive(Default)]
pub(super) struct Gaps(BTreeSet<Gap>);

impl Gaps {
    /// Adds one.
    pub(super) fn add(&mut self, account: &str, what: impl Into<String>, why: impl Into<String>) {
        self.0.insert(Gap { account: account.to_owned(), what: what.into(), why: why.into() });
    }

    /// An answer that is not of the shape that the API reference gives it.
    pub(super) fn unreadable(&mut self, account: &str, what: impl Into<String>) {
        self.add(account, what, "the answer has an unknown shape: take the snapshot again");
    }

    /// The elements of a member of an answer. Without the member there are none; what is no list is a gap.
    pub(super) fn rows<'s>(&mut self, account: &str, what: &str, body: &'s Value, member: &str) -> Vec<&'s Value> {
        match field(body, member) {
            Value::Array(rows) => rows.iter().collect(),
            Value::Null if body.is_object() => Vec::new(),
            _ => {
                self.unreadable(account, what);
                Vec::new()
            }
        }
    }

    /// The body among the answers to one question; what is missing becomes a gap.
    pub(super) fn judge<'s>(&mut self, account: &str, call: &str, subject: &str, answers: &[&'s Answer]) -> Told<'s> {
        if let Some(body) = answers.iter().find_map(|answer| body(answer)) {
            return Told::Body(body);
        }
        let refusals = || {
            answers.iter().filter_map(|answer| match &answer.result {
                Reply::Refusal(refusal) => Some(refusal),
                Reply::Body(_) => None,
            })
        };
        if refusals().any(is_none) {
            return Told::Nothing;
        }
        let what = if subject.is_empty() { call.to_owned() } else { format!("{call} {subject}") };
        match refusals().next() {
            Some(refusal) => self.add(account, what, why(call, refusal)),
            None => self.add(account, what, "never asked: take the snapshot again, with qtrail review snapshot"),
        }
        Told::Unknown
    }

    /// All of them, in order.
    pub(super) fn into_list(self) -> Vec<Gap> {
        self.0.into_iter().collect()
    }
}

/// Whether a refusal says that there is none: an answer in its own right.
fn is_none(refusal: &Refusal) -> bool {
    refusal.cause == Cause::Absent || refusal.code.contains("NotEnabled") || refusal.code.contains("NotInUse")
}

/// Why there is no answer, and the way out.
pub(super) fn why(call: &str, refusal: &Refusal) -> String {
    let code = clean(&refusal.code);
    let said = match refusal.cause {
        Cause::Denied => format!("not allowed ({code}): allow {call} to the role that asks, as member-role.yaml does"),
        Cause::Throttled => format!("asked too often ({code}): take the snapshot again later"),
        Cause::Unreachable => format!("no answer came ({code}): take the snapshot again"),
        Cause::Disabled => format!("the service or region is not enabled there ({code})"),
        Cause::Late => format!("it was not ready in time ({code}): take the snapshot again in some minutes"),
        Cause::NoRole => {
            format!(
                "the role that asks cannot be taken ({code}): deploy member-role.yaml there, or leave the account \
                 out by the settings"
            )
        }
        Cause::Absent => format!("AWS says that there is none ({code}): the account may be closed"),
        Cause::Unknown => format!("an answer that is not known here ({code}): take the snapshot again"),
    };
    if refusal.message.is_empty() { said } else { format!("{said}; AWS said: {}", clean(&refusal.message)) }
}
