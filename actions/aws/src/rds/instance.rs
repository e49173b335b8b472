//! One database instance.

use futures::FutureExt as _;
use runbook_core::{
    Timestamp,
    change::Target,
    fault::{Fault, FaultKind},
};
use serde::{Deserialize, Serialize};

use super::{AVAILABLE, identifier, moment};
use crate::{client::Session, guard::DESCRIBE_DB_INSTANCES};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) uid: Option<String>,
    pub(crate) engine: String,
    pub(crate) engine_version: String,
    pub(crate) status: String,
    pub(crate) class: String,
    pub(crate) multi_az: bool,
    pub(crate) availability_zone: Option<String>,
    pub(crate) secondary_availability_zone: Option<String>,
    /// The cluster that it belongs to.
    pub(crate) cluster: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) port: Option<i32>,
    pub(crate) storage_gb: Option<i32>,
    pub(crate) latest_restorable_time: Option<Timestamp>,
}

impl Instance {
    pub(crate) async fn look(session: &Session<'_>, name: &str) -> Result<Self, Fault> {
        let name = identifier("an instance", name)?;
        let rds = &session.link().rds;
        let described = session
            .ask(DESCRIBE_DB_INSTANCES, || {
                rds.describe_db_instances().db_instance_identifier(&name).send().boxed()
            })
            .await;
        let missing = || {
            let place = &session.identity;
            Fault::not_found(format!(
                "there is no instance `{name}` in {} of account {}",
                place.region, place.account
            ))
        };
        let described = described.map_err(|fault| match fault.kind {
            FaultKind::NotFound => missing(),
            _ => fault,
        })?;
        let found = described.db_instances.unwrap_or_default().into_iter().next().ok_or_else(missing)?;
        let endpoint = found.endpoint();
        Ok(Self {
            arn: found.db_instance_arn.clone().unwrap_or_else(|| session.identity.rds_arn("db", &name)),
            uid: found.dbi_resource_id.clone(),
            engine: found.engine.clone().unwrap_or_default(),
            engine_version: found.engine_version.clone().unwrap_or_default(),
            status: found.db_instance_status.clone().unwrap_or_default(),
            class: found.db_instance_class.clone().unwrap_or_default(),
            multi_az: found.multi_az.unwrap_or(false),
            availability_zone: found.availability_zone.clone(),
            secondary_availability_zone: found.secondary_availability_zone.clone(),
            cluster: found.db_cluster_identifier.clone().filter(|cluster| !cluster.is_empty()),
            endpoint: endpoint.and_then(|endpoint| endpoint.address.clone()),
            port: endpoint.and_then(|endpoint| endpoint.port),
            storage_gb: found.allocated_storage,
            latest_restorable_time: moment(found.latest_restorable_time.as_ref()),
            name,
        })
    }

    pub(crate) fn target(&self, session: &Session<'_>) -> Target {
        session.identity.target("rds-instance", &self.name, self.uid.clone())
    }
    pub(crate) fn is_available(&self) -> bool {
        self.status == AVAILABLE
    }
}
