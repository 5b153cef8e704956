//! Ordinary changes to the network, for review.

use serde_json::Value;

use super::security_groups::permissions;
use super::{EC2, first, first_list, is_rehearsal, named, request, response};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::network::{Openness, openings};
use crate::record::Outcome;
use crate::shape::{field, list, texts, truthy};

/// Whatever the monitoring section of CIS asks to see of networks, and what its lists forget. What opens something is
/// left to the detection that says so.
pub(super) static NETWORK_CHANGED: Detection = Detection {
    id: "network-changed",
    title: "Network configuration changed",
    category: Category::Other,
    severity: Severity::Informational,
    techniques: &["T1562.007"],
    controls: &[
        "CIS 7.0 5.10",
        "CIS 7.0 5.11",
        "CIS 7.0 5.12",
        "CIS 7.0 5.13",
        "CIS 7.0 5.14",
        "CIS 3.0 4.10",
        "CIS 3.0 4.11",
        "CIS 3.0 4.12",
        "CIS 3.0 4.13",
        "CIS 3.0 4.14",
        "CloudWatch.10",
        "CloudWatch.11",
        "CloudWatch.12",
        "CloudWatch.13",
        "CloudWatch.14",
    ],
    wants: &[
        Want::Calls(EC2, GROUPS),
        Want::Calls(EC2, ACLS),
        Want::Calls(EC2, GATEWAYS),
        Want::Calls(EC2, ROUTES),
        Want::Calls(EC2, VPCS),
        Want::Calls("elasticache.amazonaws.com", CACHE_GROUPS),
        Want::Calls("rds.amazonaws.com", DB_GROUPS),
        Want::Calls("redshift.amazonaws.com", CLUSTER_GROUPS),
        Want::Calls("elasticloadbalancing.amazonaws.com", LOAD_BALANCERS),
    ],
    check: changed,
    why: "Changes to groups, lists, gateways, routes and VPCs decide who can reach what. Somebody should know each one.",
    runbook: &[
        "Is there a change request or a deployment for it?",
        "Compare the network with its code: drift is a question",
    ],
    // Somebody who builds a network all day is one finding.
    window: 86_400,
    ..Detection::BASE
};

