//! Who may decide what, and when a review may be signed off. Each refusal says why and what to do instead.

use super::decision::{Act, By, Decision, Entry, Verb};
use super::population::{Grant, GrantKind, Population, Provisioner, Subject, SubjectKind};
use super::standing::Standing;
use crate::settings::{Review, glob};
use crate::time::Time;

mod identity;

#[cfg(test)]
mod tests;

use identity::Identity;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Finds a person by any of their names: of an IAM user, an ARN, an email address.
pub trait Persons {
    /// The person's id.
    fn person(&self, name: &str) -> Option<String>;
}

/// Nobody is known: there is no people's list.
impl Persons for () {
    fn person(&self, _name: &str) -> Option<String> {
        None
    }
}

/// What decisions are checked against.
#[derive(Debug)]
pub struct Rules<'r, P> {
    /// All that has access.
    pub population: &'r Population,
    /// What happened to the review so far.
    pub log: &'r [Entry],
    /// How access is reviewed.
    pub settings: &'r Review,
    /// The people.
    pub persons: &'r P,
    /// Whether this is a folder on somebody's own machine. There, that machine's user may decide.
    pub local: bool,
}

/// Why somebody may not do that, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Who decides is not proven.
    #[error("{who} is known by this machine alone, which proves nothing here: {OUT_SIGNED}")]
    NotProven {
        /// The name.
        who: String,
    },
    /// The identity is of no person that the people's list knows.
    #[error("{arn} is nobody on the people's list: add it to the aliases of its person in people.csv")]
    NotAPerson {
        /// The ARN or the token's subject.
        arn: String,
    },
    /// The review has no such subject.
    #[error("the review has no subject `{0}`: `qtrail review subjects` lists them by number and id")]
    NoSubject(String),
    /// It is no longer there.
    #[error("{0} is no longer there, as a later snapshot shows: there is nothing to decide, and it counts as removed")]
    Gone(String),
    /// The review is closed.
    #[error("the review was signed off at {0}: what changes now belongs into the next one, or into one opened for it")]
    SignedOff(Time),
    /// It is one's own access.
    #[error(
        "{subject} is {who}'s own access ({how}): {reviewer} decides about it, or an approver. Where there is nobody else, \
         somebody outside has to agree first: `qtrail review except REVIEW {subject} --reason WHY --approver WHO`"
    )]
    Own {
        /// The subject's id.
        subject: String,
        /// Who wanted to decide.
        who: String,
        /// How it is known that it is the same one.
        how: &'static str,
        /// Who is to decide.
        reviewer: String,
    },
    /// One has given the access.
    #[error("{who} gave this access to {subject} (record {record}): somebody else has to decide, an approver for one")]
    Granted {
        /// The subject's id.
        subject: String,
        /// Who wanted to decide.
        who: String,
        /// The record of it.
        record: String,
    },
    /// Somebody else is the reviewer.
    #[error("{reviewer} decides about {subject}, not {who}; an approver may (review.approvers of the settings)")]
    NotReviewer {
        /// The subject's id.
        subject: String,
        /// Who wanted to decide.
        who: String,
        /// Who is to decide.
        reviewer: String,
    },
    /// A justification is missing.
    #[error("{subject} is {why}: say in a justification what this access is needed for, or revoke it")]
    Unjustified {
        /// The subject's id.
        subject: String,
        /// `privileged`, `unused`.
        why: String,
    },
    /// The decision makes no sense for the subject.
    #[error("{subject}: {problem}")]
    Decision {
        /// The subject's id.
        subject: String,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// There is no proposal to confirm.
    #[error("nothing is proposed for {0}: decide yourself, or have the sheet brought back first")]
    NoProposal(String),
    /// Another proposal has come since.
    #[error("another proposal about {0} has come since: look at it, and confirm that one or decide yourself")]
    Replaced(String),
    /// An exception lacks what makes it one.
    #[error("{0}")]
    Exception(String),
    /// Not an approver.
    #[error("{0} may not sign off: review.approvers of the settings names who may")]
    NotApprover(String),
    /// Who signs off has decided himself.
    #[error(
        "{who} decided about privileged access alone ({}): another approver signs off, or decides about these",
        subjects.join(", ")
    )]
    SoleJudge {
        /// Who wanted to sign off.
        who: String,
        /// The subjects, the first few.
        subjects: Vec<String>,
    },
    /// Something is not decided.
    #[error("the review cannot be signed off yet: {}", missing.join("; "))]
    Unfinished {
        /// What is missing.
        missing: Vec<String>,
    },
    /// A partial population is not acknowledged.
    #[error(
        "the population is partial ({gaps} gaps, the first: {first}): mend that and take it anew, or acknowledge it, and \
         the statement will say so"
    )]
    Partial {
        /// How many.
        gaps: usize,
        /// The first of them.
        first: String,
    },
}

