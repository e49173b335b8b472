//! `runbook show`: show one run, step by step.

use runbook_core::{report, run::Run};

use crate::{
    cli::{App, paint::Paint, question, reading, run_id},
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
    app.print(&app.fitted(&report::text(&run, Paint::stdout(app).is_on()), app.terminal.stdout));
    // Where nobody can tell, nothing is said.
    let driven = engine.is_driven(id).await.unwrap_or(true);
    if let Some(lines) = next(&run, driven) {
        app.say(&lines);
    }
    Ok(Exit::Success)
}

/// What can be typed next, for a run that has not ended.
fn next(run: &Run, driven: bool) -> Option<String> {
    if run.ended.is_some() {
        return None;
    }
    let questions = run.questions();
    let mut commands: Vec<String> =
        questions.flat_map(|(node, question)| question::commands(run.id, node, &question)).collect();
    let title = match (driven, commands.is_empty()) {
        (true, true) => return None,
        (true, false) => "answer from any shell:",
        (false, true) => "nobody drives this run; go on with it:",
        (false, false) => "nobody drives this run; answer, then go on:",
    };
    if !driven {
        commands.push(format!("runbook resume {}", run.id));
    }
    Some(format!("\n{title}\n  {}", commands.join("\n  ")))
}
