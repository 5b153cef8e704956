//! Metrics in CloudWatch's embedded format: a line of JSON on stdout that Lambda's logs turn into metrics.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The namespace of all metrics.
const NAMESPACE: &str = "QuickInfraTrail";

/// Where metrics go.
#[derive(Debug, Clone)]
pub enum Metrics {
    /// To CloudWatch, under this stack's name.
    Stack(String),
    /// Nowhere: on one machine nobody collects them.
    Off,
}

impl Metrics {
    /// Emits counts in one line.
    pub fn emit(&self, counts: &[(&str, u64)]) {
        let Self::Stack(stack) = self else { return };
        let line = embedded(stack, counts, millis_now());
        // A full or closed stdout is no reason to fail the work that was counted.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

fn embedded(stack: &str, counts: &[(&str, u64)], millis: u64) -> Value {
    let names: Vec<Value> = counts.iter().map(|(name, _)| json!({"Name": name, "Unit": "Count"})).collect();
    let mut line = json!({
        "_aws": {"Timestamp": millis, "CloudWatchMetrics": [
            {"Namespace": NAMESPACE, "Dimensions": [["Stack"]], "Metrics": names}
        ]},
        "Stack": stack,
    });
    for (name, count) in counts {
        line[*name] = json!(count);
    }
    line
}

fn millis_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_takes() {
        let line = embedded("trail", &[("RecordsIn", 7)], 5);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "RecordsIn");
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0][0], "Stack");
        assert_eq!((line["RecordsIn"].as_u64(), line["Stack"].as_str()), (Some(7), Some("trail")));
    }
}
