//! What follows from the results of effects.

use serde_json::Value;

use super::{
    Node, Phase, Run,
    draft::{Draft, End},
    fold::Corrupt,
    node::{ClimbStep, Role},
    pending::FINAL_LOOK,
    steady::all_hold,
};
use crate::{
    Timestamp,
    change::{Change, Landed, Planned, Validation, brief},
    duration::Duration,
    event::{Body, Reading, StepStatus},
    fault::{Fault, FaultKind},
    runbook::{Kind, Retry},
    spec::{Effect, Grade, Reads},
    unknown,
};

/// How often a plan may be voided before the step gives up: its target will not keep still.
const MOST_VOIDED: u32 = 5;
/// How often the world is looked at in vain before a person is asked whether a change happened.
const MOST_LOOKS: u32 = 3;

impl Draft {
    pub(super) fn checked(&mut self, step: &str, reading: Result<Reading, Fault>) -> Result<(), Corrupt> {
        let Some(node) = self.node(step).filter(|node| matches!(node.phase, Phase::Reading { .. })) else {
            return Ok(());
        };
        if let (Err(fault), None) = (&reading, &node.step().until)
            && self.run.may_retry(node, fault)
        {
            return self.retry(step, fault.clone());
        }
        let node = node.clone();
        let reading = reading.map(|reading| self.run.as_foreseen(reading));
        let holds = self.holds(&node, &reading);
        let (reading, holds) = match holds {
            Ok(holds) => (reading, holds),
            Err(why) => (Err(Fault::permanent(why)), Some(false)),
        };
        self.emit(Body::CheckReturned { step: step.to_owned(), reading, holds })?;
        self.settle_check(step)
    }

    /// Whether a reading is as the check expects; without an expectation, whether there is one.
    fn holds(&self, node: &Node, reading: &Result<Reading, Fault>) -> Result<Option<bool>, String> {
        let Ok(reading) = reading else {
            // In a dry-run a source that cannot be reached leaves both branches alive.
            return Ok(if self.run.is_dry() { None } else { Some(false) });
        };
        let step = node.step();
        match step.until.as_ref().or(step.expect.as_ref()) {
            Some(source) => self.run.expectation(node, source, &reading.outputs, self.now),
            None => Ok(Some(true)),
        }
    }

    fn settle_check(&mut self, path: &str) -> Result<(), Corrupt> {
        let Some(node) = self.node(path) else { return Ok(()) };
        let step = node.step();
        let required = step.required == Some(true);
        let (passed, fault) = (node.passed, node.fault.clone());
        if self.run.is_dry() {
            return self.foresee_check(path);
        }
        if step.until.is_some() {
            let hold = self.run.scaled(step.hold.unwrap_or(Duration::ZERO));
            let Phase::Reading { holds_since } = node.phase else { return Ok(()) };
            let held = holds_since.is_some_and(|since| hold.after(since) <= self.now);
            let over = self.run.poll_deadline(node).is_some_and(|deadline| deadline <= self.now);
            match (held, over) {
                (true, _) => {}
                (false, false) => return Ok(()),
                (false, true) => return self.check_timed_out(path),
            }
        }
        let failed = required && passed != Some(true);
        let end = if failed {
            let reason =
                fault.as_ref().map_or_else(|| self.not_as_expected(path), |fault| fault.message.clone());
            End { reason: Some(reason), fault, ..End::of(StepStatus::Failed) }
        } else {
            End { fault, ..End::of(StepStatus::Succeeded) }
        };
        self.end(path, end.passed(passed))
    }

    fn not_as_expected(&self, path: &str) -> String {
        let step = self.node(path).map(Node::step);
        let expected =
            step.and_then(|step| step.until.as_deref().or(step.expect.as_deref())).unwrap_or_default();
        format!("required, but `{expected}` does not hold")
    }

    /// A polled check whose time is up did not pass.
    pub(super) fn check_timed_out(&mut self, path: &str) -> Result<(), Corrupt> {
        let Some(node) = self.node(path) else { return Ok(()) };
        let required = node.step().required == Some(true);
        let fault = node.fault.clone();
        let reason = format!("`{}` did not hold in time", node.step().until.as_deref().unwrap_or_default());
        let status = if required { StepStatus::Failed } else { StepStatus::Succeeded };
        self.end(path, End { fault, ..End::because(status, reason).passed(Some(false)) })
    }

