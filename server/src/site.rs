//! What all handlers share.

use std::sync::Arc;

use ipnet::IpNet;
use runbook_core::Timestamp;
use runbook_desk::{Desk, Supervised};
use runbook_engine::{Clock, Engine};
use runbook_identity::cookies::Transport;
use runbook_journal::Shelf;
use runbook_notify::Outbox;
use runbook_telemetry::Exporter;
use tokio::sync::watch;

use crate::{Limits, Project, Waiting, Ways, ops::Counters, problem::Problem};

/// How the server is to behave.
#[derive(Debug)]
pub struct Settings {
    pub transport: Transport,
    /// Nobody signs in: whoever reaches the server over loopback is this person.
    pub open_as: Option<String>,
    /// Its address as others write it: for links, and to tell its own pages from others'.
    pub public_url: url::Url,
    /// Who is believed where they say for whom they ask.
    pub proxies: Vec<IpNet>,
    /// The version, for people.
    pub version: &'static str,
}

/// What the server serves.
#[derive(Debug)]
pub struct Site {
    pub settings: Settings,
    pub project: Arc<dyn Project>,
    pub desk: Desk,
    /// Reads runs and records what people say; the desk drives them.
    pub records: Engine,
    pub ways: Arc<Ways>,
    pub clock: Arc<dyn Clock>,
    pub outbox: Outbox,
    pub counters: Arc<Counters>,
    /// Where traces are sent, if anywhere.
    pub traces: Option<Exporter>,
    /// How often an address may try to come in.
    pub limits: Limits,
    /// Who signs in from a command line right now.
    pub devices: Waiting,
    pub supervised: watch::Receiver<Supervised>,
    /// Turns true when the server is to stop.
    pub stopping: watch::Receiver<bool>,
}

impl Site {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn shelf(&self) -> &Arc<dyn Shelf> {
        self.desk.shelf()
    }

    /// The environment of that name, else the default one.
    pub fn environment(&self, name: Option<&str>) -> Result<String, Problem> {
        let all = self.project.environments();
        let found = match name {
            Some(name) => all.iter().find(|one| one.name == name),
            None => all.iter().find(|one| one.default),
        };
        match (found, name) {
            (Some(found), _) => Ok(found.name.clone()),
            (None, Some(name)) => Err(Problem::missing("environment", name)),
            (None, None) => Err(Problem::invalid("name the environment: there is no default")),
        }
    }
}
