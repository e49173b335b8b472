//! Short messages for the moments that every incident has.

use runbook_contract::text::line;
use runbook_core::{Value, change::brief};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// The moment that a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Template {
    Declared,
    Update,
    Resolved,
    Failed,
}

const MOST_FIELDS: usize = 20;
const LONGEST_FIELD: usize = 300;

impl Template {
    /// The message: a headline with `title` or else what the fields name, then the other fields,
    /// a line each, in their order.
    pub fn fill(self, fields: &Map<String, Value>) -> String {
        let (icon, word) = match self {
            Self::Declared => (":rotating_light:", "Incident declared"),
            Self::Update => (":information_source:", "Incident update"),
            Self::Resolved => (":white_check_mark:", "Resolved"),
            Self::Failed => (":x:", "Runbook failed"),
        };
        let subject =
            ["title", "incident", "runbook", "service"].into_iter().find(|key| fields.contains_key(*key));
        let mut text = match subject {
            Some(key) => format!("{icon} *{word}: {}*", plain(&fields[key])),
            None => format!("{icon} *{word}*"),
        };
        for (name, value) in
            fields.iter().filter(|(name, _)| Some(name.as_str()) != subject).take(MOST_FIELDS)
        {
            text.push_str(&format!(
                "\n• {}: {}",
                plain(&Value::String(name.replace('_', " "))),
                plain(value)
            ));
        }
        text
    }
}

/// One line that Slack shows as it is: what an alert says cannot mention a channel or hide a link.
fn plain(value: &Value) -> String {
    line(&brief(value), LONGEST_FIELD).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_name_the_subject_and_list_the_rest() {
        for (template, fields, expected) in [
            (
                Template::Resolved,
                json!({"runbook": "high-latency", "p95_now": 0.21, "was": "8 s"}),
                ":white_check_mark: *Resolved: high-latency*\n• p95 now: 0.21\n• was: 8 s",
            ),
            (Template::Failed, json!({}), ":x: *Runbook failed*"),
            (
                Template::Declared,
                json!({"service": "api", "title": "<!channel> a & b"}),
                ":rotating_light: *Incident declared: &lt;!channel&gt; a &amp; b*\n• service: api",
            ),
            (Template::Update, json!({"title": "a\nb"}), ":information_source: *Incident update: a b*"),
        ] {
            assert_eq!(template.fill(fields.as_object().unwrap()), expected);
        }
    }
}
