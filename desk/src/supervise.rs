//! Drives every run that is not ended: those that alerts and people start here, those that a crash
//! left, and those that wait for people once they have answered. A run that waits holds no task.

use std::{
    collections::BTreeMap,
    time::{Duration as StdDuration, Instant},
};

use futures::FutureExt as _;
use runbook_core::{
    Timestamp,
    alert::AlertStatus,
    duration::Duration,
    event::{Actor, EndStatus, RunId},
    run::{Input, Run},
};
use runbook_engine::{EngineError, Until, scope};
use runbook_journal::{DocumentQuery, JournalError, Mark, Order, RunHead, RunQuery, every_run};
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
};
use tracing::Instrument as _;

use crate::{
    Desk, DeskError,
    kept::{self, Group, KeptAlert, Started},
    start::Desktop,
};

/// How many runs are driven at once; others wait their turn.
const MOST_DRIVEN: usize = 256;
/// How many runs are listed at once.
const PAGE: usize = 1_000;
/// How long to leave alone what another process drives, or what could not be driven.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest time without looking.
const LONGEST: Duration = Duration::from_secs(30);
/// However much is written, runs are looked for no more often than this, and looking takes no more
/// than a fifth of the time.
const PACE: StdDuration = StdDuration::from_millis(20);

/// How long what is under way may take when the server stops.
const HANDING_OVER: StdDuration = StdDuration::from_secs(20);

/// What the supervisor knows of a run that it does not drive right now.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Where it stood.
    seq: u64,
    /// When time alone changes something.
    wake: Option<Timestamp>,
    /// It is left alone until then, whatever is written.
    not_before: Timestamp,
}

/// A run that is driven, with the incident that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Driven {
    run: RunId,
    incident: Option<String>,
}

/// How many runs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Supervised {
    pub driven: usize,
    pub waiting: usize,
}

#[derive(Debug)]
struct Supervisor<'d> {
    desk: &'d Desk,
    tasks: JoinSet<Result<Run, EngineError>>,
    driven: BTreeMap<Id, Driven>,
    left: BTreeMap<RunId, Left>,
    /// When the runs that others have ended are next looked for.
    settle_at: Timestamp,
    /// How long the last look took.
    took: StdDuration,
    counts: &'d watch::Sender<Supervised>,
    stop: watch::Receiver<bool>,
}

