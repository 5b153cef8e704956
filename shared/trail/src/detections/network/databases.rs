//! Databases and clusters that the internet can reach.

use serde_json::Value;

use super::{called, first, graded, named, request};
use crate::detection::{Case, Catch, Category, Deed, Detection, Severity, Want};
use crate::network::{Networks, Openness};
use crate::shape::{at, falsy, field, list, text, texts, truthy};

const RDS: &str = "rds.amazonaws.com";
const REDSHIFT: &str = "redshift.amazonaws.com";

/// A firewall of databases outside a VPC lets the world in.
pub(super) static DATABASE_SECURITY_GROUP_OPENED: Detection = Detection {
    id: "database-security-group-opened",
    title: "Database security group opened to the internet",
    category: Category::NetworkExposure,
    severity: Severity::Critical,
    techniques: &["T1562.007", "T1190"],
    controls: &[],
    wants: &[
        Want::Calls(RDS, &["AuthorizeDBSecurityGroupIngress"]),
        Want::Calls(REDSHIFT, &["AuthorizeClusterSecurityGroupIngress"]),
    ],
    check: group_opened,
    why: "The database's own port is open to everybody: only its passwords are left.",
    runbook: &[
        "Find which databases carry the group; close it: revoke the ingress of that network",
        "Ask the actor what it is for",
        "Look at the database's own log of connections since the time of the change",
    ],
    ..Detection::BASE
};

fn group_opened(case: &Case<'_>) -> Option<Catch> {
    let request = request(case);
    let networks: Networks = [first(request, &["cIDRIP", "cidrIp", "cidrip"])].into_iter().collect();
    let severity = match networks.openness() {
        Openness::Open => Severity::Critical,
        Openness::Broad => Severity::High,
        Openness::Narrow => return None,
    };
    let group = named(case, first(request, &["dBSecurityGroupName", "clusterSecurityGroupName"]));
    let object = format!("{} to {}", called(group, "a database security group"), networks.label());
    Some(Catch::new(Deed::new("open", "opened", object)).severity(graded(case, severity)).resource(group))
}

/// A database, cluster, replica, broker or replication server is made with a public address, or gets one.
pub(super) static DATABASE_PUBLIC: Detection = Detection {
    id: "database-made-public",
    title: "Database created or made publicly accessible",
    category: Category::NetworkExposure,
    severity: Severity::High,
    techniques: &["T1133", "T1190"],
    controls: &["RDS.2", "Redshift.1", "DMS.1"],
    wants: &[
        // Neptune and DocumentDB are recorded under the names and the source of RDS.
        Want::Calls(
            RDS,
            &[
                "CreateDBInstance",
                "CreateDBInstanceReadReplica",
                "ModifyDBInstance",
                "RestoreDBInstanceFromDBSnapshot",
                "RestoreDBInstanceFromS3",
                "RestoreDBInstanceToPointInTime",
                "CreateDBCluster",
                "ModifyDBCluster",
                "RestoreDBClusterFromSnapshot",
                "RestoreDBClusterFromS3",
                "RestoreDBClusterToPointInTime",
            ],
        ),
        Want::Calls(REDSHIFT, &["CreateCluster", "ModifyCluster", "RestoreFromClusterSnapshot"]),
        Want::Calls("redshift-serverless.amazonaws.com", &["CreateWorkgroup", "UpdateWorkgroup"]),
        Want::Calls("dms.amazonaws.com", &["CreateReplicationInstance"]),
        Want::Calls("mq.amazonaws.com", &["CreateBroker"]),
        Want::Calls("kafka.amazonaws.com", &["UpdateConnectivity"]),
        Want::Calls("timestream-influxdb.amazonaws.com", &["CreateDbInstance", "CreateDbCluster"]),
        Want::Calls("neptune-graph.amazonaws.com", &["CreateGraph", "UpdateGraph", "RestoreGraphFromSnapshot"]),
        Want::Calls(
            "lightsail.amazonaws.com",
            &["CreateRelationalDatabase", "CreateRelationalDatabaseFromSnapshot", "UpdateRelationalDatabase"],
        ),
    ],
    check: database_public,
    why: "A database with a public address is one security group away from everybody, and its passwords the last guard.",
    runbook: &[
        "Take the public address away: modify it with no public access",
        "Look at its security groups: who could reach it since then?",
        "Ask the actor; look at what was restored into it and at the database's log of connections",
    ],
    ..Detection::BASE
};