const GROUPS: &[&str] = &[
    "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "RevokeSecurityGroupEgress",
    "CreateSecurityGroup",
    "DeleteSecurityGroup",
    "ModifySecurityGroupRules",
    "UpdateSecurityGroupRuleDescriptionsIngress",
    "UpdateSecurityGroupRuleDescriptionsEgress",
    "AssociateSecurityGroupVpc",
    "DisassociateSecurityGroupVpc",
    "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
    "CreateManagedPrefixList",
    "ModifyManagedPrefixList",
    "DeleteManagedPrefixList",
];
const ACLS: &[&str] = &[
    "CreateNetworkAcl",
    "CreateNetworkAclEntry",
    "DeleteNetworkAcl",
    "DeleteNetworkAclEntry",
    "ReplaceNetworkAclEntry",
    "ReplaceNetworkAclAssociation",
];
const GATEWAYS: &[&str] = &[
    "CreateCustomerGateway",
    "DeleteCustomerGateway",
    "CreateInternetGateway",
    "AttachInternetGateway",
    "DetachInternetGateway",
    "DeleteInternetGateway",
    "CreateEgressOnlyInternetGateway",
    "DeleteEgressOnlyInternetGateway",
    "CreateNatGateway",
    "DeleteNatGateway",
    "CreateVpnGateway",
    "AttachVpnGateway",
    "DetachVpnGateway",
    "DeleteVpnGateway",
    "CreateVpnConnection",
    "ModifyVpnConnection",
    "DeleteVpnConnection",
    "CreateClientVpnEndpoint",
    "ModifyClientVpnEndpoint",
    "AuthorizeClientVpnIngress",
    "CreateTransitGateway",
    "ModifyTransitGateway",
    "DeleteTransitGateway",
    "CreateTransitGatewayVpcAttachment",
    "CreateTransitGatewayPeeringAttachment",
    "AcceptTransitGatewayVpcAttachment",
    "AcceptTransitGatewayPeeringAttachment",
];
const ROUTES: &[&str] = &[
    "CreateRoute",
    "ReplaceRoute",
    "DeleteRoute",
    "CreateRouteTable",
    "DeleteRouteTable",
    "AssociateRouteTable",
    "DisassociateRouteTable",
    "ReplaceRouteTableAssociation",
    "CreateTransitGatewayRoute",
    "ReplaceTransitGatewayRoute",
    "DeleteTransitGatewayRoute",
];
const VPCS: &[&str] = &[
    "CreateVpc",
    "DeleteVpc",
    "CreateDefaultVpc",
    "ModifyVpcAttribute",
    "ModifySubnetAttribute",
    "CreateVpcPeeringConnection",
    "AcceptVpcPeeringConnection",
    "RejectVpcPeeringConnection",
    "DeleteVpcPeeringConnection",
    "ModifyVpcPeeringConnectionOptions",
    "AttachClassicLinkVpc",
    "DetachClassicLinkVpc",
    "EnableVpcClassicLink",
    "DisableVpcClassicLink",
    "CreateVpcEndpoint",
    "ModifyVpcEndpoint",
    "DeleteVpcEndpoints",
    "ModifyVpcBlockPublicAccessOptions",
    "DeleteVpcBlockPublicAccessExclusion",
    "DeleteTrafficMirrorSession",
    "DeleteTrafficMirrorTarget",
    "DeleteTrafficMirrorFilter",
    "DeleteTrafficMirrorFilterRule",
];
const CACHE_GROUPS: &[&str] = &[
    "AuthorizeCacheSecurityGroupIngress",
    "RevokeCacheSecurityGroupIngress",
    "CreateCacheSecurityGroup",
    "DeleteCacheSecurityGroup",
];
const DB_GROUPS: &[&str] = &[
    "AuthorizeDBSecurityGroupIngress",
    "RevokeDBSecurityGroupIngress",
    "CreateDBSecurityGroup",
    "DeleteDBSecurityGroup",
];
const CLUSTER_GROUPS: &[&str] = &[
    "AuthorizeClusterSecurityGroupIngress",
    "RevokeClusterSecurityGroupIngress",
    "CreateClusterSecurityGroup",
    "DeleteClusterSecurityGroup",
];
const LOAD_BALANCERS: &[&str] = &["ApplySecurityGroupsToLoadBalancer", "SetSecurityGroups"];

/// One run of a deployment is one finding: the actor is the key.
fn changed(case: &Case<'_>) -> Option<Catch> {
    if is_service(case) || !is_of_the_network(case) || is_caught_elsewhere(case) {
        return None;
    }
    let (deed, resource) = deed(case);
    Some(Catch::new(deed).severity(severity(case)).resource(resource).key(case.actor.key()))
}

/// A service on its own, or through the role that it made for itself.
fn is_service(case: &Case<'_>) -> bool {
    case.actor.kind == "AWSService"
        || case.actor.role.starts_with("AWSServiceRoleFor")
        || case.actor.issuer_arn.contains(":role/aws-service-role/")
}

/// Calls that change one of many attributes matter only for a few of these.
fn is_of_the_network(case: &Case<'_>) -> bool {
    match case.record.action() {
        "ModifyInstanceAttribute" | "ModifyNetworkInterfaceAttribute" => !groups(case).is_empty(),
        "ModifySubnetAttribute" => truthy(value_of(field(request(case), "mapPublicIpOnLaunch"))),
        _ => true,
    }
}

/// The security groups that something is given.
fn groups<'c>(case: &'c Case<'_>) -> Vec<&'c Value> {
    first_list(request(case), &["groupSet", "groups", "securityGroupId"])
}

/// `{"value": true}` is how EC2 records one attribute.
fn value_of(attribute: &Value) -> &Value {
    Some(field(attribute, "value")).filter(|value| !value.is_null()).unwrap_or(attribute)
}

fn is_caught_elsewhere(case: &Case<'_>) -> bool {
    let others = super::ALL.iter().filter(|other| other.id != NETWORK_CHANGED.id);
    let mut wanting = others.filter(|other| other.wants.iter().any(|want| want.wants(case.record)));
    wanting.any(|other| (other.check)(case).is_some())
}

