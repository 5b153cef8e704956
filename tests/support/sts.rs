//! STS as AWS has it: it answers nobody whose signature is wrong. The emulator behind it checks none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode};
use ring::hmac::{HMAC_SHA256, Key, sign};
use trail::record::{digest, hex};

use super::http::{Answer, Server, answer, send};
use super::moto::Moto;

/// STS on a loopback port.
pub(crate) struct Sts {
    server: Server,
    secrets: Secrets,
}

/// Secrets by access key.
type Secrets = Arc<Mutex<BTreeMap<String, String>>>;

impl Sts {
    /// An STS that knows nobody yet.
    pub(crate) async fn start() -> Self {
        let secrets = Secrets::default();
        let known = Arc::clone(&secrets);
        let server = Server::answering(move |request| {
            let is_signed = signer(&request, &known.lock().expect("no panic while held")).is_some();
            async move { Some(if is_signed { handed_on(request).await } else { refused() }) }
        })
        .await;
        Self { server, secrets }
    }

    /// A key with its secret.
    pub(crate) fn knows(&self, (key, secret): (&str, &str)) {
        self.secrets.lock().expect("no panic while held").insert(key.to_owned(), secret.to_owned());
    }

    /// For `AWS_ENDPOINT_URL_STS`.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}

async fn handed_on(request: Request<Bytes>) -> Answer {
    let answered = send(Moto::shared().address(), request).await.expect("the emulator answers");
    let (mut head, body) = answered.into_parts();
    head.headers.remove("transfer-encoding");
    Response::from_parts(head, Full::new(body))
}

fn refused() -> Answer {
    let error = "<Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>";
    answer(StatusCode::FORBIDDEN, "text/xml", format!("<ErrorResponse>{error}</ErrorResponse>"))
}

/// The key whose secret has signed this, by Signature Version 4 over what was received.
fn signer(request: &Request<Bytes>, secrets: &BTreeMap<String, String>) -> Option<String> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let told = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| told.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let (key, scope) = part("Credential")?.split_once('/')?;
    let names = part("SignedHeaders")?;
    let headers: Option<String> =
        names.split(';').map(|name| Some(format!("{name}:{}\n", header(name)?.trim()))).collect();
    let body = hex(&digest(request.body()));
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let canonical = format!("{}\n{path}\n{query}\n{}\n{names}\n{body}", request.method(), headers?);
    let canonical = hex(&digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", header("x-amz-date")?);
    let secret = format!("AWS4{}", secrets.get(key)?).into_bytes();
    let signing = scope.split('/').fold(secret, |secret, part| keyed(&secret, part));
    (hex(&keyed(&signing, &text)) == part("Signature")?).then(|| key.to_owned())
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}
