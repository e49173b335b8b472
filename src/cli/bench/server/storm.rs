//! A storm of deliveries: most were sent before, a few are forged or malformed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use reqwest::Client;
use serde_json::{Value, json};

use super::process::{SECRET, Server};
use crate::{
    cli::bench::scratch::{Lengths, unusable},
    exit::CliError,
};

/// How many send at once, and of how many services.
const SENDERS: usize = 32;
const SERVICES: usize = 40;

/// What came of it.
#[derive(Debug)]
pub struct Storm {
    pub took: Duration,
    pub acknowledged: Lengths,
    pub accepted: usize,
    pub refused: usize,
}

/// What is sent, and what has to be answered.
#[derive(Debug, Clone)]
struct Sent {
    body: String,
    secret: &'static str,
    status: u16,
}

/// Sends as fast as the server answers.
pub async fn measure(server: &Server, client: &Client, deliveries: u32) -> Result<Storm, CliError> {
    let (all, next) = (Arc::new(storm(deliveries as usize)), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let senders = (0..SENDERS).map(|_| {
        let (all, next, client) = (all.clone(), next.clone(), client.clone());
        let url = format!("{}/hooks/am", server.url);
        let sender = tokio::spawn(async move {
            let mut told = Lengths::default();
            while let Some(sent) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                told.push(send(&client, &url, sent).await?);
            }
            Ok::<_, CliError>(told)
        });
        async { sender.await.map_err(|error| unusable(&error))? }
    });
    let mut acknowledged = Lengths::default();
    for told in try_join_all(senders).await? {
        acknowledged.extend(told);
    }
    let accepted = all.iter().filter(|sent| sent.status == 202).count();
    Ok(Storm { took: began.elapsed(), acknowledged, accepted, refused: all.len() - accepted })
}

async fn send(client: &Client, url: &str, sent: &Sent) -> Result<Duration, CliError> {
    let began = Instant::now();
    let answer = client.post(url).bearer_auth(sent.secret).body(sent.body.clone()).send().await;
    let answer = answer.map_err(|error| unusable(&error))?;
    let status = answer.status().as_u16();
    answer.bytes().await.map_err(|error| unusable(&error))?;
    let took = began.elapsed();
    if status == sent.status {
        Ok(took)
    } else {
        Err(CliError::failed(format!(
            "a delivery was answered with {status} in the place of {}",
            sent.status
        )))
    }
}

/// Of a hundred: eighty that were sent before, one forged, one malformed; the rest are new, a third of
/// them with alerts of mixed states.
fn storm(deliveries: usize) -> Vec<Sent> {
    let mut dice = Dice(2_026);
    let mut fresh: Vec<Sent> = Vec::new();
    let mut all = Vec::with_capacity(deliveries);
    for _ in 0..deliveries {
        let sent = match dice.roll(100) {
            0 => Sent { body: body(&[alert(0, 9_999, true)]), secret: "forged", status: 401 },
            1 => Sent { body: "{\"version\":\"4\",\"alerts\":[{".to_owned(), secret: SECRET, status: 422 },
            2..82 if !fresh.is_empty() => {
                let again = dice.roll(fresh.len());
                fresh.get(again).cloned().into_iter().collect::<Vec<_>>().remove(0)
            }
            _ => {
                let (number, service) = (fresh.len(), dice.roll(SERVICES));
                let mut alerts = vec![alert(service, number, true)];
                if dice.roll(3) == 0 {
                    alerts.push(alert((service + 1) % SERVICES, number, dice.roll(2) == 0));
                    alerts.push(alert((service + 2) % SERVICES, number.saturating_sub(3), false));
                }
                let sent = Sent { body: body(&alerts), secret: SECRET, status: 202 };
                fresh.push(sent.clone());
                sent
            }
        };
        all.push(sent);
    }
    all
}

/// Numbers that are the same each time.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

fn alert(service: usize, number: usize, firing: bool) -> Value {
    let (hour, minute) = (number / 60 % 24, number % 60);
    let over = format!("2026-01-02T{hour:02}:{minute:02}:59Z");
    json!({
        "status": if firing { "firing" } else { "resolved" },
        "labels": { "alertname": "Slow", "service": format!("stormy-{service}"), "severity": "critical" },
        "annotations": { "summary": format!("stormy-{service} is slow") },
        "startsAt": format!("2026-01-02T{hour:02}:{minute:02}:00Z"),
        "endsAt": if firing { "0001-01-01T00:00:00Z" } else { &over },
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": format!("{service:016x}"),
    })
}

fn body(alerts: &[Value]) -> String {
    let firing = alerts.iter().any(|alert| alert["status"] == "firing");
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "receiver": "runbook",
        "status": if firing { "firing" } else { "resolved" },
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am.example",
        "alerts": alerts,
    })
    .to_string()
}
