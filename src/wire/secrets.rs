//! The secrets of an environment: where they are is known, what they are is read when it is needed.

use std::collections::BTreeMap;

use runbook_contract::SecretSource;
use runbook_engine::Secrets;
use secrecy::ExposeSecret as _;

use crate::config::{Config, Environment};

/// The one secret that every simulated environment has: the token of its flag service.
pub const FLAGS_TOKEN: &str = "flags_token";

#[derive(Debug)]
pub struct Defined {
    sources: BTreeMap<String, SecretSource>,
}

impl Defined {
    /// Those of the environment, before those that all environments share.
    pub fn of(config: &Config, environment: &Environment) -> Self {
        let all = config.secrets.iter().chain(&environment.secrets);
        Self { sources: all.map(|(name, source)| (name.clone(), source.clone())).collect() }
    }

    /// The same names with made-up values: a simulated environment never sees a real secret.
    pub fn simulated(config: &Config, environment: &Environment, flags_token: &str) -> Self {
        let mut simulated = Self::of(config, environment);
        for (name, source) in &mut simulated.sources {
            *source = SecretSource::Given(format!("simulated-{name}"));
        }
        simulated.sources.insert(FLAGS_TOKEN.to_owned(), SecretSource::Given(flags_token.to_owned()));
        simulated
    }
}

impl Secrets for Defined {
    fn value(&self, name: &str) -> Result<String, String> {
        let source = self
            .sources
            .get(name)
            .ok_or_else(|| format!("secret `{name}` is not defined in this environment"))?;
        let value = source.read().map_err(|error| format!("secret `{name}`: {error}"))?;
        Ok(value.expose_secret().to_owned())
    }
    fn names(&self) -> Vec<String> {
        self.sources.keys().cloned().collect()
    }
}
