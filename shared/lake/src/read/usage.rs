//! What every actor did in a span of time, in one pass over a few columns.
//!
//! Parts are sorted by actor, so rows of one actor follow each other: who it is is worked out once a run, and texts are
//! looked at once each, by their places in the dictionary.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use parquet::errors::ParquetError;
use trail::record::is_refusal;
use trail::review::usage::Identity;
use trail::review::{ActorKey, RecordId, Usage};
use trail::time::Time;

use super::chunk::{Chunk, Rows, Shape};
use super::filter::Values;
use super::hot;
use super::scan::Hits;
use super::source::Pieces;
use super::whole::Counter;
use crate::columns::Column;

/// Records that are named for each actor.
pub(super) const SAMPLES: usize = 5;

/// Services and actions that are told of each actor.
pub(super) const FREQUENT: usize = 20;

/// What is looked at of every row. Ids are decoded for samples alone.
const COLUMNS: [Column; 10] = [
    Column::Account,
    Column::EventSource,
    Column::EventName,
    Column::ReadOnly,
    Column::ErrorCode,
    Column::ActorType,
    Column::ActorArn,
    Column::ActorAccount,
    Column::IssuerArn,
    Column::AccessKey,
];

/// Counts what actors did.
#[derive(Debug)]
pub(super) struct Census;

/// What is known of all actors so far.
#[derive(Debug, Default)]
pub(super) struct Actors {
    /// Services with their actions, each once.
    actions: HashMap<(Box<str>, Box<str>), u32>,
    seen: HashMap<ActorKey, Seen>,
}

/// What is known of one.
#[derive(Debug, Default)]
struct Seen {
    records: u64,
    writes: u64,
    refused: u64,
    span: Option<(i64, i64)>,
    actions: HashMap<u32, u64>,
    keys: HashMap<Box<str>, i64>,
    samples: Vec<RecordId>,
}

/// What one row group holds of one actor.
#[derive(Debug)]
struct Run {
    key: ActorKey,
    records: u64,
    writes: u64,
    refused: u64,
    span: (i64, i64),
    /// By places of service and action in their dictionaries.
    actions: HashMap<(u32, u32), u64>,
    keys: HashMap<u32, i64>,
    /// Seconds and rows, the newest among them.
    newest: Vec<(i64, u32)>,
}

/// What a row says, as places in dictionaries.
#[derive(Debug, Clone, Copy)]
struct Row {
    number: u32,
    time: i64,
    action: (u32, u32),
    key: u32,
    is_write: bool,
    is_refused: bool,
}

/// Texts by their places; a text that is not there has none.
struct Texts<'b>(Option<Values<'b>>);

impl<'b> Texts<'b> {
    const NONE: u32 = u32::MAX;

    fn of(batch: &'b RecordBatch, column: Column) -> Result<Self, ParquetError> {
        Values::of(batch, column).map(Self)
    }

    fn place(&self, row: usize) -> u32 {
        let place = match &self.0 {
            Some(Values::Distinct(keys, _)) => keys.key(row),
            Some(Values::Plain(texts)) => texts.is_valid(row).then_some(row),
            _ => None,
        };
        place.and_then(|place| u32::try_from(place).ok()).unwrap_or(Self::NONE)
    }

    fn text(&self, place: u32) -> &'b str {
        let place = place as usize;
        match &self.0 {
            Some(Values::Distinct(_, texts) | Values::Plain(texts)) if place < texts.len() => texts.value(place),
            _ => "",
        }
    }
}

/// The columns of a row group that say who made a call, and the actors found so far.
struct Who<'b> {
    columns: [Texts<'b>; 5],
    known: HashMap<[u32; 5], [Option<usize>; 2]>,
    last: Option<([u32; 5], [Option<usize>; 2])>,
    runs: Vec<Run>,
}

impl<'b> Who<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Self, ParquetError> {
        let texts = |column| Texts::of(batch, column);
        let columns = [
            texts(Column::ActorType)?,
            texts(Column::ActorArn)?,
            texts(Column::IssuerArn)?,
            texts(Column::ActorAccount)?,
            texts(Column::Account)?,
        ];
        Ok(Self { columns, known: HashMap::new(), last: None, runs: Vec::new() })
    }

    /// Under which actors a row is counted.
    fn at(&mut self, row: usize, time: i64) -> [Option<usize>; 2] {
        let places = self.columns.each_ref().map(|column| column.place(row));
        if let Some((last, runs)) = self.last
            && last == places
        {
            return runs;
        }
        let runs = match self.known.get(&places) {
            Some(runs) => *runs,
            None => self.learn(places, time),
        };
        self.last = Some((places, runs));
        runs
    }

    fn learn(&mut self, places: [u32; 5], time: i64) -> [Option<usize>; 2] {
        let [kind, arn, issuer, of_actor, of_record] = [0, 1, 2, 3, 4].map(|at| self.columns[at].text(places[at]));
        let account = if of_actor.is_empty() { of_record } else { of_actor };
        let runs = ActorKey::of(&Identity { kind, arn, issuer, account }).map(|key| Some(self.run(key?, time)));
        self.known.insert(places, runs);
        runs
    }

    /// The run of an actor: rows of it may differ in what does not count.
    fn run(&mut self, key: ActorKey, time: i64) -> usize {
        self.runs.iter().position(|run| run.key == key).unwrap_or_else(|| {
            self.runs.push(Run::of(key, time));
            self.runs.len() - 1
        })
    }
}

