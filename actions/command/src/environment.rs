//! The environment variables of a program: those that the configuration gives, and no others.

use std::{collections::BTreeMap, fmt};

use runbook_contract::SecretSource;
use runbook_core::fault::Fault;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[A-Za-z_][A-Za-z0-9_]*$"))]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let starts = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if starts && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            Ok(Self(text))
        } else {
            Err("a variable's name has letters, digits and `_`")
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// The value of an environment variable: a text, or a secret as `{ env: NAME }` or
/// `{ file: PATH }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    Text(String),
    Secret(SecretSource),
}

impl Serialize for Variable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Secret(source) => source.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Variable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text (numbers in quotes), `{ env: NAME }` or `{ file: PATH }`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Variable, E> {
                Ok(Variable::Text(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Variable, A::Error> {
                let source = SecretSource::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Variable::Secret(source))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Variable {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Variable".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<SecretSource>();
        json_schema!({ "anyOf": [{ "type": "string" }, secret] })
    }
}

/// The variables of one start, and the values among them that must not be shown.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    pub all: Vec<(String, String)>,
    pub secrets: Vec<String>,
}

impl Variables {
    /// Reads what the configuration names, and adds the key of the try.
    pub fn read(given: &BTreeMap<Name, Variable>, idempotency_key: &str) -> Result<Self, Fault> {
        let mut variables = Self::default();
        for (Name(name), variable) in given {
            let value = match variable {
                Variable::Text(text) => text.clone(),
                Variable::Secret(source) => {
                    let secret = source.read().map_err(|error| {
                        Fault::permanent(format!("variable `{name}`: {error}")).hint(
                            "`command.env` of the environment in runbook.yaml says where the secret is kept",
                        )
                    })?;
                    variables.secrets.push(secret.expose_secret().to_owned());
                    secret.expose_secret().to_owned()
                }
            };
            if value.contains('\0') {
                return Err(Fault::permanent(format!("variable `{name}` holds a zero byte")));
            }
            variables.all.push((name.clone(), value));
        }
        // One that holds another is hidden first.
        variables.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        if !idempotency_key.is_empty() {
            variables.all.push(("RUNBOOK_IDEMPOTENCY_KEY".to_owned(), idempotency_key.replace('\0', "")));
        }
        Ok(variables)
    }
}
