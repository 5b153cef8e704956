use proptest::prelude::*;
use serde_json::{Value, json};

use crate::access::testing::{MANAGEMENT, PROD, SANDBOX, World, managed, role, set_arn, user};
use crate::access::who_can::Question;
use crate::access::{Access, Gap, Kind, Principal};
use crate::snapshot::Cause;
use crate::time::Time;

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

fn principal<'a>(access: &'a Access, name: &str) -> &'a Principal {
    let all = access.accounts.iter().flat_map(|account| &account.principals);
    all.clone().find(|principal| principal.name == name).unwrap_or_else(|| panic!("{name} in {all:?}"))
}

fn gaps<'a>(access: &'a Access, what: &str) -> Vec<&'a Gap> {
    access.gaps.iter().filter(|gap| gap.what.contains(what)).collect()
}

fn time(text: &str) -> Option<Time> {
    Time::parse(text)
}

#[test]
fn users_with_their_policies_groups_and_credentials() {
    let mut world = World::new();
    let allow = json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]);
    let alice = json!({
        "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": {"Statement": allow}}],
        "AttachedManagedPolicies": [{"PolicyArn": READ_ONLY}],
        "PermissionsBoundary": {"PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/edge"},
        "GroupList": ["ops"],
        "Tags": [{"Key": "team", "Value": "pay"}],
    });
    world.account(
        PROD,
        &json!({
            "users": [user(PROD, "alice", alice)],
            "groups": [{"GroupName": "ops", "AttachedManagedPolicies": [{"PolicyArn": READ_ONLY}]}],
            "policies": [managed(READ_ONLY, &allow), managed("arn:aws:iam::111122223333:policy/edge", &allow)],
        }),
    );
    world.report(
        PROD,
        &[
            "<root_account>,arn:aws:iam::111122223333:root,2020-01-01T00:00:00+00:00,not_supported,\
             2026-05-01T00:00:00+00:00,not_supported,true,false,N/A,N/A,false,N/A,N/A",
            "alice,arn:aws:iam::111122223333:user/alice,2026-01-02T03:04:05+00:00,true,no_information,\
             2026-01-03T00:00:00+00:00,false,true,2026-02-01T00:00:00+00:00,2026-03-01T00:00:00+00:00,\
             false,2026-02-02T00:00:00+00:00,N/A",
        ],
    );
    let keys = json!({"AccessKeyMetadata": [
        {"AccessKeyId": "AKIASECOND", "Status": "Inactive", "CreateDate": "2026-02-02T00:00:00+00:00"},
        {"AccessKeyId": "AKIAFIRST", "Status": "Active", "CreateDate": "2026-02-01T00:00:00+00:00"},
    ]});
    world.tell(PROD, "iam:ListAccessKeys", &[("UserName", "alice")], keys);
    let access = world.access();
    assert_eq!(access.gaps, []);
    let alice = principal(&access, "alice");
    assert_eq!((alice.kind, alice.id.as_str(), alice.mfa), (Kind::User, "AIDAalice", Some(false)));
    assert_eq!(alice.groups, ["ops"]);
    assert_eq!(alice.tags["team"], "pay");
    let given: Vec<_> = alice.policies.iter().map(|given| (given.name.as_str(), given.inline)).collect();
    assert_eq!(given, [("own", true), (READ_ONLY, false)]);
    assert!(alice.policies.iter().chain(&alice.boundary).all(|given| given.document.is_some()));
    let keys: Vec<_> = alice.keys.iter().map(|key| (key.id.as_str(), key.active, key.last_used)).collect();
    assert_eq!(keys, [("AKIASECOND", false, None), ("AKIAFIRST", true, time("2026-03-01T00:00:00Z"))]);
    assert_eq!(alice.password.as_ref().expect("a password").changed, time("2026-01-03T00:00:00Z"));
    assert_eq!(alice.last_used, time("2026-03-01T00:00:00Z"));
    // One copy of the document for the group, the user and everybody else.
    let prod = access.accounts.iter().find(|account| account.account == PROD).expect("read");
    let copies = [&alice.policies[1], &prod.groups["ops"][0]].map(|given| given.document.as_ref().expect("told"));
    assert!(std::sync::Arc::ptr_eq(copies[0], copies[1]));
    let root = &prod.principals[0];
    assert_eq!((root.kind, root.mfa, root.last_used), (Kind::Root, Some(true), time("2026-05-01T00:00:00Z")));
    assert!(root.password.is_some());
}

