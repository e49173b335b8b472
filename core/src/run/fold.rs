//! The fold: one event at a time makes the state. An event that the state does not allow is an
//! error, never a guess.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    Cancel, Edges, Ended, Frame, List, Node, Phase, Place, Recovered, Role, Run, Stage,
    node::{About, Asking, Climb, ClimbStep, Decision, Delegation, Gated, Soak},
};
use crate::{
    change::Change,
    duration::Duration,
    event::{Answer, Body, Channel, Created, Event, Reading, RunId, StepStatus},
    fault::{Fault, FaultKind},
    graph,
    runbook::{Choose, Kind, Runbook},
};

/// Events that do not fit each other: the journal is not one that this engine wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} does not fit the run: {why}")]
pub struct Corrupt {
    pub seq: u64,
    pub why: String,
}

/// How long a steady state is given to hold where the runbook does not say.
const SOAK_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long an option is given to show its effect.
const SETTLE: Duration = Duration::from_secs(2 * 60);
/// How long something from outside is waited for.
const EXPECT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

impl Run {
    /// The state after a run's first event.
    pub fn begin(id: RunId, event: &Event) -> Result<Self, Corrupt> {
        let Body::RunCreated(created) = &event.body else {
            return Err(Corrupt {
                seq: event.seq,
                why: "the first entry does not create the run".to_owned(),
            });
        };
        if event.seq != 1 {
            return Err(Corrupt { seq: event.seq, why: "the first entry is missing".to_owned() });
        }
        let created: Created = (**created).clone();
        let mut run = Self {
            id,
            seq: 1,
            requested_by: event.actor.clone(),
            started_at: event.at,
            updated_at: event.at,
            ended: None,
            cancel: None,
            undo_requested_by: None,
            alert: Arc::new(created.alert.clone()),
            escalated: false,
            recovered: None,
            applied: Vec::new(),
            mutations: 0,
            nodes: IndexMap::new(),
            frames: Arc::default(),
            created: Arc::new(created),
        };
        let (runbook, inputs) = (run.created.runbook.clone(), run.created.inputs.clone());
        run.enter(String::new(), runbook, inputs, None);
        Ok(run)
    }

