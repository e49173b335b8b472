//! What is said to a run and what follows from it.

use serde_json::Value;

use super::{
    Input, Node, Phase, Rejected, RejectedKind, Run, Stage,
    draft::{Draft, End},
    fold::Corrupt,
    foresee::waits_for,
    node::{About, Role},
};
use crate::{
    Timestamp,
    event::{Actor, Answer, Body, Event, StepStatus},
    expression,
    fault::Fault,
    inputs,
    runbook::{Kind, UndoChoice},
    secret, unknown,
};

/// How many items one `for_each` may have.
pub const MOST_ITEMS: usize = 100;
/// How many events one run may have; a run that reaches it is ended rather than grown.
pub const MOST_EVENTS: u64 = 20_000;

impl Run {
    /// What follows from an input at a time. Nothing of this run changes: whoever asks journals the
    /// events, and goes on from the state after them. A late or repeated result of an effect gives
    /// no events.
    pub fn decide(&self, input: Input, actor: &Actor, now: Timestamp) -> Result<Decided, Rejected> {
        let mut draft = Draft::of(self, now);
        if self.ended.is_some() && !matches!(input, Input::Undo { .. }) {
            return match input {
                Input::Approve { .. }
                | Input::Delegate { .. }
                | Input::Reject { .. }
                | Input::Answer { .. }
                | Input::Cancel { .. } => Err(Rejected::new(
                    RejectedKind::NotNow,
                    format!("run {} has ended: {}", self.id, self.status()),
                )),
                _ => Ok(draft.decided()),
            };
        }
        if self.seq > MOST_EVENTS && self.cancel.is_none() {
            draft.emit(Body::CancelRequested {
                undo: false,
                reason: Some(format!("more than {MOST_EVENTS} events")),
            })?;
        }
        draft.take(input, actor)?;
        draft.advance()?;
        Ok(draft.decided())
    }
}

/// What follows from an input.
#[derive(Debug)]
pub struct Decided {
    pub events: Vec<Event>,
    /// The state once they are applied.
    pub next: Run,
}

impl Draft {
    fn take(&mut self, input: Input, actor: &Actor) -> Result<(), Rejected> {
        match input {
            Input::Tick => {}
            Input::Resumed { owner } => self.emit(Body::RunResumed { owner })?,
            Input::Checked { step, reading } => self.checked(&step, reading)?,
            Input::SteadyRead { step, readings } => self.steady_read(&step, readings)?,
            Input::Planned { step, outcome } => self.planned(&step, outcome)?,
            Input::Confirmed { step, outcome } => self.confirmed(&step, outcome)?,
            Input::Busy { step, target, held_by } => self.busy(&step, target, held_by)?,
            Input::Applied { step, outcome } => self.applied(&step, outcome)?,
            Input::Probed { step, outcome } => self.probed(&step, outcome)?,
            Input::Verified { step, outcome } => self.verified(&step, outcome)?,
            Input::Approve { step, digest, comment, break_glass } => {
                self.approve(actor, &step, &digest, comment, break_glass)?;
            }
            Input::Delegate { step, to, comment } => self.delegate(actor, &step, to, comment)?,
            Input::Reject { step, comment } => self.reject(actor, &step, comment)?,
            Input::Answer { step, answer } => self.answer(actor, &step, answer)?,
            Input::Cancel { undo, reason } => self.cancel(actor, undo, reason)?,
            Input::AlertResolved { ends_at } => self.alert_resolved(actor, ends_at)?,
            Input::Undo { reason } => self.undo(actor, reason)?,
        }
        Ok(())
    }

    fn cancel(&mut self, actor: &Actor, undo: bool, reason: Option<String>) -> Result<(), Rejected> {
        if self.run.cancel.is_some() {
            return Err(Rejected::new(RejectedKind::NotNow, "the run is being cancelled already"));
        }
        // Nothing would stop: what is taken back, and what runs in the end, goes on after a cancel too.
        let over = |what: &str, hint: &str| Err(Rejected::new(RejectedKind::NotNow, what).hint(hint));
        match self.run.frames.get("").map(|root| root.stage) {
            Some(Stage::TakingBack) => over(
                "the run is taking its changes back",
                "`runbook reject` or `runbook answer` leaves a change as it is that it asks about",
            )?,
            Some(Stage::Finally) => over("the run is ending", "its steps under `finally` always run")?,
            _ => {}
        }
        self.emit_as(actor.clone(), Body::CancelRequested { undo, reason })?;
        Ok(())
    }

