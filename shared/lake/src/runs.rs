//! Sorted runs: rows that are put in order in memory, and on disk where they do not fit.

use std::fs::File;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::encode::{Purpose, writer};
use crate::error::Error;
use crate::merge::{Merge, Sink, Source};
use crate::order::Keys;

/// So many runs are merged into one before there are more: it bounds files and memory.
const RUNS: usize = 24;

/// Rows of a run that are in memory at a time, when it is merged.
const WINDOW: usize = 512;

/// Takes rows in any order and yields them as sorted runs.
#[derive(Debug)]
pub(crate) struct Sorter {
    scratch: PathBuf,
    budget: usize,
    batches: Vec<RecordBatch>,
    bytes: usize,
    runs: Vec<File>,
}

impl Sorter {
    /// One that keeps about `budget` bytes in memory and the rest in nameless files in `scratch`.
    pub(crate) fn new(scratch: PathBuf, budget: usize) -> Self {
        Self { scratch, budget, batches: Vec::new(), bytes: 0, runs: Vec::new() }
    }

    pub(crate) async fn push(&mut self, batch: RecordBatch) -> Result<(), Error> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        if self.bytes < self.budget {
            return Ok(());
        }
        self.spill().await
    }

    /// All runs, to be merged.
    pub(crate) fn finish(self) -> Result<Vec<Source<'static>>, Error> {
        let mut sources = self.runs.iter().map(|run| open(run, &self.scratch)).collect::<Result<Vec<_>, _>>()?;
        sources.push(Source::Memory(Sorted::of(self.batches)));
        Ok(sources)
    }

    async fn spill(&mut self) -> Result<(), Error> {
        let mut run = RunWriter::new(&self.scratch)?;
        let mut sorted = Sorted::of(std::mem::take(&mut self.batches));
        self.bytes = 0;
        while let Some(batch) = sorted.next()? {
            run.batch(&batch).await?;
        }
        self.runs.push(run.finish()?);
        if self.runs.len() < RUNS {
            return Ok(());
        }
        let sources = self.runs.iter().map(|run| open(run, &self.scratch)).collect::<Result<Vec<_>, _>>()?;
        let mut merged = RunWriter::new(&self.scratch)?;
        Merge::new(sources, 0).into(&mut merged).await?;
        self.runs = vec![merged.finish()?];
        Ok(())
    }
}

/// Batches in memory, in order.
#[derive(Debug)]
pub(crate) struct Sorted {
    batches: Vec<RecordBatch>,
    order: std::vec::IntoIter<(usize, usize)>,
}

impl Sorted {
    fn of(batches: Vec<RecordBatch>) -> Self {
        let keys: Vec<Keys> = batches.iter().filter_map(Keys::of).collect();
        let rows = keys.iter().enumerate().flat_map(|(batch, keys)| (0..keys.len()).map(move |row| (batch, row)));
        let mut order: Vec<(usize, usize)> = rows.collect();
        order.sort_unstable_by(|a, b| keys[a.0].compare(a.1, &keys[b.0], b.1));
        Self { batches, order: order.into_iter() }
    }

    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let picks: Vec<(usize, usize)> = self.order.by_ref().take(WINDOW).collect();
        if picks.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        interleave_record_batch(&batches, &picks).map(Some).map_err(|error| Error::file("rows in memory", error))
    }
}

/// A run on disk.
#[derive(Debug)]
pub(crate) struct Spilled {
    reader: ParquetRecordBatchReader,
    scratch: PathBuf,
}

impl Spilled {
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let next = self.reader.next().transpose().map_err(|error| Error::file(self.scratch.display(), error))?;
        next.map(|batch| crate::rows::conform(&batch))
            .transpose()
            .map_err(|why| Error::file(self.scratch.display(), why))
    }
}

fn open(run: &File, scratch: &std::path::Path) -> Result<Source<'static>, Error> {
    let file = run.try_clone().map_err(|error| Error::disk(scratch, error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(WINDOW).build())
        .map_err(|error| Error::file(scratch.display(), error))?;
    Ok(Source::Spilled(Spilled { reader, scratch: scratch.to_owned() }))
}

struct RunWriter {
    writer: ArrowWriter<File>,
    scratch: PathBuf,
}

impl RunWriter {
    fn new(scratch: &std::path::Path) -> Result<Self, Error> {
        // It has no name, so that it goes with the process.
        let file = tempfile::tempfile_in(scratch).map_err(|error| Error::disk(scratch, error))?;
        Ok(Self { writer: writer(Purpose::Run, file)?, scratch: scratch.to_owned() })
    }

    fn finish(self) -> Result<File, Error> {
        self.writer.into_inner().map_err(|error| Error::file(self.scratch.display(), error))
    }
}

impl Sink for RunWriter {
    async fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let failed = |error| Error::file(self.scratch.display(), error);
        self.writer.write(batch).map_err(failed)?;
        // Pages wait in memory until their row group ends.
        if self.writer.in_progress_size() > 8 << 20 {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }
}
