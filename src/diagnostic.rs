//! What the author of a file must fix: where, what, and how.
//!
//! Comes out of reading manifests and settings; goes to `validate`, and into the exit of every command that reads the
//! source. All problems are reported at once; one that only follows from another is left out by whoever finds it.
//! Rendering (source line, caret) is here too, since it is text from values.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::model::Origin;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The source is refused.
    Error,
    /// The source is taken; a person should look.
    Warning,
}

/// One problem in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// Where it stands.
    pub origin: Origin,
    /// Length of the marked text in characters; at least 1.
    pub length: u32,
    /// How bad it is.
    pub severity: Severity,
    /// Stable, `TW` and four digits; listed in `manifest/codes.rs`.
    pub code: &'static str,
    /// One line: what is wrong.
    pub summary: String,
    /// What to do about it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The whole source line, unescaped and uncut; empty when the problem has none (a missing folder).
    pub source_line: String,
    /// Other places that belong to it, such as the first of two duplicates: place, source line, label.
    pub related: Vec<Related>,
}

/// Another place that belongs to a problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Related {
    /// Where.
    pub origin: Origin,
    /// Its source line.
    pub source_line: String,
    /// What it is, such as `first named here`.
    pub label: String,
}

/// How problems are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// With terminal colours?
    pub color: bool,
}

/// Columns of a source line that are shown.
const WIDTH: usize = 120;

/// The problems as text for a person, with a count at the end; empty without a problem.
///
/// Nothing in it can drive a terminal, whatever stands in the files.
pub fn render(diagnostics: &[Diagnostic], style: Style) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        one(&mut text, diagnostic, style);
    }
    if !diagnostics.is_empty() {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        let _ = writeln!(text, "{}", counts(errors, diagnostics.len() - errors));
    }
    text
}

/// `2 errors, 1 warning`.
fn counts(errors: usize, warnings: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (_, 0) => count(errors, "error"),
        (0, _) => count(warnings, "warning"),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

fn one(text: &mut String, diagnostic: &Diagnostic, style: Style) {
    let Diagnostic { origin, length, severity, code, summary, hint, source_line, related } = diagnostic;
    let (word, color) = match severity {
        Severity::Error => ("error", Color::Red),
        Severity::Warning => ("warning", Color::Yellow),
    };
    let margin =
        related.iter().map(|related| related.origin.line).chain([origin.line]).max().unwrap_or(0).to_string().len();
    let head = paint(&format!("{word}[{code}]"), color, style);
    let _ = writeln!(text, "{}: {head}: {}", place(origin), paint(&clean(summary), Color::Bold, style));
    snippet(text, &Snippet { origin, length: *length, line: source_line, margin, color, mark: '^' }, style);
    for Related { origin, source_line, label } in related {
        let _ =
            writeln!(text, "{:margin$} {} {}: {}", "", paint("::", Color::Blue, style), place(origin), clean(label));
        snippet(text, &Snippet { origin, length: 1, line: source_line, margin, color: Color::Blue, mark: '-' }, style);
    }
    if let Some(hint) = hint {
        let _ = writeln!(text, "{:margin$} {} hint: {}", "", paint("=", Color::Blue, style), clean(hint));
    }
    text.push('\n');
}

/// `path:line:column`, or the path alone for what has no line.
fn place(origin: &Origin) -> String {
    let path = clean(&origin.path);
    if origin.line == 0 { path } else { format!("{path}:{}:{}", origin.line, origin.column) }
}

struct Snippet<'d> {
    origin: &'d Origin,
    length: u32,
    line: &'d str,
    margin: usize,
    color: Color,
    mark: char,
}

/// The source line with its mark, cut around it.
fn snippet(text: &mut String, snippet: &Snippet<'_>, style: Style) {
    let Snippet { origin, length, line, margin, color, mark } = *snippet;
    if line.is_empty() {
        return;
    }
    let chars: Vec<char> = line.chars().collect();
    let column = (origin.column as usize).saturating_sub(1);
    if column > chars.len() {
        // The place is in a part of the line that is not shown: masked, or too far to the right.
        let _ = writeln!(
            text,
            "{} {} {}…",
            number(origin, margin, style),
            bar(style),
            clean(&line.chars().take(WIDTH / 2).collect::<String>())
        );
        return;
    }
    let widths: Vec<usize> = chars.iter().map(|c| escaped(*c).map(|c| c.width().unwrap_or(0)).sum()).collect();
    let marked = (length as usize).min(chars.len() - column);
    let (from, to) = window(&widths, column, marked);
    let lead = if from > 0 { "…" } else { "" };
    let tail = if to < chars.len() { "…" } else { "" };
    let shown: String = chars[from..to].iter().flat_map(|c| escaped(*c)).collect();
    let _ = writeln!(text, "{} {} {lead}{shown}{tail}", number(origin, margin, style), bar(style));
    let before = lead.width() + widths[from..column].iter().sum::<usize>();
    let under: usize = widths[column..(column + marked).min(to)].iter().sum();
    let marks: String = std::iter::repeat_n(mark, under.max(1)).collect();
    let _ = writeln!(text, "{:margin$} {} {:before$}{}", "", bar(style), "", paint(&marks, color, style));
}

