//! Stands between the engine and a real server: counts what arrives by what it would change, and
//! takes answers away, so that what a write came to is in doubt.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// The server behind a proxy.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Its answer; nothing where there is none.
    async fn send(&self, request: Request<Bytes>) -> Option<Response<Bytes>>;
    /// What a request does, in the words of the server's protocol.
    fn operation(&self, request: &Request<Bytes>) -> String;
    /// Whether it would change anything.
    fn would_change(&self, request: &Request<Bytes>) -> bool;
}

/// What happens to the next request that would change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The server acts; the connection breaks before its answer comes.
    AnswerLost,
    /// The connection breaks before the request reaches the server.
    RequestLost,
    /// The server acts; its answer comes later than anyone waits.
    AnswerLate,
    /// The request reaches the server only after it has answered the next one.
    RequestLate,
}

impl Mishap {
    pub const ALL: [Self; 4] = [Self::AnswerLost, Self::RequestLost, Self::AnswerLate, Self::RequestLate];
}

/// One request that would change something, as it arrived, and what the server said to it.
#[derive(Debug, Clone)]
pub struct Write {
    pub request: String,
    /// Nothing where it never reached the server.
    pub status: Option<u16>,
    /// It is still to reach the server, or to be answered.
    pub is_under_way: bool,
    /// What the server answered: for most writes, the object as it is now.
    pub answer: serde_json::Value,
}

impl Write {
    pub fn took_effect(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A server on loopback that forwards to the real one. It ends with its last handle.
pub struct Proxy {
    /// `http://127.0.0.1:PORT`
    pub address: String,
    seen: Arc<Seen>,
    server: JoinHandle<()>,
}

struct Seen {
    upstream: Box<dyn Upstream>,
    by_method: Mutex<BTreeMap<String, u64>>,
    writes: Mutex<Vec<Write>>,
    next: Mutex<Option<(Mishap, Option<Request<Bytes>>)>>,
    /// Rung when a write was answered, for one that is to come after it.
    answered: Notify,
}

impl Proxy {
    pub async fn to(upstream: Box<dyn Upstream>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Seen {
            upstream,
            by_method: Mutex::default(),
            writes: Mutex::default(),
            next: Mutex::default(),
            answered: Notify::new(),
        });
        let server = tokio::spawn(serve(listener, seen.clone()));
        Self { address, seen, server }
    }

    /// Once, to the next write. Before the connection breaks, someone else may get a request in.
    pub fn let_happen(&self, mishap: Mishap, someone_else: Option<Request<Bytes>>) {
        *locked(&self.seen.next) = Some((mishap, someone_else));
    }

    /// A write that is to come after another comes now.
    pub fn let_go(&self) {
        self.seen.answered.notify_waiters();
    }

    /// Every request that would have changed something, in the order in which they arrived.
    pub fn writes(&self) -> Vec<Write> {
        locked(&self.seen.writes).clone()
    }

    /// How many requests arrived, by method.
    pub fn by_method(&self) -> BTreeMap<String, u64> {
        locked(&self.seen.by_method).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        let seen = seen.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(seen.clone(), request));
            // A connection that breaks is what half of the tests are about.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the proxy was told to break this connection")]
struct Broken;

async fn answer(seen: Arc<Seen>, request: Request<Incoming>) -> Result<Answer, Broken> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| Broken)?.to_bytes();
    let request = Request::from_parts(head, body);
    *locked(&seen.by_method).entry(request.method().to_string()).or_default() += 1;
    if !seen.upstream.would_change(&request) {
        return forward(&seen, request).await.map(plain).ok_or(Broken);
    }
    let at = {
        let mut writes = locked(&seen.writes);
        let request = seen.upstream.operation(&request);
        writes.push(Write { request, status: None, is_under_way: true, answer: serde_json::Value::Null });
        writes.len() - 1
    };
    let Some((mishap, someone_else)) = locked(&seen.next).take() else {
        return forward_write(seen, request, at).await.map(plain).ok_or(Broken);
    };
    match mishap {
        Mishap::RequestLost | Mishap::AnswerLost => {
            if mishap == Mishap::AnswerLost {
                forward_write(seen.clone(), request, at).await;
            } else if let Some(write) = locked(&seen.writes).get_mut(at) {
                write.is_under_way = false;
            }
            if let Some(request) = someone_else {
                forward(&seen, request).await;
            }
            Err(Broken)
        }
        Mishap::AnswerLate => {
            forward_write(seen, request, at).await;
            std::future::pending().await
        }
        Mishap::RequestLate => {
            // In a task of its own: whoever asked hangs up long before.
            tokio::spawn(async move {
                seen.answered.notified().await;
                forward_write(seen, request, at).await;
            });
            std::future::pending().await
        }
    }
}

async fn forward_write(seen: Arc<Seen>, request: Request<Bytes>, at: usize) -> Option<Response<Bytes>> {
    let answer = forward(&seen, request).await;
    if let Some(write) = locked(&seen.writes).get_mut(at) {
        write.is_under_way = false;
        write.status = answer.as_ref().map(|answer| answer.status().as_u16());
        write.answer =
            answer.as_ref().and_then(|answer| serde_json::from_slice(answer.body()).ok()).unwrap_or_default();
    }
    seen.answered.notify_waiters();
    answer
}

async fn forward(seen: &Seen, mut request: Request<Bytes>) -> Option<Response<Bytes>> {
    // The body is sent whole, over another connection.
    for hop in ["host", "content-length", "transfer-encoding", "connection", "accept-encoding"] {
        request.headers_mut().remove(hop);
    }
    let mut answer = seen.upstream.send(request).await?;
    for hop in ["content-length", "transfer-encoding", "connection"] {
        answer.headers_mut().remove(hop);
    }
    Some(answer)
}

/// An answer's body, as far as it is kept.
pub async fn whole<B>(answer: Response<B>) -> Option<Response<Bytes>>
where
    B: hyper::body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (head, body) = answer.into_parts();
    Some(Response::from_parts(head, Limited::new(body, LARGEST_BODY).collect().await.ok()?.to_bytes()))
}

fn plain(answer: Response<Bytes>) -> Answer {
    answer.map(|body| Full::new(body).boxed_unsync())
}
