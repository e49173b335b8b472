//! The world of the tests: a few actions, groups and secrets.

use std::collections::{BTreeMap, BTreeSet};

use runbook_core::{
    check::{Catalog, Floor},
    spec::{ActionSpec, Effect, Grade, Reads, UndoSupport},
};
use serde_json::{Value, json};

/// The catalog that the cases are checked against.
pub fn catalog() -> Catalog {
    let namespaced = |more: Value| object(json!({ "namespace": { "type": "string" } }), more, &["namespace"]);
    let deployment = |more: Value| {
        let mut fields = json!({ "deployment": { "type": "string", "description": "Its name." } });
        merge(&mut fields, more);
        object(json!({ "namespace": { "type": "string" } }), fields, &["namespace", "deployment"])
    };
    let specs = [
        reads(
            "kubernetes.pods",
            namespaced(json!({ "selector": { "type": "string" } })),
            object(
                json!({ "ready": { "type": "integer" }, "desired": { "type": "integer" } }),
                json!({ "pods": { "type": "array", "items": { "type": "object" } },
                        "worst": { "type": "object", "properties": { "name": { "type": "string" } },
                                   "additionalProperties": false } }),
                &[],
            ),
        ),
        reads(
            "kubernetes.rollout_history",
            deployment(json!({})),
            object(json!({ "last_change_age": { "type": "number" } }), json!({}), &[]),
        ),
        changes(
            "kubernetes.rollout_undo",
            Effect::Write,
            deployment(json!({ "to_revision": { "type": "integer", "minimum": 1 } })),
            UndoSupport::Auto("the revision before".to_owned()),
        ),
        changes(
            "kubernetes.rollout_restart",
            Effect::Write,
            deployment(json!({})),
            UndoSupport::None("a restart leaves nothing to go back to".to_owned()),
        ),
        ActionSpec {
            destructive_when: Some("replicas == 0".to_owned()),
            ..changes(
                "kubernetes.scale",
                Effect::Write,
                object(
                    json!({ "namespace": { "type": "string" }, "deployment": { "type": "string" } }),
                    json!({ "replicas": { "type": "integer", "minimum": 0, "maximum": 500 } }),
                    &["namespace", "deployment", "replicas"],
                ),
                UndoSupport::Auto("the replicas before".to_owned()),
            )
        },
        changes(
            "redis.flush",
            Effect::Destructive,
            object(json!({ "database": { "type": "integer" } }), json!({}), &[]),
            UndoSupport::None("what was in the cache is gone".to_owned()),
        ),
        reads(
            "prometheus.query",
            object(json!({ "query": { "type": "string" } }), json!({}), &["query"]),
            object(json!({ "value": { "type": "number" } }), json!({}), &[]),
        ),
        reads("http.get", object(json!({ "url": { "type": "string" } }), json!({}), &["url"]), json!({})),
        changes(
            "slack.post",
            Effect::Write,
            object(
                json!({ "channel": { "type": "string" } }),
                json!({ "text": { "type": "string", "x-no-secrets": true }, "template": { "enum": ["declared", "update", "resolved"] } }),
                &["channel"],
            ),
            UndoSupport::None("people have read it".to_owned()),
        ),
        changes(
            "flags.disable",
            Effect::Write,
            object(
                json!({ "flag": { "type": "string" } }),
                json!({ "token": { "type": "string" } }),
                &["flag"],
            ),
            UndoSupport::Auto("the flag before".to_owned()),
        ),
    ];
    let group =
        |name: &str, people: &[&str]| (name.to_owned(), people.iter().map(|p| (*p).to_owned()).collect());
    Catalog {
        specs: specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
        groups: Some(BTreeMap::from([
            group("sre-oncall", &["alice", "bob"]),
            group("incident-commander", &["carol"]),
            group("nobody", &[]),
        ])),
        secrets: Some(BTreeSet::from(["flags_token".to_owned()])),
        floors: vec![Floor {
            effect: Effect::Destructive,
            action: None,
            count: 2,
            from: vec!["sre-oncall".to_owned(), "incident-commander".to_owned()],
        }],
    }
}

fn object(mut fields: Value, more: Value, required: &[&str]) -> Value {
    merge(&mut fields, more);
    json!({ "type": "object", "properties": fields, "required": required, "additionalProperties": false })
}

fn merge(fields: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (fields, more) {
        fields.extend(more);
    }
}

fn reads(name: &str, input: Value, output: Value) -> ActionSpec {
    ActionSpec {
        name: name.to_owned(),
        summary: String::new(),
        effect: Effect::Read,
        destructive_when: None,
        input: input.into(),
        output: output.into(),
        undo: UndoSupport::None("it only reads".to_owned()),
        grade: Grade::Observed,
        reads: Reads::Behaviour,
        permissions: Vec::new(),
        example: Value::Null,
    }
}

fn changes(name: &str, effect: Effect, input: Value, undo: UndoSupport) -> ActionSpec {
    let output = object(json!({}), json!({}), &[]);
    ActionSpec { effect, undo, grade: Grade::Validated, ..reads(name, input, output) }
}
