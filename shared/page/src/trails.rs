//! Trails.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use crate::Viewer;
use crate::frame::{Frame, show};
use cloud::asking::Asking;

#[derive(Template)]
#[template(path = "trails.html")]
struct Page {
    frame: Frame,
}

/// The page.
pub(crate) async fn page(State(viewer): State<Arc<Viewer>>, Extension(asking): Extension<Asking>) -> Response {
    show(&Page { frame: viewer.frame(&asking, "trails", "Trails") })
}
