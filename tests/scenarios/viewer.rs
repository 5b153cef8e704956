//! The viewer as a deployment has it: the real function behind `qtrail view --function`, each request proven to STS.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{Request, StatusCode};

use super::command::command;
use super::*;
use crate::support::http::{Answer, Server, answer, send};
use crate::support::process::{Output, Process};
use crate::support::{ACCESS_KEY, REGION, SECRET_KEY};

/// Whose account is none of the organization's.
const STRANGER: &str = "AKIASTRANGEREXAMPLE1";

/// STS: it knows two people by their keys.
async fn sts() -> Server {
    Server::answering(|request: Request<Bytes>| async move {
        let signed = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let account = if signed.contains(STRANGER) { "444455556666" } else { ACCOUNT };
        let arn = format!("arn:aws:sts::{account}:assumed-role/Investigator/carol");
        let identity = format!("<Arn>{arn}</Arn><UserId>AROAEXAMPLE:carol</UserId><Account>{account}</Account>");
        let result = format!("<GetCallerIdentityResult>{identity}</GetCallerIdentityResult>");
        let xmlns = "https://sts.amazonaws.com/doc/2011-06-15/";
        let body = format!("<GetCallerIdentityResponse xmlns=\"{xmlns}\">{result}</GetCallerIdentityResponse>");
        Some(answer(StatusCode::OK, "text/xml", body))
    })
    .await
}

/// Lambda's own API: it invokes the one function there is.
async fn lambda(function: Arc<Function>) -> Server {
    Server::answering(move |request: Request<Bytes>| {
        let function = function.clone();
        async move {
            let path = request.uri().path();
            assert!(path.ends_with("%3Afunction%3Atrail%2Dviewer/invocations"), "{path}");
            let event = serde_json::from_slice(request.body()).expect("JSON");
            let answered = function.invoke(&event).await.expect("the viewer answers");
            Some(answer(StatusCode::OK, "application/json", answered.to_string()) as Answer)
        }
    })
    .await
}

/// `qtrail view --function trail-viewer` and what it leads to.
pub(super) struct Door {
    address: String,
    token: String,
    function: Arc<Function>,
    servers: Vec<Server>,
    _process: Process,
}

impl Door {
    async fn open(stack: &Stack, key: &str) -> Self {
        let sts = sts().await;
        let mut door = Self::behind(&stack.environment(), (ACCOUNT, &sts.url()), (key, SECRET_KEY)).await;
        door.servers.push(sts);
        door
    }

    /// The door of a viewer of this account that is told so, for the bearer of a key.
    pub(super) async fn behind(
        environment: &Environment,
        (account, sts): (&str, &str),
        (key, secret): (&str, &str),
    ) -> Self {
        let environment = environment.clone().set("AWS_ENDPOINT_URL_STS", sts);
        let function = Arc::new(Function::start(&binary("viewer"), &environment).await);
        let lambda = lambda(function.clone()).await;
        let output = Output::default();
        let arn = format!("arn:aws:lambda:{REGION}:{account}:function:trail-viewer");
        let mut view = command();
        view.args(["view", "--function", &arn, "--listen", "127.0.0.1:0"])
            .env("AWS_ENDPOINT_URL_STS", sts)
            .env("AWS_ENDPOINT_URL_LAMBDA", lambda.url())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", secret);
        let process = Process::spawn(&mut view, &output);
        let line = output.line_with("/?token=").await.expect("the page's address");
        let (address, token) = line.trim_start_matches("http://").split_once("/?token=").expect("a token");
        let (address, token) = (address.to_owned(), token.to_owned());
        Self { address, token, function, servers: vec![lambda], _process: process }
    }

    /// Sends a form as the page does.
    pub(super) async fn post(&self, target: &str, form: &str) -> (StatusCode, String) {
        self.ask("POST", target, &format!("http://{}", self.address), form).await
    }

    async fn ask(&self, method: &str, target: &str, origin: &str, body: &str) -> (StatusCode, String) {
        let port = self.address.rsplit(':').next().expect("a port");
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", &self.address)
            .header("origin", origin)
            .header("cookie", format!("qtrail-{port}={}", self.token))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", body.len())
            .body(Bytes::from(body.to_owned()));
        let address = self.address.parse().expect("an address");
        let answered = send(address, request.expect("a request")).await.expect("an answer");
        (answered.status(), String::from_utf8_lossy(answered.body()).into_owned())
    }

    pub(super) async fn get(&self, target: &str) -> (StatusCode, String) {
        self.ask("GET", target, &format!("http://{}", self.address), "").await
    }
}

async fn filled() -> Stack {
    let stack = Stack::start().await;
    stack.configure(&format!("[accounts.{ACCOUNT}]\nname = \"prod-payments\"\n")).await;
    let files =
        [LogFile::of("stops", &[stop_trail(1, "org-trail", &json!({"userAgent": "<script>alert(1)</script>"}))])];
    stack.deliver(&files).await;
    let ingest = stack.ingest().await;
    deliver_until_done(&ingest, &batch(&files)).await;
    stack
}

#[tokio::test]
async fn who_looks_is_proven_and_logged_and_who_decides_stands_in_the_history() {
    let stack = filled().await;
    let door = Door::open(&stack, ACCESS_KEY).await;
    let (status, page) = door.get("/records?from=2025-11-20&to=2025-11-21&user=alice").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("StopLogging") && page.contains("carol"), "{page}");
    assert!(page.contains("prod-payments"), "the settings that ingest keeps: {page}");
    assert!(!page.contains("<script>alert"), "{page}");
    let logged = door.function.output().stdout.all();
    assert!(
        !logged.iter().any(|line| line.contains("SettingsErrors")),
        "it may not read config.toml, and does not try"
    );
    let searched = logged.iter().find(|line| line.contains("searched")).expect("a line in the log");
    assert!(searched.contains("assumed-role/Investigator/carol") && searched.contains("user=alice"), "{searched}");

    let before = stack.history().await;
    let finding = stack.entries().await.remove(0).finding.finding_id;
    let target = format!("/findings/{finding}/status");
    let form = "becomes=acknowledged&note=looking";
    let (status, page) = door.ask("POST", &target, "https://attacker.example", form).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
    assert_eq!(stack.history().await, before);
    let (status, page) = door.ask("POST", &target, &format!("http://{}", door.address), form).await;
    assert!(status.is_redirection() || status.is_success(), "{status} {page}");
    let decided: Vec<Value> = stack.history().await.into_iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(decided.len(), 1, "{decided:?}");
    assert!(decided[0].to_string().contains("assumed-role/Investigator/carol"), "{decided:?}");
}

#[tokio::test]
async fn who_is_none_of_the_organization_sees_nothing() {
    let stack = filled().await;
    let door = Door::open(&stack, STRANGER).await;
    let (status, page) = door.get("/records?from=2025-11-20&to=2025-11-21").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
    assert!(page.contains("not in the organization") && !page.contains("StopLogging"), "{page}");
}

#[tokio::test]
async fn a_request_that_nobody_vouches_for_is_refused_by_the_function_itself() {
    let stack = filled().await;
    let door = Door::open(&stack, ACCESS_KEY).await;
    for event in [json!({}), json!({"asked": {"method": "GET", "target": "/records", "headers": {}, "body": ""}})] {
        let answered = door.function.invoke(&event).await.expect("an answer");
        assert!(answered["status"].as_u64().is_some_and(|status| status >= 400), "{answered}");
    }
}
