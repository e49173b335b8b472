//! One running world: its scenario, its state and its clock. All services look at it and change it
//! through the two functions here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cluster;
use crate::error::WorldError;
use crate::kubernetes::views::View;
use crate::persistence::Store;
use crate::scenario::Scenario;
use crate::seed;
use crate::state::State;
use crate::time::{Clock, Seconds};

#[derive(Debug)]
pub(crate) struct Environment {
    pub scenario: Scenario,
    store: Store,
    clock: Arc<dyn Clock>,
    /// Of a state that is yet to be made; one that exists keeps its own.
    speed: u32,
    writes: AtomicU64,
}

impl Environment {
    pub fn open(
        scenario: Scenario,
        directory: Option<&Path>,
        speed: u32,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WorldError> {
        let store = match directory {
            Some(directory) => Store::in_directory(directory, &scenario.name)?,
            None => Store::in_memory(seed::state(&scenario, clock.now(), speed)),
        };
        Ok(Self { scenario, store, clock, speed, writes: AtomicU64::new(0) })
    }

    /// Looks at the world as it is now.
    pub fn look<R>(&self, look: impl FnOnce(&View<'_>) -> R) -> Result<R, WorldError> {
        let state = self.store.read(&self.scenario, || self.fresh())?;
        let now = state.timeline.simulated(self.clock.now());
        Ok(look(&View::new(&self.scenario, &state, now)))
    }

    /// Changes the world and shows what came of it. A dry run is shown and forgotten.
    pub fn change<T, R, E: From<WorldError>>(
        &self,
        dry_run: bool,
        change: impl FnOnce(&mut State, Seconds) -> Result<T, E>,
        show: impl FnOnce(&View<'_>, T) -> R,
    ) -> Result<R, E> {
        let step = |state: &mut State| -> Result<T, E> {
            // Clocks of several processes may differ by a little: time never runs backwards.
            let now = state.timeline.simulated(self.clock.now()).max(state.as_of);
            cluster::settle(&self.scenario, state, now);
            let result = change(state, now)?;
            cluster::react(&self.scenario, state, now);
            Ok(result)
        };
        let (state, result) = if dry_run {
            let mut state = State::clone(&*self.store.read(&self.scenario, || self.fresh())?);
            let result = step(&mut state)?;
            (Arc::new(state), result)
        } else {
            self.store.write(&self.scenario, || self.fresh(), step)?
        };
        Ok(show(&View::new(&self.scenario, &state, state.as_of), result))
    }

    /// Counts a request that means to change something, whatever becomes of it.
    pub fn count_write(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    fn fresh(&self) -> State {
        seed::state(&self.scenario, self.clock.now(), self.speed)
    }
}
