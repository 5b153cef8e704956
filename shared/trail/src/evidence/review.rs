//! Access reviews as rows: who had access, what was decided, what came of it, and what is to be excepted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Row;
use crate::review::standing::Line;
use crate::review::{
    Act, ActorKey, By, Decision, Entry, Grant, Period, Population, Remedy, Scope, Stage, Standing, Subject, Verb,
};
use crate::time::Time;

/// What an auditor has to be told without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// `late`, `missed`, `partial`, `self_decided` …
    pub kind: &'static str,
    /// What it is about.
    pub about: String,
    /// Since when.
    pub since: Time,
    /// Who.
    pub who: String,
    /// In a sentence.
    pub detail: String,
}

impl Exception {
    pub(super) fn new(kind: &'static str, about: impl Into<String>, since: Time) -> Self {
        Self { kind, about: about.into(), since, who: String::new(), detail: String::new() }
    }

    pub(super) fn by(self, who: &str) -> Self {
        Self { who: who.to_owned(), ..self }
    }

    pub(super) fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// As a row.
    pub fn row(&self) -> Row {
        vec![json!(self.kind), json!(self.about), json!(self.since), json!(self.who), json!(self.detail)]
    }
}

fn kind_of<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The decision that counts for each subject: the last one.
fn decisions(entries: &[Entry]) -> BTreeMap<&str, (&Entry, &Decision)> {
    let decided = entries.iter().filter_map(|entry| match &entry.act {
        Act::Decided { subject, decision } => Some((subject.as_str(), (entry, decision))),
        _ => None,
    });
    decided.collect()
}

/// Those of the population, and those who joined later.
fn all_subjects<'r>(population: &'r Population, entries: &'r [Entry]) -> impl Iterator<Item = &'r Subject> {
    let joined = entries.iter().filter_map(|entry| match &entry.act {
        Act::Joined { subject } => Some(&**subject),
        _ => None,
    });
    population.subjects.iter().chain(joined)
}

fn due(entries: &[Entry]) -> Option<(Time, Time, &str)> {
    entries.iter().find_map(|entry| match &entry.act {
        Act::Opened { population, due } => Some((entry.at, *due, population.as_str())),
        _ => None,
    })
}

fn signed(entries: &[Entry]) -> Option<(&Entry, &str)> {
    entries.iter().rev().find_map(|entry| match &entry.act {
        Act::SignedOff { statement } => Some((entry, statement.as_str())),
        _ => None,
    })
}

fn who(by: Option<&By>) -> &str {
    by.map_or("this system", |by| if by.arn.is_empty() { &by.who } else { &by.arn })
}

/// A review as one row.
pub fn standing(period: &Period, population: &Population, entries: &[Entry]) -> Row {
    let decided = decisions(entries);
    let subjects: Vec<&Subject> = all_subjects(population, entries).collect();
    let count = |verb: Verb| {
        let of_verb =
            |subject: &&&Subject| decided.get(&*subject.id).is_some_and(|(_, decision)| decision.verb == verb);
        subjects.iter().filter(of_verb).count()
    };
    let undecided = subjects.iter().filter(|subject| !decided.contains_key(&*subject.id)).count();
    let opened = due(entries);
    let closed = signed(entries);
    let by = closed.and_then(|(entry, _)| entry.by.as_ref());
    let (reviewed, left_out): (Vec<&Scope>, _) = population.scope.iter().partition(|scope| scope.excluded.is_none());
    let why = |scope: &&Scope| format!("{}: {}", named(scope), scope.excluded.as_deref().unwrap_or_default());
    vec![
        json!(period.id),
        json!(period.from),
        json!(period.to),
        json!(opened.map(|(at, ..)| at)),
        json!(opened.map(|(_, due, _)| due)),
        json!(reviewed.into_iter().map(named).collect::<Vec<_>>()),
        json!(left_out.iter().map(why).collect::<Vec<_>>()),
        json!(subjects.len()),
        json!(count(Verb::Keep)),
        json!(count(Verb::Modify)),
        json!(count(Verb::Revoke)),
        json!(undecided),
        json!(population.unknown.len()),
        json!(!population.gaps.is_empty()),
        json!(closed.map(|(entry, _)| entry.at)),
        json!(closed.map(|(entry, _)| who(entry.by.as_ref()))),
        json!(by.map(|by| &by.proven)),
        json!(closed.map(|(_, statement)| statement)),
        json!(population.people_sha256),
        json!(opened.map(|(_, _, sha256)| sha256)),
    ]
}

