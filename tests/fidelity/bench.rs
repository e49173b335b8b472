//! The engine as it ships, over the provider as it ships, against a real server behind a proxy:
//! one scenario is foreseen, made, and taken back. A provider comes in as a [`Stage`].

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runbook_contract::{Access, Action, Mode, Registry};
use runbook_core::{
    Timestamp, Value,
    change::Change,
    event::{Actor, Answer, Created, Hands},
    policy::Policy,
    report::document,
    run::{About, Input, Question, Run},
    runbook::Runbook,
};
use runbook_engine::{Engine, NoSecrets, Setup, System, Until};
use runbook_journal::Memory;
use serde_json::json;

use crate::proxy::{Proxy, Write};

/// Where a scenario plays: one provider, its server behind a proxy, and what is looked at there.
#[async_trait]
pub trait Stage: Sync {
    /// The provider's actions, over a connection through the proxy.
    fn actions(&self, access: &Arc<Access>) -> Vec<Arc<dyn Action>>;
    fn proxy(&self) -> &Proxy;
    /// Everything that the scenario may change, asked of the server past the proxy; without what
    /// the server keeps its books with.
    async fn image(&self) -> Value;
    /// The same as it would be after a change.
    fn foreseen(&self, image: &Value, change: &Change) -> Value;
    /// How many of these writes changed anything.
    fn effects(&self, writes: &[Write]) -> usize;
    /// Outputs of reads that time alone moves, so that nobody foresees them.
    fn clocks(&self) -> &'static [&'static str] {
        &[]
    }
    /// What the environment limits, by action.
    fn limits(&self) -> BTreeMap<String, Value>;
}

/// What a person was asked beyond approvals.
pub type Asked = Vec<String>;

pub struct Bench<'a> {
    stage: &'a dyn Stage,
    /// The same for the dry-run and the live run, as with a plan file.
    planned_at: Timestamp,
    live: Engine,
}

/// A minute for a change to be complete.
const SPEED: u32 = 10;
const ASKS: &str = "alice";
const APPROVES: &str = "bob";

impl<'a> Bench<'a> {
    pub fn on(stage: &'a dyn Stage) -> Self {
        Self { stage, planned_at: Timestamp::now(), live: engine(stage, Mode::ReadWrite) }
    }

    pub async fn foresee(&self, steps: &Value) -> Run {
        let engine = engine(self.stage, Mode::ReadOnly);
        let id = engine.start(self.created(steps, Hands::DryRun), Actor::cli(ASKS)).await.unwrap();
        engine.drive(id, Until::Ended).await.unwrap().finished().await.unwrap()
    }

    /// The run as it ended, and what it asked on the way.
    pub async fn make(&self, steps: &Value) -> (Run, Asked) {
        let id = self.live.start(self.created(steps, Hands::Live), Actor::cli(ASKS)).await.unwrap();
        self.to_the_end(id).await
    }

    pub async fn take_back(&self, run: &Run) -> (Run, Asked) {
        self.live.say(run.id, &Actor::cli(ASKS), Input::Undo { reason: None }).await.unwrap();
        self.to_the_end(run.id).await
    }

    /// Approves whatever waits for it, as the person who may; of anything else says to stop.
    async fn to_the_end(&self, id: runbook_core::event::RunId) -> (Run, Asked) {
        let mut asked = Asked::new();
        loop {
            let mut drive = self.live.drive(id, Until::Waiting).await.unwrap();
            let run = drive.finished().await.unwrap();
            if run.ended.is_some() {
                return (run, asked);
            }
            for (node, question) in run.questions() {
                let step = node.path.clone();
                let input = match question {
                    Question::Approval(gated) => Input::Approve {
                        step,
                        digest: gated.gate.digest.clone(),
                        comment: None,
                        break_glass: false,
                    },
                    Question::Answer(asking) => {
                        assert!(matches!(asking.about, About::Doubt | About::Conflict), "{asking:?}");
                        asked.push(format!("{step}: {}", asking.prompt));
                        Input::Answer { step, answer: Answer::Stop }
                    }
                };
                self.live.say(id, &Actor::cli(APPROVES), input).await.unwrap();
            }
        }
    }

    fn created(&self, steps: &Value, hands: Hands) -> Created {
        let runbook = json!({"apiVersion": "runbook/v1", "name": "scenario", "steps": steps});
        let runbook: Runbook = serde_json::from_value(runbook).unwrap();
        let groups = BTreeMap::from([("sre".to_owned(), vec![APPROVES.to_owned()])]);
        Created {
            runbook: runbook.into(),
            library: BTreeMap::new(),
            inputs: json!({}),
            environment: "fidelity".to_owned(),
            simulated: None,
            speed: SPEED,
            hands,
            policy: Policy { groups, ..Policy::default() },
            reason: None,
            incident: None,
            alert: Value::Null,
            trace_parent: None,
            bound_to: None,
            planned_at: Some(self.planned_at),
            overriding: false,
        }
    }
}

fn engine(stage: &dyn Stage, mode: Mode) -> Engine {
    Engine::new(Setup {
        journal: Arc::new(Memory::new()),
        registry: Registry::default().with(stage.actions(&Access::new(mode))),
        secrets: Arc::new(NoSecrets),
        limits: stage.limits(),
        clock: Arc::new(System),
        owner: "fidelity/1".to_owned(),
    })
}

/// The document of a run, as `runbook show` prints it.
pub fn told(run: &Run) -> Value {
    document(run, 0)
}
