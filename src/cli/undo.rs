//! `runbook undo`: take the changes of an ended run back.

use runbook_contract::Mode;
use runbook_core::{
    Timestamp, Value,
    change::{Planned, Validation},
    fault::Fault,
    report,
    run::{Input, Run},
    secret,
};
use serde_json::json;

use crate::{
    cli::{
        App, again, desk, ending,
        ending::Purpose,
        live,
        paint::{Paint, Tone, one_line},
        run_id,
    },
    config::Config,
    exit::{CliError, Exit},
    person,
    wire::{self, Traced},
};

/// Take the changes of an ended run back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook undo latest --dry-run
  runbook undo run_01k9f3 --reason 'the old version leaks'

The last change is taken back first. Each that needed an approval needs one again; where somebody else
has changed the target since, a person is asked.")]
pub struct Args {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,
    /// Show what it would do, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Why, for the timeline
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Return where it waits for people, with code 3
    #[arg(long, conflicts_with = "dry_run")]
    detach: bool,
}

type Foreseen = (String, Result<(Planned, Validation), Fault>);

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let config = Config::load(&app.global)?;
    let records = wire::records(&config, true).await?;
    let run = again::load(&records, run_id::resolve(&records, &args.run).await?).await?;
    let me = person::at_the_terminal();
    let input = Input::Undo { reason: args.reason };
    if args.dry_run {
        // Whether there is anything to undo at all, said in the same words.
        run.decide(input, &me, Timestamp::now()).map_err(runbook_engine::EngineError::from)?;
        let wired = again::environment(app, &config, &run, Mode::ReadOnly).await?;
        let foreseen = wired.engine(wire::memory()).foresee_undo(&run).await;
        return Ok(show(app, &run, &foreseen, wired.access.writes_sent()));
    }
    let wired = again::environment(app, &config, &run, Mode::ReadWrite).await?;
    let traced = Traced::open(&config, app).await?;
    let engine = wired.engine(traced.shelf.clone());
    engine.say(run.id, &me, input).await?;
    let mode = if args.detach { live::Mode::Detached } else { live::Mode::Attended };
    let watched = live::drive(app, &engine, run.id, &me, mode).await;
    traced.finish().await;
    let watched = watched?;
    desk::settled(app, &config, &watched.run).await;
    Ok(ending::tell(app, &watched, wired.access.writes_sent(), Purpose::Undo))
}

fn show(app: &App, run: &Run, foreseen: &[Foreseen], writes_sent: u64) -> Exit {
    let left = run.undo_outlook(Timestamp::now()).left;
    if app.is_json() {
        let document = json!({
            "run": run.id.to_string(),
            "environment": run.created.environment,
            "simulated": run.created.simulated.is_some(),
            "dry_run": true,
            "writes_sent": writes_sent,
            "undo": foreseen.iter().map(document).collect::<Vec<_>>(),
            "left": left,
        });
        app.print(&format!("{:#}\n", secret::mask(&document)));
        return Exit::Success;
    }
    let paint = Paint::stdout(app);
    let simulated = if run.created.simulated.is_some() { " (simulated)" } else { "" };
    let mut text = format!("dry-run of the undo of {} in {}{simulated}\n\n", run.id, run.created.environment);
    for one in foreseen {
        text.push_str(&told(one, paint));
    }
    if let Some(left) = left {
        text.push_str(&format!("{}\n", one_line(&left)));
    }
    text.push_str("\nnothing was changed.\n");
    app.print(&secret::mask_text(&text));
    Exit::Success
}

fn told((step, outcome): &Foreseen, paint: Paint) -> String {
    match outcome {
        Ok((Planned::Change(change), validation)) => {
            let diff = report::diff(change);
            let diff = if paint.is_on() { report::paint(&diff) } else { diff };
            let diff: String = diff.lines().map(|line| format!("    {line}\n")).collect();
            let warnings: String = validation
                .warnings
                .iter()
                .map(|warning| format!("  warning  {}\n", one_line(warning)))
                .collect();
            format!(
                "{}  {} ({})\n  on {}\n{diff}{warnings}",
                paint.heading(step),
                one_line(&change.summary),
                validation.grade,
                change.target
            )
        }
        Ok((Planned::Already { summary, .. }, _)) => {
            format!("{}  nothing to take back: {}\n", paint.heading(step), one_line(summary))
        }
        Err(fault) => {
            let hint =
                fault.hint.as_deref().map(|hint| format!("\n  hint: {}", one_line(hint))).unwrap_or_default();
            let why = paint.tone(Tone::Bad, one_line(&fault.message));
            format!("{}  could not be taken back as it is now: {why}{hint}\n", paint.heading(step))
        }
    }
}

fn document((step, outcome): &Foreseen) -> Value {
    match outcome {
        Ok((Planned::Change(change), validation)) => json!({
            "step": step,
            "verdict": "would_run",
            "grade": validation.grade,
            "warnings": validation.warnings,
            "target": change.target.name,
            "change": {
                "summary": change.summary,
                "before": change.before,
                "after": change.after,
                "diff": report::diff(change),
                "request": change.request,
                "digest": change.digest(),
            },
        }),
        Ok((Planned::Already { summary, .. }, _)) => {
            json!({ "step": step, "verdict": "would_skip", "reason": summary })
        }
        Err(fault) => json!({ "step": step, "verdict": "would_wait", "error": fault }),
    }
}
