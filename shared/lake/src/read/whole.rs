//! All records of a day that match, counted in one way or another, each once.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, stream};
use parquet::errors::ParquetError;

use super::chunk::{Chunk, Rows};
use super::hot::{self, Whole};
use super::plan::{self, Files, Opened};
use super::scan::{Bounds, Hits, Scan};
use super::source::{Pieces, Source, Trouble};
use super::top::{AT_ONCE, row_groups, steadily};
use crate::columns::Column;
use crate::error::Error;
use crate::layout::{Day, Lake};
use crate::query::Query;

/// A way of counting.
pub(super) trait Counter: Send + Sync + 'static {
    /// What was counted so far.
    type Tally: Send + 'static;

    /// The columns that this takes.
    fn columns(&self) -> Vec<Column>;

    /// Nothing counted yet.
    fn nothing(&self) -> Self::Tally;

    /// Counts rows of a row group. `pieces` hold the columns, for these rows at least.
    fn count(
        &self,
        tally: &mut Self::Tally,
        chunk: &Chunk,
        pieces: &Arc<Pieces>,
        hits: &Hits,
    ) -> Result<(), ParquetError>;

    /// Takes up what was counted elsewhere.
    fn join(&self, tally: &mut Self::Tally, other: Self::Tally);
}

/// Counting, with all that its days have in common.
#[derive(Debug)]
pub(super) struct Count<C> {
    pub(super) lake: Lake,
    pub(super) source: Arc<Source>,
    pub(super) query: Arc<Query>,
    pub(super) counter: Arc<C>,
}

/// The hot records of a day that were counted.
#[derive(Debug, Default)]
struct Seen {
    identities: HashSet<u128>,
    /// Their seconds: a record of another second is none of them.
    times: HashSet<i64>,
    hashers: [RandomState; 2],
}

impl Seen {
    /// A name for an identity. It is as good as the identity itself: nobody knows the keys, they are of this query.
    fn name(hashers: &[RandomState; 2], account: &str, id: &str) -> u128 {
        let [high, low] = hashers.each_ref().map(|hasher| u128::from(hasher.hash_one((account, id))));
        high << 64 | low
    }
}

/// Tallies that nobody counts into right now.
#[derive(Debug)]
struct Tallies<C: Counter> {
    counter: Arc<C>,
    free: Mutex<Vec<C::Tally>>,
}

impl<C: Counter> Tallies<C> {
    fn of(counter: &Arc<C>) -> Arc<Self> {
        Arc::new(Self { counter: counter.clone(), free: Mutex::default() })
    }

    fn count(&self, chunk: &Chunk, pieces: &Arc<Pieces>, hits: &Hits) -> Result<(), ParquetError> {
        // What a decoder leaves behind that gives up, or panics, is counted for nothing.
        let mut fresh = self.counter.nothing();
        self.counter.count(&mut fresh, chunk, pieces, hits)?;
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut tally = free.unwrap_or_else(|| self.counter.nothing());
        self.counter.join(&mut tally, fresh);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(tally);
        Ok(())
    }

    fn all(&self) -> C::Tally {
        let tallies = std::mem::take(&mut *self.free.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all = self.counter.nothing();
        tallies.into_iter().for_each(|tally| self.counter.join(&mut all, tally));
        all
    }
}

impl<C: Counter> Count<C> {
    /// All of a day.
    pub(super) async fn day(&self, day: Day) -> Result<C::Tally, Error> {
        steadily(day, || self.once(day)).await
    }

