//! Outside text made harmless: for a terminal line, for markdown, and as a YAML scalar.

use std::fmt::Write as _;

/// Text for one terminal line: control characters, line breaks, and characters that reorder or hide text (bidirectional
/// controls, zero-width) are shown as `\u{…}`; everything else stays readable.
pub(super) fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if c.is_control() || is_trick(c) => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Characters that make text look like something else: Unicode's bidirectional controls, zero-width characters, line
/// and paragraph separators, tags.
const fn is_trick(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text for markdown, in a table cell too: no markup, no HTML, no mention of a person.
pub(super) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '@' => safe.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// A YAML scalar on one line: plain where that cannot be misread, else in double quotes.
pub(super) fn yaml(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(' ')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '/'));
    if plain { text.to_owned() } else { format!("\"{}\"", line(&text.replace('\\', "\\\\")).replace('"', "\\\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_move_the_cursor_or_reorder_the_line() {
        assert_eq!(line("a\u{1b}[2Jb\nc\u{202e}d\u{7}"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{7}");
        assert_eq!(line("Prüfung 東京"), "Prüfung 東京");
    }

    #[test]
    fn markdown_is_only_text() {
        assert_eq!(markdown("<img> a|b @all `x`"), "&lt;img&gt; a\\|b &#64;all \\`x\\`");
    }

    #[test]
    fn scalars_are_quoted_when_they_could_be_misread() {
        assert_eq!(yaml("48GiB"), "48GiB");
        assert_eq!(yaml("00:50:56:00:00:01"), "\"00:50:56:00:00:01\"");
        assert_eq!(yaml("say \"hi\"\n"), "\"say \\\"hi\\\"\\n\"");
    }
}
