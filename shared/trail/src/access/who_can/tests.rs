mod oracle;

use serde_json::{Value, json};

use super::*;
use crate::access::testing::{MANAGEMENT, PROD, SANDBOX, World, managed, role, user};
use crate::snapshot::Cause;

const DROP: &str = "rds:DeleteDBInstance";
const DATABASE: &str = "arn:aws:rds:eu-west-1:111122223333:db:prod";

fn ask(world: &World, action: &str, resource: Option<&str>) -> Answer {
    world.access().who_can(&Question { action, resource }).expect("a good question")
}

/// Names of whoever can, root users aside; `?` where it is not certain.
fn names(answer: &Answer) -> Vec<String> {
    let others = answer.holders.iter().filter(|holder| holder.kind != HolderKind::Root);
    let name = |holder: &Holder| match holder.sure {
        Sure::Allowed => holder.name.clone(),
        Sure::Conditional => format!("{}?", holder.name),
        Sure::Untold => format!("{}??", holder.name),
    };
    let mut names: Vec<String> = others.map(name).collect();
    names.sort();
    names
}

fn holder<'a>(answer: &'a Answer, name: &str) -> &'a Holder {
    answer.holders.iter().find(|holder| holder.name == name).unwrap_or_else(|| panic!("{name} in {answer:?}"))
}

