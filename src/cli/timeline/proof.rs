//! The proof that the entries of a run or an incident are those that were written.

use runbook_core::{
    event::{Broken, RunId},
    incident::IncidentId,
};
use runbook_desk::Desk;
use runbook_engine::Engine;
use serde_json::{Value, json};

use crate::{
    cli::{
        App,
        paint::{Paint, Tone},
    },
    exit::{CliError, Exit},
};

/// One chain: what it is of, by its kind and its id, and whether it holds.
struct Proof {
    kind: &'static str,
    id: String,
    outcome: Result<u64, Broken>,
}

/// Proves the chains of an incident and of runs, all of them even where the first is broken.
pub async fn verify(
    desk: &Desk,
    engine: &Engine,
    incident: Option<IncidentId>,
    runs: &[RunId],
    as_json: bool,
    app: &App,
) -> Result<Exit, CliError> {
    let mut proofs = Vec::with_capacity(runs.len() + 1);
    if let Some(id) = incident {
        proofs.push(Proof { kind: "incident", id: id.to_string(), outcome: desk.verify_incident(id).await? });
    }
    for run in runs {
        proofs.push(Proof { kind: "run", id: run.to_string(), outcome: engine.verify(*run).await? });
    }
    if as_json {
        let documents: Value = proofs.iter().map(document).collect();
        app.print(&format!("{documents:#}\n"));
    } else {
        let paint = Paint::stdout(app);
        app.print(&proofs.iter().map(|proof| line(proof, paint)).collect::<String>());
    }
    if proofs.iter().any(|proof| proof.outcome.is_err()) {
        app.say("the journal is not what was written: keep a copy as evidence, and restore a backup");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Success)
}

fn document(Proof { kind, id, outcome }: &Proof) -> Value {
    let mut document = json!({});
    document[*kind] = json!(id);
    match outcome {
        Ok(entries) => {
            document["intact"] = json!(true);
            document["entries"] = json!(entries);
        }
        Err(broken) => {
            document["intact"] = json!(false);
            document["entry"] = json!(broken.seq());
            document["problem"] = json!(broken.to_string());
        }
    }
    document
}

fn line(Proof { id, outcome, .. }: &Proof, paint: Paint) -> String {
    match outcome {
        Ok(entries) => {
            let word = paint.tone(Tone::Good, "intact");
            format!("{id}  {word}: {entries} entries, none changed, none missing\n")
        }
        Err(broken) => format!("{id}  {}: {broken}\n", paint.tone(Tone::Bad, "broken")),
    }
}
