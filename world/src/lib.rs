//! A simulated environment that speaks the real protocols on loopback: the Kubernetes API,
//! Prometheus' query API, a little of AWS, feature flags, health pages and chat, driven by one small
//! model.
//!
//! It must never be taken for the real thing: every response carries `X-Simulated: true`, the
//! version ends in `+simulated`, and everything that it names says so.
//!
//! ```no_run
//! # async fn example() -> Result<(), runbook_world::WorldError> {
//! let world = runbook_world::World::start(runbook_world::Options {
//!     scenario: "high-latency".into(),
//!     ..Default::default()
//! })
//! .await?;
//! println!("{}", world.kubeconfig());
//! world.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod aws;
mod cluster;
mod environment;
mod error;
mod exchange;
mod flags;
mod kubernetes;
mod model;
mod names;
mod persistence;
mod prometheus;
mod quantity;
mod scenario;
mod seed;
mod server;
mod services;
mod slack;
mod state;
mod time;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::environment::Environment;
use crate::kubernetes::access::{ONCALL_TOKEN, VIEWER_PATH, VIEWER_TOKEN};
use crate::server::Shared;

pub use crate::error::WorldError;
pub use crate::scenario::{ScenarioInfo, scenario_names, scenarios};
pub use crate::time::{Clock, ManualClock, SystemClock};

/// How long open connections may hold up a shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Which world to start, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// One of [`scenarios`].
    pub scenario: String,
    /// The directory that keeps the state, shared by all processes that name it; in memory without.
    pub state: Option<PathBuf>,
    /// Simulated seconds per real second. A state that exists keeps the speed it was made with.
    pub speed: u32,
    pub listen: SocketAddr,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenario: "high-latency".to_owned(),
            state: None,
            speed: 60,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// A running world. Dropping it stops the server at once; [`World::shutdown`] lets answers end.
#[derive(Debug)]
pub struct World {
    environment: Arc<Environment>,
    address: SocketAddr,
    speed: u32,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl World {
    /// Starts a world on the machine's own clock.
    ///
    /// # Errors
    /// An unknown scenario, an address that cannot be listened on, a state that cannot be read.
    pub async fn start(options: Options) -> Result<Self, WorldError> {
        Self::start_with_clock(options, Arc::new(SystemClock)).await
    }

    /// Starts a world whose real time is told by `clock`, so that tests can move it.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn start_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Self, WorldError> {
        let scenario = scenario::load(&options.scenario)?;
        let environment = Environment::open(scenario, options.state.as_deref(), options.speed, clock)?;
        // Makes the state where there is none, and meets one that cannot be read now, not later.
        let speed = environment.look(|view| view.state.timeline.speed)?;
        if speed != options.speed.max(1) {
            tracing::warn!(
                speed,
                asked = options.speed,
                "the simulated world keeps the speed it was made with"
            );
        }
        let environment = Arc::new(environment);
        let failed = |source| WorldError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let shared = Shared { environment: Arc::clone(&environment), stopping: stopping.clone() };
        let server = tokio::spawn(serve(listener, shared, stopping));
        tracing::debug!(%address, scenario = %options.scenario, "the simulated world listens");
        Ok(Self { environment, address, speed, stop, server })
    }

    /// A kubeconfig for kubectl and other clients: the context `simulated-SCENARIO` of a user who may
    /// do everything, and `simulated-viewer` of one who may only look.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let (cluster, server) = (format!("simulated-{}", self.environment.scenario.name), self.base_url());
        // kubectl sends no token over plain HTTP, so the viewer has a server of their own as well.
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {cluster}\n\
             clusters:\n- name: {cluster}\n  cluster:\n    server: {server}\n\
             - name: simulated-viewer\n  cluster:\n    server: {server}{VIEWER_PATH}\n\
             users:\n- name: {ONCALL_TOKEN}\n  user:\n    token: {ONCALL_TOKEN}\n\
             - name: {VIEWER_TOKEN}\n  user:\n    token: {VIEWER_TOKEN}\n\
             contexts:\n- name: {cluster}\n  context:\n    cluster: {cluster}\n    user: {ONCALL_TOKEN}\n    namespace: production\n\
             - name: simulated-viewer\n  context:\n    cluster: simulated-viewer\n    user: {VIEWER_TOKEN}\n    namespace: production\n"
        )
    }

    #[must_use]
    pub fn prometheus_url(&self) -> String {
        format!("{}/prometheus", self.base_url())
    }

    #[must_use]
    pub fn flags_url(&self) -> String {
        format!("{}/flags", self.base_url())
    }

    #[must_use]
    pub fn flags_token(&self) -> &str {
        flags::TOKEN
    }

    #[must_use]
    pub fn services_url(&self) -> String {
        format!("{}/services", self.base_url())
    }

    /// Where `chat.postMessage` is; what was posted is listed at `/slack/messages`.
    #[must_use]
    pub fn slack_url(&self) -> String {
        format!("{}/slack/api", self.base_url())
    }

    /// Where RDS, Route 53, CloudWatch, STS and IAM answer, as one endpoint for all.
    #[must_use]
    pub fn aws_url(&self) -> String {
        format!("{}/aws", self.base_url())
    }

    #[must_use]
    pub fn aws_region(&self) -> &str {
        &self.environment.scenario.aws.region
    }

    /// The pair of access keys that is known here, and nowhere else.
    #[must_use]
    pub fn aws_keys(&self) -> (&str, &str) {
        (aws::ACCESS_KEY_ID, aws::SECRET_ACCESS_KEY)
    }

    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writing requests that arrived at this server, whatever became of them. Dry runs and
    /// questions about access are none.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.environment.writes()
    }

    /// Simulated seconds per real second.
    #[must_use]
    pub fn speed(&self) -> u32 {
        self.speed
    }

    /// Stops listening and waits, for a short time, for answers that are under way.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.server.abort();
    }
}

/// Forgets the state of a scenario below a directory. The next world that starts there is new;
/// one that is running there becomes new.
///
/// # Errors
/// An unknown scenario, or a state that cannot be removed.
pub fn reset(state: &Path, scenario: &str) -> Result<(), WorldError> {
    let scenario = scenario::load(scenario)?;
    persistence::reset(state, &scenario.name)
}

async fn serve(listener: TcpListener, shared: Shared, mut stopping: watch::Receiver<bool>) {
    let stopped = async move {
        if stopping.wait_for(|stopping| *stopping).await.is_err() {
            tracing::debug!("the simulated world was dropped");
        }
    };
    if let Err(error) = axum::serve(listener, server::router(shared)).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the simulated world stopped listening");
    }
}
