//! `aws.rds_failover_cluster`: another instance of a cluster takes the writes.

use async_trait::async_trait;
use futures::FutureExt as _;
use runbook_core::{
    Value,
    change::{Change, Landed, Progress, Request, Undo, differences},
    fault::Fault,
    spec::{ActionSpec, Effect, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Aim, Draft, Judgement, Sight, Write};
use crate::{
    client::Session,
    guard::FAILOVER_DB_CLUSTER,
    identity::Identity,
    rds::{
        AVAILABLE,
        cluster::{Cluster, Kind, Member},
        is_ready,
    },
    rights::Right,
    schema,
};

/// Which cluster, and to which of its instances.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The identifier of the cluster.
    cluster: String,
    /// The instance that is to take the writes. The reader of the lowest promotion tier if not
    /// given, as RDS itself would choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// What it answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// The identifier of the cluster.
    cluster: String,
    /// `available`, `failing-over`, …
    status: String,
    /// The instance that takes the writes.
    writer: Option<String>,
    /// The one that took them before.
    previous_writer: Option<String>,
    /// The other instances.
    readers: Vec<String>,
    /// What was changed, as `field: old -> new`.
    changed: Vec<String>,
}

/// What was seen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    url: String,
    cluster: Cluster,
}

/// Stands for a writer that RDS chooses among several.
const ANY: &str = "one of ";

#[derive(Debug)]
pub(crate) struct RdsFailoverCluster;

#[async_trait]
impl Write for RdsFailoverCluster {
    type Input = Input;
    type Seen = Seen;

    fn spec() -> ActionSpec {
        let undo = UndoSupport::Auto("by failing back to the writer before".to_owned());
        ActionSpec {
            example: json!({"cluster": "orders", "target": "orders-2"}),
            ..schema::write::<Input, Output>(
                "rds_failover_cluster",
                "Fails an Aurora or Multi-AZ cluster over to another of its instances",
                Effect::Destructive,
                undo,
                &["rds:DescribeDBClusters", "rds:DescribeDBInstances", "rds:FailoverDBCluster"],
            )
        }
    }

    async fn look(session: &Session<'_>, input: &Input) -> Result<Sight<Seen>, Fault> {
        let cluster = Cluster::look(session, &input.cluster).await?;
        let target = cluster.target(session);
        Ok(Sight { target, seen: Seen { url: session.identity.rds_url(FAILOVER_DB_CLUSTER.name), cluster } })
    }

    fn aim(input: &Input, seen: &Seen) -> Result<Aim, Fault> {
        let cluster = &seen.cluster;
        let writer = writer_of_sound(cluster)?;
        let Some(target) = target_of(input, cluster, writer)? else {
            return Ok(Aim::Already(format!(
                "`{}` takes the writes of `{}` already",
                writer.instance, cluster.name
            )));
        };
        if !is_ready(&cluster.status) {
            return Err(Fault::permanent(format!(
                "cluster `{}` is `{}`: RDS fails over only what is `{AVAILABLE}`",
                cluster.name, cluster.status
            ))
            .hint("wait until it is available, or look into why it is not"));
        }
        Ok(Aim::Change(Box::new(draft(seen, writer, &target))))
    }

    fn aim_back(change: &Change, seen: &Seen) -> Result<(Value, Aim), Fault> {
        let before = text(&change.before, "writer").unwrap_or_default();
        let input = Input { cluster: seen.cluster.name.clone(), target: Some(before) };
        Ok((schema::value(&input)?, Self::aim(&input, seen)?))
    }

    fn judge(change: &Change, seen: &Seen) -> Judgement {
        let Some(writer) = seen.cluster.writer().map(|writer| writer.instance.as_str()) else {
            return Judgement::Moved("it has no writer now".to_owned());
        };
        let (before, after) = (text(&change.before, "writer"), text(&change.after, "writer"));
        let chosen_by_rds = after.as_deref().is_some_and(|after| after.starts_with(ANY));
        if after.as_deref() == Some(writer) || (chosen_by_rds && before.as_deref() != Some(writer)) {
            Judgement::Landed
        } else if before.as_deref() != Some(writer) {
            Judgement::Moved(format!("writer: {} -> {writer}", before.unwrap_or_default()))
        } else if !is_ready(&seen.cluster.status) {
            Judgement::Moved(format!("status: {AVAILABLE} -> {}", seen.cluster.status))
        } else {
            Judgement::Same
        }
    }

