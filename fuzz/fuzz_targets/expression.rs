//! Any text as an expression and as a template.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runbook_core::expression;
use serde_json::json;

fuzz_target!(|text: &str| {
    let names = json!({
        "a": 1, "b": "text", "c": [1, "x", null], "d": { "e": { "$unknown": "not yet" }, "f": 0.5 },
        "now": "2026-01-31T12:00:00Z",
    });
    let _ = expression::holds(text, &names);
    let _ = expression::render_text(text, &names);
    let _ = expression::references_in_template(text);
});
