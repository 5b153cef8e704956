//! `qtrail rebuild`: days of the lake, made again from raw log files.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use cloud::rebuild::{RawFile, Rebuild, Rebuilt};
use cloud::stores::{Place, Stores, folder};
use lake::layout::Day;
use lake::lock::Lock;

use crate::Ending;
use crate::cli::RebuildArgs;
use crate::{input, output};

/// Runs the command.
pub(crate) async fn run(arguments: RebuildArgs) -> anyhow::Result<Ending> {
    if arguments.from >= arguments.to {
        bail!("there is no day between {} and {}: --to is the first day that stays", arguments.from, arguments.to);
    }
    let stores = Arc::new(Stores::new(cloud::deployment::sdk_config().await));
    let place = place(&arguments, &stores)?;
    let days: Vec<Day> = std::iter::successors(Some(arguments.from), |day| Some(day.next()))
        .take_while(|day| *day < arguments.to)
        .collect();
    let mut problems = Vec::new();
    let mut files = input::log_files(&stores, &arguments.sources, &mut problems).await?;
    files.retain(|file| days.iter().any(|day| file.may_hold(*day)));
    let started = Instant::now();
    let rebuild = Rebuild::new(place, stores);
    let _lock = lock(&arguments)?;
    let totals = each_day(&rebuild, &days, &files, &mut problems).await;
    problems.iter().for_each(|problem| output::note(problem));
    output::note(&format!(
        "days={} files={} records={} quarantined={} seconds={:.2}",
        totals.days,
        totals.all.files,
        totals.all.records,
        totals.all.quarantined,
        started.elapsed().as_secs_f64()
    ));
    let clean = problems.is_empty() && totals.all.quarantined == 0;
    Ok(if clean { Ending::Done } else { Ending::Unread })
}

/// The right to write into a folder's lake; S3's parts are written on the condition that they are as they were read.
fn lock(arguments: &RebuildArgs) -> anyhow::Result<Option<Lock>> {
    let folder = arguments.lake.as_deref().map_or(arguments.data.as_path(), Path::new);
    if !folder.is_dir() {
        return Ok(None);
    }
    let lock = Lock::take(folder)?;
    if lock.is_none() {
        bail!("another qtrail writes into the lake in {}: run it again when that has ended", folder.display());
    }
    Ok(lock)
}

#[derive(Default)]
struct Totals {
    /// Days that were made, those that stood already aside.
    days: usize,
    all: Rebuilt,
}

/// A day that cannot be made stays as it is, and does not cost the others.
async fn each_day(rebuild: &Rebuild, days: &[Day], files: &[RawFile], problems: &mut Vec<String>) -> Totals {
    let reads = |day: &Day| files.iter().filter(|file| file.may_hold(*day)).count();
    let bar = output::progress(days.iter().map(reads).sum::<usize>() as u64);
    let mut totals = Totals::default();
    for day in days.iter().filter(|day| reads(day) > 0) {
        match rebuild.day(*day, files, &|| bar.inc(1)).await {
            Ok(done) if done.is_done => {
                bar.inc(reads(day) as u64);
                output::note(&format!("{day}: made of these files before, and unchanged since"));
            }
            Ok(made) => {
                output::note(&format!("{day}: {} records of {} files", made.records, made.files));
                totals.days += 1;
                totals.all.files += made.files;
                totals.all.records += made.records;
                totals.all.quarantined += made.quarantined;
                problems.extend(made.problems);
            }
            Err(error) => problems.push(format!("{day} stays as it was: {error}")),
        }
    }
    bar.finish_and_clear();
    if days.iter().all(|day| reads(day) == 0) {
        output::note("none of these log files can hold records of these days: nothing was made");
    }
    totals
}

fn place(arguments: &RebuildArgs, stores: &Stores) -> anyhow::Result<Place> {
    Ok(match &arguments.lake {
        Some(url) => stores.open(url)?,
        None => folder(&arguments.data)?,
    })
}
