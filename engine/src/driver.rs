//! One task per run that is driven: what is due is performed, what came of it is decided upon and
//! journaled, and so on until the run ends or waits for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use runbook_core::{
    Timestamp,
    duration::Duration,
    event::{Actor, Body, Event, RunId},
    run::{Effect, Input, Node, Pending, Run},
};
use runbook_journal::{Claim, JournalError, Mark};
use tokio::{sync::watch, task::JoinHandle};
use tracing::Instrument as _;

use crate::{
    Engine, EngineError, State, log,
    perform::{LEASE, leaves_alone, rest_of},
    pipe::Pipe,
    tip::Tip,
};

/// When a driver leaves its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    Ended,
    /// Also when only people can bring it further.
    Waiting,
}

/// A run that is being driven. Dropping it stops the driver; the run can be resumed.
#[derive(Debug)]
pub struct Drive {
    pub run: RunId,
    state: State,
    leave: watch::Sender<bool>,
    task: JoinHandle<Result<Run, EngineError>>,
}

impl Drive {
    /// The newest state, and when it changes.
    pub fn state(&self) -> State {
        self.state.clone()
    }
    /// Asks the driver to bring what is under way to its end, begin nothing more, and leave the run to
    /// whoever drives it next.
    pub fn leave(&self) {
        self.leave.send_replace(true);
    }
    /// The state in which the driver left the run.
    pub async fn finished(&mut self) -> Result<Run, EngineError> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => Err(EngineError::Defect(format!("the driver stopped: {error}"))),
        }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How many effects of one run are under way at once.
const MOST_AT_ONCE: usize = 32;

pub(crate) fn spawn(engine: Engine, tip: Tip, claim: Claim, mark: Mark, until: Until) -> Drive {
    let run = tip.run.id;
    let (sender, state) = watch::channel(tip.run.clone());
    let (leave, leaving) = watch::channel(false);
    let engine_journal = engine.journal.clone();
    let driver = Driver {
        engine,
        pipe: Pipe::new(engine_journal, tip.run.seq),
        tip,
        until,
        state: sender,
        mark,
        under_way: FuturesUnordered::new(),
        keys: BTreeMap::new(),
        renew_at: Timestamp::MIN,
        leaving,
    };
    let incident = driver.tip.run.created.incident.clone();
    let drive = async move {
        let mut driver = driver;
        let result = driver.drive().await;
        drop(claim);
        result
    };
    let task = tokio::spawn(drive.instrument(log::scope(run, incident.as_deref())));
    Drive { run, state, leave, task }
}

struct Driver {
    engine: Engine,
    /// The newest state; the journal may be a little behind it.
    tip: Tip,
    pipe: Pipe,
    until: Until,
    state: watch::Sender<Arc<Run>>,
    mark: Mark,
    /// Polled by the driver itself: a task of its own for each would cost more than most steps do.
    under_way: FuturesUnordered<BoxFuture<'static, Result<Performed, EngineError>>>,
    /// What is under way or was performed, by key, with how often that led to nothing.
    keys: BTreeMap<String, Work>,
    renew_at: Timestamp,
    /// Turns true when the run is to be left.
    leaving: watch::Receiver<bool>,
}

/// The key of an effect, and what came of it.
type Performed = (String, Input);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    UnderWay,
    /// Done, and nothing followed from it.
    Idle,
}

/// What woke the driver.
enum Woken {
    Time,
    Performed(String, Box<Input>),
    Journal(Mark),
}

impl Driver {
    async fn drive(&mut self) -> Result<Run, EngineError> {
        loop {
            match self.drive_on().await {
                // Someone else has said something meanwhile: go on from what the journal has. What
                // was only read since is read again.
                Err(EngineError::Journal(JournalError::Moved { .. })) => self.start_over().await?,
                other => return other,
            }
        }
    }

