//! The embedded detector through the built program: what its rules say of a simulated environment and
//! of a real Prometheus, and that Prometheus says the same.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says that it is")]

mod configured;
mod live;
#[path = "../project/folder.rs"]
mod project;
mod promtool;
mod verb;
