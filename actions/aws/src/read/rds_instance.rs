//! `aws.rds_instance`: what a database instance is.

use async_trait::async_trait;
use runbook_core::{Timestamp, Value, change::Observed, fault::Fault, spec::ActionSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Read;
use crate::{client::Session, rds::instance::Instance, schema};

/// Which instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Its identifier.
    instance: String,
}

/// An instance, as expressions see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Output {
    /// Its identifier.
    instance: String,
    /// `postgres`, `aurora-mysql`, …
    engine: String,
    /// The version of the engine.
    engine_version: String,
    /// `available`, `rebooting`, `storage-full`, …
    status: String,
    /// Whether the status is `available`.
    available: bool,
    /// `db.r6g.large`.
    class: String,
    /// Whether it has a standby in another availability zone.
    multi_az: bool,
    /// Where it runs.
    availability_zone: Option<String>,
    /// Where its standby runs.
    secondary_availability_zone: Option<String>,
    /// The cluster that it belongs to.
    cluster: Option<String>,
    /// Its address.
    endpoint: Option<String>,
    /// Its port.
    port: Option<i32>,
    /// How much storage it has.
    storage_gb: Option<i32>,
    /// The latest moment to which it can be restored.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    latest_restorable_time: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct RdsInstance;

#[async_trait]
impl Read for RdsInstance {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            example: json!({"instance": "orders-1"}),
            ..schema::read::<Input, Output>(
                "rds_instance",
                "Status, class and place of an RDS instance",
                &["rds:DescribeDBInstances"],
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let instance = Instance::look(session, &input.instance).await?;
        Ok(Observed {
            target: Some(instance.target(session)),
            outputs: outputs_of(&instance)?,
            ..Observed::default()
        })
    }
}

pub(crate) fn outputs_of(instance: &Instance) -> Result<Value, Fault> {
    let of = instance.clone();
    schema::value(&Output {
        available: of.is_available(),
        instance: of.name,
        engine: of.engine,
        engine_version: of.engine_version,
        status: of.status,
        class: of.class,
        multi_az: of.multi_az,
        availability_zone: of.availability_zone,
        secondary_availability_zone: of.secondary_availability_zone,
        cluster: of.cluster,
        endpoint: of.endpoint,
        port: of.port,
        storage_gb: of.storage_gb,
        latest_restorable_time: of.latest_restorable_time,
    })
}
