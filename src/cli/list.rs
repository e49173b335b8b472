//! `runbook list`: list the runbooks.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// List the runbooks.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`list` is not there yet"))
}
