//! Log files on disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cloud::rebuild::RawFile;
use cloud::stores::Stores;
use futures::StreamExt;
use object_store::ObjectStore;
use trail::object_key::{ObjectKey, ObjectKind};
use trail::settings::Settings;

use crate::cli::StateArgs;
use crate::output;

/// Log files below some paths, and what was passed over.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// Files to be read, in order of their paths.
    pub(crate) files: Vec<PathBuf>,
    /// Files in folders that are no log files by their names.
    pub(crate) passed_over: usize,
    /// Folders that could not be read, and why.
    pub(crate) unread: Vec<String>,
    /// Folders that were entered: a link may lead back.
    entered: BTreeSet<PathBuf>,
}

impl Inputs {
    /// Says how much is not looked at.
    pub(crate) fn note(&self) {
        if self.passed_over > 0 {
            output::note(&format!("{} files passed over: by their names no log files of CloudTrail", self.passed_over));
        }
    }
}

/// Finds log files. A file that is named is read whatever it is called.
pub(crate) fn find(paths: &[PathBuf]) -> anyhow::Result<Inputs> {
    let mut inputs = Inputs::default();
    for path in paths {
        let about = path.metadata().with_context(|| format!("{}", path.display()))?;
        if about.is_dir() {
            walk(path, &mut inputs);
        } else {
            inputs.files.push(path.clone());
        }
    }
    inputs.files.sort();
    inputs.files.dedup();
    if let (true, Some(problem)) = (inputs.files.is_empty(), inputs.unread.first()) {
        bail!("{problem}");
    }
    if inputs.files.is_empty() {
        bail!("no log files there: they end in .json.gz, .json, .ndjson or .jsonl; name other files one by one");
    }
    Ok(inputs)
}

/// One folder that cannot be read does not cost the others.
fn walk(folder: &Path, inputs: &mut Inputs) {
    let entries = folder.canonicalize().and_then(|real| {
        let is_new = inputs.entered.insert(real);
        is_new.then(|| folder.read_dir()).transpose()
    });
    let entries = match entries {
        Ok(Some(entries)) => entries,
        Ok(None) => return,
        Err(error) => return inputs.unread.push(format!("{}: {error}", folder.display())),
    };
    for entry in entries {
        match entry {
            Ok(entry) => take(entry.path(), inputs),
            Err(error) => inputs.unread.push(format!("{}: {error}", folder.display())),
        }
    }
}

fn take(path: PathBuf, inputs: &mut Inputs) {
    if path.is_dir() {
        walk(&path, inputs);
    } else if is_log_file(&path) {
        inputs.files.push(path);
    } else {
        inputs.passed_over += 1;
    }
}

fn is_log_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let endings = [".json.gz", ".json", ".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz"];
    // S3's metadata lies beside an object under this name.
    let is_foreign = ObjectKey::parse(&path.to_string_lossy()).kind == ObjectKind::Foreign;
    !name.ends_with(".metadata.json") && !is_foreign && endings.iter().any(|ending| name.ends_with(ending))
}

/// All log files of the sources, which are paths and `s3://` URLs; folders that cannot be read are problems.
pub(crate) async fn log_files(
    stores: &Stores,
    sources: &[String],
    problems: &mut Vec<String>,
) -> anyhow::Result<Vec<RawFile>> {
    let mut files = Vec::new();
    let mut paths = Vec::new();
    for source in sources {
        match source.strip_prefix("s3://") {
            Some(rest) => files.extend(listed(stores, rest, source).await?),
            None => paths.push(PathBuf::from(source)),
        }
    }
    if !paths.is_empty() {
        let found = find(&paths)?;
        found.note();
        problems.extend(found.unread);
        files.extend(found.files.iter().map(|path| RawFile {
            size: path.metadata().map_or(0, |about| about.len()),
            key: path.to_string_lossy().into_owned(),
            bucket: String::new(),
        }));
    }
    Ok(files)
}

/// The log files below an S3 URL.
async fn listed(stores: &Stores, rest: &str, url: &str) -> anyhow::Result<Vec<RawFile>> {
    let bucket = rest.split('/').next().unwrap_or_default().to_owned();
    let place = stores.open(url)?;
    let mut list = place.store.list(Some(&place.prefix));
    let mut files = Vec::new();
    while let Some(found) = list.next().await {
        let found = found.with_context(|| url.to_owned())?;
        let key = found.location.to_string();
        let kind = ObjectKey::parse(&key).kind;
        if key.ends_with(".json.gz") && !matches!(kind, ObjectKind::Digest | ObjectKind::Foreign) {
            files.push(RawFile { size: found.size, key, bucket: bucket.clone() });
        }
    }
    if files.is_empty() {
        bail!("{url} holds no log files");
    }
    Ok(files)
}

/// The settings that are named, else those of the folder.
pub(crate) fn settings_of(state: &StateArgs) -> anyhow::Result<Settings> {
    let own = Some(state.data.join("config.toml")).filter(|path| state.table.is_none() && path.exists());
    settings(state.settings.as_deref().or(own.as_deref()))
}

/// Settings from a file, else the defaults.
pub(crate) fn settings(path: Option<&Path>) -> anyhow::Result<Settings> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    Settings::from_toml(&text).with_context(|| format!("{}", path.display()))
}