    /// A request that names its target can arrive twice: the second finds the target writing, and is
    /// refused. One that leaves the choice to RDS would fail over again.
    fn landed(change: &Change, seen: &Seen) -> Landed {
        match Self::judge(change, seen) {
            Judgement::Landed => Landed::Yes,
            Judgement::Same if named(change).is_some() => Landed::No,
            Judgement::Same | Judgement::Moved(_) => Landed::CannotTell,
        }
    }

    async fn send(session: &Session<'_>, change: &Change, seen: &Seen) -> Result<Value, Fault> {
        let (rds, cluster, target) = (&session.link().rds, &seen.cluster.name, named(change));
        session
            .ask(FAILOVER_DB_CLUSTER, || {
                rds.failover_db_cluster()
                    .db_cluster_identifier(cluster)
                    .set_target_db_instance_identifier(target.clone())
                    .send()
                    .boxed()
            })
            .await?;
        // The change is made: what cannot be read of it now is read when it is verified.
        match Cluster::look(session, cluster).await {
            Ok(cluster) => outputs_of(&cluster, Some(change)),
            Err(_) => Ok(Value::Null),
        }
    }

    async fn progress(
        session: &Session<'_>,
        input: &Input,
        change: &Change,
        _: &Value,
    ) -> Result<Progress, Fault> {
        let cluster = Cluster::look(session, &input.cluster).await?;
        if cluster.uid != change.target.uid {
            return Ok(Progress::Failed(format!(
                "{} was replaced by another cluster of that name",
                change.target
            )));
        }
        let (before, status) = (text(&change.before, "writer"), cluster.status.clone());
        let seen = Seen { url: String::new(), cluster };
        let writer = seen.cluster.writer().map(|writer| writer.instance.clone());
        Ok(match (Self::judge(change, &seen), writer) {
            (Judgement::Landed, _) if is_ready(&seen.cluster.status) => {
                Progress::Done(outputs_of(&seen.cluster, Some(change))?)
            }
            (Judgement::Landed, Some(writer)) => {
                Progress::Pending(format!("`{writer}` takes the writes; the cluster is still `{status}`"))
            }
            (_, Some(writer)) if Some(&writer) != before.as_ref() => {
                Progress::Failed(format!("`{writer}` became the writer instead"))
            }
            (_, writer) => Progress::Pending(format!(
                "the cluster is `{status}`, its writer still {}",
                writer.map_or_else(|| "none".to_owned(), |writer| format!("`{writer}`"))
            )),
        })
    }

    fn outputs(seen: &Seen, change: Option<&Change>) -> Result<Value, Fault> {
        outputs_of(&seen.cluster, change)
    }

    fn lay(seen: &mut Seen, predicted: &[Change]) {
        if let Some(writer) = predicted.iter().rev().find_map(named) {
            seen.cluster.promote(&writer);
        }
    }

    fn rights(_: &Identity, seen: &Seen) -> Vec<Right> {
        vec![Right::on("rds:FailoverDBCluster", &seen.cluster.arn)]
    }
}

/// The writer of a cluster that can fail over at all.
fn writer_of_sound(cluster: &Cluster) -> Result<&Member, Fault> {
    let name = &cluster.name;
    match cluster.kind {
        Kind::Aurora | Kind::MultiAz | Kind::Neptune | Kind::Docdb => {}
        Kind::AuroraServerlessV1 | Kind::Other => {
            return Err(Fault::permanent(format!(
                "`{name}` is {} ({}): it cannot be failed over by request",
                cluster.kind.called(),
                cluster.engine
            )));
        }
    }
    let writer = cluster.writer().ok_or_else(|| {
        Fault::permanent(format!("cluster `{name}` has no writer here"))
            .hint("a secondary region of a global database takes no writes; fail the global database over")
    })?;
    if cluster.members.len() < 2 {
        return Err(Fault::permanent(format!(
            "cluster `{name}` has a single instance, `{}`: there is nothing to fail over to",
            writer.instance
        ))
        .hint("add a reader first, or reboot the instance with `aws.rds_reboot`"));
    }
    Ok(writer)
}

