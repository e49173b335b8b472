//! Actions: that they exist, that `with` fits, that what is grave is asked about.

use serde_json::Value;

use super::{
    Checker, Floor,
    index::Indexed,
    scope::{Scope, did_you_mean},
};
use crate::{
    expression,
    finding::Code,
    parse::tree::{Content, Node},
    runbook::{Approval, OnEnd, OnFailure, UndoAction, UndoChoice},
    schema::validate,
    spec::{ActionSpec, Effect, UndoSupport},
    unknown,
};

impl<'a> Checker<'a> {
    pub(super) fn check_action(&mut self, here: &Indexed<'a>, scope: &Scope<'a>) {
        let is_check = here.step.check.is_some();
        let key = if is_check { "check" } else { "action" };
        let Some(name) = here.node.get(key) else { return };
        let inside = scope.clone().with_secrets();
        let spec = self.use_action(name, here.node, &inside);
        self.check_undo(here, spec, &inside);
        let Some(spec) = spec else { return };
        if is_check {
            self.must_read(spec, name);
        } else {
            self.check_effect(spec, here);
        }
    }

    pub(super) fn check_steady_state(&mut self) {
        let nodes: &'a [Node] = self.tree.get("steady_state").map(Node::items).unwrap_or_default();
        let mut seen: Vec<&str> = Vec::new();
        for (check, node) in self.runbook.steady_state.iter().zip(nodes) {
            if seen.contains(&check.id.as_str()) {
                let message = format!("the id `{}` is taken", check.id);
                self.say(Code::DuplicateId, node.value_span("id"), message).hint =
                    Some("another check of the steady state has it".to_owned());
            }
            seen.push(&check.id);
            let Some(name) = node.get("check") else { continue };
            let spec = self.use_action(name, node, &Scope::run().with_secrets());
            if let Some(spec) = spec {
                self.must_read(spec, name);
                if let Some(expect) = node.get("expect") {
                    self.check_verdict(expect, &Scope::run().with_outputs(Some(spec)));
                }
            }
        }
    }

