//! A record set as it is written here: names without the last dot, in small letters.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use runbook_core::fault::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Its full name.
    pub(crate) name: String,
    /// `A`, `CNAME`, …
    pub(crate) r#type: String,
    /// For how many seconds resolvers may keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<i64>,
    /// What it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<String>,
    /// What it stands for, in place of `ttl` and `values`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alias: Option<Alias>,
    /// Which of several record sets of the name is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) routing: Option<Routing>,
    /// The health check on which it depends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) health_check: Option<String>,
    /// The traffic policy that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traffic_policy: Option<String>,
}

/// Another resource of AWS that a record stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alias {
    /// The hosted zone of the resource, as AWS documents it for each service.
    pub(crate) zone_id: String,
    /// The name of the resource.
    pub(crate) name: String,
    /// Whether the health of the resource decides on the answer.
    #[serde(default)]
    pub(crate) evaluate_target_health: bool,
}

/// One of several record sets of a name: its identifier, and exactly one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routing {
    /// Tells it apart from the others of its name and type.
    pub(crate) set_identifier: String,
    /// Weighted: its share, 0 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 255))]
    pub(crate) weight: Option<i64>,
    /// By latency: the region of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// `PRIMARY` or `SECONDARY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failover: Option<String>,
    /// By the place of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) geolocation: Option<Geolocation>,
    /// By the distance from whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) geoproximity: Option<Geoproximity>,
    /// By the network of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cidr: Option<Cidr>,
    /// Several are answered at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) multivalue: Option<bool>,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Geolocation {
    /// `EU`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) continent: Option<String>,
    /// `DE`, or `*` for wherever nothing else fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) country: Option<String>,
    /// A state of the United States or Ukraine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subdivision: Option<String>,
}

/// A point from which distance is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Geoproximity {
    /// A region of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// A local zone group of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) local_zone_group: Option<String>,
    /// Degrees north, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latitude: Option<String>,
    /// Degrees east, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) longitude: Option<String>,
    /// Makes the area larger or smaller, -99 to 99.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bias: Option<i32>,
}

/// A location of a CIDR collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cidr {
    /// The collection.
    pub(crate) collection_id: String,
    /// The location in it.
    pub(crate) location: String,
}

/// What tells one record set of a zone from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) set_identifier: Option<String>,
}

impl fmt::Display for Key {
    /// `api.example.com A`, `api.example.com A (eu)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.r#type)?;
        match &self.set_identifier {
            Some(identifier) => write!(f, " ({identifier})"),
            None => Ok(()),
        }
    }
}

/// The types that Route 53 serves.
const TYPES: [&str; 17] = [
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "SSHFP",
    "SVCB", "TLSA", "TXT",
];
const LONGEST_TTL: i64 = 2_147_483_647;

/// A name as it is compared: Route 53 writes `*` as `\052` and ends names with a dot.
pub(crate) fn name(given: &str) -> String {
    given.trim().trim_end_matches('.').replace("\\052", "*").to_ascii_lowercase()
}

impl Record {
    pub(crate) fn key(&self) -> Key {
        Key {
            name: self.name.clone(),
            r#type: self.r#type.clone(),
            set_identifier: self.routing.as_ref().map(|routing| routing.set_identifier.clone()),
        }
    }

    /// Names and values in the form in which they are compared.
    #[must_use]
    pub(crate) fn normal(mut self) -> Self {
        self.name = name(&self.name);
        self.r#type = self.r#type.to_ascii_uppercase();
        self.values.sort();
        if let Some(alias) = &mut self.alias {
            alias.name = name(&alias.name);
        }
        if let Some(failover) = self.routing.as_mut().and_then(|routing| routing.failover.as_mut()) {
            failover.make_ascii_uppercase();
        }
        self
    }

    /// Whether it says nothing but which record set it is about.
    pub(crate) fn is_bare(&self) -> bool {
        self.ttl.is_none() && self.values.is_empty() && self.alias.is_none()
    }

    /// What Route 53 would refuse of it, whatever else is in the zone.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let key = self.key();
        let wrong = |why: String| Err(Fault::permanent(format!("`{key}` would be refused: {why}")));
        if !TYPES.contains(&self.r#type.as_str()) {
            return wrong(format!(
                "`{}` is not a type of record; known are {}",
                self.r#type,
                TYPES.join(", ")
            ));
        }
        match (&self.alias, self.ttl, self.values.is_empty()) {
            (Some(_), None, true) | (None, Some(_), false) => {}
            (Some(_), _, _) => return wrong("an alias has neither `ttl` nor `values`".to_owned()),
            (None, _, _) => return wrong("it needs `ttl` and `values`, or an `alias`".to_owned()),
        }
        if let Some(ttl) = self.ttl.filter(|ttl| !(0..=LONGEST_TTL).contains(ttl)) {
            return wrong(format!("a ttl of {ttl} s is out of bounds"));
        }
        if self.values.windows(2).any(|pair| pair[0] == pair[1]) {
            return wrong("a value stands there twice".to_owned());
        }
        if self.r#type == "CNAME" && self.values.len() > 1 {
            return wrong("a CNAME has one value".to_owned());
        }
        if let Some(value) = self.values.iter().find(|value| !self.takes(value)) {
            let shown: String = value.chars().take(80).collect();
            return wrong(format!("`{shown}` is not a value of a record of type {}", self.r#type));
        }
        match &self.routing {
            Some(routing) => routing.check().or_else(wrong),
            None => Ok(()),
        }
    }

    fn takes(&self, value: &str) -> bool {
        match self.r#type.as_str() {
            "A" => value.parse::<Ipv4Addr>().is_ok(),
            "AAAA" => value.parse::<Ipv6Addr>().is_ok(),
            "TXT" | "SPF" => value.len() >= 2 && value.starts_with('"') && value.ends_with('"'),
            _ => !value.trim().is_empty(),
        }
    }

    /// In a few words, what it answers.
    pub(crate) fn gist(&self) -> String {
        let answer = match &self.alias {
            Some(alias) => format!("alias of {}", alias.name),
            None => self.values.join(", "),
        };
        let share = self.routing.as_ref().and_then(|routing| routing.weight);
        let share = share.map(|weight| format!(", weight {weight}")).unwrap_or_default();
        let ttl = self.ttl.map(|ttl| format!(" (ttl {ttl}{share})")).unwrap_or_else(|| share.clone());
        format!("{answer}{ttl}")
    }
}

