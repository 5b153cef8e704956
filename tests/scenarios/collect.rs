//! What a snapshot holds, asked of servers that answer as AWS does: well, late, with refusals, with nonsense.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::config::{Credentials, SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use cloud::collect::{Collector, Depth, Options};
use serde_json::{Value, json};
use trail::snapshot::{Answer, Cause, Refusal, Reply, Snapshot};

use crate::support::cloudtrail::{CloudTrail, Fault, Trail};
use crate::support::moto::{Call, Moto};
use crate::support::s3::S3;
use crate::support::{ACCESS_KEY, SECRET_KEY};

/// AWS and a collector with the credentials of an account that no other test uses.
pub(super) struct World {
    pub(super) aws: CloudTrail,
    pub(super) key: String,
    pub(super) collector: Collector,
}

impl World {
    pub(super) async fn of(home: &str) -> Self {
        Self::with(home, Options::default()).await
    }

    pub(super) async fn with(home: &str, options: Options) -> Self {
        let aws = CloudTrail::start().await;
        let key = Moto::shared().key_of(home).await;
        aws.knows(&key, home);
        let credentials = Credentials::new(&key, SECRET_KEY, None, None, "tests");
        let config = SdkConfig::builder()
            .region(Region::new("eu-west-1"))
            .endpoint_url(aws.url())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let options = Options { home: home.to_owned(), ..options };
        let collector = Collector::connect(&config, options).await.expect("a collector");
        Self { aws, key, collector }
    }

    /// A bucket with a trail that delivers there.
    async fn trail(&self, account: &str, bucket: &str, more: &Value) -> Trail {
        self.bucket(bucket).await;
        let trail = Trail::of(account, "org-trail", bucket, more);
        self.aws.add(trail.clone());
        trail
    }

    async fn bucket(&self, bucket: &str) {
        let place =
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        self.put(&format!("/{bucket}"), place).await;
    }

    pub(super) async fn put(&self, target: &str, body: &str) {
        Moto::shared().ask("s3", &self.key, &Call::put(target, body)).await;
    }

    pub(super) async fn snapshot(&self, account: &str) -> Snapshot {
        self.collector.snapshot(account, Depth::Everything).await
    }
}

fn answers<'s>(snapshot: &'s Snapshot, call: &str) -> Vec<&'s Answer> {
    snapshot.answers.iter().filter(|answer| answer.call == call).collect()
}

fn only<'s>(snapshot: &'s Snapshot, call: &str) -> &'s Answer {
    let found = answers(snapshot, call);
    assert_eq!(found.len(), 1, "{call}: {found:?}");
    found[0]
}

fn body(answer: &Answer) -> &Value {
    match &answer.result {
        Reply::Body(body) => body,
        Reply::Refusal(refused) => panic!("{}: {refused:?}", answer.call),
    }
}

fn refused(answer: &Answer) -> &Refusal {
    match &answer.result {
        Reply::Body(body) => panic!("{}: {body}", answer.call),
        Reply::Refusal(refused) => refused,
    }
}

fn cause(answer: &Answer) -> Option<Cause> {
    match &answer.result {
        Reply::Body(_) => None,
        Reply::Refusal(refused) => Some(refused.cause),
    }
}

/// A trail with all that a trail can name, in an organization. Its bucket is called after the account.
pub(super) async fn good(world: &World, account: &str) -> Trail {
    let key = Moto::shared().key_of(account).await;
    let ask = async |service: &str, call: Call| Moto::shared().ask(service, &key, &call).await;
    let created = ask("kms", Call::json("TrentService.CreateKey", &json!({}))).await;
    let created: Value = serde_json::from_str(&created).expect("JSON");
    ask("logs", Call::json("Logs_20140328.CreateLogGroup", &json!({"logGroupName": "trail"}))).await;
    let create = json!({"FeatureSet": "ALL"});
    ask("organizations", Call::json("AWSOrganizationsV20161128.CreateOrganization", &create)).await;
    let group = format!("arn:aws:logs:eu-west-1:{account}:log-group:trail:*");
    let more = json!({"KmsKeyId": created["KeyMetadata"]["Arn"], "CloudWatchLogsLogGroupArn": group});
    let bucket = format!("logs-{account}");
    let trail = world.trail(account, &bucket, &more).await;
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*")}]});
    let lifecycle = "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
        <Expiration><Days>400</Days></Expiration></Rule></LifecycleConfiguration>";
    for (what, text) in [("versioning", versioning), ("policy", &policy.to_string()), ("lifecycle", lifecycle)] {
        world.put(&format!("/{bucket}?{what}"), text).await;
    }
    world.aws.owns(account, &bucket, false);
    trail
}

