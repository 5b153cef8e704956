//! What is given to whom: policies, groups, boundaries.

use crate::detection::{Case, Deed, Severity};
use crate::policy::Policy;
use crate::policy::power::{Gift, Power, managed_by_aws};

use super::change::{Change, Topic, is_oneself};
use super::wording::{Subject, deed, last_part};

/// Judges the calls that give and take rights. `None`: it is another call.
pub(super) fn judge(case: &Case<'_>) -> Option<Change> {
    Some(match case.record.action() {
        "AttachUserPolicy" | "AttachGroupPolicy" | "AttachRolePolicy" => attached(case),
        "DetachUserPolicy" | "DetachGroupPolicy" | "DetachRolePolicy" => detached(case),
        "PutUserPolicy" | "PutGroupPolicy" | "PutRolePolicy" => put_inline(case),
        "DeleteUserPolicy" | "DeleteGroupPolicy" | "DeleteRolePolicy" => deleted_inline(case),
        "CreatePolicy" | "CreatePolicyVersion" => written(case),
        "DeletePolicy" => removed(case, policy_name(case), deed("delete", format!("policy {}", policy_name(case)))),
        "SetDefaultPolicyVersion" => versioned(case, "make", "the one in force"),
        "DeletePolicyVersion" => versioned(case, "delete", ""),
        "TagPolicy" | "UntagPolicy" => Change::routine(case, Severity::Low, "policies"),
        "PutUserPermissionsBoundary" | "PutRolePermissionsBoundary" => bounded(case),
        "DeleteUserPermissionsBoundary" | "DeleteRolePermissionsBoundary" => unbounded(case),
        "AddUserToGroup" => joined(case),
        _ => return None,
    })
}

/// `make version v1 of policy p the one in force`. What the version gives, its own call said.
fn versioned(case: &Case<'_>, verb: &str, end: &str) -> Change {
    let (version, policy) = (case.record.parameter("versionId"), policy_name(case));
    let change = Change::routine(case, Severity::Medium, "policies");
    if version.is_empty() {
        return change;
    }
    change.told(deed(verb, format!("version {version} of policy {policy} {end}").trim_end()))
}

/// What somebody who takes a policy with this power, under this name, can do with it.
pub(in crate::detections) fn managed_power(arn: &str) -> Power {
    let by_name = if sounds_like_administration(last_part(arn)) { Power::Escalating } else { Power::Wide };
    managed_by_aws(arn).unwrap_or(by_name)
}

/// Judges a document that gives something; `deed` and `target` tell of whom. `None`: it gives nothing much.
pub(in crate::detections) fn given(gift: &Gift, deed: Deed, target: &str) -> Option<Change> {
    let why = format!("It gives {}.", gift.through.join(", "));
    let severity = match gift.power {
        Power::Administrator => Severity::Critical,
        Power::Escalating => Severity::High,
        _ => return None,
    };
    Some(Change::serious(Topic::Grant, severity, deed, target).because(why))
}

/// Whether a name promises administration.
pub(in crate::detections) fn sounds_like_administration(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["admin", "poweruser", "superuser", "breakglass", "break-glass"].iter().any(|word| name.contains(word))
}

/// Whether a name promises a limit.
pub(in crate::detections) fn sounds_like_a_guardrail(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["deny", "guardrail", "boundary", "restrict", "lockdown", "quarantine", "mfa", "scp"];
    words.iter().any(|word| name.contains(word)) && !name.contains("unrestrict")
}

fn subject(case: &Case<'_>) -> Subject {
    let kind = match case.record.action() {
        action if action.contains("Group") => "group",
        action if action.contains("Role") => "role",
        _ => "user",
    };
    Subject::of(case).unwrap_or(Subject { kind, name: String::new() })
}

fn policy_name<'c>(case: &'c Case<'_>) -> &'c str {
    match case.record.parameter("policyName") {
        "" => last_part(case.record.parameter("policyArn")),
        name => name,
    }
}

/// `AdministratorAccess to user mallory`; a refused call names neither.
fn policy_and_subject(case: &Case<'_>, between: &str) -> String {
    format!("{} {between} {}", named(policy_name(case), "policy"), subject(case).told())
}

