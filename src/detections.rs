//! `qtrail detections`: everything that is looked for, in records and in trail settings.

use trail::control::Control;
use trail::detection::{Category, Detection, Severity};
use trail::{controls, detections};

use crate::Ending;
use crate::output::Printer;

/// Runs the command.
pub(crate) fn run() -> anyhow::Result<Ending> {
    let mut all = detections::all();
    all.sort_by_key(|detection| (detection.category, detection.id));
    let mut printer = Printer::new();
    for detection in all {
        let references: Vec<&str> = detection.techniques.iter().chain(detection.controls).copied().collect();
        let Detection { severity, category, id, title, .. } = detection;
        printer.graded(*severity, &line((*severity, *category), id, title, &references.join(", ")))?;
    }
    for Control { severity, id, title, references, .. } in controls::all() {
        let category = Category::TrailSettings;
        printer.graded(*severity, &line((*severity, category), id, title, &references.to_string()))?;
    }
    Ok(Ending::Done)
}

fn line((severity, category): (Severity, Category), id: &str, title: &str, references: &str) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let references = if references.is_empty() { String::new() } else { format!(" ({references})") };
    let (severity, category) = (word(serde_json::json!(severity)), word(serde_json::json!(category)));
    format!("{severity:<13} {category:<17} {id:<36} {title}{references}")
}
