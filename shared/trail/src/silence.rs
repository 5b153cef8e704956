//! Accounts and regions that fall silent, each against its own habit.
//!
//! What is judged is when a region was last heard, and the longest pauses that it made this week and the week before.
//! A stopped trail, a lost notification and an attacker's selector look the same from here: no log file comes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detections::pipeline::ACCOUNT_SILENT;
use crate::finding::{Match, ObjectFact};
use crate::time::Time;

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

/// Nobody is silent before this, in seconds: CloudTrail may deliver late, and queues may be long.
const PATIENCE: i64 = 3 * 3600;

/// Whoever makes pauses beyond this is heard too rarely to be missed, in seconds.
const RARELY: i64 = 2 * DAY;

/// A region of an account that log files came from, and how it is usually heard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heard {
    /// The account; `-` for log files that do not say.
    pub account: String,
    /// The region; empty where the log file does not say.
    pub region: String,
    /// The first delivery.
    pub since: Time,
    /// The newest delivery, by its name.
    pub last_heard: Time,
    /// The longest pause that ended in the week of `last_heard`, in seconds.
    pub pause: i64,
    /// The longest pause that ended in the week before.
    pub pause_before: i64,
    /// Counts the writes.
    pub v: u64,
}

impl Heard {
    /// A region that is heard for the first time.
    pub fn first(account: &str, region: &str, delivered: Time) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            since: delivered,
            last_heard: delivered,
            v: 1,
            ..Self::default()
        }
    }

    /// The same after a delivery; none where that is no newer than what is known.
    #[must_use]
    pub fn again(&self, delivered: Time) -> Option<Self> {
        let pause = delivered.0 - self.last_heard.0;
        if pause <= 0 {
            return None;
        }
        let (pause, pause_before) = match delivered.floor(WEEK).0 - self.last_heard.floor(WEEK).0 {
            0 => (self.pause.max(pause), self.pause_before),
            WEEK => (pause, self.pause),
            _ => (pause, 0),
        };
        Some(Self { last_heard: delivered, pause, pause_before, v: self.v + 1, ..self.clone() })
    }

    /// Whether it has been quiet for longer than it ever is. Only a delivery ends that.
    pub fn is_silent(&self, now: Time) -> bool {
        self.allowance().is_some_and(|allowed| self.quiet(now) > allowed)
    }

    fn quiet(&self, now: Time) -> i64 {
        now.0.saturating_sub(self.last_heard.0)
    }

    /// How long it may be quiet, in seconds; none where there is too little to judge by.
    fn allowance(&self) -> Option<i64> {
        let known = self.account != "-" && !self.region.is_empty() && self.last_heard.0 - self.since.0 >= DAY;
        (known && self.longest() <= RARELY).then(|| PATIENCE.max(self.longest() * 3 / 2))
    }

    /// Its longest pause of both weeks, in seconds.
    pub fn longest(&self) -> i64 {
        self.pause.max(self.pause_before)
    }

    /// Whether it is no sign of life of its account either.
    fn says_nothing(&self, now: Time) -> bool {
        self.is_silent(now) || (self.allowance().is_none() && self.quiet(now) > PATIENCE)
    }
}

/// A silence that people are to know of.
#[derive(Debug)]
pub struct Silence {
    /// What is found. It stems from no record: its id and time are those of the last delivery.
    pub found: Match,
    /// How many regions it stands for.
    pub regions: u64,
    /// `account/region`, or the account where all of it is silent.
    pub place: String,
}

/// Who is silent: an account where nothing of it is heard any more, else its silent regions one by one.
pub fn silences(heard: &[Heard], now: Time) -> Vec<Silence> {
    let mut accounts: BTreeMap<&str, Vec<&Heard>> = BTreeMap::new();
    for region in heard {
        accounts.entry(&region.account).or_default().push(region);
    }
    let mut found = Vec::new();
    for (account, regions) in accounts {
        let silent: Vec<&Heard> = regions.iter().copied().filter(|region| region.is_silent(now)).collect();
        if !silent.is_empty() && regions.iter().all(|region| region.says_nothing(now)) {
            let last = regions.iter().map(|region| region.last_heard).max().unwrap_or_default();
            found.push(Silence::of_account(account, &silent, last));
        } else {
            found.extend(silent.into_iter().map(Silence::of_region));
        }
    }
    found
}

