//! `runbook serve`: webhooks, the API, pages.

use std::net::SocketAddr;

use crate::{
    cli::App,
    config::Config,
    exit::{CliError, Exit},
    log,
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
    log::begin(app);
    let config = Config::load(&app.global)?;
    serve::run(config, &Asked { listen: args.listen, no_login: args.no_login }, app).await
}
