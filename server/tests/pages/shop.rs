//! A small world: a shop whose latency falls when it has enough pods.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use runbook_contract::{Access, Action, Cx, PlanCx, access::Intent};
use runbook_core::{
    Value,
    change::{Change, Observed, Planned, Request, Target, Undo, Validation},
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Reads, UndoSupport},
};
use serde_json::json;

#[derive(Debug)]
pub struct Shop {
    pub pods: AtomicI64,
}

impl Default for Shop {
    fn default() -> Self {
        Self { pods: AtomicI64::new(3) }
    }
}

impl Shop {
    pub fn actions(self: &Arc<Self>, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
        let act = |name: &str, effect: Effect| {
            Arc::new(Act { shop: self.clone(), access: access.clone(), spec: spec(name, effect) })
                as Arc<dyn Action>
        };
        vec![
            act("shop.look", Effect::Read),
            act("shop.scale", Effect::Write),
            act("shop.close", Effect::Destructive),
            act("shop.rewrite", Effect::Write),
            act("shop.vague", Effect::Write),
            act("shop.broken", Effect::Write),
        ]
    }
}

#[derive(Debug)]
struct Act {
    shop: Arc<Shop>,
    access: Arc<Access>,
    spec: ActionSpec,
}

fn spec(name: &str, effect: Effect) -> ActionSpec {
    ActionSpec {
        name: name.to_owned(),
        summary: "A shop".to_owned(),
        effect,
        destructive_when: None,
        input: json!({ "type": "object" }).into(),
        output: json!({ "type": "object" }).into(),
        undo: UndoSupport::Auto("the pods that there were".to_owned()),
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
        let pods = self.shop.pods.load(Ordering::SeqCst);
        let latency = if pods >= 10 { 0.31 } else { 2.43 };
        let name = input["name"].as_str().unwrap_or("api");
        Ok(Observed {
            target: Some(Target::new(format!("kubernetes:production/deployment/{name}"), None)),
            warnings: vec!["an HPA governs this deployment".to_owned()],
            ..Observed::outputs(json!({ "value": latency, "pods": pods }))
        })
    }

    fn plan(&self, _: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let (from, to) = (&seen.outputs["pods"], &input["pods"]);
        let target = seen.target.clone().ok_or_else(|| Fault::permanent("no target"))?;
        if from == to {
            return Ok(Planned::Already {
                target: Some(target),
                summary: format!("{to} pods"),
                outputs: json!({ "pods": to }),
            });
        }
        let image = "registry.example.com/shop/api:1.42.0";
        let state = |pods: &Value| match self.spec.name.as_str() {
            "shop.rewrite" => settings(pods),
            _ => json!({ "spec": { "replicas": pods, "template": { "image": image } } }),
        };
        Ok(Planned::Change(Box::new(Change {
            action: self.spec.name.clone(),
            input: input.clone(),
            summary: format!("replicas {from} -> {to}"),
            effect: self.spec.effect,
            before: state(from),
            after: state(to),
            request: Request {
                method: "PATCH".to_owned(),
                url: format!("https://cluster.example.com/apis/apps/v1/{}", target.name),
                body: json!({ "spec": { "replicas": to } }),
                content_type: None,
            },
            target,
            precondition: Value::Null,
            image: Value::Null,
            undo: Undo::Auto,
            warnings: vec![],
        })))
    }

    fn plan_undo(&self, cx: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        let now = &seen.outputs["pods"];
        if *now != change.after["spec"]["replicas"] {
            return Err(Fault::conflict(format!("somebody else has set replicas to {now} since")));
        }
        let input = json!({ "name": change.input["name"], "pods": change.before["spec"]["replicas"] });
        self.plan(cx, &input, seen)
    }

    async fn validate(&self, _: &Cx, _: &Change) -> Result<Validation, Fault> {
        Ok(Validation::of(Grade::Validated, vec![]))
    }

    async fn apply(&self, _: &Cx, change: &Change) -> Result<Value, Fault> {
        self.access.admit(Intent::Write)?;
        match self.spec.name.as_str() {
            "shop.vague" => {
                // Neither what was before nor what is wanted: nobody can tell what became of it.
                self.shop.pods.fetch_add(40, Ordering::SeqCst);
                return Err(Fault::unknown("the connection was lost after the request was sent"));
            }
            "shop.broken" => {
                return Err(Fault::permanent(
                    "admission webhook \"quota.example.com\" denied the request: 12 pods \
                     are more than the 8 that the namespace shop may have",
                )
                .hint("ask the platform team for a larger quota, or scale to 8"));
            }
            _ => {}
        }
        let pods = change.after["spec"]["replicas"].as_i64().unwrap_or_default();
        self.shop.pods.store(pods, Ordering::SeqCst);
        Ok(json!({ "pods": pods }))
    }
}

/// A state of many fields, with long names and long values.
fn settings(pods: &Value) -> Value {
    let env: serde_json::Map<String, Value> = (0..40)
        .map(|number| {
            let value = format!("https://config-{number}.internal.example.com/a/rather/long/path/for/{pods}/pods?and=more&than=fits");
            (format!("SHOP_CHECKOUT_PAYMENT_PROVIDER_SETTING_{number}"), Value::from(value))
        })
        .collect();
    json!({ "spec": { "replicas": pods, "template": { "env": env } } })
}
