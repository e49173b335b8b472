//! The reference of all actions as one page.

use runbook_core::spec::ActionSpec;

use super::{example, facts};
use crate::cli::{fields::fields, permissions::Permissions};

pub fn page(specs: &[&ActionSpec]) -> String {
    let mut out = String::from(
        "# Actions\n\nEvery action with what it does to the world, what it takes and gives, and what it must be \
         allowed to do. `runbook actions NAME` prints the same for one. This page is generated: `runbook actions \
         --markdown`.\n",
    );
    let mut provider = "";
    for spec in specs {
        if spec.provider() != provider {
            provider = spec.provider();
            out.push_str(&format!("\n## {provider}\n\n{}", contents(specs, provider)));
        }
        out.push_str(&section(spec));
    }
    out
}

fn contents(specs: &[&ActionSpec], provider: &str) -> String {
    let mut out = String::from("| action | effect | |\n| --- | --- | --- |\n");
    for spec in specs.iter().filter(|spec| spec.provider() == provider) {
        let anchor = spec.name.replace('.', "");
        out.push_str(&format!(
            "| [`{}`](#{anchor}) | {} | {} |\n",
            spec.name,
            spec.effect,
            cell(&spec.summary)
        ));
    }
    out
}

fn section(spec: &ActionSpec) -> String {
    let mut out = format!("\n### {}\n\n{}\n\n", spec.name, sentence(&spec.summary));
    for (label, words) in facts(spec) {
        out.push_str(&format!("- {label}: {words}\n"));
    }
    let inputs = fields(&spec.input);
    if !inputs.is_empty() {
        out.push_str("\n| `with` | type | default | |\n| --- | --- | --- | --- |\n");
    }
    for field in &inputs {
        let default = match &field.default {
            Some(default) => format!("`{default}`"),
            None if field.required => "required".to_owned(),
            None => String::new(),
        };
        out.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            field.name,
            cell(field.kind.trim_end_matches(" | null")),
            cell(&default),
            cell(&field.description)
        ));
    }
    let outputs = fields(&spec.output);
    if !outputs.is_empty() {
        out.push_str("\n| output | type | |\n| --- | --- | --- |\n");
    }
    for field in &outputs {
        let (kind, meaning) = (cell(&field.kind), cell(&field.description));
        out.push_str(&format!("| `{}` | {kind} | {meaning} |\n", field.name));
    }
    let permissions = Permissions::of([spec]);
    if let Some(role) = permissions.role() {
        out.push_str(&format!("\nPermissions:\n\n```yaml\n{role}```\n"));
    }
    let rest: Vec<&str> = permissions.iam().chain(permissions.other()).collect();
    if !rest.is_empty() {
        out.push_str(&format!("\nPermissions: {}.\n", rest.join("; ")));
    }
    out.push_str(&format!("\n```yaml\n{}```\n", example(spec)));
    out
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

/// A text that does not break a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
