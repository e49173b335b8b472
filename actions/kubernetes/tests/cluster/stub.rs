//! A server on loopback that answers as a test says.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::Request, response::Response};
use http::{Method, StatusCode};
use runbook_core::Value;
use runbook_kubernetes::Config;
use serde_json::json;

/// One request as it arrived: method, path with query, body.
pub type Asked = (Method, String, Value);

pub struct Stub {
    pub config: Config,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Stub {
    /// Serves; `answer` gets a request and says the status and the body.
    pub async fn serve(answer: impl Fn(&Asked) -> Response + Clone + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let handler = move |request: Request| {
            let (answer, log) = (answer.clone(), log.clone());
            async move {
                let (head, body) = request.into_parts();
                let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let path = head.uri.path_and_query().unwrap().to_string();
                let it = (head.method, path, body);
                log.lock().unwrap().push(it.clone());
                answer(&it)
            }
        };
        Self::of(Router::new().fallback(handler), asked).await
    }

    pub async fn of(router: Router, asked: Arc<Mutex<Vec<Asked>>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { config: config(&format!("http://{address}")), asked, server }
    }

    pub fn writes(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(method, path, _)| *method != Method::GET && !path.contains("dryRun=All"))
            .cloned()
            .collect()
    }
    pub fn paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(_, path, _)| path.clone()).collect()
    }
    /// Nothing listens any more.
    pub async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn config(server: &str) -> Config {
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: '{server}'}}}}], \
         users: [{{name: u, user: {{token: hunter2}}}}], contexts: [{{name: c, context: {{cluster: c, user: u}}}}]}}"
    );
    Config { inline: Some(text), kubeconfig: None::<PathBuf>, ..Config::default() }
}

pub fn ok(body: &Value) -> Response {
    answer(StatusCode::OK, &[], &body.to_string())
}

pub fn answer(status: StatusCode, headers: &[(&str, &str)], body: &str) -> Response {
    let response = headers
        .iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    response.body(body.to_owned().into()).unwrap()
}

/// An error as the API writes it.
pub fn failure(code: u16, reason: &str, message: &str, details: &Value) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message,
           "details": details, "code": code})
    .to_string()
}

pub fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, &[], "404 page not found\n")
}
