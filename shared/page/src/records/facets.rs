//! What is beside the table: the most frequent values of each field.

use lake::answer::Facet;
use lake::query::{Field, literally};

use super::table::short_service;
use crate::Viewer;
use crate::address::Address;
use crate::text::{number, plain};

/// What is counted beside the table.
pub(super) const FACETS: [(Field, &str); 10] = [
    (Field::User, "Actor"),
    (Field::Action, "Action"),
    (Field::Service, "Service"),
    (Field::ResourceType, "Resource type"),
    (Field::Resource, "Resource"),
    (Field::Ip, "Address"),
    (Field::Error, "Error"),
    (Field::Account, "Account"),
    (Field::Region, "Region"),
    (Field::AccessKey, "Access key"),
];

/// A facet beside the table.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) title: &'static str,
    pub(super) values: Vec<Value>,
    pub(super) rest: Option<String>,
}

#[derive(Debug)]
pub(super) struct Value {
    pub(super) shown: String,
    pub(super) title: String,
    pub(super) count: String,
    /// Of the most frequent one, in percent.
    pub(super) share: u64,
    pub(super) only: String,
    pub(super) without: String,
    /// As it is typed into the box.
    pub(super) ask: String,
}

pub(super) fn facets(address: &Address, facets: &[Facet], viewer: &Viewer) -> Vec<Counted> {
    let known = FACETS.iter().zip(facets).filter(|(_, facet)| !facet.values.is_empty());
    known.map(|((field, title), facet)| counted(address, (*field, title), facet, viewer)).collect()
}

pub(super) fn counted(
    address: &Address,
    (field, title): (Field, &'static str),
    facet: &Facet,
    viewer: &Viewer,
) -> Counted {
    let most = facet.values.first().map_or(1, |(_, count)| (*count).max(1));
    let value = |(text, count): &(String, u64)| Value {
        shown: match field {
            Field::Service => short_service(text),
            Field::Account => viewer.settings.account_name(text),
            _ => plain(text),
        },
        title: plain(text),
        count: number(*count),
        share: (count * 100 / most).max(1),
        only: address.with(field.name(), &literally(text)).href(),
        without: address.with(field.name(), &format!("!{}", literally(text))).href(),
        ask: if text.contains(char::is_whitespace) {
            format!("{}=\"{}\"", field.name(), literally(text))
        } else {
            format!("{}={}", field.name(), literally(text))
        },
    };
    let more = facet.distinct.saturating_sub(facet.values.len() as u64);
    Counted {
        title,
        values: facet.values.iter().map(value).collect(),
        rest: (more > 0).then(|| format!("{} more", number(more))),
    }
}
