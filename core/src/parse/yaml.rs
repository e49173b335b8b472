//! From the events of the YAML parser to a tree. Words are those of YAML 1.2's core schema: `no`,
//! `on` and `14:15` are strings. Aliases count as what they stand for.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde_json::Number;
use serde_yaml::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::tree::{Content, Entry, Node};
use crate::finding::{Code, Document, Finding};

/// The largest file, in bytes.
pub const MAX_FILE: usize = 256 * 1024;
/// How deep values may nest.
pub const MAX_DEPTH: usize = 64;
/// How many values a file may hold, aliases counted as what they stand for.
pub const MAX_NODES: usize = 20_000;

/// Reads a document: its tree where it is YAML at all, and what is wrong with it.
pub fn read(document: &Document) -> (Option<Node>, Vec<Finding>) {
    if document.text.len() > MAX_FILE {
        let finding = document
            .finding(Code::TooLarge, 0..0, format!("the file is larger than {} KiB", MAX_FILE / 1024))
            .hint("split it; a runbook can run others with `run:`");
        return (None, vec![finding]);
    }
    let mut builder = Builder::new(document);
    match builder.build() {
        Ok(Some(root)) if !root.is_null() => (Some(root), builder.findings),
        Ok(_) => {
            let empty = document.finding(Code::EmptyValue, 0..0, "the file is empty");
            (None, vec![empty.hint("`runbook init` writes a first one")])
        }
        Err(fatal) => {
            builder.findings.push(*fatal);
            (None, builder.findings)
        }
    }
}

struct Builder<'a> {
    document: &'a Document,
    findings: Vec<Finding>,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    next_id: u32,
}

struct Frame {
    start: usize,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: BTreeSet<String>, key: Option<(String, Range<usize>)> },
}

/// What ends the reading. Boxed, since it is rare and large.
type Fatal = Box<Finding>;

impl<'a> Builder<'a> {
    fn new(document: &'a Document) -> Self {
        Self {
            document,
            findings: Vec::new(),
            frames: Vec::new(),
            anchors: BTreeMap::new(),
            nodes: 0,
            next_id: 0,
        }
    }

