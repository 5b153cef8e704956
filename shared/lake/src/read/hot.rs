//! Hot files: many small ones, read whole, some at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use object_store::ObjectMeta;
use parquet::errors::ParquetError;
use trail::facts::Facts;

use super::chunk::{Chunk, Rows, Shape};
use super::filter::Values;
use super::footer::Footer;
use super::scan::{self, Hits, Scan};
use super::source::{Pieces, Source, Trouble};
use super::top::{Key, Object};
use crate::answer::Page;
use crate::columns::{ALL, Column};
use crate::error::Error;

/// Files that are read in one go.
const HANDFUL: usize = 32;

/// Files of so many records of an answer are kept until it is made; beyond, they are read again.
const KEPT: usize = 256;

/// A file that was read whole.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) object: Object,
    pub(super) pieces: Arc<Pieces>,
    pub(super) footer: Arc<Footer>,
}

/// A record in a hot file.
#[derive(Debug, Clone)]
pub(super) struct Place {
    object: Object,
    group: usize,
    row: u32,
    whole: Option<Arc<Whole>>,
}

/// The hot files of a day, and what is wanted of them.
pub(super) struct Hot<'h> {
    pub(super) source: &'h Source,
    pub(super) scan: &'h Arc<Scan>,
    pub(super) page: &'h Page,
}

impl Hot<'_> {
    /// The newest records that match, each once.
    pub(super) async fn newest(&self, objects: Vec<ObjectMeta>) -> Result<Vec<(Key, Place)>, Trouble> {
        let wanted = self.page.limit.saturating_add(1);
        let oldest = Arc::new(AtomicI64::new(i64::MIN));
        let mut newest = BTreeMap::new();
        let mut handfuls = handfuls(objects)
            .map(|handful| {
                let (scan, oldest, keeps) = (self.scan.clone(), oldest.clone(), wanted <= KEPT);
                let handful = if self.source.is_spent() { Vec::new() } else { handful };
                each(self.source, handful, move |whole| places(&scan, whole, oldest.load(Ordering::Relaxed), keeps))
            })
            .buffered(4);
        while let Some(found) = handfuls.next().await {
            for (key, place) in found?.into_iter().flatten() {
                let is_after =
                    self.page.after.as_ref().is_none_or(|cursor| {
                        (key.0, &*key.1, &*key.2) < (cursor.time.0, &*cursor.account, &*cursor.id)
                    });
                if is_after {
                    newest.entry(key).or_insert(place);
                }
                if newest.len() > wanted {
                    newest.pop_first();
                }
            }
            if newest.len() == wanted
                && let Some((key, _)) = newest.first_key_value()
            {
                oldest.store(key.0, Ordering::Relaxed);
            }
        }
        Ok(newest.into_iter().collect())
    }
}

/// The files in handfuls.
pub(super) fn handfuls(objects: Vec<ObjectMeta>) -> impl futures::Stream<Item = Vec<Object>> {
    let objects: Vec<Object> = objects.into_iter().map(Arc::new).collect();
    stream::iter(objects.chunks(HANDFUL).map(<[Object]>::to_vec).collect::<Vec<_>>())
}

/// Does something with each file of a handful. What cannot be read is named and left out.
pub(super) async fn each<T: Send + 'static>(
    source: &Source,
    objects: Vec<Object>,
    look: impl Fn(&Arc<Whole>) -> Result<T, ParquetError> + Send + 'static,
) -> Result<Vec<T>, Trouble> {
    let Some(path) = objects.first().map(|object| object.location.clone()) else { return Ok(Vec::new()) };
    let read = objects.into_iter().map(|object| async move {
        let bytes = source.get(&object, None).await?;
        source.opened();
        Ok::<_, Trouble>((object, bytes))
    });
    let read = try_join_all(read).await?;
    let looked = source
        .work(&path, move || {
            Ok(read.into_iter().map(|(object, bytes)| look_at(&object, &bytes, &look)).collect::<Vec<_>>())
        })
        .await?;
    let mut all = Vec::with_capacity(looked.len());
    for looked in looked {
        match looked {
            Ok(seen) => all.push(seen),
            Err((object, error)) => source.skip(&object.location, &error),
        }
    }
    Ok(all)
}

