//! Is Git at work in the source just now? Then whatever is read may be half of one revision and half of
//! another, however well it parses.
//!
//! Looks for the files that Git keeps while it works; runs no Git. A lock that a killed Git left behind holds the
//! source in its last good revision until somebody removes it, which is what Git itself asks for.

use std::fs;
use std::path::{Path, PathBuf};

/// Below the Git directory, while it works: the index is locked by every command that writes the work tree; the others
/// stand for an operation that a person has yet to end, with some commits or conflict markers in the files.
const SIGNS: [(&str, &str); 6] = [
    ("index.lock", "a checkout, pull or commit"),
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase"),
    ("MERGE_HEAD", "a merge"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
];

/// Does a work tree of Git hold it?
pub(super) fn is_work_tree(source: &Path) -> bool {
    holding(source).is_some()
}

/// The Git directory of the work tree that holds it.
fn holding(source: &Path) -> Option<PathBuf> {
    fs::canonicalize(source).ok()?.ancestors().find_map(git_directory)
}

/// What Git is doing in the work tree that holds `source`, if anything.
pub fn in_progress(source: &Path) -> Option<String> {
    let git = holding(source)?;
    SIGNS
        .iter()
        .map(|(file, what)| (git.join(file), what))
        .find(|(sign, _)| sign.exists())
        .map(|(sign, what)| format!("{what} is in progress in the source ({} is there)", sign.display()))
}

/// The Git directory of a work tree whose top is `folder`; a file `.git` names it for worktrees and submodules.
fn git_directory(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    Some(folder.join(text.strip_prefix("gitdir:")?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_above_the_source_says_that_git_is_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("manifests/prod");
        fs::create_dir_all(&source).unwrap();
        assert_eq!(in_progress(&source), None);
        fs::create_dir(dir.path().join(".git")).unwrap();
        assert_eq!(in_progress(&source), None);
        fs::write(dir.path().join(".git/index.lock"), "").unwrap();
        assert!(in_progress(&source).unwrap().contains("a checkout"));
        fs::remove_file(dir.path().join(".git/index.lock")).unwrap();
        assert_eq!(in_progress(&source), None);
    }

    #[test]
    fn a_worktree_is_asked_at_its_own_git_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, git) = (dir.path().join("tree"), dir.path().join("main/.git/worktrees/tree"));
        fs::create_dir_all(&tree).unwrap();
        fs::create_dir_all(&git).unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", git.display())).unwrap();
        assert_eq!(in_progress(&tree), None);
        fs::create_dir(git.join("rebase-merge")).unwrap();
        assert!(in_progress(&tree).unwrap().contains("a rebase"));
    }

    #[test]
    fn no_source_and_no_git_are_no_work() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(in_progress(dir.path()), None);
        assert_eq!(in_progress(&dir.path().join("gone")), None);
    }
}
