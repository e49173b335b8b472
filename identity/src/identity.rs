//! Somebody, as one request knows them.

use std::collections::BTreeSet;

use runbook_core::event::{Actor, Channel};
use serde::Serialize;

use crate::Rights;

/// Who is asking, what they may do, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The name under which approvals and the timeline know them.
    pub name: String,
    /// All groups: of `people.groups`, and those that the provider named.
    pub groups: BTreeSet<String>,
    /// Of these, the ones that only the provider named.
    pub claimed: BTreeSet<String>,
    pub rights: Rights,
    /// A second bound, which must allow it too: what a token's owner may do today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Rights>,
    pub via: Via,
}

/// How somebody came to be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Via {
    /// Signed in with a browser; the id of the session's record.
    Session { id: String },
    /// A bearer token; the id of its record.
    Token { id: String },
    /// A message whose sender was mapped to a person.
    Chat,
    /// The operating system's user on the machine of the store.
    Terminal,
    /// Nobody signed in: the server listens on loopback, and was told to ask nobody.
    Loopback,
}

impl Identity {
    /// The user of the operating system, who can read and write the store without asking.
    pub fn terminal(name: impl Into<String>) -> Self {
        Self::trusted(name.into(), Via::Terminal)
    }

    /// Whoever reaches a server that was started with its login switched off.
    pub fn loopback(name: impl Into<String>) -> Self {
        Self::trusted(name.into(), Via::Loopback)
    }

    /// How the journal names them.
    pub fn actor(&self) -> Actor {
        Actor { name: self.name.clone(), how: self.via.channel() }
    }

    fn trusted(name: String, via: Via) -> Self {
        let rights = Rights::all();
        Self { name, groups: BTreeSet::new(), claimed: BTreeSet::new(), rights, within: None, via }
    }
}

impl Via {
    pub fn channel(&self) -> Channel {
        match self {
            Self::Session { .. } | Self::Loopback => Channel::Web,
            Self::Token { .. } => Channel::Api,
            Self::Chat => Channel::Chat,
            Self::Terminal => Channel::Cli,
        }
    }
}