fn look_at<T>(
    object: &Object,
    bytes: &Bytes,
    look: &impl Fn(&Arc<Whole>) -> Result<T, ParquetError>,
) -> Result<T, (Object, Error)> {
    let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let footer = Arc::new(Footer::of_whole(bytes, object)?);
        let whole = Whole { object: object.clone(), pieces: Arc::new(Pieces::whole(bytes.clone())), footer };
        look(&Arc::new(whole)).map_err(|error| damaged(object, &error))
    }));
    looked.unwrap_or_else(|_| Err(damaged(object, &"its pages make no sense"))).map_err(|error| (object.clone(), error))
}

fn damaged(object: &Object, why: &dyn std::fmt::Display) -> Error {
    Error::file(&object.location, format!("it is damaged: {why}"))
}

/// The rows of a file that match.
pub(super) fn hits(scan: &Scan, whole: &Whole) -> Result<Vec<(Chunk, Hits)>, ParquetError> {
    let mut all = Vec::new();
    for group in 0..whole.footer.metadata.num_row_groups() {
        let chunk = Chunk { footer: whole.footer.clone(), group };
        if !super::prune::may_match(&chunk, &scan.query, &scan.bounds) {
            continue;
        }
        let mut hits = scan.by_columns(&chunk, &whole.pieces)?;
        if scan.needs_json() && !hits.rows.is_empty() {
            scan.by_json(&chunk, &whole.pieces, &mut hits)?;
        }
        if !hits.rows.is_empty() {
            all.push((chunk, hits));
        }
    }
    Ok(all)
}

fn places(scan: &Scan, whole: &Arc<Whole>, oldest: i64, keeps: bool) -> Result<Vec<(Key, Place)>, ParquetError> {
    let mut places = Vec::new();
    for (chunk, hits) in hits(scan, whole)? {
        let (rows, times): (Vec<u32>, Vec<i64>) =
            hits.rows.into_iter().zip(hits.times).filter(|(_, time)| *time >= oldest).unzip();
        let kept = keeps.then(|| whole.clone());
        let identities = identities(&chunk, &whole.pieces, &rows, |account, id| (account.to_owned(), id.to_owned()))?;
        for ((row, time), (account, id)) in rows.iter().zip(times).zip(identities) {
            let place = Place { object: whole.object.clone(), group: chunk.group, row: *row, whole: kept.clone() };
            places.push(((time, account, id), place));
        }
    }
    Ok(places)
}

/// What is made of account and id of some rows. `pieces` hold both columns for these rows.
pub(super) fn identities<T>(
    chunk: &Chunk,
    pieces: &Arc<Pieces>,
    rows: &[u32],
    make: impl Fn(&str, &str) -> T,
) -> Result<Vec<T>, ParquetError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let how = Rows::of(rows, chunk.rows());
    let batch = chunk.decode(pieces, &[Column::EventId, Column::Account], Shape::Plain, &how)?;
    let texts = |column: Column| match Values::of(&batch, column)? {
        Some(Values::Plain(texts)) => Ok(texts),
        _ => Err(ParquetError::General(format!("{} is not of the lake's type", column.name()))),
    };
    let (accounts, ids) = (texts(Column::Account)?, texts(Column::EventId)?);
    Ok(how.places(rows).map(|(at, _)| make(accounts.value(at), ids.value(at))).collect())
}

/// All of a record in a hot file.
pub(super) async fn read(source: &Source, place: &Place, json: bool) -> Result<Facts<'static>, Trouble> {
    let (row, group) = (place.row, place.group);
    let look = move |whole: &Arc<Whole>| {
        let chunk = Chunk { footer: whole.footer.clone(), group };
        let columns = chunk.present(ALL.into_iter().filter(|column| json || *column != Column::Json));
        scan::facts(&chunk, &whole.pieces, &columns, &[row])
    };
    let found = match place.whole.clone() {
        Some(whole) => vec![source.work(&place.object.location, move || look(&whole)).await?],
        None => each(source, vec![place.object.clone()], look).await?,
    };
    // What could be read a moment ago is not there any more.
    found.into_iter().flatten().next().ok_or(Trouble::Changed)
}
