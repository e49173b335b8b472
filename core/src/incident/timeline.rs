//! An incident's own events, told for people.

use super::{AlertJoined, Body, Event, IncidentId, Opening, Origin, steady};
use crate::{
    event::Channel,
    timeline::{Entry, because, ended, told},
};

/// An incident's events, with the hashes that chain them, as entries. Secrets are masked. Together
/// with those of its runs, `timeline::in_order` makes one list of them.
pub fn entries(history: &[(Event, String)], id: IncidentId) -> Vec<Entry> {
    history.iter().map(|(event, hash)| entry(event, hash, id)).collect()
}

/// One event as an entry.
pub fn entry(event: &Event, hash: &str, id: IncidentId) -> Entry {
    Entry { incident: Some(id), ..told(event, &summary(event), hash) }
}

fn summary(event: &Event) -> String {
    let who = event.actor.name.as_str();
    match &event.body {
        Body::Opened(opening) => opened(opening, who),
        Body::Acknowledged {} => format!("{who} took it on"),
        Body::Noted { text } => format!("{who}: {text}"),
        Body::SeverityChanged { from, to, reason } => {
            format!("{who} changed the severity from {from} to {to}{}", because(reason.as_deref()))
        }
        Body::StateChanged { to } => match event.actor.how {
            Channel::Engine => format!("now {}", to.word()),
            _ => format!("{who} set it to {}", to.word()),
        },
        Body::RoleAssigned { role, person } => format!("{person} is {role}"),
        Body::RoleLeft { role, person } => format!("{person} is no longer {role}"),
        Body::Linked { other } => format!("linked to {other}"),
        Body::Merged { into } => format!("{who} merged it into {into}"),
        Body::Absorbed { other } => format!("{who} merged {other} into it"),
        Body::SteadyChecked { holds, checks } => {
            format!("{who} looked: {}", steady::told(*holds, checks))
        }
        Body::Resolved { verified, reason, forced } => {
            let by = if event.actor.how == Channel::Engine { None } else { Some(who) };
            format!("{}{}", resolved(by, *verified, *forced), because(reason.as_deref()))
        }
        Body::Reopened { reason } => format!("{who} reopened it{}", because(reason.as_deref())),
        _ => of_alerts_and_runs(&event.body),
    }
}

fn of_alerts_and_runs(body: &Body) -> String {
    match body {
        Body::AlertJoined(alert) => fires(alert),
        Body::AlertResolved { name, .. } => format!("alert {name} is resolved"),
        Body::RunStarted { run, runbook, environment, alert } => {
            let cause = if alert.is_some() { ", for an alert" } else { "" };
            format!("{runbook} started in {environment}{cause} ({run})")
        }
        Body::RunEnded { run, runbook, status, recovered } => {
            format!("{runbook} {} ({run})", ended(*status, *recovered, None))
        }
        Body::NothingStarted { runbook: Some(runbook), why, .. } => {
            format!("{runbook} was not started: {why}")
        }
        Body::Escalated { runbook, to, why } if to.is_empty() => {
            format!("{runbook} is not run again, a person is needed: {why}")
        }
        Body::Escalated { runbook, to, why } => {
            format!("{runbook} is not run again, {} called: {why}", to.join(", "))
        }
        Body::NothingStarted { runbook: None, why, .. } => format!("nothing was started: {why}"),
        _ => String::new(),
    }
}

fn opened(opening: &Opening, who: &str) -> String {
    let Opening { title, severity, service, origin, .. } = opening;
    let service = service.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    match origin {
        Origin::Alert => format!("opened by an alert as {severity}{service}: {title}"),
        Origin::Person => format!("{who} declared {severity}{service}: {title}"),
    }
}

fn fires(alert: &AlertJoined) -> String {
    let severity = alert.severity.as_deref().map(|word| format!(" ({word})")).unwrap_or_default();
    match alert.title == alert.name || alert.title.is_empty() {
        true => format!("alert {}{severity} fires", alert.name),
        false => format!("alert {}{severity} fires: {}", alert.name, alert.title),
    }
}

fn resolved(by: Option<&str>, verified: Option<bool>, forced: bool) -> String {
    let who = by.map_or_else(|| "resolved".to_owned(), |name| format!("{name} resolved it"));
    let forced = if forced { " by force" } else { "" };
    let verified = match verified {
        Some(true) => ", recovery verified",
        Some(false) => ", although the steady state does not hold",
        None => "",
    };
    format!("{who}{forced}{verified}")
}
