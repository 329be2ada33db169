//! YAML text -> [`Desired`]: everything wrong with it at once, or nothing wrong and every default filled in.
//!
//! ```text
//! bytes -> guard.rs -> tree.rs -> read/ -> check/ -> resolve.rs -> Desired
//!          encoding    positions  fields   whole set  defaults     again.rs: the same part by part, from an earlier one
//! ```
//!
//! What may reach the YAML scanner at all is decided by `guard.rs`, how much of it at once by `ahead.rs`, and event by
//! event the rest by `tree.rs`; all are linear in the input. `schema/` declares the kinds and fields, one to one with `schemas/*.json`; `read/` walks the tree along
//! them and goes on after each problem; `check/` looks at all manifests together. A problem that only follows from
//! another is left out: a reference into a file that could not be read is not also called missing.
//!
//! Pure: no file, clock or log. Equal input gives equal output, whatever the order of the texts.

pub mod again;
mod ahead;
pub mod check;
pub mod codes;
pub mod guard;
mod lines;
pub mod read;
pub mod report;
pub mod resolve;
pub mod schema;
pub mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::model::{Desired, Revision};

use read::Documents;
use report::Report;
use resolve::Shared;

/// One file, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Path as shown to a person.
    pub path: Arc<str>,
    /// Its bytes; shared by all revisions in which the file is the same.
    pub bytes: Arc<[u8]>,
}

/// The outcome of reading a set of files.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Compiled {
    /// What the manifests ask for; `None` with any error.
    pub desired: Option<Desired>,
    /// How many instance types are declared; they are resolved away in `desired`.
    pub instance_types: usize,
    /// How many documents were manifests, readable or not.
    pub manifests: usize,
    /// Files that declare tiers or instance types.
    pub common: BTreeSet<Arc<str>>,
    /// By path, line and column.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads, checks and resolves a set of files as one desired state.
pub fn compile(revision: Revision, texts: &[SourceText]) -> Compiled {
    let order = in_order(texts);
    let in_batches =
        if order.len() > again::BATCH { again::compile_in_batches(revision.clone(), &order) } else { None };
    in_batches.unwrap_or_else(|| compile_at_once(revision, &order))
}

/// The same with everything that was written held together, so that each problem is told where it stands.
fn compile_at_once(revision: Revision, order: &[&SourceText]) -> Compiled {
    let mut report = Report::new();
    let mut documents = Documents::default();
    for (file, text) in (0..).zip(order) {
        read::file(file, &text.bytes, &mut documents, &mut report);
    }
    let known = check::check(&documents, &mut report);
    let (tiers, vms) = if report.has_errors() {
        (BTreeMap::new(), Vec::new())
    } else {
        let tiers = resolve::tiers(&known, order, &mut report);
        (tiers, resolve::vms(&documents.vms, &known, order, (&mut Shared::default(), &mut report)))
    };
    let broken = report.has_errors();
    let instance_types = documents.instance_types.len();
    let manifests = documents.found;
    let common = paths(documents.common(), order);
    drop(known);
    drop(documents);
    // Collected at once, a map is packed full; grown one by one in no order, a third of it stays empty.
    let vms = vms.into_iter().map(|vm| (vm.key.clone(), vm)).collect();
    Compiled {
        desired: (!broken).then_some(Desired { revision, tiers, vms }),
        instance_types,
        manifests,
        common,
        diagnostics: report.into_diagnostics(order),
    }
}

fn in_order(texts: &[SourceText]) -> Vec<&SourceText> {
    let mut order: Vec<&SourceText> = texts.iter().collect();
    order.sort_by(|a, b| a.path.cmp(&b.path));
    order
}

/// Paths of the files with these numbers.
fn paths(files: impl Iterator<Item = u32>, order: &[&SourceText]) -> BTreeSet<Arc<str>> {
    files.filter_map(|file| Some(Arc::clone(&order.get(file as usize)?.path))).collect()
}
