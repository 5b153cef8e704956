//! What surrounds every page.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;

use crate::text::plain;
use crate::{Viewer, assets};
use cloud::asking::{Asking, Proof};

/// What the layout says around a page.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// The page's title.
    pub(crate) title: String,
    /// The first part of its address, without the slash.
    pub(crate) room: &'static str,
    /// Who is asking.
    pub(crate) asking: String,
    /// Whether that is proven.
    pub(crate) proven: bool,
    /// Whether searches are logged.
    pub(crate) logged: bool,
    /// The version of the assets.
    pub(crate) assets: &'static str,
    /// What stands in the box already.
    pub(crate) ask: String,
    /// The state of the page that the box adds to, as name and value.
    pub(crate) kept: Vec<(String, String)>,
}

impl Viewer {
    /// The frame of a page.
    pub(crate) fn frame(&self, asking: &Asking, room: &'static str, title: impl Into<String>) -> Frame {
        Frame {
            title: title.into(),
            room,
            asking: asking.to_string(),
            proven: matches!(asking.proven, Proof::Signed | Proof::Token),
            logged: self.logged,
            assets: assets::version(),
            ask: String::new(),
            kept: Vec::new(),
        }
    }
}

/// Something that did not work, and the way out.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// In three words.
    pub(crate) title: String,
    /// What it was.
    pub(crate) what: String,
    /// What to do.
    pub(crate) way_out: String,
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage<'t> {
    frame: Frame,
    trouble: &'t Trouble,
}

#[derive(Template)]
#[template(path = "bare.html")]
struct BarePage<'t> {
    assets: &'static str,
    trouble: &'t Trouble,
}

/// A template as an answer.
pub(crate) fn show(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Trouble {
    /// What a lake could not answer, with the status that says whose matter it is.
    pub(crate) fn of(error: &lake::Error) -> (StatusCode, Self) {
        let (status, way_out) = match error {
            lake::Error::Query(_) => (StatusCode::BAD_REQUEST, "Change what is asked for."),
            lake::Error::File { .. } | lake::Error::Part { .. } => {
                (StatusCode::BAD_GATEWAY, "qtrail rebuild makes the day anew from its log files.")
            }
            _ => (StatusCode::BAD_GATEWAY, "Try again; if it stays, see whether the store can be reached."),
        };
        let title = "This could not be answered".to_owned();
        (status, Self { title, what: plain(&error.to_string()), way_out: way_out.to_owned() })
    }
}

/// A page about something that did not work.
pub(crate) fn trouble(frame: Frame, status: StatusCode, trouble: &Trouble) -> Response {
    (status, show(&TroublePage { frame, trouble })).into_response()
}

/// The same for somebody who is not let in: nothing of the pages around it.
pub(crate) fn bare(trouble: &Trouble) -> Response {
    show(&BarePage { assets: assets::version(), trouble })
}

/// An address that leads nowhere.
pub(crate) async fn nothing_there(State(viewer): State<Arc<Viewer>>, Extension(asking): Extension<Asking>) -> Response {
    let lost = Trouble {
        title: "Nothing there".to_owned(),
        what: "No page has this address.".to_owned(),
        way_out: "Choose one of the pages above.".to_owned(),
    };
    trouble(viewer.frame(&asking, "", "Nothing there"), StatusCode::NOT_FOUND, &lost)
}
