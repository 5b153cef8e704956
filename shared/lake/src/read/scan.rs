//! The rows of a row group that match: columns of filters first, then times, all else not at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use parquet::errors::ParquetError;
use trail::facts::Facts;

use super::chunk::{Chunk, Rows, Shape};
use super::filter::{Sieve, times};
use super::plan::{Files, Opened};
use super::source::{Pieces, Source, Trouble};
use super::top::{Group, row_groups};
use crate::answer::{Cursor, Estimate};
use crate::columns::{Column, Kind};
use crate::query::{Field, Filter, Query};
use crate::rows;

/// Seconds that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The first.
    from: i64,
    /// The last.
    last: i64,
    /// That of the cursor. Which of its records come after the cursor is known by their ids alone.
    pub(super) cursor: Option<i64>,
}

impl Bounds {
    pub(super) fn of(query: &Query, after: Option<&Cursor>) -> Self {
        let last = query.to.map_or(i64::MAX, |to| to.0.saturating_sub(1));
        let cursor = after.map(|cursor| cursor.time.0);
        Self {
            from: query.from.map_or(i64::MIN, |from| from.0),
            last: cursor.map_or(last, |cursor| cursor.min(last)),
            cursor,
        }
    }

    /// Whether a second between these counts.
    pub(super) fn meet(&self, min: i64, max: i64) -> bool {
        min <= self.last && max >= self.from
    }

    fn hold(&self, time: i64) -> bool {
        time >= self.from && time <= self.last
    }
}

/// What is looked for in each row group.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) query: Arc<Query>,
    pub(super) bounds: Bounds,
}

/// Rows that match.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// Rows of the row group, in order.
    pub(super) rows: Vec<u32>,
    /// The second of each.
    pub(super) times: Vec<i64>,
}

impl Hits {
    /// Leaves the rows of a second and all later ones.
    pub(super) fn keep_since(&mut self, oldest: i64) {
        let times = self.times.clone();
        let mut times = times.into_iter();
        self.leave(|_| times.next().is_some_and(|time| time >= oldest));
    }

    /// Leaves the rows that are wanted.
    pub(super) fn leave(&mut self, mut is_wanted: impl FnMut(u32) -> bool) {
        let keep: Vec<bool> = self.rows.iter().map(|row| is_wanted(*row)).collect();
        let mut kept = keep.iter();
        self.rows.retain(|_| kept.next().is_some_and(|keep| *keep));
        let mut kept = keep.iter();
        self.times.retain(|_| kept.next().is_some_and(|keep| *keep));
    }
}

impl Scan {
    /// The filters, the cheap ones first; those that look into the JSON apart.
    fn filters(&self) -> (Vec<&Filter>, Vec<&Filter>) {
        let (texts, mut columns): (Vec<&Filter>, _) =
            self.query.filters.iter().partition(|filter| filter.field == Field::Text);
        columns.sort_by_key(|filter| match filter.field.columns() {
            [column] if column.kind() == Kind::Flag => 0,
            [column] if column.kind() == Kind::Texts => 3,
            [Column::EventId | Column::RequestId | Column::SharedEventId] => 4,
            [_] => 1,
            _ => 2,
        });
        (columns, texts)
    }

    /// What is read of each row group, whatever matches.
    pub(super) fn columns(&self, chunk: &Chunk) -> Vec<Column> {
        let filters = self.query.filters.iter().filter(|filter| filter.field != Field::Text);
        let wanted = filters.flat_map(|filter| filter.field.columns().iter().copied());
        chunk.present(wanted.chain([Column::EventTime]))
    }

    /// What it would read of a day.
    pub(super) fn weigh(&self, files: &Files) -> Estimate {
        let groups = row_groups(&files.parts, self);
        let size = |(part, group): &Group| {
            let chunk = Chunk { footer: files.parts[*part].footer.clone(), group: *group };
            let json = self.needs_json().then_some(Column::Json);
            let columns = chunk.present(self.columns(&chunk).into_iter().chain(json));
            chunk.ranges(&columns, &Rows::All).iter().map(|range| range.end - range.start).sum::<u64>()
        };
        let hot: u64 = files.hot.iter().map(|object| object.size).sum();
        let parts: BTreeSet<usize> = groups.iter().map(|(part, _)| *part).collect();
        let count = parts.len() + files.hot.len();
        Estimate { bytes: hot + groups.iter().map(size).sum::<u64>(), days: usize::from(count > 0), files: count }
    }