    /// Detectors repeat themselves: only the first time counts.
    fn alert_resolved(&mut self, actor: &Actor, ends_at: Option<Timestamp>) -> Result<(), Rejected> {
        let status = self.run.alert.get("status").and_then(Value::as_str);
        if status.is_some_and(|status| status != "resolved") {
            self.emit_as(actor.clone(), Body::AlertResolved { ends_at })?;
        }
        Ok(())
    }

    fn undo(&mut self, actor: &Actor, reason: Option<String>) -> Result<(), Rejected> {
        if self.run.ended.is_none() {
            return Err(Rejected::new(RejectedKind::NotNow, format!("run {} is still going", self.run.id))
                .hint("stop it with `runbook cancel RUN --undo`"));
        }
        if self.run.to_take_back("").is_empty() {
            let why = self.run.left_as_they_are("").unwrap_or_else(|| "it changed nothing".to_owned());
            return Err(Rejected::new(
                RejectedKind::Invalid,
                format!("run {} has nothing to undo: {why}", self.run.id),
            ));
        }
        self.emit_as(actor.clone(), Body::UndoRequested { reason })?;
        Ok(())
    }

    fn answer(&mut self, actor: &Actor, path: &str, answer: Answer) -> Result<(), Rejected> {
        let node = self.node(path).ok_or_else(|| {
            Rejected::new(RejectedKind::Invalid, format!("the run has no step `{path}`"))
                .hint("`runbook approvals` lists what is open")
        })?;
        let Phase::Asking(asking) = &node.phase else {
            return Err(Rejected::new(RejectedKind::NotNow, format!("`{path}` asks nothing"))
                .hint("`runbook approvals` lists what is open"));
        };
        let asking = asking.clone();
        self.may_answer(actor, &asking.from)?;
        let answer = self.fitting(path, asking.about, answer)?;
        self.emit_as(actor.clone(), Body::Answered { step: path.to_owned(), answer: answer.clone() })?;
        self.answered(actor, path, asking.about, answer)?;
        Ok(())
    }

    /// The answer, checked against the question.
    fn fitting(&self, path: &str, about: About, answer: Answer) -> Result<Answer, Rejected> {
        let invalid = |message: String| Rejected::new(RejectedKind::Invalid, message);
        match (about, answer) {
            (About::Choice, Answer::Option(id)) => {
                let open: Vec<&str> = self
                    .run
                    .parts_of(path, Role::Option)
                    .filter(|option| option.phase == Phase::Waiting)
                    .map(|option| option.step().id.as_str())
                    .collect();
                if open.contains(&id.as_str()) {
                    return Ok(Answer::Option(id));
                }
                Err(invalid(format!("`{id}` is not an option that is left"))
                    .hint(format!("choose one of: {}", open.join(", "))))
            }
            (About::Manual, Answer::Done { values, comment }) => {
                let form = match self.node(path).and_then(Node::kind) {
                    Some(Kind::Manual(manual)) => manual.form.clone(),
                    _ => indexmap::IndexMap::new(),
                };
                let values = inputs::resolve(&form, &secret::sanitize(values)).map_err(|problems| {
                    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    invalid(list.join("; "))
                })?;
                Ok(Answer::Done { values, comment })
            }
            (About::Manual, answer @ (Answer::ManualFailed { .. } | Answer::ManualSkipped { .. })) => {
                Ok(answer)
            }
            (About::Doubt, answer @ (Answer::Happened | Answer::DidNotHappen | Answer::Stop)) => Ok(answer),
            (About::Conflict, answer @ (Answer::Proceed | Answer::Stop)) => Ok(answer),
            (about, _) => {
                let fits = match about {
                    About::Choice => "the id of an option",
                    About::Manual => "`done` (with KEY=VALUE where the form asks), `failed` or `skipped`",
                    About::Doubt => "`happened`, `did-not-happen` or `stop`",
                    About::Conflict => "`proceed` or `stop`",
                };
                Err(invalid(format!("that does not answer what `{path}` asks"))
                    .hint(format!("answer with {fits}")))
            }
        }
    }

