//! Firewalls that let the internet in: security groups, prefix lists, network ACLs, Lightsail's own.

use serde_json::Value;

use super::{EC2, REHEARSED, called, first, first_list, graded, is_rehearsal, request, response, word};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::network::{Networks, Opening, Openness, Protocol, Rule, Traffic, openings};
use crate::record::Outcome;
use crate::shape::{field, list, number, text, truthy};

/// A security group lets the world in, by a new rule or a changed one.
pub(super) static SECURITY_GROUP_OPENED: Detection = Detection {
    id: "ec2-security-group-opened",
    title: "Security group opened to the internet",
    category: Category::NetworkExposure,
    severity: Severity::High,
    techniques: &["T1562.007", "T1133"],
    controls: &["CIS 7.0 5.10", "CIS 3.0 4.10", "CloudWatch.10"],
    wants: &[Want::Calls(EC2, &["AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"])],
    check: group_opened,
    why: "Whatever carries this security group and has a public address can be reached by everybody. \
          Scanners find an open port within minutes.",
    runbook: &[
        "List what carries the group: aws ec2 describe-network-interfaces --filters Name=group-id,Values=<group>",
        "Ask the actor what it is for; close it until you know: aws ec2 revoke-security-group-ingress",
        "Look for sign-ins and new sessions on those machines since the time of the change",
        "Meant to be public: put a load balancer in front, or allow the addresses that need it",
    ],
    ..Detection::BASE
};

fn group_opened(case: &Case<'_>) -> Option<Catch> {
    let rules = rules(case);
    let found = openings(&rules);
    let group = group(case);
    let Some(worst) = found.first() else {
        return if rules.is_empty() { unseen(case, &group) } else { None };
    };
    let known = called(case, &group, "a security group");
    let object =
        format!("{} on {known}{}", sentence(&found), if is_change(case) { ", by changing a rule" } else { "" });
    let severity = if is_open_already(case, &found) { worst.severity } else { graded(case, worst.severity) };
    let caught = Catch::new(Deed::new("open", "opened", object)).severity(severity).why(group_why(case, &found));
    Some(rule_ids(case).into_iter().fold(caught.resource(group), Catch::resource))
}

/// Rules were added that the record does not show: its request is missing or was too large to keep, which is a way to
/// hide an opening. A refused attempt without its request says little, a failed one nothing.
fn unseen(case: &Case<'_>, group: &str) -> Option<Catch> {
    let hidden = case.record.request().is_null() || case.record.request_omitted();
    if !hidden || (case.outcome == Outcome::Failed && !case.record.request_omitted()) {
        return None;
    }
    let object = format!("{}: which ones, the record does not say", called(case, group, "a security group"));
    let why = "CloudTrail kept no rules of this call. Look at the group itself: an oversized call can hide an opening.";
    let caught = Catch::new(Deed::new("change rules of", "changed rules of", object)).why(why);
    Some(caught.severity(graded(case, Severity::High)).resource(group))
}

fn is_change(case: &Case<'_>) -> bool {
    case.record.action() == "ModifySecurityGroupRules"
}

/// The group's id or name, as the request or the response says it.
fn group(case: &Case<'_>) -> String {
    let asked = first(request(case), &["groupId", "groupName"]);
    let granted = || granted(case).first().map_or("", |rule| first(rule, &["groupId"]));
    if asked.is_empty() { granted().to_owned() } else { asked.to_owned() }
}

/// The rules that were asked for; where the record lacks them, the rules that AWS says it made.
fn rules(case: &Case<'_>) -> Vec<Rule> {
    let request = request(case);
    let asked = if is_change(case) { changed_rules(request) } else { permissions(request) };
    if asked.is_empty() {
        let ingress = |rule: &&Value| !truthy(field(rule, "isEgress"));
        return granted(case).into_iter().filter(ingress).filter_map(rule).collect();
    }
    asked
}

/// `securityGroupRuleSet` of the response.
fn granted<'c>(case: &'c Case<'_>) -> Vec<&'c Value> {
    list(field(response(case), "securityGroupRuleSet"))
}

/// `ipPermissions`, and the older form in which the request itself is the rule.
pub(super) fn permissions(request: &Value) -> Vec<Rule> {
    let nested = list(field(request, "ipPermissions"));
    nested.into_iter().chain([request]).filter_map(rule).collect()
}

