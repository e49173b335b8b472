//! The server from its start to its end: everything is opened before it says that it is there, and
//! handed over before it goes.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use futures::future::join_all;
use runbook_desk::{Desk, Supervised};
use runbook_engine::System;
use runbook_identity::{cookies::Transport, oidc::Oidc};
use runbook_journal::{Observed, Shelf};
use runbook_notify::Outbox;
use runbook_server::{Counters, Herald, Project as _, Settings, Site};
use runbook_telemetry::{Exporter, Follower};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use url::Url;

use super::{Served, detectors::Detectors};
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
    let listen = asked.listen.or(config.server.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let listener = listener(listen)?;
    let listen = listener.local_addr().unwrap_or(listen);
    let (transport, public_url) = reached(&config, listen, asked.no_login)?;
    let tls = tls(&config).await?;
    let (counters, traces) = (Arc::new(Counters::default()), wire::traces::exporter(app));
    let (shelf, follower) = observed(&config, &counters, traces.clone()).await?;
    let served = Arc::new(Served::new(config.clone(), shelf.clone())?);
    let desk = Desk::new(shelf.clone(), served.clone(), Arc::new(System));
    let (stop, stopping) = watch::channel(false);
    let supervised = watch::Sender::new(Supervised::default());
    let mut hooks = doors::open(&config)?;
    let detectors = Detectors::open(&config, &served, &mut hooks).await?;
    let outbox = outbox(&config, &shelf, &public_url)?;
    let site = Arc::new(Site {
        settings: Settings {
            transport,
            open_as: asked.no_login.then(|| person::at_the_terminal().name),
            public_url,
            version: env!("CARGO_PKG_VERSION"),
        },
        project: served.clone(),
        desk: desk.clone(),
        records: wire::records_in(shelf.clone()),
        hooks,
        oidc: oidc(&config)?,
        clock: Arc::new(System),
        outbox: outbox.clone(),
        counters,
        traces,
        supervised: supervised.subscribe(),
        stopping: stopping.clone(),
    });
    let watches = detectors.watches(&site);
    greet(&site, &config, app).await?;
    let herald = Herald::new(site.clone(), outbox.clone());
    let handle = Handle::new();
    let router = runbook_server::router(site);
    let http = async {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        match tls {
            Some(tls) => {
                axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone()).serve(service).await
            }
            None => axum_server::from_tcp(listener)?.handle(handle.clone()).serve(service).await,
        }
    };
    let end = async {
        until_told(&served).await;
        stop.send_replace(true);
        handle.graceful_shutdown(Some(LAST_REQUESTS));
    };
    let watching = join_all(watches.iter().map(|watch| watch.watch(stopping.clone())));
    let (done, (), (), (), (), (), _) = tokio::join!(
        http,
        herald.follow(stopping.clone()),
        outbox.deliver(stopping.clone()),
        desk.work(stopping.clone()),
        desk.supervise(stopping.clone(), &supervised),
        end,
        watching,
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

async fn tls(config: &Config) -> Result<Option<RustlsConfig>, CliError> {
    let Some(tls) = &config.server.tls else { return Ok(None) };
    let loaded = RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await;
    loaded.map(Some).map_err(|error| {
        let (certificate, key) = (tls.certificate.display(), tls.key.display());
        CliError::invalid(format!("{certificate} and {key} cannot be used for TLS: {error}")).hint(
            "both are PEM files: the chain with the server's own certificate first, and its private key",
        )
    })
}

fn oidc(config: &Config) -> Result<Option<Oidc>, CliError> {
    let asked = config.auth.as_ref().and_then(|auth| auth.oidc.clone());
    let told = |error: runbook_identity::oidc::OidcError| {
        CliError::invalid(format!("auth.oidc: {error}")).hint(error.hint())
    };
    asked.map(Oidc::new).transpose().map_err(told)
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
        site.hooks.len(),
    ));
    if let Some(name) = &site.settings.open_as {
        app.say(&format!("nobody signs in: whoever reaches it from this machine is {name}"));
    } else if site.oidc.is_none() {
        let name = person::at_the_terminal().name;
        let link = sign_in::link(site.shelf(), url, &name).await?;
        app.say(&format!("sign in as {name}, once, within ten minutes: {link}"));
    }
    Ok(())
}

/// Until somebody ends the server. A hang-up reads the runbooks anew.
async fn until_told(served: &Served) {
    let streams =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = streams else {
        tracing::error!("signals cannot be received: only a kill ends the server");
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => return,
            _ = terminate.recv() => return,
            _ = hangup.recv() => match served.reload() {
                Ok(findings) => tracing::info!(findings = findings.len(), "the runbooks were read anew"),
                Err(why) => tracing::error!(%why, "the runbooks could not be read anew"),
            },
        }
    }
}