const OUT_SIGNED: &str = "sign in to AWS and decide through `qtrail view --function` or the page";

/// Whether somebody else gave the access than decided about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segregation {
    /// It was somebody else, as the log shows.
    Separate,
    /// A pipeline gave it, or no record of it is there: nobody can say.
    ProvisionerUnknown,
    /// It was the same.
    Same,
}

impl Segregation {
    /// For people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Separate => "not the provisioner",
            Self::ProvisionerUnknown => "provisioner unknown",
            Self::Same => "decided by the provisioner",
        }
    }
}

impl<P: Persons> Rules<'_, P> {
    /// Whether this one may decide this.
    pub fn decide(&self, by: &By, subject: &str, decision: &Decision) -> Result<(), Refusal> {
        self.proven(by)?;
        let subject = self.open_subject(subject)?;
        self.entitled(by, subject)?;
        self.sensible(subject, decision)
    }

    /// The decision that somebody confirms who may decide it: what is proposed last and not yet decided. `shown` is the
    /// entry that he has seen: another one may have come since.
    pub fn confirm(&self, by: &By, (subject, shown): (&str, Option<u64>)) -> Result<Decision, Refusal> {
        let (number, proposed) = self.proposed(subject).ok_or_else(|| Refusal::NoProposal(subject.to_owned()))?;
        if shown.is_some_and(|shown| shown != number) {
            return Err(Refusal::Replaced(subject.to_owned()));
        }
        self.decide(by, subject, proposed)?;
        Ok(proposed.clone())
    }

    /// Whether this can be proposed: by anybody who is proven, since it counts for nothing until it is confirmed.
    pub fn propose(&self, by: &By, subject: &str, decision: &Decision) -> Result<(), Refusal> {
        self.proven(by)?;
        let subject = self.open_subject(subject)?;
        fits(subject, decision)
    }

    /// Whether this one may note an exception: whoever is to decide, or an approver; and the one outside who approves is
    /// neither.
    pub fn except(&self, by: &By, (subject, reason, approver): (&str, &str, &str)) -> Result<(), Refusal> {
        self.proven(by)?;
        self.not_closed()?;
        if reason.trim().is_empty() || approver.trim().is_empty() {
            let what = "an exception needs a reason, and who outside has approved it: both are printed with the review";
            return Err(Refusal::Exception(what.to_owned()));
        }
        if self.identity(by).is_named(approver, self.persons) {
            let what = format!("{approver} cannot approve an exception of {}: somebody outside has to", by.who);
            return Err(Refusal::Exception(what));
        }
        if subject.is_empty() {
            return if self.approves(by) { Ok(()) } else { Err(Refusal::NotApprover(by.who.clone())) };
        }
        let subject = self.open_subject(subject)?;
        if subject.person.as_ref().is_some_and(|person| self.is_person(approver, &person.id)) {
            let what = format!("{approver} cannot approve an exception about himself: somebody outside has to");
            return Err(Refusal::Exception(what));
        }
        match self.own(by, subject) {
            Some(how) if !self.is_alone(by, subject) => {
                let (subject, who, reviewer) = (subject.id.clone(), by.who.clone(), reviewer_of(subject));
                Err(Refusal::Own { subject, who, how, reviewer })
            }
            Some(_) => Ok(()),
            None if self.approves(by) || self.reviews(by, subject) => Ok(()),
            None => Err(not_reviewer(by, subject)),
        }
    }

    /// Whether nobody but this one could decide: he approves, and nobody else does, nor is anybody else the reviewer.
    fn is_alone(&self, by: &By, subject: &Subject) -> bool {
        let is_one = |pattern: &str| !pattern.rsplit('/').next().unwrap_or_default().contains('*');
        let own = |pattern: &String| {
            is_one(pattern) && glob(pattern, &by.arn) || self.local && !by.who.is_empty() && *pattern == by.who
        };
        let approves = !self.settings.approvers.is_empty() && self.settings.approvers.iter().all(own);
        approves && (subject.reviewer.is_empty() || self.reviews(by, subject))
    }

    fn is_person(&self, name: &str, person: &str) -> bool {
        name == person || self.persons.person(name).as_deref() == Some(person)
    }

    /// The statement that is signed, if this one may sign it now. Gaps of the population have to be acknowledged, and
    /// stand in it then.
    pub fn sign_off(&self, by: &By, statement: &str, standing: (&Standing, bool)) -> Result<String, Refusal> {
        let (standing, acknowledged) = standing;
        self.proven(by)?;
        self.not_closed()?;
        if !self.approves(by) {
            return Err(Refusal::NotApprover(by.who.clone()));
        }
        let missing = standing.missing();
        if !missing.is_empty() {
            return Err(Refusal::Unfinished { missing });
        }
        let subjects = self.judged_alone(by, standing);
        if !subjects.is_empty() {
            return Err(Refusal::SoleJudge { who: by.who.clone(), subjects });
        }
        let Some(first) = self.population.gaps.first() else { return Ok(statement.trim().to_owned()) };
        let gaps = self.population.gaps.len();
        let first = format!("{} {}: {}", first.account, first.what, first.why).trim_start().to_owned();
        if !acknowledged {
            return Err(Refusal::Partial { gaps, first });
        }
        let partial =
            format!("The population is partial, which is known to who signs: gaps: {gaps}, the first: {first}.");
        Ok(format!("{} {partial}", statement.trim()).trim().to_owned())
    }

    /// Whether somebody else gave the access than this one.
    pub fn segregation(&self, by: &By, subject: &Subject) -> Segregation {
        match &subject.created_by {
            _ if self.gave(by, subject).is_some() => Segregation::Same,
            Some(Provisioner { pipeline: false, .. }) => Segregation::Separate,
            _ => Segregation::ProvisionerUnknown,
        }
    }

    /// The record by which this one gave the access, or some of it.
    fn gave<'s>(&self, by: &By, subject: &'s Subject) -> Option<&'s Provisioner> {
        let identity = self.identity(by);
        let mut all = subject.created_by.iter().chain(&subject.given_by).filter(|given| !given.pipeline);
        all.find(|given| identity.is_named(&given.actor, self.persons))
    }

    /// Why a decision to leave access has to be justified; empty: it need not be.
    pub fn needs_justification(&self, subject: &Subject) -> Vec<&'static str> {
        let privileged = subject.privileged.then_some("privileged");
        let unused = is_unused(subject, self.population.taken, self.settings.unused_days).then_some("unused");
        privileged.into_iter().chain(unused).collect()
    }

    /// Whether this one may sign reviews off.
    pub fn approves(&self, by: &By) -> bool {
        let names = [by.arn.as_str(), if self.local { by.who.as_str() } else { "" }];
        let fits = |pattern: &String| names.iter().any(|name| !name.is_empty() && glob(pattern, name));
        self.settings.approvers.iter().any(fits)
    }

    /// Whether this one is the subject's named reviewer.
    pub fn reviews(&self, by: &By, subject: &Subject) -> bool {
        !subject.reviewer.is_empty() && self.identity(by).is_surely(&subject.reviewer, self.persons)
    }

    /// What was proposed last for a subject, if nothing was decided since.
    pub fn proposal(&self, subject: &str) -> Option<&Decision> {
        self.proposed(subject).map(|(_, decision)| decision)
    }

    /// The same, with the number of its entry.
    fn proposed(&self, subject: &str) -> Option<(u64, &Decision)> {
        let about = |entry: &&Entry| entry.act.subject() == Some(subject);
        self.log.iter().rev().filter(about).find_map(|entry| match &entry.act {
            Act::Proposed { decision, .. } => Some(Some((entry.number, decision))),
            Act::Decided { .. } => Some(None),
            _ => None,
        })?
    }

    /// A subject by id, also one that joined later.
    pub fn subject(&self, id: &str) -> Option<&Subject> {
        let joined = self.log.iter().filter_map(|entry| match &entry.act {
            Act::Joined { subject } => Some(&**subject),
            _ => None,
        });
        self.population.subjects.iter().chain(joined).find(|subject| subject.id == id)
    }

    fn identity<'b>(&self, by: &'b By) -> Identity<'b> {
        Identity::of(by, self.local)
    }

    /// What this machine says of its own user proves nothing to others.
    fn proven(&self, by: &By) -> Result<(), Refusal> {
        match by.proven.as_str() {
            "signed" | "token" if !by.arn.is_empty() => Ok(()),
            "local" | "recorded" if self.local => Ok(()),
            _ => Err(Refusal::NotProven { who: by.who.clone() }),
        }
    }

    fn not_closed(&self) -> Result<(), Refusal> {
        let signed = self.log.iter().find(|entry| matches!(entry.act, Act::SignedOff { .. }));
        signed.map_or(Ok(()), |entry| Err(Refusal::SignedOff(entry.at)))
    }

    /// A subject about which can be decided.
    fn open_subject(&self, id: &str) -> Result<&Subject, Refusal> {
        self.not_closed()?;
        let subject = self.subject(id).ok_or_else(|| Refusal::NoSubject(id.to_owned()))?;
        let about = |entry: &&Entry| entry.act.subject() == Some(id);
        let last = self.log.iter().rev().filter(about).find_map(|entry| match entry.act {
            Act::Absent { .. } => Some(true),
            Act::Reappeared { .. } | Act::Joined { .. } => Some(false),
            _ => None,
        });
        if last == Some(true) { Err(Refusal::Gone(id.to_owned())) } else { Ok(subject) }
    }

    fn entitled(&self, by: &By, subject: &Subject) -> Result<(), Refusal> {
        let excepted = self.excepted(&subject.id);
        if let Some(how) = self.own(by, subject).filter(|_| !excepted) {
            let reviewer = reviewer_of(subject);
            return Err(Refusal::Own { subject: subject.id.clone(), who: by.who.clone(), how, reviewer });
        }
        if let Some(granted) = self.gave(by, subject).filter(|_| !excepted) {
            let record = granted.record.id.clone();
            return Err(Refusal::Granted { subject: subject.id.clone(), who: by.who.clone(), record });
        }
        // Where people are listed, whoever is not cannot be told from the subjects; and a token's subject, which is like
        // no name in AWS, never can.
        let is_listed = !self.population.people_sha256.is_empty() || by.proven == "token";
        if is_listed && by.person.is_none() && !self.local {
            return Err(Refusal::NotAPerson { arn: by.arn.clone() });
        }
        let may = self.reviews(by, subject) || self.approves(by) || excepted && self.own(by, subject).is_some();
        if may { Ok(()) } else { Err(not_reviewer(by, subject)) }
    }

    /// How it is known that the access is this one's own.
    fn own(&self, by: &By, subject: &Subject) -> Option<&'static str> {
        let person = subject.person.as_ref().map(|person| person.id.as_str());
        if person.is_some() && by.person.as_deref() == person {
            return Some("the same person");
        }
        let identity = self.identity(by);
        if identity.arn == subject.id || subject.actors.iter().any(|actor| identity.acts_as(actor)) {
            return Some("the same identity");
        }
        let name = match subject.kind {
            SubjectKind::User => subject.name.as_str(),
            SubjectKind::Assignment => subject.name.rsplit_once(" as ").map_or(&*subject.name, |(user, _)| user),
            _ => return None,
        };
        // Two people of one name are told apart by the list.
        let both_known = person.is_some() && by.person.is_some();
        (!both_known && identity.is_named(name, self.persons)).then_some("the same name")
    }

    /// Whether an exception for the subject is noted.
    fn excepted(&self, id: &str) -> bool {
        self.log.iter().any(|entry| matches!(&entry.act, Act::Excepted { subject, .. } if subject == id))
    }

    fn sensible(&self, subject: &Subject, decision: &Decision) -> Result<(), Refusal> {
        fits(subject, decision)?;
        let why = self.needs_justification(subject);
        if decision.verb != Verb::Revoke && !why.is_empty() && decision.justification.trim().is_empty() {
            return Err(Refusal::Unjustified { subject: subject.id.clone(), why: why.join(" and ") });
        }
        Ok(())
    }

    /// Privileged subjects that this one alone decided about, the first few.
    fn judged_alone(&self, by: &By, standing: &Standing) -> Vec<String> {
        let decided = |subject: &&Subject| {
            let entry = standing.line(&subject.id).and_then(|line| line.decided_by.as_ref());
            entry.is_some_and(|decider| self.identity(by).is_same(&self.identity(decider)))
        };
        let privileged = standing.subjects().map(|(subject, _)| subject).filter(|subject| subject.privileged);
        let excepted = |subject: &&Subject| !self.excepted(&subject.id);
        privileged.filter(decided).filter(excepted).take(5).map(|subject| subject.id.clone()).collect()
    }
}

