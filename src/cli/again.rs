//! A run that is there already, taken up again in the environment that it was made for.

use runbook_contract::Mode;
use runbook_core::run::Run;

use crate::{
    cli::App,
    config::Config,
    exit::CliError,
    wire::{self, Wired},
};

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
