//! What is above the table: spans of time, switches, filters, questions.

use crate::address::{Address, Kind, SPANS, Span, is_switch};
use crate::ask;
use crate::presets;
use crate::text::plain;
use lake::questions::{ALL, Question};

/// Something that can be chosen.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) href: String,
    pub(super) on: bool,
}

/// A filter in force.
#[derive(Debug)]
pub(super) struct Chip {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) negated: bool,
    pub(super) remove: String,
    pub(super) turn: Option<String>,
    pub(super) instead: Vec<Choice>,
}

/// A question, and what it needs.
#[derive(Debug)]
pub(super) struct Asks {
    pub(super) question: &'static Question,
    pub(super) href: String,
    pub(super) kept: Vec<(String, String)>,
}

pub(super) fn spans(address: &Address) -> Vec<Choice> {
    let choice = |(at, (name, _)): (usize, &(&str, i64))| Choice {
        name: (*name).to_owned(),
        href: address.during(Span::Last(at)).href(),
        on: address.span == Span::Last(at),
    };
    SPANS.iter().enumerate().map(choice).collect()
}

pub(super) fn chips(address: &Address) -> Vec<Chip> {
    let shown = address.filters.iter().enumerate().filter(|(_, (name, value))| !is_switched(name, value));
    shown.map(|(at, (name, value))| chip(address, at, (name, value))).collect()
}

pub(super) fn chip(address: &Address, at: usize, (name, value): (&str, &str)) -> Chip {
    let (negated, bare) = value.strip_prefix('!').map_or((false, value), |bare| (true, bare));
    let put = |name: &str, value: String| {
        let name = name.to_owned();
        address.but(|other| other.filters[at] = (name, value)).href()
    };
    let other = if negated { bare.to_owned() } else { format!("!{value}") };
    let instead = ask::also(name).iter().map(|name| Choice {
        name: (*name).to_owned(),
        href: put(name, value.to_owned()),
        on: false,
    });
    Chip {
        name: name.to_owned(),
        value: plain(bare),
        negated,
        remove: address.but(|other| drop(other.filters.remove(at))).href(),
        turn: (!is_switch(name)).then(|| put(name, other)),
        instead: instead.collect(),
    }
}

/// Filters that have a switch of their own.
pub(super) const SWITCHES: [(&str, &str, &str); 4] = [
    ("errors", "error", "*"),
    ("hide services", "services", "no"),
    ("console", "console", "yes"),
    ("root", "root", "yes"),
];

pub(super) fn is_switched(name: &str, value: &str) -> bool {
    SWITCHES.iter().any(|(_, known, on)| *known == name && *on == value)
}

pub(super) fn switches(address: &Address) -> Vec<Choice> {
    let writes = address.kind == Kind::Writes;
    let turned = if writes { Kind::All } else { Kind::Writes };
    let first =
        Choice { name: "writes only".to_owned(), href: address.but(|other| other.kind = turned).href(), on: writes };
    let others = SWITCHES.iter().map(|(title, name, value)| Choice {
        name: (*title).to_owned(),
        href: address.switched(name, value).href(),
        on: address.has(name, value),
    });
    std::iter::once(first).chain(others).collect()
}

pub(super) fn questions(address: &Address) -> Vec<Asks> {
    let asks = |question: &'static Question| Asks {
        question,
        href: presets::href(question, &address.span),
        kept: presets::kept(question, &address.span),
    };
    ALL.iter().map(asks).collect()
}
