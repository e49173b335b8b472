//! The one thread that writes. It gathers what callers ask for while the last group was being
//! committed, commits that as the next, and answers once it is on disk.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use runbook_core::{Timestamp, event::RunId};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    connect,
    fault::Fault,
    group::{self, Committed},
    place::{Identity, Place},
};
use crate::{Batch, Document, Expect, JournalError, Write, bell::Bell, shelf, time};

/// Callers beyond these wait before they hand in what they ask for.
const WAITING: usize = 256;

/// What is committed at once: few enough to be quick, many enough to be worth a sync.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// The longest that a group waits for callers who are likely to come.
const PATIENCE: Duration = Duration::from_millis(2);

/// What can be asked of the writer. The answer is a number: the fence of a lock, else nothing.
#[derive(Debug)]
pub(super) enum Asked {
    Append(Box<Append>),
    /// All or none.
    Write(Vec<Part>),
    Lock {
        target: String,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    },
    Unlock {
        target: String,
        run: RunId,
    },
}

/// A batch that has been checked, and its columns: what can be done before it is the writer's turn
/// holds up nobody else.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) batch: Batch,
    pub(super) id: String,
    /// Empty where there are no records.
    pub(super) at: String,
    pub(super) started_at: String,
    pub(super) summary: String,
}

/// One part of a write.
#[derive(Debug)]
pub(super) enum Part {
    Append(Box<Append>),
    Put { document: Document, expect: Expect },
    Remove { kind: String, id: String },
}

impl Append {
    fn of(batch: Batch) -> Result<Box<Self>, JournalError> {
        let at = batch.check()?;
        let summary = serde_json::to_string(&batch.summary).map_err(|error| JournalError::Refused {
            run: batch.run,
            seq: batch.after,
            why: format!("the run's summary cannot be written: {error}"),
        })?;
        Ok(Box::new(Self {
            id: batch.run.to_string(),
            at: at.map(time::text).unwrap_or_default(),
            started_at: time::text(batch.summary.started_at),
            summary,
            batch,
        }))
    }

    fn size(&self) -> usize {
        self.batch.records.iter().map(|record| record.bytes.len()).sum()
    }
}

impl Asked {
    pub(super) fn append(batch: Batch) -> Result<Self, JournalError> {
        Append::of(batch).map(Self::Append)
    }

    pub(super) fn write(writes: Vec<Write>) -> Result<Self, JournalError> {
        shelf::check(&writes)?;
        let parts = writes.into_iter().map(|write| {
            Ok(match write {
                Write::Append(batch) => Part::Append(Append::of(batch)?),
                Write::Put { document, expect } => Part::Put { document, expect },
                Write::Remove { kind, id } => Part::Remove { kind, id },
            })
        });
        parts.collect::<Result<_, _>>().map(Self::Write)
    }

    fn size(&self) -> usize {
        match self {
            Self::Append(entry) => entry.size(),
            Self::Write(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Append(entry) => entry.size(),
                    Part::Put { document, .. } => document.body.len(),
                    Part::Remove { .. } => 0,
                })
                .sum(),
            Self::Lock { .. } | Self::Unlock { .. } => 0,
        }
    }
}

type Answer = Result<u64, JournalError>;

#[derive(Debug)]
struct Caller {
    asked: Asked,
    answer: oneshot::Sender<Answer>,
    room: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Message {
    Caller(Caller),
    Look(oneshot::Sender<Result<(), Fault>>),
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Writer {
    place: Place,
    room: Arc<Semaphore>,
    inbox: Sender<Message>,
}

impl Writer {
    /// The thread ends, and closes the database, when this is dropped or closed.
    pub(super) fn start(
        place: Place,
        conn: Connection,
        identity: Identity,
        bell: Arc<Bell>,
    ) -> io::Result<Self> {
        let (inbox, messages) = channel();
        let seen = group::data_version(&conn).ok();
        let desk = Desk { conn: Some(conn), seen, place: place.clone(), identity, bell };
        let queue = Queue { messages, pace: Pace::default(), closing: None };
        thread::Builder::new().name("journal".to_owned()).spawn(|| queue.serve(desk))?;
        Ok(Self { place, room: Arc::new(Semaphore::new(WAITING)), inbox })
    }

    /// Once this is handed in, it is done whether or not the caller waits for the answer.
    pub(super) async fn ask(&self, asked: Asked) -> Answer {
        let closed = || Fault::closed().at(&self.place);
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Message::Caller(Caller { asked, answer, room })).map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Rings the bell if other processes have committed anything since the last look.
    pub(super) async fn look(&self) -> Result<(), Fault> {
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Message::Look(answer)).map_err(|_| Fault::closed())?;
        answered.await.unwrap_or_else(|_| Err(Fault::closed()))
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.inbox.send(Message::Close(done)).is_ok() {
            // An error here means that the writer has ended, which is what was asked for.
            let _ = closed.await;
        }
    }
}

/// Who is waiting, and how they are grouped.
#[derive(Debug)]
struct Queue {
    messages: Receiver<Message>,
    pace: Pace,
    closing: Option<oneshot::Sender<()>>,
}

impl Queue {
    fn serve(mut self, mut desk: Desk) {
        while let Some(group) = self.next() {
            let callers = group.callers.len();
            if callers > 0 {
                let sync = desk.serve(group.callers);
                self.pace = Pace { sync, callers };
            }
            for looking in group.looking {
                // Nobody may be waiting for that any longer.
                let _ = looking.send(desk.look());
            }
        }
        drop(desk);
        if let Some(done) = self.closing {
            // Nobody need be waiting any longer.
            let _ = done.send(());
        }
    }

