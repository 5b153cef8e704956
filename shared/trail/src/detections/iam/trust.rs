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
    let deed = deed("let", format!("{} into {role}", told(worst)));
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

/// Services, accounts of ours, some users of an identity provider. A way in for the actor himself is no routine.
fn unremarkable(case: &Case<'_>, policy: &Policy, worst: &Admission, role: &str) -> Change {
    let told = deed("let", format!("{} into {role}", told(worst)));
    let admissions = policy.admissions(&|_| true);
    let actor = admissions.iter().find(|admission| is_actor(case, &admission.name));
    match (case.record.action(), actor) {
        ("UpdateAssumeRolePolicy", Some(_)) => {
            Change::serious(Topic::Trust, Severity::High, deed("let", format!("himself into {role}")), role)
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

fn told(admission: &Admission) -> String {
    let name = &admission.name;
    match admission.who {
        Who::Anyone if name == "*" => "anyone".to_owned(),
        Who::Anyone => format!("anyone ({name})"),
        Who::Guarded => "anyone who knows an external id or comes from a named network".to_owned(),
        Who::AnySubject => format!("every user of {}", last_part(name)),
        Who::Account | Who::AccountWithExternalId => format!("another account ({name})"),
        Who::Organization => format!("the organization of {name}"),
        Who::Federated => format!("users of {}", last_part(name)),
        Who::Service | Who::Ours => name.clone(),
    }
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
