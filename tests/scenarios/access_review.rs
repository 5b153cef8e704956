//! An access review from the first question to the sealed evidence, over a real emulator of IAM, Organizations, Identity
//! Center, STS and KMS, and through the functions as they are deployed.

use trail::review::Period;

use super::command::{command, stderr};
use super::population::Company;
use super::viewer::Door;
use super::*;
use crate::support::aws_cli::aws_as;
use crate::support::moto::Moto;
use crate::support::s3::log_file;
use crate::support::sts::Sts;
use crate::support::{ACCESS_KEY, SECRET_KEY};

/// The people, as the company lists them, with their users in this account.
fn people(home: &str) -> String {
    let user = |name: &str| format!("arn:aws:iam::{home}:user/{name}");
    let rows = [
        format!("alice,alice@example.com;{},carol,left,2024-01-01,2026-09-30", user("alice")),
        format!("bob,{},erin,active,2024-01-01,", user("bob")),
        format!("carol,{},erin,active,2024-01-01,", user("carol")),
        "dora,dora@example.com,erin,active,2024-01-01,".to_owned(),
        format!("erin,{},frank,active,2024-01-01,", user("erin")),
        format!("frank,{},,active,2020-01-01,", user("frank")),
    ];
    format!("person,aliases,manager,status,start,end\n{}\n", rows.join("\n"))
}

/// Somebody's key and its secret.
type Credentials = (String, String);

/// A deployment in a company's account, and what its people work with.
struct World {
    stack: Stack,
    company: Company,
    sts: Sts,
    environment: Environment,
    carol: Credentials,
    erin: Credentials,
    frank: Credentials,
}

impl World {
    async fn start() -> Self {
        let (stack, company, sts) = (Stack::start().await, Company::of("100000000110").await, Sts::start().await);
        let (home, aws, key) = (company.home(), company.aws(), company.key());
        aws.knows(ACCESS_KEY, home);
        aws.translates(ACCESS_KEY, key);
        let config = format!(
            "[accounts.{home}]\nname = \"pay\"\nowner = \"erin\"\n[review]\nidentity_center_region = \"eu-west-1\"\n\
             approvers = [\"arn:aws:iam::{home}:user/frank\"]\n[review.excluded]\n{} = \"holds no workload\"\n",
            company.management()
        );
        stack.configure(&config).await;
        stack.s3.put(DATA, "people.csv", people(home)).await;
        let root = (key.to_owned(), SECRET_KEY.to_owned());
        let (carol, erin) = (person(&root, "carol").await, person(&root, "erin").await);
        let frank = person(&root, "frank").await;
        for (key, secret) in [&carol, &erin, &frank] {
            sts.knows((key, secret));
        }
        let signs = ["kms", "create-key", "--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY"];
        let signing = called(&root, &signs).await["KeyMetadata"]["Arn"].as_str().expect("a key").to_owned();
        let environment = stack
            .environment()
            .set("AWS_ENDPOINT_URL", &aws.url())
            .set("QTRAIL_ACCOUNT", home)
            .set("QTRAIL_AUDIT_ROLE", "QuickInfraTrailAudit")
            .set("QTRAIL_EVIDENCE", &format!("s3://{DATA}/evidence"))
            .set("QTRAIL_EVIDENCE_KEY", &signing);
        Self { stack, company, sts, environment, carol, erin, frank }
    }

    /// What the review function does when it is invoked so.
    async fn review(&self, invocation: &Value) -> Value {
        let function = Function::start(&binary("review"), &self.environment).await;
        match function.invoke(invocation).await {
            Ok(answer) => answer,
            Err(error) => panic!("{invocation}: {error:?}\n{:?}", function.output().stdout.all()),
        }
    }

    /// Delivers these records, and lets `ingest` read them.
    async fn ingest(&self, name: &str, records: &[Value]) {
        let (home, day) = (self.company.home(), now().date());
        let folder = format!("AWSLogs/{home}/CloudTrail/us-east-1/{}", day.replace('-', "/"));
        let stamp = format!("{}T0000Z", day.replace('-', ""));
        let file = LogFile {
            key: format!("{folder}/{home}_CloudTrail_us-east-1_{stamp}_{name}.json.gz"),
            bytes: log_file(records),
        };
        self.stack.deliver(std::slice::from_ref(&file)).await;
        let function = Function::start(&binary("ingest"), &self.environment).await;
        deliver_until_done(&function, &batch([&file])).await;
    }

