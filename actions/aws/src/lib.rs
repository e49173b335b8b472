//! AWS actions: RDS failovers, reboots and snapshots, Route 53 records, CloudWatch metrics.
//!
//! None of the writes here has an idempotency token in its API, so none is ever sent twice without
//! a look at the world: the SDK's own retries are off, and what is retried is decided in `client`.

mod client;
mod connect;
mod dns;
mod fault;
mod guard;
mod identity;
mod rds;
mod read;
mod retry;
mod rights;
mod schema;
mod write;

use std::{fmt, sync::Arc};

use runbook_contract::{Access, Action, Mode};
use runbook_core::spec::ActionSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    client::Account,
    read::{Reading, cloudwatch_metric, rds_cluster, rds_instance, route53_records},
    write::{Doing, rds_failover_cluster, rds_reboot, rds_snapshot, route53_change},
};

/// Which account of AWS, and where. Access keys come from the profile, the environment, or the
/// other places where the AWS SDK looks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The region: `eu-west-1`. Where it is left out, AWS_REGION, then the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The profile of `~/.aws/config`. Where it is left out, AWS_PROFILE, then the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The address that all services answer at, for emulators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// Access keys of an emulator; cannot be written in a file.
    #[serde(skip)]
    #[schemars(skip)]
    pub keys: Option<Keys>,
    /// Who answers at `endpoint_url` in this process alone: what plans call it, and that nothing of
    /// the machine's own configuration of AWS is read.
    #[serde(skip)]
    #[schemars(skip)]
    pub simulated: Option<String>,
}

/// A pair of access keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(...)")
    }
}

/// The actions of one account. Connects when the first of them is used, once for all.
pub fn actions(config: &Config, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
    all(&Arc::new(Account::new(config.clone(), access.clone())))
}

/// What the actions say of themselves.
pub fn specs() -> Vec<ActionSpec> {
    let actions = actions(&Config::default(), &Access::new(Mode::ReadOnly));
    actions.iter().map(|action| action.spec().clone()).collect()
}

fn all(account: &Arc<Account>) -> Vec<Arc<dyn Action>> {
    vec![
        Reading::<rds_instance::RdsInstance>::action(account),
        Reading::<rds_cluster::RdsCluster>::action(account),
        Reading::<route53_records::Route53Records>::action(account),
        Reading::<cloudwatch_metric::CloudwatchMetric>::action(account),
        Doing::<rds_failover_cluster::RdsFailoverCluster>::action(account),
        Doing::<rds_reboot::RdsReboot>::action(account),
        Doing::<rds_snapshot::RdsSnapshot>::action(account),
        Doing::<route53_change::Route53Change>::action(account),
    ]
}
