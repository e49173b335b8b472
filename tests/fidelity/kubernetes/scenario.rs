//! The scenarios, as tables and the products of tables: always the same ones in the same order.

use runbook_core::Value;
use serde_json::json;

use super::shape::{Shape, shape, shapes};

/// One thing to be foreseen and made.
pub struct Scenario {
    pub name: String,
    pub around: Around,
    pub hands: Hands,
    /// The deployment `NAME`; none where there is no such thing.
    pub shape: Option<Shape>,
    /// The steps of the runbook. `NAME` and `NAMESPACE` stand for its own.
    pub steps: Value,
    /// Paths of other objects than the deployment that may change.
    pub watched: Vec<String>,
}

/// What surrounds the workloads of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Around {
    Nothing,
    /// Room for four pods.
    PodQuota,
    /// Room for 300 MiB of requested memory.
    MemoryQuota,
    /// Room for no further objects.
    ObjectQuota,
    /// No container may have more than 2 GiB or one core.
    LimitRange,
    /// Roles that allow some of it.
    Roles,
}

/// With whose rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hands {
    Admin,
    Nobody,
    Role(Role),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    pub name: &'static str,
    pub rules: &'static str,
}

pub const ROLES: &[Role] = &[
    Role {
        name: "reader",
        rules: r#"[{"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list"]}]"#,
    },
    Role {
        name: "scaler",
        rules: r#"[{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
                   {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]},
                   {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]"#,
    },
    Role {
        name: "blind-scaler",
        rules: r#"[{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
                   {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]}]"#,
    },
    Role {
        name: "writer",
        rules: r#"[{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]},
                   {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
                   {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]"#,
    },
    Role {
        name: "blind-writer",
        rules: r#"[{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}]"#,
    },
    Role {
        name: "mapper",
        rules: r#"[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]}]"#,
    },
    Role {
        name: "maker",
        rules: r#"[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]}]"#,
    },
];

impl Around {
    /// The objects, each with the collection of the core group that it belongs to.
    pub fn objects(self) -> Vec<(&'static str, Value)> {
        let quota = |hard: Value| json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard}});
        match self {
            Self::Nothing | Self::Roles => Vec::new(),
            Self::PodQuota => vec![("resourcequotas", quota(json!({"pods": "4"})))],
            Self::MemoryQuota => vec![("resourcequotas", quota(json!({"requests.memory": "300Mi"})))],
            Self::ObjectQuota => {
                vec![("resourcequotas", quota(json!({"count/configmaps": "1", "count/services": "0"})))]
            }
            Self::LimitRange => {
                let limit = json!({"type": "Container", "max": {"memory": "2Gi", "cpu": "1"}, "min": {"memory": "64Mi"}});
                let object = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "sizes"}, "spec": {"limits": [limit]}});
                vec![("limitranges", object)]
            }
        }
    }

    /// How many scenarios may share such a namespace.
    pub fn room(self) -> usize {
        match self {
            Self::Nothing => 14,
            Self::Roles | Self::LimitRange => 10,
            Self::PodQuota | Self::MemoryQuota | Self::ObjectQuota => 1,
        }
    }
}