    /// The page, as somebody sees it who can sign so.
    async fn door(&self, (key, secret): &Credentials) -> Door {
        Door::behind(&self.environment, (self.company.home(), &self.sts.url()), (key, secret)).await
    }

    /// Does this with AWS's own command line as erin; yields the record that CloudTrail would have of it.
    async fn carried_out(&self, arguments: &[&str]) -> Value {
        called(&self.erin, arguments).await;
        record_of(self.company.home(), "erin", arguments)
    }
}

fn now() -> Time {
    cloud::deployment::now()
}

async fn called((key, secret): &Credentials, arguments: &[&str]) -> Value {
    aws_as((key, secret), &format!("http://{}", Moto::shared().address()), arguments).await
}

/// A user with a key.
async fn person(root: &Credentials, name: &str) -> Credentials {
    called(root, &["iam", "create-user", "--user-name", name]).await;
    let made = called(root, &["iam", "create-access-key", "--user-name", name]).await;
    let text = |field: &str| made["AccessKey"][field].as_str().expect("a key").to_owned();
    (text("AccessKeyId"), text("SecretAccessKey"))
}

/// What CloudTrail records of a call of the command line: `delete-access-key --user-name alice` is `DeleteAccessKey`
/// with `userName`.
fn record_of(account: &str, who: &str, arguments: &[&str]) -> Value {
    let joined = |words: &str, from: usize| -> String {
        let part = |(at, word): (usize, &str)| {
            let (head, tail) = word.split_at(1);
            if at < from { word.to_owned() } else { head.to_uppercase() + tail }
        };
        words.split('-').enumerate().map(part).collect()
    };
    let pairs = arguments[2..].chunks(2).map(|pair| (joined(&pair[0][2..], 1), json!(pair[1])));
    let parameters: serde_json::Map<String, Value> = pairs.collect();
    let name = joined(arguments[1], 0);
    json!({
        "eventVersion": "1.11", "eventTime": now().to_string(), "eventSource": "iam.amazonaws.com", "eventName": name,
        "eventID": format!("{name}-{}", parameters.values().filter_map(Value::as_str).collect::<String>()),
        "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.9", "userAgent": "aws-cli/2.31",
        "userIdentity": {"type": "IAMUser", "userName": who, "accountId": account, "principalId": "AIDAEXAMPLE",
            "arn": format!("arn:aws:iam::{account}:user/{who}"), "accessKeyId": "AKIAEXAMPLEERIN"},
        "requestParameters": parameters, "responseElements": null, "readOnly": false, "eventType": "AwsApiCall",
        "managementEvent": true, "recipientAccountId": account, "eventCategory": "Management",
    })
}

/// The subjects of a review by id, as its sheet numbers them.
async fn subjects(door: &Door, review: &str) -> BTreeMap<String, u32> {
    let (status, sheet) = door.get(&format!("/reviews/{review}/sheet.csv")).await;
    assert_eq!(status, 200, "{sheet}");
    let row = |line: &str| {
        let mut cells = line.trim_start_matches('\u{feff}').split(',');
        Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
    };
    sheet.lines().filter_map(row).map(|(number, id)| (id, number)).collect()
}

/// Decides on the page; yields the status and what is shown.
async fn decides(door: &Door, (review, number): (&str, u32), form: &str) -> (u16, String) {
    let (status, page) = door.post(&format!("/reviews/{review}/subjects/{number}/decision"), form).await;
    (status.as_u16(), page)
}

/// Asserts that a page refuses, and says so.
fn refused((status, page): (u16, String), why: &str) {
    assert!(status >= 400 && page.contains(why), "{status} {why}: {page}");
}

