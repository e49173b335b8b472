//! Names in expressions: every one must exist where the expression stands.

use std::ops::Range;

use serde_json::Value;

use super::{
    Checker,
    index::{Indexed, has_verdict},
    scope::{Scope, Wrong, did_you_mean, has_output, is_root, wrong_output},
};
use crate::{
    expression::{self, ExpressionError, Part, Reference},
    finding::Code,
    inputs,
    parse::tree::{Content, Node},
    runbook::{InputType, Kind},
    schema::{shape, validate::Filled},
    spec::ActionSpec,
    suggest,
};

/// What `run` holds.
pub const RUN_FIELDS: [&str; 11] = [
    "dry_run",
    "environment",
    "id",
    "name",
    "now",
    "reason",
    "recovered",
    "requested_by",
    "simulated",
    "started_at",
    "status",
];
/// What a step holds.
const STEP_FIELDS: [&str; 4] = ["error", "outputs", "passed", "status"];
/// What a run of another runbook gives.
const RUN_OUTPUTS: [&str; 2] = ["recovered", "status"];

/// An expression in a node: all of its text, or what stands between `${{` and `}}`.
struct Written<'a> {
    node: &'a Node,
    /// Where the expression starts in the node's text.
    from: usize,
}

impl<'a> Checker<'a> {
    /// A bare expression: `when`, `expect`, `until`. Gives its value where it can have only one.
    pub(super) fn check_condition(&mut self, node: &'a Node, scope: &Scope<'a>) -> Option<bool> {
        let source = match &node.content {
            Content::Bool(flag) => return Some(*flag),
            Content::Text(source) => source,
            _ => return None,
        };
        let references = self.check_expression(source, &Written { node, from: 0 }, scope)?;
        if !references.is_empty() {
            return None;
        }
        match expression::holds(source, &Value::Null) {
            Ok(constant) => constant,
            Err(error) => {
                let span = self.place(node, error.span.clone().unwrap_or(0..source.len()));
                self.say(Code::ExpressionSyntax, span, error.message).hint = error.hint;
                None
            }
        }
    }

    /// A condition that decides something at each look, and so must be able to change.
    pub(super) fn check_verdict(&mut self, node: &'a Node, scope: &Scope<'a>) {
        if let Some(constant) = self.check_condition(node, scope) {
            let message = if constant { "this is always true" } else { "this is never true" };
            self.say(Code::ConstantCondition, node.caret(), message).hint =
                Some("compare something that can change".to_owned());
        }
    }

    /// Every text with `${{ }}` in a value.
    pub(super) fn check_templates(&mut self, node: &'a Node, scope: &Scope<'a>) {
        match &node.content {
            Content::Text(text) => self.check_template(text, node, scope),
            Content::List(items) => items.iter().for_each(|item| self.check_templates(item, scope)),
            Content::Map(entries) => {
                entries.iter().for_each(|entry| self.check_templates(&entry.value, scope))
            }
            Content::Null | Content::Bool(_) | Content::Number(_) => {}
        }
    }

    fn check_template(&mut self, text: &str, node: &'a Node, scope: &Scope<'a>) {
        match expression::parts(text) {
            Ok(parts) => {
                for part in parts {
                    if let Part::Expression(source, at) = part {
                        self.check_expression(source, &Written { node, from: at.start }, scope);
                    }
                }
            }
            Err(error) => {
                let span = self.place(node, error.span.unwrap_or(0..0));
                self.say(Code::ExpressionSyntax, span, error.message).hint = error.hint;
            }
        }
    }

    /// Gives the references, where the expression can be read at all.
    fn check_expression(
        &mut self,
        source: &str,
        written: &Written<'a>,
        scope: &Scope<'a>,
    ) -> Option<Vec<Reference>> {
        match expression::located_references(source) {
            Ok(references) => {
                let mut torn = false;
                for reference in &references {
                    // `steps.roll-back` reads as a difference; one finding says so.
                    torn = !torn && self.check_reference(reference, written, scope);
                    self.check_presence(reference, &references, written, scope);
                }
                Some(references)
            }
            Err(ExpressionError { message, span, hint, .. }) => {
                let span = span.unwrap_or(0..source.len());
                let span = self.place(written.node, written.from + span.start..written.from + span.end);
                self.say(Code::ExpressionSyntax, span, message).hint = hint;
                None
            }
        }
    }

