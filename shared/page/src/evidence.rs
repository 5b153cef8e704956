//! Evidence packs, and what an auditor asks for: which files of a pack answer it, and what none does.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use cloud::asking::Asking;
use cloud::state::{PackRecord, ReviewMeta};
use trail::evidence::{CRITERIA, Criterion, ITEMS};
use trail::review::Period;
use trail::time::Time;

use crate::Viewer;
use crate::frame::{Frame, show};
use crate::held::{failed, no_state};
use crate::text::{number, plain};

#[derive(Template)]
#[template(path = "evidence.html")]
struct Page {
    frame: Frame,
    packs: Vec<Pack>,
    lacks: Vec<String>,
    criteria: Vec<Row>,
}

#[derive(Debug)]
struct Pack {
    id: String,
    period: String,
    made: String,
    by: String,
    size: String,
    sha256: String,
    before: String,
    key: String,
    gaps: u64,
    location: String,
}

/// A criterion, and the files that speak to it.
#[derive(Debug)]
struct Row {
    id: &'static str,
    asks: &'static str,
    files: Vec<(&'static str, &'static str)>,
    limits: &'static str,
    related: bool,
}

/// The page.
pub(crate) async fn page(State(viewer): State<Arc<Viewer>>, Extension(asking): Extension<Asking>) -> Response {
    let frame = viewer.frame(&asking, "evidence", "Evidence");
    let Some(state) = &viewer.state else { return no_state(frame) };
    let (packs, reviews) = tokio::join!(state.packs(), state.reviews());
    match (packs, reviews) {
        (Ok(mut packs), Ok(reviews)) => {
            packs.sort_by_key(|pack| std::cmp::Reverse(pack.number));
            let quarter = Period::quarter((viewer.now)(), viewer.settings.review.first_month);
            let lacks = lacks(&packs, &reviews, quarter.previous().as_ref());
            show(&Page {
                frame,
                packs: packs.iter().map(Pack::of).collect(),
                lacks,
                criteria: CRITERIA.iter().map(row).collect(),
            })
        }
        (Err(error), _) | (_, Err(error)) => failed(frame, &error),
    }
}

impl Pack {
    fn of(pack: &PackRecord) -> Self {
        let span = |time: Time| time.date();
        Self {
            id: plain(&pack.id),
            period: format!("{} to {}", span(pack.period.from), span(pack.period.to)),
            made: pack.created_at.to_string(),
            by: pack
                .created_by
                .as_ref()
                .map_or_else(|| "this system".to_owned(), |by| plain(&format!("{} ({})", by.who, by.proven))),
            size: format!("{} bytes", number(pack.bytes)),
            sha256: plain(&pack.sha256),
            before: pack.prev_pack_sha256.as_deref().map_or_else(|| "the first".to_owned(), plain),
            key: plain(&pack.key),
            gaps: pack.gaps,
            location: plain(&pack.location),
        }
    }
}

fn row(criterion: &'static Criterion) -> Row {
    let title = |name: &&'static str| ITEMS.iter().find(|item| item.name == *name).map(|item| (item.name, item.title));
    Row {
        id: criterion.id,
        asks: criterion.asks,
        files: criterion.items.iter().filter_map(title).collect(),
        limits: criterion.limits,
        related: criterion.is_related_only(),
    }
}

/// What an auditor will ask for and is not there.
fn lacks(packs: &[PackRecord], reviews: &[ReviewMeta], quarter: Option<&Period>) -> Vec<String> {
    let mut lacks = Vec::new();
    let Some(quarter) = quarter else { return lacks };
    let id = plain(&quarter.id);
    if !reviews.iter().any(|review| review.period.id == quarter.id) {
        lacks.push(format!("No access review of the last quarter was opened: qtrail review open {id}"));
    }
    let is_covered = packs.iter().any(|pack| pack.period.from <= quarter.from && pack.period.to >= quarter.to);
    if !is_covered {
        let (from, to) = (quarter.from.date(), quarter.to.date());
        lacks.push(format!("No pack covers the last quarter: qtrail pack --from {from} --to {to}"));
    }
    for pack in packs.iter().filter(|pack| pack.gaps > 0) {
        let what = if pack.gaps == 1 { "gap" } else { "gaps" };
        lacks.push(format!("{} names {} {what}: its report and manifest.json say which", plain(&pack.id), pack.gaps));
    }
    lacks
}
