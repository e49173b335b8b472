//! Signing: for what we send ourselves, and for deliveries that are sent anew.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::proof::{Proof, grafana, pagerduty, slack, standard};

/// Why a delivery cannot be signed here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    #[error("only Amazon signs messages of SNS; use a door with another source for drills")]
    Sns,
    #[error("a client certificate is shown by the TLS connection, not by a header")]
    ClientCertificate,
    #[error("the id of a delivery must have 1 to 256 printable characters and no full stop")]
    Id,
}

impl Proof {
    /// The headers that prove `body` at `now`. `id` names the delivery where the format has a place for
    /// that. Among the values are credentials: they are not to be logged.
    ///
    /// # Errors
    /// Proofs that only others can give, and ids that a signature cannot cover.
    pub fn sign(&self, id: &str, body: &[u8], now: Timestamp) -> Result<Vec<(String, String)>, CannotSign> {
        Ok(match self {
            Self::Bearer { tokens } => shown("Authorization", format!("Bearer {}", first(tokens))),
            Self::Basic { user, passwords } => {
                let pair = STANDARD.encode(format!("{user}:{}", first(passwords)));
                shown("Authorization", format!("Basic {pair}"))
            }
            Self::Header { name, values } => shown(name, first(values).to_owned()),
            Self::Grafana { secrets, signature_header, timestamp_header } => {
                grafana::sign(secrets, signature_header, timestamp_header.as_deref(), body, now)
            }
            Self::PagerDuty { secrets } => pagerduty::sign(secrets, body),
            Self::StandardWebhooks { secrets } => {
                standard::check_id(id).map_err(|_| CannotSign::Id)?;
                standard::sign(secrets, id, body, now)
            }
            Self::Slack { secrets } => slack::sign(secrets, body, now),
            Self::Sns { .. } => return Err(CannotSign::Sns),
            Self::ClientCertificate { .. } => return Err(CannotSign::ClientCertificate),
        })
    }
}

fn shown(header: &str, value: String) -> Vec<(String, String)> {
    vec![(header.to_owned(), value)]
}

/// The newest secret: they are listed newest first. A checked proof has one.
fn first(secrets: &[SecretString]) -> &str {
    secrets.first().map(|secret| secret.expose_secret()).unwrap_or_default()
}
