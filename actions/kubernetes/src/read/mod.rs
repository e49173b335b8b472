//! What only reads: one file for each action.

pub(crate) mod deployment;
pub(crate) mod events;
pub(crate) mod logs;
pub(crate) mod nodes;
pub(crate) mod pods;
pub(crate) mod preflight;
pub(crate) mod rollout_history;
pub(crate) mod rollout_status;
pub(crate) mod service;
pub(crate) mod top;

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use runbook_contract::{Action, Cx, Obstacle};
use runbook_core::{
    Value,
    change::{Change, Observed},
    fault::{Fault, FaultKind},
    spec::ActionSpec,
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    client::{Cluster, Session},
    rights, schema,
};

/// A read: what it takes and what it answers.
#[async_trait]
pub(crate) trait Read: Debug + Send + Sync + 'static {
    type Input: DeserializeOwned + JsonSchema + Send;

    fn spec() -> ActionSpec;

    async fn read(session: &Session<'_>, input: Self::Input) -> Result<Observed, Fault>;

    /// What it would answer after predicted changes, and whether that is something else.
    fn overlay(seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let _ = predicted;
        (seen, false)
    }
}

/// A read as an action.
#[derive(Debug)]
pub(crate) struct Reading<R> {
    cluster: Arc<Cluster>,
    spec: ActionSpec,
    read: PhantomData<fn() -> R>,
}

impl<R: Read> Reading<R> {
    pub(crate) fn action(cluster: &Arc<Cluster>) -> Arc<dyn Action> {
        Arc::new(Self { cluster: cluster.clone(), spec: R::spec(), read: PhantomData })
    }
}

#[async_trait]
impl<R: Read> Action for Reading<R> {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input = schema::input(&self.spec, input)?;
        R::read(&self.cluster.session(cx).await?, input).await
    }

    fn overlay(&self, seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        R::overlay(seen, predicted)
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let session = self.cluster.session(cx).await?;
        let namespace = input.get("namespace").and_then(Value::as_str);
        let mut found = rights::missing(&session, &self.spec.permissions, namespace, None).await;
        if found.is_empty()
            && let Err(fault) = self.observe(cx, input).await
        {
            match fault.kind {
                FaultKind::NotFound => found.push(Obstacle::of(fault, "rbac")),
                _ => return Err(fault),
            }
        }
        Ok(found)
    }
}

/// Outputs as the value that expressions see.
pub(crate) fn outputs<O: Serialize>(outputs: &O) -> Result<Value, Fault> {
    serde_json::to_value(outputs)
        .map_err(|error| Fault::permanent(format!("the outputs could not be written: {error}")))
}