    pub(super) fn steady_read(
        &mut self,
        step: &str,
        readings: Vec<(String, Result<Reading, Fault>)>,
    ) -> Result<(), Corrupt> {
        let (frame, names) = match self.node(step) {
            _ if step == FINAL_LOOK => (String::new(), self.run.frame_names("", self.now)),
            Some(node) => (node.frame.clone(), self.run.names(node, self.now)),
            None => return Ok(()),
        };
        let looking = self.node(step).is_some_and(|node| match &node.phase {
            Phase::Soaking(_) => true,
            Phase::Climbing(climb) => climb.is_looking(),
            _ => false,
        });
        if !(looking || (step == FINAL_LOOK && self.run.needs_final_look())) {
            return Ok(());
        }
        let checks = self.run.judge(&frame, &names, readings);
        let holds = all_hold(&checks);
        self.emit(Body::SteadyChecked { step: step.to_owned(), holds, checks })?;
        self.settle_steady(step, holds)
    }

    fn settle_steady(&mut self, path: &str, holds: Option<bool>) -> Result<(), Corrupt> {
        let Some(node) = self.node(path) else { return Ok(()) };
        match &node.phase {
            Phase::Soaking(soak) => {
                let hold = self.run.scaled(node.step().hold.unwrap_or(Duration::ZERO));
                if soak.holds_since.is_some_and(|since| hold.after(since) <= self.now) {
                    return self.end(path, End::of(StepStatus::Succeeded).passed(Some(true)));
                }
                Ok(())
            }
            Phase::Climbing(climb) => match (&climb.step, holds) {
                (ClimbStep::Before, Some(true)) => self.already_steady(path),
                (ClimbStep::Settling { option, .. }, Some(true)) => {
                    let option = option.clone();
                    self.helped(path, &option)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    pub(super) fn planned(
        &mut self,
        step: &str,
        outcome: Result<(Planned, Validation), Fault>,
    ) -> Result<(), Corrupt> {
        let Some(node) = self.node(step).filter(|node| node.phase == Phase::Planning) else { return Ok(()) };
        let node = node.clone();
        match outcome {
            Err(fault) if node.role == Role::Undo && fault.kind == FaultKind::Conflict => {
                self.ask_about_conflict(&node, &fault)
            }
            Err(fault) if self.run.may_retry(&node, &fault) => self.retry(step, fault),
            Err(fault) if self.run.is_dry() => self.foresee_fault(step, fault),
            Err(fault) => self.fail_or_stick(step, fault),
            Ok((Planned::Already { target, summary, outputs }, validation)) => {
                let warnings = validation.warnings;
                self.emit(Body::AlreadySo {
                    step: step.to_owned(),
                    target,
                    summary: summary.clone(),
                    outputs,
                    warnings,
                })?;
                if self.run.is_dry() {
                    return self.foresee_nothing_to_do(step, &summary);
                }
                self.end(step, End::because(StepStatus::Succeeded, summary).passed(Some(true)))
            }
            Ok((Planned::Change(change), validation)) => self.planned_change(&node, *change, validation),
        }
    }

    fn planned_change(&mut self, node: &Node, change: Change, validation: Validation) -> Result<(), Corrupt> {
        let step = node.path.clone();
        if let Some(fault) = self.run.refusal_of(node, &change, self.now) {
            return if self.run.is_dry() {
                self.foresee_fault(&step, fault)
            } else {
                self.fail_or_stick(&step, fault)
            };
        }
        let digest = change.digest();
        let mut warnings = change.warnings.clone();
        warnings.extend(validation.warnings.into_iter().filter(|warning| !change.warnings.contains(warning)));
        self.emit(Body::Planned {
            step: step.clone(),
            change: Box::new(change),
            digest,
            grade: validation.grade,
            warnings,
        })?;
        let gate = self.node(&step).and_then(|node| self.run.gate_of(node, self.now));
        if self.run.is_dry() {
            return self.foresee_change(&step, gate, validation.ending);
        }
        match gate {
            Some(gate) => self.emit(Body::ApprovalRequested { step, gate }),
            None => Ok(()),
        }
    }

    pub(super) fn confirmed(&mut self, step: &str, outcome: Result<Planned, Fault>) -> Result<(), Corrupt> {
        let Some(node) = self.node(step).filter(|node| node.phase == Phase::Confirming) else {
            return Ok(());
        };
        let node = node.clone();
        let Some(approved) = node.change.clone() else { return Ok(()) };
        let moved = match outcome {
            Err(fault) if node.role == Role::Undo && fault.kind == FaultKind::Conflict => {
                return self.ask_about_conflict(&node, &fault);
            }
            Err(fault) if self.run.may_retry(&node, &fault) => return self.retry(step, fault),
            Err(fault) => return self.fail_or_stick(step, fault),
            Ok(Planned::Already { summary, .. }) => vec![format!("already so: {summary}")],
            Ok(Planned::Change(fresh)) if fresh.digest() == approved.digest() => {
                // A freeze may have begun while people thought about it.
                if let Some(frozen) = self.run.frozen(&node, self.now) {
                    return self.fail_or_stick(step, frozen);
                }
                let key = self.run.idempotency_key(&node);
                return self.emit(Body::ApplyStarted { step: step.to_owned(), change: fresh, key });
            }
            Ok(Planned::Change(fresh)) => approved.moved(&fresh),
        };
        self.void(step, moved)
    }

    /// The world is not as it was when the change was planned and approved.
    fn void(&mut self, step: &str, moved: Vec<String>) -> Result<(), Corrupt> {
        let Some(node) = self.node(step) else { return Ok(()) };
        let voided = node.voided;
        let summary = moved.join("; ");
        self.emit(Body::PlanVoided { step: step.to_owned(), moved })?;
        if self.run.created.bound_to.is_some() {
            let fault = Fault::new(
                FaultKind::Stale,
                format!("the world has moved since the plan was made: {summary}"),
            )
            .hint("make a new plan with `runbook run … --dry-run --plan-out FILE`");
            return self.fail_or_stick(step, fault);
        }
        if voided + 1 >= MOST_VOIDED {
            let fault = Fault::conflict(format!(
                "the target moved {MOST_VOIDED} times while it was being planned: {summary}"
            ));
            return self.fail_or_stick(step, fault);
        }
        Ok(())
    }

    pub(super) fn busy(&mut self, step: &str, target: String, held_by: String) -> Result<(), Corrupt> {
        let Some(node) = self.node(step).filter(|node| node.phase == Phase::Confirming) else {
            return Ok(());
        };
        if self.run.busy_deadline(node).is_some_and(|deadline| deadline <= self.now) {
            return self.fail(step, Fault::conflict(format!("{held_by} has held {target} for too long")));
        }
        self.emit(Body::TargetBusy { step: step.to_owned(), target, held_by })
    }

    pub(super) fn applied(&mut self, step: &str, outcome: Result<Value, Fault>) -> Result<(), Corrupt> {
        let Some(node) = self.node(step).filter(|node| matches!(node.phase, Phase::Applying { .. })) else {
            return Ok(());
        };
        if let Err(fault) = &outcome
            && fault.kind.is_transient()
            && self.run.may_retry(node, fault)
        {
            return self.retry(step, fault.clone());
        }
        let fault = outcome.as_ref().err().cloned();
        self.emit(Body::ApplyReturned { step: step.to_owned(), outcome })?;
        match fault {
            // Whether it happened is looked up before anything else.
            Some(fault) if fault.kind == FaultKind::Unknown => Ok(()),
            Some(fault) if fault.kind == FaultKind::Conflict => self.void(step, vec![fault.message]),
            Some(fault) => self.fail_or_stick(step, fault),
            None => Ok(()),
        }
    }

    pub(super) fn probed(&mut self, step: &str, outcome: Result<Landed, Fault>) -> Result<(), Corrupt> {
        let Some(node) = self.node(step) else { return Ok(()) };
        let Phase::Doubtful { looks } = node.phase else { return Ok(()) };
        let (step, attempt) = (step.to_owned(), node.attempt);
        match outcome {
            Ok(Landed::Yes) => self.emit(Body::DoubtSettled { step, landed: true }),
            Ok(Landed::No) => self.emit(Body::DoubtSettled { step, landed: false }),
            Ok(Landed::CannotTell) => {
                let why = "the world does not tell".to_owned();
                self.emit(Body::DoubtRaised { step, why })
            }
            Err(fault) if fault.kind.is_transient() && looks < MOST_LOOKS => {
                let at = self.run.backoff(&step, looks + 1, None).after(self.now);
                self.emit(Body::RetryScheduled { step, attempt, at, fault })
            }
            Err(fault) => self.emit(Body::DoubtRaised { step, why: format!("looking failed: {fault}") }),
        }
    }

    pub(super) fn verified(&mut self, step: &str, outcome: Result<Value, String>) -> Result<(), Corrupt> {
        if !self.node(step).is_some_and(|node| matches!(node.phase, Phase::Verifying { .. })) {
            return Ok(());
        }
        let failed = outcome.as_ref().err().cloned();
        self.emit(Body::VerifyReturned { step: step.to_owned(), outcome })?;
        match failed {
            None => self.end(step, End::of(StepStatus::Succeeded).passed(Some(true))),
            Some(why) => self.fail_or_stick(step, Fault::permanent(why)),
        }
    }

    /// A step that fails while it takes a change back leaves the run stuck.
    pub(super) fn fail_or_stick(&mut self, step: &str, fault: Fault) -> Result<(), Corrupt> {
        if self.node(step).is_some_and(|node| node.role == Role::Undo) {
            let end =
                End { reason: Some(fault.message.clone()), fault: Some(fault), ..End::of(StepStatus::Stuck) };
            return self.end(step, end);
        }
        self.fail(step, fault)
    }

    fn ask_about_conflict(&mut self, node: &Node, fault: &Fault) -> Result<(), Corrupt> {
        let what = node.parent.as_deref().unwrap_or_default();
        let prompt =
            format!("Taking back `{what}` would undo someone else's change: {fault}. Proceed, or stop here?");
        let from = node.gate.as_ref().map_or_else(Vec::new, |gate| gate.from.clone());
        self.emit(Body::Asked { step: node.path.clone(), prompt, from })
    }

    fn retry(&mut self, step: &str, fault: Fault) -> Result<(), Corrupt> {
        let attempt = self.node(step).map_or(1, |node| node.attempt) + 1;
        let at = self.run.backoff(step, attempt - 1, fault.retry_after).after(self.now);
        self.emit(Body::RetryScheduled { step: step.to_owned(), attempt, at, fault })
    }
}

impl Run {
    /// Why a change may not be made, whatever anyone approves.
    fn refusal_of(&self, node: &Node, change: &Change, now: Timestamp) -> Option<Fault> {
        if let Some(frozen) = self.frozen(node, now) {
            return Some(frozen);
        }
        let limits = [
            self.created.policy.max_mutations,
            self.created.runbook.limits.as_ref().and_then(|limits| limits.max_mutations),
        ];
        let limit = limits.into_iter().flatten().min();
        let reached = self.mutations + self.foreseen_mutations();
        if let Some(limit) = limit
            && node.role != Role::Undo
            && node.place.list == super::List::Steps
            && reached >= limit
        {
            return Some(
                Fault::denied(format!("the limit of {limit} changes in one run is reached"))
                    .hint("raise `limits.max_mutations` in the runbook or the environment if this is meant"),
            );
        }
        let effect = node.step().effect.map_or(change.effect, |raised| raised.max(change.effect));
        if node.place.list == super::List::Finally && effect == Effect::Destructive && node.role != Role::Undo
        {
            return Some(Fault::denied("a `finally` step may not be destructive"));
        }
        let bound = self.created.bound_to.as_ref()?;
        if node.role == Role::Undo || bound.get(&node.path).is_some_and(|digest| *digest == change.digest()) {
            return None;
        }
        Some(
            Fault::new(FaultKind::Stale, format!("this is not the change of the plan: {}", change.summary))
                .hint("make a new plan with `runbook run … --dry-run --plan-out FILE`"),
        )
    }

    /// Whether nothing may be changed now. What is taken back, and what is told at the end, may.
    fn frozen(&self, node: &Node, now: Timestamp) -> Option<Fault> {
        if node.role == Role::Undo || node.place.list == super::List::Finally || self.overrides() {
            return None;
        }
        let freeze = self.created.policy.freeze_at(now)?;
        let until = freeze.until.strftime("%Y-%m-%d %H:%M UTC");
        Some(
            Fault::denied(format!("changes are frozen until {until}: {}", freeze.reason))
                .hint("wait, or run it with --override and a --reason, as far as `overriders` lets you"),
        )
    }

    /// Whether freezes and cool-downs do not hold for this run.
    pub fn overrides(&self) -> bool {
        let policy = &self.created.policy;
        let may = policy.everyone
            || policy.overriders.is_empty()
            || policy.is_among(&self.requested_by.name, &policy.overriders);
        self.created.overriding && may && self.created.reason.is_some()
    }

    fn foreseen_mutations(&self) -> u32 {
        if !self.is_dry() {
            return 0;
        }
        u32::try_from(
            self.nodes()
                .filter(|node| node.change.is_some() && node.phase.is_ended() && !node.uncertain)
                .count(),
        )
        .unwrap_or(u32::MAX)
    }

    /// Whether a failed call may be made again.
    fn may_retry(&self, node: &Node, fault: &Fault) -> bool {
        let limit = node.step().retry.as_ref().map_or(2, |retry| retry.limit);
        // `retry` on a check repeats whatever failed; a write is repeated only when the server
        // refused it, for then nothing happened.
        let is_read = matches!(node.kind(), Some(Kind::Check(_)));
        let worth = fault.kind.is_transient() || (is_read && node.step().retry.is_some());
        !self.is_dry() && worth && self.cancel.is_none() && node.attempt <= limit
    }

    /// How long to wait before the next try: growing, bounded, and spread by a share that follows
    /// from the run, the step and the attempt, so that a replay waits just as long.
    fn backoff(&self, step: &str, tries: u32, asked: Option<Duration>) -> Duration {
        let retry = self.node(step).and_then(|node| node.step().retry.as_ref());
        let backoff = retry.and_then(|Retry { backoff, .. }| backoff.as_ref());
        let initial = backoff.and_then(|b| b.initial).unwrap_or(Duration::from_secs(1));
        let factor = backoff.and_then(|b| b.factor).unwrap_or(2.0).clamp(1.0, 10.0);
        let most = backoff.and_then(|b| b.max).unwrap_or(Duration::from_secs(30));
        let jitter = backoff.and_then(|b| b.jitter).unwrap_or(0.2).clamp(0.0, 1.0);
        let exponent = i32::try_from(tries.saturating_sub(1).min(30)).unwrap_or(30);
        let whole = initial.times(factor.powi(exponent)).min(most);
        let spread = share(&format!("{}/{step}/{tries}", self.id));
        let wait = self.scaled(whole.times(1.0 - jitter * spread));
        // What a server asks for is real time.
        asked.map_or(wait, |asked| asked.max(wait))
    }

    /// What a dry-run may say of a reading: once a change is foreseen, behaviour that would follow
    /// from it is unknown, and what is read now is only what it is now.
    fn as_foreseen(&self, mut reading: Reading) -> Reading {
        let changed = self.is_dry() && self.nodes().any(|node| node.change.is_some());
        if changed && reading.reads == Reads::Behaviour && reading.grade == Grade::Observed {
            reading.grade = Grade::Unknown;
            reading.outputs = match reading.outputs {
                Value::Object(fields) => fields
                    .into_iter()
                    .map(|(name, now)| {
                        let why = format!(
                            "{} now; what it will be after the changes above, nobody can tell",
                            brief(&now)
                        );
                        (name, unknown::because(why))
                    })
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
                other => unknown::because(format!("{} now", brief(&other))),
            };
        }
        reading
    }
}

/// A number from 0 to 1 that follows from a text.
fn share(text: &str) -> f64 {
    let hex = crate::change::digest(&Value::String(text.to_owned()));
    let digits = hex.get(7..15).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
    f64::from(digits) / f64::from(u32::MAX)
}
