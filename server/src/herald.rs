//! Tells people what happens: follows what is written of runs and incidents, and puts a notice into the
//! outbox for what anybody wants to be told. Never in the way of a run: whatever it cannot do, it does
//! later, and each notice has a key by which it is told once.

mod follow_up;

use std::{collections::BTreeMap, sync::Arc, time::Duration as StdDuration};

use runbook_core::{
    Timestamp,
    duration::Duration,
    event::{Body, Event, RunId},
    incident::IncidentId,
    run::{Node, Phase, Run},
};
use runbook_desk::{
    cases::Head,
    kept::{self, Kept},
};
use runbook_journal::{DocumentQuery, Expect, Mark, RunHead, RunQuery, every_run};
use runbook_notify::{Approval, Incident, News, Notice, Outbox, Outcome, Run as Mentioned, Vote};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{problem::Problem, site::Site};

/// However much is written, it looks no more often than this.
const PACE: StdDuration = StdDuration::from_millis(200);
/// How many of the newest runs and incidents it looks at beside those that are open.
const NEWEST: usize = 100;
const OPEN: usize = 1_000;
/// What happened before is not told any more. The outbox remembers for as long what it was given.
const HISTORY: Duration = runbook_notify::KEPT;

/// How far a run or an incident has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    seq: u64,
    pub at: Timestamp,
}

impl Told {
    /// How long that is remembered. What is older is history, and so told to nobody, long before.
    pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
}

impl Kept for Told {
    const KIND: &'static str = "told";
    fn at(&self) -> Timestamp {
        self.at
    }
}

#[derive(Debug)]
pub struct Herald {
    site: Arc<Site>,
    outbox: Outbox,
    /// What ended before is history, which nobody is told.
    since: Timestamp,
    told: BTreeMap<String, u64>,
}

impl Herald {
    pub fn new(site: Arc<Site>, outbox: Outbox) -> Self {
        let since = site.now();
        Self { site, outbox, since, told: BTreeMap::new() }
    }

