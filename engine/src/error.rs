//! What can go wrong with the engine itself, as opposed to a run.

use runbook_core::{
    event::{Broken, RunId},
    run::{Corrupt, Rejected},
};
use runbook_journal::JournalError;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("run {0} is changing too fast to say something to it")]
    Busy(RunId),
    #[error("a defect in the engine: {0}")]
    Defect(String),
}

impl EngineError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Journal(error) => error.hint().map(str::to_owned),
            Self::Rejected(rejected) => rejected.hint.clone(),
            Self::UnknownRun(_) => Some("`runbook runs` lists them".to_owned()),
            Self::Corrupt(_) | Self::Broken(_) => {
                Some("`runbook timeline RUN --verify` shows where the chain breaks".to_owned())
            }
            Self::Busy(_) => Some("try again".to_owned()),
            Self::Defect(_) => Some("please report it".to_owned()),
        }
    }
}
