//! The guard in the SDK: every request to a service asks [`Access`] before it leaves, whoever made
//! it. What is not on the list of reads is a write. Where credentials come from, the SDK asks before
//! that on its own: nothing there is the account's.

use std::sync::Arc;

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef},
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use runbook_contract::{Access, access::Intent};
use runbook_core::fault::Fault;

/// An operation of a service, as the SDK names both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
}

impl Operation {
    const fn of(service: &'static str, name: &'static str) -> Self {
        Self { service, name }
    }
    pub(crate) fn intent(self) -> Intent {
        intent(self.service, self.name)
    }
}

pub(crate) const GET_CALLER_IDENTITY: Operation = Operation::of("STS", "GetCallerIdentity");
pub(crate) const GET_ROLE: Operation = Operation::of("IAM", "GetRole");
pub(crate) const SIMULATE_PRINCIPAL_POLICY: Operation = Operation::of("IAM", "SimulatePrincipalPolicy");
pub(crate) const DESCRIBE_DB_CLUSTERS: Operation = Operation::of("RDS", "DescribeDBClusters");
pub(crate) const DESCRIBE_DB_INSTANCES: Operation = Operation::of("RDS", "DescribeDBInstances");
pub(crate) const DESCRIBE_DB_SNAPSHOTS: Operation = Operation::of("RDS", "DescribeDBSnapshots");
pub(crate) const DESCRIBE_DB_CLUSTER_SNAPSHOTS: Operation =
    Operation::of("RDS", "DescribeDBClusterSnapshots");
pub(crate) const DESCRIBE_EVENTS: Operation = Operation::of("RDS", "DescribeEvents");
pub(crate) const GET_HOSTED_ZONE: Operation = Operation::of("Route 53", "GetHostedZone");
pub(crate) const LIST_HOSTED_ZONES_BY_NAME: Operation = Operation::of("Route 53", "ListHostedZonesByName");
pub(crate) const LIST_RESOURCE_RECORD_SETS: Operation = Operation::of("Route 53", "ListResourceRecordSets");
pub(crate) const GET_CHANGE: Operation = Operation::of("Route 53", "GetChange");
pub(crate) const GET_METRIC_STATISTICS: Operation = Operation::of("CloudWatch", "GetMetricStatistics");

pub(crate) const FAILOVER_DB_CLUSTER: Operation = Operation::of("RDS", "FailoverDBCluster");
pub(crate) const REBOOT_DB_INSTANCE: Operation = Operation::of("RDS", "RebootDBInstance");
pub(crate) const CREATE_DB_SNAPSHOT: Operation = Operation::of("RDS", "CreateDBSnapshot");
pub(crate) const CREATE_DB_CLUSTER_SNAPSHOT: Operation = Operation::of("RDS", "CreateDBClusterSnapshot");
pub(crate) const CHANGE_RESOURCE_RECORD_SETS: Operation =
    Operation::of("Route 53", "ChangeResourceRecordSets");

/// Everything that may leave in a dry-run.
const READS: [Operation; 13] = [
    GET_CALLER_IDENTITY,
    GET_ROLE,
    SIMULATE_PRINCIPAL_POLICY,
    DESCRIBE_DB_CLUSTERS,
    DESCRIBE_DB_INSTANCES,
    DESCRIBE_DB_SNAPSHOTS,
    DESCRIBE_DB_CLUSTER_SNAPSHOTS,
    DESCRIBE_EVENTS,
    GET_HOSTED_ZONE,
    LIST_HOSTED_ZONES_BY_NAME,
    LIST_RESOURCE_RECORD_SETS,
    GET_CHANGE,
    GET_METRIC_STATISTICS,
];

fn intent(service: &str, name: &str) -> Intent {
    let listed = READS.iter().any(|read| read.service == service && read.name == name);
    if listed { Intent::Read } else { Intent::Write }
}

/// Stands between the SDK and the network.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    access: Arc<Access>,
}

impl Guard {
    pub(crate) fn new(access: &Arc<Access>) -> Self {
        Self { access: access.clone() }
    }
}

/// A refusal by the guard, on its way through the layers that only know boxed errors.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotAdmitted(pub(crate) Fault);

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What does not say what it is may be anything.
        let intent = settings
            .load::<Metadata>()
            .map_or(Intent::Write, |operation| intent(operation.service(), operation.name()));
        self.access.admit(intent).map_err(|fault| NotAdmitted(fault).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_a_write() {
        for operation in [
            FAILOVER_DB_CLUSTER,
            REBOOT_DB_INSTANCE,
            CREATE_DB_SNAPSHOT,
            CREATE_DB_CLUSTER_SNAPSHOT,
            CHANGE_RESOURCE_RECORD_SETS,
            Operation::of("RDS", "DescribeDBClustersAndDeleteThem"),
            Operation::of("IAM", "DescribeDBClusters"),
            Operation::of("", ""),
        ] {
            assert_eq!(operation.intent(), Intent::Write, "{operation:?}");
        }
        for operation in READS {
            assert_eq!(operation.intent(), Intent::Read);
            let verbs = ["Describe", "Get", "List", "Simulate"];
            assert!(verbs.iter().any(|verb| operation.name.starts_with(verb)), "{operation:?}");
        }
    }
}
