//! The identity of an incident.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `INC-42`: short enough to say on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(u64);

impl IncidentId {
    /// Numbers begin at 1, and databases keep them with a sign.
    const MOST: u64 = i64::MAX as u64;

    pub const fn new(number: u64) -> Self {
        Self(number)
    }
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INC-{}", self.0)
    }
}

/// Why a text is not the id of an incident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of an incident; ids look like `INC-42`")]
pub struct NotAnIncidentId(String);

impl FromStr for IncidentId {
    type Err = NotAnIncidentId;

    /// The letters may be of either case, as people type them; the number has one spelling only,
    /// so that no incident has two names.
    fn from_str(text: &str) -> Result<Self, NotAnIncidentId> {
        let refuse = || NotAnIncidentId(text.chars().take(60).collect());
        let (prefix, digits) = text.split_once('-').ok_or_else(refuse)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        if !prefix.eq_ignore_ascii_case("INC") || !plain {
            return Err(refuse());
        }
        let number: u64 = digits.parse().map_err(|_| refuse())?;
        if number > Self::MOST { Err(refuse()) } else { Ok(Self(number)) }
    }
}

impl Serialize for IncidentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        for (text, number) in [("INC-1", 1), ("inc-42", 42), ("INC-9223372036854775807", i64::MAX as u64)] {
            let id: IncidentId = text.parse().unwrap();
            assert_eq!(id.number(), number);
            assert_eq!(id.to_string(), text.to_uppercase());
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<IncidentId>(&json).unwrap(), id);
        }
        for text in [
            "",
            "INC",
            "INC-",
            "INC-0",
            "INC-042",
            "INC-+4",
            "42",
            "INC-9223372036854775808",
            "RUN-1",
            "INC-4 ",
        ] {
            assert!(text.parse::<IncidentId>().is_err(), "{text:?} was taken");
        }
    }
}
