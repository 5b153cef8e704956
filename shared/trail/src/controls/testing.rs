//! What the controls' own tests are written with: an account as it should be, to be broken one piece at a time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::control::{Context, Earlier, Matters, Member, OwnState, Status, Verdict, View};
use crate::snapshot::{Answer, Cause, GLOBAL, Refusal, Reply, Snapshot, VERSION};
use crate::time::Time;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const LOGGING: &str = "999988887777";
pub(crate) const MANAGEMENT: &str = "444455556666";
pub(crate) const TRAIL: &str = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/org-trail";
pub(crate) const KEY: &str = "arn:aws:kms:eu-west-1:999988887777:key/1234";
pub(crate) const BUCKET: &str = "org-logs";
const GROUP: &str = "arn:aws:logs:eu-west-1:111122223333:log-group:trail:*";
const ADMIN: &str = "arn:aws:iam::111122223333:role/admin";

/// The time of all snapshots here.
pub(crate) fn now() -> Time {
    Time::parse("2026-11-20T12:00:00Z").expect("a time")
}

/// A refusal for want of rights.
pub(crate) fn denied() -> Refusal {
    Refusal { cause: Cause::Denied, code: "AccessDenied".to_owned(), message: "no".to_owned() }
}

/// The answer that something is not there.
pub(crate) fn absent(code: &str) -> Refusal {
    Refusal { cause: Cause::Absent, code: code.to_owned(), message: "not there".to_owned() }
}

/// All that is known besides, as it should be.
pub(crate) fn context() -> Context {
    let member = |id: &str| Member { id: id.to_owned(), active: true, recorded: Some(true) };
    let detections: BTreeSet<String> = crate::detections::all().iter().map(|found| found.id.to_owned()).collect();
    Context {
        now: now(),
        logging_account: LOGGING.to_owned(),
        accounts: Some([ACCOUNT, LOGGING, MANAGEMENT].map(member).to_vec()),
        buckets: Matters::All,
        trail_administrators: vec![ADMIN.to_owned()],
        earlier: Earlier::Snapshot(Box::new(Account::with_trail().snapshot())),
        state: OwnState {
            digests_verified: Some(Time(now().0 - 3600)),
            digest_problems: Some(Vec::new()),
            canary: Some(Time(now().0 - 1800)),
            subscriber: Some(true),
            detections: Some(detections),
            silence: Some(Vec::new()),
            notified: Some(vec!["arn:aws:sqs:eu-west-1:999988887777:ingest".to_owned()]),
            dead_letters: Some(0),
            last_ingest: Some(Time(now().0 - 600)),
            foreign_objects: Some(0),
        },
        ..Context::default()
    }
}

/// An account and what it answers.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    id: String,
    answers: Vec<Answer>,
}

type Parameters<'a> = &'a [(&'a str, &'a str)];

impl Account {
    /// An account without a trail.
    pub(crate) fn new(id: &str, regions: &[&str]) -> Self {
        let mut account = Self { id: id.to_owned(), answers: Vec::new() };
        let listed: Vec<Value> =
            regions.iter().map(|name| json!({"RegionName": name, "RegionOptStatus": "ENABLED_BY_DEFAULT"})).collect();
        account.put("account:ListRegions", GLOBAL, &[], json!({"Regions": listed}));
        for region in regions {
            account.put("cloudtrail:DescribeTrails", region, &[], json!({"trailList": []}));
        }
        account
    }

    /// An account in two regions in which all is as it should be.
    pub(crate) fn with_trail() -> Self {
        let mut account = Self::new(ACCOUNT, &["eu-west-1", "us-east-1"]);
        account.add_trail();
        account.add_bucket();
        account.add_key();
        account.add_organization();
        account.add_rest();
        account
    }

