//! Time as an argument: the system's, or one that a test moves.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_core::duration::Duration;
use tokio::sync::watch;

/// Where whatever waits takes its time from.
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
        let length = Duration::between(Timestamp::now(), at).as_std();
        tokio::time::sleep(length).await;
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct Manual {
    now: Arc<watch::Sender<Timestamp>>,
}

impl Manual {
    pub fn at(now: Timestamp) -> Self {
        Self { now: Arc::new(watch::Sender::new(now)) }
    }
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = by.after(*now));
    }
    /// Never back.
    pub fn advance_to(&self, at: Timestamp) {
        self.now.send_modify(|now| *now = (*now).max(at));
    }
}

#[async_trait]
impl Clock for Manual {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }
    async fn sleep_until(&self, at: Timestamp) {
        let mut now = self.now.subscribe();
        // The sender lives as long as the clock, so this only ends by the time coming.
        if now.wait_for(|now| *now >= at).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A clock that jumps to whatever it is asked to wait for: the fastest way through a run in a test.
#[derive(Debug, Clone)]
pub struct Jumping(Manual);

impl Jumping {
    pub fn from(start: Timestamp) -> Self {
        Self(Manual::at(start))
    }
}

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    async fn sleep_until(&self, at: Timestamp) {
        // Let everything else that is ready go first.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        self.0.advance_to(at);
    }
}
