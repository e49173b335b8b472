//! The steps of a runbook as text, Mermaid and DOT.

use std::fmt::Write as _;

use super::edges;
use crate::runbook::{Approval, Choose, Kind, Runbook, Step};

/// A step's kind and what it does, in a few words.
pub(super) fn describe(step: &Step) -> String {
    match step.kind() {
        Some(Kind::Check(action)) => format!("check {action}"),
        Some(Kind::Action(action)) => format!("action {action}"),
        Some(Kind::Approval(approval)) => format!("approval{}", asked(approval)),
        Some(Kind::Manual(_)) => "by hand".to_owned(),
        Some(Kind::Wait(what)) => match step.hold {
            Some(hold) => format!("wait {what} for {hold}"),
            None => format!("wait {what}"),
        },
        Some(Kind::Options(options)) => {
            let how = if step.choose == Some(Choose::Operator) { "a person picks" } else { "in order" };
            match &step.until {
                Some(until) => format!("{} options, {how}, until {until}", options.len()),
                None => format!("{} options, {how}", options.len()),
            }
        }
        Some(Kind::Run(name)) => format!("run {name}"),
        None => "no kind".to_owned(),
    }
}

/// What a person should know before it runs.
pub(super) fn notes(step: &Step) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(approval), false) = (&step.approval, matches!(step.kind(), Some(Kind::Approval(_)))) {
        notes.push(format!("approval{}", asked(approval)));
    }
    if let Some(risk) = step.risk {
        notes.push(format!("risk {}", format!("{risk:?}").to_lowercase()));
    }
    if let Some(eta) = step.eta {
        notes.push(format!("eta {eta}"));
    }
    if let Some(when) = &step.when {
        notes.push(format!("when {when}"));
    }
    notes
}

fn asked(approval: &Approval) -> String {
    let who =
        if approval.from.is_empty() { String::new() } else { format!(" by {}", approval.from.join(", ")) };
    match approval.count {
        Some(count) if count > 1 => format!("{who} ({count} people)"),
        _ => who,
    }
}

/// The steps as a tree for terminals.
pub fn text(runbook: &Runbook) -> String {
    let mut out = format!("{}  {}\n", runbook.name, runbook.title.as_deref().unwrap_or_default());
    let mut rows = Vec::new();
    list(&runbook.steps, "", &mut rows);
    align(&rows, &mut out);
    if !runbook.finally.is_empty() {
        out.push_str("finally\n");
        let mut rows = Vec::new();
        list(&runbook.finally, "", &mut rows);
        align(&rows, &mut out);
    }
    // Nothing that a file holds may steer the terminal.
    let plain = |line: &str| line.trim_end().replace(char::is_control, "?");
    let lines: Vec<String> = out.lines().map(plain).collect();
    lines.join("\n") + "\n"
}

/// Branch and id, what it does, what else there is to know.
type Row = (String, String, String);

fn list(steps: &[Step], indent: &str, rows: &mut Vec<Row>) {
    let edges = edges(steps);
    for (index, step) in steps.iter().enumerate() {
        let (branch, below) =
            if index + 1 == steps.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let mut notes = notes(step);
        if let Some(after) = after(steps, &edges, index) {
            notes.insert(0, after);
        }
        rows.push((format!("{indent}{branch}{}", step.id), describe(step), notes.join(", ")));
        if let Some(Kind::Options(options)) = step.kind() {
            list_options(options, &format!("{indent}{below}"), rows);
        }
    }
}

fn list_options(options: &[Step], indent: &str, rows: &mut Vec<Row>) {
    for (index, option) in options.iter().enumerate() {
        let branch = if index + 1 == options.len() { "└" } else { "├" };
        let head = format!("{indent}{branch} {}. {}", index + 1, option.id);
        rows.push((head, describe(option), notes(option).join(", ")));
    }
}

/// Said only where it is not simply the step before.
fn after(steps: &[Step], edges: &[Vec<usize>], index: usize) -> Option<String> {
    let before: Vec<usize> = index.checked_sub(1).into_iter().collect();
    if edges[index] == before {
        return None;
    }
    let names: Vec<&str> = edges[index].iter().map(|needed| steps[*needed].id.as_str()).collect();
    Some(if names.is_empty() { "starts at once".to_owned() } else { format!("after {}", names.join(", ")) })
}