fn named(scope: &Scope) -> String {
    format!("{} {}", scope.name, scope.account).trim().to_owned()
}

/// What was asked for a population, with the receipts of the answers.
pub fn receipts<'r>(period: &'r Period, population: &'r Population) -> impl Iterator<Item = Row> + 'r {
    population.receipts.iter().map(|receipt| {
        vec![
            json!(period.id),
            json!(receipt.account),
            json!(receipt.region),
            json!(receipt.call),
            json!(receipt.parameters),
            json!(receipt.time),
            json!(receipt.request_ids),
            json!(receipt.rows),
            json!(receipt.sha256),
            json!(receipt.refusal),
        ]
    })
}

/// Who was active in the period and is no subject.
pub fn strangers<'r>(period: &'r Period, population: &'r Population) -> impl Iterator<Item = Row> + 'r {
    population.unknown.iter().map(|stranger| {
        let (kind, actor, session) = match &stranger.actor {
            ActorKey::Root(account) => ("root", account, ""),
            ActorKey::User(arn) => ("user", arn, ""),
            ActorKey::Role(arn) => ("role", arn, ""),
            ActorKey::Session { role, name } => ("session", role, name.as_str()),
        };
        let usage = &stranger.usage;
        vec![
            json!(period.id),
            json!(kind),
            json!(actor),
            json!(session),
            json!(usage.records),
            json!(usage.first),
            json!(usage.last),
            json!(usage.services.keys().collect::<Vec<_>>()),
            json!(usage.samples.iter().map(|record| record.id.as_str()).collect::<Vec<_>>()),
        ]
    })
}

fn grant(grant: &Grant) -> String {
    let via = if grant.via.is_empty() { String::new() } else { format!(" via {}", grant.via) };
    format!("{} {}{via}", kind_of(&grant.kind), grant.name)
}

/// All subjects with what was decided about them, and what came of that.
pub fn subjects<'r>(
    period: &'r Period,
    standing: &'r Standing,
    entries: &'r [Entry],
) -> impl Iterator<Item = Row> + 'r {
    let decided = decisions(entries);
    standing.subjects().map(move |(subject, line)| {
        let mut row = vec![json!(period.id), json!(subject.number)];
        row.extend(person_cells(subject));
        row.extend(usage_cells(subject));
        row.extend(decision_cells(decided.get(subject.id.as_str()).copied()));
        row.extend(remedy_cells(line));
        row
    })
}

fn remedy_cells(line: &Line) -> [Value; 3] {
    let remedy = (line.remedy != Remedy::None).then(|| kind_of(&line.remedy).replace('_', " "));
    [json!(remedy), json!(line.due), json!(line.removed_at)]
}

fn person_cells(subject: &Subject) -> Vec<Value> {
    let person = subject.person.as_ref();
    vec![
        json!(subject.id),
        json!(subject.kind),
        json!(subject.account),
        json!(subject.name),
        json!(person.map(|person| &person.id)),
        json!(person.map(|person| person.active)),
        json!(person.map(|person| &person.manager)),
        json!(subject.privileged),
        json!(subject.privileged_by),
        json!(subject.grants.iter().map(grant).collect::<Vec<_>>()),
        json!(subject.mfa),
    ]
}

fn usage_cells(subject: &Subject) -> Vec<Value> {
    let by = subject.created_by.as_ref();
    let provisioner =
        by.map(|by| if by.pipeline { format!("provisioner unknown ({})", by.actor) } else { by.actor.clone() });
    let samples: Vec<&str> = subject.usage.samples.iter().map(|record| record.id.as_str()).collect();
    vec![
        json!(subject.created),
        json!(provisioner),
        json!(subject.last_used),
        json!(subject.usage.records),
        json!(subject.usage.last),
        json!(subject.usage.services.keys().collect::<Vec<_>>()),
        json!(samples),
        json!(subject.reviewer),
        json!(subject.joined),
    ]
}

