//! The viewer: a router and its pages over the lake and the state.
//!
//! One router, several doors. Whoever opens a door says who is asking, as an [`Asking`](cloud::asking::Asking) in the request's extensions;
//! without one nothing is answered. `qtrail view` puts [`security::Loopback`] in front of it.
//!
//! ```text
//! /                    how things stand            /findings, /findings/{id}     with status and notes
//! /records             search                      /trails                       verdicts
//! /record              one record                  /integrity                    digest chains
//! /export.csv, .json   what was searched for           /who                          what became of a resource
//! /reviews, /reviews/{id}, /reviews/{id}/subjects/{number}                          access reviews, and what is decided
//! /who-can             who was allowed an action   /evidence                     packs, and what an auditor asks for
//! ```

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use cloud::review::store::Store;
use cloud::state::State;
use cloud::stores::{Place, Stores};
use lake::Lake;
use trail::settings::Settings;
use trail::time::Time;

mod address;
mod ask;
mod assets;
mod changes;
pub mod door;
mod evidence;
mod export;
mod findings;
pub mod forward;
mod frame;
mod held;
mod home;
mod integrity;
mod newest;
mod presets;
mod record;
mod records;
mod reviews;
mod runs;
pub mod security;
mod text;
mod trails;
mod who;
mod who_can;

#[cfg(test)]
mod testing;

/// What the pages are made from.
#[derive(Debug)]
pub struct Viewer {
    lake: Lake,
    state: Option<State>,
    /// Where log files are read, and from which buckets alone; none: paths of this machine.
    logs: Option<(Arc<Stores>, Vec<String>)>,
    /// Where reviews are kept, and whether that is a folder on somebody's own machine.
    reviews: Option<(Store, bool)>,
    settings: Settings,
    logged: bool,
    now: fn() -> Time,
    newest: Mutex<newest::Newest>,
}

impl Viewer {
    /// A viewer of a lake.
    pub fn new(lake: Lake, settings: Settings) -> Self {
        Self {
            lake,
            state: None,
            logs: None,
            reviews: None,
            settings,
            logged: false,
            now: cloud::deployment::now,
            newest: Mutex::default(),
        }
    }

    /// With the state: findings, verdicts and digest chains.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// With the log files: single records can be compared with what AWS signed. No bucket means paths of this machine.
    #[must_use]
    pub fn with_logs(mut self, stores: Arc<Stores>, log_buckets: Vec<String>) -> Self {
        self.logs = Some((stores, log_buckets));
        self
    }

    /// With the access reviews that lie in this place. In a folder on one's own machine that machine's user decides;
    /// elsewhere only who is proven.
    #[must_use]
    pub fn with_reviews(mut self, place: Place, local: bool) -> Self {
        self.reviews = Some((Store::new(place), local));
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

/// All pages. Requests need an [`Asking`](cloud::asking::Asking) in their extensions.
pub fn router(viewer: Arc<Viewer>) -> Router {
    Router::new()
        .route("/", get(home::page))
        .route("/records", get(records::page))
        .route("/records/more", get(records::more))
        .route("/records/sql", get(export::statement))
        .route("/record", get(record::page))
        .route("/who", get(who::page))
        .route("/export.csv", get(export::csv))
        .route("/export.json", get(export::json))
        .route("/findings", get(findings::list))
        .route("/findings/{id}", get(findings::page))
        .route("/findings/{id}/status", post(findings::set_status))
        .route("/trails", get(trails::page))
        .route("/integrity", get(integrity::page))
        .route("/reviews", get(reviews::list))
        .route("/reviews/{id}", get(reviews::page))
        .route("/reviews/{id}/subjects/{number}", get(reviews::subject_page))
        .route("/reviews/{id}/subjects/{number}/decision", post(reviews::decide))
        .route("/reviews/{id}/subjects/{number}/exception", post(reviews::except))
        .route("/reviews/{id}/sheet.csv", get(reviews::out))
        .route("/reviews/{id}/sheet", post(reviews::back).layer(DefaultBodyLimit::max(reviews::LARGEST)))
        .route("/reviews/{id}/confirm", post(reviews::confirm))
        .route("/reviews/{id}/sign-off", post(reviews::sign_off))
        .route("/who-can", get(who_can::page))
        .route("/evidence", get(evidence::page))
        .fallback(frame::nothing_there)
        .layer(from_fn_with_state(viewer.clone(), security::check))
        .with_state(viewer)
        .route("/assets/{version}/{name}", get(assets::asset))
        .layer(from_fn(security::headers))
}
