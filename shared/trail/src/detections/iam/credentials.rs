//! Ways to sign in and to sign calls: keys, passwords, second factors.

use crate::detection::{Case, Deed, Severity};
use crate::shape::{at, field, number, text};

use super::change::{Change, Topic, is_oneself};
use super::wording::{Subject, deed, last_part};

/// Judges the calls about credentials. `None`: it is another call.
pub(super) fn judge(case: &Case<'_>) -> Option<Change> {
    Some(match case.record.action() {
        "CreateAccessKey" => issued(case, "create", "an access key"),
        "CreateLoginProfile" => issued(case, "create", "a console password"),
        "UpdateLoginProfile" => issued(case, "change", "a console password"),
        "CreateServiceSpecificCredential" => issued(case, "create", &service_credential(case)),
        "ResetServiceSpecificCredential" => issued(case, "reset", "a service credential"),
        "UploadSSHPublicKey" => issued(case, "upload", "an SSH key"),
        "UploadSigningCertificate" => issued(case, "upload", "a signing certificate"),
        "UpdateAccessKey" => switched(case, "an access key"),
        "UpdateSSHPublicKey" => switched(case, "an SSH key"),
        "UpdateSigningCertificate" => switched(case, "a signing certificate"),
        "UpdateServiceSpecificCredential" => switched(case, "a service credential"),
        "DeleteAccessKey" => withdrawn(case, "an access key"),
        "DeleteSSHPublicKey" => withdrawn(case, "an SSH key"),
        "DeleteSigningCertificate" => withdrawn(case, "a signing certificate"),
        "DeleteServiceSpecificCredential" => withdrawn(case, "a service credential"),
        "DeleteLoginProfile" => withdrawn(case, "a console password"),
        "ChangePassword" => own(case, deed("change", "their own password")),
        _ => return second_factors(case).or_else(|| password_policies(case)),
    })
}

/// Whether a call is about the root user's own credentials, which is root usage whoever makes it: watched there.
pub(super) fn is_about_root(case: &Case<'_>) -> bool {
    let record = case.record;
    let action = record.action();
    let of_root = ["AccessKey", "LoginProfile", "ChangePassword", "MFADevice", "SigningCertificate"];
    let is_credential =
        of_root.iter().any(|end| action.ends_with(end)) && !action.contains("Tag") && !action.starts_with("Untag");
    let by_root = case.actor.kind == "Root" && !case.actor.is_service() && !action.contains("Virtual");
    let devices = [record.parameter("serialNumber"), record.parameter("virtualMFADeviceName")];
    let named = record.parameter("userName") == "AWS ROOT USER"
        || devices.iter().any(|device| device.ends_with("root-account-mfa-device"))
        || record.arn_in_error().is_some_and(|arn| arn.ends_with(":root"));
    is_credential && (named || sets_password_of_root(case) || (by_root && record.parameter("userName").is_empty()))
}

/// A role has no password of its own: what it sets without naming a user is root's.
pub(in crate::detections) fn sets_password_of_root(case: &Case<'_>) -> bool {
    let sets = ["CreateLoginProfile", "UpdateLoginProfile"].contains(&case.record.action());
    sets && case.succeeded() && case.actor.kind == "AssumedRole" && other_owner(case).is_none()
}

/// Whose credential it is; `None` for the actor's own. A call that names nobody means the caller.
fn other_owner(case: &Case<'_>) -> Option<String> {
    let answer = case.record.response();
    let answered = ["accessKey", "loginProfile", "serviceSpecificCredential", "sSHPublicKey", "certificate"];
    let mut named = std::iter::once(case.record.parameter("userName"))
        .chain(answered.iter().map(|part| text(at(answer, &[part, "userName"]))));
    let name = named.find(|name| !name.is_empty()).map(str::to_owned).or_else(|| Some(Subject::of(case)?.name));
    match name {
        Some(name) => Some(name).filter(|name| !is_oneself(case, "user", name)),
        None if !case.succeeded() && case.record.request().is_null() => Some("(not named)".to_owned()),
        None => None,
    }
}

/// Something to sign in with is made: for oneself a habit, for another a way in that is not the actor's.
fn issued(case: &Case<'_>, verb: &str, what: &str) -> Change {
    match other_owner(case) {
        None => own(case, deed(verb, format!("{what} of their own"))),
        Some(user) => Change::serious(
            Topic::Credential,
            Severity::High,
            deed(verb, format!("{what} for user {user}")),
            &format!("user {user}"),
        ),
    }
}

fn own(case: &Case<'_>, deed: Deed) -> Change {
    Change::routine(case, Severity::Informational, "own credentials").told(deed)
}

