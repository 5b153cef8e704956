//! The page in a real browser, as an investigator uses it.

use std::fs;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::support::browser::Browser;
use crate::support::process::{Output, Process};
use crate::support::python;

/// What an attacker calls a program.
const HOSTILE: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

/// A record at 03:`minute` of a day.
fn record(minute: u32, name: &str, user: &str, resource: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": format!("2026-11-20T03:{minute:02}:00Z"),
        "eventID": format!("00000000-0000-4000-8000-{minute:012}"), "eventName": name,
        "eventSource": "ec2.amazonaws.com", "awsRegion": "eu-west-1", "recipientAccountId": ACCOUNT,
        "eventType": "AwsApiCall", "eventCategory": "Management", "managementEvent": true,
        "readOnly": name.starts_with("Describe"), "sourceIPAddress": "203.0.113.7", "userAgent": HOSTILE,
        "userIdentity": {"type": "IAMUser", "userName": user, "accountId": ACCOUNT, "principalId": "AIDAEXAMPLE",
            "arn": format!("arn:aws:iam::{ACCOUNT}:user/{user}"), "accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
        "resources": [{"ARN": resource, "accountId": ACCOUNT, "type": "AWS::EC2::Instance"}],
        "requestParameters": {"groupId": "sg-0a1b2c3d", "ipPermissions": {"items": [{"ipProtocol": "tcp",
            "fromPort": 22, "toPort": 22, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}},
    })
}

fn records() -> Vec<Value> {
    vec![
        record(1, "RunInstances", "alice", "i-0abcdef1234567890"),
        record(2, "DescribeInstances", "bob", "i-0abcdef1234567890"),
        record(30, "AuthorizeSecurityGroupIngress", "mallory", "sg-0a1b2c3d"),
        record(45, "TerminateInstances", "mallory", "i-0abcdef1234567890"),
    ]
}

/// `qtrail view` over a folder with these records and what is found in them.
struct View {
    address: String,
    browser: Browser,
    #[expect(dead_code, reason = "ends when it is dropped")]
    process: Process,
    #[expect(dead_code, reason = "goes when it is dropped")]
    folder: TempDir,
}

impl View {
    async fn open() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let data = folder.path().join("data");
        fill(&folder, &records());
        let output = Output::default();
        let mut command = command::command();
        command.args(["view", "--listen", "127.0.0.1:0", "--data"]).arg(data).env("USER", "alice");
        let process = Process::spawn(&mut command, &output);
        let address = output.line_with("/?token=").await.expect("the page's address");
        let browser = Browser::start().await;
        browser.open(&address).await;
        Self { address, browser, process, folder }
    }

    /// Another page of the same server.
    async fn visit(&self, path: &str) {
        let host = self.address.split("/?").next().expect("a host");
        self.browser.open(&format!("{host}{path}")).await;
    }

    /// Who did what in the table, newest first.
    async fn rows(&self) -> Vec<String> {
        let script = "return [...document.querySelectorAll('tr.row:not([hidden])')].map((row) => \
                      row.querySelector('.c-who').textContent.trim() + ' ' + row.querySelector('a.open').lastChild.textContent.trim())";
        let rows = self.browser.run(script).await;
        rows.as_array().expect("rows").iter().map(|row| row.as_str().expect("a text").to_owned()).collect()
    }
}

/// A log file, as `qtrail ingest` takes it.
fn fill(folder: &TempDir, records: &[Value]) {
    let (logs, data) = (folder.path().join("logs"), folder.path().join("data"));
    fs::create_dir_all(&logs).expect("a folder");
    fs::write(logs.join("a.json"), json!({ "Records": records }).to_string()).expect("a log file");
    let done = command::command().arg("ingest").arg(&logs).arg("--data").arg(&data).output().expect("qtrail runs");
    assert!(done.status.success(), "{}", command::stderr(&done));
}

