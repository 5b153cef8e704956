//! How a review stands: a fold over its population and its log.

use std::collections::BTreeMap;

use serde::Serialize;

use super::decision::{Act, By, Decision, Entry, Verb};
use super::effect::{Known, LONGEST_SESSION, Open, Plan};
use super::period;
use super::population::{Population, Subject};
use crate::settings::Review;
use crate::time::Time;

#[cfg(test)]
mod tests;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// How a review stands at a time.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// Until when all has to be decided; none before it is opened.
    pub due: Option<Time>,
    /// By whom it was signed off, and when.
    pub signed_off: Option<(Time, Option<By>)>,
    /// What is stated with that.
    pub statement: String,
    /// Exceptions: subject, reason, who outside approved it.
    pub exceptions: Vec<Exception>,
    /// Numbers.
    pub progress: Progress,
    #[serde(skip)]
    lines: BTreeMap<u32, (Subject, Line)>,
    #[serde(skip)]
    numbers: BTreeMap<String, u32>,
}

/// An exception, printed with the review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// The subject's id; empty for the whole review.
    pub subject: String,
    /// What is excepted, and why.
    pub reason: String,
    /// Who outside approved it.
    pub approver: String,
}

/// How one subject stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// How far it is.
    pub stage: Stage,
    /// What is decided, or proposed where nothing is.
    pub decision: Option<Decision>,
    /// Who decided, as it was proven.
    pub decided_by: Option<By>,
    /// When.
    pub decided_at: Option<Time>,
    /// What became of what was to be removed.
    pub remedy: Remedy,
    /// Until when it has to be gone.
    pub due: Option<Time>,
    /// When the last of it went, as records show.
    pub removed_at: Option<Time>,
    /// Until when sessions that were issued before may still be in use.
    pub residual_until: Option<Time>,
    /// What is still there, of what has to go.
    pub left: Vec<String>,
    /// Whether it went later than it was due.
    pub late: bool,
    /// How it came back.
    pub back: String,
}

/// How far a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing is decided.
    Undecided,
    /// Somebody's file proposes something.
    Proposed,
    /// It is decided.
    Decided,
    /// It was gone before anybody decided: a later snapshot lacks it.
    Gone,
}

/// What became of what was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Nothing is to be removed.
    None,
    /// It has to go, and is there for all that is known.
    Open,
    /// Records show that it was removed.
    SeenInLog,
    /// A later snapshot lacks it.
    ConfirmedAbsent,
    /// It should be gone.
    Overdue,
    /// It was gone and is there again.
    Reappeared,
}

/// How far the review is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Subjects, those that joined among them.
    pub subjects: usize,
    /// By stage.
    pub stages: BTreeMap<Stage, usize>,
    /// Decisions by what was decided.
    pub verbs: BTreeMap<Verb, usize>,
    /// Removals by what became of them.
    pub remedies: BTreeMap<Remedy, usize>,
}

/// Whether a review is in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cycle {
    /// There is time left.
    Running,
    /// It was signed off in time.
    InTime,
    /// It is over time: not yet, or too late signed off.
    Late,
    /// There was none.
    Missed,
}

/// What the fold takes besides population and log.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// How access is reviewed.
    pub settings: &'a Review,
    /// Names that stand in records and not in a population.
    pub known: &'a Known,
    /// The time.
    pub now: Time,
}

impl Standing {
    /// How the review stands. Entries count by their numbers, in whatever order they come.
    pub fn of(population: &Population, log: &[Entry], at: At<'_>) -> Self {
        let mut log: Vec<&Entry> = log.iter().collect();
        log.sort_by_key(|entry| entry.number);
        let mut histories: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &log {
            if let Some(subject) = entry.act.subject() {
                histories.entry(subject).or_default().push(entry);
            }
        }
        let joined = log.iter().filter_map(|entry| match &entry.act {
            Act::Joined { subject } => Some(&**subject),
            _ => None,
        });
        let subjects = population.subjects.iter().chain(joined);
        let line = |subject: &Subject| {
            let history = histories.get(subject.id.as_str()).map_or(&[][..], Vec::as_slice);
            (subject.number, (subject.clone(), Line::of(subject, history, (population.taken, at))))
        };
        let lines: BTreeMap<u32, (Subject, Line)> = subjects.map(line).collect();
        let numbers = lines.iter().map(|(number, (subject, _))| (subject.id.clone(), *number)).collect();
        let mut standing = Self { lines, numbers, ..Self::of_whole(&log) };
        standing.progress = Progress::of(standing.lines.values().map(|(_, line)| line));
        standing
    }

