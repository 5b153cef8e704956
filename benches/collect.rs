//! How long an audit collects: 100 accounts of 17 regions each, against a server on loopback that answers after 20 ms,
//! with no more than 20 requests on their way; beside it what no program could undercut.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use cloud::collect::{Collector, Depth, Options};
use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use trail::snapshot::{Cause, Reply, Snapshot};

use crate::{cpu_seconds, verdict};

const ACCOUNTS: u64 = 100;
const LATENCY: Duration = Duration::from_millis(20);
const IN_FLIGHT: u64 = 20;
const LIMIT: f64 = 60.0;

/// Accounts that are asked at the same time: enough that none waits for the first answers of another one.
const SIDE_BY_SIDE: usize = 10;

const REGIONS: [&str; 17] = [
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ca-central-1",
    "sa-east-1",
];

pub(crate) fn report() {
    let counts = Arc::new(Counts::default());
    let address = serve(Arc::clone(&counts));
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut sent = 0;
    let mut seconds = 0.0;
    let cpu = cpu_seconds(|| (sent, seconds) = client.block_on(collect(address)));
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (calls, per_call) = (sent as f64, cpu / sent as f64);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let least = calls * LATENCY.as_secs_f64() / IN_FLIGHT as f64;
    let peak = counts.peak.load(Ordering::Relaxed);
    println!(
        "audit of {ACCOUNTS} accounts x {} regions, {LATENCY:?} a call: {sent} calls in {seconds:.1} s; no program could \
         in less than {least:.1} s; limit {LIMIT} s: {}",
        REGIONS.len(),
        verdict(seconds < LIMIT)
    );
    println!(
        "at most {peak} requests on their way; limit {IN_FLIGHT}: {}; {:.0} us of CPU a call, the {} kB of IAM an account \
         included",
        verdict(peak <= IN_FLIGHT),
        per_call * 1e6,
        identities().len() / 1000
    );
}

/// How many calls it took, and seconds.
async fn collect(address: SocketAddr) -> (u64, f64) {
    let credentials = Credentials::new("AKIAEXAMPLEBENCHMARK", "example", None, None, "benchmark");
    let config = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let options = Options { home: account(0), external_id: "benchmark".to_owned(), ..Options::default() };
    let collector = Collector::connect(&config, options).await.expect("a collector");
    let started = Instant::now();
    let numbers = stream::iter(0..ACCOUNTS).map(account);
    let snapshots = numbers.map(async |account| collector.snapshot(&account, Depth::Everything).await);
    let whole = snapshots.buffer_unordered(SIDE_BY_SIDE).map(|snapshot| is_whole(&snapshot));
    let whole = whole.filter(|whole| std::future::ready(*whole)).count().await;
    assert_eq!(whole, 100, "every account is told whole");
    (collector.requests(), started.elapsed().as_secs_f64())
}

fn account(number: u64) -> String {
    format!("{:012}", 100_000_000_000 + number)
}

/// Whether nothing was refused but what is not there.
fn is_whole(snapshot: &Snapshot) -> bool {
    let good = |reply: &Reply| match reply {
        Reply::Body(_) => true,
        Reply::Refusal(refused) => refused.cause == Cause::Absent,
    };
    snapshot.answers.iter().all(|answer| good(&answer.result))
}

#[derive(Default)]
struct Counts {
    on_their_way: AtomicU64,
    peak: AtomicU64,
}

/// Serves on a thread of its own, so that its work is not counted as the collector's.
fn serve(counts: Arc<Counts>) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        Runtime::new().expect("a runtime").block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
            sender.send(listener.local_addr().expect("the port just bound")).expect("somebody waits");
            let identities = Bytes::from(identities());
            while let Ok((stream, _)) = listener.accept().await {
                let (counts, identities) = (Arc::clone(&counts), identities.clone());
                let service = service_fn(move |request| answer(request, Arc::clone(&counts), identities.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    receiver.recv().expect("the server listens")
}

async fn answer(
    request: Request<Incoming>,
    counts: Arc<Counts>,
    identities: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let now = counts.on_their_way.fetch_add(1, Ordering::Relaxed) + 1;
    counts.peak.fetch_max(now, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    tokio::time::sleep(LATENCY).await;
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let form = std::str::from_utf8(&body).unwrap_or_default();
    let text = match (operation, head.uri.path()) {
        ("", "/listRegions") => regions().into(),
        ("", "/") if form.starts_with("Action=AssumeRole") => ROLE.into(),
        ("", "/") if form.starts_with("Action=GetAccountAuthorizationDetails") => identities,
        ("", "/2015-03-31/functions/") => r#"{"Functions":[]}"#.into(),
        ("", _) if head.uri.query() == Some("policy") => r#"{"Version":"2012-10-17","Statement":[]}"#.into(),
        ("", _) => "<Answer><Status>Enabled</Status></Answer>".into(),
        ("DescribeTrails", _) => trails().into(),
        ("GetTrailStatus", _) => r#"{"IsLogging":true,"LatestDeliveryTime":1763600000.25}"#.into(),
        ("DescribeOrganization", _) => r#"{"Organization":{"Id":"o-exampleorg1"}}"#.into(),
        _ => "{}".into(),
    };
    counts.on_their_way.fetch_sub(1, Ordering::Relaxed);
    Ok(Response::new(Full::new(text)))
}

const ROLE: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
    <SecretAccessKey>example</SecretAccessKey><SessionToken>example</SessionToken></Credentials></AssumeRoleResult>\
    </AssumeRoleResponse>";

fn regions() -> String {
    let regions = REGIONS.map(|name| json!({"RegionName": name, "RegionOptStatus": "ENABLED_BY_DEFAULT"}));
    json!({"Regions": regions}).to_string()
}

/// One trail of the organization, as every account sees it in every region.
fn trails() -> String {
    let owner = account(0);
    let trail = json!({
        "Name": "org-trail", "TrailARN": format!("arn:aws:cloudtrail:eu-west-1:{owner}:trail/org-trail"),
        "HomeRegion": "eu-west-1", "S3BucketName": "logs", "IsMultiRegionTrail": true, "IsOrganizationTrail": true,
        "IncludeGlobalServiceEvents": true, "LogFileValidationEnabled": true, "HasCustomEventSelectors": true,
        "KmsKeyId": format!("arn:aws:kms:eu-west-1:{owner}:key/00000000-0000-4000-8000-000000000000"),
    });
    json!({"trailList": [trail]}).to_string()
}

/// The users, roles and policies of an account of middling size.
fn identities() -> String {
    let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C\
        %22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
    let role = |n: usize| {
        format!(
            "<member><Path>/</Path><RoleName>role-{n}</RoleName><Arn>arn:aws:iam::111122223333:role/role-{n}</Arn>\
             <AssumeRolePolicyDocument>{policy}</AssumeRolePolicyDocument><RolePolicyList/><AttachedManagedPolicies>\
             <member><PolicyName>p</PolicyName><PolicyArn>arn:aws:iam::aws:policy/p</PolicyArn></member>\
             </AttachedManagedPolicies><Tags/></member>"
        )
    };
    let roles: String = (0..200).map(role).collect();
    format!(
        "<R><GetAccountAuthorizationDetailsResult><IsTruncated>false</IsTruncated><RoleDetailList>{roles}\
         </RoleDetailList></GetAccountAuthorizationDetailsResult></R>"
    )
}
