//! How `runbook serve` is reached.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use runbook_core::duration::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where it listens: loopback, port 8080, where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// Its address as people and other programs write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub public_url: Option<url::Url>,
    /// Proxies before it, as networks such as `10.0.0.0/8` or `127.0.0.1/32`: what they say in
    /// `x-forwarded-for` is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub proxies: Vec<IpNet>,
    /// Without it, a proxy before it has to end TLS, unless it listens on loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How long is kept what need not be kept for ever.
    #[serde(default, skip_serializing_if = "Retention::is_default")]
    pub retention: Retention,
}

/// How long is kept what need not be kept for ever; a day at the least. The journals of runs and of
/// incidents are never removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Deliveries of detectors, as they came.
    #[serde(default = "deliveries")]
    pub deliveries: Duration,
    /// Alerts that are over, and what was started for them.
    #[serde(default = "alerts")]
    pub alerts: Duration,
    /// The audit log, and tokens that have ended.
    #[serde(default = "audit")]
    pub audit: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { deliveries: deliveries(), alerts: alerts(), audit: audit() }
    }
}

impl Retention {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As the server takes it.
    pub fn meant(&self) -> runbook_server::Retention {
        let Self { deliveries, alerts, audit } = *self;
        runbook_server::Retention { deliveries, alerts, audit }
    }
}

fn deliveries() -> Duration {
    runbook_server::Retention::default().deliveries
}
fn alerts() -> Duration {
    runbook_server::Retention::default().alerts
}
fn audit() -> Duration {
    runbook_server::Retention::default().audit
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those above it, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM. Only the server's own user and group may read it.
    pub key: PathBuf,
    /// Who vouches for the clients of hooks with `client_certificate`: certificates of authorities, in
    /// PEM. Others need not show any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<PathBuf>,
}
