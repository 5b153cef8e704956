//! `qtrail detections`: everything that is looked for.

use trail::detection::Detection;
use trail::detections;

use crate::Ending;
use crate::output::Printer;

/// Runs the command.
pub(crate) fn run() -> anyhow::Result<Ending> {
    let mut all = detections::all();
    all.sort_by_key(|detection| (detection.category, detection.id));
    let mut printer = Printer::new();
    for detection in all {
        printer.graded(detection.severity, &line(detection))?;
    }
    Ok(Ending::Done)
}

fn line(detection: &Detection) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let references: Vec<&str> = detection.techniques.iter().chain(detection.controls).copied().collect();
    let references = if references.is_empty() { String::new() } else { format!(" ({})", references.join(", ")) };
    format!(
        "{:<13} {:<17} {:<36} {}{references}",
        word(serde_json::json!(detection.severity)),
        word(serde_json::json!(detection.category)),
        detection.id,
        detection.title
    )
}
