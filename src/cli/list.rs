//! `runbook list`: list the runbooks.

use std::collections::BTreeSet;

use runbook_core::{Value, runbook::Runbook};
use serde_json::json;

use crate::{
    cli::{
        App,
        outline::Outline,
        paint::{Paint, of_effect},
        table::{Cell, Table},
    },
    config::Config,
    exit::{CliError, Exit},
    library::{Library, files},
    wire,
};

/// List the runbooks: what they are for, who is asked, how grave they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook list
  runbook list --severity SEV1 --label team=payments
  runbook list --output json | jq -r '.[].name'")]
pub struct Args {
    /// Only runbooks with this label; may be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Only runbooks for this severity
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it like `team=payments`")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Args {
    fn fits(&self, runbook: &Runbook) -> bool {
        let labelled = |(key, value): &(String, String)| runbook.labels.get(key) == Some(value);
        let severity = |wanted: &String| {
            runbook.severity.as_ref().is_some_and(|severity| severity.eq_ignore_ascii_case(wanted))
        };
        self.labels.iter().all(labelled) && self.severity.as_ref().is_none_or(severity)
    }
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let config = Config::load(&app.global)?;
    let catalog = wire::catalog(&config, app.global.env.as_deref());
    let library = Library::of(&config, &catalog)?;
    let told: Vec<(&Runbook, Outline<'_>)> = library
        .runbooks
        .values()
        .filter(|runbook| args.fits(runbook))
        .map(|runbook| (runbook.as_ref(), Outline::of(runbook, &library, &catalog.specs)))
        .collect();
    if app.is_json() {
        let documents: Value =
            told.iter().map(|(runbook, outline)| document(runbook, outline, &library)).collect();
        app.print(&format!("{documents:#}\n"));
    } else if !told.is_empty() {
        app.print(&table(&told).render(Paint::stdout(app)));
    }
    if told.is_empty() {
        let shown = files::shown(&config.playbooks);
        app.say(&if library.runbooks.is_empty() {
            format!("no runbooks in {shown}; `runbook init` writes a first one")
        } else {
            "no runbook fits".to_owned()
        });
    }
    match library.broken() {
        0 => {}
        1 => app.say("one file has errors: `runbook check` shows them"),
        broken => app.say(&format!("{broken} files have errors: `runbook check` shows them")),
    }
    Ok(Exit::Success)
}

fn table(told: &[(&Runbook, Outline<'_>)]) -> Table {
    let mut table =
        Table::new(["name", "title", "severity", "owners", "triggers", "steps", "gates", "effect"]);
    for (runbook, outline) in told {
        let effect = outline.effect().to_string();
        table.row([
            runbook.name.as_str().into(),
            runbook.title.as_deref().unwrap_or_default().into(),
            runbook.severity.as_deref().unwrap_or_default().into(),
            runbook.owners.join(", ").into(),
            sources(runbook).into_iter().collect::<Vec<_>>().join(", ").into(),
            outline.steps().to_string().into(),
            outline.gates().to_string().into(),
            Cell::new(of_effect(&effect), &effect),
        ]);
    }
    table
}

/// Where alerts that start it come from.
fn sources(runbook: &Runbook) -> BTreeSet<String> {
    runbook.triggers.iter().map(|trigger| format!("{:?}", trigger.source).to_lowercase()).collect()
}

fn document(runbook: &Runbook, outline: &Outline<'_>, library: &Library) -> Value {
    json!({
        "name": runbook.name,
        "title": runbook.title,
        "summary": runbook.summary,
        "severity": runbook.severity,
        "owners": runbook.owners,
        "labels": runbook.labels,
        "triggers": sources(runbook),
        "steps": outline.steps(),
        "gates": outline.gates(),
        "effect": outline.effect(),
        "file": library.files.get(&runbook.name).map(|path| files::shown(path)),
        "runnable": library.checked(&runbook.name).is_ok(),
    })
}
