//! Writes `events/`: the demo's log files and their digests, its settings as an audit records them, who has access as
//! the collector stores it, and the Lambda invocations, the same ones every time.
//!
//! `cargo run --example make-events`. A small organization's day, 20 November 2026, with an intrusion in the night: an
//! access key of the CI user `ci-deploy` is used from an address that nobody knows. After AWS had signed the night's
//! log files somebody took a record of the intruder out of one. In the evening access is taken away, as the review of
//! the quarter before decided.

use std::fs;
use std::path::Path;

use corpus::{Corpus, Delivery, LogFile};
use serde_json::{Value, json};

mod access;
mod chains;
#[expect(dead_code, reason = "the benchmark uses the rest")]
mod corpus;
#[path = "../tests/support/digests.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod digests;
mod recording;

/// Midnight of 20 November 2026, UTC, in seconds since 1970.
const MIDNIGHT: i64 = 1_795_132_800;
const ORGANIZATION: &str = "o-exampleorg1";
const PRODUCTION: &str = "111122223333";
const HOME: &str = "eu-west-1";
const GLOBAL: &str = "us-east-1";
const BUCKET: &str = "example-trail-logs";

/// Users of production who call all day.
const CALLERS: [&str; 5] = ["ci-deploy", "backup-nightly", "legacy-export", "frank", "grace"];

/// What the organization forbids everybody: its policy is what refuses the intruder to stop the trail.
const FORBIDDEN: [&str; 9] = [
    "cloudtrail:StopLogging",
    "cloudtrail:DeleteTrail",
    "cloudtrail:UpdateTrail",
    "cloudtrail:PutEventSelectors",
    "s3:DeleteBucket",
    "s3:PutBucketPolicy",
    "s3:PutLifecycleConfiguration",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
];

fn main() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut deliveries: Vec<Delivery> = quiet_day().deliveries().collect();
    let keys = CALLERS.map(|name| (name, Key::of(name, &deliveries))).into();
    let steps = intrusion(&Key::of("ci-deploy", &deliveries));
    hide(&steps, &mut deliveries);
    take_away(&mut deliveries);
    let files: Vec<_> = deliveries.iter().map(|delivery| delivery.pack(Some(ORGANIZATION))).collect();
    let logs = events.join("aws");
    renew(&logs);
    for file in &files {
        write(&logs.join(&file.key), &file.gzip);
    }
    for (key, bytes) in chains::digests(&deliveries, &as_signed(&deliveries, &files)) {
        write(&logs.join(key), &bytes);
    }
    let public = serde_json::to_string_pretty(&digests::public_keys()).expect("JSON") + "\n";
    write(&events.join("keys.json"), public.as_bytes());
    write(&events.join("people.csv"), access::PEOPLE.as_bytes());
    write(&events.join("settings.ndjson"), recording::lines().as_bytes());
    renew(&events.join("access"));
    access::snapshots(&keys).iter().for_each(|(name, bytes)| write(&events.join(name), bytes));
    renew(&events.join("quarter"));
    access::quarter(&keys).iter().for_each(|file| write(&events.join("quarter").join(&file.key), &file.gzip));
    let stop =
        deliveries.iter().position(|delivery| delivery.records.iter().any(|record| record.contains("StopLogging")));
    let sign_in = steps.iter().rfind(|step| step.name == "ConsoleLogin").expect("a step of the intrusion");
    let stopped = steps.iter().rfind(|step| step.name == "StopLogging").expect("a step of the intrusion");
    for (name, invocation) in invocations(&files[stop.expect("it is hidden somewhere")].key, stopped, sign_in) {
        let text = serde_json::to_string_pretty(&invocation).expect("JSON") + "\n";
        write(&events.join("invocations").join(format!("{name}.json")), text.as_bytes());
    }
}

/// An empty folder.
fn renew(folder: &Path) {
    fs::remove_dir_all(folder).or_else(|_| fs::create_dir_all(folder)).expect("a writable folder");
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("a writable folder");
    fs::write(path, bytes).expect("a writable folder");
}

