//! Traces: asked for by the standard variables of OpenTelemetry, and never in the way.

use std::{sync::Arc, time::Duration};

use runbook_journal::{Observed, Shelf};
use runbook_telemetry::{Exporter, Follower, Settings, TraceContext};

use crate::{cli::App, config::Config, exit::CliError};

/// How long a command waits at its end for the collector to take what is left.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// A store whose runs are traced, where anybody asked for that.
#[derive(Debug)]
pub struct Traced {
    pub shelf: Arc<dyn Shelf>,
    follower: Option<Arc<Follower>>,
}

impl Traced {
    /// The store that the configuration names, for a command that writes it.
    pub async fn open(config: &Config, app: &App) -> Result<Self, CliError> {
        Ok(Self::over(super::shelf(config).await?, app))
    }

    pub fn over(shelf: Arc<dyn Shelf>, app: &App) -> Self {
        let Some(exporter) = exporter(app) else { return Self { shelf, follower: None } };
        let follower = Follower::new(Some(exporter), None);
        follower.begin(shelf.clone());
        let observed = Observed::new(shelf, follower.clone());
        Self { shelf: Arc::new(observed), follower: Some(follower) }
    }

    /// Sends what is left, within a few seconds.
    pub async fn finish(&self) {
        if let Some(follower) = &self.follower {
            follower.finish(LAST_SPANS).await;
        }
    }
}

/// What this process was started for, as jobs tell it to what they start: a run links to it.
pub fn cause() -> Option<String> {
    let told = std::env::var("TRACEPARENT").ok()?;
    TraceContext::parse(&told).map(|context| context.to_string())
}

/// What sends traces, if anybody asked for them. Variables that make no sense are told, and nothing is
/// sent: no run fails for its trace.
pub fn exporter(app: &App) -> Option<Exporter> {
    let settings = match Settings::from(&|name| std::env::var(name).ok()) {
        Ok(settings) => settings?,
        Err(error) => {
            app.say(&format!("no traces are sent: {error}"));
            return None;
        }
    };
    Exporter::open(settings).inspect_err(|error| app.say(&format!("no traces are sent: {error}"))).ok()
}
