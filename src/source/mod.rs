//! Where desired state comes from: files of a folder, later a Git repository; read whole, or refused whole.
//!
//! Edge: reads files. Gives a revision and, without an error, a [`Desired`]. A missing folder and one without a manifest
//! are told apart from each other and from broken files, since all three must destroy nothing (DESIGN 6, rule 3).

mod checkout;
mod committed;
mod folder;
mod seen;
mod user_data;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::again::{Earlier, compile_from};
use crate::manifest::codes;
use crate::manifest::{self, SourceText};
use crate::model::{Desired, Origin, Revision};

pub use checkout::in_progress;
pub use committed::is_committed;
pub use seen::Seen;
pub use user_data::{user_data, user_data_of};

/// What was read.
#[derive(Debug, Clone)]
#[must_use]
pub struct Loaded {
    /// Names this state of the source; the digest of nothing when it could not be read.
    pub revision: Revision,
    /// What it asks for; `None` with any error.
    pub desired: Option<Desired>,
    /// Everything wrong with it, by path, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// How many files were read.
    pub files: usize,
    /// How many instance types there are.
    pub instance_types: usize,
    /// Files that declare tiers or instance types.
    pub common: BTreeSet<Arc<str>>,
    /// Set when there was nothing to read.
    pub problem: Option<SourceProblem>,
    /// The texts it was made from, by path.
    pub texts: Arc<[SourceText]>,
}

/// Why there was nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceProblem {
    /// The folder or file is not there.
    Missing,
    /// It holds no manifest at all.
    Empty,
}

/// The texts of a source, read in a stable order.
#[derive(Debug, Clone, Default)]
pub struct SourceRead {
    /// Its files.
    pub seen: Seen,
    /// What could not be read.
    pub diagnostics: Vec<Diagnostic>,
    /// Set when the path does not exist.
    pub missing: bool,
}

impl SourceRead {
    /// By path.
    pub fn texts(&self) -> &Arc<[SourceText]> {
        &self.seen.texts
    }

    /// Names the contents: a digest over relative paths and bytes.
    pub fn revision(&self) -> &Revision {
        &self.seen.revision
    }
}

/// Reads, checks and resolves a folder of manifests, or one file.
pub fn load(path: &Path) -> Loaded {
    resolve(path, read(path), None)
}

/// Reads a folder of manifests, or one file, without looking into them: enough to see that nothing changed.
pub fn read(path: &Path) -> SourceRead {
    folder::read(path, &Seen::default())
}

/// The same, but for files that nobody can have written since they were seen.
pub fn read_again(path: &Path, seen: &Seen) -> SourceRead {
    folder::read(path, seen)
}

/// Checks and resolves what was read from `path`, from what was made of it `earlier` where that is possible.
pub fn resolve(path: &Path, read: SourceRead, earlier: Option<Earlier<'_>>) -> Loaded {
    let SourceRead { seen, mut diagnostics, missing } = read;
    let Seen { texts, revision, .. } = seen;
    let files = texts.len();
    let again = earlier.and_then(|earlier| compile_from(earlier, revision.clone(), &texts));
    let compiled = again.unwrap_or_else(|| manifest::compile(revision.clone(), &texts));
    let problem = match (missing, compiled.manifests) {
        (true, _) => Some(SourceProblem::Missing),
        (false, 0) if diagnostics.is_empty() && compiled.diagnostics.is_empty() => {
            diagnostics.push(empty(path, files));
            Some(SourceProblem::Empty)
        }
        _ => None,
    };
    // A file that was not read may hold what others name.
    if diagnostics.is_empty() || problem.is_some() {
        diagnostics.extend(compiled.diagnostics);
    } else {
        diagnostics.extend(compiled.diagnostics.into_iter().filter(|diagnostic| !is_reference(diagnostic.code)));
    }
    diagnostics.sort();
    let broken = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Loaded {
        revision,
        desired: compiled.desired.filter(|_| !broken),
        diagnostics,
        files,
        instance_types: compiled.instance_types,
        common: compiled.common,
        problem,
        texts,
    }
}

/// Codes of references to what may stand in an unread file.
fn is_reference(code: &str) -> bool {
    [codes::NO_SUCH_TIER, codes::NO_SUCH_INSTANCE_TYPE, codes::NO_SUCH_VM].iter().any(|known| known.id == code)
}

fn empty(path: &Path, files: usize) -> Diagnostic {
    let summary = match files {
        0 => "no .yaml or .yml file".to_owned(),
        1 => "no manifest in its one file".to_owned(),
        _ => format!("no manifest in its {files} files"),
    };
    let mut diagnostic = problem(path, codes::SOURCE_EMPTY, summary);
    diagnostic.hint = Some("an empty source removes nothing; is this the right folder?".into());
    diagnostic
}

/// A problem with a path as a whole.
fn problem(path: &Path, code: &'static codes::Code, summary: impl Into<String>) -> Diagnostic {
    Diagnostic {
        origin: Origin { path: path.to_string_lossy().into(), line: 0, column: 0 },
        length: 1,
        severity: Severity::Error,
        code: code.id,
        summary: summary.into(),
        hint: None,
        source_line: String::new(),
        related: Vec::new(),
    }
}
