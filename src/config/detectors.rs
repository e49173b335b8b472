//! What the embedded detector watches.

use std::collections::BTreeSet;

use runbook_core::{
    detection::{Preset, Rule},
    duration::Duration,
    finding::{Code, Document, Finding},
    parse::tree::Node,
    suggest,
};
use runbook_desk::detect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Environment};

/// Rules over what an environment measures; what fires comes in as an alert of the source `generic`,
/// through a door that has the name of the detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
    pub name: String,
    /// Where it measures; the default environment, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default)]
    pub source: Origin,
    /// How often it looks: 30 seconds, if not given.
    #[serde(default = "every")]
    pub every: Duration,
    /// When it tells again what still fires: after 4 hours, if not given.
    #[serde(default = "repeat")]
    pub repeat: Duration,
    /// For how long it waits for an answer: 10 seconds, if not given.
    #[serde(default = "timeout")]
    pub timeout: Duration,
    /// Rules that ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Rules of one's own; one that has the name of a rule of the preset is there instead of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub rules: Vec<Rule>,
}

/// Who measures: the `prometheus` or the `aws` of the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    #[default]
    Prometheus,
    Cloudwatch,
}

/// Looking more often than this is a load, and nothing is learned.
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(24 * 3600);

impl Detector {
    /// A detector of nothing but a preset.
    pub fn of(preset: Preset) -> Self {
        Self {
            name: preset.name().to_owned(),
            environment: None,
            source: Origin::Prometheus,
            every: every(),
            repeat: repeat(),
            timeout: timeout(),
            preset: Some(preset),
            rules: Vec::new(),
        }
    }

    /// Those of the preset and its own.
    fn all_rules(&self) -> Vec<Rule> {
        let preset = self.preset.into_iter().flat_map(Preset::rules);
        let is_own = |name: &str| self.rules.iter().any(|rule| rule.name == name);
        preset.filter(|rule| !is_own(&rule.name)).chain(self.rules.iter().cloned()).collect()
    }

    /// As it is run. In a simulated environment it is to be scaled.
    pub fn at_work(&self) -> detect::Detector {
        detect::Detector {
            name: self.name.clone(),
            rules: self.all_rules(),
            every: self.every,
            repeat: self.repeat,
            timeout: self.timeout,
        }
    }
}

/// Everything that is wrong with the detectors of a configuration whose shape is sound.
pub(super) fn check(config: &Config, tree: &Node, document: &Document) -> Vec<Finding> {
    let nodes = tree.get("detectors").map(Node::items).unwrap_or_default();
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    for (detector, node) in config.detectors.iter().zip(nodes) {
        let mut checker = Checker { config, detector, node, document, findings: &mut findings };
        if !names.insert(&detector.name) {
            let message = format!("there are two detectors `{}`", detector.name);
            checker.find(Code::DuplicateKey, "name", message, "give each a name of its own");
        }
        if config.hooks.contains_key(&detector.name) {
            let message = format!("there is a hook `{}` already", detector.name);
            checker.find(
                Code::DuplicateKey,
                "name",
                message,
                "a detector has a door of its own; call it otherwise",
            );
        }
        checker.detector();
    }
    findings
}

struct Checker<'a> {
    config: &'a Config,
    detector: &'a Detector,
    node: &'a Node,
    document: &'a Document,
    findings: &'a mut Vec<Finding>,
}

impl Checker<'_> {
    fn detector(&mut self) {
        self.environment();
        for (key, length) in [("every", self.detector.every), ("timeout", self.detector.timeout)] {
            if !(LEAST..=MOST).contains(&length) {
                let message = format!("`{key}` is {length}");
                self.find(Code::OutOfRange, key, message, "it has to be between 1s and 1d");
            }
        }
        if self.detector.repeat < self.detector.every {
            let message = "`repeat` is shorter than `every`".to_owned();
            self.find(Code::OutOfRange, "repeat", message, "leave it out: 4 hours are usual");
        }
        match (self.detector.preset, self.detector.source) {
            (None, _) if self.detector.rules.is_empty() => {
                let message = format!("the detector `{}` has no rules", self.detector.name);
                let hint = "write `rules`, or `preset: golden-signals`";
                self.find(Code::MissingKey, "name", message, hint);
            }
            (Some(preset), Origin::Cloudwatch) => {
                let message = format!("the rules of `{}` are of Prometheus", preset.name());
                let hint = "leave `preset` out and write `rules`, or make it two detectors";
                self.find(Code::MisplacedKey, "preset", message, hint);
            }
            _ => {}
        }
        self.rules();
    }

    fn environment(&mut self) {
        let known = || self.config.environments.keys().map(String::as_str);
        let named = self.detector.environment.as_deref();
        let Ok((name, environment)) = self.config.environment(named) else {
            let (message, hint) = match named {
                Some(name) => (format!("there is no environment `{name}`"), near(name, known())),
                None => (
                    "which environment? the configuration names no default".to_owned(),
                    format!("write `environment`: {}", suggest::list(known())),
                ),
            };
            self.find(Code::UnknownWord, "environment", message, &hint);
            return;
        };
        let (key, is_there) = measures(self.detector.source, environment);
        if !is_there && environment.simulated.is_none() {
            let message = format!("the environment `{name}` has no `{key}` to measure with");
            let hint = format!("configure `{key}` there, or name another environment");
            self.find(Code::UnknownWord, "environment", message, &hint);
        }
    }

    fn rules(&mut self) {
        let mut names = BTreeSet::new();
        let nodes = self.node.get("rules").map(Node::items).unwrap_or_default();
        for (rule, node) in self.detector.rules.iter().zip(nodes) {
            let mut found = |code, key: &str, message: String| {
                let finding = self.document.finding(code, node.value_span(key), message);
                self.findings.push(finding);
            };
            if !names.insert(&rule.name) {
                found(Code::DuplicateKey, "name", format!("there are two rules `{}`", rule.name));
            }
            for (key, why) in rule.problems() {
                found(Code::WrongType, key, format!("rule `{}`: {why}", rule.name));
            }
            for (key, measure) in rule.measures() {
                let (wrong, other) = match self.detector.source {
                    Origin::Prometheus => (measure.cloudwatch.is_some(), "cloudwatch"),
                    Origin::Cloudwatch => (measure.query.is_some(), "query"),
                };
                if wrong {
                    let place = if node.get(key).is_some() { key } else { other };
                    let message = format!("`{other}` in a detector whose source is another");
                    found(Code::MisplacedKey, place, message);
                }
            }
        }
    }

    fn find(&mut self, code: Code, key: &str, message: String, hint: &str) {
        let finding = self.document.finding(code, self.node.value_span(key), message);
        self.findings.push(finding.hint(hint));
    }
}

fn measures(source: Origin, environment: &Environment) -> (&'static str, bool) {
    match source {
        Origin::Prometheus => ("prometheus", environment.prometheus.is_some()),
        #[cfg(feature = "aws")]
        Origin::Cloudwatch => ("aws", environment.aws.is_some()),
        #[cfg(not(feature = "aws"))]
        Origin::Cloudwatch => ("aws", false),
    }
}

fn near<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match suggest::closest(word, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", suggest::list(known)),
    }
}

const fn every() -> Duration {
    detect::Detector::EVERY
}
const fn repeat() -> Duration {
    detect::Detector::REPEAT
}
const fn timeout() -> Duration {
    detect::Detector::TIMEOUT
}
