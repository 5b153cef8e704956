//! Ways into and out of a VPC: the block on public access, routes, mirrors, peerings.

use super::{EC2, called, first, graded, named, request, response};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::network::{Networks, Openness};
use crate::shape::{at, field, text};

/// The block on public access of a whole Region is lifted, or a VPC or subnet is excepted from it.
pub(super) static PUBLIC_ACCESS_BLOCK_WEAKENED: Detection = Detection {
    id: "vpc-public-access-block-weakened",
    title: "VPC block public access turned off or excepted from",
    category: Category::NetworkExposure,
    severity: Severity::High,
    techniques: &["T1562.007"],
    controls: &["CIS 7.0 5.14"],
    wants: &[Want::Calls(
        EC2,
        &[
            "ModifyVpcBlockPublicAccessOptions",
            "CreateVpcBlockPublicAccessExclusion",
            "ModifyVpcBlockPublicAccessExclusion",
        ],
    )],
    check: block_weakened,
    why: "This block kept the internet out of every VPC of the Region, whatever their routes and security groups say. \
          They alone decide now.",
    runbook: &[
        "Read what is in force: aws ec2 describe-vpc-block-public-access-options, and the exclusions",
        "Ask the actor; turn it on again until you know",
        "Look for what could be reached meanwhile: public addresses behind open security groups",
    ],
    ..Detection::BASE
};

fn block_weakened(case: &Case<'_>) -> Option<Catch> {
    if case.record.action() == "ModifyVpcBlockPublicAccessOptions" { block_off(case) } else { block_excepted(case) }
}

fn block_off(case: &Case<'_>) -> Option<Catch> {
    let mode = text(field(request(case), "internetGatewayBlockMode"));
    let unknown = mode.is_empty() && !is_plain_failure(case);
    if !unknown && !mode.eq_ignore_ascii_case("off") {
        return None;
    }
    let (verb, past) = if unknown { ("change", "changed") } else { ("turn off", "turned off") };
    let deed = Deed::new(verb, past, format!("the VPC public access block of {}", case.record.region));
    let region = case.record.region.to_string();
    Some(Catch::new(deed).severity(graded(case, Severity::High)).resource(region))
}

/// An exclusion for outbound traffic alone lets nobody in.
fn block_excepted(case: &Case<'_>) -> Option<Catch> {
    let request = request(case);
    if is_plain_failure(case) && request.is_null() {
        return None;
    }
    let outbound = text(field(request, "internetGatewayExclusionMode")).eq_ignore_ascii_case("allow-egress");
    let severity = if outbound { Severity::Medium } else { Severity::High };
    let id = named(case, first(request, &["vpcId", "subnetId", "exclusionId"]));
    let way = if outbound { ", outbound only" } else { "" };
    let object = format!("{} from the VPC public access block{way}", called(id, "a VPC or subnet"));
    Some(Catch::new(Deed::new("except", "excepted", object)).severity(graded(case, severity)).resource(id))
}

/// Failed for another reason than a refusal.
fn is_plain_failure(case: &Case<'_>) -> bool {
    case.outcome == crate::record::Outcome::Failed
}

/// A route leads everywhere through an internet gateway: the subnets of that table are public.
pub(super) static INTERNET_ROUTE_ADDED: Detection = Detection {
    id: "vpc-internet-route-added",
    title: "Route to an internet gateway added",
    category: Category::NetworkExposure,
    severity: Severity::Medium,
    techniques: &["T1562.007", "T1578.005"],
    controls: &["CIS 7.0 5.13", "CIS 3.0 4.13", "CloudWatch.13"],
    wants: &[Want::Calls(EC2, &["CreateRoute", "ReplaceRoute"])],
    check: internet_route,
    why: "Subnets that use this route table are public: what has a public address there can be reached, as far as \
          security groups allow.",
    runbook: &[
        "Find the subnets of the table: aws ec2 describe-route-tables --route-table-ids <table>",
        "A new VPC being built: nothing to do. Private subnets: ask the actor, delete the route",
    ],
    ..Detection::BASE
};

/// Building a VPC adds a route for each table: one finding for one actor.
fn internet_route(case: &Case<'_>) -> Option<Catch> {
    let request = request(case);
    let gateway = first(request, &["gatewayId"]);
    let networks = ["destinationCidrBlock", "destinationIpv6CidrBlock"].map(|key| text(field(request, key)));
    let networks: Networks = networks.into_iter().collect();
    if !gateway.starts_with("igw-") || networks.openness() == Openness::Narrow {
        return None;
    }
    let table = named(case, first(request, &["routeTableId"]));
    let object = format!("{} from {} to {gateway}", networks.label(), called(table, "a route table"));
    let caught = Catch::new(Deed::new("route", "routed", object)).severity(graded(case, Severity::Medium));
    Some(caught.resource(table).resource(gateway).key(case.actor.key()))
}

