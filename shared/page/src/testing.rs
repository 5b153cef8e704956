//! A lake in memory, and the pages over it as a browser would ask for them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use lake::Lake;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::{Value, json};
use tower::ServiceExt;
use trail::facts::{Facts, Hint};
use trail::record::Record;
use trail::settings::Settings;

use crate::{Viewer, router};
use cloud::asking::Asking;

/// A record of somebody doing something.
pub(crate) fn record(id: u32, name: &str, user: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": format!("2026-11-20T03:{:02}:{:02}Z", id / 60, id % 60),
        "eventID": format!("00000000-0000-4000-8000-{id:012}"), "eventName": name,
        "eventSource": "ec2.amazonaws.com", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
        "eventType": "AwsApiCall", "eventCategory": "Management", "readOnly": name.starts_with("Describe"),
        "sourceIPAddress": "203.0.113.7", "userAgent": "aws-cli/2.17",
        "userIdentity": {"type": "IAMUser", "userName": user, "accountId": "111122223333",
            "arn": format!("arn:aws:iam::111122223333:user/{user}"), "accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
    })
}

/// The pages over these records.
pub(crate) async fn pages(records: &[Value]) -> Router {
    let texts: Vec<String> = records.iter().map(Value::to_string).collect();
    let parsed: Vec<Record<'_>> = texts.iter().map(|text| Record::parse(text).expect("a record")).collect();
    let facts: Vec<Facts<'_>> = parsed.iter().map(|one| Facts::of(one, Hint::default()).expect("facts")).collect();
    let lake = Lake::new(Arc::new(InMemory::new()), Path::default());
    let mut hot = lake::Hot::default();
    facts.iter().for_each(|facts| hot.push(facts));
    lake.write_hot(hot.seal().expect("sealed")).await.expect("a hot file");
    router(Arc::new(Viewer::new(lake, Settings::default())))
}

/// What a page says to somebody who is known.
pub(crate) async fn get(pages: &Router, address: &str) -> (Response<()>, String) {
    let request = Request::get(address).extension(Asking::local("alice", trail::time::Time(0))).body(Body::empty());
    send(pages, request.expect("a request")).await
}

/// What any request is answered with.
pub(crate) async fn send(pages: &Router, request: Request<Body>) -> (Response<()>, String) {
    let response = pages.clone().oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8_lossy(&bytes).into_owned())
}
