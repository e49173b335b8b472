//! A receiver that keeps what it gets and answers as it is told.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// One request, as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// What it answers to one request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Json(u16, Value),
    Wait(u16, &'static str, Value),
    /// Nothing, for ever.
    Silence,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    script: Mutex<VecDeque<Reply>>,
}

#[derive(Debug)]
pub(super) struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Answers as the script says, then yes to all, in a way that every receiver could.
    pub(super) async fn up(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { script: Mutex::new(script.into_iter().collect()), ..Shared::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(super) fn will(&self, reply: Reply) {
        self.shared.script.lock().unwrap().push_back(reply);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let count = {
        let mut seen = shared.seen.lock().unwrap();
        seen.push(Seen { method, path: uri.to_string(), headers, body: body.to_vec() });
        seen.len()
    };
    let reply = shared.script.lock().unwrap().pop_front();
    let yes = || json!({ "ok": true, "channel": "C0INCIDENTS", "ts": format!("1700000000.{count:06}") });
    let (status, wait, json) = match reply {
        None => (200, None, yes()),
        Some(Reply::Json(status, json)) => (status, None, json),
        Some(Reply::Wait(status, wait, json)) => (status, Some(wait), json),
        Some(Reply::Silence) => std::future::pending().await,
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), axum::Json(json)).into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert("retry-after", wait.parse().unwrap());
    }
    response
}
