//! Forms: what they hold of every page, fields by the type of an input, and reading what was sent.

use std::collections::BTreeMap;

use axum::{
    Form,
    extract::{FromRequest, Request},
};
use indexmap::IndexMap;
use maud::{Markup, html};
use runbook_core::{
    Value, inputs,
    runbook::{Input, InputType},
};
use runbook_identity::sessions;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Map;

use crate::{gate::Caller, problem::Problem};

/// The most fields that are read of a form.
const MOST: usize = 500;

/// What tells our own forms from those of other sites.
pub fn csrf(caller: &Caller) -> Markup {
    html! {
        @if let Some(csrf) = &caller.csrf { input type="hidden" name="csrf" value=(own_text(csrf).expose_secret()); }
    }
}

/// Another text on each page; where there is no randomness, the token itself serves.
fn own_text(csrf: &SecretString) -> SecretString {
    sessions::masked(csrf).unwrap_or_else(|_| csrf.clone())
}

/// A form as it was sent.
#[derive(Debug, Clone, Default)]
pub struct Sent(BTreeMap<String, String>);

impl Sent {
    /// What was filled in; nothing where it is blank.
    pub fn text(&self, name: &str) -> Option<String> {
        let text = self.0.get(name)?.replace("\r\n", "\n");
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// What has to be there.
    pub fn needed(&self, name: &str) -> Result<String, Problem> {
        self.text(name).ok_or_else(|| Problem::invalid(format!("`{name}` is missing")))
    }

    /// To fill the form again.
    pub fn shown(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Of a query string.
    pub fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().take(MOST).collect())
    }
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let told = |why: axum::extract::rejection::FormRejection| Problem::unreadable(why.body_text());
        let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state).await.map_err(told)?;
        Ok(Self::of(pairs))
    }
}

/// Under which name a field of an input is sent.
pub fn field_name(input: &str) -> String {
    format!("input.{input}")
}

/// The values that a form gives to inputs; all that is wrong with them at once. A field that is left
/// empty counts as not given.
pub fn values(specs: &IndexMap<String, Input>, sent: &Sent) -> Result<Value, Problem> {
    let (mut values, mut problems) = (Map::new(), Vec::new());
    for (name, spec) in specs {
        let given = match sent.0.get(&field_name(name)) {
            Some(text) if spec.kind == InputType::String => Some(text.replace("\r\n", "\n")),
            Some(text) => Some(text.trim().to_owned()),
            None => None,
        };
        // An empty text is a text, where the runbook's own default is one.
        let is_meant = |text: &String| !text.is_empty() || spec.default == Some(Value::from(""));
        let Some(text) = given.filter(is_meant) else { continue };
        match inputs::from_text(name, spec, &text) {
            Ok(value) => drop(values.insert(name.clone(), value)),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    if problems.is_empty() { Ok(Value::Object(values)) } else { Err(Problem::invalid(problems.join("; "))) }
}

/// The fields of inputs, filled with what was sent before, else with the defaults.
pub fn fields(specs: &IndexMap<String, Input>, sent: &Sent) -> Markup {
    html! { @for (name, spec) in specs { (field(name, spec, sent)) } }
}

/// The same values once more, where nobody is to change them.
pub fn hidden(specs: &IndexMap<String, Input>, sent: &Sent) -> Markup {
    html! {
        @for name in specs.keys().map(|name| field_name(name)) {
            @if sent.has(&name) { input type="hidden" name=(name) value=(sent.shown(&name)); }
        }
    }
}

fn field(input: &str, spec: &Input, sent: &Sent) -> Markup {
    let name = field_name(input);
    let about = format!("about-{input}");
    let value = match sent.0.get(&name) {
        Some(text) => text.clone(),
        None => spec.default.as_ref().map(plain).unwrap_or_default(),
    };
    let notes = notes(spec);
    let is_needed = spec.default.is_none();
    html! {
        div.field {
            label for=(name) {
                (spec.title.as_deref().unwrap_or(input))
                @if spec.title.is_some() { " " code { (input) } }
                @if is_needed { " " span.needed { "(needed)" } }
            }
            @match (choices(spec), spec.kind) {
                (Some(choices), _) => select id=(name) name=(name) required[is_needed] aria-describedby=(about) {
                    @if is_needed { option value="" { "Choose…" } }
                    @for choice in choices { option value=(choice) selected[choice == value] { (choice) } }
                },
                (None, InputType::Integer | InputType::Number) => input type="number" id=(name) name=(name) value=(value)
                    required[is_needed] min=[spec.minimum] max=[spec.maximum] aria-describedby=(about)
                    step=(if spec.kind == InputType::Integer { "1" } else { "any" });,
                (None, InputType::Object) => textarea id=(name) name=(name) rows="4" spellcheck="false"
                    required[is_needed] aria-describedby=(about) { (value) },
                (None, InputType::Array) => input type="text" id=(name) name=(name) value=(value) spellcheck="false"
                    autocapitalize="off" required[is_needed] aria-describedby=(about);,
                (None, _) => input type="text" id=(name) name=(name) value=(value) spellcheck="false" autocapitalize="off"
                    required[is_needed] minlength=[spec.min_length] maxlength=[spec.max_length] aria-describedby=(about);,
            }
            p.quiet id=(about) { (notes) }
        }
    }
}

/// The only values that a field takes, where there are such.
fn choices(spec: &Input) -> Option<Vec<String>> {
    match (&spec.one_of, spec.kind) {
        (Some(values), _) => Some(values.iter().map(plain).collect()),
        (None, InputType::Boolean) => Some(vec!["true".to_owned(), "false".to_owned()]),
        _ => None,
    }
}

/// What a person should know to fill it in.
fn notes(spec: &Input) -> String {
    let mut notes: Vec<String> = spec.description.iter().cloned().collect();
    notes.extend(match (spec.minimum, spec.maximum) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    });
    notes.extend(spec.pattern.as_ref().map(|pattern| format!("fits {pattern}")));
    notes.extend(spec.max_length.map(|most| format!("at most {most} characters")));
    match spec.kind {
        InputType::Array => notes.push("a,b,c or a JSON list".to_owned()),
        InputType::Object => notes.push("a JSON object".to_owned()),
        _ => {}
    }
    notes.join(" · ")
}

/// A value as a person writes it into a field.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
