//! The schedule of reviews: what is late, overdue, gone or new is found, and reviewers are reminded.

use std::borrow::Cow;

use serde_json::{Value, json};
use trail::detections::reviews::{About, REVIEW_LATE, REVIEW_OVERDUE, found};
use trail::finding::Finding;
use trail::review::effect::Plan;
use trail::review::standing::{Cycle, Line, Remedy, Stage};
use trail::review::{Act, Entry, Grant, GrantKind, Population, Scope, Standing, Subject, Trace};
use trail::settings::Settings;
use trail::time::Time;

use super::log::{Opened, Reviews, Source};
use super::opening::{add_givers, provisioners};
use super::proof::account_of;
use crate::deployment::Deployment;
use crate::error::Error;
use crate::raise::raise;
use crate::state::{Append, Notice, ReviewMeta};

/// Reviewers are reminded so long before all has to be decided, in seconds.
const REMIND_SECONDS: i64 = 7 * 86_400;

/// How long it may take until what a call removed is gone everywhere, in seconds.
const SETTLED_SECONDS: i64 = 900;

/// A quarter, and two weeks to begin with the next one, in seconds.
const CYCLE_SECONDS: i64 = (92 + 14) * 86_400;

/// How long a review is looked after once it is signed off, in seconds: until the one after the next.
const AFTER_SECONDS: i64 = 200 * 86_400;

/// Looks after reviews.
#[derive(Debug)]
pub struct Review<'d, S> {
    deployment: &'d Deployment,
    source: S,
    reminds: bool,
}

impl<'d, S: Source> Review<'d, S> {
    /// For this deployment, with populations from here.
    pub fn new(deployment: &'d Deployment, source: S) -> Self {
        Self { deployment, source, reminds: true }
    }

    /// Without reminding anybody: on one machine there is nobody to tell.
    #[must_use]
    pub fn without_reminders(self) -> Self {
        Self { reminds: false, ..self }
    }