    fn build(&mut self) -> Result<Option<Node>, Fatal> {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        let document = self.document;
        let parser: Parser<'_, StrInput<'_>> = Parser::new_from_str_with_options(&document.text, options);
        let (mut root, mut documents) = (None, 0);
        for next in parser {
            let (event, span) = next.map_err(|error| self.syntax_error(&error))?;
            let place = range(&span);
            let done = match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.refuse(place, "a second document starts here", "give it a file of its own");
                        break;
                    }
                    None
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.scalar(&text, style, anchor, tag.as_deref(), place)?
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.open(Inside::List(Vec::new()), anchor, tag.as_deref(), place)?;
                    None
                }
                Event::MappingStart(_, anchor, tag) => {
                    let map = Inside::Map { entries: Vec::new(), seen: BTreeSet::new(), key: None };
                    self.open(map, anchor, tag.as_deref(), place)?;
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(place.end)?,
                Event::Alias(anchor) => self.alias(anchor, place)?,
                _ => None,
            };
            root = done.or(root);
        }
        Ok(root)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mut place: Range<usize>,
    ) -> Result<Option<Node>, Fatal> {
        let is_text = self.is_text_tag(tag, &place) || style != ScalarStyle::Plain;
        if let Some(Frame { inside: Inside::Map { key, .. }, .. }) = self.frames.last_mut() {
            match key {
                None => {
                    *key = Some((text.to_owned(), place));
                    return Ok(None);
                }
                Some((_, key_place)) if place.is_empty() => place = key_place.clone(),
                Some(_) => {}
            }
        }
        let content = if is_text { Content::Text(text.to_owned()) } else { resolve(text) };
        let node = self.node(place, content)?;
        self.complete(node, anchor)
    }

    fn open(
        &mut self,
        inside: Inside,
        anchor: usize,
        tag: Option<&Tag>,
        place: Range<usize>,
    ) -> Result<(), Fatal> {
        self.is_text_tag(tag, &place);
        if let Some(Frame { inside: Inside::Map { key: None, .. }, .. }) = self.frames.last() {
            return Err(self.fatal(place, "a key must be a string, not a list or an object"));
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.too_deep(place));
        }
        self.frames.push(Frame { start: place.start, anchor, inside });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<Option<Node>, Fatal> {
        let Some(frame) = self.frames.pop() else { return Ok(None) };
        let content = match frame.inside {
            Inside::List(items) => Content::List(items),
            Inside::Map { entries, .. } => Content::Map(entries),
        };
        let node = self.node(frame.start..end.max(frame.start), content)?;
        self.complete(node, frame.anchor)
    }

    fn alias(&mut self, anchor: usize, place: Range<usize>) -> Result<Option<Node>, Fatal> {
        if let Some(Frame { inside: Inside::Map { key: None, .. }, .. }) = self.frames.last() {
            return Err(self.fatal(place, "a key cannot be an alias"));
        }
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self.fatal(place, "an alias stands inside what it stands for"));
        };
        let mut node = node.clone();
        self.nodes += node.size();
        if self.nodes > MAX_NODES {
            return Err(self.too_many(place));
        }
        if self.frames.len() + node.height() > MAX_DEPTH {
            return Err(self.too_deep(place));
        }
        renumber(&mut node, &mut self.next_id);
        self.complete(node, 0)
    }

    fn node(&mut self, span: Range<usize>, content: Content) -> Result<Node, Fatal> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.too_many(span));
        }
        self.next_id += 1;
        Ok(Node { id: self.next_id, span, content })
    }

    /// Hands a finished node to what it stands in; gives it back where that is the document.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<Option<Node>, Fatal> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let document = self.document;
        match self.frames.last_mut().map(|frame| &mut frame.inside) {
            None => return Ok(Some(node)),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map { entries, seen, key }) => {
                let Some((key, key_span)) = key.take() else { return Ok(None) };
                if key == "<<" {
                    self.refuse(key_span, "merge keys are not part of YAML 1.2", "write the keys out");
                } else if seen.insert(key.clone()) {
                    entries.push(Entry { key, key_span, value: node });
                } else {
                    let first = entries.iter().find(|entry| entry.key == key);
                    let line = first.map_or(0, |entry| document.position(entry.key_span.start).line);
                    let message = format!("the key `{key}` stands here a second time");
                    let finding = document.finding(Code::DuplicateKey, key_span, message);
                    self.findings.push(finding.hint(format!("the first stands in line {line}")));
                }
            }
        }
        Ok(None)
    }

    /// Whether a tag makes the value a string; other tags are refused.
    fn is_text_tag(&mut self, tag: Option<&Tag>, place: &Range<usize>) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.core_suffix() == Some("str") => true,
            Some(tag) => {
                let message = format!("the tag `{}` has no meaning here", tag.original());
                self.refuse(place.clone(), &message, "leave it out; quotes make a value a string");
                false
            }
        }
    }

    fn refuse(&mut self, place: Range<usize>, message: &str, hint: &str) {
        let finding = self.document.finding(Code::UnsupportedYaml, place, message).hint(hint);
        self.findings.push(finding);
    }

    fn fatal(&self, place: Range<usize>, message: &str) -> Fatal {
        Box::new(self.document.finding(Code::UnsupportedYaml, place, message))
    }

    fn too_many(&self, place: Range<usize>) -> Fatal {
        let message = format!("the file holds more than {MAX_NODES} values");
        let finding = self.document.finding(Code::TooLarge, place, message);
        Box::new(finding.hint("aliases count as what they stand for"))
    }

    fn too_deep(&self, place: Range<usize>) -> Fatal {
        let message = format!("values nest deeper than {MAX_DEPTH} levels");
        Box::new(self.document.finding(Code::TooLarge, place, message))
    }

    fn syntax_error(&self, error: &granit_parser::ScanError) -> Fatal {
        let at = error.marker().byte_offset().unwrap_or_default();
        let message = match error.kind() {
            ErrorKind::RecursionLimitExceeded => return self.too_deep(at..at + 1),
            ErrorKind::UnknownAnchor => "this alias stands for nothing".to_owned(),
            ErrorKind::MappingValueNotAllowed => "a `:` makes no sense here".to_owned(),
            ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => {
                "the indentation fits nothing above".to_owned()
            }
            ErrorKind::ExpectedFlowMappingSeparator => "a `,` or a `}` was expected here".to_owned(),
            ErrorKind::ExpectedFlowSequenceSeparator => "a `,` or a `]` was expected here".to_owned(),
            ErrorKind::UnexpectedEofFlowSequence => "a `[` is not closed".to_owned(),
            ErrorKind::UnexpectedEofFlowMapping => "a `{` is not closed".to_owned(),
            ErrorKind::UnclosedFlowCollection { open } => format!("a `{open}` is not closed"),
            ErrorKind::UnclosedQuotedScalar => "a quoted string is not closed".to_owned(),
            _ => error.info(),
        };
        let finding = self.document.finding(Code::YamlSyntax, at..at + 1, message);
        Box::new(finding.maybe_hint(self.syntax_hint(error, at)))
    }

    /// What people most often got wrong where the parser gave up.
    fn syntax_hint(&self, error: &granit_parser::ScanError, at: usize) -> Option<String> {
        let before = self.document.text.get(..at).unwrap_or(&self.document.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = self.document.text.get(line_start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let before_here = before.get(line_start..).unwrap_or_default();
        if before_here.contains("${{") || line.trim_start().contains(": ${{") {
            return Some("put a value with `${{ }}` in quotes".to_owned());
        }
        if matches!(
            error.kind(),
            ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed
        ) {
            return Some("indent with spaces".to_owned());
        }
        if line.matches(": ").count() > 1 || line.trim_end().ends_with(':') {
            return Some("put a value with a colon in it in quotes".to_owned());
        }
        None
    }
}

/// Gives a copied node, and what it holds, ids of their own.
fn renumber(node: &mut Node, next_id: &mut u32) {
    *next_id += 1;
    node.id = *next_id;
    match &mut node.content {
        Content::List(items) => items.iter_mut().for_each(|item| renumber(item, next_id)),
        Content::Map(entries) => entries.iter_mut().for_each(|entry| renumber(&mut entry.value, next_id)),
        _ => {}
    }
}

fn range(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or_default()
}

/// What a plain word means in YAML 1.2's core schema.
fn resolve(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "true" | "True" | "TRUE" => Content::Bool(true),
        "false" | "False" | "FALSE" => Content::Bool(false),
        _ => number(text).map_or_else(|| Content::Text(text.to_owned()), Content::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0o") {
        return whole(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return whole(digits, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts_well = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || (unsigned.starts_with('.') && unsigned[1..].starts_with(|c: char| c.is_ascii_digit()));
    if !starts_well {
        return None;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let signed = text.strip_prefix('+').unwrap_or(text);
        if let Ok(n) = signed.parse::<i64>() {
            return Some(Number::from(n));
        }
        if let Ok(n) = signed.parse::<u64>() {
            return Some(Number::from(n));
        }
    }
    let is_float =
        unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if is_float { text.parse::<f64>().ok().and_then(Number::from_f64) } else { None }
}

fn whole(digits: &str, radix: u32) -> Option<Number> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(Number::from)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn json_of(text: &str) -> Value {
        let (root, findings) = read(&Document::new("a.yaml", text));
        assert_eq!(findings, [], "{text}");
        root.unwrap().to_json()
    }

    fn codes_of(text: &str) -> Vec<(Code, usize, usize)> {
        let (_, findings) = read(&Document::new("a.yaml", text));
        findings.iter().map(|finding| (finding.code, finding.line, finding.column)).collect()
    }

    #[test]
    fn words_are_those_of_yaml_1_2() {
        for (text, expected) in [
            ("no", json!("no")),
            ("on", json!("on")),
            ("yes", json!("yes")),
            ("14:15", json!("14:15")),
            ("2026-01-31", json!("2026-01-31")),
            ("true", json!(true)),
            ("'true'", json!("true")),
            ("a: ~", json!({"a": null})),
            ("+5", json!(5)),
            ("-5", json!(-5)),
            ("0123", json!(123)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0x+1", json!("0x+1")),
            ("1_000", json!("1_000")),
            ("1.20", json!(1.2)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("1.2.3", json!("1.2.3")),
            (".inf", json!(".inf")),
            ("18446744073709551615", json!(u64::MAX)),
            ("!!str 5", json!("5")),
            ("a: {b: [1, 'x'], c: }", json!({"a": {"b": [1, "x"], "c": null}})),
            ("a: &x [1]\nb: *x", json!({"a": [1], "b": [1]})),
            ("'{{ x }}'", json!("{{ x }}")),
            ("a: |\n  x\n  y\n", json!({"a": "x\ny\n"})),
        ] {
            assert_eq!(json_of(text), expected, "{text}");
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        let text = "é: 1\nsteps:\n  - id: a\n    with: {x: \"y\"}\n  -\n";
        let (root, _) = read(&Document::new("a.yaml", text));
        let root = root.unwrap();
        let step = &root.get("steps").unwrap().items()[0];
        assert_eq!(&text[step.key_span("id")], "id");
        assert_eq!(&text[step.value_span("id")], "a");
        assert_eq!(&text[step.get("with").unwrap().value_span("x")], "\"y\"");
        assert_eq!(&text[root.caret()], "é");
    }

    #[test]
    fn what_yaml_has_and_we_refuse() {
        for (text, expected) in [
            ("a: 1\na: 2", (Code::DuplicateKey, 2, 1)),
            ("<<: {a: 1}", (Code::UnsupportedYaml, 1, 1)),
            ("a: !ruby/object x", (Code::UnsupportedYaml, 1, 17)),
            ("a: 1\n---\nb: 2", (Code::UnsupportedYaml, 2, 1)),
            ("? [a]\n: 1", (Code::UnsupportedYaml, 1, 3)),
            ("a: &x [*x]", (Code::UnsupportedYaml, 1, 8)),
            ("a: b: c", (Code::YamlSyntax, 1, 5)),
            ("a: [1, 2", (Code::YamlSyntax, 1, 4)),
            ("a: *nobody", (Code::YamlSyntax, 1, 4)),
        ] {
            assert_eq!(codes_of(text), [expected], "{text}");
        }
    }

    #[test]
    fn bounds_hold() {
        let deep = "[".repeat(100);
        let wide = format!("[{}]", "1,".repeat(MAX_NODES));
        let long = "#".repeat(MAX_FILE + 1);
        let indented: String = (0..70).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for n in 1..10 {
            let before = format!("*a{}", n - 1);
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![before; 9].join(", ")));
        }
        for text in [deep, wide, long, bomb, indented] {
            let codes = codes_of(&text);
            assert_eq!(codes.first().map(|(code, ..)| *code), Some(Code::TooLarge), "{}", &text[..40]);
        }
    }
}
