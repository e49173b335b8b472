//! What only reads: one file for each action.

pub(crate) mod cloudwatch_metric;
pub(crate) mod rds_cluster;
pub(crate) mod rds_instance;
pub(crate) mod route53_records;

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
use serde::de::DeserializeOwned;

use crate::{
    client::{Account, Session},
    fault::obstacle,
    schema,
};

/// A read: what it takes and what it answers.
#[async_trait]
pub(crate) trait Read: Debug + Send + Sync + 'static {
    type Input: DeserializeOwned + JsonSchema + Send + Sync;

    fn spec() -> ActionSpec;

    async fn read(session: &Session<'_>, input: Self::Input) -> Result<Observed, Fault>;

    /// What it would answer after predicted changes, and whether that is something else.
    fn overlay(seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let _ = predicted;
        (seen, false)
    }

    /// Whether a read that failed so would fail in the hour of need, too.
    fn is_in_the_way(fault: &Fault) -> bool {
        let _ = fault;
        true
    }
}

/// A read as an action.
#[derive(Debug)]
pub(crate) struct Reading<R> {
    account: Arc<Account>,
    spec: ActionSpec,
    read: PhantomData<fn() -> R>,
}

impl<R: Read> Reading<R> {
    pub(crate) fn action(account: &Arc<Account>) -> Arc<dyn Action> {
        Arc::new(Self { account: account.clone(), spec: R::spec(), read: PhantomData })
    }
}

#[async_trait]
impl<R: Read> Action for Reading<R> {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input = schema::input(&self.spec, input)?;
        R::read(&self.account.session(cx).await?, input).await
    }

    fn overlay(&self, seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let name = seen.target.as_ref().map(|target| &target.name);
        let of_target: Vec<Change> =
            predicted.iter().filter(|change| Some(&change.target.name) == name).cloned().collect();
        R::overlay(seen, &of_target)
    }

    /// A read is allowed where it can be done: nothing tells it better than doing it.
    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        match self.observe(cx, input).await {
            Ok(_) => Ok(Vec::new()),
            Err(fault) if fault.kind.is_transient() => Err(fault),
            Err(fault) if fault.kind == FaultKind::NotFound && !R::is_in_the_way(&fault) => Ok(Vec::new()),
            Err(fault) => Ok(vec![obstacle(fault)]),
        }
    }
}
