//! A simulated incident as data: the alert that it raises, the runbook that this starts, and what
//! is expected of it, dry and for real.

use std::{collections::BTreeMap, fs, path::PathBuf};

use runbook_core::{
    expression, inputs,
    parse::parse,
    runbook::{Runbook, Source},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub scenario: String,
    pub runbook: String,
    /// A person starts it where there is none.
    pub alert: Option<Alert>,
    /// What the trigger makes of the alert.
    #[serde(default)]
    pub inputs: Value,
    /// The verdict on every action, and on other steps worth telling.
    pub dry_run: BTreeMap<String, String>,
    pub live: Live,
}

/// An alert as its source sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    pub source: Source,
    pub body: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    pub exit: i32,
    pub status: String,
    /// Nothing for a runbook that declares no steady state.
    pub recovered: Option<bool>,
    /// The option that helped, by ladder.
    #[serde(default)]
    pub chosen: BTreeMap<String, Option<String>>,
    /// Answers to manual steps; gates are approved.
    #[serde(default)]
    pub answers: BTreeMap<String, Vec<String>>,
    /// What is changed, in order.
    pub changes: Vec<String>,
    /// The steps that fail, in the order in which they are written.
    #[serde(default)]
    pub failed: Vec<String>,
}

impl Case {
    pub fn all() -> Vec<Self> {
        let read = |(path, text): (PathBuf, String)| {
            let case: Self =
                serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(
                path.file_stem().unwrap(),
                case.scenario.as_str(),
                "a case is named after its scenario"
            );
            case
        };
        files("cases").into_iter().map(read).collect()
    }

    /// The command line that runs it.
    pub fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["run", &self.runbook], more].concat()
    }

    /// The verb that answers a question, with what comes after the run and the step.
    pub fn answer(&self, question: &Value) -> Vec<String> {
        if question["kind"] == "approval" {
            let approve = ["approve".to_owned()].into_iter();
            if question["effect"] != "destructive" {
                return approve.collect();
            }
            // What is destructive is approved by typing the name of its target.
            let (_, name) = question["change"]["target"].as_str().unwrap().rsplit_once('/').unwrap();
            return approve.chain(["--confirm".to_owned(), name.to_owned()]).collect();
        }
        let step = question["step"].as_str().unwrap();
        let given = self.live.answers.get(step).unwrap_or_else(|| panic!("nobody expects {question:#}"));
        [&["answer".to_owned()], given.as_slice()].concat()
    }
}

/// The YAML files of a folder below `playbooks/`, in the order of their names.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("playbooks").join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|x| x == "yaml")).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The runbooks that ship, by name.
pub fn runbooks() -> BTreeMap<String, Runbook> {
    let read = |(path, text): (PathBuf, String)| parse(&path.to_string_lossy(), &text).draft.unwrap().runbook;
    files("").into_iter().map(read).map(|runbook| (runbook.name.clone(), runbook)).collect()
}

/// The runbooks that an alert starts, with the inputs that their triggers give them.
pub fn triggered(alert: &Alert) -> Vec<(String, Value)> {
    let names = json!({ "alert": alert.body });
    let mut started = Vec::new();
    for (name, runbook) in runbooks() {
        for trigger in runbook.triggers.iter().filter(|trigger| trigger.source == alert.source) {
            let when = trigger.when.as_deref().unwrap_or("true");
            if expression::holds(when, &names).unwrap() == Some(true) {
                let given = serde_json::to_value(&trigger.inputs).unwrap();
                let given = expression::render(&given, &names).unwrap();
                inputs::resolve(&runbook.inputs, &given).unwrap();
                started.push((name.clone(), given));
            }
        }
    }
    started
}
