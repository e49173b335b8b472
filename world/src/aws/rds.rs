//! What RDS tells: clusters, instances, snapshots, events.

use super::declared::{Aws, Cluster, Instance, Member};
use super::estate::{REBOOTED, Snapshot};
use super::xml::Element;
use super::{Refusal, moment, rds_arn};
use crate::exchange::Query;
use crate::kubernetes::views::View;
use crate::names;
use crate::time::Seconds;

const POSTGRES: u16 = 5432;
/// Backups lag so far behind.
const RESTORABLE: Seconds = 300.0;
const MINUTES: i64 = 60;

/// Answers an action that only reads; nothing where RDS has none of that name.
pub(crate) fn respond(view: &View<'_>, action: &str, form: &Query) -> Option<Result<Vec<Element>, Refusal>> {
    Some(match action {
        "DescribeDBClusters" => clusters(view, form),
        "DescribeDBInstances" => instances(view, form),
        "DescribeDBSnapshots" => snapshots(view, form.get("DBSnapshotIdentifier"), false),
        "DescribeDBClusterSnapshots" => snapshots(view, form.get("DBClusterSnapshotIdentifier"), true),
        "DescribeEvents" => Ok(vec![Element::new("Events", events(view, form))]),
        _ => return None,
    })
}

fn clusters(view: &View<'_>, form: &Query) -> Result<Vec<Element>, Refusal> {
    let wanted = form.get("DBClusterIdentifier");
    let all = &view.model.scenario.aws.clusters;
    let found: Vec<Element> = all
        .iter()
        .filter(|one| wanted.is_none_or(|wanted| one.name == wanted))
        .map(|one| cluster(view, one))
        .collect();
    match wanted {
        Some(wanted) if found.is_empty() => Err(no_cluster(wanted)),
        _ => Ok(vec![Element::new("DBClusters", found)]),
    }
}

pub(crate) fn no_cluster(name: &str) -> Refusal {
    let name: String = name.chars().take(80).collect();
    Refusal::new(404, "DBClusterNotFoundFault", format!("DBCluster {name} not found."))
}

pub(crate) fn no_instance(name: &str) -> Refusal {
    let name: String = name.chars().take(80).collect();
    Refusal::new(404, "DBInstanceNotFound", format!("DBInstance {name} not found."))
}

pub(crate) fn cluster(view: &View<'_>, of: &Cluster) -> Element {
    let aws = &view.model.scenario.aws;
    let writer = view.state.aws.writers.get(&of.name);
    let writes = writer.map(|writer| writer.at(view.now)).unwrap_or_default();
    let members = of.members.iter().map(|member| {
        Element::new(
            "DBClusterMember",
            [
                Element::leaf("DBInstanceIdentifier", &member.name),
                Element::leaf("IsClusterWriter", member.name == writes),
                Element::leaf("PromotionTier", member.tier),
            ],
        )
    });
    let host = |kind: &str| format!("{}.cluster-{kind}simulated.{}.rds.simulated", of.name, aws.region);
    Element::new(
        "DBCluster",
        [
            Element::leaf("DBClusterIdentifier", &of.name),
            Element::leaf("DBClusterArn", rds_arn(aws, "cluster", &of.name)),
            Element::leaf("DbClusterResourceId", resource_id("cluster", &of.name)),
            Element::leaf("Status", writer.map_or("available", |writer| writer.status(view.now))),
            Element::leaf("Engine", &of.engine),
            Element::leaf("EngineVersion", &of.version),
            Element::leaf("EngineMode", "provisioned"),
            Element::leaf("MultiAZ", of.members.len() > 1),
            Element::leaf("Endpoint", host("")),
            Element::leaf("ReaderEndpoint", host("ro-")),
            Element::leaf("LatestRestorableTime", moment(view, view.now - RESTORABLE)),
            Element::new("DBClusterMembers", members),
        ],
    )
}

fn resource_id(kind: &str, name: &str) -> String {
    format!("{kind}-{}", names::suffix(&format!("{kind}/{name}"), 20).to_uppercase())
}

fn instances(view: &View<'_>, form: &Query) -> Result<Vec<Element>, Refusal> {
    let aws = &view.model.scenario.aws;
    let wanted = form.get("DBInstanceIdentifier");
    let of_cluster = (1..=10)
        .find(|index| form.get(&format!("Filters.Filter.{index}.Name")) == Some("db-cluster-id"))
        .and_then(|index| form.get(&format!("Filters.Filter.{index}.Values.Value.1")));
    let meant = |name: &str, cluster: Option<&str>| {
        wanted.is_none_or(|wanted| wanted == name) && of_cluster.is_none_or(|of| Some(of) == cluster)
    };
    let members =
        aws.clusters.iter().flat_map(|cluster| cluster.members.iter().map(move |member| (cluster, member)));
    let mut found: Vec<Element> = members
        .filter(|(cluster, one)| meant(&one.name, Some(&cluster.name)))
        .map(|(cluster, one)| member(view, cluster, one))
        .collect();
    found.extend(aws.instances.iter().filter(|one| meant(&one.name, None)).map(|one| instance(view, one)));
    match wanted {
        Some(wanted) if found.is_empty() => Err(no_instance(wanted)),
        _ => Ok(vec![Element::new("DBInstances", found)]),
    }
}

