//! An access review in a real browser: decided, brought back as a sheet, confirmed and signed off.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::review::Folder;
use super::*;
use crate::support::browser::Browser;
use crate::support::process::{Output, Process};

/// What somebody writes who wishes nobody well.
const HOSTILE: &str = "<script>document.title='owned'</script>";

/// `qtrail view` as somebody sees it on this machine.
struct Seat {
    host: String,
    browser: Browser,
    #[expect(dead_code, reason = "ends when it is dropped")]
    process: Process,
}

impl Seat {
    async fn take(folder: &Folder, who: &str) -> Self {
        let output = Output::default();
        let mut command = command::command();
        command.args(["view", "--listen", "127.0.0.1:0", "--data"]).arg(folder.data.path()).env("USER", who);
        command.arg("--settings").arg(folder.data.path().join("config.toml"));
        let process = Process::spawn(&mut command, &output);
        let address = output.line_with("/?token=").await.expect("the page's address");
        let browser = Browser::start().await;
        browser.open(&address).await;
        Self { host: address.split("/?").next().expect("a host").to_owned(), browser, process }
    }

    async fn visit(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.host)).await;
    }

    async fn says(&self, text: &str) {
        self.browser.until(&format!("document.body.textContent.includes({})", json!(text))).await;
    }

    /// The number of the subject whose link says so.
    async fn open_subject(&self, name: &str) {
        self.visit("/reviews").await;
        self.browser.click("main table a").await;
        let link = format!(
            "[...document.querySelectorAll('main tbody th a')].find((a) => a.textContent.includes({}))",
            json!(name)
        );
        self.browser.until(&link).await;
        self.browser.run(&format!("{link}.click()")).await;
        self.browser.until("document.querySelector('#decide')").await;
    }

    async fn downloaded(&self, ending: &str) -> PathBuf {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let files = std::fs::read_dir(self.browser.downloads()).expect("a folder").flatten();
            let mut files = files.map(|file| file.path());
            if let Some(file) = files.find(|path| path.extension().is_some_and(|known| known == ending)) {
                return file;
            }
            assert!(Instant::now() < deadline, "no download");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn opened() -> Folder {
    let folder = Folder::with("[review]\napprovers = [\"erin\"]\n");
    folder.done(&["review", "open", "2026-Q3"]);
    folder
}

#[tokio::test]
async fn a_review_is_decided_by_two_and_signed_off_in_the_browser() {
    let folder = opened();
    let seat = Seat::take(&folder, "reviewer").await;
    seat.open_subject("reviewer").await;
    seat.browser.click("#decide [value=keep]").await;
    seat.browser.type_into("#justification", "I need it.").await;
    seat.browser.click("#decide button.chief").await;
    seat.says("own access").await;
    assert_eq!(seat.browser.run("return document.querySelector('#justification').value").await, "I need it.");

    seat.open_subject("mallory").await;
    seat.browser.click("#decide [value=revoke]").await;
    seat.browser.type_into("#justification", HOSTILE).await;
    seat.browser.type_into("#ticket", "OPS-1").await;
    seat.browser.click("#decide button.chief").await;
    seat.says("revoke, to be removed").await;
    seat.says(HOSTILE).await;
    let title = seat.browser.run("return document.title").await;
    assert!(title.as_str().is_some_and(|title| !title.contains("owned")), "{title}");
    assert_eq!(seat.browser.run("return document.documentElement.scrollWidth <= innerWidth").await, json!(true));
    seat.open_subject("root").await;
    seat.browser.click("#decide [value=keep]").await;
    seat.browser.type_into("#justification", "Its MFA lies in the safe.").await;
    seat.browser.click("#decide button.chief").await;
    seat.says("decided: keep by reviewer").await;
    drop(seat);

    let seat = Seat::take(&folder, "erin").await;
    seat.open_subject("reviewer").await;
    seat.browser.click("#decide [value=keep]").await;
    seat.browser.type_into("#justification", "Reviews access.").await;
    seat.browser.click("#decide button.chief").await;
    seat.says("keep").await;
    seat.visit("/reviews/2026-Q3").await;
    seat.browser.type_into("#statement", "All access was looked at.").await;
    seat.browser.click("#sign-off button").await;
    // Nobody was asked about the organization.
    seat.says("the population is partial").await;
    seat.browser.click("#sign-off [name=partial]").await;
    seat.browser.click("#sign-off button").await;
    seat.says("Signed off").await;
    seat.says("erin (not proven): All access was looked at. The population is partial").await;
    assert!(folder.done(&["review", "show", "2026-Q3"]).contains("signed off"));
}

#[tokio::test]
async fn a_sheet_is_taken_out_and_brought_back_and_its_rows_are_confirmed() {
    let folder = opened();
    let seat = Seat::take(&folder, "reviewer").await;
    seat.visit("/reviews/2026-Q3").await;
    seat.browser.click("a[href$='sheet.csv']").await;
    let sheet = seat.downloaded("csv").await;
    let text = std::fs::read_to_string(&sheet).expect("a sheet");
    let row = text.lines().find(|line| line.contains("user/mallory")).expect("a row");
    let filled = text.replace(row, &row.replace(",,,,", ",revoke,,,"));
    assert_ne!(filled, text, "{row}");
    let back = folder.data.path().join("back.csv");
    std::fs::write(&back, filled + "99,x,,,,,,,,,keep,,,\r\n").expect("written");
    seat.browser.type_into("#sheet", back.to_str().expect("UTF-8")).await;
    seat.browser.click("form[enctype] button").await;
    seat.says("1 proposals came in").await;
    seat.says("the review has no subject with the number \"99\"").await;
    seat.browser.click("input[form=confirm]").await;
    seat.browser.click("#confirm button").await;
    seat.browser.until("!document.querySelector('input[form=confirm]')").await;
    let shown = folder.done(&["review", "show", "2026-Q3", "arn:aws:iam::111122223333:user/mallory"]);
    assert!(shown.contains("decided revoke, open"), "{shown}");
}

#[tokio::test]
async fn who_can_is_asked_in_the_browser_and_keys_lead_around() {
    let folder = opened();
    let seat = Seat::take(&folder, "reviewer").await;
    seat.visit("/who-can").await;
    seat.browser.type_into("input[name=action]", "s3:GetObject\u{e007}").await;
    seat.says("3 principals could").await;
    seat.says("own statement 1").await;
    seat.browser.run("document.activeElement.blur()").await;
    seat.browser.press("ge").await;
    seat.says("No pack was made yet").await;
    seat.browser.press("ga").await;
    seat.browser.until("document.querySelector('main h1')?.textContent === 'Access reviews'").await;
}
