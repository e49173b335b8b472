//! Reading everything anew while the server runs: the configuration, the runbooks, secrets,
//! certificates. All of it is taken, or nothing.

use std::{collections::BTreeMap, sync::Arc};

use runbook_core::finding::Finding;
use runbook_identity::oidc::Oidc;
use runbook_server::{Hook, Open, Reloaded, tls::Terms};

use super::{
    Served,
    present::{Present, Transports},
    ways,
};
use crate::{
    config::{Config, Environment},
    exit::CliError,
    wire::doors,
};

/// How many errors are told at once.
const MOST_TOLD: usize = 5;

impl Served {
    /// What was read and cannot be used leaves all as it was.
    pub fn read_anew(&self) -> Result<Reloaded, CliError> {
        let _one = self.one_at_a_time();
        let before = self.present();
        let mut config = Config::read(&before.config.file)?;
        let later = pin(&mut config, &before.config);
        let present = Present::of(config, |config, name| carried(config, &before, name))?;
        let errors: Vec<Finding> =
            present.library.findings.iter().filter(|finding| finding.is_error()).cloned().collect();
        if !errors.is_empty() {
            return Err(CliError::invalid(told(&errors)));
        }
        let open = self.open(&present.config, &before.config)?;
        let terms = present.config.server.tls.as_ref().map(ways::terms).transpose()?;
        let channels = present.config.notifications.clone();
        // The last that can be refused; from here on everything is taken.
        self.outbox
            .replace(channels)
            .map_err(|error| CliError::invalid(format!("notifications: {error}")))?;
        self.take(open, terms);
        let reloaded = Reloaded { findings: present.library.findings.clone(), later };
        self.become_present(present);
        Ok(reloaded)
    }

    /// The ways in as the configuration has them now. The doors of detectors stay: nobody else knows
    /// their secrets.
    fn open(&self, config: &Config, before: &Config) -> Result<Open, CliError> {
        let was = self.ways.open();
        let of_detectors = was.hooks.iter().filter(|(name, _)| !before.hooks.contains_key(*name));
        let mut hooks: BTreeMap<String, Arc<Hook>> =
            of_detectors.map(|(name, hook)| (name.clone(), hook.clone())).collect();
        hooks.extend(doors::open(config)?);
        let asked = |config: &Config| config.auth.as_ref().and_then(|auth| auth.oidc.clone());
        // What the provider has told of itself is worth keeping.
        let oidc: Option<Arc<Oidc>> =
            if asked(config) == asked(before) { was.oidc.clone() } else { ways::oidc(config)? };
        Ok(Open { hooks, oidc })
    }

    fn take(&self, open: Open, terms: Option<Terms>) {
        self.ways.replace(open);
        if let (Some(tls), Some(terms)) = (&self.tls, terms) {
            tls.replace(terms);
        }
    }
}

/// What an error of the configuration says in one line.
pub fn in_a_line(error: &CliError) -> String {
    let found = error.findings.as_ref().map(|found| {
        let errors: Vec<Finding> =
            found.findings.iter().filter(|finding| finding.is_error()).cloned().collect();
        told(&errors)
    });
    let message = match found {
        Some(found) => format!("{}: {found}", error.message),
        None => error.message.clone(),
    };
    match &error.hint {
        Some(hint) => format!("everything stays as it was: {message} ({hint})"),
        None => format!("everything stays as it was: {message}"),
    }
}

fn told(errors: &[Finding]) -> String {
    let shown = errors.iter().take(MOST_TOLD);
    let shown: Vec<String> =
        shown.map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.message)).collect();
    let more = errors.len().saturating_sub(MOST_TOLD);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{more}", shown.join("; "))
}

/// Leaves what only a new start can change as it is, and says what that is.
fn pin(config: &mut Config, before: &Config) -> Vec<String> {
    let watched = |name: &str| {
        before.detectors.iter().any(|one| {
            before.environment(one.environment.as_deref()).is_ok_and(|(environment, _)| environment == name)
        })
    };
    let moved = before
        .environments
        .iter()
        .any(|(name, environment)| watched(name) && config.environments.get(name) != Some(environment));
    let mut later = Vec::new();
    for (differs, key) in [
        (config.store != before.store, "store"),
        (config.server.listen != before.server.listen, "server.listen"),
        (config.server.public_url != before.server.public_url, "server.public_url"),
        (config.server.proxies != before.server.proxies, "server.proxies"),
        (config.server.retention != before.server.retention, "server.retention"),
        (config.server.tls.is_some() != before.server.tls.is_some(), "server.tls"),
        (config.detectors != before.detectors || moved, "detectors"),
    ] {
        if differs {
            later.push(key.to_owned());
        }
    }
    config.store.clone_from(&before.store);
    config.server.listen = before.server.listen;
    config.server.public_url.clone_from(&before.server.public_url);
    config.server.proxies.clone_from(&before.server.proxies);
    config.server.retention = before.server.retention.clone();
    if config.server.tls.is_some() != before.server.tls.is_some() {
        config.server.tls.clone_from(&before.server.tls);
    }
    config.detectors.clone_from(&before.detectors);
    later
}

/// The transports of an environment: the same where nothing about it has changed. A simulated world
/// goes on where its scenario does.
fn carried(config: &Config, before: &Present, name: &str) -> Arc<Transports> {
    let (Some(now), Some(was)) = (config.environments.get(name), before.config.environments.get(name)) else {
        return Arc::default();
    };
    let Some(transports) = before.environments.get(name) else { return Arc::default() };
    let shared = |config: &Config| (config.secrets.clone(), config.people.clone(), config.playbooks.clone());
    if now == was && shared(config) == shared(&before.config) {
        return transports.clone();
    }
    let world = |environment: &Environment| (environment.simulated.clone(), environment.speed);
    if world(now) == world(was) { Arc::new(transports.of_the_same_world()) } else { Arc::default() }
}
