//! How often a request may be sent again: a few times each, and a few dozen times for all of an
//! account together, so that a service in trouble is not kept there.

use std::{sync::Mutex, time::Duration};

use runbook_contract::access::Intent;
use runbook_core::fault::{Fault, FaultKind};

/// How often one request is sent at the most.
pub(crate) const MOST_TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// How many retries may be in debt at once; every success pays one back.
const BUDGET: u32 = 24;

/// The retries that are left to all requests of one account.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Mutex<u32>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { left: Mutex::new(BUDGET) }
    }

    pub(crate) fn succeeded(&self) {
        self.change(|left| *left = (*left + 1).min(BUDGET));
    }

    /// How long to wait before the next try, where there may be one: the server has said that
    /// nothing happened, or nothing could have happened.
    pub(crate) fn next(&self, fault: &Fault, intent: Intent, tried: u32) -> Option<Duration> {
        let harmless = match intent {
            Intent::Read => fault.kind.is_transient(),
            Intent::Write => fault.kind == FaultKind::Refused,
        };
        if !harmless || tried >= MOST_TRIES || !self.take() {
            return None;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << (tried.saturating_sub(1)).min(8)).min(LONGEST_WAIT);
        Some(fault.retry_after.map_or(wait, |asked| wait.max(asked.as_std())))
    }

    fn take(&self) -> bool {
        let mut taken = false;
        self.change(|left| {
            taken = *left > 0;
            *left = left.saturating_sub(1);
        });
        taken
    }

    /// A number cannot be left half written, so a poisoned lock is as good as any.
    fn change(&self, change: impl FnOnce(&mut u32)) {
        change(&mut self.left.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_have_happened_is_sent_again() {
        let budget = Budget::new();
        let cases = [
            (Fault::refused("busy"), Intent::Read, true),
            (Fault::refused("busy"), Intent::Write, true),
            (Fault::unreachable("lost"), Intent::Read, true),
            (Fault::unreachable("lost"), Intent::Write, false),
            (Fault::unknown("lost"), Intent::Read, false),
            (Fault::unknown("lost"), Intent::Write, false),
            (Fault::forbidden("no"), Intent::Read, false),
            (Fault::permanent("no"), Intent::Write, false),
        ];
        for (fault, intent, expected) in cases {
            assert_eq!(budget.next(&fault, intent, 1).is_some(), expected, "{fault:?} {intent:?}");
        }
    }

    #[test]
    fn retries_end() {
        let fault = Fault::refused("busy");
        let budget = Budget::new();
        assert!(budget.next(&fault, Intent::Read, MOST_TRIES).is_none(), "one request for ever");
        let waits: Vec<_> =
            (1..MOST_TRIES).filter_map(|tried| budget.next(&fault, Intent::Read, tried)).collect();
        assert_eq!(waits, [200, 400, 800].map(Duration::from_millis));
        for _ in 0..BUDGET {
            let _ = budget.next(&fault, Intent::Read, 1);
        }
        assert!(budget.next(&fault, Intent::Read, 1).is_none(), "many requests for ever");
        budget.succeeded();
        assert!(budget.next(&fault, Intent::Read, 1).is_some(), "a success pays nothing back");
    }
}
