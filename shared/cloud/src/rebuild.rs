//! Days of the lake, made again from raw log files: after a mistake, and for the years before the installation. Into the
//! lake only: no findings, no alerts.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use lake::Lake;
use lake::absorb::Limits;
use lake::layout::Day;
use lake::pending::PART_ROWS;
use object_store::ObjectMeta;
use object_store::path::Path;
use trail::detection::Engine;
use trail::envelope::ObjectRef;
use trail::log_file::{self, Inflater, evaluate_and_keep};
use trail::object_key::{ObjectKey, ObjectKind};
use trail::record::{Record, digest, hex};
use trail::settings::Settings;

use crate::error::Error;
use crate::ingest::Source;
use crate::stores::{Place, Stores};

/// Log files fetched at the same time.
const FILES_AT_ONCE: usize = 8;

/// Days after an event's on which its log file may be delivered.
const LATE_DAYS: usize = 2;

/// Delivered bytes of a record, about.
const DELIVERED_BYTES: u64 = 120;

/// A log file to take records from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RawFile {
    /// In bytes.
    pub size: u64,
    /// The key or path.
    pub key: String,
    /// The bucket; empty for a path on this machine.
    pub bucket: String,
}

/// Makes days of a lake.
#[derive(Debug)]
pub struct Rebuild {
    place: Place,
    stores: Arc<Stores>,
    engine: Engine,
}

/// What became of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Whether it had been made of just these files before, and was left as it is.
    pub is_done: bool,
    /// Log files read.
    pub files: usize,
    /// Records that the day holds now.
    pub records: u64,
    /// Records of these files that could not be read.
    pub quarantined: usize,
    /// Files that could not be read whole, and why.
    pub problems: Vec<String>,
}

/// What a log file holds of a day: records by their places.
struct Taken {
    object: ObjectRef,
    records: Vec<(usize, String)>,
    quarantined: usize,
    problem: Option<String>,
}

impl RawFile {
    /// Whether it may hold records of a day, by its name. A file that says no time may hold any.
    pub fn may_hold(&self, day: Day) -> bool {
        let key = ObjectKey::parse(&self.key);
        let mut days = std::iter::successors(Some(day), |day| Some(day.next())).take(LATE_DAYS + 1);
        key.kind != ObjectKind::Digest && key.time.is_none_or(|time| days.any(|one| one == Day::of(time)))
    }

    /// It, as it is fetched.
    pub fn object(&self) -> ObjectRef {
        ObjectRef { bucket: self.bucket.clone(), key: self.key.clone(), version: None }
    }
}

impl Rebuild {
    /// Makes days of the lake at `place`.
    pub fn new(place: Place, stores: Arc<Stores>) -> Self {
        Self { place, stores, engine: Engine::with(Settings::default(), Vec::new()) }
    }

    /// Makes a day of those log files that may hold records of it. A day that was made of just these files before, and
    /// has not changed since, stays as it is: so a run that was stopped goes on where it was. Where a file cannot be
    /// fetched, nothing changes.
    pub async fn day(&self, day: Day, files: &[RawFile], each: &(dyn Fn() + Sync)) -> Result<Rebuilt, Error> {
        let mut files: Vec<&RawFile> = files.iter().filter(|file| file.may_hold(day)).collect();
        files.sort();
        let marker = self.place.join(&["rebuilt", &format!("dt={day}")]);
        let mark = self.mark(day, &files).await?;
        if mark.is_some() && mark == self.marked(&marker).await? {
            return Ok(Rebuilt { is_done: true, ..Rebuilt::default() });
        }
        let rebuilt = self.make(day, &files, each).await?;
        if let Some(mark) = self.mark(day, &files).await?.filter(|_| rebuilt.problems.is_empty()) {
            self.place.put(&marker, mark.into_bytes()).await?;
        }
        Ok(rebuilt)
    }

    async fn make(&self, day: Day, files: &[&RawFile], each: &(dyn Fn() + Sync)) -> Result<Rebuilt, Error> {
        let lake = Lake::new(self.place.store.clone(), self.place.prefix.clone());
        let delivered: u64 = files.iter().map(|file| file.size).sum();
        let parts = (delivered / DELIVERED_BYTES).div_ceil(PART_ROWS).max(1);
        let mut remake = lake.remake(day, u32::try_from(parts).unwrap_or(u32::MAX), &Limits::default()).await?;
        let mut rebuilt = Rebuilt { files: files.len(), ..Rebuilt::default() };
        let mut taken = stream::iter(files).map(|file| self.take(day, file.object())).buffered(FILES_AT_ONCE);
        while let Some(taken) = taken.try_next().await? {
            let source = Source::of(&taken.object);
            for (index, text) in &taken.records {
                // It was read before.
                let facts = Record::parse(text).and_then(|record| source.facts(*index, &record))?;
                remake.push(&facts).await?;
            }
            rebuilt.quarantined += taken.quarantined;
            rebuilt.problems.extend(taken.problem);
            each();
        }
        rebuilt.records = remake.finish().await?.iter().map(|part| part.rows).sum();
        Ok(rebuilt)
    }

    /// The records of a day in a log file.
    async fn take(&self, day: Day, object: ObjectRef) -> Result<Taken, Error> {
        let bytes = self.stores.get(&object).await?.bytes().await?;
        let limits = log_file::Limits::default();
        let inflated = Inflater::new(limits).inflate(&bytes);
        let (source, mut records) = (Source::of(&object), Vec::new());
        let mut keep = |index: usize, record: &Record<'_>| {
            if Day::of(source.facts(index, record)?.event_time) == day {
                records.push((index, record.text().to_owned()));
            }
            Ok(())
        };
        let report = evaluate_and_keep(&self.engine, &inflated, (&object.key, false), limits, &mut keep);
        let problem = report.problem.map(|problem| format!("{}: {problem}", object.id()));
        drop(source);
        Ok(Taken { object, records, quarantined: report.quarantined, problem })
    }

    /// What the day is made of and what it was made into; none while it has no part.
    async fn mark(&self, day: Day, files: &[&RawFile]) -> Result<Option<String>, Error> {
        let prefix = self.place.join(&["records", &format!("dt={day}")]);
        let listed = self.place.store.list(Some(&prefix)).try_collect::<Vec<ObjectMeta>>().await;
        let parts = listed.map_err(|error| Error::object(prefix.to_string(), error))?;
        if parts.is_empty() {
            return Ok(None);
        }
        let parts: BTreeMap<String, String> =
            parts.iter().map(|part| (part.location.to_string(), format!("{} {:?}", part.size, part.e_tag))).collect();
        Ok(Some(hex(&digest(format!("{files:?} {parts:?}").as_bytes()))))
    }

    async fn marked(&self, marker: &Path) -> Result<Option<String>, Error> {
        let found = self.place.fetch(marker.as_ref()).await?;
        Ok(found.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_file_is_looked_into_for_the_days_before_its_delivery() {
        let key = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/\
            111122223333_CloudTrail_eu-west-1_20261120T0005Z_abc.json.gz";
        let file = |key: &str| RawFile { size: 1, key: key.to_owned(), bucket: String::new() };
        let may = |key: &str, day: &str| file(key).may_hold(Day::parse(day).expect("a day"));
        assert!(may(key, "2026-11-20") && may(key, "2026-11-19") && may(key, "2026-11-18"));
        assert!(!may(key, "2026-11-21") && !may(key, "2026-11-17"));
        assert!(may("export.json", "2026-11-17"));
        let digest = key.replace("/CloudTrail/", "/CloudTrail-Digest/");
        assert!(!may(&digest, "2026-11-20"));
    }
}
