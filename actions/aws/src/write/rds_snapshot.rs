//! `aws.rds_snapshot`: a snapshot of an instance or a cluster, made once under its identifier.

use async_trait::async_trait;
use futures::FutureExt as _;
use runbook_core::{
    Timestamp, Value,
    change::{Change, Progress, Request},
    fault::{Fault, FaultKind},
    spec::{ActionSpec, Effect, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Aim, Draft, Judgement, Sight, Write, undo_of};
use crate::{
    client::Session,
    guard::{
        CREATE_DB_CLUSTER_SNAPSHOT, CREATE_DB_SNAPSHOT, DESCRIBE_DB_CLUSTER_SNAPSHOTS, DESCRIBE_DB_SNAPSHOTS,
    },
    identity::Identity,
    rds::{AVAILABLE, cluster::Cluster, identifier, instance::Instance, is_ready, moment},
    rights::Right,
    schema,
};

/// Of what, and under which name: exactly one of `instance` and `cluster`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The identifier of an instance.
    instance: Option<String>,
    /// The identifier of a cluster.
    cluster: Option<String>,
    /// The identifier of the snapshot. One of the same source that is there already is not made
    /// again.
    snapshot: String,
}

/// What it answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// The identifier of the snapshot.
    snapshot: String,
    /// The instance or cluster that it is of.
    source: String,
    /// Its ARN, once it is there.
    arn: Option<String>,
    /// `creating`, `available`, …; absent before it is there.
    status: Option<String>,
    /// When it was made.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    created_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Of {
    Instance,
    Cluster,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Snapshot {
    source: String,
    arn: Option<String>,
    status: String,
    percent: Option<i32>,
    created_at: Option<Timestamp>,
}

/// What was seen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    url: String,
    of: Of,
    source: String,
    source_arn: String,
    source_status: String,
    /// The cluster that an instance belongs to.
    in_cluster: Option<String>,
    name: String,
    there: Option<Snapshot>,
}

#[derive(Debug)]
pub(crate) struct RdsSnapshot;

#[async_trait]
impl Write for RdsSnapshot {
    type Input = Input;
    type Seen = Seen;

    fn spec() -> ActionSpec {
        ActionSpec {
            example: json!({"cluster": "orders", "snapshot": "orders-before-restore"}),
            ..schema::write::<Input, Output>(
                "rds_snapshot",
                "Makes a snapshot of an RDS instance or cluster",
                Effect::Write,
                UndoSupport::None("a snapshot is kept; delete it when nobody needs it".to_owned()),
                &[
                    "rds:DescribeDBInstances",
                    "rds:DescribeDBClusters",
                    "rds:DescribeDBSnapshots",
                    "rds:DescribeDBClusterSnapshots",
                    "rds:CreateDBSnapshot",
                    "rds:CreateDBClusterSnapshot",
                ],
            )
        }
    }

    async fn look(session: &Session<'_>, input: &Input) -> Result<Sight<Seen>, Fault> {
        let name = identifier("a snapshot", &input.snapshot)?;
        let identity = session.identity;
        let (kind, seen) = match (&input.instance, &input.cluster) {
            (Some(instance), None) => {
                let of = Instance::look(session, instance).await?;
                let seen = Seen {
                    url: identity.rds_url(CREATE_DB_SNAPSHOT.name),
                    of: Of::Instance,
                    source: of.name,
                    source_arn: of.arn,
                    source_status: of.status,
                    in_cluster: of.cluster,
                    there: Snapshot::look(session, Of::Instance, &name).await?,
                    name,
                };
                ("rds-snapshot", seen)
            }
            (None, Some(cluster)) => {
                let of = Cluster::look(session, cluster).await?;
                let seen = Seen {
                    url: identity.rds_url(CREATE_DB_CLUSTER_SNAPSHOT.name),
                    of: Of::Cluster,
                    source: of.name,
                    source_arn: of.arn,
                    source_status: of.status,
                    in_cluster: None,
                    there: Snapshot::look(session, Of::Cluster, &name).await?,
                    name,
                };
                ("rds-cluster-snapshot", seen)
            }
            _ => return Err(Fault::permanent("give exactly one of `instance` and `cluster`")),
        };
        Ok(Sight { target: identity.target(kind, &seen.name, None), seen })
    }

    fn aim(_: &Input, seen: &Seen) -> Result<Aim, Fault> {
        let Seen { name, source, .. } = seen;
        if let Some(there) = &seen.there {
            if there.source != *source {
                return Err(Fault::permanent(format!(
                    "a snapshot `{name}` is there already, of `{}`",
                    there.source
                ))
                .hint("choose another identifier"));
            }
            return Ok(Aim::Already(format!(
                "snapshot `{name}` of `{source}` is there already ({})",
                there.status
            )));
        }
        if let Some(cluster) = &seen.in_cluster {
            return Err(Fault::permanent(format!(
                "`{source}` belongs to cluster `{cluster}`, which is snapshotted as a whole"
            ))
            .hint(format!("give `cluster: {cluster}` in place of `instance`")));
        }
        if !is_ready(&seen.source_status) {
            return Err(Fault::permanent(format!(
                "`{source}` is `{}`: RDS makes snapshots only of what is `{AVAILABLE}`",
                seen.source_status
            )));
        }
        let body = match seen.of {
            Of::Instance => json!({"DBInstanceIdentifier": source, "DBSnapshotIdentifier": name}),
            Of::Cluster => json!({"DBClusterIdentifier": source, "DBClusterSnapshotIdentifier": name}),
        };
        Ok(Aim::Change(Box::new(Draft {
            summary: format!("snapshot {name} of {source}"),
            before: json!({"snapshot": null}),
            after: json!({"snapshot": name}),
            request: Request { method: "POST".to_owned(), url: seen.url.clone(), body, content_type: None },
            precondition: Value::Null,
            image: Value::Null,
            undo: undo_of(&Self::spec()),
            warnings: Vec::new(),
        })))
    }

