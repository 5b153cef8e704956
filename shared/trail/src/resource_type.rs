//! Types of resources: what CloudFormation calls them, what people call them, and how records name such a thing.
//!
//! One table says everything of a type. What a person may type, what completion offers, and what is recognized in a
//! request or a response are made from it.

use std::sync::LazyLock;

/// A type of resource.
#[derive(Debug, Clone, Copy)]
pub struct ResourceType {
    /// As CloudFormation has it: `AWS::EC2::Instance`.
    pub name: &'static str,
    /// As people say it: the service and the word of the ARN, `ec2:instance`.
    pub short: &'static str,
    /// The first label of the `eventSource` whose parameters name it; else what stands before the colon of `short`.
    source: Option<&'static str>,
    /// Service and first word of its ARNs where these are not those of `short`. An empty word: the name follows at once.
    arns: &'static [&'static str],
    /// What its ids begin with: `i-0abc…` is `i`.
    ids: &'static [&'static str],
    /// Parameters that name one. `name@Trail`: of calls with `Trail` in their name. `config/s3BucketName`: of another
    /// service than the type's own.
    parameters: &'static [&'static str],
}

const fn is(name: &'static str, short: &'static str) -> ResourceType {
    ResourceType { name, short, source: None, arns: &[], ids: &[], parameters: &[] }
}

impl ResourceType {
    const fn of(mut self, source: &'static str) -> Self {
        self.source = Some(source);
        self
    }

    const fn arns(mut self, arns: &'static [&'static str]) -> Self {
        self.arns = arns;
        self
    }

    const fn ids(mut self, ids: &'static [&'static str]) -> Self {
        self.ids = ids;
        self
    }

    const fn named(mut self, parameters: &'static [&'static str]) -> Self {
        self.parameters = parameters;
        self
    }

    fn service(&self) -> &'static str {
        self.source.unwrap_or_else(|| self.short.split(':').next().unwrap_or_default())
    }
}

