//! This very program in a process of its own, and what the system says of it.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use super::scratch::unusable;
use crate::exit::CliError;

/// Ended when it is dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// This program, in a folder; nothing of the caller's settings reaches it.
    pub fn command(folder: &Path, args: &[&str]) -> Result<Command, CliError> {
        let program = std::env::current_exe().map_err(|error| unusable(&error))?;
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(folder)
            .env_remove("RUNBOOK_CONFIG")
            .env_remove("RUNBOOK_ENV")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    }

    /// Starts it, and returns with the line on its standard error in which `find` finds something.
    pub fn start<T>(
        mut command: Command,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<(Self, T), CliError> {
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| unusable(&error))?;
        let told = child.stderr.take();
        let process = Self(child);
        let mut lines = told.map(BufReader::new).into_iter().flat_map(|told| told.lines());
        let mut heard = String::new();
        loop {
            let Some(line) = lines.next() else {
                return Err(CliError::failed(format!("the program of the measurement ended: {heard}")));
            };
            let line = line.map_err(|error| unusable(&error))?;
            if let Some(found) = find(&line) {
                // Whatever else it says must not fill the pipe.
                thread::spawn(move || lines.for_each(drop));
                return Ok((process, found));
            }
            heard.push_str(&line);
        }
    }

    /// The most memory that it ever had, in KiB, where the system says it.
    pub fn peak(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    /// The memory that it has now.
    pub fn resident(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// The part of it that no other process shares and no file backs.
    pub fn private(&self) -> Option<u64> {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// How long it has been at work on a processor, in hundredths of a second, where the system says it.
    pub fn worked(&self) -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).ok()?;
        // The name of the program, which may have blanks, ends with the last parenthesis.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
