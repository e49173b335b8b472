//! A cluster of databases: its type, its writer, its members.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbCluster, Filter};
use futures::FutureExt as _;
use runbook_core::{Timestamp, change::Target, fault::Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AVAILABLE, identifier, moment};
use crate::{
    client::Session,
    guard::{DESCRIBE_DB_CLUSTERS, DESCRIBE_DB_INSTANCES},
};

/// How a cluster is built, which decides what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Aurora with instances.
    Aurora,
    /// Aurora Serverless v1: one endpoint, no instances of one's own.
    AuroraServerlessV1,
    /// A Multi-AZ DB cluster: one writer and two readable standbys.
    MultiAz,
    Neptune,
    Docdb,
    /// None that is known here.
    Other,
}

impl Kind {
    fn of(engine: &str, mode: &str) -> Self {
        match engine {
            _ if engine.starts_with("aurora") && mode == "serverless" => Self::AuroraServerlessV1,
            _ if engine.starts_with("aurora") => Self::Aurora,
            "mysql" | "postgres" => Self::MultiAz,
            "neptune" => Self::Neptune,
            "docdb" => Self::Docdb,
            _ => Self::Other,
        }
    }
    /// As people call it.
    pub(crate) fn called(self) -> &'static str {
        match self {
            Self::Aurora => "an Aurora cluster",
            Self::AuroraServerlessV1 => "an Aurora Serverless v1 cluster",
            Self::MultiAz => "a Multi-AZ DB cluster",
            Self::Neptune => "a Neptune cluster",
            Self::Docdb => "a DocumentDB cluster",
            Self::Other => "a cluster of an unknown type",
        }
    }
}

/// One instance of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Member {
    /// Its identifier.
    pub(crate) instance: String,
    /// Whether it takes the writes.
    pub(crate) writer: bool,
    /// `available`, `rebooting`, …; absent where it cannot be seen.
    pub(crate) status: Option<String>,
    /// The order in which readers take over: 0 comes first, 15 last.
    pub(crate) promotion_tier: i32,
    /// `db.r6g.large`.
    pub(crate) class: Option<String>,
    /// Where it runs.
    pub(crate) availability_zone: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) uid: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) engine: String,
    pub(crate) engine_version: String,
    pub(crate) status: String,
    pub(crate) multi_az: bool,
    pub(crate) endpoint: Option<String>,
    pub(crate) reader_endpoint: Option<String>,
    pub(crate) latest_restorable_time: Option<Timestamp>,
    /// Ordered by name.
    pub(crate) members: Vec<Member>,
}

impl Cluster {
    pub(crate) async fn look(session: &Session<'_>, name: &str) -> Result<Self, Fault> {
        let name = identifier("a cluster", name)?;
        let rds = &session.link().rds;
        let described = session
            .ask(DESCRIBE_DB_CLUSTERS, || {
                rds.describe_db_clusters().db_cluster_identifier(&name).send().boxed()
            })
            .await;
        let missing = || {
            let place = &session.identity;
            Fault::not_found(format!(
                "there is no cluster `{name}` in {} of account {}",
                place.region, place.account
            ))
        };
        let described = described.map_err(|fault| match fault.kind {
            runbook_core::fault::FaultKind::NotFound => missing(),
            _ => fault,
        })?;
        let found = described.db_clusters.unwrap_or_default().into_iter().next().ok_or_else(missing)?;
        let mut cluster = Self::of(session, &name, &found);
        cluster.look_at_members(session).await?;
        Ok(cluster)
    }

    fn of(session: &Session<'_>, name: &str, found: &DbCluster) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut members: Vec<Member> = found
            .db_cluster_members()
            .iter()
            .map(|member| Member {
                instance: text(&member.db_instance_identifier),
                writer: member.is_cluster_writer.unwrap_or(false),
                promotion_tier: member.promotion_tier.unwrap_or(1),
                status: None,
                class: None,
                availability_zone: None,
            })
            .collect();
        members.sort_by(|a, b| a.instance.cmp(&b.instance));
        Self {
            name: name.to_owned(),
            arn: found.db_cluster_arn.clone().unwrap_or_else(|| session.identity.rds_arn("cluster", name)),
            uid: found.db_cluster_resource_id.clone(),
            kind: Kind::of(
                found.engine.as_deref().unwrap_or_default(),
                found.engine_mode.as_deref().unwrap_or_default(),
            ),
            engine: text(&found.engine),
            engine_version: text(&found.engine_version),
            status: text(&found.status),
            multi_az: found.multi_az.unwrap_or(false),
            endpoint: found.endpoint.clone(),
            reader_endpoint: found.reader_endpoint.clone(),
            latest_restorable_time: moment(found.latest_restorable_time.as_ref()),
            members,
        }
    }

    /// What only the instances themselves say: state, class and place.
    async fn look_at_members(&mut self, session: &Session<'_>) -> Result<(), Fault> {
        if self.members.is_empty() {
            return Ok(());
        }
        let filter = Filter::builder().name("db-cluster-id").values(&self.name).build();
        let rds = &session.link().rds;
        let described = session
            .ask(DESCRIBE_DB_INSTANCES, || rds.describe_db_instances().filters(filter.clone()).send().boxed())
            .await?;
        let known: BTreeMap<_, _> = described
            .db_instances()
            .iter()
            .filter_map(|instance| Some((instance.db_instance_identifier.clone()?, instance)))
            .collect();
        for member in &mut self.members {
            if let Some(instance) = known.get(&member.instance) {
                member.status.clone_from(&instance.db_instance_status);
                member.class.clone_from(&instance.db_instance_class);
                member.availability_zone.clone_from(&instance.availability_zone);
            }
        }
        Ok(())
    }

    pub(crate) fn target(&self, session: &Session<'_>) -> Target {
        session.identity.target("rds-cluster", &self.name, self.uid.clone())
    }

    pub(crate) fn is_available(&self) -> bool {
        self.status == AVAILABLE
    }
    pub(crate) fn writer(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.writer)
    }
    pub(crate) fn readers(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.writer)
    }
    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.instance.eq_ignore_ascii_case(name))
    }
    /// As it will be with another writer.
    pub(crate) fn promote(&mut self, writer: &str) {
        for member in &mut self.members {
            member.writer = member.instance == writer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_decides_what_a_cluster_can_do() {
        for (engine, mode, kind) in [
            ("aurora-postgresql", "provisioned", Kind::Aurora),
            ("aurora-mysql", "", Kind::Aurora),
            ("aurora", "serverless", Kind::AuroraServerlessV1),
            ("mysql", "", Kind::MultiAz),
            ("postgres", "provisioned", Kind::MultiAz),
            ("neptune", "provisioned", Kind::Neptune),
            ("docdb", "", Kind::Docdb),
            ("new-engine", "", Kind::Other),
        ] {
            assert_eq!(Kind::of(engine, mode), kind, "{engine} {mode}");
        }
    }
}
