//! What is called in the made-up accounts, how often, by whom, and how the record of it looks.
//!
//! Request, response and the other members are JSON with names in them: `$bucket`, `$region`. One name stands for one
//! thing throughout a record; `$uuid`, `$hex` and `$number` are new each time. [`super::names`] says what there is.

/// One kind of record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// How often, relative to its neighbours in the table.
    pub(crate) weight: u32,
    /// The first label of `eventSource`.
    pub(crate) service: &'static str,
    /// `eventName`.
    pub(crate) name: &'static str,
    /// Who calls.
    pub(crate) by: By,
    /// `readOnly`.
    pub(crate) read_only: bool,
    /// `requestParameters`.
    pub(crate) request: &'static str,
    /// `responseElements`.
    pub(crate) response: &'static str,
    /// Members between the response and `requestID`, each with a comma behind it.
    pub(crate) middle: &'static str,
    /// Members between `readOnly` and `eventType`, each with a comma behind it.
    pub(crate) resources: &'static str,
    /// `eventType`, and what follows from it.
    pub(crate) form: Form,
    /// The error, before the request, with a comma behind it.
    pub(crate) error: &'static str,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A person or a workload.
    Anyone,
    /// A person.
    Person,
    /// An AWS service on its own account, by its host name.
    Service(&'static str),
    /// Somebody of another account.
    Foreign,
    /// A sign-in of the Identity Center, which knows no IAM identity.
    Directory,
}

/// The form of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Management,
    Data,
    SignIn,
    ServiceEvent,
}

impl Kind {
    const fn new(weight: u32, service: &'static str, name: &'static str, request: &'static str) -> Self {
        Self {
            weight,
            service,
            name,
            by: By::Anyone,
            read_only: true,
            request,
            response: "null",
            middle: "",
            resources: "",
            form: Form::Management,
            error: "",
        }
    }

    const fn by(mut self, by: By) -> Self {
        self.by = by;
        self
    }

    const fn answers(mut self, response: &'static str) -> Self {
        self.response = response;
        self
    }

    const fn middle(mut self, middle: &'static str) -> Self {
        self.middle = middle;
        self
    }

    const fn on(mut self, resources: &'static str) -> Self {
        self.resources = resources;
        self
    }

    const fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    const fn fails(mut self, error: &'static str) -> Self {
        self.error = error;
        self
    }
}

const fn read(weight: u32, service: &'static str, name: &'static str, request: &'static str) -> Kind {
    Kind::new(weight, service, name, request)
}

const fn write(weight: u32, service: &'static str, name: &'static str, request: &'static str) -> Kind {
    let kind = Kind::new(weight, service, name, request);
    Kind { read_only: false, ..kind }
}

const fn object_read(weight: u32, name: &'static str, request: &'static str) -> Kind {
    read(weight, "s3", name, request).middle(OBJECT).on(OBJECT_AND_BUCKET).form(Form::Data)
}

const fn iam(weight: u32, name: &'static str, request: &'static str) -> Kind {
    write(weight, "iam", name, request).by(By::Person)
}

const OBJECT: &str = r#""additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"$hex$hex$hex$hex$hex=","bytesTransferredOut":$number},"#;
const OBJECT_AND_BUCKET: &str = r#""resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::$bucket/$object"},{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}],"#;
const BUCKET: &str = r#""resources":[{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}],"#;
const BUCKET_CALL: &str = r#""additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"$hex$hex$hex$hex$hex=","bytesTransferredOut":480},"#;
const KMS_KEY: &str =
    r#""resources":[{"accountId":"$account","type":"AWS::KMS::Key","ARN":"arn:aws:kms:$region:$account:key/$key"}],"#;
const ROLE: &str =
    r#""resources":[{"accountId":"$account","type":"AWS::IAM::Role","ARN":"arn:aws:iam::$account:role/$role"}],"#;
