//! What went wrong in SQLite, in the words of the journal.

use std::io;

use rusqlite::{Error, ErrorCode};

use super::place::Place;
use crate::JournalError;

/// Why a database could not be used. Many callers can be told the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Full,
    ReadOnly,
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
        let Error::SqliteFailure(failure, message) = error else {
            return Self::Unusable(error.to_string());
        };
        let message = message.clone().unwrap_or_else(|| failure.to_string());
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly => Self::ReadOnly,
            // SQLite says no more than this where its index of the log does not fit on the disk.
            ErrorCode::SystemIoFailure if place.is_full() => Self::Full,
            ErrorCode::SystemIoFailure => {
                Self::Unusable(format!("the disk reports an error ({message}, {})", failure.extended_code))
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                Self::Unusable("another process has kept it locked for too long".to_owned())
            }
            ErrorCode::CannotOpen => {
                Self::Unusable(format!("the file, or the log beside it, cannot be opened ({message})"))
            }
            ErrorCode::DatabaseCorrupt => {
                Self::Unusable(format!("its content is damaged ({message}); restore a backup"))
            }
            ErrorCode::NotADatabase => Self::Unusable("it is not a SQLite database".to_owned()),
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {
                Self::Unfit(message)
            }
            _ => Self::Unusable(format!("{message} ({})", failure.extended_code)),
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
            Self::Unfit(why) | Self::Unusable(why) => JournalError::Unusable { path, why },
        }
    }
}
