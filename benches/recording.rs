//! The settings of the demo's organization, as `qtrail audit --record` keeps them: one trail for all accounts, and
//! faults that are common.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trail::record::{digest as sha256, hex};
use trail::snapshot::{Answer, Cause, GLOBAL, Refusal, Reply, Snapshot, VERSION};
use trail::time::Time;

use crate::{BUCKET, FORBIDDEN, GLOBAL as AMERICA, HOME, MIDNIGHT, ORGANIZATION, PRODUCTION};

const LOGGING: &str = "999988887777";
const STAGING: &str = "222233334444";
const MANAGEMENT: &str = "444455556666";
const REGIONS: [&str; 2] = [HOME, AMERICA];
const TRAIL: &str = "arn:aws:cloudtrail:eu-west-1:999988887777:trail/org-trail";
const KEY: &str = "arn:aws:kms:eu-west-1:999988887777:key/5b1d90c2-7f1e-4c1b-9f55-2f1f6f0a7c11";
const GROUP: &str = "arn:aws:logs:eu-west-1:999988887777:log-group:org-trail:*";

/// Noon of the demo's day.
const TAKEN: Time = Time(MIDNIGHT + 12 * 3600);

/// A snapshot a line.
pub(crate) fn lines() -> String {
    let line = |snapshot: Snapshot| serde_json::to_string(&snapshot).expect("JSON") + "\n";
    [logging(), production(), staging()].map(line).concat()
}

/// The trail's own account: its bucket keeps old versions and has no Object Lock.
fn logging() -> Snapshot {
    let mut account = Account::new(LOGGING);
    account.statuses();
    account.bucket();
    account.key();
    account.organization();
    let groups = json!({"logGroups": [{"logGroupName": "org-trail", "arn": GROUP, "retentionInDays": 400}]});
    account.put("logs:DescribeLogGroups", HOME, &[("logGroupNamePrefix", "org-trail")], groups);
    account.holds(&[BUCKET], None);
    account.snapshot()
}

/// Two buckets and a function, none of whose data events is recorded.
fn production() -> Snapshot {
    let mut account = Account::new(PRODUCTION);
    account.statuses();
    account.holds(&["invoices-111122223333", "payments-exports"], Some("charge-card"));
    account.snapshot()
}

/// The role that asks is older than what it has to ask: it may not see whether the trail logs.
fn staging() -> Snapshot {
    let mut account = Account::new(STAGING);
    account.holds(&[], None);
    for region in REGIONS {
        let message = format!(
            "User: arn:aws:sts::{STAGING}:assumed-role/QuickInfraTrailAudit/qtrail is not authorized to perform: \
             cloudtrail:GetTrailStatus on resource: {TRAIL}"
        );
        let refusal = Refusal { cause: Cause::Denied, code: "AccessDeniedException".to_owned(), message };
        account.reply("cloudtrail:GetTrailStatus", region, &[("Name", TRAIL)], Reply::Refusal(refusal));
    }
    account.snapshot()
}

/// An account being asked.
struct Account {
    id: &'static str,
    answers: Vec<Answer>,
}

type Parameters<'a> = &'a [(&'a str, &'a str)];

impl Account {
    /// What every account of the organization says alike.
    fn new(id: &'static str) -> Self {
        let mut account = Self { id, answers: Vec::new() };
        let regions = REGIONS.map(|name| json!({"RegionName": name, "RegionOptStatus": "ENABLED_BY_DEFAULT"}));
        account.put("account:ListRegions", GLOBAL, &[], json!({"Regions": regions}));
        let trail = json!({
            "Name": "org-trail", "TrailARN": TRAIL, "HomeRegion": HOME, "S3BucketName": BUCKET, "KmsKeyId": KEY,
            "CloudWatchLogsLogGroupArn": GROUP, "IsMultiRegionTrail": true, "IsOrganizationTrail": true,
            "IncludeGlobalServiceEvents": true, "LogFileValidationEnabled": true, "HasCustomEventSelectors": true,
            "HasInsightSelectors": false,
        });
        for region in REGIONS {
            let shadows = [("includeShadowTrails", "true")];
            account.put("cloudtrail:DescribeTrails", region, &shadows, json!({"trailList": [trail]}));
        }
        let selectors = json!({"TrailARN": TRAIL, "EventSelectors": [{
            "ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": [],
            "ExcludeManagementEventSources": ["kms.amazonaws.com"],
        }]});
        account.put("cloudtrail:GetEventSelectors", HOME, &[("TrailName", TRAIL)], selectors);
        let organization = json!({"Organization": {"Id": ORGANIZATION, "MasterAccountId": MANAGEMENT}});
        account.put("organizations:DescribeOrganization", GLOBAL, &[], organization);
        account.put("s3control:GetPublicAccessBlock", GLOBAL, &[("AccountId", id)], closed());
        account.regions();
        account
    }

