//! What else decides who may do what: certificates that stand for roles, the account itself, access analysis.

use crate::detection::{Case, Severity};
use crate::shape::{at, text};

use super::change::{Change, Topic};
use super::wording::{deed, plain};

pub(super) const ROLES_ANYWHERE: &str = "rolesanywhere.amazonaws.com";
pub(in crate::detections) const ACCOUNT: &str = "account.amazonaws.com";
pub(super) const ACCESS_ANALYZER: &str = "access-analyzer.amazonaws.com";

/// Judges a call of one of these services. `None`: it changes nothing.
pub(super) fn judge(case: &Case<'_>) -> Option<Change> {
    match &*case.record.source {
        ROLES_ANYWHERE => Some(roles_anywhere(case)),
        ACCOUNT => account(case),
        _ => access_analyzer(case),
    }
}

/// Whoever controls a trust anchor makes certificates, and each certificate is a role.
fn roles_anywhere(case: &Case<'_>) -> Change {
    let serious = |severity| Change::serious(Topic::Federation, severity, plain(case), "");
    match case.record.action() {
        "CreateTrustAnchor" | "UpdateTrustAnchor" => trust_anchor(case),
        "CreateProfile" | "UpdateProfile" | "EnableProfile" | "EnableTrustAnchor" | "PutAttributeMapping" => {
            serious(Severity::High)
        }
        "DeleteCrl" | "DisableCrl" | "DeleteAttributeMapping" => {
            serious(Severity::High).because("What was revoked or restricted there is let in again.")
        }
        "TagResource" | "UntagResource" | "PutNotificationSettings" | "ResetNotificationSettings" => {
            Change::routine(case, Severity::Low, "roles anywhere")
        }
        _ => Change::routine(case, Severity::Medium, "roles anywhere"),
    }
}

fn trust_anchor(case: &Case<'_>) -> Change {
    let source = text(at(case.record.request(), &["source", "sourceType"]));
    let change = Change::serious(Topic::Federation, Severity::High, plain(case), "");
    match source {
        "AWS_ACM_PCA" | "" => change,
        _ => change.because("The certificate authority is not one of AWS: whoever holds its key can make identities."),
    }
}

fn account(case: &Case<'_>) -> Option<Change> {
    Some(match case.record.action() {
        // Root's email address is root's, and regions are switched off to look away: both are watched elsewhere.
        "StartPrimaryEmailUpdate" | "AcceptPrimaryEmailUpdate" | "EnableRegion" | "DisableRegion" => return None,
        "CloseAccount" => closed(case),
        "DeleteAlternateContact" | "PutAlternateContact" => contact(case),
        "PutAccountName" => Change::routine(case, Severity::Low, "account"),
        _ => Change::routine(case, Severity::Medium, "account"),
    })
}

/// The call is made here or of Organizations.
pub(in crate::detections) fn closed(case: &Case<'_>) -> Change {
    let account = match case.record.parameter("accountId") {
        "" => case.account,
        other => other,
    };
    let deed = deed("close", format!("account {account}"));
    let change = Change::serious(Topic::Membership, Severity::Critical, deed, &format!("account {account}"));
    change.firm().attempt(Severity::High)
}

/// The security contact is whom AWS writes to when it finds a key in public.
fn contact(case: &Case<'_>) -> Change {
    let is_security = case.record.parameter("alternateContactType").eq_ignore_ascii_case("security");
    if is_security && case.record.action() == "DeleteAlternateContact" {
        return Change::serious(Topic::Setting, Severity::High, plain(case), "security contact")
            .because("AWS writes to this contact when it finds a key in public.");
    }
    Change::routine(case, Severity::Medium, "account")
}

/// Whoever silences or deletes an analyzer blinds others: that is watched with the security services.
fn access_analyzer(case: &Case<'_>) -> Option<Change> {
    const SILENCED: [&str; 5] =
        ["DeleteAnalyzer", "DeleteServiceLinkedAnalyzer", "CreateArchiveRule", "UpdateArchiveRule", "ApplyArchiveRule"];
    // Checks, previews and scans change nothing.
    const LOOKS: [&str; 5] = ["Check", "Validate", "Cancel", "Start", "CreateAccessPreview"];
    let action = case.record.action();
    let archived = action == "UpdateFindings" && case.record.parameter("status") == "ARCHIVED";
    if archived || SILENCED.contains(&action) || LOOKS.iter().any(|look| action.starts_with(look)) {
        return None;
    }
    Some(Change::routine(case, Severity::Low, "access analyzer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::iam::tests::{call, told, with};
    use serde_json::{Value, json};

    #[test]
    fn a_trust_anchor_makes_identities() {
        let source = json!({"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": "…"}});
        let anchor =
            told(&call(ROLES_ANYWHERE, "CreateTrustAnchor", json!({"name": "x", "source": source}))).expect("told");
        assert_eq!(anchor.brief(), ("iam-identity-provider-changed", Severity::High, "alice created trust anchor x"));
        assert!(anchor.why.contains("not one of AWS"));
        let quiet = told(&call(ROLES_ANYWHERE, "TagResource", json!({}))).expect("told");
        assert_eq!((quiet.id, quiet.severity), ("iam-changed", Severity::Low));
    }

    #[test]
    fn a_closed_account_is_critical_and_an_attempt_high() {
        let close = call(ACCOUNT, "CloseAccount", Value::Null);
        let closed = told(&close).expect("told");
        let sentence = "alice closed account 111122223333";
        assert_eq!(closed.brief(), ("organization-account-left", Severity::Critical, sentence));
        let denied = told(&with(close, json!({"errorCode": "AccessDenied"}))).expect("told");
        assert_eq!((denied.id, denied.severity), ("organization-account-left", Severity::High));
    }

    #[test]
    fn the_security_contact_is_more_than_an_address() {
        let delete = |kind: &str| {
            let request = json!({ "alternateContactType": kind });
            told(&call(ACCOUNT, "DeleteAlternateContact", request)).map(|told| told.severity)
        };
        assert_eq!(delete("SECURITY"), Some(Severity::High));
        assert_eq!(delete("BILLING"), Some(Severity::Medium));
    }
}