/// `inline policy p on user mallory`.
fn inline_and_subject(case: &Case<'_>, between: &str) -> String {
    let policy = match policy_name(case) {
        "" => "an inline policy".to_owned(),
        name => format!("inline policy {name}"),
    };
    format!("{policy} {between} {}", subject(case).told())
}

fn named(name: &str, otherwise: &str) -> String {
    if name.is_empty() { format!("a {otherwise}") } else { name.to_owned() }
}

fn attached(case: &Case<'_>) -> Change {
    let subject = subject(case);
    let deed = deed("attach", policy_and_subject(case, "to"));
    if is_quarantine(policy_name(case)) {
        return quarantine(deed, &subject).because(KEY_FOUND);
    }
    let power = managed_power(case.record.parameter("policyArn"));
    let oneself = is_oneself(case, subject.kind, &subject.name);
    let grant = |severity| Change::serious(Topic::Grant, severity, deed.clone(), &subject.told());
    match power {
        Power::Escalating | Power::Administrator if oneself => grant(Severity::Critical).firm().because(SELF_GRANTED),
        Power::Escalating | Power::Administrator => grant(Severity::High),
        _ if oneself => grant(Severity::High).because(SELF_GRANTED),
        Power::Wide => Change::routine(case, Severity::Medium, "policies").told(deed),
        Power::Limited | Power::Nothing => Change::routine(case, Severity::Low, "policies").told(deed),
    }
}

fn detached(case: &Case<'_>) -> Change {
    removed(case, policy_name(case), deed("detach", policy_and_subject(case, "from")))
}

fn deleted_inline(case: &Case<'_>) -> Change {
    removed(case, policy_name(case), deed("delete", inline_and_subject(case, "of")))
}

/// A policy is gone: a gift taken back, unless it was one that took away.
fn removed(case: &Case<'_>, policy: &str, deed: Deed) -> Change {
    let subject = subject(case);
    let target = if subject.name.is_empty() { policy.to_owned() } else { subject.told() };
    match policy {
        name if is_quarantine(name) => quarantine(deed, &subject).because(QUARANTINE_LIFTED),
        name if sounds_like_a_guardrail(name) => Change::serious(Topic::Guardrail, Severity::High, deed, &target),
        _ if is_oneself(case, subject.kind, &subject.name) => {
            Change::routine(case, Severity::Medium, "policies").told(deed)
        }
        _ => Change::routine(case, Severity::Low, "policies").told(deed),
    }
}

fn put_inline(case: &Case<'_>) -> Change {
    let subject = subject(case);
    let deed = deed("put", inline_and_subject(case, "on"));
    if is_quarantine(policy_name(case)) {
        return quarantine(deed, &subject).because(KEY_FOUND);
    }
    let gift = match document(case) {
        Document::Read(gift) => gift,
        Document::Unreadable => return Change::serious(Topic::Hidden, Severity::High, deed, &subject.told()).hidden(),
        Document::Absent => return Change::routine(case, Severity::Medium, "policies").told(deed),
    };
    let told = told_with(deed, &gift);
    let oneself = is_oneself(case, subject.kind, &subject.name) && gift.power > Power::Nothing;
    match given(&gift, told.clone(), &subject.told()) {
        Some(change) if oneself => change.severity(Severity::Critical).firm(),
        Some(change) => change,
        None if oneself => Change::serious(Topic::Grant, Severity::High, told, &subject.told()).because(SELF_GRANTED),
        None => Change::routine(case, Severity::Medium, "policies").told(told),
    }
}

/// A managed policy is written. Nobody holds it yet, or whoever holds it already holds this version now.
fn written(case: &Case<'_>) -> Change {
    let told = deed(
        "write",
        match case.record.action() {
            "CreatePolicy" => format!("policy {}", policy_name(case)),
            _ => format!("a new version of policy {}", policy_name(case)),
        },
    );
    match document(case) {
        Document::Read(gift) => match given(&gift, told_with(told.clone(), &gift), policy_name(case)) {
            Some(change) => change.severity(Severity::High),
            None => Change::routine(case, Severity::Medium, "policies").told(told),
        },
        Document::Unreadable => Change::serious(Topic::Hidden, Severity::High, told, policy_name(case)).hidden(),
        Document::Absent => Change::routine(case, Severity::Medium, "policies").told(told),
    }
}

