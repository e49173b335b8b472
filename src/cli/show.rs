//! `runbook show`: show one run, step by step.

use runbook_core::{
    report,
    run::{About, Question, Run},
};

use crate::{
    cli::{App, paint::Paint, reading, run_id},
    exit::{CliError, Exit},
};

/// Show one run, step by step.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook show latest
  runbook show run_01k9f3
  runbook show latest --output json | jq '.steps[] | {id, status}'")]
pub struct Args {
    /// A run: its id, the beginning of its id, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    run: String,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let engine = reading::engine(app).await?;
    let id = run_id::resolve(&engine, &args.run).await?;
    let run = engine.load(id).await?;
    if app.is_json() {
        let document = report::document(&run, u64::from(run.mutations));
        app.print(&format!("{document:#}\n"));
        return Ok(Exit::Success);
    }
    app.print(&report::text(&run, Paint::stdout(app).is_on()));
    for what_next in next(&run, engine.is_driven(id).await.unwrap_or(true)) {
        app.say(&what_next);
    }
    Ok(Exit::Success)
}

/// What can be typed next, for a run that has not ended.
fn next(run: &Run, driven: bool) -> Vec<String> {
    if run.ended.is_some() {
        return Vec::new();
    }
    let mut lines: Vec<String> =
        run.questions().map(|(node, question)| to_answer(run, &node.path, &question)).collect();
    if !driven {
        let why = if lines.is_empty() { "nobody drives this run" } else { "then, as nobody drives this run" };
        lines.push(format!("{why}: `runbook resume {}`", run.id));
    }
    lines
}

/// The command that answers a question.
pub fn to_answer(run: &Run, step: &str, question: &Question<'_>) -> String {
    let id = run.id;
    match question {
        Question::Approval(_) => format!("`runbook approve {id} {step}`, or `runbook reject {id} {step}`"),
        Question::Answer(asking) => {
            let values = match asking.about {
                About::Choice => "OPTION",
                About::Manual => "done|failed|skipped",
                About::Doubt => "happened|did-not-happen|stop",
                About::Conflict => "proceed|stop",
            };
            format!("`runbook answer {id} {step} {values}`")
        }
    }
}
