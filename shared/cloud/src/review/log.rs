//! Everything that happens to a review: checked against the rules, and put behind its log.

use std::future::Future;
use std::sync::Arc;

use trail::review::rules::Rules;
use trail::review::sheet::{self, Sheet};
use trail::review::standing::At;
use trail::review::{Act, By, Decision, Entry, Known, Period, Persons, Population, Standing, Subject};
use trail::settings::Settings;
use trail::time::Time;

use crate::asking::{Asking, Proof};
use crate::error::Error;
use crate::state::{ReviewMeta, State};

/// Where populations and the people's list are.
pub trait Source: Sync {
    /// The people's list.
    type Persons: Persons + Send + Sync;

    /// The population of a review with the hash of its bytes; none where there is none.
    fn population(&self, review: &str)
    -> impl Future<Output = Result<Option<(Arc<Population>, String)>, Error>> + Send;

    /// The people as they are listed now.
    fn persons(&self) -> impl Future<Output = Result<Self::Persons, Error>> + Send;

    /// The newest population that was taken after this time, with its hash.
    fn later(
        &self,
        than: Time,
        settings: &Settings,
    ) -> impl Future<Output = Result<Option<(Population, String)>, Error>> + Send;
}

/// Reviews, and who may do what with them.
#[derive(Debug)]
pub struct Reviews<'r, S> {
    /// The table.
    pub state: &'r State,
    /// The settings in force.
    pub settings: &'r Settings,
    /// Populations and people.
    pub source: &'r S,
    /// Whether this is a folder on somebody's own machine.
    pub local: bool,
}

/// A review with all that is known of it.
#[derive(Debug)]
pub struct Opened {
    /// What it is about.
    pub meta: ReviewMeta,
    /// All that has access.
    pub population: Arc<Population>,
    /// What happened.
    pub log: Vec<Entry>,
}

/// What a review is opened with.
#[derive(Debug)]
pub struct Opening<'o> {
    /// The span that it is about.
    pub period: Period,
    /// The population.
    pub population: &'o Population,
    /// Where it is stored, and the SHA-256 of that.
    pub stored: (String, String),
    /// Names of Identity Center.
    pub known: Known,
    /// The person who leaves, where it is opened for one.
    pub leaver: Option<String>,
}

