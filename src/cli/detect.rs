//! `runbook detect`: what the rules of the embedded detector say now.

use futures::{StreamExt as _, stream};
use runbook_contract::Mode;
use runbook_core::{
    detection::{NAME_LABEL, Preset, Reading, Rule, Series, rule_file},
    fault::Fault,
    suggest,
};
use runbook_desk::detect;
use serde_json::{Value, json};

use crate::{
    cli::{
        App,
        paint::{Paint, Tone},
        table::{Cell, Table},
    },
    config::{Config, Detector},
    exit::{CliError, Exit},
    wire::{self, Instruments, Wired},
};

/// What the rules of the embedded detector say now, or the same as rules of Prometheus.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook detect                              # all detectors of the configuration, once
  runbook detect golden-signals --env demo    # the rules that ship, in any environment
  runbook detect --rules > rules.yaml         # for a Prometheus that watches by itself

One look knows nothing of `for`: what is beyond its threshold is shown at once, and nothing is told to
anybody. Exit codes: 0 nothing is, 1 something is, or could not be read.")]
pub struct Args {
    /// A detector of the configuration, or rules that ship: golden-signals. All detectors where it is
    /// left out; where there are none, the rules that ship
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the rules as a rule file of Prometheus, and look at nothing
    #[arg(long)]
    rules: bool,
}

/// How many rules are read together.
const AT_ONCE: usize = 8;

/// What one detector found.
struct Found {
    detector: String,
    wired: Wired,
    rules: Vec<(Rule, Result<Reading, Fault>)>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let name = args.name.as_deref();
    if args.rules {
        // The rules that ship are worth something without a project too.
        let is_project = app.global.config.is_some() || Config::is_near();
        let configured = if is_project { Config::load(&app.global)?.detectors } else { Vec::new() };
        print_rules(&named(name, &configured)?, app);
        return Ok(Exit::Success);
    }
    let config = Config::load(&app.global)?;
    let mut found = Vec::new();
    for detector in named(name, &config.detectors)? {
        found.push(look(&config, detector, app).await?);
    }
    tell(&found, app);
    let is_calm = found.iter().flat_map(|one| &one.rules).all(|(_, look)| is_calm(look));
    Ok(if is_calm { Exit::Success } else { Exit::Failed })
}

fn is_calm(look: &Result<Reading, Fault>) -> bool {
    look.as_ref().is_ok_and(|reading| !reading.is_breached())
}

/// The detectors that are meant.
fn named(name: Option<&str>, configured: &[Detector]) -> Result<Vec<Detector>, CliError> {
    let preset = |preset: Preset| vec![Detector::of(preset)];
    let Some(name) = name else {
        return Ok(if configured.is_empty() { preset(Preset::GoldenSignals) } else { configured.to_vec() });
    };
    if let Some(found) = configured.iter().find(|detector| detector.name == name) {
        return Ok(vec![found.clone()]);
    }
    if let Some(found) = Preset::ALL.into_iter().find(|one| one.name() == name) {
        return Ok(preset(found));
    }
    let known: Vec<&str> =
        configured.iter().map(|one| one.name.as_str()).chain(Preset::ALL.map(Preset::name)).collect();
    let hint = match suggest::closest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there is {}", suggest::list(known)),
    };
    Err(CliError::invalid(format!("there is no detector `{name}`")).hint(hint))
}

/// Data on stdout: one file, with a group for each detector.
fn print_rules(detectors: &[Detector], app: &App) {
    app.print("# The rules of the embedded detector, as `runbook detect --rules` prints them.\n");
    for (place, detector) in detectors.iter().map(Detector::at_work).enumerate() {
        let file = rule_file(&detector.name, detector.every, &detector.rules);
        let text = if place == 0 { file.as_str() } else { file.trim_start_matches("groups:\n") };
        app.print(text);
    }
}

async fn look(config: &Config, detector: Detector, app: &App) -> Result<Found, CliError> {
    let environment = app.global.env.as_deref().or(detector.environment.as_deref());
    let wired = wire::environment(config, environment, Mode::ReadOnly).await?;
    let detect::Detector { name, rules, timeout, .. } = detector.at_work();
    let gauge = Instruments::of(&wired, timeout);
    let looks = stream::iter(rules).map(async |rule| {
        let waited = tokio::time::timeout(timeout.as_std(), detect::read(&gauge, &rule)).await;
        let look = waited
            .unwrap_or_else(|_| Err(Fault::unreachable(format!("there was no answer within {timeout}"))));
        (rule, look)
    });
    let rules = looks.buffered(AT_ONCE).collect().await;
    Ok(Found { detector: name, wired, rules })
}