impl Run {
    fn of(key: ActorKey, time: i64) -> Self {
        Self {
            key,
            records: 0,
            writes: 0,
            refused: 0,
            span: (time, time),
            actions: HashMap::new(),
            keys: HashMap::new(),
            newest: Vec::new(),
        }
    }

    fn add(&mut self, row: Row) {
        self.records += 1;
        self.writes += u64::from(row.is_write);
        self.refused += u64::from(row.is_refused);
        self.span = (self.span.0.min(row.time), self.span.1.max(row.time));
        *self.actions.entry(row.action).or_default() += 1;
        if row.key != Texts::NONE {
            let last = self.keys.entry(row.key).or_insert(row.time);
            *last = row.time.max(*last);
        }
        self.newest.push((row.time, row.number));
        if self.newest.len() > 1024 {
            self.keep_newest();
        }
    }

    /// Drops what cannot be among the samples. Of rows in one second ids decide later.
    fn keep_newest(&mut self) {
        if self.newest.len() > SAMPLES {
            self.newest.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = self.newest[SAMPLES - 1].0;
            self.newest.retain(|(time, _)| *time >= oldest);
        }
    }
}

impl Counter for Census {
    type Tally = Actors;

    fn columns(&self) -> Vec<Column> {
        [Column::EventId].into_iter().chain(COLUMNS).collect()
    }

    fn nothing(&self) -> Actors {
        Actors::default()
    }

    fn count(&self, actors: &mut Actors, chunk: &Chunk, pieces: &Arc<Pieces>, hits: &Hits) -> Result<(), ParquetError> {
        let how = Rows::of(&hits.rows, chunk.rows());
        let batch = chunk.decode(pieces, &chunk.present(COLUMNS), Shape::Distinct, &how)?;
        let mut who = Who::of(&batch)?;
        let texts = |column| Texts::of(&batch, column);
        let (services, names, keys) =
            (texts(Column::EventSource)?, texts(Column::EventName)?, texts(Column::AccessKey)?);
        let errors = Errors::of(texts(Column::ErrorCode)?);
        let reads = batch.column_by_name(Column::ReadOnly.name()).and_then(|reads| reads.as_boolean_opt());
        for ((at, number), time) in how.places(&hits.rows).zip(&hits.times) {
            let (is_error, is_refused) = errors.at(at);
            let row = Row {
                number,
                time: *time,
                action: (services.place(at), names.place(at)),
                key: keys.place(at),
                is_write: !is_error && !is_true(reads, at),
                is_refused,
            };
            who.at(at, *time).into_iter().flatten().for_each(|run| who.runs[run].add(row));
        }
        let mut runs = who.runs;
        runs.iter_mut().for_each(Run::keep_newest);
        let samples = samples(chunk, pieces, &runs)?;
        for run in runs {
            actors.add(run, (&services, &names, &keys), &samples);
        }
        Ok(())
    }

    fn join(&self, actors: &mut Actors, other: Actors) {
        actors.join(other);
    }
}

fn is_true(flags: Option<&BooleanArray>, at: usize) -> bool {
    flags.is_some_and(|flags| flags.is_valid(at) && flags.value(at))
}

/// What error codes mean, each looked at once.
struct Errors<'b> {
    texts: Texts<'b>,
    known: Vec<(bool, bool)>,
}

impl<'b> Errors<'b> {
    fn of(texts: Texts<'b>) -> Self {
        let meaning = |code: &str| (!code.is_empty(), is_refusal(code));
        let known = match &texts.0 {
            Some(Values::Distinct(_, codes) | Values::Plain(codes)) => {
                codes.iter().map(|code| meaning(code.unwrap_or_default())).collect()
            }
            _ => Vec::new(),
        };
        Self { texts, known }
    }

    /// Whether a row has an error, and whether it is a refusal.
    fn at(&self, row: usize) -> (bool, bool) {
        self.known.get(self.texts.place(row) as usize).copied().unwrap_or_default()
    }
}

