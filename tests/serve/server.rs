//! A server in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::project::Project;

/// However slow the machine, a test that waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`, or with TLS `https://127.0.0.1:PORT`.
    pub url: String,
    log: Arc<Log>,
    reader: Option<thread::JoinHandle<()>>,
}

/// What it has said so far.
#[derive(Default)]
struct Log {
    text: Mutex<Vec<u8>>,
    over: AtomicBool,
    more: Condvar,
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
            if let Some((_, rest)) = line.split_once(" at http") {
                let (scheme, rest) = rest.split_once("://").unwrap();
                break format!("http{scheme}://{}", rest.split('/').next().unwrap());
            }
        };
        let log = Arc::new(Log { text: Mutex::new(heard.into_bytes()), ..Log::default() });
        // Whatever else it says must not fill the pipe.
        let shared = log.clone();
        let reader = thread::spawn(move || {
            let mut line = Vec::new();
            while told.read_until(b'\n', &mut line).unwrap() > 0 {
                shared.text.lock().unwrap().append(&mut line);
                shared.more.notify_all();
            }
            shared.over.store(true, Ordering::Release);
            shared.more.notify_all();
        });
        Self { child, url, log, reader: Some(reader) }
    }

    /// Sends it a signal, and returns what it says from then on as soon as this is among it.
    pub fn signalled(&self, signal: &str, until: &str) -> String {
        let before = self.log.text.lock().unwrap().len();
        self.signal(signal);
        let said = |text: &Vec<u8>| String::from_utf8_lossy(&text[before..]).into_owned();
        let text = self.log.text.lock().unwrap();
        let waited = self
            .log
            .more
            .wait_timeout_while(text, PATIENCE, |text| {
                !said(text).contains(until) && !self.log.over.load(Ordering::Acquire)
            })
            .unwrap();
        let said = said(&waited.0);
        assert!(said.contains(until), "it never said `{until}`: {said}");
        said
    }

    fn signal(&self, signal: &str) {
        let sent = std::process::Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// As a machine that loses its power would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and returns all that it has said.
    pub fn stop(mut self) -> Vec<u8> {
        self.signal("-TERM");
        assert!(self.child.wait().unwrap().success(), "it ends well when it is asked to");
        self.reader.take().unwrap().join().unwrap();
        self.log.text.lock().unwrap().clone()
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
