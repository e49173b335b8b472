//! Incidents on a terminal.

use runbook_core::{
    Timestamp,
    alert::AlertStatus,
    incident::{Incident, Look, Resolution, Role, State},
    run::end_word,
};
use runbook_desk::cases::Head;

use crate::cli::{
    App, moment,
    paint::{Paint, Tone, of_status, one_line},
    table::{Cell, Table},
};

pub fn list(app: &App, found: &[Head]) {
    let now = Timestamp::now();
    let mut table = Table::new([
        "incident",
        "severity",
        "state",
        "title",
        "service",
        "environment",
        "opened",
        "who",
        "alerts",
        "runs",
    ]);
    for Head { summary, .. } in found {
        let who = summary.commander.as_deref().or(summary.acknowledged_by.as_deref());
        let count = |number: usize| if number == 0 { String::new() } else { number.to_string() };
        table.row([
            summary.id.to_string().into(),
            summary.severity.as_str().into(),
            Cell::new(tone(summary.state), summary.state.word()),
            summary.title.as_str().into(),
            summary.service.as_deref().unwrap_or_default().into(),
            summary.environment.as_deref().unwrap_or_default().into(),
            moment::ago(summary.opened_at, now).into(),
            who.unwrap_or_default().into(),
            count(summary.alerts_firing).into(),
            count(summary.runs_active).into(),
        ]);
    }
    app.print(&table.render(Paint::stdout(app)));
}

fn tone(state: State) -> Tone {
    match state {
        State::Investigating | State::Identified => Tone::Bad,
        State::Monitoring => Tone::Attention,
        State::Resolved => Tone::Good,
        State::Merged => Tone::Faint,
    }
}

/// What was done, and how the incident stands now.
pub fn said(app: &App, incident: &Incident, word: &str) {
    if app.is_json() {
        app.print(&format!("{:#}\n", incident.document()));
        return;
    }
    let (id, state) = (incident.id, incident.state.word());
    let title = one_line(&incident.title);
    app.print(&format!("{word}: {id} ({}, {state}) {title}\n", incident.severity));
    if let Some(resolution) = &incident.resolution {
        app.say(verification(resolution));
    }
}

fn verification(resolution: &Resolution) -> &'static str {
    match resolution.verified {
        Some(true) => "the steady state holds",
        Some(false) => "although the steady state does not hold",
        None => "nothing has verified that it is well again",
    }
}

pub fn show(app: &App, incident: &Incident) {
    if app.is_json() {
        app.print(&format!("{:#}\n", incident.document()));
        return;
    }
    let (paint, now) = (Paint::stdout(app), Timestamp::now());
    let mut text = format!("{}  {}\n", paint.heading(incident.id), one_line(&incident.title));
    for (name, value) in facts(incident, now) {
        text.push_str(&format!("  {:<14}{}\n", name, one_line(&value)));
    }
    for table in [alerts(incident, now), runs(incident, now), held_back(incident, now)].into_iter().flatten()
    {
        text.push('\n');
        text.push_str(&table.without_empty_columns().render(paint));
    }
    app.print(&app.fitted(&text, app.terminal.stdout));
    app.say(&format!("`runbook timeline {}` tells what happened", incident.id));
}

fn facts(incident: &Incident, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut facts = vec![("state", format!("{}, {}", incident.state.word(), incident.severity))];
    let mut put = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    put("environment", incident.environment.clone());
    put("service", incident.service.clone());
    put("description", incident.description.clone());
    put("opened", Some(format!("{} by {}", moment::ago(incident.opened_at, now), incident.opened_by.name)));
    put(
        "taken on",
        match &incident.acknowledged {
            Some(taken) => Some(format!("{} by {}", moment::ago(taken.at, now), taken.by.name)),
            None => incident.is_open().then(|| "nobody has it".to_owned()),
        },
    );
    for role in Role::ALL {
        let holders = incident.holders(role);
        put(role.short(), (!holders.is_empty()).then(|| holders.join(", ")));
    }
    put("steady state", incident.steady.as_ref().map(|look| look_of(look, now)));
    put(
        "called",
        incident.escalations.last().map(|call| {
            let whom = if call.to.is_empty() { "a person is needed".to_owned() } else { call.to.join(", ") };
            format!("{whom} {}: {} is not run again, {}", moment::ago(call.at, now), call.runbook, call.why)
        }),
    );
    put(
        "resolved",
        incident.resolution.as_ref().map(|resolution| {
            let forced = if resolution.forced { ", by force" } else { "" };
            let reason = resolution.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let (ago, by) = (moment::ago(resolution.at, now), &resolution.by.name);
            format!("{ago} by {by}{forced}, {}{reason}", verification(resolution))
        }),
    );
    put("goes on as", incident.merged_into.map(|id| id.to_string()));
    let ids = |ids: &std::collections::BTreeSet<_>| {
        (!ids.is_empty()).then(|| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    };
    put("linked", ids(&incident.links));
    put("took over", ids(&incident.absorbed));
    facts
}

fn look_of(look: &Look, now: Timestamp) -> String {
    let word = match look.holds {
        Some(true) => "holds",
        Some(false) => "does not hold",
        None => "could not be read",
    };
    let part = |part: &runbook_core::incident::Seen| {
        format!("{} {}", part.check.as_deref().unwrap_or(&part.runbook), part.seen)
    };
    let parts: Vec<String> = look.checks.iter().map(part).collect();
    format!("{word}, seen {} by {}: {}", moment::ago(look.at, now), look.by.name, parts.join(", "))
}

fn alerts(incident: &Incident, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["alert", "status", "severity", "title", "since", "id"]);
    for (id, alert) in &incident.alerts {
        let status = match alert.status {
            AlertStatus::Firing => Cell::new(Tone::Bad, "firing"),
            AlertStatus::Resolved => Cell::new(Tone::Good, "resolved"),
        };
        table.row([
            alert.name.as_str().into(),
            status,
            alert.severity.as_deref().unwrap_or_default().into(),
            alert.title.as_str().into(),
            moment::ago(alert.starts_at, now).into(),
            id.as_str().into(),
        ]);
    }
    (!incident.alerts.is_empty()).then_some(table)
}

fn runs(incident: &Incident, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["run", "runbook", "environment", "status", "recovered", "started"]);
    for (id, run) in &incident.runs {
        let status = run.status.map_or("running", end_word);
        table.row([
            id.to_string().into(),
            run.runbook.as_str().into(),
            run.environment.as_str().into(),
            Cell::new(of_status(status), status),
            run.recovered.map_or("", |recovered| if recovered { "yes" } else { "no" }).into(),
            moment::ago(run.started_at, now).into(),
        ]);
    }
    (!incident.runs.is_empty()).then_some(table)
}

fn held_back(incident: &Incident, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["not started", "why", "when", "alert"]);
    for held in &incident.held_back {
        let alert = incident.alerts.get(&held.alert).map_or(held.alert.as_str(), |alert| alert.name.as_str());
        table.row([
            held.runbook.as_deref().unwrap_or("no runbook").into(),
            held.why.as_str().into(),
            moment::ago(held.at, now).into(),
            alert.into(),
        ]);
    }
    (!incident.held_back.is_empty()).then_some(table)
}
