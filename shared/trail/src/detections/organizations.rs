//! Changes of the organization: who belongs to it, what its policies allow, who may act for it.

use crate::detection::{Case, Category, Detection, Severity, Want};
use crate::shape::{at, text};

use super::iam::about;
use super::iam::change::{Change, Topic};
use super::iam::neighbours::{ACCOUNT, closed};
use super::iam::wording::{deed, plain};

pub(super) const ALL: &[&Detection] = &[&MEMBER_LEFT, &POLICY_WEAKENED, &RIGHTS_DELEGATED, &CHANGED];

pub(super) const ORGANIZATIONS: &str = "organizations.amazonaws.com";

/// An account leaves the organization, is moved out of reach, or closed.
static MEMBER_LEFT: Detection = Detection {
    id: "organization-account-left",
    title: "Account out of the organization's reach",
    category: Category::IamChange,
    severity: Severity::High,
    techniques: &["T1562.001", "T1531"],
    controls: &["CIS 7.0 5.15", "CIS 3.0 4.15"],
    wants: &[Want::Changes(ORGANIZATIONS), Want::Calls(ACCOUNT, &["CloseAccount"])],
    check: |case| about(case, Topic::Membership),
    why: "Outside the organization its policies do not hold, and its trail records nothing.",
    runbook: &[
        "Call the owner of the organization, not by chat: is this account meant to go?",
        "Look at what the actor did in the account since: qtrail search --user ACTOR",
        "Not expected: invite the account back, or put it back in its place; a closed account can be reopened for 90 days",
    ],
    ..Detection::BASE
};

/// A policy of the organization is detached, rewritten, deleted, or its kind switched off.
static POLICY_WEAKENED: Detection = Detection {
    id: "organization-policy-weakened",
    title: "Organization policy rewritten or taken away",
    techniques: &["T1562.001"],
    wants: &[Want::Changes(ORGANIZATIONS)],
    check: |case| about(case, Topic::Guardrail),
    why: "These policies limit whole accounts, their root users included. What they forbade may be allowed now.",
    runbook: &[
        "Read what holds now: aws organizations describe-policy, list-policies-for-target",
        "Ask the actor which change request this was for",
        "Not expected: restore the policy first, then look at what was done under its absence",
    ],
    ..MEMBER_LEFT
};

/// An account, a service or another organization may act for this one.
static RIGHTS_DELEGATED: Detection = Detection {
    id: "organization-rights-delegated",
    title: "Rights over the organization given away or taken back",
    techniques: &["T1098.003", "T1199"],
    wants: &[Want::Changes(ORGANIZATIONS)],
    check: |case| about(case, Topic::Delegation),
    why: "A delegated administrator or a trusted service acts in every account.",
    runbook: &[
        "Ask the owner of the organization which change request this was for",
        "Look what holds now: aws organizations list-delegated-administrators",
        "Not expected: take it back, then look at what the other side did since",
    ],
    ..MEMBER_LEFT
};

/// Every other change.
static CHANGED: Detection = Detection {
    id: "organization-changed",
    title: "Organization changed",
    severity: Severity::Medium,
    techniques: &["T1098"],
    wants: &[Want::Changes(ORGANIZATIONS)],
    check: |case| about(case, Topic::Routine),
    why: "Every change of the organization reaches many accounts.",
    runbook: &[
        "Compare with the change request",
        "Not expected: look at the actor's other calls: qtrail search --user ACTOR",
    ],
    ..MEMBER_LEFT
};

/// Judges a change of the organization.
pub(super) fn judge(case: &Case<'_>) -> Change {
    membership(case).or_else(|| policy(case)).or_else(|| delegation(case)).unwrap_or_else(|| routine(case))
}

fn membership(case: &Case<'_>) -> Option<Change> {
    let account = case.record.parameter("accountId");
    let named = format!("account {account}");
    let change = |severity, deed| Change::serious(Topic::Membership, severity, deed, &named);
    Some(match case.record.action() {
        // Leaving ends what the organization's trail records: an attempt is as bad.
        "LeaveOrganization" => left(case),
        "DeleteOrganization" => {
            change(Severity::Critical, deed("delete", "the organization")).firm().attempt(Severity::High)
        }
        "CloseAccount" => closed(case),
        "RemoveAccountFromOrganization" => {
            change(Severity::High, deed("remove", format!("{} from the organization", known("account", account))))
        }
        "MoveAccount" => change(Severity::High, deed("move", moved(case))),
        "AccountDepartedOrganization" => departed(case),
        _ => return None,
    })
}