    /// Config and flow logs, as they should be.
    fn regions(&mut self) {
        let group = json!({"allSupported": true, "includeGlobalResourceTypes": true});
        for region in REGIONS {
            let recorders = json!({"ConfigurationRecorders": [{"name": "default", "recordingGroup": group}]});
            let status = json!({"name": "default", "recording": true, "lastStatus": "SUCCESS"});
            let status = json!({"ConfigurationRecordersStatus": [status]});
            let channels = json!({"DeliveryChannels": [{"name": "default"}]});
            let flow = json!({"ResourceId": "vpc-0a1b2c3d", "FlowLogStatus": "ACTIVE", "TrafficType": "ALL"});
            self.put("config:DescribeConfigurationRecorders", region, &[], recorders);
            self.put("config:DescribeConfigurationRecorderStatus", region, &[], status);
            self.put("config:DescribeDeliveryChannels", region, &[], channels);
            self.put("ec2:DescribeVpcs", region, &[], json!({"Vpcs": [{"VpcId": "vpc-0a1b2c3d"}]}));
            self.put("ec2:DescribeFlowLogs", region, &[], json!({"FlowLogs": [flow]}));
        }
    }

    /// The trail logs and delivers.
    fn statuses(&mut self) {
        for region in REGIONS {
            let status = json!({
                "IsLogging": true, "LatestDeliveryTime": "2026-11-20T11:54:00Z",
                "LatestDigestDeliveryTime": "2026-11-20T11:07:00Z",
                "LatestCloudWatchLogsDeliveryTime": "2026-11-20T11:55:00Z",
            });
            self.put("cloudtrail:GetTrailStatus", region, &[("Name", TRAIL)], status);
        }
    }

    /// Its buckets and its function, and who may administer it.
    fn holds(&mut self, buckets: &[&str], function: Option<&str>) {
        let buckets: Vec<Value> = buckets.iter().map(|name| json!({"Name": name, "BucketRegion": HOME})).collect();
        self.put("s3:ListBuckets", GLOBAL, &[], json!({"Buckets": buckets}));
        for region in REGIONS {
            let of_region = |name: &&str| (region == HOME).then(|| (*name).to_owned());
            let functions: Vec<Value> = function
                .iter()
                .filter_map(of_region)
                .map(|name| {
                    let arn = format!("arn:aws:lambda:{region}:{}:function:{name}", self.id);
                    json!({"FunctionName": name, "FunctionArn": arn})
                })
                .collect();
            self.put("lambda:ListFunctions", region, &[], json!({"Functions": functions}));
        }
        let document = json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let arn = format!("arn:aws:iam::{}:role/org-admin", self.id);
        let policies = json!([{"PolicyName": "all", "PolicyDocument": document}]);
        let roles = json!([{"RoleName": "org-admin", "Arn": arn, "RolePolicyList": policies}]);
        let details = json!({"UserDetailList": [], "GroupDetailList": [], "Policies": [], "RoleDetailList": roles});
        self.put("iam:GetAccountAuthorizationDetails", GLOBAL, &[], details);
    }

