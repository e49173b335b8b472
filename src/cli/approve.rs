//! `runbook approve`: approve what a run asks.

use runbook_core::run::{Gated, Input, Node, Question};
use url::Url;

use crate::{
    cli::{
        App, ask,
        elsewhere::{self, Said},
        said::{Speaker, Wanted},
    },
    exit::{CliError, Exit},
    remote,
};

/// Approve what a run asks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook approve latest
  runbook approve run_01k9f3 mitigate.rollback --comment 'seen in staging'
  runbook approve latest --confirm api        # a destructive change, without a terminal
  runbook approve latest --delegate-to erin   # erin may decide in your place
  runbook approve latest --server https://runbook.example.com
  runbook approve latest --break-glass --comment 'nobody else can be reached'

The change is shown before the question. An approval binds to that very change: if the world moves,
it is void and asked for again.")]
pub struct Args {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,
    /// The step; the only one that asks, where it is left out
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// For the timeline
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Approve only this very change
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// The name of the target of a destructive change
    #[arg(long, value_name = "TARGET")]
    confirm: Option<String>,
    /// Approve alone, whatever the gate asks, in an emergency; --comment has to say why, and it
    /// stands out in the timeline
    #[arg(long, requires = "comment", conflicts_with = "delegate_to")]
    break_glass: bool,
    /// Let someone else decide in your place
    #[arg(long, value_name = "PERSON", conflicts_with_all = ["digest", "confirm", "yes"])]
    delegate_to: Option<String>,
    /// Do not ask again
    #[arg(short, long)]
    yes: bool,
    /// At a server on another machine, as whoever has signed in there
    #[arg(long, value_name = "URL", value_parser = remote::address, conflicts_with = "delegate_to")]
    server: Option<Url>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    if let Some(server) = &args.server {
        let Args { comment, digest, confirm, break_glass, yes, .. } = args;
        let said = Said { comment, digest, confirm, break_glass, yes };
        return elsewhere::approve(server, &args.run, args.step.as_deref(), said, app).await;
    }
    let speaker = Speaker::of(app, &args.run).await?;
    let (node, question) = speaker.question(args.step.as_deref(), Wanted::Approval)?;
    let Question::Approval(gated) = &question else {
        return Err(CliError::failed("an approval was looked for and something else found"));
    };
    expect_digest(&args, gated)?;
    let step = Some(node.path.as_str());
    if let Some(to) = args.delegate_to {
        let said = format!("handed to {to}");
        let input = Input::Delegate { step: node.path.clone(), to, comment: args.comment };
        return speaker.say(app, step, input, &said).await;
    }
    let given = args.yes || args.confirm.is_some() || args.break_glass;
    if app.terminal.can_ask && !given {
        return match speaker.converse(app, node, &question).await? {
            Some(input) => {
                let word = if matches!(input, Input::Approve { .. }) { "approved" } else { "rejected" };
                speaker.say(app, step, with_comment(input, args.comment), word).await
            }
            None => {
                app.insist("left open");
                Ok(Exit::Waiting)
            }
        };
    }
    expect_confirmation(&args, node)?;
    app.say(&format!("{}\n", speaker.describe(app, node, &question)));
    let word = if args.break_glass { "approved alone (break-glass)" } else { "approved" };
    let input = Input::Approve {
        step: node.path.clone(),
        digest: gated.gate.digest.clone(),
        comment: args.comment,
        break_glass: args.break_glass,
    };
    speaker.say(app, step, input, word).await
}

/// What is asked may have changed since the person looked at it.
fn expect_digest(args: &Args, gated: &Gated) -> Result<(), CliError> {
    let bare = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    match &args.digest {
        Some(digest) if bare(digest) != bare(&gated.gate.digest) => Err(CliError::new(
            Exit::Stale,
            format!("the run asks about another change by now: {}", gated.gate.digest),
        )
        .hint("look at it again with `runbook approvals`")),
        _ => Ok(()),
    }
}

fn expect_confirmation(args: &Args, node: &Node) -> Result<(), CliError> {
    let Some(name) = ask::confirmation(node) else { return Ok(()) };
    let whole = node.change.as_ref().map(|change| change.target.name.as_str());
    match args.confirm.as_deref() {
        Some(typed) if typed == name || Some(typed) == whole => Ok(()),
        Some(typed) => {
            Err(CliError::invalid(format!("the change is destructive, and its target is not `{typed}`"))
                .hint(format!("it is {}", whole.unwrap_or(&name))))
        }
        None => Err(CliError::invalid("the change is destructive: its target has to be named")
            .hint(format!("--confirm {name}"))),
    }
}

fn with_comment(input: Input, given: Option<String>) -> Input {
    match input {
        Input::Approve { step, digest, comment, break_glass } => {
            Input::Approve { step, digest, comment: comment.or(given), break_glass }
        }
        Input::Reject { step, comment } => Input::Reject { step, comment: comment.or(given) },
        other => other,
    }
}
