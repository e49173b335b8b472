//! `runbook approvals`: list what people are asked.

use runbook_core::{
    Timestamp, report,
    run::{Gated, Node, Question, Run},
    secret,
    timeline::crowd,
};
use serde_json::Value;
use url::Url;

use crate::{
    cli::{
        App, elsewhere, moment,
        paint::{Paint, Tone, of_effect, one_line},
        question, reading, run_id,
        runs::environment,
    },
    exit::{CliError, Exit},
    person, remote,
};

/// List what is open: gates, choices, manual steps, questions in doubt.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook approvals           everywhere
  runbook approvals -v        with the changes that would be made
  runbook approvals latest    of one run
  runbook approvals --server https://runbook.example.com")]
pub struct Args {
    /// Only those of a run: its id, the beginning of its id, or `latest`
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// At a server on another machine, as whoever has signed in there
    #[arg(long, value_name = "URL", value_parser = remote::address)]
    server: Option<Url>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    if let Some(server) = &args.server {
        return elsewhere::list(server, args.run.as_deref(), app).await;
    }
    let engine = reading::engine(app).await?;
    let runs = match &args.run {
        Some(text) => vec![engine.shared(run_id::resolve(&engine, text).await?).await?],
        None => engine.asking(app.global.env.as_deref(), |_| true).await?,
    };
    let open = || {
        runs.iter().flat_map(|run| run.questions().map(move |(node, question)| Open { run, node, question }))
    };
    if app.is_json() {
        let documents: Value =
            open().map(|open| report::question(open.run, open.node, &open.question)).collect();
        app.print(&format!("{documents:#}\n"));
        return Ok(Exit::Success);
    }
    if open().next().is_none() {
        app.say("nothing is open: nobody is asked anything");
        return Ok(Exit::Success);
    }
    let (now, paint) = (Timestamp::now(), Paint::stdout(app));
    let told: Vec<String> = open().map(|open| open.text(now, paint, app.global.verbose > 0)).collect();
    app.print(&told.join("\n"));
    Ok(Exit::Success)
}

/// One open question.
#[derive(Debug)]
struct Open<'a> {
    run: &'a Run,
    node: &'a Node,
    question: Question<'a>,
}

impl Open<'_> {
    fn text(&self, now: Timestamp, paint: Paint, whole: bool) -> String {
        let (run, node) = (self.run, self.node);
        let mut out = format!(
            "{}  {} in {}, started {} by {}\n",
            paint.heading(run.id),
            run.created.runbook.name,
            environment(&run.created.environment, run.created.simulated.is_some()),
            moment::ago(run.started_at, now),
            run.requested_by.name,
        );
        if whole {
            let me = person::at_the_terminal();
            let told = question::describe(run, node, &self.question, &me, now, paint);
            out.extend(told.lines().map(|line| format!("  {line}\n")));
        } else {
            let head = format!(
                "{}  {}: {}",
                node.path,
                report::question_kind(&self.question),
                one_line(report::prompt(&self.question))
            );
            out.push_str(&format!("  {}\n", paint.tone(Tone::Attention, head)));
            for (label, words) in self.facts(now, paint) {
                out.push_str(&format!("    {}  {words}\n", paint.faint(format!("{label:<8}"))));
            }
        }
        for command in question::commands(run.id, node, &self.question) {
            out.push_str(&format!("    {}  {command}\n", paint.faint(format!("{:<8}", "answer"))));
        }
        secret::mask_text(&out)
    }

    fn facts(&self, now: Timestamp, paint: Paint) -> Vec<(&'static str, String)> {
        let node = self.node;
        let mut facts = Vec::new();
        match &self.question {
            Question::Approval(gated) => {
                let who = crowd(gated.gate.count, report::asked(&self.question));
                facts.push(("who", format!("{who} ({} so far)", gated.granted.len())));
                facts.extend(deadline(gated, now).map(|words| ("until", words)));
            }
            Question::Answer(_) => facts.push(("who", crowd(1, report::asked(&self.question)))),
        }
        let options = report::options_of(self.run, self.node, &self.question);
        if !options.is_empty() {
            facts.push(("options", options.join(", ")));
        }
        if let Some(change) = &node.change {
            facts.push(("target", change.target.to_string()));
            if change.summary != report::prompt(&self.question) {
                facts.push(("change", one_line(&change.summary)));
            }
        }
        let risk = self.risk(paint);
        if !risk.is_empty() {
            facts.push(("risk", risk));
        }
        facts.extend(node.warnings.iter().map(|warning| ("warning", one_line(warning))));
        facts
    }

    /// `medium, destructive, about 5m`.
    fn risk(&self, paint: Paint) -> String {
        let step = self.node.step();
        let effect = self.node.effect().map(|effect| effect.to_string());
        let words = [
            step.risk.map(|risk| format!("{risk:?}").to_lowercase()),
            effect.map(|effect| paint.tone(of_effect(&effect), &effect)),
            step.eta.map(|eta| format!("about {eta}")),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// When the time to answer is over, and what comes then.
fn deadline(gated: &Gated, now: Timestamp) -> Option<String> {
    let deadline = gated.gate.deadline?;
    let then = match gated.asked_next() {
        Some(next) => format!("then {next} is asked too"),
        None => "then it is a no".to_owned(),
    };
    Some(format!("{} ({}), {then}", moment::ahead(deadline, now), deadline.strftime("%H:%M:%S UTC")))
}
