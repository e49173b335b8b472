//! Looks at everything that a runbook would use, without running it: each call as far as its input can
//! be told now, each secret, each group that is asked.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use runbook_contract::Obstacle;
use runbook_core::{
    Timestamp, Value, expression, inputs,
    runbook::{Approval, Kind, Runbook, Step},
    secret, unknown,
};
use runbook_engine::Engine;
use serde_json::{Map, json};

use super::{Finding, State};
use crate::{
    library::Library,
    person,
    wire::{self, Wired},
};

/// How many calls are looked at together.
const AT_ONCE: usize = 8;
/// Runbooks that run each other in a circle are refused by the checker; this is for those that nest
/// without an end in sight.
const DEEPEST: usize = 8;

pub struct Looker<'a> {
    wired: &'a Wired,
    library: &'a Library,
    engine: Engine,
}

/// A call that is to be looked at.
struct Call {
    step: String,
    action: String,
    input: Result<Value, String>,
}

/// What a runbook comes to, with those that it enters.
#[derive(Default)]
struct Found {
    calls: Vec<Call>,
    findings: Vec<Finding>,
}

impl<'a> Looker<'a> {
    pub fn new(wired: &'a Wired, library: &'a Library) -> Self {
        Self { wired, library, engine: wired.engine(wire::memory()) }
    }

    pub async fn runbook(&self, runbook: &Runbook, inputs: Value) -> Vec<Finding> {
        let mut found = Found::default();
        self.collect(runbook, &inputs, "", 0, &mut found);
        let looked = stream::iter(found.calls).map(|call| self.call(call)).buffered(AT_ONCE);
        let mut findings: Vec<Finding> = looked.collect::<Vec<_>>().await.concat();
        findings.extend(found.findings);
        findings.extend(self.frozen());
        findings
    }

    fn collect(&self, runbook: &Runbook, inputs: &Value, prefix: &str, depth: usize, found: &mut Found) {
        self.secrets(runbook, found);
        let names = self.names(runbook, inputs);
        for check in &runbook.steady_state {
            let input = render(&check.with, &names);
            let step = format!("{prefix}steady_state.{}", check.id);
            found.calls.push(Call { step, action: check.check.clone(), input });
        }
        for step in runbook.steps.iter().chain(&runbook.finally) {
            self.step(step, &names, prefix, depth, found);
        }
    }

    fn step(&self, step: &Step, names: &Value, prefix: &str, depth: usize, found: &mut Found) {
        let ruled_out = |when: &String| matches!(expression::holds(when, names), Ok(Some(false)));
        if step.when.as_ref().is_some_and(ruled_out) {
            return;
        }
        let path = format!("{prefix}{}", step.id);
        if let Some(approval) = &step.approval {
            self.approval(approval, &path, found);
        }
        match step.kind() {
            Some(Kind::Check(action) | Kind::Action(action)) => {
                found.calls.push(Call {
                    step: path,
                    action: action.to_owned(),
                    input: render(&step.with, names),
                });
            }
            Some(Kind::Options(options)) => {
                for option in options {
                    self.step(option, names, &format!("{path}."), depth, found);
                }
            }
            Some(Kind::Run(name)) => self.nested(name, step, names, &path, depth, found),
            _ => {}
        }
    }

    fn nested(&self, name: &str, step: &Step, names: &Value, path: &str, depth: usize, found: &mut Found) {
        let Some(runbook) = self.library.runbooks.get(name).filter(|_| depth < DEEPEST) else { return };
        let given = render(&step.with, names);
        let resolved = given.and_then(|given| {
            inputs::resolve(&runbook.inputs, &given)
                .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        });
        match resolved {
            Ok(inputs) => self.collect(runbook, &inputs, &format!("{path}."), depth + 1, found),
            Err(why) => found.findings.push(Finding {
                step: Some(path.to_owned()),
                action: None,
                state: State::Unknown,
                code: "inputs".to_owned(),
                message: format!("the inputs of `{name}`: {why}"),
                hint: None,
            }),
        }
    }

