//! What stands between a page full of texts that attackers wrote and the person who reads it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use trail::record::digest;

use crate::Viewer;
use crate::address::href;
use crate::frame::{self, Trouble};
use cloud::asking::Asking;

/// Everything comes from here, no script or style stands in a page, nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Puts the headers on every answer.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let all = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in all {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response.headers_mut().insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response.headers_mut().insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// Whoever asks is known, and what changes something was sent by one of our own pages.
pub(crate) async fn check(State(_): State<Arc<Viewer>>, request: Request, next: Next) -> Response {
    if request.extensions().get::<Asking>().is_none() {
        return refused("Nobody is known to be asking.", "Come in by qtrail view, or sign in.");
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !is_from_here(request.headers()) {
        return refused("This was not sent by one of these pages.", "Open the page itself and do it there.");
    }
    next.run(request).await
}

/// Browsers say where a request comes from; one that says nothing is no browser of today.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text("origin").and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let same_origin = origin.is_some() && origin == text("host");
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin" && (origin.is_none() || same_origin),
        None => same_origin,
    }
}

/// The door on this machine: a secret that only the person who started it knows, and names that only this machine has.
///
/// Without the check of `Host`, any page on the internet could have its own name lead to this address and read along.
#[derive(Debug)]
pub struct Loopback {
    token: [u8; 32],
    hosts: [String; 2],
    cookie: String,
    asking: Asking,
}

impl Loopback {
    /// A door at this address, for whoever has the token.
    pub fn new(address: SocketAddr, token: &str, asking: Asking) -> Self {
        let port = address.port();
        Self {
            token: digest(token.as_bytes()),
            hosts: [address.to_string(), format!("localhost:{port}")],
            // Cookies are shared by all ports of a machine.
            cookie: format!("qtrail-{port}"),
            asking,
        }
    }

    /// Puts the door in front of the pages.
    pub fn before(self, pages: Router) -> Router {
        pages.layer(from_fn_with_state(Arc::new(self), enter)).layer(from_fn(headers))
    }

    fn opens(&self, token: &str) -> bool {
        // Of digests: how long the comparison takes says nothing about the token.
        digest(token.as_bytes()) == self.token
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = sent.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && self.opens(value))
    }

    fn is_ours(&self, host: Option<&HeaderValue>) -> bool {
        host.is_some_and(|host| self.hosts.iter().any(|known| known.as_bytes() == host.as_bytes()))
    }
}

async fn enter(
    State(door): State<Arc<Loopback>>,
    Query(pairs): Query<Vec<(String, String)>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !door.is_ours(request.headers().get(header::HOST)) {
        return refused("This address is not one of this machine's.", "Open the address that qtrail view printed.");
    }
    // Style and script hold nothing, and the page that says no wants them, too.
    if request.uri().path().starts_with("/assets/") {
        return next.run(request).await;
    }
    if let Some((_, token)) = pairs.iter().find(|(name, _)| name == "token") {
        if !door.opens(token) {
            return refused("This is not the token of the running qtrail view.", "Open the address that it printed.");
        }
        // Gone from the address at once: it would be in the history and in every screenshot.
        let kept = format!("{}={token}; HttpOnly; SameSite=Strict; Path=/", door.cookie);
        let rest: Vec<_> = pairs.iter().filter(|(name, _)| name != "token").collect();
        // One slash: two would lead to another host.
        let path = format!("/{}", request.uri().path().trim_start_matches(['/', '\\']));
        let pairs: Vec<_> = rest.into_iter().map(|(name, value)| (name, value)).collect();
        return ([(header::SET_COOKIE, kept)], Redirect::to(&href(&path, &pairs))).into_response();
    }
    if !door.has_cookie(request.headers()) {
        return refused("The token is missing.", "Open the whole address that qtrail view printed, token included.");
    }
    request.extensions_mut().insert(door.asking.clone());
    next.run(request).await
}

