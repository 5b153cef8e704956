//! The pages over the demo's day, without a door: for looking at them while they are made.
//!
//! `cargo run -p page --example filled -- 127.0.0.1:8099`

use std::path::Path;
use std::sync::Arc;

use axum::Extension;
use cloud::asking::Asking;
use cloud::state::{HistoryLine, Query};
use cloud::stores::folder;
use lake::Lake;
use page::{Viewer, router};
use trail::alert::Status;
use trail::settings::Settings;
use trail::time::Time;

#[path = "../../../../src/demo/fill.rs"]
mod fill;
#[path = "../../src/testing/table.rs"]
mod table;

/// When the demo's day is over and all its digests have come.
const MORNING: Time = Time(1_795_240_800);

/// When the pages are looked at: soon after the last log file.
const NIGHT: Time = Time(MORNING.0 - 13_800);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let events = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events"));
    let read = |name: &str| std::fs::read_to_string(events.join(name));
    let (settings, recording, keys) = (read("config.toml")?, read("settings.ndjson")?, read("keys.json")?);
    let data = tempfile::tempdir()?;
    let place = folder(data.path())?;
    let state = table::empty().await?;
    let day = fill::Day {
        settings: &settings,
        logs: &events.join("aws"),
        bucket: "example-trail-logs",
        recording: &recording,
        keys: keys.as_bytes(),
        now: MORNING,
    };
    fill::fill(&state, &place, day).await?;
    if let Some(entry) = state.findings(&Query { days: 3, ..Query::default() }, MORNING).await?.first() {
        let line = HistoryLine::new(NIGHT, "acknowledged", "bob@example.com", "Asked the team.");
        state.set_status(&entry.finding.finding_id, (Status::Acknowledged, None), &line).await?;
    }
    let viewer = Viewer::new(Lake::new(place.store, place.prefix), Settings::from_toml(&settings)?);
    let viewer = viewer.with_state(state).at(|| NIGHT);
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8099".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    let pages = router(Arc::new(viewer)).layer(Extension(Asking::local("alice", NIGHT)));
    axum::serve(listener, pages).await?;
    Ok(())
}
