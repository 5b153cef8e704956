use serde_json::{Value, json};

use super::*;
use crate::facts::{Facts, Hint};
use crate::record::Record;
use crate::review::testing::*;
use crate::testing;
use crate::time::Time;

const SET: &str = "arn:aws:sso:::permissionSet/ssoins-1/ps-1";

fn known() -> Known {
    Known {
        permission_sets: BTreeMap::from([("Billing".to_owned(), SET.to_owned())]),
        memberships: BTreeMap::from([("u-1/g-1".to_owned(), "m-1".to_owned())]),
    }
}

fn plan(subject: &Subject, decision: &Decision) -> Plan {
    Plan::of(subject, decision, &known()).expect("something goes")
}

fn open(plan: Plan, gone: Option<Time>) -> Open {
    Open { review: "2026-Q4".to_owned(), number: 3, plan, since: taken(), decided: day(1), gone }
}

fn call(source: &str, name: &str, request: &Value) -> Value {
    testing::record(source, name, json!({"requestParameters": request, "eventTime": day(2).to_string()}))
}

fn iam(name: &str, request: &Value) -> Value {
    call(IAM, name, request)
}

fn sightings(open: Open, record: &Value) -> Vec<Seen> {
    let text = record.to_string();
    let record = Record::parse(&text).expect("a record");
    let facts = Facts::of(&record, Hint::default()).expect("facts");
    let watch = Watch::over(vec![open]);
    let seen = watch.see(&record, &facts);
    assert!(watch.wants(&record, &facts) || seen.is_empty(), "what is not wanted is not seen");
    seen.into_iter().map(|sighting| sighting.what).collect()
}

fn carried(plan: &Plan, record: &Value) -> Option<String> {
    match sightings(open(plan.clone(), None), record).pop() {
        Some(Seen::Carried(label)) => Some(label),
        Some(Seen::Back(back)) => panic!("{back}"),
        Some(Seen::Acted(..)) | None => None,
    }
}

/// What is still to go after these records.
fn left(plan: &Plan, records: &[Value]) -> Vec<String> {
    let labels: Vec<String> = records.iter().filter_map(|record| carried(plan, record)).collect();
    let met = |need: &&Need| need.by.iter().any(|call| labels.contains(&call.label()));
    plan.needs.iter().filter(|need| !met(need)).map(|need| need.what.clone()).collect()
}

fn one_by_one() -> Vec<Value> {
    vec![
        iam("DetachUserPolicy", &json!({"userName": "dave", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})),
        iam("RemoveUserFromGroup", &json!({"groupName": "auditors", "userName": "dave"})),
        iam("DeleteLoginProfile", &json!({"userName": "dave"})),
        iam("UpdateAccessKey", &json!({"userName": "dave", "accessKeyId": "AKIADAVE", "status": "Inactive"})),
    ]
}

#[test]
fn a_user_is_deleted_or_loses_everything_one_by_one() {
    let plan = plan(&user(3, "dave", "bob"), &revoke());
    assert!(left(&plan, &[iam("DeleteUser", &json!({"userName": "dave"}))]).is_empty());
    assert_eq!(left(&plan, &[]).len(), 4, "what comes through the group goes with the membership");
    assert!(left(&plan, &one_by_one()).is_empty());
    for missing in 0..4 {
        let mut some = one_by_one();
        some.remove(missing);
        assert_eq!(left(&plan, &some).len(), 1);
    }
    let own = iam("DeleteAccessKey", &json!({"accessKeyId": "AKIADAVE"}));
    assert_eq!(carried(&plan, &own).as_deref(), Some("DeleteAccessKey AKIADAVE"), "one's own key, without a name");
}

#[test]
fn only_a_success_of_exactly_this_counts() {
    let plan = plan(&user(3, "dave", "bob"), &revoke());
    let mut denied = iam("DeleteUser", &json!({"userName": "dave"}));
    denied["errorCode"] = json!("AccessDenied");
    let mut elsewhere = iam("DeleteUser", &json!({"userName": "dave"}));
    elsewhere["recipientAccountId"] = json!("444455556666");
    let mut before = iam("DeleteUser", &json!({"userName": "dave"}));
    before["eventTime"] = json!(day(-1).to_string());
    for other in [
        denied,
        elsewhere,
        before,
        iam("DeleteUser", &json!({"userName": "dave2"})),
        iam("DeleteUser", &Value::Null),
        iam("UpdateAccessKey", &json!({"userName": "dave", "accessKeyId": "AKIADAVE", "status": "Active2"})),
        iam("DetachUserPolicy", &json!({"userName": "dave", "policyArn": "arn:aws:iam::aws:policy/Other"})),
        call(IDENTITY_STORE, "DeleteUser", &json!({"userName": "dave"})),
    ] {
        assert_eq!(carried(&plan, &other), None, "{other}");
    }
}

