//! The steps of a runbook as they are written, each with what it does to the world and who is
//! asked. Nothing is evaluated: conditions stay words.

use std::collections::BTreeMap;

use runbook_core::{
    Value,
    check::effect_of,
    runbook::{Approval, Kind, OnTimeout, Runbook, Step, UndoChoice},
    spec::{ActionSpec, Effect, UndoSupport},
    timeline::crowd,
};
use serde_json::json;

use crate::library::Library;

/// All steps of a runbook, options below their ladder, those that always run last.
#[derive(Debug)]
pub struct Outline<'a> {
    pub lines: Vec<Line<'a>>,
}

#[derive(Debug)]
pub struct Line<'a> {
    pub step: &'a Step,
    /// The step that an option belongs to.
    pub ladder: Option<&'a Step>,
    pub is_final: bool,
    pub spec: Option<&'a ActionSpec>,
    /// The gravest that it may do, as far as its input is written out.
    pub effect: Option<Effect>,
}

impl<'a> Outline<'a> {
    pub fn of(runbook: &'a Runbook, library: &'a Library, specs: &'a BTreeMap<String, ActionSpec>) -> Self {
        let scope = Scope { library, specs };
        let mut lines = Vec::new();
        for (steps, is_final) in [(&runbook.steps, false), (&runbook.finally, true)] {
            for step in steps {
                lines.push(scope.line(step, None, is_final));
                for option in step.options.iter().flatten() {
                    lines.push(scope.line(option, Some(step), is_final));
                }
            }
        }
        Self { lines }
    }

    /// How many steps there are; a ladder counts by its options.
    pub fn steps(&self) -> usize {
        self.lines.iter().filter(|line| line.step.options.is_none()).count()
    }
    /// How many steps somebody is asked about before they happen.
    pub fn gates(&self) -> usize {
        self.lines.iter().filter(|line| line.step.options.is_none() && line.gate().is_some()).count()
    }
    /// The gravest effect of any step.
    pub fn effect(&self) -> Effect {
        self.lines.iter().filter_map(|line| line.effect).max().unwrap_or(Effect::Read)
    }
}

#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    library: &'a Library,
    specs: &'a BTreeMap<String, ActionSpec>,
}

impl<'a> Scope<'a> {
    fn line(self, step: &'a Step, ladder: Option<&'a Step>, is_final: bool) -> Line<'a> {
        let action = step.check.as_ref().or(step.action.as_ref());
        let spec = action.and_then(|name| self.specs.get(name));
        Line { step, ladder, is_final, spec, effect: self.effect(step) }
    }

    fn effect(self, step: &Step) -> Option<Effect> {
        let within = match step.kind()? {
            Kind::Options(options) => options.iter().filter_map(|option| self.own_effect(option)).max(),
            Kind::Run(name) => self.effect_of_run(name),
            _ => self.own_effect(step),
        };
        within.max(step.effect)
    }

    /// The effect of the action that a step itself names.
    fn own_effect(self, step: &Step) -> Option<Effect> {
        let own = match step.kind()? {
            Kind::Check(_) => Some(Effect::Read),
            Kind::Action(name) => self.specs.get(name).map(|spec| effect_of(spec, &step.with)),
            _ => None,
        };
        own.max(step.effect)
    }

    /// The gravest effect in a runbook that is run and in all that it runs in turn.
    fn effect_of_run(self, name: &str) -> Option<Effect> {
        let mut all = self.library.closure(name);
        all.extend(self.library.runbooks.get(name).map(|runbook| (name.to_owned(), runbook.clone())));
        let steps = all.values().flat_map(|runbook| runbook.steps.iter().chain(&runbook.finally));
        let actions = steps.flat_map(|step| std::iter::once(step).chain(step.options.iter().flatten()));
        actions.filter_map(|step| self.own_effect(step)).max()
    }
}

