//! The runbook as it is written: types whose JSON Schema is the published one. Parsing and
//! checking live in `parse` and `check`; what a step means while a run is under way, in `run`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{duration::Duration, spec::Effect};

/// One runbook: a YAML file named after its `name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runbook {
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// Lower case, digits and dashes; the file is named after it.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]{0,62}$"))]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The severity of the incidents that it is for, in the words of the severity matrix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// What a person would notice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symptoms: Vec<String>,
    /// What it means for users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
    /// Names of other runbooks worth a look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub links: IndexMap<String, String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub labels: IndexMap<String, String>,
    /// Names of secrets that `with` may use, defined per environment in the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]{0,62}$")))]
    pub secrets: Vec<String>,
    /// What a run needs to be told, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(extend("propertyNames" = { "pattern": "^[a-zA-Z_][a-zA-Z0-9_]{0,62}$" }))]
    pub inputs: IndexMap<String, Input>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// What "recovered" means: all of these hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steady_state: Vec<SteadyCheck>,
    #[schemars(length(min = 1, max = 200))]
    pub steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnEnd,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_cancel: OnEnd,
    /// Steps that always run, also after a failure, an undo or a cancel; never destructive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
}

/// The schema of a condition: an expression, or plainly true or false.
#[derive(Debug)]
enum Condition {}

impl JsonSchema for Condition {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Condition".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "boolean"], "description": "An expression." })
    }
}

/// The schema of what `for_each` goes over.
#[derive(Debug)]
enum ItemsSource {}

impl JsonSchema for ItemsSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ItemsSource".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["array", "string"],
            "description": "A list, or `${{ }}` with an expression that gives one."
        })
    }
}

/// Reads a condition: YAML makes `when: false` a boolean, and it means the same as the expression.
fn condition<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::String(text) => Ok(Some(text)),
        _ => Err(serde::de::Error::custom("expected an expression")),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    #[serde(rename = "runbook/v1")]
    V1,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Recovery time objective: what "fast enough" means for this runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How many changes one run may make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_mutations: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    pub after: Duration,
    pub to: Vec<String>,
}

/// What a run needs to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    #[serde(rename = "type")]
    pub kind: InputType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Without one, the input must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    #[serde(default, rename = "enum", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    #[serde(default, rename = "minLength", skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u32>,
    #[serde(default, rename = "maxLength", skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    #[serde(default, rename = "maxItems", skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
}

/// Which alerts start this runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    pub source: Source,
    /// An expression over `alert`.
    #[serde(default, deserialize_with = "condition", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Condition>")]
    pub when: Option<String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, Value>,
    /// Inputs that make a group: one active run per group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once_within: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<MaxRuns>,
    /// Wait this long first; nothing starts if the alert resolves meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Alertmanager,
    Grafana,
    Pagerduty,
    Cloudwatch,
    Datadog,
    Generic,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxRuns {
    pub count: u32,
    pub within: Duration,
}

/// One part of the steady state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SteadyCheck {
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The reading action.
    pub check: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "Option<IndexMap<String, Value>>")]
    pub with: Value,
    pub expect: String,
}

