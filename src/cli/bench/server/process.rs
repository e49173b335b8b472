//! `runbook serve` in a process of its own.

use std::{ops::Deref, path::Path};

use super::seed::TOKEN;
use crate::{cli::bench::process::Process, exit::CliError};

/// The secret of the hook; it goes with the folder.
pub const SECRET: &str = "a-secret-of-this-measurement-only";

/// Ended when it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Server {
    /// Starts it over a project, and returns once it says where it is.
    pub fn start(root: &Path) -> Result<Self, CliError> {
        let mut command = Process::command(root, &["serve", "--no-login", "--listen", "127.0.0.1:0"])?;
        command.env(TOKEN, SECRET);
        let (process, url) = Process::start(command, |line| {
            let (_, rest) = line.split_once(" at http://")?;
            Some(format!("http://{}", rest.split('/').next().unwrap_or_default()))
        })?;
        Ok(Self { process, url })
    }
}

impl Deref for Server {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}
