//! Tells those who wait for a run's records that there are more, or that there may be.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use runbook_core::event::RunId;
use tokio::sync::watch;

use crate::Mark;

/// How many runs' heads are remembered; beyond that all are forgotten, and all who wait look for
/// themselves.
const MOST_HEADS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Bell {
    rung: watch::Sender<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Moves when anyone else may have appended.
    mark: u64,
    /// What this process has appended last, by run.
    heads: BTreeMap<RunId, u64>,
}

impl Default for Bell {
    /// Counts from 1, so that `Mark::default()` is always in the past.
    fn default() -> Self {
        let state = State { mark: 1, heads: BTreeMap::new() };
        Self { rung: watch::Sender::new(()), state: Mutex::new(state) }
    }
}

impl Bell {
    /// This process has appended to a run.
    pub(crate) fn appended(&self, run: RunId, head: u64) {
        {
            let mut state = self.state();
            if state.heads.len() >= MOST_HEADS {
                state.heads.clear();
                state.mark += 1;
            }
            state.heads.insert(run, head);
        }
        self.rung.send_replace(());
    }

    /// Somebody may have appended to any run.
    pub(crate) fn ring(&self) {
        self.state().mark += 1;
        self.rung.send_replace(());
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
        let mut rung = self.rung.subscribe();
        loop {
            if let Some(mark) = self.heard(run, after, since) {
                return mark;
            }
            if rung.changed().await.is_err() {
                // The sender lives in `self`, so this arm is never taken.
                return since;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