/// Copies of packets are sent elsewhere.
pub(super) static TRAFFIC_MIRRORED: Detection = Detection {
    id: "vpc-traffic-mirrored",
    title: "VPC traffic mirroring set up or changed",
    category: Category::Exfiltration,
    severity: Severity::High,
    techniques: &["T1040", "T1020.001"],
    controls: &[],
    wants: &[Want::Calls(
        EC2,
        &[
            "CreateTrafficMirrorSession",
            "CreateTrafficMirrorTarget",
            "CreateTrafficMirrorFilter",
            "CreateTrafficMirrorFilterRule",
            "ModifyTrafficMirrorSession",
            "ModifyTrafficMirrorFilterRule",
            "ModifyTrafficMirrorFilterNetworkServices",
        ],
    )],
    check: mirrored,
    why: "Whoever mirrors an interface reads all its traffic, with whatever passes unencrypted behind the load balancer.",
    runbook: &[
        "Find source and target: aws ec2 describe-traffic-mirror-sessions, describe-traffic-mirror-targets",
        "A known inspection appliance in an account of ours? If not, delete the session",
        "Ask the actor; treat secrets that crossed the interface as read",
    ],
    ..Detection::BASE
};

/// A mirror takes several calls: one finding for one actor.
fn mirrored(case: &Case<'_>) -> Option<Catch> {
    if case.actor.kind == "AWSService" {
        return None;
    }
    let request = request(case);
    let source = first(request, &["networkInterfaceId"]);
    let target = first(request, &["trafficMirrorTargetId", "networkLoadBalancerArn"]);
    let part = first(request, &["trafficMirrorSessionId", "trafficMirrorFilterId", "trafficMirrorFilterRuleId"]);
    let object = if case.record.action() == "CreateTrafficMirrorSession" {
        format!("traffic of {} to {}", called(source, "an interface"), called(target, "a target"))
    } else {
        format!("VPC traffic ({})", case.record.action())
    };
    let caught = Catch::new(Deed::new("mirror", "set up mirroring of", object)).severity(graded(case, Severity::High));
    Some(caught.resource(source).resource(target).resource(part).key(case.actor.key()))
}

/// A VPC is joined to one of an account that nobody listed as ours.
pub(super) static FOREIGN_PEERING: Detection = Detection {
    id: "vpc-peering-with-foreign-account",
    title: "VPC peering with an account that is not ours",
    category: Category::Other,
    severity: Severity::Medium,
    techniques: &["T1599"],
    controls: &["CIS 7.0 5.14", "CIS 3.0 4.14", "CloudWatch.14"],
    wants: &[Want::Calls(EC2, &["CreateVpcPeeringConnection", "AcceptVpcPeeringConnection"])],
    check: foreign_peering,
    why: "A peering is a private way between two networks, past every internet gateway and most monitoring.",
    runbook: &[
        "Whose account is the other side? Ours: list it in the settings",
        "Find the routes that use the peering, and the security groups that allow its networks",
        "Not ours and not agreed: delete the peering",
    ],
    ..Detection::BASE
};