/// An action and what it is asked: name, action, `with`.
type Ask = (&'static str, &'static str, &'static str);

/// What is asked of every shape.
const OF_ALL: &[Ask] = &[
    ("scale-up", "scale", r#"{"deployment": "NAME", "replicas": 5}"#),
    ("scale-to-zero", "scale", r#"{"deployment": "NAME", "replicas": 0}"#),
    ("undo", "rollout_undo", r#"{"deployment": "NAME"}"#),
    ("undo-to-1", "rollout_undo", r#"{"deployment": "NAME", "to_revision": 1}"#),
    ("restart", "rollout_restart", r#"{"deployment": "NAME"}"#),
    (
        "env",
        "set_env",
        r#"{"deployment": "NAME", "container": "app", "env": {"LOG_LEVEL": "DEBUG", "ADDED": "1", "MODE": null}}"#,
    ),
    (
        "resources",
        "set_resources",
        r#"{"deployment": "NAME", "container": "app", "limits": {"memory": "3Gi", "cpu": "2"}, "requests": {"cpu": "200m"}}"#,
    ),
    (
        "merge",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "patch": {"metadata": {"annotations": {"team": "web", "note": "x"}}}}"#,
    ),
    (
        "strategic",
        "patch",
        r#"{"kind": "deploy", "name": "NAME", "type": "strategic", "patch": {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "shop/api:9"}]}}}}}"#,
    ),
    (
        "json",
        "patch",
        r#"{"kind": "deployments", "name": "NAME", "type": "json", "patch": [{"op": "add", "path": "/spec/minReadySeconds", "value": 0}, {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "shop/api:8"}]}"#,
    ),
    (
        "apply-labels",
        "apply",
        r#"{"manifest": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "NAME", "labels": {"tier": "web"}}}}"#,
    ),
];

/// What is asked of a few shapes only, for the shape matters little.
const OF_SOME: &[Ask] = &[
    ("scale-same", "scale", r#"{"deployment": "NAME", "replicas": 3}"#),
    ("scale-down", "scale", r#"{"deployment": "NAME", "replicas": 1}"#),
    ("scale-beyond", "scale", r#"{"deployment": "NAME", "replicas": 21}"#),
    ("scale-senseless", "scale", r#"{"deployment": "NAME", "replicas": 10001}"#),
    ("scale-negative", "scale", r#"{"deployment": "NAME", "replicas": -1}"#),
    ("undo-to-2", "rollout_undo", r#"{"deployment": "NAME", "to_revision": 2}"#),
    ("undo-to-missing", "rollout_undo", r#"{"deployment": "NAME", "to_revision": 99}"#),
    ("env-same", "set_env", r#"{"deployment": "NAME", "container": "app", "env": {"MODE": "fast"}}"#),
    ("env-gone", "set_env", r#"{"deployment": "NAME", "container": "app", "env": {"NOT_THERE": null}}"#),
    (
        "env-all-gone",
        "set_env",
        r#"{"deployment": "NAME", "container": "app", "env": {"LOG_LEVEL": null, "MODE": null}}"#,
    ),
    ("env-empty", "set_env", r#"{"deployment": "NAME", "container": "app", "env": {"MODE": ""}}"#),
    ("env-number", "set_env", r#"{"deployment": "NAME", "container": "app", "env": {"WORKERS": 8}}"#),
    ("env-misnamed", "set_env", r#"{"deployment": "NAME", "container": "app", "env": {"9 LIVES": "x"}}"#),
    ("env-senseless", "set_env", r#"{"deployment": "NAME", "container": "app", "env": {"A=B": "x"}}"#),
    ("env-which", "set_env", r#"{"deployment": "NAME", "env": {"MODE": "slow"}}"#),
    ("env-nowhere", "set_env", r#"{"deployment": "NAME", "container": "api", "env": {"MODE": "slow"}}"#),
    (
        "resources-more",
        "set_resources",
        r#"{"deployment": "NAME", "container": "app", "limits": {"memory": "+512Mi"}}"#,
    ),
    (
        "resources-less",
        "set_resources",
        r#"{"deployment": "NAME", "container": "app", "limits": {"memory": "-4Gi"}}"#,
    ),
    (
        "resources-same",
        "set_resources",
        r#"{"deployment": "NAME", "container": "app", "limits": {"memory": "1024Mi"}}"#,
    ),
    (
        "resources-inverse",
        "set_resources",
        r#"{"deployment": "NAME", "container": "app", "requests": {"memory": "8Gi"}}"#,
    ),
    (
        "resources-fraction",
        "set_resources",
        r#"{"deployment": "NAME", "container": "app", "requests": {"cpu": "0.15"}}"#,
    ),
    (
        "merge-replicas",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "patch": {"spec": {"replicas": 2}}}"#,
    ),
    (
        "merge-refused",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "patch": {"spec": {"replicas": -1}}}"#,
    ),
    (
        "merge-immutable",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "patch": {"spec": {"selector": {"matchLabels": {"app": "other"}}}}}"#,
    ),
    (
        "merge-unknown",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "patch": {"spec": {"noSuchField": 1}}}"#,
    ),
    ("merge-nothing", "patch", r#"{"kind": "Deployment", "name": "NAME", "patch": {}}"#),
    (
        "merge-name",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "patch": {"metadata": {"name": "other"}}}"#,
    ),
    (
        "merge-wrong-type",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "patch": {"spec": {"replicas": "many"}}}"#,
    ),
    (
        "merge-strategy",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "patch": {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 2}}}}}"#,
    ),
    (
        "strategic-sidecar",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "type": "strategic", "patch": {"spec": {"template": {"spec": {"containers": [{"name": "added", "image": "shop/log:1", "ports": [{"containerPort": 80}]}]}}}}}"#,
    ),
    (
        "strategic-delete",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "type": "strategic", "patch": {"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": "MODE", "$patch": "delete"}]}]}}}}}"#,
    ),
    (
        "json-test",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "type": "json", "patch": [{"op": "test", "path": "/spec/replicas", "value": 99}, {"op": "replace", "path": "/spec/replicas", "value": 1}]}"#,
    ),
    (
        "json-nowhere",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "type": "json", "patch": [{"op": "remove", "path": "/spec/nowhere"}]}"#,
    ),
    (
        "json-not-a-list",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "type": "json", "patch": {"spec": {}}}"#,
    ),
    (
        "apply-conflict",
        "apply",
        r#"{"manifest": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "NAME", "labels": {"app": "else"}}}}"#,
    ),
    (
        "apply-force",
        "apply",
        r#"{"force": true, "manifest": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "NAME"}, "spec": {"replicas": 2}}}"#,
    ),
    (
        "apply-same",
        "apply",
        r#"{"manifest": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "NAME", "labels": {"app": "NAME"}}}}"#,
    ),
    ("pause", "patch", r#"{"kind": "Deployment", "name": "NAME", "patch": {"spec": {"paused": true}}}"#),
];

