//! The API calls that are asked: one value a call says how it is put on the wire, what it needs, and how its answer
//! reads. A further call is a further value, and a line in [`ALL`].

use super::xml::Shape::{self, Holds, Named, Repeats};

/// An API call.
#[derive(Debug)]
pub(super) struct Api {
    /// Service and operation, as in `s3:GetBucketPolicy`.
    pub(super) call: &'static str,
    /// The IAM action that allows it; empty where none is needed.
    pub(super) permission: &'static str,
    /// How the request is put.
    pub(super) wire: Wire,
    /// How the answer reads.
    pub(super) form: Form,
    /// How the next page is asked for, where there may be one.
    pub(super) pages: Option<Pages>,
    /// Members that are thrown away wherever they stand: they hold secrets or what is nobody's business here.
    pub(super) withheld: &'static [&'static str],
}

/// How a request is put.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire {
    /// A JSON document, its operation in the header `X-Amz-Target` after this prefix.
    Json(&'static str),
    /// A form, of this version of the API.
    Query(&'static str),
    /// Method, path and fixed query; parameters stand where [`place`] says.
    Rest(&'static str, &'static str, &'static str),
}

/// How an answer reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// JSON as it is.
    Json,
    /// XML of a query API: what is in the `…Result` element.
    Result,
    /// XML: what is in the root element, under a member of this name unless it is empty; elements as told.
    Xml(&'static str, &'static [(&'static str, Shape)]),
    /// The text itself under a member of this name.
    Text(&'static str),
    /// Nothing but headers.
    Head,
}

/// How the next page is asked for: the parameter, and the member of the answer before that holds its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages(pub(super) &'static str, pub(super) &'static str);

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    /// As calls, signatures and hosts name it.
    pub(super) name: &'static str,
    /// As `AWS_ENDPOINT_URL_…` and profiles name it.
    pub(super) id: &'static str,
    /// Whether there is one endpoint for a whole partition.
    pub(super) global: bool,
}

impl Api {
    /// The part of the call before the colon.
    pub(super) fn service(&self) -> &'static Service {
        service(self.call.split(':').next().unwrap_or_default())
    }

    /// The part of the call behind the colon.
    pub(super) fn operation(&self) -> &'static str {
        self.call.split(':').nth(1).unwrap_or_default()
    }
}

/// The service of this name.
pub(super) fn service(name: &str) -> &'static Service {
    SERVICES.iter().find(|service| service.name == name).unwrap_or(&SERVICES[0])
}

const SERVICES: [Service; 15] = [
    regional("cloudtrail", "cloudtrail"),
    regional("config", "config_service"),
    regional("ec2", "ec2"),
    regional("identitystore", "identitystore"),
    regional("kms", "kms"),
    regional("lambda", "lambda"),
    regional("logs", "cloudwatch_logs"),
    regional("s3", "s3"),
    regional("s3control", "s3_control"),
    regional("sqs", "sqs"),
    regional("sso", "sso_admin"),
    regional("sts", "sts"),
    Service { global: true, ..regional("account", "account") },
    Service { global: true, ..regional("iam", "iam") },
    Service { global: true, ..regional("organizations", "organizations") },
];

const fn regional(name: &'static str, id: &'static str) -> Service {
    Service { name, id, global: false }
}

/// Where a REST request holds a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the path, as `{Name}`.
    Path,
    /// In the query, under this name.
    Query(&'static str),
    /// In this header.
    Header(&'static str),
}

/// Where a REST request holds a parameter.
pub(super) fn place(service: &str, parameter: &str) -> Place {
    match (service, parameter) {
        ("s3control", "Bucket") => Place::Query("bucket"),
        (_, "AccountId") => Place::Header("x-amz-account-id"),
        (_, "ExpectedBucketOwner") => Place::Header("x-amz-expected-bucket-owner"),
        (_, "ContinuationToken") => Place::Query("continuation-token"),
        (_, "MaxKeys") => Place::Query("max-keys"),
        (_, "Prefix") => Place::Query("prefix"),
        (_, "Marker") => Place::Query("Marker"),
        (_, "nextToken") => Place::Query("nextToken"),
        _ => Place::Path,
    }
}

const CLOUDTRAIL: Wire = Wire::Json("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101");
const CONFIG: Wire = Wire::Json("StarlingDoveService");
const IAM: Wire = Wire::Query("2010-05-08");
const IDENTITY_CENTER: Wire = Wire::Json("SWBExternalService");
const IDENTITY_STORE: Wire = Wire::Json("AWSIdentityStore");
const KMS: Wire = Wire::Json("TrentService");
const LOGS: Wire = Wire::Json("Logs_20140328");
const ORGANIZATIONS: Wire = Wire::Json("AWSOrganizationsV20161128");

/// What most calls have in common; never asked itself.
const BASE: Api = Api { call: "", permission: "", wire: CLOUDTRAIL, form: Form::Json, pages: None, withheld: &[] };

const fn json(call: &'static str, wire: Wire) -> Api {
    Api { call, permission: call, wire, ..BASE }
}

/// A question about a bucket: the subresource that is read, and the IAM action, whose name differs as often as not.
const fn bucket(call: &'static str, permission: &'static str, query: &'static str, form: Form) -> Api {
    Api { call, permission, wire: Wire::Rest("GET", "/{Bucket}", query), form, ..BASE }
}

pub(super) const LIST_REGIONS: Api = Api {
    wire: Wire::Rest("POST", "/listRegions", ""),
    pages: Some(Pages("NextToken", "NextToken")),
    ..json("account:ListRegions", CLOUDTRAIL)
};

pub(super) const ASSUME_ROLE: Api = Api {
    call: "sts:AssumeRole",
    wire: Wire::Query("2011-06-15"),
    form: Form::Result,
    withheld: &["Credentials"],
    ..BASE
};
pub(super) const GET_CALLER_IDENTITY: Api = Api { call: "sts:GetCallerIdentity", ..ASSUME_ROLE };

pub(super) const DESCRIBE_TRAILS: Api = json("cloudtrail:DescribeTrails", CLOUDTRAIL);
pub(super) const GET_TRAIL_STATUS: Api = json("cloudtrail:GetTrailStatus", CLOUDTRAIL);
pub(super) const GET_EVENT_SELECTORS: Api = json("cloudtrail:GetEventSelectors", CLOUDTRAIL);

/// Asked with the credentials of whoever verifies, not with a role in the account.
pub(super) const LIST_PUBLIC_KEYS: Api = Api { pages: NEXT, ..json("cloudtrail:ListPublicKeys", CLOUDTRAIL) };

pub(super) const SEND_MESSAGE: Api = json("sqs:SendMessage", Wire::Json("AmazonSQS"));

pub(super) const GET_QUEUE_ATTRIBUTES: Api =
    Api { call: "sqs:GetQueueAttributes", wire: Wire::Query("2012-11-05"), form: Form::Result, ..BASE };

pub(super) const DESCRIBE_RECORDERS: Api = json("config:DescribeConfigurationRecorders", CONFIG);
pub(super) const DESCRIBE_RECORDER_STATUS: Api = json("config:DescribeConfigurationRecorderStatus", CONFIG);
pub(super) const DESCRIBE_CHANNELS: Api = json("config:DescribeDeliveryChannels", CONFIG);

/// EC2 answers a form with XML of its own kind: lists are sets of items.
const fn ec2(call: &'static str, shapes: &'static [(&'static str, Shape)]) -> Api {
    let wire = Wire::Query("2016-11-15");
    Api { call, permission: call, wire, form: Form::Xml("", shapes), pages: NEXT, ..BASE }
}

pub(super) const DESCRIBE_VPCS: Api = ec2(
    "ec2:DescribeVpcs",
    &[
        ("vpcSet", Holds("Vpcs", "item")),
        ("cidrBlockAssociationSet", Holds("CidrBlockAssociationSet", "item")),
        ("ipv6CidrBlockAssociationSet", Holds("Ipv6CidrBlockAssociationSet", "item")),
        ("tagSet", Holds("Tags", "item")),
    ],
);
pub(super) const DESCRIBE_FLOW_LOGS: Api =
    ec2("ec2:DescribeFlowLogs", &[("flowLogSet", Holds("FlowLogs", "item")), ("tagSet", Holds("Tags", "item"))]);

pub(super) const DESCRIBE_KEY: Api = json("kms:DescribeKey", KMS);
pub(super) const GET_KEY_POLICY: Api = json("kms:GetKeyPolicy", KMS);
pub(super) const GET_KEY_ROTATION: Api = json("kms:GetKeyRotationStatus", KMS);
pub(super) const LIST_GRANTS: Api = Api { pages: Some(Pages("Marker", "NextMarker")), ..json("kms:ListGrants", KMS) };

pub(super) const DESCRIBE_LOG_GROUPS: Api =
    Api { pages: Some(Pages("nextToken", "nextToken")), ..json("logs:DescribeLogGroups", LOGS) };

/// A function's environment often holds passwords.
pub(super) const LIST_FUNCTIONS: Api = Api {
    wire: Wire::Rest("GET", "/2015-03-31/functions/", ""),
    pages: Some(Pages("Marker", "NextMarker")),
    withheld: &["Environment"],
    ..json("lambda:ListFunctions", CLOUDTRAIL)
};

pub(super) const ACCOUNT_AUTHORIZATION: Api = Api {
    call: "iam:GetAccountAuthorizationDetails",
    permission: "iam:GetAccountAuthorizationDetails",
    wire: IAM,
    form: Form::Result,
    pages: Some(Pages("Marker", "Marker")),
    ..BASE
};

const fn iam(call: &'static str) -> Api {
    Api { call, permission: call, ..ACCOUNT_AUTHORIZATION }
}

pub(super) const GENERATE_CREDENTIAL_REPORT: Api = Api { pages: None, ..iam("iam:GenerateCredentialReport") };
pub(super) const GET_CREDENTIAL_REPORT: Api = Api { pages: None, ..iam("iam:GetCredentialReport") };
pub(super) const LIST_ACCESS_KEYS: Api = iam("iam:ListAccessKeys");
pub(super) const LIST_VIRTUAL_MFA: Api =
    Api { withheld: &["Base32StringSeed", "QRCodePNG"], ..iam("iam:ListVirtualMFADevices") };
pub(super) const LIST_SAML_PROVIDERS: Api = Api { pages: None, ..iam("iam:ListSAMLProviders") };
pub(super) const LIST_OIDC_PROVIDERS: Api = Api { pages: None, ..iam("iam:ListOpenIDConnectProviders") };

pub(super) const LIST_INSTANCES: Api = Api { pages: NEXT, ..json("sso:ListInstances", IDENTITY_CENTER) };
pub(super) const LIST_PERMISSION_SETS: Api = Api { pages: NEXT, ..json("sso:ListPermissionSets", IDENTITY_CENTER) };
pub(super) const LIST_PROVISIONED_ACCOUNTS: Api =
    Api { pages: NEXT, ..json("sso:ListAccountsForProvisionedPermissionSet", IDENTITY_CENTER) };
pub(super) const LIST_ASSIGNMENTS: Api = Api { pages: NEXT, ..json("sso:ListAccountAssignments", IDENTITY_CENTER) };

/// What is asked about a permission set, besides the accounts that it is provisioned in.
pub(super) const OF_PERMISSION_SETS: [&Api; 5] = [
    &json("sso:DescribePermissionSet", IDENTITY_CENTER),
    &Api { pages: NEXT, ..json("sso:ListManagedPoliciesInPermissionSet", IDENTITY_CENTER) },
    &Api { pages: NEXT, ..json("sso:ListCustomerManagedPolicyReferencesInPermissionSet", IDENTITY_CENTER) },
    &json("sso:GetInlinePolicyForPermissionSet", IDENTITY_CENTER),
    &json("sso:GetPermissionsBoundaryForPermissionSet", IDENTITY_CENTER),
];

/// Where people live and what their telephone numbers are is no matter of access.
pub(super) const LIST_USERS: Api = Api {
    pages: NEXT,
    withheld: &[
        "Addresses",
        "Birthdate",
        "Extensions",
        "Locale",
        "NickName",
        "PhoneNumbers",
        "Photos",
        "PreferredLanguage",
        "ProfileUrl",
        "Timezone",
        "Website",
    ],
    ..json("identitystore:ListUsers", IDENTITY_STORE)
};
pub(super) const LIST_GROUPS: Api = Api { pages: NEXT, ..json("identitystore:ListGroups", IDENTITY_STORE) };
pub(super) const LIST_MEMBERSHIPS: Api =
    Api { pages: NEXT, ..json("identitystore:ListGroupMemberships", IDENTITY_STORE) };
pub(super) const LIST_PARENTS: Api = Api { pages: NEXT, ..json("organizations:ListParents", ORGANIZATIONS) };

const NEXT: Option<Pages> = Some(Pages("NextToken", "NextToken"));
pub(super) const DESCRIBE_ORGANIZATION: Api = json("organizations:DescribeOrganization", ORGANIZATIONS);
pub(super) const LIST_ACCOUNTS: Api = Api { pages: NEXT, ..json("organizations:ListAccounts", ORGANIZATIONS) };
pub(super) const LIST_POLICIES: Api = Api { pages: NEXT, ..json("organizations:ListPolicies", ORGANIZATIONS) };
pub(super) const DESCRIBE_POLICY: Api = json("organizations:DescribePolicy", ORGANIZATIONS);
pub(super) const LIST_TARGETS: Api = Api { pages: NEXT, ..json("organizations:ListTargetsForPolicy", ORGANIZATIONS) };

pub(super) const LIST_BUCKETS: Api = Api {
    call: "s3:ListBuckets",
    permission: "s3:ListAllMyBuckets",
    wire: Wire::Rest("GET", "/", ""),
    form: Form::Xml("", &[("Buckets", Holds("Buckets", "Bucket"))]),
    pages: Some(Pages("ContinuationToken", "ContinuationToken")),
    withheld: &[],
};
pub(super) const HEAD_BUCKET: Api = Api {
    call: "s3:HeadBucket",
    permission: "s3:ListBucket",
    wire: Wire::Rest("HEAD", "/{Bucket}", ""),
    form: Form::Head,
    ..BASE
};
pub(super) const BUCKET_POLICY: Api =
    bucket("s3:GetBucketPolicy", "s3:GetBucketPolicy", "policy", Form::Text("Policy"));
pub(super) const BUCKET_POLICY_STATUS: Api =
    bucket("s3:GetBucketPolicyStatus", "s3:GetBucketPolicyStatus", "policyStatus", Form::Xml("PolicyStatus", &[]));
pub(super) const BUCKET_PUBLIC_ACCESS: Api = bucket(
    "s3:GetPublicAccessBlock",
    "s3:GetBucketPublicAccessBlock",
    "publicAccessBlock",
    Form::Xml("PublicAccessBlockConfiguration", &[]),
);
pub(super) const BUCKET_ACL: Api = bucket(
    "s3:GetBucketAcl",
    "s3:GetBucketAcl",
    "acl",
    Form::Xml("", &[("AccessControlList", Holds("Grants", "Grant"))]),
);
pub(super) const BUCKET_VERSIONING: Api = bucket(
    "s3:GetBucketVersioning",
    "s3:GetBucketVersioning",
    "versioning",
    Form::Xml("", &[("MfaDelete", Named("MFADelete"))]),
);
pub(super) const BUCKET_OBJECT_LOCK: Api = bucket(
    "s3:GetObjectLockConfiguration",
    "s3:GetBucketObjectLockConfiguration",
    "object-lock",
    Form::Xml("ObjectLockConfiguration", &[]),
);
pub(super) const BUCKET_LIFECYCLE: Api = bucket(
    "s3:GetBucketLifecycleConfiguration",
    "s3:GetLifecycleConfiguration",
    "lifecycle",
    Form::Xml(
        "",
        &[
            ("Rule", Repeats("Rules")),
            ("Transition", Repeats("Transitions")),
            ("NoncurrentVersionTransition", Repeats("NoncurrentVersionTransitions")),
            ("And/Tag", Repeats("Tags")),
        ],
    ),
);
pub(super) const BUCKET_LOGGING: Api = bucket(
    "s3:GetBucketLogging",
    "s3:GetBucketLogging",
    "logging",
    Form::Xml("", &[("TargetGrants", Holds("TargetGrants", "Grant"))]),
);
pub(super) const BUCKET_NOTIFICATION: Api = bucket(
    "s3:GetBucketNotificationConfiguration",
    "s3:GetBucketNotification",
    "notification",
    Form::Xml(
        "",
        &[
            ("TopicConfiguration", Repeats("TopicConfigurations")),
            ("QueueConfiguration", Repeats("QueueConfigurations")),
            ("CloudFunctionConfiguration", Repeats("LambdaFunctionConfigurations")),
            ("Topic", Named("TopicArn")),
            ("Queue", Named("QueueArn")),
            ("CloudFunction", Named("LambdaFunctionArn")),
            ("Event", Repeats("Events")),
            ("S3Key", Named("Key")),
            ("FilterRule", Repeats("FilterRules")),
        ],
    ),
);
/// One page: a sample.
pub(super) const OBJECT_VERSIONS: Api = bucket(
    "s3:ListObjectVersions",
    "s3:ListBucketVersions",
    "versions",
    Form::Xml(
        "",
        &[
            ("Version", Repeats("Versions")),
            ("DeleteMarker", Repeats("DeleteMarkers")),
            ("CommonPrefixes", Repeats("CommonPrefixes")),
            ("ChecksumAlgorithm", Repeats("ChecksumAlgorithm")),
        ],
    ),
);

pub(super) const ACCOUNT_PUBLIC_ACCESS: Api = Api {
    call: "s3control:GetPublicAccessBlock",
    permission: "s3:GetAccountPublicAccessBlock",
    wire: Wire::Rest("GET", "/v20180820/configuration/publicAccessBlock", ""),
    form: Form::Xml("PublicAccessBlockConfiguration", &[]),
    ..BASE
};
pub(super) const LIST_ACCESS_POINTS: Api = Api {
    call: "s3control:ListAccessPoints",
    permission: "s3:ListAccessPoints",
    wire: Wire::Rest("GET", "/v20180820/accesspoint", ""),
    form: Form::Xml("", &[("AccessPointList", Holds("AccessPointList", "AccessPoint"))]),
    pages: Some(Pages("nextToken", "NextToken")),
    withheld: &[],
};

/// What is asked of the bucket's owner alone, besides [`HEAD_BUCKET`], [`OBJECT_VERSIONS`] and [`LIST_ACCESS_POINTS`].
pub(super) const OF_BUCKETS: [&Api; 9] = [
    &BUCKET_POLICY,
    &BUCKET_POLICY_STATUS,
    &BUCKET_PUBLIC_ACCESS,
    &BUCKET_ACL,
    &BUCKET_VERSIONING,
    &BUCKET_OBJECT_LOCK,
    &BUCKET_LIFECYCLE,
    &BUCKET_LOGGING,
    &BUCKET_NOTIFICATION,
];

/// What is asked about a key once its description is there.
pub(super) const OF_KEYS: [&Api; 3] = [&GET_KEY_POLICY, &GET_KEY_ROTATION, &LIST_GRANTS];

/// What is asked in each region, besides the trails.
pub(super) const OF_REGIONS: [&Api; 6] = [
    &LIST_FUNCTIONS,
    &DESCRIBE_RECORDERS,
    &DESCRIBE_RECORDER_STATUS,
    &DESCRIBE_CHANNELS,
    &DESCRIBE_VPCS,
    &DESCRIBE_FLOW_LOGS,
];

/// What an access review asks once an account, besides the credential report and the keys of users.
pub(super) const OF_PRINCIPALS: [&Api; 4] =
    [&ACCOUNT_AUTHORIZATION, &LIST_VIRTUAL_MFA, &LIST_SAML_PROVIDERS, &LIST_OIDC_PROVIDERS];

/// What an access review asks in every account.
pub(super) const ACCESS_OF_ACCOUNTS: [&Api; 4] =
    [&DESCRIBE_ORGANIZATION, &GENERATE_CREDENTIAL_REPORT, &GET_CREDENTIAL_REPORT, &LIST_ACCESS_KEYS];

/// What it asks of the management account alone, or of a delegated administrator: nobody else may tell.
pub(super) const ACCESS_OF_ORGANIZATION: [&Api; 12] = [
    &LIST_ACCOUNTS,
    &LIST_POLICIES,
    &DESCRIBE_POLICY,
    &LIST_TARGETS,
    &LIST_PARENTS,
    &LIST_INSTANCES,
    &LIST_PERMISSION_SETS,
    &LIST_PROVISIONED_ACCOUNTS,
    &LIST_ASSIGNMENTS,
    &LIST_USERS,
    &LIST_GROUPS,
    &LIST_MEMBERSHIPS,
];

/// Everything that the audit ever asks with the role of an account.
pub(super) const ALL: [&Api; 35] = [
    &LIST_REGIONS,
    &DESCRIBE_TRAILS,
    &GET_TRAIL_STATUS,
    &GET_EVENT_SELECTORS,
    &DESCRIBE_RECORDERS,
    &DESCRIBE_RECORDER_STATUS,
    &DESCRIBE_CHANNELS,
    &DESCRIBE_VPCS,
    &DESCRIBE_FLOW_LOGS,
    &ACCOUNT_AUTHORIZATION,
    &DESCRIBE_KEY,
    &GET_KEY_POLICY,
    &GET_KEY_ROTATION,
    &LIST_GRANTS,
    &LIST_FUNCTIONS,
    &DESCRIBE_LOG_GROUPS,
    &DESCRIBE_ORGANIZATION,
    &LIST_ACCOUNTS,
    &LIST_POLICIES,
    &DESCRIBE_POLICY,
    &LIST_TARGETS,
    &LIST_BUCKETS,
    &HEAD_BUCKET,
    &BUCKET_POLICY,
    &BUCKET_POLICY_STATUS,
    &BUCKET_PUBLIC_ACCESS,
    &BUCKET_ACL,
    &BUCKET_VERSIONING,
    &BUCKET_OBJECT_LOCK,
    &BUCKET_LIFECYCLE,
    &BUCKET_LOGGING,
    &BUCKET_NOTIFICATION,
    &OBJECT_VERSIONS,
    &ACCOUNT_PUBLIC_ACCESS,
    &LIST_ACCESS_POINTS,
];
