//! What the steps of a run are, without the rest of their definitions.

use std::collections::BTreeMap;

use runbook_core::{
    event::Created,
    runbook::{Kind, Runbook, Step},
};

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    pub word: &'static str,
    /// The action that it calls, or the runbook that it enters.
    pub calls: Option<String>,
}

/// The steps of a run by their paths.
#[derive(Debug)]
pub struct Kinds {
    known: BTreeMap<String, Sort>,
    library: BTreeMap<String, Vec<(String, Sort)>>,
}

impl Kinds {
    pub fn of(created: &Created) -> Self {
        let library = created.library.iter().map(|(name, runbook)| (name.clone(), steps(runbook)));
        Self { known: steps(&created.runbook).into_iter().collect(), library: library.collect() }
    }

    /// A step has entered another runbook.
    pub fn enter(&mut self, path: &str, runbook: &str) {
        let steps = self.library.get(runbook).into_iter().flatten();
        self.known.extend(steps.map(|(id, sort)| (format!("{path}.{id}"), sort.clone())));
    }

    pub fn get(&self, path: &str) -> Option<&Sort> {
        let path = path.strip_suffix("~undo").unwrap_or(path);
        self.known.get(path).or_else(|| self.known.get(&without_items(path)))
    }
}

/// A path with the numbers of items left out: `drain[2].pods` is `drain.pods`.
pub fn without_items(path: &str) -> String {
    let mut inside = false;
    let outside = |c: &char| match c {
        '[' => {
            inside = true;
            false
        }
        ']' => {
            inside = false;
            false
        }
        _ => !inside,
    };
    path.chars().filter(outside).collect()
}

fn steps(runbook: &Runbook) -> Vec<(String, Sort)> {
    let mut found = Vec::new();
    for step in runbook.steps.iter().chain(&runbook.finally) {
        found.push((step.id.clone(), sort(step)));
        let options = step.options.iter().flatten();
        found.extend(options.map(|option| (format!("{}.{}", step.id, option.id), sort(option))));
    }
    found
}

fn sort(step: &Step) -> Sort {
    let (word, calls) = match step.kind() {
        Some(Kind::Check(action)) => ("check", Some(action)),
        Some(Kind::Action(action)) => ("action", Some(action)),
        Some(Kind::Approval(_)) => ("approval", None),
        Some(Kind::Manual(_)) => ("manual", None),
        Some(Kind::Wait(_)) => ("wait", None),
        Some(Kind::Options(_)) => ("options", None),
        Some(Kind::Run(runbook)) => ("run", Some(runbook)),
        None => ("step", None),
    };
    Sort { word, calls: calls.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_no_number() {
        for (path, without) in
            [("a", "a"), ("drain[12]", "drain"), ("drain[2].pods", "drain.pods"), ("a[1].b[2].c", "a.b.c")]
        {
            assert_eq!(without_items(path), without);
        }
    }
}