fn refused(what: &str, way_out: &str) -> Response {
    let trouble = Trouble { title: "Not let in".to_owned(), what: what.to_owned(), way_out: way_out.to_owned() };
    (StatusCode::FORBIDDEN, frame::bare(&trouble)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{get, pages, record, send};
    use axum::body::Body;

    const TOKEN: &str = "0123456789abcdef";

    async fn door() -> Router {
        let pages = pages(&[record(1, "RunInstances", "alice")]).await;
        Loopback::new(([127, 0, 0, 1], 8080).into(), TOKEN, Asking::local("alice", trail::time::Time(0))).before(pages)
    }

    async fn knock(address: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap) {
        let start = Request::get(address);
        let request = headers.iter().fold(start, |request, (name, value)| request.header(*name, *value));
        let (response, _) = send(&door().await, request.body(Body::empty()).expect("a request")).await;
        (response.status(), response.headers().clone())
    }

    #[tokio::test]
    async fn the_token_is_taken_once_and_kept_in_a_cookie() {
        let host = ("host", "127.0.0.1:8080");
        let (status, headers) = knock(&format!("/records?user=alice&token={TOKEN}"), &[host]).await;
        assert_eq!((status, &headers["location"]), (StatusCode::SEE_OTHER, &"/records?user=alice".parse().unwrap()));
        let cookie = headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let kept = ("cookie", cookie.split(';').next().unwrap());
        assert_eq!(knock("/records", &[host, kept]).await.0, StatusCode::OK);
        assert_eq!(knock("/records", &[("host", "localhost:8080"), kept]).await.0, StatusCode::OK);
        let (_, headers) = knock(&format!("//example.com/?token={TOKEN}"), &[host]).await;
        assert_eq!(headers["location"], "/example.com/");
    }

    #[tokio::test]
    async fn nobody_else_is_let_in() {
        let cookie = format!("qtrail-8080={TOKEN}");
        let kept = ("cookie", cookie.as_str());
        for (address, headers) in [
            ("/records", &[("host", "127.0.0.1:8080")][..]),
            ("/records?token=wrong", &[("host", "127.0.0.1:8080")]),
            ("/records", &[("host", "127.0.0.1:8080"), ("cookie", "qtrail-8080=wrong")]),
            ("/records", &[("host", "127.0.0.1:8080"), ("cookie", "qtrail-8081=0123456789abcdef")]),
            ("/records", &[("host", "attacker.example:8080"), kept]),
            ("/records", &[("host", "127.0.0.1:8080.attacker.example"), kept]),
            ("/assets/x/page.css", &[("host", "attacker.example:8080"), kept]),
            ("/records", &[kept]),
        ] {
            assert_eq!(knock(address, headers).await.0, StatusCode::FORBIDDEN, "{address} {headers:?}");
        }
    }

    #[tokio::test]
    async fn only_our_own_pages_change_anything() {
        let pages = pages(&[]).await;
        for (headers, status) in [
            (&[("origin", "https://attacker.example"), ("host", "127.0.0.1:8080")][..], StatusCode::FORBIDDEN),
            (&[("sec-fetch-site", "cross-site"), ("host", "127.0.0.1:8080")], StatusCode::FORBIDDEN),
            (&[("sec-fetch-site", "same-site"), ("host", "127.0.0.1:8080")], StatusCode::FORBIDDEN),
            (&[("sec-fetch-site", "none"), ("host", "127.0.0.1:8080")], StatusCode::FORBIDDEN),
            (&[("host", "127.0.0.1:8080")], StatusCode::FORBIDDEN),
            (&[("origin", "null"), ("host", "127.0.0.1:8080")], StatusCode::FORBIDDEN),
        ] {
            let start = Request::post("/findings/x/status").extension(Asking::local("alice", trail::time::Time(0)));
            let request = headers.iter().fold(start, |request, (name, value)| request.header(*name, *value));
            let (response, _) = send(&pages, request.body(Body::empty()).expect("a request")).await;
            assert_eq!(response.status(), status, "{headers:?}");
        }
        let own = HeaderMap::from_iter([
            (header::HOST, HeaderValue::from_static("127.0.0.1:8080")),
            (header::ORIGIN, HeaderValue::from_static("http://127.0.0.1:8080")),
        ]);
        assert!(is_from_here(&own));
    }

    #[tokio::test]
    async fn nothing_is_answered_to_nobody() {
        let (response, _) = send(&pages(&[]).await, Request::get("/").body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn every_answer_carries_the_policy() {
        let pages = pages(&[]).await;
        for address in ["/", "/records", "/nowhere", "/assets/x/page.css", "/export.csv"] {
            let (response, _) = get(&pages, address).await;
            let policy = response.headers()["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{address}");
            assert!(!response.headers().contains_key("access-control-allow-origin"), "{address}");
            let kept = &response.headers()["cache-control"];
            assert!(address.starts_with("/assets/") || kept == "no-store", "{address}: {kept:?}");
        }
    }

    /// What the policy forbids would not work, and what a template marks as safe would not be escaped.
    #[test]
    fn templates_hold_no_inline_script_and_escape_everything() {
        fn each(folder: &std::path::Path, check: &mut dyn FnMut(&str, &str)) {
            for entry in folder.read_dir().expect("templates").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    each(&path, check);
                } else {
                    check(&path.display().to_string(), &std::fs::read_to_string(&path).expect("a template"));
                }
            }
        }
        each(concat!(env!("CARGO_MANIFEST_DIR"), "/templates").as_ref(), &mut |path, text| {
            for forbidden in
                ["|safe", "| safe", " style=", "<style", " onclick", " onload", "javascript:", "hx-on", "http:"]
            {
                assert!(!text.contains(forbidden), "{path}: {forbidden}");
            }
            assert_eq!(text.matches("<script").count(), text.matches("<script src=\"/assets/").count(), "{path}");
        });
    }
}
