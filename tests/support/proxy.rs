//! A proxy that injects faults between a function and a server, by a plan that is the same in every run.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::{Request, StatusCode};
use tokio::time::sleep;

use super::http::{self, Answer, Server};
use super::lambda::Function;
use super::sns;

/// A proxy on a loopback port. Without a plan it only counts.
pub(crate) struct Proxy {
    server: Server,
    state: Arc<State>,
}

impl Proxy {
    /// Starts before the server at `upstream`, which is `http://host:port`.
    pub(crate) async fn start(upstream: &str) -> Self {
        let upstream = upstream.strip_prefix("http://").and_then(|address| address.parse().ok());
        let state = Arc::new(State {
            upstream: upstream.expect("http:// and a loopback address"),
            plan: Mutex::default(),
            seen: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let server = Server::answering(move |request| exchange(Arc::clone(&shared), request)).await;
        Self { server, state }
    }

    /// The endpoint to give to the function.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Replaces the plan and begins to count anew.
    pub(crate) fn set_plan(&self, plan: Plan) {
        *self.state.plan() = plan;
        self.state.seen().clear();
    }

    /// The requests since the plan was set, in order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen().clone()
    }

    /// How many requests came since the plan was set.
    pub(crate) fn count(&self) -> usize {
        self.state.seen().len()
    }
}

/// A request that the proxy saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What was asked for: `PutItem` of `DynamoDB`, `Publish` of SNS, the method for S3.
    pub(crate) operation: String,
    /// Path and query.
    pub(crate) path: String,
    /// Whether a fault was injected.
    pub(crate) faulted: bool,
}

/// Which requests get which fault. The first entry that applies wins.
#[derive(Default)]
pub(crate) struct Plan(Vec<(Requests, Fault)>);

impl Plan {
    /// No faults.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a fault for some requests.
    #[must_use]
    pub(crate) fn on(mut self, requests: Requests, fault: Fault) -> Self {
        self.0.push((requests, fault));
        self
    }

    /// The fault for a request. Every entry counts it, whichever wins.
    fn fault(&mut self, operation: &str, path: &str) -> Option<Fault> {
        let due = |(requests, fault): &mut (Requests, Fault)| requests.meets(operation, path).then(|| fault.clone());
        self.0.iter_mut().filter_map(due).reduce(|first, _| first)
    }
}

/// A choice of requests: which of those with a given operation and path.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    which: Which,
    operation: Option<String>,
    path: Option<String>,
    /// How many matched so far.
    met: usize,
}

/// A choice by number, counted from 1.
#[derive(Debug, Clone, Copy)]
enum Which {
    Nth(usize),
    First(usize),
    Seeded { seed: u64, percent: u64 },
}

impl Requests {
    /// The n-th request, counted from 1.
    pub(crate) fn nth(n: usize) -> Self {
        Self::new(Which::Nth(n))
    }

    /// The first n requests.
    pub(crate) fn first(n: usize) -> Self {
        Self::new(Which::First(n))
    }

    /// Every request.
    pub(crate) fn all() -> Self {
        Self::first(usize::MAX)
    }

    /// A share of the requests, in percent; which ones depends on `seed` and their number alone.
    pub(crate) fn seeded(seed: u64, percent: u64) -> Self {
        Self::new(Which::Seeded { seed, percent })
    }

    /// Counts only requests for this operation, as [`Seen::operation`] names it.
    #[must_use]
    pub(crate) fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Counts only requests whose path or query contains this.
    #[must_use]
    pub(crate) fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    fn new(which: Which) -> Self {
        Self { which, operation: None, path: None, met: 0 }
    }

    /// Counts a request if it matches, and says whether it is one of those chosen.
    fn meets(&mut self, operation: &str, path: &str) -> bool {
        let other_operation = self.operation.as_ref().is_some_and(|wanted| wanted != operation);
        let other_path = self.path.as_ref().is_some_and(|part| !path.contains(part));
        if other_operation || other_path {
            return false;
        }
        self.met += 1;
        match self.which {
            Which::Nth(n) => self.met == n,
            Which::First(n) => self.met <= n,
            Which::Seeded { seed, percent } => mixed(seed, self.met) % 100 < percent,
        }
    }
}

/// A number that looks random, from a seed and a counter (the finalizer of `SplitMix64`).
fn mixed(seed: u64, counter: usize) -> u64 {
    let counter = u64::try_from(counter).expect("64 bits suffice");
    let mut bits = seed.wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// What happens to a request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The connection closes; the server never hears of the request.
    DropBefore,
    /// The server applies the request; the connection closes instead of the answer.
    DropAfter,
    /// An internal error as the service writes it; nothing is applied.
    InternalError,
    /// A throttling as the service writes it; nothing is applied.
    Throttle,
    /// `DynamoDB` cancels the transaction since another one is at the same item; nothing is applied.
    Conflict,
    /// The request waits, then goes on.
    Delay(Duration),
    /// A hook runs before the server hears of the request.
    Before(Hook),
    /// A hook runs after the server applied the request, before the answer goes out.
    After(Hook),
}