    /// Whether the name was torn at a dash, so that the next one is its rest.
    fn check_reference(&mut self, reference: &Reference, written: &Written<'a>, scope: &Scope<'a>) -> bool {
        let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
        let wrong = match path.as_slice() {
            [] => None,
            [name, rest @ ..] if scope.outputs.is_some_and(|spec| has_output(spec, name)) => {
                scope.outputs.and_then(|spec| wrong_output(spec, name, rest))
            }
            ["inputs", rest @ ..] if scope.in_run => self.wrong_input(rest).map(|wrong| wrong.deeper(1)),
            ["steps", rest @ ..] if scope.in_run => {
                self.wrong_step(rest, reference, scope).map(|wrong| wrong.deeper(1))
            }
            ["run", field, ..] if scope.in_run => wrong_run_field(field).map(|wrong| wrong.deeper(1)),
            ["run" | "now" | "incident", ..] if scope.in_run => None,
            ["alert", ..] => None,
            ["item", ..] if scope.item => None,
            ["secrets", rest @ ..] => self.wrong_secret(rest, reference, scope).map(|wrong| wrong.deeper(1)),
            [name, ..] if scope.anything && !is_root(name) => None,
            [name, ..] => Some(unknown_root(name, scope)),
        };
        let Some(Wrong { depth, code, message, hint, is_torn }) = wrong else { return false };
        let at = reference.spans.get(depth).cloned().unwrap_or_else(|| reference.span());
        let span = self.place(written.node, written.from + at.start..written.from + at.end);
        self.say(code, span, message).hint = hint;
        is_torn
    }

    /// That an output is there, or that something is said for the case that it is not.
    fn check_presence(
        &mut self,
        reference: &Reference,
        all: &[Reference],
        written: &Written<'a>,
        scope: &Scope<'a>,
    ) {
        let [root, id, outputs, name, ..] = reference.path.as_slice() else { return };
        let (Some(here), Some(indexed)) = (scope.here, self.index.find(id)) else { return };
        if root != "steps" || outputs != "outputs" || reference.guarded || !may_be_skipped(&indexed, &here) {
            return;
        }
        let asks = |path: &[String]| path.iter().take(2).eq([root, id]) && path.get(2) != Some(outputs);
        let when =
            here.step.when.as_deref().map(expression::references).and_then(Result::ok).unwrap_or_default();
        let known = self.outputs_of(&indexed).is_none_or(|outputs| outputs.contains(name));
        if !known || all.iter().any(|other| asks(&other.path)) || when.iter().any(|path| asks(path)) {
            return;
        }
        let at = reference.span();
        let span = self.place(written.node, written.from + at.start..written.from + at.end);
        self.say(Code::MayNotHaveRun, span, format!("`{id}` may not have run by then")).hint = Some(format!(
            "say what holds then: `{}.outputs.{name}|default(…)`, or ask for its `status` first",
            spelled(id)
        ));
    }

    fn wrong_input(&self, rest: &[&str]) -> Option<Wrong> {
        let (name, deeper) = rest.split_first()?;
        let known = || self.runbook.inputs.keys().map(String::as_str);
        let Some(input) = self.runbook.inputs.get(*name) else {
            if self.was_left_out(&["inputs", name]) {
                return None;
            }
            let message = format!("there is no input `{name}`");
            let hint = did_you_mean(name, known()).unwrap_or_else(|| "the runbook declares none".to_owned());
            return Some(Wrong::new(Code::UnknownName, message, Some(hint)));
        };
        match deeper.first() {
            Some(field) if !matches!(input.kind, InputType::Object | InputType::Array) => {
                let message =
                    format!("`inputs.{name}` is {}, it has no `{field}`", inputs::article(input.kind));
                Some(Wrong::new(Code::UnknownName, message, None).deeper(1))
            }
            _ => None,
        }
    }

    fn wrong_step(&self, rest: &[&str], reference: &Reference, scope: &Scope<'a>) -> Option<Wrong> {
        let (id, rest) = rest.split_first()?;
        let Some(indexed) = self.index.find(id) else {
            let message = format!("there is no step `{id}`");
            let dashed = self.index.ids().find(|known| known.starts_with(&format!("{id}-")));
            if let Some(known) = dashed.filter(|_| reference.dashed) {
                let hint = format!("a name with a dash is written `{}`", spelled(known));
                return Some(Wrong { is_torn: true, ..Wrong::new(Code::UnknownName, message, Some(hint)) });
            }
            return Some(Wrong::new(Code::UnknownName, message, did_you_mean(id, self.index.ids())));
        };
        if !self.has_settled(&indexed, scope) {
            return Some(self.not_upstream(id, &indexed, scope));
        }
        let (field, rest) = rest.split_first()?;
        match *field {
            "outputs" => self.wrong_step_output(&indexed, rest),
            "passed" if !has_verdict(indexed.step) => {
                let message = format!("`{id}` neither passes nor fails: {}", why_no_verdict(&indexed));
                Some(
                    Wrong::new(Code::NoVerdict, message, Some("`status` says how a step ended".to_owned()))
                        .deeper(1),
                )
            }
            field if STEP_FIELDS.contains(&field) => None,
            field => {
                let message = format!("a step has no `{field}`");
                let is_output =
                    self.outputs_of(&indexed).is_some_and(|outputs| outputs.iter().any(|o| o == field));
                let hint = if is_output {
                    Some(format!("write `{}.outputs.{field}`", spelled(id)))
                } else {
                    did_you_mean(field, STEP_FIELDS)
                };
                Some(Wrong::new(Code::UnknownName, message, hint).deeper(1))
            }
        }
    }