fn decision_cells(decided: Option<(&Entry, &Decision)>) -> Vec<Value> {
    let Some((entry, decision)) = decided else { return vec![Value::Null; 6] };
    let ticket = if decision.ticket.is_empty() { "approval not evidenced" } else { &decision.ticket };
    vec![
        json!(decision.verb),
        json!(entry.by.as_ref().map(|by| &by.who)),
        json!(entry.by.as_ref().map(|by| format!("{} ({})", who(Some(by)), by.proven))),
        json!(entry.at),
        json!(decision.justification),
        json!(ticket),
    ]
}

/// The log of a review, an entry a row.
pub fn log<'r>(period: &'r Period, entries: &'r [Entry]) -> impl Iterator<Item = Row> + 'r {
    entries.iter().map(|entry| {
        let by = entry.by.as_ref();
        let act = serde_json::to_value(&entry.act).unwrap_or_default();
        let subject = act.pointer("/subject/id").or_else(|| act.get("subject")).cloned().unwrap_or_default();
        vec![
            json!(period.id),
            json!(entry.number),
            json!(entry.at),
            json!(by.map_or("this system", |by| by.who.as_str())),
            json!(by.map(|by| &by.arn)),
            json!(by.map(|by| &by.proven)),
            json!(by.map(|by| &by.address)),
            act.get("act").cloned().unwrap_or_default(),
            subject,
            act,
            json!(entry.sha256),
        ]
    })
}

/// What carried decisions out; and the decisions that nothing carried out yet.
pub fn proofs<'r>(period: &'r Period, entries: &'r [Entry]) -> impl Iterator<Item = Row> + 'r {
    let decided = decisions(entries);
    let done = |id: &str| {
        let is_proof = |act: &Act| matches!(act, Act::Carried { .. } | Act::Absent { .. } | Act::Reappeared { .. });
        entries.iter().any(|entry| is_proof(&entry.act) && entry.act.subject() == Some(id))
    };
    let waits = |(id, (_, decision)): &(&&str, &(&Entry, &Decision))| decision.verb != Verb::Keep && !done(id);
    let waiting: Vec<Row> = decided
        .iter()
        .filter(waits)
        .map(|(id, (entry, decision))| {
            let mut row =
                vec![json!(period.id), json!(id), json!(decision.verb), json!(entry.at), json!("not seen yet")];
            row.resize(11, Value::Null);
            row
        })
        .collect();
    waiting.into_iter().chain(carried(period, entries, decided))
}

fn carried<'r>(
    period: &'r Period,
    entries: &'r [Entry],
    decided: BTreeMap<&'r str, (&'r Entry, &'r Decision)>,
) -> impl Iterator<Item = Row> + 'r {
    entries.iter().filter_map(move |entry| {
        let (subject, what, effect, record, actor) = match &entry.act {
            Act::Carried { subject, effect, record, actor } => {
                (subject, "seen in log", effect.as_str(), Some(record), actor.as_str())
            }
            Act::Absent { subject, population } => (subject, "confirmed absent", population.as_str(), None, ""),
            Act::Reappeared { subject, why, record } => (subject, "reappeared", why.as_str(), record.as_ref(), ""),
            _ => return None,
        };
        let decision = decided.get(subject.as_str());
        let at = record.map_or(entry.at, |record| record.time);
        Some(vec![
            json!(period.id),
            json!(subject),
            json!(decision.map(|(_, decision)| decision.verb)),
            json!(decision.map(|(decided, _)| decided.at)),
            json!(what),
            json!(effect),
            json!(at),
            json!(record.map(|record| &record.account)),
            json!(record.map(|record| &record.id)),
            json!(actor),
            json!(decision.map(|(decided, _)| at.0 - decided.at.0)),
        ])
    })
}

