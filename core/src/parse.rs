//! From the text of a file to types. Everything that is wrong with its structure is found in one
//! pass, each with its place; the types come only where the structure is sound.

pub mod tree;
mod yaml;

use serde::de::DeserializeOwned;
use serde_json::Value;

use self::tree::{Content, Entry, Node};
use crate::{
    finding::{self, Code, Document, Finding},
    runbook::Runbook,
    schema::{self, validate},
};

pub use self::yaml::{MAX_DEPTH, MAX_FILE, MAX_NODES};

/// A runbook's file, read.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// Only where the structure is sound.
    pub runbook: Option<Runbook>,
    /// What is wrong with the structure.
    pub findings: Vec<Finding>,
    /// The whole tree, where the file is YAML at all.
    pub tree: Option<Node>,
    pub document: Document,
    /// What can be made of the file without the parts that are wrong, and the tree of just that:
    /// the checker looks at the rest in the same pass.
    pub draft: Option<Draft>,
}

#[derive(Debug, Clone)]
pub struct Draft {
    pub runbook: Runbook,
    pub tree: Node,
}

/// A file read as some type.
#[derive(Debug)]
pub struct ParsedAs<T> {
    /// Only where the structure is sound.
    pub value: Option<T>,
    pub findings: Vec<Finding>,
    pub tree: Option<Node>,
    pub document: Document,
}

/// Reads a runbook. `file` is only for messages.
pub fn parse(file: &str, text: &str) -> Parsed {
    let document = Document::new(file, text);
    let (tree, mut findings) = yaml::read(&document);
    let mut draft = None;
    if let Some(tree) = &tree {
        let kept = check_structure(schema::runbook(), tree, "the runbook", &document, &mut findings);
        draft = make_draft(kept, &document);
    }
    let is_sound = findings.is_empty();
    if is_sound && draft.is_none() {
        findings.push(misread(&document, "the file does not fit its schema"));
    }
    let runbook = draft.as_ref().filter(|_| is_sound).map(|draft| draft.runbook.clone());
    finding::sort(&mut findings);
    Parsed { runbook, findings, tree, document, draft }
}

/// Reads a file as any type, such as the configuration, by the schema of that type; `what` is its
/// name in messages.
pub fn parse_as<T: DeserializeOwned>(file: &str, text: &str, schema: &Value, what: &str) -> ParsedAs<T> {
    let document = Document::new(file, text);
    let (tree, mut findings) = yaml::read(&document);
    let mut value = None;
    if let Some(tree) = &tree {
        check_structure(schema, tree, what, &document, &mut findings);
        if findings.is_empty() {
            match serde_json::from_value(tree.to_json()) {
                Ok(read) => value = Some(read),
                // The schema is made from the type, but a type may ask for more than it can say.
                Err(error) => findings.push(misread(&document, &error.to_string())),
            }
        }
    }
    finding::sort(&mut findings);
    ParsedAs { value, findings, tree, document }
}

fn misread(document: &Document, message: &str) -> Finding {
    document.finding(Code::WrongType, 0..0, message.to_owned())
}

/// Reports what is wrong and gives the tree without it.
fn check_structure(
    schema: &Value,
    tree: &Node,
    what: &str,
    document: &Document,
    findings: &mut Vec<Finding>,
) -> Node {
    let report = validate::validate(schema, tree, what, None);
    for problem in report.problems {
        let message = problem.message.replacen(&format!("`{what}`"), what, 1);
        let finding = document.finding(problem.kind.code(), problem.span, message);
        findings.push(finding.maybe_hint(problem.hint));
    }
    validate::kept(tree, &report.dropped)
}

/// The runbook of what is left. A missing version or name was reported and must not hide the rest.
fn make_draft(mut tree: Node, document: &Document) -> Option<Draft> {
    let place = tree.caret();
    if let Content::Map(entries) = &mut tree.content {
        let stem = file_stem(&document.file);
        for (key, value) in
            [("apiVersion", "runbook/v1"), ("name", if stem.is_empty() { "unnamed" } else { stem })]
        {
            if !entries.iter().any(|entry| entry.key == key) {
                let value = Node { id: 0, span: place.clone(), content: Content::Text(value.to_owned()) };
                entries.push(Entry { key: key.to_owned(), key_span: place.clone(), value });
            }
        }
        if !entries.iter().any(|entry| entry.key == "steps") {
            let value = Node { id: 0, span: place.clone(), content: Content::List(Vec::new()) };
            entries.push(Entry { key: "steps".to_owned(), key_span: place.clone(), value });
        }
    }
    let runbook = serde_json::from_value(tree.to_json()).ok()?;
    Some(Draft { runbook, tree })
}

