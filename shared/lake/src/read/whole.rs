//! Overviews: all records of a day that match, counted, each once.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, stream};
use parquet::errors::ParquetError;

use super::chunk::{Chunk, Rows};
use super::hot::{self, Whole};
use super::plan::{self, Files, Opened};
use super::scan::{Bounds, Hits, Scan};
use super::source::{Source, Trouble};
use super::tally::{Tally, Wanted};
use super::top::{AT_ONCE, row_groups, steadily};
use crate::columns::Column;
use crate::error::Error;
use crate::layout::{Day, Lake};
use crate::query::Query;

/// An overview, with all that its days have in common.
#[derive(Debug, Clone)]
pub(super) struct Count {
    pub(super) lake: Lake,
    pub(super) source: Arc<Source>,
    pub(super) query: Arc<Query>,
    pub(super) wanted: Arc<Wanted>,
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
#[derive(Debug, Default)]
struct Tallies(Mutex<Vec<Tally>>);

impl Tallies {
    fn count(
        &self,
        wanted: &Wanted,
        count: impl FnOnce(&mut Tally) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut tally = free.unwrap_or_else(|| Tally::of(wanted));
        let counted = count(&mut tally);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(tally);
        counted
    }
}

impl Count {
    /// All of a day.
    pub(super) async fn day(&self, day: Day) -> Result<Tally, Error> {
        steadily(day, || self.once(day)).await
    }

    async fn once(&self, day: Day) -> Result<Tally, Trouble> {
        let Files { parts, hot } = plan::open(&self.lake, &self.source, day, &self.query).await?;
        let scan = Arc::new(Scan { query: self.query.clone(), bounds: Bounds::of(&self.query, None) });
        let (seen, tallies) = (Arc::<Mutex<Seen>>::default(), Arc::<Tallies>::default());
        let mut handfuls = hot::handfuls(hot)
            .map(|handful| {
                let handful = if self.source.is_spent() { Vec::new() } else { handful };
                let (scan, seen, tallies) = (scan.clone(), seen.clone(), tallies.clone());
                let wanted = self.wanted.clone();
                hot::each(&self.source, handful, move |whole| count_hot(&scan, whole, &seen, (&tallies, &wanted)))
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
        let mut all = Tally::of(&self.wanted);
        let tallies = std::mem::take(&mut *tallies.0.lock().unwrap_or_else(PoisonError::into_inner));
        tallies.into_iter().for_each(|tally| all.join(tally));
        Ok(all)
    }

    async fn part(
        &self,
        scan: &Arc<Scan>,
        (part, group): (&Opened, usize),
        seen: &Arc<Mutex<Seen>>,
        tallies: &Arc<Tallies>,
    ) -> Result<(), Trouble> {
        let found = scan.clone().part(&self.source, part, group).await?;
        let chunk = Chunk { footer: part.footer.clone(), group };
        let hits = self.unseen(part, &chunk, found, seen).await?;
        if hits.rows.is_empty() {
            return Ok(());
        }
        let columns = chunk.present(self.wanted.columns());
        let ranges = chunk.ranges(&columns, &Rows::of(&hits.rows, chunk.rows()));
        let pieces = Arc::new(self.source.ranges(&part.object, ranges).await?);
        let (wanted, tallies) = (self.wanted.clone(), tallies.clone());
        let count = move || tallies.count(&wanted, |tally| tally.count(&chunk, &pieces, &hits, &wanted));
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

fn count_hot(
    scan: &Scan,
    whole: &Whole,
    seen: &Mutex<Seen>,
    (tallies, wanted): (&Tallies, &Wanted),
) -> Result<(), ParquetError> {
    for (chunk, mut hits) in hot::hits(scan, whole)? {
        let hashers = seen.lock().unwrap_or_else(PoisonError::into_inner).hashers.clone();
        let name = |account: &str, id: &str| Seen::name(&hashers, account, id);
        let names = hot::identities(&chunk, &whole.pieces, &hits.rows, name)?;
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let mut names = names.into_iter();
            hits.leave(|_| names.next().is_some_and(|name| seen.identities.insert(name)));
            seen.times.extend(hits.times.iter().copied());
        }
        tallies.count(wanted, |tally| tally.count(&chunk, &whole.pieces, &hits, wanted))?;
    }
    Ok(())
}
