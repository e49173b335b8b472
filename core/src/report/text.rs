//! A run as text: the plan that a dry-run foresees, or how far a live run has come.

use serde_json::Value;

use super::{
    diff,
    document::{foreseen, run_word, status_word},
    paint, rows,
};
use crate::{
    change::{brief, gist},
    event::{StepStatus, Verdict},
    run::{Node, Phase, Role, Run},
    runbook::Kind,
    secret,
    spec::Effect,
    timeline::crowd,
};

/// A run for people. Colour only repeats what the words say.
pub fn text(run: &Run, colour: bool) -> String {
    let style = Style { colour };
    let mut out = header(run, &style);
    let rows = rows(run);
    let width =
        rows.iter().map(|row| 2 * row.depth + row.node.step().id.chars().count()).max().unwrap_or(0).min(40);
    for row in &rows {
        let node = row.node;
        if node.phase == Phase::Waiting && node.role == Role::Option && !run.is_dry() && run.ended.is_none() {
            continue;
        }
        out.push_str(&line(run, node, row.depth, width, &style));
        details(node, row.depth, &style, &mut out);
    }
    out.push_str(&footer(run, &style));
    secret::mask_text(&out)
}

struct Style {
    colour: bool,
}

impl Style {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }
    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }
}

fn header(run: &Run, style: &Style) -> String {
    let created = &run.created;
    let simulated = match &created.simulated {
        Some(scenario) => style.paint("35", &format!(" (simulated: {scenario}, time x{})", created.speed)),
        None => String::new(),
    };
    let what = if run.is_dry() { "dry-run of " } else { "" };
    let title = format!(
        "{what}{} in {}{simulated}",
        style.bold(&created.runbook.name),
        style.bold(&created.environment)
    );
    let inputs: Vec<String> = created
        .inputs
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", brief(value)))
        .collect();
    let inputs = if inputs.is_empty() { String::new() } else { format!("inputs  {}\n", inputs.join("  ")) };
    let state = if run.is_dry() { String::new() } else { format!("{}  {}\n", run.id, run_word(run)) };
    format!("{title}\n{state}{inputs}\n")
}

fn line(run: &Run, node: &Node, depth: usize, width: usize, style: &Style) -> String {
    let (symbol, code) = symbol(run, node);
    let name = if node.role == Role::Undo { node.path.clone() } else { short_name(node) };
    let padded = format!("{}{name:<room$}", "  ".repeat(depth), room = width.saturating_sub(2 * depth));
    let what =
        node.action().map_or_else(|| node.kind().map_or("", |kind| kind.name()).to_owned(), str::to_owned);
    let (state, more) = if run.is_dry() {
        let (verdict, grade, reason) = foreseen(run, node);
        (format!("{:<10}  {grade:<9}", verdict.map_or("", verdict_word)), reason)
    } else {
        (format!("{:<10}", status_word(run, node)), node.reason.clone().unwrap_or_else(|| doing(node)))
    };
    format!(
        "{} {padded}  {what:<28}  {}  {}\n",
        style.paint(code, symbol),
        style.paint(code, &state),
        style.dim(&more)
    )
}

fn short_name(node: &Node) -> String {
    match node.role {
        Role::Item => {
            let item = node.item.as_ref().map(brief).unwrap_or_default();
            format!("{} {item}", node.step().id)
        }
        _ => node.step().id.clone(),
    }
}

/// What a step that is not done is at, in words.
fn doing(node: &Node) -> String {
    match &node.phase {
        Phase::Gated(gated) => {
            format!(
                "waiting for {} to approve ({} so far)",
                crowd(gated.gate.count, &gated.gate.from),
                gated.granted.len()
            )
        }
        Phase::Asking(asking) => asking.prompt.clone(),
        Phase::Reading { .. } => "reading".to_owned(),
        Phase::Planning => "planning".to_owned(),
        Phase::Confirming => "looking again".to_owned(),
        Phase::Applying { .. } => "applying".to_owned(),
        Phase::Doubtful { .. } => "looking whether it happened".to_owned(),
        Phase::Verifying { .. } => "waiting until it is complete".to_owned(),
        Phase::Timing { .. } | Phase::Expecting { .. } => "waiting".to_owned(),
        Phase::Soaking(soak) if soak.holds_since.is_some() => "steady so far".to_owned(),
        Phase::Soaking(_) => "not steady yet".to_owned(),
        Phase::Waiting | Phase::Climbing(_) | Phase::Spread { .. } | Phase::Nested | Phase::Ended(_) => {
            String::new()
        }
    }
}