/// Where to fail over to; nothing where the named instance writes already.
fn target_of(input: &Input, cluster: &Cluster, writer: &Member) -> Result<Option<Target>, Fault> {
    let readers =
        || cluster.readers().map(|reader| format!("`{}`", reader.instance)).collect::<Vec<_>>().join(", ");
    let takes_no_name = cluster.kind == Kind::MultiAz && cluster.engine == "mysql";
    let Some(wanted) = &input.target else {
        if takes_no_name {
            let names: Vec<&str> = cluster.readers().map(|reader| reader.instance.as_str()).collect();
            return Ok(Some(Target::Any(format!("{ANY}{}", names.join(", ")))));
        }
        return choose(cluster, writer).map(|chosen| Some(Target::Named(chosen.clone()))).ok_or_else(|| {
            Fault::permanent(format!(
                "no reader of cluster `{}` is `{AVAILABLE}`: {}",
                cluster.name,
                readers()
            ))
        });
    };
    let member = cluster.member(wanted).ok_or_else(|| {
        let shown: String = wanted.chars().take(80).collect();
        Fault::permanent(format!("`{shown}` is not an instance of cluster `{}`", cluster.name))
            .hint(format!("its readers are {}", readers()))
    })?;
    if member.instance == writer.instance {
        return Ok(None);
    }
    if takes_no_name {
        return Err(Fault::permanent("RDS for MySQL takes no named target in a Multi-AZ DB cluster")
            .hint("leave `target` out; RDS chooses between the standbys"));
    }
    if !may_take_over(member) {
        return Err(Fault::permanent(format!(
            "`{}` is `{}`: it cannot take over",
            member.instance,
            member.status.clone().unwrap_or_default()
        ))
        .hint(format!("its readers are {}", readers())));
    }
    Ok(Some(Target::Named(member.clone())))
}

enum Target {
    Named(Member),
    /// RDS chooses, and cannot be told.
    Any(String),
}

/// The reader that RDS would choose: the lowest tier, of those the one as large as the writer.
fn choose<'a>(cluster: &'a Cluster, writer: &Member) -> Option<&'a Member> {
    let able = cluster.readers().filter(|reader| may_take_over(reader));
    able.min_by_key(|reader| (reader.promotion_tier, reader.class != writer.class, &reader.instance))
}

/// A reader whose state cannot be seen is left to RDS to judge.
fn may_take_over(reader: &Member) -> bool {
    reader.status.as_deref().is_none_or(is_ready)
}

fn draft(seen: &Seen, writer: &Member, target: &Target) -> Draft {
    let cluster = &seen.cluster;
    let mut body = json!({"DBClusterIdentifier": cluster.name});
    let mut warnings = vec![
        "open connections break, and writes fail until the new writer takes over: about a minute".to_owned(),
    ];
    let (after, undo) = match target {
        Target::Named(member) => {
            body["TargetDBInstanceIdentifier"] = json!(member.instance);
            if member.class != writer.class
                && let (Some(theirs), Some(ours)) = (&member.class, &writer.class)
            {
                warnings.push(format!("`{}` is a {theirs}, the writer a {ours}", member.instance));
            }
            (member.instance.clone(), Undo::Auto)
        }
        Target::Any(several) => {
            let why = "RDS for MySQL takes no named target, so the writer before cannot be asked for";
            (several.clone(), Undo::None(why.to_owned()))
        }
    };
    Draft {
        summary: format!("writer of {} {} -> {after}", cluster.name, writer.instance),
        before: json!({"writer": writer.instance}),
        after: json!({"writer": after}),
        request: Request { method: "POST".to_owned(), url: seen.url.clone(), body, content_type: None },
        precondition: Value::Null,
        image: Value::Null,
        undo,
        warnings,
    }
}

/// The instance that a change names to RDS.
fn named(change: &Change) -> Option<String> {
    text(&change.request.body, "TargetDBInstanceIdentifier")
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn outputs_of(cluster: &Cluster, change: Option<&Change>) -> Result<Value, Fault> {
    let mut changed = Vec::new();
    if let Some(change) = change {
        differences("", &change.before, &change.after, &mut changed);
    }
    schema::value(&Output {
        cluster: cluster.name.clone(),
        status: cluster.status.clone(),
        writer: cluster.writer().map(|writer| writer.instance.clone()),
        previous_writer: change.and_then(|change| text(&change.before, "writer")),
        readers: cluster.readers().map(|reader| reader.instance.clone()).collect(),
        changed,
    })
}
