//! The spans of a run, from its events. Each comes out with the event that ends it; the run's own with
//! the event that ends the run.

mod deed;

use std::{collections::BTreeMap, time::Duration};

use opentelemetry::{
    KeyValue,
    trace::{SpanContext, SpanId},
};
use opentelemetry_sdk::trace::SpanData;
use runbook_core::{
    Timestamp,
    event::{Answer, Body, Channel, Created, EndStatus, Event, Hands, RunId, StepStatus},
    fault::Fault,
    run::{end_word, step_word},
};

use self::deed::{Deed, Doing};
use crate::{
    TraceContext,
    fact::Fact,
    ids::{root_of, sampled, span_of, trace_of},
    kinds::{Kinds, without_items},
    span::{Draft, Moments, text, word},
};

/// A span that has come to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub fact: Fact,
    pub span: SpanData,
    /// The number of the event that ended it.
    pub seq: u64,
}

/// What of a run's events the spans that are still open need.
#[derive(Debug)]
pub struct Story {
    run: RunId,
    /// The number of the last event.
    seq: u64,
    about: About,
    kinds: Kinds,
    /// The run itself, and after its end the undo that somebody asked for.
    whole: Option<Whole>,
    steps: BTreeMap<String, Open>,
}

/// What is told with every span of a run.
#[derive(Debug)]
struct About {
    runbook: String,
    environment: String,
    incident: Option<String>,
    simulated: bool,
    dry_run: bool,
    asked_by: &'static str,
    /// What asked for the run.
    cause: Option<SpanContext>,
}

#[derive(Debug)]
struct Whole {
    span: SpanId,
    is_undo: bool,
    since: Timestamp,
    moments: Moments,
}

/// A step that has begun.
#[derive(Debug)]
struct Open {
    span: SpanId,
    parent: SpanId,
    since: Timestamp,
    attempt: u32,
    attempt_since: Timestamp,
    target: Option<String>,
    doing: Option<Doing>,
    moments: Moments,
}

impl Story {
    /// The story after a run's first event; nothing where that is not the first.
    pub fn begin(run: RunId, event: &Event) -> Option<Self> {
        let Body::RunCreated(created) = &event.body else { return None };
        let whole =
            Whole { span: root_of(run), is_undo: false, since: event.at, moments: Moments::default() };
        Some(Self {
            run,
            seq: event.seq,
            about: About::of(created, event.actor.how),
            kinds: Kinds::of(created),
            whole: Some(whole),
            steps: BTreeMap::new(),
        })
    }

    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Nothing of it is open: the run has ended.
    pub fn is_over(&self) -> bool {
        self.whole.is_none()
    }

    /// Takes one more event in; the spans that it ends.
    pub fn tell(&mut self, event: &Event) -> Vec<Finished> {
        self.seq = event.seq;
        let ended = match event.body.step() {
            Some(path) => self.of_step(path, event),
            None => self.of_run(event),
        };
        ended.into_iter().map(|(fact, span)| Finished { fact, span, seq: event.seq }).collect()
    }

    fn of_run(&mut self, event: &Event) -> Vec<(Fact, SpanData)> {
        let mut mark = |name, attributes| {
            if let Some(whole) = &mut self.whole {
                whole.moments.add(name, event.at, attributes);
            }
        };
        match &event.body {
            Body::RunResumed { owner } => {
                mark("resumed", vec![text("runbook.owner", owner)]);
                return self.doubt(event);
            }
            Body::CancelRequested { undo, .. } => {
                mark("cancel requested", vec![KeyValue::new("runbook.undo", *undo)]);
            }
            Body::AlertResolved { .. } => mark("alert resolved", Vec::new()),
            Body::RunEscalated { .. } => mark("escalated", Vec::new()),
            Body::UndoStarted { .. } => mark("undo started", Vec::new()),
            Body::UndoRequested { .. } => {
                let span = span_of(self.run, "undo", "", event.seq);
                self.whole =
                    Some(Whole { span, is_undo: true, since: event.at, moments: Moments::default() });
            }
            Body::RunEnded { status, recovered, reason } => {
                return self.end(event.at, *status, *recovered, reason.as_deref());
            }
            _ => {}
        }
        Vec::new()
    }