fn tell(found: &[Found], app: &App) {
    if app.is_json() {
        let detectors: Vec<Value> = found.iter().map(document).collect();
        let document = json!({ "detectors": detectors });
        app.print(&format!("{document:#}\n"));
        return;
    }
    let paint = Paint::stdout(app);
    let mut text = String::new();
    for one in found {
        let simulated = one.wired.simulated.as_ref();
        let simulated = simulated.map(|scenario| format!(" (simulated: {scenario})")).unwrap_or_default();
        let heading = paint.heading(&one.detector);
        text.push_str(&format!("{heading} in {}{simulated}\n", one.wired.name));
        let mut table = Table::new(["rule", "severity", "series", "value", "threshold", "state"]);
        for (rule, look) in &one.rules {
            rows(&mut table, rule, look);
        }
        text.push_str(&table.indented("  ", paint));
    }
    app.print(&text);
}

fn rows(table: &mut Table, rule: &Rule, look: &Result<Reading, Fault>) {
    let mut row = |series: String, value: String, state: Cell| {
        let severity = rule.severity.as_deref().unwrap_or_default();
        let (name, threshold) = (rule.name.as_str(), rule.threshold());
        table.row([name.into(), severity.into(), series.into(), value.into(), threshold.into(), state]);
    };
    match look {
        Err(fault) => {
            let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            let cell = Cell::new(Tone::Attention, format!("cannot be read: {fault}{hint}"));
            row(String::new(), String::new(), cell);
        }
        Ok(reading) if reading.series.is_empty() => {
            row(String::new(), String::new(), Cell::new(Tone::Faint, "no data"));
        }
        Ok(reading) => {
            for series in &reading.series {
                row(labels(series), numbers(rule, series), state(series));
            }
        }
    }
}

fn labels(series: &Series) -> String {
    let own = series.labels.iter().filter(|(name, _)| *name != NAME_LABEL);
    own.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// The number that is compared, and what it is compared with where that moves too.
fn numbers(rule: &Rule, series: &Series) -> String {
    let value = series.value.map(short).unwrap_or_default();
    match series.metrics.get("expected").filter(|_| rule.expected.is_some()) {
        Some(expected) => format!("{value} of {}", short(*expected)),
        None => value,
    }
}

/// Four digits are enough for people.
fn short(number: f64) -> String {
    match number.abs() {
        size if (1000.0..1e15).contains(&size) => format!("{number:.0}"),
        size if (1e-4..1000.0).contains(&size) => {
            let text = format!("{number:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        0.0 => "0".to_owned(),
        _ => format!("{number:.3e}"),
    }
}

fn state(series: &Series) -> Cell {
    match (series.breached, series.value) {
        (true, None) => Cell::new(Tone::Bad, "no data, which counts"),
        (true, Some(_)) => Cell::new(Tone::Bad, "beyond"),
        (false, _) => Cell::new(Tone::Good, "ok"),
    }
}

fn document(found: &Found) -> Value {
    let rules: Vec<Value> = found.rules.iter().map(|(rule, look)| rule_document(rule, look)).collect();
    json!({
        "name": found.detector,
        "environment": found.wired.name,
        "simulated": found.wired.simulated.is_some(),
        "rules": rules,
    })
}

fn rule_document(rule: &Rule, look: &Result<Reading, Fault>) -> Value {
    let state = match look {
        Err(_) => "failed",
        Ok(reading) if reading.is_breached() => "beyond",
        Ok(reading) if reading.series.is_empty() => "no_data",
        Ok(_) => "ok",
    };
    let mut document = json!({
        "name": rule.name,
        "title": rule.title(),
        "severity": rule.severity,
        "threshold": rule.threshold(),
        "for": rule.hold,
        "state": state,
    });
    match look {
        Ok(reading) => document["series"] = json!(reading.series),
        Err(fault) => document["error"] = json!({ "message": fault.message, "hint": fault.hint }),
    }
    document
}
