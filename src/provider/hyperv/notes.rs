//! Our mark inside a VM's Notes, beside whatever a person wrote there. Pure.
//!
//! ```text
//! Backup: nightly                          a person's
//! [tierwright: leave this block alone]
//! {"version":1,…}
//! [end of tierwright]
//! #CLUSTER-INVARIANT#:{…}                  the cluster's
//! ```
//!
//! Everything outside of the block stays as it is, to the byte. A block that was cut, or one beside another, is given
//! as a text that is no mark: the VM is then left alone and said so.

const BEGIN: &str = "[tierwright: leave this block alone]";
const END: &str = "[end of tierwright]";

/// The text of the mark, if there is a block.
pub(super) fn mark(notes: &str) -> Option<&str> {
    let (_, rest) = notes.split_once(BEGIN)?;
    match rest.split_once(END) {
        Some((text, after)) if !after.contains(BEGIN) => Some(text.trim()),
        _ => Some(rest.trim()),
    }
}

/// The notes with this mark in place of the one there was, or after all else.
pub(super) fn with_mark(notes: &str, mark: &str) -> String {
    let block = format!("{BEGIN}\n{mark}\n{END}");
    match cut(notes) {
        Some((before, after)) => format!("{before}{block}{after}"),
        None if notes.is_empty() => block,
        None => format!("{notes}\n{block}"),
    }
}

/// The notes without a mark: as they were before one was written.
pub(super) fn without_mark(notes: &str) -> String {
    match cut(notes) {
        // The line break before a block at the end came with it.
        Some((before, "")) => before.strip_suffix('\n').unwrap_or(before).to_owned(),
        Some((before, after)) => format!("{before}{}", after.strip_prefix('\n').unwrap_or(after)),
        None => notes.to_owned(),
    }
}

/// What stands before and after the block, when it is whole and the only one.
fn cut(notes: &str) -> Option<(&str, &str)> {
    let (before, rest) = notes.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    (!after.contains(BEGIN)).then_some((before, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_wrote_stays_to_the_byte() {
        for notes in ["", "Backup: nightly", "two\r\nlines\r\n", "ends with a break\n", "#CLUSTER-INVARIANT#:{1}"] {
            let marked = with_mark(notes, "{1}");
            assert_eq!(mark(&marked), Some("{1}"));
            let again = with_mark(&marked, "{2}");
            assert_eq!(mark(&again), Some("{2}"));
            assert_eq!(without_mark(&again), notes);
        }
    }

    #[test]
    fn what_the_cluster_adds_after_our_block_stays_too() {
        let marked = format!("{}\n#CLUSTER-INVARIANT#:{{a}}", with_mark("mine", "{1}"));
        assert_eq!(mark(&marked), Some("{1}"));
        assert!(with_mark(&marked, "{2}").ends_with("\n#CLUSTER-INVARIANT#:{a}"));
        assert_eq!(without_mark(&marked), "mine\n#CLUSTER-INVARIANT#:{a}");
    }

    #[test]
    fn a_block_that_was_cut_or_doubled_is_no_mark_and_is_not_touched() {
        let whole = with_mark("mine", "{\"version\":1}");
        let cut_short = whole.strip_suffix(END).unwrap();
        let doubled = format!("{whole}\n{whole}");
        for broken in [cut_short, doubled.as_str()] {
            let text = mark(broken).unwrap();
            assert!(broken == cut_short || crate::mark::parse(text).is_err(), "{text}");
            assert_eq!(without_mark(broken), broken);
        }
    }
}
