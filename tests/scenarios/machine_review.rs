//! An access review on one machine, with `qtrail` and AWS's own command line alone: asked of an emulator that knows the
//! policies which AWS manages, decided, carried out, proven by records, gone from the next snapshot, and packed.

use std::path::PathBuf;
use std::process::Output;

use trail::review::Period;

use super::command::{command, json_lines, stderr, stdout};
use super::*;
use crate::support::SECRET_KEY;
use crate::support::aws_cli::aws_as;
use crate::support::moto::Moto;
use crate::support::s3::log_file;

/// The account of the company.
const HOME: &str = "100000000130";

/// The people, as the company lists them.
const PEOPLE: &str = "person,aliases,manager,status,start,end\n\
    ada,,boss,active,2024-01-01,\nben,,boss,active,2024-01-01,\nboss,,,active,2020-01-01,\n";

/// A folder on somebody's machine, and the account that it is about.
struct Machine {
    moto: Moto,
    root: String,
    folder: tempfile::TempDir,
    review: String,
}

impl Machine {
    /// ada is administrator by AWS's own policy, ben reads through a group.
    async fn start() -> Self {
        let moto = Moto::with_managed_policies();
        let root = moto.key_of(HOME).await;
        let folder = tempfile::tempdir().expect("a folder");
        let config =
            format!("[accounts.{HOME}]\nname = \"pay\"\nowner = \"boss\"\n[review]\napprovers = [\"chief\"]\n");
        std::fs::write(folder.path().join("config.toml"), config).expect("written");
        std::fs::write(folder.path().join("list.csv"), PEOPLE).expect("written");
        let day = |days: i64| Time(cloud::deployment::now().0 - days * 86_400).date();
        let review = format!("{}..{}", day(30), day(1));
        let machine = Self { moto, root, folder, review };
        for call in [
            "organizations create-organization --feature-set ALL",
            "iam create-user --user-name ada",
            "iam attach-user-policy --user-name ada --policy-arn arn:aws:iam::aws:policy/AdministratorAccess",
            "iam create-access-key --user-name ada",
            "iam create-user --user-name ben",
            "iam create-group --group-name readers",
            "iam attach-group-policy --group-name readers --policy-arn arn:aws:iam::aws:policy/ReadOnlyAccess",
            "iam add-user-to-group --group-name readers --user-name ben",
            "iam create-login-profile --user-name ben --password correct-Horse-7-battery",
        ] {
            machine.aws(call).await;
        }
        machine
    }

    /// AWS's own command line, with the words of this call.
    async fn aws(&self, call: &str) -> Value {
        let words: Vec<&str> = call.split(' ').collect();
        aws_as((&self.root, SECRET_KEY), &format!("http://{}", self.moto.address()), &words).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `qtrail` as this user of the machine has it.
    fn qtrail(&self, user: &str, arguments: &[&str]) -> Output {
        let mut command = command();
        command.args(arguments).arg("--data").arg(self.folder.path()).env("USER", user);
        if !matches!(arguments[0], "who-can") {
            command.arg("--settings").arg(self.path("config.toml"));
        }
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.moto.address()))
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", &self.root)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.output().expect("qtrail runs")
    }

    fn done(&self, user: &str, arguments: &[&str]) -> Output {
        let output = self.qtrail(user, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        output
    }

    fn refused(&self, user: &str, arguments: &[&str], why: &str) {
        let output = self.qtrail(user, arguments);
        assert!(output.status.code() == Some(2) && stderr(&output).contains(why), "{why}: {}", stderr(&output));
    }

    /// The subjects of the review with how they stand, by name.
    fn subjects(&self) -> BTreeMap<String, Value> {
        let lines = json_lines(&self.done("boss", &["review", "subjects", &self.review, "--format", "ndjson"]));
        let name = |line: &Value| line["subject"]["name"].as_str().expect("a name").to_owned();
        lines.into_iter().map(|line| (name(&line), line)).collect()
    }

    fn remedy(&self, name: &str) -> Value {
        self.subjects()[name]["standing"]["remedy"].clone()
    }

    /// The records come as a log file, and are read.
    fn ingest(&self, name: &str, records: &[Value]) {
        let stamp = cloud::deployment::now().date().replace('-', "");
        let file = self.path(&format!("{HOME}_CloudTrail_us-east-1_{stamp}T0010Z_{name}.json.gz"));
        std::fs::write(&file, log_file(records)).expect("written");
        self.done("boss", &["ingest", file.to_str().expect("UTF-8")]);
    }

    /// Makes this call of IAM, and yields the record of it: who, what, with which parameters, when.
    async fn recorded(&self, number: usize, call: &str) -> Value {
        let time = cloud::deployment::now();
        self.aws(&format!("iam {call}")).await;
        let mut words = call.split(' ');
        let name = camel(words.next().expect("a call"), true);
        let mut parameters = serde_json::Map::new();
        while let (Some(option), Some(value)) = (words.next(), words.next()) {
            parameters.insert(camel(option.trim_start_matches('-'), false), json!(value));
        }
        let more = json!({"eventTime": time.to_string(), "recipientAccountId": HOME, "requestParameters": parameters,
            "userIdentity": identity("root", "AKIAROOT")});
        record(number, "iam.amazonaws.com", &name, &more)
    }
}

