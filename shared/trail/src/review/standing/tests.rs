use proptest::prelude::*;

use super::*;
use crate::review::decision::Broken;
use crate::review::testing::*;
use crate::review::{GrantKind, RecordId, SubjectKind};

fn standing(log: &[Entry], now: Time) -> Standing {
    let (settings, known) = (Review::default(), Known::default());
    Standing::of(&population(), log, At { settings: &settings, known: &known, now })
}

fn line(log: &[Entry], number: usize, now: Time) -> Line {
    let id = &population().subjects[number - 1].id;
    standing(log, now).line(id).expect("a subject").clone()
}

fn carried(subject: &Subject, effect: &str, time: Time) -> (By, Act) {
    let (subject, effect) = (subject.id.clone(), effect.to_owned());
    (by("owner"), Act::Carried { subject, record: record(&effect, time), effect, actor: "owner".to_owned() })
}

fn back(subject: &Subject, why: &str, time: Time) -> (By, Act) {
    let (subject, why) = (subject.id.clone(), why.to_owned());
    (by("owner"), Act::Reappeared { subject, record: Some(record(&why, time)), why })
}

fn dave() -> Subject {
    population().subjects[2].clone()
}

/// A revocation of dave, decided on day 1, a Friday.
fn revoked(then: impl IntoIterator<Item = (By, Act)>) -> Vec<Entry> {
    log([opened(), decided("bob", &dave(), revoke())].into_iter().chain(then))
}

#[test]
fn a_subject_goes_from_undecided_to_decided() {
    let proposed = (by("erin"), Act::Proposed { subject: dave().id, decision: keep() });
    assert_eq!(line(&log([opened()]), 3, day(1)).stage, Stage::Undecided);
    assert_eq!(line(&log([opened(), proposed.clone()]), 3, day(1)).stage, Stage::Proposed);
    let all = log([opened(), proposed, decided("bob", &dave(), keep())]);
    let line = line(&all, 3, day(9));
    assert_eq!((line.stage, line.remedy, line.due), (Stage::Decided, Remedy::None, None));
    assert_eq!(line.decided_by.expect("somebody").who, "bob");
}

#[test]
fn a_revocation_is_due_in_business_days() {
    assert_eq!(line(&revoked([]), 3, day(2)).due, Time::parse("2026-10-09T23:59:59Z"), "five, over a weekend");
    let alice = population().subjects[0].clone();
    let urgent = log([opened(), decided("bob", &alice, revoke())]);
    assert_eq!(line(&urgent, 1, day(2)).due, Time::parse("2026-10-05T23:59:59Z"), "an administrator");
    let again = log([opened(), decided("bob", &dave(), revoke()), opened(), decided("bob", &dave(), revoke())]);
    assert_eq!(line(&again, 3, day(4)).due, line(&revoked([]), 3, day(4)).due, "deciding again moves nothing");
    let changed = [decided("bob", &dave(), keep()), opened(), decided("bob", &dave(), revoke())];
    assert!(line(&revoked(changed), 3, day(4)).due > line(&revoked([]), 3, day(4)).due, "unless it was kept between");
}

#[test]
fn a_leaver_is_urgent() {
    let (settings, known) = (Review::default(), Known::default());
    let at = At { settings: &settings, known: &known, now: day(2) };
    let due = |end: i64, active: bool| {
        let mut population = population();
        let person = crate::review::population::Person { active, end: Some(day(end)), ..person("dave") };
        population.subjects[2].person = Some(person);
        Standing::of(&population, &revoked([]), at).line(&dave().id).expect("dave").due
    };
    assert!(due(-5, true) < due(50, true));
    assert_eq!(due(50, false), due(-5, true));
}

#[test]
fn a_revocation_is_open_until_all_of_it_went() {
    let key = carried(&dave(), "DeleteAccessKey AKIADAVE", day(2));
    let part = line(&revoked([key.clone()]), 3, day(3));
    assert_eq!(part.remedy, Remedy::Open);
    assert_eq!(part.left, ["policy:arn:aws:iam::aws:policy/ReadOnlyAccess", "group:auditors", "password:password"]);
    assert_eq!(line(&revoked([key.clone()]), 3, day(20)).remedy, Remedy::Overdue);
    let whole = line(&revoked([key, carried(&dave(), "DeleteUser dave", day(3))]), 3, day(3));
    assert_eq!((whole.remedy, whole.removed_at, whole.late), (Remedy::SeenInLog, Some(day(3)), false));
    assert!(whole.left.is_empty() && whole.is_residual(day(3)) && !whole.is_residual(day(4)));
    let late = line(&revoked([carried(&dave(), "DeleteUser dave", day(15))]), 3, day(20));
    assert_eq!((late.remedy, late.late), (Remedy::SeenInLog, true));
    let others = line(&revoked([carried(&dave(), "DeleteUser alice", day(3))]), 3, day(3));
    assert_eq!(others.remedy, Remedy::Open);
}