    /// A driver took the run over: what its predecessor was applying, nobody can tell without looking.
    fn doubt(&mut self, event: &Event) -> Vec<(Fact, SpanData)> {
        let is_applying = |open: &Open| open.doing.as_ref().is_some_and(|doing| doing.deed == Deed::Apply);
        let applying = self.steps.iter().filter(|(_, open)| is_applying(open));
        let paths: Vec<String> = applying.map(|(path, _)| path.clone()).collect();
        let mut ended = Vec::new();
        for path in paths {
            let fault = Fault::unknown("the process that applied it ended before it was answered");
            ended.extend(self.stop(&path, event.at, deed::Came::Fault(&fault)));
            self.start(&path, Deed::Look, event);
        }
        ended
    }

    fn end(
        &mut self,
        at: Timestamp,
        status: EndStatus,
        recovered: Option<bool>,
        reason: Option<&str>,
    ) -> Vec<(Fact, SpanData)> {
        let mut ended = Vec::new();
        // The innermost first: a parent's path is the beginning of its parts'.
        for path in self.steps.keys().rev().cloned().collect::<Vec<_>>() {
            ended.extend(self.end_step(&path, at, StepStatus::Cancelled, None, None));
        }
        let Some(whole) = self.whole.take() else { return ended };
        let verb = if whole.is_undo { "undo" } else { "run" };
        let parent = if whole.is_undo { root_of(self.run) } else { SpanId::INVALID };
        let mut draft = self.draft(whole.span, parent, format!("{verb} {}", self.about.runbook));
        let word = end_word(status);
        draft.attributes.extend([
            KeyValue::new("runbook.run.status", word),
            KeyValue::new("runbook.run.simulated", self.about.simulated),
            KeyValue::new("runbook.run.dry_run", self.about.dry_run),
            KeyValue::new("runbook.run.asked_by", self.about.asked_by),
        ]);
        draft.attributes.extend(recovered.map(|holds| KeyValue::new("runbook.run.recovered", holds)));
        if matches!(status, EndStatus::Failed | EndStatus::Stuck)
            || status == EndStatus::Undone && !whole.is_undo
        {
            draft.failed(word, reason.unwrap_or(word));
        }
        draft.moments = whole.moments;
        draft.links.extend(self.about.cause.clone().filter(|_| !whole.is_undo));
        let fact = match whole.is_undo {
            true => Fact::Part,
            false => Fact::Run { runbook: self.about.runbook.clone(), status: word, recovered },
        };
        ended.push((fact, draft.lasting(whole.since, at)));
        ended
    }

    fn of_step(&mut self, path: &str, event: &Event) -> Vec<(Fact, SpanData)> {
        let at = event.at;
        match &event.body {
            Body::StepEnded { status, reason, fault, .. } => {
                return self.end_step(path, at, *status, reason.as_deref(), fault.as_ref());
            }
            Body::SteadyChecked { holds, .. } => {
                // Before a run ends it is looked at once more, and no step asks for that.
                let held = holds.map(|holds| KeyValue::new("runbook.holds", holds));
                let moments = match (self.steps.get_mut(path), &mut self.whole) {
                    (Some(open), _) => &mut open.moments,
                    (None, Some(whole)) => &mut whole.moments,
                    (None, None) => return Vec::new(),
                };
                moments.add("steady state checked", at, held.into_iter().collect());
                return Vec::new();
            }
            Body::Foreseen { .. } => return Vec::new(),
            Body::Entered { runbook, .. } => self.kinds.enter(path, runbook),
            _ => {}
        }
        self.open(path, at);
        self.within(path, event)
    }