#[tokio::test]
async fn access_is_reviewed_removed_proven_gone_and_sealed() {
    let world = World::start().await;
    let home = world.company.home().to_owned();
    // carol made bob's user, as the log says.
    let mut made = record_of(&home, "carol", &["iam", "create-user", "--user-name", "bob"]);
    made["responseElements"] = json!({"user": {"arn": format!("arn:aws:iam::{home}:user/bob"), "userName": "bob"}});
    world.ingest("made", &[made]).await;

    // The days that are over; the next quarter's first day opens the last quarter's.
    let day = |days: i64| Time(now().0 - days * 86_400).date();
    let review = format!("{}..{}", day(30), day(1));
    let opened = world.review(&json!({"do": "open", "period": review})).await;
    assert_eq!(opened["review"], review.as_str(), "{opened}");
    let (carol, erin) = (world.door(&world.carol).await, world.door(&world.erin).await);
    let (status, page) = carol.get(&format!("/reviews/{review}")).await;
    assert_eq!(status, 200, "{page}");
    assert!(!page.contains("PARTIAL") && page.contains("holds no workload"), "{page}");
    let all = subjects(&carol, &review).await;
    let user = |name: &str| all[&format!("arn:aws:iam::{home}:user/{name}")];
    assert_eq!(all.keys().filter(|id| id.starts_with("sso:")).count(), 2, "alice, and dora by her group: {all:?}");
    let assigned = *all.iter().find(|(id, _)| id.contains(world.company.alice())).expect("alice's assignment").1;
    let numbers: BTreeSet<u32> = all.values().copied().collect();
    assert_eq!(
        numbers.iter().copied().collect::<Vec<_>>(),
        (1..=u32::try_from(all.len()).expect("few")).collect::<Vec<_>>()
    );

    decided(&world, (&carol, &erin), (&review, &all)).await;
    removed(&world, &carol, (&review, user("alice"), assigned)).await;
    sealed(&world, (&review, &home)).await;
}

/// Two people decide; who may not is refused, and so is who is not who he says.
async fn decided(world: &World, (carol, erin): (&Door, &Door), (review, all): (&str, &BTreeMap<String, u32>)) {
    let home = world.company.home();
    let user = |name: &str| (review, all[&format!("arn:aws:iam::{home}:user/{name}")]);
    let keep = "verb=keep&justification=Needed";
    refused(decides(carol, user("carol"), keep).await, "own access");
    refused(decides(carol, user("bob"), keep).await, "carol");
    refused(decides(carol, user("erin"), "verb=keep").await, "carol");
    let forged = world.door(&(world.erin.0.clone(), "another secret".to_owned())).await;
    refused(decides(&forged, user("carol"), keep).await, "STS does not confirm who asks");
    let (_, page) = carol.get(&format!("/reviews/{review}/subjects/{}", user("carol").1)).await;
    assert!(page.contains("Nobody has decided anything yet"), "{page}");
    let frank = world.door(&world.frank).await;
    let sign = async |door: &Door| {
        let (status, page) = door.post(&format!("/reviews/{review}/sign-off"), "statement=Looked+at").await;
        (status.as_u16(), page)
    };
    refused(sign(&frank).await, "are not decided");
    for (id, number) in all {
        let is_alices = id.ends_with("user/alice") || id.contains(world.company.alice());
        let (door, form) = match id.rsplit('/').next() {
            _ if is_alices => (carol, "verb=revoke&ticket=HR-7&justification=Left"),
            Some("erin") => (&frank, keep),
            _ => (erin, keep),
        };
        let (status, page) = decides(door, (review, *number), form).await;
        assert_eq!(status, 303, "{id}: {page}");
    }
    refused(sign(erin).await, "review.approvers");
    let (status, page) = sign(&frank).await;
    assert_eq!(status, 303, "{page}");
    let (_, page) = frank.get(&format!("/reviews/{review}")).await;
    assert!(page.contains("Signed off") && page.contains("user/frank, proven"), "{page}");
}

