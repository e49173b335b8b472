//! The embedded detectors: what fires comes in through a door like every other.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runbook_contract::Mode;
use runbook_core::{
    Timestamp,
    detection::{Measure, Message, Sample},
    fault::Fault,
    runbook::Source,
};
use runbook_desk::detect::{self, Detection, Detector, Gauge, Sink};
use runbook_engine::System;
use runbook_intake::{Door, Proof};
use runbook_journal::Shelf;
use runbook_server::{Hook, Site, deliver};
use secrecy::SecretString;

use super::Served;
use crate::{config::Config, exit::CliError, wire::gauge::Instruments};

/// More than a detector ever tells.
const RATE: u32 = 1_000;

/// The detectors of the configuration, and those that were in it once, before there is a server to
/// tell.
#[derive(Debug)]
pub struct Detectors {
    configured: Vec<(Detector, Instruments)>,
    retired: Vec<Detector>,
}

impl Detectors {
    /// Opens a door for each.
    pub async fn open(
        config: &Config,
        served: &Served,
        shelf: &Arc<dyn Shelf>,
        hooks: &mut BTreeMap<String, Arc<Hook>>,
    ) -> Result<Self, CliError> {
        let mut configured = Vec::with_capacity(config.detectors.len());
        for detector in &config.detectors {
            let environment = config.environment(detector.environment.as_deref())?.0.to_owned();
            let wired = served.wired(&environment, Mode::ReadOnly).await.map_err(CliError::failed)?;
            let hook = own_door(&detector.name, environment)?;
            if hooks.insert(detector.name.clone(), hook).is_some() {
                let name = &detector.name;
                return Err(CliError::failed(format!(
                    "the door of detector `{name}`: a hook has the same name"
                ))
                .hint("give the hook or the detector another name"));
            }
            let work = detector.at_work().scaled(wired.speed);
            let instruments = Instruments::of(&wired, work.timeout);
            configured.push((work, instruments));
        }
        let retired = retired(config, shelf, hooks).await?;
        Ok(Self { configured, retired })
    }

    /// The detectors at a server's doors: those that are configured, and those that only end what they
    /// had begun.
    pub fn watches(self, site: &Arc<Site>) -> (Vec<Detection>, Vec<Detection>) {
        let detection = |detector: Detector, gauge: Arc<dyn Gauge>| {
            let sink = Arc::new(Through { site: site.clone(), door: detector.name.clone() });
            Detection::new(detector, gauge, sink, site.shelf().clone(), Arc::new(System))
        };
        let configured = self.configured.into_iter();
        let configured = configured.map(|(detector, gauge)| detection(detector, Arc::new(gauge)));
        let retired = self.retired.into_iter().map(|detector| detection(detector, Arc::new(Nothing)));
        (configured.collect(), retired.collect())
    }
}

/// A door that a detector alone can come through: the secret lives as long as the process.
fn own_door(name: &str, environment: String) -> Result<Arc<Hook>, CliError> {
    let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let proof = Proof::StandardWebhooks { secrets: vec![SecretString::from(secret)] };
    let door = Door::new(Source::Generic, proof)
        .map_err(|error| CliError::failed(format!("the door of detector `{name}`: {error}")))?;
    Ok(Arc::new(Hook::new(door, environment, RATE)))
}

/// The detectors that are no longer configured and of which something may still fire. Each gets the door
/// back through which it had come.
async fn retired(
    config: &Config,
    shelf: &Arc<dyn Shelf>,
    hooks: &mut BTreeMap<String, Arc<Hook>>,
) -> Result<Vec<Detector>, CliError> {
    let mut retired = Vec::new();
    for name in detect::names(shelf).await? {
        if config.detectors.iter().any(|detector| detector.name == name) {
            continue;
        }
        // Its alerts are known; where they came from need not be told again.
        let environment = config.environments.keys().next().cloned().unwrap_or_default();
        if hooks.contains_key(&name) {
            tracing::warn!(detector = name, "what it had begun cannot be ended: a hook has its name now");
            continue;
        }
        hooks.insert(name.clone(), own_door(&name, environment)?);
        retired.push(Detector {
            name,
            rules: Vec::new(),
            every: Detector::EVERY,
            repeat: Detector::REPEAT,
            timeout: Detector::TIMEOUT,
        });
    }
    Ok(retired)
}

/// A detector without rules asks nothing.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Gauge for Nothing {
    async fn read(&self, _: &Measure) -> Result<Vec<Sample>, Fault> {
        Err(Fault::permanent("the detector is no longer configured"))
    }
}

/// Signs what fires, and takes it in as if it had come over the network.
#[derive(Debug)]
struct Through {
    site: Arc<Site>,
    door: String,
}

#[async_trait]
impl Sink for Through {
    async fn deliver(&self, message: &Message) -> Result<(), String> {
        let hook = self.site.ways.hook(&self.door).ok_or("the door is gone")?;
        let body = message.body.to_string();
        let headers = hook
            .door
            .sign(&message.id, body.as_bytes(), Timestamp::now())
            .map_err(|error| error.to_string())?;
        deliver(&self.site, &self.door, &headers, body.into(), None)
            .await
            .map(drop)
            .map_err(|problem| problem.detail)
    }
}
