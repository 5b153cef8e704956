//! Against an STS on loopback that checks signatures as the real one does: over what it hears, with the keys it knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use serde_json::json;
use tokio::net::TcpListener;
use trail::settings::Own;

use super::judge::admit;
use super::*;
use crate::collect::endpoint::Endpoints;
use crate::state::State;
use crate::testing::{self, Heard, read, write};
use crate::wire::Request;

const NOW: Time = Time(1_795_000_000);
const STACK: &str = "111122223333/quickinfra-trail";
const ALICE: &str = "arn:aws:iam::111122223333:user/people/alice";
const BOB: &str = "arn:aws:sts::444455556666:assumed-role/Investigator/bob@example.org";

/// Key, secret, session token and ARN.
const KNOWN: [(&str, &str, Option<&str>, &str); 2] =
    [("AKIAALICE", "secret-of-alice", None, ALICE), ("ASIABOB", "secret-of-bob", Some("session/of+bob=="), BOB)];

/// What an STS answers: status and body.
type Answers = fn(&Heard) -> (u16, String);

/// A fake STS.
struct Sts {
    config: SdkConfig,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// Status and body, as STS answers.
fn answer(heard: &Heard) -> (u16, String) {
    let Some(arn) = signer(heard) else {
        let error = "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>";
        return (403, format!("<ErrorResponse>{error}</ErrorResponse>"));
    };
    let account = arn.split(':').nth(4).unwrap();
    let result = format!("<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>{account}</Account>");
    let result = format!("<GetCallerIdentityResult>{result}</GetCallerIdentityResult>");
    (200, format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"))
}

/// Whose signature this is, made again over the headers that it names.
fn signer(heard: &Heard) -> Option<&'static str> {
    let authorization = heard.header("authorization")?;
    let signed = authorization.split("SignedHeaders=").nth(1)?.split(',').next()?;
    // Whoever only asks about himself signs none of our headers.
    let names = ["content-type", "x-qtrail-nonce", "x-qtrail-request-sha256", "x-qtrail-stack"];
    let headers = names.into_iter().filter(|name| signed.split(';').any(|one| one == *name));
    let request = Request {
        service: "sts",
        signing_region: "eu-west-1".to_owned(),
        method: "POST",
        url: format!("http://{}{}", heard.header("host")?, heard.target),
        headers: headers.map(|name| Some((name, heard.header(name)?.to_owned()))).collect::<Option<_>>()?,
        body: heard.body.clone().into(),
    };
    let date = Time::parse(heard.header("x-amz-date")?)?;
    let (key, secret, token, arn) = KNOWN.into_iter().find(|(key, ..)| authorization.contains(*key))?;
    let again = request.signature(&identity(key, secret, token), instant(date)).unwrap();
    let same = |name: &str| again.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
    let is_same = |name| same(name) == heard.header(name);
    (is_same("authorization") && is_same("x-amz-security-token")).then_some(arn)
}

impl Sts {
    async fn start() -> Self {
        Self::answering(answer).await
    }

