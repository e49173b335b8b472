//! `aws.rds_cluster`: what a cluster is, and who of it writes.

use async_trait::async_trait;
use runbook_core::{
    Timestamp, Value,
    change::{Change, Observed},
    fault::Fault,
    spec::ActionSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Read;
use crate::{
    client::Session,
    rds::cluster::{Cluster, Kind, Member},
    schema,
};

/// Which cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Its identifier.
    cluster: String,
}

/// A cluster, as expressions see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Output {
    /// Its identifier.
    cluster: String,
    /// How it is built: only `aurora`, `multi-az`, `neptune` and `docdb` can fail over.
    r#type: Kind,
    /// `aurora-postgresql`, `mysql`, …
    engine: String,
    /// The version of the engine.
    engine_version: String,
    /// `available`, `failing-over`, `modifying`, …
    status: String,
    /// Whether the status is `available`.
    available: bool,
    /// Whether its instances are in several availability zones.
    multi_az: bool,
    /// The instance that takes the writes; absent in a secondary region of a global database.
    writer: Option<String>,
    /// The other instances.
    readers: Vec<String>,
    /// All instances.
    members: Vec<Member>,
    /// The address for writes.
    endpoint: Option<String>,
    /// The address for reads.
    reader_endpoint: Option<String>,
    /// The latest moment to which it can be restored.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    latest_restorable_time: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct RdsCluster;

#[async_trait]
impl Read for RdsCluster {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            example: json!({"cluster": "orders"}),
            ..schema::read::<Input, Output>(
                "rds_cluster",
                "Type, status, writer and members of an RDS or Aurora cluster",
                &["rds:DescribeDBClusters", "rds:DescribeDBInstances"],
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let cluster = Cluster::look(session, &input.cluster).await?;
        Ok(Observed {
            target: Some(cluster.target(session)),
            outputs: outputs_of(&cluster)?,
            state: schema::value(&cluster)?,
            warnings: Vec::new(),
        })
    }

    fn overlay(mut seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let Ok(mut cluster) = schema::kept::<Cluster>(&seen.state) else { return (seen, false) };
        let Some(writer) = predicted_writer(predicted).filter(|writer| !is_writer(&cluster, writer)) else {
            return (seen, false);
        };
        cluster.promote(&writer);
        match (outputs_of(&cluster), schema::value(&cluster)) {
            (Ok(outputs), Ok(state)) => (seen.outputs, seen.state) = (outputs, state),
            _ => return (seen, false),
        }
        (seen, true)
    }
}

/// The writer after changes of a cluster that were only predicted.
pub(crate) fn predicted_writer(predicted: &[Change]) -> Option<String> {
    predicted.iter().rev().find_map(|change| change.after.get("writer")?.as_str().map(str::to_owned))
}

fn is_writer(cluster: &Cluster, name: &str) -> bool {
    cluster.writer().is_some_and(|writer| writer.instance == name)
}

pub(crate) fn outputs_of(cluster: &Cluster) -> Result<Value, Fault> {
    schema::value(&Output {
        cluster: cluster.name.clone(),
        r#type: cluster.kind,
        engine: cluster.engine.clone(),
        engine_version: cluster.engine_version.clone(),
        status: cluster.status.clone(),
        available: cluster.is_available(),
        multi_az: cluster.multi_az,
        writer: cluster.writer().map(|writer| writer.instance.clone()),
        readers: cluster.readers().map(|reader| reader.instance.clone()).collect(),
        members: cluster.members.clone(),
        endpoint: cluster.endpoint.clone(),
        reader_endpoint: cluster.reader_endpoint.clone(),
        latest_restorable_time: cluster.latest_restorable_time,
    })
}