/// All of them, by service.
const TYPES: &[ResourceType] = &[
    is("AWS::AccessAnalyzer::Analyzer", "access-analyzer:analyzer").named(&["analyzerName"]),
    is("AWS::CertificateManager::Certificate", "acm:certificate"),
    is("AWS::ApiGateway::RestApi", "apigateway:restapis").named(&["restApiId"]).arns(&["apigateway:", "execute-api:"]),
    is("AWS::ApiGatewayV2::Api", "apigateway:apis").named(&["apiId"]),
    is("AWS::AppSync::GraphQLApi", "appsync:apis").named(&["apiId"]),
    is("AWS::Athena::WorkGroup", "athena:workgroup").named(&["workGroup", "name@WorkGroup"]),
    is("AWS::AutoScaling::AutoScalingGroup", "autoscaling:autoScalingGroup").named(&["autoScalingGroupName"]),
    is("AWS::AutoScaling::LaunchConfiguration", "autoscaling:launchConfiguration").named(&["launchConfigurationName"]),
    is("AWS::Backup::BackupVault", "backup:backup-vault").named(&["backupVaultName"]),
    is("AWS::Backup::BackupPlan", "backup:backup-plan").named(&["backupPlanId"]),
    is("AWS::Batch::JobDefinition", "batch:job-definition").named(&["jobDefinition", "jobDefinitionName"]),
    is("AWS::Batch::JobQueue", "batch:job-queue").named(&["jobQueue", "jobQueueName"]),
    is("AWS::Bedrock::Agent", "bedrock:agent").named(&["agentId"]),
    is("AWS::Bedrock::Guardrail", "bedrock:guardrail").named(&["guardrailIdentifier"]),
    is("AWS::Bedrock::FoundationModel", "bedrock:foundation-model").named(&["modelId"]),
    is("AWS::CloudFormation::Stack", "cloudformation:stack").named(&["stackName", "stackId"]),
    is("AWS::CloudFormation::StackSet", "cloudformation:stackset").named(&["stackSetName"]),
    is("AWS::CloudFront::Distribution", "cloudfront:distribution").named(&["id@Distribution"]),
    is("AWS::CloudTrail::Trail", "cloudtrail:trail").named(&[
        "trailName",
        "trailNameList",
        "name@Trail",
        "name@Logging",
    ]),
    is("AWS::CloudTrail::EventDataStore", "cloudtrail:eventdatastore")
        .named(&["eventDataStore", "name@EventDataStore"]),
    is("AWS::CloudWatch::Alarm", "cloudwatch:alarm").of("monitoring").named(&["alarmName", "alarmNames"]),
    is("AWS::CloudWatch::Dashboard", "cloudwatch:dashboard")
        .of("monitoring")
        .named(&["dashboardName", "dashboardNames"]),
    is("AWS::CodeBuild::Project", "codebuild:project").named(&["projectName", "name@Project"]),
    is("AWS::CodeCommit::Repository", "codecommit:repository").named(&["repositoryName"]).arns(&["codecommit:"]),
    is("AWS::CodePipeline::Pipeline", "codepipeline:pipeline").named(&["name@Pipeline"]).arns(&["codepipeline:"]),
    is("AWS::Cognito::UserPool", "cognito-idp:userpool").named(&["userPoolId"]),
    is("AWS::Cognito::IdentityPool", "cognito-identity:identitypool").named(&["identityPoolId"]),
    is("AWS::Config::ConfigRule", "config:config-rule").named(&["configRuleName"]),
    is("AWS::Config::ConfigurationRecorder", "config:configuration-recorder").named(&["configurationRecorderName"]),
    is("AWS::Config::DeliveryChannel", "config:delivery-channel").named(&["deliveryChannelName"]),
    is("AWS::DynamoDB::Table", "dynamodb:table").named(&["tableName"]),
    is("AWS::EC2::Instance", "ec2:instance").ids(&["i"]),
    is("AWS::EC2::Volume", "ec2:volume").ids(&["vol"]),
    is("AWS::EC2::Snapshot", "ec2:snapshot").ids(&["snap"]),
    is("AWS::EC2::Ami", "ec2:image").ids(&["ami"]),
    is("AWS::EC2::SecurityGroup", "ec2:security-group").ids(&["sg"]).named(&["groupName@SecurityGroup"]),
    is("AWS::EC2::SecurityGroupRule", "ec2:security-group-rule").ids(&["sgr"]),
    is("AWS::EC2::VPC", "ec2:vpc").ids(&["vpc"]),
    is("AWS::EC2::Subnet", "ec2:subnet").ids(&["subnet"]),
    is("AWS::EC2::NetworkInterface", "ec2:network-interface").ids(&["eni"]),
    is("AWS::EC2::NetworkAcl", "ec2:network-acl").ids(&["acl"]),
    is("AWS::EC2::RouteTable", "ec2:route-table").ids(&["rtb"]),
    is("AWS::EC2::InternetGateway", "ec2:internet-gateway").ids(&["igw"]),
    is("AWS::EC2::NatGateway", "ec2:natgateway").ids(&["nat"]),
    is("AWS::EC2::EIP", "ec2:elastic-ip").ids(&["eipalloc"]),
    is("AWS::EC2::VPCEndpoint", "ec2:vpc-endpoint").ids(&["vpce"]),
    is("AWS::EC2::VPCPeeringConnection", "ec2:vpc-peering-connection").ids(&["pcx"]),
    is("AWS::EC2::TransitGateway", "ec2:transit-gateway").ids(&["tgw"]),
    is("AWS::EC2::TransitGatewayAttachment", "ec2:transit-gateway-attachment").ids(&["tgw-attach"]),
    is("AWS::EC2::VPNConnection", "ec2:vpn-connection").ids(&["vpn"]),
    is("AWS::EC2::VPNGateway", "ec2:vpn-gateway").ids(&["vgw"]),
    is("AWS::EC2::CustomerGateway", "ec2:customer-gateway").ids(&["cgw"]),
    is("AWS::EC2::ClientVpnEndpoint", "ec2:client-vpn-endpoint").ids(&["cvpn-endpoint"]),
    is("AWS::EC2::FlowLog", "ec2:vpc-flow-log").ids(&["fl"]),
    is("AWS::EC2::LaunchTemplate", "ec2:launch-template").ids(&["lt"]).named(&["launchTemplateName"]),
    is("AWS::EC2::KeyPair", "ec2:key-pair").ids(&["key"]).named(&["keyName"]),
    is("AWS::EC2::PrefixList", "ec2:prefix-list").ids(&["pl"]),
    is("AWS::EC2::DHCPOptions", "ec2:dhcp-options").ids(&["dopt"]),
    is("AWS::EC2::Host", "ec2:dedicated-host").ids(&["h"]),
    is("AWS::EC2::SpotFleet", "ec2:spot-fleet-request").ids(&["sfr"]),
    is("AWS::ECR::Repository", "ecr:repository").named(&["repositoryName"]),
    is("AWS::ECS::Cluster", "ecs:cluster").named(&["cluster", "clusterName"]),
    is("AWS::ECS::Service", "ecs:service").named(&["service", "serviceName"]),
    is("AWS::ECS::Task", "ecs:task").named(&["task"]),
    is("AWS::ECS::TaskDefinition", "ecs:task-definition").named(&["taskDefinition", "family"]),
    is("AWS::EKS::Cluster", "eks:cluster").named(&["clusterName", "name@Cluster"]),
    is("AWS::EKS::Nodegroup", "eks:nodegroup").named(&["nodegroupName", "nodeGroupName"]),
    is("AWS::EKS::AccessEntry", "eks:access-entry"),
    is("AWS::EFS::FileSystem", "elasticfilesystem:file-system").ids(&["fs"]),
    is("AWS::EFS::AccessPoint", "elasticfilesystem:access-point").ids(&["fsap"]),
    is("AWS::EFS::MountTarget", "elasticfilesystem:mount-target").ids(&["fsmt"]),
    is("AWS::ElastiCache::CacheCluster", "elasticache:cluster").named(&["cacheClusterId"]),
    is("AWS::ElastiCache::ReplicationGroup", "elasticache:replicationgroup").named(&["replicationGroupId"]),
    is("AWS::ElasticBeanstalk::Environment", "elasticbeanstalk:environment").named(&["environmentName"]),
    is("AWS::ElasticLoadBalancingV2::LoadBalancer", "elasticloadbalancing:loadbalancer")
        .named(&["loadBalancerName", "name@LoadBalancer"]),
    is("AWS::ElasticLoadBalancingV2::TargetGroup", "elasticloadbalancing:targetgroup").named(&["name@TargetGroup"]),
    is("AWS::ElasticLoadBalancingV2::Listener", "elasticloadbalancing:listener"),
    is("AWS::EMR::Cluster", "elasticmapreduce:cluster").named(&["clusterId", "jobFlowId", "jobFlowIds"]),
    is("AWS::Elasticsearch::Domain", "es:domain").named(&["domainName"]),
    is("AWS::Events::Rule", "events:rule").named(&["rule", "name@Rule"]),
    is("AWS::Events::EventBus", "events:event-bus").named(&["eventBusName", "name@EventBus"]),
    is("AWS::KinesisFirehose::DeliveryStream", "firehose:deliverystream").named(&["deliveryStreamName"]),
    is("AWS::Glue::Database", "glue:database").named(&["databaseName"]),
    is("AWS::Glue::Table", "glue:table").named(&["tableName"]),
    is("AWS::Glue::Job", "glue:job").named(&["jobName", "name@Job"]),
    is("AWS::Glue::DevEndpoint", "glue:devEndpoint").named(&["endpointName"]),
    is("AWS::GuardDuty::Detector", "guardduty:detector").named(&["detectorId"]),
    is("AWS::IAM::User", "iam:user").named(&["userName"]),
    is("AWS::IAM::Role", "iam:role").named(&["roleName"]),
    is("AWS::IAM::Group", "iam:group").named(&["groupName"]),
    is("AWS::IAM::ManagedPolicy", "iam:policy"),
    is("AWS::IAM::Policy", "iam:inline-policy").named(&["policyName"]),
    is("AWS::IAM::AccessKey", "iam:access-key").named(&["accessKeyId"]),
    is("AWS::IAM::InstanceProfile", "iam:instance-profile").named(&["instanceProfileName"]),
    is("AWS::IAM::VirtualMFADevice", "iam:mfa").named(&["virtualMFADeviceName"]),
    is("AWS::IAM::SAMLProvider", "iam:saml-provider").named(&["name@SAMLProvider"]),
    is("AWS::IAM::OIDCProvider", "iam:oidc-provider"),
    is("AWS::IAM::ServerCertificate", "iam:server-certificate").named(&["serverCertificateName"]),
    is("AWS::IAM::ServiceLinkedRole", "iam:service-linked-role"),
    is("AWS::IdentityStore::Group", "identitystore:group").named(&["groupId", "sso-directory/groupId"]),
    is("AWS::IdentityStore::User", "identitystore:user").named(&["userId", "sso-directory/userId"]),
    is("AWS::Kinesis::Stream", "kinesis:stream").named(&["streamName"]),
    is("AWS::KMS::Key", "kms:key").named(&["keyId"]),
    is("AWS::KMS::Alias", "kms:alias").named(&["aliasName"]),
    is("AWS::Lambda::Function", "lambda:function").named(&["functionName"]),
    is("AWS::Lambda::LayerVersion", "lambda:layer").named(&["layerName"]),
    is("AWS::Lambda::EventSourceMapping", "lambda:event-source-mapping").named(&["uUID@EventSourceMapping"]),
    is("AWS::Logs::LogGroup", "logs:log-group").named(&["logGroupName", "logGroupNames"]),
    is("AWS::Logs::LogStream", "logs:log-stream").named(&["logStreamName"]),
    is("AWS::MSK::Cluster", "kafka:cluster").named(&["clusterName"]),
    is("AWS::NetworkFirewall::Firewall", "network-firewall:firewall").named(&["firewallName"]),
    is("AWS::NetworkFirewall::RuleGroup", "network-firewall:stateful-rulegroup").named(&["ruleGroupName"]),
    is("AWS::OpenSearchServerless::Collection", "aoss:collection"),
    is("AWS::Organizations::Account", "organizations:account").named(&["accountId", "accountName"]),
    is("AWS::Organizations::OrganizationalUnit", "organizations:ou").named(&["organizationalUnitId"]),
    is("AWS::Organizations::Policy", "organizations:policy").named(&["policyId"]),
    is("AWS::RDS::DBInstance", "rds:db").named(&["dBInstanceIdentifier", "sourceDBInstanceIdentifier"]),
    is("AWS::RDS::DBCluster", "rds:cluster").named(&["dBClusterIdentifier"]),
    is("AWS::RDS::DBSnapshot", "rds:snapshot").named(&["dBSnapshotIdentifier", "finalDBSnapshotIdentifier"]),
    is("AWS::RDS::DBClusterSnapshot", "rds:cluster-snapshot").named(&["dBClusterSnapshotIdentifier"]),
    is("AWS::RDS::DBParameterGroup", "rds:pg").named(&["dBParameterGroupName"]),
    is("AWS::RDS::DBSubnetGroup", "rds:subgrp").named(&["dBSubnetGroupName"]),
    is("AWS::RDS::DBSecurityGroup", "rds:secgrp").named(&["dBSecurityGroupName"]),
    is("AWS::RDS::OptionGroup", "rds:og").named(&["optionGroupName"]),
    is("AWS::Redshift::Cluster", "redshift:cluster").named(&["clusterIdentifier"]),
    is("AWS::Route53::HostedZone", "route53:hostedzone").named(&["hostedZoneId"]),
    is("AWS::S3::Bucket", "s3:bucket").arns(&["s3:"]).named(&[
        "bucketName",
        "cloudtrail/s3BucketName",
        "config/s3BucketName",
    ]),
    is("AWS::S3::Object", "s3:object"),
    is("AWS::S3::AccessPoint", "s3:accesspoint").named(&["accessPointName"]),
    is("AWS::SageMaker::NotebookInstance", "sagemaker:notebook-instance").named(&["notebookInstanceName"]),
    is("AWS::SageMaker::Endpoint", "sagemaker:endpoint").named(&["endpointName"]),
    is("AWS::SecretsManager::Secret", "secretsmanager:secret").named(&["secretId", "name@Secret"]),
    is("AWS::SecurityHub::Hub", "securityhub:hub"),
    is("AWS::SES::EmailIdentity", "ses:identity").named(&["identity", "emailIdentity"]),
    is("AWS::SNS::Topic", "sns:topic").arns(&["sns:"]).named(&["name@Topic"]),
    is("AWS::SQS::Queue", "sqs:queue").arns(&["sqs:"]).named(&["queueUrl", "queueName"]),
    is("AWS::SSM::Parameter", "ssm:parameter").named(&["name@Parameter", "names@Parameter"]),
    is("AWS::SSM::Document", "ssm:document").named(&["documentName", "name@Document"]),
    is("AWS::SSO::PermissionSet", "sso:permissionSet").named(&["name@PermissionSet"]),
    is("AWS::SSO::Instance", "sso:instance"),
    is("AWS::StepFunctions::StateMachine", "states:stateMachine").named(&["name@StateMachine"]),
    is("AWS::Transfer::Server", "transfer:server").named(&["serverId"]).ids(&["s"]),
    is("AWS::WAFv2::WebACL", "wafv2:webacl").named(&["name@WebACL"]),
    is("AWS::WorkSpaces::Workspace", "workspaces:workspace").named(&["workspaceId"]),
];

