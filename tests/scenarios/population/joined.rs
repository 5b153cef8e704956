//! From AWS's answers to a population.

use std::collections::BTreeMap;

use cloud::collect::Options;
use trail::access::Access;
use trail::review::{ActorKey, GrantKind, Input, Listed, People, Period, Population, SubjectKind, Usage};
use trail::settings::Settings;
use trail::snapshot::Snapshot;

use super::{Company, Fault, ROLE};

const PEOPLE: &str = "person,aliases,manager,status,start,end\n\
    Alice,alice alice@example.com,Carol,active,,\nCarol,,,active,,\nDora,dora@example.com,Carol,left,,2026-09-30\n";

async fn snapshots(company: &Company) -> Vec<Snapshot> {
    let collector = &company.world.collector;
    vec![collector.access(&company.home, "").await, collector.access(&company.management, "").await]
}

fn population(company: &Company, snapshots: &[Snapshot], usage: &BTreeMap<ActorKey, Usage>) -> Population {
    let mut settings = Settings::default();
    for account in [&company.home, &company.management] {
        "team-pay".clone_into(&mut settings.accounts.entry(account.clone()).or_default().owner);
    }
    let people = People::read(PEOPLE.as_bytes()).expect("a list");
    let period = Period::quarter(snapshots[0].taken, 1);
    Population::of(&Input {
        access: &Access::read(snapshots),
        snapshots,
        settings: &settings,
        period: &period,
        people: Some(Listed { people: &people, sha256: "5e", by: "hr" }),
        usage,
        provisioners: &BTreeMap::new(),
    })
}

#[tokio::test]
async fn everybody_is_in_the_population_and_nobody_else() {
    let company = Company::of("100000000107").await;
    let home = &company.home;
    let once = Usage { records: 1, ..Usage::default() };
    let role = format!("arn:aws:iam::{home}:role/aws-reserved/sso.amazonaws.com/eu-west-1/{ROLE}");
    let eve = ActorKey::User(format!("arn:aws:iam::{home}:user/eve"));
    let usage = BTreeMap::from([
        (ActorKey::Session { role, name: "dora@example.com".to_owned() }, once.clone()),
        (ActorKey::Role(format!("arn:aws:iam::{home}:role/worker")), once.clone()),
        (eve.clone(), once),
    ]);
    let population = population(&company, &snapshots(&company).await, &usage);
    assert_eq!(population.gaps, [], "nothing is missing");
    let here = population.subjects.iter().filter(|subject| subject.account == *home);
    let told: Vec<_> = here
        .map(|subject| (subject.kind, subject.name.as_str(), subject.privileged, subject.reviewer.as_str()))
        .collect();
    let expected = [
        (SubjectKind::Root, "root", true, "team-pay"),
        (SubjectKind::User, "alice", true, "Carol"),
        (SubjectKind::User, "bob", false, "team-pay"),
        (SubjectKind::Role, "OrganizationAccountAccessRole", false, "team-pay"),
        (SubjectKind::Role, "vendor", false, "team-pay"),
        (SubjectKind::Assignment, "alice@example.com as Ops", true, "Carol"),
        (SubjectKind::Assignment, "dora@example.com as Ops", true, "Carol"),
        (SubjectKind::SamlProvider, "okta", false, "team-pay"),
        (SubjectKind::OidcProvider, "token.actions.githubusercontent.com", false, "team-pay"),
    ];
    assert_eq!(told, expected);
    let named = |name: &str| population.subjects.iter().find(|subject| subject.name == name).expect(name);
    let kinds: Vec<_> = named("alice").grants.iter().map(|grant| grant.kind).collect();
    assert_eq!(kinds, [GrantKind::InlinePolicy, GrantKind::Group, GrantKind::Password, GrantKind::AccessKey]);
    assert!(named("alice").keys[0].id.starts_with("AKIA") && named("alice").keys[0].active);
    let through = &named("dora@example.com as Ops").grants[0];
    assert_eq!(
        (through.kind, through.name.as_str(), &through.via),
        (GrantKind::DirectoryGroup, "operators", &company.group)
    );
    assert_eq!(named("dora@example.com as Ops").usage.records, 1);
    assert_eq!(population.by_urgency()[0].name, "dora@example.com as Ops", "who has left comes first");
    let unknown: Vec<_> = population.unknown.iter().map(|stranger| &stranger.actor).collect();
    assert_eq!(unknown, [&eve]);
    let numbers: Vec<u32> = population.subjects.iter().map(|subject| subject.number).collect();
    assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<_>>());
    let asked: usize = population.receipts.iter().map(|receipt| receipt.request_ids.len()).sum();
    assert!(asked > population.receipts.len() / 2, "answers have the ids of their requests");
}

#[tokio::test]
async fn what_was_refused_makes_the_population_partial_and_says_so() {
    let company =
        Company::with("100000000108", Options { time: std::time::Duration::from_secs(2), ..Options::default() }).await;
    let aws = &company.world.aws;
    aws.inject("iam:GetAccountAuthorizationDetails", "", 1, Fault::Refuse(403, "AccessDenied"));
    aws.inject("iam:GetCredentialReport", "", usize::MAX, Fault::Refuse(404, "ReportInProgress"));
    let population = population(&company, &snapshots(&company).await, &BTreeMap::new());
    assert!(population.is_partial());
    let gap = |call: &str| population.gaps.iter().find(|gap| gap.what.starts_with(call) && gap.account == company.home);
    assert!(gap("iam:GetAccountAuthorizationDetails").is_some_and(|gap| gap.why.contains("AccessDenied")));
    assert!(gap("iam:GetCredentialReport").is_some_and(|gap| gap.why.contains("still making")));
    let refused = population.receipts.iter().filter(|receipt| receipt.refusal.is_some());
    assert!(refused.count() >= 2);
}
