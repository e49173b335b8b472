//! The parts of a runbook's description, for people.

use runbook_core::runbook::{Input, OnEnd, Trigger};
use serde_json::Value;

use super::Described;
use crate::cli::{
    fields::{kind, plain},
    outline::Line,
    paint::{Paint, of_effect, one_line},
    table::{Cell, Table},
};

impl Described<'_> {
    /// The whole description; the permissions only where `whole`.
    pub fn text(&self, paint: Paint, whole: bool) -> String {
        let runbook = self.runbook;
        let mut out = paint.heading(&runbook.name);
        if let Some(title) = &runbook.title {
            out.push_str(&format!("  {}", one_line(title)));
        }
        out.push('\n');
        if let Some(summary) = &runbook.summary {
            out.push_str(&format!("{}\n", one_line(summary)));
        }
        out.push('\n');
        for (label, words) in self.facts() {
            out.push_str(&format!("{}  {words}\n", paint.faint(format!("{label:<10}"))));
        }
        let mut section = |title: &str, body: String| {
            if !body.is_empty() {
                out.push_str(&format!("\n{}\n{body}", paint.heading(title)));
            }
        };
        section("inputs", self.inputs(paint));
        section("steady state", self.steady_state(paint));
        section("steps", self.steps(paint));
        section(
            "triggers",
            runbook.triggers.iter().map(|trigger| format!("  {}\n", told(trigger))).collect(),
        );
        if whole {
            section("permissions", self.needs());
        }
        section("try it", format!("  runbook run {}{} --dry-run\n", runbook.name, self.required_inputs()));
        out
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let runbook = self.runbook;
        let named = |pairs: &indexmap::IndexMap<String, String>| {
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
        };
        let on_end = |end: OnEnd| (end == OnEnd::Undo).then(|| "what was changed is taken back".to_owned());
        let rto = runbook.objective.as_ref().and_then(|objective| objective.rto);
        let escalation = runbook.escalation.as_ref();
        let limit = runbook.limits.as_ref().and_then(|limits| limits.max_mutations);
        let facts = [
            ("severity", runbook.severity.clone()),
            ("owners", Some(runbook.owners.join(", "))),
            ("symptoms", Some(runbook.symptoms.join("; "))),
            ("impact", runbook.impact.clone()),
            ("objective", rto.map(|rto| format!("recovered within {rto}"))),
            ("effect", Some(self.outline.effect().to_string())),
            ("time limit", runbook.timeout.map(|timeout| timeout.to_string())),
            ("changes", limit.map(|limit| format!("{limit} at most"))),
            ("on failure", on_end(runbook.on_failure)),
            ("on cancel", on_end(runbook.on_cancel)),
            ("escalation", escalation.map(|next| format!("after {} to {}", next.after, next.to.join(", ")))),
            ("secrets", Some(runbook.secrets.join(", "))),
            ("related", Some(runbook.related.join(", "))),
            ("labels", Some(named(&runbook.labels))),
            ("links", Some(named(&runbook.links))),
            ("file", Some(self.file.clone())),
        ];
        let told = |(label, words): (&'static str, Option<String>)| Some((label, one_line(&words?)));
        facts.into_iter().filter_map(told).filter(|(_, words)| !words.is_empty()).collect()
    }

    fn inputs(&self, paint: Paint) -> String {
        if self.runbook.inputs.is_empty() {
            return String::new();
        }
        let mut table = Table::new(["input", "type", "default", "meaning"]);
        for (name, input) in &self.runbook.inputs {
            let default = input.default.as_ref().map_or_else(|| "required".to_owned(), plain);
            let meaning = input.description.as_deref().or(input.title.as_deref()).unwrap_or_default();
            table.row([name.into(), type_of(input).into(), default.into(), meaning.into()]);
        }
        table.indented("  ", paint)
    }

    fn steady_state(&self, paint: Paint) -> String {
        if self.runbook.steady_state.is_empty() {
            return String::new();
        }
        let mut table = Table::new(["id", "check", "holds when"]);
        for check in &self.runbook.steady_state {
            table.row([&check.id, &check.check, &check.expect].map(Cell::from));
        }
        table.indented("  ", paint)
    }

    fn steps(&self, paint: Paint) -> String {
        let mut table = Table::new([
            "step", "kind", "does", "effect", "approval", "risk", "eta", "undo", "retry", "when",
        ]);
        for line in &self.outline.lines {
            table.row(cells(line));
        }
        table.without_empty_columns().indented("  ", paint)
    }

    fn needs(&self) -> String {
        let mut lines = self.permissions.role().unwrap_or_default();
        for line in self.permissions.iam().chain(self.permissions.other()) {
            lines.push_str(&format!("{line}\n"));
        }
        lines.lines().map(|line| format!("  {line}\n")).collect()
    }

    /// The inputs that must be given, as they are typed.
    fn required_inputs(&self) -> String {
        let required = self.runbook.inputs.iter().filter(|(_, input)| input.default.is_none());
        required.map(|(name, _)| format!(" -i {name}=…")).collect()
    }
}

fn cells(line: &Line<'_>) -> [Cell; 10] {
    let margin = if line.ladder.is_some() { "- " } else { "" };
    let effect = line.effect.map(|effect| effect.to_string()).unwrap_or_default();
    [
        format!("{margin}{}", line.step.id).into(),
        line.kind().into(),
        cut(&line.does()).into(),
        Cell::new(of_effect(&effect), &effect),
        line.gate().unwrap_or_default().into(),
        line.risk().into(),
        line.eta().into(),
        line.undo().into(),
        line.retry().into(),
        cut(&line.when()).into(),
    ]
}

/// Prompts may be whole paragraphs.
fn cut(text: &str) -> String {
    const WIDEST: usize = 60;
    let text = one_line(text);
    match text.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// An input is written in the words of JSON Schema.
fn type_of(input: &Input) -> String {
    kind(&serde_json::to_value(input).unwrap_or(Value::Null))
}

fn told(trigger: &Trigger) -> String {
    let source = format!("{:?}", trigger.source).to_lowercase();
    let when = trigger.when.as_ref().map(|when| format!("when {when}"));
    let group = Some(&trigger.group_by).filter(|group| !group.is_empty());
    let group = group.map(|group| format!("one run at a time per {}", group.join(", ")));
    let once = trigger.once_within.map(|length| format!("once within {length}"));
    let most = trigger.max_runs.as_ref().map(|most| format!("at most {} within {}", most.count, most.within));
    let hold = trigger.hold.map(|length| format!("unless it resolves within {length}"));
    let parts = [Some(source), when, group, once, most, hold];
    one_line(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}
