//! The doors through which alerts come.

use std::num::NonZeroU32;

use runbook_contract::SecretSource;
use runbook_core::runbook::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Alerts of one source, and how it proves that it is the one. Exactly one proof is given: `bearer`,
/// `basic`, `header`, `secret`, or `topics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    pub source: Source,
    /// Where the runs of its alerts act; the default environment, where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The token that the source sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretSource>,
    /// The user and the password that it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// A header with a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<SecretHeader>,
    /// What it signs with: Grafana, PagerDuty, and the generic source, which signs as Standard Webhooks
    /// have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,
    /// Secrets, tokens or passwords that are still accepted while they are being replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<SecretSource>,
    /// The header of Grafana's signature, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_header: Option<String>,
    /// The header of Grafana's timestamp, where one is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// The topics of Amazon SNS that may deliver, by their ARN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// How many deliveries a second it takes, twice as many at once; 1000 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NonZeroU32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    pub user: String,
    pub password: SecretSource,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    pub name: String,
    pub value: SecretSource,
}

impl Hook {
    /// Where its secrets are.
    pub fn sources_mut(&mut self) -> impl Iterator<Item = &mut SecretSource> {
        let basic = self.basic.as_mut().map(|basic| &mut basic.password);
        let header = self.header.as_mut().map(|header| &mut header.value);
        let single = [self.bearer.as_mut(), basic, header, self.secret.as_mut()];
        single.into_iter().flatten().chain(&mut self.previous)
    }
}
