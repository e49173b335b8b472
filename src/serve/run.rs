//! The server from its start to its end: everything is opened before it says that it is there, and
//! handed over before it goes.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum_server::Handle;
use futures::future::join_all;
use runbook_desk::{Desk, Supervised};
use runbook_engine::System;
use runbook_identity::cookies::Transport;
use runbook_journal::{Observed, Shelf};
use runbook_notify::Outbox;
use runbook_server::{
    Counters, Herald, Limits, Open, Project as _, Settings, Site, Sweeper, Waiting, Ways, tls::Tls,
};
use runbook_telemetry::{Exporter, Follower};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use url::Url;

use super::{Served, detectors::Detectors, project::Reached, ways};
use crate::{
    cli::{App, sign_in},
    config::Config,
    exit::{CliError, Exit},
    person,
    wire::{self, doors},
};

/// How long requests may take that have begun when the server stops.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// How long the collector may take for the spans that are left when the server stops.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// How the server was asked to be.
#[derive(Debug, Clone)]
pub struct Asked {
    pub listen: Option<SocketAddr>,
    pub no_login: bool,
}

/// Serves until it is told to stop.
pub async fn run(config: Config, asked: &Asked, app: &App) -> Result<Exit, CliError> {
    let signals = Signals::listen()?;
    let listen = asked.listen.or(config.server.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let listener = listener(listen)?;
    let listen = listener.local_addr().unwrap_or(listen);
    let (transport, public_url) = reached(&config, listen, asked.no_login)?;
    let terms = config.server.tls.as_ref().map(ways::terms).transpose()?;
    let tls = terms.map(|terms| Tls::new(terms, public_url.clone()));
    let mut hooks = doors::open(&config)?;
    let oidc = ways::oidc(&config)?;
    let (counters, traces) = (Arc::new(Counters::default()), wire::traces::exporter(app));
    let (shelf, follower) = observed(&config, &counters, traces.clone()).await?;
    let outbox = outbox(&config, &shelf, &public_url)?;
    let ways = Arc::new(Ways::default());
    let reached = Reached { ways: ways.clone(), outbox: outbox.clone(), tls: tls.clone() };
    let served = Arc::new(Served::new(config.clone(), shelf.clone(), reached)?);
    let desk = Desk::new(shelf.clone(), served.clone(), Arc::new(System));
    let (stop, stopping) = watch::channel(false);
    let supervised = watch::Sender::new(Supervised::default());
    let detectors = Detectors::open(&config, &served, &shelf, &mut hooks).await?;
    ways.replace(Open { hooks, oidc });
    let site = Arc::new(Site {
        settings: Settings {
            transport,
            open_as: asked.no_login.then(|| person::at_the_terminal().name),
            public_url,
            proxies: config.server.proxies.clone(),
            version: env!("CARGO_PKG_VERSION"),
        },
        project: served.clone(),
        desk: desk.clone(),
        records: wire::records_in(shelf.clone()),
        ways,
        clock: Arc::new(System),
        outbox: outbox.clone(),
        counters,
        traces,
        limits: Limits::default(),
        devices: Waiting::default(),
        supervised: supervised.subscribe(),
        stopping: stopping.clone(),
    });
    let (watches, retired) = detectors.watches(&site);
    let counted = site.clone();
    greet(&site, &config, app).await?;
    let herald = Herald::new(site.clone(), outbox.clone());
    let sweeper = Sweeper::new(site.clone(), config.server.retention.meant());
    let handle = Handle::new();
    let router = runbook_server::router(site);
    let http = async {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        match tls {
            Some(tls) => {
                axum_server::from_tcp(listener)?.acceptor(tls).handle(handle.clone()).serve(service).await
            }
            None => axum_server::from_tcp(listener)?.handle(handle.clone()).serve(service).await,
        }
    };
    let end = async {
        signals.until_told(&served, app).await;
        stop.send_replace(true);
        handle.graceful_shutdown(Some(LAST_REQUESTS));
    };
    let watching = join_all(watches.iter().map(|watch| watch.watch(stopping.clone())));
    let counting = join_all(watches.iter().map(|watch| counted.count_rounds(watch, stopping.clone())));
    let retiring = join_all(retired.iter().map(|watch| watch.retire(stopping.clone())));
    let (done, (), (), (), (), (), (), _, _, _) = tokio::join!(
        http,
        herald.follow(stopping.clone()),
        sweeper.keep_tidy(stopping.clone()),
        outbox.deliver(stopping.clone()),
        desk.work(stopping.clone()),
        desk.supervise(stopping.clone(), &supervised),
        end,
        watching,
        counting,
        retiring,
    );
    follower.finish(LAST_SPANS).await;
    done.map_err(|error| CliError::failed(format!("the server stopped: {error}")))?;
    Ok(Exit::Success)
}

/// The store, with somebody who counts and traces what is journaled in it.
async fn observed(
    config: &Config,
    counters: &Arc<Counters>,
    traces: Option<Exporter>,
) -> Result<(Arc<dyn Shelf>, Arc<Follower>), CliError> {
    let shelf = wire::shelf(config).await?;
    let follower = Follower::new(traces, Some(counters.clone()));
    follower.begin(shelf.clone());
    Ok((Arc::new(Observed::new(shelf, follower.clone())), follower))
}

fn listener(listen: SocketAddr) -> Result<TcpListener, CliError> {
    let listener = TcpListener::bind(listen).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| {
        CliError::failed(format!("nothing can listen at {listen}: {error}"))
            .hint("`--listen ADDR` or `server.listen` in runbook.yaml names another address")
    })
}

