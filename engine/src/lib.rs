//! The engine: drives runs. It performs what the core says is due, journals what came of it before
//! anything else happens, and takes what people say at any time, from any process.
//!
//! A driver holds a claim on its run; others only append what people said, and the driver notices.
//! All state is in the journal: a killed driver's run goes on wherever it is resumed.

mod driver;
mod error;
mod log;
mod mask;
mod perform;
mod pipe;
mod recall;
mod tip;

use std::{collections::BTreeMap, sync::Arc};

use futures::Stream;
use runbook_contract::Registry;
use runbook_core::{
    Value,
    change::{Planned, Validation},
    event::{Actor, Body, Broken, Created, Event, Record, RunId, SteadyReading, verify},
    fault::Fault,
    run::{Input, Run},
};
use runbook_journal::{Batch, Claim, Journal, JournalError, Mark, RunHead, RunQuery, every_run};
use tokio::sync::watch;
use uuid::Uuid;

pub use runbook_contract::clock::{self, Clock, System};

pub use crate::{
    driver::{Drive, Until},
    error::EngineError,
    log::scope,
    mask::{NoSecrets, Secrets},
};
use crate::{perform::Performer, recall::Recall, tip::Tip};

/// What an engine works with.
#[derive(Debug, Clone)]
pub struct Setup {
    pub journal: Arc<dyn Journal>,
    /// The actions of the environment, over transports that may write or not.
    pub registry: Registry,
    pub secrets: Arc<dyn Secrets>,
    /// What the environment allows each action, by its name.
    pub limits: BTreeMap<String, Value>,
    pub clock: Arc<dyn Clock>,
    /// Who drives, for the timeline: `host/pid`.
    pub owner: String,
}

/// A cheap handle; clones share everything.
#[derive(Debug, Clone)]
pub struct Engine {
    journal: Arc<dyn Journal>,
    performer: Arc<Performer>,
    clock: Arc<dyn Clock>,
    owner: String,
    recall: Recall,
}

/// How often what a person said is tried again when others append at the same moment.
const MOST_TRIES: u32 = 32;

/// A run as the journal tells it, wherever it is driven.
///
/// # Errors
/// `EngineError::UnknownRun`, and what keeps its entries from being read.
pub async fn load(journal: &dyn Journal, run: RunId) -> Result<Run, EngineError> {
    Ok(Arc::unwrap_or_clone(Tip::load(journal, run).await?.run))
}

impl Engine {
    pub fn new(setup: Setup) -> Self {
        let performer = Performer {
            registry: setup.registry,
            secrets: setup.secrets,
            limits: setup.limits,
            journal: setup.journal.clone(),
            others: setup.journal.clone(),
            clock: setup.clock.clone(),
        };
        Self {
            journal: setup.journal,
            performer: Arc::new(performer),
            clock: setup.clock,
            owner: setup.owner,
            recall: Recall::default(),
        }
    }

    /// For dry-runs, whose own journal nobody keeps: where the runs are that may be at work on the
    /// same targets. It is only read.
    #[must_use]
    pub fn beside(mut self, others: Arc<dyn Journal>) -> Self {
        Arc::make_mut(&mut self.performer).others = others;
        self
    }

    /// Creates a run. It does nothing until it is driven.
    pub async fn start(&self, created: Created, actor: Actor) -> Result<RunId, EngineError> {
        let id = RunId::new(Uuid::now_v7());
        let (_, first) = self.begin(id, created, actor)?;
        self.journal.append(first).await?;
        Ok(id)
    }

    /// A run that is to be created together with other things: its id, and what is to be journaled.
    pub fn draft(&self, created: Created, actor: Actor) -> Result<(RunId, Batch), EngineError> {
        let id = RunId::new(Uuid::now_v7());
        let (_, first) = self.begin(id, created, actor)?;
        Ok((id, first))
    }

    /// Creates a run and drives it; nobody else can take it over in between.
    pub async fn launch(&self, created: Created, actor: Actor, until: Until) -> Result<Drive, EngineError> {
        let append = async |_, first| Ok::<_, EngineError>(self.journal.append(first).await?);
        self.launch_with(created, actor, until, append).await
    }

    /// The same where `keep` writes the run's first entry, together with other things.
    pub async fn launch_with<E: From<EngineError>>(
        &self,
        created: Created,
        actor: Actor,
        until: Until,
        keep: impl AsyncFnOnce(RunId, Batch) -> Result<(), E>,
    ) -> Result<Drive, E> {
        let id = RunId::new(Uuid::now_v7());
        let claim = self.journal.claim(id).await.map_err(EngineError::from)?;
        let engine = self.through(&claim);
        let mark = engine.mark(id).await?;
        let (tip, first) = self.begin(id, created, actor)?;
        keep(id, first).await?;
        Ok(driver::spawn(engine, tip, claim, mark, until))
    }

