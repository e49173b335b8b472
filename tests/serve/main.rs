//! The server through the built binary: its doors, its routes, and what is left after a storm and a
//! kill.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "figures that are not asserted are shown")]

mod access;
#[path = "../../identity/tests/oidc/browser.rs"]
mod browser;
mod canary;
mod certificates;
mod clients;
mod collector;
#[path = "../../journal/tests/postgres/database.rs"]
mod database;
mod laptop;
mod login;
#[path = "../project/folder.rs"]
mod project;
mod reload;
mod replicas;
mod server;
mod storm;
mod tls;
mod traces;
