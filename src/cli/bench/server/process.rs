//! `runbook serve` in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use super::seed::TOKEN;
use crate::{cli::bench::scratch::unusable, exit::CliError};

/// The secret of the hook; it goes with the folder.
pub const SECRET: &str = "a-secret-of-this-measurement-only";

/// Ended when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Server {
    /// Starts this very program over a project, and returns once it says where it is.
    pub fn start(root: &Path) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| unusable(&error);
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(["serve", "--no-login", "--listen", "127.0.0.1:0"])
            .current_dir(root)
            .env_remove("RUNBOOK_CONFIG")
            .env_remove("RUNBOOK_ENV")
            .env(TOKEN, SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let told = child.stderr.take();
        let mut server = Self { child, url: String::new() };
        let mut lines = told.map(BufReader::new).into_iter().flat_map(|told| told.lines());
        let mut heard = String::new();
        while server.url.is_empty() {
            let Some(line) = lines.next() else {
                return Err(CliError::failed(format!("the server did not start: {heard}")));
            };
            let line = line.map_err(failed)?;
            if let Some((_, rest)) = line.split_once(" at http://") {
                server.url = format!("http://{}", rest.split('/').next().unwrap_or_default());
            }
            heard.push_str(&line);
        }
        // Whatever else it says must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }

    /// The most memory that it ever had, in KiB, where the system says it.
    pub fn peak(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    /// The memory that it has now.
    pub fn resident(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    fn status(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// How long it has been at work on a processor, in hundredths of a second, where the system says it.
    pub fn worked(&self) -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name of the program, which may have blanks, ends with the last parenthesis.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
