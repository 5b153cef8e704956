//! `qtrail ingest`: the handlers of the functions, with the embedded table and a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use cloud::deployment::Deployment;
use cloud::ingest::{Ingest, Totals};
use cloud::metrics::Metrics;
use cloud::stores::{Stores, folder};
use futures::StreamExt;
use object_store::ObjectStore;
use trail::envelope::ObjectRef;
use trail::object_key::{ObjectKey, ObjectKind};
use trail::settings::Own;

use crate::Ending;
use crate::cli::IngestArgs;
use crate::{input, output, place};

/// Files handed over at once: their findings are merged before they are written.
const BATCH: usize = 64;

/// Runs the command.
pub(crate) async fn run(arguments: IngestArgs) -> anyhow::Result<Ending> {
    let stores = Arc::new(Stores::new(cloud::deployment::sdk_config().await));
    let mut problems = Vec::new();
    let objects = objects(&stores, &arguments.sources, &mut problems).await?;
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
    problems.iter().for_each(|problem| output::note(problem));
    output::note(&format!(
        "files={} records={} quarantined={} findings={} seconds={:.2}",
        totals.files,
        totals.records,
        totals.quarantined,
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
    Ok(Deployment {
        state: place::embedded(&arguments.data).await?,
        stores,
        data: folder(&arguments.data)?,
        alerts: None,
        metrics: Metrics::Off,
        own: Own::default(),
        settings,
        fast_path: None,
        parts: cloud::state::Parts::default(),
        publisher_timeout: 0,
    })
}

/// All log files of the sources; folders that cannot be read are problems.
async fn objects(stores: &Stores, sources: &[String], problems: &mut Vec<String>) -> anyhow::Result<Vec<ObjectRef>> {
    let mut objects = Vec::new();
    let mut paths = Vec::new();
    for source in sources {
        match source.strip_prefix("s3://") {
            Some(rest) => objects.extend(listed(stores, rest, source).await?),
            None => paths.push(PathBuf::from(source)),
        }
    }
    if !paths.is_empty() {
        let found = input::find(&paths)?;
        found.note();
        problems.extend(found.unread);
        objects.extend(found.files.iter().map(|path| ObjectRef {
            bucket: String::new(),
            key: path.to_string_lossy().into_owned(),
            version: None,
        }));
    }
    Ok(objects)
}

/// The log files below an S3 URL.
async fn listed(stores: &Stores, rest: &str, url: &str) -> anyhow::Result<Vec<ObjectRef>> {
    let bucket = rest.split('/').next().unwrap_or_default().to_owned();
    let place = stores.open(url)?;
    let mut list = place.store.list(Some(&place.prefix));
    let mut objects = Vec::new();
    while let Some(found) = list.next().await {
        let found = found.with_context(|| url.to_owned())?;
        let key = found.location.to_string();
        let kind = ObjectKey::parse(&key).kind;
        if key.ends_with(".json.gz") && !matches!(kind, ObjectKind::Digest | ObjectKind::Foreign) {
            objects.push(ObjectRef { bucket: bucket.clone(), key, version: None });
        }
    }
    if objects.is_empty() {
        bail!("{url} holds no log files");
    }
    Ok(objects)
}
