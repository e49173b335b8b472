//! One start of one program, and its end: it does not outlive its time, and neither do the
//! processes that it started. (They share its process group; one that leaves the group by
//! `setsid` is beyond reach.)

use std::{
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use runbook_contract::text::{bounded, clean, line};
use runbook_core::{Value, secret};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// The most that is kept of each of the two outputs.
const LARGEST_OUTPUT: usize = 64 * 1024;
/// How long a program that has run out of time is given to clean up, before it is killed; and how
/// long its output may be held open, after its end, by what it left behind.
const GRACE: Duration = Duration::from_millis(500);
/// Shorter secrets are not looked for in what a program prints: they would be found everywhere.
const SHORTEST_SECRET: usize = 4;

/// What is started.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub program: &'a Path,
    pub args: &'a [String],
    /// All of its environment.
    pub variables: &'a [(String, String)],
    pub cwd: &'a Path,
    pub stdin: Option<&'a str>,
    pub timeout: Duration,
    /// What is not to be seen in its output.
    pub secrets: &'a [String],
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct End {
    /// The exit code; of a program that was ended by a signal, 128 and the signal, as shells say.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// What it printed, where all of that is JSON.
    pub json: Option<Value>,
    /// Whether it printed more than is kept.
    pub cut: bool,
    pub took: Duration,
}

/// Why there is no end to tell of.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing ran.
    NotStarted(io::Error),
    /// Its time was up; it was killed.
    TimedOut { last_words: String },
    /// It ran, and its end could not be learned.
    Lost(io::Error),
}

impl End {
    /// The last thing that it said, for messages.
    pub fn last_words(&self) -> String {
        last_words([&self.stderr, &self.stdout])
    }
}

/// The last line of the first text that has one.
fn last_words(texts: [&str; 2]) -> String {
    let last =
        |text: &str| text.lines().rev().find(|said| !said.trim().is_empty()).map(|said| line(said, 200));
    texts.into_iter().find_map(last).unwrap_or_default()
}

/// Starts a program and sees it through to its end.
pub(crate) async fn run(start: Start<'_>) -> Result<End, Failure> {
    let began = Instant::now();
    let mut child = spawn(&start).map_err(Failure::NotStarted)?;
    // Dropped before the child is, should the call be cut off.
    let mut group = Group::of(&child);
    let mut stdout = Output::of(child.stdout.take());
    let mut stderr = Output::of(child.stderr.take());
    let stdin = child.stdin.take();
    let outlives =
        timeout(start.timeout, live(&mut child, stdin, start.stdin, &mut stdout, &mut stderr)).await;
    let Ok(status) = outlives else {
        group.signal(Signal::TERM);
        // Its outputs close when the last of the group has gone. It is not waited for before the
        // kill: as long as it is not, its number cannot become another process'.
        let _ = timeout(GRACE, drain(&mut stdout, &mut stderr)).await;
        group.signal(Signal::KILL);
        let _ = child.wait().await;
        group.disarm();
        let last_words = last_words([&stderr.text(start.secrets), &stdout.text(start.secrets)]);
        return Err(Failure::TimedOut { last_words });
    };
    if timeout(GRACE, drain(&mut stdout, &mut stderr)).await.is_err() {
        // Something of the group holds the outputs, so the group's number is still its own.
        group.signal(Signal::KILL);
    }
    group.disarm();
    let status = status.map_err(Failure::Lost)?;
    Ok(End {
        code: code_of(status),
        json: stdout.json(start.secrets),
        cut: stdout.is_cut() || stderr.is_cut(),
        stdout: stdout.text(start.secrets),
        stderr: stderr.text(start.secrets),
        took: began.elapsed(),
    })
}

fn spawn(start: &Start<'_>) -> io::Result<Child> {
    Command::new(start.program)
        .args(start.args)
        .env_clear()
        .envs(start.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(start.cwd)
        .stdin(if start.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Feeds and reads the program until it ends.
async fn live(
    child: &mut Child,
    stdin: Option<ChildStdin>,
    text: Option<&str>,
    stdout: &mut Output,
    stderr: &mut Output,
) -> io::Result<ExitStatus> {
    let streams = async {
        tokio::join!(feed(stdin, text), drain(stdout, stderr));
        // Closed outputs are not the end yet.
        std::future::pending().await
    };
    tokio::select! {
        status = child.wait() => status,
        never = streams => never,
    }
}

async fn feed(stdin: Option<ChildStdin>, text: Option<&str>) {
    if let (Some(mut stdin), Some(text)) = (stdin, text) {
        // A program need not read what it is given.
        let _ = stdin.write_all(text.as_bytes()).await;
        let _ = stdin.shutdown().await;
    }
}

async fn drain(stdout: &mut Output, stderr: &mut Output) {
    tokio::join!(stdout.read(), stderr.read());
}

fn code_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The program and all that it started, killed when this is dropped before it is disarmed.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // Nobody left to signal is as good.
            let _ = kill_process_group(leader, signal);
        }
    }
    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// One output: its beginning is kept, its end is read so that the program is never held up.
#[derive(Debug)]
struct Output {
    pipe: Option<Box<dyn Pipe>>,
    kept: Vec<u8>,
    bytes: u64,
}

trait Pipe: AsyncRead + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + Unpin + Send + std::fmt::Debug> Pipe for T {}

impl Output {
    fn of(pipe: Option<impl Pipe + 'static>) -> Self {
        let pipe = pipe.map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        Self { pipe, kept: Vec::new(), bytes: 0 }
    }

    /// Reads to the end. May be dropped and called again.
    async fn read(&mut self) {
        let mut chunk = [0; 8192];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut chunk).await {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(length) => {
                    let room = LARGEST_OUTPUT.saturating_sub(self.kept.len()).min(length);
                    self.kept.extend_from_slice(&chunk[..room]);
                    self.bytes += length as u64;
                }
            }
        }
    }

    fn is_cut(&self) -> bool {
        self.bytes > self.kept.len() as u64
    }

    fn text(&self, secrets: &[String]) -> String {
        let text = hide(String::from_utf8_lossy(&self.kept).into_owned(), secrets);
        let text = clean(&text);
        let kept = bounded(&text, LARGEST_OUTPUT).unwrap_or(&text);
        if self.is_cut() { format!("{kept}… (cut, {} bytes in all)", self.bytes) } else { kept.to_owned() }
    }

    fn json(&self, secrets: &[String]) -> Option<Value> {
        if self.is_cut() {
            return None;
        }
        let json = serde_json::from_slice(&self.kept).ok()?;
        let hidden = secret::map_strings(&json, &mut |text| hide(text.to_owned(), secrets));
        Some(secret::sanitize(hidden))
    }
}

fn hide(text: String, secrets: &[String]) -> String {
    let long = secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET);
    long.fold(text, |text, secret| {
        if text.contains(secret.as_str()) { text.replace(secret.as_str(), secret::MASK) } else { text }
    })
}
