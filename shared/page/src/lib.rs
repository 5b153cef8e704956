//! The viewer: a router and its pages over the lake and the state.
//!
//! One router, several doors. Whoever opens a door says who is asking, as an [`Asking`] in the request's extensions;
//! without one nothing is answered. `qtrail view` puts [`security::Loopback`] in front of it.
//!
//! ```text
//! /                    how things stand            /findings, /findings/{id}     with status and notes
//! /records             search                      /trails                       verdicts
//! /record              one record                  /integrity                    digest chains
//! /export.csv, .json   what was searched for
//! ```

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use cloud::state::State;
use lake::Lake;
use trail::settings::Settings;
use trail::time::Time;

mod address;
mod ask;
pub mod asking;
mod assets;
mod changes;
mod export;
mod findings;
mod frame;
mod held;
mod home;
mod integrity;
mod newest;
mod presets;
mod record;
mod records;
mod runs;
pub mod security;
mod text;
mod trails;

#[cfg(test)]
mod testing;

pub use asking::{Asking, Proof};

/// What the pages are made from.
#[derive(Debug)]
pub struct Viewer {
    lake: Lake,
    state: Option<State>,
    settings: Settings,
    logged: bool,
    now: fn() -> Time,
    newest: Mutex<newest::Newest>,
}

impl Viewer {
    /// A viewer of a lake.
    pub fn new(lake: Lake, settings: Settings) -> Self {
        Self { lake, state: None, settings, logged: false, now: cloud::deployment::now, newest: Mutex::default() }
    }

    /// With the state: findings, verdicts and digest chains.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Whether searches are kept in a log that others read: the page says so. They are traced in any case.
    #[must_use]
    pub fn logging_searches(mut self, logged: bool) -> Self {
        self.logged = logged;
        self
    }

    /// With a clock of its own.
    #[must_use]
    pub fn at(mut self, now: fn() -> Time) -> Self {
        self.now = now;
        self
    }
}

/// All pages. Requests need an [`Asking`] in their extensions.
pub fn router(viewer: Arc<Viewer>) -> Router {
    Router::new()
        .route("/", get(home::page))
        .route("/records", get(records::page))
        .route("/records/more", get(records::more))
        .route("/record", get(record::page))
        .route("/export.csv", get(export::csv))
        .route("/export.json", get(export::json))
        .route("/findings", get(findings::list))
        .route("/findings/{id}", get(findings::page))
        .route("/findings/{id}/status", post(findings::set_status))
        .route("/trails", get(trails::page))
        .route("/integrity", get(integrity::page))
        .fallback(frame::nothing_there)
        .layer(from_fn_with_state(viewer.clone(), security::check))
        .with_state(viewer)
        .route("/assets/{version}/{name}", get(assets::asset))
        .layer(from_fn(security::headers))
}