fn severity(case: &Case<'_>) -> Severity {
    match case.outcome {
        Outcome::Denied => Severity::Low,
        Outcome::Failed if !is_rehearsal(case) => Severity::Informational,
        _ if is_notable(case) => Severity::Low,
        _ => Severity::Informational,
    }
}

/// Whatever widens who may talk to whom without opening it to the world. New groups let everything out by default, so
/// that egress is ordinary but worth a line.
fn is_notable(case: &Case<'_>) -> bool {
    match case.record.action() {
        "AuthorizeSecurityGroupEgress" => {
            openings(&permissions(request(case))).iter().any(|opening| opening.openness == Openness::Open)
        }
        "DeleteNetworkAclEntry"
        | "DeleteNetworkAcl"
        | "ReplaceNetworkAclAssociation"
        | "AttachInternetGateway"
        | "ModifyInstanceAttribute"
        | "ModifyNetworkInterfaceAttribute"
        | "ModifySubnetAttribute"
        | "CreateDefaultVpc"
        | "CreateVpcPeeringConnection"
        | "AcceptVpcPeeringConnection"
        | "AcceptTransitGatewayPeeringAttachment"
        | "AcceptTransitGatewayVpcAttachment"
        | "AuthorizeClientVpnIngress"
        | "AuthorizeCacheSecurityGroupIngress"
        | "ApplySecurityGroupsToLoadBalancer"
        | "SetSecurityGroups"
        | "EnableVpcClassicLink"
        | "AttachClassicLinkVpc" => true,
        _ => false,
    }
}

fn deed<'c>(case: &'c Case<'_>) -> (Deed, &'c str) {
    let id = named(case, resource(case));
    match case.record.action() {
        "ModifyInstanceAttribute" | "ModifyNetworkInterfaceAttribute" => {
            let given: Vec<_> = groups(case).into_iter().map(group_id).collect();
            let object = format!("{id} the security groups {}", given.join(", "));
            (Deed::new("give", "gave", object), id)
        }
        action => {
            let (verb, past, noun) = in_words(action);
            (Deed::new(&verb, past, format!("{noun} {id}").trim_end()), id)
        }
    }
}

fn group_id(group: &Value) -> &str {
    match first(group, &["groupId", "groupName"]) {
        "" => texts(group).first().copied().unwrap_or("?"),
        id => id,
    }
}

/// `CreateRouteTable` as `create`, `created`, `route table`.
fn in_words(action: &str) -> (String, &'static str, String) {
    const PAST: [(&str, &str); 18] = [
        ("Accept", "accepted"),
        ("Apply", "applied"),
        ("Associate", "associated"),
        ("Attach", "attached"),
        ("Authorize", "authorized"),
        ("Create", "created"),
        ("Delete", "deleted"),
        ("Detach", "detached"),
        ("Disable", "disabled"),
        ("Disassociate", "disassociated"),
        ("Enable", "enabled"),
        ("Modify", "modified"),
        ("Reject", "rejected"),
        ("Replace", "replaced"),
        ("Restore", "restored"),
        ("Revoke", "revoked"),
        ("Set", "set"),
        ("Update", "updated"),
    ];
    let known = PAST.iter().find_map(|(verb, past)| Some((*verb, *past, action.strip_prefix(verb)?)));
    let (verb, past, noun) = known.unwrap_or(("Call", "called", action));
    (verb.to_ascii_lowercase(), past, spaced(noun))
}

/// `NetworkAclEntry` as `network ACL entry`: a word begins at a capital beside a small letter.
fn spaced(noun: &str) -> String {
    let letters: Vec<char> = noun.chars().collect();
    let is_small = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|letter| letter.is_lowercase());
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        if letter.is_uppercase() && at > 0 && (is_small(at.checked_sub(1)) || is_small(Some(at + 1))) {
            words.push(String::new());
        }
        words.last_mut().into_iter().for_each(|word| word.push(*letter));
    }
    let told = |word: String| match word.as_str() {
        "Vpc" | "Acl" | "Nat" | "Vpn" | "DB" => word.to_ascii_uppercase(),
        _ => word.to_ascii_lowercase(),
    };
    words.into_iter().map(told).collect::<Vec<_>>().join(" ")
}

