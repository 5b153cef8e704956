//! The newest records of a day.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use trail::facts::Facts;

use super::chunk::{Chunk, Rows};
use super::hot::{self, Hot};
use super::plan::{self, Files, Opened};
use super::prune;
use super::scan::{self, Bounds, Hits, Scan};
use super::source::{Source, Trouble};
use crate::answer::Page;
use crate::columns::{ALL, Column};
use crate::error::Error;
use crate::layout::{Day, Lake};
use crate::query::Query;

/// Row groups of a day that are under way at a time.
pub(super) const AT_ONCE: usize = 8;

/// Times that a day is listed again, since its files changed while it was read.
const TRIES: usize = 20;

/// A search, with all that its days have in common.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) lake: Lake,
    pub(super) source: Arc<Source>,
    pub(super) query: Arc<Query>,
    pub(super) page: Arc<Page>,
}

/// The order of an answer, backwards: second, account, id.
pub(super) type Key = (i64, String, String);

/// A part, by its place among the opened ones, and a row group of it.
pub(super) type Group = (usize, usize);

/// The rows of a day's parts that may be among the newest, by part and row group.
type Candidates = BTreeMap<Group, Hits>;

/// A record in the making: of a part it is there, of a hot file it is read when it is known to be wanted.
enum Choice {
    Part(Box<Facts<'static>>),
    Hot(hot::Place),
}

/// Does something with a day until its files stay as they are while it is done.
pub(super) async fn steadily<T, F: Future<Output = Result<T, Trouble>>>(
    day: Day,
    mut once: impl FnMut() -> F,
) -> Result<T, Error> {
    for _ in 0..TRIES {
        match once().await {
            Ok(done) => return Ok(done),
            Err(Trouble::Changed) => {}
            Err(Trouble::File(error) | Trouble::Failed(error)) => return Err(error),
        }
    }
    Err(Error::file(format!("dt={day}"), "its files change faster than they can be read: ask again"))
}

/// A day that is searched.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) day: Day,
    /// How many row groups may hold a match, as far as it is known.
    pub(super) groups: usize,
    /// Its files, where they have been looked up.
    files: Option<Files>,
}

impl From<Day> for Found {
    fn from(day: Day) -> Self {
        Self { day, groups: 0, files: None }
    }
}

impl Search {
    /// Looks up what a day is made of, before any of it is read.
    pub(super) async fn open(&self, day: Day) -> Result<Found, Error> {
        let files = steadily(day, || plan::open(&self.lake, &self.source, day, &self.query)).await?;
        let groups = row_groups(&files.parts, &self.scan()).len();
        Ok(Found { day, groups, files: Some(files) })
    }

