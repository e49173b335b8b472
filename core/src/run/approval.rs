//! Approvals: when one is due, who may give it, and what it binds to.

use serde_json::json;

use super::{
    Node, Phase, Rejected, RejectedKind, Run,
    draft::Draft,
    fold::Corrupt,
    node::{Gated, Role},
};
use crate::{
    Timestamp,
    change::digest,
    duration::Duration,
    event::{Actor, Body, Gate, StepStatus},
    expression,
    fault::Fault,
    runbook::{Approval, OnTimeout},
    spec::Effect,
};

/// The longest name of a person, in bytes.
const LONGEST_NAME: usize = 200;

/// How long a gate stands open where the runbook does not say. A time-out means no.
const TIMEOUT: Duration = Duration::from_secs(24 * 3600);

impl Run {
    /// The gate before a planned change, if one is due: because the runbook asks, because the
    /// change is destructive, or because the environment's policy asks.
    pub(super) fn gate_of(&self, node: &Node, now: Timestamp) -> Option<Gate> {
        let change = node.change.as_ref()?;
        let effect = node.effect().unwrap_or(change.effect);
        let floor = self.created.policy.floors.get(&effect);
        let asked = node.approval();
        // An undo that follows by itself from a failure was approved with the change; one that a
        // person asks for is a new decision wherever the change was one.
        let by_request = node.role == Role::Undo && self.undo_requested_by.is_some();
        let inherited = by_request.then(|| self.node(node.parent.as_deref()?)?.gate.as_ref()).flatten();
        let asked = if node.role == Role::Undo { None } else { asked };
        if asked.is_none() && inherited.is_none() && floor.is_none() && effect < Effect::Destructive {
            return None;
        }
        let default = Approval::default();
        let approval = asked.unwrap_or(&default);
        let (mut from, mut count) = (approval.from.clone(), approval.count.unwrap_or(1));
        if let Some(gate) = inherited {
            from.clone_from(&gate.from);
            count = gate.count;
        }
        if let Some(floor) = floor {
            count = count.max(floor.count);
            if !floor.from.is_empty() {
                from.clone_from(&floor.from);
            }
        }
        let prompt = self.prompt_of(node, approval, now).unwrap_or_else(|| change.summary.clone());
        Some(gate(prompt, change.digest(), from, count, approval, now))
    }

    /// The gate that is a step of its own.
    pub(super) fn gate_alone(&self, node: &Node, approval: &Approval, now: Timestamp) -> Gate {
        let prompt = self.prompt_of(node, approval, now).unwrap_or_else(|| node.step().label().to_owned());
        let question = digest(&json!([self.id.to_string(), node.path, prompt, node.attempt]));
        gate(prompt, question, approval.from.clone(), approval.count.unwrap_or(1), approval, now)
    }

    fn prompt_of(&self, node: &Node, approval: &Approval, now: Timestamp) -> Option<String> {
        let prompt = approval.prompt.as_ref()?;
        Some(expression::render_text(prompt, &self.names(node, now)).unwrap_or_else(|_| prompt.clone()))
    }
}

fn gate(
    prompt: String,
    digest: String,
    from: Vec<String>,
    count: u32,
    approval: &Approval,
    now: Timestamp,
) -> Gate {
    let timeout = approval.timeout.unwrap_or(TIMEOUT);
    let escalates = approval.on_timeout == Some(OnTimeout::Escalate);
    Gate {
        prompt,
        digest,
        from,
        count: count.max(1),
        deadline: Some(timeout.after(now)),
        escalate_to: if escalates { approval.escalate_to.clone() } else { Vec::new() },
        timeout: Some(timeout),
    }
}

/// Whether someone is among those whom a gate or a question names. Nobody named means anybody.
fn is_among(run: &Run, actor: &Actor, from: &[String]) -> bool {
    let policy = &run.created.policy;
    policy.everyone || from.is_empty() || policy.is_among(&actor.name, from)
}

