//! Reads `.yaml` and `.yml` files below a folder, or one file, in a stable order.
//!
//! Names that begin with a dot are skipped (`.git`, editors' files). A symbolic link is followed when it ends inside the
//! folder, and is an error when it leaves it: what stands outside was not reviewed with the rest. Anything that cannot be
//! read is an error, never skipped. Loops end at a depth that no folder of manifests has. Files that nobody can have written
//! since the last time (`seen.rs`) are taken from there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::seen::{Mark, Seen, Stamp, is_local};
use super::{SourceRead, problem};
use crate::clock::monotonic_usec;
use crate::diagnostic::Diagnostic;
use crate::manifest::SourceText;
use crate::manifest::codes;
use crate::manifest::guard::MAX_BYTES;
use crate::model::{Digest, Revision};

/// Deepest folder: a link to a folder above itself would go on for ever.
const MAX_DEPTH: usize = 32;

/// Most files, whatever leads to them.
const MAX_FILES: usize = 200_000;

/// Reads all texts below a path, as far as they may be others than they were.
pub(super) fn read(path: &Path, seen: &Seen) -> SourceRead {
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
    walk.read(seen)
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

    fn read(mut self, seen: &Seen) -> SourceRead {
        let mut reading = Reading::after(seen);
        let mut before = seen.in_order();
        for path in std::mem::take(&mut self.files) {
            match reading.file(&path, before.find(&path)) {
                Ok(true) => {}
                Ok(false) => self.diagnostics.push(problem(
                    &path,
                    codes::TOO_LARGE,
                    format!("the file is too large; {MAX_BYTES} bytes are the limit"),
                )),
                Err(error) => self.unreadable(&path, &error),
            }
        }
        SourceRead { seen: reading.end(&self.root, seen), diagnostics: self.diagnostics, missing: false }
    }
}

/// Files being read, one after another.
struct Reading {
    texts: Vec<SourceText>,
    marks: Vec<Mark>,
    /// Files whose stamp said enough.
    kept: usize,
    believing: bool,
    began: u64,
    /// Devices that are believed.
    local: BTreeMap<u64, bool>,
}

impl Reading {
    fn after(seen: &Seen) -> Self {
        let (files, began) = (seen.texts.len(), monotonic_usec());
        Self {
            texts: Vec::with_capacity(files),
            marks: Vec::with_capacity(files),
            kept: 0,
            believing: seen.is_believed(began),
            began,
            local: BTreeMap::new(),
        }
    }

    /// Takes a file in; false when it is larger than the guard would admit, without reading all of it.
    fn file(&mut self, path: &Path, before: Option<(&SourceText, Mark)>) -> io::Result<bool> {
        if self.believing
            && let Some((text, mark)) = before
            && mark.vouches_for(Stamp::of(&fs::metadata(path)?))
        {
            self.texts.push(text.clone());
            self.marks.push(mark);
            self.kept += 1;
            return Ok(true);
        }
        let opened = monotonic_usec();
        let file = fs::File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        let stamped = monotonic_usec();
        let Some(bytes) = read_file(file, stamp.bytes())? else { return Ok(false) };
        let same = before.filter(|(text, _)| *text.bytes == *bytes);
        let is_local = *self.local.entry(stamp.device()).or_insert_with(|| is_local(path));
        self.marks.push(Mark::new(stamp, (opened, stamped), same.map(|(_, mark)| mark), is_local));
        self.texts.push(match same {
            Some((text, _)) => text.clone(),
            None => SourceText { path: path.to_string_lossy().into(), bytes: bytes.into() },
        });
        Ok(true)
    }

    fn end(self, root: &Path, seen: &Seen) -> Seen {
        let Self { texts, marks, kept, began, .. } = self;
        let all_at = if kept == 0 { began } else { seen.all_at };
        if kept == texts.len() && kept == seen.texts.len() && kept > 0 {
            return Seen { all_at, ..seen.clone() };
        }
        let revision = revision(root, &texts);
        // Equal texts in one copy, whoever holds the one before.
        let texts = if texts == *seen.texts { Arc::clone(&seen.texts) } else { texts.into() };
        Seen { texts, marks, revision, all_at }
    }
}

/// Names the contents of files and their paths below the root.
fn revision(root: &Path, texts: &[SourceText]) -> Revision {
    let mut listing = String::new();
    // Paths are kept as they are shown.
    let root = root.to_string_lossy();
    for SourceText { path, bytes } in texts {
        let path = Path::new(&**path);
        let name = path.strip_prefix(&*root).unwrap_or(path).to_string_lossy();
        // Digests and escaped names only, so that no content can pass for another listing.
        let _ = writeln!(listing, "{} {}", Digest::of(bytes), name.escape_default());
    }
    Revision(format!("sha256:{}", Digest::of(listing.as_bytes())))
}

/// The bytes of a file that seems to have so many; `None` when there are more than the guard would admit.
fn read_file(file: fs::File, length: u64) -> io::Result<Option<Vec<u8>>> {
    use io::Read as _;
    let limit = MAX_BYTES as u64 + 1;
    // One byte more, so that the end is found without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(limit)).unwrap_or_default() + 1);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= MAX_BYTES).then_some(bytes))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(seen: &Seen) -> Vec<(String, String)> {
        let text = |text: &SourceText| {
            let name = Path::new(&*text.path).file_name().unwrap().to_string_lossy().into_owned();
            (name, String::from_utf8_lossy(&text.bytes).into_owned())
        };
        seen.texts.iter().map(text).collect()
    }

    /// What is read from what was seen, which must be what anybody reads who has seen nothing.
    fn again(folder: &Path, seen: &Seen) -> Seen {
        let (again, anew) = (read(folder, seen).seen, read(folder, &Seen::default()).seen);
        assert_eq!((&again.revision, texts(&again)), (&anew.revision, texts(&anew)));
        again.believed()
    }

    #[test]
    fn files_that_came_went_or_changed_are_read_and_the_others_are_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        for name in ["a.yaml", "b.yaml", "c.yaml"] {
            write(name, "# one\n");
        }
        let first = again(folder.path(), &Seen::default());
        let unchanged = again(folder.path(), &first);
        assert!(Arc::ptr_eq(&first.texts, &unchanged.texts));
        write("b.yaml", "# two, and longer\n");
        let changed = again(folder.path(), &unchanged);
        assert_ne!(changed.revision, first.revision);
        let same = |n: usize| Arc::ptr_eq(&first.texts[n].bytes, &changed.texts[n].bytes);
        assert_eq!([same(0), same(1), same(2)], [true, false, true]);
        fs::remove_file(folder.path().join("a.yaml")).unwrap();
        write("bb.yaml", "# new\n");
        let moved = again(folder.path(), &changed);
        fs::rename(folder.path().join("c.yaml"), folder.path().join("a.yaml")).unwrap();
        again(folder.path(), &moved);
        fs::remove_file(folder.path().join("a.yaml")).unwrap();
        fs::remove_file(folder.path().join("b.yaml")).unwrap();
        fs::remove_file(folder.path().join("bb.yaml")).unwrap();
        assert_eq!(again(folder.path(), &moved).texts.len(), 0);
    }

    #[test]
    fn what_a_link_ends_at_is_what_counts() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [(".1", "# one\n"), (".2", "# two\n")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let link = folder.path().join("a.yaml");
        std::os::unix::fs::symlink(".1", &link).unwrap();
        let first = again(folder.path(), &Seen::default());
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(".2", &link).unwrap();
        assert_eq!(texts(&again(folder.path(), &first))[0].1, "# two\n");
    }
}
