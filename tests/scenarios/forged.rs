//! Who is not who he says: vouchers that `qtrail view --function` would send, bent on the way, at the real viewer's door.

use std::sync::{Arc, Mutex};

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::config::{Credentials as Signing, SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::asking::{Asked, Caller};
use hyper::StatusCode;

use super::*;
use crate::support::aws_cli::aws_as;
use crate::support::http::{Server, answer};
use crate::support::moto::Moto;
use crate::support::sts::Sts;
use crate::support::{REGION, SECRET_KEY};

/// The account of the deployment and its people.
const HOME: &str = "100000000120";

/// A form that decides.
const FORM: &str = "becomes=acknowledged&note=looking";

/// Where Lambda is, while everything else is where STS is.
#[derive(Debug)]
struct LambdaAt(String);

impl LoadServiceConfig for LambdaAt {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        (key.service_id() == "lambda" && key.env() == "AWS_ENDPOINT_URL").then(|| self.0.clone())
    }
}

/// Somebody's key and its secret.
type Credentials = (String, String);

/// A viewer with a finding to decide about, and a Lambda that keeps what it was to invoke the viewer with.
struct Scene {
    stack: Stack,
    viewer: Function,
    sts: Sts,
    lambda: Server,
    sent: Arc<Mutex<Vec<Value>>>,
    finding: String,
}