#[tokio::test]
async fn a_good_account_is_told_whole() {
    let home = "100000000001";
    let world = World::of(home).await;
    let trail = good(&world, home).await;
    let snapshot = world.snapshot(home).await;
    let unexpected = |answer: &&Answer| !matches!(cause(answer), None | Some(Cause::Absent));
    let unexpected: Vec<_> = snapshot.answers.iter().filter(unexpected).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    let described = answers(&snapshot, "cloudtrail:DescribeTrails");
    let regions: Vec<_> = described.iter().map(|answer| answer.region.as_str()).collect();
    assert_eq!(regions, ["eu-west-1", "us-east-1", "me-south-1"], "a region that is not enabled is not asked");
    assert!(described.iter().all(|answer| body(answer)["trailList"] == json!([trail.settings])));
    let status = snapshot.answer("cloudtrail:GetTrailStatus", "us-east-1", &[("Name", trail.arn())]).expect("asked");
    assert_eq!(body(status)["LatestDeliveryTime"], "2025-11-20T00:53:20.25Z");
    assert_eq!(body(only(&snapshot, "cloudtrail:GetEventSelectors"))["EventSelectors"][0]["ReadWriteType"], "All");
    assert_eq!(body(only(&snapshot, "s3:HeadBucket")), &json!({"BucketRegion": "eu-west-1"}));
    assert_eq!(body(only(&snapshot, "s3:GetBucketVersioning"))["Status"], "Enabled");
    assert_eq!(body(only(&snapshot, "s3:GetBucketPolicyStatus")), &json!({"PolicyStatus": {"IsPublic": true}}));
    let rules = &body(only(&snapshot, "s3:GetBucketLifecycleConfiguration"))["Rules"];
    assert_eq!(rules[0]["Expiration"], json!({"Days": 400}));
    let policy = body(only(&snapshot, "s3:GetBucketPolicy"))["Policy"].as_str().expect("a text");
    assert_eq!(serde_json::from_str::<Value>(policy).expect("JSON")["Statement"][0]["Principal"], "*");
    assert_eq!(cause(only(&snapshot, "s3:GetObjectLockConfiguration")), Some(Cause::Absent));
    assert!(body(only(&snapshot, "s3:ListBuckets"))["Buckets"].as_array().is_some_and(|list| !list.is_empty()));
    let block = &body(only(&snapshot, "s3control:GetPublicAccessBlock"))["PublicAccessBlockConfiguration"];
    assert_eq!((&block["BlockPublicAcls"], &block["RestrictPublicBuckets"]), (&json!(true), &json!(false)));
    assert_eq!(body(only(&snapshot, "s3control:ListAccessPoints"))["AccessPointList"][0]["Name"], "p");
    assert_eq!(body(only(&snapshot, "kms:DescribeKey"))["KeyMetadata"]["KeyState"], "Enabled");
    assert_eq!(body(only(&snapshot, "kms:GetKeyRotationStatus"))["KeyRotationEnabled"], false);
    assert_eq!(body(only(&snapshot, "logs:DescribeLogGroups"))["logGroups"][0]["logGroupName"], "trail");
    assert_eq!(body(only(&snapshot, "organizations:DescribeOrganization"))["Organization"]["MasterAccountId"], home);
    assert_eq!(body(only(&snapshot, "organizations:ListAccounts"))["Accounts"][0]["Id"], home);
    assert_eq!(answers(&snapshot, "organizations:DescribePolicy").len(), 1, "the policy that lets everything");
    assert!(body(only(&snapshot, "iam:GetAccountAuthorizationDetails"))["UserDetailList"].is_array());
    let networks = snapshot.answer("ec2:DescribeVpcs", "us-east-1", &[]).expect("asked");
    assert_eq!(body(networks)["Vpcs"][0]["IsDefault"], true);
    let flows = snapshot.answer("ec2:DescribeFlowLogs", "us-east-1", &[]).expect("asked");
    assert_eq!(body(flows), &json!({"FlowLogs": []}));
    assert_eq!(world.collector.accounts().await, Ok(vec![home.to_owned()]));
}

