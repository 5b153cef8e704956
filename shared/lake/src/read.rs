//! Queries over parts and hot files together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use trail::facts::Facts;

use crate::answer::{Answer, Bucket, Content, Cursor, DayContent, Facet, Outline, Overview, Page, Read};
use crate::error::Error;
use crate::layout::{Day, Lake};
use crate::query::{Field, Query};
use crate::rows;

impl Lake {
    /// The records that match, newest first.
    pub async fn search(&self, query: &Query, page: &Page) -> Result<Answer, Error> {
        let (mut rows, read) = self.linear(query).await?;
        rows.retain(|facts| page.after.as_ref().is_none_or(|cursor| cursor.is_before(facts)));
        rows.sort_by(|a, b| order(b).cmp(&order(a)));
        let more = rows.len() > page.limit;
        rows.truncate(page.limit);
        let next = rows.last().filter(|_| more).map(Cursor::behind);
        Ok(Answer { rows, next, read })
    }

    /// How many match, which values they have, and how they lie in time.
    pub async fn overview(&self, query: &Query, outline: Outline<'_>) -> Result<Overview, Error> {
        let (rows, read) = self.linear(query).await?;
        let facets = outline.facets.iter().map(|field| facet(*field, &rows, outline.top)).collect();
        let span = rows.iter().map(|facts| facts.event_time).min().zip(rows.iter().map(|facts| facts.event_time).max());
        let histogram = span.map_or_else(Vec::new, |span| histogram(query, span, outline.buckets, &rows));
        Ok(Overview { matched: rows.len() as u64, span, facets, histogram, read })
    }

    /// One record. Knowing its day makes it one day's work.
    pub async fn record(&self, day: Option<Day>, account: &str, id: &str) -> Result<Option<Facts<'static>>, Error> {
        let mut query = Query::of([("id", id), ("account", account)])?;
        query.from = day.map(Day::start);
        query.to = day.map(Day::end);
        let answer = self.search(&query, &Page { limit: 1, json: true, ..Page::default() }).await?;
        Ok(answer.rows.into_iter().next())
    }

    /// Which days there are.
    pub async fn content(&self) -> Result<Content, Error> {
        let mut days: BTreeMap<Day, DayContent> = BTreeMap::new();
        for (path, bytes) in self.list(&self.records(None)).await? {
            if let Some(day) = Self::day_of(&path) {
                let content = days.entry(day).or_default();
                content.bytes += bytes;
                content.parts += 1;
            }
        }
        for (path, _) in self.list(&self.hot(None)).await? {
            if let Some(day) = Self::day_of(&path) {
                days.entry(day).or_default().hot += 1;
            }
        }
        Ok(Content { days: days.into_iter().collect() })
    }

    async fn list(&self, prefix: &Path) -> Result<Vec<(Path, u64)>, Error> {
        let found = self.store.list(Some(prefix)).map_ok(|meta| (meta.location, meta.size));
        found.try_collect().await.map_err(|error| Error::store(prefix, error))
    }

    async fn linear(&self, query: &Query) -> Result<(Vec<Facts<'static>>, Read), Error> {
        let mut found = BTreeMap::new();
        let mut read = Read::default();
        let mut paths = self.list(&self.hot(None)).await?;
        paths.extend(self.list(&self.records(None)).await?);
        for (path, bytes) in paths {
            read.files += 1;
            read.bytes += bytes;
            match self.rows(&path).await {
                Ok(rows) => {
                    let matching = rows.into_iter().filter(|facts| query.matches(facts));
                    found.extend(matching.map(|facts| ((facts.account.clone(), facts.event_id.clone()), facts)));
                }
                Err(Error::Store { object, source }) => return Err(Error::Store { object, source }),
                Err(error) => read.skipped.push((path.to_string(), error.to_string())),
            }
        }
        Ok((found.into_values().collect(), read))
    }

    async fn rows(&self, path: &Path) -> Result<Vec<Facts<'static>>, Error> {
        let found = self.store.get(path).await.map_err(|error| Error::store(path, error))?;
        let bytes = found.bytes().await.map_err(|error| Error::store(path, error))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(ParquetRecordBatchReaderBuilder::build);
        let batches = reader.map_err(|error| Error::file(path, error))?;
        let mut all = Vec::new();
        for batch in batches {
            all.extend(rows::facts(&batch.map_err(|error| Error::file(path, error))?));
        }
        Ok(all)
    }
}

fn order<'f>(facts: &'f Facts<'_>) -> (trail::time::Time, &'f str, &'f str) {
    (facts.event_time, &facts.account, &facts.event_id)
}

fn facet(field: Field, rows: &[Facts<'static>], top: usize) -> Facet {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for facts in rows {
        let texts: BTreeSet<&str> = field.counted().texts(facts).collect();
        texts.into_iter().for_each(|text| *counts.entry(text).or_default() += 1);
    }
    let distinct = counts.len() as u64;
    let mut values: Vec<(String, u64)> = counts.into_iter().map(|(text, n)| (text.to_owned(), n)).collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    values.truncate(top);
    Facet { field, values, distinct }
}

fn histogram(
    query: &Query,
    span: (trail::time::Time, trail::time::Time),
    buckets: usize,
    rows: &[Facts<'static>],
) -> Vec<Bucket> {
    const STEPS: [i64; 11] = [60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400];
    if buckets == 0 {
        return Vec::new();
    }
    let (from, to) = (query.from.unwrap_or(span.0), query.to.unwrap_or(trail::time::Time(span.1.0 + 1)));
    let wanted = i64::try_from(buckets).unwrap_or(i64::MAX);
    let seconds = STEPS.into_iter().find(|step| (to.0 - from.0) / step <= wanted).unwrap_or(STEPS[10]);
    let first = from.floor(seconds);
    let count = usize::try_from((to.0 - 1 - first.0) / seconds + 1).unwrap_or(0);
    let starts = (0..).map(|step| trail::time::Time(first.0 + step * seconds)).take(count);
    let mut all: Vec<Bucket> = starts.map(|start| Bucket { start, seconds, ..Bucket::default() }).collect();
    for facts in rows {
        let at = usize::try_from((facts.event_time.0 - first.0) / seconds).unwrap_or(0);
        if let Some(bucket) = all.get_mut(at) {
            bucket.total += 1;
            bucket.errors += u64::from(!facts.error_code.is_empty());
            bucket.writes += u64::from(!facts.read_only);
        }
    }
    all
}
