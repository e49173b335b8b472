//! What a run asks people, told in full: the change before and after, where, how risky, who may say
//! yes, until when, and what to type.

use runbook_core::{
    Timestamp,
    change::Undo,
    event::{Actor, RunId},
    report,
    run::{About, Asking, Gated, Node, Question, Run, may_answer, may_approve},
    runbook::{InputType, Kind},
    secret,
    timeline::crowd,
};

use crate::cli::{
    moment,
    paint::{Paint, Tone, one_line},
};

/// The question of a step, as lines for people.
pub fn describe(
    run: &Run,
    node: &Node,
    question: &Question<'_>,
    me: &Actor,
    now: Timestamp,
    paint: Paint,
) -> String {
    let mut told = Told { lines: Vec::new(), paint };
    told.title(node);
    match question {
        Question::Approval(gated) => {
            told.change(node);
            told.field(
                "asks",
                &gated.gate.prompt,
                Tone::Plain,
                node.change.as_ref().is_none_or(|change| change.summary != gated.gate.prompt),
            );
            told.gate(run, node, gated, now);
            told.me(run, gated, me);
        }
        Question::Answer(asking) => told.asking(run, node, asking, me),
    }
    secret::mask_text(&told.lines.join("\n"))
}

/// What to type in any shell to answer.
pub fn commands(run: RunId, node: &Node, question: &Question<'_>) -> Vec<String> {
    let path = &node.path;
    match question {
        Question::Approval(_) => {
            vec![format!("runbook approve {run} {path}"), format!("runbook reject {run} {path}")]
        }
        Question::Answer(asking) => {
            let answers: &[&str] = match asking.about {
                About::Choice => &["OPTION"],
                About::Manual => &["done", "failed", "skipped"],
                About::Doubt => &["happened", "did-not-happen", "stop"],
                About::Conflict => &["proceed", "stop"],
            };
            vec![format!("runbook answer {run} {path} {}", answers.join("|"))]
        }
    }
}

struct Told {
    lines: Vec<String>,
    paint: Paint,
}

impl Told {
    fn title(&mut self, node: &Node) {
        let title = node.step().title.as_deref().unwrap_or_default();
        let mark = self.paint.tone(Tone::Attention, "?");
        let line = format!("{mark} {}  {}", self.paint.heading(&node.path), one_line(title));
        self.lines.push(line.trim_end().to_owned());
    }

    fn field(&mut self, label: &str, text: &str, tone: Tone, shown: bool) {
        if shown && !text.is_empty() {
            let text = one_line(text);
            self.lines.push(format!(
                "  {}  {}",
                self.paint.faint(format!("{label:<8}")),
                self.paint.tone(tone, text)
            ));
        }
    }

    fn change(&mut self, node: &Node) {
        let Some(change) = &node.change else { return };
        self.field("change", &change.summary, Tone::Heading, true);
        self.field("target", &change.target.name, Tone::Plain, true);
        let diff = report::diff(change);
        let diff = if self.paint.is_on() { report::paint(&diff) } else { diff };
        self.lines.extend(diff.lines().map(|line| format!("    {line}")));
        let effect = node.effect().unwrap_or(change.effect);
        let mut facts = vec![effect.to_string()];
        facts.extend(node.step().risk.map(|risk| format!("risk {}", format!("{risk:?}").to_lowercase())));
        facts.extend(node.step().eta.map(|eta| format!("about {eta}")));
        facts.extend(node.grade.map(|grade| grade.to_string()));
        facts.push(match &change.undo {
            Undo::Auto => "can be undone".to_owned(),
            Undo::None(why) => format!("cannot be undone: {why}"),
        });
        let grave = effect == runbook_core::spec::Effect::Destructive;
        self.field("effect", &facts.join(" · "), if grave { Tone::Bad } else { Tone::Plain }, true);
        for warning in &node.warnings {
            self.field("warning", warning, Tone::Attention, true);
        }
    }

