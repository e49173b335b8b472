//! The shape of steps: one kind each, and only keys that belong to it.

use super::{
    Checker, MAX_ITEMS,
    index::{Indexed, Part},
    scope::Scope,
};
use crate::{
    duration::Duration,
    finding::Code,
    parse::tree::{Content, Node},
    runbook::{Approval, Choose, Kind, Manual, OnTimeout, Step},
    schema::validate::Filled,
};

/// What stands for the declared steady state in `until` and `wait`.
const STEADY_STATE: &str = "steady_state";
/// The keys that name a kind.
const KINDS: [&str; 7] = ["action", "approval", "check", "manual", "options", "run", "wait"];
/// The keys that every kind has.
const COMMON: [&str; 9] =
    ["eta", "id", "needs", "on_failure", "risk", "timeout", "title", "when", "approval"];
/// The keys that an option has.
const OF_OPTIONS: [&str; 12] = [
    "action", "approval", "effect", "eta", "id", "retry", "risk", "timeout", "title", "undo", "when", "with",
];
/// The keys that only some kinds have, and which.
const SOME: [(&str, &[&str]); 14] = [
    ("with", &["check", "action", "run"]),
    ("for_each", &["check", "action", "run", "manual", "options", "approval"]),
    ("max_parallel", &["check", "action", "run", "manual", "options", "approval"]),
    ("retry", &["check", "action"]),
    ("undo", &["action"]),
    ("effect", &["action"]),
    ("expect", &["check"]),
    ("required", &["check"]),
    ("until", &["check", "options"]),
    ("every", &["check", "wait"]),
    ("for", &["check", "wait"]),
    ("settle", &["options"]),
    ("choose", &["options"]),
    ("otherwise", &["options"]),
];
/// What `approval` can guard, besides being a step of its own.
const GUARDED: [&str; 4] = ["action", "approval", "options", "run"];

impl<'a> Checker<'a> {
    pub(super) fn check_step(&mut self, here: Indexed<'a>) {
        let scope = Scope::before(&here);
        let Some(kind) = self.check_kind(&here) else {
            self.check_texts(&here, &scope);
            return;
        };
        self.check_keys(&here, kind);
        self.check_idle_keys(&here, kind);
        self.check_when(&here, &scope);
        self.check_texts(&here, &scope);
        self.check_for_each(&here, &scope);
        self.check_verdicts(&here, kind, &scope);
        if let (Some(approval), Some(node)) = (&here.step.approval, here.node.get("approval")) {
            self.check_approval(approval, node);
        }
        match kind {
            Kind::Check(_) | Kind::Action(_) => self.check_action(&here, &scope),
            Kind::Manual(manual) => self.check_manual(manual, here.node),
            Kind::Wait(what) => self.check_wait(what, &here, &scope),
            Kind::Options(options) => self.check_ladder(options, &here),
            Kind::Run(name) => self.check_run(name, &here, &scope),
            Kind::Approval(_) => {}
        }
    }

