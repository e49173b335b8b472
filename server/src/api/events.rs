//! Server-sent events: what happens, as it happens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _, stream};
use runbook_core::timeline;
use runbook_journal::Mark;

use super::{ReadProblems, page::Path, runs};
use crate::{gate::Caller, problem::Problem, site::Site};

/// A sign of life for proxies that close quiet connections.
const ALIVE: Duration = Duration::from_secs(15);
/// However much happens, listeners are told no more often than this.
const PACE: Duration = Duration::from_millis(50);

/// The entries of a run as they come, until it has ended. `Last-Event-ID` goes on after an entry.
#[utoipa::path(get, path = "/api/v1/runs/{run}/events", tag = "runs", operation_id = "run_events", params(("run" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String), ReadProblems))]
pub async fn of_run(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
    headers: http::HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let run = runs::load(&site, &caller, &run).await?.id;
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok()).unwrap_or(0);
    let entries = site.records.follow(run, after).map(move |entry| {
        Ok(match entry {
            Ok((event, hash)) => {
                let entry = timeline::entry(&event, &hash, run);
                let told = Event::default().id(entry.seq.to_string()).event("entry");
                told.json_data(&entry).unwrap_or_else(|_| Event::default().event("broken"))
            }
            Err(error) => {
                tracing::warn!(%run, %error, "a run could not be followed");
                Event::default()
                    .event("broken")
                    .data("the run cannot be followed; its journal may be damaged")
            }
        })
    });
    Ok(Sse::new(until_stopped(&site, entries)).keep_alive(KeepAlive::new().interval(ALIVE)))
}

/// A sign whenever anything was written: whoever shows something looks again.
#[utoipa::path(get, path = "/api/v1/events", tag = "runs", operation_id = "events",
    responses((status = 200, content_type = "text/event-stream", body = String), ReadProblems))]
pub async fn of_all(
    State(site): State<Arc<Site>>,
    _caller: Caller,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let shelf = site.shelf().clone();
    let signs = stream::unfold(Mark::default(), move |mark| {
        let shelf = shelf.clone();
        async move {
            if mark != Mark::default() {
                tokio::time::sleep(PACE).await;
            }
            let next = shelf.stirred(mark).await.ok()?;
            Some((Ok(Event::default().event("changed").data(next.0.to_string())), next))
        }
    });
    Sse::new(until_stopped(&site, signs)).keep_alive(KeepAlive::new().interval(ALIVE))
}

/// A server that stops waits for nobody who only listens.
fn until_stopped<T, S: Stream<Item = T>>(site: &Site, events: S) -> impl Stream<Item = T> + use<T, S> {
    let mut stopping = site.stopping.clone();
    events.take_until(async move {
        // The sender is gone only when the server is.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    })
}