    /// Looks after every review that is not over. One that cannot be read keeps none of the others back.
    pub async fn check(&self, settings: &Settings, now: Time) -> Result<Value, Error> {
        let (mut checked, mut failed) = (0_u64, None);
        let reviews = self.deployment.state.reviews().await?;
        raise(self.deployment, settings, missed(&reviews, now).into_iter().collect(), now).await?;
        for meta in reviews {
            match self.check_one(&meta, (settings, now)).await {
                Ok(()) => checked += 1,
                Err(error) => {
                    tracing::error!(%error, review = meta.period.id, "a review cannot be looked after");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(json!({"checked": checked})), Err)
    }

    async fn check_one(&self, meta: &ReviewMeta, (settings, now): (&Settings, Time)) -> Result<(), Error> {
        let state = &self.deployment.state;
        let reviews = Reviews { state, settings, source: &self.source, local: self.deployment.alerts.is_none() };
        let id = meta.period.id.as_str();
        let opened = reviews.load(id).await?;
        let standing = reviews.standing(&opened, now);
        if standing.signed_off.as_ref().is_some_and(|(at, _)| now.0 - at.0 > AFTER_SECONDS) {
            return Ok(());
        }
        if let Some((mut later, sha256)) = self.source.later(opened.meta.taken, settings).await? {
            self.add_provisioners(&mut later, (&opened, &standing), settings).await?;
            state.append(id, now, |log| Ok(compared(&reviews, &opened, (log, &later, &sha256), now))).await?;
            reviews.wait_for(&opened, None).await?;
        }
        let opened = reviews.load(id).await?;
        let standing = reviews.standing(&opened, now);
        raise(self.deployment, settings, findings(&opened, &standing, now), now).await?;
        let is_time = standing.signed_off.is_none() && !standing.is_ready() && now.0 >= meta.due.0 - REMIND_SECONDS;
        if self.reminds && is_time && reviews.remind(id, now).await? {
            state.owe(&Notice::Review(id.to_owned())).await?;
        }
        Ok(())
    }

    /// Who gave what is new: nobody decides about access that he gave himself.
    async fn add_provisioners(
        &self,
        later: &mut Population,
        (opened, standing): (&Opened, &Standing),
        settings: &Settings,
    ) -> Result<(), Error> {
        if standing.signed_off.is_some() || joined(opened, &opened.log, later).is_empty() {
            return Ok(());
        }
        let given = self.deployment.lake().provisions(Some(opened.meta.taken), None).await?;
        let sets = &opened.meta.known.permission_sets;
        let set = |arn: &str| sets.iter().find(|(_, known)| *known == arn).map(|(name, _)| name.as_str());
        let pipelines = &settings.review.pipelines;
        let all = provisioners(&given.all, set, pipelines);
        add_givers(&mut later.subjects, &given.all, pipelines);
        later.subjects.iter_mut().for_each(|subject| subject.created_by = all.get(&subject.id).cloned());
        Ok(())
    }
}

/// A finding where no review was opened for a quarter. Those for one who leaves are none of a quarter.
fn missed(reviews: &[ReviewMeta], now: Time) -> Option<Finding> {
    let last = reviews.iter().filter(|meta| meta.leaver.is_none()).max_by_key(|meta| meta.opened)?;
    let due = Time(last.opened.0 + CYCLE_SECONDS);
    let id = format!("after {}", last.period.id);
    let what = format!("no review was opened since {} of {}", last.period.id, last.opened.date());
    let about = About { review: &id, subject: "", account: "*", time: due, what: &what, occurrence: "missed" };
    (now > due).then(|| Finding::of(&found(&REVIEW_LATE, &about)))
}

/// What a later population says that the log does not: who is gone, who is there again, who joined.
fn compared<S: Source>(
    reviews: &Reviews<'_, S>,
    opened: &Opened,
    (log, later, sha256): (&[Entry], &Population, &str),
    now: Time,
) -> Append {
    let now_opened = Opened { meta: opened.meta.clone(), population: opened.population.clone(), log: log.to_vec() };
    let standing = reviews.standing(&now_opened, now);
    let there = |subject: &Subject| {
        let found = later.subjects.iter().find(|found| found.id == subject.base())?;
        if !subject.is_addition() {
            return Some(Cow::Borrowed(found));
        }
        // Of what was given later, that part alone.
        let grants: Vec<Grant> = found.grants.iter().filter(|grant| subject.grants.contains(grant)).cloned().collect();
        (!grants.is_empty()).then(|| Cow::Owned(Subject { grants, trusts: Vec::new(), ..found.clone() }))
    };
    let mut news: Append = Vec::new();
    for (subject, line) in standing.subjects() {
        // Where a part could not be seen, or was not looked at, absence says nothing.
        let is_of = |scope: &&Scope| scope.account == subject.account && scope.excluded.is_none();
        let blind = later.gaps.iter().any(|gap| gap.account.is_empty() || gap.account == subject.account)
            || !later.scope.iter().any(|scope| is_of(&scope));
        let change = match there(subject) {
            None if blind => None,
            found => changed((subject, line), found.as_deref(), (opened, later.taken, sha256)),
        };
        news.extend(change.map(|act| (None, act)));
    }
    if standing.signed_off.is_none() {
        news.extend(joined(opened, log, later));
    }
    news
}

fn changed(
    (subject, line): (&Subject, &Line),
    found: Option<&Subject>,
    (opened, taken, sha256): (&Opened, Time, &str),
) -> Option<Act> {
    let is_absent = match (&line.decision, line.stage) {
        (Some(decision), Stage::Decided) => {
            let plan = Plan::of(subject, decision, &opened.meta.known)?;
            found.is_none_or(|found| lacks(subject, found, &plan, decision))
        }
        _ => found.is_none(),
    };
    let was_absent = line.remedy == Remedy::ConfirmedAbsent || line.stage == Stage::Gone;
    let id = subject.id.clone();
    // What the log shows to be gone is looked for again: a call may fail after it was taken.
    let is_settled = line.removed_at.is_some_and(|gone| taken.0 > gone.0 + SETTLED_SECONDS);
    let is_left = |found: &Subject| line.decision.as_ref().is_some_and(|decision| still_has(subject, found, decision));
    if line.remedy == Remedy::SeenInLog && is_settled && found.is_some_and(is_left) {
        return Some(Act::Reappeared { subject: id, why: "a later snapshot still has it".to_owned(), record: None });
    }
    match (was_absent, is_absent) {
        (false, true) => Some(Act::Absent { subject: id, population: sha256.to_owned() }),
        (true, false) => {
            let why = "a later snapshot has it again".to_owned();
            Some(Act::Reappeared { subject: id, why, record: None })
        }
        _ => None,
    }
}

/// Whether of what was to go nothing is left in what is there: another of that name has another id.
fn lacks(subject: &Subject, found: &Subject, plan: &Plan, decision: &trail::review::Decision) -> bool {
    use trail::review::Verb;
    match decision.verb {
        Verb::Keep => false,
        Verb::Modify => decision.remove.iter().all(|gone| !has(found, gone)),
        // What remains of a user without any right or credential is a name.
        Verb::Revoke => {
            let is_new = found.unique_id != subject.unique_id;
            let emptied = !found.grants.iter().any(|grant| has(found, grant));
            let emptied = emptied && !subject.grants.is_empty() && found.trusts.is_empty();
            !is_new && emptied && !plan.needs.is_empty()
        }
    }
}

/// Whether a subject has this and can use it: a key that is switched off opens nothing.
fn has(found: &Subject, grant: &Grant) -> bool {
    let is_off = found.keys.iter().any(|key| key.id == grant.name && !key.active);
    found.grants.contains(grant) && !(grant.kind == GrantKind::AccessKey && is_off)
}

/// Whether some of what was to go is still there, or credentials are.
fn still_has(subject: &Subject, found: &Subject, decision: &trail::review::Decision) -> bool {
    use trail::review::Verb;
    let all = |grant: &&Grant| grant.via.is_empty() || grant.kind == GrantKind::DirectoryGroup;
    match decision.verb {
        Verb::Keep => false,
        Verb::Modify => decision.remove.iter().any(|gone| has(found, gone)),
        Verb::Revoke => {
            let opens = |grant: &&Grant| matches!(grant.kind, GrantKind::AccessKey | GrantKind::Password);
            subject.grants.iter().filter(all).any(|gone| has(found, gone))
                || found.grants.iter().filter(opens).any(|grant| has(found, grant))
        }
    }
}

/// Access that was given after the population was taken, numbered on. Where the review is about one who leaves, that of
/// others is none of it.
fn joined(opened: &Opened, log: &[Entry], later: &Population) -> Append {
    let before: Vec<Subject> = log
        .iter()
        .filter_map(|entry| match &entry.act {
            Act::Joined { subject } => Some((**subject).clone()),
            _ => None,
        })
        .collect();
    let leaver = opened.meta.leaver.as_deref();
    let person = |subject: &Subject| subject.person.as_ref().map(|person| person.id.clone());
    let is_meant = |subject: &Subject| leaver.is_none() || person(subject).as_deref() == leaver;
    let subjects = later.subjects.iter().filter(|subject| is_meant(subject)).cloned().collect();
    let new = opened.population.joined(&before, Population { subjects, ..later.clone() });
    new.into_iter().map(|subject| (None, Act::Joined { subject: Box::new(subject) })).collect()
}

/// What of a review people have to know.
fn findings(opened: &Opened, standing: &Standing, now: Time) -> Vec<Finding> {
    let review = opened.meta.period.id.as_str();
    let mut findings = Vec::new();
    if standing.cycle(now) == Cycle::Late {
        let what = format!("review {review} was to be finished by {}", opened.meta.due.date());
        let about = About { review, subject: "", account: "*", time: opened.meta.due, what: &what, occurrence: "late" };
        findings.push(Finding::of(&found(&REVIEW_LATE, &about)));
    }
    for (subject, line) in standing.subjects().filter(|(_, line)| line.remedy == Remedy::Overdue) {
        let due = line.due.unwrap_or_default();
        let what = format!("{} was to be gone by {}: {} is left", subject.id, due.date(), line.left.join(", "));
        let account = account_of(&subject.id);
        let occurrence = due.to_string();
        let about = About { review, subject: &subject.id, account, time: due, what: &what, occurrence: &occurrence };
        findings.push(Finding::of(&found(&REVIEW_OVERDUE, &about)));
    }
    let back = standing.subjects().filter(|(_, line)| line.remedy == Remedy::Reappeared);
    let open = standing.open(review, (&opened.population, &opened.meta.known));
    findings.extend(back.filter_map(|(subject, _)| {
        let open = open.iter().find(|open| open.number == subject.number)?;
        super::proof::reappeared(open, &Trace::of(&open.plan, &opened.log), &opened.log)
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail::review::{Known, Period};

    fn opened(id: &str, days: i64, leaver: Option<&str>) -> ReviewMeta {
        let time = Time(1_790_000_000 + days * 86_400);
        ReviewMeta {
            period: Period { id: id.to_owned(), from: time, to: time },
            opened: time,
            due: time,
            taken: time,
            population: String::new(),
            path: String::new(),
            subjects: 0,
            known: Known::default(),
            leaver: leaver.map(str::to_owned),
        }
    }

    #[test]
    fn a_quarter_without_a_review_is_found() {
        let at = |days: i64| Time(1_790_000_000 + days * 86_400);
        let reviews = [opened("2026-Q3", 0, None), opened("leaver", 80, Some("dave"))];
        assert!(missed(&[], at(500)).is_none(), "nobody has begun");
        assert!(missed(&reviews, at(106)).is_none());
        let found = missed(&reviews, at(107)).expect("missed");
        assert_eq!(found.detection_id, REVIEW_LATE.id);
        assert_eq!(found.finding_id, missed(&reviews, at(300)).expect("missed").finding_id);
        assert!(missed(&[opened("2026-Q4", 92, None)], at(107)).is_none());
    }
}