/// People and access that came or went between two times, in order of time.
pub fn joiners_and_leavers((from, to): (Time, Time), (taken, standing): (Time, &Standing)) -> Vec<Row> {
    let within = move |time: Option<Time>| time.filter(|time| (from..to).contains(time));
    let moves = standing.subjects().flat_map(|(subject, state)| {
        let person = subject.person.as_ref();
        let line = |what: &str, when: Time, note: String| {
            let by = subject.created_by.as_ref().filter(|_| what == "access created");
            vec![
                json!(what),
                json!(when),
                json!(subject.account),
                json!(subject.id),
                json!(person.map(|person| &person.id)),
                json!(by.map(|by| if by.pipeline { "provisioner unknown" } else { &by.actor })),
                json!(by.map(|by| &by.record.id)),
                json!(note),
            ]
        };
        let created = within(subject.created).map(|when| {
            let joined = if subject.joined { "after the population was taken" } else { "" };
            line("access created", when, joined.to_owned())
        });
        let began =
            within(person.and_then(|person| person.start)).map(|when| line("person started", when, String::new()));
        let left = person.and_then(|person| person.end);
        let days = |from: Time, to: Time| (to.0 - from.0) / 86_400;
        let ended = within(left).map(|when| {
            let still =
                format!("still had this access when the population was taken, {} days later", days(when, taken));
            let note = if taken > when { still } else { String::new() };
            line("person left", when, note)
        });
        let removed = within(state.removed_at).map(|when| {
            let late = left.filter(|left| *left < when);
            let note = late.map(|left| format!("{} days after the person had left", days(left, when)));
            line("access removed", when, note.unwrap_or_default())
        });
        [created, began, ended, removed].into_iter().flatten().collect::<Vec<_>>()
    });
    let mut moves: Vec<Row> = moves.collect();
    moves.sort_by_key(|row| row[1].to_string());
    moves
}

/// What is to be told of a review as it stands at `now`.
pub fn exceptions(
    (now, period): (Time, &Period),
    (population, standing): (&Population, &Standing),
    entries: &[Entry],
) -> Vec<Exception> {
    let decided = decisions(entries);
    let mut found = Vec::new();
    for gap in &population.gaps {
        let account = if gap.account.is_empty() { "the organization" } else { &gap.account };
        let said = format!("{account}: {}: {}", gap.what, gap.why);
        found.push(Exception::new("partial", &period.id, population.taken).because(said));
    }
    if let Some((_, due, _)) = due(entries) {
        let signed = signed(entries).map(|(entry, _)| entry.at);
        if signed.unwrap_or(now) > due {
            let how = signed.map_or("it is not signed off".to_owned(), |at| format!("it was signed off at {at}"));
            found.push(Exception::new("late", &period.id, due).because(how));
        }
    }
    for (subject, line) in standing.subjects() {
        match decided.get(subject.id.as_str()) {
            Some((entry, decision)) => found.extend(of_decision(subject, entry, decision)),
            None if line.stage == Stage::Gone => {}
            None => found.push(Exception::new("undecided", &subject.id, population.taken).by(&subject.reviewer)),
        }
        found.extend(of_remedy(subject, line));
    }
    let named = |id: &str| {
        let subject = all_subjects(population, entries).find(|subject| subject.id == id);
        subject.map_or("the whole review".to_owned(), |subject| format!("{} in {}", subject.name, subject.account))
    };
    found.extend(entries.iter().filter_map(|entry| of_entry(entry, &named)));
    found
}

fn of_decision(subject: &Subject, entry: &Entry, decision: &Decision) -> Option<Exception> {
    let by = entry.by.as_ref()?;
    let same_person = by.person.is_some() && by.person.as_ref() == subject.person.as_ref().map(|person| &person.id);
    let exception = |kind| Exception::new(kind, &subject.id, entry.at).by(who(Some(by)));
    if same_person || by.arn == subject.id {
        return Some(exception("self_decided").because(format!("{} about oneself", kind_of(&decision.verb))));
    }
    let mut given = subject.created_by.iter().chain(&subject.given_by).filter(|given| !given.pipeline);
    let gave = given.any(|given| given.actor == by.arn || given.actor == by.who);
    if gave && decision.verb == Verb::Keep {
        return Some(exception("decided_by_provisioner"));
    }
    None
}

