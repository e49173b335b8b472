//! A schema that is made when it is first looked at: a process that uses one action does not make
//! the schemas of all the others.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// JSON Schema, made once and shared by its clones.
#[derive(Clone)]
pub struct Schema(Arc<Made>);

struct Made {
    value: OnceLock<Value>,
    make: fn() -> Value,
}

impl Schema {
    /// One that `make` gives when it is first asked for.
    pub fn lazy(make: fn() -> Value) -> Self {
        Self(Arc::new(Made { value: OnceLock::new(), make }))
    }
}

impl From<Value> for Schema {
    fn from(value: Value) -> Self {
        Self(Arc::new(Made { value: OnceLock::from(value), make: || Value::Null }))
    }
}

impl Deref for Schema {
    type Target = Value;
    fn deref(&self) -> &Value {
        self.0.value.get_or_init(self.0.make)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_made_once_and_only_when_somebody_looks() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let schema = Schema::lazy(|| {
            MADE.fetch_add(1, Ordering::Relaxed);
            json!({ "type": "object" })
        });
        let other = schema.clone();
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        assert_eq!((&schema["type"], &other["type"]), (&json!("object"), &json!("object")));
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
        let read: Schema = serde_json::from_str(&serde_json::to_string(&schema).unwrap()).unwrap();
        assert_eq!(read, schema);
    }
}