    fn answered(&mut self, actor: &Actor, path: &str, about: About, answer: Answer) -> Result<(), Corrupt> {
        let step = path.to_owned();
        let why = |word: &str, comment: Option<String>| match comment {
            Some(comment) => format!("{} said {word}: {comment}", actor.name),
            None => format!("{} said {word}", actor.name),
        };
        match (about, answer) {
            (_, Answer::Done { comment, .. }) => {
                self.end(path, End::because(StepStatus::Succeeded, why("done", comment)).passed(Some(true)))
            }
            (_, Answer::ManualFailed { comment }) => {
                self.fail(path, Fault::permanent(why("failed", comment)))
            }
            (_, Answer::ManualSkipped { comment }) => {
                self.end(path, End::because(StepStatus::Skipped, why("skipped", comment)))
            }
            (_, Answer::Happened) => self.emit(Body::DoubtSettled { step, landed: true }),
            (_, Answer::DidNotHappen) => self.emit(Body::DoubtSettled { step, landed: false }),
            (_, Answer::Stop) => self.stop_taking_back(path, &actor.name),
            (_, Answer::Option(_) | Answer::Proceed) => Ok(()),
        }
    }

    pub(super) fn skip(&mut self, path: &str) -> Result<(), Corrupt> {
        let when = self.node(path).and_then(|node| node.step().when.clone()).unwrap_or_default();
        let reason = format!("`{when}` does not hold");
        if self.run.is_dry() {
            self.foresee_skip(path, &reason)?;
        }
        self.end(path, End::because(StepStatus::Skipped, reason))
    }

    /// Begins the work of a step whose turn it is.
    pub(super) fn start(&mut self, path: &str) -> Result<(), Corrupt> {
        let Some(node) = self.run.nodes.get(path).cloned() else { return Ok(()) };
        if let Some(when) = node.step().when.clone()
            && self.is_asked_here(&node, &when)
        {
            match self.run.condition(&node, &when, self.now) {
                Ok(Some(false)) => return self.skip(path),
                Ok(None) if !self.run.is_dry() => {
                    return self.fail(path, Fault::permanent(format!("`{when}` cannot be told")));
                }
                Ok(_) => {}
                Err(why) => return self.fail(path, Fault::permanent(why)),
            }
        }
        if node.role == Role::Undo {
            return self.start_undo(&node);
        }
        if node.is_spread() {
            return self.start_spread(&node);
        }
        match node.kind() {
            Some(Kind::Check(_) | Kind::Action(_)) => self.start_call(&node),
            Some(Kind::Run(name)) => self.start_nested(&node, name),
            Some(Kind::Options(_)) => self.started(path, Value::Null),
            Some(Kind::Approval(_) | Kind::Manual(_) | Kind::Wait(_)) if self.run.is_dry() => {
                self.started(path, Value::Null)?;
                self.foresee_wait(path, waits_for(&node))
            }
            Some(Kind::Approval(approval)) => {
                self.started(path, Value::Null)?;
                let gate = self.run.gate_alone(&node, approval, self.now);
                self.emit(Body::ApprovalRequested { step: path.to_owned(), gate })
            }
            Some(Kind::Manual(manual)) => {
                self.started(path, Value::Null)?;
                let names = self.run.names(&node, self.now);
                let prompt =
                    expression::render_text(&manual.prompt, &names).unwrap_or_else(|_| manual.prompt.clone());
                self.emit(Body::Asked { step: path.to_owned(), prompt, from: manual.from.clone() })
            }
            Some(Kind::Wait(_)) => self.started(path, Value::Null),
            None => self.fail(path, Fault::permanent("the step names no kind, or several")),
        }
    }

