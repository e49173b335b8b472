//! A shelf with slots: the action provider of these tests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use runbook_contract::{Access, Action, Cx, PlanCx, access::Intent};
use runbook_core::{
    Value,
    change::{Change, Observed, Planned, Request, Target, Undo, Validation},
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Reads, UndoSupport},
};
use runbook_engine::Secrets;
use serde_json::json;
use tokio::sync::Notify;

/// One secret.
#[derive(Debug)]
pub struct Vault;

impl Secrets for Vault {
    fn value(&self, name: &str) -> Result<String, String> {
        if name == "token" { Ok("hunter2-hunter2".to_owned()) } else { Err(format!("no secret `{name}`")) }
    }
    fn names(&self) -> Vec<String> {
        vec!["token".to_owned()]
    }
}

#[derive(Debug, Default)]
pub struct Shelf {
    slots: Mutex<BTreeMap<String, (i64, u32)>>,
    token: Mutex<Option<String>>,
    hang: AtomicBool,
    hung: Notify,
    answer: Notify,
    misbehave: AtomicBool,
}

impl Shelf {
    pub fn actions(self: &Arc<Self>, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
        ["shelf.get", "shelf.put", "shelf.echo"]
            .into_iter()
            .map(|name| {
                let act = Act { shelf: self.clone(), access: access.clone(), spec: spec(name) };
                Arc::new(act) as Arc<dyn Action>
            })
            .collect()
    }
    pub fn get(&self, slot: &str) -> i64 {
        self.slots.lock().unwrap().get(slot).map_or(0, |slot| slot.0)
    }
    pub fn puts(&self, slot: &str) -> u32 {
        self.slots.lock().unwrap().get(slot).map_or(0, |slot| slot.1)
    }
    pub fn token(&self) -> Option<String> {
        self.token.lock().unwrap().clone()
    }
    pub fn hang_after_next_put(&self) {
        self.hang.store(true, Ordering::SeqCst);
    }
    pub async fn hung(&self) {
        self.hung.notified().await;
    }
    /// The answer that did not come comes after all.
    pub fn answer(&self) {
        self.answer.notify_one();
    }
    pub fn write_while_validating(&self) {
        self.misbehave.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Act {
    shelf: Arc<Shelf>,
    access: Arc<Access>,
    spec: ActionSpec,
}

fn spec(name: &str) -> ActionSpec {
    ActionSpec {
        name: name.to_owned(),
        summary: "A shelf for tests".to_owned(),
        effect: if name == "shelf.put" { Effect::Write } else { Effect::Read },
        destructive_when: None,
        input: json!({ "type": "object", "properties": { "label": { "x-no-secrets": true } } }).into(),
        output: json!({ "type": "object" }).into(),
        undo: UndoSupport::None("a test".to_owned()),
        grade: Grade::Validated,
        reads: Reads::Configuration,
        permissions: vec![],
        example: json!({}),
    }
}

#[async_trait]
impl Action for Act {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, _: &Cx, input: &Value) -> Result<Observed, Fault> {
        self.access.admit(Intent::Read)?;
        let slot = input["slot"].as_str().unwrap_or_default();
        if self.spec.name == "shelf.echo" {
            return Ok(Observed::outputs(json!({ "echo": slot })));
        }
        let target = Some(Target::new(format!("shelf:{slot}"), None));
        Ok(Observed { target, ..Observed::outputs(json!({ "value": self.shelf.get(slot) })) })
    }

    fn plan(&self, _: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let after = json!({ "value": input["value"] });
        if seen.outputs == after {
            return Ok(Planned::Already {
                target: seen.target.clone(),
                summary: "there".to_owned(),
                outputs: after,
            });
        }
        Ok(Planned::Change(Box::new(Change {
            action: self.spec.name.clone(),
            input: input.clone(),
            target: seen.target.clone().unwrap(),
            summary: "put".to_owned(),
            effect: Effect::Write,
            before: seen.outputs.clone(),
            after,
            request: Request {
                method: "PUT".to_owned(),
                url: "/".to_owned(),
                body: input.clone(),
                content_type: None,
            },
            precondition: Value::Null,
            image: Value::Null,
            undo: Undo::Auto,
            warnings: vec![],
        })))
    }

    fn plan_undo(&self, cx: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        let input = json!({ "slot": change.input["slot"], "value": change.before["value"] });
        self.plan(cx, &input, seen)
    }

    async fn validate(&self, _: &Cx, _: &Change) -> Result<Validation, Fault> {
        if self.shelf.misbehave.load(Ordering::SeqCst) {
            self.access.admit(Intent::Write)?;
        }
        Ok(Validation::of(Grade::Validated, vec![]))
    }

    async fn apply(&self, _: &Cx, change: &Change) -> Result<Value, Fault> {
        self.access.admit(Intent::Write)?;
        let slot = change.input["slot"].as_str().unwrap_or_default().to_owned();
        *self.shelf.token.lock().unwrap() = change.input["token"].as_str().map(str::to_owned);
        {
            let mut slots = self.shelf.slots.lock().unwrap();
            let entry = slots.entry(slot).or_default();
            *entry = (change.input["value"].as_i64().unwrap(), entry.1 + 1);
        }
        if self.shelf.hang.swap(false, Ordering::SeqCst) {
            self.shelf.hung.notify_one();
            self.shelf.answer.notified().await;
        }
        Ok(change.after.clone())
    }

    fn within_limits(&self, input: &Value, limits: &Value) -> Result<(), Fault> {
        if input["value"].as_i64() > limits["max"].as_i64() {
            return Err(Fault::denied("more than the shelf may hold"));
        }
        Ok(())
    }
}