    /// Identifiers are unique: a request that arrives twice makes one snapshot.
    fn judge(_: &Change, seen: &Seen) -> Judgement {
        match &seen.there {
            Some(there) if there.source == seen.source => Judgement::Landed,
            Some(there) => {
                Judgement::Moved(format!("the identifier was taken by a snapshot of `{}`", there.source))
            }
            None => Judgement::Same,
        }
    }

    async fn send(session: &Session<'_>, _: &Change, seen: &Seen) -> Result<Value, Fault> {
        let (rds, source, name) = (&session.link().rds, &seen.source, &seen.name);
        let made = match seen.of {
            Of::Instance => session
                .ask(CREATE_DB_SNAPSHOT, || {
                    rds.create_db_snapshot()
                        .db_instance_identifier(source)
                        .db_snapshot_identifier(name)
                        .send()
                        .boxed()
                })
                .await
                .map(drop),
            Of::Cluster => session
                .ask(CREATE_DB_CLUSTER_SNAPSHOT, || {
                    rds.create_db_cluster_snapshot()
                        .db_cluster_identifier(source)
                        .db_cluster_snapshot_identifier(name)
                        .send()
                        .boxed()
                })
                .await
                .map(drop),
        };
        made?;
        // The change is made: what cannot be read of it now is read when it is verified.
        let there = Snapshot::look(session, seen.of, name).await.unwrap_or_default();
        outputs_of(name, source, there.as_ref())
    }

    async fn progress(
        session: &Session<'_>,
        input: &Input,
        change: &Change,
        _: &Value,
    ) -> Result<Progress, Fault> {
        let (of, source) = match (&input.instance, &input.cluster) {
            (Some(instance), _) => (Of::Instance, identifier("an instance", instance)?),
            (None, cluster) => {
                (Of::Cluster, identifier("a cluster", cluster.as_deref().unwrap_or_default())?)
            }
        };
        let name = change.target.short();
        Ok(match Snapshot::look(session, of, name).await? {
            None => Progress::Pending(format!("snapshot `{name}` is not listed yet")),
            Some(there) => match (there.status.as_str(), there.percent) {
                (AVAILABLE, _) => Progress::Done(outputs_of(name, &source, Some(&there))?),
                ("failed", _) => Progress::Failed(format!("snapshot `{name}` failed")),
                (status, Some(percent)) => {
                    Progress::Pending(format!("snapshot `{name}` is `{status}`, {percent} %"))
                }
                (status, None) => Progress::Pending(format!("snapshot `{name}` is `{status}`")),
            },
        })
    }

    fn outputs(seen: &Seen, _: Option<&Change>) -> Result<Value, Fault> {
        outputs_of(&seen.name, &seen.source, seen.there.as_ref())
    }

    fn lay(seen: &mut Seen, predicted: &[Change]) {
        if let Some(change) = predicted.last() {
            let body = &change.request.body;
            let source = body.get("DBInstanceIdentifier").or_else(|| body.get("DBClusterIdentifier"));
            seen.there = Some(Snapshot {
                source: source.and_then(Value::as_str).unwrap_or_default().to_owned(),
                arn: None,
                status: AVAILABLE.to_owned(),
                percent: None,
                created_at: None,
            });
        }
    }

    fn rights(identity: &Identity, seen: &Seen) -> Vec<Right> {
        let (action, kind) = match seen.of {
            Of::Instance => ("rds:CreateDBSnapshot", "snapshot"),
            Of::Cluster => ("rds:CreateDBClusterSnapshot", "cluster-snapshot"),
        };
        vec![Right::on(action, &seen.source_arn), Right::on(action, identity.rds_arn(kind, &seen.name))]
    }
}

impl Snapshot {
    async fn look(session: &Session<'_>, of: Of, name: &str) -> Result<Option<Self>, Fault> {
        let rds = &session.link().rds;
        let found = match of {
            Of::Instance => session
                .ask(DESCRIBE_DB_SNAPSHOTS, || {
                    rds.describe_db_snapshots().db_snapshot_identifier(name).send().boxed()
                })
                .await
                .map(|answer| {
                    answer.db_snapshots.unwrap_or_default().into_iter().next().map(|found| Self {
                        source: found.db_instance_identifier.unwrap_or_default(),
                        arn: found.db_snapshot_arn,
                        status: found.status.unwrap_or_default(),
                        percent: found.percent_progress,
                        created_at: moment(found.snapshot_create_time.as_ref()),
                    })
                }),
            Of::Cluster => session
                .ask(DESCRIBE_DB_CLUSTER_SNAPSHOTS, || {
                    rds.describe_db_cluster_snapshots().db_cluster_snapshot_identifier(name).send().boxed()
                })
                .await
                .map(|answer| {
                    answer.db_cluster_snapshots.unwrap_or_default().into_iter().next().map(|found| Self {
                        source: found.db_cluster_identifier.unwrap_or_default(),
                        arn: found.db_cluster_snapshot_arn,
                        status: found.status.unwrap_or_default(),
                        percent: found.percent_progress,
                        created_at: moment(found.snapshot_create_time.as_ref()),
                    })
                }),
        };
        match found {
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
            found => found,
        }
    }
}

fn outputs_of(name: &str, source: &str, there: Option<&Snapshot>) -> Result<Value, Fault> {
    schema::value(&Output {
        snapshot: name.to_owned(),
        source: source.to_owned(),
        arn: there.and_then(|there| there.arn.clone()),
        status: there.map(|there| there.status.clone()),
        created_at: there.and_then(|there| there.created_at),
    })
}
