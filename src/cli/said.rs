//! What a person says to a run from a shell of their own: which of its questions they mean, the
//! conversation about it on a terminal, and who goes on from there.

use std::io::Write as _;

use runbook_core::{
    Timestamp,
    event::Actor,
    run::{Input, Node, Question, Run},
};
use runbook_engine::Engine;
use serde_json::json;

use crate::{
    cli::{
        App, again,
        ask::{Ask, Heard},
        paint::Paint,
        question, run_id,
    },
    config::Config,
    exit::{CliError, Exit},
    person,
    wire::{self, Traced},
};

/// Somebody who says something to a run.
#[derive(Debug)]
pub struct Speaker {
    pub engine: Engine,
    pub me: Actor,
    pub run: Run,
    traced: Traced,
}

/// What kind of question is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Approval,
    Answer,
}

impl Speaker {
    /// The person at this terminal, and the run that they mean.
    pub async fn of(app: &App, run: &str) -> Result<Self, CliError> {
        let config = Config::load(&app.global)?;
        // What is said may end the run, and with it its trace.
        let traced = Traced::over(wire::shelf_to_read(&config).await?, app);
        let engine = wire::records_in(traced.shelf.clone());
        let id = run_id::resolve(&engine, run).await?;
        let run = again::load(&engine, id).await?;
        Ok(Self { engine, me: person::at_the_terminal(), run, traced })
    }

    /// The open question of a step, by its path or the end of it; the only one where none is named.
    pub fn question(&self, step: Option<&str>, wanted: Wanted) -> Result<(&Node, Question<'_>), CliError> {
        let fits = |question: &Question<'_>| {
            matches!(
                (question, wanted),
                (Question::Approval(_), Wanted::Approval) | (Question::Answer(_), Wanted::Answer)
            )
        };
        let open: Vec<(&Node, Question<'_>)> =
            self.run.questions().filter(|(_, question)| fits(question)).collect();
        let named = |(node, _): &&(&Node, Question<'_>)| {
            step.is_none_or(|step| node.path == step || node.path.ends_with(&format!(".{step}")))
        };
        let exact = open.iter().find(|(node, _)| Some(node.path.as_str()) == step);
        let mut meant: Vec<&(&Node, Question<'_>)> = open.iter().filter(named).collect();
        if let Some(exact) = exact {
            meant = vec![exact];
        }
        match meant.as_slice() {
            [(node, question)] => Ok((node, question.clone())),
            [] => Err(self.nothing_open(step, wanted, &open)),
            several => {
                let paths: Vec<&str> = several.iter().map(|(node, _)| node.path.as_str()).collect();
                Err(CliError::invalid(format!("run {} asks {} questions", self.run.id, several.len()))
                    .hint(format!("name the step: {}", paths.join(", "))))
            }
        }
    }

    fn nothing_open(&self, step: Option<&str>, wanted: Wanted, open: &[(&Node, Question<'_>)]) -> CliError {
        let what = match wanted {
            Wanted::Approval => "an approval",
            Wanted::Answer => "an answer",
        };
        let paths: Vec<&str> = open.iter().map(|(node, _)| node.path.as_str()).collect();
        let run = &self.run;
        match (step, paths.as_slice()) {
            (Some(step), []) => {
                CliError::invalid(format!("`{step}` of run {} waits for no {}", run.id, &what[3..]))
                    .hint(format!("the run is {}; `runbook approvals` lists what is open", run.status()))
            }
            (Some(step), paths) => {
                CliError::invalid(format!("`{step}` of run {} waits for no {}", run.id, &what[3..]))
                    .hint(format!("these do: {}", paths.join(", ")))
            }
            (None, _) => CliError::invalid(format!("run {} does not wait for {what}", run.id))
                .hint(format!("it is {}; `runbook approvals` lists what is open", run.status())),
        }
    }

    /// The question in full, for stderr.
    pub fn describe(&self, app: &App, node: &Node, question: &Question<'_>) -> String {
        let paint = Paint::new(app.terminal.colour && app.terminal.stderr);
        let told = question::describe(&self.run, node, question, &self.me, Timestamp::now(), paint);
        app.fitted(&told, app.terminal.stderr)
    }

    /// Asks on the terminal; `None` where the person leaves it open.
    pub async fn converse(
        &self,
        app: &App,
        node: &Node,
        question: &Question<'_>,
    ) -> Result<Option<Input>, CliError> {
        let mut ask = Ask::of(&self.run, node, question, &self.me)
            .map_err(|rejected| CliError::from(runbook_engine::EngineError::from(rejected)))?;
        app.insist(&format!("{}\n", self.describe(app, node, question)));
        loop {
            let Some(line) = line(&ask.prompt()).await? else { return Ok(None) };
            match ask.hear(&line) {
                Heard::Say(input) => return Ok(Some(*input)),
                Heard::Again(why) => app.insist(&why),
                Heard::More => {}
            }
        }
    }

    /// Says it, and tells what became of it and who goes on.
    pub async fn say(
        &self,
        app: &App,
        step: Option<&str>,
        input: Input,
        word: &str,
    ) -> Result<Exit, CliError> {
        let said = self.engine.say(self.run.id, &self.me, input).await;
        self.traced.finish().await;
        let run = said?;
        let driven = self.engine.is_driven(run.id).await?;
        let next = format!("runbook resume {}", run.id);
        let goes_on = run.ended.is_none() && !driven;
        if app.is_json() {
            let document = json!({
                "run": run.id.to_string(),
                "step": step,
                "said": word,
                "by": self.me.name,
                "status": run.status(),
                "driven": driven,
                "next": goes_on.then_some(&next),
            });
            app.print(&format!("{document:#}\n"));
            return Ok(Exit::Success);
        }
        let of = step.map_or_else(|| format!("run {}", run.id), |step| format!("{step} of run {}", run.id));
        app.print(&format!("{word}: {of}\n"));
        if driven {
            app.say("its process goes on from here");
        } else if goes_on {
            app.say(&format!("nobody drives this run; go on with `{next}`"));
        }
        Ok(Exit::Success)
    }
}

/// A line that a person types; `None` at the end of the input.
pub async fn line(prompt: &str) -> Result<Option<String>, CliError> {
    let mut out = std::io::stderr();
    // A terminal that cannot be written to shows in the read that follows.
    let _ = out.write_all(prompt.as_bytes()).and_then(|()| out.flush());
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|length| (length > 0).then_some(line))
    });
    let read =
        read.await.map_err(|error| CliError::failed(format!("the terminal cannot be read: {error}")))?;
    read.map_err(|error| CliError::failed(format!("the terminal cannot be read: {error}")))
}