    /// What concerns the review as a whole.
    fn of_whole(log: &[&Entry]) -> Self {
        let mut whole = Self {
            due: None,
            signed_off: None,
            statement: String::new(),
            exceptions: Vec::new(),
            progress: Progress::default(),
            lines: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        for entry in log {
            match &entry.act {
                Act::Opened { due, .. } => whole.due = Some(*due),
                Act::SignedOff { statement } => {
                    whole.signed_off = Some((entry.at, entry.by.clone()));
                    whole.statement.clone_from(statement);
                }
                Act::Excepted { subject, reason, approver } => {
                    let (subject, reason, approver) = (subject.clone(), reason.clone(), approver.clone());
                    whole.exceptions.push(Exception { subject, reason, approver });
                }
                _ => {}
            }
        }
        whole
    }

    /// Subjects by number, with how they stand.
    pub fn subjects(&self) -> impl Iterator<Item = (&Subject, &Line)> {
        self.lines.values().map(|(subject, line)| (subject, line))
    }

    /// How a subject stands.
    pub fn of_subject(&self, id: &str) -> Option<(&Subject, &Line)> {
        let number = self.numbers.get(id)?;
        self.lines.get(number).map(|(subject, line)| (subject, line))
    }

    /// How a subject stands, by id.
    pub fn line(&self, id: &str) -> Option<&Line> {
        self.of_subject(id).map(|(_, line)| line)
    }

    /// What has to happen before it can be signed off; empty: nothing.
    pub fn missing(&self) -> Vec<String> {
        let count = |stage| self.progress.stages.get(&stage).copied().unwrap_or_default();
        let told = |stage: Stage, what: &str| match count(stage) {
            0 => None,
            count => {
                let of_stage = self.subjects().filter(|(_, line)| line.stage == stage);
                let first: Vec<String> = of_stage.take(3).map(|(subject, _)| subject.number.to_string()).collect();
                let more = if count > first.len() { ", …" } else { "" };
                Some(format!("{count} subjects {what} (no. {}{more})", first.join(", ")))
            }
        };
        let not_opened = self.due.is_none().then(|| "it was never opened".to_owned());
        let undecided = told(Stage::Undecided, "are not decided");
        let proposed = told(Stage::Proposed, "are proposed and wait for their reviewer");
        [not_opened, undecided, proposed].into_iter().flatten().collect()
    }

    /// Whether it can be signed off, as far as decisions go.
    pub fn is_ready(&self) -> bool {
        self.signed_off.is_none() && self.missing().is_empty()
    }

    /// Whether it is in time.
    pub fn cycle(&self, now: Time) -> Cycle {
        match (self.due, &self.signed_off) {
            (None, _) => Cycle::Missed,
            (Some(due), Some((at, _))) if *at <= due => Cycle::InTime,
            (Some(due), None) if now <= due => Cycle::Running,
            _ => Cycle::Late,
        }
    }

    /// What records have to be watched for: every decision that takes something away.
    pub fn open(&self, review: &str, (population, known): (&Population, &Known)) -> Vec<Open> {
        let watched = self.subjects().filter_map(|(subject, line)| {
            let decision = line.decision.as_ref().filter(|_| line.stage == Stage::Decided)?;
            Some(Open {
                review: review.to_owned(),
                number: subject.number,
                plan: Plan::of(subject, decision, known)?,
                since: population.taken,
                decided: line.decided_at?,
                gone: line.removed_at,
            })
        });
        watched.collect()
    }
}

/// What a log says of a plan: a fold over the entries about its subject, in whatever order they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// What is still there, of what has to go.
    pub left: Vec<String>,
    /// When the last of it went, where records show that all of it did.
    pub in_log: Option<Time>,
    /// Since when a snapshot lacks it.
    pub absent: Option<Time>,
    /// How it came back.
    pub back: Option<String>,
}

