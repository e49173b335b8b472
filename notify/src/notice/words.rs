//! A notice in words, for every channel that people read.

use jiff::{Timestamp, tz::TimeZone};
use runbook_core::{event::EndStatus, runbook::Risk, spec::Effect};

use super::{About, Approval, News, Notice, Outcome, Vote};
use crate::site::Site;

/// A name, and what it is.
pub(crate) type Fact = (&'static str, String);

/// One line that says it all.
pub(crate) fn headline(notice: &Notice) -> String {
    let incident = notice.incident.as_ref();
    let title = incident.map_or("an incident", |incident| incident.title.as_str());
    let severity = incident.and_then(|incident| incident.severity.as_deref());
    let runbook = notice.run.as_ref().map_or("a runbook", |run| run.runbook.as_str());
    match &notice.news {
        News::IncidentOpened { .. } => match severity {
            Some(severity) => format!("{severity} incident: {title}"),
            None => format!("Incident: {title}"),
        },
        News::SeverityRaised { .. } => match severity {
            Some(severity) => format!("Raised to {severity}: {title}"),
            None => format!("Severity raised: {title}"),
        },
        News::IncidentAcknowledged { by } => format!("Acknowledged by {by}: {title}"),
        News::IncidentResolved { .. } => format!("Resolved: {title}"),
        News::IncidentEscalated { runbook, to, .. } => {
            let needed = if to.is_empty() { "a person".to_owned() } else { one_line(to) };
            format!("Running {runbook} again has not helped, {needed} needed: {title}")
        }
        News::FollowUp { about, over, by, .. } => {
            let what = match about {
                About::Incident {} => format!("incident {title}"),
                About::Run {} => format!("the run of {runbook}"),
                About::Alert { .. } => "an alert that started nothing".to_owned(),
                About::Escalation { .. } => format!("the call for {title}"),
            };
            if *over {
                format!("Nobody is needed any more for {what}")
            } else {
                format!("{by} is looking at {what}")
            }
        }
        News::AlertUnmatched { title, .. } => format!("No runbook was started for: {title}"),
        News::RunStarted { .. } => format!("Runbook {runbook} has started"),
        News::RunEscalated { to } => {
            format!("Runbook {runbook} has not recovered it in time: {} needed", one_line(to))
        }
        News::RunEnded { status, .. } => format!("Runbook {runbook} {}", ended(*status)),
        News::QuestionAsked { step, .. } => format!("Runbook {runbook} waits for an answer at {step}"),
        News::ApprovalRequested(approval) => format!("Approval needed: {}", gist(approval)),
        News::ApprovalEscalated { approval, .. } => format!("Approval still needed: {}", gist(approval)),
        News::ApprovalAnswered { approval, outcome, .. } => {
            format!("{}: {}", outcome_word(*outcome), gist(approval))
        }
    }
}

/// What stands before the headline, so that nobody takes one world for another.
pub(crate) fn place(notice: &Notice) -> String {
    match (&notice.environment, notice.simulated) {
        (Some(environment), true) => format!("[{environment}, simulated] "),
        (Some(environment), false) => format!("[{environment}] "),
        (None, true) => "[simulated] ".to_owned(),
        (None, false) => String::new(),
    }
}

/// What is worth knowing, in the order in which people ask.
pub(crate) fn facts(notice: &Notice) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut put = |name: &'static str, value: Option<String>| {
        facts.extend(value.filter(|text| !text.trim().is_empty()).map(|text| (name, text)));
    };
    put(
        "Environment",
        notice
            .environment
            .as_ref()
            .map(|name| if notice.simulated { format!("{name} (simulated)") } else { name.clone() }),
    );
    put(
        "Incident",
        notice.incident.as_ref().map(|incident| match &incident.severity {
            Some(severity) => format!("{severity} · {}", incident.title),
            None => incident.title.clone(),
        }),
    );
    put("Runbook", notice.run.as_ref().map(|run| run.runbook.clone()));
    match &notice.news {
        News::IncidentOpened { by, service, alerts } => {
            put("Service", service.clone());
            put("Opened by", Some(by.clone()));
            put("Alerts", Some(one_line(alerts)));
        }
        News::SeverityRaised { from, by, reason } => {
            put("Before", from.clone());
            put("Raised by", Some(by.clone()));
            put("Reason", reason.clone());
        }
        News::IncidentAcknowledged { by } => put("By", Some(by.clone())),
        News::IncidentResolved { by, verified, reason } => {
            put("Resolved by", Some(by.clone()));
            put("Recovery", recovery(*verified));
            put("Reason", reason.clone());
        }
        News::IncidentEscalated { to, why, .. } => {
            put("Called", Some(one_line(to)));
            put("Why", Some(why.clone()));
        }
        News::FollowUp { by, why, .. } => {
            put("By", Some(by.clone()));
            put("Why", Some(why.clone()));
        }
        News::AlertUnmatched { hook, severity, why, .. } => {
            put("From", Some(hook.clone()));
            put("Severity", severity.clone());
            put("Why", Some(why.clone()));
        }
        News::RunStarted { by, reason } => {
            put("Started by", Some(by.clone()));
            put("Reason", reason.clone());
        }
        News::RunEscalated { to } => put("Called", Some(one_line(to))),
        News::RunEnded { recovered, reason, .. } => {
            put("Recovery", recovery(*recovered));
            put("Reason", reason.clone());
        }
        News::QuestionAsked { step, from, .. } => {
            put("Step", Some(step.clone()));
            put("Asked", Some(one_line(from)));
        }
        News::ApprovalRequested(approval) => ask(approval, &mut put),
        News::ApprovalEscalated { approval, to } => {
            ask(approval, &mut put);
            put("Now also asked", Some(one_line(to)));
        }
        News::ApprovalAnswered { approval, .. } => change_of(approval, &mut put),
    }
    facts
}

