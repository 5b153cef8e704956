//! An access review on one machine: decided, carried out, and proven by the very log files that are read.

use std::path::Path;
use std::process::Output;

use trail::record::{digest, hex};

use super::command::{command, stderr, stdout};
use super::*;

const MALLORY: &str = "arn:aws:iam::111122223333:user/mallory";

const REVIEWER: &str = "arn:aws:iam::111122223333:user/reviewer";

/// What AWS said on the first day of the quarter: two users, one of whom is the machine's own.
fn snapshot(data: &Path, settings: &str) {
    let allow = json!({"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}]});
    let user = |name: &str| {
        json!({"UserName": name, "UserId": format!("AIDA{name}"), "CreateDate": "2024-01-01T00:00:00Z",
            "Arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
            "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": allow}]})
    };
    let details = json!({"UserDetailList": [user("mallory"), user("reviewer")], "RoleDetailList": [],
        "GroupDetailList": [], "Policies": []});
    let told = |call: &str, body: Value| json!({"call": call, "account": ACCOUNT, "region": "global", "time": "2026-10-01T00:00:00Z", "body": body});
    let answers = json!([
        told("iam:GetAccountAuthorizationDetails", details),
        // base64 of `user,arn` and no rows.
        told("iam:GetCredentialReport", json!({"Content": "dXNlcixhcm4K"})),
        told("iam:ListVirtualMFADevices", json!({"VirtualMFADevices": []})),
        told("iam:ListSAMLProviders", json!({"SAMLProviderList": []})),
        told("iam:ListOpenIDConnectProviders", json!({"OpenIDConnectProviderList": []})),
        told("sso:ListInstances", json!({"Instances": []})),
    ]);
    let whole = json!({"version": 1, "account": ACCOUNT, "taken": "2026-10-01T00:00:00Z", "answers": answers});
    let bytes = crate::support::s3::gzip(whole.to_string().as_bytes());
    let folder = data.join("access/20261001T000000Z");
    std::fs::create_dir_all(&folder).expect("made");
    let complete = json!({"taken": "2026-10-01T00:00:00Z", "accounts": {ACCOUNT: hex(&digest(&bytes))}});
    std::fs::write(folder.join(format!("{ACCOUNT}.json.gz")), bytes).expect("written");
    std::fs::write(folder.join("complete.json"), complete.to_string()).expect("written");
    let owner = format!("[accounts.{ACCOUNT}]\nname = \"prod\"\nowner = \"reviewer\"\n");
    std::fs::write(data.join("config.toml"), owner + settings).expect("written");
}

pub(super) struct Folder {
    pub(super) data: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self::with("")
    }

    /// A folder with these settings besides.
    pub(super) fn with(settings: &str) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        snapshot(data.path(), settings);
        Self { data }
    }

    fn qtrail(&self, arguments: &[&str]) -> Output {
        let mut command = command();
        command.args(arguments).arg("--data").arg(self.data.path()).env("USER", "reviewer");
        command.arg("--settings").arg(self.data.path().join("config.toml"));
        command.output().expect("qtrail runs")
    }

    pub(super) fn done(&self, arguments: &[&str]) -> String {
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
        let shown = self.done(&["review", "show", "2026-Q3", MALLORY, "--format", "ndjson"]);
        serde_json::from_str::<Value>(&shown).expect("JSON")["standing"]["remedy"].clone()
    }
}

#[test]
fn a_revocation_is_decided_carried_out_and_proven() {
    let folder = Folder::new();
    assert!(folder.refused(&["review", "open", "2099-Q4"]).contains("what was used in it is not known yet"));
    folder.done(&["review", "open", "2026-Q3"]);
    assert!(folder.refused(&["review", "open", "2026-Q3"]).contains("open already"));
    assert!(folder.refused(&["review", "decide", "2026-Q3", REVIEWER, "keep"]).contains("own access"));
    let sheet = folder.done(&["review", "sheet", "2026-Q3"]);
    let row = sheet.lines().find(|line| line.contains(MALLORY)).expect("a row");
    let filled = sheet.replace(row, &row.replacen(",reviewer,,,,,", ",reviewer,,revoke,,,OPS-1", 1));
    assert_ne!(sheet, filled, "{sheet}");
    let file = folder.data.path().join("review.csv");
    std::fs::write(&file, filled).expect("written");
    folder.done(&["review", "propose", "2026-Q3", file.to_str().expect("UTF-8")]);
    assert_eq!(folder.remedy(), "none", "a proposal takes nothing away");
    folder.done(&["review", "confirm", "2026-Q3", MALLORY]);
    let refused = folder.refused(&["review", "sign-off", "2026-Q3", "--statement", "All is well."]);
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
    let shown = folder.done(&["review", "show", "2026-Q3", MALLORY]);
    assert_eq!(shown.matches("DeleteUser mallory").count(), 1, "each record once: {shown}");
}
