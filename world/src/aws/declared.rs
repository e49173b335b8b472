//! What a scenario tells of AWS: clusters, instances, zones, as they are when the world is made.

use serde::Deserialize;

/// One account in one region. Zones of DNS belong to the whole account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aws {
    pub account: String,
    pub region: String,
    #[serde(default)]
    pub clusters: Vec<Cluster>,
    #[serde(default)]
    pub instances: Vec<Instance>,
    #[serde(default)]
    pub zones: Vec<Zone>,
}

/// A cluster of databases; its first member writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cluster {
    pub name: String,
    pub engine: String,
    pub version: String,
    pub members: Vec<Member>,
    pub connections: Connections,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    pub name: String,
    pub zone: String,
    pub class: String,
    pub tier: u32,
    /// Until a failover takes its work from it.
    #[serde(default = "available")]
    pub status: String,
}

/// An instance of its own, with a standby or without.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instance {
    pub name: String,
    pub engine: String,
    pub version: String,
    pub zone: String,
    pub class: String,
    /// Where its standby runs.
    #[serde(default)]
    pub standby: Option<String>,
    pub connections: Connections,
}

/// Open connections when nothing is wrong, and while a cause acts that a failover or a reboot cures.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connections {
    pub usual: f64,
    pub in_trouble: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zone {
    pub id: String,
    pub name: String,
    pub records: Vec<Record>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub ttl: u32,
    pub values: Vec<String>,
}

impl Aws {
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.name == name)
    }

    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        let empty = self.clusters.iter().find(|cluster| cluster.members.is_empty());
        if let Some(cluster) = empty {
            return Err(format!("cluster `{}` has no member", cluster.name));
        }
        for zone in &self.zones {
            let outside = zone.records.iter().find(|record| !record.name.ends_with(&zone.name));
            if let Some(record) = outside {
                return Err(format!("record `{}` is outside of zone `{}`", record.name, zone.name));
            }
        }
        Ok(())
    }
}

fn available() -> String {
    "available".to_owned()
}
