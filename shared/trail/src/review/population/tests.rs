use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::GrantKind::{AccessKey, DirectoryGroup, Group, InlinePolicy, PermissionSet as Set};
use super::*;
use crate::access::{
    AccountAccess, Assignment, Directory, DirectoryUser, Given, Kind, Member, Organization, Password, PermissionSet,
    Principal, Provider,
};
use crate::policy::Policy;
use crate::snapshot::{Cause, GLOBAL, Page, Refusal, VERSION};

const PAY: &str = "111122223333";
const LOGS: &str = "444455556666";
const CLOSED: &str = "777788889999";
const RESERVED_ROLE: &str =
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Ops_0123456789abcdef";

fn time(text: &str) -> Time {
    Time::parse(text).expect("a time")
}

fn given(name: &str, statement: &Value) -> Given {
    let document = Policy::read(&json!({"Statement": statement})).expect("a policy");
    Given { name: name.to_owned(), inline: !name.starts_with("arn:"), document: Some(Arc::new(document)) }
}

fn allow(action: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": "*"})
}

fn principal(kind: Kind, account: &str, name: &str) -> Principal {
    let arn = match kind {
        Kind::Root => format!("arn:aws:iam::{account}:root"),
        Kind::User => format!("arn:aws:iam::{account}:user/{name}"),
        Kind::Role => format!("arn:aws:iam::{account}:role/{name}"),
    };
    Principal {
        kind,
        id: format!("ID{name}"),
        arn,
        name: name.to_owned(),
        created: None,
        policies: Vec::new(),
        groups: Vec::new(),
        boundary: None,
        trust: None,
        password: None,
        mfa: None,
        keys: Vec::new(),
        last_used: None,
        tags: BTreeMap::new(),
    }
}

fn role(account: &str, name: &str, trusted: &Value) -> Principal {
    let statement = json!({"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"});
    let trust = Policy::read(&json!({"Statement": [statement]}));
    Principal { trust, ..principal(Kind::Role, account, name) }
}

/// An account with one of everything.
fn pay() -> AccountAccess {
    let alice = Principal {
        groups: vec!["admins".to_owned()],
        password: Some(Password::default()),
        keys: vec![Key { id: "AKIA1".to_owned(), active: true, created: None, last_used: None }],
        policies: vec![given("own", &allow("iam:PassRole"))],
        ..principal(Kind::User, PAY, "alice")
    };
    let reserved = Principal {
        arn: RESERVED_ROLE.to_owned(),
        policies: vec![given("arn:aws:iam::111122223333:policy/team", &allow("iam:PutUserPolicy"))],
        ..role(PAY, "AWSReservedSSO_Ops_0123456789abcdef", &json!({"Federated": "arn:aws:iam::1:saml-provider/x"}))
    };
    AccountAccess {
        account: PAY.to_owned(),
        taken: time("2026-10-01T00:00:00Z"),
        principals: vec![
            principal(Kind::Root, PAY, "root"),
            alice,
            principal(Kind::User, PAY, "bob"),
            role(PAY, "lambda", &json!({"Service": "lambda.amazonaws.com"})),
            role(PAY, "vendor", &json!({"AWS": "999988887777"})),
            reserved,
        ],
        groups: BTreeMap::from([("admins".to_owned(), vec![given("launch", &allow("lambda:CreateFunction"))])]),
        providers: vec![Provider { arn: format!("arn:aws:iam::{PAY}:saml-provider/okta"), saml: true, created: None }],
    }
}

fn directory() -> Directory {
    let user = |name: &str, groups: &[&str]| DirectoryUser {
        name: name.to_owned(),
        emails: vec![format!("{name}@example.com")],
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..DirectoryUser::default()
    };
    let assigned = |principal: &str, group| Assignment {
        account: PAY.to_owned(),
        permission_set: "arn:ops".to_owned(),
        principal: principal.to_owned(),
        group,
    };
    Directory {
        users: BTreeMap::from([
            ("u1".to_owned(), user("alice", &["g1", "g2"])),
            ("u2".to_owned(), user("dora", &["g1"])),
        ]),
        groups: BTreeMap::from([("g1".to_owned(), "operators".to_owned()), ("g2".to_owned(), "on-call".to_owned())]),
        permission_sets: BTreeMap::from([(
            "arn:ops".to_owned(),
            PermissionSet { name: "Ops".to_owned(), ..PermissionSet::default() },
        )]),
        assignments: vec![assigned("u1", false), assigned("g1", true), assigned("g2", true), assigned("u9", false)],
        ..Directory::default()
    }
}

