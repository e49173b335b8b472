//! Runs of a real playbook, played once in its simulated environment: what the many are made of.

use std::time::Duration;

use runbook_contract::Mode;
use runbook_core::{
    Timestamp,
    event::{Actor, Body, Channel, Created, Event, Hands, Record, RunId, genesis},
    inputs,
    run::{Input, Question, Run},
};
use runbook_engine::{Engine, Until};
use runbook_journal::Batch;
use serde_json::json;
use uuid::Uuid;

use crate::{
    cli::{bench::scratch::unusable, start::Request},
    config::Config,
    exit::CliError,
    library::Library,
    wire,
};

/// The longest that a run may take to its question, or to its end.
const PATIENCE: Duration = Duration::from_secs(120);

/// The playbook that is played.
pub const PLAYBOOK: &str = "high-latency";

/// The entries of a run as one that was played had them.
#[derive(Debug, Clone)]
pub struct Template(Vec<Event>);

/// What the project's runs are made of.
#[derive(Debug)]
pub struct Templates {
    /// Waits for an approval.
    pub waiting: Template,
    /// Went to its end.
    pub ended: Template,
}

impl Templates {
    /// Plays the playbook as far as it goes alone, approves what it asks, and plays on.
    pub async fn play(config: &Config) -> Result<Self, CliError> {
        let told = |why: String| unusable(&why);
        let wired = wire::environment(config, None, Mode::ReadWrite).await?;
        let library = Library::of(config, &wire::catalog(config, None))?;
        let runbook = library.checked(PLAYBOOK)?.clone();
        let inputs = inputs::resolve(&runbook.inputs, &json!({}));
        let request = Request {
            library: library.closure(PLAYBOOK),
            runbook,
            inputs: inputs.map_err(|_| told(format!("{PLAYBOOK} wants inputs")))?,
            reason: Some("p95 is at 2.4 s".to_owned()),
            overriding: false,
            incident: None,
            planned_at: None,
        };
        let engine = wired.engine(wire::memory());
        let actor = Actor { name: "alice".to_owned(), how: Channel::Web };
        let created = request.created(&wired, Hands::Live, None);
        let run = engine.start(created, actor).await?;
        let mut state = driven(&engine, run).await?;
        let waiting = Template::of(&engine, run).await?;
        while state.ended.is_none() {
            let Some((step, digest)) = asked(&state) else {
                return Err(told("the playbook asks for more than approvals".to_owned()));
            };
            let approver = Actor { name: "bob".to_owned(), how: Channel::Web };
            let yes = Input::Approve { step, digest, comment: None, break_glass: false };
            engine.say(run, &approver, yes).await?;
            state = driven(&engine, run).await?;
        }
        match state.status() {
            "succeeded" => Ok(Self { waiting, ended: Template::of(&engine, run).await? }),
            other => Err(told(format!("the playbook ended as {other}"))),
        }
    }
}

async fn driven(engine: &Engine, run: RunId) -> Result<Run, CliError> {
    let mut drive = engine.drive(run, Until::Waiting).await?;
    let driven = tokio::time::timeout(PATIENCE, drive.finished()).await;
    Ok(driven.map_err(|_| unusable(&"the playbook does not come to its end"))??)
}

fn asked(run: &Run) -> Option<(String, String)> {
    run.questions().find_map(|(node, question)| match question {
        Question::Approval(gated) => Some((node.path.clone(), gated.gate.digest.clone())),
        Question::Answer(_) => None,
    })
}

impl Template {
    async fn of(engine: &Engine, run: RunId) -> Result<Self, CliError> {
        Ok(Self(engine.history(run).await?.into_iter().map(|(event, _)| event).collect()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first event of a run of an incident.
    pub fn created(&self, incident: Option<String>) -> Result<Created, String> {
        match self.0.first().map(|event| &event.body) {
            Some(Body::RunCreated(created)) => Ok(Created { incident, ..(**created).clone() }),
            _ => Err("a run begins with its creation".to_owned()),
        }
    }

    /// The same run, told at greater length: one that looks again and again.
    pub fn longer(&self, entries: usize) -> Result<Self, CliError> {
        let repeats =
            (1..self.0.len()).rev().find(|at| self.repeated(*at, 2).folded(RunId::new(Uuid::nil())).is_ok());
        let at = repeats.ok_or_else(|| unusable(&"nothing of the playbook can happen twice"))?;
        Ok(self.repeated(at, entries.saturating_sub(self.len())))
    }

    fn repeated(&self, at: usize, times: usize) -> Self {
        let (before, after) = self.0.split_at(at + 1);
        let again = before.last().into_iter().cycle().take(times);
        let mut events: Vec<Event> = before.iter().chain(again).chain(after).cloned().collect();
        for (seq, event) in (1..).zip(&mut events) {
            event.seq = seq;
        }
        Self(events)
    }

    fn folded(&self, id: RunId) -> Result<Run, CliError> {
        let mut events = self.0.iter();
        let first = events.next().ok_or_else(|| unusable(&"a run without entries"))?;
        let mut run = Run::begin(id, first).map_err(|error| unusable(&error))?;
        events.try_for_each(|event| run.apply(event)).map_err(|error| unusable(&error))?;
        Ok(run)
    }

    /// What follows upon the first record of a run that has begun like this one.
    pub fn rest(&self, id: RunId, first: &Record) -> Result<Batch, CliError> {
        let created: Event = first.open().map_err(|error| unusable(&error))?;
        let begun = self.0.first().map_or(created.at, |event| event.at);
        let mut told = self.clone();
        for event in &mut told.0 {
            event.at = later(created.at, begun, event.at);
        }
        if let Some(first) = told.0.first_mut() {
            *first = created;
        }
        let run = told.folded(id)?;
        let events = told.0.get(1..).unwrap_or_default();
        let records = Record::seal_all(events, &first.hash).map_err(|error| unusable(&error))?;
        debug_assert!(first.follows(&genesis(id)));
        Ok(Batch { run: id, after: 1, records, summary: run.summary() })
    }
}

/// As long after another beginning.
fn later(begun: Timestamp, was_begun: Timestamp, at: Timestamp) -> Timestamp {
    begun.checked_add(at.duration_since(was_begun)).unwrap_or(begun)
}