    /// The newest of a day, one more than the page takes.
    pub(super) async fn day(&self, Found { day, mut files, .. }: Found) -> Result<Vec<Facts<'static>>, Error> {
        steadily(day, || self.once(day, files.take())).await
    }

    fn wanted(&self) -> usize {
        self.page.limit.saturating_add(1)
    }

    fn scan(&self) -> Scan {
        Scan { query: self.query.clone(), bounds: self.bounds() }
    }

    async fn once(&self, day: Day, files: Option<Files>) -> Result<Vec<Facts<'static>>, Trouble> {
        let Files { parts, hot } = match files {
            Some(files) => files,
            None => plan::open(&self.lake, &self.source, day, &self.query).await?,
        };
        let scan = Arc::new(self.scan());
        let hot = Hot { source: &self.source, scan: &scan, page: &self.page }.newest(hot).await?;
        let candidates = self.candidates(&scan, &parts).await?;
        let candidates = self.settle_ties(&parts, candidates).await?;
        let columns = ALL.into_iter().filter(|column| self.page.json || *column != Column::Json);
        let rows = self.facts(&parts, candidates, &columns.collect::<Vec<_>>()).await?;
        self.merge(rows, hot).await
    }

    fn bounds(&self) -> Bounds {
        Bounds::of(&self.query, self.page.after.as_ref())
    }

    /// The rows of the parts that may be among the newest. Of those in one second it is not known yet.
    async fn candidates(&self, scan: &Arc<Scan>, parts: &[Opened]) -> Result<Candidates, Trouble> {
        let jobs = row_groups(parts, scan);
        let mut found = stream::iter(jobs)
            .map(|(part, group)| async move {
                let result = scan.clone().part(&self.source, &parts[part], group).await;
                result.map(|found| ((part, group), found))
            })
            .buffer_unordered(AT_ONCE);
        let mut candidates = Candidates::new();
        let mut held = 0;
        while let Some(result) = found.next().await {
            match result {
                Ok((place, hits)) if !hits.rows.is_empty() => {
                    held += hits.rows.len();
                    candidates.insert(place, hits);
                    if held > self.wanted().saturating_mul(4) {
                        held = self.keep_newest(&mut candidates);
                    }
                }
                Ok(_) => {}
                Err(Trouble::File(error)) => self.skip(error)?,
                Err(trouble) => return Err(trouble),
            }
        }
        self.keep_newest(&mut candidates);
        Ok(candidates)
    }

    fn skip(&self, error: Error) -> Result<(), Trouble> {
        match &error {
            Error::File { object, .. } => {
                self.source.skip(&object.as_str().into(), &error);
                Ok(())
            }
            _ => Err(Trouble::Failed(error)),
        }
    }

    /// Drops what is older than the newest that are wanted, and says how many are left. Records of the cursor's own
    /// second do not count: whether they come after it is not known yet.
    fn keep_newest(&self, candidates: &mut Candidates) -> usize {
        let cursor = self.bounds().cursor;
        let all = candidates.values().flat_map(|group| &group.times).copied();
        let mut times: Vec<i64> = all.filter(|time| Some(*time) != cursor).collect();
        let wanted = self.wanted();
        if times.len() > wanted {
            let (_, oldest, _) = times.select_nth_unstable_by(wanted - 1, |a, b| b.cmp(a));
            let oldest = *oldest;
            candidates.values_mut().for_each(|group| group.keep_since(oldest));
            candidates.retain(|_, group| !group.rows.is_empty());
        }
        candidates.values().map(|group| group.rows.len()).sum()
    }

    /// Where very many share a second, their ids decide, before all of them is read.
    async fn settle_ties(&self, parts: &[Opened], candidates: Candidates) -> Result<Candidates, Trouble> {
        let held: usize = candidates.values().map(|group| group.rows.len()).sum();
        let wanted = self.wanted();
        if held <= wanted.saturating_mul(4).saturating_add(256) {
            return Ok(candidates);
        }
        let places: Vec<(Group, u32)> =
            candidates.iter().flat_map(|(place, group)| group.rows.iter().map(|row| (*place, *row))).collect();
        let identity = [Column::EventTime, Column::EventId, Column::Account];
        let rows = self.facts(parts, candidates, &identity).await?;
        if rows.len() != places.len() {
            return Err(Trouble::Changed);
        }
        let mut keyed: Vec<(Key, (Group, u32))> = rows.iter().map(key).zip(places).collect();
        keyed.retain(|(key, _)| self.is_after_cursor(key));
        keyed.sort_unstable_by(|a, b| b.cmp(a));
        keyed.truncate(wanted);
        let mut left = Candidates::new();
        let chosen: BTreeSet<(Group, u32)> = keyed.iter().map(|(_, place)| *place).collect();
        for (place, row) in chosen {
            let group = left.entry(place).or_default();
            group.rows.push(row);
            group.times.push(0);
        }
        Ok(left)
    }

    fn is_after_cursor(&self, (time, account, id): &Key) -> bool {
        self.page.after.as_ref().is_none_or(|cursor| {
            (*time, account.as_str(), id.as_str()) < (cursor.time.0, cursor.account.as_str(), cursor.id.as_str())
        })
    }

    /// The candidates' facts, in their order.
    async fn facts(
        &self,
        parts: &[Opened],
        candidates: Candidates,
        columns: &[Column],
    ) -> Result<Vec<Facts<'static>>, Trouble> {
        let read = stream::iter(candidates)
            .map(|((part, group), rows)| async move {
                let _lane = self.source.lanes.acquire().await;
                let part = &parts[part];
                let chunk = Chunk { footer: part.footer.clone(), group };
                let columns = chunk.present(columns.iter().copied());
                let ranges = chunk.ranges(&columns, &Rows::of(&rows.rows, chunk.rows()));
                let pieces = Arc::new(self.source.ranges(&part.object, ranges).await?);
                let path = &part.object.location;
                self.source.work(path, move || scan::facts(&chunk, &pieces, &columns, &rows.rows)).await
            })
            .buffered(AT_ONCE);
        let mut all = Vec::new();
        let mut read = std::pin::pin!(read);
        while let Some(rows) = read.next().await {
            match rows {
                Ok(rows) => all.extend(rows),
                Err(Trouble::File(error)) => self.skip(error)?,
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(all)
    }

    /// The newest of both, each once: of a record in a part and in a hot file the part's.
    async fn merge(
        &self,
        rows: Vec<Facts<'static>>,
        hot: Vec<(Key, hot::Place)>,
    ) -> Result<Vec<Facts<'static>>, Trouble> {
        let mut all: Vec<(Key, Choice)> =
            rows.into_iter().map(|facts| (key(&facts), Choice::Part(Box::new(facts)))).collect();
        let known: HashSet<Key> = all.iter().map(|(key, _)| key.clone()).collect();
        all.extend(
            hot.into_iter().filter(|(key, _)| !known.contains(key)).map(|(key, place)| (key, Choice::Hot(place))),
        );
        all.retain(|(key, _)| self.is_after_cursor(key));
        all.sort_by(|(a, _), (b, _)| b.cmp(a));
        all.truncate(self.wanted());
        let rows = stream::iter(all.into_iter().map(|(_, found)| found)).map(|found| async move {
            match found {
                Choice::Part(facts) => Ok(*facts),
                Choice::Hot(place) => hot::read(&self.source, &place, self.page.json).await,
            }
        });
        rows.buffered(AT_ONCE).try_collect().await
    }
}

/// The row groups that may hold a match.
pub(super) fn row_groups(parts: &[Opened], scan: &Scan) -> Vec<Group> {
    let groups = parts
        .iter()
        .enumerate()
        .flat_map(|(part, opened)| (0..opened.footer.metadata.num_row_groups()).map(move |group| (part, group)));
    let may_match = |(part, group): &Group| {
        if parts[*part].groups.as_ref().is_some_and(|groups| !groups.contains(group)) {
            return false;
        }
        let chunk = Chunk { footer: parts[*part].footer.clone(), group: *group };
        prune::may_match(&chunk, &scan.query, &scan.bounds)
    };
    groups.filter(may_match).collect()
}

fn key(facts: &Facts<'_>) -> Key {
    (facts.event_time.0, facts.account.to_string(), facts.event_id.to_string())
}

/// An object that was listed.
pub(super) type Object = Arc<ObjectMeta>;
