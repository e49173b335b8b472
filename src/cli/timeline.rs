//! `runbook timeline`: tell what happened, and prove that nothing of it was changed.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Tell what happened, and prove that nothing of it was changed.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`timeline` is not there yet"))
}