/// `a credential for bedrock.amazonaws.com`: what it opens is all that there is to say about it.
fn service_credential(case: &Case<'_>) -> String {
    match case.record.parameter("serviceName") {
        "" => "a service credential".to_owned(),
        service => format!("a credential for {service}"),
    }
}

/// A credential is switched on or off.
fn switched(case: &Case<'_>, what: &str) -> Change {
    let on = case.record.parameter("status").eq_ignore_ascii_case("active");
    match (on, other_owner(case)) {
        (true, Some(_)) => issued(case, "activate", what),
        (_, None) => own(case, deed(if on { "activate" } else { "deactivate" }, format!("{what} of their own"))),
        (false, Some(user)) => Change::routine(case, Severity::Low, "withdrawn credentials")
            .told(deed("deactivate", format!("{what} of user {user}"))),
    }
}

fn withdrawn(case: &Case<'_>, what: &str) -> Change {
    match other_owner(case) {
        None => own(case, deed("delete", format!("{what} of their own"))),
        Some(user) => Change::routine(case, Severity::Low, "withdrawn credentials")
            .told(deed("delete", format!("{what} of user {user}"))),
    }
}

fn second_factors(case: &Case<'_>) -> Option<Change> {
    Some(match case.record.action() {
        "DeactivateMFADevice" | "DeleteVirtualMFADevice" => without_second_factor(case),
        "EnableMFADevice" => with_second_factor(case),
        "CreateVirtualMFADevice" | "ResyncMFADevice" | "TagMFADevice" | "UntagMFADevice" => {
            Change::routine(case, Severity::Low, "second factors")
        }
        _ => return None,
    })
}

/// Deactivating and deleting a device are two calls and one deed: both are told of the device.
fn without_second_factor(case: &Case<'_>) -> Change {
    let device = last_part(case.record.parameter("serialNumber"));
    let user = case.record.parameter("userName");
    let whose = match user {
        "" => device.to_owned(),
        user => format!("{device} of user {user}"),
    };
    let verb = if case.record.action() == "DeactivateMFADevice" { "deactivate" } else { "delete" };
    let target = if device.is_empty() { user } else { device };
    let deed = deed(verb, format!("MFA device {whose}").trim_end());
    Change::serious(Topic::SecondFactor, Severity::High, deed, &format!("mfa {target}"))
}

fn with_second_factor(case: &Case<'_>) -> Change {
    match other_owner(case) {
        None => own(case, deed("register", "an MFA device of their own")),
        Some(user) => Change::routine(case, Severity::Medium, "second factors")
            .told(deed("register", format!("an MFA device for user {user}"))),
    }
}

fn password_policies(case: &Case<'_>) -> Option<Change> {
    const TARGET: &str = "password policy";
    let weakened = |deed| Change::serious(Topic::Guardrail, Severity::High, deed, TARGET);
    Some(match case.record.action() {
        "DeleteAccountPasswordPolicy" => weakened(deed("delete", "the account's password policy")),
        // What is not asked for falls back to its default: six characters.
        "UpdateAccountPasswordPolicy" => match minimum_length(case) {
            length if length < 8 => {
                weakened(deed("lower", format!("the account's password policy to {length} characters")))
            }
            length => Change::routine(case, Severity::Medium, TARGET)
                .told(deed("set", format!("the account's password policy to {length} characters"))),
        },
        _ => return None,
    })
}

