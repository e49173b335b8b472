//! Dry-run: what would become of each step, and how sure that is.

use super::{
    Node, Phase, Run,
    draft::{Draft, End},
    fold::Corrupt,
    node::{List, Role},
};
use crate::{
    change::Ending,
    duration::Duration,
    event::{Body, Gate, StepStatus, Verdict},
    fault::{Fault, FaultKind},
    runbook::Kind,
    spec::Grade,
};

impl Draft {
    pub(super) fn foresee_check(&mut self, path: &str) -> Result<(), Corrupt> {
        let Some(node) = self.node(path) else { return Ok(()) };
        let (passed, required) = (node.passed, node.step().required == Some(true));
        let polled = node.step().until.clone();
        let grade = if node.fault.is_some() { Grade::Unknown } else { node.grade.unwrap_or(Grade::Unknown) };
        let fault = node.fault.clone();
        let (verdict, reason) = match (&fault, polled, passed) {
            (Some(fault), _, _) => (self.run.reach(path), format!("could not be read: {fault}")),
            (None, Some(until), Some(false)) => {
                (Verdict::WouldWait, format!("until `{until}` holds; it does not now"))
            }
            (None, _, _) => (self.run.reach(path), self.run.judged(path)),
        };
        self.foresee(path, verdict, grade, reason)?;
        let blocks = required && passed == Some(false) && verdict != Verdict::WouldWait;
        let status = if blocks { StepStatus::Failed } else { StepStatus::Succeeded };
        let reason = blocks.then(|| "required, and it does not pass".to_owned());
        self.end(
            path,
            End { status, passed: if verdict == Verdict::WouldWait { None } else { passed }, reason, fault },
        )
    }

    pub(super) fn foresee_change(
        &mut self,
        path: &str,
        gate: Option<Gate>,
        ending: Ending,
    ) -> Result<(), Corrupt> {
        if let Some(gate) = gate {
            self.emit(Body::ApprovalRequested { step: path.to_owned(), gate })?;
        }
        let grade = self.node(path).and_then(|node| node.grade).unwrap_or(Grade::Unknown);
        let reason = match &ending {
            Ending::Complete => self.run.why_reached(path),
            Ending::Open(why) => format!("would be made, and may not be complete in time: {why}"),
            Ending::Doomed(fault) => format!("would be made, but not complete: {fault}"),
        };
        let open = matches!(ending, Ending::Open(_));
        self.emit(Body::Foreseen {
            step: path.to_owned(),
            verdict: self.run.reach(path),
            grade,
            reason,
            open,
        })?;
        match ending {
            Ending::Doomed(fault) => self.fail(path, fault),
            _ => self.end(path, End::of(StepStatus::Succeeded)),
        }
    }

    pub(super) fn foresee_fault(&mut self, path: &str, fault: Fault) -> Result<(), Corrupt> {
        let open = matches!(fault.kind, FaultKind::Unreachable | FaultKind::Unknown | FaultKind::Refused);
        if open {
            self.foresee(path, Verdict::MayRun, Grade::Unknown, format!("could not be looked at: {fault}"))?;
            return self.end(path, End { fault: Some(fault), ..End::of(StepStatus::Succeeded) });
        }
        let grade = match fault.kind {
            _ if fault.by_server => Grade::Validated,
            FaultKind::NotFound | FaultKind::Forbidden => Grade::Observed,
            _ => Grade::Predicted,
        };
        self.foresee(path, self.run.reach(path), grade, format!("would fail: {fault}"))?;
        self.fail(path, fault)
    }

    pub(super) fn foresee_nothing_to_do(&mut self, path: &str, summary: &str) -> Result<(), Corrupt> {
        let reason = format!("nothing to change: {summary}");
        self.foresee(path, self.run.reach(path), Grade::Observed, reason)?;
        self.end(path, End::because(StepStatus::Succeeded, summary).passed(Some(true)))
    }

    /// A step that waits for people or for time.
    pub(super) fn foresee_wait(&mut self, path: &str, reason: String) -> Result<(), Corrupt> {
        let verdict = match self.run.reach(path) {
            Verdict::MayRun => Verdict::MayRun,
            _ => Verdict::WouldWait,
        };
        self.foresee(path, verdict, Grade::Unknown, reason)?;
        self.end(path, End::of(StepStatus::Succeeded))
    }

    pub(super) fn foresee_skip(&mut self, path: &str, reason: &str) -> Result<(), Corrupt> {
        self.foresee(path, Verdict::WouldSkip, Grade::Observed, reason.to_owned())
    }

    /// A ladder that is not needed: none of its options would run.
    pub(super) fn foresee_no_need(&mut self, path: &str, reason: &str) -> Result<(), Corrupt> {
        let options: Vec<String> =
            self.run.parts_of(path, Role::Option).map(|option| option.path.clone()).collect();
        for option in options {
            self.foresee_skip(&option, reason)?;
            self.end(&option, End::because(StepStatus::Skipped, reason))?;
        }
        self.foresee(path, Verdict::WouldRun, Grade::Observed, reason.to_owned())
    }