/// An instance of a cluster. What was wrong with the one that wrote is over once another writes.
fn member(view: &View<'_>, cluster: &Cluster, of: &Member) -> Element {
    let cured = view.state.aws.failed_over(&view.model.scenario.aws, &cluster.name);
    let rebooted = view.state.aws.rebooted(&of.name);
    let well = [cured, rebooted].into_iter().flatten().any(|at| at <= view.now);
    let status = if well || of.status == "available" {
        view.state.aws.status_of_instance(&of.name, view.now)
    } else {
        &of.status
    };
    let mut fields = common(&view.model.scenario.aws, &of.name, status, &of.class, &of.zone);
    fields.extend([
        Element::leaf("Engine", &cluster.engine),
        Element::leaf("EngineVersion", &cluster.version),
        Element::leaf("DBClusterIdentifier", &cluster.name),
        Element::leaf("MultiAZ", false),
        Element::leaf("PromotionTier", of.tier),
    ]);
    Element::new("DBInstance", fields)
}

pub(crate) fn instance(view: &View<'_>, of: &Instance) -> Element {
    let status = view.state.aws.status_of_instance(&of.name, view.now);
    let reboots = view.state.aws.reboots.get(&of.name).into_iter().flatten();
    let over = reboots.filter(|one| one.failover && one.began + REBOOTED <= view.now).count() % 2 == 1;
    let (here, there) = match &of.standby {
        Some(standby) if over => (standby, Some(&of.zone)),
        standby => (&of.zone, standby.as_ref()),
    };
    let mut fields = common(&view.model.scenario.aws, &of.name, status, &of.class, here);
    fields.extend([
        Element::leaf("Engine", &of.engine),
        Element::leaf("EngineVersion", &of.version),
        Element::leaf("MultiAZ", of.standby.is_some()),
        Element::leaf("LatestRestorableTime", moment(view, view.now - RESTORABLE)),
    ]);
    fields.extend(there.map(|there| Element::leaf("SecondaryAvailabilityZone", there)));
    Element::new("DBInstance", fields)
}

fn common(aws: &Aws, name: &str, status: &str, class: &str, zone: &str) -> Vec<Element> {
    let address = format!("{name}.simulated.{}.rds.simulated", aws.region);
    vec![
        Element::leaf("DBInstanceIdentifier", name),
        Element::leaf("DBInstanceArn", rds_arn(aws, "db", name)),
        Element::leaf("DbiResourceId", resource_id("db", name)),
        Element::leaf("DBInstanceStatus", status),
        Element::leaf("DBInstanceClass", class),
        Element::leaf("AvailabilityZone", zone),
        Element::leaf("AllocatedStorage", 100),
        Element::new("Endpoint", [Element::leaf("Address", address), Element::leaf("Port", POSTGRES)]),
    ]
}

fn snapshots(view: &View<'_>, wanted: Option<&str>, of_cluster: bool) -> Result<Vec<Element>, Refusal> {
    let all = view.state.aws.snapshots.iter().filter(|(_, one)| one.of_cluster == of_cluster);
    let found: Vec<Element> = all
        .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name.as_str()))
        .map(|(name, one)| snapshot(view, name, one))
        .collect();
    let (list, code) = if of_cluster {
        ("DBClusterSnapshots", "DBClusterSnapshotNotFoundFault")
    } else {
        ("DBSnapshots", "DBSnapshotNotFound")
    };
    match wanted {
        Some(_) if found.is_empty() => Err(Refusal::new(404, code, "the snapshot was not found")),
        _ => Ok(vec![Element::new(list, found)]),
    }
}

pub(crate) fn snapshot(view: &View<'_>, name: &str, of: &Snapshot) -> Element {
    let aws = &view.model.scenario.aws;
    let percent = of.percent(view.now);
    let status = if percent < 100.0 { "creating" } else { "available" };
    let (element, prefix, source, kind) = if of.of_cluster {
        ("DBClusterSnapshot", "DBClusterSnapshot", "DBClusterIdentifier", "cluster-snapshot")
    } else {
        ("DBSnapshot", "DBSnapshot", "DBInstanceIdentifier", "snapshot")
    };
    Element::new(
        element,
        [
            Element::leaf(&format!("{prefix}Identifier"), name),
            Element::leaf(&format!("{prefix}Arn"), rds_arn(aws, kind, name)),
            Element::leaf(source, &of.source),
            Element::leaf("Status", status),
            Element::leaf("PercentProgress", percent),
            Element::leaf("SnapshotCreateTime", moment(view, of.began)),
        ],
    )
}

/// Reboots of the last so many minutes of real time, as RDS notes them.
fn events(view: &View<'_>, form: &Query) -> Vec<Element> {
    let Some(source) = form.get("SourceIdentifier") else { return Vec::new() };
    let minutes = form.number::<i64>("Duration").unwrap_or(MINUTES);
    let now = view.state.timeline.real(view.now);
    let reboots = view.state.aws.reboots.get(source).into_iter().flatten();
    let recent = reboots.map(|one| (one.began + REBOOTED, one.failover)).filter(|(at, _)| {
        *at <= view.now && now.duration_since(view.state.timeline.real(*at)).as_mins() < minutes
    });
    recent
        .map(|(at, failover)| {
            let told =
                if failover { "Multi-AZ instance failover completed" } else { "DB instance restarted" };
            Element::new(
                "Event",
                [
                    Element::leaf("SourceIdentifier", source),
                    Element::leaf("SourceType", "db-instance"),
                    Element::leaf("Message", told),
                    Element::leaf("Date", moment(view, at)),
                ],
            )
        })
        .collect()
}
