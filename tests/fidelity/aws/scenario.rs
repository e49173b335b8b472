//! The scenarios, as tables: what is there, and what is asked of it.

use runbook_core::Value;
use serde_json::json;

use super::Emulator;

/// One thing to be foreseen and made.
pub struct Scenario {
    pub name: String,
    pub ground: Ground,
    /// The steps of the runbook. `SELF` stands for the target's own, `ZONE` for its id.
    pub steps: Value,
}

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// An Aurora cluster whose instances have these promotion tiers, the first of them the writer.
    Aurora(&'static [i32]),
    Instance {
        multi_az: bool,
    },
    /// A zone with the record `api`, and `eu` in two weights.
    Zone,
}

/// Name, action, `with`, read to look with.
type Ask = (&'static str, &'static str, &'static str);

const OF_CLUSTERS: &[Ask] = &[
    ("failover", "rds_failover_cluster", r#"{"cluster": "SELF"}"#),
    ("failover-to-2", "rds_failover_cluster", r#"{"cluster": "SELF", "target": "SELF-2"}"#),
    ("failover-to-writer", "rds_failover_cluster", r#"{"cluster": "SELF", "target": "SELF-1"}"#),
    ("failover-to-nobody", "rds_failover_cluster", r#"{"cluster": "SELF", "target": "other-1"}"#),
    ("failover-elsewhere", "rds_failover_cluster", r#"{"cluster": "no-SELF"}"#),
    ("snapshot", "rds_snapshot", r#"{"cluster": "SELF", "snapshot": "SELF-before"}"#),
    ("snapshot-senseless", "rds_snapshot", r#"{"cluster": "SELF", "snapshot": "SELF--before"}"#),
];

const OF_INSTANCES: &[Ask] = &[
    ("reboot", "rds_reboot", r#"{"instance": "SELF"}"#),
    ("reboot-over", "rds_reboot", r#"{"instance": "SELF", "failover": true}"#),
    ("reboot-elsewhere", "rds_reboot", r#"{"instance": "no-SELF"}"#),
    ("snapshot", "rds_snapshot", r#"{"instance": "SELF", "snapshot": "SELF-before"}"#),
    ("snapshot-of-what", "rds_snapshot", r#"{"snapshot": "SELF-before"}"#),
    ("snapshot-as-cluster", "rds_snapshot", r#"{"cluster": "SELF", "snapshot": "SELF-before"}"#),
    ("failover", "rds_failover_cluster", r#"{"cluster": "SELF"}"#),
];

/// Batches of changes to the records of a zone.
const OF_ZONES: &[(&str, &str)] = &[
    (
        "upsert",
        r#"[{"action": "UPSERT", "name": "api.SELF", "type": "A", "ttl": 30, "values": ["192.0.2.9"]}]"#,
    ),
    (
        "upsert-ttl",
        r#"[{"action": "UPSERT", "name": "api.SELF", "type": "A", "ttl": 5, "values": ["192.0.2.1"]}]"#,
    ),
    (
        "upsert-same",
        r#"[{"action": "UPSERT", "name": "API.SELF.", "type": "A", "ttl": 60, "values": ["192.0.2.1"]}]"#,
    ),
    (
        "upsert-new",
        r#"[{"action": "UPSERT", "name": "dr.SELF", "type": "A", "ttl": 60, "values": ["192.0.2.8", "192.0.2.7"]}]"#,
    ),
    (
        "create",
        r#"[{"action": "CREATE", "name": "dr.SELF", "type": "CNAME", "ttl": 60, "values": ["api.SELF"]}]"#,
    ),
    (
        "create-again",
        r#"[{"action": "CREATE", "name": "api.SELF", "type": "A", "ttl": 60, "values": ["192.0.2.2"]}]"#,
    ),
    ("delete", r#"[{"action": "DELETE", "name": "api.SELF", "type": "A"}]"#),
    ("delete-missing", r#"[{"action": "DELETE", "name": "gone.SELF", "type": "A"}]"#),
    (
        "delete-other",
        r#"[{"action": "DELETE", "name": "api.SELF", "type": "A", "ttl": 60, "values": ["192.0.2.77"]}]"#,
    ),
    (
        "batch",
        r#"[{"action": "UPSERT", "name": "api.SELF", "type": "A", "ttl": 60, "values": ["192.0.2.9"]}, {"action": "CREATE", "name": "new.SELF", "type": "TXT", "ttl": 60, "values": ["\"v=spf1 -all\""]}]"#,
    ),
    (
        "alias",
        r#"[{"action": "UPSERT", "name": "lb.SELF", "type": "A", "alias": {"zone_id": "Z32O12XQLNTSW2", "name": "lb.test", "evaluate_target_health": true}}]"#,
    ),
    (
        "weights",
        r#"[{"action": "UPSERT", "name": "us.SELF", "type": "A", "ttl": 60, "values": ["192.0.2.1"], "routing": {"set_identifier": "east", "weight": 100}}, {"action": "UPSERT", "name": "us.SELF", "type": "A", "ttl": 60, "values": ["192.0.2.2"], "routing": {"set_identifier": "west", "weight": 0}}]"#,
    ),
    (
        "cname-beside",
        r#"[{"action": "CREATE", "name": "api.SELF", "type": "CNAME", "ttl": 60, "values": ["dr.test"]}]"#,
    ),
    (
        "outside",
        r#"[{"action": "UPSERT", "name": "api.elsewhere.test", "type": "A", "ttl": 60, "values": ["192.0.2.9"]}]"#,
    ),
    (
        "apex-cname",
        r#"[{"action": "CREATE", "name": "SELF", "type": "CNAME", "ttl": 60, "values": ["dr.test"]}]"#,
    ),
    ("mail", r#"[{"action": "CREATE", "name": "SELF", "type": "MX", "ttl": 300, "values": ["10 mx.test"]}]"#),
    ("nothing", "[]"),
];

/// What an emulator does unlike AWS, so that nothing follows from playing it there.
fn is_unlike_aws(which: Emulator, name: &str) -> bool {
    match which {
        // It refuses to create again what it has ever created.
        Emulator::Moto => matches!(name, "zone/delete" | "zone/replace"),
        Emulator::Ministack => false,
    }
}

pub fn all(which: Emulator) -> Vec<Scenario> {
    let mut all = Vec::new();
    for (word, tiers) in [("pair", &[0, 1][..]), ("three", &[0, 2, 1]), ("lone", &[0])] {
        let ground = Ground::Aurora(tiers);
        all.extend(
            OF_CLUSTERS.iter().map(|ask| of(format!("{word}/{}", ask.0), ground, ask, look_at_cluster())),
        );
    }
    for multi_az in [true, false] {
        let (word, ground) = (if multi_az { "standby" } else { "single" }, Ground::Instance { multi_az });
        all.extend(
            OF_INSTANCES.iter().map(|ask| of(format!("{word}/{}", ask.0), ground, ask, look_at_instance())),
        );
    }
    all.extend(OF_ZONES.iter().map(|(name, changes)| of_zone(name, changes)));
    all.retain(|scenario| !is_unlike_aws(which, &scenario.name));
    all
}

/// Every writing action once.
pub fn doubtful(which: Emulator) -> Vec<Scenario> {
    let wanted = [
        "three/failover",
        "pair/failover-to-2",
        "pair/snapshot",
        "standby/reboot",
        "single/snapshot",
        "zone/upsert",
        "zone/create",
        "zone/batch",
    ];
    let mut all = all(which);
    all.retain(|scenario| wanted.contains(&scenario.name.as_str()));
    for scenario in &mut all {
        scenario.steps.as_array_mut().unwrap().truncate(1);
    }
    all
}

fn of(name: String, ground: Ground, (_, action, with): &Ask, look: Value) -> Scenario {
    let with: Value = serde_json::from_str(with).unwrap();
    Scenario { name, ground, steps: json!([step(action, with), look]) }
}

fn of_zone(name: &str, changes: &str) -> Scenario {
    let changes: Value = serde_json::from_str(changes).unwrap();
    let with = json!({"zone": "ZONE", "changes": changes});
    let look = json!({"id": "look", "check": "aws.route53_records", "with": {"zone": "SELF"}});
    Scenario {
        name: format!("zone/{name}"),
        ground: Ground::Zone,
        steps: json!([step("route53_change", with), look]),
    }
}

fn step(action: &str, with: Value) -> Value {
    json!({"id": "change-1", "action": format!("aws.{action}"), "with": with, "approval": {"from": ["sre"]}})
}

fn look_at_cluster() -> Value {
    json!({"id": "look", "check": "aws.rds_cluster", "with": {"cluster": "SELF"}})
}

fn look_at_instance() -> Value {
    json!({"id": "look", "check": "aws.rds_instance", "with": {"instance": "SELF"}})
}
