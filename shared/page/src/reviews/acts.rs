//! What is done with a review as a whole: its sheet goes out and comes back, proposals are confirmed, it is signed off.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Multipart, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use cloud::asking::Asking;
use trail::review::sheet;

use super::{Asked, Tried, lost, shown, suggestion};
use crate::Viewer;
use crate::held::{failed, no_state};
use crate::text::{number, plain};

/// Rows that were wrong are told up to so many.
const TOLD: usize = 20;

/// The largest sheet that comes back through the page, in bytes.
pub(crate) const LARGEST: usize = 4 << 20;

/// The review as a table for a spreadsheet.
pub(crate) async fn out(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path(id): Path<String>,
) -> Response {
    let frame = viewer.frame(&asking, "reviews", "Access review");
    let Some(desk) = viewer.desk() else { return no_state(frame) };
    tracing::info!(%asking, review = id, "sheet taken out");
    match desk.state.review(&id).await {
        Ok(None) => return lost(frame, &id),
        Err(error) => return failed(frame, &error),
        Ok(Some(_)) => {}
    }
    let opened = match desk.load(&id).await {
        Ok(opened) => opened,
        Err(error) => return failed(frame, &error),
    };
    let standing = desk.standing(&opened, (viewer.now)());
    let unused = (opened.population.taken, viewer.settings.review.unused_days);
    let bytes = sheet::out(&standing, &|subject| suggestion(subject, unused).to_owned());
    // An id is a quarter or a leaver's, of letters that need no quotes in a file's name.
    let name: String = id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let attachment = format!("attachment; filename=\"access-review-{name}.csv\"");
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, attachment)];
    (headers, bytes).into_response()
}

/// A sheet that came back: its rows are proposals.
pub(crate) async fn back(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path(id): Path<String>,
    mut form: Multipart,
) -> Response {
    let frame = viewer.frame(&asking, "reviews", "Access review");
    let Some(desk) = viewer.desk() else { return no_state(frame) };
    let wrong = |what: String| Tried { wrong: vec![what], ..Tried::default() };
    let bytes = match form.next_field().await {
        Ok(Some(field)) => field.bytes().await,
        Ok(None) => {
            return shown(&viewer, &asking, (&id, &Asked::default()), wrong("No file was sent.".to_owned())).await;
        }
        Err(error) => Err(error),
    };
    let bytes = match bytes {
        Ok(bytes) if !bytes.is_empty() => bytes,
        Ok(_) => {
            let empty = "No file was chosen, or it is empty: choose the sheet that went out, filled in.".to_owned();
            return shown(&viewer, &asking, (&id, &Asked::default()), wrong(empty)).await;
        }
        Err(error) => {
            let what = format!("The file did not come in: {}. Sheets of up to 4 MB come in here.", error.body_text());
            return shown(&viewer, &asking, (&id, &Asked::default()), wrong(plain(&what))).await;
        }
    };
    tracing::info!(%asking, review = id, bytes = bytes.len(), "sheet brought back");
    match desk.propose(&id, &asking, &bytes).await {
        Ok((sheet, refused)) => {
            let errors = sheet.errors.iter().map(ToString::to_string).chain(refused.iter().map(ToString::to_string));
            let errors: Vec<String> = errors.map(|error| plain(&error)).collect();
            let done = format!(
                "{} proposals came in, {} rows have no decision, {} are wrong. Proposals count once their reviewer confirms them.",
                number(sheet.proposals.len() as u64),
                number(sheet.empty as u64),
                number(errors.len() as u64)
            );
            let more = errors.len().saturating_sub(TOLD);
            let mut wrong: Vec<String> = errors.into_iter().take(TOLD).collect();
            if more > 0 {
                wrong.push(format!("and {more} more"));
            }
            let asked = Asked { show: "undecided".to_owned(), ..Asked::default() };
            shown(&viewer, &asking, (&id, &asked), Tried { wrong, done, ..Tried::default() }).await
        }
        Err(error) => refused(&viewer, &asking, &id, (error, Tried::default())).await,
    }
}

/// Confirms the proposals that are ticked, as oneself.
pub(crate) async fn confirm(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path(id): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let frame = viewer.frame(&asking, "reviews", "Access review");
    let Some(desk) = viewer.desk() else { return no_state(frame) };
    let opened = match desk.load(&id).await {
        Ok(opened) => opened,
        Err(error) => return failed(frame, &error),
    };
    let standing = desk.standing(&opened, asking.at);
    // `17.204`: the subject, and the proposal that was shown.
    let ticked: BTreeMap<u32, u64> = pairs
        .iter()
        .filter(|(name, _)| name == "subject")
        .filter_map(|(_, value)| value.split_once('.'))
        .filter_map(|(subject, entry)| Some((subject.parse().ok()?, entry.parse().ok()?)))
        .collect();
    let subjects: Vec<(String, Option<u64>)> = standing
        .subjects()
        .filter_map(|(subject, _)| Some((subject.id.clone(), Some(*ticked.get(&subject.number)?))))
        .collect();
    let asked = Asked { show: "undecided".to_owned(), ..Asked::default() };
    if subjects.is_empty() {
        let wrong = vec!["No proposal is ticked.".to_owned()];
        return shown(&viewer, &asking, (&id, &asked), Tried { wrong, ..Tried::default() }).await;
    }
    tracing::info!(%asking, review = id, subjects = subjects.len(), "confirms");
    match desk.confirm(&id, &asking, &subjects).await {
        Ok(_) => Redirect::to(&asked.href(&id)).into_response(),
        Err(error) => refused(&viewer, &asking, &id, (error, Tried::default())).await,
    }
}

/// Signs it off.
pub(crate) async fn sign_off(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    Path(id): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let Some(desk) = viewer.desk() else { return no_state(viewer.frame(&asking, "reviews", "Access review")) };
    let given = |name: &str| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
    let (statement, partial) = (given("statement"), given("partial") == "yes");
    tracing::info!(%asking, review = id, partial, "signs off");
    match desk.sign_off(&id, &asking, (statement, partial)).await {
        Ok(_) => Redirect::to(&format!("/reviews/{id}")).into_response(),
        Err(error) => {
            let tried = Tried { statement: statement.to_owned(), ..Tried::default() };
            refused(&viewer, &asking, &id, (error, tried)).await
        }
    }
}

/// The review again, with what was wrong.
async fn refused(viewer: &Viewer, asking: &Asking, id: &str, (error, tried): (cloud::Error, Tried)) -> Response {
    match error {
        cloud::Error::Refusal(refusal) => {
            let tried = Tried { wrong: vec![plain(&refusal.to_string())], ..tried };
            shown(viewer, asking, (id, &Asked::default()), tried).await
        }
        error => {
            let frame = viewer.frame(asking, "reviews", "Access review");
            failed(frame, &error)
        }
    }
}

impl Tried {
    /// The status of the page that tells it.
    pub(super) fn status(&self) -> StatusCode {
        // A sheet of which something came in is taken, whatever else is wrong with it.
        if self.wrong.is_empty() || !self.done.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST }
    }
}