impl Desk {
    /// Drives runs until it is told to stop; then hands them over: what is under way is brought to its
    /// end, nothing more begins, and whoever drives next goes on from the journal.
    pub async fn supervise(&self, mut stop: watch::Receiver<bool>, counts: &watch::Sender<Supervised>) {
        let mut supervisor = Supervisor {
            desk: self,
            tasks: JoinSet::new(),
            driven: BTreeMap::new(),
            left: BTreeMap::new(),
            settle_at: Timestamp::MIN,
            took: StdDuration::ZERO,
            counts,
            stop: stop.clone(),
        };
        let mut mark = Mark::default();
        let started = self.started();
        while !*stop.borrow() {
            if let Err(error) = supervisor.look().await {
                tracing::warn!(%error, "runs could not be looked for");
            }
            let wake = supervisor.wake();
            tokio::select! {
                Some(left) = supervisor.tasks.join_next_with_id() => supervisor.came_back(left).await,
                stirred = self.shelf.stirred(mark) => {
                    match stirred {
                        Ok(next) => mark = next,
                        Err(error) => tracing::warn!(%error, "changes of the store could not be noticed"),
                    }
                    tokio::time::sleep(PACE.max(supervisor.took * 4)).await;
                }
                () = started.notified() => {}
                () = self.clock.sleep_until(wake) => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        supervisor.hand_over().await;
    }

    /// All that follows from the end of a run: its group is free. Nothing does while it has not ended:
    /// only the run itself says so.
    pub async fn settle(&self, run: RunId) -> Result<(), DeskError> {
        let started = kept::find::<Started>(&self.shelf, &run.to_string()).await?;
        if started.is_none_or(|started| started.value.settled && started.value.incident.is_none()) {
            return Ok(());
        }
        let state = runbook_engine::load(self.shelf.as_ref(), run).await?;
        let Some(ended) = &state.ended else { return Ok(()) };
        let (status, recovered) = (ended.status, state.recovered());
        self.until_written(move |desktop| desktop.settle(run, status, recovered).boxed()).await
    }

    /// The alert of a run may have ended while nobody was there to tell it.
    async fn tell_of_alert(&self, run: RunId) -> Result<(), DeskError> {
        let Some(started) = kept::find::<Started>(&self.shelf, &run.to_string()).await? else {
            return Ok(());
        };
        let Some(alert) = started.value.alert else { return Ok(()) };
        let Some(alert) = kept::find::<KeptAlert>(&self.shelf, &alert).await? else { return Ok(()) };
        if alert.value.alert.status == AlertStatus::Resolved
            && let Ok(engine) = self.house.engine(&started.value.environment).await
        {
            let over = Input::AlertResolved { ends_at: alert.value.alert.ends_at };
            engine.say(run, &Actor::engine(), over).await?;
        }
        Ok(())
    }
}

impl Desktop {
    async fn settle(
        &mut self,
        run: RunId,
        status: EndStatus,
        recovered: Option<bool>,
    ) -> Result<(), DeskError> {
        let (shelf, id) = (self.shelf(), run.to_string());
        let Some(started) = self.started.read(&shelf, &id).await?.cloned() else { return Ok(()) };
        // A run that had ended may have been taken up again, to be undone: its incident learns of that.
        self.tell_of_end(started.incident.as_deref(), run, status, recovered).await?;
        if started.settled {
            return Ok(());
        }
        if let Some(group) = &started.group
            && let Some(found) = self.groups.read(&shelf, group).await?.cloned()
            && found.past.active == Some(run)
        {
            let mut freed = Group { changed_at: self.now, ..found };
            freed.past.active = None;
            self.groups.change(&shelf, group, freed).await?;
        }
        self.started.change(&shelf, &id, Started { settled: true, ..started }).await?;
        Ok(())
    }
}

impl Supervisor<'_> {
    /// Begins to drive what has to be driven. What is wrong with one run does not keep the others back.
    async fn look(&mut self) -> Result<(), DeskError> {
        let began = Instant::now();
        let open = self.open().await?;
        // The oldest first: they have waited longest.
        for head in open.values() {
            if let Err(error) = self.consider(head).await {
                tracing::warn!(run = %head.run, %error, "the run could not be driven");
                self.leave_alone(head.run, head.seq);
            }
        }
        let gone: Vec<RunId> = self.left.keys().filter(|run| !open.contains_key(run)).copied().collect();
        for run in gone {
            self.left.remove(&run);
            self.settle(run).await;
        }
        if self.settle_at <= self.desk.now() {
            self.settle_others(&open).await?;
            self.settle_at = LONGEST.after(self.desk.now());
        }
        self.took = began.elapsed();
        self.counts.send_replace(Supervised { driven: self.driven.len(), waiting: self.left.len() });
        Ok(())
    }

    /// The runs that have not ended. One that goes from one state to the other between the questions is
    /// in neither answer: that a run is missing does not say that it has ended.
    async fn open(&self) -> Result<BTreeMap<RunId, RunHead>, DeskError> {
        let mut open = BTreeMap::new();
        for status in ["running", "waiting"] {
            let query = RunQuery { status: Some(status.to_owned()), ..RunQuery::default() };
            let heads = every_run(self.desk.shelf.as_ref(), query).await?;
            open.extend(heads.into_iter().map(|head| (head.run, head)));
        }
        Ok(open)
    }

    async fn settle(&self, run: RunId) {
        if let Err(error) = self.desk.settle(run).await {
            tracing::warn!(%run, %error, "what follows from the end of the run is done later");
        }
    }

    /// Runs that ended while nobody looked: before a crash, or driven by another process.
    async fn settle_others(&self, open: &BTreeMap<RunId, RunHead>) -> Result<(), DeskError> {
        let mut unsettled = DocumentQuery {
            state: Some("open".to_owned()),
            order: Order::OldestFirst,
            limit: PAGE,
            ..DocumentQuery::default()
        };
        loop {
            let page = kept::list::<Started>(&self.desk.shelf, unsettled.clone()).await?;
            unsettled.after = page.last().map(|last| (last.value.at, last.id.clone()));
            for started in &page {
                let run = started.value.run;
                if !open.contains_key(&run) && !self.is_driven(run) {
                    self.settle(run).await;
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    fn is_driven(&self, run: RunId) -> bool {
        self.driven.values().any(|driven| driven.run == run)
    }

    async fn consider(&mut self, head: &RunHead) -> Result<(), DeskError> {
        let scope = scope(head.run, head.summary.incident.as_deref());
        self.consider_within(head).instrument(scope).await
    }

    async fn consider_within(&mut self, head: &RunHead) -> Result<(), DeskError> {
        let known = self.left.get(&head.run);
        let moved = known.is_none_or(|left| left.seq != head.seq);
        let due = known.is_some_and(|left| left.wake.is_some_and(|wake| wake <= self.desk.now()));
        let alone = known.is_some_and(|left| self.desk.now() < left.not_before);
        if !(moved || due) || alone || self.driven.len() >= MOST_DRIVEN || self.is_driven(head.run) {
            return Ok(());
        }
        let engine = match self.desk.house.engine(&head.summary.environment).await {
            Ok(engine) => engine,
            Err(why) => {
                tracing::debug!(%why, "the run cannot be driven here");
                self.leave_alone(head.run, head.seq);
                return Ok(());
            }
        };
        if known.is_none() {
            self.desk.tell_of_alert(head.run).await?;
        }
        match engine.drive(head.run, Until::Waiting).await {
            Ok(mut drive) => {
                let mut stop = self.stop.clone();
                let task = self.tasks.spawn(async move {
                    tokio::select! {
                        left = drive.finished() => return left,
                        // The sender is gone only when the server is.
                        _ = stop.wait_for(|stop| *stop) => {}
                    }
                    drive.leave();
                    drive.finished().await
                });
                let incident = head.summary.incident.clone();
                self.driven.insert(task.id(), Driven { run: head.run, incident });
                self.left.remove(&head.run);
            }
            Err(EngineError::Journal(JournalError::Claimed { .. })) => {
                self.leave_alone(head.run, head.seq);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn came_back(&mut self, left: Result<(Id, Result<Run, EngineError>), tokio::task::JoinError>) {
        let (id, outcome) = match left {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), Err(EngineError::Defect(format!("the driver stopped: {error}")))),
        };
        let Some(Driven { run, incident }) = self.driven.remove(&id) else { return };
        self.left_with(run, outcome).instrument(scope(run, incident.as_deref())).await;
    }

    async fn left_with(&mut self, run: RunId, outcome: Result<Run, EngineError>) {
        match outcome {
            Ok(state) if state.ended.is_some() => self.settle(run).await,
            Ok(state) => {
                let wake = state.pending(self.desk.now()).wake;
                self.leave(run, state.seq, wake);
            }
            Err(error) => {
                tracing::warn!(%error, "the run could not be driven on");
                self.leave_alone(run, 0);
            }
        }
    }

    /// Waits for what is under way; what takes longer is looked at by whoever drives the run next.
    async fn hand_over(&mut self) {
        let all = async {
            while let Some(left) = self.tasks.join_next_with_id().await {
                self.came_back(left).await;
            }
        };
        if tokio::time::timeout(HANDING_OVER, all).await.is_err() {
            tracing::warn!(runs = self.driven.len(), "runs were left in the middle of something");
        }
    }

    fn leave(&mut self, run: RunId, seq: u64, wake: Option<Timestamp>) {
        self.left.insert(run, Left { seq, wake, not_before: Timestamp::MIN });
    }

    /// For a while, whatever is written.
    fn leave_alone(&mut self, run: RunId, seq: u64) {
        let again = AGAIN.after(self.desk.now());
        self.left.insert(run, Left { seq, wake: Some(again), not_before: again });
    }

    fn wake(&self) -> Timestamp {
        let next = self.left.values().filter_map(|left| left.wake).min();
        let longest = LONGEST.after(self.desk.now());
        next.map_or(longest, |next| next.min(longest))
    }
}
