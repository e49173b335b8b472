//! `runbook serve`: webhooks, the API, pages.

use std::{io::IsTerminal as _, net::SocketAddr};

use tracing_subscriber::EnvFilter;

use crate::{
    cli::App,
    config::Config,
    exit::{CliError, Exit},
    serve::{self, Asked},
};

/// Serve webhooks, the API and pages, and drive the runs that they start.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook serve                         # http://127.0.0.1:8080/, and a link to sign in
  runbook serve --listen 127.0.0.1:9000
  runbook serve --no-login              # on this machine, everybody is you
  RUNBOOK_LOG=info runbook serve        # structured logs on stderr

It listens on loopback unless told otherwise; beyond that it takes TLS (`server.tls`, or a proxy named by
`server.public_url`). SIGHUP reads the configuration, runbooks, secrets and certificates anew, all or nothing; SIGTERM brings what
is under way to its end.")]
pub struct Args {
    /// Where to listen; else `server.listen` of the configuration; else 127.0.0.1:8080
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Ask nobody to sign in; on loopback only
    #[arg(long)]
    no_login: bool,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    log(app);
    let config = Config::load(&app.global)?;
    serve::run(config, &Asked { listen: args.listen, no_login: args.no_login }, app).await
}

/// Logs for programs where nobody watches, lines for people where somebody does.
fn log(app: &App) {
    let usual = match app.global.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("RUNBOOK_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
    if let Err(error) = set {
        app.say(&format!("logs go elsewhere: {error}"));
    }
}