/// All that a population is made from, owned.
struct World {
    access: Access,
    snapshots: Vec<Snapshot>,
    settings: Settings,
    period: Period,
    people: Option<People>,
    usage: BTreeMap<ActorKey, Usage>,
    provisioners: BTreeMap<String, Provisioner>,
}

impl World {
    fn new() -> Self {
        let access =
            Access { accounts: vec![pay()], directory: Some(directory()), organization: None, gaps: Vec::new() };
        let settings =
            Settings::from_toml("[accounts.111122223333]\nname='pay'\nenvironment='production'\nowner='team-pay'\n");
        Self {
            access,
            snapshots: Vec::new(),
            settings: settings.expect("settings"),
            period: Period::quarter(time("2026-10-01T00:00:00Z"), 1),
            people: None,
            usage: BTreeMap::new(),
            provisioners: BTreeMap::new(),
        }
    }

    fn listing(mut self, rows: &str) -> Self {
        let list = format!("person,aliases,manager,status,start,end\n{rows}");
        self.people = Some(People::read(list.as_bytes()).expect("a list"));
        self
    }

    fn population(&self) -> Population {
        Population::of(&Input {
            access: &self.access,
            snapshots: &self.snapshots,
            settings: &self.settings,
            period: &self.period,
            people: self.people.as_ref().map(|people| Listed { people, sha256: "5e", by: "hr" }),
            usage: &self.usage,
            provisioners: &self.provisioners,
        })
    }
}

fn used(last: &str) -> Usage {
    Usage { records: 1, last: Some(time(last)), ..Usage::default() }
}

fn named<'p>(population: &'p Population, name: &str) -> &'p Subject {
    population.subjects.iter().find(|subject| subject.name == name).expect(name)
}

fn grants(subject: &Subject) -> Vec<(GrantKind, &str, &str)> {
    subject.grants.iter().map(|grant| (grant.kind, grant.name.as_str(), grant.via.as_str())).collect()
}

#[test]
fn each_thing_with_access_is_one_subject_in_order() {
    let population = World::new().population();
    let told: Vec<_> =
        population.subjects.iter().map(|subject| (subject.number, subject.kind, subject.name.as_str())).collect();
    let expected = [
        (1, SubjectKind::Root, "root"),
        (2, SubjectKind::User, "alice"),
        (3, SubjectKind::User, "bob"),
        (4, SubjectKind::Role, "vendor"),
        (5, SubjectKind::Assignment, "alice as Ops"),
        (6, SubjectKind::Assignment, "dora as Ops"),
        (7, SubjectKind::Assignment, "u9 as Ops"),
        (8, SubjectKind::SamlProvider, "okta"),
    ];
    assert_eq!(told, expected, "neither what only services take, nor the role behind the permission set");
    let ids: Vec<&str> = population.subjects.iter().map(|subject| subject.id.as_str()).collect();
    assert_eq!((ids[1], ids[4]), ("arn:aws:iam::111122223333:user/alice", "sso:u1/111122223333/Ops"));
    assert_eq!(named(&population, "vendor").trusts, ["another account (999988887777)"]);
    assert_eq!(population.gaps, [], "the account's owner decides about all of them");
}

#[test]
fn grants_name_the_groups_that_they_come_through() {
    let population = World::new().population();
    assert_eq!(
        grants(named(&population, "alice")),
        [
            (InlinePolicy, "launch", "admins"),
            (InlinePolicy, "own", ""),
            (Group, "admins", ""),
            (GrantKind::Password, "password", ""),
            (AccessKey, "AKIA1", ""),
        ]
    );
    let both = [(Set, "Ops", ""), (DirectoryGroup, "on-call", "g2"), (DirectoryGroup, "operators", "g1")];
    assert_eq!(grants(named(&population, "alice as Ops")), both, "one subject, given thrice");
    assert_eq!(grants(named(&population, "dora as Ops")), [(DirectoryGroup, "operators", "g1")]);
}

