//! The rest of IAM: settings of the account, delegation, and what is routine.

use crate::detection::{Case, Severity};

use super::change::{Change, Topic};
use super::wording::{deed, plain};

/// Judges every call of IAM that the other files leave. `None`: it changes nothing.
pub(super) fn judge(case: &Case<'_>) -> Option<Change> {
    settings(case).or_else(|| delegation(case)).or_else(|| routine(case))
}

fn settings(case: &Case<'_>) -> Option<Change> {
    const SETTINGS: [&str; 10] = [
        "CreateAccountAlias",
        "DeleteAccountAlias",
        "SetSecurityTokenServicePreferences",
        "PutAccountProperties",
        "EnableOrganizationsRootCredentialsManagement",
        "DisableOrganizationsRootCredentialsManagement",
        "EnableOrganizationsRootSessions",
        "DisableOrganizationsRootSessions",
        "EnableOutboundWebIdentityFederation",
        "DisableOutboundWebIdentityFederation",
    ];
    let is_setting = SETTINGS.contains(&case.record.action());
    is_setting.then(|| Change::serious(Topic::Setting, Severity::High, plain(case), case.record.action()))
}

/// Temporary access for a partner of AWS. Rejecting a request gives nothing.
fn delegation(case: &Case<'_>) -> Option<Change> {
    let request = case.record.parameter("delegationRequestId");
    match case.record.action() {
        "RejectDelegationRequest" => Some(Change::routine(case, Severity::Low, "delegation requests")),
        "CreateDelegationRequest"
        | "AssociateDelegationRequest"
        | "AcceptDelegationRequest"
        | "UpdateDelegationRequest"
        | "SendDelegationToken" => {
            Some(Change::serious(Topic::Delegation, Severity::High, plain(case), &format!("delegation {request}")))
        }
        _ => None,
    }
}

fn routine(case: &Case<'_>) -> Option<Change> {
    let (severity, kind) = match case.record.action() {
        "GenerateCredentialReport" | "GenerateServiceLastAccessedDetails" | "GenerateOrganizationsAccessReport" => {
            return None;
        }
        "CreateUser" | "DeleteUser" | "UpdateUser" | "TagUser" | "UntagUser" => (Severity::Medium, "users"),
        "CreateGroup" | "UpdateGroup" | "DeleteGroup" => (Severity::Medium, "groups"),
        "RemoveUserFromGroup" => return Some(left_group(case)),
        "AddRoleToInstanceProfile" => return Some(profiled(case)),
        "DeleteRole"
        | "UpdateRole"
        | "UpdateRoleDescription"
        | "TagRole"
        | "UntagRole"
        | "CreateServiceLinkedRole"
        | "DeleteServiceLinkedRole" => (Severity::Low, "roles"),
        "CreateInstanceProfile"
        | "DeleteInstanceProfile"
        | "RemoveRoleFromInstanceProfile"
        | "TagInstanceProfile"
        | "UntagInstanceProfile" => (Severity::Low, "instance profiles"),
        "UploadServerCertificate"
        | "UpdateServerCertificate"
        | "DeleteServerCertificate"
        | "TagServerCertificate"
        | "UntagServerCertificate" => (Severity::Low, "certificates"),
        // A call that is newer than this table.
        _ => (Severity::Medium, "calls not known yet"),
    };
    Some(Change::routine(case, severity, kind))
}

fn left_group(case: &Case<'_>) -> Change {
    let (user, group) = (case.record.parameter("userName"), case.record.parameter("groupName"));
    let change = Change::routine(case, Severity::Medium, "groups");
    if user.is_empty() { change } else { change.told(deed("remove", format!("user {user} from group {group}"))) }
}

fn profiled(case: &Case<'_>) -> Change {
    let (role, profile) = (case.record.parameter("roleName"), case.record.parameter("instanceProfileName"));
    let told = deed("add", format!("role {role} to instance profile {profile}"));
    Change::routine(case, Severity::Medium, "instance profiles").told(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::iam::tests::{iam, told};
    use serde_json::json;

    fn grade(action: &str) -> (&'static str, Severity) {
        told(&iam(action, json!({"userName": "bob"}))).map(|told| (told.id, told.severity)).expect("told")
    }

    #[test]
    fn settings_of_the_account_are_high() {
        for action in ["CreateAccountAlias", "EnableOutboundWebIdentityFederation", "PutAccountProperties"] {
            assert_eq!(grade(action), ("iam-account-setting-changed", Severity::High), "{action}");
        }
    }

    #[test]
    fn delegation_is_high_and_its_rejection_low() {
        assert_eq!(grade("AcceptDelegationRequest"), ("iam-access-delegated", Severity::High));
        assert_eq!(grade("SendDelegationToken"), ("iam-access-delegated", Severity::High));
        assert_eq!(grade("RejectDelegationRequest"), ("iam-changed", Severity::Low));
    }

    #[test]
    fn the_rest_is_for_review() {
        assert_eq!(grade("CreateUser"), ("iam-changed", Severity::Medium));
        assert_eq!(grade("CreateServiceLinkedRole"), ("iam-changed", Severity::Low));
        assert_eq!(grade("UploadServerCertificate"), ("iam-changed", Severity::Low));
        assert_eq!(grade("SomeCallOfTheFuture"), ("iam-changed", Severity::Medium));
        let created = told(&iam("CreateUser", json!({"userName": "bob"}))).expect("told");
        assert_eq!(created.sentence, "alice created user bob");
        let removed = told(&iam("RemoveUserFromGroup", json!({"userName": "bob", "groupName": "devs"}))).expect("told");
        assert_eq!(removed.sentence, "alice removed user bob from group devs");
    }
}