impl Silence {
    fn of_region(heard: &Heard) -> Self {
        let Heard { account, region, last_heard, .. } = heard;
        let what = format!("no log file of region {region} since {last_heard}");
        let minutes = heard.longest() / 60;
        let why = format!("Its longest pause in two weeks was {} h {} min.", minutes / 60, minutes % 60);
        Self::new((account, region), *last_heard, (&what, &why), vec![format!("{account}/{region}")])
    }

    fn of_account(account: &str, silent: &[&Heard], last: Time) -> Self {
        let what = format!("no log file of any region since {last}");
        let names: Vec<&str> = silent.iter().map(|heard| heard.region.as_str()).collect();
        let why = format!("It was heard regularly from {}.", names.join(", "));
        let regions = names.iter().map(|region| format!("{account}/{region}")).collect();
        Self::new((account, ""), last, (&what, &why), regions)
    }

    fn new((account, region): (&str, &str), last: Time, (what, detail): (&str, &str), resources: Vec<String>) -> Self {
        let place = if region.is_empty() { account.to_owned() } else { format!("{account}/{region}") };
        let id = format!("{place} since {last}");
        let fact = ObjectFact { id: &id, account, region, time: last, what, detail };
        let regions = resources.len() as u64;
        // Not the id: the silences of a place are one thread.
        let found = Match { key: place.clone(), resources, ..Match::of_object(&ACCOUNT_SILENT, &fact) };
        Self { found, regions, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;
    use proptest::prelude::*;

    const START: i64 = 1_795_000_000;
    const HOUR: i64 = 3600;

    /// Heard after each of these pauses.
    fn heard_in(region: &str, pauses: &[i64]) -> Heard {
        let first = Heard::first("111122223333", region, Time(START));
        pauses.iter().fold(first, |heard, pause| heard.again(Time(heard.last_heard.0 + pause)).expect("newer"))
    }

    /// Heard each hour for two days.
    fn hourly(region: &str) -> Heard {
        heard_in(region, &[HOUR; 48])
    }

    fn after(heard: &Heard, seconds: i64) -> Time {
        Time(heard.last_heard.0 + seconds)
    }

    #[test]
    fn three_hours_or_half_as_much_again_as_ever_are_silence() {
        let often = hourly("eu-west-1");
        assert!(!often.is_silent(after(&often, 3 * HOUR)));
        assert!(often.is_silent(after(&often, 3 * HOUR + 1)));
        let seldom = heard_in("eu-west-1", &[10 * HOUR; 5]);
        assert!(!seldom.is_silent(after(&seldom, 15 * HOUR)));
        assert!(seldom.is_silent(after(&seldom, 15 * HOUR + 1)));
    }

    #[test]
    fn whom_nobody_knows_yet_and_who_is_heard_rarely_is_not_missed() {
        let far = 300 * DAY;
        let new = heard_in("eu-west-1", &[HOUR; 23]);
        assert!(!new.is_silent(after(&new, far)));
        let rarely = heard_in("eu-west-1", &[RARELY + 1]);
        assert!(!rarely.is_silent(after(&rarely, far)));
        let nameless = Heard { account: "-".to_owned(), ..hourly("eu-west-1") };
        assert!(!nameless.is_silent(after(&nameless, far)));
    }

    #[test]
    fn a_pause_is_remembered_this_week_and_the_next() {
        let heard = heard_in("eu-west-1", &[20 * HOUR, HOUR, HOUR]);
        assert_eq!((heard.pause, heard.pause_before), (20 * HOUR, 0));
        let mut later = heard.clone();
        while later.last_heard.floor(WEEK) == heard.last_heard.floor(WEEK) {
            later = later.again(after(&later, HOUR)).expect("newer");
        }
        assert_eq!((later.pause, later.pause_before), (HOUR, 20 * HOUR));
        for _ in 0..7 * 24 {
            later = later.again(after(&later, HOUR)).expect("newer");
        }
        assert_eq!((later.pause, later.pause_before), (HOUR, HOUR), "and then forgotten");
        let back = later.again(after(&later, 3 * WEEK)).expect("newer");
        assert_eq!((back.pause, back.pause_before), (3 * WEEK, 0));
    }

    #[test]
    fn one_region_is_told_by_itself_and_a_whole_account_as_one() {
        let (west, east) = (hourly("eu-west-1"), hourly("us-east-1"));
        let alive = east.again(after(&east, 5 * HOUR)).expect("newer");
        let now = after(&west, 6 * HOUR);
        let [one] = &silences(&[west.clone(), alive], now)[..] else { panic!("one region") };
        assert_eq!((one.place.as_str(), one.regions), ("111122223333/eu-west-1", 1));
        assert_eq!(one.found.lead.region, "eu-west-1");
        let rarely = heard_in("sa-east-1", &[RARELY + 1]);
        let quiet = Heard { last_heard: Time(START), ..rarely.clone() };
        let [both] = &silences(&[west.clone(), east.clone(), quiet], now)[..] else { panic!("one account") };
        assert_eq!((both.place.as_str(), both.regions), ("111122223333", 2));
        let heard_just_now = Heard { last_heard: now, ..rarely };
        assert_eq!(silences(&[west, east, heard_just_now], now).len(), 2, "the account lives");
    }

    #[test]
    fn a_silence_has_one_id_however_often_it_is_looked_at_and_the_next_another() {
        let heard = hourly("eu-west-1");
        let finding = |heard: &Heard, seconds: i64| {
            let silences = silences(std::slice::from_ref(heard), after(heard, seconds));
            Finding::of(&silences[0].found)
        };
        let first = finding(&heard, 4 * HOUR);
        assert_eq!(first, finding(&heard, 400 * HOUR));
        assert_eq!((first.first_seen, first.account.as_str()), (heard.last_heard, "111122223333"));
        let next = heard.again(after(&heard, 5 * HOUR)).expect("newer");
        assert_ne!(first.finding_id, finding(&next, 40 * HOUR).finding_id);
        assert_eq!(first.thread_id(), finding(&next, 40 * HOUR).thread_id());
    }

    proptest! {
        #[test]
        fn a_silence_lasts_until_somebody_is_heard(
            pauses in prop::collection::vec(1..3 * DAY, 0..60),
            quiet in 0..30 * DAY,
            longer in 0..30 * DAY,
        ) {
            let heard = heard_in("eu-west-1", &pauses);
            let (now, later) = (after(&heard, quiet), after(&heard, quiet + longer));
            if heard.is_silent(now) {
                prop_assert!(heard.is_silent(later));
                prop_assert!(quiet > PATIENCE && pauses.iter().rev().take(1).all(|last| quiet > *last));
                let again = heard.again(now).expect("newer");
                prop_assert!(!again.is_silent(now));
                prop_assert!(!again.is_silent(Time(now.0 + quiet)), "it has done so before");
            }
            prop_assert!(heard.again(heard.last_heard).is_none(), "the same delivery again says nothing");
        }

        #[test]
        fn the_longest_pauses_are_those_of_two_weeks(pauses in prop::collection::vec(1..4 * DAY, 1..60)) {
            let heard = heard_in("eu-west-1", &pauses);
            let mut at = START;
            let mut ended = Vec::new();
            for pause in &pauses {
                at += pause;
                ended.push((Time(at).floor(WEEK).0, *pause));
            }
            let week = heard.last_heard.floor(WEEK).0;
            let longest = |week: i64| ended.iter().filter(|(of, _)| *of == week).map(|(_, pause)| *pause).max();
            prop_assert_eq!(heard.pause, longest(week).unwrap_or_default());
            prop_assert_eq!(heard.pause_before, longest(week - WEEK).unwrap_or_default());
        }

        #[test]
        fn silent_regions_are_told_once_each(
            lives in prop::collection::vec((0_u8..4, 0_u8..4, prop::collection::vec(1..DAY, 0..40)), 0..12),
            quiet in 0..10 * DAY,
        ) {
            let mut all = BTreeMap::new();
            for (account, region, pauses) in lives {
                let heard = heard_in(&format!("r-{region}"), &pauses);
                let heard = Heard { account: format!("11112222333{account}"), ..heard };
                all.insert((account, region), heard);
            }
            let all: Vec<Heard> = all.into_values().collect();
            let now = Time(START + quiet);
            let found = silences(&all, now);
            let told: u64 = found.iter().map(|silence| silence.regions).sum();
            prop_assert_eq!(told, all.iter().filter(|heard| heard.is_silent(now)).count() as u64);
            let places: std::collections::BTreeSet<&str> = found.iter().map(|one| one.place.as_str()).collect();
            prop_assert_eq!(places.len(), found.len());
        }
    }
}
