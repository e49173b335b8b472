//! What every test here starts from.

use std::sync::Arc;

use runbook_contract::{Access, Action, Cx, Mode, PlanCx};
use runbook_core::{
    Timestamp, Value,
    change::{Change, Planned},
    duration::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

pub fn cx() -> Cx {
    cx_within("5s")
}

pub fn cx_within(timeout: &str) -> Cx {
    Cx {
        timeout: timeout.parse().unwrap(),
        idempotency_key: "key-1".to_owned(),
        now: "2026-11-21T03:00:00Z".parse().unwrap(),
        speed: 1,
    }
}

pub fn plan_cx() -> PlanCx {
    PlanCx { started_at: Timestamp::UNIX_EPOCH, idempotency_key: "key-1".to_owned(), over_others: false }
}

pub fn writing() -> Arc<Access> {
    Access::new(Mode::ReadWrite)
}

pub fn reading() -> Arc<Access> {
    Access::new(Mode::ReadOnly)
}

pub fn named(actions: Vec<Arc<dyn Action>>, name: &str) -> Arc<dyn Action> {
    actions.into_iter().find(|action| action.spec().name == name).unwrap()
}

/// Answers every request of this method and path.
pub async fn answers(server: &MockServer, method: &str, path: &str, answer: ResponseTemplate) {
    Mock::given(matchers::method(method)).and(matchers::path(path)).respond_with(answer).mount(server).await;
}

pub fn status(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

pub fn json(body: impl serde::Serialize) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// Looks and plans, and expects a change.
pub async fn planned(action: &dyn Action, input: &Value) -> Change {
    let seen = action.observe(&cx(), input).await.unwrap();
    match action.plan(&plan_cx(), input, &seen).unwrap() {
        Planned::Change(change) => *change,
        already => panic!("{already:?}"),
    }
}

/// A server that takes one request and then behaves as badly as it is told: it answers with these
/// bytes and hangs up.
pub async fn rude_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        }
    });
    format!("http://{address}")
}

/// A server that takes requests and never answers.
pub async fn silent_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    format!("http://{address}")
}

/// An address at which nothing listens.
pub async fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A counterpart's address, or a word that the test is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn counterpart(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    address
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
