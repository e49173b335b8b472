//! The run as a tree of steps, cut to what a terminal has room for: what is at work is always shown,
//! what is over or still to come is folded where there is no room for it.

use std::collections::BTreeSet;

use runbook_core::{
    Timestamp,
    change::brief,
    duration::Duration,
    event::{SteadyReading, StepStatus},
    report::{self, Row},
    run::{Asking, ClimbStep, Gated, Node, Phase, Role, Run, Soak},
    secret,
    timeline::crowd,
};

use super::screen::Line;
use crate::cli::{
    moment,
    paint::{Tone, of_status, one_line},
};

/// A tree is drawn for a moment and a size.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub now: Timestamp,
    /// Counts up, to show that the process is alive.
    pub tick: usize,
    pub columns: usize,
    /// How many lines there may be.
    pub rows: usize,
}

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// The widest column of names.
const WIDEST_NAME: usize = 28;
/// Fewer lines than this would tell nothing.
const FEWEST: usize = 4;

/// What the run is, and where; with how long it has been going.
pub fn header(run: &Run, now: Timestamp) -> Line {
    let created = &run.created;
    let line = Line::new(Tone::Heading, &created.runbook.name)
        .and(Tone::Plain, " in ")
        .and(Tone::Heading, &created.environment);
    let line = match &created.simulated {
        Some(scenario) => {
            line.and(Tone::Attention, format!(" (simulated: {scenario}, time x{})", created.speed))
        }
        None => line,
    };
    let end = run.ended.as_ref().map_or(now, |ended| ended.at);
    let line = line.and(Tone::Faint, format!("  {}", length(Duration::between(run.started_at, end))));
    if run.is_dry() {
        line.and(Tone::Faint, "  dry-run")
    } else {
        line.and(Tone::Faint, format!("  {}", run.id))
    }
}

/// The header and the steps, in no more lines than there is room for.
pub fn lines(run: &Run, look: Look) -> Vec<Line> {
    let rows = report::rows(run);
    let names = name_width(&rows, look.columns);
    let shown = choose(run, &rows, look.rows.max(FEWEST) - 1);
    let mut lines = vec![header(run, look.now)];
    let mut folded: Vec<&Row<'_>> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        if shown.contains(&place) {
            lines.extend(fold_line(&mut folded));
            lines.push(row_line(run, row, names, look));
        } else {
            folded.push(row);
        }
    }
    lines.extend(fold_line(&mut folded));
    lines
}

/// Every step, however many: what stays in the scrollback.
pub fn whole(run: &Run, look: Look) -> Vec<Line> {
    lines(run, Look { rows: usize::MAX, ..look })
}

