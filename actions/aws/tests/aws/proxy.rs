//! Between the actions and an emulator: counts what passes, and spoils what it is told to spoil.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};

/// What happens to a request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    Nothing,
    /// It never arrives, and the connection breaks.
    DropRequest,
    /// It arrives; its answer breaks off.
    DropAnswer,
    /// It arrives; its answer never comes.
    HoldAnswer,
    /// Refused so many times before it passes, as a service does that is too busy.
    Throttle(u32),
}

#[derive(Debug)]
pub struct Proxy {
    pub endpoint: String,
    state: Arc<State>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    upstream: String,
    client: reqwest::Client,
    spoil: Mutex<Spoil>,
    /// What came in and was not a read, refused or not.
    writes: Mutex<Vec<String>>,
    reads: Mutex<Vec<String>>,
}

impl Proxy {
    pub async fn before(upstream: &str) -> Self {
        let state = Arc::new(State {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            spoil: Mutex::new(Spoil::Nothing),
            writes: Mutex::default(),
            reads: Mutex::default(),
        });
        let shared = state.clone();
        let router = Router::new().fallback(move |request: Request| {
            let state = shared.clone();
            async move { state.pass(request).await }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, state, server }
    }
    pub fn spoil(&self, how: Spoil) {
        *self.state.spoil.lock().unwrap() = how;
    }
    /// The operations that came in and may change something.
    pub fn writes(&self) -> Vec<String> {
        self.state.writes.lock().unwrap().clone()
    }
    pub fn reads(&self) -> Vec<String> {
        self.state.reads.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    async fn pass(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let path = head.uri.path_and_query().unwrap().to_string();
        let operation = operation(&head.method, &path, &body);
        let is_read = ["Describe", "Get", "List", "Simulate"].iter().any(|verb| operation.starts_with(verb));
        let log = if is_read { &self.reads } else { &self.writes };
        log.lock().unwrap().push(operation);
        let spoil = if is_read { Spoil::Nothing } else { self.next() };
        match spoil {
            Spoil::Nothing => self.forward(head.method, &path, &head.headers, body).await,
            Spoil::DropRequest => broken(),
            Spoil::DropAnswer => {
                self.forward(head.method, &path, &head.headers, body).await;
                broken()
            }
            Spoil::HoldAnswer => {
                self.forward(head.method, &path, &head.headers, body).await;
                std::future::pending().await
            }
            Spoil::Throttle(_) => throttled(),
        }
    }

    fn next(&self) -> Spoil {
        let mut spoil = self.spoil.lock().unwrap();
        let now = *spoil;
        match now {
            Spoil::Throttle(0) => return Spoil::Nothing,
            Spoil::Throttle(left) => *spoil = Spoil::Throttle(left - 1),
            _ => {}
        }
        now
    }

    async fn forward(&self, method: Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
        let mut headers = headers.clone();
        headers.remove(header::HOST);
        headers.remove(header::CONTENT_LENGTH);
        let url = format!("{}{path}", self.upstream);
        let answer = self.client.request(method, url).headers(headers).body(body).send().await.unwrap();
        let mut response = Response::builder().status(answer.status());
        for name in [header::CONTENT_TYPE, header::HeaderName::from_static("smithy-protocol")] {
            if let Some(value) = answer.headers().get(&name) {
                response = response.header(name, value);
            }
        }
        response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
    }
}

/// The operation of a request, by the protocol that each service speaks.
fn operation(method: &Method, path: &str, body: &[u8]) -> String {
    if let Some((_, operation)) = path.split_once("/operation/") {
        return operation.to_owned();
    }
    if path.contains("/2013-04-01/") {
        let is_change = *method != Method::GET;
        return if is_change { "ChangeResourceRecordSets" } else { "GetOrListOfRoute53" }.to_owned();
    }
    let form = String::from_utf8_lossy(body);
    let action = form.split('&').find_map(|pair| pair.strip_prefix("Action="));
    action.unwrap_or("unknown").to_owned()
}

/// An answer whose body never comes to its end.
fn broken() -> Response {
    let parts = futures::stream::iter([
        Ok(Bytes::from_static(b"<")),
        Err(std::io::Error::other("the connection broke")),
    ]);
    Response::new(Body::from_stream(parts))
}

pub fn throttled() -> Response {
    error(StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded")
}

/// An error as the services write it that speak XML.
pub fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>r</RequestId></ErrorResponse>"
    );
    Response::builder().status(status).header("content-type", "text/xml").body(Body::from(body)).unwrap()
}
