//! What the shape of the file cannot say: names that must exist, keys that exclude each other.

use runbook_core::{
    Timestamp,
    finding::{Code, Document, Finding},
    parse::tree::Node,
    severity::Matrix,
    suggest,
};

use runbook_server::Retention;

use super::{Config, Environment, detectors, hooks::ClientCertificate};

/// Everything that is wrong with the meaning of a file whose shape is sound.
pub(super) fn check(config: &Config, tree: &Node, document: &Document) -> Vec<Finding> {
    let mut checker = Checker { config, document, findings: Vec::new() };
    checker.file(tree);
    checker.findings.extend(detectors::check(config, tree, document));
    checker.findings
}

struct Checker<'a> {
    config: &'a Config,
    document: &'a Document,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn file(&mut self, tree: &Node) {
        let names = || self.config.environments.keys().map(String::as_str);
        if let Some(default) = &self.config.default_environment
            && !self.config.environments.contains_key(default)
        {
            let hint = meant(default, names());
            let finding = self.document.finding(
                Code::UnknownWord,
                tree.value_span("default_environment"),
                format!("there is no environment `{default}`"),
            );
            self.findings.push(finding.hint(hint));
        }
        self.store(tree);
        self.severity(tree);
        self.hooks(tree);
        self.retention(tree);
        self.auth(tree);
        let environments = tree.get("environments");
        for (name, environment) in &self.config.environments {
            if let Some(node) = environments.and_then(|all| all.get(name)) {
                self.environment(environment, node);
            }
        }
    }

    fn store(&mut self, tree: &Node) {
        if let Err(no) = self.config.store.kind() {
            let finding = self.document.finding(Code::UnknownWord, tree.value_span("store"), no.why);
            self.findings.push(finding.hint(no.hint));
        }
    }

    fn retention(&mut self, tree: &Node) {
        let Some(node) = tree.get("server").and_then(|server| server.get("retention")) else { return };
        let kept = &self.config.server.retention;
        let all = [("deliveries", kept.deliveries), ("alerts", kept.alerts), ("audit", kept.audit)];
        for (name, length) in all.into_iter().filter(|(_, length)| *length < Retention::LEAST) {
            let message = format!("`{name}` is {length}: what is still needed would be forgotten");
            let finding = self.document.finding(Code::OutOfRange, node.value_span(name), message);
            self.findings.push(finding.hint(format!("keep it for {} at the least", Retention::LEAST)));
        }
    }

    fn severity(&mut self, tree: &Node) {
        if let Err(bad) = Matrix::from_config(&self.config.severity) {
            let span = tree.value_span("severity");
            let finding = self.document.finding(Code::OutOfRange, span, bad.to_string());
            self.findings.push(match bad.hint {
                Some(hint) => finding.hint(hint),
                None => finding,
            });
        }
    }

    /// A door without a proof would let anybody start runs.
    fn hooks(&mut self, tree: &Node) {
        let Some(hooks) = tree.get("hooks") else { return };
        for (name, hook) in &self.config.hooks {
            let Some(node) = hooks.get(name) else { continue };
            let given = [
                hook.bearer.is_some(),
                hook.basic.is_some(),
                hook.header.is_some(),
                hook.secret.is_some(),
                hook.client_certificate.is_some(),
                !hook.topics.is_empty(),
            ];
            let count = given.into_iter().filter(|given| *given).count();
            if count != 1 {
                let message = match count {
                    0 => format!("hook `{name}` has no proof: anybody could start runs through it"),
                    _ => format!("hook `{name}` has {count} proofs: which one counts?"),
                };
                let finding = self.document.finding(Code::MisplacedKey, hooks.key_span(name), message);
                self.findings.push(finding.hint(
                    "give one of `bearer`, `basic`, `header`, `secret`, `client_certificate`, `topics`",
                ));
            }
            if let Some(client) = &hook.client_certificate {
                self.client_certificate(client, node);
            }
            if let Some(environment) = &hook.environment
                && !self.config.environments.contains_key(environment)
            {
                let hint = meant(environment, self.config.environments.keys().map(String::as_str));
                let message = format!("there is no environment `{environment}`");
                let finding =
                    self.document.finding(Code::UnknownWord, node.value_span("environment"), message);
                self.findings.push(finding.hint(hint));
            }
        }
    }

    fn client_certificate(&mut self, client: &ClientCertificate, node: &Node) {
        let span = node.key_span("client_certificate");
        if let Err(why) = client.names() {
            self.findings.push(self.document.finding(Code::OutOfRange, span.clone(), why));
        }
        let tls = self.config.server.tls.as_ref();
        if tls.is_none_or(|tls| tls.client_authorities.is_none()) {
            let message = "nobody vouches for client certificates, so that none would be accepted";
            let hint = "name their authorities in `server.tls.client_authorities`; behind a proxy that ends TLS \
                        they cannot be seen";
            self.findings.push(self.document.finding(Code::MisplacedKey, span, message).hint(hint));
        }
    }

    fn auth(&mut self, tree: &Node) {
        let Some(auth) = &self.config.auth else { return };
        for problem in auth.problems() {
            let span = tree.key_span("auth");
            self.findings.push(self.document.finding(Code::OutOfRange, span, problem.to_string()));
        }
    }

    fn environment(&mut self, environment: &Environment, node: &Node) {
        if let Some(scenario) = &environment.simulated {
            self.simulated(scenario, environment, node);
        } else if environment.speed.is_some() {
            let message = "`speed` without `simulated`: real time cannot be made faster";
            self.findings.push(self.document.finding(Code::MisplacedKey, node.key_span("speed"), message));
        }
        self.limits(environment, node);
        self.floors(environment, node);
        self.freezes(environment, node);
        self.people(&environment.break_glass, "break_glass", node);
        self.people(&environment.overriders, "overriders", node);
    }

    fn simulated(&mut self, scenario: &str, environment: &Environment, node: &Node) {
        let names = runbook_world::scenario_names();
        if !names.clone().any(|name| name == scenario) {
            let message = format!("there is no simulated scenario `{scenario}`");
            let finding = self.document.finding(Code::UnknownWord, node.value_span("simulated"), message);
            self.findings.push(finding.hint(meant(scenario, names)));
        }
        for key in real(environment) {
            let message =
                format!("`{key}` in a simulated environment: it touches nothing outside this process");
            let finding = self.document.finding(Code::MisplacedKey, node.key_span(key), message);
            self.findings.push(finding.hint("leave it out, or make it another environment"));
        }
    }

    fn limits(&mut self, environment: &Environment, node: &Node) {
        // The specs are only made where there is something to compare with them.
        if environment.limits.actions.is_empty() {
            return;
        }
        let specs = crate::wire::specs();
        let Some(limits) = node.get("limits") else { return };
        for action in environment.limits.actions.keys().filter(|action| !specs.contains_key(*action)) {
            let message = format!("there is no action `{action}` to limit");
            let finding = self.document.finding(Code::UnknownAction, limits.key_span(action), message);
            self.findings.push(finding.hint(meant(action, specs.keys().map(String::as_str))));
        }
    }

    fn floors(&mut self, environment: &Environment, node: &Node) {
        let floors =
            [("write", &environment.approvals.write), ("destructive", &environment.approvals.destructive)];
        let Some(approvals) = node.get("approvals") else { return };
        for (effect, floor) in floors {
            if let (Some(floor), Some(place)) = (floor, approvals.get(effect)) {
                self.people(&floor.from, "from", place);
            }
        }
    }

    /// Whether there is anybody of these names, which stand under a key.
    fn people(&mut self, names: &[String], key: &str, node: &Node) {
        let groups = &self.config.people.groups;
        let known =
            |name: &String| groups.contains_key(name) || groups.values().flatten().any(|who| who == name);
        for name in names.iter().filter(|name| !known(name)) {
            let message = format!("there is no group `{name}`");
            let finding = self.document.finding(Code::UnknownGroup, node.value_span(key), message);
            self.findings.push(finding.hint(meant(name, groups.keys().map(String::as_str))));
        }
    }

    fn freezes(&mut self, environment: &Environment, node: &Node) {
        for freeze in &environment.freezes {
            if let Err(why) = freeze.times(Timestamp::UNIX_EPOCH) {
                let span = node.value_span("freezes");
                self.findings.push(self.document.finding(Code::OutOfRange, span, why));
            }
        }
    }
}

/// The keys of providers that an environment configures.
fn real(environment: &Environment) -> impl Iterator<Item = &'static str> {
    let keys = [
        #[cfg(feature = "kubernetes")]
        ("kubernetes", environment.kubernetes.is_some()),
        ("prometheus", environment.prometheus.is_some()),
        #[cfg(feature = "aws")]
        ("aws", environment.aws.is_some()),
        ("flags", environment.flags.is_some()),
        ("http", environment.http.is_some()),
        ("slack", environment.slack.is_some()),
        ("command", environment.command.is_some()),
    ];
    keys.into_iter().filter(|(_, configured)| *configured).map(|(key, _)| key)
}

fn meant<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match suggest::closest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match suggest::list(known) {
            list if list.is_empty() => "none are defined".to_owned(),
            list => format!("known are {list}"),
        },
    }
}