/// All types that are known by a short form.
pub const fn all() -> &'static [ResourceType] {
    TYPES
}

/// The name of a type that is given in full or in short, in letters of either case.
pub fn canonical(text: &str) -> Option<&'static str> {
    let is_meant = |one: &&ResourceType| [one.name, one.short].iter().any(|name| name.eq_ignore_ascii_case(text));
    TYPES.iter().find(is_meant).map(|one| one.name)
}

/// The short form of a type.
pub fn short(type_name: &str) -> Option<&'static str> {
    TYPES.iter().find(|one| one.name.eq_ignore_ascii_case(type_name)).map(|one| one.short)
}

/// `i-0abc…`, `sg-…`, `vol-…`: ids that AWS never gives twice.
pub fn is_unique_id(text: &str) -> bool {
    kind_of_id(text).is_some()
}

/// What stands before the last dash of such an id.
fn kind_of_id(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let dash =
        [9, 18].into_iter().filter_map(|behind| bytes.len().checked_sub(behind)).find(|at| bytes[*at] == b'-')?;
    let (kind, id) = (text.get(..dash)?, text.get(dash + 1..)?);
    let is_id = !kind.is_empty()
        && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(kind)
}

/// What a text in a request or response may be, by its looks alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// An ARN or an id, and the type of what it names, where that is known.
    Resource(Option<&'static str>),
    /// Anything.
    Other,
}

