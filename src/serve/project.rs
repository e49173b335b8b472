//! A project as the server sees it. Environments are wired when they are first needed, and the
//! runbooks can be read anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use async_trait::async_trait;
use runbook_contract::Mode;
use runbook_core::{
    Value,
    event::{Actor, Channel, Created, Hands},
    finding,
    incident::Closing,
    run::Run,
    runbook::Runbook,
    severity::Matrix,
};
use runbook_desk::{House, Start};
use runbook_engine::{Engine, Until};
use runbook_identity::{Auth, Directory};
use runbook_journal::Shelf;
use runbook_notify::Outbox;
use runbook_server::{EnvironmentFacts, Project, Readiness, Reloaded, RunbookFacts, Ways, tls::Tls};

use super::{present::Present, reload::in_a_line};
use crate::{
    cli::{preflight, start::Request},
    config::Config,
    exit::CliError,
    library::Library,
    person,
    wire::Wired,
};

/// Who closes an incident whose recovery was verified.
pub const CLOSING: Closing = Closing::WhenRecovered;

/// A project that is served.
#[derive(Debug)]
pub struct Served {
    shelf: Arc<dyn Shelf>,
    present: RwLock<Arc<Present>>,
    pub(super) ways: Arc<Ways>,
    pub(super) outbox: Outbox,
    pub(super) tls: Option<Tls>,
    reading: Mutex<()>,
}

/// What can be replaced while the server runs.
#[derive(Debug)]
pub struct Reached {
    pub ways: Arc<Ways>,
    pub outbox: Outbox,
    pub tls: Option<Tls>,
}

impl Served {
    pub fn new(config: Config, shelf: Arc<dyn Shelf>, reached: Reached) -> Result<Self, CliError> {
        let Reached { ways, outbox, tls } = reached;
        let present = RwLock::new(Arc::new(Present::of(config, |_, _| Arc::default())?));
        Ok(Self { shelf, present, ways, outbox, tls, reading: Mutex::default() })
    }

    pub(super) fn present(&self) -> Arc<Present> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn become_present(&self, present: Present) {
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(present);
    }

    /// Held while everything is read anew.
    pub(super) fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn wired(&self, name: &str, mode: Mode) -> Result<Arc<Wired>, String> {
        self.present().wired(name, mode).await
    }

    fn library(&self) -> Arc<Library> {
        self.present().library.clone()
    }

    fn request(&self, start: &Start) -> Result<Request, String> {
        let library = self.library();
        let runbook = library.checked(&start.runbook).map_err(|error| error.message)?.clone();
        Ok(Request {
            library: library.closure(&start.runbook),
            runbook,
            inputs: start.inputs.clone(),
            reason: start.reason.clone(),
            overriding: false,
            incident: start.incident.clone(),
            planned_at: None,
        })
    }
}

/// Who is granted what. Without a word on it, the person who starts the server may do everything: they
/// can write its store anyway.
pub fn granted(config: &Config) -> Auth {
    if let Some(auth) = &config.auth {
        return auth.clone();
    }
    let name = person::at_the_terminal().name;
    let grant = serde_json::json!({ "roles": [{ "role": "admin", "to": [name] }] });
    // The shape is that of the type.
    serde_json::from_value(grant).unwrap_or_default()
}

#[async_trait]
impl House for Served {
    fn runbooks(&self) -> Vec<Arc<Runbook>> {
        let library = self.library();
        library.runbooks.keys().filter_map(|name| library.checked(name).ok().cloned()).collect()
    }

    async fn engine(&self, environment: &str) -> Result<Engine, String> {
        Ok(self.wired(environment, Mode::ReadWrite).await?.engine(self.shelf.clone()))
    }

    async fn reader(&self, environment: &str) -> Result<Engine, String> {
        Ok(self.wired(environment, Mode::ReadOnly).await?.engine(self.shelf.clone()))
    }

    fn severity(&self) -> Arc<Matrix> {
        self.present().severity.clone()
    }

    fn closing(&self) -> Closing {
        CLOSING
    }

    async fn created(&self, start: &Start) -> Result<Created, String> {
        let wired = self.wired(&start.environment, Mode::ReadWrite).await?;
        let created = self.request(start)?.created(&wired, Hands::Live, None);
        Ok(Created { alert: start.alert.clone(), trace_parent: start.trace_parent.clone(), ..created })
    }
}

#[async_trait]
impl Project for Served {
    fn environments(&self) -> Vec<EnvironmentFacts> {
        let present = self.present();
        let default = present.config.environment(None).ok().map(|(name, _)| name);
        let facts = present.config.environments.iter().map(|(name, environment)| EnvironmentFacts {
            name: name.clone(),
            simulated: environment.simulated.clone(),
            default: default == Some(name.as_str()),
        });
        facts.collect()
    }

    fn catalog(&self) -> BTreeMap<String, RunbookFacts> {
        let library = self.library();
        let facts = library.runbooks.iter().map(|(name, runbook)| {
            let file = library.files.get(name).map(|path| crate::library::files::shown(path));
            let of = |finding: &&finding::Finding| Some(&finding.file) == file.as_ref();
            let findings = library.findings.iter().filter(of).cloned().collect();
            (name.clone(), RunbookFacts { runbook: runbook.clone(), findings })
        });
        facts.collect()
    }

    fn directory(&self) -> Arc<Directory> {
        self.present().directory.clone()
    }

    async fn dry_run(&self, start: &Start, by: &str) -> Result<(Run, u64), String> {
        let wired = self.wired(&start.environment, Mode::ReadOnly).await?;
        let created = self.request(start)?.created(&wired, Hands::DryRun, None);
        let created = Created { alert: start.alert.clone(), ..created };
        let before = wired.access.writes_sent();
        let engine = wired.foreseer(self.shelf.clone());
        let actor = Actor { name: by.to_owned(), how: Channel::Web };
        let mut drive =
            engine.launch(created, actor, Until::Ended).await.map_err(|error| error.to_string())?;
        let run = drive.finished().await.map_err(|error| error.to_string())?;
        Ok((run, wired.access.writes_sent().saturating_sub(before)))
    }

    async fn readiness(&self, environment: &str, runbook: Option<&str>) -> Result<Vec<Readiness>, String> {
        let wired = self.wired(environment, Mode::ReadOnly).await?;
        let library = self.library();
        let names: Vec<String> = match runbook {
            Some(name) => vec![name.to_owned()],
            None => library.runbooks.keys().cloned().collect(),
        };
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            all.push(told(preflight::readiness(&wired, &library, name, &[]).await));
        }
        Ok(all)
    }

    fn reload(&self) -> Result<Reloaded, String> {
        self.read_anew().map_err(|error| in_a_line(&error))
    }
}

fn told(one: preflight::Readiness) -> Readiness {
    let word = |state: preflight::State| {
        let word = serde_json::to_value(state).ok();
        word.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let findings = one.findings.into_iter().map(|finding| runbook_server::Finding {
        step: finding.step,
        action: finding.action,
        state: word(finding.state),
        code: finding.code,
        message: finding.message,
        hint: finding.hint,
    });
    Readiness { runbook: one.runbook, ready: one.ready, findings: findings.collect() }
}