fn align(rows: &[Row], out: &mut String) {
    let width =
        |pick: fn(&Row) -> &String| rows.iter().map(|row| pick(row).chars().count()).max().unwrap_or(0);
    let (first, second) = (width(|row| &row.0), width(|row| &row.1).min(60));
    for (head, what, notes) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{head:first$}  {what:second$}  {notes}");
    }
}

/// A Mermaid flow chart.
pub fn mermaid(runbook: &Runbook) -> String {
    let mut out = String::from("flowchart TD\n");
    mermaid_steps(&runbook.steps, "s", "  ", &mut out);
    if !runbook.finally.is_empty() {
        out.push_str("  subgraph finally\n");
        mermaid_steps(&runbook.finally, "f", "    ", &mut out);
        out.push_str("  end\n");
        if !runbook.steps.is_empty() {
            let _ = writeln!(out, "  s{} -.-> f0", runbook.steps.len() - 1);
        }
    }
    out
}

fn mermaid_steps(steps: &[Step], prefix: &str, indent: &str, out: &mut String) {
    for (index, step) in steps.iter().enumerate() {
        let id = format!("{prefix}{index}");
        let label = mermaid_label(step);
        let _ = match step.kind() {
            Some(Kind::Options(options)) => {
                let _ = writeln!(out, "{indent}subgraph {id} [\"{label}\"]");
                for (place, option) in options.iter().enumerate() {
                    let _ = writeln!(out, "{indent}  {id}o{place}[\"{}\"]", mermaid_label(option));
                }
                for place in 1..options.len() {
                    let _ = writeln!(out, "{indent}  {id}o{} -->|did not help| {id}o{place}", place - 1);
                }
                writeln!(out, "{indent}end")
            }
            Some(Kind::Check(_)) => writeln!(out, "{indent}{id}([\"{label}\"])"),
            Some(Kind::Approval(_) | Kind::Manual(_)) => writeln!(out, "{indent}{id}{{{{\"{label}\"}}}}"),
            _ => writeln!(out, "{indent}{id}[\"{label}\"]"),
        };
    }
    for (index, needed) in edges(steps).iter().enumerate() {
        for before in needed {
            let _ = writeln!(out, "{indent}{prefix}{before} --> {prefix}{index}");
        }
    }
}

fn mermaid_label(step: &Step) -> String {
    let lines = std::iter::once(step.id.clone()).chain([describe(step)]).chain(notes(step));
    lines.map(|line| mermaid_escape(&line)).collect::<Vec<_>>().join("<br/>")
}

fn mermaid_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '"' | '#' | '<' | '>' | '&' | ';' | '`' | '{' | '}' | '[' | ']' | '|' | '\\' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// Graphviz' language.
pub fn dot(runbook: &Runbook) -> String {
    let mut out = format!("digraph \"{}\" {{\n", dot_escape(&runbook.name));
    out.push_str("  rankdir=TB;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    dot_steps(&runbook.steps, "s", "  ", &mut out);
    if !runbook.finally.is_empty() {
        out.push_str("  subgraph cluster_finally {\n    label=\"finally\"; style=dashed;\n");
        dot_steps(&runbook.finally, "f", "    ", &mut out);
        out.push_str("  }\n");
        if !runbook.steps.is_empty() {
            let _ = writeln!(out, "  s{} -> f0 [style=dashed];", runbook.steps.len() - 1);
        }
    }
    out.push_str("}\n");
    out
}

fn dot_steps(steps: &[Step], prefix: &str, indent: &str, out: &mut String) {
    for (index, step) in steps.iter().enumerate() {
        let mut lines = vec![step.id.clone(), describe(step)];
        lines.extend(notes(step));
        if let Some(Kind::Options(options)) = step.kind() {
            lines.extend(options.iter().enumerate().map(|(place, option)| option_line(place, option)));
        }
        let lines: Vec<String> = lines.iter().map(|line| dot_escape(line)).collect();
        let _ = writeln!(out, "{indent}{prefix}{index} [label=\"{}\"];", lines.join("\\n"));
    }
    for (index, needed) in edges(steps).iter().enumerate() {
        for before in needed {
            let _ = writeln!(out, "{indent}{prefix}{before} -> {prefix}{index};");
        }
    }
}

/// An option on one line inside the box of its ladder.
pub(super) fn option_line(place: usize, option: &Step) -> String {
    let mut parts = vec![describe(option)];
    parts.extend(notes(option));
    format!("{}. {}: {}", place + 1, option.id, parts.join(", "))
}

fn dot_escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}
