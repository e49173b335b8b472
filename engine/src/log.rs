//! What the log says of a run: every line carries the run, and its incident where it has one. Inputs and
//! outputs are never logged, and what a fault says is what the journal has of it, with secrets masked.

use runbook_core::{
    event::{Body, Event, RunId},
    run::{end_word, step_word},
};
use tracing::{Span, field};

/// The scope in which all that is about a run is logged. Of an error's level, so that no usual filter
/// leaves it out.
pub fn scope(run: RunId, incident: Option<&str>) -> Span {
    let span = tracing::error_span!("run", run = %run, incident = field::Empty);
    if let Some(incident) = incident {
        span.record("incident", incident);
    }
    span
}

pub(crate) fn tell(events: &[Event]) {
    events.iter().for_each(|event| tell_one(event.seq, &event.body));
}

fn tell_one(seq: u64, body: &Body) {
    match body {
        Body::RunResumed { owner } => tracing::info!(seq, owner, "the run was taken over"),
        Body::RunEnded { status, recovered, .. } => {
            tracing::info!(seq, status = end_word(*status), recovered, "the run ended");
        }
        Body::CancelRequested { undo, .. } => tracing::info!(seq, undo, "the run is being cancelled"),
        Body::UndoRequested { .. } => tracing::info!(seq, "the run's changes are to be taken back"),
        Body::RunEscalated { .. } => tracing::warn!(seq, "others are called: the run has not recovered it"),
        Body::StepStarted { step, .. } => tracing::debug!(seq, step, "a step started"),
        Body::StepEnded { step, status, fault, .. } => {
            let (status, fault) = (step_word(*status), fault.as_ref().map(|fault| fault.message.as_str()));
            tracing::info!(seq, step, status, fault, "a step ended");
        }
        Body::RetryScheduled { step, attempt, fault, .. } => {
            tracing::warn!(seq, step, attempt, %fault, "a step is tried again");
        }
        Body::ApprovalRequested { step, .. } => tracing::info!(seq, step, "people are asked to approve"),
        Body::Asked { step, .. } => tracing::info!(seq, step, "people are asked"),
        Body::ApplyStarted { step, change, .. } => {
            tracing::info!(seq, step, action = change.action, "a change is applied");
        }
        Body::ApplyReturned { step, outcome: Err(fault) } => {
            tracing::warn!(seq, step, %fault, "a change was not applied");
        }
        Body::DoubtRaised { step, .. } => {
            tracing::warn!(seq, step, "nobody can tell whether a change took effect");
        }
        _ => tracing::trace!(seq, step = body.step(), "journaled"),
    }
}