    async fn drive_on(&mut self) -> Result<Run, EngineError> {
        // Time may have passed since the run was left.
        self.take(Input::Tick).await?;
        loop {
            let now = self.engine.clock.now();
            let pending = self.tip.run.pending(now);
            if self.tip.run.ended.is_some() {
                self.pipe.flushed(self.tip.run.seq).await?;
                self.let_all_targets_go().await?;
                return Ok(Run::clone(&self.tip.run));
            }
            let leaving = *self.leaving.borrow();
            if leaving && self.under_way.is_empty() {
                self.pipe.flushed(self.tip.run.seq).await?;
                return Ok(Run::clone(&self.tip.run));
            }
            let due = if leaving { pending.effects.len() } else { self.begin(&pending)? };
            let idle = due == 0 && self.under_way.is_empty();
            if idle && self.until == Until::Waiting && self.tip.run.is_waiting() {
                self.pipe.flushed(self.tip.run.seq).await?;
                return Ok(Run::clone(&self.tip.run));
            }
            match self.wait(&pending, now).await? {
                Woken::Time => {
                    self.take(Input::Tick).await?;
                }
                Woken::Journal(mark) => {
                    self.mark = mark;
                    self.catch_up().await?;
                }
                Woken::Performed(key, input) => {
                    let followed = self.take(*input).await?;
                    if followed {
                        self.keys.remove(&key);
                    } else {
                        self.keys.insert(key, Work::Idle);
                    }
                }
            }
            self.renew_locks().await?;
        }
    }

    async fn start_over(&mut self) -> Result<(), EngineError> {
        self.under_way.clear();
        self.keys.clear();
        self.tip = Tip::load(self.engine.journal.as_ref(), self.tip.run.id).await?;
        self.pipe = Pipe::new(self.engine.journal.clone(), self.tip.run.seq);
        self.publish();
        Ok(())
    }

    /// Starts what is due and not under way; how much is due.
    fn begin(&mut self, pending: &Pending) -> Result<usize, EngineError> {
        for effect in &pending.effects {
            match self.keys.get(&effect.key) {
                Some(Work::UnderWay) => continue,
                // The same piece of work again, although it led to nothing: it would spin for ever.
                Some(Work::Idle) => {
                    return Err(EngineError::Defect(format!("`{}` leads nowhere", effect.key)));
                }
                None if self.under_way.len() >= MOST_AT_ONCE => break,
                None => self.perform(effect.clone()),
            }
        }
        Ok(pending.effects.len())
    }

    fn perform(&mut self, effect: Effect) {
        let (performer, run, key) =
            (self.engine.performer.clone(), self.state.borrow().clone(), effect.key.clone());
        self.keys.insert(key.clone(), Work::UnderWay);
        let perform = async move { (key, performer.perform(&run, effect).await) };
        let caught = AssertUnwindSafe(perform).catch_unwind();
        let told = caught.map(|done| done.map_err(|_| EngineError::Defect("an action panicked".to_owned())));
        self.under_way.push(told.boxed());
    }

    async fn wait(&mut self, pending: &Pending, now: Timestamp) -> Result<Woken, EngineError> {
        let lease = Duration::from_secs(20).after(now);
        let wake = pending.wake.unwrap_or(lease).min(lease);
        let (clock, journal) = (self.engine.clock.clone(), self.engine.journal.clone());
        let (run, seq) = (self.tip.run.id, self.tip.run.seq);
        tokio::select! {
            biased;
            Some(done) = self.under_way.next() => {
                done.map(|(key, input)| Woken::Performed(key, Box::new(input)))
            }
            changed = journal.changed(run, seq, self.mark) => Ok(Woken::Journal(changed?)),
            () = clock.sleep_until(wake) => Ok(Woken::Time),
            // Nothing more comes of this than another turn of the loop.
            _ = self.leaving.wait_for(|leaving| *leaving), if !*self.leaving.borrow() => Ok(Woken::Time),
            failed = self.pipe.failed() => Err(failed.err().map_or_else(
                || EngineError::Defect("journaling ended by itself".to_owned()),
                EngineError::from,
            )),
        }
    }