#[tokio::test]
async fn calls_are_as_many_as_the_documents_say() {
    let home = "100000000002";
    let world = World::of(home).await;
    good(&world, home).await;
    let snapshot = world.snapshot(home).await;
    let (regions, seen, trails, buckets, keys, groups, policies) = (3, 3, 1, 1, 1, 1, 1);
    // Nobody's role is taken for the own account.
    let of_account = 5 + 7 * regions + seen + trails + 12 * buckets + 4 * keys + groups;
    assert_eq!(snapshot.answers.len(), of_account + 2 + 2 * policies);
    assert_eq!(world.collector.requests(), u64::try_from(snapshot.answers.len()).expect("a count"));
    let status = world.collector.snapshot(home, Depth::Status).await;
    assert_eq!(status.answers.len(), 1 + regions + seen);
}

#[tokio::test]
async fn nothing_secret_is_kept() {
    let home = "100000000003";
    let options = Options { external_id: "shibboleth".to_owned(), ..Options::default() };
    let world = World::with(home, options).await;
    good(&world, "100000000004").await;
    let snapshot = world.snapshot("100000000004").await;
    let taken = only(&snapshot, "sts:AssumeRole");
    assert_eq!((taken.account.as_str(), taken.region.as_str()), (home, "eu-west-1"));
    assert!(taken.is_about("RoleArn", "arn:aws:iam::100000000004:role/QuickInfraTrailAudit"));
    assert!(body(taken)["AssumedRoleUser"]["Arn"].is_string());
    let text = serde_json::to_string(&snapshot).expect("JSON");
    for secret in ["hunter2", "Environment", "SecretAccessKey", "SessionToken", "shibboleth", SECRET_KEY, "Signature"] {
        assert!(!text.contains(secret), "the snapshot has {secret}");
    }
    assert_eq!(serde_json::from_str::<Snapshot>(&text).expect("a snapshot"), snapshot);
    let asked = snapshot.answers.iter().filter(|answer| answer.call != "sts:AssumeRole");
    let by: BTreeSet<_> = asked.map(|answer| answer.account.as_str()).collect();
    assert_eq!(
        by,
        BTreeSet::from(["100000000004", home]),
        "the log bucket is looked for in the collector's account too"
    );
}