/// Whether the one who asked for something decides about it, where that takes someone else.
fn decides_for_themselves(run: &Run, name: &str) -> bool {
    let asked_by = run.undo_requested_by.as_ref().unwrap_or(&run.requested_by);
    asked_by.name == name && !run.created.policy.allow_self
}

/// Whether this person may approve what this gate asks, and if not, why.
pub fn may_approve(run: &Run, gated: &Gated, actor: &Actor) -> Result<(), Rejected> {
    let refuse = |message: String| Rejected::new(RejectedKind::NotPermitted, message);
    if let Some(handed) = gated.delegated.iter().find(|handed| handed.from == actor.name) {
        return Err(refuse(format!("{} lets {} decide about this", handed.from, handed.to)));
    }
    let is_delegate = gated.delegated.iter().any(|handed| handed.to == actor.name);
    if !is_delegate && !is_among(run, actor, &gated.gate.from) {
        let who = gated.gate.from.join(", ");
        return Err(refuse(format!("{} is not in {who}", actor.name)).hint(
            "groups are defined under `people` in runbook.yaml; whoever is in one may let you decide with \
             `runbook approve … --delegate-to`",
        ));
    }
    if decides_for_themselves(run, &actor.name) {
        return Err(refuse(format!("{} asked for this run, so someone else has to approve it", actor.name))
            .hint(format!("ask one of: {}", gated.gate.from.join(", "))));
    }
    if gated.granted.iter().any(|given| given.name == actor.name) {
        return Err(refuse(format!(
            "{} has approved this already; {} distinct people are needed",
            actor.name, gated.gate.count
        )));
    }
    Ok(())
}

/// Whether this person may approve alone, and if not, why. Whoever asked for the run may: that there
/// is nobody else is what it is for.
pub fn may_break_glass(run: &Run, actor: &Actor, reason: Option<&str>) -> Result<(), Rejected> {
    let policy = &run.created.policy;
    if !policy.everyone && !policy.is_among(&actor.name, &policy.break_glass) {
        let message = match policy.break_glass.as_slice() {
            [] => "nobody may break the glass in this environment".to_owned(),
            names => format!("{} may not break the glass; {} may", actor.name, names.join(", ")),
        };
        return Err(Rejected::new(RejectedKind::NotPermitted, message)
            .hint("`break_glass` of the environment in runbook.yaml names who may"));
    }
    if reason.is_none_or(|reason| reason.trim().is_empty()) {
        return Err(Rejected::new(RejectedKind::Invalid, "breaking the glass needs a reason")
            .hint("say it with --comment"));
    }
    Ok(())
}

/// Whether this person may answer what a step asks, and if not, why.
pub fn may_answer(run: &Run, from: &[String], actor: &Actor) -> Result<(), Rejected> {
    if is_among(run, actor, from) {
        return Ok(());
    }
    Err(Rejected::new(RejectedKind::NotPermitted, format!("{} is not in {}", actor.name, from.join(", "))))
}

impl Draft {
    pub(super) fn approve(
        &mut self,
        actor: &Actor,
        step: &str,
        digest: &str,
        comment: Option<String>,
        break_glass: bool,
    ) -> Result<(), Rejected> {
        let gated = self.open_gate(step)?.clone();
        if break_glass {
            may_break_glass(&self.run, actor, comment.as_deref())?;
        } else {
            may_approve(&self.run, &gated, actor)?;
        }
        if gated.gate.digest != digest {
            return Err(Rejected::new(
                RejectedKind::Stale,
                format!("`{step}` asks about another change by now"),
            )
            .hint("look at it again with `runbook approvals`"));
        }
        let own_run = actor.name == self.run.requested_by.name;
        let (step_of, digest) = (step.to_owned(), digest.to_owned());
        self.emit_as(
            actor.clone(),
            Body::ApprovalGranted { step: step_of, digest, comment, own_run, break_glass },
        )?;
        self.close_gate_alone(step)?;
        Ok(())
    }

