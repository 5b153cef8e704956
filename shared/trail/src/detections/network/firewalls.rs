//! Firewalls beside security groups that let the internet in: prefix lists, network ACLs, Lightsail's own.

use serde_json::Value;

use super::security_groups::{cidrs, sentence, what_it_lets_in};
use super::{EC2, called, first, first_list, graded, named, request, response, word};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::network::{Networks, Openness, Protocol, Rule, Traffic, openings};
use crate::shape::{field, list, number, text, truthy};

/// A prefix list takes in the world: groups and routes that name it change without a change of their own.
pub(super) static PREFIX_LIST_OPENED: Detection = Detection {
    id: "ec2-prefix-list-opened",
    title: "Prefix list opened to the internet",
    category: Category::NetworkExposure,
    severity: Severity::High,
    techniques: &["T1562.007"],
    controls: &["CIS 7.0 5.10"],
    wants: &[Want::Calls(
        EC2,
        &["CreateManagedPrefixList", "ModifyManagedPrefixList", "RestoreManagedPrefixListVersion"],
    )],
    check: prefix_list_opened,
    why: "Every security group that names this prefix list is open as of now, and none of them shows a change.",
    runbook: &[
        "Read the list: aws ec2 get-managed-prefix-list-entries --prefix-list-id <list>",
        "Find who uses it: aws ec2 get-managed-prefix-list-associations --prefix-list-id <list>",
        "Ask the actor; restore the version before: aws ec2 restore-managed-prefix-list-version",
    ],
    ..Detection::BASE
};

fn prefix_list_opened(case: &Case<'_>) -> Option<Catch> {
    let made = first(field(response(case), "prefixList"), &["prefixListId"]);
    let ids = [first(request(case), &["prefixListId"]), made, first(request(case), &["prefixListName"])];
    let id = named(case, ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default());
    let (deed, severity) = prefix_list_deed(case, called(id, "a prefix list"))?;
    Some(Catch::new(deed).severity(graded(case, severity)).resource(id))
}

/// What an older version holds, or a call too large to record, cannot be judged; it is rare enough to be looked at.
fn prefix_list_deed(case: &Case<'_>, list: &str) -> Option<(Deed, Severity)> {
    const UNSEEN: &str = "whose entries the record does not show";
    let request = request(case);
    if case.record.action() == "RestoreManagedPrefixListVersion" {
        let version = word(field(request, "previousVersion"));
        let object = format!("version {} of prefix list {list}, {UNSEEN}", called(&version, "?"));
        return Some((Deed::new("restore", "restored", object), Severity::Medium));
    }
    if case.record.request_omitted() {
        return Some((Deed::new("fill", "filled", format!("prefix list {list}, {UNSEEN}")), Severity::Medium));
    }
    let entries = first_list(request, &["AddEntry", "AddEntries", "Entry", "Entries"]);
    let networks: Networks = entries.into_iter().flat_map(cidrs).collect();
    (networks.openness() > Openness::Narrow).then_some(())?;
    Some((Deed::new("add", "added", format!("{} to prefix list {list}", networks.label())), Severity::High))
}

/// A network ACL allows everything, or an administration or database port, from anywhere.
pub(super) static NETWORK_ACL_OPENED: Detection = Detection {
    id: "ec2-network-acl-opened",
    title: "Network ACL opened to the internet",
    category: Category::NetworkExposure,
    severity: Severity::High,
    techniques: &["T1562.007"],
    controls: &["CIS 7.0 5.11", "CIS 3.0 4.11", "CloudWatch.11"],
    wants: &[Want::Calls(EC2, &["CreateNetworkAclEntry", "ReplaceNetworkAclEntry"])],
    check: acl_opened,
    why: "The subnets behind this list are held by their security groups alone.",
    runbook: &[
        "Read the list in order of rule numbers: aws ec2 describe-network-acls --network-acl-ids <list>",
        "Find which subnets it guards and what in them has a public address",
        "Ask the actor; replace the entry by one for the ports and networks that are needed",
    ],
    ..Detection::BASE
};

fn acl_opened(case: &Case<'_>) -> Option<Catch> {
    let request = request(case);
    let allows = text(field(request, "ruleAction")).eq_ignore_ascii_case("allow");
    if !allows || truthy(field(request, "egress")) {
        return None;
    }
    let rule = acl_rule(request);
    let severity = acl_severity(&rule)?;
    let acl = named(case, text(field(request, "networkAclId")));
    let object = format!("{} to {} on {}", rule.traffic, rule.networks.label(), called(acl, "a network ACL"));
    Some(Catch::new(Deed::new("open", "opened", object)).severity(graded(case, severity)).resource(acl))
}

