//! The built binary with its own store and configuration, for a handful of scenarios: what the
//! engine shows in process is what people get.

use std::{fs, path::Path};

use runbook_core::Value;
use serde_json::json;

use crate::bench::Stage;

/// A folder with a configuration, and one runbook of these steps.
pub fn project(folder: &Path, kubeconfig: &str, steps: &Value) {
    let mut steps = steps.clone();
    for step in steps.as_array_mut().unwrap() {
        step.as_object_mut().unwrap().remove("approval");
    }
    fs::create_dir(folder.join("playbooks")).unwrap();
    fs::write(folder.join("kubeconfig"), kubeconfig).unwrap();
    let runbook = json!({"apiVersion": "runbook/v1", "name": "scenario", "steps": steps});
    fs::write(folder.join("playbooks/scenario.yaml"), runbook.to_string()).unwrap();
    let config = json!({
        "version": 1, "playbooks": "playbooks", "store": "sqlite:runs.db", "default_environment": "here",
        "environments": {"here": {"kubernetes": {"kubeconfig": folder.join("kubeconfig")}}},
    });
    fs::write(folder.join("runbook.yaml"), config.to_string()).unwrap();
}

/// The documents of the dry-run and of the live run, and the writes that arrived during each.
pub async fn both(folder: &Path, stage: &dyn Stage) -> [(Value, usize); 2] {
    let dry = document(folder, &["--dry-run"]).await;
    let written = stage.proxy().writes().len();
    let live = document(folder, &[]).await;
    [(dry, written), (live, stage.proxy().writes().len() - written)]
}

async fn document(folder: &Path, more: &[&str]) -> Value {
    let mut run = tokio::process::Command::new(env!("CARGO_BIN_EXE_runbook"));
    run.args([&["run", "scenario", "--output", "json"], more].concat())
        .current_dir(folder)
        .env_remove("RUNBOOK_CONFIG")
        .stdin(std::process::Stdio::null());
    let output = run.output().await.unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}
