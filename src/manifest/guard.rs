//! What may reach the YAML scanner at all: cheap checks over the bytes, in one pass.
//!
//! Takes the bytes of a file; gives the text without its byte order mark, or says why not. Depth, aliases and duplicate
//! keys are judged by `tree.rs` while the events come in, so that nothing is built first and judged later. The scanner
//! gets no text with a NUL in it: it would take that for the end of the file.

use super::codes;
use super::report::{Place, Report};
use super::tree::Spot;

/// Largest file.
pub const MAX_BYTES: usize = 8 << 20;

/// The text of a file, if it may be read as YAML.
pub fn admit<'t>(file: u32, bytes: &'t [u8], report: &mut Report) -> Option<&'t str> {
    let start = Place { file, spot: Spot { line: 1, column: 1, length: 1 } };
    if bytes.len() > MAX_BYTES {
        report
            .error(start, codes::TOO_LARGE, format!("the file has {} bytes; {MAX_BYTES} are the limit", bytes.len()))
            .hint("split it into several files");
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let spot = spot_at(&String::from_utf8_lossy(&bytes[..error.valid_up_to()]));
            report
                .error(Place { file, spot }, codes::NOT_UTF8, "the file is not UTF-8 from here on")
                .hint("save it as UTF-8");
            return None;
        }
    };
    match text.char_indices().find(|(_, c)| is_control(*c) || turns_text(*c)) {
        None => Some(text),
        Some((at, c)) => {
            refuse(Place { file, spot: spot_at(&text[..at]) }, c, report);
            None
        }
    }
}

fn refuse(place: Place, c: char, report: &mut Report) {
    let number = u32::from(c);
    let (code, what) = if is_control(c) {
        (codes::CONTROL_CHARACTER, "control character")
    } else {
        (codes::TEXT_DIRECTION, "character that reorders text,")
    };
    report
        .error(place, code, format!("a {what} U+{number:04X} in the file"))
        .hint(format!("remove it, or write \\u{number:04X} in a double-quoted string"));
}

/// Not in YAML's printable set (YAML 1.2.2, 5.1), or a line end that only some readers know.
fn is_control(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}')
}

/// The explicit bidirectional controls (Unicode Annex 9; CVE-2021-42574 tells what they are misused for).
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The position just after some text.
fn spot_at(before: &str) -> Spot {
    let mut line = 1;
    let mut column = 1;
    let mut chars = before.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\n' => {
                line += 1;
                column = 1;
            }
            _ => column += 1,
        }
    }
    Spot { line, column, length: 1 }
}
