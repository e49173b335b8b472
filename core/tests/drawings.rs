//! How `runbook describe --graph` shows a runbook. `UPDATE_EXPECTED=1` writes what is seen.
#![expect(clippy::disallowed_methods, reason = "what is expected stands in files")]

use std::{fs, path::Path};

use runbook_core::{graph, parse, runbook::Runbook};

const HIGH_LATENCY: &str = include_str!("good/high-latency.yaml");

#[test]
fn drawings_are_as_expected() {
    let runbook = parse::parse("high-latency.yaml", HIGH_LATENCY).runbook.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drawings");
    for (file, seen) in [
        ("high-latency.txt", graph::text(&runbook)),
        ("high-latency.mmd", graph::mermaid(&runbook)),
        ("high-latency.dot", graph::dot(&runbook)),
        ("high-latency.svg", graph::svg(&runbook)),
    ] {
        let path = folder.join(file);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &seen).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), seen, "{file}");
    }
}

/// Words from a runbook cannot become markup.
#[test]
fn drawings_escape_what_they_show() {
    let evil = "</text><script>alert(1)</script> \" ] }; a --> b\n\\\" &";
    let runbook: Runbook = serde_json::from_value(serde_json::json!({
        "apiVersion": "runbook/v1", "name": evil, "title": evil,
        "steps": [{ "id": evil, "title": evil, "check": evil, "when": evil }, { "id": "b", "wait": evil }],
        "finally": [{ "id": evil, "action": evil }]
    }))
    .unwrap();
    let svg = graph::svg(&runbook);
    assert!(!svg.contains("<script") && svg.contains("&lt;script"), "{svg}");
    let mermaid = graph::mermaid(&runbook);
    assert!(!mermaid.contains("<script") && !mermaid.contains("a --> b\n"), "{mermaid}");
    let dot = graph::dot(&runbook);
    for line in dot.lines() {
        let unescaped = line.replace("\\\\", "").replace("\\\"", "");
        assert_eq!(unescaped.matches('"').count() % 2, 0, "{line}");
    }
}

#[test]
fn an_empty_runbook_can_be_drawn() {
    let runbook: Runbook =
        serde_json::from_value(serde_json::json!({ "apiVersion": "runbook/v1", "name": "x", "steps": [] }))
            .unwrap();
    for drawing in
        [graph::text(&runbook), graph::mermaid(&runbook), graph::dot(&runbook), graph::svg(&runbook)]
    {
        assert!(drawing.ends_with('\n'), "{drawing}");
    }
}