/// What was revoked is taken away with AWS's own calls, and their records prove it.
async fn removed(world: &World, carol: &Door, (review, alice, assigned): (&str, u32, u32)) {
    let shown = async |number: u32| carol.get(&format!("/reviews/{review}/subjects/{number}")).await.1;
    assert!(shown(alice).await.contains("revoke, to be removed"));
    let keys = called(&world.erin, &["iam", "list-access-keys", "--user-name", "alice"]).await;
    let key = keys["AccessKeyMetadata"][0]["AccessKeyId"].as_str().expect("a key").to_owned();
    let first = [
        world.carried_out(&["iam", "delete-access-key", "--user-name", "alice", "--access-key-id", &key]).await,
        world.carried_out(&["iam", "delete-login-profile", "--user-name", "alice"]).await,
    ];
    world.ingest("first", &first).await;
    let page = shown(alice).await;
    assert!(page.contains("to be removed") && page.contains("group:admins"), "one need is left: {page}");
    let group = ["iam", "remove-user-from-group", "--group-name", "admins", "--user-name", "alice"];
    let last = [world.carried_out(&group).await];
    world.ingest("last", &last).await;
    let page = shown(alice).await;
    assert!(page.contains("removal seen in the log") && page.contains("user/erin"), "{page}");
    assert!(page.contains("/record?") && page.contains("Sessions issued before"), "{page}");
    called(&world.erin, &["iam", "delete-user", "--user-name", "alice"]).await;
    world.company.unassign_alice().await;

    // The next quarter's day: its snapshot lacks both.
    let checked = world.review(&json!({"do": "daily"})).await;
    assert!(checked["opened"]["subjects"].is_u64(), "{checked}");
    for number in [alice, assigned] {
        let page = shown(number).await;
        assert!(page.contains("confirmed absent"), "{number}: {page}");
    }
    let back = world.carried_out(&["iam", "create-user", "--user-name", "alice"]).await;
    world.ingest("back", &[back]).await;
    assert!(shown(alice).await.contains("REAPPEARED"));
    let findings = world.stack.findings().await;
    let found = findings.iter().find(|finding| finding.detection_id == "review-access-reappeared").expect("a finding");
    assert_eq!(found.severity, Severity::Critical);
}

/// The evidence is packed, verified, and caught when one byte is another.
async fn sealed(world: &World, (review, home): (&str, &str)) {
    let span = Period::quarter(now(), 1);
    let made = world.review(&json!({"do": "pack", "from": span.from.to_string(), "to": span.to.to_string()})).await;
    let keys = world.stack.s3.keys(DATA, "evidence").await;
    assert_eq!(keys.len(), 1, "{made} {keys:?}");
    let bytes = world.stack.s3.get(DATA, &keys[0]).await.expect("the pack").to_vec();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pack.zip");
    let rows = |name: &str| unpacked(&bytes, &format!("data/{name}.jsonl"));
    let about = |name: &str, who: &str| {
        rows(name).into_iter().filter(|row| row.to_string().contains(&format!("user/{who}"))).collect::<Vec<_>>()
    };
    let reviews: Vec<Value> = rows("reviews").into_iter().filter(|row| row["review"] == review).collect();
    assert_eq!((&reviews[0]["undecided"], &reviews[0]["partial"]), (&json!(0), &json!(false)), "{reviews:?}");
    assert!(reviews[0]["signed_by"].as_str().is_some_and(|by| by.ends_with("user/frank")), "{reviews:?}");
    let alice = about("review-subjects", "alice").remove(0);
    assert_eq!((&alice["decision"], &alice["ticket"]), (&json!("revoke"), &json!("HR-7")), "{alice}");
    assert_eq!(alice["remedy"], "reappeared");
    let proofs: Vec<Value> = about("revocations", "alice").iter().map(|row| row["what"].clone()).collect();
    let [carried, absent, back] = ["seen in log", "confirmed absent", "reappeared"];
    assert_eq!(proofs, [carried, carried, carried, absent, back]);
    let who: BTreeSet<String> = rows("review-log").iter().map(|row| row["by"].to_string()).collect();
    assert_eq!(who.len(), 4, "carol, erin, frank and the system: {who:?}");
    let verified = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("written");
        command().args(["pack", "verify"]).arg(&file).output().expect("qtrail runs")
    };
    let good = verified(&bytes);
    assert!(good.status.success(), "{}", stderr(&good));
    let said = format!("{}{}", super::command::stdout(&good), stderr(&good));
    assert!(said.contains("unchanged since") && said.contains(home), "{said}");
    for at in [bytes.len() / 3, bytes.len() / 2, bytes.len() - 40] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        assert_eq!(verified(&other).status.code(), Some(1), "byte {at}");
    }
    let listed = world.door(&world.carol).await.get("/evidence").await.1;
    assert!(listed.contains("pack-000001"), "{listed}");
    assert!(made["sha256"].is_string() && !review.is_empty(), "{made}");
}

/// The rows of a file of a pack.
fn unpacked(pack: &[u8], name: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pack.zip");
    std::fs::write(&file, pack).expect("written");
    let script = "import sys, zipfile; sys.stdout.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode())";
    let python = crate::support::python::tool("python");
    let output = std::process::Command::new(python).args(["-c", script]).arg(file).arg(name).output();
    let output = output.expect("python runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
