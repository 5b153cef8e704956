//! AWS at one address: a fake of `CloudTrail`, of what the emulator lacks, and of the borders between accounts;
//! everything else is handed on to the emulator. Any call can be made to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::http::{self, Answer, Server};
use super::moto::Moto;

/// AWS on a loopback port.
pub(crate) struct CloudTrail {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// A trail.
#[derive(Debug, Clone)]
pub(crate) struct Trail {
    /// As `DescribeTrails` shows it.
    pub(crate) settings: Value,
    /// As `GetEventSelectors` answers, but for the ARN.
    pub(crate) selectors: Value,
    /// As `GetTrailStatus` answers, where a region has no status of its own.
    pub(crate) status: Value,
    /// What differs in some regions.
    pub(crate) in_regions: BTreeMap<String, Value>,
}

impl Trail {
    /// A good trail of an account over all regions, that delivers to a bucket; `more` is laid over its settings.
    pub(crate) fn of(account: &str, name: &str, bucket: &str, more: &Value) -> Self {
        let mut settings = json!({
            "Name": name,
            "TrailARN": format!("arn:aws:cloudtrail:eu-west-1:{account}:trail/{name}"),
            "HomeRegion": "eu-west-1",
            "S3BucketName": bucket,
            "IncludeGlobalServiceEvents": true,
            "IsMultiRegionTrail": true,
            "IsOrganizationTrail": false,
            "LogFileValidationEnabled": true,
            "HasCustomEventSelectors": true,
            "HasInsightSelectors": false,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            settings[name] = value.clone();
        }
        let all = json!({"ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": [],
            "ExcludeManagementEventSources": []});
        Self {
            settings,
            selectors: json!({"EventSelectors": [all]}),
            status: json!({"IsLogging": true, "LatestDeliveryTime": 1_763_600_000.25,
                "LatestDigestDeliveryTime": 1_763_599_000}),
            in_regions: BTreeMap::new(),
        }
    }

    /// Its ARN.
    pub(crate) fn arn(&self) -> &str {
        self.settings["TrailARN"].as_str().expect("an ARN")
    }

    fn owner(&self) -> &str {
        self.arn().split(':').nth(4).expect("an account")
    }

    fn is_seen(&self, by: &str, region: &str, shadows: bool) -> bool {
        let is_theirs = self.owner() == by || self.settings["IsOrganizationTrail"] == true;
        is_theirs && (self.settings["HomeRegion"] == region || shadows && self.settings["IsMultiRegionTrail"] == true)
    }
}

/// What becomes of a call instead of its answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An error with this code.
    Refuse(u16, &'static str),
    /// The answer comes so much later.
    Slow(Duration),
    /// This comes as if it were the answer.
    Say(String),
}

impl CloudTrail {
    /// Starts with three regions that are enabled and one that is not, without a trail.
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::answering(move |request| {
            let state = Arc::clone(&shared);
            async move { Some(answer(&state, request).await) }
        })
        .await;
        Self { server, state }
    }

    /// For `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Says whose key that is.
    pub(crate) fn knows(&self, key: &str, account: &str) {
        self.state().keys.insert(key.to_owned(), account.to_owned());
    }

    /// The emulator knows the bearer of one key by another one.
    pub(crate) fn translates(&self, key: &str, to: &str) {
        self.state().translations.insert(key.to_owned(), to.to_owned());
    }

    /// A bucket that another server holds.
    pub(crate) fn holds(&self, bucket: &str, url: &str) {
        let address = url.strip_prefix("http://").and_then(|address| address.parse().ok()).expect("a loopback address");
        self.state().elsewhere.insert(bucket.to_owned(), address);
    }

    /// Messages that were put into queues.
    pub(crate) fn queued(&self) -> Vec<Value> {
        self.state().queued.clone()
    }

    /// Changes the trail of this name.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Trail)) {
        let mut state = self.state();
        let trail = state.trails.iter_mut().find(|trail| trail.settings["Name"] == name);
        change(trail.expect("a trail of that name"));
    }

    /// Takes the trail of this name away.
    pub(crate) fn remove(&self, name: &str) {
        self.state().trails.retain(|trail| trail.settings["Name"] != name);
    }

