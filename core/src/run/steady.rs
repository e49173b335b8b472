//! The steady state of a run's runbooks: how it is read, and what was read says.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Effect, Run, Task,
    names::with_outputs,
    pending::{FINAL_LOOK, READ_TIMEOUT, Reading as Read},
};
use crate::{
    Timestamp,
    change::gist,
    event::{Reading, SteadyReading},
    expression,
    fault::Fault,
    runbook::SteadyCheck,
};

/// What each part of a steady state gave, by its id.
pub type SteadyReadings = Vec<(String, Result<Reading, Fault>)>;

impl Run {
    /// How the steady state of the run's own runbook is read, whatever the run is at; nothing where
    /// none is declared.
    pub fn steady_look(&self, now: Timestamp) -> Option<Effect> {
        if self.created.runbook.steady_state.is_empty() {
            return None;
        }
        let task = self.steady_task("", &self.frame_names("", now));
        Some(Effect { key: FINAL_LOOK.to_owned(), step: FINAL_LOOK.to_owned(), timeout: READ_TIMEOUT, task })
    }

    /// What was read by [`Run::steady_look`], judged.
    pub fn steady_seen(&self, readings: SteadyReadings, now: Timestamp) -> Vec<SteadyReading> {
        self.judge("", &self.frame_names("", now), readings)
    }

    pub(super) fn steady_task(&self, frame: &str, names: &Value) -> Task {
        let read = |check: &SteadyCheck| (check.id.clone(), steady_reading(check, names));
        Task::Steady(self.steady_checks(frame).iter().map(read).collect())
    }

    /// Judges what was read of the steady state.
    pub(super) fn judge(&self, frame: &str, names: &Value, readings: SteadyReadings) -> Vec<SteadyReading> {
        let checks = self.steady_checks(frame);
        readings
            .into_iter()
            .filter_map(|(id, reading)| {
                let check = checks.iter().find(|check| check.id == id)?;
                Some(judge_one(check, names, reading))
            })
            .collect()
    }

    fn steady_checks(&self, frame: &str) -> &[SteadyCheck] {
        self.frames.get(frame).map_or(&[], |frame| frame.runbook.steady_state.as_slice())
    }
}

fn steady_reading(check: &SteadyCheck, names: &Value) -> Result<Read, Fault> {
    let input =
        expression::render(&check.with, names).map_err(|error| Fault::permanent(error.to_string()))?;
    Ok(Read { action: check.check.clone(), input: Arc::new(input) })
}

fn judge_one(check: &SteadyCheck, names: &Value, reading: Result<Reading, Fault>) -> SteadyReading {
    let id = check.id.clone();
    match reading {
        Err(fault) => SteadyReading { id, passed: None, seen: format!("could not be read: {fault}") },
        Ok(reading) => {
            let names = with_outputs(names.clone(), &reading.outputs);
            match expression::holds(&check.expect, &names) {
                Ok(passed) => SteadyReading { id, passed, seen: gist(&reading.outputs) },
                Err(error) => SteadyReading { id, passed: None, seen: error.to_string() },
            }
        }
    }
}

/// All must hold; one that fails decides, one that nobody could read leaves it open.
pub(super) fn all_hold(checks: &[SteadyReading]) -> Option<bool> {
    if checks.iter().any(|check| check.passed == Some(false)) {
        Some(false)
    } else if checks.iter().any(|check| check.passed.is_none()) {
        None
    } else {
        Some(true)
    }
}