impl Look {
    #[inline]
    pub(crate) fn at(text: &str) -> Self {
        if text.starts_with("arn:") {
            return type_of_arn(text);
        }
        kind_of_id(text).map_or(Self::Other, |kind| {
            let known = IDS.find(Scope::of(""), kind).next();
            Self::Resource(known.map(|entry| entry.name))
        })
    }
}

/// `arn:partition:service:region:account:resource`: the service and what the resource begins with say the type.
fn type_of_arn(arn: &str) -> Look {
    let mut colons = memchr::memchr_iter(b':', arn.as_bytes());
    let (Some(before), Some(behind), Some(fifth)) = (colons.nth(1), colons.next(), colons.nth(1)) else {
        return Look::Other;
    };
    let (service, resource) = (&arn[before + 1..behind], &arn[fifth + 1..]);
    if service == "s3" && resource.contains('/') && !resource.starts_with("accesspoint/") {
        return Look::Resource(Some("AWS::S3::Object"));
    }
    let word = memchr::memchr2(b'/', b':', resource.as_bytes()).map_or("", |end| &resource[..end]);
    let scope = Scope::of(service);
    let found = ARNS.find(scope, word).chain(ARNS.find(scope, "")).next();
    Look::Resource(found.map(|entry| entry.name))
}