#[test]
fn a_report_that_is_late_or_refused_says_which() {
    for (code, cause, says) in [
        ("ReportInProgress", Cause::Unknown, "was still making"),
        ("ReportNotPresent", Cause::Absent, "iam:GenerateCredentialReport"),
        ("ReportExpired", Cause::Unknown, "older than four hours"),
        ("AccessDenied", Cause::Denied, "allow iam:GetCredentialReport"),
        ("Throttling", Cause::Throttled, "asked too often"),
    ] {
        let mut world = World::new();
        world.account(PROD, &json!({"users": [user(PROD, "alice", json!({}))]}));
        world.refuse(PROD, "iam:GetCredentialReport", &[], (cause, code));
        let access = world.access();
        let found = gaps(&access, "iam:GetCredentialReport");
        assert_eq!(found.len(), 1, "{code}: {:?}", access.gaps);
        assert!(found[0].why.contains(says) && found[0].account == PROD, "{code}: {found:?}");
        assert_eq!(principal(&access, "alice").mfa, None);
    }
}

#[test]
fn a_row_that_cannot_be_read_costs_no_other() {
    let mut world = World::new();
    world.account(PROD, &json!({"users": [user(PROD, "a,b", json!({})), user(PROD, "bob", json!({}))]}));
    let row = |name: &str| {
        format!("{name},arn:aws:iam::111122223333:user/x,N/A,true,N/A,N/A,true,false,N/A,N/A,false,N/A,N/A")
    };
    world.report(PROD, &[&row("\"a,b\""), "cut,short", &row("bob")]);
    let access = world.access();
    assert_eq!((principal(&access, "a,b").mfa, principal(&access, "bob").mfa), (Some(true), Some(true)));
    assert_eq!(gaps(&access, "GetCredentialReport row 2").len(), 1, "{:?}", access.gaps);
}

#[test]
fn users_are_known_by_the_report_where_policies_are_refused() {
    let mut world = World::new();
    world
        .report(PROD, &["alice,arn:aws:iam::111122223333:user/alice,N/A,true,N/A,N/A,true,true,N/A,N/A,false,N/A,N/A"]);
    world.refuse(PROD, "iam:GetAccountAuthorizationDetails", &[], (Cause::Denied, "AccessDenied"));
    let access = world.access();
    assert_eq!(principal(&access, "alice").keys.len(), 1);
    assert_eq!(gaps(&access, "iam:GetAccountAuthorizationDetails").len(), 1);
}

#[test]
fn what_is_missing_is_a_gap_each_once() {
    let mut world = World::new();
    let untold = json!({"AttachedManagedPolicies": [{"PolicyArn": READ_ONLY}], "GroupList": ["gone"]});
    let bad =
        json!({"RolePolicyList": [{"PolicyName": "p", "PolicyDocument": "{not json"}], "AssumeRolePolicyDocument": 7});
    let users = ["a", "b", "c"].map(|name| user(PROD, name, untold.clone()));
    world.account(PROD, &json!({"users": users, "roles": [role(PROD, "r", bad)]}));
    let refused = (Cause::Throttled, "Throttling");
    world.refuse(PROD, "iam:ListAccessKeys", &[("UserName", "a")], refused);
    world.refuse(PROD, "iam:ListVirtualMFADevices", &[], refused);
    // A user that was deleted in between has no keys, and that is an answer.
    world.refuse(PROD, "iam:ListAccessKeys", &[("UserName", "b")], (Cause::Absent, "NoSuchEntity"));
    let mut access = world.access();
    access.gaps.retain(|gap| gap.account == PROD);
    let what: Vec<&str> = access.gaps.iter().map(|gap| gap.what.as_str()).collect();
    let expected = [
        READ_ONLY,
        "group gone",
        "iam:ListAccessKeys a",
        "iam:ListVirtualMFADevices",
        "inline policy p of arn:aws:iam::111122223333:role/r",
        "trust policy of arn:aws:iam::111122223333:role/r",
    ];
    assert_eq!(what, expected);
    assert!(principal(&access, "a").policies[0].document.is_none());
}

#[test]
fn questions_that_were_never_asked_are_gaps() {
    let access = Access::read(&[crate::snapshot::Snapshot {
        version: 1,
        account: PROD.to_owned(),
        taken: Time(0),
        answers: Vec::new(),
    }]);
    for call in [
        "iam:GetAccountAuthorizationDetails",
        "iam:GetCredentialReport",
        "sso:ListInstances",
        "organizations:ListAccounts",
    ] {
        assert!(gaps(&access, call).iter().any(|gap| gap.why.contains("never asked")), "{call}: {:?}", access.gaps);
    }
    assert_eq!(access.accounts[0].principals.len(), 1, "the root user is there whatever is told");
    assert_eq!((access.directory, access.organization), (None, None));
}

