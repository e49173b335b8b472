//! A run that is there already, taken up again in the environment that it was made for.

use runbook_contract::Mode;
use runbook_core::{event::RunId, run::Run};
use runbook_engine::Engine;

use crate::{
    cli::App,
    config::Config,
    exit::CliError,
    wire::{self, Wired},
};

/// A run that somebody means to act upon. What its entries tell decides what is changed in the world,
/// approvals among them, so each of them has to be the one that was written.
pub async fn load(engine: &Engine, id: RunId) -> Result<Run, CliError> {
    match engine.verify(id).await? {
        Ok(_) => Ok(engine.load(id).await?),
        Err(broken) => Err(CliError::failed(format!("run {id} cannot be trusted: {broken}")).hint(format!(
            "keep a copy of the database as evidence and restore a backup; `runbook timeline {id}` shows what is there"
        ))),
    }
}

/// The environment of a run. It was planned and approved there, so it goes on there or nowhere.
pub async fn environment(app: &App, config: &Config, run: &Run, mode: Mode) -> Result<Wired, CliError> {
    let created = &run.created;
    if app.global.env.as_ref().is_some_and(|asked| *asked != created.environment) {
        return Err(CliError::invalid(format!(
            "run {} belongs to environment `{}`",
            run.id, created.environment
        ))
        .hint("leave --env out"));
    }
    let (_, environment) = config.environment(Some(&created.environment))?;
    if environment.simulated != created.simulated {
        let was = created.simulated.as_deref().unwrap_or("a real one");
        return Err(CliError::invalid(format!(
            "environment `{}` is not the one that run {} was made for, which was {was}",
            created.environment, run.id
        ))
        .hint("set it back in runbook.yaml"));
    }
    wire::environment(config, Some(&created.environment), mode).await
}
