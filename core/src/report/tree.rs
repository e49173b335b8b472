//! The steps of a run in the order in which people read them: each with its parts below it.

use crate::run::{Node, Role, Run};

/// One step and how deep it stands.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub node: &'a Node,
    pub depth: usize,
}

/// All steps of a run, parts after their whole, what is taken back last.
pub fn rows(run: &Run) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let tops = run.nodes().filter(|node| node.parent.is_none() && node.role != Role::Undo);
    for node in tops {
        add(run, node, 0, &mut rows);
    }
    rows.extend(run.nodes().filter(|node| node.role == Role::Undo).map(|node| Row { node, depth: 0 }));
    rows
}

fn add<'a>(run: &'a Run, node: &'a Node, depth: usize, rows: &mut Vec<Row<'a>>) {
    rows.push(Row { node, depth });
    let parts = run
        .nodes()
        .filter(|part| part.role != Role::Undo && part.parent.as_deref() == Some(node.path.as_str()));
    for part in parts {
        add(run, part, depth + 1, rows);
    }
}