    pub(super) fn foresee_composite(&mut self, path: &str) -> Result<(), Corrupt> {
        let (verdict, reason) = (self.run.reach(path), self.run.why_reached(path));
        self.foresee(path, verdict, Grade::Predicted, reason)
    }

    /// A step whose input depends on what only a live run would give.
    pub(super) fn foresee_unknown_input(&mut self, path: &str, why: &str) -> Result<(), Corrupt> {
        self.foresee(
            path,
            self.run.reach(path),
            Grade::Unknown,
            format!("its input is not known yet: {why}"),
        )?;
        self.end(path, End::of(StepStatus::Succeeded))
    }

    fn foresee(&mut self, path: &str, verdict: Verdict, grade: Grade, reason: String) -> Result<(), Corrupt> {
        self.emit(Body::Foreseen { step: path.to_owned(), verdict, grade, reason, open: false })
    }
}

impl Run {
    /// Whether a step would be reached for sure.
    pub(super) fn reach(&self, path: &str) -> Verdict {
        if self.node(path).is_some_and(|node| self.why_uncertain(node).is_some()) {
            Verdict::MayRun
        } else {
            Verdict::WouldRun
        }
    }

    pub(super) fn why_reached(&self, path: &str) -> String {
        let Some(node) = self.node(path) else { return String::new() };
        if let Some(why) = self.why_uncertain(node) {
            return why;
        }
        match (node.role, &node.step().when) {
            (Role::Option, Some(when)) => format!("first option whose `when` holds: {when}"),
            (Role::Option, None) => "first option that is left".to_owned(),
            (_, Some(when)) => format!("`{when}` holds"),
            (_, None) => "in its turn".to_owned(),
        }
    }

    fn why_uncertain(&self, node: &Node) -> Option<String> {
        if let Some(parent) = self.parent_of(node)
            && parent.role != Role::Undo
            && let Some(why) = self.why_uncertain(parent)
        {
            return Some(why);
        }
        if let Some(when) = &node.step().when
            && node.role != Role::Item
            && matches!(self.condition(node, when, self.updated_at), Ok(None))
        {
            return Some(format!("`{when}` is not known yet"));
        }
        if node.role == Role::Option {
            return self.why_option_uncertain(node);
        }
        // What is done finally is done however the steps before it ended.
        if node.place.list == List::Finally {
            return None;
        }
        let before = |other: &&Node| {
            other.frame == node.frame
                && other.path != node.path
                && other.phase.is_ended()
                && other.role == Role::Step
        };
        if let Some(open) = self.nodes().filter(before).find(|other| other.open) {
            return Some(format!("only if `{}` is complete in time", open.path));
        }
        let open = self
            .nodes()
            .filter(before)
            .find(|other| other.step().required == Some(true) && other.passed.is_none());
        open.map(|open| format!("only if `{}` passes, which is not known yet", open.path))
    }

    fn why_option_uncertain(&self, node: &Node) -> Option<String> {
        let ladder = self.parent_of(node)?;
        let before: Vec<&Node> = self
            .parts_of(&ladder.path, Role::Option)
            .take_while(|option| option.path != node.path)
            .filter(|option| option.phase == Phase::Ended(StepStatus::Succeeded))
            .collect();
        if let Some(last) = before.last() {
            return Some(format!("only if `{}` does not help", last.step().id));
        }
        if ladder.is_chosen_by_operator() {
            return Some("a person picks the option".to_owned());
        }
        let unknown = ladder.step().until.is_some() && self.recovered.is_none_or(|last| last.holds.is_none());
        unknown.then(|| "whether it is needed could not be told".to_owned())
    }

    /// What a check says, in words.
    fn judged(&self, path: &str) -> String {
        let Some(node) = self.node(path) else { return String::new() };
        if let Some(why) = self.why_uncertain(node) {
            return why;
        }
        match (&node.step().expect, node.passed) {
            (Some(expect), Some(true)) => format!("`{expect}` holds"),
            (Some(expect), Some(false)) => format!("`{expect}` does not hold"),
            (Some(expect), None) => format!("whether `{expect}` holds is not known yet"),
            (None, _) => "read".to_owned(),
        }
    }
}

/// What a waiting step would wait for, in words.
pub(super) fn waits_for(node: &Node) -> String {
    let step = node.step();
    match node.kind() {
        Some(Kind::Approval(approval)) => {
            let who = if approval.from.is_empty() { "anyone".to_owned() } else { approval.from.join(", ") };
            format!("for {} to approve", who)
        }
        Some(Kind::Manual(_)) => "for a person to do it".to_owned(),
        Some(Kind::Wait("steady_state")) => {
            let hold = step.hold.unwrap_or(Duration::ZERO);
            if hold.is_zero() {
                "for the steady state".to_owned()
            } else {
                format!("for the steady state to hold {hold}")
            }
        }
        Some(Kind::Wait(text)) if text.parse::<Duration>().is_ok() => text.to_owned(),
        Some(Kind::Wait(text)) => format!("until `{text}`"),
        _ => String::new(),
    }
}
