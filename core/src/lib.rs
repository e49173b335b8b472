//! The pure core of runbook: the language and its checker, expressions, the events of a run,
//! the fold over them, what is decided next, and how it all is told.
//!
//! Invariant: nothing here reads a clock, a random source, a file, an environment variable or the
//! network. Time and identifiers come in as arguments, so every function can be replayed.

pub mod alert;
pub mod change;
pub mod check;
pub mod detection;
pub mod duration;
pub mod event;
pub mod expression;
pub mod fault;
pub mod finding;
pub mod graph;
pub mod host;
pub mod incident;
pub mod inputs;
pub mod parse;
pub mod policy;
pub mod report;
pub mod run;
pub mod runbook;
pub mod sarif;
pub mod schema;
pub mod secret;
pub mod severity;
pub mod spec;
pub mod suggest;
pub mod timeline;
pub mod trigger;
pub mod unknown;

pub use jiff::Timestamp;
pub use serde_json::Value;