fn symbol(run: &Run, node: &Node) -> (&'static str, &'static str) {
    if run.is_dry() {
        return match foreseen(run, node).0 {
            Some(_) if matches!(node.phase, Phase::Ended(StepStatus::Failed)) => ("✗", "31"),
            Some(Verdict::WouldRun) if node.passed == Some(false) => ("!", "33"),
            Some(Verdict::WouldRun) if node.change.is_some() => ("→", "36"),
            Some(Verdict::WouldRun) => ("✓", "32"),
            Some(Verdict::MayRun) => ("?", "33"),
            Some(Verdict::WouldSkip) => ("–", "2"),
            Some(Verdict::WouldWait) => ("…", "34"),
            None => (" ", "0"),
        };
    }
    match &node.phase {
        Phase::Ended(StepStatus::Succeeded) if node.passed == Some(false) => ("!", "33"),
        Phase::Ended(StepStatus::Succeeded) => ("✓", "32"),
        Phase::Ended(StepStatus::Failed | StepStatus::Stuck) => ("✗", "31"),
        Phase::Ended(StepStatus::Skipped) => ("–", "2"),
        Phase::Ended(StepStatus::Undone) => ("↶", "33"),
        Phase::Ended(StepStatus::Cancelled) => ("■", "33"),
        Phase::Gated(_) | Phase::Asking(_) => ("?", "33"),
        Phase::Waiting => ("·", "2"),
        _ => ("…", "34"),
    }
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::WouldRun => "would run",
        Verdict::MayRun => "may run",
        Verdict::WouldSkip => "would skip",
        Verdict::WouldWait => "would wait",
    }
}

/// What stands below a step: its change, its gate, its warnings, what it read.
fn details(node: &Node, depth: usize, style: &Style, out: &mut String) {
    let indent = " ".repeat(2 * depth + 4);
    let mut put = |label: &str, text: &str| {
        let mut lines = text.lines();
        if let Some(first) = lines.next() {
            out.push_str(&format!("{indent}{}  {first}\n", style.dim(&format!("{label:<8}"))));
        }
        for line in lines {
            out.push_str(&format!("{indent}          {line}\n"));
        }
    };
    if let Some(change) = &node.change {
        put("target", &change.target.name);
        put("change", &change.summary);
        let lines = diff(change);
        put("", &if style.colour { paint(&lines) } else { lines });
        put("approval", &gate_text(node));
    } else if matches!(node.kind(), Some(Kind::Check(_))) && !node.outputs.is_null() {
        put("read", &gist(&node.outputs));
    }
    for warning in &node.warnings {
        put("warning", &style.paint("33", warning));
    }
    if let Some(fault) = &node.fault {
        let hint = fault.hint.as_deref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        put("error", &style.paint("31", &format!("{fault}{hint}")));
    }
}

fn gate_text(node: &Node) -> String {
    let step = node.step();
    let who = match &node.gate {
        Some(gate) => crowd(gate.count, &gate.from),
        None => "none needed".to_owned(),
    };
    let effect = node
        .effect()
        .filter(|effect| *effect == Effect::Destructive)
        .map(|_| "  destructive")
        .unwrap_or_default();
    let risk = step.risk.map(|risk| format!("  risk {risk:?}").to_lowercase()).unwrap_or_default();
    let eta = step.eta.map(|eta| format!("  about {eta}")).unwrap_or_default();
    format!("{who}{effect}{risk}{eta}")
}

fn footer(run: &Run, style: &Style) -> String {
    if run.is_dry() {
        let changes = run.nodes().filter(|node| node.change.is_some()).count();
        let gates = run.nodes().filter(|node| node.gate.is_some()).count();
        let plural =
            |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
        return format!(
            "\n{} {} foreseen, {} to be given; nothing was changed.\n",
            style.bold("dry-run complete:"),
            plural(changes, "change"),
            plural(gates, "approval"),
        );
    }
    let Some(ended) = &run.ended else { return String::new() };
    let recovered = match run.recovered() {
        Some(true) => ", recovery verified",
        Some(false) => ", not recovered",
        None => "",
    };
    let reason = ended.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("\n{}{recovered}{reason}\n", style.bold(run_word(run)))
}