const SESSION: &str = r#"{"credentials":{"accessKeyId":"$temporary","sessionToken":"IQoJb3JpZ2luX2VjE$hex$hex$hex$hex$hex$hex==","expiration":"$expiry"},"assumedRoleUser":{"assumedRoleId":"AROA$hex:$function","arn":"arn:aws:sts::$account:assumed-role/$role/$function"}}"#;
const SIGN_IN: &str = r#""additionalEventData":{"LoginTo":"https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true&state=hashArgsFromTB_$region_$hex","MobileVersion":"No","MFAUsed":"Yes"},"#;
const DIRECTORY_SIGN_IN: &str = r#""additionalEventData":{"AuthWorkflowID":"$uuid","LoginTo":"https://d-$short.awsapps.com/start/","CredentialType":"PASSWORD","UserName":"$person"},"#;
const LAUNCH: &str = r#"{"instancesSet":{"items":[{"imageId":"$image","minCount":1,"maxCount":1,"keyName":"ops"}]},"groupSet":{"items":[{"groupId":"$group"}]},"userData":"<sensitiveDataRemoved>","instanceType":"m7g.large","blockDeviceMapping":{"items":[{"deviceName":"/dev/xvda","ebs":{"volumeSize":80,"deleteOnTermination":true,"volumeType":"gp3","encrypted":true}}]},"monitoring":{"enabled":false},"disableApiTermination":false,"clientToken":"$uuid","subnetId":"$subnet","tagSpecificationSet":{"items":[{"resourceType":"instance","tags":[{"key":"Name","value":"$function"},{"key":"team","value":"platform"},{"key":"cost-center","value":"4711"}]}]}}"#;
const LAUNCHED: &str = r#"{"requestId":"$uuid","reservationId":"r-0$hex","ownerId":"$account","groupSet":{},"instancesSet":{"items":[{"instanceId":"$instance","imageId":"$image","currentState":{"code":0,"name":"pending"},"instanceState":{"code":0,"name":"pending"},"privateDnsName":"ip-$dashed.$region.compute.internal","keyName":"ops","amiLaunchIndex":0,"productCodes":{},"instanceType":"m7g.large","launchTime":179$number000,"placement":{"availabilityZone":"$zone","tenancy":"default"},"monitoring":{"state":"disabled"},"subnetId":"$subnet","vpcId":"$vpc","privateIpAddress":"$private","stateReason":{"code":"pending","message":"pending"},"architecture":"arm64","rootDeviceType":"ebs","rootDeviceName":"/dev/xvda","blockDeviceMapping":{},"virtualizationType":"hvm","hypervisor":"xen","tagSet":{"items":[{"key":"Name","value":"$function"},{"key":"team","value":"platform"}]},"clientToken":"$uuid","groupSet":{"items":[{"groupId":"$group","groupName":"workers"}]},"sourceDestCheck":true,"networkInterfaceSet":{"items":[{"networkInterfaceId":"$interface","subnetId":"$subnet","vpcId":"$vpc","ownerId":"$account","status":"in-use","macAddress":"06:5f:1c:80:3e:a1","privateIpAddress":"$private","sourceDestCheck":true,"interfaceType":"interface","groupSet":{"items":[{"groupId":"$group","groupName":"workers"}]},"attachment":{"attachmentId":"eni-attach-0$hex","deviceIndex":0,"networkCardIndex":0,"status":"attaching","attachTime":179$number000,"deleteOnTermination":true},"privateIpAddressesSet":{"item":[{"privateIpAddress":"$private","primary":true}]},"ipv6AddressesSet":{},"tagSet":{}}]},"ebsOptimized":true,"enaSupport":true,"cpuOptions":{"coreCount":2,"threadsPerCore":1},"capacityReservationSpecification":{"capacityReservationPreference":"open"},"enclaveOptions":{"enabled":false},"metadataOptions":{"state":"pending","httpTokens":"required","httpPutResponseHopLimit":2,"httpEndpoint":"enabled","httpProtocolIpv6":"disabled","instanceMetadataTags":"disabled"},"maintenanceOptions":{"autoRecovery":"default"}}]},"requesterId":"$account"}"#;
const TASK_DEFINITION: &str = r#"{"family":"$function","taskRoleArn":"arn:aws:iam::$account:role/$role","executionRoleArn":"arn:aws:iam::$account:role/ecs-execution","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"512","memory":"1024","containerDefinitions":[{"name":"app","image":"$account.dkr.ecr.$region.amazonaws.com/$function:$short","essential":true,"portMappings":[{"containerPort":8080,"protocol":"tcp"}],"environment":[{"name":"LOG_LEVEL","value":"info"},{"name":"STAGE","value":"live"}],"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"/ecs/$function","awslogs-region":"$region","awslogs-stream-prefix":"app"}}}]}"#;
const AUTHORIZE: &str = r#"{"groupId":"$group","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":5432,"toPort":5432,"groups":{},"ipRanges":{"items":[{"cidrIp":"10.20.0.0/16","description":"orders \"live\" to ledger"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}"#;

