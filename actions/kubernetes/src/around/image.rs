//! Pods that do not start for want of their image: more pods of it would not start either.

use runbook_contract::Obstacle;
use runbook_core::fault::Fault;

use crate::{client::Session, pod, rollout, view::Workload, workload::WorkloadRef};

pub(super) async fn look(
    session: &Session<'_>,
    of: &WorkloadRef,
    workload: &Workload,
    more_of_the_same: bool,
) -> Result<Vec<Obstacle>, Fault> {
    if !more_of_the_same {
        return Ok(Vec::new());
    }
    let pods = rollout::new_pods(session, of, workload).await?;
    let without = pods.iter().find_map(pod::without_image);
    let obstacle = without.map(|told| Obstacle {
        blocking: true,
        code: "image".to_owned(),
        message: format!("{told}: new pods would have the same image, which cannot be pulled"),
        hint: Some("go back to a revision whose image is there, or set another image".to_owned()),
    });
    Ok(obstacle.into_iter().collect())
}
