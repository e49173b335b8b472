//! `runbook.yaml`, the environment and the flags, read once into one value.

use std::path::PathBuf;

use crate::{cli::Global, exit::CliError};

#[derive(Debug, Clone)]
pub struct Config {
    pub root: PathBuf,
    pub playbooks: PathBuf,
}

impl Config {
    pub fn load(global: &Global) -> Result<Self, CliError> {
        let root = match &global.config {
            Some(file) => file.parent().map(PathBuf::from).unwrap_or_default(),
            None => std::env::current_dir().map_err(|error| CliError::failed(error.to_string()))?,
        };
        Ok(Self { playbooks: root.join("playbooks"), root })
    }
}
