//! What commands put on stdout: text, tables, JSON, YAML.
//!
//! A broken pipe comes back as an error for `exit.rs` to swallow, never as a panic. Text that came from a hypervisor or
//! a file is cleaned of control characters before a terminal sees it; JSON and YAML escape them by themselves.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;

use crate::diagnostic::{self, Diagnostic, Style};
use crate::plan::Plan;
use crate::plan::render::{self, TextOptions};

/// Says a line to a person, on stderr. A stderr that is gone must not end a program that may be changing VMs, so what
/// cannot be said is not said; `eprintln!` would panic.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::view::say_text(format_args!("{}\n", format_args!($($text)*))) };
}

/// [`say!`] without a line end.
macro_rules! say_part {
    ($($text:tt)*) => { $crate::cli::view::say_text(format_args!($($text)*)) };
}

pub(crate) use {say, say_part};

/// What `say!` does.
pub fn say_text(text: std::fmt::Arguments<'_>) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_fmt(text).and_then(|()| err.flush());
}

/// Prints text as it stands, with a line end.
pub fn text(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Prints pretty JSON.
pub fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    Ok(text(&serde_json::to_string_pretty(value)?)?)
}

/// Prints YAML that says what the JSON says: made from it, since enums would come out as `!tags` that few readers know.
pub fn yaml<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    Ok(text(&serde_yaml::to_string(&serde_json::to_value(value)?)?)?)
}

/// Prints rows under headings, aligned, without lines; nothing but headings when there are no rows.
pub fn table(headings: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    text(&format_table(headings, rows))
}

/// A table as [`table`] prints it.
pub fn format_table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    // Never wrapped: a row is a line, for grep and for people with wide terminals alike.
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(|cell| clean(&cell)).collect::<Vec<_>>()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The text with control characters shown as escapes, so that a name cannot drive the terminal.
pub fn clean(text: &str) -> String {
    text.chars().flat_map(|c| if is_hostile(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Like [`clean`], but line ends stay.
pub fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

/// Control characters, and those that reorder the text around them.
fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A plan for people; in colour, which the streams of anstream take away where it is not wanted.
pub fn plan_text(plan: &Plan) -> String {
    render::text(plan, &TextOptions { color: true, width: width() })
}

/// Problems for people, with source lines; in colour like [`plan_text`].
pub fn diagnostics_text(diagnostics: &[Diagnostic]) -> String {
    diagnostic::render(diagnostics, Style { color: true })
}

/// Columns of the terminal, if stdout is one; readable on any other.
fn width() -> usize {
    if !io::stdout().is_terminal() {
        return 100;
    }
    terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0)).clamp(60, 120)
}

/// `1 VM`, `2 VMs`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_has_no_trailing_blanks() {
        let text =
            format_table(&["name", "vms"], vec![vec!["vc-prod".into(), "12".into()], vec!["x".into(), "3".into()]]);
        assert_eq!(text, "NAME     VMS\nvc-prod  12\nx        3\n");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
    }
}
