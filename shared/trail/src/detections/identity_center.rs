//! Changes of Identity Center: who may sign in, by which provider, to which accounts, as what.

use crate::detection::{Case, Category, Detection, Severity, Want};
use crate::policy::Policy;
use crate::policy::power::Power;
use crate::shape::field;

use super::iam::about;
use super::iam::change::{Change, Topic};
use super::iam::grants::{given, managed_power, sounds_like_administration};
use super::iam::wording::{deed, last_part, plain};

pub(super) const ALL: &[&Detection] =
    &[&RIGHTS_GRANTED, &IDENTITY_SOURCE_CHANGED, &CREDENTIAL_ISSUED, &GUARDRAIL_REMOVED, &CHANGED];

pub(super) const SSO: &str = "sso.amazonaws.com";
pub(super) const DIRECTORY: &str = "sso-directory.amazonaws.com";
pub(super) const IDENTITY_STORE: &str = "identitystore.amazonaws.com";

const CHANGES: &[Want] = &[Want::Changes(SSO), Want::Changes(DIRECTORY), Want::Changes(IDENTITY_STORE)];

/// Rights of an administrator, or a way to them, in all accounts that a permission set reaches.
static RIGHTS_GRANTED: Detection = Detection {
    id: "identity-center-rights-granted",
    title: "Administrator rights, or a way to them, granted through Identity Center",
    category: Category::IamChange,
    severity: Severity::High,
    techniques: &["T1098.003"],
    wants: CHANGES,
    check: |case| about(case, Topic::Grant),
    why: "A permission set is a role in every account that it is assigned in.",
    runbook: &[
        "Ask the actor, not by chat: which change request was this for?",
        "Look who holds it where: aws sso-admin list-accounts-for-provisioned-permission-set, list-account-assignments",
        "Not expected: take it back, provision again, and end the sessions of whoever held it",
    ],
    ..Detection::BASE
};

/// Another directory or identity provider decides who may sign in.
static IDENTITY_SOURCE_CHANGED: Detection = Detection {
    id: "identity-center-identity-source-changed",
    title: "Identity source of Identity Center changed",
    techniques: &["T1556", "T1484.002"],
    check: |case| about(case, Topic::Federation),
    why: "Whoever controls the identity source can sign in as anybody, to every account.",
    runbook: &[
        "Call the owner of single sign-on, not by chat: is the identity provider being changed now?",
        "Look who signed in since, and from where",
        "Not expected: switch back, revoke all sessions, use the emergency access that does not go through Identity Center",
    ],
    ..RIGHTS_GRANTED
};

/// A way to sign in as another user, or to write users.
static CREDENTIAL_ISSUED: Detection = Detection {
    id: "identity-center-credential-issued",
    title: "Password, token or device set for another user of Identity Center",
    techniques: &["T1098", "T1556.006"],
    check: |case| about(case, Topic::Credential),
    why: "Who sets another user's password or second factor can sign in as that user.",
    runbook: &[
        "Ask the user, not by chat: did they ask for it?",
        "Look whether and from where the user signed in since",
        "Not expected: disable the user, end the sessions, look at the actor",
    ],
    ..RIGHTS_GRANTED
};

/// A boundary is gone, the demand for a second factor relaxed, the instance deleted.
static GUARDRAIL_REMOVED: Detection = Detection {
    id: "identity-center-guardrail-removed",
    title: "Guardrail of Identity Center removed",
    techniques: &["T1556.006", "T1531"],
    check: |case| about(case, Topic::Guardrail),
    why: "It holds for every user and every account that signs in here.",
    runbook: &[
        "Look what holds now in the settings of Identity Center",
        "Ask the actor which change request this was for",
        "Not expected: set it back, then look who signed in since",
    ],
    ..RIGHTS_GRANTED
};

/// Every other change.
static CHANGED: Detection = Detection {
    id: "identity-center-changed",
    title: "Identity Center changed",
    severity: Severity::Medium,
    techniques: &["T1098"],
    check: |case| about(case, Topic::Routine),
    why: "Every change of who may sign in to what is to be seen by a second pair of eyes.",
    runbook: &[
        "Compare with the change request, or with what the directory sent",
        "Not expected: look at the actor's other calls: qtrail search --user ACTOR",
    ],
    ..RIGHTS_GRANTED
};