/// A test's own code between a request and its answer.
pub(crate) type Hook = Arc<dyn Fn() -> BoxFuture<'static, Then> + Send + Sync>;

/// What happens to a request after a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It goes on as if nothing was.
    Continue,
    /// The connection closes.
    Drop,
}

impl Fault {
    /// Runs `hook` before the server hears of the request.
    pub(crate) fn before<F: Future<Output = Then> + Send + 'static>(
        hook: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self::Before(Arc::new(move || hook().boxed()))
    }

    /// Runs `hook` once the server has applied the request.
    pub(crate) fn after<F: Future<Output = Then> + Send + 'static>(
        hook: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self::After(Arc::new(move || hook().boxed()))
    }

    /// The function dies before its request is applied.
    pub(crate) fn kill_before(function: &Function) -> Self {
        Self::before(killing(function))
    }

    /// The function dies after its request is applied, before it hears so.
    pub(crate) fn kill_after(function: &Function) -> Self {
        Self::after(killing(function))
    }
}

/// A hook that kills a function.
fn killing(function: &Function) -> impl Fn() -> std::future::Ready<Then> + Send + Sync + 'static {
    let killer = function.killer();
    move || {
        killer.kill();
        std::future::ready(Then::Drop)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DropBefore => "DropBefore",
            Self::DropAfter => "DropAfter",
            Self::InternalError => "InternalError",
            Self::Throttle => "Throttle",
            Self::Conflict => "Conflict",
            Self::Delay(_) => "Delay",
            Self::Before(_) => "Before",
            Self::After(_) => "After",
        })
    }
}

/// What the connections share.
struct State {
    upstream: SocketAddr,
    plan: Mutex<Plan>,
    seen: Mutex<Vec<Seen>>,
}

impl State {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no panic while held")
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().expect("no panic while held")
    }

    /// Counts a request and finds its fault.
    fn arrived(&self, request: &Request<Bytes>) -> Option<Fault> {
        let operation = operation(request);
        let path = request.uri().to_string();
        let fault = self.plan().fault(&operation, &path);
        self.seen().push(Seen { operation, path, faulted: fault.is_some() });
        fault
    }

    /// Lets the server answer. The host stays what the client signed.
    async fn forward(&self, request: Request<Bytes>) -> Option<Answer> {
        let mut response = http::send(self.upstream, request).await.ok()?;
        // The body is whole now: hyper counts its bytes.
        response.headers_mut().remove(TRANSFER_ENCODING);
        Some(response.map(Into::into))
    }

    /// Carries a request through its fault.
    async fn carry(&self, request: Request<Bytes>, fault: Option<Fault>) -> Option<Answer> {
        match fault {
            None => self.forward(request).await,
            Some(Fault::DropBefore) => None,
            Some(Fault::DropAfter) => self.forward(request).await.and(None),
            Some(Fault::InternalError) => Some(Service::of(&request).internal_error()),
            Some(Fault::Throttle) => Some(Service::of(&request).throttling()),
            Some(Fault::Conflict) => Some(conflict(&request)),
            Some(Fault::Delay(time)) => {
                sleep(time).await;
                self.forward(request).await
            }
            Some(Fault::Before(hook)) => match hook().await {
                Then::Continue => self.forward(request).await,
                Then::Drop => None,
            },
            Some(Fault::After(hook)) => {
                let answer = self.forward(request).await;
                match hook().await {
                    Then::Continue => answer,
                    Then::Drop => None,
                }
            }
        }
    }
}

/// One request and its answer, on a task of its own: as with a real server, a client that goes away takes nothing back.
async fn exchange(state: Arc<State>, mut request: Request<Bytes>) -> Option<Answer> {
    request.headers_mut().remove(TRANSFER_ENCODING);
    let fault = state.arrived(&request);
    tokio::spawn(async move { state.carry(request, fault).await }).await.ok().flatten()
}

/// What a request asks for.
fn operation(request: &Request<Bytes>) -> String {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = match Service::of(request) {
        Service::DynamoDb => target.and_then(|target| target.rsplit('.').next()).map(str::to_owned),
        Service::Sns => sns::action(request.body()),
        Service::S3 => None,
    };
    operation.unwrap_or_else(|| request.method().to_string())
}

/// Whom a request is for.
#[derive(Debug, Clone, Copy)]
enum Service {
    DynamoDb,
    S3,
    Sns,
}

