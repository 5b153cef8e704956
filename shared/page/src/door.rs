//! The doors in the cloud: what the viewer's function is invoked with, and what it answers.
//!
//! A function has one door alone. An invocation looks as its sender likes: were both doors in one function, whoever may
//! invoke it could write himself the claims that API Gateway verifies.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, Request, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloud::asking::{Answered, Asked, Asking, Judge, PASSED, Refused, Vouched};
use cloud::deployment::now;
use cloud::state::State;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

/// The largest page, in bytes. Lambda's answers end at 6 MB, and base64 makes four bytes of three.
const LARGEST: usize = 4_400_000;

/// The pages behind a door.
#[derive(Debug)]
pub struct Door {
    pages: RwLock<Router>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Signed(Box<(Judge, State)>),
    Token,
}

impl Door {
    /// The door for `lambda:Invoke`: each request brings a voucher. The state says who belongs here.
    pub fn signed(pages: Router, judge: Judge, state: State) -> Self {
        Self { pages: RwLock::new(pages), kind: Kind::Signed(Box::new((judge, state))) }
    }

    /// The door behind an HTTP API whose authorizer verifies tokens.
    pub fn token(pages: Router) -> Self {
        Self { pages: RwLock::new(pages), kind: Kind::Token }
    }

    /// Puts other pages behind it: those under settings that have changed.
    pub fn show(&self, pages: Router) {
        *self.pages.write().unwrap_or_else(PoisonError::into_inner) = pages;
    }

    fn pages(&self) -> Router {
        self.pages.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers an invocation. Whatever is wrong with it is an answer, too.
    pub async fn handle(&self, invocation: Value) -> Value {
        match &self.kind {
            Kind::Signed(known) => {
                let (judge, state) = &**known;
                let answered = match read(invocation) {
                    Ok(Vouched { asked, voucher }) => {
                        let asking = judge.who(&asked, &voucher, state, now()).await;
                        self.answer(asked, asking).await
                    }
                    Err(refused) => in_words(&refused),
                };
                serde_json::to_value(answered).unwrap_or_default()
            }
            Kind::Token => {
                let asking = {
                    let context = &invocation["requestContext"];
                    let address = context["http"]["sourceIp"].as_str().unwrap_or_default();
                    Asking::of_claims(&context["authorizer"]["jwt"]["claims"], address, now())
                };
                let answered = match of_http_api(&invocation) {
                    Ok(asked) => self.answer(asked, asking).await,
                    Err(refused) => in_words(&refused),
                };
                to_http_api(&answered)
            }
        }
    }

    /// The page for whoever asks. Every request is logged with that name, and so is every refusal.
    async fn answer(&self, asked: Asked, asking: Result<Asking, Refused>) -> Answered {
        let (method, target) = (asked.method.clone(), asked.target.clone());
        let asking = match asking {
            Ok(asking) => asking,
            Err(refused) => {
                tracing::warn!(method, target, status = refused.status, why = refused.why, "refused");
                return in_words(&refused);
            }
        };
        let (who, arn, account, proven) =
            (asking.who.clone(), asking.arn.clone(), asking.account.clone(), asking.proven);
        let answered = self.run(asked, asking).await.unwrap_or_else(|refused| in_words(&refused));
        let (status, bytes) = (answered.status, answered.body.len());
        tracing::info!(who, arn, account, ?proven, method, target, status, bytes, "asked");
        answered
    }

    async fn run(&self, asked: Asked, asking: Asking) -> Result<Answered, Refused> {
        let mut request = Request::builder().method(asked.method.as_str()).uri(&asked.target);
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        let request = request.extension(asking).body(Body::from(asked.body));
        let request = request.map_err(|error| Refused::new(400, format!("this is no request: {error}")))?;
        let response = self.pages().oneshot(request).await.unwrap_or_else(|never| match never {});
        answered(response).await
    }
}

async fn answered(response: Response<Body>) -> Result<Answered, Refused> {
    let (head, body) = response.into_parts();
    let too_large = |_| {
        let way_out = "narrow the time, add a filter, or use `qtrail export --lake s3://…`";
        Refused::new(413, format!("The answer is larger than Lambda hands over ({LARGEST} bytes): {way_out}."))
    };
    let body = to_bytes(body, LARGEST).await.map_err(too_large)?;
    let text = |value: &axum::http::HeaderValue| value.to_str().map(str::to_owned).ok();
    let headers = head.headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
    Ok(Answered { status: head.status.as_u16(), headers: headers.collect(), body })
}

fn read(invocation: Value) -> Result<Vouched, Refused> {
    let hint = "it is asked by `qtrail view --function`, of the same version";
    serde_json::from_value(invocation).map_err(|error| {
        Refused::new(400, format!("the viewer cannot read what it was invoked with ({error}): {hint}"))
    })
}

/// A refusal as plain text: nothing of it can be markup.
fn in_words(refused: &Refused) -> Answered {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_owned()));
    Answered { status: refused.status, headers: BTreeMap::from(headers), body: refused.why.clone().into() }
}

