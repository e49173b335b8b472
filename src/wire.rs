//! The composition root: the only place that names stores and providers.

pub mod doors;
pub mod gauge;
mod secrets;
mod simulated;
pub mod traces;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use runbook_contract::{Access, Mode, Registry};
use runbook_core::{
    Timestamp, Value,
    check::Catalog,
    policy::{Floor, Policy},
    spec::{ActionSpec, Effect},
};
use runbook_engine::{Engine, NoSecrets, Secrets, Setup, System};
use runbook_journal::{Address, Journal, Memory, Postgres, Shelf, Sqlite};
use runbook_world::World;

use crate::{
    config::{ApprovalFloor, Config, Environment, Floors, Kind, Store},
    exit::CliError,
    person,
};

pub use self::{gauge::Instruments, traces::Traced};

/// What all actions say of themselves, configured or not. Nothing is read or sent.
pub fn specs() -> BTreeMap<String, ActionSpec> {
    let mut specs = runbook_web::specs();
    specs.extend(runbook_command::specs());
    #[cfg(feature = "kubernetes")]
    specs.extend(runbook_kubernetes::specs());
    #[cfg(feature = "aws")]
    specs.extend(runbook_aws::specs());
    specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect()
}

/// What the checker compares runbooks with: all actions, the people and secrets of the configuration,
/// and what the policy of an environment asks of approvals.
pub fn catalog(config: &Config, environment: Option<&str>) -> Catalog {
    let groups = config.people.groups.iter().map(|(name, members)| (name.clone(), members.clone()));
    let in_environments = config.environments.values().flat_map(|environment| environment.secrets.keys());
    let simulated = config.environments.values().any(|environment| environment.simulated.is_some());
    let given = simulated.then(|| secrets::FLAGS_TOKEN.to_owned());
    let floors = config.environment(environment).map(|(_, environment)| &environment.approvals).ok();
    Catalog {
        specs: specs(),
        groups: (!config.people.groups.is_empty()).then(|| groups.collect()),
        secrets: Some(config.secrets.keys().chain(in_environments).cloned().chain(given).collect()),
        floors: floors.into_iter().flat_map(catalog_floors).collect(),
    }
}

fn catalog_floors(floors: &Floors) -> Vec<runbook_core::check::Floor> {
    let floor = |effect, asked: &ApprovalFloor| runbook_core::check::Floor {
        effect,
        action: None,
        count: asked.count,
        from: asked.from.clone(),
    };
    let write = floors.write.as_ref().map(|asked| floor(Effect::Write, asked));
    let destructive = floors.destructive.as_ref().map(|asked| floor(Effect::Destructive, asked));
    write.into_iter().chain(destructive).collect()
}

/// An environment, ready to be acted upon.
#[derive(Debug)]
pub struct Wired {
    pub name: String,
    /// The scenario, where it is a simulated one.
    pub simulated: Option<String>,
    /// How much faster than real time it runs.
    pub speed: u32,
    pub policy: Policy,
    /// Counts what is sent, and stops what may not be.
    pub access: Arc<Access>,
    registry: Registry,
    secrets: Arc<dyn Secrets>,
    limits: BTreeMap<String, Value>,
    /// What the environment says of approving one's own run.
    allow_self: Option<bool>,
    /// Lives as long as the environment is used.
    world: Option<Arc<World>>,
}

