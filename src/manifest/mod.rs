//! YAML text -> [`Desired`]: everything wrong with it at once, or nothing wrong and every default filled in.
//!
//! ```text
//! bytes -> guard.rs -> tree.rs -> read/ -> check/ -> resolve.rs -> Desired
//!          encoding    positions  fields   whole set  defaults
//! ```
//!
//! What may reach the YAML scanner at all is decided by `guard.rs` and, event by event, by `tree.rs`; both are linear in
//! the input. `schema/` declares the kinds and fields, one to one with `schemas/*.json`; `read/` walks the tree along
//! them and goes on after each problem; `check/` looks at all manifests together. A problem that only follows from
//! another is left out: a reference into a file that could not be read is not also called missing.
//!
//! Pure: no file, clock or log. Equal input gives equal output, whatever the order of the texts.

pub mod check;
pub mod codes;
pub mod guard;
mod lines;
pub mod read;
pub mod report;
pub mod resolve;
pub mod schema;
pub mod tree;

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::model::{Desired, Revision};

use read::Documents;
use report::Report;

/// One file, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Path as shown to a person.
    pub path: Arc<str>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The outcome of reading a set of files.
#[derive(Debug, Clone)]
#[must_use]
pub struct Compiled {
    /// What the manifests ask for; `None` with any error.
    pub desired: Option<Desired>,
    /// How many instance types are declared; they are resolved away in `desired`.
    pub instance_types: usize,
    /// How many documents were manifests, readable or not.
    pub manifests: usize,
    /// By path, line and column.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads, checks and resolves a set of files as one desired state.
pub fn compile(revision: Revision, texts: &[SourceText]) -> Compiled {
    let mut order: Vec<&SourceText> = texts.iter().collect();
    order.sort_by(|a, b| a.path.cmp(&b.path));
    let mut report = Report::new();
    let mut documents = Documents::default();
    for (file, text) in (0..).zip(&order) {
        read::file(file, &text.bytes, &mut documents, &mut report);
    }
    let known = check::check(&documents, &mut report);
    let (tiers, vms) = resolve::resolve(&documents, &known, &order, &mut report);
    let broken = report.has_errors();
    let instance_types = documents.instance_types.len();
    let manifests = documents.found;
    drop(known);
    drop(documents);
    Compiled {
        desired: (!broken).then_some(Desired { revision, tiers, vms }),
        instance_types,
        manifests,
        diagnostics: report.into_diagnostics(&order),
    }
}
