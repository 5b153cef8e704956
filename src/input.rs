//! Log files on disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use trail::object_key::{ObjectKey, ObjectKind};
use trail::settings::Settings;

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

/// Settings from a file, else the defaults.
pub(crate) fn settings(path: Option<&Path>) -> anyhow::Result<Settings> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    Settings::from_toml(&text).with_context(|| format!("{}", path.display()))
}
