//! How the lists of Kubernetes objects merge: by a key, as a set, or as a whole.

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Items are told apart by this field.
    Keyed(&'static str),
    Set,
    Atomic,
}

/// What kind of list a field holds. `parent` is the field that the list's owner is in; `items` tell
/// a container's ports from a service's.
pub(crate) fn kind(parent: &str, field: &str, items: &[Value]) -> ListKind {
    match field {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            ListKind::Keyed("name")
        }
        "volumeMounts" => ListKind::Keyed("mountPath"),
        "volumeDevices" => ListKind::Keyed("devicePath"),
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => {
            ListKind::Keyed("containerPort")
        }
        "ports" if parent == "spec" => ListKind::Keyed("port"),
        "conditions" => ListKind::Keyed("type"),
        "ownerReferences" => ListKind::Keyed("uid"),
        "topologySpreadConstraints" => ListKind::Keyed("topologyKey"),
        "hostAliases" => ListKind::Keyed("ip"),
        "finalizers" => ListKind::Set,
        _ => ListKind::Atomic,
    }
}
