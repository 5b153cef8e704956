//! The root user: used, handed out, taken over.

use serde_json::Value;

use super::authentication::{SIGN_IN, address, called, sign_in_deed, success};
use super::iam::credentials::sets_password_of_root;
use crate::actor::Actor;
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::record::Outcome;
use crate::settings::Limit;
use crate::shape::{at, field, list, text};
use crate::window::Threshold;

pub(super) const ALL: &[&Detection] = &[
    &ROOT_USAGE,
    &ROOT_ISSUED_SESSION,
    &ROOT_SIGN_IN_FAILED,
    &ROOT_SIGN_IN_SPRAY,
    &ROOT_CREDENTIALS_CHANGED,
    &ROOT_PASSWORD_RECOVERY,
    &ROOT_SESSION_REQUESTED,
    &FOREIGN_ROOT,
    &ROOT_SERVICE,
];

const IAM: &str = "iam.amazonaws.com";
const ACCOUNT_MANAGEMENT: &str = "account.amazonaws.com";

/// How many of a record's resources are worth naming.
const RESOURCES_NAMED: usize = 8;

/// A call or a sign-in of the root user. Read-only, refused and failed calls count: root is for emergencies.
static ROOT_USAGE: Detection = Detection {
    id: "root-usage",
    title: "Root user active",
    category: Category::RootUsage,
    severity: Severity::Critical,
    techniques: &["T1078.004"],
    controls: &["CIS 7.0 5.3", "CIS 3.0 4.3", "CloudWatch.1"],
    wants: &[Want::Root],
    check: used,
    why: "Root can do everything, and no policy of the account limits it. It has no place in daily work.",
    runbook: &[
        "Call whoever keeps root's password and MFA device, not by chat: was it them, and for which task?",
        "Look at everything from this address, before and after",
        "Not them: change root's password and MFA, delete its access keys, call AWS Support",
    ],
    ..Detection::BASE
};

fn used(case: &Case<'_>) -> Option<Catch> {
    let root = case.actor.is_root() && case.actor.kind != "AWSAccount" && !is_issued(case.actor);
    (root && !by_service(case) && is_use(case)).then(|| act(case, ""))
}

/// A session that root handed out (`GetFederationToken`) acts with what root may do, under another name.
static ROOT_ISSUED_SESSION: Detection = Detection {
    id: "root-issued-session",
    title: "Session issued by root active",
    why: "Root handed out this session: it may do what root may do, under a name that hides it.",
    runbook: &[
        "Find the GetFederationToken call of root that issued it, and whoever made it",
        "Look at what the session did",
        "Not expected: delete root's access key; that alone ends no session, so deny its acts by a policy",
    ],
    check: used_by_issued,
    ..ROOT_USAGE
};

fn used_by_issued(case: &Case<'_>) -> Option<Catch> {
    let issued = is_issued(case.actor) && !by_service(case) && is_use(case);
    issued.then(|| act(case, " with a session that root issued"))
}

fn is_issued(actor: &Actor) -> bool {
    actor.kind != "Root" && (actor.issuer_kind == "Root" || actor.issuer_arn.ends_with(":root"))
}

/// Whether a service acts by itself or on behalf of root. A person in the console is no service.
fn by_service(case: &Case<'_>) -> bool {
    case.actor.is_service()
        || (case.actor.invoked_by.is_empty() && case.record.event_type.eq_ignore_ascii_case("AwsServiceEvent"))
}

/// Whether whoever it is had got in. Anybody on the internet can fail to sign in, or ask for a new password.
fn is_use(case: &Case<'_>) -> bool {
    const STEPS: [&str; 5] = [
        "CheckMfa",
        "CredentialChallenge",
        "CredentialVerification",
        "PasswordRecoveryRequested",
        "PasswordRecoveryCompleted",
    ];
    if case.record.source != SIGN_IN {
        return true;
    }
    match case.record.action() {
        "ConsoleLogin" | "UserAuthentication" => case.succeeded(),
        action => !STEPS.contains(&action),
    }
}

fn act(case: &Case<'_>, how: &str) -> Catch {
    let catch = match case.record.action() {
        "ConsoleLogin" if case.record.source == SIGN_IN => signed_in(case, how),
        _ => Catch::new(Deed::new("call", "called", format!("{}{how}", called(case)))),
    };
    let catch = if case.outcome == Outcome::Denied { catch.why(BLOCKED) } else { catch };
    resources(case).fold(catch.key(source(case)), Catch::resource)
}

