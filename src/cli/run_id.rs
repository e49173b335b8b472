//! Which run a person means: its id, the beginning of its id, or `latest`.

use runbook_core::event::RunId;
use runbook_engine::Engine;
use runbook_journal::{RunHead, RunQuery};

use crate::exit::CliError;

/// The newest runs among which the beginning of an id is looked for.
const LOOKED_THROUGH: usize = 1000;
/// Candidates that an ambiguous beginning names.
const SHOWN: usize = 5;

/// The run that `text` names. A whole id is taken as it is; whether there is such a run shows when
/// it is read.
pub async fn resolve(engine: &Engine, text: &str) -> Result<RunId, CliError> {
    if let Ok(run) = text.parse() {
        return Ok(run);
    }
    if text == "latest" {
        let newest = engine.runs(&RunQuery { limit: 1, ..RunQuery::default() }).await?;
        return newest.first().map(|head| head.run).ok_or_else(no_runs);
    }
    let newest = engine.runs(&RunQuery { limit: LOOKED_THROUGH, ..RunQuery::default() }).await?;
    pick(&newest, text)
}

fn no_runs() -> CliError {
    CliError::invalid("there are no runs yet").hint("`runbook run NAME` starts one; dry-runs are not kept")
}

/// The one run whose id begins so; `run_` may be left out.
fn pick(newest: &[RunHead], text: &str) -> Result<RunId, CliError> {
    let beginning = text.strip_prefix("run_").unwrap_or(text).to_ascii_lowercase();
    let fits: Vec<RunId> = newest
        .iter()
        .map(|head| head.run)
        .filter(|run| !beginning.is_empty() && run.to_string()["run_".len()..].starts_with(&beginning))
        .collect();
    let shown: String = text.chars().take(60).collect();
    match fits.as_slice() {
        [one] => Ok(*one),
        [] if newest.is_empty() => Err(no_runs()),
        [] if newest.len() >= LOOKED_THROUGH => {
            Err(CliError::invalid(format!("none of the newest {LOOKED_THROUGH} runs begins with `{shown}`"))
                .hint("for an older run, give its whole id"))
        }
        [] => {
            Err(CliError::invalid(format!("no run begins with `{shown}`")).hint("`runbook runs` lists them"))
        }
        several => {
            let names: Vec<String> = several.iter().take(SHOWN).map(RunId::to_string).collect();
            let more = if several.len() > SHOWN { ", …" } else { "" };
            Err(CliError::invalid(format!(
                "`{shown}` fits {} runs: {}{more}",
                several.len(),
                names.join(", ")
            ))
            .hint("give more of the id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use runbook_core::{Timestamp, event::Summary};

    use super::*;

    fn head(id: &str) -> RunHead {
        RunHead {
            run: id.parse().unwrap(),
            seq: 1,
            updated_at: Timestamp::UNIX_EPOCH,
            summary: Summary {
                runbook: "a".to_owned(),
                environment: "demo".to_owned(),
                simulated: true,
                status: "running".to_owned(),
                recovered: None,
                requested_by: "alice".to_owned(),
                incident: None,
                started_at: Timestamp::UNIX_EPOCH,
                ended_at: None,
            },
        }
    }

    #[test]
    fn the_beginning_of_an_id_names_a_run_where_only_one_fits() {
        let runs = [head("run_01k9aaaaaaaaaaaaaaaaaaaaaa"), head("run_01k9bbbbbbbbbbbbbbbbbbbbbb")];
        for text in ["run_01k9a", "01k9a", "01K9A"] {
            assert_eq!(pick(&runs, text).unwrap(), runs[0].run, "{text}");
        }
        for (text, message) in [
            ("01k9", "fits 2 runs"),
            ("run_01k8", "no run begins with"),
            ("", "no run begins with"),
            ("run_", "no run begins with"),
        ] {
            let error = pick(&runs, text).unwrap_err();
            assert!(error.message.contains(message) && error.hint.is_some(), "{text}: {error}");
        }
        assert!(pick(&[], "01k9").unwrap_err().message.contains("no runs yet"));
    }
}
