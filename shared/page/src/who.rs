//! What became of a resource, by whom, and who stands behind that.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query as Pairs, State};
use axum::http::StatusCode;
use axum::response::Response;
use cloud::asking::Asking;
use lake::Query;
use lake::layout::Day;
use lake::who::{Deed, Who};
use trail::lineage::Act;
use trail::record::Outcome;

use crate::Viewer;
use crate::frame::{self, Frame, Trouble, show};
use crate::record::{Place, Step, steps};
use crate::text::plain;

/// Something that was done to the resource.
#[derive(Debug)]
struct Row {
    act: &'static str,
    outcome: &'static str,
    text: String,
    href: String,
    steps: Vec<Step>,
}

#[derive(Template)]
#[template(path = "who.html")]
struct Page {
    frame: Frame,
    resource: String,
    rows: Vec<Row>,
    said: String,
}

/// The page.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    let given = |name: &str| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
    let resource = given("resource");
    tracing::info!(%asking, resource, "asked who did it");
    let frame = || viewer.frame(&asking, "records", "Who did it?");
    let answer = async {
        let spans = ["from", "to"].map(|name| (name, given(name)));
        let span = Query::of(spans.into_iter().filter(|(_, value)| !value.is_empty()))?;
        viewer.lake.who(resource, span.from, span.to).await
    };
    match answer.await {
        _ if resource.is_empty() => show(&Page {
            frame: frame(),
            resource: String::new(),
            rows: Vec::new(),
            said: "Name a resource: an ARN, an id such as i-0abc…, or a name.".to_owned(),
        }),
        Ok(who) => {
            let (rows, said) = (who.deeds.iter().map(row).collect(), said(&who));
            show(&Page { frame: frame(), resource: plain(resource), rows, said })
        }
        Err(error) => {
            let way_out = "Try again; if it stays, see whether the store can be reached.".to_owned();
            let trouble = Trouble { title: "This could not be answered".to_owned(), what: error.to_string(), way_out };
            frame::trouble(frame(), StatusCode::BAD_GATEWAY, &trouble)
        }
    }
}

fn row(deed: &Deed) -> Row {
    let seen = &deed.seen;
    Row {
        act: match deed.act {
            Act::Creation => "created",
            Act::Change => "changed",
            Act::Deletion => "deleted",
            Act::Use => "used",
        },
        outcome: match deed.outcome {
            Outcome::Success => "",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
        },
        text: seen.to_string(),
        href: Place::at(Day::of(seen.time), &seen.account, &seen.id).href(""),
        steps: steps(&deed.chain),
    }
}

fn said(who: &Who) -> String {
    let begins = who.begins.map_or_else(|| "it is empty".to_owned(), |day| format!("it begins on {day}"));
    let more = if who.more { "; only the newest are shown" } else { "" };
    let partial = if who.partial { "; some files could not be read, so something may be missing" } else { "" };
    match who.deeds.len() {
        0 => format!("Nobody made, changed or deleted it, as far as the lake goes back: {begins}{partial}."),
        n => format!("{n} times, oldest first{more}{partial}. It was used by {} other records.", who.uses),
    }
}
