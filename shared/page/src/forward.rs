//! The door on this machine that leads to the viewer's function: each request goes there in the person's own name.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response};
use cloud::asking::{Asked, Caller, PASSED, Refused};

use crate::door::{refusal, to_browser};

/// The largest form that a page sends, in bytes: a sheet of a review. Lambda takes 6 MB, and base64 makes four bytes of
/// three.
const LARGEST: usize = (4 << 20) + 4096;

/// All pages, as the viewer's function makes them. What stands before this checks that it is the person's browser that
/// asks: everything that comes here is signed with the person's credentials.
pub fn pages(caller: Caller) -> Router {
    Router::new().fallback(forward).with_state(Arc::new(caller))
}

async fn forward(State(caller): State<Arc<Caller>>, request: Request<Body>) -> Response<Body> {
    let answered = match asked(request).await {
        Ok(asked) => caller.ask(asked).await,
        Err(refused) => Err(refused),
    };
    match answered {
        Ok(answered) => to_browser(answered),
        Err(refused) => refusal(&refused),
    }
}

/// The request as it is handed over. A header that stands there twice is none that a browser sends.
async fn asked(request: Request<Body>) -> Result<Asked, Refused> {
    let (head, body) = request.into_parts();
    let mut headers = BTreeMap::new();
    for (name, value) in head.headers.iter().filter(|(name, _)| PASSED.contains(&name.as_str())) {
        let value = value.to_str().map_err(|_| Refused::new(400, format!("the header {name} is no text")))?;
        if headers.insert(name.to_string(), value.to_owned()).is_some() {
            return Err(Refused::new(400, format!("the header {name} stands there twice")));
        }
    }
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let too_large = |_| Refused::new(413, "what was sent is larger than 4 MB");
    let body = to_bytes(body, LARGEST).await.map_err(too_large)?;
    Ok(Asked { method: head.method.to_string(), target, headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(uri);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }

    #[tokio::test]
    async fn secrets_of_this_machine_stay_here() {
        let headers = [
            ("host", "127.0.0.1:8080"),
            ("cookie", "qtrail-8080=secret"),
            ("authorization", "Basic c2VjcmV0"),
            ("origin", "http://127.0.0.1:8080"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let request = request("POST", "/findings/3f9a2b/status?tab=notes", &headers).body(Body::from("a=b"));
        let asked = asked(request.expect("a request")).await.expect("handed over");
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/findings/3f9a2b/status?tab=notes"));
        assert_eq!(asked.headers.keys().collect::<Vec<_>>(), ["content-type", "host", "origin"]);
        assert_eq!(&asked.body[..], b"a=b");
    }

    #[tokio::test]
    async fn what_is_odd_is_refused() {
        let twice = request("GET", "/", &[("accept", "a"), ("accept", "b")]).body(Body::empty());
        assert_eq!(asked(twice.expect("a request")).await.expect_err("twice").status, 400);
        let large = request("POST", "/", &[]).body(Body::from(vec![0; LARGEST + 1]));
        assert_eq!(asked(large.expect("a request")).await.expect_err("large").status, 413);
    }
}