const BLOCKED: &str = "Blocked: AWS refused this call. Somebody holds root's credentials all the same.";

fn signed_in(case: &Case<'_>, how: &str) -> Catch {
    let (mfa, why) = match case.actor.mfa {
        Some(true) => ("", None),
        Some(false) => (" without MFA", Some("Root signed in without MFA: its password alone opens the account.")),
        None => ("", Some("Root signed in; whether with MFA is not recorded.")),
    };
    let catch = Catch::new(Deed::new("sign in", "signed in", format!("to the console{mfa}{how}")));
    why.into_iter().fold(catch, Catch::why)
}

/// The address, or the service whose name stands in its place. `AWS Internal/3` is one of many of the same.
fn source<'c>(case: &'c Case<'_>) -> &'c str {
    match &*case.record.source_ip {
        "" => &case.record.source,
        address => address.split_once('/').map_or(address, |(address, _)| address),
    }
}

fn resources<'c>(case: &'c Case<'_>) -> impl Iterator<Item = &'c str> {
    let all = list(&case.record.body()["resources"]).into_iter().map(|resource| text(field(resource, "ARN")));
    all.take(RESOURCES_NAMED)
}

/// Somebody fails to sign in as root. One is enough to look; many, or a success after them, are an attack.
static ROOT_SIGN_IN_FAILED: Detection = Detection {
    id: "root-sign-in-failed",
    title: "Failed root sign-in",
    severity: Severity::High,
    techniques: &["T1110.001"],
    controls: &["CIS 7.0 5.6", "CIS 3.0 4.6", "CloudWatch.6"],
    wants: &[Want::Calls(SIGN_IN, &["ConsoleLogin"])],
    check: root_sign_in,
    threshold: Some(|limits| {
        let one = Limit { count: 1, distinct: 1, minutes: 5 };
        let steps = vec![one.step(Severity::High), limits.root_failures.step(Severity::Critical)];
        Threshold { failure: Outcome::Failed, steps, success: Some(success(limits, Severity::Critical)) }
    }),
    why: "Somebody knows root's email address and tries its password.",
    runbook: &[
        "Ask whoever keeps root's password whether they mistyped it",
        "Look whether a root sign-in succeeded since: qtrail findings --category root_usage",
        "Not them: make sure that root has MFA, and that its mailbox is safe",
    ],
    ..ROOT_USAGE
};

fn root_sign_in(case: &Case<'_>) -> Option<Catch> {
    if !case.actor.is_root() || is_issued(case.actor) {
        return None;
    }
    let catch = Catch::new(sign_in_deed()).key("");
    Some(if case.succeeded() { catch.success("root") } else { catch.failure("root") })
}

/// One address tries root in several accounts.
static ROOT_SIGN_IN_SPRAY: Detection = Detection {
    id: "root-sign-in-spray",
    title: "Root sign-ins failed in several accounts",
    techniques: &["T1110.003"],
    controls: &[],
    check: root_sign_in_over_accounts,
    window: 86_400,
    threshold: Some(|limits| Threshold {
        failure: Outcome::Failed,
        steps: vec![limits.root_accounts.step(Severity::Critical)],
        success: None,
    }),
    why: "One address tries the root users of several accounts: whoever it is has a list of yours.",
    runbook: &[
        "Look what else came from this address",
        "Look whether a root sign-in succeeded in any account: qtrail findings --category root_usage",
        "Make sure that every account's root has MFA; better, remove member accounts' root credentials centrally",
    ],
    ..ROOT_SIGN_IN_FAILED
};

fn root_sign_in_over_accounts(case: &Case<'_>) -> Option<Catch> {
    let catch = root_sign_in(case).filter(|_| !case.succeeded())?;
    Some(catch.key(address(case)?).all_accounts().failure(case.account))
}