/// What was changed, from the narrowest to the widest: request first, then what the response says was made.
fn resource<'c>(case: &'c Case<'_>) -> &'c str {
    let asked = first(request(case), IDS);
    if !asked.is_empty() {
        return asked;
    }
    let response = response(case);
    let made = response.as_object().into_iter().flat_map(|map| map.values()).chain([response]);
    let id = made.map(|made| first(made, IDS)).find(|id| !id.is_empty());
    let several = || list(field(request(case), "vpcEndpointId")).first().map_or("", |id| group_id(id));
    id.unwrap_or_else(several)
}

const IDS: &[&str] = &[
    "instanceId",
    "networkInterfaceId",
    "groupId",
    "prefixListId",
    "networkAclId",
    "routeTableId",
    "transitGatewayRouteTableId",
    "internetGatewayId",
    "egressOnlyInternetGatewayId",
    "natGatewayId",
    "customerGatewayId",
    "vpnConnectionId",
    "vpnGatewayId",
    "clientVpnEndpointId",
    "transitGatewayAttachmentId",
    "transitGatewayId",
    "vpcPeeringConnectionId",
    "vpcEndpointId",
    "exclusionId",
    "trafficMirrorSessionId",
    "trafficMirrorTargetId",
    "trafficMirrorFilterRuleId",
    "trafficMirrorFilterId",
    "associationId",
    "subnetId",
    "vpcId",
    "groupName",
    "cacheSecurityGroupName",
    "dBSecurityGroupName",
    "clusterSecurityGroupName",
    "loadBalancerName",
    "loadBalancerArn",
    "prefixListName",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Match;
    use crate::testing::{caught, record};
    use serde_json::json;

    fn review(name: &str, request: &Value) -> Option<Match> {
        caught(&NETWORK_CHANGED, &record(EC2, name, json!({"requestParameters": request})))
    }

    fn said(found: &Match) -> (Severity, String) {
        (found.lead.severity, format!("{} {}", found.lead.deed.past, found.lead.deed.object))
    }

    #[test]
    fn ordinary_changes_are_told_in_words() {
        for (name, request, sentence) in [
            ("CreateRouteTable", json!({"vpcId": "vpc-1"}), "created route table vpc-1"),
            (
                "DeleteRoute",
                json!({"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}),
                "deleted route rtb-1",
            ),
            ("CreateNetworkAcl", json!({"vpcId": "vpc-1"}), "created network ACL vpc-1"),
            (
                "DeleteNatGateway",
                json!({"DeleteNatGatewayRequest": {"NatGatewayId": "nat-1"}}),
                "deleted NAT gateway nat-1",
            ),
            ("RevokeSecurityGroupIngress", json!({"groupId": "sg-1"}), "revoked security group ingress sg-1"),
            ("ModifyVpcAttribute", json!({"vpcId": "vpc-1"}), "modified VPC attribute vpc-1"),
        ] {
            let found = review(name, &request).unwrap_or_else(|| panic!("caught {name}"));
            assert_eq!(said(&found), (Severity::Informational, sentence.to_owned()));
        }
        let made =
            json!({"requestParameters": {"cidrBlock": "10.0.0.0/16"}, "responseElements": {"vpc": {"vpcId": "vpc-9"}}});
        let made = caught(&NETWORK_CHANGED, &record(EC2, "CreateVpc", made)).expect("caught");
        assert_eq!(made.lead.deed.object, "VPC vpc-9");
    }

    #[test]
    fn every_change_that_cis_lists_is_seen() {
        let cis = "AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress RevokeSecurityGroupEgress CreateSecurityGroup \
            DeleteSecurityGroup CreateNetworkAcl CreateNetworkAclEntry DeleteNetworkAcl DeleteNetworkAclEntry \
            ReplaceNetworkAclEntry ReplaceNetworkAclAssociation CreateCustomerGateway DeleteCustomerGateway \
            AttachInternetGateway CreateInternetGateway DeleteInternetGateway DetachInternetGateway CreateRoute \
            CreateRouteTable ReplaceRoute ReplaceRouteTableAssociation DeleteRouteTable DeleteRoute \
            DisassociateRouteTable CreateVpc DeleteVpc ModifyVpcAttribute AcceptVpcPeeringConnection \
            CreateVpcPeeringConnection DeleteVpcPeeringConnection RejectVpcPeeringConnection AttachClassicLinkVpc \
            DetachClassicLinkVpc DisableVpcClassicLink EnableVpcClassicLink";
        for name in cis.split_whitespace() {
            assert!(review(name, &json!({})).is_some(), "{name}");
        }
    }

    #[test]
    fn one_run_of_a_deployment_is_one_finding() {
        let keys: std::collections::BTreeSet<_> = ["CreateVpc", "CreateRouteTable", "CreateSecurityGroup"]
            .iter()
            .map(|name| review(name, &json!({"vpcId": "vpc-1"})).expect("caught").key)
            .collect();
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn egress_to_the_world_is_low_at_most() {
        let permission = |cidr: &str| {
            json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "-1",
            "ipRanges": {"items": [{"cidrIp": cidr}]}}]}})
        };
        let world = review("AuthorizeSecurityGroupEgress", &permission("0.0.0.0/0")).expect("caught");
        assert_eq!(world.lead.severity, Severity::Low);
        let inside = review("AuthorizeSecurityGroupEgress", &permission("10.0.0.0/8")).expect("caught");
        assert_eq!(inside.lead.severity, Severity::Informational);
    }

    #[test]
    fn what_opens_something_is_left_to_its_own_detection() {
        let open = json!({"groupId": "sg-1", "cidrIp": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22});
        assert!(review("AuthorizeSecurityGroupIngress", &open).is_none());
        let closed =
            json!({"groupId": "sg-1", "cidrIp": "10.0.0.0/8", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22});
        assert!(review("AuthorizeSecurityGroupIngress", &closed).is_some());
        let route = json!({"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"});
        assert!(review("CreateRoute", &route).is_none());
    }

    #[test]
    fn an_instance_that_changes_groups_is_for_review_and_its_other_attributes_are_not() {
        let groups = json!({"instanceId": "i-1", "groupSet": {"items": [{"groupId": "sg-1"}, {"groupId": "sg-2"}]}});
        let found = review("ModifyInstanceAttribute", &groups).expect("caught");
        assert_eq!(said(&found), (Severity::Low, "gave i-1 the security groups sg-1, sg-2".to_owned()));
        let other = json!({"instanceId": "i-1", "disableApiTermination": {"value": false}});
        assert!(review("ModifyInstanceAttribute", &other).is_none());
        assert!(
            review("ModifySubnetAttribute", &json!({"subnetId": "s-1", "mapPublicIpOnLaunch": {"value": true}}))
                .is_some()
        );
        assert!(
            review("ModifySubnetAttribute", &json!({"subnetId": "s-1", "mapPublicIpOnLaunch": {"value": false}}))
                .is_none()
        );
    }

    #[test]
    fn services_do_not_cry_wolf() {
        let service = json!({"userIdentity": {"type": "AWSService", "invokedBy": "elasticmapreduce.amazonaws.com"}});
        assert!(caught(&NETWORK_CHANGED, &record(EC2, "CreateSecurityGroup", service)).is_none());
        let linked = json!({"userIdentity": {"type": "AssumedRole",
            "arn": "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAmazonEKS/x"}});
        assert!(caught(&NETWORK_CHANGED, &record(EC2, "AuthorizeSecurityGroupIngress", linked)).is_none());
    }

    #[test]
    fn a_refused_change_is_low() {
        let denied = json!({"errorCode": "Client.UnauthorizedOperation", "requestParameters": {"vpcId": "vpc-1"}});
        let denied = caught(&NETWORK_CHANGED, &record(EC2, "DeleteVpc", denied)).expect("caught");
        assert_eq!((denied.lead.severity, denied.lead.deed.object.as_str()), (Severity::Low, "VPC vpc-1"));
    }

    #[test]
    fn acronyms_keep_their_capitals() {
        assert_eq!(in_words("AuthorizeDBSecurityGroupIngress").2, "DB security group ingress");
        assert_eq!(in_words("DeleteNetworkAclEntry").2, "network ACL entry");
        assert_eq!(in_words("Strange").2, "strange");
    }
}
