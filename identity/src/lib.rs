//! Who somebody is and what they may do.
//!
//! The way of a request: a cookie or a bearer token is parsed ([`sessions`], [`tokens`]), its record
//! is fetched from the store by id, checked against the clock, and turned into an [`Identity`] by
//! the [`Directory`], which knows what `runbook.yaml` grants to whom. [`may`] then says yes, or a
//! [`Refusal`] that can be shown and written down. People get a session by signing in at an OpenID
//! provider ([`oidc`]).
//!
//! Invariants:
//! - Nothing here stores anything, and nothing but [`oidc`] reaches the network. Time comes in as
//!   an argument; randomness comes from one function.
//! - No record holds a secret, only its SHA-256: whoever reads the store cannot sign in with it.
//! - Rights are worked out anew for each request, so that a grant taken out of `runbook.yaml` ends
//!   with the next one, for sessions and tokens alike.
//! - What is not granted is refused: an action that names no environment or no runbook, too.

pub mod config;
pub mod cookies;
mod directory;
mod identity;
pub mod oidc;
mod pattern;
mod random;
pub mod roles;
pub mod sessions;
pub mod tokens;

pub use crate::{
    config::Auth,
    directory::Directory,
    identity::{Identity, Via},
    pattern::Pattern,
    random::NoRandomness,
    roles::{Grant, Permission, Refusal, Rights, Role, Scope, may},
};