fn database_public(case: &Case<'_>) -> Option<Catch> {
    if !is_public(case) {
        return None;
    }
    let name = named(case, database(request(case)));
    let known = called(name, "of unknown name");
    let deed = match case.record.action() {
        action if action.starts_with("Create") => Deed::new("create publicly", "created publicly", accessible(known)),
        action if action.starts_with("Restore") => {
            Deed::new("restore publicly", "restored publicly", accessible(known))
        }
        _ => Deed::new("make", "made", format!("database {known} publicly accessible")),
    };
    Some(Catch::new(deed).severity(graded(case, Severity::High)).resource(name))
}

fn accessible(name: &str) -> String {
    format!("accessible database {name}")
}

/// Asked for; or, where something new was made and the request leaves it open, what AWS chose: the default depends on
/// the subnets. An existing database that merely still is public was not made so by this call.
fn is_public(case: &Case<'_>) -> bool {
    const KEYS: [&str; 2] = ["publiclyAccessible", "publicConnectivity"];
    let request = request(case);
    let changes = case.record.action().starts_with("Modify") || case.record.action().starts_with("Update");
    let asked = KEYS.map(|key| field(request, key));
    let brokers = text(at(request, &["connectivityInfo", "publicAccess", "type"]));
    if asked.into_iter().any(truthy) || brokers == "SERVICE_PROVIDED_EIPS" {
        return true;
    }
    let refused = asked.into_iter().any(falsy);
    !changes && !refused && KEYS.iter().any(|key| in_response(case.record.response(), key))
}

/// Services put what they made at the top of the response, or one level below.
fn in_response(response: &Value, key: &str) -> bool {
    let below = response.as_object().into_iter().flat_map(|map| map.values());
    below.chain([response]).any(|made| truthy(field(made, key)))
}

fn database(request: &Value) -> &str {
    const KEYS: [&str; 13] = [
        "dBInstanceIdentifier",
        "targetDBInstanceIdentifier",
        "dBClusterIdentifier",
        "clusterIdentifier",
        "workgroupName",
        "replicationInstanceIdentifier",
        "brokerName",
        "relationalDatabaseName",
        "graphName",
        "graphIdentifier",
        "dbInstanceName",
        "name",
        "clusterArn",
    ];
    first(request, &KEYS)
}

/// The API server of a Kubernetes cluster can be reached from anywhere.
pub(super) static CLUSTER_ENDPOINT_PUBLIC: Detection = Detection {
    id: "eks-endpoint-public",
    title: "EKS API endpoint open to the internet",
    category: Category::NetworkExposure,
    severity: Severity::High,
    techniques: &["T1133"],
    controls: &["EKS.1"],
    wants: &[Want::Calls("eks.amazonaws.com", &["CreateCluster", "UpdateClusterConfig"])],
    check: endpoint_public,
    why: "Everybody can talk to the cluster's API: a leaked token or kubeconfig is enough to run containers in it.",
    runbook: &[
        "Read it: aws eks describe-cluster --name <cluster> --query cluster.resourcesVpcConfig",
        "Narrow publicAccessCidrs to the networks that need it, or turn the public endpoint off",
        "Not meant: look at the cluster's audit log since the change",
    ],
    ..Detection::BASE
};

