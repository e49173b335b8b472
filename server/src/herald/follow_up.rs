//! What of an incident people may want to be told; and to those who were called for something, that
//! somebody is looking at it, or that nobody is needed any more.

use runbook_core::{
    event::{EndStatus, RunId},
    incident::{AttachedRun, Body, Event, Incident},
};
use runbook_notify::{About, News, Run as Mentioned};

use crate::site::Site;

/// One thing to be told: how it differs from the others of its event, and the run that it is about.
pub type Part = (String, Option<Mentioned>, News);

/// The most runs and alerts that one event is followed up for; nobody was called for more.
const MOST: usize = 100;

/// All that follows from one event of an incident.
pub fn all_news(site: &Site, state: &Incident, event: &Event) -> Vec<Part> {
    let own = news(site, state, event).map(|news| (String::new(), None, news));
    own.into_iter().chain(follow_ups(state, event)).collect()
}

fn news(site: &Site, state: &Incident, event: &Event) -> Option<News> {
    let by = event.actor.name.clone();
    Some(match &event.body {
        Body::Opened(opening) => News::IncidentOpened {
            by,
            service: opening.service.clone(),
            alerts: state.alerts.values().take(10).map(|alert| alert.title.clone()).collect(),
        },
        Body::SeverityChanged { from, to, reason } => {
            let raised = site.project.severity().compare(to, from).is_some_and(|order| order.is_gt());
            if !raised {
                return None;
            }
            News::SeverityRaised { from: Some(from.clone()), by, reason: reason.clone() }
        }
        Body::Acknowledged { .. } => News::IncidentAcknowledged { by },
        Body::Escalated { runbook, to, why } => News::IncidentEscalated {
            runbook: runbook.clone(),
            to: to.clone(),
            why: why.clone(),
            entry: event.seq,
        },
        Body::Resolved { verified, reason, .. } => {
            News::IncidentResolved { by, verified: *verified, reason: reason.clone() }
        }
        Body::Merged { into } => {
            News::FollowUp { about: About::Incident {}, over: true, by, why: format!("it goes on as {into}") }
        }
        Body::NothingStarted { alert, runbook: None, why } => News::AlertUnmatched {
            alert: alert.clone(),
            title: state.alerts.get(alert).map_or_else(|| alert.clone(), |found| found.title.clone()),
            hook: by,
            severity: state.alerts.get(alert).and_then(|found| found.severity.clone()),
            why: why.clone(),
        },
        _ => return None,
    })
}

fn follow_ups(state: &Incident, event: &Event) -> Vec<Part> {
    let (over, why) = match &event.body {
        Body::Acknowledged { .. } => (false, "the incident was taken on".to_owned()),
        Body::Resolved { .. } => (true, "the incident is resolved".to_owned()),
        Body::Merged { into } => (true, format!("the incident goes on as {into}")),
        Body::AlertResolved { key, .. } if is_unmatched(state, key) => {
            let why = "the alert is resolved".to_owned();
            let by = event.actor.name.clone();
            let about = About::Alert { alert: key.clone() };
            return vec![(format!("/alert/{key}"), None, News::FollowUp { about, over: true, by, why })];
        }
        _ => return Vec::new(),
    };
    let follow_up = |about| News::FollowUp { about, over, by: event.actor.name.clone(), why: why.clone() };
    let is_merged = matches!(event.body, Body::Merged { .. });
    let runs = state.runs.iter().filter(|(_, run)| {
        // What still goes on has gone over to the other incident, and people are still needed for it.
        needs_people(run) && !(is_merged && run.status.is_none())
    });
    let run = |(id, run): (&RunId, &AttachedRun)| {
        let mentioned = Mentioned { id: *id, runbook: run.runbook.clone() };
        (format!("/{id}"), Some(mentioned), follow_up(About::Run {}))
    };
    let before = state.escalations.iter().filter(|call| call.seq < event.seq);
    let call = |entry: u64| (format!("/escalation/{entry}"), None, follow_up(About::Escalation { entry }));
    let unmatched = state.alerts.keys().filter(|alert| is_unmatched(state, alert));
    let alert =
        |alert: &String| (format!("/alert/{alert}"), None, follow_up(About::Alert { alert: alert.clone() }));
    runs.rev()
        .take(MOST)
        .map(run)
        .chain(before.map(|call| call.seq).map(call))
        .chain(unmatched.take(MOST).map(alert))
        .collect()
}

/// Whether people may have been called for a run that has not ended well since.
fn needs_people(run: &AttachedRun) -> bool {
    matches!(run.status, None | Some(EndStatus::Failed | EndStatus::Stuck))
}

/// Whether it was told that no runbook was for an alert.
fn is_unmatched(state: &Incident, alert: &str) -> bool {
    state.held_back.iter().any(|held| held.alert == alert && held.runbook.is_none())
}
