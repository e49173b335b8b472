//! `command.check`: what a program that only reads has to say.

use std::sync::Arc;

use async_trait::async_trait;
use runbook_contract::{Action, Cx, Obstacle, schema};
use runbook_core::{
    Value,
    change::Observed,
    duration::Duration,
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    program::End,
    programs::{Deadline, Line, Programs},
};

const NAME: &str = "command.check";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The program and its arguments, one by one; the environment must allow them with
    /// `effect: read`. No secrets: everyone on the machine sees arguments.
    #[schemars(length(min = 1), extend("x-no-secrets" = true))]
    argv: Vec<String>,
    /// Given to the program to read; closed if not given.
    stdin: Option<String>,
    /// How long the program may take.
    timeout: Option<Duration>,
}

/// What the program answered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Output {
    /// Of a program ended by a signal, 128 and the signal.
    exit_code: i32,
    /// Whether the exit code is 0.
    ok: bool,
    /// The first 64 KiB of it.
    stdout: String,
    stderr: String,
    /// What the program printed, where all of it is JSON; else null.
    json: Value,
    time_ms: u64,
}

pub(crate) fn spec() -> ActionSpec {
    ActionSpec {
        name: NAME.to_owned(),
        summary: "Runs a program that only reads, and gives its exit code and what it printed".to_owned(),
        effect: Effect::Read,
        destructive_when: None,
        input: schema::of::<Input>(),
        output: schema::of::<Output>(),
        undo: UndoSupport::None("it only reads".to_owned()),
        grade: Grade::Observed,
        reads: Reads::Behaviour,
        permissions: vec![Permission::Other(
            "to start the program as the user of this process; the environment lists it under `command.allow` with `effect: read`"
                .to_owned(),
        )],
        example: json!({ "argv": ["/usr/bin/git", "log", "--oneline", "--since=24 hours ago"] }),
    }
}

#[derive(Debug)]
pub(crate) struct Check {
    spec: ActionSpec,
    programs: Arc<Programs>,
}

impl Check {
    pub fn new(programs: Arc<Programs>) -> Self {
        Self { spec: spec(), programs }
    }
}

#[async_trait]
impl Action for Check {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input: Input = schema::read(NAME, input)?;
        let timeout = input.timeout.map_or(cx.timeout, |timeout| timeout.min(cx.timeout));
        let line = Line {
            argv: &input.argv,
            stdin: input.stdin.as_deref(),
            key: &cx.idempotency_key,
            deadline: Deadline::after(timeout),
        };
        let End { code, stdout, stderr, json, cut, took } = self.programs.read(line).await?;
        let output = Output {
            exit_code: code,
            ok: code == 0,
            stdout,
            stderr,
            json: json.unwrap_or_default(),
            time_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        let outputs = serde_json::to_value(output).map_err(|error| Fault::permanent(error.to_string()))?;
        let warnings =
            if cut { vec!["the program printed more than is kept".to_owned()] } else { Vec::new() };
        Ok(Observed { outputs, warnings, ..Observed::default() })
    }

    async fn preflight(&self, _: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input: Input = schema::read(NAME, input)?;
        Ok(self.programs.obstacle(&input.argv, true).into_iter().collect())
    }
}