    fn begin(&self, id: RunId, created: Created, actor: Actor) -> Result<(Tip, Batch), EngineError> {
        let event = Event { seq: 1, at: self.clock.now(), actor, body: Body::RunCreated(Box::new(created)) };
        Tip::begin(id, &event)
    }

    /// The present mark of the journal: whatever is read after this is as new.
    async fn mark(&self, run: RunId) -> Result<Mark, EngineError> {
        Ok(self.journal.changed(run, u64::MAX, Mark::default()).await?)
    }

    /// Drives a run in a task of its own until it ends, or until only people can bring it further.
    /// Fails with `Claimed` where another process drives it.
    pub async fn drive(&self, run: RunId, until: Until) -> Result<Drive, EngineError> {
        let claim = self.journal.claim(run).await?;
        let engine = self.through(&claim);
        let mark = engine.mark(run).await?;
        let mut tip = Tip::load(engine.journal.as_ref(), run).await?;
        // Whatever another driver had under way is in doubt; a run that was only just created has
        // nothing under way.
        if tip.run.ended.is_none() && tip.run.seq > 1 {
            let resumed = Input::Resumed { owner: self.owner.clone() };
            tip.decide_and_append(engine.journal.as_ref(), resumed, &Actor::engine(), self.clock.now())
                .await?;
            let _scope = scope(run, tip.run.created.incident.as_deref()).entered();
            tracing::info!(seq = tip.run.seq, owner = self.owner, "the run was taken over");
        }
        Ok(driver::spawn(engine, tip, claim, mark, until))
    }

    /// The engine as a driver uses it: where the claim can be lost, nothing is done but through it.
    fn through(&self, claim: &Claim) -> Self {
        let Some(journal) = claim.through() else { return self.clone() };
        let performer = Performer { journal: journal.clone(), ..Performer::clone(&self.performer) };
        Self { journal, performer: Arc::new(performer), ..self.clone() }
    }

