//! Rule 7 and the last look: what apply repeats around each call.
//!
//! [`still_safe`] judges a fresh read just before: is this the VM the plan saw, untouched by anybody but
//! this very step? [`promise_kept`] judges one just after: has it become what the step promised? Both are
//! pure; apply does the reading.

mod before;
mod promise;
#[cfg(test)]
mod tests;

pub use before::{Progress, still_safe};
pub use promise::promise_kept;

use crate::mark::Mark;
use crate::plan::Operation;

/// The mark that an operation writes.
fn written(operation: &Operation) -> Option<&Mark> {
    match operation {
        Operation::Reconfigure { mark, .. } => Some(mark),
        Operation::Create(create) => Some(&create.mark),
        Operation::Stop(_)
        | Operation::Start
        | Operation::Rename(_)
        | Operation::Unmark
        | Operation::Destroy { .. } => None,
    }
}
