use proptest::prelude::*;

use super::*;
use crate::review::effect::Known;
use crate::review::population::Person;
use crate::review::standing::At;
use crate::review::testing::*;

/// The people's list of the tests: a person's aliases.
struct People;

impl Persons for People {
    fn person(&self, name: &str) -> Option<String> {
        let known = [("alice@example.com", "alice"), ("robert", "bob"), ("bob", "bob"), ("alice", "alice")];
        known.into_iter().find(|(alias, _)| *alias == name).map(|(_, person)| person.to_owned())
    }
}

struct Case {
    population: Population,
    log: Vec<Entry>,
    settings: Review,
    local: bool,
}

impl Case {
    fn new(log: Vec<Entry>) -> Self {
        let approvers = vec![format!("arn:aws:iam::{ACCOUNT}:user/erin"), format!("arn:aws:iam::{ACCOUNT}:user/frank")];
        Self { population: population(), log, settings: Review { approvers, ..Review::default() }, local: false }
    }

    fn rules(&self) -> Rules<'_, People> {
        let Self { population, log, settings, local } = self;
        Rules { population, log, settings, persons: &People, local: *local }
    }

    fn subject(&self, number: usize) -> &Subject {
        &self.population.subjects[number - 1]
    }

    fn decide(&self, by: &By, number: usize, decision: &Decision) -> Result<(), Refusal> {
        self.rules().decide(by, &self.subject(number).id, decision)
    }

    fn sign_off(&self, by: &By, acknowledged: bool) -> Result<String, Refusal> {
        let known = Known::default();
        let at = At { settings: &self.settings, known: &known, now: day(9) };
        let standing = Standing::of(&self.population, &self.log, at);
        self.rules().sign_off(by, "All is as it should be.", (&standing, acknowledged))
    }
}

fn fresh() -> Case {
    Case::new(log([opened()]))
}

/// Everything decided by bob, and about bob by the owner.
fn finished() -> Case {
    let population = population();
    let all = population.subjects.iter().map(|subject| {
        let who = if subject.name == "bob" { "owner" } else { "bob" };
        decided(who, subject, keep())
    });
    Case::new(log([opened()].into_iter().chain(all)))
}

#[test]
fn the_named_reviewer_decides_and_an_approver_may() {
    let case = fresh();
    assert_eq!(case.decide(&by("bob"), 1, &keep()), Ok(()));
    assert_eq!(case.decide(&by("erin"), 1, &keep()), Ok(()));
    let refused = case.decide(&by("dave"), 1, &keep()).expect_err("not his to decide");
    assert!(matches!(&refused, Refusal::NotReviewer { reviewer, .. } if reviewer == "bob"));
    assert!(refused.to_string().contains("bob decides about"), "{refused}");
}

