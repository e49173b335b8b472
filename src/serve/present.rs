//! A project as it was last read: its configuration and all that follows from it.

use std::{collections::BTreeMap, sync::Arc};

use runbook_contract::Mode;
use runbook_core::severity::Matrix;
use runbook_identity::Directory;
use runbook_world::World;
use tokio::sync::OnceCell;

use super::granted;
use crate::{
    config::Config,
    exit::CliError,
    library::Library,
    wire::{self, Wired},
};

#[derive(Debug)]
pub struct Present {
    pub config: Config,
    pub library: Arc<Library>,
    pub directory: Arc<Directory>,
    pub severity: Arc<Matrix>,
    pub environments: BTreeMap<String, Arc<Transports>>,
}

/// An environment's two transports: one that may write, and one that cannot. They are made when they
/// are first needed.
#[derive(Debug, Default)]
pub struct Transports {
    live: Transport,
    dry: Transport,
}

#[derive(Debug, Default)]
struct Transport {
    /// The world that goes on, where it is simulated and was there before.
    world: Option<Arc<World>>,
    wired: OnceCell<Arc<Wired>>,
}

impl Present {
    pub fn of(
        config: Config,
        transports: impl Fn(&Config, &str) -> Arc<Transports>,
    ) -> Result<Self, CliError> {
        let library = Library::of(&config, &wire::catalog(&config, None))?;
        let directory = Directory::new(&granted(&config), &config.people.groups);
        let severity =
            Matrix::from_config(&config.severity).map_err(|error| CliError::invalid(error.to_string()))?;
        let environments = config.environments.keys().map(|name| (name.clone(), transports(&config, name)));
        Ok(Self {
            library: Arc::new(library),
            directory: Arc::new(directory),
            severity: Arc::new(severity),
            environments: environments.collect(),
            config,
        })
    }

    pub async fn wired(&self, name: &str, mode: Mode) -> Result<Arc<Wired>, String> {
        let hands = self.environments.get(name).ok_or_else(|| format!("there is no environment `{name}`"))?;
        let transport = if mode == Mode::ReadOnly { &hands.dry } else { &hands.live };
        let wired = transport.wired.get_or_try_init(|| async {
            let wired = wire::environment_in(&self.config, Some(name), mode, transport.world.clone()).await;
            wired.map(|wired| Arc::new(wired.behind_a_server())).map_err(|error| error.message)
        });
        wired.await.cloned()
    }
}

impl Transports {
    /// Ones that are still to be made, in the world where these are.
    pub fn of_the_same_world(&self) -> Self {
        let again = |transport: &Transport| {
            let world = transport.wired.get().and_then(|wired| wired.world());
            Transport { world: world.or_else(|| transport.world.clone()), wired: OnceCell::new() }
        };
        Self { live: again(&self.live), dry: again(&self.dry) }
    }
}
