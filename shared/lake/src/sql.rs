//! A query as SQL, for engines that read the lake's files themselves.
//!
//! One text serves Athena (Trino) and `DuckDB`: it uses only what both have. Their `lower` folds letters of all
//! languages where [`Query::matches`] folds those of ASCII alone; there is no other difference.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use trail::time::Time;

use crate::columns::{Column, Kind};
use crate::layout::Day;
use crate::query::{Filter, Pattern, Query, is_unique_id};

/// The table that the statements read.
pub const TABLE: &str = "records";

/// How many records a statement yields at the most.
pub const LIMIT: usize = 1000;

/// What a statement shows of a record.
const SHOWN: [Column; 11] = [
    Column::EventTime,
    Column::Account,
    Column::Region,
    Column::ActorName,
    Column::SourceIp,
    Column::EventSource,
    Column::EventName,
    Column::ErrorCode,
    Column::Resources,
    Column::EventId,
    Column::SourceObject,
];

/// The statement that a query comes to, newest records first.
pub fn sql(query: &Query) -> String {
    let span = span(query);
    let filters = query.filters.iter().map(|filter| of_filter(filter, &span));
    let conditions: Vec<String> = span.iter().cloned().chain(filters).collect();
    let conditions = if conditions.is_empty() { vec!["true".to_owned()] } else { conditions };
    format!(
        "SELECT {}\nFROM {TABLE}\nWHERE {}\nORDER BY event_time DESC, account DESC, event_id DESC\nLIMIT {LIMIT}",
        SHOWN.map(Column::name).join(", "),
        conditions.join("\n  AND ")
    )
}

/// A text as a literal. Neither engine knows escapes within quotes; a NUL has no place in a statement.
pub fn literal(text: &str) -> String {
    let quoted = format!("'{}'", text.replace('\'', "''"));
    if quoted.contains('\0') { format!("({})", quoted.replace('\0', "' || chr(0) || '")) } else { quoted }
}

/// The span of time: whole days by their partitions alone.
fn span(query: &Query) -> Vec<String> {
    let moment = |time: Time| {
        let text = time.to_string().replace('T', " ").replace('Z', "+00:00");
        format!("CAST('{text}' AS timestamp with time zone)")
    };
    let mut conditions = Vec::new();
    if let Some(from) = query.from {
        conditions.push(format!("dt >= '{}'", Day::of(from)));
        if Day::of(from).start() != from {
            conditions.push(format!("event_time >= {}", moment(from)));
        }
    }
    if let Some(to) = query.to {
        if Day::of(to).start() == to {
            conditions.push(format!("dt < '{}'", Day::of(to)));
        } else {
            conditions.push(format!("dt <= '{}'", Day::of(to)));
            conditions.push(format!("event_time < {}", moment(to)));
        }
    }
    conditions
}

fn of_filter(filter: &Filter, span: &[String]) -> String {
    let any = any(filter.field.columns().iter().map(|column| of_column(*column, &filter.any, span)));
    if filter.negated { format!("NOT coalesce({any}, false)") } else { any }
}

fn of_column(column: Column, patterns: &[Pattern], span: &[String]) -> String {
    if column.kind() == Kind::Texts { of_list(column, patterns, span) } else { of_value(column.name(), patterns) }
}

/// Some element of a list. Neither engine's functions over lists are the other's; unnesting is common to both, and a
/// subquery that names the records is what both take.
fn of_list(column: Column, patterns: &[Pattern], span: &[String]) -> String {
    let name = column.name();
    let mut conditions = span.to_vec();
    conditions.push(of_value("element", patterns));
    format!(
        "(account, event_id) IN (\n    SELECT account, event_id FROM {TABLE} CROSS JOIN UNNEST({name}) AS list (element)\n    \
         WHERE {})",
        conditions.join("\n      AND ")
    )
}

