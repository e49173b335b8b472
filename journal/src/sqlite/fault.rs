//! What went wrong in SQLite, in the words of the journal.

use std::{io, path::PathBuf};

use sqlx::Error;

use super::place::Place;
use crate::JournalError;

/// The result codes of SQLite that are told apart (<https://www.sqlite.org/rescode.html>). The
/// low byte of an extended code is its primary code.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const MISMATCH: i32 = 20;
    pub(super) const NOTADB: i32 = 26;
}

/// Why a database could not be used. Many callers can be told the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Full,
    ReadOnly,
    Busy,
    /// What was asked for does not fit what is in the database; others are not concerned.
    Unfit(String),
    Unusable(String),
}

impl Fault {
    pub(super) fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Unusable(error.to_string()),
        }
    }

    pub(super) fn of(error: &Error, place: &Place) -> Self {
        match error {
            Error::Io(error) => Self::of_io(error),
            Error::Database(error) => Self::of_code(result_code(error.as_ref()), error.message(), place),
            Error::PoolTimedOut => Self::Unusable("too many readers at once".to_owned()),
            Error::PoolClosed | Error::WorkerCrashed => Self::closed(),
            other => Self::Unusable(other.to_string()),
        }
    }

    fn of_code(found: i32, message: &str, place: &Place) -> Self {
        match found & 0xff {
            code::FULL => Self::Full,
            code::READONLY => Self::ReadOnly,
            code::BUSY | code::LOCKED => Self::Busy,
            code::IOERR if place.is_full() => Self::Full,
            code::IOERR => Self::Unusable(format!("the disk reports an error ({message}, {found})")),
            code::CANTOPEN => {
                Self::Unusable(format!("the file or the log beside it cannot be opened ({message})"))
            }
            code::CORRUPT => Self::Unusable(format!("its content is damaged ({message}); restore a backup")),
            code::NOTADB => Self::Unusable("it is not a SQLite database".to_owned()),
            code::NOMEM => Self::Unusable("memory is short".to_owned()),
            code::TOOBIG | code::CONSTRAINT | code::MISMATCH => Self::Unfit(message.to_owned()),
            _ => Self::Unusable(format!("{message} ({found})")),
        }
    }

    pub(super) fn closed() -> Self {
        Self::Unusable("it has been closed".to_owned())
    }

    pub(super) fn at(self, place: &Place) -> JournalError {
        let path = place.path().to_owned();
        match self {
            Self::Full => JournalError::Full { path },
            Self::ReadOnly => JournalError::ReadOnly { path },
            Self::Busy => unusable(path, "another process has kept it locked for too long".to_owned()),
            Self::Unfit(why) | Self::Unusable(why) => unusable(path, why),
        }
    }
}

fn unusable(path: PathBuf, why: String) -> JournalError {
    JournalError::Unusable { path, why }
}

fn result_code(error: &(dyn sqlx::error::DatabaseError + 'static)) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// Whether another connection held the lock that was needed.
pub(super) fn is_busy(error: &Error) -> bool {
    error.as_database_error().is_some_and(|error| result_code(error) & 0xff == code::BUSY)
}