/// `SecurityGroupRule` is both the list and, in each element, the rule beside its id.
fn changed_rules(request: &Value) -> Vec<Rule> {
    let updates = first_list(request, &["SecurityGroupRule", "SecurityGroupRules", "securityGroupRuleSet"]);
    let inner = |update| Some(field(update, "SecurityGroupRule")).filter(|rule| !rule.is_null()).unwrap_or(update);
    updates.into_iter().map(inner).filter_map(rule).collect()
}

/// Reads one rule; `None` for what says neither protocol nor network.
fn rule(value: &Value) -> Option<Rule> {
    let cidrs = cidrs(value);
    let protocol = word(field(value, "ipProtocol"));
    if cidrs.is_empty() && protocol.is_empty() {
        return None;
    }
    let port = |key| number(field(value, key));
    let traffic = Traffic::new(&protocol, port("fromPort"), port("toPort"));
    Some(Rule { traffic, networks: cidrs.into_iter().collect() })
}

/// The networks of a rule, in all the places where one may be written.
fn cidrs(rule: &Value) -> Vec<&str> {
    const KEYS: [&str; 5] = ["cidrIp", "cidrIpv4", "cidrIpv6", "cidrIP", "cidr"];
    let nested = ["ipRanges", "ipv6Ranges"].into_iter().flat_map(|key| list(field(rule, key)));
    let named = nested.clone().chain([rule]).flat_map(|range| KEYS.map(|key| text(field(range, key))));
    named.chain(nested.map(text)).filter(|cidr| !cidr.is_empty()).collect()
}