impl Routing {
    /// The name of its rule, where it has exactly one.
    pub(crate) fn rule(&self) -> Option<&'static str> {
        let rules = [
            ("weight", self.weight.is_some()),
            ("region", self.region.is_some()),
            ("failover", self.failover.is_some()),
            ("geolocation", self.geolocation.is_some()),
            ("geoproximity", self.geoproximity.is_some()),
            ("cidr", self.cidr.is_some()),
            ("multivalue", self.multivalue == Some(true)),
        ];
        let mut given = rules.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
        let first = given.next()?;
        given.next().is_none().then_some(first)
    }

    fn check(&self) -> Result<(), String> {
        if self.set_identifier.is_empty() || self.set_identifier.len() > 128 {
            return Err("a `set_identifier` has between 1 and 128 characters".to_owned());
        }
        if self.rule().is_none() {
            return Err(
                "`routing` needs exactly one of weight, region, failover, geolocation, geoproximity, \
                        cidr and multivalue"
                    .to_owned(),
            );
        }
        if let Some(weight) = self.weight.filter(|weight| !(0..=255).contains(weight)) {
            return Err(format!("a weight of {weight} is out of bounds; 0 to 255 are possible"));
        }
        if let Some(failover) =
            self.failover.as_ref().filter(|it| !["PRIMARY", "SECONDARY"].contains(&it.as_str()))
        {
            return Err(format!("`failover` is PRIMARY or SECONDARY, not `{failover}`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(value: serde_json::Value) -> Record {
        serde_json::from_value::<Record>(value).unwrap().normal()
    }

    #[test]
    fn names_compare_as_route53_compares_them() {
        for (given, kept) in [
            ("API.Example.com.", "api.example.com"),
            ("\\052.example.com.", "*.example.com"),
            ("*.example.com", "*.example.com"),
            ("_sip._tcp.example.com", "_sip._tcp.example.com"),
        ] {
            assert_eq!(name(given), kept);
        }
        let (a, b) = (
            record(json!({"name": "A.test.", "type": "a", "ttl": 1, "values": ["1.1.1.1", "1.1.1.0"]})),
            record(json!({"name": "a.test", "type": "A", "ttl": 1, "values": ["1.1.1.0", "1.1.1.1"]})),
        );
        assert_eq!(a, b);
    }

    #[test]
    fn sound_records_are_taken() {
        for sound in [
            json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1"]}),
            json!({"name": "a.test", "type": "AAAA", "ttl": 0, "values": ["2001:db8::1"]}),
            json!({"name": "a.test", "type": "CNAME", "ttl": 60, "values": ["b.test"]}),
            json!({"name": "a.test", "type": "TXT", "ttl": 60, "values": ["\"v=spf1 -all\""]}),
            json!({"name": "a.test", "type": "A", "alias": {"zone_id": "Z1", "name": "lb.test"}}),
            json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                   "routing": {"set_identifier": "eu", "weight": 0}}),
            json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                   "routing": {"set_identifier": "eu", "failover": "primary"}}),
        ] {
            assert!(record(sound.clone()).check().is_ok(), "{sound}");
        }
    }

    #[test]
    fn what_route53_would_refuse_is_told_first() {
        for (wrong, word) in [
            (json!({"name": "a.test", "type": "AX", "ttl": 60, "values": ["x"]}), "not a type"),
            (json!({"name": "a.test", "type": "A", "values": ["192.0.2.1"]}), "ttl"),
            (json!({"name": "a.test", "type": "A", "ttl": 60}), "values"),
            (
                json!({"name": "a.test", "type": "A", "ttl": 60, "alias": {"zone_id": "Z", "name": "x"}}),
                "alias",
            ),
            (json!({"name": "a.test", "type": "A", "ttl": -1, "values": ["192.0.2.1"]}), "bounds"),
            (json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["lb.test"]}), "lb.test"),
            (json!({"name": "a.test", "type": "AAAA", "ttl": 60, "values": ["192.0.2.1"]}), "AAAA"),
            (json!({"name": "a.test", "type": "TXT", "ttl": 60, "values": ["bare"]}), "TXT"),
            (
                json!({"name": "a.test", "type": "CNAME", "ttl": 60, "values": ["b.test", "c.test"]}),
                "one value",
            ),
            (
                json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1", "192.0.2.1"]}),
                "twice",
            ),
            (
                json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                    "routing": {"set_identifier": "eu"}}),
                "exactly one",
            ),
            (
                json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                    "routing": {"set_identifier": "eu", "weight": 1, "region": "eu-west-1"}}),
                "exactly one",
            ),
            (
                json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                    "routing": {"set_identifier": "eu", "weight": 300}}),
                "300",
            ),
            (
                json!({"name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1"],
                    "routing": {"set_identifier": "eu", "failover": "THIRD"}}),
                "THIRD",
            ),
        ] {
            let fault = record(wrong.clone()).check().unwrap_err();
            assert!(fault.message.contains(word), "{wrong}: {fault}");
        }
    }
}
