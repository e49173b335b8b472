//! A mail server that takes mail as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The most that one session may send.
const LONGEST_SESSION: u64 = 1024 * 1024;

#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    /// What was said around the mail.
    pub lines: Vec<String>,
    pub mail: String,
}

/// A command and what is answered to it in place of yes.
pub(super) type Refusal = (&'static str, &'static str);
/// In place of an answer.
pub(super) const HANG_UP: &str = "HANG UP";

#[derive(Debug)]
pub(super) struct Postbox {
    pub port: u16,
    sessions: Arc<Mutex<Vec<Session>>>,
    task: JoinHandle<()>,
}

impl Postbox {
    /// Refuses once each, in this order, then takes all.
    pub(super) async fn up(features: &'static str, refusals: &[Refusal]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let mut refusals: VecDeque<Refusal> = refusals.iter().copied().collect();
        let kept = Arc::clone(&sessions);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let at = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Session::default());
                    kept.len() - 1
                };
                serve(stream, features, &mut refusals, &kept, at).await;
            }
        });
        Self { port, sessions, task }
    }

    /// The sessions in which a mail was written.
    pub(super) fn mails(&self) -> Vec<Session> {
        let sessions = self.sessions.lock().unwrap().clone();
        sessions.into_iter().filter(|session| !session.mail.is_empty()).collect()
    }

    /// All that was said around mails.
    pub(super) fn said(&self) -> String {
        self.sessions.lock().unwrap().iter().flat_map(|session| session.lines.clone()).collect()
    }
}

impl Drop for Postbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    stream: TcpStream,
    features: &str,
    refusals: &mut VecDeque<Refusal>,
    sessions: &Mutex<Vec<Session>>,
    at: usize,
) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read.take(LONGEST_SESSION)).lines();
    let mut in_mail = false;
    let mut answer = "220 postbox".to_owned();
    loop {
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
        let mut mail = String::new();
        let line = loop {
            match lines.next_line().await {
                Ok(Some(line)) if in_mail && line != "." => mail.push_str(&format!("{line}\n")),
                Ok(Some(line)) => break line,
                _ => return,
            }
        };
        let command = line.split(' ').next().unwrap_or_default();
        {
            let mut sessions = sessions.lock().unwrap();
            sessions[at].lines.push(format!("{line}\n"));
            sessions[at].mail.push_str(&mail);
        }
        let refused = refusals.front().is_some_and(|(refused, _)| *refused == command);
        answer = match (refused.then(|| refusals.pop_front()).flatten(), command) {
            (Some((_, HANG_UP)), _) => return,
            (Some((_, refusal)), _) => refusal.to_owned(),
            (None, "EHLO") => format!("250-postbox\r\n250 {features}"),
            (None, "DATA") => "354 go on".to_owned(),
            (None, "AUTH") => "235 welcome".to_owned(),
            (None, "QUIT") => "221 bye".to_owned(),
            (None, _) => "250 fine".to_owned(),
        };
        in_mail = answer.starts_with("354");
    }
}
