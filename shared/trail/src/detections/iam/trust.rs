//! Whom roles let in, and who may vouch for identities.

use crate::detection::{Case, Severity};
use crate::policy::Policy;
use crate::policy::trust::{Admission, Who};
use crate::shape::field;

use super::change::{Change, Topic, is_oneself};
use super::wording::{deed, last_part, plain};

/// Judges the calls about roles and identity providers. `None`: it is another call.
pub(super) fn judge(case: &Case<'_>) -> Option<Change> {
    Some(match case.record.action() {
        "CreateRole" => opened(case, "assumeRolePolicyDocument"),
        "UpdateAssumeRolePolicy" => opened(case, "policyDocument"),
        "AcquireRole" => Change::serious(Topic::Grant, Severity::High, plain(case), "")
            .because("The role comes out of a template: its trust and its policies are not in the record."),
        "CreateSAMLProvider"
        | "UpdateSAMLProvider"
        | "DeleteSAMLProvider"
        | "CreateOpenIDConnectProvider"
        | "DeleteOpenIDConnectProvider"
        | "UpdateOpenIDConnectProviderThumbprint"
        | "AddClientIDToOpenIDConnectProvider"
        | "RemoveClientIDFromOpenIDConnectProvider" => {
            Change::serious(Topic::Federation, Severity::High, plain(case), provider(case))
        }
        "TagSAMLProvider" | "UntagSAMLProvider" | "TagOpenIDConnectProvider" | "UntagOpenIDConnectProvider" => {
            Change::routine(case, Severity::Low, "identity providers")
        }
        _ => return None,
    })
}

fn provider<'c>(case: &'c Case<'_>) -> &'c str {
    let named = ["sAMLProviderArn", "openIDConnectProviderArn", "name", "url"];
    named.iter().map(|key| case.record.parameter(key)).find(|name| !name.is_empty()).unwrap_or_default()
}

fn opened(case: &Case<'_>, parameter: &'static str) -> Change {
    let role = format!("role {}", case.record.parameter("roleName"));
    let document = field(case.record.request(), parameter);
    let Some(policy) = Policy::read(document) else {
        let unread = routine(case);
        return if document.is_null() { unread } else { unread.hidden() };
    };
    let ours = |account: &str| account == case.account || case.settings.is_ours(account);
    match policy.admissions(&ours).into_iter().max() {
        Some(worst) => judged(case, &policy, &worst, &role),
        None => routine(case),
    }
}

fn judged(case: &Case<'_>, policy: &Policy, worst: &Admission, role: &str) -> Change {
    let Some(severity) = severity(case, worst) else { return unremarkable(case, policy, worst, role) };
    let deed = deed("let", format!("{} into {role}", worst.told()));
    let change = Change::serious(Topic::Trust, severity, deed, role).because(why(worst.who));
    if severity == Severity::Critical { change.firm() } else { change }
}

/// How bad it is to let this party in; `None` where that is ordinary.
fn severity(case: &Case<'_>, admission: &Admission) -> Option<Severity> {
    match admission.who {
        Who::Anyone => Some(Severity::Critical),
        Who::Account | Who::AccountWithExternalId | Who::Guarded | Who::AnySubject => Some(Severity::High),
        Who::Organization => match case.settings.own.organization.as_str() {
            "" => Some(Severity::Medium),
            own if own == admission.name => None,
            _ if admission.name.starts_with("o-") => Some(Severity::High),
            _ => Some(Severity::Medium),
        },
        Who::Service | Who::Ours | Who::Federated => None,
    }
}

/// Services, accounts of ours, some users of an identity provider. A way in for the actor's own identity is no routine.
fn unremarkable(case: &Case<'_>, policy: &Policy, worst: &Admission, role: &str) -> Change {
    let told = deed("let", format!("{} into {role}", worst.told()));
    let admissions = policy.admissions(&|_| true);
    let actor = admissions.iter().find(|admission| is_actor(case, &admission.name));
    match (case.record.action(), actor) {
        ("UpdateAssumeRolePolicy", Some(_)) => {
            Change::serious(Topic::Trust, Severity::High, deed("let", format!("their own identity into {role}")), role)
                .because("With the role's trust goes everything that the role may do.")
        }
        ("CreateRole", _) if worst.who < Who::Federated => Change::routine(case, Severity::Low, "roles"),
        _ => Change::routine(case, Severity::Medium, "roles").told(told),
    }
}

fn is_actor(case: &Case<'_>, principal: &str) -> bool {
    let name = last_part(principal);
    (principal.contains(":user/") && is_oneself(case, "user", name))
        || (principal.contains(":role/") && is_oneself(case, "role", name))
        || (!case.actor.arn.is_empty() && principal == case.actor.arn)
}

fn routine(case: &Case<'_>) -> Change {
    let severity = if case.record.action() == "CreateRole" { Severity::Low } else { Severity::Medium };
    Change::routine(case, severity, "roles")
}

