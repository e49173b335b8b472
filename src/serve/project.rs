//! A project as the server sees it. Environments are wired when they are first needed, and the
//! runbooks can be read anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
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
use runbook_server::{EnvironmentFacts, Project, Readiness, RunbookFacts};
use tokio::sync::OnceCell;

use crate::{
    cli::{preflight, start::Request},
    config::Config,
    exit::CliError,
    library::Library,
    person,
    wire::{self, Wired},
};

/// A project that is served.
#[derive(Debug)]
pub struct Served {
    config: Config,
    shelf: Arc<dyn Shelf>,
    library: RwLock<Arc<Library>>,
    directory: Arc<Directory>,
    severity: Arc<Matrix>,
    environments: BTreeMap<String, Transports>,
}

/// An environment's two transports: one that may write, and one that cannot.
#[derive(Debug, Default)]
struct Transports {
    live: OnceCell<Arc<Wired>>,
    dry: OnceCell<Arc<Wired>>,
}

impl Served {
    pub fn new(config: Config, shelf: Arc<dyn Shelf>) -> Result<Self, CliError> {
        let library = read(&config)?;
        let directory = Directory::new(&granted(&config), &config.people.groups);
        let severity =
            Matrix::from_config(&config.severity).map_err(|error| CliError::invalid(error.to_string()))?;
        let environments = config.environments.keys().map(|name| (name.clone(), Transports::default()));
        Ok(Self {
            shelf,
            library: RwLock::new(Arc::new(library)),
            directory: Arc::new(directory),
            severity: Arc::new(severity),
            environments: environments.collect(),
            config,
        })
    }

    fn library(&self) -> Arc<Library> {
        self.library.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub async fn wired(&self, name: &str, mode: Mode) -> Result<Arc<Wired>, String> {
        let hands = self.environments.get(name).ok_or_else(|| format!("there is no environment `{name}`"))?;
        let cell = if mode == Mode::ReadOnly { &hands.dry } else { &hands.live };
        let wired = cell.get_or_try_init(|| async {
            let wired = wire::environment(&self.config, Some(name), mode).await;
            wired.map(|wired| Arc::new(wired.behind_a_server())).map_err(|error| error.message)
        });
        wired.await.cloned()
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

fn read(config: &Config) -> Result<Library, CliError> {
    Library::of(config, &wire::catalog(config, None))
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

    fn severity(&self) -> Arc<Matrix> {
        self.severity.clone()
    }

    fn closing(&self) -> Closing {
        Closing::WhenRecovered
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
        let default = self.config.environment(None).ok().map(|(name, _)| name);
        let facts = self.config.environments.iter().map(|(name, environment)| EnvironmentFacts {
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
        self.directory.clone()
    }

    async fn dry_run(&self, start: &Start, by: &str) -> Result<(Run, u64), String> {
        let wired = self.wired(&start.environment, Mode::ReadOnly).await?;
        let created = self.request(start)?.created(&wired, Hands::DryRun, None);
        let created = Created { alert: start.alert.clone(), ..created };
        let before = wired.access.writes_sent();
        let engine = wired.engine(wire::memory());
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

    fn reload(&self) -> Result<Vec<finding::Finding>, String> {
        let library = read(&self.config).map_err(|error| error.message)?;
        let errors = library.findings.iter().filter(|finding| finding.is_error());
        let errors: Vec<String> = errors
            .take(5)
            .map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.message))
            .collect();
        if !errors.is_empty() {
            return Err(format!("the runbooks stay as they were: {}", errors.join("; ")));
        }
        let findings = library.findings.clone();
        *self.library.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(library);
        Ok(findings)
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
