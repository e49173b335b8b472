//! The actions that an environment offers, by name.

use std::{collections::BTreeMap, sync::Arc};

use runbook_core::spec::ActionSpec;

use crate::Action;

/// All actions, by `provider.action`.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    actions: BTreeMap<String, Arc<dyn Action>>,
}

impl Registry {
    /// Adds a provider's actions; a later action of the same name replaces the earlier one.
    #[must_use]
    pub fn with(mut self, actions: impl IntoIterator<Item = Arc<dyn Action>>) -> Self {
        self.actions.extend(actions.into_iter().map(|action| (action.spec().name.clone(), action)));
        self
    }
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Action>> {
        self.actions.get(name)
    }
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Action>> {
        self.actions.values()
    }
    /// What the actions say of themselves.
    pub fn specs(&self) -> BTreeMap<String, ActionSpec> {
        self.actions.iter().map(|(name, action)| (name.clone(), action.spec().clone())).collect()
    }
}