#[test]
fn administrators_are_marked_by_all_policies_together() {
    let mut world = World::new();
    let mark = |world: &World, name: &str| {
        let population = world.population();
        let subject = named(&population, name);
        (subject.privileged, subject.privileged_by.clone())
    };
    let passing = "iam:PassRole with lambda:CreateFunction".to_owned();
    assert_eq!(mark(&world, "alice"), (true, vec![passing.clone()]), "one half is the group's");
    assert_eq!(mark(&world, "bob"), (false, Vec::new()));
    assert!(mark(&world, "root").0);
    assert_eq!(mark(&world, "dora as Ops"), (true, vec!["iam:PutUserPolicy".to_owned()]), "by the role in the account");
    let alice = &mut world.access.accounts[0].principals[1];
    alice.boundary = Some(given("arn:aws:iam::1:policy/fence", &allow("s3:*")));
    assert_eq!(mark(&world, "alice").1, [passing, "within the boundary arn:aws:iam::1:policy/fence".to_owned()]);
    let untold = Given { name: "arn:aws:iam::aws:policy/IAMFullAccess".to_owned(), inline: false, document: None };
    world.access.accounts[0].principals[2].policies.push(untold);
    assert_eq!(mark(&world, "bob"), (true, vec!["IAMFullAccess".to_owned()]));
}

#[test]
fn usage_finds_its_subject_and_what_is_left_is_unknown() {
    let mut world = World::new();
    let session = |name: &str| ActorKey::Session { role: RESERVED_ROLE.to_owned(), name: name.to_owned() };
    let role = |name: &str| ActorKey::Role(format!("arn:aws:iam::{PAY}:role/{name}"));
    let user = |name: &str| ActorKey::User(format!("arn:aws:iam::{PAY}:user/{name}"));
    let known = [ActorKey::Root(PAY.to_owned()), user("alice"), role("vendor"), session("dora"), role("lambda")];
    let strange = [ActorKey::Root("123123123123".to_owned()), user("eve"), role("gone"), session("mallory")];
    for actor in known.iter().chain(&strange) {
        world.usage.insert(actor.clone(), used("2026-10-05T00:00:00Z"));
    }
    let population = world.population();
    for name in ["root", "alice", "vendor", "dora as Ops"] {
        assert_eq!(named(&population, name).usage.records, 1, "{name}");
    }
    assert_eq!(named(&population, "bob").usage, Usage::default());
    let unknown: Vec<&ActorKey> = population.unknown.iter().map(|stranger| &stranger.actor).collect();
    let mut expected: Vec<&ActorKey> = strange.iter().collect();
    expected.sort();
    assert_eq!(unknown, expected);
}

#[test]
fn reviewers_are_managers_then_owners_and_never_oneself() {
    let world = World::new().listing(
        "Alice,alice;alice@example.com,Carol,active,,\nCarol,,Dan,left,,\nDan,team-pay,,active,,\nDora,dora@example.com,,left,,2026-09-30\n",
    );
    let population = world.population();
    let reviewer = |name: &str| named(&population, name).reviewer.as_str();
    assert_eq!(reviewer("alice"), "Dan", "Carol has left");
    assert_eq!((reviewer("bob"), reviewer("root")), ("Dan", "Dan"), "the owner, by the list's name");
    let order: Vec<&str> = population.by_urgency().iter().take(4).map(|subject| subject.name.as_str()).collect();
    assert_eq!(order, ["dora as Ops", "bob", "u9 as Ops", "root"], "who has left, who is unknown, the rest");
    assert_eq!((population.people_sha256.as_str(), population.people_by.as_str()), ("5e", "hr"));
    let own = World::new().listing("Dan,team-pay;bob,,active,,\n").population();
    assert_eq!(named(&own, "bob").reviewer, "");
    assert_eq!(own.gaps.len(), 1);
    assert!(own.gaps[0].what.contains("no reviewer for 1"), "{:?}", own.gaps);
    let gone = World::new().listing("Dan,team-pay,Eva,left,,\nEva,,,active,,\n").population();
    assert_eq!(named(&gone, "bob").reviewer, "Eva", "the owner has left");
    let unlisted = World::new().population();
    assert!(unlisted.by_urgency().iter().map(|subject| subject.number).eq(1..=8), "nobody is missing in no list");
}

