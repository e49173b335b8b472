//! `runbook show`: show one run, step by step.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Show one run, step by step.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`show` is not there yet"))
}
