use std::sync::Arc;

use aws_config::SdkConfig;
use serde_json::json;
use trail::access::Key;
use trail::detection::Severity;
use trail::detections::reviews::{ACCESS_REAPPEARED, About, found};
use trail::facts::{Facts, Hint};
use trail::finding::Finding;
use trail::record::Record;
use trail::review::effect::{Seen, Watch};
use trail::review::population::Person;
use trail::review::standing::{Remedy, Stage};
use trail::review::{
    Act, ActorKey, By, Decision, Grant, GrantKind, Known, Period, Persons, Population, Refusal, Scope, Subject,
    SubjectKind, Usage, Verb,
};
use trail::settings::{Own, Settings};
use trail::time::Time;

use super::handler::Review;
use super::log::{Opening, Reviews, Source, by};
use super::proof::Proof;
use crate::asking::{Asking, Proof as Proven};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::state::Parts;
use crate::stores::{Stores, folder};
use crate::testing;

const ACCOUNT: &str = "111122223333";
const REVIEW: &str = "2026-Q4";

/// A Thursday.
fn day(days: i64) -> Time {
    Time(Time::parse("2026-10-01T06:00:00Z").expect("a time").0 + days * 86_400)
}

struct Listed;

impl Persons for Listed {
    fn person(&self, name: &str) -> Option<String> {
        let known = ["alice", "bob", "dave", "erin"].into_iter().find(|known| *known == name || id(known) == name);
        known.map(str::to_owned)
    }
}

/// Populations in memory.
struct Shelf {
    population: Population,
    later: Option<Population>,
}

impl Source for Shelf {
    type Persons = Listed;

    async fn population(&self, review: &str) -> Result<Option<(Arc<Population>, String)>, Error> {
        Ok((review == REVIEW).then(|| (Arc::new(self.population.clone()), "sha".to_owned())))
    }

    async fn persons(&self) -> Result<Listed, Error> {
        Ok(Listed)
    }

    async fn later(&self, _than: Time, _settings: &Settings) -> Result<Option<(Population, String)>, Error> {
        Ok(self.later.clone().map(|later| (later, "later".to_owned())))
    }
}

fn user(number: u32, name: &str, reviewer: &str) -> Subject {
    let id = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    let key = Grant { kind: GrantKind::AccessKey, name: format!("AKIA{name}"), via: String::new() };
    Subject {
        number,
        kind: SubjectKind::User,
        account: ACCOUNT.to_owned(),
        name: name.to_owned(),
        unique_id: format!("AIDA{name}"),
        person: None,
        grants: vec![key],
        privileged: false,
        privileged_by: Vec::new(),
        mfa: None,
        keys: Vec::new(),
        trusts: Vec::new(),
        created: None,
        created_by: None,
        given_by: Vec::new(),
        last_used: Some(day(-1)),
        actors: vec![ActorKey::User(id.clone())],
        usage: Usage::default(),
        reviewer: reviewer.to_owned(),
        joined: false,
        id,
    }
}

fn shelf() -> Shelf {
    let subjects = vec![user(1, "alice", "bob"), user(2, "bob", "alice"), user(3, "dave", "bob")];
    let population = Population { taken: day(0), subjects, people_sha256: "p".to_owned(), ..Population::default() };
    Shelf { population, later: None }
}

fn asking(name: &str, days: i64) -> Asking {
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    Asking {
        who: name.to_owned(),
        arn: Some(arn),
        account: Some(ACCOUNT.to_owned()),
        groups: Vec::new(),
        proven: Proven::Signed,
        address: "203.0.113.7".to_owned(),
        at: day(days),
    }
}

fn decision(verb: Verb) -> Decision {
    Decision { verb, remove: Vec::new(), justification: String::new(), ticket: String::new() }
}

