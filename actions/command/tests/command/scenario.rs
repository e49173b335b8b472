//! A folder with a script, and an environment that allows it.

use std::{path::Path, sync::Arc};

use runbook_command::Config;
use runbook_contract::{Access, Action, Cx, Mode, PlanCx};
use runbook_core::{
    Timestamp, Value,
    change::{Change, Planned},
};
use serde_json::json;
use tempfile::TempDir;

pub struct Scene {
    pub folder: TempDir,
    pub config: Value,
}

impl Scene {
    /// Allows `sh script` with no further argument and with one of `words`, each with its effect.
    pub fn new(script: &str, words: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        std::fs::write(&path, script).unwrap();
        let rule = |args: Value, effect: &str| json!({ "name": "script", "program": "/bin/sh", "args": args, "effect": effect });
        let mut allow = vec![rule(json!([path]), "read")];
        allow.extend(words.iter().map(|(word, effect)| rule(json!([path, word]), effect)));
        let config = json!({ "allow": allow, "cwd": folder.path() });
        Self { folder, config }
    }

    pub fn argv(&self, words: &[&str]) -> Value {
        let script = self.folder.path().join("script");
        let mut argv = vec![json!("script"), json!(script)];
        argv.extend(words.iter().map(|word| json!(word)));
        Value::Array(argv)
    }

    pub fn action(&self, name: &str, mode: Mode) -> (Arc<dyn Action>, Arc<Access>) {
        let access = Access::new(mode);
        let config: Config = serde_json::from_value(self.config.clone()).unwrap();
        let actions = runbook_command::actions(&config, &access);
        (actions.into_iter().find(|action| action.spec().name == name).unwrap(), access)
    }

    pub fn file(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(name)).ok()
    }
}

pub fn cx() -> Cx {
    cx_within("20s")
}

pub fn cx_within(timeout: &str) -> Cx {
    let now = "2026-11-21T03:00:00Z".parse().unwrap();
    Cx { timeout: timeout.parse().unwrap(), idempotency_key: "run_1/step/0".to_owned(), now, speed: 1 }
}

pub fn plan_cx() -> PlanCx {
    PlanCx { started_at: Timestamp::UNIX_EPOCH, idempotency_key: String::new(), over_others: false }
}

/// Looks and plans, and expects a change.
pub async fn planned(action: &dyn Action, input: &Value) -> Change {
    let seen = action.observe(&cx(), input).await.unwrap();
    match action.plan(&plan_cx(), input, &seen).unwrap() {
        Planned::Change(change) => *change,
        already => panic!("{already:?}"),
    }
}

/// Waits until a process is gone or only its entry is left.
pub async fn gone(pid: &str) {
    let stat = Path::new("/proc").join(pid.trim()).join("stat");
    for _ in 0..1000 {
        match std::fs::read_to_string(&stat) {
            Err(_) => return,
            Ok(text) if text.contains(") Z ") => return,
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
    panic!("process {pid} still runs");
}
