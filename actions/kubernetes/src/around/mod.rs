//! What stands around a workload and would undo, block or bend a change of it: an autoscaler, Argo
//! CD, budgets, quotas, a pause.

mod argocd;
mod autoscaler;
mod budget;
mod image;
mod limits;
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
    view::{Container, Workload},
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
    /// New pods in the place of the old ones.
    Rollout {
        /// What each of them asks for beyond what it did before.
        more: quota::Amounts,
        /// The container that asks for something else than before, as it will be.
        resized: Option<Container>,
        /// Whether they have the images of the newest pods that there are.
        same_images: bool,
    },
}

impl Purpose {
    /// New pods like those before.
    pub(crate) fn renewal() -> Self {
        Self::Rollout { more: quota::Amounts::default(), resized: None, same_images: true }
    }
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
        Err(fault) if fault.kind == FaultKind::NotFound => found.push(Obstacle::of(fault, "rbac")),
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
    let containers = containers(of, &workload, purpose);
    let alike = makes_more_of_the_same(of, &workload, purpose);
    let (argocd, autoscaler, budget, quota, limits, image) = join!(
        argocd::look(session, of, &workload, purpose),
        autoscaler::look(session, of, purpose),
        budget::look(session, of, &workload, depth),
        quota::look(session, of, &needs),
        limits::look(session, of, &containers),
        image::look(session, of, &workload, alike),
    );
    let mut found: Vec<Obstacle> = paused(of, &workload, purpose).into_iter().collect();
    for (what, looked) in [
        ("Argo CD", argocd),
        ("autoscalers", autoscaler),
        ("disruption budgets", budget),
        ("quotas", quota),
        ("limit ranges", limits),
        ("the pods", image),
    ] {
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
fn needs(of: &WorkloadRef, workload: &Workload, purpose: &Purpose) -> quota::Needs {
    let desired = Counts::of(of.kind, workload).desired;
    let template = &workload.spec.template;
    match purpose {
        Purpose::Any => quota::Needs::default(),
        Purpose::Scale { to } => quota::Needs {
            at_least: quota::of_pods(template, to - desired),
            at_ease: quota::Amounts::default(),
        },
        Purpose::Rollout { more, .. } => {
            let strategy = &workload.spec.strategy;
            let rolls = of.kind == Kind::Deployment && desired > 0;
            let ease = if rolls { strategy.may_be_beside(desired) } else { 0 };
            // A rollout that may not miss a pod needs room for one beside all that there are.
            let least = i64::from(rolls && strategy.may_be_missing(desired) == 0);
            let with = |beside| {
                let mut needed = quota::of_pods(template, beside);
                for (name, each) in more {
                    let sum = needed.entry(name.clone()).or_default();
                    *sum = sum.plus(each.times(desired));
                }
                needed
            };
            quota::Needs { at_least: with(least), at_ease: with(ease) }
        }
    }
}

/// The containers of the pods that would be made.
fn containers(of: &WorkloadRef, workload: &Workload, purpose: &Purpose) -> Vec<Container> {
    let desired = Counts::of(of.kind, workload).desired;
    let (makes_pods, resized) = match purpose {
        Purpose::Any => (false, None),
        Purpose::Scale { to } => (*to > desired, None),
        Purpose::Rollout { resized, .. } => (desired > 0, resized.as_ref()),
    };
    let all = workload.spec.template.spec.containers.iter().filter(|_| makes_pods);
    all.map(|container| resized.filter(|it| it.name == container.name).unwrap_or(container).clone()).collect()
}

/// Whether pods with the images of the newest ones would be made.
fn makes_more_of_the_same(of: &WorkloadRef, workload: &Workload, purpose: &Purpose) -> bool {
    let desired = Counts::of(of.kind, workload).desired;
    match purpose {
        Purpose::Any => false,
        Purpose::Scale { to } => *to > desired,
        Purpose::Rollout { same_images, .. } => *same_images && desired > 0,
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
