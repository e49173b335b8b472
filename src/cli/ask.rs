//! One question to the person at the terminal, as a small conversation: what is asked, and what a
//! line that they typed means. Pure, so that the live tree and the verbs share it.

use indexmap::IndexMap;
use runbook_core::{
    Value,
    event::{Actor, Answer},
    inputs, report,
    run::{About, Gated, Input, Node, Question, Rejected, Run, may_answer, may_approve},
    runbook::{self, Kind},
    spec::Effect,
};
use serde_json::Map;

use crate::cli::question;

/// A conversation about one open question.
#[derive(Debug)]
pub struct Ask {
    pub step: String,
    /// Tells this question from a later one of the same step.
    pub key: String,
    about: Subject,
}

#[derive(Debug)]
enum Subject {
    Approval { digest: String, typed: Option<String> },
    Choice { options: Vec<String> },
    Manual(Manual),
    Doubt,
    Conflict,
}

/// A manual step: done, failed or skipped, and after `done` the fields of its form.
#[derive(Debug, Default)]
struct Manual {
    form: IndexMap<String, runbook::Input>,
    values: Map<String, Value>,
    done: bool,
    comment: Option<String>,
}

/// What a typed line means.
#[derive(Debug)]
pub enum Heard {
    /// To be said to the run.
    Say(Box<Input>),
    /// It makes no sense; why.
    Again(String),
    /// There is more to ask.
    More,
}

impl Heard {
    fn say(input: Input) -> Self {
        Self::Say(Box::new(input))
    }
}

impl Ask {
    /// The conversation about a question, if this person may take part in it.
    pub fn of(run: &Run, node: &Node, question: &Question<'_>, me: &Actor) -> Result<Self, Rejected> {
        let (key, about) = match question {
            Question::Approval(gated) => {
                may_approve(run, gated, me)?;
                (gated.gate.digest.clone(), approval(node, gated))
            }
            Question::Answer(asking) => {
                may_answer(run, &asking.from, me)?;
                let key = format!("{:?}/{}/{}", asking.about, node.attempt, asking.prompt);
                (key, subject(run, node, asking.about))
            }
        };
        Ok(Self { step: node.path.clone(), key, about })
    }

    /// Whether this is still what the step asks.
    pub fn is_open(&self, run: &Run) -> bool {
        run.questions().any(|(node, question)| {
            node.path == self.step
                && match question {
                    Question::Approval(gated) => gated.gate.digest == self.key,
                    Question::Answer(asking) => {
                        self.key == format!("{:?}/{}/{}", asking.about, node.attempt, asking.prompt)
                    }
                }
        })
    }

    /// The line before the cursor.
    pub fn prompt(&self) -> String {
        match &self.about {
            Subject::Approval { typed: None, .. } => "approve? [y/N] ".to_owned(),
            Subject::Approval { typed: Some(name), .. } => {
                format!("destructive: type `{name}` to approve, `n` to reject: ")
            }
            Subject::Choice { options } => format!("option [1-{}]: ", options.len()),
            Subject::Manual(manual) => match manual.next_field().filter(|_| manual.done) {
                Some((name, input)) => field_prompt(name, input),
                None => "done, failed or skipped: ".to_owned(),
            },
            Subject::Doubt => "did it happen? [happened, did-not-happen, stop] ".to_owned(),
            Subject::Conflict => "take it back all the same? [proceed, stop] ".to_owned(),
        }
    }

    /// Takes a typed line. What follows the first word is kept as a comment.
    pub fn hear(&mut self, line: &str) -> Heard {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let comment = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
        let step = self.step.clone();
        match &mut self.about {
            Subject::Approval { digest, typed } => {
                hear_approval(step, digest, typed.as_deref(), &word.to_lowercase(), line, comment)
            }
            Subject::Choice { options } => hear_choice(step, options, word),
            Subject::Manual(manual) if manual.done => manual.hear_field(step, line),
            Subject::Manual(manual) => manual.hear_word(step, &word.to_lowercase(), comment),
            Subject::Doubt | Subject::Conflict => {
                match About::Doubt.answer(&word.to_lowercase(), Value::Null, None) {
                    Some(answer) => Heard::say(Input::Answer { step, answer }),
                    None => Heard::Again("please answer with one of the words".to_owned()),
                }
            }
        }
    }
}

