//! Who was allowed an action, by the last complete snapshot before a time, and who made use of it.

use std::collections::HashMap;

use lake::answer::{Page, Read};
use lake::query::{Field, Filter, Pattern};
use lake::{Lake, Query};
use trail::access::Access;
use trail::access::who_can::{Answer, Holder, Question};
use trail::facts::Facts;
use trail::review::ActorKey;
use trail::time::Time;

use crate::error::Error;
use crate::review::store::Store;

/// How far back use is looked for.
const DAYS: i64 = 90;

/// Holders whose last record is looked for; of all others it is still told when they did it.
const LOOKED_UP: usize = 100;

/// Questions to the lake about them, at the most.
const ROUNDS: usize = 6;

/// Records that one question brings.
const RECORDS: usize = 2_000;

/// Bytes that one question may read.
const BUDGET: u64 = 20_000_000_000;

/// Who was allowed it, and who made use of that.
#[derive(Debug)]
pub struct Told {
    /// When the snapshot was taken that answers.
    pub taken: Time,
    /// Accounts in it.
    pub accounts: usize,
    /// Later snapshots that are not complete.
    pub passed_over: Vec<Time>,
    /// Who was allowed it.
    pub answer: Answer,
    /// When they were seen last.
    pub used: Used,
}

/// Answers from the last complete snapshot, from before a time if one is given, and from the records before that time.
pub async fn who_can(
    (store, lake): (&Store, &Lake),
    question: &Question<'_>,
    (at, now): (Option<Time>, Time),
) -> Result<Told, Error> {
    let wrong = |error: trail::access::who_can::QuestionError| Error::Configuration(error.to_string());
    question.check().map_err(wrong)?;
    let before = at.unwrap_or(Time(i64::MAX));
    let Some((taken, snapshots)) = store.last_access(before).await? else {
        let before = at.map_or(String::new(), |at| format!(" from before {at}"));
        let none = format!("there is no complete snapshot of access{before}: take one with qtrail review snapshot");
        return Err(Error::Configuration(none));
    };
    let times = store.times().await?.into_iter();
    let passed_over = times.filter(|time| *time > taken && *time < before).collect();
    let answer = Access::read(&snapshots).who_can(question).map_err(wrong)?;
    let mut used = Used::within(at.unwrap_or(now));
    used.look_up(lake, &answer).await;
    Ok(Told { taken, accounts: snapshots.len(), passed_over, answer, used })
}

/// When whom the lake saw last, by its key.
#[derive(Debug)]
pub struct Used {
    /// Since when it was looked for.
    pub from: Time,
    to: Time,
    /// Anything at all.
    seen: HashMap<String, Time>,
    /// The action that was asked about.
    done: HashMap<String, Time>,
    /// Whose last record is not known.
    unknown: Vec<String>,
    /// What is not known, in words.
    pub notes: Vec<String>,
    /// What of the lake could not be read.
    pub read: Read,
    is_partial: bool,
}

impl Used {
    fn within(to: Time) -> Self {
        let from = Time(to.0.saturating_sub(DAYS * 24 * 60 * 60));
        let (seen, done, read) = (HashMap::new(), HashMap::new(), Read::default());
        Self { from, to, seen, done, unknown: Vec::new(), notes: Vec::new(), read, is_partial: false }
    }

    /// Asks the lake, a few times for all holders together.
    async fn look_up(&mut self, lake: &Lake, answer: &Answer) {
        let done = self.ask(lake, action(&answer.action)).await;
        done.0.iter().rev().for_each(|facts| self.done.extend(keys(facts).map(|key| (key, facts.event_time))));
        if done.1 {
            self.notes.push(format!("who did it last is known of the newest {RECORDS} records of it alone"));
        }
        let mut waiting: Vec<(String, Pattern)> =
            answer.holders.iter().filter_map(|h| actor(h.actor.as_ref()?)).collect();
        if waiting.len() > LOOKED_UP {
            let said =
                format!("when they were last seen at all is looked up for the first {LOOKED_UP} of {}", waiting.len());
            self.notes.push(said);
        }
        self.unknown = waiting.drain(LOOKED_UP.min(waiting.len())..).map(|(key, _)| key).collect();
        for _ in 0..ROUNDS {
            if waiting.is_empty() {
                return;
            }
            let any = waiting.iter().map(|(_, pattern)| pattern.clone()).collect();
            let filter = Filter { field: Field::User, negated: false, any, given: "holders".to_owned() };
            let (records, more) = self.ask(lake, vec![filter]).await;
            records.iter().rev().for_each(|facts| self.seen.extend(keys(facts).map(|key| (key, facts.event_time))));
            waiting.retain(|(key, _)| more && !self.seen.contains_key(key));
        }
        self.unknown.extend(waiting.into_iter().map(|(key, _)| key));
    }