impl<S: Source> Reviews<'_, S> {
    /// A review with all that is known of it.
    pub async fn load(&self, id: &str) -> Result<Opened, Error> {
        let none =
            || Error::Configuration(format!("there is no review {id}: `qtrail review list` names those there are"));
        let meta = self.state.review(id).await?.ok_or_else(none)?;
        let Some((population, sha256)) = self.source.population(id).await? else {
            return Err(Error::Configuration(format!("the population of review {id} is gone: {}", meta.path)));
        };
        if sha256 != meta.population {
            let what = format!("the population of review {id} is not the one it was opened over: {}", meta.path);
            return Err(Error::Configuration(format!("{what}; look for an earlier version of the object")));
        }
        Ok(Opened { log: self.state.review_log(id).await?, meta, population })
    }

    /// Opens a review; yields false where there is one of this id.
    pub async fn open(&self, opening: Opening<'_>, now: Time) -> Result<bool, Error> {
        let Opening { period, population, stored: (path, sha256), known, leaver } = opening;
        let days = if leaver.is_some() { self.settings.review.urgent_days } else { self.settings.review.due_days };
        let due = Time(now.0 + days * 86_400);
        let taken = population.taken;
        let id = period.id.clone();
        let subjects = population.subjects.len();
        let (opened, population) = (now, sha256);
        let meta =
            ReviewMeta { period, opened, due, taken, population: population.clone(), path, subjects, known, leaver };
        if !self.state.put_review(&meta).await? {
            return Ok(false);
        }
        let first = |log: &[Entry]| {
            Ok(if log.is_empty() {
                vec![(None, Act::Opened { population: population.clone(), due })]
            } else {
                Vec::new()
            })
        };
        self.state.append(&id, now, first).await.map(|put| !put.is_empty())
    }

    /// Decides about a subject.
    pub async fn decide(&self, id: &str, asking: &Asking, (subject, decision): (&str, &Decision)) -> Result<(), Error> {
        let opened = self.load(id).await?;
        let persons = self.source.persons().await?;
        let by = by(asking, &persons);
        let decide = |log: &[Entry]| {
            self.rules((&opened.population, log), &persons).decide(&by, subject, decision)?;
            Ok(vec![decided(&by, subject, decision.clone())])
        };
        self.state.append(id, asking.at, decide).await?;
        self.wait_for(&opened, Some(subject)).await
    }

    /// Confirms what is proposed for these subjects, as their reviewer, who may name the entry that he has seen. All or nothing: who may not confirm one of them
    /// is told so before any is confirmed.
    pub async fn confirm(&self, id: &str, asking: &Asking, subjects: &[(String, Option<u64>)]) -> Result<usize, Error> {
        let opened = self.load(id).await?;
        let persons = self.source.persons().await?;
        let by = by(asking, &persons);
        let confirm = |log: &[Entry]| {
            let rules = self.rules((&opened.population, log), &persons);
            let confirmed = subjects.iter().filter(|(subject, _)| !has_decided(log, subject, &by, asking.at));
            let confirmed =
                confirmed.map(|(subject, shown)| Ok(decided(&by, subject, rules.confirm(&by, (subject, *shown))?)));
            confirmed.collect::<Result<Vec<_>, Error>>()
        };
        let put = self.state.append(id, asking.at, confirm).await?;
        self.wait_for(&opened, None).await?;
        Ok(put.len())
    }

    /// Takes in a sheet that came back: its good rows are proposals. What the rules say against a row is told with it.
    pub async fn propose(&self, id: &str, asking: &Asking, bytes: &[u8]) -> Result<(Sheet, Vec<Error>), Error> {
        let opened = self.load(id).await?;
        let persons = self.source.persons().await?;
        let by = by(asking, &persons);
        let mut sheet = sheet::back(bytes, &self.standing(&opened, asking.at));
        let rules = self.rules((&opened.population, &opened.log), &persons);
        let mut refused = Vec::new();
        sheet.proposals.retain(|(subject, decision)| match rules.propose(&by, subject, decision) {
            Ok(()) => true,
            Err(refusal) => {
                refused.push(refusal.into());
                false
            }
        });
        let propose = |log: &[Entry]| {
            let rules = self.rules((&opened.population, log), &persons);
            let new = sheet.proposals.iter().filter(|(subject, decision)| rules.proposal(subject) != Some(decision));
            let new = new.map(|(subject, decision)| {
                rules.propose(&by, subject, decision)?;
                Ok((Some(by.clone()), Act::Proposed { subject: subject.clone(), decision: decision.clone() }))
            });
            new.collect::<Result<Vec<_>, Error>>()
        };
        self.state.append(id, asking.at, propose).await?;
        Ok((sheet, refused))
    }

    /// Notes an exception, with who outside approved it.
    pub async fn except(&self, id: &str, asking: &Asking, about: (&str, &str, &str)) -> Result<(), Error> {
        let opened = self.load(id).await?;
        let persons = self.source.persons().await?;
        let by = by(asking, &persons);
        let (subject, reason, approver) = about;
        let except = |log: &[Entry]| {
            self.rules((&opened.population, log), &persons).except(&by, about)?;
            let [subject, reason, approver] = [subject, reason, approver].map(|text| text.trim().to_owned());
            Ok(vec![(Some(by.clone()), Act::Excepted { subject, reason, approver })])
        };
        self.state.append(id, asking.at, except).await.map(drop)
    }

    /// Signs a review off; yields the statement as it stands in the log. Gaps of the population have to be acknowledged.
    pub async fn sign_off(
        &self,
        id: &str,
        asking: &Asking,
        (statement, acknowledged): (&str, bool),
    ) -> Result<String, Error> {
        let opened = self.load(id).await?;
        let persons = self.source.persons().await?;
        let by = by(asking, &persons);
        let sign = |log: &[Entry]| {
            let at = At { settings: &self.settings.review, known: &opened.meta.known, now: asking.at };
            let standing = Standing::of(&opened.population, log, at);
            let rules = self.rules((&opened.population, log), &persons);
            let statement = rules.sign_off(&by, statement, (&standing, acknowledged))?;
            Ok(vec![(Some(by.clone()), Act::SignedOff { statement })])
        };
        let put = self.state.append(id, asking.at, sign).await?;
        let signed = put.into_iter().find_map(|entry| match entry.act {
            Act::SignedOff { statement } => Some(statement),
            _ => None,
        });
        Ok(signed.unwrap_or_default())
    }

    /// Notes that the reviewers were reminded; yields false where they were before.
    pub async fn remind(&self, id: &str, now: Time) -> Result<bool, Error> {
        let reminded = |log: &[Entry]| {
            let before = log.iter().any(|entry| matches!(entry.act, Act::Reminded));
            Ok(if before { Vec::new() } else { vec![(None, Act::Reminded)] })
        };
        Ok(!self.state.append(id, now, reminded).await?.is_empty())
    }

    /// How a review stands.
    pub fn standing(&self, opened: &Opened, now: Time) -> Standing {
        let at = At { settings: &self.settings.review, known: &opened.meta.known, now };
        Standing::of(&opened.population, &opened.log, at)
    }

    /// The rules over a review.
    pub fn rules<'p>(
        &'p self,
        (population, log): (&'p Population, &'p [Entry]),
        persons: &'p S::Persons,
    ) -> Rules<'p, S::Persons> {
        Rules { population, log, settings: &self.settings.review, persons, local: self.local }
    }

    /// Keeps what records are waited for, of one subject or of all, as the log says now: `ingest` reads it there.
    pub async fn wait_for(&self, opened: &Opened, subject: Option<&str>) -> Result<(), Error> {
        let id = opened.meta.period.id.as_str();
        let log = self.state.review_log(id).await?;
        let opened = Opened { meta: opened.meta.clone(), population: opened.population.clone(), log };
        let standing = self.standing(&opened, opened.log.last().map_or(opened.meta.opened, |entry| entry.at));
        let open = standing.open(id, (&opened.population, &opened.meta.known));
        let wanted = |known: &&Subject| subject.is_none_or(|subject| subject == known.id);
        let before: Vec<u32> = match subject {
            Some(_) => standing.subjects().map(|(subject, _)| subject).filter(wanted).map(|s| s.number).collect(),
            None => self.state.open_effects().await?.iter().filter(|o| o.review == id).map(|o| o.number).collect(),
        };
        for open in open.iter().filter(|open| subject.is_none_or(|subject| subject == open.plan.subject)) {
            self.state.keep_open((id, open.number), Some(open)).await?;
        }
        for gone in before.into_iter().filter(|number| open.iter().all(|open| open.number != *number)) {
            self.state.keep_open((id, gone), None).await?;
        }
        Ok(())
    }
}

