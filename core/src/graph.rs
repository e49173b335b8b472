use crate::runbook::Step;
pub fn edges(steps: &[Step]) -> Vec<Vec<usize>> {
    steps
        .iter()
        .enumerate()
        .map(|(i, s)| match &s.needs {
            Some(n) => n.iter().filter_map(|id| steps.iter().position(|s| s.id == *id)).collect(),
            None => i.checked_sub(1).into_iter().collect(),
        })
        .collect()
}