async fn deployment(folder_: &tempfile::TempDir) -> Deployment {
    Deployment {
        state: testing::table().await,
        stores: Arc::new(Stores::new(SdkConfig::builder().build())),
        data: folder(folder_.path()).expect("a folder"),
        alerts: None,
        metrics: Metrics::Off,
        own: Own::default(),
        settings: None,
        fast_path: None,
        parts: Parts::default(),
        publisher_timeout: 180,
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.review.approvers = vec![format!("arn:aws:iam::{ACCOUNT}:user/erin")];
    settings
}

async fn opened<'r>(deployment: &'r Deployment, settings: &'r Settings, shelf: &'r Shelf) -> Reviews<'r, Shelf> {
    let reviews = Reviews { state: &deployment.state, settings, source: shelf, local: false };
    assert!(reviews.open(opening(shelf), day(1)).await.expect("opened"));
    reviews
}

fn opening(shelf: &Shelf) -> Opening<'_> {
    Opening {
        period: Period { id: REVIEW.to_owned(), from: day(-92), to: day(0) },
        population: &shelf.population,
        stored: ("reviews/2026-Q4/population.json.gz".to_owned(), "sha".to_owned()),
        known: Known::default(),
        leaver: None,
    }
}

async fn line(reviews: &Reviews<'_, Shelf>, name: &str, now: Time) -> trail::review::standing::Line {
    let opened = reviews.load(REVIEW).await.expect("a review");
    let id = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    reviews.standing(&opened, now).line(&id).expect("a subject").clone()
}

fn id(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

#[tokio::test]
async fn two_people_decide_and_nobody_about_himself() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, shelf) = (deployment(&folder).await, settings(), shelf());
    let reviews = opened(&deployment, &settings, &shelf).await;
    assert!(!reviews.open(opening(&shelf), day(1)).await.expect("asked"), "it is open already");
    let (alice, bob, erin) = (asking("alice", 2), asking("bob", 2), asking("erin", 3));
    let keep = decision(Verb::Keep);
    reviews.decide(REVIEW, &bob, (&id("alice"), &keep)).await.expect("his to decide");
    let refused = reviews.decide(REVIEW, &alice, (&id("alice"), &keep)).await;
    assert!(matches!(refused, Err(Error::Refusal(refusal)) if matches!(*refusal, Refusal::Own { .. })));
    let forged = Asking { arn: Some(format!("arn:aws:sts::{ACCOUNT}:assumed-role/Dev/bob")), ..bob.clone() };
    assert!(reviews.decide(REVIEW, &forged, (&id("dave"), &keep)).await.is_err());
    assert!(reviews.sign_off(REVIEW, &erin, ("All is well.", false)).await.is_err(), "not all is decided");
    reviews.decide(REVIEW, &alice, (&id("bob"), &keep)).await.expect("hers to decide");
    reviews.decide(REVIEW, &bob, (&id("dave"), &keep)).await.expect("his to decide");
    assert!(reviews.sign_off(REVIEW, &bob, ("All is well.", false)).await.is_err(), "no approver");
    let signed = reviews.sign_off(REVIEW, &erin, ("All is well.", false)).await.expect("signed off");
    assert_eq!(signed, "All is well.");
    assert!(reviews.decide(REVIEW, &bob, (&id("dave"), &keep)).await.is_err(), "it is over");
    let log = reviews.load(REVIEW).await.expect("a review").log;
    assert_eq!(log.len(), 5);
    let decided = log[1].by.as_ref().expect("somebody");
    assert_eq!(
        (decided.arn.as_str(), decided.person.as_deref(), &*decided.address),
        (&*id("bob"), Some("bob"), "203.0.113.7")
    );
}

#[tokio::test]
async fn decisions_at_the_same_time_are_all_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, shelf) = (deployment(&folder).await, settings(), shelf());
    let reviews = opened(&deployment, &settings, &shelf).await;
    let (alice, bob, keep) = (asking("alice", 2), asking("bob", 2), decision(Verb::Keep));
    let (of_alice, of_bob, of_dave) = (id("alice"), id("bob"), id("dave"));
    let all = futures::join!(
        reviews.decide(REVIEW, &bob, (&of_alice, &keep)),
        reviews.decide(REVIEW, &alice, (&of_bob, &keep)),
        reviews.decide(REVIEW, &bob, (&of_dave, &keep)),
    );
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok(), "{all:?}");
    assert_eq!(reviews.load(REVIEW).await.expect("an unbroken log").log.len(), 4);
}

