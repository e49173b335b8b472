//! The one loop that works: deliveries in the order in which they came, and what was held once it is
//! due.

use std::sync::Arc;

use futures::{FutureExt as _, future::BoxFuture};
use runbook_core::{Timestamp, duration::Duration, event::Actor, run::Input};
use runbook_engine::scope;
use runbook_journal::{DocumentQuery, JournalError, Order};
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::{
    Desk, DeskError,
    kept::{self, Delivery, Held},
    start::Desktop,
};

/// How many deliveries are fetched at once.
const AT_ONCE: usize = 64;
/// How often a piece of work is begun anew because someone else was faster.
const MOST_TRIES: usize = 32;
/// How long to wait before trying again when the shelf cannot be used.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest sleep without looking.
const LONGEST: Duration = Duration::from_secs(60);

/// What one round has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Worked {
    pub deliveries: usize,
    pub held: usize,
    /// When the next that is held is due.
    pub due: Option<Timestamp>,
}

impl Desk {
    /// Works until it is told to stop.
    pub async fn work(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let wake = match self.work_once().await {
                Ok(worked) if worked.deliveries + worked.held > 0 => continue,
                Ok(worked) => worked.due.unwrap_or(Timestamp::MAX).min(LONGEST.after(self.now())),
                Err(error) => {
                    tracing::warn!(%error, "deliveries are waiting: the store cannot be used");
                    PAUSE.after(self.now())
                }
            };
            tokio::select! {
                () = self.arrived.notified() => {}
                () = self.clock.sleep_until(wake) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Does what there is to do now.
    pub async fn work_once(&self) -> Result<Worked, DeskError> {
        let new = DocumentQuery {
            state: Some("new".to_owned()),
            order: Order::OldestFirst,
            limit: AT_ONCE,
            ..DocumentQuery::default()
        };
        let mut worked = Worked::default();
        for delivery in kept::list::<Delivery>(&self.shelf, new).await? {
            let id = delivery.id;
            let scope = tracing::error_span!("delivery", delivery = %id, hook = delivery.value.hook);
            let work = self.until_written(move |desktop| {
                let id = id.clone();
                async move {
                    // Another desk may have done it meanwhile; what is read is what the write expects.
                    let found = desktop.deliveries.read(&desktop.shelf(), &id).await?.cloned();
                    match found.filter(|found| found.state == kept::DeliveryState::New) {
                        Some(found) => desktop.deliver(&id, found).await,
                        None => Ok(()),
                    }
                }
                .boxed()
            });
            work.instrument(scope).await?;
            worked.deliveries += 1;
        }
        let held = DocumentQuery { order: Order::OldestFirst, limit: AT_ONCE, ..DocumentQuery::default() };
        for held in kept::list::<Held>(&self.shelf, held).await? {
            if held.value.due > self.now() {
                worked.due = Some(held.value.due);
                break;
            }
            let id = held.id;
            self.until_written(move |desktop| {
                let id = id.clone();
                async move {
                    match desktop.held.read(&desktop.shelf(), &id).await?.cloned() {
                        Some(found) => desktop.due(&id, found).await,
                        None => Ok(()),
                    }
                }
                .boxed()
            })
            .await?;
            worked.held += 1;
        }
        Ok(worked)
    }

    /// Works something out and writes it; anew where someone else has changed what was read.
    pub(crate) async fn until_written<T>(
        &self,
        work: impl for<'d> Fn(&'d mut Desktop) -> BoxFuture<'d, Result<T, DeskError>> + Send + Sync,
    ) -> Result<T, DeskError> {
        for _ in 0..MOST_TRIES {
            let mut desktop = Desktop::new(self);
            let done = work(&mut desktop).await?;
            let begun = !desktop.begun.is_empty();
            let writes = desktop.writes()?;
            if writes.is_empty() {
                return Ok(done);
            }
            match self.shelf.write(writes).await {
                Ok(()) => {
                    std::mem::take(&mut desktop.cases).written();
                    if begun {
                        desktop.tell_what_began();
                        self.started.notify_one();
                    }
                    self.tell_runs(&desktop).await;
                    return Ok(done);
                }
                Err(JournalError::Changed { .. } | JournalError::Moved { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DeskError::Busy)
    }

    /// Tells runs that the alert that started them is over. A run that misses it for a crash learns it
    /// when it is next driven.
    async fn tell_runs(&self, desktop: &Desktop) {
        for (run, ends_at) in &desktop.over {
            let over = Input::AlertResolved { ends_at: *ends_at };
            let Ok(started) = kept::find::<kept::Started>(&self.shelf, &run.to_string()).await else {
                continue;
            };
            let Some(started) = started.filter(|started| !started.value.settled) else { continue };
            let Ok(engine) = self.house.engine(&started.value.environment).await else { continue };
            if let Err(error) = engine.say(*run, &Actor::engine(), over).await {
                let _scope = scope(*run, started.value.incident.as_deref()).entered();
                tracing::warn!(%error, "the run was not told that its alert is over");
            }
        }
    }

    /// Rings when runs were started.
    pub(crate) fn started(&self) -> Arc<tokio::sync::Notify> {
        Arc::clone(&self.started)
    }
}