impl Trace {
    /// What these entries say of the plan's subject; entries about others are passed over.
    pub fn of<'e>(plan: &Plan, log: impl IntoIterator<Item = &'e Entry>) -> Self {
        let none = vec![None; plan.needs.len()];
        let (mut went, mut absent, mut back) = (none.clone(), None, None);
        // What has gone since it came back: all of it has to go anew, since what came back may be another thing.
        let mut anew: Vec<Option<Time>> = none.clone();
        let history = log.into_iter().filter(|entry| entry.act.subject() == Some(&plan.subject));
        for (time, event) in events(history) {
            match event {
                Event::Carried(label) if back.is_some() => {
                    plan.meet(label, time, &mut anew);
                    if anew.iter().all(Option::is_some) {
                        (went, back) = (anew.clone(), None);
                    }
                }
                Event::Carried(label) => plan.meet(label, time, &mut went),
                Event::Absent => {
                    if back.take().is_some() {
                        went.clone_from(&anew);
                    }
                    absent = Some(time);
                }
                // Nothing is given back before something is gone.
                Event::Back { why } if absent.is_some() || went.iter().any(Option::is_some) => {
                    (absent, back) = (None, Some(why.to_owned()));
                    anew.clone_from(&none);
                }
                Event::Back { .. } => {}
            }
        }
        let in_log = went.iter().copied().max().flatten().filter(|_| went.iter().all(Option::is_some));
        let left = plan.needs.iter().zip(&went).filter(|(_, went)| went.is_none() && absent.is_none());
        Self { left: left.map(|(need, _)| need.what.clone()).collect(), in_log, absent, back }
    }

    /// When the last of it went.
    pub fn gone(&self) -> Option<Time> {
        self.in_log.or(self.absent)
    }
}

impl Plan {
    /// Notes which needs a call meets that were not met before.
    fn meet(&self, label: &str, time: Time, went: &mut [Option<Time>]) {
        // Of several that nobody can tell apart, as root's keys without their ids, one goes with each call.
        let mut met: Vec<&str> = Vec::new();
        for (need, went) in self.needs.iter().zip(went) {
            let is_met = went.is_none() && need.by.iter().any(|call| call.label() == label);
            if is_met && !met.contains(&&*need.what) {
                met.push(&need.what);
                *went = Some(time);
            }
        }
    }
}