#[tokio::test]
async fn a_sheet_proposes_and_its_reviewer_confirms() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, shelf) = (deployment(&folder).await, settings(), shelf());
    let reviews = opened(&deployment, &settings, &shelf).await;
    let sheet =
        format!("number,id,decision,remove,justification,ticket\n3,{},revoke,,,OPS-1\n9,x,keep,,,\n", id("dave"));
    let (bob, dave) = (asking("bob", 3), asking("dave", 2));
    for _ in 0..2 {
        let (read, refused) = reviews.propose(REVIEW, &dave, sheet.as_bytes()).await.expect("taken in");
        assert_eq!((read.proposals.len(), read.errors.len(), refused.len()), (1, 1, 0));
    }
    assert_eq!(line(&reviews, "dave", day(3)).await.stage, Stage::Proposed);
    assert!(deployment.state.open_effects().await.expect("read").is_empty(), "a proposal takes nothing away");
    assert!(reviews.confirm(REVIEW, &dave, &[(id("dave"), None)]).await.is_err());
    assert_eq!(reviews.confirm(REVIEW, &bob, &[(id("dave"), None)]).await.expect("confirmed"), 1);
    assert_eq!(line(&reviews, "dave", day(3)).await.stage, Stage::Decided);
    assert_eq!(deployment.state.open_effects().await.expect("read").len(), 1);
    assert_eq!(reviews.load(REVIEW).await.expect("a review").log.len(), 3, "proposed once");
}

fn record(name: &str, days: i64) -> String {
    json!({
        "eventVersion": "1.11", "eventSource": "iam.amazonaws.com", "eventName": name,
        "userIdentity": {"type": "IAMUser", "arn": id("erin"), "accountId": ACCOUNT, "userName": "erin"},
        "eventTime": day(days).to_string(), "eventID": format!("{name}-{days}"), "awsRegion": "us-east-1",
        "requestParameters": {"userName": "dave"}, "recipientAccountId": ACCOUNT, "eventType": "AwsApiCall",
    })
    .to_string()
}

fn seen(watch: &Watch, text: &str) -> Vec<trail::review::Sighting> {
    let record = Record::parse(text).expect("a record");
    watch.see(&record, &Facts::of(&record, Hint::default()).expect("facts"))
}

#[tokio::test]
async fn a_revocation_is_proven_by_records_once_each_and_a_return_is_critical() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, shelf) = (deployment(&folder).await, settings(), shelf());
    let reviews = opened(&deployment, &settings, &shelf).await;
    let bob = asking("bob", 2);
    reviews.decide(REVIEW, &bob, (&id("dave"), &decision(Verb::Revoke))).await.expect("decided");
    let proof = Proof::default();
    let watch = proof.watch(&deployment.state, day(3)).await.expect("read");
    let deleted = seen(&watch, &record("DeleteUser", 3));
    assert!(matches!(&deleted[..], [one] if matches!(one.what, Seen::Carried(_))), "{deleted:?}");
    assert_eq!(proof.take(&deployment, &settings, (&deleted, day(3))).await.expect("put"), 1);
    assert_eq!(proof.take(&deployment, &settings, (&deleted, day(3))).await.expect("known"), 0, "delivered again");
    let gone = line(&reviews, "dave", day(3)).await;
    assert_eq!((gone.remedy, gone.removed_at), (Remedy::SeenInLog, Some(day(3))));
    let back = seen(&watch, &record("CreateUser", 4));
    proof.take(&deployment, &settings, (&back, day(4))).await.expect("put");
    let back = line(&reviews, "dave", day(4)).await;
    assert_eq!(back.remedy, Remedy::Reappeared);
    assert!(back.back.starts_with("CreateUser dave, by arn:aws:iam::"), "{}", back.back);
    let subject = id("dave");
    let about = About { review: REVIEW, subject: &subject, account: ACCOUNT, time: day(4), what: "", occurrence: "" };
    let expected = Finding::of(&found(&ACCESS_REAPPEARED, &about));
    let told = deployment.state.entry(&expected.finding_id).await.expect("read").expect("a finding").finding;
    assert_eq!((told.severity, told.event_count()), (Severity::Critical, 1));
}