/// Who asks, as the log has it. The person is whoever the list knows by a name that AWS or the token gave: what somebody
/// calls his own session says nothing.
pub fn by(asking: &Asking, persons: &impl Persons) -> By {
    let Asking { who: name, arn, account, proven, .. } = asking;
    let proven_by = match proven {
        Proof::Local => "local",
        Proof::Signed => "signed",
        Proof::Token => "token",
        Proof::Recorded => "recorded",
    };
    // A token's name is followed by its subject in brackets.
    let of_token = || name.strip_suffix(')').and_then(|text| text.rsplit_once(" (")).map_or(&**name, |(_, id)| id);
    let arn = match (arn, proven) {
        (Some(arn), _) => arn.clone(),
        (None, Proof::Token) => of_token().to_owned(),
        (None, _) => String::new(),
    };
    let names = sure_names(&arn, if *proven == Proof::Local { name } else { "" });
    By {
        who: name.clone(),
        account: account.clone().unwrap_or_default(),
        proven: proven_by.to_owned(),
        address: asking.address.clone(),
        person: names.iter().find_map(|name| persons.person(name)),
        arn,
    }
}

/// The names of an identity that nobody can choose for himself.
fn sure_names(arn: &str, local: &str) -> Vec<String> {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let parts: Vec<&str> = resource.split('/').collect();
    let mut names = vec![local.to_owned()];
    match parts.as_slice() {
        ["assumed-role", role, session] => {
            let account = arn.split(':').nth(4).unwrap_or_default();
            names.push(format!("arn:aws:iam::{account}:role/{role}"));
            if role.starts_with("AWSReservedSSO_") {
                names.extend([arn.to_owned(), (*session).to_owned()]);
            }
        }
        // Whoever may make users in any account may call one as he likes: the ARN alone is sure.
        _ => names.push(arn.to_owned()),
    }
    names.retain(|name| !name.is_empty());
    names
}

fn decided(by: &By, subject: &str, decision: Decision) -> (Option<By>, Act) {
    (Some(by.clone()), Act::Decided { subject: subject.to_owned(), decision })
}

/// Whether this very call has decided about a subject already, before it had to begin again.
fn has_decided(log: &[Entry], id: &str, by: &By, at: Time) -> bool {
    let is = |entry: &&Entry| matches!(&entry.act, Act::Decided { subject, .. } if subject == id);
    log.iter().rev().find(is).is_some_and(|entry| entry.at == at && entry.by.as_ref() == Some(by))
}