/// What a service's requests and responses call by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameters<'s> {
    scope: Scope<'s>,
    action: &'s str,
}

impl<'s> Parameters<'s> {
    /// Those of an action; `source` is the first label of its `eventSource`.
    pub(crate) fn of(source: &'s str, action: &'s str) -> Self {
        Self { scope: Scope::of(source), action }
    }

    /// The type of what the member `key` names. `is_outer`: it is one of the request or the response itself.
    #[inline]
    pub(crate) fn type_of(&self, key: &str, is_outer: bool) -> Option<&'static str> {
        let holds = |entry: &&Entry| entry.action.is_empty() || is_outer && self.action.contains(entry.action);
        PARAMETERS.find(self.scope, key).find(holds).map(|entry| entry.name)
    }
}

static PARAMETERS: LazyLock<Index> = LazyLock::new(|| {
    let of = |one: &ResourceType, parameter: &'static str| {
        let (scope, parameter) = parameter.split_once('/').unwrap_or((one.service(), parameter));
        let (word, action) = parameter.split_once('@').unwrap_or((parameter, ""));
        Entry { scope, word, action, name: one.name }
    };
    Index::of(TYPES.iter().flat_map(|one| one.parameters.iter().map(move |parameter| of(one, parameter))))
});

static ARNS: LazyLock<Index> = LazyLock::new(|| {
    let of = |name, arn: &'static str| {
        let (scope, word) = arn.split_once(':').unwrap_or((arn, ""));
        Entry { scope, word, action: "", name }
    };
    let arns =
        |one: &'static ResourceType| one.arns.iter().copied().chain([one.short]).map(move |arn| of(one.name, arn));
    Index::of(TYPES.iter().flat_map(arns))
});

