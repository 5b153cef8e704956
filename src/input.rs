//! Log files on disk.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use trail::settings::Settings;

/// Log files below some paths, and what was passed over.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// Files to be read, in order of their paths.
    pub(crate) files: Vec<PathBuf>,
    /// Files in folders that are no log files by their names.
    pub(crate) passed_over: usize,
}

/// Finds log files. A file that is named is read whatever it is called.
pub(crate) fn find(paths: &[PathBuf]) -> anyhow::Result<Inputs> {
    let mut inputs = Inputs::default();
    for path in paths {
        let about = path.metadata().with_context(|| format!("{}", path.display()))?;
        if about.is_dir() {
            walk(path, &mut inputs)?;
        } else {
            inputs.files.push(path.clone());
        }
    }
    inputs.files.sort();
    inputs.files.dedup();
    if inputs.files.is_empty() {
        bail!("no log files there: they end in .json.gz, .json, .ndjson or .jsonl; name other files one by one");
    }
    Ok(inputs)
}

fn walk(folder: &Path, inputs: &mut Inputs) -> anyhow::Result<()> {
    for entry in folder.read_dir().with_context(|| format!("{}", folder.display()))? {
        let path = entry.with_context(|| format!("{}", folder.display()))?.path();
        if path.is_dir() {
            walk(&path, inputs)?;
        } else if is_log_file(&path) {
            inputs.files.push(path);
        } else {
            inputs.passed_over += 1;
        }
    }
    Ok(())
}

fn is_log_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let endings = [".json.gz", ".json", ".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz"];
    // S3's metadata lies beside an object under this name.
    !name.ends_with(".metadata.json") && endings.iter().any(|ending| name.ends_with(ending))
}

/// Settings from a file, else the defaults.
pub(crate) fn settings(path: Option<&Path>) -> anyhow::Result<Settings> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    Settings::from_toml(&text).with_context(|| format!("{}", path.display()))
}
