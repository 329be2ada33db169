//! What is done, operation by operation.

mod adoption;
mod lifecycle;
mod update;

use crate::mark::Mark;
use crate::plan::{Change, Operation, Step};

/// The operations in a word each.
fn words(step: &Step) -> Vec<&'static str> {
    let word = |operation: &Operation| match operation {
        Operation::Create(_) => "create",
        Operation::Reconfigure { changes, mark } => match (changes.is_empty(), mark.pending.is_some()) {
            (true, true) => "mark pending",
            (true, false) => "mark",
            (false, true) => "change pending",
            (false, false) => "change",
        },
        Operation::Stop(_) => "stop",
        Operation::Start => "start",
        Operation::Rename(_) => "rename",
        Operation::Unmark => "unmark",
        Operation::Destroy { .. } => "destroy",
    };
    step.operations.iter().map(word).collect()
}

fn changes(step: &Step) -> Vec<Change> {
    let of = |operation: &Operation| match operation {
        Operation::Reconfigure { changes, .. } => changes.clone(),
        _ => Vec::new(),
    };
    step.operations.iter().flat_map(of).collect()
}

fn last_mark(step: &Step) -> Mark {
    let found = step.operations.iter().rev().find_map(|operation| match operation {
        Operation::Reconfigure { mark, .. } => Some((**mark).clone()),
        _ => None,
    });
    found.expect("a mark is written")
}
