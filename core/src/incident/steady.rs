//! Whether what broke is well again: what was seen of the steady states of an incident's runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Body, Incident, LONGEST_NAME, Rejected,
    draft::Draft,
    said::{cut, filled},
};
use crate::event::Actor;

/// How many parts of steady states one look keeps.
pub const MOST_SEEN: usize = 50;
const LONGEST_SEEN: usize = 500;

/// One part of the steady state of a runbook, as it was seen for the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub runbook: String,
    /// The part's id; none where the steady state could not be looked at as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// `None` where it could not be read.
    pub passed: Option<bool>,
    /// `value = 0.42`, for people.
    pub seen: String,
}

/// A look at the steady state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    pub at: Timestamp,
    /// Who wanted to know.
    pub by: Actor,
    /// `None` where it could not be read.
    pub holds: Option<bool>,
    pub checks: Vec<Seen>,
}

/// What is known of the steady state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Steadiness {
    /// Nothing says what recovered means: no run, or none with a steady state.
    #[default]
    Undeclared,
    /// It is declared and could not be read.
    Unreadable,
    Broken,
    Holds,
}

impl Steadiness {
    /// Of all parts that were seen: one that fails decides, one that nobody could read leaves it open.
    pub fn of(seen: &[Seen]) -> Self {
        if seen.is_empty() {
            Self::Undeclared
        } else if seen.iter().any(|part| part.passed == Some(false)) {
            Self::Broken
        } else if seen.iter().any(|part| part.passed.is_none()) {
            Self::Unreadable
        } else {
            Self::Holds
        }
    }

    /// Whether it holds; `None` where nobody can tell.
    pub fn verified(self) -> Option<bool> {
        match self {
            Self::Undeclared | Self::Unreadable => None,
            Self::Broken => Some(false),
            Self::Holds => Some(true),
        }
    }
}

impl Seen {
    /// `p95 value = 0.9`
    fn told(&self) -> String {
        let check = self.check.as_deref().unwrap_or(&self.runbook);
        format!("{check} {}", self.seen)
    }
}

/// What was seen, in a line.
pub(super) fn told(holds: Option<bool>, seen: &[Seen]) -> String {
    let word = match holds {
        Some(true) => "the steady state holds",
        Some(false) => "the steady state does not hold",
        None => "nobody can tell whether the steady state holds",
    };
    let parts: Vec<String> = seen.iter().map(Seen::told).collect();
    if parts.is_empty() { word.to_owned() } else { format!("{word}: {}", parts.join(", ")) }
}

impl Incident {
    /// What is known without looking: what was seen last, by somebody who looked or by a run that has
    /// ended since.
    pub fn last_seen(&self) -> Steadiness {
        let ended = self.runs.values().filter_map(|run| Some((run.ended_at?, run.recovered?)));
        let of_runs = ended.max_by_key(|(at, _)| *at);
        match (&self.steady, of_runs) {
            (Some(look), run) if run.is_none_or(|(at, _)| at <= look.at) => Steadiness::of(&look.checks),
            (_, Some((_, true))) => Steadiness::Holds,
            (_, Some((_, false))) => Steadiness::Broken,
            (_, None) => Steadiness::Undeclared,
        }
    }

    /// What speaks against it, in the words of the last look where there are any.
    pub(super) fn unsteady(&self, steady: Steadiness) -> Option<String> {
        let word = match steady {
            Steadiness::Undeclared | Steadiness::Holds => return None,
            Steadiness::Broken => "the steady state does not hold",
            Steadiness::Unreadable => "the steady state cannot be read",
        };
        let wanted = steady.verified();
        let parts = self.steady.iter().flat_map(|look| &look.checks).filter(|part| part.passed == wanted);
        let parts: Vec<String> = parts.take(3).map(Seen::told).collect();
        Some(if parts.is_empty() { word.to_owned() } else { format!("{word} ({})", parts.join(", ")) })
    }
}

impl Draft<'_> {
    /// Keeps what somebody has seen who wanted to know whether it is over.
    pub(super) fn looked(&mut self, mut seen: Vec<Seen>) -> Result<(), Rejected> {
        if seen.is_empty() || !self.incident.is_open() {
            return Ok(());
        }
        let holds = Steadiness::of(&seen).verified();
        // Of too much, what is wrong is kept.
        seen.sort_by_key(|part| match part.passed {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        });
        seen.truncate(MOST_SEEN);
        for part in &mut seen {
            part.runbook = cut(&part.runbook, LONGEST_NAME);
            part.check = filled(part.check.as_deref(), LONGEST_NAME);
            part.seen = cut(&part.seen, LONGEST_SEEN);
        }
        self.emit(Body::SteadyChecked { holds, checks: seen })
    }
}