    async fn answering(answer: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                write(stream, answer(&request)).await;
                log.lock().unwrap().push(request);
            }
        });
        let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("eu-west-1")).endpoint_url(url);
        let credentials = Credentials::new(KNOWN[0].0, KNOWN[0].1, None, None, "test");
        Self { config: config.credentials_provider(credentials).load().await, heard }
    }

    fn judge(&self) -> Judge {
        let (account, stack) = ("111122223333".to_owned(), "quickinfra-trail".to_owned());
        Judge::new(&self.config, &Own { account, stack, ..Own::default() }).unwrap()
    }

    /// A voucher of Alice's.
    fn voucher(&self, asked: &Asked) -> Voucher {
        self.voucher_of(asked, STACK, NOW)
    }

    fn voucher_of(&self, asked: &Asked, stack: &str, time: Time) -> Voucher {
        let (key, secret, token, _) = KNOWN[0];
        let by = (&identity(key, secret, token), instant(time));
        Voucher::sign(asked, stack, &Endpoints::new(&self.config), by).unwrap()
    }

    /// Status and reason of a refusal, and how many requests STS has heard by then.
    async fn refusal(&self, asked: &Asked, voucher: &Voucher) -> (u16, String, usize) {
        let refused = self.judge().prove(asked, voucher, NOW).await.unwrap_err();
        (refused.status, refused.why, self.heard.lock().unwrap().len())
    }

    /// Asserts that a voucher is refused here, and that STS never hears of it.
    async fn assert_refused_here(&self, asked: &Asked, voucher: &Voucher, reason: &str) {
        let before = self.heard.lock().unwrap().len();
        let (status, why, heard) = self.refusal(asked, voucher).await;
        assert!((status, heard) == (403, before) && why.contains(reason), "{status} {why} {heard}");
    }
}

fn identity(key: &str, secret: &str, token: Option<&str>) -> aws_smithy_runtime_api::client::identity::Identity {
    Credentials::new(key, secret, token.map(str::to_owned), None, "test").into()
}

fn instant(time: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.0.unsigned_abs())
}

