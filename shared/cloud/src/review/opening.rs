//! From what AWS answered to an open review: its population is made of snapshots, records and people, kept, and opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use lake::Lake;
use lake::usage::Provision;
use serde_json::Value;
use trail::access::{Access, Gap};
use trail::review::population::Provisioner;
use trail::review::{ActorKey, Input, Known, Listed, People, Period, Population, Subject, SubjectKind, Usage};
use trail::settings::{Settings, glob};
use trail::snapshot::{Reply, Snapshot};
use trail::time::Time;

use super::log::{Opening, Reviews, Source};
use super::store::Store;
use crate::error::Error;

/// How far back the record that gave access is looked for, in seconds.
const LOOK_BACK: i64 = 400 * 86_400;

/// Makes populations.
#[derive(Debug, Clone, Copy)]
pub struct Making<'m> {
    /// What everybody did.
    pub lake: &'m Lake,
    /// What is reviewed.
    pub settings: &'m Settings,
    /// Snapshots, and where populations are kept.
    pub store: &'m Store,
}

impl Making<'_> {
    /// Opens a review over the last complete snapshots. Yields how many subjects it has; none where it is open already.
    pub async fn open(
        &self,
        reviews: &Reviews<'_, impl Source>,
        (period, leaver): (&Period, Option<&str>),
        now: Time,
    ) -> Result<Option<usize>, Error> {
        if reviews.state.review(&period.id).await?.is_some() {
            return Ok(None);
        }
        if period.to > now {
            let (id, to, day) = (&period.id, period.to, Time(now.0 - 86_400).date());
            let what = format!("{id} ends at {to}: what was used in it is not known yet");
            let from = period.from.date();
            let days = format!("review the days that are over, as {from}..{day}");
            let way_out = if from <= day { days } else { "review one that is over".to_owned() };
            return Err(Error::Configuration(format!("{what}; {way_out}")));
        }
        let none =
            || Error::Configuration("there is no complete snapshot of who has access: take one first".to_owned());
        let (_, snapshots) = self.store.last_access(Time(now.0 + 1)).await?.ok_or_else(none)?;
        let mut population = self.population(period, &snapshots).await?;
        if let Some(person) = leaver {
            population.subjects.retain(|subject| subject.person.as_ref().is_some_and(|known| known.id == person));
            if population.subjects.is_empty() {
                let why = format!(
                    "{person} has no access that the people's list ties to them: see the aliases in people.csv"
                );
                return Err(Error::Configuration(why));
            }
        }
        let kept = self.store.put_population(&period.id, &population).await?;
        let opening = Opening {
            period: period.clone(),
            population: &population,
            stored: (kept.path, kept.sha256),
            known: known(&snapshots),
            leaver: leaver.map(str::to_owned),
        };
        Ok(reviews.open(opening, now).await?.then_some(population.subjects.len()))
    }

    /// Who has access by these snapshots, what they did in the period, and who gave it to them.
    pub async fn population(&self, period: &Period, snapshots: &[Snapshot]) -> Result<Population, Error> {
        let used = self.lake.usage(period.from, period.to).await?;
        let begin = Time(period.from.0 - LOOK_BACK);
        let given = self.lake.provisions(Some(begin), None).await?;
        let access = Access::read(snapshots);
        let set = |arn: &str| Some(access.directory.as_ref()?.permission_sets.get(arn)?.name.as_str());
        let provisioners = provisioners(&given.all, set, &self.settings.review.pipelines);
        let mut population =
            made(self.store, (self.settings, period), snapshots, (&used.actors, &provisioners)).await?;
        add_givers(&mut population.subjects, &given.all, &self.settings.review.pipelines);
        let unread = |what: &str, why: String| Gap { account: String::new(), what: what.to_owned(), why };
        for (object, why) in &used.read.skipped {
            let why = format!("{object}: {why}; qtrail rebuild makes the day anew");
            population.gaps.push(unread("records of the period", why));
        }
        if given.partial {
            let why = "some files of the lake could not be read: who gave access may be missing".to_owned();
            population.gaps.push(unread("records of who gave access", why));
        }
        Ok(population)
    }
}

async fn made(
    store: &Store,
    (settings, period): (&Settings, &Period),
    snapshots: &[Snapshot],
    (usage, provisioners): (&BTreeMap<ActorKey, Usage>, &BTreeMap<String, Provisioner>),
) -> Result<Population, Error> {
    let people = store.people().await?;
    let listed = people.as_ref().map(|(people, brought)| Listed { people, sha256: &brought.sha256, by: &brought.by });
    let access = Access::read(snapshots);
    let input = Input { access: &access, snapshots, settings, period, people: listed, usage, provisioners };
    Ok(Population::of(&input))
}

/// Who created what, by the subject's id: the earliest record counts. `set` knows a permission set's name by its ARN.
pub(super) fn provisioners<'s>(
    given: &[Provision],
    set: impl Fn(&str) -> Option<&'s str>,
    pipelines: &[String],
) -> BTreeMap<String, Provisioner> {
    let mut all = BTreeMap::new();
    let creations = given.iter().filter(|given| given.action.starts_with("Create"));
    for given in creations {
        let pipeline = pipelines.iter().any(|pattern| glob(pattern, &given.actor));
        let provisioner = || Provisioner { record: given.record.clone(), actor: given.actor.clone(), pipeline };
        if let Some(given) = &given.assignment
            && let Some(name) = set(&given.permission_set)
        {
            all.insert(format!("sso:{}/{}/{name}", given.principal, given.account), provisioner());
        }
        let arns = given.resources.iter().filter(|resource| resource.starts_with("arn:"));
        // They come newest first: the last one that is put stays.
        all.extend(arns.map(|arn| (arn.clone(), provisioner())));
    }
    all
}

