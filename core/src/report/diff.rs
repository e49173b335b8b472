//! A change as people read it: the fields before and after, as a unified diff of YAML.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::{change::Change, secret};

/// Lines that stand unchanged around a change.
const CONTEXT: usize = 2;
/// A longer diff is cut, with a mark.
const MOST_LINES: usize = 200;

/// The diff of a change; every line starts with `-`, `+` or a space. Secrets are masked.
pub fn diff(change: &Change) -> String {
    let (before, after) = (yaml(&secret::mask(&change.before)), yaml(&secret::mask(&change.after)));
    let diff = TextDiff::from_lines(&before, &after);
    let mut lines = Vec::new();
    for (i, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if i > 0 {
            lines.push("  …".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!("{sign} {}", change.value().trim_end()));
        }
    }
    if lines.len() > MOST_LINES {
        let more = lines.len() - MOST_LINES;
        lines.truncate(MOST_LINES);
        lines.push(format!("  … {more} more lines"));
    }
    lines.join("\n")
}

/// The same lines in colour: red for what goes, green for what comes.
pub fn paint(diff: &str) -> String {
    let painted: Vec<String> = diff
        .lines()
        .map(|line| match line.chars().next() {
            Some('-') => format!("\u{1b}[31m{line}\u{1b}[0m"),
            Some('+') => format!("\u{1b}[32m{line}\u{1b}[0m"),
            _ => format!("\u{1b}[2m{line}\u{1b}[0m"),
        })
        .collect();
    painted.join("\n")
}

fn yaml(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    // What cannot be written as YAML is still shown, as JSON.
    serde_yaml::to_string(value).unwrap_or_else(|_| format!("{value:#}\n"))
}