#[tokio::test]
async fn a_denial_spoils_no_other_question() {
    let home = "100000000005";
    let world = World::of(home).await;
    let trail = world.trail(home, "denied-logs", &json!({})).await;
    let denied = || Fault::Refuse(400, "AccessDeniedException");
    world.aws.inject("cloudtrail:DescribeTrails", "us-east-1", usize::MAX, denied());
    world.aws.inject("iam:GetAccountAuthorizationDetails", "", usize::MAX, Fault::Refuse(403, "AccessDenied"));
    world.aws.inject("s3:GET policy", "", usize::MAX, Fault::Refuse(403, "AccessDenied"));
    let snapshot = world.snapshot(home).await;
    let described = snapshot.answer("cloudtrail:DescribeTrails", "us-east-1", &[]).expect("asked");
    assert_eq!((cause(described), refused(described).code.as_str()), (Some(Cause::Denied), "AccessDeniedException"));
    assert_eq!(cause(only(&snapshot, "iam:GetAccountAuthorizationDetails")), Some(Cause::Denied));
    assert_eq!(cause(only(&snapshot, "s3:GetBucketPolicy")), Some(Cause::Denied));
    let status = snapshot.answer("cloudtrail:GetTrailStatus", "us-east-1", &[("Name", trail.arn())]).expect("asked");
    assert_eq!(body(status)["IsLogging"], true, "a trail over all regions is asked after where it could not be seen");
    assert_eq!(body(only(&snapshot, "s3:GetBucketAcl"))["Grants"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn throttling_is_waited_for_but_not_for_ever() {
    let home = "100000000006";
    let options = Options { time: Duration::from_secs(3), ..Options::default() };
    let world = World::with(home, options).await;
    let throttled = || Fault::Refuse(400, "ThrottlingException");
    world.aws.inject("cloudtrail:DescribeTrails", "eu-west-1", 3, throttled());
    world.aws.inject("cloudtrail:DescribeTrails", "us-east-1", usize::MAX, throttled());
    world.aws.inject("cloudtrail:DescribeTrails", "me-south-1", 2, Fault::Refuse(503, "ServiceUnavailable"));
    let started = Instant::now();
    let snapshot = world.collector.snapshot(home, Depth::Status).await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let described = |region| snapshot.answer("cloudtrail:DescribeTrails", region, &[]).expect("asked");
    assert_eq!(body(described("eu-west-1")), &json!({"trailList": []}));
    assert_eq!(body(described("me-south-1")), &json!({"trailList": []}));
    assert_eq!(cause(described("us-east-1")), Some(Cause::Throttled));
    let evidence = snapshot.answer("cloudtrail:DescribeTrails", "us-east-1", &[]).map(|answer| answer.sha256.len());
    assert_eq!(evidence, Some(64), "the last refusal is kept as it came");
    let times = world.aws.count("cloudtrail:DescribeTrails");
    assert!((4 + 3 + 3..60).contains(&times), "asked {times} times");
}

#[tokio::test]
async fn slow_answers_are_given_up() {
    let home = "100000000007";
    let world = World::with(home, Options { time: Duration::from_secs(1), ..Options::default() }).await;
    world.aws.inject("cloudtrail:DescribeTrails", "us-east-1", usize::MAX, Fault::Slow(Duration::from_secs(20)));
    let snapshot = world.collector.snapshot(home, Depth::Status).await;
    let slow = snapshot.answer("cloudtrail:DescribeTrails", "us-east-1", &[]).expect("asked");
    assert_eq!((cause(slow), refused(slow).code.as_str()), (Some(Cause::Unreachable), "Timeout"));
    assert!(slow.request_id.is_empty() && slow.sha256.is_empty(), "nothing came");
    let other = snapshot.answer("cloudtrail:DescribeTrails", "eu-west-1", &[]).expect("asked");
    assert_eq!(body(other), &json!({"trailList": []}));
}

#[tokio::test]
async fn without_a_role_nothing_is_asked_and_all_of_it_is_told() {
    let world = World::of("100000000008").await;
    world.aws.has_no_role("100000000009");
    let snapshot = world.snapshot("100000000009").await;
    let (taken, rest): (Vec<_>, Vec<_>) = snapshot.answers.iter().partition(|answer| answer.call == "sts:AssumeRole");
    assert_eq!(taken.iter().map(|answer| cause(answer)).collect::<Vec<_>>(), [Some(Cause::Denied)]);
    assert!(rest.iter().all(|answer| cause(answer) == Some(Cause::NoRole)), "{rest:#?}");
    let regions = answers(&snapshot, "cloudtrail:DescribeTrails");
    assert_eq!(regions.len(), 17, "the regions that every account has");
    let said = &refused(regions[0]).message;
    assert!(said.contains("arn:aws:iam::100000000009:role/QuickInfraTrailAudit"), "{said}");
    assert_eq!(world.aws.seen().len(), 1, "{:?}", world.aws.seen());
}

#[tokio::test]
async fn a_bucket_is_asked_about_in_the_account_that_owns_it() {
    let (home, logging) = ("100000000010", "100000000011");
    let options = Options { logging_account: logging.to_owned(), ..Options::default() };
    let world = World::with(home, options).await;
    world.trail(home, "central-logs", &json!({})).await;
    world.aws.owns(logging, "central-logs", false);
    let snapshot = world.snapshot(home).await;
    let found = only(&snapshot, "s3:HeadBucket");
    assert!(found.is_about("ExpectedBucketOwner", logging));
    assert_eq!((found.account.as_str(), body(found)), (logging, &json!({"BucketRegion": "eu-west-1"})));
    let about = snapshot.answers.iter().filter(|answer| answer.is_about("Bucket", "central-logs"));
    let about: Vec<_> = about.collect();
    assert_eq!(about.len(), 12);
    assert!(about.iter().all(|answer| answer.account == logging), "{about:#?}");
    assert!(about.iter().all(|answer| matches!(cause(answer), None | Some(Cause::Absent))), "{about:#?}");
}

#[tokio::test]
async fn a_foreign_bucket_is_told_from_one_that_may_not_be_asked() {
    for (home, bucket, is_open) in [("100000000012", "foreign-logs", true), ("100000000013", "closed-logs", false)] {
        let world = World::of(home).await;
        world.trail(home, bucket, &json!({})).await;
        world.aws.owns("999999999999", bucket, is_open);
        let snapshot = world.snapshot(home).await;
        let [insisting, plain] = answers(&snapshot, "s3:HeadBucket")[..] else { panic!("asked twice") };
        assert!(insisting.is_about("ExpectedBucketOwner", home));
        assert_eq!((cause(insisting), refused(insisting).code.as_str()), (Some(Cause::Denied), "Forbidden"));
        assert!(!plain.parameters.contains_key("ExpectedBucketOwner"));
        assert_eq!(cause(plain), (!is_open).then_some(Cause::Denied), "{bucket}");
        assert_eq!(cause(only(&snapshot, "s3:GetBucketPolicy")), Some(Cause::Denied));
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_asked_about_once() {
    let home = "100000000014";
    let world = World::of(home).await;
    world.aws.add(Trail::of(home, "org-trail", "nobodys-logs", &json!({})));
    let snapshot = world.snapshot(home).await;
    assert_eq!(cause(only(&snapshot, "s3:HeadBucket")), Some(Cause::Absent));
    assert!(answers(&snapshot, "s3:GetBucketPolicy").is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_or_is_not_known_says_so() {
    let home = "100000000015";
    let world = World::of(home).await;
    let trail = world.trail(home, "odd-logs", &json!({})).await;
    let say = |text: &str| Fault::Say(text.to_owned());
    world.aws.inject("s3:GET acl", "", 1, say("<AccessControlPolicy><Owner><ID>o</ID>"));
    world.aws.inject("cloudtrail:DescribeTrails", "us-east-1", 1, say(r#"{"trailList": ["#));
    world.aws.inject("cloudtrail:GetTrailStatus", "eu-west-1", 1, Fault::Refuse(400, "InventedYesterdayException"));
    let many = format!(r#"{{"trailList": [], "padding": "{}"}}"#, "x".repeat(17 << 20));
    world.aws.inject("cloudtrail:DescribeTrails", "me-south-1", 1, Fault::Say(many));
    let snapshot = world.snapshot(home).await;
    let unreadable = only(&snapshot, "s3:GetBucketAcl");
    assert_eq!((refused(unreadable).cause, refused(unreadable).code.as_str()), (Cause::Unknown, "Unreadable"));
    assert_eq!(unreadable.sha256.len(), 64, "what came is known all the same");
    let described = |region| refused(snapshot.answer("cloudtrail:DescribeTrails", region, &[]).expect("asked"));
    assert_eq!(described("us-east-1").code, "Unreadable");
    assert_eq!(described("me-south-1").code, "TooLarge");
    let status = snapshot.answer("cloudtrail:GetTrailStatus", "eu-west-1", &[("Name", trail.arn())]).expect("asked");
    assert_eq!((refused(status).cause, refused(status).code.as_str()), (Cause::Unknown, "InventedYesterdayException"));
}

#[tokio::test]
async fn pages_are_joined_but_not_without_end() {
    let home = "100000000026";
    let world = World::of(home).await;
    let call = "lambda:/2015-03-31/functions/";
    let page = || Fault::Say(r#"{"Functions": [{"FunctionName": "a"}], "NextMarker": "m"}"#.to_owned());
    world.aws.inject(call, "eu-west-1", 2, page());
    world.aws.inject(call, "us-east-1", usize::MAX, page());
    let snapshot = world.snapshot(home).await;
    let functions = |region| snapshot.answer("lambda:ListFunctions", region, &[]).expect("asked");
    let joined = body(functions("eu-west-1"));
    let names: Vec<_> = joined["Functions"].as_array().expect("a list").iter().map(|f| &f["FunctionName"]).collect();
    assert_eq!(names, ["a", "a", "f"]);
    assert_eq!(joined.get("NextMarker"), None);
    assert_eq!(
        (refused(functions("us-east-1")).cause, refused(functions("us-east-1")).code.as_str()),
        (Cause::Unknown, "TooLarge")
    );
}

#[tokio::test]
async fn an_organizations_trail_is_asked_about_where_it_is_at_home() {
    let (home, management, member) = ("100000000016", "100000000017", "100000000018");
    let world = World::of(home).await;
    let trail = world.trail(management, "org-logs", &json!({"IsOrganizationTrail": true})).await;
    world.aws.owns(home, "org-logs", false);
    let told = world.snapshot(member).await;
    let selectors = only(&told, "cloudtrail:GetEventSelectors");
    assert_eq!((selectors.account.as_str(), cause(selectors)), (management, None));
    let status = told.answer("cloudtrail:GetTrailStatus", "me-south-1", &[("Name", trail.arn())]).expect("asked");
    assert_eq!((status.account.as_str(), cause(status)), (member, None));
    world.aws.has_no_role(management);
    let darker = world.snapshot(member).await;
    let selectors = answers(&darker, "cloudtrail:GetEventSelectors");
    let by: Vec<_> = selectors.iter().map(|answer| (answer.account.as_str(), cause(answer))).collect();
    assert_eq!(by, [(member, Some(Cause::Absent)), (management, Some(Cause::NoRole))]);
}

#[tokio::test]
async fn an_organization_is_asked_of_its_management_account_where_this_one_may_not() {
    let management = "100000000027";
    let key = Moto::shared().key_of(management).await;
    let ask = async |operation: &str, body: Value| {
        let call = Call::json(&format!("AWSOrganizationsV20161128.{operation}"), &body);
        serde_json::from_str::<Value>(&Moto::shared().ask("organizations", &key, &call).await).expect("JSON")
    };
    ask("CreateOrganization", json!({"FeatureSet": "ALL"})).await;
    let made = ask("CreateAccount", json!({"AccountName": "logs", "Email": "logs@example.com"})).await;
    let home = made["CreateAccountStatus"]["AccountId"].as_str().expect("an account");
    let world = World::of(home).await;
    let denied = || Fault::Refuse(400, "AccessDeniedException");
    world.aws.inject("organizations:ListAccounts", "", 1, denied());
    let snapshot = world.snapshot(home).await;
    let listed = answers(&snapshot, "organizations:ListAccounts");
    let by: Vec<_> = listed.iter().map(|answer| (answer.account.as_str(), cause(answer))).collect();
    assert_eq!(by, [(management, None), (home, Some(Cause::Denied))]);
    assert_eq!(only(&snapshot, "organizations:ListPolicies").account, management);
    assert_eq!(cause(only(&snapshot, "organizations:ListPolicies")), None);
    world.aws.inject("organizations:ListAccounts", "", 1, denied());
    let mut accounts = world.collector.accounts().await.expect("accounts");
    accounts.sort();
    let mut expected = [home.to_owned(), management.to_owned()];
    expected.sort();
    assert_eq!(accounts, expected);
    world.aws.has_no_role(management);
    world.aws.inject("organizations:ListAccounts", "", 1, denied());
    assert_eq!(world.collector.accounts().await.map_err(|refused| refused.cause), Err(Cause::NoRole));
}

#[tokio::test]
async fn roles_are_taken_in_known_accounts_alone() {
    let (home, security, stranger) = ("100000000022", "100000000023", "100000000024");
    let options = Options { accounts: BTreeSet::from([security.to_owned()]), ..Options::default() };
    let world = World::with(home, options).await;
    let key = |account: &str| format!("arn:aws:kms:eu-west-1:{account}:key/00000000-0000-4000-8000-000000000000");
    for (name, account) in [("known-trail", security), ("strange-trail", stranger)] {
        world.aws.add(Trail::of(home, name, "no-such-logs", &json!({"KmsKeyId": key(account)})));
    }
    let snapshot = world.snapshot(home).await;
    let by = |account: &str| {
        let asked = snapshot.answer("kms:DescribeKey", "eu-west-1", &[("KeyId", &key(account))]).expect("asked");
        asked.account.clone()
    };
    assert_eq!((by(security).as_str(), by(stranger).as_str()), (security, home));
    assert!(
        only(&snapshot, "sts:AssumeRole")
            .is_about("RoleArn", &format!("arn:aws:iam::{security}:role/QuickInfraTrailAudit"))
    );
}

#[tokio::test]
async fn a_bucket_of_another_region_is_asked_there() {
    let home = "100000000025";
    let world = World::of(home).await;
    let more = json!({"HomeRegion": "us-east-1", "TrailARN": format!("arn:aws:cloudtrail:us-east-1:{home}:trail/t")});
    world.trail(home, "moved-logs", &more).await;
    let snapshot = world.snapshot(home).await;
    let about: Vec<_> = snapshot.answers.iter().filter(|answer| answer.is_about("Bucket", "moved-logs")).collect();
    assert!(about.len() == 12 && about.iter().all(|answer| answer.region == "eu-west-1"), "{about:#?}");
    assert_eq!(world.aws.count("s3:HEAD"), 2, "once where the trail is, once where the bucket is");
}

#[tokio::test]
async fn delivery_errors_come_through_by_region() {
    let home = "100000000019";
    let world = World::of(home).await;
    world.bucket("partly-logs").await;
    let mut trail = Trail::of(home, "org-trail", "partly-logs", &json!({}));
    let broken = json!({"IsLogging": true, "LatestDeliveryError": "AccessDenied"});
    trail.in_regions.insert("me-south-1".to_owned(), broken);
    world.aws.add(trail.clone());
    let snapshot = world.collector.snapshot(home, Depth::Status).await;
    let status =
        |region| body(snapshot.answer("cloudtrail:GetTrailStatus", region, &[("Name", trail.arn())]).expect("asked"));
    assert_eq!(status("me-south-1")["LatestDeliveryError"], "AccessDenied");
    assert_eq!(status("eu-west-1").get("LatestDeliveryError"), None);
}

/// An endpoint for S3 alone, as `AWS_ENDPOINT_URL_S3` sets it.
#[derive(Debug)]
struct S3At(String);

impl LoadServiceConfig for S3At {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        (key.service_id() == "s3" && key.env() == "AWS_ENDPOINT_URL").then(|| self.0.clone())
    }
}

#[tokio::test]
async fn signatures_are_good_and_a_service_may_have_its_own_endpoint() {
    let home = "100000000020";
    let (aws, s3) = (CloudTrail::start().await, S3::start(&["signed-logs"]).await);
    s3.put("signed-logs", "AWSLogs/a b+c.json.gz", "x").await;
    aws.knows(ACCESS_KEY, home);
    aws.add(Trail::of(home, "org-trail", "signed-logs", &json!({"S3KeyPrefix": "a b+c/ü"})));
    for (secret, expected) in [(SECRET_KEY, None), ("another", Some(Cause::Denied))] {
        let credentials = Credentials::new(ACCESS_KEY, secret, None, None, "tests");
        let config = SdkConfig::builder()
            .region(Region::new("eu-west-1"))
            .endpoint_url(aws.url())
            .service_config(S3At(s3.url()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let options = Options { home: home.to_owned(), time: Duration::from_secs(5), ..Options::default() };
        let collector = Collector::connect(&config, options).await.expect("a collector");
        let snapshot = collector.snapshot(home, Depth::Everything).await;
        assert_eq!(cause(answers(&snapshot, "s3:HeadBucket")[0]), expected, "{secret}");
        let listed = only(&snapshot, "s3:ListBuckets");
        assert_eq!(matches!(listed.result, Reply::Body(_)), expected.is_none(), "{listed:?}");
        let code = if expected.is_none() { "NotImplemented" } else { "SignatureDoesNotMatch" };
        assert_eq!(refused(only(&snapshot, "s3:ListObjectVersions")).code, code, "this S3 lets in first");
    }
}

#[tokio::test]
async fn whose_credentials_they_are_is_asked_when_nobody_says() {
    let home = "100000000021";
    let world = World::of(home).await;
    let credentials = Credentials::new(&world.key, SECRET_KEY, None, None, "tests");
    let config = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .endpoint_url(world.aws.url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let collector = Collector::connect(&config, Options::default()).await.expect("a collector");
    assert_eq!(collector.home(), home);
    let nobody = SdkConfig::builder().region(Region::new("eu-west-1")).endpoint_url(world.aws.url()).build();
    let error = Collector::connect(&nobody, Options::default()).await.expect_err("nobody's");
    assert!(error.to_string().contains("credentials"), "{error}");
}
