//! Does what was read stand in Git as it was read? An edit that nobody committed is nobody's word yet but its author's.
//!
//! Git itself is asked, since nobody else can tell; by a person's command only, never by `serve`. It is kept from
//! writing (no lock of ours may look like a checkout in progress) and from starting a watcher. When it cannot be asked,
//! nothing is known of the source, and the answer is no.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::checkout;
use crate::manifest::SourceText;

/// Is the source no work tree of Git; or else, does every text that was read stand in its last
/// commit as it stands there?
pub fn is_committed(source: &Path, texts: &[SourceText]) -> bool {
    if !checkout::is_work_tree(source) {
        return true;
    }
    let Ok(top) = fs::canonicalize(source) else { return false };
    let folder = if top.is_dir() { Some(top.as_path()) } else { top.parent() };
    let Some(folder) = folder else { return false };
    // Against the last commit, staged or not; submodules with changes of their own included.
    let changed = ask(folder, &["status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=none"]);
    if changed.is_none_or(|changed| !changed.is_empty()) {
        return false;
    }
    let Some(tracked) = ask(folder, &["ls-files", "-z"]) else { return false };
    let tracked: HashSet<PathBuf> =
        tracked.split('\0').filter(|path| !path.is_empty()).map(|path| folder.join(path)).collect();
    // Those that Git ignores, does not know yet, or has in a repository within are read too.
    texts.iter().all(|text| fs::canonicalize(&*text.path).is_ok_and(|path| tracked.contains(&path)))
}

/// What Git says of a folder and what is below; `None`: it cannot be asked, or refuses.
fn ask(folder: &Path, words: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "-C"])
        .arg(folder)
        .args(words)
        .args(["--", "."])
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null());
    let output = git.output().inspect_err(|error| tracing::debug!(%error, "git cannot be asked")).ok()?;
    if !output.status.success() {
        tracing::debug!(said = %String::from_utf8_lossy(&output.stderr).trim(), "git cannot tell");
        return None;
    }
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;

    fn is(folder: &Path) -> bool {
        is_committed(folder, source::read(folder).texts())
    }

    fn git(folder: &Path, words: &[&str]) -> bool {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(["-c", "user.name=test", "-c", "user.email=test@example.invalid"]).args(words);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").stdout(Stdio::null()).stderr(Stdio::null());
        git.status().is_ok_and(|status| status.success())
    }

    #[test]
    fn a_plain_folder_has_nothing_that_is_not_committed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "a: 1\n").unwrap();
        assert!(is(dir.path()));
    }

    #[test]
    fn what_git_does_not_have_as_it_is_read_is_not_committed() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("manifests");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("a.yaml"), "a: 1\n").unwrap();
        if !git(dir.path(), &["init", "-q"]) {
            let required = std::env::var("TIERWRIGHT_PEERS").is_ok_and(|value| value == "required");
            assert!(!required, "git is required and missing");
            eprintln!("skipped: git is not there");
            return;
        }
        assert!(!is(&source), "no commit yet");
        let commit = || assert!(git(dir.path(), &["add", "."]) && git(dir.path(), &["commit", "-qm", "a"]));
        commit();
        assert!(is(&source));
        fs::write(dir.path().join("README"), "beside the source\n").unwrap();
        assert!(is(&source));
        fs::write(source.join("a.yaml"), "a: 2\n").unwrap();
        assert!(!is(&source), "edited");
        assert!(git(dir.path(), &["add", "."]) && !is(&source), "staged is not committed");
        commit();
        assert!(is(&source));
        fs::write(source.join("b.yaml"), "b: 1\n").unwrap();
        assert!(!is(&source), "not known to Git");
        fs::write(dir.path().join(".gitignore"), "b.yaml\n").unwrap();
        assert!(!is(&source), "ignored by Git, and read all the same");
        fs::remove_file(source.join("b.yaml")).unwrap();
        assert!(is(&source));
        fs::remove_file(source.join("a.yaml")).unwrap();
        assert!(!is(&source), "taken out of the work tree only");
    }
}
