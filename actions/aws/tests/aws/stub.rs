//! A server on loopback that answers as a test says, in the XML of RDS and IAM or the CBOR of
//! CloudWatch.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::Request, response::Response};
use runbook_aws::Config;

use crate::place::config;

/// A request: its path, and its body where that is a form.
#[derive(Debug, Clone)]
pub struct Form {
    path: String,
    body: String,
}

impl Form {
    pub fn action(&self) -> &str {
        let of_path = self.path.split_once("/operation/").map(|(_, action)| action);
        of_path.or_else(|| self.get("Action")).unwrap_or_default()
    }
    /// Names and values of these tests need no decoding.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.body.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }
}

#[derive(Debug)]
pub struct Stub {
    pub config: Config,
    asked: Arc<Mutex<Vec<Form>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Stub {
    /// Serves; `answer` gets a request and says the answer. Who asks is answered here.
    pub async fn serve(answer: impl Fn(&Form) -> Response + Clone + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let handler = move |request: Request| {
            let (answer, log) = (answer.clone(), log.clone());
            async move {
                let path = request.uri().path().to_owned();
                let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
                let form = Form { path, body: String::from_utf8_lossy(&body).into_owned() };
                log.lock().unwrap().push(form.clone());
                match form.action() {
                    "GetCallerIdentity" => xml("GetCallerIdentity", CALLER),
                    _ => answer(&form),
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handler);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { config: config(&endpoint), asked, server }
    }
    pub fn count(&self, action: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|form| form.action() == action).count()
    }
    pub fn last(&self, action: &str) -> Form {
        self.asked.lock().unwrap().iter().rfind(|form| form.action() == action).unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

const CALLER: &str = "<Account>123456789012</Account><UserId>u</UserId>\
                      <Arn>arn:aws:sts::123456789012:assumed-role/oncall/ada</Arn>";

/// An answer of a service that speaks XML.
pub fn xml(action: &str, result: &str) -> Response {
    let body = format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>");
    Response::builder().header("content-type", "text/xml").body(body.into()).unwrap()
}
