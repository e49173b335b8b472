//! `runbook bench`: measure the engine: throughput, latency, durability.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Measure the engine: throughput, latency, durability.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`bench` is not there yet"))
}
