//! What an action says of itself: the data that the checker, the documentation, the approval
//! policy and the engine all read. A provider states it once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::Schema;

/// One action of a provider, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionSpec {
    /// `provider.action`.
    pub name: String,
    /// One sentence for `runbook actions`.
    pub summary: String,
    /// What it does to the world when nothing in its input says otherwise.
    pub effect: Effect,
    /// An expression over the input that makes this use of the action destructive, such as
    /// `replicas == 0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive_when: Option<String>,
    /// JSON Schema of `with`.
    pub input: Schema,
    /// JSON Schema of the outputs: its properties are the names that expressions may use.
    pub output: Schema,
    /// How it can be undone.
    pub undo: UndoSupport,
    /// The best grade that a dry-run of it can earn.
    pub grade: Grade,
    /// What a read reads, which decides what a dry-run may say of it after a predicted change.
    pub reads: Reads,
    /// What the caller must be allowed to do.
    pub permissions: Vec<Permission>,
    /// An example of `with`, shown in the documentation and checked against the schema.
    pub example: Value,
}

impl ActionSpec {
    pub fn provider(&self) -> &str {
        self.name.split_once('.').map_or(self.name.as_str(), |(provider, _)| provider)
    }
    /// The names of the outputs.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        property_names(&self.output)
    }
    /// The names that `with` may hold.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        property_names(&self.input)
    }
    /// The field of `with` that holds a secret although its schema says that none belongs there
    /// (`"x-no-secrets": true`): a program's arguments, a message into a channel.
    pub fn misplaced_secret<'a>(&self, input: &'a Value) -> Option<&'a str> {
        let refuses = |name: &str| self.input["properties"][name]["x-no-secrets"] == true;
        let fields = input.as_object().into_iter().flatten();
        fields
            .filter(|(name, _)| refuses(name))
            .find(|(_, value)| crate::secret::is_marked(&value.to_string()))
            .map(|(name, _)| name.as_str())
    }
    /// Whether the outputs are only those named; an open schema (`additionalProperties: true`)
    /// gives whatever the source answers.
    pub fn has_open_outputs(&self) -> bool {
        !matches!(self.output.get("additionalProperties"), Some(Value::Bool(false)))
    }
}

fn property_names(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str())
}

/// What an action does to the world, from harmless to grave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads only.
    Read,
    /// Changes something that can be changed back.
    Write,
    /// Can lose data or take something away from users; always needs an approval.
    Destructive,
}

/// How sure a dry-run is of what it says about the world, from sure to not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Read from the world as it is.
    Observed,
    /// The server checked the exact request and would take it.
    Validated,
    /// Worked out from what was observed; the server had no say.
    Predicted,
    /// Nobody can tell.
    Unknown,
}

/// What a read depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// Configuration: it changes only when someone changes it.
    Configuration,
    /// Behaviour: numbers and states that follow from changes elsewhere (metrics, health, pods).
    Behaviour,
}

/// How an action can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoSupport {
    /// From the image recorded before the change; the text says to what.
    Auto(String),
    /// Not at all; the text says why.
    None(String),
}

/// Something that the caller must be allowed to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// A rule of a Kubernetes Role.
    Rbac { group: String, resource: String, verbs: Vec<String> },
    /// An IAM action such as `rds:FailoverDBCluster`.
    Iam(String),
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        })
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observed => "observed",
            Self::Validated => "validated",
            Self::Predicted => "predicted",
            Self::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::mark;

    #[test]
    fn a_secret_is_found_where_the_schema_wants_none() {
        let spec = ActionSpec {
            name: "command.run".to_owned(),
            summary: String::new(),
            effect: Effect::Write,
            destructive_when: None,
            input: json!({ "properties": { "argv": { "x-no-secrets": true }, "stdin": {} } }).into(),
            output: Value::Null.into(),
            undo: UndoSupport::None(String::new()),
            grade: Grade::Predicted,
            reads: Reads::Configuration,
            permissions: Vec::new(),
            example: Value::Null,
        };
        for (input, found) in [
            (json!({ "argv": ["x", format!("--token={}", mark("token"))], "stdin": "" }), Some("argv")),
            (json!({ "argv": ["x"], "stdin": mark("token") }), None),
            (json!({ "argv": ["x"], "other": mark("token") }), None),
            (json!("text"), None),
        ] {
            assert_eq!(spec.misplaced_secret(&input), found, "{input}");
        }
    }
}
