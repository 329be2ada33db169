//! A long list in two halves, one on a thread of its own: a fleet is mostly memory that nobody has looked at for a while,
//! and two cores wait for twice as much of it at a time.
//!
//! The only place of the core that knows threads. Nothing of it shows outside: the parts come back in the order of the list,
//! both halves see the same, and neither changes anything.

use std::panic;
use std::thread;

/// Shorter lists are not worth a thread.
const LONG: usize = 2_000;

/// Works on all of a list; what its parts came to, in their order.
pub(super) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    if items.len() < LONG {
        return vec![work(items)];
    }
    let (first, second) = items.split_at(items.len() / 2);
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, || work(second));
        let first = work(first);
        let second = match other {
            Ok(other) => other.join().unwrap_or_else(|cause| panic::resume_unwind(cause)),
            // The system has no thread to give.
            Err(_) => work(second),
        };
        vec![first, second]
    })
}

#[cfg(test)]
mod tests {
    use super::{LONG, each};

    #[test]
    fn the_parts_are_the_whole_list_in_its_order() {
        for count in [0, 1, LONG - 1, LONG, LONG + 1, 3 * LONG] {
            let items: Vec<usize> = (0..count).collect();
            let parts = each(&items, <[usize]>::to_vec);
            assert_eq!(parts.len(), if count < LONG { 1 } else { 2 });
            assert_eq!(parts.concat(), items);
        }
    }
}
