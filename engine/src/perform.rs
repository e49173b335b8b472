//! The hands: performs one effect and says what came of it. Whether the hands may write is decided
//! by the transports under the registry; a dry-run never even asks for an apply.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use futures::future::join_all;
use runbook_contract::{Action, Cx, Obstacle, PlanCx, Registry};
use runbook_core::{
    Timestamp, Value,
    change::{Change, Ending, Landed, Observed, Planned, Progress, Validation},
    duration::Duration,
    event::{Reading, RunId},
    fault::{Fault, FaultKind},
    run::{Effect, Input, List, Node, Read, Role, Run, Task},
    secret,
    spec::Grade,
};
use runbook_journal::{Journal, JournalError};

use crate::{
    Clock, Secrets,
    mask::{Mask, reveal, reveal_change},
};

/// How long a target stays locked without a sign of life from its run.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// The most that is kept of what one action gives out.
const LARGEST_OUTPUT: usize = 64 * 1024;
/// How often an accepted change is asked whether it is complete, in the environment's time.
const VERIFY_EVERY: Duration = Duration::from_secs(2);
/// Never more often than this, however fast the environment's time runs.
const VERIFY_AT_MOST: Duration = Duration::from_millis(50);
/// How long the transport is given beyond what it was told.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(crate) struct Performer {
    pub registry: Registry,
    pub secrets: Arc<dyn Secrets>,
    pub limits: BTreeMap<String, Value>,
    pub journal: Arc<dyn Journal>,
    /// Where the runs are that may be at work on the same targets.
    pub others: Arc<dyn Journal>,
    pub clock: Arc<dyn Clock>,
}

impl Performer {
    pub async fn perform(&self, run: &Run, effect: Effect) -> Input {
        let step = effect.step;
        let call = Call { performer: self, run, timeout: effect.timeout };
        match effect.task {
            Task::Check(read) => Input::Checked { step, reading: call.check(&read).await },
            Task::Steady(checks) => {
                let readings = join_all(checks.into_iter().map(|(id, read)| {
                    let call = &call;
                    async move {
                        let reading = match read {
                            Ok(read) => call.check(&read).await,
                            Err(fault) => Err(fault),
                        };
                        (id, reading)
                    }
                }));
                Input::SteadyRead { step, readings: readings.await }
            }
            Task::Plan { reading, started_at, key } => {
                let outcome = call.plan(&step, &reading, &plan_cx(started_at, key, false)).await;
                Input::Planned { step, outcome }
            }
            Task::PlanUndo { change, started_at, key, over_others } => {
                let cx = plan_cx(started_at, key, over_others);
                Input::Planned { step, outcome: call.plan_undo(&change, &cx).await }
            }
            Task::Confirm { change, undo_of, started_at, key, over_others } => {
                let cx = plan_cx(started_at, key, over_others);
                call.confirm(step, &change, undo_of.as_deref(), &cx).await
            }
            Task::Apply { change, key } => Input::Applied { step, outcome: call.apply(&change, key).await },
            Task::Probe { change, key } => Input::Probed { step, outcome: call.probe(&change, key).await },
            Task::Verify { change, answer, key, deadline } => {
                Input::Verified { step, outcome: call.verify(&change, &answer, key, deadline).await }
            }
        }
    }

    fn action(&self, name: &str) -> Result<&Arc<dyn Action>, Fault> {
        self.registry.get(name).ok_or_else(|| {
            Fault::permanent(format!("this environment has no action `{name}`"))
                .hint("`runbook actions` lists them; its provider may not be configured in runbook.yaml")
        })
    }

    pub async fn preflight(&self, action: &str, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let action = self.action(action)?;
        let (input, _) = reveal(input, self.secrets.as_ref())?;
        if let Some(limits) = self.limits.get(&action.spec().name)
            && let Err(fault) = action.within_limits(&input, limits)
        {
            return Ok(vec![Obstacle {
                blocking: true,
                code: "limit".to_owned(),
                message: fault.message,
                hint: fault.hint,
            }]);
        }
        let timeout = Duration::from_secs(30);
        let cx = Cx { timeout, idempotency_key: String::new(), now: self.clock.now(), speed: 1 };
        within(timeout, FaultKind::Unreachable, action.preflight(&cx, &input)).await
    }
}

