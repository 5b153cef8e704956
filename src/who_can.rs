//! `qtrail who-can`: who was allowed an action, from the last complete snapshot before a time, and who made use of it.

use std::collections::HashMap;

use anyhow::bail;
use cloud::deployment::now;
use cloud::review::store::Store;
use lake::answer::Page;
use lake::query::{Field, Filter, Pattern};
use lake::{Lake, Query};
use serde_json::{Value, json};
use trail::access::Access;
use trail::access::who_can::{Answer, Holder, HolderKind, Question, Sure};
use trail::facts::Facts;
use trail::lineage::shown;
use trail::review::ActorKey;
use trail::snapshot::Snapshot;
use trail::time::Time;

use crate::Ending;
use crate::cli::{HolderFormat, WhoCanArgs};
use crate::output::{self, Printer};
use crate::search;

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

/// Gaps that are printed.
const GAPS: usize = 20;

/// Runs the command.
pub(crate) async fn run(arguments: WhoCanArgs) -> anyhow::Result<Ending> {
    let question = Question { action: &arguments.action, resource: arguments.resource.as_deref() };
    question.check()?;
    let place = search::place(&arguments.lake).await?;
    let (taken, snapshots) = last(&Store::new(place.clone()), arguments.at).await?;
    let access = Access::read(&snapshots);
    let answer = access.who_can(&question)?;
    let mut used = Used::within(arguments.at.unwrap_or_else(now));
    used.look_up(&Lake::new(place.store, place.prefix), &answer).await;
    let mut printer = Printer::new();
    for holder in &answer.holders {
        match arguments.format {
            HolderFormat::Text => printer.line(&line(holder, &used))?,
            HolderFormat::Ndjson => printer.line(&json_line(holder, &used)?.to_string())?,
        }
    }
    used.notes.iter().for_each(|problem| output::note(problem));
    note(&answer, taken, snapshots.len());
    let is_whole = answer.gaps.is_empty() && !used.is_partial;
    Ok(if is_whole { Ending::Done } else { Ending::Unread })
}

/// The last complete snapshot, from before a time if one is given.
async fn last(store: &Store, at: Option<Time>) -> anyhow::Result<(Time, Vec<Snapshot>)> {
    let before = at.unwrap_or(Time(i64::MAX));
    let Some((taken, snapshots)) = store.last_access(before).await? else {
        let before = at.map_or(String::new(), |at| format!(" from before {at}"));
        bail!("there is no complete snapshot of access{before}: take one with qtrail review snapshot");
    };
    for time in store.times().await?.into_iter().filter(|time| *time > taken && *time < before) {
        output::note(&format!("the snapshot of {time} is not complete and passed over"));
    }
    Ok((taken, snapshots))
}

/// When whom the lake saw last, by its key.
struct Used {
    from: Time,
    to: Time,
    /// Anything at all.
    seen: HashMap<String, Time>,
    /// The action that was asked about.
    done: HashMap<String, Time>,
    /// Whose last record is not known.
    unknown: Vec<String>,
    notes: Vec<String>,
    is_partial: bool,
}

impl Used {
    fn within(to: Time) -> Self {
        let from = Time(to.0.saturating_sub(DAYS * 24 * 60 * 60));
        let (seen, done) = (HashMap::new(), HashMap::new());
        Self { from, to, seen, done, unknown: Vec::new(), notes: Vec::new(), is_partial: false }
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
                search::note_skipped(&answer.read);
                (answer.rows, answer.next.is_some())
            }
            Err(error) => {
                self.is_partial = true;
                self.notes.push(format!("the lake could not be asked when they were last seen: {error}"));
                (Vec::new(), true)
            }
        }
    }

    /// When somebody was last seen, and last did it, in words.
    fn told(&self, holder: &Holder) -> Vec<String> {
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

/// `allowed 111122223333 user alice: AdministratorAccess statement 1 (group admins); last seen 2026-11-20T03:02:40Z`.
fn line(holder: &Holder, used: &Used) -> String {
    let sure = match holder.sure {
        Sure::Allowed => "allowed",
        Sure::Conditional => "depends",
        Sure::Untold => "unknown",
    };
    let who = match holder.kind {
        HolderKind::Root => "root".to_owned(),
        HolderKind::Person => format!("person {}", shown(&holder.name)),
        HolderKind::User => format!("user {}", shown(&holder.name)),
        HolderKind::Role => format!("role {}", shown(&holder.name)),
    };
    let listed = |texts: &[String], before: &str| {
        let texts: Vec<String> = texts.iter().map(|text| shown(text)).collect();
        (!texts.is_empty()).then(|| format!("{before}{}", texts.join(", ")))
    };
    let through: Vec<String> = holder.through.iter().map(ToString::to_string).collect();
    let stops: Vec<String> = holder.may_stop.iter().map(ToString::to_string).collect();
    let across = holder.across.then(|| "if the resource's account lets it in".to_owned());
    let said = [
        listed(&through, ""),
        listed(&holder.resources, "on "),
        listed(&holder.conditions, "depends on "),
        across,
        listed(&stops, ""),
        listed(&holder.taken_by, "taken by "),
    ];
    let said: Vec<String> = said.into_iter().flatten().chain(used.told(holder)).collect();
    format!("{sure:<7} {} {who}: {}", shown(&holder.account), said.join("; "))
}

fn json_line(holder: &Holder, used: &Used) -> anyhow::Result<Value> {
    let mut told = serde_json::to_value(holder)?;
    let key = holder.actor.as_ref().and_then(actor).map(|(key, _)| key).unwrap_or_default();
    told["last_seen"] = json!(used.seen.get(&key));
    told["last_done"] = json!(used.done.get(&key));
    told["seen_since"] = json!(used.from);
    Ok(told)
}

/// What was not evaluated, what could not be seen, and which snapshot answered.
fn note(answer: &Answer, taken: Time, accounts: usize) {
    answer.not_evaluated.iter().for_each(|said| output::note(said));
    for gap in answer.gaps.iter().take(GAPS) {
        let account = if gap.account.is_empty() { String::new() } else { format!(" in {}", shown(&gap.account)) };
        output::note(&format!("not seen{account}: {}: {}", shown(&gap.what), shown(&gap.why)));
    }
    if answer.gaps.len() > GAPS {
        output::note(&format!("and {} more that could not be seen", answer.gaps.len() - GAPS));
    }
    output::note(&format!(
        "principals={} snapshot={} accounts={accounts} gaps={}",
        answer.holders.len(),
        taken,
        answer.gaps.len()
    ));
}
