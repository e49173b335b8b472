//! Notices what others append: this process at once, other processes by looking now and then, and
//! only while somebody waits.

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use runbook_core::event::RunId;
use sqlx::{ConnectOptions as _, Connection as _, Error, SqliteConnection};
use tokio::time::sleep;

use super::{connect, fault::Fault, place::Place};
use crate::{JournalError, Mark, bell::Bell};

/// How late an append of another process may be noticed.
const INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Place,
    bell: Arc<Bell>,
    over: Over,
    waiting: Mutex<Waiting>,
    /// Opened when somebody waits for the first time, and then kept: what it has seen last is what
    /// tells whether there is anything new.
    eye: tokio::sync::Mutex<Option<Eye>>,
}

#[derive(Debug, Clone, Copy)]
enum Over {
    Connection,
    Files,
}

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    looking: bool,
}

impl Watch {
    /// Asks SQLite, by a connection of its own.
    pub(super) fn over_connection(place: Place, bell: Arc<Bell>) -> Self {
        Self::over(Over::Connection, place, bell)
    }

    /// Looks at the files, for a database that this user cannot write: a connection that reads one
    /// without its log does not see what others do.
    pub(super) fn over_files(place: Place, bell: Arc<Bell>) -> Self {
        Self::over(Over::Files, place, bell)
    }

    fn over(over: Over, place: Place, bell: Arc<Bell>) -> Self {
        Self(Arc::new(Shared { place, bell, over, waiting: Mutex::default(), eye: Default::default() }))
    }

    pub(super) async fn changed(&self, run: RunId, after: u64, since: Mark) -> Result<Mark, JournalError> {
        // A mark that is given out must come after the first look, or an append between the two
        // would never be noticed.
        self.0.open().await.map_err(|error| Fault::of(&error, &self.0.place).at(&self.0.place))?;
        if let Some(now) = self.0.bell.heard(run, after, since) {
            return Ok(now);
        }
        let _wait = Wait::begin(&self.0);
        Ok(self.0.bell.rung(run, after, since).await)
    }

    pub(super) async fn close(&self) {
        if let Some(Eye::Connection { conn, .. }) = self.0.eye.lock().await.take() {
            // Nothing was written with it, so that nothing can be lost.
            let _ = conn.close().await;
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self) -> Result<(), Error> {
        let mut eye = self.eye.lock().await;
        if eye.is_none() {
            *eye = Some(Eye::open(self.over, &self.place).await?);
            // There is no telling what went by while it was closed.
            self.bell.ring();
        }
        Ok(())
    }

    async fn look(&self) {
        let mut eye = self.eye.lock().await;
        let seen = match eye.as_mut() {
            Some(open) => open.sees_more(&self.place).await,
            None => Eye::open(self.over, &self.place).await.map(|opened| {
                *eye = Some(opened);
                true
            }),
        };
        match seen {
            Ok(false) => {}
            Ok(true) => self.bell.ring(),
            Err(error) => {
                // Whoever waits looks for itself, and meets the error if it lasts.
                tracing::debug!(%error, "cannot see whether others have appended");
                *eye = None;
                self.bell.ring();
            }
        }
    }

    /// Looks for as long as somebody waits.
    async fn keep_looking(self: Arc<Self>) {
        let _ended = Ended(&self);
        loop {
            self.look().await;
            sleep(INTERVAL).await;
            let mut waiting = self.waiting();
            if waiting.count == 0 {
                waiting.looking = false;
                return;
            }
        }
    }
}

/// One who waits. However the wait ends, it is counted out.
struct Wait<'a>(&'a Shared);

impl<'a> Wait<'a> {
    fn begin(shared: &'a Arc<Shared>) -> Self {
        let mut waiting = shared.waiting();
        waiting.count += 1;
        if !waiting.looking {
            waiting.looking = true;
            tokio::spawn(Arc::clone(shared).keep_looking());
        }
        Self(shared)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.waiting().count -= 1;
    }
}

/// Lets the next who waits start anew, should the task that looks be ended from outside.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.waiting().looking = false;
    }
}

#[derive(Debug)]
enum Eye {
    Connection { conn: SqliteConnection, version: i64 },
    Files { seen: Signature, settled: bool },
}

impl Eye {
    async fn open(over: Over, place: &Place) -> Result<Self, Error> {
        match over {
            Over::Connection => {
                let mut conn = connect::options(place).read_only(true).connect().await?;
                let version = data_version(&mut conn).await?;
                Ok(Self::Connection { conn, version })
            }
            Over::Files => Ok(Self::Files { seen: Signature::of(place), settled: false }),
        }
    }

    async fn sees_more(&mut self, place: &Place) -> Result<bool, Error> {
        match self {
            Self::Connection { conn, version } => {
                let before = std::mem::replace(version, data_version(conn).await?);
                Ok(before != *version)
            }
            Self::Files { seen, settled } => {
                let before = std::mem::replace(seen, Signature::of(place));
                // Two writes within one tick of the file system's clock look like one: what has
                // just been written is looked at once more.
                let was_settled = std::mem::replace(settled, seen.is_settled());
                Ok(before != *seen || !was_settled)
            }
        }
    }
}

/// Differs from the last answer of the same connection if another connection has committed since.
async fn data_version(conn: &mut SqliteConnection) -> Result<i64, Error> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(conn).await
}

#[derive(Debug, PartialEq, Eq)]
struct Signature([Option<(u64, SystemTime)>; 2]);

impl Signature {
    fn of(place: &Place) -> Self {
        let look = |path: &std::path::Path| {
            let found = fs::metadata(path).ok()?;
            Some((found.len(), found.modified().ok()?))
        };
        Self([look(place.path()), look(&place.beside("-wal"))])
    }

    fn is_settled(&self) -> bool {
        const TICKS: Duration = Duration::from_millis(50);
        let mut times = self.0.iter().flatten();
        times.all(|(_, modified)| modified.elapsed().is_ok_and(|age| age > TICKS))
    }
}
