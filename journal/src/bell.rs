//! Tells everyone who waits that something was appended.

use tokio::sync::watch;

use crate::Mark;

#[derive(Debug)]
pub(crate) struct Bell(watch::Sender<u64>);

impl Default for Bell {
    /// Counts from 1, so that `Mark::default()` is always in the past.
    fn default() -> Self {
        Self(watch::Sender::new(1))
    }
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(*self.0.borrow())
    }

    /// Returns at once where the mark is not the present one: one from another life of the process
    /// says nothing, and a caller that looks in vain is better off than one that sleeps for ever.
    pub(crate) async fn rung(&self, since: Mark) -> Mark {
        let mut count = self.0.subscribe();
        match count.wait_for(|now| *now != since.0).await {
            Ok(now) => Mark(*now),
            // The sender lives in `self`, so this arm is never taken.
            Err(_) => since,
        }
    }
}
