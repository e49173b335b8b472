//! `command.run`: a change made by a program. What it changes only the runbook knows: `observe`
//! says what is there, `after` what will be, `verify` when it is complete, `undo` how to take it
//! back. Whatever is not given cannot be claimed.
//!
//! A program that ends with another code than 0 may have done half of its work, so the outcome is
//! in doubt, unless the code is listed in `not_applied`. A program may also outlive a crash of
//! this process; a state that looks untouched therefore only proves that running it again is safe
//! where the runbook says that it is `repeatable`.

use std::sync::Arc;

use async_trait::async_trait;
use runbook_contract::{Action, Cx, Obstacle, PlanCx, schema};
use runbook_core::{
    Value,
    change::{Change, Landed, Observed, Planned, Progress, Request, Target, Undo, Validation, brief},
    fault::{Fault, FaultKind},
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
    unknown,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::programs::{Deadline, Line, Programs};

const NAME: &str = "command.run";
const LARGEST_STATE: usize = 8 * 1024;
const LONGEST_TARGET: usize = 100;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The program that makes the change, and its arguments, one by one. No secrets: everyone on
    /// the machine sees arguments. Either `argv` or `apply`, which mean the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-no-secrets" = true))]
    argv: Vec<String>,
    /// The program that makes the change, beside `observe` and `undo`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-no-secrets" = true))]
    apply: Vec<String>,
    /// A program that prints the state that the change is about, as JSON; where it prints none,
    /// its exit code is the state: `{ "exit_code": 1 }`. The environment must allow it with
    /// `effect: read`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-no-secrets" = true))]
    observe: Vec<String>,
    /// What `observe` will see once the change is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
    /// A program that ends with 0 once the change is complete; asked again until then. The
    /// environment must allow it with `effect: read`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-no-secrets" = true))]
    verify: Vec<String>,
    /// The program that takes the change back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-no-secrets" = true))]
    undo: Vec<String>,
    /// Given to the program that makes the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
    /// What is changed, in a word or two. Two runs never change the same at once. The program's
    /// name if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), extend("x-no-secrets" = true))]
    target: Option<String>,
    /// Exit codes by which the program says that it changed nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_applied: Vec<i32>,
    /// Whether running the program twice does the same as once, so that it may be run again when
    /// nobody can tell whether it ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    repeatable: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Output {
    /// Whether the program ran; not where everything was already as asked.
    ran: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// The first 64 KiB of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    /// What the program printed, where all of it is JSON; else null.
    json: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_ms: Option<u64>,
}

pub(crate) fn spec() -> ActionSpec {
    ActionSpec {
        name: NAME.to_owned(),
        summary: "Runs a program that changes something, with programs of its own to observe and undo".to_owned(),
        effect: Effect::Write,
        destructive_when: None,
        input: schema::of::<Input>(),
        output: schema::of::<Output>(),
        undo: UndoSupport::Auto("by the program given as `undo`; without one, not at all".to_owned()),
        grade: Grade::Predicted,
        reads: Reads::Configuration,
        permissions: vec![Permission::Other(
            "to start the programs as the user of this process; the environment lists them under `command.allow`, which may raise the effect to destructive"
                .to_owned(),
        )],
        example: json!({
            "apply": ["/opt/ops/maintenance", "on"],
            "observe": ["/opt/ops/maintenance", "status"],
            "after": { "maintenance": true },
            "undo": ["/opt/ops/maintenance", "off"],
            "target": "maintenance mode"
        }),
    }
}

impl Input {
    fn read(input: &Value) -> Result<Self, Fault> {
        let mut input: Self = schema::read(NAME, input)?;
        if input.argv.is_empty() == input.apply.is_empty() {
            return Err(Fault::permanent("exactly one of `argv` and `apply` is needed")
                .hint("name the program that makes the change, and its arguments"));
        }
        if input.apply.is_empty() {
            input.apply = std::mem::take(&mut input.argv);
        }
        if input.after.is_some() && input.observe.is_empty() {
            return Err(Fault::permanent("`after` says what `observe` will see, but there is no `observe`"));
        }
        Ok(input)
    }

    fn observes(&self) -> bool {
        !self.observe.is_empty()
    }

    /// The input of the change that takes this one back to `before`.
    fn inverse(&self, before: &Value) -> Self {
        Self {
            apply: self.undo.clone(),
            observe: self.observe.clone(),
            after: self.observes().then(|| before["state"].clone()),
            target: self.target.clone(),
            not_applied: self.not_applied.clone(),
            repeatable: self.repeatable,
            ..Self::default()
        }
    }
}