    /// Lets someone else decide in one's place. It ends with the gate, and cannot be handed on.
    pub(super) fn delegate(
        &mut self,
        actor: &Actor,
        step: &str,
        to: String,
        comment: Option<String>,
    ) -> Result<(), Rejected> {
        let gated = self.open_gate(step)?.clone();
        may_approve(&self.run, &gated, actor)?;
        let refuse = |message: String| Err(Rejected::new(RejectedKind::NotPermitted, message));
        if !is_among(&self.run, actor, &gated.gate.from) {
            return refuse(format!("{} decides in somebody's place and cannot hand that on", actor.name));
        }
        if to == actor.name || to.trim().is_empty() || to.len() > LONGEST_NAME {
            return refuse(format!("`{to}` is nobody else"));
        }
        if decides_for_themselves(&self.run, &to) {
            return refuse(format!("{to} asked for this run, so someone else has to approve it"));
        }
        self.emit_as(actor.clone(), Body::ApprovalDelegated { step: step.to_owned(), to, comment })?;
        Ok(())
    }

    /// A gate that is a step of its own ends with its last approval.
    fn close_gate_alone(&mut self, step: &str) -> Result<(), Corrupt> {
        let done = self.node(step).is_some_and(|node| match &node.phase {
            Phase::Gated(gated) => gated.is_met(),
            _ => false,
        });
        if done {
            self.end(step, super::draft::End::of(StepStatus::Succeeded).passed(Some(true)))
        } else {
            Ok(())
        }
    }

    pub(super) fn reject(
        &mut self,
        actor: &Actor,
        step: &str,
        comment: Option<String>,
    ) -> Result<(), Rejected> {
        let gated = self.open_gate(step)?.clone();
        let requester = self.run.requested_by.name == actor.name;
        let is_delegate = gated.delegated.iter().any(|handed| handed.to == actor.name);
        if !requester && !is_delegate && !is_among(&self.run, actor, &gated.gate.from) {
            let who = gated.gate.from.join(", ");
            return Err(Rejected::new(RejectedKind::NotPermitted, format!("{} is not in {who}", actor.name)));
        }
        let why = comment.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        let fault = Fault::denied(format!("rejected by {}{why}", actor.name));
        self.emit_as(actor.clone(), Body::ApprovalRejected { step: step.to_owned(), comment })?;
        self.fail(step, fault)?;
        Ok(())
    }

    fn open_gate(&self, step: &str) -> Result<&Gated, Rejected> {
        let node = self.node(step).ok_or_else(|| {
            Rejected::new(RejectedKind::Invalid, format!("the run has no step `{step}`"))
                .hint("`runbook approvals` lists what is open")
        })?;
        match &node.phase {
            Phase::Gated(gated) if gated.gate.deadline.is_none_or(|deadline| self.now < deadline) => {
                Ok(gated)
            }
            Phase::Gated(_) => {
                Err(Rejected::new(RejectedKind::NotNow, format!("the time to approve `{step}` is over")))
            }
            _ => Err(Rejected::new(RejectedKind::NotNow, format!("`{step}` is not waiting for an approval"))
                .hint("`runbook approvals` lists what is open")),
        }
    }

    /// Whether a person may answer what a step asks.
    pub(super) fn may_answer(&self, actor: &Actor, from: &[String]) -> Result<(), Rejected> {
        may_answer(&self.run, from, actor)
    }

    /// The time of a gate is up: others are asked, or it is a no.
    pub(super) fn gate_expired(&mut self, step: &str, gated: &Gated) -> Result<(), Corrupt> {
        if let Some(next) = gated.asked_next() {
            let to = vec![next.to_owned()];
            let deadline = gated.gate.timeout.map(|timeout| timeout.after(self.now));
            return self.emit(Body::ApprovalEscalated { step: step.to_owned(), to, deadline });
        }
        self.emit(Body::ApprovalExpired { step: step.to_owned() })?;
        let fault = Fault::denied("nobody approved it in time").hint("a time-out means no");
        self.fail(step, fault)
    }
}
