//! Webhooks of one's own, as Standard Webhooks 1.0 has them.
//!
//! A POST of JSON with the headers `webhook-id` (equal for repeats of one message),
//! `webhook-timestamp` and `webhook-signature`. Any 2xx is a yes; 408, 425, 429 and 5xx are tried
//! again, all else is a no for good. The body:
//!
//! | field | |
//! |---|---|
//! | `type` | what happened, by the words of `on`: `approval_requested` |
//! | `at` | when, RFC 3339 |
//! | `subject` | what it is about, equal for all that is about it: `run/run_01…` |
//! | `text` | one line for people |
//! | `environment` | or null |
//! | `simulated` | whether nothing real is touched |
//! | `incident` | `{id, title, severity?, url?}` or null |
//! | `run` | `{id, runbook, url?}` or null |
//! | `data` | what belongs to this `type` alone, with the names of [`crate::News`] |

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use runbook_core::{Timestamp, Value};
use runbook_intake::Proof;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    config::{Address, Webhook},
    http::{Http, Trouble},
    notice::{Notice, words},
    site::Site,
    text::fit_line,
};

const LONGEST_TEXT: usize = 1_000;

/// The body.
pub fn body(notice: &Notice, site: Option<&Site>) -> Value {
    let incident = notice.incident.as_ref().map(|incident| {
        let mut value = json!(incident);
        if let Some(site) = site {
            value["url"] = json!(site.incident(&incident.id));
        }
        value
    });
    let run = notice.run.as_ref().map(|run| {
        let mut value = json!(run);
        if let Some(site) = site {
            value["url"] = json!(site.run(run.id));
        }
        value
    });
    let data = json!(notice.news).get_mut("data").map(Value::take);
    json!({
        "type": notice.moment().word(),
        "at": notice.at,
        "subject": notice.subject(),
        "text": fit_line(&words::headline(notice), LONGEST_TEXT),
        "environment": notice.environment,
        "simulated": notice.simulated,
        "incident": incident,
        "run": run,
        "data": data.unwrap_or_else(|| json!({})),
    })
}

pub(crate) async fn send(
    http: &Http,
    config: &Webhook,
    id: &str,
    notice: &Notice,
    site: Option<&Site>,
    now: Timestamp,
) -> Result<(), Trouble> {
    let address = address(config)?;
    let secret = config.secret.read().map_err(|error| Trouble::never(error.to_string()))?;
    let proof = Proof::StandardWebhooks { secrets: vec![secret] };
    proof.check().map_err(|error| Trouble::never(error.to_string()))?;
    let body = body(notice, site).to_string().into_bytes();
    let signed = proof.sign(id, &body, now).map_err(|error| Trouble::never(error.to_string()))?;
    let header = |(name, value): (String, String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    let headers: HeaderMap = signed.into_iter().filter_map(header).collect();
    // What it answers is not shown: it is not known what that repeats.
    let answer = http.post(address.url(), headers, body, now).await?;
    if answer.status.is_success() { Ok(()) } else { Err(answer.trouble("")) }
}

fn address(config: &Webhook) -> Result<Address, Trouble> {
    if let Some(url) = &config.url {
        return Ok(url.clone());
    }
    let source = config.url_from.as_ref().ok_or_else(|| Trouble::never("no `url` is given"))?;
    let text = source.read().map_err(|error| Trouble::never(error.to_string()))?;
    text.expose_secret().trim().parse().map_err(|error| Trouble::never(format!("`url_from`: {error}")))
}

#[cfg(test)]
mod tests;
