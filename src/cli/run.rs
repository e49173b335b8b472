//! `runbook run`: run a runbook, for real or dry.

use std::path::PathBuf;

use runbook_contract::Mode as Hand;
use runbook_core::{
    Timestamp,
    event::{Actor, Created, Hands},
    incident::IncidentId,
};
use runbook_desk::Start;

use crate::{
    cli::{
        App, desk, ending,
        ending::Purpose,
        live,
        start::{self, Request},
    },
    config::Config,
    exit::{CliError, Exit},
    library::Library,
    person,
    plan_file::PlanFile,
    wire::{self, Traced, Wired, traces},
};

/// Run a runbook, for real or dry.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook run high-latency --dry-run
  runbook run high-latency -i service=api -i replicas=12 --reason 'p95 at 8 s since 14:02'
  runbook run high-latency --incident INC-42 --reason 'rolling back'
  runbook run high-latency --detach --output json
  runbook run high-latency --dry-run --plan-out plan.json && runbook apply plan.json

Exit codes: 0 succeeded or dry-run complete, 1 failed, 2 invalid, 3 waiting for people,
4 failed and undone, 5 stuck, 6 stale plan, 7 not permitted, 130 cancelled.

Ctrl-C cancels the run: what is under way is brought to its end. While a question is open and nothing
is being changed, it leaves the run as it is, for `runbook resume`.")]
pub struct Args {
    /// The runbook
    #[arg(value_name = "NAME")]
    name: String,
    /// An input of the runbook; may be repeated
    #[arg(short = 'i', long = "input", value_name = "KEY=VALUE")]
    inputs: Vec<String>,
    /// A YAML or JSON file of inputs; -i goes before it
    #[arg(long = "inputs", value_name = "FILE")]
    inputs_file: Option<PathBuf>,
    /// Foresee what it would do, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep the plan of a dry-run, for `runbook apply`
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    plan_out: Option<PathBuf>,
    /// The incident that it belongs to: one of `runbook incident list`, or another system's word for it
    #[arg(long, value_name = "INCIDENT")]
    incident: Option<String>,
    /// Why, for the timeline
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Change things in spite of freezes and cool-downs; the reason stands in the timeline
    #[arg(long = "override", requires = "reason")]
    overriding: bool,
    /// Return where it waits for people, with code 3
    #[arg(long, conflicts_with = "dry_run")]
    detach: bool,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let config = Config::load(&app.global)?;
    let environment = app.global.env.as_deref();
    let request = request(&args, &config, environment)?;
    let hand = if args.dry_run { Hand::ReadOnly } else { Hand::ReadWrite };
    let wired = wire::environment(&config, environment, hand).await?;
    if args.dry_run {
        let foreseen = foresee(app, &config, &wired, &request).await?;
        if let (Some(path), false) = (&args.plan_out, foreseen.left) {
            PlanFile::of(&foreseen.run).write(path)?;
            app.say(&format!("kept: run exactly this with `runbook apply {}`", path.display()));
        }
        return Ok(ending::tell(app, &foreseen, wired.access.writes_sent(), Purpose::Run));
    }
    let me = person::at_the_terminal();
    let created = request.created(&wired, Hands::Live, None);
    let created = Created { trace_parent: traces::cause(), ..created };
    let mode = if args.detach { live::Mode::Detached } else { live::Mode::Attended };
    let watched = begun(app, &config, &wired, created, &me, mode).await?;
    Ok(ending::tell(app, &watched, wired.access.writes_sent(), Purpose::Run))
}

/// Runs it here. Where it belongs to an incident, that learns of it with the run's first entry, and of
/// its end.
pub async fn begun(
    app: &App,
    config: &Config,
    wired: &Wired,
    created: Created,
    me: &Actor,
    mode: live::Mode,
) -> Result<live::Watched, CliError> {
    let traced = Traced::open(config, app).await?;
    let watched = launched(app, config, wired, created, me, mode, &traced).await;
    traced.finish().await;
    watched
}

async fn launched(
    app: &App,
    config: &Config,
    wired: &Wired,
    created: Created,
    me: &Actor,
    mode: live::Mode,
    traced: &Traced,
) -> Result<live::Watched, CliError> {
    let engine = wired.engine(traced.shelf.clone());
    let bound = created.incident.as_deref().is_some_and(|id| id.parse::<IncidentId>().is_ok());
    if !bound {
        return live::launch(app, &engine, created, me, mode).await;
    }
    let desk = desk::over(config, traced.shelf.clone())?;
    let start = Start {
        runbook: created.runbook.name.clone(),
        inputs: created.inputs.clone(),
        environment: created.environment.clone(),
        alert: created.alert.clone(),
        incident: created.incident.clone(),
        reason: created.reason.clone(),
        trace_parent: created.trace_parent.clone(),
    };
    let keep = async |run, first| Ok::<_, CliError>(desk.enter(run, first, &start, me).await?);
    let watched = live::launch_with(app, &engine, created, me, mode, keep).await?;
    desk::settled(app, config, &watched.run).await;
    Ok(watched)
}

/// The runbook by its name, checked, with the inputs resolved.
fn request(args: &Args, config: &Config, environment: Option<&str>) -> Result<Request, CliError> {
    config.environment(environment)?;
    let library = Library::of(config, &wire::catalog(config, environment))?;
    let runbook = library.checked(&args.name)?.clone();
    let inputs = start::inputs(&runbook, &args.inputs, args.inputs_file.as_ref())?;
    Ok(Request {
        library: library.closure(&args.name),
        runbook,
        inputs,
        reason: args.reason.clone(),
        overriding: args.overriding,
        incident: args.incident.as_deref().map(desk::spelled),
        planned_at: args.plan_out.as_ref().map(|_| Timestamp::now()),
    })
}

/// A dry-run: over transports that cannot write, in a journal that nobody keeps. Of the store it only
/// reads what other runs hold; it goes on where there is none that can be read.
pub async fn foresee(
    app: &App,
    config: &Config,
    wired: &Wired,
    request: &Request,
) -> Result<live::Watched, CliError> {
    let others = wire::journal(config, true).await.unwrap_or_else(|error| {
        app.say(&format!("warning: what other runs hold is not known: {error}"));
        wire::memory()
    });
    let engine = wired.foreseer(others);
    let me = person::at_the_terminal();
    let created = request.created(wired, Hands::DryRun, None);
    live::launch(app, &engine, created, &me, live::Mode::Foreseen).await
}
