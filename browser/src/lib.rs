//! A real browser, headless, over its own debugging protocol: as much of it as a person needs who reads,
//! follows links, fills fields and presses keys, and as a test needs that asks what went wrong meanwhile.
//! Only for tests: whatever does not work is a panic.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says that it is")]

mod hands;
mod heard;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};

/// However slow the machine, a page that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is waited until a page is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// The browser; it ends with this.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    next: u64,
    /// What was told without being asked for, until somebody wants to know.
    told: Vec<Value>,
    /// Its settings and its cookies go with it.
    _folder: tempfile::TempDir,
}

/// One open page.
#[derive(Debug, Clone)]
pub struct Tab {
    session: String,
    target: String,
}

/// On what a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    /// Fingers, and no window that grows.
    pub phone: bool,
    pub dark: bool,
    pub scripts: bool,
    /// Whoever looks wants nothing to move.
    pub still: bool,
}

impl Screen {
    pub const PHONE: Self =
        Self { width: 360, height: 800, phone: true, dark: false, scripts: true, still: false };
    pub const DESK: Self = Self { width: 1280, height: 900, phone: false, ..Self::PHONE };

    pub fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
    pub fn without_scripts(self) -> Self {
        Self { scripts: false, ..self }
    }
    pub fn still(self) -> Self {
        Self { still: true, ..self }
    }
}

impl Browser {
    /// `None` where there is none, which is said.
    pub fn start() -> Option<Self> {
        let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let profile = format!("--user-data-dir={}", folder.path().display());
        let flags = [
            "--headless",
            "--disable-dev-shm-usage",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            &profile,
        ];
        let mut command = Command::new(&program);
        let spawned = command.args(flags).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let Ok(mut child) = spawned else {
            eprintln!("skipped: {program} is not there");
            return None;
        };
        let mut told = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(told.read_line(&mut line).unwrap(), 0, "the browser did not start");
            if let Some((_, address)) = line.split_once("DevTools listening on ") {
                break address.trim().to_owned();
            }
        };
        // Whatever else it says must not fill the pipe.
        thread::spawn(move || told.read_to_end(&mut Vec::new()));
        let (socket, _) = tungstenite::connect(address).unwrap();
        Some(Self { child, socket, next: 0, told: Vec::new(), _folder: folder })
    }

    fn ask(&mut self, tab: Option<&Tab>, method: &str, params: Value) -> Value {
        let answer = self.answer(tab, method, params);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn answer(&mut self, tab: Option<&Tab>, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut asked = json!({ "id": id, "method": method, "params": params });
        if let Some(tab) = tab {
            asked["sessionId"] = Value::from(tab.session.as_str());
        }
        self.socket.send(Message::text(asked.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["id"] == id {
                return message;
            }
            if heard::matters(&message) {
                self.told.push(message);
            }
        }
    }

    /// An empty tab, with the cookies that all such tabs share.
    pub fn tab(&mut self) -> Tab {
        self.tab_in(json!({ "url": "about:blank" }))
    }

    /// An empty tab of somebody else: with cookies of its own.
    pub fn tab_apart(&mut self) -> Tab {
        let context = self.ask(None, "Target.createBrowserContext", json!({}));
        self.tab_in(json!({ "url": "about:blank", "browserContextId": context["browserContextId"] }))
    }

    fn tab_in(&mut self, place: Value) -> Tab {
        let target = self.ask(None, "Target.createTarget", place);
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", attach);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let tab = Tab { session: text(&session["sessionId"]), target: text(&target["targetId"]) };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.ask(Some(&tab), &format!("{domain}.enable"), json!({}));
        }
        tab
    }

    pub fn close(&mut self, tab: &Tab) {
        self.ask(None, "Target.closeTarget", json!({ "targetId": tab.target }));
    }

    /// Shows a tab as on some screen, from its next page on.
    pub fn show_on(&mut self, tab: &Tab, screen: Screen) {
        let Screen { width, height, phone, dark, scripts, still } = screen;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.ask(Some(tab), "Emulation.setDeviceMetricsOverride", size);
        self.ask(Some(tab), "Emulation.setTouchEmulationEnabled", json!({ "enabled": phone }));
        let features = json!([
            { "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } },
            { "name": "prefers-reduced-motion", "value": if still { "reduce" } else { "no-preference" } },
        ]);
        self.ask(Some(tab), "Emulation.setEmulatedMedia", json!({ "features": features }));
        self.ask(Some(tab), "Emulation.setScriptExecutionDisabled", json!({ "value": !scripts }));
    }

    /// Opens a page in a new tab, and returns once it has loaded.
    pub fn open(&mut self, url: &str) -> Tab {
        let tab = self.tab();
        self.go(&tab, url);
        tab
    }

    /// Opens a page, and returns once it has loaded.
    pub fn go(&mut self, tab: &Tab, url: &str) {
        let gone = self.ask(Some(tab), "Page.navigate", json!({ "url": url }));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        self.loaded(tab);
    }

    pub fn reload(&mut self, tab: &Tab) {
        self.evaluate(tab, "window.before = true");
        self.ask(Some(tab), "Page.reload", json!({}));
        self.next_page(tab);
    }

    /// Goes back one page, or forth: -1 or 1.
    pub fn step(&mut self, tab: &Tab, by: i64) {
        let history = self.ask(Some(tab), "Page.getNavigationHistory", json!({}));
        let place = usize::try_from(history["currentIndex"].as_i64().unwrap() + by).unwrap();
        let entry = &history["entries"][place];
        self.ask(Some(tab), "Page.navigateToHistoryEntry", json!({ "entryId": entry["id"] }));
        let there = format!("location.href === {}", entry["url"]);
        self.until(tab, "the page before", &there);
        self.loaded(tab);
    }

    fn loaded(&mut self, tab: &Tab) {
        self.until(
            tab,
            "the page to load",
            "document.readyState === 'complete' && location.href !== 'about:blank'",
        );
    }

    /// Waits until the page that was marked is gone, and another one has loaded.
    fn next_page(&mut self, tab: &Tab) {
        self.until(tab, "the next page", "!window.before && document.readyState === 'complete'");
    }

    /// What a script on the page comes to; a promise is waited for.
    pub fn evaluate(&mut self, tab: &Tab, script: &str) -> Value {
        let params = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let answer = self.answer(Some(tab), "Runtime.evaluate", params);
        // While a page goes and the next one comes, there is nothing to ask.
        if !answer["error"].is_null() {
            return Value::Null;
        }
        let thrown = &answer["result"]["exceptionDetails"];
        assert!(thrown.is_null(), "{script}: {thrown}");
        answer["result"]["result"]["value"].clone()
    }

    /// Asks the page again and again until it is so.
    pub fn until(&mut self, tab: &Tab, what: &str, script: &str) {
        let began = Instant::now();
        while self.evaluate(tab, script) != true {
            if began.elapsed() > PATIENCE {
                let page = self.evaluate(tab, "location.href + '\\n' + document.body.innerText");
                panic!("waited in vain for {what}: {page}");
            }
            thread::sleep(PAUSE);
        }
    }

    /// Waits until a text is to be read on the page.
    pub fn reads(&mut self, tab: &Tab, text: &str) {
        let text = text.to_lowercase();
        let script = format!("document.body.innerText.toLowerCase().includes({})", json!(text));
        self.until(tab, &text, &script);
    }

    /// The page as a picture, from its top to its bottom.
    pub fn picture(&mut self, tab: &Tab) -> Vec<u8> {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.ask(Some(tab), "Page.captureScreenshot", params);
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