fn change_of(approval: &Approval, put: &mut dyn FnMut(&'static str, Option<String>)) {
    put("Step", Some(approval.step.clone()));
    let Some(change) = &approval.change else { return };
    put("Target", Some(change.target.clone()));
    put("Change", Some(change.summary.clone()));
    put("Effect", (change.effect == Effect::Destructive).then(|| "destructive".to_owned()));
}

fn ask(approval: &Approval, put: &mut dyn FnMut(&'static str, Option<String>)) {
    change_of(approval, put);
    put("Risk", approval.risk.map(|risk| risk_word(risk).to_owned()));
    let irreversible = approval.change.as_ref().and_then(|change| change.irreversible.as_ref());
    put("Cannot be undone", irreversible.cloned());
    put("Needs", Some(needs(approval)));
    put("Until", approval.deadline.map(clock_time));
}

/// `2 of sre, db-admins`
pub(crate) fn needs(approval: &Approval) -> String {
    format!("{} of {}", approval.count, one_line(&approval.from))
}

/// The longer texts: what is asked, and what to beware of.
pub(crate) fn paragraphs(notice: &Notice) -> Vec<String> {
    let mut paragraphs = all_paragraphs(notice);
    paragraphs.retain(|text| !text.trim().is_empty());
    paragraphs
}

fn all_paragraphs(notice: &Notice) -> Vec<String> {
    match &notice.news {
        News::QuestionAsked { prompt, .. } => vec![prompt.clone()],
        News::ApprovalRequested(approval) | News::ApprovalEscalated { approval, .. } => {
            let warnings = approval.change.iter().flat_map(|change| &change.warnings);
            let warnings = warnings.map(|warning| format!("Warning: {warning}"));
            std::iter::once(approval.prompt.clone()).chain(warnings).collect()
        }
        News::ApprovalAnswered { votes, approval, outcome } => {
            let missing = (*outcome == Outcome::Open).then(|| format!("Still needed: {}", needs(approval)));
            votes.iter().map(vote).chain(missing).collect()
        }
        _ => Vec::new(),
    }
}

/// `Approved by alice at 03:04 UTC: looks right`
fn vote(vote: &Vote) -> String {
    let word = if vote.approved { "Approved" } else { "Rejected" };
    let comment = vote.comment.as_deref().map(|comment| format!(": {comment}")).unwrap_or_default();
    format!("{word} by {} at {}{comment}", vote.by, clock_time(vote.at))
}

/// Where it is read on, nearest first.
pub(crate) fn links(notice: &Notice, site: Option<&Site>) -> Vec<(&'static str, String)> {
    let Some(site) = site else { return Vec::new() };
    let mut links: Vec<(&'static str, url::Url)> = Vec::new();
    if let Some(run) = &notice.run {
        match &notice.news {
            News::QuestionAsked { step, .. } => links.push(("Answer", site.step(run.id, step))),
            _ => links
                .extend(notice.approval().map(|approval| ("Approval", site.step(run.id, &approval.step)))),
        }
        links.push(("Run", site.run(run.id)));
    }
    links.extend(notice.incident.iter().map(|incident| ("Incident", site.incident(&incident.id))));
    if let News::AlertUnmatched { alert, .. } | News::FollowUp { about: About::Alert { alert }, .. } =
        &notice.news
    {
        links.push(("Alert", site.alert(alert)));
    }
    links.into_iter().map(|(name, url)| (name, url.into())).collect()
}

/// What an approval is about, in a few words.
pub(crate) fn gist(approval: &Approval) -> &str {
    let change = approval.change.as_ref().map(|change| change.summary.as_str());
    change.filter(|text| !text.trim().is_empty()).unwrap_or(&approval.prompt)
}

pub(crate) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Open => "Not yet approved by all",
        Outcome::Approved => "Approved",
        Outcome::Rejected => "Rejected",
        Outcome::Expired => "Not approved in time",
        Outcome::Void => "No longer asked",
    }
}

fn ended(status: EndStatus) -> &'static str {
    match status {
        EndStatus::Succeeded => "has succeeded",
        EndStatus::Failed => "has failed",
        EndStatus::Undone => "was undone",
        EndStatus::Stuck => "is stuck and needs a person",
        EndStatus::Cancelled => "was cancelled",
        EndStatus::Superseded => "was superseded",
        EndStatus::Complete => "is complete",
    }
}

fn recovery(verified: Option<bool>) -> Option<String> {
    verified.map(|so| if so { "verified" } else { "not recovered" }.to_owned())
}

fn risk_word(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

/// `2026-11-21 03:04 UTC`; a zone of one's own would be wrong for half of those who read it.
pub(crate) fn clock_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

const MOST_NAMED: usize = 10;

pub(crate) fn one_line(texts: &[String]) -> String {
    let named = texts.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
