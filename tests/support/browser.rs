//! Debian's Chromium, driven as a person would.

use std::process::Command;
use std::time::Duration;

use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Position;

use super::process::{Output, Process};

/// A browser with one window of 1280 by 900, and the driver that steers it. Both end when it is dropped.
pub(crate) struct Browser {
    client: Client,
    #[expect(dead_code, reason = "ends when it is dropped")]
    driver: Process,
    /// Downloads and the browser's own files.
    folder: TempDir,
}

impl Browser {
    /// Starts one with nothing in it.
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let output = Output::default();
        let mut command = Command::new("chromedriver");
        let driver = Process::spawn_family(command.arg("--port=0"), &output);
        let started = output.line_with("started successfully on port").await;
        let started = started.expect("chromedriver runs\nhint: tests/run installs chromium and chromium-driver");
        let port: u16 = started.trim_end_matches('.').rsplit(' ').next().and_then(|p| p.parse().ok()).expect("a port");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities(&folder)).connect(&format!("http://127.0.0.1:{port}")).await;
        Self { client: client.expect("a session"), driver, folder }
    }

    /// Goes to an address.
    pub(crate) async fn open(&self, address: &str) {
        self.client.goto(address).await.expect(address);
    }

    /// Where it is, path and query.
    pub(crate) async fn address(&self) -> String {
        let url = self.client.current_url().await.expect("an address");
        url[Position::BeforePath..].to_owned()
    }

    /// The text of what a selector names first, once it is there.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.expect(selector)
    }

    /// Clicks on it.
    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.expect(selector);
    }

    /// Types into it.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        self.find(selector).await.send_keys(text).await.expect(selector);
    }

    /// Presses keys wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        self.client.active_element().await.expect("a focus").send_keys(keys).await.expect(keys);
    }

    /// What a script answers.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect(script)
    }

    /// Waits until a script answers yes.
    pub(crate) async fn until(&self, script: &str) {
        for _ in 0..500 {
            if self.run(&format!("return !!({script})")).await == json!(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never: {script}\nat {}\n{}", self.address().await, self.client.source().await.unwrap_or_default());
    }

    /// Drags the mouse over an element, from and to these shares of its width.
    pub(crate) async fn drag_over(&self, selector: &str, (from, to): (f64, f64)) {
        let (left, top, width, height) = self.find(selector).await.rectangle().await.expect(selector);
        let at = |share: f64| PointerAction::MoveTo {
            duration: Some(Duration::from_millis(50)),
            x: (left + width * share).round(),
            y: (top + height / 2.0).round(),
        };
        let drag = MouseActions::new("mouse".to_owned())
            .then(at(from))
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(at(f64::midpoint(from, to)))
            .then(at(to))
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.client.perform_actions(drag).await.expect("a drag");
    }

    /// The window as a PNG.
    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a screenshot")
    }

    /// Where downloads go.
    pub(crate) fn downloads(&self) -> &std::path::Path {
        self.folder.path()
    }

    async fn find(&self, selector: &str) -> fantoccini::elements::Element {
        let found = self.client.wait().at_most(Duration::from_secs(10)).for_element(Locator::Css(selector)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("{selector}: {error}\n{}", self.client.source().await.unwrap_or_default()),
        }
    }
}

fn capabilities(folder: &TempDir) -> Capabilities {
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
        &profile,
    ];
    let options = json!({
        "args": arguments,
        "prefs": {"download.default_directory": folder.path(), "download.prompt_for_download": false},
    });
    Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)])
}
