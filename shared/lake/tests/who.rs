//! Who did it: from a resource to its deeds, and from each up to whoever stands behind it.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use lake::Lake;
use lake::who::{Chain, Deed, End, Who, Why};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::{Value, json};
use trail::detection::Engine;
use trail::facts::{Facts, Hint};
use trail::lineage::{Act, HolderKind, Person, Vouched};
use trail::log_file::{Inflater, Limits, evaluate_and_keep};
use trail::record::{Outcome, Record};
use trail::settings::Settings;
use trail::time::Time;

const INSTANCE: &str = "i-0abcdef1234567890";
const HERE: &str = "111122223333";
const THERE: &str = "444455556666";

/// A record at a minute of the day; `more` is laid over it.
#[expect(clippy::needless_pass_by_value, reason = "it reads as the record does")]
fn record(minute: i64, (service, action): (&str, &str), more: Value) -> Value {
    let time = Time(Time::parse("2026-11-20T03:00:00Z").unwrap().0 + minute * 60);
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": time, "eventSource": format!("{service}.amazonaws.com"),
        "eventName": action, "awsRegion": "eu-west-1", "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2.31.18 os/linux", "requestParameters": null, "responseElements": null,
        "eventID": format!("{minute}-{service}-{action}-{}", more["recipientAccountId"].as_str().unwrap_or_default()),
        "readOnly": false, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": HERE,
        "eventCategory": "Management",
    });
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

fn session(role: &str, name: &str, key: &str) -> Value {
    json!({"type": "AssumedRole", "arn": format!("arn:aws:sts::{HERE}:assumed-role/{role}/{name}"), "accountId": HERE,
        "principalId": format!("AROAEXAMPLE:{name}"), "accessKeyId": key, "sessionContext": {"attributes":
        {"creationDate": "2026-11-20T03:00:00Z", "mfaAuthenticated": "false"}, "sessionIssuer": {"type": "Role",
        "arn": format!("arn:aws:iam::{HERE}:role/{role}")}}})
}

fn user(name: &str, key: &str) -> Value {
    json!({"type": "IAMUser", "userName": name, "arn": format!("arn:aws:iam::{HERE}:user/{name}"), "accountId": HERE,
        "principalId": format!("AIDA{name}"), "accessKeyId": key})
}

fn service(name: &str) -> Value {
    json!({"type": "AWSService", "invokedBy": format!("{name}.amazonaws.com")})
}

/// The instance is started.
#[expect(clippy::needless_pass_by_value, reason = "it reads as the record does")]
fn started(minute: i64, identity: &Value, request: Value) -> Value {
    let response = json!({"instancesSet": {"items": [{"instanceId": INSTANCE}]}});
    let more = json!({"userIdentity": identity, "requestParameters": request, "responseElements": response});
    record(minute, ("ec2", "RunInstances"), more)
}

/// A key is given out.
fn issued(minute: i64, identity: &Value, key: &str) -> Value {
    let more = json!({"userIdentity": identity, "requestParameters": {"roleArn": "arn:aws:iam::111122223333:role/r",
        "roleSessionName": "s"}, "responseElements": {"credentials": {"accessKeyId": key}}});
    record(minute, ("sts", "AssumeRole"), more)
}

async fn lake(records: &[Value]) -> Lake {
    let texts: Vec<String> = records.iter().map(Value::to_string).collect();
    let facts = texts.iter().map(|text| Facts::of(&Record::parse(text).unwrap(), Hint::default()).unwrap());
    let lake = Lake::new(Arc::new(InMemory::new()), Path::from("lake"));
    let mut hot = lake::Hot::default();
    facts.for_each(|facts| hot.push(&facts));
    lake.write_hot(hot.seal().unwrap()).await.unwrap();
    lake
}

/// What the lake knows of the instance.
async fn who(records: &[Value]) -> Who {
    lake(records).await.who(INSTANCE, None, None).await.unwrap()
}

/// The chain of the one deed.
async fn chain(records: &[Value]) -> Chain {
    let mut deeds = who(records).await.deeds;
    assert_eq!(deeds.len(), 1, "{deeds:?}");
    deeds.remove(0).chain
}

fn whys(chain: &Chain) -> Vec<&Why> {
    chain.links.iter().map(|link| &link.why).collect()
}

fn person(end: &End) -> &Person {
    let End::Person { person } = end else { panic!("no person: {end}") };
    person
}