impl Line<'_> {
    /// `kubernetes.scale`, the runbook that is run, what is waited for.
    pub fn does(&self) -> String {
        match self.step.kind() {
            Some(Kind::Check(name) | Kind::Action(name) | Kind::Run(name)) => name.to_owned(),
            Some(Kind::Approval(approval)) => approval.prompt.clone().unwrap_or_default(),
            Some(Kind::Manual(manual)) => manual.prompt.clone(),
            Some(Kind::Wait(what)) => match (self.step.hold, self.step.timeout) {
                (Some(hold), _) => format!("{what} for {hold}"),
                (None, Some(timeout)) => format!("{what}, at most {timeout}"),
                (None, None) => what.to_owned(),
            },
            Some(Kind::Options(_)) => {
                self.step.until.as_deref().map(|until| format!("until {until}")).unwrap_or_default()
            }
            None => String::new(),
        }
    }

    pub fn kind(&self) -> &'static str {
        match (self.ladder, self.step.kind()) {
            (Some(_), _) => "option",
            (None, Some(kind)) => kind.name(),
            (None, None) => "",
        }
    }

    /// Who is asked, and how long that stands open.
    pub fn gate(&self) -> Option<String> {
        let of_ladder = || self.ladder.and_then(|ladder| ladder.approval.as_ref());
        match self.step.approval.as_ref().or_else(of_ladder) {
            Some(approval) => Some(asked(approval)),
            // The engine asks about every destructive change.
            None if self.step.options.is_none() && self.effect == Some(Effect::Destructive) => {
                self.step.action.as_ref().map(|_| "anyone".to_owned())
            }
            None => None,
        }
    }

    pub fn undo(&self) -> &str {
        if self.step.action.is_none() {
            return "";
        }
        match (&self.step.undo, self.spec.map(|spec| &spec.undo)) {
            (Some(UndoChoice::Never), _) => "never",
            (Some(UndoChoice::Action(own)), _) => &own.action,
            (_, Some(UndoSupport::None(_))) => "none",
            (_, Some(UndoSupport::Auto(_)) | None) => "auto",
        }
    }

    pub fn risk(&self) -> String {
        self.step.risk.map(|risk| format!("{risk:?}").to_lowercase()).unwrap_or_default()
    }
    pub fn eta(&self) -> String {
        self.step.eta.map(|eta| eta.to_string()).unwrap_or_default()
    }
    pub fn retry(&self) -> String {
        self.step.retry.as_ref().map(|retry| format!("{}x", retry.limit)).unwrap_or_default()
    }

    /// Under which condition, for each of what, after what.
    pub fn when(&self) -> String {
        let step = self.step;
        let after = match step.needs.as_deref() {
            Some([]) => Some("at once".to_owned()),
            Some(needs) => Some(format!("after {}", needs.join(", "))),
            None => None,
        };
        let each = step.for_each.as_ref().map(|_| "for each item".to_owned());
        let when = step.when.as_ref().map(|when| format!("if {when}"));
        let always = self.is_final.then(|| "always".to_owned());
        [always, after, each, when].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    pub fn document(&self) -> Value {
        json!({
            "id": self.step.id,
            "ladder": self.ladder.map(|ladder| &ladder.id),
            "title": self.step.title,
            "kind": self.kind(),
            "does": self.does(),
            "action": self.step.check.as_ref().or(self.step.action.as_ref()),
            "effect": self.effect,
            "gate": self.gate(),
            "risk": self.step.risk,
            "eta": self.step.eta,
            "undo": Some(self.undo()).filter(|undo| !undo.is_empty()),
            "retry": self.step.retry,
            "needs": self.step.needs,
            "when": self.step.when,
            "finally": self.is_final,
        })
    }
}

fn asked(approval: &Approval) -> String {
    let who = crowd(approval.count.unwrap_or(1), &approval.from);
    let within = approval.timeout.map(|timeout| format!(" within {timeout}")).unwrap_or_default();
    let then = match approval.on_timeout {
        Some(OnTimeout::Escalate) if !approval.escalate_to.is_empty() => {
            format!(", then {}", approval.escalate_to.join(", then "))
        }
        _ => String::new(),
    };
    format!("{who}{within}{then}")
}