/// Judges a change of Identity Center. `None`: it changes nothing.
pub(super) fn judge(case: &Case<'_>) -> Option<Change> {
    if is_use(case) {
        return None;
    }
    let special = permissions(case).or_else(|| sources(case)).or_else(|| credentials(case)).or_else(|| limits(case));
    Some(special.unwrap_or_else(|| routine(case)))
}

/// Signing in and using what one has is recorded among the changes, and so is what the access portal reads for whoever
/// signs in: `ListAccounts`, `GetRoleCredentials`. No change of these services begins with such a verb.
fn is_use(case: &Case<'_>) -> bool {
    const READS: [&str; 4] = ["Get", "List", "Describe", "Search"];
    const USES: [&str; 10] = [
        "Authenticate",
        "Federate",
        "CreateToken",
        "CreateTokenWithIAM",
        "RegisterClient",
        "StartDeviceAuthorization",
        "Logout",
        "VerifyEmail",
        "IsMemberInGroups",
        "BatchGetSession",
    ];
    let action = case.record.action();
    USES.contains(&action) || READS.iter().any(|verb| action.starts_with(verb))
}

fn permissions(case: &Case<'_>) -> Option<Change> {
    let set = permission_set(case);
    Some(match case.record.action() {
        "AttachManagedPolicyToPermissionSet" => {
            let policy = case.record.parameter("managedPolicyArn");
            managed(case, policy, managed_power(policy))
        }
        "AttachCustomerManagedPolicyReferenceToPermissionSet" => {
            let reference = field(case.record.request(), "customerManagedPolicyReference");
            let policy = crate::shape::text(field(reference, "name"));
            managed(case, policy, managed_power(policy))
        }
        "PutInlinePolicyToPermissionSet" => inline(case),
        "CreateAccountAssignment" | "AssociateProfile" => assigned(case, &set),
        _ => return None,
    })
}

fn permission_set(case: &Case<'_>) -> String {
    format!("permission set {}", last_part(case.record.parameter("permissionSetArn")))
}

fn managed(case: &Case<'_>, policy: &str, power: Power) -> Change {
    let set = permission_set(case);
    let deed = deed("attach", format!("{} to {set}", last_part(policy)));
    match power {
        Power::Administrator | Power::Escalating => Change::serious(Topic::Grant, Severity::High, deed, &set),
        Power::Wide => Change::routine(case, Severity::Medium, "permission sets").told(deed),
        Power::Limited | Power::Nothing => Change::routine(case, Severity::Low, "permission sets").told(deed),
    }
}

fn inline(case: &Case<'_>) -> Change {
    let set = permission_set(case);
    let told = deed("put", format!("inline policy on {set}"));
    let document = field(case.record.request(), "inlinePolicy");
    match Policy::read(document) {
        Some(policy) => given(&policy.gift(), told.clone(), &set)
            .unwrap_or_else(|| Change::routine(case, Severity::Medium, "permission sets").told(told)),
        None if document.is_null() => Change::routine(case, Severity::Medium, "permission sets").told(told),
        None => Change::serious(Topic::Hidden, Severity::High, told, &set).hidden(),
    }
}

/// Somebody may enter an account. What the permission set holds is not in the record, but whose account it is may be.
fn assigned(case: &Case<'_>, set: &str) -> Change {
    let parameter = |name| case.record.parameter(name);
    let account = parameter("targetId");
    let who = format!("{} {}", parameter("principalType").to_ascii_lowercase(), parameter("principalId"));
    let deed = deed("assign", format!("{set} in account {account} to {who}"));
    if !account.is_empty() && account == case.settings.own.account {
        return Change::serious(Topic::Grant, Severity::High, deed, &format!("{account} {who}"))
            .because("The account is the one that holds the log files and this system.");
    }
    Change::routine(case, Severity::Medium, "assignments").told(deed)
}

fn sources(case: &Case<'_>) -> Option<Change> {
    let change = |severity| Change::serious(Topic::Federation, severity, plain(case), "identity source");
    Some(match case.record.action() {
        "AssociateDirectory"
        | "DisassociateDirectory"
        | "EnableExternalIdPConfigurationForDirectory"
        | "DisableExternalIdPConfigurationForDirectory" => change(Severity::Critical).firm().attempt(Severity::High),
        action if action.contains("ExternalIdP") => change(Severity::High),
        "CreateTrustedTokenIssuer" | "UpdateTrustedTokenIssuer" | "StartSSO" | "CreateInstance" => {
            change(Severity::High)
        }
        _ => return None,
    })
}

