//! `runbook describe`: show one runbook: inputs, steps, gates, risk.

mod sections;

use clap::ValueEnum;
use runbook_core::{Value, graph, runbook::Runbook, spec::ActionSpec};
use serde_json::json;

use crate::{
    cli::{App, outline::Outline, paint::Paint, permissions::Permissions},
    config::Config,
    exit::{CliError, Exit},
    library::{Library, files},
    wire,
};

/// Show one runbook: inputs, steps, gates, risk.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook describe high-latency
  runbook describe high-latency -v                 with the permissions that it needs
  runbook describe high-latency --graph svg > high-latency.svg")]
pub struct Args {
    /// The name of a runbook; `runbook list` lists them
    name: String,
    /// Only the graph of its steps
    #[arg(long, value_enum, value_name = "FORMAT")]
    graph: Option<Graph>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Graph {
    Text,
    Mermaid,
    /// For Graphviz
    Dot,
    Svg,
}

impl Graph {
    fn draw(self, runbook: &Runbook) -> String {
        match self {
            Self::Text => graph::text(runbook),
            Self::Mermaid => graph::mermaid(runbook),
            Self::Dot => graph::dot(runbook),
            Self::Svg => graph::svg(runbook),
        }
    }
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let config = Config::load(&app.global)?;
    let catalog = wire::catalog(&config, app.global.env.as_deref());
    let library = Library::of(&config, &catalog)?;
    let runbook = library.get(&args.name)?;
    if let Some(graph) = args.graph {
        app.print(&format!("{}\n", graph.draw(runbook).trim_end()));
        return Ok(Exit::Success);
    }
    let outline = Outline::of(runbook, &library, &catalog.specs);
    let used = used(runbook, &library, |name| catalog.specs.get(name));
    let described = Described {
        runbook,
        outline,
        file: library.files.get(&runbook.name).map(|path| files::shown(path)).unwrap_or_default(),
        permissions: Permissions::of(used),
    };
    if app.is_json() {
        app.print(&format!("{:#}\n", described.document()));
    } else {
        app.print(&described.text(Paint::stdout(app), app.global.verbose > 0));
    }
    if let Err(error) = library.checked(&runbook.name) {
        app.say(&format!("it cannot be run as it is: {}; `runbook check` shows more", error.message));
    }
    Ok(Exit::Success)
}

/// The actions that a runbook uses, itself or through others.
fn used<'a>(
    runbook: &Runbook,
    library: &Library,
    spec: impl Fn(&str) -> Option<&'a ActionSpec>,
) -> Vec<&'a ActionSpec> {
    let others = library.closure(&runbook.name);
    let all = std::iter::once(runbook).chain(others.values().map(AsRef::as_ref));
    let mut names = Vec::new();
    for runbook in all {
        names.extend(runbook.steady_state.iter().map(|check| check.check.clone()));
        let steps = runbook.steps.iter().chain(&runbook.finally);
        for step in steps.flat_map(|step| std::iter::once(step).chain(step.options.iter().flatten())) {
            names.extend(step.check.iter().chain(&step.action).cloned());
        }
    }
    names.sort_unstable();
    names.dedup();
    names.iter().filter_map(|name| spec(name)).collect()
}

/// A runbook and what is told of it beyond what is written.
#[derive(Debug)]
struct Described<'a> {
    runbook: &'a Runbook,
    outline: Outline<'a>,
    file: String,
    permissions: Permissions,
}

impl Described<'_> {
    fn document(&self) -> Value {
        let mut whole = json!({
            "file": self.file,
            "gates": self.outline.gates(),
            "effect": self.outline.effect(),
            "permissions": self.permissions.document(),
        });
        // A runbook serializes to an object with texts as keys: it was read from one.
        let written = serde_json::to_value(self.runbook).unwrap_or(Value::Null);
        if let (Value::Object(fields), Value::Object(written)) = (&mut whole, written) {
            fields.extend(written);
        }
        whole["outline"] = self.outline.lines.iter().map(|line| line.document()).collect();
        whole
    }
}