#[test]
fn a_later_snapshot_confirms_it() {
    let absent = (by("owner"), Act::Absent { subject: dave().id, population: "next".to_owned() });
    let gone = line(&revoked([carried(&dave(), "DeleteUser dave", day(2)), absent.clone()]), 3, day(9));
    assert_eq!((gone.remedy, gone.removed_at), (Remedy::ConfirmedAbsent, Some(day(2))), "when it went, by the record");
    let unseen = line(&revoked([absent.clone()]), 3, day(9));
    assert_eq!((unseen.remedy, unseen.removed_at), (Remedy::ConfirmedAbsent, Some(day(2))));
    let undecided = line(&log([opened(), absent]), 3, day(9));
    assert_eq!(undecided.stage, Stage::Gone, "deleted in mid-review");
}

#[test]
fn what_is_given_back_has_reappeared_in_whatever_order_the_records_come() {
    let (gone, again) = (carried(&dave(), "DeleteUser dave", day(3)), back(&dave(), "CreateUser dave", day(4)));
    for acts in [[gone.clone(), again.clone()], [again.clone(), gone.clone()]] {
        let line = line(&revoked(acts), 3, day(9));
        assert_eq!((line.remedy, line.back.as_str()), (Remedy::Reappeared, "CreateUser dave"));
    }
    let before = back(&dave(), "AttachUserPolicy dave p", day(2));
    assert_eq!(line(&revoked([gone.clone(), before]), 3, day(9)).remedy, Remedy::SeenInLog, "nothing was gone then");
    let twice = [gone, again, carried(&dave(), "DeleteUser dave", day(5))];
    assert_eq!(line(&revoked(twice), 3, day(9)).remedy, Remedy::SeenInLog, "removed once more");
}

#[test]
fn progress_counts_every_subject_once() {
    let joined = (by("owner"), Act::Joined { subject: Box::new(Subject { joined: true, ..user(5, "eve", "bob") }) });
    let all = log([opened(), decided("bob", &dave(), revoke()), joined]);
    let standing = standing(&all, day(3));
    let progress = &standing.progress;
    assert_eq!((progress.subjects, progress.done()), (5, 1));
    assert_eq!(progress.stages.values().sum::<usize>(), 5);
    assert_eq!(progress.remedies, BTreeMap::from([(Remedy::Open, 1)]));
    assert_eq!(standing.missing(), ["4 subjects are not decided (no. 1, 2, 4, …)"]);
    assert!(!standing.is_ready());
}

#[test]
fn a_cycle_is_in_time_late_or_missed() {
    let signed = |days| {
        let act = Act::SignedOff { statement: String::new() };
        let mut log = log([opened()]);
        log.push(Entry::chain(log.last(), day(days), Some(by("erin")), act));
        standing(&log, day(90)).cycle(day(90))
    };
    assert_eq!((signed(29), signed(31)), (Cycle::InTime, Cycle::Late));
    let open = log([opened()]);
    assert_eq!(standing(&open, day(30)).cycle(day(30)), Cycle::Running);
    assert_eq!(standing(&open, day(31)).cycle(day(31)), Cycle::Late);
    assert_eq!(standing(&[], day(1)).cycle(day(1)), Cycle::Missed);
}

#[test]
fn what_takes_away_is_watched_for() {
    let (population, known) = (population(), Known::default());
    let all = log([opened(), decided("bob", &dave(), revoke()), decided("bob", &population.subjects[0], keep())]);
    let open = standing(&all, day(3)).open("2026-Q4", (&population, &known));
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].number, open[0].since, open[0].decided, open[0].gone), (3, taken(), day(1), None));
}

/// One of the things that happen to a subject.
fn act(subject: &Subject, what: u8, time: Time) -> (By, Act) {
    match what {
        0 => decided("bob", subject, keep()),
        1 => decided("bob", subject, revoke()),
        2 => carried(subject, &format!("DeleteUser {}", subject.name), time),
        3 => back(subject, "CreateUser", time),
        4 => (by("owner"), Act::Absent { subject: subject.id.clone(), population: "n".to_owned() }),
        _ => (by("erin"), Act::Proposed { subject: subject.id.clone(), decision: keep() }),
    }
}