    /// `when` of a `for_each` is asked of each item where it names the item, else once.
    fn is_asked_here(&self, node: &Node, when: &str) -> bool {
        let names_item = expression::references(when)
            .is_ok_and(|paths| paths.iter().any(|path| path.first().is_some_and(|first| first == "item")));
        match node.role {
            Role::Undo => false,
            Role::Item => names_item,
            // A ladder has asked before it started the option.
            Role::Option => false,
            Role::Step => !(node.is_spread() && names_item),
        }
    }

    fn started(&mut self, path: &str, input: Value) -> Result<(), Corrupt> {
        self.emit(Body::StepStarted { step: path.to_owned(), attempt: 1, input })
    }

    fn start_call(&mut self, node: &Node) -> Result<(), Corrupt> {
        match self.run.filled_in_with_secrets(node, &node.step().with, self.now) {
            Err(error) => self.fail(&node.path, Fault::permanent(error.to_string())),
            Ok(input) if unknown::within(&input) && self.run.is_dry() => {
                self.foresee_unknown_input(&node.path, &first_unknown(&input))
            }
            Ok(input) => self.started(&node.path, input),
        }
    }

    fn start_undo(&mut self, node: &Node) -> Result<(), Corrupt> {
        let input = match &node.step().undo {
            Some(UndoChoice::Action(own)) => {
                match self.run.filled_in_with_secrets(node, &own.with, self.now) {
                    Ok(input) => input,
                    Err(error) => return self.fail_or_stick(&node.path, Fault::permanent(error.to_string())),
                }
            }
            _ => self.run.undone_by(node).map_or(Value::Null, |change| change.input.clone()),
        };
        self.started(&node.path, input)
    }

    fn start_spread(&mut self, node: &Node) -> Result<(), Corrupt> {
        let list = node.step().for_each.clone().unwrap_or(Value::Null);
        match self.run.filled_in(node, &list, self.now) {
            Ok(Value::Array(items)) if items.len() <= MOST_ITEMS => {
                self.started(&node.path, Value::Null)?;
                self.emit(Body::ItemsListed { step: node.path.clone(), items })
            }
            Ok(Value::Array(items)) => {
                let fault = Fault::permanent(format!(
                    "`for_each` has {} items; at most {MOST_ITEMS} are taken",
                    items.len()
                ));
                self.fail(&node.path, fault)
            }
            Ok(other) if unknown::within(&other) && self.run.is_dry() => {
                self.foresee_unknown_input(&node.path, &first_unknown(&other))
            }
            Ok(other) => {
                let fault = Fault::permanent(format!(
                    "`for_each` needs a list, not {}",
                    crate::change::brief(&other)
                ));
                self.fail(&node.path, fault)
            }
            Err(error) => self.fail(&node.path, Fault::permanent(error.to_string())),
        }
    }

    fn start_nested(&mut self, node: &Node, name: &str) -> Result<(), Corrupt> {
        let path = node.path.clone();
        let Some(runbook) = self.run.created.library.get(name).cloned() else {
            return self.fail(&path, Fault::not_found(format!("runbook `{name}` is not part of this run")));
        };
        let given = match self.run.filled_in(node, &node.step().with, self.now) {
            Ok(given) => given,
            Err(error) => return self.fail(&path, Fault::permanent(error.to_string())),
        };
        if unknown::within(&given) && self.run.is_dry() {
            return self.foresee_unknown_input(&path, &first_unknown(&given));
        }
        match inputs::resolve(&runbook.inputs, &given) {
            Ok(inputs) => {
                self.started(&path, given)?;
                self.emit(Body::Entered { step: path, runbook: name.to_owned(), inputs })
            }
            Err(problems) => {
                let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
                self.fail(&path, Fault::permanent(format!("inputs of `{name}`: {}", list.join("; "))))
            }
        }
    }
}

fn first_unknown(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().find(|item| unknown::within(item)).map(first_unknown),
        Value::Object(fields) => match unknown::reason(value) {
            Some(reason) => Some(reason.to_owned()),
            None => fields.values().find(|item| unknown::within(item)).map(first_unknown),
        },
        _ => None,
    }
    .unwrap_or_else(|| "it follows from a change".to_owned())
}
