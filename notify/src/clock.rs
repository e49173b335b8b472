//! Time as an argument: the system's, or one that a test moves.

use std::fmt::Debug;

use async_trait::async_trait;
use runbook_core::{Timestamp, duration::Duration};

/// Where the outbox takes its time from.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> Timestamp;
    /// Returns at or after a moment.
    async fn sleep_until(&self, at: Timestamp);
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

#[async_trait]
impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep(Duration::between(Timestamp::now(), at).as_std()).await;
    }
}