fn asked() -> Asked {
    Asked {
        method: "POST".to_owned(),
        target: "/findings/3f9a2b/status?tab=notes".to_owned(),
        headers: BTreeMap::from([("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())]),
        body: Bytes::from_static(b"status=closed&as=expected"),
    }
}

/// Everything that somebody may change about a request.
fn others() -> Vec<Asked> {
    let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    vec![
        Asked { method: "GET".to_owned(), ..asked() },
        Asked { target: "/findings/3f9a2b/status?tab=note".to_owned(), ..asked() },
        Asked { target: "/findings/3f9a2c/status?tab=notes".to_owned(), ..asked() },
        Asked { headers: header("content-type", "text/plain"), ..asked() },
        Asked { headers: header("accept", "application/x-www-form-urlencoded"), ..asked() },
        Asked { headers: BTreeMap::new(), ..asked() },
        Asked { body: Bytes::from_static(b"status=closed&as=false_alarm"), ..asked() },
        Asked { body: Bytes::new(), ..asked() },
    ]
}

#[tokio::test]
async fn sts_says_who_signed() {
    let sts = Sts::start().await;
    let asking = sts.judge().prove(&asked(), &sts.voucher(&asked()), NOW).await.unwrap();
    let expected = Asking {
        who: "alice".to_owned(),
        arn: Some(ALICE.to_owned()),
        account: Some("111122223333".to_owned()),
        groups: Vec::new(),
        proven: Proof::Signed,
        address: String::new(),
        at: NOW,
    };
    assert_eq!(asking, expected);
    let heard = sts.heard.lock().unwrap()[0].clone();
    assert_eq!((heard.target.as_str(), &heard.body[..]), ("/", &b"Action=GetCallerIdentity&Version=2011-06-15"[..]));
    assert_eq!(heard.header("x-qtrail-request-sha256"), Some(asked().sha256().as_str()));
    assert_eq!(heard.header("x-qtrail-stack"), Some(STACK));
}

#[tokio::test]
async fn a_session_is_named_with_its_role() {
    let sts = Sts::start().await;
    let (key, secret, token, _) = KNOWN[1];
    let by = (&identity(key, secret, token), instant(NOW));
    let voucher = Voucher::sign(&asked(), STACK, &Endpoints::new(&sts.config), by).unwrap();
    let asking = sts.judge().prove(&asked(), &voucher, NOW).await.unwrap();
    assert_eq!((asking.who.as_str(), asking.arn.as_deref()), ("bob@example.org (Investigator)", Some(BOB)));
    let stolen = Voucher { token: Some("another".to_owned()), ..voucher };
    assert_eq!(sts.refusal(&asked(), &stolen).await.0, 403);
}

#[tokio::test]
async fn a_voucher_is_good_for_one_request_alone() {
    let sts = Sts::start().await;
    let voucher = sts.voucher(&asked());
    for other in others() {
        sts.assert_refused_here(&other, &voucher, "another request").await;
        let rewritten = Voucher { sha256: other.sha256(), ..voucher.clone() };
        let (status, why, _) = sts.refusal(&other, &rewritten).await;
        assert!(status == 403 && why.contains("SignatureDoesNotMatch"), "{other:?}: {status} {why}");
    }
    assert_eq!(sts.heard.lock().unwrap().len(), others().len());
}

#[tokio::test]
async fn a_voucher_is_good_for_one_stack_alone() {
    let sts = Sts::start().await;
    for other in ["111122223333/another", "999900001111/quickinfra-trail"] {
        let voucher = sts.voucher_of(&asked(), other, NOW);
        sts.assert_refused_here(&asked(), &voucher, "this is stack 111122223333/quickinfra-trail").await;
        let rewritten = Voucher { stack: STACK.to_owned(), ..voucher };
        assert!(sts.refusal(&asked(), &rewritten).await.1.contains("SignatureDoesNotMatch"));
    }
}

#[tokio::test]
async fn a_voucher_is_good_for_a_minute() {
    let sts = Sts::start().await;
    for seconds in [-60, 0, 60] {
        let voucher = sts.voucher_of(&asked(), STACK, Time(NOW.0 + seconds));
        assert!(sts.judge().prove(&asked(), &voucher, NOW).await.is_ok(), "{seconds}");
    }
    for seconds in [-86_400, -61, 61, 86_400] {
        let voucher = sts.voucher_of(&asked(), STACK, Time(NOW.0 + seconds));
        sts.assert_refused_here(&asked(), &voucher, "good for a minute").await;
        let rewritten = Voucher { date: sts.voucher(&asked()).date, ..voucher };
        assert_eq!(sts.refusal(&asked(), &rewritten).await.0, 403, "{seconds}");
    }
    for date in ["", "now", "2026-11-23T00:15:00Z", "2026ⅺ23"] {
        let undated = Voucher { date: date.to_owned(), ..sts.voucher(&asked()) };
        sts.assert_refused_here(&asked(), &undated, "no date").await;
    }
}

#[tokio::test]
async fn what_is_not_signed_proves_nothing() {
    let sts = Sts::start().await;
    let voucher = sts.voucher(&asked());
    let (key, secret, token, _) = KNOWN[0];
    // What any AWS tool sends all day: whoever gets hold of it has no request of this person's.
    let plain = Request {
        service: "sts",
        signing_region: "eu-west-1".to_owned(),
        method: "POST",
        url: format!("{}/", Endpoints::new(&sts.config).address("sts")),
        headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
        body: Bytes::from_static(b"Action=GetCallerIdentity&Version=2011-06-15"),
    };
    let signature = plain.signature(&identity(key, secret, token), instant(NOW)).unwrap();
    let authorization = signature.into_iter().find(|(name, _)| name == "authorization").unwrap().1;
    let without = Voucher { authorization: authorization.clone(), ..voucher.clone() };
    sts.assert_refused_here(&asked(), &without, "does not sign").await;
    let own = &voucher.authorization;
    let forged = [
        own.replace(";x-qtrail-stack", ""),
        own.replace(";x-qtrail-request-sha256", ""),
        own.replace(";x-qtrail-nonce", ""),
        own.replace(";x-qtrail-stack", ";x-qtrail-stack;x-qtrail-stack"),
        own.replace("x-qtrail-nonce", "x-other;x-qtrail-nonce"),
        own.replace("SignedHeaders=", "SignedHeaders=, SignedHeaders="),
        own.replace("/sts/", "/s3/"),
        own.replace("/eu-west-1/", "/us-east-1/"),
        own.replace(", Signature=", ", Signature=0"),
        own.replace("AKIAALICE", "AKIA/ALICE"),
        format!("{own}, {own}"),
        format!("{own}\r\nhost: sts.example.org"),
        String::new(),
    ];
    for authorization in forged {
        let forged = Voucher { authorization, ..voucher.clone() };
        sts.assert_refused_here(&asked(), &forged, "does not sign").await;
    }
}

#[tokio::test]
async fn nothing_can_be_slipped_in_between() {
    let sts = Sts::start().await;
    let voucher = sts.voucher(&asked());
    for token in ["", "a b", "a\r\nhost: sts.example.org", "ä"] {
        let forged = Voucher { token: Some(token.to_owned()), ..voucher.clone() };
        sts.assert_refused_here(&asked(), &forged, "does not sign").await;
    }
    for nonce in ["", "0", "\r\nx-qtrail-stack: a", &"F".repeat(32), &"0".repeat(33)] {
        let forged = Voucher { nonce: nonce.to_owned(), ..voucher.clone() };
        sts.assert_refused_here(&asked(), &forged, "does not sign").await;
    }
    let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let odd = [
        Asked { method: "PUT".to_owned(), ..asked() },
        Asked { method: "GET\nPOST".to_owned(), ..asked() },
        Asked { target: "//\n/findings".to_owned(), ..asked() },
        Asked { target: "https://sts.example.org/".to_owned(), ..asked() },
        Asked { headers: header("accept", "a\nb:c"), ..asked() },
        Asked { headers: header("accept\n", "a"), ..asked() },
        Asked { headers: header("Accept", "a"), ..asked() },
        Asked { headers: header("authorization", "Bearer x"), ..asked() },
        Asked { headers: header("x-qtrail-stack", "a"), ..asked() },
    ];
    for asked in odd {
        let (status, why, heard) = sts.refusal(&asked, &sts.voucher(&asked)).await;
        assert!(matches!(status, 400 | 405) && heard == 0, "{asked:?}: {status} {why}");
    }
}

#[tokio::test]
async fn the_address_of_sts_comes_from_nowhere_else() {
    let (sts, evil) = (Sts::start().await, Sts::start().await);
    let elsewhere = evil.voucher(&asked());
    assert!(sts.refusal(&asked(), &elsewhere).await.1.contains("SignatureDoesNotMatch"));
    assert_eq!((sts.heard.lock().unwrap().len(), evil.heard.lock().unwrap().len()), (1, 0));
    let mut voucher = serde_json::to_value(sts.voucher(&asked())).unwrap();
    assert!(serde_json::from_value::<Voucher>(voucher.clone()).is_ok());
    for name in ["host", "url", "endpoint", "region"] {
        voucher[name] = "sts.example.org".into();
        assert!(serde_json::from_value::<Voucher>(voucher.clone()).is_err(), "{name}");
        voucher.as_object_mut().unwrap().remove(name);
    }
    let aws = aws_config::SdkConfig::builder().region(Region::new("eu-central-1")).build();
    assert_eq!(Endpoints::new(&aws).address("sts"), "https://sts.eu-central-1.amazonaws.com");
}

#[tokio::test]
async fn without_a_clear_yes_of_sts_nobody_gets_in() {
    let unknown = Sts::start().await;
    let by = (&identity("AKIAALICE", "a guess", None), instant(NOW));
    let guess = Voucher::sign(&asked(), STACK, &Endpoints::new(&unknown.config), by).unwrap();
    assert_eq!(unknown.refusal(&asked(), &guess).await.0, 403);
    let answers: [(Answers, u16); 6] = [
        (|_| (403, "<E><Error><Code>ExpiredToken</Code></Error></E>".to_owned()), 403),
        (|_| (500, String::new()), 503),
        (|_| (400, "<E><Error><Code>Throttling</Code></Error></E>".to_owned()), 503),
        (|_| (302, String::new()), 403),
        (|_| (200, "<html>Welcome</html>".to_owned()), 503),
        (|_| (200, "<R><Arn>arn:aws:iam::111122223333:user/x</Arn><Account></Account></R>".to_owned()), 503),
    ];
    for (answer, expected) in answers {
        let sts = Sts::answering(answer).await;
        assert_eq!(sts.refusal(&asked(), &sts.voucher(&asked())).await.0, expected);
    }
}

/// A table that knows the accounts of an organization.
async fn table(audited: &str) -> State {
    let state = testing::table().await;
    state.keep_audited(&[audited.to_owned()]).await.unwrap();
    state
}

#[tokio::test]
async fn a_decision_is_made_once_and_reading_as_often_as_one_likes() {
    let (sts, state) = (Sts::start().await, table("").await);
    let (decision, judge) = (asked(), sts.judge());
    let reading = Asked { method: "GET".to_owned(), ..asked() };
    let voucher = sts.voucher(&decision);
    assert!(judge.who(&decision, &voucher, &state, NOW).await.is_ok());
    assert_eq!(judge.who(&decision, &voucher, &state, NOW).await.unwrap_err().status, 409);
    assert!(judge.who(&decision, &sts.voucher(&decision), &state, NOW).await.is_ok(), "made anew, it is another one");
    let voucher = sts.voucher(&reading);
    for _ in 0..2 {
        assert!(judge.who(&reading, &voucher, &state, NOW).await.is_ok());
    }
}

#[tokio::test]
async fn of_two_that_replay_at_once_one_comes_first() {
    let (sts, state) = (Sts::start().await, table("").await);
    let (judge, voucher, decision) = (sts.judge(), sts.voucher(&asked()), asked());
    let tries = (0..8).map(|_| judge.who(&decision, &voucher, &state, NOW));
    let came: Vec<_> = futures::future::join_all(tries).await;
    assert_eq!(came.iter().filter(|one| one.is_ok()).count(), 1);
}

#[tokio::test]
async fn people_of_the_organizations_accounts_may_look() {
    let sts = Sts::start().await;
    let (key, secret, token, _) = KNOWN[1];
    let by = (&identity(key, secret, token), instant(NOW));
    let voucher = Voucher::sign(&asked(), STACK, &Endpoints::new(&sts.config), by).unwrap();
    let state = table("111122223333,444455556666").await;
    assert!(sts.judge().who(&asked(), &voucher, &state, NOW).await.is_ok());
    let state = table("111122223333,777788889999").await;
    assert_eq!(sts.judge().who(&asked(), &voucher, &state, NOW).await.unwrap_err().status, 403);
    // Before anybody knows the organization, those of the stack's own account.
    assert!(sts.judge().who(&asked(), &sts.voucher(&asked()), &table("").await, NOW).await.is_ok());
}

/// A Lambda on loopback, whose function asks `sts` who it is.
async fn lambda(sts: &Sts) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let judge = sts.judge();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read(&mut stream).await;
            if request.target != "/2015-03-31/functions/quickinfra%2Dtrail%2Dviewer/invocations" {
                write(stream, (403, json!({"__type": "AccessDeniedException", "Message": "no"}).to_string())).await;
                continue;
            }
            let vouched: Vouched = serde_json::from_slice(&request.body).unwrap();
            let who = judge.prove(&vouched.asked, &vouched.voucher, crate::deployment::now()).await.unwrap().who;
            let body = format!("{who} {} {}", vouched.asked.method, vouched.asked.target).into();
            let answered = Answered { status: 200, headers: BTreeMap::new(), body };
            write(stream, (200, serde_json::to_string(&answered).unwrap())).await;
        }
    });
    url
}

