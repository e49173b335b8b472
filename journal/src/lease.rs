//! The rules by which a target is held, the same in every journal.

use runbook_core::{Timestamp, event::RunId};

use crate::JournalError;

/// The state of one target. The fence outlives its holders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lease {
    pub(crate) fence: u64,
    pub(crate) holder: Option<(RunId, Timestamp)>,
}

impl Lease {
    /// Takes the target for a run, or lengthens the lease that the run has. Returns the fence.
    pub(crate) fn take(
        &mut self,
        target: &str,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u64, JournalError> {
        let until = match self.holder(now) {
            Some((holder, until)) if holder != run => {
                return Err(JournalError::Locked { target: target.to_owned(), run: holder, until });
            }
            // A renewal that was long under way does not shorten the lease.
            Some((_, present)) => present.max(until),
            // A run whose own lease has ended is a new holder: what it had sent before may still be
            // on its way.
            None => {
                self.fence += 1;
                until
            }
        };
        self.holder = Some((run, until));
        Ok(self.fence)
    }

    /// Who holds the target.
    pub(crate) fn holder(&self, now: Timestamp) -> Option<(RunId, Timestamp)> {
        self.holder.filter(|(_, until)| *until > now)
    }

    pub(crate) fn release(&mut self, run: RunId) {
        self.holder = self.holder.filter(|(holder, _)| *holder != run);
    }
}
