//! Signing in: against a scripted provider that lies, and against a real one.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod browser;
mod device;
mod documents;
mod logins;
mod provider;
mod real;
mod signer;
mod tokens;
