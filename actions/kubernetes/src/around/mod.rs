//! What stands around a workload and would undo, block or bend a change of it: an autoscaler, Argo
//! CD, budgets, quotas, a pause.

mod argocd;
mod autoscaler;
mod budget;
pub(crate) mod quota;

use futures::join;
use runbook_contract::Obstacle;
use runbook_core::{
    Value,
    fault::{Fault, FaultKind},
    spec::Permission,
};

use crate::{
    client::Session,
    rights,
    view::Workload,
    workload::{Counts, Kind, WorkloadRef, view_of},
};

/// What is to be done with the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Nothing yet: everything that may matter is told.
    Any,
    Scale {
        to: i64,
    },
    /// New pods in the place of the old ones, each of which may ask for more than before.
    Rollout {
        more: quota::Amounts,
    },
}

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What would surprise whoever reads a plan.
    Plan,
    /// All of it.
    Preflight,
}

/// Everything in the way of doing something with a workload: rights first, then whether it is
/// there, then what stands around it.
pub(crate) async fn obstacles(
    session: &Session<'_>,
    of: &WorkloadRef,
    needed: &[Permission],
    purpose: &Purpose,
) -> Result<Vec<Obstacle>, Fault> {
    let needed = of_kind(needed, of.kind);
    let mut found = rights::missing(session, &needed, Some(&of.namespace), Some(&of.name)).await;
    match of.get(session).await {
        Ok(object) => found.extend(around(session, of, &object, purpose, Depth::Preflight).await?),
        Err(fault) if fault.kind == FaultKind::NotFound => found.push(Obstacle {
            blocking: true,
            code: "missing".to_owned(),
            message: fault.message,
            hint: fault.hint,
        }),
        // Named among the rights already.
        Err(fault) if fault.kind == FaultKind::Forbidden => {}
        Err(fault) => return Err(fault),
    }
    Ok(found)
}

/// Specs name deployments; the same rights are needed on whatever kind it is.
fn of_kind(needed: &[Permission], kind: Kind) -> Vec<Permission> {
    let mut needed = needed.to_vec();
    for permission in &mut needed {
        if let Permission::Rbac { resource, .. } = permission
            && let Some(face) = resource.strip_prefix("deployments")
        {
            *resource = format!("{}{face}", kind.resource());
        }
    }
    needed
}

/// What stands around a workload, for one purpose. What cannot be looked at is said in a
/// preflight, and does not spoil a plan.
pub(crate) async fn around(
    session: &Session<'_>,
    of: &WorkloadRef,
    object: &Value,
    purpose: &Purpose,
    depth: Depth,
) -> Result<Vec<Obstacle>, Fault> {
    let workload = view_of(object)?;
    let needs = needs(of, &workload, purpose);
    let (argocd, autoscaler, budget, quota) = join!(
        argocd::look(session, of, &workload, purpose),
        autoscaler::look(session, of, purpose),
        budget::look(session, of, &workload, depth),
        quota::look(session, of, &needs),
    );
    let mut found: Vec<Obstacle> = paused(of, &workload, purpose).into_iter().collect();
    for (what, looked) in
        [("Argo CD", argocd), ("autoscalers", autoscaler), ("disruption budgets", budget), ("quotas", quota)]
    {
        match looked {
            Ok(obstacles) => found.extend(obstacles),
            Err(fault) if depth == Depth::Preflight => found.push(Obstacle {
                blocking: false,
                code: "unknown".to_owned(),
                message: format!("{what} could not be looked at: {fault}"),
                hint: fault.hint,
            }),
            Err(_) => {}
        }
    }
    Ok(found)
}

/// The obstacles as warnings of a plan, in the words of a preflight, so that they are told once.
pub(crate) fn warnings(obstacles: Vec<Obstacle>) -> Vec<String> {
    obstacles.into_iter().map(|obstacle| obstacle.message).collect()
}

/// What the pods will ask for beyond what they ask for now.
fn needs(of: &WorkloadRef, workload: &Workload, purpose: &Purpose) -> quota::Amounts {
    let counts = Counts::of(of.kind, workload);
    match purpose {
        Purpose::Any => quota::Amounts::default(),
        Purpose::Scale { to } => quota::of_pods(&workload.spec.template, to - counts.desired),
        Purpose::Rollout { more } => {
            more.iter().map(|(name, each)| (name.clone(), each.times(counts.desired))).collect()
        }
    }
}

fn paused(of: &WorkloadRef, workload: &Workload, purpose: &Purpose) -> Option<Obstacle> {
    let stops = matches!(purpose, Purpose::Rollout { .. });
    let matters = workload.spec.paused && !matches!(purpose, Purpose::Scale { .. });
    matters.then(|| Obstacle {
        blocking: stops,
        code: "paused".to_owned(),
        message: format!("{of} is paused: no change of its pods is rolled out"),
        hint: Some(format!("`kubectl rollout resume -n {} deployment/{}` resumes it", of.namespace, of.name)),
    })
}
