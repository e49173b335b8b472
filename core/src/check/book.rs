//! Several runbooks that belong together: their names, and who runs whom.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    Catalog, Checker,
    actions::derived_effect,
    index::{Index, Indexed},
    scope::{Scope, did_you_mean},
};
use crate::{
    finding::Code,
    inputs,
    parse::{Draft, Parsed, file_stem, tree::Node},
    runbook::{Input, Runbook},
    spec::Effect,
};

/// The runbooks by name.
pub struct Book<'a> {
    drafts: BTreeMap<&'a str, (&'a str, &'a Draft)>,
    /// Files that could not be read far enough to know what they hold.
    unread: BTreeSet<&'a str>,
}

impl<'a> Book<'a> {
    pub fn new(files: &'a [Parsed]) -> Self {
        let (mut drafts, mut unread) = (BTreeMap::new(), BTreeSet::new());
        // Where two files want a name, it belongs to the one that is called so.
        let is_misnamed = |file: &&Parsed| {
            file.draft.as_ref().is_some_and(|d| d.runbook.name != file_stem(&file.document.file))
        };
        let (others, named): (Vec<&Parsed>, Vec<&Parsed>) = files.iter().partition(is_misnamed);
        for file in named.into_iter().chain(others) {
            let path = file.document.file.as_str();
            match &file.draft {
                Some(draft) => drop(drafts.entry(draft.runbook.name.as_str()).or_insert((path, draft))),
                None => drop(unread.insert(file_stem(path))),
            }
        }
        Self { drafts, unread }
    }

    fn get(&self, name: &str) -> Option<&'a Draft> {
        self.drafts.get(name).map(|(_, draft)| *draft)
    }
    fn file(&self, name: &str) -> Option<&'a str> {
        self.drafts.get(name).map(|(file, _)| *file)
    }
    fn has(&self, name: &str) -> bool {
        self.drafts.contains_key(name) || self.unread.contains(name)
    }
    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.drafts.keys().copied()
    }

    /// The way from one runbook to another through `run`.
    fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut ways = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::from([from.to_owned()]);
        let mut next = 0;
        while let Some(way) = ways.get(next).cloned() {
            next += 1;
            if way.last().is_some_and(|last| last == to) {
                return Some(way);
            }
            let draft = way.last().and_then(|last| self.get(last));
            for name in draft.into_iter().flat_map(|draft| runs(&draft.runbook)) {
                if seen.insert(name.to_owned()) {
                    ways.push([way.as_slice(), &[name.to_owned()]].concat());
                }
            }
        }
        None
    }

    /// A destructive action that a runbook uses, itself or through others.
    fn destructive(&self, name: &str, catalog: &Catalog, seen: &mut BTreeSet<String>) -> Option<String> {
        if !seen.insert(name.to_owned()) {
            return None;
        }
        let draft = self.get(name)?;
        for here in Index::new(&draft.runbook, &draft.tree).all() {
            let spec = here.step.action.as_ref().and_then(|action| catalog.specs.get(action));
            let stated = here.step.effect.unwrap_or(Effect::Read);
            let effect = spec.map(|spec| derived_effect(spec, here.node.get("with")).max(stated));
            if effect == Some(Effect::Destructive) {
                return here.step.action.clone();
            }
        }
        runs(&draft.runbook).find_map(|name| self.destructive(name, catalog, seen))
    }
}

/// The names after `run` in a runbook.
fn runs(runbook: &Runbook) -> impl Iterator<Item = &str> {
    runbook.steps.iter().chain(&runbook.finally).filter_map(|step| step.run.as_deref())
}