#[tokio::test]
async fn where_nobody_is_told_nobody_counts_as_reminded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, shelf) = (deployment(&folder).await, settings(), shelf());
    opened(&deployment, &settings, &shelf).await;
    Review::new(&deployment, shelf).without_reminders().check(&settings, day(26)).await.expect("checked");
    let log = deployment.state.review_log(REVIEW).await.expect("a log");
    let acts: Vec<_> = log.iter().map(|entry| json!(entry.act)["act"].clone()).collect();
    assert_eq!(acts, ["opened"]);
}

#[tokio::test]
async fn the_schedule_compares_reminds_and_appends() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, mut shelf) = (deployment(&folder).await, settings(), shelf());
    let reviews = opened(&deployment, &settings, &shelf).await;
    let bob = asking("bob", 2);
    reviews.decide(REVIEW, &bob, (&id("dave"), &decision(Verb::Revoke))).await.expect("decided");
    let mut later = shelf.population.clone();
    later.taken = day(25);
    later.subjects = vec![later.subjects[0].clone(), user(2, "frank", "bob")];
    later.scope = vec![Scope { account: ACCOUNT.to_owned(), ..Scope::default() }];
    shelf.later = Some(later);
    let state = deployment.state.clone();
    made_by_bob(&deployment).await;
    let handler = Review::new(&deployment, shelf);
    for _ in 0..2 {
        handler.check(&settings, day(26)).await.expect("checked");
    }
    let log = state.review_log(REVIEW).await.expect("a log");
    let acts: Vec<String> = log.iter().map(|e| json!(e.act)["act"].as_str().expect("a word").to_owned()).collect();
    assert_eq!(acts, ["opened", "decided", "absent", "absent", "joined", "reminded"], "each once");
    assert_eq!(state.open_effects().await.expect("read")[0].gone, Some(day(26)));
    let Act::Joined { subject } = &log[4].act else { panic!("joined") };
    assert_eq!(subject.created_by.as_ref().map(|given| given.actor.as_str()), Some(&*id("bob")));
    let reviews = Reviews { state: &state, settings: &settings, source: &self::shelf(), local: false };
    let refused = reviews.decide(REVIEW, &asking("bob", 27), (&id("frank"), &decision(Verb::Keep))).await;
    assert!(matches!(refused, Err(Error::Refusal(refusal)) if matches!(*refusal, Refusal::Granted { .. })));
}

#[tokio::test]
async fn a_later_snapshot_contradicts_the_log_and_one_that_did_not_look_says_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, shelf) = (deployment(&folder).await, settings(), shelf());
    let reviews = opened(&deployment, &settings, &shelf).await;
    reviews.decide(REVIEW, &asking("bob", 2), (&id("dave"), &decision(Verb::Revoke))).await.expect("decided");
    let proof = Proof::default();
    let watch = proof.watch(&deployment.state, day(3)).await.expect("read");
    let deleted = seen(&watch, &record("DeleteUser", 3));
    proof.take(&deployment, &settings, (&deleted, day(3))).await.expect("put");
    let checked = async |scope: Vec<Scope>, subjects: Vec<Subject>, days: i64| {
        let later = Population { taken: day(days), scope, subjects, ..shelf.population.clone() };
        let handler = Review::new(&deployment, Shelf { population: shelf.population.clone(), later: Some(later) });
        handler.check(&settings, day(days)).await.expect("checked");
        line(&reviews, "dave", day(days)).await.remedy
    };
    let excluded = Scope { account: ACCOUNT.to_owned(), excluded: Some("for now".to_owned()), ..Scope::default() };
    assert_eq!(checked(vec![excluded], Vec::new(), 4).await, Remedy::SeenInLog, "nobody has looked");
    let scope = Scope { account: ACCOUNT.to_owned(), ..Scope::default() };
    let mut off = user(3, "dave", "bob");
    off.keys = vec![Key { id: "AKIAdave".to_owned(), active: false, created: None, last_used: None }];
    let others = || vec![user(1, "alice", "bob"), user(2, "bob", "alice")];
    let there = checked(vec![scope.clone()], [others(), vec![user(3, "dave", "bob")]].concat(), 5).await;
    assert_eq!(there, Remedy::Reappeared, "the log says that it is gone, and it is there");
    let off = checked(vec![scope.clone()], [others(), vec![off]].concat(), 6).await;
    assert_eq!(off, Remedy::ConfirmedAbsent, "a key that is switched off opens nothing");
}

