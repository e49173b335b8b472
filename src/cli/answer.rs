//! `runbook answer`: answer a choice, a manual step or a question in doubt.

use runbook_core::{
    Value,
    event::Answer,
    inputs,
    run::{About, Asking, Input, Node, Question},
    runbook::Kind,
};
use serde_json::Map;

use crate::{
    cli::{
        App,
        said::{Speaker, Wanted},
    },
    exit::{CliError, Exit},
};

/// Answer a choice, a manual step or a question in doubt.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook answer latest mitigate scale                    # which option to take
  runbook answer latest failover done replica=db-2        # a manual step, with its form
  runbook answer latest failover failed --comment 'no quorum'
  runbook answer latest mitigate.rollback happened        # or did-not-happen, or stop
  runbook answer latest mitigate.scale~undo proceed       # or stop

Without a value the question is asked on the terminal.")]
pub struct Args {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,
    /// The step that asks
    #[arg(value_name = "STEP")]
    step: String,
    /// The answer
    #[arg(value_name = "VALUE")]
    values: Vec<String>,
    /// For the timeline
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let speaker = Speaker::of(app, &args.run).await?;
    let (node, question) = speaker.question(Some(&args.step), Wanted::Answer)?;
    let Question::Answer(asking) = &question else {
        return Err(CliError::failed("an answer was looked for and something else found"));
    };
    let step = node.path.clone();
    let input = match args.values.split_first() {
        Some((word, rest)) => {
            Input::Answer { step: step.clone(), answer: answer(node, asking, word, rest, args.comment)? }
        }
        None if app.terminal.can_ask => match speaker.converse(app, node, &question).await? {
            Some(input) => input,
            None => {
                app.insist("left open");
                return Ok(Exit::Waiting);
            }
        },
        None => {
            return Err(CliError::invalid(format!("`{step}` asks: {}", asking.prompt))
                .hint(format!("answer with {}", asking.about.words())));
        }
    };
    speaker.say(app, Some(step.as_str()), input, "answered").await
}

fn answer(
    node: &Node,
    asking: &Asking,
    word: &str,
    rest: &[String],
    comment: Option<String>,
) -> Result<Answer, CliError> {
    let unfit = || {
        CliError::invalid(format!("`{word}` does not answer what `{}` asks", node.path))
            .hint(format!("answer with {}", asking.about.words()))
    };
    let takes_values = asking.about == About::Manual && word == "done";
    if let (false, Some(more)) = (takes_values, rest.first()) {
        return Err(CliError::invalid(format!("`{more}` is one word too many"))
            .hint("a comment goes after --comment"));
    }
    let values = if takes_values { form(node, rest)? } else { Value::Null };
    asking.about.answer(word, values, comment).ok_or_else(unfit)
}

/// The values of a manual step's form, each by its declared type.
fn form(node: &Node, given: &[String]) -> Result<Value, CliError> {
    let Some(Kind::Manual(manual)) = node.kind() else { return Ok(Value::Null) };
    let mut values = Map::new();
    for text in given {
        let (name, text) = text.split_once('=').ok_or_else(|| {
            CliError::invalid(format!("`{text}` is no value of the form")).hint("write it like KEY=VALUE")
        })?;
        let value = match manual.form.get(name) {
            Some(spec) => inputs::from_text(name, spec, text).map_err(|problem| CliError {
                hint: problem.hint.clone(),
                ..CliError::invalid(problem.to_string())
            })?,
            // The run says that the form has no such field.
            None => Value::from(text),
        };
        values.insert(name.to_owned(), value);
    }
    Ok(Value::Object(values))
}