#[derive(Debug)]
pub(crate) struct Run {
    spec: ActionSpec,
    programs: Arc<Programs>,
}

impl Run {
    pub fn new(programs: Arc<Programs>) -> Self {
        Self { spec: spec(), programs }
    }

    /// The state that the change is about, as it is now.
    async fn look(&self, input: &Input, key: &str, deadline: Deadline) -> Result<Value, Fault> {
        let end = self.programs.read(Line { argv: &input.observe, stdin: None, key, deadline }).await?;
        if end.cut {
            return Err(Fault::permanent("`observe` printed more than 64 KiB")
                .hint("let it print the few fields that the change alters"));
        }
        match &end.json {
            Some(state) if end.code == 0 && state.to_string().len() > LARGEST_STATE => {
                Err(Fault::permanent("`observe` printed more than 8 KiB of JSON")
                    .hint("let it print the few fields that the change alters"))
            }
            Some(state) if end.code == 0 => Ok(state.clone()),
            Some(_) => {
                Err(Fault::unreachable(format!("`observe` ended with {}: {}", end.code, end.last_words())))
            }
            None => Ok(json!({ "exit_code": end.code })),
        }
    }

    /// The change that an input is. Every program that it will need must be allowed now, not
    /// only when it is needed.
    fn change(&self, input: &Input, before: Value, after: Value) -> Result<Change, Fault> {
        let rule = self.programs.rule(&input.apply)?;
        for reading in [&input.observe, &input.verify].into_iter().filter(|argv| !argv.is_empty()) {
            self.programs.reading_rule(reading)?;
        }
        if !input.undo.is_empty() {
            self.programs.rule(&input.undo)?;
        }
        let target = input.target.as_deref().unwrap_or(rule.label());
        if target.is_empty() || target.len() > LONGEST_TARGET {
            return Err(Fault::permanent(format!("`target` has between 1 and {LONGEST_TARGET} bytes")));
        }
        let mut body = json!({ "argv": input.apply });
        if let Some(stdin) = &input.stdin {
            body["stdin"] = json!(stdin);
        }
        let summary = match &input.after {
            Some(state) => format!("{target}: {} -> {}", brief(&before["state"]), brief(state)),
            None => format!("run {}", brief(&Value::String(input.apply.join(" ")))),
        };
        Ok(Change {
            action: NAME.to_owned(),
            input: to_value(input)?,
            target: Target::new(format!("command:{target}"), None),
            summary,
            effect: rule.effect.max(Effect::Write),
            before,
            after,
            request: Request {
                method: "RUN".to_owned(),
                url: rule.program.path().display().to_string(),
                body,
                content_type: None,
            },
            precondition: Value::Null,
            image: Value::Null,
            undo: if input.undo.is_empty() {
                Undo::None("no `undo` program is given".to_owned())
            } else {
                Undo::Auto
            },
            warnings: warnings(input),
        })
    }
}

fn warnings(input: &Input) -> Vec<String> {
    let told = input.observes() && input.after.is_some();
    if told || input.repeatable {
        return Vec::new();
    }
    let missing = if input.observes() { "`after`" } else { "`observe` and `after`" };
    vec![format!("without {missing} nobody can tell whether it took effect, should its end get lost")]
}

fn to_value(value: impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|error| Fault::permanent(error.to_string()))
}