/// One step: an `id` and exactly one of `check`, `action`, `approval`, `manual`, `wait`,
/// `options`, `run`. (`approval` beside another kind guards that step.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,

    /// Reads only: `provider.action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// May change the world: `provider.action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// A person does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<Manual>,
    /// A duration, `steady_state`, or an expression over what arrives from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// A ladder of mitigations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub options: Option<Vec<Step>>,
    /// Another runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Who must say yes: a gate of its own, or the guard of an action, an option or a ladder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,

    /// Ids of the steps that must have settled; without it, the step before. `[]` starts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<String>>,
    /// An expression: the step is skipped where it does not hold.
    #[serde(default, deserialize_with = "condition", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Condition>")]
    pub when: Option<String>,
    /// The input of the action or of the other runbook.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "Option<IndexMap<String, Value>>")]
    pub with: Value,
    /// A list, or an expression that gives one: the step runs for every `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ItemsSource>")]
    pub for_each: Option<Value>,
    /// How many items run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_parallel: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoChoice>,
    /// A runbook may only raise what the action says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// How long it is expected to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Duration>,

    /// Checks: an expression over the outputs that makes the check pass.
    #[serde(default, deserialize_with = "condition", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Condition>")]
    pub expect: Option<String>,
    /// Checks: a check that does not pass fails the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Checks: polled until this expression holds. Options: `steady_state` or an expression.
    #[serde(default, deserialize_with = "condition", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Condition>")]
    pub until: Option<String>,
    /// How often to look again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// How long it must hold without a break.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Duration>,

    /// Options: how long each may take to show its effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Duration>,
    /// Options: who picks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choose: Option<Choose>,
    /// Options: what happens when none helped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<OnFailure>,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind<'a> {
    Check(&'a str),
    Action(&'a str),
    Approval(&'a Approval),
    Manual(&'a Manual),
    Wait(&'a str),
    Options(&'a [Step]),
    Run(&'a str),
}

impl Kind<'_> {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Action(_) => "action",
            Self::Approval(_) => "approval",
            Self::Manual(_) => "manual",
            Self::Wait(_) => "wait",
            Self::Options(_) => "options",
            Self::Run(_) => "run",
        }
    }
}

impl Step {
    /// The one kind of this step; `None` where none or several are named, which the checker
    /// refuses.
    pub fn kind(&self) -> Option<Kind<'_>> {
        let kinds = [
            self.check.as_deref().map(Kind::Check),
            self.action.as_deref().map(Kind::Action),
            self.manual.as_ref().map(Kind::Manual),
            self.wait.as_deref().map(Kind::Wait),
            self.options.as_deref().map(Kind::Options),
            self.run.as_deref().map(Kind::Run),
        ];
        let mut named = kinds.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(kind), None) => Some(kind),
            (None, _) => self.approval.as_ref().map(Kind::Approval),
            (Some(_), Some(_)) => None,
        }
    }
    /// What people call it.
    pub fn label(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.id)
    }
}

/// Who must say yes, and how long that stands open.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The question; may hold `${{ }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Groups or people, any of whom may approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// How many distinct people; 1 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// A time-out means no, unless the question goes on to others first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate_to: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    Reject,
    Escalate,
}

/// Something that a person does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manual {
    /// What to do; may hold `${{ }}`.
    pub prompt: String,
    /// What the person fills in; the values become outputs.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(extend("propertyNames" = { "pattern": "^[a-zA-Z_][a-zA-Z0-9_]{0,62}$" }))]
    pub form: IndexMap<String, Input>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How many times more after the first try.
    #[schemars(range(min = 0, max = 20))]
    pub limit: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub factor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Duration>,
    /// The share of each wait that is random, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: Option<f64>,
}

/// What the whole run does when a step failed, or when it is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnEnd {
    #[default]
    Stop,
    Undo,
}

/// What the failure of one step means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    Stop,
    Continue,
    Undo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    Low,
    Medium,
    High,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// In the order they are written.
    Order,
    /// A person picks.
    Operator,
}

/// `auto`, `never`, or an action of one's own.
#[derive(Debug, Clone, PartialEq)]
pub enum UndoChoice {
    Auto,
    Never,
    Action(UndoAction),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoAction {
    pub action: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "Option<IndexMap<String, Value>>")]
    pub with: Value,
}

impl Serialize for UndoChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Never => serializer.serialize_str("never"),
            Self::Action(action) => action.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for UndoChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "auto" => Ok(Self::Auto),
            Value::String(word) if word == "never" => Ok(Self::Never),
            object @ Value::Object(_) => {
                serde_json::from_value(object).map(Self::Action).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom("expected `auto`, `never`, or `{ action, with }`")),
        }
    }
}

impl JsonSchema for UndoChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UndoChoice".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let action = generator.subschema_for::<UndoAction>();
        schemars::json_schema!({
            "description": "auto: from the image recorded before; never; or an action of one's own.",
            "anyOf": [{ "enum": ["auto", "never"] }, action]
        })
    }
}