#[test]
fn the_directory_with_groups_and_sets() {
    let mut world = World::new();
    world.account(PROD, &json!({"policies": [managed(READ_ONLY, &json!([]))]}));
    world.directory(&json!({
        "users": ["u-1"],
        "groups": {"g-ops": ["u-1", "u-unnamed"]},
        "sets": [
            {"name": "Reader", "managed": [READ_ONLY], "customer": ["team"], "boundary": {"ManagedPolicyArn": READ_ONLY}},
            {"name": "Writer", "inline": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
             "boundary": {"CustomerManagedPolicyReference": {"Name": "edge", "Path": "/x/"}}},
        ],
        "assignments": [[PROD, "Reader", "g-ops"], [SANDBOX, "Writer", "u-1"]],
    }));
    world.refuse(
        MANAGEMENT,
        "sso:GetPermissionsBoundaryForPermissionSet",
        &[("PermissionSetArn", &set_arn(&json!("Reader")))],
        (Cause::Absent, "ResourceNotFoundException"),
    );
    let access = world.access();
    assert_eq!(access.gaps, []);
    let directory = access.directory.expect("one");
    assert_eq!(directory.users["u-1"].groups, ["g-ops"]);
    assert_eq!(directory.users["u-unnamed"].groups, ["g-ops"]);
    let set = |name: &str| &directory.permission_sets[&set_arn(&json!(name))];
    assert_eq!((set("Reader").name.as_str(), &set("Reader").customer[..]), ("Reader", &["/team".to_owned()][..]));
    assert!(set("Reader").policies[0].document.is_some(), "looked up among what accounts told");
    assert!(set("Reader").boundary.is_none());
    assert!(set("Writer").policies[0].inline);
    assert_eq!(set("Writer").boundary.as_ref().expect("one").name, "/x/edge");
    let given: Vec<_> =
        directory.assignments.iter().map(|a| (a.account.as_str(), a.principal.as_str(), a.group)).collect();
    assert_eq!(given, [(PROD, "g-ops", true), (SANDBOX, "u-1", false)]);
}

#[test]
fn each_refusal_about_the_directory_is_a_gap() {
    let mut world = World::new();
    world.directory(&json!({
        "users": ["u-1"], "groups": {"g-ops": ["u-1"]}, "sets": [{"name": "S"}], "assignments": [[PROD, "S", "g-ops"]],
    }));
    let arn = set_arn(&json!("S"));
    let denied = (Cause::Denied, "AccessDeniedException");
    let set = [("PermissionSetArn", arn.as_str())];
    for (call, parameters) in [
        ("identitystore:ListUsers", &[][..]),
        ("identitystore:ListGroupMemberships", &[("GroupId", "g-ops")]),
        ("sso:GetInlinePolicyForPermissionSet", &set),
        ("sso:ListManagedPoliciesInPermissionSet", &set),
        ("sso:ListAccountAssignments", &[("AccountId", SANDBOX), ("PermissionSetArn", &arn)]),
    ] {
        world.refuse(MANAGEMENT, call, parameters, denied);
        let access = world.access();
        assert_eq!(gaps(&access, call).len(), 1, "{call}: {:?}", access.gaps);
    }
    let access = world.access();
    let inline = &access.directory.as_ref().expect("one").permission_sets[&arn].policies[0];
    assert_eq!((inline.inline, &inline.document), (true, &None), "what was not told is not nothing");
    world.refuse(MANAGEMENT, "sso:ListInstances", &[], denied);
    // Somebody else may be answered what one is refused.
    world.tell(PROD, "sso:ListInstances", &[], json!({"Instances": [{"InstanceArn": "arn:i"}]}));
    assert_eq!(world.access().directory.expect("one").instance, "arn:i");
}

#[test]
fn the_organization_from_the_root_down() {
    let mut world = World::new();
    world.organization(&json!([
        {"id": "p-FullAWSAccess", "targets": ["r-root", "ou-prod", PROD, SANDBOX], "statements": []},
        {"id": "p-deny", "targets": ["ou-prod"], "statements": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]},
    ]));
    world.refuse(MANAGEMENT, "organizations:DescribePolicy", &[("PolicyId", "p-FullAWSAccess")], (Cause::Denied, "no"));
    let access = world.access();
    assert_eq!(access.gaps, []);
    let organization = access.organization.expect("one");
    assert_eq!(organization.management, MANAGEMENT);
    let of = |id: &str| organization.accounts.iter().find(|member| member.account == id).expect("listed");
    assert_eq!(of(PROD).parents, ["r-root", "ou-prod"]);
    assert_eq!(of(SANDBOX).parents, ["r-root"]);
    let full = &organization.policies[0];
    assert!(full.document.as_ref().expect("known").allows().next().is_some());
    assert_eq!(organization.policies[1].targets, ["ou-prod"]);
}

