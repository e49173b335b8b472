//! Argo CD, which puts back what others change where it heals itself.

use runbook_contract::Obstacle;
use runbook_core::fault::{Fault, FaultKind};
use serde::Deserialize;

use super::Purpose;
use crate::{
    client::{Session, parse},
    discover,
    place::Place,
    view::{Meta, Workload},
    workload::WorkloadRef,
};

const LABEL: &str = "app.kubernetes.io/instance";
const TRACKING: &str = "argocd.argoproj.io/tracking-id";
/// Where it is usually installed; looked into where not all namespaces may be.
const USUAL_NAMESPACE: &str = "argocd";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Application {
    metadata: Meta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    sync_policy: SyncPolicy,
    ignore_differences: Vec<Ignored>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SyncPolicy {
    automated: Option<Automated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Automated {
    self_heal: bool,
    enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ignored {
    kind: String,
    name: String,
    json_pointers: Vec<String>,
    jq_path_expressions: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    resources: Vec<Managed>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Managed {
    kind: String,
    namespace: String,
    name: String,
}

pub(super) async fn look(
    session: &Session<'_>,
    of: &WorkloadRef,
    workload: &Workload,
    purpose: &Purpose,
) -> Result<Vec<Obstacle>, Fault> {
    // The label is also Helm's, so it only says where to look.
    let Some(owner) = owner(workload) else { return Ok(Vec::new()) };
    let Some(version) = discover::version(session, "argoproj.io", &["v1alpha1"]).await? else {
        return Ok(Vec::new());
    };
    let place = Place::of("argoproj.io", version, "applications");
    let listed = match session.list(&place, None, None).await {
        Err(fault) if fault.kind == FaultKind::Forbidden => {
            session.list(&place.within(USUAL_NAMESPACE), None, None).await
        }
        listed => listed,
    };
    let applications = match listed {
        Ok(listed) => listed.items,
        Err(fault) if fault.kind == FaultKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(fault),
    };
    let mut obstacles = Vec::new();
    for application in applications {
        let application: Application = parse(application)?;
        if manages(&application, &owner, of) {
            obstacles.extend(obstacle(&application, of, purpose));
        }
    }
    Ok(obstacles)
}

/// The application that an object says it belongs to.
fn owner(workload: &Workload) -> Option<String> {
    let tracking = workload.metadata.annotations.get(TRACKING).and_then(|id| id.split(':').next());
    let owner = tracking.or_else(|| workload.metadata.labels.get(LABEL).map(String::as_str));
    owner.filter(|owner| !owner.is_empty()).map(str::to_owned)
}

fn manages(application: &Application, owner: &str, of: &WorkloadRef) -> bool {
    let Meta { name, namespace, .. } = &application.metadata;
    // Applications outside Argo CD's own namespace are named with theirs.
    let is_named = owner == name || owner == format!("{namespace}_{name}");
    let resources = &application.status.resources;
    let is_listed = resources.iter().any(|managed| {
        managed.kind == of.kind.object() && managed.name == of.name && managed.namespace == of.namespace
    });
    is_named && (resources.is_empty() || is_listed)
}

fn obstacle(application: &Application, of: &WorkloadRef, purpose: &Purpose) -> Option<Obstacle> {
    let automated = application.spec.sync_policy.automated.as_ref().filter(|it| it.enabled != Some(false))?;
    if matches!(purpose, Purpose::Scale { .. }) && ignores_replicas(application, of) {
        return None;
    }
    let name = &application.metadata.name;
    Some(if automated.self_heal {
        Obstacle {
            blocking: true,
            code: "argocd".to_owned(),
            message: format!(
                "Argo CD application `{name}` manages {of} and heals itself: it will put a change back"
            ),
            hint: Some(format!(
                "switch self-heal off (`argocd app set {name} --self-heal=false`), or change it in Git"
            )),
        }
    } else {
        Obstacle {
            blocking: false,
            code: "argocd".to_owned(),
            message: format!(
                "Argo CD application `{name}` manages {of}: its next automatic sync will put a change back"
            ),
            hint: Some("make the same change in Git".to_owned()),
        }
    })
}

fn ignores_replicas(application: &Application, of: &WorkloadRef) -> bool {
    application.spec.ignore_differences.iter().any(|ignored| {
        let is_it = [of.kind.object(), "*"].contains(&ignored.kind.as_str());
        let names_it = ignored.name.is_empty() || ignored.name == of.name;
        let pointers = ignored.json_pointers.iter().any(|pointer| pointer == "/spec/replicas");
        is_it
            && names_it
            && (pointers || ignored.jq_path_expressions.iter().any(|path| path == ".spec.replicas"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn application(spec: Value, resources: Value) -> Application {
        parse(json!({"metadata": {"name": "shop", "namespace": "argocd"}, "spec": spec, "status": {"resources": resources}})).unwrap()
    }

    #[test]
    fn only_an_application_that_manages_the_object_counts() {
        let of = WorkloadRef::deployment("prod", "api");
        let listed = json!([{"group": "apps", "kind": "Deployment", "namespace": "prod", "name": "api"}]);
        let other = json!([{"group": "apps", "kind": "Deployment", "namespace": "prod", "name": "web"}]);
        for (owner, resources, expected) in [
            ("shop", listed.clone(), true),
            ("argocd_shop", listed.clone(), true),
            ("shop", json!([]), true),
            ("shop", other, false),
            ("helm-release", listed, false),
        ] {
            let application = application(json!({}), resources.clone());
            assert_eq!(manages(&application, owner, &of), expected, "{owner} {resources}");
        }
    }

    #[test]
    fn healing_itself_blocks_and_syncing_warns() {
        let of = WorkloadRef::deployment("prod", "api");
        let rollout = Purpose::renewal();
        let scale = Purpose::Scale { to: 5 };
        let ignoring = json!({"syncPolicy": {"automated": {"selfHeal": true}},
                              "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]});
        for (spec, purpose, expected) in [
            (json!({"syncPolicy": {"automated": {"selfHeal": true}}}), &rollout, Some(true)),
            (json!({"syncPolicy": {"automated": {"prune": true}}}), &rollout, Some(false)),
            (json!({"syncPolicy": {"automated": {}}}), &rollout, Some(false)),
            (json!({"syncPolicy": {"automated": {"selfHeal": true, "enabled": false}}}), &rollout, None),
            (json!({"syncPolicy": {"automated": null}}), &rollout, None),
            (json!({}), &rollout, None),
            (ignoring.clone(), &scale, None),
            (ignoring, &rollout, Some(true)),
        ] {
            let found = obstacle(&application(spec.clone(), json!([])), &of, purpose);
            assert_eq!(found.map(|it| it.blocking), expected, "{spec}");
        }
    }
}
