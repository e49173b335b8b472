//! How far an environment lets runs go.

use std::borrow::Cow;

use indexmap::IndexMap;
use runbook_core::duration::Duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap as _};
use serde_json::Value;

/// `max_mutations`, `cooldown`, and under the name of each action what it may be asked for:
/// `{ max_mutations: 5, cooldown: 10m, kubernetes.scale: { max_replicas: 50 } }`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// How many changes one run may make.
    pub max_mutations: Option<u32>,
    /// How long a target that was changed is left alone by other runs.
    pub cooldown: Option<Duration>,
    pub actions: IndexMap<String, Value>,
}

const MAX_MUTATIONS: &str = "max_mutations";
const COOLDOWN: &str = "cooldown";

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut actions = IndexMap::<String, Value>::deserialize(deserializer)?;
        let max_mutations = actions.shift_remove(MAX_MUTATIONS);
        let max_mutations =
            max_mutations.map(serde_json::from_value).transpose().map_err(de::Error::custom)?;
        let cooldown = actions.shift_remove(COOLDOWN);
        let cooldown = cooldown.map(serde_json::from_value).transpose().map_err(de::Error::custom)?;
        Ok(Self { max_mutations, cooldown, actions })
    }
}

impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(most) = self.max_mutations {
            map.serialize_entry(MAX_MUTATIONS, &most)?;
        }
        if let Some(cooldown) = &self.cooldown {
            map.serialize_entry(COOLDOWN, cooldown)?;
        }
        for (action, limits) in &self.actions {
            map.serialize_entry(action, limits)?;
        }
        map.end()
    }
}

impl JsonSchema for Limits {
    fn schema_name() -> Cow<'static, str> {
        "Limits".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let length = generator.subschema_for::<Duration>();
        json_schema!({
            "type": "object",
            "description": "How many changes a run may make, and what each action may be asked for.",
            "properties": {
                MAX_MUTATIONS: {
                    "type": "integer",
                    "format": "uint32",
                    "minimum": 0,
                    "description": "How many changes one run may make."
                },
                COOLDOWN: {
                    "allOf": [length],
                    "description": "How long a target that was changed is left alone by other runs."
                }
            },
            "additionalProperties": {
                "type": "object",
                "description": "The limits of one action, under its name: `kubernetes.scale: { max_replicas: 50 }`."
            }
        })
    }
}
