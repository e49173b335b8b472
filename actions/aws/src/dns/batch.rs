//! A batch of changes to the records of a zone: what it comes to, what Route 53 would refuse of it,
//! and the batch that takes it back.

use std::collections::{BTreeMap, BTreeSet};

use runbook_core::{Value, fault::Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    record::{Alias, Key, Record, Routing},
    zone::Zone,
};

/// What to do with a record set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Action {
    Create,
    Upsert,
    Delete,
}

impl Action {
    pub(crate) fn called(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Upsert => "UPSERT",
            Self::Delete => "DELETE",
        }
    }
}

/// One change, as people write it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// `CREATE` a record set that is not there, `UPSERT` one whether it is there or not, `DELETE`
    /// one that is there.
    action: Action,
    /// Its full name.
    name: String,
    /// `A`, `CNAME`, …
    r#type: String,
    /// For how many seconds resolvers may keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
    /// What it answers. A DELETE that gives neither `values` nor `alias` deletes what is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
    /// What it stands for, in place of `ttl` and `values`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias: Option<Alias>,
    /// Which of several record sets of the name it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routing: Option<Routing>,
    /// The health check on which it depends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    health_check: Option<String>,
}

/// One change, worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alteration {
    pub(crate) action: Action,
    pub(crate) record: Record,
}