    fn gate(&mut self, run: &Run, node: &Node, gated: &Gated, now: Timestamp) {
        let gate = &gated.gate;
        let mut facts = vec![format!("{} to approve", people(run, gate.count, &gate.from))];
        if !gated.granted.is_empty() {
            let given: Vec<&str> = gated.granted.iter().map(|actor| actor.name.as_str()).collect();
            facts.push(format!("given by {}", given.join(", ")));
        }
        let handed = gated.delegated.iter();
        facts.extend(handed.map(|handed| format!("{} lets {} decide", handed.from, handed.to)));
        facts.extend(gate.deadline.map(|deadline| match gated.asked_next() {
            Some(next) => format!("{}, then {next} is asked too", moment::ahead(deadline, now)),
            None => format!("{}, then it counts as no", moment::ahead(deadline, now)),
        }));
        self.field("approval", &facts.join(" · "), Tone::Plain, true);
        let denied = node.decisions.iter().filter(|decision| !decision.approved);
        for decision in denied {
            self.field("", &format!("rejected before by {}", decision.by.name), Tone::Attention, true);
        }
    }

    /// Whether the one who reads this may approve, and as what.
    fn me(&mut self, run: &Run, gated: &Gated, me: &Actor) {
        let text = match may_approve(run, gated, me) {
            Err(refused) => format!("{}, may not approve: {}", me.name, refused.message),
            Ok(()) if run.created.simulated.is_some() => {
                format!("{}, in every group of a simulated environment", me.name)
            }
            Ok(()) if run.requested_by.name == me.name => format!("{}, who asked for this run", me.name),
            Ok(()) => me.name.clone(),
        };
        self.field("you", &text, Tone::Plain, true);
    }

    fn asking(&mut self, run: &Run, node: &Node, asking: &Asking, me: &Actor) {
        if asking.about != About::Manual {
            self.change(node);
        }
        if asking.about == About::Choice {
            self.lines.push("  which option?".to_owned());
            self.options(run, node);
        } else {
            self.lines.extend(asking.prompt.lines().map(|line| format!("  {}", one_line(line))));
        }
        if let Some(Kind::Manual(manual)) = node.kind() {
            for (name, input) in &manual.form {
                let described = input.description.as_deref().or(input.title.as_deref()).unwrap_or_default();
                self.field(
                    "asks",
                    &format!("{name} ({}) {described}", type_word(input.kind)),
                    Tone::Plain,
                    true,
                );
            }
        }
        let answers = match asking.about {
            About::Choice => "",
            About::Manual => "done, failed or skipped",
            About::Doubt => "happened, did-not-happen or stop",
            About::Conflict => "proceed (over what someone else did) or stop",
        };
        self.field("answers", answers, Tone::Plain, true);
        self.field("from", &people(run, 1, &asking.from), Tone::Plain, !asking.from.is_empty());
        if let Err(refused) = may_answer(run, &asking.from, me) {
            self.field("you", &format!("may not answer: {}", refused.message), Tone::Plain, true);
        }
    }

    fn options(&mut self, run: &Run, node: &Node) {
        for (number, option) in report::options(run, &node.path).iter().enumerate() {
            let step = option.step();
            let risk = step.risk.map(|risk| format!("risk {}", format!("{risk:?}").to_lowercase()));
            let eta = step.eta.map(|eta| format!("about {eta}"));
            let facts: Vec<String> = risk.into_iter().chain(eta).collect();
            let line = format!(
                "  {} {}  {}  {}",
                number + 1,
                step.id,
                one_line(step.label()),
                self.paint.faint(facts.join(" · "))
            );
            self.lines.push(line.trim_end().to_owned());
        }
    }
}

/// Who may say something, groups with their members: `1 of sre-oncall (alice, bob)`.
fn people(run: &Run, count: u32, from: &[String]) -> String {
    let named: Vec<String> = from
        .iter()
        .map(|name| match run.created.policy.groups.get(name) {
            Some(members) => format!("{name} ({})", members.join(", ")),
            None => name.clone(),
        })
        .collect();
    crowd(count, &named)
}

/// The word for a type, as the runbook has it.
pub fn type_word(kind: InputType) -> &'static str {
    match kind {
        InputType::String => "string",
        InputType::Integer => "integer",
        InputType::Number => "number",
        InputType::Boolean => "boolean",
        InputType::Array => "array",
        InputType::Object => "object",
    }
}
