//! The embedded detectors: what fires comes in through a door like every other.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runbook_contract::Mode;
use runbook_core::{Timestamp, detection::Message, runbook::Source};
use runbook_desk::detect::{Detection, Detector, Sink};
use runbook_engine::System;
use runbook_intake::{Door, Proof};
use runbook_server::{Hook, Site, deliver};
use secrecy::SecretString;

use super::Served;
use crate::{config::Config, exit::CliError, wire::gauge::Instruments};

/// More than a detector ever tells.
const RATE: u32 = 1_000;

/// The detectors of the configuration, before there is a server to tell.
#[derive(Debug)]
pub struct Detectors(Vec<(Detector, Instruments)>);

impl Detectors {
    /// Opens a door for each, which it alone can come through: the secret lives as long as the process.
    pub async fn open(
        config: &Config,
        served: &Served,
        hooks: &mut BTreeMap<String, Arc<Hook>>,
    ) -> Result<Self, CliError> {
        let mut detectors = Vec::with_capacity(config.detectors.len());
        for detector in &config.detectors {
            let environment = config.environment(detector.environment.as_deref())?.0.to_owned();
            let wired = served.wired(&environment, Mode::ReadOnly).await.map_err(CliError::failed)?;
            let told = |why: &dyn std::fmt::Display| {
                CliError::failed(format!("the door of detector `{}`: {why}", detector.name))
            };
            let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
            let proof = Proof::StandardWebhooks { secrets: vec![SecretString::from(secret)] };
            let door = Door::new(Source::Generic, proof).map_err(|error| told(&error))?;
            if hooks.insert(detector.name.clone(), Arc::new(Hook::new(door, environment, RATE))).is_some() {
                return Err(
                    told(&"a hook has the same name").hint("give the hook or the detector another name")
                );
            }
            let work = detector.at_work().scaled(wired.speed);
            let instruments = Instruments::of(&wired, work.timeout);
            detectors.push((work, instruments));
        }
        Ok(Self(detectors))
    }

    /// The detectors at a server's doors.
    pub fn watches(self, site: &Arc<Site>) -> Vec<Detection> {
        let watch = |(detector, instruments): (Detector, Instruments)| {
            let sink = Through { site: site.clone(), door: detector.name.clone() };
            Detection::new(
                detector,
                Arc::new(instruments),
                Arc::new(sink),
                site.shelf().clone(),
                Arc::new(System),
            )
        };
        self.0.into_iter().map(watch).collect()
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
        deliver(&self.site, &self.door, &headers, body.into())
            .await
            .map(drop)
            .map_err(|problem| problem.detail)
    }
}