/// Some pattern matches the value: those that can be listed in one list.
fn of_value(value: &str, patterns: &[Pattern]) -> String {
    let mut equal = Vec::new();
    let mut same = Vec::new();
    let mut others = Vec::new();
    for pattern in patterns {
        match pattern {
            Pattern::Equal(text) => equal.push(literal(text)),
            Pattern::Same(text) => same.push(literal(&text.to_lowercase())),
            _ => others.push(of_pattern(value, pattern)),
        }
    }
    let lists = [(value.to_owned(), equal), (format!("lower({value})"), same)];
    let listed = lists.into_iter().filter(|(_, texts)| !texts.is_empty()).map(|(value, texts)| one_of(&value, &texts));
    any(listed.chain(others))
}

fn one_of(value: &str, texts: &[String]) -> String {
    match texts {
        [text] => format!("{value} = {text}"),
        _ => format!("{value} IN ({})", texts.join(", ")),
    }
}

fn of_pattern(value: &str, pattern: &Pattern) -> String {
    match pattern {
        Pattern::Anything => format!("{value} <> ''"),
        Pattern::Equal(text) => format!("{value} = {}", literal(text)),
        Pattern::Same(text) => format!("lower({value}) = {}", literal(&text.to_lowercase())),
        Pattern::Holds(text) => format!("strpos(lower({value}), {}) > 0", literal(&text.to_lowercase())),
        Pattern::Glob(glob) => like(&format!("lower({value})"), &glob.to_lowercase()),
        Pattern::Network(IpNet::V4(network)) => within_v4(value, *network),
        Pattern::Network(IpNet::V6(network)) => within_v6(value, *network),
        Pattern::Named(name) => named(value, name),
        Pattern::Flag(flag) => format!("{value} = {flag}"),
    }
}

/// The letters that `LIKE` would take for others.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn like(value: &str, glob: &str) -> String {
    let pattern = escaped(glob).replace('*', "%").replace('?', "_");
    let escape = if pattern.contains('\\') { " ESCAPE '\\'" } else { "" };
    format!("{value} LIKE {}{escape}", literal(&pattern))
}

/// All of an ARN or id, or what stands last in it; of an ARN that is asked for, the id that AWS never gives twice.
fn named(value: &str, name: &str) -> String {
    let mut whole = vec![literal(name)];
    let ids = name.match_indices(['/', ':']).map(|(at, _)| &name[at + 1..]).filter(|id| is_unique_id(id));
    whole.extend(ids.map(literal));
    let last = ["/", ":"].map(|before| {
        let ending = format!("{before}{name}");
        format!("substr({value}, -{}) = {}", ending.chars().count(), literal(&ending))
    });
    any([one_of(value, &whole)].into_iter().chain(last))
}

/// An address within a network, by as many of its numbers as the network decides.
fn within_v4(value: &str, network: Ipv4Net) -> String {
    let (first, last): (Ipv4Addr, Ipv4Addr) = (network.network(), network.broadcast());
    let fields = first.octets().into_iter().zip(last.octets()).enumerate();
    let decided = fields.filter(|(at, (low, high))| *at == 0 || (*low, *high) != (0, 255));
    all(decided.map(|(at, (low, high))| {
        let field = format!("try_cast(split_part({value}, '.', {}) AS integer)", at + 1);
        if low == high { format!("{field} = {low}") } else { format!("{field} BETWEEN {low} AND {high}") }
    }))
}

/// The same of version 6, whose longest run of zeros is left out of the text.
fn within_v6(value: &str, network: Ipv6Net) -> String {
    let (first, last): (Ipv6Addr, Ipv6Addr) = (network.network(), network.broadcast());
    let fields = first.segments().into_iter().zip(last.segments()).enumerate();
    let decided = fields.filter(|(_, (low, high))| (*low, *high) != (0, u16::MAX));
    let is_v6 = format!("strpos({value}, ':') > 0");
    all([is_v6].into_iter().chain(decided.map(|(at, (low, high))| {
        let field = group(value, at + 1);
        if low == high {
            format!("{field} = '{low:04x}'")
        } else {
            format!("{field} BETWEEN '{low:04x}' AND '{high:04x}'")
        }
    })))
}

