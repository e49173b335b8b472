//! The ways in that the configuration names. They can be replaced while the server runs, all at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use runbook_identity::oidc::Oidc;

use crate::hooks::Hook;

/// The ways in, as they are now.
#[derive(Debug, Default)]
pub struct Ways(RwLock<Arc<Open>>);

/// The hooks by name, and where people sign in.
#[derive(Debug, Clone, Default)]
pub struct Open {
    pub hooks: BTreeMap<String, Arc<Hook>>,
    pub oidc: Option<Arc<Oidc>>,
}

impl Ways {
    pub fn new(open: Open) -> Self {
        Self(RwLock::new(Arc::new(open)))
    }

    /// Whoever has come in stays in until their request is answered, whatever changes meanwhile.
    pub fn open(&self) -> Arc<Open> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn replace(&self, open: Open) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(open);
    }

    pub fn hook(&self, name: &str) -> Option<Arc<Hook>> {
        self.open().hooks.get(name).cloned()
    }

    pub fn oidc(&self) -> Option<Arc<Oidc>> {
        self.open().oidc.clone()
    }
}