fn foreign_peering(case: &Case<'_>) -> Option<Catch> {
    let connection = field(response(case), "vpcPeeringConnection");
    let sides = [
        first(request(case), &["peerOwnerId"]),
        text(at(connection, &["requesterVpcInfo", "ownerId"])),
        text(at(connection, &["accepterVpcInfo", "ownerId"])),
    ];
    let foreign = |account: &&str| !account.is_empty() && *account != case.account && !case.settings.is_ours(account);
    let other = sides.into_iter().find(foreign)?;
    let accepts = case.record.action().starts_with("Accept");
    let (verb, past) = if accepts { ("accept", "accepted") } else { ("request", "requested") };
    let ids = [first(request(case), &["vpcPeeringConnectionId"]), first(connection, &["vpcPeeringConnectionId"])];
    let id = ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
    let deed = Deed::new(verb, past, format!("a VPC peering with account {other}, which is not known as ours"));
    Some(Catch::new(deed).severity(graded(case, Severity::Medium)).resource(id).resource(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::settings::{Account, Settings};
    use crate::testing::{caught, caught_with, record};
    use serde_json::{Value, json};

    fn said(found: &Match) -> (Severity, String) {
        (found.lead.severity, format!("{} {}", found.lead.deed.past, found.lead.deed.object))
    }

    fn block(name: &str, body: &Value) -> Option<Match> {
        let wrapper = format!("{name}Request");
        caught(&PUBLIC_ACCESS_BLOCK_WEAKENED, &record(EC2, name, json!({"requestParameters": {wrapper: body}})))
    }

    #[test]
    fn turning_the_block_off_or_excepting_from_it_is_high() {
        let off =
            block("ModifyVpcBlockPublicAccessOptions", &json!({"InternetGatewayBlockMode": "off"})).expect("caught");
        assert_eq!(said(&off), (Severity::High, "turned off the VPC public access block of eu-west-1".to_owned()));
        let body = json!({"VpcId": "vpc-1", "InternetGatewayExclusionMode": "allow-bidirectional"});
        let excepted = block("CreateVpcBlockPublicAccessExclusion", &body).expect("caught");
        assert_eq!(said(&excepted), (Severity::High, "excepted vpc-1 from the VPC public access block".to_owned()));
        let body = json!({"ExclusionId": "vpcbpa-exclude-1", "InternetGatewayExclusionMode": "allow-egress"});
        let outbound = block("ModifyVpcBlockPublicAccessExclusion", &body).expect("caught");
        assert_eq!(outbound.lead.severity, Severity::Medium);
    }

    #[test]
    fn turning_the_block_on_is_quiet() {
        for mode in ["block-bidirectional", "block-ingress"] {
            assert!(block("ModifyVpcBlockPublicAccessOptions", &json!({"InternetGatewayBlockMode": mode})).is_none());
        }
    }

    #[test]
    fn a_refused_attempt_without_its_request_still_counts() {
        let denied = json!({"errorCode": "Client.UnauthorizedOperation"});
        let denied = caught(&PUBLIC_ACCESS_BLOCK_WEAKENED, &record(EC2, "ModifyVpcBlockPublicAccessOptions", denied));
        assert_eq!(denied.expect("caught").lead.severity, Severity::Medium);
    }

    fn route(request: &Value) -> Option<Match> {
        caught(&INTERNET_ROUTE_ADDED, &record(EC2, "CreateRoute", json!({"requestParameters": request})))
    }

    #[test]
    fn a_default_route_to_an_internet_gateway_is_medium_and_one_finding_for_one_actor() {
        let v4 = json!({"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"});
        let v6 = json!({"routeTableId": "rtb-2", "destinationIpv6CidrBlock": "::/0", "gatewayId": "igw-1"});
        let (v4, v6) = (route(&v4).expect("caught"), route(&v6).expect("caught"));
        assert_eq!(said(&v4), (Severity::Medium, "routed 0.0.0.0/0 from rtb-1 to igw-1".to_owned()));
        assert_eq!(v4.key, v6.key);
    }

    #[test]
    fn routes_to_elsewhere_are_quiet() {
        for request in [
            json!({"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}),
            json!({"routeTableId": "rtb-1", "destinationCidrBlock": "10.0.0.0/8", "gatewayId": "igw-1"}),
            json!({"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "vgw-1"}),
            json!({"routeTableId": "rtb-1", "destinationIpv6CidrBlock": "::/0", "egressOnlyInternetGatewayId": "eigw-1"}),
        ] {
            assert!(route(&request).is_none(), "{request}");
        }
    }

    #[test]
    fn mirroring_traffic_is_high() {
        let request = json!({"CreateTrafficMirrorSessionRequest": {"NetworkInterfaceId": "eni-1", "TrafficMirrorTargetId": "tmt-1",
            "TrafficMirrorFilterId": "tmf-1", "SessionNumber": 1}});
        let session = record(EC2, "CreateTrafficMirrorSession", json!({"requestParameters": request}));
        let found = caught(&TRAFFIC_MIRRORED, &session).expect("caught");
        assert_eq!(said(&found), (Severity::High, "set up mirroring of traffic of eni-1 to tmt-1".to_owned()));
        let target =
            json!({"requestParameters": {"CreateTrafficMirrorTargetRequest": {"NetworkInterfaceId": "eni-2"}}});
        let target = caught(&TRAFFIC_MIRRORED, &record(EC2, "CreateTrafficMirrorTarget", target)).expect("caught");
        assert_eq!(target.key, found.key, "a mirror takes several calls");
        assert!(caught(&TRAFFIC_MIRRORED, &record(EC2, "DescribeTrafficMirrorSessions", json!({}))).is_none());
        let service = json!({"userIdentity": {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}});
        assert!(caught(&TRAFFIC_MIRRORED, &record(EC2, "CreateTrafficMirrorFilter", service)).is_none());
    }

    #[test]
    fn a_peering_with_an_unknown_account_is_medium() {
        let request =
            json!({"requestParameters": {"vpcId": "vpc-1", "peerVpcId": "vpc-2", "peerOwnerId": "999988887777"}});
        let asked = record(EC2, "CreateVpcPeeringConnection", request);
        assert_eq!(caught(&FOREIGN_PEERING, &asked).expect("caught").lead.severity, Severity::Medium);
        let accounts = [("999988887777".to_owned(), Account::default())].into();
        let settings = Settings { accounts, ..Settings::default() };
        assert!(caught_with(settings, &FOREIGN_PEERING, &asked).is_none(), "listed as ours");
        let own = json!({"requestParameters": {"vpcId": "vpc-1", "peerVpcId": "vpc-2"}, "responseElements": {
            "vpcPeeringConnection": {"requesterVpcInfo": {"ownerId": "111122223333"}, "accepterVpcInfo": {"ownerId": "111122223333"}}}});
        assert!(caught(&FOREIGN_PEERING, &record(EC2, "CreateVpcPeeringConnection", own)).is_none());
    }
}
