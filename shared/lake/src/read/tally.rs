//! Counting: values of fields, and records a minute.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use parquet::errors::ParquetError;
use trail::time::Time;

use super::chunk::{Chunk, Rows, Shape};
use super::filter::{Values, span};
use super::scan::Hits;
use super::source::Pieces;
use super::whole::Counter;
use crate::answer::{Bucket, Facet};
use crate::columns::Column;
use crate::query::{Field, Query};

/// Seconds of the finest span that is counted by; all others are made of it.
const MINUTE: i64 = 60;

/// Spans of a histogram, in seconds.
const STEPS: [i64; 11] = [60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400];

/// What is to be counted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) fields: Vec<Field>,
    pub(super) times: bool,
}

impl Counter for Wanted {
    type Tally = Tally;

    fn columns(&self) -> Vec<Column> {
        let times = self.times.then_some([Column::ErrorCode, Column::ReadOnly]);
        self.fields.iter().map(|field| field.counted()).chain(times.into_iter().flatten()).collect()
    }

    fn nothing(&self) -> Tally {
        Tally { fields: vec![HashMap::new(); self.fields.len()], ..Tally::default() }
    }

    fn count(&self, tally: &mut Tally, chunk: &Chunk, pieces: &Arc<Pieces>, hits: &Hits) -> Result<(), ParquetError> {
        tally.count(chunk, pieces, hits, self)
    }

    fn join(&self, tally: &mut Tally, other: Tally) {
        tally.join(other);
    }
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) matched: u64,
    pub(super) span: Option<(i64, i64)>,
    /// Records, those with an error, and those that changed something, by minute.
    minutes: BTreeMap<i64, [u64; 3]>,
    fields: Vec<HashMap<Box<str>, u64>>,
}

impl Tally {
    fn count(&mut self, chunk: &Chunk, pieces: &Arc<Pieces>, hits: &Hits, wanted: &Wanted) -> Result<(), ParquetError> {
        let (Some(first), Some(last)) = (hits.times.iter().min(), hits.times.iter().max()) else { return Ok(()) };
        let columns = chunk.present(wanted.columns());
        let how = Rows::of(&hits.rows, chunk.rows());
        let decode = || chunk.decode(pieces, &columns, Shape::Distinct, &how);
        let batch = if columns.is_empty() { None } else { Some(decode()?) };
        let places: Vec<usize> = how.places(&hits.rows).map(|(at, _)| at).collect();
        self.matched += hits.rows.len() as u64;
        self.widen((*first, *last));
        if wanted.times {
            self.count_minutes(batch.as_ref(), &places, hits, (*first, *last))?;
        }
        let Some(batch) = batch else { return Ok(()) };
        for (counts, field) in self.fields.iter_mut().zip(&wanted.fields) {
            if let Some(values) = Values::of(&batch, field.counted())? {
                count_values(counts, &values, &places);
            }
        }
        Ok(())
    }

    fn widen(&mut self, (first, last): (i64, i64)) {
        self.span = Some(self.span.map_or((first, last), |(from, to)| (from.min(first), to.max(last))));
    }

    fn count_minutes(
        &mut self,
        batch: Option<&RecordBatch>,
        places: &[usize],
        hits: &Hits,
        (first, last): (i64, i64),
    ) -> Result<(), ParquetError> {
        let start = first.div_euclid(MINUTE);
        let length = usize::try_from(last.div_euclid(MINUTE) - start + 1).unwrap_or(0);
        let failed = failed(batch, places)?;
        let reads = batch.and_then(|batch| batch.column_by_name(Column::ReadOnly.name()));
        let reads = reads.and_then(|reads| reads.as_boolean_opt());
        let only_reads = |at: usize| reads.is_some_and(|reads| reads.is_valid(at) && reads.value(at));
        // The rows of a file are of one day: what is damaged beyond that is counted one by one.
        let mut dense = vec![[0_u64; 3]; if length <= 2 * 1440 { length } else { 0 }];
        for ((time, at), failed) in hits.times.iter().zip(places).zip(failed) {
            let minute = time.div_euclid(MINUTE);
            let place = usize::try_from(minute - start).ok().and_then(|at| dense.get_mut(at));
            let [all, errors, writes] = place.unwrap_or_else(|| self.minutes.entry(minute).or_default());
            *all += 1;
            *errors += u64::from(failed);
            *writes += u64::from(!only_reads(*at));
        }
        for (minute, counts) in (start..).zip(dense).filter(|(_, counts)| counts[0] > 0) {
            add(self.minutes.entry(minute).or_default(), counts);
        }
        Ok(())
    }

    /// Takes up another one of the same fields.
    fn join(&mut self, other: Self) {
        self.matched += other.matched;
        if let Some(span) = other.span {
            self.widen(span);
        }
        for (minute, counts) in other.minutes {
            add(self.minutes.entry(minute).or_default(), counts);
        }
        for (mine, theirs) in self.fields.iter_mut().zip(other.fields) {
            if mine.is_empty() {
                *mine = theirs;
            } else {
                theirs.into_iter().for_each(|(value, count)| *mine.entry(value).or_default() += count);
            }
        }
    }