fn number(origin: &Origin, margin: usize, style: Style) -> String {
    paint(&format!("{:>margin$}", origin.line), Color::Blue, style)
}

fn bar(style: Style) -> String {
    paint("|", Color::Blue, style)
}

/// Which characters fit into [`WIDTH`] columns with the mark among them, with some of what stands before it.
fn window(widths: &[usize], column: usize, marked: usize) -> (usize, usize) {
    if widths.iter().sum::<usize>() <= WIDTH {
        return (0, widths.len());
    }
    let room = WIDTH - 2; // an ellipsis on either side
    let mut from = column;
    let mut used = 0;
    let ahead = room / 2;
    while from > 0 && used + widths[from - 1] <= ahead.max(room.saturating_sub(marked + room / 2)) {
        from -= 1;
        used += widths[from];
    }
    let mut to = column;
    while to < widths.len() && used + widths[to] <= room {
        used += widths[to];
        to += 1;
    }
    while from > 0 && used + widths[from - 1] <= room {
        from -= 1;
        used += widths[from];
    }
    (from, to)
}

/// A character as it may be shown: what could drive a terminal, reorder the line or hide in it, is
/// escaped; a tab is four spaces.
pub fn escaped(c: char) -> impl Iterator<Item = char> {
    let hidden = c.is_control()
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}');
    let tab = std::iter::repeat_n(' ', if c == '\t' { 4 } else { 0 });
    let escape = (hidden && c != '\t').then(|| c.escape_unicode());
    let plain = (!hidden).then_some(c);
    tab.chain(plain).chain(escape.into_iter().flatten())
}

fn clean(text: &str) -> String {
    text.chars().flat_map(escaped).collect()
}

#[derive(Debug, Clone, Copy)]
enum Color {
    Red,
    Yellow,
    Blue,
    Bold,
}

fn paint(text: &str, color: Color, style: Style) -> String {
    if !style.color {
        return text.to_owned();
    }
    match color {
        Color::Red => text.red().bold().to_string(),
        Color::Yellow => text.yellow().bold().to_string(),
        Color::Blue => text.blue().bold().to_string(),
        Color::Bold => text.bold().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: &str, column: u32, length: u32) -> Diagnostic {
        Diagnostic {
            origin: Origin { path: "a.yaml".into(), line: 7, column },
            length,
            severity: Severity::Error,
            code: "TW0000",
            summary: "no".into(),
            hint: None,
            source_line: line.into(),
            related: Vec::new(),
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let line = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let text = render(&[problem(&line, 501, 4)], Style::default());
        let shown: Vec<&str> = text.lines().collect();
        assert!(shown[1].width() <= WIDTH + 4, "{text}");
        let at = shown[2].find('^').expect("a mark");
        let source: Vec<char> = shown[1].chars().collect();
        assert_eq!(source[at..at + 4].iter().collect::<String>(), "HERE", "{text}");
        assert!(shown[1].contains('…') && shown[1].ends_with('…'), "{text}");
    }

    #[test]
    fn what_could_drive_a_terminal_is_escaped() {
        let mut bad = problem("x: \u{1b}]0;owned\u{7}\u{202e}", 1, 1);
        bad.summary = "\u{1b}[2J".into();
        bad.hint = Some("\u{9b}1m".into());
        bad.origin.path = "a\u{1b}[31m.yaml".into();
        let text = render(&[bad], Style::default());
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn the_mark_stands_under_wide_characters_and_tabs() {
        let text = render(&[problem("\t日本: x", 6, 1)], Style::default());
        let lines: Vec<&str> = text.lines().collect();
        let mark = lines[2].find('^').expect("a mark");
        assert_eq!(lines[1][..lines[1].find('x').expect("the value")].width(), mark, "{text}");
    }

    #[test]
    fn the_last_line_counts() {
        assert_eq!(counts(1, 0), "1 error");
        assert_eq!(counts(0, 2), "2 warnings");
        assert_eq!(counts(2, 1), "2 errors, 1 warning");
    }
}
