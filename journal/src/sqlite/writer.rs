//! The one task that writes. It gathers what callers ask for while the last group was being
//! committed, commits that as the next, and answers once it is on disk.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use runbook_core::{Timestamp, event::RunId};
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
};

use super::{
    connect,
    fault::Fault,
    group,
    place::{Identity, Place},
};
use crate::{Batch, JournalError, bell::Bell};

/// Callers beyond these wait before they hand in what they ask for.
const WAITING: usize = 256;

/// What is committed at once: few enough to be quick, many enough to be worth a sync.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// A group waits for callers that are likely to come for this part of the time that the last commit
/// took, and never longer than that.
const PART: u32 = 8;
const LONGEST: Duration = Duration::from_millis(2);

/// What can be asked of the writer. The answer is a number: the fence of a lock, else nothing.
#[derive(Debug)]
pub(super) enum Asked {
    Append { batch: Batch, at: Option<Timestamp>, summary: String },
    Lock { target: String, run: RunId, now: Timestamp, until: Timestamp },
    Unlock { target: Option<String>, run: RunId },
}

impl Asked {
    pub(super) fn append(batch: Batch) -> Result<Self, JournalError> {
        let at = batch.check()?;
        let summary = serde_json::to_string(&batch.summary).map_err(|error| JournalError::Refused {
            run: batch.run,
            seq: batch.after,
            why: format!("the run's summary cannot be written: {error}"),
        })?;
        Ok(Self::Append { batch, at, summary })
    }

    fn size(&self) -> usize {
        match self {
            Self::Append { batch, .. } => batch.records.iter().map(|record| record.bytes.len()).sum(),
            Self::Lock { .. } | Self::Unlock { .. } => 0,
        }
    }
}

type Answer = Result<u64, JournalError>;

#[derive(Debug)]
struct Caller {
    asked: Asked,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
enum Message {
    Caller(Box<Caller>),
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Writer {
    place: Place,
    inbox: mpsc::Sender<Message>,
}

impl Writer {
    pub(super) fn start(place: Place, conn: SqliteConnection, identity: Identity, bell: Arc<Bell>) -> Self {
        let (inbox, messages) = mpsc::channel(WAITING);
        let desk = Desk { conn: Some(conn), place: place.clone(), identity, bell };
        tokio::spawn(Queue { messages, pace: Pace::default(), closing: None }.serve(desk));
        Self { place, inbox }
    }

    /// Once this is handed in, it is done whether or not the caller waits for the answer.
    pub(super) async fn ask(&self, asked: Asked) -> Answer {
        let (answer, answered) = oneshot::channel();
        let closed = || Fault::closed().at(&self.place);
        self.inbox.send(Message::Caller(Box::new(Caller { asked, answer }))).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.inbox.send(Message::Close(done)).await.is_ok() {
            // An error here means that the writer has ended, which is what was asked for.
            let _ = closed.await;
        }
    }
}

/// Who is waiting, and how they are grouped.
#[derive(Debug)]
struct Queue {
    messages: mpsc::Receiver<Message>,
    pace: Pace,
    closing: Option<oneshot::Sender<()>>,
}

impl Queue {
    async fn serve(mut self, mut desk: Desk) {
        while let Some(group) = self.next().await {
            let began = Instant::now();
            let size = group.len();
            desk.serve(group).await;
            self.pace = Pace { took: began.elapsed(), callers: size + self.messages.len() };
        }
        desk.close().await;
        if let Some(done) = self.closing {
            // Nobody need be waiting any longer.
            let _ = done.send(());
        }
    }

    /// The next group; none when there will be no more.
    async fn next(&mut self) -> Option<Vec<Caller>> {
        if self.closing.is_some() {
            return None;
        }
        let mut group = Group::default();
        match self.messages.recv().await? {
            Message::Caller(caller) => group.push(*caller),
            Message::Close(done) => self.closing = Some(done),
        }
        let deadline = Instant::now() + self.pace.patience();
        loop {
            while self.closing.is_none() && group.has_room() {
                match self.messages.try_recv() {
                    Ok(Message::Caller(caller)) => group.push(*caller),
                    Ok(Message::Close(done)) => self.closing = Some(done),
                    Err(_) => break,
                }
            }
            let enough = group.callers.len() >= self.pace.callers || !group.has_room();
            if enough || self.closing.is_some() || Instant::now() >= deadline {
                return Some(group.callers);
            }
            // Those who were just answered are about to ask again: let them.
            yield_now().await;
        }
    }
}

#[derive(Debug, Default)]
struct Group {
    callers: Vec<Caller>,
    bytes: usize,
}

impl Group {
    fn push(&mut self, caller: Caller) {
        self.bytes += caller.asked.size();
        self.callers.push(caller);
    }