#[tokio::test]
async fn three_roles_lead_to_the_user_who_assumed_the_first() {
    let records = [
        issued(0, &user("alice", "AKIAALICE"), "ASIAONE"),
        issued(1, &session("one", "s", "ASIAONE"), "ASIATWO"),
        issued(2, &session("two", "s", "ASIATWO"), "ASIATHREE"),
        started(3, &session("three", "s", "ASIATHREE"), json!({})),
    ];
    let chain = chain(&records).await;
    assert_eq!(whys(&chain), [&Why::Issued, &Why::Issued, &Why::Issued]);
    assert_eq!(person(&chain.end).name, "alice");
    let text = chain.to_string();
    let depths: Vec<usize> = text.lines().map(|line| line.len() - line.trim_start().len()).collect();
    assert_eq!(depths, [0, 2, 4, 6], "{text}");
    assert!(text.contains("aws-cli") || text.contains("AWS CLI 2.31.18 on Linux"), "{text}");
}

#[tokio::test]
async fn what_a_session_did_and_gave_out_is_told_two_levels_down() {
    let records = [
        issued(0, &user("alice", "AKIAALICE"), "ASIAONE"),
        issued(1, &session("one", "s", "ASIAONE"), "ASIATWO"),
        started(2, &session("two", "s", "ASIATWO"), json!({})),
        issued(3, &session("two", "s", "ASIATWO"), "ASIATHREE"),
        started(4, &session("three", "s", "ASIATHREE"), json!({})),
    ];
    let issued = lake(&records).await.issued("AKIAALICE", None, None).await.unwrap();
    assert_eq!((issued.records, issued.keys.len(), issued.more), (1, 1, false));
    let two = &issued.keys[0].keys[0];
    assert_eq!((two.key.as_str(), two.records, two.keys.len(), two.more), ("ASIATWO", 2, 0, true));
    assert!(two.actions.contains(&("RunInstances".to_owned(), 1)));
}

#[tokio::test]
async fn identity_center_and_source_identity_name_the_person() {
    let sso = session("AWSReservedSSO_Ops_0123456789abcdef", "carol@example.com", "ASIASSO");
    let found = chain(&[issued(0, &sso, "ASIAONE"), started(1, &session("one", "s", "ASIAONE"), json!({}))]).await;
    let by = Vouched::IdentityCenter { permission_set: "Ops".to_owned() };
    assert_eq!(*person(&found.end), Person { name: "carol@example.com".to_owned(), by });
    let mut named = session("one", "s", "ASIAONE");
    named["sessionContext"]["sourceIdentity"] = json!("dave");
    let found = chain(&[started(1, &named, json!({}))]).await;
    assert_eq!(*person(&found.end), Person { name: "dave".to_owned(), by: Vouched::SourceIdentity });
}

#[tokio::test]
async fn a_pipeline_of_github_is_named_by_its_repository() {
    let provider = format!("arn:aws:iam::{HERE}:oidc-provider/token.actions.githubusercontent.com");
    let web = json!({"type": "WebIdentityUser", "userName": "repo:octo/app:ref:refs/heads/main",
        "identityProvider": provider});
    let mut assumed = issued(0, &web, "ASIACI");
    assumed["eventName"] = json!("AssumeRoleWithWebIdentity");
    let found = chain(&[assumed, started(1, &session("ci", "run-1", "ASIACI"), json!({}))]).await;
    let Vouched::Provider { repository, .. } = &person(&found.end).by else { panic!("a provider") };
    assert_eq!(repository, "octo/app");
    assert!(found.to_string().contains("the repository octo/app"));
}

#[tokio::test]
async fn of_a_call_between_accounts_the_callers_own_record_counts() {
    let foreign = json!({"type": "AWSAccount", "accountId": THERE, "principalId": "AIDABOB"});
    let mut theirs = issued(0, &user("bob", "AKIABOB"), "ASIAONE");
    (theirs["recipientAccountId"], theirs["sharedEventID"]) = (json!(THERE), json!("shared"));
    theirs["eventID"] = json!("theirs");
    let mut ours = issued(0, &foreign, "ASIAONE");
    ours["sharedEventID"] = json!("shared");
    let instance = started(1, &session("one", "s", "ASIAONE"), json!({}));
    let found = chain(&[theirs.clone(), ours.clone(), instance.clone()]).await;
    assert_eq!(person(&found.end).name, "bob");
    assert_eq!(found.links[0].seen.account, THERE);
    // Where the key was left out of the caller's record, the shared id leads there.
    theirs["responseElements"] = Value::Null;
    let found = chain(&[theirs, ours.clone(), instance.clone()]).await;
    assert_eq!(whys(&found), [&Why::Issued, &Why::SameCall]);
    assert_eq!(person(&found.end).name, "bob");
    let found = chain(&[ours, instance]).await;
    assert_eq!(found.end, End::OtherAccount { account: THERE.to_owned(), principal: "AIDABOB".to_owned() });
}

fn tagged(tags: &[(&str, &str)]) -> Value {
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": tags}]}})
}