    fn has_settled(&self, indexed: &Indexed<'a>, scope: &Scope<'a>) -> bool {
        let Some(here) = &scope.here else { return false };
        let is_own = indexed.id() == here.id() && indexed.part == here.part;
        let is_of_an_item = indexed.ladder.is_some_and(|ladder| ladder.for_each.is_some());
        if is_of_an_item && indexed.position != here.position {
            return false;
        }
        let is_own_option = !here.is_option() && indexed.is_option() && indexed.position == here.position;
        (scope.after && indexed.part == here.part && (is_own || is_own_option))
            || self.index.is_before(indexed, here)
    }

    fn not_upstream(&self, id: &str, indexed: &Indexed<'a>, scope: &Scope<'a>) -> Wrong {
        let (message, hint) = if scope.here.is_some_and(|here| here.id() == id) {
            (
                "a step cannot refer to itself".to_owned(),
                "its outputs are plain names in `expect` and `until`",
            )
        } else if scope.here.is_none() {
            (format!("`{id}` may not have run when this is looked at"), "the steady state stands by itself")
        } else if indexed.ladder.is_some() {
            (format!("the option `{id}` need not have been tried by then"), "let this step need the ladder")
        } else {
            (format!("`{id}` need not have settled by then"), "add it to `needs`")
        };
        Wrong::new(Code::NotUpstream, message, Some(hint.to_owned()))
    }

    fn wrong_step_output(&self, indexed: &Indexed<'a>, rest: &[&str]) -> Option<Wrong> {
        let (name, deeper) = rest.split_first()?;
        let outputs = self.outputs_of(indexed)?;
        if !outputs.iter().any(|output| output == name) {
            let kind = indexed.step.kind().map_or("step", |kind| kind.name());
            let message = match indexed.step.kind() {
                _ if indexed.step.for_each.is_some() => {
                    format!("`{}` runs for each item: its outputs are `items`, not `{name}`", indexed.id())
                }
                Some(Kind::Check(action) | Kind::Action(action)) => {
                    format!("`{action}` has no output `{name}`")
                }
                _ if outputs.is_empty() => {
                    format!("`{}` has no outputs, as its kind is `{kind}`", indexed.id())
                }
                _ => format!("`{}` has no output `{name}`", indexed.id()),
            };
            let hint = did_you_mean(name, outputs.iter().map(String::as_str));
            return Some(Wrong::new(Code::UnknownOutput, message, hint).deeper(2));
        }
        let spec = self.spec_of(indexed)?;
        if indexed.step.for_each.is_some() {
            return None;
        }
        wrong_output(spec, name, deeper).map(|wrong| wrong.deeper(2))
    }

    /// The names of a step's outputs; `None` where they cannot be known.
    fn outputs_of(&self, indexed: &Indexed<'a>) -> Option<Vec<String>> {
        let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        if indexed.step.for_each.is_some() {
            return named(&["items"]);
        }
        match indexed.step.kind()? {
            Kind::Check(_) | Kind::Action(_) => {
                let spec = self.spec_of(indexed)?;
                (!spec.has_open_outputs()).then(|| spec.outputs().map(str::to_owned).collect())
            }
            Kind::Manual(manual) => Some(manual.form.keys().cloned().collect()),
            Kind::Options(_) => named(&["chosen"]),
            Kind::Run(_) => named(&RUN_OUTPUTS),
            Kind::Approval(_) | Kind::Wait(_) => named(&[]),
        }
    }