fn minimum_length(case: &Case<'_>) -> i64 {
    number(field(case.record.request(), "minimumPasswordLength")).unwrap_or(6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::iam::tests::{iam, session, told, with};
    use serde_json::{Value, json};

    fn grade(record: &Value) -> (&'static str, Severity) {
        told(record).map(|told| (told.id, told.severity)).expect("told")
    }

    const OWN: (&str, Severity) = ("iam-changed", Severity::Informational);
    const ANOTHERS: (&str, Severity) = ("iam-credential-issued", Severity::High);

    #[test]
    fn a_credential_for_oneself_is_quiet_and_for_another_high() {
        for action in ["CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile", "UploadSSHPublicKey"] {
            assert_eq!(grade(&iam(action, json!({"userName": "alice"}))), OWN, "{action}");
            assert_eq!(grade(&iam(action, Value::Null)), OWN, "{action}");
            assert_eq!(grade(&iam(action, json!({"userName": "bob"}))), ANOTHERS, "{action}");
        }
        let told = told(&iam("CreateAccessKey", json!({"userName": "bob"}))).expect("told");
        assert_eq!(told.sentence, "alice created an access key for user bob");
    }

    #[test]
    fn the_answer_says_whose_key_it_is_where_the_request_does_not() {
        let answer = json!({"responseElements": {"accessKey": {"userName": "bob", "accessKeyId": "AKIAEXAMPLE"}}});
        let created = with(iam("CreateAccessKey", Value::Null), answer);
        assert_eq!(grade(&created), ANOTHERS);
        assert_eq!(told(&created).map(|told| told.resources), Some(vec!["AKIAEXAMPLE".to_owned()]));
    }

    #[test]
    fn a_password_that_a_role_sets_for_nobody_is_roots() {
        let by_role = |request: Value| grade(&with(iam("CreateLoginProfile", request), session("ops", "")));
        let roots = ("root-credentials-changed", Severity::Critical);
        assert_eq!(by_role(json!({"passwordResetRequired": false})), roots);
        assert_eq!(by_role(json!({"userName": "bob"})), ANOTHERS);
        assert_eq!(grade(&iam("CreateLoginProfile", json!({}))), OWN);
    }

    #[test]
    fn a_role_has_no_credentials_of_its_own() {
        let by_role = with(iam("CreateAccessKey", json!({"userName": "alice"})), session("ops", ""));
        assert_eq!(grade(&by_role), ANOTHERS);
    }

    #[test]
    fn a_key_to_bedrock_says_so() {
        let request = json!({"userName": "BedrockAPIKey-ab12", "serviceName": "bedrock.amazonaws.com"});
        let told = told(&iam("CreateServiceSpecificCredential", request)).expect("told");
        let sentence = "alice created a credential for bedrock.amazonaws.com for user BedrockAPIKey-ab12";
        assert_eq!(told.brief(), ("iam-credential-issued", Severity::High, sentence));
    }

    #[test]
    fn switching_on_is_giving_and_switching_off_is_taking() {
        let switched = |status: &str| {
            grade(&iam("UpdateAccessKey", json!({"userName": "bob", "accessKeyId": "AKIAEXAMPLE", "status": status})))
        };
        assert_eq!(switched("Active"), ANOTHERS);
        assert_eq!(switched("Inactive"), ("iam-changed", Severity::Low));
        assert_eq!(grade(&iam("DeleteAccessKey", json!({"userName": "bob"}))), ("iam-changed", Severity::Low));
    }

    #[test]
    fn a_second_factor_that_goes_is_high_once() {
        let device = "arn:aws:iam::111122223333:mfa/bob";
        let off = told(&iam("DeactivateMFADevice", json!({"userName": "bob", "serialNumber": device}))).expect("told");
        let gone = told(&iam("DeleteVirtualMFADevice", json!({"serialNumber": device}))).expect("told");
        assert_eq!(off.brief(), ("iam-mfa-removed", Severity::High, "alice deactivated MFA device bob of user bob"));
        assert_eq!((gone.id, gone.severity, &gone.key), (off.id, off.severity, &off.key));
        assert_eq!(grade(&iam("EnableMFADevice", json!({"userName": "alice"}))), OWN);
        assert_eq!(grade(&iam("EnableMFADevice", json!({"userName": "bob"}))), ("iam-changed", Severity::Medium));
    }

    #[test]
    fn a_weaker_password_policy_is_high() {
        assert_eq!(grade(&iam("DeleteAccountPasswordPolicy", Value::Null)), ("iam-guardrail-removed", Severity::High));
        let length =
            |length: Value| grade(&iam("UpdateAccountPasswordPolicy", json!({"minimumPasswordLength": length})));
        assert_eq!(length(json!("6")), ("iam-guardrail-removed", Severity::High));
        assert_eq!(length(Value::Null), ("iam-guardrail-removed", Severity::High));
        assert_eq!(length(json!(14)), ("iam-changed", Severity::Medium));
    }

    #[test]
    fn the_root_users_own_credentials_are_root_usage() {
        let root = json!({"userIdentity": {"type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"}});
        let id = |record: &Value| told(record).map(|told| told.id);
        let of_root = Some("root-credentials-changed");
        for action in ["CreateAccessKey", "CreateLoginProfile", "DeactivateMFADevice", "ChangePassword"] {
            assert_eq!(id(&with(iam(action, Value::Null), root.clone())), of_root, "{action}");
        }
        let for_bob = with(iam("CreateAccessKey", json!({"userName": "bob"})), root.clone());
        assert_eq!(id(&for_bob), Some("iam-credential-issued"));
        assert_eq!(id(&with(iam("CreateVirtualMFADevice", Value::Null), root)), Some("iam-changed"));
        let device = json!({"serialNumber": "arn:aws:iam::111122223333:mfa/root-account-mfa-device"});
        assert_eq!(id(&iam("DeactivateMFADevice", device)), of_root);
        let message = "not authorized to perform: iam:CreateLoginProfile on resource: arn:aws:iam::111122223333:root";
        let refused = json!({"errorCode": "AccessDenied", "errorMessage": message});
        assert_eq!(id(&with(iam("CreateLoginProfile", Value::Null), refused)), of_root);
    }
}