/// What goes on all day. Nothing in it is worth an alert.
pub(crate) const ORDINARY: &[Kind] = &[
    // Data events and keys: the bulk of a real trail.
    object_read(90, "GetObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$object"}"#),
    object_read(45, "HeadObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$object"}"#),
    write(50, "s3", "PutObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","x-amz-server-side-encryption":"aws:kms","key":"$object","x-amz-storage-class":"STANDARD"}"#)
        .answers(r#"{"x-amz-server-side-encryption":"aws:kms","x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:$region:$account:key/$key","x-amz-expiration":"expiry-date=\"Sat, 19 Dec 2026 00:00:00 GMT\", rule-id=\"expire-30d\""}"#)
        .middle(OBJECT).on(OBJECT_AND_BUCKET).form(Form::Data),
    write(12, "s3", "DeleteObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$object"}"#)
        .answers(r#"{"x-amz-version-id":"$hex$hex"}"#).middle(OBJECT).on(OBJECT_AND_BUCKET).form(Form::Data),
    object_read(15, "ListObjects", r#"{"list-type":"2","bucketName":"$bucket","prefix":"curated/","encoding-type":"url","Host":"$bucket.s3.$region.amazonaws.com"}"#),
    read(70, "kms", "Decrypt", r#"{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:lambda:FunctionArn":"arn:aws:lambda:$region:$account:function:$function"},"keyId":"arn:aws:kms:$region:$account:key/$key"}"#).on(KMS_KEY),
    read(45, "kms", "GenerateDataKey", r#"{"keySpec":"AES_256","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::$bucket/$object"},"keyId":"arn:aws:kms:$region:$account:key/$key"}"#).on(KMS_KEY),
    read(12, "kms", "Decrypt", r#"{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:cloudtrail:arn":"arn:aws:cloudtrail:$region:$account:trail/org-trail","aws:s3:arn":"arn:aws:s3:::$bucket/$object"}}"#).on(KMS_KEY).by(By::Service("cloudtrail")),
    read(8, "kms", "DescribeKey", r#"{"keyId":"arn:aws:kms:$region:$account:key/$key"}"#).on(KMS_KEY),
    read(4, "kms", "ListAliases", r#"{"limit":100}"#),
    write(3, "kms", "CreateGrant", r#"{"keyId":"arn:aws:kms:$region:$account:key/$key","granteePrincipal":"autoscaling.$region.amazonaws.com","constraints":{"encryptionContextSubset":{"aws:ebs:id":"$volume"}},"operations":["Decrypt","GenerateDataKeyWithoutPlaintext"]}"#)
        .answers(r#"{"grantId":"$hex$hex$hex$hex","keyId":"arn:aws:kms:$region:$account:key/$key"}"#).on(KMS_KEY).by(By::Service("autoscaling")),
    read(10, "dynamodb", "GetItem", r#"{"tableName":"$table","key":{"id":"HIDDEN_DUE_TO_SECURITY_REASONS"},"consistentRead":false}"#).on(r#""resources":[{"accountId":"$account","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:$region:$account:table/$table"}],"#).form(Form::Data),
    write(10, "dynamodb", "UpdateItem", r#"{"tableName":"$table","key":{"id":"HIDDEN_DUE_TO_SECURITY_REASONS"},"returnValues":"NONE"}"#).on(r#""resources":[{"accountId":"$account","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:$region:$account:table/$table"}],"#).form(Form::Data),
    write(14, "lambda", "Invoke", r#"{"functionName":"arn:aws:lambda:$region:$account:function:$function","invocationType":"Event"}"#)
        .middle(r#""additionalEventData":{"functionVersion":"arn:aws:lambda:$region:$account:function:$function:$LATEST"},"#)
        .on(r#""resources":[{"accountId":"$account","type":"AWS::Lambda::Function","ARN":"arn:aws:lambda:$region:$account:function:$function"}],"#).form(Form::Data),
    // Sessions.
    read(70, "sts", "AssumeRole", r#"{"roleArn":"arn:aws:iam::$account:role/$role","roleSessionName":"$function","durationSeconds":3600}"#).answers(SESSION).on(ROLE),
    read(50, "sts", "AssumeRole", r#"{"roleArn":"arn:aws:iam::$account:role/$role","roleSessionName":"$function"}"#).answers(SESSION).on(ROLE).by(By::Service("lambda")),
    read(25, "sts", "AssumeRole", r#"{"roleArn":"arn:aws:iam::$account:role/$role","roleSessionName":"$instance"}"#).answers(SESSION).on(ROLE).by(By::Service("ec2")),
    read(12, "sts", "AssumeRole", r#"{"roleSessionName":"resource-explorer-2","roleArn":"arn:aws:iam::$account:role/aws-service-role/resource-explorer-2.amazonaws.com/AWSServiceRoleForResourceExplorer"}"#).answers(SESSION).by(By::Service("resource-explorer-2")),
    read(14, "sts", "GetCallerIdentity", "null"),
    read(3, "sts", "AssumeRole", r#"{"roleArn":"arn:aws:iam::$account:role/partner-metrics","roleSessionName":"collector","externalId":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#).answers(SESSION).by(By::Foreign),
    // Compute and network, mostly looked at.
    read(55, "ec2", "DescribeInstances", r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"},{"value":"pending"}]}}]}}"#),
    read(18, "ec2", "DescribeInstanceStatus", r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]},"filterSet":{},"includeAllInstances":true}"#),
    read(22, "ec2", "DescribeSecurityGroups", r#"{"securityGroupSet":{},"securityGroupIdSet":{"items":[{"groupId":"$group"}]},"filterSet":{}}"#),
    read(18, "ec2", "DescribeSubnets", r#"{"subnetSet":{"items":[{"subnetId":"$subnet"}]},"filterSet":{"items":[{"name":"vpc-id","valueSet":{"items":[{"value":"$vpc"}]}}]}}"#),
    read(14, "ec2", "DescribeVpcs", r#"{"vpcSet":{},"filterSet":{}}"#),
    read(20, "ec2", "DescribeNetworkInterfaces", r#"{"networkInterfaceIdSet":{"items":[{"networkInterfaceId":"$interface"}]},"filterSet":{}}"#),
    read(16, "ec2", "DescribeVolumes", r#"{"volumeSet":{"items":[{"volumeId":"$volume"}]},"filterSet":{"items":[{"name":"attachment.instance-id","valueSet":{"items":[{"value":"$instance"}]}}]}}"#),
    read(9, "ec2", "DescribeImages", r#"{"executableBySet":{},"imagesSet":{"items":[{"imageId":"$image"}]},"ownersSet":{},"filterSet":{}}"#),
    read(10, "ec2", "DescribeTags", r#"{"filterSet":{"items":[{"name":"resource-id","valueSet":{"items":[{"value":"$instance"}]}}]}}"#),
    read(5, "ec2", "DescribeRouteTables", r#"{"routeTableIdSet":{},"filterSet":{"items":[{"name":"vpc-id","valueSet":{"items":[{"value":"$vpc"}]}}]}}"#),
    read(4, "ec2", "DescribeLaunchTemplateVersions", r#"{"DescribeLaunchTemplateVersionsRequest":{"LaunchTemplateId":"lt-0$hex","LaunchTemplateVersion":{"tag":1,"content":"$Default"}}}"#),
    write(9, "ec2", "RunInstances", LAUNCH).answers(LAUNCHED).by(By::Service("autoscaling")),
    write(6, "ec2", "TerminateInstances", r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]}}"#)
        .answers(r#"{"requestId":"$uuid","instancesSet":{"items":[{"instanceId":"$instance","currentState":{"code":32,"name":"shutting-down"},"previousState":{"code":16,"name":"running"}}]}}"#).by(By::Service("autoscaling")),
    write(9, "ec2", "CreateNetworkInterface", r#"{"subnetId":"$subnet","description":"AWS Lambda VPC ENI-$function-$uuid","groupSet":{"items":[{"groupId":"$group"}]},"privateIpAddressesSet":{},"clientToken":"$uuid"}"#)
        .answers(r#"{"requestId":"$uuid","networkInterface":{"networkInterfaceId":"$interface","subnetId":"$subnet","vpcId":"$vpc","availabilityZone":"$zone","description":"AWS Lambda VPC ENI-$function","ownerId":"$account","requesterManaged":false,"status":"pending","macAddress":"06:11:7c:2d:90:4b","privateIpAddress":"$private","sourceDestCheck":true,"groupSet":{"items":[{"groupId":"$group","groupName":"functions"}]},"tagSet":{}}}"#).by(By::Service("lambda")),
    write(7, "ec2", "DeleteNetworkInterface", r#"{"networkInterfaceId":"$interface"}"#).answers(r#"{"requestId":"$uuid","_return":true}"#).by(By::Service("lambda")),
    write(7, "ec2", "CreateTags", r#"{"resourcesSet":{"items":[{"resourceId":"$volume"}]},"tagSet":{"items":[{"key":"kubernetes.io/created-for/pvc/name","value":"data-$function-0"},{"key":"team","value":"platform"}]}}"#).answers(r#"{"requestId":"$uuid","_return":true}"#),
    write(5, "ec2", "CreateSnapshot", r#"{"volumeId":"$volume","description":"nightly $volume","tagSpecificationSet":{}}"#)
        .answers(r#"{"requestId":"$uuid","snapshotId":"snap-0$hex","volumeId":"$volume","status":"pending","startTime":179$number000,"progress":"","ownerId":"$account","volumeSize":80,"encrypted":true}"#),
    write(3, "ec2", "AttachVolume", r#"{"volumeId":"$volume","instanceId":"$instance","device":"/dev/sdf","deleteOnTermination":false}"#)
        .answers(r#"{"requestId":"$uuid","volumeId":"$volume","instanceId":"$instance","device":"/dev/sdf","status":"attaching","attachTime":179$number000,"deleteOnTermination":false}"#),
    write(1, "ec2", "AuthorizeSecurityGroupIngress", AUTHORIZE)
        .answers(r#"{"requestId":"$uuid","_return":true,"securityGroupRuleSet":{"items":[{"groupOwnerId":"$account","groupId":"$group","securityGroupRuleId":"sgr-0$hex","isEgress":false,"ipProtocol":"tcp","fromPort":5432,"toPort":5432,"cidrIpv4":"10.20.0.0/16"}]}}"#),
    read(12, "autoscaling", "DescribeAutoScalingGroups", r#"{"maxRecords":100}"#),
    write(3, "autoscaling", "SetDesiredCapacity", r#"{"autoScalingGroupName":"$function-workers","desiredCapacity":6,"honorCooldown":false}"#),
    read(14, "elasticloadbalancing", "DescribeTargetHealth", r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:$region:$account:targetgroup/$function/$hex"}"#),
    read(7, "elasticloadbalancing", "DescribeLoadBalancers", r#"{"pageSize":100}"#),
    write(9, "elasticloadbalancing", "RegisterTargets", r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:$region:$account:targetgroup/$function/$hex","targets":[{"id":"$private","port":8080,"availabilityZone":"$zone"}]}"#).by(By::Service("ecs")),
    // Containers and functions.
    read(13, "ecs", "DescribeServices", r#"{"cluster":"live","services":["$function"],"include":["TAGS"]}"#),
    write(3, "ecs", "RegisterTaskDefinition", TASK_DEFINITION).answers(r#"{"taskDefinition":{"taskDefinitionArn":"arn:aws:ecs:$region:$account:task-definition/$function:41","family":"$function","revision":41,"status":"ACTIVE","registeredBy":"arn:aws:iam::$account:role/github-ci"}}"#),
    write(4, "ecs", "UpdateService", r#"{"cluster":"live","service":"$function","taskDefinition":"$function:41","desiredCount":3,"forceNewDeployment":false}"#),
    read(12, "eks", "DescribeCluster", r#"{"name":"live"}"#),
    read(6, "eks", "ListNodegroups", r#"{"name":"live","maxResults":100}"#),
    read(14, "ecr", "BatchGetImage", r#"{"registryId":"$account","repositoryName":"$function","imageIds":[{"imageDigest":"sha256:$hex$hex$hex$hex"}],"acceptedMediaTypes":["application/vnd.oci.image.manifest.v1+json","application/vnd.docker.distribution.manifest.v2+json"]}"#),
    read(9, "ecr", "GetAuthorizationToken", "{}"),
    read(9, "ecr", "GetDownloadUrlForLayer", r#"{"registryId":"$account","repositoryName":"$function","layerDigest":"sha256:$hex$hex$hex$hex"}"#),
    read(14, "lambda", "GetFunction20150331v2", r#"{"functionName":"$function"}"#),
    read(7, "lambda", "ListFunctions20150331", r#"{"maxItems":50}"#),
    write(1, "lambda", "UpdateFunctionCode20150331v2", r#"{"functionName":"$function","s3Bucket":"$bucket","s3Key":"$object","publish":false,"dryRun":false,"architectures":["arm64"]}"#)
        .answers(r#"{"functionName":"$function","functionArn":"arn:aws:lambda:$region:$account:function:$function","runtime":"provided.al2023","role":"arn:aws:iam::$account:role/$role","handler":"bootstrap","codeSize":4319021,"timeout":30,"memorySize":512,"lastModified":"2026-11-20T00:00:00.000+0000","codeSha256":"$hex$hex=","version":"$LATEST","tracingConfig":{"mode":"Active"},"revisionId":"$uuid","state":"Active","lastUpdateStatus":"InProgress","packageType":"Zip","architectures":["arm64"],"ephemeralStorage":{"size":512},"loggingConfig":{"logFormat":"JSON","logGroup":"/aws/lambda/$function"}}"#),
    // Watching.
    read(16, "monitoring", "DescribeAlarms", r#"{"alarmNamePrefix":"TargetTracking-$function","maxRecords":100}"#),
    read(14, "monitoring", "GetMetricData", r#"{"startTime":"Nov 20, 2026, 3:00:00 AM","endTime":"Nov 20, 2026, 3:05:00 AM","metricDataQueries":[{"id":"m1","metricStat":{"metric":{"namespace":"AWS/ApplicationELB","metricName":"TargetResponseTime"},"period":60,"stat":"p99"},"returnData":true}]}"#),
    write(24, "logs", "CreateLogStream", r#"{"logGroupName":"/aws/lambda/$function","logStreamName":"2026/11/20/[$LATEST]$hex$hex"}"#),
    write(3, "logs", "CreateLogGroup", r#"{"logGroupName":"/aws/lambda/$function"}"#).fails(r#""errorCode":"ResourceAlreadyExistsException","errorMessage":"The specified log group already exists","#),
    read(9, "logs", "DescribeLogGroups", r#"{"logGroupNamePrefix":"/aws/lambda/","limit":50}"#),
    read(4, "logs", "FilterLogEvents", r#"{"logGroupName":"/aws/lambda/$function","startTime":179$number000,"filterPattern":"{ $.level = \"error\" }","interleaved":true,"limit":100}"#).by(By::Person),
    write(14, "ssm", "UpdateInstanceInformation", r#"{"instanceId":"$instance","agentVersion":"3.3.987.0","agentStatus":"Active","platformType":"Linux","platformName":"Amazon Linux","platformVersion":"2023","iPAddress":"$private","computerName":"ip-$dashed.$region.compute.internal","availabilityZone":"$zone"}"#),
    read(12, "ssm", "GetParameter", r#"{"name":"/live/$function/endpoint","withDecryption":false}"#),
    read(8, "ssm", "GetParametersByPath", r#"{"path":"/live/$function","recursive":true,"withDecryption":true}"#),
    read(14, "secretsmanager", "GetSecretValue", r#"{"secretId":"arn:aws:secretsmanager:$region:$account:secret:live/$function-AbCdEf","versionStage":"AWSCURRENT"}"#),
    write(12, "config", "PutEvaluations", r#"{"evaluations":[{"complianceResourceType":"AWS::EC2::Volume","complianceResourceId":"$volume","complianceType":"COMPLIANT","orderingTimestamp":"Nov 20, 2026, 3:00:00 AM"}],"resultToken":"$hex$hex$hex","testMode":false}"#),
    read(7, "config", "DescribeConfigurationRecorderStatus", "null").by(By::Service("securityhub")),
    read(12, "s3", "GetBucketAcl", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","acl":""}"#).middle(BUCKET_CALL).on(BUCKET).by(By::Service("cloudtrail")),
    read(8, "s3", "HeadBucket", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com"}"#).middle(BUCKET_CALL).on(BUCKET).by(By::Service("delivery.logs"))
        .fails(r#""errorCode":"AccessDenied","errorMessage":"Access Denied","#),
    read(9, "s3", "GetBucketLocation", r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","location":""}"#).middle(BUCKET_CALL).on(BUCKET),
    read(6, "s3", "GetBucketPolicyStatus", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","policyStatus":""}"#).middle(BUCKET_CALL).on(BUCKET).by(By::Service("access-analyzer"))
        .fails(r#""errorCode":"NoSuchBucketPolicy","errorMessage":"The bucket policy does not exist","#),
    read(4, "s3", "ListBuckets", r#"{"Host":"s3.amazonaws.com"}"#).middle(BUCKET_CALL).by(By::Person),
    write(20, "s3", "PutObject", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","x-amz-acl":"bucket-owner-full-control","x-amz-server-side-encryption":"aws:kms","key":"AWSLogs/$account/vpcflowlogs/$region/2026/11/20/$account_vpcflowlogs_$region_fl-0$hex.log.gz"}"#)
        .middle(OBJECT).on(BUCKET).form(Form::Data).by(By::Service("delivery.logs")),
    // People and what they look at.
    read(9, "iam", "GetRole", r#"{"roleName":"$role"}"#),
    read(6, "iam", "ListAttachedRolePolicies", r#"{"roleName":"$role"}"#),
    read(4, "iam", "GetPolicyVersion", r#"{"policyArn":"arn:aws:iam::$account:policy/$role","versionId":"v3"}"#),
    read(3, "iam", "ListRoles", r#"{"maxItems":100}"#).by(By::Person),
    read(3, "iam", "GenerateServiceLastAccessedDetails", r#"{"arn":"arn:aws:iam::$account:role/$role"}"#).by(By::Service("access-analyzer")),
    read(4, "organizations", "DescribeOrganization", "null").by(By::Person),
    read(4, "ce", "GetCostAndUsage", r#"{"timePeriod":{"start":"2026-11-01","end":"2026-11-20"},"granularity":"DAILY","metrics":["UnblendedCost"],"groupBy":[{"type":"DIMENSION","key":"SERVICE"}]}"#).by(By::Person),
    read(5, "health", "DescribeEventAggregates", r#"{"aggregateField":"eventTypeCategory","filter":{"eventStatusCodes":["open","upcoming"]}}"#).by(By::Person),
    read(4, "notifications", "ListNotificationHubs", "null").by(By::Person),
    read(4, "rds", "DescribeDBInstances", r#"{"dBInstanceIdentifier":"$table","maxRecords":100}"#),
    write(2, "rds", "CreateDBSnapshot", r#"{"dBInstanceIdentifier":"$table","dBSnapshotIdentifier":"nightly-$table-$short","tags":[]}"#),
    read(6, "cloudformation", "DescribeStacks", r#"{"stackName":"$function"}"#),
    write(2, "cloudformation", "CreateChangeSet", r#"{"stackName":"$function","changeSetName":"deploy-$short","capabilities":["CAPABILITY_IAM"],"changeSetType":"UPDATE","templateURL":"https://$bucket.s3.$region.amazonaws.com/$short.template","tags":[{"key":"team","value":"platform"}]}"#)
        .answers(r#"{"id":"arn:aws:cloudformation:$region:$account:changeSet/deploy-$short/$uuid","stackId":"arn:aws:cloudformation:$region:$account:stack/$function/$uuid"}"#),
    read(6, "sqs", "GetQueueAttributes", r#"{"queueUrl":"https://sqs.$region.amazonaws.com/$account/$function","attributeNames":["ApproximateNumberOfMessages"]}"#),
    read(4, "sns", "ListSubscriptionsByTopic", r#"{"topicArn":"arn:aws:sns:$region:$account:$function"}"#),
    read(4, "route53", "ListResourceRecordSets", r#"{"hostedZoneId":"Z04$short","maxItems":300}"#),
    read(6, "cloudtrail", "LookupEvents", r#"{"lookupAttributes":[{"attributeKey":"ResourceName","attributeValue":"$instance"}],"maxResults":50}"#).by(By::Person),
    read(5, "cloudtrail", "DescribeTrails", r#"{"trailNameList":[],"includeShadowTrails":false}"#).by(By::Service("config")),
    read(6, "tagging", "GetResources", r#"{"resourcesPerPage":100,"tagFilters":[{"key":"team","values":["platform"]}]}"#),
    write(1, "events", "PutRule", r#"{"name":"$function-every-hour","scheduleExpression":"rate(1 hour)","state":"ENABLED","eventBusName":"default"}"#),
    write(5, "glue", "BatchCreatePartition", r#"{"databaseName":"lake","tableName":"$table","partitionInputList":[{"values":["2026-11-20"],"storageDescriptor":{"location":"s3://$bucket/curated/dt=2026-11-20/","compressed":true,"numberOfBuckets":-1}}]}"#),
    write(4, "athena", "StartQueryExecution", r#"{"queryString":"HIDDEN_DUE_TO_SECURITY_REASONS","clientRequestToken":"$uuid","queryExecutionContext":{"database":"lake"},"workGroup":"analysts"}"#).answers(r#"{"queryExecutionId":"$uuid"}"#),
    write(1, "signin", "ConsoleLogin", "null").answers(r#"{"ConsoleLogin":"Success"}"#).middle(SIGN_IN).form(Form::SignIn).by(By::Person),
    write(1, "signin", "UserAuthentication", "null").middle(DIRECTORY_SIGN_IN).on(r#""serviceEventDetails":{"UserAuthentication":"Success"},"#).form(Form::ServiceEvent).by(By::Directory),
    write(1, "signin", "CredentialVerification", "null").middle(DIRECTORY_SIGN_IN).on(r#""serviceEventDetails":{"CredentialVerification":"Success"},"#).form(Form::ServiceEvent).by(By::Directory),
    write(2, "kms", "RotateKey", "null").on(KMS_KEY).form(Form::ServiceEvent).by(By::Service("kms")),
];

/// What somebody has to look at: attacks, and changes that an attacker would make as well.
pub(crate) const INCIDENTS: &[Kind] = &[
    write(8, "signin", "ConsoleLogin", "null").answers(r#"{"ConsoleLogin":"Failure"}"#).middle(SIGN_IN).form(Form::SignIn).by(By::Person).fails(r#""errorMessage":"Failed authentication","#),
    iam(3, "CreateUser", r#"{"userName":"svc-$short"}"#).answers(r#"{"user":{"path":"/","userName":"svc-$short","userId":"AIDA$hex","arn":"arn:aws:iam::$account:user/svc-$short","createDate":"$expiry"}}"#),
    iam(3, "CreateAccessKey", r#"{"userName":"svc-$short"}"#).answers(r#"{"accessKey":{"userName":"svc-$short","accessKeyId":"AKIA$hex","status":"Active","createDate":"$expiry"}}"#),
    iam(2, "AttachUserPolicy", r#"{"userName":"svc-$short","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#),
    iam(2, "AttachRolePolicy", r#"{"roleName":"$role","policyArn":"arn:aws:iam::aws:policy/ReadOnlyAccess"}"#),
    iam(2, "PutRolePolicy", r#"{"roleName":"$role","policyName":"inline","policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"}"#),
    iam(2, "UpdateAssumeRolePolicy", r#"{"roleName":"$role","policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"sts:AssumeRole\"}]}"}"#),
    iam(1, "CreateLoginProfile", r#"{"userName":"svc-$short","passwordResetRequired":false}"#),
    iam(1, "DeactivateMFADevice", r#"{"userName":"$person","serialNumber":"arn:aws:iam::$account:mfa/$person"}"#),
    write(1, "cloudtrail", "StopLogging", r#"{"name":"arn:aws:cloudtrail:$region:$account:trail/org-trail"}"#).by(By::Person),
    write(1, "cloudtrail", "UpdateTrail", r#"{"name":"org-trail","isMultiRegionTrail":false,"enableLogFileValidation":false}"#).by(By::Person),
    write(3, "ec2", "AuthorizeSecurityGroupIngress", r#"{"groupId":"$group","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":22,"toPort":22,"groups":{},"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}"#).answers(r#"{"requestId":"$uuid","_return":true}"#).by(By::Person),
    write(1, "s3", "DeleteBucketPublicAccessBlock", r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","publicAccessBlock":""}"#).middle(BUCKET_CALL).on(BUCKET).by(By::Person),
    write(1, "s3", "PutBucketPolicy", r#"{"bucketPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::$bucket/*"}]},"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","policy":""}"#).middle(BUCKET_CALL).on(BUCKET).by(By::Person),
    write(1, "ec2", "ModifySnapshotAttribute", r#"{"snapshotId":"snap-0$hex","createVolumePermission":{"add":{"items":[{"group":"all"}]}},"attributeType":"CREATE_VOLUME_PERMISSION"}"#).answers(r#"{"requestId":"$uuid","_return":true}"#).by(By::Person),
    write(1, "guardduty", "DeleteDetector", r#"{"detectorId":"$hex$hex"}"#).by(By::Person),
    write(1, "kms", "ScheduleKeyDeletion", r#"{"keyId":"arn:aws:kms:$region:$account:key/$key","pendingWindowInDays":7}"#).on(KMS_KEY).by(By::Person),
    write(1, "organizations", "LeaveOrganization", "null").by(By::Person).fails(r#""errorCode":"AccessDenied","errorMessage":"You don't have permissions to access this resource.","#),
];
