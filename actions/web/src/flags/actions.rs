//! Looking at a flag and switching it.

use std::sync::Arc;

use async_trait::async_trait;
use runbook_contract::{Action, Cx, Obstacle, PlanCx, schema};
use runbook_core::{
    Value,
    change::{Change, Landed, Observed, Planned, Progress, Target, Undo},
    fault::{Fault, FaultKind},
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{FlagName, service::Service};
use crate::{client::Deadline, fault::obstacle};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The flag's name.
    flag: FlagName,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Output {
    flag: String,
    /// Whether it is on.
    enabled: bool,
}

pub(super) fn get_spec() -> ActionSpec {
    ActionSpec {
        name: "flags.get".to_owned(),
        summary: "Tells whether a feature flag is on".to_owned(),
        effect: Effect::Read,
        destructive_when: None,
        input: schema::of::<Input>(),
        output: schema::of::<Output>(),
        undo: UndoSupport::None("it only reads".to_owned()),
        grade: Grade::Observed,
        reads: Reads::Configuration,
        permissions: vec![Permission::Other("to read flags of the flag service".to_owned())],
        example: json!({ "flag": "recommendations" }),
    }
}

pub(super) fn switch_spec(on: bool) -> ActionSpec {
    ActionSpec {
        name: name_of(on).to_owned(),
        summary: format!("Switches a feature flag {}", word(on)),
        effect: Effect::Write,
        undo: UndoSupport::Auto("to the flag before".to_owned()),
        grade: Grade::Predicted,
        permissions: vec![
            Permission::Other("to read flags of the flag service".to_owned()),
            Permission::Other(
                "to switch flags in the environment (Unleash: UPDATE_FEATURE_ENVIRONMENT)".to_owned(),
            ),
        ],
        ..get_spec()
    }
}

fn name_of(on: bool) -> &'static str {
    if on { "flags.enable" } else { "flags.disable" }
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// What was seen of a flag.
fn seen(service: &Service, flag: &FlagName, enabled: bool) -> Observed {
    Observed {
        target: Some(Target::new(service.target(flag), None)),
        outputs: outputs(flag, enabled),
        ..Observed::default()
    }
}

fn outputs(flag: &FlagName, enabled: bool) -> Value {
    json!({ "flag": flag, "enabled": enabled })
}

async fn look(service: &Service, action: &str, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
    let Input { flag } = schema::read(action, input)?;
    let enabled = service.enabled(&flag, Deadline::after(cx.timeout)).await?;
    Ok(seen(service, &flag, enabled))
}

#[derive(Debug)]
pub(super) struct Get {
    spec: ActionSpec,
    service: Arc<Service>,
}

impl Get {
    pub fn new(service: Arc<Service>) -> Self {
        Self { spec: get_spec(), service }
    }
}

#[async_trait]
impl Action for Get {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        look(&self.service, &self.spec.name, cx, input).await
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        Ok(self.observe(cx, input).await.err().map(obstacle).into_iter().collect())
    }
}

/// `flags.disable` or `flags.enable`.
#[derive(Debug)]
pub(super) struct Switch {
    spec: ActionSpec,
    service: Arc<Service>,
    on: bool,
}

impl Switch {
    pub fn new(service: Arc<Service>, on: bool) -> Self {
        Self { spec: switch_spec(on), service, on }
    }

    /// From what a flag is to what it is to be. Also makes the change that undoes the other
    /// action, so everything after planning goes by the change alone.
    fn switch(&self, flag: &FlagName, seen: &Observed, on: bool) -> Result<Planned, Fault> {
        let enabled = enabled_in(&seen.outputs)?;
        let target = Target::new(self.service.target(flag), None);
        if enabled == on {
            let summary = format!("flag {flag} is already {}", word(on));
            return Ok(Planned::Already { target: Some(target), summary, outputs: outputs(flag, on) });
        }
        Ok(Planned::Change(Box::new(Change {
            action: name_of(on).to_owned(),
            input: json!({ "flag": flag }),
            target,
            summary: format!("flag {flag} {} -> {}", word(enabled), word(on)),
            effect: Effect::Write,
            before: json!({ "enabled": enabled }),
            after: json!({ "enabled": on }),
            request: self.service.switch(flag, on),
            precondition: Value::Null,
            image: Value::Null,
            undo: Undo::Auto,
            warnings: Vec::new(),
        })))
    }

    fn input(&self, input: &Value) -> Result<FlagName, Fault> {
        schema::read::<Input>(&self.spec.name, input).map(|input| input.flag)
    }
}

fn enabled_in(fields: &Value) -> Result<bool, Fault> {
    let enabled = fields.get("enabled").and_then(Value::as_bool);
    enabled.ok_or_else(|| Fault::permanent("nothing says whether the flag is on"))
}

#[async_trait]
impl Action for Switch {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        look(&self.service, &self.spec.name, cx, input).await
    }

    fn plan(&self, _: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        self.switch(&self.input(input)?, seen, self.on)
    }

    /// Flag services know no condition on a write, so it looks once more just before: the window
    /// in which another hand's switch is overwritten is one request long.
    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let flag = self.input(&change.input)?;
        let (before, after) = (enabled_in(&change.before)?, enabled_in(&change.after)?);
        let deadline = Deadline::after(cx.timeout);
        let now = self.service.enabled(&flag, deadline).await.map_err(|fault| match fault.kind {
            // Only the look failed; the write was not sent.
            FaultKind::Unreachable => Fault { kind: FaultKind::Refused, ..fault },
            _ => fault,
        })?;
        if now != before {
            return Err(Fault::conflict(format!(
                "flag {flag} was switched {} by someone else meanwhile",
                word(now)
            )));
        }
        self.service.send(&change.request, &cx.idempotency_key, deadline).await?;
        Ok(outputs(&flag, after))
    }

    async fn verify(&self, cx: &Cx, change: &Change) -> Result<Progress, Fault> {
        let flag = self.input(&change.input)?;
        let now = self.service.enabled(&flag, Deadline::after(cx.timeout)).await?;
        if now == enabled_in(&change.after)? {
            return Ok(Progress::Done(outputs(&flag, now)));
        }
        Ok(Progress::Pending(format!("flag {flag} is still {}", word(now))))
    }

    fn landed(&self, change: &Change, seen: &Observed) -> Landed {
        match (enabled_in(&seen.outputs), enabled_in(&change.before), enabled_in(&change.after)) {
            (Ok(now), _, Ok(after)) if now == after => Landed::Yes,
            // Switching to a state is the same done once or twice.
            (Ok(now), Ok(before), _) if now == before => Landed::No,
            _ => Landed::CannotTell,
        }
    }

    /// A flag has two states: one that is no longer as this run left it has been switched back
    /// by someone, and nothing remains to be undone.
    fn plan_undo(&self, _: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        self.switch(&self.input(&change.input)?, seen, enabled_in(&change.before)?)
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        Ok(self.observe(cx, input).await.err().map(obstacle).into_iter().collect())
    }
}