/// Whether access was not used for so many days before the population was taken. What was given since then is new.
pub fn is_unused(subject: &Subject, taken: Time, days: i64) -> bool {
    let limit = Time(taken.0 - days * DAY);
    match subject.last_used.max(subject.usage.last) {
        Some(used) => used < limit,
        None => subject.created.is_none_or(|created| created < limit),
    }
}

/// Whether the decision can be made of this subject at all.
fn fits(subject: &Subject, decision: &Decision) -> Result<(), Refusal> {
    let problem = match decision.verb {
        Verb::Modify => cannot_modify(subject, &decision.remove),
        Verb::Keep | Verb::Revoke if !decision.remove.is_empty() => {
            Some("only `modify` names what is to be removed".to_owned())
        }
        Verb::Revoke => cannot_revoke(subject),
        Verb::Keep => None,
    };
    problem.map_or(Ok(()), |problem| Err(Refusal::Decision { subject: subject.id.clone(), problem }))
}

fn cannot_modify(subject: &Subject, remove: &[Grant]) -> Option<String> {
    if remove.is_empty() {
        return Some("`modify` has to name what is to be removed".to_owned());
    }
    if let Some(foreign) = remove.iter().find(|grant| !subject.grants.contains(grant)) {
        return Some(format!("it does not have {foreign}: `qtrail review show` lists what it has"));
    }
    let through =
        |grant: &&Grant| matches!(grant.kind, GrantKind::Policy | GrantKind::InlinePolicy) && !grant.via.is_empty();
    let through = remove.iter().find(through)?;
    Some(format!("{through} cannot be removed by itself: name the membership, group:{}", through.via))
}

/// A root user cannot be removed, only its credentials can.
fn cannot_revoke(subject: &Subject) -> Option<String> {
    let credential = |grant: &Grant| matches!(grant.kind, GrantKind::AccessKey | GrantKind::Password);
    let has = subject.grants.iter().any(credential) || subject.mfa == Some(false) || !subject.keys.is_empty();
    (subject.kind == SubjectKind::Root && !has).then(|| {
        "a root user cannot be removed, and this one has no keys: keep it, and say how it is guarded".to_owned()
    })
}

fn not_reviewer(by: &By, subject: &Subject) -> Refusal {
    let reviewer = reviewer_of(subject);
    Refusal::NotReviewer { subject: subject.id.clone(), who: by.who.clone(), reviewer }
}

fn reviewer_of(subject: &Subject) -> String {
    match subject.reviewer.as_str() {
        "" => "nobody is named who".to_owned(),
        reviewer => reviewer.to_owned(),
    }
}