/// "… (every action)": what a document gives, where that is a lot.
fn told_with(deed: Deed, gift: &Gift) -> Deed {
    match gift.through.first() {
        Some(first) => Deed { object: format!("{}, which gives {first}", deed.object), ..deed },
        None => deed,
    }
}

enum Document {
    Read(Gift),
    Unreadable,
    Absent,
}

fn document(case: &Case<'_>) -> Document {
    let document = crate::shape::field(case.record.request(), "policyDocument");
    match Policy::read(document) {
        Some(policy) => Document::Read(policy.gift()),
        None if document.is_null() => Document::Absent,
        None => Document::Unreadable,
    }
}

fn bounded(case: &Case<'_>) -> Change {
    let boundary = case.record.parameter("permissionsBoundary");
    let deed = deed("limit", format!("{} by boundary {}", subject(case).told(), last_part(boundary)));
    if managed_by_aws(boundary).is_some_and(|power| power >= Power::Escalating) {
        let change = Change::serious(Topic::Guardrail, Severity::High, deed, &subject(case).told());
        return change.because("A boundary that allows everything is none.");
    }
    Change::routine(case, Severity::Medium, "boundaries").told(deed)
}

fn unbounded(case: &Case<'_>) -> Change {
    let subject = subject(case);
    let deed = deed("remove", format!("the permissions boundary of {}", subject.told()));
    Change::serious(Topic::Guardrail, Severity::High, deed, &subject.told())
}

fn joined(case: &Case<'_>) -> Change {
    let (user, group) = (case.record.parameter("userName"), case.record.parameter("groupName"));
    let deed = match (user, group) {
        ("", "") => deed("add", format!("a user to {}", subject(case).told())),
        (user, group) => deed("add", format!("user {user} to group {group}")),
    };
    let grant = |severity| Change::serious(Topic::Grant, severity, deed.clone(), &format!("user {user}"));
    match (is_oneself(case, "user", user), sounds_like_administration(group)) {
        (true, true) => grant(Severity::Critical).firm().because(SELF_GRANTED),
        (true, false) => grant(Severity::High).because(SELF_GRANTED),
        (false, true) => grant(Severity::High),
        (false, false) => Change::routine(case, Severity::Medium, "groups").told(deed),
    }
}

const SELF_GRANTED: &str =
    "The actor gave this to their own identity: a stolen key making itself stronger looks like this.";
const KEY_FOUND: &str = "AWS does this when it finds a user's access key in public: the key is known to strangers. \
    The quarantine denies a few calls, not all.";
const QUARANTINE_LIFTED: &str = "AWS had found this user's key in public and limited what it can do. \
    Lifting that before the key is gone gives it back to whoever has it.";

fn is_quarantine(policy: &str) -> bool {
    policy.starts_with("AWSCompromisedKeyQuarantine") || policy.starts_with("AWSExposedCredentialPolicy")
}