    /// Decides upon an input and journals what follows; whether anything did. Only what must be on
    /// disk before the run goes on is waited for.
    async fn take(&mut self, input: Input) -> Result<bool, EngineError> {
        let now = self.engine.clock.now();
        let Some(decided) = self.tip.decide(input, &Actor::engine(), now)? else { return Ok(false) };
        self.pipe.push(decided.batch).await?;
        self.tip = decided.next;
        if decided.events.iter().any(|event| event.body.must_be_kept_first()) {
            self.pipe.flushed(self.tip.run.seq).await?;
        }
        log::tell(&decided.events);
        self.let_targets_go(&decided.events).await?;
        self.publish();
        Ok(true)
    }

    /// Takes in what people said from elsewhere.
    async fn catch_up(&mut self) -> Result<(), EngineError> {
        // What this driver has handed in comes first; if that fails, others have been faster.
        self.pipe.flushed(self.tip.run.seq).await?;
        let events = self.tip.catch_up(self.engine.journal.as_ref()).await?;
        if !events.is_empty() {
            log::tell(&events);
            self.pipe = Pipe::new(self.engine.journal.clone(), self.tip.run.seq);
            self.publish();
        }
        Ok(())
    }

    fn publish(&self) {
        self.state.send_replace(self.tip.run.clone());
    }

    /// A step that ended, or whose plan is void, no longer needs its target.
    async fn let_targets_go(&mut self, events: &[Event]) -> Result<(), EngineError> {
        let run = self.tip.run.clone();
        for event in events {
            if !matches!(event.body, Body::StepEnded { .. } | Body::PlanVoided { .. }) {
                continue;
            }
            let Some(node) = event.body.step().and_then(|step| run.node(step)) else { continue };
            if let Some(target) = node.change.as_ref().map(|change| &change.target.name) {
                self.let_rest(node, target).await?;
                let still = run.nodes().any(|other| {
                    other.phase.is_changing()
                        && other.target.as_ref().is_some_and(|held| held.name == *target)
                });
                if !still {
                    self.engine.journal.unlock(target, run.id).await?;
                }
            }
        }
        Ok(())
    }

    /// A target that was changed is left alone by other runs for a while, where the environment says
    /// so.
    async fn let_rest(&mut self, node: &Node, target: &str) -> Result<(), EngineError> {
        let Some(cooldown) = self.tip.run.created.policy.cooldown else { return Ok(()) };
        if node.landed && leaves_alone(node) {
            let now = self.engine.clock.now();
            let until = cooldown.scaled(self.tip.run.created.speed).after(now);
            match self.engine.journal.lock(&rest_of(target), self.tip.run.id, now, until).await {
                // It rests from another run still, which this one has overridden.
                Ok(_) | Err(JournalError::Locked { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Nothing is locked without a plan of a change. What rests goes on resting.
    async fn let_all_targets_go(&mut self) -> Result<(), EngineError> {
        let run = self.tip.run.clone();
        let changes = run.nodes().filter_map(|node| node.change.as_ref());
        let targets: BTreeSet<&str> = changes.map(|change| change.target.name.as_str()).collect();
        for target in targets {
            self.engine.journal.unlock(target, run.id).await?;
        }
        Ok(())
    }

    /// Lengthens the leases of targets whose changes are under way.
    async fn renew_locks(&mut self) -> Result<(), EngineError> {
        let now = self.engine.clock.now();
        if now < self.renew_at {
            return Ok(());
        }
        self.renew_at = Duration::from_secs(20).after(now);
        let run = &self.tip.run;
        for node in run.nodes().filter(|node| node.phase.is_changing()) {
            if let Some(target) = &node.target {
                self.engine.journal.lock(&target.name, run.id, now, LEASE.after(now)).await?;
            }
        }
        Ok(())
    }
}