/// What goes on all day in the organization's accounts.
fn quiet_day() -> Corpus {
    Corpus {
        records: 2900,
        seed: 20,
        per_file: 66,
        duplicates: 6,
        incidents: 0,
        accounts: &[PRODUCTION, "222233334444", "999988887777"],
        regions: &[HOME, GLOBAL],
        organization: Some(ORGANIZATION),
        start: MIDNIGHT + 600,
        pace: 1_920,
        // In a small organization people are a larger part of what goes on. Written out, so that this day stays as it
        // is when the corpus changes.
        weights: &[
            ("CreateGrant", 3, 6),
            ("AssumeRole", 3, 6),
            ("AuthorizeSecurityGroupIngress", 1, 2),
            ("UpdateFunctionCode20150331v2", 1, 3),
            ("PutRule", 1, 3),
            ("ConsoleLogin", 1, 2),
            ("UserAuthentication", 1, 3),
            ("CredentialVerification", 1, 3),
            ("RotateKey", 2, 5),
        ],
    }
}

/// Puts the steps into files of their account, among what else went on in those minutes.
fn hide(steps: &[Step], deliveries: &mut Vec<Delivery>) {
    for step in steps {
        // Delivered three to eight minutes later, in a file of each five minutes and region.
        let time = (step.time + 479) / 300 * 300;
        let there = |delivery: &Delivery| (delivery.time, delivery.region) == (time, step.region);
        let at = deliveries.iter().position(|delivery| there(delivery) && delivery.account == PRODUCTION);
        let at = at.unwrap_or_else(|| {
            deliveries.push(minutes_around(time, step.region));
            deliveries.len() - 1
        });
        let records = &mut deliveries[at].records;
        let place = records.len() * usize::try_from(step.time % 97).unwrap_or(0) / 97;
        records.insert(place, step.record());
    }
    deliveries.sort_by_key(|delivery| (delivery.time, delivery.account, delivery.region));
}

/// Puts what takes access away into a file of the evening.
fn take_away(deliveries: &mut [Delivery]) {
    let is_global = |delivery: &&mut Delivery| (delivery.account, delivery.region) == (PRODUCTION, GLOBAL);
    let last = deliveries.iter_mut().rfind(is_global).expect("some of the day's files are global");
    last.records.extend(access::carried_out(last.time));
}

/// The log files as they were delivered: one of them held one more record then. Before the intruder made a bucket
/// public, he looked for what there is; that he hid.
fn as_signed(deliveries: &[Delivery], files: &[LogFile]) -> Vec<LogFile> {
    let hidden = Step::at([3, 8, 31], "s3", "ListBuckets", NEW_USER).reads();
    let public = |record: &String| record.contains("PutBucketPolicy") && record.contains(INTRUDER);
    let at = deliveries.iter().position(|delivery| delivery.records.iter().any(public));
    let at = at.expect("it is hidden somewhere");
    let mut delivered = deliveries[at].clone();
    delivered.records.insert(delivered.records.len() / 2, hidden.record());
    let mut signed = files.to_vec();
    signed[at].gzip = delivered.pack(Some(ORGANIZATION)).gzip;
    signed
}

fn minutes_around(time: i64, region: &'static str) -> Delivery {
    let regions: &'static [&'static str] = if region == HOME { &[HOME] } else { &[GLOBAL] };
    let start = time + i64::from(region == GLOBAL);
    let corpus = Corpus { records: 40, per_file: 40, accounts: &[PRODUCTION], regions, start, ..quiet_day() };
    let delivery = corpus.deliveries().next().expect("there are records to write");
    Delivery { time, ..delivery }
}

/// A user's key and id, as they are used all day.
struct Key {
    id: String,
    principal: String,
}

impl Key {
    fn of(name: &str, deliveries: &[Delivery]) -> Self {
        let records = deliveries.iter().flat_map(|delivery| &delivery.records);
        let arn = format!("arn:aws:iam::{PRODUCTION}:user/{name}");
        let record = records.into_iter().find(|record| record.contains(&format!("\"{arn}\"")));
        let record: Value = serde_json::from_str(record.expect("it is used all day")).expect("JSON");
        let own = |key: &str| record["userIdentity"][key].as_str().unwrap_or_default().to_owned();
        Self { id: own("accessKeyId"), principal: own("principalId") }
    }

    fn identity(&self) -> String {
        format!(
            r#"{{"type":"IAMUser","principalId":"{}","arn":"arn:aws:iam::{PRODUCTION}:user/ci-deploy","accountId":"{PRODUCTION}","accessKeyId":"{}","userName":"ci-deploy"}}"#,
            self.principal, self.id
        )
    }
}

