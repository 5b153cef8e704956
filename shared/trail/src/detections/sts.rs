//! Credentials that STS hands out where no role is assumed. Sessions of root are in `root`.

use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::policy::Policy;
use crate::policy::power::{Power, managed_by_aws};
use crate::shape::{at, field, list, text};

use super::iam::wording::last_part;

pub(super) const ALL: &[&Detection] = &[&FEDERATION_TOKEN, &SESSION_TOKEN, &DELEGATED_TOKEN, &IDENTITY_TOKEN];

const STS: &str = "sts.amazonaws.com";

/// A user's key makes a session under any name, which outlives the key.
static FEDERATION_TOKEN: Detection = Detection {
    id: "sts-federation-token",
    title: "Federated session made from a user's key",
    category: Category::IamChange,
    severity: Severity::Medium,
    techniques: &["T1550.001", "T1098"],
    wants: &[Want::Calls(STS, &["GetFederationToken"])],
    check: |case| Some(federated(case)),
    why: "The session acts under a name of the caller's choice, for up to 36 hours, even when the key is deleted.",
    runbook: &[
        "Ask the owner of the key whether a program of theirs does this",
        "Look at what the session did",
        "Not expected: deactivate the key, and deny everything to the user: only that ends the session",
    ],
    ..Detection::BASE
};

fn federated(case: &Case<'_>) -> Catch {
    let name = case.record.parameter("name");
    let power = session_power(case);
    let severity = match power {
        Power::Administrator => Severity::Critical,
        Power::Escalating => Severity::High,
        _ => Severity::Medium,
    };
    let rights = if power == Power::Administrator { " with every right of the key's user" } else { "" };
    let deed = Deed::new("make", "made", format!("federated session {name}{rights}"));
    issuing(case, deed, severity).resource(name).key(format!("{}|{severity:?}", case.actor.key()))
}

/// The session gets what both the user and these policies allow.
fn session_power(case: &Case<'_>) -> Power {
    let request = case.record.request();
    let inline = Policy::read(field(request, "policy")).map(|policy| policy.gift().power);
    let arns = list(field(request, "policyArns")).into_iter().map(|entry| match text(field(entry, "arn")) {
        "" => text(entry),
        arn => arn,
    });
    let managed = arns.filter_map(managed_by_aws);
    managed.chain(inline).max().unwrap_or(Power::Nothing)
}

/// A refusal is for review, a success as bad as it is. The key that was issued leads to what is done with it.
fn issuing(case: &Case<'_>, deed: Deed, severity: Severity) -> Catch {
    let issued = text(at(case.record.response(), &["credentials", "accessKeyId"]));
    let attempt = severity.min(Severity::Medium);
    Catch::new(deed).severity(case.graded(severity, attempt)).resource(issued)
}

/// A user's key makes a session for itself, as tools do for MFA.
static SESSION_TOKEN: Detection = Detection {
    id: "sts-session-token",
    title: "Temporary session made from a user's key",
    severity: Severity::Informational,
    techniques: &["T1550.001"],
    wants: &[Want::Calls(STS, &["GetSessionToken"])],
    check: |case| {
        let deed = Deed::new("make", "made", "a temporary session of their own");
        Some(issuing(case, deed, Severity::Informational).key(case.actor.key()))
    },
    why: "Ordinary with MFA. From a stolen key it is a second set of credentials that outlives the first.",
    runbook: &["Look whether the address is one the user works from", "Look at what the session did"],
    ..FEDERATION_TOKEN
};

/// A partner turns a delegation into credentials.
static DELEGATED_TOKEN: Detection = Detection {
    id: "sts-delegated-access",
    title: "Partner took up delegated access",
    severity: Severity::High,
    techniques: &["T1550.001", "T1199"],
    wants: &[Want::Calls(STS, &["GetDelegatedAccessToken"])],
    check: |case| {
        let principal = text(at(case.record.response(), &["assumedPrincipal"]));
        let deed = Deed::new("take up", "took up", format!("delegated access {}", last_part(principal)).trim_end());
        Some(issuing(case, deed, Severity::High).resource(principal).key(case.actor.key()))
    },
    why: "From here on somebody outside acts with rights of whoever accepted the delegation.",
    runbook: &[
        "Find who accepted it",
        "Look at what the credentials did",
        "Not expected: limit whoever accepted it, for the credentials follow that identity",
    ],
    ..FEDERATION_TOKEN
};

