//! The channels, as `notifications:` in the configuration gives them.

mod address;
mod check;

use std::{collections::BTreeMap, path::PathBuf};

use runbook_contract::SecretSource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::check::{check, is_user};
pub use self::{
    address::{Address, MailServer, NotAMailServer, NotAnAddress},
    check::Misconfigured,
};
use crate::notice::{Moment, Notice};

/// One way to tell people, and what is told there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Channel {
    Slack(Slack),
    PagerDuty(PagerDuty),
    Email(Email),
    Webhook(Webhook),
}

/// Messages into a Slack channel. With a signing secret, approvals have buttons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Slack {
    /// What this channel is called in lists, logs and metrics.
    pub name: String,
    /// What is told here.
    pub on: Vec<Moment>,
    /// Only of these environments; of all where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Only of incidents of these severities; of all where it is empty. What belongs to no incident
    /// is told whatever stands here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<String>,
    /// A bot token (`xoxb-…`) with the scope `chat:write`.
    pub token: SecretSource,
    /// `#incidents` or a channel's id.
    pub channel: String,
    /// The app's signing secret, by which presses of buttons are known to be Slack's. Without it
    /// there are no buttons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<SecretSource>,
    /// Slack's ids of users (`U024BE7LH`), and who they are here. Presses of others are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<String, String>,
    /// The workspace (`T024BE7LD`) whose users may press buttons; any that the app is installed in,
    /// where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The address of the Web API.
    #[serde(default = "slack_api")]
    pub url: Address,
    /// The server that answers to presses go to.
    #[serde(default = "slack_hooks")]
    pub hooks: Address,
}

/// Events into a PagerDuty service, by Events API v2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct PagerDuty {
    /// What this channel is called in lists, logs and metrics.
    pub name: String,
    /// What is told here. What ends it (resolved, decided, ended) follows by itself.
    pub on: Vec<Moment>,
    /// Only of these environments; of all where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Only of incidents of these severities; of all where it is empty. What belongs to no incident
    /// is told whatever stands here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<String>,
    /// The integration key of the service.
    pub routing_key: SecretSource,
    /// What severities are for PagerDuty, where their names do not say it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<String, Level>,
    #[serde(default = "pagerduty_events")]
    pub url: Address,
}

/// PagerDuty's severities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Critical,
    Error,
    Warning,
    Info,
}

/// Mail through an SMTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Email {
    /// What this channel is called in lists, logs and metrics.
    pub name: String,
    /// What is told here.
    pub on: Vec<Moment>,
    /// Only of these environments; of all where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Only of incidents of these severities; of all where it is empty. What belongs to no incident
    /// is told whatever stands here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<String>,
    /// `smtp.example.com:587`
    pub server: MailServer,
    #[serde(default)]
    pub tls: Tls,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretSource>,
    /// `Runbook <runbook@example.com>`
    pub from: String,
    #[schemars(length(min = 1, max = 50))]
    pub to: Vec<String>,
}

/// How a connection to a mail server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Begins in the clear and must turn to TLS before anything is said; usually port 587.
    #[default]
    StartTls,
    /// TLS from the first byte; usually port 465.
    Implicit,
    /// Never; only to this machine.
    None,
}

/// JSON to an address of one's own, signed as Standard Webhooks says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Webhook {
    /// What this channel is called in lists, logs and metrics.
    pub name: String,
    /// What is told here.
    pub on: Vec<Moment>,
    /// Only of these environments; of all where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Only of incidents of these severities; of all where it is empty. What belongs to no incident
    /// is told whatever stands here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<String>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Address>,
    /// The same from a secret, where the address itself lets whoever knows it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<SecretSource>,
    /// The key of the signature, in base64 (`whsec_…`).
    pub secret: SecretSource,
}

impl Channel {
    pub fn name(&self) -> &str {
        match self {
            Self::Slack(slack) => &slack.name,
            Self::PagerDuty(pagerduty) => &pagerduty.name,
            Self::Email(email) => &email.name,
            Self::Webhook(webhook) => &webhook.name,
        }
    }

    /// `slack`, `pagerduty`, `email` or `webhook`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Slack(_) => "slack",
            Self::PagerDuty(_) => "pagerduty",
            Self::Email(_) => "email",
            Self::Webhook(_) => "webhook",
        }
    }

    /// The paths of the files that its secrets are read from, for whoever reads the configuration to
    /// settle.
    pub fn secret_files(&mut self) -> Vec<&mut PathBuf> {
        let sources: Vec<&mut SecretSource> = match self {
            Self::Slack(slack) => {
                std::iter::once(&mut slack.token).chain(&mut slack.signing_secret).collect()
            }
            Self::PagerDuty(pagerduty) => vec![&mut pagerduty.routing_key],
            Self::Email(email) => email.password.iter_mut().collect(),
            Self::Webhook(webhook) => {
                std::iter::once(&mut webhook.secret).chain(&mut webhook.url_from).collect()
            }
        };
        let file = |source| match source {
            &mut SecretSource::File(ref mut path) => Some(path),
            _ => None,
        };
        sources.into_iter().filter_map(file).collect()
    }

    /// Whether this is told here. What only ends something, or says that somebody is at it, goes wherever that may have been told,
    /// whatever its severity has become, so that no page and no button outlives its reason.
    pub fn wants(&self, notice: &Notice) -> bool {
        let (on, environments, severities) = self.filter();
        let of_here = match &notice.environment {
            Some(environment) => environments.is_empty() || environments.contains(environment),
            None => true,
        };
        let severe = match notice.severity() {
            Some(given) => {
                severities.is_empty() || severities.iter().any(|one| one.eq_ignore_ascii_case(given))
            }
            None => true,
        };
        of_here && ((on.contains(&notice.moment()) && severe) || self.follows(notice))
    }

    /// Programs are told everything, however late.
    pub(crate) fn is_for_people(&self) -> bool {
        !matches!(self, Self::Webhook(_))
    }

    /// Whether this was asked for, rather than only following from what was.
    pub(crate) fn asks_for(&self, moment: Moment) -> bool {
        self.filter().0.contains(&moment)
    }

    fn follows(&self, notice: &Notice) -> bool {
        let follows = match self {
            Self::Slack(_) => notice.answers_approval(),
            Self::PagerDuty(_) => notice.ends_it() || notice.takes_it_on(),
            Self::Email(_) | Self::Webhook(_) => false,
        };
        follows && notice.opened_by().iter().any(|moment| self.asks_for(*moment))
    }

    fn filter(&self) -> (&[Moment], &[String], &[String]) {
        match self {
            Self::Slack(Slack { on, environments, severities, .. })
            | Self::PagerDuty(PagerDuty { on, environments, severities, .. })
            | Self::Email(Email { on, environments, severities, .. })
            | Self::Webhook(Webhook { on, environments, severities, .. }) => (on, environments, severities),
        }
    }
}

fn slack_api() -> Address {
    Address::constant("https://slack.com/api")
}
fn slack_hooks() -> Address {
    Address::constant("https://hooks.slack.com")
}
fn pagerduty_events() -> Address {
    Address::constant("https://events.pagerduty.com/v2/enqueue")
}

#[cfg(test)]
mod tests;