/// The shapes that those are asked of.
const SOME: &[&str] = &["three", "two-containers"];

/// Things beside deployments: name, action, `with`, path.
const OBJECTS: &[(&str, &str, &str, &str)] = &[
    (
        "config-map",
        "apply",
        r#"{"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}, "data": {"rps": "10"}}}"#,
        "/api/v1/namespaces/NAMESPACE/configmaps/NAME",
    ),
    (
        "service",
        "apply",
        r#"{"manifest": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "NAME"}, "spec": {"selector": {"app": "NAME"}, "ports": [{"port": 80}]}}}"#,
        "/api/v1/namespaces/NAMESPACE/services/NAME",
    ),
    (
        "service-invalid",
        "apply",
        r#"{"manifest": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "NAME"}, "spec": {"ports": [{"port": 99999}]}}}"#,
        "/api/v1/namespaces/NAMESPACE/services/NAME",
    ),
    (
        "misnamed",
        "apply",
        r#"{"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NOT_A_NAME"}}}"#,
        "",
    ),
    (
        "elsewhere",
        "apply",
        r#"{"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME", "namespace": "default"}}}"#,
        "",
    ),
    ("kindless", "apply", r#"{"manifest": {"apiVersion": "v1", "metadata": {"name": "NAME"}}}"#, ""),
    (
        "kind-unknown",
        "apply",
        r#"{"manifest": {"apiVersion": "v1", "kind": "Widget", "metadata": {"name": "NAME"}}}"#,
        "",
    ),
    (
        "secret",
        "apply",
        r#"{"manifest": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "NAME"}}}"#,
        "",
    ),
    (
        "field-unknown",
        "apply",
        r#"{"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}, "dada": {"a": "b"}}}"#,
        "/api/v1/namespaces/NAMESPACE/configmaps/NAME",
    ),
    (
        "new-deployment",
        "apply",
        r#"{"manifest": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "NAME"}, "spec": {"selector": {"matchLabels": {"app": "NAME"}}, "template": {"metadata": {"labels": {"app": "NAME"}}, "spec": {"containers": [{"name": "app", "image": "shop/api:1"}]}}}}}"#,
        "",
    ),
    (
        "new-deployment-invalid",
        "apply",
        r#"{"manifest": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "NAME"}, "spec": {"selector": {"matchLabels": {"app": "other"}}, "template": {"metadata": {"labels": {"app": "NAME"}}, "spec": {"containers": [{"name": "app", "image": "shop/api:1"}]}}}}}"#,
        "",
    ),
    (
        "patch-missing",
        "patch",
        r#"{"kind": "ConfigMap", "name": "NAME", "patch": {"data": {"a": "b"}}}"#,
        "/api/v1/namespaces/NAMESPACE/configmaps/NAME",
    ),
];

/// Names that lead nowhere.
const LOST: &[Ask] = &[
    ("scale", "scale", r#"{"deployment": "apj", "replicas": 2}"#),
    ("undo", "rollout_undo", r#"{"deployment": "apj"}"#),
    ("restart", "rollout_restart", r#"{"deployment": "apj"}"#),
    ("env", "set_env", r#"{"deployment": "apj", "env": {"A": "1"}}"#),
    ("resources", "set_resources", r#"{"deployment": "apj", "limits": {"memory": "1Gi"}}"#),
    ("patch", "patch", r#"{"kind": "Deployment", "name": "apj", "patch": {"spec": {"replicas": 2}}}"#),
    ("elsewhere", "scale", r#"{"namespace": "no-such-place", "deployment": "api", "replicas": 2}"#),
    (
        "elsewhere-apply",
        "apply",
        r#"{"namespace": "no-such-place", "manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}}}"#,
    ),
    ("no-name", "scale", r#"{"replicas": 2}"#),
    ("two-names", "scale", r#"{"deployment": "NAME", "statefulset": "NAME", "replicas": 2}"#),
    ("crooked", "scale", r#"{"deployment": "../../NAME", "replicas": 2}"#),
];

/// What is asked with some rights only.
const WITH_RIGHTS: &[&str] = &["scale-up", "undo", "restart", "env", "resources", "merge", "apply-labels"];

/// What is asked where limits of the cluster stand in the way: surroundings, shape, asks.
const CONFINED: &[(Around, &str, &[Ask])] = &[
    (
        Around::PodQuota,
        "three",
        &[
            ("scale-within", "scale", r#"{"deployment": "NAME", "replicas": 4}"#),
            ("scale-over", "scale", r#"{"deployment": "NAME", "replicas": 6}"#),
            ("restart-within", "rollout_restart", r#"{"deployment": "NAME"}"#),
        ],
    ),
    (
        Around::PodQuota,
        "filled-unyielding",
        &[
            ("restart-over", "rollout_restart", r#"{"deployment": "NAME"}"#),
            ("env-over", "set_env", r#"{"deployment": "NAME", "env": {"MODE": "slow"}}"#),
            ("undo-over", "rollout_undo", r#"{"deployment": "NAME"}"#),
            ("scale-down", "scale", r#"{"deployment": "NAME", "replicas": 2}"#),
        ],
    ),
    (
        Around::PodQuota,
        "filled",
        &[
            ("restart-yielding", "rollout_restart", r#"{"deployment": "NAME"}"#),
            ("env-yielding", "set_env", r#"{"deployment": "NAME", "env": {"MODE": "slow"}}"#),
        ],
    ),
    (Around::PodQuota, "surging", &[("restart-yielding", "rollout_restart", r#"{"deployment": "NAME"}"#)]),
    (
        Around::PodQuota,
        "recreated",
        &[("restart-recreating", "rollout_restart", r#"{"deployment": "NAME"}"#)],
    ),
    (
        Around::MemoryQuota,
        "one",
        &[
            ("scale-within", "scale", r#"{"deployment": "NAME", "replicas": 2}"#),
            ("scale-over", "scale", r#"{"deployment": "NAME", "replicas": 4}"#),
            ("request-over", "set_resources", r#"{"deployment": "NAME", "requests": {"memory": "256Mi"}}"#),
            ("env-within", "set_env", r#"{"deployment": "NAME", "env": {"MODE": "slow"}}"#),
        ],
    ),
    (
        Around::LimitRange,
        "one",
        &[
            ("memory-within", "set_resources", r#"{"deployment": "NAME", "limits": {"memory": "2Gi"}}"#),
            ("memory-over", "set_resources", r#"{"deployment": "NAME", "limits": {"memory": "4Gi"}}"#),
            ("memory-under", "set_resources", r#"{"deployment": "NAME", "requests": {"memory": "32Mi"}}"#),
            ("cpu-over", "set_resources", r#"{"deployment": "NAME", "limits": {"cpu": "2"}}"#),
            ("env", "set_env", r#"{"deployment": "NAME", "env": {"MODE": "slow"}}"#),
            ("scale", "scale", r#"{"deployment": "NAME", "replicas": 2}"#),
            ("restart", "rollout_restart", r#"{"deployment": "NAME"}"#),
        ],
    ),
];

/// Two changes after each other: the second is planned upon what the first only predicts.
const SEQUENCES: &[(&str, [Ask; 2])] = &[
    ("scale-scale", [OF_ALL[0], OF_ALL[1]]),
    ("scale-env", [OF_ALL[0], OF_ALL[5]]),
    ("env-restart", [OF_ALL[5], OF_ALL[4]]),
    ("env-env", [OF_ALL[5], OF_SOME[10]]),
    ("env-same-again", [OF_ALL[5], OF_ALL[5]]),
    ("resources-more", [OF_ALL[6], OF_SOME[16]]),
    ("undo-scale", [OF_ALL[2], OF_ALL[0]]),
    ("merge-strategic", [OF_ALL[7], OF_ALL[8]]),
    ("json-apply", [OF_ALL[9], OF_ALL[10]]),
    ("restart-undo", [OF_ALL[4], OF_ALL[2]]),
    ("scale-refused", [OF_ALL[0], OF_SOME[22]]),
    ("refused-scale", [OF_SOME[22], OF_ALL[0]]),
];

/// A step of a runbook that asks for something, which someone else has to approve.
fn step(id: &str, (_, action, with): Ask) -> Value {
    let mut with: Value = serde_json::from_str(with).unwrap();
    if with.get("namespace").is_none() {
        with["namespace"] = json!("NAMESPACE");
    }
    json!({"id": id, "action": format!("kubernetes.{action}"), "with": with, "approval": {"from": ["sre"]}})
}

/// What a later step of the runbook would see.
fn look() -> Value {
    json!({"id": "look", "check": "kubernetes.deployment", "with": {"namespace": "NAMESPACE", "deployment": "NAME"}})
}

impl Scenario {
    pub fn of(name: String, shape: Option<Shape>, asks: &[Ask]) -> Self {
        let mut steps: Vec<Value> =
            asks.iter().enumerate().map(|(at, ask)| step(&format!("change-{}", at + 1), *ask)).collect();
        // What moves by itself is not what was foreseen of a change.
        if shape.as_ref().is_some_and(|shape| shape.name != "rolling") {
            steps.push(look());
        }
        Self {
            name,
            around: Around::Nothing,
            hands: Hands::Admin,
            shape,
            steps: steps.into(),
            watched: Vec::new(),
        }
    }
}

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    for shape in shapes() {
        for ask in OF_ALL {
            all.push(Scenario::of(format!("{}/{}", shape.name, ask.0), Some(shape.clone()), &[*ask]));
        }
    }
    for (name, ask) in SOME.iter().flat_map(|name| OF_SOME.iter().map(move |ask| (name, ask))) {
        all.push(Scenario::of(format!("{name}/{}", ask.0), Some(shape(name)), &[*ask]));
    }
    for (name, action, with, path) in OBJECTS {
        let scenario = Scenario::of(format!("object/{name}"), None, &[(name, action, with)]);
        let watched = if path.is_empty() { Vec::new() } else { vec![(*path).to_owned()] };
        all.push(Scenario { watched, ..scenario });
    }
    for ask in LOST {
        all.push(Scenario::of(format!("lost/{}", ask.0), None, &[*ask]));
    }
    for (name, asks) in SEQUENCES {
        for shape in ["small", "annotated"] {
            all.push(Scenario::of(format!("{shape}/then/{name}"), Some(super::shape::shape(shape)), asks));
        }
    }
    all.extend(with_rights());
    all.extend(confined());
    all
}

/// Every writing action once, and with `true` its undo, for a look at what comes of lost answers.
pub fn doubtful() -> Vec<(Scenario, bool)> {
    let appended: Ask = (
        "json-append",
        "patch",
        r#"{"kind": "Deployment", "name": "NAME", "type": "json", "patch": [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "ONCE", "value": "1"}}]}"#,
    );
    let asks = OF_ALL.iter().filter(|ask| !matches!(ask.0, "undo-to-1" | "scale-to-zero")).chain([&appended]);
    let mut all: Vec<_> =
        asks.map(|ask| (Scenario::of(ask.0.to_owned(), Some(shape("small")), &[*ask]), false)).collect();
    let (name, action, with, path) = OBJECTS[0];
    let made = |undo| {
        let scenario = Scenario::of(name.to_owned(), None, &[(name, action, with)]);
        (Scenario { watched: vec![path.to_owned()], ..scenario }, undo)
    };
    all.extend([made(false), made(true)]);
    for ask in [OF_ALL[0], OF_ALL[2], OF_ALL[5]] {
        all.push((Scenario::of(ask.0.to_owned(), Some(shape("small")), &[ask]), true));
    }
    // Only the change is looked at.
    for (scenario, _) in &mut all {
        scenario.steps.as_array_mut().unwrap().truncate(1);
    }
    all
}

/// Those that the built binary shows too: none of them needs an approval.
pub fn for_the_binary() -> Vec<Scenario> {
    let asks = OF_ALL
        .iter()
        .filter(|ask| matches!(ask.0, "scale-up" | "undo" | "env" | "resources" | "apply-labels"));
    asks.map(|ask| Scenario::of(ask.0.to_owned(), Some(shape("three")), &[*ask])).collect()
}

fn with_rights() -> Vec<Scenario> {
    let mut all = Vec::new();
    let asks = || OF_ALL.iter().filter(|ask| WITH_RIGHTS.contains(&ask.0));
    for ask in asks() {
        let scenario = Scenario::of(format!("nobody/{}", ask.0), Some(shape("one")), &[*ask]);
        all.push(Scenario { hands: Hands::Nobody, ..scenario });
        for role in ROLES {
            let scenario = Scenario::of(format!("{}/{}", role.name, ask.0), Some(shape("small")), &[*ask]);
            all.push(Scenario { hands: Hands::Role(*role), around: Around::Roles, ..scenario });
        }
    }
    for role in ROLES {
        let (name, action, with, path) = OBJECTS[0];
        let scenario = Scenario::of(format!("{}/{name}", role.name), None, &[(name, action, with)]);
        let watched = vec![path.to_owned()];
        all.push(Scenario { hands: Hands::Role(*role), around: Around::Roles, watched, ..scenario });
    }
    all
}

fn confined() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (around, name, asks) in CONFINED {
        for ask in *asks {
            let scenario = Scenario::of(format!("{around:?}/{name}/{}", ask.0), Some(shape(name)), &[*ask]);
            all.push(Scenario { around: *around, ..scenario });
        }
    }
    for (name, action, with, path) in &OBJECTS[..3] {
        let scenario = Scenario::of(format!("ObjectQuota/{name}"), None, &[(name, action, with)]);
        all.push(Scenario { around: Around::ObjectQuota, watched: vec![(*path).to_owned()], ..scenario });
    }
    all
}