fn group_changed(minute: i64, identity: &Value) -> Value {
    let request = json!({"autoScalingGroupName": "web", "desiredCapacity": 9});
    record(
        minute,
        ("autoscaling", "SetDesiredCapacity"),
        json!({"userIdentity": identity, "requestParameters": request}),
    )
}

#[tokio::test]
async fn auto_scaling_acts_for_whoever_changed_the_group_last() {
    let scaling = service("autoscaling");
    let records = [
        group_changed(0, &user("early", "AKIAEARLY")),
        group_changed(1, &user("frank", "AKIAFRANK")),
        group_changed(2, &service("application-autoscaling")),
        started(3, &scaling, tagged(&[("aws:autoscaling:groupName", "web")])),
        group_changed(4, &user("late", "AKIALATE")),
        record(
            5,
            ("ec2", "TerminateInstances"),
            json!({"userIdentity": scaling,
            "requestParameters": {"instancesSet": {"items": [{"instanceId": INSTANCE}]}}}),
        ),
    ];
    let deeds = who(&records).await.deeds;
    let told: Vec<(Act, &str)> = deeds.iter().map(|deed| (deed.act, &*person(&deed.chain.end).name)).collect();
    assert_eq!(told, [(Act::Creation, "frank"), (Act::Deletion, "late")]);
    let Why::ByWayOf { holder, .. } = &deeds[0].chain.links[0].why else { panic!("by way of something") };
    assert_eq!((holder.kind, &*holder.name), (HolderKind::AutoScalingGroup, "web"));
    assert!(deeds[0].chain.to_string().contains("by way of Auto Scaling group web"));
}

#[tokio::test]
async fn cloudformation_acts_for_whoever_changed_the_stack_last() {
    let request = json!({"stackName": "shop"});
    let sso = session("AWSReservedSSO_Ops_0123456789abcdef", "erin@example.com", "ASIASSO");
    let records = [
        record(0, ("cloudformation", "UpdateStack"), json!({"userIdentity": sso, "requestParameters": request})),
        issued(1, &service("cloudformation"), "ASIACFN"),
        started(
            2,
            &session("deploy", "AWSCloudFormation", "ASIACFN"),
            tagged(&[("aws:cloudformation:stack-name", "shop")]),
        ),
    ];
    let found = chain(&records).await;
    assert_eq!(person(&found.end).name, "erin@example.com");
    assert!(matches!(&found.links[1].why, Why::ByWayOf { holder, .. } if holder.kind == HolderKind::Stack));
    let alone = chain(&records[1..]).await;
    assert!(matches!(&alone.end, End::Service { holders, .. } if holders.len() == 1), "{alone}");
}

#[tokio::test]
async fn a_chain_that_cannot_be_followed_says_where_it_ends_and_why() {
    let mut old = session("ops", "s", "ASIAOLD");
    old["sessionContext"]["attributes"]["creationDate"] = json!("2026-11-19T23:00:00Z");
    let found = chain(&[started(3, &old, json!({}))]).await;
    assert!(matches!(&found.end, End::BeforeLake { key, since: Some(_), begins: Some(_) } if key == "ASIAOLD"));
    assert!(found.to_string().contains("before the lake begins (2026-11-20)"), "{found}");
    let found = chain(&[started(3, &session("ops", "s", "ASIANEW"), json!({}))]).await;
    assert_eq!(found.end, End::NotInLake { key: "ASIANEW".to_owned() });
    let root = json!({"type": "Root", "arn": format!("arn:aws:iam::{HERE}:root"), "accountId": HERE});
    let found = chain(&[started(3, &root, json!({}))]).await;
    assert_eq!(found.end, End::Root { account: HERE.to_owned() });
}

#[tokio::test]
async fn a_chain_that_bites_its_tail_and_an_endless_one_end() {
    let one = issued(0, &session("two", "s", "ASIATWO"), "ASIAONE");
    let two = issued(0, &session("one", "s", "ASIAONE"), "ASIATWO");
    let mut two_other = two.clone();
    two_other["eventID"] = json!("other");
    let found = chain(&[one, two_other, started(1, &session("one", "s", "ASIAONE"), json!({}))]).await;
    assert_eq!(found.end, End::Cycle);
    let mut records: Vec<Value> =
        (0..20).map(|n| issued(n, &session("r", "s", &format!("ASIA{n}")), &format!("ASIA{}", n + 1))).collect();
    records.push(started(21, &session("r", "s", "ASIA20"), json!({})));
    let found = chain(&records).await;
    assert_eq!((found.end, found.links.len()), (End::TooDeep, 8));
}

