//! `runbook apply`: run exactly a plan, or refuse and show what has moved.

use std::path::PathBuf;

use runbook_contract::Mode as Hand;
use runbook_core::{
    event::{Created, Hands},
    secret,
};
use serde_json::json;

use crate::{
    cli::{
        App, ending,
        ending::Purpose,
        live,
        run::{begun, foresee},
    },
    config::Config,
    exit::{CliError, Exit},
    person,
    plan_file::{Moved, PlanFile},
    wire::{self, traces},
};

/// Run exactly a plan, or refuse and show what has moved.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook run high-latency --dry-run --plan-out plan.json
  runbook apply plan.json

Every change is planned anew and compared with the plan. Where anything has moved, nothing is
changed, what has moved is shown, and the exit code is 6.")]
pub struct Args {
    /// The file that `runbook run --dry-run --plan-out` wrote
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Why, for the timeline
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Change things in spite of freezes and cool-downs; the reason stands in the timeline
    #[arg(long = "override", requires = "reason")]
    overriding: bool,
    /// Return where it waits for people, with code 3
    #[arg(long)]
    detach: bool,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let plan = PlanFile::read(&args.plan)?;
    let config = Config::load(&app.global)?;
    belongs(&plan, app, &config)?;
    let mut request = plan.request();
    request.reason = args.reason.or(request.reason);
    request.overriding = args.overriding;
    let environment = Some(plan.environment.as_str());
    let moved = {
        let wired = wire::environment(&config, environment, Hand::ReadOnly).await?;
        let foreseen = foresee(app, &config, &wired, &request).await?;
        if foreseen.left {
            return Ok(ending::tell(app, &foreseen, wired.access.writes_sent(), Purpose::Run));
        }
        plan.moved(&foreseen.run)
    };
    if !moved.is_empty() {
        return Ok(refuse(app, &plan, &moved));
    }
    let wired = wire::environment(&config, environment, Hand::ReadWrite).await?;
    let me = person::at_the_terminal();
    let created = request.created(&wired, Hands::Live, Some(plan.digests()));
    let created = Created { trace_parent: traces::cause(), ..created };
    let mode = if args.detach { live::Mode::Detached } else { live::Mode::Attended };
    let watched = begun(app, &config, &wired, created, &me, mode).await?;
    Ok(ending::tell(app, &watched, wired.access.writes_sent(), Purpose::Run))
}

/// A plan is applied where it was made, not in an environment that somebody names today.
fn belongs(plan: &PlanFile, app: &App, config: &Config) -> Result<(), CliError> {
    if app.global.env.as_ref().is_some_and(|asked| *asked != plan.environment) {
        return Err(CliError::invalid(format!("the plan was made for environment `{}`", plan.environment))
            .hint("leave --env out, or make a plan for the other environment"));
    }
    let (_, environment) = config.environment(Some(&plan.environment))?;
    if environment.simulated != plan.simulated {
        return Err(CliError::invalid(format!(
            "environment `{}` is not the one that the plan was made for: one is simulated",
            plan.environment
        ))
        .hint("make a new plan"));
    }
    Ok(())
}

fn refuse(app: &App, plan: &PlanFile, moved: &[Moved]) -> Exit {
    if app.is_json() {
        let document = json!({
            "runbook": plan.runbook.name,
            "environment": plan.environment,
            "simulated": plan.simulated.is_some(),
            "status": "stale",
            "made_at": plan.made_at,
            "writes_sent": 0,
            "moved": moved,
        });
        app.print(&format!("{:#}\n", secret::mask(&document)));
    } else {
        let mut text = format!("the world has moved since the plan was made ({}):\n", plan.made_at);
        for step in moved {
            text.push_str(&format!("  {}\n", step.step));
            for field in &step.fields {
                text.push_str(&format!("    {field}\n"));
            }
        }
        app.print(&secret::mask_text(&text));
    }
    app.insist("nothing was changed; make a new plan with `runbook run NAME --dry-run --plan-out FILE`");
    Exit::Stale
}