#[test]
fn closed_and_new_accounts_break_nothing() {
    let mut world = World::new();
    let accounts = json!([
        {"Id": MANAGEMENT, "Name": "m", "State": "ACTIVE"},
        {"Id": PROD, "Name": "closed", "State": "CLOSED", "Status": "SUSPENDED"},
        {"Id": SANDBOX, "Name": "old form", "Status": "SUSPENDED"},
        {"Id": "777788889999", "Name": "new", "JoinedTimestamp": 1_790_000_000.25},
    ]);
    world.tell(MANAGEMENT, "organizations:ListAccounts", &[], json!({"Accounts": accounts}));
    world.refuse(PROD, "iam:GetAccountAuthorizationDetails", &[], (Cause::NoRole, "AccessDenied"));
    let access = world.access();
    let organization = access.organization.as_ref().expect("one");
    let active: Vec<bool> = organization.accounts.iter().map(|member| member.active).collect();
    assert_eq!(active, [true, false, false, true]);
    assert_eq!(organization.accounts[3].joined, Some(Time(1_790_000_000)));
    let blind: Vec<&str> = gaps(&access, "ListParents").iter().map(|gap| gap.account.as_str()).collect();
    assert_eq!(blind, ["777788889999"], "closed ones need not be told");
    assert!(gaps(&access, "Details")[0].why.contains("member-role.yaml"));
}

#[test]
fn no_organization_is_an_answer() {
    let mut world = World::new();
    for call in ["ListAccounts", "DescribeOrganization", "ListPolicies"] {
        let call = format!("organizations:{call}");
        world.refuse(MANAGEMENT, &call, &[("Filter", "SERVICE_CONTROL_POLICY")], (Cause::Absent, "x"));
        world.refuse(MANAGEMENT, &call, &[], (Cause::Absent, "AWSOrganizationsNotInUseException"));
    }
    let access = world.access();
    assert_eq!((access.organization, access.gaps), (None, Vec::new()));
}

#[test]
fn units_in_a_circle_end() {
    let mut world = World::new();
    let parents = |id: &str| json!({"Parents": [{"Id": id, "Type": "ORGANIZATIONAL_UNIT"}]});
    world.tell(MANAGEMENT, "organizations:ListParents", &[("ChildId", "ou-prod")], parents("ou-b"));
    world.tell(MANAGEMENT, "organizations:ListParents", &[("ChildId", "ou-b")], parents("ou-prod"));
    assert!(gaps(&world.access(), "ListParents").iter().any(|gap| gap.account == PROD));
}

/// What replaces a part of an answer.
fn hostile() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[[]]])),
        Just(json!({"items": [1, {"Arn": {"content": "x"}}]})),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

/// Replaces the nth value of a tree.
fn replace(tree: &mut Value, place: &mut usize, by: &Value) {
    if *place == 0 {
        *tree = by.clone();
    }
    *place = place.wrapping_sub(1);
    match tree {
        Value::Array(elements) => elements.iter_mut().for_each(|element| replace(element, place, by)),
        Value::Object(map) => map.values_mut().for_each(|value| replace(value, place, by)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_shape_is_too_strange(which in 0_usize..80, place in 0_usize..30, by in hostile()) {
        let mut world = World::new();
        let given = json!({"AttachedManagedPolicies": [{"PolicyArn": READ_ONLY}], "GroupList": ["ops"]});
        world.account(PROD, &json!({
            "users": [user(PROD, "alice", given)],
            "roles": [role(PROD, "deploy", json!({}))],
            "groups": [{"GroupName": "ops"}],
            "policies": [managed(READ_ONLY, &json!([]))],
        }));
        world.directory(&json!({
            "users": ["u-1"], "groups": {"g-ops": ["u-1"]}, "sets": [{"name": "S", "managed": [READ_ONLY]}],
            "assignments": [[PROD, "S", "g-ops"]],
        }));
        world.organization(&json!([{"id": "p-deny", "targets": ["ou-prod"], "statements": []}]));
        let mut snapshots = world.snapshots();
        let mut answers: Vec<_> = snapshots.iter_mut().flat_map(|snapshot| &mut snapshot.answers).collect();
        let which = which % answers.len();
        if let crate::snapshot::Reply::Body(body) = &mut answers[which].result {
            replace(body, &mut place.clone(), &by);
        }
        let access = Access::read(&snapshots);
        prop_assert!(access.accounts.len() == 3);
        // Whatever was told, two root users are bound by nothing.
        let question = Question { action: "s3:Get*", resource: None };
        prop_assert!(access.who_can(&question).is_ok_and(|answer| answer.holders.len() >= 2));
    }
}
