//! Records as lines of a file: a table for spreadsheets, an object a line for programs.

use serde_json::{Map, Value, json};
use trail::facts::Facts;

use crate::columns::{ALL, Column, Kind};

/// Columns of the table, what a person looks for first in front.
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

/// The table's first line, without its end.
pub fn csv_heading() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name()).collect();
    names.join(",")
}

/// A record as a line of the table, without its end. RFC 4180; no cell is one that a spreadsheet would compute.
pub fn csv_line(facts: &Facts<'_>) -> String {
    let cells: Vec<String> = COLUMNS.into_iter().map(|column| cell(&text(column, facts))).collect();
    cells.join(",")
}

fn text(column: Column, facts: &Facts<'_>) -> String {
    match column {
        Column::EventTime => facts.event_time.to_string(),
        _ => column.texts(facts).collect::<Vec<_>>().join(" "),
    }
}

/// A cell that no spreadsheet takes for a formula: those begin with one of these, also in their full width.
pub fn cell(value: &str) -> String {
    let opens = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    let guard = if value.starts_with(opens) { "'" } else { "" };
    if value.contains([',', '"', '\n', '\r']) {
        return format!("\"{guard}{}\"", value.replace('"', "\"\""));
    }
    format!("{guard}{value}")
}

/// A record's columns as an object, without those that are empty; `record` is the record as it was delivered.
pub fn json_line(facts: &Facts<'_>) -> Value {
    let mut line = Map::new();
    for column in ALL {
        let value = match column.kind() {
            Kind::Time => json!(facts.event_time),
            Kind::Number => json!(facts.source_index),
            Kind::Flag => json!(column.flag(facts)),
            Kind::Texts => json!(column.texts(facts).collect::<Vec<_>>()),
            Kind::Text if column == Column::Json => continue,
            Kind::Text => json!(Some(column.text(facts)).filter(|text| !text.is_empty())),
        };
        if !value.is_null() {
            line.insert(column.name().to_owned(), value);
        }
    }
    if !facts.json.is_empty() {
        let record = serde_json::from_str(&facts.json).unwrap_or_else(|_| json!(facts.json));
        line.insert("record".to_owned(), record);
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_disarmed() {
        assert_eq!(cell("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(cell("@SUM(1,\"2\")"), "\"'@SUM(1,\"\"2\"\")\"");
        assert_eq!(cell("-"), "'-");
        assert_eq!(cell("\tx"), "'\tx");
        assert_eq!(cell("alice"), "alice");
        assert_eq!(cell("a\r\nb"), "\"a\r\nb\"");
    }

    #[test]
    fn a_line_has_a_cell_for_each_heading() {
        let facts = Facts { actor_name: "a,b".into(), ..Facts::default() };
        assert!(csv_line(&facts).starts_with("1970-01-01T00:00:00Z,\"a,b\","));
        assert_eq!(csv_line(&Facts::default()).matches(',').count(), csv_heading().matches(',').count());
    }

    #[test]
    fn an_object_holds_what_is_there() {
        let facts = Facts { json: r#"{"eventName":"X"}"#.into(), account: "1".into(), ..Facts::default() };
        let line = json_line(&facts);
        assert_eq!(line["record"]["eventName"], "X");
        assert_eq!(line["account"], "1");
        assert!(line.get("error_code").is_none());
    }
}