    async fn once(&self, day: Day) -> Result<C::Tally, Trouble> {
        let Files { parts, hot } = plan::open(&self.lake, &self.source, day, &self.query).await?;
        let scan = Arc::new(Scan { query: self.query.clone(), bounds: Bounds::of(&self.query, None) });
        let (seen, tallies) = (Arc::<Mutex<Seen>>::default(), Tallies::of(&self.counter));
        let mut handfuls = hot::handfuls(hot)
            .map(|handful| {
                let handful = if self.source.is_spent() { Vec::new() } else { handful };
                let (scan, seen, tallies) = (scan.clone(), seen.clone(), tallies.clone());
                hot::each(&self.source, handful, move |whole| count_hot(&scan, whole, &seen, &tallies))
            })
            .buffer_unordered(4);
        while let Some(counted) = handfuls.next().await {
            counted?;
        }
        let jobs = row_groups(&parts, &scan);
        let mut counted = stream::iter(jobs)
            .map(|(part, group)| self.part(&scan, (&parts[part], group), &seen, &tallies))
            .buffer_unordered(AT_ONCE);
        while let Some(counted) = counted.next().await {
            match counted {
                Ok(()) => {}
                Err(Trouble::File(Error::File { object, why })) => {
                    self.source.skip(&object.as_str().into(), &Error::file(&object, why));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(tallies.all())
    }

    async fn part(
        &self,
        scan: &Arc<Scan>,
        (part, group): (&Opened, usize),
        seen: &Arc<Mutex<Seen>>,
        tallies: &Arc<Tallies<C>>,
    ) -> Result<(), Trouble> {
        let found = scan.clone().part(&self.source, part, group).await?;
        let chunk = Chunk { footer: part.footer.clone(), group };
        let hits = self.unseen(part, &chunk, found, seen).await?;
        if hits.rows.is_empty() {
            return Ok(());
        }
        let columns = chunk.present(self.counter.columns());
        let ranges = chunk.ranges(&columns, &Rows::of(&hits.rows, chunk.rows()));
        let pieces = Arc::new(self.source.ranges(&part.object, ranges).await?);
        let tallies = tallies.clone();
        let count = move || tallies.count(&chunk, &pieces, &hits);
        self.source.work(&part.object.location, count).await
    }

    /// Leaves out what was counted in a hot file. Of a record that a part holds twice, since its bodies differ, the hot
    /// copy stands for one.
    async fn unseen(
        &self,
        part: &Opened,
        chunk: &Chunk,
        mut hits: Hits,
        seen: &Arc<Mutex<Seen>>,
    ) -> Result<Hits, Trouble> {
        let suspects: Vec<u32> = {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = hits.rows.iter().zip(&hits.times);
            rows.filter(|(_, time)| seen.times.contains(time)).map(|(row, _)| *row).collect()
        };
        if suspects.is_empty() {
            return Ok(hits);
        }
        let columns = [Column::EventId, Column::Account];
        let ranges = chunk.ranges(&columns, &Rows::of(&suspects, chunk.rows()));
        let pieces = Arc::new(self.source.ranges(&part.object, ranges).await?);
        let (chunk, seen) = (chunk.clone(), seen.clone());
        let leave_out = move || {
            let hashers = seen.lock().unwrap_or_else(PoisonError::into_inner).hashers.clone();
            let names = hot::identities(&chunk, &pieces, &suspects, |account, id| Seen::name(&hashers, account, id))?;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let known = suspects.iter().zip(names).filter(|(_, name)| seen.identities.remove(name));
            let known: HashSet<u32> = known.map(|(row, _)| *row).collect();
            hits.leave(|row| !known.contains(&row));
            Ok(hits)
        };
        self.source.work(&part.object.location, leave_out).await
    }
}

/// A file counts as a whole: only what was counted is known, so that of a damaged file the copies elsewhere count.
fn count_hot<C: Counter>(
    scan: &Scan,
    whole: &Whole,
    seen: &Mutex<Seen>,
    tallies: &Tallies<C>,
) -> Result<(), ParquetError> {
    for (chunk, mut hits) in hot::hits(scan, whole)? {
        let hashers = seen.lock().unwrap_or_else(PoisonError::into_inner).hashers.clone();
        let name = |account: &str, id: &str| Seen::name(&hashers, account, id);
        let names = hot::identities(&chunk, &whole.pieces, &hits.rows, name)?;
        let mut new: HashSet<u128> = HashSet::with_capacity(names.len());
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let mut names = names.into_iter();
            hits.leave(|_| {
                let name = names.next().filter(|name| seen.identities.insert(*name));
                new.extend(name);
                name.is_some()
            });
            seen.times.extend(hits.times.iter().copied());
        }
        if let Err(error) = tallies.count(&chunk, &whole.pieces, &hits) {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.identities.retain(|name| !new.contains(name));
            return Err(error);
        }
    }
    Ok(())
}
