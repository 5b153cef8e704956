//! A lake in memory, and the pages over it as a browser would ask for them.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use cloud::stores::Place;
use http_body_util::BodyExt;
use lake::Lake;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::{Value, json};
use tower::ServiceExt;
use trail::facts::{Facts, Hint};
use trail::record::Record;
use trail::settings::Settings;
use trail::time::Time;

use crate::{Viewer, router};
use cloud::asking::Asking;

#[path = "../../../src/demo/fill.rs"]
mod fill;
pub(crate) mod table;

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

/// When the demo's day is over and all its digests have come.
const MORNING: Time = Time(1_795_240_800);

/// The demo's day, filled once, and served by a thread of its own: tests have a runtime each.
static SHARED: LazyLock<(String, Place)> = LazyLock::new(|| {
    let (sent, filled) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let endpoint = table::serve().await.expect("a table");
            let data = fill_at(&endpoint).await;
            sent.send((endpoint, data)).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    filled.recv().expect("the day")
});

fn events(name: &str) -> String {
    let path = format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

async fn fill_at(endpoint: &str) -> Place {
    let state = table::at(endpoint);
    state.create_table().await.expect("a table");
    let data = Place { store: Arc::new(InMemory::new()), prefix: Path::default() };
    let (settings, recording, keys) = (events("config.toml"), events("settings.ndjson"), events("keys.json"));
    let day = fill::Day {
        settings: &settings,
        logs: std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/aws")),
        bucket: "example-trail-logs",
        recording: &recording,
        keys: keys.as_bytes(),
        now: MORNING,
    };
    fill::fill(&state, &data, day).await.expect("the day");
    data
}

/// The pages over the demo's day, at ten past two in the night after it. Not for tests that decide anything.
pub(crate) async fn filled() -> Router {
    let (endpoint, data) = tokio::task::spawn_blocking(|| LazyLock::force(&SHARED)).await.expect("the day");
    over(endpoint, data.clone())
}

/// The same for one test alone.
pub(crate) async fn own_filled() -> Router {
    let endpoint = table::serve().await.expect("a table");
    let data = fill_at(&endpoint).await;
    over(&endpoint, data)
}

fn over(endpoint: &str, data: Place) -> Router {
    let settings = Settings::from_toml(&events("config.toml")).expect("settings");
    let viewer = Viewer::new(Lake::new(data.store, data.prefix), settings).with_state(table::at(endpoint));
    router(Arc::new(viewer.at(|| Time(MORNING.0 - 13_800))))
}

/// The pages over nothing.
pub(crate) async fn empty() -> Router {
    let lake = Lake::new(Arc::new(InMemory::new()), Path::default());
    let viewer = Viewer::new(lake, Settings::default());
    router(Arc::new(viewer.with_state(table::empty().await.expect("a table"))))
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