impl From<Asked> for Alteration {
    fn from(asked: Asked) -> Self {
        let Asked { action, name, r#type, ttl, values, alias, routing, health_check } = asked;
        let record = Record { name, r#type, ttl, values, alias, routing, health_check, traffic_policy: None };
        Self { action, record: record.normal() }
    }
}

impl From<Alteration> for Asked {
    fn from(alteration: Alteration) -> Self {
        let Record { name, r#type, ttl, values, alias, routing, health_check, .. } = alteration.record;
        Self { action: alteration.action, name, r#type, ttl, values, alias, routing, health_check }
    }
}

impl Alteration {
    /// `UPSERT api.example.com A: 192.0.2.1 (ttl 60)`.
    pub(crate) fn gist(&self) -> String {
        format!("{} {}: {}", self.action.called(), self.record.key(), self.record.gist())
    }
}

/// The record sets that a batch is about, absent ones included.
pub(crate) type Images = BTreeMap<String, Option<Record>>;

/// What a batch comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What has to be sent: without what is so already.
    pub(crate) alterations: Vec<Alteration>,
    pub(crate) before: Images,
    pub(crate) after: Images,
}

/// The names whose records have to be known to judge a batch.
pub(crate) fn names(zone: &Zone, asked: &[Alteration]) -> BTreeSet<String> {
    let own = asked.iter().map(|alteration| &alteration.record.name);
    let meant = asked.iter().filter_map(|alteration| own_alias(zone, &alteration.record));
    own.chain(meant.map(|alias| &alias.name)).filter(|name| zone.holds(name)).cloned().collect()
}

/// An alias for another record of the same zone.
fn own_alias<'a>(zone: &Zone, record: &'a Record) -> Option<&'a Alias> {
    record.alias.as_ref().filter(|alias| alias.zone_id == zone.id)
}

type Known = BTreeMap<Key, Record>;

/// Works out what a batch comes to on records that are known; a fault says what Route 53 would
/// refuse.
pub(crate) fn outcome(zone: &Zone, known: &[Record], asked: &[Alteration]) -> Result<Outcome, Fault> {
    let before: Known = known.iter().map(|record| (record.key(), record.clone())).collect();
    let mut after = before.clone();
    let mut seen = BTreeSet::new();
    let mut alterations = Vec::new();
    for alteration in asked {
        let key = alteration.record.key();
        if !zone.holds(&key.name) {
            return Err(refused(&key, &format!("the name is outside of the zone `{}`", zone.name)));
        }
        if !seen.insert((alteration.action, key.clone())) {
            return Err(refused(&key, &format!("it stands twice under {}", alteration.action.called())));
        }
        let alteration = alter(zone, &mut after, alteration)?;
        alterations.extend(alteration);
    }
    for name in asked.iter().map(|alteration| &alteration.record.name).collect::<BTreeSet<_>>() {
        check_name(&after, name)?;
    }
    for alteration in &alterations {
        check_alias(zone, &after, alteration)?;
    }
    let images = |of: &Known| -> Images {
        seen.iter().map(|(_, key)| (key.to_string(), of.get(key).cloned())).collect()
    };
    let (mut before, mut after) = (images(&before), images(&after));
    // What is so already is no part of the change.
    let same: Vec<String> = before
        .iter()
        .filter(|(key, record)| after.get(*key) == Some(record))
        .map(|(key, _)| key.clone())
        .collect();
    for key in &same {
        before.remove(key);
        after.remove(key);
    }
    alterations.retain(|alteration| before.contains_key(&alteration.record.key().to_string()));
    Ok(Outcome { alterations, before, after })
}

/// Makes one change on what is known; gives what is to be sent for it.
fn alter(zone: &Zone, known: &mut Known, asked: &Alteration) -> Result<Option<Alteration>, Fault> {
    let key = asked.record.key();
    let there = known.get(&key).cloned();
    if there.as_ref().is_some_and(|record| record.traffic_policy.is_some()) {
        return Err(refused(&key, "a traffic policy made it; change it there"));
    }
    let apex = key.name == zone.name && ["NS", "SOA"].contains(&key.r#type.as_str());
    match (asked.action, there) {
        (Action::Delete, _) if apex => Err(refused(&key, "a zone cannot be without it")),
        (Action::Delete, None) => Err(refused(&key, "there is nothing to delete")),
        (Action::Delete, Some(there)) => {
            if !asked.record.is_bare() && asked.record != there {
                return Err(refused(&key, "what it is to delete does not match what is there").hint(
                    format!(
                        "it is {} now; leave out `ttl` and `values` to delete whatever is there",
                        there.gist()
                    ),
                ));
            }
            known.remove(&key);
            Ok(Some(Alteration { action: Action::Delete, record: there }))
        }
        (Action::Create, Some(there)) => {
            Err(refused(&key, &format!("it exists already: {}", there.gist())).hint("UPSERT replaces it"))
        }
        (Action::Create, None) | (Action::Upsert, _) => {
            asked.record.check()?;
            let before = known.insert(key, asked.record.clone());
            Ok((before.as_ref() != Some(&asked.record)).then(|| asked.clone()))
        }
    }
}

/// What cannot stand side by side under one name.
fn check_name(known: &Known, name: &str) -> Result<(), Fault> {
    let there: Vec<&Record> = known.values().filter(|record| record.name == name).collect();
    let others = there.iter().find(|record| record.r#type != "CNAME");
    if let (Some(cname), Some(other)) = (there.iter().find(|record| record.r#type == "CNAME"), others) {
        let why = format!("a CNAME cannot stand beside other records, and there is {}", other.key());
        return Err(refused(&cname.key(), &why));
    }
    let rule = |record: &Record| record.routing.as_ref().map(Routing::rule);
    for pair in there.windows(2).filter(|pair| pair[0].r#type == pair[1].r#type) {
        if rule(pair[0]) != rule(pair[1]) {
            let why = format!("it is not routed as {} is", pair[0].key());
            return Err(
                refused(&pair[1].key(), &why).hint("all record sets of a name and type are routed alike")
            );
        }
    }
    Ok(())
}

fn check_alias(zone: &Zone, known: &Known, alteration: &Alteration) -> Result<(), Fault> {
    let record = &alteration.record;
    let Some(alias) = own_alias(zone, record).filter(|_| alteration.action != Action::Delete) else {
        return Ok(());
    };
    let there = known.keys().any(|key| key.name == alias.name && key.r#type == record.r#type);
    if there {
        return Ok(());
    }
    let why = format!("it is an alias of {} {}, which is not there", alias.name, record.r#type);
    Err(refused(&record.key(), &why))
}

fn refused(key: &Key, why: &str) -> Fault {
    Fault::permanent(format!("Route 53 would refuse the change of {key}: {why}"))
}

/// The batch that makes the records of `after` those of `before` again, deletions first.
pub(crate) fn inverse(before: &Images, after: &Images) -> Vec<Alteration> {
    let changes = before.iter().filter_map(|(key, was)| {
        let is = after.get(key).cloned().flatten();
        Some(match (was.clone(), is) {
            (None, Some(is)) => Alteration { action: Action::Delete, record: is },
            (Some(was), None) => Alteration { action: Action::Create, record: was },
            (Some(was), Some(is)) if was != is => Alteration { action: Action::Upsert, record: was },
            _ => return None,
        })
    });
    let mut changes: Vec<_> = changes.collect();
    changes.sort_by_key(|alteration| alteration.action != Action::Delete);
    changes
}

/// The images that a change recorded.
pub(crate) fn images(recorded: &Value) -> Result<Images, Fault> {
    serde_json::from_value(recorded.clone())
        .map_err(|_| Fault::permanent("the records before the change were kept by another version"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn zone() -> Zone {
        Zone { id: "Z1".to_owned(), name: "example.com".to_owned(), private: false }
    }

    fn record(value: Value) -> Record {
        serde_json::from_value::<Record>(value).unwrap().normal()
    }

    fn known() -> Vec<Record> {
        vec![
            record(json!({"name": "example.com", "type": "NS", "ttl": 172_800, "values": ["ns.test"]})),
            record(json!({"name": "example.com", "type": "SOA", "ttl": 900, "values": ["soa"]})),
            record(json!({"name": "api.example.com", "type": "A", "ttl": 300, "values": ["192.0.2.1"]})),
            record(
                json!({"name": "www.example.com", "type": "CNAME", "ttl": 60, "values": ["api.example.com"]}),
            ),
            record(json!({"name": "eu.example.com", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                          "routing": {"set_identifier": "one", "weight": 10}})),
        ]
    }

    fn asked(changes: Value) -> Vec<Alteration> {
        let asked: Vec<Asked> = serde_json::from_value(changes).unwrap();
        asked.into_iter().map(Alteration::from).collect()
    }

    fn a(action: &str, name: &str, ttl: i64, value: &str) -> Value {
        json!({"action": action, "name": name, "type": "A", "ttl": ttl, "values": [value]})
    }

    #[test]
    fn a_batch_and_its_inverse_cancel_out() {
        for changes in [
            json!([a("UPSERT", "api.example.com", 60, "192.0.2.9")]),
            json!([a("CREATE", "new.example.com", 60, "192.0.2.9")]),
            json!([{"action": "DELETE", "name": "api.example.com", "type": "A"}]),
            json!([a("DELETE", "api.example.com", 300, "192.0.2.1"),
                   {"action": "CREATE", "name": "api.example.com", "type": "CNAME", "ttl": 60, "values": ["dr.test"]}]),
            json!([{"action": "UPSERT", "name": "eu.example.com", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                    "routing": {"set_identifier": "one", "weight": 0}},
                   {"action": "CREATE", "name": "eu.example.com", "type": "A", "ttl": 60, "values": ["192.0.2.2"],
                    "routing": {"set_identifier": "two", "weight": 10}}]),
            json!([{"action": "UPSERT", "name": "alias.example.com", "type": "A",
                    "alias": {"zone_id": "Z1", "name": "api.example.com"}}]),
        ] {
            let there = outcome(&zone(), &known(), &asked(changes.clone())).unwrap();
            assert_ne!(there.before, there.after, "{changes}");
            let mut moved: Vec<Record> = known();
            moved.retain(|record| !there.before.contains_key(&record.key().to_string()));
            moved.extend(there.after.values().flatten().cloned());
            let back = outcome(&zone(), &moved, &inverse(&there.before, &there.after)).unwrap();
            assert_eq!((&back.before, &back.after), (&there.after, &there.before), "{changes}");
        }
    }

    #[test]
    fn what_is_so_already_is_not_sent() {
        let outcome = outcome(
            &zone(),
            &known(),
            &asked(json!([
                a("UPSERT", "API.example.com.", 300, "192.0.2.1"),
                a("CREATE", "b.example.com", 1, "192.0.2.1")
            ])),
        )
        .unwrap();
        assert_eq!(outcome.alterations.len(), 1);
        assert_eq!(outcome.before.keys().collect::<Vec<_>>(), ["b.example.com A"]);
    }

    #[test]
    fn what_route53_would_refuse_is_predicted() {
        for (changes, word) in [
            (json!([a("CREATE", "api.other.test", 60, "192.0.2.1")]), "outside of the zone"),
            (json!([a("CREATE", "api.example.com", 60, "192.0.2.1")]), "exists already"),
            (json!([a("DELETE", "gone.example.com", 60, "192.0.2.1")]), "nothing to delete"),
            (json!([a("DELETE", "api.example.com", 300, "192.0.2.2")]), "does not match"),
            (json!([a("DELETE", "api.example.com", 60, "192.0.2.1")]), "does not match"),
            (json!([{"action": "DELETE", "name": "example.com", "type": "NS"}]), "cannot be without"),
            (json!([a("UPSERT", "www.example.com", 60, "192.0.2.1")]), "beside other records"),
            (
                json!([{"action": "CREATE", "name": "api.example.com", "type": "CNAME", "ttl": 1, "values": ["x"]}]),
                "beside other records",
            ),
            (
                json!([{"action": "CREATE", "name": "example.com", "type": "CNAME", "ttl": 1, "values": ["x"]}]),
                "beside other records",
            ),
            (json!([a("UPSERT", "eu.example.com", 60, "192.0.2.1")]), "not routed as"),
            (
                json!([{"action": "CREATE", "name": "eu.example.com", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                     "routing": {"set_identifier": "two", "failover": "PRIMARY"}}]),
                "not routed as",
            ),
            (
                json!([{"action": "UPSERT", "name": "l.example.com", "type": "A",
                     "alias": {"zone_id": "Z1", "name": "gone.example.com"}}]),
                "which is not there",
            ),
            (
                json!([
                    a("UPSERT", "b.example.com", 1, "192.0.2.1"),
                    a("UPSERT", "b.example.com", 2, "192.0.2.1")
                ]),
                "stands twice",
            ),
            (json!([a("UPSERT", "b.example.com", 1, "not an address")]), "not a value"),
        ] {
            let fault = outcome(&zone(), &known(), &asked(changes.clone())).unwrap_err();
            assert!(fault.message.contains(word), "{changes}: {fault}");
        }
    }

    #[test]
    fn records_of_a_traffic_policy_are_left_alone() {
        let mut known = known();
        known[2].traffic_policy = Some("policy".to_owned());
        let fault = outcome(&zone(), &known, &asked(json!([a("UPSERT", "api.example.com", 1, "192.0.2.1")])));
        assert!(fault.unwrap_err().message.contains("traffic policy"));
    }
}
