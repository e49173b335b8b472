//! The runs that this process has folded last. What is remembered of a run is good for ever, for its
//! chain only grows: whoever wants it reads the entries that came since.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use runbook_core::event::RunId;

use crate::tip::Tip;

/// How many bytes the records of all remembered runs have together; what is made of them takes a few
/// times as much.
const MOST: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone, Default)]
pub(crate) struct Recall(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    tips: BTreeMap<RunId, Remembered>,
    bytes: usize,
    /// Moves with each run that is forgotten.
    turn: usize,
}

#[derive(Debug)]
struct Remembered {
    tip: Tip,
    bytes: usize,
}

impl Recall {
    /// What is remembered of a run, and the bytes of its records.
    pub fn get(&self, run: RunId) -> Option<(Tip, usize)> {
        self.held().tips.get(&run).map(|found| (found.tip.clone(), found.bytes))
    }

    /// A run as it is after so many bytes of records.
    pub fn put(&self, tip: &Tip, bytes: usize) {
        self.held().put(tip, bytes, MOST);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn put(&mut self, tip: &Tip, bytes: usize, most: usize) {
        let run = tip.run.id;
        self.forget(run);
        if bytes > most {
            return;
        }
        while self.bytes + bytes > most {
            // Any, not the one that was wanted the longest ago: lists go through all the runs that wait,
            // one after the other, and would find none of them.
            let index = self.turn.wrapping_mul(7_919) % self.tips.len().max(1);
            self.turn = self.turn.wrapping_add(1);
            let Some(chosen) = self.tips.keys().nth(index).copied() else { break };
            self.forget(chosen);
        }
        self.bytes += bytes;
        self.tips.insert(run, Remembered { tip: tip.clone(), bytes });
    }

    fn forget(&mut self, run: RunId) {
        if let Some(gone) = self.tips.remove(&run) {
            self.bytes -= gone.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use runbook_core::{
        Timestamp,
        event::{Actor, Body, Created, Event},
        policy::Policy,
    };
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn tip(number: u128) -> Tip {
        let created: Created = serde_json::from_value(json!({
            "runbook": { "apiVersion": "runbook/v1", "name": "one", "steps": [] },
            "inputs": {}, "environment": "test", "speed": 1, "hands": "live", "policy": Policy::default(),
        }))
        .unwrap();
        let body = Body::RunCreated(Box::new(created));
        let event = Event { seq: 1, at: Timestamp::UNIX_EPOCH, actor: Actor::engine(), body };
        Tip::begin(RunId::new(Uuid::from_u128(number)), &event).unwrap().0
    }

    #[test]
    fn what_is_remembered_is_bounded_by_bytes() {
        let mut held = Held::default();
        for number in 0..100 {
            held.put(&tip(number), 30, 1_000);
            assert_eq!(held.bytes, held.tips.values().map(|one| one.bytes).sum::<usize>());
            assert!(held.bytes <= 1_000);
        }
        assert_eq!(held.tips.len(), 33);
        // Again, and longer by now.
        let known = *held.tips.keys().next().unwrap();
        let again = held.tips[&known].tip.clone();
        held.put(&again, 40, 1_000);
        assert!(held.tips.contains_key(&known) && held.bytes <= 1_000);
        // One that is larger than all that may be held leaves the others alone.
        let before = held.tips.len();
        held.put(&tip(1_000), 1_001, 1_000);
        assert_eq!(held.tips.len(), before);
    }
}
