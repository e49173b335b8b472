//! The journal's runs, for verbs that only read them.

use runbook_engine::Engine;

use crate::{cli::App, config::Config, exit::CliError, wire};

/// An engine over the project's journal that has no actions and so can reach nothing.
pub async fn engine(app: &App) -> Result<Engine, CliError> {
    wire::records(&Config::load(&app.global)?, true).await
}
