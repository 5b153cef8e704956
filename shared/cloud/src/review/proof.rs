//! The proof that a decision was carried out: records that `ingest` sees, put behind the review's log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use trail::detections::reviews::{ACCESS_REAPPEARED, About, found};
use trail::finding::Finding;
use trail::review::effect::{Open, Seen, Sighting, Watch};
use trail::review::{Act, Entry, Trace};
use trail::settings::Settings;
use trail::time::Time;

use crate::deployment::Deployment;
use crate::error::Error;
use crate::raise::raise;
use crate::state::{Append, State};

/// How long what is waited for is believed, in seconds: below the time that a removal takes to hold everywhere.
const KEPT_SECONDS: i64 = 120;

/// What is waited for, as this process knows it.
#[derive(Debug, Default)]
pub struct Proof {
    known: Mutex<Option<(Time, Arc<Watch>)>>,
}

impl Proof {
    /// Everything that is waited for: one query every two minutes.
    pub async fn watch(&self, state: &State, now: Time) -> Result<Arc<Watch>, Error> {
        if let Some((read, watch)) = &*self.lock()
            && now.0 - read.0 < KEPT_SECONDS
        {
            return Ok(watch.clone());
        }
        let watch = Arc::new(Watch::over(state.open_effects().await?));
        *self.lock() = Some((now, watch.clone()));
        Ok(watch)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Time, Arc<Watch>)>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Puts what was seen behind the logs, each record once, and raises a finding where access is there again. What
    /// fails here is delivered again, and put then.
    pub async fn take(
        &self,
        deployment: &Deployment,
        settings: &Settings,
        (sightings, now): (&[Sighting], Time),
    ) -> Result<usize, Error> {
        let mut reviews: BTreeMap<&str, Vec<&Sighting>> = BTreeMap::new();
        for sighting in sightings {
            reviews.entry(&sighting.review).or_default().push(sighting);
        }
        let open = deployment.state.open_effects().await?;
        let mut put = 0;
        for (review, seen) in reviews {
            let news = put_anew(review, &seen, &open);
            if news.is_empty() {
                continue;
            }
            put += self.take_of(deployment, settings, (review, &news), now).await?;
            // What the subject did counts by what is known to be gone now, of which these records may tell.
            let open = deployment.state.open_effects().await?;
            let acted = put_anew(review, &seen, &open);
            put += self.take_of(deployment, settings, (review, &acted), now).await?;
        }
        if put > 0 {
            *self.lock() = None;
        }
        Ok(put)
    }

    /// The same of one review.
    async fn take_of(
        &self,
        deployment: &Deployment,
        settings: &Settings,
        (review, sightings): (&str, &[Sighting]),
        now: Time,
    ) -> Result<usize, Error> {
        let put = deployment.state.append(review, now, |log| Ok(news(log, sightings))).await?.len();
        let open = deployment.state.open_effects().await?;
        let touched =
            |open: &&Open| open.review == review && sightings.iter().any(|one| one.subject == open.plan.subject);
        let log = deployment.state.review_log(review).await?;
        let mut findings = Vec::new();
        for open in open.iter().filter(touched) {
            let trace = Trace::of(&open.plan, &log);
            let open = Open { gone: trace.gone(), ..open.clone() };
            deployment.state.keep_open((review, open.number), Some(&open)).await?;
            findings.extend(reappeared(&open, &trace, &log));
        }
        raise(deployment, settings, findings, now).await?;
        Ok(put)
    }
}

/// What counts of what was seen, by what is gone now: an act of the subject's own is a return or nothing.
fn put_anew(review: &str, seen: &[&Sighting], open: &[Open]) -> Vec<Sighting> {
    let of = |one: &Sighting| open.iter().find(|open| open.review == review && open.number == one.number);
    seen.iter().filter_map(|one| (*one).clone().back(of(one)?)).collect()
}

/// What the log does not say yet.
fn news(log: &[Entry], sightings: &[Sighting]) -> Append {
    let mut news: Append = Vec::new();
    for act in sightings.iter().filter_map(act) {
        let is_known = log.iter().any(|entry| entry.act == act) || news.iter().any(|(_, known)| *known == act);
        if !is_known {
            news.push((None, act));
        }
    }
    news
}

fn act(sighting: &Sighting) -> Option<Act> {
    let Sighting { subject, record, actor, .. } = sighting.clone();
    match sighting.what.clone() {
        Seen::Carried(effect) => Some(Act::Carried { subject, effect, record, actor }),
        Seen::Back(why) => Some(Act::Reappeared { subject, why: format!("{why}, by {actor}"), record: Some(record) }),
        Seen::Acted(..) => None,
    }
}

/// A finding where access is there again: its occurrence is the record that shows it.
pub(super) fn reappeared(open: &Open, trace: &Trace, log: &[Entry]) -> Option<Finding> {
    let back = trace.back.as_ref()?;
    let (time, occurrence) = log.iter().rev().find_map(|entry| match &entry.act {
        Act::Reappeared { subject, why, record } if *subject == open.plan.subject && why == back => {
            Some(match record {
                Some(record) => (record.time, record.id.clone()),
                None => (entry.at, entry.sha256.clone()),
            })
        }
        _ => None,
    })?;
    let subject = open.plan.subject.as_str();
    let about = About {
        review: &open.review,
        subject,
        account: account_of(subject),
        time,
        what: &format!("{subject} has access again: {back}"),
        occurrence: &occurrence,
    };
    Some(Finding::of(&found(&ACCESS_REAPPEARED, &about)))
}

/// The account in a subject's id.
pub(super) fn account_of(subject: &str) -> &str {
    let account = match subject.strip_prefix("sso:") {
        Some(assignment) => assignment.split('/').nth(1),
        None => subject.split(':').nth(4),
    };
    account.filter(|account| !account.is_empty()).unwrap_or("*")
}