/// Public with no networks named means the whole world; so does a new cluster of which nothing is said.
fn endpoint_public(case: &Case<'_>) -> Option<Catch> {
    let request = request(case);
    let config = field(request, "resourcesVpcConfig");
    let creates = case.record.action() == "CreateCluster";
    let asked = field(config, "endpointPublicAccess");
    let cidrs = list(field(config, "publicAccessCidrs"));
    if falsy(asked) || (request.is_null() && !case.succeeded()) {
        return None;
    }
    let networks: Networks = cidrs.iter().map(|cidr| text(cidr)).collect();
    let open = if cidrs.is_empty() { creates || truthy(asked) } else { networks.openness() > Openness::Narrow };
    if !open || (creates && was_made_private(case)) {
        return None;
    }
    let name = named(case, first(request, &["name", "clusterName"]));
    let whom = if cidrs.is_empty() { "0.0.0.0/0".to_owned() } else { networks.label() };
    let object = format!("the API endpoint of cluster {} to {whom}", called(name, "of unknown name"));
    let severity = if creates { Severity::Medium } else { Severity::High };
    Some(Catch::new(Deed::new("open", "opened", object)).severity(graded(case, severity)).resource(name))
}

/// What the response says of the cluster that was made.
fn was_made_private(case: &Case<'_>) -> bool {
    let made = at(case.record.response(), &["cluster", "resourcesVpcConfig"]);
    let networks: Networks = texts(field(made, "publicAccessCidrs")).into_iter().collect();
    let narrow = !list(field(made, "publicAccessCidrs")).is_empty() && networks.openness() == Openness::Narrow;
    falsy(field(made, "endpointPublicAccess")) || narrow
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{caught, record};
    use serde_json::json;

    #[test]
    fn a_database_security_group_open_to_the_world_is_critical() {
        for (source, name, request) in [
            (RDS, "AuthorizeDBSecurityGroupIngress", json!({"dBSecurityGroupName": "old", "cIDRIP": "0.0.0.0/0"})),
            (
                REDSHIFT,
                "AuthorizeClusterSecurityGroupIngress",
                json!({"clusterSecurityGroupName": "old", "CIDRIP": "0.0.0.0/0"}),
            ),
        ] {
            let found =
                caught(&DATABASE_SECURITY_GROUP_OPENED, &record(source, name, json!({"requestParameters": request})));
            let found = found.expect("caught");
            assert_eq!(
                (found.lead.severity, found.lead.deed.object.as_str()),
                (Severity::Critical, "old to 0.0.0.0/0")
            );
        }
        let office = json!({"requestParameters": {"dBSecurityGroupName": "old", "cIDRIP": "203.0.113.0/24"}});
        assert!(
            caught(&DATABASE_SECURITY_GROUP_OPENED, &record(RDS, "AuthorizeDBSecurityGroupIngress", office)).is_none()
        );
        let of_group = json!({"requestParameters": {"dBSecurityGroupName": "old", "eC2SecurityGroupName": "web"}});
        assert!(
            caught(&DATABASE_SECURITY_GROUP_OPENED, &record(RDS, "AuthorizeDBSecurityGroupIngress", of_group))
                .is_none()
        );
    }

    #[test]
    fn a_database_that_is_made_or_restored_public_is_high() {
        for (source, name, request, object) in [
            (
                RDS,
                "CreateDBInstance",
                json!({"dBInstanceIdentifier": "db", "publiclyAccessible": true}),
                "accessible database db",
            ),
            (
                RDS,
                "ModifyDBInstance",
                json!({"dBInstanceIdentifier": "db", "publiclyAccessible": "true"}),
                "database db publicly accessible",
            ),
            (
                RDS,
                "RestoreDBInstanceToPointInTime",
                json!({"targetDBInstanceIdentifier": "db", "publiclyAccessible": true}),
                "accessible database db",
            ),
            (
                RDS,
                "CreateDBCluster",
                json!({"dBClusterIdentifier": "db", "publiclyAccessible": true}),
                "accessible database db",
            ),
            (
                REDSHIFT,
                "ModifyCluster",
                json!({"clusterIdentifier": "dw", "publiclyAccessible": true}),
                "database dw publicly accessible",
            ),
            (
                "mq.amazonaws.com",
                "CreateBroker",
                json!({"brokerName": "mq", "publiclyAccessible": true}),
                "accessible database mq",
            ),
        ] {
            let found = caught(&DATABASE_PUBLIC, &record(source, name, json!({"requestParameters": request})));
            let found = found.unwrap_or_else(|| panic!("caught {name}"));
            assert_eq!((found.lead.severity, found.lead.deed.object.as_str()), (Severity::High, object), "{name}");
        }
    }

    #[test]
    fn the_response_says_what_the_default_was() {
        let made = |request: Value, response: Value| {
            let more = json!({"requestParameters": request, "responseElements": response});
            caught(&DATABASE_PUBLIC, &record("dms.amazonaws.com", "CreateReplicationInstance", more))
        };
        let public = json!({"replicationInstance": {"publiclyAccessible": true}});
        assert!(made(json!({"replicationInstanceIdentifier": "r"}), public.clone()).is_some());
        assert!(made(json!({"publiclyAccessible": false}), public).is_none());
        let still = json!({"requestParameters": {"dBInstanceIdentifier": "db", "allocatedStorage": 20},
            "responseElements": {"publiclyAccessible": true}});
        assert!(caught(&DATABASE_PUBLIC, &record(RDS, "ModifyDBInstance", still)).is_none(), "it was public before");
    }

    #[test]
    fn brokers_that_get_public_addresses_count() {
        let kafka = |kind: &str| {
            let request = json!({"clusterArn": "k", "connectivityInfo": {"publicAccess": {"type": kind}}});
            let record = record("kafka.amazonaws.com", "UpdateConnectivity", json!({"requestParameters": request}));
            caught(&DATABASE_PUBLIC, &record)
        };
        assert_eq!(kafka("SERVICE_PROVIDED_EIPS").expect("caught").lead.severity, Severity::High);
        assert!(kafka("DISABLED").is_none());
    }

    #[test]
    fn a_private_database_is_quiet_and_a_refused_one_medium() {
        let private = json!({"requestParameters": {"dBInstanceIdentifier": "db", "publiclyAccessible": false}});
        assert!(caught(&DATABASE_PUBLIC, &record(RDS, "CreateDBInstance", private)).is_none());
        let denied = json!({"errorCode": "AccessDenied", "requestParameters": {"publiclyAccessible": true}});
        let found = caught(&DATABASE_PUBLIC, &record(RDS, "CreateDBInstance", denied)).expect("caught");
        assert_eq!(found.lead.severity, Severity::Medium);
    }

    fn eks(name: &str, config: &Value) -> Option<crate::finding::Match> {
        let request = json!({"requestParameters": {"name": "prod", "resourcesVpcConfig": config}});
        caught(&CLUSTER_ENDPOINT_PUBLIC, &record("eks.amazonaws.com", name, request))
    }

    #[test]
    fn an_endpoint_that_is_opened_is_high() {
        for config in [json!({"endpointPublicAccess": true}), json!({"publicAccessCidrs": ["0.0.0.0/0"]})] {
            let found = eks("UpdateClusterConfig", &config).expect("caught");
            let object = "the API endpoint of cluster prod to 0.0.0.0/0";
            assert_eq!((found.lead.severity, found.lead.deed.object.as_str()), (Severity::High, object));
        }
        assert_eq!(eks("CreateCluster", &json!({"subnetIds": []})).expect("caught").lead.severity, Severity::Medium);
    }

    #[test]
    fn a_narrow_or_private_endpoint_is_quiet() {
        let narrow = json!({"endpointPublicAccess": true, "publicAccessCidrs": ["203.0.113.0/24"]});
        assert!(eks("UpdateClusterConfig", &narrow).is_none());
        assert!(eks("CreateCluster", &json!({"endpointPublicAccess": false})).is_none());
        assert!(eks("UpdateClusterConfig", &Value::Null).is_none(), "logging was changed, not the network");
    }
}
