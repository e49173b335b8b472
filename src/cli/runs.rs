//! `runbook runs`: list runs.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// List runs.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`runs` is not there yet"))
}
