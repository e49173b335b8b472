//! What an environment lets runs do, as it said when a run was created. A runbook may ask for more
//! care, never for less.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, duration::Duration, spec::Effect};

/// Who may do what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Groups and their members.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Whether the person who asked for the run may approve it.
    pub allow_self: bool,
    /// A simulated environment: whoever sits at the terminal belongs to every group.
    #[serde(default)]
    pub everyone: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_mutations: Option<u32>,
    /// What each effect needs at the least, whatever the runbook says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub floors: BTreeMap<Effect, Floor>,
    /// Who may approve alone in an emergency, with a reason. Nobody where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub break_glass: Vec<String>,
    /// When nothing is to be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// How long a target that was changed is left alone by other runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Duration>,
    /// Who may override freezes and cool-downs, with a reason. Whoever may run where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overriders: Vec<String>,
}

/// The least approval for an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    pub from: Vec<String>,
    pub count: u32,
}

/// A time in which nothing is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub from: Timestamp,
    pub until: Timestamp,
    pub reason: String,
}

impl Policy {
    /// Whether someone is one of these people, or a member of one of these groups.
    pub fn is_among(&self, person: &str, people: &[String]) -> bool {
        let member = |name: &String| {
            name == person
                || self.groups.get(name).is_some_and(|group| group.iter().any(|member| member == person))
        };
        people.iter().any(member)
    }

    /// The freeze that a moment falls into; of several, the one that lasts longest.
    pub fn freeze_at(&self, at: Timestamp) -> Option<&Freeze> {
        let frozen = self.freezes.iter().filter(|freeze| freeze.from <= at && at < freeze.until);
        frozen.max_by_key(|freeze| freeze.until)
    }
}
