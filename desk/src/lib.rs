//! The incident desk: what detectors deliver is stored before it is acknowledged, correlated into
//! incidents and matched to runbooks; runs are started, each once, and driven to their end.
//!
//! All state is on the shelf. What follows from one delivery is written all or none, so that a desk
//! that is killed at any moment goes on without losing or repeating anything.

pub mod cases;
mod correlate;
mod deliver;
pub mod detect;
pub mod kept;
pub mod latest;
mod resolve;
mod sheet;
mod start;
pub mod story;
mod supervise;
mod work;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use futures::FutureExt as _;
use runbook_core::{
    Timestamp, Value,
    alert::Alert,
    event::{Actor, Channel, Created, RunId},
    incident::{Closing, IncidentId, Rejected},
    runbook::{Runbook, Source},
    severity::Matrix,
};
use runbook_engine::{Clock, Engine, EngineError};
use runbook_journal::{Batch, JournalError, Shelf, Write};
use tokio::sync::Notify;
use uuid::Uuid;

pub use crate::{correlate::key_of_service, supervise::Supervised, work::Worked};

/// What the desk needs to know of the project it serves.
#[async_trait]
pub trait House: Debug + Send + Sync {
    /// The runbooks that are sound, as they are now.
    fn runbooks(&self) -> Vec<Arc<Runbook>>;
    /// The engine of an environment; why not, where there is none.
    async fn engine(&self, environment: &str) -> Result<Engine, String>;
    /// The same over transports that cannot write: to look whether what broke is well again.
    async fn reader(&self, environment: &str) -> Result<Engine, String>;
    /// What the words of detectors mean.
    fn severity(&self) -> Arc<Matrix>;
    /// Who closes an incident whose recovery was verified.
    fn closing(&self) -> Closing;
    /// The first event of a run.
    async fn created(&self, start: &Start) -> Result<Created, String>;
}

/// A run that is to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub runbook: String,
    pub inputs: Value,
    pub environment: String,
    pub alert: Value,
    pub incident: Option<String>,
    pub reason: Option<String>,
    /// The trace context of what asked for it, as a `traceparent` header has it.
    pub trace_parent: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Incident(#[from] Rejected),
    #[error("there is no incident {0}")]
    UnknownIncident(IncidentId),
    #[error("{0}")]
    Unusable(String),
    #[error("others keep changing the same documents; try again")]
    Busy,
}

/// The desk. A cheap handle; clones share everything.
#[derive(Debug, Clone)]
pub struct Desk {
    shelf: Arc<dyn Shelf>,
    house: Arc<dyn House>,
    clock: Arc<dyn Clock>,
    /// Rung when there is something new to work on.
    arrived: Arc<Notify>,
    /// Rung when runs were started.
    started: Arc<Notify>,
    memory: cases::Memory,
}

/// A delivery that has been verified and parsed.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub hook: String,
    pub source: Source,
    pub environment: String,
    /// The number by which the detector would repeat it, where it has one.
    pub number: Option<String>,
    pub body: String,
    pub alerts: Vec<Alert>,
    /// The trace context of the request, as a `traceparent` header has it.
    pub trace_parent: Option<String>,
}

/// What the detector is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub delivery: String,
    pub alerts: Vec<String>,
    /// It had come before; nothing was stored.
    pub repeated: bool,
}

impl Desk {
    pub fn new(shelf: Arc<dyn Shelf>, house: Arc<dyn House>, clock: Arc<dyn Clock>) -> Self {
        Self {
            shelf,
            house,
            clock,
            arrived: Arc::default(),
            started: Arc::default(),
            memory: Default::default(),
        }
    }

    /// Stores a delivery. Once this returns it is on disk, and what follows from it will be done, also
    /// after a crash.
    pub async fn receive(&self, parcel: Parcel) -> Result<Receipt, DeskError> {
        let now = self.clock.now();
        let id = match &parcel.number {
            Some(number) => kept::delivery_id(&parcel.hook, number),
            None => format!("delivery_{}", Uuid::now_v7().simple()),
        };
        let alerts = parcel.alerts.iter().map(|alert| kept::alert_id(&parcel.hook, &alert.key)).collect();
        let delivery = kept::Delivery {
            hook: parcel.hook,
            source: parcel.source,
            environment: parcel.environment,
            received_at: now,
            body: parcel.body,
            alerts: parcel.alerts,
            trace_parent: parcel.trace_parent,
            state: kept::DeliveryState::New,
            outcomes: Vec::new(),
        };
        let write = kept::put(&id, &delivery, runbook_journal::Expect::New)?;
        match self.shelf.write(vec![write]).await {
            Ok(()) => {
                self.arrived.notify_one();
                Ok(Receipt { delivery: id, alerts, repeated: false })
            }
            Err(JournalError::Changed { .. }) => Ok(Receipt { delivery: id, alerts, repeated: true }),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts a run that somebody asked for, and tells its incident.
    pub async fn start(&self, start: &Start, actor: &Actor) -> Result<RunId, DeskError> {
        let (start, actor) = (start.clone(), actor.clone());
        self.until_written(move |desktop| {
            let (start, actor) = (start.clone(), actor.clone());
            async move {
                let run = desktop.begin(&start, actor.clone()).await.map_err(DeskError::Unusable)?;
                desktop.begun_by_a_person(run, &start, &actor).await?;
                Ok(run)
            }
            .boxed()
        })
        .await
    }

    /// Keeps a run that begins elsewhere than here, and tells its incident: all of it or nothing.
    pub async fn enter(
        &self,
        run: RunId,
        first: Batch,
        start: &Start,
        actor: &Actor,
    ) -> Result<(), DeskError> {
        let (start, actor) = (start.clone(), actor.clone());
        self.until_written(move |desktop| {
            let (first, start, actor) = (first.clone(), start.clone(), actor.clone());
            async move {
                desktop.begun.push(Write::Append(first));
                desktop.begun_by_a_person(run, &start, &actor).await
            }
            .boxed()
        })
        .await
    }

    pub fn shelf(&self) -> &Arc<dyn Shelf> {
        &self.shelf
    }

    /// What the words for severity mean here.
    pub fn severity(&self) -> Arc<Matrix> {
        self.house.severity()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Who starts a run when an alert does.
fn detector(hook: &str) -> Actor {
    Actor { name: hook.to_owned(), how: Channel::Alert }
}