    /// Checks the name of an action and its `with`.
    fn use_action(&mut self, name: &'a Node, holder: &'a Node, scope: &Scope<'a>) -> Option<&'a ActionSpec> {
        if let Some(with) = holder.get("with") {
            self.check_templates(with, scope);
        }
        let action = name.text()?;
        let Some(spec) = self.catalog.specs.get(action) else {
            let hint = self.meant_action(action);
            self.say(Code::UnknownAction, name.caret(), format!("there is no action `{action}`")).hint = hint;
            return None;
        };
        self.check_input(&spec.input, name, holder.get("with"), action);
        self.check_secret_fields(spec, holder.get("with"));
        Some(spec)
    }

    /// Fields that others can see (a program's arguments, a message) take no secrets.
    fn check_secret_fields(&mut self, spec: &ActionSpec, with: Option<&Node>) {
        for entry in with.map(Node::entries).unwrap_or_default() {
            let refuses = spec.input["properties"][&entry.key]["x-no-secrets"] == true;
            if refuses && uses_secret(&entry.value) {
                let message =
                    format!("`{}` of `{}` can be seen by others, and takes no secret", entry.key, spec.name);
                self.say(Code::SecretMisused, entry.value.caret(), message).hint =
                    Some("hand it over in a field that is not shown; see `runbook actions`".to_owned());
            }
        }
    }

    fn meant_action(&self, action: &str) -> Option<String> {
        let known = || self.catalog.specs.keys().map(String::as_str);
        let (provider, last) = action.split_once('.').unwrap_or(("", action));
        let siblings: Vec<&str> = known()
            .filter(|name| name.split_once('.').is_some_and(|(prefix, _)| prefix == provider))
            .collect();
        if !siblings.is_empty() {
            return did_you_mean(action, siblings);
        }
        let same_last = known().find(|name| name.split_once('.').is_some_and(|(_, suffix)| suffix == last));
        match same_last {
            Some(name) => Some(format!("did you mean `{name}`?")),
            None => did_you_mean(action, known()).map(|hint| format!("{hint}; `runbook actions` lists all")),
        }
    }

    /// `with` against a schema; what is missing is reported at the name of what needs it.
    pub(super) fn check_input(&mut self, schema: &Value, name: &Node, with: Option<&Node>, whose: &str) {
        let empty = Node { id: 0, span: name.span.clone(), content: Content::Map(Vec::new()) };
        let node = with.unwrap_or(&empty);
        let problems = validate::validate(schema, node, "with", Some(&|text| self.filled(text))).problems;
        for problem in problems {
            let is_missing = problem.kind == validate::ProblemKind::MissingKey;
            let at =
                if is_missing && problem.message.starts_with("`with`") { name.caret() } else { problem.span };
            let message = problem.message.replacen("`with`", &format!("the input of `{whose}`"), 1);
            self.say(problem.kind.input_code(), at, message).hint = problem.hint;
        }
    }

    fn must_read(&mut self, spec: &ActionSpec, name: &Node) {
        if spec.effect > Effect::Read {
            let message = format!("`{}` changes something, and a check only reads", spec.name);
            self.say(Code::CheckWrites, name.caret(), message).hint =
                Some("use it with `action:`".to_owned());
        }
    }

    fn check_effect(&mut self, spec: &ActionSpec, here: &Indexed<'a>) {
        let derived = derived_effect(spec, here.node.get("with"));
        if let Some(stated) = here.step.effect.filter(|stated| *stated < derived) {
            let message = format!("`{}` is {derived} here, and cannot be called {stated}", spec.name);
            self.say(Code::EffectLowered, here.node.value_span("effect"), message).hint =
                Some("`effect` may only raise what the action says of itself".to_owned());
        }
        let effect = derived.max(here.step.effect.unwrap_or(Effect::Read));
        let name = here.node.value_span("action");
        if effect == Effect::Destructive && Self::is_final(here) {
            let message = format!("`{}` is destructive, and `finally` always runs", spec.name);
            self.say(Code::DestructiveFinally, name, message).hint =
                Some("move it among the steps, where somebody is asked".to_owned());
            return;
        }
        let own = here.step.approval.as_ref().map(|approval| (approval, here.node.get("approval")));
        let of_ladder =
            here.ladder.and_then(|ladder| ladder.approval.as_ref()).map(|approval| (approval, None));
        match own.or(of_ladder) {
            None if effect == Effect::Destructive => {
                let message = format!("`{}` is destructive, and nobody is asked", spec.name);
                self.say(Code::MissingApproval, name, message).hint =
                    Some(self.approval_to_add(spec, effect));
            }
            None => {}
            Some((approval, node)) => {
                let at = node.map_or_else(|| name.clone(), Node::caret);
                self.check_floors(spec, effect, approval, at);
            }
        }
    }

    fn floors(&self, spec: &ActionSpec, effect: Effect) -> Vec<&'a Floor> {
        let applies = |floor: &&Floor| {
            effect >= floor.effect && floor.action.as_ref().is_none_or(|action| *action == spec.name)
        };
        self.catalog.floors.iter().filter(applies).collect()
    }

    fn approval_to_add(&self, spec: &ActionSpec, effect: Effect) -> String {
        let floors = self.floors(spec, effect);
        let count = floors.iter().map(|floor| floor.count).max().unwrap_or(1);
        let from = floors.iter().find(|floor| !floor.from.is_empty()).map(|floor| floor.from.join(", "));
        let from = from.unwrap_or_else(|| "…".to_owned());
        if count > 1 {
            format!("add `approval: {{ from: [{from}], count: {count} }}`")
        } else {
            format!("add `approval: {{ from: [{from}] }}`")
        }
    }

    fn check_floors(
        &mut self,
        spec: &ActionSpec,
        effect: Effect,
        approval: &Approval,
        at: std::ops::Range<usize>,
    ) {
        for floor in self.floors(spec, effect) {
            let count = approval.count.unwrap_or(1);
            if count < floor.count {
                let message =
                    format!("the policy asks {} people for `{}`, this asks {count}", floor.count, spec.name);
                self.say(Code::WeakApproval, at.clone(), message).hint =
                    Some(format!("add `count: {}`", floor.count));
            }
            let others = approval.from.iter().filter(|name| !self.is_among(name, &floor.from));
            let others: Vec<&str> = others.map(String::as_str).collect();
            if floor.from.is_empty() || (others.is_empty() && !approval.from.is_empty()) {
                continue;
            }
            let asked = if approval.from.is_empty() { "anyone".to_owned() } else { others.join(", ") };
            let message = format!("the policy does not let {asked} approve `{}`", spec.name);
            self.say(Code::WeakApproval, at.clone(), message).hint =
                Some(format!("ask {}", floor.from.join(" or ")));
        }
    }