/// `delete-access-key` is `DeleteAccessKey`, `access-key-id` is `accessKeyId`.
fn camel(words: &str, upper: bool) -> String {
    let part = |(at, word): (usize, &str)| {
        let (head, tail) = word.split_at(1);
        if at == 0 && !upper { word.to_owned() } else { head.to_uppercase() + tail }
    };
    words.split('-').enumerate().map(part).collect()
}

fn identity(name: &str, key: &str) -> Value {
    json!({"type": "IAMUser", "userName": name, "accountId": HOME, "principalId": format!("AIDA{name}"),
        "arn": format!("arn:aws:iam::{HOME}:user/{name}"), "accessKeyId": key})
}

#[tokio::test]
async fn an_administrator_by_a_policy_of_aws_is_found_revoked_gone_and_packed() {
    let machine = Machine::start().await;
    machine.done("hr", &["review", "people", machine.path("list.csv").to_str().expect("UTF-8")]);
    machine.done("boss", &["review", "snapshot"]);
    machine.done("boss", &["review", "open", &machine.review]);
    let subjects = machine.subjects();
    let of = |name: &str| &subjects[name]["subject"];
    assert_eq!(subjects.keys().collect::<Vec<_>>(), ["ada", "ben", "root"]);
    assert_eq!((&of("ada")["privileged"], &of("ada")["reviewer"]), (&json!(true), &json!("boss")));
    assert_eq!(of("ada")["privileged_by"], json!(["every action"]));
    assert_eq!((&of("ben")["privileged"], &of("ben")["reviewer"]), (&json!(false), &json!("boss")));
    let could = |action: &str| {
        let told = machine.qtrail("boss", &["who-can", action, "--format", "ndjson"]);
        json_lines(&told).iter().map(|holder| holder["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(could("iam:CreateAccessKey"), ["root", "ada"]);
    assert_eq!(could("ec2:DescribeInstances"), ["root", "ada", "ben"]);

    decided(&machine);
    removed(&machine).await;
    machine.done("boss", &["review", "snapshot"]);
    assert_eq!(machine.remedy("ada"), "confirmed_absent");
    assert_eq!(machine.remedy("ben"), "reappeared", "he has nothing left in the snapshot, and was at work later");
    packed(&machine);
}

/// Both are revoked by their manager; nobody else may, and nobody signs off before all is decided.
fn decided(machine: &Machine) {
    let review = machine.review.as_str();
    let id = |name: &str| format!("arn:aws:iam::{HOME}:user/{name}");
    let sign = ["review", "sign-off", review, "--statement", "Looked at."];
    machine.refused("ada", &["review", "decide", review, &id("ada"), "keep"], "own access");
    machine.refused("ben", &["review", "decide", review, &id("ada"), "keep"], "boss decides about");
    machine.refused("chief", &sign, "are not decided");
    for name in ["ada", "ben"] {
        machine.done("boss", &["review", "decide", review, &id(name), "revoke", "--ticket", "OPS-7"]);
        assert_eq!(machine.remedy(name), "open");
    }
    let root = format!("arn:aws:iam::{HOME}:root");
    machine.done("boss", &["review", "decide", review, &root, "keep", "--justification", "Its keys lie in the safe."]);
    machine.refused("boss", &sign, "may not sign off");
    // Everything was seen: nothing has to be acknowledged.
    machine.done("chief", &sign);
}

/// What was decided is carried out: ada goes whole, of ben all goes and he works on with something newer.
async fn removed(machine: &Machine) {
    let keys = machine.aws("iam list-access-keys --user-name ada").await;
    let key = keys["AccessKeyMetadata"][0]["AccessKeyId"].as_str().expect("a key");
    let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
    let key = machine.recorded(1, &format!("delete-access-key --user-name ada --access-key-id {key}")).await;
    machine.ingest("key", &[key]);
    let left = machine.subjects()["ada"]["standing"].clone();
    assert_eq!((&left["remedy"], &left["left"]), (&json!("open"), &json!([format!("policy:{policy}")])));
    let detached = machine.recorded(2, &format!("detach-user-policy --user-name ada --policy-arn {policy}")).await;
    let group = machine.recorded(3, "remove-user-from-group --group-name readers --user-name ben").await;
    let login = machine.recorded(4, "delete-login-profile --user-name ben").await;
    machine.ingest("rest", &[detached, group, login]);
    assert_eq!((machine.remedy("ada"), machine.remedy("ben")), (json!("seen_in_log"), json!("seen_in_log")));
    let shown = machine.done("boss", &["review", "show", &machine.review, &format!("arn:aws:iam::{HOME}:user/ada")]);
    assert!(stdout(&shown).contains("DetachUserPolicy") && stdout(&shown).contains("user/root"), "{}", stdout(&shown));
    machine.aws("iam delete-user --user-name ada").await;

    let later = Time(cloud::deployment::now().0 + 400).to_string();
    let more = json!({"eventTime": later, "recipientAccountId": HOME, "readOnly": true,
        "userIdentity": identity("ben", "AKIANEWER")});
    machine.ingest("work", &[record(5, "s3.amazonaws.com", "ListBuckets", &more)]);
    assert_eq!(machine.remedy("ben"), "reappeared");
    let findings = machine.done("boss", &["findings", "--format", "ndjson", "--severity", "CRITICAL"]);
    let back = json_lines(&findings).into_iter().find(|finding| finding["detection_id"] == "review-access-reappeared");
    assert!(back.is_some_and(|back| back.to_string().contains("user/ben")), "{}", stdout(&findings));
}

/// Two packs of a chain, and one byte that is another.
fn packed(machine: &Machine) {
    let span = Period::quarter(cloud::deployment::now(), 1);
    let files = ["one.zip", "two.zip"].map(|name| machine.path(name));
    let shown = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    let [one, two] = [shown(&files[0]), shown(&files[1])];
    for out in [&one, &two] {
        let (from, to) = (span.from.to_string(), span.to.to_string());
        machine.done("boss", &["pack", "--from", &from, "--to", &to, "--out", out]);
    }
    let verify = |arguments: &[&str]| command().args(["pack", "verify"]).args(arguments).output().expect("qtrail runs");
    let key = shown(&machine.path("pack-key.pem"));
    let good = verify(&[&two, "--previous", &one, "--key", &key]);
    assert!(good.status.success(), "{}", stderr(&good));
    assert!(stdout(&good).contains("pack-000002") && stdout(&good).contains("unchanged since"), "{}", stdout(&good));
    let not_before = verify(&[&one, "--previous", &two]);
    assert_eq!(not_before.status.code(), Some(1), "{}", stdout(&not_before));

    let name = b"report.html";
    let mut bytes = std::fs::read(&two).expect("a pack");
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the report");
    bytes[at + 200] ^= 1;
    std::fs::write(&one, bytes).expect("written");
    let changed = verify(&[&one]);
    assert_eq!(changed.status.code(), Some(1));
    let told = format!("{}{}", stdout(&changed), stderr(&changed));
    assert!(told.contains("report.html") && !told.contains("unchanged since"), "{told}");
}
