//! Names with `*` in them, as grants have: `*`, `production`, `db-*`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A name in which `*` stands for any text, also none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a pattern of names; write a name, or `*` for any text: `*`, `production`, `db-*`")]
pub struct NotAPattern {
    text: String,
}

const LONGEST: usize = 128;

impl Pattern {
    /// What every name is like.
    pub fn any() -> Self {
        Self("*".to_owned())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }
    /// Whether every name that `other` matches is matched by this one too. As no letter of a pattern
    /// but `*` takes a `*`, it is enough to read the other as if it were a name.
    pub fn covers(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
    pub fn is_any(&self) -> bool {
        self.0.bytes().all(|letter| letter == b'*')
    }
}

/// Linear in both but for going back to the last star, so at most their product.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // The last star, and where in the name what it stands for ends as far as is known.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (Some(letter), _) if *letter == name[n] => {
                p += 1;
                n += 1;
            }
            (_, Some((at, taken))) => {
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

impl FromStr for Pattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let fits = !text.is_empty() && text.len() <= LONGEST;
        if fits && !text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAPattern { text: text.chars().filter(|c| !c.is_control()).take(40).collect() })
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST,
            "pattern": r"^\S+$",
            "description": "A name in which `*` stands for any text.",
            "examples": ["*", "production", "db-*"]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (text, name, expected) in [
            ("*", "", true),
            ("*", "production", true),
            ("production", "production", true),
            ("production", "production-eu", false),
            ("production", "Production", false),
            ("db-*", "db-failover", true),
            ("db-*", "db-", true),
            ("db-*", "db", false),
            ("*-eu", "production-eu", true),
            ("*-eu", "production-eu-2", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("**", "x", true),
            ("prod?", "prodx", false),
            ("prod.*", "prod", false),
        ] {
            assert_eq!(pattern(text).matches(name), expected, "{text} on {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", " ", "a b", "a\n", "\u{7}", &"x".repeat(129)] {
            assert!(text.parse::<Pattern>().is_err(), "{text:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn what_a_covered_pattern_matches_the_covering_one_matches(
            wide in "[ab*]{1,6}", narrow in "[ab*]{1,6}", name in "[ab]{0,8}"
        ) {
            let (wide, narrow) = (pattern(&wide), pattern(&narrow));
            if wide.covers(&narrow) && narrow.matches(&name) {
                prop_assert!(wide.matches(&name), "{wide} covers {narrow}, but not {name}");
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*", name in ".*") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                let _ = pattern.matches(&name);
            }
        }
    }
}