    /// What happens within a step that is open.
    fn within(&mut self, path: &str, event: &Event) -> Vec<(Fact, SpanData)> {
        use deed::Came;
        let at = event.at;
        let ended = match &event.body {
            Body::StepStarted { .. } => {
                self.begin_attempt(path, event, at);
                None
            }
            Body::CheckReturned { reading, holds, .. } => {
                let is_first = self.doing(path) == Some(Deed::Read);
                if !is_first {
                    let held = holds.map(|holds| KeyValue::new("runbook.holds", holds));
                    self.mark(path, "checked", at, held.into_iter().collect());
                }
                match reading {
                    _ if !is_first => None,
                    Ok(_) => self.stop(path, at, Came::Done),
                    Err(fault) => self.stop(path, at, Came::Fault(fault)),
                }
            }
            Body::RetryScheduled { attempt, at: again, fault, .. } => {
                return self.retry(path, event, *attempt, *again, fault);
            }
            Body::Planned { change, .. } => {
                self.aim(path, &change.target.name);
                self.stop(path, at, Came::Done)
            }
            Body::AlreadySo { .. } => self.stop(path, at, Came::Done),
            Body::PlanVoided { .. } => {
                let ended = self.stop(path, at, Came::Outcome("void"));
                self.mark(path, "plan voided", at, Vec::new());
                self.start(path, Deed::Plan, event);
                ended
            }
            Body::TargetBusy { .. } => {
                self.mark(path, "target busy", at, Vec::new());
                None
            }
            Body::ApprovalRequested { gate, .. } => {
                let ended = self.stop(path, at, Came::Done);
                self.start(path, Deed::Gate { count: gate.count, granted: 0 }, event);
                ended
            }
            Body::ApprovalGranted { break_glass, .. } => self.granted(path, at, *break_glass),
            Body::ApprovalDelegated { .. } => {
                self.mark(path, "approval delegated", at, Vec::new());
                None
            }
            Body::ApprovalEscalated { .. } => {
                self.mark(path, "approval escalated", at, Vec::new());
                None
            }
            Body::ApprovalRejected { .. } => self.stop(path, at, Came::Outcome("rejected")),
            Body::ApprovalExpired { .. } => self.stop(path, at, Came::Outcome("expired")),
            Body::ApplyStarted { change, .. } => {
                self.aim(path, &change.target.name);
                let ended = self.stop(path, at, Came::Done);
                self.start(path, Deed::Apply, event);
                ended
            }
            Body::ApplyReturned { outcome, .. } => {
                let came = outcome.as_ref().map_or_else(Came::Fault, |_| Came::Done);
                let ended = self.stop(path, at, came);
                match outcome {
                    Ok(_) => self.start(path, Deed::Verify, event),
                    Err(fault) if word(fault.kind) == "unknown" => self.start(path, Deed::Look, event),
                    Err(_) => {}
                }
                ended
            }
            Body::DoubtRaised { .. } => {
                let ended = self.stop(path, at, Came::Outcome("cannot tell"));
                self.start(path, Deed::Ask, event);
                ended
            }
            Body::DoubtSettled { landed, .. } => {
                let ended =
                    self.stop(path, at, Came::Outcome(if *landed { "happened" } else { "did not happen" }));
                if *landed {
                    self.start(path, Deed::Verify, event);
                }
                ended
            }
            Body::VerifyReturned { outcome, .. } => match outcome {
                Ok(_) => self.stop(path, at, Came::Done),
                Err(why) => self.stop(path, at, Came::Fault(&Fault::permanent(why.clone()))),
            },
            Body::Asked { .. } => {
                let ended = self.stop(path, at, Came::Done);
                self.start(path, Deed::Ask, event);
                ended
            }
            Body::Answered { answer, .. } => self.stop(path, at, Came::Outcome(answered(answer))),
            Body::OptionStarted { option, .. } => {
                self.mark(path, "option started", at, vec![text("runbook.option", option)]);
                None
            }
            Body::OptionDidNotHelp { option, .. } => {
                self.mark(path, "option did not help", at, vec![text("runbook.option", option)]);
                None
            }
            _ => None,
        };
        ended.into_iter().collect()
    }

