//! How soon what was committed is on the page of a browser that has it open: it hears of it from the
//! stream of events, and fetches the page again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, Response, header};
use runbook_core::{
    event::{Actor, Channel},
    incident::{IncidentId, Input},
};
use runbook_desk::Desk;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::process::Server;
use crate::{
    cli::bench::scratch::{Lengths, unusable},
    exit::CliError,
};

/// The time between two fetches, as the pages' script has it.
const SOONEST: Duration = Duration::from_millis(100);
/// The longest that an update may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// From the commit on.
#[derive(Debug, Default)]
pub struct Live {
    /// To the event at the browser.
    pub heard: Lengths,
    /// To the page with the news.
    pub shown: Lengths,
}

/// Who commits.
#[derive(Debug)]
pub enum Committer {
    /// The server itself, asked for it; its own work on the request is in what is measured.
    Server,
    /// This process, in the same store.
    Other(Arc<Desk>),
}

pub async fn measure(
    server: &Server,
    client: &Client,
    incident: IncidentId,
    committer: &Committer,
    times: u32,
) -> Result<Live, CliError> {
    let told = |error: reqwest::Error| unusable(&error);
    let page = format!("{}/incidents/{incident}", server.url);
    let stream = client.get(format!("{}/api/v1/events", server.url)).send();
    let stream = stream.await.and_then(Response::error_for_status).map_err(told)?;
    let (heard, hearing) = watch::channel(Instant::now());
    let listening = tokio::spawn(listen(stream, heard));
    let mut live = Live::default();
    for number in 0..times {
        // People do not act in step with what looks now and then.
        sleep(Duration::from_millis(150 + u64::from(number) * 37 % 200)).await;
        let note = format!("seen by {number} of {times}, {:?}", Instant::now());
        let mut hearing = hearing.clone();
        hearing.mark_unchanged();
        let committed = commit(server, client, incident, committer, note.clone()).await?;
        let seen = async {
            let mut first = None;
            let mut last: Option<Instant> = None;
            loop {
                hearing.changed().await.map_err(|_| unusable(&"the stream of events ended"))?;
                first.get_or_insert(*hearing.borrow_and_update());
                if let Some(last) = last {
                    sleep(SOONEST.saturating_sub(last.elapsed())).await;
                }
                last = Some(Instant::now());
                let request = client.get(&page).header(header::ACCEPT, "text/html").send();
                let text = request.await.map_err(told)?.text().await.map_err(told)?;
                if text.contains(&note) {
                    return Ok::<_, CliError>((first.unwrap_or(committed), Instant::now()));
                }
            }
        };
        let seen = timeout(PATIENCE, seen).await.map_err(|_| unusable(&"an update does not show"))?;
        let (heard, shown) = seen?;
        live.heard.push(heard.saturating_duration_since(committed));
        live.shown.push(shown.saturating_duration_since(committed));
    }
    listening.abort();
    Ok(live)
}

async fn listen(mut stream: Response, heard: watch::Sender<Instant>) {
    while let Ok(Some(_)) = stream.chunk().await {
        heard.send_replace(Instant::now());
    }
}

/// When it was committed: of what the server commits, when it was asked to.
async fn commit(
    server: &Server,
    client: &Client,
    incident: IncidentId,
    committer: &Committer,
    text: String,
) -> Result<Instant, CliError> {
    match committer {
        Committer::Server => {
            let asked = Instant::now();
            let url = format!("{}/api/v1/incidents/{incident}", server.url);
            let answer = client.post(url).json(&json!({ "say": "note", "text": text })).send().await;
            answer.and_then(Response::error_for_status).map_err(|error| unusable(&error))?;
            Ok(asked)
        }
        Committer::Other(desk) => {
            let actor = Actor { name: "alice".to_owned(), how: Channel::Cli };
            desk.say(incident, &actor, || Input::Note { text: text.clone() }).await?;
            Ok(Instant::now())
        }
    }
}
