//! What a run is made of before it starts: the runbook and those it enters, frozen, its inputs, and
//! the policy of its environment.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use runbook_core::{
    Timestamp, Value,
    event::{Created, Hands},
    inputs::{self, InputProblem},
    parse,
    runbook::Runbook,
};
use serde_json::{Map, json};

use crate::{
    config::shown,
    exit::{CliError, Findings},
    wire::Wired,
};

/// The runbook of a run, those that it enters, and what it is told.
#[derive(Debug, Clone)]
pub struct Request {
    pub runbook: Arc<Runbook>,
    pub library: BTreeMap<String, Arc<Runbook>>,
    pub inputs: Value,
    pub reason: Option<String>,
    /// Freezes and cool-downs do not hold for it.
    pub overriding: bool,
    pub incident: Option<String>,
    /// The moment of the plan, where it is kept or bound to one.
    pub planned_at: Option<Timestamp>,
}

impl Request {
    /// The first event of a run in this environment.
    pub fn created(
        &self,
        wired: &Wired,
        hands: Hands,
        bound_to: Option<BTreeMap<String, String>>,
    ) -> Created {
        Created {
            runbook: self.runbook.clone(),
            library: self.library.clone(),
            inputs: self.inputs.clone(),
            environment: wired.name.clone(),
            simulated: wired.simulated.clone(),
            speed: wired.speed,
            hands,
            policy: wired.policy.clone(),
            reason: self.reason.clone(),
            overriding: self.overriding,
            incident: self.incident.clone(),
            alert: Value::Null,
            trace_parent: None,
            bound_to,
            planned_at: self.planned_at,
        }
    }
}

/// The inputs of a run from `-i KEY=VALUE` and a file, each by its declared type. Everything that is
/// wrong with them is told at once.
pub fn inputs(runbook: &Runbook, given: &[String], file: Option<&PathBuf>) -> Result<Value, CliError> {
    let mut values = file.map(|file| from_file(file)).transpose()?.unwrap_or_default();
    let mut problems: Vec<String> = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for text in given {
        let Some((name, text)) = text.split_once('=') else {
            problems.push(format!("`{text}` is no input: write it like -i KEY=VALUE"));
            continue;
        };
        if given.iter().filter(|other| other.split_once('=').is_some_and(|(key, _)| key == name)).count() > 1
        {
            if !told.contains(&name) {
                problems.push(format!("input `{name}` is given more than once"));
                told.push(name);
            }
            continue;
        }
        let value = match runbook.inputs.get(name) {
            Some(spec) => inputs::from_text(name, spec, text),
            // Whoever resolves it says that there is no such input.
            None => Ok(Value::from(text)),
        };
        match value {
            Ok(value) => drop(values.insert(name.to_owned(), value)),
            Err(problem) => {
                problems.push(worded(&problem));
                told.push(name);
            }
        }
    }
    match inputs::resolve(&runbook.inputs, &Value::Object(values)) {
        Ok(resolved) if problems.is_empty() => Ok(resolved),
        Ok(_) => Err(refused(runbook, &problems)),
        Err(more) => {
            let more = more.iter().filter(|problem| !told.contains(&problem.input.as_str()));
            problems.extend(more.map(worded));
            Err(refused(runbook, &problems))
        }
    }
}

fn refused(runbook: &Runbook, problems: &[String]) -> CliError {
    let hint = format!("`runbook describe {}` shows its inputs", runbook.name);
    match problems {
        [one] => CliError::invalid(one).hint(hint),
        several => {
            let list: Vec<String> = several.iter().map(|problem| format!("\n  - {problem}")).collect();
            CliError::invalid(format!("{} inputs cannot be taken:{}", several.len(), list.concat()))
                .hint(hint)
        }
    }
}

fn worded(problem: &InputProblem) -> String {
    match &problem.hint {
        Some(hint) => format!("{problem} ({hint})"),
        None => problem.to_string(),
    }
}

fn from_file(file: &Path) -> Result<Map<String, Value>, CliError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        CliError::invalid(format!("{} could not be read: {error}", file.display()))
            .hint("--inputs names a YAML or JSON file of names and values")
    })?;
    let name = shown(file);
    let schema = json!({ "type": "object" });
    let parsed = parse::parse_as::<BTreeMap<String, Value>>(&name, &text, &schema, "the file of inputs");
    match parsed.value {
        Some(values) => Ok(values.into_iter().collect()),
        None => Err(CliError::invalid(format!("{name} cannot be used as inputs"))
            .findings(Findings { findings: parsed.findings, documents: vec![parsed.document] })),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn runbook() -> Runbook {
        let text = "apiVersion: runbook/v1\nname: a\ninputs:\n  service: { type: string }\n  \
                    replicas: { type: integer, default: 3, minimum: 1, maximum: 20 }\n  \
                    dry: { type: boolean, default: false }\nsteps: [{ id: x, wait: 1s }]\n";
        parse::parse("a.yaml", text).runbook.unwrap()
    }

    fn given(texts: &[&str]) -> Result<Value, CliError> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        inputs(&runbook(), &texts, None)
    }

    #[test]
    fn inputs_take_their_declared_types() {
        assert_eq!(
            given(&["service=a=b", "replicas=5", "dry=true"]).unwrap(),
            json!({ "service": "a=b", "replicas": 5, "dry": true })
        );
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let told = given(&["replicas=many", "dry", "servce=api", "dry=true", "dry=false"]).unwrap_err();
        for part in
            ["5 inputs", "`replicas` must be", "`dry` is no input", "`dry` is given more than once", "servce"]
        {
            assert!(told.message.contains(part), "{part} in {}", told.message);
        }
        let told = given(&["replicas=21", "service=api"]).unwrap_err();
        assert!(told.message.contains("20") && !told.message.contains("inputs"), "{}", told.message);
        assert!(given(&[]).unwrap_err().message.contains("`service` must be given"));
    }

    #[test]
    fn a_file_gives_inputs_and_arguments_go_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inputs.yaml");
        std::fs::write(&file, "service: api\nreplicas: 7\n").unwrap();
        let taken = inputs(&runbook(), &["replicas=8".to_owned()], Some(&file)).unwrap();
        assert_eq!(taken, json!({ "service": "api", "replicas": 8, "dry": false }));
        std::fs::write(&file, "- service\n").unwrap();
        assert!(inputs(&runbook(), &[], Some(&file)).unwrap_err().findings.is_some());
    }
}
