//! Every page and list, asked for again and again as a browser asks.

use std::time::Instant;

use reqwest::{Client, header};
use serde_json::{Value, json};

use super::{process::Server, seed::Seeded};
use crate::{
    cli::bench::scratch::{Lengths, unusable},
    exit::CliError,
};

/// What was measured of one address.
#[derive(Debug)]
pub struct Measured {
    pub path: String,
    pub took: Lengths,
    /// In bytes: as it is, and as it went over the network.
    pub size: usize,
    pub sent: usize,
}

impl Measured {
    pub fn document(&self) -> Value {
        json!({ "path": self.path, "took": self.took.document(), "bytes": self.size, "bytes_sent": self.sent })
    }
}

/// Asks one after the other.
pub async fn measure(
    server: &Server,
    client: &Client,
    seeded: &Seeded,
    times: u32,
) -> Result<Vec<Measured>, CliError> {
    let mut measured = Vec::new();
    for path in paths(server, client, seeded).await? {
        let url = format!("{}{path}", server.url);
        let size = fetched(client, &url, "identity").await?;
        let (mut took, mut sent) = (Lengths::default(), 0);
        for _ in 0..times {
            let began = Instant::now();
            sent = fetched(client, &url, "gzip").await?;
            took.push(began.elapsed());
        }
        measured.push(Measured { path, took, size, sent });
    }
    Ok(measured)
}

async fn fetched(client: &Client, url: &str, encoding: &str) -> Result<usize, CliError> {
    let answer = async {
        let request = client.get(url).header(header::ACCEPT_ENCODING, encoding);
        request.header(header::ACCEPT, "text/html").send().await?.error_for_status()?.bytes().await
    };
    Ok(answer.await.map_err(|error| unusable(&error))?.len())
}

async fn paths(server: &Server, client: &Client, seeded: &Seeded) -> Result<Vec<String>, CliError> {
    let Seeded { incident, long, ended, waiting, .. } = seeded;
    let open = asked_of(server, client, &format!("/api/v1/runs/{waiting}")).await?;
    let steps = open["steps"].as_array().into_iter().flatten();
    let step = steps.filter(|step| step["status"] == "waiting").find_map(|step| step["id"].as_str());
    let alerts = asked_of(server, client, "/api/v1/alerts?limit=1").await?;
    let mut paths: Vec<String> = [
        "/",
        "/incidents",
        "/incidents?state=resolved",
        "/runs",
        "/runs?status=waiting",
        "/approvals",
        "/alerts",
        "/runbooks",
        "/runbooks/high-latency",
        "/audit",
        "/api/v1/incidents",
        "/api/v1/runs",
        "/api/v1/approvals",
        "/api/v1/alerts",
        "/api/v1/runbooks",
        "/api/v1/audit",
    ]
    .map(str::to_owned)
    .into();
    paths.extend([
        format!("/incidents/{incident}"),
        format!("/api/v1/incidents/{incident}"),
        format!("/api/v1/incidents/{incident}/timeline"),
        format!("/runs/{ended}"),
        format!("/runs/{waiting}"),
        format!("/runs/{long}"),
        format!("/api/v1/runs/{long}"),
        format!("/api/v1/runs/{long}/timeline"),
    ]);
    paths.extend(step.map(|step| format!("/runs/{waiting}/approve?step={step}")));
    paths.extend(alerts["items"][0]["id"].as_str().map(|id| format!("/alerts/{id}")));
    Ok(paths)
}

async fn asked_of(server: &Server, client: &Client, path: &str) -> Result<Value, CliError> {
    let answer =
        async { client.get(format!("{}{path}", server.url)).send().await?.error_for_status()?.json().await };
    answer.await.map_err(|error: reqwest::Error| unusable(&error))
}