fn left(case: &Case<'_>) -> Change {
    let deed = deed("leave", format!("the organization with account {}", case.account));
    let change = Change::serious(Topic::Membership, Severity::Critical, deed, &format!("account {}", case.account));
    change.firm().attempt(Severity::Critical)
}

/// The organization's own note that an account is gone, by whatever way.
fn departed(case: &Case<'_>) -> Change {
    let account = text(at(case.record.body(), &["serviceEventDetails", "accountId"]));
    let deed = deed("record", format!("that account {account} left the organization"));
    Change::serious(Topic::Membership, Severity::High, deed, &format!("account {account}")).firm()
}

fn moved(case: &Case<'_>) -> String {
    let parameter = |name| case.record.parameter(name);
    let account = known("account", parameter("accountId"));
    match (parameter("sourceParentId"), parameter("destinationParentId")) {
        (_, "") => format!("{account} to another place in the organization"),
        (from, to) => format!("{account} from {from} to {to}"),
    }
}

/// `account 999988887777`; a refused call mostly does not say which.
fn known(kind: &str, name: &str) -> String {
    let article = if kind.starts_with(['a', 'o']) { "an" } else { "a" };
    if name.is_empty() { format!("{article} {kind}") } else { format!("{kind} {name}") }
}

fn policy(case: &Case<'_>) -> Option<Change> {
    let (policy, target) = (case.record.parameter("policyId"), case.record.parameter("targetId"));
    let named = known("organization policy", policy);
    let deed = match case.record.action() {
        "DetachPolicy" if target.is_empty() => deed("detach", named),
        "DetachPolicy" => deed("detach", format!("{named} from {target}")),
        "DeletePolicy" => deed("delete", named),
        "UpdatePolicy" => deed("rewrite", named),
        "DisablePolicyType" if kind(case).is_empty() => deed("disable", "a whole type of organization policies"),
        "DisablePolicyType" => deed("disable", format!("every {}", kind(case).to_ascii_lowercase().replace('_', " "))),
        _ => return None,
    };
    if limits_nobody(kind(case)) {
        return Some(Change::routine(case, Severity::Medium, "organization policies").told(deed));
    }
    let target = if policy.is_empty() { "" } else { policy };
    Some(Change::serious(Topic::Guardrail, Severity::High, deed, target))
}

/// `SERVICE_CONTROL_POLICY`, where the record says.
fn kind<'c>(case: &'c Case<'_>) -> &'c str {
    match case.record.parameter("policyType") {
        "" => text(at(case.record.response(), &["policy", "policySummary", "type"])),
        kind => kind,
    }
}

/// Policies about tags, backups and the like say nothing about who may do what.
fn limits_nobody(kind: &str) -> bool {
    ["TAG_POLICY", "BACKUP_POLICY", "CHATBOT_POLICY", "AISERVICES_OPT_OUT_POLICY"].contains(&kind)
}

fn delegation(case: &Case<'_>) -> Option<Change> {
    let (account, service) = (case.record.parameter("accountId"), case.record.parameter("servicePrincipal"));
    let (whom, what) = (known("account", account), if service.is_empty() { "a service" } else { service });
    let deed = match case.record.action() {
        "RegisterDelegatedAdministrator" => deed("make", format!("{whom} administrator of {what}")),
        "DeregisterDelegatedAdministrator" => deed("dismiss", format!("{whom} as administrator of {what}")),
        "EnableAWSServiceAccess" => deed("let", format!("{what} into every account")),
        "DisableAWSServiceAccess" => deed("shut", format!("{what} out of every account")),
        "PutResourcePolicy" => deed("put", "the organization's delegation policy"),
        "DeleteResourcePolicy" => deed("delete", "the organization's delegation policy"),
        "InviteOrganizationToTransferResponsibility"
        | "TerminateResponsibilityTransfer"
        | "UpdateResponsibilityTransfer" => plain(case),
        _ => return None,
    };
    Some(Change::serious(Topic::Delegation, Severity::High, deed, &format!("{account} {service}")))
}