impl Wired {
    /// The engine of this environment over a journal.
    pub fn engine(&self, journal: Arc<dyn Journal>) -> Engine {
        Engine::new(Setup {
            journal,
            registry: self.registry.clone(),
            secrets: self.secrets.clone(),
            limits: self.limits.clone(),
            clock: Arc::new(System),
            owner: person::this_process(),
        })
    }
    /// An engine for dry-runs, whose journal goes with the process, beside the runs of a store.
    pub fn foreseer(&self, others: Arc<dyn Journal>) -> Engine {
        self.engine(memory()).beside(others)
    }
    /// Behind a server people are told apart, so that an approval takes somebody else unless the
    /// environment says otherwise. In a simulated environment everybody still belongs to every group.
    pub fn behind_a_server(mut self) -> Self {
        self.policy.allow_self = self.allow_self.unwrap_or(self.policy.everyone);
        self
    }
    /// Whether a secret can be read, and if not, why.
    pub fn secret(&self, name: &str) -> Result<(), String> {
        self.secrets.value(name).map(drop)
    }
    /// The world inside this process, where it is a simulated environment.
    pub fn world(&self) -> Option<Arc<World>> {
        self.world.clone()
    }
    /// The actions that this environment offers.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

/// Wires an environment: its providers over a transport that may write or not, its limits and its
/// policy. A simulated one is started inside this process; nothing else is reached before the first
/// step asks for it.
pub async fn environment(config: &Config, name: Option<&str>, mode: Mode) -> Result<Wired, CliError> {
    environment_in(config, name, mode, None).await
}

/// The same in a simulated world that is there already.
pub async fn environment_in(
    config: &Config,
    name: Option<&str>,
    mode: Mode,
    world: Option<Arc<World>>,
) -> Result<Wired, CliError> {
    let (name, environment) = config.environment(name)?;
    let access = Access::new(mode);
    let (world, settings) = match &environment.simulated {
        Some(scenario) => {
            let world = match world {
                Some(world) => world,
                None => Arc::new(simulated::start(config, environment, scenario).await?),
            };
            let settings = simulated::environment(&world, environment)?;
            (Some(world), settings)
        }
        None => (None, environment.clone()),
    };
    let secrets: Arc<dyn Secrets> = match &world {
        Some(world) => Arc::new(secrets::Defined::simulated(config, environment, world.flags_token())),
        None => Arc::new(secrets::Defined::of(config, environment)),
    };
    Ok(Wired {
        name: name.to_owned(),
        simulated: environment.simulated.clone(),
        speed: world.as_ref().map_or(1, |world| world.speed()),
        policy: policy(config, environment),
        allow_self: environment.allow_self,
        registry: registry(config, &settings, &access),
        access,
        secrets,
        limits: environment
            .limits
            .actions
            .iter()
            .map(|(name, limits)| (name.clone(), limits.clone()))
            .collect(),
        world,
    })
}

/// An engine that reads runs and records what people say. It has no actions: whoever drives the run
/// has them.
pub async fn records(config: &Config, read_only: bool) -> Result<Engine, CliError> {
    Ok(records_in(journal(config, read_only).await?))
}

/// The same over a journal that is open already.
pub fn records_in(journal: Arc<dyn Journal>) -> Engine {
    Engine::new(Setup {
        journal,
        registry: Registry::default(),
        secrets: Arc::new(NoSecrets),
        limits: BTreeMap::new(),
        clock: Arc::new(System),
        owner: person::this_process(),
    })
}

/// The journal that the configuration names. To read only, none is made where there is none.
pub async fn journal(config: &Config, read_only: bool) -> Result<Arc<dyn Journal>, CliError> {
    Ok(if read_only { shelf_to_read(config).await? } else { shelf(config).await? })
}

/// The store for a server, which keeps documents beside the runs.
pub async fn shelf(config: &Config) -> Result<Arc<dyn Shelf>, CliError> {
    match kind(&config.store)? {
        Kind::Sqlite(path) => Ok(Arc::new(Sqlite::open(path).await?)),
        Kind::Postgres(address) => Ok(Arc::new(Postgres::open(with_password(config, *address)?).await?)),
    }
}

/// The same to read only: none is made where there is none.
pub async fn shelf_to_read(config: &Config) -> Result<Arc<dyn Shelf>, CliError> {
    match kind(&config.store)? {
        Kind::Sqlite(path) if !path.exists() => Ok(Arc::new(Memory::new())),
        Kind::Postgres(address) => {
            let found = Postgres::open_existing(with_password(config, *address)?).await?;
            Ok(match found {
                Some(store) => Arc::new(store),
                None => Arc::new(Memory::new()),
            })
        }
        Kind::Sqlite(_) => shelf(config).await,
    }
}

/// A journal that goes with the process: for dry-runs, whose events nobody needs tomorrow.
pub fn memory() -> Arc<dyn Journal> {
    Arc::new(Memory::new())
}

/// Where a simulated environment keeps its state: beside a store in a file, so that another shell, a
/// run that is resumed and an undo the next day meet the same world; else on this machine.
pub fn world_folder(config: &Config) -> Result<PathBuf, CliError> {
    let beside = match kind(&config.store)? {
        Kind::Sqlite(path) => path.parent().unwrap_or(Path::new(".")).to_owned(),
        Kind::Postgres(_) => config.root.join(".runbook"),
    };
    Ok(beside.join("world"))
}

fn kind(store: &Store) -> Result<Kind<'_>, CliError> {
    store.kind().map_err(|no| CliError::invalid(no.why).hint(no.hint))
}

