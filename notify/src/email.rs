//! Mail. All that is about one incident, or one run, is one thread.

use std::time::{Duration as StdDuration, SystemTime};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, SinglePart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Tls as SmtpTls, TlsParameters},
    },
};
use runbook_core::change;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{
    config::{Email, Tls},
    http::{Trouble, excerpt},
    notice::{Notice, words},
    site::Site,
    text::{fit, fit_line},
};

const LONGEST_SUBJECT: usize = 200;
const LONGEST_TEXT: usize = 64 * 1024;

/// What a mail says, before it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub subject: String,
    pub text: String,
    /// Equal for all mails of one thread.
    pub thread: String,
}

/// Renders a notice.
pub fn letter(notice: &Notice, site: Option<&Site>) -> Letter {
    let headline = words::headline(notice);
    let mut text = format!("{headline}\n\n");
    for (name, value) in words::facts(notice) {
        text.push_str(&format!("{name}: {}\n", value.replace('\n', "\n    ")));
    }
    for paragraph in words::paragraphs(notice) {
        text.push_str(&format!("\n{paragraph}\n"));
    }
    if let Some(approval) = notice.approval() {
        let diff = approval.change.as_ref().map(|change| change.diff.trim_end());
        if let Some(diff) = diff.filter(|diff| !diff.is_empty()) {
            text.push_str(&format!("\n{diff}\n"));
        }
    }
    let links = words::links(notice, site);
    if !links.is_empty() {
        text.push('\n');
        links.iter().for_each(|(name, url)| text.push_str(&format!("{name}: {url}\n")));
    }
    text.push_str(&format!("\n{}\n", words::clock_time(notice.at)));
    Letter {
        subject: fit_line(&format!("{}{headline}", words::place(notice)), LONGEST_SUBJECT),
        text: fit(&text, LONGEST_TEXT),
        thread: thread(notice),
    }
}

fn thread(notice: &Notice) -> String {
    match (&notice.incident, &notice.run) {
        (Some(incident), _) => format!("incident/{}", incident.id),
        (None, Some(run)) => format!("run/{}", run.id),
        (None, None) => notice.subject(),
    }
}

/// The mail, the same to the byte for every try. The thread's first message need not exist: mail
/// programs put together what refers to the same one.
pub(crate) fn mail(
    config: &Email,
    id: &str,
    notice: &Notice,
    site: Option<&Site>,
) -> Result<Message, Trouble> {
    let letter = letter(notice, site);
    let unfit =
        |error: lettre::error::Error| Trouble::never(format!("the mail could not be written: {error}"));
    let mailbox = |text: &String| {
        text.parse::<Mailbox>().map_err(|_| Trouble::never("`from` or `to` holds what is no address of mail"))
    };
    let from = mailbox(&config.from)?;
    let domain = from.email.domain().to_owned();
    let root = change::digest(&json!([config.name, letter.thread]));
    let root = root.trim_start_matches("sha256:").get(..32).unwrap_or_default().to_owned();
    let root = format!("<thread-{root}@{domain}>");
    let automatic = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    let mut builder = Message::builder()
        .from(from)
        .subject(letter.subject)
        .date(SystemTime::from(notice.at))
        .message_id(Some(format!("<{id}@{domain}>")))
        .in_reply_to(root.clone())
        .references(root)
        // So that nobody's holiday answers it.
        .raw_header(automatic("Auto-Submitted", "auto-generated"))
        .raw_header(automatic("X-Auto-Response-Suppress", "All"));
    for recipient in &config.to {
        builder = builder.to(mailbox(recipient)?);
    }
    builder.singlepart(SinglePart::plain(letter.text)).map_err(unfit)
}

pub(crate) async fn send(
    config: &Email,
    id: &str,
    notice: &Notice,
    site: Option<&Site>,
    patience: StdDuration,
) -> Result<(), Trouble> {
    let mail = mail(config, id, notice, site)?;
    let password = config.password.as_ref().map(|source| source.read()).transpose();
    let password = password.map_err(|error| Trouble::never(error.to_string()))?;
    let transport = transport(config, password.as_ref(), patience)?;
    match transport.send(mail).await {
        Ok(_) => Ok(()),
        Err(error) => Err(trouble(config, &error, password.as_ref())),
    }
}

fn transport(
    config: &Email,
    password: Option<&SecretString>,
    patience: StdDuration,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, Trouble> {
    let host = &config.server.host;
    let trust = || {
        let trust = TlsParameters::new(host.clone());
        trust
            .map_err(|error| Trouble::never(format!("TLS to {} could not be set up: {error}", config.server)))
    };
    let tls = match config.tls {
        Tls::StartTls => SmtpTls::Required(trust()?),
        Tls::Implicit => SmtpTls::Wrapper(trust()?),
        // The check of the configuration lets this through for this machine only; so does this.
        Tls::None if config.server.is_this_machine() => SmtpTls::None,
        Tls::None => return Err(Trouble::never("mail is not sent to another machine in the clear")),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(config.server.port)
        .tls(tls)
        .timeout(Some(patience));
    if let (Some(user), Some(password)) = (&config.user, password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    Ok(builder.build())
}

/// A server that says 5xx means it; all else may be otherwise the next time.
fn trouble(config: &Email, error: &Error, password: Option<&SecretString>) -> Trouble {
    let secrets: Vec<&SecretString> = password.into_iter().collect();
    let why = format!("{}: {}", config.server, excerpt(&error.to_string(), &secrets));
    if error.is_permanent() || error.is_client() { Trouble::never(why) } else { Trouble::later(why) }
}

#[cfg(test)]
mod tests;
