//! Findings as SARIF 2.1.0, which code hosts show beside the lines of a change.

use serde_json::{Value, json};

use crate::finding::{Code, Finding, Severity};

/// One SARIF log with one run.
pub fn log(findings: &[Finding]) -> Value {
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "runbook",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Code::ALL.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }]
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.number(),
        "name": code.words(),
        "shortDescription": { "text": code.explanation() },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn result(finding: &Finding) -> Value {
    let text = match &finding.hint {
        Some(hint) => format!("{}; {hint}", finding.message),
        None => finding.message.clone(),
    };
    json!({
        "ruleId": finding.code.number(),
        "ruleIndex": Code::ALL.iter().position(|code| *code == finding.code),
        "level": level(finding.severity),
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.file) },
            "region": {
                "startLine": finding.line,
                "startColumn": finding.column,
                "endLine": finding.end.line,
                "endColumn": finding.end.column,
            }
        }}]
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A path as a relative reference: what a URI may not hold is encoded, slashes stay.
fn uri(file: &str) -> String {
    const KEPT: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    percent_encoding::utf8_percent_encode(&file.replace('\\', "/"), &KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Document;

    #[test]
    fn every_result_points_at_its_rule_and_place() {
        let document = Document::new("play books/a.yaml", "é: 1\nx: 2\n");
        let finding = document.finding(Code::UnknownKey, 6..7, "no").hint("drop it");
        let log = log(&[finding]);
        let run = &log["runs"][0];
        let result = &run["results"][0];
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        assert_eq!(result["message"]["text"], "no; drop it");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "play%20books/a.yaml");
        assert_eq!(place["region"], json!({"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 2}));
    }
}
