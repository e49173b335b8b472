//! Kubernetes actions: reads, scale, rollouts, patches, preflight.

mod around;
mod client;
mod connect;
mod delta;
mod discover;
mod fault;
mod guard;
mod ops;
mod place;
mod pod;
mod predict;
mod proxy;
mod quantity;
mod read;
mod rights;
mod rollout;
mod schema;
mod selector;
mod template;
mod view;
mod workload;
mod write;

use std::{fmt, path::PathBuf, sync::Arc};

use runbook_contract::{Access, Action, Mode};
use runbook_core::spec::ActionSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    client::Cluster,
    read::{
        Reading, deployment, events, logs, nodes, pods, preflight, rollout_history, rollout_status, service,
        top,
    },
    write::{
        Editing, apply, exec, object::Shaping, patch, rollout_restart, rollout_undo, scale, set_env,
        set_resources,
    },
};

/// Which cluster, and what may be done in it.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The kubeconfig; `~` is the home folder. Where it is left out, KUBECONFIG, then
    /// `~/.kube/config`, then the service account of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; its current one where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Commands that `kubernetes.exec` may run without an approval, each the beginning of an argv:
    /// `[redis-cli, info]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_only_exec: Vec<Vec<String>>,
    /// The folder that the files of `kubernetes.apply` are in; nothing outside it is read. The
    /// folder of the playbooks where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<PathBuf>,
    /// The text of a kubeconfig, given by a simulated environment; cannot be written in a file.
    #[serde(skip)]
    #[schemars(skip)]
    pub inline: Option<String>,
    /// What plans, locks and errors call the server, given by a simulated environment: it listens
    /// elsewhere in each process, and a plan that one has made is applied by another.
    #[serde(skip)]
    #[schemars(skip)]
    pub called: Option<String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("kubeconfig", &self.kubeconfig)
            .field("context", &self.context)
            .field("read_only_exec", &self.read_only_exec)
            .field("files", &self.files)
            .field("inline", &self.inline.as_ref().map(|_| "..."))
            .field("called", &self.called)
            .finish()
    }
}

/// The actions of one cluster. Connects when the first of them is used, once for all.
pub fn actions(config: &Config, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
    all(&Arc::new(Cluster::new(config.clone(), access.clone())))
}

/// What the actions say of themselves.
pub fn specs() -> Vec<ActionSpec> {
    let actions = actions(&Config::default(), &Access::new(Mode::ReadOnly));
    actions.iter().map(|action| action.spec().clone()).collect()
}

fn all(cluster: &Arc<Cluster>) -> Vec<Arc<dyn Action>> {
    vec![
        Reading::<pods::Pods>::action(cluster),
        Reading::<deployment::Deployment>::action(cluster),
        Reading::<logs::Logs>::action(cluster),
        Reading::<events::Events>::action(cluster),
        Reading::<nodes::Nodes>::action(cluster),
        Reading::<top::Top>::action(cluster),
        Reading::<service::Service>::action(cluster),
        Reading::<rollout_history::RolloutHistory>::action(cluster),
        Reading::<rollout_status::RolloutStatus>::action(cluster),
        Reading::<preflight::Preflight>::action(cluster),
        Editing::<rollout_undo::RolloutUndo>::action(cluster),
        Editing::<rollout_restart::RolloutRestart>::action(cluster),
        Editing::<scale::Scale>::action(cluster),
        Editing::<set_env::SetEnv>::action(cluster),
        Editing::<set_resources::SetResources>::action(cluster),
        Shaping::<patch::Patch>::action(cluster),
        Shaping::<apply::Apply>::action(cluster),
        exec::Exec::action(cluster),
    ]
}
