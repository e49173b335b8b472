//! `runbook world`: start a simulated environment.

use std::{
    fs::OpenOptions,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use runbook_world::{Options, World, scenarios};
use serde_json::json;

use crate::{
    cli::{App, paint::Paint, table::Table},
    config::Config,
    exit::{CliError, Exit},
    wire,
};

/// Start a simulated environment: Kubernetes, Prometheus, AWS, flags and chat on loopback.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook world                               # which scenarios there are
  runbook world high-latency                  # kubectl and curl can look at it, until Ctrl-C
  runbook world high-latency --reset          # set it back to how it was in the beginning

In a project it is the very world that `runbook run` acts upon in a simulated environment: its state
is kept beside the store. Until something is changed in it, a world that was left alone for a while
tells its incident as if it had just begun.")]
pub struct Args {
    /// The scenario; all are listed where it is left out
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Where it listens; loopback and a free port, if not given
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// How much faster than real time it runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    speed: u32,
    /// Set it back, and do not start it
    #[arg(long)]
    reset: bool,
    /// Where its state is kept; beside the project's store, if not given, and nowhere without a project
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let state = match &args.state {
        Some(folder) => Some(folder.clone()),
        None => project_state(app)?,
    };
    if args.reset {
        return reset(args.scenario, state, app);
    }
    let Some(scenario) = args.scenario else { return Ok(list(app)) };
    let options = Options {
        scenario,
        state,
        speed: args.speed,
        listen: args.listen.unwrap_or(Options::default().listen),
    };
    let world = World::start(options.clone()).await?;
    let kubeconfig = Kubeconfig::write(&options, &world)?;
    tell(app, &options, &world, &kubeconfig.path);
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| CliError::failed(format!("signals cannot be listened for: {error}")))?;
    app.say("\nthe simulated world has stopped; its state is kept where there is a place for it");
    world.shutdown().await;
    Ok(Exit::Success)
}

/// The folder that a project's simulated environments use; none outside a project.
fn project_state(app: &App) -> Result<Option<PathBuf>, CliError> {
    if app.global.config.is_none() && !Config::is_near() {
        return Ok(None);
    }
    wire::world_folder(&Config::load(&app.global)?).map(Some)
}

fn reset(scenario: Option<String>, state: Option<PathBuf>, app: &App) -> Result<Exit, CliError> {
    let state = state.ok_or_else(|| {
        CliError::invalid("there is no state to set back: this is no project")
            .hint("name its folder with --state DIR")
    })?;
    let scenario = match scenario {
        Some(scenario) => scenario,
        None => simulated_here(app)?,
    };
    runbook_world::reset(&state, &scenario)?;
    app.print(&format!("the simulated world {scenario} is as it was in the beginning\n"));
    Ok(Exit::Success)
}

/// The scenario of the environment that is meant.
fn simulated_here(app: &App) -> Result<String, CliError> {
    let config = Config::load(&app.global)?;
    let (name, environment) = config.environment(app.global.env.as_deref())?;
    environment.simulated.clone().ok_or_else(|| {
        CliError::invalid(format!("environment `{name}` is not a simulated one"))
            .hint("name the scenario, or a simulated environment with --env")
    })
}

fn list(app: &App) -> Exit {
    if app.is_json() {
        let list: Vec<_> = scenarios()
            .into_iter()
            .map(|one| {
                json!({ "name": one.name, "title": one.title, "summary": one.summary, "playbook": one.playbook, "cure": one.cure })
            })
            .collect();
        app.print(&format!("{:#}\n", json!(list)));
        return Exit::Success;
    }
    let mut table = Table::new(["scenario", "playbook", "what is wrong"]);
    for one in scenarios() {
        table.row([one.name.into(), one.playbook.into(), one.title.into()]);
    }
    app.print(&table.render(Paint::stdout(app)));
    Exit::Success
}

/// The file that kubectl reads. One outside a state folder goes with the world.
struct Kubeconfig {
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl Kubeconfig {
    fn write(options: &Options, world: &World) -> Result<Self, CliError> {
        let (folder, temporary) = match &options.state {
            Some(folder) => (folder.clone(), None),
            None => {
                let folder = std::env::temp_dir().join(format!("runbook-world-{}", std::process::id()));
                (folder.clone(), Some(folder))
            }
        };
        let path = folder.join(format!("{}.kubeconfig", options.scenario));
        let written = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .and_then(|()| private(&path)?.write_all(world.kubeconfig().as_bytes()));
        written.map_err(|error| {
            CliError::failed(format!("the kubeconfig could not be written to {}: {error}", path.display()))
                .hint("name another folder with --state DIR")
        })?;
        Ok(Self { path, temporary })
    }
}

fn private(path: &Path) -> std::io::Result<std::fs::File> {
    // A file that is there keeps its mode, so it is made anew.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        if let Some(folder) = &self.temporary {
            // What stays behind in a folder for temporary files harms nobody.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn tell(app: &App, options: &Options, world: &World, kubeconfig: &Path) {
    if app.is_json() {
        let document = json!({
            "simulated": true,
            "scenario": options.scenario,
            "speed": world.speed(),
            "kubeconfig": kubeconfig,
            "kubernetes": world.base_url(),
            "prometheus": world.prometheus_url(),
            "flags": world.flags_url(),
            "flags_token": world.flags_token(),
            "services": world.services_url(),
            "slack": world.slack_url(),
            "aws": world.aws_url(),
            "aws_region": world.aws_region(),
            "aws_access_key_id": world.aws_keys().0,
            "aws_secret_access_key": world.aws_keys().1,
            "state": options.state,
        });
        app.print(&format!("{document:#}\n"));
        return;
    }
    let paint = Paint::stdout(app);
    let head = format!("simulated world {}, time x{}: nothing here is real", options.scenario, world.speed());
    let state = options.state.as_ref().map_or_else(
        || "in memory, gone with this process".to_owned(),
        |folder| folder.display().to_string(),
    );
    app.print(&format!(
        "{}\n\nkubeconfig  {kubeconfig}\nkubernetes  {}\nprometheus  {}\nflags       {} (token {})\n\
         services    {}\nslack       {}\naws         {} (region {}, access key {}, secret {})\nstate       {state}\n\n\
         KUBECONFIG={kubeconfig} kubectl get pods\ncurl {}/api/health\n",
        paint.heading(head),
        world.base_url(),
        world.prometheus_url(),
        world.flags_url(),
        world.flags_token(),
        world.services_url(),
        world.slack_url(),
        world.aws_url(),
        world.aws_region(),
        world.aws_keys().0,
        world.aws_keys().1,
        world.services_url(),
        kubeconfig = kubeconfig.display(),
    ));
    app.say("Ctrl-C stops it");
}
