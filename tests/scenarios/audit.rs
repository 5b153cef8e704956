//! Trail settings from AWS to the alert: collected, judged, kept, told, through the real function and command.

use std::process::Output;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloud::state::{HeldVerdict, State, VerdictChange};
use tempfile::TempDir;
use trail::alert::Resolution;
use trail::control::{CANNOT_SEE, Status as Said, View};
use trail::silence::Heard;
use trail::snapshot::Snapshot;

use super::collect::{World, good};
use super::command::{json_lines, qtrail_on, stderr, stdout};
use super::*;
use crate::support::cloudtrail::{CloudTrail, Fault, Trail};
use crate::support::lambda::FunctionError;
use crate::support::moto::{Call, Moto};
use crate::support::proxy::{self, Plan, Requests};
use crate::support::{ACCESS_KEY, SECRET_KEY};

/// A deployment in an account, with AWS around it.
struct Audited {
    stack: Stack,
    aws: CloudTrail,
    home: String,
    audit: Function,
}

/// Seconds since 1970.
fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(since).expect("a clock")
}

/// A trail that delivers to this day.
fn healthy(account: &str, name: &str, bucket: &str, more: &Value) -> Trail {
    let mut trail = Trail::of(account, name, bucket, more);
    let now = seconds();
    trail.status = json!({"IsLogging": true, "LatestDeliveryTime": now - 300, "LatestDigestDeliveryTime": now - 1800});
    trail
}

impl Audited {
    /// With one good trail, `org-trail`, in an account that no other test uses.
    async fn start(home: &str) -> Self {
        let (stack, aws) = (Stack::start().await, CloudTrail::start().await);
        let key = Moto::shared().key_of(home).await;
        aws.knows(ACCESS_KEY, home);
        aws.translates(ACCESS_KEY, &key);
        aws.holds(DATA, &stack.s3.url());
        let bucket = format!("logs-of-{home}");
        let place =
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        Moto::shared().ask("s3", &key, &Call::put(&format!("/{bucket}"), place)).await;
        aws.owns(home, &bucket, false);
        aws.add(healthy(home, "org-trail", &bucket, &json!({})));
        let environment = Self::environment(&stack, &aws, home);
        let audit = Function::start(&binary("audit"), &environment).await;
        Self { stack, aws, home: home.to_owned(), audit }
    }

    fn environment(stack: &Stack, aws: &CloudTrail, home: &str) -> Environment {
        stack
            .environment()
            .set("AWS_ENDPOINT_URL", &aws.url())
            .set("AWS_ENDPOINT_URL_S3", &aws.url())
            .set("QTRAIL_ACCOUNT", home)
            .set("QTRAIL_AUDIT_QUEUE_URL", &format!("{}/queue", aws.url()))
            .set("QTRAIL_DEAD_LETTERS_URL", &format!("{}/dead", aws.url()))
            .set("QTRAIL_LOGGING_ACCOUNT", home)
            .set("QTRAIL_AUDIT_ROLE", "QuickInfraTrailAudit")
    }

    async fn run(&self) -> Value {
        self.audit.invoke(&json!({"do": "account", "account": self.home})).await.expect("the audit runs")
    }

    async fn look_at_status(&self) -> Value {
        let wanted = json!({"do": "account", "account": self.home, "depth": "status"});
        self.audit.invoke(&wanted).await.expect("the audit runs")
    }

    fn state(&self) -> State {
        State::new(self.stack.dynamo.client().clone(), TABLE)
    }

    async fn verdicts(&self) -> Vec<HeldVerdict> {
        self.state().verdicts(&self.home).await.expect("verdicts")
    }

    /// What stands about a control: status and reason.
    async fn said(&self, control: &str) -> Vec<(Said, String)> {
        let of = |held: &HeldVerdict| held.verdict.control_id == control;
        let verdicts = self.verdicts().await;
        verdicts.iter().filter(|held| of(held)).map(|h| (h.verdict.status, h.verdict.reason.clone())).collect()
    }

    async fn history(&self, control: &str) -> Vec<VerdictChange> {
        self.state().verdict_history(&self.home, control).await.expect("history")
    }

    /// The finding of a control, with its status.
    async fn entry(&self, control: &str) -> Option<Entry> {
        let mut entries = self.stack.entries().await;
        entries.retain(|entry| entry.finding.detection_id == control);
        assert!(entries.len() < 2, "{entries:#?}");
        entries.pop()
    }