/// The records that may be named, by row.
fn samples(chunk: &Chunk, pieces: &Arc<Pieces>, runs: &[Run]) -> Result<HashMap<u32, RecordId>, ParquetError> {
    let mut newest: Vec<(u32, i64)> =
        runs.iter().flat_map(|run| run.newest.iter().map(|(time, row)| (*row, *time))).collect();
    newest.sort_unstable();
    newest.dedup();
    let rows: Vec<u32> = newest.iter().map(|(row, _)| *row).collect();
    let ids = hot::identities(chunk, pieces, &rows, |account, id| (account.to_owned(), id.to_owned()))?;
    let record = |((row, time), (account, id))| (row, RecordId { account, id, time: Time(time) });
    Ok(newest.into_iter().zip(ids).map(record).collect())
}

impl Actors {
    fn add(
        &mut self,
        run: Run,
        (services, names, keys): (&Texts<'_>, &Texts<'_>, &Texts<'_>),
        samples: &HashMap<u32, RecordId>,
    ) {
        let mut seen = Seen { records: run.records, writes: run.writes, refused: run.refused, ..Seen::default() };
        seen.span = Some(run.span);
        for ((service, name), count) in run.actions {
            *seen.actions.entry(self.action(services.text(service), names.text(name))).or_default() += count;
        }
        if matches!(run.key, ActorKey::User(_)) {
            let lasting = run.keys.into_iter().map(|(key, last)| (keys.text(key), last));
            seen.keys = lasting.filter(|(key, _)| is_lasting(key)).map(|(key, last)| (key.into(), last)).collect();
        }
        seen.samples = run.newest.iter().filter_map(|(_, row)| samples.get(row).cloned()).collect();
        self.seen.entry(run.key).or_default().join(seen);
    }

    fn action(&mut self, service: &str, name: &str) -> u32 {
        let next = u32::try_from(self.actions.len()).unwrap_or(u32::MAX);
        *self.actions.entry((service.into(), name.into())).or_insert(next)
    }

    fn join(&mut self, other: Self) {
        let mut places = vec![0; other.actions.len()];
        for ((service, name), place) in other.actions {
            let here = self.action(&service, &name);
            places.get_mut(place as usize).into_iter().for_each(|place| *place = here);
        }
        for (key, mut seen) in other.seen {
            let here = |place: &u32| places.get(*place as usize).copied().unwrap_or_default();
            seen.actions = seen.actions.iter().map(|(place, count)| (here(place), *count)).collect();
            self.seen.entry(key).or_default().join(seen);
        }
    }

    /// What was seen, by actor.
    pub(super) fn usage(self) -> BTreeMap<ActorKey, Usage> {
        let mut named = vec![(Box::<str>::default(), Box::<str>::default()); self.actions.len()];
        for (action, place) in self.actions {
            named.get_mut(place as usize).into_iter().for_each(|named| *named = action.clone());
        }
        self.seen.into_iter().map(|(key, seen)| (key, seen.usage(&named))).collect()
    }
}

/// Whether a key lives until somebody deletes it; those of sessions do not.
fn is_lasting(key: &str) -> bool {
    !key.is_empty() && !key.starts_with("ASIA")
}

impl Seen {
    fn join(&mut self, other: Self) {
        self.records += other.records;
        self.writes += other.writes;
        self.refused += other.refused;
        if let Some((first, last)) = other.span {
            self.span = Some(self.span.map_or((first, last), |(from, to)| (from.min(first), to.max(last))));
        }
        for (action, count) in other.actions {
            *self.actions.entry(action).or_default() += count;
        }
        for (key, last) in other.keys {
            let known = self.keys.entry(key).or_insert(last);
            *known = last.max(*known);
        }
        self.samples.extend(other.samples);
        self.samples.sort_by(|a, b| (b.time, &b.account, &b.id).cmp(&(a.time, &a.account, &a.id)));
        self.samples.truncate(SAMPLES);
    }

    fn usage(self, named: &[(Box<str>, Box<str>)]) -> Usage {
        let (mut services, mut actions) = (HashMap::<&str, u64>::new(), Vec::new());
        for (place, count) in &self.actions {
            let Some((service, name)) = named.get(*place as usize) else { continue };
            let service = service.split('.').next().unwrap_or_default();
            *services.entry(service).or_default() += count;
            actions.push((format!("{service}:{name}"), *count));
        }
        Usage {
            records: self.records,
            writes: self.writes,
            refused: self.refused,
            first: self.span.map(|(first, _)| Time(first)),
            last: self.span.map(|(_, last)| Time(last)),
            services: frequent(services.into_iter().map(|(service, count)| (service.to_owned(), count)).collect()),
            actions: frequent(actions),
            keys: self.keys.into_iter().map(|(key, last)| (key.into(), Time(last))).collect(),
            samples: self.samples,
        }
    }
}

fn frequent(mut counts: Vec<(String, u64)>) -> BTreeMap<String, u64> {
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(FREQUENT);
    counts.into_iter().collect()
}