    /// The state after all of a run's events.
    pub fn fold<'a>(id: RunId, events: impl IntoIterator<Item = &'a Event>) -> Result<Option<Self>, Corrupt> {
        let mut events = events.into_iter();
        let Some(first) = events.next() else { return Ok(None) };
        let mut run = Self::begin(id, first)?;
        for event in events {
            run.apply(event)?;
        }
        Ok(Some(run))
    }

    /// Makes one more event part of the state.
    pub fn apply(&mut self, event: &Event) -> Result<(), Corrupt> {
        let corrupt = |why: &str| Corrupt { seq: event.seq, why: why.to_owned() };
        if event.seq != self.seq + 1 {
            return Err(corrupt(&format!("it should be entry {}", self.seq + 1)));
        }
        if self.ended.is_some() && !matches!(event.body, Body::UndoRequested { .. }) {
            return Err(corrupt("the run had ended"));
        }
        match event.body.step() {
            None => self.apply_to_run(event).map_err(&corrupt)?,
            Some(path) => {
                self.apply_to_step(path, event).map_err(|why| corrupt(&format!("{path}: {why}")))?
            }
        }
        self.seq = event.seq;
        self.updated_at = event.at;
        Ok(())
    }

    fn apply_to_run(&mut self, event: &Event) -> Result<(), &'static str> {
        match &event.body {
            Body::RunCreated(_) => return Err("the run was already created"),
            Body::RunResumed { .. } => self.doubt_what_was_under_way(),
            Body::CancelRequested { undo, .. } => {
                let timed_out = event.actor.how == Channel::Engine;
                self.cancel = Some(Cancel { undo: *undo, timed_out });
            }
            Body::UndoRequested { .. } => {
                if self.ended.take().is_none() {
                    return Err("the run has not ended");
                }
                self.undo_requested_by = Some(event.actor.clone());
                Arc::make_mut(&mut self.frames)
                    .entry(String::new())
                    .and_modify(|root| root.stage = Stage::Steps);
            }
            Body::AlertResolved { ends_at } => {
                let alert = Arc::make_mut(&mut self.alert);
                alert["status"] = Value::from("resolved");
                alert["ends_at"] = ends_at.map_or(Value::Null, |at| Value::from(at.to_string()));
            }
            Body::RunEscalated { .. } => self.escalated = true,
            Body::RunEnded { status, recovered, reason } => {
                self.ended = Some(Ended { status: *status, at: event.at, reason: reason.clone() });
                if let Some(last) = &mut self.recovered {
                    last.holds = *recovered;
                }
                Arc::make_mut(&mut self.frames).values_mut().for_each(|frame| frame.stage = Stage::Done);
            }
            Body::UndoStarted { frame, steps } => {
                self.start_taking_back(steps)?;
                self.set_stage(frame, Stage::TakingBack)?;
            }
            Body::FinallyStarted { frame } => self.set_stage(frame, Stage::Finally)?,
            _ => return Err("it names no step"),
        }
        Ok(())
    }

    /// After a crash nobody knows how far an apply had come.
    fn doubt_what_was_under_way(&mut self) {
        for node in self.nodes.values_mut() {
            if matches!(node.phase, Phase::Applying { .. }) {
                Arc::make_mut(node).phase = Phase::Doubtful { looks: 0 };
            }
        }
    }

    fn set_stage(&mut self, frame: &str, stage: Stage) -> Result<(), &'static str> {
        let frame =
            Arc::make_mut(&mut self.frames).get_mut(frame).ok_or("there is no such runbook in the run")?;
        if stage <= frame.stage && self.undo_requested_by.is_none() {
            return Err("a run only goes forward");
        }
        frame.stage = stage;
        Ok(())
    }

    fn start_taking_back(&mut self, steps: &[String]) -> Result<(), &'static str> {
        for of in steps {
            let node = self.nodes.get(of.as_str()).ok_or("it takes back a step that is not there")?;
            let path = format!("{of}~undo");
            let mut undo =
                Node::new(path.clone(), node.place.clone(), Role::Undo, node.frame.clone(), Some(of.clone()));
            undo.item.clone_from(&node.item);
            self.nodes.insert(path.into(), Arc::new(undo));
        }
        Ok(())
    }

    fn apply_to_step(&mut self, path: &str, event: &Event) -> Result<(), &'static str> {
        match &event.body {
            Body::Entered { runbook, inputs, .. } => return self.enter_as_step(path, runbook, inputs),
            Body::ItemsListed { items, .. } => return self.spread(path, items),
            Body::SteadyChecked { holds, .. } => {
                let after_change = self.recovered.map_or(0, |last| last.after_change);
                let was_final = path == super::pending::FINAL_LOOK;
                self.recovered = Some(Recovered { holds: *holds, seq: event.seq, after_change, was_final });
                if path == super::pending::FINAL_LOOK {
                    return Ok(());
                }
            }
            Body::OptionStarted { option, .. } => {
                let child = format!("{path}.{option}");
                if !self.nodes.contains_key(child.as_str()) {
                    return Err("it starts an option that is not there");
                }
            }
            _ => {}
        }
        let (speed, dry) = (self.created.speed, self.is_dry());
        let node = self.nodes.get_mut(path).ok_or("there is no such step")?;
        let node = Arc::make_mut(node);
        if node.phase.is_ended() && !matches!(event.body, Body::Foreseen { .. }) {
            return Err("the step had ended");
        }
        let landed_before = node.landed;
        node.apply(event, speed, dry)?;
        let (landed, role, parent, list) = (node.landed, node.role, node.parent.clone(), node.place.list);
        if matches!(event.body, Body::ApplyStarted { .. }) && role != Role::Undo && list == List::Steps {
            self.mutations += 1;
        }
        if let (Role::Option, Body::StepEnded { status: StepStatus::Succeeded, .. }) = (role, &event.body) {
            self.settle_ladder(path, parent.as_deref(), event.at);
        }
        if landed && !landed_before {
            self.note_landed(path, role, parent);
            // What is told to people at the end does not make a verified recovery doubtful.
            if list == List::Steps {
                let last = self.recovered.unwrap_or_default();
                self.recovered = Some(Recovered { after_change: event.seq, ..last });
            }
        }
        Ok(())
    }

    /// An option is done: its ladder gives it time to show its effect.
    fn settle_ladder(&mut self, option: &str, ladder: Option<&str>, at: jiff::Timestamp) {
        let (speed, dry) = (self.created.speed, self.is_dry());
        let Some(ladder) = ladder.and_then(|path| self.nodes.get_mut(path)) else { return };
        let ladder = Arc::make_mut(ladder);
        let deadline = ladder.step().settle.unwrap_or(SETTLE).scaled(speed).after(at);
        if let Phase::Climbing(climb) = &mut ladder.phase {
            let settling = ClimbStep::Settling { option: option.to_owned(), deadline };
            climb.step = if dry { ClimbStep::Next } else { settling };
            ladder.not_before = None;
        }
    }

    fn note_landed(&mut self, path: &str, role: Role, parent: Option<String>) {
        if role == Role::Undo {
            if let Some(of) = parent {
                self.applied.retain(|applied| *applied != of);
                if let Some(node) = self.nodes.get_mut(of.as_str()) {
                    let node = Arc::make_mut(node);
                    node.landed = false;
                    node.phase = Phase::Ended(StepStatus::Undone);
                }
            }
        } else {
            self.applied.push(path.to_owned());
        }
    }

    /// Makes the nodes of a runbook's steps.
    fn enter(&mut self, path: String, runbook: Arc<Runbook>, inputs: Value, item: Option<Value>) {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        let parent = (!path.is_empty()).then(|| path.clone());
        let lists = [(List::Steps, &runbook.steps), (List::Finally, &runbook.finally)];
        for (list, steps) in lists {
            for (index, step) in steps.iter().enumerate() {
                let place = Place { runbook: runbook.clone(), list, index, option: None };
                let node_path = format!("{prefix}{}", step.id);
                self.add(
                    Node::new(node_path.clone(), place.clone(), Role::Step, path.clone(), parent.clone()),
                    &item,
                );
                if step.for_each.is_none() {
                    self.add_options(&node_path, &place, &path, &item);
                }
            }
        }
        let edges = Edges { steps: graph::edges(&runbook.steps), finally: graph::edges(&runbook.finally) };
        let frame = Frame { runbook, inputs: Arc::new(inputs), edges: Arc::new(edges), stage: Stage::Steps };
        Arc::make_mut(&mut self.frames).insert(path, frame);
    }

    fn add_options(&mut self, ladder: &str, place: &Place, frame: &str, item: &Option<Value>) {
        let ids: Vec<String> =
            place.step().options.iter().flatten().map(|option| option.id.clone()).collect();
        for (option, id) in ids.into_iter().enumerate() {
            let place = Place { option: Some(option), ..place.clone() };
            let path = format!("{ladder}.{id}");
            self.add(Node::new(path, place, Role::Option, frame.to_owned(), Some(ladder.to_owned())), item);
        }
    }

    fn add(&mut self, mut node: Node, item: &Option<Value>) {
        node.item.clone_from(item);
        self.nodes.insert(node.path.as_str().into(), Arc::new(node));
    }

    fn enter_as_step(&mut self, path: &str, runbook: &str, inputs: &Value) -> Result<(), &'static str> {
        let known =
            self.created.library.get(runbook).cloned().ok_or("it enters a runbook that is not there")?;
        let node = self.nodes.get_mut(path).ok_or("there is no such step")?;
        let node = Arc::make_mut(node);
        node.phase = Phase::Nested;
        let item = node.item.clone();
        self.enter(path.to_owned(), known, inputs.clone(), item);
        Ok(())
    }

    fn spread(&mut self, path: &str, items: &[Value]) -> Result<(), &'static str> {
        let node = self.nodes.get_mut(path).ok_or("there is no such step")?;
        let node = Arc::make_mut(node);
        node.phase = Phase::Spread { items: items.len() };
        let (place, frame) = (node.place.clone(), node.frame.clone());
        for (i, item) in items.iter().enumerate() {
            let child = format!("{path}[{i}]");
            let item = Some(item.clone());
            self.add(
                Node::new(child.clone(), place.clone(), Role::Item, frame.clone(), Some(path.to_owned())),
                &item,
            );
            self.add_options(&child, &place, &frame, &item);
        }
        Ok(())
    }
}

