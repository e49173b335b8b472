//! Notices what others append: this process at once, other processes by looking now and then, and
//! only while somebody waits.

use std::{
    fs,
    mem::replace,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, Error};
use tokio::{task::spawn_blocking, time::sleep};

use super::{connect, fault::Fault, place::Place};
use crate::{JournalError, Mark, bell::Bell};

/// How late an append of another process may be noticed.
const INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Place,
    /// Whether this process writes the database too: then SQLite is asked. A connection that reads a
    /// database without its log does not see what others do; there the files are looked at.
    writable: bool,
    bell: Arc<Bell>,
    waiting: Mutex<Waiting>,
    open: AtomicBool,
    /// Opened when somebody waits for the first time, and then kept: what it has seen last is what
    /// tells whether there is anything new.
    eye: Mutex<Option<Eye>>,
}

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    looking: bool,
}

impl Watch {
    pub(super) fn new(place: Place, writable: bool, bell: Arc<Bell>) -> Self {
        Self(Arc::new(Shared {
            place,
            writable,
            bell,
            waiting: Mutex::default(),
            open: AtomicBool::new(false),
            eye: Mutex::default(),
        }))
    }

    pub(super) async fn changed(&self, since: Mark) -> Result<Mark, JournalError> {
        // A mark that is given out must come after the first look, or an append between the two
        // would never be noticed.
        if !self.0.open.load(Ordering::Acquire) {
            let shared = Arc::clone(&self.0);
            let opened = spawn_blocking(move || shared.look()).await;
            opened.unwrap_or_else(|_| Err(Fault::closed())).map_err(|fault| fault.at(&self.0.place))?;
        }
        let now = self.0.bell.mark();
        if now != since {
            return Ok(now);
        }
        let _wait = Wait::begin(&self.0);
        Ok(self.0.bell.rung(since).await)
    }

    pub(super) fn close(&self) {
        self.0.open.store(false, Ordering::Release);
        held(&self.0.eye).take();
    }
}

impl Shared {
    /// Rings if others have appended since the last look, or may have.
    fn look(&self) -> Result<(), Fault> {
        let mut eye = held(&self.eye);
        let seen = match eye.as_mut() {
            Some(open) => open.sees_more(&self.place),
            None => Eye::open(self.writable, &self.place).map(|opened| {
                *eye = Some(opened);
                // There is no telling what went by while it was closed.
                true
            }),
        };
        self.open.store(seen.is_ok(), Ordering::Release);
        if seen.is_err() {
            *eye = None;
        }
        // After an error too: whoever waits then looks for itself, and meets the error if it lasts.
        if *seen.as_ref().unwrap_or(&true) {
            self.bell.ring();
        }
        seen.map(|_| ()).map_err(|error| Fault::of(&error, &self.place))
    }

    /// Looks for as long as somebody waits.
    async fn keep_looking(self: Arc<Self>) {
        let mut ended = Ended(Some(&self));
        loop {
            let shared = Arc::clone(&self);
            if let Ok(Err(fault)) = spawn_blocking(move || shared.look()).await {
                tracing::debug!(?fault, "cannot see whether others have appended");
            }
            sleep(INTERVAL).await;
            let mut waiting = held(&self.waiting);
            if waiting.count == 0 {
                waiting.looking = false;
                ended.0 = None;
                return;
            }
        }
    }
}

/// Nothing panics while it holds one of these, so what a poisoned one guards is whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One who waits. However the wait ends, it is counted out.
struct Wait<'a>(&'a Shared);

impl<'a> Wait<'a> {
    fn begin(shared: &'a Arc<Shared>) -> Self {
        let mut waiting = held(&shared.waiting);
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
        held(&self.0.waiting).count -= 1;
    }
}

/// Lets the next who waits start anew, should the task that looks be ended from outside.
struct Ended<'a>(Option<&'a Shared>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            held(&shared.waiting).looking = false;
        }
    }
}

#[derive(Debug)]
enum Eye {
    Connection { conn: Connection, version: i64 },
    Files { seen: Signature, settled: bool },
}

impl Eye {
    fn open(writable: bool, place: &Place) -> Result<Self, Error> {
        if !writable {
            return Ok(Self::Files { seen: Signature::of(place), settled: false });
        }
        let conn = connect::readable(place)?;
        let version = data_version(&conn)?;
        Ok(Self::Connection { conn, version })
    }

    fn sees_more(&mut self, place: &Place) -> Result<bool, Error> {
        match self {
            Self::Connection { conn, version } => {
                let before = replace(version, data_version(conn)?);
                Ok(before != *version)
            }
            Self::Files { seen, settled } => {
                let before = replace(seen, Signature::of(place));
                // Two writes within one tick of the file system's clock look like one: what has
                // just been written is looked at once more.
                let was_settled = replace(settled, seen.is_settled());
                Ok(before != *seen || !was_settled)
            }
        }
    }
}

/// Differs from the last answer of the same connection if another connection has committed since.
fn data_version(conn: &Connection) -> Result<i64, Error> {
    conn.pragma_query_value(None, "data_version", |row| row.get(0))
}

#[derive(Debug, PartialEq, Eq)]
struct Signature([Option<(u64, SystemTime)>; 2]);

impl Signature {
    fn of(place: &Place) -> Self {
        let look = |path: &Path| {
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