static IDS: LazyLock<Index> = LazyLock::new(|| {
    let of = |name, word| Entry { scope: "", word, action: "", name };
    Index::of(TYPES.iter().flat_map(|one| one.ids.iter().map(move |id| of(one.name, id))))
});

/// A word that says a type.
#[derive(Debug, Clone, Copy)]
struct Entry {
    scope: &'static str,
    word: &'static str,
    action: &'static str,
    name: &'static str,
}

/// The service that a word is looked up for.
#[derive(Debug, Clone, Copy)]
struct Scope<'s> {
    name: &'s str,
    seed: usize,
}

impl<'s> Scope<'s> {
    fn of(name: &'s str) -> Self {
        Self { name, seed: name.bytes().fold(0, |seed: usize, byte| seed.wrapping_mul(31) ^ usize::from(byte)) }
    }
}

/// Entries by scope and word, the word's first letter in either case. Nearly every key of every record is looked up and
/// not found, which is one load from two kilobytes.
#[derive(Debug)]
struct Index {
    /// One more than the place of an entry; 0 where there is none.
    slots: [u16; SLOTS],
    entries: Vec<Entry>,
}

/// At least three times as many as there are entries; a power of two.
const SLOTS: usize = 1024;

impl Index {
    fn of(entries: impl Iterator<Item = Entry>) -> Self {
        let mut index = Self { slots: [0; SLOTS], entries: entries.collect() };
        for (place, entry) in (1..).zip(&index.entries) {
            let mut at = slot(Scope::of(entry.scope), entry.word);
            while index.slots[at] != 0 {
                at = (at + 1) % SLOTS;
            }
            index.slots[at] = place;
        }
        index
    }

    #[inline]
    fn find<'i>(&'i self, scope: Scope<'i>, word: &'i str) -> impl Iterator<Item = &'i Entry> {
        let first = slot(scope, word);
        (first..first + SLOTS)
            .map_while(|at| self.entries.get(usize::from(self.slots[at % SLOTS]).checked_sub(1)?))
            .filter(move |entry| is_same(entry.word, word) && entry.scope == scope.name)
    }
}

