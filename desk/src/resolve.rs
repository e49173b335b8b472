//! Before an incident is resolved, somebody looks: the steady states of its runs are read as the
//! world is now, and what was seen is kept in its timeline, also where it keeps it open.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use runbook_core::{
    duration::Duration,
    event::{Actor, SteadyReading},
    incident::{Incident, IncidentId, Input, Seen, Steadiness},
    run::Run,
};

use crate::{Desk, DeskError};

/// How long is looked; what has not answered by then cannot be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// The steady states that are looked at: those of the latest runs, each once.
const MOST_LOOKS: usize = 5;
/// How many runs are gone through for them.
const MOST_RUNS: usize = 20;

impl Desk {
    /// Resolves an incident, if nothing speaks against it, or by force with a reason.
    pub async fn resolve(
        &self,
        id: IncidentId,
        actor: &Actor,
        reason: Option<String>,
        force: Option<String>,
    ) -> Result<Arc<Incident>, DeskError> {
        let incident = self.incident(id).await?;
        let seen = if incident.is_open() { self.look_at(&incident).await } else { Vec::new() };
        let steady = Steadiness::of(&seen);
        if !seen.is_empty() {
            self.say(id, actor, move || Input::SteadyLooked { seen: seen.clone() }).await?;
        }
        let input = move || Input::Resolve { steady, force: force.clone(), reason: reason.clone() };
        self.say(id, actor, input).await
    }

    /// The steady states of an incident's latest runs, as the world is now. Reads only.
    async fn look_at(&self, incident: &Incident) -> Vec<Seen> {
        let mut looks = Vec::new();
        let mut known = BTreeSet::new();
        // Ids of runs are in the order of their beginning.
        for (id, about) in incident.runs.iter().rev().take(MOST_RUNS) {
            if looks.len() == MOST_LOOKS {
                break;
            }
            match runbook_engine::load(self.shelf.as_ref(), *id).await {
                Ok(run) if run.created.runbook.steady_state.is_empty() => {}
                Ok(run) => {
                    // The same runbook with the same inputs says the same.
                    if known.insert(format!("{} {} {}", about.runbook, about.environment, run.created.inputs))
                    {
                        looks.push(Ok(run));
                    }
                }
                Err(error) => looks.push(Err(unseen(&about.runbook, &error))),
            }
        }
        let looks = looks.into_iter().map(|run| async {
            match run {
                Ok(run) => self.look_for(&run).await,
                Err(unseen) => vec![unseen],
            }
        });
        join_all(looks).await.into_iter().flatten().collect()
    }

    async fn look_for(&self, run: &Run) -> Vec<Seen> {
        let runbook = &run.created.runbook.name;
        let deadline = PATIENCE.after(self.now());
        let look = async {
            let engine = self.house.reader(&run.created.environment).await?;
            Ok::<_, String>(engine.look(run).await)
        };
        let parts = tokio::select! {
            parts = look => parts,
            () = self.clock.sleep_until(deadline) => Err(format!("there was no answer within {PATIENCE}")),
        };
        let seen = |part: SteadyReading| Seen {
            runbook: runbook.clone(),
            check: Some(part.id),
            passed: part.passed,
            seen: part.seen,
        };
        match parts {
            Ok(parts) => parts.into_iter().map(seen).collect(),
            Err(why) => vec![unseen(runbook, &why)],
        }
    }
}

fn unseen(runbook: &str, why: &dyn std::fmt::Display) -> Seen {
    Seen {
        runbook: runbook.to_owned(),
        check: None,
        passed: None,
        seen: format!("could not be looked at: {why}"),
    }
}