    /// The newest records of the span, and whether there are more.
    async fn ask(&mut self, lake: &Lake, filters: Vec<Filter>) -> (Vec<Facts<'static>>, bool) {
        let query = Query { from: Some(self.from), to: Some(self.to), filters };
        let page = Page { limit: RECORDS, budget: BUDGET, ..Page::default() };
        match lake.search(&query, &page).await {
            Ok(answer) => {
                self.is_partial |= answer.read.is_partial();
                self.read.cut |= answer.read.cut;
                let new = answer.read.skipped.into_iter().filter(|one| !self.read.skipped.contains(one));
                let new: Vec<_> = new.collect();
                self.read.skipped.extend(new);
                (answer.rows, answer.next.is_some())
            }
            Err(error) => {
                self.is_partial = true;
                self.notes.push(format!("the lake could not be asked when they were last seen: {error}"));
                (Vec::new(), true)
            }
        }
    }

    /// Whether something may be missing.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// When somebody last did it, and was last seen at all.
    pub fn last(&self, holder: &Holder) -> (Option<Time>, Option<Time>) {
        let key = holder.actor.as_ref().and_then(actor).map(|(key, _)| key).unwrap_or_default();
        (self.done.get(&key).copied(), self.seen.get(&key).copied())
    }

    /// The same in words.
    pub fn told(&self, holder: &Holder) -> Vec<String> {
        let Some((key, _)) = holder.actor.as_ref().and_then(actor) else { return Vec::new() };
        let done = self.done.get(&key).map(|time| format!("last did it {time}"));
        let seen = match self.seen.get(&key) {
            Some(time) => Some(format!("last seen {time}")),
            None if self.unknown.contains(&key) || self.is_partial => None,
            None if self.done.contains_key(&key) => None,
            None => Some(format!("not seen in {DAYS} days")),
        };
        done.into_iter().chain(seen).collect()
    }
}

/// The filters of an action. Some services are called otherwise in policies than in records.
fn action(action: &str) -> Vec<Filter> {
    const OTHERWISE: [(&str, &str); 3] = [("cloudwatch", "monitoring"), ("ses", "email"), ("tag", "tagging")];
    let (service, name) = action.split_once(':').unwrap_or(("", action));
    let source = OTHERWISE.iter().find(|(policy, _)| policy.eq_ignore_ascii_case(service));
    let source = source.map_or(service, |(_, record)| record);
    let filter =
        |field, pattern, given: &str| Filter { field, negated: false, any: vec![pattern], given: given.to_owned() };
    let named = if name.contains(['*', '?']) { Pattern::Glob(name.to_owned()) } else { Pattern::Same(name.to_owned()) };
    let source = Pattern::Same(format!("{source}.amazonaws.com"));
    vec![filter(Field::Service, source, service), filter(Field::Action, named, name)]
}

/// What the records of somebody are searched for by, as `--user`.
pub fn asks(actor: &ActorKey) -> Option<String> {
    match self::actor(actor)?.1 {
        Pattern::Glob(text) | Pattern::Equal(text) | Pattern::Same(text) => Some(text),
        _ => None,
    }
}

/// What a holder is counted under, and how records name it.
fn actor(actor: &ActorKey) -> Option<(String, Pattern)> {
    let role = |arn: &str| {
        let account = arn.split(':').nth(4)?.to_owned();
        Some((account, arn.rsplit('/').next()?.to_owned()))
    };
    let session = |account: &str, name: &str, session: &str| {
        Pattern::Glob(format!("arn:*:sts::{account}:assumed-role/{name}/{session}"))
    };
    Some(match actor {
        ActorKey::Root(account) => (format!("root/{account}"), Pattern::Glob(format!("arn:*:iam::{account}:root"))),
        ActorKey::User(arn) => (arn.to_lowercase(), Pattern::Equal(arn.clone())),
        ActorKey::Role(arn) => {
            let (account, name) = role(arn)?;
            (format!("role/{account}/{name}").to_lowercase(), session(&account, &name, "*"))
        }
        ActorKey::Session { role: arn, name: person } => {
            let (account, name) = role(arn)?;
            let key = format!("session/{account}/{name}/{person}").to_lowercase();
            (key, session(&account, &name, person))
        }
    })
}

/// What a record counts for: a session for itself and for its role.
fn keys(facts: &Facts<'_>) -> impl Iterator<Item = String> + use<> {
    let arn = facts.actor_arn.as_ref();
    let account = arn.split(':').nth(4).unwrap_or_default();
    let keys = match arn.split_once(":assumed-role/").and_then(|(_, rest)| rest.split_once('/')) {
        Some((role, session)) => vec![format!("role/{account}/{role}"), format!("session/{account}/{role}/{session}")],
        None if arn.ends_with(":root") => vec![format!("root/{account}")],
        None => vec![arn.to_owned()],
    };
    keys.into_iter().map(|key| key.to_lowercase())
}