#[tokio::test]
async fn a_refused_creation_is_told_apart_and_a_use_is_no_deed() {
    let bucket = json!({"bucketName": "invoices"});
    let made = |minute, key: &str, error: Value| {
        let more =
            json!({"userIdentity": user(key, &format!("AKIA{key}")), "requestParameters": bucket, "errorCode": error});
        record(minute, ("s3", "CreateBucket"), more)
    };
    let records = [made(0, "mallory", json!("AccessDenied")), made(1, "alice", Value::Null)];
    for resource in ["invoices", "arn:aws:s3:::invoices"] {
        let who = lake(&records).await.who(resource, None, None).await.unwrap();
        let told: Vec<_> = who.deeds.iter().map(|deed| (deed.act, deed.outcome, &*deed.seen.actor)).collect();
        assert_eq!(told, [(Act::Creation, Outcome::Denied, "mallory"), (Act::Creation, Outcome::Success, "alice")]);
    }
    let image = json!({"imageId": "ami-0123456789abcdef0"});
    let lake = lake(&[started(0, &user("alice", "AKIAALICE"), image)]).await;
    let who = lake.who("ami-0123456789abcdef0", None, None).await.unwrap();
    assert_eq!((who.deeds.len(), who.uses), (0, 1));
}

#[tokio::test]
async fn what_an_attacker_wrote_moves_no_cursor_and_asks_no_other_question() {
    let mut evil = user("a\u{1b}[2J\u{202e}", "AKIAEVIL");
    evil["arn"] = json!("arn:\u{1b}]0;x");
    let group = "*,!web";
    let mut change = group_changed(0, &user("frank", "AKIAFRANK"));
    let records =
        [change.clone(), started(1, &service("autoscaling"), tagged(&[("aws:autoscaling:groupName", group)]))];
    assert!(matches!(chain(&records).await.end, End::Service { .. }));
    change["requestParameters"]["autoScalingGroupName"] = json!(group);
    change["userIdentity"] = evil;
    let text = chain(&[change, records[1].clone()]).await.to_string();
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
}

fn log_files(folder: &FilePath, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => log_files(&path, found),
            false if path.extension().is_some_and(|ending| ending == "gz") => found.push(path),
            false => {}
        }
    }
}

/// The demo's day.
async fn demo() -> Lake {
    let lake = Lake::new(Arc::new(InMemory::new()), Path::from("lake"));
    let (engine, limits) = (Engine::new(Settings::default()), Limits::default());
    let (mut files, mut inflater) = (Vec::new(), Inflater::new(limits));
    log_files(&FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../events/aws"), &mut files);
    let mut hot = lake::Hot::default();
    for path in files {
        let file = inflater.inflate(&std::fs::read(&path).unwrap());
        evaluate_and_keep(&engine, &file, (&path.to_string_lossy(), false), limits, &mut |_, record| {
            hot.push(&Facts::of(record, Hint::default())?);
            Ok(())
        });
    }
    lake.write_hot(hot.seal().unwrap()).await.unwrap();
    lake
}

#[tokio::test]
async fn the_demos_intruder_is_known_by_the_key_that_made_his_user() {
    let lake = demo().await;
    let made = lake.who("svc-backup", None, None).await.unwrap();
    let creation: &Deed = made.deeds.iter().find(|deed| deed.act == Act::Creation).unwrap();
    let Vouched::User { access_key, .. } = &person(&creation.chain.end).by else { panic!("a user") };
    assert_eq!((&*person(&creation.chain.end).name, &**access_key), ("ci-deploy", "AKIAMAKLBPLKTBIGBZFM"));
    assert_eq!(creation.seen.address, "198.51.100.23");
    // He opened a port with the new user, in the console.
    let opened = lake.who("sg-0a1b2c3d4e5f60718", None, None).await.unwrap();
    let deed = opened.deeds.iter().find(|deed| deed.seen.action == "AuthorizeSecurityGroupIngress").unwrap();
    assert_eq!(whys(&deed.chain), [&Why::SignedIn]);
    assert_eq!(person(&deed.chain.end).name, "svc-backup");
    assert_eq!(deed.chain.made.as_ref().unwrap().actor, "ci-deploy");
    assert_eq!(deed.seen.mfa, Some(false));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_said_of_the_answer() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("lake/hot/dt=2026-11-20/broken.parquet");
    store.put(&path, PutPayload::from_static(b"no parquet")).await.unwrap();
    let lake = Lake::new(store, Path::from("lake"));
    let text = started(3, &session("ops", "s", "ASIANEW"), json!({})).to_string();
    let mut hot = lake::Hot::default();
    hot.push(&Facts::of(&Record::parse(&text).unwrap(), Hint::default()).unwrap());
    lake.write_hot(hot.seal().unwrap()).await.unwrap();
    let who = lake.who(INSTANCE, None, None).await.unwrap();
    assert!(who.partial && who.deeds[0].chain.partial);
    assert!(who.deeds[0].chain.to_string().contains("could not be read"));
}
