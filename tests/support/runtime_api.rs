//! A fake of the Lambda Runtime API, version 2018-06-01, for one process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};

use super::http::{self, Answer, Server};
use super::{ACCOUNT, REGION};

/// The path that every call starts with.
const ROOT: &str = "/2018-06-01/runtime/";

/// The API on a loopback port of its own.
pub(crate) struct RuntimeApi {
    server: Server,
    state: Arc<State>,
    invocations: mpsc::UnboundedSender<Invocation>,
}

/// What a function said about an invocation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It answered.
    Response(Value),
    /// It reported an error.
    Error(Report),
}

/// An error as the runtime reports it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// `errorType`.
    pub(crate) kind: String,
    /// `errorMessage`.
    pub(crate) message: String,
}

/// How far the process has come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Init {
    /// It has not called yet.
    Starting,
    /// It asked for its first invocation at this moment.
    Polled(Instant),
    /// It said that it cannot start.
    Failed(Report),
}

impl RuntimeApi {
    /// Starts without an invocation.
    pub(crate) async fn start() -> Self {
        let (invocations, queue) = mpsc::unbounded_channel();
        let state = Arc::new(State::new(queue));
        let shared = Arc::clone(&state);
        let server = Server::answering(move |request| {
            let state = Arc::clone(&shared);
            async move { Some(state.answer(request).await) }
        })
        .await;
        Self { server, state, invocations }
    }

    /// For `AWS_LAMBDA_RUNTIME_API`, which has no scheme.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Queues an invocation; the outcome arrives once the process has answered it.
    pub(crate) fn submit(&self, event: &Value, deadline: SystemTime) -> oneshot::Receiver<Outcome> {
        let (outcome, receiver) = oneshot::channel();
        let invocation = Invocation { event: event.to_string(), deadline, outcome };
        assert!(self.invocations.send(invocation).is_ok(), "the server lives as long as this");
        receiver
    }

    /// Waits until the process polls or says that it cannot start.
    pub(crate) async fn initialized(&self) -> Init {
        let mut init = self.state.init.subscribe();
        let settled = init.wait_for(|init| *init != Init::Starting).await;
        settled.expect("the server lives as long as this").clone()
    }
}

/// An event on its way to the process.
struct Invocation {
    event: String,
    deadline: SystemTime,
    outcome: oneshot::Sender<Outcome>,
}

/// What the calls share.
struct State {
    queue: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<Running>,
    init: watch::Sender<Init>,
}

/// Invocations that the process took, by request id.
#[derive(Default)]
struct Running {
    taken: u64,
    waiting: HashMap<String, oneshot::Sender<Outcome>>,
}

impl Running {
    /// Makes the request id of the next invocation.
    fn add(&mut self, outcome: oneshot::Sender<Outcome>) -> String {
        self.taken += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.taken);
        self.waiting.insert(id.clone(), outcome);
        id
    }
}

impl State {
    fn new(queue: mpsc::UnboundedReceiver<Invocation>) -> Self {
        Self { queue: AsyncMutex::new(queue), running: Mutex::default(), init: watch::Sender::new(Init::Starting) }
    }

    async fn answer(&self, request: Request<Bytes>) -> Answer {
        let path = request.uri().path().strip_prefix(ROOT).unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method(), &parts[..]) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => self.finish(id, response(request.body())),
            (&Method::POST, ["invocation", id, "error"]) => self.finish(id, Outcome::Error(report(request.body()))),
            (&Method::POST, ["init", "error"]) => self.init_error(report(request.body())),
            _ => http::answer(StatusCode::NOT_FOUND, "application/json", "{}"),
        }
    }

    /// Holds the call until there is an invocation, as Lambda freezes a process between them.
    async fn next(&self) -> Answer {
        self.init.send_if_modified(|init| {
            let first = *init == Init::Starting;
            if first {
                *init = Init::Polled(Instant::now());
            }
            first
        });
        match self.queue.lock().await.recv().await {
            Some(invocation) => self.hand_over(invocation),
            None => http::answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}"),
        }
    }

    fn hand_over(&self, invocation: Invocation) -> Answer {
        let deadline = invocation.deadline.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let id = self.running.lock().expect("no panic while held").add(invocation.outcome);
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header("lambda-runtime-invoked-function-arn", format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:test"))
            .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0")
            .body(Bytes::from(invocation.event).into())
            .expect("valid headers")
    }

    fn finish(&self, id: &str, outcome: Outcome) -> Answer {
        let waiting = self.running.lock().expect("no panic while held").waiting.remove(id);
        let Some(waiting) = waiting else {
            let error = json!({ "errorType": "InvalidRequestID", "errorMessage": "Invalid request ID" });
            return http::answer(StatusCode::BAD_REQUEST, "application/json", error.to_string());
        };
        // Nobody waits any more once the invocation timed out.
        let _ = waiting.send(outcome);
        accepted()
    }

    fn init_error(&self, report: Report) -> Answer {
        self.init.send_replace(Init::Failed(report));
        accepted()
    }
}