    /// Whether the JSON has to be looked at.
    pub(super) fn needs_json(&self) -> bool {
        self.query.filters.iter().any(|filter| filter.field == Field::Text)
    }

    /// The rows that match by their columns.
    pub(super) fn by_columns(&self, chunk: &Chunk, pieces: &Arc<Pieces>) -> Result<Hits, ParquetError> {
        let mut rows: Vec<u32> = (0..u32::try_from(chunk.rows()).unwrap_or(u32::MAX)).collect();
        for filter in self.filters().0 {
            let columns = chunk.present(filter.field.columns().iter().copied());
            let batch = chunk.decode(pieces, &columns, Shape::Distinct, &Rows::All)?;
            Sieve::of(filter, &batch)?.sift(&mut rows);
            if rows.is_empty() {
                return Ok(Hits::default());
            }
        }
        let times = times(&chunk.decode(pieces, &[Column::EventTime], Shape::Distinct, &Rows::All)?)?;
        rows.retain(|row| self.bounds.hold(times[*row as usize]));
        let times = rows.iter().map(|row| times[*row as usize]).collect();
        Ok(Hits { rows, times })
    }

    /// Leaves those that match by their JSON, too; `pieces` hold it for these rows.
    pub(super) fn by_json(&self, chunk: &Chunk, pieces: &Arc<Pieces>, hits: &mut Hits) -> Result<(), ParquetError> {
        let how = Rows::of(&hits.rows, chunk.rows());
        let batch = chunk.decode(pieces, &chunk.present([Column::Json]), Shape::Plain, &how)?;
        let filters = self.filters().1;
        let sieves: Vec<Sieve<'_>> =
            filters.iter().map(|filter| Sieve::of(filter, &batch)).collect::<Result<_, _>>()?;
        let keep: Vec<bool> =
            how.places(&hits.rows).map(|(at, _)| sieves.iter().all(|sieve| sieve.keeps(at))).collect();
        let mut keep = keep.into_iter();
        hits.leave(|_| keep.next().unwrap_or(false));
        Ok(())
    }

    /// The rows of a row group of a part that match. None were read where the budget is used up.
    pub(super) async fn part(self: Arc<Self>, source: &Source, part: &Opened, group: usize) -> Result<Hits, Trouble> {
        let chunk = Chunk { footer: part.footer.clone(), group };
        if source.is_spent() {
            return Ok(Hits::default());
        }
        let _lane = source.lanes.acquire().await;
        let path = &part.object.location;
        let ranges = chunk.ranges(&self.columns(&chunk), &Rows::All);
        let pieces = Arc::new(source.ranges(&part.object, ranges).await?);
        let (scan, of, data) = (self.clone(), chunk.clone(), pieces.clone());
        let mut hits = source.work(path, move || scan.by_columns(&of, &data)).await?;
        if self.needs_json() && !hits.rows.is_empty() {
            let ranges = chunk.ranges(&chunk.present([Column::Json]), &Rows::of(&hits.rows, chunk.rows()));
            let json = Arc::new(source.ranges(&part.object, ranges).await?);
            let of = chunk.clone();
            let scan = self.clone();
            hits = source.work(path, move || scan.by_json(&of, &json, &mut hits).map(|()| hits)).await?;
        }
        Ok(hits)
    }
}

/// The facts of some rows. `pieces` hold the columns for these rows.
pub(super) fn facts(
    chunk: &Chunk,
    pieces: &Arc<Pieces>,
    columns: &[Column],
    rows: &[u32],
) -> Result<Vec<Facts<'static>>, ParquetError> {
    let how = Rows::of(rows, chunk.rows());
    let batch = chunk.decode(pieces, columns, Shape::Plain, &how)?;
    let places: Vec<usize> = how.places(rows).map(|(at, _)| at).collect();
    Ok(rows::facts(&batch, &places))
}
