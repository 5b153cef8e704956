//! What AWS did not tell stands in the review, and whoever signs it off has to say so.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use cloud::collect::Options;
use cloud::review::collect::Taking;
use cloud::review::store::Store;
use cloud::stores::folder;
use serde_json::Value;
use trail::settings::Settings;
use trail::time::Time;

use super::{Company, Fault};
use crate::scenarios::command::{command, json_lines, stderr, stdout};

/// `qtrail` over a folder, as a user of this machine.
fn qtrail(data: &Path, user: &str, arguments: &[&str]) -> Output {
    let mut command = command();
    command.args(arguments).arg("--data").arg(data).env("USER", user);
    if arguments[0] == "review" {
        command.arg("--settings").arg(data.join("config.toml"));
    }
    command.output().expect("qtrail runs")
}

/// Snapshots of the company while one call is throttled, and a report is never done.
async fn taken(company: &Company, data: &Path) {
    let aws = &company.world.aws;
    aws.inject("iam:ListSAMLProviders", "", usize::MAX, Fault::Refuse(400, "Throttling"));
    aws.inject("iam:GetCredentialReport", "", usize::MAX, Fault::Refuse(404, "ReportInProgress"));
    let config = format!(
        "[accounts.{}]\nname = \"pay\"\nowner = \"boss\"\n[review]\napprovers = [\"chief\"]\n[review.excluded]\n{} = \
         \"holds no workload\"\n",
        company.home, company.management
    );
    std::fs::write(data.join("config.toml"), &config).expect("written");
    let settings = Settings::from_toml(&config).expect("good settings");
    let store = Store::new(folder(data).expect("a place"));
    let taking = Taking { collector: &company.world.collector, settings: &settings, store: &store };
    let at = Time(1_790_812_800);
    let progress = taking.take(at, Instant::now() + Duration::from_mins(1)).await.expect("taken");
    assert_eq!((&progress.taken[..], progress.left.len()), (std::slice::from_ref(&company.home), 0));
}

#[tokio::test]
async fn a_partial_population_is_signed_off_only_by_who_says_so() {
    let options = Options { time: Duration::from_secs(3), ..Options::default() };
    let company = Company::with("100000000131", options).await;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    taken(&company, data).await;
    let done = |user: &str, arguments: &[&str]| {
        let output = qtrail(data, user, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        output
    };
    done("boss", &["review", "open", "2026-Q3"]);
    let shown = done("boss", &["review", "show", "2026-Q3"]);
    for gap in ["iam:ListSAMLProviders", "iam:GetCredentialReport"] {
        assert!(stdout(&shown).contains(&format!("not seen: {} {gap}", company.home)), "{}", stdout(&shown));
    }
    let could = qtrail(data, "boss", &["who-can", "iam:PutUserPolicy"]);
    assert_eq!(could.status.code(), Some(2), "somebody may be missing: {}", stderr(&could));

    let subjects = json_lines(&done("boss", &["review", "subjects", "2026-Q3", "--format", "ndjson"]));
    assert!(subjects.iter().any(|line| line["subject"]["name"] == "alice"), "what was told is there");
    let sign = ["review", "sign-off", "2026-Q3", "--statement", "Looked at."];
    let refused = |why: &str| {
        let output = qtrail(data, "chief", &sign);
        assert!(output.status.code() == Some(2) && stderr(&output).contains(why), "{why}: {}", stderr(&output));
    };
    refused("are not decided");
    for line in &subjects {
        let number = line["subject"]["number"].to_string();
        done("boss", &["review", "decide", "2026-Q3", &number, "keep", "--justification", "Needed."]);
    }
    refused("the population is partial");
    done("chief", &[&sign[..], &["--partial"]].concat());
    let shown = done("chief", &["review", "show", "2026-Q3", "--format", "ndjson"]);
    let statement = &json_lines(&shown)[0]["standing"]["statement"];
    assert!(matches!(statement, Value::String(text) if text.contains("Looked at. The population is partial")));
}