/// One call of the intruder.
#[derive(Clone)]
struct Step {
    /// Seconds since 1970.
    time: i64,
    region: &'static str,
    service: &'static str,
    name: &'static str,
    identity: String,
    read_only: bool,
    /// `errorCode` and `errorMessage`; either may be empty.
    error: (&'static str, String),
    request: String,
    response: String,
    /// Other members, each with a comma behind it.
    more: &'static str,
    console: bool,
}

const INTRUDER: &str = "198.51.100.23";
const NEW_USER: &str = r#"{"type":"IAMUser","principalId":"AIDAEXAMPLESVCBACKUP1","arn":"arn:aws:iam::111122223333:user/svc-backup","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE7Q2MSVCBK","userName":"svc-backup","sessionContext":{"attributes":{"creationDate":"2026-11-20T03:04:05Z","mfaAuthenticated":"false"}}}"#;
const SIGNING_IN: &str = r#"{"type":"IAMUser","principalId":"AIDAEXAMPLESVCBACKUP1","accountId":"111122223333","accessKeyId":"","userName":"svc-backup"}"#;
const SIGNED_IN: &str = r#"{"type":"IAMUser","principalId":"AIDAEXAMPLESVCBACKUP1","arn":"arn:aws:iam::111122223333:user/svc-backup","accountId":"111122223333","userName":"svc-backup"}"#;
const SIGN_IN_DATA: &str = r#""additionalEventData":{"LoginTo":"https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true","MobileVersion":"No","MFAUsed":"No"},"#;
const BUCKET_DATA: &str = r#""additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","bytesTransferredOut":0},"resources":[{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::invoices-111122223333"}],"#;

impl Step {
    /// A call at a time of the night, `[hour, minute, second]`, that is carried out and changes something.
    fn at([hour, minute, second]: [i64; 3], service: &'static str, name: &'static str, identity: &str) -> Self {
        let global = matches!(service, "iam" | "sts" | "signin");
        Self {
            time: MIDNIGHT + hour * 3600 + minute * 60 + second,
            region: if global { GLOBAL } else { HOME },
            service,
            name,
            identity: identity.to_owned(),
            read_only: false,
            error: ("", String::new()),
            request: "null".to_owned(),
            response: "null".to_owned(),
            more: "",
            console: identity == NEW_USER,
        }
    }

    fn reads(mut self) -> Self {
        self.read_only = true;
        self
    }

    fn asks(mut self, request: &str) -> Self {
        request.clone_into(&mut self.request);
        self
    }

    fn gets(mut self, response: &str) -> Self {
        response.clone_into(&mut self.response);
        self
    }

    fn fails(mut self, code: &'static str, message: impl Into<String>) -> Self {
        self.error = (code, message.into());
        self
    }

    fn with(mut self, more: &'static str) -> Self {
        self.more = more;
        self
    }

