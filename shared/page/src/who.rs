//! What became of a resource, by whom, and who stands behind that.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query as Pairs, State};
use axum::response::Response;
use cloud::asking::Asking;
use lake::Query;
use lake::layout::Day;
use lake::who::{Deed, Issued, Who};
use trail::lineage::Act;
use trail::record::Outcome;

use crate::Viewer;
use crate::address::{Span, search};
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
    /// What the keys that did it were used for, and what they gave out: a tree, level by level.
    down: Vec<Down>,
}

/// A key in the tree of what was given out.
#[derive(Debug)]
struct Down {
    /// How deep it stands.
    depth: usize,
    text: String,
    href: Option<String>,
}

/// Keys of deeds that are followed down.
const KEYS: usize = 5;

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
            down: Vec::new(),
        }),
        Ok(who) => {
            let (rows, said, down) = (who.deeds.iter().map(row).collect(), said(&who), viewer.down(&who).await);
            show(&Page { frame: frame(), resource: plain(resource), rows, said, down })
        }
        Err(error) => {
            let (status, trouble) = Trouble::of(&error);
            frame::trouble(frame(), status, &trouble)
        }
    }
}

impl Viewer {
    /// What the keys of the deeds were used for besides.
    async fn down(&self, who: &Who) -> Vec<Down> {
        let mut keys: Vec<&str> = Vec::new();
        for key in who.deeds.iter().map(|deed| &*deed.seen.access_key).filter(|key| !key.is_empty()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let mut down = Vec::new();
        for key in keys.into_iter().take(KEYS) {
            match self.lake.issued(key, who.from, who.to).await {
                Ok(issued) => level(&issued, 0, &mut down),
                Err(error) => {
                    let text = format!("{}: could not look: {}", plain(key), plain(&error.to_string()));
                    down.push(Down { depth: 0, text, href: None });
                }
            }
        }
        down
    }
}

fn level(issued: &Issued, depth: usize, down: &mut Vec<Down>) {
    let href = search("access-key", &issued.key, Span::Between(None, None));
    down.push(Down { depth, text: plain(&issued.line()), href: Some(href) });
    issued.keys.iter().for_each(|below| level(below, depth + 1, down));
    if issued.more {
        down.push(Down { depth: depth + 1, text: "more keys, which are not followed".to_owned(), href: None });
    }
    if issued.partial {
        let text = "maybe more: some files of the lake could not be read".to_owned();
        down.push(Down { depth: depth + 1, text, href: None });
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
    let unread: Vec<String> =
        who.skipped.iter().map(|(object, why)| format!("{} ({})", plain(object), plain(why))).collect();
    let partial = match (who.partial, unread.is_empty()) {
        (false, _) => String::new(),
        (true, true) => "; some files could not be read, so something may be missing".to_owned(),
        (true, false) => format!("; something may be missing, since these could not be read: {}", unread.join(", ")),
    };
    match who.deeds.len() {
        0 => format!("Nobody made, changed or deleted it, as far as the lake goes back: {begins}{partial}."),
        n => {
            let times = if n == 1 { "Once".to_owned() } else { format!("{n} times, oldest first") };
            let used = match who.uses {
                0 => "No other record uses it.".to_owned(),
                1 => "1 other record uses it.".to_owned(),
                uses => format!("{uses} other records use it."),
            };
            format!("{times}{more}{partial}. {used}")
        }
    }
}
