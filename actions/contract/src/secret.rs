//! Where the value of a secret comes from. It is read when it is needed, never kept in a
//! configuration that might be printed.

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// `{ env: NAME }` or `{ file: PATH }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file, whose trailing line break is dropped.
    File(PathBuf),
    /// A value that the simulated environment hands out; cannot be written in a file.
    #[serde(skip)]
    #[schemars(skip)]
    Given(String),
}

/// Why a secret could not be read. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("environment variable `{0}` is not set")]
    NotSet(String),
    #[error("secret file {path} could not be read: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("secret file {0} is larger than 64 KiB")]
    TooLarge(PathBuf),
}

const LARGEST: u64 = 64 * 1024;

impl SecretSource {
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Env(name) => {
                std::env::var(name).map(SecretString::from).map_err(|_| SecretError::NotSet(name.clone()))
            }
            Self::File(path) => {
                let failed = |source| SecretError::File { path: path.clone(), source };
                if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
                    return Err(SecretError::TooLarge(path.clone()));
                }
                let text = std::fs::read_to_string(path).map_err(failed)?;
                Ok(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            Self::Given(value) => Ok(SecretString::from(value.clone())),
        }
    }
}
