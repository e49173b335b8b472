//! How a delivery proves who sent it. One file per kind of proof.
//!
//! Every kind takes several secrets, so that one can be replaced without a gap: the new one is added,
//! then the detector is changed, then the old one is taken away. All secrets are tried each time, so
//! that the time it takes does not tell which one matched.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::client::ClientName;
use crate::door::Misconfigured;
use crate::refusal::Refusal;
use crate::request::Request;

pub(crate) mod digest;
pub(crate) mod grafana;
pub(crate) mod pagerduty;
pub(crate) mod presented;
pub(crate) mod slack;
pub(crate) mod sns;
pub(crate) mod standard;

/// The header in which Grafana signs, where it is not told otherwise.
pub const GRAFANA_SIGNATURE: &str = "X-Grafana-Alerting-Signature";

/// How far the clock of a sender may be from ours, in seconds, either way.
pub(crate) const TOLERANCE: i64 = 5 * 60;

/// How a delivery proves who sent it.
#[derive(Debug, Clone)]
pub enum Proof {
    /// `Authorization: Bearer …`
    Bearer { tokens: Vec<SecretString> },
    /// `Authorization: Basic …`
    Basic { user: String, passwords: Vec<SecretString> },
    /// A secret in a header of its own.
    Header { name: String, values: Vec<SecretString> },
    /// A client certificate. The TLS layer verifies it against its authorities and says whose it is
    /// (see [`Request::client`]); here it is only checked whether one of its names may come in.
    ClientCertificate { names: Vec<ClientName> },
    /// HMAC-SHA256 in hex over the body, or over `timestamp:body` where a timestamp header is named.
    Grafana { secrets: Vec<SecretString>, signature_header: String, timestamp_header: Option<String> },
    /// `X-PagerDuty-Signature: v1=hex,v1=hex`
    PagerDuty { secrets: Vec<SecretString> },
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,base64 v1,base64`
    StandardWebhooks { secrets: Vec<SecretString> },
    /// The RSA signature in the body of an SNS message, and the topics that may send.
    Sns { topics: Vec<String> },
    /// `X-Slack-Signature: v0=hex` over `v0:timestamp:body`
    Slack { secrets: Vec<SecretString> },
}

impl Proof {
    /// Whether it lets somebody in, but not anybody.
    ///
    /// # Errors
    /// What is wrong with it, and how to set it right.
    pub fn check(&self) -> Result<(), Misconfigured> {
        match self {
            Self::Bearer { tokens } => check_secrets(tokens, "token"),
            Self::Basic { user, passwords } => {
                if user.is_empty() || user.contains(':') {
                    return Err(Misconfigured::NotAUser);
                }
                check_secrets(passwords, "password")
            }
            Self::Header { name, values } => {
                check_header(name)?;
                check_secrets(values, "secret")
            }
            Self::ClientCertificate { names } => {
                check_each(names.iter().map(ClientName::text), "name of a client")
            }
            Self::Grafana { secrets, signature_header, timestamp_header } => {
                check_header(signature_header)?;
                timestamp_header.as_deref().map_or(Ok(()), check_header)?;
                check_secrets(secrets, "signing secret")
            }
            Self::PagerDuty { secrets } | Self::Slack { secrets } => check_secrets(secrets, "signing secret"),
            Self::StandardWebhooks { secrets } => {
                check_secrets(secrets, "signing secret")?;
                let all = secrets.iter().all(|secret| standard::key(secret).is_some());
                if all { Ok(()) } else { Err(Misconfigured::NotBase64) }
            }
            Self::Sns { topics } => {
                check_texts(topics, "topic")?;
                match topics.iter().find(|topic| !sns::is_topic(topic)) {
                    Some(topic) => Err(Misconfigured::NotATopic(topic.clone())),
                    None => Ok(()),
                }
            }
        }
    }

    /// Verifies a request over its raw bytes. [`crate::Door::receive`] does this too; on its own it is
    /// for what brings no alerts, such as the buttons of Slack.
    ///
    /// # Errors
    /// A [`Refusal`]: there is no proof, it is wrong, or it is stale. The proof of an SNS message needs
    /// its certificate and is never given by this alone.
    pub fn verify(&self, request: &Request<'_>) -> Result<(), Refusal> {
        match self {
            Self::Bearer { tokens } => presented::bearer(request, tokens),
            Self::Basic { user, passwords } => presented::basic(request, user, passwords),
            Self::Header { name, values } => presented::header(request, name, values),
            Self::ClientCertificate { names } => presented::client(request, names),
            Self::Grafana { secrets, signature_header, timestamp_header } => {
                grafana::verify(request, secrets, signature_header, timestamp_header.as_deref())
            }
            Self::PagerDuty { secrets } => pagerduty::verify(request, secrets),
            Self::StandardWebhooks { secrets } => standard::verify(request, secrets),
            Self::Sns { .. } => Err(Refusal::Unauthenticated(
                "the signature of an SNS message cannot be checked without its certificate".to_owned(),
            )),
            Self::Slack { secrets } => slack::verify(request, secrets),
        }
    }

    /// What the header `webhook-id` calls a request that is verified; only where the proof covers the
    /// headers too, since else a replay could be given another name.
    pub(crate) fn delivery(&self, request: &Request<'_>) -> Result<Option<String>, Refusal> {
        match self {
            Self::Grafana { .. } | Self::PagerDuty { .. } | Self::Slack { .. } | Self::Sns { .. } => Ok(None),
            Self::Bearer { .. }
            | Self::Basic { .. }
            | Self::Header { .. }
            | Self::ClientCertificate { .. }
            | Self::StandardWebhooks { .. } => {
                let id = request.headers.optional(standard::ID)?;
                id.map_or(Ok(()), standard::check_id)?;
                Ok(id.map(str::to_owned))
            }
        }
    }
}

/// Reads a time in whole seconds since 1970 and checks that it is near `now`.
pub(crate) fn check_seconds(header: &str, text: &str, now: Timestamp) -> Result<(), Refusal> {
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    let Some(seconds) = digits.then(|| text.parse::<i64>().ok()).flatten() else {
        return Err(Refusal::Unauthenticated(format!(
            "the header `{header}` is not a time in whole seconds since 1970"
        )));
    };
    check_age(now.as_second().saturating_sub(seconds), TOLERANCE)
}

/// Refuses what is older than `tolerance`, or further in the future than clocks may differ; all in
/// seconds.
pub(crate) fn check_age(age: i64, tolerance: i64) -> Result<(), Refusal> {
    if age > tolerance {
        return Err(Refusal::Stale(format!(
            "it was signed {age} s ago, at most {tolerance} s are accepted; send it anew, and check the clocks"
        )));
    }
    if age < -TOLERANCE {
        return Err(Refusal::Stale(format!(
            "it was signed {} s in the future; check the clocks of both machines",
            age.saturating_neg()
        )));
    }
    Ok(())
}

fn check_secrets(secrets: &[SecretString], what: &'static str) -> Result<(), Misconfigured> {
    check_each(secrets.iter().map(|secret| secret.expose_secret()), what)
}

fn check_texts(texts: &[String], what: &'static str) -> Result<(), Misconfigured> {
    check_each(texts.iter().map(String::as_str), what)
}

fn check_each<'a>(
    mut texts: impl ExactSizeIterator<Item = &'a str>,
    what: &'static str,
) -> Result<(), Misconfigured> {
    if texts.len() == 0 {
        return Err(Misconfigured::Empty(what));
    }
    texts.try_for_each(|text| match text.trim() {
        "" => Err(Misconfigured::Blank(what)),
        trimmed if trimmed != text => Err(Misconfigured::Padded(what)),
        _ => Ok(()),
    })
}

fn check_header(name: &str) -> Result<(), Misconfigured> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.is_empty() && name.bytes().all(token) {
        Ok(())
    } else {
        Err(Misconfigured::NotAHeader(name.to_owned()))
    }
}
