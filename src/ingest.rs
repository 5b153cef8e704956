//! `qtrail ingest`: the handlers of the functions, with the embedded table and a folder as the lake.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use cloud::compact::Compact;
use cloud::deployment::Deployment;
use cloud::ingest::{Ingest, Totals};
use cloud::rebuild::RawFile;
use cloud::stores::{Stores, folder};
use lake::lock::Lock;
use trail::envelope::ObjectRef;

use crate::Ending;
use crate::cli::IngestArgs;
use crate::{input, output, place};

/// Files handed over at once: their findings are merged before they are written.
const BATCH: usize = 64;

/// Runs the command.
pub(crate) async fn run(arguments: IngestArgs) -> anyhow::Result<Ending> {
    let stores = Arc::new(Stores::new(cloud::deployment::sdk_config().await));
    let mut problems = Vec::new();
    let files = input::log_files(&stores, &arguments.sources, &mut problems).await?;
    let objects: Vec<ObjectRef> = files.iter().map(RawFile::object).collect();
    let ingest = Ingest::new(deployment(&arguments, stores).await?);
    let started = std::time::Instant::now();
    let bar = output::progress(objects.len() as u64);
    let mut totals = Totals::default();
    for batch in objects.chunks(BATCH) {
        let (batch_totals, failed) = ingest.objects(batch.to_vec()).await?;
        totals += batch_totals;
        problems.extend(failed);
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    match Lock::take(&arguments.data)? {
        Some(_lock) => match Compact::new(ingest.into_deployment()).everything().await? {
            0 => {}
            left => problems.push(format!(
                "{left} parts of the lake wait for hot files that cannot be read (named above): remove those, and \
                 `qtrail rebuild` their days"
            )),
        },
        // Searches read hot files, too, and the next run absorbs them.
        None => output::note(
            "another qtrail puts the days of this lake in order: these records stay hot until the next run",
        ),
    }
    problems.iter().for_each(|problem| output::note(problem));
    output::note(&format!(
        "files={} records={} quarantined={} lake={} findings={} seconds={:.2}",
        totals.files,
        totals.records,
        totals.quarantined,
        totals.in_lake,
        totals.findings,
        started.elapsed().as_secs_f64()
    ));
    output::note(&format!("next: qtrail findings --data {}", arguments.data.display()));
    let clean = problems.is_empty() && totals.quarantined == 0;
    Ok(if clean { Ending::Done } else { Ending::Unread })
}

async fn deployment(arguments: &IngestArgs, stores: Arc<Stores>) -> anyhow::Result<Deployment> {
    let settings = match &arguments.settings {
        None => None,
        Some(path) => {
            // Said now and in full, not per batch from the log.
            input::settings(Some(path))?;
            let path = path.canonicalize().with_context(|| format!("{}", path.display()))?;
            let (folder_path, name) = (path.parent().unwrap_or(Path::new("/")), path.file_name().unwrap_or_default());
            let mut place = folder(folder_path)?;
            place.prefix = place.join(&[&name.to_string_lossy()]);
            Some(place)
        }
    };
    let state = place::embedded(&arguments.data).await?;
    Ok(Deployment { settings, ..place::deployment(state, &arguments.data, stores)? })
}