fn why(who: Who) -> &'static str {
    match who {
        Who::Anyone => "Whoever has an AWS account, or an account at that provider, can use this role now.",
        Who::AnySubject => "Nothing in the trust policy says which subject: any project at that provider can come in.",
        Who::Account => "A role that trusts an account outside is a door that stays when keys are rotated.",
        Who::AccountWithExternalId => {
            "An account that is not listed as ours can use this role. An external id shields a vendor's customers \
             from each other, not you from the vendor."
        }
        Who::Guarded => "Whoever knows the id or reaches that network can use this role.",
        Who::Organization => "Every account of that organization can use this role.",
        Who::Service | Who::Ours | Who::Federated => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::iam::tests::{Told, iam, session, told, told_with, with};
    use crate::settings::{Account, Settings};
    use serde_json::{Value, json};

    fn document(principal: &Value, condition: &Value) -> Value {
        let action = ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"];
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition});
        json!(json!({"Version": "2012-10-17", "Statement": [statement]}).to_string())
    }

    fn update(principal: &Value, condition: &Value) -> Value {
        iam("UpdateAssumeRolePolicy", json!({"roleName": "ops", "policyDocument": document(principal, condition)}))
    }

    fn updated(principal: &Value, condition: &Value) -> Told {
        told(&update(principal, condition)).expect("told")
    }

    #[test]
    fn a_role_for_anyone_is_critical_by_whatever_hand() {
        let anyone = json!({"AWS": "*"});
        let sentence = "alice let anyone into role ops";
        assert_eq!(updated(&anyone, &Value::Null).brief(), ("iam-trust-opened", Severity::Critical, sentence));
        let request = json!({"roleName": "ops", "assumeRolePolicyDocument": document(&anyone, &Value::Null)});
        let mut created = iam("CreateRole", request);
        created["userIdentity"]["invokedBy"] = json!("cloudformation.amazonaws.com");
        assert_eq!(told(&created).map(|told| told.severity), Some(Severity::Critical));
    }

    #[test]
    fn an_account_outside_is_high_with_and_without_an_external_id() {
        let other = json!({"AWS": "arn:aws:iam::999988887777:root"});
        let sentence = "alice let another account (arn:aws:iam::999988887777:root) into role ops";
        assert_eq!(updated(&other, &Value::Null).brief(), ("iam-trust-opened", Severity::High, sentence));
        let external = json!({"StringEquals": {"sts:ExternalId": "s3cr3t"}});
        assert_eq!(updated(&other, &external).severity, Severity::High);
        let anyone_who_knows = updated(&json!("*"), &external);
        assert_eq!((anyone_who_knows.id, anyone_who_knows.severity), ("iam-trust-opened", Severity::High));
    }

    #[test]
    fn an_account_of_ours_is_for_review() {
        let other = json!({"AWS": "arn:aws:iam::999988887777:root"});
        let mut settings = Settings::default();
        settings.accounts.insert("999988887777".to_owned(), Account::default());
        let told = told_with(settings, &update(&other, &Value::Null)).expect("told");
        assert_eq!((told.id, told.severity), ("iam-changed", Severity::Medium));
    }

    #[test]
    fn an_organization_is_ours_another_or_unknown() {
        let condition = json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
        let with_own = |own: &str| {
            let mut settings = Settings::default();
            own.clone_into(&mut settings.own.organization);
            let told = told_with(settings, &update(&json!("*"), &condition)).expect("told");
            (told.id, told.severity)
        };
        assert_eq!(with_own("o-a1b2c3d4e5"), ("iam-changed", Severity::Medium));
        assert_eq!(with_own("o-z9y8x7w6v5"), ("iam-trust-opened", Severity::High));
        assert_eq!(with_own(""), ("iam-trust-opened", Severity::Medium));
    }

    #[test]
    fn github_without_a_subject_is_high() {
        let github =
            json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"});
        let audience = json!({"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}});
        let sentence = "alice let every user of token.actions.githubusercontent.com into role ops";
        assert_eq!(updated(&github, &audience).brief(), ("iam-trust-opened", Severity::High, sentence));
        let subject = json!({"StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme/app:*"}});
        assert_eq!(updated(&github, &subject).id, "iam-changed");
    }

    #[test]
    fn ordinary_roles_are_low_or_for_review() {
        let created = |principal: &Value| {
            let request = json!({"roleName": "app", "assumeRolePolicyDocument": document(principal, &Value::Null)});
            told(&iam("CreateRole", request)).map(|told| (told.id, told.severity)).expect("told")
        };
        assert_eq!(created(&json!({"Service": "lambda.amazonaws.com"})), ("iam-changed", Severity::Low));
        assert_eq!(created(&json!({"AWS": "arn:aws:iam::111122223333:root"})), ("iam-changed", Severity::Low));
        assert_eq!(created(&json!({"Federated": "arn:aws:iam::111122223333:saml-provider/corp"})).1, Severity::Medium);
        assert_eq!(updated(&json!({"Service": "ec2.amazonaws.com"}), &Value::Null).severity, Severity::Medium);
    }

    #[test]
    fn letting_oneself_in_is_high() {
        let own = json!({"AWS": ["arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:user/alice"]});
        let sentence = "alice let their own identity into role ops";
        assert_eq!(updated(&own, &Value::Null).brief(), ("iam-trust-opened", Severity::High, sentence));
        let own_role = update(&json!({"AWS": "arn:aws:iam::111122223333:role/path/ci"}), &Value::Null);
        assert_eq!(told(&with(own_role, session("ci", "path/"))).map(|told| told.severity), Some(Severity::High));
    }

    #[test]
    fn identity_providers_are_high_and_those_of_identity_center_low() {
        let create = iam("CreateSAMLProvider", json!({"name": "corp", "sAMLMetadataDocument": "<xml/>"}));
        let sentence = "alice created SAML provider corp";
        assert_eq!(told(&create).expect("told").brief(), ("iam-identity-provider-changed", Severity::High, sentence));
        let by_service = with(create, session("AWSServiceRoleForSSO", "aws-service-role/sso.amazonaws.com/"));
        assert_eq!(told(&by_service).map(|told| told.severity), Some(Severity::Low));
        let tag = told(&iam("TagSAMLProvider", json!({}))).expect("told");
        assert_eq!((tag.id, tag.severity), ("iam-changed", Severity::Low));
    }
}
