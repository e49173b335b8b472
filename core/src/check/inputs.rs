//! Declarations of inputs, of runbooks and of forms.

use indexmap::IndexMap;

use super::Checker;
use crate::{
    finding::Code,
    inputs,
    parse::tree::Node,
    runbook::{Input, InputType},
};

impl Checker<'_> {
    pub(super) fn check_inputs(&mut self) {
        if let Some(node) = self.tree.get("inputs") {
            self.check_input_specs(&self.runbook.inputs, node);
        }
    }

    pub(super) fn check_input_specs(&mut self, specs: &IndexMap<String, Input>, node: &Node) {
        for (name, spec) in specs {
            let Some(node) = node.get(name) else { continue };
            let has_pattern = self.check_pattern(spec, node);
            self.check_constraints(name, spec, node);
            self.check_order(spec, node);
            self.check_words(name, spec, node);
            let Some(default) = spec.default.as_ref().filter(|_| has_pattern) else { continue };
            if let Err(message) = inputs::check(spec, default) {
                let message = format!("the default of `{name}` {message}");
                self.say(Code::BadDefault, node.value_span("default"), message);
            }
        }
    }

    /// Whether the pattern, if there is one, can be used.
    fn check_pattern(&mut self, spec: &Input, node: &Node) -> bool {
        let Some(pattern) = &spec.pattern else { return true };
        match inputs::compile(pattern) {
            Ok(_) => true,
            Err(message) => {
                let message = format!("this is no regular expression: {message}");
                self.say(Code::BadPattern, node.value_span("pattern"), message);
                false
            }
        }
    }

    fn check_constraints(&mut self, name: &str, spec: &Input, node: &Node) {
        let text = spec.kind == InputType::String;
        let number = matches!(spec.kind, InputType::Integer | InputType::Number);
        let list = spec.kind == InputType::Array;
        for (key, fits, takers) in [
            ("pattern", text, "strings"),
            ("minLength", text, "strings"),
            ("maxLength", text, "strings"),
            ("minimum", number, "numbers"),
            ("maximum", number, "numbers"),
            ("maxItems", list, "lists"),
        ] {
            if node.get(key).is_some() && !fits {
                let message =
                    format!("`{key}` is for {takers}, and `{name}` is {}", inputs::article(spec.kind));
                self.say(Code::BadConstraint, node.key_span(key), message);
            }
        }
    }

    fn check_order(&mut self, spec: &Input, node: &Node) {
        let lengths = spec.min_length.map(f64::from).zip(spec.max_length.map(f64::from));
        for (least, most, key) in [(spec.minimum.zip(spec.maximum), "maximum"), (lengths, "maxLength")]
            .into_iter()
            .filter_map(|(pair, key)| pair.map(|(least, most)| (least, most, key)))
        {
            if least > most {
                let message = format!("no value lies between {least} and {most}");
                self.say(Code::BadConstraint, node.value_span(key), message);
            }
        }
    }

    fn check_words(&mut self, name: &str, spec: &Input, node: &Node) {
        let words = spec.one_of.as_deref().unwrap_or_default();
        if spec.one_of.is_some() && words.is_empty() {
            self.say(
                Code::BadConstraint,
                node.key_span("enum"),
                format!("`{name}` can have no value at all"),
            );
        }
        let nodes = node.get("enum").map(Node::items).unwrap_or_default();
        let of_type = Input { one_of: None, pattern: None, ..spec.clone() };
        for (word, node) in words.iter().zip(nodes) {
            if let Err(message) = inputs::check(&of_type, word) {
                self.say(Code::BadConstraint, node.caret(), format!("a word of `{name}` {message}"));
            }
        }
    }
}
