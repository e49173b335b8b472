//! The laws that every action obeys, as checks that any provider's tests call.

use runbook_core::{
    change::Planned,
    spec::{Effect, UndoSupport},
};

use crate::{Access, Action, Cx, Mode, PlanCx, Registry, access::Intent};

/// What is true of an action before it is ever called. Returns what is wrong, in words.
pub fn of_spec(action: &dyn Action) -> Vec<String> {
    let spec = action.spec();
    let mut broken = Vec::new();
    let mut require = |holds: bool, law: &str| {
        if !holds {
            broken.push(format!("{}: {law}", spec.name));
        }
    };
    require(spec.name.split('.').count() == 2, "the name is `provider.action`");
    require(!spec.summary.is_empty(), "there is a summary");
    require(spec.input.get("type").is_some_and(|kind| kind == "object"), "the input is an object");
    require(
        spec.input.get("additionalProperties").is_some_and(|open| open == false),
        "the input takes no unknown fields",
    );
    require(spec.output.get("type").is_some_and(|kind| kind == "object"), "the output is an object");
    let reads_only = spec.effect == Effect::Read;
    require(!reads_only || matches!(spec.undo, UndoSupport::None(_)), "what only reads has nothing to undo");
    require(!reads_only || spec.destructive_when.is_none(), "what only reads is never destructive");
    let given = spec.example.as_object();
    require(given.is_some(), "the example is an object");
    for name in given.into_iter().flat_map(|example| example.keys()) {
        require(spec.inputs().any(|known| known == name), "the example uses known fields");
    }
    let required = spec.input.get("required").and_then(serde_json::Value::as_array);
    for name in required.into_iter().flatten().filter_map(serde_json::Value::as_str) {
        require(spec.example.get(name).is_some(), "the example gives every required field");
    }
    broken
}

/// Laws of a changing action against a live target: planning is pure, reading and planning write
/// nothing, the image before is kept. Returns what is wrong, in words.
pub async fn of_change(
    action: &dyn Action,
    access: &Access,
    cx: &Cx,
    input: &serde_json::Value,
) -> Vec<String> {
    let mut broken = Vec::new();
    let before = access.writes_sent();
    let plan_cx =
        PlanCx { started_at: cx.now, idempotency_key: cx.idempotency_key.clone(), over_others: false };
    match action.observe(cx, input).await {
        Err(fault) => broken.push(format!("observe failed: {fault}")),
        Ok(seen) => {
            let (first, second) = (action.plan(&plan_cx, input, &seen), action.plan(&plan_cx, input, &seen));
            if first != second {
                broken.push("planning twice from one observation gave two plans".to_owned());
            }
            match first {
                Ok(Planned::Change(change)) => {
                    if change.before == change.after {
                        broken.push("the change changes nothing".to_owned());
                    }
                    if let Err(fault) = action.validate(cx, &change).await {
                        broken.push(format!("validate failed: {fault}"));
                    }
                }
                Ok(Planned::Already { .. }) => {}
                Err(fault) => broken.push(format!("plan failed: {fault}")),
            }
        }
    }
    if access.writes_sent() != before {
        broken.push("looking and planning sent a write".to_owned());
    }
    broken
}

/// Laws of a whole registry: no two specs that disagree with their name.
pub fn of_registry(registry: &Registry) -> Vec<String> {
    registry.iter().flat_map(|action| of_spec(action.as_ref())).collect()
}

/// A guard that refuses writes does refuse them.
pub fn of_access() -> bool {
    let access = Access::new(Mode::ReadOnly);
    access.admit(Intent::Write).is_err() && access.writes_sent() == 0 && access.admit(Intent::Read).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_read_only_access_refuses_writes() {
        assert!(super::of_access());
    }
}