#[test]
fn accounts_are_all_there_with_what_became_of_them() {
    let mut world = World::new();
    let member = |account: &str, active, joined: &str| Member {
        account: account.to_owned(),
        name: format!("org-{account}"),
        active,
        joined: Some(time(joined)),
        parents: Vec::new(),
    };
    world.access.organization = Some(Organization {
        accounts: vec![
            member(PAY, true, "2020-01-01T00:00:00Z"),
            member(LOGS, true, "2026-11-02T00:00:00Z"),
            member(CLOSED, false, "2020-01-01T00:00:00Z"),
        ],
        ..Organization::default()
    });
    world.usage.insert(ActorKey::Root(CLOSED.to_owned()), used("2026-10-20T00:00:00Z"));
    let population = world.population();
    let scope = |account: &str| population.scope.iter().find(|scope| scope.account == account).expect(account);
    assert_eq!((scope(PAY).name.as_str(), scope(PAY).environment.as_str()), ("pay", "production"));
    assert_eq!(scope(LOGS).note, "joined on 2026-11-02, during the period");
    assert_eq!(
        scope(CLOSED).excluded.as_deref(),
        Some("closed or suspended; last active on 2026-10-20, during the period")
    );
    assert!(population.unknown.is_empty(), "a closed account's actors are told with the account");
    let gap = population.gaps.iter().find(|gap| gap.account == LOGS).expect("a gap");
    assert!(gap.why.contains("no snapshot of it was taken"), "{gap:?}");
    assert!(population.is_partial());
    world.settings.review.excluded.insert(LOGS.to_owned(), "holds logs alone".to_owned());
    world.settings.review.accounts = Some(vec!["production".to_owned(), "producktion".to_owned()]);
    world.settings.accounts.insert(
        "123412341234".to_owned(),
        crate::settings::Account { environment: "production".to_owned(), ..Default::default() },
    );
    let population = world.population();
    let excluded: Vec<_> = population.scope.iter().map(|scope| scope.excluded.as_deref()).collect();
    let closed = Some("closed or suspended; last active on 2026-10-20, during the period");
    assert_eq!(excluded, [None, None, Some("holds logs alone"), closed]);
    let told: Vec<&str> = population.gaps.iter().map(|gap| gap.what.as_str()).collect();
    assert_eq!(told, ["`producktion` in the settings of the review", "all of the account"]);
    assert!(population.gaps[1].why.contains("no longer in the organization"));
}

#[test]
fn an_account_that_is_left_out_has_neither_subjects_nor_gaps() {
    let mut world = World::new();
    world.settings.review.excluded.insert("production".to_owned(), "reviewed elsewhere".to_owned());
    world.access.gaps.push(Gap { account: PAY.to_owned(), what: "w".to_owned(), why: "y".to_owned() });
    let population = world.population();
    assert!(population.subjects.is_empty() && population.gaps.is_empty(), "{:?}", population.gaps);
}

#[test]
fn each_answer_is_a_receipt() {
    let mut world = World::new();
    let page = |id: &str, rows| Page { request_id: id.to_owned(), rows, time: Time(1) };
    let answer = Answer {
        call: "iam:ListAccessKeys".to_owned(),
        account: PAY.to_owned(),
        region: GLOBAL.to_owned(),
        parameters: BTreeMap::from([("UserName".to_owned(), "alice".to_owned())]),
        time: Time(2),
        request_id: "r2".to_owned(),
        sha256: "ab".to_owned(),
        pages: vec![page("r1", 2), page("r2", 1)],
        result: Reply::Body(json!({})),
    };
    let refusal = Refusal { cause: Cause::Late, code: "ReportInProgress".to_owned(), message: "wait".to_owned() };
    let late =
        Answer { pages: Vec::new(), request_id: String::new(), result: Reply::Refusal(refusal), ..answer.clone() };
    let taken = time("2026-10-01T00:00:07Z");
    world.snapshots = vec![Snapshot { version: VERSION, account: PAY.to_owned(), taken, answers: vec![answer, late] }];
    let population = world.population();
    assert_eq!(population.taken, taken);
    let [told, late] = &population.receipts[..] else { panic!("two receipts") };
    assert_eq!(
        (told.rows, &told.request_ids[..], &told.parameters[..]),
        (3, &["r1".to_owned(), "r2".to_owned()][..], &["UserName=alice".to_owned()][..])
    );
    assert_eq!((late.refusal.as_deref(), late.rows), (Some("ReportInProgress wait"), 0));
    assert!(late.request_ids.is_empty());
}

