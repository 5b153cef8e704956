//! Who was allowed something, asked of a snapshot that lies beside the lake.

use std::fs;
use std::path::Path;

use trail::record::{digest, hex};

use super::command::{command, json_lines, stderr, stdout};
use super::*;
use crate::support::s3::{gzip, log_file};

/// A folder with a snapshot of production, in which these users may do anything.
fn snapshot(data: &Path, taken: &str, users: &[&str], is_complete: bool) {
    let allow = json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let user = |name: &&str| {
        json!({
            "UserName": name,
            "UserId": format!("AIDA{name}"),
            "Arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
            "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": allow}],
        })
    };
    let mfa = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
    let statement = json!({"Effect": "Allow", "Action": "rds:*", "Resource": "*", "Condition": mfa});
    let role = json!({
        "RoleName": "dba", "RoleId": "AROADBA", "Arn": format!("arn:aws:iam::{ACCOUNT}:role/dba"),
        "RolePolicyList": [{"PolicyName": "with-mfa", "PolicyDocument": {"Statement": statement}}],
        "AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}}]},
    });
    let users: Vec<Value> = users.iter().map(user).collect();
    let details = json!({"UserDetailList": users, "RoleDetailList": [role], "GroupDetailList": [], "Policies": []});
    let answered = |call: &str, result: Value| {
        let mut answer = json!({"call": call, "account": ACCOUNT, "region": "global", "time": "2026-10-01T00:00:00Z"});
        for (name, value) in result.as_object().expect("a reply") {
            answer[name] = value.clone();
        }
        answer
    };
    let refusal = |cause: &str, code: &str| json!({"refusal": {"cause": cause, "code": code, "message": ""}});
    // base64 of `user,arn` and no rows.
    let report = json!({"body": {"Content": "dXNlcixhcm4K"}});
    let answers = json!([
        answered("iam:GetAccountAuthorizationDetails", json!({"body": details})),
        answered("iam:GetCredentialReport", report),
        answered("iam:ListVirtualMFADevices", json!({"body": {"VirtualMFADevices": []}})),
        answered("iam:ListSAMLProviders", refusal("denied", "AccessDenied")),
        answered("iam:ListOpenIDConnectProviders", json!({"body": {"OpenIDConnectProviderList": []}})),
        answered("sso:ListInstances", json!({"body": {"Instances": []}})),
        answered("organizations:ListAccounts", refusal("absent", "AWSOrganizationsNotInUseException")),
    ]);
    let whole = json!({"version": 1, "account": ACCOUNT, "taken": "2026-10-01T00:00:00Z", "answers": answers});
    let folder = data.join("access").join(taken);
    fs::create_dir_all(&folder).expect("made");
    let bytes = gzip(whole.to_string().as_bytes());
    let complete = json!({"taken": Time::parse(taken), "accounts": {ACCOUNT: hex(&digest(&bytes))}});
    fs::write(folder.join(format!("{ACCOUNT}.json.gz")), bytes).expect("written");
    if is_complete {
        fs::write(folder.join("complete.json"), complete.to_string()).expect("written");
    }
}

/// alice deletes a database; a session of the role looks at one.
fn ingested(data: &Path) {
    let record = |id: &str, name: &str, identity: Value| {
        json!({
            "eventVersion": "1.11", "eventID": id, "eventTime": "2026-11-19T08:00:00Z", "eventName": name,
            "eventSource": "rds.amazonaws.com", "awsRegion": "eu-west-1", "sourceIPAddress": "203.0.113.7",
            "userAgent": "aws-cli/2.17", "eventType": "AwsApiCall", "recipientAccountId": ACCOUNT,
            "userIdentity": identity,
        })
    };
    let alice = json!({"type": "IAMUser", "userName": "alice", "accountId": ACCOUNT,
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/alice"), "principalId": "AIDAalice"});
    let session = json!({"type": "AssumedRole", "accountId": ACCOUNT, "principalId": "AROADBA:bob",
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/dba/bob")});
    let file = log_file(&[record("e-1", "DeleteDBInstance", alice), record("e-2", "DescribeDBInstances", session)]);
    let logs = tempfile::tempdir().expect("a folder");
    fs::write(logs.path().join("a.json.gz"), file).expect("written");
    let output = command().arg("ingest").arg(logs.path()).arg("--data").arg(data).output().expect("qtrail runs");
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn who_could_have_deleted_the_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let ask = |arguments: &[&str]| {
        command().arg("who-can").args(arguments).arg("--data").arg(data).output().expect("qtrail runs")
    };
    let none = ask(&["rds:DeleteDBInstance"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("take one with qtrail review snapshot"), "{}", stderr(&none));
    assert!(stderr(&ask(&["DeleteDBInstance"])).contains("such as rds:DeleteDBInstance"));

    snapshot(data, "20261001T000000Z", &["alice", "mallory"], true);
    snapshot(data, "20261101T000000Z", &["alice"], true);
    snapshot(data, "20261115T000000Z", &[], false);
    ingested(data);
    let told = ask(&["rds:DeleteDBInstance", "--at", "2026-11-20"]);
    // What could not be seen is said, and that the answer is not whole.
    assert_eq!(told.status.code(), Some(2), "{}", stderr(&told));
    assert!(stderr(&told).contains("iam:ListSAMLProviders: not allowed (AccessDenied)"), "{}", stderr(&told));
    assert!(stderr(&told).contains("2026-11-15T00:00:00Z is not complete"));
    assert!(
        stderr(&told).contains("principals=3 snapshot=2026-11-01T00:00:00Z accounts=1 gaps=1"),
        "{}",
        stderr(&told)
    );
    assert!(stderr(&told).contains("conditions were not evaluated: aws:MultiFactorAuthPresent"));
    let lines: Vec<&str> = stdout(&told).lines().collect();
    let expected = [
        "allowed 111122223333 root: being root; not seen in 90 days",
        "allowed 111122223333 user alice: own statement 1; last did it 2026-11-19T08:00:00Z; last seen 2026-11-19T08:00:00Z",
        "depends 111122223333 role dba: with-mfa statement 1; depends on aws:MultiFactorAuthPresent; taken by \
         arn:aws:iam::111122223333:root; last seen 2026-11-19T08:00:00Z",
    ];
    assert_eq!(lines, expected);

    let earlier = ask(&["rds:Delete*", "--at", "2026-10-15", "--format", "ndjson"]);
    let holders = json_lines(&earlier);
    let named: Vec<&str> = holders.iter().filter_map(|holder| holder["name"].as_str()).collect();
    assert_eq!(named, ["root", "alice", "mallory", "dba"]);
    assert_eq!(
        (&holders[1]["last_done"], &holders[3]["conditions"][0]),
        (&Value::Null, &json!("aws:MultiFactorAuthPresent"))
    );

    let file = data.join(format!("access/20261001T000000Z/{ACCOUNT}.json.gz"));
    fs::write(file, gzip(b"{}")).expect("written");
    let changed = ask(&["rds:Delete*", "--at", "2026-10-15"]);
    assert_eq!((changed.status.code(), stdout(&changed)), (Some(2), ""));
    assert!(stderr(&changed).contains("it was changed since it was taken"), "{}", stderr(&changed));
}
