//! What was searched for, as a file.

use std::fmt::Write;
use std::sync::Arc;

use crate::frame::Trouble;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Query as Pairs, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use lake::answer::Page;
use lake::sql::sql;
use lake::table::{csv_heading, csv_line};
use trail::facts::Facts;
use trail::record::{digest, hex};

use crate::Viewer;
use crate::address::Address;
use crate::text::number;
use cloud::asking::Asking;

/// Records in a file; `qtrail export` knows no limit. A Lambda answers with 6 MB at the most.
const CAP: usize = 5_000;

/// Bytes of a file: what a Lambda can answer with.
const BYTES: usize = 5_000_000;

/// The limit, for the page.
pub(crate) fn cap() -> String {
    number(CAP as u64)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Json,
}

/// A table for spreadsheets.
pub(crate) async fn csv(
    state: State<Arc<Viewer>>,
    asking: Extension<Asking>,
    pairs: Pairs<Vec<(String, String)>>,
) -> Response {
    export(&state, &asking, Address::of(pairs.0), Form::Csv).await
}

/// A line about the search, then the records as they were delivered, one a line.
pub(crate) async fn json(
    state: State<Arc<Viewer>>,
    asking: Extension<Asking>,
    pairs: Pairs<Vec<(String, String)>>,
) -> Response {
    export(&state, &asking, Address::of(pairs.0), Form::Json).await
}

/// The search as a statement for Athena, which reads the same files.
pub(crate) async fn statement(
    State(viewer): State<Arc<Viewer>>,
    Extension(asking): Extension<Asking>,
    pairs: Pairs<Vec<(String, String)>>,
) -> Response {
    let address = Address::of(pairs.0);
    let asked = async {
        let anchor = viewer.anchor().await?;
        Ok::<_, lake::Error>(sql(&address.query(address.span.resolve(anchor.time)?)?))
    };
    tracing::info!(%asking, query = %address.href(), "asked for as a statement");
    match asked.await {
        Ok(statement) => (StatusCode::OK, format!("{statement}\n")).into_response(),
        Err(error) => (Trouble::of(&error).0, format!("{error}\n")).into_response(),
    }
}

async fn export(viewer: &Viewer, asking: &Asking, address: Address, form: Form) -> Response {
    let address = address.but(|_| {});
    tracing::info!(%asking, query = %address.href(), "exported");
    let (text, complete) = match viewer.file(&address, asking, form).await {
        Ok(file) => file,
        Err(error) => return (Trouble::of(&error).0, format!("{error}\n")).into_response(),
    };
    let (kind, ending) = match form {
        Form::Csv => ("text/csv; charset=utf-8", "csv"),
        Form::Json => ("application/x-ndjson; charset=utf-8", "ndjson"),
    };
    let name = format!("attachment; filename=\"records-{}.{ending}\"", hex(&digest(text.as_bytes())[..4]));
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)];
    let complete = [("x-qtrail-complete", if complete { "yes" } else { "no" })];
    (headers, complete, Body::from(text)).into_response()
}

impl Viewer {
    async fn file(&self, address: &Address, asking: &Asking, form: Form) -> Result<(String, bool), lake::Error> {
        let anchor = self.anchor().await?;
        let span = address.span.resolve(anchor.time)?;
        let query = address.query(span)?;
        let mut page = Page { limit: CAP, json: form == Form::Json, ..Page::default() };
        let mut text = match form {
            Form::Csv => format!("{}\r\n", csv_heading()),
            Form::Json => String::new(),
        };
        let (mut rows, mut partial) = (0, false);
        while rows < CAP && text.len() < BYTES {
            page.limit = (CAP - rows).min(1_000);
            let answer = self.lake.search(&query, &page).await?;
            for facts in &answer.rows {
                if text.len() < BYTES {
                    line(&mut text, facts, form);
                    rows += 1;
                }
            }
            partial |= answer.read.is_partial();
            page.after = answer.next;
            if page.after.is_none() {
                break;
            }
        }
        let complete = page.after.is_none() && !partial && text.len() < BYTES;
        if form == Form::Json {
            let about = serde_json::json!({
                "search": address.href(), "from": query.from, "to": query.to, "records": rows, "complete": complete,
                "asked_by": asking.to_string(), "sha256": hex(&digest(text.as_bytes())),
            });
            text.insert_str(0, &format!("{about}\n"));
        }
        Ok((text, complete))
    }
}

fn line(text: &mut String, facts: &Facts<'_>, form: Form) {
    let _ = match form {
        Form::Json => writeln!(text, "{}", facts.json.replace(['\n', '\r'], " ")),
        Form::Csv => write!(text, "{}\r\n", csv_line(facts)),
    };
}
