//! A browser inside a namespace, where the page's daemon is.

use std::time::Duration;

use axum::http::Method;
use fantoccini::{
    Client, ClientBuilder,
    actions::{InputSource as _, KeyAction, KeyActions},
    error::CmdError,
    wd::WebDriverCompatibleCommand,
};
use serde_json::{Value, json};
use tcpcap_lab::{Namespace, Process, wait_for, wait_until};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::{ParseError, Url};

use crate::sensor::SOON;

/// Nothing that tells anybody of anything, and nothing of earlier.
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--hide-scrollbars",
];

/// Special keys, by their numbers in the `WebDriver` standard.
pub mod key {
    pub const TAB: &str = "\u{e004}";
    pub const ENTER: &str = "\u{e007}";
    pub const ESCAPE: &str = "\u{e00c}";
    pub const HOME: &str = "\u{e011}";
}

/// Where the page is.
pub const HOST: &str = "http://127.0.0.1:2112";

/// A browser with one window.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    namespace: Namespace,
    _driver: Process,
    _profile: TempDir,
}

/// A call that only this kind of browser knows.
#[derive(Debug)]
struct Own(&'static str, Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    /// Opens a window of 1440 by 900 pixels, in the light theme.
    pub fn open(namespace: &Namespace) -> Self {
        let profile = TempDir::new().unwrap();
        let mut command = namespace.command("chromedriver");
        command.args(["--port=0", "--log-level=SEVERE"]).env("HOME", profile.path());
        let mut driver = Process::spawn("chromedriver", command).unwrap();
        let line = driver.wait_for_line(SOON, |line| line.contains("started successfully on port")).unwrap();
        let port: String = line.chars().rev().skip(1).take_while(char::is_ascii_digit).collect();
        let port: String = port.chars().rev().collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut args: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        args.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        let wanted = json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(wanted) = wanted else { unreachable!() };
        let connect = async {
            let address = format!("http://127.0.0.1:{port}");
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
                .capabilities(wanted)
                .connect(&address)
                .await
        };
        let client = namespace.enter(|| runtime.block_on(connect)).unwrap().unwrap();
        let browser = Self { client, runtime, namespace: namespace.clone(), _driver: driver, _profile: profile };
        browser.resize(1440, 900);
        browser.theme("light");
        browser
    }

    /// Does something inside the namespace.
    fn call<T: Send, E: std::fmt::Debug + Send>(&self, what: impl Future<Output = Result<T, E>> + Send) -> T {
        self.namespace.enter(|| self.runtime.block_on(what)).unwrap().unwrap()
    }

    /// Goes to a place of the daemon's page, such as `/` or `/#/address/192.0.2.1`.
    pub fn go(&self, path: &str) {
        self.call(self.client.goto(&format!("{HOST}{path}")));
    }

    /// Goes to such a place, and waits until it is live.
    pub fn visit(&self, path: &str) {
        self.go(path);
        self.until("the page to be connected", "return document.getElementById('link').textContent === 'Live'");
    }

    /// Runs a script, and returns what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.call(self.client.execute(script, Vec::new()))
    }

    /// The text of what a selector finds first; empty if there is none.
    pub fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(selector));
        self.run(&script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a script returns what is true.
    pub fn until(&self, what: &str, script: &str) {
        let waited = wait_until(what, SOON, || {
            // A script that runs while a page is left fails.
            let value = self.namespace.enter(|| self.runtime.block_on(self.client.execute(script, Vec::new())));
            matches!(value, Ok(Ok(Value::Bool(true))))
        });
        waited.unwrap_or_else(|error| {
            panic!("{error}; {script}; {:?}; the page shows:\n{}", self.complaints(), self.text("body"))
        });
    }

    /// Waits until what a selector finds first holds a text.
    pub fn shows(&self, selector: &str, text: &str) {
        let has =
            format!("return (document.querySelector({})?.innerText ?? '').includes({})", json!(selector), json!(text));
        self.until(&format!("`{text}` in {selector}"), &has);
    }

    /// Clicks what a selector finds first.
    pub fn click(&self, selector: &str) {
        let found = self.call(self.client.find(fantoccini::Locator::Css(selector)));
        self.call(found.click());
    }

    /// Types on the keyboard, whatever has the focus. Special keys are those of [`key`].
    pub fn press(&self, keys: &str) {
        let press = |actions: KeyActions, value| actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        let actions = keys.chars().fold(KeyActions::new("keyboard".to_owned()), press);
        self.call(self.client.perform_actions(actions));
    }

    /// Asks the browser itself.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let own = Own("goog/cdp/execute", json!({ "cmd": command, "params": parameters }));
        self.call::<Value, CmdError>(async { self.client.issue_cmd(own).await })
    }

    /// Makes the window so large.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Prefers `light` or `dark`.
    pub fn theme(&self, theme: &str) {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.devtools("Emulation.setEmulatedMedia", &feature);
    }

    /// What the page complained about since it was last asked: errors, warnings and broken policies.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.call::<Value, CmdError>(async {
            self.client.issue_cmd(Own("se/log", json!({ "type": "browser" }))).await
        });
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// A picture of the page, from its top on at most so high, as PNG in base64.
    pub fn picture(&self, highest: u64) -> String {
        let size = self.run("return [innerWidth, document.documentElement.scrollHeight]");
        let height = size[1].as_u64().unwrap().min(highest);
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        self.devtools("Page.captureScreenshot", &wanted)["data"].as_str().unwrap().to_owned()
    }

    /// Waits for a value that a script returns, none of them null.
    pub fn wait_for(&self, what: &str, script: &str) -> Value {
        wait_for(what, SOON, || Some(self.run(script)).filter(|value| !value.is_null())).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // So that it ends in order; should it not, it ends with its driver.
        let client = self.client.clone();
        let closing = async { tokio::time::timeout(Duration::from_secs(5), client.close()).await.is_ok() };
        drop(self.namespace.enter(|| self.runtime.block_on(closing)));
    }
}
