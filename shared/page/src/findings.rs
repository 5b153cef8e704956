//! Findings: the list, one of them, and what becomes of it.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{Redirect, Response};

use crate::Viewer;
use crate::frame::{Frame, show};
use cloud::asking::Asking;

#[derive(Template)]
#[template(path = "findings.html")]
struct Page {
    frame: Frame,
}

/// The list.
pub(crate) async fn list(State(viewer): State<Arc<Viewer>>, Extension(asking): Extension<Asking>) -> Response {
    show(&Page { frame: viewer.frame(&asking, "findings", "Findings") })
}

/// One of them.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path(_id): Path<String>,
) -> Response {
    show(&Page { frame: viewer.frame(&asking, "findings", "Finding") })
}

/// Sets the status of one.
pub(crate) async fn set_status(Path(id): Path<String>) -> Redirect {
    Redirect::to(&format!("/findings/{id}"))
}
