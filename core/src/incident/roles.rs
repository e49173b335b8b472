//! The roles of people in an incident.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::suggest;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    IncidentCommander,
    TechnicalLead,
    SubjectMatterExpert,
    Communications,
    Scribe,
    ExecutiveLiaison,
}

impl Role {
    pub const ALL: [Self; 6] = [
        Self::IncidentCommander,
        Self::TechnicalLead,
        Self::SubjectMatterExpert,
        Self::Communications,
        Self::Scribe,
        Self::ExecutiveLiaison,
    ];

    /// The word in JSON and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::IncidentCommander => "incident_commander",
            Self::TechnicalLead => "technical_lead",
            Self::SubjectMatterExpert => "subject_matter_expert",
            Self::Communications => "communications",
            Self::Scribe => "scribe",
            Self::ExecutiveLiaison => "executive_liaison",
        }
    }

    /// What people say for short.
    pub fn short(self) -> &'static str {
        match self {
            Self::IncidentCommander => "ic",
            Self::TechnicalLead => "lead",
            Self::SubjectMatterExpert => "sme",
            Self::Communications => "comms",
            Self::Scribe => "scribe",
            Self::ExecutiveLiaison => "liaison",
        }
    }

    /// Whether several people have it at the same time. Any other passes from one to the next.
    pub fn is_shared(self) -> bool {
        self == Self::SubjectMatterExpert
    }
}

/// For people: `incident commander`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word().replace('_', " "))
    }
}

/// Why a text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role `{word}`; the roles are {}", suggest::list(Role::ALL.map(Role::word)))]
pub struct NotARole {
    word: String,
}

impl FromStr for Role {
    type Err = NotARole;

    /// The word or the short form; hyphens and spaces stand for underscores.
    fn from_str(text: &str) -> Result<Self, NotARole> {
        let word = text.to_lowercase().replace(['-', ' '], "_");
        let found = Self::ALL.into_iter().find(|role| role.word() == word || role.short() == word);
        found.ok_or_else(|| NotARole { word: text.chars().take(40).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_read_as_people_write_them() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.word());
            for text in [role.word(), role.short(), &role.to_string(), &role.word().replace('_', "-")] {
                assert_eq!(text.parse::<Role>().unwrap(), role, "{text}");
            }
        }
        assert_eq!("IC".parse::<Role>().unwrap(), Role::IncidentCommander);
        let error = "boss".parse::<Role>().unwrap_err().to_string();
        assert!(error.starts_with("there is no role `boss`; the roles are `incident_commander`"), "{error}");
    }
}