    fn add_trail(&mut self) {
        let trail = json!({
            "Name": "org-trail", "TrailARN": TRAIL, "HomeRegion": "eu-west-1", "S3BucketName": BUCKET,
            "KmsKeyId": KEY, "CloudWatchLogsLogGroupArn": GROUP, "IsMultiRegionTrail": true,
            "IsOrganizationTrail": true, "IncludeGlobalServiceEvents": true, "LogFileValidationEnabled": true,
            "HasCustomEventSelectors": true,
        });
        for region in ["eu-west-1", "us-east-1"] {
            self.put("cloudtrail:DescribeTrails", region, &[], json!({"trailList": [trail]}));
            let status = json!({
                "IsLogging": true, "LatestDeliveryTime": "2026-11-20T11:50:00Z",
                "LatestDigestDeliveryTime": "2026-11-20T11:10:00Z",
                "LatestCloudWatchLogsDeliveryTime": "2026-11-20T11:50:00Z",
            });
            self.put("cloudtrail:GetTrailStatus", region, &[("Name", TRAIL)], status);
        }
        let field = |name: &str, value: &str| json!({"Field": name, "Equals": [value]});
        let data =
            |kind: &str| json!({"FieldSelectors": [field("eventCategory", "Data"), field("resources.type", kind)]});
        let selectors = json!({"TrailARN": TRAIL, "AdvancedEventSelectors": [
            {"Name": "m", "FieldSelectors": [field("eventCategory", "Management")]},
            data("AWS::S3::Object"), data("AWS::Lambda::Function"),
        ]});
        self.put("cloudtrail:GetEventSelectors", "eu-west-1", &[("TrailName", TRAIL)], selectors);
        let groups = json!({"logGroups": [{"logGroupName": "trail", "arn": GROUP, "retentionInDays": 400}]});
        self.put("logs:DescribeLogGroups", "eu-west-1", &[("logGroupNamePrefix", "trail")], groups);
    }