/// An identity of this account is proved to somebody outside.
static IDENTITY_TOKEN: Detection = Detection {
    id: "sts-identity-token",
    title: "Identity proved to a service outside AWS",
    severity: Severity::Low,
    techniques: &["T1550.001"],
    wants: &[Want::Calls(STS, &["GetWebIdentityToken"])],
    check: |case| Some(proved(case)),
    why: "Whoever has the token is this identity at every service that trusts the account's issuer.",
    runbook: &["Look whether the audience is a service that the workload uses", "Look at the actor's other calls"],
    ..FEDERATION_TOKEN
};

/// Workloads do this all day, in sessions without number: told by role and audience.
fn proved(case: &Case<'_>) -> Catch {
    let request = case.record.request();
    let audience = list(field(request, "audience")).into_iter().map(text).collect::<Vec<_>>().join(", ");
    let actor = if case.actor.role.is_empty() { case.actor.key() } else { case.actor.role.clone() };
    let deed = Deed::new("prove", "proved", format!("its identity to {audience}"));
    let severity = case.graded(Severity::Low, Severity::Medium);
    Catch::new(deed).severity(severity).resource(audience.clone()).key(format!("{actor}|{audience}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::iam::tests::call;
    use crate::testing::{caught, record};
    use serde_json::{Value, json};

    fn federate(request: Value) -> Severity {
        caught(&FEDERATION_TOKEN, &call(STS, "GetFederationToken", request)).expect("caught").lead.severity
    }

    #[test]
    fn a_federated_session_is_judged_by_what_it_is_given() {
        let everything = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        assert_eq!(federate(json!({"name": "x", "policy": everything})), Severity::Critical);
        let administrator = "arn:aws:iam::aws:policy/AdministratorAccess";
        assert_eq!(federate(json!({"name": "x", "policyArns": [{"arn": administrator}]})), Severity::Critical);
        assert_eq!(federate(json!({"name": "x", "policyArns": {"Arn": administrator}})), Severity::Critical);
        assert_eq!(federate(json!({"name": "x"})), Severity::Medium);
        assert_eq!(federate(Value::Null), Severity::Medium);
    }

    #[test]
    fn the_key_that_was_issued_is_named() {
        let answer = json!({"credentials": {"accessKeyId": "ASIAEXAMPLE"}});
        let call = record(STS, "GetFederationToken", json!({ "responseElements": answer }));
        let found = caught(&FEDERATION_TOKEN, &call).expect("caught");
        assert_eq!((found.resources, found.issued_key), (vec!["ASIAEXAMPLE".to_owned()], None));
    }

    #[test]
    fn a_refused_federation_is_for_review() {
        let denied = record(STS, "GetFederationToken", json!({"errorCode": "AccessDenied"}));
        assert_eq!(caught(&FEDERATION_TOKEN, &denied).map(|found| found.lead.severity), Some(Severity::Medium));
    }

    #[test]
    fn sessions_of_ones_own_are_for_the_record() {
        let call = record(STS, "GetSessionToken", json!({}));
        assert_eq!(caught(&SESSION_TOKEN, &call).map(|found| found.lead.severity), Some(Severity::Informational));
        assert!(caught(&SESSION_TOKEN, &record(STS, "GetCallerIdentity", json!({}))).is_none());
    }

    #[test]
    fn tokens_for_outside_are_one_finding_for_a_role_and_audience() {
        let call =
            record(STS, "GetWebIdentityToken", json!({"requestParameters": {"audience": ["https://api.example"]}}));
        let found = caught(&IDENTITY_TOKEN, &call).expect("caught");
        assert_eq!(
            (found.lead.severity, found.lead.deed.object.as_str()),
            (Severity::Low, "its identity to https://api.example")
        );
        let delegated = caught(&DELEGATED_TOKEN, &record(STS, "GetDelegatedAccessToken", json!({}))).expect("caught");
        assert_eq!(
            (delegated.lead.severity, delegated.lead.deed.object.as_str()),
            (Severity::High, "delegated access")
        );
    }
}
