//! A plan as text for a terminal, as markdown for a pull request, and as a diff per VM. The JSON form is plain serde.
//!
//! Plain values in, a string out; the same plan gives the same bytes. Every form says what the JSON says and leaves out
//! only what is unchanged. Everything that came from outside (names on a hypervisor, a server's words) goes through
//! `escape.rs`, so nothing can move a terminal's cursor or break out of a table.
//!
//! ```text
//! outline.rs   Plan -> sections in reading order, the verdict, groups of blocked: shared by all forms
//! words.rs     the product's words for each action, reason and block code
//! escape.rs    outside text made harmless
//! page.rs      styled lines, wrapping, colour          text.rs, markdown.rs, diff.rs   the three forms
//! ```

mod diff;
mod escape;
mod markdown;
mod outline;
mod page;
mod text;
mod values;
mod words;

#[cfg(test)]
mod tests;

pub use diff::diff;
pub use markdown::markdown;
pub use text::text;
pub use words::{code, rule};

/// How [`text()`] lays a plan out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// ANSI colours? Decided at the edge: terminal, `NO_COLOR`.
    pub color: bool,
    /// Columns to fill; less than 60 counts as 60.
    pub width: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { color: false, width: 100 }
    }
}
