//! What subjects are given, and whether it makes administrators of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Grant, GrantKind};
use crate::access::{Given, Principal};
use crate::policy::Policy;
use crate::policy::power::{Gift, Power, managed_by_aws};

/// What policies give together, each combination judged once: many people have the same.
#[derive(Debug, Default)]
pub(super) struct Gifts<'i> {
    known: HashMap<Vec<(usize, &'i str)>, Gift>,
}

impl<'i> Gifts<'i> {
    /// Whether these policies together are as good as administration, and by which of their words. A boundary narrows
    /// that down, by how much is not judged here: it is named, and the mark stays.
    pub(super) fn judge(&mut self, given: &[&'i Given], boundary: Option<&Given>) -> (bool, Vec<String>) {
        let identity = |given: &&'i Given| {
            let document = given.document.as_ref().map_or(0, |document| Arc::as_ptr(document) as usize);
            (document, given.name.as_str())
        };
        let key: Vec<_> = given.iter().map(identity).collect();
        let gift = self.known.entry(key).or_insert_with(|| together(given));
        if gift.power < Power::Escalating {
            return (false, Vec::new());
        }
        let within = boundary.map(|boundary| format!("within the boundary {}", boundary.name));
        (true, gift.through.iter().cloned().chain(within).collect())
    }
}

/// What policies give together: a part of what it takes may stand in each. Where AWS's own document was not told, its
/// name is what it is judged by.
fn together(given: &[&Given]) -> Gift {
    let documents = given.iter().filter_map(|given| given.document.as_ref());
    let statements = documents.flat_map(|document| document.statements.iter().cloned()).collect();
    let untold = given.iter().filter(|given| given.document.is_none());
    let by_name = untold.filter_map(|given| {
        Some(Gift { power: managed_by_aws(&given.name)?, through: vec![last_part(&given.name).to_owned()] })
    });
    by_name.fold(Policy { statements }.gift(), |worst, gift| if gift.power > worst.power { gift } else { worst })
}

/// Policies as grants, through a group where they are its.
pub(super) fn policies<'g>(given: impl IntoIterator<Item = &'g Given>, via: &str) -> Vec<Grant> {
    let kind = |given: &Given| if given.inline { GrantKind::InlinePolicy } else { GrantKind::Policy };
    given.into_iter().map(|given| grant(kind(given), &given.name, via)).collect()
}

/// Password and keys as grants.
pub(super) fn credentials(principal: &Principal) -> Vec<Grant> {
    let password = principal.password.iter().map(|_| grant(GrantKind::Password, "password", ""));
    let keys = principal.keys.iter().map(|key| grant(GrantKind::AccessKey, &key.id, ""));
    password.chain(keys).collect()
}

pub(super) fn grant(kind: GrantKind, name: &str, via: &str) -> Grant {
    Grant { kind, name: name.to_owned(), via: via.to_owned() }
}

/// What stands behind the last slash.
pub(super) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