/// What has to be typed before a destructive change: the target's short name, or its whole one
/// where the short one could be taken for an answer.
pub fn confirmation(node: &Node) -> Option<String> {
    let change = node.change.as_ref()?;
    if node.effect().unwrap_or(change.effect) != Effect::Destructive {
        return None;
    }
    let short = change.target.short();
    let is_answer = matches!(short.to_lowercase().as_str(), "" | "y" | "n" | "yes" | "no");
    Some(if is_answer { change.target.name.clone() } else { short.to_owned() })
}

fn approval(node: &Node, gated: &Gated) -> Subject {
    Subject::Approval { digest: gated.gate.digest.clone(), typed: confirmation(node) }
}

fn subject(run: &Run, node: &Node, about: About) -> Subject {
    match about {
        About::Choice => {
            let open = report::options(run, &node.path);
            Subject::Choice { options: open.iter().map(|option| option.step().id.clone()).collect() }
        }
        About::Manual => {
            let form = match node.kind() {
                Some(Kind::Manual(manual)) => manual.form.clone(),
                _ => IndexMap::new(),
            };
            Subject::Manual(Manual { form, ..Manual::default() })
        }
        About::Doubt => Subject::Doubt,
        About::Conflict => Subject::Conflict,
    }
}

fn hear_approval(
    step: String,
    digest: &str,
    typed: Option<&str>,
    word: &str,
    line: &str,
    comment: Option<String>,
) -> Heard {
    if let Some(name) = typed {
        return match word {
            _ if line == name => Heard::say(approval_of(step, digest, None)),
            "n" | "no" => Heard::say(Input::Reject { step, comment }),
            _ => Heard::Again(format!("that is not `{name}`")),
        };
    }
    match word {
        "y" | "yes" => Heard::say(approval_of(step, digest, comment)),
        "" | "n" | "no" => Heard::say(Input::Reject { step, comment }),
        _ => Heard::Again("please answer y or n; a comment may follow".to_owned()),
    }
}

fn approval_of(step: String, digest: &str, comment: Option<String>) -> Input {
    Input::Approve { step, digest: digest.to_owned(), comment, break_glass: false }
}

fn hear_choice(step: String, options: &[String], word: &str) -> Heard {
    let numbered = word.parse::<usize>().ok().and_then(|number| options.get(number.checked_sub(1)?));
    match numbered.or_else(|| options.iter().find(|option| *option == word)) {
        Some(option) => Heard::say(Input::Answer { step, answer: Answer::Option(option.clone()) }),
        None => Heard::Again(format!("choose one of: {}", options.join(", "))),
    }
}

impl Manual {
    fn hear_word(&mut self, step: String, word: &str, comment: Option<String>) -> Heard {
        match word {
            "done" => {
                self.done = true;
                self.comment = comment;
                self.more_or_done(step)
            }
            "failed" => Heard::say(Input::Answer { step, answer: Answer::ManualFailed { comment } }),
            "skipped" => Heard::say(Input::Answer { step, answer: Answer::ManualSkipped { comment } }),
            _ => Heard::Again("please answer done, failed or skipped; a comment may follow".to_owned()),
        }
    }

    fn hear_field(&mut self, step: String, line: &str) -> Heard {
        if let Some((name, input)) = self.next_field() {
            let name = name.to_owned();
            match field_value(&name, input, line) {
                Ok(value) => drop(self.values.insert(name, value)),
                Err(why) => return Heard::Again(why),
            }
        }
        self.more_or_done(step)
    }

    fn more_or_done(&mut self, step: String) -> Heard {
        if self.next_field().is_some() {
            return Heard::More;
        }
        // An empty line stands for the default, which the core fills in.
        let given = std::mem::take(&mut self.values).into_iter().filter(|(_, value)| !value.is_null());
        let values = Value::Object(given.collect());
        Heard::say(Input::Answer { step, answer: Answer::Done { values, comment: self.comment.take() } })
    }

    fn next_field(&self) -> Option<(&str, &runbook::Input)> {
        let next = self.form.iter().find(|(name, _)| !self.values.contains_key(*name));
        next.map(|(name, input)| (name.as_str(), input))
    }
}

fn field_value(name: &str, input: &runbook::Input, line: &str) -> Result<Value, String> {
    if line.is_empty() && input.default.is_some() {
        return Ok(Value::Null);
    }
    inputs::from_text(name, input, line).map_err(|problem| match problem.hint {
        Some(hint) => format!("{} {} ({hint})", problem.input, problem.message),
        None => format!("{} {}", problem.input, problem.message),
    })
}

fn field_prompt(name: &str, input: &runbook::Input) -> String {
    let kind = question::type_word(input.kind);
    match &input.default {
        Some(default) => format!("{name} ({kind}, else {default}): "),
        None => format!("{name} ({kind}): "),
    }
}
