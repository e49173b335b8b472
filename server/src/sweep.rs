//! What is forgotten, and when: nothing that the server keeps beside the journal grows without end.
//! The journals of runs and of incidents are never touched.

use std::sync::Arc;

use runbook_core::{Timestamp, duration::Duration};
use runbook_desk::kept::{self, Delivery, Found, Group, Kept, KeptAlert, Started};
use runbook_journal::{DocumentQuery, Expect, JournalError, Order, Write};
use tokio::sync::watch;

use crate::{
    herald::Told,
    once,
    shelf::{Answered, AuditEntry, LoginAttempt, Session, Ticket, Token},
    site::Site,
};

/// How often it is looked for what can be forgotten.
const EVERY: Duration = Duration::from_secs(3_600);
/// How long to wait before trying again when the store cannot be used.
const AGAIN: Duration = Duration::from_secs(60);
/// How much is looked through, and removed, at once: a large removal would hold up whoever writes.
const AT_ONCE: usize = 200;
/// Between two removals others have their turn.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// What was begun and never finished: sign-ins, and links that nobody followed.
const LEFT_OVER: Duration = Duration::from_secs(24 * 3_600);

/// How long the server keeps what it need not keep for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Deliveries of detectors, as they came.
    pub deliveries: Duration,
    /// Alerts that are over, and what was started for them.
    pub alerts: Duration,
    /// The audit log, and tokens that have ended.
    pub audit: Duration,
}

impl Retention {
    /// The shortest time that any of it can be kept: what is still needed must not be forgotten.
    pub const LEAST: Duration = days(1);
}

impl Default for Retention {
    fn default() -> Self {
        Self { deliveries: days(30), alerts: days(365), audit: days(365) }
    }
}

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 3_600)
}

/// Forgets what is old enough.
#[derive(Debug, Clone)]
pub struct Sweeper {
    site: Arc<Site>,
    retention: Retention,
}

impl Sweeper {
    pub fn new(site: Arc<Site>, retention: Retention) -> Self {
        Self { site, retention }
    }

    /// Sweeps now and then, until it is told to stop.
    pub async fn keep_tidy(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let swept = tokio::select! {
                swept = self.sweep() => swept,
                changed = stop.changed() => if changed.is_err() { return } else { continue },
            };
            let rest = match swept {
                Ok(0) => EVERY,
                Ok(swept) => {
                    tracing::info!(swept, "old documents were removed");
                    EVERY
                }
                Err(error) => {
                    tracing::warn!(%error, "old documents could not be removed");
                    AGAIN
                }
            };
            tokio::select! {
                () = self.site.clock.sleep_until(rest.after(self.site.now())) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Removes all that is old enough now; how many documents that were.
    pub async fn sweep(&self) -> Result<usize, JournalError> {
        let Retention { deliveries, alerts, audit } = self.retention;
        let now = self.site.now();
        let mut swept = self
            .of(Some("done"), deliveries, |one: &Delivery| is_past(deliveries, one.received_at, now))
            .await?;
        swept +=
            self.of(Some("resolved"), alerts, |one: &KeptAlert| is_past(alerts, one.last_at, now)).await?;
        swept += self.of(Some("settled"), alerts, |one: &Started| is_past(alerts, one.at, now)).await?;
        let is_idle = |one: &Group| one.past.active.is_none() && is_past(alerts, one.changed_at, now);
        swept += self.of(None, alerts, is_idle).await?;
        swept += self.of(None, Told::KEPT, |one: &Told| is_past(Told::KEPT, one.at, now)).await?;
        swept += self.of_people(now).await?;
        swept += self.of(None, audit, |one: &AuditEntry| is_past(audit, one.at, now)).await?;
        Ok(swept)
    }

    /// What was kept of those who sign in and of what they sent.
    async fn of_people(&self, now: Timestamp) -> Result<usize, JournalError> {
        let audit = self.retention.audit;
        let lifetimes = *self.site.project.directory().lifetimes();
        let mut swept = self.of(None, once::KEPT, |one: &Answered| is_past(once::KEPT, one.at, now)).await?;
        swept += self.of(None, LEFT_OVER, |one: &LoginAttempt| is_past(LEFT_OVER, one.begun_at, now)).await?;
        swept += self.of(None, LEFT_OVER, |one: &Ticket| is_past(LEFT_OVER, one.expires_at, now)).await?;
        let has_ended = |one: &Session| one.0.standing(&lifetimes, now).is_err();
        swept += self.of(None, lifetimes.idle, has_ended).await?;
        let is_void = |one: &Token| {
            let end = one.0.revoked_at.map_or(one.0.expires_at, |at| at.min(one.0.expires_at));
            is_past(audit, end, now)
        };
        Ok(swept + self.of(None, audit, is_void).await?)
    }

    /// Removes the documents of a kind that are old, the oldest first. Lists are ordered by a moment
    /// that is no later than the one that counts, so that none is old after the first that is not past
    /// its time by that one.
    async fn of<T: Kept>(
        &self,
        state: Option<&str>,
        kept_for: Duration,
        is_old: impl Fn(&T) -> bool,
    ) -> Result<usize, JournalError> {
        let (mut swept, mut after) = (0, None);
        loop {
            let query = DocumentQuery {
                state: state.map(str::to_owned),
                order: Order::OldestFirst,
                after,
                limit: AT_ONCE,
                ..DocumentQuery::default()
            };
            let page = kept::list::<T>(self.site.shelf(), query).await?;
            let Some(last) = page.last() else { return Ok(swept) };
            let place = (last.value.at(), last.id.clone());
            let is_last = page.len() < AT_ONCE || !is_past(kept_for, place.0, self.site.now());
            after = Some(place);
            let old: Vec<Found<T>> = page.into_iter().filter(|found| is_old(&found.value)).collect();
            if !old.is_empty() {
                swept += self.remove(&old).await?;
                tokio::time::sleep(PAUSE).await;
            }
            if is_last {
                return Ok(swept);
            }
        }
    }

    /// All of them together; each by itself where somebody has changed one.
    async fn remove<T: Kept>(&self, old: &[Found<T>]) -> Result<usize, JournalError> {
        match self.forget(old).await {
            Ok(()) => Ok(old.len()),
            Err(JournalError::Changed { .. }) => {
                let mut swept = 0;
                for one in old.chunks(1) {
                    match self.forget(one).await {
                        Ok(()) => swept += 1,
                        Err(JournalError::Changed { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(swept)
            }
            Err(error) => Err(error),
        }
    }

    async fn forget<T: Kept>(&self, old: &[Found<T>]) -> Result<(), JournalError> {
        let mut writes: Vec<Write> = Vec::with_capacity(2 * old.len());
        for Found { id, version, value } in old {
            // A removal has no condition of its own: the write before it is refused where it is not so.
            writes.push(kept::put(id, value, Expect::Version(*version))?);
            writes.push(kept::remove::<T>(id));
        }
        self.site.shelf().write(writes).await
    }
}

fn is_past(kept: Duration, at: Timestamp, now: Timestamp) -> bool {
    kept.after(at) <= now
}
