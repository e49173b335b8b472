//! What an expression can name in one place, and how a wrong name is told.

use serde_json::Value;

use super::index::Indexed;
use crate::{finding::Code, spec::ActionSpec, suggest};

/// The names that exist in one place.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a> {
    /// Whether there is a run: everything but triggers.
    pub in_run: bool,
    /// The step that the expression belongs to: those that settle before it can be named.
    pub here: Option<Indexed<'a>>,
    /// Whether that step itself, or the options of that ladder, have run as well.
    pub after: bool,
    pub item: bool,
    pub secrets: bool,
    /// The check whose outputs are names of their own.
    pub outputs: Option<&'a ActionSpec>,
    /// Whether there are outputs that cannot be told, so that every name may exist.
    pub anything: bool,
}

impl<'a> Scope<'a> {
    /// Before there is a run: in a trigger.
    pub fn alert() -> Self {
        Self::default()
    }
    pub fn run() -> Self {
        Self { in_run: true, ..Self::default() }
    }
    pub fn before(here: &Indexed<'a>) -> Self {
        let items = here.ladder.unwrap_or(here.step);
        Self { here: Some(*here), item: items.for_each.is_some(), ..Self::run() }
    }
    pub fn after(mut self) -> Self {
        self.after = true;
        self
    }
    /// Where the items themselves are still to be found.
    pub fn without_item(mut self) -> Self {
        self.item = false;
        self
    }
    pub fn with_secrets(mut self) -> Self {
        self.secrets = true;
        self
    }
    /// The outputs of a check; those of an unknown action can be anything.
    pub fn with_outputs(mut self, spec: Option<&'a ActionSpec>) -> Self {
        self.anything = spec.is_none();
        self.outputs = spec;
        self
    }

    /// The names that an expression can start with.
    pub fn roots(&self) -> Vec<&'a str> {
        let mut roots = vec!["alert"];
        if self.in_run {
            roots.extend(["incident", "inputs", "now", "run", "steps"]);
        }
        if self.item {
            roots.push("item");
        }
        if self.secrets {
            roots.push("secrets");
        }
        roots.extend(self.outputs.into_iter().flat_map(ActionSpec::outputs));
        roots
    }
}

/// What is wrong with a reference, and with which part of it.
pub struct Wrong {
    pub depth: usize,
    pub code: Code,
    pub message: String,
    pub hint: Option<String>,
    /// Whether a dash tore the name in two.
    pub is_torn: bool,
}

impl Wrong {
    pub fn new(code: Code, message: String, hint: Option<String>) -> Self {
        Self { depth: 0, code, message, hint, is_torn: false }
    }
    pub fn deeper(mut self, levels: usize) -> Self {
        self.depth += levels;
        self
    }
}

pub fn has_output(spec: &ActionSpec, name: &str) -> bool {
    spec.outputs().any(|output| output == name) || (spec.has_open_outputs() && !is_root(name))
}

pub fn is_root(name: &str) -> bool {
    ["alert", "incident", "inputs", "item", "now", "run", "secrets", "steps"].contains(&name)
}

/// Follows a path into the schema of an output, as far as that is closed.
pub fn wrong_output(spec: &ActionSpec, name: &str, deeper: &[&str]) -> Option<Wrong> {
    let mut schema = spec.output.get("properties")?.get(name)?;
    let mut so_far = name.to_owned();
    for (depth, part) in deeper.iter().enumerate() {
        let fields = schema.get("properties").and_then(Value::as_object);
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let is_scalar = matches!(
            schema.get("type").and_then(Value::as_str),
            Some("string" | "integer" | "number" | "boolean")
        );
        match fields.and_then(|fields| fields.get(*part)) {
            Some(next) => schema = next,
            None if is_closed || is_scalar => {
                let known = fields.into_iter().flatten().map(|(name, _)| name.as_str());
                let message = format!("`{so_far}` of `{}` has no `{part}`", spec.name);
                let wrong = Wrong::new(Code::UnknownOutput, message, did_you_mean(part, known));
                return Some(wrong.deeper(depth + 1));
            }
            None => return None,
        }
        so_far = format!("{so_far}.{part}");
    }
    None
}

/// The likely meaning of a name, else what there is.
pub fn did_you_mean<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    match suggest::closest(name, known.iter().copied()) {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known are {}", suggest::list(known))),
    }
}
