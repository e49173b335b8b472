//! One bounded request after another, all within the time of one call, sent again only where that
//! cannot do anything twice.

use std::sync::Arc;

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::future::BoxFuture;
use runbook_contract::{Access, Cx};
use runbook_core::{Timestamp, fault::Fault};
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    Config,
    connect::{self, Link},
    fault,
    guard::Operation,
    identity::Identity,
    retry::Budget,
};

/// What all actions of one environment share: the configuration, and the connection once it is
/// made.
#[derive(Debug)]
pub(crate) struct Account {
    config: Config,
    access: Arc<Access>,
    link: OnceCell<Link>,
    identity: OnceCell<Identity>,
    /// Whose policies are simulated, once that is known.
    principal: OnceCell<String>,
    budget: Budget,
}

impl Account {
    pub(crate) fn new(config: Config, access: Arc<Access>) -> Self {
        Self {
            config,
            access,
            link: OnceCell::new(),
            identity: OnceCell::new(),
            principal: OnceCell::new(),
            budget: Budget::new(),
        }
    }

    /// Connects and asks who we are, where nobody has yet. All requests of the session share the
    /// time of the call.
    pub(crate) async fn session(&self, cx: &Cx) -> Result<Session<'_>, Fault> {
        let deadline = Instant::now() + cx.timeout.as_std();
        let connecting = self.link.get_or_try_init(|| connect::connect(&self.config, &self.access));
        let link = match tokio::time::timeout_at(deadline, connecting).await {
            Ok(link) => link?,
            Err(_) => {
                return Err(Fault::unreachable("the configuration of AWS took too long to read")
                    .hint("`aws sts get-caller-identity` shows what it waits for"));
            }
        };
        let wire = Wire { link, budget: &self.budget, deadline };
        let identity = self.identity.get_or_try_init(|| connect::identify(&wire)).await?;
        Ok(Session { wire, identity, principal: &self.principal, now: cx.now, speed: cx.speed })
    }
}

/// The connection, and the time and retries that are left.
#[derive(Debug)]
pub(crate) struct Wire<'a> {
    pub(crate) link: &'a Link,
    budget: &'a Budget,
    deadline: Instant,
}

/// One call of an action.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) wire: Wire<'a>,
    pub(crate) identity: &'a Identity,
    pub(crate) principal: &'a OnceCell<String>,
    pub(crate) now: Timestamp,
    pub(crate) speed: u32,
}

/// What the SDK makes of an answer.
type Answer<T, E> = Result<T, SdkError<E, HttpResponse>>;

impl Session<'_> {
    pub(crate) fn link(&self) -> &Link {
        self.wire.link
    }
    pub(crate) async fn ask<T, E>(
        &self,
        operation: Operation,
        send: impl Fn() -> BoxFuture<'static, Answer<T, E>> + Send,
    ) -> Result<T, Fault>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        T: Send,
    {
        self.wire.ask(operation, send).await
    }
}

impl Wire<'_> {
    pub(crate) async fn ask<T, E>(
        &self,
        operation: Operation,
        send: impl Fn() -> BoxFuture<'static, Answer<T, E>> + Send,
    ) -> Result<T, Fault>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        T: Send,
    {
        let mut tried = 0;
        loop {
            tried += 1;
            tracing::debug!(service = operation.service, operation = operation.name, tried, "asking AWS");
            let fault = match tokio::time::timeout_at(self.deadline, send()).await {
                Ok(Ok(answer)) => {
                    self.budget.succeeded();
                    return Ok(answer);
                }
                Ok(Err(error)) => fault::of(&error, operation),
                Err(_) => return Err(fault::timed_out(operation)),
            };
            let Some(wait) = self.budget.next(&fault, operation.intent(), tried) else { return Err(fault) };
            let again = Instant::now() + wait;
            if again >= self.deadline {
                return Err(fault);
            }
            tokio::time::sleep_until(again).await;
        }
    }
}