/// Tokens that write users, and passwords and devices of others. People set their own in the access portal.
fn credentials(case: &Case<'_>) -> Option<Change> {
    Some(match case.record.action() {
        "UpdatePassword" | "ResetPassword" => set(case, "set", "password"),
        "DeleteMfaDeviceForUser" => set(case, "delete", "MFA device"),
        "StartVirtualMfaDeviceRegistration" | "StartWebAuthnDeviceRegistration" => {
            Change::routine(case, Severity::Informational, "MFA devices")
        }
        "CompleteVirtualMfaDeviceRegistration" | "CompleteWebAuthnDeviceRegistration" | "UpdateMfaDeviceForUser" => {
            let severity = if is_user(case) { Severity::Informational } else { Severity::Medium };
            Change::routine(case, severity, "MFA devices")
        }
        "CreateBearerToken" | "CreateProvisioningTenant" => {
            Change::serious(Topic::Credential, Severity::High, plain(case), "provisioning").because(
                "Whoever holds this token writes users and groups, and so decides who may enter which account.",
            )
        }
        _ => return None,
    })
}

/// Whether the actor is a user of the directory, who can only be about themselves here.
fn is_user(case: &Case<'_>) -> bool {
    matches!(case.actor.kind.as_str(), "Unknown" | "IdentityCenterUser" | "Directory")
}

fn set(case: &Case<'_>, verb: &str, what: &str) -> Change {
    if is_user(case) {
        let own = deed(verb, format!("their own {what}"));
        return Change::routine(case, Severity::Informational, "own credentials").told(own);
    }
    let user = case.record.parameter("userId");
    Change::serious(Topic::Credential, Severity::High, deed(verb, format!("{what} of user {user}")), user)
}

fn limits(case: &Case<'_>) -> Option<Change> {
    let change = |severity, target: &str| Change::serious(Topic::Guardrail, severity, plain(case), target);
    Some(match case.record.action() {
        "DeletePermissionsBoundaryFromPermissionSet" => change(Severity::High, &permission_set(case)),
        "UpdateSsoConfiguration" => change(Severity::High, "sign-in settings"),
        action if action.contains("MfaDeviceManagement") => change(Severity::High, "sign-in settings"),
        "DeleteInstance" | "DeleteSSO" => change(Severity::Critical, "instance").firm().attempt(Severity::High),
        "UpdateInstanceAccessControlAttributeConfiguration" | "DeleteInstanceAccessControlAttributeConfiguration" => {
            Change::routine(case, Severity::Medium, "attributes")
        }
        _ => return None,
    })
}

/// Directories send users all day; what is taken away gives nobody anything.
fn routine(case: &Case<'_>) -> Change {
    let severity = match case.record.action() {
        "CreateGroup" | "UpdateGroup" if sounds_like_administration(group(case)) => Severity::Medium,
        "CreateUser"
        | "UpdateUser"
        | "CreateGroup"
        | "UpdateGroup"
        | "TagResource"
        | "UntagResource"
        | "ProvisionPermissionSet" => Severity::Low,
        action if ["Delete", "Detach", "Remove", "Disassociate"].iter().any(|verb| action.starts_with(verb)) => {
            Severity::Low
        }
        _ => Severity::Medium,
    };
    Change::routine(case, severity, kind(case))
}

fn group<'c>(case: &'c Case<'_>) -> &'c str {
    ["displayName", "groupName"]
        .iter()
        .map(|key| case.record.parameter(key))
        .find(|n| !n.is_empty())
        .unwrap_or_default()
}