/// What a response means; Lambda takes nothing but JSON.
fn response(body: &[u8]) -> Outcome {
    serde_json::from_slice(body).map_or_else(
        |error| Outcome::Error(Report { kind: "Runtime.InvalidResponse".to_owned(), message: error.to_string() }),
        Outcome::Response,
    )
}

/// What an error call says.
fn report(body: &[u8]) -> Report {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Report { kind: text("errorType"), message: text("errorMessage") }
}

fn accepted() -> Answer {
    http::answer(StatusCode::ACCEPTED, "application/json", r#"{"status":"OK"}"#)
}

/// The calls of a bootstrap, as raw HTTP.
#[cfg(test)]
pub(crate) mod client {
    use super::*;

    /// Asks for an invocation; returns its request id and event.
    pub(crate) async fn next(api: SocketAddr) -> (String, Value) {
        let (id, _, event) = next_with_deadline(api).await;
        (id, event)
    }

    /// As [`next`], with the deadline in milliseconds since 1970.
    pub(crate) async fn next_with_deadline(api: SocketAddr) -> (String, u64, Value) {
        let request = Request::get(format!("{ROOT}invocation/next")).header("host", "lambda").body(Bytes::new());
        let response = http::send(api, request.expect("a request")).await.expect("an answer");
        let header = |name: &str| response.headers()[name].to_str().expect("ASCII").to_owned();
        let deadline = header("lambda-runtime-deadline-ms").parse().expect("milliseconds");
        let event = serde_json::from_slice(response.body()).expect("JSON");
        (header("lambda-runtime-aws-request-id"), deadline, event)
    }

    /// Answers an invocation.
    pub(crate) async fn respond(api: SocketAddr, id: &str, response: &Value) -> StatusCode {
        call(api, &format!("invocation/{id}/response"), response.to_string()).await
    }

    /// Reports an error to `invocation/<id>/error` or `init/error`.
    pub(crate) async fn report(api: SocketAddr, path: &str, kind: &str, message: &str) -> StatusCode {
        let report = json!({ "errorType": kind, "errorMessage": message, "stackTrace": [] });
        call(api, path, report.to_string()).await
    }

    /// Posts to a path of the API.
    pub(crate) async fn call(api: SocketAddr, path: &str, body: String) -> StatusCode {
        post(api, &format!("{ROOT}{path}"), body).await.expect("an answer")
    }

    /// Posts to any server; the error says why there was no answer.
    pub(crate) async fn post(address: SocketAddr, path: &str, body: String) -> Result<StatusCode, String> {
        let request = Request::post(path).header("host", "lambda").body(body.into()).expect("a request");
        http::send(address, request).await.map(|response| response.status()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_bootstrap_takes_events_and_answers() {
        let api = RuntimeApi::start().await;
        let deadline = UNIX_EPOCH + Duration::from_millis(1_795_305_600_123);
        let outcome = api.submit(&json!({ "n": 1 }), deadline);
        let (id, milliseconds, event) = client::next_with_deadline(api.address()).await;
        assert_eq!((milliseconds, event), (1_795_305_600_123, json!({ "n": 1 })));
        assert_eq!(client::respond(api.address(), &id, &json!("done")).await, StatusCode::ACCEPTED);
        assert_eq!(outcome.await, Ok(Outcome::Response(json!("done"))));
        assert_eq!(client::respond(api.address(), &id, &json!("twice")).await, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_poll_waits_for_an_event() {
        let api = RuntimeApi::start().await;
        let polling = tokio::spawn(client::next(api.address()));
        assert!(matches!(api.initialized().await, Init::Polled(_)));
        assert!(!polling.is_finished());
        let outcome = api.submit(&json!(2), SystemTime::now());
        let (id, event) = polling.await.expect("no panic");
        assert_eq!(event, json!(2));
        client::report(api.address(), &format!("invocation/{id}/error"), "E", "m").await;
        assert_eq!(outcome.await, Ok(Outcome::Error(Report { kind: "E".to_owned(), message: "m".to_owned() })));
    }

    #[tokio::test]
    async fn bad_responses_and_init_errors_are_told() {
        let api = RuntimeApi::start().await;
        let outcome = api.submit(&json!(1), SystemTime::now());
        let (id, _) = client::next(api.address()).await;
        client::call(api.address(), &format!("invocation/{id}/response"), "not JSON".to_owned()).await;
        assert!(matches!(outcome.await, Ok(Outcome::Error(report)) if report.kind == "Runtime.InvalidResponse"));
        client::report(api.address(), "init/error", "Settings", "none").await;
        assert!(matches!(api.initialized().await, Init::Failed(report) if report.message == "none"));
        assert_eq!(client::call(api.address(), "nothing", String::new()).await, StatusCode::NOT_FOUND);
    }
}
