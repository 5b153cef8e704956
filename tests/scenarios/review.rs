//! An access review on one machine: decided, carried out, and proven by the very log files that are read.

use std::process::Output;

use super::command::{command, stderr, stdout};
use super::*;

/// A population of two users: the machine's user is the reviewer of one, and is the other one.
fn population(reviewer: &str) -> Value {
    let user = |number: u32, name: &str, reviewer: &str| {
        json!({
            "number": number, "id": format!("arn:aws:iam::{ACCOUNT}:user/{name}"), "kind": "user", "account": ACCOUNT,
            "name": name, "unique_id": format!("AIDA{number}"), "person": null,
            "grants": [{"kind": "access_key", "name": format!("AKIA{number}"), "via": ""}],
            "privileged": false, "privileged_by": [], "mfa": null, "keys": [], "trusts": [], "created": null,
            "created_by": null, "last_used": "2026-11-19T00:00:00Z", "actors": [],
            "usage": {"records": 0, "writes": 0, "refused": 0, "first": null, "last": null, "services": {},
                "actions": {}, "keys": {}, "samples": []},
            "reviewer": reviewer, "joined": false,
        })
    };
    json!({
        "taken": "2026-11-20T00:00:00Z", "scope": [], "receipts": [], "unknown": [], "gaps": [], "people_sha256": "",
        "people_by": "", "subjects": [user(1, "mallory", reviewer), user(2, reviewer, "somebody-else")],
    })
}

struct Folder {
    data: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let place = data.path().join("reviews/2026-Q4");
        std::fs::create_dir_all(&place).expect("a folder");
        let bytes = crate::support::s3::gzip(population("reviewer").to_string().as_bytes());
        std::fs::write(place.join("population.json.gz"), bytes).expect("written");
        Self { data }
    }

    fn qtrail(&self, arguments: &[&str]) -> Output {
        let mut command = command();
        command.args(arguments).arg("--data").arg(self.data.path()).env("USER", "reviewer");
        command.output().expect("qtrail runs")
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.qtrail(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output).to_owned()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.qtrail(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        stderr(&output).to_owned()
    }

    fn remedy(&self) -> Value {
        let shown = self.done(&["review", "show", "2026-Q4", "1", "--format", "ndjson"]);
        serde_json::from_str::<Value>(&shown).expect("JSON")["standing"]["remedy"].clone()
    }
}

#[test]
fn a_revocation_is_decided_carried_out_and_proven() {
    let folder = Folder::new();
    folder.done(&["review", "open", "2026-Q4"]);
    assert!(folder.refused(&["review", "open", "2026-Q4"]).contains("open already"));
    assert!(folder.refused(&["review", "decide", "2026-Q4", "2", "keep"]).contains("own access"));
    let sheet = folder.done(&["review", "sheet", "2026-Q4"]);
    let filled = sheet.replacen(",reviewer,,,,,", ",reviewer,,revoke,,,OPS-1", 1);
    assert_ne!(sheet, filled, "{sheet}");
    let file = folder.data.path().join("review.csv");
    std::fs::write(&file, filled).expect("written");
    folder.done(&["review", "propose", "2026-Q4", file.to_str().expect("UTF-8")]);
    assert_eq!(folder.remedy(), "none", "a proposal takes nothing away");
    folder.done(&["review", "confirm", "2026-Q4", "1"]);
    let refused = folder.refused(&["review", "sign-off", "2026-Q4", "--statement", "All is well."]);
    assert!(refused.contains("review.approvers"), "{refused}");

    let request = json!({"requestParameters": {"userName": "mallory"}, "eventTime": "2026-11-20T03:00:00Z"});
    let name = "logs/AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/20/111122223333_CloudTrail_us-east-1_20261120T0010Z_a.json.gz";
    let path = folder.data.path().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(&path, log_file(&[record(1, "iam.amazonaws.com", "DeleteUser", &request)])).expect("written");
    for _ in 0..2 {
        folder.done(&["ingest", path.to_str().expect("UTF-8")]);
        assert_eq!(folder.remedy(), "seen_in_log");
    }
    let shown = folder.done(&["review", "show", "2026-Q4", "1"]);
    assert_eq!(shown.matches("DeleteUser mallory").count(), 1, "each record once: {shown}");
}
