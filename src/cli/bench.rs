//! `runbook bench`: measure the engine, or the server.

mod engine;
mod process;
mod program;
mod scratch;
mod server;

use std::path::PathBuf;

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Measure the engine: throughput, latency, durability; or the server: pages, live updates, deliveries.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook bench
  runbook bench --runs 200 --at-once 16 --output json
  PGPASSWORD=… runbook bench --store postgres://runbook@db.example.com/bench
  runbook bench --server
  runbook bench --server --incidents 100 --entries 10000 --deliveries 1000

The actions do nothing, so what is measured is the engine and its journal. Every event is synced
to the disk of the folder that is named, or to that of the PostgreSQL server. A database must have
no other runs than such; they stay in it.

The program as a whole is measured too: how soon it starts, and the memory of a run that waits.

With --server, a project with many incidents and runs is made there, `runbook serve` is started
over it on loopback, and asked as a browser, a detector and another process would ask it.")]
pub struct Args {
    /// How many runs
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// How many of them at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    at_once: u32,
    /// How many steps each has
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    steps: u32,
    /// Measure the server instead
    #[arg(long, conflicts_with_all = ["runs", "at_once", "steps"])]
    server: bool,
    /// How many incidents the server has
    #[arg(long, default_value_t = 1000, requires = "server", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    incidents: u32,
    /// How many entries their timelines have, with those of their runs
    #[arg(long, default_value_t = 100_000, requires = "server", value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    entries: u32,
    /// How many runs wait for people
    #[arg(long, default_value_t = 200, requires = "server", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    waiting: u32,
    /// How many deliveries come in the storm
    #[arg(long, default_value_t = 20_000, requires = "server", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    deliveries: u32,
    /// How often each page is asked for, and each live update awaited
    #[arg(long, default_value_t = 100, requires = "server", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    times: u32,
    /// Where everything is written, and removed afterwards
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Measure this PostgreSQL database, not SQLite; its password is in PGPASSWORD
    #[arg(long, value_name = "URL", conflicts_with_all = ["dir", "server"])]
    store: Option<String>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    if args.server { server::run(&args, app).await } else { engine::run(&args, app).await }
}
