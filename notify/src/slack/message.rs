//! A notice as a message: <https://docs.slack.dev/reference/block-kit/blocks>.

use std::collections::BTreeMap;

use runbook_core::{Value, event::RunId, spec::Effect};
use serde_json::json;

use super::{
    buttons::{APPROVE, REJECT, Token},
    mrkdwn::{code, link, plain},
};
use crate::{
    notice::{Approval, Moment, News, Notice, Outcome, words},
    site::Site,
    text::{fit, fit_line, length},
};

/// What a message takes from its channel rather than from the notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look<'a> {
    pub site: Option<&'a Site>,
    /// Slack's ids of users, and who they are: whoever is asked is mentioned.
    pub people: Option<&'a BTreeMap<String, String>>,
    /// Whether presses of buttons would be taken.
    pub buttons: bool,
}

/// What `chat.postMessage` and `chat.update` are called with, but for the channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What notifications on a phone show.
    pub text: String,
    /// At most 50.
    pub blocks: Vec<Value>,
}

const LONGEST_HEADER: usize = 150;
const LONGEST_SECTION: usize = 3_000;
const LONGEST_FIELD: usize = 2_000;
const LONGEST_VALUE: usize = 2_000;
const LONGEST_URL: usize = 3_000;
const LONGEST_CONFIRM: usize = 300;
/// What is worth reading on a phone; the limits above are wider.
const LONGEST_FACT: usize = 300;
const LONGEST_PARAGRAPH: usize = 1_500;
const LONGEST_TEXT: usize = 1_000;
const MOST_FIELDS: usize = 10;
const MOST_PARAGRAPHS: usize = 6;

/// Renders a notice. Buttons stand below an approval as long as it is open.
pub fn message(notice: &Notice, look: Look<'_>) -> Message {
    let headline = format!("{}{}", words::place(notice), words::headline(notice));
    let mut blocks = vec![header(&format!("{} {headline}", icon(notice)))];
    let facts = words::facts(notice);
    blocks.extend(facts.chunks(MOST_FIELDS).take(2).map(fields));
    blocks.extend(words::paragraphs(notice).iter().take(MOST_PARAGRAPHS).map(|text| paragraph(text)));
    if let Some(approval) = notice.approval() {
        let diff = approval.change.as_ref().map(|change| change.diff.as_str());
        blocks.extend(
            diff.filter(|diff| !diff.trim().is_empty()).map(|diff| section(&code(diff, LONGEST_SECTION))),
        );
        blocks.extend(mentions(approval, notice, look.people));
        blocks.extend(actions(approval, notice, look));
    }
    blocks.extend(footer(notice, look.site));
    Message { text: plain(&fit_line(&headline, LONGEST_TEXT), 4 * LONGEST_TEXT), blocks }
}

fn header(text: &str) -> Value {
    json!({ "type": "header", "text": plain_text(&fit_line(text, LONGEST_HEADER)) })
}

fn fields(facts: &[words::Fact]) -> Value {
    let field = |(name, value): &words::Fact| {
        let value = plain(&fit(value, LONGEST_FACT), LONGEST_FIELD - 100);
        mrkdwn(&format!("*{name}*\n{value}"))
    };
    json!({ "type": "section", "fields": facts.iter().map(field).collect::<Vec<_>>() })
}

fn paragraph(text: &str) -> Value {
    section(&plain(&fit(text, LONGEST_PARAGRAPH), LONGEST_SECTION))
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": mrkdwn(text) })
}

/// Those who are asked and have an id in Slack, so that their phones ring.
fn mentions(
    approval: &Approval,
    notice: &Notice,
    people: Option<&BTreeMap<String, String>>,
) -> Option<Value> {
    const MOST: usize = 10;
    let also = match &notice.news {
        News::ApprovalRequested(_) => &[],
        News::ApprovalEscalated { to, .. } => to.as_slice(),
        _ => return None,
    };
    let asked = |person: &&String| approval.from.contains(person) || also.contains(person);
    let ids = people?.iter().filter(|(_, person)| asked(person)).take(MOST);
    let text = ids.map(|(id, _)| format!("<@{id}>")).collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| section(&text))
}

