//! Registered domains that can be carried off.

use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};

pub(super) const ALL: &[&Detection] = &[&DOMAIN_UNLOCKED];

/// A domain's transfer lock is lifted, or the domain is given away or deleted.
static DOMAIN_UNLOCKED: Detection = Detection {
    id: "route53-domain-unlocked",
    title: "Domain unlocked, transferred or deleted",
    category: Category::Impact,
    severity: Severity::High,
    techniques: &["T1584.001"],
    // The registrar is a service of its own: its calls never come from route53.amazonaws.com.
    wants: &[Want::Calls(
        "route53domains.amazonaws.com",
        &["DisableDomainTransferLock", "TransferDomainToAnotherAwsAccount", "DeleteDomain"],
    )],
    check: unlocked,
    why: "Whoever holds the domain reads its mail, passes for its sites and can reset the passwords behind it. The \
          transfer lock is what keeps it from being moved to another registrar.",
    runbook: &[
        "Ask whoever looks after domains, not by chat: is it meant to move?",
        "Lock it again: aws route53domains enable-domain-transfer-lock --region us-east-1 --domain-name DOMAIN",
        "Moved already: cancel the transfer, or call AWS Support at once; look at the actor's other calls",
    ],
    ..Detection::BASE
};

fn unlocked(case: &Case<'_>) -> Option<Catch> {
    let domain = case.record.parameter("domainName");
    let named = if domain.is_empty() { "a domain".to_owned() } else { format!("domain {domain}") };
    let deed = match case.record.action() {
        "DisableDomainTransferLock" => Deed::new("lift", "lifted", format!("the transfer lock of {named}")),
        "DeleteDomain" => Deed::new("delete", "deleted", named),
        _ => match case.record.parameter("accountId") {
            "" => Deed::new("transfer", "transferred", format!("{named} to another account")),
            account => Deed::new("transfer", "transferred", format!("{named} to account {account}")),
        },
    };
    Some(Catch::new(deed).severity(case.graded(Severity::High, Severity::Medium)).resource(domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{caught, record};
    use serde_json::{Value, json};

    const SOURCE: &str = "route53domains.amazonaws.com";

    fn said(action: &str, more: &Value) -> Option<(Severity, String)> {
        let lead = caught(&DOMAIN_UNLOCKED, &record(SOURCE, action, more.clone()))?.lead;
        Some((lead.severity, lead.deed.object))
    }

    #[test]
    fn a_domain_that_may_leave_is_high() {
        let request = json!({"requestParameters": {"domainName": "example.com", "accountId": "999988887777"}});
        let said_of = |action| said(action, &request).expect("caught");
        let lock = "the transfer lock of domain example.com".to_owned();
        assert_eq!(said_of("DisableDomainTransferLock"), (Severity::High, lock));
        let moved = "domain example.com to account 999988887777".to_owned();
        assert_eq!(said_of("TransferDomainToAnotherAwsAccount"), (Severity::High, moved));
        let refused = said("DisableDomainTransferLock", &json!({"errorCode": "AccessDeniedException"}));
        assert_eq!(refused, Some((Severity::Medium, "the transfer lock of a domain".to_owned())));
    }

    #[test]
    fn what_guards_or_reads_a_domain_is_quiet() {
        for action in ["EnableDomainTransferLock", "GetDomainDetail", "RenewDomain"] {
            assert_eq!(said(action, &json!({"requestParameters": {"domainName": "example.com"}})), None, "{action}");
        }
    }
}