fn plan_cx(started_at: Timestamp, idempotency_key: String, over_others: bool) -> PlanCx {
    PlanCx { started_at, idempotency_key, over_others }
}

/// One effect of one run.
struct Call<'a> {
    performer: &'a Performer,
    run: &'a Run,
    timeout: Duration,
}

impl Call<'_> {
    fn cx(&self, key: String) -> Cx {
        Cx {
            timeout: self.timeout,
            idempotency_key: key,
            now: self.performer.clock.now(),
            speed: self.run.created.speed,
        }
    }

    /// Observes, as a dry-run foresees it. The mask hides what secrets come back.
    async fn observe(
        &self,
        action: &Arc<dyn Action>,
        input: &Value,
        key: &str,
    ) -> Result<(Observed, bool, Mask), Fault> {
        if let Some(field) = action.spec().misplaced_secret(input) {
            return Err(Fault::denied(format!(
                "a secret does not belong into `{field}`, where others see it"
            ))
            .hint(format!("`runbook actions {}` says where secrets may go", action.spec().name)));
        }
        let (revealed, mask) = reveal(input, self.performer.secrets.as_ref())?;
        let cx = self.cx(key.to_owned());
        let seen = within(self.timeout, FaultKind::Unreachable, action.observe(&cx, &revealed)).await;
        let seen = seen.map_err(|fault| mask.fault(fault))?;
        let predicted = self.predicted();
        let (seen, touched) =
            if predicted.is_empty() { (seen, false) } else { action.overlay(seen, &predicted) };
        Ok((seen, touched, mask))
    }

    /// The changes that this dry-run foresees so far.
    fn predicted(&self) -> Vec<Change> {
        if !self.run.is_dry() {
            return Vec::new();
        }
        self.run.nodes().filter_map(|node| node.change.as_deref().cloned()).collect()
    }

    async fn check(&self, read: &Read) -> Result<Reading, Fault> {
        let action = self.performer.action(&read.action)?;
        let (seen, touched, mask) = self.observe(action, &read.input, "").await?;
        let outputs = bounded(mask.value(secret::sanitize(seen.outputs)));
        let grade = if touched { Grade::Predicted } else { Grade::Observed };
        let warnings = mask.lines(seen.warnings);
        let target = seen.target.map(|target| mask.target(target));
        Ok(Reading { outputs, target, warnings, grade, reads: action.spec().reads })
    }

    async fn plan(&self, step: &str, read: &Read, cx: &PlanCx) -> Result<(Planned, Validation), Fault> {
        let action = self.performer.action(&read.action)?;
        self.within_limits(action, &read.input)?;
        let (mut warnings, mut ending) = (Vec::new(), Ending::Complete);
        if self.run.is_dry() {
            (warnings, ending) = self.obstacles(action, &read.input).await?;
        }
        let (planned, touched, seen_warnings) = self.plan_once(action, &read.input, cx).await?;
        warnings.extend(seen_warnings);
        if let Planned::Change(change) = &planned {
            self.cooled_down(step, &change.target.name).await?;
            warnings.extend(self.held_by_another(&change.target.name).await);
        }
        let (planned, mut validation) = self.validated(action, planned, touched, warnings).await?;
        if matches!(planned, Planned::Change(_)) {
            validation.ending = ending;
        }
        Ok((planned, validation))
    }

    fn within_limits(&self, action: &Arc<dyn Action>, input: &Value) -> Result<(), Fault> {
        match self.performer.limits.get(&action.spec().name) {
            Some(limits) => action.within_limits(input, limits),
            None => Ok(()),
        }
    }

    /// What would stand in the way: as warnings, and as the end of a change that is made all the
    /// same. A missing right is a fault at once.
    async fn obstacles(
        &self,
        action: &Arc<dyn Action>,
        input: &Value,
    ) -> Result<(Vec<String>, Ending), Fault> {
        let (revealed, mask) = reveal(input, self.performer.secrets.as_ref())?;
        let cx = self.cx(String::new());
        let found = within(self.timeout, FaultKind::Unreachable, action.preflight(&cx, &revealed)).await;
        let Ok(found) = found else { return Ok((Vec::new(), Ending::Complete)) };
        let denied: Vec<&str> = found
            .iter()
            .filter(|obstacle| obstacle.blocking && ["rbac", "iam"].contains(&obstacle.code.as_str()))
            .map(|obstacle| obstacle.message.as_str())
            .collect();
        if !denied.is_empty() {
            let hint = found.iter().find_map(|obstacle| obstacle.hint.clone());
            let fault = Fault { hint, ..Fault::forbidden(denied.join("; ")) };
            return Err(mask.fault(fault.by_server()));
        }
        let ending = if let Some(doom) = found.iter().find(|obstacle| obstacle.blocking) {
            let fault = Fault::permanent(doom.message.clone());
            Ending::Doomed(mask.fault(Fault { hint: doom.hint.clone(), ..fault }))
        } else if let Some(delay) = found.iter().find(|obstacle| obstacle.code == "delay") {
            Ending::Open(mask.text(&delay.message))
        } else {
            Ending::Complete
        };
        Ok((mask.lines(found.into_iter().map(|obstacle| obstacle.message).collect()), ending))
    }

    async fn plan_once(
        &self,
        action: &Arc<dyn Action>,
        input: &Value,
        cx: &PlanCx,
    ) -> Result<(Planned, bool, Vec<String>), Fault> {
        let (seen, touched, mask) = self.observe(action, input, &cx.idempotency_key).await?;
        let (revealed, _) = reveal(input, self.performer.secrets.as_ref())?;
        let planned = action.plan(cx, &revealed, &seen).map_err(|fault| mask.fault(fault))?;
        Ok((masked(planned, &mask, input), touched, mask.lines(seen.warnings)))
    }

    async fn undo_once(&self, of: &Change, cx: &PlanCx) -> Result<Planned, Fault> {
        let action = self.performer.action(&of.action)?;
        let (change, mask) = reveal_change(of, self.performer.secrets.as_ref())?;
        let (seen, _, _) = self.observe(action, &of.input, &cx.idempotency_key).await?;
        let planned = action.plan_undo(cx, &change, &seen).map_err(|fault| mask.fault(fault))?;
        let input = match &planned {
            Planned::Change(undo) => mask.value(undo.input.clone()),
            Planned::Already { .. } => Value::Null,
        };
        Ok(masked(planned, &mask, &input))
    }

    async fn plan_undo(&self, of: &Change, cx: &PlanCx) -> Result<(Planned, Validation), Fault> {
        let planned = self.undo_once(of, cx).await?;
        let action = self.performer.action(&of.action)?;
        self.validated(action, planned, false, Vec::new()).await
    }

    /// Asks the server whether it would take the change.
    async fn validated(
        &self,
        action: &Arc<dyn Action>,
        planned: Planned,
        touched: bool,
        mut warnings: Vec<String>,
    ) -> Result<(Planned, Validation), Fault> {
        let Planned::Change(change) = planned else {
            return Ok((planned, Validation::of(Grade::Observed, warnings)));
        };
        let (revealed, mask) = reveal_change(&change, self.performer.secrets.as_ref())?;
        let cx = self.cx(String::new());
        let asked = within(self.timeout, FaultKind::Unreachable, action.validate(&cx, &revealed)).await;
        let validation = match asked {
            Ok(validation) => validation,
            // On top of a predicted change the server cannot judge; its refusal proves nothing.
            Err(_) if touched => Validation::of(Grade::Predicted, Vec::new()),
            Err(fault) => return Err(mask.fault(fault.by_server())),
        };
        warnings.extend(mask.lines(validation.warnings));
        warnings.dedup();
        let grade = if touched { validation.grade.max(Grade::Predicted) } else { validation.grade };
        Ok((Planned::Change(change), Validation::of(grade, warnings)))
    }

    /// Locks the target, then looks and plans again.
    async fn confirm(&self, step: String, change: &Change, undo_of: Option<&Change>, cx: &PlanCx) -> Input {
        let now = self.performer.clock.now();
        let target = &change.target.name;
        match self.performer.journal.lock(target, self.run.id, now, LEASE.after(now)).await {
            Ok(_) => {}
            Err(JournalError::Locked { run, .. }) => {
                return Input::Busy { step, target: target.clone(), held_by: run.to_string() };
            }
            Err(error) => {
                let fault = Fault::refused(format!("the target could not be locked: {error}"));
                return Input::Confirmed { step, outcome: Err(fault) };
            }
        }
        if let Err(fault) = self.cooled_down(&step, target).await {
            return Input::Confirmed { step, outcome: Err(fault) };
        }
        let outcome = match undo_of {
            Some(of) => self.undo_once(of, cx).await,
            None => self.plan_again(change, cx).await,
        };
        Input::Confirmed { step, outcome }
    }

    /// Whether another run has changed the target so lately that it is to be left alone. What is
    /// taken back, and what is told at the end, need not wait.
    async fn cooled_down(&self, step: &str, target: &str) -> Result<(), Fault> {
        let waits = self.run.node(step).is_some_and(leaves_alone);
        if self.run.created.policy.cooldown.is_none() || !waits || self.run.overrides() {
            return Ok(());
        }
        match self.holder(&rest_of(target)).await {
            Ok(None) => Ok(()),
            Ok(Some((run, until))) => {
                let until = until.strftime("%H:%M:%S UTC");
                Err(Fault::denied(format!("{target} was changed by {run} and is left alone until {until}"))
                    .hint("look what that run did, then wait, or run this with --override and a --reason"))
            }
            Err(error) => Err(Fault::refused(format!("the target's cool-down could not be read: {error}"))),
        }
    }

    /// What a dry-run says of a target that another run is at work on. A live run waits for it.
    async fn held_by_another(&self, target: &str) -> Option<String> {
        if !self.run.is_dry() {
            return None;
        }
        match self.holder(target).await {
            Ok(None) => None,
            Ok(Some((run, _))) => Some(format!("{run} is changing {target}: this would wait for it to end")),
            Err(error) => {
                Some(format!("whether another run is changing {target} could not be read: {error}"))
            }
        }
    }

    /// Another run that holds a target.
    async fn holder(&self, target: &str) -> Result<Option<(RunId, Timestamp)>, JournalError> {
        let held = self.performer.others.holder(target, self.performer.clock.now()).await?;
        Ok(held.filter(|(run, _)| *run != self.run.id))
    }

    async fn plan_again(&self, change: &Change, cx: &PlanCx) -> Result<Planned, Fault> {
        let action = self.performer.action(&change.action)?;
        self.within_limits(action, &change.input)?;
        self.plan_once(action, &change.input, cx).await.map(|(planned, _, _)| planned)
    }

    async fn apply(&self, change: &Change, key: String) -> Result<Value, Fault> {
        let action = self.performer.action(&change.action)?;
        let (revealed, mask) = reveal_change(change, self.performer.secrets.as_ref())?;
        let cx = self.cx(key);
        let outcome = within(self.timeout, FaultKind::Unknown, action.apply(&cx, &revealed)).await;
        outcome
            .map(|outputs| bounded(mask.value(secret::sanitize(outputs))))
            .map_err(|fault| mask.fault(fault))
    }

    async fn probe(&self, change: &Change, key: String) -> Result<Landed, Fault> {
        let action = self.performer.action(&change.action)?;
        let (revealed, _) = reveal_change(change, self.performer.secrets.as_ref())?;
        let (seen, _, _) = self.observe(action, &change.input, &key).await?;
        Ok(action.landed(&revealed, &seen))
    }

    /// Until the change is complete, or its time is up.
    async fn verify(
        &self,
        change: &Change,
        answer: &Value,
        key: String,
        deadline: Timestamp,
    ) -> Result<Value, String> {
        let action = self.performer.action(&change.action).map_err(|fault| fault.message)?;
        let (revealed, mask) =
            reveal_change(change, self.performer.secrets.as_ref()).map_err(|fault| fault.message)?;
        let every = VERIFY_EVERY.scaled(self.run.created.speed).max(VERIFY_AT_MOST);
        loop {
            let cx = self.cx(key.clone());
            let progress =
                within(self.timeout, FaultKind::Unreachable, action.verify_answered(&cx, &revealed, answer))
                    .await;
            let missing = match progress {
                Ok(Progress::Done(outputs)) => return Ok(bounded(mask.value(secret::sanitize(outputs)))),
                Ok(Progress::Failed(why)) => return Err(mask.fault(Fault::permanent(why)).message),
                Ok(Progress::Pending(missing)) => missing,
                Err(fault) if fault.kind.is_transient() || fault.kind == FaultKind::Unknown => fault.message,
                Err(fault) => return Err(mask.fault(fault).message),
            };
            let now = self.performer.clock.now();
            if now >= deadline {
                return Err(mask.fault(Fault::permanent(format!("not complete in time: {missing}"))).message);
            }
            self.performer.clock.sleep_until(every.after(now).min(deadline)).await;
        }
    }
}

