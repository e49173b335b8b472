//! One broken runbook for every code: `findings/WORDS.yaml`, or a folder of files that belong
//! together, with what people see beside it. `UPDATE_EXPECTED=1` writes what is seen.
#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::disallowed_methods, reason = "cases and what is expected of them are files")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use runbook_core::{
    check::{self, File},
    finding::{self, Code, Document, Finding},
    parse, sarif,
};

struct Case {
    name: String,
    files: Vec<File>,
    expected: PathBuf,
}

fn cases(folder: &str) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut cases = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut paths = match path.extension() {
            _ if path.is_dir() => fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()).collect(),
            Some(ending) if ending == "yaml" => vec![path.clone()],
            _ => continue,
        };
        paths.retain(|path: &PathBuf| path.extension().is_some_and(|ending| ending == "yaml"));
        paths.sort();
        let read = |path: &PathBuf| File {
            path: path.file_name().unwrap().to_str().unwrap().to_owned(),
            text: fs::read_to_string(path).unwrap(),
        };
        let expected = path.with_extension("txt");
        cases.push(Case { name, files: paths.iter().map(read).collect(), expected });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn found(case: &Case) -> Vec<Finding> {
    check::check(&case.files, &support::catalog())
}

fn shown(case: &Case, findings: &[Finding]) -> String {
    let documents: Vec<Document> =
        case.files.iter().map(|file| Document::new(&file.path, &file.text)).collect();
    finding::render(findings, &documents.iter().collect::<Vec<_>>(), false)
}

#[test]
fn every_code_has_a_case_and_every_case_is_told_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut covered = BTreeSet::new();
    for case in cases("findings") {
        let findings = found(&case);
        let codes: BTreeSet<&str> = findings.iter().map(|finding| finding.code.words()).collect();
        assert!(codes.contains(case.name.as_str()), "{} is not among {codes:?}", case.name);
        covered.insert(case.name.clone());
        let seen = shown(&case, &findings);
        if update {
            fs::write(&case.expected, &seen).unwrap();
        }
        let expected = fs::read_to_string(&case.expected).unwrap_or_default();
        assert_eq!(seen, expected, "{}: run with UPDATE_EXPECTED=1 and look at the change", case.name);
    }
    let missing: Vec<&str> =
        Code::ALL.iter().map(|code| code.words()).filter(|words| !covered.contains(*words)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn good_runbooks_give_no_findings_and_are_read() {
    let good = cases("good");
    let files: Vec<File> = good.iter().flat_map(|case| case.files.clone()).collect();
    let all = Case { name: String::new(), files, expected: PathBuf::new() };
    assert_eq!(shown(&all, &found(&all)), "");
    for file in &all.files {
        assert!(parse::parse(&file.path, &file.text).runbook.is_some(), "{}", file.path);
    }
}

#[test]
fn findings_of_all_cases_fit_json_and_sarif() {
    for case in cases("findings") {
        let findings = found(&case);
        let json = serde_json::to_value(&findings).unwrap();
        for (finding, shown) in findings.iter().zip(json.as_array().expect("a list of findings")) {
            assert_eq!(shown["code"], finding.code.number());
            assert!(finding.line >= 1 && finding.column >= 1 && finding.end.column >= finding.column);
            let document = case.files.iter().find(|file| file.path == finding.file).unwrap();
            assert!(document.text.get(finding.span.clone()).is_some(), "{}: {finding:?}", case.name);
        }
        let log = sarif::log(&findings);
        assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), findings.len());
    }
}
