//! What went wrong in PostgreSQL, in the words of the journal.

use std::{error::Error as _, path::PathBuf};

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::Error;

use crate::JournalError;

/// Why something was not done, or perhaps not.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is refused for what it asks.
    Told(JournalError),
    /// The connection is gone. Whatever was under way may have been done or not.
    Lost(String),
    /// Others were at the same place; nothing was done.
    Contended(String),
    Full,
    ReadOnly,
    Unusable(String),
}

impl Fault {
    pub(super) fn at(self, path: PathBuf) -> JournalError {
        match self {
            Self::Told(error) => error,
            Self::Full => JournalError::Full { path },
            Self::ReadOnly => JournalError::ReadOnly { path },
            Self::Lost(why) | Self::Contended(why) | Self::Unusable(why) => {
                JournalError::Unusable { path, why }
            }
        }
    }

    /// Whether it is worth trying again.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Contended(_))
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        Self::Told(error)
    }
}

impl From<Error> for Fault {
    /// The codes are those of PostgreSQL's manual, appendix A.
    fn from(error: Error) -> Self {
        let Some(told) = error.as_db_error() else {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            return Self::Lost(format!("{error}{cause}"));
        };
        let message = told.message().to_owned();
        match told.code().code() {
            "40001" | "40P01" | "23505" => Self::Contended(message),
            "53100" => Self::Full,
            "25006" | "42501" => Self::ReadOnly,
            "55P03" | "57014" => Self::Unusable("another process has kept it locked for too long".to_owned()),
            "26000" => Self::Unusable(format!(
                "{message}; connect to the server itself, or to a pooler that keeps sessions"
            )),
            // Too many connections, a server that starts or stops, a transaction that was left open
            // for too long.
            "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Self::Lost(message),
            code if code.starts_with("08") => Self::Lost(message),
            code => Self::Unusable(format!("{message} ({code})")),
        }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            PoolError::Timeout(_) => Self::Lost("no connection became free in time".to_owned()),
            PoolError::Closed => Self::Unusable("it has been closed".to_owned()),
            other => Self::Unusable(other.to_string()),
        }
    }
}