#[async_trait]
impl Action for Run {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input = Input::read(input)?;
        let state = if input.observes() {
            json!({ "state": self.look(&input, &cx.idempotency_key, Deadline::after(cx.timeout)).await? })
        } else {
            Value::Null
        };
        Ok(Observed { outputs: to_value(Output::default())?, state, ..Observed::default() })
    }

    fn plan(&self, _: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let input = Input::read(input)?;
        if !input.observes() {
            let change = self.change(&input, json!({ "ran": false }), json!({ "ran": true }))?;
            return Ok(Planned::Change(Box::new(change)));
        }
        let after = input
            .after
            .clone()
            .unwrap_or_else(|| unknown::because("only `observe` will tell, after the program has run"));
        let change = self.change(&input, seen.state.clone(), json!({ "state": after }))?;
        Ok(planned(change, seen))
    }

    async fn validate(&self, _: &Cx, change: &Change) -> Result<Validation, Fault> {
        let grade = if unknown::within(&change.after) { Grade::Unknown } else { Grade::Predicted };
        Ok(Validation::of(grade, Vec::new()))
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let input = Input::read(&change.input)?;
        let (key, deadline) = (cx.idempotency_key.as_str(), Deadline::after(cx.timeout));
        if input.observes() {
            let now = self.look(&input, key, deadline).await.map_err(nothing_ran)?;
            if now != change.before["state"] {
                return Err(Fault::conflict(format!("the state is now {}", brief(&now))));
            }
        }
        let line = Line { argv: &input.apply, stdin: input.stdin.as_deref(), key, deadline };
        let end = self.programs.write(line).await?;
        if end.code == 0 {
            return to_value(Output {
                ran: true,
                exit_code: Some(end.code),
                stdout: Some(end.stdout),
                stderr: Some(end.stderr),
                json: end.json.unwrap_or_default(),
                time_ms: Some(u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX)),
            });
        }
        let message = format!("the program ended with {}: {}", end.code, end.last_words());
        if input.not_applied.contains(&end.code) {
            return Err(Fault::refused(message).hint("by this code it says that it changed nothing"));
        }
        Err(Fault::unknown(message).hint("it may have done a part of its work; codes that mean that it did nothing belong into `not_applied`"))
    }

    async fn verify(&self, cx: &Cx, change: &Change) -> Result<Progress, Fault> {
        let input = Input::read(&change.input)?;
        let (key, deadline) = (cx.idempotency_key.as_str(), Deadline::after(cx.timeout));
        if !input.verify.is_empty() {
            let end = self.programs.read(Line { argv: &input.verify, stdin: None, key, deadline }).await?;
            return Ok(match end.code {
                0 => Progress::Done(Value::Null),
                code => Progress::Pending(format!("`verify` ended with {code}: {}", end.last_words())),
            });
        }
        let Some(after) = &input.after else { return Ok(Progress::Done(Value::Null)) };
        let now = self.look(&input, key, deadline).await?;
        if now == *after {
            return Ok(Progress::Done(Value::Null));
        }
        Ok(Progress::Pending(format!("the state is {}, not yet {}", brief(&now), brief(after))))
    }

    fn landed(&self, change: &Change, seen: &Observed) -> Landed {
        let now = seen.state.get("state");
        let is = |side: &Value| now.is_some() && now == side.get("state");
        if !unknown::within(&change.after) && is(&change.after) {
            return Landed::Yes;
        }
        let repeatable = Input::read(&change.input).is_ok_and(|input| input.repeatable);
        let untouched = now.is_none() || is(&change.before);
        if repeatable && untouched { Landed::No } else { Landed::CannotTell }
    }

    fn plan_undo(&self, cx: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        let input = Input::read(&change.input)?;
        if input.undo.is_empty() {
            return Err(Fault::permanent("no `undo` program is given").hint("take it back by hand"));
        }
        let inverse = input.inverse(&change.before);
        if !input.observes() {
            let undo = self.change(&inverse, json!({ "undone": false }), json!({ "undone": true }))?;
            return Ok(Planned::Change(Box::new(Change { target: change.target.clone(), ..undo })));
        }
        let undo = self.change(&inverse, seen.state.clone(), change.before.clone())?;
        let undo = Change { target: change.target.clone(), ..undo };
        let as_left = unknown::within(&change.after) || seen.state == change.after;
        match planned(undo, seen) {
            Planned::Change(_) if !as_left && !cx.over_others => Err(Fault::conflict(format!(
                "the state is {}, not the {} that this run left",
                brief(&seen.state["state"]),
                brief(&change.after["state"])
            ))),
            planned => Ok(planned),
        }
    }

    async fn preflight(&self, _: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input = Input::read(input)?;
        let programs =
            [(&input.apply, false), (&input.observe, true), (&input.verify, true), (&input.undo, false)];
        let given = programs.into_iter().filter(|(argv, _)| !argv.is_empty());
        Ok(given.filter_map(|(argv, reads)| self.programs.obstacle(argv, reads)).collect())
    }
}

/// The change, or that there is none to make.
fn planned(change: Change, seen: &Observed) -> Planned {
    if change.before != change.after {
        return Planned::Change(Box::new(change));
    }
    let summary = format!("the state is already {}", brief(&change.after["state"]));
    Planned::Already { target: Some(change.target), summary, outputs: seen.outputs.clone() }
}

/// A failed look before a write leaves the write undone, which is all that the engine asks.
fn nothing_ran(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Unreachable => Fault { kind: FaultKind::Refused, ..fault },
        _ => fault,
    }
}