impl<'a> Checker<'a> {
    pub(super) fn check_names_of_files(&mut self) {
        let name = &self.runbook.name;
        let stem = file_stem(&self.document.file);
        let at = self.tree.value_span("name");
        let was_given = self.whole.is_some_and(|whole| whole.get("name").is_some());
        if was_given && name != stem {
            self.say(
                Code::NameMismatch,
                at.clone(),
                format!("the runbook `{name}` stands in a file named `{stem}`"),
            )
            .hint = Some(format!("rename the file to {name}.yaml, or the runbook to `{stem}`"));
        }
        if let Some(first) = self.book.file(name).filter(|first| *first != self.document.file) {
            self.say(Code::DuplicateName, at, format!("the name `{name}` is taken")).hint =
                Some(format!("{first} has it"));
        }
        let nodes: &'a [Node] = self.tree.get("related").map(Node::items).unwrap_or_default();
        for (related, node) in self.runbook.related.iter().zip(nodes) {
            if !self.book.has(related) {
                let hint = did_you_mean(related, self.book.names());
                self.say(Code::UnknownRelated, node.caret(), format!("there is no runbook `{related}`"))
                    .hint = hint;
            }
        }
    }

    /// Texts at the top that may hold `${{ }}`.
    pub(super) fn check_top_texts(&mut self) {
        for key in ["title", "summary", "impact", "symptoms", "links", "labels"] {
            if let Some(node) = self.tree.get(key) {
                self.check_templates(node, &Scope::run());
            }
        }
    }

    pub(super) fn check_run(&mut self, name: &str, here: &Indexed<'a>, scope: &Scope<'a>) {
        let Some(node) = here.node.get("run") else { return };
        let inside = scope.clone().with_secrets();
        if let Some(with) = here.node.get("with") {
            self.check_templates(with, &inside);
        }
        let Some(draft) = self.book.get(name) else {
            if !self.book.has(name) {
                let hint = did_you_mean(name, self.book.names().filter(|known| *known != self.runbook.name));
                self.say(Code::UnknownRunbook, node.caret(), format!("there is no runbook `{name}`")).hint =
                    hint;
            }
            return;
        };
        let schema = input_schema(&draft.runbook.inputs);
        self.check_input(&schema, node, here.node.get("with"), name);
        if Self::is_final(here)
            && let Some(action) = self.book.destructive(name, self.catalog, &mut BTreeSet::new())
        {
            let message =
                format!("`{name}` uses `{action}`, which is destructive, and `finally` always runs");
            self.say(Code::DestructiveFinally, node.caret(), message).hint =
                Some("move it among the steps, where somebody is asked".to_owned());
        }
    }

    /// That no `run` leads back here.
    pub(super) fn check_recursion(&mut self, places: &[Indexed<'a>]) {
        for here in places {
            let (Some(name), Some(node)) = (here.step.run.as_deref(), here.node.get("run")) else { continue };
            if let Some(way) = self.book.way(name, &self.runbook.name) {
                let way = [std::slice::from_ref(&self.runbook.name), way.as_slice()].concat();
                let message = format!("this never ends: {}", way.join(" -> "));
                self.say(Code::RecursiveRunbook, node.caret(), message).hint =
                    Some("move what both need into a runbook of its own".to_owned());
            }
        }
    }
}

/// The inputs of a runbook as the schema of the `with` that runs it.
fn input_schema(specs: &IndexMap<String, Input>) -> Value {
    let mut properties = Map::new();
    for (name, input) in specs {
        let mut schema = json!({ "type": inputs::type_name(input.kind) });
        for (key, value) in [
            ("enum", input.one_of.clone().map(Value::Array)),
            ("pattern", input.pattern.clone().map(Value::String)),
            ("minimum", input.minimum.map(Value::from)),
            ("maximum", input.maximum.map(Value::from)),
            ("minLength", input.min_length.map(Value::from)),
            ("maxLength", input.max_length.map(Value::from)),
            ("maxItems", input.max_items.map(Value::from)),
            ("description", input.description.clone().map(Value::String)),
        ] {
            if let Some(value) = value {
                schema[key] = value;
            }
        }
        properties.insert(name.clone(), schema);
    }
    let required: Vec<&String> =
        specs.iter().filter(|(_, input)| input.default.is_none()).map(|(name, _)| name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}
