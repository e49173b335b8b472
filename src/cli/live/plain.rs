//! A run as lines, one per event, where nobody watches a terminal: for logs, pipes and CI.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use runbook_core::{
    event::{Actor, Body},
    run::{Question, Run},
    timeline,
};
use runbook_engine::{Engine, EngineError};

use crate::cli::{App, paint::Paint, question};

/// What was said so far.
#[derive(Debug)]
pub struct Plain {
    engine: Engine,
    seq: u64,
    /// The last line of each step, so that polling says a thing once.
    last: BTreeMap<String, String>,
    asked: BTreeSet<(String, String)>,
}

impl Plain {
    /// What a run has told before it was taken up again is not told twice.
    pub fn new(engine: Engine, told: u64) -> Self {
        Self { engine, seq: told, last: BTreeMap::new(), asked: BTreeSet::new() }
    }

    /// Says what happened since.
    pub async fn update(&mut self, run: &Run, app: &App) -> Result<(), EngineError> {
        let fresh = usize::try_from(run.seq.saturating_sub(self.seq)).unwrap_or(usize::MAX);
        let events = self.engine.follow(run.id, self.seq).take(fresh);
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let (event, hash) = event?;
            self.seq = event.seq;
            let entry = timeline::entry(&event, &hash, run.id);
            let is_new = match (&event.body, &entry.step) {
                (Body::CheckReturned { .. } | Body::SteadyChecked { .. }, Some(step)) => {
                    self.last.insert(step.clone(), entry.summary.clone()) != Some(entry.summary.clone())
                }
                _ => true,
            };
            if is_new || app.global.verbose > 0 {
                app.say(&timeline::line(&entry));
            }
        }
        Ok(())
    }

    /// Each open question once, with what to type to answer it. It is asked even of those who want
    /// silence: without an answer nothing goes on.
    pub fn ask(&mut self, run: &Run, me: &Actor, app: &App) {
        let now = runbook_core::Timestamp::now();
        for (node, asked) in run.questions() {
            let key = match &asked {
                Question::Approval(gated) => gated.gate.digest.clone(),
                Question::Answer(asking) => format!("{:?}{}", asking.about, asking.prompt),
            };
            if self.asked.insert((node.path.clone(), key)) {
                let told = question::describe(run, node, &asked, me, now, Paint::new(false));
                let commands = question::commands(run.id, node, &asked).join("\n  ");
                app.insist(&format!("\n{told}\n\nanswer from any shell:\n  {commands}\n"));
            }
        }
    }
}