/// Whether a step's change begins a cool-down and waits for others.
pub(crate) fn leaves_alone(node: &Node) -> bool {
    node.role != Role::Undo && node.place.list == List::Steps
}

/// The lock under which a target rests after a change.
pub(crate) fn rest_of(target: &str) -> String {
    format!("cool-down/{target}")
}

fn masked(planned: Planned, mask: &Mask, input: &Value) -> Planned {
    match planned {
        Planned::Change(change) => Planned::Change(Box::new(mask.change(*change, input))),
        Planned::Already { target, summary, outputs } => Planned::Already {
            target: target.map(|target| mask.target(target)),
            summary: mask.text(&summary),
            outputs: mask.value(outputs),
        },
    }
}

/// Cuts a call off that outlives its time; what that means depends on what was asked.
async fn within<T>(
    timeout: Duration,
    kind: FaultKind,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(timeout.as_std() + GRACE.as_std(), call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::new(kind, format!("no answer within {timeout}"))),
    }
}

/// Keeps outputs within their bound: long texts and lists are cut, with a mark.
fn bounded(outputs: Value) -> Value {
    if outputs.to_string().len() <= LARGEST_OUTPUT {
        return outputs;
    }
    match outputs {
        Value::Object(fields) => {
            let share = LARGEST_OUTPUT / fields.len().max(1);
            fields
                .into_iter()
                .map(|(name, value)| (name, cut(value, share)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        other => cut(other, LARGEST_OUTPUT),
    }
}

fn cut(value: Value, most: usize) -> Value {
    let length = value.to_string().len();
    if length <= most {
        return value;
    }
    match value {
        Value::String(text) => {
            let kept: String = text.chars().take(most / 4).collect();
            Value::String(format!("{kept}… (truncated, {} bytes in all)", text.len()))
        }
        Value::Array(items) => {
            let mut room = most;
            let kept: Vec<Value> = items
                .into_iter()
                .take_while(|item| {
                    let size = item.to_string().len() + 1;
                    let fits = size <= room;
                    room = room.saturating_sub(size);
                    fits
                })
                .collect();
            Value::Array(kept)
        }
        _ => Value::String(format!("(left out: {length} bytes)")),
    }
}
