//! The journal's runs, for verbs that only read them.

use std::{collections::BTreeMap, sync::Arc};

use runbook_contract::Registry;
use runbook_engine::{Engine, NoSecrets, Setup, System};

use crate::{cli::App, config::Config, exit::CliError, wire};

/// An engine over the project's journal that has no actions and so can reach nothing.
pub async fn engine(app: &App) -> Result<Engine, CliError> {
    let config = Config::load(&app.global)?;
    Ok(Engine::new(Setup {
        journal: wire::journal(&config, true).await?,
        registry: Registry::default(),
        secrets: Arc::new(NoSecrets),
        limits: BTreeMap::new(),
        clock: Arc::new(System),
        owner: String::new(),
    }))
}
