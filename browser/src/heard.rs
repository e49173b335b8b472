//! What a browser tells by itself, and what of it is a complaint.

use serde_json::Value;

use crate::{Browser, Tab};

/// Whether something that was told is kept until somebody asks for it.
pub fn matters(message: &Value) -> bool {
    matches!(
        message["method"].as_str(),
        Some(
            "Runtime.consoleAPICalled"
                | "Runtime.exceptionThrown"
                | "Log.entryAdded"
                | "Network.loadingFailed"
                | "Network.responseReceived"
        )
    )
}

impl Browser {
    /// What went wrong on a tab since this was last asked: what was written to its console, scripts that
    /// failed, what the content policy forbade, requests that failed or were answered with an error. The
    /// status of a page itself is no complaint: some pages are about errors.
    pub fn complaints(&mut self, tab: &Tab) -> Vec<String> {
        // What happened before the answer was told before it.
        self.evaluate(tab, "1");
        let (own, others): (Vec<Value>, Vec<Value>) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|told| told["sessionId"] == tab.session.as_str());
        self.told = others;
        own.iter().filter_map(complaint).collect()
    }
}

fn complaint(told: &Value) -> Option<String> {
    let params = &told["params"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match told["method"].as_str()? {
        "Runtime.consoleAPICalled" => Some(format!("the console has {}", params["args"])),
        "Runtime.exceptionThrown" => Some(format!("a script fails: {}", params["exceptionDetails"])),
        // Told by the network itself, with what it was.
        "Log.entryAdded" if params["entry"]["source"] == "network" => None,
        "Log.entryAdded" => {
            Some(format!("{}: {}", text(&params["entry"]["source"]), text(&params["entry"]["text"])))
        }
        // A page that goes takes its requests with it.
        "Network.loadingFailed" if params["canceled"] == true => None,
        "Network.loadingFailed" => Some(format!("a request fails: {params}")),
        "Network.responseReceived" if params["type"] == "Document" => None,
        "Network.responseReceived" => {
            let status = params["response"]["status"].as_u64().unwrap_or_default();
            (status >= 400).then(|| format!("{status} for {}", text(&params["response"]["url"])))
        }
        _ => None,
    }
}