    fn granted(&mut self, path: &str, at: Timestamp, break_glass: bool) -> Option<(Fact, SpanData)> {
        let doing = self.steps.get_mut(path)?.doing.as_mut()?;
        let Deed::Gate { count, granted } = &mut doing.deed else { return None };
        *granted = granted.saturating_add(1);
        let enough = *granted >= *count;
        match (break_glass, enough) {
            (true, _) => self.stop(path, at, deed::Came::Outcome("glass broken")),
            (false, true) => self.stop(path, at, deed::Came::Outcome("approved")),
            (false, false) => None,
        }
    }

    fn retry(
        &mut self,
        path: &str,
        event: &Event,
        next: u32,
        again: Timestamp,
        fault: &Fault,
    ) -> Vec<(Fact, SpanData)> {
        let looking = self.doing(path) == Some(Deed::Look);
        let mut ended: Vec<_> = self.stop(path, event.at, deed::Came::Fault(fault)).into_iter().collect();
        if looking {
            self.start(path, Deed::Look, event);
            return ended;
        }
        let Some(open) = self.steps.get_mut(path) else { return ended };
        let (attempt, since) = (open.attempt, open.attempt_since);
        (open.attempt, open.attempt_since) = (next, again);
        ended.push(self.attempt(path, attempt, since, event.at, Some(fault)));
        self.begin_attempt(path, event, again);
        ended
    }

    /// One attempt of several.
    fn attempt(
        &self,
        path: &str,
        attempt: u32,
        since: Timestamp,
        at: Timestamp,
        fault: Option<&Fault>,
    ) -> (Fact, SpanData) {
        let span = span_of(self.run, "attempt", path, attempt.into());
        let parent = self.steps.get(path).map_or(SpanId::INVALID, |open| open.span);
        let mut draft = self.part(span, parent, "attempt".to_owned(), path);
        draft.attributes.push(KeyValue::new("runbook.step.attempt", i64::from(attempt)));
        if let Some(fault) = fault {
            draft.failed(word(fault.kind), &fault.message);
        }
        (Fact::Part, draft.lasting(since, at))
    }

    fn open(&mut self, path: &str, at: Timestamp) {
        if self.steps.contains_key(path) {
            return;
        }
        let (span, parent) = (span_of(self.run, "step", path, 0), self.container(path));
        let open = Open {
            span,
            parent,
            since: at,
            attempt: 1,
            attempt_since: at,
            target: None,
            doing: None,
            moments: Moments::default(),
        };
        self.steps.insert(path.to_owned(), open);
    }

    /// The span that a step is a part of: the nearest around it that is open.
    fn container(&self, path: &str) -> SpanId {
        let mut inner = path.strip_suffix("~undo").unwrap_or(path);
        loop {
            let cut = inner.rfind(['.', '[']);
            let Some(outer) = cut.and_then(|cut| inner.get(..cut)) else { break };
            if let Some(open) = self.steps.get(outer) {
                return open.span;
            }
            inner = outer;
        }
        self.whole.as_ref().map_or_else(|| root_of(self.run), |whole| whole.span)
    }

