//! Where runs are kept.

use std::{borrow::Cow, fmt, path::Path};

use runbook_contract::SecretSource;
use runbook_journal::{Address, BadAddress};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap as _};
use serde_json::Value;

/// `sqlite:PATH` or `postgres://…`, or `url` and where its `password` is. What it prints has no
/// password, although a URL can.
#[derive(Clone, PartialEq)]
pub struct Store {
    pub url: String,
    pub password: Option<SecretSource>,
}

/// What kind of store it is.
#[derive(Debug)]
pub enum Kind<'s> {
    Sqlite(&'s Path),
    Postgres(Box<Address>),
}

/// Why there is no such store.
#[derive(Debug)]
pub struct NoStore {
    pub why: String,
    pub hint: &'static str,
}

const WRITE_IT: &str =
    "write it like `sqlite:.runbook/runbook.db` or `postgres://runbook@db.example.com/runbook`";

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite:.runbook/runbook.db".to_owned(), password: None }
    }
}

impl Store {
    /// What it means. The password is not read.
    pub fn kind(&self) -> Result<Kind<'_>, NoStore> {
        let no = |why: &str, hint| NoStore { why: why.to_owned(), hint };
        match self.url.split_once(':') {
            Some(("sqlite", _)) if self.password.is_some() => {
                Err(no("a store in a file has no `password`", "take it away"))
            }
            Some(("sqlite", path)) if !path.is_empty() && path != ":memory:" => {
                Ok(Kind::Sqlite(Path::new(path)))
            }
            Some(("sqlite", _)) => {
                Err(no("the store names no file", "name one: `sqlite:.runbook/runbook.db`"))
            }
            Some(("postgres" | "postgresql", _)) => self.postgres(),
            _ => {
                // Whatever it is, it can hold a password.
                let kind = self.url.split([':', '@']).next().unwrap_or_default();
                Err(no(&format!("`{kind}` is no store that runs can be kept in"), WRITE_IT))
            }
        }
    }

    fn postgres(&self) -> Result<Kind<'_>, NoStore> {
        let address = Address::parse(&self.url).map_err(|bad: BadAddress| NoStore {
            why: format!("the address of the store cannot be used: {bad}"),
            hint: bad.hint,
        })?;
        if address.has_password() && self.password.is_some() {
            let why = "the store has a password in its `url`, and another beside it".to_owned();
            return Err(NoStore { why, hint: "take the one in the `url` away" });
        }
        Ok(Kind::Postgres(Box::new(address)))
    }
}

/// A file's text as it may be shown: a password in the address of a database becomes stars, as many as
/// it has bytes, so that all else keeps its place.
pub(super) fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '#' | ',' | '}');
        let (address, others) = after.split_at(after.find(ends).unwrap_or(after.len()));
        let is_database = before.ends_with("postgres://") || before.ends_with("postgresql://");
        shown.push_str(&if is_database { without_password(address) } else { address.to_owned() });
        rest = others;
    }
    shown.push_str(rest);
    shown
}

fn without_password(address: &str) -> String {
    let stars = |secret: &str| "*".repeat(secret.len());
    let (place, parameters) = address.split_once('?').unwrap_or((address, ""));
    let mut shown = match place.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?, host)))
    {
        Some(((user, password), host)) => format!("{user}:{}@{host}", stars(password)),
        None => place.to_owned(),
    };
    if place.len() < address.len() {
        let pairs = parameters.split('&').map(|pair| match pair.split_once('=') {
            Some(("password", value)) => format!("password={}", stars(value)),
            _ => pair.to_owned(),
        });
        shown.push('?');
        shown.push_str(&pairs.collect::<Vec<_>>().join("&"));
    }
    shown
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Ok(Kind::Sqlite(path)) => write!(f, "sqlite:{}", path.display()),
            Ok(Kind::Postgres(address)) => address.fmt(f),
            Err(_) => f.write_str("none"),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Store {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            url: String,
            #[serde(default)]
            password: Option<SecretSource>,
        }
        match Value::deserialize(deserializer)? {
            Value::String(url) => Ok(Self { url, password: None }),
            map @ Value::Object(_) => {
                let Written { url, password } = serde_json::from_value(map).map_err(de::Error::custom)?;
                Ok(Self { url, password })
            }
            _ => Err(de::Error::custom("a store is a text, or `url` and `password`")),
        }
    }
}

impl Serialize for Store {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(password) = &self.password else { return serializer.serialize_str(&self.url) };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("url", &self.url)?;
        map.serialize_entry("password", password)?;
        map.end()
    }
}

impl JsonSchema for Store {
    fn schema_name() -> Cow<'static, str> {
        "Store".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let password = generator.subschema_for::<SecretSource>();
        json_schema!({
            "description": "`sqlite:PATH` or `postgres://…`, or `url` and where its `password` is.",
            "oneOf": [
                { "type": "string", "pattern": "^(sqlite:|postgres(ql)?://)" },
                {
                    "type": "object",
                    "properties": {
                        "url": { "type": "string", "pattern": "^(sqlite:|postgres(ql)?://)" },
                        "password": password
                    },
                    "required": ["url"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(text: &str) -> Store {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn it_is_a_text_or_a_url_with_a_password_elsewhere() {
        assert!(
            matches!(store("\"sqlite:a.db\"").kind(), Ok(Kind::Sqlite(path)) if path == Path::new("a.db"))
        );
        let beside = store(r#"{"url": "postgres://u@h/db", "password": {"env": "PGPASSWORD"}}"#);
        assert_eq!(beside.password, Some(SecretSource::Env("PGPASSWORD".to_owned())));
        assert!(matches!(beside.kind(), Ok(Kind::Postgres(_))));
        let again: Store = serde_json::from_value(serde_json::to_value(&beside).unwrap()).unwrap();
        assert_eq!(again, beside);
        for wrong in ["7", r#"{"password": {"env": "A"}}"#, r#"{"url": "sqlite:a", "user": "b"}"#] {
            assert!(serde_json::from_str::<Store>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_password() {
        for (text, told) in [
            (r#""sqlite:""#, "names no file"),
            (r#""sqlite::memory:""#, "names no file"),
            (r#""mysql://u:s3cret@h/db""#, "`mysql` is no store"),
            (r#""postgres://u:s3cret@h""#, "names no database"),
            (r#"{"url": "sqlite:a.db", "password": {"env": "A"}}"#, "has no `password`"),
            (r#"{"url": "postgres://u:s3cret@h/db", "password": {"env": "A"}}"#, "another beside it"),
        ] {
            let store = store(text);
            let refused = store.kind().unwrap_err();
            assert!(refused.why.contains(told), "{text}: {}", refused.why);
            assert!(!format!("{refused:?} {store} {store:?}").contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn the_text_of_a_file_is_shown_without_passwords() {
        for (text, expected) in [
            (
                "store: postgres://u:s3crét@h/db?sslmode=x\nb: 1",
                "store: postgres://u:*******@h/db?sslmode=x\nb: 1",
            ),
            (
                "{ url: \"postgresql://u:a:b@h/db?password=xyz&a=b\" }",
                "{ url: \"postgresql://u:***@h/db?password=***&a=b\" }",
            ),
            ("a: https://u:p@h\nb: postgres://u@h/db?", "a: https://u:p@h\nb: postgres://u@h/db?"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn it_is_shown_without_its_password() {
        let store = store(r#""postgres://ada:s3cret@db.example.com/runs""#);
        assert_eq!(
            format!("{store} {store:?}"),
            "postgres://db.example.com/runs postgres://db.example.com/runs"
        );
    }
}
