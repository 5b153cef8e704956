//! A real emulator of S3, KMS, SNS, Organizations, IAM, STS and AWS Config over HTTP, one for all tests of a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;

use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use bytes::Bytes;
use hyper::{Request, StatusCode};
use serde_json::Value;

use super::{http, python};

/// Serves on a port of the system's choice, tells it, and ends when its standard input does: when the test process is
/// gone, however it went. It takes a digest for a message; KMS signs what it is given as a digest as it is.
const SERVE: &str = "
import os, sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto.kms.utils import ECDSAPrivateKey
from moto.server import ThreadedMotoServer
def sign(key, message, algorithm):
    return key.private_key.sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
ECDSAPrivateKey.sign = sign
server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
os._exit(0)
";

/// The emulator. Accounts are apart from each other, but for the names of buckets: a test takes accounts of its own.
pub(crate) struct Moto {
    address: SocketAddr,
    /// Its standard input stays open as long as this lives.
    _process: Child,
}

impl Moto {
    /// The emulator of this process, started when first asked for.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// An emulator of its own, ended when dropped: it knows the policies that AWS manages, as AWS has them.
    pub(crate) fn with_managed_policies() -> Self {
        Self::start(&[("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")])
    }

    fn start(environment: &[(&str, &str)]) -> Self {
        let hint = "hint: remove the Python environment below the target folder and run tests/run";
        let mut command = Command::new(python::tool("python"));
        command
            .args(["-c", SERVE])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process =
            command.spawn().unwrap_or_else(|error| panic!("the emulator does not start: {error}\n{hint}"));
        let mut port = String::new();
        let told = BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut port);
        let port = told.ok().and_then(|_| port.trim().parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("the emulator did not tell its port\n{hint}"));
        Self { address: ([127, 0, 0, 1], port).into(), _process: process }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A key id whose bearer is this account.
    pub(crate) async fn key_of(&self, account: &str) -> String {
        let form = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=tests&RoleArn=arn:aws:iam::{account}:role/Tests"
        );
        let answer = self.ask("sts", "anybody", &Call::form(&form)).await;
        let key = answer.split_once("<AccessKeyId>").and_then(|(_, rest)| rest.split('<').next());
        key.expect("a key").to_owned()
    }

    /// Sends a call in the region of all tests and returns the answer's text.
    pub(crate) async fn ask(&self, service: &str, key: &str, call: &Call) -> String {
        let scope = format!("20251120/eu-west-1/{service}/aws4_request");
        let mut request = Request::builder()
            .method(call.method)
            .uri(call.target.as_str())
            .header("host", format!("{service}.eu-west-1.amazonaws.com"))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host, Signature=0"),
            );
        for (name, value) in &call.headers {
            request = request.header(*name, value.as_str());
        }
        let request = request.body(Bytes::from(call.body.clone())).expect("a request");
        let answer = http::send(self.address, request).await.expect("the emulator answers");
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(answer.status() < StatusCode::BAD_REQUEST, "{} {}: {text}", call.method, call.target);
        text
    }
}

/// A call as it goes over the wire.
pub(crate) struct Call {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Call {
    /// A form.
    pub(crate) fn form(form: &str) -> Self {
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        Self { method: "POST", target: "/".to_owned(), headers, body: form.to_owned() }
    }

    /// A JSON document for an operation.
    pub(crate) fn json(operation: &str, body: &Value) -> Self {
        let headers =
            vec![("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amz-target", operation.to_owned())];
        Self { method: "POST", target: "/".to_owned(), headers, body: body.to_string() }
    }

    /// A PUT.
    pub(crate) fn put(target: &str, body: &str) -> Self {
        Self { method: "PUT", target: target.to_owned(), headers: Vec::new(), body: body.to_owned() }
    }
}
