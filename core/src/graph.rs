//! The graph of a runbook's steps: who waits for whom, in which order, and how it looks.

mod draw;
mod svg;

use std::collections::BTreeSet;

use crate::runbook::Step;

pub use self::{
    draw::{dot, mermaid, text},
    svg::svg,
};

/// For every step, the steps that must have settled before it: those that it `needs`, else the
/// one before it. Names that do not exist are left out; the checker reports them.
pub fn edges(steps: &[Step]) -> Vec<Vec<usize>> {
    let index_of = |id: &String| steps.iter().position(|step| step.id == *id);
    let needed = |(index, step): (usize, &Step)| match &step.needs {
        Some(needs) => needs.iter().filter_map(index_of).collect::<BTreeSet<_>>().into_iter().collect(),
        None => index.checked_sub(1).into_iter().collect(),
    };
    steps.iter().enumerate().map(needed).collect()
}

/// For every step, all that settle before it, near and far. A step in a circle has itself among
/// them.
pub fn upstream(edges: &[Vec<usize>]) -> Vec<BTreeSet<usize>> {
    let all_before = |start: usize| {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = edges.get(start).cloned().unwrap_or_default();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(edges.get(next).into_iter().flatten());
            }
        }
        found
    };
    (0..edges.len()).map(all_before).collect()
}

/// An order in which every step comes after what it needs, the written order where that is free;
/// `Err` with one circle where there is none.
pub fn order(edges: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut placed = vec![false; edges.len()];
    let mut order = Vec::with_capacity(edges.len());
    while order.len() < edges.len() {
        let is_ready = |step: &usize| {
            !placed[*step] && edges[*step].iter().all(|needed| placed.get(*needed).copied().unwrap_or(true))
        };
        let Some(next) = (0..edges.len()).find(is_ready) else {
            return Err(cycles(edges).into_iter().next().unwrap_or_default());
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// Every circle of steps that need each other: one for each group, along its edges.
pub fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let upstream = upstream(edges);
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in (0..edges.len()).filter(|step| upstream[*step].contains(step)) {
        if seen.contains(&start) {
            continue;
        }
        // Inside the group, every step leads back to the start.
        let group: BTreeSet<usize> =
            upstream[start].iter().copied().filter(|step| upstream[*step].contains(&start)).collect();
        seen.extend(&group);
        cycles.push(way_back(edges, &group, start));
    }
    cycles
}

/// The shortest way from `start` along its needs back to itself.
fn way_back(edges: &[Vec<usize>], group: &BTreeSet<usize>, start: usize) -> Vec<usize> {
    let mut ways: Vec<Vec<usize>> = vec![vec![start]];
    let mut visited = BTreeSet::new();
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        next += 1;
        let last = way.last().copied().unwrap_or(start);
        for needed in edges[last].iter().copied().filter(|step| group.contains(step)) {
            if needed == start {
                return way;
            }
            if visited.insert(needed) {
                ways.push([way.as_slice(), &[needed]].concat());
            }
        }
    }
    vec![start]
}

/// How far each step is from the start: 0 for those that start at once. Steps in a circle count as
/// if nothing came before them.
pub fn layers(edges: &[Vec<usize>]) -> Vec<usize> {
    let mut layers = vec![0; edges.len()];
    for step in order(edges).unwrap_or_default() {
        let before = edges[step].iter().filter_map(|needed| layers.get(*needed)).max();
        layers[step] = before.map_or(0, |layer| layer + 1);
    }
    layers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(list: &[(&str, Option<&[&str]>)]) -> Vec<Step> {
        let step = |(id, needs): &(&str, Option<&[&str]>)| {
            let mut value = serde_json::json!({ "id": id, "wait": "1s" });
            if let Some(needs) = needs {
                value["needs"] = serde_json::json!(needs);
            }
            serde_json::from_value(value).unwrap()
        };
        list.iter().map(step).collect()
    }

    #[test]
    fn without_needs_a_step_comes_after_the_one_before() {
        let steps = steps(&[("a", None), ("b", Some(&[])), ("c", Some(&["b", "a", "b", "x"])), ("d", None)]);
        let edges = edges(&steps);
        assert_eq!(edges, [vec![], vec![], vec![0, 1], vec![2]]);
        assert_eq!(upstream(&edges)[3], BTreeSet::from([0, 1, 2]));
        assert_eq!(order(&edges), Ok(vec![0, 1, 2, 3]));
        assert_eq!(layers(&edges), [0, 0, 1, 2]);
        assert!(cycles(&edges).is_empty());
    }

    #[test]
    fn every_circle_is_found_once() {
        let steps = steps(&[
            ("a", Some(&["c"])),
            ("b", Some(&["a"])),
            ("c", Some(&["b"])),
            ("d", Some(&["d"])),
            ("e", Some(&["a"])),
        ]);
        let edges = edges(&steps);
        assert_eq!(cycles(&edges), [vec![0, 2, 1], vec![3]]);
        assert_eq!(order(&edges), Err(vec![0, 2, 1]));
    }

    proptest! {
        #[test]
        fn an_order_puts_everything_after_what_it_needs(
            raw in prop::collection::vec(prop::collection::vec(0..12_usize, 0..4), 0..12),
        ) {
            let edges: Vec<Vec<usize>> =
                raw.iter().map(|needs| needs.iter().copied().filter(|n| *n < raw.len()).collect()).collect();
            match order(&edges) {
                Ok(order) => {
                    prop_assert!(cycles(&edges).is_empty());
                    for (place, step) in order.iter().enumerate() {
                        prop_assert!(edges[*step].iter().all(|needed| order[..place].contains(needed)));
                    }
                }
                Err(cycle) => {
                    for (place, step) in cycle.iter().enumerate() {
                        let needed = cycle[(place + 1) % cycle.len()];
                        prop_assert!(edges[*step].contains(&needed));
                    }
                }
            }
        }
    }
}