#[test]
fn who_joins_gets_the_next_numbers_and_nobody_twice() {
    let mut world = World::new();
    let first = world.population();
    assert_eq!(first.joined(&[], world.population()), []);
    world.access.accounts[0].principals.push(principal(Kind::User, PAY, "aaron"));
    world.access.accounts[0].principals[2].policies.push(given("more", &allow("s3:*")));
    let joined = first.joined(&[], world.population());
    let told: Vec<_> = joined.iter().map(|subject| (subject.number, subject.id.as_str(), grants(subject))).collect();
    let (aaron, bob) = ("arn:aws:iam::111122223333:user/aaron", "arn:aws:iam::111122223333:user/bob#10");
    assert_eq!(told, [(9, aaron, vec![]), (10, bob, vec![(InlinePolicy, "more", "")])]);
    assert!(joined.iter().all(|subject| subject.joined));
    assert_eq!(first.joined(&joined, world.population()), [], "they are known by now");
    world.access.accounts[0].principals.push(principal(Kind::User, PAY, "zoe"));
    let later = first.joined(&joined, world.population());
    assert_eq!(later.iter().map(|subject| subject.number).collect::<Vec<_>>(), [11]);
}

#[test]
fn roles_of_identity_center_are_subjects_where_it_cannot_be_asked() {
    let mut world = World::new();
    world.access.directory = None;
    let population = world.population();
    let role = named(&population, "AWSReservedSSO_Ops_0123456789abcdef");
    assert_eq!((role.kind, role.privileged), (SubjectKind::Role, true));
}

#[test]
fn it_is_written_and_read_as_it_is() {
    let population = World::new().population();
    let text = serde_json::to_string(&population).expect("JSON");
    assert_eq!(serde_json::from_str::<Population>(&text).expect("a population"), population);
}

proptest! {
    /// Whoever was active is a subject, a role that the account still has, of an account that is left out, or unknown.
    #[test]
    fn nobody_who_was_active_is_lost(picked in prop::collection::vec((0_usize..4, 0_usize..6, 0_usize..3), 0..40)) {
        let mut world = World::new();
        world.settings.review.excluded.insert(LOGS.to_owned(), "r".to_owned());
        world.settings.accounts.insert(LOGS.to_owned(), crate::settings::Account::default());
        for (kind, name, account) in picked {
            let account = [PAY, LOGS, CLOSED][account];
            let name = ["alice", "bob", "lambda", "vendor", "dora", "eve"][name];
            let actor = match kind {
                0 => ActorKey::Root(account.to_owned()),
                1 => ActorKey::User(format!("arn:aws:iam::{account}:user/{name}")),
                2 => ActorKey::Role(format!("arn:aws:iam::{account}:role/{name}")),
                _ => ActorKey::Session { role: RESERVED_ROLE.replace(PAY, account), name: name.to_owned() },
            };
            world.usage.insert(actor, used("2026-10-05T00:00:00Z"));
        }
        let population = world.population();
        for actor in world.usage.keys() {
            let places = [
                population.subjects.iter().filter(|subject| subject.actors.contains(actor)).count(),
                population.unknown.iter().filter(|stranger| stranger.actor == *actor).count(),
                usize::from(*actor == ActorKey::Role(format!("arn:aws:iam::{PAY}:role/lambda"))),
                usize::from(actor.account() == LOGS),
            ];
            prop_assert_eq!(places.iter().sum::<usize>(), 1, "{:?}: {:?}", actor, places);
        }
    }

    /// Numbers do not depend on the order of answers.
    #[test]
    fn the_order_of_answers_changes_nothing(turns in 0_usize..6, reverse in any::<bool>()) {
        let mut world = World::new();
        let expected = world.population();
        world.access.accounts[0].principals.rotate_left(turns);
        if let (true, Some(directory)) = (reverse, &mut world.access.directory) {
            directory.assignments.reverse();
        }
        prop_assert_eq!(world.population(), expected);
    }
}
