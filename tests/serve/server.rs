//! A server in a process of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use crate::project::Project;

/// However slow the machine, a test that waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    log: Option<thread::JoinHandle<Vec<u8>>>,
}

impl Server {
    /// Starts a server in a project's folder, and returns once it says where it is.
    pub fn start(project: &Project, args: &[&str]) -> Self {
        Self::start_with(project, args, &[("RUNBOOK_TEST_SECRET", "sekret")])
    }

    pub fn start_with(project: &Project, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let all = ["serve", "--listen", "127.0.0.1:0"].iter().chain(args);
        let mut command = project.command(all);
        command.envs(variables.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap());
        let mut heard = String::new();
        let url = loop {
            let mut line = String::new();
            assert_ne!(told.read_line(&mut line).unwrap(), 0, "the server did not start: {heard}");
            heard.push_str(&line);
            if let Some((_, rest)) = line.split_once(" at http://") {
                break format!("http://{}", rest.split('/').next().unwrap());
            }
        };
        // Whatever else it says must not fill the pipe.
        let log = thread::spawn(move || {
            let mut rest = heard.into_bytes();
            told.read_to_end(&mut rest).unwrap();
            rest
        });
        Self { child, url, log: Some(log) }
    }

    /// As a machine that loses its power would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and returns all that it has said.
    pub fn stop(mut self) -> Vec<u8> {
        let ended = std::process::Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(ended.unwrap().success());
        assert!(self.child.wait().unwrap().success(), "it ends well when it is asked to");
        self.log.take().unwrap().join().unwrap()
    }

    /// The most memory that it ever had, in KiB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn token(project: &Project, args: &[&str]) -> String {
    let all = ["token", "create", "test", "--output", "json"].iter().chain(args);
    project.runbook(all).ends_with_code(0).json()["token"].as_str().unwrap().to_owned()
}