    /// How often people were told of a control at once.
    fn told(&self, control: &str) -> usize {
        self.stack.told().iter().filter(|told| told["detection_id"] == control).count()
    }

    fn switch(&self, is_logging: bool) {
        self.aws.change("org-trail", |trail| trail.status["IsLogging"] = is_logging.into());
    }

    /// What it takes to say something of everything: records heard, digests verified, log files a day ago.
    async fn settle(&self) {
        let (state, now) = (self.state(), seconds());
        let heard = Heard { since: Time(now - 20 * 86_400), ..Heard::first(&self.home, "eu-west-1", Time(now)) };
        state.hear(None, &heard).await.expect("noted");
        let chain = json!({"head": {"chain": {"prefix": "", "organization": null, "account": self.home,
            "region": "eu-west-1", "trail": "org-trail", "home_region": "eu-west-1", "backfill": false},
            "bucket": LOGS, "object": "d", "start": Time(now - 3600), "end": Time(now), "hash": "", "signature": null},
            "since": Time(0), "digests": 1, "logs": 1, "problems": 0, "foreign": 0, "compared": Time(now),
            "last_problem": null, "v": 1});
        state.put_chain(&serde_json::from_value(chain).expect("a chain")).await.expect("noted");
        let day = Time(now - 86_400).date().replace('-', "/");
        let folder = format!("/logs-of-{0}/AWSLogs/{0}/CloudTrail/eu-west-1/{day}", self.home);
        let key = Moto::shared().key_of(&self.home).await;
        Moto::shared().ask("s3", &key, &Call::put(&format!("{folder}/a.json.gz"), "x")).await;
    }
}

/// So that what follows has a time of its own.
async fn a_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

/// The control that a stopped trail fails first of all.
const DELIVERY: &str = "trail-delivery-healthy";

#[tokio::test]
async fn the_first_verdict_is_a_change_from_nothing_and_the_same_again_is_none() {
    let audited = Audited::start("200000000001").await;
    let first = audited.run().await;
    assert_eq!(first["verdicts"], first["changed"]);
    let verdicts = audited.verdicts().await;
    assert_eq!(first["verdicts"], verdicts.len());
    for held in &verdicts {
        let lines = audited.history(&held.verdict.control_id).await;
        assert!(lines.iter().all(|line| line.before.is_none()), "{lines:?}");
        assert!(lines.iter().any(|line| line.verdict.as_ref() == Some(&held.verdict) && !line.snapshot.is_empty()));
    }
    let delivery = verdicts.iter().find(|held| held.verdict.control_id == DELIVERY).expect("judged");
    assert!(
        delivery.verdict.evidence.iter().any(|one| one.call == "cloudtrail:GetTrailStatus" && one.sha256.len() == 64)
    );
    let keys = audited.stack.s3.keys(DATA, &format!("evidence/snapshots/{}/", audited.home)).await;
    assert_eq!(keys.len(), 1);
    let kept = audited.stack.s3.get(DATA, &keys[0]).await.expect("kept");
    let snapshot = Snapshot::read(&Inflater::new(Limits::default()).inflate(&kept).bytes).expect("a snapshot");
    assert_eq!((snapshot.account.as_str(), snapshot.taken), (audited.home.as_str(), verdicts[0].verdict.time));
    assert_eq!(audited.history(DELIVERY).await[0].snapshot, keys[0]);

    let failing: BTreeSet<String> = verdicts
        .iter()
        .filter(|held| held.verdict.status.is_finding())
        .map(|held| held.verdict.control_id.clone())
        .collect();
    let found: BTreeSet<String> = audited.stack.findings().await.into_iter().map(|f| f.detection_id).collect();
    let expected: BTreeSet<String> = failing.into_iter().chain([CANNOT_SEE.id.to_owned()]).collect();
    assert_eq!(found, expected);
    for (control, severity, told) in [
        ("log-bucket-policy", Severity::High, 1),
        ("pipeline-intact", Severity::Critical, 1),
        ("log-key-usable", Severity::Medium, 0),
        ("vpc-flow-logs", Severity::Low, 0),
    ] {
        let entry = audited.entry(control).await.expect("a finding");
        assert_eq!((entry.finding.severity, audited.told(control)), (severity, told), "{control}");
        assert_eq!((entry.finding.category, entry.status), (Category::TrailSettings, Status::New));
    }

    a_second().await;
    assert_eq!(audited.run().await["changed"], 2, "from now on there is an audit before to compare with");
    let (items, told) = (stable(&audited).await, audited.stack.told().len());
    a_second().await;
    assert_eq!(audited.run().await["changed"], 0);
    assert_eq!((stable(&audited).await, audited.stack.told().len()), (items, told));
}

