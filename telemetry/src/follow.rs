//! Follows what this process journals, and tells the spans that come of it. A run is told by whoever
//! journals it: who takes over a run of another process tells it from its beginning, since nobody knows
//! how much of it that one had told, and gives its spans the same ids.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use runbook_core::event::{Body, Event, Record, RunId};
use runbook_journal::{Batch, Journal, Observer};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{Exporter, Finished, Ledger, Story, ids::trace_of};

/// How many batches wait to be told. What does not fit is read from the journal instead.
const MOST_WAITING: usize = 1_024;
/// How many runs are followed at once; the one that was quiet for longest is forgotten for another.
const MOST_RUNS: usize = 1_024;
/// How often runs are looked for that others have ended.
const SWEEP: Duration = Duration::from_secs(30);

/// Tells what is journaled.
#[derive(Debug)]
pub struct Follower {
    waiting: Mutex<VecDeque<Batch>>,
    bell: Notify,
    closing: AtomicBool,
    exporter: Option<Exporter>,
    ledger: Option<Arc<dyn Ledger>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Observer for Follower {
    fn committed(&self, batches: Vec<Batch>, took: Duration) {
        if let Some(ledger) = &self.ledger {
            ledger.appended(took);
        }
        let mut waiting = self.waiting();
        let room = MOST_WAITING.saturating_sub(waiting.len());
        waiting.extend(batches.into_iter().take(room));
        drop(waiting);
        self.bell.notify_one();
    }
}

impl Follower {
    pub fn new(exporter: Option<Exporter>, ledger: Option<Arc<dyn Ledger>>) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            bell: Notify::new(),
            closing: AtomicBool::new(false),
            exporter,
            ledger,
            task: Mutex::default(),
        })
    }

    /// Begins to tell, with the journal to read what this process has not journaled itself. Must be
    /// called within a runtime.
    pub fn begin(self: &Arc<Self>, journal: Arc<dyn Journal>) {
        let follower = self.clone();
        let work = async move {
            let mut telling = Telling { follower: &follower, journal, runs: BTreeMap::new(), turn: 0 };
            telling.tell().await;
        };
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::spawn(work));
    }

    /// Tells what is left and sends it, for at most so long.
    pub async fn finish(&self, within: Duration) {
        self.closing.store(true, Ordering::Relaxed);
        self.bell.notify_one();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let began = tokio::time::Instant::now();
        if let Some(mut task) = task
            && tokio::time::timeout(within, &mut task).await.is_err()
        {
            task.abort();
        }
        if let Some(exporter) = &self.exporter {
            exporter.finish(within.saturating_sub(began.elapsed())).await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Batch>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that is followed.
#[derive(Debug)]
struct Followed {
    story: Story,
    /// When it was last heard of.
    turn: u64,
}

/// The entries up to which others have done it.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    counted: u64,
    told: u64,
}

struct Telling<'f> {
    follower: &'f Follower,
    journal: Arc<dyn Journal>,
    runs: BTreeMap<RunId, Followed>,
    turn: u64,
}