/// What happened to what is to be removed, in the order of the records.
#[derive(Debug, Clone, Copy)]
enum Event<'e> {
    Carried(&'e str),
    Absent,
    Back { why: &'e str },
}

impl Line {
    fn of(subject: &Subject, history: &[&Entry], (taken, at): (Time, At<'_>)) -> Self {
        let decided = history.iter().rev().find_map(|entry| match &entry.act {
            Act::Decided { decision, .. } => Some((entry, decision)),
            _ => None,
        });
        let line = Self::undecided(history);
        let Some((entry, decision)) = decided else { return line };
        let line = Self {
            stage: Stage::Decided,
            decision: Some(decision.clone()),
            decided_by: entry.by.clone(),
            decided_at: Some(entry.at),
            ..line
        };
        match Plan::of(subject, decision, at.known) {
            None => line,
            // What was decided first sets the day: deciding again does not move it.
            Some(plan) => {
                line.remedied(&plan, history, (due(subject, first_removal(history, entry.at), taken, at), at))
            }
        }
    }

    /// A subject that nothing is decided about.
    fn undecided(history: &[&Entry]) -> Self {
        let proposed = history.iter().rev().find_map(|entry| match &entry.act {
            Act::Proposed { decision, .. } => Some(decision.clone()),
            _ => None,
        });
        let last = history.iter().rev().find_map(|entry| match entry.act {
            Act::Absent { .. } => Some(Stage::Gone),
            Act::Reappeared { .. } => Some(Stage::Undecided),
            _ => None,
        });
        let stage = match last {
            Some(Stage::Gone) => Stage::Gone,
            _ if proposed.is_some() => Stage::Proposed,
            _ => Stage::Undecided,
        };
        Self {
            stage,
            decision: proposed,
            decided_by: None,
            decided_at: None,
            remedy: Remedy::None,
            due: None,
            removed_at: None,
            residual_until: None,
            left: Vec::new(),
            late: false,
            back: String::new(),
        }
    }

    /// What became of the plan.
    fn remedied(self, plan: &Plan, history: &[&Entry], (due, at): (Time, At<'_>)) -> Self {
        let trace = Trace::of(plan, history.iter().copied());
        let gone = trace.gone();
        let remedy = match (&trace.back, trace.absent, trace.in_log) {
            (Some(_), _, _) => Remedy::Reappeared,
            (None, Some(_), _) => Remedy::ConfirmedAbsent,
            (None, None, Some(_)) => Remedy::SeenInLog,
            _ if at.now > due => Remedy::Overdue,
            _ => Remedy::Open,
        };
        Self {
            remedy,
            due: Some(due),
            removed_at: gone,
            residual_until: gone.map(|gone| Time(gone.0 + LONGEST_SESSION)).filter(|_| !plan.actors.is_empty()),
            left: trace.left,
            late: gone.unwrap_or(at.now) > due,
            back: trace.back.unwrap_or_default(),
            ..self
        }
    }

    /// Whether sessions that were issued before the removal may still be in use.
    pub fn is_residual(&self, now: Time) -> bool {
        self.remedy != Remedy::Reappeared && self.residual_until.is_some_and(|until| now < until)
    }
}

/// What happened, by the time at which it did: records are told of in any order.
fn events<'e>(history: impl Iterator<Item = &'e Entry>) -> Vec<(Time, Event<'e>)> {
    let mut events: Vec<(Time, u8, Event<'e>)> = history
        .filter_map(|entry| match &entry.act {
            Act::Carried { effect, record, .. } => Some((record.time, 0, Event::Carried(effect))),
            Act::Absent { .. } => Some((entry.at, 1, Event::Absent)),
            Act::Reappeared { why, record, .. } => {
                Some((record.as_ref().map_or(entry.at, |record| record.time), 2, Event::Back { why }))
            }
            _ => None,
        })
        .collect();
    events.sort_by_key(|(time, rank, _)| (*time, *rank));
    events.into_iter().map(|(time, _, event)| (time, event)).collect()
}

/// When it was first decided that something goes, of the decisions in a row that say so.
fn first_removal(history: &[&Entry], last: Time) -> Time {
    let removals = history.iter().rev().filter_map(|entry| match &entry.act {
        Act::Decided { decision, .. } => Some((entry.at, decision.verb)),
        _ => None,
    });
    removals.take_while(|(_, verb)| *verb != Verb::Keep).last().map_or(last, |(at, _)| at)
}

/// Until when it has to be gone.
fn due(subject: &Subject, decided: Time, taken: Time, at: At<'_>) -> Time {
    let left = |person: &super::population::Person| {
        !person.active || person.end.is_some_and(|end| end.0 + DAY <= decided.max(taken).0)
    };
    let urgent = subject.privileged || subject.person.as_ref().is_some_and(left);
    let days = if urgent { at.settings.urgent_days } else { at.settings.revocation_days };
    period::due(decided, days)
}

impl Progress {
    fn of<'l>(lines: impl Iterator<Item = &'l Line>) -> Self {
        let mut progress = Self::default();
        for line in lines {
            progress.subjects += 1;
            *progress.stages.entry(line.stage).or_default() += 1;
            if let Some(decision) = line.decision.as_ref().filter(|_| line.stage == Stage::Decided) {
                *progress.verbs.entry(decision.verb).or_default() += 1;
            }
            if line.remedy != Remedy::None {
                *progress.remedies.entry(line.remedy).or_default() += 1;
            }
        }
        progress
    }

    /// How many are decided, or gone before.
    pub fn done(&self) -> usize {
        [Stage::Decided, Stage::Gone].iter().filter_map(|stage| self.stages.get(stage)).sum()
    }
}