    fn check_kind(&mut self, here: &Indexed<'a>) -> Option<Kind<'a>> {
        if here.is_option() && here.step.action.is_none() {
            if !self.has_lost_keys(here.node) {
                self.say(
                    Code::BadOption,
                    here.node.key_span("id"),
                    format!("the option `{}` is no action", here.id()),
                )
                .hint = Some(
                    "an option has `action` and `with`; put anything else in a step of its own".to_owned(),
                );
            }
            return None;
        }
        if let Some(kind) = here.step.kind() {
            return Some(kind);
        }
        if self.has_lost_keys(here.node) {
            return None;
        }
        let named: Vec<&str> = KINDS.into_iter().filter(|kind| here.node.get(kind).is_some()).collect();
        match named.iter().filter(|kind| **kind != "approval").nth(1) {
            Some(second) => {
                let message = format!("the step `{}` has several kinds: {}", here.id(), named.join(", "));
                self.say(Code::StepKind, here.node.key_span(second), message).hint =
                    Some("make each a step of its own".to_owned());
            }
            None => {
                let message = format!("the step `{}` does nothing: it names no kind", here.id());
                self.say(Code::StepKind, here.node.key_span("id"), message).hint =
                    Some(format!("give it one of {}", KINDS.map(|kind| format!("`{kind}`")).join(", ")));
            }
        }
        None
    }

    /// Whether keys of this node were left out of the draft, so that what seems to be missing may
    /// be what was already reported.
    fn has_lost_keys(&self, node: &Node) -> bool {
        fn find(root: &Node, id: u32) -> Option<&Node> {
            if root.id == id {
                return Some(root);
            }
            let mut inner = root.items().iter().chain(root.entries().iter().map(|entry| &entry.value));
            inner.find_map(|node| find(node, id))
        }
        let whole = self.whole.and_then(|whole| find(whole, node.id));
        whole.is_some_and(|whole| whole.entries().len() > node.entries().len())
    }

    fn check_keys(&mut self, here: &Indexed<'a>, kind: Kind<'a>) {
        let kind = kind.name();
        for entry in here.node.entries() {
            let key = entry.key.as_str();
            let (wrong, hint) = if here.is_option() {
                (!OF_OPTIONS.contains(&key), "an option belongs to its ladder".to_owned())
            } else if key == "approval" {
                (!GUARDED.contains(&kind), format!("it guards {}", quoted(&GUARDED)))
            } else if let Some((_, kinds)) = SOME.iter().find(|(name, _)| *name == key) {
                (!kinds.contains(&kind), format!("it belongs to {}", quoted(kinds)))
            } else {
                (!COMMON.contains(&key) && key != kind, String::new())
            };
            if !wrong || KINDS.contains(&key) && key != "approval" {
                continue;
            }
            let what = if here.is_option() { "option".to_owned() } else { format!("`{kind}` step") };
            let code = if key == "undo" { Code::UndoMisused } else { Code::MisplacedKey };
            self.say(
                code,
                entry.key_span.clone(),
                format!("`{key}` has no place in the {what} `{}`", here.id()),
            )
            .hint = Some(hint);
        }
    }

    /// Keys that would do something only beside others.
    fn check_idle_keys(&mut self, here: &Indexed<'a>, kind: Kind<'a>) {
        let step = here.step;
        let waits_a_time = matches!(kind, Kind::Wait(what) if what.parse::<Duration>().is_ok());
        let is_check = matches!(kind, Kind::Check(_));
        let idle = [
            ("max_parallel", step.max_parallel.is_some() && step.for_each.is_none(), "`for_each`"),
            ("every", step.every.is_some() && is_check && step.until.is_none(), "`until`"),
            ("for", step.hold.is_some() && is_check && step.until.is_none(), "`until`"),
            ("every", step.every.is_some() && waits_a_time, "a condition"),
            ("for", step.hold.is_some() && waits_a_time, "a condition"),
            ("settle", step.settle.is_some() && step.until.is_none(), "`until`"),
        ];
        for (key, is_idle, without) in idle {
            if is_idle && here.node.get(key).is_some() {
                self.say(
                    Code::NoEffect,
                    here.node.key_span(key),
                    format!("`{key}` does nothing without {without}"),
                );
            }
        }
        self.check_times(here, kind);
        if step.every.is_some_and(|every| every < Duration::from_secs(1)) {
            self.say(Code::OutOfRange, here.node.value_span("every"), "`every` is shorter than a second")
                .hint = Some("looking more often than once a second helps nobody".to_owned());
        }
    }

    /// That what is waited for can come before the time is up.
    fn check_times(&mut self, here: &Indexed<'a>, kind: Kind<'a>) {
        let waits = match kind {
            Kind::Wait(what) => what.parse::<Duration>().ok().map(|length| ("wait", length)),
            _ => None,
        };
        let holds = here.step.hold.map(|hold| ("for", hold));
        let Some((key, length)) = waits.or(holds) else { return };
        for (limit, whose) in
            [(here.step.timeout, "its own `timeout`"), (self.runbook.timeout, "the runbook's `timeout`")]
        {
            if let Some(limit) = limit.filter(|limit| length >= *limit) {
                let message = format!("`{key}` takes {length}, and {whose} ends it after {limit}");
                self.say(Code::OutOfRange, here.node.value_span(key), message).hint =
                    Some("give it more time than it waits".to_owned());
            }
        }
    }

    fn check_when(&mut self, here: &Indexed<'a>, scope: &Scope<'a>) {
        let Some(node) = here.node.get("when") else { return };
        match self.check_condition(node, scope) {
            Some(false) => {
                self.say(Code::UnreachableStep, node.caret(), format!("`{}` can never run", here.id()))
                    .hint = Some("its `when` is never true; remove the step, or the condition".to_owned());
            }
            Some(true) => {
                self.say(Code::ConstantCondition, node.caret(), "this is always true").hint =
                    Some("leave `when` out".to_owned());
            }
            None => {}
        }
    }

    /// Templates outside `with`.
    fn check_texts(&mut self, here: &Indexed<'a>, scope: &Scope<'a>) {
        if let Some(title) = here.node.get("title") {
            self.check_templates(title, &scope.clone().without_item());
        }
        for key in ["approval", "manual"] {
            if let Some(prompt) = here.node.get(key).and_then(|node| node.get("prompt")) {
                self.check_templates(prompt, scope);
            }
        }
    }

    fn check_for_each(&mut self, here: &Indexed<'a>, scope: &Scope<'a>) {
        let Some(node) = here.node.get("for_each") else { return };
        self.check_templates(node, &scope.clone().without_item());
        match &node.content {
            Content::List(items) if items.len() > MAX_ITEMS => {
                let message = format!("`for_each` goes over {} items", items.len());
                self.say(Code::LoopTooLarge, here.node.key_span("for_each"), message).hint =
                    Some(format!("it takes at most {MAX_ITEMS}"));
            }
            Content::Text(text) => {
                let is_list = match self.filled(text) {
                    Some(Filled::Anything) => true,
                    Some(Filled::Type(kind)) => kind == "array",
                    None => false,
                };
                if !is_list {
                    self.say(
                        Code::WrongType,
                        node.caret(),
                        "`for_each` goes over a list, and this is none",
                    )
                    .hint = Some("write a list, or exactly one `${{ }}` that gives one".to_owned());
                }
                if here.step.max_parallel.is_none() {
                    let message = "`for_each` over an expression has no bound";
                    self.say(Code::UnboundedLoop, here.node.key_span("for_each"), message).hint =
                        Some("say with `max_parallel` how many items may run at once".to_owned());
                }
            }
            _ => {}
        }
    }

    /// `expect` and `until`.
    fn check_verdicts(&mut self, here: &Indexed<'a>, kind: Kind<'a>, scope: &Scope<'a>) {
        match kind {
            Kind::Check(action) => {
                let inside = scope.clone().with_outputs(self.catalog.specs.get(action));
                for key in ["expect", "until"] {
                    if let Some(node) = here.node.get(key) {
                        self.check_verdict(node, &inside);
                    }
                }
            }
            Kind::Options(_) => {
                let Some(node) = here.node.get("until") else { return };
                if node.text() == Some(STEADY_STATE) {
                    self.need_steady_state(node);
                    return;
                }
                self.check_verdict(node, &scope.clone().after());
            }
            _ => {}
        }
    }

    fn need_steady_state(&mut self, node: &Node) {
        if self.runbook.steady_state.is_empty() && !self.was_left_out(&["steady_state"]) {
            self.say(Code::MissingSteadyState, node.caret(), "the runbook declares no steady state").hint =
                Some("say under `steady_state` at the top what recovered means".to_owned());
        }
    }

    fn check_wait(&mut self, what: &str, here: &Indexed<'a>, scope: &Scope<'a>) {
        let Some(node) = here.node.get("wait") else { return };
        if what == STEADY_STATE {
            self.need_steady_state(node);
        } else if what.parse::<Duration>().is_ok() {
            // Nothing more to say about a length of time.
        } else if looks_like_duration(what) {
            self.say(Code::BadDuration, node.caret(), format!("`wait` cannot be `{what}`")).hint =
                Some("a length of time is written like `30s`, `5m`, `1h30m` or `2d`".to_owned());
        } else {
            self.check_verdict(node, scope);
        }
    }

    fn check_ladder(&mut self, options: &[Step], here: &Indexed<'a>) {
        if options.is_empty() {
            self.say(
                Code::BadOption,
                here.node.key_span("options"),
                format!("`{}` has no options", here.id()),
            )
            .hint = Some("name at least one action to try".to_owned());
        }
        let in_order = here.step.choose != Some(Choose::Operator);
        if in_order && here.step.until.is_none() && !self.has_lost_keys(here.node) {
            let message = format!("nothing says when an option of `{}` has helped", here.id());
            self.say(Code::MissingKey, here.node.key_span("options"), message).hint =
                Some("add `until: steady_state`, or let a person pick with `choose: operator`".to_owned());
        }
    }

    fn check_approval(&mut self, approval: &Approval, node: &Node) {
        self.check_people(&approval.from, node, "from");
        self.check_people(&approval.escalate_to, node, "escalate_to");
        self.check_count(approval, node);
        let escalates = approval.on_timeout == Some(OnTimeout::Escalate);
        if escalates && approval.escalate_to.is_empty() {
            self.escalates_to_nobody(node, "on_timeout", "escalate_to");
        }
        for (key, is_idle, without) in [
            ("escalate_to", !approval.escalate_to.is_empty() && !escalates, "`on_timeout: escalate`"),
            ("on_timeout", approval.on_timeout.is_some() && approval.timeout.is_none(), "`timeout`"),
        ] {
            if is_idle {
                self.say(
                    Code::NoEffect,
                    node.key_span(key),
                    format!("`{key}` does nothing without {without}"),
                );
            }
        }
    }

    fn check_manual(&mut self, manual: &Manual, node: &'a Node) {
        let Some(node) = node.get("manual") else { return };
        self.check_people(&manual.from, node, "from");
        if let Some(form) = node.get("form") {
            self.check_input_specs(&manual.form, form);
        }
    }

    /// Whether a step stands under `finally`.
    pub(super) fn is_final(here: &Indexed<'_>) -> bool {
        here.part == Part::Finally
    }
}

/// Whether a text is rather a mistaken length of time than an expression.
fn looks_like_duration(text: &str) -> bool {
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.'));
    is_word && text.trim_start().starts_with(|c: char| c.is_ascii_digit())
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