/// What opens root was changed, by whomever.
static ROOT_CREDENTIALS_CHANGED: Detection = Detection {
    id: "root-credentials-changed",
    title: "Root credentials changed",
    techniques: &["T1098", "T1098.001", "T1556.006"],
    controls: &[],
    wants: &[
        Want::Calls(SIGN_IN, &["PasswordUpdated", "EmailUpdated"]),
        Want::Calls(ACCOUNT_MANAGEMENT, &["StartPrimaryEmailUpdate", "AcceptPrimaryEmailUpdate"]),
        Want::Calls(IAM, &["CreateLoginProfile", "UpdateLoginProfile", "DeleteLoginProfile", "ChangePassword"]),
        Want::Calls(IAM, &["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"]),
        Want::Calls(IAM, &["EnableMFADevice", "DeactivateMFADevice", "ResyncMFADevice"]),
        Want::Calls(IAM, &["CreateVirtualMFADevice", "DeleteVirtualMFADevice"]),
        Want::Calls(IAM, &["UploadSigningCertificate", "UpdateSigningCertificate", "DeleteSigningCertificate"]),
    ],
    check: credentials_changed,
    why: "Who holds root's password, key, MFA device or email address holds the account and can lock its owner out.",
    runbook: &[
        "Call whoever keeps root's credentials, not by chat: did they ask for this change?",
        "Look at the actor's other calls in the hour before: qtrail search --user ACTOR",
        "Not them: regain root through its mailbox at once, then call AWS Support",
    ],
    ..ROOT_USAGE
};

fn credentials_changed(case: &Case<'_>) -> Option<Catch> {
    let what = credential(case)?;
    let (verb, past) = changed(case.record.action());
    let account = Some(case.record.parameter("accountId")).filter(|id| !id.is_empty()).unwrap_or(case.account);
    let key = text(at(case.record.response(), &["accessKey", "accessKeyId"]));
    let catch = Catch::new(Deed::new(verb, past, format!("root's {what}")))
        .key(format!("{what}|{account}"))
        .resource(format!("arn:aws:iam::{account}:root"))
        .resource(key);
    Some(if case.outcome == Outcome::Denied { catch.why(BLOCKED_CHANGE) } else { catch })
}

const BLOCKED_CHANGE: &str = "Blocked: AWS refused this change. Somebody with a session here tries to take over root.";

