//! Any text as a runbook: read, checked, told and drawn.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runbook_core::{
    check::{self, Catalog},
    finding, graph, parse, sarif,
};

fuzz_target!(|text: &str| {
    let parsed = parse::parse("fuzz.yaml", text);
    let findings = check::check_parsed(std::slice::from_ref(&parsed), &Catalog::default());
    finding::render(&findings, &[&parsed.document], true);
    sarif::log(&findings);
    if let Some(draft) = &parsed.draft {
        graph::text(&draft.runbook);
        graph::mermaid(&draft.runbook);
        graph::dot(&draft.runbook);
        graph::svg(&draft.runbook);
    }
    if let Some(runbook) = parsed.runbook {
        // What was read can be written and read again.
        let json = serde_json::to_value(&runbook).expect("a runbook is JSON");
        assert_eq!(serde_json::from_value::<runbook_core::runbook::Runbook>(json).ok(), Some(runbook));
    }
});