    /// Everything answers as it should again.
    pub(crate) fn mend(&self) {
        self.state().faults.clear();
        self.state().without_role.clear();
    }

    /// Makes a trail.
    pub(crate) fn add(&self, trail: Trail) {
        self.state().trails.push(trail);
    }

    /// Says who owns a bucket, whom it is closed to, and whether strangers may look at it.
    pub(crate) fn owns(&self, account: &str, bucket: &str, is_open: bool) {
        self.state().owners.insert(bucket.to_owned(), (account.to_owned(), is_open));
    }

    /// An account without the role.
    pub(crate) fn has_no_role(&self, account: &str) {
        self.state().without_role.insert(account.to_owned());
    }

    /// An account that is in an organization and may not tell of it, which the emulator does not know.
    pub(crate) fn is_member(&self, account: &str) {
        self.state().members.insert(account.to_owned());
    }

    /// Makes the next `times` calls fail; `region` may be empty for all. A call to S3 is named by method and subresource:
    /// `s3:GET policy`.
    pub(crate) fn inject(&self, call: &str, region: &str, times: usize, fault: Fault) {
        self.state().faults.push((call.to_owned(), region.to_owned(), times, fault));
    }

    /// The calls so far: call, account, region.
    pub(crate) fn seen(&self) -> Vec<(String, String, String)> {
        self.state().seen.clone()
    }

    /// How often a call came.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.state().seen.iter().filter(|seen| seen.0 == call).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}

/// What the fake remembers.
#[derive(Default)]
struct State {
    trails: Vec<Trail>,
    keys: BTreeMap<String, String>,
    owners: BTreeMap<String, (String, bool)>,
    without_role: BTreeSet<String>,
    members: BTreeSet<String>,
    faults: Vec<(String, String, usize, Fault)>,
    seen: Vec<(String, String, String)>,
    translations: BTreeMap<String, String>,
    elsewhere: BTreeMap<String, SocketAddr>,
    queued: Vec<Value>,
}

/// What a request says of itself.
struct Asked {
    service: String,
    operation: String,
    region: String,
    account: String,
    body: Value,
}

impl Asked {
    fn call(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }
}

async fn answer(state: &Mutex<State>, request: Request<Bytes>) -> Answer {
    let elsewhere = state.lock().expect("no panic while held").elsewhere(&request);
    if let Some(address) = elsewhere {
        return whole(http::send(address, request).await.expect("the other server answers"));
    }
    let (asked, fault) = {
        let mut state = state.lock().expect("no panic while held");
        let asked = state.asked(&request);
        state.seen.push((asked.call(), asked.account.clone(), asked.region.clone()));
        let fault = state.fault(&asked);
        (asked, fault)
    };
    match fault {
        Some(Fault::Refuse(status, code)) => return refused(&asked, status, code),
        Some(Fault::Say(text)) => return http::answer(StatusCode::OK, "text/plain", text),
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        None => {}
    }
    let own = state.lock().expect("no panic while held").answer(&asked, &request);
    match own {
        Some(answer) => answer,
        None => handed_on(state, &asked, request).await,
    }
}

/// What the emulator answers. A role that it gives out is remembered as the account's.
async fn handed_on(state: &Mutex<State>, asked: &Asked, mut request: Request<Bytes>) -> Answer {
    state.lock().expect("no panic while held").translate(&mut request);
    let role = form_urlencoded::parse(request.body()).find(|(name, _)| name == "RoleArn");
    let role = role.map(|(_, arn)| arn.into_owned());
    let answer = http::send(Moto::shared().address(), request).await.expect("the emulator answers");
    if asked.operation == "AssumeRole"
        && let Some(role) = role
    {
        let text = String::from_utf8_lossy(answer.body());
        let key = text.split_once("<AccessKeyId>").and_then(|(_, rest)| rest.split('<').next()).expect("a key");
        let account = role.split(':').nth(4).expect("an account").to_owned();
        state.lock().expect("no panic while held").keys.insert(key.to_owned(), account);
    }
    // The emulator says nothing where AWS says that there is no organization.
    let listed: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    if asked.operation == "ListAccounts" && listed["Accounts"].as_array().is_none_or(Vec::is_empty) {
        return refused(asked, 400, "AWSOrganizationsNotInUseException");
    }
    whole(answer)
}

fn whole(answer: Response<Bytes>) -> Answer {
    let (mut head, body) = answer.into_parts();
    // The body comes whole here.
    head.headers.remove("transfer-encoding");
    Answer::from_parts(head, Full::new(body))
}

impl State {
    fn elsewhere(&self, request: &Request<Bytes>) -> Option<SocketAddr> {
        let bucket = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        self.elsewhere.get(bucket).copied()
    }