    /// Whether a group or person is one of `allowed`, or in one of those groups.
    fn is_among(&self, name: &String, allowed: &[String]) -> bool {
        let groups = self.catalog.groups.as_ref();
        let members = |group: &String| groups.and_then(|groups| groups.get(group)).into_iter().flatten();
        allowed.iter().any(|one| one == name || members(one).any(|member| member == name))
    }

    fn check_undo(&mut self, here: &Indexed<'a>, spec: Option<&'a ActionSpec>, scope: &Scope<'a>) {
        let node = here.node.get("undo");
        if here.step.action.is_none() {
            return;
        }
        match (&here.step.undo, node, spec.map(|spec| &spec.undo)) {
            (Some(UndoChoice::Action(undo)), Some(node), _) => self.check_undo_action(undo, node, scope),
            (Some(UndoChoice::Auto), Some(node), Some(UndoSupport::None(why))) => {
                self.say(Code::UndoMisused, node.caret(), format!("this cannot be undone: {why}")).hint =
                    Some("write `undo: never`, or name an action that undoes it".to_owned());
            }
            (None, _, Some(UndoSupport::None(why))) if self.wants_undo(here) => {
                let message = format!("a failure is to undo this, and it cannot be undone: {why}");
                self.say(Code::CannotUndo, here.node.value_span("action"), message).hint = Some(
                    "say `undo: never` where that is known, or name an action that undoes it".to_owned(),
                );
            }
            _ => {}
        }
    }

    fn wants_undo(&self, here: &Indexed<'a>) -> bool {
        let of_run = self.runbook.on_failure == OnEnd::Undo && !Self::is_final(here);
        of_run || here.step.on_failure == Some(OnFailure::Undo)
    }

    fn check_undo_action(&mut self, undo: &UndoAction, node: &'a Node, scope: &Scope<'a>) {
        let Some(name) = node.get("action") else { return };
        // What is undone has run: its own outputs are known.
        let Some(spec) = self.use_action(name, node, &scope.clone().after()) else { return };
        if spec.effect == Effect::Read {
            let message = format!("`{}` only reads, and undoes nothing", undo.action);
            self.say(Code::UndoMisused, name.caret(), message);
        }
    }
}

/// What this use of an action does to the world, as far as its input is written out.
pub fn derived_effect(spec: &ActionSpec, with: Option<&Node>) -> Effect {
    with.map_or_else(|| effect_of(spec, &Value::Null), |with| effect_of(spec, &with.to_json()))
}

/// The same for a `with` that has been read.
pub fn effect_of(spec: &ActionSpec, with: &Value) -> Effect {
    let Some(condition) = &spec.destructive_when else { return spec.effect };
    let input = if with.is_null() { Value::Object(serde_json::Map::new()) } else { literal(with) };
    match expression::holds(condition, &input) {
        Ok(Some(true)) => Effect::Destructive,
        // Not known before the run: the engine looks again, with the input filled in.
        _ => spec.effect,
    }
}

/// Whether a value has a secret filled in.
fn uses_secret(node: &Node) -> bool {
    let in_text = node.text().is_some_and(|text| {
        let paths = expression::references_in_template(text).unwrap_or_default();
        paths.iter().any(|path| path.first().is_some_and(|name| name == "secrets"))
    });
    in_text
        || node.items().iter().any(uses_secret)
        || node.entries().iter().any(|entry| uses_secret(&entry.value))
}

/// A value in which everything that is filled in later is unknown.
fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("${{") => unknown::because("filled in when it runs"),
        Value::Array(items) => items.iter().map(literal).collect(),
        Value::Object(fields) => fields.iter().map(|(key, item)| (key.clone(), literal(item))).collect(),
        other => other.clone(),
    }
}
