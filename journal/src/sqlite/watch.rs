//! Notices what others append: this process at once, other processes by looking now and then, and
//! only while somebody waits.

use std::{
    fs,
    mem::replace,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use runbook_core::event::RunId;
use tokio::{task::spawn_blocking, time::sleep};

use super::{fault::Fault, place::Place, writer::Writer};
use crate::{Mark, bell::Bell};

/// How late an append of another process may be noticed.
const INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bell: Arc<Bell>,
    eye: Eye,
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
enum Eye {
    /// The writer's connection knows what others have committed from what it has committed itself.
    Writer(Arc<Writer>),
    /// For a database that this process does not write: a connection that reads one without its log
    /// does not see what others do.
    Files(Mutex<Files>),
}

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    looking: bool,
}

impl Watch {
    pub(super) fn over_writer(writer: Arc<Writer>, bell: Arc<Bell>) -> Self {
        Self::over(Eye::Writer(writer), bell)
    }

    pub(super) fn over_files(place: Place, bell: Arc<Bell>) -> Self {
        Self::over(Eye::Files(Mutex::new(Files::of(place))), bell)
    }

    fn over(eye: Eye, bell: Arc<Bell>) -> Self {
        Self(Arc::new(Shared { bell, eye, waiting: Mutex::default() }))
    }

    pub(super) async fn changed(&self, run: RunId, after: u64, since: Mark) -> Mark {
        if let Some(now) = self.0.bell.heard(run, after, since) {
            return now;
        }
        let _wait = Wait::begin(&self.0);
        self.0.bell.rung(run, after, since).await
    }

    pub(super) async fn stirred(&self, since: Mark) -> Mark {
        let _wait = Wait::begin(&self.0);
        self.0.bell.stirred(since).await
    }
}

impl Shared {
    /// Looks for as long as somebody waits.
    async fn keep_looking(self: Arc<Self>) {
        let mut ended = Ended(Some(&self));
        loop {
            if let Err(fault) = Self::look(&self).await {
                tracing::debug!(?fault, "cannot see whether others have appended");
                // Whoever waits looks for itself, and meets the error if it lasts.
                self.bell.ring();
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

    /// Rings if others have appended since the last look, or may have.
    async fn look(shared: &Arc<Self>) -> Result<(), Fault> {
        match &shared.eye {
            Eye::Writer(writer) => writer.look().await,
            Eye::Files(_) => {
                let shared = Arc::clone(shared);
                spawn_blocking(move || shared.look_at_files()).await.map_err(|_| Fault::closed())
            }
        }
    }

    fn look_at_files(&self) {
        if let Eye::Files(files) = &self.eye
            && held(files).have_changed()
        {
            self.bell.ring();
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

/// What the files of a database looked like last.
#[derive(Debug)]
struct Files {
    place: Place,
    seen: Signature,
    /// Whether that look came long enough after the last write to tell it from the next.
    settled: bool,
}

impl Files {
    fn of(place: Place) -> Self {
        Self { seen: Signature::of(&place), settled: false, place }
    }

    /// Two writes within one tick of the file system's clock look like one: what has just been
    /// written counts as changed once more.
    fn have_changed(&mut self) -> bool {
        let before = replace(&mut self.seen, Signature::of(&self.place));
        let was_settled = replace(&mut self.settled, self.seen.is_settled());
        before != self.seen || !was_settled
    }
}

/// Length and time of the main file and of its log.
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