/// A request as an HTTP API hands it over, payload format 2.0.
fn of_http_api(invocation: &Value) -> Result<Asked, Refused> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let unread = || Refused::new(400, "this is no request of an HTTP API, payload format 2.0");
    if invocation["version"] != "2.0" {
        return Err(unread());
    }
    let query = text(&invocation["rawQueryString"]);
    let path = text(&invocation["rawPath"]);
    let body = text(&invocation["body"]);
    let body = match invocation["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(body).map(Bytes::from).map_err(|_| unread())?,
        _ => body.into(),
    };
    let none = Map::new();
    let headers = invocation["headers"].as_object().unwrap_or(&none);
    let passed = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), text(value)));
    Ok(Asked {
        method: text(&invocation["requestContext"]["http"]["method"]),
        target: if query.is_empty() { path } else { format!("{path}?{query}") },
        headers: passed.filter(|(name, _)| PASSED.contains(&name.as_str())).collect(),
        body,
    })
}

fn to_http_api(answered: &Answered) -> Value {
    let Answered { status, headers, body } = answered;
    json!({"statusCode": status, "headers": headers, "body": STANDARD.encode(body), "isBase64Encoded": true})
}

/// An answer of the function for the browser. A page of ours has no business with these headers, so an answer that has
/// one of them is not believed to be a page.
pub(crate) fn to_browser(answered: Answered) -> Response<Body> {
    let kept = |name: &str| {
        let name = HeaderName::try_from(name).ok()?;
        let own = [header::SET_COOKIE, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH];
        let is_ours = !own.contains(&name) && !name.as_str().starts_with("access-control-");
        is_ours.then_some(name)
    };
    let mut response = Response::builder().status(answered.status);
    for (name, value) in answered.headers.iter().filter_map(|(name, value)| Some((kept(name)?, value))) {
        response = response.header(name, value);
    }
    let unreadable = || {
        let mut response = Response::new(Body::from("the viewer's function answers what is no page"));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    };
    response.body(Body::from(answered.body)).unwrap_or_else(|_| unreadable())
}