/// Notes who gave subjects what they have, beside who made them: each actor once, by his newest record.
pub(super) fn add_givers(subjects: &mut [Subject], given: &[Provision], pipelines: &[String]) {
    let mut all: BTreeMap<(&str, SubjectKind, String), Vec<Provisioner>> = BTreeMap::new();
    for given in given {
        let kind = match given.action.as_str() {
            action if action.contains("Role") => SubjectKind::Role,
            "CreateAccountAssignment" => SubjectKind::Assignment,
            _ => SubjectKind::User,
        };
        let assigned = given.assignment.as_ref().map(|given| (given.account.as_str(), given.principal.as_str()));
        let named = given.resources.iter().map(|name| (given.record.account.as_str(), name.as_str()));
        for (account, name) in named.filter(|_| assigned.is_none()).chain(assigned) {
            let givers = all.entry((account, kind, name.to_lowercase())).or_default();
            if !givers.iter().any(|known| known.actor == given.actor) {
                let pipeline = pipelines.iter().any(|pattern| glob(pattern, &given.actor));
                givers.push(Provisioner { record: given.record.clone(), actor: given.actor.clone(), pipeline });
            }
        }
    }
    for subject in subjects {
        // An assignment is to a user or to a group that he is in.
        let names: Vec<String> = match subject.kind {
            SubjectKind::Assignment => {
                let user = subject.base().strip_prefix("sso:").and_then(|id| id.split('/').next());
                user.into_iter().chain(subject.grants.iter().map(|grant| &*grant.via)).map(str::to_lowercase).collect()
            }
            _ => vec![subject.name.to_lowercase(), subject.base().to_lowercase()],
        };
        let found = names.into_iter().filter_map(|name| all.get(&(&*subject.account, subject.kind, name)));
        let mut givers: Vec<Provisioner> = found.flatten().cloned().collect();
        givers.dedup_by(|a, b| a.actor == b.actor);
        subject.given_by = givers;
    }
}

/// Names of Identity Center that records have and populations do not.
fn known(snapshots: &[Snapshot]) -> Known {
    let mut known = Access::read(snapshots).directory.as_ref().map(Known::of).unwrap_or_default();
    let answers = snapshots.iter().flat_map(|snapshot| &snapshot.answers);
    for answer in answers.filter(|answer| answer.call == "identitystore:ListGroupMemberships") {
        let Reply::Body(body) = &answer.result else { continue };
        for one in body["GroupMemberships"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let key = format!("{}/{}", text(&one["MemberId"]["UserId"]), text(&one["GroupId"]));
            known.memberships.insert(key, text(&one["MembershipId"]));
        }
    }
    known
}

impl Source for Store {
    type Persons = People;

    async fn population(&self, review: &str) -> Result<Option<(Arc<Population>, String)>, Error> {
        Ok(Self::population(self, review).await?.map(|(population, kept)| (population, kept.sha256)))
    }

    async fn persons(&self) -> Result<People, Error> {
        Ok(self.people().await?.map(|(people, _)| people).unwrap_or_default())
    }

    /// Made of the newest snapshots, and kept beside them, so that its hash can be checked.
    async fn later(&self, than: Time, settings: &Settings) -> Result<Option<(Population, String)>, Error> {
        let Some((taken, snapshots)) = self.last_access(Time(i64::MAX)).await?.filter(|(taken, _)| *taken > than)
        else {
            return Ok(None);
        };
        let period = Period { id: taken.date(), from: than, to: taken };
        let population = made(self, (settings, &period), &snapshots, (&BTreeMap::new(), &BTreeMap::new())).await?;
        let kept = self.put_later(taken, &population).await?;
        Ok(Some((population, kept.sha256)))
    }
}

#[cfg(test)]
mod tests {
    use trail::review::RecordId;

    use super::*;

    fn given(action: &str, time: i64, resource: &str, actor: &str) -> Provision {
        Provision {
            record: RecordId { account: "111122223333".to_owned(), id: format!("r-{time}"), time: Time(time) },
            action: action.to_owned(),
            resources: vec!["alice".to_owned(), resource.to_owned()],
            actor: actor.to_owned(),
            ..Provision::default()
        }
    }

    #[test]
    fn whoever_created_first_gave_access_and_a_pipeline_is_told() {
        let (alice, ci) =
            ("arn:aws:iam::111122223333:user/alice", "arn:aws:sts::111122223333:assumed-role/terraform/ci");
        let all = [
            given("AttachUserPolicy", 9, alice, "arn:aws:iam::111122223333:user/eve"),
            given("CreateUser", 8, alice, ci),
            given("CreateUser", 5, alice, "arn:aws:iam::111122223333:user/bob"),
        ];
        let found = provisioners(&all, |_| None, &["arn:aws:sts::*:assumed-role/terraform/*".to_owned()]);
        assert_eq!(found.keys().collect::<Vec<_>>(), [alice]);
        assert_eq!((found[alice].record.id.as_str(), found[alice].pipeline), ("r-5", false));
        let found = provisioners(&all[..2], |_| None, &["arn:aws:sts::*:assumed-role/terraform/*".to_owned()]);
        assert!(found[alice].pipeline);
    }
}
