//! Security groups that let the internet in.

use serde_json::Value;

use super::{EC2, called, first, first_list, graded, is_rehearsal, named, request, response, word};
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
        return if rules.is_empty() { unseen(case, group) } else { None };
    };
    let known = called(group, "a security group");
    let object = format!("{} on {known}{}", sentence(&found), circumstance(case, &found));
    let severity = if is_open_already(case, &found) { worst.severity } else { graded(case, worst.severity) };
    let caught = Catch::new(Deed::new("open", "opened", object)).severity(severity).why(why(case, &found));
    Some(rule_ids(case).into_iter().fold(caught.resource(group), Catch::resource))
}

/// Rules were added that the record does not show: its request is missing or was too large to keep, which is a way to
/// hide an opening. A refused attempt without its request says little, a failed one nothing.
fn unseen(case: &Case<'_>, group: &str) -> Option<Catch> {
    let hidden = case.record.request().is_null() || case.record.request_omitted();
    if !hidden || (case.outcome == Outcome::Failed && !case.record.request_omitted()) {
        return None;
    }
    let object = format!("{}: which ones, the record does not say", called(group, "a security group"));
    let why = "CloudTrail kept no rules of this call. Look at the group itself: an oversized call can hide an opening.";
    let caught = Catch::new(Deed::new("change rules of", "changed rules of", object)).why(why);
    Some(caught.severity(graded(case, Severity::High)).resource(group))
}

fn is_change(case: &Case<'_>) -> bool {
    case.record.action() == "ModifySecurityGroupRules"
}

/// The group's id or name, as the request, the response or the error message says it.
fn group<'c>(case: &'c Case<'_>) -> &'c str {
    let granted = || granted(case).first().map_or("", |rule| first(rule, &["groupId"]));
    match first(request(case), &["groupId", "groupName"]) {
        "" => named(case, granted()),
        asked => asked,
    }
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
pub(super) fn cidrs(rule: &Value) -> Vec<&str> {
    const KEYS: [&str; 5] = ["cidrIp", "cidrIpv4", "cidrIpv6", "cidrIP", "cidr"];
    let nested = ["ipRanges", "ipv6Ranges"].into_iter().flat_map(|key| list(field(rule, key)));
    let named = nested.clone().chain([rule]).flat_map(|range| KEYS.map(|key| text(field(range, key))));
    named.chain(nested.map(text)).filter(|cidr| !cidr.is_empty()).collect()
}

/// Ids of the rules that were changed or made.
fn rule_ids<'c>(case: &'c Case<'_>) -> Vec<&'c str> {
    let updates = first_list(request(case), &["SecurityGroupRule", "SecurityGroupRules"]);
    let ids = updates.into_iter().chain(granted(case)).map(|rule| first(rule, &["securityGroupRuleId"]));
    ids.filter(|id| !id.is_empty()).collect()
}

/// `tcp/22 and 2 more to 0.0.0.0/0`. The first opening is the worst.
pub(super) fn sentence(found: &[Opening]) -> String {
    let Some(worst) = found.first() else { return String::new() };
    let more = if found.len() > 1 { format!(" and {} more", found.len() - 1) } else { String::new() };
    format!("{}{more} to {}", worst.traffic, worst.networks.label())
}

/// AWS says that a rule of the call is there already. The message names its peer; where that is no opening, another
/// rule of the call was there, and the opening was not made.
fn is_open_already(case: &Case<'_>, found: &[Opening]) -> bool {
    let code_says = case.record.error_code.ends_with("InvalidPermission.Duplicate");
    let peer = case.record.error_message().split_once("peer: ").and_then(|(_, rest)| rest.split([',', '"']).next());
    let is_opening = |peer| Networks::from_iter([peer]).openness() > Openness::Narrow;
    code_says && !found.is_empty() && peer.is_none_or(is_opening)
}

/// What the sentence has to say beside who opened what.
fn circumstance(case: &Case<'_>, found: &[Opening]) -> &'static str {
    if is_open_already(case, found) {
        ", which was open already"
    } else if is_rehearsal(case) {
        ", as a dry run"
    } else if is_change(case) {
        ", by changing a rule"
    } else {
        ""
    }
}

fn why(case: &Case<'_>, found: &[Opening]) -> String {
    let mut said = vec![what_it_lets_in(found, case.succeeded() || is_open_already(case, found))];
    if is_change(case) {
        said.push(
            "The record does not say whether this is an ingress or an egress rule: look at the group.".to_owned(),
        );
    }
    if is_open_already(case, found) {
        said.push("AWS answered that the rule was there already: it is open, since before this call.".to_owned());
    }
    if is_rehearsal(case) {
        said.push("Nothing changed, and the caller now knows that it would be allowed.".to_owned());
    }
    said.join(" ")
}

/// Which services stand open, by the names that people know.
pub(super) fn what_it_lets_in(found: &[Opening], done: bool) -> String {
    const SHOWN: usize = 4;
    let named = found.iter().filter(|opening| *opening.traffic.protocol() != Protocol::All);
    let mut services: Vec<&str> = Vec::new();
    for service in named.flat_map(|opening| opening.traffic.services()) {
        if !services.contains(&service) {
            services.push(service);
        }
    }
    let broad = found.first().is_some_and(|opening| opening.openness == Openness::Broad);
    let whom = if broad { "A large part of the internet" } else { "Everybody on the internet" };
    let may = if done { "may connect" } else { "could have connected" };
    match services.len() {
        0 => format!("{whom} {may}."),
        n if n > SHOWN => format!("{whom} {may}: {} and {} more.", services[..SHOWN].join(", "), n - SHOWN),
        _ => format!("{whom} {may}: {}.", services.join(", ")),
    }
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
        assert_eq!(denied.resources, ["sg-7"]);
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
        assert_eq!(denied.lead.why.as_deref(), Some("Everybody on the internet could have connected: SSH."));
        let rehearsed = with("Client.DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
        assert_eq!((rehearsed.lead.severity, rehearsed.lead.outcome), (Severity::Low, Outcome::Failed));
        assert!(rehearsed.lead.deed.object.ends_with("on sg-0a1b, as a dry run"));
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
            assert!(found.lead.deed.object.ends_with("on sg-0a1b, which was open already"));
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
}
