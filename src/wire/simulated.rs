//! A simulated environment: the built-in world inside this process, and providers that reach
//! nothing but it.

use std::net::SocketAddr;

use runbook_contract::SecretSource;
use runbook_web::{
    endpoint::{Endpoint, NotAnEndpoint},
    flags, http, prometheus, slack,
};
use runbook_world::{Options, World, WorldError};

use crate::{
    config::{Config, Environment},
    exit::CliError,
    wire,
};

const SPEED: u32 = 60;

pub async fn start(config: &Config, environment: &Environment, scenario: &str) -> Result<World, CliError> {
    let options = Options {
        scenario: scenario.to_owned(),
        state: Some(wire::world_folder(config)?),
        speed: environment.speed.unwrap_or(SPEED),
        ..Options::default()
    };
    Ok(World::start(options).await?)
}

/// The environment as the providers are to see it. The world listens elsewhere in each process;
/// what plans, locks and the journal name is `http://simulated`.
pub fn environment(world: &World, environment: &Environment) -> Result<Environment, CliError> {
    let at = address(world)?;
    let endpoint = |path: &str| -> Result<Endpoint, CliError> {
        let named: Result<Endpoint, NotAnEndpoint> = format!("http://simulated/{path}").parse();
        named.map(|endpoint| endpoint.simulated_at(at)).map_err(|error| odd(&error.to_string()))
    };
    Ok(Environment {
        #[cfg(feature = "kubernetes")]
        kubernetes: Some(runbook_kubernetes::Config {
            inline: Some(world.kubeconfig()),
            called: Some("http://simulated".to_owned()),
            ..runbook_kubernetes::Config::default()
        }),
        #[cfg(feature = "aws")]
        aws: Some(aws(world)),
        prometheus: Some(prometheus::Config { url: endpoint("prometheus")?, token: None, basic: None }),
        flags: Some(flags::Config {
            url: endpoint("flags")?,
            token: Some(SecretSource::Given(world.flags_token().to_owned())),
            shape: flags::Shape::Path,
            environment: "production".to_owned(),
            project: "default".to_owned(),
        }),
        http: Some(http::Config { allow: Vec::new(), base_url: Some(endpoint("services")?) }),
        slack: Some(slack::Config {
            url: endpoint("slack/api")?,
            token: SecretSource::Given("simulated".to_owned()),
            channel: Some("#incidents".to_owned()),
        }),
        ..environment.clone()
    })
}

/// The keys are the world's own: none of the user's are read, and none would be known there.
#[cfg(feature = "aws")]
fn aws(world: &World) -> runbook_aws::Config {
    let (id, secret) = world.aws_keys();
    runbook_aws::Config {
        region: Some(world.aws_region().to_owned()),
        endpoint_url: Some(world.aws_url()),
        keys: Some(runbook_aws::Keys { access_key_id: id.to_owned(), secret_access_key: secret.to_owned() }),
        simulated: Some("http://simulated/aws".to_owned()),
        ..runbook_aws::Config::default()
    }
}

fn address(world: &World) -> Result<SocketAddr, CliError> {
    let url = world.base_url();
    let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
    address.ok_or_else(|| odd(&url))
}

fn odd(what: &str) -> CliError {
    CliError::failed(format!("the simulated world has an odd address: {what}"))
}

impl From<WorldError> for CliError {
    fn from(error: WorldError) -> Self {
        let invalid = matches!(error, WorldError::UnknownScenario { .. } | WorldError::Listen { .. });
        let message = error.to_string();
        if invalid { Self::invalid(message) } else { Self::failed(message) }
    }
}