    /// Follows until it is told to stop.
    pub async fn follow(mut self, mut stop: watch::Receiver<bool>) {
        let mut mark = Mark::default();
        while !*stop.borrow() {
            if let Err(problem) = self.look().await {
                tracing::warn!(why = problem.detail, "what happened is told later");
            }
            let shelf = self.site.shelf().clone();
            tokio::select! {
                stirred = shelf.stirred(mark) => {
                    mark = stirred.unwrap_or(mark);
                    tokio::time::sleep(PACE).await;
                }
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn look(&mut self) -> Result<(), Problem> {
        let mut heads: BTreeMap<RunId, RunHead> = BTreeMap::new();
        for status in ["running", "waiting"] {
            let open = RunQuery { status: Some(status.to_owned()), ..RunQuery::default() };
            let open = every_run(self.site.shelf().as_ref(), open).await?;
            heads.extend(open.into_iter().map(|head| (head.run, head)));
        }
        let newest = RunQuery { limit: NEWEST, ..RunQuery::default() };
        heads.extend(self.site.records.runs(&newest).await?.into_iter().map(|head| (head.run, head)));
        for head in heads.values() {
            self.run(head).await?;
        }
        let mut incidents: BTreeMap<IncidentId, Head> = BTreeMap::new();
        for (state, limit) in [(Some("open"), OPEN), (None, NEWEST)] {
            let query = DocumentQuery { state: state.map(str::to_owned), limit, ..DocumentQuery::default() };
            let found = kept::list::<Head>(self.site.shelf(), query).await?;
            incidents.extend(found.into_iter().map(|found| (found.value.summary.id, found.value)));
        }
        for head in incidents.values() {
            self.incident(head).await?;
        }
        // What is looked at no more is found on the shelf, should it come back.
        self.told.retain(|id, _| {
            id.parse().is_ok_and(|run: RunId| heads.contains_key(&run))
                || id.parse().is_ok_and(|incident: IncidentId| incidents.contains_key(&incident))
        });
        Ok(())
    }

    /// Up to where something was told; nothing where it is history.
    async fn told(&mut self, id: &str, head: u64, updated_at: Timestamp) -> Result<Option<u64>, Problem> {
        let known = match self.told.get(id) {
            Some(seq) => Some(*seq),
            None => kept::find::<Told>(self.site.shelf(), id).await?.map(|found| found.value.seq),
        };
        let is_history = updated_at < self.since || HISTORY.after(updated_at) <= self.site.now();
        let seq = known.unwrap_or(if is_history { head } else { 0 });
        self.told.insert(id.to_owned(), seq);
        Ok((seq < head).then_some(seq))
    }

    async fn has_told(&mut self, id: String, seq: u64) -> Result<(), Problem> {
        let told = Told { seq, at: self.site.now() };
        self.site.shelf().write(vec![kept::put(&id, &told, Expect::Anything)?]).await?;
        self.told.insert(id, seq);
        Ok(())
    }

    async fn run(&mut self, head: &RunHead) -> Result<(), Problem> {
        let id = head.run.to_string();
        let Some(after) = self.told(&id, head.seq, head.updated_at).await? else { return Ok(()) };
        let run = self.site.records.load(head.run).await?;
        let history = self.site.records.history(head.run).await?;
        let incident = self.incident_of(run.created.incident.as_deref()).await?;
        for (event, _) in history.iter().filter(|(event, _)| event.seq > after) {
            let Some(news) = news(&run, event) else { continue };
            let notice = Notice {
                at: event.at,
                environment: Some(run.created.environment.clone()),
                simulated: run.created.simulated.is_some(),
                incident: incident.clone(),
                run: Some(Mentioned { id: run.id, runbook: run.created.runbook.name.clone() }),
                news,
            };
            self.outbox.post(&notice, &format!("{id}/{}", event.seq)).await?;
        }
        let last = history.last().map_or(after, |(event, _)| event.seq);
        self.has_told(id, last).await
    }

    async fn incident_of(&self, id: Option<&str>) -> Result<Option<Incident>, Problem> {
        let Some(id) = id else { return Ok(None) };
        let found = kept::find::<Head>(self.site.shelf(), id).await?;
        Ok(found.map(|found| mentioned(&found.value)))
    }

    async fn incident(&mut self, head: &Head) -> Result<(), Problem> {
        let (id, summary) = (head.summary.id.to_string(), &head.summary);
        let Some(after) = self.told(&id, head.seq, summary.updated_at).await? else { return Ok(()) };
        let state = self.site.desk.incident(summary.id).await?;
        for event in self.site.desk.entries(summary.id, after).await? {
            let key = format!("{id}/{}", event.seq);
            for (part, run, news) in follow_up::all_news(self.site.as_ref(), &state, &event) {
                let notice = Notice {
                    at: event.at,
                    environment: summary.environment.clone(),
                    simulated: self.is_simulated(summary.environment.as_deref()),
                    incident: Some(mentioned(head)),
                    run,
                    news,
                };
                self.outbox.post(&notice, &format!("{key}{part}")).await?;
            }
        }
        self.has_told(id, head.seq).await
    }

    fn is_simulated(&self, environment: Option<&str>) -> bool {
        let all = self.site.project.environments();
        all.iter().any(|one| Some(one.name.as_str()) == environment && one.simulated.is_some())
    }
}

fn mentioned(head: &Head) -> Incident {
    let summary = &head.summary;
    Incident {
        id: summary.id.to_string(),
        title: summary.title.clone(),
        severity: Some(summary.severity.clone()),
    }
}

/// What of a run people may want to be told.
fn news(run: &Run, event: &Event) -> Option<News> {
    Some(match &event.body {
        Body::RunCreated(created) => {
            News::RunStarted { by: event.actor.name.clone(), reason: created.reason.clone() }
        }
        Body::RunEscalated { to } => News::RunEscalated { to: to.clone() },
        Body::RunEnded { status, recovered, reason } => {
            News::RunEnded { status: *status, recovered: *recovered, reason: reason.clone() }
        }
        Body::Asked { step, prompt, from } => {
            News::QuestionAsked { step: step.clone(), prompt: prompt.clone(), from: from.clone() }
        }
        Body::ApprovalRequested { step, gate } => {
            let node = run.node(step)?;
            // A change that was planned anew since is told with the question that is about it.
            let change = node.change.as_deref().filter(|_| node.digest.as_ref() == Some(&gate.digest));
            News::ApprovalRequested(Box::new(Approval::of(step, gate, change, node.step().risk)))
        }
        Body::ApprovalEscalated { step, to, .. } => {
            News::ApprovalEscalated { approval: approval(run.node(step)?)?, to: to.clone() }
        }
        Body::ApprovalGranted { step, .. } => {
            let node = run.node(step)?;
            let open = matches!(node.phase, Phase::Gated(_));
            answered(node, if open { Outcome::Open } else { Outcome::Approved })?
        }
        Body::ApprovalRejected { step, .. } => answered(run.node(step)?, Outcome::Rejected)?,
        Body::ApprovalExpired { step } => answered(run.node(step)?, Outcome::Expired)?,
        Body::PlanVoided { step, .. } => answered(run.node(step)?, Outcome::Void)?,
        _ => return None,
    })
}

fn approval(node: &Node) -> Option<Box<Approval>> {
    let gate = node.gate.as_ref()?;
    Some(Box::new(Approval::of(&node.path, gate, node.change.as_deref(), node.step().risk)))
}

fn answered(node: &Node, outcome: Outcome) -> Option<News> {
    let votes = node.decisions.iter().map(|decision| Vote {
        by: decision.by.name.clone(),
        at: decision.at,
        approved: decision.approved,
        comment: decision.comment.clone(),
    });
    Some(News::ApprovalAnswered { approval: approval(node)?, votes: votes.collect(), outcome })
}
