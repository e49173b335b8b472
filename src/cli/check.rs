//! `runbook check`: find everything that is wrong with runbooks, offline and in one pass.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Find everything that is wrong with runbooks, offline and in one pass.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`check` is not there yet"))
}
