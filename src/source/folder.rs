//! Reads `.yaml` and `.yml` files below a folder, or one file, in a stable order.
//!
//! Names that begin with a dot are skipped (`.git`, editors' files). A symbolic link is followed when it ends inside the
//! folder, and is an error when it leaves it: what stands outside was not reviewed with the rest. Anything that cannot be
//! read is an error, never skipped. Loops end at a depth that no folder of manifests has.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{SourceRead, problem};
use crate::diagnostic::Diagnostic;
use crate::manifest::SourceText;
use crate::manifest::codes;
use crate::manifest::guard::MAX_BYTES;
use crate::model::{Digest, Revision};

/// Deepest folder: a link to a folder above itself would go on for ever.
const MAX_DEPTH: usize = 32;

/// Most files, whatever leads to them.
const MAX_FILES: usize = 200_000;

/// Reads all texts below a path.
pub(super) fn read(path: &Path) -> SourceRead {
    let mut walk = Walk { root: path.to_owned(), inside: PathBuf::new(), files: Vec::new(), diagnostics: Vec::new() };
    let metadata = match (fs::metadata(path), fs::canonicalize(path)) {
        (Ok(metadata), Ok(inside)) => {
            walk.inside = inside;
            metadata
        }
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return missing(path),
        (Err(error), _) | (_, Err(error)) => {
            walk.unreadable(path, &error);
            return SourceRead { diagnostics: walk.diagnostics, ..SourceRead::default() };
        }
    };
    if metadata.is_dir() {
        walk.folder(path, 0);
    } else {
        walk.files.push(path.to_owned());
    }
    walk.files.sort();
    walk.read()
}

fn missing(path: &Path) -> SourceRead {
    let mut diagnostic = problem(path, codes::SOURCE_MISSING, "no such file or folder");
    diagnostic.hint = Some("a missing source removes nothing; check the path".into());
    SourceRead { diagnostics: vec![diagnostic], missing: true, ..SourceRead::default() }
}

/// What was found so far.
struct Walk {
    /// As the user gave it.
    root: PathBuf,
    /// The same without links.
    inside: PathBuf,
    files: Vec<PathBuf>,
    diagnostics: Vec<Diagnostic>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, depth: usize) {
        if depth > MAX_DEPTH {
            self.diagnostics.push(problem(
                folder,
                codes::UNREADABLE,
                format!("folders nest more than {MAX_DEPTH} deep"),
            ));
            return;
        }
        let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(folder, &error),
        };
        for entry in entries {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => self.link(&path, depth),
                Ok(kind) if kind.is_dir() => self.folder(&path, depth + 1),
                Ok(kind) if kind.is_file() => self.file(path),
                Ok(_) => {} // sockets and devices hold no manifests
                Err(error) => self.unreadable(&path, &error),
            }
        }
    }

    /// A link that ends inside the folder stands for what it ends at, unless that is read anyway by its own name.
    fn link(&mut self, path: &Path, depth: usize) {
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            // A dangling link among the manifests is a manifest that cannot be read.
            Err(error) if is_manifest(path) => return self.unreadable(path, &error),
            Err(_) => return,
        };
        let folder = target.is_dir();
        if !folder && !is_manifest(path) {
            return;
        }
        if !target.starts_with(&self.inside) {
            let mut diagnostic = problem(path, codes::LEAVES_SOURCE, "this link leaves the folder of manifests");
            diagnostic.hint = Some(format!("it leads to {}; copy the file into the folder", target.display()));
            self.diagnostics.push(diagnostic);
        } else if !self.read_by_name(&target, folder) {
            if folder {
                self.folder(path, depth + 1);
            } else {
                self.file(path.to_owned());
            }
        }
    }

    /// Is the end of a link read by its own name too? Then the link adds nothing, and would declare everything twice.
    fn read_by_name(&self, target: &Path, folder: bool) -> bool {
        let Ok(relative) = target.strip_prefix(&self.inside) else { return false };
        let hidden = relative.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
        !hidden && (folder || is_manifest(target))
    }

    fn file(&mut self, path: PathBuf) {
        if !is_manifest(&path) {
            return;
        }
        if self.files.len() < MAX_FILES {
            self.files.push(path);
        } else if self.files.len() == MAX_FILES {
            self.diagnostics.push(problem(&path, codes::UNREADABLE, format!("more than {MAX_FILES} files")));
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.diagnostics.push(problem(path, codes::UNREADABLE, format!("cannot be read: {error}")));
    }

    fn read(mut self) -> SourceRead {
        let mut texts = Vec::with_capacity(self.files.len());
        let mut listing = String::new();
        for path in std::mem::take(&mut self.files) {
            match read_file(&path) {
                Ok(Some(bytes)) => {
                    let relative = path.strip_prefix(&self.root).unwrap_or(&path);
                    // Digests and escaped names only, so that no content can pass for another listing.
                    let name = relative.to_string_lossy();
                    let _ = writeln!(listing, "{} {}", Digest::of(&bytes), name.escape_default());
                    texts.push(SourceText { path: path.to_string_lossy().into(), bytes });
                }
                Ok(None) => self.diagnostics.push(problem(
                    &path,
                    codes::TOO_LARGE,
                    format!("the file is too large; {MAX_BYTES} bytes are the limit"),
                )),
                Err(error) => self.unreadable(&path, &error),
            }
        }
        let revision = Revision(format!("sha256:{}", Digest::of(listing.as_bytes())));
        SourceRead { texts, revision, diagnostics: self.diagnostics, missing: false }
    }
}

/// The bytes of a file; `None` when it is larger than the guard would admit, without reading all of it.
fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    use io::Read as _;
    let limit = MAX_BYTES as u64 + 1;
    let file = fs::File::open(path)?;
    // A hint, and one byte more, so that the end is found without growing.
    let length = file.metadata().map_or(0, |found| found.len()).min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= MAX_BYTES).then_some(bytes))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
