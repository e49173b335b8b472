//! Which programs may be started, with which arguments. A rule names every argument; what no rule
//! names is not started.

use std::{fmt, path::PathBuf};

use regex::{Regex, RegexBuilder};
use runbook_contract::text::{line, shortened};
use runbook_core::{fault::Fault, spec::Effect};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const MOST_ARGUMENTS: usize = 100;
const LONGEST_ARGV: usize = 32 * 1024;
const LARGEST_PATTERN: usize = 256 * 1024;

/// A program and the arguments that it may be started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What runbooks may call the program; they may always write its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub program: Program,
    /// One entry for each argument, no more and no fewer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// What it does to the world. Only what reads can be used by checks; what is destructive
    /// always needs an approval.
    pub effect: Effect,
}

/// The absolute path of a program. Nothing is looked up in a search path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
#[schemars(with = "String", extend("pattern" = "^/"))]
pub struct Program(PathBuf);

impl Program {
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl TryFrom<PathBuf> for Program {
    type Error = &'static str;

    fn try_from(path: PathBuf) -> Result<Self, Self::Error> {
        if path.is_absolute() {
            Ok(Self(path))
        } else {
            Err("`program` is an absolute path, such as /usr/bin/git")
        }
    }
}

impl From<Program> for PathBuf {
    fn from(program: Program) -> Self {
        program.0
    }
}

/// What one argument may be: a text, which it must equal; `*`, which is any one argument that is
/// no option (it is not empty and does not start with `-`); or `{ matches: REGEX }`, which must
/// match all of it.
#[derive(Debug, Clone)]
pub enum Argument {
    Exactly(String),
    Free,
    Matching(Regex),
}

impl Argument {
    fn takes(&self, given: &str) -> bool {
        match self {
            Self::Exactly(text) => text == given,
            Self::Free => !given.is_empty() && !given.starts_with('-'),
            Self::Matching(pattern) => pattern.is_match(given),
        }
    }

    fn matching(pattern: &str) -> Result<Self, String> {
        // By itself first: `a)|(b` would otherwise break out of what holds it.
        let refused = |error: regex::Error| {
            format!("`matches` is not a regular expression: {}", line(&error.to_string(), 200))
        };
        Regex::new(pattern).map_err(refused)?;
        let whole = RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(LARGEST_PATTERN).build();
        whole.map(Self::Matching).map_err(refused)
    }