    /// The emulator checks no signatures: only the key says who asks.
    fn translate(&self, request: &mut Request<Bytes>) {
        let Some(header) = request.headers_mut().get_mut("authorization") else { return };
        let mut text = header.to_str().expect("ASCII").to_owned();
        self.translations.iter().for_each(|(from, to)| text = text.replace(from, to));
        *header = text.parse().expect("a header");
    }

    fn asked(&self, request: &Request<Bytes>) -> Asked {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let scope = header("authorization").split("Credential=").nth(1).unwrap_or_default();
        let scope: Vec<&str> = scope.split([',', '/']).collect();
        let (key, region, signed) = (scope[0], scope[2], scope[3]);
        let is_control = request.uri().path().starts_with("/v20180820/");
        let service = if is_control { "s3control" } else { signed };
        let target = header("x-amz-target").rsplit('.').next().unwrap_or_default();
        let action = form_urlencoded::parse(request.body()).find(|(name, _)| name == "Action");
        let subresource = request.uri().query().unwrap_or_default().split(['&', '=']).next().unwrap_or_default();
        let operation = match (target, action) {
            ("", Some((_, action))) => action.into_owned(),
            ("", None) if service == "s3" => format!("{} {subresource}", request.method()).trim().to_owned(),
            ("", None) => request.uri().path().to_owned(),
            (target, _) => target.to_owned(),
        };
        Asked {
            service: service.to_owned(),
            operation,
            region: region.to_owned(),
            account: self.keys.get(key).cloned().unwrap_or_default(),
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
        }
    }

    fn fault(&mut self, asked: &Asked) -> Option<Fault> {
        let call = asked.call();
        let due = self.faults.iter_mut().find(|(of, region, times, _)| {
            *of == call && (region.is_empty() || *region == asked.region) && *times > 0
        })?;
        due.2 -= 1;
        Some(due.3.clone())
    }

    /// The answer of what stands here; none for what the emulator answers.
    fn answer(&mut self, asked: &Asked, request: &Request<Bytes>) -> Option<Answer> {
        match asked.service.as_str() {
            "sqs" => Some(self.queue(asked)),
            "account" => Some(said(&regions())),
            "cloudtrail" => Some(self.cloudtrail(asked)),
            "s3control" => Some(control(request)),
            "s3" => self.border(asked, request),
            "sts" if asked.operation == "AssumeRole" => self.closed(asked, request),
            "organizations" if asked.operation == "ListAccounts" && self.members.contains(&asked.account) => {
                Some(refused(asked, 400, "AccessDeniedException"))
            }
            "lambda" => Some(said(&json!({"Functions": [{"FunctionName": "f",
                "FunctionArn": format!("arn:aws:lambda:{}:{}:function:f", asked.region, asked.account),
                "Environment": {"Variables": {"PASSWORD": "hunter2"}}}]}))),
            _ => None,
        }
    }

    fn queue(&mut self, asked: &Asked) -> Answer {
        if asked.operation == "SendMessage" {
            self.queued.push(asked.body.clone());
            return said(&json!({"MessageId": "1"}));
        }
        let count = "<Attribute><Name>ApproximateNumberOfMessages</Name><Value>0</Value></Attribute>";
        let result = format!("<GetQueueAttributesResult>{count}</GetQueueAttributesResult>");
        let body = format!("<GetQueueAttributesResponse>{result}</GetQueueAttributesResponse>");
        http::answer(StatusCode::OK, "text/xml", body)
    }