    /// Records what a person said, and what follows from it at once. Whoever drives the run goes on
    /// from there.
    pub async fn say(&self, run: RunId, actor: &Actor, input: Input) -> Result<Run, EngineError> {
        let mut tip = self.tip(run).await?;
        for _ in 0..MOST_TRIES {
            match tip.decide_and_append(self.journal.as_ref(), input.clone(), actor, self.clock.now()).await {
                Err(EngineError::Journal(JournalError::Moved { .. })) => {
                    tip.catch_up(self.journal.as_ref()).await?;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(Arc::unwrap_or_clone(tip.run)),
            }
        }
        Err(EngineError::Busy(run))
    }

    /// The state of a run.
    pub async fn load(&self, run: RunId) -> Result<Run, EngineError> {
        Ok(Arc::unwrap_or_clone(self.shared(run).await?))
    }

    /// The state of a run, shared with whoever else looks at it.
    pub async fn shared(&self, run: RunId) -> Result<Arc<Run>, EngineError> {
        Ok(self.tip(run).await?.run)
    }

    /// The state of a run of a list, or a newer one: nothing is read of one that has not moved since it
    /// was last looked at.
    pub async fn glance(&self, head: &RunHead) -> Result<Arc<Run>, EngineError> {
        match self.recall.get(head.run) {
            Some((tip, _)) if tip.run.seq == head.seq => Ok(tip.run),
            _ => self.shared(head.run).await,
        }
    }

    /// The runs that ask people something, of those that are `wanted`; the oldest first.
    pub async fn asking(
        &self,
        environment: Option<&str>,
        wanted: impl Fn(&RunHead) -> bool,
    ) -> Result<Vec<Arc<Run>>, EngineError> {
        let mut asking = Vec::new();
        for status in ["waiting", "running"] {
            let (status, environment) = (Some(status.to_owned()), environment.map(str::to_owned));
            let open = RunQuery { status, environment, ..RunQuery::default() };
            for head in every_run(self.journal.as_ref(), open).await?.iter().filter(|head| wanted(head)) {
                let run = self.glance(head).await?;
                if run.questions().next().is_some() {
                    asking.push(run);
                }
            }
        }
        asking.sort_by_key(|run| run.id);
        // One that goes on to wait between the two lists is in both.
        asking.dedup_by_key(|run| run.id);
        Ok(asking)
    }

    async fn tip(&self, run: RunId) -> Result<Tip, EngineError> {
        Tip::recall(self.journal.as_ref(), &self.recall, run).await
    }

    /// All events of a run with the hashes that chain them.
    pub async fn history(&self, run: RunId) -> Result<Vec<(Event, String)>, EngineError> {
        let records = self.journal.read(run, 0).await?;
        if records.is_empty() {
            return Err(EngineError::UnknownRun(run));
        }
        records.iter().map(|record| Ok((record.open()?, record.hash.clone()))).collect()
    }

    /// The events of a run that come after one, at most this many.
    pub async fn part(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(Event, String)>, EngineError> {
        // Entries are numbered without a gap.
        let before = after.saturating_add(limit as u64).saturating_add(1);
        let mut records = self.journal.tail(run, before, limit).await?;
        records.retain(|record| record.seq > after);
        records.iter().map(|record| Ok((record.open()?, record.hash.clone()))).collect()
    }

    /// Proves that nothing of a run was changed or dropped; the number of entries.
    pub async fn verify(&self, run: RunId) -> Result<Result<u64, Broken>, EngineError> {
        let head = self.journal.head(run).await?.ok_or(EngineError::UnknownRun(run))?;
        let records = self.journal.read(run, 0).await?;
        // Entries may have come between the two reads.
        let head = head.max(records.last().map_or(0, |record| record.seq.min(head.saturating_add(1000))));
        Ok(verify(run, &records, head).map(|()| head))
    }

    pub async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, EngineError> {
        Ok(self.journal.runs(query).await?)
    }

    /// Whether some process drives this run right now.
    pub async fn is_driven(&self, run: RunId) -> Result<bool, EngineError> {
        match self.journal.claim(run).await {
            Ok(_) => Ok(false),
            Err(JournalError::Claimed { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The events of a run after a sequence number, as they come, until it has ended.
    pub fn follow(
        &self,
        run: RunId,
        after: u64,
    ) -> impl Stream<Item = Result<(Event, String), EngineError>> + Send + use<> {
        struct Following {
            journal: Arc<dyn Journal>,
            after: u64,
            mark: Mark,
            ready: std::collections::VecDeque<Record>,
            ended: bool,
        }
        let state = Following {
            journal: self.journal.clone(),
            after,
            mark: Mark::default(),
            ready: std::collections::VecDeque::new(),
            ended: false,
        };
        futures::stream::unfold(state, move |mut state| async move {
            loop {
                if let Some(record) = state.ready.pop_front() {
                    state.after = record.seq;
                    let event = record.open().map_err(EngineError::from);
                    state.ended = matches!(&event, Err(_) | Ok(Event { body: Body::RunEnded { .. }, .. }));
                    return Some((event.map(|event| (event, record.hash)), state));
                }
                let fresh = match state.journal.read(run, state.after).await {
                    Ok(fresh) => fresh,
                    Err(error) => return Some((Err(error.into()), Following { ended: true, ..state })),
                };
                state.ready.extend(fresh);
                if !state.ready.is_empty() {
                    continue;
                }
                if state.ended {
                    return None;
                }
                match state.journal.changed(run, state.after, state.mark).await {
                    Ok(mark) => state.mark = mark,
                    Err(error) => return Some((Err(error.into()), Following { ended: true, ..state })),
                }
            }
        })
    }

    pub fn durability(&self) -> String {
        self.journal.durability()
    }

    /// What taking the changes of a run back would do as the world is now, the last change first.
    /// Changes nothing.
    pub async fn foresee_undo(&self, run: &Run) -> Vec<(String, Result<(Planned, Validation), Fault>)> {
        let effects = run.undo_outlook(self.clock.now()).effects;
        let mut foreseen = Vec::with_capacity(effects.len());
        for (step, effect) in effects {
            let outcome = match effect {
                Ok(effect) => self.performer.perform(run, effect).await,
                Err(fault) => Input::Planned { step: step.clone(), outcome: Err(fault) },
            };
            if let Input::Planned { outcome, .. } = outcome {
                foreseen.push((step, outcome));
            }
        }
        foreseen
    }

    /// Whether the steady state of a run's runbook holds as the world is now, part by part; nothing
    /// where it declares none. Reads only, and nothing of it is journaled.
    pub async fn look(&self, run: &Run) -> Vec<SteadyReading> {
        let Some(effect) = run.steady_look(self.clock.now()) else { return Vec::new() };
        match self.performer.perform(run, effect).await {
            Input::SteadyRead { readings, .. } => run.steady_seen(readings, self.clock.now()),
            _ => Vec::new(),
        }
    }

    /// What an action would stumble over, for a rendered input.
    pub async fn preflight(
        &self,
        action: &str,
        input: &Value,
    ) -> Result<Vec<runbook_contract::Obstacle>, Fault> {
        self.performer.preflight(action, input).await
    }
}

type State = watch::Receiver<Arc<Run>>;
