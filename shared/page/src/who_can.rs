//! Who was allowed an action, by the last snapshot of access, and who made use of it.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query as Pairs, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cloud::asking::Asking;
use cloud::who_can::{Told, Used, asks, who_can};
use trail::access::who_can::{Holder, HolderKind, Question, Sure};
use trail::time::Time;

use crate::Viewer;
use crate::address::{Span, search};
use crate::frame::{Frame, show};
use crate::text::{number, plain};

/// Holders that are shown.
const SHOWN: usize = 500;

/// Gaps that are shown.
const GAPS: usize = 20;

#[derive(Template, Default)]
#[template(path = "who_can.html")]
struct Page {
    frame: Frame,
    action: String,
    resource: String,
    at: String,
    wrong: String,
    said: String,
    rows: Vec<Row>,
    bounds: Vec<String>,
    unseen: Vec<String>,
}

/// Somebody who can.
#[derive(Debug)]
struct Row {
    sure: &'static str,
    kind: &'static str,
    name: String,
    href: Option<String>,
    account: String,
    through: Vec<String>,
    provided: Vec<String>,
    used: Vec<String>,
}

/// The page.
pub(crate) async fn page(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    let given = |name: &str| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
    let (action, resource, at) = (given("action"), given("resource"), given("at"));
    let page = Page {
        frame: viewer.frame(&asking, "reviews", "Who can?"),
        action: action.to_owned(),
        resource: resource.to_owned(),
        at: at.to_owned(),
        ..Page::default()
    };
    if action.is_empty() {
        return show(&page);
    }
    tracing::info!(%asking, action, resource, at, "asked who can");
    match viewer.can((action, resource, at)).await {
        Ok(told) => show(&viewer.answer(page, &told)),
        Err(wrong) => (StatusCode::BAD_REQUEST, show(&Page { wrong: plain(&wrong), ..page })).into_response(),
    }
}

impl Viewer {
    async fn can(&self, (action, resource, at): (&str, &str, &str)) -> Result<Told, String> {
        let Some((store, _)) = &self.reviews else {
            return Err("These pages were opened without a place where snapshots of access are kept.".to_owned());
        };
        let question = Question { action, resource: Some(resource).filter(|resource| !resource.is_empty()) };
        let at = match at {
            "" => None,
            // A day is looked at from its end.
            day if day.len() == 10 => Time::parse(&format!("{day}T23:59:59Z")),
            time => Time::parse(time),
        }
        .map_or_else(
            || if at.is_empty() { Ok(None) } else { Err(format!("`{at}` is no day such as 2026-10-01")) },
            |at| Ok(Some(at)),
        )?;
        let now = (self.now)();
        who_can((store, &self.lake), &question, (at, now)).await.map_err(|error| error.to_string())
    }

    fn answer(&self, page: Page, told: &Told) -> Page {
        let Told { answer, used, taken, accounts, passed_over } = told;
        let mut unseen: Vec<String> = passed_over
            .iter()
            .map(|time| format!("the snapshot of {time} is not complete and was passed over"))
            .collect();
        unseen.extend(answer.gaps.iter().take(GAPS).map(|gap| {
            let account = if gap.account.is_empty() { "organization".to_owned() } else { plain(&gap.account) };
            format!("{account}: {}: {}", plain(&gap.what), plain(&gap.why))
        }));
        if answer.gaps.len() > GAPS {
            unseen.push(format!("and {} more", answer.gaps.len() - GAPS));
        }
        unseen.extend(used.notes.iter().map(|note| plain(note)));
        unseen.extend(used.read.skipped.iter().map(|(object, why)| format!("{}: {}", plain(object), plain(why))));
        let holders = answer.holders.len();
        let cut = if holders > SHOWN {
            format!("; the first {SHOWN} are shown, qtrail who-can lists all")
        } else {
            String::new()
        };
        Page {
            said: format!(
                "{} could, by the snapshot of {taken} over {} accounts{cut}.",
                match holders {
                    0 => "Nobody".to_owned(),
                    1 => "1 principal".to_owned(),
                    count => format!("{} principals", number(count as u64)),
                },
                number(*accounts as u64)
            ),
            rows: answer.holders.iter().take(SHOWN).map(|holder| self.holder(holder, used)).collect(),
            bounds: answer.not_evaluated.iter().map(|said| plain(said)).collect(),
            unseen,
            ..page
        }
    }

    fn holder(&self, holder: &Holder, used: &Used) -> Row {
        let all = |before: &str, texts: &[String]| {
            (!texts.is_empty()).then(|| format!("{before}{}", plain(&texts.join(", "))))
        };
        let stops: Vec<String> = holder.may_stop.iter().map(ToString::to_string).collect();
        let across = holder.across.then(|| "if the resource's account lets it in".to_owned());
        let provided = [
            all("on ", &holder.resources),
            all("depends on ", &holder.conditions),
            across,
            all("", &stops),
            all("taken by ", &holder.taken_by),
        ];
        Row {
            sure: match holder.sure {
                Sure::Allowed => "allowed",
                Sure::Conditional => "depends",
                Sure::Untold => "unknown",
            },
            kind: match holder.kind {
                HolderKind::Root => "root user",
                HolderKind::Person => "Identity Center",
                HolderKind::User => "IAM user",
                HolderKind::Role => "role",
            },
            name: plain(&holder.name),
            href: holder.actor.as_ref().and_then(asks).map(|asked| search("user", &asked, Span::Between(None, None))),
            account: self.account_name(&holder.account),
            through: holder.through.iter().map(|through| plain(&through.to_string())).collect(),
            provided: provided.into_iter().flatten().collect(),
            used: used.told(holder),
        }
    }
}