    fn end_step(
        &mut self,
        path: &str,
        at: Timestamp,
        status: StepStatus,
        reason: Option<&str>,
        fault: Option<&Fault>,
    ) -> Vec<(Fact, SpanData)> {
        self.open(path, at);
        let last = fault.map_or(deed::Came::Outcome(step_word(status)), deed::Came::Fault);
        let mut ended: Vec<_> = self.stop(path, at, last).into_iter().collect();
        let Some(open) = self.steps.get(path) else { return ended };
        if open.attempt > 1 {
            ended.push(self.attempt(path, open.attempt, open.attempt_since, at, fault));
        }
        let Some(open) = self.steps.remove(path) else { return ended };
        let mut draft = self.part(open.span, open.parent, format!("step {}", without_items(path)), path);
        let kind = self.kinds.get(path).map_or("step", |sort| sort.word);
        let status_word = step_word(status);
        draft.attributes.extend([
            KeyValue::new("runbook.step.kind", kind),
            KeyValue::new("runbook.step.status", status_word),
            KeyValue::new("runbook.step.attempts", i64::from(open.attempt)),
        ]);
        draft.attributes.extend(open.target.as_deref().map(|target| text("runbook.target", target)));
        if matches!(status, StepStatus::Failed | StepStatus::Stuck) {
            let kind = fault.map_or(status_word, |fault| word(fault.kind));
            draft.failed(kind, fault.map(|fault| fault.message.as_str()).or(reason).unwrap_or(status_word));
        }
        if path.ends_with("~undo") {
            let of = path.strip_suffix("~undo").unwrap_or(path);
            draft.links.push(sampled(trace_of(self.run), span_of(self.run, "step", of, 0)));
        }
        draft.moments = open.moments;
        ended.push((Fact::Step { kind, status: status_word }, draft.lasting(open.since, at)));
        ended
    }

    fn mark(&mut self, path: &str, name: &'static str, at: Timestamp, attributes: Vec<KeyValue>) {
        if let Some(open) = self.steps.get_mut(path) {
            open.moments.add(name, at, attributes);
        }
    }

    fn aim(&mut self, path: &str, target: &str) {
        if let Some(open) = self.steps.get_mut(path) {
            open.target = Some(target.to_owned());
        }
    }

    /// A span of this run.
    fn draft(&self, span: SpanId, parent: SpanId, name: String) -> Draft {
        let mut draft = Draft::new(sampled(trace_of(self.run), span), parent, name);
        draft.attributes.extend([
            KeyValue::new("runbook.run.id", self.run.to_string()),
            text("runbook.name", &self.about.runbook),
            text("runbook.environment", &self.about.environment),
        ]);
        let incident = self.about.incident.as_deref();
        draft.attributes.extend(incident.map(|incident| text("runbook.incident.id", incident)));
        draft
    }

    /// A span within a step.
    fn part(&self, span: SpanId, parent: SpanId, name: String, path: &str) -> Draft {
        let mut draft = self.draft(span, parent, name);
        draft.attributes.push(text("runbook.step.id", path));
        let calls = self.kinds.get(path).and_then(|sort| sort.calls.as_deref());
        draft.attributes.extend(calls.map(|calls| text("runbook.action", calls)));
        draft
    }
}

impl About {
    fn of(created: &Created, how: Channel) -> Self {
        Self {
            runbook: created.runbook.name.clone(),
            environment: created.environment.clone(),
            incident: created.incident.clone(),
            simulated: created.simulated.is_some(),
            dry_run: created.hands == Hands::DryRun,
            asked_by: match how {
                Channel::Engine => "engine",
                Channel::Cli => "cli",
                Channel::Web => "web",
                Channel::Chat => "chat",
                Channel::Api => "api",
                Channel::Alert => "alert",
            },
            cause: created.trace_parent.as_deref().and_then(TraceContext::parse).map(TraceContext::remote),
        }
    }
}

fn answered(answer: &Answer) -> &'static str {
    match answer {
        Answer::Option(_) => "option",
        Answer::Done { .. } => "done",
        Answer::ManualFailed { .. } => "failed",
        Answer::ManualSkipped { .. } => "skipped",
        Answer::Happened => "happened",
        Answer::DidNotHappen => "did not happen",
        Answer::Stop => "stop",
        Answer::Proceed => "proceed",
    }
}

/// How long something took.
fn length(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
pub mod tests;
