//! `runbook apply`: run exactly a plan, or refuse and show what has moved.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Run exactly a plan, or refuse and show what has moved.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`apply` is not there yet"))
}