#[test]
fn a_user_with_nothing_is_deleted() {
    let bare = Subject { grants: Vec::new(), ..user(3, "dave", "bob") };
    let plan = plan(&bare, &revoke());
    assert_eq!(left(&plan, &one_by_one()), ["user"]);
    assert!(left(&plan, &[iam("DeleteUser", &json!({"userName": "dave"}))]).is_empty());
}

#[test]
fn a_modification_needs_what_it_names() {
    let key = grant(GrantKind::AccessKey, "AKIADAVE", "");
    let plan = plan(&user(3, "dave", "bob"), &modify(vec![key]));
    assert_eq!(left(&plan, &one_by_one()[..3]), ["access_key:AKIADAVE"]);
    assert!(left(&plan, &one_by_one()[3..]).is_empty());
    assert!(plan.actors.is_empty(), "the user stays");
    assert!(Plan::of(&user(3, "dave", "bob"), &keep(), &known()).is_none());
}

fn role() -> Subject {
    let id = format!("arn:aws:iam::{ACCOUNT}:role/ops/Partner");
    let partner = "arn:aws:iam::444455556666:root";
    let grants = vec![
        grant(GrantKind::Policy, "arn:aws:iam::aws:policy/PowerUserAccess", ""),
        grant(GrantKind::InlinePolicy, "more", ""),
        grant(GrantKind::Trust, partner, ""),
    ];
    Subject {
        grants,
        actors: vec![ActorKey::Role(id.clone())],
        ..subject(3, SubjectKind::Role, (&id, "Partner", "bob"))
    }
}

