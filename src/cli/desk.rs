//! The incident desk as a command line has it: over the store that the server uses too.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runbook_contract::Mode;
use runbook_core::{
    event::Created,
    incident::{Closing, IncidentId},
    run::Run,
    runbook::Runbook,
    severity::Matrix,
};
use runbook_desk::{Desk, House, Start, cases::Head, kept};
use runbook_engine::{Engine, System};
use runbook_journal::{DocumentQuery, Shelf};
use tokio::sync::Mutex;

use crate::{
    cli::App,
    config::Config,
    exit::CliError,
    serve,
    wire::{self, Wired},
};

/// The desk of the project, to say something.
pub async fn open(config: &Config) -> Result<Desk, CliError> {
    over(config, wire::shelf(config).await?)
}

/// The same to read only: where there is no store, none is made.
pub async fn to_read(config: &Config) -> Result<Desk, CliError> {
    over(config, wire::shelf_to_read(config).await?)
}

/// The desk over a store that is open already.
pub fn over(config: &Config, shelf: Arc<dyn Shelf>) -> Result<Desk, CliError> {
    let severity =
        Matrix::from_config(&config.severity).map_err(|error| CliError::invalid(error.to_string()))?;
    let house = Household {
        config: config.clone(),
        shelf: shelf.clone(),
        severity: Arc::new(severity),
        readers: Mutex::default(),
    };
    Ok(Desk::new(shelf, Arc::new(house), Arc::new(System)))
}

/// The incident that a text names: `INC-42`, `42`, or `latest`.
pub async fn incident(desk: &Desk, text: &str) -> Result<IncidentId, CliError> {
    if text == "latest" {
        let newest = DocumentQuery { limit: 1, ..DocumentQuery::default() };
        let newest = kept::list::<Head>(desk.shelf(), newest).await?;
        return newest.first().map(|found| found.value.summary.id).ok_or_else(|| {
            CliError::invalid("there are no incidents yet").hint("`runbook incident declare TITLE` opens one")
        });
    }
    let written = spelled(text);
    written.parse().map_err(|error: runbook_core::incident::NotAnIncidentId| {
        CliError::invalid(error.to_string()).hint("`runbook incident list` lists them")
    })
}

/// The one spelling of an incident of ours; another system's word for one as it is.
pub fn spelled(text: &str) -> String {
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let written = if is_number { format!("INC-{text}") } else { text.to_owned() };
    match written.parse::<IncidentId>() {
        Ok(id) => id.to_string(),
        Err(_) => written,
    }
}

/// Whether the store has an incident of that name.
pub async fn has_incident(shelf: &Arc<dyn Shelf>, text: &str) -> Result<Option<IncidentId>, CliError> {
    let Ok(id) = text.parse::<IncidentId>() else { return Ok(None) };
    Ok(kept::find::<Head>(shelf, &id.to_string()).await?.map(|_| id))
}

/// Tells the incident of a run that was driven here how the run has ended. A server would notice, too;
/// there may be none.
pub async fn settled(app: &App, config: &Config, run: &Run) {
    let bound = run.created.incident.as_deref().is_some_and(|id| id.parse::<IncidentId>().is_ok());
    if !bound || run.ended.is_none() {
        return;
    }
    let told = async { Ok::<_, CliError>(open(config).await?.settle(run.id).await?) };
    if let Err(error) = told.await {
        app.insist(&format!("the incident was not told how the run has ended: {}", error.message));
    }
}

/// What the desk needs of a project for one command. Runs are started by other verbs.
#[derive(Debug)]
struct Household {
    config: Config,
    shelf: Arc<dyn Shelf>,
    severity: Arc<Matrix>,
    /// Environments that were looked at: what is simulated lives as long as it is held.
    readers: Mutex<BTreeMap<String, Arc<Wired>>>,
}

#[async_trait]
impl House for Household {
    fn runbooks(&self) -> Vec<Arc<Runbook>> {
        Vec::new()
    }

    async fn engine(&self, _: &str) -> Result<Engine, String> {
        Ok(wire::records_in(self.shelf.clone()))
    }

    async fn reader(&self, environment: &str) -> Result<Engine, String> {
        let mut readers = self.readers.lock().await;
        let wired = match readers.get(environment) {
            Some(wired) => wired.clone(),
            None => {
                let wired = wire::environment(&self.config, Some(environment), Mode::ReadOnly).await;
                let wired = Arc::new(wired.map_err(|error| error.message)?);
                readers.insert(environment.to_owned(), wired.clone());
                wired
            }
        };
        Ok(wired.engine(self.shelf.clone()))
    }

    fn severity(&self) -> Arc<Matrix> {
        self.severity.clone()
    }

    fn closing(&self) -> Closing {
        serve::CLOSING
    }

    async fn created(&self, _: &Start) -> Result<Created, String> {
        Err("this command starts no runs".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_of_ours_has_one_spelling() {
        for (text, expected) in [
            ("42", "INC-42"),
            ("inc-42", "INC-42"),
            ("INC-42", "INC-42"),
            ("JIRA-42", "JIRA-42"),
            ("", ""),
            ("0", "INC-0"),
        ] {
            assert_eq!(spelled(text), expected);
        }
    }
}