/// A refusal for the browser.
pub(crate) fn refusal(refused: &Refused) -> Response<Body> {
    to_browser(in_words(refused))
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::routing::{get, post};

    use super::*;

    fn door() -> Door {
        let whoami = |Extension(asking): Extension<Asking>, request: Request<Body>| async move {
            let headers = request.headers().keys().map(ToString::to_string).collect::<Vec<_>>().join(",");
            format!("{} {} {headers}", asking.who, request.uri())
        };
        let echo = |body: Bytes| async move { body };
        let large = |size: usize| move || async move { vec![0_u8; size] };
        Door::token(
            Router::new()
                .route("/who", get(whoami))
                .route("/echo", post(echo))
                .route("/fits", get(large(LARGEST)))
                .route("/large", get(large(LARGEST + 1))),
        )
    }

    fn event(method: &str, path: &str) -> Value {
        json!({
            "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {"Accept": "text/html"},
            "requestContext": {
                "http": {"method": method}, "authorizer": {"jwt": {"claims": {"sub": "9f1c", "email": "carol@example.org"}}},
            },
            "isBase64Encoded": false,
        })
    }

    async fn handled(event: Value) -> (u64, Vec<u8>) {
        let answer = door().handle(event).await;
        let body = STANDARD.decode(answer["body"].as_str().expect("a body")).expect("base64");
        assert_eq!(answer["isBase64Encoded"], true);
        (answer["statusCode"].as_u64().expect("a status"), body)
    }

    #[tokio::test]
    async fn a_token_opens_for_whom_it_names() {
        let mut event = event("GET", "/who");
        event["rawQueryString"] = "q=a%20b".into();
        event["headers"]["Authorization"] = "Bearer secret".into();
        event["headers"]["X-Amzn-Oidc-Identity"] = "somebody else".into();
        let (status, body) = handled(event).await;
        assert_eq!((status, &body[..]), (200, &b"carol@example.org (9f1c) /who?q=a%20b accept"[..]));
    }

    #[tokio::test]
    async fn headers_and_bodies_name_nobody() {
        let mut nobody = event("GET", "/who");
        nobody["requestContext"]["authorizer"] = json!({"iam": {"userArn": "arn:aws:iam::111122223333:user/alice"}});
        nobody["headers"]["authorization"] = "Bearer secret".into();
        nobody["body"] = r#"{"sub":"9f1c"}"#.into();
        assert_eq!(handled(nobody).await.0, 403);
        let vouched = json!({"asked": {"method": "GET", "target": "/who"}, "voucher": {}});
        assert_eq!(handled(vouched).await.0, 400, "the other door's requests");
    }

    #[tokio::test]
    async fn bodies_arrive_as_they_were_sent() {
        let mut text = event("POST", "/echo");
        text["body"] = "a=ä".into();
        assert_eq!(handled(text.clone()).await, (200, "a=ä".into()));
        text["isBase64Encoded"] = true.into();
        text["body"] = STANDARD.encode([0, 255]).into();
        assert_eq!(handled(text.clone()).await, (200, vec![0, 255]));
        text["body"] = "no base64".into();
        assert_eq!(handled(text).await.0, 400);
    }

    #[tokio::test]
    async fn what_lambda_would_cut_off_is_told() {
        let (status, body) = handled(event("GET", "/fits")).await;
        assert_eq!((status, body.len()), (200, LARGEST));
        let (status, body) = handled(event("GET", "/large")).await;
        let body = String::from_utf8(body).expect("text");
        assert!(status == 413 && body.contains("narrow the time"), "{status} {body}");
        let whole = door().handle(event("GET", "/fits")).await.to_string();
        assert!(whole.len() < 6 << 20, "{}", whole.len());
    }

    #[tokio::test]
    async fn nonsense_is_answered() {
        for (method, path) in [("G ET", "/who"), ("GET", "who is\n"), ("", "")] {
            assert_eq!(handled(event(method, path)).await.0, 400, "{method} {path}");
        }
        assert_eq!(handled(Value::Null).await.0, 400);
    }

    #[test]
    fn the_function_sets_no_cookies_on_this_machine() {
        let headers = [("content-type", "text/html"), ("set-cookie", "a=b"), ("access-control-allow-origin", "*")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let answered = Answered { status: 200, headers: headers.into(), body: Bytes::from_static(b"page") };
        let response = to_browser(answered.clone());
        assert_eq!(response.headers().keys().collect::<Vec<_>>(), ["content-type"]);
        assert_eq!(to_browser(Answered { status: 9, ..answered }).status(), StatusCode::BAD_GATEWAY);
    }
}
