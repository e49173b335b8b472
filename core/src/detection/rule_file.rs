//! The same rules as a rule file of Prometheus, for those whose Prometheus watches already.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::json;

use super::{Absent, Rule};
use crate::duration::Duration;

/// A rule file with one group of these rules. Those that PromQL cannot say, of CloudWatch or with an
/// expression of ours, are named in comments, as a file without them would look complete.
pub fn rule_file(group: &str, every: Duration, rules: &[Rule]) -> String {
    let mut text = format!(
        "groups:\n  - name: {}\n    interval: {}\n    rules:",
        quoted(group),
        prometheus_duration(every)
    );
    let (said, unsaid): (Vec<_>, Vec<_>) =
        rules.iter().map(|rule| (rule, rule.promql())).partition(|(_, promql)| promql.is_ok());
    if said.is_empty() {
        text.push_str(" []");
    }
    text.push('\n');
    for (rule, promql) in said {
        write_rule(&mut text, rule, &promql.unwrap_or_default());
    }
    for (rule, why) in unsaid {
        let why = why.err().unwrap_or_default();
        let _ = writeln!(text, "      # {} is not here: {why}", rule.name);
    }
    text
}

fn write_rule(text: &mut String, rule: &Rule, promql: &str) {
    let mut line = |indent: &str, key: &str, value: &str| {
        let _ = writeln!(text, "{indent}{key}: {value}");
    };
    line("      - ", "alert", &quoted(&rule.name));
    line("        ", "expr", &quoted(promql));
    if !rule.hold.is_zero() {
        line("        ", "for", &prometheus_duration(rule.hold));
    }
    if !rule.keep_firing_for.is_zero() {
        line("        ", "keep_firing_for", &prometheus_duration(rule.keep_firing_for));
    }
    let mut labels = rule.labels.clone();
    for (name, value) in [("severity", &rule.severity), ("service", &rule.service)] {
        if let Some(value) = value {
            labels.insert(name.to_owned(), value.clone());
        }
    }
    let mut annotations = rule.annotations.clone();
    annotations.insert("title".to_owned(), rule.title().to_owned());
    if let Some(url) = &rule.url {
        annotations.insert("url".to_owned(), url.clone());
    }
    for (key, texts) in [("labels", labels), ("annotations", annotations)] {
        write_texts(text, key, &texts, (key == "annotations").then(|| rule.called()));
    }
}

/// `number` is what the number is called, where it is to be among the texts.
fn write_texts(text: &mut String, key: &str, texts: &BTreeMap<String, String>, number: Option<&str>) {
    if texts.is_empty() && number.is_none() {
        return;
    }
    let _ = writeln!(text, "        {key}:");
    for (name, value) in texts {
        // Prometheus takes both as templates.
        let value = value.replace("{{", "{{ \"{{\" }}");
        let _ = writeln!(text, "          {}: {}", quoted(name), quoted(&value));
    }
    if let Some(number) = number.filter(|number| !texts.contains_key(*number)) {
        let _ = writeln!(text, "          {number}: {}", quoted("{{ $value }}"));
    }
}

impl Rule {
    /// The condition as one query of Prometheus; why not, where it cannot be said.
    pub fn promql(&self) -> Result<String, &'static str> {
        let query = self.query.as_deref().ok_or("its metric is one of CloudWatch")?;
        let (sign, number) = match (self.above, self.below) {
            (Some(above), _) => (">", above),
            (None, Some(below)) => ("<", below),
            (None, None) => return Err("its condition is an expression that PromQL does not know"),
        };
        let condition = match &self.expected {
            None => format!("({query}) {sign} {number}"),
            Some(expected) => {
                let expected = expected.query.as_deref().ok_or("what it expects is in CloudWatch")?;
                format!("({query}) {sign} {number} * ({expected})")
            }
        };
        Ok(match self.absent {
            Absent::Ok => condition,
            // What is not a number (0/0) is no data.
            Absent::Firing => format!("({condition}) or absent(count(({query}) >= -Inf))"),
        })
    }
}

/// A text as YAML has it, as plain as it can be: queries are full of quotes.
fn quoted(text: &str) -> String {
    let is_word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if is_word(text) && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else if text.chars().any(char::is_control) {
        // In double quotes it means the same in JSON and in YAML.
        json!(text).to_string()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// What YAML, in one version or the other, does not take for texts.
const WORDS: [&str; 11] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"];

/// As Prometheus reads it: whole units only.
fn prometheus_duration(length: Duration) -> String {
    match length.as_std().subsec_millis() {
        0 => length.to_string(),
        milliseconds => format!("{}s{milliseconds}ms", length.as_std().as_secs()),
    }
}