    fn event_time(&self) -> String {
        let seconds = self.time - MIDNIGHT;
        format!("2026-11-20T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    fn event_id(&self) -> String {
        format!("5b1d90c2-0000-4000-8000-{:012x}", self.time)
    }

    /// The record, its members in AWS's order.
    fn record(&self) -> String {
        let Self { region, service, name, identity, read_only, request, response, more, .. } = self;
        let agent = if self.console || self.service == "signin" {
            "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
        } else {
            "aws-cli/2.31.18 md/awscrt#0.27.6 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13.7 cfg/retry-mode#standard"
        };
        let member = |key: &str, value: &str| {
            if value.is_empty() { String::new() } else { format!("\"{key}\":{},", json!(value)) }
        };
        let error = member("errorCode", self.error.0) + &member("errorMessage", &self.error.1);
        let kind = if self.service == "signin" { "AwsConsoleSignIn" } else { "AwsApiCall" };
        let console = if self.console { r#","sessionCredentialFromConsole":"true""# } else { "" };
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{identity},"eventTime":"{}","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"{region}","sourceIPAddress":"{INTRUDER}","userAgent":"{agent}",{error}"requestParameters":{request},"responseElements":{response},{more}"requestID":"c20e77{:02x}-0000-4000-8000-{:012x}","eventID":"{}","readOnly":{read_only},"eventType":"{kind}","managementEvent":true,"recipientAccountId":"{PRODUCTION}","eventCategory":"Management"{console}}}"#,
            self.event_time(),
            self.time % 251,
            self.time,
            self.event_id()
        )
    }
}

/// The intrusion from its first call to its last.
fn intrusion(key: &Key) -> Vec<Step> {
    let mut steps = vec![Step::at([2, 47, 12], "sts", "GetCallerIdentity", &key.identity()).reads()];
    steps.extend(looking_around(key));
    steps.extend(new_administrator(key));
    steps.extend(signing_in());
    steps.extend(opening_doors());
    steps.extend(stopping_the_trail());
    steps
}

/// What may these credentials do? Little, as 24 refusals in six minutes say.
fn looking_around(key: &Key) -> Vec<Step> {
    const TRIED: [(&str, &str); 12] = [
        ("ec2", "DescribeInstances"),
        ("s3", "ListBuckets"),
        ("secretsmanager", "ListSecrets"),
        ("lambda", "ListFunctions20150331"),
        ("rds", "DescribeDBInstances"),
        ("dynamodb", "ListTables"),
        ("kms", "ListKeys"),
        ("ssm", "DescribeParameters"),
        ("ecs", "ListClusters"),
        ("cloudtrail", "DescribeTrails"),
        ("guardduty", "ListDetectors"),
        ("organizations", "ListAccounts"),
    ];
    let refused = |number: usize| {
        let (service, name) = TRIED[number % TRIED.len()];
        let seconds = 48 * 60 + 3 + 14 * i64::try_from(number).unwrap_or(0);
        let step = Step::at([2, seconds / 60, seconds % 60], service, name, &key.identity()).reads();
        let (code, action) = if service == "ec2" {
            ("Client.UnauthorizedOperation", name)
        } else {
            ("AccessDenied", name.trim_end_matches(char::is_numeric))
        };
        step.fails(
            code,
            format!(
                "User: arn:aws:iam::{PRODUCTION}:user/ci-deploy is not authorized to perform: {service}:{action} because no identity-based policy allows the {service}:{action} action"
            ),
        )
    };
    (0..24).map(refused).collect()
}

/// The CI user may create users: an administrator of one's own, with a key and a password.
fn new_administrator(key: &Key) -> Vec<Step> {
    let iam = |time, name| Step::at(time, "iam", name, &key.identity());
    vec![
        iam([2, 58, 3], "CreateUser").asks(r#"{"userName":"svc-backup"}"#).gets(
            r#"{"user":{"path":"/","userName":"svc-backup","userId":"AIDAEXAMPLESVCBACKUP1","arn":"arn:aws:iam::111122223333:user/svc-backup","createDate":"Nov 20, 2026, 2:58:03 AM"}}"#,
        ),
        iam([2, 58, 21], "AttachUserPolicy")
            .asks(r#"{"userName":"svc-backup","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#),
        iam([2, 58, 40], "CreateAccessKey").asks(r#"{"userName":"svc-backup"}"#).gets(
            r#"{"accessKey":{"userName":"svc-backup","accessKeyId":"AKIAEXAMPLESVCBACKUP","status":"Active","createDate":"Nov 20, 2026, 2:58:40 AM"}}"#,
        ),
        iam([2, 59, 2], "CreateLoginProfile").asks(r#"{"userName":"svc-backup","passwordResetRequired":false}"#).gets(
            r#"{"loginProfile":{"userName":"svc-backup","createDate":"Nov 20, 2026, 2:59:02 AM","passwordResetRequired":false}}"#,
        ),
    ]
}

/// Five wrong passwords, then the right one.
fn signing_in() -> Vec<Step> {
    let sign_in = |time, identity| Step::at(time, "signin", "ConsoleLogin", identity).with(SIGN_IN_DATA);
    let failed = |second: i64| {
        sign_in([3, 1, 8 + second], SIGNING_IN).fails("", "Failed authentication").gets(r#"{"ConsoleLogin":"Failure"}"#)
    };
    let mut steps: Vec<Step> = [0, 11, 19, 33, 47].into_iter().map(failed).collect();
    steps.push(sign_in([3, 4, 5], SIGNED_IN).gets(r#"{"ConsoleLogin":"Success"}"#));
    steps
}

/// A way in for others, and a way out for the invoices.
fn opening_doors() -> Vec<Step> {
    let call = |time, service, name| Step::at(time, service, name, NEW_USER);
    vec![
        call([3, 6, 30], "ec2", "AuthorizeSecurityGroupIngress")
            .asks(r#"{"groupId":"sg-0a1b2c3d4e5f60718","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":22,"toPort":22,"groups":{},"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}"#)
            .gets(r#"{"requestId":"7d3e9a10-5b0c-4f5e-9a51-0d1c2b3a4f5e","_return":true,"securityGroupRuleSet":{"items":[{"groupOwnerId":"111122223333","groupId":"sg-0a1b2c3d4e5f60718","securityGroupRuleId":"sgr-0f1e2d3c4b5a69788","isEgress":false,"ipProtocol":"tcp","fromPort":22,"toPort":22,"cidrIpv4":"0.0.0.0/0"}]}}"#),
        call([3, 7, 48], "ec2", "RunInstances")
            .asks(r#"{"instancesSet":{"items":[{"imageId":"ami-0c1aff77446225224","minCount":1,"maxCount":1}]},"instanceType":"p4d.24xlarge","groupSet":{"items":[{"groupId":"sg-0a1b2c3d4e5f60718"}]},"blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":true}"#)
            .gets(r#"{"requestId":"0b6f0c52-1f55-4a0c-8a5d-2b3c4d5e6f70","reservationId":"r-0fedcba9876543210","ownerId":"111122223333","groupSet":{},"instancesSet":{"items":[{"instanceId":"i-0badc0ffee1234567","imageId":"ami-0c1aff77446225224","instanceState":{"code":0,"name":"pending"},"instanceType":"p4d.24xlarge","launchTime":1795144068000,"privateIpAddress":"10.20.3.77","subnetId":"subnet-0c1d2e3f4a5b60718","vpcId":"vpc-0a1b2c3d4e5f60718","groupSet":{"items":[{"groupId":"sg-0a1b2c3d4e5f60718","groupName":"bastion"}]}}]}}"#),
        call([3, 9, 15], "s3", "DeleteBucketPublicAccessBlock")
            .asks(r#"{"publicAccessBlock":"","bucketName":"invoices-111122223333","Host":"invoices-111122223333.s3.eu-west-1.amazonaws.com"}"#)
            .with(BUCKET_DATA),
        call([3, 9, 44], "s3", "PutBucketPolicy")
            .asks(r#"{"policy":"","bucketPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::invoices-111122223333","arn:aws:s3:::invoices-111122223333/*"]}]},"bucketName":"invoices-111122223333","Host":"invoices-111122223333.s3.eu-west-1.amazonaws.com"}"#)
            .with(BUCKET_DATA),
    ]
}

/// The organization forbids it, three times.
fn stopping_the_trail() -> Vec<Step> {
    let refused = |second| {
        Step::at([3, 12, second], "cloudtrail", "StopLogging", NEW_USER).fails(
            "AccessDenied",
            "User: arn:aws:iam::111122223333:user/svc-backup is not authorized to perform: cloudtrail:StopLogging on resource: arn:aws:cloudtrail:eu-west-1:999988887777:trail/org-trail with an explicit deny in a service control policy",
        )
    };
    [2, 11, 31].into_iter().map(refused).collect()
}

/// What Lambda is invoked with, by name.
fn invocations(key: &str, stopped: &Step, sign_in: &Step) -> Vec<(&'static str, Value)> {
    let s3 = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": HOME, "eventTime": "2026-11-20T03:20:04.117Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AROAEXAMPLECLOUDTRAIL:regionalDeliverySession"},
        "requestParameters": {"sourceIPAddress": "192.0.2.15"},
        "responseElements": {"x-amz-request-id": "EXAMPLE123456789", "x-amz-id-2": "EXAMPLE"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "qtrail",
            "bucket": {"name": BUCKET, "ownerIdentity": {"principalId": "A1EXAMPLE"}, "arn": format!("arn:aws:s3:::{BUCKET}")},
            "object": {"key": key, "size": 9120, "eTag": "0123456789abcdef0123456789abcdef", "versionId": "3HL4kqtJvjVBH40Nrjfkd", "sequencer": "0065F1A2B3C4D5E6F7"}
        }
    }]});
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-20T00:00:00.000Z", "Bucket": BUCKET, "RequestId": "EXAMPLE123456789", "HostId": "EXAMPLE"});
    let created = json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3",
        "account": "999988887777", "time": "2026-11-20T03:20:04Z", "region": HOME,
        "resources": [format!("arn:aws:s3:::{BUCKET}")],
        "detail": {
            "version": "0", "bucket": {"name": BUCKET},
            "object": {"key": key, "size": 9120, "etag": "0123456789abcdef0123456789abcdef", "version-id": "3HL4kqtJvjVBH40Nrjfkd", "sequencer": "0065F1A2B3C4D5E6F7"},
            "request-id": "EXAMPLE123456789", "requester": "cloudtrail.amazonaws.com", "source-ip-address": "192.0.2.15", "reason": "PutObject"
        }
    });
    let notice = json!({"s3Bucket": BUCKET, "s3ObjectKey": [key]});
    vec![
        ("s3-notification", queued(&s3, "qtrail-ingest")),
        ("s3-test-event", queued(&test, "qtrail-ingest")),
        ("sns-wrapped", queued(&published(&s3, "Amazon S3 Notification"), "qtrail-ingest")),
        ("sns-raw", queued(&s3, "qtrail-ingest")),
        ("eventbridge-object-created", queued(&created, "qtrail-ingest")),
        ("cloudtrail-sns-notice", queued(&published(&notice, ""), "qtrail-ingest")),
        (
            "fast-path-api-call",
            queued(&alone(stopped, "AWS API Call via CloudTrail", "aws.cloudtrail"), "qtrail-fast-path"),
        ),
        (
            "fast-path-console-sign-in",
            queued(&alone(sign_in, "AWS Console Sign In via CloudTrail", "aws.signin"), "qtrail-fast-path"),
        ),
        ("notify-due", json!({"do": "due"})),
        ("notify-summary", json!({"do": "summary"})),
        ("review-daily", json!({"do": "daily"})),
        ("review-open", json!({"do": "open", "period": "2026-Q4"})),
        ("review-leaver", json!({"do": "leaver", "person": "bob"})),
        ("review-pack", json!({"do": "pack", "from": "2026-10-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"})),
        (
            "deployed",
            json!({
                "version": "0", "id": "b2d5f7a0-8f0e-4a6d-9f55-2f1f6f0a7c11", "detail-type": "CloudFormation Stack Status Change",
                "source": "aws.cloudformation", "account": "999988887777", "time": "2026-11-20T09:00:00Z", "region": HOME,
                "resources": [format!("arn:aws:cloudformation:{HOME}:999988887777:stack/qtrail/5b1d90c2-0000-4000-8000-000000000001")],
                "detail": {
                    "stack-id": format!("arn:aws:cloudformation:{HOME}:999988887777:stack/qtrail/5b1d90c2-0000-4000-8000-000000000001"),
                    "status-details": {"status": "UPDATE_COMPLETE", "status-reason": ""}, "client-request-token": ""
                }
            }),
        ),
    ]
}

/// A batch of one message, as a queue invokes a function.
fn queued(body: &Value, queue: &str) -> Value {
    json!({"Records": [{
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "EXAMPLE",
        "body": body.to_string(),
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1795144805000", "SenderId": "AIDAEXAMPLESENDER",
            "ApproximateFirstReceiveTimestamp": "1795144805004"
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{HOME}:999988887777:{queue}"),
        "awsRegion": HOME
    }]})
}

/// A message that came through a topic.
fn published(message: &Value, subject: &str) -> Value {
    let mut notification = json!({
        "Type": "Notification",
        "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        "TopicArn": format!("arn:aws:sns:{HOME}:999988887777:example-trail-logs"),
        "Message": message.to_string(),
        "Timestamp": "2026-11-20T03:20:04.301Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-example.pem",
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe"
    });
    if !subject.is_empty() {
        notification["Subject"] = json!(subject);
    }
    notification
}

/// A record that comes by itself.
fn alone(step: &Step, kind: &str, source: &str) -> Value {
    let record: Value = serde_json::from_str(&step.record()).expect("JSON");
    json!({
        "version": "0", "id": step.event_id(), "detail-type": kind, "source": source, "account": PRODUCTION,
        "time": step.event_time(), "region": step.region, "resources": [], "detail": record
    })
}
