//! AWS's own command line, told to ask servers on loopback.

use std::process::Output;
use std::sync::Arc;

use bytes::Bytes;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::http::{Answer, Server, answer};
use super::{ACCESS_KEY, REGION, SECRET_KEY, python};

/// The CloudTrail and Organizations APIs as far as `aws cloudtrail validate-logs` asks them.
pub(crate) struct TrailApi {
    server: Server,
}

impl TrailApi {
    /// Answers with these keys and this one trail.
    pub(crate) async fn start(keys: Value, trail: Value) -> Self {
        let answers = Arc::new((keys, trail));
        let server = Server::answering(move |request| {
            let said = respond(&answers, &request);
            async move { Some(said) }
        })
        .await;
        Self { server }
    }

    /// For `AWS_ENDPOINT_URL_CLOUDTRAIL` and `AWS_ENDPOINT_URL_ORGANIZATIONS`.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}

fn respond((keys, trail): &(Value, Value), request: &Request<Bytes>) -> Answer {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (status, body) = match target.rsplit('.').next().unwrap_or_default() {
        "ListPublicKeys" => (StatusCode::OK, keys.clone()),
        "DescribeTrails" => (StatusCode::OK, json!({"trailList": [trail]})),
        "DescribeOrganization" => (StatusCode::OK, json!({"Organization": {"Id": "o-exampleorg1"}})),
        other => (StatusCode::BAD_REQUEST, json!({"__type": "UnsupportedOperationException", "message": other})),
    };
    answer(status, "application/x-amz-json-1.1", body.to_string())
}

/// Runs `aws` with these arguments against these servers.
pub(crate) async fn aws(arguments: &[&str], s3: &str, api: &TrailApi) -> Output {
    let mut command = command((ACCESS_KEY, SECRET_KEY));
    command
        .env("AWS_ENDPOINT_URL_S3", s3)
        .env("AWS_ENDPOINT_URL_CLOUDTRAIL", api.url())
        .env("AWS_ENDPOINT_URL_ORGANIZATIONS", api.url())
        .args(arguments);
    command.output().await.expect("aws runs")
}

/// Runs `aws` as the bearer of a key against one server, and reads what it prints.
pub(crate) async fn aws_as(credentials: (&str, &str), url: &str, arguments: &[&str]) -> Value {
    let mut command = command(credentials);
    let output = command.env("AWS_ENDPOINT_URL", url).args(arguments).args(["--output", "json"]).output().await;
    let output = output.expect("aws runs");
    assert!(output.status.success(), "aws {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn command((key, secret): (&str, &str)) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(python::tool("aws"));
    command
        .env_clear()
        .env("HOME", std::env::temp_dir())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret);
    command
}