fn kind(case: &Case<'_>) -> &'static str {
    const KINDS: [(&str, &str); 6] = [
        ("Membership", "memberships"),
        ("Member", "memberships"),
        ("User", "users"),
        ("Group", "groups"),
        ("PermissionSet", "permission sets"),
        ("Assignment", "assignments"),
    ];
    let action = case.record.action();
    KINDS.iter().find(|(word, _)| action.contains(word)).map_or("applications and settings", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::iam::tests::{Told, call, told, told_with, with};
    use crate::settings::Settings;
    use serde_json::{Value, json};

    const SET: &str = "arn:aws:sso:::permissionSet/ssoins-1/ps-1";

    fn changed(source: &str, action: &str, request: Value) -> Told {
        told(&call(source, action, request)).expect("told")
    }

    #[test]
    fn what_the_access_portal_reads_for_its_users_changes_nothing() {
        let user = json!({"type": "Unknown", "accountId": "111122223333", "userName": "bob"});
        for (source, action) in [(SSO, "ListAccounts"), (SSO, "GetRoleCredentials"), (DIRECTORY, "DescribeUsers")] {
            let read = json!({"userIdentity": user, "readOnly": false, "eventType": "AwsServiceEvent"});
            assert!(told(&with(call(source, action, json!(null)), read)).is_none(), "{action}");
        }
        assert!(told(&call(SSO, "PutPermissionsBoundaryToPermissionSet", json!({}))).is_some());
    }

    #[test]
    fn administration_in_a_permission_set_is_high() {
        let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
        let request = json!({"permissionSetArn": SET, "managedPolicyArn": policy});
        let attached = changed(SSO, "AttachManagedPolicyToPermissionSet", request);
        let sentence = "alice attached AdministratorAccess to permission set ps-1";
        assert_eq!(attached.brief(), ("identity-center-rights-granted", Severity::High, sentence));
        let everything = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        let inline = json!({"permissionSetArn": SET, "inlinePolicy": everything});
        assert_eq!(changed(SSO, "PutInlinePolicyToPermissionSet", inline).severity, Severity::Critical);
        let harmless = json!({"permissionSetArn": SET, "managedPolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"});
        assert_eq!(changed(SSO, "AttachManagedPolicyToPermissionSet", harmless).severity, Severity::Low);
    }

    #[test]
    fn an_assignment_is_for_review_unless_it_is_in_our_own_account() {
        let request =
            json!({"permissionSetArn": SET, "targetId": "999988887777", "principalType": "USER", "principalId": "u-1"});
        let assign = call(SSO, "CreateAccountAssignment", request);
        let sentence = "alice assigned permission set ps-1 in account 999988887777 to user u-1";
        assert_eq!(told(&assign).expect("told").brief(), ("identity-center-changed", Severity::Medium, sentence));
        let mut settings = Settings::default();
        "999988887777".clone_into(&mut settings.own.account);
        assert_eq!(told_with(settings, &assign).map(|told| told.severity), Some(Severity::High));
    }

    #[test]
    fn another_identity_source_is_critical_wherever_it_is_recorded() {
        for source in [SSO, DIRECTORY] {
            for action in ["AssociateDirectory", "DisableExternalIdPConfigurationForDirectory"] {
                let told = changed(source, action, json!({}));
                assert_eq!((told.id, told.severity), ("identity-center-identity-source-changed", Severity::Critical));
            }
        }
        assert_eq!(changed(SSO, "CreateTrustedTokenIssuer", json!({"name": "x"})).severity, Severity::High);
    }

    #[test]
    fn a_password_for_another_is_high_and_ones_own_quiet() {
        let set = call(DIRECTORY, "UpdatePassword", json!({"userId": "u-1"}));
        assert_eq!(told(&set).map(|told| told.severity), Some(Severity::High));
        let own =
            with(set, json!({"userIdentity": {"type": "Unknown", "accountId": "111122223333", "userName": "bob"}}));
        assert_eq!(told(&own).map(|told| told.severity), Some(Severity::Informational));
    }

    #[test]
    fn users_that_a_directory_sends_are_one_quiet_finding() {
        let first = changed(DIRECTORY, "CreateUser", json!({"userName": "a"}));
        let second = changed(DIRECTORY, "UpdateUser", json!({"userName": "b"}));
        assert_eq!((first.severity, first.key), (Severity::Low, second.key));
        assert_eq!(
            changed(IDENTITY_STORE, "CreateGroupMembership", json!({"groupId": "g"})).severity,
            Severity::Medium
        );
    }

    #[test]
    fn relaxed_sign_in_settings_and_lost_boundaries_are_high() {
        let action = "DeletePermissionsBoundaryFromPermissionSet";
        assert_eq!(changed(SSO, action, json!({"permissionSetArn": SET})).severity, Severity::High);
        let relaxed = changed(SSO, "UpdateMfaDeviceManagementForDirectory", json!({}));
        assert_eq!((relaxed.id, relaxed.severity), ("identity-center-guardrail-removed", Severity::High));
    }
}
