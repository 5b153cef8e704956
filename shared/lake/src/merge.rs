//! Sorted sources into one sorted stream, each record once.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;

use crate::error::Error;
use crate::order::Keys;
use crate::part::PartRows;
use crate::runs::{Sorted, Spilled};

/// Rows that are handed on at a time, and bytes of JSON.
const ROWS: usize = 4096;
const BYTES: usize = 8 << 20;

/// Conflicts that are named; beyond it they are counted.
const NAMED: usize = 100;

/// Rows in order.
#[derive(Debug)]
pub(crate) enum Source<'l> {
    /// The part as it stands.
    Part(PartRows<'l>),
    Memory(Sorted),
    Spilled(Spilled),
}

impl Source<'_> {
    async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        match self {
            Self::Part(part) => part.next().await,
            Self::Memory(sorted) => sorted.next(),
            Self::Spilled(spilled) => spilled.next(),
        }
    }
}

/// Where the merged rows go.
pub(crate) trait Sink {
    /// Takes rows, in order.
    fn batch(&mut self, batch: &RecordBatch) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What merging came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
    pub(crate) conflicting: Vec<(String, String)>,
}

/// A merge of sources. Of copies of a record the first stays, in the order of the objects that they were delivered in.
/// Different bodies of one identity all stay.
pub(crate) struct Merge<'l> {
    sources: Vec<Source<'l>>,
    /// Sources from here on are new: conflicts among those before were counted when they were.
    fresh: usize,
    heads: BinaryHeap<Reverse<Head>>,
    last: Option<(Arc<Keys>, usize, bool)>,
    batches: Vec<RecordBatch>,
    picks: Vec<(usize, usize)>,
    bytes: usize,
    tally: Tally,
}

/// The next row of a source.
struct Head {
    source: usize,
    batch: RecordBatch,
    keys: Arc<Keys>,
    row: usize,
    /// Where the batch lies among those that are picked from.
    slot: Option<usize>,
}

impl<'l> Merge<'l> {
    pub(crate) fn new(sources: Vec<Source<'l>>, fresh: usize) -> Self {
        let heads = BinaryHeap::with_capacity(sources.len());
        let (batches, picks, tally) = (Vec::new(), Vec::new(), Tally::default());
        Self { sources, fresh, heads, last: None, batches, picks, bytes: 0, tally }
    }

    /// Merges into a sink.
    pub(crate) async fn into(mut self, sink: &mut impl Sink) -> Result<Tally, Error> {
        for source in 0..self.sources.len() {
            self.open(source).await?;
        }
        while let Some(Reverse(mut head)) = self.heads.pop() {
            self.take(&mut head);
            head.row += 1;
            if head.row < head.keys.len() {
                self.heads.push(Reverse(head));
            } else {
                self.open(head.source).await?;
            }
            if self.picks.len() >= ROWS || self.bytes >= BYTES {
                self.flush(sink).await?;
            }
        }
        self.flush(sink).await?;
        Ok(self.tally)
    }

    /// Puts the next batch of a source among the heads.
    async fn open(&mut self, source: usize) -> Result<(), Error> {
        while let Some(batch) = self.sources[source].next().await? {
            let Some(keys) = Keys::of(&batch) else { continue };
            if keys.len() > 0 {
                self.heads.push(Reverse(Head { source, batch, keys: Arc::new(keys), row: 0, slot: None }));
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, head: &mut Head) {
        let fresh = head.source >= self.fresh;
        if let Some((keys, row, before)) = &self.last
            && head.keys.place(head.row, keys, *row) == Ordering::Equal
        {
            if head.keys.body(head.row, keys, *row) == Ordering::Equal {
                self.tally.duplicates += 1;
                return;
            }
            if fresh || *before {
                self.tally.conflict(head.keys.identity(head.row));
            }
        }
        self.tally.rows += 1;
        let slot = *head.slot.get_or_insert_with(|| {
            self.batches.push(head.batch.clone());
            self.batches.len() - 1
        });
        self.picks.push((slot, head.row));
        self.bytes += head.keys.json_bytes(head.row);
        self.last = Some((Arc::clone(&head.keys), head.row, fresh));
    }

    async fn flush(&mut self, sink: &mut impl Sink) -> Result<(), Error> {
        if self.picks.is_empty() {
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let merged =
            interleave_record_batch(&batches, &self.picks).map_err(|error| Error::file("merged rows", error))?;
        self.batches.clear();
        self.picks.clear();
        self.bytes = 0;
        let heads = std::mem::take(&mut self.heads).into_iter();
        self.heads = heads.map(|Reverse(head)| Reverse(Head { slot: None, ..head })).collect();
        sink.batch(&merged).await
    }
}

impl Tally {
    fn conflict(&mut self, (account, id): (&str, &str)) {
        self.conflicts += 1;
        if self.conflicting.len() < NAMED {
            self.conflicting.push((account.to_owned(), id.to_owned()));
        }
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.keys.compare(self.row, &other.keys, other.row).then_with(|| self.source.cmp(&other.source))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}
