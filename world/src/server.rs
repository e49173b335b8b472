//! The server: one listener on loopback, every service below its own path.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request as HttpRequest, Response, StatusCode, header};
use axum::middleware::map_response;
use axum::response::IntoResponse;
use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use crate::environment::Environment;
use crate::exchange::{Answer, Query, Request};
use crate::kubernetes::access::{self, User};
use crate::kubernetes::exec::{self, Output};
use crate::kubernetes::failure::Failure;
use crate::kubernetes::watch::Watch;
use crate::kubernetes::{self, Outcome, Target};
use crate::{aws, flags, prometheus, services, slack};

/// The bound on every body.
const MAX_BODY: usize = 1024 * 1024;
/// A watch looks this often.
const WATCH_EVERY: Duration = Duration::from_millis(150);
const MAX_ARGUMENTS: usize = 100;
/// Protocols of exec, in the order of preference.
const EXEC_PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// What every handler has at hand.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub environment: Arc<Environment>,
    /// Turns true when the world is being shut down.
    pub stopping: Receiver<bool>,
}

pub(crate) fn router(shared: Shared) -> Router {
    Router::new().fallback(handle).layer(map_response(mark)).with_state(shared)
}

/// Nothing that leaves here can be taken for the real thing.
async fn mark(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(HeaderName::from_static("x-simulated"), HeaderValue::from_static("true"));
    response
}

async fn handle(State(shared): State<Shared>, request: HttpRequest<Body>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return into_response(Failure::too_large("the body of the request").into());
    };
    let mut request = Request {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        headers: parts.headers.clone(),
        body: body.to_vec(),
    };
    if let Some(path) = request.path.strip_prefix(access::VIEWER_PATH).filter(|path| path.starts_with('/')) {
        request.path = path.to_owned();
        request.headers.insert(header::AUTHORIZATION, HeaderValue::from_static(access::VIEWER_TOKEN));
    }
    tracing::debug!(method = %request.method, path = %request.path, "request to the simulated world");
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &shared).await {
        return exec(shared, &request, upgrade).await;
    }
    let environment = Arc::clone(&shared.environment);
    // Reading and locking the state's file may block, so it happens where that is allowed.
    match tokio::task::spawn_blocking(move || respond(&environment, &request)).await {
        Ok(Outcome::Answer(answer)) => into_response(answer),
        Ok(Outcome::Watch(watch)) => stream(shared, watch),
        Err(_) => into_response(Failure::internal("the simulated world failed on this request").into()),
    }
}

fn respond(environment: &Environment, request: &Request) -> Outcome {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Outcome::Answer(match segments[..] {
        [] => index(environment),
        ["aws", ref rest @ ..] => aws::respond(environment, request, rest),
        ["prometheus", ref rest @ ..] => prometheus::respond(environment, request, rest),
        ["flags", ref rest @ ..] => flags::respond(environment, request, rest),
        ["services", ref rest @ ..] => services::respond(environment, request, rest),
        ["slack", ref rest @ ..] => slack::respond(environment, request, rest),
        _ => return kubernetes::respond(environment, request),
    })
}

fn index(environment: &Environment) -> Answer {
    let info = environment.scenario.info();
    Answer::json(
        200,
        &json!({
            "simulated": true, "scenario": info.name, "title": info.title, "summary": info.summary,
            "paths": ["/version", "/prometheus/api/v1/query", "/flags/api/flags", "/services", "/slack/messages", "/aws"],
        }),
    )
}

fn into_response(answer: Answer) -> Response<Body> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    let mut headers =
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type))]);
    headers.extend(answer.headers);
    *response.headers_mut() = headers;
    response
}

/// Tells changes line by line until the watch's time is over or the world ends.
fn stream(shared: Shared, watch: Watch) -> Response<Body> {
    let end = Instant::now() + Duration::from_secs(watch.seconds);
    let lines =
        futures::stream::unfold((shared, watch, true), move |(mut shared, mut watch, first)| async move {
            if !first {
                tokio::select! {
                    () = tokio::time::sleep(WATCH_EVERY) => {}
                    _ = shared.stopping.wait_for(|stopping| *stopping) => return None,
                }
            }
            if Instant::now() >= end || *shared.stopping.borrow() {
                return None;
            }
            let environment = Arc::clone(&shared.environment);
            let looked = tokio::task::spawn_blocking(move || {
                let lines = environment.look(|view| watch.changes(view));
                (watch, lines)
            });
            let (watch, Ok(lines)) = looked.await.ok()? else { return None };
            Some((Ok::<_, Infallible>(lines), (shared, watch, false)))
        });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Runs one command over a WebSocket, in the protocol of `kubectl exec`.
async fn exec(shared: Shared, request: &Request, upgrade: WebSocketUpgrade) -> Response<Body> {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(target) = Target::parse(&segments).filter(|target| target.subresource == "exec") else {
        return into_response(Failure::no_such_path().into());
    };
    let Some(user) = User::of_token(request.token()) else {
        return into_response(Failure::unauthorized().into());
    };
    let scenario = &shared.environment.scenario;
    let allowed =
        access::check(scenario, user, "create", target.resource, "exec", target.space(), target.named());
    if let Err(failure) = allowed {
        return into_response(failure.into());
    }
    let argv: Vec<String> = request.query.all("command").take(MAX_ARGUMENTS).map(str::to_owned).collect();
    let environment = Arc::clone(&shared.environment);
    let ran = tokio::task::spawn_blocking(move || {
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let ran = environment.look(|view| exec::run(view, target.space(), target.named(), &argv));
        ran.map_err(Failure::from).and_then(|output| output)
    });
    match ran.await {
        Ok(Ok(output)) => upgrade.protocols(EXEC_PROTOCOLS).on_upgrade(|socket| tell(socket, output)),
        Ok(Err(failure)) => into_response(failure.into()),
        Err(_) => into_response(Failure::internal("the simulated world failed on this command").into()),
    }
}

async fn tell(mut socket: WebSocket, output: Output) {
    let status = output.status().to_string();
    let frames = [(exec::STDOUT, output.stdout), (exec::STDERR, output.stderr), (exec::ERROR, status)];
    for (channel, text) in frames.into_iter().filter(|(_, text)| !text.is_empty()) {
        let frame: Vec<u8> = [&[channel], text.as_bytes()].concat();
        if socket.send(Message::Binary(frame.into())).await.is_err() {
            // The client has gone; there is nobody left to tell.
            return;
        }
    }
    let close = CloseFrame { code: 1000, reason: "".into() };
    if socket.send(Message::Close(Some(close))).await.is_err() {
        tracing::debug!("the client of a simulated exec went before the end");
    }
}
