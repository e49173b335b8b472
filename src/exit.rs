//! One error shape for every command: what happened, what to do about it, and the exit code. The
//! codes are an API.

use std::{fmt, process::ExitCode};

use runbook_core::{
    finding::{self, Document, Finding},
    run::RejectedKind,
};
use runbook_desk::DeskError;
use runbook_engine::EngineError;
use runbook_journal::JournalError;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Succeeded, or a dry-run is complete.
    Success = 0,
    Failed = 1,
    /// Invalid use, runbook or configuration.
    Invalid = 2,
    /// Waiting for an approval or a person.
    Waiting = 3,
    /// Failed, and what had been changed was undone.
    Undone = 4,
    /// An undo failed or was stopped: a person is needed.
    Stuck = 5,
    /// The world has moved since the plan was made.
    Stale = 6,
    NotPermitted = 7,
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct CliError {
    pub exit: Exit,
    /// A lowercase fragment.
    pub message: String,
    pub hint: Option<String>,
    /// What is wrong with files, shown before the message with the lines it is about.
    pub findings: Option<Box<Findings>>,
}

/// Findings and the files that they point into.
#[derive(Debug)]
pub struct Findings {
    pub findings: Vec<Finding>,
    pub documents: Vec<Document>,
}

impl CliError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, findings: None }
    }
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, message)
    }
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    #[must_use]
    pub fn findings(mut self, findings: Findings) -> Self {
        self.findings = Some(Box::new(findings));
        self
    }
    /// The findings, if there are any, for people.
    pub fn details(&self, colour: bool) -> String {
        self.findings.as_ref().map_or_else(String::new, |found| {
            let documents: Vec<&Document> = found.documents.iter().collect();
            finding::render(&found.findings, &documents, colour)
        })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        let exit = match &error {
            EngineError::Rejected(rejected) => match rejected.kind {
                RejectedKind::NotPermitted => Exit::NotPermitted,
                RejectedKind::Stale => Exit::Stale,
                RejectedKind::NotNow | RejectedKind::Invalid => Exit::Invalid,
                RejectedKind::Corrupt => Exit::Failed,
            },
            EngineError::UnknownRun(_) => Exit::Invalid,
            EngineError::Journal(JournalError::Newer { .. } | JournalError::Unusable { .. }) => Exit::Invalid,
            EngineError::Journal(JournalError::ReadOnly { .. }) => Exit::NotPermitted,
            _ => Exit::Failed,
        };
        let hint = error.hint();
        Self { exit, message: error.to_string(), hint, findings: None }
    }
}

impl From<DeskError> for CliError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Journal(error) => error.into(),
            DeskError::Engine(error) => error.into(),
            DeskError::Incident(rejected) => EngineError::Rejected(rejected).into(),
            DeskError::UnknownIncident(_) => {
                Self::invalid(error.to_string()).hint("`runbook incident list` lists them")
            }
            DeskError::Unusable(why) => Self::invalid(why),
            DeskError::Busy => Self::failed(error.to_string()),
        }
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        EngineError::from(error).into()
    }
}