/// What should have gone and did not, or went too late.
fn of_remedy(subject: &Subject, line: &Line) -> Option<Exception> {
    let due = line.due.filter(|_| line.late)?;
    Some(match line.removed_at {
        Some(at) => Exception::new("removed_late", &subject.id, due).because(format!("it went at {at}")),
        None => Exception::new("overdue", &subject.id, due).because(format!("still there: {}", line.left.join(", "))),
    })
}

fn of_entry(entry: &Entry, named: &dyn Fn(&str) -> String) -> Option<Exception> {
    match &entry.act {
        Act::Excepted { subject, reason, approver } => {
            let about = if subject.is_empty() { "the whole review" } else { subject };
            let said = format!("{}: {reason}; approved by {approver}", named(subject));
            Some(Exception::new("excepted", about, entry.at).by(who(entry.by.as_ref())).because(said))
        }
        Act::Reappeared { subject, why, .. } => Some(Exception::new("reappeared", subject, entry.at).because(why)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Gap;
    use crate::evidence::item;
    use crate::review::population::{Person, Provisioner};
    use crate::review::standing::At;
    use crate::review::{GrantKind, Known, RecordId, SubjectKind, Usage};
    use crate::settings::Review;

    fn subject(name: &str) -> Subject {
        Subject {
            number: 1,
            id: format!("arn:aws:iam::111122223333:user/{name}"),
            kind: SubjectKind::User,
            account: "111122223333".to_owned(),
            name: name.to_owned(),
            unique_id: String::new(),
            person: Some(Person { id: name.to_owned(), end: Some(Time(150)), ..Person::default() }),
            grants: Vec::new(),
            privileged: false,
            privileged_by: Vec::new(),
            mfa: None,
            keys: Vec::new(),
            trusts: Vec::new(),
            created: Some(Time(100)),
            created_by: None,
            given_by: Vec::new(),
            last_used: None,
            actors: Vec::new(),
            usage: Usage::default(),
            reviewer: "boss".to_owned(),
            joined: false,
        }
    }

    fn entry(number: u64, who: &str, act: Act) -> Entry {
        let by = By {
            who: who.to_owned(),
            arn: format!("arn:aws:sts::1:assumed-role/r/{who}"),
            account: String::new(),
            proven: "signed".to_owned(),
            address: String::new(),
            person: Some(who.to_owned()),
        };
        Entry {
            number,
            at: Time(1_000 + 10 * i64::try_from(number).unwrap()),
            by: Some(by),
            act,
            sha256: String::new(),
        }
    }

    fn decided(subject: &Subject, verb: Verb) -> Act {
        let decision = Decision { verb, remove: Vec::new(), justification: String::new(), ticket: String::new() };
        Act::Decided { subject: subject.id.clone(), decision }
    }

    fn period() -> Period {
        Period { id: "2026-Q4".to_owned(), from: Time(0), to: Time(500) }
    }

    #[test]
    fn exceptions_are_told_and_nothing_else() {
        let (alice, bob, eve) = (subject("alice"), subject("bob"), subject("eve"));
        let (bob, eve) = (Subject { number: 2, ..bob }, Subject { number: 3, ..eve });
        let record = RecordId { account: String::new(), id: "r".to_owned(), time: Time(90) };
        let by = Provisioner { record, actor: "boss".to_owned(), pipeline: false };
        let eve = Subject { created_by: Some(by), ..eve };
        let gap = Gap { account: String::new(), what: "iam:ListUsers".to_owned(), why: "refused".to_owned() };
        let mut population = Population {
            subjects: vec![alice.clone(), bob.clone(), eve.clone()],
            gaps: vec![gap],
            ..Population::default()
        };
        let opened = Act::Opened { population: String::new(), due: Time(1_100) };
        let entries = [
            entry(1, "boss", opened),
            entry(2, "alice", decided(&alice, Verb::Keep)),
            entry(3, "boss", decided(&eve, Verb::Keep)),
        ];
        let kinds = |now: i64, population: &Population, entries: &[Entry]| {
            let (settings, known) = (Review::default(), Known::default());
            let at = At { settings: &settings, known: &known, now: Time(now) };
            let standing = Standing::of(population, entries, at);
            let found = exceptions((Time(now), &period()), (population, &standing), entries);
            found.into_iter().map(|one| one.kind).collect::<Vec<_>>()
        };
        let all = ["partial", "late", "self_decided", "undecided", "decided_by_provisioner"];
        assert_eq!(kinds(1_101, &population, &entries), all);
        population.gaps.clear();
        population.subjects = vec![alice.clone()];
        let good = [entries[0].clone(), entry(2, "boss", decided(&alice, Verb::Keep))];
        assert_eq!(kinds(1_100, &population, &good), [""; 0]);
        let signed = Act::SignedOff { statement: "done".to_owned() };
        let late = [&good[..], &[entry(20, "boss", signed)]].concat();
        assert_eq!(kinds(9_999, &population, &late), ["late"]);
        let key = Grant { kind: GrantKind::AccessKey, name: "AKIA1".to_owned(), via: String::new() };
        population.subjects = vec![Subject { grants: vec![key], ..alice.clone() }];
        let revoked = [entries[0].clone(), entry(2, "boss", decided(&alice, Verb::Revoke))];
        assert_eq!(kinds(1_100, &population, &revoked), [""; 0]);
        let weeks = 1_100 + 21 * 86_400;
        assert_eq!(kinds(weeks, &population, &revoked), ["late", "overdue"]);
        let record = RecordId { account: String::new(), id: "r".to_owned(), time: Time(weeks) };
        let effect = "DeleteUser alice".to_owned();
        let carried = Act::Carried { subject: alice.id.clone(), effect, record, actor: "ops".to_owned() };
        let removed = [&revoked[..], &[entry(3, "", carried)]].concat();
        assert_eq!(kinds(weeks, &population, &removed), ["late", "removed_late"]);
    }

    #[test]
    fn a_removal_is_timed_from_the_decision_that_counts() {
        let bob = subject("bob");
        let record = RecordId { account: "1".to_owned(), id: "rec".to_owned(), time: Time(1_100) };
        let carried =
            Act::Carried { subject: bob.id.clone(), effect: "DeleteUser".to_owned(), record, actor: "ops".to_owned() };
        let entries = [
            entry(1, "boss", decided(&bob, Verb::Keep)),
            entry(2, "boss", decided(&bob, Verb::Revoke)),
            entry(3, "", carried),
        ];
        assert_eq!(proofs(&period(), &entries[..2]).map(|row| row[4].clone()).collect::<Vec<_>>(), ["not seen yet"]);
        let rows: Vec<Row> = proofs(&period(), &entries).collect();
        let [row] = &rows[..] else { panic!("one row") };
        assert_eq!(row.len(), item("revocations").unwrap().columns.len());
        assert_eq!((&row[2], &row[8], &row[10]), (&json!("revoke"), &json!("rec"), &json!(80)));
    }

    #[test]
    fn who_left_and_still_had_access_is_said() {
        let population =
            Population { taken: Time(150 + 3 * 86_400), subjects: vec![subject("bob")], ..Population::default() };
        let (settings, known) = (Review::default(), Known::default());
        let at = At { settings: &settings, known: &known, now: Time(9 * 86_400) };
        let rows = joiners_and_leavers((Time(120), Time(500)), (population.taken, &Standing::of(&population, &[], at)));
        let [row] = &rows[..] else { panic!("left alone: created before the span") };
        assert_eq!((&row[0], row.len()), (&json!("person left"), item("joiners-and-leavers").unwrap().columns.len()));
        assert_eq!(row[7], json!("still had this access when the population was taken, 3 days later"));
        let bob = &population.subjects[0];
        let record = RecordId { account: String::new(), id: "r".to_owned(), time: Time(150 + 5 * 86_400) };
        let effect = "DeleteUser bob".to_owned();
        let carried = Act::Carried { subject: bob.id.clone(), effect, record, actor: "ops".to_owned() };
        let entries = [entry(1, "boss", decided(bob, Verb::Revoke)), entry(2, "", carried)];
        let standing = Standing::of(&population, &entries, at);
        let rows = joiners_and_leavers((Time(500), Time(9 * 86_400)), (population.taken, &standing));
        let [row] = &rows[..] else { panic!("removed alone") };
        assert_eq!((&row[0], &row[7]), (&json!("access removed"), &json!("5 days after the person had left")));
    }
}
