//! Queries over parts and hot files together.
//!
//! Days are read newest first. Of a day the hot files are listed before the parts: what is gone from the one is in the
//! other. Filters look at columns first, then at times; all other columns are read of the records of the answer alone.

pub(crate) mod cache;
mod chunk;
mod filter;
mod footer;
mod hot;
mod lookup;
mod plan;
mod prune;
mod scan;
mod source;
mod tally;
mod top;
mod usage;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use trail::facts::Facts;
use trail::time::Time;

use crate::answer::{Answer, Content, Cursor, DayContent, Estimate, Outline, Overview, Page};
use crate::error::Error;
use crate::layout::{Day, Lake, Part};
use crate::query::{Field, Filter, Pattern, Query, QueryError, is_unique_id};
use crate::usage::Used;

use scan::{Bounds, Scan};
use source::{Source, Trouble};
use tally::Wanted;
use top::{Found, Search, steadily};
use usage::Census;
use whole::{Count, Counter};

/// Days that are read side by side, at most.
const SIDE_BY_SIDE: usize = 32;

/// Days of which everything is counted side by side: what is known of their actors is memory.
const DAYS_COUNTED: usize = 2;

/// Row groups that days read side by side have together, where that is known: what looked rare may be everywhere.
const GROUPS_SIDE_BY_SIDE: usize = 64;

impl Lake {
    /// The records that match, newest first.
    pub async fn search(&self, query: &Query, page: &Page) -> Result<Answer, Error> {
        self.refuse_too_wide(query, page.budget).await?;
        let source = self.source(page.budget);
        let search = Search {
            lake: self.clone(),
            source: source.clone(),
            query: Arc::new(query.clone()),
            page: Arc::new(page.clone()),
        };
        let mut days = plan::days(self, &source, query).await.map_err(Trouble::into_error)?;
        days.retain(|day| page.after.as_ref().is_none_or(|after| *day <= Day::of(after.time)));
        let mut rows: Vec<Facts<'static>> = Vec::new();
        // What is rare is looked for in all days at once; of what is frequent the newest days have enough.
        let is_rare = query.filters.iter().any(is_needle);
        let (mut days, mut width) = (days.into_iter(), if is_rare { SIDE_BY_SIDE } else { 1 });
        while rows.len() <= page.limit {
            let mut some: Vec<Found> = days.by_ref().take(width).map(Found::from).collect();
            if some.is_empty() {
                break;
            }
            if is_rare {
                some = try_join_all(some.into_iter().map(|found| search.open(found.day))).await?;
            }
            while rows.len() <= page.limit && !some.is_empty() {
                let now = some.drain(..side_by_side(&some));
                rows.extend(try_join_all(now.map(|found| search.day(found))).await?.into_iter().flatten());
            }
            width = (width * 2).min(SIDE_BY_SIDE);
        }
        let more = rows.len() > page.limit;
        rows.truncate(page.limit);
        let next = rows.last().filter(|_| more).map(Cursor::behind);
        Ok(Answer { rows, next, read: source.read() })
    }

    /// How many match, which values they have, and how they lie in time.
    pub async fn overview(&self, query: &Query, outline: Outline<'_>) -> Result<Overview, Error> {
        self.refuse_too_wide(query, outline.budget).await?;
        let source = self.source(outline.budget);
        let wanted = Arc::new(Wanted { fields: outline.facets.to_vec(), times: outline.buckets > 0 });
        let count = Count {
            lake: self.clone(),
            source: source.clone(),
            query: Arc::new(query.clone()),
            counter: wanted.clone(),
        };
        let days = plan::days(self, &source, query).await.map_err(Trouble::into_error)?;
        let mut counted = stream::iter(days).map(|day| count.day(day)).buffer_unordered(SIDE_BY_SIDE);
        let mut all = wanted.nothing();
        while let Some(tally) = counted.try_next().await? {
            wanted.join(&mut all, tally);
        }
        Ok(Overview {
            matched: all.matched,
            span: all.span.map(|(first, last)| (Time(first), Time(last))),
            histogram: all.histogram(query, outline.buckets),
            facets: all.facets(&wanted, outline.top),
            read: source.read(),
        })
    }

    /// What everybody did from a moment on until before another one.
    pub async fn usage(&self, from: Time, to: Time) -> Result<Used, Error> {
        let source = self.source(u64::MAX);
        let query = Query { from: Some(from), to: Some(to), filters: Vec::new() };
        let days = plan::days(self, &source, &query).await.map_err(Trouble::into_error)?;
        let census = Arc::new(Census);
        let count =
            Count { lake: self.clone(), source: source.clone(), query: Arc::new(query), counter: census.clone() };
        let mut counted = stream::iter(days).map(|day| count.day(day)).buffer_unordered(DAYS_COUNTED);
        let mut all = census.nothing();
        while let Some(actors) = counted.try_next().await? {
            census.join(&mut all, actors);
        }
        Ok(Used { actors: all.usage(), read: source.read() })
    }