    /// The pattern as it was written.
    fn pattern(pattern: &Regex) -> &str {
        pattern.as_str().strip_prefix(r"\A(?:").and_then(|rest| rest.strip_suffix(r")\z")).unwrap_or_default()
    }
}

impl PartialEq for Argument {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exactly(one), Self::Exactly(other)) => one == other,
            (Self::Free, Self::Free) => true,
            (Self::Matching(one), Self::Matching(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for Argument {}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(text) => f.write_str(text),
            Self::Free => f.write_str("*"),
            Self::Matching(pattern) => write!(f, "/{}/", Self::pattern(pattern)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matches {
    matches: String,
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exactly(text) => serializer.serialize_str(text),
            Self::Free => serializer.serialize_str("*"),
            Self::Matching(pattern) => {
                Matches { matches: Self::pattern(pattern).to_owned() }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Argument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, `*`, or `{ matches: REGEX }` (numbers in quotes)")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Argument, E> {
                Ok(if text == "*" { Argument::Free } else { Argument::Exactly(text.to_owned()) })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Argument, A::Error> {
                let Matches { matches } = Matches::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Argument::matching(&matches).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Argument {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Argument".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text that the argument must equal; `*` for any one argument that is no option; or a regular expression that must match all of it.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "matches": { "type": "string", "format": "regex" } },
                    "required": ["matches"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// The rules of an environment. The first that takes a command line decides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allow(Vec<Rule>);

impl Allow {
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// The rule under which a command line may be started.
    pub fn admit(&self, argv: &[String]) -> Result<&Rule, Fault> {
        let Some((program, args)) = argv.split_first() else {
            return Err(
                Fault::permanent("there is no program to start").hint("`argv` begins with the program")
            );
        };
        if args.len() > MOST_ARGUMENTS || argv.iter().map(String::len).sum::<usize>() > LONGEST_ARGV {
            return Err(
                Fault::permanent("the command line is too long").hint("give large data through `stdin`")
            );
        }
        if argv.iter().any(|part| part.contains('\0')) {
            return Err(Fault::permanent("an argument holds a zero byte"));
        }
        let mut of_program = self.0.iter().filter(|rule| rule.is_for(program)).peekable();
        if of_program.peek().is_none() {
            let known: Vec<&str> = self.0.iter().map(Rule::label).take(8).collect();
            return Err(refused(argv).hint(match known.as_slice() {
                [] => "this environment allows no programs; see `command: { allow: [...] }` in runbook.yaml"
                    .to_owned(),
                _ => format!("this environment allows: {}", known.join(", ")),
            }));
        }
        let shapes: Vec<String> = of_program.clone().take(5).map(Rule::shape).collect();
        of_program
            .find(|rule| rule.takes(args))
            .ok_or_else(|| refused(argv).hint(format!("this environment allows: {}", shapes.join("; "))))
    }
}

fn refused(argv: &[String]) -> Fault {
    Fault::denied(format!(
        "`{}` is not among the commands that this environment allows",
        line(&argv.join(" "), 120)
    ))
}

impl Rule {
    /// How messages and targets call the program.
    pub(crate) fn label(&self) -> &str {
        let path = self.program.path();
        self.name.as_deref().or_else(|| path.to_str()).unwrap_or("program")
    }

    fn is_for(&self, program: &str) -> bool {
        self.name.as_deref() == Some(program) || self.program.path().to_str() == Some(program)
    }

    fn takes(&self, args: &[String]) -> bool {
        args.len() == self.args.len() && self.args.iter().zip(args).all(|(rule, given)| rule.takes(given))
    }

    fn shape(&self) -> String {
        let args = self.args.iter().map(ToString::to_string);
        let words: Vec<String> = std::iter::once(self.label().to_owned()).chain(args).collect();
        shortened(&words.join(" "), 120)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> Allow {
        let rules: Vec<Rule> = serde_json::from_value(json!([
            { "name": "git", "program": "/usr/bin/git", "args": ["log", "--oneline", "*"], "effect": "read" },
            { "program": "/usr/bin/kubectl", "args": ["get", { "matches": "pods|nodes" }], "effect": "read" },
            { "program": "/usr/bin/kubectl", "args": ["*", "*"], "effect": "destructive" },
            { "program": "/opt/reset", "effect": "write" },
        ]))
        .unwrap();
        Allow::new(rules)
    }

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = rules();
        for (words, effect) in [
            (&["git", "log", "--oneline", "main"][..], Effect::Read),
            (&["/usr/bin/git", "log", "--oneline", "main"], Effect::Read),
            (&["/usr/bin/kubectl", "get", "pods"], Effect::Read),
            (&["/usr/bin/kubectl", "get", "secrets"], Effect::Destructive),
            (&["/opt/reset"], Effect::Write),
        ] {
            assert_eq!(rules.admit(&argv(words)).unwrap().effect, effect, "{words:?}");
        }
    }

    #[test]
    fn nothing_gets_around_the_rules() {
        let rules = rules();
        for words in [
            &[][..],
            &[""],
            &["sh", "-c", "id"],
            &["/bin/sh", "-c", "id"],
            &["/usr/bin/../bin/git", "log", "--oneline", "main"],
            &["/usr/bin//git", "log", "--oneline", "main"],
            &["./git", "log", "--oneline", "main"],
            &["GIT", "log", "--oneline", "main"],
            &["git ", "log", "--oneline", "main"],
            &["git", "log", "--oneline", "--output=/etc/passwd"],
            &["git", "log", "--oneline", ""],
            &["git", "log", "--oneline", "main", "extra"],
            &["git", "log", "--oneline"],
            &["git", "log --oneline main"],
            &["git", "log", "--oneline", "a\0b"],
            &["/usr/bin/kubectl", "get", "-A"],
            &["/opt/reset", ""],
        ] {
            assert!(rules.admit(&argv(words)).is_err(), "{words:?}");
        }
        let many = vec!["git".to_owned(); 200];
        assert!(rules.admit(&many).is_err());
        let fault = rules.admit(&argv(&["git", "push"])).unwrap_err();
        assert_eq!(fault.hint.as_deref(), Some("this environment allows: git log --oneline *"));
        assert!(Allow::default().admit(&argv(&["git"])).unwrap_err().hint.unwrap().contains("no programs"));
    }

    #[test]
    fn a_pattern_must_match_all_of_an_argument() {
        for (pattern, given, takes) in [
            ("pods|nodes", "pods", true),
            ("pods|nodes", "podsX", false),
            ("pods|nodes", "Xnodes", false),
            ("(?m)^a$", "a\nb", false),
            ("[a-z]+", "a\n", false),
            ("", "", true),
            ("(?i)yes", "YES", true),
        ] {
            assert_eq!(Argument::matching(pattern).unwrap().takes(given), takes, "{pattern} {given:?}");
        }
        for broken in ["a)|(b", "(", "(?x) a # comment", "a{1000}{1000}{1000}"] {
            assert!(Argument::matching(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        let text = json!([{ "name": "git", "program": "/usr/bin/git", "args": ["log", "*", { "matches": "v[0-9]+" }], "effect": "read" }]);
        let rules: Vec<Rule> = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&rules).unwrap(), text);
        for wrong in [
            json!({ "program": "git", "effect": "read" }),
            json!({ "program": "/usr/bin/git" }),
            json!({ "program": "/usr/bin/git", "effect": "harmless" }),
            json!({ "program": "/usr/bin/git", "effect": "read", "args": [3] }),
            json!({ "program": "/usr/bin/git", "effect": "read", "args": [{ "matches": "(" }] }),
            json!({ "program": "/usr/bin/git", "effect": "read", "args": [{ "match": "a" }] }),
            json!({ "program": "/usr/bin/git", "effect": "read", "arg": ["a"] }),
        ] {
            assert!(serde_json::from_value::<Rule>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