fn name_width(rows: &[Row<'_>], columns: usize) -> usize {
    let widest = rows.iter().map(|row| 2 * row.depth + name(row.node).chars().count()).max().unwrap_or(0);
    widest.min(WIDEST_NAME).min(columns / 3)
}

/// The rows to show. Each run of rows that is folded takes a line as well.
fn choose(run: &Run, rows: &[Row<'_>], room: usize) -> BTreeSet<usize> {
    let mut by_rank: Vec<usize> = (0..rows.len()).collect();
    by_rank.sort_by_key(|place| (rank(run, rows[*place].node), *place));
    let mut shown: BTreeSet<usize> = by_rank.iter().copied().collect();
    while let Some(least) = by_rank.pop() {
        if shown.len() + folds(&shown, rows.len()) <= room || shown.len() <= 1 {
            break;
        }
        shown.remove(&least);
    }
    shown
}

/// How many stretches of rows are not shown.
fn folds(shown: &BTreeSet<usize>, rows: usize) -> usize {
    let is_first = |place: usize| !shown.contains(&place) && (place == 0 || shown.contains(&(place - 1)));
    (0..rows).filter(|place| is_first(*place)).count()
}

/// How much a row matters now: the lower, the more.
fn rank(run: &Run, node: &Node) -> u32 {
    let part_of_work = |whole: &Node| {
        run.nodes().any(|part| part.parent.as_deref() == Some(whole.path.as_str()) && part.phase.is_at_work())
    };
    match &node.phase {
        Phase::Gated(_) | Phase::Asking(_) => 0,
        Phase::Ended(StepStatus::Failed | StepStatus::Stuck) => 2,
        Phase::Ended(StepStatus::Skipped) => 6,
        Phase::Ended(_) => 5,
        Phase::Waiting if node.role == Role::Step => 4,
        Phase::Waiting => 5,
        phase if phase.is_at_work() || part_of_work(node) => 1,
        _ => 3,
    }
}

fn fold_line(folded: &mut Vec<&Row<'_>>) -> Option<Line> {
    let rows = std::mem::take(folded);
    let over = rows.iter().filter(|row| row.node.phase.is_ended()).count();
    let words: Vec<String> = [(over, "done"), (rows.len() - over, "to come")]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    (!words.is_empty()).then(|| Line::new(Tone::Faint, format!("  ⋮ {}", words.join(", "))))
}

fn row_line(run: &Run, row: &Row<'_>, names: usize, look: Look) -> Line {
    let node = row.node;
    let (symbol, tone) = symbol(node, look.tick);
    let pending = node.phase == Phase::Waiting;
    let (name_tone, more_tone) =
        if pending { (Tone::Faint, Tone::Faint) } else { (Tone::Plain, state_tone(node)) };
    let named = Line::new(tone, symbol)
        .and(Tone::Plain, format!(" {}", "  ".repeat(row.depth)))
        .and(name_tone, name(node))
        .cut(names + 2)
        .pad(names + 2);
    let took = took(node, look.now);
    let room = look.columns.saturating_sub(names + 6 + took.chars().count() + 1);
    let told = secret::mask_text(&one_line(&told(run, node, look.now)));
    named
        .and(Tone::Plain, "  ")
        .append(Line::new(more_tone, told).cut(room).pad(room.min(60)))
        .and(Tone::Faint, if took.is_empty() { String::new() } else { format!("  {took}") })
}

fn name(node: &Node) -> String {
    match node.role {
        Role::Undo => format!("undo {}", node.parent.as_deref().unwrap_or_default()),
        Role::Item => format!("{} {}", node.step().id, node.item.as_ref().map(brief).unwrap_or_default()),
        Role::Step | Role::Option => node.step().id.clone(),
    }
}

fn symbol(node: &Node, tick: usize) -> (&'static str, Tone) {
    match &node.phase {
        Phase::Waiting => ("·", Tone::Faint),
        Phase::Gated(_) | Phase::Asking(_) => ("?", Tone::Attention),
        Phase::Ended(StepStatus::Succeeded) if node.passed == Some(false) => ("!", Tone::Attention),
        Phase::Ended(StepStatus::Succeeded) => ("✓", Tone::Good),
        Phase::Ended(StepStatus::Failed | StepStatus::Stuck) => ("✗", Tone::Bad),
        Phase::Ended(StepStatus::Skipped) => ("–", Tone::Faint),
        Phase::Ended(StepStatus::Undone) => ("↶", Tone::Attention),
        Phase::Ended(StepStatus::Cancelled) => ("■", Tone::Attention),
        _ => (SPINNER[tick % SPINNER.len()], Tone::Attention),
    }
}

fn state_tone(node: &Node) -> Tone {
    match &node.phase {
        Phase::Ended(StepStatus::Failed | StepStatus::Stuck) => of_status("failed"),
        Phase::Ended(StepStatus::Skipped) => Tone::Faint,
        _ => Tone::Plain,
    }
}

/// What there is to say about a step now.
fn told(run: &Run, node: &Node, now: Timestamp) -> String {
    if let Some(at) = node.not_before.filter(|at| *at > now && !node.phase.is_ended())
        && let Some(fault) = &node.fault
    {
        return format!("{fault}; again {}", moment::ahead(at, now));
    }
    match &node.phase {
        Phase::Waiting => node.step().title.clone().unwrap_or_else(|| what(node)),
        Phase::Reading { .. } if node.step().until.is_some() => polling(node, now),
        Phase::Reading { .. } => format!("reading {}", what(node)),
        Phase::Planning => format!("planning {}", what(node)),
        Phase::Gated(gated) => gate(node, gated, now),
        Phase::Confirming => "looking at the target once more".to_owned(),
        Phase::Applying { .. } => format!("applying: {}", summary(node)),
        Phase::Doubtful { .. } => "looking whether it happened".to_owned(),
        Phase::Verifying { .. } => format!("{}; waiting until it is complete", summary(node)),
        Phase::Asking(asking) => asking_for(asking),
        Phase::Timing { until } => format!("waiting, over {}", moment::ahead(*until, now)),
        Phase::Soaking(soak) => soaking(run, node, soak, now),
        Phase::Expecting { deadline } => {
            let what = node.step().wait.as_deref().unwrap_or_default();
            format!("waiting until `{what}`, gives up {}", moment::ahead(*deadline, now))
        }
        Phase::Climbing(climb) => match &climb.step {
            ClimbStep::Before => "looking whether it is needed".to_owned(),
            ClimbStep::Next => "choosing an option".to_owned(),
            ClimbStep::Trying(option) => format!("trying {}", last(option)),
            ClimbStep::Settling { option, deadline } => {
                format!("did {} help? {}{}", last(option), seen(&climb.last), left(*deadline, now))
            }
        },
        Phase::Spread { items } => format!("for each of {items} items"),
        Phase::Nested => format!("runbook {}", node.step().run.as_deref().unwrap_or_default()),
        Phase::Ended(_) => ended(node),
    }
}

fn polling(node: &Node, now: Timestamp) -> String {
    let until = node.step().until.as_deref().unwrap_or_default();
    let next = node.not_before.filter(|at| *at > now);
    let next = next.map(|at| format!(", looks again {}", moment::ahead(at, now))).unwrap_or_default();
    format!("waiting until `{until}`{next}")
}

fn gate(node: &Node, gated: &Gated, now: Timestamp) -> String {
    let given = match gated.granted.len() {
        0 => String::new(),
        given => format!(", {given} given"),
    };
    let deadline = gated.gate.deadline.map(|at| format!(", {}", left(at, now))).unwrap_or_default();
    let who = crowd(gated.gate.count, &gated.gate.from);
    format!("{}; waiting for {who} to approve{given}{deadline}", summary(node))
}

fn asking_for(asking: &Asking) -> String {
    format!("asks: {}", asking.prompt)
}

fn soaking(run: &Run, node: &Node, soak: &Soak, now: Timestamp) -> String {
    let hold = node.step().hold.unwrap_or(Duration::ZERO).scaled(run.created.speed);
    let state = match soak.holds_since {
        Some(since) => {
            format!("steady for {} of {}", length(Duration::between(since, now).min(hold)), length(hold))
        }
        None => "not steady".to_owned(),
    };
    let seen = seen(&soak.last);
    format!("{state}; {seen}gives up {}", moment::ahead(soak.deadline, now))
}

/// What the steady state's checks saw last, ending so that more can follow.
fn seen(last: &[SteadyReading]) -> String {
    let told: Vec<String> = last.iter().map(|reading| format!("{} {}", reading.id, reading.seen)).collect();
    if told.is_empty() { String::new() } else { format!("{}; ", told.join(", ")) }
}

fn ended(node: &Node) -> String {
    let reason = node.reason.clone();
    match &node.change {
        Some(change) if node.landed || node.role == Role::Undo => match reason {
            Some(reason) if reason != change.summary => format!("{}; {reason}", change.summary),
            _ => change.summary.clone(),
        },
        _ => reason
            .or_else(|| node.fault.as_ref().map(ToString::to_string))
            .or_else(|| checked(node))
            .unwrap_or_default(),
    }
}

/// What a check expected, and whether it was so.
fn checked(node: &Node) -> Option<String> {
    let step = node.step();
    let expected = step.until.as_ref().or(step.expect.as_ref())?;
    Some(match node.passed {
        Some(true) => format!("{expected}: yes"),
        Some(false) => format!("{expected}: no"),
        None => format!("{expected}: not known"),
    })
}

fn summary(node: &Node) -> String {
    node.change.as_ref().map_or_else(|| what(node), |change| change.summary.clone())
}

fn what(node: &Node) -> String {
    let kind = || node.kind().map_or("", |kind| kind.name()).to_owned();
    node.action().map_or_else(kind, str::to_owned)
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn left(deadline: Timestamp, now: Timestamp) -> String {
    format!("{} left", length(Duration::between(now, deadline)))
}

fn took(node: &Node, now: Timestamp) -> String {
    let started = node.started_at.filter(|_| node.status() != Some(StepStatus::Skipped));
    let end = node.ended_at.unwrap_or(now);
    started.map_or_else(String::new, |started| length(Duration::between(started, end)))
}

/// `0.4s`, `12s`, `3m04s`, then coarser.
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..9.95 => format!("{seconds:.1}s"),
        ..60.0 => format!("{seconds:.0}s"),
        ..3600.0 => format!("{}m{:02}s", seconds as u64 / 60, seconds as u64 % 60),
        _ => moment::coarse(duration),
    }
}
