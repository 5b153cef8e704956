//! How much memory `qtrail scan` takes over a large folder.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::corpus::Corpus;
use crate::verdict;

/// The limit in MB.
const LIMIT: u64 = 300;

pub(crate) fn report(records: usize) {
    let Some(command) = option_env!("CARGO_BIN_EXE_qtrail") else {
        println!("memory of `qtrail scan`: NOT MEASURED, this bench was not built with the command");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = write(records, folder.path());
    let scanned = scan(command, folder.path());
    match scanned {
        Ok((peak, summary)) => {
            println!("`qtrail scan` of {records} records in {files} files: {}", summary.trim());
            println!("peak resident memory {peak} MB; limit {LIMIT} MB: {}", verdict(peak < LIMIT));
        }
        Err(problem) => println!("memory of `qtrail scan`: NOT MEASURED, {problem}"),
    }
}

/// Writes the corpus into a folder, one file at a time.
fn write(records: usize, folder: &Path) -> usize {
    let mut count = 0;
    for file in (Corpus { records, ..Corpus::default() }).files() {
        let path = folder.join(&file.key);
        fs::create_dir_all(path.parent().expect("a key has folders")).expect("a writable folder");
        fs::write(path, &file.gzip).expect("a writable folder");
        count += 1;
    }
    count
}

/// Peak memory in MB and the summary line, or why there are none.
fn scan(command: &str, folder: &Path) -> Result<(u64, String), String> {
    let errors = folder.join("stderr");
    let mut child = Command::new(command)
        .arg("scan")
        .arg(folder.join("AWSLogs"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&errors).expect("a writable folder"))
        .spawn()
        .map_err(|error| format!("{command}: {error}"))?;
    let peak = watch(&mut child);
    let said = fs::read_to_string(&errors).unwrap_or_default();
    let summary = said.lines().find(|line| line.contains("records="));
    match (peak, summary) {
        (_, None) => Err("it printed no summary line".to_owned()),
        (None, _) => Err("this system does not tell a process's peak memory in /proc".to_owned()),
        (Some(peak), Some(summary)) => Ok((peak, summary.to_owned())),
    }
}

/// The high-water mark, read until the process has ended.
fn watch(child: &mut Child) -> Option<u64> {
    let mut peak = None;
    while child.try_wait().is_ok_and(|status| status.is_none()) {
        peak = megabytes(child.id(), "VmHWM:").or(peak);
        thread::sleep(Duration::from_millis(2));
    }
    peak
}

/// A line of a process's status, in MB.
pub(crate) fn megabytes(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1000)
}
