//! How a run ended, told once: the JSON document or a summary on stdout, what can be done next on
//! stderr, and the exit code.

use runbook_core::{
    duration::Duration,
    event::{EndStatus, StepStatus},
    fault::FaultKind,
    report,
    run::{Node, Phase, Run, end_word},
    secret,
};

use crate::{
    cli::{
        App,
        live::{Watched, length},
        paint::{Paint, of_status, one_line},
        question,
    },
    exit::Exit,
};

/// What the command was for, which decides what counts as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Run,
    /// Taking the changes of an ended run back: undone is what was asked for.
    Undo,
    /// Stopping it: cancelled is what was asked for.
    Cancel,
}

/// Tells the end of a watched run.
pub fn tell(app: &App, watched: &Watched, writes_sent: u64, purpose: Purpose) -> Exit {
    let run = &watched.run;
    if app.is_json() {
        app.print(&format!("{:#}\n", report::document(run, writes_sent)));
    } else if run.is_dry() {
        let text = report::text(run, app.terminal.colour && app.terminal.stdout);
        app.print(&app.fitted(&text, app.terminal.stdout));
    } else if run.ended.is_some() {
        app.print(&app.fitted(&summary(run, Paint::stdout(app)), app.terminal.stdout));
    }
    if watched.left {
        app.insist(&format!(
            "left as it is; go on with it, or end it:\n  runbook resume {0}\n  runbook cancel {0}",
            run.id
        ));
        return Exit::Cancelled;
    }
    if !run.is_dry() {
        next_steps(app, run);
    }
    code(run, purpose)
}

/// The exit code of a run. The codes are an API.
pub fn code(run: &Run, purpose: Purpose) -> Exit {
    let Some(ended) = &run.ended else { return Exit::Waiting };
    match ended.status {
        EndStatus::Succeeded | EndStatus::Complete => Exit::Success,
        EndStatus::Undone if purpose == Purpose::Undo => Exit::Success,
        EndStatus::Cancelled if purpose == Purpose::Cancel => Exit::Success,
        EndStatus::Undone => Exit::Undone,
        EndStatus::Stuck => Exit::Stuck,
        EndStatus::Cancelled => Exit::Cancelled,
        EndStatus::Failed | EndStatus::Superseded => failure(run),
    }
}

fn failure(run: &Run) -> Exit {
    match run.decisive_fault().map(|fault| fault.kind) {
        Some(FaultKind::Stale) => Exit::Stale,
        Some(FaultKind::Forbidden) if run.mutations == 0 => Exit::NotPermitted,
        Some(FaultKind::Denied) if run.mutations == 0 && !was_asked(run) => Exit::NotPermitted,
        _ => Exit::Failed,
    }
}

/// Whether it was people who said no, or nobody, rather than a limit.
fn was_asked(run: &Run) -> bool {
    let fault = run.decisive_fault();
    run.nodes()
        .filter(|node| matches!(node.phase, Phase::Ended(StepStatus::Failed)) && node.fault.as_ref() == fault)
        .any(|node| node.gate.is_some())
}

fn summary(run: &Run, paint: Paint) -> String {
    let Some(ended) = &run.ended else { return String::new() };
    let word = end_word(ended.status);
    let recovered = match run.recovered() {
        Some(true) => ", recovery verified",
        Some(false) => ", not recovered",
        None => "",
    };
    let simulated = if run.created.simulated.is_some() { " (simulated)" } else { "" };
    let took = length(Duration::between(run.started_at, ended.at));
    let mut text = format!("\n{}{recovered} in {took}{simulated}", paint.tone(of_status(word), word));
    if let Some(reason) = &ended.reason {
        text.push_str(&format!(": {}", one_line(reason)));
    }
    text.push('\n');
    for node in changes(run) {
        if let Some(change) = &node.change {
            let state = if node.landed { "" } else { "  (taken back)" };
            text.push_str(&format!(
                "  {}  {}  on {}{state}\n",
                node.path,
                one_line(&change.summary),
                change.target
            ));
        }
    }
    if changes(run).next().is_none() {
        text.push_str("  nothing was changed\n");
    }
    secret::mask_text(&text)
}

/// The changes that took effect at some time, in their order.
fn changes(run: &Run) -> impl Iterator<Item = &Node> {
    run.applied.iter().filter_map(|path| run.node(path))
}

fn next_steps(app: &App, run: &Run) {
    let id = run.id;
    if run.ended.is_none() {
        waiting(app, run);
        return;
    }
    if let Some(fault) = run.decisive_fault()
        && let Some(hint) = &fault.hint
    {
        app.say(&format!("hint: {}", secret::mask_text(hint)));
    }
    app.say(&format!("timeline: runbook timeline {id}"));
    if run.nodes().any(|node| node.landed) {
        app.say(&format!("take it back: runbook undo {id}"));
    }
    if let Some(scenario) = &run.created.simulated {
        app.say(&format!(
            "the simulated world stays as it is now; set it back: runbook world {scenario} --reset"
        ));
    }
}

/// What has to be said by whom before a detached run goes on.
fn waiting(app: &App, run: &Run) {
    let now = runbook_core::Timestamp::now();
    let me = crate::person::at_the_terminal();
    for (node, asked) in run.questions() {
        let told = question::describe(
            run,
            node,
            &asked,
            &me,
            now,
            Paint::new(app.terminal.colour && app.terminal.stderr),
        );
        let told = app.fitted(&told, app.terminal.stderr);
        let commands = question::commands(run.id, node, &asked).join("\n  ");
        app.insist(&format!("{told}\n\nanswer, then go on:\n  {commands}\n  runbook resume {}\n", run.id));
    }
}