#[tokio::test]
async fn the_page_answers_by_user_resource_type_action_and_time() {
    let view = View::open().await;
    let browser = &view.browser;
    view.visit("/records").await;
    let all = ["mallory TerminateInstances", "mallory AuthorizeSecurityGroupIngress", "alice RunInstances"];
    assert_eq!(view.rows().await, all);
    for (asked, address, rows) in [
        ("alice", "/records?user=alice", &all[2..]),
        ("i-0abcdef1234567890", "/records?resource=i-0abcdef1234567890", &[all[0], all[2]]),
        ("AWS::EC2::Instance", "/records?resource-type=AWS::EC2::Instance", &all[..]),
        ("TerminateInstances", "/records?action=TerminateInstances", &all[..1]),
        ("203.0.113.0/24", "/records?ip=203.0.113.0/24", &all[..]),
        ("to=2026-11-20T03:10:00Z", "/records?to=2026-11-20T03:10:00Z", &all[2..]),
    ] {
        view.visit("/records").await;
        browser.type_into("#ask", &format!("{asked}\u{e007}")).await;
        browser.until("document.querySelector('.count') && location.search").await;
        assert_eq!(browser.address().await, address);
        assert_eq!(view.rows().await, rows, "{asked}");
    }
    // Reads are hidden until they are asked for.
    view.visit("/records?user=bob").await;
    browser.click(".trouble a.button").await;
    browser.until("document.querySelector('tr.row')").await;
    assert_eq!(view.rows().await, ["bob DescribeInstances"]);
}

#[tokio::test]
async fn questions_pivots_and_zoom_lead_on() {
    let view = View::open().await;
    let browser = &view.browser;
    view.visit("/records").await;
    browser.click("details.menu summary").await;
    browser.type_into("details.menu input[name=resource]", "i-0abcdef1234567890\u{e007}").await;
    browser.until("location.search.includes('resource=')").await;
    assert_eq!(view.rows().await, ["alice RunInstances"]);

    browser.click(".facet a.only").await;
    browser.until("location.search.includes('user=alice')").await;

    view.visit("/records").await;
    browser.until("document.querySelector('#chart .u-over')").await;
    browser.drag_over("#chart .u-over", (0.9, 0.999)).await;
    browser.until("location.search.includes('from=')").await;
    assert!(view.rows().await.len() < 4, "{}", browser.address().await);
}

#[tokio::test]
async fn a_record_opens_beside_the_table_by_key_and_its_address_opens_it_again() {
    let view = View::open().await;
    let browser = &view.browser;
    view.visit("/records?user=mallory").await;
    browser.press("j").await;
    browser.press("j").await;
    browser.press("\u{e007}").await;
    let change = browser.text("#panel .change").await;
    assert!(change.contains("+ tcp/22 in from 0.0.0.0/0"), "{change}");
    browser.until("location.search.includes('open=')").await;
    let address = browser.address().await;
    view.visit(&address).await;
    assert!(browser.text("#panel h2").await.contains("AuthorizeSecurityGroupIngress"));
    browser.press("\u{e00c}").await;
    browser.until("!document.querySelector('#panel article') && !location.search.includes('open=')").await;
    // Everything here was written by an attacker.
    view.visit(&address).await;
    browser.click("#panel details.raw summary").await;
    assert!(browser.text("#raw").await.contains("<script>"));
    assert!(browser.text("#panel .blocks").await.contains("<script>document.title='owned'</script>"));
    assert!(browser.run("return document.title").await.as_str().is_some_and(|title| !title.contains("owned")));
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth").await, json!(true));
}

#[tokio::test]
async fn what_was_found_is_exported() {
    let view = View::open().await;
    view.visit("/records?user=mallory").await;
    view.browser.click(".export a").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let file = loop {
        let files = fs::read_dir(view.browser.downloads()).expect("a folder").flatten().map(|file| file.path());
        if let Some(file) = files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "csv")) {
            break fs::read_to_string(file).expect("a table");
        }
        assert!(Instant::now() < deadline, "no download");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(file.lines().count(), 3, "{file}");
    assert!(file.contains("mallory,TerminateInstances,ec2.amazonaws.com"), "{file}");
}

#[tokio::test]
async fn other_hosts_and_those_without_the_token_are_refused() {
    let view = View::open().await;
    let (host, token) = view.address.split_once("/?").expect("a token");
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    for (path, headers, status) in [
        (format!("/?{token}"), &[][..], 303),
        ("/".to_owned(), &[], 403),
        ("/?token=forged".to_owned(), &[], 403),
        (format!("/?{token}"), &[("host", "attacker.example")], 403),
    ] {
        let start = hyper::Request::get(format!("{host}{path}"));
        let request = headers.iter().fold(start, |request, (name, value)| request.header(*name, *value));
        let body = http_body_util::Empty::<hyper::body::Bytes>::new();
        let answer = client.request(request.body(body).expect("a request")).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path} {headers:?}");
    }
}

