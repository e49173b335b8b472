//! What changes something of RDS: failovers, reboots, snapshots.

use super::estate::{MAX_SNAPSHOTS, Reboot, Snapshot};
use super::xml::Element;
use super::{Refusal, rds};
use crate::environment::Environment;
use crate::exchange::Query;
use crate::kubernetes::views::View;

/// Does an action that changes something; nothing where RDS has none of that name.
pub(crate) fn respond(
    environment: &Environment,
    action: &str,
    form: &Query,
) -> Option<Result<Vec<Element>, Refusal>> {
    let done = match action {
        "FailoverDBCluster" => fail_over,
        "RebootDBInstance" => reboot,
        "CreateDBSnapshot" => snapshot_of_instance,
        "CreateDBClusterSnapshot" => snapshot_of_cluster,
        _ => return None,
    };
    environment.count_write();
    Some(done(environment, form).map(|element| vec![element]))
}

fn fail_over(environment: &Environment, form: &Query) -> Result<Element, Refusal> {
    let name = form.get("DBClusterIdentifier").unwrap_or_default();
    let cluster = environment.scenario.aws.cluster(name).ok_or_else(|| rds::no_cluster(name))?;
    let invalid = |why: String| Refusal::new(400, "InvalidDBClusterStateFault", why);
    environment.change(
        false,
        |state, now| {
            let writer = state.aws.writers.get(name).ok_or_else(|| rds::no_cluster(name))?;
            if writer.status(now) != "available" {
                return Err(invalid(format!("DB cluster {name} is {}", writer.status(now))));
            }
            let readers = || cluster.members.iter().filter(|member| member.name != writer.member);
            let target = match form.get("TargetDBInstanceIdentifier") {
                Some(wanted) => readers().find(|member| member.name == wanted),
                None => readers().min_by_key(|member| member.tier),
            };
            let target = target.ok_or_else(|| invalid(format!("DB cluster {name} has no such reader")))?;
            state.aws.fail_over(name, target.name.clone(), now);
            Ok(())
        },
        |view, ()| rds::cluster(view, cluster),
    )
}

fn reboot(environment: &Environment, form: &Query) -> Result<Element, Refusal> {
    let name = form.get("DBInstanceIdentifier").unwrap_or_default();
    let failover = form.is_true("ForceFailover") && form.get("ForceFailover").is_some();
    let aws = &environment.scenario.aws;
    let own = aws.instance(name);
    let of_cluster =
        aws.clusters.iter().any(|cluster| cluster.members.iter().any(|member| member.name == name));
    if own.is_none() && !of_cluster {
        return Err(rds::no_instance(name));
    }
    let invalid = |why: String| Refusal::new(400, "InvalidDBInstanceState", why);
    if failover && own.is_none_or(|own| own.standby.is_none()) {
        return Err(Refusal::new(400, "InvalidParameterCombination", "there is no standby to fail over to"));
    }
    let shown = |view: &View<'_>| match own {
        Some(own) => rds::instance(view, own),
        None => Element::new(
            "DBInstance",
            [
                Element::leaf("DBInstanceIdentifier", name),
                Element::leaf("DBInstanceStatus", view.state.aws.status_of_instance(name, view.now)),
            ],
        ),
    };
    environment.change(
        false,
        |state, now| {
            let status = state.aws.status_of_instance(name, now);
            if status != "available" {
                return Err(invalid(format!("instance {name} is {status}")));
            }
            state.aws.reboot(name, Reboot { began: now, failover });
            Ok(())
        },
        |view, ()| shown(view),
    )
}

fn snapshot_of_instance(environment: &Environment, form: &Query) -> Result<Element, Refusal> {
    let source = form.get("DBInstanceIdentifier").unwrap_or_default();
    environment.scenario.aws.instance(source).ok_or_else(|| rds::no_instance(source))?;
    let name = form.get("DBSnapshotIdentifier").unwrap_or_default();
    snapshot(environment, source, name, false)
}

fn snapshot_of_cluster(environment: &Environment, form: &Query) -> Result<Element, Refusal> {
    let source = form.get("DBClusterIdentifier").unwrap_or_default();
    environment.scenario.aws.cluster(source).ok_or_else(|| rds::no_cluster(source))?;
    let name = form.get("DBClusterSnapshotIdentifier").unwrap_or_default();
    snapshot(environment, source, name, true)
}

fn snapshot(
    environment: &Environment,
    source: &str,
    name: &str,
    of_cluster: bool,
) -> Result<Element, Refusal> {
    if name.is_empty() || name.len() > 255 {
        return Err(Refusal::new(
            400,
            "InvalidParameterValue",
            "a snapshot has a name of 255 letters at most",
        ));
    }
    let there = if of_cluster { "DBClusterSnapshotAlreadyExistsFault" } else { "DBSnapshotAlreadyExists" };
    environment.change(
        false,
        |state, now| {
            if state.aws.snapshots.contains_key(name) {
                return Err(Refusal::new(400, there, format!("a snapshot {name} exists already")));
            }
            if state.aws.snapshots.len() >= MAX_SNAPSHOTS {
                let why = format!("there are {MAX_SNAPSHOTS} snapshots");
                return Err(Refusal::new(400, "SnapshotQuotaExceeded", why));
            }
            let made = Snapshot { source: source.to_owned(), of_cluster, began: now };
            state.aws.snapshots.insert(name.to_owned(), made.clone());
            Ok(made)
        },
        |view, made| rds::snapshot(view, name, &made),
    )
}