    /// The next group; none when there will be no more.
    fn next(&mut self) -> Option<Group> {
        if self.closing.is_some() {
            return None;
        }
        let mut group = Group::default();
        self.admit(self.messages.recv().ok()?, &mut group);
        self.admit_waiting(&mut group);
        let mut deadline = None;
        while self.closing.is_none() && group.has_room() && self.pace.expects_more(group.callers.len()) {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.pace.patience());
            match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(message) => self.admit(message, &mut group),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(group)
    }

    fn admit_waiting(&mut self, group: &mut Group) {
        while self.closing.is_none() && group.has_room() {
            match self.messages.try_recv() {
                Ok(message) => self.admit(message, group),
                Err(_) => break,
            }
        }
    }

    fn admit(&mut self, message: Message, group: &mut Group) {
        match message {
            Message::Caller(caller) => group.push(caller),
            Message::Look(answer) => group.looking.push(answer),
            Message::Close(done) => self.closing = Some(done),
        }
    }
}

#[derive(Debug, Default)]
struct Group {
    callers: Vec<Caller>,
    bytes: usize,
    looking: Vec<oneshot::Sender<Result<(), Fault>>>,
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

/// What the last commit tells about the next. Those who were just answered are about to ask again:
/// where the disk is slow, it pays to let them come along. A caller alone is never kept waiting.
#[derive(Debug, Default)]
struct Pace {
    sync: Duration,
    callers: usize,
}

impl Pace {
    fn expects_more(&self, callers: usize) -> bool {
        callers < self.callers
    }

    fn patience(&self) -> Duration {
        (self.sync / 2).min(PATIENCE)
    }
}

/// Where groups are written.
#[derive(Debug)]
struct Desk {
    /// Given up after an error, because what state that left behind is not known.
    conn: Option<Connection>,
    /// What `data_version` was at the last look of this connection.
    seen: Option<i64>,
    place: Place,
    identity: Identity,
    bell: Arc<Bell>,
}

impl Desk {
    /// Says how long the disk took.
    fn serve(&mut self, group: Vec<Caller>) -> Duration {
        let (asked, waiting): (Vec<_>, Vec<_>) =
            group.into_iter().map(|caller| (caller.asked, (caller.answer, caller.room))).unzip();
        let Committed { answers, sync } = match self.commit(&asked) {
            Ok(committed) => committed,
            // One of them does not fit; the others shall not suffer for it.
            Err(Fault::Unfit(_)) => self.commit_each(&asked),
            Err(fault) => Committed {
                answers: asked.iter().map(|_| Err(fault.clone().at(&self.place))).collect(),
                sync: Duration::ZERO,
            },
        };
        for (asked, answer) in asked.iter().zip(&answers) {
            if answer.is_ok() {
                self.tell(asked);
            }
        }
        for (answer, (waiting, _room)) in answers.into_iter().zip(waiting) {
            // A caller that has gone away does not need its answer.
            let _ = waiting.send(answer);
        }
        sync
    }

    /// Wakes those who wait for what was written.
    fn tell(&self, asked: &Asked) {
        let appended = |entry: &Append| {
            let (run, head) = entry.batch.head();
            self.bell.appended(run, head);
        };
        match asked {
            Asked::Append(entry) => appended(entry),
            Asked::Write(parts) => {
                for part in parts {
                    if let Part::Append(entry) = part {
                        appended(entry);
                    }
                }
                self.bell.stir();
            }
            Asked::Lock { .. } | Asked::Unlock { .. } => {}
        }
    }

    fn commit_each(&mut self, asked: &[Asked]) -> Committed {
        let mut all = Committed { answers: Vec::with_capacity(asked.len()), sync: Duration::ZERO };
        for one in asked {
            match self.commit(std::slice::from_ref(one)) {
                Ok(committed) => all.answers.extend(committed.answers),
                Err(fault) => all.answers.push(Err(self.unfit(one, fault))),
            }
        }
        all
    }

    fn unfit(&self, asked: &Asked, fault: Fault) -> JournalError {
        match (asked, fault) {
            (Asked::Append(entry), Fault::Unfit(why)) => {
                JournalError::Damaged { run: entry.batch.run, seq: entry.batch.after + 1, why }
            }
            (_, fault) => fault.at(&self.place),
        }
    }

    fn commit(&mut self, asked: &[Asked]) -> Result<Committed, Fault> {
        self.expect_same_file()?;
        self.with_connection(|conn| group::commit(conn, asked)).inspect_err(|fault| {
            tracing::warn!(path = %self.place.path().display(), ?fault, "a group of entries was not written");
        })
    }

    fn look(&mut self) -> Result<(), Fault> {
        let version = self.with_connection(|conn| group::data_version(conn))?;
        if self.seen.replace(version) != Some(version) {
            self.bell.ring();
        }
        Ok(())
    }

    /// On an error the connection is closed, which rolls back whatever was begun.
    fn with_connection<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Fault> {
        let told = |error: rusqlite::Error| Fault::of(&error, &self.place);
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                // The numbers of one connection mean nothing to another.
                self.seen = None;
                connect::writable(&self.place).map_err(told)?
            }
        };
        let done = work(&mut conn).map_err(told)?;
        self.conn = Some(conn);
        Ok(done)
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
}
