//! The source lines that problems are shown with: bounded, and without secrets.
//!
//! Takes the bytes of a file, gives single lines of it. User data and passwords are masked by the text alone, since a
//! file with a syntax error has no tree: what follows such a key on its line, and every line below that is indented
//! deeper. Misspelt keys count too: `userdata: …` is told as an unknown field, with its line.

use std::ops::Range;

/// Characters kept of a source line; a longer one is no manifest that a person wrote.
const LINE: usize = 4096;

/// Lines looked at above a problem for the key of a secret: nobody has more user data, and a hostile file stays linear.
const ABOVE: usize = 10_000;

/// Keys whose values are never shown, in lower case and without `-` and `_`.
const SECRET_KEYS: [&[u8]; 4] = [b"userdata", b"userdatafile", b"password", b"cloudinit"];

/// The lines of one file, split as the YAML scanner counts them: at LF, CR LF and CR.
pub(super) struct Lines<'t> {
    lines: Vec<&'t [u8]>,
}

impl<'t> Lines<'t> {
    /// Of a file's bytes.
    pub(super) fn of(bytes: &'t [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut lines = Vec::new();
        let mut start = 0;
        let mut at = 0;
        while at < bytes.len() {
            let width = match bytes[at] {
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => 2,
                b'\r' | b'\n' => 1,
                _ => 0,
            };
            if width == 0 {
                at += 1;
                continue;
            }
            lines.push(&bytes[start..at]);
            at += width;
            start = at;
        }
        lines.push(&bytes[start..]);
        Self { lines }
    }

    /// That line (from 1), cut at [`LINE`] characters, with secrets masked; empty past the end.
    pub(super) fn line(&self, number: u32) -> String {
        let index = (number as usize).saturating_sub(1);
        let Some(bytes) = self.lines.get(index) else { return String::new() };
        let shown = self.masked_from(index).unwrap_or(bytes.len()).min(LINE * 4);
        let mut line: String = String::from_utf8_lossy(&bytes[..shown]).chars().take(LINE).collect();
        if shown < bytes.len().min(LINE * 4) {
            line.push_str(if shown == 0 { "***" } else { " ***" });
        }
        line
    }

    /// From which byte on that line may be secret, if any may.
    fn masked_from(&self, index: usize) -> Option<usize> {
        let line = self.lines[index];
        let line = &line[..line.len().min(LINE * 4)];
        if let Some(value) = secrets(line).next() {
            let names_file = line[..value.start].ends_with(b"userDataFile:")
                || line[value.start..].trim_ascii().starts_with(b"{userDataFile:");
            return Some(value.start).filter(|start| is_value(&line[*start..], names_file));
        }
        let mut limit = indent(line).unwrap_or(usize::MAX);
        for above in self.lines[..index].iter().rev().take(ABOVE) {
            match indent(above) {
                Some(depth) if depth < limit => limit = depth,
                _ => continue,
            }
            if secrets(&above[..above.len().min(LINE * 4)]).next().is_some() {
                return Some(0);
            }
            if limit == 0 {
                return None;
            }
        }
        None
    }
}

/// Leading spaces; `None` for a blank line. A tab, which YAML forbids there, counts as deep: such a line is more likely
/// a slip inside what stands above it than a field of its own.
fn indent(line: &[u8]) -> Option<usize> {
    let spaces = line.iter().position(|byte| !byte.is_ascii_whitespace())?;
    Some(if line[..spaces].contains(&b'\t') { spaces + 1000 } else { spaces })
}

/// Where the values of secret keys stand on a line: from after the colon to its end.
fn secrets(line: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < line.len() {
            let start = at + line[at..].iter().position(word)?;
            let end = start + line[start..].iter().position(|byte| !word(byte)).unwrap_or(line.len() - start);
            at = end;
            if is_secret_key(&line[start..end]) {
                let colon = line[end..].iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
                return Some(end + colon..line.len());
            }
        }
        None
    })
}

fn is_secret_key(word: &[u8]) -> bool {
    let letters = || word.iter().filter(|byte| !matches!(byte, b'_' | b'-')).map(u8::to_ascii_lowercase);
    SECRET_KEYS.iter().any(|key| letters().eq(key.iter().copied()))
}

/// Is there something to hide? Not at the head of a block, nor where only the name of a file is given.
fn is_value(rest: &[u8], names_file: bool) -> bool {
    let text = String::from_utf8_lossy(rest);
    let text = text.trim();
    let block = text.trim_start_matches(['|', '>']).trim_start_matches(['+', '-']);
    let block = block.bytes().all(|byte| byte.is_ascii_digit()) && !text.bytes().all(|byte| byte.is_ascii_digit());
    let file = text.strip_prefix("{userDataFile:").unwrap_or(text).trim();
    !(text.is_empty() || text == "{}" || block || (names_file && is_path(file)))
}

/// Could it be the path of a file, in quotes or not? User data at the wrong key has blanks or a `#` in its first line.
fn is_path(text: &str) -> bool {
    let text = text.trim_end_matches('}').trim().trim_matches(['"', '\'']);
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, number: u32) -> String {
        Lines::of(text.as_bytes()).line(number)
    }

    #[test]
    fn lines_are_counted_as_the_scanner_does() {
        let text = "\u{feff}a\r\nb\rc\nd";
        assert_eq!((1..=5).map(|n| line(text, n)).collect::<Vec<_>>(), ["a", "b", "c", "d", ""]);
    }

    #[test]
    fn what_follows_a_secret_key_is_masked() {
        assert_eq!(line("  userData: SECRET", 1), "  userData: ***");
        assert_eq!(line("x: {cloudInit: {userData: SECRET", 1), "x: {cloudInit: ***");
        assert_eq!(line("{\"userData\":\"SECRET\"}", 1), "{\"userData\": ***");
        assert_eq!(line("user-data: SECRET", 1), "user-data: ***");
        assert_eq!(line("userdata: SECRET", 1), "userdata: ***");
        assert_eq!(line("cloudInit: SECRET", 1), "cloudInit: ***");
        assert_eq!(line("userDataFile: \"#cloud-config SECRET\"", 1), "userDataFile: ***");
        assert_eq!(line("credentials: {password: SECRET}", 1), "credentials: {password: ***");
    }

    #[test]
    fn what_names_a_file_is_not_masked() {
        for text in [
            "userDataFile: web.cfg",
            "cloudInit: {userDataFile: ../x}",
            "passwordFile: a",
            "cloudInit:",
            "userData: |-2",
        ] {
            assert_eq!(line(text, 1), text);
        }
    }

    #[test]
    fn lines_below_a_secret_key_are_masked_as_far_as_they_are_indented() {
        let text =
            "spec:\n  cloudInit:\n    userData: |\n      SECRET\n\n       SECRET\n    userDataFile: x\n  power: on";
        let shown: Vec<String> = (1..=8).map(|n| line(text, n)).collect();
        assert_eq!(
            shown,
            ["spec:", "  cloudInit:", "    userData: |", "***", "", "***", "    userDataFile: x", "  power: on"]
        );
    }
}
