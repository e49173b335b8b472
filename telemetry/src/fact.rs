//! What has come to its end, told for those who count.

use std::{fmt::Debug, time::Duration};

/// Counts what has come to its end. It must return at once.
pub trait Ledger: Debug + Send + Sync {
    fn count(&self, fact: &Fact);
    /// A group of entries was put on disk; it took that long.
    fn appended(&self, took: Duration);
}

/// What has come to its end. Each is told once, by the process that journaled it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    Run {
        runbook: String,
        status: &'static str,
        recovered: Option<bool>,
    },
    Step {
        /// `check`, `action`, `approval`, …
        kind: &'static str,
        status: &'static str,
    },
    /// A gate was answered, or its time was up.
    Gate {
        outcome: &'static str,
        waited: Duration,
    },
    /// A part of a step that nobody counts.
    Part,
}