/// What is held of the account and its findings, but for what the last run could see.
async fn stable(audited: &Audited) -> Vec<Value> {
    let mut items = audited.stack.dynamo.items().await;
    items.retain(|item| item["sk"] != "RUN" && !item["pk"].as_str().is_some_and(|pk| pk.starts_with("ALERTS#")));
    items
}

#[tokio::test]
async fn what_is_fixed_closes_and_what_breaks_again_opens_and_is_told_again() {
    let audited = Audited::start("200000000002").await;
    audited.run().await;
    assert_eq!(audited.said(DELIVERY).await[0].0, Said::Pass);
    let mut days = vec![seconds()];
    for (is_logging, told, status) in [
        (false, 1, Status::New),
        (true, 1, Status::Closed),
        (false, 2, Status::New),
        (false, 2, Status::New),
        (true, 2, Status::Closed),
    ] {
        a_second().await;
        next_minute(&audited.stack).await;
        audited.switch(is_logging);
        audited.run().await;
        let entry = audited.entry(DELIVERY).await.expect("a finding");
        assert_eq!((entry.status, audited.told(DELIVERY)), (status, told), "{is_logging}");
        assert_eq!(entry.resolution, (status == Status::Closed).then_some(Resolution::Fixed));
        assert_eq!(entry.finding.severity, Severity::Critical);
        days.push(seconds());
    }
    let history = audited.history(DELIVERY).await;
    let said: Vec<_> = history.iter().map(|line| line.verdict.as_ref().map(|verdict| verdict.status)).collect();
    assert_eq!(said, [Said::Pass, Said::Fail, Said::Pass, Said::Fail, Said::Pass].map(Some));
    let state = audited.state();
    let mut then = Vec::new();
    for day in days {
        let held = state.verdicts_at(&audited.home, DELIVERY, Time(day)).await.expect("history");
        then.push(held.iter().map(|verdict| verdict.status).collect::<Vec<_>>());
    }
    let expected = [Said::Pass, Said::Fail, Said::Pass, Said::Fail, Said::Fail, Said::Pass].map(|one| vec![one]);
    assert_eq!(then, expected);
    let before = state.verdicts_at(&audited.home, DELIVERY, Time(0)).await.expect("history");
    assert!(before.is_empty(), "nobody had looked");
    let told: Vec<String> =
        audited.stack.history().await.iter().map(|l| l["what"].as_str().unwrap_or_default().into()).collect();
    assert!(told.contains(&"closed as fixed".to_owned()) && told.contains(&"reopened".to_owned()), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_calls_fixed_and_is_not_opens_again_but_not_what_is_expected() {
    let audited = Audited::start("200000000003").await;
    audited.switch(false);
    audited.run().await;
    for (resolution, expected) in [("expected", Status::Closed), ("fixed", Status::New)] {
        a_second().await;
        let id = audited.entry(DELIVERY).await.expect("a finding").finding.finding_id;
        let closed = qtrail_on(&audited.stack, &["findings", "close", &id, "--as", resolution, "--note", "x"]);
        assert!(closed.status.success(), "{}", stderr(&closed));
        a_second().await;
        audited.run().await;
        assert_eq!(audited.entry(DELIVERY).await.expect("a finding").status, expected, "{resolution}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_is_gone_takes_its_verdicts_with_it() {
    let audited = Audited::start("200000000004").await;
    audited.run().await;
    audited.aws.remove("org-trail");
    a_second().await;
    audited.run().await;
    let verdicts = audited.verdicts().await;
    let of_trail: Vec<_> = verdicts.iter().filter(|held| held.verdict.resource.contains(":trail/")).collect();
    assert!(of_trail.iter().all(|held| held.verdict.control_id == "trail-not-weakened"), "{of_trail:#?}");
    let gone = audited.said("trail-not-weakened").await;
    assert_eq!((gone.len(), gone[0].0), (1, Said::Fail), "{gone:?}");
    assert_eq!(audited.said("trail-multi-region").await, [(Said::Fail, "the account has no trail".to_owned())]);
    a_second().await;
    audited.run().await;
    assert_eq!(audited.said("trail-not-weakened").await, gone, "looking again makes nothing good");
    let id = audited.entry("trail-not-weakened").await.expect("a finding").finding.finding_id;
    qtrail_on(&audited.stack, &["findings", "close", &id, "--as", "expected", "--note", "moved"]);
    for _ in 0..2 {
        a_second().await;
        audited.run().await;
    }
    assert_eq!(audited.said("trail-not-weakened").await[0].0, Said::NotApplicable, "that is how it is to be now");
    assert_eq!(audited.entry("trail-not-weakened").await.and_then(|e| e.resolution), Some(Resolution::Expected));
}

#[tokio::test]
async fn what_cannot_be_seen_is_one_finding_until_all_can_be() {
    let audited = Audited::start("200000000005").await;
    audited.settle().await;
    audited.switch(false);
    audited.run().await;
    assert!(audited.entry(CANNOT_SEE.id).await.is_none(), "{:?}", audited.verdicts().await);
    let denied = || Fault::Refuse(400, "AccessDeniedException");
    audited.aws.inject("cloudtrail:GetTrailStatus", "", usize::MAX, denied());
    audited.aws.inject("kms:DescribeKey", "", usize::MAX, denied());
    a_second().await;
    let blind = audited.run().await;
    assert!(blind["blind"].as_u64() > Some(1), "{blind}");
    let (status, reason) = audited.said(DELIVERY).await.remove(0);
    assert_eq!(status, Said::Unknown);
    assert!(reason.contains("GetTrailStatus denied to QuickInfraTrailAudit in 3 regions"), "{reason}");
    assert_eq!(audited.entry(CANNOT_SEE.id).await.map(|entry| entry.status), Some(Status::New));
    assert_eq!(audited.told(CANNOT_SEE.id), 1);
    assert_eq!(audited.entry(DELIVERY).await.map(|entry| entry.status), Some(Status::New), "nobody saw it mended");
    a_second().await;
    assert_eq!(audited.run().await["changed"], 0);
    assert_eq!(audited.told(CANNOT_SEE.id), 1);
    audited.aws.mend();
    audited.switch(true);
    a_second().await;
    audited.run().await;
    assert_eq!(audited.entry(CANNOT_SEE.id).await.map(|entry| entry.status), Some(Status::Closed));
    let entry = audited.entry(DELIVERY).await.expect("a finding");
    assert_eq!(entry.status, Status::Closed, "it passed once it could be seen");
}

#[tokio::test]
async fn the_hourly_look_judges_what_it_asked_and_sees_a_stopped_trail() {
    let audited = Audited::start("200000000006").await;
    let everything = audited.run().await;
    let before = audited.verdicts().await;
    audited.switch(false);
    a_second().await;
    let asked = audited.aws.seen().len();
    let status = audited.look_at_status().await;
    assert!(audited.aws.seen().len() - asked < 12, "few questions: {:?}", &audited.aws.seen()[asked..]);
    assert!(status["verdicts"].as_u64() < everything["verdicts"].as_u64());
    assert_eq!((audited.said(DELIVERY).await[0].0, audited.told(DELIVERY)), (Said::Fail, 1));
    let after = audited.verdicts().await;
    assert_eq!(after.len(), before.len(), "what was not asked is as it was");
    let changed: Vec<_> = after.iter().filter(|held| !before.contains(held)).map(|h| &h.verdict.control_id).collect();
    assert_eq!(changed, [DELIVERY]);
    let snapshot = audited.history(DELIVERY).await.pop().expect("a line").snapshot;
    assert!(audited.stack.s3.get(DATA, &snapshot).await.is_some(), "evidence of what changed");
    audited.switch(true);
    a_second().await;
    audited.look_at_status().await;
    assert_eq!(audited.entry(DELIVERY).await.map(|entry| entry.status), Some(Status::Closed));
}

/// A batch of the queue of accounts.
fn accounts(bodies: &[Value]) -> Value {
    let bodies: Vec<String> = bodies.iter().map(Value::to_string).collect();
    batch_of("arn:aws:sqs:eu-central-1:111122223333:trail-audit", &bodies)
}

#[tokio::test]
async fn a_plan_is_a_message_an_account_and_a_batch_fails_by_parts() {
    let audited = Audited::start("200000000007").await;
    let key = Moto::shared().key_of(&audited.home).await;
    let ask = async |operation: &str, body: Value| {
        let call = Call::json(&format!("AWSOrganizationsV20161128.{operation}"), &body);
        serde_json::from_str::<Value>(&Moto::shared().ask("organizations", &key, &call).await).expect("JSON")
    };
    ask("CreateOrganization", json!({"FeatureSet": "ALL"})).await;
    let made = ask("CreateAccount", json!({"AccountName": "a", "Email": "a@example.com"})).await;
    let member = made["CreateAccountStatus"]["AccountId"].as_str().expect("an account").to_owned();
    let planned = audited.audit.invoke(&json!({"do": "plan", "depth": "status"})).await.expect("a plan");
    assert_eq!(planned, json!({"accounts": 2}));
    let bodies: BTreeSet<String> =
        audited.aws.queued().iter().map(|sent| sent["MessageBody"].as_str().expect("a body").to_owned()).collect();
    let expected = [&audited.home, &member].map(|id| json!({"account": id, "depth": "status"}).to_string());
    assert_eq!(bodies, BTreeSet::from(expected));
    let bodies: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).expect("JSON")).collect();

    let batch = accounts(&[json!({"account": "none"}), bodies[0].clone(), json!("nothing"), bodies[1].clone()]);
    let answer = audited.audit.invoke(&batch).await.expect("an answer");
    assert_eq!(failures(&answer), ["m0", "m2"]);
    assert!(!audited.verdicts().await.is_empty());
    assert!(!audited.state().verdicts(&member).await.expect("verdicts").is_empty());

    audited.aws.inject("organizations:ListAccounts", "", usize::MAX, Fault::Refuse(400, "AccessDeniedException"));
    let planned = audited.audit.invoke(&json!({"do": "plan"})).await.expect("a plan");
    assert_eq!(planned, json!({"accounts": 2}), "those that were known before");
    let nothing = audited.audit.invoke(&json!({"do": "nothing"})).await;
    assert!(matches!(nothing, Err(FunctionError::Reported(_))), "{nothing:?}");
}

#[tokio::test]
async fn an_account_is_looked_at_once_its_trail_is_changed_and_who_did_it_is_said() {
    let audited = Audited::start(ACCOUNT).await;
    audited.run().await;
    let ingest = audited.stack.ingest().await;
    let name = format!("arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/org-trail");
    let selectors = json!([{"readWriteType": "WriteOnly", "includeManagementEvents": true}]);
    let narrowed = json!({"requestParameters": {"trailName": name, "eventSelectors": selectors},
        "eventTime": "2025-11-18T09:00:00Z"});
    let narrowed = record(1, "cloudtrail.amazonaws.com", "PutEventSelectors", &narrowed);
    let refused = refused_stop(2, "org-trail");
    let file = LogFile::of("touched", &[narrowed, refused]);
    audited.stack.deliver(std::slice::from_ref(&file)).await;
    deliver_until_done(&ingest, &batch([&file])).await;
    audited.aws.change("org-trail", |trail| {
        trail.selectors["EventSelectors"][0]["ReadWriteType"] = "WriteOnly".into();
    });
    let touched = async || audited.audit.invoke(&json!({"do": "touched"})).await.expect("it runs");
    assert_eq!(touched().await, json!({"accounts": 1}));
    assert_eq!(touched().await, json!({"accounts": 0}), "once");
    deliver_until_done(&ingest, &batch([&file])).await;
    assert_eq!(touched().await, json!({"accounts": 0}), "delivered again it is no news");
    let sent: Value =
        serde_json::from_str(audited.aws.queued()[0]["MessageBody"].as_str().expect("a body")).expect("JSON");
    a_second().await;
    let answer = audited.audit.invoke(&accounts(&[sent])).await.expect("an answer");
    assert!(failures(&answer).is_empty());
    let (status, reason) = audited.said("management-events-complete").await.remove(0);
    assert_eq!(status, Said::Partial);
    assert!(reason.ends_with("since 18 Nov, PutEventSelectors by alice"), "{reason}");
    let entry = audited.entry("management-events-complete").await.expect("a finding");
    assert_eq!((entry.finding.severity, audited.told("management-events-complete")), (Severity::High, 1));

    let stopped = stop_trail(3, "org-trail", &json!({"eventTime": "2025-11-19T09:00:00Z"}));
    let file = LogFile::of("stopped", &[stopped]);
    audited.stack.deliver(std::slice::from_ref(&file)).await;
    deliver_until_done(&ingest, &batch([&file])).await;
    assert_eq!(touched().await, json!({"accounts": 1}));
    audited.switch(false);
    a_second().await;
    audited.run().await;
    let (_, reason) = audited.said(DELIVERY).await.remove(0);
    assert!(reason.contains("org-trail is stopped since 19 Nov, StopLogging by alice"), "{reason}");
}

#[tokio::test]
async fn throttled_denied_and_late_answers_are_verdicts_and_end_nothing() {
    let audited = Audited::start("200000000008").await;
    audited.aws.inject("cloudtrail:GetEventSelectors", "", usize::MAX, Fault::Refuse(403, "AccessDeniedException"));
    audited.aws.inject("iam:GetAccountAuthorizationDetails", "", usize::MAX, Fault::Refuse(503, "ServiceUnavailable"));
    audited.aws.inject("s3:GET policy", "", usize::MAX, Fault::Say("<html>".to_owned()));
    audited.aws.inject("ec2:DescribeVpcs", "us-east-1", usize::MAX, Fault::Refuse(400, "InventedYesterday"));
    audited.aws.inject("config:DescribeDeliveryChannels", "", usize::MAX, Fault::Refuse(500, "InternalFailure"));
    let run = audited.run().await;
    assert!(run["verdicts"].as_u64() > Some(30), "{run}");
    for (control, status) in [
        ("management-events-complete", Said::Unknown),
        ("trail-administrators", Said::Error),
        ("log-bucket-policy", Said::Unknown),
        ("vpc-flow-logs", Said::Fail),
        (DELIVERY, Said::Pass),
    ] {
        let said = audited.said(control).await;
        assert_eq!(said[0].0, status, "{control}: {said:?}");
    }
    let run = audited.state().audit_run(&audited.home).await.expect("a run").expect("kept");
    for call in ["cloudtrail:GetEventSelectors", "ec2:DescribeVpcs us-east-1", "config:DescribeDeliveryChannels"] {
        assert!(run.blind.iter().any(|line| line.starts_with(call)), "{call}: {:?}", run.blind);
    }
}

#[tokio::test]
async fn a_throttled_table_sends_the_message_back_and_it_is_done_again_whole() {
    let audited = Audited::start("200000000009").await;
    let batch = accounts(&[json!({"account": audited.home})]);
    for operation in ["TransactWriteItems", "PutItem"] {
        let plan = Plan::new().on(Requests::all().operation(operation), proxy::Fault::Throttle);
        audited.stack.dynamo_proxy.set_plan(plan);
        let answer = audited.audit.invoke(&batch).await.expect("an answer");
        assert_eq!(failures(&answer), ["m0"], "{operation}");
    }
    audited.stack.dynamo_proxy.set_plan(Plan::new());
    let answer = audited.audit.invoke(&batch).await.expect("an answer");
    assert!(failures(&answer).is_empty());
    let entry = audited.entry("log-bucket-policy").await.expect("a finding");
    assert_eq!((entry.status, entry.finding.event_count()), (Status::New, 1));
    assert_all_told(&audited.stack).await;
}

#[tokio::test]
async fn two_at_once_say_the_same() {
    let audited = Audited::start("200000000010").await;
    let environment = Audited::environment(&audited.stack, &audited.aws, &audited.home);
    let other = Function::start(&binary("audit"), &environment).await;
    let batch = accounts(&[json!({"account": audited.home})]);
    for is_logging in [true, false, true, false] {
        audited.switch(is_logging);
        a_second().await;
        let (one, two) = tokio::join!(audited.audit.invoke(&batch), other.invoke(&batch));
        assert!(failures(&one.expect("an answer")).is_empty() && failures(&two.expect("an answer")).is_empty());
        let expected = if is_logging { Said::Pass } else { Said::Fail };
        assert_eq!(audited.said(DELIVERY).await.iter().map(|said| said.0).collect::<Vec<_>>(), [expected]);
    }
    let verdicts = audited.verdicts().await;
    let resources: BTreeSet<_> = verdicts.iter().map(|h| (&h.verdict.control_id, &h.verdict.resource)).collect();
    assert_eq!(resources.len(), verdicts.len());
    assert_eq!(audited.history(DELIVERY).await.len(), 4, "each change once");
    let entry = audited.entry(DELIVERY).await.expect("a finding");
    assert_eq!((entry.status, entry.finding.event_count()), (Status::New, 2), "each time once");
}

#[tokio::test]
async fn what_is_collected_is_what_the_controls_read() {
    let home = "200000000011";
    let world = World::of(home).await;
    let trail = good(&world, home).await;
    let mut snapshot = world.snapshot(home).await;
    let context = trail::control::Context {
        logging_account: home.to_owned(),
        earlier: trail::control::Earlier::Snapshot(Box::new(snapshot.clone())),
        now: snapshot.taken,
        ..trail::control::Context::default()
    };
    let asked: BTreeSet<&str> = snapshot.answers.iter().map(|answer| answer.call.as_str()).collect();
    let wanted: BTreeSet<&str> = trail::control::QUESTIONS.iter().map(|question| question.call).collect();
    assert_eq!(asked, wanted, "every question is asked, and none for nothing");
    for question in trail::control::QUESTIONS {
        let of = snapshot.answers.iter().find(|answer| answer.call == question.call).expect("asked");
        let named: BTreeSet<&str> = of.parameters.keys().map(String::as_str).collect();
        assert!(question.parameters.iter().all(|name| named.contains(name)), "{question:?}: {named:?}");
    }
    let blind = |snapshot: &Snapshot| -> Vec<String> {
        let verdicts = View::new(snapshot, &context).expect("a view").judge();
        let blind = verdicts.into_iter().filter(|v| v.status.is_blind() && !v.control_id.starts_with("monitored-"));
        blind.map(|verdict| format!("{} {}", verdict.control_id, verdict.reason)).collect()
    };
    let own_state = [
        "account-heard there is no baseline of this account's records yet",
        "digests-verified nobody has verified digests of this account",
        "log-objects-untouched the sample holds no log file",
        "pipeline-intact what the bucket has to notify is not known",
    ];
    assert_eq!(blind(&snapshot), own_state);
    snapshot.answers.retain(|answer| !answer.is_about("Name", trail.arn()));
    assert!(blind(&snapshot).len() > own_state.len(), "an answer less is seen");
}

impl Audited {
    /// The command with this account's credentials; `arguments` come behind `audit`.
    fn qtrail(&self, arguments: &[&str]) -> Output {
        let mut command = super::command::command();
        command
            .arg("audit")
            .args(arguments)
            .env("AWS_ENDPOINT_URL", self.aws.url())
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.output().expect("qtrail runs")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_how_settings_stand_and_what_mends_them() {
    let audited = Audited::start("200000000012").await;
    audited.switch(false);
    let output = audited.qtrail(&[]);
    let (text, notes) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(1), "{notes}");
    let line = text.lines().position(|line| line.contains(DELIVERY)).expect("a line");
    let lines: Vec<&str> = text.lines().skip(line).take(2).collect();
    let expected = format!("FAIL    CRITICAL {DELIVERY} {} org-trail: org-trail is stopped in ", audited.home);
    assert!(lines[0].starts_with(&expected), "{lines:?}");
    let fix = format!("  fix: aws cloudtrail get-trail-status --name arn:aws:cloudtrail:eu-west-1:{}", audited.home);
    assert!(lines[1].starts_with(&fix), "{lines:?}");
    let management = text.lines().find(|line| line.contains("management-events-complete")).expect("a line");
    assert!(management.starts_with("FAIL    HIGH") && management.ends_with("; CIS 3.0 3.1, 7.0 4.1"), "{management}");
    let last = notes.lines().last().expect("a last line");
    assert!(
        last.starts_with("accounts=1/1 regions=3/3 pass=") && last.ends_with("error=0") && last.contains(" unknown=0 "),
        "{last}"
    );

    audited.aws.inject("cloudtrail:DescribeTrails", "us-east-1", 1, Fault::Refuse(400, "AccessDeniedException"));
    let output = audited.qtrail(&["--format", "ocsf"]);
    assert_eq!(output.status.code(), Some(2), "something could not be looked at");
    let last = stderr(&output).lines().last().expect("a last line");
    assert!(
        last.contains("regions=2/3") && last.ends_with(&format!("; not seen: {}/us-east-1", audited.home)),
        "{last}"
    );
    assert!(json_lines(&output).iter().all(|verdict| verdict["class_uid"] == 2003));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_judged_as_what_was_recorded() {
    let audited = Audited::start("200000000013").await;
    let member = "200000000014";
    audited.aws.add(healthy(member, "their-trail", "nobodys-logs", &json!({})));
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("settings.ndjson").display().to_string();
    let accounts = ["--account", &audited.home, "--account", member, "--format", "ndjson"];
    let live = audited.qtrail(&[&accounts[..], &["--record", &path]].concat());
    assert!(stderr(&live).contains("accounts=2/2 regions=6/6"), "{}", stderr(&live));
    let judged = |path: &str| audited.qtrail(&["--snapshot", path, "--format", "ndjson"]);
    let again = judged(&path);
    assert_eq!(json_lines(&again), json_lines(&live));
    assert_eq!((again.status.code(), stderr(&again)), (live.status.code(), stderr(&live)));
    for verdict in json_lines(&live) {
        for member in ["control_id", "framework_refs", "severity", "status", "account", "region", "resource", "reason"]
        {
            assert!(verdict.get(member).is_some(), "{member} of {verdict}");
        }
    }

    let text = std::fs::read_to_string(&path).expect("the recording");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name).display().to_string();
        std::fs::write(&path, text).expect("written");
        path
    };
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for line in &mut lines {
        line["mood"] = json!({"of": "tomorrow"});
        line["answers"][0]["mood"] = 1.into();
    }
    let newer: Vec<String> = lines.iter().map(Value::to_string).collect();
    assert_eq!(json_lines(&judged(&write("newer", &newer.join("\n")))), json_lines(&live), "unknown fields");

    let cut = judged(&write("cut", &text[..text.len() - 100]));
    assert_eq!(cut.status.code(), Some(2));
    assert!(stderr(&cut).contains("line 2: this is no snapshot"), "{}", stderr(&cut));
    assert!(!json_lines(&cut).is_empty() && stderr(&cut).contains("accounts=1/1"), "the other account is judged");

    let other = judged(&write("other", "{\"version\": 9, \"anything\": 1}"));
    assert_eq!((other.status.code(), stdout(&other)), (Some(2), ""));
    assert!(stderr(&other).contains("line 1: this snapshot has version 9"), "{}", stderr(&other));
    let empty = judged(&write("empty", ""));
    assert!(stderr(&empty).contains("holds no snapshot"), "{}", stderr(&empty));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_takes_roles_and_says_where_it_cannot() {
    let audited = Audited::start("200000000015").await;
    let (member, logging) = ("200000000016", "200000000017");
    audited.aws.add(healthy(member, "their-trail", "central-logs-17", &json!({})));
    audited.aws.owns(logging, "central-logs-17", false);
    let key = Moto::shared().key_of(logging).await;
    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    Moto::shared().ask("s3", &key, &Call::put("/central-logs-17", place)).await;
    let arguments = ["--account", member, "--logging-account", logging, "--external-id", "word", "--format", "ndjson"];
    let output = audited.qtrail(&arguments);
    let verdicts = json_lines(&output);
    assert!(verdicts.iter().all(|verdict| verdict["account"] == member));
    let dedicated = verdicts.iter().find(|verdict| verdict["control_id"] == "dedicated-logging-account");
    assert_eq!(dedicated.expect("judged")["status"], "PASS", "{dedicated:?}");

    audited.aws.has_no_role(member);
    let output = audited.qtrail(&arguments);
    assert_eq!(output.status.code(), Some(2));
    let last = stderr(&output).lines().last().expect("a last line");
    assert!(last.starts_with("accounts=0/1") && last.ends_with(&format!("; not seen: {member}")), "{last}");
    assert!(json_lines(&output).iter().all(|verdict| verdict["status"] != "PASS"), "{}", stdout(&output));
}

#[test]
fn without_credentials_one_line_says_so() {
    let mut command = super::command::command();
    let output = command.args(["audit"]).env("AWS_REGION", "eu-west-1").output().expect("qtrail runs");
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
    assert_eq!(stderr(&output), "error: there are no AWS credentials to ask with\n");
}

#[test]
fn controls_are_listed_with_detections() {
    let output = super::command::command().arg("detections").output().expect("qtrail runs");
    let of = |id: &str| stdout(&output).lines().find(|line| line.contains(&format!(" {id} "))).map(str::to_owned);
    for control in trail::controls::all() {
        let line = of(control.id).expect("a line");
        assert!(line.contains(control.title) && line.contains("trail_settings"), "{line}");
    }
    let line = of("log-file-validation").expect("a line");
    assert!(line.starts_with("HIGH ") && line.ends_with("(CIS 3.0 3.2, 7.0 4.2)"), "{line}");
}

#[test]
fn controls_collector_and_role_want_the_same() {
    assert_eq!(trail::control::permissions(), cloud::collect::permissions());
}