#[tokio::test]
async fn a_caller_is_known_by_his_credentials() {
    let sts = Sts::start().await;
    let url = lambda(&sts).await;
    let caller = Caller::connect(&sts.config, "quickinfra-trail-viewer").await.unwrap().at_lambda(&url);
    assert_eq!(caller.stack(), STACK);
    let answered = caller.ask(asked()).await.unwrap();
    assert_eq!(&answered.body[..], b"alice POST /findings/3f9a2b/status?tab=notes");
    let other = Caller::connect(&sts.config, "other-viewer").await.unwrap().at_lambda(&url);
    let refused = other.ask(asked()).await.unwrap_err();
    assert!(refused.status == 403 && refused.why.contains("ViewerInvokePolicy"), "{refused}");
}

#[tokio::test]
async fn a_stack_is_named_by_its_function() {
    let sts = Sts::start().await;
    let arn = "arn:aws:lambda:eu-north-1:999900001111:function:trail-viewer";
    assert_eq!(Caller::connect(&sts.config, arn).await.unwrap().stack(), "999900001111/trail");
    assert!(sts.heard.lock().unwrap().is_empty());
    for wrong in ["trail", "-viewer", "", "arn:aws:lambda:eu-north-1:999900001111:function:trail", "a:b-viewer"] {
        assert!(Caller::connect(&sts.config, wrong).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn who_is_not_of_the_organization_is_told_so() {
    let sts = Sts::start().await;
    let asking = sts.judge().prove(&asked(), &sts.voucher(&asked()), NOW).await.unwrap();
    let accounts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    assert_eq!(admit(&asking, &accounts(&["444455556666", "111122223333"])), Ok(()));
    for others in [accounts(&[]), accounts(&["444455556666", ""])] {
        let refused = admit(&asking, &others).unwrap_err();
        assert!(refused.status == 403 && refused.why.contains("account 111122223333, which is not"), "{refused}");
    }
    let nobody = Asking { account: None, ..asking };
    assert!(admit(&nobody, &accounts(&["111122223333"])).is_err());
}

#[test]
fn every_part_of_a_request_counts() {
    let mut hashes: Vec<String> = others().iter().chain([&asked()]).map(Asked::sha256).collect();
    // A part that looks like its neighbours is still another request.
    let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    hashes.push(Asked { method: "GET".to_owned(), target: "/a".to_owned(), ..Asked::default() }.sha256());
    let like = Asked { method: "GET".to_owned(), target: "/".to_owned(), headers: header("a", ""), ..Asked::default() };
    hashes.push(like.sha256());
    let count = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
    assert!(asked().decides() && !Asked { method: "GET".to_owned(), ..asked() }.decides());
}

#[test]
fn a_request_survives_its_way() {
    let asked = Asked { body: Bytes::from_static(&[0, 255, 10]), ..asked() };
    let json = serde_json::to_string(&asked).unwrap();
    assert_eq!(serde_json::from_str::<Asked>(&json).unwrap(), asked);
    assert!(serde_json::from_str::<Asked>(&json.replace("AP8K", "AP8")).is_err());
    assert!(serde_json::from_str::<Asked>(&json.replace("\"method\"", "\"verb\"")).is_err());
}

#[test]
fn a_token_names_its_subject() {
    let claims = json!({"sub": "9f1c", "email": "carol@example.org", "cognito:groups": "[auditors reviewers]"});
    let asking = Asking::of_claims(&claims, "203.0.113.7", NOW).unwrap();
    assert_eq!((asking.who.as_str(), asking.proven), ("carol@example.org (9f1c)", Proof::Token));
    assert_eq!(asking.groups, ["auditors", "reviewers"]);
    assert_eq!(Asking::of_claims(&json!({"sub": "9f1c", "groups": ["a"]}), "", NOW).unwrap().groups, ["a"]);
    for nobody in [json!({}), json!({"sub": ""}), json!({"sub": 7, "email": "a@b"}), json!(null)] {
        assert_eq!(Asking::of_claims(&nobody, "", NOW).unwrap_err().status, 403);
    }
}