fn quarantine(deed: Deed, subject: &Subject) -> Change {
    Change::serious(Topic::Quarantine, Severity::Critical, deed, &subject.told()).firm().attempt(Severity::High)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::iam::tests::{iam, session, told, with};
    use serde_json::{Value, json};

    const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
    const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

    fn attach(user: &str, policy: &str) -> Value {
        iam("AttachUserPolicy", json!({"userName": user, "policyArn": policy}))
    }

    fn inline(action: &str, subject: &Value, statement: &Value) -> Value {
        let document = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let mut request = json!({"policyName": "p", "policyDocument": document});
        for (key, value) in subject.as_object().expect("an object") {
            request[key] = value.clone();
        }
        iam(action, request)
    }

    fn grade(record: &Value) -> (&'static str, Severity) {
        told(record).map(|told| (told.id, told.severity)).expect("told")
    }

    #[test]
    fn administration_for_another_is_high_and_says_who_got_what() {
        let told = told(&attach("mallory", ADMINISTRATOR)).expect("told");
        let sentence = "alice attached AdministratorAccess to user mallory";
        assert_eq!(told.brief(), ("iam-rights-granted", Severity::High, sentence));
        let role =
            iam("AttachRolePolicy", json!({"roleName": "ops", "policyArn": "arn:aws:iam::aws:policy/IAMFullAccess"}));
        assert_eq!(grade(&role), ("iam-rights-granted", Severity::High));
        let group = iam("AttachGroupPolicy", json!({"groupName": "devs", "policyArn": ADMINISTRATOR}));
        assert_eq!(grade(&group), ("iam-rights-granted", Severity::High), "whether alice is a member is not known");
    }

    #[test]
    fn administration_for_oneself_is_critical_for_users_roles_and_federated_users() {
        assert_eq!(grade(&attach("alice", ADMINISTRATOR)), ("iam-rights-granted", Severity::Critical));
        let own_role = json!({"roleName": "ci", "policyArn": ADMINISTRATOR});
        let by_role = with(iam("AttachRolePolicy", own_role), session("ci", "deploy/"));
        assert_eq!(grade(&by_role), ("iam-rights-granted", Severity::Critical));
        let federated = json!({"userIdentity": {
            "type": "FederatedUser",
            "arn": "arn:aws:sts::111122223333:federated-user/x",
            "accountId": "111122223333",
            "sessionContext": {"sessionIssuer": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"}}
        }});
        assert_eq!(grade(&with(attach("alice", ADMINISTRATOR), federated)).1, Severity::Critical);
        let namesake = with(attach("ci", ADMINISTRATOR), session("ci", ""));
        assert_eq!(grade(&namesake).1, Severity::High, "a user is no role of the same name");
    }

    #[test]
    fn a_stack_or_a_tool_does_not_excuse_a_self_grant() {
        let mut by_stack = attach("alice", ADMINISTRATOR);
        by_stack["userIdentity"]["invokedBy"] = json!("cloudformation.amazonaws.com");
        assert_eq!(grade(&by_stack).1, Severity::Critical);
    }

    #[test]
    fn other_policies_are_for_review_unless_one_takes_them_oneself() {
        assert_eq!(grade(&attach("bob", READ_ONLY)), ("iam-changed", Severity::Low));
        assert_eq!(
            grade(&attach("bob", "arn:aws:iam::aws:policy/AmazonS3FullAccess")),
            ("iam-changed", Severity::Medium)
        );
        assert_eq!(grade(&attach("alice", READ_ONLY)), ("iam-rights-granted", Severity::High));
        let named = "arn:aws:iam::111122223333:policy/team/CompanyAdmin";
        assert_eq!(grade(&attach("bob", named)), ("iam-rights-granted", Severity::High));
    }

    #[test]
    fn inline_policies_are_read() {
        let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let backdoor = inline("PutUserPolicy", &json!({"userName": "bob"}), &everything);
        let told = told(&backdoor).expect("told");
        let sentence = "alice put inline policy p on user bob, which gives every action";
        assert_eq!(told.brief(), ("iam-rights-granted", Severity::Critical, sentence));
        let escalating = json!({"Effect": "Allow", "Action": "iam:AttachUserPolicy", "Resource": "*"});
        let for_role = inline("PutRolePolicy", &json!({"roleName": "ci"}), &escalating);
        assert_eq!(grade(&for_role), ("iam-rights-granted", Severity::High));
        assert_eq!(grade(&inline("PutUserPolicy", &json!({"userName": "alice"}), &escalating)).1, Severity::Critical);
        let small = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
        assert_eq!(
            grade(&inline("PutRolePolicy", &json!({"roleName": "ci"}), &small)),
            ("iam-changed", Severity::Medium)
        );
        assert_eq!(grade(&inline("PutUserPolicy", &json!({"userName": "alice"}), &small)).1, Severity::High);
        let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
        assert_eq!(
            grade(&inline("PutUserPolicy", &json!({"userName": "alice"}), &deny)),
            ("iam-changed", Severity::Medium)
        );
    }

    #[test]
    fn a_written_policy_is_read_in_every_encoding() {
        let document = r#"{"Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}"#;
        let encoded = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22iam%3A*%22%2C%22Resource%22%3A%22*%22%7D%7D";
        for document in [json!(document), json!(encoded), serde_json::from_str(document).expect("JSON")] {
            let created = iam("CreatePolicy", json!({"policyName": "p", "policyDocument": document}));
            assert_eq!(grade(&created), ("iam-rights-granted", Severity::High));
        }
        let version = json!({"policyArn": "arn:aws:iam::111122223333:policy/p", "policyDocument": document, "setAsDefault": true});
        let told = told(&iam("CreatePolicyVersion", version)).expect("told");
        assert_eq!(told.sentence, "alice wrote a new version of policy p, which gives iam:*");
        let unreadable =
            iam("CreatePolicy", json!({"policyName": "p", "policyDocument": "HIDDEN_DUE_TO_SECURITY_REASONS"}));
        assert_eq!(grade(&unreadable), ("iam-change-hidden", Severity::High));
    }

    #[test]
    fn the_quarantine_of_a_leaked_key_is_critical_both_ways() {
        let quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";
        assert_eq!(grade(&attach("bob", quarantine)), ("iam-key-quarantined", Severity::Critical));
        let lifted = iam("DetachUserPolicy", json!({"userName": "bob", "policyArn": quarantine}));
        assert_eq!(grade(&lifted), ("iam-key-quarantined", Severity::Critical));
        let denied = with(lifted, json!({"errorCode": "AccessDenied"}));
        assert_eq!(grade(&denied), ("iam-key-quarantined", Severity::High));
        let old = json!({"userName": "bob", "policyName": "AWSExposedCredentialPolicy_DO_NOT_REMOVE", "policyDocument": "{}"});
        assert_eq!(grade(&iam("PutUserPolicy", old)), ("iam-key-quarantined", Severity::Critical));
    }

    #[test]
    fn guardrails_that_go_are_high_and_rights_that_go_are_low() {
        let detach = |policy: &str| {
            grade(&iam(
                "DetachRolePolicy",
                json!({"roleName": "ci", "policyArn": format!("arn:aws:iam::1:policy/{policy}")}),
            ))
        };
        assert_eq!(detach("DenyAllOutsideEU"), ("iam-guardrail-removed", Severity::High));
        assert_eq!(detach("s3-read"), ("iam-changed", Severity::Low));
        for action in ["DeleteUserPermissionsBoundary", "DeleteRolePermissionsBoundary"] {
            assert_eq!(grade(&iam(action, json!({"userName": "bob"}))), ("iam-guardrail-removed", Severity::High));
        }
        let boundary = |policy: &str| {
            grade(&iam("PutUserPermissionsBoundary", json!({"userName": "bob", "permissionsBoundary": policy})))
        };
        assert_eq!(boundary(ADMINISTRATOR), ("iam-guardrail-removed", Severity::High));
        assert_eq!(boundary("arn:aws:iam::111122223333:policy/edge"), ("iam-changed", Severity::Medium));
    }

    #[test]
    fn joining_a_group_is_judged_by_who_joins_what() {
        let joins =
            |user: &str, group: &str| grade(&iam("AddUserToGroup", json!({"userName": user, "groupName": group})));
        assert_eq!(joins("bob", "developers"), ("iam-changed", Severity::Medium));
        assert_eq!(joins("bob", "Administrators"), ("iam-rights-granted", Severity::High));
        assert_eq!(joins("alice", "developers"), ("iam-rights-granted", Severity::High));
        assert_eq!(joins("alice", "admins"), ("iam-rights-granted", Severity::Critical));
    }

    #[test]
    fn a_grant_names_who_got_what_as_arns() {
        let told = told(&attach("mallory", ADMINISTRATOR)).expect("told");
        assert_eq!(told.resources, ["arn:aws:iam::111122223333:user/mallory", ADMINISTRATOR]);
    }

    #[test]
    fn each_grant_is_a_finding_of_its_own() {
        let to_bob = told(&attach("bob", ADMINISTRATOR)).expect("told");
        let to_eve = told(&attach("eve", ADMINISTRATOR)).expect("told");
        assert_ne!(to_bob.key, to_eve.key);
    }
}
