//! A ladder of mitigations: climbed in order, or as a person picks, until what it is for holds.

use serde_json::{Value, json};

use super::{
    Node, Phase, Run,
    draft::{Draft, End},
    fold::Corrupt,
    node::{Climb, ClimbStep, Role},
};
use crate::{
    event::{Body, StepStatus},
    fault::Fault,
};

impl Draft {
    /// One more rung, or the end of the ladder.
    pub(super) fn climb(&mut self, path: &str) -> Result<(), Corrupt> {
        let Some(node) = self.node(path) else { return Ok(()) };
        let Phase::Climbing(climb) = node.phase.clone() else { return Ok(()) };
        match climb.step {
            ClimbStep::Before => self.look_before(path),
            ClimbStep::Next => self.next_option(path),
            ClimbStep::Trying(option) => self.option_ended(path, &option, &climb.last),
            ClimbStep::Settling { ref option, .. } => {
                // Without anything to hold, an option has helped once it has succeeded.
                let has_until = node.step().until.is_some();
                match self.holds_by_expression(path) {
                    _ if !has_until => self.helped(path, option),
                    Some(true) => self.helped(path, option),
                    _ => self.did_not_help(path, option, &why_not(&climb)),
                }
            }
        }
    }

    /// `until` as an expression: judged from what is known, without looking.
    fn look_before(&mut self, path: &str) -> Result<(), Corrupt> {
        match self.holds_by_expression(path) {
            Some(true) => self.already_steady(path),
            holds => self.emit(Body::SteadyChecked { step: path.to_owned(), holds, checks: Vec::new() }),
        }
    }

    fn holds_by_expression(&self, path: &str) -> Option<bool> {
        let node = self.node(path)?;
        let source = node.step().until.as_deref()?;
        if source == "steady_state" {
            return None;
        }
        self.run.condition(node, source, self.now).ok().flatten()
    }

    pub(super) fn already_steady(&mut self, path: &str) -> Result<(), Corrupt> {
        let reason = "what it is for holds already: nothing to mitigate";
        if self.run.is_dry() {
            self.foresee_no_need(path, reason)?;
        }
        self.end_ladder(path, Value::Null, reason)
    }

    pub(super) fn helped(&mut self, path: &str, option: &str) -> Result<(), Corrupt> {
        let id = option.rsplit('.').next().unwrap_or(option);
        self.end_ladder(path, json!(id), &format!("`{id}` helped"))
    }

    fn end_ladder(&mut self, path: &str, chosen: Value, reason: &str) -> Result<(), Corrupt> {
        self.emit(Body::StepEnded {
            step: path.to_owned(),
            status: StepStatus::Succeeded,
            passed: Some(true),
            outputs: json!({ "chosen": chosen }),
            reason: Some(reason.to_owned()),
            fault: None,
        })
    }

    fn next_option(&mut self, path: &str) -> Result<(), Corrupt> {
        let Some(node) = self.node(path) else { return Ok(()) };
        let chosen = node.reason.clone();
        let open: Vec<Node> = self
            .run
            .parts_of(path, Role::Option)
            .filter(|option| option.phase == Phase::Waiting)
            .cloned()
            .collect();
        if node.is_chosen_by_operator() && !self.run.is_dry() {
            return match chosen.and_then(|id| open.iter().find(|option| option.step().id == id)) {
                Some(option) => self.start_option(path, &option.step().id.clone()),
                None if open.is_empty() => self.none_helped(path),
                None => self.ask_which(path, &open),
            };
        }
        for option in open {
            match self.run.eligible(&option, self.now) {
                Ok(Some(false)) => self.skip(&option.path)?,
                _ => return self.start_option(path, &option.step().id.clone()),
            }
        }
        self.none_helped(path)
    }

    fn start_option(&mut self, path: &str, option: &str) -> Result<(), Corrupt> {
        self.emit(Body::OptionStarted { step: path.to_owned(), option: option.to_owned() })
    }

    fn ask_which(&mut self, path: &str, open: &[Node]) -> Result<(), Corrupt> {
        let list: Vec<String> = open.iter().map(describe).collect();
        let prompt = format!("Which option? {}", list.join("; "));
        let from =
            self.node(path).and_then(Node::approval).map_or_else(Vec::new, |approval| approval.from.clone());
        self.emit(Body::Asked { step: path.to_owned(), prompt, from })
    }

    fn option_ended(
        &mut self,
        path: &str,
        option: &str,
        last: &[crate::event::SteadyReading],
    ) -> Result<(), Corrupt> {
        let child = format!("{path}.{option}");
        let Some(node) = self.node(&child) else { return Ok(()) };
        let (status, reason) = (node.status(), node.reason.clone());
        let has_until = self.node(path).is_some_and(|ladder| ladder.step().until.is_some());
        match status {
            Some(StepStatus::Succeeded) if self.run.is_dry() => {
                self.emit_next(path, option, "a dry-run looks at every option")
            }
            Some(StepStatus::Succeeded) if !has_until => self.helped(path, option),
            Some(StepStatus::Stuck | StepStatus::Cancelled) => {
                let why = reason.unwrap_or_else(|| "it was stopped".to_owned());
                self.fail(path, Fault::permanent(format!("{option}: {why}")))
            }
            _ => {
                let why = reason.unwrap_or_else(|| why_not_from(last));
                self.emit_next(path, option, &why)
            }
        }
    }

    fn emit_next(&mut self, path: &str, option: &str, why: &str) -> Result<(), Corrupt> {
        self.emit(Body::OptionDidNotHelp {
            step: path.to_owned(),
            option: option.to_owned(),
            why: why.to_owned(),
        })
    }

    fn did_not_help(&mut self, path: &str, option: &str, why: &str) -> Result<(), Corrupt> {
        let id = option.rsplit('.').next().unwrap_or(option).to_owned();
        self.emit_next(path, &id, why)
    }

    fn none_helped(&mut self, path: &str) -> Result<(), Corrupt> {
        if self.run.is_dry() {
            self.foresee_composite(path)?;
            return self.end(path, End::of(StepStatus::Succeeded));
        }
        self.fail(path, Fault::permanent("none of the options helped"))
    }
}

impl Run {
    /// Whether an option's `when` holds.
    fn eligible(&self, option: &Node, now: crate::Timestamp) -> Result<Option<bool>, String> {
        match &option.step().when {
            Some(source) => self.condition(option, source, now),
            None => Ok(Some(true)),
        }
    }
}

fn describe(option: &Node) -> String {
    let step = option.step();
    let risk = step.risk.map(|risk| format!(", risk {risk:?}").to_lowercase()).unwrap_or_default();
    let eta = step.eta.map(|eta| format!(", about {eta}")).unwrap_or_default();
    format!("{} ({}{risk}{eta})", step.id, step.label())
}

fn why_not(climb: &Climb) -> String {
    why_not_from(&climb.last)
}

fn why_not_from(last: &[crate::event::SteadyReading]) -> String {
    let open: Vec<String> = last
        .iter()
        .filter(|check| check.passed != Some(true))
        .map(|check| format!("{} ({})", check.id, check.seen))
        .collect();
    if open.is_empty() {
        "what it is for does not hold".to_owned()
    } else {
        format!("still not steady: {}", open.join(", "))
    }
}