/// The file's name without folders and ending.
pub fn file_stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;

    fn found(text: &str) -> Vec<String> {
        let parsed = parse("playbooks/a.yaml", text);
        assert_eq!(parsed.runbook.is_some(), parsed.findings.is_empty(), "{text}");
        let told = parsed.findings.iter().map(|finding| {
            let hint = finding.hint.as_deref().unwrap_or("-");
            format!(
                "{}:{} {}: {} ({hint})",
                finding.line,
                finding.column,
                finding.code.words(),
                finding.message
            )
        });
        told.collect()
    }

    #[test]
    fn a_sound_file_becomes_a_runbook() {
        let text =
            "apiVersion: runbook/v1\nname: a\nsteps:\n  - {id: x, check: p.q, when: false, expect: a < 1}\n";
        let parsed = parse("a.yaml", text);
        assert_eq!(parsed.findings, []);
        let step = parsed.runbook.unwrap().steps.remove(0);
        assert_eq!((step.when.as_deref(), step.expect.as_deref()), (Some("false"), Some("a < 1")));
    }

    #[test]
    fn everything_is_found_in_one_pass() {
        let text = "\
apiVersion: runbook/v2
nme: a
title: 5
severity:
objective: { rto: soon }
inputs:
  a-b: { type: string }
  c: { type: strin, minimum: x }
steps:
  - id: A
    check: p.q
    max_parallel: 0
    retry: { limit: 1.5 }
    undo: { acton: p.r }
  - check: p.q
finally: no
";
        assert_eq!(
            found(text),
            [
                "1:13 unknown-word: `apiVersion` cannot be `runbook/v2` (did you mean `runbook/v1`?)",
                "2:1 unknown-key: there is no key `nme` here (did you mean `name`?)",
                "3:8 wrong-type: `title` must be a string, not an integer (put it in quotes)",
                "4:1 empty-value: `severity` is empty (give it a string, or leave the key out)",
                "5:19 bad-duration: `rto` cannot be `soon` (a length of time is written like `30s`, `5m`, `1h30m` or `2d`)",
                "7:3 pattern-mismatch: `a-b` is no name that expressions can use (a name matches ^[a-zA-Z_][a-zA-Z0-9_]{0,62}$)",
                "8:14 unknown-word: `type` cannot be `strin` (did you mean `string`?)",
                "8:30 wrong-type: `minimum` must be a number, not a string (-)",
                "10:9 pattern-mismatch: `id` cannot be `A` (it must match ^[a-z0-9][a-z0-9_-]{0,62}$)",
                "12:19 out-of-range: `max_parallel` cannot be 0 (it lies between 1 and 100)",
                "13:21 wrong-type: `limit` must be an integer, not a number (-)",
                "14:13 unknown-key: there is no key `acton` here (did you mean `action`?)",
                "15:5 missing-key: item 2 of `steps` lacks `id` (-)",
                "16:10 wrong-type: `finally` must be a list, not a string (write a list: [no])",
            ]
        );
    }

    #[test]
    fn what_is_wrong_does_not_hide_the_rest_from_the_checker() {
        let parsed = parse("x.yaml", "steps:\n  - {id: a, check: p.q, timeout: 5}\n  - {check: p.q}\n");
        let draft = parsed.draft.unwrap();
        assert_eq!(draft.runbook.name, "x");
        assert_eq!(draft.runbook.steps.len(), 1);
        assert_eq!(draft.runbook.steps[0].timeout, None);
        assert_eq!(draft.tree.get("steps").unwrap().items().len(), 1);
    }

    #[test]
    fn other_files_are_read_the_same_way() {
        #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
        #[serde(deny_unknown_fields)]
        struct Config {
            store: String,
            #[serde(default)]
            people: BTreeMap<String, Vec<String>>,
        }
        let schema = schema::of::<Config>();
        let read = |text| parse_as::<Config>("runbook.yaml", text, &schema, "the configuration");
        let good = read("store: x\npeople: {a: [b]}");
        assert_eq!(good.value.unwrap().people["a"], ["b"]);
        let bad = read("people: {a: [1]}");
        let messages: Vec<_> = bad.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(
            messages,
            ["the configuration lacks `store`", "item 1 of `a` must be a string, not an integer"]
        );
        assert_eq!(read("").findings.len(), 1);
    }
}
