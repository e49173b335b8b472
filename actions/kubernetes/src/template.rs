//! The containers of a pod template.

use runbook_core::{Value, fault::Fault};

const DEFAULT_CONTAINER: &str =
    "/spec/template/metadata/annotations/kubectl.kubernetes.io~1default-container";

/// The name of the container that is meant: the one named, the only one, or the default one.
pub(crate) fn choose(object: &Value, wanted: Option<&str>) -> Result<String, Fault> {
    let names: Vec<&str> =
        containers(object).filter_map(|container| container.get("name")?.as_str()).collect();
    let listed = names.join(", ");
    match wanted.or_else(|| object.pointer(DEFAULT_CONTAINER)?.as_str()) {
        Some(name) if names.contains(&name) => Ok(name.to_owned()),
        Some(name) => {
            Err(Fault::not_found(format!("there is no container `{name}`"))
                .hint(format!("there is: {listed}")))
        }
        None => match names.as_slice() {
            [only] => Ok((*only).to_owned()),
            _ => Err(Fault::permanent("there are several containers")
                .hint(format!("set `container` to one of {listed}"))),
        },
    }
}

/// A container and where it stands.
pub(crate) fn find<'a>(object: &'a Value, name: &str) -> Option<(usize, &'a Value)> {
    containers(object)
        .enumerate()
        .find(|(_, container)| container.get("name").and_then(Value::as_str) == Some(name))
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/spec/template/spec/containers").and_then(Value::as_array).into_iter().flatten()
}