/// The `at`th group of an address of version 6, from 1, in four digits.
fn group(value: &str, at: usize) -> String {
    let part = |text: &str, mark: &str, at: &str| format!("coalesce(split_part({text}, '{mark}', {at}), '')");
    let (head, tail) = (part(value, "::", "1"), part(value, "::", "2"));
    let in_tail = format!("length({tail}) - length(replace({tail}, ':', '')) + 1");
    // Counted from the end: the last group is the tail's last.
    let from_tail = format!("{at} - 8 + {in_tail}");
    format!(
        "lpad(lower(CASE WHEN {here} <> '' THEN {here} WHEN {tail} <> '' AND {from_tail} > 0 THEN {there} ELSE '0' END), \
         4, '0')",
        here = part(&head, ":", &at.to_string()),
        there = part(&tail, ":", &format!("CAST(greatest({from_tail}, 1) AS integer)")),
    )
}

fn any(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " OR ")
}

fn all(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " AND ")
}

fn joined(conditions: impl IntoIterator<Item = String>, word: &str) -> String {
    let conditions: Vec<String> = conditions.into_iter().collect();
    if conditions.len() == 1 { conditions.concat() } else { format!("({})", conditions.join(word)) }
}

/// The columns as a `CREATE TABLE` or a Glue table names their types.
pub fn glue_type(column: Column) -> &'static str {
    match column.kind() {
        Kind::Time => "timestamp",
        Kind::Text => "string",
        Kind::Flag => "boolean",
        Kind::Texts => "array<string>",
        Kind::Number => "int",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> String {
        sql(&Query::of(pairs.iter().copied()).expect("a query"))
    }

    #[test]
    fn days_are_partitions_and_moments_are_compared() {
        let days = of(&[("from", "2026-11-20"), ("to", "2026-11-21")]);
        assert!(days.contains("WHERE dt >= '2026-11-20'\n  AND dt < '2026-11-21'\nORDER"), "{days}");
        let hours = of(&[("from", "2026-11-20T03:00:00Z"), ("to", "2026-11-20T04:00:00Z")]);
        assert!(hours.contains("dt <= '2026-11-20'"), "{hours}");
        assert!(
            hours.contains("event_time < CAST('2026-11-20 04:00:00+00:00' AS timestamp with time zone)"),
            "{hours}"
        );
    }

    #[test]
    fn what_is_given_stays_a_literal() {
        let hostile = of(&[("user", "x' OR '1'='1"), ("resource", "a'); DROP TABLE records; --"), ("error", "\0'")]);
        assert!(hostile.contains("strpos(lower(actor_name), 'x'' or ''1''=''1') > 0"), "{hostile}");
        assert!(hostile.contains("'a''); DROP TABLE records; --'"), "{hostile}");
        assert!(hostile.contains("('' || chr(0) || '''')"), "{hostile}");
        let quotes = |text: &str| text.matches('\'').count();
        assert_eq!(quotes(&hostile) % 2, 0, "every literal ends: {hostile}");
    }

    #[test]
    fn wildcards_are_no_others_than_asked_for() {
        let globs = of(&[("action", "Get_100%*,List?")]);
        assert!(globs.contains("lower(event_name) LIKE 'get\\_100\\%%' ESCAPE '\\'"), "{globs}");
        assert!(globs.contains("lower(event_name) LIKE 'list_'"), "{globs}");
    }

    #[test]
    fn a_network_is_as_many_numbers_as_it_decides() {
        let network = of(&[("ip", "203.0.112.0/20")]);
        assert!(
            network.contains("try_cast(split_part(source_ip, '.', 3) AS integer) BETWEEN 112 AND 127)"),
            "{network}"
        );
        assert!(!network.contains("'.', 4)"), "{network}");
    }

    #[test]
    fn what_must_not_match_may_be_missing() {
        assert!(of(&[("region", "!eu-west-1")]).contains("NOT coalesce(lower(region) = 'eu-west-1', false)"));
        assert!(of(&[("error", "none")]).contains("NOT coalesce(error_code <> '', false)"));
    }
}