fn trust(principal: &Value) -> Value {
    let document = json!({"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]});
    iam("UpdateAssumeRolePolicy", &json!({"roleName": "Partner", "policyDocument": document.to_string()}))
}

#[test]
fn a_role_is_deleted_closed_or_emptied() {
    let plan = plan(&role(), &revoke());
    let detached = [
        iam(
            "DetachRolePolicy",
            &json!({"roleName": "Partner", "policyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}),
        ),
        iam("DeleteRolePolicy", &json!({"roleName": "Partner", "policyName": "more"})),
    ];
    for enough in [
        &[iam("DeleteRole", &json!({"roleName": "Partner"}))][..],
        &[trust(&json!({"Service": "ec2.amazonaws.com"}))],
        &detached,
    ] {
        assert!(left(&plan, enough).is_empty(), "{enough:?}");
    }
    assert_eq!(left(&plan, &detached[..1]).len(), 1);
    for open in [json!("*"), json!({"AWS": "arn:aws:iam::444455556666:root"}), json!({"Federated": "x"})] {
        assert_eq!(left(&plan, &[trust(&open)]).len(), 2, "{open}");
    }
}

#[test]
fn a_trust_is_taken_back_by_itself() {
    let gone = grant(GrantKind::Trust, "arn:aws:iam::444455556666:root", "");
    let plan = plan(&role(), &modify(vec![gone]));
    assert!(left(&plan, &[trust(&json!({"AWS": "arn:aws:iam::777788889999:root"}))]).is_empty());
    for open in [json!("*"), json!({"AWS": ["x", "arn:aws:iam::444455556666:root"]})] {
        assert_eq!(left(&plan, &[trust(&open)]).len(), 1, "{open}");
    }
}

fn deleted_assignment(kind: &str, principal: &str, set: &str) -> Value {
    let request = json!({
        "instanceArn": "arn:aws:sso:::instance/ssoins-1", "targetId": ACCOUNT, "targetType": "AWS_ACCOUNT",
        "permissionSetArn": set, "principalType": kind, "principalId": principal,
    });
    let mut record = call(SSO, "DeleteAccountAssignment", &request);
    // Identity Center is administered from another account.
    record["recipientAccountId"] = json!("444455556666");
    record
}

#[test]
fn an_assignment_ends_in_identity_center() {
    let plan = plan(&assignment(4), &revoke());
    let (direct, group) = ("permission_set:Billing", "directory_group:accountants via g-1");
    assert_eq!(left(&plan, &[deleted_assignment("USER", "u-1", SET)]), [group]);
    let mut other = deleted_assignment("USER", "u-1", SET);
    other["requestParameters"]["targetId"] = json!("777788889999");
    for other in [other, deleted_assignment("USER", "u-2", SET), deleted_assignment("USER", "u-1", "arn:other")] {
        assert_eq!(left(&plan, &[other]), [direct, group]);
    }
    for left_group in [
        deleted_assignment("GROUP", "g-1", SET),
        call(DIRECTORY, "RemoveMemberFromGroup", &json!({"groupId": "g-1", "memberId": "u-1"})),
        call(IDENTITY_STORE, "DeleteGroupMembership", &json!({"identityStoreId": "d-1", "membershipId": "m-1"})),
        call(IDENTITY_STORE, "DeleteGroup", &json!({"groupId": "g-1"})),
    ] {
        assert_eq!(left(&plan, &[left_group]), [direct]);
    }
    for gone in [(IDENTITY_STORE, "DeleteUser"), (DIRECTORY, "DeleteUser"), (DIRECTORY, "DisableUser")] {
        assert!(left(&plan, &[call(gone.0, gone.1, &json!({"userId": "u-1"}))]).is_empty(), "{gone:?}");
        assert_eq!(left(&plan, &[call(gone.0, gone.1, &json!({"userId": "u-2"}))]).len(), 2);
    }
}

#[test]
fn without_the_sets_arn_no_record_is_taken_for_it() {
    let plan = Plan::of(&assignment(4), &revoke(), &Known::default()).expect("a plan");
    assert_eq!(carried(&plan, &deleted_assignment("USER", "u-1", SET)), None);
    let text = serde_json::to_string(&plan).expect("JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
}

#[test]
fn providers_are_deleted() {
    let saml = format!("arn:aws:iam::{ACCOUNT}:saml-provider/Okta");
    let oidc = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com");
    for (kind, id, name, member) in [
        (SubjectKind::SamlProvider, &saml, "DeleteSAMLProvider", "sAMLProviderArn"),
        (SubjectKind::OidcProvider, &oidc, "DeleteOpenIDConnectProvider", "openIDConnectProviderArn"),
    ] {
        let plan = plan(&subject(5, kind, (id, "x", "bob")), &revoke());
        assert!(left(&plan, &[iam(name, &json!({member: id}))]).is_empty());
        assert_eq!(left(&plan, &[iam(name, &json!({member: "arn:other"}))]), ["provider"]);
    }
}

fn of_root(name: &str, request: &Value) -> Value {
    let mut record = iam(name, request);
    record["userIdentity"] = json!({
        "type": "Root", "principalId": ACCOUNT, "arn": format!("arn:aws:iam::{ACCOUNT}:root"), "accountId": ACCOUNT,
    });
    record
}

#[test]
fn roots_keys_are_deleted_by_root() {
    let id = format!("arn:aws:iam::{ACCOUNT}:root");
    let keys = vec![grant(GrantKind::AccessKey, "", "")];
    let root = Subject { grants: keys, mfa: Some(false), ..subject(1, SubjectKind::Root, (&id, "root", "bob")) };
    let plan = plan(&root, &revoke());
    let key = json!({"accessKeyId": "AKIAROOT"});
    assert_eq!(left(&plan, &[of_root("DeleteAccessKey", &key)]), ["mfa"]);
    assert_eq!(left(&plan, &[iam("DeleteAccessKey", &key)]).len(), 2, "alice's own key");
    let guarded = [of_root("DeleteAccessKey", &key), of_root("EnableMFADevice", &json!({"serialNumber": "arn:x"}))];
    assert!(left(&plan, &guarded).is_empty());
}

#[test]
fn what_is_given_back_is_seen() {
    let all = plan(&user(3, "dave", "bob"), &revoke());
    for (name, request) in [
        ("CreateUser", json!({"userName": "dave"})),
        ("CreateLoginProfile", json!({"userName": "dave"})),
        ("CreateAccessKey", json!({"userName": "dave"})),
        ("UpdateAccessKey", json!({"accessKeyId": "AKIADAVE", "status": "Active"})),
        ("AddUserToGroup", json!({"userName": "dave", "groupName": "auditors"})),
        ("AttachUserPolicy", json!({"userName": "dave", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})),
    ] {
        let seen = sightings(open(all.clone(), Some(day(1))), &iam(name, &request));
        assert!(matches!(&seen[..], [Seen::Back(why)] if why.starts_with(name)), "{name}: {seen:?}");
    }
    let other = iam("AddUserToGroup", &json!({"userName": "dave", "groupName": "others"}));
    assert_eq!(sightings(open(all, None), &other), []);
    let own = json!({"requestParameters": null, "responseElements": {"accessKey": {"userName": "dave"}}});
    let own = testing::record(IAM, "CreateAccessKey", own);
    let seen = sightings(open(plan(&user(3, "dave", "bob"), &revoke()), Some(day(1))), &own);
    assert!(matches!(&seen[..], [Seen::Back(_)]), "who makes his own key names no user: {seen:?}");
    let key = plan(&user(3, "dave", "bob"), &modify(vec![grant(GrantKind::AccessKey, "AKIADAVE", "")]));
    let rotated = iam("CreateAccessKey", &json!({"userName": "dave"}));
    assert_eq!(sightings(open(key, Some(day(1))), &rotated), [], "keys are changed by making the next one first");
    let joined = json!({"groupId": "g-1", "memberId": {"userId": "u-1"}});
    let joined = call(IDENTITY_STORE, "CreateGroupMembership", &joined);
    assert_eq!(sightings(open(plan(&assignment(4), &revoke()), None), &joined).len(), 1);
}

/// A call by a session of the role, issued and made at these times.
fn used(issued: Time, at: Time) -> Value {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/ops/Partner");
    let identity = json!({
        "type": "AssumedRole", "principalId": "AROAX:x", "accountId": ACCOUNT,
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/Partner/x"),
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role},
            "attributes": {"creationDate": issued.to_string(), "mfaAuthenticated": "false"}},
    });
    let time = json!({"userIdentity": identity, "eventTime": at.to_string(), "readOnly": true});
    testing::record("s3.amazonaws.com", "ListBuckets", time)
}

#[test]
fn sessions_from_before_are_residual_and_newer_ones_are_not() {
    let gone = day(3);
    let seen = |gone, record: &Value| sightings(open(plan(&role(), &revoke()), gone), record);
    let hours = |hours: i64| Time(gone.0 + hours * 3600);
    assert_eq!(seen(Some(gone), &used(hours(-2), hours(4))), [], "issued before");
    assert_eq!(seen(Some(gone), &used(hours(-30), hours(-1))), [], "used before");
    let early = seen(None, &used(hours(4), hours(5)));
    assert!(matches!(&early[..], [Seen::Acted(..)]), "nothing is gone yet, for all that is known: {early:?}");
    let newer = seen(Some(gone), &used(hours(4), hours(5)));
    assert!(matches!(&newer[..], [Seen::Back(why)] if why.contains("ListBuckets by credentials")), "{newer:?}");
    assert_eq!(seen(Some(gone), &used(hours(-1), hours(20))).len(), 1, "no session lasts that long");
    let mut refused = used(hours(4), hours(5));
    refused["errorCode"] = json!("AccessDenied");
    assert_eq!(seen(Some(gone), &refused), []);
    let mut another = used(hours(4), hours(5));
    another["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] = json!("arn:aws:iam::1:role/Other");
    assert_eq!(seen(Some(gone), &another), []);
}

#[test]
fn a_trust_that_names_its_account_otherwise_still_admits() {
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let trust = plan(&role(), &modify(vec![grant(GrantKind::Trust, &root, "")]));
    let set = |principal: &str| {
        let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}});
        let document = json!({"Statement": [statement]}).to_string();
        iam("UpdateAssumeRolePolicy", &json!({"roleName": "Partner", "policyDocument": document}))
    };
    assert_eq!(carried(&trust, &set(ACCOUNT)), None);
    assert_eq!(carried(&trust, &set(&root)), None);
    assert!(carried(&trust, &set("arn:aws:iam::444455556666:root")).is_some());
    let eve = plan(&role(), &modify(vec![grant(GrantKind::Trust, &format!("arn:aws:iam::{ACCOUNT}:user/eve"), "")]));
    assert_eq!(carried(&eve, &set(&root)), None, "her account lets her in");
}

#[test]
fn nothing_is_wanted_where_nothing_is_open() {
    let text = iam("DeleteUser", &json!({"userName": "dave"})).to_string();
    let record = Record::parse(&text).expect("a record");
    let facts = Facts::of(&record, Hint::default()).expect("facts");
    assert!(!Watch::default().wants(&record, &facts) && Watch::default().see(&record, &facts).is_empty());
    let watch = Watch::over(vec![open(plan(&user(3, "erin", "bob"), &revoke()), None)]);
    let text = iam("CreateRole", &json!({"roleName": "x"})).to_string();
    let record = Record::parse(&text).expect("a record");
    assert!(!watch.wants(&record, &Facts::of(&record, Hint::default()).expect("facts")));
}