    fn spec_of(&self, indexed: &Indexed<'a>) -> Option<&'a ActionSpec> {
        let name = indexed.step.check.as_ref().or(indexed.step.action.as_ref())?;
        self.catalog.specs.get(name)
    }

    fn wrong_secret(&self, rest: &[&str], reference: &Reference, scope: &Scope<'a>) -> Option<Wrong> {
        if !scope.secrets {
            let message = "secrets can only be used in `with`".to_owned();
            return Some(Wrong::new(Code::SecretMisused, message, None));
        }
        let [name] = rest else {
            let message = "a secret is used by its name".to_owned();
            return Some(Wrong::new(Code::SecretMisused, message, Some("write `secrets.NAME`".to_owned())));
        };
        if !self.runbook.secrets.iter().any(|declared| declared == name) {
            let declared = self.runbook.secrets.iter().map(String::as_str);
            let hint = suggest::closest(name, declared).map(|meant| format!("did you mean `{meant}`?"));
            let message = format!("the secret `{name}` is not declared");
            let add = format!("add it at the top: `secrets: [{name}]`");
            return Some(Wrong::new(Code::UndeclaredSecret, message, hint.or(Some(add))));
        }
        reference.applied.then(|| {
            let message = "a secret is put in as it is; nothing can be done with it first".to_owned();
            Wrong::new(Code::SecretMisused, message, None)
        })
    }

    /// What a text with `${{ }}` comes to, as far as it is declared.
    pub(super) fn filled(&self, text: &str) -> Option<Filled> {
        if !text.contains("${{") {
            return None;
        }
        let Ok(parts) = expression::parts(text) else { return Some(Filled::Anything) };
        let [Part::Expression(source, _)] = parts.as_slice() else { return Some(Filled::Type("string")) };
        let Some(path) = expression::plain_path(source) else { return Some(Filled::Anything) };
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let declared = match parts.as_slice() {
            ["inputs", name] => self.runbook.inputs.get(*name).map(|input| inputs::type_name(input.kind)),
            ["secrets", _] => Some("string"),
            ["steps", id, "outputs", name] => self.type_of_output(id, name),
            ["steps", _, "passed"] => Some("boolean"),
            _ => None,
        };
        Some(declared.map_or(Filled::Anything, Filled::Type))
    }

    fn type_of_output(&self, id: &str, name: &str) -> Option<&'static str> {
        let indexed = self.index.find(id)?;
        if indexed.step.for_each.is_some() {
            return None;
        }
        if let Some(Kind::Manual(manual)) = indexed.step.kind() {
            return manual.form.get(name).map(|field| inputs::type_name(field.kind));
        }
        let output = &self.spec_of(&indexed)?.output;
        let types = shape::types(output.get("properties")?.get(name)?, output)?;
        let mut types = types.into_iter();
        types.next().filter(|_| types.next().is_none())
    }

    /// The place in the file of a range of a node's text.
    pub(super) fn place(&self, node: &Node, range: Range<usize>) -> Range<usize> {
        let raw = self.document.text.get(node.span.clone()).unwrap_or_default();
        let value = node.text().unwrap_or_default();
        let wanted = value.get(range.clone()).unwrap_or_default();
        if wanted.is_empty() {
            return node.caret();
        }
        if let Some(at) = raw.find(value) {
            let start = node.span.start + at;
            return start + range.start..start + range.end;
        }
        // Quoting or folding changed the text: the same occurrence of the same words.
        let nth = value.get(..range.start).unwrap_or_default().matches(wanted).count();
        match raw.match_indices(wanted).nth(nth) {
            Some((at, _)) => node.span.start + at..node.span.start + at + wanted.len(),
            None => node.caret(),
        }
    }

    /// Whether something at a path was in the file and left out of the draft: it has its finding.
    pub(super) fn was_left_out(&self, path: &[&str]) -> bool {
        let find = |root: &'a Node| path.iter().try_fold(root, |node, key| node.get(key));
        self.whole.and_then(find).is_some() && find(self.tree).is_none()
    }
}

fn unknown_root(name: &str, scope: &Scope<'_>) -> Wrong {
    let roots = scope.roots();
    let hint = did_you_mean(name, roots);
    match (scope.outputs, name) {
        (_, "item") => {
            let message = "there is no `item` here".to_owned();
            let hint =
                "`item` is known inside `with`, `expect`, `until` and prompts of a step with `for_each`";
            Wrong::new(Code::UnknownName, message, Some(hint.to_owned()))
        }
        (Some(spec), _) => {
            Wrong::new(Code::UnknownOutput, format!("`{}` has no output `{name}`", spec.name), hint)
        }
        (None, _) => Wrong::new(Code::UnknownName, format!("there is no name `{name}` here"), hint),
    }
}

fn wrong_run_field(field: &str) -> Option<Wrong> {
    if RUN_FIELDS.contains(&field) {
        return None;
    }
    Some(Wrong::new(Code::UnknownName, format!("a run has no `{field}`"), did_you_mean(field, RUN_FIELDS)))
}

/// Whether a step need not have run when `here` starts, although nothing failed on the way, or
/// although the run comes to its last steps early.
fn may_be_skipped(indexed: &Indexed<'_>, here: &Indexed<'_>) -> bool {
    let ends_early = here.part != indexed.part;
    ends_early || indexed.is_option() || indexed.step.when.is_some()
}

fn why_no_verdict(indexed: &Indexed<'_>) -> &'static str {
    match indexed.step.kind() {
        Some(Kind::Check(_)) => "it has neither `expect` nor `until`",
        _ => "only checks do",
    }
}

/// A step in an expression.
fn spelled(id: &str) -> String {
    if id.contains('-') || id.starts_with(|c: char| c.is_ascii_digit()) {
        format!("steps['{id}']")
    } else {
        format!("steps.{id}")
    }
}