fn acl_rule(request: &Value) -> Rule {
    let ports = field(request, "portRange");
    let protocol = [field(request, "aclProtocol"), field(request, "protocol")].map(word);
    let protocol = protocol.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let traffic = Traffic::new(&protocol, number(field(ports, "from")), number(field(ports, "to")));
    let networks = ["cidrBlock", "ipv6CidrBlock"].map(|key| text(field(request, key)));
    Rule { traffic, networks: networks.into_iter().collect() }
}

/// Lists know no connections, so answers have to be let in from anywhere: that and the web are ordinary.
fn acl_severity(rule: &Rule) -> Option<Severity> {
    let whole = *rule.traffic.protocol() == Protocol::All
        || (*rule.traffic.protocol() == Protocol::Tcp && rule.traffic.is_whole());
    let severity = match rule.traffic.severity() {
        _ if whole => Severity::High,
        Severity::Critical if !rule.traffic.is_ephemeral() => Severity::Medium,
        _ => return None,
    };
    match rule.networks.openness() {
        Openness::Open => Some(severity),
        Openness::Broad => Some(severity.min(Severity::Medium)),
        Openness::Narrow => None,
    }
}

/// Lightsail has a firewall of its own for each instance, open to the world unless the call says otherwise.
pub(super) static INSTANCE_PORTS_OPENED: Detection = Detection {
    id: "lightsail-instance-ports-opened",
    title: "Lightsail instance opened to the internet",
    category: Category::NetworkExposure,
    severity: Severity::High,
    techniques: &["T1562.007", "T1133"],
    controls: &[],
    wants: &[Want::Calls("lightsail.amazonaws.com", &["OpenInstancePublicPorts", "PutInstancePublicPorts"])],
    check: instance_opened,
    why: "A Lightsail instance has a public address: an open port can be reached by everybody at once.",
    runbook: &[
        "Read its firewall: aws lightsail get-instance-port-states --instance-name <instance>",
        "Ask the actor; close it until you know: aws lightsail close-instance-public-ports",
    ],
    ..Detection::BASE
};

fn instance_opened(case: &Case<'_>) -> Option<Catch> {
    let ports = first_list(request(case), &["portInfos", "portInfo"]);
    let rules: Vec<_> = ports.into_iter().map(instance_rule).collect();
    let found = openings(&rules);
    let instance = named(case, first(request(case), &["instanceName"]));
    let object = format!("{} on {}", sentence(&found), called(instance, "a Lightsail instance"));
    let severity = graded(case, found.first()?.severity);
    let caught = Catch::new(Deed::new("open", "opened", object)).severity(severity);
    Some(caught.why(what_it_lets_in(&found, case.succeeded())).resource(instance))
}

