//! A real browser, headless, over its own debugging protocol: as much of it as a person needs who reads,
//! follows links, fills fields and presses buttons.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};

/// However slow the machine, a page that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Browser {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    next: u64,
    /// Its settings and its cookies go with it.
    _folder: tempfile::TempDir,
}

/// One open page.
#[derive(Clone)]
pub struct Tab(String);

impl Browser {
    /// `None` where there is none, which is said.
    pub fn start() -> Option<Self> {
        let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let profile = format!("--user-data-dir={}", folder.path().display());
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
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
        Some(Self { child, socket, next: 0, _folder: folder })
    }

    fn ask(&mut self, tab: Option<&Tab>, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut asked = json!({ "id": id, "method": method, "params": params });
        if let Some(tab) = tab {
            asked["sessionId"] = Value::from(tab.0.as_str());
        }
        self.socket.send(Message::text(asked.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Opens a page, and returns once it has loaded.
    pub fn open(&mut self, url: &str) -> Tab {
        let target = self.ask(None, "Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", attach);
        let tab = Tab(session["sessionId"].as_str().unwrap().to_owned());
        self.ask(Some(&tab), "Page.navigate", json!({ "url": url }));
        self.until(
            &tab,
            "the page to load",
            "document.readyState === 'complete' && location.href !== 'about:blank'",
        );
        tab
    }

    /// What a script on the page comes to.
    pub fn evaluate(&mut self, tab: &Tab, script: &str) -> Value {
        let params = json!({ "expression": script, "returnByValue": true });
        self.ask(Some(tab), "Runtime.evaluate", params)["result"]["value"].clone()
    }

    /// Asks the page again and again until it is so.
    pub fn until(&mut self, tab: &Tab, what: &str, script: &str) {
        let began = Instant::now();
        while self.evaluate(tab, script) != true {
            if began.elapsed() > PATIENCE {
                let page = self.evaluate(tab, "location.href + '\\n' + document.body.innerText");
                panic!("waited in vain for {what}: {page}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a text is to be read on the page.
    pub fn reads(&mut self, tab: &Tab, text: &str) {
        let text = text.to_lowercase();
        let script = format!("document.body.innerText.toLowerCase().includes({})", json!(text));
        self.until(tab, &text, &script);
    }

    /// Presses the first button or link of that name, and waits until another page has loaded.
    pub fn press(&mut self, tab: &Tab, name: &str) {
        let found = format!(
            "[...document.querySelectorAll('button, a')].find(it => it.innerText.trim().toLowerCase() === {})",
            json!(name.to_lowercase()),
        );
        self.until(tab, name, &format!("!!{found}"));
        self.evaluate(tab, "window.before = true");
        self.evaluate(tab, &format!("{found}.click()"));
        self.until(tab, "the next page", "!window.before && document.readyState === 'complete'");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
