//! All that is waited for, looked up by what a record is of.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::facts::Facts;
use crate::record::{Outcome, Record};
use crate::review::usage::{ActorKey, RecordId};
use crate::shape::{at, text};
use crate::time::Time;

/// How long IAM may take until a removed key or session is refused everywhere, in seconds.
const SETTLING: i64 = 300;

/// The longest session that a role hands out, in seconds.
pub const LONGEST_SESSION: i64 = 12 * 3600;

/// A plan that is watched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The review's id.
    pub review: String,
    /// The subject's number, as the log has it.
    pub number: u32,
    /// The plan.
    pub plan: Plan,
    /// Nothing before this carries it out: when the population was taken.
    pub since: Time,
    /// When it was decided.
    pub decided: Time,
    /// When the last of it went, as records show; none while something is left.
    pub gone: Option<Time>,
}

/// What a record is to a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The review's id.
    pub review: String,
    /// The subject's id.
    pub subject: String,
    /// The subject's number.
    pub number: u32,
    /// What it shows.
    pub what: Seen,
    /// The record.
    pub record: RecordId,
    /// Who made the call.
    pub actor: String,
}

/// What a record shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It carries a part of the plan out: the call's label.
    Carried(String),
    /// It gives back what the plan takes, or the subject acts with newer credentials: how that is known. Whether that
    /// undoes anything depends on what was gone by then: records come in any order, and the standing says.
    Back(String),
    /// The subject acted while something of it was left, with credentials issued at this time: what that was counts
    /// once it is known that all was gone by then.
    Acted(String, Time),
}

/// Everything that is waited for.
#[derive(Debug, Default)]
pub struct Watch {
    open: Vec<Open>,
    /// Plans by the name of a call, with whether it gives back.
    calls: HashMap<String, Vec<usize>>,
    /// Plans that are carried out, by the ARN that the subject acts as.
    actors: HashMap<String, Vec<usize>>,
}

impl Watch {
    /// A watch for these.
    pub fn over(open: Vec<Open>) -> Self {
        let (mut calls, mut actors): (HashMap<String, Vec<usize>>, HashMap<String, Vec<usize>>) = Default::default();
        for (index, one) in open.iter().enumerate() {
            for call in one.plan.calls().chain(&one.plan.back) {
                let known = calls.entry(call.name.clone()).or_default();
                if known.last() != Some(&index) {
                    known.push(index);
                }
            }
            // Also before all is gone: within one delivery the last removal and a later use may come together.
            for actor in &one.plan.actors {
                actors.entry(arn_of(actor)).or_default().push(index);
            }
        }
        Self { open, calls, actors }
    }

    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What is waited for.
    pub fn open(&self) -> &[Open] {
        &self.open
    }

    /// Whether the record could be one of those: two lookups, and nothing is read.
    pub fn wants(&self, record: &Record<'_>, facts: &Facts<'_>) -> bool {
        !self.open.is_empty() && (self.calls.contains_key(&*record.name) || !self.acting(facts).is_empty())
    }

    /// What the record shows of all that is waited for.
    pub fn see(&self, record: &Record<'_>, facts: &Facts<'_>) -> Vec<Sighting> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let called = self.calls.get(&*record.name).into_iter().flatten();
        let called = called.filter_map(|&index| self.call(index, (record, facts)));
        let acted = self.acting(facts).iter().filter_map(|&index| self.act(index, (record, facts)));
        called.chain(acted).collect()
    }

    fn acting(&self, facts: &Facts<'_>) -> &[usize] {
        let arn = if facts.issuer_arn.is_empty() { &facts.actor_arn } else { &facts.issuer_arn };
        self.actors.get(&**arn).map_or(&[], Vec::as_slice)
    }

    fn call(&self, index: usize, seen: (&Record<'_>, &Facts<'_>)) -> Option<Sighting> {
        let (record, facts) = seen;
        let open = self.open.get(index).filter(|open| facts.event_time >= open.since)?;
        if let Some(call) = open.plan.calls().find(|call| call.is_in(record)) {
            return Some(open.sighting(Seen::Carried(call.label()), facts));
        }
        // Also before the decision, of which records come late: what was removed by then counts as removed, too.
        let back = open.plan.back.iter().find(|call| call.is_in(record))?;
        Some(open.sighting(Seen::Back(back.label()), facts))
    }

    /// A success of the subject's own.
    fn act(&self, index: usize, (record, facts): (&Record<'_>, &Facts<'_>)) -> Option<Sighting> {
        let open = self.open.get(index).filter(|open| facts.event_time >= open.since)?;
        if facts.by_service || !open.plan.actors.iter().any(|actor| is(actor, facts)) {
            return None;
        }
        record.load().ok()?;
        if record.outcome() != Outcome::Success {
            return None;
        }
        let context = at(record.user_identity(), &["sessionContext", "attributes", "creationDate"]);
        let issued = Time::parse(text(context)).unwrap_or(facts.event_time);
        let acted = open.sighting(Seen::Acted(record.name.to_string(), issued), facts);
        if open.gone.is_some() { acted.back(open) } else { Some(acted) }
    }
}

impl Sighting {
    /// What the subject's own act is once all was gone: a return, if the credentials were issued after that.
    pub fn back(self, open: &Open) -> Option<Self> {
        let Seen::Acted(name, issued) = &self.what else { return Some(self) };
        let gone = open.gone.filter(|gone| self.record.time.0 > gone.0 + SETTLING)?;
        let residual = issued.0 <= gone.0 + SETTLING && self.record.time.0 <= gone.0 + LONGEST_SESSION;
        let why = format!("{name} by credentials issued at {issued}, after the access was removed");
        (!residual).then_some(Self { what: Seen::Back(why), ..self })
    }
}

impl Open {
    fn sighting(&self, what: Seen, facts: &Facts<'_>) -> Sighting {
        let record =
            RecordId { account: facts.account.to_string(), id: facts.event_id.to_string(), time: facts.event_time };
        let actor = if facts.actor_arn.is_empty() { &facts.actor_name } else { &facts.actor_arn };
        let (review, subject) = (self.review.clone(), self.plan.subject.clone());
        Sighting { review, subject, number: self.number, what, record, actor: actor.to_string() }
    }
}

fn arn_of(actor: &ActorKey) -> String {
    match actor {
        ActorKey::Root(account) => format!("arn:aws:iam::{account}:root"),
        ActorKey::User(arn) | ActorKey::Role(arn) => arn.clone(),
        ActorKey::Session { role, .. } => role.clone(),
    }
}

fn is(actor: &ActorKey, facts: &Facts<'_>) -> bool {
    match actor {
        ActorKey::Session { name, .. } => {
            facts.actor_arn.rsplit('/').next().is_some_and(|session| session.eq_ignore_ascii_case(name))
        }
        _ => true,
    }
}