fn instance_rule(port: &Value) -> Rule {
    let lists = ["cidrs", "ipv6Cidrs"].map(|key| list(field(port, key)));
    let mut cidrs: Vec<_> = lists.into_iter().flatten().map(text).collect();
    if cidrs.is_empty() && list(field(port, "cidrListAliases")).is_empty() {
        cidrs.push("0.0.0.0/0");
    }
    let number = |key| number(field(port, key));
    let traffic = Traffic::new(&word(field(port, "protocol")), number("fromPort"), number("toPort"));
    Rule { traffic, networks: cidrs.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::testing::{caught, record};
    use serde_json::json;

    fn said(found: &Match) -> (Severity, &str) {
        (found.lead.severity, found.lead.deed.object.as_str())
    }

    fn prefix_list(name: &str, body: &Value) -> Option<Match> {
        let wrapper = format!("{name}Request");
        caught(&PREFIX_LIST_OPENED, &record(EC2, name, json!({"requestParameters": {wrapper: body}})))
    }

    #[test]
    fn a_prefix_list_that_takes_in_the_world_is_high() {
        for entries in [json!({"Cidr": "0.0.0.0/0", "tag": 1}), json!([{"Cidr": "0.0.0.0/1"}, {"Cidr": "128.0.0.0/1"}])]
        {
            let found = prefix_list("ModifyManagedPrefixList", &json!({"PrefixListId": "pl-1", "AddEntry": entries}));
            let found = found.expect("caught");
            assert_eq!((found.lead.severity, &*found.resources), (Severity::High, &["pl-1".to_owned()][..]));
            assert!(found.lead.deed.object.ends_with("to prefix list pl-1"));
        }
        let made = prefix_list("CreateManagedPrefixList", &json!({"PrefixListName": "all", "Entry": {"Cidr": "::/0"}}));
        assert_eq!(said(&made.expect("caught")), (Severity::High, "::/0 to prefix list all"));
        let restored = json!({"PrefixListId": "pl-1", "PreviousVersion": 3});
        let restored = prefix_list("RestoreManagedPrefixListVersion", &restored).expect("caught");
        assert!(restored.lead.deed.object.starts_with("version 3 of prefix list pl-1"));
    }

    #[test]
    fn entries_that_the_record_leaves_out_are_worth_a_look() {
        let hidden = json!({"requestParameters": {"omitted": true}});
        let found = caught(&PREFIX_LIST_OPENED, &record(EC2, "ModifyManagedPrefixList", hidden)).expect("caught");
        assert_eq!(found.lead.severity, Severity::Medium);
    }

    #[test]
    fn an_ordinary_prefix_list_is_quiet() {
        let body =
            json!({"PrefixListId": "pl-1", "AddEntry": {"Cidr": "10.1.0.0/16"}, "RemoveEntry": {"Cidr": "0.0.0.0/0"}});
        assert!(prefix_list("ModifyManagedPrefixList", &body).is_none());
    }

    fn acl(more: &Value) -> Option<Match> {
        let mut request = json!({"networkAclId": "acl-1", "ruleNumber": 100, "egress": false, "ruleAction": "allow",
            "aclProtocol": "-1", "icmpTypeCode": {}, "portRange": {}});
        for (key, value) in more.as_object().expect("an object") {
            request[key] = value.clone();
        }
        caught(&NETWORK_ACL_OPENED, &record(EC2, "CreateNetworkAclEntry", json!({"requestParameters": request})))
    }

    #[test]
    fn an_acl_open_for_everything_is_high_and_for_a_sensitive_port_medium() {
        let all = acl(&json!({"ipv6CidrBlock": "::/0"})).expect("caught");
        assert_eq!(said(&all), (Severity::High, "all traffic to ::/0 on acl-1"));
        let ssh = acl(&json!({"cidrBlock": "0.0.0.0/0", "aclProtocol": "6", "portRange": {"from": 22, "to": 22}}));
        assert_eq!(said(&ssh.expect("caught")), (Severity::Medium, "tcp/22 to 0.0.0.0/0 on acl-1"));
        let number = acl(&json!({"cidrBlock": "0.0.0.0/0", "aclProtocol": -1, "egress": "false"}));
        assert_eq!(number.expect("caught").lead.severity, Severity::High);
    }

    #[test]
    fn ordinary_acl_entries_are_quiet() {
        let answers = json!({"cidrBlock": "0.0.0.0/0", "aclProtocol": "6", "portRange": {"from": 1024, "to": 65535}});
        let web = json!({"cidrBlock": "0.0.0.0/0", "aclProtocol": "6", "portRange": {"from": 443, "to": 443}});
        let deny = json!({"cidrBlock": "0.0.0.0/0", "ruleAction": "deny"});
        let egress = json!({"cidrBlock": "0.0.0.0/0", "egress": true});
        let private = json!({"cidrBlock": "10.0.0.0/8"});
        for more in [answers, web, deny, egress, private] {
            assert!(acl(&more).is_none(), "{more}");
        }
    }

    #[test]
    fn lightsail_opens_to_the_world_unless_told_otherwise() {
        let lightsail = |info: Value| {
            let request = json!({"requestParameters": {"instanceName": "blog", "portInfo": info}});
            caught(&INSTANCE_PORTS_OPENED, &record("lightsail.amazonaws.com", "OpenInstancePublicPorts", request))
        };
        let found = lightsail(json!({"protocol": "tcp", "fromPort": 22, "toPort": 22})).expect("caught");
        assert_eq!(said(&found), (Severity::Critical, "tcp/22 to 0.0.0.0/0 on blog"));
        let narrow = json!({"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrs": ["203.0.113.0/24"]});
        assert!(lightsail(narrow).is_none());
    }
}