fn routine(case: &Case<'_>) -> Change {
    let (severity, kind) = match case.record.action() {
        "TagResource" | "UntagResource" => (Severity::Low, "tags"),
        "CreateAccountResult" | "AccountJoinedOrganization" => (Severity::Low, "accounts"),
        "CreateAccount" | "CreateGovCloudAccount" => (Severity::Medium, "accounts"),
        "AttachPolicy" | "CreatePolicy" | "EnablePolicyType" => (Severity::Medium, "organization policies"),
        "CreateOrganizationalUnit" | "UpdateOrganizationalUnit" | "DeleteOrganizationalUnit" => {
            (Severity::Medium, "units")
        }
        "DeclineHandshake" | "CancelHandshake" => (Severity::Low, "handshakes"),
        "AcceptHandshake" | "InviteAccountToOrganization" => (Severity::Medium, "handshakes"),
        _ => (Severity::Medium, "organization"),
    };
    Change::routine(case, severity, kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::iam::tests::{Told, call, refused, told, with};
    use crate::testing::record;
    use serde_json::{Value, json};

    fn organize(action: &str, request: Value) -> Told {
        told(&call(ORGANIZATIONS, action, request)).expect("told")
    }

    #[test]
    fn leaving_is_critical_and_so_is_every_attempt() {
        let left = told(&record(ORGANIZATIONS, "LeaveOrganization", json!({}))).expect("told");
        assert_eq!((left.id, left.severity), ("organization-account-left", Severity::Critical));
        let denied = told(&refused(ORGANIZATIONS, "LeaveOrganization")).expect("told");
        let sentence = "alice tried to leave the organization with account 111122223333 (denied)";
        assert_eq!(denied.brief(), ("organization-account-left", Severity::Critical, sentence));
        let failing = json!({"errorCode": "AWSOrganizationsNotInUseException"});
        let failed = told(&with(record(ORGANIZATIONS, "LeaveOrganization", json!({})), failing)).expect("told");
        assert_eq!(failed.severity, Severity::Critical);
    }

    #[test]
    fn policies_that_limit_accounts_are_high_when_they_go() {
        let detached = organize("DetachPolicy", json!({"policyId": "p-abc", "targetId": "ou-1"}));
        let sentence = "alice detached organization policy p-abc from ou-1";
        assert_eq!(detached.brief(), ("organization-policy-weakened", Severity::High, sentence));
        let off = organize("DisablePolicyType", json!({"rootId": "r-1", "policyType": "SERVICE_CONTROL_POLICY"}));
        assert_eq!(
            off.brief(),
            ("organization-policy-weakened", Severity::High, "alice disabled every service control policy")
        );
        let tags = organize("DisablePolicyType", json!({"rootId": "r-1", "policyType": "TAG_POLICY"}));
        assert_eq!((tags.id, tags.severity), ("organization-changed", Severity::Medium));
    }

    #[test]
    fn rights_over_the_organization_are_high() {
        let request = json!({"accountId": "999988887777", "servicePrincipal": "guardduty.amazonaws.com"});
        let registered = organize("RegisterDelegatedAdministrator", request);
        let sentence = "alice made account 999988887777 administrator of guardduty.amazonaws.com";
        assert_eq!(registered.brief(), ("organization-rights-delegated", Severity::High, sentence));
        assert_eq!(organize("PutResourcePolicy", json!({"content": "{}"})).severity, Severity::High);
    }

    #[test]
    fn a_call_whose_parameters_are_not_recorded_is_told_all_the_same() {
        let sentence = |action| organize(action, Value::Null).sentence;
        assert_eq!(sentence("RemoveAccountFromOrganization"), "alice removed an account from the organization");
        assert_eq!(sentence("MoveAccount"), "alice moved an account to another place in the organization");
        assert_eq!(sentence("DetachPolicy"), "alice detached an organization policy");
        assert_eq!(sentence("DisablePolicyType"), "alice disabled a whole type of organization policies");
        assert_eq!(sentence("EnableAWSServiceAccess"), "alice let a service into every account");
    }

    #[test]
    fn the_rest_is_for_review() {
        assert_eq!(organize("CreateAccount", json!({})).severity, Severity::Medium);
        assert_eq!(organize("TagResource", json!({})).severity, Severity::Low);
        let denied = told(&refused(ORGANIZATIONS, "CreatePolicy")).expect("told");
        assert_eq!((denied.id, denied.severity), ("iam-change-refused", Severity::Medium));
        assert_eq!(told(&record(ORGANIZATIONS, "DescribeOrganization", json!({"readOnly": true}))), None);
    }
}
