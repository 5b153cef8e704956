//! Down a chain: what a session did, and what it gave out.

use serde::Serialize;
use trail::time::Time;

use super::Seen;
use crate::answer::{Outline, Page};
use crate::error::Error;
use crate::layout::Lake;
use crate::query::{Field, Filter, Pattern, Query};

/// Keys of a session that are followed.
const KEYS: usize = 20;

/// Actions that are counted by name.
const ACTIONS: usize = 20;

/// Levels of keys below the first.
const LEVELS: usize = 2;

/// What a key was used for.
#[derive(Debug, Clone, Serialize)]
pub struct Issued {
    /// The key.
    pub key: String,
    /// The record that gave it out; none of the first.
    pub by: Option<Seen>,
    /// How many records it signed.
    pub records: u64,
    /// The first and the last of them.
    pub span: Option<(Time, Time)>,
    /// Actions and how many records have them, most frequent first.
    pub actions: Vec<(String, u64)>,
    /// What it gave out in its turn, oldest first.
    pub keys: Vec<Issued>,
    /// Whether it gave out more keys, or they are not followed further.
    pub more: bool,
    /// Whether files could not be read, so that something may be missing.
    pub partial: bool,
}

impl Lake {
    /// What a key did and gave out, two levels down. Times that are not given are not bounded.
    pub async fn issued(&self, key: &str, from: Option<Time>, to: Option<Time>) -> Result<Issued, Error> {
        let span = Query { from, to, filters: Vec::new() };
        self.used((key.to_owned(), None), &span, LEVELS).await
    }

    async fn used(&self, (key, by): (String, Option<Seen>), span: &Query, levels: usize) -> Result<Issued, Error> {
        let mut query = span.clone();
        query.filters.push(Filter::of(Field::AccessKey, Pattern::Equal(key.clone())));
        let outline = Outline { facets: &[Field::Action], top: ACTIONS, buckets: 0, budget: Page::default().budget };
        let overview = self.overview(&query, outline).await?;
        query.filters.push(Filter::of(Field::IssuedKey, Pattern::Anything));
        let answer = self.search(&query, &Page { limit: KEYS, ..Page::default() }).await?;
        let mut issued = Issued {
            key,
            by,
            records: overview.matched,
            span: overview.span,
            actions: overview.facets.into_iter().flat_map(|facet| facet.values).collect(),
            keys: Vec::new(),
            partial: overview.read.is_partial() || answer.read.is_partial(),
            more: answer.next.is_some() || levels == 0 && !answer.rows.is_empty(),
        };
        if levels > 0 {
            for facts in answer.rows.iter().rev().filter(|facts| facts.issued_key != issued.key) {
                let next = (facts.issued_key.to_string(), Some(Seen::of(facts)));
                if issued.keys.iter().all(|known| known.key != next.0) {
                    issued.keys.push(Box::pin(self.used(next, span, levels - 1)).await?);
                }
            }
        }
        Ok(issued)
    }
}