fn allow(action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

fn deny(action: &str, resource: &str) -> Value {
    json!({"Effect": "Deny", "Action": action, "Resource": resource})
}

fn with(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

/// A user of the account of production with these statements, and with more.
fn inline(name: &str, statements: &Value) -> Value {
    user(PROD, name, json!({"UserPolicyList": [{"PolicyName": "own", "PolicyDocument": {"Statement": statements}}]}))
}

/// One user, `u`, with these statements: whether and how surely it can.
fn lone(statements: &Value, action: &str, resource: Option<&str>) -> &'static str {
    let mut world = World::new();
    world.account(PROD, &json!({"users": [inline("u", statements)]}));
    match &names(&ask(&world, action, resource))[..] {
        [] => "no",
        [name] if name == "u" => "yes",
        [name] if name == "u?" => "perhaps",
        other => panic!("{other:?}"),
    }
}

/// IAM user guide: policy evaluation logic, policy elements, policy variables.
#[test]
fn single_policies_whose_answer_is_known() {
    let mfa = || json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
    let other = "arn:aws:rds:eu-west-1:111122223333:db:test";
    let not = |effect: &str, element: &str, value: Value| {
        let mut statement = json!({"Effect": effect, "Action": "*", "Resource": "*"});
        statement.as_object_mut().expect("an object").remove(element.trim_start_matches("Not"));
        statement[element] = value;
        statement
    };
    let table: Vec<(Value, &str, Option<&str>, &str)> = vec![
        // What nothing allows is denied.
        (json!([]), DROP, None, "no"),
        (json!([allow("ec2:*", "*")]), DROP, None, "no"),
        (json!([allow("*", "*")]), DROP, None, "yes"),
        (json!([allow("rds:*", "*")]), DROP, Some(DATABASE), "yes"),
        // Actions have either case, resources do not.
        (json!([allow("RDS:deleteDBinstance", "*")]), DROP, None, "yes"),
        (json!([allow(DROP, "*")]), "RDS:DELETEDBINSTANCE", None, "yes"),
        (json!([allow("*", &DATABASE.to_uppercase())]), DROP, Some(DATABASE), "no"),
        (json!([allow("*", "*"), deny("*", &DATABASE.to_uppercase())]), DROP, Some(DATABASE), "yes"),
        // Wildcards.
        (json!([allow("rds:Delete?BInstance", "*")]), DROP, None, "yes"),
        (json!([allow("rds:Delete??BInstance", "*")]), DROP, None, "no"),
        (json!([allow("r*:*Instance", "*")]), DROP, None, "yes"),
        (json!([allow("rds:*", "arn:aws:rds:*:*:db:p*d")]), DROP, Some(DATABASE), "yes"),
        (json!([allow("rds:*", "arn:aws:rds:*:*:db:p?d")]), DROP, Some(DATABASE), "no"),
        // An explicit deny wins, wherever it stands.
        (json!([deny("*", "*"), allow("*", "*")]), DROP, None, "no"),
        (json!([allow("*", "*"), deny("rds:Delete*", "*")]), DROP, None, "no"),
        (json!([allow("*", "*"), deny("rds:Delete*", DATABASE)]), DROP, Some(DATABASE), "no"),
        (json!([allow("*", "*"), deny("rds:Delete*", DATABASE)]), DROP, Some(other), "yes"),
        (json!([allow("*", "*"), deny("rds:Delete*", DATABASE)]), DROP, None, "yes"),
        (json!([allow("*", DATABASE), deny("rds:Delete*", "arn:aws:rds:*:111122223333:db:*")]), DROP, None, "no"),
        (json!([allow("*", "*"), deny("*", "arn:*"), deny("*", "a*")]), DROP, Some("arn:aws:rds:*:*:db:*"), "no"),
        // NotAction and NotResource.
        (json!([not("Allow", "NotAction", json!("iam:*"))]), DROP, None, "yes"),
        (json!([not("Allow", "NotAction", json!(["iam:*", "RDS:delete*"]))]), DROP, None, "no"),
        (json!([allow("*", "*"), not("Deny", "NotAction", json!("iam:*"))]), DROP, None, "no"),
        (json!([allow("*", "*"), not("Deny", "NotAction", json!("rds:*"))]), DROP, None, "yes"),
        (json!([not("Allow", "NotResource", json!(DATABASE))]), DROP, Some(DATABASE), "no"),
        (json!([not("Allow", "NotResource", json!(DATABASE))]), DROP, Some(other), "yes"),
        (json!([not("Allow", "NotResource", json!(DATABASE))]), DROP, None, "yes"),
        (json!([allow("*", "*"), not("Deny", "NotResource", json!(DATABASE))]), DROP, Some(DATABASE), "yes"),
        (json!([allow("*", "*"), not("Deny", "NotResource", json!(DATABASE))]), DROP, Some(other), "no"),
        (json!([allow("*", other), not("Deny", "NotResource", json!(DATABASE))]), DROP, None, "no"),
        // Conditions are not evaluated, for nobody and against nobody.
        (json!([with(allow("*", "*"), mfa())]), DROP, None, "perhaps"),
        (json!([with(allow("*", "*"), mfa()), allow(DROP, "*")]), DROP, None, "yes"),
        (json!([allow("*", "*"), with(deny("*", "*"), mfa())]), DROP, None, "perhaps"),
        (json!([allow("*", "*"), with(deny("*", DATABASE), mfa())]), DROP, Some(other), "yes"),
        (json!([allow("*", "*"), with(deny("*", DATABASE), mfa())]), DROP, None, "yes"),
        (json!([with(allow("*", "*"), mfa()), deny("rds:*", "*")]), DROP, None, "no"),
        // Any part of what is asked about.
        (json!([allow("s3:DeleteObject", "*")]), "s3:Delete*", None, "yes"),
        (json!([allow("s3:Get*", "*")]), "s3:Delete*", None, "no"),
        (json!([allow("s3:*", "*"), deny("s3:DeleteObject", "*")]), "s3:Delete*", None, "yes"),
        (json!([allow("s3:DeleteObject", "*"), deny("s3:*Object", "*")]), "s3:Delete*", None, "no"),
        (json!([allow("s3:D*", "*"), deny("s3:De*", "*")]), "s3:*", None, "yes"),
        (json!([allow("s3:*", "*"), deny("s3:Delete*", "*")]), "s3:delete*", None, "no"),
        (json!([allow("*", "arn:aws:s3:::a/*")]), "s3:GetObject", Some("arn:aws:s3:::*/logs/*"), "yes"),
        (json!([allow("*", "arn:aws:s3:::a")]), "s3:GetObject", Some("arn:aws:s3:::*/logs/*"), "no"),
        // Variables: what is known is put in, what is not may be anything.
        (
            json!([allow("*", "arn:aws:iam::*:user/${aws:username}")]),
            "iam:CreateAccessKey",
            Some("arn:aws:iam::111122223333:user/u"),
            "yes",
        ),
        (
            json!([allow("*", "arn:aws:iam::*:user/${aws:username}")]),
            "iam:CreateAccessKey",
            Some("arn:aws:iam::111122223333:user/v"),
            "no",
        ),
        (json!([allow("*", "arn:aws:s3:::b/${aws:UserId}/*")]), "s3:GetObject", Some("arn:aws:s3:::b/AIDAu/x"), "yes"),
        (json!([allow("*", "arn:aws:s3:::b/${s3:prefix}/*")]), "s3:GetObject", Some("arn:aws:s3:::b/x/y"), "perhaps"),
        (
            json!([allow("*", "*"), deny("*", "arn:aws:s3:::b/${s3:prefix}/*")]),
            "s3:GetObject",
            Some("arn:aws:s3:::b/x/y"),
            "perhaps",
        ),
        (json!([allow("*", "arn:aws:s3:::b/${aws:PrincipalTag/team}/*")]), "s3:GetObject", None, "no"),
        (json!([allow("*", "arn:aws:s3:::b/${aws:PrincipalTag/team, 'all'}/*")]), "s3:GetObject", None, "yes"),
        (
            json!([not("Allow", "NotResource", json!("arn:aws:s3:::${s3:prefix}"))]),
            "s3:GetObject",
            Some("arn:aws:s3:::b"),
            "perhaps",
        ),
        // What AWS never takes allows rather than hides.
        (json!([{"Effect": "Allow", "Action": "*"}]), DROP, None, "yes"),
        (json!([allow("*", "*"), {"Effect": "Deny", "Action": "*"}]), DROP, None, "yes"),
        (json!([{"Effect": "Allow", "Resource": "*"}, 7, null]), DROP, None, "no"),
    ];
    for (statements, action, resource, expected) in table {
        assert_eq!(lone(&statements, action, resource), expected, "{action} on {resource:?} by {statements}");
    }
}

const EDGE: &str = "arn:aws:iam::111122223333:policy/edge";
const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

#[test]
fn boundaries_groups_and_managed_policies() {
    let own = |more: Value| {
        let mut told =
            json!({"UserPolicyList": [{"PolicyName": "own", "PolicyDocument": {"Statement": [allow("*", "*")]}}]});
        more.as_object().into_iter().flatten().for_each(|(name, value)| told[name] = value.clone());
        told
    };
    let bounded = json!({"PermissionsBoundary": {"PermissionsBoundaryArn": EDGE}});
    let mut world = World::new();
    world.account(
        PROD,
        &json!({
            "users": [
                user(PROD, "free", own(json!({}))),
                // A boundary gives nothing by itself, and takes what it does not allow from groups, too.
                user(PROD, "bounded", own(bounded.clone())),
                user(PROD, "only-boundary", bounded.clone()),
                user(PROD, "grouped", json!({"GroupList": ["admins"]})),
                user(PROD, "grouped-bounded", json!({"GroupList": ["admins"],
                    "PermissionsBoundary": {"PermissionsBoundaryArn": EDGE}})),
                user(PROD, "denied-by-group", own(json!({"GroupList": ["careful"]}))),
                user(PROD, "untold", json!({"AttachedManagedPolicies": [{"PolicyArn": "arn:aws:iam::aws:policy/Odd"}]})),
                user(PROD, "untold-boundary",
                    own(json!({"PermissionsBoundary": {"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/Odd"}}))),
            ],
            "roles": [
                role(PROD, "deploy", json!({"AttachedManagedPolicies": [{"PolicyArn": ADMIN}]})),
                role(PROD, "idle", json!({})),
            ],
            "groups": [
                {"GroupName": "admins", "AttachedManagedPolicies": [{"PolicyArn": ADMIN}]},
                {"GroupName": "careful", "GroupPolicyList": [
                    {"PolicyName": "p", "PolicyDocument": {"Statement": [deny("rds:Delete*", "*")]}}]},
            ],
            "policies": [managed(EDGE, &json!([allow("rds:*", "arn:aws:rds:*:*:db:dev-*"), allow("s3:*", "*")]))],
        }),
    );
    let on_prod = ask(&world, DROP, Some(DATABASE));
    assert_eq!(names(&on_prod), ["deploy", "free", "grouped", "untold-boundary??", "untold??"]);
    let anywhere = ask(&world, DROP, None);
    let expected = ["bounded", "deploy", "free", "grouped", "grouped-bounded", "untold-boundary??", "untold??"];
    assert_eq!(names(&anywhere), expected);
    assert_eq!(holder(&anywhere, "bounded").resources, ["arn:aws:rds:*:*:db:dev-*"]);
    assert_eq!(holder(&anywhere, "free").resources, [] as [&str; 0]);
    let grouped = holder(&on_prod, "grouped");
    assert_eq!(grouped.through[0].to_string(), "AdministratorAccess statement 1 (group admins)");
    assert_eq!(holder(&on_prod, "deploy").taken_by, ["ec2.amazonaws.com"]);
    assert!(on_prod.not_evaluated.iter().any(|said| said.contains("arn:aws:iam::aws:policy/Odd")), "{on_prod:?}");
    assert!(on_prod.gaps.iter().any(|gap| gap.what.ends_with("/Odd")));
    // The root user always can, and of each account, since no policy is needed; other accounts have to be let in.
    let roots: Vec<_> =
        on_prod.holders.iter().filter(|h| h.kind == HolderKind::Root).map(|h| (&*h.account, h.across)).collect();
    assert_eq!(roots, [(PROD, false), (MANAGEMENT, true), (SANDBOX, true)]);
    assert_eq!(on_prod.holders[0].through[0].to_string(), "being root");
}

/// An administrator in each of the three accounts, below these policies.
fn under(policies: &Value) -> World {
    let mut world = World::new();
    for account in [MANAGEMENT, PROD, SANDBOX] {
        let policy =
            json!({"UserPolicyList": [{"PolicyName": "own", "PolicyDocument": {"Statement": [allow("*", "*")]}}]});
        let slr =
            json!({"RolePolicyList": [{"PolicyName": "own", "PolicyDocument": {"Statement": [allow("rds:*", "*")]}}]});
        let name = match account {
            MANAGEMENT => "manager",
            PROD => "prod",
            _ => "sandbox",
        };
        let of_service = role(account, &format!("aws-service-role/rds.amazonaws.com/slr-{name}"), slr);
        world.account(account, &json!({"users": [user(account, name, policy)], "roles": [of_service]}));
    }
    world.organization(policies);
    world
}

fn full(targets: &Value) -> Value {
    json!({"id": "p-FullAWSAccess", "targets": targets})
}

fn everywhere() -> Value {
    full(&json!(["r-root", "ou-prod", PROD, SANDBOX, MANAGEMENT]))
}

fn policy(id: &str, targets: &Value, statements: &Value) -> Value {
    json!({"id": id, "targets": targets, "statements": statements})
}

/// Service control policies that deny, and who is left.
fn denials() -> Vec<(Value, &'static [&'static str])> {
    vec![
        (json!([]), &["manager", "prod", "sandbox"]),
        (json!([everywhere()]), &["manager", "prod", "sandbox"]),
        // A deny at any level binds all below it, but not the management account.
        (json!([everywhere(), policy("d", &json!(["r-root"]), &json!([deny("rds:*", "*")]))]), &["manager"]),
        (
            json!([everywhere(), policy("d", &json!(["ou-prod"]), &json!([deny("rds:*", "*")]))]),
            &["manager", "sandbox"],
        ),
        (json!([everywhere(), policy("d", &json!([SANDBOX]), &json!([deny("rds:*", "*")]))]), &["manager", "prod"]),
        (
            json!([everywhere(), policy("d", &json!([MANAGEMENT]), &json!([deny("*", "*")]))]),
            &["manager", "prod", "sandbox"],
        ),
        // Conditional denies do not remove.
        (
            json!([
                everywhere(),
                policy(
                    "d",
                    &json!(["ou-prod"]),
                    &json!([with(deny("*", "*"), json!({"Null": {"aws:TokenIssueTime": "true"}}))])
                )
            ]),
            &["manager", "prod?", "sandbox"],
        ),
        (
            json!([
                everywhere(),
                policy(
                    "d",
                    &json!(["ou-prod"]),
                    &json!([
                {"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}])
                )
            ]),
            &["manager", "sandbox"],
        ),
    ]
}

/// The same of those that allow less than everything.
fn allow_lists() -> Vec<(Value, &'static [&'static str])> {
    vec![
        // An allow list has to allow at every level.
        (
            json!([
                full(&json!(["r-root", PROD, SANDBOX, MANAGEMENT])),
                policy("a", &json!(["ou-prod"]), &json!([allow("s3:*", "*")]))
            ]),
            &["manager", "sandbox"],
        ),
        (
            json!([
                full(&json!(["r-root", PROD, SANDBOX, MANAGEMENT])),
                policy("a", &json!(["ou-prod"]), &json!([allow("rds:*", "*")]))
            ]),
            &["manager", "prod", "sandbox"],
        ),
        (
            json!([
                full(&json!([PROD, "ou-prod", SANDBOX])),
                policy("a", &json!(["r-root"]), &json!([allow("s3:*", "*")]))
            ]),
            &["manager"],
        ),
        // Two policies at one level are added up.
        (
            json!([
                full(&json!(["r-root", "ou-prod", SANDBOX, MANAGEMENT])),
                policy("a", &json!([PROD]), &json!([allow("s3:*", "*")])),
                policy("b", &json!([PROD]), &json!([allow("rds:Delete*", "*")])),
            ]),
            &["manager", "prod", "sandbox"],
        ),
    ]
}

#[test]
fn service_control_policies_by_root_unit_and_account() {
    for (policies, expected) in denials().into_iter().chain(allow_lists()) {
        let answer = ask(&under(&policies), DROP, None);
        let people: Vec<String> = names(&answer).into_iter().filter(|name| !name.starts_with("slr-")).collect();
        assert_eq!(people, expected, "{policies}");
        // Root users are bound as everybody else is; roles of services are not bound at all.
        let roots = answer.holders.iter().filter(|holder| holder.kind == HolderKind::Root).count();
        assert_eq!(roots, expected.len(), "{policies}");
        assert_eq!(names(&answer).iter().filter(|name| name.starts_with("slr-")).count(), 3, "{policies}");
    }
}

#[test]
fn a_conditional_deny_is_named() {
    let full = json!({"id": "p-FullAWSAccess", "targets": ["r-root", "ou-prod", PROD]});
    let statement =
        with(deny("rds:*", "*"), json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/break-glass"}}));
    let answer =
        ask(&under(&json!([full, {"id": "p-guard", "targets": ["ou-prod"], "statements": [statement]}])), DROP, None);
    let prod = holder(&answer, "prod");
    assert_eq!(prod.conditions, ["aws:PrincipalArn"]);
    assert_eq!(prod.may_stop[0].to_string(), "a conditional deny may stop it: p-guard statement 1 (aws:PrincipalArn)");
    assert!(holder(&answer, "manager").may_stop.is_empty());
    assert!(answer.not_evaluated.iter().any(|said| said.contains("aws:PrincipalArn")));
}

#[test]
fn accounts_that_nobody_asked_are_named() {
    let said = |world: &World| ask(world, DROP, None).not_evaluated.join("\n");
    let world = under(&json!([everywhere()]));
    assert!(!said(&world).contains("not in the snapshot"));
    let without = said(&world.without(SANDBOX));
    assert!(without.contains(&format!("accounts of the organization are not in the snapshot: {SANDBOX}")), "{without}");
}

#[test]
fn an_unknown_organization_binds_nobody_and_says_so() {
    let mut world = under(&json!([{"id": "d", "targets": ["r-root"], "statements": [deny("*", "*")]}]));
    for call in ["organizations:ListAccounts", "organizations:DescribeOrganization"] {
        world.refuse(MANAGEMENT, call, &[], (Cause::Denied, "AccessDeniedException"));
    }
    let answer = ask(&world, DROP, None);
    assert!(names(&answer).contains(&"prod".to_owned()));
    assert!(answer.not_evaluated.iter().any(|said| said.contains("service control policies were not evaluated")));
    assert!(answer.gaps.iter().any(|gap| gap.what == "organizations:ListAccounts"));
}

#[test]
fn people_of_identity_center() {
    let sso = "aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO";
    let inline = |statements: Value| json!({"RolePolicyList": [{"PolicyName": "AwsSSOInlinePolicy", "PolicyDocument": {"Statement": statements}}]});
    let mut world = World::new();
    world.account(
        PROD,
        &json!({"roles": [
            role(PROD, &format!("{sso}_Dba_0123456789abcdef"), inline(json!([allow("rds:*", "*")]))),
            // Nobody is known to have this one.
            role(PROD, &format!("{sso}_Old_set_0123456789abcdef"), inline(json!([allow("rds:*", "*")]))),
            role(PROD, &format!("{sso}_Reader_0123456789abcdef"), inline(json!([allow("rds:Describe*", "*")]))),
        ]}),
    );
    world.directory(&json!({
        "users": ["ann", "bob", "cid", "dan"],
        "groups": {"g-dba": ["ann", "bob"], "g-none": []},
        "sets": [
            {"name": "Dba", "inline": [allow("s3:*", "*")]},
            {"name": "Reader", "inline": [allow("*", "*")]},
            {"name": "Custom", "customer": ["edge"]},
            {"name": "Bound", "managed": [ADMIN], "boundary": {"ManagedPolicyArn": "arn:aws:iam::aws:policy/Odd"}},
        ],
        "assignments": [
            [PROD, "Dba", "g-dba"], [PROD, "Dba", "ann"], [PROD, "Reader", "cid"], [PROD, "Dba", "g-none"],
            [SANDBOX, "Custom", "cid"], [SANDBOX, "Bound", "dan"], [SANDBOX, "Bound", "u-deleted"],
        ],
    }));
    let answer = ask(&world, DROP, Some(DATABASE));
    let people: Vec<(&str, &str)> = answer
        .holders
        .iter()
        .filter(|h| h.kind == HolderKind::Person)
        .map(|h| (h.name.as_str(), h.account.as_str()))
        .collect();
    // The role in the account counts, as AWS does; without it the set does.
    assert_eq!(people, [("ann", PROD), ("bob", PROD), ("cid", SANDBOX), ("dan", SANDBOX), ("u-deleted", SANDBOX)]);
    let ann = holder(&answer, "ann");
    assert_eq!(ann.id, format!("sso:ann/{PROD}/Dba"));
    assert_eq!(ann.through[0].via, "permission set Dba", "her own assignment does not end with the group");
    assert_eq!(holder(&answer, "bob").through[0].via, "permission set Dba, group g-dba");
    let role = format!("arn:aws:iam::{PROD}:role/{sso}_Dba_0123456789abcdef");
    assert_eq!(ann.actor, Some(ActorKey::Session { role, name: "ann".to_owned() }));
    assert_eq!((holder(&answer, "dan").sure, holder(&answer, "cid").sure), (Sure::Untold, Sure::Untold));
    let roles: Vec<&str> =
        answer.holders.iter().filter(|h| h.kind == HolderKind::Role).map(|h| h.name.as_str()).collect();
    assert_eq!(roles, ["AWSReservedSSO_Old_set_0123456789abcdef"], "a role is not told besides its people");
}

#[test]
fn members_that_were_not_told_are_named_by_their_group() {
    let mut world = World::new();
    world.directory(&json!({
        "groups": {"g-admins": ["ann"]}, "sets": [{"name": "Admin", "managed": [ADMIN]}],
        "assignments": [[PROD, "Admin", "g-admins"]],
    }));
    world.refuse(
        MANAGEMENT,
        "identitystore:ListGroupMemberships",
        &[("GroupId", "g-admins")],
        (Cause::Denied, "AccessDenied"),
    );
    let answer = ask(&world, DROP, None);
    assert_eq!(names(&answer), ["the members of g-admins, whom nobody told"]);
}

#[test]
fn a_questions_errors_say_the_way_out() {
    let access = World::new().access();
    for (action, resource, says) in [
        ("DeleteDBInstance", None, "names no service: write it as in a policy, such as rds:DeleteDBInstance"),
        ("", None, "names no service"),
        ("rds.amazonaws.com:DeleteDBInstance", None, "s3, not s3.amazonaws.com"),
        ("*:*", None, "without wildcards"),
        ("rds:", None, "is no action"),
        ("rds:Delete DBInstance", None, "is no action"),
        ("rds:a:b", None, "is no action"),
        (DROP, Some("prod"), "is no ARN"),
        (DROP, Some("arn:aws:rds"), "leave it out"),
    ] {
        let error = access.who_can(&Question { action, resource }).expect_err(action).to_string();
        assert!(error.contains(says), "{action}: {error}");
    }
    assert!(access.who_can(&Question { action: "s3:Delete*", resource: Some("*") }).is_ok());
}

#[test]
fn variables_without_a_value() {
    let statements = json!([allow("s3:*", "arn:aws:s3:::b/${aws:username}/*")]);
    let policy = json!([{"PolicyName": "own", "PolicyDocument": {"Statement": statements}}]);
    let by_id = json!([{"PolicyName": "own", "PolicyDocument": {"Statement": [allow("s3:*", "arn:aws:s3:::b/${aws:userid}/*")]}}]);
    let mut world = World::new();
    world.account(
        PROD,
        &json!({"roles": [role(PROD, "named", json!({"RolePolicyList": policy})), role(PROD, "ids", json!({"RolePolicyList": by_id}))]}),
    );
    // A session has no user name; its id is the role's and a name that is not known.
    assert_eq!(names(&ask(&world, "s3:GetObject", None)), ["ids?"]);
    assert_eq!(names(&ask(&world, "s3:GetObject", Some("arn:aws:s3:::b/AROAids:x/y"))), ["ids?"]);
    assert_eq!(names(&ask(&world, "s3:GetObject", Some("arn:aws:s3:::b/AROAother:x/y"))), [] as [&str; 0]);
}

#[test]
fn twenty_thousand_principals() {
    let mut world = World::new();
    let actions: Vec<String> = (0..400).map(|i| format!("svc{i}:Describe*")).collect();
    let wide = "arn:aws:iam::aws:policy/Wide";
    let statements = json!([{"Effect": "Allow", "Action": actions, "Resource": "*"}]);
    let roles: Vec<Value> = (0..20_000)
        .map(|i| {
            let arn = if i % 100 == 0 { ADMIN } else { wide };
            role(PROD, &format!("r{i}"), json!({"AttachedManagedPolicies": [{"PolicyArn": arn}]}))
        })
        .collect();
    world.account(PROD, &json!({"roles": roles, "policies": [managed(wide, &statements)]}));
    let access = world.access();
    let answer = access.who_can(&Question { action: DROP, resource: None }).expect("a good question");
    assert_eq!(names(&answer).len(), 200);
}
