//! Questions about records that were read, asked of a lake on one machine.

use super::command::{command, stderr, stdout};
use super::*;

#[test]
fn the_demos_intruder_is_named_by_what_he_launched_and_opened() {
    let data = tempfile::tempdir().expect("a folder");
    let (logs, data) = (concat!(env!("CARGO_MANIFEST_DIR"), "/events/aws"), data.path().to_str().expect("UTF-8"));
    let qtrail = |arguments: &[&str]| command().args(arguments).args(["--data", data]).output().expect("qtrail runs");
    let ingested = qtrail(&["ingest", logs]);
    assert!(ingested.status.success(), "{}", stderr(&ingested));

    let told = qtrail(&["who", "i-0badc0ffee1234567"]);
    let lines: Vec<&str> = stdout(&told).lines().collect();
    assert!(lines[0].starts_with("created: 2026-11-20T03:07:48Z  RunInstances"), "{lines:?}");
    assert!(lines[0].contains("from 198.51.100.23 with Firefox 145.0 on Linux, no MFA"), "{lines:?}");
    assert!(lines[1].contains("signed in: 2026-11-20T03:04:05Z"), "{lines:?}");
    assert!(lines[2].contains("the user svc-backup"), "{lines:?}");
    assert!(lines[3].contains("CreateLoginProfile by arn:aws:iam::111122223333:user/ci-deploy"), "{lines:?}");

    let opened = qtrail(&["who", "sg-0a1b2c3d4e5f60718"]);
    let opened = stdout(&opened);
    assert!(opened.starts_with("changed: 2026-11-20T03:06:30Z  AuthorizeSecurityGroupIngress"), "{opened}");

    let told = qtrail(&["who", "svc-backup", "--format", "ndjson"]);
    let deeds: Vec<Value> = stdout(&told).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&deeds[0]["act"], &deeds[0]["outcome"]), (&json!("creation"), &json!("success")));
    assert_eq!(deeds[0]["chain"]["end"]["by"]["access_key"], "AKIAMAKLBPLKTBIGBZFM");

    let told = qtrail(&["who", "i-00000000000000000"]);
    assert_eq!((told.status.code(), stdout(&told)), (Some(0), ""));
    assert!(stderr(&told).contains("the lake begins on 2026-11-20"), "{}", stderr(&told));
}

#[test]
fn what_cannot_be_read_is_said_wherever_an_answer_could_lack_it() {
    let data = tempfile::tempdir().expect("a folder");
    let logs = concat!(env!("CARGO_MANIFEST_DIR"), "/events/aws");
    let folder = data.path().to_str().expect("UTF-8");
    let qtrail = |arguments: &[&str]| command().args(arguments).args(["--data", folder]).output().expect("qtrail runs");
    assert!(qtrail(&["ingest", logs]).status.success());
    let hot = data.path().join("hot/dt=2026-11-20");
    std::fs::create_dir_all(&hot).expect("a folder");
    std::fs::write(hot.join("abc.parquet"), b"no file of the lake").expect("written");

    let searched = qtrail(&["search", "--user", "nobody-of-this-name"]);
    assert_eq!((searched.status.code(), stdout(&searched)), (Some(2), ""));
    assert!(stderr(&searched).contains("nothing matches in what could be read"), "{}", stderr(&searched));
    assert!(
        stderr(&searched).contains("not read: hot/dt=2026-11-20/abc.parquet: it is damaged"),
        "{}",
        stderr(&searched)
    );
    let told = qtrail(&["who", "i-0badc0ffee1234567"]);
    assert_eq!(told.status.code(), Some(2));
    assert!(stderr(&told).contains("abc.parquet"), "{}", stderr(&told));
    let again = qtrail(&["ingest", logs]);
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    assert!(stderr(&again).contains("cannot be read"), "{}", stderr(&again));

    for (arguments, said) in [
        (&["who", "*"][..], "name one resource"),
        (&["search", "--limit", "0"], "at least 1"),
        (&["search", "--ip", "198.51.100"], "neither an address"),
        (&["search", "--lake", "gs://somewhere"], "gs://"),
    ] {
        let refused = qtrail(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&refused).contains(said), "{arguments:?}: {}", stderr(&refused));
    }
}

#[test]
fn a_role_that_a_task_names_is_used_and_not_changed() {
    let data = tempfile::tempdir().expect("a folder");
    let logs = concat!(env!("CARGO_MANIFEST_DIR"), "/events/aws");
    let folder = data.path().to_str().expect("UTF-8");
    let qtrail = |arguments: &[&str]| command().args(arguments).args(["--data", folder]).output().expect("qtrail runs");
    assert!(qtrail(&["ingest", logs]).status.success());
    let told = qtrail(&["who", "role/github-ci"]);
    assert!(!stdout(&told).contains("RegisterTaskDefinition by"), "{}", stdout(&told));
    assert!(stderr(&told).contains("only make use of it"), "{}", stderr(&told));
}
