//! What the author of a file must fix: where, what, and how.
//!
//! Comes out of reading manifests and settings; goes to `validate`, and into the exit of every command that reads the
//! source. All problems are reported at once; one that only follows from another is left out by whoever finds it.
//! Rendering (source line, caret) is here too, since it is text from values.

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