    fn add_bucket(&mut self) {
        let about = [("Bucket", BUCKET), ("ExpectedBucketOwner", LOGGING)];
        let policy = json!({"Statement": [
            {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl",
             "Resource": "arn:aws:s3:::org-logs", "Condition": {"StringEquals": {"aws:SourceArn": TRAIL}}},
            {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject",
             "Resource": "arn:aws:s3:::org-logs/AWSLogs/*", "Condition": {"StringEquals": {"aws:SourceArn": TRAIL}}},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::org-logs", "arn:aws:s3:::org-logs/*"],
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ]});
        let block = json!({"PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "BlockPublicPolicy": true,
            "IgnorePublicAcls": true, "RestrictPublicBuckets": true}});
        let lock = json!({"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 400}}}});
        let target = json!({"LoggingEnabled": {"TargetBucket": "access-logs", "TargetPrefix": ""}});
        let notified = json!({"QueueConfigurations": [
            {"QueueArn": "arn:aws:sqs:eu-west-1:999988887777:ingest", "Events": ["s3:ObjectCreated:*"]}]});
        let versions = json!({"Versions": [
            {"Key": "AWSLogs/1/CloudTrail/a.json.gz", "VersionId": "1", "IsLatest": true},
            {"Key": "AWSLogs/1/CloudTrail/b.json.gz", "VersionId": "2", "IsLatest": true}]});
        for (call, body) in [
            ("s3:HeadBucket", json!({"BucketRegion": "eu-west-1"})),
            ("s3:GetBucketPolicy", json!({"Policy": policy.to_string()})),
            ("s3:GetBucketPolicyStatus", json!({"PolicyStatus": {"IsPublic": false}})),
            ("s3:GetPublicAccessBlock", block.clone()),
            ("s3:GetBucketAcl", json!({"Owner": {"ID": "x"}, "Grants": []})),
            ("s3:GetBucketVersioning", json!({"Status": "Enabled"})),
            ("s3:GetObjectLockConfiguration", lock),
            ("s3:GetBucketLogging", target),
            ("s3:GetBucketNotificationConfiguration", notified),
            ("s3:ListObjectVersions", versions),
        ] {
            self.put(call, "eu-west-1", &about, body);
        }
        self.refuse("s3:GetBucketLifecycleConfiguration", "eu-west-1", &about, absent("NoSuchLifecycleConfiguration"));
        let points = [("AccountId", LOGGING), ("Bucket", BUCKET)];
        self.put("s3control:ListAccessPoints", "eu-west-1", &points, json!({"AccessPointList": []}));
        self.put("s3control:GetPublicAccessBlock", GLOBAL, &[("AccountId", ACCOUNT)], block);
        self.put("s3:ListBuckets", GLOBAL, &[], json!({"Buckets": [{"Name": "orders"}, {"Name": "images"}]}));
    }

    fn add_key(&mut self) {
        let about = [("KeyId", KEY)];
        let policy = json!({"Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "kms:GenerateDataKey*",
             "Resource": "*", "Condition": {"StringEquals": {"aws:SourceArn": TRAIL}}},
        ]});
        let metadata = json!({"KeyMetadata": {"Arn": KEY, "KeyId": "1234", "AWSAccountId": LOGGING, "KeyState": "Enabled",
            "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "KeySpec": "SYMMETRIC_DEFAULT"}});
        self.put("kms:DescribeKey", "eu-west-1", &about, metadata);
        self.put("kms:GetKeyPolicy", "eu-west-1", &about, json!({"Policy": policy.to_string()}));
        self.put("kms:GetKeyRotationStatus", "eu-west-1", &about, json!({"KeyRotationEnabled": true}));
        self.put("kms:ListGrants", "eu-west-1", &about, json!({"Grants": []}));
    }

    fn add_organization(&mut self) {
        let organization = json!({"Organization": {"Id": "o-1", "MasterAccountId": MANAGEMENT}});
        self.put("organizations:DescribeOrganization", GLOBAL, &[], organization);
        let accounts: Vec<Value> =
            [ACCOUNT, LOGGING, MANAGEMENT].iter().map(|id| json!({"Id": id, "Status": "ACTIVE"})).collect();
        self.put("organizations:ListAccounts", GLOBAL, &[], json!({"Accounts": accounts}));
        let policies = json!({"Policies": [{"Id": "p-1", "Name": "protect"}]});
        self.put("organizations:ListPolicies", GLOBAL, &[("Filter", "SERVICE_CONTROL_POLICY")], policies);
        let content = json!({"Statement": [{"Effect": "Deny", "Resource": "*", "Action": ["cloudtrail:StopLogging",
            "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors", "s3:DeleteBucket",
            "s3:PutBucketPolicy", "s3:PutLifecycleConfiguration", "kms:ScheduleKeyDeletion", "kms:DisableKey"]}]});
        let policy = json!({"Policy": {"PolicySummary": {"Id": "p-1"}, "Content": content.to_string()}});
        self.put("organizations:DescribePolicy", GLOBAL, &[("PolicyId", "p-1")], policy);
        let targets = json!({"Targets": [{"TargetId": "r-1", "Type": "ROOT", "Name": "Root"}]});
        self.put("organizations:ListTargetsForPolicy", GLOBAL, &[("PolicyId", "p-1")], targets);
    }

    fn add_rest(&mut self) {
        for region in ["eu-west-1", "us-east-1"] {
            let functions = json!({"Functions": [{"FunctionName": "pay",
                "FunctionArn": format!("arn:aws:lambda:{region}:{ACCOUNT}:function:pay")}]});
            let recorders = json!({"ConfigurationRecorders": [{"name": "default",
                "recordingGroup": {"allSupported": true, "includeGlobalResourceTypes": true}}]});
            let recording = json!({"ConfigurationRecordersStatus": [{"name": "default", "recording": true, "lastStatus": "SUCCESS"}]});
            let flow = json!({"FlowLogs": [{"ResourceId": "vpc-1", "FlowLogStatus": "ACTIVE", "TrafficType": "ALL"}]});
            self.put("lambda:ListFunctions", region, &[], functions);
            self.put("config:DescribeConfigurationRecorders", region, &[], recorders);
            self.put("config:DescribeConfigurationRecorderStatus", region, &[], recording);
            self.put(
                "config:DescribeDeliveryChannels",
                region,
                &[],
                json!({"DeliveryChannels": [{"name": "default"}]}),
            );
            self.put("ec2:DescribeVpcs", region, &[], json!({"Vpcs": [{"VpcId": "vpc-1"}]}));
            self.put("ec2:DescribeFlowLogs", region, &[], flow);
        }
        let document = json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let details = json!({"UserDetailList": [], "GroupDetailList": [], "Policies": [], "RoleDetailList": [
            {"RoleName": "admin", "Arn": ADMIN, "RolePolicyList": [{"PolicyName": "all", "PolicyDocument": document}]}]});
        self.put("iam:GetAccountAuthorizationDetails", GLOBAL, &[], details);
    }

    /// Sets the answer to a question.
    pub(crate) fn put(&mut self, call: &str, region: &str, parameters: Parameters<'_>, body: Value) {
        self.set_reply(call, region, parameters, Reply::Body(body));
    }

    /// Refuses a question.
    pub(crate) fn refuse(&mut self, call: &str, region: &str, parameters: Parameters<'_>, refusal: Refusal) {
        self.set_reply(call, region, parameters, Reply::Refusal(refusal));
    }

    fn set_reply(&mut self, call: &str, region: &str, parameters: Parameters<'_>, result: Reply) {
        let parameters: BTreeMap<String, String> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.answers.retain(|a| !(a.call == call && a.region == region && a.parameters == parameters));
        let request_id = format!("r-{}", self.answers.len());
        let (call, region, account) = (call.to_owned(), region.to_owned(), self.id.clone());
        let sha256 = "0".repeat(64);
        self.answers.push(Answer {
            call,
            account,
            region,
            parameters,
            time: now(),
            request_id,
            sha256,
            pages: Vec::new(),
            result,
        });
    }

    /// The calls that were asked.
    pub(crate) fn calls(&self) -> BTreeSet<String> {
        self.answers.iter().map(|answer| answer.call.clone()).collect()
    }

    /// Refuses a call wherever it was asked.
    pub(crate) fn refuse_call(&mut self, call: &str, refusal: &Refusal) {
        let about = self.answers.iter_mut().filter(|answer| answer.call == call);
        about.for_each(|answer| answer.result = Reply::Refusal(refusal.clone()));
    }

    /// Answers a call alike wherever it was asked.
    pub(crate) fn answer_call(&mut self, call: &str, body: &Value) {
        let about = self.answers.iter_mut().filter(|answer| answer.call == call);
        about.for_each(|answer| answer.result = Reply::Body(body.clone()));
    }

    /// Refuses everything.
    pub(crate) fn refuse_all(&mut self, refusal: &Refusal) {
        self.answers.iter_mut().for_each(|answer| answer.result = Reply::Refusal(refusal.clone()));
    }

    /// As if a call had never been asked.
    pub(crate) fn forget(&mut self, call: &str) {
        self.answers.retain(|answer| answer.call != call);
    }

    /// Sets a member of every answer to a call; null takes it out.
    pub(crate) fn set(&mut self, call: &str, pointer: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        let path: Vec<&str> = pointer.split('/').collect();
        for answer in self.answers.iter_mut().filter(|answer| answer.call == call) {
            if let Reply::Body(body) = &mut answer.result {
                *path.iter().fold(body, |value, part| match part.parse::<usize>() {
                    Ok(index) => &mut value[index],
                    Err(_) => &mut value[*part],
                }) = value.clone();
            }
        }
    }

    /// Sets a member of the trail wherever it is seen.
    pub(crate) fn trail(&mut self, member: &str, value: Value) {
        self.set("cloudtrail:DescribeTrails", &format!("trailList/0/{member}"), value);
    }

    /// Gives the trail these advanced selectors.
    pub(crate) fn advanced(&mut self, selectors: Value) {
        self.set("cloudtrail:GetEventSelectors", "AdvancedEventSelectors", selectors);
        self.set("cloudtrail:GetEventSelectors", "EventSelectors", Value::Null);
    }

    /// Gives the trail these basic selectors.
    pub(crate) fn basic(&mut self, selectors: Value) {
        self.set("cloudtrail:GetEventSelectors", "AdvancedEventSelectors", Value::Null);
        self.set("cloudtrail:GetEventSelectors", "EventSelectors", selectors);
    }

    /// Turns the answers round.
    pub(crate) fn answers_last_first(&mut self) {
        self.answers.reverse();
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { version: VERSION, account: self.id.clone(), taken: now(), answers: self.answers.clone() }
    }

    /// What all controls say.
    pub(crate) fn verdicts(&self, context: &Context) -> Vec<Verdict> {
        let snapshot = self.snapshot();
        View::new(&snapshot, context).expect("a snapshot of this version").judge()
    }

    /// What one control says, all resources together: how it stands and why.
    pub(crate) fn said(&self, control: &str, context: &Context) -> (Status, String) {
        let snapshot = self.snapshot();
        let view = View::new(&snapshot, context).expect("a snapshot of this version");
        let verdicts = super::find(control).expect("a control").judge(&view);
        let reasons: Vec<&str> = verdicts.iter().map(|verdict| verdict.reason.as_str()).collect();
        (Status::rolled_up(verdicts.iter().map(|verdict| verdict.status)), reasons.join(" | "))
    }

    /// The verdict of a control that has one alone.
    pub(crate) fn only(&self, control: &str, context: &Context) -> Verdict {
        let mut verdicts = self.verdicts(context);
        verdicts.retain(|verdict| verdict.control_id == control);
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        verdicts.remove(0)
    }
}

/// Asserts how a control stands and that its reason says something.
#[track_caller]
pub(crate) fn assert_said(account: &Account, context: &Context, (control, status, words): (&str, Status, &str)) {
    let (found, reason) = account.said(control, context);
    assert_eq!(found, status, "{control}: {reason}");
    assert!(reason.contains(words), "{control}: {reason}");
}