#[tokio::test]
async fn a_use_in_the_same_delivery_as_the_removal_is_a_return() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, shelf) = (deployment(&folder).await, settings(), shelf());
    let reviews = opened(&deployment, &settings, &shelf).await;
    reviews.decide(REVIEW, &asking("bob", 2), (&id("dave"), &decision(Verb::Revoke))).await.expect("decided");
    let proof = Proof::default();
    let watch = proof.watch(&deployment.state, day(3)).await.expect("read");
    let mut used: serde_json::Value = serde_json::from_str(&record("RunInstances", 4)).expect("JSON");
    used["userIdentity"] = json!({"type": "IAMUser", "arn": id("dave"), "accountId": ACCOUNT, "userName": "dave"});
    used["eventSource"] = json!("ec2.amazonaws.com");
    let used = seen(&watch, &used.to_string());
    assert_eq!(proof.take(&deployment, &settings, (&used, day(3))).await.expect("put"), 0, "all is there still");
    let both = [seen(&watch, &record("DeleteUser", 3)), used].concat();
    assert_eq!(proof.take(&deployment, &settings, (&both, day(4))).await.expect("put"), 2);
    assert_eq!(line(&reviews, "dave", day(4)).await.remedy, Remedy::Reappeared);
}

#[tokio::test]
async fn what_somebody_is_given_in_mid_review_joins_it_and_goes_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, shelf) = (deployment(&folder).await, settings(), shelf());
    let reviews = opened(&deployment, &settings, &shelf).await;
    let keep = decision(Verb::Keep);
    reviews.decide(REVIEW, &asking("bob", 2), (&id("dave"), &keep)).await.expect("decided");
    let admin = Grant {
        kind: GrantKind::Policy,
        name: "arn:aws:iam::aws:policy/AdministratorAccess".to_owned(),
        via: String::new(),
    };
    let mut given: serde_json::Value = serde_json::from_str(&record("AttachUserPolicy", 3)).expect("JSON");
    given["requestParameters"]["policyArn"] = json!(admin.name);
    put(&deployment, &given.to_string()).await;
    let scope = vec![Scope { account: ACCOUNT.to_owned(), ..Scope::default() }];
    let checked = async |grants: Vec<Grant>, days: i64| {
        let mut later = Population { taken: day(days), scope: scope.clone(), ..shelf.population.clone() };
        later.subjects[2].grants.extend(grants);
        let handler = Review::new(&deployment, Shelf { population: shelf.population.clone(), later: Some(later) });
        handler.check(&settings, day(days)).await.expect("checked");
    };
    checked(vec![admin.clone()], 4).await;
    checked(vec![admin.clone()], 5).await;
    let added = format!("{}#4", id("dave"));
    let opened = reviews.load(REVIEW).await.expect("a review");
    let standing = reviews.standing(&opened, day(5));
    let (subject, _) = standing.of_subject(&added).expect("it joined, once");
    assert_eq!((&subject.grants[..], standing.progress.subjects), (&[admin][..], 4));
    let refused = reviews.decide(REVIEW, &asking("erin", 6), (&added, &keep)).await;
    assert!(
        matches!(refused, Err(Error::Refusal(refusal)) if matches!(*refusal, Refusal::Granted { .. })),
        "erin gave it"
    );
    reviews.decide(REVIEW, &asking("bob", 6), (&added, &decision(Verb::Revoke))).await.expect("decided");
    let watch = Proof::default().watch(&deployment.state, day(7)).await.expect("read");
    let detached = given.to_string().replace("AttachUserPolicy", "DetachUserPolicy");
    let detached = seen(&watch, &detached.replace(&day(3).to_string(), &day(7).to_string()));
    Proof::default().take(&deployment, &settings, (&detached, day(7))).await.expect("put");
    let state = async || {
        let opened = reviews.load(REVIEW).await.expect("a review");
        reviews.standing(&opened, day(9)).line(&added).expect("a subject").remedy
    };
    assert_eq!(state().await, Remedy::SeenInLog);
    checked(Vec::new(), 8).await;
    assert_eq!(state().await, Remedy::ConfirmedAbsent);
    assert_eq!(line(&reviews, "dave", day(9)).await.remedy, Remedy::None, "the rest stays as it was decided");
}