#[test]
fn nobody_decides_about_himself() {
    let mut case = fresh();
    case.settings.approvers.push("*".to_owned());
    let own = |case: &Case, by: &By, number| match case.decide(by, number, &keep()) {
        Err(Refusal::Own { how, .. }) => how,
        other => panic!("{by:?}: {other:?}"),
    };
    assert_eq!(own(&case, &by("alice"), 1), "the same person");
    let key = signed(&case.subject(1).id.clone());
    assert_eq!(own(&case, &key, 1), "the same identity", "also where the list does not know the ARN");
    case.population.subjects[0].person = None;
    let session = |role: &str, name: &str| signed(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"));
    assert_eq!(own(&case, &session("Other", "Alice"), 1), "the same name");
    // Through Identity Center of another account, in another role.
    let elsewhere = signed("arn:aws:sts::444455556666:assumed-role/AWSReservedSSO_Admin_01/carol");
    assert_eq!(own(&case, &elsewhere, 4), "the same identity");
    let role = format!("arn:aws:iam::{ACCOUNT}:role/ops/Admin");
    case.population.subjects.push(Subject {
        actors: vec![crate::review::usage::ActorKey::Role(role.clone())],
        ..subject(5, SubjectKind::Role, (&role, "Admin", "bob"))
    });
    assert_eq!(own(&case, &session("Admin", "whoever"), 5), "the same identity");
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    case.population.subjects.push(Subject {
        actors: vec![crate::review::usage::ActorKey::Root(ACCOUNT.to_owned())],
        ..subject(6, SubjectKind::Root, (&root, "root", "bob"))
    });
    assert_eq!(own(&case, &signed(&root), 6), "the same identity");
}

#[test]
fn two_people_of_one_name_are_told_apart_by_the_list() {
    let mut case = fresh();
    case.population.subjects[2].name = "bob".to_owned();
    assert_eq!(case.decide(&by("bob"), 3, &keep()), Ok(()));
}

#[test]
fn a_session_that_anybody_can_name_is_not_the_reviewer() {
    let case = fresh();
    let forged = signed(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/Developer/bob"));
    assert!(matches!(case.decide(&forged, 1, &keep()), Err(Refusal::NotAPerson { .. })));
    let mut case = fresh();
    case.population.people_sha256.clear();
    assert!(matches!(case.decide(&forged, 1, &keep()), Err(Refusal::NotReviewer { .. })));
    let center = signed(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Dev_00/bob"));
    assert_eq!(case.decide(&center, 1, &keep()), Ok(()), "Identity Center gives this name");
}

#[test]
fn nobody_decides_about_access_that_he_gave() {
    let mut case = fresh();
    let bob = format!("arn:aws:iam::{ACCOUNT}:user/bob");
    for actor in [bob.as_str(), "robert", "bob"] {
        case.population.subjects[0].created_by = Some(given_by(actor, false));
        assert!(matches!(case.decide(&by("bob"), 1, &keep()), Err(Refusal::Granted { .. })), "{actor}");
        assert_eq!(case.rules().segregation(&by("bob"), case.subject(1)), Segregation::Same);
    }
    case.population.subjects[0].created_by = Some(given_by("erin", false));
    assert_eq!(case.decide(&by("bob"), 1, &keep()), Ok(()));
    assert_eq!(case.rules().segregation(&by("bob"), case.subject(1)), Segregation::Separate);
}

#[test]
fn what_a_pipeline_gave_was_given_by_nobody_knows_whom() {
    let mut case = fresh();
    case.population.subjects[0].created_by = Some(given_by("arn:aws:iam::1:role/deploy", true));
    assert_eq!(case.decide(&by("bob"), 1, &keep()), Ok(()));
    let segregation = case.rules().segregation(&by("bob"), case.subject(1));
    assert_eq!((segregation, segregation.told()), (Segregation::ProvisionerUnknown, "provisioner unknown"));
    case.population.subjects[0].created_by = None;
    assert_eq!(case.rules().segregation(&by("bob"), case.subject(1)), Segregation::ProvisionerUnknown);
}

#[test]
fn privileged_and_unused_access_is_justified_or_goes() {
    let mut case = fresh();
    let silent = Decision { justification: " ".to_owned(), ..keep() };
    assert!(
        matches!(case.decide(&by("bob"), 1, &silent), Err(Refusal::Unjustified { why, .. }) if why == "privileged")
    );
    assert_eq!(case.decide(&by("bob"), 3, &silent), Ok(()));
    case.population.subjects[2].last_used = Some(day(-91));
    assert!(matches!(case.decide(&by("bob"), 3, &silent), Err(Refusal::Unjustified { why, .. }) if why == "unused"));
    assert_eq!(case.decide(&by("bob"), 3, &revoke()), Ok(()));
    case.population.subjects[2].usage.last = Some(day(-89));
    assert_eq!(case.decide(&by("bob"), 3, &silent), Ok(()), "CloudTrail has seen it");
    let new = Subject { last_used: None, created: Some(day(-3)), ..user(9, "new", "bob") };
    assert!(!is_unused(&new, taken(), 90));
    assert!(is_unused(&Subject { created: None, ..new }, taken(), 90));
}

#[test]
fn only_what_a_subject_has_can_be_taken_from_it() {
    let case = fresh();
    let group = grant(GrantKind::Group, "auditors", "");
    assert_eq!(case.decide(&by("bob"), 1, &modify(vec![group.clone()])), Ok(()));
    let refused = |decision: Decision| match case.decide(&by("bob"), 1, &decision) {
        Err(Refusal::Decision { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert!(refused(modify(Vec::new())).contains("has to name"));
    assert!(refused(modify(vec![grant(GrantKind::Group, "others", "")])).contains("group:others"));
    let through = refused(modify(vec![grant(GrantKind::Policy, "arn:aws:iam::aws:policy/ReadOnlyAccess", "auditors")]));
    assert!(through.contains("group:auditors"), "{through}");
    assert!(refused(Decision { remove: vec![group], ..keep() }).contains("only `modify`"));
}

#[test]
fn a_root_user_without_keys_cannot_be_revoked() {
    let mut case = fresh();
    let root = subject(5, SubjectKind::Root, ("arn:aws:iam::1:root", "root", "bob"));
    case.population.subjects.push(root);
    assert!(matches!(case.decide(&by("bob"), 5, &revoke()), Err(Refusal::Decision { .. })));
    case.population.subjects[4].mfa = Some(false);
    assert_eq!(case.decide(&by("bob"), 5, &revoke()), Ok(()));
}

#[test]
fn what_is_gone_needs_no_decision() {
    let population = population();
    let gone = Act::Absent { subject: population.subjects[0].id.clone(), population: "later".to_owned() };
    let mut case = Case::new(log([opened(), (by("owner"), gone)]));
    assert!(matches!(case.decide(&by("bob"), 1, &keep()), Err(Refusal::Gone(_))));
    assert_eq!(case.decide(&by("bob"), 3, &keep()), Ok(()));
    let again = Act::Reappeared { subject: case.subject(1).id.clone(), why: "CreateUser".to_owned(), record: None };
    case.log.push(Entry::chain(case.log.last(), day(3), None, again));
    assert_eq!(case.decide(&by("bob"), 1, &keep()), Ok(()));
    assert!(matches!(case.rules().decide(&by("bob"), "arn:x", &keep()), Err(Refusal::NoSubject(_))));
}

#[test]
fn this_machines_word_counts_on_this_machine_alone() {
    let mut case = fresh();
    let local = By { arn: String::new(), proven: "local".to_owned(), person: None, ..by("bob") };
    assert!(matches!(case.decide(&local, 1, &keep()), Err(Refusal::NotProven { .. })));
    assert!(matches!(case.rules().propose(&local, &case.subject(1).id, &keep()), Err(Refusal::NotProven { .. })));
    let unsigned = By { arn: String::new(), ..by("bob") };
    assert!(matches!(case.decide(&unsigned, 1, &keep()), Err(Refusal::NotProven { .. })));
    case.local = true;
    assert_eq!(case.decide(&local, 1, &keep()), Ok(()));
    let alice = By { who: "alice".to_owned(), ..local };
    case.settings.approvers.push("alice".to_owned());
    assert!(matches!(case.decide(&alice, 1, &keep()), Err(Refusal::Own { .. })));
}

#[test]
fn a_proposal_counts_when_its_reviewer_confirms_it() {
    let population = population();
    let alice = population.subjects[0].id.clone();
    let proposed = (by("dave"), Act::Proposed { subject: alice.clone(), decision: keep() });
    let mut case = Case::new(log([opened(), proposed]));
    assert_eq!(case.rules().propose(&by("dave"), &alice, &keep()), Ok(()), "anybody may propose");
    assert!(matches!(case.rules().confirm(&by("dave"), (&alice, None)), Err(Refusal::NotReviewer { .. })));
    assert!(matches!(case.rules().confirm(&by("alice"), (&alice, None)), Err(Refusal::Own { .. })));
    assert_eq!(case.rules().confirm(&by("bob"), (&alice, None)), Ok(keep()));
    assert_eq!(case.rules().confirm(&by("bob"), (&alice, Some(2))), Ok(keep()));
    let swapped = Act::Proposed { subject: alice.clone(), decision: revoke() };
    case.log.push(Entry::chain(case.log.last(), day(3), Some(by("dave")), swapped));
    assert!(
        matches!(case.rules().confirm(&by("bob"), (&alice, Some(2))), Err(Refusal::Replaced(_))),
        "not what he saw"
    );
    case.log.pop();
    let decided = Act::Decided { subject: alice.clone(), decision: keep() };
    case.log.push(Entry::chain(case.log.last(), day(4), Some(by("bob")), decided));
    assert!(matches!(case.rules().confirm(&by("bob"), (&alice, None)), Err(Refusal::NoProposal(_))));
}

#[test]
fn a_single_administrator_decides_about_himself_where_somebody_outside_agreed() {
    let mut case = fresh();
    let alice = case.subject(1).id.clone();
    let except = |case: &Case, reason, approver| case.rules().except(&by("alice"), (&alice, reason, approver));
    let refused = except(&case, "nobody else works here", "the auditor");
    assert!(matches!(refused, Err(Refusal::Own { .. })), "bob is her reviewer: {refused:?}");
    case.population.subjects[0].reviewer.clear();
    let refused = except(&case, "nobody else works here", "the auditor");
    assert!(matches!(refused, Err(Refusal::Own { .. })), "others approve: {refused:?}");
    case.settings.approvers = vec![format!("arn:aws:iam::{ACCOUNT}:user/alice")];
    assert_eq!(except(&case, "nobody else works here", "the auditor"), Ok(()));
    for (reason, approver) in [("", "the auditor"), ("why", " "), ("why", "alice"), ("why", "alice@example.com")] {
        assert!(matches!(except(&case, reason, approver), Err(Refusal::Exception(_))), "{reason} {approver}");
    }
    let (reason, approver) = ("nobody else works here".to_owned(), "the auditor".to_owned());
    let act = Act::Excepted { subject: alice.clone(), reason, approver };
    case.log.push(Entry::chain(case.log.last(), day(2), Some(by("alice")), act));
    assert_eq!(case.decide(&by("alice"), 1, &keep()), Ok(()));
    assert!(matches!(case.decide(&by("bob"), 2, &keep()), Err(Refusal::Own { .. })), "for this subject alone");
    let about = (&*alice, "why", "alice@example.com");
    case.settings.approvers.push(format!("arn:aws:iam::{ACCOUNT}:user/erin"));
    assert!(matches!(case.rules().except(&by("erin"), about), Err(Refusal::Exception(_))), "it is about her");
    assert!(matches!(case.decide(&by("dave"), 1, &keep()), Err(Refusal::NotReviewer { .. })));
}

#[test]
fn an_approver_signs_off_what_is_decided() {
    let case = finished();
    assert_eq!(case.sign_off(&by("erin"), false).as_deref(), Ok("All is as it should be."));
    assert!(matches!(case.sign_off(&by("bob"), false), Err(Refusal::NotApprover(_))));
    let mut case = finished();
    case.log.pop();
    let refused = case.sign_off(&by("erin"), false).expect_err("one is not decided");
    assert!(refused.to_string().contains("1 subjects are not decided (no. 4)"), "{refused}");
    let proposed = Act::Proposed { subject: case.subject(4).id.clone(), decision: keep() };
    case.log.push(Entry::chain(case.log.last(), day(8), Some(by("dave")), proposed));
    let refused = case.sign_off(&by("erin"), false).expect_err("a proposal is no decision");
    assert!(refused.to_string().contains("wait for their reviewer"), "{refused}");
}

#[test]
fn whoever_judged_privileged_access_alone_does_not_sign() {
    let population = population();
    let all = population.subjects.iter().map(|subject| decided("erin", subject, keep()));
    let mut case = Case::new(log([opened()].into_iter().chain(all)));
    assert!(
        matches!(case.sign_off(&by("erin"), false), Err(Refusal::SoleJudge { subjects, .. }) if subjects.len() == 1)
    );
    assert!(case.sign_off(&by("frank"), false).is_ok());
    let again = Act::Decided { subject: case.subject(1).id.clone(), decision: keep() };
    case.log.push(Entry::chain(case.log.last(), day(8), Some(by("bob")), again));
    assert!(case.sign_off(&by("erin"), false).is_ok(), "bob has decided about the privileged one");
}

#[test]
fn a_partial_population_is_signed_off_by_saying_so() {
    let mut case = finished();
    case.population.gaps.push(gap());
    assert!(matches!(case.sign_off(&by("erin"), false), Err(Refusal::Partial { gaps: 1, .. })));
    let statement = case.sign_off(&by("erin"), true).expect("acknowledged");
    assert!(statement.starts_with("All is as it should be. The population is partial"), "{statement}");
    assert!(statement.contains("444455556666 iam:ListUsers"), "{statement}");
}

#[test]
fn after_signing_off_nothing_is_decided() {
    let mut case = finished();
    let signed_off = Act::SignedOff { statement: String::new() };
    case.log.push(Entry::chain(case.log.last(), day(8), Some(by("erin")), signed_off));
    let alice = case.subject(1).id.clone();
    assert!(matches!(case.decide(&by("bob"), 1, &keep()), Err(Refusal::SignedOff(_))));
    assert!(matches!(case.rules().propose(&by("bob"), &alice, &keep()), Err(Refusal::SignedOff(_))));
    assert!(matches!(case.rules().except(&by("erin"), ("", "why", "x")), Err(Refusal::SignedOff(_))));
    assert!(matches!(case.sign_off(&by("erin"), false), Err(Refusal::SignedOff(_))));
}

proptest! {
    /// Whatever somebody writes into the names of his session, he decides about nobody by it.
    #[test]
    fn no_session_name_makes_a_reviewer(name in "[a-z=,.@-]{2,12}", listed in any::<bool>()) {
        let mut case = fresh();
        case.population.subjects[0].reviewer = name.clone();
        case.population.subjects[0].person = Some(Person { id: "zz zz".to_owned(), ..Person::default() });
        if !listed {
            case.population.people_sha256.clear();
        }
        let forged = signed(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/Developer/{name}"));
        prop_assert!(case.decide(&forged, 1, &keep()).is_err());
        let center = signed(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Dev_00/{name}"));
        prop_assert!(listed || name == "alice" || case.decide(&center, 1, &keep()).is_ok());
    }
}

#[test]
fn a_user_of_the_same_name_in_another_account_is_somebody_else() {
    let case = fresh();
    let stranger = By {
        arn: "arn:aws:iam::999999999999:user/bob".to_owned(),
        account: "999999999999".to_owned(),
        person: None,
        ..by("bob")
    };
    assert!(matches!(
        case.decide(&stranger, 1, &keep()),
        Err(Refusal::NotReviewer { .. } | Refusal::NotAPerson { .. })
    ));
    let mut owned = fresh();
    owned.population.people_sha256.clear();
    owned.population.subjects[0].reviewer = "bob".to_owned();
    let refused = owned.decide(&stranger, 1, &keep());
    assert!(matches!(refused, Err(Refusal::NotReviewer { .. })), "an owner's name is no proof either: {refused:?}");
}

#[test]
fn whoever_gave_access_by_another_of_his_identities_decides_nothing_about_it() {
    let mut case = fresh();
    case.population.subjects[2].created_by = Some(Provisioner {
        record: record("CreateUser", day(0)),
        actor: format!("arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_00/robert"),
        pipeline: false,
    });
    assert!(matches!(case.decide(&by("bob"), 3, &keep()), Err(Refusal::Granted { .. })), "robert is bob");
    let attached = case.population.subjects[2].created_by.take().into_iter().collect();
    case.population.subjects[2].given_by = attached;
    assert!(matches!(case.decide(&by("bob"), 3, &keep()), Err(Refusal::Granted { .. })), "a policy is access, too");
}