    fn cloudtrail(&self, asked: &Asked) -> Answer {
        let seen =
            |shadows| self.trails.iter().filter(move |trail| trail.is_seen(&asked.account, &asked.region, shadows));
        let named = || {
            let name = ["Name", "TrailName"].iter().find_map(|name| asked.body[*name].as_str()).unwrap_or_default();
            seen(true).find(|trail| trail.arn() == name)
        };
        match (asked.operation.as_str(), named()) {
            ("DescribeTrails", _) => {
                let trails = seen(asked.body["includeShadowTrails"] != false).map(|trail| trail.settings.clone());
                said(&json!({"trailList": trails.collect::<Vec<_>>()}))
            }
            ("GetTrail", Some(trail)) => said(&json!({"Trail": trail.settings})),
            ("GetTrailStatus", Some(trail)) => said(trail.in_regions.get(&asked.region).unwrap_or(&trail.status)),
            // An organization's trail tells its selectors to its owner alone, at home.
            ("GetEventSelectors", Some(trail))
                if trail.owner() == asked.account && trail.settings["HomeRegion"] == asked.region.as_str() =>
            {
                let mut answer = trail.selectors.clone();
                answer["TrailARN"] = trail.arn().into();
                said(&answer)
            }
            ("ListPublicKeys", _) => said(&json!({"PublicKeyList": []})),
            _ => refused(asked, 400, "TrailNotFoundException"),
        }
    }

    /// A bucket lets its owner in; strangers where it is open; and nobody who expects another owner.
    fn border(&self, asked: &Asked, request: &Request<Bytes>) -> Option<Answer> {
        let bucket = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        let (owner, is_open) = self.owners.get(bucket)?;
        let expected = request.headers().get("x-amz-expected-bucket-owner").and_then(|value| value.to_str().ok());
        let is_let_in = asked.account == *owner || (*is_open && request.method() == "HEAD");
        let is_met = is_let_in && expected.is_none_or(|expected| expected == owner);
        (!is_met).then(|| refused(asked, 403, "AccessDenied"))
    }

    fn closed(&self, asked: &Asked, request: &Request<Bytes>) -> Option<Answer> {
        let (_, role) = form_urlencoded::parse(request.body()).find(|(name, _)| name == "RoleArn")?;
        let account = role.split(':').nth(4)?.to_owned();
        self.without_role.contains(&account).then(|| refused(asked, 403, "AccessDenied"))
    }
}

fn said(body: &Value) -> Answer {
    let mut answer = http::answer(StatusCode::OK, "application/x-amz-json-1.1", body.to_string());
    answer.headers_mut().insert("x-amzn-requestid", hyper::header::HeaderValue::from_static("r-1"));
    answer
}

/// An error in the form of the service.
fn refused(asked: &Asked, status: u16, code: &str) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    match asked.service.as_str() {
        "s3" if asked.operation == "HEAD" => http::answer(status, "application/xml", ""),
        "s3" | "s3control" => {
            http::answer(status, "application/xml", format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
        }
        "sts" | "iam" | "sns" => super::sns::error(status, code, "no"),
        _ => http::answer(status, "application/x-amz-json-1.1", json!({"__type": code, "message": "no"}).to_string()),
    }
}

fn regions() -> Value {
    let regions = [
        ("eu-west-1", "ENABLED_BY_DEFAULT"),
        ("us-east-1", "ENABLED_BY_DEFAULT"),
        ("me-south-1", "ENABLED"),
        ("af-south-1", "DISABLED"),
    ];
    let regions = regions.map(|(name, status)| json!({"RegionName": name, "RegionOptStatus": status}));
    json!({"Regions": regions})
}

/// The account's public access block, and no access points.
fn control(request: &Request<Bytes>) -> Answer {
    let account = request.headers().get("x-amz-account-id").and_then(|value| value.to_str().ok());
    assert!(account.is_some(), "S3 control wants the account in a header");
    let body = if request.uri().path().ends_with("publicAccessBlock") {
        "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true\
         </IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false\
         </RestrictPublicBuckets></PublicAccessBlockConfiguration>"
    } else {
        "<ListAccessPointsResult><AccessPointList><AccessPoint><Name>p</Name><NetworkOrigin>Internet</NetworkOrigin>\
         <Bucket>b</Bucket></AccessPoint></AccessPointList></ListAccessPointsResult>"
    };
    http::answer(StatusCode::OK, "application/xml", body)
}
