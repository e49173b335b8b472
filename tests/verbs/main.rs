//! The verbs that read, through the built program: what they print, where, and with which code.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod actions;
mod check;
mod containers;
mod incidents;
mod init;
mod language;
mod program;
mod project;
mod runs;
mod timeline;