    /// The most frequent values of each field.
    pub(super) fn facets(&mut self, wanted: &Wanted, top: usize) -> Vec<Facet> {
        let fields = std::mem::take(&mut self.fields);
        let facet = |(field, counts): (&Field, HashMap<Box<str>, u64>)| {
            let distinct = counts.len() as u64;
            let mut values: Vec<(String, u64)> = counts.into_iter().map(|(text, n)| (text.into(), n)).collect();
            values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            values.truncate(top);
            Facet { field: *field, values, distinct }
        };
        wanted.fields.iter().zip(fields).map(facet).collect()
    }

    /// About so many spans from the query's beginning to its end, or that of what was found.
    pub(super) fn histogram(&self, query: &Query, buckets: usize) -> Vec<Bucket> {
        let Some(span) = self.span.filter(|_| buckets > 0) else { return Vec::new() };
        let from = query.from.map_or(span.0, |from| from.0);
        let to = query.to.map_or(span.1.saturating_add(1), |to| to.0);
        let wanted = i64::try_from(buckets).unwrap_or(i64::MAX);
        let fits = |step: &i64| to.saturating_sub(from) / step <= wanted;
        let seconds = STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1]);
        let first = Time(from).floor(seconds).0;
        let count = usize::try_from((to - 1).saturating_sub(first) / seconds + 1).unwrap_or(0);
        let starts = (0..).map(|step| Time(first + step * seconds)).take(count);
        let mut all: Vec<Bucket> = starts.map(|start| Bucket { start, seconds, ..Bucket::default() }).collect();
        for (minute, [total, errors, writes]) in &self.minutes {
            let at = usize::try_from((minute * MINUTE).max(first).saturating_sub(first) / seconds);
            if let Some(bucket) = at.ok().and_then(|at| all.get_mut(at)) {
                bucket.total += total;
                bucket.errors += errors;
                bucket.writes += writes;
            }
        }
        all
    }
}

fn add(to: &mut [u64; 3], counts: [u64; 3]) {
    to.iter_mut().zip(counts).for_each(|(to, count)| *to += count);
}

/// Which of the rows have an error.
fn failed(batch: Option<&RecordBatch>, places: &[usize]) -> Result<Vec<bool>, ParquetError> {
    let values = batch.map(|batch| Values::of(batch, Column::ErrorCode)).transpose()?.flatten();
    Ok(match values {
        Some(Values::Distinct(keys, texts)) => {
            let is_error: Vec<bool> = texts.iter().map(|text| text.is_some_and(|text| !text.is_empty())).collect();
            let of = |at: &usize| keys.key(*at).is_some_and(|key| is_error.get(key).is_some_and(|is| *is));
            places.iter().map(of).collect()
        }
        _ => vec![false; places.len()],
    })
}

fn count_values(counts: &mut HashMap<Box<str>, u64>, values: &Values<'_>, places: &[usize]) {
    match values {
        Values::Distinct(keys, texts) => {
            let mut by_key = vec![0_u64; texts.len()];
            let mut count = |key: usize| by_key.get_mut(key).into_iter().for_each(|count| *count += 1);
            places.iter().filter_map(|at| keys.key(*at)).for_each(&mut count);
            by_key.iter().enumerate().for_each(|(key, count)| take_up(counts, texts.value(key), *count));
        }
        Values::Lists(list, keys, texts) => {
            let mut by_key = vec![0_u64; texts.len()];
            let mut seen = Vec::new();
            for at in places {
                seen.clear();
                seen.extend(span(list, *at).filter_map(|element| keys.key(element)));
                seen.sort_unstable();
                seen.dedup();
                seen.iter().for_each(|key| by_key[*key] += 1);
            }
            by_key.iter().enumerate().for_each(|(key, count)| take_up(counts, texts.value(key), *count));
        }
        Values::Plain(texts) => {
            let valid = places.iter().filter(|at| texts.is_valid(**at));
            valid.for_each(|at| take_up(counts, texts.value(*at), 1));
        }
        Values::PlainLists(list, texts) => {
            let mut seen = BTreeSet::new();
            for at in places {
                seen.clear();
                seen.extend(span(list, *at).map(|element| texts.value(element)));
                seen.iter().for_each(|text| take_up(counts, text, 1));
            }
        }
        Values::Flags(_) => {}
    }
}

fn take_up(counts: &mut HashMap<Box<str>, u64>, text: &str, count: u64) {
    if count == 0 || text.is_empty() {
        return;
    }
    match counts.get_mut(text) {
        Some(so_far) => *so_far += count,
        None => drop(counts.insert(text.into(), count)),
    }
}