/// How browsers reach the server. What goes over a network goes over TLS.
fn reached(config: &Config, listen: SocketAddr, no_login: bool) -> Result<(Transport, Url), CliError> {
    let local = listen.ip().is_loopback();
    if no_login && !local {
        return Err(CliError::invalid(format!("--no-login at {listen}: anybody on the network could act"))
            .hint("without a login the server listens on loopback only"));
    }
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let own = Url::parse(&format!("{scheme}://{listen}/"));
    let url = match &config.server.public_url {
        Some(url) => url.clone(),
        None => own.map_err(|error| CliError::invalid(format!("{listen} is no address: {error}")))?,
    };
    match (url.scheme(), local) {
        ("https", _) => Ok((Transport::Tls, url)),
        ("http", true) => Ok((Transport::Loopback, url)),
        _ => Err(CliError::invalid(format!(
            "at {listen} without TLS, secrets would go over the network in plain text"
        ))
        .hint("give `server.tls` in runbook.yaml, or `server.public_url: https://…` where a proxy ends TLS")),
    }
}

fn outbox(config: &Config, shelf: &Arc<dyn Shelf>, public_url: &Url) -> Result<Outbox, CliError> {
    let told = |why: &dyn std::fmt::Display| CliError::invalid(format!("notifications: {why}"));
    let links = runbook_notify::Site::new(public_url.as_str()).map_err(|error| told(&error))?;
    let clock = Arc::new(runbook_notify::System);
    Outbox::new(shelf.clone(), clock, config.notifications.clone(), Some(links)).map_err(|error| told(&error))
}

/// Says where the server is, and how to come in.
async fn greet(site: &Site, config: &Config, app: &App) -> Result<(), CliError> {
    let url = &site.settings.public_url;
    app.say(&format!("runbook {} at {url} (store {})", site.settings.version, config.store));
    let environments = site.project.environments();
    let simulated = environments.iter().filter(|one| one.simulated.is_some()).count();
    app.say(&format!(
        "{} runbooks, {} environments ({simulated} simulated), {} hooks",
        site.project.catalog().len(),
        environments.len(),
        site.ways.open().hooks.len(),
    ));
    if let Some(name) = &site.settings.open_as {
        app.say(&format!("nobody signs in: whoever reaches it from this machine is {name}"));
    } else if site.ways.oidc().is_none() {
        let name = person::at_the_terminal().name;
        let link = sign_in::link(site.shelf(), url, &name).await?;
        app.say(&format!("sign in as {name}, once, within ten minutes: {link}"));
    }
    Ok(())
}

/// What the server is told by signals. They are listened to from the first moment on: by default, each
/// of them ends a process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let of = |kind| {
            signal(kind).map_err(|error| CliError::failed(format!("signals cannot be received: {error}")))
        };
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    /// Until somebody ends the server. A hang-up reads the configuration and the runbooks anew.
    async fn until_told(mut self, served: &Served, app: &App) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => read_anew(served, app),
            }
        }
    }
}

fn read_anew(served: &Served, app: &App) {
    match served.reload() {
        Ok(read) => {
            let count = served.catalog().len();
            app.say(&format!("read anew: {count} runbooks, {} findings", read.findings.len()));
            if !read.later.is_empty() {
                app.say(&format!("after a new start only: {}", read.later.join(", ")));
            }
        }
        Err(why) => tracing::error!(%why, "what was to be read anew cannot be used"),
    }
}
