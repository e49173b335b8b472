//! Tells those who wait for a run's records that there are more, or that there may be.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use runbook_core::event::RunId;
use tokio::sync::Notify;

use crate::Mark;

/// How many runs' heads are remembered; beyond that all are forgotten, and all who wait look for
/// themselves.
const MOST_HEADS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Bell(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Moves when anyone else may have appended.
    mark: u64,
    /// Moves when anything was written, by whomever.
    pulse: u64,
    /// What this process has appended last, by run.
    heads: BTreeMap<RunId, u64>,
    /// Those who wait for anything at all.
    any: Arc<Notify>,
    /// By run, so that an append wakes only whom it concerns: thousands may be waiting.
    waiting: BTreeMap<RunId, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    notify: Arc<Notify>,
    count: usize,
}

impl Default for Bell {
    /// Counts from 1, so that `Mark::default()` is always in the past.
    fn default() -> Self {
        Self(Mutex::new(State {
            mark: 1,
            pulse: 1,
            heads: BTreeMap::new(),
            any: Arc::default(),
            waiting: BTreeMap::new(),
        }))
    }
}

impl Bell {
    /// This process has appended to a run.
    pub(crate) fn appended(&self, run: RunId, head: u64) {
        let mut state = self.state();
        if state.heads.len() >= MOST_HEADS {
            state.heads.clear();
            state.ring();
        }
        state.heads.insert(run, head);
        if let Some(waiting) = state.waiting.get(&run) {
            waiting.notify.notify_waiters();
        }
        state.stir();
    }

    /// This process has written something that belongs to no run.
    pub(crate) fn stir(&self) {
        self.state().stir();
    }

    /// Somebody may have appended to any run.
    pub(crate) fn ring(&self) {
        self.state().ring();
    }

    /// The present mark, if there is a reason to look: this process has appended to the run, or the
    /// mark is not the present one. (One from another life of the process says nothing, and a caller
    /// that looks in vain is better off than one that sleeps for ever.)
    pub(crate) fn heard(&self, run: RunId, after: u64, since: Mark) -> Option<Mark> {
        let state = self.state();
        let more = state.heads.get(&run).is_some_and(|head| *head > after);
        (more || state.mark != since.0).then_some(Mark(state.mark))
    }

    /// Returns when there is a reason to look.
    pub(crate) async fn rung(&self, run: RunId, after: u64, since: Mark) -> Mark {
        let wait = Wait::begin(self, run);
        loop {
            let mut notified = pin!(wait.notify.notified());
            // From here on no ring is missed, so that what is heard now is all that was before.
            notified.as_mut().enable();
            if let Some(mark) = self.heard(run, after, since) {
                return mark;
            }
            notified.await;
        }
    }

    /// Returns when anything was written since a mark of this kind was taken.
    pub(crate) async fn stirred(&self, since: Mark) -> Mark {
        let any = Arc::clone(&self.state().any);
        loop {
            let mut notified = pin!(any.notified());
            notified.as_mut().enable();
            let pulse = self.state().pulse;
            if pulse != since.0 {
                return Mark(pulse);
            }
            notified.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ring(&mut self) {
        self.mark += 1;
        self.waiting.values().for_each(|waiting| waiting.notify.notify_waiters());
        self.stir();
    }

    fn stir(&mut self) {
        self.pulse += 1;
        self.any.notify_waiters();
    }
}

/// One who waits for a run. However the wait ends, nothing of it stays.
struct Wait<'a> {
    bell: &'a Bell,
    run: RunId,
    notify: Arc<Notify>,
}

impl<'a> Wait<'a> {
    fn begin(bell: &'a Bell, run: RunId) -> Self {
        let mut state = bell.state();
        let waiting = state.waiting.entry(run).or_default();
        waiting.count += 1;
        Self { bell, run, notify: Arc::clone(&waiting.notify) }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.bell.state();
        if let Some(waiting) = state.waiting.get_mut(&self.run) {
            waiting.count -= 1;
            if waiting.count == 0 {
                state.waiting.remove(&self.run);
            }
        }
    }
}
