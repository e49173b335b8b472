//! One running world: its scenario, its state and its clock. All services look at it and change it
//! through the two functions here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};

use crate::cluster;
use crate::error::WorldError;
use crate::kubernetes::views::View;
use crate::persistence::Store;
use crate::scenario::Scenario;
use crate::seed;
use crate::state::State;
use crate::time::{Clock, Seconds};

/// A world that nobody has looked at for so long rests: half an hour of its own time, and not so
/// little of ours that a busy machine takes as long between two looks of one run.
const REST: Seconds = 1_800.0;
const SHORTEST_REST: SignedDuration = SignedDuration::from_secs(30);

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
        let real = self.clock.now();
        let mut state = self.store.read(&self.scenario, || self.fresh())?;
        if self.has_rested(&state, real) {
            let woken = |state: &mut State| {
                self.wake(state, real);
                Ok::<_, WorldError>(Arc::new(state.clone()))
            };
            state = self.store.write(&self.scenario, || self.fresh(), woken)?;
        }
        if !state.touched {
            self.store.saw(real);
        }
        Ok(look(&View::new(&self.scenario, &state, state.timeline.simulated(real))))
    }

    /// Whether nobody looked at it for long, and nobody has ever changed it. Who comes next is to
    /// meet the incident as it is told, and not one that was never attended to for a day.
    fn has_rested(&self, state: &State, now: Timestamp) -> bool {
        if state.touched {
            return false;
        }
        let Some(seen) = self.store.last_seen() else { return false };
        let rest = SignedDuration::from_secs_f64(REST / f64::from(state.timeline.speed)).max(SHORTEST_REST);
        now.duration_since(seen.max(state.timeline.created)) >= rest
    }

    /// Moves the times of a world that has rested to the present.
    fn wake(&self, state: &mut State, now: Timestamp) {
        if self.has_rested(state, now) {
            *state = seed::moved(&self.scenario, state, now);
        }
    }

    /// Changes the world and shows it as the change has left it; the controllers react only then, as
    /// in a real cluster. A dry run is shown and forgotten.
    pub fn change<T, R, E: From<WorldError>>(
        &self,
        dry_run: bool,
        change: impl FnOnce(&mut State, Seconds) -> Result<T, E>,
        show: impl FnOnce(&View<'_>, T) -> R,
    ) -> Result<R, E> {
        let step = |state: &mut State| -> Result<R, E> {
            let real = self.clock.now();
            self.wake(state, real);
            // Clocks of several processes may differ by a little: time never runs backwards.
            let now = state.timeline.simulated(real).max(state.as_of);
            cluster::settle(&self.scenario, state, now);
            let changed = change(state, now)?;
            state.touched = true;
            let shown = show(&View::new(&self.scenario, state, now), changed);
            cluster::react(&self.scenario, state, now);
            Ok(shown)
        };
        if dry_run {
            step(&mut State::clone(&*self.store.read(&self.scenario, || self.fresh())?))
        } else {
            self.store.write(&self.scenario, || self.fresh(), step)
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::latency;
    use crate::scenario::{Cure, PodEffect, load};
    use crate::state::{State, key};
    use crate::time::ManualClock;

    /// A world with one cause on all pods of `api`: half of the requests fail, until it is cured.
    fn environment(pods: PodEffect, cured_by: Cure) -> (Environment, Arc<ManualClock>) {
        let mut scenario = load("high-error-rate").unwrap();
        let cause = &mut scenario.causes[0];
        cause.revisions.clear();
        cause.effect.errors = 0.5;
        cause.effect.pods = pods;
        cause.cured_by = vec![cured_by];
        let clock = Arc::new(ManualClock::new("2026-11-21T10:00:00Z".parse().unwrap()));
        (Environment::open(scenario, None, 60, clock.clone()).unwrap(), clock)
    }

    fn errors(environment: &Environment) -> f64 {
        let segment = environment.look(|view| view.model.conditions("production", "api", view.now)).unwrap();
        assert!(latency::quantile(&segment.latency, 0.95) > 0.0);
        segment.errors_500 + segment.errors_503
    }

    fn template(state: &mut State) -> &mut serde_json::Value {
        let deployment = state.objects.get_mut(&key("deployments.apps", "production", "api")).unwrap();
        &mut deployment["spec"]["template"]["spec"]["containers"][0]
    }

    type Apply = fn(&mut State);

    #[test]
    fn every_kind_of_cure_ends_its_cause() {
        let cases: [(Cure, Apply); 5] = [
            (Cure::Memory("2Gi".into()), |state| {
                template(state)["resources"]["limits"]["memory"] = json!("3Gi")
            }),
            (Cure::Env { name: "MODE".into(), value: "safe".into() }, |state| {
                template(state)["env"] = json!([{ "name": "MODE", "value": "safe" }]);
            }),
            (Cure::Replicas(5), |state| {
                let deployment =
                    state.objects.get_mut(&key("deployments.apps", "production", "api")).unwrap();
                deployment["spec"]["replicas"] = json!(6);
            }),
            (Cure::FlagOff("heavy-search".into()), |state| {
                state.flags.insert("heavy-search".into(), false);
            }),
            (Cure::Object { kind: "ConfigMap".into(), name: "limits".into() }, |state| {
                state.objects.insert(key("configmaps", "production", "limits"), json!({}));
            }),
        ];
        for (cure, apply) in cases {
            for pods in [PodEffect::Run, PodEffect::NotReady, PodEffect::CrashLoop] {
                // Pods that never get ready cannot reach a number of ready ones.
                if pods != PodEffect::Run && matches!(cure, Cure::Replicas(_)) {
                    continue;
                }
                let (environment, clock) = environment(pods, cure.clone());
                assert!(errors(&environment) > 0.49, "{cure:?} with {pods:?} before");
                let change = |state: &mut State, _| {
                    apply(state);
                    Ok::<_, WorldError>(())
                };
                environment.change(false, change, |_, ()| ()).unwrap();
                clock.advance(jiff::SignedDuration::from_secs(3));
                assert!(errors(&environment) < 0.001, "{cure:?} with {pods:?} after");
            }
        }
    }
}