impl Telling<'_> {
    async fn tell(&mut self) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        sweep.tick().await;
        loop {
            let next = self.follower.waiting().pop_front();
            if let Some(batch) = next {
                self.take(batch).await;
                continue;
            }
            if self.follower.closing.load(Ordering::Relaxed) {
                // Somebody else may have ended a run that this process was about to go on with.
                return self.sweep().await;
            }
            tokio::select! {
                () = self.follower.bell.notified() => {}
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    async fn take(&mut self, batch: Batch) {
        self.turn += 1;
        let run = batch.run;
        match self.runs.get(&run).map(|followed| followed.story.seq()) {
            Some(seq) if seq == batch.after => self.go_on(run, &batch.records, Since::default()),
            Some(seq) => {
                let records = self.read(run, seq).await;
                self.go_on(run, &records, Since::default());
            }
            None => self.meet(batch).await,
        }
    }

    /// A run that was not followed so far.
    async fn meet(&mut self, batch: Batch) {
        if !is_taken_over(&batch) {
            // Something was said to a run that another process drives, and tells.
            return;
        }
        let (run, since) = (batch.run, batch.after);
        let records = match since {
            0 => batch.records,
            _ => self.read(run, 0).await,
        };
        let Some((first, rest)) = records.split_first() else { return };
        let Ok(first) = first.open() else { return };
        let Some(story) = Story::begin(run, &first) else { return };
        self.runs.insert(run, Followed { story, turn: self.turn });
        // What came before somebody asked for an undo was told when the run ended.
        let reopens = |record: &&Record| {
            record.open().is_ok_and(|event: Event| matches!(event.body, Body::UndoRequested { .. }))
        };
        let told = rest.iter().filter(reopens).map(|record| record.seq).max().unwrap_or_default();
        self.go_on(run, rest, Since { counted: since, told });
        self.forget();
    }

    /// Takes records in.
    fn go_on(&mut self, run: RunId, records: &[Record], since: Since) {
        let Some(followed) = self.runs.get_mut(&run) else { return };
        followed.turn = self.turn;
        let (known, mut finished): (u64, Vec<Finished>) = (followed.story.seq(), Vec::new());
        for record in records.iter().filter(|record| record.seq > known) {
            match record.open() {
                Ok(event) => finished.extend(followed.story.tell(&event)),
                // Whoever drives the run says more about it.
                Err(error) => return tracing::warn!(%run, %error, "the run's trace ends here"),
            }
        }
        if let Some(ledger) = &self.follower.ledger {
            finished.iter().filter(|one| one.seq > since.counted).for_each(|one| ledger.count(&one.fact));
        }
        if let Some(exporter) = &self.follower.exporter
            && exporter.takes(trace_of(run), None)
        {
            exporter.offer(finished.into_iter().filter(|one| one.seq > since.told).map(|one| one.span));
        }
    }

    /// Runs that others have ended by what they said. Those that are over are forgotten only now: what
    /// was read of them may still come as a batch.
    async fn sweep(&mut self) {
        self.runs.retain(|_, followed| !followed.story.is_over());
        let open: Vec<(RunId, u64)> =
            self.runs.iter().map(|(run, followed)| (*run, followed.story.seq())).collect();
        for (run, seq) in open {
            if !matches!(self.journal.head(run).await, Ok(Some(head)) if head > seq) {
                continue;
            }
            let records = self.read(run, seq).await;
            let resumed = |record: &Record| {
                record.open().is_ok_and(|event: Event| matches!(event.body, Body::RunResumed { .. }))
            };
            if records.iter().any(resumed) {
                // Another process drives it now, and tells it.
                self.runs.remove(&run);
            } else {
                self.go_on(run, &records, Since::default());
            }
        }
    }

    async fn read(&self, run: RunId, after: u64) -> Vec<Record> {
        match self.journal.read(run, after).await {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!(%run, %error, "the run could not be read for its trace");
                Vec::new()
            }
        }
    }

    fn forget(&mut self) {
        if self.runs.len() > MOST_RUNS
            && let Some(quiet) =
                self.runs.iter().min_by_key(|(_, followed)| followed.turn).map(|(run, _)| *run)
        {
            self.runs.remove(&quiet);
        }
    }
}

/// Whether a process that journals this drives the run, or has ended it: it creates the run, takes it
/// over, or goes on right after the first entry.
fn is_taken_over(batch: &Batch) -> bool {
    let begins = |record: &Record| {
        record.open().is_ok_and(|event: Event| {
            matches!(event.body, Body::RunCreated(_) | Body::RunResumed { .. } | Body::RunEnded { .. })
        })
    };
    batch.after <= 1 || batch.records.iter().any(begins)
}

#[cfg(test)]
mod tests;