    /// One record. Knowing its day makes it one day's work. Where it is not found and a file cannot be read, that is an
    /// error: nobody knows that it is not there.
    pub async fn record(&self, day: Option<Day>, account: &str, id: &str) -> Result<Option<Facts<'static>>, Error> {
        let mut query = Query::of([("id", id), ("account", account)])?;
        query.from = day.map(Day::start);
        query.to = day.map(Day::end);
        let answer = self.search(&query, &Page { limit: 1, json: true, ..Page::default() }).await?;
        match (answer.rows.into_iter().next(), answer.read.skipped.into_iter().next()) {
            (None, Some((object, why))) => Err(Error::file(object, format!("{why}; the record may be in it"))),
            (found, _) => Ok(found),
        }
    }

    /// Which days there are.
    pub async fn content(&self) -> Result<Content, Error> {
        let source = self.source(u64::MAX);
        let mut days: BTreeMap<Day, DayContent> = BTreeMap::new();
        for object in source.list(&self.records(None)).await.map_err(Trouble::into_error)? {
            let is_part = object.location.filename().and_then(Part::parse).is_some();
            if let Some(day) = Self::day_of(&object.location).filter(|_| is_part) {
                let content = days.entry(day).or_default();
                content.bytes += object.size;
                content.parts += 1;
            }
        }
        for object in source.list(&self.hot(None)).await.map_err(Trouble::into_error)? {
            if let Some(day) = Self::day_of(&object.location) {
                days.entry(day).or_default().hot += 1;
            }
        }
        Ok(Content { days: days.into_iter().collect() })
    }

    /// What a query would read if it read all that may match, and not the newest alone.
    pub async fn estimate(&self, query: &Query) -> Result<Estimate, Error> {
        let source = self.source(u64::MAX);
        let scan = Scan { query: Arc::new(query.clone()), bounds: Bounds::of(query, None) };
        let days = plan::days(self, &source, query).await.map_err(Trouble::into_error)?;
        let (source, scan) = (&source, &scan);
        let once = move |day| async move { Ok(scan.weigh(&plan::open(self, source, day, query).await?)) };
        let weigh = |day| steadily(day, move || once(day));
        let mut weighed = stream::iter(days).map(weigh).buffer_unordered(SIDE_BY_SIDE);
        let mut all = Estimate::default();
        while let Some(Estimate { bytes, days, files }) = weighed.try_next().await? {
            all = Estimate { bytes: all.bytes + bytes, days: all.days + days, files: all.files + files };
        }
        Ok(all)
    }

    /// Refuses what can only be answered by reading more than is allowed.
    async fn refuse_too_wide(&self, query: &Query, limit: u64) -> Result<(), Error> {
        if !query.filters.iter().any(is_wide) {
            return Ok(());
        }
        let Estimate { bytes, days, .. } = self.estimate(query).await?;
        if bytes > limit { Err(QueryError::TooWide { bytes, days, limit }.into()) } else { Ok(()) }
    }

    /// The first day that it holds anything of; none of an empty one.
    pub async fn begins(&self) -> Result<Option<Day>, Error> {
        let source = self.source(u64::MAX);
        let days = plan::days(self, &source, &Query::default()).await.map_err(Trouble::into_error)?;
        Ok(days.last().copied())
    }

    fn source(&self, budget: u64) -> Arc<Source> {
        Arc::new(Source::new(self.store.clone(), self.shelves.clone(), budget))
    }
}

/// How many of the days are read side by side: as many as have few row groups together, and at least one.
fn side_by_side(days: &[Found]) -> usize {
    let mut groups = 0;
    let few = days.iter().take_while(|found| {
        groups += found.groups;
        groups <= GROUPS_SIDE_BY_SIDE
    });
    few.count().max(1)
}

/// Whether a filter has to look at all there is.
fn is_wide(filter: &Filter) -> bool {
    let starts_open = |pattern: &Pattern| matches!(pattern, Pattern::Glob(glob) if glob.starts_with(['*', '?']));
    filter.field == Field::Text || !filter.negated && filter.any.iter().any(starts_open)
}

/// Whether few records match, as a rule.
fn is_needle(filter: &Filter) -> bool {
    let is_rare = |pattern: &Pattern| match pattern {
        Pattern::Named(name) => is_unique_id(name.rsplit(['/', ':']).next().unwrap_or(name)),
        Pattern::Equal(_) | Pattern::Same(_) => {
            matches!(filter.field, Field::AccessKey | Field::IssuedKey | Field::Id | Field::RequestId | Field::SharedId)
        }
        _ => false,
    };
    !filter.negated && filter.any.iter().all(is_rare)
}