proptest! {
    /// What happens to one subject does not depend on what happens to the others in between.
    #[test]
    fn the_order_of_independent_entries_does_not_matter(
        happened in prop::collection::vec((0_usize..3, 0_u8..6, 0_i64..20), 0..24),
    ) {
        let population = population();
        let at = |(subject, what, days): &(usize, u8, i64)| act(&population.subjects[*subject], *what, day(*days));
        let entries = |happened: &[(usize, u8, i64)]| {
            // All at one time, so that nothing but the order differs.
            let mut log: Vec<Entry> = Vec::new();
            for (by, act) in happened.iter().map(at) {
                log.push(Entry::chain(log.last(), day(5), Some(by), act));
            }
            log
        };
        let mut sorted = happened.clone();
        sorted.sort_by_key(|(subject, _, _)| *subject);
        let (mixed, apart) = (standing(&entries(&happened), day(30)), standing(&entries(&sorted), day(30)));
        for (subject, line) in mixed.subjects() {
            prop_assert_eq!(Some(line), apart.line(&subject.id));
        }
        let mut shuffled = entries(&happened);
        shuffled.reverse();
        let read = standing(&shuffled, day(30));
        prop_assert_eq!(&read.progress, &mixed.progress, "entries count by their numbers");
        prop_assert_eq!(mixed.progress.stages.values().sum::<usize>(), population.subjects.len());
    }

    #[test]
    fn a_changed_log_is_seen(
        happened in prop::collection::vec((0_usize..3, 0_u8..6, 0_i64..20), 2..12),
        place in any::<prop::sample::Index>(),
        how in 0..5,
    ) {
        let population = population();
        let whole = log(happened.iter().map(|(subject, what, days)| act(&population.subjects[*subject], *what, day(*days))));
        prop_assert_eq!(Entry::verify(&whole), Ok(()));
        let text = serde_json::to_string(&whole).expect("JSON");
        let read: Vec<Entry> = serde_json::from_str(&text).expect("entries");
        prop_assert_eq!(Entry::verify(&read), Ok(()), "also after it was kept");
        let mut changed = whole.clone();
        let at = place.index(changed.len());
        match how {
            0 => changed[at].at = Time(changed[at].at.0 + 1),
            1 => changed[at].by = None,
            2 => changed[at].sha256 = changed[at].sha256.chars().rev().collect(),
            3 => changed[at].act = Act::Reminded,
            _ if at + 1 < changed.len() => drop(changed.remove(at)),
            _ => changed[at].number += 1,
        }
        prop_assert!(Entry::verify(&changed).is_err());
        if how == 4 && at + 1 < whole.len() {
            let expected = u64::try_from(at).expect("small") + 1;
            prop_assert_eq!(Entry::verify(&changed), Err(Broken::Gap { expected, found: expected + 1 }));
        }
    }
}

#[test]
fn what_came_back_is_gone_only_when_all_has_gone_anew() {
    let gone = [carried(&dave(), "DeleteUser dave", day(2)), back(&dave(), "CreateUser dave", day(3))];
    let one = [&gone[..], &[carried(&dave(), "DetachUserPolicy dave arn:aws:iam::aws:policy/ReadOnlyAccess", day(4))]]
        .concat();
    assert_eq!(line(&revoked(one), 3, day(5)).remedy, Remedy::Reappeared, "the rest is there");
    let all = [&gone[..], &[carried(&dave(), "DeleteUser dave", day(20))]].concat();
    let all = line(&revoked(all), 3, day(21));
    assert_eq!((all.remedy, all.removed_at, all.late), (Remedy::SeenInLog, Some(day(20)), true), "it counts from then");
}

#[test]
fn of_two_keys_that_cannot_be_told_apart_one_goes_with_each_call() {
    let key = || grant(GrantKind::AccessKey, "", "");
    let root = Subject { grants: vec![key(), key()], ..population().subjects[0].clone() };
    let root = Subject { id: format!("arn:aws:iam::{ACCOUNT}:root"), kind: SubjectKind::Root, mfa: Some(true), ..root };
    let plan = Plan::of(&root, &revoke(), &Known::default()).expect("a plan");
    let deleted = |id: &str, days| {
        let (_, act) = carried(&root, "DeleteAccessKey by root", day(days));
        let Act::Carried { subject, effect, actor, record } = act else { panic!("carried") };
        let record = RecordId { id: id.to_owned(), ..record };
        (by("owner"), Act::Carried { subject, effect, actor, record })
    };
    let one = Trace::of(&plan, &log([deleted("r-1", 2)]));
    assert_eq!((one.in_log, one.left.len()), (None, 1));
    assert_eq!(Trace::of(&plan, &log([deleted("r-1", 2), deleted("r-2", 3)])).in_log, Some(day(3)));
}