    fn has_room(&self) -> bool {
        self.callers.len() < GROUP && self.bytes < GROUP_BYTES
    }
}

/// What the last commit tells about the next: a caller alone is never kept waiting.
#[derive(Debug, Default)]
struct Pace {
    took: Duration,
    /// Those who were answered, and those who came meanwhile.
    callers: usize,
}

impl Pace {
    fn patience(&self) -> Duration {
        (self.took / PART).min(LONGEST)
    }
}

/// Where groups are written.
#[derive(Debug)]
struct Desk {
    /// Given up after an error, because what state that left behind is not known.
    conn: Option<SqliteConnection>,
    place: Place,
    identity: Identity,
    bell: Arc<Bell>,
}

impl Desk {
    async fn serve(&mut self, group: Vec<Caller>) {
        let (asked, waiting): (Vec<_>, Vec<_>) =
            group.into_iter().map(|caller| (caller.asked, caller.answer)).unzip();
        let answers = match self.commit(&asked).await {
            // One of them does not fit; the others shall not suffer for it.
            Err(Fault::Unfit(_)) => self.commit_each(&asked).await,
            Err(fault) => asked.iter().map(|_| Err(fault.clone().at(&self.place))).collect(),
            Ok(answers) => answers,
        };
        for (asked, answer) in asked.iter().zip(&answers) {
            if let (Asked::Append { batch, .. }, Ok(_)) = (asked, answer) {
                let (run, head) = batch.head();
                self.bell.appended(run, head);
            }
        }
        for (answer, waiting) in answers.into_iter().zip(waiting) {
            // A caller that has gone away does not need its answer.
            let _ = waiting.send(answer);
        }
    }

    async fn commit_each(&mut self, asked: &[Asked]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(asked.len());
        for one in asked {
            answers.push(match self.commit(std::slice::from_ref(one)).await {
                Ok(mut answer) => answer.pop().unwrap_or(Ok(0)),
                Err(fault) => Err(self.unfit(one, fault)),
            });
        }
        answers
    }

    fn unfit(&self, asked: &Asked, fault: Fault) -> JournalError {
        match (asked, fault) {
            (Asked::Append { batch, .. }, Fault::Unfit(why)) => {
                JournalError::Damaged { run: batch.run, seq: batch.after + 1, why }
            }
            (_, fault) => fault.at(&self.place),
        }
    }

    async fn commit(&mut self, asked: &[Asked]) -> Result<Vec<Answer>, Fault> {
        self.expect_same_file()?;
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => connect::reopen(&self.place).await.map_err(|error| Fault::of(&error, &self.place))?,
        };
        match group::commit(&mut conn, asked).await {
            Ok(answers) => {
                self.conn = Some(conn);
                Ok(answers)
            }
            Err(error) => {
                let fault = Fault::of(&error, &self.place);
                tracing::warn!(path = %self.place.path().display(), %error, "a group of entries was not written");
                // Closing rolls back what was begun.
                let _ = conn.close().await;
                Err(fault)
            }
        }
    }

    /// Entries that go into a file which has been removed, or replaced by a backup, are lost however
    /// well they are synced.
    fn expect_same_file(&self) -> Result<(), Fault> {
        match self.place.identity() {
            Ok(found) if found == self.identity => Ok(()),
            Ok(_) => Err(Fault::Unusable("the file was replaced while it was in use".to_owned())),
            Err(error) => Err(Fault::Unusable(format!("the file has gone while it was in use: {error}"))),
        }
    }

    async fn close(self) {
        if let Some(conn) = self.conn {
            // All that was acknowledged is on disk already.
            let _ = conn.close().await;
        }
    }
}