impl Service {
    /// Each service has a protocol of its own, visible in the headers.
    fn of(request: &Request<Bytes>) -> Self {
        let form = |kind: &[u8]| kind.starts_with(b"application/x-www-form-urlencoded");
        let headers = request.headers();
        if headers.contains_key("x-amz-target") {
            Self::DynamoDb
        } else if headers.get(CONTENT_TYPE).is_some_and(|kind| form(kind.as_bytes())) {
            Self::Sns
        } else {
            Self::S3
        }
    }

    fn throttling(self) -> Answer {
        match self {
            Self::DynamoDb => {
                let message = "The level of configured provisioned throughput for the table was exceeded.";
                dynamodb_error("ProvisionedThroughputExceededException", message, StatusCode::BAD_REQUEST)
            }
            Self::S3 => s3_error("SlowDown", "Please reduce your request rate.", StatusCode::SERVICE_UNAVAILABLE),
            Self::Sns => sns::error(StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded"),
        }
    }

    fn internal_error(self) -> Answer {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let message = "We encountered an internal error. Please try again.";
        match self {
            Self::DynamoDb => dynamodb_error("InternalServerError", message, status),
            Self::S3 => s3_error("InternalError", message, status),
            Self::Sns => sns::error(status, "InternalError", message),
        }
    }
}

/// An error as `DynamoDB` writes it.
fn dynamodb_error(code: &str, message: &str, status: StatusCode) -> Answer {
    let body = serde_json::json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message });
    http::answer(status, "application/x-amz-json-1.0", body.to_string())
}

/// A conflict of transactions: one that is cancelled, or a write that meets one.
fn conflict(request: &Request<Bytes>) -> Answer {
    let reason = serde_json::json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
    let (code, reasons) = match operation(request).as_str() {
        "TransactWriteItems" => ("TransactionCanceledException", vec![serde_json::json!({ "Code": "None" }), reason]),
        _ => ("TransactionConflictException", Vec::new()),
    };
    let body = serde_json::json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
        "message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    });
    http::answer(StatusCode::BAD_REQUEST, "application/x-amz-json-1.0", body.to_string())
}

