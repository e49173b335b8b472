//! Logs: lines for people where somebody watches, else one JSON object a line. What its scopes say (the
//! run, the incident, the request) stands beside what the line says, so that one key finds all lines
//! about a run.

use std::{
    fmt::Debug,
    io::{IsTerminal as _, Write},
};

use runbook_core::{Timestamp, Value};
use serde_json::Map;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::cli::App;

/// Begins to log to stderr.
pub fn begin(app: &App) {
    let usual = match app.global.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("RUNBOOK_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let set = if std::io::stderr().is_terminal() {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init()
    } else {
        let lines = Lines(|line: &[u8]| {
            // Nobody can be told that nothing can be told.
            let _ = std::io::stderr().lock().write_all(line);
        });
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
        subscriber.try_init().map_err(Into::into)
    };
    if let Err(error) = set {
        app.say(&format!("logs go elsewhere: {error}"));
    }
}

/// Writes each event as a line of JSON.
struct Lines<W>(W);

/// What a scope says.
#[derive(Default)]
struct Said(Map<String, Value>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&[u8]) + Send + Sync + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut said = Said::default();
        attributes.record(&mut said);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(said);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(said) = span.extensions_mut().get_mut::<Said>()
        {
            values.record(said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Said::default();
        line.0.insert("at".to_owned(), Timestamp::now().to_string().into());
        line.0.insert("level".to_owned(), metadata.level().as_str().to_lowercase().into());
        line.0.insert("target".to_owned(), metadata.target().into());
        // The innermost scope has the last word, and the event itself after it.
        for span in context.event_scope(event).into_iter().flatten().collect::<Vec<_>>().iter().rev() {
            if let Some(said) = span.extensions().get::<Said>() {
                line.0.extend(said.0.clone());
            }
        }
        event.record(&mut line);
        let mut text = Value::Object(line.0).to_string();
        text.push('\n');
        (self.0)(text.as_bytes());
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name().to_owned(), value.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_line_says_what_its_scopes_say() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let into = written.clone();
        let lines = Lines(move |line: &[u8]| into.lock().unwrap().extend_from_slice(line));
        let _guard = tracing_subscriber::registry().with(lines).set_default();
        let outer = tracing::error_span!("request", request = "r1", run = tracing::field::Empty);
        outer.in_scope(|| {
            outer.record("run", tracing::field::display("run_1"));
            let inner = tracing::error_span!("run", run = %"run_2", incident = "INC-7");
            inner.in_scope(|| tracing::warn!(seq = 3, step = "a\n\"b", ok = true, "a step ended"));
            tracing::info!(error = %"gone", "late");
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        for (key, value) in [
            ("level", Value::from("warn")),
            ("message", "a step ended".into()),
            ("request", "r1".into()),
            ("run", "run_2".into()),
            ("incident", "INC-7".into()),
            ("seq", 3.into()),
            ("step", "a\n\"b".into()),
            ("ok", true.into()),
        ] {
            assert_eq!(lines[0][key], value, "{key}");
        }
        assert_eq!((lines[1]["run"].as_str(), lines[1]["error"].as_str()), (Some("run_1"), Some("gone")));
        assert_eq!(lines[1].get("incident"), None);
    }
}
