//! `runbook actions`: list the actions, or describe one.

mod markdown;

use std::collections::BTreeMap;

use runbook_core::{
    Value,
    spec::{ActionSpec, Effect, UndoSupport},
    suggest,
};

use crate::{
    cli::{
        App,
        fields::{Field, fields},
        paint::{Paint, of_effect},
        permissions::Permissions,
        table::{Cell, Table},
    },
    exit::{CliError, Exit},
    wire,
};

/// List the actions, or describe one: inputs, outputs, effect, undo, permissions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook actions                     all of them
  runbook actions kubernetes          those of one provider
  runbook actions kubernetes.scale    one, with the permissions it needs and an example")]
pub struct Args {
    /// An action (`kubernetes.scale`) or a provider (`kubernetes`)
    name: Option<String>,
    /// As a page of documentation
    #[arg(long)]
    markdown: bool,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let specs = wire::specs();
    let chosen = choose(&specs, args.name.as_deref())?;
    let text = match (&chosen, args.markdown, app.is_json()) {
        (_, true, _) => markdown::page(&chosen.specs),
        (Chosen { one: true, specs }, _, true) => specs.first().map(document).unwrap_or_default(),
        (Chosen { specs, .. }, _, true) => document(specs),
        (Chosen { one: true, specs }, ..) => {
            specs.iter().map(|spec| detail(spec, Paint::stdout(app))).collect()
        }
        (Chosen { specs, .. }, ..) => list(specs, Paint::stdout(app)),
    };
    app.print(&text);
    Ok(Exit::Success)
}

#[derive(Debug)]
struct Chosen<'a> {
    /// A single action was named.
    one: bool,
    specs: Vec<&'a ActionSpec>,
}

fn choose<'a>(specs: &'a BTreeMap<String, ActionSpec>, name: Option<&str>) -> Result<Chosen<'a>, CliError> {
    let Some(name) = name else { return Ok(Chosen { one: false, specs: specs.values().collect() }) };
    if let Some(spec) = specs.get(name) {
        return Ok(Chosen { one: true, specs: vec![spec] });
    }
    let of_provider: Vec<&ActionSpec> = specs.values().filter(|spec| spec.provider() == name).collect();
    if of_provider.is_empty() {
        return Err(unknown(specs, name));
    }
    Ok(Chosen { one: false, specs: of_provider })
}

fn unknown(specs: &BTreeMap<String, ActionSpec>, name: &str) -> CliError {
    let error = CliError::invalid(format!("there is no action `{name}`"));
    let mut providers: Vec<&str> = specs.values().map(ActionSpec::provider).collect();
    providers.dedup();
    let near = suggest::closest(name, specs.keys().map(String::as_str).chain(providers));
    match near {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`runbook actions` lists them"),
    }
}

fn document<T: serde::Serialize>(specs: &T) -> String {
    // Specs are plain data with texts as keys, which always serialize.
    let value = serde_json::to_value(specs).unwrap_or(Value::Null);
    format!("{value:#}\n")
}

fn list(specs: &[&ActionSpec], paint: Paint) -> String {
    let mut table = Table::new(["action", "effect", "undo", "summary"]);
    for spec in specs {
        let effect = spec.effect.to_string();
        let undo = match (&spec.undo, spec.effect) {
            (_, Effect::Read) => "",
            (UndoSupport::Auto(_), _) => "auto",
            (UndoSupport::None(_), _) => "none",
        };
        table.row([
            spec.name.as_str().into(),
            Cell::new(of_effect(&effect), &effect),
            undo.into(),
            spec.summary.as_str().into(),
        ]);
    }
    table.render(paint)
}

fn detail(spec: &ActionSpec, paint: Paint) -> String {
    let mut out = format!("{}\n{}\n\n", paint.heading(&spec.name), spec.summary);
    for (label, words) in facts(spec) {
        out.push_str(&format!("{}  {words}\n", paint.faint(format!("{label:<8}"))));
    }
    out.push_str(&format!("\n{}\n", paint.heading("with")));
    out.push_str(&inputs(&fields(&spec.input), paint));
    out.push_str(&format!("\n{}\n", paint.heading("outputs")));
    out.push_str(&outputs(spec, paint));
    let permissions = Permissions::of([spec]);
    if !permissions.is_empty() {
        out.push_str(&format!("\n{}\n{}", paint.heading("permissions"), indent(&needs(&permissions))));
    }
    out.push_str(&format!("\n{}\n{}", paint.heading("example"), indent(&example(spec))));
    out
}

/// What an action does, in a few labelled words.
fn facts(spec: &ActionSpec) -> Vec<(&'static str, String)> {
    let effect = match &spec.destructive_when {
        Some(condition) => format!("{}; destructive when `{condition}`", spec.effect),
        None => spec.effect.to_string(),
    };
    let mut facts = vec![("effect", effect)];
    if spec.effect != Effect::Read {
        let undo = match &spec.undo {
            UndoSupport::Auto(to) => format!("auto: {to}"),
            UndoSupport::None(why) => format!("none: {why}"),
        };
        facts.push(("undo", undo));
    }
    facts.push(("dry-run", format!("{} at best", spec.grade)));
    facts
}

fn inputs(fields: &[Field], paint: Paint) -> String {
    if fields.is_empty() {
        return "  nothing\n".to_owned();
    }
    let mut table = Table::new(["field", "type", "default", "meaning"]);
    for field in fields {
        let default = match &field.default {
            Some(default) => default.clone(),
            None if field.required => "required".to_owned(),
            None => String::new(),
        };
        // What may be left out may also be null; that goes without saying.
        let kind = field.kind.trim_end_matches(" | null");
        table.row([&field.name, kind, &default, &field.description].map(Cell::from));
    }
    table.indented("  ", paint)
}

fn outputs(spec: &ActionSpec, paint: Paint) -> String {
    let fields = fields(&spec.output);
    if fields.is_empty() {
        return if spec.has_open_outputs() { "  whatever the source answers\n" } else { "  none\n" }
            .to_owned();
    }
    let mut table = Table::new(["output", "type", "meaning"]);
    for field in &fields {
        table.row([&field.name, &field.kind, &field.description].map(Cell::from));
    }
    table.indented("  ", paint)
}

fn needs(permissions: &Permissions) -> String {
    let mut lines = permissions.role().unwrap_or_default();
    for line in permissions.iam().chain(permissions.other()) {
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

/// The example as the step that it would stand in.
fn example(spec: &ActionSpec) -> String {
    let (_, verb) = spec.name.split_once('.').unwrap_or(("", &spec.name));
    let kind = if spec.effect == Effect::Read { "check" } else { "action" };
    let with = serde_yaml::to_string(&spec.example).unwrap_or_else(|_| format!("{}\n", spec.example));
    let with: String = with.lines().map(|line| format!("    {line}\n")).collect();
    format!("- id: {}\n  {kind}: {}\n  with:\n{with}", verb.replace('_', "-"), spec.name)
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
