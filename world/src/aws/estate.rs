//! What a world remembers of AWS, and what becomes of it as time passes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::declared::Aws;
use super::records::{self, RecordSet};
use crate::time::Seconds;

/// After this long another member takes the writes, and after this long the cluster is at rest.
pub(crate) const PROMOTED: Seconds = 20.0;
const FAILED_OVER: Seconds = 35.0;
/// An instance answers nothing for so long.
pub(crate) const REBOOTED: Seconds = 30.0;
pub(crate) const SNAPSHOT_TAKES: Seconds = 60.0;
/// All servers of DNS know of a change.
pub(crate) const IN_SYNC: Seconds = 30.0;

const AVAILABLE: &str = "available";
pub(crate) const MAX_SNAPSHOTS: usize = 100;
const MAX_CHANGES: usize = 100;
const MAX_REBOOTS: usize = 20;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Estate {
    /// By the name of the cluster.
    pub writers: BTreeMap<String, Writer>,
    /// When each instance was rebooted, and whether its standby took over.
    pub reboots: BTreeMap<String, Vec<Reboot>>,
    pub snapshots: BTreeMap<String, Snapshot>,
    /// By the id of the zone.
    pub zones: BTreeMap<String, Vec<RecordSet>>,
    pub changes: Vec<Change>,
}

/// Which member of a cluster writes, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Writer {
    pub member: String,
    pub before: String,
    /// Of the last failover.
    pub began: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reboot {
    pub began: Seconds,
    pub failover: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    pub source: String,
    pub of_cluster: bool,
    pub began: Seconds,
}

/// A batch of changes of DNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub id: String,
    pub comment: String,
    pub began: Seconds,
    /// The names that it is about.
    pub names: Vec<String>,
}

impl Estate {
    pub fn of(declared: &Aws) -> Self {
        let writers = declared.clusters.iter().filter_map(|cluster| {
            let member = cluster.members.first()?.name.clone();
            Some((cluster.name.clone(), Writer { before: member.clone(), member, began: None }))
        });
        let zones = declared.zones.iter().map(|zone| {
            let mut sets: Vec<RecordSet> = zone.records.iter().map(records::declared).collect();
            sets.sort_by_cached_key(records::order);
            (zone.id.clone(), sets)
        });
        Self { writers: writers.collect(), zones: zones.collect(), ..Self::default() }
    }

    pub fn fail_over(&mut self, cluster: &str, to: String, now: Seconds) {
        if let Some(writer) = self.writers.get_mut(cluster) {
            *writer = Writer { before: writer.member.clone(), member: to, began: Some(now) };
        }
    }

    pub fn reboot(&mut self, instance: &str, reboot: Reboot) {
        let all = self.reboots.entry(instance.to_owned()).or_default();
        all.push(reboot);
        all.drain(..all.len().saturating_sub(MAX_REBOOTS));
    }

    pub fn note(&mut self, change: Change) {
        self.changes.push(change);
        self.changes.drain(..self.changes.len().saturating_sub(MAX_CHANGES));
    }

    pub fn status_of_instance(&self, instance: &str, now: Seconds) -> &'static str {
        let reboots = self.reboots.get(instance).and_then(|reboots| reboots.last());
        if reboots.is_some_and(|last| now < last.began + REBOOTED) { "rebooting" } else { AVAILABLE }
    }

    /// Since when another member writes than in the beginning.
    pub fn failed_over(&self, declared: &Aws, cluster: &str) -> Option<Seconds> {
        let first = declared.cluster(cluster)?.members.first()?;
        let writer = self.writers.get(cluster)?;
        if writer.member == first.name { None } else { Some(writer.began? + PROMOTED) }
    }

    /// Since when an instance is back from its first reboot.
    pub fn rebooted(&self, instance: &str) -> Option<Seconds> {
        Some(self.reboots.get(instance)?.first()?.began + REBOOTED)
    }

    /// Since when all servers answer this value for a name.
    pub fn answers(&self, name: &str, value: &str) -> Option<Seconds> {
        let sets = self.zones.values().flatten();
        let found = sets.filter(|set| records::is_of(set, name)).any(|set| records::holds(set, value));
        let changed =
            self.changes.iter().rev().find(|change| change.names.contains(&records::absolute(name)));
        found.then(|| changed.map_or(0.0, |change| change.began + IN_SYNC))
    }
}

impl Writer {
    pub fn at(&self, now: Seconds) -> &str {
        let promoted = self.began.is_none_or(|began| now >= began + PROMOTED);
        if promoted { &self.member } else { &self.before }
    }

    pub fn status(&self, now: Seconds) -> &'static str {
        if self.began.is_some_and(|began| now < began + FAILED_OVER) { "failing-over" } else { AVAILABLE }
    }
}

impl Snapshot {
    /// How much of it is made, in percent.
    pub fn percent(&self, now: Seconds) -> f64 {
        ((now - self.began) / SNAPSHOT_TAKES * 100.0).clamp(0.0, 100.0).floor()
    }
}
