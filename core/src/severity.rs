//! The severity matrix: what each level means, how soon somebody answers, how often people are
//! told, who is called next, and when the postmortem is due. It is configuration, with five
//! presets as five published guides have it.

mod presets;
mod setting;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

pub use self::{
    presets::Preset,
    setting::{BadMatrix, Setting},
};

/// Levels, most severe first, and the one for alerts that say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    #[schemars(length(min = 1, max = 10))]
    levels: Vec<Level>,
    /// The level where an alert names none, or one that no level knows; the second-lowest where it
    /// is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

/// One level of severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// As people write it: `SEV-1`, `P0`, `Critical`.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// In a word: `Critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// What belongs here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 200)))]
    pub examples: Vec<String>,
    /// How soon somebody has to answer.
    pub response_time: Duration,
    /// The same in words, where a duration does not say it well: `next business day`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub response: Option<String>,
    /// The response time does not run on Saturdays and Sundays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub business_days: bool,
    /// How often people are told how it goes; as needed, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_every: Option<Duration>,
    /// How it is escalated, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub escalation: Option<String>,
    /// Who is called, one rung after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub escalate_to: Vec<Rung>,
    /// How soon after the resolution the postmortem is due; none is, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postmortem_within: Option<Duration>,
    /// The words of detectors that mean this level. Its name and title always do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 40)))]
    pub matches: Vec<String>,
}

/// One rung of an escalation: who is called together, and how long they have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// People, groups or roles.
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 100)))]
    pub call: Vec<String>,
    /// How long until the next rung is called; only when somebody asks, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
}

/// Why a text is no level of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no severity `{word}`")]
pub struct NotALevel {
    word: String,
    known: Vec<String>,
}

impl NotALevel {
    pub fn hint(&self) -> String {
        format!("known are {}", self.known.join(", "))
    }
}

impl Matrix {
    /// The levels, most severe first; never none.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The level that a detector's or a person's word stands for. Case, hyphens, underscores and
    /// spaces do not count: `SEV-1`, `sev1` and `Sev 1` are one word.
    pub fn level_of(&self, word: &str) -> Option<&Level> {
        let word = normal(word);
        self.levels.iter().find(|level| level.words().any(|known| normal(known) == word))
    }

    /// The level that a person names.
    ///
    /// # Errors
    /// Where there is no such level, with those that there are.
    pub fn named(&self, word: &str) -> Result<&Level, NotALevel> {
        self.level_of(word).ok_or_else(|| NotALevel {
            word: word.chars().take(60).collect(),
            known: self.levels.iter().map(|level| level.name.clone()).collect(),
        })
    }

    /// The level for alerts that say nothing that is known: the one that is configured, else the
    /// second-lowest. The lowest is for what may wait for weeks, which nobody has said.
    pub fn default_level(&self) -> &Level {
        let configured = self.default.as_deref().and_then(|name| self.level_of(name));
        let last = self.levels.len() - 1;
        configured.unwrap_or_else(|| &self.levels[last.saturating_sub(1)])
    }

    /// The level for an alert: that of its word, else the default.
    pub fn level_for(&self, word: Option<&str>) -> &Level {
        word.and_then(|word| self.level_of(word)).unwrap_or_else(|| self.default_level())
    }

    /// 0 for the most severe level.
    pub fn rank(&self, word: &str) -> Option<usize> {
        let level = self.level_of(word)?;
        self.levels.iter().position(|known| known.name == level.name)
    }

    /// `Greater` where `one` is more severe than `other`; `None` where either is unknown.
    pub fn compare(&self, one: &str, other: &str) -> Option<Ordering> {
        Some(self.rank(other)?.cmp(&self.rank(one)?))
    }
}

impl Default for Matrix {
    /// The preset `s3`.
    fn default() -> Self {
        Preset::default().matrix()
    }
}

impl Level {
    /// `SEV-1 (Critical)`.
    pub fn label(&self) -> String {
        match &self.title {
            Some(title) => format!("{} ({title})", self.name),
            None => self.name.clone(),
        }
    }

    /// The response time for people: in the words of the matrix, else the duration.
    pub fn response_text(&self) -> String {
        self.response.clone().unwrap_or_else(|| self.response_time.to_string())
    }

    /// By when somebody has to answer what came at `from`. On business days the time stands still
    /// on Saturdays and Sundays of the zone; hours of the day are not told apart.
    pub fn respond_by(&self, from: Timestamp, zone: &TimeZone) -> Timestamp {
        if self.business_days {
            after_business_time(from, self.response_time, zone)
        } else {
            self.response_time.after(from)
        }
    }

    /// When the postmortem of what was resolved at `resolved_at` is due.
    pub fn postmortem_by(&self, resolved_at: Timestamp) -> Option<Timestamp> {
        self.postmortem_within.map(|within| within.after(resolved_at))
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        let own = [Some(self.name.as_str()), self.title.as_deref()];
        own.into_iter().flatten().chain(self.matches.iter().map(String::as_str))
    }
}

fn after_business_time(from: Timestamp, length: Duration, zone: &TimeZone) -> Timestamp {
    let mut left = length;
    let mut at = from;
    // A year of business days is less than 600 days; each turn passes one.
    for _ in 0..600 {
        let day = at.to_zoned(zone.clone());
        let Ok(midnight) = day.tomorrow().and_then(|next| next.start_of_day()) else { break };
        let today = Duration::between(at, midnight.timestamp());
        if !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
            if left <= today {
                return left.after(at);
            }
            left = Duration::from(left.as_std().saturating_sub(today.as_std()));
        }
        at = midnight.timestamp();
    }
    left.after(at)
}

/// A word without what does not count in it.
fn normal(word: &str) -> String {
    let counts = |c: &char| !matches!(c, '-' | '_') && !c.is_whitespace();
    word.chars().filter(counts).flat_map(char::to_lowercase).collect()
}