/// `qtrail demo` ends with its page.
#[tokio::test]
async fn the_demo_ends_with_every_page_over_its_day() {
    let output = Output::default();
    let mut command = command::command();
    let folder = TempDir::new().expect("a temporary folder");
    command.args(["demo", "--data"]).arg(folder.path());
    let _process = Process::spawn(&mut command, &output);
    let address = output.line_with("/?token=").await.expect("the page's address");
    let browser = Browser::start().await;
    browser.open(&address).await;
    let host = address.split("/?").next().expect("a host");
    for (name, path, wanted) in [
        ("now", "/", ".asks"),
        ("records", "/records?t=7d&writes=all", "tr.row"),
        ("who", "/who?resource=sg-0a1b2c3d4e5f60718", ".deeds .tree"),
        ("findings", "/findings", "main table"),
        ("review", "/findings?queue=review", "main table"),
        ("trails", "/trails", "main table"),
        ("integrity", "/integrity", "main table"),
        ("access-review", "/reviews/2026-Q3", "main table"),
        ("subject", "/reviews/2026-Q3/subjects/6", ".history li a"),
        ("who-can", "/who-can?action=rds:DeleteDBInstance", "main table"),
        ("evidence", "/evidence", "main table"),
    ] {
        browser.open(&format!("{host}{path}")).await;
        browser.until(&format!("document.querySelector('{wanted}')")).await;
        let picture = browser.screenshot().await;
        assert!(picture.starts_with(b"\x89PNG"), "{name}");
        // For the documentation, when it is asked for.
        if let Some(folder) = std::env::var_os("QTRAIL_SCREENS") {
            fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), picture).expect("a picture");
        }
    }
    browser.open(&format!("{host}/records?t=7d&writes=all")).await;
    browser.click("tr.row a.open").await;
    browser.until("document.querySelector('#panel .chain li')").await;
    browser.click("#panel .verify a.button").await;
    browser.until("document.querySelector('#panel .verify strong')").await;
    if let Some(folder) = std::env::var_os("QTRAIL_SCREENS") {
        fs::write(std::path::Path::new(&folder).join("record.png"), browser.screenshot().await).expect("a picture");
    }
}

/// What an auditor opens, from the demo's pack: a file that needs no server.
#[tokio::test]
async fn the_report_of_the_demos_pack_is_read_in_a_browser() {
    let folder = TempDir::new().expect("a temporary folder");
    let done = command::command().args(["demo", "--no-view", "--data"]).arg(folder.path()).output();
    assert!(done.as_ref().is_ok_and(|done| done.status.success()), "{done:?}");
    let (pack, unpacked) = (folder.path().join("packs/pack-000001.zip"), folder.path().join("unpacked"));
    let mut unzip = std::process::Command::new(python::tool("python"));
    let done = unzip.args(["-m", "zipfile", "-e"]).args([&pack, &unpacked]).output().expect("Python runs");
    assert!(done.status.success(), "{}", command::stderr(&done));
    let browser = Browser::start().await;
    browser.open(&format!("file://{}", unpacked.join("report.html").display())).await;
    let text = browser.text("body").await;
    for said in ["What it does not prove", "CC6.3", "svc-backup", "not seen yet", "recorded", "qtrail pack verify"] {
        assert!(text.contains(said), "{said}");
    }
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth").await, json!(true));
    if let Some(folder) = std::env::var_os("QTRAIL_SCREENS") {
        let path = std::path::Path::new(&folder).join("evidence-report.png");
        fs::write(path, browser.screenshot().await).expect("a picture");
    }
}

/// A finding gets its status on the page, with a note.
#[tokio::test]
async fn the_status_of_a_finding_is_set_with_a_note() {
    let view = View::open().await;
    view.visit("/findings").await;
    view.browser.until("document.querySelector('main table a[href^=\"/findings/\"]')").await;
    view.browser.click("main table a[href^=\"/findings/\"]").await;
    view.browser.click("form[action$=\"/status\"] [value=acknowledged]").await;
    view.browser.type_into("form[action$=\"/status\"] [name=note]", "Asked the team; planned.").await;
    view.browser.click("form[action$=\"/status\"] button").await;
    view.browser.until("document.body.textContent.includes('Asked the team; planned.')").await;
    view.browser.until("document.body.textContent.toLowerCase().includes('acknowledged')").await;
}
