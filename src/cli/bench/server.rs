//! The server: pages, live updates, deliveries, and what it does while nobody asks anything.

mod live;
mod pages;
mod process;
mod seed;
mod storm;
mod template;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Client;
use runbook_desk::Desk;
use runbook_engine::System;
use runbook_journal::Sqlite;
use serde_json::{Value, json};

use self::{
    live::{Committer, Live},
    pages::Measured,
    process::Server,
    seed::Seeded,
    storm::Storm,
};
use super::{
    Args,
    scratch::{Lengths, Scratch, milliseconds, unusable},
};
use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// How long the server is left alone, to see what it does by itself.
const IDLE: Duration = Duration::from_secs(10);
/// The longest that it may take to come to rest after its start.
const REST: Duration = Duration::from_secs(120);

/// All that was measured.
#[derive(Debug)]
struct Report {
    seeded: Seeded,
    started: Duration,
    /// The share of one processor that it takes while nobody asks anything, and its memory in KiB.
    idle: Option<f64>,
    resident: Option<u64>,
    pages: Vec<Measured>,
    own: Live,
    other: Live,
    storm: Storm,
    peak: Option<u64>,
}

pub async fn run(args: &Args, app: &App) -> Result<Exit, CliError> {
    let folder = Scratch::below(&args.dir)?;
    app.say(&format!("writing {} incidents with {} entries …", args.incidents, args.entries));
    let seeded = seed::seed(&folder, args).await?;
    let client = Client::builder().no_proxy().build().map_err(|error| unusable(&error))?;
    let began = Instant::now();
    let server = Server::start(&seeded.config.root)?;
    let started = began.elapsed();
    app.say("waiting until the server is at rest …");
    let idle = at_rest(&server).await;
    let resident = server.resident();
    app.say(&format!("asking for every page {} times …", args.times));
    let pages = pages::measure(&server, &client, &seeded, args.times).await?;
    app.say("watching live updates …");
    let desk = desk(&seeded).await?;
    let own = live::measure(&server, &client, seeded.incident, &Committer::Server, args.times).await?;
    let by_other = Committer::Other(Arc::new(desk));
    let other = live::measure(&server, &client, seeded.incident, &by_other, args.times).await?;
    app.say(&format!("sending {} deliveries …", args.deliveries));
    let storm = storm::measure(&server, &client, args.deliveries).await?;
    let peak = server.peak();
    let report = Report { seeded, started, idle, resident, pages, own, other, storm, peak };
    let told = if app.is_json() { format!("{:#}\n", report.document()) } else { report.text() };
    app.print(&told);
    Ok(Exit::Success)
}

/// The store, opened by this process too.
async fn desk(seeded: &Seeded) -> Result<Desk, CliError> {
    let path = seeded.config.root.join(".runbook/runbook.db");
    let shelf = Arc::new(Sqlite::open(&path).await?);
    Ok(seed::desk(shelf, Arc::new(System), seeded.template.clone()))
}

/// What it takes of a processor once it has looked through all that it found.
async fn at_rest(server: &Server) -> Option<f64> {
    let began = Instant::now();
    let mut before = server.worked()?;
    loop {
        tokio::time::sleep(IDLE).await;
        let worked = server.worked()?;
        let share = (worked - before) as f64 / 100.0 / IDLE.as_secs_f64();
        if share < 0.02 || began.elapsed() > REST {
            return Some(share);
        }
        before = worked;
    }
}

impl Report {
    fn document(&self) -> Value {
        let live = |live: &Live| json!({ "event": live.heard.document(), "page": live.shown.document() });
        json!({
            "durability": self.seeded.durability,
            "incidents": self.seeded.incidents,
            "runs": self.seeded.runs,
            "entries": self.seeded.entries,
            "start_ms": milliseconds(self.started),
            "idle_processor_share": self.idle,
            "resident_kib": self.resident,
            "pages": self.pages.iter().map(Measured::document).collect::<Vec<_>>(),
            "live": { "own": live(&self.own), "other_process": live(&self.other) },
            "storm": {
                "accepted": self.storm.accepted,
                "refused": self.storm.refused,
                "took_ms": milliseconds(self.storm.took),
                "acknowledged": self.storm.acknowledged.document(),
            },
            "peak_kib": self.peak,
        })
    }

    fn text(&self) -> String {
        let Seeded { durability, incidents, runs, entries, .. } = &self.seeded;
        let mut lines = vec![
            format!("durability   {durability}"),
            format!("the store    {incidents} incidents, {runs} runs, {entries} entries"),
            format!("the start    {:.0} ms until it listens", milliseconds(self.started)),
        ];
        if let (Some(idle), Some(resident)) = (self.idle, self.resident) {
            lines.push(format!("at rest      {:.1} % of a processor, {} MiB", idle * 100.0, resident / 1024));
        }
        lines.push(format!("\n{:>8} {:>8} {:>8} {:>9} {:>9}", "median", "p95", "p99", "KiB", "sent"));
        for Measured { path, took, size, sent } in &self.pages {
            let [size, sent] = [size, sent].map(|bytes| *bytes as f64 / 1024.0);
            lines.push(format!("{took} {size:>9.1} {sent:>9.1}  {path}"));
        }
        let live = |lengths: &Lengths, what: &str| format!("{lengths} {:>19}  {what}", "");
        lines.push(live(&self.own.heard, "asked of the server, to the event"));
        lines.push(live(&self.own.shown, "asked of the server, to the page"));
        lines.push(live(&self.other.heard, "committed by another process, to the event"));
        lines.push(live(&self.other.shown, "committed by another process, to the page"));
        lines.push(live(&self.storm.acknowledged, "a delivery, to its acknowledgement"));
        lines.push(format!(
            "\n{} deliveries accepted and {} refused in {:.1} s",
            self.storm.accepted,
            self.storm.refused,
            self.storm.took.as_secs_f64()
        ));
        if let Some(peak) = self.peak {
            lines.push(format!("{} MiB at the most", peak / 1024));
        }
        lines.push("times are milliseconds\n".to_owned());
        lines.join("\n")
    }
}