/// The lake has the record by which bob made frank's user.
async fn made_by_bob(deployment: &Deployment) {
    let text = record("CreateUser", 20).replace("erin", "bob").replace("dave", "frank");
    let mut made: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    made["responseElements"] = json!({"user": {"arn": id("frank"), "userName": "frank"}});
    put(deployment, &made.to_string()).await;
}

/// The lake has this record.
async fn put(deployment: &Deployment, text: &str) {
    let record = Record::parse(text).expect("a record");
    let mut hot = lake::Hot::default();
    hot.push(&Facts::of(&record, Hint::default()).expect("facts"));
    deployment.lake().write_hot(hot.seal().expect("sealed")).await.expect("kept");
}

#[tokio::test]
async fn a_review_of_one_who_leaves_is_joined_by_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, settings, mut shelf) = (deployment(&folder).await, settings(), shelf());
    let person = |id: &str| Some(Person { id: id.to_owned(), active: true, ..Person::default() });
    shelf.population.subjects = vec![Subject { person: person("dave"), ..user(3, "dave", "bob") }];
    let reviews = Reviews { state: &deployment.state, settings: &settings, source: &shelf, local: false };
    let opening = Opening { leaver: Some("dave".to_owned()), ..opening(&shelf) };
    assert!(reviews.open(opening, day(1)).await.expect("opened"));
    let mut later = shelf.population.clone();
    later.taken = day(2);
    later.subjects.push(Subject { person: person("dave"), ..user(4, "dave-2", "bob") });
    later.subjects.push(Subject { person: person("frank"), ..user(5, "frank", "bob") });
    shelf.later = Some(later);
    Review::new(&deployment, shelf).check(&settings, day(3)).await.expect("checked");
    let log = deployment.state.review_log(REVIEW).await.expect("a log");
    let joined = log.iter().filter_map(|entry| match &entry.act {
        Act::Joined { subject } => Some(subject.name.as_str()),
        _ => None,
    });
    assert_eq!(joined.collect::<Vec<_>>(), ["dave-2"]);
}

#[test]
fn names_that_somebody_gave_himself_make_no_person() {
    let of = |arn: &str| by(&Asking { arn: Some(arn.to_owned()), ..asking("x", 0) }, &Listed).person;
    assert_eq!(of(&id("bob")).as_deref(), Some("bob"));
    assert_eq!(of("arn:aws:iam::999999999999:user/bob"), None, "whoever may make users calls one as he likes");
    assert_eq!(of("arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_00/bob").as_deref(), Some("bob"));
    assert_eq!(of("arn:aws:sts::1:assumed-role/Dev/bob"), None);
    let token = Asking { who: "Bob (bob)".to_owned(), arn: None, proven: Proven::Token, ..asking("x", 0) };
    let By { arn, person, proven, .. } = by(&token, &Listed);
    assert_eq!((arn.as_str(), person.as_deref(), proven.as_str()), ("bob", Some("bob"), "token"));
}