/// A few letters tell words apart well enough.
#[inline]
fn slot(scope: Scope<'_>, word: &str) -> usize {
    let bytes = word.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return scope.seed % SLOTS };
    let middle = bytes[bytes.len() / 2];
    let letters = usize::from(*last) | usize::from(middle) << 8 | usize::from(*first | 0x20) << 16 | bytes.len() << 24;
    ((letters ^ scope.seed).wrapping_mul(0x9e37_79b9) >> 16) % SLOTS
}

fn is_same(known: &str, word: &str) -> bool {
    match (known.as_bytes().split_first(), word.as_bytes().split_first()) {
        (Some((a, known)), Some((b, word))) => a.eq_ignore_ascii_case(b) && known == word,
        (known, word) => known.is_none() && word.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_two_names_in_any_case() {
        for text in ["AWS::RDS::DBInstance", "aws::rds::dbinstance", "rds:db", "RDS:DB"] {
            assert_eq!(canonical(text), Some("AWS::RDS::DBInstance"), "{text}");
        }
        assert_eq!(short("AWS::IAM::AccessKey"), Some("iam:access-key"));
        assert_eq!(canonical("db"), None);
        assert_eq!(short("AWS::Made::Up"), None);
    }

    #[test]
    fn each_name_means_one_type() {
        for one in all() {
            assert_eq!(canonical(one.short), Some(one.name));
            assert_eq!(canonical(one.name), Some(one.name));
            assert!(one.name.starts_with("AWS::") && one.short.contains(':'), "{one:?}");
        }
        assert!(all().len() > 100);
    }

    #[test]
    fn looks_say_the_type() {
        for (text, expected) in [
            ("i-0abcdef1234567890", "AWS::EC2::Instance"),
            ("tgw-attach-0abcdef1234567890", "AWS::EC2::TransitGatewayAttachment"),
            ("arn:aws:ec2:eu-west-1:111122223333:instance/i-0abcdef1234567890", "AWS::EC2::Instance"),
            ("arn:aws:rds:eu-west-1:111122223333:db:orders", "AWS::RDS::DBInstance"),
            ("arn:aws-cn:s3:::logs", "AWS::S3::Bucket"),
            ("arn:aws:s3:::logs/a/b", "AWS::S3::Object"),
            ("arn:aws:s3:eu-west-1:111122223333:accesspoint/a", "AWS::S3::AccessPoint"),
            ("arn:aws:sns:eu-west-1:111122223333:alerts", "AWS::SNS::Topic"),
            ("arn:aws:cloudwatch:eu-west-1:111122223333:alarm:high", "AWS::CloudWatch::Alarm"),
            ("arn:aws:lambda:eu-west-1:111122223333:function:f:live", "AWS::Lambda::Function"),
        ] {
            assert_eq!(Look::at(text), Look::Resource(Some(expected)), "{text}");
        }
        assert_eq!(Look::at("arn:aws:made-up:::x/y"), Look::Resource(None));
        assert_eq!(Look::at("r-0abcdef1"), Look::Resource(None));
        for text in
            ["arn:aws", "", "-", "-0abcdef1", "2026-11-20", "b3a0c1d2-0000-4000-8000-000000000001", "é-0abcdef1"]
        {
            assert_eq!(Look::at(text), Look::Other, "{text}");
        }
    }

    #[test]
    fn parameters_belong_to_their_service_and_some_to_their_actions() {
        let named = |source, action, key| Parameters::of(source, action).type_of(key, true);
        assert_eq!(named("iam", "CreateUser", "userName"), Some("AWS::IAM::User"));
        assert_eq!(named("iam", "CreateUser", "UserName"), Some("AWS::IAM::User"));
        assert_eq!(named("signin", "ConsoleLogin", "userName"), None);
        assert_eq!(named("cloudtrail", "StopLogging", "name"), Some("AWS::CloudTrail::Trail"));
        assert_eq!(named("cloudtrail", "CreateEventDataStore", "name"), Some("AWS::CloudTrail::EventDataStore"));
        assert_eq!(named("monitoring", "DeleteAlarms", "alarmNames"), Some("AWS::CloudWatch::Alarm"));
        assert_eq!(Parameters::of("cloudtrail", "CreateTrail").type_of("name", false), None);
    }
}