/// An error as S3 writes it.
fn s3_error(code: &str, message: &str, status: StatusCode) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    http::answer(status, "application/xml", body)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use aws_sdk_dynamodb::types::AttributeValue;
    use object_store::ObjectStoreExt;
    use object_store::path::Path;

    use super::super::dynamo::{self, Dynamo, TABLE};
    use super::super::s3::{self, S3};
    use super::super::sns::Sns;
    use super::*;

    #[tokio::test]
    async fn without_a_plan_it_only_counts() {
        let (dynamo, proxy) = behind_proxy().await;
        put(&proxy, "1").await;
        let expected = Seen { operation: "PutItem".to_owned(), path: "/".to_owned(), faulted: false };
        assert_eq!(proxy.seen(), [expected]);
        assert_eq!(dynamo.items().await.len(), 1);
    }

    #[tokio::test]
    async fn a_drop_comes_before_or_after_the_server_applies() {
        for (fault, applied) in [(Fault::DropBefore, 0), (Fault::DropAfter, 1)] {
            let (dynamo, proxy) = behind_proxy().await;
            let name = format!("{fault:?}");
            proxy.set_plan(Plan::new().on(Requests::nth(1), fault).on(Requests::nth(2), expecting(&dynamo, applied)));
            put(&proxy, "1").await;
            assert_eq!((proxy.count(), dynamo.items().await.len()), (2, 1), "{name}: the client tried again");
        }
    }

    #[tokio::test]
    async fn errors_are_those_of_the_service() {
        for (fault, expected) in
            [(Fault::Throttle, "ProvisionedThroughputExceededException"), (Fault::InternalError, "InternalServerError")]
        {
            let (dynamo, proxy) = behind_proxy().await;
            proxy.set_plan(Plan::new().on(Requests::all().operation("PutItem"), fault));
            let error = try_put(&proxy, "1").await.expect_err("all tries fail");
            assert_eq!(error, expected);
            assert!(dynamo.items().await.is_empty());
        }
    }

    #[tokio::test]
    async fn s3_goes_through_signed_and_is_slowed_down() {
        let s3 = S3::start(&["logs"]).await;
        let proxy = Proxy::start(&s3.url()).await;
        let store = s3::store(&proxy.url(), "logs");
        proxy.set_plan(Plan::new().on(Requests::first(1).operation("PUT").path("/logs/a"), Fault::Throttle));
        store.put(&Path::from("a"), "12".into()).await.expect("the client tries again");
        assert_eq!(store.head(&Path::from("a")).await.expect("stored").size, 2);
        assert_eq!(s3.get("logs", "a").await.as_deref(), Some(&b"12"[..]));
        let seen: Vec<_> = proxy.seen().into_iter().map(|seen| (seen.operation, seen.faulted)).collect();
        assert_eq!(seen, [("PUT".to_owned(), true), ("PUT".to_owned(), false), ("HEAD".to_owned(), false)]);
    }

    #[tokio::test]
    async fn each_service_has_its_own_errors() {
        let sns = Sns::start().await;
        let proxy = Proxy::start(&sns.url()).await;
        proxy.set_plan(
            Plan::new()
                .on(Requests::nth(1).operation("Publish"), Fault::Throttle)
                .on(Requests::nth(2).operation("Publish"), Fault::InternalError)
                .on(Requests::all().operation("GET"), Fault::InternalError),
        );
        assert!(raw(&proxy, "POST", "Action=Publish").await.contains("<Code>Throttling</Code>"));
        assert!(raw(&proxy, "POST", "Action=Publish").await.contains("<Code>InternalError</Code>"));
        assert!(raw(&proxy, "POST", "Action=Publish").await.contains("<Code>InvalidParameter</Code>"));
        assert!(raw(&proxy, "GET", "").await.starts_with("<Error><Code>InternalError</Code>"));
    }

    #[tokio::test]
    async fn delays_and_hooks_let_a_request_go_on() {
        let (dynamo, proxy) = behind_proxy().await;
        let delay = Duration::from_millis(80);
        proxy.set_plan(Plan::new().on(Requests::nth(1), Fault::Delay(delay)).on(Requests::nth(2), racing(&dynamo)));
        let start = Instant::now();
        put(&proxy, "slow").await;
        assert!(start.elapsed() >= delay);
        put(&proxy, "second").await;
        let keys: Vec<_> = dynamo.items().await.into_iter().map(|item| item["pk"].clone()).collect();
        assert_eq!(keys, ["rival", "second", "slow"]);
    }

    #[test]
    fn a_seed_always_chooses_the_same_requests() {
        let chosen = |seed| {
            let mut requests = Requests::seeded(seed, 25);
            (1..=1000).filter(|_| requests.meets("PutItem", "/")).collect::<Vec<usize>>()
        };
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
        assert!((200..300).contains(&chosen(1).len()));
    }

    #[test]
    fn requests_are_counted_by_operation_and_path() {
        let mut requests = Requests::nth(2).operation("GET").path("prefix=a");
        let seen = [("GET", "/?prefix=a"), ("PUT", "/?prefix=a"), ("GET", "/?prefix=b"), ("GET", "/?prefix=a")];
        assert_eq!(seen.map(|(operation, path)| requests.meets(operation, path)), [false, false, false, true]);
    }

    /// `DynamoDB` and a proxy before it.
    async fn behind_proxy() -> (Dynamo, Proxy) {
        let dynamo = Dynamo::start().await;
        let proxy = Proxy::start(&dynamo.url()).await;
        (dynamo, proxy)
    }

    /// A hook that drops the request unless the table holds so many items when it comes.
    fn expecting(dynamo: &Dynamo, expected: usize) -> Fault {
        let client = dynamo.client().clone();
        Fault::before(move || {
            let scan = client.scan().table_name(TABLE);
            async move {
                let count = scan.send().await.expect("a scan").count;
                if usize::try_from(count) == Ok(expected) { Then::Continue } else { Then::Drop }
            }
        })
    }

    /// A hook that writes an item of its own once the request is applied.
    fn racing(dynamo: &Dynamo) -> Fault {
        let url = dynamo.url();
        Fault::after(move || {
            let client = dynamo::client(&url);
            async move {
                let rival = client.put_item().table_name(TABLE).item("pk", text("rival")).item("sk", text("META"));
                rival.send().await.expect("stored");
                Then::Continue
            }
        })
    }

    async fn put(proxy: &Proxy, pk: &str) {
        try_put(proxy, pk).await.expect("stored");
    }

    /// Puts an item through the proxy; the error is its code.
    async fn try_put(proxy: &Proxy, pk: &str) -> Result<(), String> {
        use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
        let put =
            dynamo::client(&proxy.url()).put_item().table_name(TABLE).item("pk", text(pk)).item("sk", text("META"));
        put.send().await.map(|_| ()).map_err(|error| error.code().unwrap_or_default().to_owned())
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    /// The body of the answer to a raw request.
    async fn raw(proxy: &Proxy, method: &str, body: &'static str) -> String {
        let form = if body.is_empty() { "text/plain" } else { "application/x-www-form-urlencoded" };
        let request = Request::builder().method(method).uri("/").header("host", "aws").header(CONTENT_TYPE, form);
        let request = request.body(Bytes::from_static(body.as_bytes())).expect("a request");
        let answer = http::send(proxy.server.address(), request).await.expect("an answer");
        String::from_utf8_lossy(answer.body()).into_owned()
    }
}
