//! How much of a text the scanner is shown: enough of it to be refused, where that is less than all of it.
//!
//! A flow collection may turn out to be a key, so the scanner takes all of it apart before it gives the first event of
//! it: a mebibyte of `[a,a,a,…` is a million tokens, held at once, when the tree has long had more values than it
//! takes. So a document with very many signs in it is tried first as far as some of them.
//!
//! Invariant: a text that would be taken is shown whole. What ends where no text ends has errors of its own, so a trial
//! counts only if it came to a limit of ours, or to a mistake that stands well before its end.

use super::report::Report;
use super::tree::{self, MAX_NODES, Stop, Tree};

/// Signs of one document before it is tried: so many may stand for more values than it takes.
const MANY: usize = MAX_NODES + 1_000;

/// A mistake so far from the end of a trial, in bytes, is no work of that end.
const WELL_BEFORE: usize = 1024;

/// What is read of a text by a part of it that is refused whatever follows; `None`: all of it must be read.
pub(super) fn refused<'t>(file: u32, text: &'t str, report: &mut Report) -> Option<Tree<'t>> {
    refused_from(MANY, file, text).map(|(tree, told)| {
        report.absorb(told);
        tree
    })
}

fn refused_from(many: usize, file: u32, text: &str) -> Option<(Tree<'_>, Report)> {
    let mut many = many;
    loop {
        let part = &text[..end_of(text, many)?];
        let mut told = Report::new();
        let (tree, stop) = tree::read(file, part, &mut told);
        if is_refused(part, stop.as_ref()) {
            return Some((tree, told));
        }
        many *= 4;
    }
}

/// Where the first document with more signs than that has so many; `None` if there is none.
fn end_of(text: &str, many: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.len() <= many {
        return None;
    }
    let mut signs = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'[' | b']' | b'{' | b'}' | b',' | b':' | b'?' | b'-' | b'&' | b'*' | b'!' | b'"' | b'\'' => signs += 1,
            // At the beginning of a line these end a document, whatever is open (YAML 1.2.2, 9.1.2).
            b'\n' | b'\r' if matches!(bytes.get(at + 1..at + 4), Some(b"---" | b"...")) => signs = 0,
            _ => {}
        }
        if signs > many {
            return Some(at);
        }
    }
    None
}

/// Is every text that begins with this part refused, if reading the part stopped so?
fn is_refused(part: &str, stop: Option<&Stop>) -> bool {
    match stop {
        None => false,
        Some(Stop::Limit) => true,
        Some(Stop::Syntax { before }) => {
            let at = part.char_indices().nth(*before).map_or(part.len(), |(at, _)| at);
            ends(&part[at..]).is_some_and(|end| at + end + WELL_BEFORE < part.len())
        }
    }
}

/// Where that which is said to be wrong ends: of quotes, after the closing one.
fn ends(wrong: &str) -> Option<usize> {
    let bytes = wrong.as_bytes();
    let mut at = 1;
    match bytes.first()? {
        b'"' => loop {
            match bytes.get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => at += 2,
                _ => at += 1,
            }
        },
        b'\'' => loop {
            match (bytes.get(at)?, bytes.get(at + 1)) {
                (b'\'', Some(b'\'')) => at += 2,
                (b'\'', _) => return Some(at + 1),
                _ => at += 1,
            }
        },
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// One document in which signs stand wherever they may.
    fn good() -> String {
        let mut text = String::from("a: |\n  [{\"'\n  - ]}, x: !y &z *z\n# \"[{'\nb: >-\n  it's\n");
        for n in 0..20 {
            let _ = write!(
                text,
                "k{n}: {{a: \"[,{{'\\\"\\\\\", b: ['it''s', \"x\\\n  y\", it's, [a, {{b: c}}], \"q\": r],\n  'c d': e, ? f : g}}\n\
                 l{n}:\n  - [- , a]\n  - ? x\n    : 'long {}'\n  - \"{}\"\n",
                "[,".repeat(n * 60),
                "{'".repeat(n * 60)
            );
        }
        text.replace("[- , a]", "[-1 , a]")
    }

    #[test]
    fn no_part_of_a_good_text_is_taken_for_a_refused_one() {
        let text = good();
        let (tree, stop) = tree::read(0, &text, &mut Report::new());
        assert!(stop.is_none() && tree.documents.len() == 1, "{stop:?}");
        let signs = text.len();
        for many in (1..signs).step_by(317) {
            let Some(end) = end_of(&text, many) else { continue };
            let stop = tree::read(0, &text[..end], &mut Report::new()).1;
            assert!(
                !is_refused(&text[..end], stop.as_ref()),
                "up to {many} signs: …{:?}",
                &text[end.saturating_sub(60)..end]
            );
        }
    }

    #[test]
    fn a_part_is_enough_where_it_comes_to_a_limit_or_a_mistake() {
        for (piece, before) in
            [("a,", "["), (",", "["), ("\"\"", "["), ("''x", "["), ("a: [", ""), ("]", "a: |\n ,,,,\n[a,")]
        {
            let text = format!("x: y\n---\n{before}{}", piece.repeat(400_000 / piece.len()));
            let (tree, told) = refused_from(40_000, 0, &text).expect("a part is enough");
            assert!(tree.cut && tree.documents.len() == 1, "{before}{piece}…");
            let mut whole = Report::new();
            tree::read(0, &text, &mut whole);
            assert_eq!(told.into_diagnostics(&[]), whole.into_diagnostics(&[]), "{before}{piece}…");
        }
    }

    #[test]
    fn documents_are_counted_by_themselves() {
        let text = "--- [a, b]\n".repeat(100);
        assert_eq!(end_of(&text, 10), None);
        assert!(end_of(&text, 5).is_some_and(|end| end < 11));
    }
}
