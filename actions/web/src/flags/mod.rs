//! `flags.get`, `flags.disable`, `flags.enable`: one feature flag of a flag service.

mod actions;
mod service;

use std::{fmt, sync::Arc};

use runbook_contract::{Access, Action, SecretSource};
use runbook_core::spec::ActionSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{client::Client, endpoint::Endpoint};

/// A flag service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its address, with the path prefix if it has one.
    pub url: Endpoint,
    /// Sent as a bearer token; to Unleash as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretSource>,
    /// How it speaks.
    pub shape: Shape,
    /// The environment of the flags; Unleash only.
    #[serde(default = "production")]
    pub environment: String,
    /// The project of the flags; Unleash only.
    #[serde(default = "default_project")]
    pub project: String,
}

/// How a flag service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `GET /api/flags/NAME` gives `{"enabled": true}`;
    /// `POST /api/flags/NAME/enable` and `/disable` switch.
    Path,
    /// `GET /api/flags` gives `{"NAME": true, …}`; `PATCH /api/flags` with `{"NAME": false}`
    /// switches.
    Body,
    /// The admin API of Unleash.
    Unleash,
}

fn production() -> String {
    "production".to_owned()
}

fn default_project() -> String {
    "default".to_owned()
}

/// The actions of one environment's flag service. Nothing is sent until one is called.
pub fn actions(config: &Config, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
    let client = Client::new(access, config.url.allow());
    let service = Arc::new(service::Service::new(client, config.clone()));
    vec![
        Arc::new(actions::Get::new(Arc::clone(&service))),
        Arc::new(actions::Switch::new(Arc::clone(&service), false)),
        Arc::new(actions::Switch::new(service, true)),
    ]
}

/// What the actions say of themselves.
pub fn specs() -> Vec<ActionSpec> {
    vec![actions::get_spec(), actions::switch_spec(false), actions::switch_spec(true)]
}

/// The name of a flag: letters, digits and `_ . : ~ -`, which mean nothing in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9_][A-Za-z0-9_.:~-]*$", "maxLength" = 200))]
struct FlagName(String);

impl TryFrom<String> for FlagName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let starts = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
        let goes_on = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.:~-".contains(letter));
        if starts && goes_on && text.len() <= 200 {
            Ok(Self(text))
        } else {
            Err("a flag's name has letters, digits and `_ . : ~ -`")
        }
    }
}

impl From<FlagName> for String {
    fn from(name: FlagName) -> Self {
        name.0
    }
}

impl fmt::Display for FlagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