fn actions(approval: &Approval, notice: &Notice, look: Look<'_>) -> Option<Value> {
    let open = match &notice.news {
        News::ApprovalAnswered { outcome, .. } => *outcome == Outcome::Open,
        _ => true,
    };
    let run = notice.run.as_ref().filter(|_| open)?;
    let mut elements = Vec::new();
    if look.buttons {
        elements.extend(decisions(run.id, approval, notice));
    }
    if let Some(site) = look.site {
        let url = String::from(site.step(run.id, &approval.step));
        if length(&url) <= LONGEST_URL {
            elements.push(json!({
                "type": "button",
                "action_id": "runbook_open",
                "text": plain_text("Open"),
                "url": url,
            }));
        }
    }
    (!elements.is_empty()).then(|| json!({ "type": "actions", "elements": elements }))
}

/// The two buttons; none where a step's path is too long for Slack to carry.
fn decisions(run: RunId, approval: &Approval, notice: &Notice) -> Vec<Value> {
    let token = Token { run, step: approval.step.clone(), digest: approval.digest.clone() };
    let Some(value) = token.write().filter(|value| value.len() <= LONGEST_VALUE) else { return Vec::new() };
    let button = |id: &str, label: &str, style: &str, title: &str| {
        json!({
            "type": "button",
            "action_id": id,
            "text": plain_text(label),
            "style": style,
            "value": value,
            "confirm": {
                "title": plain_text(title),
                "text": plain_text(&confirmation(approval, notice)),
                "confirm": plain_text(label),
                "deny": plain_text("Not now"),
                "style": style,
            },
        })
    };
    vec![
        button(APPROVE, "Approve", "primary", "Approve this?"),
        button(REJECT, "Reject", "danger", "Reject this?"),
    ]
}

/// Names the target first: that is what is mistaken at night.
fn confirmation(approval: &Approval, notice: &Notice) -> String {
    let place = words::place(notice);
    let text = match &approval.change {
        Some(change) => {
            let grave = if change.effect == Effect::Destructive { "DESTRUCTIVE. " } else { "" };
            format!("{place}{grave}{}: {}", fit_line(&change.target, 120), change.summary)
        }
        None => format!("{place}{}: {}", fit_line(&approval.step, 120), approval.prompt),
    };
    fit_line(&text, LONGEST_CONFIRM)
}

fn footer(notice: &Notice, site: Option<&Site>) -> Option<Value> {
    let links = words::links(notice, site).into_iter().map(|(name, url)| link(&url, name));
    let mut parts: Vec<String> = links.filter(|text| length(text) <= LONGEST_FIELD).collect();
    parts.extend(notice.run.as_ref().map(|run| format!("`{}`", run.id)));
    let short = notice.approval().map(|approval| fit(&approval.digest, 19));
    parts.extend(short.map(|digest| format!("`{}`", plain(&digest, 100))));
    (!parts.is_empty()).then(|| json!({ "type": "context", "elements": parts.iter().map(|text| mrkdwn(text)).collect::<Vec<_>>() }))
}

fn icon(notice: &Notice) -> &'static str {
    if let News::ApprovalAnswered { outcome, .. } = &notice.news {
        return match outcome {
            Outcome::Approved => ":white_check_mark:",
            Outcome::Rejected => ":no_entry:",
            Outcome::Open | Outcome::Expired | Outcome::Void => ":hourglass:",
        };
    }
    match notice.moment() {
        Moment::IncidentOpened | Moment::SeverityRaised => ":rotating_light:",
        Moment::IncidentAcknowledged | Moment::FollowUp => ":eyes:",
        Moment::IncidentResolved => ":white_check_mark:",
        Moment::AlertUnmatched | Moment::RunEscalated | Moment::IncidentEscalated => ":warning:",
        Moment::RunStarted => ":arrow_forward:",
        Moment::RunEnded => ":checkered_flag:",
        Moment::RunStuck => ":x:",
        Moment::QuestionAsked
        | Moment::ApprovalRequested
        | Moment::ApprovalEscalated
        | Moment::ApprovalAnswered => ":question:",
    }
}

fn plain_text(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": true })
}

/// Without `verbatim` Slack makes links and mentions of what looks like some.
fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

#[cfg(test)]
mod tests;
