//! PagerDuty's Events API v2: <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>.

use reqwest::header::HeaderMap;
use runbook_core::{Timestamp, Value, change, event::EndStatus, spec::Effect};
use secrecy::ExposeSecret;
use serde_json::{Map, json};

use crate::{
    config::{Level, PagerDuty},
    http::{Http, Trouble, excerpt},
    notice::{News, Notice, words},
    site::Site,
    text::{fit, fit_line, length},
};

const LONGEST_KEY: usize = 255;
const LONGEST_SUMMARY: usize = 1_024;
const LONGEST_SOURCE: usize = 255;
const LONGEST_DETAIL: usize = 1_024;
const LONGEST_DIFF: usize = 8_000;
const LONGEST_LINK: usize = 2_000;

/// The event without its routing key. What is about one subject has one `dedup_key`: an incident, a
/// run, an approval, an alert.
pub fn event(config: &PagerDuty, notice: &Notice, site: Option<&Site>) -> Value {
    let action = action(notice);
    let mut event = Map::new();
    event.insert("event_action".to_owned(), json!(action));
    event.insert("dedup_key".to_owned(), json!(dedup_key(&notice.subject())));
    if action == "trigger" {
        event.insert("payload".to_owned(), payload(config, notice));
        event.insert("client".to_owned(), json!("runbook"));
        let links = words::links(notice, site).into_iter().filter(|(_, url)| length(url) <= LONGEST_LINK);
        let links: Vec<Value> = links.map(|(name, url)| json!({ "href": url, "text": name })).collect();
        if let Some(first) = links.first() {
            event.insert("client_url".to_owned(), first["href"].clone());
            event.insert("links".to_owned(), Value::Array(links));
        }
    }
    Value::Object(event)
}

fn action(notice: &Notice) -> &'static str {
    if notice.ends_it() {
        return "resolve";
    }
    if notice.takes_it_on() { "acknowledge" } else { "trigger" }
}

/// The subject itself where it fits, so that people can find it, else its digest.
fn dedup_key(subject: &str) -> String {
    let key = format!("runbook/{subject}");
    if length(&key) <= LONGEST_KEY { key } else { format!("runbook/{}", change::digest(&json!(subject))) }
}

fn payload(config: &PagerDuty, notice: &Notice) -> Value {
    let summary = format!("{}{}", words::place(notice), words::headline(notice));
    let source = notice.environment.as_deref().unwrap_or("runbook");
    let mut details = Map::new();
    for (name, value) in words::facts(notice) {
        details.insert(name.to_owned(), json!(fit(&value, LONGEST_DETAIL)));
    }
    let notes: Vec<String> = words::paragraphs(notice).iter().map(|text| fit(text, LONGEST_DETAIL)).collect();
    if !notes.is_empty() {
        details.insert("Notes".to_owned(), json!(notes.join("\n")));
    }
    let diff = notice.approval().and_then(|approval| approval.change.as_ref()).map(|change| &change.diff);
    if let Some(diff) = diff.filter(|diff| !diff.is_empty()) {
        details.insert("Diff".to_owned(), json!(fit(diff, LONGEST_DIFF)));
    }
    let mut payload = json!({
        "summary": fit_line(&summary, LONGEST_SUMMARY),
        "source": fit_line(source, LONGEST_SOURCE),
        "severity": level(config, notice),
        "timestamp": notice.at.to_string(),
        "class": notice.moment().word(),
        "custom_details": details,
    });
    if let Some(run) = &notice.run {
        payload["component"] = json!(fit_line(&run.runbook, LONGEST_SOURCE));
    }
    if let Some(incident) = &notice.incident {
        payload["group"] = json!(fit_line(&incident.id, LONGEST_SOURCE));
    }
    payload
}

/// How grave it is: by the severity where there is one, else by what happened.
fn level(config: &PagerDuty, notice: &Notice) -> Level {
    // Nobody is woken for what is not real.
    if notice.simulated {
        return Level::Info;
    }
    if let Some(severity) = notice.severity() {
        let known = config.levels.iter().find(|(name, _)| name.eq_ignore_ascii_case(severity));
        return known.map_or_else(|| level_of(severity), |(_, level)| *level);
    }
    match &notice.news {
        News::RunEnded { status: EndStatus::Stuck, .. }
        | News::RunEscalated { .. }
        | News::IncidentEscalated { .. } => Level::Critical,
        News::ApprovalRequested(approval) | News::ApprovalEscalated { approval, .. } => {
            match approval.change.as_ref().map(|change| change.effect) {
                Some(Effect::Destructive) => Level::Error,
                _ => Level::Warning,
            }
        }
        News::RunStarted { .. } => Level::Info,
        News::QuestionAsked { .. } | News::AlertUnmatched { .. } => Level::Warning,
        _ => Level::Error,
    }
}

/// By the number at the end (`SEV-2`, `P1`), else by the word. What nobody knows is an error rather
/// than nothing: better woken than not.
fn level_of(severity: &str) -> Level {
    match severity.trim().chars().last() {
        Some('0' | '1') => return Level::Critical,
        Some('2') => return Level::Error,
        Some('3') => return Level::Warning,
        Some('4'..='9') => return Level::Info,
        _ => {}
    }
    match severity.trim().to_lowercase().as_str() {
        "critical" | "fatal" | "emergency" | "page" => Level::Critical,
        "medium" | "moderate" | "minor" | "warning" | "warn" => Level::Warning,
        "low" | "info" | "informational" | "none" => Level::Info,
        _ => Level::Error,
    }
}

pub(crate) async fn send(
    http: &Http,
    config: &PagerDuty,
    notice: &Notice,
    site: Option<&Site>,
    now: Timestamp,
) -> Result<(), Trouble> {
    let key = config.routing_key.read().map_err(|error| Trouble::never(error.to_string()))?;
    let mut event = event(config, notice, site);
    event["routing_key"] = json!(key.expose_secret());
    let answer = http.post(config.url.url(), HeaderMap::new(), event.to_string().into_bytes(), now).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let errors = answer.json.get("errors").and_then(Value::as_array).into_iter().flatten();
    let said = answer.json.get("message").into_iter().chain(errors).filter_map(Value::as_str);
    let said = said.take(5).collect::<Vec<_>>().join("; ");
    Err(answer.trouble(&excerpt(&said, &[&key])))
}

#[cfg(test)]
mod tests;