    /// What a step's `with` may name; what other steps give is not known before they ran.
    fn names(&self, runbook: &Runbook, inputs: &Value) -> Value {
        let options = runbook.steps.iter().flat_map(|step| step.options.iter().flatten());
        let steps: Map<String, Value> = runbook
            .steps
            .iter()
            .chain(options)
            .chain(&runbook.finally)
            .map(|step| {
                (step.id.clone(), unknown::because(format!("`{}` gives it while the runbook runs", step.id)))
            })
            .collect();
        let marks: BTreeMap<&str, String> =
            runbook.secrets.iter().map(|name| (name.as_str(), secret::mark(name))).collect();
        let now = Timestamp::now().to_string();
        let later = || unknown::because("it is known while the runbook runs");
        json!({
            "inputs": inputs,
            "alert": later(),
            "incident": null,
            "item": later(),
            "now": now,
            "run": {
                "id": later(),
                "name": runbook.name,
                "environment": self.wired.name,
                "simulated": self.wired.simulated.is_some(),
                "dry_run": false,
                "reason": null,
                "requested_by": person::at_the_terminal().name,
                "started_at": now,
                "recovered": later(),
                "status": later(),
                "now": now,
            },
            "steps": steps,
            "secrets": marks,
        })
    }

    /// A freeze does not make a runbook unready, but whoever runs it now has to know.
    fn frozen(&self) -> Option<Finding> {
        let freeze = self.wired.policy.freeze_at(Timestamp::now())?;
        let until = freeze.until.strftime("%Y-%m-%d %H:%M UTC");
        Some(Finding {
            step: None,
            action: None,
            state: State::Warning,
            code: "frozen".to_owned(),
            message: format!("changes are frozen until {until}: {}", freeze.reason),
            hint: Some("`runbook run … --override --reason TEXT` changes things all the same".to_owned()),
        })
    }

    fn secrets(&self, runbook: &Runbook, found: &mut Found) {
        for name in &runbook.secrets {
            if let Err(why) = self.wired.secret(name) {
                found.findings.push(Finding {
                    step: None,
                    action: None,
                    state: State::Blocked,
                    code: "secret".to_owned(),
                    message: why,
                    hint: Some("define it under `secrets` in runbook.yaml".to_owned()),
                });
            }
        }
    }

    /// Whether there is anybody to say yes.
    fn approval(&self, approval: &Approval, path: &str, found: &mut Found) {
        let policy = &self.wired.policy;
        if policy.everyone || approval.from.is_empty() {
            return;
        }
        let mut people: Vec<&str> = Vec::new();
        for name in &approval.from {
            match policy.groups.get(name) {
                Some(members) => people.extend(members.iter().map(String::as_str)),
                None => people.push(name),
            }
        }
        people.sort_unstable();
        people.dedup();
        let me = person::at_the_terminal().name;
        let others = people.iter().filter(|name| policy.allow_self || **name != me).count();
        let needed = approval.count.unwrap_or(1) as usize;
        let mut say = |state, message: String| {
            found.findings.push(Finding {
                step: Some(path.to_owned()),
                action: None,
                state,
                code: "approvers".to_owned(),
                message,
                hint: Some("`people.groups` in runbook.yaml says who is in a group".to_owned()),
            });
        };
        if people.len() < needed {
            say(
                State::Blocked,
                format!("{needed} have to approve, and {} has {}", approval.from.join(", "), people.len()),
            );
        } else if others < needed {
            say(
                State::Warning,
                "only you could approve, and nobody may approve a run of their own".to_owned(),
            );
        }
    }

    async fn call(&self, call: Call) -> Vec<Finding> {
        let one = |state, code: &str, message: String, hint: Option<String>| Finding {
            step: Some(call.step.clone()),
            action: Some(call.action.clone()),
            state,
            code: code.to_owned(),
            message: secret::mask_text(&message),
            hint,
        };
        if self.wired.registry().get(&call.action).is_none() {
            let provider = call.action.split('.').next().unwrap_or_default();
            let message = format!("environment `{}` has no `{provider}`", self.wired.name);
            let hint = format!("configure `{provider}` for it in runbook.yaml");
            return vec![one(State::Blocked, "not_configured", message, Some(hint))];
        }
        let input = match &call.input {
            Ok(input) => input,
            Err(why) => return vec![one(State::Unknown, "input", why.clone(), None)],
        };
        match self.engine.preflight(&call.action, input).await {
            Err(fault) => vec![one(State::Blocked, "failed", fault.message, fault.hint)],
            Ok(obstacles) if obstacles.is_empty() => vec![one(State::Ready, "ready", String::new(), None)],
            Ok(obstacles) => obstacles
                .into_iter()
                .map(|Obstacle { blocking, code, message, hint }| {
                    one(if blocking { State::Blocked } else { State::Warning }, &code, message, hint)
                })
                .collect(),
        }
    }
}

/// A rendered input, or why it cannot be told yet.
fn render(with: &Value, names: &Value) -> Result<Value, String> {
    let input = expression::render(with, names).map_err(|error| error.to_string())?;
    if unknown::within(&input) { Err("its input follows from other steps".to_owned()) } else { Ok(input) }
}
