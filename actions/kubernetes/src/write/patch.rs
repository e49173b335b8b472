//! `kubernetes.patch`: any field of any object.

use async_trait::async_trait;
use runbook_core::{
    Value,
    fault::Fault,
    spec::{ActionSpec, Effect, Permission, UndoSupport},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::object::{Outcome, Shape, Wish, addressed};
use crate::{
    Config,
    client::{JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Session},
    discover, schema,
};

/// Which object, and what to change in it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace it is in; none for kinds that are in no namespace.
    namespace: Option<String>,
    /// Its kind, by any of its names: `Ingress`, `ingresses`, `ing`.
    kind: String,
    /// Its name.
    name: String,
    /// The API version, where several groups serve such a kind: `networking.k8s.io/v1`.
    api_version: Option<String>,
    /// How the patch is meant.
    #[serde(default)]
    r#type: Type,
    /// The patch: a part of the object, or for `json` a list of operations.
    #[schemars(schema_with = "any_patch")]
    patch: Value,
}

fn any_patch(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["object", "array"]})
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Type {
    /// Kubernetes' own: lists are merged by the names of their items. Not for installed kinds.
    Strategic,
    /// JSON merge patch: lists are replaced as a whole.
    #[default]
    Merge,
    /// JSON patch: a list of operations.
    Json,
}

#[derive(Debug)]
pub(crate) struct Patch;

#[async_trait]
impl Shape for Patch {
    type Input = Input;

    const CREATES: bool = false;
    const EFFECT: Effect = Effect::Destructive;

    fn spec() -> ActionSpec {
        let undo = UndoSupport::Auto("to the fields as they were before".to_owned());
        ActionSpec {
            effect: Effect::Destructive,
            permissions: vec![Permission::Other("get and patch on the kind that is patched".to_owned())],
            example: json!({
                "namespace": "production", "kind": "Ingress", "name": "api", "type": "merge",
                "patch": {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/limit-rps": "20"}}},
            }),
            ..schema::write::<Input, Outcome>(
                "patch",
                "Patches any object: strategic, merge or JSON patch",
                undo,
            )
        }
    }

    async fn wish(session: &Session<'_>, _: &Config, input: Input) -> Result<Wish, Fault> {
        let content_type = match (input.r#type, &input.patch) {
            (Type::Strategic, Value::Object(_)) => STRATEGIC_PATCH,
            (Type::Merge, Value::Object(_)) => MERGE_PATCH,
            (Type::Json, Value::Array(_)) => JSON_PATCH,
            (Type::Json, _) => {
                return Err(Fault::permanent("a patch of type `json` is a list of operations"));
            }
            _ => {
                return Err(Fault::permanent("a patch is a part of the object, not a list")
                    .hint("or set `type: json`"));
            }
        };
        let resource = discover::resource(session, &input.kind, input.api_version.as_deref()).await?;
        let (place, target) = addressed(&resource, input.namespace.as_deref(), &input.name)?;
        Ok(Wish {
            target,
            kind: resource.kind,
            place,
            content_type: content_type.to_owned(),
            body: input.patch,
            force: false,
        })
    }
}