/// Ids of the rules that were changed or made.
fn rule_ids(case: &Case<'_>) -> Vec<String> {
    let updates = first_list(request(case), &["SecurityGroupRule", "SecurityGroupRules"]);
    let ids = updates.into_iter().chain(granted(case)).map(|rule| first(rule, &["securityGroupRuleId"]));
    ids.filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// `tcp/22 and 2 more to 0.0.0.0/0`. The first opening is the worst.
fn sentence(found: &[Opening]) -> String {
    let Some(worst) = found.first() else { return String::new() };
    let more = if found.len() > 1 { format!(" and {} more", found.len() - 1) } else { String::new() };
    format!("{}{more} to {}", worst.traffic, worst.networks.label())
}

/// AWS says that a rule of the call is there already. The message names the peer; where that is another one than what
/// would have been opened, nothing is known to be open.
fn is_open_already(case: &Case<'_>, found: &[Opening]) -> bool {
    let code_says = case.record.error_code.ends_with("InvalidPermission.Duplicate");
    let peer = case.record.error_message().split_once("peer: ").and_then(|(_, rest)| rest.split([',', '"']).next());
    let networks = peer.map(|peer| [peer].into_iter().collect::<Networks>());
    let is_among = |networks: Networks| {
        let label = networks.label();
        found.iter().any(|opening| opening.networks.label().contains(&label)) && !label.is_empty()
    };
    code_says && networks.is_none_or(is_among)
}

fn group_why(case: &Case<'_>, found: &[Opening]) -> String {
    let mut said = vec![what_it_lets_in(found)];
    if is_change(case) {
        said.push(
            "The record does not say whether this is an ingress or an egress rule: look at the group.".to_owned(),
        );
    }
    if is_open_already(case, found) {
        said.push("AWS answered that the rule was there already: it is open, since before this call.".to_owned());
    }
    if is_rehearsal(case) {
        said.push(REHEARSED.to_owned());
    }
    said.join(" ")
}

/// Which services stand open, by the names that people know.
fn what_it_lets_in(found: &[Opening]) -> String {
    const SHOWN: usize = 4;
    let critical = found.iter().filter(|opening| *opening.traffic.protocol() != Protocol::All);
    let mut services: Vec<_> = critical.flat_map(|opening| opening.traffic.services()).collect();
    services.dedup();
    let broad = found.first().is_some_and(|opening| opening.openness == Openness::Broad);
    let whom = if broad { "A large part of the internet" } else { "Everybody on the internet" };
    match services.len() {
        0 => format!("{whom} may connect."),
        n if n > SHOWN => format!("{whom} may connect: {} and {} more.", services[..SHOWN].join(", "), n - SHOWN),
        _ => format!("{whom} may connect: {}.", services.join(", ")),
    }
}

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
    let id = [first(request(case), &["prefixListId"]), made, first(request(case), &["prefixListName"])];
    let id = id.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
    let known = called(case, id, "a prefix list");
    let (deed, severity) = if case.record.action() == "RestoreManagedPrefixListVersion" {
        let version = word(field(request(case), "previousVersion"));
        let object = format!("version {version} of prefix list {known}, whose entries the record does not show");
        (Deed::new("restore", "restored", object), Severity::Medium)
    } else {
        let entries = first_list(request(case), &["AddEntry", "AddEntries", "Entry", "Entries"]);
        let networks: Networks = entries.into_iter().flat_map(cidrs).collect();
        (networks.openness() > Openness::Narrow).then_some(())?;
        let object = format!("{} to prefix list {known}", networks.label());
        (Deed::new("add", "added", object), Severity::High)
    };
    Some(Catch::new(deed).severity(graded(case, severity)).resource(id))
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
    let acl = text(field(request, "networkAclId"));
    let object = format!("{} to {} on {}", rule.traffic, rule.networks.label(), called(case, acl, "a network ACL"));
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
    let instance = first(request(case), &["instanceName"]);
    let object = format!("{} on {}", sentence(&found), called(case, instance, "a Lightsail instance"));
    let severity = graded(case, found.first()?.severity);
    let caught = Catch::new(Deed::new("open", "opened", object)).severity(severity);
    Some(caught.why(what_it_lets_in(&found)).resource(instance))
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

    fn ingress(request: &Value) -> Value {
        record(EC2, "AuthorizeSecurityGroupIngress", json!({"requestParameters": request}))
    }

    fn opened(record: &Value) -> Option<Match> {
        caught(&SECURITY_GROUP_OPENED, record)
    }

    fn said(found: &Match) -> (Severity, &str) {
        (found.lead.severity, found.lead.deed.object.as_str())
    }

    /// `ipPermissions` of one rule.
    fn one(protocol: &str, ports: [i64; 2], cidr: &str) -> Value {
        let ranges = json!({"items": [{"cidrIp": cidr, "description": "x"}]});
        let permission = json!({"ipProtocol": protocol, "fromPort": ports[0], "toPort": ports[1], "groups": {},
            "ipRanges": ranges, "ipv6Ranges": {}, "prefixListIds": {}});
        json!({"groupId": "sg-0a1b", "ipPermissions": {"items": [permission]}})
    }

    #[test]
    fn ssh_to_the_world_is_critical_and_says_so() {
        let found = opened(&ingress(&one("tcp", [22, 22], "0.0.0.0/0"))).expect("caught");
        assert_eq!(said(&found), (Severity::Critical, "tcp/22 to 0.0.0.0/0 on sg-0a1b"));
        assert_eq!((found.lead.deed.past.as_str(), &*found.resources), ("opened", &["sg-0a1b".to_owned()][..]));
        assert_eq!(found.lead.why.as_deref(), Some("Everybody on the internet may connect: SSH."));
    }

    #[test]
    fn the_grade_follows_the_ports() {
        for (protocol, ports, severity) in [
            ("tcp", [443, 443], Severity::Medium),
            ("tcp", [80, 80], Severity::Medium),
            ("tcp", [8080, 8080], Severity::High),
            ("tcp", [0, 65535], Severity::Critical),
            ("tcp", [3300, 3400], Severity::Critical),
            ("6", [22, 22], Severity::Critical),
            ("-1", [-1, -1], Severity::Critical),
            ("udp", [500, 500], Severity::High),
            ("icmp", [8, -1], Severity::Low),
        ] {
            let found = opened(&ingress(&one(protocol, ports, "0.0.0.0/0"))).expect("caught");
            assert_eq!(found.lead.severity, severity, "{protocol} {ports:?}");
        }
        let broad = opened(&ingress(&one("tcp", [22, 22], "8.0.0.0/7"))).expect("caught");
        assert_eq!(said(&broad), (Severity::High, "tcp/22 to 8.0.0.0/7 on sg-0a1b"));
    }

    #[test]
    fn ordinary_rules_are_quiet() {
        for cidr in ["10.0.0.0/8", "192.168.0.0/16", "203.0.113.0/24", "198.51.100.7/32", "not a network"] {
            assert!(opened(&ingress(&one("tcp", [22, 22], cidr))).is_none(), "{cidr}");
        }
        let of_groups = json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "-1", "ipRanges": {},
            "groups": {"items": [{"groupId": "sg-2"}]}, "ipv6Ranges": {}, "prefixListIds": {}}]}});
        assert!(opened(&ingress(&of_groups)).is_none());
        let egress = json!({"requestParameters": one("-1", [-1, -1], "0.0.0.0/0")});
        assert!(opened(&record(EC2, "AuthorizeSecurityGroupEgress", egress)).is_none());
    }

    #[test]
    fn every_shape_of_the_request_is_read() {
        let permission =
            |ranges: Value| json!({"ipProtocol": "tcp", "fromPort": "22", "toPort": "22", "ipRanges": ranges});
        for request in [
            json!({"groupId": "sg-1", "cidrIp": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipPermissions": {}}),
            json!({"groupName": "sg-1", "ipPermissions": [permission(json!([{"cidrIp": "0.0.0.0/0"}]))]}),
            json!({"groupId": "sg-1", "ipPermissions": permission(json!({"cidrIp": "0.0.0.0/0"}))}),
            json!({"groupId": "sg-1", "ipPermissions": {"items": permission(json!({"items": ["0.0.0.0/0"]}))}}),
            json!({"GroupId": "sg-1", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}),
            json!({"AuthorizeSecurityGroupIngressRequest": {"GroupId": "sg-1", "IpPermissions": {"IpProtocol": "tcp", "FromPort": 22,
                "ToPort": 22, "IpRanges": {"CidrIp": "0.0.0.0/00", "tag": 1}}}}),
        ] {
            let found = opened(&ingress(&request)).unwrap_or_else(|| panic!("caught: {request}"));
            assert_eq!(said(&found), (Severity::Critical, "tcp/22 to 0.0.0.0/0 on sg-1"), "{request}");
        }
    }

    #[test]
    fn ipv6_stands_in_a_list_of_its_own() {
        let request = json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 3389,
            "toPort": 3389, "ipRanges": {}, "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]}}]}});
        assert_eq!(
            said(&opened(&ingress(&request)).expect("caught")),
            (Severity::Critical, "tcp/3389 to ::/0 on sg-1")
        );
    }

    #[test]
    fn the_world_in_two_halves_is_the_world() {
        let request = json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/1"}, {"cidrIp": "128.0.0.0/1"}]}}]}});
        let found = opened(&ingress(&request)).expect("caught");
        assert_eq!(said(&found), (Severity::Critical, "tcp/22 to 0.0.0.0/0 in 2 parts on sg-1"));
    }

    #[test]
    fn the_most_dangerous_opening_is_named() {
        let permission = |port: i64| {
            json!({"ipProtocol": "tcp", "fromPort": port, "toPort": port,
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}})
        };
        let request = json!({"groupId": "sg-0a1b", "ipPermissions": {"items": [permission(80), permission(22), permission(443)]}});
        let found = opened(&ingress(&request)).expect("caught");
        assert_eq!(said(&found), (Severity::Critical, "tcp/22 and 2 more to 0.0.0.0/0 on sg-0a1b"));
    }

    #[test]
    fn the_response_stands_in_for_a_request_that_was_cut() {
        let granted = json!({"_return": true, "securityGroupRuleSet": {"items": [
            {"groupId": "sg-9", "securityGroupRuleId": "sgr-1", "isEgress": false, "ipProtocol": "tcp",
             "fromPort": 22, "toPort": 22, "cidrIpv4": "0.0.0.0/0"}]}});
        for request in [Value::Null, json!({"omitted": true, "reason": "requestParameters too large"})] {
            let more = json!({"requestParameters": request, "responseElements": granted});
            let found = opened(&record(EC2, "AuthorizeSecurityGroupIngress", more)).expect("caught");
            assert_eq!(said(&found), (Severity::Critical, "tcp/22 to 0.0.0.0/0 on sg-9"));
            assert_eq!(found.resources, ["sg-9", "sgr-1"]);
        }
    }

    #[test]
    fn rules_that_the_record_hides_are_reported() {
        let hidden = json!({"requestParameters": {"omitted": true}, "responseElements": {"omitted": true}});
        let found = opened(&record(EC2, "AuthorizeSecurityGroupIngress", hidden)).expect("caught");
        assert_eq!(said(&found), (Severity::High, "a security group: which ones, the record does not say"));
        let failed = json!({"errorCode": "Client.MissingParameter"});
        assert!(opened(&record(EC2, "AuthorizeSecurityGroupIngress", failed)).is_none());
        let denied = json!({"errorCode": "Client.UnauthorizedOperation", "errorMessage": "User: x is not authorized to \
            perform: ec2:AuthorizeSecurityGroupIngress on resource: arn:aws:ec2:eu-west-1:111122223333:security-group/sg-7"});
        let denied = opened(&record(EC2, "AuthorizeSecurityGroupIngress", denied)).expect("caught");
        assert_eq!(said(&denied), (Severity::Medium, "sg-7: which ones, the record does not say"));
    }

    #[test]
    fn attempts_are_graded_by_what_came_of_them() {
        let with = |code: &str, message: &str| {
            let mut record = ingress(&one("tcp", [22, 22], "0.0.0.0/0"));
            record["errorCode"] = code.into();
            record["errorMessage"] = message.into();
            opened(&record).expect("caught")
        };
        let denied = with("Client.UnauthorizedOperation", "Encoded authorization failure message: x");
        assert_eq!((denied.lead.severity, denied.lead.outcome), (Severity::Medium, Outcome::Denied));
        let rehearsed = with("Client.DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
        assert_eq!((rehearsed.lead.severity, rehearsed.lead.outcome), (Severity::Low, Outcome::Failed));
        assert!(rehearsed.lead.why.expect("why").contains("dry run"));
        let limit = with("Client.RulesPerSecurityGroupLimitExceeded", "The maximum number of rules was reached.");
        assert_eq!(limit.lead.severity, Severity::Medium);
    }

    #[test]
    fn a_rule_that_was_there_already_is_as_bad_as_a_new_one() {
        let duplicate = |message: &str| {
            let mut record = ingress(&one("tcp", [22, 22], "0.0.0.0/0"));
            record["errorCode"] = "Client.InvalidPermission.Duplicate".into();
            record["errorMessage"] = message.into();
            opened(&record).expect("caught")
        };
        let peer = |peer| {
            format!("the specified rule \"peer: {peer}, TCP, from port: 22, to port: 22, ALLOW\" already exists")
        };
        for message in ["", &peer("0.0.0.0/0")] {
            let found = duplicate(message);
            assert_eq!(found.lead.severity, Severity::Critical);
            assert!(found.lead.why.expect("why").contains("there already"));
        }
        assert_eq!(
            duplicate(&peer("10.0.0.0/8")).lead.severity,
            Severity::Medium,
            "another rule of the call was there"
        );
    }

    #[test]
    fn a_changed_rule_is_judged_like_a_new_one_and_its_direction_is_unknown() {
        let inner = json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "0.0.0.0/0"});
        let update = json!({"SecurityGroupRuleId": "sgr-1", "tag": 1, "SecurityGroupRule": inner});
        for updates in [update.clone(), json!([update]), json!({"items": [update]})] {
            let request = json!({"ModifySecurityGroupRulesRequest": {"GroupId": "sg-1", "SecurityGroupRule": updates}});
            let record = record(EC2, "ModifySecurityGroupRules", json!({"requestParameters": request}));
            let found = opened(&record).expect("caught");
            assert_eq!(said(&found), (Severity::Critical, "tcp/22 to 0.0.0.0/0 on sg-1, by changing a rule"));
            assert_eq!(found.resources, ["sg-1", "sgr-1"]);
            assert!(found.lead.why.expect("why").contains("ingress or an egress"));
        }
        let narrow = json!({"ModifySecurityGroupRulesRequest": {"GroupId": "sg-1", "SecurityGroupRule": {
            "SecurityGroupRuleId": "sgr-1", "SecurityGroupRule": {"IpProtocol": "tcp", "CidrIpv4": "10.0.0.0/8"}}}});
        assert!(opened(&record(EC2, "ModifySecurityGroupRules", json!({"requestParameters": narrow}))).is_none());
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