/// The password is read when it is needed.
fn with_password(config: &Config, address: Address) -> Result<Address, CliError> {
    let Some(source) = &config.store.password else { return Ok(address) };
    let password = source.read().map_err(|error| {
        CliError::invalid(format!("the password of the store cannot be read: {error}"))
            .hint("`store.password` in runbook.yaml says where it is")
    })?;
    Ok(address.with_password(&password))
}

fn registry(config: &Config, environment: &Environment, access: &Arc<Access>) -> Registry {
    let mut registry = Registry::default();
    #[cfg(feature = "kubernetes")]
    if let Some(kubernetes) = &environment.kubernetes {
        let files = kubernetes.files.clone().or_else(|| Some(config.playbooks.clone()));
        let kubernetes = runbook_kubernetes::Config { files, ..kubernetes.clone() };
        registry = registry.with(runbook_kubernetes::actions(&kubernetes, access));
    }
    #[cfg(not(feature = "kubernetes"))]
    let _ = config;
    #[cfg(feature = "aws")]
    if let Some(aws) = &environment.aws {
        registry = registry.with(runbook_aws::actions(aws, access));
    }
    if let Some(prometheus) = &environment.prometheus {
        registry = registry.with(runbook_web::prometheus::actions(prometheus, access));
    }
    if let Some(http) = &environment.http {
        registry = registry.with(runbook_web::http::actions(http, access));
    }
    if let Some(flags) = &environment.flags {
        registry = registry.with(runbook_web::flags::actions(flags, access));
    }
    if let Some(slack) = &environment.slack {
        registry = registry.with(runbook_web::slack::actions(slack, access));
    }
    if let Some(command) = &environment.command {
        registry = registry.with(runbook_command::actions(command, access));
    }
    registry
}

/// Who may do what. With the embedded store, the person at the terminal may approve their own run
/// unless the environment says otherwise; in a simulated environment they belong to every group.
fn policy(config: &Config, environment: &Environment) -> Policy {
    let floor = |floor: &ApprovalFloor| Floor { from: floor.from.clone(), count: floor.count };
    let floors = [
        (Effect::Write, environment.approvals.write.as_ref()),
        (Effect::Destructive, environment.approvals.destructive.as_ref()),
    ];
    Policy {
        groups: config.people.groups.iter().map(|(name, members)| (name.clone(), members.clone())).collect(),
        allow_self: environment.allow_self.unwrap_or(true),
        everyone: environment.simulated.is_some(),
        max_mutations: environment.limits.max_mutations,
        floors: floors.into_iter().filter_map(|(effect, asked)| Some((effect, floor(asked?)))).collect(),
        break_glass: environment.break_glass.clone(),
        // What makes no sense was found when the configuration was read.
        freezes: environment
            .freezes
            .iter()
            .filter_map(|one| one.times(Timestamp::now()).ok())
            .flatten()
            .collect(),
        cooldown: environment.limits.cooldown,
        overriders: environment.overriders.clone(),
    }
}