    fn bucket(&mut self) {
        let about = [("Bucket", BUCKET), ("ExpectedBucketOwner", LOGGING)];
        let of_trail = json!({"StringEquals": {"aws:SourceArn": TRAIL}});
        let (itself, inside) = (format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*"));
        let service = json!({"Service": "cloudtrail.amazonaws.com"});
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": itself,
             "Condition": of_trail},
            {"Effect": "Allow", "Principal": service, "Action": "s3:PutObject", "Resource": inside,
             "Condition": of_trail},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [itself, inside],
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ]});
        let target = json!({"LoggingEnabled": {"TargetBucket": "example-access-logs", "TargetPrefix": ""}});
        let notified = json!({"EventBridgeConfiguration": {}});
        for (call, body) in [
            ("s3:HeadBucket", json!({"BucketRegion": HOME})),
            ("s3:GetBucketPolicy", json!({"Policy": policy.to_string()})),
            ("s3:GetBucketPolicyStatus", json!({"PolicyStatus": {"IsPublic": false}})),
            ("s3:GetPublicAccessBlock", closed()),
            ("s3:GetBucketAcl", json!({"Owner": {"ID": "example"}, "Grants": []})),
            ("s3:GetBucketVersioning", json!({"Status": "Enabled"})),
            ("s3:GetBucketLogging", target),
            ("s3:GetBucketNotificationConfiguration", notified),
            ("s3:ListObjectVersions", json!({"Versions": []})),
        ] {
            self.put(call, HOME, &about, body);
        }
        for (call, code) in [
            ("s3:GetObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"),
            ("s3:GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration"),
        ] {
            let (code, message) = (code.to_owned(), "there is none".to_owned());
            self.reply(call, HOME, &about, Reply::Refusal(Refusal { cause: Cause::Absent, code, message }));
        }
        let points = [("AccountId", LOGGING), ("Bucket", BUCKET)];
        self.put("s3control:ListAccessPoints", HOME, &points, json!({"AccessPointList": []}));
    }

    fn key(&mut self) {
        let about = [("KeyId", KEY)];
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{LOGGING}:root")}, "Action": "kms:*",
             "Resource": "*"},
            {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
             "Action": "kms:GenerateDataKey*", "Resource": "*",
             "Condition": {"StringEquals": {"aws:SourceArn": TRAIL}}},
        ]});
        let metadata = json!({"Arn": KEY, "KeyId": KEY.rsplit('/').next(), "AWSAccountId": LOGGING,
            "KeyState": "Enabled", "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "KeySpec": "SYMMETRIC_DEFAULT"});
        self.put("kms:DescribeKey", HOME, &about, json!({"KeyMetadata": metadata}));
        self.put("kms:GetKeyPolicy", HOME, &about, json!({"Policy": policy.to_string()}));
        self.put("kms:GetKeyRotationStatus", HOME, &about, json!({"KeyRotationEnabled": true}));
        self.put("kms:ListGrants", HOME, &about, json!({"Grants": []}));
    }

    /// Its policy is what refused to let the intruder stop the trail.
    fn organization(&mut self) {
        let active = |id: &str| json!({"Id": id, "Status": "ACTIVE"});
        let accounts = [MANAGEMENT, LOGGING, PRODUCTION, STAGING].map(active);
        self.put("organizations:ListAccounts", GLOBAL, &[], json!({"Accounts": accounts}));
        let filter = [("Filter", "SERVICE_CONTROL_POLICY")];
        let policy = json!({"Id": "p-examplepolicy1", "Name": "protect-the-trail"});
        self.put("organizations:ListPolicies", GLOBAL, &filter, json!({"Policies": [policy]}));
        let content = json!({"Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Resource": "*", "Action": FORBIDDEN}]});
        let about = [("PolicyId", "p-examplepolicy1")];
        let described = json!({"Policy": {"PolicySummary": policy, "Content": content.to_string()}});
        self.put("organizations:DescribePolicy", GLOBAL, &about, described);
        let targets = json!({"Targets": [{"TargetId": "r-exam", "Type": "ROOT", "Name": "Root"}]});
        self.put("organizations:ListTargetsForPolicy", GLOBAL, &about, targets);
    }

    fn put(&mut self, call: &str, region: &str, parameters: Parameters<'_>, body: Value) {
        self.reply(call, region, parameters, Reply::Body(body));
    }

    fn reply(&mut self, call: &str, region: &str, parameters: Parameters<'_>, result: Reply) {
        let text = serde_json::to_string(&result).expect("JSON");
        let hash = hex(&sha256(text.as_bytes()));
        self.answers.push(Answer {
            call: call.to_owned(),
            account: self.id.to_owned(),
            region: region.to_owned(),
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            time: TAKEN,
            request_id: format!("5b1d90c2-0000-4000-8000-{:012x}", self.answers.len()),
            sha256: hash,
            pages: Vec::new(),
            result,
        });
    }

    fn snapshot(self) -> Snapshot {
        Snapshot { version: VERSION, account: self.id.to_owned(), taken: TAKEN, answers: self.answers }
    }
}

/// Nothing of it is open to the public.
fn closed() -> Value {
    let on = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
    let on: BTreeMap<&str, bool> = on.into_iter().map(|name| (name, true)).collect();
    json!({"PublicAccessBlockConfiguration": on})
}
