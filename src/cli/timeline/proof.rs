//! The proof that a run's entries are those that were written.

use runbook_core::event::{Broken, RunId};
use runbook_engine::Engine;
use serde_json::{Value, json};

use crate::{
    cli::{
        App,
        paint::{Paint, Tone},
    },
    exit::{CliError, Exit},
};

/// Proves the chains of the runs, all of them even where the first is broken.
pub async fn verify(engine: &Engine, runs: &[RunId], as_json: bool, app: &App) -> Result<Exit, CliError> {
    let mut proofs = Vec::with_capacity(runs.len());
    for run in runs {
        proofs.push((*run, engine.verify(*run).await?));
    }
    if as_json {
        let documents: Value = proofs.iter().map(|(run, proof)| document(*run, proof)).collect();
        app.print(&format!("{documents:#}\n"));
    } else {
        let paint = Paint::stdout(app);
        app.print(&proofs.iter().map(|(run, proof)| line(*run, proof, paint)).collect::<String>());
    }
    if proofs.iter().any(|(_, proof)| proof.is_err()) {
        app.say("the journal is not what was written: keep a copy as evidence, and restore a backup");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Success)
}

fn document(run: RunId, proof: &Result<u64, Broken>) -> Value {
    match proof {
        Ok(entries) => json!({ "run": run, "intact": true, "entries": entries }),
        Err(broken) => {
            json!({ "run": run, "intact": false, "entry": broken.seq(), "problem": broken.to_string() })
        }
    }
}

fn line(run: RunId, proof: &Result<u64, Broken>, paint: Paint) -> String {
    match proof {
        Ok(entries) => {
            let word = paint.tone(Tone::Good, "intact");
            format!("{run}  {word}: {entries} entries, none changed, none missing\n")
        }
        Err(broken) => format!("{run}  {}: {broken}\n", paint.tone(Tone::Bad, "broken")),
    }
}