impl Scene {
    async fn start() -> Self {
        let (stack, sts) = (Stack::start().await, Sts::start().await);
        let files = [LogFile::of("stops", &[stop_trail(1, "org-trail", &json!({}))])];
        stack.deliver(&files).await;
        deliver_until_done(&stack.ingest().await, &batch(&files)).await;
        let finding = stack.entries().await.remove(0).finding.finding_id;
        let environment = stack.environment().set("AWS_ENDPOINT_URL_STS", &sts.url()).set("QTRAIL_ACCOUNT", HOME);
        let viewer = Function::start(&binary("viewer"), &environment).await;
        let sent = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&sent);
        let lambda = Server::answering(move |request| {
            kept.lock().expect("no panic while held").push(serde_json::from_slice(request.body()).expect("JSON"));
            async { Some(answer(StatusCode::OK, "application/json", r#"{"status":200,"headers":{},"body":""}"#)) }
        })
        .await;
        Self { stack, viewer, sts, lambda, sent, finding }
    }

    /// What the viewer of a stack is invoked with, when the bearer of a key decides.
    async fn vouched(&self, (key, secret): &Credentials, stack: &str) -> Value {
        let config = SdkConfig::builder()
            .region(Region::new(REGION))
            .endpoint_url(self.sts.url())
            .service_config(LambdaAt(self.lambda.url()))
            .credentials_provider(SharedCredentialsProvider::new(Signing::new(key, secret, None, None, "tests")))
            .build();
        let function = format!("arn:aws:lambda:{REGION}:{HOME}:function:{stack}-viewer");
        let caller = Caller::connect(&config, &function).await.expect("a caller");
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "127.0.0.1:8080"),
            ("origin", "http://127.0.0.1:8080"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let target = format!("/findings/{}/status", self.finding);
        caller.ask(Asked { method: "POST".to_owned(), target, headers, body: FORM.into() }).await.expect("sent");
        self.sent.lock().expect("no panic while held").pop().expect("an invocation")
    }

    /// Status and text of the viewer's answer.
    async fn asked(&self, invocation: &Value) -> (u64, String) {
        let answered = self.viewer.invoke(invocation).await.expect("an answer");
        let body = STANDARD.decode(answered["body"].as_str().expect("a body")).expect("base64");
        (answered["status"].as_u64().expect("a status"), String::from_utf8_lossy(&body).into_owned())
    }

    /// Asserts that it is refused, for this reason, and that nothing was decided.
    async fn refuses(&self, invocation: &Value, why: &str) {
        let before = self.stack.history().await;
        let (status, text) = self.asked(invocation).await;
        assert!(status == 403 && text.contains(why), "{why}: {status} {text}");
        assert_eq!(self.stack.history().await, before, "{why}");
    }
}

/// A user of the account, whose key STS knows.
async fn person(sts: &Sts, name: &str) -> Credentials {
    let (moto, url) = (Moto::shared(), format!("http://{}", Moto::shared().address()));
    let root = moto.key_of(HOME).await;
    aws_as((&root, SECRET_KEY), &url, &["iam", "create-user", "--user-name", name]).await;
    let made = aws_as((&root, SECRET_KEY), &url, &["iam", "create-access-key", "--user-name", name]).await;
    let text = |field: &str| made["AccessKey"][field].as_str().expect("a key").to_owned();
    let (key, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
    sts.knows((&key, &secret));
    (key, secret)
}

/// The same invocation, but for one thing.
fn bent(invocation: &Value, bend: impl FnOnce(&mut Value)) -> Value {
    let mut other = invocation.clone();
    bend(&mut other);
    assert_ne!(other, *invocation);
    other
}

/// The hash that a voucher has to hold for what is asked.
fn hash_of(invocation: &Value) -> Value {
    let asked: Asked = serde_json::from_value(invocation["asked"].clone()).expect("a request");
    json!(asked.sha256())
}

/// Tells STS's refusal.
const UNCONFIRMED: &str = "STS does not confirm who asks (SignatureDoesNotMatch)";

#[tokio::test]
async fn a_bent_voucher_decides_nothing_and_a_good_one_once() {
    let scene = Scene::start().await;
    let (carol, mallory) = (person(&scene.sts, "carol").await, person(&scene.sts, "mallory").await);
    let good = scene.vouched(&carol, "trail").await;

    // Another body, another finding: with the old hash, and with one that fits.
    let other = json!(STANDARD.encode("becomes=closed&as=expected&note=nothing"));
    for (place, value) in [("body", other), ("target", json!("/findings/0000/status"))] {
        let altered = bent(&good, |invocation| invocation["asked"][place] = value);
        scene.refuses(&altered, "meant for another request").await;
        let hashed = bent(&altered, |invocation| invocation["voucher"]["sha256"] = hash_of(&altered));
        scene.refuses(&hashed, UNCONFIRMED).await;
    }
    // Meant for another stack: as it is, and renamed.
    let elsewhere = scene.vouched(&carol, "other").await;
    scene.refuses(&elsewhere, "and the proof of who asks is meant for").await;
    let renamed = bent(&elsewhere, |invocation| invocation["voucher"]["stack"] = good["voucher"]["stack"].clone());
    scene.refuses(&renamed, UNCONFIRMED).await;
    // Out of its time: a minute is over, and its date is not what was signed.
    for (seconds, why) in [(-120, "is good for a minute"), (120, "is good for a minute"), (-7, UNCONFIRMED)] {
        let date = Time(cloud::deployment::now().0 + seconds).to_string().replace(['-', ':'], "");
        let moved = bent(&good, |invocation| invocation["voucher"]["date"] = json!(date));
        scene.refuses(&moved, why).await;
    }
    // Signed by somebody else in carol's name, and by nobody.
    let guessed = scene.vouched(&(carol.0.clone(), "a guess".to_owned()), "trail").await;
    scene.refuses(&guessed, UNCONFIRMED).await;
    let hers = scene.vouched(&mallory, "trail").await;
    let in_her_name = hers["voucher"]["authorization"].as_str().expect("a header").replace(&mallory.0, &carol.0);
    let stolen = bent(&hers, |invocation| invocation["voucher"]["authorization"] = json!(in_her_name));
    scene.refuses(&stolen, UNCONFIRMED).await;
    let less = good["voucher"]["authorization"].as_str().expect("a header").replace("x-qtrail-nonce;", "");
    let unsigned = bent(&good, |invocation| invocation["voucher"]["authorization"] = json!(less));
    scene.refuses(&unsigned, "does not sign what it has to").await;

    // As it was sent it counts, in her name, and once: not with another number either.
    let before = scene.stack.history().await;
    let (status, text) = scene.asked(&good).await;
    assert!((200..400).contains(&status), "{status} {text}");
    let decided: Vec<Value> = scene.stack.history().await.into_iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(decided.len(), 1, "{decided:?}");
    assert!(decided[0].to_string().contains(&format!("arn:aws:iam::{HOME}:user/carol")), "{decided:?}");
    let again = scene.asked(&good).await;
    assert!(again.0 == 409 && again.1.contains("taken in already"), "{again:?}");
    let renumbered = bent(&good, |invocation| invocation["voucher"]["nonce"] = json!("0".repeat(32)));
    scene.refuses(&renumbered, UNCONFIRMED).await;
}
