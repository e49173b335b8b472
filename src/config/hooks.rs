//! The doors through which alerts come.

use std::num::NonZeroU32;

use runbook_contract::SecretSource;
use runbook_core::runbook::Source;
use runbook_intake::ClientName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Alerts of one source, and how it proves that it is the one. Exactly one proof is given: `bearer`,
/// `basic`, `header`, `secret`, `client_certificate`, or `topics`.
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
    /// Whose certificate it shows; `server.tls.client_authorities` says who vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
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

/// Who may come in with a certificate: whoever has one of these names. At least one is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// Hosts, as alternative names of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Addresses, as alternative names of the subject: `spiffe://…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uri: Vec<String>,
    /// Mail addresses, as alternative names of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<String>,
    /// The common name of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub common_name: Vec<String>,
    /// The SHA-256 of one certificate, in hexadecimal, with colons or without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sha256: Vec<String>,
}

impl ClientCertificate {
    /// Why not, where one of them can be nobody's.
    pub fn names(&self) -> Result<Vec<ClientName>, String> {
        let fingerprints = self.sha256.iter().map(|text| {
            let name = ClientName::sha256(text);
            name.ok_or_else(|| format!("`{text}` is not a SHA-256: write its 64 hexadecimal digits"))
        });
        let dns = self.dns.iter().map(|name| ClientName::dns(name));
        let uri = self.uri.iter().cloned().map(ClientName::Uri);
        let email = self.email.iter().cloned().map(ClientName::Email);
        let common = self.common_name.iter().cloned().map(ClientName::CommonName);
        let names = dns.chain(uri).chain(email).chain(common).map(Ok).chain(fingerprints);
        let names = names.collect::<Result<Vec<_>, String>>()?;
        if names.is_empty() {
            return Err("it names nobody: give `dns`, `uri`, `email`, `common_name` or `sha256`".to_owned());
        }
        Ok(names)
    }
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
