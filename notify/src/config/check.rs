//! What the types of the configuration cannot say.

use std::collections::BTreeSet;

use lettre::message::Mailbox;

use super::{Channel, Email, Slack, Tls, Webhook};

/// Channels that would not do what they say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misconfigured {
    #[error("{0} notification channels are configured; at most {MOST_CHANNELS} are served")]
    TooMany(usize),
    #[error("`{0}` cannot be the name of a notification channel; use 1 to 64 letters, digits, `-` and `_`")]
    Name(String),
    #[error("two notification channels are called `{0}`; give each a name of its own")]
    Twice(String),
    #[error("notification channel `{0}` tells nothing; list under `on` what it is for")]
    Nothing(String),
    #[error("notification channel `{channel}`: {why}")]
    Wrong { channel: String, why: String },
    #[error("the HTTP client could not be set up: {0}; install `ca-certificates` where they are missing")]
    NoClient(String),
}

const MOST_CHANNELS: usize = 32;
const MOST_RECIPIENTS: usize = 50;

pub(crate) fn check(channels: &[Channel]) -> Result<(), Misconfigured> {
    if channels.len() > MOST_CHANNELS {
        return Err(Misconfigured::TooMany(channels.len()));
    }
    let mut names = BTreeSet::new();
    for channel in channels {
        let name = channel.name();
        if !is_name(name) {
            return Err(Misconfigured::Name(name.chars().take(80).collect()));
        }
        if !names.insert(name) {
            return Err(Misconfigured::Twice(name.to_owned()));
        }
        if channel.filter().0.is_empty() {
            return Err(Misconfigured::Nothing(name.to_owned()));
        }
        let wrong = match channel {
            Channel::Slack(slack) => check_slack(slack),
            Channel::PagerDuty(_) => Ok(()),
            Channel::Email(email) => check_email(email),
            Channel::Webhook(webhook) => check_webhook(webhook),
        };
        wrong.map_err(|why| Misconfigured::Wrong { channel: name.to_owned(), why })?;
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_".contains(&letter))
}

fn check_slack(slack: &Slack) -> Result<(), String> {
    if slack.channel.trim().is_empty() {
        return Err("`channel` is empty; write it like `#incidents`".to_owned());
    }
    match slack.people.iter().find(|(id, person)| !is_user(id) || person.trim().is_empty()) {
        Some((id, _)) => Err(format!(
            "`people` maps Slack's ids of users to people, like `U024BE7LH: alice`; `{id}` does not"
        )),
        None => Ok(()),
    }
}

/// Whether this is how Slack writes the id of a user.
pub(crate) fn is_user(id: &str) -> bool {
    id.starts_with(['U', 'W'])
        && (2..=64).contains(&id.len())
        && id.bytes().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
}

fn check_email(email: &Email) -> Result<(), String> {
    if email.tls == Tls::None && !email.server.is_this_machine() {
        return Err(format!(
            "`tls: none` would send mail to {} in the clear; use `starttls` or `implicit`",
            email.server
        ));
    }
    if email.user.is_some() != email.password.is_some() {
        return Err("`user` and `password` belong together; give both or neither".to_owned());
    }
    if !(1..=MOST_RECIPIENTS).contains(&email.to.len()) {
        return Err(format!("`to` needs 1 to {MOST_RECIPIENTS} addresses"));
    }
    let wrong = std::iter::once(&email.from).chain(&email.to).find(|text| text.parse::<Mailbox>().is_err());
    wrong.map_or(Ok(()), |text| {
        Err(format!("`{text}` is not an address of mail; write it like `Runbook <runbook@example.com>`"))
    })
}

fn check_webhook(webhook: &Webhook) -> Result<(), String> {
    if webhook.url.is_some() == webhook.url_from.is_some() {
        return Err("give either `url` or `url_from`".to_owned());
    }
    Ok(())
}