impl Node {
    fn apply(&mut self, event: &Event, speed: u32, dry: bool) -> Result<(), &'static str> {
        let at = event.at;
        match &event.body {
            Body::StepStarted { attempt, input, .. } => {
                self.attempt = *attempt;
                self.input = Arc::new(input.clone());
                self.started_at.get_or_insert(at);
                self.phase = self.first_phase(at, speed);
            }
            Body::CheckReturned { reading, holds, .. } => {
                let Phase::Reading { holds_since } = self.phase else { return Err("no check was due") };
                let since = if *holds == Some(true) { holds_since.or(Some(at)) } else { None };
                self.phase = Phase::Reading { holds_since: since };
                self.passed = *holds;
                self.take_reading(reading);
                self.look_again(since, at, speed);
            }
            Body::SteadyChecked { holds, checks, .. } => self.steady(*holds, checks, at, speed)?,
            Body::OptionStarted { option, .. } => self.climb(ClimbStep::Trying(option.clone()))?,
            Body::OptionDidNotHelp { .. } => self.climb(ClimbStep::Next)?,
            Body::RetryScheduled { attempt, at, fault, .. } => {
                self.attempt = *attempt;
                self.not_before = Some(*at);
                self.fault = Some(fault.clone());
                match &mut self.phase {
                    Phase::Applying { .. } => self.phase = Phase::Confirming,
                    Phase::Doubtful { looks } => *looks += 1,
                    _ => {}
                }
            }
            Body::Planned { change, digest, grade, warnings, .. } => {
                self.require(matches!(self.phase, Phase::Planning), "no plan was due")?;
                self.plan(change, Some(digest.clone()));
                self.grade = Some(*grade);
                self.warnings.clone_from(warnings);
                self.fault = None;
                self.phase = Phase::Confirming;
            }
            Body::AlreadySo { target, outputs, warnings, .. } => {
                self.target.clone_from(target);
                self.outputs = Arc::new(outputs.clone());
                self.warnings.clone_from(warnings);
            }
            Body::PlanVoided { .. } => {
                self.voided += 1;
                self.gate = None;
                self.not_before = None;
                self.phase = Phase::Planning;
            }
            Body::TargetBusy { .. } => {
                self.require(matches!(self.phase, Phase::Confirming), "no target was to be locked")?;
                self.not_before = Some(super::pending::BUSY.after(at));
            }
            Body::ApplyStarted { change, key, .. } => {
                self.require(matches!(self.phase, Phase::Confirming), "it was not confirmed")?;
                self.require(!dry, "a dry-run applies nothing")?;
                self.plan(change, None);
                self.phase = Phase::Applying { key: key.clone() };
            }
            Body::ApplyReturned { outcome, .. } => self.apply_returned(outcome, at)?,
            Body::DoubtRaised { why, .. } => {
                let prompt = format!("Did this happen: {}? {why}", self.change_summary());
                self.ask(prompt, Vec::new(), About::Doubt);
            }
            Body::DoubtSettled { landed, .. } => {
                self.landed |= *landed;
                self.phase = if *landed { Phase::Verifying { since: at } } else { Phase::Confirming };
            }
            Body::VerifyReturned { outcome, .. } => {
                self.require(matches!(self.phase, Phase::Verifying { .. }), "nothing was to be verified")?;
                match outcome {
                    Ok(Value::Null) => {}
                    Ok(outputs) => self.outputs = Arc::new(outputs.clone()),
                    Err(why) => self.fault = Some(Fault::permanent(why.clone())),
                }
            }
            Body::Asked { prompt, from, .. } => {
                let about = self.asked_about();
                self.ask(prompt.clone(), from.clone(), about);
            }
            Body::Answered { answer, .. } => self.answered(answer, event)?,
            Body::Foreseen { verdict, grade, reason, open, .. } => {
                self.foreseen = Some((*verdict, reason.clone()));
                self.open = *open;
                self.grade = Some(*grade);
                self.uncertain |= *verdict == crate::event::Verdict::MayRun;
            }
            Body::StepEnded { status, passed, outputs, reason, fault, .. } => {
                self.ended_at = Some(at);
                self.passed = *passed;
                self.reason.clone_from(reason);
                self.fault.clone_from(fault);
                if !outputs.is_null() {
                    self.outputs = Arc::new(outputs.clone());
                }
                self.failed =
                    matches!(status, StepStatus::Failed | StepStatus::Stuck | StepStatus::Cancelled);
                self.phase = Phase::Ended(*status);
            }
            _ => self.apply_gate(event)?,
        }
        Ok(())
    }

    fn apply_gate(&mut self, event: &Event) -> Result<(), &'static str> {
        if let Body::ApprovalRequested { gate, .. } = &event.body {
            self.gate = Some(gate.clone());
            self.phase = Phase::Gated(Gated::new(gate.clone()));
            return Ok(());
        }
        let Phase::Gated(gated) = &mut self.phase else { return Err("no approval was asked for") };
        let decision = |approved, comment: &Option<String>| Decision {
            by: event.actor.clone(),
            at: event.at,
            approved,
            comment: comment.clone(),
            own_run: false,
            break_glass: false,
        };
        match &event.body {
            Body::ApprovalGranted { digest, comment, own_run, break_glass, .. } => {
                if *digest != gated.gate.digest {
                    return Err("it approves another change");
                }
                gated.granted.push(event.actor.clone());
                gated.glass_broken |= *break_glass;
                let told = decision(true, comment);
                self.decisions.push(Decision { own_run: *own_run, break_glass: *break_glass, ..told });
                if gated.is_met() && self.change.is_some() {
                    self.phase = Phase::Confirming;
                }
            }
            Body::ApprovalRejected { comment, .. } => self.decisions.push(decision(false, comment)),
            Body::ApprovalDelegated { to, .. } => {
                let from = event.actor.name.clone();
                gated.delegated.push(Delegation { from, to: to.clone() });
            }
            Body::ApprovalEscalated { to, deadline, .. } => {
                gated.escalations += 1;
                gated.gate.from.extend(to.iter().cloned());
                gated.gate.deadline = *deadline;
                self.gate = Some(gated.gate.clone());
            }
            Body::ApprovalExpired { .. } => {}
            _ => return Err("a step cannot take this"),
        }
        Ok(())
    }

    /// What a step does first.
    fn first_phase(&self, at: jiff::Timestamp, speed: u32) -> Phase {
        let after = |length: Duration| length.scaled(speed).after(at);
        let step = self.step();
        if self.role == Role::Undo {
            return Phase::Planning;
        }
        if self.is_spread() {
            return Phase::Spread { items: 0 };
        }
        match self.kind() {
            Some(Kind::Check(_)) => Phase::Reading { holds_since: None },
            Some(Kind::Action(_)) => Phase::Planning,
            Some(Kind::Options(_)) => {
                let first = if step.until.is_some() { ClimbStep::Before } else { ClimbStep::Next };
                Phase::Climbing(Climb { step: first, last: Vec::new() })
            }
            Some(Kind::Run(_)) => Phase::Nested,
            Some(Kind::Wait("steady_state")) => {
                let hold = step.hold.unwrap_or(Duration::ZERO);
                let deadline = match step.timeout {
                    Some(timeout) => after(timeout),
                    None => SOAK_TIMEOUT.scaled(speed).after(after(hold)),
                };
                Phase::Soaking(Soak { holds_since: None, deadline, last: Vec::new() })
            }
            Some(Kind::Wait(text)) => match text.parse::<Duration>() {
                Ok(length) => Phase::Timing { until: after(length) },
                Err(_) => Phase::Expecting { deadline: after(self.timeout_or(EXPECT_TIMEOUT)) },
            },
            // Gates and manual steps ask at once, by an event of their own.
            Some(Kind::Approval(_) | Kind::Manual(_)) | None => Phase::Timing { until: at },
        }
    }

    fn require(&self, holds: bool, why: &'static str) -> Result<(), &'static str> {
        if holds { Ok(()) } else { Err(why) }
    }

    fn take_reading(&mut self, reading: &Result<Reading, Fault>) {
        match reading {
            Ok(reading) => {
                self.outputs = Arc::new(reading.outputs.clone());
                self.target.clone_from(&reading.target);
                self.warnings.clone_from(&reading.warnings);
                self.grade = Some(reading.grade);
                self.fault = None;
            }
            Err(fault) => self.fault = Some(fault.clone()),
        }
    }

    fn steady(
        &mut self,
        holds: Option<bool>,
        checks: &[crate::event::SteadyReading],
        at: jiff::Timestamp,
        speed: u32,
    ) -> Result<(), &'static str> {
        let mut since = None;
        match &mut self.phase {
            Phase::Soaking(soak) => {
                soak.holds_since = if holds == Some(true) { soak.holds_since.or(Some(at)) } else { None };
                soak.last = checks.to_vec();
                since = soak.holds_since;
            }
            Phase::Climbing(climb) => {
                climb.last = checks.to_vec();
                if climb.step == ClimbStep::Before && holds != Some(true) {
                    climb.step = ClimbStep::Next;
                }
            }
            _ => return Err("the steady state was not asked for"),
        }
        self.look_again(since, at, speed);
        Ok(())
    }

    /// The next look: after a while, or at the moment at which it will have held long enough.
    fn look_again(&mut self, holds_since: Option<jiff::Timestamp>, at: jiff::Timestamp, speed: u32) {
        let next = self.step().every.unwrap_or(super::pending::POLL).scaled(speed).after(at);
        let held =
            holds_since.map(|since| self.step().hold.unwrap_or(Duration::ZERO).scaled(speed).after(since));
        self.not_before = Some(held.filter(|held| *held > at).map_or(next, |held| held.min(next)));
    }

    fn climb(&mut self, to: ClimbStep) -> Result<(), &'static str> {
        let Phase::Climbing(climb) = &mut self.phase else { return Err("it has no options") };
        climb.step = to;
        self.not_before = None;
        Ok(())
    }

    fn plan(&mut self, change: &Change, digest: Option<String>) {
        self.target = Some(change.target.clone());
        self.change = Some(Arc::new(change.clone()));
        if digest.is_some() {
            self.digest = digest;
        }
    }

    fn apply_returned(
        &mut self,
        outcome: &Result<Value, Fault>,
        at: jiff::Timestamp,
    ) -> Result<(), &'static str> {
        self.require(matches!(self.phase, Phase::Applying { .. }), "nothing was being applied")?;
        match outcome {
            Ok(outputs) => {
                self.landed = true;
                self.fault = None;
                self.outputs = Arc::new(outputs.clone());
                self.phase = Phase::Verifying { since: at };
            }
            Err(fault) => {
                self.fault = Some(fault.clone());
                if fault.kind == FaultKind::Unknown {
                    self.phase = Phase::Doubtful { looks: 0 };
                }
            }
        }
        Ok(())
    }

    fn change_summary(&self) -> &str {
        self.change.as_ref().map_or("the change", |change| change.summary.as_str())
    }

    fn ask(&mut self, prompt: String, from: Vec<String>, about: About) {
        self.phase = Phase::Asking(Asking { prompt, from, about });
    }

    fn asked_about(&self) -> About {
        match self.kind() {
            _ if self.role == Role::Undo => About::Conflict,
            Some(Kind::Options(_)) => About::Choice,
            _ => About::Manual,
        }
    }

    fn answered(&mut self, answer: &Answer, event: &Event) -> Result<(), &'static str> {
        let Phase::Asking(asking) = &self.phase else { return Err("nothing was asked") };
        match (asking.about, answer) {
            (About::Choice, Answer::Option(option)) => {
                // The next event starts it; until then the ladder looks for its next option.
                self.phase = Phase::Climbing(Climb { step: ClimbStep::Next, last: Vec::new() });
                self.reason = Some(option.clone());
            }
            (About::Manual, Answer::Done { values, .. }) => self.outputs = Arc::new(values.clone()),
            (About::Manual, Answer::ManualFailed { .. } | Answer::ManualSkipped { .. }) => {}
            (About::Doubt, Answer::Happened | Answer::DidNotHappen) => {
                self.phase = Phase::Doubtful { looks: 0 };
            }
            (About::Conflict, Answer::Proceed) => {
                self.over_others = true;
                self.phase = Phase::Planning;
            }
            (About::Doubt | About::Conflict, Answer::Stop) => {}
            _ => return Err("the answer does not fit the question"),
        }
        self.decisions.push(Decision {
            by: event.actor.clone(),
            at: event.at,
            approved: !matches!(answer, Answer::Stop | Answer::ManualFailed { .. }),
            comment: None,
            own_run: false,
            break_glass: false,
        });
        Ok(())
    }

    /// Whether a person picks the option.
    pub fn is_chosen_by_operator(&self) -> bool {
        self.step().choose == Some(Choose::Operator)
    }
}