/// Which of root's credentials a call is about.
fn credential(case: &Case<'_>) -> Option<&'static str> {
    let root = by_root_for_itself(case) || sets_password_of_root(case);
    let named = names_root(case);
    match case.record.action() {
        "EmailUpdated" | "StartPrimaryEmailUpdate" | "AcceptPrimaryEmailUpdate" => Some("email address"),
        "PasswordUpdated" => case.actor.is_root().then_some("password"),
        "CreateVirtualMFADevice" | "DeleteVirtualMFADevice" => named.then_some("MFA device"),
        _ if !root && !named => None,
        action if action.ends_with("MFADevice") => Some("MFA device"),
        action if action.ends_with("AccessKey") => Some("access key"),
        action if action.ends_with("SigningCertificate") => Some("signing certificate"),
        _ => Some("password"),
    }
}

/// Whether the call says that it is about root.
fn names_root(case: &Case<'_>) -> bool {
    let parameter = |name| case.record.parameter(name);
    let named =
        [parameter("serialNumber"), parameter("virtualMFADeviceName"), case.record.arn_in_error().unwrap_or("")];
    parameter("userName") == "AWS ROOT USER"
        || named.iter().any(|name| name.ends_with("root-account-mfa-device") || name.ends_with(":root"))
}

/// Without a user's name a call is about whoever makes it: root itself, or a session for its tasks.
fn by_root_for_itself(case: &Case<'_>) -> bool {
    let root = case.actor.is_root() && !is_issued(case.actor) && !by_service(case);
    root && case.record.parameter("userName").is_empty()
}

fn changed(action: &str) -> (&'static str, &'static str) {
    let is = |verbs: &[&str]| verbs.iter().any(|verb| action.starts_with(verb));
    if is(&["Create", "Upload", "Enable"]) {
        ("set up", "set up")
    } else if is(&["Delete", "Deactivate"]) {
        ("remove", "removed")
    } else {
        ("change", "changed")
    }
}

/// Root's forgotten password: asked for by anybody who knows the email address, completed by whoever reads its mail.
static ROOT_PASSWORD_RECOVERY: Detection = Detection {
    id: "root-password-recovery",
    title: "Root password recovery",
    severity: Severity::High,
    controls: &[],
    wants: &[Want::Calls(SIGN_IN, &["PasswordRecoveryRequested", "PasswordRecoveryCompleted"])],
    check: recovered,
    why: "Who completes a recovery reads root's mail and now has its password.",
    runbook: &[
        "Ask whoever reads root's mailbox whether they asked for a new password",
        "Not them: secure the mailbox first, then set a new password and check root's MFA devices",
    ],
    ..ROOT_USAGE
};

fn recovered(case: &Case<'_>) -> Option<Catch> {
    let (verb, past, object, severity) = match case.record.action() {
        "PasswordRecoveryRequested" => ("ask", "asked", "for", case.graded(Severity::High, Severity::Medium)),
        "PasswordRecoveryCompleted" => ("complete", "completed", "", case.graded(Severity::Critical, Severity::High)),
        _ => return None,
    };
    let object = format!("{object} the recovery of root's password");
    Some(Catch::new(Deed::new(verb, past, object.trim_start())).severity(severity).key(""))
}

/// Somebody asks for a session as a member account's root.
static ROOT_SESSION_REQUESTED: Detection = Detection {
    id: "root-session-requested",
    title: "Root session of a member account requested",
    techniques: &["T1098.003", "T1078.004"],
    controls: &[],
    wants: &[Want::Calls("sts.amazonaws.com", &["AssumeRoot"])],
    check: assumed_root,
    why: "A session of AssumeRoot unlocks a member account's policies and root credentials.",
    runbook: &[
        "Ask the actor which task this was for, not by chat",
        "Look at what the session did in the member account",
        "Not expected: disable the actor's credentials; the session itself ends after 15 minutes at most",
    ],
    ..ROOT_USAGE
};

#[expect(clippy::unnecessary_wraps, reason = "the form of a check")]
fn assumed_root(case: &Case<'_>) -> Option<Catch> {
    let target = case.record.parameter("targetPrincipal");
    let task = task(case.record.request());
    let audit = task == "IAMAuditRootUserCredentials";
    let whose = if target.is_empty() { "a member account" } else { target };
    let object = if task.is_empty() { whose.to_owned() } else { format!("{whose} for {task}") };
    // Audits look at many accounts in a row; all else is looked at account by account.
    let key = if audit { String::new() } else { format!("|{target}") };
    let catch = Catch::new(Deed::new("assume root of", "assumed root of", object))
        .severity(if audit { Severity::Medium } else { Severity::Critical })
        .key(format!("{}|{task}{key}", case.actor.key()))
        .resource(target)
        .issued_key(text(at(case.record.response(), &["credentials", "accessKeyId"])));
    Some(catch)
}

/// The task that a session is limited to, by the name of its AWS managed policy; empty for anything else.
fn task(request: &Value) -> &str {
    let policy = field(request, "taskPolicyArn");
    let arn = match text(field(policy, "arn")) {
        "" => text(policy),
        arn => arn,
    };
    arn.split_once(":iam::aws:policy/root-task/").map_or("", |(_, task)| task)
}

/// The root user of another account acts on something of ours.
static FOREIGN_ROOT: Detection = Detection {
    id: "root-of-another-account",
    title: "Another account's root user active here",
    severity: Severity::High,
    controls: &[],
    wants: &[Want::Foreign],
    check: foreign_root,
    why: "Another account's root user reached something of ours. Nobody works as root by design.",
    runbook: &[
        "Find out whose account it is, and whether it should have access at all",
        "Look at the policy that let it in",
    ],
    ..ROOT_USAGE
};

fn foreign_root(case: &Case<'_>) -> Option<Catch> {
    let actor = case.actor;
    let twelve_digits = actor.account.len() == 12 && actor.account.bytes().all(|b| b.is_ascii_digit());
    let root = (twelve_digits && actor.principal == actor.account) || actor.arn.ends_with(":root");
    // Services that deliver from accounts of their own, such as load balancers' logs.
    let service = actor.is_service() || case.record.source_ip.ends_with(".amazonaws.com");
    if actor.kind != "AWSAccount" || !root || service {
        return None;
    }
    // Strangers rattle at every public name; what was refused is for the record.
    let severity =
        if actor.account == case.account { Severity::Critical } else { case.graded(Severity::High, Severity::Low) };
    let catch = Catch::new(Deed::new("call", "called", format!("{} as its root user", called(case))))
        .severity(severity)
        .key(actor.account.as_str());
    Some(resources(case).fold(catch, Catch::resource))
}

/// A service acts on behalf of root, because root once told it to.
static ROOT_SERVICE: Detection = Detection {
    id: "root-service",
    title: "A service acted on behalf of root",
    severity: Severity::Informational,
    controls: &[],
    check: service_for_root,
    window: 86_400,
    why: "Kept for the record: a service did this for something that root had set up.",
    runbook: &["Look at what root set up there, and move it to a role"],
    ..ROOT_USAGE
};

fn service_for_root(case: &Case<'_>) -> Option<Catch> {
    let root = case.actor.is_root() || is_issued(case.actor);
    if !root || case.actor.kind == "AWSAccount" || !by_service(case) {
        return None;
    }
    let service = match case.actor.invoked_by.as_str() {
        "" => &*case.record.source,
        service => service,
    };
    let verb = format!("have {service} call");
    Some(Catch::new(Deed::new(&verb, &format!("had {service} call"), called(case))).key(service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, Match};
    use crate::testing::{ACCOUNT, caught, findings, record, repeated};
    use serde_json::json;

    fn root() -> Value {
        // `userName` is the account's alias, the key of a console session is temporary.
        json!({
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": format!("arn:aws:iam::{ACCOUNT}:root"),
            "accountId": ACCOUNT,
            "accessKeyId": "",
            "userName": "example-alias"
        })
    }

    fn by(identity: &Value, source: &str, name: &str, more: Value) -> Value {
        let mut record = record(source, name, more);
        record["userIdentity"] = identity.clone();
        record
    }

    fn sign_in(result: &str, mfa: &str) -> Value {
        let mut record = by(&root(), SIGN_IN, "ConsoleLogin", json!({"eventType": "AwsConsoleSignIn"}));
        record["responseElements"] = json!({"ConsoleLogin": result});
        record["additionalEventData"] = json!({"MFAUsed": mfa, "MobileVersion": "No"});
        if result == "Failure" {
            record["errorMessage"] = json!("Failed authentication");
        }
        record
    }

    fn sentence(found: &Match) -> String {
        format!("{} {} {}", found.lead.actor.display(), found.lead.deed.past, found.lead.deed.object)
    }

    #[test]
    fn every_call_of_root_counts_reads_and_refusals_too() {
        let read = by(&root(), "s3.amazonaws.com", "ListBuckets", json!({"readOnly": true}));
        let found = caught(&ROOT_USAGE, &read).expect("caught");
        assert_eq!((found.lead.severity, found.key.as_str()), (Severity::Critical, "203.0.113.7"));
        assert_eq!(sentence(&found), format!("root@{ACCOUNT} called s3:ListBuckets"));
        let denied = json!({"errorCode": "AccessDenied"});
        let found = caught(&ROOT_USAGE, &by(&root(), "ec2.amazonaws.com", "RunInstances", denied)).expect("caught");
        assert_eq!((found.lead.severity, found.lead.outcome), (Severity::Critical, Outcome::Denied));
        assert!(found.lead.why.expect("a reason").starts_with("Blocked"));
        assert!(caught(&ROOT_USAGE, &record("s3.amazonaws.com", "ListBuckets", json!({}))).is_none(), "alice");
    }

    #[test]
    fn an_hour_of_calls_from_one_address_is_one_finding() {
        let call = by(&root(), "s3.amazonaws.com", "ListBuckets", json!({"eventTime": "2026-11-20T03:00:00Z"}));
        let mut elsewhere = call.clone();
        elsewhere["sourceIPAddress"] = json!("198.51.100.9");
        let mut records = repeated(&call, 100, 30);
        records.extend(repeated(&elsewhere, 2, 1));
        let found = findings(&ROOT_USAGE, &records);
        assert_eq!(found.iter().map(Finding::event_count).collect::<Vec<_>>(), [100, 2]);
    }

    #[test]
    fn internal_addresses_are_one_source() {
        for (address, key) in [("AWS Internal/3", "AWS Internal"), ("AWS Internal", "AWS Internal"), ("", "x.y")] {
            let call = by(&root(), "x.y", "Z", json!({"sourceIPAddress": address}));
            assert_eq!(caught(&ROOT_USAGE, &call).expect("caught").key, key);
        }
    }

    #[test]
    fn a_root_sign_in_says_whether_mfa_was_used() {
        for (mfa, object) in [("No", "to the console without MFA"), ("YES", "to the console"), ("", "to the console")] {
            let found = caught(&ROOT_USAGE, &sign_in("Success", mfa)).expect("caught");
            assert_eq!((found.lead.severity, found.lead.deed.object.as_str()), (Severity::Critical, object));
            assert_eq!(found.lead.why.is_some(), mfa != "YES", "{mfa}");
        }
    }

    #[test]
    fn who_never_got_in_did_not_use_root() {
        assert!(caught(&ROOT_USAGE, &sign_in("Failure", "No")).is_none());
        for step in ["CheckMfa", "PasswordRecoveryRequested", "CredentialVerification"] {
            let step = by(&root(), SIGN_IN, step, json!({"responseElements": {step: "Success"}}));
            assert!(caught(&ROOT_USAGE, &step).is_none());
        }
    }

    #[test]
    fn a_service_is_no_person_but_the_console_is() {
        let mut identity = root();
        identity["invokedBy"] = json!("health.amazonaws.com");
        let call = by(&identity, "kms.amazonaws.com", "Decrypt", json!({}));
        assert!(caught(&ROOT_USAGE, &call).is_none());
        let found = caught(&ROOT_SERVICE, &call).expect("kept");
        assert_eq!(found.lead.severity, Severity::Informational);
        assert_eq!(sentence(&found), format!("root@{ACCOUNT} had health.amazonaws.com call kms:Decrypt"));
        identity["invokedBy"] = json!("signin.amazonaws.com");
        let call = by(&identity, IAM, "CreateAccessKey", json!({}));
        assert!(caught(&ROOT_USAGE, &call).is_some());
        assert!(caught(&ROOT_SERVICE, &call).is_none());
        let event = by(&root(), "kms.amazonaws.com", "RotateKey", json!({"eventType": "AWSServiceEvent"}));
        assert!(caught(&ROOT_USAGE, &event).is_none());
        assert_eq!(caught(&ROOT_SERVICE, &event).expect("kept").key, "kms.amazonaws.com");
    }

    #[test]
    fn sessions_that_root_issued_are_told_apart() {
        let session = json!({
            "type": "FederatedUser",
            "principalId": format!("{ACCOUNT}:deploy"),
            "arn": format!("arn:aws:sts::{ACCOUNT}:federated-user/deploy"),
            "accountId": ACCOUNT,
            "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {"sessionIssuer": {
                "type": "Root", "principalId": ACCOUNT, "arn": format!("arn:aws:iam::{ACCOUNT}:root"), "accountId": ACCOUNT
            }}
        });
        let call = by(&session, "s3.amazonaws.com", "ListBuckets", json!({}));
        assert!(caught(&ROOT_USAGE, &call).is_none());
        let found = caught(&ROOT_ISSUED_SESSION, &call).expect("caught");
        assert_eq!(found.lead.severity, Severity::Critical);
        assert_eq!(sentence(&found), "deploy called s3:ListBuckets with a session that root issued");
        assert!(caught(&ROOT_ISSUED_SESSION, &by(&root(), "s3.amazonaws.com", "ListBuckets", json!({}))).is_none());
    }

    #[test]
    fn a_session_that_claims_to_be_of_assume_root_is_plain_root() {
        let mut identity = root();
        identity["sessionContext"] = json!({"assumedRoot": "true"});
        let found =
            caught(&ROOT_USAGE, &by(&identity, "s3.amazonaws.com", "GetBucketPolicy", json!({}))).expect("caught");
        assert_eq!(found.lead.severity, Severity::Critical);
        assert!(!format!("{:?}", found.lead.why).contains("AssumeRoot"));
    }

    fn graded(records: &[Value]) -> Vec<(Severity, Outcome, usize)> {
        let found = findings(&ROOT_SIGN_IN_FAILED, records);
        found.iter().map(|finding| (finding.severity, finding.outcome, finding.event_count())).collect()
    }

    #[test]
    fn failed_root_sign_ins_are_one_finding_over_all_addresses() {
        let failed = repeated(&sign_in("Failure", "No"), 4, 60);
        assert_eq!(graded(&failed[..1]), [(Severity::High, Outcome::Failed, 1)]);
        let mut scattered = failed.clone();
        for (i, record) in scattered.iter_mut().enumerate() {
            record["sourceIPAddress"] = json!(format!("198.51.100.{i}"));
        }
        assert_eq!(graded(&scattered), [(Severity::High, Outcome::Failed, 4)]);
        assert_eq!(graded(&repeated(&sign_in("Failure", "No"), 5, 60)), [(Severity::Critical, Outcome::Failed, 5)]);
    }

    #[test]
    fn a_root_sign_in_after_a_failed_one_is_critical() {
        let mut records = vec![sign_in("Failure", "No")];
        let mut success = sign_in("Success", "No");
        success["eventTime"] = json!("2026-11-20T03:12:00Z");
        success["eventID"] = json!("00000000-0000-4000-8000-000000000009");
        assert!(graded(std::slice::from_ref(&success)).is_empty(), "a success alone is another detection's");
        records.push(success);
        assert_eq!(graded(&records), [(Severity::Critical, Outcome::Success, 2)]);
        records.reverse();
        assert_eq!(graded(&records), [(Severity::Critical, Outcome::Success, 2)]);
    }

    #[test]
    fn other_sign_ins_are_no_root_sign_ins() {
        let alice = record(SIGN_IN, "ConsoleLogin", json!({"responseElements": {"ConsoleLogin": "Failure"}}));
        assert!(caught(&ROOT_SIGN_IN_FAILED, &alice).is_none());
    }

    #[test]
    fn root_tried_in_two_accounts_from_one_address() {
        let first = sign_in("Failure", "No");
        let mut second = repeated(&first, 2, 7200).remove(1);
        second["recipientAccountId"] = json!("444455556666");
        let found = findings(&ROOT_SIGN_IN_SPRAY, &[first.clone(), second.clone()]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, found[0].account.as_str()), (Severity::Critical, "*"));
        assert_eq!(found[0].facts.accounts.len(), 2);
        assert!(findings(&ROOT_SIGN_IN_SPRAY, &repeated(&first, 4, 60)).is_empty(), "one account");
        second["sourceIPAddress"] = json!("198.51.100.9");
        assert!(findings(&ROOT_SIGN_IN_SPRAY, &[first, second]).is_empty(), "two addresses");
    }

    #[test]
    fn changes_of_roots_credentials_by_anyone() {
        let alice = record(IAM, "x", json!({}))["userIdentity"].clone();
        let mfa = json!({"serialNumber": "arn:aws:iam::111122223333:mfa/root-account-mfa-device"});
        for (identity, source, name, request, key) in [
            (&root(), IAM, "CreateAccessKey", Value::Null, "access key"),
            (&root(), IAM, "CreateLoginProfile", json!({"passwordResetRequired": false}), "password"),
            (&root(), IAM, "EnableMFADevice", json!({"userName": "AWS ROOT USER"}), "MFA device"),
            (&alice, IAM, "DeactivateMFADevice", json!({"userName": "AWS ROOT USER"}), "MFA device"),
            (&alice, IAM, "DeleteVirtualMFADevice", mfa, "MFA device"),
            (
                &alice,
                IAM,
                "CreateVirtualMFADevice",
                json!({"virtualMFADeviceName": "root-account-mfa-device"}),
                "MFA device",
            ),
            (&root(), SIGN_IN, "PasswordUpdated", Value::Null, "password"),
            (&root(), SIGN_IN, "EmailUpdated", Value::Null, "email address"),
            (&alice, ACCOUNT_MANAGEMENT, "StartPrimaryEmailUpdate", Value::Null, "email address"),
        ] {
            let found =
                caught(&ROOT_CREDENTIALS_CHANGED, &by(identity, source, name, json!({"requestParameters": request})));
            let found = found.expect(name);
            assert_eq!((found.lead.severity, found.key), (Severity::Critical, format!("{key}|{ACCOUNT}")), "{name}");
        }
    }

    #[test]
    fn an_email_address_changed_from_the_management_account_is_the_members() {
        let request = json!({"requestParameters": {"accountId": "444455556666", "primaryEmail": "HIDDEN"}});
        let found = caught(&ROOT_CREDENTIALS_CHANGED, &record(ACCOUNT_MANAGEMENT, "StartPrimaryEmailUpdate", request));
        let found = found.expect("caught");
        assert_eq!(found.resources, ["arn:aws:iam::444455556666:root"]);
        assert_eq!(sentence(&found), "alice changed root's email address");
    }

    #[test]
    fn changes_of_other_peoples_credentials_are_another_detections() {
        let of = |identity: &Value, name: &str, request: Value| {
            caught(&ROOT_CREDENTIALS_CHANGED, &by(identity, IAM, name, json!({"requestParameters": request})))
        };
        let alice = record(IAM, "x", json!({}))["userIdentity"].clone();
        assert!(of(&alice, "CreateAccessKey", Value::Null).is_none(), "her own");
        assert!(of(&alice, "CreateLoginProfile", json!({})).is_none(), "her own");
        assert!(of(&root(), "CreateAccessKey", json!({"userName": "alice"})).is_none());
        assert!(of(&root(), "CreateVirtualMFADevice", json!({"virtualMFADeviceName": "alice"})).is_none());
    }

    #[test]
    fn a_recovery_is_worse_when_completed() {
        let of = |name: &str, result: &str| {
            let record = by(&root(), SIGN_IN, name, json!({"responseElements": {name: result}}));
            caught(&ROOT_PASSWORD_RECOVERY, &record).expect("caught").lead.severity
        };
        assert_eq!(of("PasswordRecoveryRequested", "Success"), Severity::High);
        assert_eq!(of("PasswordRecoveryRequested", "Failure"), Severity::Medium);
        assert_eq!(of("PasswordRecoveryCompleted", "Success"), Severity::Critical);
    }

    fn assume_root(policy: &Value, more: Value) -> Match {
        let mut record = record("sts.amazonaws.com", "AssumeRoot", more);
        if record["errorCode"].is_null() {
            record["requestParameters"] = json!({"targetPrincipal": "444455556666", "taskPolicyArn": policy});
            record["responseElements"] = json!({"credentials": {"accessKeyId": "ASIAEXAMPLEROOT"}});
        }
        caught(&ROOT_SESSION_REQUESTED, &record).expect("caught")
    }

    #[test]
    fn a_root_session_is_graded_by_its_task() {
        let arn = |task: &str| format!("arn:aws:iam::aws:policy/root-task/{task}");
        let audit = assume_root(&json!({"arn": arn("IAMAuditRootUserCredentials")}), json!({}));
        assert_eq!(audit.lead.severity, Severity::Medium);
        assert_eq!(audit.issued_key.as_deref(), Some("ASIAEXAMPLEROOT"));
        assert_eq!(sentence(&audit), "alice assumed root of 444455556666 for IAMAuditRootUserCredentials");
        let unlock = assume_root(&json!(arn("S3UnlockBucketPolicy")), json!({}));
        assert_eq!(unlock.lead.severity, Severity::Critical);
        let lookalike = json!({"arn": "arn:aws:iam::111122223333:policy/root-task/IAMAuditRootUserCredentials"});
        assert_eq!(assume_root(&lookalike, json!({})).lead.severity, Severity::Critical);
        let denied = assume_root(&Value::Null, json!({"errorCode": "AccessDenied"}));
        assert_eq!((denied.lead.severity, denied.issued_key), (Severity::Critical, None));
        assert_eq!(denied.lead.deed.object, "a member account");
    }

    #[test]
    fn another_accounts_root_is_told_apart_from_its_users_and_services() {
        let of = |principal: &str, more: Value| {
            let identity = json!({"type": "AWSAccount", "principalId": principal, "accountId": "444455556666"});
            caught(&FOREIGN_ROOT, &by(&identity, "s3.amazonaws.com", "GetObject", more))
        };
        let found = of("444455556666", json!({})).expect("caught");
        assert_eq!((found.lead.severity, found.key.as_str()), (Severity::High, "444455556666"));
        assert_eq!(sentence(&found), "account 444455556666 called s3:GetObject as its root user");
        let denied = of("444455556666", json!({"errorCode": "AccessDenied"})).expect("kept");
        assert_eq!(denied.lead.severity, Severity::Low);
        for stranger in ["AIDAEXAMPLE", "", "ANONYMOUS_PRINCIPAL"] {
            assert!(of(stranger, json!({})).is_none(), "{stranger}");
        }
        assert!(of("444455556666", json!({"sourceIPAddress": "delivery.logs.amazonaws.com"})).is_none());
        let found = caught(&ROOT_USAGE, &by(&root(), "s3.amazonaws.com", "GetObject", json!({}))).expect("caught");
        assert!(!found.lead.deed.object.contains("its root user"));
    }
}
