//! The hooks of the configuration as doors of the server.

use std::{collections::BTreeMap, sync::Arc};

use runbook_contract::SecretSource;
use runbook_core::runbook::Source;
use runbook_intake::{Door, GRAFANA_SIGNATURE, Proof};
use secrecy::SecretString;

use crate::{
    config::{Config, Hook},
    exit::CliError,
};

/// Taken where a hook does not say how many deliveries a second.
const RATE: u32 = 1_000;

/// All doors, by name.
pub fn open(config: &Config) -> Result<BTreeMap<String, Arc<runbook_server::Hook>>, CliError> {
    let doors = config.hooks.iter().map(|(name, hook)| {
        let told = |why: String| CliError::invalid(format!("hook `{name}`: {why}"));
        let door =
            Door::new(hook.source, proof(hook).map_err(told)?).map_err(|error| told(error.to_string()))?;
        let environment = match &hook.environment {
            Some(environment) => environment.clone(),
            None => config.environment(None)?.0.to_owned(),
        };
        let rate = hook.rate.map_or(RATE, u32::from);
        Ok((name.clone(), Arc::new(runbook_server::Hook::new(door, environment, rate))))
    });
    doors.collect()
}

fn proof(hook: &Hook) -> Result<Proof, String> {
    if let Some(bearer) = &hook.bearer {
        return Ok(Proof::Bearer { tokens: all(bearer, hook)? });
    }
    if let Some(basic) = &hook.basic {
        return Ok(Proof::Basic { user: basic.user.clone(), passwords: all(&basic.password, hook)? });
    }
    if let Some(header) = &hook.header {
        return Ok(Proof::Header { name: header.name.clone(), values: all(&header.value, hook)? });
    }
    if let Some(client) = &hook.client_certificate {
        return Ok(Proof::ClientCertificate { names: client.names()? });
    }
    let Some(secret) = &hook.secret else { return Ok(Proof::Sns { topics: hook.topics.clone() }) };
    let secrets = all(secret, hook)?;
    match hook.source {
        Source::Grafana => Ok(Proof::Grafana {
            secrets,
            signature_header: hook.signature_header.clone().unwrap_or_else(|| GRAFANA_SIGNATURE.to_owned()),
            timestamp_header: hook.timestamp_header.clone(),
        }),
        Source::Pagerduty => Ok(Proof::PagerDuty { secrets }),
        Source::Generic => Ok(Proof::StandardWebhooks { secrets }),
        other => {
            Err(format!("{other:?} signs nothing: give `bearer`, `basic`, `header` or `client_certificate` instead of `secret`")
                .to_lowercase())
        }
    }
}

/// The newest first, then those that are being replaced.
fn all(newest: &SecretSource, hook: &Hook) -> Result<Vec<SecretString>, String> {
    let sources = std::iter::once(newest).chain(&hook.previous);
    sources.map(|source| source.read().map_err(|error| error.to_string())).collect()
}
