//! What was searched for, as a file.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query as Pairs, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use lake::answer::Page;
use lake::columns::Column;
use trail::facts::Facts;
use trail::record::{digest, hex};

use crate::Viewer;
use crate::address::Address;
use crate::asking::Asking;
use crate::text::number;

/// Records in a file; `qtrail export` knows no limit. A Lambda answers with 6 MB at the most.
const CAP: usize = 5_000;

/// Bytes of a file: what a Lambda can answer with.
const BYTES: usize = 5_000_000;

/// Columns of the table that spreadsheets open.
const COLUMNS: [Column; 17] = [
    Column::EventTime,
    Column::ActorName,
    Column::EventName,
    Column::EventSource,
    Column::Resources,
    Column::SourceIp,
    Column::Account,
    Column::Region,
    Column::ErrorCode,
    Column::ErrorMessage,
    Column::ActorType,
    Column::ActorArn,
    Column::AccessKey,
    Column::UserAgent,
    Column::EventId,
    Column::RequestId,
    Column::SourceObject,
];

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

async fn export(viewer: &Viewer, asking: &Asking, address: Address, form: Form) -> Response {
    let address = address.but(|_| {});
    tracing::info!(%asking, query = %address.href(), "exported");
    let (text, complete) = match viewer.file(&address, asking, form).await {
        Ok(file) => file,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
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
            Form::Csv => heading(),
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

fn heading() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name()).collect();
    format!("{}\r\n", names.join(","))
}

fn line(text: &mut String, facts: &Facts<'_>, form: Form) {
    if form == Form::Json {
        let _ = writeln!(text, "{}", facts.json.replace(['\n', '\r'], " "));
        return;
    }
    for (at, column) in COLUMNS.into_iter().enumerate() {
        let value = match column {
            Column::EventTime => facts.event_time.to_string(),
            _ => column.texts(facts).collect::<Vec<_>>().join(" "),
        };
        text.push_str(if at == 0 { "" } else { "," });
        text.push_str(&cell(&value));
    }
    text.push_str("\r\n");
}

/// A cell that no spreadsheet takes for a formula, quoted as RFC 4180 has it.
fn cell(value: &str) -> String {
    let dangerous =
        value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let guard = if dangerous { "'" } else { "" };
    if value.contains([',', '"', '\n', '\r']) {
        return format!("\"{guard}{}\"", value.replace('"', "\"\""));
    }
    format!("{guard}{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{get, pages, record};

    #[tokio::test]
    async fn a_file_holds_what_was_searched_for() {
        let pages = pages(&[record(1, "RunInstances", "=alice"), record(2, "CreateTags", "bob")]).await;
        let (response, csv) = get(&pages, "/export.csv?action=Run*").await;
        assert_eq!(response.headers()["x-qtrail-complete"], "yes");
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines.len() == 2 && lines[1].starts_with("2026-11-20T03:00:01Z,'=alice,RunInstances,"), "{csv}");
        let (_, json) = get(&pages, "/export.json").await;
        let lines: Vec<serde_json::Value> =
            json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((lines.len(), &lines[0]["records"], &lines[0]["complete"]), (3, &2.into(), &true.into()));
        assert_eq!(lines[1]["eventName"], "CreateTags");
        assert_eq!(get(&pages, "/export.csv?usr=x").await.0.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn formulas_are_disarmed() {
        assert_eq!(cell("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(cell("@SUM(1,\"2\")"), "\"'@SUM(1,\"\"2\"\")\"");
        assert_eq!(cell("-"), "'-");
        assert_eq!(cell("\tx"), "'\tx");
        assert_eq!(cell("alice"), "alice");
        assert_eq!(cell("a\r\nb"), "\"a\r\nb\"");
    }
}
